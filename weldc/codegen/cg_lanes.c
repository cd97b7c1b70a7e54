/* cg_lanes.c: eight iterations of a loop at once, where loops inside run alike in all of them.
 *
 *     for(rangeiter(0L, n, 1L), b, |b, row, e|
 *       let point = slice(data, row * dim, dim);
 *       let near = iterate({0L, 0.0}, |s| .. distance of point to center s.$0 .. {{s.$0 + 1L, ..}, s.$0 + 1L < k});
 *       ..)
 *
 * A value that is the same in all lanes is *uniform*, and a scalar in LLVM; one that *varies* is wide: a vector of
 * WELD_LANES lanes. Expressions are those of cg_wide.c; here are loops, slices and lookups. Loops run as they are,
 * once for all lanes, which asks that their lengths and conditions are uniform: cg_lanes_judge.c decides that. A
 * vector that varies is a vector of pointers and one length; those bound by a let, which inner loops may walk many
 * times, are copied into a buffer that has an element of all lanes side by side. A loop that holds no other takes four
 * iterations at a time, with sums of their own.
 *
 * Every check that fails in a lane, a slice that is cut off in one, or rows of a length that the buffer does
 * not hold, give up: the iterations are done one by one, as they would have been, and fail there if they must.
 * Nothing has an effect before, since only values without builders from outside are computed.
 *
 * This is how SPMD compilers vectorize (Pharr and Mark, ispc: A SPMD Compiler for High-Performance CPU
 * Programming, InPar 2012), for uniform control flow only.
 */
#include "cg.h"

#include <limits.h>

enum { ROW_MOST = 64 };

/* Gives up unless it holds in all lanes. */
static void demand(Lanes *lanes, Leaf ok) {
    Cg *cg = lanes->wide.cg;
    if (cg_is_wide(ok)) {
        LLVMTypeRef overload = LLVMTypeOf(ok);
        ok = cg_intrinsic(cg, "llvm.vector.reduce.and", &overload, 1, &ok, 1);
    }
    LLVMBasicBlockRef good = cg_block(cg, "");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, ok, good, lanes->give_up), true);
    cg_goto(cg, good);
}

static Leaf compare(Lanes *lanes, LLVMIntPredicate predicate, Leaf a, Leaf b) {
    cg_wide_level(&lanes->wide, &a, &b);
    return LLVMBuildICmp(lanes->wide.cg->builder, predicate, a, b, "");
}

static Leaf both(Lanes *lanes, Leaf a, Leaf b) {
    cg_wide_level(&lanes->wide, &a, &b);
    return LLVMBuildAnd(lanes->wide.cg->builder, a, b, "");
}

/* ---- loops inside ---- */

/* What a loop walks. */
typedef struct Walked {
    const Type *element; /* NULL: a range */
    LLVMValueRef data, start, stride, rows;
} Walked;

static LLVMValueRef rows_of(const Lanes *lanes, LLVMValueRef data) {
    for (int i = 0; i < lanes->nrows; i++) {
        if (lanes->rows[i].data == data) return lanes->rows[i].buffer;
    }
    return NULL;
}

static LLVMValueRef walked_open(Lanes *lanes, const Node *iter, Walked *walked) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef one = cg_i64(cg, 1), zero = cg_i64(cg, 0);
    if (iter->iter != IT_range) {
        Leaf *vec = cg_wide_expr(&lanes->wide, iter->kids[0]);
        *walked = (Walked){iter->kids[0]->type->args[0], vec[0], zero, one, rows_of(lanes, vec[0])};
        return vec[1];
    }
    LLVMValueRef start = cg_wide_one(&lanes->wide, iter->kids[0]),
                 end = cg_wide_one(&lanes->wide, iter->kids[1]);
    LLVMValueRef stride = cg_wide_one(&lanes->wide, iter->kids[2]);
    *walked = (Walked){NULL, NULL, start, stride, NULL};
    /* Only the plain ranges; others one by one. */
    demand(lanes, LLVMBuildICmp(builder, LLVMIntEQ, stride, one, ""));
    demand(lanes, LLVMBuildICmp(builder, LLVMIntSLE, start, end, ""));
    LLVMValueRef count = LLVMBuildSub(builder, end, start, "");
    demand(lanes, LLVMBuildICmp(builder, LLVMIntSGE, count, zero, ""));
    return count;
}

