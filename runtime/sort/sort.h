/* sort.h: what the files that sort share: words, and the kernels that sort them.
 *
 * A word is a scalar made into a signed integer of its own width whose order is that of the sort:
 *
 *     word = x ^ (x >> top & magnitude) ^ flip          x's bits; >> copies the sign
 *
 *              magnitude        flip        descending: flip ^ -1
 *     float    all but sign     0
 *     signed   0                0
 *     unsigned 0                sign
 *
 * which is its own inverse once flip is taken off. -0.0 is one below 0.0, NaNs are at the ends.
 */
#ifndef SORT_H
#define SORT_H

#include "../rt.h"

#include <string.h>

typedef struct Wording {
    int64_t magnitude, flip;
    int bytes; /* of x */
} Wording;
Wording wording_of(TypeKind kind, bool descending);

/* The word of the scalar at x, extended by its sign; bytes: how->bytes, for the compiler to know. -0.0 becomes 0.0: equal
 * keys have equal words. */
static inline int64_t word_at(const Wording *how, const char *x, int bytes) {
    uint64_t bits = 0;
    int shift = 64 - 8 * bytes;
    memcpy(&bits, x, (size_t)bytes);
    bits <<= shift;
    if (how->magnitude && bits << 1 == 0) bits = 0;
    int64_t wide = (int64_t)bits >> shift;
    wide ^= (wide >> 63 & how->magnitude) ^ how->flip;
    return (int64_t)((uint64_t)wide << shift) >> shift;
}

/* A sort of words of 4 or 8 bytes, for a processor's vectors. Words, bounds and splitters travel as int64_t. */
typedef struct SortKernel {
    int bytes;
    void (*load)(const Wording *how, const void *from, int64_t count, void *words);
    /* counts[k] += how many are above splitters[k]. */
    void (*count)(const Wording *how, const void *from, int64_t count, const int64_t *splitters,
                  int nsplitters, int64_t *counts);
    /* Appends each to to[k], where k is how many splitters (in order, at least one) it is above, and moves to[k] on.
     * paired: for odd k, to[k] is where the words end, and moves back. */
    void (*scatter)(const Wording *how, const void *from, int64_t count, const int64_t *splitters,
                    int nsplitters, void **to, bool paired);
    /* Sorts words that are all within low..high, and makes them scalars again unless how is NULL. False: the worker's
     * run is to end; their order and form are then open. */
    bool (*sort)(const Wording *how, void *words, int64_t count, int64_t low, int64_t high,
                 const Worker *worker);
    /* The first element from `at` on, or one before it, that may be in a block with a word below `below`; count:
     * there is none. */
    int64_t (*find)(const Wording *how, const void *from, int64_t at, int64_t count, int64_t below);
} SortKernel;
/* The best kernel for words of 4 or 8 bytes that this processor can run, or NULL. */
const SortKernel *sort_kernel(int bytes);
/* All of them, to be tested: the n-th that this processor can run, or NULL. */
const SortKernel *sort_kernel_at(int n);

/* ---- scalar_sort.c: vectors of scalars ---- */

/* Sorts scalars that are their own keys, from data to out, as sort_by_key does. False: nothing was done, for this
 * processor or this few of them there is no better way than that. */
bool sort_scalars(Worker *worker, const void *data, void *out, int64_t count, const SortKey *key,
                  ErrorCode *code);
/* Does the worker's run end? */
static inline bool sort_is_over(const Worker *worker) {
    return __atomic_load_n(worker->cancel, __ATOMIC_RELAXED) ||
           __atomic_load_n(&worker->stop, __ATOMIC_RELAXED);
}
/* The worker's team if so many elements are worth it, else NULL. */
Team *sort_team(const Worker *worker, int64_t count);
/* Calls step for all items, on all threads of the team. False: the run is to end, or a step returned false. */
bool sort_each(const Worker *worker, Team *team, int64_t items, bool (*step)(void *data, int64_t item),
               void *data);

/* ---- record_sort.c: vectors of structs, by a scalar in them ---- */

/* Sorts as sort_by_key does, likewise. False: also for a lack of memory. */
bool sort_records(Worker *worker, const void *data, void *out, int64_t count, int64_t size,
                  const SortKey *key, ErrorCode *code);

#endif
