/* cg_sieve.c: costly mathematics that a loop does only where a condition holds.
 *
 *     |b, i, e| if(e.$0 < bound, merge(b, exp(e.$1)), b)
 *
 * With the condition as a mask, functions on vectors would compute lanes that nobody wants, and loads under a mask wait for
 * it, so that a processor does not see the next ones. Therefore iterations are sieved: what the mathematics needs of
 * those that are kept is gathered in buffers, and it runs over full ones:
 *
 *     while there are iterations and fewer than SIEVE are kept, 8 at a time:
 *         mask = elements.$0 < bound;  store compress(elements.$1, mask) at buffer + kept;  kept += popcount(mask)
 *     for k up to the least of kept and SIEVE:
 *         merge(b, exp(buffer[k]))                a loop of nothing else, which LLVM vectorizes
 *     what is kept beyond these goes to the front, and all again, until neither iterations nor kept ones are left
 *
 * So each run of the second loop but the last is of SIEVE iterations, a multiple of any vector, and merges happen in the loop's
 * order. What a condition is made of, and lets before it that cost little, are computed for all iterations; a let
 * with mathematics that no condition needs is computed behind the sieve. Conditions within conditions are one.
 *
 * Requires what cg_filter.c does of the values before the sieve, and that all behind it is arithmetic that cannot fail and
 * merges into appenders, and mergers that LLVM vectorizes. These are selection vectors as in MonetDB/X100 (Boncz et al.,
 * Hyper-Pipelining Query Execution, CIDR 2005), made dense.
 */
#include "cg_filter.h"

enum { SIEVE = 256, SIEVE_LEAVES = 12, SIEVE_CONDITIONS = 8, SIEVE_NODES = 256 };

/* A leaf of a name of the body that is needed behind the sieve. */
typedef struct Kept {
    const Node *ident;
    int leaf;
    const Type *type;
    LLVMValueRef buffer;
} Kept;

typedef struct Sieve {
    Filter lanes; /* first: what cg_wide_expr hands back is a Filter */
    struct {
        const Node *node;
        bool holds; /* is what is behind it its first arm */
    } condition[SIEVE_CONDITIONS];
    int nconditions;
    const Node *late[MOST_LETS]; /* lets that are computed behind the sieve */
    int nlate;
    const Node *rest; /* what is done behind it */
    Kept kept[SIEVE_LEAVES];
    int nkept, budget;
    bool math;                 /* behind it */
    LLVMValueRef index, count; /* slots: of the next group; how many are kept */
} Sieve;

/* ---- which loops ---- */

static bool is_math(const Node *node) {
    if (node->kind != N_Unary && node->kind != N_Binary) return false;
    return op_classes[node->op].class == 'f' && node->op != OP_sqrt;
}

static bool is_small(const Node *node, int *budget) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (--*budget < 0 || !is_small(node->kids[0], budget)) return false;
    }
    if (--*budget < 0) return false;
    for (int i = 0; i < node->count; i++) {
        if (!is_small(node->kids[i], budget)) return false;
    }
    return true;
}

static bool has_math(const Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (has_math(node->kids[0])) return true;
    }
    if (is_math(node)) return true;
    for (int i = 0; i < node->count; i++) {
        if (has_math(node->kids[i])) return true;
    }
    return false;
}

/* Builders by name: nothing is merged. */
static bool is_untouched(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    if (node->kind == N_Ident) return node->type->builders;
    if (node->kind != N_Struct) return false;
    for (int i = 0; i < node->count; i++) {
        if (!is_untouched(node->kids[i])) return false;
    }
    return true;
}

static bool uses_late(const Sieve *sieve, const Node *node) {
    for (int i = 0; i < sieve->nlate; i++) {
        if (node_uses(node, sieve->late[i]->symbol)) return true;
    }
    return false;
}

/* Lets before a condition, and which of them it needs. */
typedef struct Before {
    const Node *let[MOST_LETS], *branch;
    bool needed[MOST_LETS];
    int count;
} Before;

static bool find_branch(const Node *node, Before *out) {
    out->count = 0;
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (out->count == MOST_LETS || !type_is_flat(node->symbol->type)) return false;
        out->let[out->count++] = node;
    }
    out->branch = node;
    if (node->kind != N_If) return false;
    for (int i = out->count; i-- > 0;) {
        const Symbol *symbol = out->let[i]->symbol;
        out->needed[i] = node_uses(node->kids[0], symbol);
        for (int k = i + 1; k < out->count && !out->needed[i]; k++)
            out->needed[i] = out->needed[k] && node_uses(out->let[k]->kids[0], symbol);
    }
    return true;
}

