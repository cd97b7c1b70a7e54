/* fuse_horizontal.c: loops over the same data become one loop.
 *
 *     let s = result(for(v, merger[f64,+], |b, i, x| merge(b, x)));
 *     let t = result(for(v, merger[f64,max], |c, j, y| merge(c, y)));
 *  =>
 *     let bs = for(v, {merger[f64,+], merger[f64,max]}, |b, i, x| {merge(b.$0, x), merge(b.$1, x)});
 *     let s = result(bs.$0);
 *     let t = result(bs.$1);
 *
 * A *block* is a chain of lets and what it ends with: the body of a function, or of an arm. Its loops are
 * those that run whenever the block does, wherever they stand in its values. The first loop over some
 * iterators founds a group, at its place; a later one over the same joins if it uses no name that is bound
 * there or later (the names of the group's own results count as bound at the group's place). So whatever
 * depends on a group comes after it, and no two groups wait for each other.
 *
 * Both loops would have run, so nothing fails that did not; merges into one builder keep their order. Loops
 * with an assert or a foreign call stay. A vector that only loops walk is left for fuse-vertical. Loops that
 * scatter do not join those that add or append, which may vectorize alone; those with loops in them do not, so they
 * join one another: a sum over rows and its gradient become one pass over the rows.
 *
 * A loop gets at most MOST_BUILDERS builders: so the time to compile stays linear, and registers suffice. One walk;
 * groups are found by a hash of their iterators. Linear.
 */
#include "weldc.h"

bool pass_fuse_horizontal(Program *program);

enum { MOST_BUILDERS = 32 }; /* of a loop: more accumulators than that are no faster together */

typedef struct Member Member;
struct Member {
    Node **slot; /* of the loop, or of its result */
    Node *let;   /* whose value it is; NULL: it stands in an expression */
    Member *next;
};

typedef struct Group Group;
struct Group {
    int block, place; /* it goes before statement number `place` of the block */
    uint64_t hash;
    int count, builders;
    Member *first, **last;
    Group *bucket, *next; /* next: in the block, by place */
};

typedef struct Block {
    int id, at, ready; /* at: number of the statement; ready: the greatest number of a name that was used */
    Group *first, **last;
    bool any;  /* a group has two members */
    Node *end; /* what the block ends with */
} Block;

typedef struct Bound {
    Block *block; /* where a let binds it; NULL: a parameter, or the block is done */
    int number;
    int walks; /* uses as the data of a loop */
} Bound;

typedef struct Fuse {
    Program *program;
    Bound *bound; /* by symbol id */
    int limit, blocks;
    Group **buckets;
    uint64_t mask;
} Fuse;

static Symbol **params_of(const Node *loop) {
    return loop->kids[loop->count - 1]->params;
}

/* ---- what is the same ---- */

/* Loops with and without such a builder stay apart: the others may vectorize. */
static bool scatters(const Type *builder) {
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++) {
        if (scatters(builder->args[i])) return true;
    }
    return builder->kind == TY_dictmerger || builder->kind == TY_groupmerger || builder->kind == TY_vecmerger;
}

static bool has_loop(const Node *node) {
    if (node->kind == N_For) return true;
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (has_loop(node->kids[0])) return true;
    }
    for (int i = 0; i < node->count; i++) {
        if (has_loop(node->kids[i])) return true;
    }
    return false;
}

/* Loops with loops in them do not vectorize in any case. */
static int company(const Node *loop) {
    if (has_loop(loop->kids[loop->count - 1]->kids[0])) return 2;
    return scatters(loop->type);
}

/* A hash of an operand that is free to compute anywhere. False: it is not. */
static bool operand_hash(const Node *node, uint64_t *hash) {
    uint64_t own = node->kind == N_Ident     ? (uint64_t)node->symbol->id
                   : node->kind == N_Literal ? node->bits
                                             : (uint64_t)node->index;
    *hash = hash_mix(*hash, own << 6 | (uint64_t)node->kind);
    if (node->kind == N_Ident) return !node->type->builders;
    if (node->kind == N_Literal) return true;
    return (node->kind == N_Len || node->kind == N_Field) && operand_hash(node->kids[0], hash);
}

