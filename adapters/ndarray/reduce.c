/* reduce.c: reductions over all axes, or some.
 *
 *     over all       one loop with a merger, which fuses with what computes the array
 *     over the last  rows:     |k| result(for(iter(x, k * n, k * n + n, 1l), merger[f64, +], ..))        a loop in a loop
 *     over the first columns:  for each row r, for each j: a vecmerger takes {j, x[r, j]}
 *
 * Which of the last two it is, is decided by what lies together in memory: the inner loop goes along it. The places of rows
 * and elements are computed from strides, so any view will do, and any set of axes: those that stay are the one group,
 * those that go the other.
 */
#include "nd.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

typedef enum Form { TOTAL, SPREAD, WHERE } Form; /* WHERE: the index of the least or greatest */

/* How a reduction merges: values cast to a type, with a merger's operator. */
typedef struct Row {
    const char *function, *op;
    Form form;
    bool unbiased, root;
} Row;

static const Row rows[WELD_ND_REDUCE_OPS] = {
    [WELD_ND_SUM] = {"ndarray.sum", "+", TOTAL, false, false},
    [WELD_ND_PRODUCT] = {"ndarray.product", "*", TOTAL, false, false},
    [WELD_ND_MIN] = {"ndarray.min", "min", TOTAL, false, false},
    [WELD_ND_MAX] = {"ndarray.max", "max", TOTAL, false, false},
    [WELD_ND_ANY] = {"ndarray.any", "max", TOTAL, false, false},
    [WELD_ND_ALL] = {"ndarray.all", "min", TOTAL, false, false},
    [WELD_ND_MEAN] = {"ndarray.mean", "+", TOTAL, false, false},
    [WELD_ND_VAR] = {"ndarray.var", "+", SPREAD, false, false},
    [WELD_ND_STD] = {"ndarray.std", "+", SPREAD, false, true},
    [WELD_ND_SAMPLE_VAR] = {"ndarray.sample_var", "+", SPREAD, true, false},
    [WELD_ND_SAMPLE_STD] = {"ndarray.sample_std", "+", SPREAD, true, true},
    [WELD_ND_ARGMIN] = {"ndarray.argmin", "min", WHERE, false, false},
    [WELD_ND_ARGMAX] = {"ndarray.argmax", "max", WHERE, false, false},
};

/* ---- types ---- */

static weld_nd_dtype result_type(weld_nd_reduce_op op, weld_nd_dtype of) {
    switch (op) {
    case WELD_ND_SUM:
    case WELD_ND_PRODUCT: return nd_is_float(of) ? of : of >= WELD_ND_U8 ? WELD_ND_U64 : WELD_ND_I64;
    case WELD_ND_MIN:
    case WELD_ND_MAX: return of;
    case WELD_ND_ANY:
    case WELD_ND_ALL: return WELD_ND_BOOL;
    case WELD_ND_ARGMIN:
    case WELD_ND_ARGMAX: return WELD_ND_I64;
    default: return nd_is_float(of) ? of : WELD_ND_F64;
    }
}

/* What is merged: floats are summed in f64, bool has no merger. */
static weld_nd_dtype merged_type(weld_nd_reduce_op op, weld_nd_dtype of) {
    weld_nd_dtype merged = rows[op].form == WHERE ? of : result_type(op, of);
    if (op == WELD_ND_ANY || op == WELD_ND_ALL || merged == WELD_ND_BOOL) return WELD_ND_I8;
    return merged == WELD_ND_F32 && *rows[op].op != 'm' ? WELD_ND_F64 : merged;
}

static bool minds_nan(weld_nd_reduce_op op, weld_nd_dtype merged) {
    return nd_is_float(merged) && *rows[op].op == 'm';
}

/* ---- one group of axes ---- */

typedef struct Group {
    int count;
    int64_t size, shape[WELD_ND_AXES], strides[WELD_ND_AXES];
} Group;

