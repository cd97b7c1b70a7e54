/* heap.h: one range of addresses, in which blocks of a run lie side by side (heap.c). Used by budget.c under its lock. */
#ifndef HEAP_H
#define HEAP_H

#include "../lang.h"

enum {
    HEAP_LEAST = 4096, /* bytes of a block that may lie in it */
    HEAP_EDGE =
        8192 +
        64 /* bytes that a block may keep from being given back: two pages that are not whole, and its rounding */
};

typedef struct Heap Heap;

Heap *heap_new(int64_t bytes,
               bool huge);  /* of so many bytes of addresses, without pages; NULL: there are none */
void heap_free(Heap *heap); /* without blocks, or with all that are in it; takes NULL */
bool heap_owns(const Heap *heap, const void *block);
int heap_blocks(const Heap *heap);
/* A block; so many bytes fewer are free with pages: `reused`, which does not count what the block is longer than was wanted, so it may
 * be negative. Without `fresh`, NULL unless all of it had pages; else it is where fewest had none. */
void *heap_take(Heap *heap, size_t bytes, bool fresh, int64_t *reused);
void heap_give(Heap *heap, void *block); /* its pages stay */
/* Of the free bytes with pages so many could go at once: the least that is enough, else the most; and where. 0: none. */
int64_t heap_find_free(const Heap *heap, int64_t bytes, int *at);
/* Gives so many of them back to the system, rounded up to pages, or more; returns how many went. */
int64_t heap_drop(Heap *heap, int at, int64_t bytes);
int64_t heap_drop_all(Heap *heap); /* all whole pages */

#endif
