/* cg_builder.c: builders: making, merging into, and taking the result of mergers, appenders and vecmergers
 * (those that build dictionaries are in cg_dict.c).
 *
 * A builder's state lies in a slot of the function that made it (in the run's memory where it may outlive
 * that): LLVM turns it into registers, since no call takes its address. An appender whose capacity is 0 holds
 * no block of its own: it is empty, or its vector was given away by result, and a later merge copies.
 */
#include "cg.h"

#include <stddef.h>

int64_t builder_state_size(const Type *builder) {
    if (builder->kind == TY_merger) return builder->args[0]->size;
    return builder->kind == TY_appender || builder->kind == TY_vecmerger ? (int64_t)sizeof(Appender) : 8;
}

bool cg_allocates(const Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (cg_allocates(node->kids[0])) return true;
    }
    if (node_makes(node)) return true;
    for (int i = 0; i < node->count; i++) {
        if (cg_allocates(node->kids[i])) return true;
    }
    return false;
}

/* ---- appenders ---- */

static LLVMValueRef appender_field(Cg *cg, LLVMValueRef state, size_t field) {
    return cg_load_at(cg, field ? cg->i64 : cg->ptr, state, (int64_t)field);
}

void cg_make_room(Cg *cg, const Type *appender, LLVMValueRef state, LLVMValueRef count, const Node *node) {
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef grow = cg_block(cg, "grow"), after = cg_block(cg, "");
    LLVMValueRef length = appender_field(cg, state, offsetof(Appender, length));
    LLVMValueRef capacity = appender_field(cg, state, offsetof(Appender, capacity));
    LLVMValueRef want = LLVMBuildAdd(builder, length, count, "");
    LLVMValueRef fits = LLVMBuildICmp(builder, LLVMIntULE, want, capacity, "");
    cg_likely(cg, LLVMBuildCondBr(builder, fits, after, grow), true);
    cg_goto(cg, grow);
    LLVMValueRef twice = LLVMBuildShl(builder, capacity, cg_i64(cg, 1), "");
    LLVMValueRef more = LLVMBuildICmp(builder, LLVMIntUGT, twice, want, "");
    LLVMValueRef room = LLVMBuildSelect(builder, more, twice, want, "");
    LLVMValueRef data = cg_call(cg, RT_grow, cg->fn->worker, appender_field(cg, state, 0), length, capacity,
                                room, cg_i64(cg, appender->args[0]->size), cg_span(cg, node));
    cg_try_pointer(cg, data);
    cg_store_at(cg, data, state, 0);
    cg_store_at(cg, room, state, offsetof(Appender, capacity));
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
}

bool cg_has_room(const Cg *cg, LLVMValueRef state) {
    for (int i = 0; i < cg->fn->nroomy; i++) {
        if (cg->fn->roomy[i] == state) return true;
    }
    return false;
}

static void appender_merge(Cg *cg, const Type *builder, LLVMValueRef state, const Type *type,
                           const Leaf *value, const Node *node) {
    int64_t count = type->kind == TY_simd && builder->args[0] != type ? WELD_LANES : 1;
    if (!cg_has_room(cg, state)) cg_make_room(cg, builder, state, cg_i64(cg, count), node);
    LLVMValueRef length = appender_field(cg, state, offsetof(Appender, length));
    LLVMValueRef at = cg_element(cg, builder->args[0], appender_field(cg, state, 0), length);
    cg_store(cg, type, value, at, cg->fn->scope);
    LLVMValueRef next = LLVMBuildAdd(cg->builder, length, cg_i64(cg, count), "");
    cg_store_at(cg, next, state, offsetof(Appender, length));
}

