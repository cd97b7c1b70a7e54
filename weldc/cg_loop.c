/* cg_loop.c: for and iterate.
 *
 * A for that is not inside another one becomes a function of its own,
 *
 *     status body(state, worker, begin, end)
 *
 * which runs iterations [begin, end); the runtime calls it for one range after the other (or, with threads,
 * for several at a time, each worker with its own copy of the state). The state is a closure: pointers to the
 * states of the loop's builders, the iterators, and the values of the names that the body uses. The body
 * works on local copies of the builders' states, which LLVM keeps in registers, and writes them back at its
 * end. A for inside another one is a loop in place.
 *
 * An iterator is reduced to data, start and stride before the loop, where its bounds are checked and the
 * lengths of zipped iterators compared. Where the number of merges of an iteration into an appender is
 * bounded (cg_builder.c), room for a whole range is made before it, so that merging is a store and an
 * addition, which vectorizes.
 *
 * Loads through the iterators of a loop never alias what its builders write, which the alias metadata says:
 * the vectors were complete before the loop began. A loop in place that has no other inside is compiled
 * twice: for few iterations, without interleaving and with a masked rest, and for many.
 */
#include "cg.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { STRIP = 1 << 16, SHORT = 64, CURSOR_WORDS = 4 };

void cg_poll(Cg *cg, const Node *node) {
    LLVMValueRef cancel =
        LLVMBuildLoad2(cg->builder, cg->i32, cg_load_at(cg, cg->ptr, cg->fn->worker, 0), "");
    LLVMValueRef stop = cg_load_at(cg, cg->i32, cg->fn->worker, offsetof(Worker, stop));
    LLVMSetVolatile(cancel, true);
    LLVMSetVolatile(stop, true);
    LLVMValueRef flag = LLVMBuildOr(cg->builder, cancel, stop, "");
    cg_check(cg, LLVMBuildICmp(cg->builder, LLVMIntEQ, flag, cg_i32(cg, 0), ""), E_Cancelled, node, NULL,
             NULL);
}

/* ---- iterators ---- */

