/* cblas_rows.h: tests of the rows of one precision; included by cblas.c once for each, with
 *     REAL         double or float          FLOATS       is it float
 *     E            "f64" or "f32"           SCALAR(x)    an argument of this type
 *     CBLAS(name)  cblas_dname              TEST(name)   the name of a function here
 *     EPS          the distance from 1 to the next number
 */
typedef struct {
    REAL *data;
    int64_t length;
} TEST(Reals);

static REAL *TEST(random)(int64_t count) {
    REAL *data = malloc((size_t)(count > 0 ? count : 1) * sizeof *data);
    cr_assert_not_null(data);
    for (int64_t i = 0; i < count; i++) data[i] = (REAL)random_number();
    return data;
}

static REAL *TEST(copy_of)(const REAL *from, int64_t count) {
    REAL *data = TEST(random)(count);
    for (int64_t i = 0; i < count; i++) data[i] = from[i];
    return data;
}

/* The result is one vector. */
static void TEST(expect_reals)(int engine, const char *full, const Arg *args, int64_t count,
                               const REAL *expected, int64_t length, double scale) {
    weld_value_t value = call(engine, full, args, count);
    expect_vector_of(full, weld_value_data(value), expected, length, FLOATS, 64 * (double)EPS, scale);
    weld_value_free(value);
}

/* ---- level 1 ---- */

/* Vectors of every length, and some that overflow, underflow or hold NaN or infinities. */
static void TEST(each_pair)(int engine, const char *full,
                            void (*check)(int engine, const char *full, int n, REAL *x, REAL *y)) {
    static const int more[] = {127, 1000, 4099, 100003};
    for (int k = 0; k < 100 + (int)COUNT(more); k += k < 20 ? 1 : k < 100 ? 7 : 1) {
        int n = k < 100 ? k : more[k - 100];
        REAL *x = TEST(random)(n), *y = TEST(random)(n);
        check(engine, full, n, x, y);
        free(x);
        free(y);
    }
    static const double special[] = {NAN, INFINITY, -INFINITY, 0, -0.0};
    for (int k = 0; k < 24; k++) {
        int n = 1 + (int)random_below(40);
        REAL *x = TEST(random)(n), *y = TEST(random)(n);
        REAL large = FLOATS ? (REAL)1e30 : (REAL)1e250, small = FLOATS ? (REAL)1e-38 : (REAL)1e-300;
        for (int i = 0; i < n; i++) x[i] *= k % 3 == 0 ? large : k % 3 == 1 ? small : 1;
        if (k % 3 == 2) x[random_below(n)] = (REAL)special[k / 3 % 5];
        check(engine, full, n, x, y);
        free(x);
        free(y);
    }
}

static void TEST(expect_real)(const char *full, weld_value_t value, double expected, double scale) {
    double got = (double)*(const REAL *)weld_value_data(value);
    expect_near(full, got, expected, 8 * (double)EPS * scale);
    weld_value_free(value);
}

static double TEST(sum_of_products)(int n, const REAL *x, const REAL *y) {
    double sum = 0;
    for (int i = 0; i < n; i++) sum += fabs((double)x[i] * (double)y[i]);
    return isfinite(sum) ? sum * (1 + sqrt((double)n)) : 0;
}

static void TEST(dot_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    Arg args[] = {VEC(E, x, n), VEC(E, y, n)};
    double scale = TEST(sum_of_products)(n, x, y);
    TEST(expect_real)(full, call(engine, full, args, 2), (double)CBLAS(dot)(n, x, 1, y, 1), scale);
}
static void TEST(dot)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(dot_of));
}

static void TEST(axpy_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    static const REAL factors[] = {(REAL)1.25, 0, -1, (REAL)1e-3};
    for (int k = 0; k < 4; k++) {
        REAL *expected = TEST(copy_of)(y, n);
        CBLAS(axpy)(n, factors[k], x, 1, expected, 1);
        Arg args[] = {SCALAR(factors[k]), VEC(E, x, n), VEC(E, y, n)};
        TEST(expect_reals)(engine, full, args, 3, expected, n, 1);
        free(expected);
    }
}
static void TEST(axpy)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(axpy_of));
}

