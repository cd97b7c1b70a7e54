/* cg_blocks.c: loops that run block by block, for one of three reasons: the memory of a block's keys is asked for
 * ahead (cg_prefetch.c), the loop has stages (cg_stages.c), or it looks up what its rows say (cg_rows.c).
 *
 * Of a block in stages, iterations go in groups where that pays. Stage 1 computes WELD_LANES at once
 * (cg_lanes.c), or sums of DOT_ROWS (cg_dots.c). Stage 3 adds rows to a vector together:
 *
 *     for(x, b, |c, j, e| merge(c, {j, w * e}))                 of each of 8 iterations
 *  => for j: t = c[j]; t += w0 * x0[j]; .. t += w7 * x7[j]; c[j] = t
 *
 * so that the sums go through memory once for eight rows, and where cg_chunks.c can, a register of elements at a
 * time. That is unroll-and-jam (Callahan, Cocke, Kennedy, Estimating Interlock and Improving Balance for Pipelined
 * Architectures, 1988). A group that does not fit, and what is left, goes one by one. So does a stage without groups, which has
 * two forms where there are slices: one for blocks in which all are whole, one for others.
 */
#include "cg.h"

#include <stddef.h>

enum { JAM = 8, JAM_SHORT = 64, ROWS_BLOCK = 128 };

/* Asks for the memory of a block's keys: their first slots, or the entries that these lead to. */
static void prefetch_block(Cg *cg, const Loop *loop, const Prefetch *plan, bool entries, LLVMValueRef from,
                           LLVMValueRef to) {
    LLVMBasicBlockRef ahead = cg_block(cg, ""), now = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, plan->pays, ahead, now);
    cg_goto(cg, ahead);
    Counter counter = cg_counter_open(cg, from, to);
    cg_bind_iteration(cg, loop, counter.index);
    cg_prefetch_step(cg, plan, entries, LLVMBuildSub(cg->builder, counter.index, from, ""));
    cg_counter_close(cg, &counter);
    LLVMBuildBr(cg->builder, now);
    cg_goto(cg, now);
}

/* Iterations [0, length) in groups of `size`, or one by one where a group branches to `narrow`. */
typedef struct Groups {
    LLVMValueRef number, left, size, length, to[2];
    LLVMBasicBlockRef before, head, narrow, next, ends[2];
    bool long_only, whole;
} Groups;

/* The code of a group follows. whole: may groups rely on whole slices; NULL: there are none. */
static Groups groups_open(Cg *cg, LLVMValueRef length, int size, LLVMValueRef whole) {
    LLVMBasicBlockRef wide = cg_block(cg, "");
    Groups groups = {.size = cg_i64(cg, size),
                     .length = length,
                     .before = LLVMGetInsertBlock(cg->builder),
                     .head = cg_block(cg, "group"),
                     .narrow = cg_block(cg, ""),
                     .next = cg_block(cg, "")};
    LLVMBuildBr(cg->builder, groups.head);
    cg_goto(cg, groups.head);
    groups.number = LLVMBuildPhi(cg->builder, cg->i64, "");
    groups.left = LLVMBuildSub(cg->builder, length, groups.number, "");
    LLVMValueRef enough = LLVMBuildICmp(cg->builder, LLVMIntUGE, groups.left, groups.size, "");
    if (whole) enough = LLVMBuildAnd(cg->builder, enough, whole, "");
    LLVMBuildCondBr(cg->builder, enough, wide, groups.narrow);
    cg_goto(cg, wide);
    groups.whole = cg->fn->whole;
    cg->fn->whole = whole != NULL;
    return groups;
}

static void groups_end(Cg *cg, Groups *groups, int way) {
    groups->ends[way] = LLVMGetInsertBlock(cg->builder);
    LLVMBuildBr(cg->builder, groups->next);
}

/* The code of one iteration follows. */
static Counter groups_else(Cg *cg, Groups *groups) {
    groups->to[0] = LLVMBuildAdd(cg->builder, groups->number, groups->size, "");
    groups_end(cg, groups, 0);
    cg_goto(cg, groups->narrow);
    cg->fn->whole = groups->whole;
    groups->long_only = cg->fn->long_only;
    cg->fn->long_only = true;
    groups->to[1] = LLVMBuildAdd(cg->builder, groups->number, cg_least(cg, groups->left, groups->size), "");
    return cg_counter_open(cg, groups->number, groups->to[1]);
}

