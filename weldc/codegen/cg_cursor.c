/* cg_cursor.c: iterators.
 *
 *     iter(v, 2L, 10L, 2L)    data v, start 2, stride 2; four elements, if 10 <= len(v)
 *
 * An iterator is reduced to data, start and stride before the loop, where its bounds are checked: a Cursor.
 */
#include "cg.h"

#include <stddef.h>

/* How many numbers start, start + stride, ... lie below end; the bounds must fit exactly. */
static LLVMValueRef range_count(Cg *cg, const Node *iter, LLVMValueRef start, LLVMValueRef end,
                                LLVMValueRef stride, LLVMValueRef length) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef zero = cg_i64(cg, 0);
    LLVMValueRef ok = LLVMBuildAnd(builder, LLVMBuildICmp(builder, LLVMIntSGT, stride, zero, ""),
                                   LLVMBuildICmp(builder, LLVMIntSLE, start, end, ""), "");
    if (length) {
        ok = LLVMBuildAnd(builder, ok, LLVMBuildICmp(builder, LLVMIntSGE, start, zero, ""), "");
        ok = LLVMBuildAnd(builder, ok, LLVMBuildICmp(builder, LLVMIntSLE, end, length, ""), "");
    }
    cg_check(cg, ok, E_BadIterator, iter, start, end);
    /* end - start fits into 64 bits without a sign. */
    LLVMValueRef distance = LLVMBuildSub(builder, end, start, "");
    if (LLVMIsAConstantInt(stride) && LLVMConstIntGetSExtValue(stride) == 1 && length) return distance;
    LLVMValueRef rest = LLVMBuildURem(builder, distance, stride, "");
    cg_check(cg, LLVMBuildICmp(builder, LLVMIntEQ, rest, zero, ""), E_BadIterator, iter, start, end);
    LLVMValueRef count = LLVMBuildUDiv(builder, distance, stride, "");
    cg_check(cg, LLVMBuildICmp(builder, LLVMIntSGE, count, zero, ""), E_BadIterator, iter, start, end);
    return count;
}

static LLVMValueRef nd_bounds(Cg *cg, const Node *iter, LLVMValueRef length) {
    LLVMValueRef bounds = cg_slot(cg, sizeof(NdBounds), 8);
    cg_store_at(cg, length, bounds, offsetof(NdBounds, length));
    static const size_t at[] = {offsetof(NdBounds, start), offsetof(NdBounds, end),
                                offsetof(NdBounds, stride)};
    for (int i = 0; i < 3; i++) cg_store_at(cg, cg_one(cg, iter->kids[i + 1]), bounds, (int64_t)at[i]);
    cg_store(cg, iter->kids[4]->type, cg_expr(cg, iter->kids[4]),
             cg_at(cg, bounds, offsetof(NdBounds, shape)), NULL);
    cg_store(cg, iter->kids[5]->type, cg_expr(cg, iter->kids[5]),
             cg_at(cg, bounds, offsetof(NdBounds, strides)), NULL);
    cg_try(cg, cg_call(cg, RT_nd_check, cg->fn->worker, bounds, cg_span(cg, iter)));
    return bounds;
}