static void TEST(axpby_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    static const REAL factors[] = {(REAL)1.25, 0, -1};
    for (int k = 0; k < 9; k++) {
        REAL a = factors[k / 3], b = factors[k % 3];
        REAL *expected = TEST(copy_of)(y, n);
        CBLAS(axpby)(n, a, x, 1, b, expected, 1);
        Arg args[] = {SCALAR(a), VEC(E, x, n), SCALAR(b), VEC(E, y, n)};
        TEST(expect_reals)(engine, full, args, 4, expected, n, 1);
        free(expected);
    }
}
static void TEST(axpby)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(axpby_of));
}

static void TEST(scal_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    (void)y;
    REAL *expected = TEST(copy_of)(x, n);
    CBLAS(scal)(n, (REAL)-2.5, expected, 1);
    Arg args[] = {SCALAR((REAL)-2.5), VEC(E, x, n)};
    TEST(expect_reals)(engine, full, args, 2, expected, n, 0);
    free(expected);
}
static void TEST(scal)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(scal_of));
}

static void TEST(copy_vector_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    (void)y;
    REAL *expected = TEST(random)(n);
    CBLAS(copy)(n, x, 1, expected, 1);
    Arg args[] = {VEC(E, x, n)};
    TEST(expect_reals)(engine, full, args, 1, expected, n, 0);
    free(expected);
}
static void TEST(copy)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(copy_vector_of));
}

static void TEST(expect_pair)(int engine, const char *full, const Arg *args, int64_t count, const REAL *first,
                              const REAL *second, int64_t n, double scale) {
    weld_value_t value = call(engine, full, args, count);
    const Vector *pair = weld_value_data(value);
    expect_vector_of(full, &pair[0], first, n, FLOATS, 8 * (double)EPS, scale);
    expect_vector_of(full, &pair[1], second, n, FLOATS, 8 * (double)EPS, scale);
    weld_value_free(value);
}

static void TEST(swap_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    REAL *a = TEST(copy_of)(x, n), *b = TEST(copy_of)(y, n);
    CBLAS(swap)(n, a, 1, b, 1);
    Arg args[] = {VEC(E, x, n), VEC(E, y, n)};
    TEST(expect_pair)(engine, full, args, 2, a, b, n, 0);
    free(a);
    free(b);
}
static void TEST(swap)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(swap_of));
}

static void TEST(nrm2_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    (void)y;
    Arg args[] = {VEC(E, x, n)};
    double expected = (double)CBLAS(nrm2)(n, x, 1);
    TEST(expect_real)(full, call(engine, full, args, 1), expected, fabs(expected));
}
static void TEST(nrm2)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(nrm2_of));
    /* The largest and the smallest numbers there are. */
    REAL ends[][3] = {
        {MOST / 4, MOST / 2, 1}, {MOST, 0, -MOST / 8}, {LEAST, 4 * LEAST, 0}, {LEAST, 0, MOST / 2}};
    for (int k = 0; k < 4; k++) TEST(nrm2_of)(engine, full, 3, ends[k], NULL);
}

static void TEST(asum_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    (void)y;
    Arg args[] = {VEC(E, x, n)};
    double expected = (double)CBLAS(asum)(n, x, 1), scale = fabs(expected) * (1 + sqrt((double)n));
    TEST(expect_real)(full, call(engine, full, args, 1), expected, isfinite(scale) ? scale : 0);
}
static void TEST(asum)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(asum_of));
}

/* By its definition in the reference BLAS where there is NaN: what the library does there depends on the processor. */
static void TEST(iamax_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    (void)y;
    Arg args[] = {VEC(E, x, n)};
    int64_t expected = 0;
    bool nan = false;
    for (int i = 0; i < n; i++) {
        nan = nan || isnan(x[i]);
        if (fabs((double)x[i]) > fabs((double)x[expected])) expected = i;
    }
    if (!nan) expected = (int64_t)CBLAS_IAMAX(n, x, 1);
    weld_value_t value = call(engine, full, args, 1);
    int64_t got = *(const int64_t *)weld_value_data(value);
    cr_expect(got == expected, "%s: %ld instead of %ld of %d", full, (long)got, (long)expected, n);
    weld_value_free(value);
}
static void TEST(iamax)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(iamax_of));
    REAL some[] = {(REAL)NAN, 3, 4, -4, (REAL)NAN, 4};
    for (int from = 0; from < 6; from++) TEST(iamax_of)(engine, full, 6 - from, some + from, NULL);
}

