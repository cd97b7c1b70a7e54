/* gsl.c: every function of the adapter gsl against the library called directly. What is called by value is tested in
 * gsl_special.h, what works on whole vectors in gsl_vectors.h, gsl_sorts.h, gsl_histograms.h and gsl_curves.h.
 *
 * The library adds in long double in order, compiled code in double in any order: they agree to rounding. */
#include "adapter.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_errno.h>
#include <gsl/gsl_histogram.h>
#include <gsl/gsl_histogram2d.h>
#include <gsl/gsl_interp.h>
#include <gsl/gsl_interp2d.h>
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
#include "gsl_sorts.h"
#include "gsl_histograms.h"
#include "gsl_curves.h"

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

/* So wide that squares overflow; numbers that are counted have no such parameter. */
static void wide_random_of(int engine, const char *full, Draw *draw) {
    double expected[5];
    Arg args[] = {I64(3), I64(5), F64(1e200)};
    if (strstr(full, "poisson") || strstr(full, "bernoulli")) {
        expect_failure(engine, full, args, 3, "a parameter that is too large");
        return;
    }
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    gsl_rng_set(rng, 3);
    for (int i = 0; i < 5; i++) expected[i] = draw(rng, 1e200, 0);
    gsl_rng_free(rng);
    expect_doubles(engine, full, args, 3, expected, 5, 0);
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
        wide_random_of(engine, full, draw_##name);                      \
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
        if (n % 5 == 4) c[n / 2] = n % 2 ? NAN : 1e300;
        if (n % 7 == 6) args[1] = (Arg)F64(x = n % 2 ? INFINITY : 1e200);
        expect_close(full, number(engine, full, args, 2), gsl_poly_eval(c, n, x), 1e-12, 1e-13);
        free(c);
    }
}

