/* cg_few.c: merges into dictmergers that have few keys, of several iterations at once.
 *
 *     for(zip(k, x), dictmerger[i8, f64, +], |b, i, e| merge(b, {e.$0, e.$1}))
 *
 * As long as the dictionary has at most FEW entries, each of them has W sums, one for each lane, which start from the
 * value that changes nothing. A group of W iterations, here 8, visits all entries; each takes the lanes that have its key:
 *
 *     keys                                                  a b a a c b a a
 *     entry a: sums[a] += x where keys == a                 x . x x . . x x
 *     entry b: sums[b] += x where keys == b                 . x . . . x . .
 *     entry c: ..
 *
 * So no lane waits for the one before it, no branch depends on a key, and of a value with six fields an
 * iteration costs fewer instructions than six loads, additions and stores would. A field that is a constant integer, as
 * counts are, takes it as often as there are such lanes. After the loop the lanes are
 * added up, and combined with the entry's value. That is what one writes by hand where the groups are known
 * (vectors under masks: Polychroniou, Ross, Vectorized Bloom Filters and Aggregation, 2014); here they show while the
 * loop runs.
 *
 * A lane that no entry takes is *missed*: it goes through the runtime, alone, which makes an entry for a new key. When there
 * are more than FEW, or many lanes were missed, the loop stops after the group, and what is left goes one by one
 * (cg_dict.c).
 *
 * Requires AVX-512, whose masks cost nothing: with AVX2, where each addition would need a blend, one by one is as fast.
 * Sums of floats may be formed in any order; which it is depends on the range of iterations only.
 */
#include "cg_filter.h"

#include <stddef.h>

enum { FEW = 8, MISSED = 64, MOST_LEAVES = 16, LINE = 64 };

/* May lanes add to it: scalars, but no bools, whose lanes are bits. */
static bool takes_value(const Type *type) {
    if (type->kind != TY_struct) return type_is_scalar(type) && type->kind != TY_bool;
    for (int i = 0; i < type->count; i++) {
        if (!takes_value(type->args[i])) return false;
    }
    return true;
}

bool cg_few_add(Filter *lanes, const Type *builder, LLVMValueRef state) {
    Cg *cg = lanes->wide.cg;
    LLVMValueRef table = cg_direct_table(cg, state);
    if (!cg->masks || !lanes->loop->outlined || !table || lanes->nfew == ROOMY) return false;
    if (!takes_value(builder->args[1]) || leaf_count(builder->args[1]) > MOST_LEAVES) return false;
    lanes->few[lanes->nfew++] = (Few){.builder = builder, .state = state, .table = table};
    return true;
}

/* ---- the lanes' sums: of each entry in a row, a vector for each leaf of the value ---- */

static LLVMTypeRef sum_type(const Filter *lanes, const Type *scalar) {
    return LLVMVectorType(cg_scalar_type(lanes->wide.cg, scalar), lanes->wide.width);
}

static int64_t sum_bytes(const Filter *lanes, const Type *scalar) {
    return (scalar->size * lanes->wide.width + LINE - 1) / LINE * LINE;
}

/* Where the sums of an entry begin; number: from 0. */
static LLVMValueRef sums_of(const Filter *lanes, const Few *few, LLVMValueRef number) {
    LLVMBuilderRef builder = lanes->wide.cg->builder;
    LLVMValueRef offset = LLVMBuildMul(builder, number, cg_i64(lanes->wide.cg, few->row), "");
    return LLVMBuildInBoundsGEP2(builder, lanes->wide.cg->i8, few->sums, &offset, 1, "");
}

static LLVMValueRef dict_of(Cg *cg, const Few *few) {
    return cg_load_at(cg, cg->ptr, few->state, 0);
}

/* Of the dictionary's entries, how many have sums. */
static LLVMValueRef entries_of(Cg *cg, const Few *few) {
    return cg_least(cg, cg_load_at(cg, cg->i64, dict_of(cg, few), offsetof(Dict, length)), cg_i64(cg, FEW));
}

LLVMValueRef cg_few_pays(Filter *lanes) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef pays = LLVMConstInt(cg->i1, 1, false);
    for (int i = 0; i < lanes->nfew; i++) {
        LLVMValueRef length = cg_load_at(cg, cg->i64, dict_of(cg, &lanes->few[i]), offsetof(Dict, length));
        LLVMValueRef few = LLVMBuildICmp(builder, LLVMIntULE, length, cg_i64(cg, FEW), "");
        LLVMValueRef has = LLVMBuildICmp(builder, LLVMIntNE, lanes->few[i].table, LLVMConstNull(cg->ptr), "");
        pays = LLVMBuildAnd(builder, pays, LLVMBuildAnd(builder, few, has, ""), "");
    }
    return pays;
}

