/* native.h: what the hand-written workloads share: their inputs, and vectors of 8 doubles or 16 floats.
 *
 * The vectors are the compiler's own (vector_size): one register with AVX-512 (WIDE), two with AVX2 (HALVES).
 * With either, the functions of mathematics are SLEEF's, a register at a time within 1 ULP, as a good engineer
 * would take them; elsewhere they are libm's, one by one.
 */
#ifndef NATIVE_H
#define NATIVE_H

#include <math.h>
#include <string.h>
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#define WIDE 1
#elif defined(__AVX2__) && defined(__FMA__)
#define HALVES 1
#endif
#if defined(WIDE) || defined(HALVES)
#include <immintrin.h>
#if defined(HAVE_SLEEF)
#include <sleef.h>
#endif
#endif

#include "bench.h"

#define INPUT(k, type) ((const type *)in->columns[k]->data.data)
#define LENGTH(k) (in->columns[k]->data.length)

enum { LANES = 8, LANES_F = 16, MOST_THREADS = 64 };
typedef double Lanes __attribute__((vector_size(64)));
typedef Lanes LanesAt __attribute__((aligned(8)));       /* as they lie in columns */
typedef int64_t LanesI __attribute__((vector_size(64))); /* -1 where a comparison holds */
typedef float LanesF __attribute__((vector_size(64)));
typedef LanesF LanesFAt __attribute__((aligned(4)));

static inline Lanes load(const double *at) {
    return *(const LanesAt *)at;
}

static inline void store(double *at, Lanes x) {
    *(LanesAt *)at = x;
}

static inline Lanes all(double x) {
    return (Lanes){x, x, x, x, x, x, x, x};
}

static inline Lanes pick(LanesI condition, Lanes a, Lanes b) {
    return (Lanes)((condition & (LanesI)a) | (~condition & (LanesI)b));
}

static inline double add_up(Lanes x) {
    return ((x[0] + x[4]) + (x[1] + x[5])) + ((x[2] + x[6]) + (x[3] + x[7]));
}

#if defined(HALVES)
static inline __m256d half(Lanes x, int which) {
    return which ? (__m256d)__builtin_shufflevector(x, x, 4, 5, 6, 7)
                 : (__m256d)__builtin_shufflevector(x, x, 0, 1, 2, 3);
}

static inline Lanes join(__m256d low, __m256d high) {
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7);
}

static inline __m256 half_f(LanesF x, int which) {
    return which ? (__m256)__builtin_shufflevector(x, x, 8, 9, 10, 11, 12, 13, 14, 15)
                 : (__m256)__builtin_shufflevector(x, x, 0, 1, 2, 3, 4, 5, 6, 7);
}

static inline LanesF join_f(__m256 low, __m256 high) {
    return __builtin_shufflevector(low, high, 0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
}
#endif

#if defined(WIDE) && defined(HAVE_SLEEF)
#define LANES_FUNCTION(name)                                   \
    static inline Lanes lanes_##name(Lanes x) {                \
        return (Lanes)Sleef_##name##d8_u10avx512f((__m512d)x); \
    }
static inline LanesF lanes_expf(LanesF x) {
    return (LanesF)Sleef_expf16_u10avx512f((__m512)x);
}
#elif defined(HALVES) && defined(HAVE_SLEEF)
#define LANES_FUNCTION(name)                                                                     \
    static inline Lanes lanes_##name(Lanes x) {                                                  \
        return join(Sleef_##name##d4_u10avx2(half(x, 0)), Sleef_##name##d4_u10avx2(half(x, 1))); \
    }
static inline LanesF lanes_expf(LanesF x) {
    return join_f(Sleef_expf8_u10avx2(half_f(x, 0)), Sleef_expf8_u10avx2(half_f(x, 1)));
}
#else
#define LANES_FUNCTION(name)                               \
    static inline Lanes lanes_##name(Lanes x) {            \
        for (int k = 0; k < LANES; k++) x[k] = name(x[k]); \
        return x;                                          \
    }
static inline LanesF lanes_expf(LanesF x) {
    for (int k = 0; k < LANES_F; k++) x[k] = expf(x[k]);
    return x;
}
#endif
LANES_FUNCTION(exp)
LANES_FUNCTION(log)
LANES_FUNCTION(erf)
LANES_FUNCTION(sin)
LANES_FUNCTION(cos)
LANES_FUNCTION(asin)

