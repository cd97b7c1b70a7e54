/* cg_filter.c: loops that filter, look for the least or greatest float, or sum up few groups, several iterations at once.
 *
 *     for(v, appender, |b, i, e| if(e < bound, merge(b, e * 2.0), b))
 *
 * is preceded by a loop over whole groups of W iterations, here 8, and gets what they leave:
 *
 *     elements = load 8 at v + i
 *     mask = elements < bound                                   a bit for each lane
 *     store compress(elements * 2.0, mask) at data + length     8 values, of which the first ones count
 *     length += popcount(mask)
 *
 * LLVM's loop vectorizer has no such thing. All values of the loop's body are evaluated as vectors of W lanes,
 * or as scalars where they are the same in all iterations; a condition becomes the mask of the lanes for which
 * it holds, and both arms are evaluated at once. So this is for bodies whose values are cheap and cannot fail:
 * arithmetic on scalars, elements of iterators, lets, selections. Where what only lanes under a condition need
 * is more than a little arithmetic, or loads, it waits behind a branch until the mask is known not to be
 * empty. A merge without a condition is a store of all lanes; mergers get an accumulator in each lane, combined
 * after the loop.
 *
 * Requires: each appender takes at most one value an iteration (so that lanes are in loop order) and has room
 * for one from each. Then a whole vector fits behind its end: before group k its length is at most the
 * initial one + k * W. How lanes are compressed depends on the processor (cg_compress.c); where it cannot,
 * nothing is done here, and cg_merge_if stores one value at a time.
 *
 * Here are conditions, mergers and the loop over groups; cg_filter_plan.c says which loops, cg_filter_load.c what
 * names mean, cg_wide.c what expressions mean, cg_compress.c how lanes get into an appender, cg_few.c how they get
 * into a dictmerger.
 */
#include "cg_filter.h"

#include <math.h>

/* ---- the body: conditions become masks, merges are noted ---- */

static Leaf both(const Filter *lanes, Leaf a, Leaf b) {
    return a ? LLVMBuildAnd(lanes->wide.cg->builder, a, b, "") : b;
}

static int loop_leaf(const Filter *lanes, LLVMValueRef state) {
    int leaf = 0;
    while (lanes->loop->builders[leaf] != state) leaf++;
    return leaf;
}

/* Returns the states of the builders that the body makes of the loop's. mask: NULL: all lanes. */
static Leaf *body_of(Filter *lanes, const Node *node, Leaf mask) {
    Cg *cg = lanes->wide.cg;
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (node->symbol->type->builders)
            cg_filter_late(lanes, node->symbol)->leaves = body_of(lanes, node->kids[0], mask);
    }
    Leaf *out, condition;
    switch (node->kind) {
    case N_Field: return body_of(lanes, node->kids[0], mask) + leaf_at(node->kids[0]->type, node->index);
    case N_If:
        condition = cg_wide_spread(&lanes->wide, cg_wide_one(&lanes->wide, node->kids[0]));
        body_of(lanes, node->kids[1], both(lanes, mask, condition));
        return body_of(lanes, node->kids[2], both(lanes, mask, LLVMBuildNot(cg->builder, condition, "")));
    case N_Merge:
        out = body_of(lanes, node->kids[0], mask);
        lanes->merges[lanes->nmerges++] =
            (LaneMerge){node->type, out[0], loop_leaf(lanes, out[0]), mask, node, node->kids[1], false};
        return out;
    case N_Struct:
        out = cg_leaves(cg, node->type);
        for (int i = 0, at = 0; i < node->count; at += leaf_count(node->kids[i++]->type)) {
            const Leaf *field = body_of(lanes, node->kids[i], mask);
            for (int k = 0; k < leaf_count(node->kids[i]->type); k++) out[at + k] = field[k];
        }
        return out;
    default: /* a name */
        return node->symbol == lanes->loop->lambda->params[0] ? lanes->loop->builders
                                                              : cg_filter_late(lanes, node->symbol)->leaves;
    }
}

/* ---- mergers ---- */

/* cg_neutral, of floats that are compared, too: y + -0.0 is y, fmin(y, NaN) is y. */
Leaf cg_filter_neutral(Cg *cg, Op op, const Type *type) {
    bool compared = type_is_float(type) && (op == OP_min || op == OP_max);
    return compared ? LLVMConstReal(cg_scalar_type(cg, type), (double)NAN) : cg_neutral(cg, op, type);
}