static void TEST(rot_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    REAL *a = TEST(copy_of)(x, n), *b = TEST(copy_of)(y, n), c = (REAL)0.6, s = (REAL)-0.8;
    CBLAS(rot)(n, a, 1, b, 1, c, s);
    Arg args[] = {VEC(E, x, n), VEC(E, y, n), SCALAR(c), SCALAR(s)};
    TEST(expect_pair)(engine, full, args, 4, a, b, n, 1);
    free(a);
    free(b);
}
static void TEST(rot)(int engine, const char *full) {
    TEST(each_pair)(engine, full, TEST(rot_of));
}

static void TEST(rotm_of)(int engine, const char *full, int n, REAL *x, REAL *y) {
    for (int flag = -2; flag <= 1; flag++) {
        REAL *a = TEST(copy_of)(x, n), *b = TEST(copy_of)(y, n);
        REAL p[] = {(REAL)flag, (REAL)0.5, (REAL)-2, (REAL)3, (REAL)-0.25};
        CBLAS(rotm)(n, a, 1, b, 1, p);
        Arg args[] = {VEC(E, x, n), VEC(E, y, n), VEC(E, p, 5)};
        TEST(expect_pair)(engine, full, args, 3, a, b, n, 4);
        free(a);
        free(b);
    }
}
static void TEST(rotm)(int engine, const char *full) {
    REAL x[] = {1}, p[] = {-1, 2};
    Arg args[] = {VEC(E, x, 1), VEC(E, x, 1), VEC(E, p, 2)};
    expect_failure(engine, full, args, 3, "a short p");
    TEST(each_pair)(engine, full, TEST(rotm_of));
}

/* The library's doubles overflow and underflow on the way, as its floats do not: there the same in more digits. */
static void TEST(rotation)(REAL *r, REAL *z, REAL *c, REAL *s) {
    long double a = *r, b = *z, length = sqrtl(a * a + b * b);
    CBLAS(rotg)(r, z, c, s);
    if (FLOATS || !isfinite(a) || !isfinite(b) || length == 0 || (length < 1e150L && length > 1e-150L))
        return;
    if ((fabsl(a) > fabsl(b) ? a : b) < 0) length = -length;
    *r = (REAL)length;
    *c = (REAL)(a / length);
    *s = (REAL)(b / length);
    *z = (REAL)(fabsl(a) > fabsl(b) ? b / length : a != 0 ? length / a : 1);
}

static void TEST(rotg)(int engine, const char *full) {
    static const REAL some[] = {0,    1,     -2,    (REAL)0.3, (REAL)1e30, (REAL)1e-30,
                                MOST, -MOST, LEAST, INFINITY,  NAN};
    for (int k = 0; k < 121; k++) {
        REAL expected[] = {some[k / 11], some[k % 11], 0, 0};
        Arg args[] = {SCALAR(expected[0]), SCALAR(expected[1])};
        TEST(rotation)(&expected[0], &expected[1], &expected[2], &expected[3]);
        weld_value_t value = call(engine, full, args, 2);
        Vector got = {weld_value_data(value), 4};
        expect_vector_of(full, &got, expected, 4, FLOATS, 4 * (double)EPS, 0);
        weld_value_free(value);
    }
}

static void TEST(rotmg)(int engine, const char *full) {
    static const REAL some[] = {0, 1, -2, (REAL)0.3, (REAL)1e6, NAN, (REAL)(FLOATS ? 1e25 : 1e170)};
    for (int k = 0; k < 7 * 7 * 7 * 7; k += 5) {
        REAL d1 = some[k % 7], d2 = some[k / 7 % 7], x = some[k / 49 % 7], y = some[k / 343], p[5] = {0};
        Arg args[] = {SCALAR(d1), SCALAR(d2), SCALAR(x), SCALAR(y)};
        CBLAS(rotmg)(&d1, &d2, &x, y, p);
        weld_value_t value = call(engine, full, args, 4);
        const struct {
            REAL d1, d2, x;
            Vector p;
        } *got = weld_value_data(value);
        REAL expected[] = {d1, d2, x}, found[] = {got->d1, got->d2, got->x};
        expect_vector_of(full, &(Vector){found, 3}, expected, 3, FLOATS, 4 * (double)EPS, 0);
        expect_vector_of(full, &got->p, p, 5, FLOATS, 4 * (double)EPS, 0);
        weld_value_free(value);
    }
    /* The library would not return. */
    const REAL far[][4] = {
        {INFINITY, 1, 1, 1}, {1, INFINITY, 1, 1}, {1, -INFINITY, 1, 1}, {MOST, -MOST * (1 - EPS), 1, 1}};
    for (int k = 0; k < 4; k++) {
        Arg args[] = {SCALAR(far[k][0]), SCALAR(far[k][1]), SCALAR(far[k][2]), SCALAR(far[k][3])};
        expect_failure(engine, full, args, 4, "a factor that overflows");
    }
}