/* ---- the entries' keys, as words ---- */

static LLVMTypeRef word_type(const Cg *cg, const Few *few) {
    return key_width(few->builder->args[0]) <= 32 ? cg->i32 : cg->i64;
}

static Leaf small_word(Cg *cg, const Few *few, const Leaf *key, LLVMTypeRef as) {
    Leaf word = cg_key_word(cg, few->builder->args[0], key);
    return LLVMBuildTrunc(cg->builder, word, as, "");
}

static LLVMValueRef word_of(Cg *cg, const Few *few, LLVMValueRef number) {
    return LLVMBuildInBoundsGEP2(cg->builder, word_type(cg, few), few->words, &number, 1, "");
}

/* Of all entries that have sums. */
static void list_words(Cg *cg, const Few *few) {
    const Type *entry = dict_entry_type(&cg->program->types, few->builder), *type = few->builder->args[0];
    LLVMValueRef count = entries_of(cg, few), zero = cg_i64(cg, 0);
    LLVMBasicBlockRef some = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntNE, count, zero, ""), some, after);
    cg_goto(cg, some);
    LLVMValueRef entries = cg_load_at(cg, cg->ptr, dict_of(cg, few), offsetof(Dict, entries));
    Counter counter = cg_counter_open(cg, zero, count);
    LLVMValueRef place = cg_at(cg, cg_element(cg, entry, entries, counter.index), entry->offsets[0]);
    Leaf word = small_word(cg, few, cg_load_new(cg, type, place), word_type(cg, few));
    LLVMBuildStore(cg->builder, word, word_of(cg, few, counter.index));
    cg_loop_as_is(cg, cg_counter_close(cg, &counter));
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
}

void cg_few_open(Filter *lanes) {
    Cg *cg = lanes->wide.cg;
    for (int i = 0; i < lanes->nfew; i++) {
        Few *few = &lanes->few[i];
        const Type *type = few->builder->args[1];
        int leaves = leaf_count(type);
        for (int k = 0; k < leaves; k++) few->row += sum_bytes(lanes, leaf_place(type, k, NULL));
        few->sums = cg_slot(cg, few->row * FEW, LINE);
        few->words = cg_slot(cg, (int64_t)sizeof(uint64_t) * FEW, LINE);
        list_words(cg, few);
        Counter counter = cg_counter_open(cg, cg_i64(cg, 0), cg_i64(cg, FEW));
        LLVMValueRef sums = sums_of(lanes, few, counter.index);
        int64_t at = 0;
        for (int k = 0; k < leaves; k++) {
            const Type *scalar = leaf_place(type, k, NULL);
            Leaf none = cg_filter_neutral(cg, few->builder->op, scalar);
            cg_store_at(cg, cg_every_lane(none, lanes->wide.width), sums, at);
            at += sum_bytes(lanes, scalar);
        }
        cg_loop_as_is(cg, cg_counter_close(cg, &counter));
    }
    lanes->missed = cg_slot(cg, sizeof(int64_t), 8);
    cg_store_at(cg, cg_i64(cg, 0), lanes->missed, 0);
}

/* The lanes of an entry are combined with its value, one after the other: that is done once, and little code. */
static void settle(Filter *lanes, const Few *few, LLVMValueRef number) {
    Cg *cg = lanes->wide.cg;
    const Type *type = few->builder->args[1], *entry = dict_entry_type(&cg->program->types, few->builder);
    LLVMValueRef entries = cg_load_at(cg, cg->ptr, dict_of(cg, few), offsetof(Dict, entries));
    LLVMValueRef place = cg_element(cg, entry, entries, number), sums = sums_of(lanes, few, number);
    Leaf *value = cg_leaves(cg, type);
    int64_t at = 0;
    Counter lane = cg_counter_open(cg, cg_i64(cg, 0), cg_i64(cg, lanes->wide.width));
    for (int k = 0; k < leaf_count(type); k++) {
        const Type *scalar = leaf_place(type, k, NULL);
        cg_load_merged(cg, scalar, cg_element(cg, scalar, cg_at(cg, sums, at), lane.index), &value[k]);
        at += sum_bytes(lanes, scalar);
    }
    cg_combine_at(cg, type, few->builder->op, cg_at(cg, place, entry->offsets[1]), value);
    cg_loop_as_is(cg, cg_counter_close(cg, &lane));
}

void cg_few_close(Filter *lanes) {
    Cg *cg = lanes->wide.cg;
    for (int i = 0; i < lanes->nfew; i++) {
        const Few *few = &lanes->few[i];
        LLVMBasicBlockRef some = cg_block(cg, ""), after = cg_block(cg, "");
        LLVMValueRef count = entries_of(cg, few), zero = cg_i64(cg, 0);
        LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntNE, count, zero, ""), some, after);
        cg_goto(cg, some);
        Counter counter = cg_counter_open(cg, zero, count);
        settle(lanes, few, counter.index);
        cg_loop_as_is(cg, cg_counter_close(cg, &counter));
        LLVMBuildBr(cg->builder, after);
        cg_goto(cg, after);
    }
}

