/* gsl.c: every function of the adapter gsl against the library called directly. What is called by value is tested in
 * gsl_special.h.
 *
 * The library adds in long double in order, compiled code in double in any order: they agree to rounding. */
#include "adapter.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_histogram.h>
#include <gsl/gsl_interp.h>
#include <gsl/gsl_poly.h>
#include <gsl/gsl_randist.h>
#include <gsl/gsl_sf.h>
#include <gsl/gsl_sort.h>
#include <gsl/gsl_statistics.h>
#include <gsl/gsl_vector.h>
#include <signal.h>

static int handled, last_error; /* calls of the handler that a program set itself */

static void count_error(const char *reason, const char *file, int line, int code) {
    (void)reason, (void)file, (void)line;
    handled++;
    last_error = code;
}

#include "gsl_special.h"

/* ---- data ---- */

typedef void Check(int engine, const char *full, const double *x, const double *y, int64_t n);

static void fill(double *x, int64_t n, int kind) {
    for (int64_t i = 0; i < n; i++) {
        double r = random_number();
        switch (kind) {
        case 0: x[i] = r; break;
        case 1: x[i] = 1e6 + r; break;
        case 2: x[i] = 0.1; break;          /* all equal */
        case 3: x[i] = 8e307 * r; break;    /* sums overflow */
        case 4: x[i] = floor(4 * r); break; /* many equal */
        default: x[i] = 1e160 * r;          /* squares overflow */
        }
    }
}

enum { KINDS = 6 };

/* Pairs of vectors of many lengths and kinds. */
static void each_data(int engine, const char *full, Check *check, int64_t least) {
    static const int64_t sizes[] = {0, 1, 2, 3, 4, 5, 8, 15, 16, 17, 33, 64, 99, 100, 1000, 20011};
    for (int64_t k = 0; k < COUNT(sizes); k++) {
        for (int kind = 0; kind < KINDS; kind++) {
            int64_t n = sizes[k];
            if (n < least) continue;
            double *x = random_doubles(n), *y = random_doubles(n);
            fill(x, n, kind);
            check(engine, full, x, y, n);
            free(x);
            free(y);
        }
    }
}

/* As above, and with NaN and infinities. */
static void each_data_and_special(int engine, const char *full, Check *check, int64_t least) {
    static const double special[] = {NAN, INFINITY, -INFINITY};
    each_data(engine, full, check, least);
    for (int k = 0; k < 12; k++) {
        int64_t n = 1 + random_below(30);
        double *x = random_doubles(n), *y = random_doubles(n);
        x[random_below(n)] = special[k % 3];
        x[random_below(n)] = special[k / 3 % 3];
        check(engine, full, x, y, n);
        free(x);
        free(y);
    }
}

static double greatest(const double *x, int64_t n) {
    double most = 0;
    for (int64_t i = 0; i < n; i++) most = isfinite(x[i]) ? fmax(most, fabs(x[i])) : most;
    return most;
}

static double number(int engine, const char *full, const Arg *args, int64_t count) {
    weld_value_t value = call(engine, full, args, count);
    double result = *(const double *)weld_value_data(value);
    weld_value_free(value);
    return result;
}

/* What is allowed between two ways to round: parts of the answer, and of the data to a power. */
static void expect_close(const char *what, double got, double expected, double relative, double unit) {
    double allowed = relative * fabs(expected) + unit;
    expect_near(what, got, expected, isfinite(allowed) ? allowed : fabs(expected) * relative);
}

static double rounding(const double *x, int64_t n) {
    return 2.3e-16 * 8 * greatest(x, n);
}

/* The library's recurrences lose an infinity, which the sums here keep: then its NaN says nothing. */
static bool loses_infinity(const double *x, int64_t n, double expected) {
    for (int64_t i = 0; isnan(expected) && i < n; i++) {
        if (isinf(x[i])) return true;
    }
    return false;
}

/* ---- statistics of one vector ---- */

