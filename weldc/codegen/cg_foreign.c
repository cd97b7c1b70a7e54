/* cg_foreign.c: calls of C functions: cudf by pointers, cfun by value, cfill into memory of the run.
 *
 * In the object a function is the symbol "cudf NAME", so that a foreign `exp` is not taken for the operator's. Scalars
 * are passed as C does on this machine: what is narrower than an int is extended by the caller, and by who returns
 * it. A function that is @(pure: true) is known to LLVM as one, so that it may be moved out of loops.
 */
#include "cg.h"

#include <string.h>

static LLVMValueRef function_of(Cg *cg, const Node *node, LLVMTypeRef type) {
    char *symbol = arena_alloc(&cg->program->arena, strlen(node->text) + sizeof FOREIGN_PREFIX);
    if (!symbol) return LLVMConstNull(cg->ptr);
    strcpy(symbol, FOREIGN_PREFIX);
    strcat(symbol, node->text);
    return cg_foreign(cg, symbol, type);
}

/* The arguments as pointers to them, from kid `from` on; room for one more behind them. */
static LLVMValueRef *spill_arguments(Cg *cg, const Node *node, int from) {
    LLVMValueRef *args = arena_alloc(&cg->program->arena, sizeof *args * ((size_t)node->count + 1));
    for (int i = from; args && i < node->count; i++)
        args[i - from] = cg_spill(cg, node->kids[i]->type, cg_expr(cg, node->kids[i]));
    return args;
}

static LLVMTypeRef pointers_function(Cg *cg, LLVMTypeRef result, int count) {
    LLVMTypeRef *params = arena_alloc(&cg->program->arena, sizeof *params * ((size_t)count + 1));
    for (int i = 0; params && i < count; i++) params[i] = cg->ptr;
    return LLVMFunctionType(result, params, (unsigned)count, false);
}

/* A function that leaves its result alone gives zeros, not what the frame held. */
static Leaf *call_by_pointers(Cg *cg, const Node *node) {
    LLVMValueRef *args = spill_arguments(cg, node, 0), out = cg_slot(cg, node->type->size, node->type->align);
    LLVMTypeRef type = pointers_function(cg, cg->none, node->count + 1);
    LLVMBuildMemSet(cg->builder, out, LLVMConstNull(cg->i8), cg_i64(cg, node->type->size), 8);
    args[node->count] = out;
    LLVMBuildCall2(cg->builder, type, function_of(cg, node, type), args, (unsigned)node->count + 1, "");
    return cg_load_new(cg, node->type, out);
}

static LLVMTypeRef passed_as(Cg *cg, const Type *type) {
    return type->kind == TY_bool ? cg->i8 : cg_scalar_type(cg, type);
}

/* at: 0 the result, i + 1 an argument. */
static void extend(Cg *cg, LLVMValueRef call, unsigned at, const Type *type) {
    if (type_is_float(type) || type->size >= 4) return;
    const char *name = type_is_signed(type) ? "signext" : "zeroext";
    unsigned kind = LLVMGetEnumAttributeKindForName(name, strlen(name));
    LLVMAddCallSiteAttribute(call, at, LLVMCreateEnumAttribute(cg->context, kind, 0));
}

static void call_is_pure(Cg *cg, LLVMValueRef call) {
    static const char *const names[] = {"memory", "willreturn"}; /* memory 0: none */
    for (int i = 0; i < 2; i++) {
        unsigned kind = LLVMGetEnumAttributeKindForName(names[i], strlen(names[i]));
        LLVMAddCallSiteAttribute(call, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                                 LLVMCreateEnumAttribute(cg->context, kind, 0));
    }
}

static Leaf *call_by_value(Cg *cg, const Node *node) {
    bool callback = node_is_callback(node);
    Node *const *kids = callback ? node->kids + 1 : node->kids;
    size_t count = (size_t)node->count - callback;
    LLVMTypeRef *params = arena_alloc(&cg->program->arena, sizeof *params * (count + 1));
    LLVMValueRef *args = arena_alloc(&cg->program->arena, sizeof *args * (count + 1)), function;
    Leaf *leaves = cg_leaves(cg, node->type);
    for (size_t i = 0; i < count; i++) {
        const Type *type = kids[i]->type;
        params[i] = passed_as(cg, type);
        args[i] = cg_one(cg, kids[i]);
        if (type->kind == TY_bool) args[i] = LLVMBuildZExt(cg->builder, args[i], cg->i8, "");
    }
    LLVMTypeRef type = LLVMFunctionType(passed_as(cg, node->type), params, (unsigned)count, false);
    function = callback ? LLVMBuildIntToPtr(cg->builder, cg_one(cg, node->kids[0]), cg->ptr, "")
                        : function_of(cg, node, type);
    LLVMValueRef call = LLVMBuildCall2(cg->builder, type, function, args, (unsigned)count, "");
    extend(cg, call, 0, node->type);
    for (size_t i = 0; i < count; i++) extend(cg, call, (unsigned)i + 1, kids[i]->type);
    if (node_has_note(node, "pure")) call_is_pure(cg, call);
    leaves[0] = call;
    if (node->type->kind == TY_bool)
        leaves[0] = LLVMBuildICmp(cg->builder, LLVMIntNE, call, LLVMConstNull(cg->i8), "");
    return leaves;
}

static Leaf *call_to_fill(Cg *cg, const Node *node) {
    const Node *size = node->kids[0];
    LLVMValueRef sizes = cg_spill(cg, size->type, cg_expr(cg, size)), *args = spill_arguments(cg, node, 1);
    LLVMValueRef out = cg_slot(cg, node->type->size, node->type->align > 8 ? node->type->align : 8);
    LLVMValueRef shape = cg_type_pointer(cg, node->type), span = cg_span(cg, node);
    LLVMValueRef made = cg_slot(cg, node->type->size, 8);
    cg_try(cg, cg_call(cg, RT_fill_prepare, cg->fn->worker, shape, sizes, out, span));
    LLVMBuildMemCpy(cg->builder, made, 8, out, 8, cg_i64(cg, node->type->size));
    args[node->count - 1] = out;
    LLVMTypeRef type = pointers_function(cg, cg->i32, node->count);
    LLVMValueRef status =
        LLVMBuildCall2(cg->builder, type, function_of(cg, node, type), args, (unsigned)node->count, "");
    cg_try(cg, cg_call(cg, RT_fill_finish, cg->fn->worker, shape, made, out, status, span));
    return cg_load_new(cg, node->type, out);
}

Leaf *cg_foreign_call(Cg *cg, const Node *node) {
    switch (node->kind) {
    case N_Cfun: return call_by_value(cg, node);
    case N_Cfill: return call_to_fill(cg, node);
    default: return call_by_pointers(cg, node);
    }
}
