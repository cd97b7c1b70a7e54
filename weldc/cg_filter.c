/* cg_filter.c: loops that filter, or look for the least or greatest float, several iterations at once.
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
 * initial one + k * W. How lanes are compressed depends on the processor (compress below); where it cannot,
 * nothing is done here, and cg_merge_if stores one value at a time.
 */
#include "cg.h"

#include <math.h>
#include <stddef.h>

enum { MOST_LETS = 64, MOST_MERGES = 16, MOST_NODES = 128 };

/* A let of the body, evaluated when it is first used. */
typedef struct Late {
    const Symbol *symbol;
    const Node *value;
    Leaf *leaves; /* NULL: not yet */
} Late;

typedef struct LaneMerge {
    const Type *builder;
    LLVMValueRef state;
    int leaf;  /* of the loop's builders */
    Leaf mask; /* NULL: all lanes */
    const Node *value;
    bool done;
} LaneMerge;

typedef struct Filter {
    Cg *cg;
    const Loop *loop;
    unsigned width;
    LLVMValueRef index;    /* of the first iteration of the group */
    Leaf number, *element; /* of the iterations; element: NULL for leaves that are not loaded yet */
    Leaf **accumulators;   /* of the mergers' leaves, by the loop's leaf */
    Late lets[MOST_LETS];
    int nlets, budget;
    int64_t widest; /* scalar in the body */
    LaneMerge merges[MOST_MERGES];
    int nmerges;
} Filter;

/* ---- which loops ---- */

static bool is_flat(const Type *type) {
    if (type->kind != TY_struct) return type_is_scalar(type);
    for (int i = 0; i < type->count; i++) {
        if (!is_flat(type->args[i])) return false;
    }
    return true;
}

static int64_t largest_scalar(const Type *type) {
    if (type->kind != TY_struct) return type->size;
    int64_t largest = 1;
    for (int i = 0; i < type->count; i++) {
        int64_t size = largest_scalar(type->args[i]);
        if (size > largest) largest = size;
    }
    return largest;
}

static Late *late_of(Filter *lanes, const Symbol *symbol) {
    for (int i = lanes->nlets - 1; i >= 0; i--) {
        if (lanes->lets[i].symbol == symbol) return &lanes->lets[i];
    }
    return NULL;
}

static bool late_add(Filter *lanes, const Node *let) {
    if (late_of(lanes, let->symbol)) return true;
    if (lanes->nlets == MOST_LETS) return false;
    lanes->lets[lanes->nlets++] = (Late){let->symbol, let->kids[0], NULL};
    return true;
}

/* Known before the loop, the same in every iteration. */
static bool is_uniform_name(Filter *lanes, const Node *node) {
    const Node *lambda = lanes->loop->lambda;
    if (node->kind != N_Ident || late_of(lanes, node->symbol)) return false;
    return node->symbol != lambda->params[1] && node->symbol != lambda->params[2] &&
           lanes->cg->values[node->symbol->id];
}

static bool is_body_name(Filter *lanes, const Node *node) {
    const Node *lambda = lanes->loop->lambda;
    return node->symbol == lambda->params[1] || node->symbol == lambda->params[2] ||
           late_of(lanes, node->symbol);
}

static bool takes_operator(Filter *lanes, const Node *node) {
    const Type *type = node->type;
    if (!type_is_scalar(node->kids[0]->type)) return false;
    if (node->kind == N_Compare) return true;
    const OpClass *op = &op_classes[node->op];
    bool math = op->class == 'f' || (node->op == OP_rem && type_is_float(type));
    if (math) return cg_math_has_lanes(lanes->cg, node->op, type, lanes->width);
    if (node->kind == N_Unary || !(op->traits & FAILS) || type_is_float(type)) return true;
    /* Division by a known number is a multiplication; 64 bits of it are not worth it. */
    const Node *divisor = node->kids[1];
    return divisor->kind == N_Literal && type->size <= 4 && divisor->bits != 0 &&
           (!type_is_signed(type) || (divisor->bits & 0x7fffffff) >> (8 * type->size - 1) == 0);
}

static bool takes_value(Filter *lanes, const Node *node);

static bool takes_field(Filter *lanes, const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    if (node->kind != N_Ident) return takes_value(lanes, node);
    return is_body_name(lanes, node) || is_uniform_name(lanes, node);
}

