/* cg_wide.c: values of several iterations at once, and the expressions on them.
 *
 *     if(e < bound, e * 2.0, 0.0)          e: of 8 iterations; bound: one value for all
 *  => mask = fcmp olt e, {bound, ..}       <8 x i1>
 *     select mask, fmul e, {2.0, ..}, {0.0, ..}
 *
 * A leaf is *uniform*, the scalar that it is in one iteration, or *wide*, an LLVM vector with a lane for each
 * iteration: its LLVM type tells, and nothing else is kept. What is computed of uniform leaves is uniform; where one
 * operand is wide, the others are spread to all lanes. The operators are those of cg_scalar.c, which
 * take either; a math function that has no counterpart on vectors is called lane by lane. Both sides of a wide
 * condition are evaluated, and the condition selects.
 *
 * Two kinds of loops are built on this: those that filter (cg_filter.c), and loops in stages whose inner loops run
 * alike in all lanes (cg_lanes.c). They say what names mean and evaluate what only they have, by the two
 * functions of Wide.
 *
 * Requires, of whoever chooses the expressions: nothing that is evaluated for a lane that does not need it fails or
 * costs much, and integers are divided by literals other than 0 and -1 only.
 */
#include "cg.h"

#include <string.h>

bool cg_is_wide(Leaf leaf) {
    return LLVMGetTypeKind(LLVMTypeOf(leaf)) == LLVMVectorTypeKind;
}

Leaf cg_every_lane(Leaf constant, unsigned count) {
    Leaf lanes[MOST_LANES];
    for (unsigned i = 0; i < count; i++) lanes[i] = constant;
    return LLVMConstVector(lanes, count);
}

Leaf cg_wide_spread(const Wide *wide, Leaf leaf) {
    Cg *cg = wide->cg;
    if (cg_is_wide(leaf)) return leaf;
    if (LLVMIsConstant(leaf)) return cg_every_lane(leaf, wide->width);
    LLVMTypeRef as = LLVMVectorType(LLVMTypeOf(leaf), wide->width);
    Leaf first = LLVMBuildInsertElement(cg->builder, LLVMGetUndef(as), leaf, cg_i32(cg, 0), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(cg->i32, wide->width));
    return LLVMBuildShuffleVector(cg->builder, first, LLVMGetUndef(as), zeros, "");
}

void cg_wide_level(const Wide *wide, Leaf *a, Leaf *b) {
    if (cg_is_wide(*a)) *b = cg_wide_spread(wide, *b);
    if (cg_is_wide(*b)) *a = cg_wide_spread(wide, *a);
}

Leaf cg_wide_part(Cg *cg, Leaf vector, unsigned from, unsigned count) {
    LLVMValueRef mask[MOST_LANES];
    if (count == LLVMGetVectorSize(LLVMTypeOf(vector))) return vector;
    for (unsigned i = 0; i < count; i++) mask[i] = cg_i32(cg, (int32_t)(from + i));
    return LLVMBuildShuffleVector(cg->builder, vector, LLVMGetUndef(LLVMTypeOf(vector)),
                                  LLVMConstVector(mask, count), "");
}

Leaf cg_wide_join(Cg *cg, Leaf *parts, unsigned count) {
    LLVMValueRef mask[MOST_LANES];
    for (; count > 1; count /= 2) {
        unsigned lanes = 2 * LLVMGetVectorSize(LLVMTypeOf(parts[0]));
        for (unsigned i = 0; i < lanes; i++) mask[i] = cg_i32(cg, (int32_t)i);
        for (unsigned i = 0; i < count / 2; i++) {
            parts[i] = LLVMBuildShuffleVector(cg->builder, parts[2 * i], parts[2 * i + 1],
                                              LLVMConstVector(mask, lanes), "");
        }
    }
    return parts[0];
}

/* ---- memory ---- */

Leaf cg_wide_load(const Wide *wide, const Type *type, LLVMValueRef at) {
    Cg *cg = wide->cg;
    LLVMTypeRef scalar = type->kind == TY_bool ? cg->i8 : cg_scalar_type(cg, type);
    LLVMTypeRef as = LLVMVectorType(scalar, wide->width);
    Leaf out = LLVMBuildLoad2(cg->builder, as, at, "");
    LLVMSetAlignment(out, (unsigned)type->align);
    return type->kind == TY_bool ? LLVMBuildICmp(cg->builder, LLVMIntNE, out, LLVMConstNull(as), "") : out;
}

Leaf cg_wide_gather(const Wide *wide, const Type *type, LLVMValueRef data, LLVMValueRef index) {
    Cg *cg = wide->cg;
    LLVMValueRef at = cg_element(cg, type, data, index);
    Leaf out;
    if (!cg_is_wide(at)) {
        cg_load(cg, type, at, NULL, &out);
        return out;
    }
    out = LLVMGetUndef(LLVMVectorType(cg_scalar_type(cg, type), wide->width));
    for (unsigned i = 0; i < wide->width; i++) {
        LLVMValueRef number = cg_i32(cg, (int32_t)i);
        Leaf one;
        cg_load(cg, type, LLVMBuildExtractElement(cg->builder, at, number, ""), NULL, &one);
        out = LLVMBuildInsertElement(cg->builder, out, one, number, "");
    }
    return out;
}