static void groups_close(Cg *cg, Groups *groups, Counter *counter) {
    LLVMBasicBlockRef after = cg_block(cg, "");
    LLVMValueRef zero = cg_i64(cg, 0);
    cg_counter_close(cg, counter);
    cg->fn->long_only = groups->long_only;
    groups_end(cg, groups, 1);
    cg_goto(cg, groups->next);
    LLVMValueRef done = LLVMBuildPhi(cg->builder, cg->i64, "");
    LLVMAddIncoming(done, groups->to, groups->ends, 2);
    LLVMValueRef more = LLVMBuildICmp(cg->builder, LLVMIntULT, done, groups->length, "");
    LLVMBuildCondBr(cg->builder, more, groups->head, after);
    LLVMAddIncoming(groups->number, &zero, &groups->before, 1);
    LLVMAddIncoming(groups->number, &done, &groups->next, 1);
    cg_goto(cg, after);
}

static LLVMValueRef splat(Cg *cg, LLVMValueRef value) {
    LLVMTypeRef as = LLVMVectorType(LLVMTypeOf(value), WELD_LANES);
    LLVMValueRef first = LLVMBuildInsertElement(cg->builder, LLVMGetUndef(as), value, cg_i32(cg, 0), "");
    LLVMValueRef mask = LLVMConstNull(LLVMVectorType(cg->i32, WELD_LANES));
    return LLVMBuildShuffleVector(cg->builder, first, LLVMGetUndef(as), mask, "");
}

/* The cursor's elements of WELD_LANES iterations from `index` on, whose numbers are given. Returns how many leaves. */
static int lane_elements(Cg *cg, const Cursor *cursor, LLVMValueRef index, LLVMValueRef numbers, Leaf *out) {
    if (cursor->iter->iter == IT_range) {
        LLVMValueRef way = LLVMBuildMul(cg->builder, numbers, splat(cg, cursor->stride), "");
        out[0] = LLVMBuildAdd(cg->builder, splat(cg, cursor->start), way, "");
        return 1;
    }
    Leaf *one = cg_leaves(cg, cursor->element);
    int count = 0;
    for (int lane = 0; lane < WELD_LANES; lane++) {
        LLVMValueRef at = LLVMBuildAdd(cg->builder, index, cg_i64(cg, lane), ""), place = cg_i32(cg, lane);
        count = cg_cursor_element(cg, cursor, at, one);
        for (int i = 0; i < count; i++) {
            if (!lane) out[i] = LLVMGetUndef(LLVMVectorType(LLVMTypeOf(one[i]), WELD_LANES));
            out[i] = LLVMBuildInsertElement(cg->builder, out[i], one[i], place, "");
        }
    }
    return count;
}

/* Binds iterations index .. index + WELD_LANES - 1 at once. */
static void bind_lanes(Cg *cg, const Loop *loop, LLVMValueRef index) {
    const Symbol *number = loop->lambda->params[1], *element = loop->lambda->params[2];
    Leaf *numbers = cg_leaves(cg, number->type), *all = cg_leaves(cg, element->type), *at = all;
    LLVMValueRef steps[WELD_LANES];
    for (int lane = 0; lane < WELD_LANES; lane++) steps[lane] = cg_i64(cg, lane);
    numbers[0] = LLVMBuildAdd(cg->builder, splat(cg, index), LLVMConstVector(steps, WELD_LANES), "");
    for (int i = 0; i < loop->ncursors; i++)
        at += lane_elements(cg, &loop->cursors[i], index, numbers[0], at);
    cg_bind(cg, number, numbers);
    cg_bind(cg, element, all);
}

/* A block of a loop in stages: iterations from .. from + length - 1. */
typedef struct Block {
    const Loop *loop;
    Stages *stages;
    LLVMValueRef from, length;
    Slices slices;
} Block;

