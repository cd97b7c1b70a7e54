/* cg_stages.c: a loop whose iterations mix what LLVM vectorizes with what it does not runs in stages.
 *
 *     |b, i, x| let s = result(for(x, ..)); let p = exp(-s); merge(b, {i, p})
 *
 * For each block of iterations:
 *     stage 1: the lets before the math: s of each iteration, into a buffer on the stack
 *     stage 2: scalar arithmetic with math in it, on values of stage 1 and elements: p of each iteration, as a
 *              loop of nothing else, which LLVM vectorizes
 *     stage 3: the body, with s and p from their buffers: merges in the loop's order
 *
 * Stage 1 computes lets that are scalars or structs of scalars (kept in buffers) and other values that they
 * need, such as slices, which stage 3 computes once more: those are cheap. A let that merges into a builder,
 * or uses one that does or a vector that costs, belongs to stage 3, as does what uses it. So values are
 * computed earlier than they were, but no merge moves; a failure stays one. An iteration that frees its own
 * memory at its end is left alone, since values of a block live longer.
 *
 * A body of nothing but scalar arithmetic and merges into mergers and appenders needs no stages. split_math.c
 * makes the lets. Blocks as in vectorized query execution (Boncz et al., MonetDB/X100:
 * Hyper-Pipelining Query Execution, CIDR 2005).
 */
#include "cg.h"

typedef struct Staging {
    Cg *cg;
    const Node *lambda;
    Stages *stages;
    bool math;
} Staging;

static int stage_of(const Staging *staging, const Symbol *symbol) {
    const Stages *stages = staging->stages;
    for (int i = stages->count; i-- > 0;) {
        if (stages->let[i].node->symbol == symbol) return stages->let[i].stage;
    }
    return 0;
}

static bool is_flat(const Type *type) {
    if (type->kind != TY_struct) return type_is_scalar(type);
    for (int i = 0; i < type->count; i++) {
        if (!is_flat(type->args[i])) return false;
    }
    return type->count > 0;
}

/* The stage that a let must wait for: 3 if its value has effects, else the last one of the names it uses. */
static int stage_needed(const Staging *staging, const Node *node) {
    int most = 0;
    for (; node->kind == N_Let && most < 3; node = node->kids[1]) {
        int stage = stage_needed(staging, node->kids[0]);
        if (stage > most) most = stage;
    }
    if (node_is_foreign(node) || node->kind == N_Assert) return 3;
    if (node->kind == N_Ident) {
        bool own = staging->cg->stamps[node->symbol->id] == staging->cg->stamp;
        if (node->type->builders && !own) return 3;
        int stage = stage_of(staging, node->symbol);
        return stage > most ? stage : most;
    }
    for (int i = 0; i < node->count && most < 3; i++) {
        int stage = stage_needed(staging, node->kids[i]);
        if (stage > most) most = stage;
    }
    return most;
}

/* Can stage 2 have its value? */
static bool is_at_hand(const Staging *staging, const Symbol *symbol) {
    const Stages *stages = staging->stages;
    for (int i = stages->count; i-- > 0;) {
        if (stages->let[i].node->symbol == symbol) return stages->let[i].kept;
    }
    return true;
}

/* Scalar arithmetic that cannot fail, on names, with math in it or not. */
static bool is_arithmetic(const Staging *staging, const Node *node, bool *math) {
    if (node->kind == N_Literal) return true;
    if (node->kind == N_Ident) return is_at_hand(staging, node->symbol);
    if (node->kind == N_Field) return is_arithmetic(staging, node->kids[0], math);
    if (!type_is_scalar(node->type)) return false;
    bool op = node->kind == N_Unary || node->kind == N_Binary;
    switch (node->kind) {
    case N_Unary:
    case N_Cast:
    case N_Select: break;
    case N_Compare:
        if (!type_is_scalar(node->kids[0]->type)) return false;
        break;
    case N_Binary:
        if (node->op == OP_rem || ((op_classes[node->op].traits & FAILS) && !type_is_float(node->type)))
            return false;
        break;
    default: return false;
    }
    if (op && op_classes[node->op].class == 'f' && node->op != OP_sqrt) *math = true;
    for (int i = 0; i < node->count; i++) {
        if (!is_arithmetic(staging, node->kids[i], math)) return false;
    }
    return true;
}

static bool is_costly(const Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (is_costly(node->kids[0])) return true;
    }
    if (node->kind == N_For || node->kind == N_Iterate || node->kind == N_Sort || node->kind == N_NewBuilder)
        return true;
    for (int i = 0; i < node->count; i++) {
        if (is_costly(node->kids[i])) return true;
    }
    return false;
}

static int stage_for(Staging *staging, const Node *let, bool *kept) {
    const Node *value = let->kids[0];
    Cg *cg = staging->cg;
    cg_mark_bound(cg, value);
    int stage = stage_needed(staging, value);
    bool math = false, flat = is_flat(let->symbol->type);
    if (stage == 3) return 3;
    if (type_is_scalar(value->type) && is_arithmetic(staging, value, &math) && (math || stage == 2)) {
        *kept = true;
        staging->math |= math;
        return 2;
    }
    if (stage == 2 || (!flat && is_costly(value))) return 3;
    *kept = flat;
    return 1;
}

/* Scalar arithmetic that cannot fail, and merges that always happen: LLVM vectorizes such a body as a whole. */
static bool is_plain(const Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (!is_plain(node->kids[0])) return false;
    }
    const Type *type = node->type;
    switch (node->kind) {
    case N_Ident:
    case N_Field: return type->builders || is_flat(type);
    case N_Merge:
        if (type->kind == TY_merger && type->op != OP_add && type->op != OP_mul) return false;
        if (type->kind != TY_merger && type->kind != TY_appender) return false;
        break;
    case N_Binary:
        if (node->op == OP_rem || ((op_classes[node->op].traits & FAILS) && !type_is_float(type)))
            return false;
        break;
    case N_Literal:
    case N_Struct:
    case N_Unary:
    case N_Compare:
    case N_Cast:
    case N_Select: break;
    default: return false;
    }
    for (int i = 0; i < node->count; i++) {
        if (!is_plain(node->kids[i])) return false;
    }
    return type->builders || is_flat(type);
}

