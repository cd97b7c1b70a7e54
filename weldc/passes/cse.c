/* cse.c: what is computed twice is computed once.
 *
 *     (x * y + 1) * f(x * y)           =>  let t = x * y; (t + 1) * f(t)
 *     let a = sum(v); let b = sum(v)   =>  let a = sum(v); let b = a
 *
 * Values are numbered: nodes of one kind whose kids have the same numbers have the same number (a let's name
 * has that of its value, a parameter one for its place, so that equal functions are equal). In a block, a
 * chain of lets with its end, the first of two nodes of one number that the block always evaluates becomes a
 * let before its statement, and later ones, in the block or in blocks inside, become its name. Numbers are
 * forgotten at the end of the block: nothing moves out of an arm or a function.
 *
 * Asserts, foreign calls and builders are not shared, nor what is too cheap to have a name. Linear.
 */
#include "../weldc.h"

#include <string.h>

bool pass_cse(Program *program);

enum { KEEPS = 1, BUILDER = 2 }; /* has an assert or foreign call; names a builder outside of loop bodies */

typedef struct Block Block;

typedef struct Value Value;
struct Value {
    const Node *like; /* a node of this number, for its kind, operator, type and bits */
    int count, *kids; /* numbers */
    int id;
    Value *bucket;
    /* where it is available, if block is not NULL */
    Block *block;
    Symbol *symbol; /* its name, or NULL so far */
    Node **slot;
    int at, serial;
    Value *registered; /* the next of the block */
};

typedef struct Insert {
    int at, serial;
    Node *let;
} Insert;

struct Block {
    int at;
    Value *registered;
    Insert *inserts;
    int count, room;
    Node *end;
};

typedef struct Cse {
    Program *program;
    int *numbers; /* by symbol id; 0: none so far */
    int limit, values, level, serial;
    Value **buckets;
    uint64_t mask;
} Cse;

static int walk_block(Cse *c, Node **slot, int *flags);

/* ---- numbers ---- */

static bool same_value(const Value *value, const Node *node, const int *kids) {
    const Node *like = value->like;
    if (like->kind != node->kind || like->op != node->op || like->iter != node->iter) return false;
    if (like->type != node->type || value->count != node->count) return false;
    if (like->bits != node->bits) return false;
    if (like->kind == N_Field && like->index != node->index) return false;
    return node->count == 0 || memcmp(value->kids, kids, sizeof *kids * (size_t)node->count) == 0;
}

static bool has_value(const Node *node) {
    return node->kind != N_Ident && node->kind != N_String && !node_is_foreign(node) &&
           node->kind != N_Assert;
}

/* The value of a node whose kids have these numbers; NULL: like no other. */
static Value *value_of(Cse *c, const Node *node, const int *kids) {
    uint64_t hash = (uint64_t)node->kind << 32 | (uint64_t)node->op << 16 | node->type->id;
    if (!has_value(node)) return NULL;
    if (node->kind == N_Literal || node->kind == N_Exchange) hash = hash_mix(hash, node->bits);
    if (node->kind == N_Field) hash = hash_mix(hash, (uint64_t)node->index);
    for (int i = 0; i < node->count; i++) hash = hash_mix(hash, (uint64_t)kids[i]);
    Value **bucket = &c->buckets[hash_u64(hash) & c->mask], *value = *bucket;
    while (value && !same_value(value, node, kids)) value = value->bucket;
    if (value) return value;
    value = arena_alloc(&c->program->arena, sizeof *value);
    value->kids = arena_alloc(&c->program->arena, sizeof *kids * (size_t)(node->count + 1));
    if (!value->kids) return NULL;
    if (node->count) memcpy(value->kids, kids, sizeof *kids * (size_t)node->count);
    /* The node may change later: a copy of what counts. */
    Node *like = node_new(c->program, node->kind, node->span, node->type, 0);
    like->op = node->op;
    like->iter = node->iter;
    like->bits = node->bits;
    like->index = node->index;
    value->like = like;
    value->count = node->count;
    value->id = ++c->values;
    value->bucket = *bucket;
    *bucket = value;
    return value;
}

