/* cg_filter_load.c: what the names of a loop's body mean in a group of lanes (cg_filter.c).
 *
 *     e         of a vector of scalars: one load, W elements side by side
 *     e.$1      of {f64, f64}: one load of 2W scalars, every second picked; of other structs: W loads
 *     i         index + {0, 1, ..}
 *     a let     its value, evaluated where it is first asked for
 *     others    the scalar that they are before the loop
 *
 * Leaves of elements are loaded when they are first asked for, and only those: where a group waits behind a branch
 * for a lane for which its condition holds, what only the merge needs is loaded there.
 */
#include "cg_filter.h"

static bool all_of_size(const Type *type, int64_t size) {
    if (type->kind != TY_struct) return type_is_scalar(type) && type->size == size;
    for (int i = 0; i < type->count; i++) {
        if (!all_of_size(type->args[i], size)) return false;
    }
    return true;
}

unsigned cg_filter_even(const Type *type) {
    int count = type->kind == TY_struct ? leaf_count(type) : 0;
    return (count == 2 || count == 4) && all_of_size(type, type->size / count) ? (unsigned)count : 0;
}

/* Elements `first`, first + step, ... of two vectors in a row. */
static Leaf pick(Cg *cg, Leaf a, Leaf b, unsigned first, unsigned step, unsigned count) {
    LLVMValueRef mask[MOST_LANES];
    for (unsigned i = 0; i < count; i++) mask[i] = cg_i32(cg, (int32_t)(first + i * step));
    return LLVMBuildShuffleVector(cg->builder, a, b, LLVMConstVector(mask, count), "");
}

/* The lanes' numbers start, start + stride, ... */
static Leaf numbers(const Filter *lanes, LLVMValueRef stride) {
    Cg *cg = lanes->wide.cg;
    LLVMValueRef steps[MOST_LANES];
    for (unsigned i = 0; i < lanes->wide.width; i++) steps[i] = cg_i64(cg, i);
    Leaf index = LLVMBuildAdd(cg->builder, cg_wide_spread(&lanes->wide, lanes->index),
                              LLVMConstVector(steps, lanes->wide.width), "");
    return stride ? LLVMBuildMul(cg->builder, index, cg_wide_spread(&lanes->wide, stride), "") : index;
}

/* A scalar `offset` bytes into each element. Those of a vector of scalars lie side by side, of even structs at
 * even distances; others are gathered. */
static Leaf load_lanes(const Filter *lanes, const Cursor *cursor, const Type *type, int64_t offset) {
    Cg *cg = lanes->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef first = LLVMBuildAdd(builder, cursor->start, lanes->index, "");
    if (cursor->element == type)
        return cg_wide_load(&lanes->wide, type, cg_element(cg, type, cursor->data, first));
    bool boolean = type->kind == TY_bool;
    LLVMTypeRef scalar = boolean ? cg->i8 : cg_scalar_type(cg, type),
                as = LLVMVectorType(scalar, lanes->wide.width);
    Leaf out = LLVMGetUndef(as);
    if (cg_filter_even(cursor->element)) {
        unsigned step = cg_filter_even(cursor->element);
        out = LLVMBuildLoad2(builder, LLVMVectorType(scalar, lanes->wide.width * step),
                             cg_element(cg, cursor->element, cursor->data, first), "");
        LLVMSetAlignment(out, (unsigned)type->align);
        out = pick(cg, out, LLVMGetUndef(LLVMTypeOf(out)), (unsigned)(offset / type->size), step,
                   lanes->wide.width);
    } else {
        LLVMValueRef at = cg_at(cg, cg_element(cg, cursor->element, cursor->data, first), offset);
        for (unsigned i = 0; i < lanes->wide.width; i++) {
            Leaf one = cg_load_at(cg, scalar, at, cursor->element->size * i);
            LLVMSetAlignment(one, (unsigned)type->align);
            out = LLVMBuildInsertElement(builder, out, one, cg_i32(cg, (int32_t)i), "");
        }
    }
    return boolean ? LLVMBuildICmp(builder, LLVMIntNE, out, LLVMConstNull(as), "") : out;
}

static Leaf element_leaf(Filter *lanes, int leaf) {
    if (lanes->element[leaf]) return lanes->element[leaf];
    const Cursor *cursor = lanes->loop->cursors;
    int at = leaf;
    for (; at >= (cursor->element ? leaf_count(cursor->element) : 1); cursor++)
        at -= cursor->element ? leaf_count(cursor->element) : 1;
    Leaf value;
    if (cursor->element) {
        int64_t offset = 0;
        const Type *type = leaf_place(cursor->element, at, &offset);
        value = load_lanes(lanes, cursor, type, offset);
    } else {
        value = numbers(lanes, cg_is_constant(cursor->stride, 1) ? NULL : cursor->stride);
        value = LLVMBuildAdd(lanes->wide.cg->builder, cg_wide_spread(&lanes->wide, cursor->start), value, "");
    }
    return lanes->element[leaf] = value;
}

Leaf *cg_filter_name(Wide *wide, const Node *node, int at, int count) {
    Filter *lanes = (Filter *)wide;
    const Node *lambda = lanes->loop->lambda;
    if (node->symbol == lambda->params[1]) {
        if (!lanes->number) lanes->number = numbers(lanes, NULL);
        return &lanes->number;
    }
    if (node->symbol == lambda->params[2]) {
        for (int i = 0; i < count; i++) element_leaf(lanes, at + i);
        return lanes->element + at;
    }
    Late *late = cg_filter_late(lanes, node->symbol);
    if (!late) return lanes->wide.cg->values[node->symbol->id] + at;
    if (!late->leaves) late->leaves = cg_wide_expr(&lanes->wide, late->value);
    return late->leaves + at;
}
