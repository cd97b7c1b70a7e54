/* distribute_settle.c: a sum over the entries of a large vector, by the ranks that own the entries: owner computes.
 *
 *     result(for(zip(p, q), vecmerger[f64,+](first), |b, i, x| merge(b, {x.$1, lookup(v, x.$0)})))     each rank needs its block of it
 *  =>
 *     let rows = if(way, exchange[settle]({q, p}, {n, 2}), {[], [], false});     to the rank that owns entry x.$1 of n = len(first)
 *     let own = exchange[share](n);
 *     if(rows.$2,
 *        result(for(zip(rows.$0, rows.$1), vecmerger[f64,+](block of first), |b, i, y| merge(b, {y.$0 - own.$0, lookup(v, y.$1)}))),
 *        exchange[portion,+](result(for(zip(p, q), ..))))
 *
 * So no rank has sums of all entries, and none are sent; those of rows with one index are formed in the order of the loop. Of a row there
 * moves its index, and what else the merged value is made of, or the value, whichever is less (distribute_move.h). In the step of
 * an iterate only what no step changes moves, so that rows move once, before (licm), and the rest, as lookups in the state, is computed where
 * they are then: v may be different in each step, p and q not. Where rows themselves change they stay.
 *
 * Whether rows move, or sums, the ranks decide alike, by bytes that a rank sends: of its rows, or n * size of a sum. Rows that move once for all
 * steps may have as many bytes as STEPS sums: so many steps make up for it, and about as many a rank would hold (the first vector, the sums, a
 * portion of each rank's), as it holds these rows. Where an index is outside, it is sums: the loop fails as it does alone. If rows would
 * give a rank more than MOST times an equal share, for which all others would wait then, as well (exchange[settle]). weld.cluster.sums=rows
 * moves them always, and =sums never.
 *
 * A loop's result is a portion or not by what needs it, which is known at the end of the pass. Until then what is made here is kept beside the
 * exchange (settle_portions). Only a loop with one vecmerger, all of whose merges have one index, has such rows.
 */
#include "distribute_move.h"

enum { STEPS = 4, LEAST_ENTRIES = 4096, MOST = 2 };

/* What becomes of the exchange of a loop's sums if each rank needs but a portion. */
struct Settled {
    const Node *sums;         /* the exchange */
    Node *instead, **portion; /* lets and if(rows.$k, .., portion) */
    Settled *next;
};

/* ---- what changes from step to step ---- */

typedef struct Depth {
    Distribute *d;
    int most;
} Depth;

static bool see_depth(Walk *walk, Node **slot) {
    Depth *depth = walk->data;
    if ((*slot)->kind != N_Ident) return true;
    int varies = place_of(depth->d, (*slot)->symbol)->varies;
    if (varies > depth->most) depth->most = varies;
    return true;
}

int varies_in(Distribute *d, Node *node) {
    Depth depth = {d, 0};
    Walk walk = {d->program, see_depth, NULL, &depth};
    if (d->steps) node_walk(&walk, &node);
    return depth.most;
}

/* ---- which rows ---- */

typedef struct Uses {
    const Move *m;
    bool within;
} Uses;

static bool see_within(Walk *walk, Node **slot) {
    Uses *uses = walk->data;
    const Node *node = *slot;
    uses->within |= node->kind == N_Ident && node->symbol->id < uses->m->symbols &&
                    uses->m->bound[node->symbol->id] == WITHIN;
    return !uses->within;
}

static bool uses_within(const Move *m, Node *node) {
    Uses uses = {m, false};
    Walk walk = {m->d->program, see_within, NULL, &uses};
    node_walk(&walk, &node);
    return uses.within;
}

/* Does it change from step to step, or need what does? */
static bool changes(const Move *m, Node *node) {
    bool varies = m->d->steps && varies_in(m->d, node) >= m->d->steps;
    return varies || uses_within(m, node);
}

/* Of lets one after the other those come first that may be computed where the row was. Returns where they end. */
static Node **sort_lets(Move *m, Node **slot) {
    Node *later = NULL, **last = &later, **end = NULL;
    while ((*slot)->kind == N_Let && !(*slot)->symbol->type->builders) {
        Node *let = *slot;
        if (!changes(m, let->kids[0])) {
            slot = &let->kids[1];
            continue;
        }
        m->bound[let->symbol->id] = WITHIN;
        *slot = let->kids[1];
        *last = let;
        last = &let->kids[1];
    }
    end = slot;
    *last = *slot;
    *slot = later ? later : *slot;
    return end;
}

