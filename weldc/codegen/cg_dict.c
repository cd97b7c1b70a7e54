/* cg_dict.c: probing dictionaries, for lookups and for the builders that make them.
 *
 * Keys made of scalars are hashed, probed and compared by code in the loop, specialized to their type, on the
 * layout of Dict in lang.h:
 *
 *     slot = hash >> shift & mask
 *     probe: word = index[slot];  0: not there.  same tag and equal key: found.  else slot = (slot + 1) &
 * mask, probe
 *
 * Only a new key and keys that hold vectors go through the runtime.
 */
#include "cg.h"

#include <stddef.h>

/* ---- what is only probed ---- */

/* Of a node that only probes a dictionary: its name, or NULL. */
static const Node *probed_name(const Node *node) {
    const Node *dict = NULL;
    if (node->kind == N_OptLookup || node->kind == N_KeyExists || node->kind == N_Lookup)
        dict = node->kids[0];
    if (node->kind == N_Len && node->kids[0]->kind == N_ToVec) dict = node->kids[0]->kids[0];
    return dict && dict->kind == N_Ident && dict->type->kind == TY_dict ? dict : NULL;
}

static void count_probes(Walk *walk, Node **slot) {
    int *others = walk->data;
    const Node *name = probed_name(*slot);
    if (name) others[name->symbol->id]--;
    if ((*slot)->kind == N_Ident) others[(*slot)->symbol->id]++;
}

bool cg_probes_open(Cg *cg) {
    cg->other_uses =
        arena_alloc(&cg->program->arena, sizeof *cg->other_uses * (size_t)(cg->program->symbols + 1));
    if (!cg->other_uses) return error_set(cg->error, E_OutOfMemory, (Span){0}, "out of memory");
    Walk walk = {cg->program, NULL, count_probes, cg->other_uses};
    node_walk(&walk, &cg->program->root);
    return true;
}

bool cg_is_probed(const Cg *cg, const Node *result) {
    return cg->let && cg->let->kids[0] == result && cg->other_uses[cg->let->symbol->id] == 0;
}

/* ---- probing ---- */

static const Type *entry_type(Cg *cg, const Type *type) {
    return dict_entry_type(&cg->program->types, type);
}

LLVMValueRef cg_slot_of(Cg *cg, LLVMValueRef dict, LLVMValueRef hash) {
    LLVMValueRef shift = cg_load_at(cg, cg->i64, dict, offsetof(Dict, shift));
    LLVMValueRef mask = cg_load_at(cg, cg->i64, dict, offsetof(Dict, mask));
    return LLVMBuildAnd(cg->builder, LLVMBuildLShr(cg->builder, hash, shift, ""), mask, "");
}

Probe cg_dict_probe(Cg *cg, const Type *entry, LLVMValueRef dict, const Leaf *key, const Node *node) {
    LLVMBuilderRef builder = cg->builder;
    const Type *type = entry->args[0];
    Probe p = {
        .hash = cg_hash(cg, type, key), .found = cg_block(cg, "found"), .missing = cg_block(cg, "missing")};
    LLVMBasicBlockRef loop = cg_block(cg, "probe"), tagged = cg_block(cg, ""), compare = cg_block(cg, "");
    LLVMBasicBlockRef next = cg_block(cg, "");
    LLVMValueRef mask = cg_load_at(cg, cg->i64, dict, offsetof(Dict, mask));
    LLVMValueRef index = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, index));
    LLVMValueRef entries = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, entries));
    LLVMValueRef first = cg_prefetched_slot(cg, node, dict, p.hash), zero = cg_i64(cg, 0);
    LLVMValueRef tag = LLVMBuildShl(builder, p.hash, cg_i64(cg, 32), "");
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, loop);
    cg_goto(cg, loop);
    LLVMValueRef slot = p.slot = LLVMBuildPhi(builder, cg->i64, "");
    LLVMValueRef at = LLVMBuildInBoundsGEP2(builder, cg->i64, index, &slot, 1, "");
    LLVMValueRef word = LLVMBuildLoad2(builder, cg->i64, at, "");
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntEQ, word, zero, ""), p.missing, tagged);
    cg_goto(cg, tagged);
    LLVMValueRef differ = LLVMBuildLShr(builder, LLVMBuildXor(builder, word, tag, ""), cg_i64(cg, 32), "");
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntEQ, differ, zero, ""), compare, next);
    cg_goto(cg, compare);
    LLVMValueRef number = LLVMBuildAnd(builder, word, cg_i64(cg, UINT32_MAX), "");
    number = LLVMBuildSub(builder, number, cg_i64(cg, 1), "");
    LLVMValueRef there = cg_element(cg, entry, entries, number);
    Leaf *held = cg_leaves(cg, type);
    cg_load(cg, type, there, NULL, held);
    p.value = cg_at(cg, there, entry->offsets[1]);
    LLVMBuildCondBr(builder, cg_key_equal(cg, type, held, key), p.found, next);
    cg_goto(cg, next);
    LLVMValueRef step = LLVMBuildAnd(builder, LLVMBuildAdd(builder, slot, cg_i64(cg, 1), ""), mask, "");
    LLVMBuildBr(builder, loop);
    LLVMAddIncoming(slot, &first, &before, 1);
    LLVMAddIncoming(slot, &step, &next, 1);
    cg_goto(cg, p.found);
    return p;
}

