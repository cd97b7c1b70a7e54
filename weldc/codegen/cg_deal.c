/* cg_deal.c: merges into a dictmerger dealt out by hash (lang/value/partition.c).
 *
 * A dictmerger of an outlined loop is probed in place while its keys are few. When the runtime has given it
 * partitions, a merge only writes a record:
 *
 *     partitions = dict->partitions;  none: probe (cg_dict.c)
 *     at = partitions->next[hash >> 56];  no room there: the runtime finds some
 *     *at = {key, value, number of the merge};  partitions->next[hash >> 56] = at + bytes of a record
 *
 * and for each such dictmerger there is a function that merges records, specialized to key and value:
 *
 *     status drain(worker, dict, records, count, base)
 *
 * into a scratch dictionary that has room for them, so that a new key is entered in place, too.
 *
 * A record is packed. Fields of the value that are the same literal in all merges of the loop are not written but
 * known to drain: for {sum, 1L}, a sum and a count, a record is the key, the addend and four bytes.
 */
#include "cg.h"

#include <stddef.h>

enum { NUMBER_BYTES = 4 };
enum { AHEAD = 128 }; /* bytes: the lines that a partition will write next are asked for */

/* Keys that lead through a direct table are few. */
bool cg_deals(const Type *builder) {
    if (builder->kind != TY_dictmerger || !type_is_flat(builder->args[0])) return false;
    int width = key_width(builder->args[0]);
    return (width == 0 || width > DIRECT_BITS) && type_is_flat(builder->args[1]) &&
           builder->args[0]->size + builder->args[1]->size <= PARTITION_RECORD / 2;
}

/* The scalar types of a flat type's leaves. */
static int scalars_of(const Type *type, const Type **out) {
    if (type->kind != TY_struct) {
        *out = type;
        return 1;
    }
    int count = 0;
    for (int i = 0; i < type->count; i++) count += scalars_of(type->args[i], out + count);
    return count;
}

/* ---- fields that are always the same ---- */

typedef struct Fixed {
    const Type *builder;
    const Node **leaves; /* the literals of the merges seen so far, NULL: not always that */
    bool seen;
} Fixed;

static void compare_leaves(const Node *value, const Type *type, bool seen, const Node **leaves) {
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            compare_leaves(value && value->kind == N_Struct ? value->kids[i] : NULL, type->args[i], seen,
                           leaves);
            leaves += leaf_count(type->args[i]);
        }
    } else {
        const Node *literal = value && value->kind == N_Literal ? value : NULL;
        bool same = !seen || (literal && *leaves && literal->bits == (*leaves)->bits);
        *leaves = same ? literal : NULL;
    }
}

static bool see_merge(Walk *walk, Node **slot) {
    Fixed *fixed = walk->data;
    const Node *node = *slot;
    if (node->kind != N_Merge || node->type != fixed->builder) return true;
    const Node *pair = node->kids[1];
    compare_leaves(pair->kind == N_Struct ? pair->kids[1] : NULL, fixed->builder->args[1], fixed->seen,
                   fixed->leaves);
    fixed->seen = true;
    return true;
}

static const Node **fixed_leaves(Cg *cg, const Node *lambda, const Type *builder) {
    const Node **leaves =
        arena_alloc(&cg->program->arena, sizeof *leaves * (size_t)(leaf_count(builder->args[1]) + 1));
    Fixed fixed = {builder, leaves, false};
    Walk walk = {cg->program, see_merge, NULL, &fixed};
    Node *body = lambda->kids[0];
    node_walk(&walk, &body);
    return leaves;
}

/* ---- records ---- */

/* Loads the leaves of a record at `at`, or stores them; returns its bytes. leaves NULL: neither. */
static int64_t record(Cg *cg, const Dealt *dealt, LLVMValueRef at, Leaf *leaves, bool store) {
    const Type *scalars[PARTITION_RECORD];
    int keys = leaf_count(dealt->entry->args[0]), count = scalars_of(dealt->entry->args[0], scalars);
    count += scalars_of(dealt->entry->args[1], scalars + count);
    int64_t offset = 0;
    for (int i = 0; i < count; i++) {
        const Node *literal = i < keys ? NULL : dealt->fixed[i - keys];
        if (literal) {
            if (leaves && !store) leaves[i] = cg_one(cg, literal);
            continue;
        }
        if (leaves && store)
            cg_store_packed(cg, scalars[i], leaves[i], cg_at(cg, at, offset), cg->fn->scope);
        else if (leaves)
            leaves[i] = cg_load_packed(cg, scalars[i], cg_at(cg, at, offset));
        offset += scalars[i]->size;
    }
    return offset;
}