/* A slot of lanes for each leaf of each merger, at the place of its builder's leaf. */
static void open_accumulators(Filter *lanes, const Type *builder, int leaf) {
    Cg *cg = lanes->wide.cg;
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++) {
        open_accumulators(lanes, builder->args[i], leaf);
        leaf += leaf_count(builder->args[i]);
    }
    if (builder->kind != TY_merger) return;
    const Type *type = builder->args[0];
    Leaf *slots = lanes->accumulators[leaf] = cg_leaves(cg, type);
    for (int i = 0; i < leaf_count(type); i++) {
        const Type *scalar = leaf_place(type, i, NULL);
        slots[i] = cg_slot(cg, scalar->size * lanes->wide.width, 64);
        cg_store_at(cg, cg_every_lane(cg_filter_neutral(cg, builder->op, scalar), lanes->wide.width),
                    slots[i], 0);
    }
}

static void accumulate(Filter *lanes, const LaneMerge *merge, const Leaf *value) {
    Cg *cg = lanes->wide.cg;
    const Type *type = merge->builder->args[0];
    for (int i = 0; i < leaf_count(type); i++) {
        const Type *scalar = leaf_place(type, i, NULL);
        LLVMValueRef slot = lanes->accumulators[merge->leaf][i];
        Leaf before = cg_load_at(cg, LLVMVectorType(cg_scalar_type(cg, scalar), lanes->wide.width), slot, 0);
        Leaf after = cg_binary_op(cg, merge->builder->op, scalar, before,
                                  cg_wide_spread(&lanes->wide, value[i]), true);
        if (merge->mask) after = LLVMBuildSelect(cg->builder, merge->mask, after, before, "");
        cg_store_at(cg, after, slot, 0);
    }
}

/* Halves of the lanes are combined until one is left, and that with the merger's value. */
static void close_accumulators(Filter *lanes, const Type *builder, int leaf) {
    Cg *cg = lanes->wide.cg;
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++) {
        close_accumulators(lanes, builder->args[i], leaf);
        leaf += leaf_count(builder->args[i]);
    }
    if (builder->kind != TY_merger) return;
    const Type *type = builder->args[0];
    Leaf *value = cg_leaves(cg, type);
    for (int i = 0; i < leaf_count(type); i++) {
        const Type *scalar = leaf_place(type, i, NULL);
        LLVMTypeRef as = LLVMVectorType(cg_scalar_type(cg, scalar), lanes->wide.width);
        Leaf all = cg_load_at(cg, as, lanes->accumulators[leaf][i], 0);
        for (unsigned half = lanes->wide.width / 2; half; half /= 2) {
            Leaf low = cg_wide_part(cg, all, 0, half), high = cg_wide_part(cg, all, half, half);
            all = cg_binary_op(cg, builder->op, scalar, low, high, true);
        }
        value[i] = LLVMBuildExtractElement(cg->builder, all, cg_i32(cg, 0), "");
    }
    cg_combine_at(cg, type, builder->op, lanes->loop->builders[leaf], value);
}

/* ---- a group of iterations ---- */

/* An appender takes at most one value an iteration: merges into the same one exclude each other, and become
 * one of either value. */
static void append(Filter *lanes, int first) {
    Cg *cg = lanes->wide.cg;
    LaneMerge merge = lanes->merges[first];
    const Type *type = merge.builder->args[0];
    Leaf *value = cg_wide_expr(&lanes->wide, merge.value), *either = cg_leaves(cg, type);
    for (int i = first + 1; i < lanes->nmerges; i++) {
        LaneMerge *other = &lanes->merges[i];
        if (other->state != merge.state) continue;
        const Leaf *that = cg_wide_expr(&lanes->wide, other->value);
        for (int k = 0; k < leaf_count(type); k++) {
            Leaf a = cg_wide_spread(&lanes->wide, that[k]), b = cg_wide_spread(&lanes->wide, value[k]);
            either[k] = LLVMBuildSelect(cg->builder, other->mask, a, b, "");
        }
        value = either;
        merge.mask = LLVMBuildOr(cg->builder, merge.mask, other->mask, "");
        other->done = true;
    }
    cg_filter_append(lanes, &merge, value);
}

static void merge_all(Filter *lanes, bool conditional) {
    for (int i = 0; i < lanes->nmerges; i++) {
        LaneMerge *merge = &lanes->merges[i];
        if (merge->done || (merge->mask != NULL) != conditional) continue;
        merge->done = true;
        if (merge->builder->kind == TY_merger)
            accumulate(lanes, merge, cg_wide_expr(&lanes->wide, merge->value));
        else if (merge->builder->kind == TY_dictmerger)
            cg_few_merge(lanes, merge, cg_wide_expr(&lanes->wide, merge->value));
        else
            append(lanes, i);
    }
}

