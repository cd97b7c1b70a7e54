/* array.c: arrays: making them, asking them, computing them.
 *
 *     x = from(data, {4, 6})     y = slice(transpose(x), 0, 5, none, -2)
 *     x: start 0, strides {6, 1}, a lazy vector          y: start 5, strides {-2, 6}, the same lazy vector
 *
 * An array is a small block of its own: shape, strides, and a lazy value that it holds. Views have another block and the
 * same lazy value. What is row by row without gaps is read as the vector it is, so that loops over it fuse.
 */
#include "nd.h"

#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const struct {
    const char *name;
    int64_t size;
} dtypes[WELD_ND_DTYPES] = {{"bool", 1}, {"i8", 1},  {"i16", 2}, {"i32", 4}, {"i64", 8}, {"u8", 1},
                            {"u16", 2},  {"u32", 4}, {"u64", 8}, {"f32", 4}, {"f64", 8}};

void *nd_fail(weld_error_t error, uint64_t code, const char *format, ...) {
    char text[300];
    va_list list;
    va_start(list, format);
    vsnprintf(text, sizeof text, format, list);
    va_end(list);
    weld_error_set(error, code, text);
    return NULL;
}

static bool is_dtype(weld_nd_dtype dtype) {
    return (unsigned)dtype < WELD_ND_DTYPES;
}

const char *weld_nd_type_name(weld_nd_dtype dtype) {
    return is_dtype(dtype) ? dtypes[dtype].name : NULL;
}

int64_t weld_nd_type_size(weld_nd_dtype dtype) {
    return is_dtype(dtype) ? dtypes[dtype].size : -1;
}

/* ---- shapes ---- */

bool nd_check_shape(int rank, const int64_t *shape, int64_t *size, weld_error_t error) {
    int64_t full = 1; /* without the axes of length 0: strides must fit, too */
    *size = 1;
    if (rank < 0 || rank > WELD_ND_AXES || (rank > 0 && !shape))
        return nd_fail(error, WELD_ARGUMENT_ERROR, "an array has 0 to %d axes, and a length for each",
                       WELD_ND_AXES);
    for (int i = 0; i < rank; i++) {
        if (shape[i] < 0) return nd_refuse(error, "an axis has a negative length");
        if (__builtin_mul_overflow(full, shape[i] ? shape[i] : 1, &full) || full > INT64_MAX / 16)
            return nd_refuse(error, "the array has more elements than can be counted");
        *size *= shape[i];
    }
    return true;
}

bool nd_check_axis(const Nd *nd, int *axis, int most, weld_error_t error) {
    int given = *axis;
    if (*axis < 0) *axis += most;
    if (*axis >= 0 && *axis < most) return true;
    return nd_fail(error, WELD_ARGUMENT_ERROR, "there is no axis %d in an array of rank %d", given, nd->rank);
}

int64_t nd_size(const Nd *nd) {
    int64_t size = 1;
    for (int i = 0; i < nd->rank; i++) size *= nd->shape[i];
    return size;
}

static void put_strides(Nd *nd) {
    int64_t step = 1;
    for (int i = nd->rank - 1; i >= 0; i--) {
        nd->strides[i] = nd->scalar ? 0 : step;
        step *= nd->shape[i] ? nd->shape[i] : 1;
    }
}

bool nd_is_in_order(const Nd *nd) {
    int64_t step = 1;
    if (nd->scalar || nd->start != 0 || nd->length != nd_size(nd)) return false;
    for (int i = nd->rank - 1; i >= 0 && nd->length > 0; i--) {
        if (nd->shape[i] > 1 && nd->strides[i] != step) return false;
        step *= nd->shape[i];
    }
    return true;
}

/* ---- handles ---- */

static Nd *nd_room(weld_error_t error) {
    Nd *nd = calloc(1, sizeof *nd);
    return nd ? nd : nd_fail(error, WELD_OUT_OF_MEMORY, "no memory for an array");
}