static bool takes_value(Filter *lanes, const Node *node) {
    if (--lanes->budget < 0 || !is_flat(node->type)) return false;
    int64_t size = largest_scalar(node->type);
    if (size > lanes->widest) lanes->widest = size;
    switch (node->kind) {
    case N_Literal: return true;
    case N_Ident: return is_body_name(lanes, node) || is_uniform_name(lanes, node);
    case N_Field: return takes_field(lanes, node);
    case N_Len: return is_uniform_name(lanes, node->kids[0]);
    case N_Unary:
    case N_Binary:
    case N_Compare:
        if (!takes_operator(lanes, node)) return false;
        break;
    case N_Let:
        if (!is_flat(node->symbol->type) || !late_add(lanes, node)) return false;
        break;
    case N_Cast:
    case N_Struct:
    case N_And:
    case N_Or:
    case N_Select:
    case N_If: break;
    default: return false;
    }
    for (int i = 0; i < node->count; i++) {
        if (!takes_value(lanes, node->kids[i])) return false;
    }
    return true;
}

static bool takes_body(Filter *lanes, const Node *node) {
    if (--lanes->budget < 0) return false;
    switch (node->kind) {
    case N_Ident: return node->symbol == lanes->loop->lambda->params[0] || late_of(lanes, node->symbol);
    case N_Field: return takes_body(lanes, node->kids[0]);
    case N_Let:
        if (!(node->symbol->type->builders ? takes_body : takes_value)(lanes, node->kids[0])) return false;
        return late_add(lanes, node) && takes_body(lanes, node->kids[1]);
    case N_If:
        return takes_value(lanes, node->kids[0]) && takes_body(lanes, node->kids[1]) &&
               takes_body(lanes, node->kids[2]);
    case N_Merge:
        if (++lanes->nmerges > MOST_MERGES || node->kids[1]->type != node->type->args[0]) return false;
        return takes_body(lanes, node->kids[0]) && takes_value(lanes, node->kids[1]);
    case N_Struct:
        for (int i = 0; i < node->count; i++) {
            if (!takes_body(lanes, node->kids[i])) return false;
        }
        return true;
    default: return false;
    }
}

/* Of what the builders take: the largest scalar, whether one takes some under a condition, and whether all
 * can. */
/* What LLVM's vectorizer leaves to this file: merges under a condition into appenders, and the least or greatest of
 * floats, of which a NaN must not be one. */
typedef struct Takes {
    int64_t largest;
    bool conditional, extreme, all;
} Takes;

static bool is_extreme(const Type *type, Op op) {
    if (type->kind != TY_struct) return type_is_float(type) && (op == OP_min || op == OP_max);
    for (int i = 0; i < type->count; i++) {
        if (is_extreme(type->args[i], op)) return true;
    }
    return false;
}

static void look_at_builders(Cg *cg, const Loop *loop, const Type *builder, int leaf, Takes *out) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            look_at_builders(cg, loop, builder->args[i], leaf, out);
            leaf += leaf_count(builder->args[i]);
        }
        return;
    }
    const Type *type = builder->args[0];
    bool appender = builder->kind == TY_appender;
    if ((!appender && builder->kind != TY_merger) || !is_flat(type)) {
        out->all = false;
        return;
    }
    if (!appender) {
        out->all = out->all && type->kind != TY_bool;
        out->extreme = out->extreme || is_extreme(type, builder->op);
        return;
    }
    MergeBound bound = merge_bound(&cg->merges, loop->lambda->kids[0], loop->lambda->params[0], leaf);
    if (bound.most == 0) return;
    out->all = out->all && bound.most == 1 && cg_has_room(cg, loop->builders[leaf]);
    out->conditional = out->conditional || bound.least == 0;
    int64_t size = largest_scalar(type);
    if (size > out->largest) out->largest = size;
}

/* ---- values ---- */

static bool has_lanes(Leaf leaf) {
    return LLVMGetTypeKind(LLVMTypeOf(leaf)) == LLVMVectorTypeKind;
}

static Leaf spread(const Filter *lanes, Leaf leaf) {
    Cg *cg = lanes->cg;
    if (has_lanes(leaf)) return leaf;
    if (LLVMIsConstant(leaf)) return cg_every_lane(leaf, lanes->width);
    LLVMTypeRef as = LLVMVectorType(LLVMTypeOf(leaf), lanes->width);
    Leaf first = LLVMBuildInsertElement(cg->builder, LLVMGetUndef(as), leaf, cg_i32(cg, 0), "");
    LLVMValueRef zeros = LLVMConstNull(LLVMVectorType(cg->i32, lanes->width));
    return LLVMBuildShuffleVector(cg->builder, first, LLVMGetUndef(as), zeros, "");
}

/* Either both have lanes or none. */
static void level(const Filter *lanes, Leaf *a, Leaf *b) {
    if (has_lanes(*a)) *b = spread(lanes, *b);
    if (has_lanes(*b)) *a = spread(lanes, *a);
}

Leaf cg_lane_part(Cg *cg, Leaf vector, unsigned from, unsigned count) {
    LLVMValueRef mask[MOST_LANES];
    if (count == LLVMGetVectorSize(LLVMTypeOf(vector))) return vector;
    for (unsigned i = 0; i < count; i++) mask[i] = cg_i32(cg, (int32_t)(from + i));
    return LLVMBuildShuffleVector(cg->builder, vector, LLVMGetUndef(LLVMTypeOf(vector)),
                                  LLVMConstVector(mask, count), "");
}

