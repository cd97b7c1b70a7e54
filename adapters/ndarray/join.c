/* join.c: several arrays as one: concatenate, stack, take, products of matrices, running sums.
 *
 * An array in order is seen as {outer, length, inner}: the axes before the one at hand, that one, those behind it, so that
 * what lies together is copied by one inner loop.
 *
 *     concatenate along the last axis:   for each row, for each array: its part of the row
 *     take:                              for each row, for each index: slice(x, (row * length + index) * inner, inner)
 */
#include "nd.h"

#include <stdio.h>
#include <string.h>

/* The numbers of elements before and behind an axis. */
static void find_sides(const Nd *nd, int axis, int64_t *outer, int64_t *inner) {
    *outer = *inner = 1;
    for (int i = 0; i < nd->rank; i++) {
        if (i < axis) *outer *= nd->shape[i];
        if (i > axis) *inner *= nd->shape[i];
    }
}

static Nd *ordered(weld_nd_t nd, weld_nd_dtype dtype, weld_error_t error) {
    weld_nd_t cast = weld_nd_cast(nd, dtype, error), copy = cast ? weld_nd_contiguous(cast, error) : NULL;
    weld_nd_free(cast);
    return copy;
}

/* ---- concatenate ---- */

enum { AT_ONCE = 16 };

/* Of at most AT_ONCE arrays in order, of one type, that fit. */
static weld_lazy_t concatenate_few(Nd *const *arrays, int count, int axis, weld_error_t error) {
    Fragment f = {.function = "ndarray.concatenate", .error = error};
    int64_t outer = 1, inner;
    const char *type = weld_nd_type_name(arrays[0]->dtype);
    find_sides(arrays[0], axis, &outer, &inner);
    if (outer != 1)
        text_put(&f.body, "result(for(rangeiter(0l, p%d, 1l), appender[%s], |b, i, o| ",
                 fragment_numbers(&f, &outer, 1), type);
    for (int i = 0; i < count; i++) {
        int64_t size;
        find_sides(arrays[i], axis, &outer, &inner);
        size = inner * arrays[i]->shape[axis];
        int data = fragment_lazy(&f, arrays[i]->data);
        text_put(&f.body, "let b = for(");
        if (outer == 1) {
            text_put(&f.body, "p%d", data);
        } else {
            int n = fragment_numbers(&f, &size, 1);
            text_put(&f.body, "iter(p%d, o * p%d, o * p%d + p%d, 1l)", data, n, n, n);
        }
        if (outer == 1 && i == 0)
            text_put(&f.body, ", appender[%s], |c, j, e| merge(c, e)); ", type);
        else
            text_put(&f.body, ", b, |c, j, e| merge(c, e)); ");
    }
    text_put(&f.body, outer == 1 ? "result(b)" : "b))");
    return fragment_close(&f);
}

/* The common shape, type and length of the result; false: error set. */
static bool plan_concatenation(const weld_nd_t *arrays, int64_t count, int *axis, weld_nd_dtype *dtype,
                               int64_t *shape, weld_error_t error) {
    if (count < 1 || count > WELD_ND_ARRAYS || !arrays)
        return nd_refuse(error, "there are no arrays to put together, or too many");
    for (int64_t i = 0; i < count; i++) {
        if (!arrays[i]) return nd_refuse(error, "an operand is NULL");
    }
    if (arrays[0]->rank == 0)
        return nd_refuse(error, "scalars have no axis along which they could be concatenated");
    if (!nd_check_axis(arrays[0], axis, arrays[0]->rank, error)) return false;
    *dtype = arrays[0]->dtype;
    memcpy(shape, arrays[0]->shape, sizeof *shape * WELD_ND_AXES);
    for (int64_t i = 1; i < count; i++) {
        bool fits = arrays[i]->rank == arrays[0]->rank;
        for (int j = 0; j < arrays[0]->rank && fits; j++)
            fits = j == *axis || arrays[i]->shape[j] == shape[j];
        if (!fits)
            return nd_refuse(error,
                             "the arrays differ in more than the axis along which they are put together");
        *dtype = nd_promote(*dtype, arrays[i]->dtype);
        if (__builtin_add_overflow(shape[*axis], arrays[i]->shape[*axis], &shape[*axis]))
            return nd_refuse(error, "the array has more elements than can be counted");
    }
    int64_t size;
    return nd_check_shape(arrays[0]->rank, shape, &size, error);
}

