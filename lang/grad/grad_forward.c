/* grad_forward.c: computes a part of the primal program anew, as it was or with some of its builders only.
 *
 * The adjoint of a loop's body needs the values that the body had. They are not kept: the body's lets are written again,
 * in the adjoint loop. What they merge into builders from outside is left out there; loops and ifs that hand such
 * builders on together with others keep the others:
 *
 *     let t = for(row, {b.$0, merger[f64,+]}, |c, j, x| {merge(c.$0, x), merge(c.$1, x * x)}); let s = result(t.$1); ..
 *  => let t = for(row, merger[f64,+], |c, j, x| merge(c, x * x)); let s = result(t); ..
 *
 * So a value with builders is computed as *parts*: what builders and other values a struct consists of, one name each, or
 * none for what is left out. In the same way one builder may be replaced by another: by an appender of what is merged
 * into it (grad_sequence.c), or of the numbers of the iterations that do (grad_position.c).
 *
 * Requires normal form. Symbol.twin leads from a primal name to the name that has its value now.
 */
#include "grad.h"

#include <string.h>

/* ---- names and their values ---- */

void bind_value(Grad *g, Symbol *primal, Symbol *now) {
    Info *info = info_of(g, primal);
    primal->twin = now;
    if (!info) return;
    info->block = g->block;
    info->part = NULL;
    info->index = info->sorted = info->states = info->steps = info->slots = NULL;
    for (int i = 0; i < info->leaves.count; i++) info->leaf[i] = (Leaf){0};
    for (int i = 0; i < info->cells; i++) info->position[i] = NULL;
}

void unbind_value(Grad *g, Symbol *primal) {
    Info *info = info_of(g, primal);
    primal->twin = NULL;
    if (info) info->block = NULL, info->part = NULL, info->loop = NULL, info->given = false;
}

void forget(Grad *g, Node *body) {
    for (; body->kind == N_Let; body = body->kids[1]) unbind_value(g, body->symbol);
}

/* ---- parts ---- */

int parts_of(const Type *type) {
    if (!type->builders || type->kind != TY_struct) return 1;
    int count = 0;
    for (int i = 0; i < type->count; i++) count += parts_of(type->args[i]);
    return count;
}

static int parts_before(const Type *type, int field) {
    int count = 0;
    for (int i = 0; i < field; i++) count += parts_of(type->args[i]);
    return count;
}

/* Names all parts of a whole value. */
static void name_parts(Grad *g, Symbol *whole, Symbol **parts) {
    Type *type = whole->type;
    if (!type->builders || type->kind != TY_struct) {
        *parts = whole;
        return;
    }
    for (int i = 0; i < type->count; i++) {
        name_parts(g, emit(g, "part", field_of(g, whole, i)), parts);
        parts += parts_of(type->args[i]);
    }
}

enum Fate { LEFT_OUT, KEPT, REPLACED };

static enum Fate fate(const Grad *g, const Cell *cell) {
    if (cell == g->target) return REPLACED;
    return cell->depth >= g->keep ? KEPT : LEFT_OUT;
}

/* Builders from outside of what is computed anew are left out, also where they have values. */
static void leave_out(const Grad *g, const Type *type, Cell ***cell, Symbol ***part) {
    if (type->builders && type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) leave_out(g, type->args[i], cell, part);
        return;
    }
    if (type->builders && fate(g, *(*cell)++) == LEFT_OUT) **part = NULL;
    ++*part;
}

static Symbol **parts_now(Grad *g, const Node *ident) {
    Info *info = info_of(g, ident->symbol);
    int count = parts_of(ident->type);
    Symbol **parts = grad_alloc(g, (size_t)count, sizeof *parts), **at = parts;
    if (info && info->part)
        memcpy(parts, info->part, sizeof *parts * (size_t)count);
    else
        name_parts(g, now_of(ident->symbol), parts);
    if (!info || !info->cells) return parts;
    Cell **cell = info->cell;
    leave_out(g, ident->type, &cell, &at);
    return parts;
}

/* The parts that there are, as one value. NULL: none. */
static Node *join_parts(Grad *g, Symbol **parts, const bool *kept, int count) {
    Node **kids = grad_alloc(g, (size_t)count, sizeof *kids);
    int have = 0;
    for (int i = 0; i < count; i++) {
        if (kept[i]) kids[have++] = use(g, parts[i]);
    }
    return have > 1 ? struct_of(g, have, kids) : have ? kids[0] : NULL;
}

