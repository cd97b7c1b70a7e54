/* cg_outline.c: loops that are functions of their own.
 *
 *     status body(state, worker, begin, end)
 *
 * runs iterations [begin, end); the runtime calls it for one range after the other (or, with threads, for several at a time, each
 * worker with its own copy of the state). The state is a closure: pointers to the states of the loop's builders, the iterators, and
 * the values of the names that the body uses. The body works on local copies of the builders' states, which LLVM keeps in
 * registers, and writes them back at its end.
 */
#include "cg.h"

#include <stddef.h>
#include <string.h>

enum { CURSOR_WORDS = 4 };

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
    cg_loop_room(cg, loop, loop->builder, 0, iterations, false);
    make_direct(cg, loop->builder, loop->builders, iterations);
    cg_deal_open(cg, loop->lambda, loop->builder, loop->builders);
    cg_loop_private(cg, loop);
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
    return cg_is_innermost(cg, loop) ? LOOP_LEAST : 1;
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

void cg_loop_outlined(Cg *cg, Loop *loop) {
    int nbuilders = leaf_count(loop->builder);
    Leaf *outer = loop->builders;
    const Node *given = loop->node->kids[loop->ncursors];
    loop->outlined = true;
    take_places(cg, loop, nbuilders);
    cg_loop_room(cg, loop, loop->builder, 0, loop->count, true);
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
