/* gsl.c: the GNU Scientific Library: the table of functions, and how its errors are kept from ending the process.
 *
 *     statistics_rows.h                     what is written in the language and fuses
 *     special.def        special.c          special functions, called by value inside loops
 *     distribution.def   distribution.c     densities and distribution functions, likewise
 *     interpolation.def  interpolation.c    curves through points; interpolation2d.def, interpolation2d.c: surfaces over grids
 *     histogram.c                           places drawn from histograms
 *     random.def         random.c           random numbers from a seed
 *     polynomials.c, ranks.c                roots; statistics that need memory of their own
 *
 * GSL is under the GPL: it is linked with this library only, which is loaded when a program names a function of it.
 */
#include "gsl_adapter.h"

#include <pthread.h>

/* ---- errors ---- */

_Thread_local int weld_gsl_guarded;
static gsl_error_handler_t *others; /* written once, before this adapter calls anything */

/* Without a handler of theirs, GSL does what it does by default. */
static void on_error(const char *reason, const char *file, int line, int code) {
    if (weld_gsl_guarded) return;
    if (others) {
        others(reason, file, line, code);
        return;
    }
    gsl_set_error_handler(NULL);
    gsl_error(reason, file, line, code);
}

static void take_handler(void) {
    others = gsl_set_error_handler(on_error);
}

/* ---- the table ---- */

/* clang-format off */
#define PURE "@(pure: true, threadsafe: true)"

#define TAKES_D "|x: f64| ", "(x)"
#define TAKES_DM TAKES_D
#define TAKES_DD "|x: f64, y: f64| ", "(x, y)"
#define TAKES_DDM TAKES_DD
#define TAKES_RD TAKES_DD
#define TAKES_DDD "|x: f64, y: f64, z: f64| ", "(x, y, z)"
#define TAKES_DDDM TAKES_DDD
#define TAKES_I "|n: i32| ", "(n)"
#define TAKES_U "|n: u32| ", "(n)"
#define TAKES_UU "|n: u32, m: u32| ", "(n, m)"
#define TAKES_ID "|n: i32, x: f64| ", "(n, x)"
#define TAKES_DI "|x: f64, n: i32| ", "(x, n)"
#define TAKES_DU "|x: f64, n: u32| ", "(x, n)"
#define TAKES_UD "|n: u32, x: f64| ", "(n, x)"
#define TAKES_IDD "|n: i32, x: f64, y: f64| ", "(n, x, y)"
#define TAKES_IID "|n: i32, m: i32, x: f64| ", "(n, m, x)"
#define TAKES_HH TAKES_DD
#define TAKES_HHH TAKES_DDD
#define TAKES_HHHH "|x: f64, y: f64, z: f64, w: f64| ", "(x, y, z, w)"
#define TAKES_HHHHM TAKES_HHHH
#define TAKES_IHH TAKES_IDD
#define TAKES_IIH TAKES_IID
#define PROTOTYPE_HH PROTOTYPE_DD
#define PROTOTYPE_HHH PROTOTYPE_DDD
#define PROTOTYPE_HHHH "(double x, double y, double z, double w)"
#define PROTOTYPE_HHHHM "(double x, double y, double z, double w, gsl_mode_t mode)"
#define PROTOTYPE_IHH PROTOTYPE_IDD
#define PROTOTYPE_IIH PROTOTYPE_IID
#define PROTOTYPE_D "(double x)"
#define PROTOTYPE_DM "(double x, gsl_mode_t mode)"
#define PROTOTYPE_DD "(double x, double y)"
#define PROTOTYPE_RD PROTOTYPE_DD
#define PROTOTYPE_DDM "(double x, double y, gsl_mode_t mode)"
#define PROTOTYPE_DDD "(double x, double y, double z)"
#define PROTOTYPE_DDDM "(double x, double y, double z, gsl_mode_t mode)"
#define PROTOTYPE_I "(int n)"
#define PROTOTYPE_U "(unsigned int n)"
#define PROTOTYPE_UU "(unsigned int n, unsigned int m)"
#define PROTOTYPE_ID "(int n, double x)"
#define PROTOTYPE_DI "(double x, int n)"
#define PROTOTYPE_DU "(double x, unsigned int n)"
#define PROTOTYPE_UD "(unsigned int n, double x)"
#define PROTOTYPE_IDD "(int n, double x, double y)"
#define PROTOTYPE_IID "(int n, int m, double x)"
#define BY_VALUE(name, takes) BY_VALUE_(name, takes)
#define BY_VALUE_(name, parameters, arguments) parameters PURE "cfun[weld_gsl_" name ", f64]" arguments

