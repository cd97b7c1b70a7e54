/* special.c: the special functions of special.def, called by value: gsl_sf_NAME as weld_gsl_sf_NAME.
 *
 * A domain error gives NaN. What GSL reports otherwise, overflow or a loss of digits, is in the value that it leaves: an
 * infinity, 0 or a number. NaN gives NaN without a call, since some functions of GSL index tables by their argument. Signed orders
 * beyond MOST give NaN: their recurrences would take minutes, or the order would overflow. So do parameters of hypergeometric
 * functions beyond LIMIT, for which series do not end in time, and orders of Mathieu's functions beyond the library's tables.
 */
#include "gsl_adapter.h"

#include <gsl/gsl_sf.h>

enum { MOST = 100000, LIMIT = 1000 };

static bool is_order(int n) {
    return n >= -MOST && n <= MOST;
}

static bool is_small(double x) {
    return fabs(x) <= LIMIT;
}

/* clang-format off */
#define SPECIAL(name, allowed, ...)                                                                          \
    {                                                                                                        \
        gsl_sf_result result = {NAN, NAN};                                                                   \
        if (!(allowed)) return NAN;                                                                          \
        guard_enter();                                                                                       \
        int status = gsl_sf_##name##_e(__VA_ARGS__, &result);                                                \
        guard_leave();                                                                                       \
        return status == GSL_EDOM ? NAN : result.val;                                                        \
    }
#define MODE GSL_PREC_DOUBLE
#define EACH(name) EXPORT double weld_gsl_sf_##name
#define SHAPE_D(name) EACH(name)(double x) SPECIAL(name, !isnan(x), x)
#define SHAPE_DM(name) EACH(name)(double x) SPECIAL(name, !isnan(x), x, MODE)
#define SHAPE_DD(name) EACH(name)(double x, double y) SPECIAL(name, !isnan(x) && !isnan(y), x, y)
#define SHAPE_RD(name) EACH(name)(double x, double y) SPECIAL(name, fabs(x) <= MOST && !isnan(y), x, y)
#define SHAPE_DDM(name) EACH(name)(double x, double y) SPECIAL(name, !isnan(x) && !isnan(y), x, y, MODE)
#define SHAPE_DDD(name) \
    EACH(name)(double x, double y, double z) SPECIAL(name, !isnan(x) && !isnan(y) && !isnan(z), x, y, z)
#define SHAPE_DDDM(name) \
    EACH(name)(double x, double y, double z) SPECIAL(name, !isnan(x) && !isnan(y) && !isnan(z), x, y, z, MODE)
#define SHAPE_I(name) EACH(name)(int n) SPECIAL(name, is_order(n), n)
#define SHAPE_U(name) EACH(name)(unsigned n) SPECIAL(name, true, n)
#define SHAPE_UU(name) EACH(name)(unsigned n, unsigned m) SPECIAL(name, true, n, m)
#define SHAPE_ID(name) EACH(name)(int n, double x) SPECIAL(name, is_order(n) && !isnan(x), n, x)
#define SHAPE_DI(name) EACH(name)(double x, int n) SPECIAL(name, is_order(n) && !isnan(x), x, n)
#define SHAPE_DU(name) EACH(name)(double x, unsigned n) SPECIAL(name, !isnan(x), x, n)
#define SHAPE_IDD(name) \
    EACH(name)(int n, double x, double y) SPECIAL(name, is_order(n) && !isnan(x) && !isnan(y), n, x, y)
#define SHAPE_IID(name) \
    EACH(name)(int n, int m, double x) SPECIAL(name, is_order(n) && is_order(m) && !isnan(x), n, m, x)
#define SHAPE_HH(name) EACH(name)(double x, double y) SPECIAL(name, is_small(x) && is_small(y), x, y)
#define SHAPE_HHH(name) \
    EACH(name)(double x, double y, double z) SPECIAL(name, is_small(x) && is_small(y) && is_small(z), x, y, z)
#define ALL_SMALL is_small(x) && is_small(y) && is_small(z) && is_small(w)
#define SHAPE_HHHH(name) EACH(name)(double x, double y, double z, double w) SPECIAL(name, ALL_SMALL, x, y, z, w)
#define SHAPE_HHHHM(name) EACH(name)(double x, double y, double z, double w) SPECIAL(name, ALL_SMALL, x, y, z, w, MODE)
#define SHAPE_IHH(name) \
    EACH(name)(int n, double x, double y) SPECIAL(name, is_order(n) && is_small(x) && is_small(y), n, x, y)