/* Which share of the rows that come next a stage asks for, in eighths. A processor has some twenty lines on their way at a time:
 * if one stage asks for all, it waits for them there, and in the other stages the memory waits. */
static int asks_for(const Block *block, int stage) {
    const Stages *stages = block->stages;
    if (stages->wide) return stage == 1 ? 8 : 0;
    if (stage == 3) return 8 - asks_for(block, 1) - asks_for(block, 2);
    return cg_stage_is_empty(stages, stage) ? 0 : 2;
}

/* In a stage, for so many iterations from `number` on: its share of the rows that are soon needed. What stage 1 asks for is the
 * end of the same block. */
static void ask_ahead(Cg *cg, const Block *block, int stage, LLVMValueRef number, int rows) {
    int share = asks_for(block, stage), asked = 0;
    int lag = block->stages->wide ? 8 : 8 - asks_for(block, 1);
    if (!share) return;
    for (int i = 1; i < stage; i++) asked += STAGE_BLOCK * asks_for(block, i);
    LLVMValueRef done = LLVMBuildMul(cg->builder, number, cg_i64(cg, share), "");
    cg_prefetch_rows(cg, &block->slices, block->from, cg_i64(cg, STAGE_BLOCK / 8 * lag),
                     LLVMBuildAdd(cg->builder, done, cg_i64(cg, asked), ""), cg_i64(cg, rows * share));
}

/* Stage 1: WELD_LANES iterations at once. */
static void stage_in_lanes(Cg *cg, const Block *block) {
    const Loop *loop = block->loop;
    Stages *stages = block->stages;
    LLVMValueRef from = block->from;
    Groups groups = groups_open(cg, block->length, WELD_LANES, NULL);
    stages->lanes.give_up = groups.narrow;
    ask_ahead(cg, block, 1, groups.number, WELD_LANES);
    bind_lanes(cg, loop, LLVMBuildAdd(cg->builder, from, groups.number, ""));
    cg_stage_run_wide(cg, stages, groups.number);
    Counter counter = groups_else(cg, &groups);
    cg_bind_iteration(cg, loop, LLVMBuildAdd(cg->builder, from, counter.index, ""));
    cg_stage_run(cg, stages, 1, counter.index);
    groups_close(cg, &groups, &counter);
}

/* Stage 1: sums of DOT_ROWS iterations at once. */
static void stage_in_dots(Cg *cg, const Block *block) {
    const Loop *loop = block->loop;
    const Stages *stages = block->stages;
    LLVMValueRef from = block->from;
    Groups groups = groups_open(cg, block->length, DOT_ROWS, block->slices.whole);
    ask_ahead(cg, block, 1, groups.number, DOT_ROWS);
    cg_dots_run(cg, loop, stages, from, groups.number, groups.narrow);
    Counter counter = groups_else(cg, &groups);
    cg_bind_iteration(cg, loop, LLVMBuildAdd(cg->builder, from, counter.index, ""));
    cg_stage_run(cg, stages, 1, counter.index);
    groups_close(cg, &groups, &counter);
}

/* ---- rows added to a vector together ---- */

/* A loop of the body's last expression that adds its elements to those of a vecmerger of the outer loop. */
typedef struct Jam {
    const Node *whole, *loop, *merge;
} Jam;

static bool is_path(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident;
}

/* Does the node use that field of the builder, or all of it? */
static bool touches(const Node *node, const Symbol *builder, int field) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (touches(node->kids[0], builder, field)) return true;
    }
    if (node->kind == N_Field && node->kids[0]->kind == N_Ident && node->kids[0]->symbol == builder)
        return node->index == field;
    if (node->kind == N_Ident) return node->symbol == builder;
    for (int i = 0; i < node->count; i++) {
        if (touches(node->kids[i], builder, field)) return true;
    }
    return false;
}

