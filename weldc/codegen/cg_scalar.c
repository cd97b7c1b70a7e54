/* cg_scalar.c: the operators of scalar.def in LLVM, on scalars and lane by lane on simd values.
 *
 * Rows that name an LLVM opcode are built from the table; those marked Custom have a function binary_<id>
 * here. What the operators mean is in lang/value/value.c; the two must agree bit for bit on integers and to
 * rounding on floats.
 */
#include "cg.h"

#include <stdio.h>
#include <string.h>

static const Type *lane(const Type *type) {
    return type->kind == TY_simd ? type->args[0] : type;
}
static bool is_float(const Type *type) {
    return type_is_float(lane(type));
}
static bool is_signed(const Type *type) {
    return type_is_signed(lane(type));
}

LLVMTypeRef cg_shaped(LLVMTypeRef scalar, Leaf like) {
    LLVMTypeRef shape = LLVMTypeOf(like);
    bool simd = LLVMGetTypeKind(scalar) == LLVMVectorTypeKind;
    bool lanes = LLVMGetTypeKind(shape) == LLVMVectorTypeKind && !simd;
    return lanes ? LLVMVectorType(scalar, LLVMGetVectorSize(shape)) : scalar;
}

/* A constant in every lane, if `like` has lanes. */
static Leaf in_lanes(Leaf one, Leaf like) {
    LLVMTypeRef shape = LLVMTypeOf(like);
    bool lanes = LLVMGetTypeKind(shape) == LLVMVectorTypeKind;
    return lanes ? cg_every_lane(one, LLVMGetVectorSize(shape)) : one;
}

/* A constant of the type's scalar. */
static Leaf constant(Cg *cg, const Type *type, Leaf like, int64_t value) {
    LLVMTypeRef as = cg_scalar_type(cg, lane(type));
    Leaf one = is_float(type) ? LLVMConstReal(as, (double)value) : LLVMConstInt(as, (uint64_t)value, true);
    return in_lanes(one, like);
}

/* Declares a function without effects. */
static LLVMValueRef pure_function(Cg *cg, const char *symbol, LLVMTypeRef signature) {
    LLVMValueRef function = cg_foreign(cg, symbol, signature);
    static const char *const traits[] = {"memory", "willreturn"};
    for (int i = 0; i < 2; i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(traits[i], strlen(traits[i]));
        LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                LLVMCreateEnumAttribute(cg->context, kind, 0));
    }
    return function;
}

/* SLEEF's widths of vectors for the processor, widest first (math.c): bytes, and how their functions' names
 * end. */
static const struct SleefWidth {
    int bytes;
    bool wide, fma; /* needs */
    const char *ending;
} sleef_widths[] = {{64, true, true, "avx512f"},
                    {32, false, true, "avx2"},
                    {16, false, true, "avx2128"},
                    {16, false, false, "sse2"}};

/* The same answer for the whole program, so that equal calls give equal bits. */
static bool has_sleef(Cg *cg) {
    if (!cg->looked) cg->sleef = cg->sleef && math_has_vectors();
    cg->looked = true;
    return cg->sleef;
}

static void sleef_name(const Cg *cg, char *out, size_t room, const char *name, bool f32, int lanes,
                       const char *ending) {
    snprintf(out, room, "Sleef_%s_%s%c%d_u10%s", cg->fma ? "finz" : "cinz", name, f32 ? 'f' : 'd', lanes,
             ending);
}

/* Tells the loop vectorizer which functions do the same to several values: `_ZGV_LLVM_N8v_one(many)`, per
 * LLVM's vector function ABI. */
static void add_variants(Cg *cg, LLVMValueRef call, const char *one, const char *name, const Type *type,
                         int arity) {
    char list[512] = "", many[64];
    size_t at = 0;
    bool f32 = type->kind == TY_f32;
    for (size_t i = 0; i < sizeof sleef_widths / sizeof *sleef_widths; i++) {
        const struct SleefWidth *width = &sleef_widths[i];
        if ((width->wide && !cg->wide) || width->fma != cg->fma) continue;
        int lanes = width->bytes / (int)type->size;
        sleef_name(cg, many, sizeof many, name, f32, lanes, width->ending);
        LLVMTypeRef vector = LLVMVectorType(cg_scalar_type(cg, type), (unsigned)lanes),
                    params[2] = {vector, vector};
        LLVMValueRef function =
            pure_function(cg, many, LLVMFunctionType(vector, params, (unsigned)arity, false));
        cg_keep(cg, function);
        at += (size_t)snprintf(list + at, sizeof list - at, "%s_ZGV_LLVM_N%d%s_%s(%s)", at ? "," : "", lanes,
                               arity == 2 ? "vv" : "v", one, many);
    }
    LLVMAttributeRef attribute =
        LLVMCreateStringAttribute(cg->context, "vector-function-abi-variant", 27, list, (unsigned)at);
    LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex, attribute);
    cg->math_calls++;
}