static LLVMValueRef index_value(Cg *cg, const Type *entry, Leaf pointer, const Leaf *key, const Node *node) {
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef some = cg_block(cg, ""), after = cg_block(cg, ""), before = LLVMGetInsertBlock(builder);
    LLVMValueRef null = LLVMConstNull(cg->ptr);
    LLVMValueRef is = LLVMBuildICmp(builder, LLVMIntNE, pointer, null, "");
    cg_likely(cg, LLVMBuildCondBr(builder, is, some, after), true);
    cg_goto(cg, some);
    Probe p = cg_dict_probe(cg, entry, pointer, key, node);
    LLVMBuildBr(builder, after);
    cg_goto(cg, p.missing);
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    LLVMValueRef value = LLVMBuildPhi(builder, cg->ptr, "");
    LLVMValueRef values[3] = {null, p.value, null};
    LLVMBasicBlockRef blocks[3] = {before, p.found, p.missing};
    LLVMAddIncoming(value, values, blocks, 3);
    return value;
}

LLVMValueRef cg_dict_value(Cg *cg, const Type *dict, Leaf pointer, const Leaf *key, const Node *node) {
    const Type *entry = entry_type(cg, dict);
    LLVMBuilderRef builder = cg->builder;
    if (!type_is_flat(dict->args[0])) {
        return cg_call(cg, RT_dict_find, pointer, cg_type_pointer(cg, entry),
                       cg_spill(cg, dict->args[0], key));
    }
    if (!table_fits(entry)) return index_value(cg, entry, pointer, key, node);
    LLVMBasicBlockRef indexed = cg_block(cg, "indexed"), after = cg_block(cg, ""), blocks[2];
    LLVMValueRef found, values[2];
    values[0] = cg_table_probe(cg, entry, pointer, key, indexed, &found);
    values[0] = LLVMBuildSelect(builder, found, values[0], LLVMConstNull(cg->ptr), "");
    blocks[0] = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, after);
    cg_goto(cg, indexed);
    values[1] = index_value(cg, entry, pointer, key, node);
    blocks[1] = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    LLVMValueRef value = LLVMBuildPhi(builder, cg->ptr, "");
    LLVMAddIncoming(value, values, blocks, 2);
    return value;
}

/* The key is new: its value is what is merged. */
static void insert(Cg *cg, const Type *entry, LLVMValueRef dict, LLVMValueRef hash, const Dealt *dealt,
                   const Leaf *pair, const Node *node) {
    const Type *key = entry->args[0];
    LLVMValueRef type = cg_type_pointer(cg, entry), spilled = cg_spill(cg, key, pair), at;
    if (dealt)
        at = cg_call(cg, RT_dict_deal_add, cg->fn->worker, dict, type, spilled, hash,
                     cg_type_pointer(cg, dealt->entry), dealt->drain, cg_i64(cg, dealt->record),
                     cg_span(cg, node));
    else
        at = cg_call(cg, RT_dict_add, cg->fn->worker, dict, type, spilled, hash, cg_span(cg, node));
    cg_store(cg, entry->args[1], pair + leaf_count(key), cg_try_pointer(cg, at), NULL);
}

void cg_dict_direct(Cg *cg, const Type *builder, LLVMValueRef state, LLVMValueRef count) {
    int width = key_width(builder->args[0]);
    if (builder->kind != TY_dictmerger || width == 0 || cg->fn->ndirect == ROOMY) return;
    LLVMValueRef dict = cg_load_at(cg, cg->ptr, state, 0),
                 entry = cg_type_pointer(cg, entry_type(cg, builder));
    LLVMValueRef table = cg_call(cg, RT_dict_direct, cg->fn->worker, dict, entry, count);
    cg->fn->direct[cg->fn->ndirect].state = state;
    cg->fn->direct[cg->fn->ndirect++].table = table;
}

LLVMValueRef cg_direct_table(const Cg *cg, LLVMValueRef state) {
    for (int i = 0; i < cg->fn->ndirect; i++) {
        if (cg->fn->direct[i].state == state) return cg->fn->direct[i].table;
    }
    return NULL;
}

