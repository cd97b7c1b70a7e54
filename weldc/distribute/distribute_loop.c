/* distribute_loop.c: loops on the ranks of a cluster: each runs over the blocks of what it walks.
 *
 *     result(for(zip(v, w), {appender, merger[i64,+](5L)}, |b, i, x| ..i..))
 *
 *     data      v in blocks: as it is. w in blocks cut elsewhere: cut anew, like v. w whole: the part that belongs to v's block
 *     index     i is that of the block; where the loop uses it, the block's first index is added
 *     builder   new, for this loop alone. A first value counts once: exchange[seed,+](5L). Of a vector in blocks each rank's block
 *               does: exchange[place,+](v, {its start, the length of all})
 *     results   a merger, a vecmerger: reduce, or of a vecmerger of which each rank needs its block a portion, or the sums of its owners
 *               (distribute_settle.c). An appender: blocks, cut like v if each iteration merges once. A
 *               dictionary: merged to a whole one, or left apart by key (shuffle) where it is only listed, or only looked up
 *               (distribute_fetch.c). Groups likewise
 *
 * What the function looks up must be there whole, or as far as the iterations reach (distribute_window.c).
 *
 * A loop is computed whole, on every rank, when it walks nothing in blocks or worth to be cut, walks with bounds, merges
 * into a builder that others merge into, too, or into one whose results are not all that becomes of it.
 */
#include "distribute.h"

#include <string.h>

/* ---- the data ---- */

bool loop_walks_all(const Node *iter) {
    return iter->iter == IT_scalar && iter->count == 1;
}

bool loop_counts_up(const Node *iter) {
    if (iter->iter != IT_range || iter->kids[0]->kind != N_Literal || iter->kids[2]->kind != N_Literal)
        return false;
    return iter->kids[0]->bits == 0 && iter->kids[2]->bits == 1;
}

/* Rewrites the operands of the iterators; layouts: room for that of each one's data. */
static void distribute_data(Distribute *d, Node *loop, const Layout **layouts) {
    for (int i = 0; i < loop->count - 2; i++) {
        Node *iter = loop->kids[i];
        int first = iter_classes[iter->iter].has_data;
        layouts[i] = first ? distribute(d, &iter->kids[0]) : &layout_whole;
        for (int k = first; k < iter->count; k++) distribute_whole(d, &iter->kids[k]);
    }
}

typedef struct Number {
    const Symbol *element;
    Symbol *index;
    int field;
} Number;

static bool count_by_index(Walk *walk, Node **slot) {
    const Number *number = walk->data;
    Node *node = *slot;
    bool counts = node->kind == N_Field && node->index == number->field && node->kids[0]->kind == N_Ident &&
                  node->kids[0]->symbol == number->element;
    if (counts) *slot = node_ident(walk->program, node->span, number->index);
    return !counts;
}

/* What counts from 0 on beside other data is the index. */
static void name_index(Distribute *d, Node *loop) {
    Node *lambda = loop->kids[loop->count - 1];
    for (int i = 0; i < loop->count - 2; i++) {
        if (!loop_counts_up(loop->kids[i])) continue;
        Number number = {lambda->params[2], lambda->params[1], i};
        Walk walk = {d->program, count_by_index, NULL, &number};
        node_walk(&walk, &lambda->kids[0]);
    }
}

/* The vector like which the loop is cut: the first in blocks, else the first worth it. -1: none, or it cannot be cut. */
static int leader_of(const Node *loop, const Layout **layouts) {
    int leader = -1;
    for (int i = 0; i < loop->count - 2; i++) {
        if (loop_counts_up(loop->kids[i])) continue;
        if (!loop_walks_all(loop->kids[i])) return -1;
        bool block = layouts[i]->kind == LAYOUT_BLOCK,
             first = leader < 0 || layouts[leader]->kind != LAYOUT_BLOCK;
        if (first && (block || (leader < 0 && layouts[i]->kind == LAYOUT_SPLITS))) leader = i;
    }
    return leader;
}

static const Node *path_name(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident ? node : NULL;
}

/* rangeiter(0, n, 1) beside this rank's block of a vector of so many elements: the numbers of the block. If n is another number,
 * there are as many too few or too many. */
