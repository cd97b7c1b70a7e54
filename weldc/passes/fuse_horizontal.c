/* fuse_horizontal.c: loops over the same data become one loop.
 *
 *     let s = result(for(v, merger[f64,+], |b, i, x| merge(b, x)));
 *     let t = result(for(v, merger[f64,max], |c, j, y| merge(c, y)));
 *  =>
 *     let bs = for(v, {merger[f64,+], merger[f64,max]}, |b, i, x| {merge(b.$0, x), merge(b.$1, x)});
 *     let s = result(bs.$0);
 *     let t = result(bs.$1);
 *
 * So do loops of which one vector is the same, as sum(v) and dot(v, w): both run, so all their vectors are of equal length, or
 * the program fails either way. The loop of all walks each vector once:
 *
 *     for(zip(v, w), {merger[i64,+], merger[i64,+]}, |bs, i, e| {merge(bs.$0, e.$0), merge(bs.$1, e.$0 * e.$1)})
 *
 * A *block* is a chain of lets and what it ends with: the body of a function, or of an arm. Its loops are
 * those that run whenever the block does, wherever they stand in its values. The first loop over some
 * iterators founds a group, at its place; a later one that shares an iterator joins if it uses no name that is bound
 * there or later (the names of the group's own results count as bound at the group's place). So whatever
 * depends on a group comes after it, and no two groups wait for each other. A vector that only loops walk may be made
 * earlier than it is written: where a loop could join but for that, such vectors are made just before the group. Other
 * vectors stay where they are, since they would be held for longer.
 *
 * Both loops would have run, so nothing fails that did not, though of several failures any may be reported; merges into one
 * builder keep their order. Loops
 * with an assert or a foreign call stay. A vector that only loops walk is left for fuse-vertical. Loops that
 * scatter do not join those that add or append, which may vectorize alone; those with loops in them do not, so they
 * join one another: a sum over rows and its gradient become one pass over the rows.
 *
 * Outer loops first: in loops that became one, inner loops stay as they are until cse has seen them side by side, as then
 * some are the same: those of a function and those that its gradient computes anew. Another pass, fuse-inner, does the same
 * as this one from the inner loops to the outer ones, and leaves none.
 *
 * A loop gets at most MOST_BUILDERS builders: so the time to compile stays linear, and registers suffice. One walk;
 * groups are found by hashes of their iterators. Linear.
 */
#include "../weldc.h"

bool pass_fuse_horizontal(Program *program);
bool pass_fuse_inner(Program *program);

enum {
    MOST_BUILDERS = 32, /* of a loop: more accumulators than that are no faster together */
    MOST_ITERS = 16,    /* of a loop that walks what several walked */
    MOST_TRIES = 8      /* groups that are looked at for an iterator */
};

typedef struct Member Member;
struct Member {
    Node **slot; /* of the loop, or of its result */
    Node *let;   /* whose value it is; NULL: it stands in an expression */
    int *at;     /* which of the group's iterators its own are */
    Member *next;
};

typedef struct Group Group;
struct Group {
    int block, place; /* it goes before statement number `place` of the block */
    int count, builders, company;
    Member *first, **last;
    Node **iters; /* of all members */
    int niters;
    bool wider;    /* than a member's iterators */
    Group *leader; /* the first one of this place: it has the lets that go before all of them */
    Node **lets;
    int nlets, room;
    Group *next; /* in the block, by place */
};

/* A group is found by each of its iterators. */
typedef struct Entry Entry;
struct Entry {
    uint64_t hash;
    Group *group;
    Entry *next;
};

/* A loop of the block whose function waits for what the loop joins. */
typedef struct Waiting Waiting;
struct Waiting {
    Node *lambda;
    const Group *group; /* NULL: none */
    Waiting *next;
};

typedef struct Block {
    int id, at, ready; /* at: number of the statement; ready: the greatest number of a name that was used */
    int early;         /* the same if vectors were made as early as they can be */
    Group *first, **last, *newest;
    Waiting *waiting; /* the newest first */
    bool any;         /* a group has two members */
    Node *end;        /* what the block ends with */
} Block;

