/* cg_offsets.c: offsets that loops count.
 *
 * An address of x86 is a base and an index times 1, 2, 4 or 8. A loop over elements of other sizes, here 16, counts their bytes
 * beside its iterations, once for all vectors that it walks alike:
 *
 *     i = begin                    i = begin, bytes = begin * 16
 *     loop:                        loop:
 *       load data + i * 16           load data + bytes
 *       i += 1                       i += 1, bytes += 16
 *
 * It is what LLVM's loop strength reduction would do, which takes an eighth of the time to compile a query, so that it is
 * switched off where LLVM is ours alone (jit.c). LLVM's vectorizer sees the same addresses either way.
 */
#include "cg.h"

static bool is_counted(const Cursor *cursor) {
    IterKind kind = cursor->iter->iter;
    if (kind != IT_scalar && kind != IT_fringe) return false;
    int64_t size = cursor->element->size;
    return size > 8 || (size & (size - 1)) != 0;
}

/* The one of the offsets that the cursor's elements are at, or their count: there is none. */
static int offset_of(const Offsets *offsets, const Cursor *cursor) {
    int k = 0;
    for (; k < offsets->count; k++) {
        const Cursor *of = offsets->each[k].of;
        bool alike = of->start == cursor->start && of->stride == cursor->stride;
        if (alike && of->element->size == cursor->element->size) break;
    }
    return k;
}

Offsets cg_offsets_plan(Cg *cg, const Loop *loop, LLVMValueRef begin) {
    Offsets offsets = {.count = 0};
    for (int i = 0; i < loop->ncursors && offsets.count < OFFSETS; i++) {
        const Cursor *cursor = &loop->cursors[i];
        if (!is_counted(cursor) || offset_of(&offsets, cursor) < offsets.count) continue;
        LLVMValueRef size = cg_i64(cg, cursor->element->size);
        LLVMValueRef first = cg_position(cg, begin, cursor->start, cursor->stride);
        offsets.each[offsets.count].first = LLVMBuildMul(cg->builder, first, size, "");
        offsets.each[offsets.count].step = LLVMBuildMul(cg->builder, cursor->stride, size, "");
        offsets.each[offsets.count++].of = cursor;
    }
    return offsets;
}

void cg_offsets_open(Cg *cg, Offsets *offsets, const Counter *counter) {
    if (!offsets->count) return;
    offsets->before = counter->before;
    LLVMPositionBuilderBefore(cg->builder, LLVMGetFirstInstruction(counter->body));
    for (int k = 0; k < offsets->count; k++) offsets->each[k].phi = LLVMBuildPhi(cg->builder, cg->i64, "");
    cg_goto(cg, counter->body);
}

void cg_offsets_use(Loop *loop, const Offsets *offsets) {
    for (int i = 0; i < loop->ncursors; i++) {
        Cursor *cursor = &loop->cursors[i];
        cursor->bytes = NULL;
        if (!offsets || !is_counted(cursor)) continue;
        int k = offset_of(offsets, cursor);
        if (k < offsets->count) cursor->bytes = offsets->each[k].phi;
    }
}

/* All elements are in one vector, so that no offset wraps. */
void cg_offsets_close(Cg *cg, Offsets *offsets) {
    LLVMBasicBlockRef last = LLVMGetInsertBlock(cg->builder);
    for (int k = 0; k < offsets->count; k++) {
        LLVMValueRef phi = offsets->each[k].phi;
        LLVMValueRef next = LLVMBuildNUWAdd(cg->builder, phi, offsets->each[k].step, "");
        LLVMSetNSW(next, true);
        LLVMAddIncoming(phi, &offsets->each[k].first, &offsets->before, 1);
        LLVMAddIncoming(phi, &next, &last, 1);
    }
}
