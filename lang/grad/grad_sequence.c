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

typedef struct Sequence {
    TypeKind kind;
    Op op;
    bool one;
    const char *when, *rare, *usual; /* or NULL */
    const char *text;
} Sequence;

static const Sequence *sequence_rule(TypeKind kind, Op op) {
    static const Sequence rows[] = {
#define SEQUENCE(kind, op, text) {TY_##kind, OP_##op, false, NULL, NULL, NULL, text},
#define RARE(kind, op, when, rare, usual, text) {TY_##kind, OP_##op, false, when, rare, usual, text},
#define ONE(kind, op, text) {TY_##kind, OP_##op, true, NULL, NULL, NULL, text},
#include "grad.def"
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (rows[i].kind == kind && rows[i].op == op) return &rows[i];
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

Type *record_builder(Grad *g, const Cell *cell) {
    Type **args = cell->type->args, *i64 = type_scalar(&g->program->types, TY_i64), *type = args[0],
         *parts[2];
    if (cell->type->kind != TY_merger) {
        parts[0] = cell->type->kind == TY_vecmerger ? i64 : args[0];
        parts[1] = args[cell->type->count - 1];
        type = struct_type(g, 2, parts);
    }
    return builder_of(g, TY_appender, OP_none, type, NULL);
}

static Symbol *records(Grad *g, Cell *cell, int record) {
    Type *builder = record == RECORD_VALUE ? record_builder(g, cell)
                                           : builder_of(g, TY_appender, OP_none, cell->type->args[0], NULL);
    Symbol *made = forward_replaced(g, cell->last, cell, builder, record);
    if (!made || grad_failed(g)) return emit(g, "records", i64_literal(g, 0));
    return emit(g, "records", make_result(g, made, type_vec(&g->program->types, builder->args[0])));
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

/* What was merged into a builder, in order, and what it made. */
typedef struct Merged {
    const Sequence *rule;
    Symbol *records, *places; /* of the values in the result; NULL: there is one */
    Symbol *whole;            /* the result, of a dictionary its entries */
    Symbol *one;              /* which of the values the leaf's result was, or NULL */
    Symbol **rare;            /* by leaf; or NULL */
} Merged;

static void merged_open(Grad *g, Cell *cell, Info *result, Merged *merged) {
    TypeKind kind = cell->type->kind;
    merged->whole = now_of(result->symbol);
    if (kind == TY_vecmerger)
        merged->places = column(g, merged->records, ".$0", type_scalar(&g->program->types, TY_i64), 0);
    if (kind != TY_dictmerger) return;
    merged->places = key_places(g, cell, merged->records, ".$0");
    merged->whole = emit(g, "entries", apply_text(g, NULL, "|d| tovec(d)", 1, &merged->whole));
}

/* The leaf of what the builder made. */
static Symbol *whole_of(Grad *g, Cell *cell, const Merged *merged, int leaf) {
    const Type *value = cell->type->args[cell->type->count - 1];
    if (merged->places)
        return column(g, merged->whole, cell->type->kind == TY_dictmerger ? ".$1" : "", value, leaf);
    if (value->kind != TY_struct) return merged->whole;
    int field = 0;
    while (leaf >= type_leaves(value->args[field])) leaf -= type_leaves(value->args[field++]);
    return emit(g, "r", field_of(g, merged->whole, field));
}

static Symbol *values_of(Grad *g, Cell *cell, const Merged *merged, Symbol *records, int leaf) {
    return column(g, records, merged->places ? ".$1" : "", cell->type->args[cell->type->count - 1], leaf);
}

/* What the rule takes besides. Where that is rare the values are made in the arm, so that elsewhere they are needed once. */
static Symbol *rare_value(Grad *g, Cell *cell, const Merged *merged, int leaf) {
    const Sequence *rule = merged->rule;
    Type *scalar = leaf_scalar(cell->leaves.types[leaf]);
    Symbol *arguments[2] = {NULL, whole_of(g, cell, merged, leaf)};
    Symbol *when = emit(g, "when", apply_text(g, scalar, rule->when, 1, &arguments[1]));
    Node *arms[2];
    block_open(g, B_ARM);
    Symbol *values = merged->records ? merged->records : records(g, cell, RECORD_VALUE);
    if (!grad_failed(g)) arguments[0] = values_of(g, cell, merged, values, leaf);
    if (!grad_failed(g)) values = emit(g, "rare", apply_text(g, scalar, rule->rare, 2, arguments));
    arms[0] = block_close(g, use(g, values));
    block_open(g, B_ARM);
    arms[1] = block_close(g, use(g, emit(g, "usual", apply_text(g, scalar, rule->usual, 1, &arguments[1]))));
    return emit(g, "rare", make_if(g, use(g, when), arms[0], arms[1]));
}

/* The adjoints of a leaf of the values, by the rule. */
static Symbol *apply_rule(Grad *g, Cell *cell, Merged *merged, int leaf, Symbol *adjoint) {
    Symbol *arguments[5], *rare = merged->rare ? merged->rare[leaf] : NULL;
    if (merged->rule->when && !rare) rare = rare_value(g, cell, merged, leaf);
    int count = 0;
    arguments[count++] = values_of(g, cell, merged, merged->records, leaf);
    if (merged->places) arguments[count++] = merged->places;
    arguments[count++] = whole_of(g, cell, merged, leaf);
    arguments[count++] = adjoint;
    if (rare) arguments[count++] = rare;
    Type *scalar = leaf_scalar(cell->leaves.types[leaf]);
    if (!merged->rule->one)
        return emit(g, "adjoints", apply_text(g, scalar, merged->rule->text, count, arguments));
    merged->one = emit(g, "first", apply_text(g, scalar, merged->rule->text, count - 1, arguments));
    arguments[1] = merged->one;
    arguments[2] = adjoint;
    return emit(
        g, "adjoints",
        apply_text(g, scalar,
                   "|v, n, g| result(for(v, appender, |b, i, x| merge(b, select(i == n, g, T(0.0)))))", 3,
                   arguments));
}

void sequence_adjoints(Grad *g, Cell *cell, Info *result, Symbol **adjoints) {
    TypeKind kind = cell->type->kind;
    const Sequence *rule = sequence_rule(kind == TY_dictmerger ? TY_vecmerger : kind, cell->type->op);
    if (kind == TY_appender) {
        for (int i = 0; i < cell->leaves.count; i++) cell->g[i] = adjoints[i];
        return;
    }
    if (kind == TY_groupmerger) {
        group_adjoints(g, cell, adjoints);
        return;
    }
    Merged merged = {.rule = rule, .whole = now_of(result->symbol)};
    if (rule && rule->when) merged.rare = grad_alloc(g, (size_t)cell->leaves.count, sizeof *merged.rare);
    for (int i = 0; merged.rare && i < cell->leaves.count && !grad_failed(g); i++) {
        if (adjoints[i]) merged.rare[i] = rare_value(g, cell, &merged, i);
    }
    merged.records = records(g, cell, RECORD_VALUE);
    if (grad_failed(g) || !rule) return;
    merged_open(g, cell, result, &merged);
    for (int i = 0; i < cell->leaves.count && !grad_failed(g); i++) {
        if (adjoints[i]) cell->g[i] = apply_rule(g, cell, &merged, i, adjoints[i]);
    }
    bool alone = cell->leaves.count == 1 && cell->type->args[0]->kind != TY_struct;
    cell->one = alone ? merged.one : NULL;
    cell->alone = adjoints[0];
}

/* The weights are the adjoints where those of the result are 1. */
Symbol *sequence_tangent(Grad *g, Cell *cell, Info *result, int leaf, Symbol *records, Symbol *tangents) {
    TypeKind kind = cell->type->kind;
    Merged merged = {.rule = sequence_rule(kind == TY_dictmerger ? TY_vecmerger : kind, cell->type->op),
                     .records = records};
    Type *scalar = leaf_scalar(cell->leaves.types[leaf]);
    if (!merged.rule) return tangents;
    if (kind == TY_dictmerger) cell->index = dict_index(g, result);
    merged_open(g, cell, result, &merged);
    Symbol *ones =
        kind == TY_merger
            ? emit(g, "one", number_of(g, scalar, 1))
            : emit(g, "ones",
                   apply_text(g, scalar, "|v| result(for(v, appender, |b, i, x| merge(b, T(1.0))))", 1,
                              &merged.whole));
    Symbol *weights = apply_rule(g, cell, &merged, leaf, ones);
    Symbol *arguments[4] = {weights, tangents, merged.places, merged.whole};
    if (kind == TY_merger)
        return emit(g, "tangent",
                    apply_text(g, scalar,
                               "|w, t| result(for(zip(w, t), merger[T, +], |b, i, e| merge(b, e.$0 * e.$1)))",
                               2, arguments));
    return emit(g, "tangent",
                apply_text(g, scalar,
                           "|w, t, p, v| let none = result(for(v, appender, |b, i, x| merge(b, T(0.0))));"
                           " result(for(zip(p, w, t), vecmerger[T, +](none), |b, i, e|"
                           " merge(b, {e.$0, e.$1 * e.$2})))",
                           4, arguments));
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
    cell->result = now_of(info->symbol);
    cell->index = NULL;
    memset(cell->g, 0, sizeof *cell->g * (size_t)cell->leaves.count);
    if (info->def->type->kind == TY_dict) cell->index = dict_index(g, info);
    if (cell->sequence) {
        sequence_adjoints(g, cell, info, adjoints);
        return;
    }
    for (int i = 0; i < cell->leaves.count; i++) cell->g[i] = adjoints[i];
}

/* Where the adjoints of an appender's elements were made by a loop over these, that of an element takes no place. */
static bool add_merged(Grad *g, const Cell *cell, Info *value, Symbol *now) {
    Symbol **adjoints = grad_alloc(g, (size_t)cell->leaves.count, sizeof *adjoints);
    for (int i = 0; i < cell->leaves.count; i++) {
        if (cell->type->kind != TY_appender || !value->active[i] || !cell->g[i]) continue;
        adjoints[i] = fill_of(g, cell->g[i]);
        if (!adjoints[i]) adjoints[i] = element_of(g, cell->g[i], cell->result, now);
        if (!adjoints[i]) return false;
    }
    if (cell->type->kind != TY_appender) return false;
    for (int i = 0; i < cell->leaves.count; i++) leaf_add(g, value, i, adjoints[i]);
    return true;
}

void reverse_merge(Grad *g, Info *info) {
    Node *node = info->def;
    Cell *cell = info->cell[0];
    Info *value = info_of(g, node->kids[1]->symbol);
    Symbol *now = now_of(node->kids[1]->symbol), *place = NULL;
    int skip = value ? value->leaves.count - cell->leaves.count : 0;
    bool any = false;
    for (int i = 0; value && i < cell->leaves.count; i++) any |= value->active[skip + i] && cell->g[i];
    if (!any || (cell->sequence && !cell->own && add_merged(g, cell, value, now))) return;
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