#define FILLS(symbol, size, arguments) PURE "cfill[weld_gsl_" symbol ", vec[f64]](" size ", " arguments ")"
#define CURVE(name, vjp, doc)                                                                                \
    {"interp_" name, "int gsl_interp_eval_e(interp, xa, ya, x, accel, double *y)", NULL,                     \
     "|xa: vec[f64], ya: vec[f64], x: vec[f64]| " FILLS("interp_" name, "len(x)", "xa, ya, x"), vjp, doc},
/* By where a curve is asked: `slope` there. A point outside whose value nobody uses changes nothing, though its slope is NaN. */
#define ALONG(slope)                                                                                         \
    "|xa, ya, x, r, g| {{}, {}, map(zip(g, gsl.interp_" slope "(xa, ya, x)), "                               \
    "|e| select(e.$0 == 0.0, 0.0, e.$0 * e.$1))}"
/* Likewise by where a surface is asked. */
#define SLOPE(name)                                                                                          \
    "map(zip(g, gsl.interp2d_" name "(xa, ya, za, x, y)), |e| select(e.$0 == 0.0, 0.0, e.$0 * e.$1))"
#define OVER(by_x, by_y) "|xa, ya, za, x, y, r, g| {{}, {}, {}, " SLOPE(by_x) ", " SLOPE(by_y) "}"

