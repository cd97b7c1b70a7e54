/* cg_compress.c: the values of some lanes go to the end of an appender, or of a buffer, in their order.
 *
 *     mask  1 0 1 1         compress: b and the gap go       a c d .      store at data + length; length += 3
 *     value a b c d
 *
 * The whole vector is stored, behind the length there is anything: the next group overwrites it. AVX-512 has
 * instructions that compress words and, with VBMI2, bytes. AVX2 permutes by a row of a table that the mask
 * indexes, 8 words or 4 double words at a time. Structs whose fields have one size of 4 or 8 bytes are compressed as
 * words, each with the bit of its struct; of others each lane is stored, and the length grows by the lane's bit.
 *
 * Requires: room for all lanes behind the appender's end.
 */
#include "cg_filter.h"

#include <stddef.h>

/* As many lanes as one instruction compresses. */
static unsigned compressed_at_once(const Filter *lanes, int64_t size) {
    CompressKind kind = lanes->wide.cg->compress;
    if (kind != COMPRESS_BYTES && size < 4) size = 4;
    unsigned count = (kind == COMPRESS_PERMUTE ? 32 : 64) / (unsigned)size;
    return count < lanes->wide.width ? count : lanes->wide.width;
}

/* For each mask of so many lanes the 32-bit words that a permutation moves to the front, a byte each:
 * 0b0101 of 4 lanes of 64 bits -> words 0 1 4 5. */
static LLVMValueRef permutations(Cg *cg, unsigned lanes) {
    enum { MOST_ROWS = 256 };
    const char *name = lanes == 4 ? "compress4" : "compress8";
    LLVMValueRef table = LLVMGetNamedGlobal(cg->module, name), rows[MOST_ROWS];
    if (table) return table;
    unsigned count = 1u << lanes, words = 8 / lanes;
    for (unsigned mask = 0; mask < count; mask++) {
        uint64_t row = 0;
        unsigned at = 0;
        for (unsigned word = 0; word < 8; word++)
            if (mask >> word / words & 1) row |= (uint64_t)word << 8 * at++;
        rows[mask] = cg_i64(cg, (int64_t)row);
    }
    table = LLVMAddGlobal(cg->module, LLVMArrayType2(cg->i64, count), name);
    LLVMSetInitializer(table, LLVMConstArray2(cg->i64, rows, count));
    LLVMSetLinkage(table, LLVMInternalLinkage);
    LLVMSetGlobalConstant(table, true);
    return table;
}

/* AVX2: a permutation of 8 words of 32 bits, looked up. */
static Leaf permute(Cg *cg, Leaf value, LLVMValueRef bits) {
    LLVMBuilderRef builder = cg->builder;
    LLVMTypeRef words = LLVMVectorType(cg->i32, 8), bytes = LLVMVectorType(cg->i8, 8), as = LLVMTypeOf(value);
    LLVMValueRef table = permutations(cg, LLVMGetVectorSize(as));
    LLVMValueRef at = LLVMBuildInBoundsGEP2(builder, cg->i64, table, &bits, 1, "");
    LLVMValueRef row = LLVMBuildZExt(builder, LLVMBuildLoad2(builder, bytes, at, ""), words, "");
    LLVMValueRef args[2] = {LLVMBuildBitCast(builder, value, words, ""), row};
    return LLVMBuildBitCast(builder, cg_intrinsic(cg, "llvm.x86.avx2.permd", NULL, 0, args, 2), as, "");
}

/* Some lanes of a mask: of comparisons the same of some lanes of what they compare, for there are registers of so many, and LLVM
 * would take masks of more to pieces by way of memory or of one lane after the other. */
static Leaf mask_part(Cg *cg, Leaf mask, unsigned from, unsigned count, int depth) {
    LLVMBuilderRef builder = cg->builder;
    bool floats = LLVMIsAFCmpInst(mask), compares = floats || LLVMIsAICmpInst(mask);
    LLVMOpcode op = LLVMIsAInstruction(mask) ? LLVMGetInstructionOpcode(mask) : LLVMUnreachable;
    if (depth == 0 || (!compares && op != LLVMAnd && op != LLVMOr))
        return cg_wide_part(cg, mask, from, count);
    Leaf part[2];
    for (unsigned i = 0; i < 2; i++) {
        Leaf operand = LLVMGetOperand(mask, i);
        part[i] = compares ? cg_wide_part(cg, operand, from, count)
                           : mask_part(cg, operand, from, count, depth - 1);
    }
    if (floats) return LLVMBuildFCmp(builder, LLVMGetFCmpPredicate(mask), part[0], part[1], "");
    if (compares) return LLVMBuildICmp(builder, LLVMGetICmpPredicate(mask), part[0], part[1], "");
    return LLVMBuildBinOp(builder, op, part[0], part[1], "");
}

