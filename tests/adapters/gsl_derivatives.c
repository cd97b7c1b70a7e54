/* gsl_derivatives.c: the derivatives of special functions, at points where they have values. */
#include "derivatives.h"

static const double points[][3] = {
    {0.4, 0.7, 0.3}, {1.3, 2.2, 0.6}, {2.5, 0.3, 0.2}, {-0.3, 0.6, 0.5}, {0.9, 1.4, 0.1}};

/* The arguments of a row, |n: i32, x: f64| .. */
static int64_t arguments(const char *native, const double *point, int32_t order, Arg *args) {
    int64_t count = 0;
    int reals = 0;
    for (const char *at = native + 1; *at && *at != '|'; at++) {
        if (*at != ':') continue;
        if (strncmp(at, ": f64", 5) == 0)
            args[count++] = (Arg)F64(point[reals++]);
        else
            args[count++] = (Arg){at[2] == 'u' ? "u32" : "i32", {.i32 = order}};
    }
    return count;
}

Test(gsl_derivatives, of_special_functions) {
    weld_error_t error = weld_error_new();
    const weld_adapter_t *table = weld_adapter_find("gsl", error);
    cr_assert_not_null(table, "%s", weld_error_message(error));
    for (const weld_function_t *f = table->functions; f->name; f++) {
        char full[128];
        int compared = 0;
        if (!f->vjp) continue;
        snprintf(full, sizeof full, "gsl.%s", f->name);
        for (int k = 0; k < COUNT(points) * 4; k++) {
            Arg args[MOST_ARGS];
            int64_t count = arguments(f->native, points[k / 4], k % 4, args);
            if (k % 4 && !strstr(f->native, "i32") && !strstr(f->native, "u32")) continue;
            weld_value_t value = call(0, full, args, count);
            double is = *(double *)weld_value_data(value);
            weld_value_free(value);
            if (!isfinite(is) || fabs(is) > 1e3) continue;
            expect_derivative_within(full, args, count, PROJECT_NUMBER, 1e-5);
            compared++;
        }
        cr_expect(compared > 0, "%s was compared nowhere", full);
    }
    derived_all("gsl");
    weld_error_free(error);
}