/* How many numbers start, start + stride, ... lie below end; the bounds must fit exactly.
 */
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
static LLVMValueRef cursor_open(Cg *cg, const Node *iter, Cursor *cursor) {
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

/* ---- the loop itself ---- */

static bool merges_pointers(const Type *builder) {
    for (int i = 0; i < builder->count; i++) {
        if (builder->kind == TY_struct ? merges_pointers(builder->args[i]) : builder->args[i]->pointers)
            return true;
    }
    return false;
}

/* Nothing that an iteration allocates can be reached after it. */
static bool iteration_is_private(Cg *cg, const Loop *loop) {
    if (!cg_allocates(loop->lambda->kids[0]) || merges_pointers(loop->builder)) return false;
    NameList names = cg_free_names(cg, loop->lambda);
    for (int i = 0; i < names.count; i++) {
        if (names.symbol[i]->type->builders) return false;
    }
    return true;
}

/* Gives the names of the loop's function their values in iteration `index`. */
void cg_bind_iteration(Cg *cg, const Loop *loop, LLVMValueRef index) {
    const Node *lambda = loop->lambda;
    Leaf *element = cg_leaves(cg, lambda->params[2]->type), *at = element;
    for (int i = 0; i < loop->ncursors; i++) at += cg_cursor_element(cg, &loop->cursors[i], index, at);
    Leaf *number = arena_alloc(&cg->program->arena, sizeof *number);
    *number = index;
    cg_bind(cg, lambda->params[0], loop->builders);
    cg_bind(cg, lambda->params[1], number);
    cg_bind(cg, lambda->params[2], element);
}

/* The bounds may be of 32 bits, if they are small: a vector of indices is then half as large. */
Counter cg_counter_open(Cg *cg, LLVMValueRef begin, LLVMValueRef end) {
    Counter counter = {
        NULL, begin, end, NULL, LLVMGetInsertBlock(cg->builder), cg_block(cg, "loop"), cg_block(cg, "")};
    LLVMBuildBr(cg->builder, counter.body);
    cg_goto(cg, counter.body);
    counter.phi = LLVMBuildPhi(cg->builder, LLVMTypeOf(begin), "");
    counter.index =
        LLVMTypeOf(begin) == cg->i64 ? counter.phi : LLVMBuildZExt(cg->builder, counter.phi, cg->i64, "");
    return counter;
}

/* Returns the branch back. */
LLVMValueRef cg_counter_close(Cg *cg, Counter *counter) {
    LLVMValueRef one = LLVMConstInt(LLVMTypeOf(counter->begin), 1, false);
    LLVMValueRef next = LLVMBuildNUWAdd(cg->builder, counter->phi, one, "");
    if (LLVMTypeOf(next) == cg->i32) LLVMSetNSW(next, true);
    LLVMBasicBlockRef last = LLVMGetInsertBlock(cg->builder);
    LLVMValueRef more = LLVMBuildICmp(cg->builder, LLVMIntULT, next, counter->end, "");
    LLVMValueRef branch = LLVMBuildCondBr(cg->builder, more, counter->body, counter->after);
    LLVMAddIncoming(counter->phi, &counter->begin, &counter->before, 1);
    LLVMAddIncoming(counter->phi, &next, &last, 1);
    cg_goto(cg, counter->after);
    return branch;
}

static LLVMMetadataRef loop_option(Cg *cg, const char *name, LLVMValueRef value) {
    LLVMMetadataRef parts[2] = {LLVMMDStringInContext2(cg->context, name, strlen(name)),
                                LLVMValueAsMetadata(value)};
    return LLVMMDNodeInContext2(cg->context, parts, 2);
}

/* options: with room before the first, for the loop itself. */
static void give_options(Cg *cg, LLVMValueRef back, LLVMMetadataRef *options, size_t count) {
    LLVMMetadataRef self = options[0] = LLVMTemporaryMDNode(cg->context, NULL, 0);
    LLVMMetadataRef id = LLVMMDNodeInContext2(cg->context, options, count);
    LLVMMetadataReplaceAllUsesWith(self, id); /* a loop's metadata begins with itself */
    LLVMSetMetadata(back, LLVMGetMDKindIDInContext(cg->context, "llvm.loop", 9),
                    LLVMMetadataAsValue(cg->context, id));
}

/* Tells LLVM how many vectors of iterations are done side by side, and whether the rest is one more, under a mask. */
static void mark_loop(Cg *cg, LLVMValueRef back, int vectors, bool masks) {
    LLVMValueRef yes = LLVMConstInt(cg->i1, 1, false);
    LLVMMetadataRef options[3] = {NULL, loop_option(cg, "llvm.loop.interleave.count", cg_i32(cg, vectors)),
                                  loop_option(cg, "llvm.loop.vectorize.predicate.enable", yes)};
    give_options(cg, back, options, masks ? 3 : 2);
}

void cg_loop_as_is(Cg *cg, LLVMValueRef back) {
    LLVMValueRef yes = LLVMConstInt(cg->i1, 1, false), no = LLVMConstInt(cg->i1, 0, false);
    LLVMMetadataRef options[3] = {NULL, loop_option(cg, "llvm.loop.unroll.disable", yes),
                                  loop_option(cg, "llvm.loop.vectorize.enable", no)};
    give_options(cg, back, options, 3);
}

/* A loop whose vectors are given to functions of mathematics: all registers are saved around each call, and one call waits for
 * the result of the other. Two vectors of 64 bytes side by side, or four of 32, save less often, and one computes while another
 * waits. What is saved of 64 bytes should not be on two lines of the cache: with a frame pointer LLVM aligns it. */
static void mark_calls(Cg *cg, LLVMValueRef back) {
    mark_loop(cg, back, cg->wide ? 2 : 4, false);
    if (!cg->wide) return;
    LLVMAttributeRef frame = LLVMCreateStringAttribute(cg->context, "frame-pointer", 13, "all", 3);
    LLVMAddAttributeAtIndex(cg->fn->function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, frame);
}

/* LLVM does four vectors of iterations side by side, so that additions need not wait for each other: those take some four cycles,
 * and there are two loads a cycle. Where an iteration has four loads, two vectors have no time to wait, and take half as long
 * to compile. */
static void mark_loads(Cg *cg, const Loop *loop, LLVMValueRef back) {
    enum { LATENCY = 4, LOADS = 2 };
    int loads = 0;
    for (int i = 0; i < loop->ncursors; i++) loads += loop->cursors[i].iter->iter == IT_scalar;
    if (loads * 2 >= LATENCY * LOADS) mark_loop(cg, back, 2, false);
}

/* Iterations [begin, end), of which there is at least one. Returns the branch back. */
LLVMValueRef cg_loop_range(Cg *cg, Loop *loop, LLVMValueRef begin, LLVMValueRef end, bool few) {
    int proven = cg->fn->nproven, calls = cg->math_calls;
    cg_prove(cg, loop, begin, end, !loop->outlined && !few);
    Offsets offsets = cg_offsets_plan(cg, loop, begin);
    if (few) {
        begin = LLVMBuildTrunc(cg->builder, begin, cg->i32, "");
        end = LLVMBuildTrunc(cg->builder, end, cg->i32, "");
    }
    Counter counter = cg_counter_open(cg, begin, end);
    cg_offsets_open(cg, &offsets, &counter);
    if (loop->plan) cg_prefetch_ahead(cg, loop, counter.index);
    cg_offsets_use(loop, &offsets);
    cg_bind_iteration(cg, loop, counter.index);
    cg_offsets_use(loop, NULL);
    if (loop->plan) {
        cg->fn->ahead = loop->plan;
        cg->fn->ahead_n = LLVMBuildSub(cg->builder, counter.index, begin, "");
    }
    cg_expr(cg, loop->lambda->kids[0]); /* its value is the builder itself: the verifier saw to it */
    if (loop->mark) cg_call(cg, RT_reset, cg->fn->worker, loop->mark);
    cg_offsets_close(cg, &offsets);
    LLVMValueRef back = cg_counter_close(cg, &counter);
    if (cg->math_calls > calls && !few)
        mark_calls(cg, back);
    else if (!few)
        mark_loads(cg, loop, back);
    cg->fn->nproven = proven;
    return back;
}

LLVMValueRef cg_least(Cg *cg, LLVMValueRef a, LLVMValueRef b) {
    return LLVMBuildSelect(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntULT, a, b, ""), a, b, "");
}

