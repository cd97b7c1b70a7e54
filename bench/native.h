/* native.h: what the hand-written workloads share: their inputs, and vectors of 8 doubles or 16 floats.
 *
 * The vectors are the compiler's own (vector_size); on processors with AVX-512 the functions of mathematics
 * are SLEEF's, 8 or 16 at a time within 1 ULP, as a good engineer would take them; elsewhere libm's, one by
 * one.
 */
#ifndef NATIVE_H
#define NATIVE_H

#include <math.h>
#include <string.h>
#if defined(__AVX512F__) && defined(__AVX512DQ__) && defined(__AVX512VL__) && defined(__AVX512BW__)
#include <immintrin.h>
#define WIDE 1
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

#if defined(WIDE) && defined(HAVE_SLEEF)
#define LANES_FUNCTION(name)                                   \
    static inline Lanes lanes_##name(Lanes x) {                \
        return (Lanes)Sleef_##name##d8_u10avx512f((__m512d)x); \
    }
static inline LanesF lanes_expf(LanesF x) {
    return (LanesF)Sleef_expf16_u10avx512f((__m512)x);
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
#else
    for (int k = 0; k < LANES; k++) x[k] = sqrt(x[k]);
    return x;
#endif
}

/* The lanes whose bits are set in take, one after the other at out; gives how many. It may write 8 numbers.
 */
static inline int compress(double *out, Lanes x, unsigned take) {
#if defined(WIDE)
    store(out, (Lanes)_mm512_maskz_compress_pd((__mmask8)take, (__m512d)x));
    return __builtin_popcount(take);
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

#endif