static bool takes_let(Sieve *sieve, const Node *let, bool needed) {
    bool waits = uses_late(sieve, let->kids[0]) || (has_math(let->kids[0]) && !needed);
    if (!waits) return cg_filter_takes_let(&sieve->lanes, let);
    if (needed || sieve->nlate == MOST_LETS) return false;
    sieve->late[sieve->nlate++] = let;
    return true;
}

static bool takes_condition(Sieve *sieve, const Before *before) {
    for (int i = 0; i < before->count; i++) {
        if (!takes_let(sieve, before->let[i], before->needed[i])) return false;
    }
    return cg_filter_takes(&sieve->lanes, before->branch->kids[0]);
}

/* Behind a condition another one is part of it, unless mathematics is needed for it. */
static bool is_cheap_condition(const Before *before) {
    for (int i = 0; i < before->count; i++) {
        if (before->needed[i] && has_math(before->let[i]->kids[0])) return false;
    }
    return !has_math(before->branch->kids[0]);
}

/* Lets and a condition with nothing to do where it does not hold: what is behind it, else NULL. */
static const Node *behind_condition(Sieve *sieve, const Node *node) {
    Before before;
    if (sieve->nconditions == SIEVE_CONDITIONS || !find_branch(node, &before)) return NULL;
    if (sieve->nconditions && !is_cheap_condition(&before)) return NULL;
    const Node *branch = before.branch;
    bool holds = is_untouched(branch->kids[2]);
    if (!holds && !is_untouched(branch->kids[1])) return NULL;
    int lets = sieve->lanes.nlets, late = sieve->nlate;
    if (!takes_condition(sieve, &before)) {
        sieve->lanes.nlets = lets;
        sieve->nlate = late;
        return NULL;
    }
    sieve->condition[sieve->nconditions].node = branch->kids[0];
    sieve->condition[sieve->nconditions++].holds = holds;
    return branch->kids[holds ? 1 : 2];
}

static bool takes_merge(const Node *merge) {
    const Type *type = merge->type;
    if (type->kind == TY_appender) return type_is_flat(type->args[0]);
    return type->kind == TY_merger && (type->op == OP_add || type->op == OP_mul) &&
           type_is_flat(type->args[0]);
}

/* Arithmetic that cannot fail, and merges. */
static bool takes_rest(Sieve *sieve, const Node *node) {
    Cg *cg = sieve->lanes.wide.cg;
    const Type *type = node->type;
    if (--sieve->budget < 0 || (!type->builders && !type_is_flat(type))) return false;
    switch (node->kind) {
    case N_Len: return node->kids[0]->kind == N_Ident && cg->values[node->kids[0]->symbol->id];
    case N_Merge:
        if (!takes_merge(node)) return false;
        break;
    case N_Binary:
        if (node->op == OP_rem || ((op_classes[node->op].traits & FAILS) && !type_is_float(type)))
            return false;
        break;
    case N_Compare:
        if (!type_is_scalar(node->kids[0]->type)) return false;
        break;
    case N_Literal:
    case N_Ident:
    case N_Field:
    case N_Let:
    case N_Struct:
    case N_Unary:
    case N_Cast:
    case N_And:
    case N_Or:
    case N_Select:
    case N_If: break;
    default: return false;
    }
    if (is_math(node)) {
        if (!cg_math_has_lanes(cg, node->op, type, WELD_LANES)) return false;
        sieve->math = true;
    }
    for (int i = 0; i < node->count; i++) {
        if (!takes_rest(sieve, node->kids[i])) return false;
    }
    return true;
}

static bool is_of_body(Sieve *sieve, const Symbol *symbol) {
    const Node *lambda = sieve->lanes.loop->lambda;
    return symbol == lambda->params[1] || symbol == lambda->params[2] ||
           cg_filter_late(&sieve->lanes, symbol);
}

static bool keep(Sieve *sieve, const Node *ident, int leaf) {
    for (int i = 0; i < sieve->nkept; i++) {
        if (sieve->kept[i].ident->symbol == ident->symbol && sieve->kept[i].leaf == leaf) return true;
    }
    if (sieve->nkept == SIEVE_LEAVES) return false;
    const Type *type = leaf_place(ident->symbol->type, leaf, NULL);
    sieve->kept[sieve->nkept++] = (Kept){ident, leaf, type, NULL};
    return true;
}

/* Lists what the value needs of the iteration. */
static bool keep_names(Sieve *sieve, const Node *node) {
    const Node *name = node;
    int at = 0;
    for (; name->kind == N_Field; name = name->kids[0]) at += leaf_at(name->kids[0]->type, name->index);
    if (name->kind == N_Ident) {
        if (!is_of_body(sieve, name->symbol)) return true;
        for (int i = 0; i < leaf_count(node->type); i++) {
            if (!keep(sieve, name, at + i)) return false;
        }
        return true;
    }
    for (int i = 0; i < node->count; i++) {
        if (!keep_names(sieve, node->kids[i])) return false;
    }
    return true;
}

