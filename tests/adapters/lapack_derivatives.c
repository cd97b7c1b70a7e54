/* lapack_derivatives.c: the derivatives of what solves equations, and of Cholesky's factor. */
#include "derivatives.h"

#include <lapacke.h>

enum { N = 3, RIGHT = 2 };

static void expect(const char *name, Arg *args, int64_t count, const char *project) {
    char on_doubles[32], on_floats[32];
    snprintf(on_doubles, sizeof on_doubles, "lapack.d%s", name);
    snprintf(on_floats, sizeof on_floats, "lapack.s%s", name);
    expect_derivative(on_doubles, args, count, project);
    expect_float_derivative(on_doubles, on_floats, args, count, project);
}

Test(lapack_derivatives, rows) {
    double *a = random_doubles(N * N), *b = random_doubles(N * RIGHT), lu[N * N];
    double below[] = {0.5, -0.3}, diagonal[] = {3, 4, 5}, above[] = {-0.2, 0.7};
    double bands[2][2 * N] = {{9, 4, 0.5, 5, -0.4, 4.2}, {4, 0.5, 5, -0.4, 4.2, 9}};
    lapack_int exchanged[N];
    int32_t pivots[N];
    for (int i = 0; i < N; i++) a[i * N + i] += 4;
    memcpy(lu, a, sizeof lu);
    LAPACKE_dgetrf(LAPACK_ROW_MAJOR, N, N, lu, N, exchanged);
    for (int i = 0; i < N; i++) pivots[i] = (int32_t)exchanged[i];
    Arg matrix = VEC("f64", a, N * N), right = VEC("f64", b, N * RIGHT);
    Arg gesv[] = {I64(N), I64(RIGHT), matrix, right}, inv[] = {I64(N), matrix};
    expect("gesv", gesv, 4, PROJECT);
    expect("inv", inv, 2, PROJECT);
    expect("det", inv, 2, PROJECT_NUMBER);
    for (int flag = 0; flag < 2; flag++) {
        Arg getrs[] = {BOOL(flag), I64(N), I64(RIGHT), VEC("f64", lu, N * N), VEC("i32", pivots, N), right};
        Arg posv[] = {BOOL(flag), I64(N), I64(RIGHT), matrix, right}, potrf[] = {BOOL(flag), I64(N), matrix};
        expect("getrs", getrs, 6, PROJECT);
        expect("posv", posv, 5, PROJECT);
        expect("potrf", potrf, 3, PROJECT);
        expect("potrs", posv, 5, PROJECT);
        expect("sysv", posv, 5, PROJECT);
        Arg pbsv[] = {BOOL(flag), I64(N), I64(1), I64(RIGHT), VEC("f64", bands[flag], 2 * N), right};
        expect("pbsv", pbsv, 6, PROJECT);
    }
    Arg gtsv[] = {
        I64(N), I64(RIGHT), VEC("f64", below, N - 1), VEC("f64", diagonal, N), VEC("f64", above, N - 1),
        right};
    Arg ptsv[] = {I64(N), I64(RIGHT), VEC("f64", diagonal, N), VEC("f64", below, N - 1), right};
    expect("gtsv", gtsv, 6, PROJECT);
    expect("ptsv", ptsv, 5, PROJECT);
    for (int flags = 0; flags < 8; flags++) {
        Arg trtrs[] = {BOOL(flags & 1), BOOL(flags & 2), BOOL(flags & 4), I64(N), I64(RIGHT), matrix, right};
        expect("trtrs", trtrs, 7, PROJECT);
    }
    derived_all("lapack");
    free(a), free(b);
}

/* The eigenvalues have none here: the message names the function, at the call. */
Test(lapack_derivatives, that_there_are_not) {
    double a[] = {2, 1, 1, 3};
    Arg args[] = {VEC("f64", a, 4)};
    weld_error_t error = weld_error_new();
    cr_assert_null(value_of(0, "|p| grad(|p| sum(lapack.dsyev(true, 2L, p).$0))(p)", args, 1, error));
    cr_expect(strstr(weld_error_message(error), "weld_lapack_dsyev is a C function"), "%s",
              weld_error_message(error));
    weld_error_free(error);
}
