/* cg_lanes.c: eight iterations of a loop at once, where loops inside run alike in all of them.
 *
 *     for(rangeiter(0L, n, 1L), b, |b, row, e|
 *       let point = slice(data, row * dim, dim);
 *       let near = iterate({0L, 0.0}, |s| .. distance of point to center s.$0 .. {{s.$0 + 1L, ..}, s.$0 + 1L < k});
 *       ..)
 *
 * A value is *uniform* if it is the same in all lanes, and a scalar in LLVM; else it *varies* and is a vector
 * of WELD_LANES lanes: the leaf's type tells. Loops run as they are, once for all lanes, which asks that
 * their lengths and conditions are uniform: judge() decides that from the names outside, which are uniform,
 * and the index and elements of the loop, which vary. A vector that varies is a vector of pointers and one
 * length; those bound by a let, which inner loops may walk many times, are copied into a buffer, element by
 * element of all lanes.
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
#include <string.h>

enum { ROW_MOST = 64 };

/* ---- which leaves of a value vary ---- */

static bool *new_flags(Lanes *lanes, const Type *type) {
    return arena_alloc(&lanes->cg->program->arena, (size_t)leaf_count(type) + 1);
}

static bool is_flat(const Type *type) {
    if (type->kind != TY_struct) return type_is_scalar(type);
    for (int i = 0; i < type->count; i++) {
        if (!is_flat(type->args[i])) return false;
    }
    return true;
}

/* Scalars, vectors of scalars, and structs of these. */
static bool is_plain(const Type *type) {
    if (type->kind == TY_vec) return type_is_scalar(type->args[0]);
    if (type->kind != TY_struct) return type_is_scalar(type);
    for (int i = 0; i < type->count; i++) {
        if (!is_plain(type->args[i])) return false;
    }
    return true;
}

static bool *judge(Lanes *lanes, const Node *node);

static bool *judge_all(Lanes *lanes, const Node *node, int count) {
    bool *out = new_flags(lanes, node->type);
    for (int i = 0; i < count; i++) {
        bool *kid = judge(lanes, node->kids[i]);
        if (!kid) return NULL;
        out[0] |= kid[0];
    }
    return out;
}

static bool *judge_ident(Lanes *lanes, const Node *node) {
    bool *known = lanes->varies[node->symbol->id];
    if (known) return known;
    return is_plain(node->type) && lanes->cg->values[node->symbol->id] ? new_flags(lanes, node->type) : NULL;
}

static bool *judge_struct(Lanes *lanes, const Node *node) {
    bool *out = new_flags(lanes, node->type), *at = out;
    for (int i = 0; i < node->count; i++) {
        bool *kid = judge(lanes, node->kids[i]);
        if (!kid) return NULL;
        memcpy(at, kid, (size_t)leaf_count(node->kids[i]->type));
        at += leaf_count(node->kids[i]->type);
    }
    return out;
}

static bool *judge_select(Lanes *lanes, const Node *node) {
    int budget = 24;
    if (!is_flat(node->type)) return NULL;
    for (int i = 1; node->kind == N_If && i < 3; i++) {
        if (!node_is_cheap(node->kids[i], &budget)) return NULL;
    }
    bool *condition = judge(lanes, node->kids[0]);
    bool *a = condition ? judge(lanes, node->kids[1]) : NULL, *b = a ? judge(lanes, node->kids[2]) : NULL;
    if (!b) return NULL;
    bool *out = new_flags(lanes, node->type);
    for (int i = 0; i < leaf_count(node->type); i++) out[i] = condition[0] || a[i] || b[i];
    return out;
}

static bool *judge_slice(Lanes *lanes, const Node *node) {
    bool *vec = judge(lanes, node->kids[0]), *start = vec ? judge(lanes, node->kids[1]) : NULL;
    bool *size = start ? judge(lanes, node->kids[2]) : NULL;
    if (!size || size[0]) return NULL;
    bool *out = new_flags(lanes, node->type);
    out[0] = vec[0] || start[0];
    return out;
}

