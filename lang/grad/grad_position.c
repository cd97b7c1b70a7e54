/* grad_position.c: which value of a sequence a merge was.
 *
 *     let b1 = for(v, appender, |b, i, x| if(x > 0, merge(b, f(x)), b)); let b2 = merge(b1, y); r = result(b2)
 *
 * The adjoint of the y that is merged is r'[n], where n is how many values b1 had; that of f(x), r'[p], where p is how many
 * came before in the loop. Where each iteration merges equally often, p = i * often, which is computed; so it is where loops in
 * the body run as often as is known before the loop:
 *
 *     for(rows, appender, |b, i, r| for(rangeiter(r, r + n, 1L), b, |c, j, x| merge(c, f(x))))             p = i * n + j
 *
 * Elsewhere the loop is run once more with an appender of its index in the builder's place:
 *
 *     sources = for(v, appender, |b, i, x| if(x > 0, merge(b, i), b))      [1, 4, 5]: the iterations that merged
 *     start[sources[p]] = min p                                            where an iteration's values begin
 *
 * so that iterations of the adjoint loop stay independent of one another. An iteration with a loop in it, over a row of its
 * own, merges as often as the position behind it says, from 0 at its beginning. Then where iterations begin are the
 * sums of those before, without a pass over all that is merged:
 *
 *     for(rows, appender, |b, i, row| for(row, b, |c, j, x| merge(c, f(x))))      start[i] = sum of len(rows[k]), k < i
 */
#include "grad.h"

enum { DIFFERS = -1 };

/* Merges into the cell between the beginning of the body and this name. */
static int merges_to(Grad *g, const Node *ident, int cell) {
    Info *info = info_of(g, ident->symbol);
    if (!info || cell >= info->cells) return DIFFERS;
    if (!info->def) return 0;
    if (info->merges[cell]) return info->merges[cell] - 2;
    const Node *node = info->def;
    int count = DIFFERS, inner;
    switch (node->kind) {
    case N_NewBuilder: count = 0; break;
    case N_Ident: count = merges_to(g, node, cell); break;
    case N_Merge:
        count = merges_to(g, node->kids[0], cell);
        if (count != DIFFERS) count++;
        break;
    case N_Struct:
    case N_Field: {
        const Info *own = info;
        for (int i = 0; i < node->count; i++) {
            Info *kid = info_of(g, node->kids[i]->symbol);
            for (int k = 0; kid && k < kid->cells; k++) {
                if (kid->cell[k] == own->cell[cell]) count = merges_to(g, node->kids[i], k);
            }
        }
        break;
    }
    case N_If:
        count = merges_to(g, body_end(node->kids[1]), cell);
        if (count != merges_to(g, body_end(node->kids[2]), cell)) count = DIFFERS;
        break;
    case N_For:
        inner = merges_each(g, node->kids[node->count - 1]->kids[0], cell);
        if (inner == 0) count = merges_to(g, node->kids[node->count - 2], cell);
        break;
    default: break;
    }
    info->merges[cell] = count + 2;
    return count;
}

int merges_each(Grad *g, const Node *body, int cell) {
    return merges_to(g, body_end((Node *)(uintptr_t)body), cell);
}

Symbol *loop_length(Grad *g, const Node *loop) {
    const Node *iter = loop->kids[0];
    const IterClass *class = &iter_classes[iter->iter];
    Type *i64 = type_scalar(&g->program->types, TY_i64);
    if (iter->count == 1)
        return emit(g, "length",
                    node_make(g->program, N_Len, g->span, i64, 1, use(g, now_of(iter->kids[0]->symbol))));
    int bound = class->has_data;
    Symbol *start = now_of(iter->kids[bound]->symbol), *end = now_of(iter->kids[bound + 1]->symbol);
    Node *length = binary(g, OP_sub, use(g, end), use(g, start));
    if (class->bounds != 's')
        length = binary(g, OP_div, length, use(g, now_of(iter->kids[bound + 2]->symbol)));
    return emit(g, "length", length);
}

static Symbol *add(Grad *g, Symbol *a, Symbol *b) {
    return emit(g, "position", binary(g, OP_add, use(g, a), use(g, b)));
}

static Symbol *times(Grad *g, Symbol *a, int64_t count) {
    if (count == 1) return a;
    return emit(g, "position", binary(g, OP_mul, use(g, a), i64_literal(g, count)));
}

/* ---- counts that are known before a loop ---- */

enum { DEEP = 16 }; /* of expressions that are looked into */