LLVMValueRef cg_few_goes_on(Filter *lanes) {
    Cg *cg = lanes->wide.cg;
    LLVMValueRef missed = cg_load_at(cg, cg->i64, lanes->missed, 0);
    return LLVMBuildICmp(cg->builder, LLVMIntULT, missed, cg_i64(cg, MISSED), "");
}

/* ---- lanes that were missed ---- */

/* The leaves' lanes, side by side in slots; those that are the same in all lanes stay as they are. */
static void spill_lanes(Filter *lanes, const Type *type, const Leaf *leaves, LLVMValueRef *slots) {
    Cg *cg = lanes->wide.cg;
    for (int i = 0; i < leaf_count(type); i++) {
        const Type *scalar = leaf_place(type, i, NULL);
        Leaf leaf = leaves[i];
        slots[i] = NULL;
        if (!cg_is_wide(leaf)) continue;
        if (scalar->kind == TY_bool)
            leaf = LLVMBuildZExt(cg->builder, leaf, LLVMVectorType(cg->i8, lanes->wide.width), "");
        slots[i] = cg_slot(cg, scalar->size * lanes->wide.width, LINE);
        cg_store_at(cg, leaf, slots[i], 0);
    }
}

/* Every lane whose bit is set is merged by the runtime. */
static void merge_missed(Filter *lanes, const Few *few, const LaneMerge *merge, const Type *pair_type,
                         const Leaf *pair, LLVMValueRef bits) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef *slots = cg_leaves(cg, pair_type), dict = dict_of(cg, few);
    spill_lanes(lanes, pair_type, pair, slots);
    LLVMTypeRef as = LLVMTypeOf(bits);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), loop = cg_block(cg, "missed"), last,
                      after = cg_block(cg, "");
    LLVMBuildBr(builder, loop);
    cg_goto(cg, loop);
    LLVMValueRef left = LLVMBuildPhi(builder, as, ""), args[2] = {left, LLVMConstInt(cg->i1, 1, false)};
    LLVMValueRef lane = LLVMBuildZExt(builder, cg_intrinsic(cg, "llvm.cttz", &as, 1, args, 2), cg->i64, "");
    Leaf *one = cg_leaves(cg, pair_type);
    for (int i = 0; i < leaf_count(pair_type); i++) {
        const Type *scalar = leaf_place(pair_type, i, NULL);
        one[i] = pair[i];
        if (slots[i]) cg_load(cg, scalar, cg_element(cg, scalar, slots[i], lane), NULL, &one[i]);
    }
    LLVMValueRef entry = cg_type_pointer(cg, dict_entry_type(&cg->program->types, few->builder));
    cg_try(cg, cg_call(cg, RT_dict_merge, cg->fn->worker, dict, entry, cg_spill(cg, pair_type, one),
                       cg_i32(cg, (int32_t)few->builder->op), cg_span(cg, merge->node)));
    LLVMValueRef less = LLVMBuildSub(builder, left, LLVMConstInt(as, 1, false), "");
    LLVMValueRef next = LLVMBuildAnd(builder, left, less, "");
    last = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, next, LLVMConstNull(as), ""), loop, after);
    LLVMAddIncoming(left, &bits, &before, 1);
    LLVMAddIncoming(left, &next, &last, 1);
    cg_goto(cg, after);
    LLVMValueRef count =
        LLVMBuildZExt(builder, cg_intrinsic(cg, "llvm.ctpop", &as, 1, &bits, 1), cg->i64, "");
    count = LLVMBuildAdd(builder, count, cg_load_at(cg, cg->i64, lanes->missed, 0), "");
    LLVMValueRef length = cg_load_at(cg, cg->i64, dict, offsetof(Dict, length));
    LLVMValueRef many = LLVMBuildICmp(builder, LLVMIntUGT, length, cg_i64(cg, FEW), "");
    cg_store_at(cg, LLVMBuildSelect(builder, many, cg_i64(cg, MISSED), count, ""), lanes->missed, 0);
}

/* ---- a group of iterations ---- */

static Leaf *spread_all(Filter *lanes, const Type *type, const Leaf *leaves) {
    Leaf *out = cg_leaves(lanes->wide.cg, type);
    for (int i = 0; i < leaf_count(type); i++) out[i] = cg_wide_spread(&lanes->wide, leaves[i]);
    return out;
}

