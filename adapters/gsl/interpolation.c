/* interpolation.c: gsl_interp at many points: a curve through (xa, ya), its derivatives, its integral.
 *
 * xa must rise, or the arguments are outside of the domain. Points outside of xa, and NaN, give NaN. Memory is GSL's own, for
 * the coefficients, as long as the call lasts.
 */
#include "gsl_adapter.h"

#include <gsl/gsl_interp.h>

typedef int Evaluate(const gsl_interp *interp, const double *xa, const double *ya, double x,
                     gsl_interp_accel *near, double *y);

static bool rises(const Doubles *xa) {
    for (int64_t i = 0; i + 1 < xa->length; i++) {
        if (!(xa->data[i] < xa->data[i + 1])) return false;
    }
    return xa->length > 0 && isfinite(xa->data[0]) && isfinite(xa->data[xa->length - 1]);
}

static int evaluate_all(const gsl_interp *interp, gsl_interp_accel *near, Evaluate *evaluate,
                        const Doubles *xa, const Doubles *ya, const Doubles *x, Doubles *out) {
    double low = xa->data[0], high = xa->data[xa->length - 1];
    for (int64_t i = 0; i < x->length; i++) {
        double y = NAN;
        bool inside = x->data[i] >= low && x->data[i] <= high;
        if (inside && evaluate(interp, xa->data, ya->data, x->data[i], near, &y) != GSL_SUCCESS) y = NAN;
        out->data[i] = y;
    }
    return WELD_CALL_DONE;
}

static int interpolate(const gsl_interp_type *type, Evaluate *evaluate, const Doubles *xa, const Doubles *ya,
                       const Doubles *x, Doubles *out) {
    if (xa->length != ya->length || out->length != x->length) return WELD_CALL_SIZES;
    if (xa->length < (int64_t)gsl_interp_type_min_size(type)) return WELD_CALL_SIZES;
    if (!rises(xa)) return WELD_CALL_DOMAIN;
    guard_enter();
    gsl_interp *interp = gsl_interp_alloc(type, (size_t)xa->length);
    gsl_interp_accel *near = gsl_interp_accel_alloc();
    int status = WELD_CALL_NO_MEMORY;
    if (interp && near) {
        bool ready = gsl_interp_init(interp, xa->data, ya->data, (size_t)xa->length) == GSL_SUCCESS;
        status = ready ? evaluate_all(interp, near, evaluate, xa, ya, x, out) : WELD_CALL_DOMAIN;
    }
    if (near) gsl_interp_accel_free(near);
    if (interp) gsl_interp_free(interp);
    guard_leave();
    return status;
}

/* From the first of xa to x. */
static int integral(const gsl_interp *interp, const double *xa, const double *ya, double x,
                    gsl_interp_accel *near, double *y) {
    return gsl_interp_eval_integ_e(interp, xa, ya, xa[0], x, near, y);
}

#define INTERP(type, doc)                                                                              \
    EXPORT int weld_gsl_interp_##type(const Doubles *xa, const Doubles *ya, const Doubles *x,          \
                                      Doubles *out) {                                                  \
        return interpolate(gsl_interp_##type, gsl_interp_eval_e, xa, ya, x, out);                      \
    }                                                                                                  \
    EXPORT int weld_gsl_interp_##type##_deriv(const Doubles *xa, const Doubles *ya, const Doubles *x,  \
                                              Doubles *out) {                                          \
        return interpolate(gsl_interp_##type, gsl_interp_eval_deriv_e, xa, ya, x, out);                \
    }                                                                                                  \
    EXPORT int weld_gsl_interp_##type##_deriv2(const Doubles *xa, const Doubles *ya, const Doubles *x, \
                                               Doubles *out) {                                         \
        return interpolate(gsl_interp_##type, gsl_interp_eval_deriv2_e, xa, ya, x, out);               \
    }                                                                                                  \
    EXPORT int weld_gsl_interp_##type##_integ(const Doubles *xa, const Doubles *ya, const Doubles *x,  \
                                              Doubles *out) {                                          \
        return interpolate(gsl_interp_##type, integral, xa, ya, x, out);                               \
    }
#include "interpolation.def"