/* ---- levels 2 and 3 ---- */

/* What a function of level 2 or 3 takes, of random sizes and flags. */
typedef struct {
    int m, n, k;
    bool flag[4];
    REAL alpha, beta;
    REAL *a, *b, *c, *out; /* of the sizes that the row asks for */
    int64_t na, nb, nc;
} TEST(Case);

static void TEST(case_open)(TEST(Case) * t) {
    static const int sizes[] = {0, 1, 2, 3, 5, 8, 17, 33};
    static const REAL factors[] = {1, 0, (REAL)-1.5};
    *t = (TEST(Case)){.m = sizes[random_below(8)], .n = sizes[random_below(8)], .k = sizes[random_below(8)]};
    for (int i = 0; i < 4; i++) t->flag[i] = random_below(2);
    t->alpha = factors[random_below(3)];
    t->beta = factors[random_below(3)];
}

/* Now and then a NaN, or a number that overflows, at some place. */
static void TEST(spoil)(REAL *data, int64_t count) {
    static const double bad[] = {NAN, INFINITY, (double)MOST, -(double)MOST};
    if (count > 0 && random_below(6) == 0) data[random_below(count)] = (REAL)bad[random_below(4)];
}

static void TEST(case_fill)(TEST(Case) * t, int64_t na, int64_t nb, int64_t nc) {
    t->na = na;
    t->nb = nb;
    t->nc = nc;
    t->a = TEST(random)(na);
    t->b = TEST(random)(nb);
    t->c = TEST(random)(nc);
    TEST(spoil)(t->a, na), TEST(spoil)(t->b, nb), TEST(spoil)(t->c, nc);
    t->out = TEST(copy_of)(t->c, nc);
    for (int64_t i = 0; t->beta == 0 && i < nc; i++) t->out[i] = 0;
}

/* `last` is updated and holds what the library left in out. */
static void TEST(case_close)(TEST(Case) * t, int engine, const char *full, const Arg *args, int64_t count) {
    TEST(expect_reals)(engine, full, args, count, t->out, t->nc, 1 + t->m + t->n + t->k);
    bool is_small = t->na && t->na < 20 && t->nb && t->nb < 20 && t->nc && t->nc < 20 && t->beta != 0;
    if (is_small) expect_checked(engine, full, args, count, 0);
    free(t->a);
    free(t->b);
    free(t->c);
    free(t->out);
}

enum { TEST(ROUNDS) = 40 };

static int TEST(ld)(int n) {
    return n > 0 ? n : 1;
}

static void TEST(gemv)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        bool trans = t.flag[0];
        int in = trans ? t.m : t.n, out = trans ? t.n : t.m;
        TEST(case_fill)(&t, t.m * t.n, in, out);
        if (t.m * t.n == 0)
            CBLAS(scal)(out, t.beta, t.out, 1); /* the library forgets beta */
        else
            CBLAS(gemv)
        (CblasRowMajor, trans ? CblasTrans : CblasNoTrans, t.m, t.n, t.alpha, t.a, t.n, t.b, 1, t.beta, t.out,
         1);
        Arg args[] = {BOOL(trans),       I64(t.m),
                      I64(t.n),          SCALAR(t.alpha),
                      VEC(E, t.a, t.na), VEC(E, t.b, t.nb),
                      SCALAR(t.beta),    VEC(E, t.c, t.beta == 0 && round % 2 ? 0 : t.nc)};
        TEST(case_close)(&t, engine, full, args, 8);
    }
}

static void TEST(symv)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        TEST(case_fill)(&t, t.n * t.n, t.n, t.n);
        CBLAS(symv)
        (CblasRowMajor, t.flag[0] ? CblasUpper : CblasLower, t.n, t.alpha, t.a, TEST(ld)(t.n), t.b, 1, t.beta,
         t.out, 1);
        Arg args[] = {BOOL(t.flag[0]),   I64(t.n),       SCALAR(t.alpha),  VEC(E, t.a, t.na),
                      VEC(E, t.b, t.nb), SCALAR(t.beta), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 7);
    }
}

