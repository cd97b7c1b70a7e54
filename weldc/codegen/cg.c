/* cg.c: code for expressions: one cg_<id> for each row of ops.def.
 *
 * Each generator emits code at the builder's place and returns the leaves of the node's value (cg.h).
 * Names map to leaves through an array by symbol id.
 */
#include "cg.h"

#include <stddef.h>
#include <string.h>

typedef Leaf *(*Generator)(Cg *cg, const Node *node);
#define NODE(id, spelling, least, most, traits, usage, doc) static Leaf *cg_##id(Cg *cg, const Node *node);
#include "../../lang/ops.def"
static const Generator generators[N_COUNT] = {
#define NODE(id, spelling, least, most, traits, usage, doc) [N_##id] = cg_##id,
#include "../../lang/ops.def"
};

/* Along a chain of lets in a loop, so that its length does not matter. */
Leaf *cg_expr(Cg *cg, const Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        cg->let = node;
        cg_bind(cg, node->symbol, cg_expr(cg, node->kids[0]));
    }
    Leaf *leaves = generators[node->kind](cg, node);
    if (node->kind != N_Field) cg_fragment_end(cg, node, leaves);
    return leaves;
}

Leaf cg_one(Cg *cg, const Node *node) {
    return cg_expr(cg, node)[0];
}

void cg_bind(Cg *cg, const Symbol *symbol, Leaf *leaves) {
    cg->values[symbol->id] = leaves;
}

static Leaf *single(Cg *cg, const Node *node, Leaf leaf) {
    Leaf *leaves = cg_leaves(cg, node->type);
    leaves[0] = leaf;
    return leaves;
}

static Leaf *zero(Cg *cg, const Type *type) {
    Leaf *leaves = cg_leaves(cg, type);
    LLVMTypeRef *types = arena_alloc(&cg->program->arena, sizeof *types * (size_t)(leaf_count(type) + 1));
    int count = leaf_types(cg, type, types);
    for (int i = 0; i < count; i++) leaves[i] = LLVMConstNull(types[i]);
    return leaves;
}

/* Nodes that no typed, inlined program has in the place of a value. */
static Leaf *misplaced(Cg *cg, const Node *node) {
    error_set(cg->error, E_Internal, node->span, "%s has no value of its own", node_classes[node->kind].name);
    return zero(cg, node->type);
}

static Leaf *cg_None(Cg *cg, const Node *node) __attribute__((unused));
static Leaf *cg_None(Cg *cg, const Node *node) {
    return misplaced(cg, node);
}
static Leaf *cg_Lambda(Cg *cg, const Node *node) {
    return misplaced(cg, node);
}
static Leaf *cg_Ascribe(Cg *cg, const Node *node) {
    return misplaced(cg, node);
}
static Leaf *cg_Grad(Cg *cg, const Node *node) {
    return misplaced(cg, node);
}
static Leaf *cg_Jvp(Cg *cg, const Node *node) {
    return misplaced(cg, node);
}
static Leaf *cg_Zip(Cg *cg, const Node *node) {
    return misplaced(cg, node);
}
static Leaf *cg_Iter(Cg *cg, const Node *node) {
    return misplaced(cg, node);
}
static Leaf *cg_Let(Cg *cg, const Node *node) {
    return cg_expr(cg, node);
}

/* ---- constants, names, structs, vectors ---- */

static Leaf *cg_Literal(Cg *cg, const Node *node) {
    LLVMTypeRef as = cg_scalar_type(cg, node->type);
    if (!type_is_float(node->type)) return single(cg, node, LLVMConstInt(as, node->bits, false));
    LLVMTypeRef bits = node->type->kind == TY_f32 ? cg->i32 : cg->i64;
    return single(cg, node, LLVMConstBitCast(LLVMConstInt(bits, node->bits, false), as));
}

/* The bytes of a node's text, which the compiled code keeps. */
static LLVMValueRef cg_text(Cg *cg, const Node *node) {
    LLVMValueRef bytes = cg_at(cg, cg->string_base, (int64_t)cg->strings.length);
    buf_put(&cg->strings, node->text, node->bits);
    return bytes;
}

static Leaf *cg_String(Cg *cg, const Node *node) {
    Leaf *leaves = cg_leaves(cg, node->type);
    leaves[0] = cg_text(cg, node);
    leaves[1] = cg_i64(cg, (int64_t)node->bits);
    return leaves;
}

