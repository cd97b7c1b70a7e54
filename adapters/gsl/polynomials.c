/* polynomials.c: the roots of polynomials. */
#include "gsl_adapter.h"

#include <gsl/gsl_poly.h>
#include <string.h>

/* out has room for as many roots as there can be. */
EXPORT int weld_gsl_poly_solve_quadratic(const double *a, const double *b, const double *c, Doubles *out) {
    if (out->length != 2) return WELD_CALL_SIZES;
    if (!isfinite(*a) || !isfinite(*b) || !isfinite(*c)) return WELD_CALL_DOMAIN;
    out->length = gsl_poly_solve_quadratic(*a, *b, *c, &out->data[0], &out->data[1]);
    return WELD_CALL_DONE;
}

EXPORT int weld_gsl_poly_solve_cubic(const double *a, const double *b, const double *c, Doubles *out) {
    if (out->length != 3) return WELD_CALL_SIZES;
    if (!isfinite(*a) || !isfinite(*b) || !isfinite(*c)) return WELD_CALL_DOMAIN;
    out->length = gsl_poly_solve_cubic(*a, *b, *c, &out->data[0], &out->data[1], &out->data[2]);
    return WELD_CALL_DONE;
}

typedef struct Complex {
    double re, im;
} Complex;
typedef struct Complexes {
    Complex *data;
    int64_t length;
} Complexes;

/* The companion matrix takes the square of the degree in memory, and its cube in time. */
EXPORT int weld_gsl_poly_complex_solve(const Doubles *c, Complexes *out) {
    enum { DEGREE = 1000 };
    int64_t n = c->length;
    if (n < 1 || n > DEGREE || out->length != n - 1) return WELD_CALL_SIZES;
    if (n == 1) return WELD_CALL_DONE;
    for (int64_t i = 0; i < n; i++) {
        if (!isfinite(c->data[i])) return WELD_CALL_DOMAIN;
    }
    if (c->data[n - 1] == 0) return WELD_CALL_DOMAIN;
    guard_enter();
    gsl_poly_complex_workspace *work = gsl_poly_complex_workspace_alloc((size_t)n);
    int status = WELD_CALL_NO_MEMORY;
    if (work) {
        int solved = gsl_poly_complex_solve(c->data, (size_t)n, work, &out->data[0].re);
        status = solved == GSL_SUCCESS ? WELD_CALL_DONE : WELD_CALL_NOT_REACHED;
        gsl_poly_complex_workspace_free(work);
    }
    guard_leave();
    return status;
}