static bool can_jam(const Node *node, const Symbol *builder, int field, Jam *jam) {
    int budget = 32;
    if (node->kind != N_For || node->type->kind != TY_vecmerger) return false;
    const Node *into = node->kids[node->count - 2], *lambda = node->kids[node->count - 1];
    const Node *merge = lambda->kids[0];
    if (field >= 0 && (into->kind != N_Field || into->index != field)) return false;
    if (field >= 0) into = into->kids[0];
    if (into->kind != N_Ident || into->symbol != builder) return false;
    for (int i = 0; i < node->count - 2; i++) {
        const Node *iter = node->kids[i];
        if (iter->iter != IT_scalar || iter->count != 1 || !is_path(iter->kids[0])) return false;
    }
    if (merge->kind != N_Merge || merge->kids[0]->kind != N_Ident || merge->kids[1]->kind != N_Struct)
        return false;
    const Node *index = merge->kids[1]->kids[0];
    if (merge->kids[0]->symbol != lambda->params[0] || index->kind != N_Ident ||
        index->symbol != lambda->params[1])
        return false;
    jam->loop = node;
    jam->merge = merge;
    return node_is_cheap(merge->kids[1]->kids[1], &budget);
}

static bool find_jam(const Loop *loop, const Stages *stages, const Node *last, Jam *jam) {
    const Symbol *builder = loop->lambda->params[0];
    *jam = (Jam){.whole = last};
    for (int i = 0; i < stages->count; i++) {
        if (stages->let[i].stage == 3) return false;
    }
    if (last->kind != N_Struct) return can_jam(last, builder, -1, jam);
    for (int i = 0; i < last->count; i++) {
        if (!can_jam(last->kids[i], builder, i, jam)) continue;
        bool apart = true;
        for (int k = 0; k < last->count; k++)
            apart = apart && (k == i || !touches(last->kids[k], builder, i));
        return apart;
    }
    return false;
}

/* What names of the body mean in one iteration of a group. */
typedef struct Bindings {
    Leaf *let[STAGE_LETS], *index, *element;
} Bindings;

static void bindings_save(Cg *cg, const Loop *loop, const Stages *stages, Bindings *names) {
    for (int i = 0; i < stages->count; i++) names->let[i] = cg->values[stages->let[i].node->symbol->id];
    names->index = cg->values[loop->lambda->params[1]->id];
    names->element = cg->values[loop->lambda->params[2]->id];
}

static void bindings_restore(Cg *cg, const Loop *loop, const Stages *stages, const Bindings *names) {
    for (int i = 0; i < stages->count; i++) cg_bind(cg, stages->let[i].node->symbol, names->let[i]);
    cg_bind(cg, loop->lambda->params[1], names->index);
    cg_bind(cg, loop->lambda->params[2], names->element);
}

/* The iterators of the inner loop in the iteration that is bound. Returns whether all have `*count` elements; the first sets
 * it. */
static LLVMValueRef open_row(Cg *cg, const Node *inner, Cursor *cursors, LLVMValueRef ok,
                             LLVMValueRef *count) {
    for (int i = 0; i < inner->count - 2; i++) {
        LLVMValueRef own = cg_cursor_whole(cg, inner->kids[i], &cursors[i]);
        LLVMValueRef same = *count ? LLVMBuildICmp(cg->builder, LLVMIntEQ, own, *count, "") : NULL;
        if (same) ok = ok ? LLVMBuildAnd(cg->builder, ok, same, "") : same;
        if (!*count) *count = own;
    }
    return ok;
}

typedef struct JamBody {
    const Loop *loop, *rows;
    const Stages *stages;
    const Jam *jam;
    const Bindings *names;
    LLVMValueRef data;
} JamBody;

/* An element of the vector gets what each of the iterations adds. */
static void jam_elements(Cg *cg, LLVMValueRef index, void *user) {
    const JamBody *body = user;
    const Loop *rows = body->rows;
    const Node *lambda = rows->lambda;
    const Type *builder = body->jam->loop->type, *type = builder->args[0];
    LLVMValueRef at = cg_element(cg, type, body->data, index);
    Leaf *sum = cg_leaves(cg, type), *number = cg_leaves(cg, lambda->params[1]->type);
    number[0] = index;
    cg_bind(cg, lambda->params[1], number);
    cg_load_merged(cg, type, at, sum);
    for (int k = 0; k < JAM; k++) {
        Leaf *element = cg_leaves(cg, lambda->params[2]->type), *place = element;
        int each = rows->ncursors / JAM;
        bindings_restore(cg, body->loop, body->stages, &body->names[k]);
        for (int i = 0; i < each; i++)
            place += cg_cursor_element(cg, &rows->cursors[k * each + i], index, place);
        cg_bind(cg, lambda->params[2], element);
        cg_combine_leaves(cg, type, builder->op, sum, cg_expr(cg, body->jam->merge->kids[1]->kids[1]));
    }
    cg_store(cg, type, sum, at, cg->fn->scope);
}