/* And apart again. */
static Symbol **split_parts(Grad *g, Symbol *whole, const bool *kept, int count) {
    Symbol **parts = grad_alloc(g, (size_t)count, sizeof *parts);
    int have = 0, at = 0;
    for (int i = 0; i < count; i++) have += kept[i];
    for (int i = 0; i < count; i++) {
        if (kept[i]) parts[i] = have > 1 ? emit(g, "part", field_of(g, whole, at++)) : whole;
    }
    return parts;
}

/* Which parts of an iterate's state are no builders. */
static void state_parts(const Type *type, bool *kept) {
    if (!type->builders || type->kind != TY_struct) {
        *kept = !type->builders;
        return;
    }
    for (int i = 0; i < type->count; i++) {
        state_parts(type->args[i], kept);
        kept += parts_of(type->args[i]);
    }
}

/* The parameter of an iterate's function is this state, or what of it are no builders. */
void bind_state(Grad *g, const Node *lambda, Symbol *state) {
    Symbol *param = lambda->params[0];
    int count = parts_of(param->type);
    bool *kept = grad_alloc(g, (size_t)count, sizeof *kept);
    bind_value(g, param, param->type->builders ? NULL : state);
    if (!param->type->builders) return;
    state_parts(param->type, kept);
    info_of(g, param)->part = split_parts(g, state, kept, count);
}

/* ---- each kind of node, in parts ---- */

Symbol *records_new(Grad *g, Node *node, Type *builder) {
    Symbol *made = emit(g, "records", make_new(g, builder, NULL));
    if (!node->count) return made;
    Symbol *arguments[2] = {made, now_of(node->kids[0]->symbol)};
    if (node->type->kind == TY_merger)
        return emit(g, "records", make_merge(g, use(g, made), use(g, arguments[1])));
    if (node->type->kind != TY_vecmerger) return made;
    return emit(g, "records",
                apply_text(g, NULL, "|b, v| for(v, b, |b2, i, x| merge(b2, {i, x}))", 2, arguments));
}

static Symbol *replaced_new(Grad *g, Node *node) {
    if (g->record == RECORD_VALUE) return records_new(g, node, g->replacement);
    return emit(g, "records", make_new(g, g->replacement, NULL));
}

static Node *record_of(Grad *g, const Node *merge) {
    Symbol *value = now_of(merge->kids[1]->symbol);
    if (g->record == RECORD_COUNTER) return use(g, g->counter);
    return g->record == RECORD_KEY ? field_of(g, value, 0) : use(g, value);
}

static Symbol **parts_of_for(Grad *g, const Node *node, Symbol **before, int count) {
    const Node *lambda = node->kids[node->count - 1];
    Symbol *params[3], **after = grad_alloc(g, (size_t)count, sizeof *after);
    bool *kept = grad_alloc(g, (size_t)count, sizeof *kept);
    for (int i = 0; i < count; i++) kept[i] = before[i] != NULL;
    Node *builder = join_parts(g, before, kept, count);
    if (!builder) return after;
    Node **iters = grad_alloc(g, (size_t)node->count, sizeof *iters);
    for (int i = 0; i < node->count - 2; i++) iters[i] = node_clone(g->program, node->kids[i]);
    params[0] = symbol_new(g->program, "b", builder->type);
    block_open(g, B_ARM);
    bind_value(g, lambda->params[0], params[0]);
    info_of(g, lambda->params[0])->part = split_parts(g, params[0], kept, count);
    for (int i = 1; i < 3; i++) {
        params[i] = symbol_new(g->program, lambda->params[i]->name, lambda->params[i]->type);
        bind_value(g, lambda->params[i], params[i]);
    }
    Symbol *counter = g->counter;
    if (node == g->counted) g->counter = params[1];
    forward(g, lambda->kids[0]);
    Node *end = join_parts(g, parts_now(g, body_end(lambda->kids[0])), kept, count);
    g->counter = counter;
    forget(g, lambda->kids[0]);
    for (int i = 0; i < 3; i++) unbind_value(g, lambda->params[i]);
    Node *made = make_lambda(g, 3, params, block_close(g, end));
    Node *loop = make_for(g, node->count - 2, iters, builder, made);
    loop->notes = node->notes;
    return split_parts(g, emit(g, "loop", loop), kept, count);
}

