/* licm.c: what does not change in a loop is computed before it.
 *
 *     for(v, b, |b, i, x| merge(b, x / result(for(w, merger[f64,+], |c, j, y| merge(c, y)))))
 *  =>
 *     let t = result(for(w, ..)); for(v, b, |b, i, x| merge(b, x / t))
 *
 * The body of a function, an arm, or lets in an operand are a *block*, a level deeper than the block around.
 * A value that the body of a loop computes whatever happens moves out, as long as the block is the body of a
 * loop and no name that the value uses is bound there. It must not be able to fail, since the loop may run
 * zero times, nor touch a builder of others or a foreign function. The function of an iterate runs at least once, so from there what
 * may fail moves as well, and what ranks exchange, with the condition that says whether they do. An inner loop cannot fail if it walks one
 * whole vector and its body cannot. Scalar arithmetic stays, LLVM moves it; what moves is loops, vectors,
 * sorts, and functions of libm.
 *
 * One walk; of the names below a node, the levels are kept as bits. Linear.
 */
#include "../weldc.h"

bool pass_licm(Program *program);

enum { LEVELS = 64 };

typedef struct Moved Moved;
struct Moved {
    int at; /* the statement before which it goes */
    Node *let;
    Moved *next;
};

/* Of a node and all below. */
typedef struct Needs {
    uint64_t levels;   /* that bind names which are used */
    uint64_t builders; /* those that bind builders which are named outside of the bodies of their loops */
    bool fixed;        /* has an effect */
    bool fails;        /* may fail, or not end */
    bool exchanges;    /* something that ranks send */
} Needs;

typedef struct Block Block;
struct Block {
    Block *outer;
    enum {
        ARM,
        LOOP,
        STEP,
        VALUE
    } kind; /* STEP: of an iterate. VALUE: lets in an operand; it runs when the block around does */
    int level, at;
    Moved *first, **last;
    Needs moved; /* of what came here from further inside */
    Node *end;
};

typedef struct Licm {
    Program *program;
    Node *moved; /* the last let that was made of a value that moved */
    int *levels; /* by symbol id */
    int limit;
} Licm;

static Needs walk_block(Licm *licm, Block *outer, Node **slot, Node *lambda, int kind);

static bool checks_merges(const Type *builder) {
    if (builder->kind == TY_vecmerger) return true;
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++) {
        if (checks_merges(builder->args[i])) return true;
    }
    return false;
}

static bool is_fixed(const Node *node) {
    if (node->kind != N_Exchange) return node_is_foreign(node) || node_keeps(node) || node->kind == N_Room;
    return node->bits >= EXCHANGE_host && node->bits <= EXCHANGE_take; /* what a parameter server does */
}

/* Can the node itself fail, or may it not end? */
static bool may_fail(const Node *node) {
    switch (node->kind) {
    case N_Binary:
        if (!(op_classes[node->op].traits & FAILS) || type_is_float(node->type)) return false;
        return node->kids[1]->kind != N_Literal || node->kids[1]->bits == 0;
    case N_Iter: return node->count > 1;
    case N_For: return node->count > 3;
    case N_Merge: return checks_merges(node->type);
    case N_Iterate: return true;
    default: return (node_classes[node->kind].traits & FAILS) != 0;
    }
}

static bool is_exchange(const Node *node) {
    return node->kind == N_Exchange && *exchange_classes[node->bits].sends;
}

/* Is it worth moving? */
static bool is_costly(const Node *node, const Needs *needs) {
    switch (node->kind) {
    case N_If: return needs->exchanges || is_costly(node->kids[1], needs) || is_costly(node->kids[2], needs);
    case N_Unary: return op_classes[node->op].class == 'f' && node->kids[0]->kind != N_Literal;
    case N_Binary: return op_classes[node->op].class == 'f';
    case N_Vec: return node->count > 0;
    case N_Result:
    case N_Sort:
    case N_ToVec:
    case N_Iterate:
    case N_Serialize: return true;
    default: return is_exchange(node);
    }
}

/* The outermost block that may compute a value which uses names of these levels; the block itself if there is
 * no loop in between. */
static Block *home_of(Block *block, uint64_t levels, bool fails) {
    Block *home = block, *outer = block;
    while (outer->kind != ARM && !(fails && outer->kind == LOOP) && !(levels >> outer->level)) {
        bool loop = outer->kind != VALUE;
        outer = outer->outer;
        if (loop) home = outer;
    }
    return home;
}

static void needs_add(Needs *needs, Needs more) {
    needs->levels |= more.levels;
    needs->builders |= more.builders;
    needs->fixed |= more.fixed;
    needs->fails |= more.fails;
    needs->exchanges |= more.exchanges;
}

/* Moves the value before the statement of a block. Returns the levels of what stands there now. */
static uint64_t move(Licm *licm, Block *block, Node **slot, Needs needs) {
    Program *program = licm->program;
    needs_add(&block->moved, needs);
    Node *node = *slot;
    Symbol *name = symbol_new(program, "t", node->type);
    Node *let = node_new(program, N_Let, node->span, NULL, 2);
    let->symbol = name;
    let->text = name->name;
    let->kids[0] = node;
    Moved *moved = arena_alloc(&program->arena, sizeof *moved);
    *moved = (Moved){block->at, let, NULL};
    licm->moved = let;
    *block->last = moved;
    block->last = &moved->next;
    *slot = node_ident(program, node->span, name);
    return (uint64_t)1 << block->level;
}