/* The elements of a loop's iterators. */
static bool *judge_elements(Lanes *lanes, const Node *loop) {
    bool *out = new_flags(lanes, loop->kids[loop->count - 1]->params[2]->type);
    for (int i = 0; i < loop->count - 2; i++) {
        const Node *iter = loop->kids[i];
        bool whole = iter->iter == IT_scalar && iter->count == 1;
        if (!whole && iter->iter != IT_range) return NULL;
        for (int k = 0; k < iter->count; k++) {
            bool *kid = judge(lanes, iter->kids[k]);
            if (!kid || (!whole && kid[0])) return NULL;
            if (whole) out[i] = kid[0];
        }
    }
    return out;
}

/* The body of a loop into a merger: lets, then merges. */
static bool judge_merges(Lanes *lanes, const Node *node, const Symbol *builder, bool *sum) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        bool *value = judge(lanes, node->kids[0]);
        if (!value) return false;
        lanes->varies[node->symbol->id] = value;
    }
    if (node->kind == N_Ident) return node->symbol == builder;
    if (node->kind != N_Merge || node->kids[1]->type != node->type->args[0]) return false;
    if (!judge_merges(lanes, node->kids[0], builder, sum)) return false;
    bool *value = judge(lanes, node->kids[1]);
    for (int i = 0; value && i < leaf_count(node->kids[1]->type); i++) sum[i] |= value[i];
    return value != NULL;
}

static bool *judge_loop(Lanes *lanes, const Node *node) {
    const Node *loop = node->kids[0], *builder, *lambda;
    if (loop->kind != N_For || !is_flat(node->type)) return NULL;
    builder = loop->kids[loop->count - 2];
    lambda = loop->kids[loop->count - 1];
    if (builder->kind != N_NewBuilder || builder->type->kind != TY_merger) return NULL;
    bool *start = builder->count ? judge(lanes, builder->kids[0]) : new_flags(lanes, node->type);
    bool *element = start ? judge_elements(lanes, loop) : NULL;
    if (!element) return NULL;
    bool *sum = new_flags(lanes, node->type);
    memcpy(sum, start, (size_t)leaf_count(node->type));
    lanes->varies[lambda->params[1]->id] = new_flags(lanes, lambda->params[1]->type);
    lanes->varies[lambda->params[2]->id] = element;
    return judge_merges(lanes, lambda->kids[0], lambda->params[0], sum) ? sum : NULL;
}

/* What a round makes vary varies in the next. */
static bool *judge_iterate(Lanes *lanes, const Node *node) {
    const Node *lambda = node->kids[1];
    int count = leaf_count(node->type);
    if (!is_flat(node->type)) return NULL;
    bool *start = judge(lanes, node->kids[0]), *state = new_flags(lanes, node->type), more = true;
    if (!start) return NULL;
    memcpy(state, start, (size_t)count);
    while (more) {
        lanes->varies[lambda->params[0]->id] = state;
        bool *next = judge(lanes, lambda->kids[0]);
        if (!next || next[count]) return NULL;
        more = false;
        for (int i = 0; i < count; i++) {
            more |= next[i] && !state[i];
            state[i] |= next[i];
        }
    }
    return state;
}

