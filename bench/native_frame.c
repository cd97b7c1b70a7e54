/* native_frame.c: rows of a table by hand: sorted by a column, the greatest by one, those of distinct keys.
 *
 * Sorting moves rows {key, value} by a radix sort that starts at the lowest digit, of 11 bits: six passes. Distinct keys are
 * found by a hash table with open addressing, whose places are asked for from memory some keys ahead; of several threads each
 * takes the keys of its part of the hashes. */
#include <stdlib.h>

#include "native.h"

typedef struct Row {
    uint64_t key; /* in the order of the numbers */
    int64_t value;
} Row;

enum { DIGIT_BITS = 11, DIGITS = 1 << DIGIT_BITS, PASSES = 6 };
typedef int64_t Counts[DIGITS];

static inline uint64_t ordered(double x) {
    union {
        double real;
        uint64_t bits;
    } u = {x};
    return u.bits ^ ((uint64_t)((int64_t)u.bits >> 63) | (uint64_t)1 << 63);
}

static inline double original(uint64_t key) {
    union {
        uint64_t bits;
        double real;
    } u = {key ^ ((uint64_t)((int64_t)~key >> 63) | (uint64_t)1 << 63)};
    return u.real;
}

static inline int digit_of(uint64_t key, int pass) {
    return (int)(key >> (pass * DIGIT_BITS) & (DIGITS - 1));
}

static void count_digits(const Row *rows, int64_t start, int64_t end, int pass, Counts count) {
    memset(count, 0, sizeof(Counts));
    for (int64_t i = start; i < end; i++) count[digit_of(rows[i].key, pass)]++;
}

static void move(const Row *from, int64_t start, int64_t end, int pass, Counts at, Row *to) {
    for (int64_t i = start; i < end; i++) to[at[digit_of(from[i].key, pass)]++] = from[i];
}

void native_frame_sort(const Inputs *in, void *out) {
    int64_t length = LENGTH(0);
    int threads = in->threads;
    Row *from = take(in, (size_t)(length + 1) * sizeof *from),
        *to = take(in, (size_t)(length + 1) * sizeof *to);
    Counts *at = take(in, (size_t)threads * sizeof *at);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < length; i++) from[i] = (Row){ordered(INPUT(0, double)[i]), INPUT(1, int64_t)[i]};
    for (int pass = 0; pass < PASSES; pass++) {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; t++)
            count_digits(from, share(length, t, threads), share(length, t + 1, threads), pass, at[t]);
        if (!radix_places((int64_t *)at, DIGITS, threads, length)) continue;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; t++)
            move(from, share(length, t, threads), share(length, t + 1, threads), pass, at[t], to);
        Row *swap = from;
        from = to;
        to = swap;
    }
    double *keys = take(in, (size_t)(length + 1) * 8);
    int64_t *values = take(in, (size_t)(length + 1) * 8);
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < length; i++) {
        keys[i] = original(from[i].key);
        values[i] = from[i].value;
    }
    ((Vector *)out)[0] = (Vector){keys, length};
    ((Vector *)out)[1] = (Vector){values, length};
}

/* ---- the greatest ---- */

enum { TOP = 100, BLOCK = 64 };

typedef struct Candidate {
    double key;
    int64_t row; /* -1: none */
} Candidate;