/* ---- expressions ---- */

const Type *cg_wide_type(const Wide *wide, const Type *scalar) {
    Type *args[1] = {(Type *)scalar};
    return type_make(&wide->cg->program->types, TY_simd, OP_none, 1, args);
}

/* What an operator is told that it works on: of lanes, too, their scalar; a simd type where it must be called
 * lane by lane, which only happens with WELD_LANES of them. */
static const Type *operand_type(const Wide *wide, const Node *node, Leaf operand) {
    const Type *type = node->kids[0]->type;
    bool math = op_classes[node->op].class == 'f' || (node->op == OP_rem && type_is_float(type));
    if (!cg_is_wide(operand) || !math || cg_math_has_lanes(wide->cg, node->op, type, wide->width))
        return type;
    return cg_wide_type(wide, type);
}

Leaf cg_wide_one(Wide *wide, const Node *node) {
    return cg_wide_expr(wide, node)[0];
}

static Leaf binary(Wide *wide, const Node *node) {
    LLVMBuilderRef builder = wide->cg->builder;
    Leaf a = cg_wide_one(wide, node->kids[0]), b = cg_wide_one(wide, node->kids[1]);
    cg_wide_level(wide, &a, &b);
    if (node->kind == N_Compare) return cg_compare_op(wide->cg, node->op, node->kids[0]->type, a, b);
    if (node->kind == N_And) return LLVMBuildAnd(builder, a, b, "");
    if (node->kind == N_Or) return LLVMBuildOr(builder, a, b, "");
    bool divides = (op_classes[node->op].traits & FAILS) && !type_is_float(node->type);
    if (!divides) return cg_binary_op(wide->cg, node->op, operand_type(wide, node, a), a, b, false);
    bool is_signed = type_is_signed(node->type), rest = node->op == OP_rem;
    LLVMOpcode opcode = rest ? (is_signed ? LLVMSRem : LLVMURem) : (is_signed ? LLVMSDiv : LLVMUDiv);
    return LLVMBuildBinOp(builder, opcode, a, b, "");
}

/* Operators of one scalar. */
static Leaf scalar(Wide *wide, const Node *node) {
    Cg *cg = wide->cg;
    if (node->kind != N_Unary && node->kind != N_Cast) return binary(wide, node);
    Leaf a = cg_wide_one(wide, node->kids[0]);
    return node->kind == N_Cast ? cg_cast_op(cg, node->kids[0]->type, a, node->type)
                                : cg_unary_op(cg, node->op, operand_type(wide, node, a), a);
}

static Leaf *selection(Wide *wide, const Node *node) {
    Cg *cg = wide->cg;
    Leaf condition = cg_wide_one(wide, node->kids[0]);
    const Leaf *a = cg_wide_expr(wide, node->kids[1]), *b = cg_wide_expr(wide, node->kids[2]);
    Leaf *out = cg_leaves(cg, node->type);
    for (int i = 0; i < leaf_count(node->type); i++) {
        Leaf x = a[i], y = b[i];
        cg_wide_level(wide, &x, &y);
        if (cg_is_wide(condition)) x = cg_wide_spread(wide, x), y = cg_wide_spread(wide, y);
        out[i] = LLVMBuildSelect(cg->builder, condition, x, y, "");
    }
    return out;
}

static Leaf *structure(Wide *wide, const Node *node) {
    Leaf *out = cg_leaves(wide->cg, node->type), *at = out;
    for (int i = 0; i < node->count; i++) {
        int count = leaf_count(node->kids[i]->type);
        memcpy(at, cg_wide_expr(wide, node->kids[i]), sizeof *at * (size_t)count);
        at += count;
    }
    return out;
}

/* Of a name, only the field's leaves are asked for. */
static Leaf *field(Wide *wide, const Node *node) {
    int at = 0, count = leaf_count(node->type);
    for (; node->kind == N_Field; node = node->kids[0]) at += leaf_at(node->kids[0]->type, node->index);
    return node->kind == N_Ident ? wide->name(wide, node, at, count) : cg_wide_expr(wide, node) + at;
}

Leaf *cg_wide_expr(Wide *wide, const Node *node) {
    Leaf *out;
    switch (node->kind) {
    case N_Literal: return cg_expr(wide->cg, node);
    case N_Ident: return wide->name(wide, node, 0, leaf_count(node->type));
    case N_Field: return field(wide, node);
    case N_Len: return cg_wide_expr(wide, node->kids[0]) + 1;
    case N_Struct: return structure(wide, node);
    case N_If:
    case N_Select: return selection(wide, node);
    case N_Unary:
    case N_Cast:
    case N_And:
    case N_Or:
    case N_Compare:
    case N_Binary:
        out = cg_leaves(wide->cg, node->type);
        out[0] = scalar(wide, node);
        return out;
    default: return wide->other(wide, node);
    }
}
