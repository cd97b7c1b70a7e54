/* cg_chunks.c: a few elements of the vectors of several iterations, a register at a time.
 *
 *     30 floats in registers of 16:  elements 0 .. 15, then 16 .. 29 under the mask {1 x 14, 0, 0}
 *
 * The last register is always under the mask, if only of ones, so that no branch asks whether there is a rest, and the
 * mask is made once for all vectors, which are of one length. cg_dots.c and cg_blocks.c say what happens to a
 * register's elements; expressions are those of cg_wide.c, where what is not an element is uniform.
 *
 * Registers that each hold parts of one iteration's sum become one that has a sum in each lane:
 *
 *     a0 a1 a2 a3   b0 b1 b2 b3   =>   a0 a1 b2 b3  +  a2 a3 b0 b1   =>   two lanes for a, two for b
 *
 * and so on with pairs of these: half as many additions and shuffles as for each by itself.
 *
 * Needs loads and stores under a mask: AVX-512, or AVX2 and elements of 4 or 8 bytes. LLVM's own vectorizer, which
 * takes such loops otherwise, makes a mask for each iteration, of 64 bits for each element, and adds up each sum's
 * lanes by themselves.
 */
#include "cg.h"

/* ---- expressions ---- */

static Leaf *name_leaves(Wide *wide, const Node *ident, int at, int count) {
    (void)count;
    return cg_expr(wide->cg, ident) + at;
}

static Leaf *emit_other(Wide *wide, const Node *node) {
    if (node->kind != N_Let) return cg_expr(wide->cg, node);
    cg_bind(wide->cg, node->symbol, cg_wide_expr(wide, node->kids[0]));
    return cg_wide_expr(wide, node->kids[1]);
}

/* ---- registers ---- */

/* The numbers base, base + 1, .. of a scalar type. */
static Leaf ramp(const Wide *wide, LLVMTypeRef type, LLVMValueRef base) {
    LLVMValueRef steps[MOST_LANES];
    for (unsigned i = 0; i < wide->width; i++) steps[i] = LLVMConstInt(type, i, false);
    return LLVMBuildAdd(wide->cg->builder, cg_wide_spread(wide, base), LLVMConstVector(steps, wide->width),
                        "");
}

bool cg_chunks_of(Cg *cg, unsigned lanes, int64_t size, LLVMValueRef count, Chunks *out) {
    LLVMBuilderRef builder = cg->builder;
    if (!cg->masks && (!cg->word_masks || (size != 4 && size != 8))) return false;
    *out = (Chunks){.wide = {cg, lanes, name_leaves, emit_other}};
    LLVMValueRef before = LLVMBuildSub(builder, count, cg_i64(cg, 1), "");
    out->full = LLVMBuildAnd(builder, before, cg_i64(cg, -(int64_t)lanes), "");
    /* As wide as the elements, as AVX2 has it. */
    LLVMTypeRef word = size == 8 ? cg->i64 : cg->i32;
    LLVMValueRef rest = LLVMBuildSub(builder, count, out->full, "");
    if (size != 8) rest = LLVMBuildTrunc(builder, rest, word, "");
    LLVMValueRef numbers = ramp(&out->wide, word, LLVMConstNull(word));
    out->mask = LLVMBuildICmp(builder, LLVMIntSLT, numbers, cg_wide_spread(&out->wide, rest), "");
    return true;
}

bool cg_chunks_open(Cg *cg, const Loop *rows, const Type *type, LLVMValueRef count, Chunks *out) {
    int64_t size = type->size;
    if (!type_is_scalar(type)) return false;
    for (int i = 0; i < rows->ncursors; i++) {
        const Type *element = rows->cursors[i].element;
        if (!type_is_scalar(element)) return false;
        if (element->size > size) size = element->size;
    }
    if (!cg->masks && !cg_word_size(rows, type)) return false;
    return cg_chunks_of(cg, (unsigned)((cg->masks ? 64 : 32) / size), size, count, out);
}

void cg_chunks_each(Chunks *chunks, ChunkBody *body, void *user) {
    Cg *cg = chunks->wide.cg;
    LLVMBuilderRef builder = cg->builder;
    LLVMValueRef zero = cg_i64(cg, 0), lanes = cg_i64(cg, chunks->wide.width);
    body(chunks, chunks->full, true, user);
    LLVMBasicBlockRef before = LLVMGetInsertBlock(builder), each = cg_block(cg, "chunk"),
                      after = cg_block(cg, ""), last;
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntNE, chunks->full, zero, ""), each, after);
    cg_goto(cg, each);
    LLVMValueRef index = LLVMBuildPhi(builder, cg->i64, "");
    body(chunks, index, false, user);
    LLVMValueRef next = LLVMBuildNUWAdd(builder, index, lanes, "");
    last = LLVMGetInsertBlock(builder);
    LLVMBuildCondBr(builder, LLVMBuildICmp(builder, LLVMIntULT, next, chunks->full, ""), each, after);
    LLVMAddIncoming(index, &zero, &before, 1);
    LLVMAddIncoming(index, &next, &last, 1);
    cg_goto(cg, after);
}