/* The first lane's sum takes a constant as often as there are lanes. */
static void add_constant(Filter *lanes, const Type *type, Leaf constant, Leaf own, LLVMValueRef sum) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMTypeRef as = LLVMIntTypeInContext(cg->context, lanes->wide.width), scalar = cg_scalar_type(cg, type);
    LLVMValueRef bits = LLVMBuildBitCast(builder, own, as, "");
    LLVMValueRef count = cg_intrinsic(cg, "llvm.ctpop", &as, 1, &bits, 1);
    count = LLVMBuildMul(builder, LLVMBuildZExtOrBitCast(builder, count, scalar, ""), constant, "");
    cg_store_at(cg, LLVMBuildAdd(builder, cg_load_at(cg, scalar, sum, 0), count, ""), sum, 0);
}

/* May the count of lanes be a number of that type? */
static bool is_counted(const Filter *lanes, const Few *few, const Type *type, Leaf value) {
    return few->builder->op == OP_add && !type_is_float(type) && LLVMIsAConstantInt(value) &&
           8 * type->size >= (int64_t)lanes->wide.width;
}

/* An entry takes its lanes. */
static void add_to_sums(Filter *lanes, const Few *few, const Leaf *value, Leaf own, LLVMValueRef number) {
    Cg *cg = lanes->wide.cg;
    const Type *type = few->builder->args[1];
    LLVMValueRef sums = sums_of(lanes, few, number);
    int64_t at = 0;
    for (int k = 0; k < leaf_count(type); k++) {
        const Type *scalar = leaf_place(type, k, NULL);
        LLVMValueRef sum = cg_at(cg, sums, at);
        at += sum_bytes(lanes, scalar);
        if (is_counted(lanes, few, scalar, value[k])) {
            add_constant(lanes, scalar, value[k], own, sum);
            continue;
        }
        Leaf before = cg_load_at(cg, sum_type(lanes, scalar), sum, 0);
        Leaf after =
            cg_binary_op(cg, few->builder->op, scalar, before, cg_wide_spread(&lanes->wide, value[k]), true);
        cg_store_at(cg, LLVMBuildSelect(cg->builder, own, after, before, ""), sum, 0);
    }
}

/* Every entry takes its lanes. Returns those that were taken. */
static Leaf visit_entries(Filter *lanes, const Few *few, Leaf words, const Leaf *value, Leaf mask) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMTypeRef bits = LLVMVectorType(cg->i1, lanes->wide.width);
    LLVMValueRef taken = cg_slot(cg, MOST_LANES, 8), count = entries_of(cg, few), zero = cg_i64(cg, 0);
    LLVMBasicBlockRef some = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMBuildStore(builder, LLVMConstNull(bits), taken);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, count, zero, ""), some, after);
    cg_goto(cg, some);
    Counter counter = cg_counter_open(cg, zero, count);
    LLVMValueRef word = LLVMBuildLoad2(builder, word_type(cg, few), word_of(cg, few, counter.index), "");
    Leaf own = LLVMBuildICmp(builder, LLVMIntEQ, words, cg_wide_spread(&lanes->wide, word), "");
    if (mask) own = LLVMBuildAnd(builder, own, mask, "");
    LLVMBuildStore(builder, LLVMBuildOr(builder, LLVMBuildLoad2(builder, bits, taken, ""), own, ""), taken);
    add_to_sums(lanes, few, value, own, counter.index);
    cg_loop_as_is(cg, cg_counter_close(cg, &counter));
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    return LLVMBuildLoad2(builder, bits, taken, "");
}

void cg_few_merge(Filter *lanes, const LaneMerge *merge, const Leaf *pair) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    const Few *few = lanes->few;
    while (few->state != merge->state) few++;
    const Type *key = few->builder->args[0];
    LLVMTypeRef as = LLVMIntTypeInContext(cg->context, lanes->wide.width);
    LLVMTypeRef words = LLVMVectorType(word_type(cg, few), lanes->wide.width);
    Leaf word = small_word(cg, few, spread_all(lanes, key, pair), words);
    Leaf missed = visit_entries(lanes, few, word, pair + leaf_count(key), merge->mask);
    missed = LLVMBuildNot(builder, missed, "");
    if (merge->mask) missed = LLVMBuildAnd(builder, missed, merge->mask, "");
    LLVMValueRef bits = LLVMBuildBitCast(builder, missed, as, "");
    LLVMBasicBlockRef some = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMValueRef any = LLVMBuildICmp(builder, LLVMIntNE, bits, LLVMConstNull(as), "");
    cg_likely(cg, LLVMBuildCondBr(builder, any, some, after), false);
    cg_goto(cg, some);
    merge_missed(lanes, few, merge, merge->node->kids[1]->type, pair, bits);
    list_words(cg, few);
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
}