/* Is the value there once the conditions are, or little work from there? */
static bool is_at_hand(Filter *lanes, const Node *node, int *budget) {
    const Node *name = node;
    int at = 0;
    if (--*budget < 0) return false;
    if (node->kind == N_Literal) return true;
    for (; name->kind == N_Field; name = name->kids[0]) at += leaf_at(name->kids[0]->type, name->index);
    if (name->kind == N_Ident) {
        const Late *late = cg_filter_late(lanes, name->symbol);
        if (late) return late->leaves || is_at_hand(lanes, late->value, budget);
        return name->symbol != lanes->loop->lambda->params[2] || lanes->element[at];
    }
    bool unary = node->kind == N_Unary || node->kind == N_Cast, binary = node->kind == N_Binary;
    if ((!unary && !binary) || op_classes[node->op].class == 'f') return false;
    return is_at_hand(lanes, node->kids[0], budget) && (unary || is_at_hand(lanes, node->kids[1], budget));
}

/* Values at hand are stored at once, if only to be written over: less than a branch costs that is not
 * foreseen. */
static bool waits(Filter *lanes) {
    enum { STORED = 2, WORK = 6 };
    int stored = 0, work = WORK;
    for (int i = 0; i < lanes->nmerges; i++) {
        const LaneMerge *merge = &lanes->merges[i];
        if (!merge->mask) continue;
        bool scalar = merge->builder->args[0]->kind != TY_struct;
        if (!scalar || ++stored > STORED || !is_at_hand(lanes, merge->value, &work)) return true;
    }
    return false;
}

/* ---- groups of which no iteration is kept ---- */

/* To compress a group takes AVX2 some twenty instructions. Where fewer than one iteration in THIN was kept so far, there is a
 * branch around them for groups of which none is; the branch is foreseen then, as is the one that asks for so few. */
enum { THIN = 32 };

static LLVMValueRef thin_measure(Filter *lanes, LLVMValueRef index) {
    Cg *cg = lanes->wide.cg;
    LLVMValueRef kept = LLVMBuildMul(cg->builder, cg_appender_length(cg, lanes->thin), cg_i64(cg, THIN), "");
    return LLVMBuildSub(cg->builder, kept, index, "");
}

/* Before the groups: the first appender tells. */
static void open_thin(Filter *lanes, const Type *builder, int leaf, LLVMValueRef begin) {
    Cg *cg = lanes->wide.cg;
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++) {
        open_thin(lanes, builder->args[i], leaf, begin);
        leaf += leaf_count(builder->args[i]);
    }
    if (builder->kind != TY_appender || cg->compress != COMPRESS_PERMUTE || lanes->thin) return;
    lanes->thin = lanes->loop->builders[leaf];
    lanes->start = thin_measure(lanes, begin);
}

/* The lengths of appenders that values under conditions go to, as they are now. */
static int note_lengths(Filter *lanes, LLVMValueRef *state, LLVMValueRef *length) {
    int count = 0;
    for (int i = 0; i < lanes->nmerges; i++) {
        const LaneMerge *merge = &lanes->merges[i];
        bool known = !merge->mask || merge->builder->kind != TY_appender;
        for (int k = 0; k < count && !known; k++) known = state[k] == merge->state;
        if (known) continue;
        state[count] = merge->state;
        length[count++] = cg_appender_length(lanes->wide.cg, merge->state);
    }
    return count;
}

/* Merges under conditions, behind a branch for groups in which one of these holds. Lengths are set on both ways, or LLVM would not
 * keep them in registers. */
static void merge_some(Filter *lanes, Leaf any, bool always) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMBasicBlockRef some = cg_block(cg, "some"), after = cg_block(cg, ""), from[2];
    LLVMValueRef state[MOST_MERGES], length[MOST_MERGES];
    int count = note_lengths(lanes, state, length);
    if (!always) {
        LLVMBasicBlockRef ask = cg_block(cg, "thin");
        LLVMValueRef few =
            LLVMBuildICmp(builder, LLVMIntSLT, thin_measure(lanes, lanes->index), lanes->start, "");
        LLVMBuildCondBr(builder, few, ask, some);
        cg_goto(cg, ask);
    }
    bool halves = cg->compress == COMPRESS_PERMUTE && lanes->widest == 8;
    LLVMValueRef bits = cg_mask_bits(cg, any, halves ? lanes->wide.width / 2 : lanes->wide.width);
    from[0] = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, bits, cg_i64(cg, 0), ""), some, after);
    cg_goto(cg, some);
    merge_all(lanes, true);
    LLVMValueRef now[MOST_MERGES];
    for (int i = 0; i < count; i++) now[i] = cg_appender_length(cg, state[i]);
    from[1] = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    for (int i = 0; i < count; i++) {
        LLVMValueRef lengths[2] = {length[i], now[i]};
        length[i] = LLVMBuildPhi(builder, cg->i64, "");
        LLVMAddIncoming(length[i], lengths, from, 2);
    }
    for (int i = 0; i < count; i++) cg_appender_set_length(cg, state[i], length[i]);
}