/* The number that an expression gives in each iteration of the loop whose body has this depth, in names from before it; NULL: it may
 * differ, or is too much to be computed again. */
static Node *invariant(Grad *g, const Node *node, int depth, int left) {
    if (left == 0) return NULL;
    if (node->kind == N_Literal) return node_clone(g->program, node);
    if (node->kind == N_Ident) {
        const Info *info = info_of(g, node->symbol);
        if (!info || info->depth < depth)
            return use(g, now_of(node->symbol)); /* none: of around the function */
        return info->def ? invariant(g, info->def, depth, left - 1) : NULL;
    }
    if (node->kind != N_Binary || !type_is_integer(node->type)) return NULL;
    Node *a = invariant(g, node->kids[0], depth, left - 1);
    Node *b = a ? invariant(g, node->kids[1], depth, left - 1) : NULL;
    return b ? binary(g, node->op, a, b) : NULL;
}

/* Is it the same number, as far as the names' values tell? */
static bool is_same(const Grad *g, const Node *a, const Node *b) {
    if (node_equal(a, b)) return true;
    const Info *info = b->kind == N_Ident ? info_of(g, b->symbol) : NULL;
    return info && info->def && node_equal(a, info->def);
}

/* How far the end of a range is from its start. */
static Node *invariant_extent(Grad *g, const Node *start, const Node *end, int depth) {
    const Info *info = end->kind == N_Ident ? info_of(g, end->symbol) : NULL;
    const Node *sum = info ? info->def : end;
    if (sum && sum->kind == N_Binary && sum->op == OP_add) {
        for (int i = 0; i < 2; i++) {
            if (is_same(g, sum->kids[i], start)) return invariant(g, sum->kids[1 - i], depth, DEEP);
        }
    }
    Node *from = invariant(g, start, depth, DEEP), *to = from ? invariant(g, end, depth, DEEP) : NULL;
    return to ? binary(g, OP_sub, to, from) : NULL;
}

/* How often a loop in the body runs: as its first iterator does. */
static Node *invariant_length(Grad *g, const Node *loop, int depth) {
    const Node *iter = loop->kids[0];
    const IterClass *class = &iter_classes[iter->iter];
    if (iter->count == 1) {
        const Info *data = info_of(g, iter->kids[0]->symbol);
        if (data && data->depth >= depth) return NULL;
        return node_make(g->program, N_Len, g->span, type_scalar(&g->program->types, TY_i64), 1,
                         use(g, now_of(iter->kids[0]->symbol)));
    }
    if (class->bounds == 's') return NULL;
    const Node *const *bounds = (const Node *const *)iter->kids + class->has_data;
    Node *extent = invariant_extent(g, bounds[0], bounds[1], depth);
    Node *stride = extent ? invariant(g, bounds[2], depth, DEEP) : NULL;
    return stride ? binary(g, OP_div, extent, stride) : NULL;
}

/* How often the body merges into the cell up to this name; NULL: that is not known before the loop. */
static Node *invariant_merges(Grad *g, const Node *ident, int cell, int depth) {
    int known = merges_to(g, ident, cell);
    if (known != DIFFERS) return i64_literal(g, known);
    const Info *info = info_of(g, ident->symbol);
    const Node *node = info ? info->def : NULL;
    if (!node || cell >= info->cells) return NULL;
    if (node->kind == N_Ident) return invariant_merges(g, node, cell, depth);
    if (node->kind == N_Struct || node->kind == N_Field) {
        for (int i = 0; i < node->count; i++) {
            const Info *kid = info_of(g, node->kids[i]->symbol);
            for (int k = 0; kid && k < kid->cells; k++) {
                if (kid->cell[k] == info->cell[cell]) return invariant_merges(g, node->kids[i], k, depth);
            }
        }
    }
    if (node->kind != N_Merge && node->kind != N_For) return NULL;
    bool loop = node->kind == N_For;
    Node *before = invariant_merges(g, node->kids[loop ? node->count - 2 : 0], cell, depth);
    if (!before || !loop) return before ? binary(g, OP_add, before, i64_literal(g, 1)) : NULL;
    const Node *end = body_end(node->kids[node->count - 1]->kids[0]);
    Node *each = invariant_merges(g, end, cell, depth);
    Node *length = each ? invariant_length(g, node, depth) : NULL;
    return length ? binary(g, OP_add, before, binary(g, OP_mul, length, each)) : NULL;
}

