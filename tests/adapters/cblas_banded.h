/* cblas_banded.h: tests of the rows on banded and packed matrices; included like cblas_rows.h, behind it. */

/* A triangle that can be solved for: its diagonal, where `at` finds it, is large. */
static void TEST(raise_elements)(REAL *a, int64_t count, int n, int64_t (*at)(int i, int n, int k), int k) {
    for (int64_t i = 0; i < count; i++) a[i] *= (REAL)(0.5 / (n + 1));
    for (int i = 0; i < n; i++) a[at(i, n, k)] = (REAL)(1.5 + 0.25 * random_number());
}

static int64_t TEST(band_upper)(int i, int n, int k) {
    (void)n;
    return (int64_t)i * (k + 1);
}
static int64_t TEST(band_lower)(int i, int n, int k) {
    (void)n;
    return (int64_t)i * (k + 1) + k;
}
static int64_t TEST(packed_upper)(int i, int n, int k) {
    (void)k;
    return (int64_t)i * n - (int64_t)i * (i - 1) / 2;
}
static int64_t TEST(packed_lower)(int i, int n, int k) {
    (void)n, (void)k;
    return (int64_t)i * (i + 3) / 2;
}

static void TEST(gbmv)(int engine, const char *full) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        bool trans = t.flag[0];
        int in = trans ? t.m : t.n, out = trans ? t.n : t.m;
        int lower = (int)random_below(4), upper = (int)random_below(4), width = lower + upper + 1;
        TEST(case_fill)(&t, t.m * width, in, out);
        if (t.m * t.n == 0)
            CBLAS(scal)(out, t.beta, t.out, 1);
        else
            CBLAS(gbmv)
        (CblasRowMajor, trans ? CblasTrans : CblasNoTrans, t.m, t.n, lower, upper, t.alpha, t.a, width, t.b,
         1, t.beta, t.out, 1);
        Arg args[] = {BOOL(trans),       I64(t.m),
                      I64(t.n),          I64(lower),
                      I64(upper),        SCALAR(t.alpha),
                      VEC(E, t.a, t.na), VEC(E, t.b, t.nb),
                      SCALAR(t.beta),    VEC(E, t.c, t.beta == 0 && round % 2 ? 0 : t.nc)};
        TEST(case_close)(&t, engine, full, args, 10);
    }
}

static void TEST(symmetric)(int engine, const char *full, bool packed) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        int k = (int)random_below(5);
        enum CBLAS_UPLO uplo = t.flag[0] ? CblasUpper : CblasLower;
        TEST(case_fill)(&t, packed ? t.n * (t.n + 1) / 2 : t.n * (k + 1), t.n, t.n);
        if (packed)
            CBLAS(spmv)(CblasRowMajor, uplo, t.n, t.alpha, t.a, t.b, 1, t.beta, t.out, 1);
        else
            CBLAS(sbmv)(CblasRowMajor, uplo, t.n, k, t.alpha, t.a, k + 1, t.b, 1, t.beta, t.out, 1);
        Arg both[] = {BOOL(t.flag[0]),   I64(t.n),       SCALAR(t.alpha),  VEC(E, t.a, t.na),
                      VEC(E, t.b, t.nb), SCALAR(t.beta), VEC(E, t.c, t.nc)};
        Arg band[] = {both[0], both[1], I64(k), both[2], both[3], both[4], both[5], both[6]};
        TEST(case_close)(&t, engine, full, packed ? both : band, packed ? 7 : 8);
    }
}
static void TEST(sbmv)(int engine, const char *full) {
    TEST(symmetric)(engine, full, false);
}
static void TEST(spmv)(int engine, const char *full) {
    TEST(symmetric)(engine, full, true);
}

static void TEST(packed_update)(int engine, const char *full, bool two) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        t.beta = 1;
        enum CBLAS_UPLO uplo = t.flag[0] ? CblasUpper : CblasLower;
        TEST(case_fill)(&t, t.n, two ? t.n : 1, t.n * (t.n + 1) / 2);
        if (two)
            CBLAS(spr2)(CblasRowMajor, uplo, t.n, t.alpha, t.a, 1, t.b, 1, t.out);
        else
            CBLAS(spr)(CblasRowMajor, uplo, t.n, t.alpha, t.a, 1, t.out);
        Arg args[] = {BOOL(t.flag[0]),   I64(t.n),          SCALAR(t.alpha),
                      VEC(E, t.a, t.na), VEC(E, t.c, t.nc), VEC(E, t.c, t.nc)};
        if (two) args[4] = (Arg)VEC(E, t.b, t.nb);
        TEST(case_close)(&t, engine, full, args, two ? 6 : 5);
    }
}
static void TEST(spr)(int engine, const char *full) {
    TEST(packed_update)(engine, full, false);
}
static void TEST(spr2)(int engine, const char *full) {
    TEST(packed_update)(engine, full, true);
}

static void TEST(triangle_of)(int engine, const char *full, bool packed, bool solve) {
    for (int round = 0; round < TEST(ROUNDS); round++) {
        TEST(Case) t;
        TEST(case_open)(&t);
        t.beta = 1;
        int k = (int)random_below(5);
        bool up = t.flag[0];
        TEST(case_fill)(&t, packed ? t.n * (t.n + 1) / 2 : t.n * (k + 1), 1, t.n);
        int64_t (*band)(int, int, int) = up ? TEST(band_upper) : TEST(band_lower);
        int64_t (*pack)(int, int, int) = up ? TEST(packed_upper) : TEST(packed_lower);
        TEST(raise_elements)(t.a, t.na, t.n, packed ? pack : band, k);
        enum CBLAS_UPLO uplo = up ? CblasUpper : CblasLower;
        enum CBLAS_TRANSPOSE trans = t.flag[1] ? CblasTrans : CblasNoTrans;
        enum CBLAS_DIAG diag = t.flag[2] ? CblasUnit : CblasNonUnit;
        if (packed && solve) CBLAS(tpsv)(CblasRowMajor, uplo, trans, diag, t.n, t.a, t.out, 1);
        if (packed && !solve) CBLAS(tpmv)(CblasRowMajor, uplo, trans, diag, t.n, t.a, t.out, 1);
        if (!packed && solve) CBLAS(tbsv)(CblasRowMajor, uplo, trans, diag, t.n, k, t.a, k + 1, t.out, 1);
        if (!packed && !solve) CBLAS(tbmv)(CblasRowMajor, uplo, trans, diag, t.n, k, t.a, k + 1, t.out, 1);
        Arg args[] = {BOOL(up),          BOOL(t.flag[1]),   BOOL(t.flag[2]), I64(t.n),
                      VEC(E, t.a, t.na), VEC(E, t.c, t.nc), I64(0)};
        if (!packed) args[6] = args[5], args[5] = args[4], args[4] = (Arg)I64(k);
        TEST(case_close)(&t, engine, full, args, packed ? 6 : 7);
    }
}
static void TEST(tbmv)(int engine, const char *full) {
    TEST(triangle_of)(engine, full, false, false);
}
static void TEST(tbsv)(int engine, const char *full) {
    TEST(triangle_of)(engine, full, false, true);
}
static void TEST(tpmv)(int engine, const char *full) {
    TEST(triangle_of)(engine, full, true, false);
}
static void TEST(tpsv)(int engine, const char *full) {
    TEST(triangle_of)(engine, full, true, true);
}
