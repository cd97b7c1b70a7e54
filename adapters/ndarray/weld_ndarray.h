/* weld_ndarray.h: N-dimensional arrays that are computed when they are wanted. Link with -lweld-ndarray -lweld.
 *
 *     double samples[6] = {1, 2, 3, 4, 5, 6};
 *     int64_t shape[] = {2, 3};
 *     int first = 0;
 *     weld_nd_t x = weld_nd_from(WELD_ND_F64, samples, 2, shape, NULL, NULL, NULL, error);
 *     weld_nd_t mean = weld_nd_reduce(WELD_ND_MEAN, x, &first, 1, false, error);
 *     weld_nd_t centred = weld_nd_binary(WELD_ND_SUBTRACT, x, mean, error);
 *     double out[6];
 *     if (weld_nd_read(context, centred, out, sizeof out, error)) ...
 *
 * An array knows its type of elements, shape and strides; what it is made of is a lazy value (weld.h). Views (transpose,
 * slice, broadcast, ...) compute nothing, not even when they are read; operations on elements fuse with each other, and
 * with what other libraries emit. What is generated depends on types and the number of axes, never on sizes.
 *
 * Meaning, shapes and types of results are NumPy's, within the language's scalars: broadcasting; i32 with f32 gives f64,
 * i64 with u64 f64; `/` and mathematics of integers and bool give f64 (there is no f16); sum and product of integers give
 * i64 or u64; min, max and comparisons treat NaN as NumPy does; integer % by 0 is 0. Sums of f32 are formed in f64. Casts of
 * floats to integers stop at the limits, NaN gives 0. A power of integers with a negative exponent fails when it is computed.
 *
 * Functions that give an array give a new reference, to be freed; arguments stay the caller's. NULL: error says why. A NULL
 * array is an error, so calls may be nested as far as somebody frees what is between. Arrays never change, and may be used
 * in any number of threads at once. Strides count elements, not bytes, and may be 0 or negative. Axes may be negative: from
 * the end. */
#ifndef WELD_NDARRAY_H
#define WELD_NDARRAY_H

#include <weld.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weld_nd *weld_nd_t;

enum { WELD_ND_AXES = 16 }; /* an array has at most so many */

typedef enum weld_nd_dtype {
    WELD_ND_BOOL, /* a byte, 0 or 1 */
    WELD_ND_I8,
    WELD_ND_I16,
    WELD_ND_I32,
    WELD_ND_I64,
    WELD_ND_U8,
    WELD_ND_U16,
    WELD_ND_U32,
    WELD_ND_U64,
    WELD_ND_F32,
    WELD_ND_F64,
    WELD_ND_DTYPES
} weld_nd_dtype;

/* ---- Making ---- */

/* The caller's data, which are not copied: data is where element [0, 0, ..] lies, strides NULL: row by row without gaps. They
 * must not change until release(user) is called, once, when nothing needs them any more; NULL on failure, then it is not. */
WELD_API weld_nd_t weld_nd_from(weld_nd_dtype dtype, const void *data, int rank, const int64_t *shape,
                                const int64_t *strides, void (*release)(void *user), void *user,
                                weld_error_t error);
/* A lazy vector of scalars, of as many elements as the shape says, row by row; or a lazy scalar, for rank 0. */
WELD_API weld_nd_t weld_nd_from_lazy(weld_lazy_t lazy, int rank, const int64_t *shape, weld_error_t error);
/* One value everywhere, which takes no room; value NULL: zero. Rank 0: a scalar. */
WELD_API weld_nd_t weld_nd_full(weld_nd_dtype dtype, const void *value, int rank, const int64_t *shape,
                                weld_error_t error);
/* start, start + step, ... before stop, as dtype. */
WELD_API weld_nd_t weld_nd_arange(weld_nd_dtype dtype, double start, double stop, double step,
                                  weld_error_t error);
/* count numbers from start to stop, f64; endpoint: stop is the last one. */
WELD_API weld_nd_t weld_nd_linspace(double start, double stop, int64_t count, bool endpoint,
                                    weld_error_t error);