static Symbol **parts_of_if(Grad *g, const Node *node, int count) {
    Node *arm[2];
    Symbol **parts[2];
    Block *block[2];
    bool *kept = grad_alloc(g, (size_t)count, sizeof *kept);
    for (int i = 0; i < 2; i++) {
        block[i] = block_open(g, B_ARM);
        forward(g, node->kids[i + 1]);
        parts[i] = parts_now(g, body_end(node->kids[i + 1]));
        g->block = block[i]->parent;
    }
    bool any = false;
    for (int i = 0; i < count; i++) any |= kept[i] = parts[0][i] && parts[1][i];
    for (int i = 0; i < 2; i++) {
        g->block = block[i];
        arm[i] = any ? block_close(g, join_parts(g, parts[i], kept, count)) : NULL;
        g->block = block[i]->parent;
        forget(g, node->kids[i + 1]);
    }
    if (!any) return grad_alloc(g, (size_t)count, sizeof(Symbol *));
    Node *chosen = make_if(g, use(g, now_of(node->kids[0]->symbol)), arm[0], arm[1]);
    chosen->notes = node->notes;
    return split_parts(g, emit(g, "chosen", chosen), kept, count);
}

/* The state's parts; the function's result has one more, the bool. */
static Symbol **parts_of_iterate(Grad *g, const Node *node, Symbol **before, int count) {
    const Node *lambda = node->kids[1];
    bool *kept = grad_alloc(g, (size_t)count + 1, sizeof *kept);
    for (int i = 0; i < count; i++) kept[i] = before[i] != NULL;
    Node *start = join_parts(g, before, kept, count), *pair[2];
    if (!start) return grad_alloc(g, (size_t)count, sizeof(Symbol *));
    Symbol *state = symbol_new(g->program, "s", start->type);
    block_open(g, B_ARM);
    bind_value(g, lambda->params[0], state);
    info_of(g, lambda->params[0])->part = split_parts(g, state, kept, count);
    forward(g, lambda->kids[0]);
    Symbol **parts = parts_now(g, body_end(lambda->kids[0]));
    pair[0] = join_parts(g, parts, kept, count);
    pair[1] = use(g, parts[count]);
    forget(g, lambda->kids[0]);
    unbind_value(g, lambda->params[0]);
    Node *made = make_lambda(g, 1, &state, block_close(g, struct_of(g, 2, pair)));
    Node *iterate = node_make(g->program, N_Iterate, g->span, start->type, 2, start, made);
    return split_parts(g, emit(g, "state", iterate), kept, count);
}

static Symbol **parts_of_value(Grad *g, const Info *info, Node *node) {
    int count = parts_of(node->type), at = 0;
    Symbol **parts = grad_alloc(g, (size_t)count, sizeof *parts);
    switch (node->kind) {
    case N_NewBuilder:
        if (fate(g, info->cell[0]) == REPLACED)
            parts[0] = replaced_new(g, node);
        else if (fate(g, info->cell[0]) == KEPT)
            parts[0] = emit(g, info->symbol->name, node_clone(g->program, node));
        break;
    case N_Merge: {
        Symbol *builder = parts_now(g, node->kids[0])[0];
        if (!builder) break;
        Node *value =
            fate(g, info->cell[0]) == REPLACED ? record_of(g, node) : use(g, now_of(node->kids[1]->symbol));
        parts[0] = emit(g, info->symbol->name, make_merge(g, use(g, builder), value));
        break;
    }
    case N_Result:
        parts[0] = parts_now(g, node->kids[0])[0];
        if (parts[0]) parts[0] = emit(g, info->symbol->name, make_result(g, parts[0], node->type));
        break;
    case N_Ident: return parts_now(g, node);
    case N_Field: return parts_now(g, node->kids[0]) + parts_before(node->kids[0]->type, node->index);
    case N_Struct:
        for (int i = 0; i < node->count; i++) {
            Symbol **kid = parts_now(g, node->kids[i]);
            for (int k = 0; k < parts_of(node->kids[i]->type); k++) parts[at++] = kid[k];
        }
        break;
    case N_For: return parts_of_for(g, node, parts_now(g, node->kids[node->count - 2]), count);
    case N_If: return parts_of_if(g, node, count);
    case N_Iterate: return parts_of_iterate(g, node, parts_now(g, node->kids[0]), count);
    default: grad_fail(g, node->span, "there is no derivative through this value with builders"); break;
    }
    return parts;
}