/* The next segment of each nditer; returns where the first of them ends. */
static LLVMValueRef enter_segments(Cg *cg, Loop *loop, LLVMValueRef from, LLVMValueRef end,
                                   LLVMValueRef *strides) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef place = cg_slot(cg, 8, 8), left = LLVMBuildSub(builder, end, from, "");
    for (int i = 0; i < loop->ncursors; i++) {
        Cursor *cursor = &loop->cursors[i];
        if (!strides[i]) continue;
        left = cg_least(cg, left, cg_call(cg, RT_nd_segment, cursor->bounds, from, place));
        LLVMValueRef before = LLVMBuildMul(builder, from, strides[i], "");
        cursor->start = LLVMBuildSub(builder, cg_load_at(cg, cg->i64, place, 0), before, "");
        cursor->stride = strides[i];
        cursor->in_segment = true;
    }
    return LLVMBuildNUWAdd(builder, from, left, "");
}

/* Iterations [begin, end) of a loop with nditers: for each segment a loop whose strides are fixed. */
static void loop_segments(Cg *cg, Loop *loop, LLVMValueRef begin, LLVMValueRef end) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef *strides = arena_alloc(&cg->program->arena, sizeof *strides * (size_t)loop->ncursors);
    for (int i = 0; strides && i < loop->ncursors; i++) {
        if (loop->cursors[i].iter->iter == IT_nd)
            strides[i] = cg_call(cg, RT_nd_stride, loop->cursors[i].bounds);
    }
    LLVMBasicBlockRef segment = cg_block(cg, "segment"), after = cg_block(cg, ""), before, last;
    before = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, segment);
    cg_goto(cg, segment);
    LLVMValueRef from = LLVMBuildPhi(builder, cg->i64, "");
    LLVMValueRef to = enter_segments(cg, loop, from, end, strides);
    cg_loop_range(cg, loop, from, to, false);
    last = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntULT, to, end, ""), segment, after);
    LLVMAddIncoming(from, &begin, &before, 1);
    LLVMAddIncoming(from, &to, &last, 1);
    for (int i = 0; i < loop->ncursors; i++) loop->cursors[i].in_segment = false;
    cg_goto(cg, after);
}

static bool has_nditer(const Loop *loop) {
    bool found = false;
    for (int i = 0; i < loop->ncursors; i++) found |= loop->cursors[i].iter->iter == IT_nd;
    return found;
}

/* The same, several at once as far as that goes: nditers by segments, filters by lanes (cg_filter.c). */
void cg_loop_by_lanes(Cg *cg, Loop *loop, LLVMValueRef begin, LLVMValueRef end) {
    if (has_nditer(loop)) {
        loop_segments(cg, loop, begin, end);
        return;
    }
    LLVMValueRef from = cg_filter_loop(cg, loop, begin, end);
    if (from == begin) {
        cg_loop_range(cg, loop, begin, end, false);
        return;
    }
    LLVMBasicBlockRef rest = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntULT, from, end, ""), rest, after);
    cg_goto(cg, rest);
    cg_loop_range(cg, loop, from, end, false);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
}

/* Makes room in the appenders that take at most so many values per iteration. exactly: only in those that
 * also take at least that many, whose final size is known. */
static void make_room(Cg *cg, Loop *loop, const Type *builder, int leaf, LLVMValueRef iterations,
                      bool exactly) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            make_room(cg, loop, builder->args[i], leaf, iterations, exactly);
            leaf += leaf_count(builder->args[i]);
        }
        return;
    }
    if (builder->kind != TY_appender) return;
    if (loop->places && loop->places[leaf]) {
        if (!exactly && cg->fn->nroomy < ROOMY) cg->fn->roomy[cg->fn->nroomy++] = loop->builders[leaf];
        return;
    }
    MergeBound bound = merge_bound(&cg->merges, loop->lambda->kids[0], loop->lambda->params[0], leaf);
    if (bound.most <= 0 || (exactly && bound.least != bound.most)) return;
    LLVMValueRef few = cg_least(cg, iterations, cg_i64(cg, (int64_t)1 << 48));
    LLVMValueRef count = LLVMBuildMul(cg->builder, few, cg_i64(cg, bound.most), "");
    cg_make_room(cg, builder, loop->builders[leaf], count, loop->node);
    if (!exactly && cg->fn->nroomy < ROOMY) cg->fn->roomy[cg->fn->nroomy++] = loop->builders[leaf];
}

