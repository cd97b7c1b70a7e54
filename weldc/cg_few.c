/* cg_few.c: merges into dictmergers that have few keys, of several iterations at once.
 *
 *     for(zip(k, x), dictmerger[i8, f64, +], |b, i, e| merge(b, {e.$0, e.$1}))
 *
 * As long as the dictionary has at most FEW entries, each of them has W sums, one for each lane, which start from the
 * value that changes nothing. A group of W iterations, here 8, finds the numbers of its entries in the direct
 * table (lang/dict.c) and visits all entries; each takes the lanes that are its own:
 *
 *     numbers = gather table[keys]                          1 2 1 1 3 2 1 1
 *     number 1: sums[1] += x where numbers == 1             x . x x . . x x
 *     number 2: sums[2] += x where numbers == 2             . x . . . x . .
 *     number 3: ..
 *
 * So no lane waits for the one before it, no branch depends on a key, and of a value with six fields an
 * iteration costs fewer instructions than six loads, additions and stores would. After the loop the lanes are
 * added up, and combined with the entry's value. That is what one writes by hand where the groups are known
 * (vectors under masks: Polychroniou, Ross, Vectorized Bloom Filters and Aggregation, 2014); here they show while the
 * loop runs.
 *
 * A lane whose key leads to none of the first FEW entries is *missed*: it goes through the runtime, alone, which
 * makes an entry for a new key. When there are more than FEW, or many lanes were missed since their keys are not small,
 * the loop stops after the group, and what is left goes one by one (cg_dict.c).
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

void cg_few_open(Filter *lanes) {
    Cg *cg = lanes->wide.cg;
    for (int i = 0; i < lanes->nfew; i++) {
        Few *few = &lanes->few[i];
        const Type *type = few->builder->args[1];
        int leaves = leaf_count(type);
        for (int k = 0; k < leaves; k++) few->row += sum_bytes(lanes, leaf_place(type, k, NULL));
        few->sums = cg_slot(cg, few->row * FEW, LINE);
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

/* The numbers of the lanes' entries, from 1, and 0 where there is none with sums; *missed: the lanes that have one
 * coming. */
static Leaf numbers_of(Filter *lanes, const Few *few, const Leaf *key, Leaf mask, Leaf *missed) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    unsigned width = lanes->wide.width;
    const Type *type = few->builder->args[0];
    Leaf word = cg_key_word(cg, type, key), valid = mask;
    if (key_width(type) > DIRECT_BITS) {
        Leaf most = cg_every_lane(cg_i64(cg, 1 << DIRECT_BITS), width);
        Leaf is_small = LLVMBuildICmp(builder, LLVMIntULT, word, most, "");
        valid = mask ? LLVMBuildAnd(builder, mask, is_small, "") : is_small;
    }
    if (valid) word = LLVMBuildSelect(builder, valid, word, LLVMConstNull(LLVMTypeOf(word)), "");
    LLVMTypeRef numbers = LLVMVectorType(cg->i32, width), bits = LLVMVectorType(cg->i1, width);
    LLVMTypeRef overloads[2] = {numbers, LLVMVectorType(cg->ptr, width)};
    LLVMValueRef args[4] = {LLVMBuildInBoundsGEP2(builder, cg->i32, few->table, &word, 1, ""),
                            cg_i32(cg, sizeof(int32_t)), LLVMConstAllOnes(bits), LLVMGetUndef(numbers)};
    Leaf number = cg_intrinsic(cg, "llvm.masked.gather", overloads, 2, args, 4);
    Leaf one = cg_every_lane(cg_i32(cg, 1), width), last = cg_every_lane(cg_i32(cg, FEW - 1), width);
    Leaf here = LLVMBuildICmp(builder, LLVMIntULE, LLVMBuildSub(builder, number, one, ""), last, "");
    if (valid) here = LLVMBuildAnd(builder, here, valid, "");
    *missed = LLVMBuildNot(builder, here, "");
    if (mask) *missed = LLVMBuildAnd(builder, *missed, mask, "");
    return LLVMBuildSelect(builder, here, number, LLVMConstNull(numbers), "");
}

static Leaf *spread_all(Filter *lanes, const Type *type, const Leaf *leaves) {
    Leaf *out = cg_leaves(lanes->wide.cg, type);
    for (int i = 0; i < leaf_count(type); i++) out[i] = cg_wide_spread(&lanes->wide, leaves[i]);
    return out;
}

/* Every entry takes its lanes. */
static void add_to_sums(Filter *lanes, const Few *few, const Leaf *value, Leaf numbers) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    const Type *type = few->builder->args[1];
    LLVMValueRef one = cg_i64(cg, 1), count = entries_of(cg, few);
    count = LLVMBuildSelect(builder, LLVMBuildICmp(builder, LLVMIntUGT, count, one, ""), count, one, "");
    value = spread_all(lanes, type, value);
    Counter counter = cg_counter_open(cg, cg_i64(cg, 0), count);
    LLVMValueRef number = LLVMBuildTrunc(builder, LLVMBuildAdd(builder, counter.index, one, ""), cg->i32, "");
    Leaf own = LLVMBuildICmp(builder, LLVMIntEQ, numbers, cg_wide_spread(&lanes->wide, number), "");
    LLVMValueRef sums = sums_of(lanes, few, counter.index);
    int64_t at = 0;
    for (int k = 0; k < leaf_count(type); k++) {
        const Type *scalar = leaf_place(type, k, NULL);
        Leaf before = cg_load_at(cg, sum_type(lanes, scalar), sums, at);
        Leaf after = cg_binary_op(cg, few->builder->op, scalar, before, value[k], true);
        cg_store_at(cg, LLVMBuildSelect(builder, own, after, before, ""), sums, at);
        at += sum_bytes(lanes, scalar);
    }
    cg_loop_as_is(cg, cg_counter_close(cg, &counter));
}

void cg_few_merge(Filter *lanes, const LaneMerge *merge, const Leaf *pair) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    const Few *few = lanes->few;
    while (few->state != merge->state) few++;
    const Type *key = few->builder->args[0];
    Leaf missed, numbers = numbers_of(lanes, few, spread_all(lanes, key, pair), merge->mask, &missed);
    LLVMTypeRef as = LLVMIntTypeInContext(cg->context, lanes->wide.width);
    LLVMValueRef bits = LLVMBuildBitCast(builder, missed, as, "");
    LLVMBasicBlockRef some = cg_block(cg, ""), after = cg_block(cg, "");
    LLVMValueRef any = LLVMBuildICmp(builder, LLVMIntNE, bits, LLVMConstNull(as), "");
    cg_likely(cg, LLVMBuildCondBr(builder, any, some, after), false);
    cg_goto(cg, some);
    merge_missed(lanes, few, merge, merge->node->kids[1]->type, pair, bits);
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    add_to_sums(lanes, few, pair + leaf_count(key), numbers);
}