/* The same for a register of elements. What the iterations add is summed up before, so that the next group waits for one
 * addition only. */
static void jam_chunk(Chunks *chunks, LLVMValueRef index, bool last, void *user) {
    const JamBody *body = user;
    const Loop *rows = body->rows;
    const Node *lambda = rows->lambda;
    Cg *cg = chunks->wide.cg;
    const Type *builder = body->jam->loop->type, *type = builder->args[0];
    int each = rows->ncursors / JAM;
    Leaf part[JAM], sum = cg_chunk_load(chunks, type, body->data, index, last);
    cg_bind(cg, lambda->params[1], cg_chunk_numbers(chunks, index));
    for (int k = 0; k < JAM; k++) {
        bindings_restore(cg, body->loop, body->stages, &body->names[k]);
        cg_bind(cg, lambda->params[2],
                cg_chunk_elements(chunks, &rows->cursors[k * each], each, index, last));
        Leaf value = cg_wide_one(&chunks->wide, body->jam->merge->kids[1]->kids[1]);
        part[k] = cg_wide_spread(&chunks->wide, value);
    }
    for (int count = JAM / 2; count; count /= 2) {
        for (int k = 0; k < count; k++)
            part[k] = cg_binary_op(cg, builder->op, type, part[k], part[k + count], true);
    }
    sum = cg_binary_op(cg, builder->op, type, sum, part[0], true);
    cg_chunk_store(chunks, type, sum, body->data, index, last);
}

/* The inner loops of JAM iterations as one. rows: their cursors in a row. */
static void jam_rows(Cg *cg, const Loop *loop, const Stages *stages, const Jam *jam, Loop *rows,
                     const Bindings *names, LLVMValueRef count, LLVMValueRef data) {
    Fn *fn = cg->fn;
    int scopes = fn->nscopes;
    LLVMValueRef scope = fn->scope, few = LLVMBuildTrunc(cg->builder, count, cg->i32, "");
    JamBody body = {loop, rows, stages, jam, names, data};
    Chunks chunks;
    if (cg_chunks_open(cg, rows, jam->loop->type->args[0], count, &chunks)) {
        cg_chunks_each(&chunks, jam_chunk, &body);
        return;
    }
    cg_loop_scope(cg, rows);
    cg_count_short(cg, few, cg_word_size(rows, jam->loop->type->args[0]), jam_elements, &body);
    fn->nscopes = scopes;
    fn->scope = scope;
}

