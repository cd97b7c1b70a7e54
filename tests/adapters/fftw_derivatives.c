/* fftw_derivatives.c: a transform's derivative is its adjoint transform, of even and odd lengths. */
#include "derivatives.h"

static void complex_rows(int64_t n) {
    double *x = random_doubles(4 * n);
    int64_t shape[] = {2, n};
    Arg one[] = {VEC("{f64,f64}", x, n)}, all = VEC("{f64,f64}", x, 2 * n);
    Arg many[] = {all, VEC("i64", shape, 2)}, rows[] = {all, I64(n)};
    expect_derivative("fftw.dft", one, 1, PROJECT_COMPLEX);
    expect_derivative("fftw.idft", one, 1, PROJECT_COMPLEX);
    expect_derivative("fftw.dft_nd", many, 2, PROJECT_COMPLEX);
    expect_derivative("fftw.idft_nd", many, 2, PROJECT_COMPLEX);
    expect_derivative("fftw.dft_rows", rows, 2, PROJECT_COMPLEX);
    expect_derivative("fftw.idft_rows", rows, 2, PROJECT_COMPLEX);
    free(x);
}

static void half_rows(int64_t n) {
    int64_t half = n / 2 + 1, shape[] = {2, n};
    double *x = random_doubles(4 * n + 8);
    Arg one[] = {VEC("f64", x, n)}, all = VEC("f64", x, 2 * n), sizes = VEC("i64", shape, 2);
    Arg spectrum = VEC("{f64,f64}", x, 2 * half), back[] = {VEC("{f64,f64}", x, half), I64(n)};
    Arg to_nd[] = {all, sizes}, to_rows[] = {all, I64(n)}, from_nd[] = {spectrum, sizes},
        from_rows[] = {spectrum, I64(n)};
    expect_derivative("fftw.r2c", one, 1, PROJECT_COMPLEX);
    expect_derivative("fftw.r2c_nd", to_nd, 2, PROJECT_COMPLEX);
    expect_derivative("fftw.r2c_rows", to_rows, 2, PROJECT_COMPLEX);
    expect_derivative("fftw.c2r", back, 2, PROJECT);
    expect_derivative("fftw.c2r_nd", from_nd, 2, PROJECT);
    expect_derivative("fftw.c2r_rows", from_rows, 2, PROJECT);
    free(x);
}

static void real_rows(int64_t n) {
    double *x = random_doubles(n);
    Arg args[] = {VEC("f64", x, n)};
#define REAL(name, kind, vjp, doc) \
    if (n > 1 || strcmp(#name, "dct1") != 0) expect_derivative("fftw." #name, args, 1, PROJECT);
#include "../../adapters/fftw/real.def"
    free(x);
}

Test(fftw_derivatives, rows) {
    for (int64_t n = 1; n < 7; n++) {
        complex_rows(n);
        half_rows(n);
        real_rows(n);
    }
    derived_all("fftw");
}
