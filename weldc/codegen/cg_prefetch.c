/* cg_prefetch.c: loops that look keys up in large dictionaries ask for the memory before they need it.
 *
 * A probe of a table that is larger than the caches waits for memory twice, for the index and for the entry,
 * and one iteration's wait hides little of the next one's. So a loop whose keys can be computed ahead runs in
 * blocks:
 *
 *     for each iteration of the block: follow the slots to an equal tag, prefetch the entry, remember the slot
 *     for each iteration of the block: hash the keys of the one that is a block later, prefetch their slots of the index;
 *         the body, whose probe starts at the slot that was remembered
 *
 * So while entries are waited for in batches, slots are asked for all the time. A dictionary that has a table
 * (lang/value/table.c) needs only these: a slot has key and value.
 *
 * The slot is empty or leads to an entry with an equal tag, whose key is almost always the one that is sought. So
 * an optlookup compares once, and whether the key is there, which no processor foresees, decides no branch.
 *
 * A loop in stages (cg_stages.c) reads short rows, slices that move with the iteration, in its first stage and computes
 * in the others, when no load tells the processor what comes next. So the last stage asks for the rows of the next
 * block while it works on this one's.
 *
 * Keys that qualify are cheap and cannot fail (node_is_cheap), and so are the lets on the way to them; a key
 * behind an `if` is fetched whatever the condition. Whether a table is large is asked before each range
 * of iterations, for only then its memory is asked for; with a weld.grain all count as large. The technique is group prefetching (Chen et al., Improving Hash Join Performance through
 * Prefetching, ICDE 2004).
 */
#include "cg.h"

#include <stddef.h>

enum { LARGE_TABLE = 1 << 16 }; /* slots */

typedef struct Search {
    Cg *cg;
    const Node *lambda;
    Prefetch *plan;
    const Node *lets[PREFETCH_LETS];
    int nlets;
} Search;

static bool is_cheap(const Node *node) {
    int budget = 16;
    return node_is_cheap(node, &budget);
}

/* Every name in the node is bound outside the loop, is the index or element, or a let that will be evaluated.
 */
static bool is_reachable(const Search *search, const Node *node) {
    if (node->kind == N_Let || node->nparams) return false;
    if (node->kind == N_Ident) {
        for (int i = 0; i < search->nlets; i++) {
            if (search->lets[i]->symbol == node->symbol) return true;
        }
        if (node->symbol == search->lambda->params[1] || node->symbol == search->lambda->params[2])
            return true;
        return search->cg->values[node->symbol->id] != NULL;
    }
    for (int i = 0; i < node->count; i++) {
        if (!is_reachable(search, node->kids[i])) return false;
    }
    return true;
}

/* A dictionary that is the same in all iterations: a name from outside, or a field of one. */
static bool is_fixed(const Search *search, const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    if (node->kind != N_Ident || !search->cg->values[node->symbol->id]) return false;
    for (int i = 0; i < search->nlets; i++) {
        if (search->lets[i]->symbol == node->symbol) return false;
    }
    return node->symbol != search->lambda->params[1] && node->symbol != search->lambda->params[2];
}

static void add_target(Search *search, const Node *dict, const Node *key) {
    Prefetch *plan = search->plan;
    int width = key_width(key->type);
    if (plan->count == PREFETCH_TARGETS || !is_fixed(search, dict) || !type_is_flat(key->type)) return;
    if ((width && width <= DIRECT_BITS) || !is_cheap(key) || !is_reachable(search, key)) return;
    for (int i = 0; i < plan->count; i++) {
        if (node_equal(plan->target[i].dict, dict) && node_equal(plan->target[i].key, key)) return;
    }
    PrefetchTarget *target = &plan->target[plan->count++];
    target->dict = dict;
    target->key = key;
    target->nlets = search->nlets;
    for (int i = 0; i < search->nlets; i++) target->lets[i] = search->lets[i];
}

/* Not into functions: what they do with a key happens some other number of times. */
static void find_targets(Search *search, const Node *node) {
    int lets = search->nlets;
    for (; node->kind == N_Let; node = node->kids[1]) {
        find_targets(search, node->kids[0]);
        bool known = is_cheap(node->kids[0]) && is_reachable(search, node->kids[0]);
        if (known && search->nlets < PREFETCH_LETS) search->lets[search->nlets++] = node;
    }
    bool lookup = node->kind == N_Lookup || node->kind == N_OptLookup || node->kind == N_KeyExists;
    if (lookup && node->kids[0]->type->kind == TY_dict) add_target(search, node->kids[0], node->kids[1]);
    for (int i = 0; i < node->count; i++) {
        if (node->kids[i]->kind != N_Lambda) find_targets(search, node->kids[i]);
    }
    search->nlets = lets;
}

