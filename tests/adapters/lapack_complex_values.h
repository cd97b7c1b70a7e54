/* lapack_complex_values.h: tests of least squares, eigenvalues and singular values of complex numbers; included like
 * lapack_complex.h, behind it. */

static void TEST(gels)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 1; n < 14; n += 3) {
            for (int k = 0; k < 4; k++) {
                bool trans = k % 2;
                int rhs = 1 + k / 2, given = trans ? n : m, wanted = trans ? m : n, rows = m > n ? m : n;
                NUMBER *a = TEST(random)((int64_t)m * n), *b = TEST(random)((int64_t)given * rhs);
                for (int i = 0; i < m && i < n; i++) a[i * n + i] += 3;
                NUMBER *qr = TEST(copy_of)(a, m * n), *x = TEST(random)((int64_t)rows * rhs);
                for (int i = 0; i < given * rhs; i++) x[i] = b[i];
                if (m) LAPACK(gels)(LAPACK_ROW_MAJOR, trans ? 'C' : 'N', m, n, rhs, qr, n, x, rhs);
                for (int i = 0; m == 0 && i < wanted * rhs; i++) x[i] = 0;
                Arg args[] = {BOOL(trans), I64(m), I64(n), I64(rhs), Z(a, m * n), Z(b, given * rhs)};
                weld_value_t value = call(engine, full, args, 6);
                TEST(expect_within)(full, weld_value_data(value), x, wanted * rhs, 4096 * (double)EPS);
                weld_value_free(value);
                if (m == 5 && n == 4) TEST(expect_checked)(engine, full, args, 6);
                free(a), free(b), free(qr), free(x);
            }
        }
    }
}

/* Of full rank, and with rows that repeat. `method`: gelsd, gelss, gelsy. */
static void TEST(least_squares)(int engine, const char *full, char method) {
    EACH_SIZE(m) {
        for (int n = 0; n < 10; n += n ? 3 : 1) {
            for (int rhs = 0; rhs < 3; rhs++) {
                int rows = m > n ? m : n, least = m < n ? m : n, columns = rhs ? rhs : 1;
                NUMBER *a = TEST(random)((int64_t)m * n), *b = TEST(random)((int64_t)m * rhs);
                for (int i = 0; i < least; i++) a[i * n + i] += 3;
                for (int i = 1; rhs == 2 && i < m; i += 2) memcpy(a + i * n, a, (size_t)n * sizeof *a);
                NUMBER *work = TEST(copy_of)(a, m * n), *x = TEST(random)((int64_t)rows * columns);
                for (int i = 0; i < rows * columns; i++) x[i] = i < m * rhs ? b[i] : 0;
                lapack_int rank = 0, order[16] = {0};
                REAL s[16], rcond = (REAL)1e-4;
                if (least && method == 'd')
                    LAPACK(gelsd)(LAPACK_ROW_MAJOR, m, n, columns, work, n, x, columns, s, rcond, &rank);
                if (least && method == 's')
                    LAPACK(gelss)(LAPACK_ROW_MAJOR, m, n, columns, work, n, x, columns, s, rcond, &rank);
                if (least && method == 'y')
                    LAPACK(gelsy)(LAPACK_ROW_MAJOR, m, n, columns, work, n, x, columns, order, rcond, &rank);
                for (int i = 0; !least && i < n * rhs; i++) x[i] = 0;
                Arg args[] = {I64(m),      I64(n),       I64(rhs), FLOATS ? (Arg)F32(1e-4f) : (Arg)F64(1e-4),
                              Z(a, m * n), Z(b, m * rhs)};
                weld_value_t value = call(engine, full, args, 6);
                const Vector *got = weld_value_data(value);
                TEST(expect_within)(full, &got[0], x, n * rhs, 1e5 * (double)EPS);
                if (method == 'y')
                    cr_expect_eq(*(const int64_t *)(const void *)&got[1], rank, "%s: the rank", full);
                else
                    expect_vector_of(full, &got[1], s, least, FLOATS, 64 * (double)EPS, 10);
                weld_value_free(value);
                if (m == 5 && n && rhs) TEST(expect_checked)(engine, full, args, 6);
                free(a), free(b), free(work), free(x);
            }
        }
    }
}
static void TEST(gelsd)(int engine, const char *full) {
    TEST(least_squares)(engine, full, 'd');
}
static void TEST(gelss)(int engine, const char *full) {
    TEST(least_squares)(engine, full, 's');
}
static void TEST(gelsy)(int engine, const char *full) {
    TEST(least_squares)(engine, full, 'y');
}