Leaf cg_lane_join(Cg *cg, Leaf *parts, unsigned count) {
    LLVMValueRef mask[MOST_LANES];
    for (; count > 1; count /= 2) {
        unsigned lanes = 2 * LLVMGetVectorSize(LLVMTypeOf(parts[0]));
        for (unsigned i = 0; i < lanes; i++) mask[i] = cg_i32(cg, (int32_t)i);
        for (unsigned i = 0; i < count / 2; i++) {
            parts[i] = LLVMBuildShuffleVector(cg->builder, parts[2 * i], parts[2 * i + 1],
                                              LLVMConstVector(mask, lanes), "");
        }
    }
    return parts[0];
}

static bool all_of_size(const Type *type, int64_t size) {
    if (type->kind != TY_struct) return type_is_scalar(type) && type->size == size;
    for (int i = 0; i < type->count; i++) {
        if (!all_of_size(type->args[i], size)) return false;
    }
    return true;
}

/* Of a struct of 2 or 4 scalars of one size: how many; else 0. */
static unsigned even_leaves(const Type *type) {
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
    Cg *cg = lanes->cg;
    LLVMValueRef steps[MOST_LANES];
    for (unsigned i = 0; i < lanes->width; i++) steps[i] = cg_i64(cg, i);
    Leaf index =
        LLVMBuildAdd(cg->builder, spread(lanes, lanes->index), LLVMConstVector(steps, lanes->width), "");
    return stride ? LLVMBuildMul(cg->builder, index, spread(lanes, stride), "") : index;
}

static bool is_one(LLVMValueRef value) {
    return LLVMIsAConstantInt(value) && LLVMConstIntGetSExtValue(value) == 1;
}

/* A scalar `offset` bytes into each element. Those of a vector of scalars lie side by side, of even structs at
 * even distances; others are gathered. */
static Leaf load_lanes(const Filter *lanes, const Cursor *cursor, const Type *type, int64_t offset) {
    Cg *cg = lanes->cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef first = LLVMBuildAdd(builder, cursor->start, lanes->index, "");
    bool boolean = type->kind == TY_bool;
    LLVMTypeRef scalar = boolean ? cg->i8 : cg_scalar_type(cg, type),
                as = LLVMVectorType(scalar, lanes->width);
    Leaf out = LLVMGetUndef(as);
    if (cursor->element == type) {
        out = LLVMBuildLoad2(builder, as, cg_element(cg, type, cursor->data, first), "");
        LLVMSetAlignment(out, (unsigned)type->align);
    } else if (even_leaves(cursor->element)) {
        unsigned step = even_leaves(cursor->element);
        out = LLVMBuildLoad2(builder, LLVMVectorType(scalar, lanes->width * step),
                             cg_element(cg, cursor->element, cursor->data, first), "");
        LLVMSetAlignment(out, (unsigned)type->align);
        out =
            pick(cg, out, LLVMGetUndef(LLVMTypeOf(out)), (unsigned)(offset / type->size), step, lanes->width);
    } else {
        LLVMValueRef at = cg_at(cg, cg_element(cg, cursor->element, cursor->data, first), offset);
        for (unsigned i = 0; i < lanes->width; i++) {
            Leaf one = cg_load_at(cg, scalar, at, cursor->element->size * i);
            LLVMSetAlignment(one, (unsigned)type->align);
            out = LLVMBuildInsertElement(builder, out, one, cg_i32(cg, (int32_t)i), "");
        }
    }
    return boolean ? LLVMBuildICmp(builder, LLVMIntNE, out, LLVMConstNull(as), "") : out;
}

/* The type and offset of a struct's leaf; vectors in it are two leaves. */
static const Type *leaf_place(const Type *type, int leaf, int64_t *offset) {
    while (type->kind == TY_struct) {
        int field = 0;
        while (leaf >= leaf_count(type->args[field])) leaf -= leaf_count(type->args[field++]);
        *offset += type->offsets[field];
        type = type->args[field];
    }
    return type;
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
        value = numbers(lanes, is_one(cursor->stride) ? NULL : cursor->stride);
        value = LLVMBuildAdd(lanes->cg->builder, spread(lanes, cursor->start), value, "");
    }
    return lanes->element[leaf] = value;
}

static Leaf *value_of(Filter *lanes, const Node *node);

static Leaf one_of(Filter *lanes, const Node *node) {
    return value_of(lanes, node)[0];
}

