/* cg_type.c: leaves, memory, checks and calls: the small pieces that all code generation is made of.
 *
 * A leaf list for {f64, vec[i64]} is (double, ptr, i64); cg_load reads it from memory at the offsets that the
 * type's C layout gives, cg_store writes it back. Checks branch to a cold block that reports the failure and
 * returns its code.
 */
#include "cg.h"

#include <string.h>

LLVMTypeRef cg_scalar_type(Cg *cg, const Type *type) {
    switch (type->kind) {
    case TY_bool: return cg->i1;
    case TY_f32: return cg->f32;
    case TY_f64: return cg->f64;
    case TY_i8:
    case TY_u8: return cg->i8;
    case TY_i16:
    case TY_u16: return cg->i16;
    case TY_i32:
    case TY_u32: return cg->i32;
    case TY_i64:
    case TY_u64: return cg->i64;
    case TY_simd: return LLVMVectorType(cg_scalar_type(cg, type->args[0]), WELD_LANES);
    default: return cg->ptr;
    }
}

bool type_is_flat(const Type *type) {
    if (type->kind != TY_struct) return type_is_scalar(type);
    for (int i = 0; i < type->count; i++) {
        if (!type_is_flat(type->args[i])) return false;
    }
    return true;
}

const Type *leaf_place(const Type *type, int leaf, int64_t *offset) {
    while (type->kind == TY_struct) {
        int field = 0;
        while (leaf >= leaf_count(type->args[field])) leaf -= leaf_count(type->args[field++]);
        if (offset) *offset += type->offsets[field];
        type = type->args[field];
    }
    return type;
}

bool cg_is_constant(LLVMValueRef value, int64_t number) {
    return LLVMIsAConstantInt(value) && LLVMConstIntGetSExtValue(value) == number;
}

int leaf_types(Cg *cg, const Type *type, LLVMTypeRef *out) {
    if (type->kind == TY_vec) {
        out[0] = cg->ptr;
        out[1] = cg->i64;
        return 2;
    }
    if (type->kind != TY_struct) {
        out[0] = cg_scalar_type(cg, type);
        return 1;
    }
    int count = 0;
    for (int i = 0; i < type->count; i++) count += leaf_types(cg, type->args[i], out + count);
    return count;
}

Leaf *cg_leaves(Cg *cg, const Type *type) {
    return arena_alloc(&cg->program->arena, sizeof(Leaf) * (size_t)(leaf_count(type) + 1));
}

LLVMValueRef cg_i64(Cg *cg, int64_t value) {
    return LLVMConstInt(cg->i64, (uint64_t)value, false);
}
LLVMValueRef cg_i32(Cg *cg, int32_t value) {
    return LLVMConstInt(cg->i32, (uint32_t)value, false);
}

LLVMValueRef cg_span(Cg *cg, const Node *node) {
    return cg_i64(cg, span_pack(node->span));
}

LLVMValueRef cg_at(Cg *cg, LLVMValueRef pointer, int64_t bytes) {
    if (bytes == 0) return pointer;
    LLVMValueRef index = cg_i64(cg, bytes);
    return LLVMBuildInBoundsGEP2(cg->builder, cg->i8, pointer, &index, 1, "");
}

LLVMValueRef cg_element(Cg *cg, const Type *type, LLVMValueRef data, LLVMValueRef index) {
    LLVMTypeRef unit = cg->i8;
    if (type_is_scalar(type) && type->kind != TY_bool)
        unit = cg_scalar_type(cg, type);
    else if (type->size != 1)
        unit = LLVMArrayType2(cg->i8, (uint64_t)type->size);
    return LLVMBuildInBoundsGEP2(cg->builder, unit, data, &index, 1, "");
}

LLVMValueRef cg_load_at(Cg *cg, LLVMTypeRef type, LLVMValueRef pointer, int64_t bytes) {
    return LLVMBuildLoad2(cg->builder, type, cg_at(cg, pointer, bytes), "");
}

void cg_store_at(Cg *cg, LLVMValueRef value, LLVMValueRef pointer, int64_t bytes) {
    LLVMBuildStore(cg->builder, value, cg_at(cg, pointer, bytes));
}

static void note(Cg *cg, LLVMValueRef instruction, const char *kind, LLVMValueRef scope) {
    if (scope)
        LLVMSetMetadata(instruction, LLVMGetMDKindIDInContext(cg->context, kind, (unsigned)strlen(kind)),
                        scope);
}