Symbol *loop_merges(Grad *g, const Node *loop, int cell) {
    const Node *lambda = loop->kids[loop->count - 1];
    Node *count = invariant_merges(g, body_end(lambda->kids[0]), cell, info_of(g, lambda->params[0])->depth);
    return count ? emit(g, "often", count) : NULL;
}

static Symbol *position_after_loop(Grad *g, const Node *node, int cell) {
    Symbol *before = position_of(g, node->kids[node->count - 2]->symbol, cell);
    int each = merges_each(g, node->kids[node->count - 1]->kids[0], cell);
    if (each >= 0) return add(g, before, times(g, loop_length(g, node), each));
    Symbol *often = loop_merges(g, node, cell);
    if (often) {
        Node *merges = binary(g, OP_mul, use(g, loop_length(g, node)), use(g, often));
        return add(g, before, emit(g, "position", merges));
    }
    Symbol *sources = forward_sources(g, node, cell);
    return add(g, before,
               emit(g, "length", node_make(g->program, N_Len, g->span, before->type, 1, use(g, sources))));
}

Symbol *sums_before(Grad *g, Symbol *counts) {
    return emit(
        g, "starts",
        apply_text(g, NULL,
                   "|c| let n = len(c); if(n > 0L, result(iterate({0L, 0L, appender[i64]}, |s| {{s.$0 + 1L,"
                   " s.$1 + lookup(c, s.$0), merge(s.$2, s.$1)}, s.$0 + 1L < n}).$2), result(appender[i64]))",
                   1, &counts));
}

/* Does a loop in the body merge into the cell? */
static bool has_inner(const Grad *g, const Node *body, int cell) {
    const Info *end = info_of(g, body_end((Node *)(uintptr_t)body)->symbol);
    for (; body->kind == N_Let; body = body->kids[1]) {
        const Info *info = info_of(g, body->symbol);
        for (int i = 0; body->kids[0]->kind == N_For && i < info->cells; i++) {
            if (end && cell < end->cells && info->cell[i] == end->cell[cell]) return true;
        }
    }
    return false;
}

/* For each iteration of the loop, how often it merges. */
static Symbol *iteration_counts(Grad *g, const Node *loop, int cell) {
    const Node *lambda = loop->kids[loop->count - 1];
    Info *builder = info_of(g, lambda->params[0]);
    Type *counts = builder_of(g, TY_appender, OP_none, type_scalar(&g->program->types, TY_i64), NULL);
    Node **iters = grad_alloc(g, (size_t)loop->count, sizeof *iters);
    Symbol *params[3] = {symbol_new(g->program, "b", counts)};
    Grad before = *g;
    for (int i = 0; i < loop->count - 2; i++) iters[i] = node_clone(g->program, loop->kids[i]);
    block_open(g, B_ARM);
    g->keep = builder->depth;
    g->saving = false;
    bind_value(g, lambda->params[0], NULL);
    builder->part = grad_alloc(g, (size_t)builder->cells, sizeof *builder->part);
    for (int i = 1; i < 3; i++) {
        params[i] = symbol_new(g->program, lambda->params[i]->name, lambda->params[i]->type);
        bind_value(g, lambda->params[i], params[i]);
    }
    forward(g, lambda->kids[0]);
    builder->position[cell] = emit(g, "position", i64_literal(g, 0));
    Symbol *count = position_of(g, body_end(lambda->kids[0])->symbol, cell);
    Node *merge = make_merge(g, use(g, params[0]), use(g, count));
    forget(g, lambda->kids[0]);
    for (int i = 0; i < 3; i++) unbind_value(g, lambda->params[i]);
    g->keep = before.keep;
    g->saving = before.saving;
    Node *made = make_lambda(g, 3, params, block_close(g, merge));
    Symbol *all = emit(g, "counts", make_for(g, loop->count - 2, iters, make_new(g, counts, NULL), made));
    return emit(g, "counts", make_result(g, all, type_vec(&g->program->types, counts->args[0])));
}

Symbol *loop_starts(Grad *g, const Node *loop, int cell) {
    if (has_inner(g, loop->kids[loop->count - 1]->kids[0], cell)) {
        Symbol *counts = iteration_counts(g, loop, cell);
        return grad_failed(g) ? NULL : sums_before(g, counts);
    }
    Symbol *arguments[2] = {forward_sources(g, loop, cell), loop_length(g, loop)};
    if (grad_failed(g)) return NULL;
    return emit(g, "starts",
                apply_text(g, NULL,
                           "|s, n| let none = result(for(rangeiter(0L, n, 1L), appender[i64],"
                           " |b, i, x| merge(b, 9223372036854775807L)));"
                           " result(for(s, vecmerger[i64, min](none), |b, p, i| merge(b, {i, p})))",
                           2, arguments));
}