#define X VEC("f64", x, n)
#define Y VEC("f64", y, n)
/* power: how the answer grows with the data; 0: it does not */
#define ONE(name, power, least)                                                                        \
    static void name##_of(int engine, const char *full, const double *x, const double *y, int64_t n) { \
        (void)y;                                                                                       \
        Arg args[] = {X};                                                                              \
        double got = number(engine, full, args, 1), expected = gsl_stats_##name(x, 1, (size_t)n);      \
        double unit = rounding(x, n);                                                                  \
        if (!loses_infinity(x, n, expected))                                                           \
            expect_close(full, got, expected, power == 0 ? 1e-8 : 1e-9,                                \
                         power == 0   ? 1e-8                                                           \
                         : power == 1 ? unit                                                           \
                                      : unit * unit * (double)n);                                      \
    }                                                                                                  \
    static void name(int engine, const char *full) {                                                   \
        each_data_and_special(engine, full, name##_of, least);                                         \
    }
#define COPIED(function)                                  \
    __extension__({                                       \
        double *copy = random_doubles(n);                 \
        if (n) memcpy(copy, x, (size_t)n * sizeof *copy); \
        double answer = function(copy, 1, (size_t)n);     \
        free(copy);                                       \
        answer;                                           \
    })
ONE(mean, 1, 0)
ONE(variance, 2, 0)
ONE(sd, 1, 0)
ONE(tss, 2, 0)
ONE(absdev, 1, 0)
ONE(skew, 0, 0)
ONE(kurtosis, 0, 0)
ONE(lag1_autocorrelation, 0, 1)

/* Given a mean, and for some a standard deviation. */
#define GIVEN(name, power)                                                                               \
    static void name##_of(int engine, const char *full, const double *x, const double *y, int64_t n) {   \
        (void)y;                                                                                         \
        double unit = rounding(x, n);                                                                    \
        for (double m = -0.5; m < 1; m += 1) {                                                           \
            Arg args[] = {X, F64(m)};                                                                    \
            double got = number(engine, full, args, 2), expected = gsl_stats_##name(x, 1, (size_t)n, m); \
            if (!loses_infinity(x, n, expected))                                                         \
                expect_close(full, got, expected, 1e-11, power == 1 ? unit : unit * unit);               \
        }                                                                                                \
    }                                                                                                    \
    static void name(int engine, const char *full) {                                                     \
        each_data_and_special(engine, full, name##_of, 1);                                               \
    }
GIVEN(variance_m, 2)
GIVEN(sd_m, 1)
GIVEN(variance_with_fixed_mean, 2)
GIVEN(sd_with_fixed_mean, 1)
GIVEN(tss_m, 2)
GIVEN(absdev_m, 1)

static double lag1_given(const double *x, size_t stride, size_t n, double m) {
    return gsl_stats_lag1_autocorrelation_m(x, stride, n, m);
}
static void lag1_autocorrelation_m_of(int engine, const char *full, const double *x, const double *y,
                                      int64_t n) {
    (void)y;
    Arg args[] = {X, F64(0.25)};
    double square = greatest(x, n) * greatest(x, n) * (double)n;
    if (isfinite(square))
        expect_close(full, number(engine, full, args, 2), lag1_given(x, 1, (size_t)n, 0.25), 1e-9, 1e-9);
}
static void lag1_autocorrelation_m(int engine, const char *full) {
    each_data(engine, full, lag1_autocorrelation_m_of, 1);
}

#define GIVEN_TWO(name, function)                                                                          \
    static void name##_of(int engine, const char *full, const double *x, const double *y, int64_t n) {     \
        (void)y;                                                                                           \
        double m = n ? x[n / 2] : 0.5, sd = fmax(greatest(x, n), 0.25);                                    \
        Arg args[] = {X, F64(m), F64(sd)};                                                                 \
        expect_close(full, number(engine, full, args, 3), function(x, 1, (size_t)n, m, sd), 1e-11, 1e-13); \
    }                                                                                                      \
    static void name(int engine, const char *full) {                                                       \
        each_data(engine, full, name##_of, 0);                                                             \
    }
GIVEN_TWO(skew_m_sd, gsl_stats_skew_m_sd)
GIVEN_TWO(kurtosis_m_sd, gsl_stats_kurtosis_m_sd)

/* ---- statistics of two vectors ---- */

#define TWO(name, expected, relative, unit, least)                                                     \
    static void name##_of(int engine, const char *full, const double *x, const double *y, int64_t n) { \
        Arg args[] = {X, Y};                                                                           \
        double most = greatest(x, n) * 1e-13;                                                          \
        (void)most;                                                                                    \
        expect_close(full, number(engine, full, args, 2), expected, relative, unit);                   \
    }                                                                                                  \
    static void name(int engine, const char *full) {                                                   \
        each_data(engine, full, name##_of, least);                                                     \
    }
TWO(covariance, gsl_stats_covariance(x, 1, y, 1, (size_t)n), 1e-9, most, 0)
TWO(pvariance, gsl_stats_pvariance(x, 1, (size_t)n, y, 1, (size_t)n), 1e-9, 0, 1)
TWO(ttest, gsl_stats_ttest(x, 1, (size_t)n, y, 1, (size_t)n), 1e-9, 1e-9, 1)

/* Where the library's squares overflow, it is asked for the same of smaller numbers. */
static void correlation_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    Arg args[] = {X, Y};
    double *small = random_doubles(n), factor = greatest(x, n) > 1e150 ? 0x1p-700 : 1;
    for (int64_t i = 0; i < n; i++) small[i] = x[i] * factor;
    double expected = gsl_stats_correlation(small, 1, y, 1, (size_t)n);
    expect_close(full, number(engine, full, args, 2), expected, 1e-8, 1e-9);
    free(small);
}
static void correlation(int engine, const char *full) {
    each_data(engine, full, correlation_of, 1);
}