static unsigned width_for(const Sieve *sieve) {
    int64_t largest = sieve->lanes.widest;
    for (int i = 0; i < sieve->nkept; i++) {
        if (sieve->kept[i].type->size > largest) largest = sieve->kept[i].type->size;
    }
    return largest > 4 || sieve->lanes.wide.cg->compress == COMPRESS_PERMUTE ? 8 : 16;
}

static bool plan(Sieve *sieve, Cg *cg, const Loop *loop) {
    *sieve = (Sieve){.lanes = {.wide = {cg, 8, cg_filter_name, cg_filter_other}, .loop = loop}};
    sieve->lanes.budget = sieve->budget = SIEVE_NODES;
    if (cg->compress == COMPRESS_NONE || loop->mark || !cg_filter_walks(loop)) return false;
    int small = SIEVE_NODES;
    sieve->rest = loop->lambda->kids[0];
    if (!is_small(sieve->rest, &small) || !has_math(sieve->rest)) return false;
    for (const Node *next = sieve->rest; next; next = behind_condition(sieve, next)) sieve->rest = next;
    if (!sieve->nconditions || !takes_rest(sieve, sieve->rest)) return false;
    for (int i = 0; i < sieve->nlate; i++) {
        if (!takes_rest(sieve, sieve->late[i]->kids[0]) || !keep_names(sieve, sieve->late[i]->kids[0]))
            return false;
    }
    if (!sieve->math || !keep_names(sieve, sieve->rest)) return false;
    sieve->lanes.wide.width = width_for(sieve);
    return true;
}

bool cg_sieve_pays(Cg *cg, const Loop *loop) {
    Sieve *sieve = arena_alloc(&cg->program->arena, sizeof *sieve);
    return sieve && plan(sieve, cg, loop);
}

/* ---- code ---- */

static Leaf mask_of(Sieve *sieve) {
    LLVMBuilderRef builder = sieve->lanes.wide.cg->builder;
    Wide *wide = &sieve->lanes.wide;
    Leaf mask = NULL;
    for (int i = 0; i < sieve->nconditions; i++) {
        Leaf holds = cg_wide_spread(wide, cg_wide_one(wide, sieve->condition[i].node));
        if (!sieve->condition[i].holds) holds = LLVMBuildNot(builder, holds, "");
        mask = mask ? LLVMBuildAnd(builder, mask, holds, "") : holds;
    }
    return mask;
}

/* The next group of iterations: those for which the conditions hold go to the buffers. */
static void gather(Sieve *sieve) {
    Cg *cg = sieve->lanes.wide.cg;
    Wide *wide = &sieve->lanes.wide;
    LLVMBasicBlockRef some = cg_block(cg, "some"), after = cg_block(cg, "");
    LLVMValueRef count = cg_load_at(cg, cg->i64, sieve->count, 0), next = count;
    sieve->lanes.index = cg_load_at(cg, cg->i64, sieve->index, 0);
    LLVMValueRef index = LLVMBuildNUWAdd(cg->builder, sieve->lanes.index, cg_i64(cg, wide->width), "");
    cg_store_at(cg, index, sieve->index, 0);
    Leaf mask = mask_of(sieve);
    LLVMTypeRef as = LLVMIntTypeInContext(cg->context, wide->width);
    LLVMValueRef bits = LLVMBuildBitCast(cg->builder, mask, as, "");
    LLVMValueRef any = LLVMBuildICmp(cg->builder, LLVMIntNE, bits, LLVMConstNull(as), "");
    LLVMBuildCondBr(cg->builder, any, some, after);
    cg_goto(cg, some);
    for (int i = 0; i < sieve->nkept; i++) {
        const Kept *kept = &sieve->kept[i];
        Leaf value = cg_wide_spread(wide, cg_filter_name(wide, kept->ident, kept->leaf, 1)[0]);
        next = cg_compress_store(&sieve->lanes, kept->type, value, mask, kept->buffer, count);
    }
    cg_store_at(cg, next, sieve->count, 0);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
}

/* The names of the body mean what is in the buffers. */
static void bind_kept(Sieve *sieve, LLVMValueRef number) {
    Cg *cg = sieve->lanes.wide.cg;
    const Loop *loop = sieve->lanes.loop;
    cg_bind(cg, loop->lambda->params[0], loop->builders);
    for (int i = 0; i < sieve->nkept; i++) {
        const Symbol *symbol = sieve->kept[i].ident->symbol;
        Leaf *leaves = cg_leaves(cg, symbol->type);
        for (int k = 0; k < leaf_count(symbol->type); k++)
            leaves[k] = LLVMGetUndef(cg_scalar_type(cg, leaf_place(symbol->type, k, NULL)));
        for (int k = 0; k < sieve->nkept; k++) {
            const Kept *kept = &sieve->kept[k];
            if (kept->ident->symbol != symbol) continue;
            LLVMValueRef at = cg_element(cg, kept->type, kept->buffer, number);
            cg_load(cg, kept->type, at, NULL, &leaves[kept->leaf]);
        }
        cg_bind(cg, symbol, leaves);
    }
}