/* Text of the place of the element number `index` of a group, without the array's start. */
static void put_place(Fragment *f, Text *text, const Group *group, const char *index) {
    int64_t numbers[2 * WELD_ND_AXES];
    for (int i = 0; i < group->count; i++) {
        numbers[2 * i] = group->shape[i];
        numbers[2 * i + 1] = group->strides[i];
    }
    if (group->count == 0) {
        text_put(text, "0l");
        return;
    }
    int g = fragment_numbers(f, numbers, 2 * group->count);
    if (group->count == 1) {
        text_put(text, "%s * p%d.$1", index, g);
        return;
    }
    /* ((i / s2) / s1) % s0 * t0 + ... ; the first needs no remainder. */
    char rest[800];
    snprintf(rest, sizeof rest, "%s", index);
    for (int i = group->count - 1; i >= 0; i--) {
        char next[800];
        if (i > 0)
            text_put(text, "%s %% p%d.$%d * p%d.$%d + ", rest, g, 2 * i, g, 2 * i + 1);
        else
            text_put(text, "%s * p%d.$1", rest, g);
        snprintf(next, sizeof next, "(%.700s / p%d.$%d)", rest, g, 2 * i);
        memcpy(rest, next, sizeof rest);
    }
}

/* A loop over a group from a place on: its iterator, and each one's value by the name e. */
static void put_walk(Fragment *f, int data, const Group *group, const char *base, Text *iterator,
                     Text *value) {
    int size = fragment_numbers(f, &group->size, 1);
    if (group->count <= 1) {
        bool straight = group->count == 1 && group->strides[0] == 1;
        text_put(iterator, straight ? "iter(p%d, %s, %s + p%d, 1l)" : "rangeiter(0l, p%d, 1l)",
                 straight ? data : size, base, base, size);
        text_put(value, straight ? "e" : "lookup(p%d, %s + ", data, base);
        if (!straight) put_place(f, value, group, "e");
        if (!straight) text_put(value, ")");
        return;
    }
    int64_t numbers[2 * WELD_ND_AXES];
    memcpy(numbers, group->shape, sizeof *numbers * (size_t)group->count);
    memcpy(numbers + group->count, group->strides, sizeof *numbers * (size_t)group->count);
    int g = fragment_numbers(f, numbers, 2 * group->count);
    text_put(iterator, "nditer(p%d, %s, %s + p%d, 1l, ", data, base, base, size);
    for (int i = 0; i < 2 * group->count; i++) {
        const char *before = i == 0 ? "[" : i == group->count ? "], [" : ", ";
        text_put(iterator, "%sp%d.$%d", before, g, i);
    }
    text_put(iterator, "])");
    text_put(value, "e");
}

/* ---- what is done with the elements of a loop ---- */

/* The reduced value of a loop's elements, of the merged type. */
static void put_total(Text *text, const char *op, const char *type, bool nan, const char *iterator,
                      const char *value) {
    if (!nan) {
        text_put(text, "result(for(%s, merger[%s, %s], |b, i, e| merge(b, %s(%s))))", iterator, type, op,
                 type, value);
        return;
    }
    /* mergers prefer numbers to NaN, which is counted */
    text_put(text,
             "(let m = result(for(%s, {merger[%s, %s], merger[i64, +]}, |b, i, e| let x = %s(%s); "
             "{merge(b.$0, x), merge(b.$1, i64(x != x))})); select(m.$1 > 0l, %s(0) / %s(0), m.$0))",
             iterator, type, op, type, value, type, type);
}