/* Stage 3: JAM iterations at once, if their inner loops are alike and within the vector. */
static void stage_in_rows(Cg *cg, const Block *block, const Jam *jam) {
    LLVMBuilderRef builder = cg->builder;
    const Loop *loop = block->loop;
    const Stages *stages = block->stages;
    LLVMValueRef from = block->from;
    const Node *inner = jam->loop;
    int each = inner->count - 2;
    Loop rows = {.node = inner, .lambda = inner->kids[each + 1], .ncursors = JAM * each};
    Bindings *names = arena_alloc(&cg->program->arena, sizeof *names * JAM);
    rows.cursors = arena_alloc(&cg->program->arena, sizeof *rows.cursors * (size_t)rows.ncursors);
    LLVMBasicBlockRef alike = cg_block(cg, "");
    LLVMValueRef ok = NULL, count = NULL;
    Groups groups = groups_open(cg, block->length, JAM, block->slices.whole);
    ask_ahead(cg, block, 3, groups.number, JAM);
    for (int k = 0; k < JAM; k++) {
        LLVMValueRef number = LLVMBuildAdd(builder, groups.number, cg_i64(cg, k), "");
        cg_bind_iteration(cg, loop, LLVMBuildAdd(builder, from, number, ""));
        cg_stage_run(cg, stages, 3, number);
        bindings_save(cg, loop, stages, &names[k]);
        ok = open_row(cg, inner, &rows.cursors[k * each], ok, &count);
    }
    LLVMValueRef state = cg_one(cg, inner->kids[each]);
    LLVMValueRef space = cg_load_at(cg, cg->i64, state, offsetof(Appender, length));
    LLVMValueRef some = LLVMBuildSub(builder, count, cg_i64(cg, 1), "");
    ok = LLVMBuildAnd(builder, ok, LLVMBuildICmp(builder, LLVMIntULT, some, cg_i64(cg, JAM_SHORT), ""), "");
    ok = LLVMBuildAnd(builder, ok, LLVMBuildICmp(builder, LLVMIntULE, count, space, ""), "");
    cg_likely(cg, LLVMBuildCondBr(builder, ok, alike, groups.narrow), true);
    cg_goto(cg, alike);
    jam_rows(cg, loop, stages, jam, &rows, names, count, cg_load_at(cg, cg->ptr, state, 0));
    for (int k = 0; k < JAM && jam->whole != inner; k++) {
        bindings_restore(cg, loop, stages, &names[k]);
        for (int i = 0; i < jam->whole->count; i++) {
            if (jam->whole->kids[i] != inner) cg_expr(cg, jam->whole->kids[i]);
        }
    }
    Counter counter = groups_else(cg, &groups);
    cg_bind_iteration(cg, loop, LLVMBuildAdd(builder, from, counter.index, ""));
    cg_stage_run(cg, stages, 3, counter.index);
    cg_expr(cg, jam->whole);
    groups_close(cg, &groups, &counter);
}

/* ---- stages ---- */

/* Iterations of the block one after the other. */
static void stage_iterations(Cg *cg, const Block *block, int stage, const Node *last) {
    Counter counter = cg_counter_open(cg, cg_i64(cg, 0), block->length);
    if (stage != 2) ask_ahead(cg, block, stage, counter.index, 1);
    cg_bind_iteration(cg, block->loop, LLVMBuildAdd(cg->builder, block->from, counter.index, ""));
    cg_stage_run(cg, block->stages, stage, counter.index);
    if (stage == 3) cg_expr(cg, last);
    cg_counter_close(cg, &counter);
}

/* Stage 2, and the others if nothing better is known. Where all slices are whole, what iterations take of them has a length that
 * does not change: what loops over it decide by their length, and their masks, are decided once for the block. */
static void stage_one_by_one(Cg *cg, const Block *block, int stage, const Node *last) {
    Fn *fn = cg->fn;
    bool whole = fn->whole, long_only = fn->long_only;
    /* All of it before: LLVM makes vectors of nothing but arithmetic. */
    if (stage == 2) ask_ahead(cg, block, stage, cg_i64(cg, 0), STAGE_BLOCK);
    if (stage == 2 || !block->slices.whole) {
        stage_iterations(cg, block, stage, last);
        return;
    }
    LLVMBasicBlockRef wide = cg_block(cg, ""), narrow = cg_block(cg, ""), after = cg_block(cg, "");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, block->slices.whole, wide, narrow), true);
    cg_goto(cg, wide);
    fn->whole = true;
    stage_iterations(cg, block, stage, last);
    fn->whole = whole;
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, narrow);
    fn->long_only = true;
    stage_iterations(cg, block, stage, last);
    fn->long_only = long_only;
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
}

/* The iterations of a block, stage by stage. */
static void stages_block(Cg *cg, const Loop *loop, Stages *stages, LLVMValueRef from, LLVMValueRef to) {
    int proven = cg->fn->nproven;
    Jam jam;
    const Node *last = loop->lambda->kids[0];
    while (last->kind == N_Let) last = last->kids[1];
    Block block = {.loop = loop, .stages = stages, .from = from};
    block.length = LLVMBuildSub(cg->builder, to, from, "");
    cg_prove(cg, loop, from, to, false);
    cg_prove_slices(cg, loop, from, to, &block.slices);
    for (int stage = 1; stage <= 3; stage++) {
        if (stage == 1 && stages->wide)
            stage_in_lanes(cg, &block);
        else if (stage == 1 && stages->dots)
            stage_in_dots(cg, &block);
        else if (stage == 3 && find_jam(loop, stages, last, &jam))
            stage_in_rows(cg, &block, &jam);
        else if (stage == 3 || !cg_stage_is_empty(stages, stage))
            stage_one_by_one(cg, &block, stage, last);
    }
    cg->fn->nproven = proven;
}