static void TEST(ger)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        t.beta = 1;
        TEST(case_fill)(&t, t.m, t.n, t.m * t.n);
        CBLAS(ger)(CblasRowMajor, t.m, t.n, t.alpha, t.a, 1, t.b, 1, t.out, TEST(ld)(t.n));
        Arg args[] = {I64(t.m),          I64(t.n),          SCALAR(t.alpha),
                      VEC(E, t.a, t.na), VEC(E, t.b, t.nb), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 6);
    }
}

static void TEST(syr)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        t.beta = 1;
        TEST(case_fill)(&t, t.n, 1, t.n * t.n);
        CBLAS(syr)
        (CblasRowMajor, t.flag[0] ? CblasUpper : CblasLower, t.n, t.alpha, t.a, 1, t.out, TEST(ld)(t.n));
        Arg args[] = {BOOL(t.flag[0]), I64(t.n), SCALAR(t.alpha), VEC(E, t.a, t.na), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 5);
    }
}

static void TEST(syr2)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        t.beta = 1;
        TEST(case_fill)(&t, t.n, t.n, t.n * t.n);
        CBLAS(syr2)
        (CblasRowMajor, t.flag[0] ? CblasUpper : CblasLower, t.n, t.alpha, t.a, 1, t.b, 1, t.out,
         TEST(ld)(t.n));
        Arg args[] = {BOOL(t.flag[0]),   I64(t.n),          SCALAR(t.alpha),
                      VEC(E, t.a, t.na), VEC(E, t.b, t.nb), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 6);
    }
}

/* A diagonal that makes solving well-conditioned. */
static void TEST(raise_diagonal)(REAL *a, int n) {
    for (int i = 0; i < n * n; i++) a[i] *= (REAL)(0.5 / (n + 1));
    for (int i = 0; i < n; i++) a[i * n + i] = (REAL)(1.5 + 0.25 * random_number());
}

static void TEST(triangle_vector)(int engine, const char *full, bool solve) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        t.beta = 1;
        TEST(case_fill)(&t, t.n * t.n, 1, t.n);
        TEST(raise_diagonal)(t.a, t.n);
        enum CBLAS_UPLO uplo = t.flag[0] ? CblasUpper : CblasLower;
        enum CBLAS_TRANSPOSE trans = t.flag[1] ? CblasTrans : CblasNoTrans;
        enum CBLAS_DIAG diag = t.flag[2] ? CblasUnit : CblasNonUnit;
        if (solve)
            CBLAS(trsv)(CblasRowMajor, uplo, trans, diag, t.n, t.a, TEST(ld)(t.n), t.out, 1);
        else
            CBLAS(trmv)(CblasRowMajor, uplo, trans, diag, t.n, t.a, TEST(ld)(t.n), t.out, 1);
        Arg args[] = {BOOL(t.flag[0]), BOOL(t.flag[1]),   BOOL(t.flag[2]),
                      I64(t.n),        VEC(E, t.a, t.na), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 6);
    }
}
static void TEST(trmv)(int engine, const char *full) {
    TEST(triangle_vector)(engine, full, false);
}
static void TEST(trsv)(int engine, const char *full) {
    TEST(triangle_vector)(engine, full, true);
}

static void TEST(gemm)(int engine, const char *full) {
    for (int round = 0; round < 2 * TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        if (round == 0) t.m = 150, t.n = 130, t.k = 170;
        TEST(case_fill)(&t, t.m * t.k, t.k * t.n, t.m * t.n);
        bool ta = t.flag[0], tb = t.flag[1];
        CBLAS(gemm)
        (CblasRowMajor, ta ? CblasTrans : CblasNoTrans, tb ? CblasTrans : CblasNoTrans, t.m, t.n, t.k,
         t.alpha, t.a, TEST(ld)(ta ? t.m : t.k), t.b, TEST(ld)(tb ? t.k : t.n), t.beta, t.out, TEST(ld)(t.n));
        Arg args[] = {BOOL(ta),          BOOL(tb),
                      I64(t.m),          I64(t.n),
                      I64(t.k),          SCALAR(t.alpha),
                      VEC(E, t.a, t.na), VEC(E, t.b, t.nb),
                      SCALAR(t.beta),    VEC(E, t.c, t.beta == 0 && round % 2 ? 0 : t.nc)};
        TEST(case_close)(&t, engine, full, args, 10);
    }
}