static void cut_range(Distribute *d, Node *iter, const Node *lead, Node *whole) {
    Program *program = d->program;
    Type *number = iter->kids[1]->type;
    Node *length = node_make(program, N_Len, iter->span, number, 1, node_clone(program, lead));
    Node *start = exchange_node(d, EXCHANGE_start, OP_none, length, NULL);
    Node *more = binary_node(program, OP_sub, iter->kids[1], whole);
    Node *count = binary_node(program, OP_add, node_clone(program, length), more);
    iter->kids[0] = start;
    iter->kids[1] = binary_node(program, OP_add, node_clone(program, start), count);
}

/* All of them are walked over blocks that are cut alike. Returns these. The leader may get a name, bound around *loop. */
static int cut_data(Distribute *d, Node **slot, const Layout **layouts, int leader) {
    Program *program = d->program;
    Node *loop = *slot, **lead = &loop->kids[leader]->kids[0], *all = node_clone(program, *lead);
    *lead = own_block(d, *lead, layouts[leader]);
    int cut = layouts[leader]->kind == LAYOUT_BLOCK ? layouts[leader]->cut : CUT_EVENLY;
    if (!path_name(*lead)) {
        Symbol *name = symbol_new(program, "own", (*lead)->type);
        place_of(d, name)->layout = layout_block(d, cut);
        place_of(d, name)->closed = true;
        *slot = node_let(program, loop->span, name, *lead, loop);
        *lead = node_ident(program, loop->span, name);
    }
    for (int i = 0; i < loop->count - 2; i++) {
        Node **data = &loop->kids[i]->kids[0];
        const Layout *layout = layouts[i];
        if (loop_counts_up(loop->kids[i])) {
            bool apart = layouts[leader]->kind == LAYOUT_BLOCK;
            cut_range(d, loop->kids[i], *lead, whole_length(d, apart ? *lead : all, layouts[leader]));
            continue;
        }
        if (i == leader || (layout->kind == LAYOUT_BLOCK && layout->cut == cut)) continue;
        if (layout->kind == LAYOUT_SPLITS && cut == CUT_EVENLY)
            *data = own_block(d, *data, layout);
        else
            *data = exchange_node(d, layout->kind == LAYOUT_BLOCK ? EXCHANGE_align : EXCHANGE_part, OP_none,
                                  *data, node_clone(program, *lead));
        if ((*data)->kind == N_Exchange) (*data)->span = loop->span;
    }
    return cut;
}

/* How often the loops of all ranks run together. all: what the leader was before it was cut. */
static Node *iterations_of_all(Distribute *d, const Node *lead, const Node *all, const Layout *layout) {
    return path_name(all) ? likely_length(d, all, layout) : whole_length(d, lead, &layout_evenly);
}

/* ---- the index ---- */

static bool find_symbol(Walk *walk, Node **slot) {
    const Symbol **wanted = walk->data;
    if ((*slot)->kind == N_Ident && (*slot)->symbol == *wanted) *wanted = NULL;
    return *wanted != NULL;
}

bool uses_name(Program *program, Node *body, const Symbol *name) {
    Walk walk = {program, find_symbol, NULL, &name};
    node_walk(&walk, &body);
    return !name;
}

void shift_index(Distribute *d, Node **slot, Node *loop, int leader) {
    Program *program = d->program;
    Node *lambda = loop->kids[loop->count - 1], *body = lambda->kids[0];
    Symbol *index = lambda->params[1];
    Span span = lambda->span;
    if (!uses_name(program, body, index)) return;
    Symbol *local = symbol_new(program, index->name, index->type);
    Symbol *start = symbol_new(program, "start", index->type);
    Node *length =
        node_make(program, N_Len, span, index->type, 1, node_clone(program, loop->kids[leader]->kids[0]));
    Node *sum = node_make(program, N_Binary, span, index->type, 2, node_ident(program, span, start),
                          node_ident(program, span, local));
    sum->op = OP_add;
    lambda->params[1] = local;
    lambda->kids[0] = node_let(program, span, index, sum, body);
    while (*slot != loop) slot = &(*slot)->kids[1];
    *slot = node_let(program, span, start, exchange_node(d, EXCHANGE_start, OP_none, length, NULL), loop);
}

/* ---- the builder ---- */

