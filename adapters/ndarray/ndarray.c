/* ndarray.c: the table of the adapter ndarray. Arrays are made and used by the functions of weld_ndarray.h, which emit
 * fragments; by name there is what those call, and what is handy for vectors in programs.
 *
 *     ndarray.cumsum_f64(v, n, inner)     running sums of v, an array {.., n, inner} row by row, along n
 */
#include "weld_ndarray.h"

#define EXPORT __attribute__((visibility("default")))

typedef struct Vector {
    void *data;
    int64_t length;
} Vector;

/* Integers wrap. */
#define CUMSUM(name, T, as)                                                                                  \
    EXPORT int weld_nd_cumsum_##name(const Vector *v, const int64_t *n, const int64_t *inner, Vector *out);  \
    EXPORT int weld_nd_cumsum_##name(const Vector *v, const int64_t *n, const int64_t *inner, Vector *out) { \
        const T *from = v->data;                                                                             \
        T *to = out->data;                                                                                   \
        int64_t block;                                                                                       \
        if (*n < 0 || *inner < 0 || __builtin_mul_overflow(*n, *inner, &block)) return 1;                    \
        if (out->length != v->length || (block ? v->length % block : v->length) != 0) return 1;              \
        for (int64_t i = 0; i < v->length; i++)                                                              \
            to[i] = i % block < *inner ? from[i] : (T)((as)to[i - *inner] + (as)from[i]);                    \
        return 0;                                                                                            \
    }
CUMSUM(i64, int64_t, uint64_t)
CUMSUM(u64, uint64_t, uint64_t)
CUMSUM(f32, float, float)
CUMSUM(f64, double, double)

/* Sums from an element to the end: turned around along the axis, summed, and turned back. */
#define TURNED(v)                                                               \
    "result(for(" v ", appender, |b, i, e| let k = i / inner; let at = k % n; " \
    "merge(b, lookup(" v ", i + (n - 1L - at - at) * inner))))"
#define REVERSED(T) \
    "|v, n, inner, r, g| let t = " TURNED("g") "; let s = ndarray.cumsum_" #T "(t, n, inner); " TURNED("s")
#define NOT_DERIVED(T) NULL

#define ROW(T, derivative)                                                                            \
    {"cumsum_" #T,                                                                                    \
     "int weld_nd_cumsum_" #T "(v, n, inner, out)",                                                   \
     NULL,                                                                                            \
     "|v: vec[" #T "], n: i64, inner: i64| "                                                          \
     "@(pure: true, threadsafe: true)cfill[weld_nd_cumsum_" #T ", vec[" #T "]](len(v), v, n, inner)", \
     derivative(T),                                                                                   \
     "running sums along the middle axis of {.., n, inner}"}

static const weld_function_t functions[] = {
    ROW(i64, NOT_DERIVED),
    ROW(u64, NOT_DERIVED),
    ROW(f32, REVERSED),
    ROW(f64, REVERSED),
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

EXPORT const weld_adapter_t *weld_adapter(void);
EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "ndarray", "N-dimensional arrays",
                                           functions};
    return &adapter;
}
