/* fftw_derivatives.c: a transform's derivative is its adjoint transform, of even and odd lengths. */
#include "derivatives.h"

/* fftwf_derivatives.c is this file with WELD_FFTW_SINGLE: on floats they are those on doubles. */
#ifdef WELD_FFTW_SINGLE
#define ADAPTER "fftwf"
#define EXPECT(on_doubles, on_floats, args, count, project) \
    expect_float_derivative(on_doubles, on_floats, args, count, project)
#else
#define ADAPTER "fftw"
#define EXPECT(on_doubles, on_floats, args, count, project) \
    expect_derivative(on_doubles, args, count, project)
#endif

static void complex_rows(int64_t n) {
    double *x = random_doubles(4 * n);
    int64_t shape[] = {2, n};
    Arg one[] = {VEC("{f64,f64}", x, n)}, all = VEC("{f64,f64}", x, 2 * n);
    Arg many[] = {all, VEC("i64", shape, 2)}, rows[] = {all, I64(n)};
    EXPECT("fftw.dft", "fftwf.dft", one, 1, PROJECT_COMPLEX);
    EXPECT("fftw.idft", "fftwf.idft", one, 1, PROJECT_COMPLEX);
    EXPECT("fftw.dft_nd", "fftwf.dft_nd", many, 2, PROJECT_COMPLEX);
    EXPECT("fftw.idft_nd", "fftwf.idft_nd", many, 2, PROJECT_COMPLEX);
    EXPECT("fftw.dft_rows", "fftwf.dft_rows", rows, 2, PROJECT_COMPLEX);
    EXPECT("fftw.idft_rows", "fftwf.idft_rows", rows, 2, PROJECT_COMPLEX);
    free(x);
}

static void half_rows(int64_t n) {
    int64_t half = n / 2 + 1, shape[] = {2, n};
    double *x = random_doubles(4 * n + 8);
    Arg one[] = {VEC("f64", x, n)}, all = VEC("f64", x, 2 * n), sizes = VEC("i64", shape, 2);
    Arg spectrum = VEC("{f64,f64}", x, 2 * half), back[] = {VEC("{f64,f64}", x, half), I64(n)};
    Arg to_nd[] = {all, sizes}, to_rows[] = {all, I64(n)}, from_nd[] = {spectrum, sizes},
        from_rows[] = {spectrum, I64(n)};
    EXPECT("fftw.r2c", "fftwf.r2c", one, 1, PROJECT_COMPLEX);
    EXPECT("fftw.r2c_nd", "fftwf.r2c_nd", to_nd, 2, PROJECT_COMPLEX);
    EXPECT("fftw.r2c_rows", "fftwf.r2c_rows", to_rows, 2, PROJECT_COMPLEX);
    EXPECT("fftw.c2r", "fftwf.c2r", back, 2, PROJECT);
    EXPECT("fftw.c2r_nd", "fftwf.c2r_nd", from_nd, 2, PROJECT);
    EXPECT("fftw.c2r_rows", "fftwf.c2r_rows", from_rows, 2, PROJECT);
    free(x);
}

static void real_rows(int64_t n) {
    double *x = random_doubles(6 * n);
    int64_t shape[] = {2, n, 3};
    Arg args[] = {VEC("f64", x, n)}, nd[] = {VEC("f64", x, 6 * n), VEC("i64", shape, 3)};
#define REAL(name, kind, adjoint, before, after, doc)                      \
    if (n > 1 || strcmp(#name, "dct1") != 0) {                             \
        EXPECT("fftw." #name, "fftwf." #name, args, 1, PROJECT);           \
        EXPECT("fftw." #name "_nd", "fftwf." #name "_nd", nd, 2, PROJECT); \
    }
#include "../../adapters/fftw/real.def"
    free(x);
}

Test(fftw_derivatives, rows) {
    for (int64_t n = 1; n < 7; n++) {
        complex_rows(n);
        half_rows(n);
        real_rows(n);
    }
    derived_all(ADAPTER);
}