#define SHAPE_IIH(name) \
    EACH(name)(int n, int m, double x) SPECIAL(name, is_order(n) && is_order(m) && is_small(x), n, m, x)

#define SF(shape, name, doc) SHAPE_##shape(name)
#include "special.def"

/* ---- of other arguments ---- */

/* Twice an angular momentum. */
static bool is_spin(int n) {
    return n >= -LIMIT && n <= LIMIT;
}
#define SPINS_3(a, b, c) is_spin(a) && is_spin(b) && is_spin(c)
EACH(coupling_3j)(int a, int b, int c, int ma, int mb, int mc)
    SPECIAL(coupling_3j, SPINS_3(a, b, c) && SPINS_3(ma, mb, mc), a, b, c, ma, mb, mc)
EACH(coupling_6j)(int a, int b, int c, int d, int e, int f)
    SPECIAL(coupling_6j, SPINS_3(a, b, c) && SPINS_3(d, e, f), a, b, c, d, e, f)
EACH(coupling_9j)(int a, int b, int c, int d, int e, int f, int g, int h, int i)
    SPECIAL(coupling_9j, SPINS_3(a, b, c) && SPINS_3(d, e, f) && SPINS_3(g, h, i), a, b, c, d, e, f, g, h, i)

enum { MATHIEU = 90 };
#define IS_MATHIEU n >= 0 && n <= MATHIEU && is_small(q)
EACH(mathieu_a)(int n, double q) SPECIAL(mathieu_a, IS_MATHIEU, n, q)
EACH(mathieu_b)(int n, double q) SPECIAL(mathieu_b, IS_MATHIEU && n > 0, n, q)
EACH(mathieu_ce)(int n, double q, double x) SPECIAL(mathieu_ce, IS_MATHIEU && is_small(x), n, q, x)
EACH(mathieu_se)(int n, double q, double x) SPECIAL(mathieu_se, IS_MATHIEU && n > 0 && is_small(x), n, q, x)
#define IS_KIND (j == 1 || j == 2)
EACH(mathieu_Mc)(int j, int n, double q, double x)
    SPECIAL(mathieu_Mc, IS_KIND && IS_MATHIEU && q > 0 && is_small(x), j, n, q, x)
EACH(mathieu_Ms)(int j, int n, double q, double x)
    SPECIAL(mathieu_Ms, IS_KIND && IS_MATHIEU && n > 0 && q > 0 && is_small(x), j, n, q, x)

EACH(hydrogenicR)(int n, int l, double z, double r)
    SPECIAL(hydrogenicR, is_spin(n) && is_spin(l) && !isnan(z) && !isnan(r), n, l, z, r)
    /* clang-format on */

    typedef struct Jacobi {
    double sn, cn, dn;
} Jacobi;

EXPORT int weld_gsl_sf_elljac(const double *u, const double *m, Jacobi *out) {
    *out = (Jacobi){NAN, NAN, NAN};
    if (!isfinite(*u) || isnan(*m)) return WELD_CALL_DONE;
    guard_enter();
    int status = gsl_sf_elljac_e(*u, *m, &out->sn, &out->cn, &out->dn);
    guard_leave();
    if (status == GSL_EDOM) *out = (Jacobi){NAN, NAN, NAN};
    return WELD_CALL_DONE;
}

typedef struct Coulomb {
    double f, f_slope, g, g_slope, f_exponent, g_exponent;
} Coulomb;

EXPORT int weld_gsl_sf_coulomb_wave_FG(const double *eta, const double *x, const double *l, const int32_t *k,
                                       Coulomb *out) {
    gsl_sf_result f = {NAN, NAN}, f_slope = f, g = f, g_slope = f;
    double f_exponent = 0, g_exponent = 0;
    bool allowed = is_small(*eta) && is_small(*x) && is_small(*l) && *k >= 0 && *k <= LIMIT && *x > 0 &&
                   *l > -0.5 && *l - *k > -0.5;
    guard_enter();
    int status = allowed ? gsl_sf_coulomb_wave_FG_e(*eta, *x, *l, *k, &f, &f_slope, &g, &g_slope, &f_exponent,
                                                    &g_exponent)
                         : GSL_EDOM;
    guard_leave();
    *out = (Coulomb){f.val, f_slope.val, g.val, g_slope.val, f_exponent, g_exponent};
    if (status == GSL_EDOM) *out = (Coulomb){NAN, NAN, NAN, NAN, NAN, NAN};
    return WELD_CALL_DONE;
}