/* One value's function: SLEEF's, which has vector counterparts with the same bits, or libm's. */
static Leaf math_call(Cg *cg, const char *name, const Type *type, Leaf a, Leaf b) {
    LLVMTypeRef as = cg_scalar_type(cg, type), params[2] = {as, as};
    Leaf args[2] = {a, b};
    unsigned arity = b ? 2 : 1;
    bool sleef = strcmp(name, "fmod") != 0 && has_sleef(cg);
    char symbol[64];
    if (sleef)
        sleef_name(cg, symbol, sizeof symbol, name, type->kind == TY_f32, 1, cg->fma ? "purecfma" : "purec");
    else
        snprintf(symbol, sizeof symbol, "%s%s", name, type->kind == TY_f32 ? "f" : "");
    LLVMTypeRef signature = LLVMFunctionType(as, params, arity, false);
    LLVMValueRef call =
        LLVMBuildCall2(cg->builder, signature, pure_function(cg, symbol, signature), args, arity, "");
    if (sleef) add_variants(cg, call, symbol, name, type, (int)arity);
    return call;
}

/* The widest of SLEEF's vectors that has no more than so many lanes of the type, or NULL. */
static const struct SleefWidth *sleef_width(const Cg *cg, const Type *type, unsigned lanes) {
    for (size_t i = 0; i < sizeof sleef_widths / sizeof *sleef_widths; i++) {
        const struct SleefWidth *width = &sleef_widths[i];
        if ((width->wide && !cg->wide) || width->fma != cg->fma) continue;
        if (width->bytes <= (int64_t)lanes * type->size) return width;
    }
    return NULL;
}

bool cg_math_has_lanes(Cg *cg, Op op, const Type *type, unsigned lanes) {
    return op == OP_sqrt || (op != OP_rem && has_sleef(cg) && sleef_width(cg, type, lanes));
}

/* A math function on lanes that cg_math_has_lanes: SLEEF's, on as many at a time as the widest one takes. */
static Leaf math_lanes(Cg *cg, const char *name, const Type *type, Leaf a, Leaf b) {
    unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(a)), arity = b ? 2 : 1;
    const struct SleefWidth *width = sleef_width(cg, type, lanes);
    unsigned step = (unsigned)(width->bytes / type->size);
    char symbol[64];
    sleef_name(cg, symbol, sizeof symbol, name, type->kind == TY_f32, (int)step, width->ending);
    LLVMTypeRef vector = LLVMVectorType(cg_scalar_type(cg, type), step), params[2] = {vector, vector};
    LLVMTypeRef signature = LLVMFunctionType(vector, params, arity, false);
    LLVMValueRef function = pure_function(cg, symbol, signature);
    Leaf parts[MOST_LANES];
    for (unsigned at = 0; at < lanes; at += step) {
        Leaf args[2] = {cg_wide_part(cg, a, at, step), b ? cg_wide_part(cg, b, at, step) : NULL};
        parts[at / step] = LLVMBuildCall2(cg->builder, signature, function, args, arity, "");
    }
    return cg_wide_join(cg, parts, lanes / step);
}

/* A math function, lane by lane on simd values. name: of the f64 version in libm. */
static Leaf libm(Cg *cg, const char *name, const Type *type, Leaf a, Leaf b) {
    if (type->kind != TY_simd) {
        bool scalar = LLVMGetTypeKind(LLVMTypeOf(a)) != LLVMVectorTypeKind;
        return (scalar ? math_call : math_lanes)(cg, name, type, a, b);
    }
    Leaf out = LLVMGetUndef(cg_scalar_type(cg, type));
    for (int i = 0; i < WELD_LANES; i++) {
        Leaf one = LLVMBuildExtractElement(cg->builder, a, cg_i32(cg, i), "");
        Leaf other = b ? LLVMBuildExtractElement(cg->builder, b, cg_i32(cg, i), "") : NULL;
        Leaf value = math_call(cg, name, lane(type), one, other);
        out = LLVMBuildInsertElement(cg->builder, out, value, cg_i32(cg, i), "");
    }
    return out;
}

