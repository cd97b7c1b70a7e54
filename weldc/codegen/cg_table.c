/* cg_table.c: probing the tables of large dictionaries (lang/value/table.c), whose slots hold key and value.
 *
 * A line of four slots is one vector of eight words; those at even places are compared with the key's:
 *
 *     line    k1 v1 k2 v2 k3 v3 k4 v4        equal, of the even ones: 00010000  ->  the value is k3's, v3
 *
 * no branch depends on where the key is, or whether it is there at all: where it is not, the value is the one of a free
 * slot, zero. Only where a line is full and does not have it
 * does the probe go on to the next.
 */
#include "cg.h"

#include <stddef.h>

enum { WORDS = 2 * TABLE_LINE, EVEN = 0x55 }; /* of a line; the bits of its keys */

/* Where a line begins, in bytes. */
static LLVMValueRef line_offset(Cg *cg, LLVMValueRef slot) {
    LLVMValueRef first = LLVMBuildAnd(cg->builder, slot, cg_i64(cg, -TABLE_LINE), "");
    return LLVMBuildMul(cg->builder, first, cg_i64(cg, sizeof(TableSlot)), "");
}

LLVMValueRef cg_table_first(Cg *cg, const Type *entry, LLVMValueRef dict, LLVMValueRef hash) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef slot = cg_slot_of(cg, dict, hash),
                 base = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, index));
    LLVMValueRef offset = LLVMBuildMul(builder, slot, cg_i64(cg, sizeof(uint64_t)), "");
    if (table_fits(entry)) {
        LLVMValueRef table = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, table));
        LLVMValueRef has = LLVMBuildICmp(builder, LLVMIntNE, table, LLVMConstNull(cg->ptr), "");
        base = LLVMBuildSelect(builder, has, table, base, "");
        offset = LLVMBuildSelect(builder, has, line_offset(cg, slot), offset, "");
    }
    return LLVMBuildGEP2(builder, cg->i8, base, &offset, 1, "");
}

/* The table, or NULL where there is no dictionary. */
static LLVMValueRef table_of(Cg *cg, LLVMValueRef dict) {
    LLVMBasicBlockRef some = cg_block(cg, ""), after = cg_block(cg, ""),
                      before = LLVMGetInsertBlock(cg->builder);
    LLVMValueRef null = LLVMConstNull(cg->ptr);
    cg_likely(
        cg, LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntNE, dict, null, ""), some, after),
        true);
    cg_goto(cg, some);
    LLVMValueRef table = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, table));
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
    LLVMValueRef phi = LLVMBuildPhi(cg->builder, cg->ptr, "");
    LLVMAddIncoming(phi, &null, &before, 1);
    LLVMAddIncoming(phi, &table, &some, 1);
    return phi;
}

/* Bits of the words of a line that are the key. */
static LLVMValueRef equal_bits(Cg *cg, LLVMValueRef words, LLVMValueRef word) {
    LLVMBuilderRef builder = cg->builder;
    LLVMTypeRef line = LLVMVectorType(cg->i64, WORDS);
    LLVMValueRef none = LLVMConstNull(LLVMVectorType(cg->i32, WORDS));
    LLVMValueRef all = LLVMBuildInsertElement(builder, LLVMGetUndef(line), word, cg_i32(cg, 0), "");
    all = LLVMBuildShuffleVector(builder, all, LLVMGetUndef(line), none, "");
    LLVMValueRef bits =
        LLVMBuildBitCast(builder, LLVMBuildICmp(builder, LLVMIntEQ, words, all, ""), cg->i8, "");
    return LLVMBuildAnd(builder, bits, LLVMConstInt(cg->i8, EVEN, false), "");
}

LLVMValueRef cg_table_probe(Cg *cg, const Type *entry, LLVMValueRef dict, const Leaf *key,
                            LLVMBasicBlockRef indexed, LLVMValueRef *found) {
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef tabled = cg_block(cg, "table"), probe = cg_block(cg, "line"), after = cg_block(cg, "");
    LLVMTypeRef line = LLVMVectorType(cg->i64, WORDS);
    LLVMValueRef table = table_of(cg, dict),
                 has = LLVMBuildICmp(builder, LLVMIntNE, table, LLVMConstNull(cg->ptr), "");
    LLVMBuildCondBr(builder, has, tabled, indexed);
    cg_goto(cg, tabled);
    LLVMValueRef word = cg_key_word(cg, entry->args[0], key), none = LLVMConstNull(cg->i8);
    LLVMValueRef first = line_offset(cg, cg_slot_of(cg, dict, cg_hash(cg, entry->args[0], key)));
    LLVMValueRef vacant = cg_load_at(cg, cg->i64, dict, offsetof(Dict, vacant));
    LLVMValueRef mask = cg_load_at(cg, cg->i64, dict, offsetof(Dict, mask));
    mask = LLVMBuildMul(builder, mask, cg_i64(cg, sizeof(TableSlot)), "");
    LLVMBuildBr(builder, probe);
    cg_goto(cg, probe);
    LLVMValueRef offset = LLVMBuildPhi(builder, cg->i64, ""), at, equal;
    at = LLVMBuildInBoundsGEP2(builder, cg->i8, table, &offset, 1, "");
    LLVMValueRef words = LLVMBuildLoad2(builder, line, at, "");
    LLVMSetAlignment(words, sizeof(uint64_t));
    equal = equal_bits(cg, words, word);
    LLVMValueRef last = LLVMBuildExtractElement(builder, words, cg_i32(cg, WORDS - 2), "");
    LLVMValueRef full = LLVMBuildICmp(builder, LLVMIntNE, last, vacant, "");
    LLVMValueRef absent = LLVMBuildICmp(builder, LLVMIntEQ, equal, none, "");
    LLVMValueRef next = LLVMBuildAdd(builder, offset, cg_i64(cg, TABLE_LINE * sizeof(TableSlot)), "");
    next = LLVMBuildAnd(builder, next, mask, "");
    cg_likely(cg, LLVMBuildCondBr(builder, LLVMBuildAnd(builder, full, absent, ""), probe, after), false);
    LLVMAddIncoming(offset, &first, &tabled, 1);
    LLVMAddIncoming(offset, &next, &probe, 1);
    cg_goto(cg, after);
    LLVMValueRef some = LLVMBuildOr(builder, equal, LLVMConstInt(cg->i8, 1 << (WORDS - 2), false), "");
    LLVMValueRef args[2] = {LLVMBuildZExt(builder, some, cg->i32, ""), LLVMConstInt(cg->i1, 1, false)};
    LLVMValueRef which =
        LLVMBuildZExt(builder, cg_intrinsic(cg, "llvm.cttz", &cg->i32, 1, args, 2), cg->i64, "");
    *found = LLVMBuildAnd(builder, LLVMBuildNot(builder, absent, ""),
                          LLVMBuildICmp(builder, LLVMIntNE, word, vacant, ""), "");
    return cg_at(cg, LLVMBuildInBoundsGEP2(builder, cg->i64, at, &which, 1, ""), offsetof(TableSlot, value));
}