/* `count` leaves of a name from leaf `at` on. */
static Leaf *name_leaves(Filter *lanes, const Node *node, int at, int count) {
    const Node *lambda = lanes->loop->lambda;
    if (node->symbol == lambda->params[1]) {
        if (!lanes->number) lanes->number = numbers(lanes, NULL);
        return &lanes->number;
    }
    if (node->symbol == lambda->params[2]) {
        for (int i = 0; i < count; i++) element_leaf(lanes, at + i);
        return lanes->element + at;
    }
    Late *late = late_of(lanes, node->symbol);
    if (!late) return lanes->cg->values[node->symbol->id] + at;
    if (!late->leaves) late->leaves = value_of(lanes, late->value);
    return late->leaves + at;
}

static Leaf *field_leaves(Filter *lanes, const Node *node) {
    int at = 0, count = leaf_count(node->type);
    for (; node->kind == N_Field; node = node->kids[0]) at += leaf_at(node->kids[0]->type, node->index);
    return node->kind == N_Ident ? name_leaves(lanes, node, at, count) : value_of(lanes, node) + at;
}

static Leaf binary_of(Filter *lanes, const Node *node) {
    Cg *cg = lanes->cg;
    Leaf a = one_of(lanes, node->kids[0]), b = one_of(lanes, node->kids[1]);
    level(lanes, &a, &b);
    if (node->kind == N_Compare) return cg_compare_op(cg, node->op, node->kids[0]->type, a, b);
    if (node->kind == N_And) return LLVMBuildAnd(cg->builder, a, b, "");
    if (node->kind == N_Or) return LLVMBuildOr(cg->builder, a, b, "");
    bool divides = (op_classes[node->op].traits & FAILS) && !type_is_float(node->type);
    if (!divides) return cg_binary_op(cg, node->op, node->type, a, b, false);
    /* By a literal other than 0 and -1: takes_operator. */
    bool is_signed = type_is_signed(node->type), rest = node->op == OP_rem;
    LLVMOpcode opcode = rest ? (is_signed ? LLVMSRem : LLVMURem) : (is_signed ? LLVMSDiv : LLVMUDiv);
    return LLVMBuildBinOp(cg->builder, opcode, a, b, "");
}

static Leaf *select_of(Filter *lanes, const Node *node) {
    Cg *cg = lanes->cg;
    Leaf condition = one_of(lanes, node->kids[0]);
    Leaf *a = value_of(lanes, node->kids[1]), *b = value_of(lanes, node->kids[2]);
    Leaf *out = cg_leaves(cg, node->type);
    for (int i = 0; i < leaf_count(node->type); i++) {
        Leaf x = a[i], y = b[i];
        level(lanes, &x, &y);
        if (has_lanes(condition)) x = spread(lanes, x), y = spread(lanes, y);
        out[i] = LLVMBuildSelect(cg->builder, condition, x, y, "");
    }
    return out;
}

static Leaf *value_of(Filter *lanes, const Node *node) {
    Cg *cg = lanes->cg;
    for (; node->kind == N_Let; node = node->kids[1]) continue; /* takes_value listed it */
    Leaf *out, one;
    switch (node->kind) {
    case N_Ident: return name_leaves(lanes, node, 0, leaf_count(node->type));
    case N_Field: return field_leaves(lanes, node);
    case N_Select:
    case N_If: return select_of(lanes, node);
    case N_Struct:
        out = cg_leaves(cg, node->type);
        for (int i = 0, at = 0; i < node->count; at += leaf_count(node->kids[i++]->type)) {
            const Leaf *field = value_of(lanes, node->kids[i]);
            for (int k = 0; k < leaf_count(node->kids[i]->type); k++) out[at + k] = field[k];
        }
        return out;
    case N_Unary: one = cg_unary_op(cg, node->op, node->type, one_of(lanes, node->kids[0])); break;
    case N_Binary:
    case N_Compare:
    case N_And:
    case N_Or: one = binary_of(lanes, node); break;
    case N_Cast: one = cg_cast_op(cg, node->kids[0]->type, one_of(lanes, node->kids[0]), node->type); break;
    default: return cg_expr(cg, node); /* a literal, or the length of a vector from outside */
    }
    out = cg_leaves(cg, node->type);
    out[0] = one;
    return out;
}

/* ---- the body: conditions become masks, merges are noted ---- */

static Leaf both(const Filter *lanes, Leaf a, Leaf b) {
    return a ? LLVMBuildAnd(lanes->cg->builder, a, b, "") : b;
}

static int loop_leaf(const Filter *lanes, LLVMValueRef state) {
    int leaf = 0;
    while (lanes->loop->builders[leaf] != state) leaf++;
    return leaf;
}

