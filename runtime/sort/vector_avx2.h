/* vector_avx2.h: vectors of 256 bits for vector_kernel.h: 4 words of 64 bits, or 8 of 32. What the functions do is said
 * in vector_avx512.h. */
#define TARGET "avx2,bmi,bmi2,popcnt"
#define KERNEL static __attribute__((target(TARGET)))
#define INLINE static inline __attribute__((always_inline, target(TARGET)))
#if BITS == 64
#define NAME(name) name##_avx2_64
#define WORD int64_t
#define LANES 4
#else
#define NAME(name) name##_avx2_32
#define WORD int32_t
#define LANES 8
#endif
typedef __m256i NAME(V);
#define V NAME(V)

INLINE V NAME(load)(const WORD *at) {
    return _mm256_loadu_si256((const __m256i *)(const void *)at);
}
INLINE void NAME(store)(WORD *at, V v) {
    _mm256_storeu_si256((__m256i *)(void *)at, v);
}
INLINE V NAME(flip)(V x, V flip) {
    return _mm256_xor_si256(x, flip);
}

#if BITS == 64
INLINE V NAME(all)(WORD x) {
    return _mm256_set1_epi64x(x);
}
INLINE V NAME(least)(V a, V b) {
    return _mm256_blendv_epi8(a, b, _mm256_cmpgt_epi64(a, b));
}
INLINE V NAME(most)(V a, V b) {
    return _mm256_blendv_epi8(b, a, _mm256_cmpgt_epi64(a, b));
}
INLINE bool NAME(any_below)(V a, V b) {
    V below = _mm256_cmpgt_epi64(b, a);
    return !_mm256_testz_si256(below, below);
}
INLINE V NAME(count_above)(V counts, V a, V b) {
    return _mm256_sub_epi64(counts, _mm256_cmpgt_epi64(a, b));
}
INLINE V NAME(word)(V x, V magnitude) {
    return _mm256_xor_si256(x, _mm256_and_si256(_mm256_cmpgt_epi64(_mm256_setzero_si256(), x), magnitude));
}
INLINE V NAME(first)(int64_t k) {
    return _mm256_cmpgt_epi64(_mm256_set1_epi64x(k), _mm256_set_epi64x(3, 2, 1, 0));
}
INLINE V NAME(load_first)(const WORD *at, int64_t k, V rest) {
    V first = NAME(first)(k);
    return _mm256_blendv_epi8(rest, _mm256_maskload_epi64((const void *)at, first), first);
}
INLINE void NAME(store_first)(WORD *at, int64_t k, V v) {
    _mm256_maskstore_epi64((void *)at, NAME(first)(k), v);
}
INLINE V NAME(reverse)(V v, int width) {
    return width == 2 ? _mm256_shuffle_epi32(v, 0x4E) : _mm256_permute4x64_epi64(v, 0x1B);
}
INLINE V NAME(swap)(V v, int distance) {
    return distance == 1 ? _mm256_shuffle_epi32(v, 0x4E) : _mm256_permute4x64_epi64(v, 0x4E);
}
INLINE V NAME(zip)(V low, V high, int lane) {
    return lane == 1 ? _mm256_blend_epi32(low, high, 0xCC) : _mm256_blend_epi32(low, high, 0xF0);
}
/* Each word is two lanes of 32 bits, which stay together. */
INLINE int NAME(split)(V v, V pivot, WORD *left, WORD *right) {
    unsigned above = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi64(v, pivot)));
    __m128i lanes = _mm_loadl_epi64((const __m128i *)(const void *)&split_lanes[above]);
    V parted = _mm256_permutevar8x32_epi32(v, _mm256_cvtepu8_epi32(lanes));
    NAME(store)(left, parted);
    NAME(store)(right - LANES, parted);
    return __builtin_popcount(above) / 2;
}
#else
INLINE V NAME(all)(WORD x) {
    return _mm256_set1_epi32(x);
}
INLINE V NAME(least)(V a, V b) {
    return _mm256_min_epi32(a, b);
}
INLINE V NAME(most)(V a, V b) {
    return _mm256_max_epi32(a, b);
}
INLINE bool NAME(any_below)(V a, V b) {
    V below = _mm256_cmpgt_epi32(b, a);
    return !_mm256_testz_si256(below, below);
}
INLINE V NAME(count_above)(V counts, V a, V b) {
    return _mm256_sub_epi32(counts, _mm256_cmpgt_epi32(a, b));
}
INLINE V NAME(word)(V x, V magnitude) {
    return _mm256_xor_si256(x, _mm256_and_si256(_mm256_srai_epi32(x, 31), magnitude));
}
INLINE V NAME(first)(int64_t k) {
    return _mm256_cmpgt_epi32(_mm256_set1_epi32((int)k), _mm256_set_epi32(7, 6, 5, 4, 3, 2, 1, 0));
}
INLINE V NAME(load_first)(const WORD *at, int64_t k, V rest) {
    V first = NAME(first)(k);
    return _mm256_blendv_epi8(rest, _mm256_maskload_epi32((const void *)at, first), first);
}
INLINE void NAME(store_first)(WORD *at, int64_t k, V v) {
    _mm256_maskstore_epi32((void *)at, NAME(first)(k), v);
}
INLINE V NAME(reverse)(V v, int width) {
    if (width == 2) return _mm256_shuffle_epi32(v, 0xB1);
    if (width == 4) return _mm256_shuffle_epi32(v, 0x1B);
    return _mm256_permutevar8x32_epi32(v, _mm256_set_epi32(0, 1, 2, 3, 4, 5, 6, 7));
}
INLINE V NAME(swap)(V v, int distance) {
    return distance == 1 ? _mm256_shuffle_epi32(v, 0xB1) : _mm256_shuffle_epi32(v, 0x4E);
}
INLINE V NAME(zip)(V low, V high, int lane) {
    if (lane == 1) return _mm256_blend_epi32(low, high, 0xAA);
    return lane == 2 ? _mm256_blend_epi32(low, high, 0xCC) : _mm256_blend_epi32(low, high, 0xF0);
}
INLINE int NAME(split)(V v, V pivot, WORD *left, WORD *right) {
    unsigned above = (unsigned)_mm256_movemask_ps(_mm256_castsi256_ps(_mm256_cmpgt_epi32(v, pivot)));
    __m128i lanes = _mm_loadl_epi64((const __m128i *)(const void *)&split_lanes[above]);
    V parted = _mm256_permutevar8x32_epi32(v, _mm256_cvtepu8_epi32(lanes));
    NAME(store)(left, parted);
    NAME(store)(right - LANES, parted);
    return __builtin_popcount(above);
}
#endif