static Nd *nd_fill(Nd *nd, weld_nd_dtype dtype, int rank, const int64_t *shape, weld_lazy_t data,
                   bool scalar) {
    atomic_init(&nd->refs, 1);
    nd->dtype = dtype;
    nd->rank = rank;
    nd->scalar = scalar;
    nd->data = data;
    if (rank) memcpy(nd->shape, shape, sizeof *shape * (size_t)rank);
    nd->length = scalar ? 1 : nd_size(nd);
    put_strides(nd);
    return nd;
}

Nd *nd_new(weld_nd_dtype dtype, int rank, const int64_t *shape, weld_lazy_t data, bool scalar,
           weld_error_t error) {
    Nd *nd = data ? nd_room(error) : NULL;
    if (nd) return nd_fill(nd, dtype, rank, shape, data, scalar);
    weld_lazy_free(data);
    return NULL;
}

Nd *nd_view(const Nd *of, weld_error_t error) {
    Nd *nd = malloc(sizeof *nd);
    if (!nd) return nd_fail(error, WELD_OUT_OF_MEMORY, "no memory for an array");
    memcpy(nd, of, sizeof *nd);
    atomic_init(&nd->refs, 1);
    weld_lazy_hold(nd->data);
    weld_error_set(error, WELD_SUCCESS, NULL);
    return nd;
}

Nd *nd_same(Nd *nd, weld_error_t error) {
    weld_error_set(error, WELD_SUCCESS, NULL);
    return weld_nd_hold(nd);
}

weld_nd_t weld_nd_hold(weld_nd_t nd) {
    if (nd) atomic_fetch_add_explicit(&nd->refs, 1, memory_order_relaxed);
    return nd;
}

void weld_nd_free(weld_nd_t nd) {
    if (!nd || atomic_fetch_sub_explicit(&nd->refs, 1, memory_order_acq_rel) != 1) return;
    weld_lazy_free(nd->data);
    free(nd);
}

int weld_nd_type(weld_nd_t nd) {
    return nd ? (int)nd->dtype : -1;
}

int weld_nd_rank(weld_nd_t nd) {
    return nd ? nd->rank : -1;
}

int64_t weld_nd_length(weld_nd_t nd, int axis) {
    if (!nd) return -1;
    if (axis < 0) axis += nd->rank;
    return axis >= 0 && axis < nd->rank ? nd->shape[axis] : -1;
}

int64_t weld_nd_stride(weld_nd_t nd, int axis) {
    if (!nd) return -1;
    if (axis < 0) axis += nd->rank;
    return axis >= 0 && axis < nd->rank ? nd->strides[axis] : 0;
}

int64_t weld_nd_size(weld_nd_t nd) {
    return nd ? nd_size(nd) : -1;
}

/* ---- from data ---- */

/* How far the elements reach before the first one and behind it. */
static bool find_reach(int rank, const int64_t *shape, const int64_t *strides, int64_t *before,
                       int64_t *behind, weld_error_t error) {
    *before = *behind = 0;
    for (int i = 0; i < rank; i++) {
        int64_t reach;
        bool fits = !__builtin_mul_overflow(shape[i] - 1, strides[i], &reach) && reach > INT64_MIN / 32 &&
                    reach < INT64_MAX / 32;
        if (!fits) return nd_refuse(error, "the strides lead beyond all memory");
        *(reach < 0 ? before : behind) += reach < 0 ? -reach : reach;
    }
    return true;
}