/* Of iteration index + more. No address of x86 scales by the size of a buffer's row, so what `more` adds stays out of what
 * is scaled. */
static Leaf walked_element(Lanes *lanes, const Walked *walked, LLVMValueRef index, int more) {
    Cg *cg = lanes->wide.cg;
    LLVMValueRef at = more ? LLVMBuildNUWAdd(cg->builder, index, cg_i64(cg, more), "") : index;
    if (!walked->element) return LLVMBuildAdd(cg->builder, walked->start, at, "");
    if (!walked->rows) return cg_wide_gather(&lanes->wide, walked->element, walked->data, at);
    LLVMTypeRef as = LLVMVectorType(cg_scalar_type(cg, walked->element), WELD_LANES);
    LLVMValueRef row = LLVMBuildInBoundsGEP2(cg->builder, as, walked->rows, &index, 1, "");
    return cg_wide_load(&lanes->wide, walked->element,
                        cg_at(cg, row, more * WELD_LANES * walked->element->size));
}

static void merge_lanes(Lanes *lanes, const Type *type, Op op, const bool *varies, LLVMValueRef *slots,
                        const Leaf *value) {
    Cg *cg = lanes->wide.cg;
    for (int i = 0; i < leaf_count(type); i++) {
        const Type *scalar = leaf_place(type, i, NULL);
        LLVMTypeRef as = cg_scalar_type(cg, scalar);
        if (varies[i]) as = LLVMVectorType(as, WELD_LANES);
        Leaf old = LLVMBuildLoad2(cg->builder, as, slots[i], "");
        Leaf next = varies[i] ? cg_wide_spread(&lanes->wide, value[i]) : value[i];
        LLVMBuildStore(cg->builder, cg_binary_op(cg, op, scalar, old, next, true), slots[i]);
    }
}

/* Slots for leaves, in registers once LLVM has looked at them. */
static LLVMValueRef *new_slots(Lanes *lanes, const Type *type, const bool *varies, const Leaf *start) {
    Cg *cg = lanes->wide.cg;
    int count = leaf_count(type);
    LLVMValueRef *slots = arena_alloc(&cg->program->arena, sizeof *slots * (size_t)(count + 1));
    for (int i = 0; i < count; i++) {
        slots[i] = cg_slot(cg, 8 * WELD_LANES, 64);
        LLVMBuildStore(cg->builder, varies[i] ? cg_wide_spread(&lanes->wide, start[i]) : start[i], slots[i]);
    }
    return slots;
}

static Leaf *load_slots(Lanes *lanes, const Type *type, LLVMTypeRef *types, const bool *varies,
                        LLVMValueRef *slots) {
    Cg *cg = lanes->wide.cg;
    Leaf *leaves = cg_leaves(cg, type);
    for (int i = 0; i < leaf_count(type); i++) {
        LLVMTypeRef as = varies[i] ? LLVMVectorType(types[i], WELD_LANES) : types[i];
        leaves[i] = LLVMBuildLoad2(cg->builder, as, slots[i], "");
    }
    return leaves;
}

static LLVMTypeRef *types_of(Lanes *lanes, const Type *type) {
    LLVMTypeRef *types =
        arena_alloc(&lanes->wide.cg->program->arena, sizeof *types * (size_t)(leaf_count(type) + 1));
    leaf_types(lanes->wide.cg, type, types);
    return types;
}

static void emit_merges(Lanes *lanes, const Node *node, const bool *varies, LLVMValueRef *slots) {
    for (; node->kind == N_Let; node = node->kids[1])
        cg_bind(lanes->wide.cg, node->symbol, cg_wide_expr(&lanes->wide, node->kids[0]));
    if (node->kind != N_Merge) return;
    emit_merges(lanes, node->kids[0], varies, slots);
    merge_lanes(lanes, node->kids[1]->type, node->type->op, varies, slots,
                cg_wide_expr(&lanes->wide, node->kids[1]));
}

/* for (index = from; index < to; index += step) */
typedef struct Count {
    LLVMValueRef index, from, to, step;
    LLVMBasicBlockRef before, body, after;
} Count;