/* The result's value of a loop's elements. count: text of how many there are. */
static void put_kernel(Text *text, weld_nd_reduce_op op, weld_nd_dtype of, const char *iterator,
                       const char *value, const char *count) {
    const Row *row = &rows[op];
    weld_nd_dtype merged = merged_type(op, of);
    const char *type = weld_nd_type_name(merged), *result = weld_nd_type_name(result_type(op, of));
    Text total = {.length = 0};
    char cast[700];
    snprintf(cast, sizeof cast, op == WELD_ND_ANY || op == WELD_ND_ALL ? "bool(%s)" : "%s", value);
    put_total(&total, row->op, type, minds_nan(op, merged), iterator, cast);
    text->full |= total.full;
    if (row->form == WHERE) {
        text_put(text,
                 "(let least = %s; result(for(%s, merger[i64, min], |b, i, e| let x = %s(%s); "
                 "if(x == least || x != x, merge(b, i), b))))",
                 total.text, iterator, type, value);
    } else if (row->form == SPREAD) {
        text_put(text,
                 "(let mean = %s / f64(%s); %s(%s(result(for(%s, merger[f64, +], |b, i, e| let d = f64(%s) - "
                 "mean; "
                 "merge(b, d * d))) / f64(",
                 total.text, count, result, row->root ? "sqrt" : "", iterator, value);
        text_put(text, row->unbiased ? "max(0l, %s - 1l)))))" : "%s))))", count);
    } else if (op == WELD_ND_ANY || op == WELD_ND_ALL) {
        text_put(text, "%s > 0c", total.text);
    } else if (op == WELD_ND_MEAN) {
        text_put(text, "%s(%s / f64(%s))", result, total.text, count);
    } else {
        text_put(text, "%s(%s)", result, total.text);
    }
}

/* ---- over all axes ---- */

static weld_lazy_t reduce_all(weld_nd_reduce_op op, const Nd *nd, weld_error_t error) {
    Fragment f = {.function = rows[op].function, .error = error};
    Operand operand;
    Text iterator = {.length = 0}, count = {.length = 0};
    int64_t size = nd_size(nd);
    operand_open(&f, nd, nd->rank, nd->shape, &operand);
    Text before = f.body;
    f.body = (Text){.length = 0};
    operands_put(&f, &operand, 1, size);
    iterator = f.body;
    f.body = before;
    if (rows[op].form == SPREAD || op == WELD_ND_MEAN)
        text_put(&count, "p%d", fragment_numbers(&f, &size, 1));
    put_kernel(&f.body, op, nd->dtype, iterator.text, operand.value, count.text);
    return fragment_close(&f);
}

/* ---- over some ---- */

/* Each kept place reduces the group that goes. */
static weld_lazy_t reduce_rows(weld_nd_reduce_op op, const Nd *nd, const Group *kept, const Group *gone,
                               weld_error_t error) {
    Fragment f = {.function = rows[op].function, .error = error};
    Text iterator = {.length = 0}, value = {.length = 0};
    char count[32];
    int data = fragment_lazy(&f, nd->data), start = fragment_numbers(&f, &nd->start, 1);
    int size = fragment_numbers(&f, &kept->size, 1);
    text_put(&f.body, "map(rangeiter(0l, p%d, 1l), |k| let base = p%d + ", size, start);
    put_place(&f, &f.body, kept, "k");
    put_walk(&f, data, gone, "base", &iterator, &value);
    snprintf(count, sizeof count, "p%d", fragment_numbers(&f, &gone->size, 1));
    text_put(&f.body, "; ");
    put_kernel(&f.body, op, nd->dtype, iterator.text, value.text, count);
    text_put(&f.body, ")");
    f.failed |= iterator.full || value.full;
    return fragment_close(&f);
}

