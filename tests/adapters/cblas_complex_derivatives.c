/* cblas_complex_derivatives.c: the derivatives of the rows of complex numbers that call, by every flag. */
#include "derivatives.h"

enum { M = 3, N = 4, K = 2, TRIANGLE = N * (N + 1) / 2 };
#define Z(from, count) VEC("{f64,f64}", from, count)

/* Both precisions. */
static void expect(const char *name, Arg *args, int64_t count) {
    char on_doubles[32], on_floats[32];
    snprintf(on_doubles, sizeof on_doubles, "cblas.z%s", name);
    snprintf(on_floats, sizeof on_floats, "cblas.c%s", name);
    expect_derivative(on_doubles, args, count, PROJECT_COMPLEX);
    expect_float_derivative(on_doubles, on_floats, args, count, PROJECT_COMPLEX);
}

/* Numbers of which each could be on a triangle's diagonal. */
static double *large(int64_t count) {
    double *a = random_doubles(2 * count);
    for (int64_t i = 0; i < count; i++) a[2 * i] += a[2 * i] < 0 ? -2 : 2;
    return a;
}

/* Far from singular. */
static double *triangle(int64_t n) {
    double *a = random_doubles(2 * n * n);
    for (int64_t i = 0; i < n; i++) a[2 * (i * n + i)] += 3;
    return a;
}

typedef struct Factors {
    Arg alpha, beta, real_alpha, real_beta;
} Factors;

static Factors factors(bool empty) {
    return (Factors){C64(1.5, -0.5), C64(empty ? 0 : -0.5, empty ? 0 : 0.75), F64(1.5),
                     F64(empty ? 0 : -0.5)};
}

static void on_vectors(int flags, bool empty) {
    bool one = flags & 1, two = flags & 2, three = flags & 4, four = flags & 8;
    double *a = random_doubles(2 * M * N), *x = random_doubles(2 * N), *y = random_doubles(2 * N),
           *t = triangle(N);
    int64_t in = one ? M : N, out = empty ? 0 : one ? N : M;
    Factors f = factors(empty);
    Arg gemv[] = {BOOL(one), BOOL(two), I64(M), I64(N), f.alpha, Z(a, M * N), Z(x, in), f.beta, Z(y, out)};
    Arg hemv[] = {BOOL(one), I64(N), f.alpha, Z(t, N * N), Z(x, N), f.beta, Z(y, empty ? 0 : N)};
    Arg ger[] = {I64(M), I64(N), f.alpha, Z(y, M), Z(x, N), Z(a, M * N)};
    Arg her[] = {BOOL(one), I64(N), f.real_alpha, Z(x, N), Z(t, N * N)};
    Arg her2[] = {BOOL(one), I64(N), f.alpha, Z(x, N), Z(y, N), Z(t, N * N)};
    Arg trmv[] = {BOOL(one), BOOL(two), BOOL(three), BOOL(four), I64(N), Z(t, N * N), Z(x, N)};
    if (flags < 4) expect("gemv", gemv, COUNT(gemv));
    if (flags < 2) {
        expect("hemv", hemv, COUNT(hemv));
        expect("geru", ger, COUNT(ger));
        expect("gerc", ger, COUNT(ger));
        expect("her", her, COUNT(her));
        expect("her2", her2, COUNT(her2));
    }
    expect("trmv", trmv, COUNT(trmv));
    expect("trsv", trmv, COUNT(trmv));
    free(a), free(x), free(y), free(t);
}

