/* gsl_sorts.h: tests of what sorts, and of what an order makes; included behind gsl_vectors.h. */

static double *sorted_copy(const double *x, int64_t n) {
    double *copy = random_doubles(n);
    for (int64_t i = 0; i < n; i++) copy[i] = x[i];
    gsl_sort(copy, 1, (size_t)n);
    return copy;
}

static void sort_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    double *expected = sorted_copy(x, n);
    Arg args[] = {X};
    expect_doubles(engine, full, args, 1, expected, n, 0);
    free(expected);
}
static void sort_row(int engine, const char *full) {
    each_data(engine, full, sort_of, 0);
}

static void sort_index_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    double *expected = sorted_copy(x, n);
    Arg args[] = {X};
    weld_value_t value = call(engine, full, args, 1);
    const Vector *got = weld_value_data(value);
    const int64_t *at = got->data;
    cr_assert_eq(got->length, n);
    for (int64_t i = 0; i < n; i++) {
        cr_assert(at[i] >= 0 && at[i] < n && x[at[i]] == expected[i], "%s at %ld", full, (long)i);
        cr_assert(i == 0 || expected[i - 1] != expected[i] || at[i - 1] < at[i], "%s is not stable", full);
    }
    weld_value_free(value);
    free(expected);
}
static void sort_index(int engine, const char *full) {
    each_data(engine, full, sort_index_of, 0);
}

#define SORT_SOME(name)                                                                                \
    static void name##_of(int engine, const char *full, const double *x, const double *y, int64_t n) { \
        (void)y;                                                                                       \
        double *expected = random_doubles(n);                                                          \
        for (int64_t k = 0; k <= n; k += 1 + n / 3) {                                                  \
            Arg args[] = {X, I64(k)};                                                                  \
            if (n) gsl_##name(expected, (size_t)k, x, 1, (size_t)n);                                   \
            expect_doubles(engine, full, args, 2, expected, k, 0);                                     \
        }                                                                                              \
        free(expected);                                                                                \
        Arg less[] = {X, I64(-1)}, more[] = {X, I64(n + 1)};                                           \
        expect_failure(engine, full, less, 2, "-1 of them");                                           \
        expect_failure(engine, full, more, 2, "more than there are");                                  \
    }                                                                                                  \
    static void name(int engine, const char *full) {                                                   \
        each_data(engine, full, name##_of, 0);                                                         \
    }
SORT_SOME(sort_smallest)
SORT_SOME(sort_largest)

static void select_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    double *copy = sorted_copy(x, n);
    for (int64_t k = 0; k < n; k += 1 + n / 3) {
        Arg args[] = {X, I64(k)};
        expect_exactly(full, number(engine, full, args, 2), gsl_stats_select(copy, 1, (size_t)n, (size_t)k));
    }
    free(copy);
    Arg args[] = {X, I64(n)};
    expect_failure(engine, full, args, 2, "the element after the last");
}
static void select_row(int engine, const char *full) {
    each_data(engine, full, select_of, 0);
}

static void median_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    double *sorted = sorted_copy(x, n), expected = gsl_stats_median_from_sorted_data(sorted, 1, (size_t)n);
    bool is_sorted = strstr(full, "from_sorted");
    Arg args[] = {VEC("f64", is_sorted ? sorted : x, n)};
    expect_exactly(full, number(engine, full, args, 1), expected);
    if (n && !is_sorted) expect_exactly(full, expected, COPIED(gsl_stats_median));
    free(sorted);
}
static void median(int engine, const char *full) {
    each_data(engine, full, median_of, 0);
}

static void quantile_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    static const double parts[] = {0, 0.1, 0.25, 0.5, 0.99, 1};
    double *sorted = sorted_copy(x, n);
    bool is_sorted = strstr(full, "from_sorted");
    for (int k = 0; k < COUNT(parts); k++) {
        Arg args[] = {VEC("f64", is_sorted ? sorted : x, n), F64(parts[k])};
        double expected = gsl_stats_quantile_from_sorted_data(sorted, 1, (size_t)n, parts[k]);
        expect_close(full, number(engine, full, args, 2), expected, 4e-16, rounding(x, n));
    }
    static const double bad[] = {-0.01, 1.01, NAN, INFINITY};
    for (int k = 0; n && k < COUNT(bad); k++) {
        Arg args[] = {VEC("f64", sorted, n), F64(bad[k])};
        expect_failure(engine, full, args, 2, "a part outside of 0..1");
    }
    free(sorted);
}
static void quantile(int engine, const char *full) {
    each_data(engine, full, quantile_of, 0);
}