/* The loop's builders must be bound when this is asked. */
Prefetch cg_prefetch_plan(Cg *cg, const Node *lambda) {
    Prefetch plan = {.count = 0};
    Search search = {.cg = cg, .lambda = lambda, .plan = &plan};
    find_targets(&search, lambda->kids[0]);
    return plan;
}

/* Asks it for each target; true if one is. */
static LLVMValueRef tables_are_large(Cg *cg, Prefetch *plan) {
    LLVMValueRef pays = LLVMConstInt(cg->i1, 0, false);
    LLVMValueRef grain = cg_load_at(cg, cg->i64, cg->fn->worker, offsetof(Worker, grain));
    LLVMValueRef usual = LLVMBuildICmp(cg->builder, LLVMIntEQ, grain, cg_i64(cg, 0), "");
    LLVMValueRef least = LLVMBuildSelect(cg->builder, usual, cg_i64(cg, LARGE_TABLE), cg_i64(cg, 0), "");
    for (int i = 0; i < plan->count; i++) {
        LLVMValueRef dict = cg_one(cg, plan->target[i].dict);
        LLVMBasicBlockRef before = LLVMGetInsertBlock(cg->builder), some = cg_block(cg, ""),
                          after = cg_block(cg, "");
        LLVMValueRef is = LLVMBuildICmp(cg->builder, LLVMIntNE, dict, LLVMConstNull(cg->ptr), "");
        LLVMBuildCondBr(cg->builder, is, some, after);
        cg_goto(cg, some);
        LLVMValueRef mask = cg_load_at(cg, cg->i64, dict, offsetof(Dict, mask));
        LLVMValueRef large = LLVMBuildICmp(cg->builder, LLVMIntUGE, mask, least, "");
        LLVMBuildBr(cg->builder, after);
        cg_goto(cg, after);
        LLVMValueRef phi = LLVMBuildPhi(cg->builder, cg->i1, ""), no = LLVMConstInt(cg->i1, 0, false);
        LLVMAddIncoming(phi, &no, &before, 1);
        LLVMAddIncoming(phi, &large, &some, 1);
        plan->target[i].pays = phi;
        pays = LLVMBuildOr(cg->builder, pays, phi, "");
    }
    return pays;
}

void cg_prefetch_open(Cg *cg, Prefetch *plan) {
    plan->pays = tables_are_large(cg, plan);
    for (int i = 0; i < plan->count; i++) {
        PrefetchTarget *target = &plan->target[i];
        LLVMValueRef bytes = cg_i64(cg, dict_entry_type(&cg->program->types, target->dict->type)->size);
        target->slots = cg_slot(cg, 8 * PREFETCH_BLOCK, 64);
        target->none = cg_slot(cg, dict_entry_type(&cg->program->types, target->dict->type)->size, 64);
        LLVMBuildMemSet(cg->builder, target->none, LLVMConstNull(cg->i8), bytes, 8);
    }
}

void cg_prefetch(Cg *cg, LLVMValueRef address, bool write) {
    LLVMValueRef args[4] = {address, cg_i32(cg, write), cg_i32(cg, 3), cg_i32(cg, 1)}; /* keep, data */
    cg_intrinsic(cg, "llvm.prefetch", &cg->ptr, 1, args, 4);
}

void cg_prefetch_rows(Cg *cg, const Slices *slices, LLVMValueRef from, LLVMValueRef lag, LLVMValueRef asked,
                      LLVMValueRef eighths) {
    enum { LINE = 64, LONGEST = 512, LEAST = 3072 }; /* bytes; of a row: longer ones the processor foresees */
    LLVMBuilderRef builder = cg->builder;
    for (int i = 0; i < slices->count; i++) {
        const Moving *moving = &slices->moving[i];
        LLVMValueRef size = cg_i64(cg, moving->element->size), line = cg_i64(cg, LINE), zero = cg_i64(cg, 0);
        LLVMValueRef least = cg_i64(cg, LEAST), three = cg_i64(cg, 3);
        LLVMValueRef step = LLVMBuildMul(builder, moving->start.step, size, "");
        LLVMValueRef is_short = LLVMBuildICmp(builder, LLVMIntULE, step, cg_i64(cg, LONGEST), "");
        LLVMValueRef start = LLVMBuildMul(builder, moving->start.base, size, "");
        start = LLVMBuildAdd(builder, start, LLVMBuildMul(builder, step, from, ""), "");
        LLVMValueRef ahead = LLVMBuildMul(builder, step, lag, "");
        ahead =
            LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntULT, ahead, least, ""), least, ahead, "");
        LLVMValueRef done = LLVMBuildLShr(builder, LLVMBuildMul(builder, step, asked, ""), three, "");
        LLVMValueRef bytes = LLVMBuildLShr(builder, LLVMBuildMul(builder, step, eighths, ""), three, "");
        start = LLVMBuildAdd(builder, start, LLVMBuildAdd(builder, ahead, done, ""), "");
        LLVMValueRef address = LLVMBuildGEP2(builder, cg->i8, moving->data, &start, 1, "");
        bytes = LLVMBuildSelect(builder, is_short, bytes, zero, "");
        LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), ask = cg_block(cg, "ask"),
                          after = cg_block(cg, "");
        LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, bytes, zero, ""), ask, after);
        cg_goto(cg, ask);
        LLVMValueRef at = LLVMBuildPhi(builder, cg->i64, "");
        cg_prefetch(cg, LLVMBuildGEP2(builder, cg->i8, address, &at, 1, ""), false);
        LLVMValueRef next = LLVMBuildNUWAdd(builder, at, line, "");
        LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntULT, next, bytes, ""), ask, after);
        LLVMAddIncoming(at, &zero, &before, 1);
        LLVMAddIncoming(at, &next, &ask, 1);
        cg_goto(cg, after);
    }
}