static Count count_open(Cg *cg, LLVMValueRef from, LLVMValueRef to, int step) {
    Count loop = {NULL,
                  from,
                  to,
                  cg_i64(cg, step),
                  LLVMGetInsertBlock(cg->builder),
                  cg_block(cg, "lanes"),
                  cg_block(cg, "")};
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntULT, from, to, ""), loop.body, loop.after);
    cg_goto(cg, loop.body);
    loop.index = LLVMBuildPhi(cg->builder, cg->i64, "");
    return loop;
}

static void count_close(Cg *cg, Count *loop) {
    LLVMValueRef next = LLVMBuildNUWAdd(cg->builder, loop->index, loop->step, "");
    LLVMBasicBlockRef last = LLVMGetInsertBlock(cg->builder);
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntULT, next, loop->to, ""), loop->body,
                    loop->after);
    LLVMAddIncoming(loop->index, &loop->from, &loop->before, 1);
    LLVMAddIncoming(loop->index, &next, &last, 1);
    cg_goto(cg, loop->after);
}

/* Iteration from + more. */
static void emit_iteration(Lanes *lanes, const Node *loop, const Walked *walked, LLVMValueRef from, int more,
                           const bool *varies, LLVMValueRef *slots) {
    Cg *cg = lanes->wide.cg;
    const Node *lambda = loop->kids[loop->count - 1];
    Leaf *element = cg_leaves(cg, lambda->params[2]->type), *index = cg_leaves(cg, lambda->params[1]->type);
    index[0] = more ? LLVMBuildNUWAdd(cg->builder, from, cg_i64(cg, more), "") : from;
    for (int i = 0; i < loop->count - 2; i++) element[i] = walked_element(lanes, &walked[i], from, more);
    cg_bind(cg, lambda->params[1], index);
    cg_bind(cg, lambda->params[2], element);
    emit_merges(lanes, lambda->kids[0], varies, slots);
}

/* Iterations [0, *done), several at a time, each with sums of its own: none waits for the one before. These become one at
 * their end. */
static LLVMValueRef emit_together(Lanes *lanes, const Node *loop, const Walked *walked, LLVMValueRef count,
                                  const bool *varies, LLVMValueRef *slots) {
    enum { TOGETHER = 4 };
    Cg *cg = lanes->wide.cg;
    const Type *builder = loop->kids[loop->count - 2]->type, *type = builder->args[0];
    LLVMValueRef *own[TOGETHER] = {slots}, done;
    LLVMTypeRef *types = types_of(lanes, type);
    Leaf *neutral = cg_leaves(cg, type);
    for (int i = 0; i < leaf_count(type); i++)
        neutral[i] = cg_neutral(cg, builder->op, leaf_place(type, i, NULL));
    for (int k = 1; k < TOGETHER; k++) own[k] = new_slots(lanes, type, varies, neutral);
    done = LLVMBuildAnd(cg->builder, count, cg_i64(cg, -TOGETHER), "");
    Count counter = count_open(cg, cg_i64(cg, 0), done, TOGETHER);
    for (int k = 0; k < TOGETHER; k++) emit_iteration(lanes, loop, walked, counter.index, k, varies, own[k]);
    count_close(cg, &counter);
    for (int apart = TOGETHER / 2; apart; apart /= 2) {
        for (int k = 0; k < apart; k++)
            merge_lanes(lanes, type, builder->op, varies, own[k],
                        load_slots(lanes, type, types, varies, own[k + apart]));
    }
    return done;
}

static Leaf *emit_loop(Lanes *lanes, const Node *node) {
    Cg *cg = lanes->wide.cg;
    const Node *loop = node->kids[0], *builder = loop->kids[loop->count - 2];
    const Type *type = node->type;
    const bool *varies = cg_lanes_judge(lanes, node);
    Walked *walked = arena_alloc(&cg->program->arena, sizeof *walked * (size_t)loop->count);
    LLVMValueRef count = NULL, done = cg_i64(cg, 0);
    int budget = 32;
    for (int i = 0; i < loop->count - 2; i++) {
        LLVMValueRef own = walked_open(lanes, loop->kids[i], &walked[i]);
        if (i) demand(lanes, LLVMBuildICmp(cg->builder, LLVMIntEQ, own, count, ""));
        if (!i) count = own;
    }
    Leaf *start = cg_leaves(cg, type);
    if (builder->count)
        start = cg_wide_expr(&lanes->wide, builder->kids[0]);
    else
        cg_identity_leaves(cg, type, builder->type->op, start);
    LLVMValueRef *slots = new_slots(lanes, type, varies, start);
    if (cg_is_little(loop->kids[loop->count - 1]->kids[0], &budget))
        done = emit_together(lanes, loop, walked, count, varies, slots);
    Count counter = count_open(cg, done, count, 1);
    emit_iteration(lanes, loop, walked, counter.index, 0, varies, slots);
    count_close(cg, &counter);
    return load_slots(lanes, type, types_of(lanes, type), varies, slots);
}