static void covariance_m_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    Arg args[] = {X, Y, F64(0.5), F64(-0.25)};
    double expected = gsl_stats_covariance_m(x, 1, y, 1, (size_t)n, 0.5, -0.25);
    expect_close(full, number(engine, full, args, 4), expected, 1e-11, 1e-13 * greatest(x, n));
}
static void covariance_m(int engine, const char *full) {
    each_data(engine, full, covariance_m_of, 1);
}

/* By weights, some of them 0 or negative. The variance is defined for two positive ones; products may overflow. */
static bool has_weights(const double *x, const double *w, int64_t n) {
    int64_t positive = 0;
    for (int64_t i = 0; i < n; i++) positive += w[i] > 0;
    return positive >= 2 && greatest(x, n) < 1e150;
}

#define WEIGHTED(name, call, power)                                                                    \
    static void name##_of(int engine, const char *full, const double *x, const double *w, int64_t n) { \
        Arg args[] = {VEC("f64", w, n), X, F64(0.5)};                                                  \
        double unit = rounding(x, n), got = number(engine, full, args, strstr(full, "_m") ? 3 : 2);    \
        if (has_weights(x, w, n))                                                                      \
            expect_close(full, got, call, 1e-9, power == 1 ? unit : unit * unit * 100);                \
    }                                                                                                  \
    static void name(int engine, const char *full) {                                                   \
        each_data(engine, full, name##_of, 1);                                                         \
    }
WEIGHTED(wmean, gsl_stats_wmean(w, 1, x, 1, (size_t)n), 1)
WEIGHTED(wvariance, gsl_stats_wvariance(w, 1, x, 1, (size_t)n), 2)
WEIGHTED(wvariance_m, gsl_stats_wvariance_m(w, 1, x, 1, (size_t)n, 0.5), 2)
WEIGHTED(wsd, gsl_stats_wsd(w, 1, x, 1, (size_t)n), 1)

/* ---- least and greatest ---- */

static void expect_exactly(const char *full, double got, double expected) {
    expect_near(full, got, expected, 0);
}

static void expect_empty_fails(int engine, const char *full) {
    Arg args[] = {VEC("f64", NULL, 0)};
    expect_failure(engine, full, args, 1, "an empty vector");
}

#define EXTREME(name)                                                                                        \
    static void name##_of(int engine, const char *full, const double *x, const double *y, int64_t n) {       \
        (void)y;                                                                                             \
        Arg args[] = {X};                                                                                    \
        expect_exactly(full, number(engine, full, args, 1), gsl_stats_##name(x, 1, (size_t)n));              \
    }                                                                                                        \
    static void name##_row(int engine, const char *full) {                                                   \
        expect_empty_fails(engine, full);                                                                    \
        each_data_and_special(engine, full, name##_of, 1);                                                   \
    }                                                                                                        \
    static void name##_index_of(int engine, const char *full, const double *x, const double *y, int64_t n) { \
        (void)y;                                                                                             \
        Arg args[] = {X};                                                                                    \
        weld_value_t value = call(engine, full, args, 1);                                                    \
        int64_t got = *(const int64_t *)weld_value_data(value);                                              \
        size_t expected = gsl_stats_##name##_index(x, 1, (size_t)n);                                         \
        cr_expect(got == (int64_t)expected, "%s: %ld instead of %ld", full, (long)got, (long)expected);      \
        weld_value_free(value);                                                                              \
    }                                                                                                        \
    static void name##_index(int engine, const char *full) {                                                 \
        expect_empty_fails(engine, full);                                                                    \
        each_data_and_special(engine, full, name##_index_of, 1);                                             \
    }
EXTREME(min)
EXTREME(max)

static void minmax_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    Arg args[] = {X};
    double least, most;
    gsl_stats_minmax(&least, &most, x, 1, (size_t)n);
    weld_value_t value = call(engine, full, args, 1);
    const double *got = weld_value_data(value);
    expect_exactly(full, got[0], least);
    expect_exactly(full, got[1], most);
    weld_value_free(value);
}
static void minmax(int engine, const char *full) {
    expect_empty_fails(engine, full);
    each_data_and_special(engine, full, minmax_of, 1);
}

/* ---- sorting ---- */

static double *sorted_copy(const double *x, int64_t n) {
    double *copy = random_doubles(n);
    for (int64_t i = 0; i < n; i++) copy[i] = x[i];
    gsl_sort(copy, 1, (size_t)n);
    return copy;
}

static void expect_doubles(int engine, const char *full, const Arg *args, int64_t count,
                           const double *expected, int64_t n, double relative) {
    weld_value_t value = call(engine, full, args, count);
    expect_vector(full, weld_value_data(value), expected, n, relative);
    weld_value_free(value);
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
        double expected = gsl_stats_trmean_from_sorted_data(trim, sorted, 1, (size_t)n);
        expect_close(full, number(engine, full, args, 2), expected, 1e-12, rounding(x, n));
    }
    free(sorted);
}
static void trmean(int engine, const char *full) {
    each_data(engine, full, trmean_of, 1);
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
    each_data(engine, full, mad_of, 1);
}