/* ---- whole bodies ---- */

typedef struct Whole {
    Grad *g;
    bool whole;
} Whole;

static bool whole_enter(Walk *walk, Node **slot) {
    Whole *w = walk->data;
    Node *node = *slot;
    Info *info = node->kind == N_Ident && node->type->builders ? info_of(w->g, node->symbol) : NULL;
    if (info && info->part) w->whole = false;
    return w->whole;
}

/* Can the value be copied as it is? */
static bool is_whole(Grad *g, const Info *info, Node *node) {
    Whole w = {g, true};
    for (int i = 0; i < info->cells; i++) {
        if (fate(g, info->cell[i]) != KEPT) return false;
    }
    Walk walk = {g->program, whole_enter, NULL, &w};
    node_walk(&walk, &node);
    return w.whole;
}

/* An iterate that keeps the states that its function is given, what builders are in them left out:
 *
 *     iterate(a, |s| {next, again})  =>  iterate({a, appender}, |t| let s = t.$0; {{next, merge(t.$1, s)}, again})
 *
 * All are kept; grad_again.c keeps some. Gives the last state. */
static Symbol *forward_saving(Grad *g, Info *info, const Node *node) {
    const Node *lambda = node->kids[1];
    int count = parts_of(node->type);
    bool *kept = grad_alloc(g, (size_t)count, sizeof *kept);
    state_parts(node->type, kept);
    Symbol **before = parts_now(g, node->kids[0]);
    Node *first = join_parts(g, before, kept, count), *start[2], *end[2], *next[2];
    if (!first) first = i64_literal(g, 0);
    Type *state = first->type, *appender = builder_of(g, TY_appender, OP_none, state, NULL);
    start[0] = first;
    start[1] = make_new(g, appender, NULL);
    Node *both = struct_of(g, 2, start);
    Symbol *param = symbol_new(g->program, "t", both->type);
    bool saving = g->saving;
    block_open(g, B_ARM);
    Symbol *own = emit(g, "state", field_of(g, param, 0));
    bind_state(g, lambda, own);
    g->saving = false;
    forward(g, lambda->kids[0]);
    g->saving = saving;
    Symbol **after = parts_now(g, body_end(lambda->kids[0]));
    bool whole = !node->type->builders; /* then so is the end, {next, again} */
    next[0] = whole ? field_of(g, after[0], 0) : join_parts(g, after, kept, count);
    if (!next[0]) next[0] = i64_literal(g, 0);
    next[1] = make_merge(g, field_of(g, param, 1), use(g, own));
    end[0] = struct_of(g, 2, next);
    end[1] = whole ? field_of(g, after[0], 1) : use(g, after[count]);
    forget(g, lambda->kids[0]);
    unbind_value(g, lambda->params[0]);
    Node *made = make_lambda(g, 1, &param, block_close(g, struct_of(g, 2, end)));
    Symbol *all = emit(g, "states", node_make(g->program, N_Iterate, g->span, both->type, 2, both, made));
    Symbol *last = emit(g, info->symbol->name, field_of(g, all, 0)),
           *states = emit(g, "states", field_of(g, all, 1));
    states = emit(g, "states", make_result(g, states, type_vec(&g->program->types, state)));
    if (!node->type->builders) bind_value(g, info->symbol, last);
    info->states = states;
    return last;
}

Symbol *states_of(Grad *g, Info *info) {
    Block *at = g->block;
    int keep = g->keep;
    if (info->states) return info->states;
    g->block = info->block;
    g->keep = info_of(g, info->def->kids[1]->params[0])->depth;
    if (g->program->saving && !info->def->type->builders)
        again_sweep(g, info);
    else
        forward_saving(g, info, info->def);
    g->keep = keep;
    g->block = at;
    return info->states;
}

static bool is_active_value(const Info *info) {
    for (int i = 0; i < info->leaves.count; i++) {
        if (info->active[i]) return true;
    }
    return false;
}

