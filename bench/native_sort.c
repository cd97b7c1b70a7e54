/* native_sort.c: sorting by hand: a radix sort that starts at the lowest digit.
 *
 * A number becomes an unsigned one of the same order. Six passes over digits of 11 bits follow; each counts
 * how often a digit occurs, which gives every digit its place, and moves the numbers there in order. A digit
 * that all have in common needs no pass. Threads count and move a share each; their places follow each other
 * within a digit.
 */
#include <string.h>

#include "native.h"

enum { BITS = 11, DIGITS = 1 << BITS, PASSES = 6 };

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

static void count_digits(const uint64_t *x, int64_t start, int64_t end, int shift, int64_t *count) {
    memset(count, 0, DIGITS * sizeof *count);
    for (int64_t i = start; i < end; i++) count[x[i] >> shift & (DIGITS - 1)]++;
}

/* false: all have the same digit. */
static bool places(int64_t (*at)[DIGITS], int threads, int64_t length) {
    int64_t next = 0;
    for (int digit = 0; digit < DIGITS; digit++) {
        int64_t before = next;
        for (int t = 0; t < threads; t++) {
            int64_t count = at[t][digit];
            at[t][digit] = next;
            next += count;
        }
        if (next - before == length) return false;
    }
    return true;
}

static inline void sort(const Inputs *in, Kind kind, void *out) {
    int64_t length = LENGTH(0);
    int threads = in->threads;
    const uint64_t *x = INPUT(0, uint64_t);
    uint64_t *from = take(in, (size_t)length * 8), *to = take(in, (size_t)length * 8);
    int64_t(*at)[DIGITS] = take(in, (size_t)threads * sizeof *at);
#pragma omp parallel for simd num_threads(threads) schedule(static)
    for (int64_t i = 0; i < length; i++) from[i] = ordered(x[i], kind);
    for (int pass = 0; pass < PASSES; pass++) {
        int shift = pass * BITS;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; t++)
            count_digits(from, share(length, t, threads), share(length, t + 1, threads), shift, at[t]);
        if (!places(at, threads, length)) continue;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; t++)
            for (int64_t i = share(length, t, threads); i < share(length, t + 1, threads); i++)
                to[at[t][from[i] >> shift & (DIGITS - 1)]++] = from[i];
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