static bool *judge(Lanes *lanes, const Node *node) {
    int budget = 24;
    if (--lanes->budget < 0) return NULL;
    for (; node->kind == N_Let; node = node->kids[1]) {
        bool *value = judge(lanes, node->kids[0]);
        if (!value) return NULL;
        lanes->varies[node->symbol->id] = value;
    }
    bool scalar = type_is_scalar(node->type);
    switch (node->kind) {
    case N_Literal: return new_flags(lanes, node->type);
    case N_Ident: return judge_ident(lanes, node);
    case N_Struct: return judge_struct(lanes, node);
    case N_Slice: return type_is_scalar(node->type->args[0]) ? judge_slice(lanes, node) : NULL;
    case N_Result: return judge_loop(lanes, node);
    case N_Iterate: return judge_iterate(lanes, node);
    case N_If:
    case N_Select: return judge_select(lanes, node);
    case N_Unary:
    case N_Cast: return scalar ? judge_all(lanes, node, 1) : NULL;
    case N_Len:
        return is_plain(node->kids[0]->type) && judge(lanes, node->kids[0]) ? new_flags(lanes, node->type)
                                                                            : NULL;
    case N_Lookup: return scalar && node->kids[0]->type->kind == TY_vec ? judge_all(lanes, node, 2) : NULL;
    case N_Compare: return type_is_scalar(node->kids[0]->type) ? judge_all(lanes, node, 2) : NULL;
    case N_And:
    case N_Or: return node_is_cheap(node->kids[1], &budget) && scalar ? judge_all(lanes, node, 2) : NULL;
    case N_Binary: {
        bool fails = (op_classes[node->op].traits & FAILS) && !type_is_float(node->type);
        return scalar && !fails ? judge_all(lanes, node, 2) : NULL;
    }
    case N_Field: {
        bool *whole = judge(lanes, node->kids[0]);
        return whole ? whole + leaf_at(node->kids[0]->type, node->index) : NULL;
    }
    default: return NULL;
    }
}

/* ---- values ---- */

static bool is_wide(Leaf leaf) {
    return LLVMGetTypeKind(LLVMTypeOf(leaf)) == LLVMVectorTypeKind;
}

static const Type *wide_type(Lanes *lanes, const Type *scalar) {
    Type *args[1] = {(Type *)scalar};
    return type_make(&lanes->cg->program->types, TY_simd, OP_none, 1, args);
}

static Leaf widen(Lanes *lanes, Leaf leaf) {
    Cg *cg = lanes->cg;
    if (is_wide(leaf)) return leaf;
    LLVMTypeRef as = LLVMVectorType(LLVMTypeOf(leaf), WELD_LANES);
    Leaf first = LLVMBuildInsertElement(cg->builder, LLVMGetUndef(as), leaf, cg_i32(cg, 0), "");
    LLVMValueRef mask = LLVMConstNull(LLVMVectorType(cg->i32, WELD_LANES));
    return LLVMBuildShuffleVector(cg->builder, first, LLVMGetUndef(as), mask, "");
}

/* Gives up unless it holds in all lanes. */
static void demand(Lanes *lanes, Leaf ok) {
    Cg *cg = lanes->cg;
    if (is_wide(ok)) {
        LLVMTypeRef overload = LLVMTypeOf(ok);
        ok = cg_intrinsic(cg, "llvm.vector.reduce.and", &overload, 1, &ok, 1);
    }
    LLVMBasicBlockRef good = cg_block(cg, "");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, ok, good, lanes->give_up), true);
    cg_goto(cg, good);
}

static Leaf compare(Lanes *lanes, LLVMIntPredicate predicate, Leaf a, Leaf b) {
    if (is_wide(a) || is_wide(b)) a = widen(lanes, a), b = widen(lanes, b);
    return LLVMBuildICmp(lanes->cg->builder, predicate, a, b, "");
}

static Leaf both(Lanes *lanes, Leaf a, Leaf b) {
    if (is_wide(a) || is_wide(b)) a = widen(lanes, a), b = widen(lanes, b);
    return LLVMBuildAnd(lanes->cg->builder, a, b, "");
}