/* Evaluates an iterator and checks it. Returns how many elements it gives. */
LLVMValueRef cg_cursor_open(Cg *cg, const Node *iter, Cursor *cursor) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef null = LLVMConstNull(cg->ptr), zero = cg_i64(cg, 0), one = cg_i64(cg, 1);
    *cursor = (Cursor){iter, NULL, null, zero, one, null, NULL, false, NULL};
    if (iter->iter == IT_range) {
        cursor->start = cg_one(cg, iter->kids[0]);
        LLVMValueRef end = cg_one(cg, iter->kids[1]);
        cursor->stride = cg_one(cg, iter->kids[2]);
        return range_count(cg, iter, cursor->start, end, cursor->stride, NULL);
    }
    Leaf *vec = cg_expr(cg, iter->kids[0]);
    LLVMValueRef length = vec[1];
    cursor->data = vec[0];
    cursor->element = iter->kids[0]->type->args[0];
    if (iter->iter == IT_nd) {
        cursor->bounds = nd_bounds(cg, iter, length);
        LLVMValueRef start = cg_load_at(cg, cg->i64, cursor->bounds, offsetof(NdBounds, start));
        return LLVMBuildSub(builder, cg_load_at(cg, cg->i64, cursor->bounds, offsetof(NdBounds, end)), start,
                            "");
    }
    LLVMValueRef count = length;
    if (iter->count > 1) {
        cursor->start = cg_one(cg, iter->kids[1]);
        LLVMValueRef end = cg_one(cg, iter->kids[2]);
        cursor->stride = cg_one(cg, iter->kids[3]);
        count = range_count(cg, iter, cursor->start, end, cursor->stride, length);
    }
    LLVMValueRef lanes = cg_i64(cg, WELD_LANES);
    if (iter->iter == IT_simd) {
        count = LLVMBuildUDiv(builder, count, lanes, "");
    } else if (iter->iter == IT_fringe) {
        LLVMValueRef rest = LLVMBuildURem(builder, count, lanes, "");
        LLVMValueRef skipped =
            LLVMBuildMul(builder, LLVMBuildSub(builder, count, rest, ""), cursor->stride, "");
        cursor->start = LLVMBuildAdd(builder, cursor->start, skipped, "");
        count = rest;
    }
    return count;
}

LLVMValueRef cg_position(Cg *cg, LLVMValueRef index, LLVMValueRef start, LLVMValueRef stride) {
    if (!cg_is_constant(stride, 1)) index = LLVMBuildMul(cg->builder, index, stride, "");
    return cg_is_constant(start, 0) ? index : LLVMBuildAdd(cg->builder, start, index, "");
}

/* WELD_LANES elements that lie stride apart. */
static Leaf simd_element(Cg *cg, const Cursor *cursor, LLVMValueRef index) {
    LLVMTypeRef scalar = cg_scalar_type(cg, cursor->element), as = LLVMVectorType(scalar, WELD_LANES);
    LLVMValueRef first = cg_position(cg, LLVMBuildMul(cg->builder, index, cg_i64(cg, WELD_LANES), ""),
                                     cursor->start, cursor->stride);
    Leaf out = LLVMGetUndef(as);
    for (int i = 0; i < WELD_LANES; i++) {
        LLVMValueRef at = i ? LLVMBuildAdd(cg->builder, first,
                                           LLVMBuildMul(cg->builder, cursor->stride, cg_i64(cg, i), ""), "")
                            : first;
        Leaf one;
        cg_load(cg, cursor->element, cg_element(cg, cursor->element, cursor->data, at), cursor->scope, &one);
        out = LLVMBuildInsertElement(cg->builder, out, one, cg_i32(cg, i), "");
    }
    return out;
}

LLVMValueRef cg_cursor_whole(Cg *cg, const Node *iter, Cursor *cursor) {
    Leaf *vec = cg_expr(cg, iter->kids[0]);
    *cursor = (Cursor){.iter = iter,
                       .element = iter->kids[0]->type->args[0],
                       .data = vec[0],
                       .start = cg_i64(cg, 0),
                       .stride = cg_i64(cg, 1)};
    return vec[1];
}

/* The leaves of the cursor's element of iteration `index`; returns how many. */
int cg_cursor_element(Cg *cg, const Cursor *cursor, LLVMValueRef index, Leaf *out) {
    LLVMValueRef at;
    if (cursor->bytes) {
        LLVMValueRef bytes = cursor->bytes;
        at = LLVMBuildInBoundsGEP2(cg->builder, cg->i8, cursor->data, &bytes, 1, "");
        cg_load(cg, cursor->element, at, cursor->scope, out);
        return leaf_count(cursor->element);
    }
    switch (cursor->iter->iter) {
    case IT_range: out[0] = cg_position(cg, index, cursor->start, cursor->stride); return 1;
    case IT_simd: out[0] = simd_element(cg, cursor, index); return 1;
    case IT_nd:
        at = cursor->in_segment ? cg_position(cg, index, cursor->start, cursor->stride)
                                : cg_call(cg, RT_nd_offset, cursor->bounds, index);
        break;
    default: at = cg_position(cg, index, cursor->start, cursor->stride); break;
    }
    cg_load(cg, cursor->element, cg_element(cg, cursor->element, cursor->data, at), cursor->scope, out);
    return leaf_count(cursor->element);
}