/* exchange[place,+](v, {start, length of all}): of a first vector in blocks every rank has its block count, and needs no other. */
static Node *place_block(Distribute *d, Node *block, const Layout *layout, Op op) {
    Program *program = d->program;
    Type *number = type_scalar(&program->types, TY_i64), *two[] = {number, number};
    Node *at =
        node_make(program, N_Struct, block->span, type_make(&program->types, TY_struct, OP_none, 2, two), 2,
                  block_start(d, block), whole_length(d, block, layout));
    return exchange_node(d, EXCHANGE_place, op, block, at);
}

/* A step that a server may make exchanges nothing beside its sums. */
static void seed(Distribute *d, const Node *builder, Node **slot) {
    const Layout *layout = distribute(d, slot);
    bool places = builder->type->kind == TY_vecmerger && (*slot)->kind == N_Ident && !d->serves &&
                  layout->kind == LAYOUT_BLOCK;
    if (places) {
        *slot = place_block(d, *slot, layout, builder->type->op);
        return;
    }
    make_whole(d, slot, layout);
    if (builder->type->kind != TY_appender)
        *slot = exchange_node(d, EXCHANGE_seed, builder->type->op, *slot, NULL);
}

/* First values count on rank 0 only. The size that an appender is given is no value. */
void seed_builder(Distribute *d, Node *builder) {
    for (int i = 0; i < builder->count; i++) {
        if (builder->kind == N_Struct)
            seed_builder(d, builder->kids[i]);
        else
            seed(d, builder, &builder->kids[i]);
    }
}

bool merges_once(Distribute *d, const Node *lambda, int leaf) {
    Program *program = d->program;
    if (program->symbols > d->merges_room) {
        d->merges_room = program->symbols * 2;
        d->merges.roots =
            arena_alloc(&program->arena, sizeof *d->merges.roots * (size_t)(d->merges_room + 1));
        if (!d->merges.roots) d->gave_up = true;
    }
    if (!d->merges.roots) return false;
    MergeBound bound = merge_bound(&d->merges, lambda->kids[0], lambda->params[0], leaf);
    return bound.least == 1 && bound.most == 1;
}

/* What each rank merged its share into. */
static const Layout *partial(Distribute *d, const Type *builder, const Node *lambda, int leaf, int cut) {
    Layout *layout = arena_alloc(&d->program->arena, sizeof *layout);
    layout->kind = builder->kind == TY_struct ? LAYOUT_PARTS : LAYOUT_PARTIAL;
    layout->cut = builder->kind == TY_appender && merges_once(d, lambda, leaf) ? cut : cut_new(d);
    if (builder->kind != TY_struct) return layout;
    layout->cut = 0;
    layout->parts = arena_alloc(&d->program->arena, sizeof *layout->parts * (size_t)(builder->count + 1));
    d->gave_up |= !layout->parts;
    for (int i = 0; layout->parts && i < builder->count; i++)
        layout->parts[i] = partial(d, builder->args[i], lambda, leaf + leaf_at(builder, i), cut);
    return layout->parts ? layout : &layout_whole;
}

/* for(rangeiter(0, n, 1), ..)   =>   let share = exchange[share](n); for(rangeiter(share.$0, share.$1, 1), ..), where the
 * element is right as it is, and the index is the element. */
static const Layout *distribute_range(Distribute *d, Node **slot) {
    Program *program = d->program;
    Node *loop = *slot, *iter = loop->kids[0], *lambda = loop->kids[2];
    Span span = loop->span;
    distribute_whole(d, &iter->kids[1]);
    Node *share = exchange_node(d, EXCHANGE_share, OP_none, iter->kids[1], NULL);
    Symbol *name = symbol_new(program, "share", share->type);
    for (int i = 0; i < 2; i++) {
        Type *number = share->type->args[i];
        iter->kids[i] = node_make(program, N_Field, span, number, 1, node_ident(program, span, name));
        iter->kids[i]->index = i;
    }
    if (uses_name(program, lambda->kids[0], lambda->params[1])) {
        Node *element = node_ident(program, span, lambda->params[2]);
        Symbol *local = symbol_new(program, lambda->params[1]->name, lambda->params[1]->type);
        lambda->kids[0] = node_let(program, span, lambda->params[1], element, lambda->kids[0]);
        lambda->params[1] = local;
    }
    Fetches fetches;
    Finds finds;
    fetches_begin(d, loop, &fetches);
    finds_begin(&finds, d, &fetches);
    seed_builder(d, loop->kids[1]);
    distribute_windows(d, slot, &(Range){.share = name}, &finds);
    distribute_function(d, lambda);
    const Layout *layout = partial(d, loop->kids[1]->type, lambda, 0, CUT_EVENLY);
    if (finds.count) finds_look(&finds, slot, loop, node_clone(program, share->kids[0]));
    fetches_end(&fetches, slot);
    finds_end(&finds);
    *slot = node_let(program, span, name, share, *slot);
    return layout;
}