static Leaf *cg_Ident(Cg *cg, const Node *node) {
    Leaf *leaves = cg->values[node->symbol->id];
    return leaves ? leaves : misplaced(cg, node);
}

static Leaf *cg_Apply(Cg *cg, const Node *node) {
    const Node *lambda = node->kids[0];
    if (lambda->kind != N_Lambda) return misplaced(cg, node);
    for (int i = 0; i < lambda->nparams; i++) cg_bind(cg, lambda->params[i], cg_expr(cg, node->kids[i + 1]));
    return cg_expr(cg, lambda->kids[0]);
}

static Leaf *cg_Field(Cg *cg, const Node *node) {
    return cg_expr(cg, node->kids[0]) + leaf_at(node->kids[0]->type, node->index);
}

static Leaf *cg_Struct(Cg *cg, const Node *node) {
    Leaf *leaves = cg_leaves(cg, node->type), *at = leaves;
    for (int i = 0; i < node->count; i++) {
        int count = leaf_count(node->kids[i]->type);
        if (count) memcpy(at, cg_expr(cg, node->kids[i]), sizeof *at * (size_t)count);
        at += count;
    }
    return leaves;
}

static Leaf *cg_Vec(Cg *cg, const Node *node) {
    const Type *element = node->type->args[0];
    if (node->count == 0) return zero(cg, node->type);
    LLVMValueRef bytes = cg_i64(cg, element->size * node->count);
    Leaf *leaves = cg_leaves(cg, node->type);
    leaves[0] = cg_try_pointer(cg, cg_call(cg, RT_alloc, cg->fn->worker, bytes, cg_span(cg, node)));
    leaves[1] = cg_i64(cg, node->count);
    for (int i = 0; i < node->count; i++) {
        cg_store(cg, element, cg_expr(cg, node->kids[i]), cg_at(cg, leaves[0], element->size * i), NULL);
    }
    return leaves;
}

/* ---- operators ---- */

static Leaf *cg_Unary(Cg *cg, const Node *node) {
    return single(cg, node, cg_unary_op(cg, node->op, node->type, cg_one(cg, node->kids[0])));
}

static Leaf *cg_Binary(Cg *cg, const Node *node) {
    Leaf a = cg_one(cg, node->kids[0]), b = cg_one(cg, node->kids[1]);
    cg_divisor_check(cg, node->op, node->type, b, node);
    return single(cg, node, cg_binary_op(cg, node->op, node->type, a, b, false));
}

/* From value_compare's -1, 0, 1 or 2 (unordered). */
static Leaf from_order(Cg *cg, Op op, LLVMValueRef order) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef one = cg_i32(cg, 1);
    switch (op) {
    case OP_lt: return LLVMBuildICmp(builder, LLVMIntEQ, order, cg_i32(cg, -1), "");
    case OP_gt: return LLVMBuildICmp(builder, LLVMIntEQ, order, one, "");
    case OP_eq: return LLVMBuildICmp(builder, LLVMIntEQ, order, cg_i32(cg, 0), "");
    case OP_ne: return LLVMBuildICmp(builder, LLVMIntNE, order, cg_i32(cg, 0), "");
    case OP_le: return LLVMBuildICmp(builder, LLVMIntULE, LLVMBuildAdd(builder, order, one, ""), one, "");
    default: return LLVMBuildICmp(builder, LLVMIntULE, order, one, "");
    }
}

/* Vectors of integers are equal if their lengths are and then their bytes. The known length of a literal lets LLVM compare
 * short ones in registers. */
static Leaf equal_bytes(Cg *cg, const Type *element, const Leaf *a, const Leaf *b) {
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), same = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntEQ, a[1], b[1], ""), same, after);
    cg_goto(cg, same);
    LLVMValueRef length = LLVMIsConstant(b[1]) ? b[1] : a[1];
    LLVMTypeRef params[3] = {cg->ptr, cg->ptr, cg->i64}, type = LLVMFunctionType(cg->i32, params, 3, false);
    LLVMValueRef args[3] = {a[0], b[0], LLVMBuildMul(builder, length, cg_i64(cg, element->size), "")};
    LLVMValueRef order = LLVMBuildCall2(builder, type, cg_foreign(cg, "memcmp", type), args, 3, "");
    LLVMValueRef equal[2] = {LLVMConstInt(cg->i1, 0, false),
                             LLVMBuildICmp(builder, LLVMIntEQ, order, cg_i32(cg, 0), "")};
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    LLVMValueRef phi = LLVMBuildPhi(builder, cg->i1, "");
    LLVMBasicBlockRef blocks[2] = {before, same};
    LLVMAddIncoming(phi, equal, blocks, 2);
    return phi;
}

