/* gsl_derivatives.c: the derivatives of special functions and distributions, at points where they have values, and of curves
 * and surfaces by where they are asked. */
#include "derivatives.h"

static const double points[][4] = {{0.4, 0.7, 0.3, 0.25},  {1.3, 2.2, 0.6, 0.4}, {2.5, 0.3, 0.2, -0.3},
                                   {-0.3, 0.6, 0.5, 0.15}, {0.9, 1.4, 0.1, 0.6}, {0.7, 0.2, 1.3, 0.35},
                                   {0.6, 0.8, -0.4, 0.2}};

/* The arguments of a row, |n: i32, x: f64| ..; the second integer is half of the first. */
static int64_t arguments(const char *native, const double *point, int32_t order, Arg *args) {
    int64_t count = 0;
    int reals = 0, integers = 0;
    for (const char *at = native + 1; *at && *at != '|'; at++) {
        if (*at != ':') continue;
        if (strncmp(at, ": f64", 5) == 0)
            args[count++] = (Arg)F64(point[reals++]);
        else
            args[count++] = (Arg){at[2] == 'u' ? "u32" : "i32", {.i32 = order / ++integers}};
    }
    return count;
}

/* At several points where it has a value. */
static void of_numbers(const weld_function_t *f, const char *full) {
    int compared = 0;
    for (int k = 0; k < COUNT(points) * 4; k++) {
        Arg args[MOST_ARGS];
        int64_t count = arguments(f->native, points[k / 4], k % 4, args);
        if (k % 4 && !strstr(f->native, "i32") && !strstr(f->native, "u32")) continue;
        weld_value_t value = call(0, full, args, count);
        double is = *(double *)weld_value_data(value);
        weld_value_free(value);
        if (!isfinite(is) || fabs(is) > 1e3) continue;
        bool several = strcmp(f->name, "sf_elljac") == 0;
        expect_derivative_within(full, args, count,
                                 several ? "r.$0 * 1.5 + r.$1 * 0.3 - r.$2 * 0.7" : PROJECT_NUMBER, 1e-5);
        compared++;
    }
    cr_expect(compared > 0, "%s was compared nowhere", full);
}

/* Between the points, and at one outside whose value is not used. */
static void of_curve(const char *full) {
    double xa[] = {-1, -0.2, 0.5, 1.5, 2.5, 4}, ya[] = {1, 0.5, -0.75, 2, 1.5, 1},
           x[] = {-0.9, 0.1, 0.75, 2, 3.9, 9};
    Arg args[] = {VEC("f64", xa, 6), VEC("f64", ya, 6), VEC("f64", x, 6)};
    expect_derivative_within(full, args, 3,
                             "result(for(zip(r, rangeiter(0L, 6L, 1L)), merger[f64, +], |b, i, e| "
                             "if(i < 5L, merge(b, e.$0 * sin(f64(i) + 1.0)), b)))",
                             1e-5);
}

/* By the places, within a grid's cells. */
static void of_surface(const char *full) {
    enum { AT = 4 };
    double xa[] = {-1, -0.2, 0.5, 1.5, 2.5}, ya[] = {0, 0.75, 1.5, 3}, za[20];
    double x[AT] = {-0.9, 0.1, 0.75, 2}, y[AT] = {0.25, 2, 1, 0.5};
    for (int i = 0; i < 20; i++) za[i] = random_number();
    Arg args[] = {VEC("f64", xa, 5), VEC("f64", ya, 4), VEC("f64", za, 20), VEC("f64", x, AT),
                  VEC("f64", y, AT)};
    expect_derivative_within(full, args, 5, PROJECT, 1e-5);
}

Test(gsl_derivatives, of_calls) {
    weld_error_t error = weld_error_new();
    const weld_adapter_t *table = weld_adapter_find("gsl", error);
    cr_assert_not_null(table, "%s", weld_error_message(error));
    for (const weld_function_t *f = table->functions; f->name; f++) {
        char full[128];
        if (!f->vjp) continue;
        snprintf(full, sizeof full, "gsl.%s", f->name);
        if (strncmp(f->name, "interp_", 7) == 0)
            of_curve(full);
        else if (strncmp(f->name, "interp2d_", 9) == 0)
            of_surface(full);
        else
            of_numbers(f, full);
    }
    derived_all("gsl");
    weld_error_free(error);
}
