/* cg_iterate.c: iterate.
 *
 *     iterate(s, |s| {step(s), more(s)})    state = s; do { {state, more} = step(state) } while (more)
 *
 * The state lies in a slot of the frame. Where the steps allocate and no builder of outside is merged into, what no state needs
 * any longer is freed after each step. A state of which checkpoints are kept is restored before the first step.
 */
#include "cg.h"

#include <stddef.h>
#include <string.h>

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

/* Appenders of vectors that the step hands on, or merges into, are the same ones at every step. */
static void note_growing(Cg *cg, const Type *type, const Leaf *state, const Leaf *next, LLVMValueRef steps) {
    int64_t count = 0;
    for (int i = 0; i < leaf_count(type) && type->builders && count < MOST_GROWING; i++) {
        int64_t offset = 0;
        const Type *leaf = leaf_place(type, i, &offset);
        if (leaf->kind != TY_appender || !leaf->args[0]->pointers || next[i] != state[i]) continue;
        cg_store_at(cg, cg_i64(cg, offset), steps, (int64_t)offsetof(RegionSteps, growing[count].offset));
        count++;
    }
    cg_store_at(cg, cg_i64(cg, count), steps, offsetof(RegionSteps, count));
}

/* Where the steps' sweeps remember what they saw. */
static LLVMValueRef steps_slot(Cg *cg) {
    LLVMValueRef steps = cg_slot(cg, sizeof(RegionSteps), 8);
    cg_store_at(cg, LLVMConstNull(cg->ptr), steps, offsetof(RegionSteps, chunk));
    for (int i = 0; i < MOST_GROWING; i++)
        cg_store_at(cg, cg_i64(cg, 0), steps, (int64_t)offsetof(RegionSteps, growing[i].seen));
    return steps;
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
    LLVMValueRef mark = sweep ? steps_slot(cg) : NULL;
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
    if (mark) {
        note_growing(cg, type, state, next, mark);
        cg_call(cg, RT_sweep, cg->fn->worker, mark, cg_type_pointer(cg, type), cg_spill(cg, type, next));
    }
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
