/* ndarray_rows.c: the rows of the adapter's table, called by name, against sums written out here. */
#include "adapter.h"

enum { LENGTHS = 7 };

/* {outer, n, inner}; wraps, or overflows, as C does. */
#define CUMSUM(name, T, as, element, random, odd)                                                           \
    static void name##_of(int engine, const char *full, int64_t outer, int64_t n, int64_t inner, int bad) { \
        int64_t all = outer * n * inner;                                                                    \
        T *v = malloc((size_t)(all + 1) * sizeof *v), *expected = malloc((size_t)(all + 1) * sizeof *v);    \
        for (int64_t i = 0; i < all; i++) v[i] = (T)(random);                                               \
        if (bad && all) v[all / 2] = (T)(odd);                                                              \
        for (int64_t i = 0; i < all; i++)                                                                   \
            expected[i] = i / inner % n ? (T)((as)expected[i - inner] + (as)v[i]) : v[i];                   \
        Arg args[] = {VEC(element, v, all), I64(n), I64(inner)};                                            \
        weld_value_t value = call(engine, full, args, 3);                                                   \
        const Vector *got = weld_value_data(value);                                                         \
        cr_assert_eq(got->length, all, "%s", full);                                                         \
        for (int64_t i = 0; i < all; i++) {                                                                 \
            double is = (double)((const T *)got->data)[i], be = (double)expected[i];                        \
            cr_assert(is_near(is, be, 0), "%s at %d of {%d, %d, %d}: %g, %g", full, (int)i, (int)outer,     \
                      (int)n, (int)inner, is, be);                                                          \
        }                                                                                                   \
        weld_value_free(value);                                                                             \
        Arg shorter[] = {VEC(element, v, all - 1), args[1], args[2]};                                       \
        if (all == 24) expect_checked(engine, full, args, 3, 1); /* an empty one is right */                \
        if (all == 24) expect_failure(engine, full, shorter, 3, "rows that are cut");                       \
        free(v), free(expected);                                                                            \
    }                                                                                                       \
    static void name(int engine, const char *full) {                                                        \
        static const int64_t shapes[][3] = {{0, 3, 2},   {1, 1, 1}, {2, 3, 4}, {5, 1, 3},                   \
                                            {1, 100, 1}, {3, 7, 1}, {2, 0, 0}};                             \
        for (int k = 0; k < LENGTHS * 2; k++)                                                               \
            name##_of(engine, full, shapes[k / 2][0], shapes[k / 2][1], shapes[k / 2][2], k % 2);           \
    }
CUMSUM(cumsum_i64, int64_t, uint64_t, "i64", random_bits(), INT64_MAX)
CUMSUM(cumsum_u64, uint64_t, uint64_t, "u64", random_bits(), UINT64_MAX)
CUMSUM(cumsum_f32, float, float, "f32", random_number(), all % 8 ? (float)NAN : 3e38f)
CUMSUM(cumsum_f64, double, double, "f64", random_number(), all % 8 ? NAN : 1e308)

static const RowTest tests[] = {{"cumsum_i64", cumsum_i64},
                                {"cumsum_u64", cumsum_u64},
                                {"cumsum_f32", cumsum_f32},
                                {"cumsum_f64", cumsum_f64}};

Test(ndarray, rows) {
    check_rows("ndarray", tests, COUNT(tests));
}