static Leaf *emit_iterate(Lanes *lanes, const Node *node) {
    Cg *cg = lanes->wide.cg;
    const Node *lambda = node->kids[1];
    const Type *type = node->type;
    const bool *varies = cg_lanes_judge(lanes, node);
    LLVMTypeRef *types = types_of(lanes, type);
    LLVMValueRef *slots = new_slots(lanes, type, varies, cg_wide_expr(&lanes->wide, node->kids[0]));
    LLVMBasicBlockRef body = cg_block(cg, "iterate"), after = cg_block(cg, "");
    LLVMBuildBr(cg->builder, body);
    cg_goto(cg, body);
    cg_poll(cg, node);
    cg_bind(cg, lambda->params[0], load_slots(lanes, type, types, varies, slots));
    Leaf *next = cg_wide_expr(&lanes->wide, lambda->kids[0]);
    for (int i = 0; i < leaf_count(type); i++)
        LLVMBuildStore(cg->builder, varies[i] ? cg_wide_spread(&lanes->wide, next[i]) : next[i], slots[i]);
    LLVMBuildCondBr(cg->builder, next[leaf_count(type)], body, after);
    cg_goto(cg, after);
    return load_slots(lanes, type, types, varies, slots);
}

static Leaf *emit_slice(Lanes *lanes, const Node *node) {
    Cg *cg = lanes->wide.cg;
    Leaf *vec = cg_wide_expr(&lanes->wide, node->kids[0]), zero = cg_i64(cg, 0);
    Leaf start = cg_wide_one(&lanes->wide, node->kids[1]), size = cg_wide_one(&lanes->wide, node->kids[2]);
    Leaf most = LLVMBuildSub(cg->builder, vec[1], size, "");
    demand(lanes, compare(lanes, LLVMIntSGE, size, zero));
    demand(lanes,
           both(lanes, compare(lanes, LLVMIntSGE, start, zero), compare(lanes, LLVMIntSLE, start, most)));
    Leaf *leaves = cg_leaves(cg, node->type);
    leaves[0] = cg_element(cg, node->type->args[0], vec[0], start);
    leaves[1] = size;
    return leaves;
}

static Leaf *emit_lookup(Lanes *lanes, const Node *node) {
    Leaf *vec = cg_wide_expr(&lanes->wide, node->kids[0]), index = cg_wide_one(&lanes->wide, node->kids[1]);
    demand(lanes, compare(lanes, LLVMIntULT, index, vec[1]));
    Leaf *leaves = cg_leaves(lanes->wide.cg, node->type);
    leaves[0] = cg_wide_gather(&lanes->wide, node->type, vec[0], index);
    return leaves;
}

static Leaf *name_leaves(Wide *wide, const Node *ident, int at, int count) {
    (void)count;
    return cg_expr(wide->cg, ident) + at;
}

/* What cg_wide.c does not know. */
static Leaf *emit_other(Wide *wide, const Node *node) {
    Lanes *lanes = (Lanes *)wide;
    switch (node->kind) {
    case N_Let:
        cg_bind(wide->cg, node->symbol, cg_wide_expr(wide, node->kids[0]));
        return cg_wide_expr(wide, node->kids[1]);
    case N_Slice: return emit_slice(lanes, node);
    case N_Lookup: return emit_lookup(lanes, node);
    case N_Result: return emit_loop(lanes, node);
    case N_Iterate: return emit_iterate(lanes, node);
    default: return cg_expr(wide->cg, node);
    }
}

/* Rows of one length on their way into a buffer that has element j of all of them side by side. */
typedef struct Copy {
    const Type *type;
    LLVMValueRef row[WELD_LANES], buffer;
} Copy;