/* ---- vectors ---- */

static gsl_vector *vector_of(const double *x, int64_t n) {
    gsl_vector *v = gsl_vector_alloc((size_t)n);
    for (int64_t i = 0; i < n; i++) gsl_vector_set(v, (size_t)i, x[i]);
    return v;
}

#define OF_VECTORS(name, first, count, ...)                                                            \
    static void name##_of(int engine, const char *full, const double *x, const double *y, int64_t n) { \
        gsl_vector *a = vector_of(first, n), *c = vector_of(first == x ? y : x, n);                    \
        Arg args[] = {__VA_ARGS__};                                                                    \
        call_##name(a, c);                                                                             \
        expect_doubles(engine, full, args, count, a->data, n, 4e-16);                                  \
        gsl_vector_free(a);                                                                            \
        gsl_vector_free(c);                                                                            \
    }                                                                                                  \
    static void name(int engine, const char *full) {                                                   \
        each_data_and_special(engine, full, name##_of, 1);                                             \
    }
#define call_vector_add gsl_vector_add
#define call_vector_sub gsl_vector_sub
#define call_vector_mul gsl_vector_mul
#define call_vector_div gsl_vector_div
#define call_vector_scale(a, c) gsl_vector_scale(a, -2.5)
#define call_vector_add_constant(a, c) gsl_vector_add_constant(a, -2.5)
#define call_vector_reverse(a, c) gsl_vector_reverse(a)
OF_VECTORS(vector_add, x, 2, X, Y)
OF_VECTORS(vector_sub, x, 2, X, Y)
OF_VECTORS(vector_mul, x, 2, X, Y)
OF_VECTORS(vector_div, x, 2, X, Y)
OF_VECTORS(vector_scale, x, 2, X, F64(-2.5))
OF_VECTORS(vector_add_constant, x, 2, X, F64(-2.5))
OF_VECTORS(vector_reverse, x, 1, X)

static void vector_axpby_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    for (double beta = 0; beta < 2; beta += 0.5) {
        gsl_vector *a = vector_of(x, n), *c = vector_of(y, n);
        gsl_vector_axpby(1.5, a, beta, c);
        Arg args[] = {F64(1.5), X, F64(beta), Y};
        weld_value_t value = call(engine, full, args, 4);
        expect_vector_of(full, weld_value_data(value), c->data, n, false, 1e-15, 2);
        weld_value_free(value);
        gsl_vector_free(a);
        gsl_vector_free(c);
    }
}
static void vector_axpby(int engine, const char *full) {
    each_data_and_special(engine, full, vector_axpby_of, 1);
}

static void vector_sum_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    if (greatest(x, n) > 1e300) return; /* may overflow in one order, and not in another */
    gsl_vector *a = vector_of(x, n);
    Arg args[] = {X};
    expect_close(full, number(engine, full, args, 1), gsl_vector_sum(a), 1e-12, rounding(x, n) * (double)n);
    gsl_vector_free(a);
}
static void vector_sum(int engine, const char *full) {
    each_data_and_special(engine, full, vector_sum_of, 1);
}