/* Its block becomes the run's, unless it was given away before. */
static Leaf *appender_result(Cg *cg, const Type *builder, LLVMValueRef state, const Node *node) {
    LLVMBuilderRef build = cg->builder;
    LLVMBasicBlockRef settle = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMValueRef length = appender_field(cg, state, offsetof(Appender, length));
    LLVMValueRef capacity = appender_field(cg, state, offsetof(Appender, capacity));
    LLVMBuildCondBr(build, LLVMBuildICmp(build, LLVMIntNE, capacity, cg_i64(cg, 0), ""), settle, after);
    cg_goto(cg, settle);
    LLVMValueRef bytes = LLVMBuildMul(build, length, cg_i64(cg, builder->args[0]->size), "");
    LLVMValueRef data =
        cg_call(cg, RT_settle, cg->fn->worker, appender_field(cg, state, 0), bytes, cg_span(cg, node));
    cg_try_pointer(cg, data);
    cg_store_at(cg, data, state, 0);
    cg_store_at(cg, cg_i64(cg, 0), state, offsetof(Appender, capacity));
    LLVMBuildBr(build, after);
    cg_goto(cg, after);
    Leaf *leaves = cg_leaves(cg, node->type);
    leaves[0] = appender_field(cg, state, 0);
    leaves[1] = length;
    return leaves;
}

/* A hint is taken as far as it is sensible. */
static void appender_new(Cg *cg, const Node *node, LLVMValueRef state, LLVMValueRef hint) {
    cg_store_at(cg, LLVMConstNull(cg->ptr), state, 0);
    cg_store_at(cg, cg_i64(cg, 0), state, offsetof(Appender, length));
    cg_store_at(cg, cg_i64(cg, 0), state, offsetof(Appender, capacity));
    if (!hint) return;
    LLVMValueRef most = cg_i64(cg, APPENDER_MOST_HINT),
                 sensible = LLVMBuildICmp(cg->builder, LLVMIntULE, hint, most, "");
    cg_make_room(cg, node->type, state, LLVMBuildSelect(cg->builder, sensible, hint, cg_i64(cg, 0), ""),
                 node);
}

/* ---- mergers and vecmergers: combining values field by field ---- */

void cg_identity_leaves(Cg *cg, const Type *type, Op op, Leaf *out) {
    if (type->kind != TY_struct) {
        out[0] = cg_identity(cg, op, type);
        return;
    }
    for (int i = 0; i < type->count; i++) {
        cg_identity_leaves(cg, type->args[i], op, out);
        out += leaf_count(type->args[i]);
    }
}

void cg_combine_leaves(Cg *cg, const Type *type, Op op, Leaf *into, const Leaf *value) {
    if (type->kind != TY_struct) {
        into[0] = cg_binary_op(cg, op, type, into[0], value[0], true);
        return;
    }
    for (int i = 0; i < type->count; i++) {
        cg_combine_leaves(cg, type->args[i], op, into, value);
        into += leaf_count(type->args[i]);
        value += leaf_count(type->args[i]);
    }
}

void cg_combine_at(Cg *cg, const Type *type, Op op, LLVMValueRef pointer, const Leaf *value) {
    Leaf *into = cg_leaves(cg, type);
    cg_load_merged(cg, type, pointer, into);
    cg_combine_leaves(cg, type, op, into, value);
    cg_store(cg, type, into, pointer, cg->fn->scope);
}

/* The same in an entry of a dictionary. The least or greatest so far seldom changes: it is stored only if it does, behind a branch
 * which is then foreseen, so that the lines of a large table need not be written back. */
void cg_combine_entry(Cg *cg, const Type *type, Op op, LLVMValueRef pointer, const Leaf *value) {
    if ((op != OP_min && op != OP_max) || !type_is_scalar(type) || type->kind == TY_bool) {
        cg_combine_at(cg, type, op, pointer, value);
        return;
    }
    LLVMTypeRef bits = LLVMIntTypeInContext(cg->context, (unsigned)(8 * type->size));
    Leaf *before = cg_leaves(cg, type);
    cg_load_merged(cg, type, pointer, before);
    Leaf after = cg_binary_op(cg, op, type, before[0], value[0], true);
    LLVMValueRef old = LLVMBuildBitCast(cg->builder, before[0], bits, "");
    LLVMValueRef changed =
        LLVMBuildICmp(cg->builder, LLVMIntNE, old, LLVMBuildBitCast(cg->builder, after, bits, ""), "");
    LLVMBasicBlockRef store = cg_block(cg, "better"), done = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, changed, store, done);
    cg_goto(cg, store);
    cg_store(cg, type, &after, pointer, cg->fn->scope);
    LLVMBuildBr(cg->builder, done);
    cg_goto(cg, done);
}