static bool iters_hash(const Node *loop, uint64_t *hash) {
    *hash = (uint64_t)loop->count << 2 | (uint64_t)company(loop);
    for (int i = 0; i < loop->count - 2; i++) {
        const Node *iter = loop->kids[i];
        *hash = hash_mix(*hash, (uint64_t)iter->iter << 8 | (uint64_t)iter->count);
        for (int j = 0; j < iter->count; j++) {
            if (!operand_hash(iter->kids[j], hash)) return false;
        }
    }
    return true;
}

static bool same_iters(const Node *a, const Node *b) {
    if (a->count != b->count || company(a) != company(b)) return false;
    for (int i = 0; i < a->count - 2; i++) {
        if (!node_equal(a->kids[i], b->kids[i])) return false;
    }
    return true;
}

/* New builders, and nothing that needs an order. */
static bool is_fresh(const Node *node) {
    if (node->kind == N_NewBuilder) return !node->count || !node->kids[0]->type->builders;
    if (node->kind != N_Struct || !node->count) return false;
    for (int i = 0; i < node->count; i++) {
        if (!is_fresh(node->kids[i])) return false;
    }
    return true;
}

/* How many builders that are not structs. */
static int builder_count(const Type *builder) {
    int count = 0;
    if (builder->kind != TY_struct) return 1;
    for (int i = 0; i < builder->count; i++) count += builder_count(builder->args[i]);
    return count;
}

static Node *loop_of(Node *node) {
    return node->kind == N_Result ? node->kids[0] : node;
}

/* ---- the walk: what runs in a block, and what it needs ---- */

static bool walk_block(Fuse *fuse, Node **slot);
static bool walk_node(Fuse *fuse, Block *block, Node **slot, Node *let);

/* Puts the loop into a group. ready: the greatest number of a name of the block that it uses. A loop that has no name may be
 * within what another one needs, its first value: that one's group comes later. */
static void join(Fuse *fuse, Block *block, Node **slot, Node *let, int ready) {
    Node *loop = loop_of(*slot);
    uint64_t hash;
    if (!iters_hash(loop, &hash)) return;
    Bound *bound = let && let->symbol->id < fuse->limit ? &fuse->bound[let->symbol->id] : NULL;
    if (bound && (*slot)->type->kind == TY_vec && let->symbol->uses && bound->walks == let->symbol->uses)
        return;
    Group **head = &fuse->buckets[hash & fuse->mask], *group = *head;
    while (group && (group->block != block->id || group->hash != hash ||
                     !same_iters(loop_of(*group->first->slot), loop)))
        group = group->bucket;
    Member *member = arena_alloc(&fuse->program->arena, sizeof *member);
    *member = (Member){slot, let, NULL};
    int builders = builder_count(loop->type);
    if (!group || ready >= group->place || group->builders + builders > MOST_BUILDERS) {
        group = arena_alloc(&fuse->program->arena, sizeof *group);
        *group = (Group){block->id, block->at, hash, 0, 0, NULL, &group->first, *head, NULL};
        *head = group;
        *block->last = group;
        block->last = &group->next;
    }
    *group->last = member;
    group->last = &member->next;
    group->builders += builders;
    if (++group->count == 2) block->any = true;
    if (bound) bound->number = group->place;
    if (!let && block->ready < group->place) block->ready = group->place;
}

/* The function of a loop runs in a block of its own. */
static bool walk_kids(Fuse *fuse, Block *block, Node *node) {
    bool keeps = node_keeps(node);
    bool lazy = node->kind == N_If || node->kind == N_And || node->kind == N_Or;
    for (int i = 0; i < node->count; i++) {
        bool apart = (lazy && i > 0) || node->kids[i]->kind == N_Let;
        if (node->kids[i]->kind == N_Lambda)
            keeps |= walk_block(fuse, &node->kids[i]->kids[0]);
        else if (apart)
            keeps |= walk_block(fuse, &node->kids[i]);
        else
            keeps |= walk_node(fuse, block, &node->kids[i], NULL);
    }
    return keeps;
}