/* Returns the states of the builders that the body makes of the loop's. mask: NULL: all lanes. */
static Leaf *body_of(Filter *lanes, const Node *node, Leaf mask) {
    Cg *cg = lanes->cg;
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (node->symbol->type->builders)
            late_of(lanes, node->symbol)->leaves = body_of(lanes, node->kids[0], mask);
    }
    Leaf *out, condition;
    switch (node->kind) {
    case N_Field: return body_of(lanes, node->kids[0], mask) + leaf_at(node->kids[0]->type, node->index);
    case N_If:
        condition = spread(lanes, one_of(lanes, node->kids[0]));
        body_of(lanes, node->kids[1], both(lanes, mask, condition));
        return body_of(lanes, node->kids[2], both(lanes, mask, LLVMBuildNot(cg->builder, condition, "")));
    case N_Merge:
        out = body_of(lanes, node->kids[0], mask);
        lanes->merges[lanes->nmerges++] =
            (LaneMerge){node->type, out[0], loop_leaf(lanes, out[0]), mask, node->kids[1], false};
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
                                                              : late_of(lanes, node->symbol)->leaves;
    }
}

/* ---- compressing ---- */

/* As many lanes as one instruction compresses. */
static unsigned compressed_at_once(const Filter *lanes, int64_t size) {
    CompressKind kind = lanes->cg->compress;
    if (kind != COMPRESS_BYTES && size < 4) size = 4;
    unsigned count = (kind == COMPRESS_PERMUTE ? 32 : 64) / (unsigned)size;
    return count < lanes->width ? count : lanes->width;
}

/* For each mask of so many lanes the 32-bit words that a permutation moves to the front, a byte each:
 * 0b0101 of 4 lanes of 64 bits -> words 0 1 4 5. */
static LLVMValueRef permutations(Cg *cg, unsigned lanes) {
    enum { MOST_ROWS = 256 };
    const char *name = lanes == 4 ? "compress4" : "compress8";
    LLVMValueRef table = LLVMGetNamedGlobal(cg->module, name), rows[MOST_ROWS];
    if (table) return table;
    unsigned count = 1u << lanes, words = 8 / lanes;
    for (unsigned mask = 0; mask < count; mask++) {
        uint64_t row = 0;
        unsigned at = 0;
        for (unsigned word = 0; word < 8; word++)
            if (mask >> word / words & 1) row |= (uint64_t)word << 8 * at++;
        rows[mask] = cg_i64(cg, (int64_t)row);
    }
    table = LLVMAddGlobal(cg->module, LLVMArrayType2(cg->i64, count), name);
    LLVMSetInitializer(table, LLVMConstArray2(cg->i64, rows, count));
    LLVMSetLinkage(table, LLVMInternalLinkage);
    LLVMSetGlobalConstant(table, true);
    return table;
}

/* AVX2: a permutation of 8 words of 32 bits, looked up. */
static Leaf permute(Cg *cg, Leaf value, LLVMValueRef bits) {
    LLVMBuilderRef builder = cg->builder;
    LLVMTypeRef words = LLVMVectorType(cg->i32, 8), bytes = LLVMVectorType(cg->i8, 8), as = LLVMTypeOf(value);
    LLVMValueRef table = permutations(cg, LLVMGetVectorSize(as));
    LLVMValueRef at = LLVMBuildInBoundsGEP2(builder, cg->i64, table, &bits, 1, "");
    LLVMValueRef row = LLVMBuildZExt(builder, LLVMBuildLoad2(builder, bytes, at, ""), words, "");
    LLVMValueRef args[2] = {LLVMBuildBitCast(builder, value, words, ""), row};
    return LLVMBuildBitCast(builder, cg_intrinsic(cg, "llvm.x86.avx2.permd", NULL, 0, args, 2), as, "");
}

/* The lanes of the mask move to the front. bits: the mask as a number. */
static Leaf compress(Cg *cg, Leaf value, Leaf mask, LLVMValueRef bits) {
    LLVMBuilderRef builder = cg->builder;
    LLVMTypeRef as = LLVMTypeOf(value), one = LLVMGetElementType(as);
    unsigned lanes = LLVMGetVectorSize(as), bytes = one == cg->i8 ? 1 : one == cg->i16 ? 2 : 4;
    /* bytes and halves are compressed by some processors only, and only a whole register of them */
    bool narrow = bytes < 4 && (cg->compress != COMPRESS_BYTES || bytes * lanes < 16);
    LLVMTypeRef wide = narrow ? LLVMVectorType(cg->i32, lanes) : as;
    if (narrow) value = LLVMBuildZExt(builder, value, wide, "");
    Leaf args[3] = {value, LLVMConstNull(wide), mask};
    value = cg->compress == COMPRESS_PERMUTE
                ? permute(cg, value, bits)
                : cg_intrinsic(cg, "llvm.x86.avx512.mask.compress", &wide, 1, args, 3);
    return narrow ? LLVMBuildTrunc(builder, value, as, "") : value;
}