static inline Lanes lanes_sqrt(Lanes x) {
#if defined(WIDE)
    return (Lanes)_mm512_sqrt_pd((__m512d)x);
#elif defined(HALVES)
    return join(_mm256_sqrt_pd(half(x, 0)), _mm256_sqrt_pd(half(x, 1)));
#else
    for (int k = 0; k < LANES; k++) x[k] = sqrt(x[k]);
    return x;
#endif
}

#if defined(HALVES)
/* Row `take` of the table: the pairs of words that move to the front. */
static inline __m256d compress_half(__m256d x, unsigned take) {
#define PAIR(k) 2 * (k), 2 * (k) + 1
#define MOVES(a, b, c, d) {PAIR(a), PAIR(b), PAIR(c), PAIR(d)}
    static const _Alignas(32) int moves[16][8] = {
        MOVES(0, 0, 0, 0), MOVES(0, 0, 0, 0), MOVES(1, 0, 0, 0), MOVES(0, 1, 0, 0),
        MOVES(2, 0, 0, 0), MOVES(0, 2, 0, 0), MOVES(1, 2, 0, 0), MOVES(0, 1, 2, 0),
        MOVES(3, 0, 0, 0), MOVES(0, 3, 0, 0), MOVES(1, 3, 0, 0), MOVES(0, 1, 3, 0),
        MOVES(2, 3, 0, 0), MOVES(0, 2, 3, 0), MOVES(1, 2, 3, 0), MOVES(0, 1, 2, 3),
    };
#undef MOVES
#undef PAIR
    __m256i way = _mm256_load_si256((const __m256i *)moves[take]);
    return _mm256_castps_pd(_mm256_permutevar8x32_ps(_mm256_castpd_ps(x), way));
}
#endif

/* The lanes whose bits are set in take, one after the other at out; gives how many. It may write 8 numbers.
 */
static inline int compress(double *out, Lanes x, unsigned take) {
#if defined(WIDE)
    store(out, (Lanes)_mm512_maskz_compress_pd((__mmask8)take, (__m512d)x));
    return __builtin_popcount(take);
#elif defined(HALVES)
    unsigned low = take & 15, high = take >> 4;
    int count = __builtin_popcount(low);
    _mm256_storeu_pd(out, compress_half(half(x, 0), low));
    _mm256_storeu_pd(out + count, compress_half(half(x, 1), high));
    return count + __builtin_popcount(high);
#else
    int count = 0;
    for (int k = 0; k < LANES; k++) {
        out[count] = x[k];
        count += take >> k & 1;
    }
    return count;
#endif
}

/* Bit k: x[k] < bound. */
static inline unsigned below(Lanes x, double bound) {
#if defined(WIDE)
    return _mm512_cmp_pd_mask((__m512d)x, _mm512_set1_pd(bound), _CMP_LT_OQ);
#elif defined(HALVES)
    __m256d than = _mm256_set1_pd(bound);
    return (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(half(x, 0), than, _CMP_LT_OQ)) |
           (unsigned)_mm256_movemask_pd(_mm256_cmp_pd(half(x, 1), than, _CMP_LT_OQ)) << 4;
#else
    unsigned bits = 0;
    for (int k = 0; k < LANES; k++) bits |= (unsigned)(x[k] < bound) << k;
    return bits;
#endif
}

/* Where thread t of n begins in 0..length-1, a multiple of 64. */
static inline int64_t share(int64_t length, int t, int n) {
    return t >= n ? length : length / 64 * t / n * 64;
}

/* The counts of each thread's digits, [threads][digits], become places; threads follow each other within a digit. false: all
 * have the same digit. */
static inline bool radix_places(int64_t *counts, int digits, int threads, int64_t length) {
    int64_t next = 0;
    for (int digit = 0; digit < digits; digit++) {
        int64_t before = next;
        for (int t = 0; t < threads; t++) {
            int64_t *place = &counts[(int64_t)t * digits + digit], count = *place;
            *place = next;
            next += count;
        }
        if (next - before == length) return false;
    }
    return true;
}

#endif