static Leaf binary_shift(Cg *cg, LLVMOpcode opcode, const Type *type, Leaf a, Leaf b) {
    Leaf count = LLVMBuildAnd(cg->builder, b, constant(cg, type, b, lane(type)->size * 8 - 1), "");
    return LLVMBuildBinOp(cg->builder, opcode, a, count, "");
}

static Leaf binary_shl(Cg *cg, const Type *type, Leaf a, Leaf b) {
    return binary_shift(cg, LLVMShl, type, a, b);
}

static Leaf binary_shr(Cg *cg, const Type *type, Leaf a, Leaf b) {
    return binary_shift(cg, is_signed(type) ? LLVMAShr : LLVMLShr, type, a, b);
}

/* minimum / -1 would trap: divide by 1 there, and negate. The divisor is not 0, or the lane is not used. */
static Leaf quotient(Cg *cg, const Type *type, Leaf a, Leaf b, bool remainder) {
    LLVMBuilderRef builder = cg->builder;
    if (!is_signed(type)) return LLVMBuildBinOp(builder, remainder ? LLVMURem : LLVMUDiv, a, b, "");
    if (LLVMIsAConstantInt(b) && LLVMConstIntGetSExtValue(b) != -1) {
        return LLVMBuildBinOp(builder, remainder ? LLVMSRem : LLVMSDiv, a, b, "");
    }
    Leaf minus = LLVMBuildICmp(builder, LLVMIntEQ, b, constant(cg, type, b, -1), "");
    Leaf divisor = LLVMBuildSelect(builder, minus, constant(cg, type, b, 1), b, "");
    if (remainder) return LLVMBuildSRem(builder, a, divisor, "");
    Leaf value = LLVMBuildSDiv(builder, a, divisor, "");
    return LLVMBuildSelect(builder, minus, LLVMBuildNeg(builder, a, ""), value, "");
}

static Leaf binary_div(Cg *cg, const Type *type, Leaf a, Leaf b) {
    return quotient(cg, type, a, b, false);
}

static Leaf binary_rem(Cg *cg, const Type *type, Leaf a, Leaf b) {
    return is_float(type) ? libm(cg, "fmod", type, a, b) : quotient(cg, type, a, b, true);
}

/* As C's fmin: b where a is NaN, else a unless b is less. */
static Leaf extreme(Cg *cg, const Type *type, Leaf a, Leaf b, LLVMRealPredicate real,
                    LLVMIntPredicate integer) {
    LLVMBuilderRef builder = cg->builder;
    if (!is_float(type)) return LLVMBuildSelect(builder, LLVMBuildICmp(builder, integer, a, b, ""), a, b, "");
    Leaf less = LLVMBuildFCmp(builder, real, b, a, "");
    Leaf value = LLVMBuildSelect(builder, less, b, a, "");
    return LLVMBuildSelect(builder, LLVMBuildFCmp(builder, LLVMRealUNO, a, a, ""), b, value, "");
}

static Leaf binary_min(Cg *cg, const Type *type, Leaf a, Leaf b) {
    return extreme(cg, type, a, b, LLVMRealOLT, is_signed(type) ? LLVMIntSLT : LLVMIntULT);
}

static Leaf binary_max(Cg *cg, const Type *type, Leaf a, Leaf b) {
    return extreme(cg, type, a, b, LLVMRealOGT, is_signed(type) ? LLVMIntSGT : LLVMIntUGT);
}

static Leaf binary_pow(Cg *cg, const Type *type, Leaf a, Leaf b) {
    return libm(cg, "pow", type, a, b);
}

typedef struct OpRow {
    int s, u, f; /* opcode or predicate for signed, unsigned, float; 0: the function */
    Leaf (*custom)(Cg *cg, const Type *type, Leaf a, Leaf b);
} OpRow;

enum { LLVMCustom = 0 }; /* LLVM's opcodes start at 1 */
/* binary_<id> for rows whose signed opcode is Custom, NULL for the others. */
#define HANDLER_Custom(id) binary_##id
#define HANDLER_Or(id) NULL
#define HANDLER_Xor(id) NULL
#define HANDLER_And(id) NULL
#define HANDLER_Add(id) NULL
#define HANDLER_Sub(id) NULL
#define HANDLER_Mul(id) NULL

