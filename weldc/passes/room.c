/* room.c: room for what loops in loops, or the steps of an iterate, append, before they run.
 *
 *     result(for(x, appender[f64], |b, i, e| for(rangeiter(e, e + n, 1L), b, |c, j, k| merge(c, f(k)))))
 *                        appender[f64](len(x) * n)
 *     result(for([a, [l]], appender[f64], |b, i, v| for(v, b, |c, j, e| merge(c, e))))
 *                        appender[f64](len(a) + 1L)
 *     result(merge(for(v, appender[f64], |b, i, e| merge(b, e)), l))
 *                        appender[f64](len(v) + 1L)
 *     iterate({0L, appender[i64]}, |s| {{s.$0 + 1L, merge(s.$1, s.$0)}, s.$0 < n})
 *                        appender[i64](n + 1L)
 *
 * Otherwise the appender grows while the loop runs, moves, and ends with up to twice the room; and nobody knows how much
 * memory the loop takes. Where each iteration merges equally often at the loop's own level, code generation makes room
 * (cg_loop.c), and the loop stays as it is. How often an iteration merges is written as an expression of what is bound outside of the
 * loop: lets inside are resolved, a range from x to x + n has n elements, a slice has at most as many as it says and as there are. It is a hint: where it is wrong, the
 * appender grows as before.
 *
 * The last pass, as it reads lengths that fusion would have removed. Linear, but for loops in loops with builders of their own.
 */
#include "../weldc.h"

#include <string.h>

bool pass_room(Program *program);

enum { MOST_NODES = 512, MOST_ELEMENTS = 32, MOST_FIELDS = 8 };

typedef struct Room {
    Program *program;
    Node **values; /* by symbol id: of a let; of an element of a vector that is written out */
    int *inside;   /* by symbol id: the last loop in whose body it is bound */
    Merges merges;
    int limit, loop, left; /* left: nodes that may still be looked at */
} Room;

static Node *count_merges(Room *r, Node *node, const Symbol *builder, int leaf, int target);
static Node *length_of(Room *r, Node *node);

/* ---- expressions, NULL where a part is ---- */

static Node *number(Room *r, const Node *at, int64_t value) {
    return node_literal(r->program, at->span, r->program->types.scalars[TY_i64], (uint64_t)value);
}

static bool is_literal(const Node *node, int64_t value) {
    return node->kind == N_Literal && (int64_t)node->bits == value;
}

static bool fold(Op op, int64_t a, int64_t b, int64_t *value) {
    switch (op) {
    case OP_add: return !__builtin_add_overflow(a, b, value);
    case OP_sub: return !__builtin_sub_overflow(a, b, value);
    case OP_mul: return !__builtin_mul_overflow(a, b, value);
    default: *value = a < b ? a : b; return true;
    }
}

/* a + b, a - b, a * b, or the lesser. */
static Node *calculate(Room *r, Op op, Node *a, Node *b) {
    int64_t value;
    if (!a || !b) return NULL;
    bool both = a->kind == N_Literal && b->kind == N_Literal;
    if (both && fold(op, (int64_t)a->bits, (int64_t)b->bits, &value)) return number(r, a, value);
    if ((op == OP_add && is_literal(a, 0)) || (op == OP_mul && (is_literal(a, 1) || is_literal(b, 0))))
        return b;
    if (op != OP_min && (is_literal(b, 0) || (op == OP_mul && (is_literal(b, 1) || is_literal(a, 0)))))
        return a;
    Node *node = node_make(r->program, N_Binary, a->span, a->type, 2, a, b);
    if (node) node->op = op;
    return node;
}

static bool is_inside(const Room *r, const Symbol *symbol) {
    return symbol->id < r->limit && r->inside[symbol->id] == r->loop;
}

/* What a name stands for that is bound in the loop, as far as lets tell. */
static Node *meaning_of(Room *r, Node *node) {
    while (node->kind == N_Ident && is_inside(r, node->symbol) && r->values[node->symbol->id] &&
           r->left-- > 0)
        node = r->values[node->symbol->id];
    return node;
}

static bool is_outer_path(const Room *r, const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident && !is_inside(r, node->symbol);
}