/* Element `index` of each lane's vector; pointers or index may be uniform. Bools are bytes in memory. */
static Leaf gather(Lanes *lanes, const Type *type, LLVMValueRef data, LLVMValueRef index) {
    Cg *cg = lanes->cg;
    LLVMValueRef at = cg_element(cg, type, data, index);
    Leaf out;
    if (!is_wide(at)) {
        cg_load(cg, type, at, NULL, &out);
        return out;
    }
    out = LLVMGetUndef(LLVMVectorType(cg_scalar_type(cg, type), WELD_LANES));
    for (int i = 0; i < WELD_LANES; i++) {
        LLVMValueRef number = cg_i32(cg, i);
        Leaf one;
        cg_load(cg, type, LLVMBuildExtractElement(cg->builder, at, number, ""), NULL, &one);
        out = LLVMBuildInsertElement(cg->builder, out, one, number, "");
    }
    return out;
}

/* ---- code ---- */

static Leaf *emit(Lanes *lanes, const Node *node);

static Leaf emit_one(Lanes *lanes, const Node *node) {
    return emit(lanes, node)[0];
}

/* A loop inside: what it walks. */
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
    Cg *cg = lanes->cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef one = cg_i64(cg, 1), zero = cg_i64(cg, 0);
    if (iter->iter != IT_range) {
        Leaf *vec = emit(lanes, iter->kids[0]);
        *walked = (Walked){iter->kids[0]->type->args[0], vec[0], zero, one, rows_of(lanes, vec[0])};
        return vec[1];
    }
    LLVMValueRef start = emit_one(lanes, iter->kids[0]), end = emit_one(lanes, iter->kids[1]);
    LLVMValueRef stride = emit_one(lanes, iter->kids[2]);
    *walked = (Walked){NULL, NULL, start, stride, NULL};
    /* Only the plain ranges; others one by one. */
    demand(lanes, LLVMBuildICmp(builder, LLVMIntEQ, stride, one, ""));
    demand(lanes, LLVMBuildICmp(builder, LLVMIntSLE, start, end, ""));
    LLVMValueRef count = LLVMBuildSub(builder, end, start, "");
    demand(lanes, LLVMBuildICmp(builder, LLVMIntSGE, count, zero, ""));
    return count;
}

static Leaf walked_element(Lanes *lanes, const Walked *walked, LLVMValueRef index) {
    Cg *cg = lanes->cg;
    if (!walked->element) return LLVMBuildAdd(cg->builder, walked->start, index, "");
    if (!walked->rows) return gather(lanes, walked->element, walked->data, index);
    LLVMTypeRef as = LLVMVectorType(cg_scalar_type(cg, walked->element), WELD_LANES);
    LLVMValueRef at = LLVMBuildInBoundsGEP2(cg->builder, as, walked->rows, &index, 1, "");
    LLVMValueRef value = LLVMBuildLoad2(cg->builder, as, at, "");
    LLVMSetAlignment(value, (unsigned)walked->element->align);
    return value;
}

static void merge_lanes(Lanes *lanes, const Type *type, Op op, const bool *varies, LLVMValueRef *slots,
                        const Leaf *value) {
    Cg *cg = lanes->cg;
    for (int i = 0; type->kind == TY_struct && i < type->count; i++) {
        merge_lanes(lanes, type->args[i], op, varies, slots, value);
        int count = leaf_count(type->args[i]);
        varies += count;
        slots += count;
        value += count;
    }
    if (type->kind == TY_struct) return;
    LLVMTypeRef as = cg_scalar_type(cg, varies[0] ? wide_type(lanes, type) : type);
    Leaf old = LLVMBuildLoad2(cg->builder, as, slots[0], ""),
         next = varies[0] ? widen(lanes, value[0]) : value[0];
    LLVMBuildStore(cg->builder,
                   cg_binary_op(cg, op, varies[0] ? wide_type(lanes, type) : type, old, next, true),
                   slots[0]);
}

static void identity(Cg *cg, const Type *type, Op op, Leaf *out) {
    for (int i = 0; type->kind == TY_struct && i < type->count; i++) {
        identity(cg, type->args[i], op, out);
        out += leaf_count(type->args[i]);
    }
    if (type->kind != TY_struct) out[0] = cg_identity(cg, op, type);
}

