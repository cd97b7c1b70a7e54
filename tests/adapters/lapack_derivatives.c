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

/* Numbers of two vectors of a struct. */
#define PROJECT_PAIR                                                                       \
    "result(for(r.$0, merger[f64, +], |b, i, e| merge(b, f64(e) * sin(f64(i) + 1.0)))) + " \
    "result(for(r.$1, merger[f64, +], |b, i, e| merge(b, f64(e) * cos(3.0 * f64(i)))))"
#define PROJECT_FIRST "result(for(r.$0, merger[f64, +], |b, i, e| merge(b, f64(e) * sin(f64(i) + 1.0))))"

static void with_structure(void) {
    enum { BELOW = 1, ABOVE = 2, WIDTH = BELOW + ABOVE + 1 };
    double *band = random_doubles(N * WIDTH), *b = random_doubles(N * RIGHT);
    double packed[2][N * (N + 1) / 2] = {{4, 0.5, -0.4, 5, 0.3, 4.2}, {4, 0.5, 5, -0.4, 0.3, 4.2}};
    for (int i = 0; i < N; i++) band[i * WIDTH + BELOW] += 4;
    Arg right = VEC("f64", b, N * RIGHT);
    Arg gbsv[] = {I64(N), I64(BELOW), I64(ABOVE), I64(RIGHT), VEC("f64", band, N * WIDTH), right};
    expect("gbsv", gbsv, 6, PROJECT);
    for (int flag = 0; flag < 2; flag++) {
        Arg ppsv[] = {BOOL(!flag), I64(N), I64(RIGHT), VEC("f64", packed[flag], N * (N + 1) / 2), right};
        expect("ppsv", ppsv, 5, PROJECT);
    }
    free(band), free(b);
}

/* Of matrices that are high, wide, and of a rank that they keep: changes of a number leave those of full rank in it only. */
static void least_squares(void) {
    static const int64_t shapes[][2] = {{5, 3}, {3, 5}, {4, 4}};
    for (int k = 0; k < COUNT(shapes); k++) {
        int64_t m = shapes[k][0], n = shapes[k][1];
        double *a = random_doubles(m * n), *b = random_doubles(5 * RIGHT);
        for (int64_t i = 0; i < m && i < n; i++) a[i * n + i] += 2 + (double)i;
        for (int flag = 0; flag < 2; flag++) {
            Arg gels[] = {BOOL(flag),
                          I64(m),
                          I64(n),
                          I64(RIGHT),
                          VEC("f64", a, m * n),
                          VEC("f64", b, (flag ? n : m) * RIGHT)};
            expect("gels", gels, 6, PROJECT);
        }
        Arg any[] = {I64(m), I64(n), I64(RIGHT), F64(1e-5), VEC("f64", a, m * n), VEC("f64", b, m * RIGHT)};
        expect("gelsd", any, 6, PROJECT_PAIR);
        expect("gelss", any, 6, PROJECT_PAIR);
        expect("gelsy", any, 6, PROJECT_FIRST);
        free(a), free(b);
    }
    /* A row of zeros and a column of zeros: rank 2. Only what stays in it may change, so b is what is differentiated by. */
    double low[] = {2, 0, 1, 0, 0, 0, -1, 0, 3}, b[] = {1, 2, 3};
    Arg args[] = {I64(3), I64(3), I64(1), F64(1e-5), VEC("f64", low, 9), VEC("f64", b, 3)};
    double slopes[3];
    cr_expect(check_argument("lapack.dgelsd", args, 6, 5, PROJECT_FIRST, 1e-6, slopes));
}

static void eigenvalues(void) {
    double *a = random_doubles(N * N), b[] = {4, 0.5, -0.4, 0.5, 5, 0.3, -0.4, 0.3, 4.2};
    for (int flag = 0; flag < 2; flag++) {
        Arg args[] = {BOOL(flag), I64(N), VEC("f64", a, N * N), VEC("f64", b, N * N)};
        expect("syev", args, 3, PROJECT_PAIR);
        expect("sygv", args, 4, PROJECT_PAIR);
    }
    free(a);
}

static void expect_complex(const char *name, Arg *args, int64_t count, const char *project) {
    char on_doubles[32], on_floats[32];
    snprintf(on_doubles, sizeof on_doubles, "lapack.z%s", name);
    snprintf(on_floats, sizeof on_floats, "lapack.c%s", name);
    expect_derivative(on_doubles, args, count, project);
    expect_float_derivative(on_doubles, on_floats, args, count, project);
}