/* Asks for the direct tables of the dictmergers with small keys. */
static void make_direct(Cg *cg, const Type *builder, const Leaf *states, LLVMValueRef iterations) {
    if (builder->kind != TY_struct) {
        cg_dict_direct(cg, builder, states[0], iterations);
        return;
    }
    for (int i = 0; i < builder->count; i++) {
        make_direct(cg, builder->args[i], states, iterations);
        states += leaf_count(builder->args[i]);
    }
}

static void begin_private(Cg *cg, Loop *loop) {
    if (!iteration_is_private(cg, loop)) return;
    loop->mark = cg_slot(cg, sizeof(RegionMark), 8);
    cg_call(cg, RT_mark, cg->fn->worker, loop->mark);
}

static bool find_loop(Walk *walk, Node **slot) {
    bool *found = walk->data;
    NodeKind kind = (*slot)->kind;
    *found |= kind == N_For || kind == N_Iterate || kind == N_Sort;
    return !*found;
}

static bool is_innermost(Cg *cg, const Loop *loop) {
    bool found = false;
    Walk walk = {cg->program, find_loop, NULL, &found};
    Node *body = loop->lambda->kids[0];
    node_walk(&walk, &body);
    return !found;
}

/* ---- loops in place ---- */

/* What the loop reads through its iterators was complete before it began, so no builder in it writes there. */
void cg_loop_scope(Cg *cg, Loop *loop) {
    Fn *fn = cg->fn;
    if (fn->nscopes == SCOPES) return;
    char name[32];
    int length = snprintf(name, sizeof name, "data %d", ++cg->loops);
    LLVMMetadataRef domain_name = LLVMMDStringInContext2(cg->context, "loop", 4);
    LLVMMetadataRef domain = LLVMMDNodeInContext2(cg->context, &domain_name, 1);
    LLVMMetadataRef parts[2] = {LLVMMDStringInContext2(cg->context, name, (size_t)length), domain};
    fn->scopes[fn->nscopes++] = LLVMMDNodeInContext2(cg->context, parts, 2);
    LLVMMetadataRef own = LLVMMDNodeInContext2(cg->context, &fn->scopes[fn->nscopes - 1], 1);
    LLVMMetadataRef all = LLVMMDNodeInContext2(cg->context, fn->scopes, (size_t)fn->nscopes);
    LLVMValueRef scope = LLVMMetadataAsValue(cg->context, own);
    for (int i = 0; i < loop->ncursors; i++) loop->cursors[i].scope = scope;
    fn->scope = LLVMMetadataAsValue(cg->context, all);
    /* It holds for one run of the loop only: the next may walk what this one wrote. */
    cg_intrinsic(cg, "llvm.experimental.noalias.scope.decl", NULL, 0, &scope, 1);
}

static void count_part(Cg *cg, LLVMValueRef from, LLVMValueRef to, bool masks, ShortBody *body, void *user) {
    Counter counter = cg_counter_open(cg, from, to);
    body(cg, counter.index, user);
    mark_loop(cg, cg_counter_close(cg, &counter), 1, masks); /* it is short */
}

/* The size of a type's scalars and of the elements of all cursors, if those are scalars of 4 or 8 bytes, which AVX2
 * loads and stores under a mask; else 0. */
int cg_word_size(const Loop *loop, const Type *type) {
    if (!type_is_scalar(type) || (type->size != 4 && type->size != 8)) return 0;
    for (int i = 0; i < loop->ncursors; i++) {
        const Cursor *cursor = &loop->cursors[i];
        if (cursor->iter->iter != IT_scalar || !type_is_scalar(cursor->element)) return 0;
        if (cursor->element->size != type->size) return 0;
    }
    return (int)type->size;
}

/* A short loop of at least one iteration; count: an i32. AVX-512 has masks for nothing, so all vectors are under one. With AVX2
 * they cost registers and instructions: those that are full go first, and what is left, where elements have a
 * word's size, is one vector under a mask instead of some iterations one by one. */
void cg_count_short(Cg *cg, LLVMValueRef count, int size, ShortBody *body, void *user) {
    enum { VECTOR = 32 };
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef zero = cg_i32(cg, 0);
    if (cg->masks || !cg->word_masks || !size) {
        count_part(cg, zero, count, cg->masks, body, user);
        return;
    }
    LLVMValueRef full = LLVMBuildAnd(builder, count, cg_i32(cg, -(VECTOR / size)), "");
    LLVMBasicBlockRef whole = cg_block(cg, ""), after = cg_block(cg, ""), rest = cg_block(cg, ""),
                      end = cg_block(cg, "");
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, full, zero, ""), whole, after);
    cg_goto(cg, whole);
    count_part(cg, zero, full, false, body, user);
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, full, count, ""), rest, end);
    cg_goto(cg, rest);
    count_part(cg, full, count, true, body, user);
    LLVMBuildBr(builder, end);
    cg_goto(cg, end);
}

