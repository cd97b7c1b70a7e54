/* ndarray_use.c: making and reading arrays of the adapter ndarray, ownership, what is emitted, what does not fit. */
#include "ndarray_pairs.h"

#include <stdatomic.h>

static void count_release(void *user) {
    atomic_fetch_add((_Atomic int *)user, 1);
}

static void expect_f64(weld_nd_t nd, const double *expected, int64_t count) {
    double read[64];
    must(nd);
    cr_assert_eq(weld_nd_size(nd), count);
    cr_assert(weld_nd_read(contexts[0], nd, read, count * 8, error), "%s", weld_error_message(error));
    for (int64_t i = 0; i < count; i++) cr_assert_float_eq(read[i], expected[i], 1e-14);
    weld_nd_free(nd);
}

Test(ndarray, sequences) {
    expect_f64(weld_nd_arange(WELD_ND_F64, 1, 2, 0.25, error), (double[]){1, 1.25, 1.5, 1.75}, 4);
    expect_f64(weld_nd_arange(WELD_ND_F64, 0, -1, -0.4, error), (double[]){0, -0.4, -0.8}, 3);
    expect_f64(weld_nd_arange(WELD_ND_F64, 1, 1, 1, error), NULL, 0);
    expect_f64(weld_nd_arange(WELD_ND_F64, 1, 0, 1, error), NULL, 0);
    expect_f64(weld_nd_linspace(0, 1, 5, true, error), (double[]){0, 0.25, 0.5, 0.75, 1}, 5);
    expect_f64(weld_nd_linspace(0, 1, 4, false, error), (double[]){0, 0.25, 0.5, 0.75}, 4);
    expect_f64(weld_nd_linspace(3, 1, 1, true, error), (double[]){3}, 1);
    expect_f64(weld_nd_linspace(3, 1, 0, true, error), NULL, 0);
    int32_t read[3];
    weld_nd_t nd = must(weld_nd_arange(WELD_ND_I32, 5, 11, 2, error));
    cr_assert(weld_nd_read(contexts[0], nd, read, sizeof read, error));
    cr_assert(read[0] == 5 && read[1] == 7 && read[2] == 9);
    weld_nd_free(nd);
    expect_no(weld_nd_arange(WELD_ND_F64, 0, 1, 0, error), WELD_ARGUMENT_ERROR, "a step of 0");
    expect_no(weld_nd_arange(WELD_ND_F64, 0, INFINITY, 1, error), WELD_ARGUMENT_ERROR, "to infinity");
    expect_no(weld_nd_arange(WELD_ND_F64, (double)NAN, 1, 1, error), WELD_ARGUMENT_ERROR, "from NaN");
    expect_no(weld_nd_linspace(0, 1, -1, true, error), WELD_ARGUMENT_ERROR, "a negative count");
}

Test(ndarray, one_value_everywhere_takes_no_room) {
    double half = 0.5;
    int64_t shape[] = {1000, 1000, 1000};
    weld_nd_t x = must(weld_nd_full(WELD_ND_F64, &half, 3, shape, error)),
              one = must(weld_nd_full(WELD_ND_F32, NULL, 0, NULL, error));
    weld_nd_t y = must(weld_nd_binary(WELD_ND_ADD, x, one, error)),
              z = must(weld_nd_unary(WELD_ND_NEGATIVE, y, error));
    weld_nd_t at = must(weld_nd_index(z, 0, 5, error)), row = must(weld_nd_index(at, 0, -1, error));
    weld_nd_t item = must(weld_nd_index(row, 0, 999, error));
    double read = 0;
    cr_assert(weld_nd_read(contexts[0], item, &read, 8, error), "%s", weld_error_message(error));
    cr_assert_eq(read, -0.5);
    weld_nd_t all[] = {x, one, y, z, at, row, item};
    for (int i = 0; i < 7; i++) weld_nd_free(all[i]);
}