static void on_matrices(int flags, bool empty) {
    bool one = flags & 1, two = flags & 2, three = flags & 4, four = flags & 8, five = flags & 16;
    double *a = random_doubles(32), *b = random_doubles(32), *c = random_doubles(32);
    int64_t side = one ? M : N, mn = empty ? 0 : M * N, mm = empty ? 0 : M * M;
    double *t = triangle(side);
    Factors f = factors(empty);
    Arg gemm[] = {BOOL(one), BOOL(two), BOOL(three), BOOL(four),  I64(M), I64(N),
                  I64(K),    f.alpha,   Z(a, M * K), Z(b, K * N), f.beta, Z(c, mn)};
    Arg symm[] = {BOOL(one),         BOOL(two),   I64(M), I64(N),  f.alpha,
                  Z(t, side * side), Z(b, M * N), f.beta, Z(c, mn)};
    Arg syrk[] = {BOOL(one), BOOL(two), I64(M), I64(K), f.alpha, Z(a, M * K), f.beta, Z(c, mm)};
    Arg herk[] = {BOOL(one), BOOL(two), I64(M), I64(K), f.real_alpha, Z(a, M * K), f.real_beta, Z(c, mm)};
    Arg syr2k[] = {BOOL(one), BOOL(two), I64(M), I64(K), f.alpha, Z(a, M * K), Z(b, M * K), f.beta, Z(c, mm)};
    Arg her2k[] = {BOOL(one),   BOOL(two),   I64(M),      I64(K),  f.alpha,
                   Z(a, M * K), Z(b, M * K), f.real_beta, Z(c, mm)};
    Arg trmm[] = {BOOL(one), BOOL(two), BOOL(three), BOOL(four),        BOOL(five),
                  I64(M),    I64(N),    f.alpha,     Z(t, side * side), Z(b, M * N)};
    if (flags < 16) expect("gemm", gemm, COUNT(gemm));
    if (flags < 4) {
        expect("symm", symm, COUNT(symm));
        expect("hemm", symm, COUNT(symm));
        expect("syrk", syrk, COUNT(syrk));
        expect("herk", herk, COUNT(herk));
        expect("syr2k", syr2k, COUNT(syr2k));
        expect("her2k", her2k, COUNT(her2k));
    }
    if (!empty) {
        expect("trmm", trmm, COUNT(trmm));
        expect("trsm", trmm, COUNT(trmm));
    }
    free(a), free(b), free(c), free(t);
}

static void on_bands(int flags, bool empty) {
    enum { BELOW = 1, ABOVE = 2, WIDTH = BELOW + ABOVE + 1 };
    bool one = flags & 1, two = flags & 2, three = flags & 4, four = flags & 8;
    double *a = random_doubles(2 * M * WIDTH), *x = random_doubles(2 * N), *y = random_doubles(2 * N),
           *t = large(N * (K + 1));
    int64_t in = one ? M : N, out = empty ? 0 : one ? N : M;
    Factors f = factors(empty);
    Arg gbmv[] = {BOOL(one), BOOL(two),       I64(M),   I64(N), I64(BELOW), I64(ABOVE),
                  f.alpha,   Z(a, M * WIDTH), Z(x, in), f.beta, Z(y, out)};
    Arg hbmv[] = {BOOL(one),         I64(N),  I64(K), f.alpha,
                  Z(t, N * (K + 1)), Z(x, N), f.beta, Z(y, empty ? 0 : N)};
    Arg hpmv[] = {BOOL(one), I64(N), f.alpha, Z(t, TRIANGLE), Z(x, N), f.beta, Z(y, empty ? 0 : N)};
    Arg hpr[] = {BOOL(one), I64(N), f.real_alpha, Z(x, N), Z(t, TRIANGLE)};
    Arg hpr2[] = {BOOL(one), I64(N), f.alpha, Z(x, N), Z(y, N), Z(t, TRIANGLE)};
    Arg band[] = {BOOL(one), BOOL(two), BOOL(three), BOOL(four), I64(N), I64(K), Z(t, N * (K + 1)), Z(x, N)};
    Arg packed[] = {BOOL(one), BOOL(two), BOOL(three), BOOL(four), I64(N), Z(t, TRIANGLE), Z(x, N)};
    if (flags < 4) expect("gbmv", gbmv, COUNT(gbmv));
    if (flags < 2) {
        expect("hbmv", hbmv, COUNT(hbmv));
        expect("hpmv", hpmv, COUNT(hpmv));
        expect("hpr", hpr, COUNT(hpr));
        expect("hpr2", hpr2, COUNT(hpr2));
    }
    expect("tbmv", band, COUNT(band));
    expect("tbsv", band, COUNT(band));
    expect("tpmv", packed, COUNT(packed));
    expect("tpsv", packed, COUNT(packed));
    free(a), free(x), free(y), free(t);
}

static bool is_complex(const weld_function_t *f) {
    return f->name[0] == 'c' || f->name[0] == 'z';
}

Test(cblas_complex_derivatives, rows) {
    for (int flags = 0; flags < 16; flags++) on_bands(flags, flags & 1);
    for (int flags = 0; flags < 16; flags++) on_vectors(flags, flags & 4);
    for (int flags = 0; flags < 32; flags++) on_matrices(flags, false);
    for (int flags = 0; flags < 4; flags++) on_matrices(flags, true);
    derived_all_of("cblas", is_complex);
}