static void sort_path(Move *m) {
    Node **slot = &m->lambda->kids[0];
    do {
        slot = sort_lets(m, slot);
        slot = (*slot)->kind == N_If ? move_step(m, *slot) : NULL;
    } while (slot);
}

/* The rest merges into the loop's builder alone, and by one index; m->key becomes it. */
static bool read_merges(Move *m, const Node *node, bool *chooses) {
    if (is_own_builder(m, node)) return true;
    if (node->kind == N_Let) return !node->symbol->type->builders && read_merges(m, node->kids[1], chooses);
    if (node->kind == N_If) {
        *chooses = true;
        return read_merges(m, node->kids[1], chooses) && read_merges(m, node->kids[2], chooses);
    }
    if (node->kind != N_Merge || node->kids[1]->kind != N_Struct) return false;
    Node *index = node->kids[1]->kids[0];
    if (!m->key) m->key = index;
    return node_equal(m->key, index) && read_merges(m, node->kids[0], chooses);
}

static bool see_kept(Walk *walk, Node **slot) {
    Move *m = walk->data;
    m->failed |= node_keeps(*slot);
    return !m->failed;
}

/* A neighbour in a vector that steps change: it would have to be there as a whole where the row goes, while of the row's rank it is a halo. */
static bool see_neighbour(Walk *walk, Node **slot) {
    Move *m = walk->data;
    const Node *node = *slot;
    bool looks = node->kind == N_Lookup || node->kind == N_Slice;
    m->failed |= looks && m->d->steps && uses_name(m->d->program, node->kids[1], m->lambda->params[1]);
    return !m->failed;
}

static bool depends_on_row(const Move *m) {
    Program *program = m->d->program;
    bool row =
        uses_name(program, m->key, m->lambda->params[1]) || uses_name(program, m->key, m->lambda->params[2]);
    for (const Node *node = m->lambda->kids[0]; !row && node != m->rest; node = *move_step(m, (Node *)node))
        row = node->kind == N_Let && uses_name(program, m->key, node->symbol);
    return row;
}

static int64_t row_bytes(const Move *m) {
    int64_t bytes = m->key->type->size;
    for (int i = 0; i < m->count; i++) bytes += m->columns[i].type->size;
    return bytes;
}

/* The merged value moves instead of what it is made of, if it is not longer. */
static void move_value(Move *m, Node *value) {
    const Type *type = value->type;
    bool one = m->count == 1 && (value->kind == N_Ident || is_element(m, value));
    if (type->pointers || type->builders || type->kind == TY_simd || one) return;
    if (!m->failed && row_bytes(m) - m->key->type->size < type->size) return;
    m->failed = false;
    m->count = 1;
    m->columns[0] = (Column){.value = value, .type = value->type};
}

/* m->loop is a copy whose function is its own. */
static bool find_rows(Move *m) {
    Program *program = m->d->program;
    const Node *lambda = m->lambda;
    bool chooses = false;
    if (!move_room(m)) return false;
    Walk kept = {program, see_kept, NULL, m};
    node_walk(&kept, &lambda->kids[0]);
    if (m->failed) return false;
    m->bound[lambda->params[1]->id] = BEFORE;
    sort_path(m);
    Node *end = lambda->kids[0];
    for (Node **next; (next = move_step(m, end)); end = *next) {
    }
    bool merge = end->kind == N_Merge && is_own_builder(m, end->kids[0]) && end->kids[1]->kind == N_Struct;
    Node *value = merge && !changes(m, end->kids[1]->kids[1]) ? end->kids[1]->kids[1] : NULL;
    find_rest(m);
    int budget = CHEAP_KEY;
    if (!read_merges(m, m->rest, &chooses) || !m->key || changes(m, m->key) || !depends_on_row(m))
        return false;
    if (chooses && !node_is_cheap(m->key, &budget))
        return false; /* it may be computed where nothing is merged */
    find_columns(m);
    if (value && (m->count || m->failed)) move_value(m, value);
    bool moves = m->count == 1 && m->columns[0].value;
    Walk neighbours = {program, see_neighbour, NULL, m};
    Node *rest = (Node *)m->rest;
    if (!moves && !m->failed) node_walk(&neighbours, &rest);
    return !m->failed;
}

