/* cg_unmask.c: elements that a loop reads under a condition, without the mask.
 *
 *     for(zip(a, b), merger[f64, +], |s, i, e| if(e.$0 < bound, merge(s, e.$1), s))
 *
 * LLVM does not know that b has an element for every iteration, and loads only lanes whose condition holds:
 *
 *     %x = call <8 x double> @llvm.masked.load(ptr %b, i32 8, <8 x i1> %c, <8 x double> poison)
 *
 * becomes
 *
 *     %x = load <8 x double>, ptr %b, align 8
 *
 * A load under a mask waits for the mask, which waits for other loads, and does not make the processor fetch ahead what comes
 * next: a loop over columns in memory took up to twice the time. Of a line of 8 elements none is wanted only where
 * conditions are rarely met.
 *
 * With AVX-512 the same comes back where an instruction takes its operand from memory and works under a mask: a comparison that
 * is one of several conditions, a sum of what counts. There what a load
 * gives goes through text of assembly, empty, which LLVM does not look into.
 *
 * Requires: a mask is all that a lane can lack. So loads are marked where the loop's range says that each iteration has an
 * element, and where LLVM makes no lanes beyond the range: in loops that are functions of their own, whose number of
 * iterations it does not know. The mark is a group of accesses (llvm.access.group), which the vectorizer hands on and nobody else
 * asks for. This comes behind LLVM's own passes.
 */
#include "cg.h"

#include <string.h>

static const char kind[] = "llvm.access.group";

static unsigned kind_id(const Cg *cg) {
    return LLVMGetMDKindIDInContext(cg->context, kind, (unsigned)strlen(kind));
}

void cg_mark_present(Cg *cg, LLVMValueRef load) {
    LLVMMetadataRef group = LLVMMDNodeInContext2(cg->context, NULL, 0);
    LLVMSetMetadata(load, kind_id(cg), LLVMMetadataAsValue(cg->context, group));
}

static void unmask(Cg *cg, LLVMValueRef call) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef mask = LLVMGetOperand(call, 2), other = LLVMGetOperand(call, 3);
    LLVMPositionBuilderBefore(builder, call);
    LLVMValueRef whole = LLVMBuildLoad2(builder, LLVMTypeOf(call), LLVMGetOperand(call, 0), "");
    LLVMSetAlignment(whole, (unsigned)LLVMConstIntGetZExtValue(LLVMGetOperand(call, 1)));
    if (!LLVMIsUndef(other)) whole = LLVMBuildSelect(builder, mask, whole, other, "");
    LLVMReplaceAllUsesWith(call, whole);
    LLVMInstructionEraseFromParent(call);
}

static LLVMValueRef only_user(LLVMValueRef value) {
    LLVMUseRef use = LLVMGetFirstUse(value);
    return use && !LLVMGetNextUse(use) ? LLVMGetUser(use) : NULL;
}

static bool is_register(const Cg *cg, LLVMTypeRef type) {
    if (LLVMGetTypeKind(type) != LLVMVectorTypeKind) return false;
    unsigned long long bits = LLVMSizeOfTypeInBits(LLVMGetModuleDataLayout(cg->module), type);
    return bits == 128 || bits == 256 || bits == 512;
}

/* Would it be the operand of an instruction under a mask? */
static bool meets_mask(Cg *cg, LLVMValueRef load) {
    LLVMValueRef user = only_user(load), next = user ? only_user(user) : NULL;
    if (!next || !is_register(cg, LLVMTypeOf(load))) return false;
    bool compares = LLVMIsAFCmpInst(user) || LLVMIsAICmpInst(user);
    return LLVMIsASelectInst(next) || (compares && LLVMGetInstructionOpcode(next) == LLVMAnd);
}

/* Text of no instructions, which takes and gives a register. */
static LLVMValueRef through_register(Cg *cg, LLVMValueRef value) {
    static const char constraints[] = "=v,0";
    LLVMTypeRef type = LLVMTypeOf(value), function = LLVMFunctionType(type, &type, 1, false);
    LLVMValueRef text = LLVMGetInlineAsm(function, "", 0, constraints, strlen(constraints), false, false,
                                         LLVMInlineAsmDialectATT, false);
    return LLVMBuildCall2(cg->builder, function, text, &value, 1, "");
}

static void keep_apart(Cg *cg, LLVMValueRef load) {
    LLVMValueRef user = only_user(load);
    LLVMPositionBuilderBefore(cg->builder, LLVMGetNextInstruction(load));
    LLVMValueRef apart = through_register(cg, load);
    for (int i = 0; i < LLVMGetNumOperands(user); i++)
        if (LLVMGetOperand(user, (unsigned)i) == load) LLVMSetOperand(user, (unsigned)i, apart);
}

static void keep_loads_apart(Cg *cg, LLVMValueRef function) {
    for (LLVMBasicBlockRef b = LLVMGetFirstBasicBlock(function); b; b = LLVMGetNextBasicBlock(b)) {
        for (LLVMValueRef next, i = LLVMGetFirstInstruction(b); i; i = next) {
            next = LLVMGetNextInstruction(i);
            if (LLVMIsALoadInst(i) && meets_mask(cg, i)) keep_apart(cg, i);
        }
    }
}

void cg_unmask_loads(Cg *cg) {
    unsigned load = LLVMLookupIntrinsicID("llvm.masked.load", strlen("llvm.masked.load"));
    for (LLVMValueRef next, f = LLVMGetFirstFunction(cg->module); f; f = next) {
        next = LLVMGetNextFunction(f);
        if (LLVMGetIntrinsicID(f) != load) continue;
        for (LLVMUseRef after, use = LLVMGetFirstUse(f); use; use = after) {
            after = LLVMGetNextUse(use);
            LLVMValueRef call = LLVMGetUser(use);
            if (LLVMIsACallInst(call) && LLVMGetMetadata(call, kind_id(cg))) unmask(cg, call);
        }
        if (!LLVMGetFirstUse(f)) LLVMDeleteFunction(f);
    }
    for (LLVMValueRef f = LLVMGetFirstFunction(cg->module); cg->masks && f; f = LLVMGetNextFunction(f))
        keep_loads_apart(cg, f);
}
