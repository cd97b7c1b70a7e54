/* cg_loop.c: for: what every loop is made of, and loops in place.
 *
 * A for that is not inside another one becomes a function of its own (cg_outline.c). A for inside another one is a loop in place.
 * Both walk the iterations of a range, whose elements cg_cursor.c finds. The lengths of zipped iterators are compared before.
 * Where the number of merges of an iteration into an appender is bounded (cg_builder.c), room for a whole range is made before it,
 * so that merging is a store and an addition, which vectorizes.
 *
 * Loads through the iterators of a loop never alias what its builders write, which the alias metadata says:
 * the vectors were complete before the loop began. A loop in place that has no other inside is compiled
 * twice: for few iterations, without interleaving and with a masked rest, and for many.
 */
#include "cg.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

enum { STRIP = 1 << 16, SHORT = 64 };

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
void cg_mark_calls(Cg *cg, LLVMValueRef back) {
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
    cg->present = loop->outlined && !few;
    cg_bind_iteration(cg, loop, counter.index);
    cg->present = false;
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
        cg_mark_calls(cg, back);
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

/* The same, several at once as far as that goes: nditers by segments, filters by lanes (cg_sieve.c, cg_filter.c). */
void cg_loop_by_lanes(Cg *cg, Loop *loop, LLVMValueRef begin, LLVMValueRef end) {
    if (has_nditer(loop)) {
        loop_segments(cg, loop, begin, end);
        return;
    }
    LLVMValueRef from = cg_sieve_loop(cg, loop, begin, end);
    if (from == begin) from = cg_filter_loop(cg, loop, begin, end);
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
void cg_loop_room(Cg *cg, Loop *loop, const Type *builder, int leaf, LLVMValueRef iterations, bool exactly) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            cg_loop_room(cg, loop, builder->args[i], leaf, iterations, exactly);
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

void cg_loop_private(Cg *cg, Loop *loop) {
    if (!iteration_is_private(cg, loop)) return;
    loop->mark = cg_slot(cg, sizeof(RegionMark), 8);
    cg_call(cg, RT_mark, cg->fn->worker, loop->mark);
}

bool cg_is_innermost(Cg *cg, const Loop *loop) {
    return loop_is_innermost(cg->program, loop->node);
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
    cg_loop_room(cg, loop, loop->builder, 0, loop->count, false);
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
    cg_loop_private(cg, loop);
    cg_loop_room(cg, loop, loop->builder, 0, loop->count, true);
    LLVMValueRef zero = cg_i64(cg, 0);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder);
    if (!cg->fn->long_only && cg_is_innermost(cg, loop)) {
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
    cg_loop_room(cg, loop, loop->builder, 0, length, false);
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

/* ---- all loops ---- */

Leaf *cg_for(Cg *cg, const Node *node) {
    Loop loop = {.node = node, .lambda = node->kids[node->count - 1], .ncursors = node->count - 2};
    loop.builder = node->type;
    loop.places = cg->fn->outlines ? cg_places(cg, node) : NULL;
    loop.cursors = arena_alloc(&cg->program->arena, sizeof *loop.cursors * (size_t)loop.ncursors);
    for (int i = 0; i < loop.ncursors; i++) {
        LLVMValueRef count = cg_cursor_open(cg, node->kids[i], &loop.cursors[i]);
        if (i == 0) {
            loop.count = count;
            continue;
        }
        LLVMValueRef same = LLVMBuildICmp(cg->builder, LLVMIntEQ, loop.count, count, "");
        cg_check(cg, same, E_ZipMismatch, node, loop.count, count);
    }
    loop.builders = cg_expr(cg, node->kids[loop.ncursors]);
    if (cg->fn->outlines)
        cg_loop_outlined(cg, &loop);
    else
        loop_in_place(cg, &loop);
    return loop.builders;
}
