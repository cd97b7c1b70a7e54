/* grad_again.c: what a gradient keeps, and what it computes again.
 *
 * Backwards, the adjoint of a step needs the state that the step was given, that of a layer the values in it. To keep them
 * all takes memory that grows with the number of steps or layers. Where a program saves (Program.saving), and where it
 * says checkpoint, few are kept and the others computed again from those.
 *
 * Steps: an iterate of T steps may keep m states (as many as memory_room() holds). The schedule is the optimal one: of t
 * steps before a kept state, with m places for it and those behind, advance y and keep what is there; the right part has
 * m - 1 places, and when its adjoints are done the left part has m again. C(t, m) = min over y of y + C(t - y, m - 1) +
 * C(y, m) evaluations of the step, C(t, 1) = t (t + 1) / 2. With B(s, r) = (s + r)! / (s! r!) and the least r for which
 * t <= B(m, r), y = max(B(m, r - 2), t - B(m - 1, r)) is a least one.
 *
 *     T = 10, m = 3    keep 0; advance 4, keep 4; advance 3, keep 7; advance to 9, adjoint of step 9; 7 -> 8, adjoint of
 *                      step 8; adjoint of step 7, 7 goes; 4 -> 5, keep 5; 5 -> 6, adjoint of step 6; ..
 *
 * What is kept is a vector of {number, state}, the newest last, so that one iterate runs any schedule: `descend` advances
 * and keeps from the newest to the step whose turn it is, the adjoint of that is taken, and the newest goes when its own
 * step was. How many steps there are must be known at the start; they are counted before, by an iterate of whose state
 * the optimizer leaves what decides about going on, mostly a counter.
 *
 *     let n = iterate({a, 0}, |t| {{f(t.$0), t.$1 + 1}, again}).$1;
 *     let d = descend({[{0, a}], 0, a}, n - 1);  r = f(d.$2);  ..
 *     back    iterate({n - 1, d, r', sums}, |u| let d = descend(u.$1, u.$0); .. f(d.$2) anew, then backwards ..
 *                     {{u.$0 - 1, drop(d, u.$0), s', sums}, u.$0 > 0})
 *
 * Chains: a body of n vectors is cut into segments of about sqrt(n), or behind each checkpoint. What later segments or the
 * result need is kept. The adjoints of a segment's lets come behind the lets themselves once more, of the last segment's
 * without: that is at most one more forward pass, and no more is there at once than what is kept and one segment. All
 * that the copies take from outside is taken by computed_after(x, g), where g is an adjoint of the segment behind: so no
 * pass can see that they compute what was there before, or move them to where it was.
 *
 * Chen, Xu, Zhang and Guestrin, "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174. Gruslys, Munos, Danihelka,
 * Lanctot and Graves, "Memory-Efficient Backpropagation Through Time", arXiv 1606.03401 (BPTT-HSM). The y: Griewank and
 * Walther, "Revolve", ACM TOMS 26, 2000.
 */
#include "grad.h"

#include <math.h>
#include <stdio.h>

/* ---- steps ---- */

enum { BLOCK_HEADER = 64 };

/* An expression for the bytes that a value named `name` reaches. */
static void write_bytes(Buf *out, const Type *type, const char *name, int depth) {
    bool first = true;
    if (type->kind == TY_vec && !type->args[0]->pointers) {
        buf_printf(out, "len(%s) * %lldL + %dL", name, (long long)type->args[0]->size, BLOCK_HEADER);
    } else if (type->kind == TY_vec) {
        char element[16];
        snprintf(element, sizeof element, "e%d", depth);
        buf_printf(out, "len(%s) * %lldL + %dL + result(for(%s, merger[i64, +], |b%d, i%d, %s| merge(b%d, ",
                   name, (long long)type->args[0]->size, BLOCK_HEADER, name, depth, depth, element, depth);
        write_bytes(out, type->args[0], element, depth + 1);
        buf_printf(out, ")))");
    } else if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            char field[64];
            if (!type->args[i]->pointers) continue;
            snprintf(field, sizeof field, "%.50s.$%d", name, i);
            if (!first) buf_printf(out, " + ");
            first = false;
            write_bytes(out, type->args[i], field, depth);
        }
        if (first) buf_printf(out, "0L");
    } else {
        buf_printf(out,
                   "0L"); /* a scalar; of dictionaries, whose sizes nobody knows, the table is not counted */
    }
}