/* Slots for leaves, in registers once LLVM has looked at them. */
static LLVMValueRef *new_slots(Lanes *lanes, const Type *type, const bool *varies, const Leaf *start) {
    Cg *cg = lanes->cg;
    int count = leaf_count(type);
    LLVMValueRef *slots = arena_alloc(&cg->program->arena, sizeof *slots * (size_t)(count + 1));
    for (int i = 0; i < count; i++) {
        slots[i] = cg_slot(cg, 8 * WELD_LANES, 64);
        LLVMBuildStore(cg->builder, varies[i] ? widen(lanes, start[i]) : start[i], slots[i]);
    }
    return slots;
}

static Leaf *load_slots(Lanes *lanes, const Type *type, LLVMTypeRef *types, const bool *varies,
                        LLVMValueRef *slots) {
    Cg *cg = lanes->cg;
    Leaf *leaves = cg_leaves(cg, type);
    for (int i = 0; i < leaf_count(type); i++) {
        LLVMTypeRef as = varies[i] ? LLVMVectorType(types[i], WELD_LANES) : types[i];
        leaves[i] = LLVMBuildLoad2(cg->builder, as, slots[i], "");
    }
    return leaves;
}

static LLVMTypeRef *types_of(Lanes *lanes, const Type *type) {
    LLVMTypeRef *types =
        arena_alloc(&lanes->cg->program->arena, sizeof *types * (size_t)(leaf_count(type) + 1));
    leaf_types(lanes->cg, type, types);
    return types;
}

static void emit_merges(Lanes *lanes, const Node *node, const bool *varies, LLVMValueRef *slots) {
    for (; node->kind == N_Let; node = node->kids[1])
        cg_bind(lanes->cg, node->symbol, emit(lanes, node->kids[0]));
    if (node->kind != N_Merge) return;
    emit_merges(lanes, node->kids[0], varies, slots);
    merge_lanes(lanes, node->kids[1]->type, node->type->op, varies, slots, emit(lanes, node->kids[1]));
}

/* for (index = 0; index < count; index += 1) */
typedef struct Count {
    LLVMValueRef index, count;
    LLVMBasicBlockRef before, body, after;
} Count;

static Count count_open(Cg *cg, LLVMValueRef count) {
    Count loop = {NULL, count, LLVMGetInsertBlock(cg->builder), cg_block(cg, "lanes"), cg_block(cg, "")};
    LLVMValueRef some = LLVMBuildICmp(cg->builder, LLVMIntNE, count, cg_i64(cg, 0), "");
    LLVMBuildCondBr(cg->builder, some, loop.body, loop.after);
    cg_goto(cg, loop.body);
    loop.index = LLVMBuildPhi(cg->builder, cg->i64, "");
    return loop;
}

static void count_close(Cg *cg, Count *loop) {
    LLVMValueRef next = LLVMBuildNUWAdd(cg->builder, loop->index, cg_i64(cg, 1), ""), zero = cg_i64(cg, 0);
    LLVMBasicBlockRef last = LLVMGetInsertBlock(cg->builder);
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntULT, next, loop->count, ""), loop->body,
                    loop->after);
    LLVMAddIncoming(loop->index, &zero, &loop->before, 1);
    LLVMAddIncoming(loop->index, &next, &last, 1);
    cg_goto(cg, loop->after);
}