Test(ndarray, data_are_released_once) {
    for (int fails = 0; fails < 2; fails++) {
        _Atomic int released = 0;
        double data[6] = {1, 2, 3, 4, 5, 6}, read[6];
        int64_t shape[] = {2, 3}, at = fails ? 9 : 1, zero = 0;
        weld_nd_t x =
            must(weld_nd_from(WELD_ND_F64, data, 2, shape, NULL, count_release, (void *)&released, error));
        weld_nd_t t = must(weld_nd_transpose(x, NULL, error)),
                  y = must(weld_nd_binary(WELD_ND_ADD, x, x, error));
        weld_nd_t index = must(weld_nd_from(WELD_ND_I64, &at, 0, NULL, NULL, NULL, NULL, error));
        weld_nd_t z = must(weld_nd_take(y, index, 1, error));
        weld_nd_free(x);
        cr_assert_eq(weld_nd_read(contexts[0], z, read, 16, error), !fails);
        if (!fails) cr_assert(read[0] == 4 && read[1] == 10);
        weld_nd_free(y);
        weld_nd_free(z);
        weld_nd_free(index);
        cr_assert_eq(released, 0);
        cr_assert(weld_nd_read(contexts[0], t, read, sizeof read, error));
        cr_assert(read[0] == 1 && read[1] == 4 && read[5] == 6);
        weld_nd_free(t);
        cr_assert_eq(released, 1);
        expect_no(weld_nd_from(WELD_ND_F64, NULL, 2, shape, NULL, count_release, (void *)&released, error),
                  WELD_ARGUMENT_ERROR, "no data");
        weld_nd_free(must(weld_nd_from(WELD_ND_F64, NULL, 1, &zero, NULL, NULL, NULL, error)));
        cr_assert_eq(released, 1);
    }
}

static char *text_of(weld_nd_t nd, char *(*show)(const weld_lazy_t *, int64_t, weld_error_t)) {
    weld_lazy_t lazy = weld_nd_lazy(nd, error);
    cr_assert_not_null(lazy, "%s", weld_error_message(error));
    char *text = show(&lazy, 1, error);
    cr_assert_not_null(text, "%s", weld_error_message(error));
    weld_lazy_free(lazy);
    return text;
}

static int count_of(const char *text, const char *word) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) count++;
    return count;
}

/* sqrt(mean((x - rows' means) * 2 where x > 0)), of an n x m matrix. */
static weld_nd_t chain(int64_t n, int64_t m, bool whole) {
    static double data[100];
    int64_t shape[] = {n, m};
    int last = 1;
    double two = 2;
    weld_nd_t x = must(weld_nd_from(WELD_ND_F64, data, 2, shape, NULL, NULL, NULL, error));
    weld_nd_t mean = must(weld_nd_reduce(WELD_ND_MEAN, x, &last, 1, true, error));
    weld_nd_t factor = must(weld_nd_full(WELD_ND_F64, &two, 0, NULL, error)),
              zero = must(weld_nd_full(WELD_ND_F64, NULL, 0, NULL, error));
    weld_nd_t a = must(weld_nd_binary(WELD_ND_SUBTRACT, x, whole ? factor : mean, error));
    weld_nd_t b = must(weld_nd_binary(WELD_ND_MULTIPLY, a, factor, error)),
              c = must(weld_nd_binary(WELD_ND_GREATER, x, zero, error));
    weld_nd_t d = must(weld_nd_where(c, b, zero, error)),
              e = must(weld_nd_reduce(WELD_ND_MEAN, d, NULL, 0, false, error));
    weld_nd_t f = must(weld_nd_unary(WELD_ND_SQRT, e, error)), all[] = {x, mean, factor, zero, a, b, c, d, e};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) weld_nd_free(all[i]);
    return f;
}

Test(ndarray, chains_fuse_and_sizes_are_no_text) {
    weld_nd_t small = chain(2, 3, false), large = chain(7, 5, false), whole = chain(4, 4, true);
    char *a = text_of(small, weld_lazy_program), *b = text_of(large, weld_lazy_program);
    cr_assert_str_eq(a, b);
    free(a);
    free(b);
    char *plan = text_of(whole, weld_lazy_plan);
    cr_assert_eq(count_of(plan, "a loop over"), 1, "one loop: %s", plan);
    free(plan);
    plan = text_of(small, weld_lazy_plan);
    cr_assert_eq(count_of(plan, "a loop over"), 2, "the means, in one loop over the rows, and one loop: %s",
                 plan);
    free(plan);
    weld_nd_free(small);
    weld_nd_free(large);
    weld_nd_free(whole);
}