/* ---- sharing ---- */

/* Is it worth a name? */
static bool is_costly(const Node *node) {
    switch (node->kind) {
    case N_Binary:
    case N_Unary:
    case N_If:
    case N_Lookup:
    case N_OptLookup:
    case N_KeyExists:
    case N_Exchange:
    case N_Slice:
    case N_Sort:
    case N_ToVec:
    case N_Serialize:
    case N_Deserialize:
    case N_Iterate:
    case N_Result:
    case N_Vec: return !node->type->builders;
    default: return false;
    }
}

static void insert(Cse *c, Block *block, int at, int serial, Node *let) {
    Insert *inserts =
        arena_room(&c->program->arena, block->inserts, block->count, &block->room, sizeof *inserts);
    if (!inserts) return;
    block->inserts = inserts;
    inserts[block->count++] = (Insert){at, serial, let};
}

/* The value is computed again: the first time gets a name, and this one uses it. */
static void share(Cse *c, Value *value, Node **slot) {
    Program *program = c->program;
    if (!value->symbol) {
        Node *node = *value->slot;
        value->symbol = symbol_new(program, "t", node->type);
        Node *let = node_new(program, N_Let, node->span, NULL, 2);
        let->symbol = value->symbol;
        let->text = value->symbol->name;
        let->kids[0] = node;
        *value->slot = node_ident(program, node->span, value->symbol);
        insert(c, value->block, value->at, value->serial, let);
    }
    *slot = node_ident(program, (*slot)->span, value->symbol);
}

static void offer(Cse *c, Block *block, Value *value, Node **slot) {
    value->block = block;
    value->symbol = NULL;
    value->slot = slot;
    value->at = block->at;
    value->serial = c->serial++;
    value->registered = block->registered;
    block->registered = value;
}

/* ---- the walk ---- */

static int number_of_name(Cse *c, Symbol *symbol) {
    if (symbol->id >= c->limit) return ++c->values;
    int *number = &c->numbers[symbol->id];
    if (!*number) *number = ++c->values;
    return *number;
}

/* Parameters are numbered by their places, like nodes that do not occur. */
static int walk_lambda(Cse *c, Node *lambda, int *flags) {
    c->level++;
    for (int i = 0; i < lambda->nparams; i++) {
        Symbol *param = lambda->params[i];
        Node at = {.kind = N_Literal,
                   .iter = IT_nd,
                   .type = param->type,
                   .bits = (uint64_t)c->level << 8 | (uint64_t)i};
        const Value *value = value_of(c, &at, &(int){0});
        if (value && param->id < c->limit) c->numbers[param->id] = value->id;
    }
    int inside = 0, number = walk_block(c, &lambda->kids[0], &inside);
    *flags |= inside & KEEPS;
    c->level--;
    return number;
}

/* Returns the number of the node at *slot, which the block always evaluates. */
static int walk_node(Cse *c, Block *block, Node **slot, int *flags) {
    Node *node = *slot;
    int few[8], *kids = few, own = 0;
    if (node->kind == N_Ident) {
        if (node->type->builders) *flags |= BUILDER;
        return number_of_name(c, node->symbol);
    }
    if (node->count > 8) kids = arena_alloc(&c->program->arena, sizeof *kids * (size_t)node->count);
    if (!kids) return ++c->values;
    bool lazy = node->kind == N_If || node->kind == N_And || node->kind == N_Or;
    for (int i = 0; i < node->count; i++) {
        Node **kid = &node->kids[i];
        if ((*kid)->kind == N_Lambda)
            kids[i] = walk_lambda(c, *kid, &own);
        else if ((lazy && i > 0) || (*kid)->kind == N_Let)
            kids[i] = walk_block(c, kid, &own);
        else
            kids[i] = walk_node(c, block, kid, &own);
    }
    if (node_keeps(node)) own |= KEEPS;
    *flags |= own;
    Value *value = own & KEEPS ? NULL : value_of(c, node, kids);
    if (!value) return ++c->values;
    if (own || !is_costly(node)) return value->id;
    if (value->block)
        share(c, value, slot);
    else
        offer(c, block, value, slot);
    return value->id;
}

