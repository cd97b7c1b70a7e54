/* native_sort.c: sorting by hand: a radix sort that starts at the lowest digit.
 *
 * A number becomes an unsigned one of the same order. Eight passes over digits of 8 bits follow; each knows how often
 * a digit occurs, which gives every digit its place, and moves the numbers there in order. They are collected in a
 * line of the cache for each digit, and leave it eight at a time (Satish et al. 2010). A digit that all have in common
 * needs no pass. Threads count and move a share each; their places follow each other within a digit.
 */
#include <string.h>

#include "native.h"

enum { BITS = 8, DIGITS = 1 << BITS, PASSES = 64 / BITS, LINE = 8 };

typedef enum Kind { SIGNED, FLOATING } Kind;

/* Negative floating-point numbers are in the wrong order and below the others: all their bits turn over. */
static inline uint64_t ordered(uint64_t x, Kind kind) {
    uint64_t top = (uint64_t)1 << 63;
    if (kind == SIGNED) return x ^ top;
    return x ^ ((uint64_t)((int64_t)x >> 63) | top);
}

static inline uint64_t original(uint64_t x, Kind kind) {
    uint64_t top = (uint64_t)1 << 63;
    if (kind == SIGNED) return x ^ top;
    return x ^ ((uint64_t)((int64_t)~x >> 63) | top);
}

static inline int digit_of(uint64_t x, int pass) {
    return (int)(x >> (pass * BITS) & (DIGITS - 1));
}

typedef int64_t Counts[DIGITS];

/* Of all digits at once, and changes the numbers. */
static inline void count_all(const uint64_t *x, int64_t length, Kind kind, uint64_t *out, Counts *counts) {
    memset(counts, 0, PASSES * sizeof *counts);
    for (int64_t i = 0; i < length; i++) {
        uint64_t number = ordered(x[i], kind);
        out[i] = number;
        for (int pass = 0; pass < PASSES; pass++) counts[pass][digit_of(number, pass)]++;
    }
}

static void count_digits(const uint64_t *x, int64_t start, int64_t end, int pass, Counts *count) {
    Counts own[2] = {{0}};
    for (int64_t i = start; i < end; i++) own[i & 1][digit_of(x[i], pass)]++;
    for (int digit = 0; digit < DIGITS; digit++) (*count)[digit] = own[0][digit] + own[1][digit];
}

static inline void line_write(uint64_t *out, const uint64_t *line) {
#if defined(WIDE)
    _mm512_stream_si512((void *)out, _mm512_load_si512(line));
#else
    memcpy(out, line, LINE * sizeof *out);
#endif
}

/* The first and the last line of a digit are shared with its neighbours: only its own part is written. */
static void move(const uint64_t *from, int64_t start, int64_t end, int pass, Counts at, uint64_t *to) {
    _Alignas(64) uint64_t lines[DIGITS][LINE];
    Counts first;
    memcpy(first, at, sizeof first);
    for (int64_t i = start; i < end; i++) {
        uint64_t number = from[i];
        int digit = digit_of(number, pass);
        int64_t place = at[digit]++, line = place - (LINE - 1);
        lines[digit][place % LINE] = number;
        if (place % LINE != LINE - 1) continue;
        if (line >= first[digit])
            line_write(to + line, lines[digit]);
        else
            for (int64_t k = first[digit]; k <= place; k++) to[k] = lines[digit][k % LINE];
    }
    for (int digit = 0; digit < DIGITS; digit++) {
        int64_t k = at[digit] / LINE * LINE;
        for (k = k < first[digit] ? first[digit] : k; k < at[digit]; k++) to[k] = lines[digit][k % LINE];
    }
#if defined(WIDE)
    _mm_sfence();
#endif
}

static inline void sort(const Inputs *in, Kind kind, void *out) {
    int64_t length = LENGTH(0);
    int threads = in->threads;
    const uint64_t *x = INPUT(0, uint64_t);
    uint64_t *from = take(in, (size_t)length * 8), *to = take(in, (size_t)length * 8);
    Counts *at = take(in, (size_t)threads * sizeof *at), *counts = take(in, PASSES * sizeof *counts);
    if (threads == 1) {
        count_all(x, length, kind, from, counts);
    } else {
#pragma omp parallel for simd num_threads(threads) schedule(static)
        for (int64_t i = 0; i < length; i++) from[i] = ordered(x[i], kind);
    }
    for (int pass = 0; pass < PASSES; pass++) {
        if (threads == 1) {
            memcpy(at, counts[pass], sizeof *at);
        } else {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
            for (int t = 0; t < threads; t++)
                count_digits(from, share(length, t, threads), share(length, t + 1, threads), pass, &at[t]);
        }
        if (!radix_places((int64_t *)at, DIGITS, threads, length)) continue;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; t++)
            move(from, share(length, t, threads), share(length, t + 1, threads), pass, at[t], to);
        uint64_t *swap = from;
        from = to;
        to = swap;
    }
#pragma omp parallel for simd num_threads(threads) schedule(static)
    for (int64_t i = 0; i < length; i++) from[i] = original(from[i], kind);
    *(Vector *)out = (Vector){from, length};
}

void native_sort_f64(const Inputs *in, void *out) {
    sort(in, FLOATING, out);
}

void native_sort_i64(const Inputs *in, void *out) {
    sort(in, SIGNED, out);
}
