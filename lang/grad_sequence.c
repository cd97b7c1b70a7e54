/* grad_sequence.c: rules for builders: their results, what is merged into them, and where they begin.
 *
 * r = result(b) with adjoint r'. What is merged into a sum has the adjoint r', of a sum by index or key that at the place:
 *
 *     merger[f64,+]: x' = r'      vecmerger[f64,+], merge(b, {i, x}): x' = r'[i]      dictmerger[K,f64,+]: x' = r'[place of k]
 *
 * Any other builder is a sequence of merges, of which an appender's result is the very list. For the others the loops that
 * fill them run once more with an appender in their place; from its list the rows of grad.def make the list of adjoints, and
 * then the builder is treated as that appender:
 *
 *     merger[f64,max]:  v = all x, in order; first = where v first is r;  adjoints = r' there, 0 elsewhere;  x' = adjoints[p]
 *
 * where p is the merge's number (grad_position.c). What a builder starts from counts as merged first.
 */
#include "grad.h"

#include <string.h>

static const char *sequence_rule(TypeKind kind, Op op) {
    static const struct Row {
        TypeKind kind;
        Op op;
        const char *text;
    } rows[] = {
#define SEQUENCE(kind, op, text) {TY_##kind, OP_##op, text},
#include "grad.def"
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].kind == kind && rows[i].op == op) return rows[i].text;
    }
    return NULL;
}

/* |x| a path into every element: of values that are structs the field of this leaf. */
static Symbol *column(Grad *g, Symbol *vector, const char *path, const Type *value, int leaf) {
    Buf text = {0};
    int field = -1;
    for (int i = 0; value->kind == TY_struct && i < value->count; i++) {
        leaf -= type_leaves(value->args[i]);
        if (leaf < 0) {
            field = i;
            break;
        }
    }
    buf_printf(&text, "|v| result(for(v, appender, |b, i, x| merge(b, x%s", path);
    if (field >= 0) buf_printf(&text, ".$%d", field);
    buf_printf(&text, ")))");
    bool same = !*path && field < 0;
    Symbol *made =
        same ? vector : emit(g, "column", apply_text(g, NULL, text.text ? text.text : "", 1, &vector));
    buf_release(&text);
    return made;
}

static Symbol *records(Grad *g, Cell *cell, int record) {
    Type **args = cell->type->args, *i64 = type_scalar(&g->program->types, TY_i64), *type = args[0],
         *parts[2];
    if (record == RECORD_VALUE && cell->type->kind != TY_merger) {
        parts[0] = cell->type->kind == TY_vecmerger ? i64 : args[0];
        parts[1] = args[cell->type->count - 1];
        type = struct_type(g, 2, parts);
    }
    Symbol *made =
        forward_replaced(g, cell->last, cell, builder_of(g, TY_appender, OP_none, type, NULL), record);
    if (!made || grad_failed(g)) return emit(g, "records", i64_literal(g, 0));
    return emit(g, "records", make_result(g, made, type_vec(&g->program->types, type)));
}

static Symbol *key_places(Grad *g, Cell *cell, Symbol *merged, const char *key) {
    Symbol *arguments[2] = {merged, cell->index};
    Buf text = {0};
    buf_printf(&text, "|v, d| result(for(v, appender, |b, i, x| merge(b, lookup(d, x%s))))", key);
    Symbol *made = emit(g, "places", apply_text(g, NULL, text.text ? text.text : "", 2, arguments));
    buf_release(&text);
    return made;
}

/* Of a groupmerger: each value's group, and which of the group it is. */
static void group_adjoints(Grad *g, Cell *cell, Symbol **adjoints) {
    Symbol *keys = records(g, cell, RECORD_KEY);
    if (grad_failed(g)) return;
    Symbol *places = key_places(g, cell, keys, "");
    Symbol *within =
        emit(g, "within",
             apply_text(g, NULL,
                        "|p| let none = result(for(p, appender[i64], |b, i, x| merge(b, 0L)));"
                        " let groups = result(for(p, groupmerger[i64, i64], |b, i, x| merge(b, {x, i})));"
                        " result(for(tovec(groups), vecmerger[i64, +](none), |b, i, e|"
                        " for(e.$1, b, |b2, j, x| merge(b2, {x, j}))))",
                        1, &places));
    for (int i = 0; i < cell->leaves.count; i++) {
        Symbol *arguments[3] = {places, within, adjoints[i]};
        if (adjoints[i])
            cell->g[i] = emit(g, "adjoints",
                              apply_text(g, NULL,
                                         "|p, w, g| result(for(zip(p, w), appender, |b, i, e|"
                                         " merge(b, lookup(lookup(g, e.$0), e.$1))))",
                                         3, arguments));
    }
}