/* What is done for the first `count` that are kept, at least one. */
static void work(Sieve *sieve, LLVMValueRef count) {
    Cg *cg = sieve->lanes.wide.cg;
    Counter counter = cg_counter_open(cg, cg_i64(cg, 0), count);
    bind_kept(sieve, counter.index);
    for (int i = 0; i < sieve->nlate; i++)
        cg_bind(cg, sieve->late[i]->symbol, cg_expr(cg, sieve->late[i]->kids[0]));
    cg_expr(cg, sieve->rest);
    cg_mark_calls(cg, cg_counter_close(cg, &counter));
}

/* The others, fewer than a group, go to the front. */
static void move_to_front(Sieve *sieve, LLVMValueRef from) {
    Cg *cg = sieve->lanes.wide.cg;
    for (int i = 0; i < sieve->nkept; i++) {
        const Kept *kept = &sieve->kept[i];
        LLVMTypeRef word = LLVMIntTypeInContext(cg->context, (unsigned)(8 * kept->type->size));
        LLVMTypeRef as = LLVMVectorType(word, sieve->lanes.wide.width);
        LLVMValueRef some = cg_load_at(cg, as, cg_element(cg, kept->type, kept->buffer, from), 0);
        LLVMSetAlignment(some, (unsigned)kept->type->align);
        LLVMSetAlignment(LLVMBuildStore(cg->builder, some, kept->buffer), (unsigned)kept->type->align);
    }
}

static void open_buffers(Sieve *sieve, LLVMValueRef begin) {
    Cg *cg = sieve->lanes.wide.cg;
    for (int i = 0; i < sieve->nkept; i++) {
        int64_t room = SIEVE + (int64_t)sieve->lanes.wide.width;
        sieve->kept[i].buffer = cg_slot(cg, room * sieve->kept[i].type->size, 64);
    }
    sieve->index = cg_slot(cg, 8, 8);
    sieve->count = cg_slot(cg, 8, 8);
    cg_store_at(cg, begin, sieve->index, 0);
    cg_store_at(cg, cg_i64(cg, 0), sieve->count, 0);
}

/* Until `stop`, whole groups from `begin` on. */
static void all_groups(Sieve *sieve, LLVMValueRef stop) {
    Cg *cg = sieve->lanes.wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef fill = cg_block(cg, "sieve"), group = cg_block(cg, ""), full = cg_block(cg, ""),
                      some = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMBuildBr(builder, fill);
    cg_goto(cg, fill);
    LLVMValueRef index = cg_load_at(cg, cg->i64, sieve->index, 0);
    LLVMValueRef count = cg_load_at(cg, cg->i64, sieve->count, 0), size = cg_i64(cg, SIEVE);
    LLVMValueRef more = LLVMBuildICmp(builder, LLVMIntNE, index, stop, "");
    more = LLVMBuildAnd(builder, more, LLVMBuildICmp(builder, LLVMIntULT, count, size, ""), "");
    LLVMBuildCondBr(builder, more, group, full);
    cg_goto(cg, group);
    gather(sieve);
    LLVMBuildBr(builder, fill);
    cg_goto(cg, full);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, count, cg_i64(cg, 0), ""), some, after);
    cg_goto(cg, some);
    LLVMValueRef done = cg_least(cg, count, size);
    work(sieve, done);
    move_to_front(sieve, done);
    cg_store_at(cg, LLVMBuildSub(builder, count, done, ""), sieve->count, 0);
    LLVMBuildBr(builder, fill);
    cg_goto(cg, after);
}

LLVMValueRef cg_sieve_loop(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end) {
    Sieve *sieve = arena_alloc(&cg->program->arena, sizeof *sieve);
    if (!sieve || !plan(sieve, cg, loop)) return begin;
    sieve->lanes.element = cg_leaves(cg, loop->lambda->params[2]->type);
    if (!sieve->lanes.element) return begin;
    LLVMValueRef whole = LLVMBuildAnd(cg->builder, LLVMBuildSub(cg->builder, end, begin, ""),
                                      cg_i64(cg, -(int64_t)sieve->lanes.wide.width), "");
    LLVMValueRef stop = LLVMBuildAdd(cg->builder, begin, whole, "");
    open_buffers(sieve, begin);
    all_groups(sieve, stop);
    return stop;
}