/* Two iterations side by side, each by itself: a processor has as many loads a cycle as it has for vectors of what lies apart,
 * and of few iterations more would leave more over. */
static void mark_picks(Cg *cg, LLVMValueRef back) {
    LLVMMetadataRef options[3] = {NULL, loop_option(cg, "llvm.loop.interleave.count", cg_i32(cg, 2)),
                                  loop_option(cg, "llvm.loop.vectorize.width", cg_i32(cg, 1))};
    give_options(cg, back, options, 3);
}

/* All iterations of a loop that has few. */
static void loop_short(Cg *cg, Loop *loop) {
    int roomy = cg->fn->nroomy, picks = cg->picks;
    make_room(cg, loop, loop->builder, 0, loop->count, false);
    LLVMValueRef back = cg_loop_range(cg, loop, cg_i64(cg, 0), loop->count, true);
    if (cg->picks > picks)
        mark_picks(cg, back);
    else
        mark_loop(cg, back, 1, cg->masks);
    cg->fn->nroomy = roomy;
}

/* Strips of iterations, between which the loop can be cancelled and room is made. An innermost loop of few
 * iterations is one of its own kind. */
static void loop_in_place(Cg *cg, Loop *loop) {
    LLVMBuilderRef builder = cg->builder;
    int roomy = cg->fn->nroomy, scopes = cg->fn->nscopes;
    LLVMValueRef scope = cg->fn->scope;
    LLVMBasicBlockRef strip = cg_block(cg, "strip"), more = cg_block(cg, ""), after = cg_block(cg, "");
    cg_loop_scope(cg, loop);
    begin_private(cg, loop);
    make_room(cg, loop, loop->builder, 0, loop->count, true);
    LLVMValueRef zero = cg_i64(cg, 0);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder);
    if (!cg->fn->long_only && is_innermost(cg, loop)) {
        LLVMBasicBlockRef some = cg_block(cg, ""), few = cg_block(cg, "");
        LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, loop->count, zero, ""), some, after);
        cg_goto(cg, some);
        before = some;
        LLVMValueRef is_short = LLVMBuildICmp(builder, LLVMIntULT, loop->count, cg_i64(cg, SHORT), "");
        LLVMBuildCondBr(builder, is_short, few, strip);
        cg_goto(cg, few);
        loop_short(cg, loop);
        LLVMBuildBr(builder, after);
    } else {
        LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, loop->count, zero, ""), strip, after);
    }
    cg_goto(cg, strip);
    LLVMValueRef begin = LLVMBuildPhi(builder, cg->i64, "");
    LLVMValueRef length = cg_least(cg, LLVMBuildSub(builder, loop->count, begin, ""), cg_i64(cg, STRIP));
    LLVMValueRef end = LLVMBuildNUWAdd(builder, begin, length, "");
    make_room(cg, loop, loop->builder, 0, length, false);
    cg_loop_by_lanes(cg, loop, begin, end);
    cg_likely(cg,
              LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntULT, end, loop->count, ""), more, after),
              false);
    cg_goto(cg, more);
    cg_poll(cg, loop->node);
    LLVMBasicBlockRef last = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, strip);
    LLVMAddIncoming(begin, &zero, &before, 1);
    LLVMAddIncoming(begin, &end, &last, 1);
    cg_goto(cg, after);
    cg->fn->nroomy = roomy;
    cg->fn->nscopes = scopes;
    cg->fn->scope = scope;
}

/* ---- outlined loops ---- */

/* Copies the states of all builders in a builder type, but for those that write where an iterator reads. */
static void copy_states(Cg *cg, const Type *builder, const Leaf *from, const Leaf *to, const int *places) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            int count = leaf_count(builder->args[i]);
            copy_states(cg, builder->args[i], from, to, places);
            from += count;
            to += count;
            if (places) places += count;
        }
    } else if (places && *places) {
        return; /* enter_places, leave_places */
    } else if (builder->kind == TY_merger) {
        Leaf *value = cg_leaves(cg, builder->args[0]);
        cg_load(cg, builder->args[0], from[0], NULL, value);
        cg_store(cg, builder->args[0], value, to[0], NULL);
    } else {
        int64_t size = builder_state_size(builder);
        for (int64_t at = 0; at < size; at += 8) {
            cg_store_at(cg, cg_load_at(cg, at ? cg->i64 : cg->ptr, from[0], at), to[0], at);
        }
    }
}

static void local_states(Cg *cg, const Type *builder, Leaf *out) {
    if (builder->kind != TY_struct) {
        out[0] = cg_slot(cg, builder_state_size(builder), 64);
        return;
    }
    for (int i = 0; i < builder->count; i++) {
        local_states(cg, builder->args[i], out);
        out += leaf_count(builder->args[i]);
    }
}