/* Each place of the group that goes adds its row to all that is kept. */
static weld_lazy_t reduce_columns(weld_nd_reduce_op op, const Nd *nd, const Group *kept, const Group *gone,
                                  weld_error_t error) {
    Fragment f = {.function = rows[op].function, .error = error};
    Text iterator = {.length = 0}, value = {.length = 0}, *body = &f.body;
    weld_nd_dtype merged = merged_type(op, nd->dtype);
    const char *type = weld_nd_type_name(merged), *result = weld_nd_type_name(result_type(op, nd->dtype));
    bool nan = minds_nan(op, merged), truth = op == WELD_ND_ANY || op == WELD_ND_ALL;
    int data = fragment_lazy(&f, nd->data), start = fragment_numbers(&f, &nd->start, 1);
    int width = fragment_numbers(&f, &kept->size, 1), height = fragment_numbers(&f, &gone->size, 1);
    text_put(body, "let zero = result(merger[%s, %s]); ", type, rows[op].op);
    text_put(body, "let first = map(rangeiter(0l, p%d, 1l), |i| zero); ", width);
    if (nan) text_put(body, "let none = map(rangeiter(0l, p%d, 1l), |i| %s(0)); ", width, type);
    text_put(body, "let all = result(for(rangeiter(0l, p%d, 1l), ", height);
    text_put(body, nan ? "{vecmerger[%s, %s](first), vecmerger[%s, +](none)}" : "vecmerger[%s, %s](first)",
             type, rows[op].op, type);
    text_put(body, ", |b, i, r| let base = p%d + ", start);
    put_place(&f, body, gone, "r");
    put_walk(&f, data, kept, "base", &iterator, &value);
    text_put(body, "; for(%s, b, |c, j, e| let x = %s(%s%s%s); ", iterator.text, type, truth ? "bool(" : "",
             value.text, truth ? ")" : "");
    text_put(body,
             nan ? "{merge(c.$0, {j, x}), merge(c.$1, {j, select(x != x, x, %s(0))})}" : "merge(c, {j, x})",
             type);
    text_put(body, "))); ");
    if (nan)
        text_put(body, "map(zip(all.$0, all.$1), |e| select(e.$1 != e.$1, e.$1, e.$0))");
    else if (truth)
        text_put(body, "map(all, |e| e > 0c)");
    else if (op == WELD_ND_MEAN)
        text_put(body, "map(all, |e| %s(e / f64(p%d)))", result, height);
    else
        text_put(body, strcmp(type, result) ? "map(all, |e| %s(e))" : "all", result);
    f.failed |= iterator.full || value.full;
    return fragment_close(&f);
}

/* Which axes go; false: error set. */
static bool mark_axes(const Nd *nd, const int *axes, int count, bool *goes, weld_error_t error) {
    for (int i = 0; i < WELD_ND_AXES; i++) goes[i] = !axes && i < nd->rank;
    if (axes && count < 0) return nd_refuse(error, "a negative number of axes");
    for (int i = 0; axes && i < count; i++) {
        int axis = axes[i];
        if (!nd_check_axis(nd, &axis, nd->rank, error)) return false;
        if (goes[axis]) return nd_fail(error, WELD_ARGUMENT_ERROR, "axis %d is named twice", axes[i]);
        goes[axis] = true;
    }
    return true;
}

/* The group of axes that go, or stay. */
static Group group_of(const Nd *nd, const bool *goes, bool which) {
    int64_t shape[WELD_ND_AXES], strides[WELD_ND_AXES];
    int count = 0;
    Group group = {.size = 1};
    for (int i = 0; i < nd->rank; i++) {
        if (goes[i] != which) continue;
        group.size *= nd->shape[i];
        shape[count] = nd->shape[i];
        strides[count++] = nd->strides[i];
    }
    group.count = axes_collapse(count, shape, strides, group.shape, group.strides);
    return group;
}

static int64_t least_stride(const Group *group) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < group->count; i++) {
        int64_t stride = group->strides[i] < 0 ? -group->strides[i] : group->strides[i];
        if (stride < least) least = stride;
    }
    return least;
}

/* Of no elements at all. */
static Nd *reduce_nothing(weld_nd_reduce_op op, weld_nd_dtype of, int rank, const int64_t *shape,
                          weld_error_t error) {
    double value = op == WELD_ND_PRODUCT || op == WELD_ND_ALL ? 1
                   : op == WELD_ND_SUM || op == WELD_ND_ANY   ? 0
                                                              : (double)NAN;
    bool none = rows[op].form == WHERE || op == WELD_ND_MIN || op == WELD_ND_MAX;
    if (none)
        return nd_fail(error, WELD_ARGUMENT_ERROR, "there is no %s of no elements",
                       strchr(rows[op].function, '.') + 1);
    return nd_constant(result_type(op, of), value, rank, shape, error);
}

