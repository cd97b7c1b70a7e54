/* cblas_derivatives.c: the derivatives of matrices' rows, by every flag, and of vectors' rows, which are code. */
#include "derivatives.h"

#include <cblas.h>

enum { M = 3, N = 4, K = 2 };

/* Both precisions. */
static void expect(const char *name, Arg *args, int64_t count) {
    char on_doubles[32], on_floats[32];
    snprintf(on_doubles, sizeof on_doubles, "cblas.d%s", name);
    snprintf(on_floats, sizeof on_floats, "cblas.s%s", name);
    expect_derivative(on_doubles, args, count, PROJECT);
    expect_float_derivative(on_doubles, on_floats, args, count, PROJECT);
}

/* Far from singular. */
static double *triangle(int64_t n) {
    double *a = random_doubles(n * n);
    for (int64_t i = 0; i < n; i++) a[i * n + i] += a[i * n + i] < 0 ? -2 : 2;
    return a;
}

static void on_vectors(int flags, bool empty) {
    bool one = flags & 1, two = flags & 2, three = flags & 4;
    double *a = random_doubles(M * N), *x = random_doubles(N), *y = random_doubles(N), *t = triangle(N);
    int64_t in = one ? M : N, out = one ? N : M;
    Arg gemv[] = {BOOL(one),
                  I64(M),
                  I64(N),
                  F64(1.5),
                  VEC("f64", a, M * N),
                  VEC("f64", x, in),
                  F64(empty ? 0 : -0.5),
                  VEC("f64", y, empty ? 0 : out)};
    Arg symv[] = {BOOL(one),
                  I64(N),
                  F64(1.5),
                  VEC("f64", t, N * N),
                  VEC("f64", x, N),
                  F64(empty ? 0 : -0.5),
                  VEC("f64", y, empty ? 0 : N)};
    Arg ger[] = {I64(M), I64(N), F64(1.5), VEC("f64", y, M), VEC("f64", x, N), VEC("f64", a, M * N)};
    Arg syr[] = {BOOL(one), I64(N), F64(1.5), VEC("f64", x, N), VEC("f64", t, N * N)};
    Arg syr2[] = {BOOL(one), I64(N), F64(1.5), VEC("f64", x, N), VEC("f64", y, N), VEC("f64", t, N * N)};
    Arg trmv[] = {BOOL(one), BOOL(two), BOOL(three), I64(N), VEC("f64", t, N * N), VEC("f64", x, N)};
    if (flags < 2) {
        expect("gemv", gemv, COUNT(gemv));
        expect("symv", symv, COUNT(symv));
        expect("ger", ger, COUNT(ger));
        expect("syr", syr, COUNT(syr));
        expect("syr2", syr2, COUNT(syr2));
    }
    expect("trmv", trmv, COUNT(trmv));
    expect("trsv", trmv, COUNT(trmv));
    free(a), free(x), free(y), free(t);
}

static void on_matrices(int flags, bool empty) {
    bool one = flags & 1, two = flags & 2, three = flags & 4, four = flags & 8;
    double *a = random_doubles(16), *b = random_doubles(16), *c = random_doubles(16);
    int64_t side = one ? M : N;
    double *t = triangle(side);
    double beta = empty ? 0 : -0.5;
    Arg gemm[] = {BOOL(one),
                  BOOL(two),
                  I64(M),
                  I64(N),
                  I64(K),
                  F64(1.5),
                  VEC("f64", a, M * K),
                  VEC("f64", b, K * N),
                  F64(beta),
                  VEC("f64", c, empty ? 0 : M * N)};
    Arg symm[] = {BOOL(one),
                  BOOL(two),
                  I64(M),
                  I64(N),
                  F64(1.5),
                  VEC("f64", t, side * side),
                  VEC("f64", b, M * N),
                  F64(beta),
                  VEC("f64", c, empty ? 0 : M * N)};
    Arg syrk[] = {BOOL(one), BOOL(two),
                  I64(M),    I64(K),
                  F64(1.5),  VEC("f64", a, M * K),
                  F64(beta), VEC("f64", c, empty ? 0 : M * M)};
    Arg syr2k[] = {BOOL(one),
                   BOOL(two),
                   I64(M),
                   I64(K),
                   F64(1.5),
                   VEC("f64", a, M * K),
                   VEC("f64", b, M * K),
                   F64(beta),
                   VEC("f64", c, empty ? 0 : M * M)};
    Arg trmm[] = {BOOL(one),
                  BOOL(two),
                  BOOL(three),
                  BOOL(four),
                  I64(M),
                  I64(N),
                  F64(1.5),
                  VEC("f64", t, side * side),
                  VEC("f64", b, M * N)};
    if (flags < 4) {
        expect("gemm", gemm, COUNT(gemm));
        expect("symm", symm, COUNT(symm));
        expect("syrk", syrk, COUNT(syrk));
        expect("syr2k", syr2k, COUNT(syr2k));
    }
    if (!empty) {
        expect("trmm", trmm, COUNT(trmm));
        expect("trsm", trmm, COUNT(trmm));
    }
    free(a), free(b), free(c), free(t);
}

/* Far from singular at every element of a diagonal, wherever that is. */
static double *large(int64_t count) {
    double *a = random_doubles(count);
    for (int64_t i = 0; i < count; i++) a[i] += a[i] < 0 ? -2 : 2;
    return a;
}