static LLVMTypeRef bytes_of_bool(Cg *cg, const Type *type) {
    return type->kind == TY_simd ? LLVMVectorType(cg->i8, WELD_LANES) : cg->i8;
}

static bool is_bool(const Type *type) {
    return type->kind == TY_bool || (type->kind == TY_simd && type->args[0]->kind == TY_bool);
}

static Leaf load_leaf(Cg *cg, const Type *type, LLVMTypeRef as, LLVMValueRef pointer, LLVMValueRef scope,
                      LLVMValueRef noalias) {
    LLVMTypeRef memory = is_bool(type) ? bytes_of_bool(cg, type) : as;
    LLVMValueRef value = LLVMBuildLoad2(cg->builder, memory, pointer, "");
    LLVMSetAlignment(value, type->kind == TY_simd ? (unsigned)type->args[0]->align : (unsigned)type->align);
    note(cg, value, "alias.scope", scope);
    note(cg, value, "noalias", noalias);
    if (cg->present) cg_mark_present(cg, value);
    if (!is_bool(type)) return value;
    return LLVMBuildICmp(cg->builder, LLVMIntNE, value, LLVMConstNull(memory), "");
}

/* Scalars of one type side by side, which one vector may hold. */
static bool has_neighbors(const Type *type) {
    for (int i = 1; i < type->count; i++) {
        if (type->args[i] == type->args[i - 1] && type_is_scalar(type->args[i])) return true;
    }
    return false;
}

static void load(Cg *cg, const Type *type, LLVMValueRef pointer, LLVMValueRef scope, LLVMValueRef noalias,
                 Leaf *out) {
    if (type->kind == TY_struct) {
        cg->neighbors |= has_neighbors(type);
        for (int i = 0; i < type->count; i++) {
            load(cg, type->args[i], cg_at(cg, pointer, type->offsets[i]), scope, noalias, out);
            out += leaf_count(type->args[i]);
        }
    } else if (type->kind == TY_vec) {
        out[0] = cg_load_at(cg, cg->ptr, pointer, 0);
        out[1] = cg_load_at(cg, cg->i64, pointer, 8);
        note(cg, out[0], "alias.scope", scope);
        note(cg, out[1], "alias.scope", scope);
    } else {
        out[0] = load_leaf(cg, type, cg_scalar_type(cg, type), pointer, scope, noalias);
    }
}

void cg_load(Cg *cg, const Type *type, LLVMValueRef pointer, LLVMValueRef scope, Leaf *out) {
    load(cg, type, pointer, scope, NULL, out);
}

void cg_load_merged(Cg *cg, const Type *type, LLVMValueRef pointer, Leaf *out) {
    load(cg, type, pointer, NULL, cg->fn->scope, out);
}

Leaf *cg_load_new(Cg *cg, const Type *type, LLVMValueRef pointer) {
    Leaf *leaves = cg_leaves(cg, type);
    cg_load(cg, type, pointer, NULL, leaves);
    return leaves;
}

void cg_store(Cg *cg, const Type *type, const Leaf *leaves, LLVMValueRef pointer, LLVMValueRef noalias) {
    if (type->kind == TY_struct) {
        cg->neighbors |= has_neighbors(type);
        for (int i = 0; i < type->count; i++) {
            cg_store(cg, type->args[i], leaves, cg_at(cg, pointer, type->offsets[i]), noalias);
            leaves += leaf_count(type->args[i]);
        }
    } else if (type->kind == TY_vec) {
        note(cg, LLVMBuildStore(cg->builder, leaves[0], pointer), "noalias", noalias);
        note(cg, LLVMBuildStore(cg->builder, leaves[1], cg_at(cg, pointer, 8)), "noalias", noalias);
    } else {
        LLVMValueRef value = leaves[0];
        if (is_bool(type)) value = LLVMBuildZExt(cg->builder, value, bytes_of_bool(cg, type), "");
        LLVMValueRef store = LLVMBuildStore(cg->builder, value, pointer);
        LLVMSetAlignment(store,
                         type->kind == TY_simd ? (unsigned)type->args[0]->align : (unsigned)type->align);
        note(cg, store, "noalias", noalias);
    }
}

