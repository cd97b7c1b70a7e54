/* base.c: errors, indices, and memory that several share.
 *
 * A Block is what lazy values hold: arrays that were imported, or memory made from them that points into them. It goes with
 * the last of those that hold it, and lets go of what it stands on.
 *
 *     lazy vec[vec[i8]] -> block of views -> block of arrays (release called) <- lazy vec[i64]
 */
#include "arrow.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

bool fault(weld_error_t error, uint64_t code, const char *format, ...) {
    char text[1000];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    weld_error_set(error, code, text);
    return false;
}

bool no_memory(weld_error_t error) {
    return fault(error, WELD_OUT_OF_MEMORY, "no memory for Arrow data");
}

int64_t index_at(const char *from, const char *type) {
    int64_t wide = 0;
    int32_t four;
    int16_t two;
    bool is_signed = type[0] == 'i';
    switch (type[1]) {
    case '8': return is_signed ? (int8_t)*from : (uint8_t)*from;
    case '1': memcpy(&two, from, sizeof two); return is_signed ? two : (uint16_t)two;
    case '3': memcpy(&four, from, sizeof four); return is_signed ? four : (int64_t)(uint32_t)four;
    default: memcpy(&wide, from, sizeof wide); return wide;
    }
}

Block *block_new(size_t bytes, Block *under) {
    Block *block = calloc(1, sizeof *block);
    if (!block) return NULL;
    block->memory = calloc(1, bytes ? bytes : 1);
    if (!block->memory) {
        free(block);
        return NULL;
    }
    atomic_init(&block->refs, 1);
    block->under = block_hold(under);
    return block;
}

Block *block_hold(Block *block) {
    if (block) atomic_fetch_add_explicit(&block->refs, 1, memory_order_relaxed);
    return block;
}

void block_drop(void *dropped) {
    Block *block = dropped;
    while (block && atomic_fetch_sub_explicit(&block->refs, 1, memory_order_acq_rel) == 1) {
        Block *under = block->under;
        for (int64_t i = 0; i < block->count; i++) {
            if (block->arrays[i].release) block->arrays[i].release(&block->arrays[i]);
        }
        free(block->arrays);
        free(block->memory);
        free(block);
        block = under;
    }
}