/* Is there an assert or a foreign call below? let: of which the node is the value. */
static bool walk_node(Fuse *fuse, Block *block, Node **slot, Node *let) {
    Node *node = *slot;
    if (node->kind == N_Ident) {
        if (node->symbol->id >= fuse->limit) return false;
        const Bound *bound = &fuse->bound[node->symbol->id];
        if (bound->block && bound->number > bound->block->ready) bound->block->ready = bound->number;
        return false;
    }
    Node *loop = loop_of(node);
    bool bare = loop == node; /* its builders go on */
    if (loop->kind != N_For || (bare && !let) || !is_fresh(loop->kids[loop->count - 2]))
        return walk_kids(fuse, block, node);
    int before = block->ready;
    block->ready = 0;
    bool keeps = walk_kids(fuse, block, loop);
    if (!keeps) join(fuse, block, slot, let, block->ready);
    if (before > block->ready) block->ready = before;
    return keeps;
}

/* ---- fusing a group ---- */

typedef struct Replace {
    Symbol *builder, *index, *element; /* of one member */
    Symbol **params;                   /* of the fused loop */
    int number;
} Replace;

static void replace_use(Walk *walk, Node **slot) {
    const Replace *replace = walk->data;
    Node *node = *slot;
    if (node->kind != N_Ident) return;
    if (node->symbol == replace->index) node->symbol = replace->params[1];
    if (node->symbol == replace->element) node->symbol = replace->params[2];
    if (node->symbol != replace->builder) return;
    Node *whole = node_ident(walk->program, node->span, replace->params[0]);
    *slot = node_make(walk->program, N_Field, node->span, node->type, 1, whole);
    (*slot)->index = replace->number;
}

static void set_chain_type(Node *node, const Node *end, Type *type) {
    for (; node != end; node = node->kids[1]) node->type = type;
}

static Type *struct_of(Program *program, Node *parts) {
    Type *types[MOST_BUILDERS];
    for (int i = 0; i < parts->count; i++) types[i] = parts->kids[i]->type;
    return type_make(&program->types, TY_struct, OP_none, parts->count, types);
}

/* The first member's loop becomes the loop of all. */
static Node *fused_loop(Program *program, Group *group) {
    Node *loop = loop_of(*group->first->slot), *lambda = loop->kids[loop->count - 1];
    Node *builders = node_new(program, N_Struct, loop->span, NULL, group->count);
    Node *merges = node_new(program, N_Struct, loop->span, NULL, group->count);
    Node *body = NULL, **hole = &body;
    int number = 0;
    for (Member *member = group->first; member; member = member->next)
        builders->kids[number++] = loop_of(*member->slot)->kids[loop->count - 2];
    Type *type = builders->type = merges->type = struct_of(program, builders);
    Symbol *params[3] = {symbol_new(program, "bs", type), lambda->params[1], lambda->params[2]};
    number = 0;
    for (Member *member = group->first; member; member = member->next, number++) {
        Node *own = loop_of(*member->slot);
        Symbol **names = params_of(own);
        Replace replace = {names[0], names[1], names[2], params, number};
        Walk walk = {program, NULL, replace_use, &replace};
        *hole = own->kids[own->count - 1]->kids[0];
        node_walk(&walk, hole);
        while ((*hole)->kind == N_Let) hole = &(*hole)->kids[1];
        merges->kids[number] = *hole;
    }
    *hole = merges;
    set_chain_type(body, merges, type);
    lambda->params[0] = params[0];
    lambda->kids[0] = body;
    Type *parts[4] = {type, params[1]->type, params[2]->type, type};
    lambda->type = type_make(&program->types, TY_function, OP_none, 4, parts);
    loop->kids[loop->count - 2] = builders;
    loop->type = type;
    return loop;
}