/* Combines the lanes of a simd value: halves with each other until one is left. */
static Leaf reduce_lanes(Cg *cg, const Type *type, Op op, Leaf lanes) {
    for (int width = WELD_LANES / 2; width; width /= 2) {
        LLVMValueRef mask[WELD_LANES];
        for (int i = 0; i < WELD_LANES; i++) mask[i] = cg_i32(cg, i < width ? i + width : i);
        Leaf other = LLVMBuildShuffleVector(cg->builder, lanes, lanes, LLVMConstVector(mask, WELD_LANES), "");
        lanes = cg_binary_op(cg, op, type, lanes, other, true);
    }
    return LLVMBuildExtractElement(cg->builder, lanes, cg_i32(cg, 0), "");
}

static void vecmerger_new(Cg *cg, const Node *node, LLVMValueRef state) {
    const Type *element = node->type->args[0];
    Leaf *vec = cg_expr(cg, node->kids[0]);
    appender_new(cg, node, state, NULL);
    if (node->bits == BUILDER_IN_PLACE) { /* as if it had given that away before */
        cg_store_at(cg, vec[0], state, 0);
        cg_store_at(cg, vec[1], state, offsetof(Appender, length));
        return;
    }
    cg_make_room(cg, node->type, state, vec[1], node);
    LLVMValueRef bytes = LLVMBuildMul(cg->builder, vec[1], cg_i64(cg, element->size), "");
    LLVMBuildMemCpy(cg->builder, appender_field(cg, state, 0), 1, vec[0], 1, bytes);
    cg_store_at(cg, vec[1], state, offsetof(Appender, length));
}

static void vecmerger_merge(Cg *cg, const Type *builder, LLVMValueRef state, const Leaf *value,
                            const Node *node) {
    LLVMValueRef length = appender_field(cg, state, offsetof(Appender, length));
    LLVMValueRef inside = LLVMBuildICmp(cg->builder, LLVMIntULT, value[0], length, "");
    if (!cg_is_proven(cg, node)) cg_check(cg, inside, E_OutOfBounds, node, value[0], length);
    LLVMValueRef at = cg_element(cg, builder->args[0], appender_field(cg, state, 0), value[0]);
    cg_combine_at(cg, builder->args[0], builder->op, at, value + 1);
}

/* ---- the nodes ---- */

Leaf *cg_new_builder(Cg *cg, const Node *node) {
    const Type *type = node->type;
    int64_t size = builder_state_size(type);
    LLVMValueRef state =
        cg_keeps_builder(cg, type)
            ? cg_try_pointer(cg, cg_call(cg, RT_alloc, cg->fn->worker, cg_i64(cg, size), cg_span(cg, node)))
            : cg_slot(cg, size, 64);
    Leaf *argument = node->count && type->kind != TY_vecmerger ? cg_expr(cg, node->kids[0]) : NULL;
    if (type->kind == TY_appender) {
        appender_new(cg, node, state, argument ? argument[0] : NULL);
    } else if (type->kind == TY_vecmerger) {
        vecmerger_new(cg, node, state);
    } else if (type->kind == TY_merger) {
        Leaf *start = argument ? argument : cg_leaves(cg, type->args[0]);
        if (!argument) cg_identity_leaves(cg, type->args[0], type->op, start);
        cg_store(cg, type->args[0], start, state, NULL);
    } else {
        LLVMValueRef entry = cg_type_pointer(cg, dict_entry_type(&cg->program->types, type));
        cg_store_at(cg,
                    cg_try_pointer(cg, cg_call(cg, RT_dict_new, cg->fn->worker, entry, cg_span(cg, node))),
                    state, 0);
    }
    Leaf *leaves = cg_leaves(cg, type);
    leaves[0] = state;
    return leaves;
}