LLVMValueRef cg_mask_bits(Cg *cg, Leaf mask, unsigned step) {
    enum { DEPTH = 6 };
    unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(mask));
    LLVMValueRef all = NULL;
    for (unsigned from = 0; from < lanes; from += step) {
        Leaf part = mask_part(cg, mask, from, step, step < lanes ? DEPTH : 0);
        LLVMValueRef bits = LLVMBuildBitCast(cg->builder, part, LLVMIntTypeInContext(cg->context, step), "");
        bits = LLVMBuildShl(cg->builder, LLVMBuildZExt(cg->builder, bits, cg->i64, ""), cg_i64(cg, from), "");
        all = all ? LLVMBuildOr(cg->builder, all, bits, "") : bits;
    }
    return all;
}

/* Of all lanes those from `from` on. */
static LLVMValueRef some_bits(Cg *cg, LLVMValueRef bits, unsigned from, unsigned count) {
    bits = LLVMBuildLShr(cg->builder, bits, cg_i64(cg, from), "");
    return LLVMBuildAnd(cg->builder, bits, cg_i64(cg, (int64_t)(~0ull >> (64 - count))), "");
}

/* The lanes of the mask move to the front. bits: the mask as a number. */
static Leaf compress(Cg *cg, Leaf value, Leaf mask, LLVMValueRef bits) {
    LLVMBuilderRef builder = cg->builder;
    LLVMTypeRef as = LLVMTypeOf(value), one = LLVMGetElementType(as);
    unsigned lanes = LLVMGetVectorSize(as), bytes = one == cg->i8 ? 1 : one == cg->i16 ? 2 : 4;
    /* bytes and halves are compressed by some processors only, and only a whole register of them */
    bool narrow = bytes < 4 && (cg->compress != COMPRESS_BYTES || bytes * lanes < 16);
    LLVMTypeRef wide = narrow ? LLVMVectorType(cg->i32, lanes) : as;
    if (narrow) value = LLVMBuildZExt(builder, value, wide, "");
    Leaf args[3] = {value, LLVMConstNull(wide), mask};
    value = cg->compress == COMPRESS_PERMUTE
                ? permute(cg, value, bits)
                : cg_intrinsic(cg, "llvm.x86.avx512.mask.compress", &wide, 1, args, 3);
    return narrow ? LLVMBuildTrunc(builder, value, as, "") : value;
}

LLVMValueRef cg_appender_length(Cg *cg, LLVMValueRef state) {
    return cg_load_at(cg, cg->i64, state, offsetof(Appender, length));
}

void cg_appender_set_length(Cg *cg, LLVMValueRef state, LLVMValueRef length) {
    cg_store_at(cg, length, state, offsetof(Appender, length));
}

static void lengthen(Cg *cg, LLVMValueRef state, LLVMValueRef by) {
    cg_appender_set_length(cg, state, LLVMBuildAdd(cg->builder, cg_appender_length(cg, state), by, ""));
}

static LLVMValueRef end_of(Cg *cg, const LaneMerge *merge) {
    LLVMValueRef data = cg_load_at(cg, cg->ptr, merge->state, 0);
    return cg_element(cg, merge->builder->args[0], data, cg_appender_length(cg, merge->state));
}

/* A vector at a time. */
LLVMValueRef cg_compress_store(Filter *lanes, const Type *type, Leaf value, Leaf mask, LLVMValueRef data,
                               LLVMValueRef number) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    if (type->kind == TY_bool)
        value = LLVMBuildZExt(builder, value, LLVMVectorType(cg->i8, lanes->wide.width), "");
    unsigned step = mask ? compressed_at_once(lanes, type->size) : lanes->wide.width;
    LLVMValueRef all = mask ? cg_mask_bits(cg, mask, step) : NULL;
    for (unsigned from = 0; from < lanes->wide.width; from += step) {
        Leaf part = cg_wide_part(cg, value, from, step);
        LLVMValueRef count = cg_i64(cg, step);
        if (mask) {
            Leaf own = cg_wide_part(cg, mask, from, step);
            LLVMValueRef bits = some_bits(cg, all, from, step);
            part = compress(cg, part, own, bits);
            count = cg_intrinsic(cg, "llvm.ctpop", &cg->i64, 1, &bits, 1);
        }
        LLVMValueRef at = cg_element(cg, type, data, number);
        LLVMSetAlignment(LLVMBuildStore(builder, part, at), (unsigned)type->align);
        number = LLVMBuildAdd(builder, number, count, "");
    }
    return number;
}