static void TEST(spectrum)(int engine, const char *full, bool two) {
    EACH_SIZE(n) {
        for (int upper = 0; upper < 2; upper++) {
            NUMBER *a = TEST(matrix)(n, TEST(DEFINITE)), *b = TEST(matrix)(n, TEST(DEFINITE));
            NUMBER *v = TEST(copy_of)(a, n * n), *factor = TEST(copy_of)(b, n * n);
            REAL w[64];
            char uplo = upper ? 'U' : 'L';
            if (n && two) LAPACK(hegv)(LAPACK_ROW_MAJOR, 1, 'V', uplo, n, v, n, factor, n, w);
            if (n && !two) LAPACK(heev)(LAPACK_ROW_MAJOR, 'V', uplo, n, v, n, w);
            Arg args[] = {BOOL(upper), I64(n), Z(a, n * n), Z(b, n * n)};
            weld_value_t value = call(engine, full, args, two ? 4 : 3);
            const Vector *got = weld_value_data(value);
            expect_vector_of(full, &got[0], w, n, FLOATS, 64 * (double)EPS, n);
            TEST(expect_within)(full, &got[1], v, n * n, 1e5 * (double)EPS);
            weld_value_free(value);
            if (n == 3) TEST(expect_checked)(engine, full, args, two ? 4 : 3);
            free(a), free(b), free(v), free(factor);
        }
    }
}
static void TEST(heev)(int engine, const char *full) {
    TEST(spectrum)(engine, full, false);
}
static void TEST(hegv)(int engine, const char *full) {
    TEST(spectrum)(engine, full, true);
    NUMBER a[4] = {1, 0, 0, 1}, negative[4] = {1, 0, 0, -1};
    Arg args[] = {BOOL(true), I64(2), Z(a, 4), Z(negative, 4)};
    TEST(expect_status)(engine, full, args, 4, "not definite");
}

static void TEST(geev)(int engine, const char *full) {
    EACH_SIZE(n) {
        NUMBER *a = TEST(random)((int64_t)n * n), *work = TEST(copy_of)(a, n * n), w[64];
        NUMBER *v = TEST(random)((int64_t)n * n);
        if (n) LAPACK(geev)(LAPACK_ROW_MAJOR, 'N', 'V', n, work, n, w, NULL, n, v, n);
        Arg args[] = {I64(n), Z(a, n * n)};
        weld_value_t value = call(engine, full, args, 2);
        const Vector *got = weld_value_data(value);
        TEST(expect_within)(full, &got[0], w, n, 1e3 * (double)EPS);
        TEST(expect_within)(full, &got[1], v, n * n, 1e5 * (double)EPS);
        weld_value_free(value);
        if (n == 3) TEST(expect_checked)(engine, full, args, 2);
        free(a), free(work), free(v);
    }
}

static void TEST(singular_values)(int engine, const char *full, bool divided) {
    EACH_SIZE(m) {
        for (int n = 0; n < 14; n += n ? 3 : 1) {
            int k = m < n ? m : n;
            NUMBER *a = TEST(random)((int64_t)m * n), *work = TEST(copy_of)(a, m * n);
            NUMBER *u = TEST(random)((int64_t)m * k), *vt = TEST(random)((int64_t)k * n);
            REAL s[16], super[16];
            if (k && divided) LAPACK(gesdd)(LAPACK_ROW_MAJOR, 'S', m, n, work, n, s, u, k, vt, n);
            if (k && !divided)
                LAPACK(gesvd)(LAPACK_ROW_MAJOR, 'S', 'S', m, n, work, n, s, u, k, vt, n, super);
            Arg args[] = {I64(m), I64(n), Z(a, m * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            TEST(expect_within)(full, &got[0], u, m * k, 1e4 * (double)EPS);
            expect_vector_of(full, &got[1], s, k, FLOATS, 64 * (double)EPS, 1);
            TEST(expect_within)(full, &got[2], vt, k * n, 1e4 * (double)EPS);
            weld_value_free(value);
            if (m == 5 && n) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(work), free(u), free(vt);
        }
    }
}
static void TEST(gesvd)(int engine, const char *full) {
    TEST(singular_values)(engine, full, false);
}
static void TEST(gesdd)(int engine, const char *full) {
    TEST(singular_values)(engine, full, true);
}
#undef EACH_SIZE
#undef Z