/* The body may name the builder that the loop was given (`for(v, b, |b2, i, e| merge(b, e))`): that is b2. */
static void alias_outer_builder(Cg *cg, const Node *given, Leaf *locals) {
    int at = 0;
    const Node *inner = given;
    for (; inner->kind == N_Field; inner = inner->kids[0]) at += leaf_at(inner->kids[0]->type, inner->index);
    if (inner->kind != N_Ident || !cg->values[inner->symbol->id]) return;
    Leaf *leaves = cg_leaves(cg, inner->type);
    memcpy(leaves, cg->values[inner->symbol->id], sizeof *leaves * (size_t)leaf_count(inner->type));
    memcpy(leaves + at, locals, sizeof *leaves * (size_t)leaf_count(given->type));
    cg_bind(cg, inner->symbol, leaves);
}

static void store_cursors(Cg *cg, const Loop *loop, LLVMValueRef state, int64_t at) {
    for (int i = 0; i < loop->ncursors; i++, at += 8 * CURSOR_WORDS) {
        const Cursor *cursor = &loop->cursors[i];
        cg_store_at(cg, cursor->data, state, at);
        cg_store_at(cg, cursor->start, state, at + 8);
        cg_store_at(cg, cursor->stride, state, at + 16);
        cg_store_at(cg, cursor->bounds, state, at + 24);
    }
}

/* Constants stay constants, so that the usual stride of 1 is seen by LLVM. */
static void load_cursors(Cg *cg, Loop *loop, LLVMValueRef state, int64_t at) {
    for (int i = 0; i < loop->ncursors; i++, at += 8 * CURSOR_WORDS) {
        Cursor *cursor = &loop->cursors[i];
        cursor->data = cg_load_at(cg, cg->ptr, state, at);
        if (!LLVMIsAConstantInt(cursor->start)) cursor->start = cg_load_at(cg, cg->i64, state, at + 8);
        if (!LLVMIsAConstantInt(cursor->stride)) cursor->stride = cg_load_at(cg, cg->i64, state, at + 16);
        cursor->bounds = cg_load_at(cg, cg->ptr, state, at + 24);
    }
    cg_loop_scope(cg, loop);
}

/* ---- loops that write where they read (reuse.c) ---- */

/* Before the loop, which leaves the appender with a vector that is not its own. */
static void take_places(Cg *cg, const Loop *loop, int nbuilders) {
    for (int i = 0; loop->places && i < nbuilders; i++) {
        if (!loop->places[i]) continue;
        cg_store_at(cg, loop->cursors[loop->places[i] - 1].data, loop->builders[i], 0);
    }
}

/* In the body, for iterations from `begin` on: that the two addresses are one must be seen by LLVM, which may then take
 * several iterations at once; nor does anything say that they are not. */
static void enter_places(Cg *cg, Loop *loop, int nbuilders, LLVMValueRef begin) {
    for (int i = 0; loop->places && i < nbuilders; i++) {
        if (!loop->places[i]) continue;
        Cursor *cursor = &loop->cursors[loop->places[i] - 1];
        cursor->scope = NULL;
        cg_store_at(cg, cg_element(cg, cursor->element, cursor->data, begin), loop->builders[i], 0);
        cg_store_at(cg, cg_i64(cg, 0), loop->builders[i], offsetof(Appender, length));
        cg_store_at(cg, cg_i64(cg, INT64_MAX), loop->builders[i], offsetof(Appender, capacity));
    }
}

/* At its end the appender is where it was and has so many elements more. */
static void leave_places(Cg *cg, const Loop *loop, const Leaf *given, int nbuilders) {
    for (int i = 0; loop->places && i < nbuilders; i++) {
        if (!loop->places[i]) continue;
        int64_t at = (int64_t)offsetof(Appender, length);
        LLVMValueRef more = cg_load_at(cg, cg->i64, loop->builders[i], at);
        LLVMValueRef before = cg_load_at(cg, cg->i64, given[i], at);
        cg_store_at(cg, LLVMBuildAdd(cg->builder, before, more, ""), given[i], at);
    }
}

static void outlined_body(Cg *cg, Loop *loop, Closure *closure, int nbuilders) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef state = LLVMGetParam(cg->fn->function, 0), begin = LLVMGetParam(cg->fn->function, 2);
    LLVMValueRef end = LLVMGetParam(cg->fn->function, 3);
    cg_closure_enter(cg, closure, state);
    Leaf *given = cg_leaves(cg, loop->builder);
    loop->builders = cg_leaves(cg, loop->builder);
    for (int i = 0; i < nbuilders; i++) given[i] = cg_load_at(cg, cg->ptr, state, 8 * i);
    local_states(cg, loop->builder, loop->builders);
    copy_states(cg, loop->builder, given, loop->builders, loop->places);
    load_cursors(cg, loop, state, 8 * nbuilders);
    enter_places(cg, loop, nbuilders, begin);
    alias_outer_builder(cg, loop->node->kids[loop->ncursors], loop->builders);
    LLVMValueRef iterations = LLVMBuildSub(builder, end, begin, "");
    make_room(cg, loop, loop->builder, 0, iterations, false);
    make_direct(cg, loop->builder, loop->builders, iterations);
    cg_deal_open(cg, loop->lambda, loop->builder, loop->builders);
    begin_private(cg, loop);
    cg_loop_in_blocks(cg, loop, begin, end);
    cg_deal_close(cg);
    copy_states(cg, loop->builder, loop->builders, given, loop->places);
    leave_places(cg, loop, given, nbuilders);
    LLVMBuildRet(builder, cg_i32(cg, 0));
    cg_closure_leave(cg, closure);
}