/* A scalar anywhere. */
Leaf cg_load_packed(Cg *cg, const Type *type, LLVMValueRef pointer) {
    Leaf leaf = load_leaf(cg, type, cg_scalar_type(cg, type), pointer, NULL, NULL);
    LLVMSetAlignment(type->kind == TY_bool ? LLVMGetOperand(leaf, 0) : leaf, 1);
    return leaf;
}

void cg_store_packed(Cg *cg, const Type *type, Leaf leaf, LLVMValueRef pointer, LLVMValueRef noalias) {
    if (is_bool(type)) leaf = LLVMBuildZExt(cg->builder, leaf, cg->i8, "");
    LLVMValueRef store = LLVMBuildStore(cg->builder, leaf, pointer);
    LLVMSetAlignment(store, 1);
    note(cg, store, "noalias", noalias);
}

LLVMValueRef cg_slot(Cg *cg, int64_t bytes, int64_t align) {
    LLVMPositionBuilderAtEnd(cg->allocas, cg->fn->entry);
    LLVMValueRef slot =
        LLVMBuildAlloca(cg->allocas, LLVMArrayType2(cg->i8, (uint64_t)(bytes ? bytes : 1)), "");
    LLVMSetAlignment(slot, (unsigned)(align < 8 ? 8 : align));
    return slot;
}

LLVMValueRef cg_spill(Cg *cg, const Type *type, const Leaf *leaves) {
    LLVMValueRef slot = cg_slot(cg, type->size, type->align);
    cg_store(cg, type, leaves, slot, NULL);
    return slot;
}

LLVMBasicBlockRef cg_block(Cg *cg, const char *name) {
    return LLVMAppendBasicBlockInContext(cg->context, cg->fn->function, name);
}

void cg_goto(Cg *cg, LLVMBasicBlockRef block) {
    LLVMPositionBuilderAtEnd(cg->builder, block);
}

LLVMValueRef cg_intrinsic(Cg *cg, const char *name, LLVMTypeRef *overloads, int noverloads,
                          LLVMValueRef *args, int count) {
    unsigned id = LLVMLookupIntrinsicID(name, strlen(name));
    LLVMTypeRef type = LLVMIntrinsicGetType(cg->context, id, overloads, (size_t)noverloads);
    LLVMValueRef function = LLVMGetIntrinsicDeclaration(cg->module, id, overloads, (size_t)noverloads);
    return LLVMBuildCall2(cg->builder, type, function, args, (unsigned)count, "");
}

void cg_likely(Cg *cg, LLVMValueRef branch, bool first) {
    LLVMMetadataRef name = LLVMMDStringInContext2(cg->context, "branch_weights", 14);
    LLVMMetadataRef parts[3] = {name, LLVMValueAsMetadata(cg_i32(cg, first ? 100000 : 1)),
                                LLVMValueAsMetadata(cg_i32(cg, first ? 1 : 100000))};
    note(cg, branch, "prof", LLVMMetadataAsValue(cg->context, LLVMMDNodeInContext2(cg->context, parts, 3)));
}

void cg_unpredictable(Cg *cg, LLVMValueRef select) {
    note(cg, select, "unpredictable",
         LLVMMetadataAsValue(cg->context, LLVMMDNodeInContext2(cg->context, NULL, 0)));
}

void cg_check(Cg *cg, LLVMValueRef ok, ErrorCode code, const Node *node, LLVMValueRef a, LLVMValueRef b) {
    LLVMBasicBlockRef good = cg_block(cg, ""), bad = cg_block(cg, "fail");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, ok, good, bad), true);
    cg_goto(cg, bad);
    LLVMValueRef zero = cg_i64(cg, 0);
    LLVMBuildRet(cg->builder, cg_call(cg, RT_fail, cg->fn->worker, cg_i32(cg, code), cg_span(cg, node),
                                      a ? a : zero, b ? b : zero));
    cg_goto(cg, good);
}

void cg_check_told(Cg *cg, LLVMValueRef ok, const Node *node, LLVMValueRef text, LLVMValueRef *numbers) {
    LLVMBasicBlockRef good = cg_block(cg, ""), bad = cg_block(cg, "fail");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, ok, good, bad), true);
    cg_goto(cg, bad);
    LLVMBuildRet(cg->builder, cg_call(cg, RT_fail_assert, cg->fn->worker, cg_span(cg, node), text,
                                      cg_i64(cg, (int64_t)node->bits), numbers[0], numbers[1], numbers[2]));
    cg_goto(cg, good);
}