weld_nd_t weld_nd_concatenate(const weld_nd_t *arrays, int64_t count, int axis, weld_error_t error) {
    weld_nd_dtype dtype = WELD_ND_F64;
    int64_t shape[WELD_ND_AXES], size;
    if (!plan_concatenation(arrays, count, &axis, &dtype, shape, error)) return NULL;
    int rank = arrays[0]->rank;
    nd_check_shape(rank, shape, &size, error);
    if (size == 0) return nd_empty(dtype, rank, shape, error);
    Nd *done = NULL, *parts[AT_ONCE];
    for (int64_t next = 0; next < count;) {
        int held = 0;
        bool ok = true;
        if (done) parts[held++] = done;
        for (; next < count && held < AT_ONCE && ok; next++) {
            if (arrays[next]->shape[axis] == 0) continue;
            parts[held] = ordered(arrays[next], dtype, error);
            ok = parts[held] != NULL;
            held += ok;
        }
        memcpy(shape, arrays[0]->shape, sizeof shape);
        shape[axis] = 0;
        for (int i = 0; i < held; i++) shape[axis] += parts[i]->shape[axis];
        done = NULL;
        if (ok && held == 1)
            done = weld_nd_hold(parts[0]);
        else if (ok && held > 1)
            done = nd_new(dtype, rank, shape, concatenate_few(parts, held, axis, error), false, error);
        for (int i = 0; i < held; i++) weld_nd_free(parts[i]);
        if (!done && (held > 0 || !ok)) return NULL;
    }
    return done;
}

weld_nd_t weld_nd_stack(const weld_nd_t *arrays, int64_t count, int axis, weld_error_t error) {
    enum { MOST = 4096 };
    weld_nd_t parts[MOST], result = NULL;
    int64_t held = 0;
    if (count < 1 || count > MOST || !arrays)
        return nd_refuse(error, "there are no arrays to put together, or too many");
    for (; held < count; held++) {
        if (!arrays[held]) {
            nd_refuse(error, "an operand is NULL");
            break;
        }
        if (arrays[held]->rank != arrays[0]->rank ||
            memcmp(arrays[held]->shape, arrays[0]->shape,
                   sizeof *arrays[0]->shape * (size_t)arrays[0]->rank) != 0) {
            nd_refuse(error, "arrays that are stacked have one shape");
            break;
        }
        parts[held] = weld_nd_expand(arrays[held], axis, error);
        if (!parts[held]) break;
    }
    if (held == count) {
        if (axis < 0) axis += arrays[0]->rank + 1;
        result = weld_nd_concatenate(parts, count, axis, error);
    }
    for (int64_t i = 0; i < held; i++) weld_nd_free(parts[i]);
    return result;
}

/* ---- take ---- */

static weld_lazy_t take(const Nd *nd, const Nd *indices, int axis, weld_error_t error) {
    Fragment f = {.function = "ndarray.take", .error = error};
    Operand at;
    int64_t numbers[3] = {0, nd->shape[axis], 0}, count = nd_size(indices);
    const char *type = weld_nd_type_name(nd->dtype);
    find_sides(nd, axis, &numbers[0], &numbers[2]);
    bool plain = numbers[0] == 1 && numbers[2] == 1;
    operand_open(&f, indices, indices->rank, indices->shape, &at);
    int data = fragment_lazy(&f, nd->data), g = fragment_numbers(&f, numbers, 3);
    text_put(&f.body, plain ? "map(" : "result(for(rangeiter(0l, p%d.$0, 1l), appender[%s], |b, i, o| for(",
             g, type);
    operands_put(&f, &at, 1, count);
    if (plain)
        text_put(&f.body, ", |e| lookup(p%d, select(%s < 0l, %s + p%d.$1, %s)))", data, at.value, at.value, g,
                 at.value);
    else
        text_put(&f.body,
                 ", b, |c, j, e| let k = select(%s < 0l, %s + p%d.$1, %s); "
                 "let from = if(k >= 0l && k < p%d.$1, (o * p%d.$1 + k) * p%d.$2, -1l); "
                 "for(slice(p%d, from, p%d.$2), c, |d, l, x| merge(d, x)))))",
                 at.value, at.value, g, at.value, g, g, g, data, g);
    return fragment_close(&f);
}

