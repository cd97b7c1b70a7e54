/* grad_study.c: what in the primal program depends on what one differentiates by, and which builder is which.
 *
 *     |w, x| let s = sum(map(x, |e| e * lookup(w, 0L))); let n = sum(x); s * n       by w: s and s * n depend on it, n does not
 *
 * Each name gets an Info, whose leaves are active or not; each builder that is made is a Cell, which the names that stand
 * for it share. What is not active costs nothing later. Activity only grows; the function of an iterate is studied until
 * its state's does not any more. What has no derivative is found here, and only where it is active.
 * Requires normal form (grad_normal.c).
 */
#include "grad.h"

Info *info_make(Grad *g, Symbol *symbol, Node *def, int depth) {
    Info *info = g->infos[symbol->id];
    if (info) return info;
    info = grad_alloc(g, 1, sizeof *info);
    info->symbol = symbol;
    info->def = def;
    info->depth = depth;
    info->leaves = leaves_of(g, symbol->type);
    info->active = grad_alloc(g, (size_t)info->leaves.count, sizeof *info->active);
    info->leaf = grad_alloc(g, (size_t)info->leaves.count, sizeof *info->leaf);
    return g->infos[symbol->id] = info;
}

static void give_cells(Grad *g, Info *info, Cell **cells, int count) {
    if (info->cells || !count) return;
    info->cell = cells;
    info->cells = count;
    info->position = grad_alloc(g, (size_t)count, sizeof *info->position);
    info->merges = grad_alloc(g, (size_t)count, sizeof *info->merges);
}

/* ---- what has no derivative ---- */

typedef struct Search {
    Grad *g;
    const Node *found;
} Search;

static bool search_enter(Walk *walk, Node **slot) {
    Search *search = walk->data;
    const Node *node = *slot;
    if (node->kind != N_Ident || search->found) return !search->found;
    Info *info = info_of(search->g, node->symbol);
    for (int i = 0; info && i < info->leaves.count; i++) {
        if (info->active[i]) search->found = node;
    }
    return false;
}

static bool is_active(Grad *g, Node *node) {
    Search search = {.g = g};
    Walk walk = {g->program, search_enter, NULL, &search};
    node_walk(&walk, &node);
    return search.found != NULL;
}

static bool opaque_enter(Walk *walk, Node **slot) {
    Grad *g = walk->data;
    Node *node = *slot;
    bool bytes = node->kind == N_Serialize;
    if (bytes && is_active(g, node))
        grad_fail(g, node->span,
                  "serialize has no derivative, and its operand depends on what is differentiated by");
    return !grad_failed(g);
}

/* ---- values ---- */

static void take(bool *into, const bool *from, int count, bool *grew) {
    for (int i = 0; i < count; i++) {
        if (!from[i] || into[i]) continue;
        into[i] = true;
        if (grew) *grew = true;
    }
}

static int offset_of(const Type *type, int field) {
    int offset = 0;
    for (int i = 0; i < field; i++) offset += type_leaves(type->args[i]);
    return offset;
}

static int cells_in(const Type *type) {
    if (type_is_builder(type)) return 1;
    int count = 0;
    for (int i = 0; type->builders && type->kind == TY_struct && i < type->count; i++)
        count += cells_in(type->args[i]);
    return count;
}

/* A builder that the program makes here. */
static Cell *cell_of_new(Grad *g, Node *node, int depth) {
    Cell *cell = grad_alloc(g, 1, sizeof *cell);
    bool sum = type_classes[node->type->kind].has_op && node->type->op == OP_add;
    cell->type = node->type;
    cell->depth = depth;
    cell->sequence = !sum;
    cell->leaves = leaves_of(g, node->type->args[node->type->count - 1]);
    cell->active = grad_alloc(g, (size_t)cell->leaves.count, sizeof *cell->active);
    cell->g = grad_alloc(g, (size_t)cell->leaves.count, sizeof *cell->g);
    return cell;
}