/* How many states there may be, that of the start among them. */
static Symbol *count_slots(Grad *g, Symbol *start, Symbol *steps) {
    Buf text = {0};
    buf_printf(&text, "|x, n, room| min(n, max(1L, room / (%lldL + ", (long long)start->type->size + 8);
    write_bytes(&text, start->type, "x", 0);
    buf_printf(&text, ")))");
    Type *i64 = type_scalar(&g->program->types, TY_i64);
    Symbol *room = emit(g, "room", node_new(g->program, N_Room, g->span, i64, 0));
    Symbol *arguments[3] = {start, steps, room};
    Symbol *slots = emit(g, "slots", apply_text(g, NULL, text.text ? text.text : "", 3, arguments));
    buf_release(&text);
    return slots;
}

/* The iterate's function applied to a state: the next one, and whether to go on, in the block that is open. */
static Symbol *one_step(Grad *g, const Node *lambda, Symbol *state, Symbol **again) {
    bool saving = g->saving;
    bind_state(g, lambda, state);
    g->saving = false;
    forward(g, lambda->kids[0]);
    g->saving = saving;
    Symbol *end = now_of(body_end(lambda->kids[0])->symbol);
    Symbol *next = emit(g, "state", field_of(g, end, 0));
    if (again) *again = emit(g, "again", field_of(g, end, 1));
    forget(g, lambda->kids[0]);
    unbind_value(g, lambda->params[0]);
    return next;
}

/* iterate({start, 0}, |t| {{f(t.$0), t.$1 + 1}, ..}), where that goes on as the iterate does or, with a limit, for so many
 * steps. */
static Symbol *advance(Grad *g, Info *info, Symbol *start, Symbol *limit) {
    const Node *lambda = info->def->kids[1];
    Node *first[2] = {use(g, start), i64_literal(g, 0)}, *next[2], *end[2];
    Node *both = struct_of(g, 2, first);
    Symbol *param = symbol_new(g->program, "t", both->type), *again = NULL;
    block_open(g, B_ARM);
    Symbol *state = emit(g, "state", field_of(g, param, 0));
    Symbol *number = emit(g, "number", binary(g, OP_add, field_of(g, param, 1), i64_literal(g, 1)));
    next[0] = use(g, one_step(g, lambda, state, limit ? NULL : &again));
    next[1] = use(g, number);
    end[0] = struct_of(g, 2, next);
    if (limit) {
        end[1] = node_make(g->program, N_Compare, g->span, type_scalar(&g->program->types, TY_bool), 2,
                           use(g, number), use(g, limit));
        end[1]->op = OP_lt;
    } else {
        end[1] = use(g, again);
    }
    Node *made = make_lambda(g, 1, &param, block_close(g, struct_of(g, 2, end)));
    return emit(g, "advanced", node_make(g->program, N_Iterate, g->span, both->type, 2, both, made));
}

/* From the state that is at hand, which is the newest kept one or behind it, to the state before `step`: D is {what is
 * kept, the number of the state at hand, that state}. Each time it advances, and keeps what is there unless it was the last
 * time. */