weld_nd_t weld_nd_take(weld_nd_t nd, weld_nd_t indices, int axis, weld_error_t error) {
    int64_t shape[WELD_ND_AXES], size;
    if (!nd || !indices) return nd_refuse(error, "an operand is NULL");
    if (!nd_check_axis(nd, &axis, nd->rank, error)) return NULL;
    if (nd_is_float(indices->dtype) || indices->dtype == WELD_ND_BOOL)
        return nd_refuse(error, "indices are integers");
    int rank = nd->rank - 1 + indices->rank;
    if (rank > WELD_ND_AXES) return nd_refuse(error, "the array has more axes than there can be");
    for (int i = 0; i < rank; i++) {
        int behind = i - indices->rank + 1;
        shape[i] = i < axis ? nd->shape[i] : behind > axis ? nd->shape[behind] : indices->shape[i - axis];
    }
    if (!nd_check_shape(rank, shape, &size, error)) return NULL;
    if (size == 0) return nd_empty(nd->dtype, rank, shape, error);
    if (nd->shape[axis] == 0)
        return nd_fail(error, WELD_ARRAY_OUT_OF_BOUNDS, "there is no index into an axis of length 0");
    Nd *data = ordered(nd, nd->dtype, error), *at = data ? weld_nd_cast(indices, WELD_ND_I64, error) : NULL;
    /* Without an axis left, a lazy scalar. */
    weld_lazy_t lazy = at ? take(data, at, axis, error) : NULL;
    Nd *taken = nd_new(nd->dtype, rank ? rank : 1, rank ? shape : (int64_t[]){1}, lazy, false, error);
    Nd *result = taken && rank == 0 ? weld_nd_reshape(taken, 0, NULL, error) : weld_nd_hold(taken);
    weld_nd_free(taken);
    weld_nd_free(at);
    weld_nd_free(data);
    return result;
}

/* ---- products ---- */

/* Row by row; or transposed, then column by column, which BLAS can read as well. */
static Nd *matrix_for_blas(weld_nd_t nd, weld_nd_dtype dtype, bool *transposed, weld_error_t error) {
    weld_nd_t cast = weld_nd_cast(nd, dtype, error),
              other = cast ? weld_nd_transpose(cast, NULL, error) : NULL;
    Nd *result = NULL;
    *transposed = other && !nd_is_in_order(cast) && nd_is_in_order(other);
    if (other) result = weld_nd_contiguous(*transposed ? other : cast, error);
    weld_nd_free(cast);
    weld_nd_free(other);
    return result;
}

static const weld_function_t *find_gemm(weld_nd_dtype dtype) {
    static const char parameters[] = "|transpose_a: bool, transpose_b: bool, m: i64, n: i64, k: i64, alpha:";
    const weld_adapter_t *cblas = nd_is_float(dtype) ? weld_adapter_find("cblas", NULL) : NULL;
    for (const weld_function_t *f = cblas ? cblas->functions : NULL; f && f->name; f++) {
        const char *code = f->native ? f->native : f->code;
        if (strcmp(f->name, dtype == WELD_ND_F64 ? "dgemm" : "sgemm") == 0 && code &&
            strncmp(code, parameters, sizeof parameters - 1) == 0)
            return f;
    }
    return NULL;
}