#define SIGNS(name)                                                                    \
    static void name(int engine, const char *full) {                                   \
        static const double some[][3] = {{0, 0, 0},   {-0.0, 0, 0}, {1, 2, 3},         \
                                         {1, 0, 3},   {-1, -2, -3}, {-1, 0, 1},        \
                                         {NAN, 1, 1}, {NAN, -1, 0}, {INFINITY, 1, 1}}; \
        for (int k = 0; k < COUNT(some); k++) {                                        \
            gsl_vector *a = vector_of(some[k], 3);                                     \
            Arg args[] = {VEC("f64", some[k], 3)};                                     \
            weld_value_t value = call(engine, full, args, 1);                          \
            bool got = *(const bool *)weld_value_data(value);                          \
            cr_expect(got == (gsl_##name(a) != 0), "%s of case %d", full, k);          \
            weld_value_free(value);                                                    \
            gsl_vector_free(a);                                                        \
        }                                                                              \
    }
SIGNS(vector_isnull)
SIGNS(vector_ispos)
SIGNS(vector_isneg)
SIGNS(vector_isnonneg)

/* ---- histograms ---- */

/* Random elements, the limits themselves and their neighbours, some outside, NaN and infinities. */
static int64_t around(double *x, int64_t room, const gsl_histogram *h, int64_t bins) {
    int64_t n = 0;
    double low = h->range[0], high = h->range[bins];
    while (n < room / 2) x[n++] = low + (high - low) * (0.5 + 0.6 * random_number());
    while (n < room - 4) {
        double limit = h->range[random_below(bins + 1)];
        x[n++] = limit;
        x[n++] = nextafter(limit, -INFINITY);
        x[n++] = nextafter(limit, INFINITY);
    }
    x[n++] = NAN;
    x[n++] = INFINITY;
    return n;
}

static void count_all(gsl_histogram *h, const double *x, const double *w, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (!isnan(x[i])) gsl_histogram_accumulate(h, x[i], w ? w[i] : 1);
    }
}

static const struct Bins {
    int64_t n;
    double low, high;
} some_bins[] = {{1, 0, 1},        {3, 0, 1},           {10, -1, 1},
                 {100, 0, 0.3},    {7, 1e15, 1e15 + 7}, {50, -1e-300, 3e-300},
                 {1000, -10, 1000}};
enum { SOME_BINS = 7, ELEMENTS = 400 };

static void histogram_of(int engine, const char *full, const struct Bins *b, bool weighted) {
    double x[ELEMENTS], w[ELEMENTS];
    gsl_histogram *h = gsl_histogram_alloc((size_t)b->n);
    gsl_histogram_set_ranges_uniform(h, b->low, b->high);
    int64_t n = around(x, ELEMENTS, h, b->n);
    for (int64_t i = 0; i < n; i++) w[i] = random_number();
    count_all(h, x, weighted ? w : NULL, n);
    Arg args[] = {X, I64(b->n), F64(b->low), F64(b->high)};
    Arg with[] = {X, VEC("f64", w, n), I64(b->n), F64(b->low), F64(b->high)};
    weld_value_t value = weighted ? call(engine, full, with, 5) : call(engine, full, args, 4);
    expect_vector_of(full, weld_value_data(value), h->bin, b->n, false, 1e-13, 1);
    weld_value_free(value);
    gsl_histogram_free(h);
}

static void histogram(int engine, const char *full) {
    for (int k = 0; k < SOME_BINS; k++) histogram_of(engine, full, &some_bins[k], false);
    double x[] = {1};
    static const struct Bins bad[] = {{0, 0, 1}, {-1, 0, 1}, {3, 1, 1}, {3, 2, 1}, {3, NAN, 1}};
    for (int k = 0; k < COUNT(bad); k++) {
        Arg args[] = {VEC("f64", x, 1), I64(bad[k].n), F64(bad[k].low), F64(bad[k].high)};
        expect_failure(engine, full, args, 4, "no bins");
    }
}
static void histogram_accumulate(int engine, const char *full) {
    for (int k = 0; k < SOME_BINS; k++) histogram_of(engine, full, &some_bins[k], true);
}

static void histogram_uniform_ranges(int engine, const char *full) {
    for (int k = 0; k < SOME_BINS; k++) {
        const struct Bins *b = &some_bins[k];
        gsl_histogram *h = gsl_histogram_alloc((size_t)b->n);
        gsl_histogram_set_ranges_uniform(h, b->low, b->high);
        Arg args[] = {I64(b->n), F64(b->low), F64(b->high)};
        expect_doubles(engine, full, args, 3, h->range, b->n + 1, 0);
        gsl_histogram_free(h);
    }
}

/* A histogram of bins of random widths. */
static gsl_histogram *uneven(int64_t bins) {
    double ranges[64];
    ranges[0] = random_number();
    for (int64_t i = 0; i < bins; i++) ranges[i + 1] = ranges[i] + 1e-3 + fabs(random_number());
    gsl_histogram *h = gsl_histogram_alloc((size_t)bins);
    gsl_histogram_set_ranges(h, ranges, (size_t)bins + 1);
    return h;
}

static void histogram_ranges(int engine, const char *full) {
    for (int64_t bins = 1; bins < 60; bins += 7) {
        gsl_histogram *h = uneven(bins);
        double x[ELEMENTS];
        int64_t n = around(x, ELEMENTS, h, bins);
        count_all(h, x, NULL, n);
        Arg args[] = {X, VEC("f64", h->range, bins + 1)};
        expect_doubles(engine, full, args, 2, h->bin, bins, 0);
        gsl_histogram_free(h);
    }
    double one[] = {1, 2, 2}, falling[] = {2, 1};
    Arg none[] = {VEC("f64", one, 1), VEC("f64", one, 0)},
        single[] = {VEC("f64", one, 1), VEC("f64", one, 1)};
    Arg down[] = {VEC("f64", one, 1), VEC("f64", falling, 2)},
        equal[] = {VEC("f64", one, 1), VEC("f64", one, 3)};
    expect_failure(engine, full, none, 2, "no limits");
    expect_failure(engine, full, single, 2, "one limit");
    expect_failure(engine, full, down, 2, "falling limits");
    expect_failure(engine, full, equal, 2, "equal limits");
}

#define OF_HISTOGRAM(name, count)                                                               \
    static void name(int engine, const char *full) {                                            \
        for (int64_t bins = 1; bins < 60; bins += 7) {                                          \
            gsl_histogram *h = uneven(bins);                                                    \
            for (int64_t i = 0; i < bins; i++) h->bin[i] = 100 * random_number();               \
            if (bins == 8) gsl_histogram_reset(h);                                              \
            Arg args[] = {VEC("f64", h->bin, bins), VEC("f64", h->range, bins + 1)};            \
            expect_close(full, number(engine, full, args, count), gsl_##name(h), 1e-12, 1e-12); \
            gsl_histogram_free(h);                                                              \
        }                                                                                       \
    }
OF_HISTOGRAM(histogram_sum, 1)
OF_HISTOGRAM(histogram_mean, 2)
OF_HISTOGRAM(histogram_sigma, 2)

/* ---- curves ---- */

typedef int Evaluate(const gsl_interp *, const double *, const double *, double, gsl_interp_accel *,
                     double *);

static int integral(const gsl_interp *interp, const double *xa, const double *ya, double x,
                    gsl_interp_accel *near, double *y) {
    return gsl_interp_eval_integ_e(interp, xa, ya, xa[0], x, near, y);
}

static void curve_of(int engine, const char *full, const gsl_interp_type *type, Evaluate *evaluate,
                     int64_t n) {
    enum { AT = 50 };
    double xa[64], ya[64], x[AT], expected[AT];
    for (int64_t i = 0; i < n; i++) {
        xa[i] = (i ? xa[i - 1] : 0) + 0.01 + fabs(random_number());
        ya[i] = random_number();
    }
    ya[n - 1] = ya[0]; /* for the periodic ones */
    for (int i = 0; i < AT; i++) x[i] = xa[0] + (xa[n - 1] - xa[0]) * (0.5 + 0.55 * random_number());
    x[0] = xa[0], x[1] = xa[n - 1], x[2] = NAN, x[3] = INFINITY, x[4] = xa[n / 2];
    gsl_interp *interp = gsl_interp_alloc(type, (size_t)n);
    bool possible = gsl_interp_init(interp, xa, ya, (size_t)n) == GSL_SUCCESS;
    for (int i = 0; i < AT; i++) {
        expected[i] = NAN;
        if (possible && x[i] >= xa[0] && x[i] <= xa[n - 1])
            evaluate(interp, xa, ya, x[i], NULL, &expected[i]);
    }
    gsl_interp_free(interp);
    Arg args[] = {VEC("f64", xa, n), VEC("f64", ya, n), VEC("f64", x, AT)};
    if (!possible) {
        expect_failure(engine, full, args, 3, "points that the library cannot use");
        return;
    }
    expect_doubles(engine, full, args, 3, expected, AT, 1e-12);
    expect_checked(engine, full, args, 3, 4);
    xa[1] = xa[0];
    expect_failure(engine, full, args, 3, "points that do not rise");
    xa[1] = NAN;
    expect_failure(engine, full, args, 3, "a NaN among the points");
    Arg few[] = {VEC("f64", xa, gsl_interp_type_min_size(type) - 1),
                 VEC("f64", ya, gsl_interp_type_min_size(type) - 1), VEC("f64", x, AT)};
    xa[1] = xa[0] + 0.005;
    expect_failure(engine, full, few, 3, "too few points");
}

static void curve(int engine, const char *full, const gsl_interp_type *type, Evaluate *evaluate) {
    for (int64_t n = gsl_interp_type_min_size(type); n < 12; n += 3)
        curve_of(engine, full, type, evaluate, n);
}

#define INTERP(type, doc)                                                 \
    static void interp_##type(int engine, const char *full) {             \
        curve(engine, full, gsl_interp_##type, gsl_interp_eval_e);        \
    }                                                                     \
    static void interp_##type##_deriv(int engine, const char *full) {     \
        curve(engine, full, gsl_interp_##type, gsl_interp_eval_deriv_e);  \
    }                                                                     \
    static void interp_##type##_deriv2(int engine, const char *full) {    \
        curve(engine, full, gsl_interp_##type, gsl_interp_eval_deriv2_e); \
    }                                                                     \
    static void interp_##type##_integ(int engine, const char *full) {     \
        curve(engine, full, gsl_interp_##type, integral);                 \
    }
#include "../../adapters/gsl/interpolation.def"
#undef INTERP

/* ---- random numbers ---- */

typedef double Draw(const gsl_rng *rng, double a, double b);

static void random_of(int engine, const char *full, int64_t parameters, Draw *draw, double a, double b) {
    static const int64_t seeds[] = {0, 1, 42, -7, INT64_MAX};
    enum { DRAWS = 100 };
    double expected[DRAWS];
    for (int k = 0; k < COUNT(seeds); k++) {
        gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
        gsl_rng_set(rng, (unsigned long)seeds[k]);
        for (int i = 0; i < DRAWS; i++) expected[i] = draw(rng, a, b);
        gsl_rng_free(rng);
        Arg args[] = {I64(seeds[k]), I64(DRAWS), F64(a), F64(b)};
        expect_doubles(engine, full, args, 2 + parameters, expected, DRAWS, 0);
    }
    Arg none[] = {I64(1), I64(0), F64(a), F64(b)}, less[] = {I64(1), I64(-1), F64(a), F64(b)};
    expect_doubles(engine, full, none, 2 + parameters, expected, 0, 0);
    expect_failure(engine, full, less, 2 + parameters, "-1 numbers");
    Arg nan[] = {I64(1), I64(5), F64(NAN), F64(b)}, infinite[] = {I64(1), I64(5), F64(a), F64(INFINITY)};
    if (parameters > 0) expect_failure(engine, full, nan, 2 + parameters, "a NaN");
    if (parameters > 1) expect_failure(engine, full, infinite, 2 + parameters, "an infinity");
    Arg negative[] = {I64(1), I64(5), F64(strstr(full, "flat") ? b + 1 : -1),
                      F64(strstr(full, "lognormal") ? -1 : b)};
    if (parameters > 0)
        expect_failure(engine, full, negative, 2 + parameters, "a parameter outside of its range");
}

static double draw_uniform(const gsl_rng *rng, double a, double b) {
    (void)a, (void)b;
    return gsl_rng_uniform(rng);
}
static void rng_uniform(int engine, const char *full) {
    random_of(engine, full, 0, draw_uniform, 0, 0);
}
#define RANDOM1(name, allowed, doc)                                     \
    static double draw_##name(const gsl_rng *rng, double a, double b) { \
        (void)b;                                                        \
        return (double)gsl_ran_##name(rng, a);                          \
    }                                                                   \
    static void ran_##name(int engine, const char *full) {              \
        random_of(engine, full, 1, draw_##name, 0.75, 0);               \
    }
#define RANDOM2(name, allowed, doc)                                     \
    static double draw_##name(const gsl_rng *rng, double a, double b) { \
        return gsl_ran_##name(rng, a, b);                               \
    }                                                                   \
    static void ran_##name(int engine, const char *full) {              \
        random_of(engine, full, 2, draw_##name, 0.75, 2.5);             \
    }