Symbol *again_descend(Grad *g, Info *info, Symbol *from, Symbol *step) {
    static const char how_far[] =
        "|k, a, m, step| let t = step - a + 1L; let s = m - len(k) + 1L;"
        " if(s < 2L || t < 2L, {t - 1L, false},"
        " let f = iterate({0L, 1L, 0L, 0L}, |f| let r = f.$0 + 1L; let b = f.$1 * (s + r) / r;"
        " {{r, b, f.$1, f.$2}, b < t}); {max(1L, max(f.$3, t - (f.$1 - f.$2))), true})";
    static const char keep[] = "|k, a, s, m, more| slice(if(more, result(merge(for(k, appender, |b, i, e| "
                               "merge(b, e)), {a, s})), k), 0L, m)";
    int outer_keep = g->keep;
    g->keep = info_of(g, info->def->kids[1]->params[0])->depth;
    Node *first[3], *next[3], *end[2];
    for (int i = 0; i < 3; i++) first[i] = field_of(g, from, i);
    Node *start = struct_of(g, 3, first);
    Symbol *param = symbol_new(g->program, "d", start->type);
    block_open(g, B_ARM);
    Symbol *kept = emit(g, "kept", field_of(g, param, 0)), *at = emit(g, "at", field_of(g, param, 1)),
           *state = emit(g, "state", field_of(g, param, 2));
    Symbol *arguments[4] = {kept, at, info->slots, step};
    Symbol *far = emit(g, "far", apply_text(g, NULL, how_far, 4, arguments));
    Symbol *count = emit(g, "count", field_of(g, far, 0)), *more = emit(g, "more", field_of(g, far, 1));
    Node *any = node_make(g->program, N_Compare, g->span, type_scalar(&g->program->types, TY_bool), 2,
                          use(g, count), i64_literal(g, 0));
    any->op = OP_gt;
    block_open(g, B_ARM);
    Symbol *moved = advance(g, info, state, count);
    Node *arm = block_close(g, field_of(g, moved, 0));
    Symbol *there = emit(g, "state", make_if(g, any, arm, use(g, state)));
    Symbol *number = emit(g, "at", binary(g, OP_add, use(g, at), use(g, count)));
    Symbol *parts[5] = {kept, number, there, info->slots, more};
    next[0] = apply_text(g, NULL, keep, 5, parts);
    next[1] = use(g, number);
    next[2] = use(g, there);
    end[0] = struct_of(g, 3, next);
    end[1] = use(g, more);
    Node *made = make_lambda(g, 1, &param, block_close(g, struct_of(g, 2, end)));
    g->keep = outer_keep;
    return emit(g, "descended", node_make(g->program, N_Iterate, g->span, start->type, 2, start, made));
}

/* The first state stays: behind step 0 nothing is wanted. */
Node *again_drop(Grad *g, Symbol *states, Symbol *step) {
    static const char drop[] =
        "|d, n| let last = len(d.$0) - 1L;"
        " let kept = slice(d.$0, 0L, if(n > 0L && n == lookup(d.$0, last).$0, last, last + 1L));"
        " let newest = lookup(kept, len(kept) - 1L); {kept, newest.$0, newest.$1}";
    Symbol *arguments[2] = {states, step};
    return apply_text(g, NULL, drop, 2, arguments);
}

Symbol *again_sweep(Grad *g, Info *info) {
    const Node *node = info->def;
    Symbol *start = now_of(node->kids[0]->symbol);
    Symbol *counted = advance(g, info, start, NULL);
    Symbol *steps = emit(g, "steps", field_of(g, counted, 1));
    Symbol *slots = info->slots = count_slots(g, start, steps);
    Symbol *begin = emit(g, "begin", apply_text(g, NULL, "|s| {[{0L, s}], 0L, s}", 1, &start));
    Symbol *step = emit(g, "step", binary(g, OP_sub, use(g, steps), i64_literal(g, 1)));
    Symbol *states = again_descend(g, info, begin, step);
    int outer_keep = g->keep;
    g->keep = info_of(g, node->kids[1]->params[0])->depth;
    Symbol *last = one_step(g, node->kids[1], emit(g, "state", field_of(g, states, 2)), NULL);
    g->keep = outer_keep;
    bind_value(g, info->symbol, last);
    info->slots = slots;
    info->steps = steps;
    info->states = states;
    return last;
}

/* ---- chains ---- */

/* A let of the body. */
typedef struct Link {
    Node *let;
    Info *info;
    int last;       /* the last let that uses it; the number of lets: the result */
    bool is_vector; /* it has memory of its own */
    bool fixed;     /* it cannot be computed twice */
    bool stays;     /* it is not computed again in the segment that is looked at */
} Link;

typedef struct Chain {
    Grad *g;
    Link *links;
    int count;
    int *cuts, ncuts;         /* numbers of the segments' first lets */
    int *numbers;             /* by symbol id: the let's and 1 */
    int known;                /* symbols */
    int at;                   /* the let that is looked at */
    bool fixed;               /* what is looked at cannot be computed twice, or uses a builder that cannot */
    Symbol *adjoint;          /* after which the copies come */
    Symbol **moved, **before; /* names that stand for computed_after, and for what they stood before */
    int nmoved;
} Chain;

static Link *link_of(const Chain *chain, const Symbol *symbol) {
    int number = symbol->id < chain->known ? chain->numbers[symbol->id] : 0;
    return number ? &chain->links[number - 1] : NULL;
}