/* Elements of one scalar. */
static void append_scalars(Filter *lanes, const LaneMerge *merge, Leaf value) {
    Cg *cg = lanes->wide.cg;
    LLVMValueRef data = cg_load_at(cg, cg->ptr, merge->state, 0);
    LLVMValueRef length = cg_compress_store(lanes, merge->builder->args[0], value, merge->mask, data,
                                            cg_appender_length(cg, merge->state));
    cg_appender_set_length(cg, merge->state, length);
}

/* Field by field, lane by lane: a0 b0 a1 b1 ... */
static Leaf interleave(Cg *cg, Leaf a, Leaf b) {
    LLVMValueRef mask[MOST_LANES];
    unsigned count = LLVMGetVectorSize(LLVMTypeOf(a));
    for (unsigned i = 0; i < 2 * count; i++) mask[i] = cg_i32(cg, (int32_t)(i / 2 + (i % 2 ? count : 0)));
    return LLVMBuildShuffleVector(cg->builder, a, b, LLVMConstVector(mask, 2 * count), "");
}

static bool appends_even(const Filter *lanes, const Type *type) {
    unsigned fields = cg_filter_even(type);
    return fields && cg_filter_largest(type) >= 4 &&
           compressed_at_once(lanes, cg_filter_largest(type)) >= fields;
}

/* Structs that are nothing but words of one size: each field is a lane, and all of a struct share a bit. */
static void append_even(Filter *lanes, const LaneMerge *merge, const Leaf *value) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    const Type *type = merge->builder->args[0];
    unsigned fields = cg_filter_even(type), bits_each = (unsigned)(8 * type->size / fields);
    LLVMTypeRef word = LLVMIntTypeInContext(cg->context, bits_each);
    unsigned step = compressed_at_once(lanes, type->size / fields) / fields;
    for (unsigned from = 0; from < lanes->wide.width; from += step) {
        Leaf part[4] = {NULL};
        for (unsigned i = 0; i < fields; i++) {
            part[i] = cg_wide_part(cg, cg_wide_spread(&lanes->wide, value[i]), from, step);
            part[i] = LLVMBuildBitCast(builder, part[i], LLVMVectorType(word, step), "");
        }
        if (fields == 4)
            part[0] = interleave(cg, part[0], part[2]), part[1] = interleave(cg, part[1], part[3]);
        Leaf all = interleave(cg, part[0], part[1]), mask = cg_wide_part(cg, merge->mask, from, step);
        for (unsigned i = 1; i < fields; i *= 2) mask = interleave(cg, mask, mask);
        LLVMValueRef bits = cg_mask_bits(cg, mask, step * fields);
        all = compress(cg, all, mask, bits);
        LLVMSetAlignment(LLVMBuildStore(builder, all, end_of(cg, merge)), (unsigned)type->align);
        LLVMValueRef count = cg_intrinsic(cg, "llvm.ctpop", &cg->i64, 1, &bits, 1);
        lengthen(cg, merge->state, LLVMBuildUDiv(builder, count, cg_i64(cg, fields), ""));
    }
}

/* Other structs: one lane after the other, each stored behind the last one that counts. */
static void append_structs(Filter *lanes, const LaneMerge *merge, const Leaf *value) {
    Cg *cg = lanes->wide.cg;
    const Type *type = merge->builder->args[0];
    Leaf *one = cg_leaves(cg, type);
    for (unsigned lane = 0; lane < lanes->wide.width; lane++) {
        LLVMValueRef at = cg_i32(cg, (int32_t)lane), count = cg_i64(cg, 1);
        for (int i = 0; i < leaf_count(type); i++)
            one[i] = cg_is_wide(value[i]) ? LLVMBuildExtractElement(cg->builder, value[i], at, "") : value[i];
        cg_store(cg, type, one, end_of(cg, merge), NULL);
        if (merge->mask) {
            count = LLVMBuildExtractElement(cg->builder, merge->mask, at, "");
            count = LLVMBuildZExt(cg->builder, count, cg->i64, "");
        }
        lengthen(cg, merge->state, count);
    }
}

void cg_filter_append(Filter *lanes, const LaneMerge *merge, const Leaf *value) {
    const Type *type = merge->builder->args[0];
    if (merge->mask && appends_even(lanes, type))
        append_even(lanes, merge, value);
    else if (type->kind == TY_struct)
        append_structs(lanes, merge, value);
    else
        append_scalars(lanes, merge, cg_wide_spread(&lanes->wide, value[0]));
}
