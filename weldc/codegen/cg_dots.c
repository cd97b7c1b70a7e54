/* cg_dots.c: what several iterations sum up over short vectors, computed together.
 *
 *     let s = result(for(zip(row, w), merger[f32,+], |b, j, e| merge(b, e.$0 * e.$1)))       of each of 8 iterations
 *  => for j: s0 += row0[j] * w[j]; .. s7 += row7[j] * w[j]
 *
 * A loop over a few dozen elements by itself is mostly its beginning and its end: the mask of the last vector, the
 * lanes added up. Together, those of 8 loops share the mask, what they have in common is loaded once, and their lanes
 * are added up in common (cg_chunks.c). Where that is not for the type or the processor, LLVM gets a loop over single
 * elements. That is unroll-and-jam, as in cg_blocks.c.
 *
 * It stands in for stage 1 of a group of iterations (cg_stages.c) where all that this stage computes are such sums
 * and little beside them. The vectors of all iterations must be of one length, neither empty nor long; other groups
 * go one by one.
 */
#include "cg.h"

enum { LONGEST = 1024 };

static bool is_path(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident;
}

/* A vector that has a name, or a slice of one. */
static bool is_at_hand(const Node *vec) {
    int budget = 16;
    if (vec->kind != N_Slice) return is_path(vec);
    return is_path(vec->kids[0]) && node_is_cheap(vec->kids[1], &budget) &&
           node_is_cheap(vec->kids[2], &budget);
}

static bool is_dot(const Node *value) {
    int budget = 32;
    if (value->kind != N_Result || value->kids[0]->kind != N_For) return false;
    const Node *loop = value->kids[0], *into = loop->kids[loop->count - 2];
    const Node *lambda = loop->kids[loop->count - 1], *merge = lambda->kids[0];
    if (into->kind != N_NewBuilder || into->type->kind != TY_merger || !type_is_scalar(into->type->args[0]))
        return false;
    for (int i = 0; i < loop->count - 2; i++) {
        const Node *iter = loop->kids[i];
        if (iter->iter != IT_scalar || iter->count != 1 || !is_at_hand(iter->kids[0])) return false;
    }
    if (merge->kind != N_Merge || merge->kids[0]->kind != N_Ident) return false;
    if (merge->kids[0]->symbol != lambda->params[0] || merge->kids[1]->type != into->type->args[0])
        return false;
    return node_is_cheap(merge->kids[1], &budget) && (!into->count || node_is_cheap(into->kids[0], &budget));
}

bool cg_is_little(const Node *node, int *budget) {
    if (--*budget < 0 || node->kind == N_For || node->kind == N_Iterate || node->kind == N_Sort) return false;
    for (int i = 0; i < node->count; i++) {
        if (!cg_is_little(node->kids[i], budget)) return false;
    }
    return true;
}

bool cg_dots_pay(const Stages *stages) {
    bool found = false;
    int budget = 48;
    for (int i = 0; i < stages->count; i++) {
        const StageLet *let = &stages->let[i];
        if (let->stage != 1) continue;
        bool dot = is_dot(let->node->kids[0]);
        if (!dot && !cg_is_little(let->node->kids[0], &budget)) return false;
        found |= dot;
    }
    return found;
}

/* What names of the body mean in each iteration of a group. */
typedef struct Row {
    Leaf *let[STAGE_LETS], *index, *element;
} Row;

typedef struct Dots {
    Cg *cg;
    const Loop *loop;
    const Stages *stages;
    Row row[DOT_ROWS];
    LLVMBasicBlockRef narrow;
} Dots;

/* Binds the names of an iteration, as far as the let with this number. */
static void bind_row(Dots *dots, int k, int lets) {
    Symbol **params = dots->loop->lambda->params;
    cg_bind(dots->cg, params[1], dots->row[k].index);
    cg_bind(dots->cg, params[2], dots->row[k].element);
    for (int i = 0; i < lets; i++) {
        const StageLet *let = &dots->stages->let[i];
        if (let->stage == 1) cg_bind(dots->cg, let->node->symbol, dots->row[k].let[i]);
    }
}