/* The spread along columns: of what differs from their means. */
static Nd *spread_columns(weld_nd_reduce_op op, weld_nd_t nd, const int *axes, int count, int64_t size,
                          bool keep, weld_error_t error) {
    weld_nd_dtype result = result_type(op, nd->dtype);
    double divisor = (double)(rows[op].unbiased ? (size > 1 ? size - 1 : 0) : size);
    weld_nd_t wide = weld_nd_cast(nd, WELD_ND_F64, error);
    weld_nd_t mean = wide ? weld_nd_reduce(WELD_ND_MEAN, wide, axes, count, true, error) : NULL;
    weld_nd_t differ = mean ? weld_nd_binary(WELD_ND_SUBTRACT, wide, mean, error) : NULL;
    weld_nd_t square = differ ? weld_nd_unary(WELD_ND_SQUARE, differ, error) : NULL;
    weld_nd_t sum = square ? weld_nd_reduce(WELD_ND_SUM, square, axes, count, keep, error) : NULL;
    weld_nd_t by = sum ? weld_nd_full(WELD_ND_F64, &divisor, 0, NULL, error) : NULL;
    weld_nd_t var = by ? weld_nd_binary(WELD_ND_DIVIDE, sum, by, error) : NULL;
    weld_nd_t root = var && rows[op].root ? weld_nd_unary(WELD_ND_SQRT, var, error) : weld_nd_hold(var);
    weld_nd_t cast = root ? weld_nd_cast(root, result, error) : NULL;
    weld_nd_t parts[] = {wide, mean, differ, square, sum, by, var, root};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++) weld_nd_free(parts[i]);
    return cast;
}

weld_nd_t weld_nd_reduce(weld_nd_reduce_op op, weld_nd_t nd, const int *axes, int count, bool keep,
                         weld_error_t error) {
    bool goes[WELD_ND_AXES];
    int64_t shape[WELD_ND_AXES];
    int rank = 0;
    if ((unsigned)op >= WELD_ND_REDUCE_OPS) return nd_refuse(error, "there is no such reduction");
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!mark_axes(nd, axes, count, goes, error)) return NULL;
    for (int i = 0; i < nd->rank; i++) {
        if (!goes[i] || keep) shape[rank++] = goes[i] ? 1 : nd->shape[i];
    }
    Group kept = group_of(nd, goes, false), gone = group_of(nd, goes, true);
    if (rows[op].form == WHERE && axes && count != 1)
        return nd_refuse(error, "argmin and argmax go along one axis, or all");
    weld_nd_dtype result = result_type(op, nd->dtype);
    if (kept.size == 0) return nd_empty(result, rank, shape, error);
    if (gone.size == 0) return reduce_nothing(op, nd->dtype, rank, shape, error);
    if (kept.size == 1) return nd_new(result, rank, shape, reduce_all(op, nd, error), true, error);
    if (nd->scalar) {
        weld_nd_t copy = weld_nd_contiguous(nd, error);
        weld_nd_t reduced = copy ? weld_nd_reduce(op, copy, axes, count, keep, error) : NULL;
        weld_nd_free(copy);
        return reduced;
    }
    bool columns = gone.size > 1 && least_stride(&kept) < least_stride(&gone) && rows[op].form != WHERE;
    if (columns && rows[op].form == SPREAD)
        return spread_columns(op, nd, axes, count, gone.size, keep, error);
    weld_lazy_t lazy = (columns ? reduce_columns : reduce_rows)(op, nd, &kept, &gone, error);
    return nd_new(result, rank, shape, lazy, false, error);
}