/* Puts the fused loop and its results at *hole. Returns where the chain goes on. */
static Node **place_group(Program *program, Group *group, Node **hole) {
    Node *loop = fused_loop(program, group);
    Symbol *all = symbol_new(program, "bs", loop->type);
    Node *let = node_new(program, N_Let, loop->span, NULL, 2);
    let->symbol = all;
    let->text = all->name;
    let->kids[0] = loop;
    *hole = let;
    hole = &let->kids[1];
    int number = 0;
    for (Member *member = group->first; member; member = member->next, number++) {
        Node *node = *member->slot, *value;
        value = node_make(program, N_Field, node->span, loop->type->args[number], 1,
                          node_ident(program, node->span, all));
        value->index = number;
        if (node->kind == N_Result) value = node_make(program, N_Result, node->span, node->type, 1, value);
        let = member->let;
        if (!let) {
            let = node_new(program, N_Let, node->span, NULL, 2);
            let->symbol = symbol_new(program, "r", value->type);
            let->text = let->symbol->name;
            *member->slot = node_ident(program, node->span, let->symbol);
        }
        let->kids[0] = value;
        let->index = 1;
        *hole = let;
        hole = &let->kids[1];
    }
    return hole;
}

/* Lays the statements of a block out anew, each group before the statement of its place. */
static void place_groups(Program *program, Block *block, Node **slot) {
    Node **lets = arena_alloc(&program->arena, sizeof *lets * (size_t)block->at), **hole = slot;
    Group *group = block->first;
    if (!lets) return;
    Node *let = *slot;
    for (int i = 0; i < block->at - 1; i++, let = let->kids[1]) lets[i] = let;
    for (int i = 0; i < block->at; i++) {
        for (; group && group->place == i + 1; group = group->next) {
            if (group->count > 1) hole = place_group(program, group, hole);
        }
        let = i < block->at - 1 ? lets[i] : NULL;
        if (!let || let->index) continue;
        *hole = let;
        hole = &let->kids[1];
    }
    *hole = block->end;
    for (let = *slot; let != block->end; let = let->kids[1]) let->type = block->end->type;
}

static bool walk_block(Fuse *fuse, Node **slot) {
    Block block = {.id = ++fuse->blocks, .at = 1};
    Node **at = slot;
    bool keeps = false;
    block.last = &block.first;
    for (; (*at)->kind == N_Let; at = &(*at)->kids[1], block.at++) {
        Node *let = *at;
        let->index = 0;
        keeps |= let->kids[0]->kind == N_Let ? walk_block(fuse, &let->kids[0])
                                             : walk_node(fuse, &block, &let->kids[0], let);
        if (let->symbol->id >= fuse->limit) continue;
        Bound *bound = &fuse->bound[let->symbol->id];
        bound->block = &block;
        if (!bound->number) bound->number = block.at;
    }
    block.end = *at;
    keeps |= walk_node(fuse, &block, &block.end, NULL);
    if (block.any) place_groups(fuse->program, &block, slot);
    return keeps;
}

static bool count_loops(Walk *walk, Node **slot) {
    Fuse *fuse = walk->data;
    const Node *node = *slot;
    if (node->kind == N_For) fuse->mask++;
    if (node->kind == N_Iter && node->iter == IT_scalar && node->count == 1 && node->kids[0]->kind == N_Ident)
        fuse->bound[node->kids[0]->symbol->id].walks++;
    return true;
}

bool pass_fuse_horizontal(Program *program) {
    Fuse fuse = {.program = program, .limit = program->symbols};
    fuse.bound = arena_alloc(&program->arena, sizeof *fuse.bound * (size_t)(fuse.limit + 1));
    Walk count = {program, count_loops, NULL, &fuse};
    if (fuse.bound) node_walk(&count, &program->root);
    uint64_t buckets = 16;
    while (buckets < fuse.mask) buckets *= 2;
    fuse.mask = buckets - 1;
    fuse.buckets = arena_alloc(&program->arena, sizeof *fuse.buckets * buckets);
    if (!fuse.bound || !fuse.buckets)
        return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    walk_block(&fuse, &program->root->kids[0]);
    program->depth += 2;
    return true;
}