static Cell **study_value_cells(Grad *g, Node *node, int depth, int *count) {
    Info *whole = NULL;
    *count = cells_in(node->type);
    Cell **cells = grad_alloc(g, (size_t)*count, sizeof *cells);
    int from = 0;
    switch (node->kind) {
    case N_Ident: whole = info_of(g, node->symbol); break;
    case N_Merge: whole = info_of(g, node->kids[0]->symbol); break;
    case N_For: whole = info_of(g, node->kids[node->count - 2]->symbol); break;
    case N_Iterate: whole = info_of(g, node->kids[0]->symbol); break;
    case N_If: whole = info_of(g, body_end(node->kids[1])->symbol); break;
    case N_Field:
        whole = info_of(g, node->kids[0]->symbol);
        for (int i = 0; i < node->index; i++) from += cells_in(node->kids[0]->type->args[i]);
        break;
    case N_NewBuilder: cells[0] = cell_of_new(g, node, depth); return cells;
    case N_Struct:
        for (int i = 0, at = 0; i < node->count; i++) {
            Info *part = info_of(g, node->kids[i]->symbol);
            for (int k = 0; part && k < part->cells; k++) cells[at++] = part->cell[k];
        }
        return cells;
    default: break;
    }
    if (!whole || whole->cells < from + *count) {
        grad_fail(g, node->span, "there is no derivative through a builder from outside of the function");
        return cells;
    }
    for (int i = 0; i < *count; i++) cells[i] = whole->cell[from + i];
    if (node->kind != N_If) return cells;
    Info *other = info_of(g, body_end(node->kids[2])->symbol);
    for (int i = 0; i < *count; i++) {
        if (!other || other->cells != *count || other->cell[i] != cells[i])
            grad_fail(g, node->span,
                      "there is no derivative through an if that chooses between two builders");
    }
    return cells;
}

/* A value is merged: {key, value}, {index, value} or the value alone. */
static void study_merge(Grad *g, const Node *node, Cell *cell) {
    Info *value = info_of(g, node->kids[1]->symbol);
    int skip = value ? value->leaves.count - cell->leaves.count : 0;
    for (int i = 0; value && i < skip; i++) {
        if (value->active[i])
            grad_fail(g, node->kids[1]->span,
                      "there is no derivative by a key, and this key depends on what is "
                      "differentiated by");
    }
    if (value) take(cell->active, value->active + skip, cell->leaves.count, NULL);
}

static void study_loop(Grad *g, Node *node, Info *info, int depth) {
    Node *lambda = node->kids[node->count - 1];
    Info *builder = info_make(g, lambda->params[0], NULL, depth + 1),
         *element = info_make(g, lambda->params[2], NULL, depth + 1);
    info_make(g, lambda->params[1], NULL, depth + 1);
    give_cells(g, builder, info->cell, info->cells);
    for (int i = 0, at = 0; i < node->count - 2; i++) {
        Node *iter = node->kids[i];
        int count = type_leaves(iter->type);
        Info *data = iter_classes[iter->iter].has_data ? info_of(g, iter->kids[0]->symbol) : NULL;
        if (iter->iter == IT_simd || iter->iter == IT_fringe) {
            if (data && is_active(g, iter->kids[0]))
                grad_fail(g, iter->span, "there is no derivative through lanes: walk the vector by iter");
        } else if (data) {
            take(element->active + at, data->active, count, NULL);
        }
        at += count;
    }
    study(g, lambda->kids[0], depth + 1);
}

static void study_iterate(Grad *g, Node *node, Info *info, int depth) {
    Node *lambda = node->kids[1];
    Info *start = info_of(g, node->kids[0]->symbol),
         *state = info_make(g, lambda->params[0], NULL, depth + 1);
    give_cells(g, state, info->cell, info->cells);
    if (start) take(state->active, start->active, state->leaves.count, NULL);
    for (bool grew = true; grew && !grad_failed(g);) {
        study(g, lambda->kids[0], depth + 1);
        Info *end = info_of(g, body_end(lambda->kids[0])->symbol);
        grew = false;
        if (end) take(state->active, end->active, state->leaves.count, &grew);
        for (int i = 0; i < info->cells; i++) {
            if (!end || end->cells != info->cells || end->cell[i] != info->cell[i])
                grad_fail(g, node->span,
                          "there is no derivative through an iterate that ends a builder of its state");
        }
    }
    take(info->active, state->active, info->leaves.count, NULL);
}

static void from_kid(Grad *g, Info *info, const Node *kid, int offset) {
    Info *part = info_of(g, kid->symbol);
    if (part) take(info->active, part->active + offset, info->leaves.count, NULL);
}

static void no_derivative(Grad *g, Node *node) {
    if (!is_active(g, node)) return;
    const char *name = node_classes[node->kind].spelling;
    if (node_is_foreign(node) && !node_is_callback(node))
        grad_fail(g, node->span,
                  "%s has no derivative: %.100s is a C function, whose derivative is not known; a row of an "
                  "adapter can say it",
                  name, node->text);
    else
        grad_fail(g, node->span, "%s has no derivative, and its operand depends on what is differentiated by",
                  *name ? name : node_classes[node->kind].name);
}