/* ---- the rows that move ---- */

/* The loop's data that is this column as it is, where all rows move; or NULL. */
static Node *data_column(const Move *m, int column) {
    for (const Node *node = m->lambda->kids[0]; node != m->rest; node = *move_step(m, (Node *)node)) {
        if (node->kind == N_If) return NULL;
    }
    const Node *value = column_value(m, column, m->loop->span);
    if (!is_element(m, value)) return NULL;
    if (value->kind == N_Ident) return m->loop->count == 3 ? m->loop->kids[0]->kids[0] : NULL;
    return m->loop->count > 3 ? m->loop->kids[value->index]->kids[0] : NULL;
}

/* As a loop that is done where it stands, over blocks cut like the leader's. */
static void finish_rows(Distribute *d, Node **slot, int leader) {
    Fetches fetches;
    Node *loop = *slot;
    fetches_begin(d, loop, &fetches);
    distribute_windows(d, slot, &(Range){.leader = loop->kids[leader]->kids[0]}, NULL);
    distribute_function(d, loop->kids[loop->count - 1]);
    shift_index(d, slot, loop, leader);
    fetches_end(&fetches, slot);
}

/* {vector, ..}: the columns. What is no data of the loop's is collected by another loop, bound around. */
static Node *columns_of(const Move *m, int leader) {
    Program *program = m->d->program;
    Span span = m->loop->span;
    Type *type = columns_type(m, TY_vec);
    Node *columns = node_new(program, N_Struct, span, type, type->count);
    Move made = *m;
    int whose[MOST_COLUMNS + 1], count = 0;
    for (int i = 0; i <= m->count; i++) {
        Node *data = data_column(m, i);
        /* A loop that walks all of them tells where they are not equally long. */
        if (data && !(i == 0 && m->count + 1 < m->loop->count - 2)) {
            columns->kids[i] = node_clone(program, data);
            continue;
        }
        if (!count)
            made.key = column_value(m, i, span);
        else
            made.columns[count - 1] = m->columns[i - 1];
        whose[count++] = i;
    }
    if (!count) return columns;
    made.count = count - 1;
    Node *rows = collecting_loop(&made), **loop = &rows;
    while ((*loop)->kind == N_Let) loop = &(*loop)->kids[1];
    Symbol *name = symbol_new(program, "rows", rows->type);
    for (int i = 0; i < count; i++)
        columns->kids[whose[i]] =
            node_make(program, N_Result, span, type->args[whose[i]], 1, pair_field(program, span, name, i));
    finish_rows(m->d, loop, leader);
    return node_let(program, span, name, rows, columns);
}

/* ---- whether they do ---- */

static Node *compare_node(Program *program, Node *a, Op op, Node *b) {
    Node *node = node_make(program, N_Compare, a->span, type_scalar(&program->types, TY_bool), 2, a, b);
    node->op = op;
    return node;
}

/* if(entries > .., let all = exchange[reduce,+]({rows of this rank, 1}); all.$1 > 1 && all.$0 * bytes < all.$1 * entries * .., false) */
static Node *way_of(const Move *m, const Node *lead, const Node *entries, const Type *sum) {
    Distribute *d = m->d;
    Program *program = d->program;
    Span span = m->loop->span;
    Type *number = type_scalar(&program->types, TY_i64), *two[] = {number, number},
         *truth = type_scalar(&program->types, TY_bool);
    if (program->distribution.sums == SUMS_ROWS) return node_literal(program, span, truth, 1);
    Node *rows = node_make(program, N_Len, span, number, 1, node_clone(program, lead));
    Node *own = node_make(program, N_Struct, span, type_make(&program->types, TY_struct, OP_none, 2, two), 2,
                          rows, number_node(program, span, 1));
    Symbol *all = symbol_new(program, "all", own->type);
    Node *several =
        compare_node(program, pair_field(program, span, all, 1), OP_gt, number_node(program, span, 1));
    Node *moved = binary_node(program, OP_mul, pair_field(program, span, all, 0),
                              number_node(program, span, row_bytes(m)));
    Node *summed = binary_node(program, OP_mul, node_clone(program, entries),
                               number_node(program, span, sum->size * (d->steps ? STEPS : 1)));
    summed = binary_node(program, OP_mul, pair_field(program, span, all, 1), summed);
    Node *both =
        node_make(program, N_And, span, truth, 2, several, compare_node(program, moved, OP_lt, summed));
    both = node_let(program, span, all, exchange_node(d, EXCHANGE_reduce, OP_add, own, NULL), both);
    Node *many =
        compare_node(program, node_clone(program, entries), OP_gt, number_node(program, span, LEAST_ENTRIES));
    return node_make(program, N_If, span, truth, 3, many, both, node_literal(program, span, truth, 0));
}