#include "../../adapters/gsl/random.def"
RANDOM1(poisson, true, "")
RANDOM1(bernoulli, true, "")
#undef RANDOM1
#undef RANDOM2

/* ---- polynomials ---- */

static void poly_eval(int engine, const char *full) {
    Arg none[] = {VEC("f64", NULL, 0), F64(2)};
    expect_exactly(full, number(engine, full, none, 2), 0);
    for (int n = 1; n < 40; n++) {
        double *c = random_doubles(n), x = 1.5 * random_number();
        Arg args[] = {VEC("f64", c, n), F64(x)};
        expect_close(full, number(engine, full, args, 2), gsl_poly_eval(c, n, x), 1e-12, 1e-13);
        free(c);
    }
}

static void solve(int engine, const char *full, bool cubic) {
    static const double some[] = {0, 1, -1, 2, -3, 0.5};
    for (int k = 0; k < 216; k++) {
        double a = some[k % 6], b = some[k / 6 % 6], c = some[k / 36], roots[3];
        int count = cubic ? gsl_poly_solve_cubic(a, b, c, &roots[0], &roots[1], &roots[2])
                          : gsl_poly_solve_quadratic(a, b, c, &roots[0], &roots[1]);
        Arg args[] = {F64(a), F64(b), F64(c)};
        expect_doubles(engine, full, args, 3, roots, count, 0);
    }
    Arg args[] = {F64(1), F64(NAN), F64(1)};
    expect_failure(engine, full, args, 3, "a NaN");
}
static void poly_solve_quadratic(int engine, const char *full) {
    solve(engine, full, false);
}
static void poly_solve_cubic(int engine, const char *full) {
    solve(engine, full, true);
}