/* The record's key is new in its partition, where there is room. */
static void drain_new(Cg *cg, const Dealt *dealt, LLVMValueRef dict, const Probe *p, const Leaf *pair,
                      LLVMValueRef number) {
    LLVMBuilderRef builder = cg->builder;
    const Type *entry = dealt->entry, *key = entry->args[0];
    LLVMValueRef slot = p->slot, length = cg_load_at(cg, cg->i64, dict, offsetof(Dict, length));
    LLVMValueRef at = cg_element(cg, entry, cg_load_at(cg, cg->ptr, dict, offsetof(Dict, entries)), length);
    LLVMValueRef index = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, index));
    cg_store(cg, key, pair, at, NULL);
    cg_store(cg, entry->args[1], pair + leaf_count(key), cg_at(cg, at, entry->offsets[1]), NULL);
    cg_store_at(cg, number, at, entry->offsets[2]);
    length = LLVMBuildAdd(builder, length, cg_i64(cg, 1), "");
    cg_store_at(cg, length, dict, offsetof(Dict, length));
    LLVMValueRef word = LLVMBuildOr(builder, LLVMBuildShl(builder, p->hash, cg_i64(cg, 32), ""), length, "");
    cg_store_at(cg, word, LLVMBuildInBoundsGEP2(builder, cg->i64, index, &slot, 1, ""), 0);
}

static void drain_record(Cg *cg, const Dealt *dealt, Op op, LLVMValueRef dict, LLVMValueRef at) {
    const Type *entry = dealt->entry;
    LLVMValueRef base = LLVMGetParam(cg->fn->function, 4);
    int keys = leaf_count(entry->args[0]);
    Leaf *pair =
        arena_alloc(&cg->program->arena, sizeof *pair * (size_t)(keys + leaf_count(entry->args[1]) + 1));
    record(cg, dealt, at, pair, false);
    LLVMBasicBlockRef after = cg_block(cg, "");
    Probe p = cg_dict_probe(cg, entry, dict, pair, NULL);
    cg_combine_entry(cg, entry->args[1], op, p.value, pair + keys);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, p.missing);
    LLVMValueRef number = cg_load_at(cg, cg->i32, at, dealt->record - NUMBER_BYTES);
    LLVMSetAlignment(number, 1);
    number = LLVMBuildAdd(cg->builder, LLVMBuildZExt(cg->builder, number, cg->i64, ""), base, "");
    drain_new(cg, dealt, dict, &p, pair, number);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
}

/* What the records' code uses of the dictionary, in registers: a copy, whose length alone goes back. */
static LLVMValueRef copy_dict(Cg *cg, LLVMValueRef dict) {
    static const size_t words[] = {offsetof(Dict, length), offsetof(Dict, mask), offsetof(Dict, shift)};
    static const size_t pointers[] = {offsetof(Dict, index), offsetof(Dict, entries)};
    LLVMValueRef copy = cg_slot(cg, sizeof(Dict), 8);
    for (size_t i = 0; i < sizeof words / sizeof *words; i++)
        cg_store_at(cg, cg_load_at(cg, cg->i64, dict, (int64_t)words[i]), copy, (int64_t)words[i]);
    for (size_t i = 0; i < sizeof pointers / sizeof *pointers; i++)
        cg_store_at(cg, cg_load_at(cg, cg->ptr, dict, (int64_t)pointers[i]), copy, (int64_t)pointers[i]);
    return copy;
}