static Leaf *emit_loop(Lanes *lanes, const Node *node) {
    Cg *cg = lanes->cg;
    const Node *loop = node->kids[0], *builder = loop->kids[loop->count - 2];
    const Node *lambda = loop->kids[loop->count - 1];
    const Type *type = node->type;
    const bool *varies = judge_loop(lanes, node);
    Walked *walked = arena_alloc(&cg->program->arena, sizeof *walked * (size_t)loop->count);
    LLVMValueRef count = NULL;
    for (int i = 0; i < loop->count - 2; i++) {
        LLVMValueRef own = walked_open(lanes, loop->kids[i], &walked[i]);
        if (i) demand(lanes, LLVMBuildICmp(cg->builder, LLVMIntEQ, own, count, ""));
        if (!i) count = own;
    }
    Leaf *start = cg_leaves(cg, type);
    if (builder->count)
        start = emit(lanes, builder->kids[0]);
    else
        identity(cg, type, builder->type->op, start);
    LLVMValueRef *slots = new_slots(lanes, type, varies, start);
    Count counter = count_open(cg, count);
    Leaf *element = cg_leaves(cg, lambda->params[2]->type), *index = cg_leaves(cg, lambda->params[1]->type);
    index[0] = counter.index;
    for (int i = 0; i < loop->count - 2; i++) element[i] = walked_element(lanes, &walked[i], counter.index);
    cg_bind(cg, lambda->params[1], index);
    cg_bind(cg, lambda->params[2], element);
    emit_merges(lanes, lambda->kids[0], varies, slots);
    count_close(cg, &counter);
    return load_slots(lanes, type, types_of(lanes, type), varies, slots);
}

static Leaf *emit_iterate(Lanes *lanes, const Node *node) {
    Cg *cg = lanes->cg;
    const Node *lambda = node->kids[1];
    const Type *type = node->type;
    const bool *varies = judge_iterate(lanes, node);
    LLVMTypeRef *types = types_of(lanes, type);
    LLVMValueRef *slots = new_slots(lanes, type, varies, emit(lanes, node->kids[0]));
    LLVMBasicBlockRef body = cg_block(cg, "iterate"), after = cg_block(cg, "");
    LLVMBuildBr(cg->builder, body);
    cg_goto(cg, body);
    cg_poll(cg, node);
    cg_bind(cg, lambda->params[0], load_slots(lanes, type, types, varies, slots));
    Leaf *next = emit(lanes, lambda->kids[0]);
    for (int i = 0; i < leaf_count(type); i++)
        LLVMBuildStore(cg->builder, varies[i] ? widen(lanes, next[i]) : next[i], slots[i]);
    LLVMBuildCondBr(cg->builder, next[leaf_count(type)], body, after);
    cg_goto(cg, after);
    return load_slots(lanes, type, types, varies, slots);
}

static Leaf *emit_slice(Lanes *lanes, const Node *node) {
    Cg *cg = lanes->cg;
    Leaf *vec = emit(lanes, node->kids[0]), zero = cg_i64(cg, 0);
    Leaf start = emit_one(lanes, node->kids[1]), size = emit_one(lanes, node->kids[2]);
    Leaf most = LLVMBuildSub(cg->builder, vec[1], size, "");
    demand(lanes, compare(lanes, LLVMIntSGE, size, zero));
    demand(lanes,
           both(lanes, compare(lanes, LLVMIntSGE, start, zero), compare(lanes, LLVMIntSLE, start, most)));
    Leaf *leaves = cg_leaves(cg, node->type);
    leaves[0] = cg_element(cg, node->type->args[0], vec[0], start);
    leaves[1] = size;
    return leaves;
}

static Leaf emit_cast(Lanes *lanes, const Node *node) {
    return cg_cast_op(lanes->cg, node->kids[0]->type, emit_one(lanes, node->kids[0]), node->type);
}

static Leaf emit_lookup(Lanes *lanes, const Node *node) {
    Leaf *vec = emit(lanes, node->kids[0]), index = emit_one(lanes, node->kids[1]);
    demand(lanes, compare(lanes, LLVMIntULT, index, vec[1]));
    return gather(lanes, node->type, vec[0], index);
}