/* From a slot on to the first whose word is 0 or has the hash's tag; its word is at *word. */
static LLVMValueRef walk(Cg *cg, LLVMValueRef dict, LLVMValueRef hash, LLVMValueRef slot,
                         LLVMValueRef *word) {
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), look = cg_block(cg, "walk"),
                      next = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMValueRef tag = LLVMBuildShl(builder, hash, cg_i64(cg, 32), ""), zero = cg_i64(cg, 0);
    LLVMValueRef index = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, index));
    LLVMValueRef mask = cg_load_at(cg, cg->i64, dict, offsetof(Dict, mask));
    LLVMBuildBr(builder, look);
    cg_goto(cg, look);
    LLVMValueRef at = LLVMBuildPhi(builder, cg->i64, "");
    *word = LLVMBuildLoad2(builder, cg->i64, LLVMBuildInBoundsGEP2(builder, cg->i64, index, &at, 1, ""), "");
    LLVMValueRef differ = LLVMBuildLShr(builder, LLVMBuildXor(builder, *word, tag, ""), cg_i64(cg, 32), "");
    LLVMValueRef other = LLVMBuildAnd(builder, LLVMBuildICmp(builder, LLVMIntNE, *word, zero, ""),
                                      LLVMBuildICmp(builder, LLVMIntNE, differ, zero, ""), "");
    LLVMBuildCondBr(builder, other, next, after);
    cg_goto(cg, next);
    LLVMValueRef step = LLVMBuildAnd(builder, LLVMBuildAdd(builder, at, cg_i64(cg, 1), ""), mask, "");
    LLVMBuildBr(builder, look);
    LLVMAddIncoming(at, &slot, &before, 1);
    LLVMAddIncoming(at, &step, &next, 1);
    cg_goto(cg, after);
    return at;
}

/* An empty slot leads before the first entry: a prefetch of any address is harmless. */
static void prefetch_entry(Cg *cg, const Type *entry, LLVMValueRef dict, LLVMValueRef word) {
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef number =
        LLVMBuildSub(builder, LLVMBuildAnd(builder, word, cg_i64(cg, UINT32_MAX), ""), cg_i64(cg, 1), "");
    LLVMValueRef offset = LLVMBuildMul(builder, number, cg_i64(cg, entry->size), "");
    LLVMValueRef base = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, entries));
    cg_prefetch(cg, LLVMBuildGEP2(builder, cg->i8, base, &offset, 1, ""), false);
}

static LLVMValueRef slot_place(Cg *cg, const PrefetchTarget *target, LLVMValueRef n) {
    return LLVMBuildInBoundsGEP2(cg->builder, cg->i64, target->slots, &n, 1, "");
}

/* The entry of a dictionary that has an index, and where the probe of its key is to begin. */
static void step_to_entry(Cg *cg, const PrefetchTarget *target, const Type *entry, LLVMValueRef dict,
                          LLVMValueRef hash, LLVMValueRef n) {
    LLVMBasicBlockRef indexed = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMValueRef index = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, index)), word;
    LLVMValueRef has = LLVMBuildICmp(cg->builder, LLVMIntNE, index, LLVMConstNull(cg->ptr), "");
    LLVMBuildCondBr(cg->builder, has, indexed, after);
    cg_goto(cg, indexed);
    LLVMValueRef slot = walk(cg, dict, hash, cg_slot_of(cg, dict, hash), &word);
    cg_store_at(cg, slot, slot_place(cg, target, n), 0);
    prefetch_entry(cg, entry, dict, word);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
}