/* A heap whose root is the least of the greatest seen so far. */
static void heap_replace(Candidate *heap, Candidate x) {
    int at = 0;
    for (;;) {
        int child = 2 * at + 1;
        if (child >= TOP) break;
        if (child + 1 < TOP && heap[child + 1].key < heap[child].key) child++;
        if (!(heap[child].key < x.key)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = x;
}

static void top_range(const double *x, int64_t start, int64_t end, Candidate *heap) {
    for (int k = 0; k < TOP; k++) heap[k] = (Candidate){-INFINITY, -1};
    for (int64_t i = start; i < end; i += BLOCK) {
        int64_t stop = end - i < BLOCK ? end : i + BLOCK;
        double greatest = -INFINITY;
#pragma omp simd reduction(max : greatest)
        for (int64_t j = i; j < stop; j++) greatest = x[j] > greatest ? x[j] : greatest;
        if (!(greatest > heap[0].key)) continue;
        for (int64_t j = i; j < stop; j++)
            if (x[j] > heap[0].key) heap_replace(heap, (Candidate){x[j], j});
    }
}

static int descending(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    return x->key != y->key ? (x->key < y->key) - (x->key > y->key) : (x->row > y->row) - (x->row < y->row);
}

void native_frame_top(const Inputs *in, void *out) {
    int threads = in->threads;
    int64_t length = LENGTH(0), count = length < TOP ? length : TOP;
    Candidate(*heaps)[TOP] = take(in, sizeof *heaps * (size_t)threads);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++)
        top_range(INPUT(0, double), share(length, t, threads), share(length, t + 1, threads), heaps[t]);
    qsort(heaps, (size_t)(threads * TOP), sizeof(Candidate), descending);
    double *keys = take(in, TOP * 8);
    int64_t *values = take(in, TOP * 8);
    for (int64_t i = 0; i < count; i++) {
        keys[i] = heaps[0][i].key;
        values[i] = INPUT(1, int64_t)[heaps[0][i].row];
    }
    ((Vector *)out)[0] = (Vector){keys, count};
    ((Vector *)out)[1] = (Vector){values, count};
}

/* ---- distinct keys ---- */

enum { AHEAD = 16 };
static const int64_t EMPTY = INT64_MIN; /* no key of the data */

static inline uint64_t hash(int64_t key) {
    uint64_t x = (uint64_t)key * 0x9e3779b97f4a7c15u;
    return x ^ (x >> 32);
}

typedef struct Set {
    int64_t *slots, *found;
    int64_t slot_count, count;
} Set;

static void set_grow(const Inputs *in, Set *set) {
    set->slot_count *= 2;
    set->slots = take(in, (size_t)set->slot_count * 8);
    for (int64_t i = 0; i < set->slot_count; i++) set->slots[i] = EMPTY;
    for (int64_t i = 0; i < set->count; i++) {
        int64_t at = (int64_t)hash(set->found[i]) & (set->slot_count - 1);
        while (set->slots[at] != EMPTY) at = (at + 1) & (set->slot_count - 1);
        set->slots[at] = set->found[i];
    }
}

static inline bool is_own(uint64_t hashed, int t, int threads) {
    return threads == 1 || (int)((hashed >> 40 & 0xffff) * (uint64_t)threads >> 16) == t;
}

static void distinct_part(const Inputs *in, int t, Set *set) {
    const int64_t *keys = INPUT(0, int64_t);
    int64_t length = LENGTH(0);
    *set = (Set){.found = take(in, (size_t)(length + 1) * 8), .slot_count = 1 << 10};
    set_grow(in, set);
    for (int64_t i = 0; i < length; i++) {
        if (i + AHEAD < length)
            __builtin_prefetch(&set->slots[(int64_t)hash(keys[i + AHEAD]) & (set->slot_count - 1)]);
        uint64_t hashed = hash(keys[i]);
        if (!is_own(hashed, t, in->threads)) continue;
        int64_t at = (int64_t)hashed & (set->slot_count - 1);
        while (set->slots[at] != EMPTY && set->slots[at] != keys[i]) at = (at + 1) & (set->slot_count - 1);
        if (set->slots[at] == keys[i]) continue;
        set->slots[at] = set->found[set->count++] = keys[i];
        if (2 * set->count > set->slot_count) set_grow(in, set);
    }
}

void native_frame_distinct(const Inputs *in, void *out) {
    Set sets[MOST_THREADS];
    int64_t count = 0;
#pragma omp parallel for num_threads(in->threads) schedule(static, 1)
    for (int t = 0; t < in->threads; t++) distinct_part(in, t, &sets[t]);
    for (int t = 0; t < in->threads; t++) count += sets[t].count;
    int64_t *found = sets[0].found;
    if (in->threads > 1) {
        found = take(in, (size_t)(count + 1) * 8);
        for (int64_t t = 0, at = 0; t < in->threads; at += sets[t++].count)
            memcpy(found + at, sets[t].found, (size_t)sets[t].count * 8);
    }
    *(Vector *)out = (Vector){found, count};
}