static void poly_complex_solve(int engine, const char *full) {
    for (int n = 2; n < 12; n++) {
        double *c = random_doubles(n), roots[24];
        gsl_poly_complex_workspace *work = gsl_poly_complex_workspace_alloc((size_t)n);
        gsl_poly_complex_solve(c, (size_t)n, work, roots);
        gsl_poly_complex_workspace_free(work);
        Arg args[] = {VEC("f64", c, n)};
        weld_value_t value = call(engine, full, args, 1);
        Vector flat = *(const Vector *)weld_value_data(value);
        flat.length *= 2;
        expect_vector(full, &flat, roots, 2 * (n - 1), 0);
        weld_value_free(value);
        c[n - 1] = 0;
        expect_failure(engine, full, args, 1, "no leading coefficient");
        c[n - 1] = NAN;
        expect_failure(engine, full, args, 1, "a NaN");
        free(c);
    }
    Arg none[] = {VEC("f64", NULL, 0)};
    expect_failure(engine, full, none, 1, "no coefficients");
}

/* ---- what the language has itself ---- */

static double direct_erf(const Point *p) {
    return fabs(p->x) > 1e10 ? copysign(1, p->x) : gsl_sf_erf(p->x); /* there the library gives NaN */
}
static double direct_erf_Z(const Point *p) {
    return gsl_sf_erf_Z(p->x);
}
static double direct_log_abs(const Point *p) {
    return gsl_sf_log_abs(p->x);
}

