/* interpolation2d.c: gsl_interp2d at many points: a surface over a grid, and its slopes.
 *
 * za has the heights, xa's places fastest: za[j * len(xa) + i] is over {xa[i], ya[j]}. xa and ya must rise, or the arguments are
 * outside of the domain. Points outside of the grid, and NaN, give NaN. Memory is GSL's own, as long as the call lasts.
 */
#include "gsl_adapter.h"

#include <gsl/gsl_interp2d.h>

typedef int Evaluate(const gsl_interp2d *interp, const double *xa, const double *ya, const double *za,
                     double x, double y, gsl_interp_accel *near_x, gsl_interp_accel *near_y, double *z);

static bool rises(const Doubles *xa) {
    for (int64_t i = 0; i + 1 < xa->length; i++) {
        if (!(xa->data[i] < xa->data[i + 1])) return false;
    }
    return xa->length > 0 && isfinite(xa->data[0]) && isfinite(xa->data[xa->length - 1]);
}

static bool is_inside(const Doubles *xa, double x) {
    return x >= xa->data[0] && x <= xa->data[xa->length - 1];
}

typedef struct Surface {
    const Doubles *xa, *ya, *za, *x, *y;
} Surface;

static int evaluate_all(const gsl_interp2d *interp, gsl_interp_accel *const near[2], Evaluate *evaluate,
                        const Surface *s, Doubles *out) {
    for (int64_t i = 0; i < out->length; i++) {
        double x = s->x->data[i], y = s->y->data[i], z = NAN;
        bool inside = is_inside(s->xa, x) && is_inside(s->ya, y);
        if (inside && evaluate(interp, s->xa->data, s->ya->data, s->za->data, x, y, near[0], near[1], &z) !=
                          GSL_SUCCESS)
            z = NAN;
        out->data[i] = z;
    }
    return WELD_CALL_DONE;
}

static int interpolate(const gsl_interp2d_type *type, Evaluate *evaluate, const Surface *s, Doubles *out) {
    int64_t rows = s->ya->length, columns = s->xa->length, all;
    int64_t least = (int64_t)gsl_interp2d_type_min_size(type);
    if (__builtin_mul_overflow(rows, columns, &all) || all != s->za->length) return WELD_CALL_SIZES;
    if (s->x->length != s->y->length || out->length != s->x->length) return WELD_CALL_SIZES;
    if (rows < least || columns < least) return WELD_CALL_SIZES;
    if (!rises(s->xa) || !rises(s->ya)) return WELD_CALL_DOMAIN;
    guard_enter();
    gsl_interp2d *interp = gsl_interp2d_alloc(type, (size_t)columns, (size_t)rows);
    gsl_interp_accel *near[2] = {gsl_interp_accel_alloc(), gsl_interp_accel_alloc()};
    int status = WELD_CALL_NO_MEMORY;
    if (interp && near[0] && near[1]) {
        bool ready = gsl_interp2d_init(interp, s->xa->data, s->ya->data, s->za->data, (size_t)columns,
                                       (size_t)rows) == GSL_SUCCESS;
        status = ready ? evaluate_all(interp, near, evaluate, s, out) : WELD_CALL_DOMAIN;
    }
    for (int i = 0; i < 2; i++) {
        if (near[i]) gsl_interp_accel_free(near[i]);
    }
    if (interp) gsl_interp2d_free(interp);
    guard_leave();
    return status;
}

#define SURFACE(type, part, doc, vjp)                                                                      \
    EXPORT int weld_gsl_interp2d_##type##part(const Doubles *xa, const Doubles *ya, const Doubles *za,     \
                                              const Doubles *x, const Doubles *y, Doubles *out) {          \
        return interpolate(gsl_interp2d_##type, gsl_interp2d_eval##part##_e, &(Surface){xa, ya, za, x, y}, \
                           out);                                                                           \
    }
#include "interpolation2d.def"