/* A copy of an i64 that is the same in all iterations and cannot fail. */
static Node *invariant(Room *r, Node *node) {
    node = meaning_of(r, node);
    if (r->left-- <= 0 || node->type->kind != TY_i64) return NULL;
    if (node->kind == N_Literal || is_outer_path(r, node)) return node_clone(r->program, node);
    if (node->kind == N_Len) return length_of(r, node->kids[0]);
    bool sums = node->kind == N_Binary && (node->op == OP_add || node->op == OP_sub || node->op == OP_mul);
    return sums ? calculate(r, node->op, invariant(r, node->kids[0]), invariant(r, node->kids[1])) : NULL;
}

/* ---- lengths and trips ---- */

static Node *range_length(Room *r, Node *start, Node *end) {
    Node *to = meaning_of(r, end);
    if (to->kind == N_Binary && to->op == OP_add) {
        for (int i = 0; i < 2; i++) {
            if (node_equal(to->kids[i], start) ||
                node_equal(meaning_of(r, to->kids[i]), meaning_of(r, start)))
                return invariant(r, to->kids[1 - i]);
        }
    }
    return calculate(r, OP_sub, invariant(r, end), invariant(r, start));
}

static Node *iter_length(Room *r, const Node *iter) {
    int at = iter_classes[iter->iter].has_data;
    if (iter->iter == IT_scalar && iter->count == 1) return length_of(r, iter->kids[0]);
    bool range = (iter->iter == IT_scalar || iter->iter == IT_range) && iter->count == at + 3;
    if (!range || !is_literal(iter->kids[at + 2], 1)) return NULL;
    return range_length(r, iter->kids[at], iter->kids[at + 1]);
}

static Node *trips_of(Room *r, const Node *loop) {
    Node *trips = NULL;
    for (int i = 0; i < loop->count - 2 && !trips; i++) trips = iter_length(r, loop->kids[i]);
    return trips;
}

/* What all iterations merge into this leaf of the builders. */
static Node *count_loop(Room *r, const Node *loop, int leaf) {
    const Node *lambda = loop->kids[loop->count - 1], *iter = loop->kids[0];
    const Symbol *builder = lambda->params[0], *element = lambda->params[2];
    Node *data = iter->iter == IT_scalar && iter->count == 1 ? meaning_of(r, iter->kids[0]) : NULL;
    bool written = data && loop->count == 3 && data->kind == N_Vec && data->type->args[0]->kind == TY_vec &&
                   data->count <= MOST_ELEMENTS && element->id < r->limit;
    if (!written)
        return calculate(r, OP_mul, trips_of(r, loop), count_merges(r, lambda->kids[0], builder, leaf, leaf));
    Node *sum = number(r, loop, 0);
    for (int i = 0; i < data->count && sum; i++) {
        r->values[element->id] = data->kids[i];
        sum = calculate(r, OP_add, sum, count_merges(r, lambda->kids[0], builder, leaf, leaf));
    }
    r->values[element->id] = NULL;
    return sum;
}

/* Of the result of a loop with one builder. */
static Node *length_built(Room *r, const Node *loop) {
    const Node *builder = loop->kids[loop->count - 2];
    if (builder->kind != N_NewBuilder) return NULL;
    if (builder->type->kind == TY_vecmerger) return length_of(r, builder->kids[0]);
    return builder->type->kind == TY_appender ? count_loop(r, loop, 0) : NULL;
}

/* The length of a vector, or a bound. */
static Node *length_of(Room *r, Node *node) {
    node = meaning_of(r, node);
    if (r->left-- <= 0) return NULL;
    if (node->kind == N_Vec) return number(r, node, node->count);
    if (node->kind == N_Slice)
        return calculate(r, OP_min, invariant(r, node->kids[2]), length_of(r, node->kids[0]));
    if (node->kind == N_Sort) return length_of(r, node->kids[0]);
    if (node->kind == N_Cfill) return invariant(r, node->kids[0]);
    if (node->kind == N_Result && node->kids[0]->kind == N_For) return length_built(r, node->kids[0]);
    if (!is_outer_path(r, node)) return NULL;
    return node_make(r->program, N_Len, node->span, r->program->types.scalars[TY_i64], 1,
                     node_clone(r->program, node));
}

/* ---- merges ---- */

/* How often the value of a node, whose builder number `leaf` is asked about, was merged into since it was builder number `target` of
 * this name. */