/* status drain(worker, dict, records, count, base); there is at least one record. */
static LLVMValueRef drain_function(Cg *cg, const Dealt *dealt, Op op) {
    LLVMTypeRef params[5] = {cg->ptr, cg->ptr, cg->ptr, cg->i64, cg->i64};
    Fn fn = {0};
    cg_fn_open(cg, &fn, "drain", params, 5);
    fn.worker = LLVMGetParam(fn.function, 0);
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef first = LLVMGetParam(fn.function, 2), size = cg_i64(cg, dealt->record);
    LLVMValueRef bytes = LLVMBuildMul(builder, LLVMGetParam(fn.function, 3), size, "");
    LLVMValueRef dict = copy_dict(cg, LLVMGetParam(fn.function, 1));
    LLVMValueRef end = LLVMBuildInBoundsGEP2(builder, cg->i8, first, &bytes, 1, "");
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), loop = cg_block(cg, "record"), last,
                      done = cg_block(cg, "");
    LLVMBuildBr(builder, loop);
    cg_goto(cg, loop);
    LLVMValueRef at = LLVMBuildPhi(builder, cg->ptr, "");
    drain_record(cg, dealt, op, dict, at);
    LLVMValueRef next = cg_at(cg, at, dealt->record);
    last = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, next, end, ""), loop, done);
    LLVMAddIncoming(at, &first, &before, 1);
    LLVMAddIncoming(at, &next, &last, 1);
    cg_goto(cg, done);
    cg_store_at(cg, cg_load_at(cg, cg->i64, dict, offsetof(Dict, length)), LLVMGetParam(fn.function, 1),
                offsetof(Dict, length));
    LLVMBuildRet(builder, cg_i32(cg, 0));
    cg_fn_close(cg, &fn);
    return fn.function;
}

/* ---- in the loop ---- */

static void open_one(Cg *cg, const Node *lambda, const Type *builder, LLVMValueRef state) {
    if (!cg_deals(builder) || cg->fn->ndealt == ROOMY) return;
    TypeTable *types = &cg->program->types;
    Type *parts[3] = {builder->args[0], builder->args[1], type_scalar(types, TY_i64)};
    Dealt *dealt = &cg->fn->dealt[cg->fn->ndealt++];
    dealt->state = state;
    dealt->entry = type_make(types, TY_struct, OP_none, 3, parts);
    dealt->fixed = fixed_leaves(cg, lambda, builder);
    dealt->record = record(cg, dealt, NULL, NULL, false) + NUMBER_BYTES;
    dealt->drain = drain_function(cg, dealt, builder->op);
    dealt->merges = cg_slot(cg, 8, 8);
    LLVMValueRef dict = cg_load_at(cg, cg->ptr, state, 0);
    cg_store_at(cg, cg_load_at(cg, cg->i64, dict, offsetof(Dict, merges)), dealt->merges, 0);
}

void cg_deal_open(Cg *cg, const Node *lambda, const Type *builder, const Leaf *states) {
    if (builder->kind != TY_struct) {
        open_one(cg, lambda, builder, states[0]);
        return;
    }
    for (int i = 0; i < builder->count; i++) {
        cg_deal_open(cg, lambda, builder->args[i], states);
        states += leaf_count(builder->args[i]);
    }
}

static void store_merges(Cg *cg, const Dealt *dealt, LLVMValueRef dict) {
    cg_store_at(cg, cg_load_at(cg, cg->i64, dealt->merges, 0), dict, offsetof(Dict, merges));
}

void cg_deal_close(Cg *cg) {
    for (int i = 0; i < cg->fn->ndealt; i++)
        store_merges(cg, &cg->fn->dealt[i], cg_load_at(cg, cg->ptr, cg->fn->dealt[i].state, 0));
}

const Dealt *cg_dealt(Cg *cg, LLVMValueRef state) {
    for (int i = 0; i < cg->fn->ndealt; i++) {
        if (cg->fn->dealt[i].state == state) return &cg->fn->dealt[i];
    }
    return NULL;
}