static Leaf *cg_Compare(Cg *cg, const Node *node) {
    const Type *type = node->kids[0]->type;
    Leaf *a = cg_expr(cg, node->kids[0]), *b = cg_expr(cg, node->kids[1]);
    if (type_is_scalar(type) || type->kind == TY_simd)
        return single(cg, node, cg_compare_op(cg, node->op, type, a[0], b[0]));
    bool equality = node->op == OP_eq || node->op == OP_ne;
    if (equality && type->kind == TY_vec && type_is_integer(type->args[0])) {
        Leaf equal = equal_bytes(cg, type->args[0], a, b);
        return single(cg, node, node->op == OP_eq ? equal : LLVMBuildNot(cg->builder, equal, ""));
    }
    LLVMValueRef order =
        cg_call(cg, RT_compare, cg_type_pointer(cg, type), cg_spill(cg, type, a), cg_spill(cg, type, b));
    return single(cg, node, from_order(cg, node->op, order));
}

/* a && b, a || b: b is evaluated where a does not decide, or at once where that is as good and safe. */
static Leaf *short_circuit(Cg *cg, const Node *node, bool decides) {
    Leaf a = cg_one(cg, node->kids[0]);
    int budget = 24;
    if (node_is_cheap(node->kids[1], &budget)) {
        Leaf b = cg_one(cg, node->kids[1]);
        return single(cg, node,
                      decides ? LLVMBuildOr(cg->builder, a, b, "") : LLVMBuildAnd(cg->builder, a, b, ""));
    }
    LLVMBasicBlockRef before = LLVMGetInsertBlock(cg->builder), other = cg_block(cg, ""),
                      after = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, a, decides ? after : other, decides ? other : after);
    cg_goto(cg, other);
    Leaf values[2] = {LLVMConstInt(cg->i1, decides, false), cg_one(cg, node->kids[1])};
    LLVMBasicBlockRef blocks[2] = {before, LLVMGetInsertBlock(cg->builder)};
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    Leaf phi = LLVMBuildPhi(cg->builder, cg->i1, "");
    LLVMAddIncoming(phi, values, blocks, 2);
    return single(cg, node, phi);
}

static Leaf *cg_And(Cg *cg, const Node *node) {
    return short_circuit(cg, node, false);
}
static Leaf *cg_Or(Cg *cg, const Node *node) {
    return short_circuit(cg, node, true);
}

static Leaf *cg_Cast(Cg *cg, const Node *node) {
    return single(cg, node, cg_cast_op(cg, node->kids[0]->type, cg_one(cg, node->kids[0]), node->type));
}

/* Joins two lists of leaves that come from two blocks; leaves that are the same need no phi. */
static Leaf *join(Cg *cg, const Type *type, Leaf *a, LLVMBasicBlockRef from_a, Leaf *b,
                  LLVMBasicBlockRef from_b) {
    Leaf *leaves = cg_leaves(cg, type);
    int count = leaf_count(type);
    for (int i = 0; i < count; i++) {
        leaves[i] = a[i];
        if (a[i] == b[i]) continue;
        leaves[i] = LLVMBuildPhi(cg->builder, LLVMTypeOf(a[i]), "");
        LLVMAddIncoming(leaves[i], &a[i], &from_a, 1);
        LLVMAddIncoming(leaves[i], &b[i], &from_b, 1);
    }
    return leaves;
}

static Leaf *cg_If(Cg *cg, const Node *node) {
    Leaf *compacted = cg_merge_if(cg, node);
    if (compacted) return compacted;
    Leaf condition = cg_one(cg, node->kids[0]);
    LLVMBasicBlockRef yes = cg_block(cg, ""), no = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, condition, yes, no);
    cg_goto(cg, yes);
    Leaf *a = cg_expr(cg, node->kids[1]);
    LLVMBasicBlockRef from_a = LLVMGetInsertBlock(cg->builder);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, no);
    Leaf *b = cg_expr(cg, node->kids[2]);
    LLVMBasicBlockRef from_b = LLVMGetInsertBlock(cg->builder);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    return join(cg, node->type, a, from_a, b, from_b);
}