/* Opens the iterators of the inner loop in all iterations. Returns their one length; goes on where it is one. */
static LLVMValueRef open_rows(Dots *dots, const Node *inner, int lets, Cursor *cursors) {
    Cg *cg = dots->cg;
    LLVMValueRef count = NULL, ok = NULL;
    for (int k = 0; k < DOT_ROWS; k++) {
        bind_row(dots, k, lets);
        for (int i = 0; i < inner->count - 2; i++) {
            LLVMValueRef own = cg_cursor_whole(cg, inner->kids[i], cursors++);
            if (!count) {
                LLVMValueRef rest = LLVMBuildSub(cg->builder, own, cg_i64(cg, 1), "");
                count = own;
                ok = LLVMBuildICmp(cg->builder, LLVMIntULT, rest, cg_i64(cg, LONGEST), "");
            } else {
                LLVMValueRef same = LLVMBuildICmp(cg->builder, LLVMIntEQ, own, count, "");
                ok = LLVMBuildAnd(cg->builder, ok, same, "");
            }
        }
    }
    LLVMBasicBlockRef alike = cg_block(cg, "");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, ok, alike, dots->narrow), true);
    cg_goto(cg, alike);
    return count;
}

typedef struct SumBody {
    Dots *dots;
    const Loop *rows;
    LLVMValueRef *sum, neutral; /* neutral: in lanes of a register that hold no element */
    int lets;
} SumBody;

/* An element of each row is added to the row's sum. */
static void sum_elements(Cg *cg, LLVMValueRef index, void *user) {
    const SumBody *body = user;
    const Loop *rows = body->rows;
    const Node *lambda = rows->lambda;
    const Type *type = lambda->params[0]->type;
    int each = rows->ncursors / DOT_ROWS;
    Leaf *number = cg_leaves(cg, lambda->params[1]->type);
    number[0] = index;
    for (int k = 0; k < DOT_ROWS; k++) {
        Leaf *element = cg_leaves(cg, lambda->params[2]->type), *at = element;
        bind_row(body->dots, k, body->lets);
        for (int i = 0; i < each; i++) at += cg_cursor_element(cg, &rows->cursors[k * each + i], index, at);
        cg_bind(cg, lambda->params[1], number);
        cg_bind(cg, lambda->params[2], element);
        cg_combine_at(cg, type->args[0], type->op, body->sum[k], cg_expr(cg, lambda->kids[0]->kids[1]));
    }
}

/* What a row's sum starts with. */
static Leaf sum_start(Dots *dots, int k, int lets, const Node *into) {
    Cg *cg = dots->cg;
    if (!into->count) return cg_identity(cg, into->type->op, into->type->args[0]);
    bind_row(dots, k, lets);
    return cg_one(cg, into->kids[0]);
}

/* ---- a register at a time ---- */

/* A register of each row's elements is added to a register of its sums. */
static void sum_chunk(Chunks *chunks, LLVMValueRef index, bool last, void *user) {
    const SumBody *body = user;
    const Loop *rows = body->rows;
    const Node *lambda = rows->lambda;
    Cg *cg = chunks->wide.cg;
    const Type *type = lambda->params[0]->type->args[0];
    Op op = lambda->params[0]->type->op;
    LLVMTypeRef as = LLVMVectorType(cg_scalar_type(cg, type), chunks->wide.width);
    int each = rows->ncursors / DOT_ROWS;
    cg_bind(cg, lambda->params[1], cg_chunk_numbers(chunks, index));
    for (int k = 0; k < DOT_ROWS; k++) {
        bind_row(body->dots, k, body->lets);
        cg_bind(cg, lambda->params[2],
                cg_chunk_elements(chunks, &rows->cursors[k * each], each, index, last));
        Leaf value = cg_wide_spread(&chunks->wide, cg_wide_one(&chunks->wide, lambda->kids[0]->kids[1]));
        if (last) {
            value = LLVMBuildSelect(cg->builder, chunks->mask, value, body->neutral, "");
        } else {
            Leaf sum = LLVMBuildLoad2(cg->builder, as, body->sum[k], "");
            value = cg_binary_op(cg, op, type, sum, value, true);
        }
        LLVMBuildStore(cg->builder, value, body->sum[k]);
    }
}