static Node *count_merges(Room *r, Node *node, const Symbol *builder, int leaf, int target) {
    while (node->kind == N_Let) node = node->kids[1];
    if (r->left-- <= 0) return NULL;
    switch (node->kind) {
    case N_Ident:
        if (node->symbol == builder) return leaf == target ? number(r, node, 0) : NULL;
        return is_inside(r, node->symbol) && r->values[node->symbol->id]
                   ? count_merges(r, r->values[node->symbol->id], builder, leaf, target)
                   : NULL;
    case N_Field:
        return count_merges(r, node->kids[0], builder, leaf + leaf_at(node->kids[0]->type, node->index),
                            target);
    case N_Struct: {
        int i = 0;
        for (; leaf >= leaf_count(node->kids[i]->type); i++) leaf -= leaf_count(node->kids[i]->type);
        return count_merges(r, node->kids[i], builder, leaf, target);
    }
    case N_Merge:
        return calculate(r, OP_add, count_merges(r, node->kids[0], builder, leaf, target),
                         number(r, node, 1));
    case N_If: {
        Node *yes = count_merges(r, node->kids[1], builder, leaf, target);
        Node *no = yes ? count_merges(r, node->kids[2], builder, leaf, target) : NULL;
        return no && node_equal(yes, no) ? yes : NULL;
    }
    case N_For:
        return calculate(r, OP_add, count_merges(r, node->kids[node->count - 2], builder, leaf, target),
                         count_loop(r, node, leaf));
    default: return NULL;
    }
}

/* ---- builders ---- */

static bool mark_bound(Walk *walk, Node **slot) {
    Room *r = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Let && node->symbol->id < r->limit) r->inside[node->symbol->id] = r->loop;
    for (int i = 0; i < node->nparams; i++) {
        if (node->params[i]->id < r->limit) r->inside[node->params[i]->id] = r->loop;
    }
    return true;
}

static Node *room_for(Room *r, Node *loop, int leaf) {
    Walk walk = {r->program, mark_bound, NULL, r};
    r->loop++;
    r->left = MOST_NODES;
    node_walk(&walk, &loop);
    return count_loop(r, loop, leaf);
}

static void give_room(Room *r, Node *loop, Node **builder, int leaf) {
    Node *node = *builder;
    const Node *lambda = loop->kids[loop->count - 1];
    for (int i = 0; node->kind == N_Struct && i < node->count; i++) {
        give_room(r, loop, &node->kids[i], leaf);
        leaf += leaf_count(node->kids[i]->type);
    }
    if (node->kind != N_NewBuilder || node->type->kind != TY_appender || node->count) return;
    if (merge_bound(&r->merges, lambda->kids[0], lambda->params[0], leaf).most >= 0) return;
    Node *room = room_for(r, loop, leaf);
    if (room) *builder = node_make(r->program, N_NewBuilder, node->span, node->type, 1, room);
}

/* What is merged behind the loop. */
static void give_room_behind(Room *r, Node *merge) {
    int64_t more = 0;
    for (; merge->kind == N_Merge; merge = merge->kids[0]) more++;
    if (!more || merge->kind != N_For || merge->type->kind != TY_appender) return;
    Node **builder = &merge->kids[merge->count - 2], *node = *builder;
    if (node->kind != N_NewBuilder || node->count) return;
    Node *room = room_for(r, merge, 0);
    if (room)
        *builder = node_make(r->program, N_NewBuilder, node->span, node->type, 1,
                             calculate(r, OP_add, room, number(r, node, more)));
}

/* ---- iterates ---- */

typedef struct Path {
    int fields[MOST_FIELDS], count;
} Path;

/* Is it a part of the state, and which? */
static bool is_part(Room *r, Node *node, const Symbol *state, Path *path) {
    *path = (Path){0};
    for (node = meaning_of(r, node); node->kind == N_Field; node = meaning_of(r, node->kids[0])) {
        if (path->count == MOST_FIELDS) return false;
        path->fields[path->count++] = node->index; /* the innermost first */
    }
    return node->kind == N_Ident && node->symbol == state;
}

/* What a struct is made of there; NULL: it is not written out. */
static Node *part_at(Room *r, Node *node, const Path *path) {
    for (int i = path->count; i > 0; i--) {
        node = meaning_of(r, node);
        if (node->kind != N_Struct) return NULL;
        node = node->kids[path->fields[i - 1]];
    }
    return meaning_of(r, node);
}