/* At the beginning of an iteration of the loop whose builder this is. */
static Symbol *position_in_loop(Grad *g, Info *info, int cell) {
    Loop *loop = info->loop;
    Block *inside = g->block;
    g->block = inside->parent;
    Symbol *before = position_of(g, loop->before->symbol, cell);
    g->block = inside;
    if (grad_failed(g)) return before;
    int each = merges_each(g, loop->node->kids[loop->node->count - 1]->kids[0], cell);
    if (each >= 0) return add(g, before, times(g, loop->index, each));
    if (!loop->often[cell]) return add(g, before, lookup_in(g, loop->starts[cell], loop->index));
    return add(g, before,
               emit(g, "position", binary(g, OP_mul, use(g, loop->index), use(g, loop->often[cell]))));
}

static Symbol *position_of_new(Grad *g, const Node *node) {
    bool sized = node->count && node->type->kind == TY_vecmerger;
    if (!sized) return emit(g, "position", i64_literal(g, node->count && node->type->kind == TY_merger));
    return emit(g, "position",
                node_make(g->program, N_Len, g->span, type_scalar(&g->program->types, TY_i64), 1,
                          use(g, now_of(node->kids[0]->symbol))));
}

static Symbol *position_of_if(Grad *g, Info *info, int cell) {
    const Node *node = info->def;
    Node *arms[2];
    int keep = g->keep;
    bool saving = g->saving;
    g->keep = info->depth + 1;
    g->saving = false;
    for (int k = 0; k < 2; k++) {
        block_open(g, B_ARM);
        forward(g, node->kids[k + 1]);
        Symbol *end = position_of(g, body_end(node->kids[k + 1])->symbol, cell);
        arms[k] = block_close(g, use(g, end));
        forget(g, node->kids[k + 1]);
    }
    g->keep = keep;
    g->saving = saving;
    return emit(g, "position", make_if(g, use(g, now_of(node->kids[0]->symbol)), arms[0], arms[1]));
}

static Symbol *position_after_iterate(Grad *g, Info *info, int cell) {
    const Node *node = info->def;
    int each = merges_each(g, node->kids[1]->kids[0], cell);
    Symbol *before = position_of(g, node->kids[0]->symbol, cell), *states = states_of(g, info);
    if (each < 0) {
        grad_fail(
            g, node->span,
            "there is no derivative through an iterate that collects more at some steps than at others");
        return before;
    }
    Symbol *steps = emit(g, "steps", node_make(g->program, N_Len, g->span, before->type, 1, use(g, states)));
    return add(g, before, times(g, steps, each));
}

static Symbol *find_position(Grad *g, Info *info, int cell) {
    const Node *node = info->def;
    if (!node) return position_in_loop(g, info, cell);
    Symbol *one;
    switch (node->kind) {
    case N_NewBuilder: return position_of_new(g, node);
    case N_Ident: return position_of(g, node->symbol, cell);
    case N_Merge:
        one = emit(g, "one", i64_literal(g, 1));
        return add(g, position_of(g, node->kids[0]->symbol, cell), one);
    case N_For: return position_after_loop(g, node, cell);
    case N_Iterate: return position_after_iterate(g, info, cell);
    case N_If: return position_of_if(g, info, cell);
    case N_Struct:
    case N_Field:
        for (int i = 0; i < node->count; i++) {
            Info *kid = info_of(g, node->kids[i]->symbol);
            for (int k = 0; kid && k < kid->cells; k++) {
                if (kid->cell[k] == info->cell[cell]) return position_of(g, node->kids[i]->symbol, k);
            }
        }
        break;
    default: break;
    }
    grad_fail(g, node->span, "there is no derivative through this value with builders");
    return emit(g, "position", i64_literal(g, 0));
}

Symbol *position_of(Grad *g, Symbol *symbol, int cell) {
    Info *info = info_of(g, symbol);
    Block *at = g->block;
    if (info->position[cell] || grad_failed(g))
        return info->position[cell] ? info->position[cell] : emit(g, "position", i64_literal(g, 0));
    g->block = info->block;
    Symbol *position = find_position(g, info, cell);
    g->block = at;
    return info->position[cell] = position;
}