/* The next record's place, for which the runtime makes room in a cold block. */
static LLVMValueRef next_record(Cg *cg, const Dealt *dealt, LLVMValueRef dict, LLVMValueRef part,
                                LLVMValueRef slot, const Node *node) {
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef full = cg_block(cg, "full"), room = cg_block(cg, ""),
                      before = LLVMGetInsertBlock(builder);
    LLVMValueRef next = cg_load_at(cg, cg->ptr, slot, 0), at = LLVMBuildPtrToInt(builder, next, cg->i64, "");
    at = LLVMBuildAnd(builder, LLVMBuildSub(builder, at, cg_i64(cg, 1), ""), cg_i64(cg, PARTITION_BLOCK - 1),
                      "");
    LLVMValueRef fits =
        LLVMBuildICmp(builder, LLVMIntULE, at, cg_i64(cg, PARTITION_BLOCK - 1 - dealt->record), "");
    cg_likely(cg, LLVMBuildCondBr(builder, fits, room, full), true);
    cg_goto(cg, full);
    store_merges(cg, dealt, dict);
    LLVMValueRef fresh = cg_call(cg, RT_dict_deal, cg->fn->worker, dict, part, cg_span(cg, node));
    cg_try_pointer(cg, fresh);
    cg_store_at(cg, cg_load_at(cg, cg->i64, dict, offsetof(Dict, merges)), dealt->merges, 0);
    LLVMBasicBlockRef filled = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, room);
    cg_goto(cg, room);
    LLVMValueRef phi = LLVMBuildPhi(builder, cg->ptr, "");
    LLVMAddIncoming(phi, &next, &before, 1);
    LLVMAddIncoming(phi, &fresh, &filled, 1);
    return phi;
}

void cg_deal(Cg *cg, const Dealt *dealt, LLVMValueRef dict, const Leaf *pair, const Node *node,
             LLVMBasicBlockRef after) {
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef deal = cg_block(cg, "deal"), probing = cg_block(cg, "");
    LLVMValueRef partitions = cg_load_at(cg, cg->ptr, dict, offsetof(Dict, partitions));
    LLVMValueRef deals = LLVMBuildICmp(builder, LLVMIntNE, partitions, LLVMConstNull(cg->ptr), "");
    LLVMValueRef hash = cg_hash(cg, dealt->entry->args[0], pair);
    LLVMBuildCondBr(builder, deals, deal, probing);
    cg_goto(cg, deal);
    LLVMValueRef part = LLVMBuildLShr(builder, hash, cg_i64(cg, 64 - PARTITION_BITS), "");
    LLVMValueRef slot = LLVMBuildInBoundsGEP2(builder, cg->ptr, partitions, &part, 1, "");
    LLVMValueRef at = next_record(cg, dealt, dict, part, slot, node);
    cg_prefetch(cg, LLVMBuildGEP2(builder, cg->i8, at, &(LLVMValueRef){cg_i64(cg, AHEAD)}, 1, ""), true);
    Leaf *leaves = arena_alloc(&cg->program->arena, sizeof *leaves * PARTITION_RECORD);
    int count = leaf_count(dealt->entry->args[0]) + leaf_count(dealt->entry->args[1]);
    for (int i = 0; i < count; i++) leaves[i] = pair[i];
    record(cg, dealt, at, leaves, true);
    LLVMValueRef merges = cg_load_at(cg, cg->i64, dealt->merges, 0);
    cg_store_packed(cg, type_scalar(&cg->program->types, TY_u32),
                    LLVMBuildTrunc(builder, merges, cg->i32, ""), cg_at(cg, at, dealt->record - NUMBER_BYTES),
                    cg->fn->scope);
    cg_store_at(cg, LLVMBuildAdd(builder, merges, cg_i64(cg, 1), ""), dealt->merges, 0);
    cg_store_at(cg, cg_at(cg, at, dealt->record), slot, 0);
    LLVMBuildBr(builder, after);
    cg_goto(cg, probing);
}

/* A dictmerger that is made for the loop and finished after it cannot grow again. */
static DictForm form_of(const Cg *cg, const Node *loop) {
    const Node *made = loop->kids[loop->count - 2];
    if (cg->listed == loop) return DICT_LISTED;
    if (cg->finished != loop || made->kind != N_NewBuilder) return DICT_GROWS;
    return cg->probed == loop ? DICT_PROBED : DICT_SEARCHED;
}

/* After the loop: its partitions become dictionaries. */
void cg_dict_gather(Cg *cg, const Node *loop, const Type *builder, const Leaf *states) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            cg_dict_gather(cg, loop, builder->args[i], states);
            states += leaf_count(builder->args[i]);
        }
    } else if (cg_deals(builder)) {
        LLVMValueRef entry = cg_type_pointer(cg, dict_entry_type(&cg->program->types, builder));
        cg_try(cg, cg_call(cg, RT_dict_gather, cg->fn->worker, cg_load_at(cg, cg->ptr, states[0], 0), entry,
                           cg_i32(cg, form_of(cg, loop)), cg_span(cg, loop)));
    }
}