static void on_bands(int flags, bool empty) {
    enum { BELOW = 1, ABOVE = 2, WIDTH = BELOW + ABOVE + 1 };
    bool one = flags & 1, two = flags & 2, three = flags & 4;
    double *a = random_doubles(M * WIDTH), *x = random_doubles(N), *y = random_doubles(N),
           *t = large(N * (K + 1));
    int64_t in = one ? M : N, out = one ? N : M, triangle = N * (N + 1) / 2;
    double beta = empty ? 0 : -0.5;
    Arg gbmv[] = {BOOL(one),
                  I64(M),
                  I64(N),
                  I64(BELOW),
                  I64(ABOVE),
                  F64(1.5),
                  VEC("f64", a, M * WIDTH),
                  VEC("f64", x, in),
                  F64(beta),
                  VEC("f64", y, empty ? 0 : out)};
    Arg sbmv[] = {BOOL(one),
                  I64(N),
                  I64(K),
                  F64(1.5),
                  VEC("f64", t, N * (K + 1)),
                  VEC("f64", x, N),
                  F64(beta),
                  VEC("f64", y, empty ? 0 : N)};
    Arg spmv[] = {BOOL(one),
                  I64(N),
                  F64(1.5),
                  VEC("f64", t, triangle),
                  VEC("f64", x, N),
                  F64(beta),
                  VEC("f64", y, empty ? 0 : N)};
    Arg spr[] = {BOOL(one), I64(N), F64(1.5), VEC("f64", x, N), VEC("f64", t, triangle)};
    Arg spr2[] = {BOOL(one), I64(N), F64(1.5), VEC("f64", x, N), VEC("f64", y, N), VEC("f64", t, triangle)};
    Arg band[] = {BOOL(one),       BOOL(two), BOOL(three), I64(N), I64(K), VEC("f64", t, N * (K + 1)),
                  VEC("f64", x, N)};
    Arg packed[] = {BOOL(one), BOOL(two), BOOL(three), I64(N), VEC("f64", t, triangle), VEC("f64", x, N)};
    if (flags < 2) {
        expect("gbmv", gbmv, COUNT(gbmv));
        expect("sbmv", sbmv, COUNT(sbmv));
        expect("spmv", spmv, COUNT(spmv));
        expect("spr", spr, COUNT(spr));
        expect("spr2", spr2, COUNT(spr2));
    }
    expect("tbmv", band, COUNT(band));
    expect("tbsv", band, COUNT(band));
    expect("tpmv", packed, COUNT(packed));
    expect("tpsv", packed, COUNT(packed));
    free(a), free(x), free(y), free(t);
}

/* Those of complex numbers are in cblas_complex_derivatives.c. */
static bool is_real(const weld_function_t *f) {
    return f->name[0] != 'c' && f->name[0] != 'z';
}

Test(cblas_derivatives, rows) {
    for (int flags = 0; flags < 8; flags++) on_bands(flags, flags & 1);
    for (int flags = 0; flags < 8; flags++) on_vectors(flags, flags & 4);
    for (int flags = 0; flags < 16; flags++) on_matrices(flags, false);
    for (int flags = 0; flags < 4; flags++) on_matrices(flags, true);
    derived_all_of("cblas", is_real);
}

Test(cblas_derivatives, of_rows_that_are_code) {
    double *x = random_doubles(5), *y = random_doubles(5);
    Arg dot[] = {VEC("f64", x, 5), VEC("f64", y, 5)}, axpy[] = {F64(1.5), dot[0], dot[1]};
    Arg axpby[] = {F64(1.5), dot[0], F64(-0.5), dot[1]}, rot[] = {dot[0], dot[1], F64(0.6), F64(0.8)};
    expect_derivative("cblas.ddot", dot, 2, PROJECT_NUMBER);
    expect_derivative("cblas.dnrm2", dot, 1, PROJECT_NUMBER);
    expect_derivative("cblas.dasum", dot, 1, PROJECT_NUMBER);
    expect_derivative("cblas.daxpy", axpy, 3, PROJECT);
    expect_derivative("cblas.dscal", axpy, 2, PROJECT);
    expect_derivative("cblas.daxpby", axpby, 4, PROJECT);
    expect_derivative(
        "cblas.drot", rot, 4,
        "result(for(zip(r.$0, r.$1), merger[f64, +], |b, i, e| merge(b, e.$0 * sin(f64(i) + 1.0) + e.$1)))");
    free(x), free(y);
}

/* The derivative's calls have derivatives. */
Test(cblas_derivatives, second) {
    double *a = random_doubles(4), *x = random_doubles(2);
    Arg args[] = {VEC("f64", a, 4), VEC("f64", x, 2)};
    weld_error_t error = weld_error_new();
    const char *slope =
        "(grad(|x| sum(map(cblas.dgemv(false, 2L, 2L, 1.0, %s, x, 0.0, []), |e| sin(e))))(%s).$1)";
    char inner[512], gradient[1024], text[1024];
    snprintf(inner, sizeof inner, slope, "p0", "p1");
    snprintf(text, sizeof text, "|p0, p1| let r = %s; " PROJECT, inner);
    snprintf(inner, sizeof inner, slope, "q", "p1");
    snprintf(gradient, sizeof gradient, "|p0, p1| grad(|q| let r = %s; " PROJECT ")(p0).$1", inner);
    weld_value_t value = value_of(1, gradient, args, 2, error);
    cr_assert_not_null(value, "%s", weld_error_message(error));
    for (int64_t i = 0; i < 4; i++) {
        double want = difference(text, args, 2, &args[0], i, 1e-5);
        cr_expect(is_near(slope_at(&args[0], value, i), want, 1e-6), "%d: %g, %g", (int)i,
                  slope_at(&args[0], value, i), want);
    }
    weld_value_free(value);
    weld_error_free(error);
    free(a), free(x);
}
