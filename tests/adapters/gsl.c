/* gsl.c: every function of the adapter gsl against the library called directly. What is called by value is tested in
 * gsl_special.h, what works on whole vectors in gsl_vectors.h.
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
#include "gsl_vectors.h"

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
#define DISTRIBUTION(shape, name, allowed, doc, vjp) {#name, check_##name},
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
    ROW(wmean), ROW(wvariance), ROW(wvariance_m), ROW(wsd), ROW(wsd_m), ROW(wvariance_with_fixed_mean),
    ROW(wsd_with_fixed_mean), ROW(wtss), ROW(wtss_m), ROW(wabsdev), ROW(wabsdev_m), ROW(wskew), ROW(wskew_m_sd),
    ROW(wkurtosis), ROW(wkurtosis_m_sd), ROW(minmax_index), ROW(gastwirth_from_sorted_data),
    ROW(spearman), {"Sn0_from_sorted_data", scale_row}, {"Sn_from_sorted_data", scale_row},
    {"Qn0_from_sorted_data", scale_row}, {"Qn_from_sorted_data", scale_row},
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