/* Merges under conditions that cost wait for a lane for which one of these holds. */
static void group(Filter *lanes) {
    Leaf any = NULL;
    lanes->nmerges = 0;
    body_of(lanes, lanes->loop->lambda->kids[0], NULL);
    merge_all(lanes, false);
    bool late = waits(lanes);
    for (int i = 0; i < lanes->nmerges; i++) {
        Leaf mask = lanes->merges[i].mask;
        if (mask) any = any ? LLVMBuildOr(lanes->wide.cg->builder, any, mask, "") : mask;
    }
    if (any && (late || lanes->thin))
        merge_some(lanes, any, late);
    else
        merge_all(lanes, true);
}

/* The plan listed the lets: they are evaluated where their names are. */
Leaf *cg_filter_other(Wide *wide, const Node *let) {
    return cg_wide_expr(wide, let->kids[1]);
}

/* Groups from `begin` on, of which there is at least one, to `stop`, or fewer where dictmergers have many keys. Returns
 * the first iteration left. */
static LLVMValueRef all_groups(Filter *lanes, LLVMValueRef begin, LLVMValueRef stop) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    if (lanes->nfew) cg_few_open(lanes);
    open_thin(lanes, lanes->loop->builder, 0, begin);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), body = cg_block(cg, "lanes"), last,
                      after = cg_block(cg, "");
    LLVMBuildBr(builder, body);
    cg_goto(cg, body);
    lanes->index = LLVMBuildPhi(builder, cg->i64, "");
    group(lanes);
    LLVMValueRef next = LLVMBuildNUWAdd(builder, lanes->index, cg_i64(cg, lanes->wide.width), "");
    LLVMValueRef more = LLVMBuildICmp(builder, LLVMIntNE, next, stop, "");
    if (lanes->nfew) more = LLVMBuildAnd(builder, more, cg_few_goes_on(lanes), "");
    last = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, more, body, after);
    LLVMAddIncoming(lanes->index, &begin, &before, 1);
    LLVMAddIncoming(lanes->index, &next, &last, 1);
    cg_goto(cg, after);
    cg_few_close(lanes);
    return next;
}

LLVMValueRef cg_filter_loop(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end) {
    LLVMBuilderRef builder = cg->builder;
    Filter lanes = {.wide = {cg, 0, cg_filter_name, cg_filter_other}, .loop = loop};
    lanes.wide.width = cg_filter_plan(&lanes);
    if (!lanes.wide.width) return begin;
    int leaves = leaf_count(loop->builder);
    lanes.accumulators = arena_alloc(&cg->program->arena, sizeof *lanes.accumulators * (size_t)leaves);
    lanes.element = cg_leaves(cg, loop->lambda->params[2]->type);
    if (!lanes.accumulators || !lanes.element) return begin;
    LLVMValueRef whole = LLVMBuildAnd(builder, LLVMBuildSub(builder, end, begin, ""),
                                      cg_i64(cg, -(int64_t)lanes.wide.width), "");
    LLVMValueRef stop = LLVMBuildAdd(builder, begin, whole, "");
    open_accumulators(&lanes, loop->builder, 0);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), enter = cg_block(cg, ""),
                      after = cg_block(cg, "");
    LLVMValueRef some = LLVMBuildICmp(builder, LLVMIntNE, begin, stop, "");
    if (lanes.nfew) some = LLVMBuildAnd(builder, some, cg_few_pays(&lanes), "");
    LLVMBuildCondBr(builder, some, enter, after);
    cg_goto(cg, enter);
    LLVMValueRef next = all_groups(&lanes, begin, stop);
    LLVMBasicBlockRef last = LLVMGetInsertBlock(builder);
    LLVMBuildBr(builder, after);
    cg_goto(cg, after);
    LLVMValueRef left = LLVMBuildPhi(builder, cg->i64, "");
    LLVMAddIncoming(left, &begin, &before, 1);
    LLVMAddIncoming(left, &next, &last, 1);
    close_accumulators(&lanes, loop->builder, 0);
    return left;
}