static const OpRow op_rows[OP_COUNT] = {
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) \
    [OP_##id] = {(int)LLVM##sop, (int)LLVM##uop, (int)LLVM##fop, HANDLER_##sop(id)},
#define COMPARE(id, spelling, precedence, cop, spred, upred, fpred, doc) \
    [OP_##id] = {(int)LLVM##spred, (int)LLVM##upred, (int)LLVM##fpred, NULL},
#include "../../lang/scalar.def"
};

Leaf cg_binary_op(Cg *cg, Op op, const Type *type, Leaf a, Leaf b, bool reassociate) {
    const OpRow *row = &op_rows[op];
    int opcode = is_float(type) ? row->f : is_signed(type) ? row->s : row->u;
    if (!opcode) return row->custom(cg, type, a, b);
    LLVMValueRef value = LLVMBuildBinOp(cg->builder, (LLVMOpcode)opcode, a, b, "");
    if (reassociate && LLVMCanValueUseFastMathFlags(value))
        LLVMSetFastMathFlags(value, LLVMFastMathAllowReassoc);
    return value;
}

void cg_divisor_check(Cg *cg, Op op, const Type *type, Leaf divisor, const Node *node) {
    if (!(op_classes[op].traits & FAILS) || is_float(type)) return;
    if (LLVMIsAConstantInt(divisor) && LLVMConstIntGetZExtValue(divisor) != 0) return;
    Leaf ok = LLVMBuildICmp(cg->builder, LLVMIntNE, divisor, constant(cg, type, divisor, 0), "");
    if (type->kind == TY_simd) {
        LLVMTypeRef overload = LLVMVectorType(cg->i1, WELD_LANES);
        ok = cg_intrinsic(cg, "llvm.vector.reduce.and", &overload, 1, &ok, 1);
    }
    cg_check(cg, ok, E_DivisionByZero, node, NULL, NULL);
}

Leaf cg_compare_op(Cg *cg, Op op, const Type *type, Leaf a, Leaf b) {
    const OpRow *row = &op_rows[op];
    if (is_float(type)) return LLVMBuildFCmp(cg->builder, (LLVMRealPredicate)row->f, a, b, "");
    return LLVMBuildICmp(cg->builder, (LLVMIntPredicate)(is_signed(type) ? row->s : row->u), a, b, "");
}

Leaf cg_unary_op(Cg *cg, Op op, const Type *type, Leaf a) {
    LLVMBuilderRef builder = cg->builder;
    switch (op) {
    case OP_neg: return is_float(type) ? LLVMBuildFNeg(builder, a, "") : LLVMBuildNeg(builder, a, "");
    case OP_not:
    case OP_bitnot: return LLVMBuildNot(builder, a, "");
    case OP_sqrt: {
        LLVMTypeRef overload = LLVMTypeOf(a);
        return cg_intrinsic(cg, "llvm.sqrt", &overload, 1, &a, 1);
    }
    default: return libm(cg, op_classes[op].name, type, a, NULL);
    }
}

Leaf cg_cast_op(Cg *cg, const Type *from, Leaf a, const Type *to) {
    LLVMBuilderRef builder = cg->builder;
    LLVMTypeRef as = cg_shaped(cg_scalar_type(cg, to), a), source = LLVMTypeOf(a);
    if (from == to) return a;
    if (to->kind == TY_bool) {
        if (type_is_float(from)) return LLVMBuildFCmp(builder, LLVMRealUNE, a, LLVMConstNull(source), "");
        return LLVMBuildICmp(builder, LLVMIntNE, a, LLVMConstNull(source), "");
    }
    if (type_is_float(to)) {
        if (type_is_float(from)) return LLVMBuildFPCast(builder, a, as, "");
        return type_is_signed(from) ? LLVMBuildSIToFP(builder, a, as, "")
                                    : LLVMBuildUIToFP(builder, a, as, "");
    }
    if (type_is_float(from)) {
        LLVMTypeRef overloads[2] = {as, source};
        return cg_intrinsic(cg, type_is_signed(to) ? "llvm.fptosi.sat" : "llvm.fptoui.sat", overloads, 2, &a,
                            1);
    }
    return LLVMBuildIntCast2(builder, a, as, type_is_signed(from), "");
}

Leaf cg_identity(Cg *cg, Op op, const Type *type) {
    unsigned char bytes[8] = {0};
    combine_identity(type, op, bytes);
    LLVMTypeRef as = cg_scalar_type(cg, type);
    if (type->kind == TY_f64) {
        double value;
        memcpy(&value, bytes, sizeof value);
        return LLVMConstReal(as, value);
    }
    if (type->kind == TY_f32) {
        float value;
        memcpy(&value, bytes, sizeof value);
        return LLVMConstReal(as, (double)value);
    }
    uint64_t value = 0;
    memcpy(&value, bytes, (size_t)type->size);
    return LLVMConstInt(as, value, false);
}

Leaf cg_neutral(Cg *cg, Op op, const Type *type) {
    if (op == OP_add && type_is_float(type)) return LLVMConstReal(cg_scalar_type(cg, type), -0.0);
    return cg_identity(cg, op, type);
}

/* As key_bits of lang/: zero-extended, one NaN, one zero. */
static LLVMValueRef key_leaf_bits(Cg *cg, const Type *type, Leaf a) {
    LLVMBuilderRef builder = cg->builder;
    if (type_is_float(type)) {
        LLVMTypeRef as = LLVMTypeOf(a), bits = cg_shaped(type->kind == TY_f32 ? cg->i32 : cg->i64, a);
        Leaf zero = LLVMConstNull(as);
        a = LLVMBuildSelect(builder, LLVMBuildFCmp(builder, LLVMRealOEQ, a, zero, ""), zero, a, "");
        LLVMValueRef nan =
            in_lanes(LLVMConstInt(type->kind == TY_f32 ? cg->i32 : cg->i64,
                                  type->kind == TY_f32 ? 0x7fc00000u : 0x7ff8000000000000u, false),
                     a);
        LLVMValueRef ordered = LLVMBuildFCmp(builder, LLVMRealORD, a, a, "");
        a = LLVMBuildSelect(builder, ordered, LLVMBuildBitCast(builder, a, bits, ""), nan, "");
    }
    return LLVMBuildIntCast2(builder, a, cg_shaped(cg->i64, a), false, "");
}

static int pack(Cg *cg, const Type *type, const Leaf *leaves, LLVMValueRef *word, int shift) {
    if (type->kind != TY_struct) {
        LLVMValueRef bits = key_leaf_bits(cg, type, leaves[0]);
        bits = LLVMBuildShl(cg->builder, bits, in_lanes(cg_i64(cg, shift), bits), "");
        *word = shift ? LLVMBuildOr(cg->builder, *word, bits, "") : bits;
        return shift + type_classes[type->kind].bits;
    }
    for (int i = 0; i < type->count; i++) {
        shift = pack(cg, type->args[i], leaves, word, shift);
        leaves += leaf_count(type->args[i]);
    }
    return shift;
}

LLVMValueRef cg_key_word(Cg *cg, const Type *type, const Leaf *leaves) {
    LLVMValueRef word = cg_i64(cg, 0);
    pack(cg, type, leaves, &word, 0);
    return word;
}

/* hash_u64 of lang/. */
static LLVMValueRef hash_word(Cg *cg, LLVMValueRef word) {
    LLVMBuilderRef builder = cg->builder;
    word = LLVMBuildXor(builder, word, cg_i64(cg, (int64_t)HASH_SEED), "");
    word = LLVMBuildMul(builder, word, cg_i64(cg, (int64_t)HASH_FACTOR), "");
    return LLVMBuildXor(builder, word, LLVMBuildLShr(builder, word, cg_i64(cg, 32), ""), "");
}

/* Folds the fields of a key too large for one word, as key_hash does: h = hash_u64(h ^ hash of the field). */
LLVMValueRef cg_hash(Cg *cg, const Type *type, const Leaf *leaves) {
    if (key_width(type)) return hash_word(cg, cg_key_word(cg, type, leaves));
    LLVMValueRef hash = cg_i64(cg, 0);
    for (int i = 0; i < type->count; i++) {
        LLVMValueRef field = cg_hash(cg, type->args[i], leaves);
        hash = hash_word(cg, LLVMBuildXor(cg->builder, hash, field, ""));
        leaves += leaf_count(type->args[i]);
    }
    return hash;
}

LLVMValueRef cg_key_equal(Cg *cg, const Type *type, const Leaf *a, const Leaf *b) {
    if (type->kind != TY_struct) {
        LLVMValueRef left = key_leaf_bits(cg, type, a[0]), right = key_leaf_bits(cg, type, b[0]);
        return LLVMBuildICmp(cg->builder, LLVMIntEQ, left, right, "");
    }
    LLVMValueRef equal = LLVMConstInt(cg->i1, 1, false);
    for (int i = 0; i < type->count; i++) {
        LLVMValueRef field = cg_key_equal(cg, type->args[i], a, b);
        equal = LLVMBuildAnd(cg->builder, equal, field, "");
        a += leaf_count(type->args[i]);
        b += leaf_count(type->args[i]);
    }
    return equal;
}