static void solve(int engine, const char *full, bool cubic) {
    static const double some[] = {0, 1, -1, 2, -3, 0.5, 1e200};
    for (int k = 0; k < 343; k++) {
        double a = some[k % 7], b = some[k / 7 % 7], c = some[k / 49], roots[3];
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
        if (n == 5) c[2] = 1e170; /* whose square overflows */
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
    double one[] = {1};
    Arg none[] = {VEC("f64", NULL, 0)}, single[] = {VEC("f64", one, 1)};
    expect_failure(engine, full, none, 1, "no coefficients");
    expect_doubles(engine, full, single, 1, one, 0, 0);
}

/* ---- special functions of many arguments, or with several results ---- */

static void expect_same(int engine, const char *full, const Arg *args, int64_t count, double expected) {
    double got = number(engine, full, args, count);
    if (last_error && isnan(got)) return; /* after an error the library may leave its result unset */
    cr_expect(is_near(got, expected, 1e-14 * fabs(expected)), "%s: %.17g, but the library gives %.17g", full,
              got, expected);
}

static void coupling_of(int engine, const char *full, int count) {
    int nonzero = 0;
    for (int round = 0; round < 3000; round++) {
        int32_t j[9];
        Arg args[9];
        for (int i = 0; i < count; i++) {
            bool projection = count == 6 && strstr(full, "3j") && i >= 3;
            j[i] = (int32_t)random_below(7) - (projection ? 3 : 0);
            if (projection && i == 5) j[5] = -j[3] - j[4];
            args[i] = (Arg)I32(j[i]);
        }
        last_error = 0;
        double expected = count == 9
                              ? gsl_sf_coupling_9j(j[0], j[1], j[2], j[3], j[4], j[5], j[6], j[7], j[8])
                          : strstr(full, "3j") ? gsl_sf_coupling_3j(j[0], j[1], j[2], j[3], j[4], j[5])
                                               : gsl_sf_coupling_6j(j[0], j[1], j[2], j[3], j[4], j[5]);
        if (round > 300 && expected == 0) continue;
        nonzero += expected != 0;
        if (nonzero > 60) break;
        expect_same(engine, full, args, count, expected);
    }
    cr_expect(nonzero > 5, "%s: %d", full, nonzero);
    static const int32_t edges[] = {-1, INT32_MAX, INT32_MIN, 5000};
    for (int k = 0; k < 4 * count; k++) {
        Arg args[9];
        for (int i = 0; i < count; i++) args[i] = (Arg)I32(i == k / 4 ? edges[k % 4] : 0);
        double got = number(engine, full, args, count);
        cr_expect(isnan(got) || got == 0, "%s of %d", full, edges[k % 4]);
    }
}
static void sf_coupling_3j(int engine, const char *full) {
    coupling_of(engine, full, 6);
}
static void sf_coupling_6j(int engine, const char *full) {
    coupling_of(engine, full, 6);
}
static void sf_coupling_9j(int engine, const char *full) {
    coupling_of(engine, full, 9);
}

/* Orders up to 20, and edges of everything: NaN outside. */
static const double some_numbers[] = {0.5, 2, 11, 300, 0, -0.0, -3, 1e-9, 1000.5, INFINITY, -INFINITY, NAN};
enum { SOME_NUMBERS = 12, SMALL_ONES = 8 };

static bool is_mathieu(int32_t n, double q, double x, bool odd) {
    return n >= odd && n <= 90 && fabs(q) <= 1000 && fabs(x) <= 1000;
}

typedef double OfOrder(int n, double q, double x);

static void mathieu_of(int engine, const char *full, OfOrder *direct, bool odd, int64_t count) {
    static const int32_t orders[] = {0, 1, 2, 7, 20, -1, 91, INT32_MAX, INT32_MIN};
    for (int k = 0; k < COUNT(orders) * SOME_NUMBERS; k++) {
        int32_t n = orders[k / SOME_NUMBERS];
        double q = some_numbers[k % SOME_NUMBERS], x = k % 7 == 6 ? NAN : 3 * random_number();
        Arg args[] = {I32(n), F64(q), F64(x)};
        if (count == 2) x = 0;
        last_error = 0;
        expect_same(engine, full, args, count, is_mathieu(n, q, x, odd) ? direct(n, q, x) : NAN);
    }
}
static double direct_a(int n, double q, double x) {
    (void)x;
    return gsl_sf_mathieu_a(n, q);
}
static double direct_b(int n, double q, double x) {
    (void)x;
    return gsl_sf_mathieu_b(n, q);
}
static void sf_mathieu_a(int engine, const char *full) {
    mathieu_of(engine, full, direct_a, false, 2);
}
static void sf_mathieu_b(int engine, const char *full) {
    mathieu_of(engine, full, direct_b, true, 2);
}
static void sf_mathieu_ce(int engine, const char *full) {
    mathieu_of(engine, full, gsl_sf_mathieu_ce, false, 3);
}
static void sf_mathieu_se(int engine, const char *full) {
    mathieu_of(engine, full, gsl_sf_mathieu_se, true, 3);
}

static void radial_of(int engine, const char *full, bool odd) {
    for (int k = 0; k < 5 * SOME_NUMBERS; k++) {
        int32_t j = k / SOME_NUMBERS, n = (int32_t)random_below(8);
        double q = some_numbers[k % SOME_NUMBERS], x = fabs(random_number());
        Arg args[] = {I32(j), I32(n), F64(q), F64(x)};
        bool allowed = (j == 1 || j == 2) && q > 0 && is_mathieu(n, q, x, odd);
        last_error = 0;
        double expected = !allowed ? NAN
                          : odd    ? gsl_sf_mathieu_Ms(j, n, q, x)
                                   : gsl_sf_mathieu_Mc(j, n, q, x);
        expect_same(engine, full, args, 4, expected);
    }
}
static void sf_mathieu_Mc(int engine, const char *full) {
    radial_of(engine, full, false);
}
static void sf_mathieu_Ms(int engine, const char *full) {
    radial_of(engine, full, true);
}

static void sf_hydrogenicR(int engine, const char *full) {
    for (int k = 0; k < 300; k++) {
        int32_t n = (int32_t)random_below(9), l = (int32_t)random_below(6) - 1;
        double z = k % 5 ? fabs(3 * random_number()) : some_numbers[random_below(SOME_NUMBERS)],
               r = k % 7 ? fabs(9 * random_number()) : some_numbers[random_below(SOME_NUMBERS)];
        Arg args[] = {I32(n), I32(l), F64(z), F64(r)},
            far[] = {I32(INT32_MAX), I32(INT32_MIN), F64(z), F64(r)};
        last_error = 0;
        expect_same(engine, full, args, 4, isnan(z) || isnan(r) ? NAN : gsl_sf_hydrogenicR(n, l, z, r));
        cr_expect(isnan(number(engine, full, far, 4)));
    }
}

static void expect_numbers(int engine, const char *full, const Arg *args, int64_t count,
                           const double *expected, int n) {
    weld_value_t value = call(engine, full, args, count);
    const double *got = weld_value_data(value);
    for (int i = 0; i < n; i++)
        cr_expect(is_near(got[i], expected[i], 1e-14 * fabs(expected[i])), "%s: %d: %.17g instead of %.17g",
                  full, i, got[i], expected[i]);
    weld_value_free(value);
}

static void sf_elljac(int engine, const char *full) {
    for (int k = 0; k < 300; k++) {
        double u = k % 5 ? 9 * random_number() : some_numbers[random_below(SOME_NUMBERS)],
               m = k % 7 ? random_number() : some_numbers[random_below(SOME_NUMBERS)],
               out[] = {NAN, NAN, NAN};
        if (isfinite(u) && fabs(m) <= 1) gsl_sf_elljac_e(u, m, &out[0], &out[1], &out[2]);
        Arg args[] = {F64(u), F64(m)};
        expect_numbers(engine, full, args, 2, out, 3);
    }
}

static void sf_coulomb_wave_FG(int engine, const char *full) {
    for (int k = 0; k < 300; k++) {
        double eta = k % 5 ? 6 * random_number() : some_numbers[random_below(SOME_NUMBERS)],
               x = k % 7 ? fabs(20 * random_number()) : some_numbers[random_below(SOME_NUMBERS)],
               l = fabs(5 * random_number()), out[] = {NAN, NAN, NAN, NAN, NAN, NAN};
        int32_t order = (int32_t)random_below(4);
        gsl_sf_result f, f1, g, g1;
        bool allowed = fabs(eta) <= 1000 && x > 0 && x <= 1000 && l - order > -0.5;
        last_error = 0;
        if (allowed) {
            gsl_sf_coulomb_wave_FG_e(eta, x, l, order, &f, &f1, &g, &g1, &out[4], &out[5]);
            out[0] = f.val, out[1] = f1.val, out[2] = g.val, out[3] = g1.val;
        }
        Arg args[] = {F64(eta), F64(x), F64(l), I32(order)}, far[] = {F64(1), F64(1), F64(1), I32(INT32_MAX)};
        if (last_error != GSL_EDOM) expect_numbers(engine, full, args, 4, out, 6);
        weld_value_free(call(engine, full, far, 4));
    }
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
    ROW(mean), ROW(variance), ROW(sd), ROW(tss), ROW(absdev), ROW(skew), ROW(kurtosis), {"lag1_autocorrelation", lag1_autocorrelation_row},
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
    ROW(histogram_pdf_sample), ROW(histogram2d), ROW(histogram2d_accumulate),
#define SURFACE(type, part, doc, vjp) ROW(interp2d_##type##part),
#include "../../adapters/gsl/interpolation2d.def"
    ROW(sf_coupling_3j), ROW(sf_coupling_6j), ROW(sf_coupling_9j), ROW(sf_mathieu_a), ROW(sf_mathieu_b), ROW(sf_mathieu_ce),
    ROW(sf_mathieu_se), ROW(sf_mathieu_Mc), ROW(sf_mathieu_Ms), ROW(sf_hydrogenicR), ROW(sf_elljac), ROW(sf_coulomb_wave_FG),
    ROW(poly_eval), ROW(poly_solve_quadratic), ROW(poly_solve_cubic), ROW(poly_complex_solve),
};
/* clang-format on */

#define NO_ORDER "a NaN has no place in an order: what the library does with it depends on where it is"
static const Spare spares[] = {
    {"sort", EDGE_NAN, NO_ORDER},
    {"sort_index", EDGE_NAN, NO_ORDER},
    {"sort_smallest", EDGE_NAN, NO_ORDER},
    {"sort_largest", EDGE_NAN, NO_ORDER},
    {"select", EDGE_NAN, NO_ORDER},
    {"median", EDGE_NAN, NO_ORDER},
    {"median_from_sorted_data", EDGE_NAN, NO_ORDER},
    {"gastwirth_from_sorted_data", EDGE_NAN, NO_ORDER},
    {"trmean_from_sorted_data", EDGE_NAN, NO_ORDER},
    {"mad", EDGE_NAN, NO_ORDER},
    {"mad0", EDGE_NAN, NO_ORDER},
    {NULL, 0, NULL},
};

Test(gsl, rows) {
    gsl_set_error_handler(count_error);
    check_rows_but("gsl", tests, COUNT(tests), spares);
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
