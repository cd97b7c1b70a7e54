/* ndarray_ref.h: arrays computed at once by plain loops, to hold the adapter ndarray against: elements are cells, an integer
 * or a double, wrapped or rounded to their type after every operation. */
#ifndef NDARRAY_REF_H
#define NDARRAY_REF_H

#include "weld_ndarray.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { REF_MOST = 20000 };

typedef struct Cell {
    int64_t i; /* of integers and bool; u64 by its bits */
    double d;  /* of floats */
} Cell;

typedef struct Ref {
    int dtype, rank;
    int64_t shape[WELD_ND_AXES], size;
    Cell *cells; /* row by row */
} Ref;

static const char ref_letters[] = "?bhilBHILfd";
/* NumPy's. */
static const char *const ref_promotions[] = {"?bhilBHILfd", "bbhilhildfd", "hhhilhildfd", "iiiiliilddd",
                                             "llllllllddd", "BhhilBHILfd", "HiiilHHILfd", "IllllIIILdd",
                                             "LddddLLLLdd", "fffddffddfd", "ddddddddddd"};

static inline bool ref_is_float(int dtype) {
    return dtype >= WELD_ND_F32;
}
static inline bool ref_is_unsigned(int dtype) {
    return dtype >= WELD_ND_U8 && dtype <= WELD_ND_U64;
}
static inline int ref_promote(int a, int b) {
    return (int)(strchr(ref_letters, ref_promotions[a][b]) - ref_letters);
}

static inline int64_t ref_wrap(int dtype, int64_t x) {
    switch (dtype) {
    case WELD_ND_BOOL: return x != 0;
    case WELD_ND_I8: return (int8_t)x;
    case WELD_ND_I16: return (int16_t)x;
    case WELD_ND_I32: return (int32_t)x;
    case WELD_ND_U8: return (uint8_t)x;
    case WELD_ND_U16: return (uint16_t)x;
    case WELD_ND_U32: return (uint32_t)x;
    default: return x;
    }
}

static inline double ref_round(int dtype, double x) {
    return dtype == WELD_ND_F32 ? (double)(float)x : x;
}

static inline Cell ref_integer(int dtype, int64_t x) {
    return (Cell){ref_wrap(dtype, x), 0};
}
static inline Cell ref_float(int dtype, double x) {
    return (Cell){0, ref_round(dtype, x)};
}

/* The language's casts: floats stop at the limits of integers. */
static inline int64_t ref_saturate(int dtype, double x) {
    static const double least[] = {0, -128, -32768, -0x1p31, -0x1p63, 0, 0, 0, 0};
    static const double most[] = {1, 127, 32767, 0x1p31 - 1, 0x1p63, 255, 65535, 0x1p32 - 1, 0x1p64};
    if (dtype == WELD_ND_BOOL) return x != 0;
    if (isnan(x)) return 0;
    if (x <= least[dtype]) return dtype == WELD_ND_I64 ? INT64_MIN : (int64_t)least[dtype];
    if (x >= most[dtype])
        return dtype == WELD_ND_I64 ? INT64_MAX : dtype == WELD_ND_U64 ? -1 : (int64_t)most[dtype];
    return dtype == WELD_ND_U64 ? (int64_t)(uint64_t)x : (int64_t)x;
}

static inline double ref_double(int dtype, Cell cell) {
    if (ref_is_float(dtype)) return cell.d;
    return dtype == WELD_ND_U64 ? (double)(uint64_t)cell.i : (double)cell.i;
}

static inline Cell ref_cast(int from, int to, Cell cell) {
    if (!ref_is_float(to)) return ref_integer(to, ref_is_float(from) ? ref_saturate(to, cell.d) : cell.i);
    if (to == WELD_ND_F32 && !ref_is_float(from)) /* rounded once */
        return (Cell){0, from == WELD_ND_U64 ? (double)(float)(uint64_t)cell.i : (double)(float)cell.i};
    return ref_float(to, ref_double(from, cell));
}

/* -1, 0, 1; 2: one is NaN. */
static inline int ref_compare(int dtype, Cell a, Cell b) {
    if (ref_is_float(dtype)) return isnan(a.d) || isnan(b.d) ? 2 : (a.d > b.d) - (a.d < b.d);
    if (dtype == WELD_ND_U64) return ((uint64_t)a.i > (uint64_t)b.i) - ((uint64_t)a.i < (uint64_t)b.i);
    return (a.i > b.i) - (a.i < b.i);
}

/* ---- arrays ---- */

static inline Ref ref_new(int dtype, int rank, const int64_t *shape) {
    Ref ref = {.dtype = dtype, .rank = rank, .size = 1};
    for (int i = 0; i < rank; i++) ref.size *= ref.shape[i] = shape[i];
    cr_assert(ref.size <= REF_MOST);
    ref.cells = calloc((size_t)ref.size + 1, sizeof *ref.cells);
    return ref;
}

static inline void ref_free(Ref *ref) {
    free(ref->cells);
    ref->cells = NULL;
}

/* The indices of an element, and back; an axis of length 1 is repeated, axes are aligned at the end. */
static inline void ref_indices(const Ref *ref, int64_t number, int64_t *index) {
    for (int i = ref->rank - 1; i >= 0; i--) {
        index[i] = number % ref->shape[i];
        number /= ref->shape[i];
    }
}
static inline Cell *ref_at(const Ref *ref, const int64_t *index, int rank) {
    int64_t number = 0;
    for (int i = 0; i < ref->rank; i++) {
        int64_t at = index[i + rank - ref->rank];
        number = number * ref->shape[i] + (ref->shape[i] == 1 ? 0 : at);
    }
    return &ref->cells[number];
}