typedef struct Bound {
    Block *block; /* where a let binds it; NULL: a parameter, or the block is done */
    int number, early;
    bool placed;
    Node *let; /* of a vector that can be made before statement early + 1 */
    int walks; /* uses as the data of a loop */
} Bound;

typedef struct Fuse {
    Program *program;
    Bound *bound; /* by symbol id */
    int limit, blocks;
    bool outer_first;
    int looks; /* above 0: names are looked at, but nothing joins */
    Entry **buckets;
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

static bool iter_hash(const Node *loop, int number, int company, uint64_t *hash) {
    const Node *iter = loop->kids[number];
    *hash = hash_mix((uint64_t)company, (uint64_t)iter->iter << 8 | (uint64_t)iter->count);
    for (int j = 0; j < iter->count; j++) {
        if (!operand_hash(iter->kids[j], hash)) return false;
    }
    return true;
}

static bool is_plain(const Node *iter) {
    return iter->iter == IT_scalar && iter->count == 1;
}

/* Where the group has this iterator; niters: nowhere. */
static int iter_find(const Group *group, const Node *iter) {
    int at = 0;
    while (at < group->niters && !node_equal(group->iters[at], iter)) at++;
    return at;
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

static void let_early(Fuse *fuse, Group *group, Node *node);

/* Of the names that a node uses, those that are bound too late for the group are bound just before it. */
static void names_early(Fuse *fuse, Group *group, Node *node) {
    if (node->kind == N_Ident && node->symbol->id < fuse->limit) {
        const Bound *bound = &fuse->bound[node->symbol->id];
        bool late = bound->block && bound->block->id == group->block && bound->number >= group->place;
        if (late) let_early(fuse, group, bound->let);
    }
    for (int i = 0; i < node->count; i++) names_early(fuse, group, node->kids[i]);
}

static void let_early(Fuse *fuse, Group *group, Node *let) {
    Group *leader = group->leader;
    names_early(fuse, group, let->kids[0]);
    if (leader->nlets == leader->room) {
        leader->room = 2 * leader->room + 4;
        Node **lets = arena_alloc(&fuse->program->arena, sizeof *lets * (size_t)leader->room);
        for (int i = 0; i < leader->nlets; i++) lets[i] = leader->lets[i];
        leader->lets = lets;
    }
    leader->lets[leader->nlets++] = let;
    let->index = 1;
    fuse->bound[let->symbol->id].number = fuse->bound[let->symbol->id].early = group->place - 1;
}

/* Can the loop go into the group: both walk the same, or vectors of which one is the same, so that all are of equal length. */
static bool fits(const Block *block, const Group *group, const Node *loop, int company) {
    int same = 0, count = loop->count - 2;
    bool plain = true;
    if (group->block != block->id || block->early >= group->place || group->company != company ||
        group->builders + builder_count(loop->type) > MOST_BUILDERS)
        return false;
    for (int i = 0; i < count; i++) {
        same += iter_find(group, loop->kids[i]) < group->niters;
        plain &= is_plain(loop->kids[i]);
    }
    for (int i = 0; i < group->niters; i++) plain &= is_plain(group->iters[i]);
    if (plain) return same > 0 && group->niters + count - same <= MOST_ITERS;
    return same == count && count == group->niters;
}

/* A group that the loop fits, among the newest of each of its iterators. */
static Group *group_find(Fuse *fuse, const Block *block, const Node *loop, int company,
                         const uint64_t *hashes) {
    for (int i = 0; i < loop->count - 2; i++) {
        const Entry *entry = fuse->buckets[hashes[i] & fuse->mask];
        for (int tries = MOST_TRIES; entry && tries; entry = entry->next) {
            if (entry->hash != hashes[i] || entry->group->block != block->id) continue;
            if (fits(block, entry->group, loop, company)) return entry->group;
            tries--;
        }
    }
    return NULL;
}

static Group *group_new(Fuse *fuse, Block *block, const Node *loop, int company) {
    Arena *arena = &fuse->program->arena;
    Group *group = arena_alloc(arena, sizeof *group);
    int room = loop->count - 2 > MOST_ITERS ? loop->count - 2 : MOST_ITERS;
    *group = (Group){.block = block->id, .place = block->at, .company = company};
    group->last = &group->first;
    group->iters = arena_alloc(arena, sizeof *group->iters * (size_t)room);
    group->leader = block->newest && block->newest->place == block->at ? block->newest->leader : group;
    *block->last = block->newest = group;
    block->last = &group->next;
    return group;
}

/* The loop's iterators become the group's as well. */
static void add_iters(Fuse *fuse, Group *group, Member *member, const Node *loop, const uint64_t *hashes) {
    bool fresh = !group->count;
    int count = loop->count - 2;
    for (int i = 0; i < count; i++) {
        member->at[i] = fresh ? i : iter_find(group, loop->kids[i]);
        if (member->at[i] != i) group->wider = true;
        if (member->at[i] < group->niters) continue;
        group->iters[group->niters++] = loop->kids[i];
        Entry *entry = arena_alloc(&fuse->program->arena, sizeof *entry);
        *entry = (Entry){hashes[i], group, fuse->buckets[hashes[i] & fuse->mask]};
        fuse->buckets[hashes[i] & fuse->mask] = entry;
    }
    if (!fresh && group->niters != loop_of(*group->first->slot)->count - 2) group->wider = true;
    if (count != group->niters) group->wider = true;
}

static bool find_element(Walk *walk, Node **slot) {
    const Symbol **element = walk->data;
    if ((*slot)->kind == N_Ident && (*slot)->symbol == *element) *element = NULL;
    return *element != NULL;
}

/* Does it make vectors without looking at what it walks, such as zeros? It shares no reading with others, and made
 * beside them its vectors would be there long before they are needed. */
static bool is_fill(Fuse *fuse, const Node *loop) {
    const Symbol *element = params_of(loop)[2];
    if (loop->type->kind != TY_appender) return false;
    Walk walk = {fuse->program, find_element, NULL, &element};
    node_walk(&walk, &loop->kids[loop->count - 1]->kids[0]);
    return element != NULL;
}

/* Puts the loop, whose names are ready where the block says, into a group. */
static void join(Fuse *fuse, Block *block, Node **slot, Node *let) {
    Node *loop = loop_of(*slot);
    int count = loop->count - 2, own = company(loop);
    Member *member = arena_alloc(&fuse->program->arena, sizeof *member);
    uint64_t *hashes = arena_alloc(&fuse->program->arena, sizeof *hashes * (size_t)count);
    *member =
        (Member){slot, let, arena_alloc(&fuse->program->arena, sizeof *member->at * (size_t)count), NULL};
    if (is_fill(fuse, loop)) return;
    for (int i = 0; i < count; i++) {
        if (!iter_hash(loop, i, own, &hashes[i])) return;
    }
    Bound *bound = let && let->symbol->id < fuse->limit ? &fuse->bound[let->symbol->id] : NULL;
    if (bound && (*slot)->type->kind == TY_vec && let->symbol->uses && bound->walks == let->symbol->uses) {
        bound->early = block->early;
        bound->let = let;
        return;
    }
    Group *group = group_find(fuse, block, loop, own, hashes);
    if (group && block->ready >= group->place) names_early(fuse, group, loop);
    if (!group) group = group_new(fuse, block, loop, own);
    add_iters(fuse, group, member, loop, hashes);
    *group->last = member;
    group->last = &member->next;
    group->builders += builder_count(loop->type);
    if (fuse->outer_first) block->waiting->group = group;
    if (++group->count == 2) block->any = true;
    if (bound) {
        bound->number = bound->early = group->place;
        bound->placed = true;
    } else if (block->early < group->place) {
        block->early = group->place;
    }
}

static bool walk_lambda(Fuse *fuse, Block *block, const Node *node, Node *lambda) {
    if (!fuse->outer_first || node->kind != N_For) return walk_block(fuse, &lambda->kids[0]);
    if (!fuse->looks) {
        Waiting *waiting = arena_alloc(&fuse->program->arena, sizeof *waiting);
        *waiting = (Waiting){lambda, NULL, block->waiting};
        block->waiting = waiting;
    }
    fuse->looks++;
    bool keeps = walk_block(fuse, &lambda->kids[0]);
    fuse->looks--;
    return keeps;
}

/* The function of a loop runs in a block of its own. So does what a builder begins with: its loops are to stay where they are,
 * before the loop that fills the builder, whatever that one joins. */
static bool walk_kids(Fuse *fuse, Block *block, Node *node) {
    bool keeps = node_keeps(node);
    bool lazy = node->kind == N_If || node->kind == N_And || node->kind == N_Or;
    for (int i = 0; i < node->count; i++) {
        bool apart = (lazy && i > 0) || node->kids[i]->kind == N_Let || node->kind == N_NewBuilder;
        if (node->kids[i]->kind == N_Lambda)
            keeps |= walk_lambda(fuse, block, node, node->kids[i]);
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
        if (!bound->block) return false;
        if (bound->number > bound->block->ready) bound->block->ready = bound->number;
        if (bound->early > bound->block->early) bound->block->early = bound->early;
        return false;
    }
    Node *loop = loop_of(node);
    bool bare = loop == node; /* its builders go on */
    if (loop->kind != N_For || (bare && !let) || !is_fresh(loop->kids[loop->count - 2]))
        return walk_kids(fuse, block, node);
    int ready = block->ready, early = block->early;
    block->ready = block->early = 0;
    bool keeps = walk_kids(fuse, block, loop);
    if (!keeps && !fuse->looks) join(fuse, block, slot, let);
    if (ready > block->ready) block->ready = ready;
    if (early > block->early) block->early = early;
    return keeps;
}

/* ---- fusing a group ---- */

typedef struct Replace {
    Symbol *builder, *index, *element; /* of one member */
    Symbol **params;                   /* of the fused loop */
    const Group *group;
    const int *at; /* of one member */
    int number, count;
} Replace;

/* What iterator number `number` of the member yields, of the element of a wider loop. */
static Node *element_part(const Replace *replace, Program *program, Span span, int number) {
    const Node *iter = replace->group->iters[replace->at[number]];
    Node *whole = node_ident(program, span, replace->params[2]);
    if (replace->group->niters == 1) return whole;
    Node *part = node_make(program, N_Field, span, iter->type, 1, whole);
    part->index = replace->at[number];
    return part;
}

static void replace_element(Walk *walk, Node **slot) {
    const Replace *replace = walk->data;
    Node *node = *slot;
    if (replace->count == 1) {
        *slot = element_part(replace, walk->program, node->span, 0);
        return;
    }
    Node *parts = node_new(walk->program, N_Struct, node->span, node->type, replace->count);
    for (int i = 0; i < replace->count; i++)
        parts->kids[i] = element_part(replace, walk->program, node->span, i);
    *slot = parts;
}

/* Takes a field of the element without putting the element together. */
static bool replace_field(Walk *walk, Node **slot) {
    const Replace *replace = walk->data;
    const Node *node = *slot;
    if (!replace->group->wider || node->kind != N_Field || replace->count == 1) return true;
    if (node->kids[0]->kind != N_Ident || node->kids[0]->symbol != replace->element) return true;
    *slot = element_part(replace, walk->program, node->span, node->index);
    return false;
}

static void replace_use(Walk *walk, Node **slot) {
    const Replace *replace = walk->data;
    Node *node = *slot;
    if (node->kind != N_Ident) return;
    if (node->symbol == replace->index) node->symbol = replace->params[1];
    if (node->symbol == replace->element) {
        if (replace->group->wider)
            replace_element(walk, slot);
        else
            node->symbol = replace->params[2];
        return;
    }
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

/* A loop's iterators become all of the group. */
static void set_iters(Program *program, const Group *group, Node *loop) {
    Node **kids = arena_alloc(&program->arena, sizeof *kids * (size_t)(group->niters + 2));
    for (int i = 0; i < group->niters; i++) kids[i] = group->iters[i];
    kids[group->niters] = loop->kids[loop->count - 2];
    kids[group->niters + 1] = loop->kids[loop->count - 1];
    loop->kids = kids;
    loop->count = group->niters + 2;
}

static Type *element_type(Program *program, const Group *group) {
    if (group->niters == 1) return group->iters[0]->type;
    Type **types = arena_alloc(&program->arena, sizeof *types * (size_t)group->niters);
    for (int i = 0; i < group->niters; i++) types[i] = group->iters[i]->type;
    return type_make(&program->types, TY_struct, OP_none, group->niters, types);
}

/* The first member's loop becomes the loop of all. */
static Node *fused_loop(Program *program, Group *group) {
    Node *loop = loop_of(*group->first->slot), *lambda = loop->kids[loop->count - 1];
    Node *builders = node_new(program, N_Struct, loop->span, NULL, group->count);
    Node *merges = node_new(program, N_Struct, loop->span, NULL, group->count);
    Node *body = NULL, **hole = &body;
    int number = 0;
    for (Member *member = group->first; member; member = member->next) {
        Node *own = loop_of(*member->slot);
        builders->kids[number++] = own->kids[own->count - 2];
    }
    Type *type = builders->type = merges->type = struct_of(program, builders);
    Symbol *params[3] = {symbol_new(program, "bs", type), lambda->params[1], lambda->params[2]};
    if (group->wider) params[2] = symbol_new(program, "e", element_type(program, group));
    number = 0;
    for (Member *member = group->first; member; member = member->next, number++) {
        Node *own = loop_of(*member->slot);
        Symbol **names = params_of(own);
        Replace replace = {names[0], names[1], names[2], params, group, member->at, number, own->count - 2};
        Walk walk = {program, replace_field, replace_use, &replace};
        *hole = own->kids[own->count - 1]->kids[0];
        node_walk(&walk, hole);
        while ((*hole)->kind == N_Let) hole = &(*hole)->kids[1];
        merges->kids[number] = *hole;
    }
    *hole = merges;
    set_chain_type(body, merges, type);
    lambda->params[0] = params[0];
    lambda->params[2] = params[2];
    lambda->kids[0] = body;
    Type *parts[4] = {type, params[1]->type, params[2]->type, type};
    lambda->type = type_make(&program->types, TY_function, OP_none, 4, parts);
    loop->kids[loop->count - 2] = builders;
    loop->type = type;
    if (group->wider) set_iters(program, group, loop);
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
        for (int k = 0; group && group->place == i + 1 && k < group->nlets; k++) {
            *hole = group->lets[k];
            hole = &group->lets[k]->kids[1];
        }
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
        if (!bound->placed) bound->number = block.at;
        if (!bound->placed && !bound->let) bound->early = block.at;
        bound->placed = true;
    }
    block.end = *at;
    keeps |= walk_node(fuse, &block, &block.end, NULL);
    for (const Waiting *waiting = block.waiting; waiting; waiting = waiting->next) {
        if (!waiting->group || waiting->group->count == 1) walk_block(fuse, &waiting->lambda->kids[0]);
    }
    for (const Node *let = *slot; let->kind == N_Let; let = let->kids[1]) {
        if (let->symbol->id >= fuse->limit) continue;
        Bound *bound = &fuse->bound[let->symbol->id];
        bound->block = NULL;
        if (fuse->looks) bound->placed = false;
    }
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

static bool fuse_loops(Program *program, bool outer_first) {
    Fuse fuse = {.program = program, .limit = program->symbols, .outer_first = outer_first};
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

bool pass_fuse_horizontal(Program *program) {
    return fuse_loops(program, true);
}

bool pass_fuse_inner(Program *program) {
    return fuse_loops(program, false);
}
