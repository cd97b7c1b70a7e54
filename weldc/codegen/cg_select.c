/* cg_select.c: choices between two floats, in registers of words.
 *
 * Before AVX-512 a scalar float can be chosen without a branch only by a comparison of floats of its size. LLVM makes a
 * branch of any other choice, which where nobody can foresee the condition, such as whether a key is there, costs more
 * than all else that an iteration does. A word can be chosen by anything:
 *
 *     %r = select i1 %found, double %x, double %y        %i = bitcast double %x to i64
 *                                                        %j = bitcast double %y to i64
 *                                                        %s = select i1 %found, i64 %i, i64 %j
 *                                                        %r = bitcast i64 %s to double
 *
 * That choice is marked as one that nobody foresees, or LLVM would still make a branch of it where a word comes from memory.
 *
 * This comes behind LLVM's own passes, which would turn it back and have by then made vectors where they can.
 */
#include "cg.h"

/* The word as wide as a float, or NULL: it is none. */
static LLVMTypeRef word_of(const Cg *cg, LLVMTypeRef type) {
    return type == cg->f64 ? cg->i64 : type == cg->f32 ? cg->i32 : NULL;
}

static bool compares(LLVMValueRef condition, LLVMTypeRef type) {
    return LLVMIsAFCmpInst(condition) && LLVMTypeOf(LLVMGetOperand(condition, 0)) == type;
}

static void choose_word(Cg *cg, LLVMValueRef select, LLVMTypeRef word) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef condition = LLVMGetOperand(select, 0);
    LLVMPositionBuilderBefore(builder, select);
    LLVMValueRef some = LLVMBuildBitCast(builder, LLVMGetOperand(select, 1), word, "");
    LLVMValueRef other = LLVMBuildBitCast(builder, LLVMGetOperand(select, 2), word, "");
    LLVMValueRef chosen = LLVMBuildSelect(builder, condition, some, other, "");
    if (LLVMIsAInstruction(chosen)) cg_unpredictable(cg, chosen);
    LLVMReplaceAllUsesWith(select, LLVMBuildBitCast(builder, chosen, LLVMTypeOf(select), ""));
    LLVMInstructionEraseFromParent(select);
}

void cg_select_words(Cg *cg) {
    if (cg->wide) return;
    for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); f; f = LLVMGetNextFunction(f)) {
        for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(f); b; b = LLVMGetNextBasicBlock(b)) {
            for (LLVMValueRef next, i = LLVMGetFirstInstruction(b); i; i = next) {
                next = LLVMGetNextInstruction(i);
                LLVMTypeRef type = LLVMIsASelectInst(i) ? LLVMTypeOf(i) : NULL, word = word_of(cg, type);
                if (word && !compares(LLVMGetOperand(i, 0), type)) choose_word(cg, i, word);
            }
        }
    }
}