static bool note_use(Walk *walk, Node **slot) {
    Chain *chain = walk->data;
    Link *link = (*slot)->kind == N_Ident ? link_of(chain, (*slot)->symbol) : NULL;
    if (link && chain->at > link->last) link->last = chain->at;
    if (link && link->fixed && (*slot)->type->builders) chain->fixed = true;
    if (node_is_foreign(*slot) && node_keeps(*slot)) chain->fixed = true;
    return true;
}

static bool has_memory(const Node *value) {
    if (value->type->builders || !value->type->pointers) return false;
    return value->kind == N_Result || value->kind == N_Sort || is_sorted_slice(value) ||
           value->kind == N_If || value->kind == N_Iterate || value->kind == N_Vec || node_is_foreign(value);
}

static void chain_read(Chain *chain, Grad *g, Node *body) {
    *chain = (Chain){.g = g, .known = g->known};
    for (const Node *let = body; let->kind == N_Let; let = let->kids[1]) chain->count++;
    chain->links = grad_alloc(g, (size_t)chain->count + 1, sizeof *chain->links);
    chain->cuts = grad_alloc(g, (size_t)chain->count + 2, sizeof *chain->cuts);
    chain->numbers = grad_alloc(g, (size_t)chain->known + 1, sizeof *chain->numbers);
    chain->moved = grad_alloc(g, (size_t)chain->known + 1, sizeof(Symbol *));
    chain->before = grad_alloc(g, (size_t)chain->known + 1, sizeof(Symbol *));
    if (grad_failed(g)) return;
    for (; body->kind == N_Let; body = body->kids[1], chain->at++) {
        Node *value = body->kids[0];
        Link *link = &chain->links[chain->at];
        *link = (Link){body, info_of(g, body->symbol), chain->at, has_memory(value), false, false};
        chain->fixed = false;
        Walk walk = {g->program, note_use, NULL, chain};
        node_walk(&walk, &body->kids[0]);
        link->fixed = chain->fixed || value->kind == N_Iterate;
        if (body->symbol->id < chain->known) chain->numbers[body->symbol->id] = chain->at + 1;
    }
    Link *end = link_of(chain, body->symbol);
    if (end) end->last = chain->count;
}

/* For each place between two lets, what crosses it: vectors, or -1 where a builder does. */
static int *crossings(const Chain *chain) {
    int *change = grad_alloc(chain->g, (size_t)chain->count + 2, sizeof *change);
    int *builders = grad_alloc(chain->g, (size_t)chain->count + 2, sizeof *builders), vectors = 0, open = 0;
    if (grad_failed(chain->g)) return change;
    for (int i = 0; i < chain->count; i++) {
        const Link *link = &chain->links[i];
        int *list = link->let->symbol->type->builders ? builders : link->is_vector ? change : NULL;
        if (!list || link->last <= i) continue;
        list[i + 1]++;
        list[link->last + 1]--;
    }
    for (int i = 0; i <= chain->count; i++) {
        vectors += change[i];
        open += builders[i];
        change[i] = open ? -1 : vectors;
    }
    return change;
}

/* Segments of about sqrt(n) of n vectors; near that, where least crosses. */
static void cut_evenly(Chain *chain) {
    enum { FEW = 8 };
    int *crossing = crossings(chain), vectors = 0;
    for (int i = 0; i < chain->count; i++) vectors += chain->links[i].is_vector;
    if (vectors < FEW || grad_failed(chain->g)) return;
    int size = (int)ceil(sqrt(vectors)), seen = 0, best = -1;
    for (int i = 0; i < chain->count; i++) {
        bool near = seen > size - size / 4 - 1;
        if (near && crossing[i] >= 0 && (best < 0 || crossing[i] < crossing[best])) best = i;
        if (best > 0 && seen > size + size / 4) {
            chain->cuts[chain->ncuts++] = best;
            for (seen = 0; best < i; best++) seen += chain->links[best].is_vector;
            best = -1;
        }
        seen += chain->links[i].is_vector;
    }
}

static void cut_at_marks(Chain *chain) {
    const int *crossing = crossings(chain);
    for (int i = 0; i + 1 < chain->count && !grad_failed(chain->g); i++) {
        if (chain->links[i].let->kids[0]->kind == N_Checkpoint && crossing[i + 1] >= 0)
            chain->cuts[chain->ncuts++] = i + 1;
    }
}