static Leaf *cg_Select(Cg *cg, const Node *node) {
    Leaf condition = cg_one(cg, node->kids[0]);
    Leaf *a = cg_expr(cg, node->kids[1]), *b = cg_expr(cg, node->kids[2]);
    Leaf *leaves = cg_leaves(cg, node->type);
    int count = leaf_count(node->type);
    for (int i = 0; i < count; i++)
        leaves[i] = a[i] == b[i] ? a[i] : LLVMBuildSelect(cg->builder, condition, a[i], b[i], "");
    return leaves;
}

static Leaf *cg_Broadcast(Cg *cg, const Node *node) {
    LLVMTypeRef as = cg_scalar_type(cg, node->type);
    Leaf first =
        LLVMBuildInsertElement(cg->builder, LLVMGetUndef(as), cg_one(cg, node->kids[0]), cg_i32(cg, 0), "");
    LLVMValueRef mask = LLVMConstNull(LLVMVectorType(cg->i32, WELD_LANES));
    return single(cg, node, LLVMBuildShuffleVector(cg->builder, first, LLVMGetUndef(as), mask, ""));
}

/* ---- vectors and dictionaries ---- */

static Leaf *cg_Len(Cg *cg, const Node *node) {
    return cg_expr(cg, node->kids[0]) + 1;
}

static LLVMValueRef not_null(Cg *cg, LLVMValueRef pointer) {
    return LLVMBuildICmp(cg->builder, LLVMIntNE, pointer, LLVMConstNull(cg->ptr), "");
}

static Leaf *cg_Lookup(Cg *cg, const Node *node) {
    const Type *container = node->kids[0]->type;
    Leaf *data = cg_expr(cg, node->kids[0]), *key = cg_expr(cg, node->kids[1]);
    if (container->kind == TY_vec) {
        LLVMValueRef inside = LLVMBuildICmp(cg->builder, LLVMIntULT, key[0], data[1], "");
        if (!cg_is_proven(cg, node)) cg_check(cg, inside, E_OutOfBounds, node, key[0], data[1]);
        cg_rows_note(cg, node);
        return cg_load_new(cg, node->type, cg_element(cg, node->type, data[0], key[0]));
    }
    LLVMValueRef value = cg_dict_value(cg, container, data[0], key, node->kids[1]);
    cg_check(cg, not_null(cg, value), E_KeyNotFound, node, NULL, NULL);
    return cg_load_new(cg, node->type, value);
}

/* {found, value or zero} after a probe. */
static Leaf *optlookup_probe(Cg *cg, const Node *node, Leaf *data, const Leaf *key) {
    const Type *container = node->kids[0]->type, *type = container->args[1];
    LLVMValueRef pointer = cg_dict_value(cg, container, data[0], key, node->kids[1]),
                 found = not_null(cg, pointer);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(cg->builder), yes = cg_block(cg, ""),
                      after = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, found, yes, after);
    cg_goto(cg, yes);
    Leaf *value = cg_load_new(cg, type, pointer);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    Leaf *leaves = cg_leaves(cg, node->type);
    Leaf *joined = join(cg, type, zero(cg, type), before, value, yes);
    leaves[0] = found;
    memcpy(leaves + 1, joined, sizeof *leaves * (size_t)leaf_count(type));
    return leaves;
}

static Leaf *optlookup_index(Cg *cg, const Node *node, Leaf *data, const Leaf *key) {
    const Type *container = node->kids[0]->type, *type = container->args[1];
    Leaf *known = cg_leaves(cg, node->type), *none = zero(cg, type);
    LLVMBasicBlockRef probing = cg_block(cg, ""), after = cg_block(cg, "");
    const Type *entry =
        type_is_flat(container->args[0]) ? dict_entry_type(&cg->program->types, container) : NULL;
    if (!entry ||
        !cg_prefetched_value(cg, node->kids[1], data[0], entry, key, probing, &known[0], known + 1)) {
        LLVMBuildBr(cg->builder, probing);
        cg_goto(cg, probing);
        LLVMDeleteBasicBlock(after);
        return optlookup_probe(cg, node, data, key);
    }
    for (int i = 0; i < leaf_count(type); i++)
        known[i + 1] = LLVMBuildSelect(cg->builder, known[0], known[i + 1], none[i], "");
    LLVMBasicBlockRef ahead = LLVMGetInsertBlock(cg->builder);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, probing);
    Leaf *probed = optlookup_probe(cg, node, data, key);
    LLVMBasicBlockRef last = LLVMGetInsertBlock(cg->builder);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    return join(cg, node->type, known, ahead, probed, last);
}