/* The iterations of a block without checks of what its rows have looked up, if that is right (cg_rows.c), else with them. */
static void rows_block(Cg *cg, Loop *loop, const Rows *rows, LLVMValueRef from, LLVMValueRef to) {
    Fn *fn = cg->fn;
    int before = fn->nproven;
    cg_prove(cg, loop, from, to, false);
    int proven = fn->nproven;
    LLVMValueRef ok = cg_rows_check(cg, loop, rows, from, to);
    LLVMBasicBlockRef right = cg_block(cg, ""), wary = cg_block(cg, ""), after = cg_block(cg, "");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, ok ? ok : LLVMConstNull(cg->i1), right, wary), true);
    cg_goto(cg, right);
    cg_rows_rely(cg, rows);
    cg_loop_by_lanes(cg, loop, from, to);
    fn->nproven = proven;
    fn->rows = NULL;
    fn->whole = false;
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, wary);
    cg_loop_by_lanes(cg, loop, from, to);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    fn->nproven = before;
}

/* The same in blocks, if there is a reason: before each the memory of its keys is asked for (cg_prefetch.c), it runs in stages
 * (cg_stages.c), or its rows are looked at (cg_rows.c). */
void cg_loop_in_blocks(Cg *cg, Loop *loop, LLVMValueRef begin, LLVMValueRef end) {
    LLVMBuilderRef builder = cg->builder;
    cg_bind(cg, loop->lambda->params[0], loop->builders);
    Prefetch plan = cg_prefetch_plan(cg, loop->lambda);
    bool apart = loop->mark || cg_sieve_pays(cg, loop);
    Stages stages = apart ? (Stages){.count = 0} : cg_stages(cg, loop->lambda);
    Rows rows;
    bool picks = !plan.count && !stages.count && cg_rows_find(cg, loop, &rows);
    if (!plan.count && !stages.count && !picks) {
        cg_loop_by_lanes(cg, loop, begin, end);
        return;
    }
    LLVMValueRef size = cg_i64(cg, stages.count ? STAGE_BLOCK : plan.count ? PREFETCH_BLOCK : ROWS_BLOCK);
    LLVMBasicBlockRef block = cg_block(cg, "block"), after = cg_block(cg, ""), before, last;
    if (plan.count) cg_prefetch_open(cg, &plan);
    plan.end = end;
    if (plan.count && !stages.count) {
        LLVMValueRef few = cg_least(cg, LLVMBuildSub(builder, end, begin, ""), size);
        prefetch_block(cg, loop, &plan, false, begin, LLVMBuildNUWAdd(builder, begin, few, ""));
    }
    before = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, block);
    cg_goto(cg, block);
    LLVMValueRef from = LLVMBuildPhi(builder, cg->i64, "");
    LLVMValueRef length = cg_least(cg, LLVMBuildSub(builder, end, from, ""), size);
    LLVMValueRef to = LLVMBuildNUWAdd(builder, from, length, "");
    if (plan.count && stages.count) prefetch_block(cg, loop, &plan, false, from, to);
    if (plan.count) prefetch_block(cg, loop, &plan, true, from, to);
    if (stages.count) {
        stages_block(cg, loop, &stages, from, to);
    } else if (picks) {
        rows_block(cg, loop, &rows, from, to);
    } else {
        loop->plan = plan.count ? &plan : NULL;
        cg_loop_range(cg, loop, from, to, false);
        loop->plan = cg->fn->ahead = NULL;
    }
    last = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntULT, to, end, ""), block, after);
    LLVMAddIncoming(from, &begin, &before, 1);
    LLVMAddIncoming(from, &to, &last, 1);
    cg_goto(cg, after);
}