/* if(way, exchange[settle](columns, {entries, most}), {[], .., false}) */
static Node *settled_rows(const Move *m, Node *way, Node *columns, const Node *entries) {
    Distribute *d = m->d;
    Program *program = d->program;
    Span span = m->loop->span;
    Type *number = type_scalar(&program->types, TY_i64), *two[] = {number, number}, *parts[MOST_COLUMNS + 2];
    Node **at = &columns;
    while ((*at)->kind == N_Let) at = &(*at)->kids[1];
    int count = (*at)->count;
    for (int i = 0; i < count; i++) parts[i] = (*at)->type->args[i];
    parts[count] = type_scalar(&program->types, TY_bool);
    Type *type = type_make(&program->types, TY_struct, OP_none, count + 1, parts);
    int64_t most = program->distribution.sums == SUMS_ROWS ? 0 : MOST;
    Node *by = node_make(program, N_Struct, span, type_make(&program->types, TY_struct, OP_none, 2, two), 2,
                         node_clone(program, entries), number_node(program, span, most));
    *at = exchange_node(d, EXCHANGE_settle, OP_none, *at, by);
    (*at)->type = type;
    for (Node *let = columns; let != *at; let = let->kids[1]) let->type = type;
    Node *none = node_new(program, N_Struct, span, type, count + 1);
    for (int i = 0; i < count; i++) none->kids[i] = node_new(program, N_Vec, span, parts[i], 0);
    none->kids[count] = node_literal(program, span, parts[count], 0);
    return node_make(program, N_If, span, type, 3, way, columns, none);
}

/* ---- the sums of those that came ---- */

/* This rank's entries of a vector that is in blocks, cut somewhere, or that all have. own: {begin, end} of them. */
static Node *entries_of(Distribute *d, Symbol *first, Symbol *own) {
    Program *program = d->program;
    Span span = (Span){0};
    const Layout *layout = place_of(d, first)->layout;
    Node *vector = node_ident(program, span, first);
    if (layout->kind != LAYOUT_BLOCK || layout->cut == CUT_EVENLY) return own_block(d, vector, layout);
    Type *byte = type_scalar(&program->types, TY_i8);
    Type *appender = type_make(&program->types, TY_appender, OP_none, 1, &byte);
    Symbol *builder = symbol_new(program, "b", appender),
           *index = symbol_new(program, "i", own->type->args[0]),
           *element = symbol_new(program, "x", own->type->args[0]);
    Node *merge = node_make(program, N_Merge, span, appender, 2, node_ident(program, span, builder),
                            node_literal(program, span, byte, 0));
    Node *iter = node_make(program, N_Iter, span, own->type->args[0], 3, pair_field(program, span, own, 0),
                           pair_field(program, span, own, 1), number_node(program, span, 1));
    iter->iter = IT_range;
    Node *loop =
        node_make(program, N_For, span, appender, 3, iter, node_new(program, N_NewBuilder, span, appender, 0),
                  function_of(d, builder, index, element, merge));
    Node *like = node_make(program, N_Result, span, type_vec(&program->types, byte), 1, loop);
    return exchange_node(d, EXCHANGE_align, OP_none, vector, like);
}

/* merge(b, {index, value})   =>   merge(b, {index - own.$0, value}), of all merges into the builder. */
static void shift_merges(Program *program, Node *node, Symbol *own) {
    if (node->kind == N_Let) {
        shift_merges(program, node->kids[1], own);
    } else if (node->kind == N_If) {
        shift_merges(program, node->kids[1], own);
        shift_merges(program, node->kids[2], own);
    } else if (node->kind == N_Merge) {
        Node **index = &node->kids[1]->kids[0];
        *index = binary_node(program, OP_sub, *index, pair_field(program, (*index)->span, own, 0));
        shift_merges(program, node->kids[0], own);
    }
}