/* All sums of the group in one register. */
static Leaf sum_chunks(Dots *dots, Chunks *chunks, SumBody *body, const Node *into) {
    Cg *cg = dots->cg;
    const Type *type = into->type->args[0];
    Op op = into->type->op;
    LLVMTypeRef as = LLVMVectorType(cg_scalar_type(cg, type), chunks->wide.width);
    Leaf part[DOT_ROWS];
    /* Of a sum that starts with 0.0 the sign of a zero is lost anyway, and AVX2 makes zeros of lanes with less. */
    Leaf neutral = into->count ? cg_neutral(cg, op, type) : cg_identity(cg, op, type);
    body->neutral = cg_every_lane(neutral, chunks->wide.width);
    for (int k = 0; k < DOT_ROWS; k++) body->sum[k] = cg_slot(cg, 64, 64);
    cg_chunks_each(chunks, sum_chunk, body);
    for (int k = 0; k < DOT_ROWS; k++) part[k] = LLVMBuildLoad2(cg->builder, as, body->sum[k], "");
    Leaf all = cg_lane_sums(cg, type, op, part, DOT_ROWS);
    Leaf start = LLVMGetUndef(LLVMTypeOf(all));
    for (int k = 0; k < DOT_ROWS; k++) {
        Leaf one = sum_start(dots, k, body->lets, into);
        start = LLVMBuildInsertElement(cg->builder, start, one, cg_i32(cg, k), "");
    }
    return cg_binary_op(cg, op, type, start, all, true);
}

/* ---- sums of a let ---- */

/* The same as a loop over single elements, which LLVM may vectorize. */
static void sum_in_loop(Dots *dots, Loop *rows, SumBody *body, const Node *into, LLVMValueRef count) {
    Cg *cg = dots->cg;
    const Type *type = into->type->args[0];
    for (int k = 0; k < DOT_ROWS; k++) {
        Leaf start = sum_start(dots, k, body->lets, into);
        body->sum[k] = cg_slot(cg, type->size, 8);
        cg_store(cg, type, &start, body->sum[k], NULL);
    }
    int scopes = cg->fn->nscopes;
    LLVMValueRef scope = cg->fn->scope;
    cg_loop_scope(cg, rows);
    LLVMValueRef few = LLVMBuildTrunc(cg->builder, count, cg->i32, "");
    cg_count_short(cg, few, cg_word_size(rows, type), sum_elements, body);
    cg->fn->nscopes = scopes;
    cg->fn->scope = scope;
}

/* The sums of a let in all iterations of the group. */
static void sum_rows(Dots *dots, int lets, const Node *value) {
    Cg *cg = dots->cg;
    const Node *inner = value->kids[0], *into = inner->kids[inner->count - 2];
    const Type *type = value->type;
    int each = inner->count - 2;
    LLVMValueRef sum[DOT_ROWS];
    Loop rows = {.node = inner, .lambda = inner->kids[inner->count - 1], .ncursors = DOT_ROWS * each};
    rows.cursors = arena_alloc(&cg->program->arena, sizeof *rows.cursors * (size_t)rows.ncursors);
    LLVMValueRef count = open_rows(dots, inner, lets, rows.cursors);
    SumBody body = {.dots = dots, .rows = &rows, .sum = sum, .lets = lets};
    Chunks chunks;
    Leaf all = NULL;
    if (cg_chunks_open(cg, &rows, type, count, &chunks))
        all = sum_chunks(dots, &chunks, &body, into);
    else
        sum_in_loop(dots, &rows, &body, into, count);
    for (int k = 0; k < DOT_ROWS; k++) {
        Leaf *out = dots->row[k].let[lets] = cg_leaves(cg, type);
        if (all)
            out[0] = LLVMBuildExtractElement(cg->builder, all, cg_i32(cg, k), "");
        else
            cg_load(cg, type, sum[k], NULL, out);
    }
}

void cg_dots_run(Cg *cg, const Loop *loop, const Stages *stages, LLVMValueRef from, LLVMValueRef number,
                 LLVMBasicBlockRef narrow) {
    Dots dots = {.cg = cg, .loop = loop, .stages = stages, .narrow = narrow};
    LLVMValueRef place[DOT_ROWS];
    for (int k = 0; k < DOT_ROWS; k++) {
        place[k] = LLVMBuildAdd(cg->builder, number, cg_i64(cg, k), "");
        cg_bind_iteration(cg, loop, LLVMBuildAdd(cg->builder, from, place[k], ""));
        dots.row[k].index = cg->values[loop->lambda->params[1]->id];
        dots.row[k].element = cg->values[loop->lambda->params[2]->id];
    }
    for (int i = 0; i < stages->count; i++) {
        const StageLet *let = &stages->let[i];
        const Node *value = let->node->kids[0];
        bool dot = is_dot(value);
        if (let->stage != 1) continue;
        if (dot) sum_rows(&dots, i, value);
        for (int k = 0; k < DOT_ROWS; k++) {
            bind_row(&dots, k, i);
            if (!dot) dots.row[k].let[i] = cg_expr(cg, value);
            if (let->kept) cg_stage_keep(cg, let, dots.row[k].let[i], place[k]);
        }
    }
}