void cg_prefetch_step(Cg *cg, const Prefetch *plan, bool entries, LLVMValueRef n) {
    for (int i = 0; i < plan->count; i++) {
        const PrefetchTarget *target = &plan->target[i];
        LLVMBasicBlockRef large = cg_block(cg, ""), next = cg_block(cg, "");
        LLVMBuildCondBr(cg->builder, target->pays, large, next);
        cg_goto(cg, large);
        for (int k = 0; k < target->nlets; k++)
            cg_bind(cg, target->lets[k]->symbol, cg_expr(cg, target->lets[k]->kids[0]));
        LLVMValueRef dict = cg_one(cg, target->dict);
        LLVMValueRef hash = cg_hash(cg, target->key->type, cg_expr(cg, target->key));
        const Type *entry = dict_entry_type(&cg->program->types, target->dict->type);
        if (entries)
            step_to_entry(cg, target, entry, dict, hash, n);
        else
            cg_prefetch(cg, cg_table_first(cg, entry, dict, hash), false);
        LLVMBuildBr(cg->builder, next);
        cg_goto(cg, next);
    }
}

void cg_prefetch_ahead(Cg *cg, const Loop *loop, LLVMValueRef index) {
    const Prefetch *plan = loop->plan;
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef ahead = cg_block(cg, ""), now = cg_block(cg, "");
    LLVMBuildCondBr(builder, plan->pays, ahead, now);
    cg_goto(cg, ahead);
    LLVMValueRef last = LLVMBuildSub(builder, plan->end, cg_i64(cg, 1), "");
    LLVMValueRef later = LLVMBuildAdd(builder, index, cg_i64(cg, PREFETCH_BLOCK), "");
    cg_bind_iteration(cg, loop, cg_least(cg, later, last));
    cg_prefetch_step(cg, plan, false, NULL);
    LLVMBuildBr(builder, now);
    cg_goto(cg, now);
}

static const PrefetchTarget *target_of(const Prefetch *plan, const Node *key) {
    for (int i = 0; plan && i < plan->count; i++) {
        if (plan->target[i].key == key) return &plan->target[i];
    }
    return NULL;
}

LLVMValueRef cg_prefetched_slot(Cg *cg, const Node *key, LLVMValueRef dict, LLVMValueRef hash) {
    const Prefetch *plan = cg->fn->ahead;
    LLVMValueRef slot = cg_slot_of(cg, dict, hash);
    const PrefetchTarget *target = key ? target_of(plan, key) : NULL;
    if (!target) return slot;
    LLVMValueRef known = cg_load_at(cg, cg->i64, slot_place(cg, target, cg->fn->ahead_n), 0);
    return LLVMBuildSelect(cg->builder, target->pays, known, slot, "");
}

bool cg_prefetched_value(Cg *cg, const Node *node, LLVMValueRef dict, const Type *entry, const Leaf *key,
                         LLVMBasicBlockRef probing, LLVMValueRef *found, Leaf *value) {
    LLVMBuilderRef builder = cg->builder;
    const PrefetchTarget *target = target_of(cg->fn->ahead, node);
    if (!target) return false;
    LLVMBasicBlockRef ahead = cg_block(cg, ""), known = cg_block(cg, "");
    LLVMBuildCondBr(builder, target->pays, ahead, probing);
    cg_goto(cg, ahead);
    LLVMValueRef slot = cg_load_at(cg, cg->i64, slot_place(cg, target, cg->fn->ahead_n), 0);
    LLVMValueRef index = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, index));
    LLVMValueRef word =
        LLVMBuildLoad2(builder, cg->i64, LLVMBuildInBoundsGEP2(builder, cg->i64, index, &slot, 1, ""), "");
    LLVMValueRef some = LLVMBuildICmp(builder, LLVMIntNE, word, cg_i64(cg, 0), "");
    LLVMValueRef number = LLVMBuildAnd(builder, word, cg_i64(cg, UINT32_MAX), "");
    number =
        LLVMBuildMul(builder, LLVMBuildSub(builder, number, cg_i64(cg, 1), ""), cg_i64(cg, entry->size), "");
    LLVMValueRef place = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, entries));
    place = LLVMBuildGEP2(builder, cg->i8, place, &number, 1, "");
    place = LLVMBuildSelect(builder, some, place, target->none, "");
    Leaf *held = cg_leaves(cg, entry->args[0]);
    cg_load(cg, entry->args[0], place, NULL, held);
    LLVMValueRef equal = cg_key_equal(cg, entry->args[0], held, key);
    LLVMValueRef other = LLVMBuildAnd(builder, some, LLVMBuildNot(builder, equal, ""), "");
    *found = LLVMBuildAnd(builder, some, equal, "");
    cg_load(cg, entry->args[1], cg_at(cg, place, entry->offsets[1]), NULL, value);
    cg_likely(cg, LLVMBuildCondBr(builder, other, probing, known), false);
    cg_goto(cg, known);
    return true;
}