static const weld_function_t functions[] = {
#include "statistics_rows.h"

#define SF(shape, name, doc)                                                                                 \
    {"sf_" #name, "double gsl_sf_" #name PROTOTYPE_##shape, NULL, BY_VALUE("sf_" #name, TAKES_##shape), NULL, doc},
#define SFD(shape, name, doc, vjp)                                                                           \
    {"sf_" #name, "double gsl_sf_" #name PROTOTYPE_##shape, NULL, BY_VALUE("sf_" #name, TAKES_##shape), vjp, doc},
#include "special.def"
    {"sf_erf", "double gsl_sf_erf(double x)", "|x: f64| erf(x)", NULL, NULL, "the error function"},
    {"sf_erf_Z", "double gsl_sf_erf_Z(double x)", "|x: f64| exp(-(x * x) / 2.0) * 0.3989422804014327", NULL, NULL,
     "the density of the standard normal distribution"},
    {"sf_log_abs", "double gsl_sf_log_abs(double x)", "|x: f64| if(x == 0.0, 0.0 / 0.0, log(select(x < 0.0, -x, x)))",
     NULL, NULL, "log(|x|); NaN of 0"},
    {"sf_legendre_P1", "double gsl_sf_legendre_P1(double x)", "|x: f64| x", NULL, NULL, "the Legendre polynomial of degree 1"},
    {"sf_legendre_P2", "double gsl_sf_legendre_P2(double x)", "|x: f64| 0.5 * (3.0 * x * x - 1.0)", NULL, NULL,
     "the Legendre polynomial of degree 2"},
    {"sf_legendre_P3", "double gsl_sf_legendre_P3(double x)", "|x: f64| 0.5 * x * (5.0 * x * x - 3.0)", NULL, NULL,
     "the Legendre polynomial of degree 3"},

#define OTHER(name, prototype, parameters, arguments, doc)                                                   \
    {"sf_" name, "double gsl_sf_" name prototype, NULL, parameters PURE "cfun[weld_gsl_sf_" name ", f64]" arguments, NULL, doc},
#define SPINS "(int two_ja, int two_jb, int two_jc, int two_ma, int two_mb, int two_mc)"
    OTHER("coupling_3j", SPINS, "|ja: i32, jb: i32, jc: i32, ma: i32, mb: i32, mc: i32| ", "(ja, jb, jc, ma, mb, mc)",
          "Wigner's 3-j symbol, of twice the angular momenta")
    OTHER("coupling_6j", "(int two_ja, int two_jb, int two_jc, int two_jd, int two_je, int two_jf)",
          "|ja: i32, jb: i32, jc: i32, jd: i32, je: i32, jf: i32| ", "(ja, jb, jc, jd, je, jf)",
          "Wigner's 6-j symbol, of twice the angular momenta")
    OTHER("coupling_9j", "(int two_ja, int two_jb, .., int two_ji)",
          "|ja: i32, jb: i32, jc: i32, jd: i32, je: i32, jf: i32, jg: i32, jh: i32, ji: i32| ",
          "(ja, jb, jc, jd, je, jf, jg, jh, ji)", "Wigner's 9-j symbol, of twice the angular momenta")
    OTHER("mathieu_a", "(int n, double q)", "|n: i32, q: f64| ", "(n, q)", "the characteristic value of Mathieu's ce, n from 0 to 90")
    OTHER("mathieu_b", "(int n, double q)", "|n: i32, q: f64| ", "(n, q)", "the characteristic value of Mathieu's se, n from 1 to 90")
    OTHER("mathieu_ce", "(int n, double q, double x)", "|n: i32, q: f64, x: f64| ", "(n, q, x)", "Mathieu's even angular function")
    OTHER("mathieu_se", "(int n, double q, double x)", "|n: i32, q: f64, x: f64| ", "(n, q, x)", "Mathieu's odd angular function, n from 1")
    OTHER("mathieu_Mc", "(int j, int n, double q, double x)", "|j: i32, n: i32, q: f64, x: f64| ", "(j, n, q, x)",
          "Mathieu's even radial function of kind j, 1 or 2, q > 0")
    OTHER("mathieu_Ms", "(int j, int n, double q, double x)", "|j: i32, n: i32, q: f64, x: f64| ", "(j, n, q, x)",
          "Mathieu's odd radial function of kind j, 1 or 2, q > 0, n from 1")
    OTHER("hydrogenicR", "(int n, int l, double Z, double r)", "|n: i32, l: i32, z: f64, x: f64| ", "(n, l, z, x)",
          "the radial wave function of a bound electron, of nuclear charge z at x")
    {"sf_elljac", "int gsl_sf_elljac_e(double u, double m, double *sn, double *cn, double *dn)", NULL,
     "|u: f64, m: f64| " PURE "cfill[weld_gsl_sf_elljac, {f64, f64, f64}]({}, u, m)",
     "|u, m, r, g| {g.$0 * r.$1 * r.$2 - g.$1 * r.$0 * r.$2 - g.$2 * m * r.$0 * r.$1, {}}",
     "Jacobi's elliptic functions {sn, cn, dn}, |m| <= 1"},
    {"sf_coulomb_wave_FG", "int gsl_sf_coulomb_wave_FG_e(double eta, double x, double L_F, int k, ..)", NULL,
     "|eta: f64, x: f64, l: f64, k: i32| " PURE "cfill[weld_gsl_sf_coulomb_wave_FG, {f64, f64, f64, f64, f64, f64}]({}, eta, x, l, k)", NULL,
     "Coulomb's wave functions {F, F', G, G', e, h}, F of l, G of l - k: times exp(e) and exp(h), which are 0 unless they overflow"},

#define DISTRIBUTION(shape, name, allowed, doc, vjp)                                                         \
    {#name, "double gsl_" #name PROTOTYPE_##shape, NULL, BY_VALUE(#name, TAKES_##shape), vjp, doc},
#include "distribution.def"

#define INTERP(type, doc)                                                                                    \
    CURVE(#type, ALONG(#type "_deriv"), doc ": through the points (xa, ya), at each x")                      \
    CURVE(#type "_deriv", ALONG(#type "_deriv2"), doc ": the derivative at each x")                          \
    CURVE(#type "_deriv2", NULL, doc ": the second derivative at each x")                                    \
    CURVE(#type "_integ", ALONG(#type), doc ": the integral from the first of xa to each x")
#include "interpolation.def"
#define SURFACE(type, part, doc, vjp)                                                                             \
    {"interp2d_" #type #part, "int gsl_interp2d_eval" #part "_e(interp, xa, ya, za, x, y, xacc, yacc, double *z)", NULL, \
     "|xa: vec[f64], ya: vec[f64], za: vec[f64], x: vec[f64], y: vec[f64]| "                                 \
     FILLS("interp2d_" #type #part, "len(x)", "xa, ya, za, x, y"), vjp, doc},
#include "interpolation2d.def"
    {"histogram_pdf_sample", "double gsl_histogram_pdf_sample(const gsl_histogram_pdf *p, double r)", NULL,
     "|counts: vec[f64], ranges: vec[f64], r: vec[f64]| " FILLS("histogram_pdf_sample", "len(r)", "counts, ranges, r"), NULL,
     "places distributed as a histogram counts, one for each r from 0 to below 1"},

    {"rng_uniform", "double gsl_rng_uniform(const gsl_rng *r)", NULL,
     "|seed: i64, n: i64| " FILLS("rng_uniform", "n", "seed"), NULL, "n numbers from 0 to below 1"},
#define RANDOM1(name, allowed, doc)                                                                          \
    {"ran_" #name, "double gsl_ran_" #name "(const gsl_rng *r, double a)", NULL,                             \
     "|seed: i64, n: i64, a: f64| " FILLS("ran_" #name, "n", "seed, a"), NULL, "n numbers " doc},
#define RANDOM2(name, allowed, doc)                                                                          \
    {"ran_" #name, "double gsl_ran_" #name "(const gsl_rng *r, double a, double b)", NULL,                   \
     "|seed: i64, n: i64, a: f64, c: f64| " FILLS("ran_" #name, "n", "seed, a, c"), NULL, "n numbers " doc},
#include "random.def"
    {"ran_poisson", "unsigned int gsl_ran_poisson(const gsl_rng *r, double mu)", NULL,
     "|seed: i64, n: i64, mu: f64| " FILLS("ran_poisson", "n", "seed, mu"), NULL,
     "n whole numbers of Poisson's distribution of mean mu"},
    {"ran_bernoulli", "unsigned int gsl_ran_bernoulli(const gsl_rng *r, double p)", NULL,
     "|seed: i64, n: i64, p: f64| " FILLS("ran_bernoulli", "n", "seed, p"), NULL, "n numbers, 1 with probability p, else 0"},

    {"spearman", "double gsl_stats_spearman(data1, stride1, data2, stride2, n, double work[])", NULL,
     "|x: vec[f64], y: vec[f64]| " PURE "cfill[weld_gsl_spearman, f64]({}, x, y)", NULL,
     "the correlation coefficient of Spearman, that of the ranks; of one element at least"},
#define SCALE(name, doc)                                                                                     \
    {name "_from_sorted_data", "double gsl_stats_" name "_from_sorted_data(sorted, stride, n, work ..)", NULL, \
     "|x: vec[f64]| " PURE "cfill[weld_gsl_" name "_from_sorted_data, f64]({}, x)", NULL, doc},
    SCALE("Sn0", "the scale Sn of sorted data: a median of medians of differences; of one element at least")
    SCALE("Sn", "the same, scaled to estimate a standard deviation")
    SCALE("Qn0", "the scale Qn of sorted data: the first quartile of all differences; of one element at least")
    SCALE("Qn", "the same, scaled to estimate a standard deviation")

    {"poly_solve_quadratic", "int gsl_poly_solve_quadratic(double a, double b, double c, double *x0, double *x1)", NULL,
     "|a: f64, c1: f64, c0: f64| " FILLS("poly_solve_quadratic", "2L", "a, c1, c0"), NULL,
     "the real roots of a x^2 + b x + c, none, one or two, rising"},
    {"poly_solve_cubic", "int gsl_poly_solve_cubic(double a, double b, double c, double *x0, double *x1, double *x2)", NULL,
     "|a: f64, c1: f64, c0: f64| " FILLS("poly_solve_cubic", "3L", "a, c1, c0"), NULL,
     "the real roots of x^3 + a x^2 + b x + c, one or three, rising"},
    {"poly_complex_solve", "int gsl_poly_complex_solve(const double *a, size_t n, workspace, double *z)", NULL,
     "|c: vec[f64]| " PURE "cfill[weld_gsl_poly_complex_solve, vec[{f64, f64}]](len(c) - 1L, c)", NULL,
     "the roots of c[0] + c[1] x + ..., as {real, imaginary} pairs"},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "gsl", "the GNU Scientific Library",
                                           functions};
    static pthread_once_t once = PTHREAD_ONCE_INIT;
    pthread_once(&once, take_handler);
    return &adapter;
}