static void copy_chunk(Chunks *chunks, LLVMValueRef index, bool last, void *user) {
    const Copy *copy = user;
    Cg *cg = chunks->wide.cg;
    Leaf part[WELD_LANES];
    for (int i = 0; i < WELD_LANES; i++)
        part[i] = cg_chunk_load(chunks, copy->type, copy->row[i], index, last);
    cg_transpose(cg, part, WELD_LANES);
    for (int i = 0; i < WELD_LANES; i++) {
        LLVMValueRef number = LLVMBuildAdd(cg->builder, index, cg_i64(cg, i), "");
        LLVMValueRef at =
            LLVMBuildInBoundsGEP2(cg->builder, LLVMTypeOf(part[i]), copy->buffer, &number, 1, "");
        LLVMSetAlignment(LLVMBuildStore(cg->builder, part[i], at), (unsigned)copy->type->align);
    }
}

static void copy_one_by_one(Cg *cg, const Copy *copy, LLVMValueRef count) {
    const Type *type = copy->type;
    Counter counter = cg_counter_open(cg, cg_i64(cg, 0), count);
    Leaf all = LLVMGetUndef(LLVMVectorType(cg_scalar_type(cg, type), WELD_LANES)), one;
    for (int i = 0; i < WELD_LANES; i++) {
        cg_load(cg, type, cg_element(cg, type, copy->row[i], counter.index), NULL, &one);
        all = LLVMBuildInsertElement(cg->builder, all, one, cg_i32(cg, i), "");
    }
    LLVMValueRef at =
        LLVMBuildInBoundsGEP2(cg->builder, LLVMTypeOf(all), copy->buffer, &counter.index, 1, "");
    LLVMSetAlignment(LLVMBuildStore(cg->builder, all, at), (unsigned)type->align);
    cg_counter_close(cg, &counter);
}

/* Copies what a varying vector holds, so that element j of all lanes is one load: squares of WELD_LANES elements of each
 * lane, transposed; the last one may have elements too many, for which ROW_MOST, a multiple, leaves room. */
static void copy_rows(Lanes *lanes, const Type *vec, const Leaf *leaves) {
    Cg *cg = lanes->wide.cg;
    const Type *type = vec->args[0];
    if (!cg_is_wide(leaves[0]) || lanes->nrows == LANE_ROWS || type->kind == TY_bool) return;
    Copy copy = {.type = type, .buffer = cg_slot(cg, ROW_MOST * WELD_LANES * type->size, 64)};
    LLVMValueRef count = leaves[1];
    demand(lanes, LLVMBuildICmp(cg->builder, LLVMIntULE, count, cg_i64(cg, ROW_MOST), ""));
    for (int i = 0; i < WELD_LANES; i++)
        copy.row[i] = LLVMBuildExtractElement(cg->builder, leaves[0], cg_i32(cg, i), "");
    LLVMBasicBlockRef some = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntNE, count, cg_i64(cg, 0), ""), some,
                    after);
    cg_goto(cg, some);
    Chunks chunks;
    if (cg_chunks_of(cg, WELD_LANES, type->size, count, &chunks))
        cg_chunks_each(&chunks, copy_chunk, &copy);
    else
        copy_one_by_one(cg, &copy, count);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    lanes->rows[lanes->nrows].data = leaves[0];
    lanes->rows[lanes->nrows++].buffer = copy.buffer;
}

/* ---- for cg_stages.c ---- */

bool cg_lanes_open(Cg *cg, const Node *lambda, Lanes *lanes) {
    *lanes = (Lanes){.wide = {cg, WELD_LANES, name_leaves, emit_other}};
    return cg_lanes_judge_open(lanes, lambda);
}

void cg_lanes_let(Lanes *lanes, const Node *let) {
    lanes->budget = INT_MAX; /* judged before */
    Leaf *leaves = cg_wide_expr(&lanes->wide, let->kids[0]);
    cg_bind(lanes->wide.cg, let->symbol, leaves);
    if (let->symbol->type->kind == TY_vec) copy_rows(lanes, let->symbol->type, leaves);
}

void cg_lanes_store(Lanes *lanes, const Type *type, LLVMValueRef leaf, LLVMValueRef at) {
    leaf = cg_wide_spread(&lanes->wide, leaf);
    cg_store(lanes->wide.cg, cg_wide_type(&lanes->wide, type), &leaf, at, NULL);
}