weld_nd_t weld_nd_from(weld_nd_dtype dtype, const void *data, int rank, const int64_t *shape,
                       const int64_t *strides, void (*release)(void *user), void *user, weld_error_t error) {
    int64_t size, before = 0, behind = 0;
    if (!is_dtype(dtype)) return nd_refuse(error, "there is no such type of elements");
    if (!nd_check_shape(rank, shape, &size, error)) return NULL;
    if (!data && size > 0) return nd_refuse(error, "the data are NULL");
    if (size > 0 && strides && !find_reach(rank, shape, strides, &before, &behind, error)) return NULL;
    char type[16];
    struct {
        const void *data;
        int64_t length;
    } vector = {NULL, size};
    if (strides && size > 0) vector.length = before + behind + 1;
    if (size > 0) vector.data = (const char *)data - before * dtypes[dtype].size;
    snprintf(type, sizeof type, rank ? "vec[%s]" : "%s", dtypes[dtype].name);
    Nd *nd = nd_room(error);
    weld_lazy_t lazy =
        nd ? weld_lazy_data(type, rank ? (const void *)&vector : data, release, user, error) : NULL;
    if (!lazy) {
        free(nd);
        return NULL;
    }
    nd_fill(nd, dtype, rank, shape, lazy, rank == 0);
    if (rank && strides && size > 0) {
        memcpy(nd->strides, strides, sizeof *strides * (size_t)rank);
        nd->start = before;
        nd->length = vector.length;
    }
    return nd;
}

weld_nd_t weld_nd_from_lazy(weld_lazy_t lazy, int rank, const int64_t *shape, weld_error_t error) {
    int64_t size;
    const char *type = weld_lazy_type(lazy);
    if (!type) return nd_refuse(error, "this is not a lazy value");
    if (!nd_check_shape(rank, shape, &size, error)) return NULL;
    for (int i = 0; i < WELD_ND_DTYPES; i++) {
        char wanted[16];
        snprintf(wanted, sizeof wanted, rank ? "vec[%s]" : "%s", dtypes[i].name);
        if (strcmp(type, wanted) != 0) continue;
        weld_error_set(error, WELD_SUCCESS, NULL);
        return nd_new((weld_nd_dtype)i, rank, shape, weld_lazy_hold(lazy), rank == 0, error);
    }
    return nd_fail(error, WELD_ARGUMENT_ERROR, "the lazy value is %.100s, not %s of scalars", type,
                   rank ? "a vector" : "one");
}

weld_nd_t weld_nd_full(weld_nd_dtype dtype, const void *value, int rank, const int64_t *shape,
                       weld_error_t error) {
    static const char zero[8];
    int64_t size;
    if (!is_dtype(dtype)) return nd_refuse(error, "there is no such type of elements");
    if (!nd_check_shape(rank, shape, &size, error)) return NULL;
    weld_lazy_t lazy = weld_lazy_data(dtypes[dtype].name, value ? value : zero, NULL, NULL, error);
    return nd_new(dtype, rank, shape, lazy, true, error);
}

/* ---- numbers in a row ---- */

static Nd *sequence(const char *function, weld_nd_dtype dtype, int64_t count, double start, double step,
                    double last, bool ends, weld_error_t error) {
    if (count == 0) return nd_empty(dtype, 1, &count, error);
    Fragment f = {.function = function, .error = error};
    const double numbers[] = {start, step, last};
    int parts[3];
    for (int i = 0; i < 3; i++) parts[i] = fragment_data(&f, "f64", &numbers[i]);
    int size = fragment_numbers(&f, &count, 1);
    text_put(&f.body, "map(rangeiter(0l, p%d, 1l), |i| let x = p%d + f64(i) * p%d; ", size, parts[0],
             parts[1]);
    if (ends) text_put(&f.body, "let x = select(i == p%d - 1l, p%d, x); ", size, parts[2]);
    text_put(&f.body, "%s(x))", dtypes[dtype].name);
    return nd_new(dtype, 1, &count, fragment_close(&f), false, error);
}