/* One more reference; NULL gives NULL. */
WELD_API weld_nd_t weld_nd_hold(weld_nd_t array);
WELD_API void weld_nd_free(weld_nd_t array); /* takes NULL */

/* ---- Asking; of NULL all are -1, or NULL ---- */

WELD_API int weld_nd_type(weld_nd_t array); /* a weld_nd_dtype */
WELD_API int weld_nd_rank(weld_nd_t array);
WELD_API int64_t weld_nd_length(weld_nd_t array, int axis); /* -1: there is no such axis */
WELD_API int64_t weld_nd_stride(weld_nd_t array,
                                int axis);      /* within its data, in elements; 0: there is no such axis */
WELD_API int64_t weld_nd_size(weld_nd_t array); /* how many elements */
WELD_API const char *weld_nd_type_name(weld_nd_dtype dtype);
WELD_API int64_t weld_nd_type_size(weld_nd_dtype dtype); /* bytes */

/* ---- Views: other shapes of the same elements ---- */

/* One length may be -1: what is left. Copies if the strides ask for that. */
WELD_API weld_nd_t weld_nd_reshape(weld_nd_t array, int rank, const int64_t *shape, weld_error_t error);
/* Axis number i of the result is axes[i]; NULL: the other way round. */
WELD_API weld_nd_t weld_nd_transpose(weld_nd_t array, const int *axes, weld_error_t error);
/* start, start + step, ... before stop, as Python has it: negative ones count from the end, what is beyond is cut off. */
#define WELD_ND_NONE INT64_MIN /* of start and stop: as far as there is */
WELD_API weld_nd_t weld_nd_slice(weld_nd_t array, int axis, int64_t start, int64_t stop, int64_t step,
                                 weld_error_t error);
/* Without the axis: what lies at that index of it. */
WELD_API weld_nd_t weld_nd_index(weld_nd_t array, int axis, int64_t index, weld_error_t error);
/* With one more axis, of length 1, before this one (rank: behind the last); without one of length 1. */
WELD_API weld_nd_t weld_nd_expand(weld_nd_t array, int axis, weld_error_t error);
WELD_API weld_nd_t weld_nd_squeeze(weld_nd_t array, int axis, weld_error_t error);
WELD_API weld_nd_t weld_nd_broadcast(weld_nd_t array, int rank, const int64_t *shape, weld_error_t error);
/* The same elements row by row: itself, or a copy. */
WELD_API weld_nd_t weld_nd_contiguous(weld_nd_t array, weld_error_t error);

/* ---- Operations on elements, with broadcasting ---- */

typedef enum weld_nd_unary_op {
    WELD_ND_NEGATIVE,
    WELD_ND_ABSOLUTE,
    WELD_ND_SQUARE,
    WELD_ND_LOGICAL_NOT, /* of what is not 0 */
    WELD_ND_INVERT,      /* bits */
    WELD_ND_ISNAN,
    WELD_ND_ISFINITE,
    WELD_ND_EXP,
    WELD_ND_LOG,
    WELD_ND_SQRT,
    WELD_ND_ERF,
    WELD_ND_SIN,
    WELD_ND_COS,
    WELD_ND_TAN,
    WELD_ND_ASIN,
    WELD_ND_ACOS,
    WELD_ND_ATAN,
    WELD_ND_SINH,
    WELD_ND_COSH,
    WELD_ND_TANH,
    WELD_ND_FLOOR,
    WELD_ND_CEIL,
    WELD_ND_TRUNC,
    WELD_ND_RINT,
    WELD_ND_UNARY_OPS
} weld_nd_unary_op;

typedef enum weld_nd_binary_op {
    WELD_ND_ADD,
    WELD_ND_SUBTRACT,
    WELD_ND_MULTIPLY,
    WELD_ND_DIVIDE,
    WELD_ND_REMAINDER, /* has the sign of the divisor */
    WELD_ND_POWER,
    WELD_ND_MINIMUM, /* NaN if one is NaN */
    WELD_ND_MAXIMUM,
    WELD_ND_EQUAL,
    WELD_ND_NOT_EQUAL,
    WELD_ND_LESS,
    WELD_ND_LESS_EQUAL,
    WELD_ND_GREATER,
    WELD_ND_GREATER_EQUAL,
    WELD_ND_LOGICAL_AND,
    WELD_ND_LOGICAL_OR,
    WELD_ND_LOGICAL_XOR,
    WELD_ND_BIT_AND,
    WELD_ND_BIT_OR,
    WELD_ND_BIT_XOR,
    WELD_ND_BINARY_OPS
} weld_nd_binary_op;