static void trmean_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    double *sorted = sorted_copy(x, n);
    for (double trim = 0; trim <= 0.6; trim += 0.1) {
        Arg args[] = {F64(trim), VEC("f64", sorted, n)};
        double expected =
            n ? gsl_stats_trmean_from_sorted_data(trim, sorted, 1, (size_t)n) : 0; /* or it crashes */
        expect_close(full, number(engine, full, args, 2), expected, 1e-12, rounding(x, n));
    }
    free(sorted);
}
static void trmean(int engine, const char *full) {
    each_data(engine, full, trmean_of, 0);
}

static void gastwirth_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    double *sorted = sorted_copy(x, n);
    Arg args[] = {VEC("f64", sorted, n)};
    double expected = n ? gsl_stats_gastwirth_from_sorted_data(sorted, 1, (size_t)n) : 0;
    expect_close(full, number(engine, full, args, 1), expected, 1e-14, rounding(x, n));
    free(sorted);
}
static void gastwirth_from_sorted_data(int engine, const char *full) {
    each_data(engine, full, gastwirth_of, 0);
}

static void spearman_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    Arg args[] = {X, Y};
    double *work = random_doubles(2 * n);
    expect_exactly(full, number(engine, full, args, 2), gsl_stats_spearman(x, 1, y, 1, (size_t)n, work));
    free(work);
}
static void spearman(int engine, const char *full) {
    double nan[] = {1, NAN, 2}, some[] = {1, 2, 3};
    Arg bad[] = {VEC("f64", nan, 3), VEC("f64", some, 3)},
        none[] = {VEC("f64", NULL, 0), VEC("f64", NULL, 0)},
        uneven[] = {VEC("f64", some, 3), VEC("f64", some, 2)};
    expect_failure(engine, full, bad, 2, "a NaN");
    expect_failure(engine, full, none, 2, "no elements");
    expect_failure(engine, full, uneven, 2, "vectors of two lengths");
    each_data(engine, full, spearman_of, 1);
}

/* Differences that overflow are refused, where the library's search may not end. */
static void scale_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    double *sorted = sorted_copy(x, n), *work = random_doubles(3 * n), expected = 0;
    int *numbers = malloc((size_t)(5 * n) * sizeof *numbers);
    Arg args[] = {VEC("f64", sorted, n)};
    bool unscaled = strchr(full, '0'), quartile = strstr(full, "Qn");
    if (!isfinite(sorted[n - 1] - sorted[0])) {
        expect_failure(engine, full, args, 1, "a difference that overflows");
    } else {
        if (quartile)
            expected = (unscaled ? gsl_stats_Qn0_from_sorted_data
                                 : gsl_stats_Qn_from_sorted_data)(sorted, 1, (size_t)n, work, numbers);
        else
            expected = (unscaled ? gsl_stats_Sn0_from_sorted_data
                                 : gsl_stats_Sn_from_sorted_data)(sorted, 1, (size_t)n, work);
        expect_exactly(full, number(engine, full, args, 1), expected);
    }
    free(sorted), free(work), free(numbers);
}
static void scale_row(int engine, const char *full) {
    double falling[] = {2, 1, 3}, nan[] = {1, NAN, 3};
    Arg down[] = {VEC("f64", falling, 3)}, bad[] = {VEC("f64", nan, 3)};
    expect_failure(engine, full, down, 1, "data that are not sorted");
    expect_failure(engine, full, bad, 1, "a NaN");
    expect_empty_fails(engine, full);
    each_data(engine, full, scale_of, 1);
}

static void mad_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    double *work = random_doubles(n);
    bool scaled = !strstr(full, "mad0");
    double expected = scaled ? gsl_stats_mad(x, 1, (size_t)n, work) : gsl_stats_mad0(x, 1, (size_t)n, work);
    Arg args[] = {X};
    expect_close(full, number(engine, full, args, 1), expected, 1e-14, rounding(x, n));
    free(work);
}
static void mad(int engine, const char *full) {
    each_data(engine, full, mad_of, 0);
}