static inline Ref ref_broadcast(const Ref *ref, int rank, const int64_t *shape) {
    Ref out = ref_new(ref->dtype, rank, shape);
    int64_t index[WELD_ND_AXES];
    for (int64_t i = 0; i < out.size; i++) {
        ref_indices(&out, i, index);
        out.cells[i] = *ref_at(ref, index, rank);
    }
    return out;
}

static inline Ref ref_transpose(const Ref *ref, const int *axes) {
    int64_t shape[WELD_ND_AXES], index[WELD_ND_AXES], from[WELD_ND_AXES];
    for (int i = 0; i < ref->rank; i++) shape[i] = ref->shape[axes[i]];
    Ref out = ref_new(ref->dtype, ref->rank, shape);
    for (int64_t i = 0; i < out.size; i++) {
        ref_indices(&out, i, index);
        for (int j = 0; j < ref->rank; j++) from[axes[j]] = index[j];
        out.cells[i] = *ref_at(ref, from, ref->rank);
    }
    return out;
}

/* The elements at these places of an axis. */
static inline Ref ref_pick(const Ref *ref, int axis, const int64_t *places, int64_t count) {
    int64_t shape[WELD_ND_AXES], index[WELD_ND_AXES];
    memcpy(shape, ref->shape, sizeof shape);
    shape[axis] = count;
    Ref out = ref_new(ref->dtype, ref->rank, shape);
    for (int64_t i = 0; i < out.size; i++) {
        ref_indices(&out, i, index);
        index[axis] = places[index[axis]];
        out.cells[i] = *ref_at(ref, index, ref->rank);
    }
    return out;
}

static inline Ref ref_shaped(const Ref *ref, int rank, const int64_t *shape) {
    Ref out = ref_new(ref->dtype, rank, shape);
    cr_assert_eq(out.size, ref->size);
    memcpy(out.cells, ref->cells, sizeof *out.cells * (size_t)out.size);
    return out;
}

/* ---- comparing ---- */

static inline void cell_from(int dtype, const void *data, int64_t number, Cell *cell) {
    const char *at = (const char *)data + number * weld_nd_type_size((weld_nd_dtype)dtype);
    *cell = (Cell){0, 0};
    float f;
    switch (dtype) {
    case WELD_ND_BOOL: cell->i = *(const uint8_t *)at; break;
    case WELD_ND_F32: memcpy(&f, at, sizeof f), cell->d = (double)f; break;
    case WELD_ND_F64: memcpy(&cell->d, at, sizeof cell->d); break;
    default: /* little-endian, then widened */
        memcpy(&cell->i, at, (size_t)weld_nd_type_size((weld_nd_dtype)dtype));
        cell->i = ref_wrap(dtype, cell->i);
    }
}

static inline void cell_to(int dtype, void *data, int64_t number, Cell cell) {
    int64_t size = weld_nd_type_size((weld_nd_dtype)dtype);
    char *at = (char *)data + number * size;
    float f = (float)cell.d;
    if (dtype == WELD_ND_F32)
        memcpy(at, &f, sizeof f);
    else
        memcpy(at, dtype == WELD_ND_F64 ? (const void *)&cell.d : (const void *)&cell.i, (size_t)size);
}

static inline bool cells_agree(int dtype, Cell a, Cell b, double tolerance) {
    if (!ref_is_float(dtype)) return a.i == b.i;
    if (isnan(a.d) || isnan(b.d)) return isnan(a.d) && isnan(b.d);
    if (a.d == b.d) return tolerance > 0 || signbit(a.d) == signbit(b.d);
    return fabs(a.d - b.d) <= tolerance * fmax(1, fmax(fabs(a.d), fabs(b.d)));
}

static inline void expect_shape(weld_nd_t nd, const Ref *ref, const char *what) {
    cr_assert_eq(weld_nd_type(nd), ref->dtype, "%s is %s, not %s", what,
                 weld_nd_type_name((weld_nd_dtype)weld_nd_type(nd)),
                 weld_nd_type_name((weld_nd_dtype)ref->dtype));
    cr_assert_eq(weld_nd_rank(nd), ref->rank, "%s has rank %d, not %d", what, weld_nd_rank(nd), ref->rank);
    for (int i = 0; i < ref->rank; i++)
        cr_assert_eq(weld_nd_length(nd, i), ref->shape[i], "%s: axis %d has length %lld, not %lld", what, i,
                     (long long)weld_nd_length(nd, i), (long long)ref->shape[i]);
}

static inline void expect_cells(weld_value_t value, const Ref *ref, double tolerance, const char *what) {
    const struct {
        const void *data;
        int64_t length;
    } *vector = weld_value_data(value);
    if (ref->rank)
        cr_assert_eq(vector->length, ref->size, "%s has %lld elements", what, (long long)vector->length);
    for (int64_t i = 0; i < ref->size; i++) {
        Cell cell;
        cell_from(ref->dtype, ref->rank ? vector->data : vector, i, &cell);
        cr_assert(cells_agree(ref->dtype, cell, ref->cells[i], tolerance),
                  "%s: element %lld of %lld is %lld %.17g, not %lld %.17g", what, (long long)i,
                  (long long)ref->size, (long long)cell.i, cell.d, (long long)ref->cells[i].i,
                  ref->cells[i].d);
    }
}

#endif