/* Operators take a scalar's type for wide operands, too, but for math functions without a vector counterpart. */
static const Type *operand_type(Lanes *lanes, const Node *node, Leaf operand) {
    const Type *type = node->kids[0]->type;
    if (!is_wide(operand) || node->kind == N_Compare) return type;
    bool math = op_classes[node->op].class == 'f' || (node->op == OP_rem && type_is_float(type));
    return math && !cg_math_has_lanes(lanes->cg, node->op, type, WELD_LANES) ? wide_type(lanes, type) : type;
}

/* Operators with two operands, of which one or both may be wide. */
static Leaf emit_binary(Lanes *lanes, const Node *node) {
    Cg *cg = lanes->cg;
    Leaf a = emit_one(lanes, node->kids[0]), b = emit_one(lanes, node->kids[1]);
    if (is_wide(a) || is_wide(b)) a = widen(lanes, a), b = widen(lanes, b);
    switch (node->kind) {
    case N_And: return LLVMBuildAnd(cg->builder, a, b, "");
    case N_Or: return LLVMBuildOr(cg->builder, a, b, "");
    case N_Compare: return cg_compare_op(cg, node->op, node->kids[0]->type, a, b);
    default: return cg_binary_op(cg, node->op, operand_type(lanes, node, a), a, b, false);
    }
}

static Leaf *emit_select(Lanes *lanes, const Node *node) {
    Leaf condition = emit_one(lanes, node->kids[0]);
    Leaf *a = emit(lanes, node->kids[1]), *b = emit(lanes, node->kids[2]);
    Leaf *leaves = cg_leaves(lanes->cg, node->type);
    for (int i = 0; i < leaf_count(node->type); i++) {
        bool wide = is_wide(condition) || is_wide(a[i]) || is_wide(b[i]);
        Leaf yes = wide ? widen(lanes, a[i]) : a[i], no = wide ? widen(lanes, b[i]) : b[i];
        leaves[i] = LLVMBuildSelect(lanes->cg->builder, condition, yes, no, "");
    }
    return leaves;
}

static Leaf emit_unary(Lanes *lanes, const Node *node) {
    Leaf value = emit_one(lanes, node->kids[0]);
    return cg_unary_op(lanes->cg, node->op, operand_type(lanes, node, value), value);
}

static Leaf *emit(Lanes *lanes, const Node *node) {
    Cg *cg = lanes->cg;
    for (; node->kind == N_Let; node = node->kids[1]) cg_bind(cg, node->symbol, emit(lanes, node->kids[0]));
    Leaf *leaves = cg_leaves(cg, node->type), *at = leaves;
    switch (node->kind) {
    case N_Slice: return emit_slice(lanes, node);
    case N_Result: return emit_loop(lanes, node);
    case N_Iterate: return emit_iterate(lanes, node);
    case N_If:
    case N_Select: return emit_select(lanes, node);
    case N_Field: return emit(lanes, node->kids[0]) + leaf_at(node->kids[0]->type, node->index);
    case N_Struct:
        for (int i = 0; i < node->count; i++) {
            memcpy(at, emit(lanes, node->kids[i]), sizeof *at * (size_t)leaf_count(node->kids[i]->type));
            at += leaf_count(node->kids[i]->type);
        }
        return leaves;
    case N_Len: leaves[0] = emit(lanes, node->kids[0])[1]; return leaves;
    case N_Unary: leaves[0] = emit_unary(lanes, node); return leaves;
    case N_Cast: leaves[0] = emit_cast(lanes, node); return leaves;
    case N_Lookup: leaves[0] = emit_lookup(lanes, node); return leaves;
    case N_And:
    case N_Or:
    case N_Compare:
    case N_Binary: leaves[0] = emit_binary(lanes, node); return leaves;
    default: return cg_expr(cg, node); /* literals and names */
    }
}