static Needs walk_node(Licm *licm, Block *block, Node **slot) {
    Node *node = *slot;
    Needs needs = {0};
    if (node->kind == N_Ident) {
        if (node->symbol->id < licm->limit) needs.levels = (uint64_t)1 << licm->levels[node->symbol->id];
        if (node->type->builders) needs.builders = needs.levels;
        return needs;
    }
    bool lazy = node->kind == N_If || node->kind == N_And || node->kind == N_Or;
    for (int i = 0; i < node->count; i++) {
        Node **kid = &node->kids[i];
        Needs below;
        if ((*kid)->kind == N_Lambda) {
            int kind = node->kind == N_For ? LOOP : node->kind == N_Iterate ? STEP : ARM;
            below = walk_block(licm, block, &(*kid)->kids[0], *kid, kind);
            if (node->kind != N_Apply) below.builders = 0;
        } else if ((lazy && i > 0) || (*kid)->kind == N_Let) {
            below = walk_block(licm, block, kid, NULL, lazy && i > 0 ? ARM : VALUE);
        } else {
            below = walk_node(licm, block, kid);
        }
        needs_add(&needs, below);
    }
    needs.fixed |= is_fixed(node);
    needs.fails |= may_fail(node);
    needs.exchanges |= is_exchange(node);
    bool stays = needs.fixed || needs.builders || node->type->builders || !is_costly(node, &needs);
    Block *home = stays ? block : home_of(block, needs.levels, needs.fails);
    if (home != block) needs.levels = move(licm, home, slot, needs);
    return needs;
}

static void lay_out(Block *block, Node **slot) {
    Node *next = *slot, **hole = slot;
    Moved *moved = block->first;
    for (int at = 1; at <= block->at; at++) {
        for (; moved && moved->at == at; moved = moved->next) {
            *hole = moved->let;
            hole = &moved->let->kids[1];
        }
        if (at == block->at) break;
        *hole = next;
        hole = &next->kids[1];
        next = next->kids[1];
    }
    *hole = block->end;
    for (Node *let = *slot; let != block->end; let = let->kids[1]) let->type = block->end->type;
}

/* The block before the iterate, for a condition or a number that does not change in its step, so that what needs it may move, too; or
 * NULL. */
static Block *decides_before(Block *block, const Node *let, Needs needs) {
    const Node *value = let->kids[0];
    bool stays = needs.fixed || needs.builders || value->kind == N_Ident || value->kind == N_Literal;
    TypeKind kind = let->symbol->type->kind;
    if ((kind != TY_bool && kind != TY_i64) || stays) return NULL;
    Block *home = home_of(block, needs.levels, true);
    return home != block ? home : NULL;
}

/* let few = t; in the block, and let t = ..; outside   =>   let few = ..; outside, so that values that use it can follow. */
static void keep_name(Licm *licm, Node *let, uint64_t levels) {
    Node *value = let->kids[0], *moved = licm->moved;
    if (!moved || value->kind != N_Ident || value->symbol != moved->symbol || !levels) return;
    Symbol *name = let->symbol;
    let->symbol = moved->symbol;
    let->text = let->symbol->name;
    moved->symbol = value->symbol = name;
    moved->text = name->name;
    licm->levels[name->id] = 63 - __builtin_clzll(levels);
    licm->moved = NULL;
}

/* lambda: whose body it is, or NULL. Names that are bound in the block do not count outside. */
static Needs walk_block(Licm *licm, Block *outer, Node **slot, Node *lambda, int kind) {
    Block block = {.outer = outer, .kind = kind, .level = outer ? outer->level + 1 : 0, .at = 1};
    Needs needs = {0};
    if (block.level == LEVELS - 1)
        return (Needs){.builders = 1, .fixed = true, .fails = true}; /* too deep to look */
    block.last = &block.first;
    for (int i = 0; lambda && i < lambda->nparams; i++) licm->levels[lambda->params[i]->id] = block.level;
    Node **at = slot;
    for (; (*at)->kind == N_Let; at = &(*at)->kids[1], block.at++) {
        Node *let = *at, **value = &let->kids[0];
        Needs below = (*value)->kind == N_Let ? walk_block(licm, &block, value, NULL, VALUE)
                                              : walk_node(licm, &block, value);
        needs_add(&needs, below);
        licm->levels[let->symbol->id] = block.level;
        Block *before = decides_before(&block, let, below);
        if (before) below.levels = move(licm, before, value, below);
        keep_name(licm, let, below.levels);
    }
    block.end = *at;
    Needs below = walk_node(licm, &block, &block.end);
    needs_add(&needs, below);
    needs_add(&needs, block.moved);
    needs.levels &= ((uint64_t)1 << block.level) - 1;
    needs.builders &= needs.levels;
    if (block.first)
        lay_out(&block, slot);
    else
        *at = block.end;
    return needs;
}

bool pass_licm(Program *program) {
    Licm licm = {.program = program, .limit = program->symbols};
    licm.levels = arena_alloc(&program->arena, sizeof *licm.levels * (size_t)(licm.limit + 1));
    if (!licm.levels) return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    walk_block(&licm, NULL, &program->root->kids[0], program->root, ARM);
    return true;
}