void sequence_adjoints(Grad *g, Cell *cell, Info *result, Symbol **adjoints) {
    TypeKind kind = cell->type->kind;
    const char *rule = sequence_rule(kind == TY_dictmerger ? TY_vecmerger : kind, cell->type->op);
    if (kind == TY_appender) {
        for (int i = 0; i < cell->leaves.count; i++) cell->g[i] = adjoints[i];
        return;
    }
    if (kind == TY_groupmerger) {
        group_adjoints(g, cell, adjoints);
        return;
    }
    Symbol *merged = records(g, cell, RECORD_VALUE), *whole = now_of(result->symbol), *places = NULL;
    if (grad_failed(g) || !rule) return;
    const Type *value = cell->type->args[cell->type->count - 1];
    if (kind == TY_vecmerger) places = column(g, merged, ".$0", type_scalar(&g->program->types, TY_i64), 0);
    if (kind == TY_dictmerger) {
        places = key_places(g, cell, merged, ".$0");
        whole = emit(g, "entries", apply_text(g, NULL, "|d| tovec(d)", 1, &whole));
    }
    for (int i = 0; i < cell->leaves.count && !grad_failed(g); i++) {
        Symbol *arguments[4];
        int count = 0;
        if (!adjoints[i]) continue;
        arguments[count++] = column(g, merged, places ? ".$1" : "", value, i);
        if (places) arguments[count++] = places;
        if (!places && value->kind == TY_struct) {
            int leaf = i, field = 0;
            while (leaf >= type_leaves(value->args[field])) leaf -= type_leaves(value->args[field++]);
            arguments[count++] = emit(g, "r", field_of(g, whole, field));
        } else {
            arguments[count++] =
                places ? column(g, whole, kind == TY_dictmerger ? ".$1" : "", value, i) : whole;
        }
        arguments[count++] = adjoints[i];
        Type *scalar = leaf_scalar(cell->leaves.types[i]);
        cell->g[i] = emit(g, "adjoints", apply_text(g, scalar, rule, count, arguments));
    }
}

/* ---- results, merges, beginnings ---- */

void reverse_result(Grad *g, Info *info, Symbol **adjoints) {
    Info *builder = info_of(g, info->def->kids[0]->symbol);
    Cell *cell = builder->cell[0];
    if (builder->block != g->block) {
        grad_fail(g, info->def->span,
                  "there is no derivative through a result, in an if, of a builder from before it");
        return;
    }
    cell->live = true;
    cell->last = builder;
    cell->index = NULL;
    memset(cell->g, 0, sizeof *cell->g * (size_t)cell->leaves.count);
    if (info->def->type->kind == TY_dict) cell->index = dict_index(g, info);
    if (cell->sequence) {
        sequence_adjoints(g, cell, info, adjoints);
        return;
    }
    for (int i = 0; i < cell->leaves.count; i++) cell->g[i] = adjoints[i];
}

void reverse_merge(Grad *g, Info *info) {
    Node *node = info->def;
    Cell *cell = info->cell[0];
    Info *value = info_of(g, node->kids[1]->symbol);
    Symbol *now = now_of(node->kids[1]->symbol), *place = NULL;
    int skip = value ? value->leaves.count - cell->leaves.count : 0;
    bool any = false;
    for (int i = 0; value && i < cell->leaves.count; i++) any |= value->active[skip + i] && cell->g[i];
    if (!any) return;
    if (cell->sequence && !cell->own) place = position_of(g, node->kids[0]->symbol, 0);
    if (!cell->sequence && cell->type->kind != TY_merger) place = emit(g, "key", field_of(g, now, 0));
    if (!cell->sequence && cell->type->kind == TY_dictmerger) place = lookup_in(g, cell->index, place);
    for (int i = 0; i < cell->leaves.count && !grad_failed(g); i++) {
        if (!value->active[skip + i] || !cell->g[i]) continue;
        Symbol *adjoint = place ? lookup_in(g, cell->g[i], place) : cell->g[i];
        leaf_add(g, value, skip + i, cell->sequence && cell->own ? cell->own[i] : adjoint);
    }
}

void reverse_new(Grad *g, Info *info) {
    Node *node = info->def;
    Cell *cell = info->cell[0];
    bool starts = node->count && (node->type->kind == TY_merger || node->type->kind == TY_vecmerger);
    Info *start = starts ? info_of(g, node->kids[0]->symbol) : NULL;
    cell->live = false;
    for (int i = 0; start && i < cell->leaves.count && !grad_failed(g); i++) {
        Symbol *adjoint = cell->g[i];
        if (!start->active[i] || !adjoint) continue;
        if (cell->sequence && node->type->kind == TY_merger)
            adjoint = lookup_in(g, adjoint, emit(g, "first", i64_literal(g, 0)));
        if (cell->sequence && node->type->kind == TY_vecmerger) {
            Symbol *arguments[2] = {adjoint, now_of(start->symbol)};
            adjoint = emit(g, "adjoint", apply_text(g, NULL, "|g, v| slice(g, 0L, len(v))", 2, arguments));
        }
        leaf_add(g, start, i, adjoint);
    }
}