static Node *own_sums(const Move *m, Symbol *rows, Symbol *own, Symbol *first) {
    Distribute *d = m->d;
    Program *program = d->program;
    Node *sums = arrived_loop(m, rows, NULL), *builder = sums->kids[sums->count - 2];
    builder->kids[0] = entries_of(d, first, own);
    shift_merges(program, sums->kids[sums->count - 1]->kids[0], own);
    finish_rows(d, &sums, 0);
    return node_make(program, N_Result, m->loop->span, first->type, 1, sums);
}

/* ---- all of it ---- */

static bool may_settle(Distribute *d, const Node *loop, bool fixed) {
    const Node *builder = loop->kids[loop->count - 2];
    bool may = d->program->distribution.sums != SUMS_SUMS && !d->serves && fixed &&
               builder->kind == N_NewBuilder && builder->type->kind == TY_vecmerger;
    for (int i = 0; may && i < loop->count - 2; i++) may = loop_walks_all(loop->kids[i]);
    return may;
}

/* The vecmerger's first vector is a name; it is bound around the loop if it has to get one. */
static Symbol *name_first(Distribute *d, Node **slot, Node *loop) {
    Program *program = d->program;
    Node **first = &loop->kids[loop->count - 2]->kids[0];
    const Layout *layout = distribute(d, first);
    if ((*first)->kind == N_Ident) return (*first)->symbol;
    Symbol *name = symbol_new(program, "first", (*first)->type);
    place_of(d, name)->layout = layout;
    place_of(d, name)->closed = true;
    *slot = node_let(program, loop->span, name, *first, loop);
    *first = node_ident(program, loop->span, name);
    return name;
}

Settled *settled_loop(Distribute *d, Node **slot, int leader, bool fixed) {
    Program *program = d->program;
    Node *loop = *slot;
    if (!may_settle(d, loop, fixed)) return NULL;
    Node *copy = node_new(program, N_For, loop->span, loop->type, loop->count);
    for (int i = 0; i < loop->count - 1; i++) copy->kids[i] = loop->kids[i];
    copy->kids[loop->count - 1] = node_clone(program, loop->kids[loop->count - 1]);
    Move m = {.d = d, .loop = copy, .lambda = copy->kids[loop->count - 1], .stays = changes};
    if (!find_rows(&m)) return NULL;
    name_data(d, slot, loop);
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Symbol *first = name_first(d, slot, loop);
    Span span = loop->span;
    const Node *lead = loop->kids[leader]->kids[0];
    Node *entries = whole_length(d, node_ident(program, span, first), place_of(d, first)->layout);
    Node *way = way_of(&m, lead, entries, loop->type->args[0]);
    Node *moving = settled_rows(&m, way, columns_of(&m, leader), entries);
    Node *share = exchange_node(d, EXCHANGE_share, OP_none, entries, NULL);
    Symbol *rows = symbol_new(program, "rows", moving->type), *own = symbol_new(program, "own", share->type);
    place_of(d, rows)->closed = true;
    Node *sums = own_sums(&m, rows, own, first);
    Node *choice = node_make(program, N_If, span, sums->type, 3,
                             pair_field(program, span, rows, rows->type->count - 1), sums, sums);
    Settled *settled = arena_alloc(&program->arena, sizeof *settled);
    *settled = (Settled){.portion = &choice->kids[2]};
    settled->instead = node_let(program, span, own, share, node_let(program, span, rows, moving, choice));
    return settled;
}

void settle_sums(Distribute *d, Node **slot, Settled *settled) {
    Node *sums = *slot, *result = sums->kids[0], *lets = result->kids[0], **end = &lets;
    while ((*end)->kind == N_Let) end = &(*end)->kids[1];
    settled->sums = sums;
    settled->next = d->settled;
    d->settled = settled;
    result->kids[0] = *end;
    *end = sums;
    for (Node *let = lets; let != sums; let = let->kids[1]) let->type = sums->type;
    *slot = lets;
}

static void settle_portion(Walk *walk, Node **slot) {
    const Node *node = *slot;
    if (node->kind != N_Exchange || node->bits != EXCHANGE_portion) return;
    for (Settled *settled = walk->data; settled; settled = settled->next) {
        if (settled->sums != node) continue;
        *settled->portion = *slot;
        *slot = settled->instead;
        return;
    }
}

void settle_portions(Distribute *d, Node **body) {
    Walk walk = {d->program, NULL, settle_portion, d->settled};
    if (d->settled) node_walk(&walk, body);
}