Test(ndarray, lazy_values_of_others) {
    int64_t three[] = {3}, four[] = {4}, read[4];
    weld_lazy_t lazy = weld_lazy_new("mine.numbers", "[1l, 2l, 3l]", NULL, 0, error);
    weld_lazy_t number = weld_lazy_new("mine.number", "5l", NULL, 0, error),
                text = weld_lazy_new(NULL, "[[1l]]", NULL, 0, error);
    weld_nd_t x = must(weld_nd_from_lazy(lazy, 1, three, error)),
              y = must(weld_nd_from_lazy(number, 0, NULL, error));
    weld_nd_t z = must(weld_nd_binary(WELD_ND_MULTIPLY, x, y, error));
    cr_assert(weld_nd_read(contexts[0], z, read, 24, error), "%s", weld_error_message(error));
    cr_assert(read[0] == 5 && read[2] == 15);
    weld_nd_t wrong = must(weld_nd_from_lazy(lazy, 1, four, error));
    cr_assert_not(weld_nd_read(contexts[0], wrong, read, 32, error), "another number of elements");
    expect_no(weld_nd_from_lazy(number, 1, three, error), WELD_ARGUMENT_ERROR, "a number");
    expect_no(weld_nd_from_lazy(text, 1, three, error), WELD_ARGUMENT_ERROR, "vectors");
    expect_no(weld_nd_from_lazy(NULL, 1, three, error), WELD_ARGUMENT_ERROR, "nothing");
    weld_nd_t arrays[] = {x, y, z, wrong};
    for (int i = 0; i < 4; i++) weld_nd_free(arrays[i]);
    weld_lazy_free(lazy);
    weld_lazy_free(number);
    weld_lazy_free(text);
}

