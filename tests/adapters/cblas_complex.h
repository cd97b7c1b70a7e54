/* cblas_complex.h: tests of the rows of level 1 on complex numbers of one precision; included by cblas.c once for each, with
 *     REAL, FLOATS, SCALAR(x), EPS, TEST(name)   as in cblas_rows.h, of the real numbers; ROW(name) of these tests
 *     E             "{f64,f64}"           CBLAS(name)      cblas_zname
 *     REAL_OF(name) cblas_dzname          BY_REAL(name)    cblas_zdname        CBLAS_IAMAX   cblas_izamax
 */

/* Complex vectors of n elements are vectors of 2 n reals. */
static void ROW(each_complex)(int engine, const char *full,
                              void (*check)(int engine, const char *full, int n, REAL *x, REAL *y)) {
    static const int sizes[] = {0, 1, 2, 3, 4, 5, 7, 8, 9, 15, 16, 17, 31, 64, 100, 1000, 4099};
    for (int k = 0; k < (int)COUNT(sizes); k++) {
        REAL *x = TEST(random)(2 * sizes[k]), *y = TEST(random)(2 * sizes[k]);
        check(engine, full, sizes[k], x, y);
        free(x);
        free(y);
    }
    REAL *x = TEST(random)(20), *y = TEST(random)(20);
    x[7] = NAN;
    check(engine, full, 10, x, y);
    x[7] = MOST;
    check(engine, full, 10, x, y);
    free(x);
    free(y);
}

static double ROW(total)(int n, const REAL *x, const REAL *y) {
    double sum = 0;
    for (int i = 0; i < 2 * n; i++) sum += fabs((double)x[i]) + fabs((double)y[i]);
    return isfinite(sum) ? sum : 1;
}

/* The result holds 2 * n reals, in a vector or, of a number, in place. */
static void ROW(expect_complex)(const char *full, weld_value_t value, bool number, const REAL *expected,
                                int n, double scale) {
    Vector got = {weld_value_data(value), 2};
    if (!number) {
        got = *(const Vector *)weld_value_data(value);
        cr_assert_eq(got.length, n, "%s", full);
        got.length *= 2;
    }
    expect_vector_of(full, &got, expected, got.length, FLOATS, 16 * (double)EPS, scale);
    weld_value_free(value);
}