/* Copies what a varying vector holds, so that element j of all lanes is one load. */
static void copy_rows(Lanes *lanes, const Type *vec, const Leaf *leaves) {
    Cg *cg = lanes->cg;
    const Type *type = vec->args[0];
    if (!is_wide(leaves[0]) || lanes->nrows == LANE_ROWS || type->kind == TY_bool) return;
    LLVMValueRef buffer = cg_slot(cg, ROW_MOST * WELD_LANES * type->size, 64);
    demand(lanes, LLVMBuildICmp(cg->builder, LLVMIntULE, leaves[1], cg_i64(cg, ROW_MOST), ""));
    LLVMValueRef row[WELD_LANES];
    for (int i = 0; i < WELD_LANES; i++)
        row[i] = LLVMBuildExtractElement(cg->builder, leaves[0], cg_i32(cg, i), "");
    Count counter = count_open(cg, leaves[1]);
    Leaf all = LLVMGetUndef(LLVMVectorType(cg_scalar_type(cg, type), WELD_LANES)), one;
    for (int i = 0; i < WELD_LANES; i++) {
        cg_load(cg, type, cg_element(cg, type, row[i], counter.index), NULL, &one);
        all = LLVMBuildInsertElement(cg->builder, all, one, cg_i32(cg, i), "");
    }
    LLVMValueRef at = LLVMBuildInBoundsGEP2(cg->builder, LLVMTypeOf(all), buffer, &counter.index, 1, "");
    LLVMSetAlignment(LLVMBuildStore(cg->builder, all, at), (unsigned)type->align);
    count_close(cg, &counter);
    lanes->rows[lanes->nrows].data = leaves[0];
    lanes->rows[lanes->nrows++].buffer = buffer;
}

/* ---- for cg_stages.c ---- */

static int loop_depth(const Node *node) {
    int deepest = 0;
    for (; node->kind == N_Let; node = node->kids[1]) {
        int depth = loop_depth(node->kids[0]);
        if (depth > deepest) deepest = depth;
    }
    for (int i = 0; i < node->count; i++) {
        int depth = loop_depth(node->kids[i]);
        if (depth > deepest) deepest = depth;
    }
    return deepest + (node->kind == N_For || node->kind == N_Iterate);
}

bool cg_lanes_open(Cg *cg, const Node *lambda, Lanes *lanes) {
    enum { BUDGET = 2000 };
    const Type *element = lambda->params[2]->type;
    *lanes = (Lanes){.cg = cg, .budget = BUDGET};
    if (!is_flat(element)) return false;
    size_t size = sizeof *lanes->varies * ((size_t)cg->program->symbols + 1);
    lanes->varies = arena_alloc(&cg->program->arena, size);
    if (!lanes->varies) return false;
    lanes->varies[lambda->params[1]->id] = new_flags(lanes, lambda->params[1]->type);
    lanes->varies[lambda->params[1]->id][0] = true;
    lanes->varies[lambda->params[2]->id] = new_flags(lanes, element);
    memset(lanes->varies[lambda->params[2]->id], true, (size_t)leaf_count(element));
    return true;
}

bool cg_lanes_pay(const Node *let) {
    return loop_depth(let->kids[0]) > 1;
}

bool cg_lanes_can(Lanes *lanes, const Node *let) {
    bool *flags = judge(lanes, let->kids[0]);
    lanes->varies[let->symbol->id] = flags;
    return flags != NULL;
}

void cg_lanes_let(Lanes *lanes, const Node *let) {
    lanes->budget = INT_MAX; /* judged before */
    Leaf *leaves = emit(lanes, let->kids[0]);
    cg_bind(lanes->cg, let->symbol, leaves);
    if (let->symbol->type->kind == TY_vec) copy_rows(lanes, let->symbol->type, leaves);
}

void cg_lanes_store(Lanes *lanes, const Type *type, LLVMValueRef leaf, LLVMValueRef at) {
    leaf = widen(lanes, leaf);
    cg_store(lanes->cg, wide_type(lanes, type), &leaf, at, NULL);
}