Leaf cg_chunk_load(const Chunks *chunks, const Type *type, LLVMValueRef data, LLVMValueRef index, bool last) {
    Cg *cg = chunks->wide.cg;
    LLVMValueRef at = cg_element(cg, type, data, index);
    if (!last) return cg_wide_load(&chunks->wide, type, at);
    LLVMTypeRef as =
        LLVMVectorType(type->kind == TY_bool ? cg->i8 : cg_scalar_type(cg, type), chunks->wide.width);
    LLVMTypeRef overloads[2] = {as, cg->ptr};
    LLVMValueRef args[4] = {at, cg_i32(cg, (int32_t)type->align), chunks->mask, LLVMConstNull(as)};
    Leaf out = cg_intrinsic(cg, "llvm.masked.load", overloads, 2, args, 4);
    return type->kind == TY_bool ? LLVMBuildICmp(cg->builder, LLVMIntNE, out, LLVMConstNull(as), "") : out;
}

void cg_chunk_store(const Chunks *chunks, const Type *type, Leaf leaf, LLVMValueRef data, LLVMValueRef index,
                    bool last) {
    Cg *cg = chunks->wide.cg;
    LLVMValueRef at = cg_element(cg, type, data, index);
    LLVMTypeRef overloads[2] = {LLVMTypeOf(leaf), cg->ptr};
    LLVMValueRef args[4] = {leaf, at, cg_i32(cg, (int32_t)type->align), chunks->mask};
    if (last)
        cg_intrinsic(cg, "llvm.masked.store", overloads, 2, args, 4);
    else
        LLVMSetAlignment(LLVMBuildStore(cg->builder, leaf, at), (unsigned)type->align);
}

Leaf *cg_chunk_elements(const Chunks *chunks, const Cursor *cursors, int count, LLVMValueRef index,
                        bool last) {
    Leaf *out = arena_alloc(&chunks->wide.cg->program->arena, sizeof *out * (size_t)count);
    for (int i = 0; i < count; i++)
        out[i] = cg_chunk_load(chunks, cursors[i].element, cursors[i].data, index, last);
    return out;
}

Leaf *cg_chunk_numbers(const Chunks *chunks, LLVMValueRef index) {
    Leaf *out = arena_alloc(&chunks->wide.cg->program->arena, sizeof *out);
    *out = ramp(&chunks->wide, chunks->wide.cg->i64, index);
    return out;
}

/* ---- lanes ---- */

/* In lanes whose number has the bit, those of b, in others those of a; swapped: each from the lane whose number
 * differs in the bit. */
static Leaf mixed(Cg *cg, Leaf a, Leaf b, unsigned bit, bool swapped) {
    LLVMValueRef mask[MOST_LANES];
    unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(a));
    for (unsigned i = 0; i < lanes; i++)
        mask[i] = cg_i32(cg, (int32_t)((i & bit ? lanes : 0) + (swapped ? i ^ bit : i)));
    return LLVMBuildShuffleVector(cg->builder, a, b, LLVMConstVector(mask, lanes), "");
}

/* So many registers, as many as they have lanes or fewer, as one that has the k-th in all lanes whose number is k
 * modulo `count`. */
static Leaf gather_lanes(Cg *cg, const Type *type, Op op, Leaf *parts, unsigned count) {
    for (unsigned bit = count / 2; bit; bit /= 2) {
        for (unsigned k = 0; k < bit; k++) {
            Leaf kept = mixed(cg, parts[k], parts[k + bit], bit, false);
            Leaf other = mixed(cg, parts[k], parts[k + bit], bit, true);
            parts[k] = cg_binary_op(cg, op, type, kept, other, true);
        }
    }
    return parts[0];
}

Leaf cg_lane_sums(Cg *cg, const Type *type, Op op, Leaf *parts, unsigned count) {
    unsigned lanes = LLVMGetVectorSize(LLVMTypeOf(parts[0]));
    unsigned each = lanes < count ? lanes : count;
    for (unsigned i = 0; i < count / each; i++) parts[i] = gather_lanes(cg, type, op, parts + i * each, each);
    if (lanes <= count) return cg_wide_join(cg, parts, count / each);
    for (; lanes > count; lanes /= 2) {
        Leaf low = cg_wide_part(cg, parts[0], 0, lanes / 2);
        Leaf high = cg_wide_part(cg, parts[0], lanes / 2, lanes / 2);
        parts[0] = cg_binary_op(cg, op, type, low, high, true);
    }
    return parts[0];
}

void cg_transpose(Cg *cg, Leaf *rows, unsigned count) {
    for (unsigned bit = count / 2; bit; bit /= 2) {
        for (unsigned k = 0; k < count; k++) {
            if (k & bit) continue;
            Leaf a = rows[k], b = rows[k + bit];
            LLVMValueRef first[MOST_LANES], second[MOST_LANES];
            for (unsigned i = 0; i < count; i++) {
                first[i] = cg_i32(cg, (int32_t)(i & bit ? count + (i ^ bit) : i));
                second[i] = cg_i32(cg, (int32_t)(i & bit ? count + i : i ^ bit));
            }
            rows[k] = LLVMBuildShuffleVector(cg->builder, a, b, LLVMConstVector(first, count), "");
            rows[k + bit] = LLVMBuildShuffleVector(cg->builder, a, b, LLVMConstVector(second, count), "");
        }
    }
}