/* ---- what the runtime must know to run it on several threads ---- */

/* Iterations that are worth handing to another thread. */
static int64_t least_iterations(Cg *cg, const Loop *loop) {
    enum { LEAST = 4096 };
    return is_innermost(cg, loop) ? LEAST : 1;
}

static int64_t exact_merges(Cg *cg, const Loop *loop, const Type *builder, int leaf) {
    if (builder->kind != TY_appender) return 0;
    MergeBound bound = merge_bound(&cg->merges, loop->lambda->kids[0], loop->lambda->params[0], leaf);
    return bound.least == bound.most && bound.most > 0 ? bound.most : 0;
}

static void store_exact(Cg *cg, const Loop *loop, const Type *builder, int leaf, LLVMValueRef shape) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            store_exact(cg, loop, builder->args[i], leaf, shape);
            leaf += leaf_count(builder->args[i]);
        }
        return;
    }
    int64_t at = (int64_t)offsetof(LoopShape, exact) + 8 * leaf;
    cg_store_at(cg, cg_i64(cg, exact_merges(cg, loop, builder, leaf)), shape, at);
}

static LLVMValueRef loop_shape(Cg *cg, const Loop *loop, const Closure *closure) {
    LLVMValueRef shape = cg_slot(cg, (int64_t)sizeof(LoopShape) + 8 * leaf_count(loop->builder), 8);
    cg_store_at(cg, cg_i64(cg, closure->size), shape, offsetof(LoopShape, size));
    cg_store_at(cg, cg_i64(cg, least_iterations(cg, loop)), shape, offsetof(LoopShape, least));
    store_exact(cg, loop, loop->builder, 0, shape);
    return shape;
}

static void loop_outlined(Cg *cg, Loop *loop) {
    int nbuilders = leaf_count(loop->builder);
    Leaf *outer = loop->builders;
    const Node *given = loop->node->kids[loop->ncursors];
    loop->outlined = true;
    take_places(cg, loop, nbuilders);
    make_room(cg, loop, loop->builder, 0, loop->count, true);
    Closure closure = cg_closure(cg, cg_free_names(cg, loop->lambda),
                                 8 * (nbuilders + CURSOR_WORDS * (int64_t)loop->ncursors));
    for (int i = 0; i < nbuilders; i++) cg_store_at(cg, outer[i], closure.state, 8 * i);
    store_cursors(cg, loop, closure.state, 8 * nbuilders);
    LLVMTypeRef params[4] = {cg->ptr, cg->ptr, cg->i64, cg->i64};
    Leaf **alias = NULL, *before = NULL;
    while (given->kind == N_Field) given = given->kids[0];
    if (given->kind == N_Ident) alias = &cg->values[given->symbol->id], before = *alias;
    Fn fn = {0};
    cg_fn_open(cg, &fn, "loop", params, 4);
    fn.worker = LLVMGetParam(fn.function, 1);
    outlined_body(cg, loop, &closure, nbuilders);
    cg_fn_close(cg, &fn);
    if (alias) *alias = before;
    loop->builders = outer;
    bool divisible = loop->builder->count > 0 && cg_is_divisible(cg, loop->lambda);
    LLVMValueRef builder = divisible ? cg_type_pointer(cg, loop->builder) : LLVMConstNull(cg->ptr);
    cg_try(cg, cg_call(cg, RT_for, cg->fn->worker, fn.function, closure.state, loop->count,
                       loop_shape(cg, loop, &closure), builder, cg_span(cg, loop->node)));
    cg_dict_gather(cg, loop->node, loop->builder, outer);
}

Leaf *cg_for(Cg *cg, const Node *node) {
    Loop loop = {.node = node, .lambda = node->kids[node->count - 1], .ncursors = node->count - 2};
    loop.builder = node->type;
    loop.places = cg->fn->outlines ? cg_places(cg, node) : NULL;
    loop.cursors = arena_alloc(&cg->program->arena, sizeof *loop.cursors * (size_t)loop.ncursors);
    for (int i = 0; i < loop.ncursors; i++) {
        LLVMValueRef count = cursor_open(cg, node->kids[i], &loop.cursors[i]);
        if (i == 0) {
            loop.count = count;
            continue;
        }
        LLVMValueRef same = LLVMBuildICmp(cg->builder, LLVMIntEQ, loop.count, count, "");
        cg_check(cg, same, E_ZipMismatch, node, loop.count, count);
    }
    loop.builders = cg_expr(cg, node->kids[loop.ncursors]);
    if (cg->fn->outlines)
        loop_outlined(cg, &loop);
    else
        loop_in_place(cg, &loop);
    return loop.builders;
}