/* Whether a key is in a table decides no branch, which no processor would foresee: the value is zero where it is not. */
static Leaf *cg_OptLookup(Cg *cg, const Node *node) {
    const Type *container = node->kids[0]->type, *type = container->args[1];
    const Type *entry = dict_entry_type(&cg->program->types, container);
    Leaf *data = cg_expr(cg, node->kids[0]), *key = cg_expr(cg, node->kids[1]);
    if (!table_fits(entry)) return optlookup_index(cg, node, data, key);
    LLVMBasicBlockRef indexed = cg_block(cg, "indexed"), after = cg_block(cg, "");
    Leaf *known = cg_leaves(cg, node->type);
    LLVMValueRef place = cg_table_probe(cg, entry, data[0], key, indexed, &known[0]);
    cg_load(cg, type, place, NULL, known + 1);
    LLVMBasicBlockRef probed = LLVMGetInsertBlock(cg->builder);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, indexed);
    Leaf *other = optlookup_index(cg, node, data, key);
    LLVMBasicBlockRef last = LLVMGetInsertBlock(cg->builder);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    return join(cg, node->type, known, probed, other, last);
}

static Leaf *cg_KeyExists(Cg *cg, const Node *node) {
    Leaf *data = cg_expr(cg, node->kids[0]), *key = cg_expr(cg, node->kids[1]);
    return single(cg, node,
                  not_null(cg, cg_dict_value(cg, node->kids[0]->type, data[0], key, node->kids[1])));
}

void cg_slice_check(Cg *cg, const Node *node, Leaf start, Leaf size, Leaf length) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef sign = LLVMBuildOr(builder, start, size, ""), none = cg_i64(cg, 0);
    cg_check(cg, LLVMBuildICmp(builder, LLVMIntSGE, sign, none, ""), E_OutOfBounds, node,
             LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntSLT, start, none, ""), start, size, ""),
             length);
}

static Leaf *cg_Slice(Cg *cg, const Node *node) {
    LLVMBuilderRef builder = cg->builder;
    if (node->kids[0]->kind == N_Sort) return cg_sort_slice(cg, node);
    Leaf *data = cg_expr(cg, node->kids[0]);
    Leaf start = cg_one(cg, node->kids[1]), size = cg_one(cg, node->kids[2]);
    Leaf *leaves = cg_leaves(cg, node->type);
    if (cg->fn->whole && cg_is_proven(cg, node)) {
        leaves[0] = cg_element(cg, node->type->args[0], data[0], start);
        leaves[1] = size;
        return leaves;
    }
    cg_slice_check(cg, node, start, size, data[1]);
    LLVMValueRef inside = LLVMBuildICmp(builder, LLVMIntSLT, start, data[1], "");
    bool first =
        LLVMIsAConstantInt(start) && LLVMConstIntGetZExtValue(start) == 0; /* no vector ends before it */
    if (!first) start = LLVMBuildSelect(builder, inside, start, data[1], "");
    LLVMValueRef left = LLVMBuildSub(builder, data[1], start, "");
    leaves[0] = cg_element(cg, node->type->args[0], data[0], start);
    leaves[1] = LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntSLT, size, left, ""), size, left, "");
    return leaves;
}

static Leaf *cg_ToVec(Cg *cg, const Node *node) {
    LLVMBasicBlockRef before, some = cg_block(cg, ""), after = cg_block(cg, "");
    const Node *result = node->kids[0];
    if (result->kind == N_Result && result->kids[0]->kind == N_For) cg->listed = result->kids[0];
    Leaf dict = cg_one(cg, result);
    before = LLVMGetInsertBlock(cg->builder);
    LLVMBuildCondBr(cg->builder, not_null(cg, dict), some, after);
    cg_goto(cg, some);
    Leaf *entries = cg_leaves(cg, node->type);
    entries[0] = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, entries));
    entries[1] = cg_load_at(cg, cg->i64, dict, offsetof(Dict, length));
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    return join(cg, node->type, zero(cg, node->type), before, entries, some);
}