#define CX VEC(E, x, n)
#define CY VEC(E, y, n)
#define COMPLEX(name, ...)                                                            \
    static void ROW(name##_of)(int engine, const char *full, int n, REAL *x, REAL *y) \
        __VA_ARGS__ static void ROW(name)(int engine, const char *full) {             \
        ROW(each_complex)(engine, full, ROW(name##_of));                              \
    }

COMPLEX(dotu, {
    REAL expected[2];
    Arg args[] = {CX, CY};
    CBLAS(dotu_sub)(n, x, 1, y, 1, expected);
    ROW(expect_complex)(full, call(engine, full, args, 2), true, expected, 1, ROW(total)(n, x, y));
})
COMPLEX(dotc, {
    REAL expected[2];
    Arg args[] = {CX, CY};
    CBLAS(dotc_sub)(n, x, 1, y, 1, expected);
    ROW(expect_complex)(full, call(engine, full, args, 2), true, expected, 1, ROW(total)(n, x, y));
})

/* A factor as data of its own, since an argument of a row is one number. */
static weld_value_t ROW(with_factors)(int engine, const char *full, const REAL *a, const REAL *c, int n,
                                      REAL *x, REAL *y) {
    weld_error_t error = weld_error_new();
    Vector vx = {x, n}, vy = {y, n};
    edges_note(&(Arg)VEC(E, x, n));
    int64_t count = 0;
    weld_lazy_t args[4];
    args[count++] = weld_lazy_data(E, a, NULL, NULL, error);
    args[count++] = weld_lazy_data("vec[" E "]", &vx, NULL, NULL, error);
    if (c) args[count++] = weld_lazy_data(E, c, NULL, NULL, error);
    if (y) args[count++] = weld_lazy_data("vec[" E "]", &vy, NULL, NULL, error);
    weld_lazy_t lazy = weld_lazy_call(full, args, count, error);
    weld_value_t value = NULL;
    bool ok = lazy && weld_lazy_evaluate(context_of(engine), &lazy, 1, &value, error);
    cr_assert(ok, "%s: %s", full, weld_error_message(error));
    for (int64_t i = 0; i < count; i++) weld_lazy_free(args[i]);
    weld_lazy_free(lazy);
    weld_error_free(error);
    return value;
}

static const REAL ROW(factors)[][2] = {{1, 0}, {0, 0}, {(REAL)-1.5, (REAL)0.25}, {0, 2}};

COMPLEX(axpy, {
    for (int k = 0; k < 4; k++) {
        const REAL *a = ROW(factors)[k];
        REAL *expected = TEST(copy_of)(y, 2 * n);
        CBLAS(axpy)(n, a, x, 1, expected, 1);
        ROW(expect_complex)(full, ROW(with_factors)(engine, full, a, NULL, n, x, y), false, expected, n, 1);
        free(expected);
    }
})
COMPLEX(axpby, {
    for (int k = 0; k < 16; k++) {
        const REAL *a = ROW(factors)[k % 4], *c = ROW(factors)[k / 4];
        REAL *expected = TEST(copy_of)(y, 2 * n);
        CBLAS(axpby)(n, a, x, 1, c, expected, 1);
        ROW(expect_complex)(full, ROW(with_factors)(engine, full, a, c, n, x, y), false, expected, n, 1);
        free(expected);
    }
})
COMPLEX(scal, {
    const REAL a[] = {(REAL)-1.5, (REAL)0.25};
    REAL *expected = TEST(copy_of)(x, 2 * n);
    (void)y;
    CBLAS(scal)(n, a, expected, 1);
    ROW(expect_complex)(full, ROW(with_factors)(engine, full, a, NULL, n, x, NULL), false, expected, n, 1);
    free(expected);
})
COMPLEX(real_scal, {
    REAL *expected = TEST(copy_of)(x, 2 * n);
    Arg args[] = {SCALAR((REAL)0.75), CX};
    (void)y;
    BY_REAL(scal)(n, (REAL)0.75, expected, 1);
    ROW(expect_complex)(full, call(engine, full, args, 2), false, expected, n, 0);
    free(expected);
})
COMPLEX(complex_copy, {
    Arg args[] = {CX};
    (void)y;
    ROW(expect_complex)(full, call(engine, full, args, 1), false, x, n, 0);
})

/* A pair of vectors. */
static void ROW(expect_two)(const char *full, weld_value_t value, const REAL *first, const REAL *second,
                            int n) {
    const Vector *got = weld_value_data(value);
    for (int k = 0; k < 2; k++) {
        Vector flat = {got[k].data, 2 * got[k].length};
        expect_vector_of(full, &flat, k ? second : first, 2 * n, FLOATS, 8 * (double)EPS, 1);
    }
    weld_value_free(value);
}
COMPLEX(complex_swap, {
    Arg args[] = {CX, CY};
    ROW(expect_two)(full, call(engine, full, args, 2), y, x, n);
})
COMPLEX(complex_rot, {
    REAL *a = TEST(copy_of)(x, 2 * n), *c = TEST(copy_of)(y, 2 * n);
    Arg args[] = {CX, CY, SCALAR((REAL)0.6), SCALAR((REAL)0.8)};
    BY_REAL(rot)(n, a, 1, c, 1, (REAL)0.6, (REAL)0.8);
    ROW(expect_two)(full, call(engine, full, args, 4), a, c, n);
    free(a);
    free(c);
})

#define COMPLEX_TO_REAL(name)                                                                \
    COMPLEX(complex_##name, {                                                                \
        Arg args[] = {CX};                                                                   \
        TEST(expect_real)(full, call(engine, full, args, 1), (double)REAL_OF(name)(n, x, 1), \
                          ROW(total)(n, x, y));                                              \
    })
COMPLEX_TO_REAL(asum)
COMPLEX_TO_REAL(nrm2)

/* By its definition where there is NaN, as the real one. */
COMPLEX(complex_iamax, {
    Arg args[] = {CX};
    int64_t expected = 0;
    bool nan = false;
    (void)y;
    for (int i = 0; i < n; i++) {
        double most = fabs((double)x[2 * expected]) + fabs((double)x[2 * expected + 1]);
        double size = fabs((double)x[2 * i]) + fabs((double)x[2 * i + 1]);
        nan = nan || isnan(size);
        if (size > most) expected = i;
    }
    if (!nan) expected = (int64_t)CBLAS_IAMAX(n, x, 1);
    weld_value_t value = call(engine, full, args, 1);
    cr_expect_eq(*(const int64_t *)weld_value_data(value), expected, "%s of %d", full, n);
    weld_value_free(value);
})
#undef CX
#undef CY
#undef COMPLEX
#undef COMPLEX_TO_REAL
