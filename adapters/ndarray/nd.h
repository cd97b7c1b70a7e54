/* nd.h: what the files of this adapter share: arrays inside, fragments that are put together, operands of loops. */
#ifndef ND_H
#define ND_H

#include "weld_ndarray.h"

#include <stdatomic.h>

/* ---- array.c ---- */

/* Element [i, j, ..] is number start + i * strides[0] + j * strides[1] + ... of the vector `data`; of a scalar, every element
 * is `data` itself, and start and strides are 0. Rank 0 is a scalar always. */
typedef struct weld_nd {
    _Atomic int refs;
    weld_nd_dtype dtype;
    int rank;
    bool scalar;
    weld_lazy_t data;
    int64_t length; /* of data, a vector */
    int64_t start, shape[WELD_ND_AXES], strides[WELD_ND_AXES];
} Nd;

void *nd_fail(weld_error_t error, uint64_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static inline void *nd_refuse(weld_error_t error, const char *why) {
    return nd_fail(error, WELD_ARGUMENT_ERROR, "%s", why);
}
/* An array around data, which it takes over; row by row. NULL data, or no memory: NULL, and data are freed. */
Nd *nd_new(weld_nd_dtype dtype, int rank, const int64_t *shape, weld_lazy_t data, bool scalar,
           weld_error_t error);
Nd *nd_view(const Nd *of, weld_error_t error); /* a copy, to be changed */
Nd *nd_same(Nd *nd, weld_error_t error);       /* itself, once more */
int64_t nd_size(const Nd *nd);
bool nd_is_in_order(const Nd *nd); /* its vector, as it is */
/* Is it a shape of an array; how many elements it has. */
bool nd_check_shape(int rank, const int64_t *shape, int64_t *size, weld_error_t error);
bool nd_check_axis(const Nd *nd, int *axis, int most, weld_error_t error); /* negative: from the end */
weld_nd_dtype nd_promote(weld_nd_dtype a, weld_nd_dtype b);
static inline bool nd_is_float(weld_nd_dtype dtype) {
    return dtype == WELD_ND_F32 || dtype == WELD_ND_F64;
}
static inline bool nd_is_signed(weld_nd_dtype dtype) {
    return dtype >= WELD_ND_I8 && dtype <= WELD_ND_I64;
}

/* ---- fragment.c: texts and their arguments ---- */

enum { TEXT = 6000, ARGUMENTS = 80 };
typedef struct Text {
    char text[TEXT];
    int length;
    bool full;
} Text;
void text_put(Text *text, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* A function |p0, p1, ..| whose body is being written. */
typedef struct Fragment {
    const char *function;
    Text body;
    weld_lazy_t arguments[ARGUMENTS];
    int count;
    bool failed;
    weld_error_t error;
} Fragment;
/* Numbers of parameters. The lazy value stays the caller's, data are copied; numbers become a struct, of one an i64. */
int fragment_lazy(Fragment *fragment, weld_lazy_t lazy);
int fragment_data(Fragment *fragment, const char *type, const void *data);
int fragment_numbers(Fragment *fragment, const int64_t *numbers, int count);
/* The lazy value; the fragment is over. NULL: error set. */
weld_lazy_t fragment_close(Fragment *fragment);

/* Axes that can be walked as one are one, those of length 1 are gone. Returns how many are left. */
int axes_collapse(int rank, const int64_t *shape, const int64_t *strides, int64_t *to_shape,
                  int64_t *to_strides);

/* What a loop reads of an array: an iterator, or nothing, then `value` is a name or text that is the same in all iterations. */
typedef struct Operand {
    weld_nd_dtype dtype;
    bool iterates;
    char iterator[1200], value[64];
} Operand;
/* As if it had the shape of the loop, with which it can be broadcast and which is not empty. */
void operand_open(Fragment *fragment, const Nd *nd, int rank, const int64_t *shape, Operand *operand);
/* The data of a loop over these, and the name of each one's element: "e" or "e.$1"; with none that iterates, as often as
 * there are elements. */
void operands_put(Fragment *fragment, Operand *operands, int count, int64_t size);

/* ---- elementwise.c ---- */

bool nd_broadcast_shapes(const Nd *const *arrays, int count, int *rank, int64_t *shape, weld_error_t error);
/* Without elements, or the same everywhere. */
Nd *nd_empty(weld_nd_dtype dtype, int rank, const int64_t *shape, weld_error_t error);
Nd *nd_constant(weld_nd_dtype dtype, double value, int rank, const int64_t *shape, weld_error_t error);
/* One expression for every element, of "a", "b", .. that have the types of the arrays, or of `compute` if that is none of
 * WELD_ND_DTYPES. */
Nd *nd_elements(const char *function, const Nd *const *arrays, int count, weld_nd_dtype compute,
                weld_nd_dtype result, const char *expression, weld_error_t error);

#endif