/* ---- bytes, foreign functions, assert ---- */

static Leaf *cg_Serialize(Cg *cg, const Node *node) {
    const Type *type = node->kids[0]->type;
    LLVMValueRef value = cg_spill(cg, type, cg_expr(cg, node->kids[0])), out = cg_slot(cg, sizeof(Vec), 8);
    cg_try(cg, cg_call(cg, RT_serialize, cg->fn->worker, cg_type_pointer(cg, type), value, out,
                       cg_span(cg, node)));
    return cg_load_new(cg, node->type, out);
}

static Leaf *cg_Deserialize(Cg *cg, const Node *node) {
    LLVMValueRef bytes = cg_spill(cg, node->kids[0]->type, cg_expr(cg, node->kids[0]));
    LLVMValueRef out = cg_slot(cg, node->type->size, node->type->align);
    cg_try(cg, cg_call(cg, RT_deserialize, cg->fn->worker, cg_type_pointer(cg, node->type), bytes, out,
                       cg_span(cg, node)));
    return cg_load_new(cg, node->type, out);
}

static Leaf *cg_Cudf(Cg *cg, const Node *node) {
    return cg_foreign_call(cg, node);
}
static Leaf *cg_Cfun(Cg *cg, const Node *node) {
    return cg_foreign_call(cg, node);
}
static Leaf *cg_Cfill(Cg *cg, const Node *node) {
    return cg_foreign_call(cg, node);
}

static Leaf *cg_Assert(Cg *cg, const Node *node) {
    LLVMValueRef holds = cg_one(cg, node->kids[0]), numbers[MOST_ASSERTED];
    for (int i = 0; i < MOST_ASSERTED; i++)
        numbers[i] = i + 1 < node->count ? cg_one(cg, node->kids[i + 1]) : cg_i64(cg, 0);
    if (node->text)
        cg_check_told(cg, holds, node, cg_text(cg, node), numbers);
    else
        cg_check(cg, holds, E_AssertionFailed, node, NULL, NULL);
    return single(cg, node, LLVMConstInt(cg->i1, 1, false));
}

static Leaf *cg_Checkpoint(Cg *cg, const Node *node) {
    return cg_expr(cg, node->kids[0]);
}
static Leaf *cg_After(Cg *cg, const Node *node) {
    cg_expr(cg, node->kids[1]);
    return cg_expr(cg, node->kids[0]);
}
static Leaf *cg_Room(Cg *cg, const Node *node) {
    return single(cg, node, cg_load_at(cg, cg->i64, cg->fn->worker, offsetof(Worker, room)));
}

/* What ranks exchange is the runtime's matter; alone, it is the value itself. */
static Leaf *cg_Exchange(Cg *cg, const Node *node) {
    const Type *type = node->type;
    const Node *second = node->count > 1 ? node->kids[1] : NULL;
    LLVMValueRef operand = cg_spill(cg, node->kids[0]->type, cg_expr(cg, node->kids[0]));
    LLVMValueRef other = second ? cg_spill(cg, second->type, cg_expr(cg, second)) : LLVMConstNull(cg->ptr);
    LLVMValueRef out = cg_slot(cg, type->size, type->align);
    LLVMValueRef what = cg_i64(cg, (int64_t)(node->bits << 8 | (uint64_t)node->op));
    cg_try(cg, cg_call(cg, RT_exchange, cg->fn->worker, what, cg_type_pointer(cg, exchange_type(node)),
                       operand, other, out, cg_span(cg, node)));
    return cg_load_new(cg, type, out);
}

static Leaf *cg_Sort(Cg *cg, const Node *node) {
    return cg_sort(cg, node);
}
static Leaf *cg_Iterate(Cg *cg, const Node *node) {
    return cg_iterate(cg, node);
}
static Leaf *cg_For(Cg *cg, const Node *node) {
    return cg_for(cg, node);
}
static Leaf *cg_NewBuilder(Cg *cg, const Node *node) {
    return cg_new_builder(cg, node);
}
static Leaf *cg_Merge(Cg *cg, const Node *node) {
    return cg_merge(cg, node);
}
static Leaf *cg_Result(Cg *cg, const Node *node) {
    return cg_result(cg, node);
}