/* Code and the library may round differently, and overflow a little earlier or later. */
static void check_code(int engine, const char *full, Direct *direct) {
    for (int k = 0; k < 300; k++) {
        Point p = {.x = (k % 3 == 0 ? 1 : k % 3 == 1 ? 6 : 30) * random_number()};
        static const double edges[] = {0, -0.0, 1, -1, INFINITY, -INFINITY, NAN, 1e-300, 1e100};
        if (k < COUNT(edges)) p.x = edges[k];
        Arg args[] = {F64(p.x)};
        expect_close(full, number(engine, full, args, 1), direct(&p), 4e-15, 1e-300);
    }
}
#define CODE(name)                                           \
    static void check_##name(int engine, const char *full) { \
        check_code(engine, full, direct_##name);             \
    }
#define CODE_LEGENDRE(name)                       \
    static double direct_##name(const Point *p) { \
        return gsl_sf_##name(p->x);               \
    }                                             \
    CODE(name)
CODE(erf)
CODE(erf_Z)
CODE(log_abs)
CODE_LEGENDRE(legendre_P1)
CODE_LEGENDRE(legendre_P2)
CODE_LEGENDRE(legendre_P3)

/* ---- the table ---- */

/* clang-format off */
#define ROW(name) {#name, name}
static const RowTest tests[] = {
#define SF(shape, name, doc) {"sf_" #name, check_##name},
#include "../../adapters/gsl/special.def"
#define DISTRIBUTION(shape, name, allowed, doc) {#name, check_##name},
#include "../../adapters/gsl/distribution.def"
#define INTERP(type, doc) ROW(interp_##type), ROW(interp_##type##_deriv), ROW(interp_##type##_deriv2), ROW(interp_##type##_integ),
#include "../../adapters/gsl/interpolation.def"
#define RANDOM1(name, allowed, doc) ROW(ran_##name),
#define RANDOM2(name, allowed, doc) ROW(ran_##name),
#include "../../adapters/gsl/random.def"
    ROW(ran_poisson), ROW(ran_bernoulli), ROW(rng_uniform),
    {"sf_erf", check_erf}, {"sf_erf_Z", check_erf_Z}, {"sf_log_abs", check_log_abs},
    {"sf_legendre_P1", check_legendre_P1}, {"sf_legendre_P2", check_legendre_P2}, {"sf_legendre_P3", check_legendre_P3},
    ROW(mean), ROW(variance), ROW(sd), ROW(tss), ROW(absdev), ROW(skew), ROW(kurtosis), ROW(lag1_autocorrelation),
    ROW(variance_m), ROW(sd_m), ROW(variance_with_fixed_mean), ROW(sd_with_fixed_mean), ROW(tss_m), ROW(absdev_m),
    ROW(lag1_autocorrelation_m), ROW(skew_m_sd), ROW(kurtosis_m_sd),
    ROW(covariance), ROW(correlation), ROW(pvariance), ROW(ttest), ROW(covariance_m),
    ROW(wmean), ROW(wvariance), ROW(wvariance_m), ROW(wsd),
    {"min", min_row}, {"max", max_row}, ROW(min_index), ROW(max_index), ROW(minmax),
    {"sort", sort_row}, ROW(sort_index), ROW(sort_smallest), ROW(sort_largest), {"select", select_row},
    ROW(median), {"median_from_sorted_data", median}, ROW(quantile), {"quantile_from_sorted_data", quantile},
    {"trmean_from_sorted_data", trmean}, ROW(mad), {"mad0", mad},
    ROW(vector_add), ROW(vector_sub), ROW(vector_mul), ROW(vector_div), ROW(vector_scale), ROW(vector_add_constant),
    ROW(vector_axpby), ROW(vector_sum), ROW(vector_reverse), ROW(vector_isnull), ROW(vector_ispos), ROW(vector_isneg),
    ROW(vector_isnonneg),
    ROW(histogram), ROW(histogram_accumulate), ROW(histogram_uniform_ranges), ROW(histogram_ranges),
    ROW(histogram_sum), ROW(histogram_mean), ROW(histogram_sigma),
    ROW(poly_eval), ROW(poly_solve_quadratic), ROW(poly_solve_cubic), ROW(poly_complex_solve),
};
/* clang-format on */

Test(gsl, rows) {
    gsl_set_error_handler(count_error);
    check_rows("gsl", tests, COUNT(tests));
}

/* The adapter leaves a program's own calls of GSL to the program's handler. */
Test(gsl, errors_of_the_program_stay_its_own) {
    gsl_set_error_handler(count_error);
    Arg args[] = {F64(-1)};
    for (int engine = 0; engine < ENGINES; engine++)
        cr_expect(isnan(number(engine, "gsl.sf_bessel_K0", args, 1)));
    cr_expect(handled == 0);
    gsl_sf_bessel_K0(-1);
    cr_expect(handled > 0);
}

Test(gsl, errors_end_the_program_by_default, .signal = SIGABRT) {
    Arg args[] = {F64(-1)};
    cr_assert(isnan(number(0, "gsl.sf_bessel_K0", args, 1)));
    gsl_sf_bessel_K0(-1);
}