static LLVMValueRef length_of(Cg *cg, LLVMValueRef state) {
    return cg_load_at(cg, cg->i64, state, offsetof(Appender, length));
}

static void lengthen(Cg *cg, LLVMValueRef state, LLVMValueRef by) {
    LLVMValueRef next = LLVMBuildAdd(cg->builder, length_of(cg, state), by, "");
    cg_store_at(cg, next, state, offsetof(Appender, length));
}

static LLVMValueRef end_of(Cg *cg, const LaneMerge *merge) {
    LLVMValueRef data = cg_load_at(cg, cg->ptr, merge->state, 0);
    return cg_element(cg, merge->builder->args[0], data, length_of(cg, merge->state));
}

/* Elements of one scalar: a vector at a time. */
static void append_scalars(Filter *lanes, const LaneMerge *merge, Leaf value) {
    Cg *cg = lanes->cg;
    LLVMBuilderRef builder = cg->builder;
    const Type *type = merge->builder->args[0];
    if (type->kind == TY_bool)
        value = LLVMBuildZExt(builder, value, LLVMVectorType(cg->i8, lanes->width), "");
    unsigned step = merge->mask ? compressed_at_once(lanes, type->size) : lanes->width;
    for (unsigned from = 0; from < lanes->width; from += step) {
        Leaf part = cg_lane_part(cg, value, from, step);
        LLVMValueRef count = cg_i64(cg, step);
        if (merge->mask) {
            Leaf mask = cg_lane_part(cg, merge->mask, from, step);
            LLVMValueRef bits = LLVMBuildBitCast(builder, mask, LLVMIntTypeInContext(cg->context, step), "");
            bits = LLVMBuildZExt(builder, bits, cg->i64, "");
            part = compress(cg, part, mask, bits);
            count = cg_intrinsic(cg, "llvm.ctpop", &cg->i64, 1, &bits, 1);
        }
        LLVMSetAlignment(LLVMBuildStore(builder, part, end_of(cg, merge)), (unsigned)type->align);
        lengthen(cg, merge->state, count);
    }
}

/* Field by field, lane by lane: a0 b0 a1 b1 ... */
static Leaf interleave(Cg *cg, Leaf a, Leaf b) {
    LLVMValueRef mask[MOST_LANES];
    unsigned count = LLVMGetVectorSize(LLVMTypeOf(a));
    for (unsigned i = 0; i < 2 * count; i++) mask[i] = cg_i32(cg, (int32_t)(i / 2 + (i % 2 ? count : 0)));
    return LLVMBuildShuffleVector(cg->builder, a, b, LLVMConstVector(mask, 2 * count), "");
}

static bool appends_even(const Filter *lanes, const Type *type) {
    unsigned fields = even_leaves(type);
    return fields && largest_scalar(type) >= 4 && compressed_at_once(lanes, largest_scalar(type)) >= fields;
}

/* Structs that are nothing but words of one size: each field is a lane, and all of a struct share a bit. */
static void append_even(Filter *lanes, const LaneMerge *merge, const Leaf *value) {
    Cg *cg = lanes->cg;
    LLVMBuilderRef builder = cg->builder;
    const Type *type = merge->builder->args[0];
    unsigned fields = even_leaves(type), bits_each = (unsigned)(8 * type->size / fields);
    LLVMTypeRef word = LLVMIntTypeInContext(cg->context, bits_each);
    unsigned step = compressed_at_once(lanes, type->size / fields) / fields;
    for (unsigned from = 0; from < lanes->width; from += step) {
        Leaf part[4];
        for (unsigned i = 0; i < fields; i++) {
            part[i] = cg_lane_part(cg, spread(lanes, value[i]), from, step);
            part[i] = LLVMBuildBitCast(builder, part[i], LLVMVectorType(word, step), "");
        }
        if (fields == 4)
            part[0] = interleave(cg, part[0], part[2]), part[1] = interleave(cg, part[1], part[3]);
        Leaf all = interleave(cg, part[0], part[1]), mask = cg_lane_part(cg, merge->mask, from, step);
        for (unsigned i = 1; i < fields; i *= 2) mask = interleave(cg, mask, mask);
        LLVMTypeRef number = LLVMIntTypeInContext(cg->context, step * fields);
        LLVMValueRef bits = LLVMBuildZExt(builder, LLVMBuildBitCast(builder, mask, number, ""), cg->i64, "");
        all = compress(cg, all, mask, bits);
        LLVMSetAlignment(LLVMBuildStore(builder, all, end_of(cg, merge)), (unsigned)type->align);
        LLVMValueRef count = cg_intrinsic(cg, "llvm.ctpop", &cg->i64, 1, &bits, 1);
        lengthen(cg, merge->state, LLVMBuildUDiv(builder, count, cg_i64(cg, fields), ""));
    }
}