static weld_lazy_t multiply_by_blas(weld_nd_t a, weld_nd_t b, weld_nd_dtype dtype, weld_error_t error) {
    Fragment f = {.function = "ndarray.matmul", .error = error};
    bool flags[2];
    int64_t sizes[] = {a->shape[0], b->shape[1], a->shape[1]};
    Nd *left = matrix_for_blas(a, dtype, &flags[0], error);
    Nd *right = left ? matrix_for_blas(b, dtype, &flags[1], error) : NULL;
    weld_lazy_t lazy = NULL, turned = right ? weld_lazy_data("{bool,bool}", flags, NULL, NULL, error) : NULL;
    if (turned) {
        int p = fragment_lazy(&f, left->data), q = fragment_lazy(&f, right->data),
            t = fragment_lazy(&f, turned);
        int g = fragment_numbers(&f, sizes, 3);
        const char *one = dtype == WELD_ND_F64 ? "1.0" : "1.0f",
                   *zero = dtype == WELD_ND_F64 ? "0.0" : "0.0f";
        text_put(&f.body,
                 "cblas.%cgemm(p%d.$0, p%d.$1, p%d.$0, p%d.$1, p%d.$2, %s, p%d, p%d, %s, []: vec[%s])",
                 dtype == WELD_ND_F64 ? 'd' : 's', t, t, g, g, g, one, p, q, zero, weld_nd_type_name(dtype));
        lazy = fragment_close(&f);
    }
    weld_lazy_free(turned);
    weld_nd_free(left);
    weld_nd_free(right);
    return lazy;
}

/* Rows of a with rows of b transposed. */
static weld_lazy_t multiply_by_rows(weld_nd_t a, weld_nd_t b, weld_nd_dtype dtype, weld_error_t error) {
    Fragment f = {.function = "ndarray.matmul", .error = error};
    int64_t sizes[] = {a->shape[0], b->shape[1], a->shape[1]};
    weld_nd_t other = weld_nd_transpose(b, NULL, error);
    Nd *left = other ? ordered(a, dtype, error) : NULL,
       *right = left && other ? ordered(other, dtype, error) : NULL;
    weld_lazy_t lazy = NULL;
    if (left && right) {
        int p = fragment_lazy(&f, left->data), q = fragment_lazy(&f, right->data),
            g = fragment_numbers(&f, sizes, 3);
        bool truth = dtype == WELD_ND_BOOL;
        const char *type = weld_nd_type_name(dtype);
        text_put(&f.body, "result(for(rangeiter(0l, p%d.$0, 1l), appender[%s], |b, i, r| ", g, type);
        text_put(&f.body, "for(rangeiter(0l, p%d.$1, 1l), b, |c, j, s| merge(c, ", g);
        text_put(&f.body, truth ? "result(for(zip(" : "%s(result(for(zip(", type);
        text_put(&f.body, "iter(p%d, r * p%d.$2, r * p%d.$2 + p%d.$2, 1l), ", p, g, g, g);
        text_put(&f.body, "iter(p%d, s * p%d.$2, s * p%d.$2 + p%d.$2, 1l)), ", q, g, g, g);
        if (truth)
            text_put(&f.body, "merger[i8, max], |d, k, e| merge(d, i8(e.$0 & e.$1)))) > 0c))))");
        else
            text_put(&f.body, "merger[%s, +], |d, k, e| merge(d, e.$0 * e.$1))))))))", type);
        lazy = fragment_close(&f);
    }
    weld_nd_free(left);
    weld_nd_free(right);
    weld_nd_free(other);
    return lazy;
}

static Nd *multiply_matrices(weld_nd_t a, weld_nd_t b, weld_error_t error) {
    if (a->shape[1] != b->shape[0])
        return nd_fail(error, WELD_ARGUMENT_ERROR,
                       "rows of length %lld do not go with columns of length %lld", (long long)a->shape[1],
                       (long long)b->shape[0]);
    weld_nd_dtype dtype = nd_promote(a->dtype, b->dtype);
    int64_t shape[] = {a->shape[0], b->shape[1]}, size, most = shape[0] > shape[1] ? shape[0] : shape[1];
    if (!nd_check_shape(2, shape, &size, error)) return NULL;
    if (size == 0) return nd_empty(dtype, 2, shape, error);
    if (a->shape[1] == 0) return nd_constant(dtype, 0, 2, shape, error);
    bool blas = find_gemm(dtype) && most <= INT32_MAX && a->shape[1] <= INT32_MAX;
    return nd_new(dtype, 2, shape, (blas ? multiply_by_blas : multiply_by_rows)(a, b, dtype, error), false,
                  error);
}