/* Where the loop has a direct table, a key that is there is found in one load; all else is probed. */
static void try_direct(Cg *cg, const Type *builder, LLVMValueRef state, const Leaf *pair,
                       LLVMBasicBlockRef after) {
    LLVMBuilderRef build = cg->builder;
    const Type *entry = entry_type(cg, builder);
    LLVMValueRef table = cg_direct_table(cg, state);
    if (!table) return;
    LLVMBasicBlockRef look = cg_block(cg, "direct"), there = cg_block(cg, ""), probing = cg_block(cg, "");
    LLVMValueRef has = LLVMBuildICmp(build, LLVMIntNE, table, LLVMConstNull(cg->ptr), "");
    cg_likely(cg, LLVMBuildCondBr(build, has, look, probing), true);
    cg_goto(cg, look);
    LLVMValueRef word = cg_key_word(cg, entry->args[0], pair);
    if (key_width(entry->args[0]) > DIRECT_BITS) {
        LLVMBasicBlockRef small = cg_block(cg, "");
        LLVMValueRef is_small = LLVMBuildICmp(build, LLVMIntULT, word, cg_i64(cg, 1 << DIRECT_BITS), "");
        LLVMBuildCondBr(build, is_small, small, probing);
        cg_goto(cg, small);
    }
    LLVMValueRef at = LLVMBuildInBoundsGEP2(build, cg->i32, table, &word, 1, "");
    LLVMValueRef number = LLVMBuildZExt(build, LLVMBuildLoad2(build, cg->i32, at, ""), cg->i64, "");
    LLVMValueRef found = LLVMBuildICmp(build, LLVMIntNE, number, cg_i64(cg, 0), "");
    cg_likely(cg, LLVMBuildCondBr(build, found, there, probing), true);
    cg_goto(cg, there);
    LLVMValueRef entries =
        cg_load_at(cg, cg->ptr, cg_load_at(cg, cg->ptr, state, 0), offsetof(Dict, entries));
    LLVMValueRef place = cg_element(cg, entry, entries, LLVMBuildSub(build, number, cg_i64(cg, 1), ""));
    cg_combine_at(cg, builder->args[1], builder->op, cg_at(cg, place, entry->offsets[1]),
                  pair + leaf_count(entry->args[0]));
    LLVMBuildBr(build, after);
    cg_goto(cg, probing);
}

static void group_merge_call(Cg *cg, const Type *builder, LLVMValueRef dict, const Leaf *pair,
                             const Node *node) {
    const Type *entry = entry_type(cg, builder), *key = entry->args[0];
    LLVMValueRef value = cg_spill(cg, builder->args[1], pair + leaf_count(key));
    cg_try(cg, cg_call(cg, RT_group_merge, cg->fn->worker, dict, cg_type_pointer(cg, entry),
                       cg_spill(cg, key, pair), value, cg_span(cg, node)));
}

/* Keys that hold vectors: the runtime finds or makes the entry. */
static void merge_by_call(Cg *cg, const Type *builder, LLVMValueRef dict, const Leaf *pair,
                          const Node *node) {
    const Type *entry = entry_type(cg, builder), *key = entry->args[0];
    const Leaf *value = pair + leaf_count(key);
    LLVMBasicBlockRef fresh = cg_block(cg, "missing"), old = cg_block(cg, "found"), after = cg_block(cg, "");
    LLVMValueRef slot = cg_slot(cg, 1, 1);
    LLVMValueRef at = cg_call(cg, RT_dict_insert, cg->fn->worker, dict, cg_type_pointer(cg, entry),
                              cg_spill(cg, key, pair), slot, cg_span(cg, node));
    cg_try_pointer(cg, at);
    LLVMValueRef is_old =
        LLVMBuildICmp(cg->builder, LLVMIntEQ, cg_load_at(cg, cg->i8, slot, 0), LLVMConstNull(cg->i8), "");
    LLVMBuildCondBr(cg->builder, is_old, old, fresh);
    cg_goto(cg, old);
    cg_combine_entry(cg, builder->args[1], builder->op, at, value);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, fresh);
    cg_store(cg, builder->args[1], value, at, NULL);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
}

void cg_dict_merge(Cg *cg, const Type *builder, LLVMValueRef state, const Leaf *pair, const Node *node) {
    const Type *entry = entry_type(cg, builder), *key = entry->args[0];
    LLVMValueRef dict = cg_load_at(cg, cg->ptr, state, 0);
    if (builder->kind == TY_groupmerger) {
        group_merge_call(cg, builder, dict, pair, node);
    } else if (!type_is_flat(key)) {
        merge_by_call(cg, builder, dict, pair, node);
    } else {
        LLVMBasicBlockRef after = cg_block(cg, "");
        try_direct(cg, builder, state, pair, after);
        const Dealt *dealt = cg_dealt(cg, state);
        if (dealt) cg_deal(cg, dealt, dict, pair, node, after);
        Probe p = cg_dict_probe(cg, entry, dict, pair, NULL);
        cg_combine_entry(cg, builder->args[1], builder->op, p.value, pair + leaf_count(key));
        LLVMBuildBr(cg->builder, after);
        cg_goto(cg, p.missing);
        insert(cg, entry, dict, p.hash, dealt, pair, node);
        LLVMBuildBr(cg->builder, after);
        cg_goto(cg, after);
    }
}