void cg_try(Cg *cg, LLVMValueRef status) {
    LLVMBasicBlockRef good = cg_block(cg, ""), bad = cg_block(cg, "fail");
    LLVMValueRef ok = LLVMBuildICmp(cg->builder, LLVMIntEQ, status, cg_i32(cg, 0), "");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, ok, good, bad), true);
    cg_goto(cg, bad);
    LLVMBuildRet(cg->builder, status);
    cg_goto(cg, good);
}

LLVMValueRef cg_try_pointer(Cg *cg, LLVMValueRef pointer) {
    LLVMBasicBlockRef good = cg_block(cg, ""), bad = cg_block(cg, "fail");
    LLVMValueRef ok = LLVMBuildICmp(cg->builder, LLVMIntNE, pointer, LLVMConstNull(cg->ptr), "");
    cg_likely(cg, LLVMBuildCondBr(cg->builder, ok, good, bad), true);
    cg_goto(cg, bad);
    LLVMBuildRet(cg->builder, cg_call(cg, RT_error, cg->fn->worker));
    cg_goto(cg, good);
    return pointer;
}

static const struct RtRow {
    const char *name, *result, *arguments;
} rt_rows[RT_COUNT] = {
#define RTCALL(id, result, arguments, doc) {"rt_" #id, #result, #arguments},
#include "../rtcalls.def"
};

static LLVMTypeRef letter_type(Cg *cg, char letter) {
    return letter == 'P' ? cg->ptr : letter == 'I' ? cg->i32 : letter == 'L' ? cg->i64 : cg->none;
}

LLVMValueRef cg_call(Cg *cg, RtCall call, ...) {
    enum { MOST = 9 };
    const struct RtRow *row = &rt_rows[call];
    LLVMTypeRef params[MOST];
    LLVMValueRef args[MOST];
    unsigned count = 0;
    va_list list;
    va_start(list, call);
    /* "(P worker, I code)": a parameter starts after the bracket and after each comma. */
    for (const char *at = row->arguments; at && count < MOST; at = strchr(at + 1, ',')) {
        params[count] = letter_type(cg, at[*at == ',' ? 2 : 1]);
        args[count++] = va_arg(list, LLVMValueRef);
    }
    va_end(list);
    LLVMTypeRef type = LLVMFunctionType(letter_type(cg, row->result[0]), params, count, false);
    return LLVMBuildCall2(cg->builder, type, cg_foreign(cg, row->name, type), args, count, "");
}

LLVMValueRef cg_foreign(Cg *cg, const char *name, LLVMTypeRef type) {
    LLVMValueRef function = LLVMGetNamedFunction(cg->module, name);
    if (function) return function;
    function = LLVMAddFunction(cg->module, name, type);
    unsigned nounwind = LLVMGetEnumAttributeKindForName("nounwind", 8);
    LLVMAddAttributeAtIndex(function, (LLVMAttributeIndex)LLVMAttributeFunctionIndex,
                            LLVMCreateEnumAttribute(cg->context, nounwind, 0));
    return function;
}

void cg_keep(Cg *cg, LLVMValueRef function) {
    for (int i = 0; i < cg->nkept; i++) {
        if (cg->kept[i] == function) return;
    }
    if (cg->nkept < MATH_KEPT) cg->kept[cg->nkept++] = function;
}

/* The module refers to its table of types by a symbol, never by address, so that code can be kept on disk. */
LLVMValueRef cg_type_pointer(Cg *cg, const Type *type) {
    int at = 0;
    while (at < cg->ntypes && cg->types[at] != type) at++;
    if (at == cg->ntypes) {
        if (cg->ntypes == cg->types_capacity) {
            cg->types_capacity = cg->types_capacity ? cg->types_capacity * 2 : 16;
            const Type **types = arena_alloc(&cg->program->arena, sizeof *types * (size_t)cg->types_capacity);
            if (types && cg->ntypes) memcpy(types, cg->types, sizeof *types * (size_t)cg->ntypes);
            if (types) cg->types = types;
        }
        cg->types[cg->ntypes++] = type;
    }
    LLVMValueRef pointer = cg_load_at(cg, cg->ptr, cg->type_table, at * (int64_t)sizeof(Type *));
    note(cg, pointer, "invariant.load",
         LLVMMetadataAsValue(cg->context, LLVMMDNodeInContext2(cg->context, NULL, 0)));
    return pointer;
}
