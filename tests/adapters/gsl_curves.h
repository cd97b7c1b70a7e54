/* gsl_curves.h: tests of surfaces and curves through points; included behind gsl_vectors.h. */

/* ---- surfaces ---- */

typedef int Height(const gsl_interp2d *, const double *, const double *, const double *, double, double,
                   gsl_interp_accel *, gsl_interp_accel *, double *);

static void rising(double *at, int64_t n) {
    for (int64_t i = 0; i < n; i++) at[i] = (i ? at[i - 1] : 0) + 0.01 + fabs(random_number());
}

static void surface_of(int engine, const char *full, const gsl_interp2d_type *type, Height *height,
                       int64_t nx, int64_t ny) {
    enum { AT = 40 };
    double xa[8], ya[8], za[64], x[AT], y[AT], expected[AT];
    rising(xa, nx);
    rising(ya, ny);
    for (int64_t i = 0; i < nx * ny; i++) za[i] = random_number();
    for (int i = 0; i < AT; i++) {
        x[i] = xa[0] + (xa[nx - 1] - xa[0]) * (0.5 + 0.55 * random_number());
        y[i] = ya[0] + (ya[ny - 1] - ya[0]) * (0.5 + 0.55 * random_number());
    }
    x[0] = xa[0], y[0] = ya[0], x[1] = xa[nx - 1], y[1] = ya[ny - 1], x[2] = NAN, y[3] = INFINITY;
    gsl_interp2d *interp = gsl_interp2d_alloc(type, (size_t)nx, (size_t)ny);
    gsl_interp2d_init(interp, xa, ya, za, (size_t)nx, (size_t)ny);
    for (int i = 0; i < AT; i++) {
        bool inside = x[i] >= xa[0] && x[i] <= xa[nx - 1] && y[i] >= ya[0] && y[i] <= ya[ny - 1];
        expected[i] = NAN;
        if (inside) height(interp, xa, ya, za, x[i], y[i], NULL, NULL, &expected[i]);
    }
    gsl_interp2d_free(interp);
    Arg args[] = {VEC("f64", xa, nx), VEC("f64", ya, ny), VEC("f64", za, nx * ny), VEC("f64", x, AT),
                  VEC("f64", y, AT)};
    expect_doubles(engine, full, args, 5, expected, AT, 1e-12);
    expect_checked(engine, full, args, 5, 0);
    Arg empty[] = {args[0], args[1], args[2], VEC("f64", NULL, 0), VEC("f64", NULL, 0)};
    expect_doubles(engine, full, empty, 5, NULL, 0, 0);
    ya[1] = ya[0];
    expect_failure(engine, full, args, 5, "lines that do not rise");
    Arg one[] = {args[0], VEC("f64", ya, 1), VEC("f64", za, nx), args[3], args[4]};
    expect_failure(engine, full, one, 5, "one line");
}

#define SURFACE(type, part, doc, vjp)                                                     \
    static void interp2d_##type##part(int engine, const char *full) {                     \
        surface_of(engine, full, gsl_interp2d_##type, gsl_interp2d_eval##part##_e, 4, 7); \
        surface_of(engine, full, gsl_interp2d_##type, gsl_interp2d_eval##part##_e, 8, 5); \
    }
#include "../../adapters/gsl/interpolation2d.def"

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
    for (int64_t few_ = 0; few_ < (int64_t)gsl_interp_type_min_size(type); few_++) {
        Arg none[] = {VEC("f64", xa, few_), VEC("f64", ya, few_), VEC("f64", x, AT)};
        expect_failure(engine, full, none, 3, "too few points");
    }
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