/* The loop's builders are bound. */
Stages cg_stages(Cg *cg, const Node *lambda) {
    Stages stages = {.count = 0};
    Staging staging = {cg, lambda, &stages, false};
    int leaves = 0;
    if (is_plain(lambda->kids[0])) return stages;
    for (const Node *let = lambda->kids[0]; let->kind == N_Let; let = let->kids[1]) {
        bool kept = false;
        if (stages.count == STAGE_LETS) return (Stages){.count = 0};
        int stage = stage_for(&staging, let, &kept);
        if (kept) leaves += leaf_count(let->symbol->type);
        stages.let[stages.count++] = (StageLet){.node = let, .stage = stage, .kept = kept};
    }
    for (int i = 0; i < stages.count; i++)
        stages.wide |= stages.let[i].stage == 1 && cg_lanes_pay(stages.let[i].node);
    stages.wide = stages.wide && cg_lanes_open(cg, lambda, &stages.lanes);
    for (int i = 0; i < stages.count && stages.wide; i++) {
        if (stages.let[i].stage == 1) stages.wide = cg_lanes_can(&stages.lanes, stages.let[i].node);
    }
    stages.dots = !stages.wide && cg_dots_pay(&stages);
    if ((!staging.math && !stages.wide && !stages.dots) || leaves > STAGE_LEAVES) stages.count = 0;
    for (int i = 0; i < stages.count; i++) {
        StageLet *let = &stages.let[i];
        if (let->kept) let->buffer = cg_slot(cg, let->node->symbol->type->size * STAGE_BLOCK, 64);
    }
    return stages;
}

/* Field by field: all values of a field lie one after the other. */
static LLVMValueRef place(Cg *cg, const Type *type, LLVMValueRef *buffer, LLVMValueRef number) {
    LLVMValueRef at = cg_element(cg, type, *buffer, number);
    *buffer = cg_at(cg, *buffer, type->size * STAGE_BLOCK);
    return at;
}

static void buffer_store(Cg *cg, const Type *type, const Leaf **leaves, LLVMValueRef *buffer,
                         LLVMValueRef number) {
    for (int i = 0; type->kind == TY_struct && i < type->count; i++)
        buffer_store(cg, type->args[i], leaves, buffer, number);
    if (type->kind == TY_struct) return;
    cg_store(cg, type, (*leaves)++, place(cg, type, buffer, number), NULL);
}

static void buffer_store_wide(Lanes *lanes, const Type *type, const Leaf **leaves, LLVMValueRef *buffer,
                              LLVMValueRef number) {
    for (int i = 0; type->kind == TY_struct && i < type->count; i++)
        buffer_store_wide(lanes, type->args[i], leaves, buffer, number);
    if (type->kind == TY_struct) return;
    cg_lanes_store(lanes, type, *(*leaves)++, place(lanes->wide.cg, type, buffer, number));
}

static void buffer_load(Cg *cg, const Type *type, Leaf **leaves, LLVMValueRef *buffer, LLVMValueRef number) {
    for (int i = 0; type->kind == TY_struct && i < type->count; i++)
        buffer_load(cg, type->args[i], leaves, buffer, number);
    if (type->kind == TY_struct) return;
    cg_load(cg, type, place(cg, type, buffer, number), NULL, (*leaves)++);
}

static void bind_kept(Cg *cg, const StageLet *let, LLVMValueRef number) {
    const Type *type = let->node->symbol->type;
    Leaf *leaves = cg_leaves(cg, type), *at = leaves;
    LLVMValueRef buffer = let->buffer;
    buffer_load(cg, type, &at, &buffer, number);
    cg_bind(cg, let->node->symbol, leaves);
}

void cg_stage_keep(Cg *cg, const StageLet *let, const Leaf *leaves, LLVMValueRef number) {
    LLVMValueRef buffer = let->buffer;
    buffer_store(cg, let->node->symbol->type, &leaves, &buffer, number);
}

bool cg_stage_is_empty(const Stages *stages, int stage) {
    for (int i = 0; i < stages->count; i++) {
        if (stages->let[i].stage == stage && (stage != 1 || stages->let[i].kept)) return false;
    }
    return true;
}

void cg_stage_run(Cg *cg, const Stages *stages, int stage, LLVMValueRef number) {
    for (int i = 0; i < stages->count; i++) {
        const StageLet *let = &stages->let[i];
        if (let->stage < stage && let->kept) {
            bind_kept(cg, let, number);
        } else if (let->stage == stage || (stage == 3 && let->stage == 1)) {
            Leaf *leaves = cg_expr(cg, let->node->kids[0]);
            cg_bind(cg, let->node->symbol, leaves);
            if (let->kept && stage < 3) cg_stage_keep(cg, let, leaves, number);
        }
    }
}

void cg_stage_run_wide(Cg *cg, Stages *stages, LLVMValueRef number) {
    for (int i = 0; i < stages->count; i++) {
        const StageLet *let = &stages->let[i];
        if (let->stage != 1) continue;
        cg_lanes_let(&stages->lanes, let->node);
        const Leaf *at = cg->values[let->node->symbol->id];
        LLVMValueRef buffer = let->buffer;
        if (let->kept) buffer_store_wide(&stages->lanes, let->node->symbol->type, &at, &buffer, number);
    }
}