/* What of eigenvectors does not depend on their factors of size 1. */
#define PROJECT_VALUES                                                                                \
    "result(for(r.$0, merger[f64, +], |b, i, e| merge(b, f64(e) * sin(f64(i) + 1.0)))) + "            \
    "result(for(r.$1, merger[f64, +], |b, i, e| merge(b, f64(e.$0 * e.$0 + e.$1 * e.$1) * cos(3.0 * " \
    "f64(i)))))"
#define PROJECT_LEAST                                         \
    "(let x = r.$0; result(for(x, merger[f64, +], |b, i, e| " \
    "merge(b, f64(e.$0) * sin(f64(i) + 1.0) + f64(e.$1) * cos(3.0 * f64(i))))))"
#define PROJECT_LEAST_PAIR \
    PROJECT_LEAST " + result(for(r.$1, merger[f64, +], |b, i, e| merge(b, f64(e) * cos(3.0 * f64(i)))))"

static void complex_with_structure(void) {
    enum { BELOW = 1, ABOVE = 2, WIDTH = BELOW + ABOVE + 1, PACKED = N * (N + 1) / 2 };
    double *band = random_doubles(2 * N * WIDTH), *b = random_doubles(2 * N * RIGHT),
           *beside = random_doubles(4), *more = random_doubles(4), *packed = random_doubles(2 * PACKED),
           *narrow = random_doubles(4 * N);
    double diagonal[] = {5, 6, 7}, *whole = random_doubles(2 * N);
    for (int i = 0; i < N; i++) band[2 * (i * WIDTH + BELOW)] += 5, whole[2 * i] += 5;
    Arg right = VEC("{f64,f64}", b, N * RIGHT);
    Arg gbsv[] = {I64(N), I64(BELOW), I64(ABOVE), I64(RIGHT), VEC("{f64,f64}", band, N * WIDTH), right};
    Arg gtsv[] = {I64(N),
                  I64(RIGHT),
                  VEC("{f64,f64}", beside, 2),
                  VEC("{f64,f64}", whole, N),
                  VEC("{f64,f64}", more, 2),
                  right};
    Arg ptsv[] = {I64(N), I64(RIGHT), VEC("f64", diagonal, N), VEC("{f64,f64}", beside, 2), right};
    expect_complex("gbsv", gbsv, 6, PROJECT_COMPLEX);
    expect_complex("gtsv", gtsv, 6, PROJECT_COMPLEX);
    expect_complex("ptsv", ptsv, 5, PROJECT_COMPLEX);
    for (int upper = 0; upper < 2; upper++) {
        for (int i = 0; i < 2 * PACKED; i++) packed[i] = random_number();
        for (int i = 0, at = 0; i < N; at += upper ? N - i : i + 2, i++) packed[2 * at] = 6 + i;
        for (int i = 0; i < N; i++) narrow[2 * (2 * i + !upper)] = 6 + i, narrow[2 * (2 * i + upper)] = 0.5;
        Arg ppsv[] = {BOOL(upper), I64(N), I64(RIGHT), VEC("{f64,f64}", packed, PACKED), right};
        Arg pbsv[] = {BOOL(upper), I64(N), I64(1), I64(RIGHT), VEC("{f64,f64}", narrow, 2 * N), right};
        expect_complex("ppsv", ppsv, 5, PROJECT_COMPLEX);
        expect_complex("pbsv", pbsv, 6, PROJECT_COMPLEX);
    }
    free(band), free(b), free(beside), free(more), free(packed), free(narrow), free(whole);
}

static void complex_least_squares(void) {
    static const int64_t shapes[][2] = {{5, 3}, {3, 5}, {4, 4}};
    for (int k = 0; k < COUNT(shapes); k++) {
        int64_t m = shapes[k][0], n = shapes[k][1];
        double *a = random_doubles(2 * m * n), *b = random_doubles(10 * RIGHT);
        for (int64_t i = 0; i < m && i < n; i++) a[2 * (i * n + i)] += 2 + (double)i;
        Arg matrix = VEC("{f64,f64}", a, m * n);
        for (int flag = 0; flag < 2; flag++) {
            Arg gels[] = {BOOL(flag), I64(m), I64(n),
                          I64(RIGHT), matrix, VEC("{f64,f64}", b, (flag ? n : m) * RIGHT)};
            expect_complex("gels", gels, 6, PROJECT_COMPLEX);
        }
        Arg any[] = {I64(m), I64(n), I64(RIGHT), F64(1e-5), matrix, VEC("{f64,f64}", b, m * RIGHT)};
        expect_complex("gelsd", any, 6, PROJECT_LEAST_PAIR);
        expect_complex("gelss", any, 6, PROJECT_LEAST_PAIR);
        expect_complex("gelsy", any, 6, PROJECT_LEAST);
        free(a), free(b);
    }
}

