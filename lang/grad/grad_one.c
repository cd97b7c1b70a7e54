/* grad_one.c: the adjoint of a loop whose result is one of the values that it merges: a least or greatest one.
 *
 *     r = result(for(v, merger[f64,max], |b, i, x| merge(b, f(x))))
 *
 *     n = the first i where f(v[i]) is r                                             (grad.def)
 *     v'[n] = r' * f'(v[n]), the others' are as they were:
 *     let s = if(n < len(v), let x = lookup(v, n); merge(s, {n, r' * f'(x)}), s)
 *
 * Only that iteration is computed anew, and not in a loop. Where the result is none of them (NaN, or nothing was merged), n
 * is beyond all, and nothing is added. This asks for one merge in every iteration and none elsewhere, for vectors that are walked
 * by their numbers, and for elements whose adjoints are scalars; the adjoint of any other such loop is as that of any sequence
 * (grad_sequence.c).
 */
#include "grad.h"

#include <string.h>

/* Whose iterations can be found by their numbers, and whose elements' adjoints can be added one by one. */
static bool is_walked_by_number(Grad *g, const Node *node) {
    const Node *lambda = node->kids[node->count - 1];
    const Info *element = info_of(g, lambda->params[2]);
    for (int i = 0; i < node->count - 2; i++) {
        IterKind kind = node->kids[i]->iter;
        if (kind != IT_scalar && kind != IT_range) return false;
    }
    for (int i = 0; i < element->leaves.count; i++) {
        if (element->active[i] && element->leaves.types[i]->kind == TY_vec) return false;
    }
    return true;
}

/* start + number * stride, of an iterator's own: where in its data the element is, of a range the element. */
static Symbol *place_in(Grad *g, const Node *iter, Symbol *number) {
    int bounds = iter_classes[iter->iter].has_data;
    if (iter->count == bounds) return number;
    Node *stride = use(g, now_of(iter->kids[bounds + 2]->symbol));
    Node *way = binary(g, OP_mul, use(g, number), stride);
    return emit(g, "place", binary(g, OP_add, use(g, now_of(iter->kids[bounds]->symbol)), way));
}

/* The element that the loop yields at this number; where in the data of each iterator its parts are. */
static Symbol *element_at(Grad *g, const Node *node, Symbol *number, Symbol **places) {
    int count = node->count - 2;
    Node **parts = grad_alloc(g, (size_t)count, sizeof *parts);
    for (int i = 0; i < count && !grad_failed(g); i++) {
        const Node *iter = node->kids[i];
        places[i] = place_in(g, iter, number);
        parts[i] = use(g, places[i]);
        if (!iter_classes[iter->iter].has_data) continue;
        Symbol *data = now_of(iter->kids[0]->symbol);
        parts[i] = node_make(g->program, N_Lookup, g->span, data->type->args[0], 2, use(g, data), parts[i]);
    }
    return emit(g, "e", count == 1 ? parts[0] : struct_of(g, count, parts));
}

/* What was found for the element's adjoint is added to those of the vectors. */
static void add_element(Grad *g, const Node *node, Info *element, Symbol **places) {
    for (int n = 0, first = 0; n < node->count - 2; n++) {
        const Node *iter = node->kids[n];
        int count = type_leaves(iter->type);
        Info *data = iter_classes[iter->iter].has_data ? info_of(g, iter->kids[0]->symbol) : NULL;
        for (int i = 0; data && i < count && !grad_failed(g); i++)
            leaf_add_at(g, data, i, places[n], leaf_value(g, element, first + i), false);
        first += count;
    }
}

/* Nothing is known of the adjoints of the loop's other builders: they come later. */
static void set_aside(Grad *g, Info *info, int cell, Cell *aside) {
    for (int c = 0; c < info->cells; c++) {
        Cell *other = info->cell[c];
        aside[c] = *other;
        other->own = NULL;
        if (c == cell) continue;
        other->live = false;
        other->g = grad_alloc(g, (size_t)other->leaves.count, sizeof *other->g);
    }
}

static void reverse_cell(Grad *g, Info *info, int number) {
    Node *node = info->def, *lambda = node->kids[node->count - 1], *body = lambda->kids[0];
    Cell *cell = info->cell[number], *aside = grad_alloc(g, (size_t)info->cells, sizeof *aside);
    Symbol **places = grad_alloc(g, (size_t)node->count, sizeof *places), *place = cell->one;
    Info *builder = info_of(g, lambda->params[0]);
    int keep = g->keep;
    set_aside(g, info, number, aside);
    Node *within = node_make(g->program, N_Compare, g->span, type_scalar(&g->program->types, TY_bool), 2,
                             use(g, place), use(g, loop_length(g, node)));
    within->op = OP_lt;
    Symbol *is = emit(g, "is", within);
    Block *arms[2] = {block_open(g, B_ARM), NULL};
    g->keep = builder->depth;
    bind_value(g, lambda->params[0], NULL);
    bind_value(g, lambda->params[1], place);
    bind_value(g, lambda->params[2], element_at(g, node, place, places));
    builder->part = grad_alloc(g, (size_t)info->cells, sizeof *builder->part);
    cell->own = &cell->alone;
    forward(g, body);
    grad_reverse(g, body);
    g->span = node->span;
    add_element(g, node, info_of(g, lambda->params[2]), places);
    g->keep = keep;
    for (int c = 0; c < info->cells; c++) *info->cell[c] = aside[c];
    cell->live = false;
    memset(cell->g, 0, sizeof *cell->g * (size_t)cell->leaves.count);
    g->block = arms[0]->parent;
    arms[1] = block_open(g, B_ARM);
    g->block = arms[1]->parent;
    if (!grad_failed(g)) close_arms(g, is, arms[0], arms[1]);
    forget(g, body);
    for (int i = 0; i < 3; i++) unbind_value(g, lambda->params[i]);
}

void reverse_ones(Grad *g, Info *info) {
    Node *node = info->def, *body = node->kids[node->count - 1]->kids[0];
    for (int c = 0; c < info->cells && !grad_failed(g); c++) {
        const Cell *cell = info->cell[c];
        bool one = cell->live && cell->one && cell->alone && merges_each(g, body, c) == 1;
        if (one && loop_fills(g, info, c) && is_walked_by_number(g, node)) reverse_cell(g, info, c);
    }
}