Leaf *cg_merge(Cg *cg, const Node *node) {
    const Type *builder = node->type, *type = node->kids[1]->type;
    Leaf *state = cg_expr(cg, node->kids[0]), *value = cg_expr(cg, node->kids[1]);
    switch (builder->kind) {
    case TY_appender: appender_merge(cg, builder, state[0], type, value, node); break;
    case TY_vecmerger: vecmerger_merge(cg, builder, state[0], value, node); break;
    case TY_merger: {
        Leaf one = type->kind == TY_simd && builder->args[0] != type
                       ? reduce_lanes(cg, type, builder->op, value[0])
                       : NULL;
        cg_combine_at(cg, builder->args[0], builder->op, state[0], one ? &one : value);
        break;
    }
    default: cg_dict_merge(cg, builder, state[0], value, node); break;
    }
    return state;
}

/* The value is stored behind the last one in any case, and counted if the condition holds: conditions that
 * are hard to predict cost more than a store. The room that was made counts the merge whether it happens or
 * not. */
Leaf *cg_merge_if(Cg *cg, const Node *node) {
    enum { LARGEST = 16, DEAREST = 8 };
    int arm = node->kids[1]->kind == N_Merge ? 1 : 2, budget = DEAREST;
    const Node *merge = node->kids[arm], *other = node->kids[3 - arm];
    if (merge->kind != N_Merge || merge->type->kind != TY_appender || !node_equal(merge->kids[0], other))
        return NULL;
    const Type *type = merge->type->args[0];
    bool path = other->kind == N_Ident || (other->kind == N_Field && other->kids[0]->kind == N_Ident);
    if (!path || merge->kids[1]->type != type || type->size > LARGEST) return NULL;
    if (!node_is_cheap(merge->kids[1], &budget)) return NULL;
    Leaf *state = cg_expr(cg, other);
    if (!cg_has_room(cg, state[0])) return NULL;
    Leaf condition = cg_one(cg, node->kids[0]), *value = cg_expr(cg, merge->kids[1]);
    LLVMValueRef length = appender_field(cg, state[0], offsetof(Appender, length));
    LLVMValueRef at = cg_element(cg, type, appender_field(cg, state[0], 0), length);
    cg_store(cg, type, value, at, cg->fn->scope);
    if (arm == 2) condition = LLVMBuildNot(cg->builder, condition, "");
    LLVMValueRef next =
        LLVMBuildAdd(cg->builder, length, LLVMBuildZExt(cg->builder, condition, cg->i64, ""), "");
    cg_store_at(cg, next, state[0], offsetof(Appender, length));
    return state;
}

Leaf *cg_result(Cg *cg, const Node *node) {
    const Type *builder = node->kids[0]->type;
    if (node->kids[0]->kind == N_For) cg->finished = node->kids[0];
    cg->probed = cg_is_probed(cg, node) ? node->kids[0] : NULL;
    LLVMValueRef state = cg_one(cg, node->kids[0]);
    if (builder->kind == TY_appender || builder->kind == TY_vecmerger)
        return appender_result(cg, builder, state, node);
    Leaf *leaves = cg_leaves(cg, node->type);
    if (builder->kind == TY_merger) {
        cg_load(cg, node->type, state, NULL, leaves);
        return leaves;
    }
    leaves[0] = cg_load_at(cg, cg->ptr, state, 0);
    LLVMValueRef entry = cg_type_pointer(cg, dict_entry_type(&cg->program->types, builder));
    RtCall finish = builder->kind == TY_groupmerger ? RT_group_finish : RT_dict_finish;
    cg_try(cg, cg_call(cg, finish, cg->fn->worker, leaves[0], entry, cg_span(cg, node)));
    return leaves;
}