weld_nd_t weld_nd_arange(weld_nd_dtype dtype, double start, double stop, double step, weld_error_t error) {
    double count = ceil((stop - start) / step);
    if (!is_dtype(dtype)) return nd_refuse(error, "there is no such type of elements");
    if (!(fabs(count) < 0x1p59)) return nd_refuse(error, "start, stop and step give no number of elements");
    return sequence("ndarray.arange", dtype, count > 0 ? (int64_t)count : 0, start, step, 0, false, error);
}

weld_nd_t weld_nd_linspace(double start, double stop, int64_t count, bool endpoint, weld_error_t error) {
    if (count < 0 || count > INT64_MAX / 16) return nd_refuse(error, "there are no so many numbers");
    double parts = (double)(count - endpoint);
    return sequence("ndarray.linspace", WELD_ND_F64, count, start, parts > 0 ? (stop - start) / parts : 0,
                    stop, endpoint && count > 1, error);
}

/* ---- computing ---- */

weld_nd_t weld_nd_contiguous(weld_nd_t nd, weld_error_t error) {
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (nd_is_in_order(nd) || nd->rank == 0) return nd_same(nd, error);
    int64_t size = nd_size(nd);
    if (size == 0) return nd_empty(nd->dtype, nd->rank, nd->shape, error);
    Fragment f = {.function = "ndarray.copy", .error = error};
    Operand operand;
    operand_open(&f, nd, nd->rank, nd->shape, &operand);
    text_put(&f.body, "map(");
    operands_put(&f, &operand, 1, size);
    text_put(&f.body, ", |e| %s)", operand.value);
    return nd_new(nd->dtype, nd->rank, nd->shape, fragment_close(&f), false, error);
}

weld_lazy_t weld_nd_lazy(weld_nd_t nd, weld_error_t error) {
    Nd *copy = weld_nd_contiguous(nd, error);
    weld_lazy_t lazy = copy ? weld_lazy_hold(copy->data) : NULL;
    weld_nd_free(copy);
    return lazy;
}

void weld_nd_keep(weld_nd_t nd) {
    if (nd) weld_lazy_keep(nd->data);
}

bool weld_nd_evaluate(weld_context_t context, const weld_nd_t *arrays, int64_t count, weld_value_t *values,
                      weld_error_t error) {
    if (count < 0 || count > WELD_LAZY_ARGUMENTS || (count > 0 && !arrays))
        return nd_refuse(error, "the arrays are missing, or too many");
    weld_lazy_t *lazies = calloc((size_t)count + 1, sizeof *lazies);
    if (!lazies) return nd_fail(error, WELD_OUT_OF_MEMORY, "no memory to compute arrays");
    bool ok = true;
    for (int64_t i = 0; i < count && ok; i++) ok = (lazies[i] = weld_nd_lazy(arrays[i], error));
    ok = ok && weld_lazy_evaluate(context, lazies, count, values, error);
    for (int64_t i = 0; i < count; i++) weld_lazy_free(lazies[i]);
    free(lazies);
    return ok;
}

bool weld_nd_read(weld_context_t context, weld_nd_t nd, void *data, int64_t bytes, weld_error_t error) {
    if (!nd) return nd_refuse(error, "the array is NULL");
    int64_t size = nd_size(nd), each = dtypes[nd->dtype].size;
    if (bytes != size * each)
        return nd_fail(error, WELD_ARGUMENT_ERROR,
                       "the array has %lld bytes, and not %lld, which the memory for it has",
                       (long long)(size * each), (long long)bytes);
    if (bytes && !data) return nd_refuse(error, "the memory for the array is NULL");
    weld_value_t value;
    if (!weld_nd_evaluate(context, &nd, 1, &value, error)) return false;
    const struct {
        const void *data;
        int64_t length;
    } *vector = weld_value_data(value);
    bool fits = nd->rank == 0 || vector->length == size;
    if (fits && bytes) memcpy(data, nd->rank ? vector->data : vector, (size_t)bytes);
    weld_value_free(value);
    return fits ||
           nd_refuse(error, "the lazy value behind the array has another number of elements than its shape");
}
