/* vector_sort.c: sorting words of 32 or 64 bits with the processor's vectors.
 *
 * A quicksort. A vector of 8 words is parted by a pivot in a few instructions: a comparison gives a mask, the mask picks
 * a permutation that brings the words not above the pivot to the front, and the vector is stored twice, at the left
 * end, of which only the front counts, and at the right end, of which the rest does:
 *
 *     pivot 5, v = 7 2 9 4  ->  mask 1010  ->  2 4 7 9   ->   left  2 4 | . .      right  . . | 7 9
 *
 * So that there is room for both, the first and the last vectors wait in registers until all others are parted, and the
 * next ones are taken from the side with less room.
 *
 * Up to 16 vectors are sorted in registers: a sorting network on vectors sorts each of their columns, and then columns
 * are merged two by two, two pairs by two, ..., bitonically: of two sorted columns the least of one is compared with the
 * greatest of the other, and so on, which halves the problem.
 *
 * The pivot is a middle of random words. Every part knows bounds of its words: if the pivot is the upper one, those equal
 * to it are parted off and are done, so many equal words are no burden. After twice as many partings as good pivots
 * would need, a heap sort takes over: no input takes more than n log n.
 *
 * Much data is scattered first, from one memory to another, by 15 splitters of a sample: each block of the cache's size
 * is parted by them four times over and leaves in 16 pieces (scalar_sort.c), which saves four passes over memory.
 *
 * Bramas, "A Novel Hybrid Quicksort Algorithm Vectorized using AVX-512 on Intel Skylake", 2017; Blacher, Giesen,
 * Sanders, Wassenberg, "Fast and Robust Vectorized In-Place Sorting of Primitive Types", SEA 2021.
 */
#include "sort.h"

#include <string.h>

#if defined(__x86_64__)
#include <immintrin.h>

enum {
    CACHED = 32 << 10,      /* bytes that are sorted, and made scalars again, while they are in the cache */
    BLOCK_BYTES = 16 << 10, /* that are scattered at once */
    PIVOT_OF_9 = 2048       /* words that are worth a better pivot */
};
#define RANDOM_FACTOR UINT64_C(0x9E3779B97F4A7C15)

/* By a mask of 8 lanes: the numbers of those that it leaves out and then of those that it has, a byte each. */
#define BELOW(m, i) ((m) & ((1 << (i)) - 1))
#define PLACE(m, i)                                                               \
    ((m) >> (i) & 1 ? 8 - __builtin_popcount(m) + __builtin_popcount(BELOW(m, i)) \
                    : (i) - __builtin_popcount(BELOW(m, i)))
#define LANE(m, i) ((uint64_t)(i) << 8 * (PLACE(m, i)))
#define ROW_1(m) \
    LANE(m, 0) | LANE(m, 1) | LANE(m, 2) | LANE(m, 3) | LANE(m, 4) | LANE(m, 5) | LANE(m, 6) | LANE(m, 7),
#define ROW_4(m) ROW_1(m) ROW_1((m) + 1) ROW_1((m) + 2) ROW_1((m) + 3)
#define ROW_16(m) ROW_4(m) ROW_4((m) + 4) ROW_4((m) + 8) ROW_4((m) + 12)
#define ROW_64(m) ROW_16(m) ROW_16((m) + 16) ROW_16((m) + 32) ROW_16((m) + 48)
static const uint64_t split_lanes[256] = {ROW_64(0) ROW_64(64) ROW_64(128) ROW_64(192)};

static inline int64_t clamp_lanes(int64_t count, int64_t lanes) {
    return count < 0 ? 0 : count < lanes ? count : lanes;
}

static inline uint64_t random_below(uint64_t *random, int64_t count) {
    *random = *random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
    return (uint64_t)((unsigned __int128)*random * (uint64_t)count >> 64);
}

#define greatest_word(bits) ((bits) == 64 ? INT64_MAX : INT32_MAX)

#define BITS 64
#include "vector_avx512.h"
#include "vector_kernel.h"
#define BITS 32
#include "vector_avx512.h"
#include "vector_kernel.h"
#define BITS 64
#include "vector_avx2.h"
#include "vector_kernel.h"
#define BITS 32
#include "vector_avx2.h"
#include "vector_kernel.h"

static bool has_avx512(void) {
    return __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512bw") &&
           __builtin_cpu_supports("avx512dq") && __builtin_cpu_supports("avx512vl") &&
           __builtin_cpu_supports("bmi2");
}

static bool has_avx2(void) {
    return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("bmi") &&
           __builtin_cpu_supports("bmi2") && __builtin_cpu_supports("popcnt");
}

const SortKernel *sort_kernel_at(int n) {
    static const SortKernel *const kernels[] = {&kernel_avx512_64, &kernel_avx512_32, &kernel_avx2_64,
                                                &kernel_avx2_32};
    __builtin_cpu_init();
    int first = has_avx512() ? 0 : 2, end = has_avx2() ? 4 : 2;
    return first + n < end ? kernels[first + n] : NULL;
}
#else
const SortKernel *sort_kernel_at(int n) {
    (void)n;
    return NULL;
}
#endif

const SortKernel *sort_kernel(int bytes) {
    if (bytes != 4 && bytes != 8) return NULL;
    return sort_kernel_at(bytes == 8 ? 0 : 1);
}

Wording wording_of(TypeKind kind, bool descending) {
    int bits = type_classes[kind].bits;
    char class = type_classes[kind].class;
    Wording how = {0, 0, bits / 8};
    int64_t sign = (int64_t)(UINT64_C(1) << (bits - 1));
    if (class == 'f') how.magnitude = (int64_t)((uint64_t)sign - 1);
    if (class != 'f' && class != 's') how.flip = sign;
    if (descending) how.flip = ~how.flip;
    return how;
}