static void complex_eigenvalues(void) {
    double *a = random_doubles(2 * N * N), *b = random_doubles(2 * N * N);
    for (int i = 0; i < N; i++) a[2 * (i * N + i)] += 2 * i, b[2 * (i * N + i)] = 5;
    for (int flag = 0; flag < 2; flag++) {
        Arg args[] = {BOOL(flag), I64(N), VEC("{f64,f64}", a, N * N), VEC("{f64,f64}", b, N * N)};
        expect_complex("heev", args, 3, PROJECT_VALUES);
        expect_complex("hegv", args, 4, PROJECT_VALUES);
    }
    free(a), free(b);
}

static void of_complex_numbers(void) {
    double *a = random_doubles(2 * N * N), *b = random_doubles(2 * N * RIGHT);
    double lu[2 * N * N];
    lapack_int exchanged[N];
    int32_t pivots[N];
    for (int i = 0; i < N; i++) a[2 * (i * N + i)] += 4;
    memcpy(lu, a, sizeof lu);
    LAPACKE_zgetrf(LAPACK_ROW_MAJOR, N, N, (void *)lu, N, exchanged);
    for (int i = 0; i < N; i++) pivots[i] = (int32_t)exchanged[i];
    Arg matrix = VEC("{f64,f64}", a, N * N), right = VEC("{f64,f64}", b, N * RIGHT);
    Arg gesv[] = {I64(N), I64(RIGHT), matrix, right}, inv[] = {I64(N), matrix};
    expect_complex("gesv", gesv, 4, PROJECT_COMPLEX);
    expect_complex("inv", inv, 2, PROJECT_COMPLEX);
    expect_complex("det", inv, 2, "f64(r.$0) * 1.5 - f64(r.$1)");
    for (int flags = 0; flags < 4; flags++) {
        Arg getrs[] = {BOOL(flags & 1),
                       BOOL(flags & 2),
                       I64(N),
                       I64(RIGHT),
                       VEC("{f64,f64}", lu, N * N),
                       VEC("i32", pivots, N),
                       right};
        expect_complex("getrs", getrs, 7, PROJECT_COMPLEX);
    }
    for (int flag = 0; flag < 2; flag++) {
        Arg posv[] = {BOOL(flag), I64(N), I64(RIGHT), matrix, right}, potrf[] = {BOOL(flag), I64(N), matrix};
        expect_complex("posv", posv, 5, PROJECT_COMPLEX);
        expect_complex("hesv", posv, 5, PROJECT_COMPLEX);
        expect_complex("sysv", posv, 5, PROJECT_COMPLEX);
        expect_complex("potrs", posv, 5, PROJECT_COMPLEX);
        expect_complex("potrf", potrf, 3, PROJECT_COMPLEX);
    }
    for (int flags = 0; flags < 16; flags++) {
        Arg trtrs[] = {BOOL(flags & 1), BOOL(flags & 2), BOOL(flags & 4), BOOL(flags & 8),
                       I64(N),          I64(RIGHT),      matrix,          right};
        expect_complex("trtrs", trtrs, 8, PROJECT_COMPLEX);
    }
    free(a), free(b);
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
    free(a), free(b);
    with_structure();
    least_squares();
    eigenvalues();
    of_complex_numbers();
    complex_with_structure();
    complex_least_squares();
    complex_eigenvalues();
    derived_all("lapack");
}

/* The eigenvalues of any matrix have none here: the message names the function, at the call. */
Test(lapack_derivatives, that_there_are_not) {
    double a[] = {2, 1, 1, 3};
    Arg args[] = {VEC("f64", a, 4)};
    weld_error_t error = weld_error_new();
    cr_assert_null(value_of(0, "|p| grad(|p| sum(lapack.dgeev(2L, p).$0))(p)", args, 1, error));
    cr_expect(strstr(weld_error_message(error), "weld_lapack_dgeev is a C function"), "%s",
              weld_error_message(error));
    weld_error_free(error);
}
