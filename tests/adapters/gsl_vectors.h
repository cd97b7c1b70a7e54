/* gsl_vectors.h: tests of the statistics and operations of vectors, over data with all that is odd in it, against the
 * library called directly. */

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
/* The library reads an element that is not there. */
static void lag1_autocorrelation_row(int engine, const char *full) {
    Arg none[] = {VEC("f64", NULL, 0)};
    expect_near(full, number(engine, full, none, 1), NAN, 0);
    lag1_autocorrelation(engine, full);
}

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
        each_data_and_special(engine, full, name##_of, 0);                                               \
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
    double got = number(engine, full, args, 2),
           expected = n ? lag1_given(x, 1, (size_t)n, 0.25) : NAN; /* it reads x[0] */
    if (isfinite(square) && !loses_infinity(x, n, expected)) expect_close(full, got, expected, 1e-9, 1e-9);
}
static void lag1_autocorrelation_m(int engine, const char *full) {
    each_data_and_special(engine, full, lag1_autocorrelation_m_of, 0);
}

#define GIVEN_TWO(name, function)                                                                      \
    static void name##_of(int engine, const char *full, const double *x, const double *y, int64_t n) { \
        (void)y;                                                                                       \
        double m = n ? x[n / 2] : 0.5, sd = fmax(greatest(x, n), 0.25);                                \
        Arg args[] = {X, F64(m), F64(sd)};                                                             \
        double got = number(engine, full, args, 3), expected = function(x, 1, (size_t)n, m, sd);       \
        if (!loses_infinity(x, n, expected)) expect_close(full, got, expected, 1e-11, 1e-13);          \
    }                                                                                                  \
    static void name(int engine, const char *full) {                                                   \
        each_data_and_special(engine, full, name##_of, 0);                                             \
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
        each_data_and_special(engine, full, name##_of, least);                                         \
    }
TWO(covariance, gsl_stats_covariance(x, 1, y, 1, (size_t)n), 1e-9, most, 0)
TWO(pvariance, gsl_stats_pvariance(x, 1, (size_t)n, y, 1, (size_t)n), 1e-9, 0, 0)
TWO(ttest, gsl_stats_ttest(x, 1, (size_t)n, y, 1, (size_t)n), 1e-9, 1e-9, 0)

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
    each_data_and_special(engine, full, correlation_of, 0);
}

static void covariance_m_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    Arg args[] = {X, Y, F64(0.5), F64(-0.25)};
    double expected = gsl_stats_covariance_m(x, 1, y, 1, (size_t)n, 0.5, -0.25);
    double got = number(engine, full, args, 4);
    if (!loses_infinity(x, n, expected)) expect_close(full, got, expected, 1e-11, 1e-13 * greatest(x, n));
}
static void covariance_m(int engine, const char *full) {
    each_data_and_special(engine, full, covariance_m_of, 0);
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
        double expected = call;                                                                        \
        if (has_weights(x, w, n) && !loses_infinity(x, n, expected))                                   \
            expect_close(full, got, expected, 1e-9, power == 1 ? unit : unit * unit * 100);            \
    }                                                                                                  \
    static void name(int engine, const char *full) {                                                   \
        each_data_and_special(engine, full, name##_of, 0);                                             \
    }
WEIGHTED(wmean, gsl_stats_wmean(w, 1, x, 1, (size_t)n), 1)
WEIGHTED(wvariance, gsl_stats_wvariance(w, 1, x, 1, (size_t)n), 2)
WEIGHTED(wvariance_m, gsl_stats_wvariance_m(w, 1, x, 1, (size_t)n, 0.5), 2)
WEIGHTED(wsd, gsl_stats_wsd(w, 1, x, 1, (size_t)n), 1)
#define WEIGHTED_OF(name, power) WEIGHTED(name, gsl_stats_##name(w, 1, x, 1, (size_t)n), power)
#define WEIGHTED_GIVEN(name, power) WEIGHTED(name, gsl_stats_##name(w, 1, x, 1, (size_t)n, 0.5), power)
WEIGHTED_GIVEN(wsd_m, 1)
WEIGHTED_GIVEN(wvariance_with_fixed_mean, 2)
WEIGHTED_GIVEN(wsd_with_fixed_mean, 1)
WEIGHTED_GIVEN(wtss_m, 2)
WEIGHTED_GIVEN(wabsdev_m, 1)
WEIGHTED_OF(wtss, 2)
WEIGHTED_OF(wabsdev, 1)

/* Equal elements have a deviation of rounding errors only, whose powers say nothing. */
#define WEIGHTED_SHAPE(name)                                                                              \
    static void name##_of(int engine, const char *full, const double *x, const double *w, int64_t n) {    \
        double sd = fmax(greatest(x, n), 0.25);                                                           \
        Arg given[] = {VEC("f64", w, n), X, F64(0.5), F64(sd)};                                           \
        double got = number(engine, full, given, 4);                                                      \
        double expected = gsl_stats_##name##_m_sd(w, 1, x, 1, (size_t)n, 0.5, sd);                        \
        if (has_weights(x, w, n) && !loses_infinity(x, n, expected))                                      \
            expect_close(full, got, expected, 1e-9, 1e-9);                                                \
    }                                                                                                     \
    static void name##_m_sd(int engine, const char *full) {                                               \
        each_data_and_special(engine, full, name##_of, 0);                                                \
    }                                                                                                     \
    static void name##_alone(int engine, const char *full, const double *x, const double *w, int64_t n) { \
        Arg args[] = {VEC("f64", w, n), X};                                                               \
        double got = number(engine, full, args, 2), wsd = gsl_stats_wsd(w, 1, x, 1, (size_t)n);           \
        double expected = gsl_stats_##name(w, 1, x, 1, (size_t)n);                                        \
        if (has_weights(x, w, n) && wsd > 1e-9 * greatest(x, n) && !loses_infinity(x, n, expected))       \
            expect_close(full, got, expected, 1e-6, 1e-6);                                                \
    }                                                                                                     \
    static void name(int engine, const char *full) {                                                      \
        each_data_and_special(engine, full, name##_alone, 0);                                             \
    }
WEIGHTED_SHAPE(wskew)
WEIGHTED_SHAPE(wkurtosis)

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
static void minmax_index_of(int engine, const char *full, const double *x, const double *y, int64_t n) {
    (void)y;
    Arg args[] = {X};
    size_t least, most;
    gsl_stats_minmax_index(&least, &most, x, 1, (size_t)n);
    weld_value_t value = call(engine, full, args, 1);
    const int64_t *got = weld_value_data(value);
    cr_expect(got[0] == (int64_t)least && got[1] == (int64_t)most, "%s: %ld %ld instead of %ld %ld", full,
              (long)got[0], (long)got[1], (long)least, (long)most);
    weld_value_free(value);
}
static void minmax_index(int engine, const char *full) {
    expect_empty_fails(engine, full);
    each_data_and_special(engine, full, minmax_index_of, 1);
}
static void minmax(int engine, const char *full) {
    expect_empty_fails(engine, full);
    each_data_and_special(engine, full, minmax_of, 1);
}

static void expect_doubles(int engine, const char *full, const Arg *args, int64_t count,
                           const double *expected, int64_t n, double relative) {
    weld_value_t value = call(engine, full, args, count);
    expect_vector(full, weld_value_data(value), expected, n, relative);
    weld_value_free(value);
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
        each_data_and_special(engine, full, name##_of, 0);                                             \
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
    each_data_and_special(engine, full, vector_axpby_of, 0);
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
    each_data_and_special(engine, full, vector_sum_of, 0);
}

#define SIGNS(name)                                                                    \
    static void name(int engine, const char *full) {                                   \
        static const double some[][3] = {{0, 0, 0},   {-0.0, 0, 0}, {1, 2, 3},         \
                                         {1, 0, 3},   {-1, -2, -3}, {-1, 0, 1},        \
                                         {NAN, 1, 1}, {NAN, -1, 0}, {INFINITY, 1, 1}}; \
        for (int k = 0; k < 4 * COUNT(some); k++) {                                    \
            int64_t n = 3 - k % 4;                                                     \
            gsl_vector *a = vector_of(some[k / 4], n);                                 \
            Arg args[] = {VEC("f64", some[k / 4], n)};                                 \
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