/* x of x + number, or else of x + 0. */
static Node *addend(Room *r, Node *node, int64_t *value) {
    node = meaning_of(r, node);
    *value = 0;
    if (node->kind != N_Binary || node->op != OP_add) return node;
    int at = node->kids[0]->kind == N_Literal ? 0 : 1;
    if (node->kids[at]->kind != N_Literal) return node;
    *value = (int64_t)node->kids[at]->bits;
    return node->kids[1 - at];
}

/* Of an iterate that counts up by one to a bound that stays: one more than the condition holds. */
static Node *steps_of(Room *r, const Node *iterate) {
    const Symbol *state = iterate->kids[1]->params[0];
    const Node *end = iterate->kids[1]->kids[0];
    while (end->kind == N_Let) end = end->kids[1];
    Node *again = end->kind == N_Struct ? meaning_of(r, end->kids[1]) : NULL;
    if (!again || again->kind != N_Compare || again->kids[0]->type->kind != TY_i64) return NULL;
    bool turned = again->op == OP_gt || again->op == OP_ge, equal = again->op == OP_le || again->op == OP_ge;
    if (!turned && again->op != OP_lt && again->op != OP_le) return NULL;
    Path counter, same;
    int64_t ahead, by;
    if (!is_part(r, addend(r, again->kids[turned], &ahead), state, &counter)) return NULL;
    Node *next = part_at(r, end->kids[0], &counter), *first = part_at(r, iterate->kids[0], &counter);
    if (!next || !first || !is_part(r, addend(r, next, &by), state, &same) || by != 1) return NULL;
    if (memcmp(&counter, &same, sizeof same) != 0) return NULL;
    Node *way = calculate(r, OP_sub, invariant(r, again->kids[!turned]), invariant(r, first));
    return calculate(r, OP_add, way, number(r, iterate, 1 + equal - ahead));
}

static void give_room_to_steps(Room *r, Node *iterate, Node **start, int leaf) {
    Node *node = *start, *lambda = iterate->kids[1];
    for (int i = 0; node->kind == N_Struct && i < node->count; i++) {
        give_room_to_steps(r, iterate, &node->kids[i], leaf);
        leaf += leaf_count(node->kids[i]->type);
    }
    if (node->kind != N_NewBuilder || node->type->kind != TY_appender || node->count) return;
    Walk walk = {r->program, mark_bound, NULL, r};
    r->loop++;
    r->left = MOST_NODES;
    node_walk(&walk, &iterate);
    Node *steps = steps_of(r, iterate);
    if (steps)
        steps = calculate(r, OP_mul, steps, count_merges(r, lambda->kids[0], lambda->params[0], leaf, leaf));
    if (steps) *start = node_make(r->program, N_NewBuilder, node->span, node->type, 1, steps);
}

static bool note_let(Walk *walk, Node **slot) {
    Room *r = walk->data;
    if ((*slot)->kind == N_Let && (*slot)->symbol->id < r->limit)
        r->values[(*slot)->symbol->id] = (*slot)->kids[0];
    return true;
}

static bool room_enter(Walk *walk, Node **slot) {
    Room *r = walk->data;
    Node *node = *slot;
    if (node->kind == N_Result && node->kids[0]->kind == N_Merge) give_room_behind(r, node->kids[0]);
    if (node->kind == N_For) give_room(r, node, &node->kids[node->count - 2], 0);
    if (node->kind == N_Iterate && node->type->builders) give_room_to_steps(r, node, &node->kids[0], 0);
    return true;
}

bool pass_room(Program *program) {
    Room r = {.program = program, .limit = program->symbols};
    size_t count = (size_t)r.limit + 1;
    r.values = arena_alloc(&program->arena, sizeof *r.values * count);
    r.inside = arena_alloc(&program->arena, sizeof *r.inside * count);
    r.merges.roots = arena_alloc(&program->arena, sizeof *r.merges.roots * count);
    if (!r.values || !r.inside || !r.merges.roots)
        return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    Walk lets = {program, note_let, NULL, &r};
    node_walk(&lets, &program->root);
    Walk walk = {program, room_enter, NULL, &r};
    node_walk(&walk, &program->root);
    return true;
}
