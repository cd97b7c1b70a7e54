/* vector_avx512.h: vectors of 512 bits for vector_kernel.h: 8 words of 64 bits, or 16 of 32. */
#define TARGET "avx512f,avx512bw,avx512dq,avx512vl,avx2,bmi,bmi2,popcnt"
#define KERNEL static __attribute__((target(TARGET)))
#define INLINE static inline __attribute__((always_inline, target(TARGET)))
#if BITS == 64
#define NAME(name) name##_avx512_64
#define WORD int64_t
#define LANES 8
#else
#define NAME(name) name##_avx512_32
#define WORD int32_t
#define LANES 16
#endif
typedef __m512i NAME(V);
#define V NAME(V)

INLINE V NAME(load)(const WORD *at) {
    return _mm512_loadu_si512(at);
}
INLINE void NAME(store)(WORD *at, V v) {
    _mm512_storeu_si512(at, v);
}
/* A mask in a register of 32 bits: gcc 12 is known to spill a mask as one byte and to count the ones of four. */
INLINE unsigned NAME(bits)(unsigned mask) {
    __asm__("" : "+r"(mask));
    return mask;
}

#if BITS == 64
INLINE V NAME(all)(WORD x) {
    return _mm512_set1_epi64(x);
}
INLINE V NAME(least)(V a, V b) {
    return _mm512_min_epi64(a, b);
}
INLINE V NAME(most)(V a, V b) {
    return _mm512_max_epi64(a, b);
}
INLINE bool NAME(any_below)(V a, V b) {
    return _mm512_cmplt_epi64_mask(a, b) != 0;
}
INLINE V NAME(count_above)(V counts, V a, V b) {
    return _mm512_mask_sub_epi64(counts, _mm512_cmpgt_epi64_mask(a, b), counts, _mm512_set1_epi64(-1));
}
INLINE V NAME(word)(V x, V magnitude) {
    return _mm512_xor_si512(x, _mm512_and_si512(_mm512_srai_epi64(x, 63), magnitude));
}
INLINE V NAME(flip)(V x, V flip) {
    return _mm512_xor_si512(x, flip);
}
/* The first k lanes from memory, the others from rest. */
INLINE V NAME(load_first)(const WORD *at, int64_t k, V rest) {
    return _mm512_mask_loadu_epi64(rest, (__mmask8)((1u << k) - 1), at);
}
INLINE void NAME(store_first)(WORD *at, int64_t k, V v) {
    _mm512_mask_storeu_epi64(at, (__mmask8)((1u << k) - 1), v);
}
/* Lane i from lane i ^ (width - 1). */
INLINE V NAME(reverse)(V v, int width) {
    if (width == 2) return _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x4E);
    if (width == 4) return _mm512_permutex_epi64(v, 0x1B);
    return _mm512_permutexvar_epi64(_mm512_set_epi64(0, 1, 2, 3, 4, 5, 6, 7), v);
}
/* Lane i from lane i ^ distance. */
INLINE V NAME(swap)(V v, int distance) {
    return distance == 1 ? _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x4E) : _mm512_permutex_epi64(v, 0x4E);
}
/* Lanes i with i & lane from high, the others from low. */
INLINE V NAME(zip)(V low, V high, int lane) {
    return _mm512_mask_blend_epi64(lane == 1 ? 0xAA : lane == 2 ? 0xCC : 0xF0, low, high);
}
/* Stores the lanes that are not above the pivot from left on, and the others up to right; returns how many those are.
 * What lies between may be overwritten, LANES words from either end. */
INLINE int NAME(split)(V v, V pivot, WORD *left, WORD *right) {
    unsigned above = NAME(bits)(_mm512_cmpgt_epi64_mask(v, pivot));
    __m128i lanes = _mm_loadl_epi64((const __m128i *)(const void *)&split_lanes[above]);
    V parted = _mm512_permutexvar_epi64(_mm512_cvtepu8_epi64(lanes), v);
    _mm512_storeu_si512(left, parted);
    _mm512_storeu_si512(right - LANES, parted);
    return __builtin_popcount(above);
}
#else
INLINE V NAME(all)(WORD x) {
    return _mm512_set1_epi32(x);
}
INLINE V NAME(least)(V a, V b) {
    return _mm512_min_epi32(a, b);
}
INLINE V NAME(most)(V a, V b) {
    return _mm512_max_epi32(a, b);
}
INLINE bool NAME(any_below)(V a, V b) {
    return _mm512_cmplt_epi32_mask(a, b) != 0;
}
INLINE V NAME(count_above)(V counts, V a, V b) {
    return _mm512_mask_sub_epi32(counts, _mm512_cmpgt_epi32_mask(a, b), counts, _mm512_set1_epi32(-1));
}
INLINE V NAME(word)(V x, V magnitude) {
    return _mm512_xor_si512(x, _mm512_and_si512(_mm512_srai_epi32(x, 31), magnitude));
}
INLINE V NAME(flip)(V x, V flip) {
    return _mm512_xor_si512(x, flip);
}
INLINE V NAME(load_first)(const WORD *at, int64_t k, V rest) {
    return _mm512_mask_loadu_epi32(rest, (__mmask16)((1u << k) - 1), at);
}
INLINE void NAME(store_first)(WORD *at, int64_t k, V v) {
    _mm512_mask_storeu_epi32(at, (__mmask16)((1u << k) - 1), v);
}
INLINE V NAME(reverse)(V v, int width) {
    if (width == 2) return _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xB1);
    if (width == 4) return _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x1B);
    __m512i lanes = width == 8 ? _mm512_set_epi32(8, 9, 10, 11, 12, 13, 14, 15, 0, 1, 2, 3, 4, 5, 6, 7)
                               : _mm512_set_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    return _mm512_permutexvar_epi32(lanes, v);
}
INLINE V NAME(swap)(V v, int distance) {
    if (distance == 1) return _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0xB1);
    if (distance == 2) return _mm512_shuffle_epi32(v, (_MM_PERM_ENUM)0x4E);
    return _mm512_permutex_epi64(v, 0x4E);
}
INLINE V NAME(zip)(V low, V high, int lane) {
    return _mm512_mask_blend_epi32(lane == 1   ? 0xAAAA
                                   : lane == 2 ? 0xCCCC
                                   : lane == 4 ? 0xF0F0
                                               : 0xFF00,
                                   low, high);
}
INLINE int NAME(split)(V v, V pivot, WORD *left, WORD *right) {
    __mmask16 above = _mm512_cmpgt_epi32_mask(v, pivot);
    int count = __builtin_popcount(NAME(bits)(above));
    _mm512_storeu_si512(left, _mm512_maskz_compress_epi32((__mmask16)~above, v));
    _mm512_mask_storeu_epi32(right - count, (__mmask16)((1u << count) - 1),
                             _mm512_maskz_compress_epi32(above, v));
    return count;
}
#endif