static void study_foreign(Grad *g, Info *info, Node *node) {
    if (!info->leaves.count || !is_active(g, node)) return;
    if (!foreign_has_rule(g, node)) no_derivative(g, node);
    for (int i = 0; i < info->leaves.count; i++) info->active[i] = true;
}

static void study_value(Grad *g, Info *info, Node *node, int depth) {
    if (node->type->builders) {
        int count = 0;
        if (node->kind == N_If) {
            study(g, node->kids[1], depth + 1);
            study(g, node->kids[2], depth + 1);
        }
        Cell **cells = info->cells ? NULL : study_value_cells(g, node, depth, &count);
        if (grad_failed(g)) return;
        give_cells(g, info, cells, count);
    }
    if (node->type->kind == TY_simd) {
        no_derivative(g, node);
        return;
    }
    switch (node->kind) {
    case N_Literal:
    case N_String: break;
    case N_Ident: from_kid(g, info, node, 0); break;
    case N_Field: from_kid(g, info, node->kids[0], offset_of(node->kids[0]->type, node->index)); break;
    case N_Struct:
        for (int i = 0, at = 0; i < node->count; at += type_leaves(node->kids[i]->type), i++) {
            Info *part = info_of(g, node->kids[i]->symbol);
            if (part) take(info->active + at, part->active, part->leaves.count, NULL);
        }
        break;
    case N_Cast:
    case N_Unary:
    case N_Binary:
    case N_Vec:
        for (int i = 0; i < node->count; i++) {
            if (info->leaves.count && type_has_floats(node->kids[i]->type))
                from_kid(g, info, node->kids[i], 0);
        }
        break;
    case N_Select:
        from_kid(g, info, node->kids[1], 0);
        from_kid(g, info, node->kids[2], 0);
        break;
    case N_Slice: from_kid(g, info, is_sorted_slice(node) ? node->kids[0]->kids[0] : node->kids[0], 0); break;
    case N_Lookup:
    case N_OptLookup:
    case N_Checkpoint:
    case N_After:
    case N_Sort: from_kid(g, info, node->kids[0], 0); break;
    case N_ToVec: {
        Info *dict = info_of(g, node->kids[0]->symbol);
        int keys = type_leaves(node->kids[0]->type->args[0]);
        if (dict) take(info->active + keys, dict->active, dict->leaves.count, NULL);
        break;
    }
    case N_If: {
        if (!node->type->builders) {
            if (!info->leaves.count) break;
            study(g, node->kids[1], depth + 1);
            study(g, node->kids[2], depth + 1);
        }
        from_kid(g, info, body_end(node->kids[1]), 0);
        from_kid(g, info, body_end(node->kids[2]), 0);
        break;
    }
    case N_Iterate: study_iterate(g, node, info, depth); break;
    case N_For: study_loop(g, node, info, depth); break;
    case N_NewBuilder:
        if (node->count && type_has_floats(node->kids[0]->type)) {
            Info *init = info_of(g, node->kids[0]->symbol);
            if (init && node->type->kind != TY_dictmerger && node->type->kind != TY_groupmerger)
                take(info->cell[0]->active, init->active, info->cell[0]->leaves.count, NULL);
        }
        break;
    case N_Merge: study_merge(g, node, info->cell[0]); break;
    case N_Cudf:
    case N_Cfun:
    case N_Cfill: study_foreign(g, info, node); break;
    case N_Result: {
        Info *builder = info_of(g, node->kids[0]->symbol);
        if (builder && builder->cells) take(info->active, builder->cell[0]->active, info->leaves.count, NULL);
        break;
    }
    default:
        if (info->leaves.count) no_derivative(g, node);
        break;
    }
}

static bool is_plain(const Node *node) {
    return !node->type->builders && !type_has_floats(node->type) && node->kind != N_Result;
}

void study(Grad *g, Node *body, int depth) {
    for (; body->kind == N_Let && !grad_failed(g); body = body->kids[1]) {
        Node *value = body->kids[0];
        Info *info = info_make(g, body->symbol, value, depth);
        if (is_plain(value)) {
            Walk walk = {g->program, opaque_enter, NULL, g};
            node_walk(&walk, &body->kids[0]);
        } else {
            study_value(g, info, value, depth);
        }
    }
}