/* Other structs: one lane after the other, each stored behind the last one that counts. */
static void append_structs(Filter *lanes, const LaneMerge *merge, const Leaf *value) {
    Cg *cg = lanes->cg;
    const Type *type = merge->builder->args[0];
    Leaf *one = cg_leaves(cg, type);
    for (unsigned lane = 0; lane < lanes->width; lane++) {
        LLVMValueRef at = cg_i32(cg, (int32_t)lane), count = cg_i64(cg, 1);
        for (int i = 0; i < leaf_count(type); i++)
            one[i] = has_lanes(value[i]) ? LLVMBuildExtractElement(cg->builder, value[i], at, "") : value[i];
        cg_store(cg, type, one, end_of(cg, merge), NULL);
        if (merge->mask) {
            count = LLVMBuildExtractElement(cg->builder, merge->mask, at, "");
            count = LLVMBuildZExt(cg->builder, count, cg->i64, "");
        }
        lengthen(cg, merge->state, count);
    }
}

/* ---- mergers ---- */

/* The value that changes no other: y + -0.0 is y, fmin(y, NaN) is y. */
static Leaf neutral(Cg *cg, Op op, const Type *type) {
    if (!type_is_float(type) || op == OP_mul) return cg_identity(cg, op, type);
    return LLVMConstReal(cg_scalar_type(cg, type), op == OP_add ? -0.0 : (double)NAN);
}

/* A slot of lanes for each leaf of each merger, at the place of its builder's leaf. */
static void open_accumulators(Filter *lanes, const Type *builder, int leaf) {
    Cg *cg = lanes->cg;
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++) {
        open_accumulators(lanes, builder->args[i], leaf);
        leaf += leaf_count(builder->args[i]);
    }
    if (builder->kind != TY_merger) return;
    const Type *type = builder->args[0];
    Leaf *slots = lanes->accumulators[leaf] = cg_leaves(cg, type);
    for (int i = 0; i < leaf_count(type); i++) {
        int64_t offset = 0;
        const Type *scalar = leaf_place(type, i, &offset);
        slots[i] = cg_slot(cg, scalar->size * lanes->width, 64);
        cg_store_at(cg, cg_every_lane(neutral(cg, builder->op, scalar), lanes->width), slots[i], 0);
    }
}

static void accumulate(Filter *lanes, const LaneMerge *merge, const Leaf *value) {
    Cg *cg = lanes->cg;
    const Type *type = merge->builder->args[0];
    for (int i = 0; i < leaf_count(type); i++) {
        int64_t offset = 0;
        const Type *scalar = leaf_place(type, i, &offset);
        LLVMValueRef slot = lanes->accumulators[merge->leaf][i];
        Leaf before = cg_load_at(cg, LLVMVectorType(cg_scalar_type(cg, scalar), lanes->width), slot, 0);
        Leaf after = cg_binary_op(cg, merge->builder->op, scalar, before, spread(lanes, value[i]), true);
        if (merge->mask) after = LLVMBuildSelect(cg->builder, merge->mask, after, before, "");
        cg_store_at(cg, after, slot, 0);
    }
}