/* ---- iterate ---- */

/* Does a sweep by this type find all that a state holds on to? Not the partitions of a dictionary that grows. */
static bool is_sweepable(const Type *state) {
    if (state->kind == TY_dictmerger || state->kind == TY_groupmerger) return false;
    for (int i = 0; state->builders && state->kind == TY_struct && i < state->count; i++) {
        if (!is_sweepable(state->args[i])) return false;
    }
    return true;
}

/* What rt_restore and rt_keep are given of a state that checkpoints keep. */
typedef struct Kept {
    LLVMValueRef type, layout;
} Kept;

static Kept kept_state(Cg *cg, const Node *node) {
    const char *layout = node->text ? node->text : "";
    Kept kept = {cg_type_pointer(cg, node->type), cg_at(cg, cg->string_base, (int64_t)cg->strings.length)};
    buf_put(&cg->strings, layout, strlen(layout) + 1);
    return kept;
}

/* The first state in its slot: computed, or restored; the step is next, or nothing. */
static void iterate_start(Cg *cg, const Node *node, const Kept *kept, LLVMValueRef slot,
                          LLVMBasicBlockRef step, LLVMBasicBlockRef after) {
    LLVMBasicBlockRef anew = cg_block(cg, "anew"), restored = cg_block(cg, "restored");
    LLVMValueRef kind = cg_slot(cg, sizeof(int32_t), 4);
    cg_try(cg, cg_call(cg, RT_restore, cg->fn->worker, cg_i64(cg, (int64_t)node->bits), kept->type,
                       kept->layout, slot, kind, cg_span(cg, node)));
    LLVMValueRef found = cg_load_at(cg, cg->i32, kind, 0), none = LLVMConstInt(cg->i32, KEPT_NONE, false),
                 done = LLVMConstInt(cg->i32, KEPT_DONE, false);
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntEQ, found, none, ""), anew, restored);
    cg_goto(cg, restored);
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntEQ, found, done, ""), after, step);
    cg_goto(cg, anew);
    cg_store(cg, node->type, cg_expr(cg, node->kids[0]), slot, NULL);
    LLVMBuildBr(cg->builder, step);
}

Leaf *cg_iterate(Cg *cg, const Node *node) {
    const Node *lambda = node->kids[1];
    const Type *type = node->type;
    int count = leaf_count(type);
    bool keeps = node->bits != 0;
    Kept kept = keeps ? kept_state(cg, node) : (Kept){NULL, NULL};
    cg_renew_note(cg, node);
    const Node *let = cg->let;
    LLVMBasicBlockRef first = cg_block(cg, "first"), after = cg_block(cg, "");
    LLVMValueRef slot = cg_slot(cg, type->size, type->align);
    if (keeps) {
        iterate_start(cg, node, &kept, slot, first, after);
    } else {
        cg_store(cg, type, cg_expr(cg, node->kids[0]), slot, NULL);
        LLVMBuildBr(cg->builder, first);
    }
    cg_goto(cg, first);
    cg->let = let;
    bool sweep = cg_allocates(lambda->kids[0]) && is_sweepable(type);
    NameList names = cg_free_names(cg, lambda);
    for (int i = 0; i < names.count; i++) sweep = sweep && !names.symbol[i]->type->builders;
    LLVMValueRef mark = sweep ? cg_slot(cg, sizeof(RegionMark), 8) : NULL;
    if (mark && (keeps || !cg_renew(cg, node, mark, slot))) cg_call(cg, RT_mark, cg->fn->worker, mark);
    LLVMBasicBlockRef body = cg_block(cg, "iterate");
    LLVMBuildBr(cg->builder, body);
    cg_goto(cg, body);
    cg_poll(cg, node);
    Leaf *state = cg_leaves(cg, type);
    cg_load(cg, type, slot, NULL, state);
    cg_bind(cg, lambda->params[0], state);
    Leaf *next = cg_expr(cg, lambda->kids[0]);
    cg_store(cg, type, next, slot, NULL);
    if (mark)
        cg_call(cg, RT_sweep, cg->fn->worker, mark, cg_type_pointer(cg, type), cg_spill(cg, type, next));
    if (keeps)
        cg_try(cg,
               cg_call(cg, RT_keep, cg->fn->worker, cg_i64(cg, (int64_t)node->bits), kept.type, kept.layout,
                       slot, LLVMBuildZExt(cg->builder, next[count], cg->i32, ""), cg_span(cg, node)));
    LLVMBuildCondBr(cg->builder, next[count], body, after);
    cg_goto(cg, after);
    Leaf *leaves = cg_leaves(cg, type);
    cg_load(cg, type, slot, NULL, leaves);
    return leaves;
}