Test(ndarray, what_does_not_fit) {
    double data[6] = {0};
    int64_t shape[] = {2, 3}, negative[] = {2, -3}, huge[] = {INT64_MAX, 2, 0}, far[] = {INT64_MAX, 1},
            four[] = {4}, open[] = {-1, -1};
    int twice[] = {0, 0}, beyond[] = {2}, swap[] = {1, 1};
    const uint64_t bad = WELD_ARGUMENT_ERROR;
    weld_nd_t x = must(weld_nd_from(WELD_ND_F64, data, 2, shape, NULL, NULL, NULL, error)),
              y = must(weld_nd_transpose(x, NULL, error));
    weld_nd_t s = must(weld_nd_full(WELD_ND_F64, NULL, 0, NULL, error)), pair[] = {x, y}, hole[] = {x, NULL};
    expect_no(weld_nd_from((weld_nd_dtype)99, data, 2, shape, NULL, NULL, NULL, error), bad, "type");
    expect_no(weld_nd_from(WELD_ND_F64, data, 2, negative, NULL, NULL, NULL, error), bad, "length");
    expect_no(weld_nd_from(WELD_ND_F64, data, 3, huge, NULL, NULL, NULL, error), bad, "size");
    expect_no(weld_nd_from(WELD_ND_F64, data, 2, shape, far, NULL, NULL, error), bad, "strides");
    expect_no(weld_nd_from(WELD_ND_F64, data, 17, shape, NULL, NULL, NULL, error), bad, "rank");
    expect_no(weld_nd_from(WELD_ND_F64, data, -1, shape, NULL, NULL, NULL, error), bad, "rank");
    expect_no(weld_nd_from(WELD_ND_F64, data, 1, NULL, NULL, NULL, NULL, error), bad, "shape");
    expect_no(weld_nd_reshape(x, 1, four, error), bad, "reshape");
    expect_no(weld_nd_reshape(x, 2, open, error), bad, "reshape");
    expect_no(weld_nd_reshape(x, 0, NULL, error), bad, "reshape");
    expect_no(weld_nd_transpose(x, swap, error), bad, "transpose");
    expect_no(weld_nd_transpose(x, beyond, error), bad, "transpose");
    expect_no(weld_nd_slice(x, 2, 0, 1, 1, error), bad, "slice");
    expect_no(weld_nd_slice(x, 0, 0, 1, 0, error), bad, "slice");
    expect_no(weld_nd_index(x, 0, 2, error), WELD_ARRAY_OUT_OF_BOUNDS, "index");
    expect_no(weld_nd_index(x, 0, -3, error), WELD_ARRAY_OUT_OF_BOUNDS, "index");
    expect_no(weld_nd_index(s, 0, 0, error), bad, "index");
    expect_no(weld_nd_squeeze(x, 0, error), bad, "squeeze");
    expect_no(weld_nd_expand(x, 4, error), bad, "expand");
    expect_no(weld_nd_broadcast(x, 1, four, error), bad, "broadcast");
    expect_no(weld_nd_broadcast(x, 2, (int64_t[]){4, 3}, error), bad, "broadcast");
    expect_no(weld_nd_binary(WELD_ND_ADD, x, y, error), bad, "add");
    expect_no(weld_nd_binary((weld_nd_binary_op)99, x, x, error), bad, "op");
    expect_no(weld_nd_unary((weld_nd_unary_op)-1, x, error), bad, "op");
    expect_no(weld_nd_reduce((weld_nd_reduce_op)99, x, NULL, 0, false, error), bad, "op");
    expect_no(weld_nd_reduce(WELD_ND_SUM, x, twice, 2, false, error), bad, "axes");
    expect_no(weld_nd_reduce(WELD_ND_SUM, x, beyond, 1, false, error), bad, "axes");
    expect_no(weld_nd_reduce(WELD_ND_SUM, x, beyond, -1, false, error), bad, "axes");
    expect_no(weld_nd_reduce(WELD_ND_ARGMAX, x, (int[]){0, 1}, 2, false, error), bad, "axes");
    expect_no(weld_nd_cumsum(x, 2, error), bad, "cumsum");
    expect_no(weld_nd_matmul(x, x, error), bad, "matmul");
    expect_no(weld_nd_matmul(x, s, error), bad, "matmul");
    expect_no(weld_nd_concatenate(pair, 2, 0, error), bad, "concatenate");
    expect_no(weld_nd_concatenate(pair, 0, 0, error), bad, "concatenate");
    expect_no(weld_nd_concatenate(&s, 1, 0, error), bad, "concatenate");
    expect_no(weld_nd_concatenate(hole, 2, 0, error), bad, "concatenate");
    expect_no(weld_nd_stack(pair, 2, 0, error), bad, "stack");
    expect_no(weld_nd_stack(hole, 2, 0, error), bad, "stack");
    expect_no(weld_nd_take(x, x, 0, error), bad, "take");
    expect_no(weld_nd_cast(x, WELD_ND_DTYPES, error), bad, "cast");
    expect_no(weld_nd_unary(WELD_ND_EXP, NULL, error), bad, "NULL");
    expect_no(weld_nd_binary(WELD_ND_ADD, x, NULL, error), bad, "NULL");
    expect_no(weld_nd_where(x, NULL, x, error), bad, "NULL");
    expect_no(weld_nd_cast(NULL, WELD_ND_F64, error), bad, "NULL");
    expect_no(weld_nd_reduce(WELD_ND_SUM, NULL, NULL, 0, false, error), bad, "NULL");
    expect_no(weld_nd_cumsum(NULL, 0, error), bad, "NULL");
    expect_no(weld_nd_matmul(NULL, x, error), bad, "NULL");
    expect_no(weld_nd_take(x, NULL, 0, error), bad, "NULL");
    expect_no(weld_nd_reshape(NULL, 1, four, error), bad, "NULL");
    expect_no(weld_nd_transpose(NULL, NULL, error), bad, "NULL");
    expect_no(weld_nd_slice(NULL, 0, 0, 0, 1, error), bad, "NULL");
    expect_no(weld_nd_index(NULL, 0, 0, error), bad, "NULL");
    expect_no(weld_nd_expand(NULL, 0, error), bad, "NULL");
    expect_no(weld_nd_squeeze(NULL, 0, error), bad, "NULL");
    expect_no(weld_nd_broadcast(NULL, 1, four, error), bad, "NULL");
    expect_no(weld_nd_contiguous(NULL, error), bad, "NULL");
    cr_assert_null(weld_nd_lazy(NULL, error));
    cr_assert_null(weld_nd_hold(NULL));
    weld_nd_free(NULL);
    weld_nd_keep(NULL);
    cr_assert(weld_nd_type(NULL) == -1 && weld_nd_rank(NULL) == -1 && weld_nd_size(NULL) == -1 &&
              weld_nd_length(x, 2) == -1);
    cr_assert_null(weld_nd_type_name(WELD_ND_DTYPES));
    cr_assert_not(weld_nd_read(contexts[0], NULL, data, 48, error));
    cr_assert_not(weld_nd_read(contexts[0], x, data, 40, error));
    cr_assert(strstr(weld_error_message(error), "the array has 48 bytes, and not 40"));
    cr_assert_not(weld_nd_read(contexts[0], x, NULL, 48, error));
    cr_assert(strstr(weld_error_message(error), "is NULL"));
    cr_assert_not(weld_nd_read(NULL, x, data, 48, error));
    weld_value_t values[2];
    cr_assert_not(weld_nd_evaluate(contexts[0], hole, 2, values, error));
    cr_assert_not(weld_nd_evaluate(contexts[0], NULL, 1, values, error));
    cr_assert_null(weld_nd_binary(WELD_ND_ADD, x, y, NULL), "without an error object");
    weld_nd_free(x);
    weld_nd_free(y);
    weld_nd_free(s);
}