/* Halves of the lanes are combined until one is left, and that with the merger's value. */
static void close_accumulators(Filter *lanes, const Type *builder, int leaf) {
    Cg *cg = lanes->cg;
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++) {
        close_accumulators(lanes, builder->args[i], leaf);
        leaf += leaf_count(builder->args[i]);
    }
    if (builder->kind != TY_merger) return;
    const Type *type = builder->args[0];
    Leaf *value = cg_leaves(cg, type);
    for (int i = 0; i < leaf_count(type); i++) {
        int64_t offset = 0;
        const Type *scalar = leaf_place(type, i, &offset);
        LLVMTypeRef as = LLVMVectorType(cg_scalar_type(cg, scalar), lanes->width);
        Leaf all = cg_load_at(cg, as, lanes->accumulators[leaf][i], 0);
        for (unsigned half = lanes->width / 2; half; half /= 2) {
            Leaf low = cg_lane_part(cg, all, 0, half), high = cg_lane_part(cg, all, half, half);
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
    Cg *cg = lanes->cg;
    LaneMerge merge = lanes->merges[first];
    const Type *type = merge.builder->args[0];
    Leaf *value = value_of(lanes, merge.value), *either = cg_leaves(cg, type);
    for (int i = first + 1; i < lanes->nmerges; i++) {
        LaneMerge *other = &lanes->merges[i];
        if (other->state != merge.state) continue;
        const Leaf *that = value_of(lanes, other->value);
        for (int k = 0; k < leaf_count(type); k++) {
            Leaf a = spread(lanes, that[k]), b = spread(lanes, value[k]);
            either[k] = LLVMBuildSelect(cg->builder, other->mask, a, b, "");
        }
        value = either;
        merge.mask = LLVMBuildOr(cg->builder, merge.mask, other->mask, "");
        other->done = true;
    }
    if (merge.mask && appends_even(lanes, type))
        append_even(lanes, &merge, value);
    else if (type->kind == TY_struct)
        append_structs(lanes, &merge, value);
    else
        append_scalars(lanes, &merge, spread(lanes, value[0]));
}

static void merge_all(Filter *lanes, bool conditional) {
    for (int i = 0; i < lanes->nmerges; i++) {
        LaneMerge *merge = &lanes->merges[i];
        if (merge->done || (merge->mask != NULL) != conditional) continue;
        merge->done = true;
        if (merge->builder->kind == TY_merger)
            accumulate(lanes, merge, value_of(lanes, merge->value));
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
        const Late *late = late_of(lanes, name->symbol);
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

/* Merges under conditions that cost wait for a lane for which one of these holds. */
static void group(Filter *lanes) {
    Cg *cg = lanes->cg;
    Leaf any = NULL;
    lanes->nmerges = 0;
    body_of(lanes, lanes->loop->lambda->kids[0], NULL);
    merge_all(lanes, false);
    if (!waits(lanes)) {
        merge_all(lanes, true);
        return;
    }
    for (int i = 0; i < lanes->nmerges; i++) {
        Leaf mask = lanes->merges[i].mask;
        if (mask) any = any ? LLVMBuildOr(cg->builder, any, mask, "") : mask;
    }
    LLVMTypeRef as = LLVMIntTypeInContext(cg->context, lanes->width);
    LLVMValueRef bits = LLVMBuildBitCast(cg->builder, any, as, "");
    LLVMBasicBlockRef some = cg_block(cg, "some"), after = cg_block(cg, "");
    LLVMBuildCondBr(cg->builder, LLVMBuildICmp(cg->builder, LLVMIntNE, bits, LLVMConstNull(as), ""), some,
                    after);
    cg_goto(cg, some);
    merge_all(lanes, true);
    LLVMBuildBr(cg->builder, after);
    cg_goto(cg, after);
}

/* How many lanes there shall be, or 0: the loop is not one for them. */
static unsigned plan(Filter *lanes) {
    Cg *cg = lanes->cg;
    const Loop *loop = lanes->loop;
    Takes takes = {1, false, false, true};
    for (int i = 0; i < loop->ncursors; i++) {
        const Cursor *cursor = &loop->cursors[i];
        IterKind kind = cursor->iter->iter;
        if (kind != IT_range && (kind != IT_scalar || !is_one(cursor->stride))) return 0;
    }
    look_at_builders(cg, loop, loop->builder, 0, &takes);
    if (!takes.all || !(takes.conditional || takes.extreme)) return 0;
    if (cg->compress == COMPRESS_NONE && takes.conditional) return 0;
    lanes->width = 8;
    lanes->budget = MOST_NODES;
    if (!takes_body(lanes, loop->lambda->kids[0])) return 0;
    if (cg->compress == COMPRESS_PERMUTE || takes.largest > 4) return 8;
    if (cg->compress == COMPRESS_BYTES && lanes->widest <= takes.largest && takes.largest < 4)
        return 64 / (unsigned)takes.largest;
    return 16;
}

LLVMValueRef cg_filter_loop(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end) {
    LLVMBuilderRef builder = cg->builder;
    Filter lanes = {.cg = cg, .loop = loop};
    lanes.width = plan(&lanes);
    if (!lanes.width) return begin;
    int leaves = leaf_count(loop->builder);
    lanes.accumulators = arena_alloc(&cg->program->arena, sizeof *lanes.accumulators * (size_t)leaves);
    lanes.element = cg_leaves(cg, loop->lambda->params[2]->type);
    if (!lanes.accumulators || !lanes.element) return begin;
    LLVMValueRef whole =
        LLVMBuildAnd(builder, LLVMBuildSub(builder, end, begin, ""), cg_i64(cg, -(int64_t)lanes.width), "");
    LLVMValueRef stop = LLVMBuildAdd(builder, begin, whole, "");
    open_accumulators(&lanes, loop->builder, 0);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), body = cg_block(cg, "lanes"),
                      after = cg_block(cg, "");
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, begin, stop, ""), body, after);
    cg_goto(cg, body);
    lanes.index = LLVMBuildPhi(builder, cg->i64, "");
    group(&lanes);
    LLVMValueRef next = LLVMBuildNUWAdd(builder, lanes.index, cg_i64(cg, lanes.width), "");
    LLVMBasicBlockRef last = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, next, stop, ""), body, after);
    LLVMAddIncoming(lanes.index, &begin, &before, 1);
    LLVMAddIncoming(lanes.index, &next, &last, 1);
    cg_goto(cg, after);
    close_accumulators(&lanes, loop->builder, 0);
    return stop;
}