/* Of two vectors: a sum that fuses. */
static Nd *dot(weld_nd_t a, weld_nd_t b, weld_error_t error) {
    weld_nd_dtype dtype = nd_promote(a->dtype, b->dtype);
    if (a->shape[0] != b->shape[0]) return nd_refuse(error, "the vectors differ in length");
    weld_nd_t product =
        weld_nd_binary(dtype == WELD_ND_BOOL ? WELD_ND_LOGICAL_AND : WELD_ND_MULTIPLY, a, b, error);
    weld_nd_reduce_op op = dtype == WELD_ND_BOOL ? WELD_ND_ANY : WELD_ND_SUM;
    weld_nd_t sum = product ? weld_nd_reduce(op, product, NULL, 0, false, error) : NULL;
    weld_nd_t result = sum ? weld_nd_cast(sum, dtype, error) : NULL;
    weld_nd_free(product);
    weld_nd_free(sum);
    return result;
}

weld_nd_t weld_nd_matmul(weld_nd_t a, weld_nd_t b, weld_error_t error) {
    if (!a || !b) return nd_refuse(error, "an operand is NULL");
    if (a->rank < 1 || a->rank > 2 || b->rank < 1 || b->rank > 2)
        return nd_refuse(error, "products are of vectors and matrices, of rank 1 and 2");
    if (a->rank == 1 && b->rank == 1) return dot(a, b, error);
    weld_nd_t left = a->rank == 1 ? weld_nd_expand(a, 0, error) : weld_nd_hold(a);
    weld_nd_t right = b->rank == 1 ? weld_nd_expand(b, 1, error) : weld_nd_hold(b);
    weld_nd_t product = left && right ? multiply_matrices(left, right, error) : NULL, result = product;
    if (product && a->rank == 1) result = weld_nd_reshape(product, 1, &product->shape[1], error);
    if (product && b->rank == 1) result = weld_nd_reshape(product, 1, &product->shape[0], error);
    if (result != product) weld_nd_free(product);
    weld_nd_free(left);
    weld_nd_free(right);
    return result;
}

/* ---- running sums ---- */

weld_nd_t weld_nd_cumsum(weld_nd_t nd, int axis, weld_error_t error) {
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!nd_check_axis(nd, &axis, nd->rank, error)) return NULL;
    weld_nd_dtype dtype = nd_is_float(nd->dtype)    ? nd->dtype
                          : nd->dtype >= WELD_ND_U8 ? WELD_ND_U64
                                                    : WELD_ND_I64;
    if (nd_size(nd) == 0) return nd_empty(dtype, nd->rank, nd->shape, error);
    int64_t sides[2], outer;
    sides[0] = nd->shape[axis];
    find_sides(nd, axis, &outer, &sides[1]);
    Nd *data = ordered(nd, dtype, error);
    weld_lazy_t arguments[3] = {data ? data->data : NULL}, lazy = NULL;
    char name[32];
    snprintf(name, sizeof name, "ndarray.cumsum_%s", weld_nd_type_name(dtype));
    if (arguments[0]) arguments[1] = weld_lazy_data("i64", &sides[0], NULL, NULL, error);
    if (arguments[1]) arguments[2] = weld_lazy_data("i64", &sides[1], NULL, NULL, error);
    if (arguments[2]) lazy = weld_lazy_call(name, arguments, 3, error);
    Nd *result = nd_new(dtype, nd->rank, nd->shape, lazy, false, error);
    weld_lazy_free(arguments[1]);
    weld_lazy_free(arguments[2]);
    weld_nd_free(data);
    return result;
}