static void forward_let(Grad *g, Node *let) {
    Node *value = let->kids[0];
    Info *info = info_of(g, let->symbol);
    if (info && info->given) return;
    g->span = value->span;
    if (!is_whole(g, info, value)) {
        Symbol **parts = parts_of_value(g, info, value);
        bind_value(g, let->symbol, value->type->builders ? NULL : parts[0]);
        if (value->type->builders) info->part = parts;
    } else if (value->kind == N_Iterate && !value->type->builders && g->saving && is_active_value(info)) {
        if (g->program->saving)
            again_sweep(g, info);
        else
            forward_saving(g, info, value);
    } else if ((value->kind == N_Sort || is_sorted_slice(value)) && is_active_value(info)) {
        Symbol *pairs = sorted_pairs(g, value); /* for the adjoints, too */
        bind_value(g, let->symbol, grad_failed(g) ? NULL : firsts(g, let->symbol->name, pairs));
        info->sorted = pairs;
    } else {
        bind_value(g, let->symbol, emit(g, let->symbol->name, node_clone(g->program, value)));
    }
}

void forward(Grad *g, Node *body) {
    for (; body->kind == N_Let && !grad_failed(g); body = body->kids[1]) forward_let(g, body);
}

/* ---- with a builder replaced ---- */

/* What was computed anew, and the parts that it had before. */
typedef struct Redone Redone;
struct Redone {
    Info *info;
    Symbol **part;
    Redone *next;
};

static bool is_redone(const Redone *list, const Info *info) {
    while (list && list->info != info) list = list->next;
    return list != NULL;
}

/* The values that hold the cell, from where it is made to this one. */
static void redo(Grad *g, Info *info, Redone **list) {
    if (!info || !info->symbol->type->builders || !info->def || is_redone(*list, info) || grad_failed(g))
        return;
    Node *def = info->def;
    bool holds = false;
    for (int i = 0; i < info->cells; i++) holds |= info->cell[i] == g->target;
    if (holds && def->kind == N_Ident) redo(g, info_of(g, def->symbol), list);
    for (int i = 0; holds && i < def->count; i++) {
        if (def->kids[i]->kind == N_Ident) redo(g, info_of(g, def->kids[i]->symbol), list);
    }
    Redone *redone = grad_alloc(g, 1, sizeof *redone);
    *redone = (Redone){info, info->part, *list};
    Symbol **parts = holds ? parts_of_value(g, info, def)
                           : grad_alloc(g, (size_t)parts_of(info->symbol->type), sizeof *parts);
    *list = redone;
    info->part = parts;
}

Symbol *forward_replaced(Grad *g, Info *info, Cell *cell, Type *replacement, int record) {
    Grad before = *g;
    Redone *list = NULL;
    g->keep = cell->depth + 1;
    g->saving = false;
    g->target = cell;
    g->replacement = replacement;
    g->record = record;
    redo(g, info, &list);
    Symbol *made = NULL;
    for (int i = 0; i < parts_of(info->symbol->type) && info->part && !made; i++) made = info->part[i];
    for (; list; list = list->next) list->info->part = list->part;
    g->keep = before.keep;
    g->saving = before.saving;
    g->target = before.target;
    g->replacement = before.replacement;
    g->record = before.record;
    return made;
}

Symbol *forward_sources(Grad *g, const Node *loop, int cell) {
    Info *info = info_of(g, loop->kids[loop->count - 2]->symbol);
    Grad before = *g;
    Type *i64 = type_scalar(&g->program->types, TY_i64);
    g->target = info->cell[cell];
    g->saving = false;
    g->keep = info_of(g, loop->kids[loop->count - 1]->params[0])->depth;
    g->replacement = builder_of(g, TY_appender, OP_none, i64, NULL);
    g->record = RECORD_COUNTER;
    g->counted = loop;
    Symbol **parts = grad_alloc(g, (size_t)info->cells, sizeof *parts);
    parts[cell] = emit(g, "sources", make_new(g, g->replacement, NULL));
    Symbol *made = parts_of_for(g, loop, parts, info->cells)[cell];
    g->target = before.target;
    g->keep = before.keep;
    g->saving = before.saving;
    g->replacement = before.replacement;
    g->record = before.record;
    g->counted = before.counted;
    if (grad_failed(g) || !made) return emit(g, "sources", i64_literal(g, 0));
    return emit(g, "sources", make_result(g, made, type_vec(&g->program->types, i64)));
}
