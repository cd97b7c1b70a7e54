/* ndarray_derivatives.c: the derivatives of running sums. */
#include "derivatives.h"

Test(ndarray_derivatives, rows) {
    double *v = random_doubles(24);
    Arg args[] = {VEC("f64", v, 24), I64(3), I64(2)};
    expect_derivative("ndarray.cumsum_f64", args, 3, PROJECT);
    expect_float_derivative("ndarray.cumsum_f64", "ndarray.cumsum_f32", args, 3, PROJECT);
    derived_all("ndarray");
    free(v);
}