static void TEST(symm)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        bool left = t.flag[0], upper = t.flag[1];
        int order = left ? t.m : t.n;
        TEST(case_fill)(&t, order * order, t.m * t.n, t.m * t.n);
        CBLAS(symm)
        (CblasRowMajor, left ? CblasLeft : CblasRight, upper ? CblasUpper : CblasLower, t.m, t.n, t.alpha,
         t.a, TEST(ld)(order), t.b, TEST(ld)(t.n), t.beta, t.out, TEST(ld)(t.n));
        Arg args[] = {BOOL(left),        BOOL(upper),       I64(t.m),       I64(t.n),         SCALAR(t.alpha),
                      VEC(E, t.a, t.na), VEC(E, t.b, t.nb), SCALAR(t.beta), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 9);
    }
}

static void TEST(syrk)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        TEST(case_fill)(&t, t.n * t.k, 1, t.n * t.n);
        CBLAS(syrk)
        (CblasRowMajor, t.flag[0] ? CblasUpper : CblasLower, t.flag[1] ? CblasTrans : CblasNoTrans, t.n, t.k,
         t.alpha, t.a, TEST(ld)(t.flag[1] ? t.n : t.k), t.beta, t.out, TEST(ld)(t.n));
        Arg args[] = {BOOL(t.flag[0]), BOOL(t.flag[1]),   I64(t.n),       I64(t.k),
                      SCALAR(t.alpha), VEC(E, t.a, t.na), SCALAR(t.beta), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 8);
    }
}

static void TEST(syr2k)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        TEST(case_fill)(&t, t.n * t.k, t.n * t.k, t.n * t.n);
        int ld = TEST(ld)(t.flag[1] ? t.n : t.k);
        CBLAS(syr2k)
        (CblasRowMajor, t.flag[0] ? CblasUpper : CblasLower, t.flag[1] ? CblasTrans : CblasNoTrans, t.n, t.k,
         t.alpha, t.a, ld, t.b, ld, t.beta, t.out, TEST(ld)(t.n));
        Arg args[] = {BOOL(t.flag[0]),   BOOL(t.flag[1]),   I64(t.n),       I64(t.k),         SCALAR(t.alpha),
                      VEC(E, t.a, t.na), VEC(E, t.b, t.nb), SCALAR(t.beta), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 9);
    }
}

static void TEST(triangle_matrix)(int engine, const char *full, bool solve) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        t.beta = 1;
        int order = t.flag[0] ? t.m : t.n;
        TEST(case_fill)(&t, order * order, 1, t.m * t.n);
        TEST(raise_diagonal)(t.a, order);
        enum CBLAS_SIDE side = t.flag[0] ? CblasLeft : CblasRight;
        enum CBLAS_UPLO uplo = t.flag[1] ? CblasUpper : CblasLower;
        enum CBLAS_TRANSPOSE trans = t.flag[2] ? CblasTrans : CblasNoTrans;
        enum CBLAS_DIAG diag = t.flag[3] ? CblasUnit : CblasNonUnit;
        int lda = TEST(ld)(order), ldb = TEST(ld)(t.n);
        if (solve)
            CBLAS(trsm)(CblasRowMajor, side, uplo, trans, diag, t.m, t.n, t.alpha, t.a, lda, t.out, ldb);
        else
            CBLAS(trmm)(CblasRowMajor, side, uplo, trans, diag, t.m, t.n, t.alpha, t.a, lda, t.out, ldb);
        Arg args[] = {BOOL(t.flag[0]), BOOL(t.flag[1]), BOOL(t.flag[2]),   BOOL(t.flag[3]),  I64(t.m),
                      I64(t.n),        SCALAR(t.alpha), VEC(E, t.a, t.na), VEC(E, t.c, t.nc)};
        TEST(case_close)(&t, engine, full, args, 9);
    }
}
static void TEST(trmm)(int engine, const char *full) {
    TEST(triangle_matrix)(engine, full, false);
}
static void TEST(trsm)(int engine, const char *full) {
    TEST(triangle_matrix)(engine, full, true);
}