static bool has_marks(const Node *body) {
    for (; body->kind == N_Let; body = body->kids[1]) {
        if (body->kids[0]->kind == N_Checkpoint) return true;
    }
    return false;
}

bool again_wanted(Grad *g, Node *body) {
    return g->program->saving || has_marks(body);
}

/* The value, field by field, as it is after the adjoint. */
static Node *value_after(Grad *g, Symbol *symbol, Symbol *adjoint) {
    if (symbol->type->kind != TY_struct || symbol->type->count == 0)
        return node_make(g->program, N_After, g->span, symbol->type, 2, use(g, symbol), use(g, adjoint));
    Node **kids = grad_alloc(g, (size_t)symbol->type->count, sizeof *kids);
    for (int i = 0; i < symbol->type->count; i++)
        kids[i] = value_after(g, emit(g, "part", field_of(g, symbol, i)), adjoint);
    return struct_of(g, symbol->type->count, kids);
}

/* What a copy takes from outside stands for what is there after the adjoint from now on. */
static bool move_behind(Walk *walk, Node **slot) {
    Chain *chain = walk->data;
    Grad *g = chain->g;
    Symbol *symbol = (*slot)->symbol;
    if ((*slot)->kind != N_Ident || symbol->type->builders) return true;
    const Info *info = info_of(g, symbol);
    const Link *link = link_of(chain, symbol);
    bool outside = info && symbol->twin && (link ? link->stays : !info->def && info->depth == 0);
    for (int i = 0; outside && i < chain->nmoved; i++) outside = chain->moved[i] != symbol;
    if (!outside) return true;
    chain->moved[chain->nmoved] = symbol;
    chain->before[chain->nmoved++] = symbol->twin;
    symbol->twin = emit(g, "again", value_after(g, symbol->twin, chain->adjoint));
    return true;
}

/* An adjoint that is known when all behind the segment is done: of what it hands on, else the newest value. */
static Symbol *adjoint_behind(Chain *chain, int from, int to) {
    Symbol *newest = NULL;
    for (int i = to - 1; i >= from; i--) {
        Link *link = &chain->links[i];
        for (int k = 0; link->last >= to && link->info && k < link->info->leaves.count; k++) {
            Symbol *adjoint = link->info->active[k] ? leaf_value(chain->g, link->info, k) : NULL;
            if (adjoint) return adjoint;
        }
    }
    for (const Node *let = chain->g->block->first; let; let = let->kids[1]) {
        if (!let->symbol->type->builders) newest = let->symbol;
    }
    return newest;
}

static void compute_again(Chain *chain, int from, int to) {
    Grad *g = chain->g;
    chain->nmoved = 0;
    chain->adjoint = adjoint_behind(chain, from, to);
    for (int i = 0; i < to; i++) {
        Link *link = &chain->links[i];
        const Type *type = link->let->symbol->type;
        link->stays = i < from || link->fixed || (!type->builders && (link->last >= to || !type->pointers));
    }
    for (int i = from; i < to && chain->adjoint && !grad_failed(g); i++) {
        Link *link = &chain->links[i];
        if (link->stays) continue;
        Node *value = link->let->kids[0];
        g->span = value->span;
        Walk walk = {g->program, move_behind, NULL, chain};
        node_walk(&walk, &value);
        link->let->symbol->twin = emit(g, link->let->symbol->name, node_clone(g->program, value));
    }
}

void again_reverse(Grad *g, Node *body) {
    Chain chain;
    chain_read(&chain, g, body);
    if (grad_failed(g)) return;
    if (has_marks(body))
        cut_at_marks(&chain);
    else
        cut_evenly(&chain);
    for (int to = chain.count, s = chain.ncuts; s >= 0 && !grad_failed(g); s--) {
        int from = s > 0 ? chain.cuts[s - 1] : 0;
        chain.nmoved = 0;
        if (to < chain.count) compute_again(&chain, from, to);
        for (int i = to - 1; i >= from && !grad_failed(g); i--) grad_reverse_let(g, chain.links[i].info);
        for (int i = 0; i < chain.nmoved; i++) chain.moved[i]->twin = chain.before[i];
        to = from;
    }
}
