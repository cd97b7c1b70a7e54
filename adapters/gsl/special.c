/* special.c: the special functions of special.def, called by value: gsl_sf_NAME as weld_gsl_sf_NAME.
 *
 * A domain error gives NaN. What GSL reports otherwise, overflow or a loss of digits, is in the value that it leaves: an
 * infinity, 0 or a number. NaN gives NaN without a call, since some functions of GSL index tables by their argument. Signed orders
 * beyond MOST give NaN: their recurrences would take minutes, or the order would overflow. So do parameters of hypergeometric
 * functions beyond LIMIT, for which series do not end in time.
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
/* clang-format on */