WELD_API weld_nd_t weld_nd_unary(weld_nd_unary_op op, weld_nd_t a, weld_error_t error);
WELD_API weld_nd_t weld_nd_binary(weld_nd_binary_op op, weld_nd_t a, weld_nd_t b, weld_error_t error);
/* a where condition is not 0, else b. */
WELD_API weld_nd_t weld_nd_where(weld_nd_t condition, weld_nd_t a, weld_nd_t b, weld_error_t error);
WELD_API weld_nd_t weld_nd_cast(weld_nd_t array, weld_nd_dtype dtype, weld_error_t error);

/* ---- Reductions ---- */

typedef enum weld_nd_reduce_op {
    WELD_ND_SUM,
    WELD_ND_PRODUCT,
    WELD_ND_MIN,
    WELD_ND_MAX,
    WELD_ND_ANY,
    WELD_ND_ALL,
    WELD_ND_MEAN,
    WELD_ND_VAR, /* divided by the number of elements */
    WELD_ND_STD,
    WELD_ND_SAMPLE_VAR, /* by one less */
    WELD_ND_SAMPLE_STD,
    WELD_ND_ARGMIN, /* i64: the index of the first one, along one axis, or row by row along all */
    WELD_ND_ARGMAX,
    WELD_ND_REDUCE_OPS
} weld_nd_reduce_op;

/* Over `count` axes; axes NULL: over all. keep: they stay, with length 1. The least of no elements is an error. */
WELD_API weld_nd_t weld_nd_reduce(weld_nd_reduce_op op, weld_nd_t array, const int *axes, int count,
                                  bool keep, weld_error_t error);
/* Sums of what is before and at each element along the axis. */
WELD_API weld_nd_t weld_nd_cumsum(weld_nd_t array, int axis, weld_error_t error);
/* Products of vectors and matrices, of rank 1 and 2; by BLAS if the adapter cblas is installed. */
WELD_API weld_nd_t weld_nd_matmul(weld_nd_t a, weld_nd_t b, weld_error_t error);

/* ---- Putting together ---- */

enum { WELD_ND_ARRAYS = 1 << 16 }; /* at most so many at once */
/* One behind the other along an axis that they have; or along a new one, where all shapes are the same. */
WELD_API weld_nd_t weld_nd_concatenate(const weld_nd_t *arrays, int64_t count, int axis, weld_error_t error);
WELD_API weld_nd_t weld_nd_stack(const weld_nd_t *arrays, int64_t count, int axis, weld_error_t error);
/* What lies at these indices of the axis, whose place the axes of indices take. Negative ones count from the end; one that is
 * out of bounds fails when it is computed. */
WELD_API weld_nd_t weld_nd_take(weld_nd_t array, weld_nd_t indices, int axis, weld_error_t error);

/* ---- Computing ---- */

/* What computes it, row by row: a lazy vector, or a lazy scalar for rank 0. The caller frees it. */
WELD_API weld_lazy_t weld_nd_lazy(weld_nd_t array, weld_error_t error);
/* Asks that its elements be kept when they are first computed. */
WELD_API void weld_nd_keep(weld_nd_t array);
/* Computes arrays together, row by row: vectors, and scalars for rank 0. As weld_lazy_evaluate. */
WELD_API bool weld_nd_evaluate(weld_context_t context, const weld_nd_t *arrays, int64_t count,
                               weld_value_t *values, weld_error_t error);
/* Computes an array into the caller's memory, which must have exactly so many bytes. */
WELD_API bool weld_nd_read(weld_context_t context, weld_nd_t array, void *data, int64_t bytes,
                           weld_error_t error);

#ifdef __cplusplus
}
#endif

#endif