static int compare_inserts(const Insert *a, const Insert *b) {
    return a->at != b->at ? a->at - b->at : a->serial - b->serial;
}

/* By statement, then inner expressions before outer ones. Bottom-up merge sort. */
static void sort_inserts(Cse *c, Block *block) {
    Insert *from = block->inserts, *to = arena_alloc(&c->program->arena, sizeof *to * (size_t)block->count);
    for (int width = 1; to && width < block->count; width *= 2) {
        for (int begin = 0; begin < block->count; begin += 2 * width) {
            int a = begin, middle = begin + width < block->count ? begin + width : block->count;
            int b = middle, end = middle + width < block->count ? middle + width : block->count;
            for (int i = begin; i < end; i++) {
                bool left = b == end || (a < middle && compare_inserts(&from[a], &from[b]) <= 0);
                to[i] = from[left ? a++ : b++];
            }
        }
        Insert *other = from;
        from = to;
        to = other;
    }
    block->inserts = from;
}

static void lay_out(Cse *c, Block *block, Node **slot) {
    Node *next = *slot, **hole = slot;
    int done = 0;
    sort_inserts(c, block);
    for (int at = 1; at <= block->at; at++) {
        for (; done < block->count && block->inserts[done].at == at; done++) {
            *hole = block->inserts[done].let;
            hole = &(*hole)->kids[1];
        }
        if (at == block->at) break;
        *hole = next;
        hole = &next->kids[1];
        next = next->kids[1];
    }
    *hole = block->end;
    for (Node *let = *slot; let != block->end; let = let->kids[1]) let->type = block->end->type;
}

/* Returns the number of the block's value. */
static int walk_block(Cse *c, Node **slot, int *flags) {
    Block block = {.at = 1};
    Node **at = slot;
    for (; (*at)->kind == N_Let; at = &(*at)->kids[1], block.at++) {
        Node *let = *at, **value = &let->kids[0];
        int own = 0, number;
        number = (*value)->kind == N_Let ? walk_block(c, value, &own) : walk_node(c, &block, value, &own);
        if ((own & BUILDER) || (*value)->type->builders) own |= KEEPS; /* a merge that nobody may name */
        *flags |= own;
        if (let->symbol->id < c->limit) c->numbers[let->symbol->id] = number;
        if (block.registered && block.registered->slot == value) block.registered->symbol = let->symbol;
    }
    block.end = *at;
    int number = walk_node(c, &block, &block.end, flags);
    for (Value *value = block.registered; value; value = value->registered) value->block = NULL;
    if (block.count)
        lay_out(c, &block, slot);
    else
        *at = block.end;
    return number;
}

static bool count_node(Walk *walk, Node **slot) {
    Cse *c = walk->data;
    (void)slot;
    c->mask++;
    return true;
}

bool pass_cse(Program *program) {
    Cse c = {.program = program, .limit = program->symbols};
    Walk count = {program, count_node, NULL, &c};
    node_walk(&count, &program->root);
    uint64_t buckets = 64;
    while (buckets < c.mask) buckets *= 2;
    c.mask = buckets - 1;
    c.numbers = arena_alloc(&program->arena, sizeof *c.numbers * (size_t)(c.limit + 1));
    c.buckets = arena_alloc(&program->arena, sizeof *c.buckets * buckets);
    if (!c.numbers || !c.buckets)
        return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    int flags = 0;
    walk_lambda(&c, program->root, &flags);
    return true;
}