/* settled: what may become of its sums, or NULL: nothing may. */
static const Layout *loop_in_blocks(Distribute *d, Node **slot, bool ends, Settled **settled) {
    Node *loop = *slot, *builder = loop->kids[loop->count - 2], *lambda = loop->kids[loop->count - 1];
    int count = loop->count - 2;
    const Layout **layouts = arena_alloc(&d->program->arena, sizeof *layouts * (size_t)(count + 1));
    if (!layouts) {
        d->gave_up = true;
        return &layout_whole;
    }
    if (count == 1 && loop_counts_up(loop->kids[0]) && ends && builder_is_new(builder))
        return distribute_range(d, slot);
    distribute_data(d, loop, layouts);
    int leader = ends && builder_is_new(builder) ? leader_of(loop, layouts) : -1;
    if (leader < 0) {
        for (int i = 0; i < count; i++) {
            if (iter_classes[loop->kids[i]->iter].has_data)
                make_whole(d, &loop->kids[i]->kids[0], layouts[i]);
        }
        distribute_whole(d, &loop->kids[loop->count - 2]);
        distribute_function(d, lambda);
        return &layout_whole;
    }
    name_index(d, loop);
    Node *all = node_clone(d->program, loop->kids[leader]->kids[0]);
    bool fixed = true;
    for (int i = 0; i < count; i++) fixed &= !d->steps || varies_in(d, loop->kids[i]) < d->steps;
    int cut = cut_data(d, slot, layouts, leader);
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    if (settled) *settled = settled_loop(d, slot, leader, fixed);
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Symbol *dict;
    Node *moved = moved_loop(d, slot, &dict);
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Fetches fetches;
    Finds finds;
    fetches_begin(d, loop, &fetches);
    finds_begin(&finds, d, &fetches);
    seed_builder(d, builder);
    distribute_windows(d, slot, &(Range){.leader = loop->kids[leader]->kids[0]}, &finds);
    distribute_function(d, lambda);
    const Layout *layout = partial(d, builder->type, lambda, 0, cut);
    shift_index(d, slot, loop, leader);
    if (finds.count)
        finds_look(&finds, slot, loop,
                   iterations_of_all(d, loop->kids[leader]->kids[0], all, layouts[leader]));
    fetches_end(&fetches, slot);
    finds_end(&finds);
    if (moved) *slot = where_rows_move(d, dict, moved, *slot);
    return layout;
}

const Layout *distribute_for(Distribute *d, Node **slot, bool ends) {
    return loop_in_blocks(d, slot, ends, NULL);
}

/* ---- results ---- */

const Layout *distribute_result(Distribute *d, Node **slot, Keys keys) {
    Node *result = *slot, **builder = &result->kids[0];
    const Type *type = (*builder)->type;
    bool loops = (*builder)->kind == N_For && type->kind != TY_struct;
    Settled *settled = NULL;
    const Layout *layout = loops ? loop_in_blocks(d, builder, true, &settled) : distribute(d, builder);
    if (layout->kind != LAYOUT_PARTIAL) {
        make_whole(d, builder, layout);
        return &layout_whole;
    }
    switch (type->kind) {
    case TY_appender: return layout_block(d, layout->cut);
    case TY_dictmerger:
    case TY_groupmerger: {
        if (keys == KEYS_PARTIAL) return layout;
        bool apart = keys == KEYS_APART;
        Op op = type->kind == TY_groupmerger ? OP_add : type->op;
        *slot = exchange_node(d, apart ? EXCHANGE_shuffle : EXCHANGE_merge, op, result, NULL);
        return apart ? &layout_keyed : &layout_whole;
    }
    default:
        *slot = exchange_node(d, EXCHANGE_reduce, type->op, result, NULL);
        if (settled) settle_sums(d, slot, settled);
        return type->kind == TY_vecmerger && !d->serves ? &layout_splits : &layout_whole;
    }
}
