/* lapack_rows.h: tests of the rows of one precision; included by lapack.c once for each, with
 *     REAL          double or float          FLOATS       is it float
 *     E             "f64" or "f32"           TEST(name)   the name of a function here
 *     LAPACK(name)  LAPACKE_dname            EPS          the distance from 1 to the next number
 */

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

static REAL *TEST(product)(int m, int n, int k, const REAL *a, const REAL *b) {
    REAL *c = TEST(random)((int64_t)m * n);
    for (int i = 0; i < m; i++) {
        for (int j = 0; j < n; j++) {
            double sum = 0;
            for (int l = 0; l < k; l++) sum += (double)a[i * k + l] * (double)b[l * n + j];
            c[i * n + j] = (REAL)sum;
        }
    }
    return c;
}

static void TEST(expect)(const char *full, const Vector *got, const REAL *expected, int64_t n, double scale) {
    expect_vector_of(full, got, expected, n, FLOATS, 64 * (double)EPS, scale);
}

/* A matrix far from singular; symmetric and positive definite if asked. */
static REAL *TEST(good_matrix)(int n, bool definite) {
    REAL *a = TEST(random)((int64_t)n * n);
    for (int i = 0; i < n; i++) {
        for (int j = 0; definite && j < i; j++) a[i * n + j] = a[j * n + i];
        a[i * n + i] += (REAL)(definite ? n + 1 : (i % 2 ? -2 - n : 2 + n));
    }
    return a;
}

static const int TEST(sizes)[] = {0, 1, 2, 3, 5, 8, 13, 40, 100};
#define EACH_SIZE(n) \
    for (int at_ = 0, n; at_ < (int)COUNT(TEST(sizes)) && (n = TEST(sizes)[at_], true); at_++)

/* The spoilt arguments must fail, and so must NaN and infinities, which go into each vector in turn. */
static void TEST(expect_checked)(int engine, const char *full, const Arg *args, int64_t count) {
    expect_checked(engine, full, args, count, 0);
    static const double bad[] = {NAN, INFINITY};
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(args[i].type, "vec[" E "]") != 0 || args[i].as.v.length == 0) continue;
        for (int k = 0; k < 2; k++) {
            Arg spoilt[MOST_ARGS];
            memcpy(spoilt, args, (size_t)count * sizeof *args);
            REAL *data = TEST(copy_of)(args[i].as.v.data, args[i].as.v.length);
            data[args[i].as.v.length / 2] = (REAL)bad[k];
            spoilt[i].as.v.data = data;
            expect_failure(engine, full, spoilt, count, "a number that is not finite");
            free(data);
        }
    }
}

static void TEST(expect_status)(int engine, const char *full, const Arg *args, int64_t count,
                                const char *text) {
    weld_error_t error = weld_error_new();
    weld_value_t value = call_for(engine, full, args, count, error);
    cr_expect(!value && strstr(weld_error_message(error), text), "%s should say %s, not %s", full, text,
              weld_error_message(error));
    weld_value_free(value);
    weld_error_free(error);
}

/* ---- linear equations ---- */

static void TEST(gesv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int rhs = 0; rhs < 4; rhs++) {
            REAL *a = TEST(good_matrix)(n, false), *b = TEST(random)((int64_t)n * rhs);
            REAL *lu = TEST(copy_of)(a, n * n), *x = TEST(copy_of)(b, n * rhs);
            lapack_int pivots[128];
            if (n && rhs) LAPACK(gesv)(LAPACK_ROW_MAJOR, n, rhs, lu, n, pivots, x, rhs);
            Arg args[] = {I64(n), I64(rhs), VEC(E, a, n * n), VEC(E, b, n * rhs)};
            weld_value_t value = call(engine, full, args, 4);
            TEST(expect)(full, weld_value_data(value), x, n * rhs, 1);
            weld_value_free(value);
            if (n == 3 && rhs) TEST(expect_checked)(engine, full, args, 4);
            free(a), free(b), free(lu), free(x);
        }
    }
    REAL zero[4] = {0}, b[2] = {1, 2};
    Arg args[] = {I64(2), I64(1), VEC(E, zero, 4), VEC(E, b, 2)};
    TEST(expect_status)(engine, full, args, 4, "singular");
}

static void TEST(posv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int rhs = 0; rhs < 3; rhs++) {
            bool upper = rhs % 2;
            REAL *a = TEST(good_matrix)(n, true), *b = TEST(random)((int64_t)n * rhs);
            REAL *factor = TEST(copy_of)(a, n * n), *x = TEST(copy_of)(b, n * rhs);
            if (n && rhs) LAPACK(posv)(LAPACK_ROW_MAJOR, upper ? 'U' : 'L', n, rhs, factor, n, x, rhs);
            Arg args[] = {BOOL(upper), I64(n), I64(rhs), VEC(E, a, n * n), VEC(E, b, n * rhs)};
            weld_value_t value = call(engine, full, args, 5);
            TEST(expect)(full, weld_value_data(value), x, n * rhs, 1);
            weld_value_free(value);
            if (n == 3 && rhs) TEST(expect_checked)(engine, full, args, 5);
            free(a), free(b), free(factor), free(x);
        }
    }
    REAL negative[4] = {-1, 0, 0, 1}, b[2] = {1, 2};
    Arg args[] = {BOOL(true), I64(2), I64(1), VEC(E, negative, 4), VEC(E, b, 2)};
    TEST(expect_status)(engine, full, args, 5, "not definite");
}

static void TEST(getrf)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 0; n < 9; n += n ? 4 : 1) {
            int least = m < n ? m : n;
            REAL *a = TEST(random)((int64_t)m * n), *lu = TEST(copy_of)(a, m * n);
            lapack_int pivots[128];
            if (least) LAPACK(getrf)(LAPACK_ROW_MAJOR, m, n, lu, n, pivots);
            Arg args[] = {I64(m), I64(n), VEC(E, a, m * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            TEST(expect)(full, &got[0], lu, m * n, 1);
            cr_expect(got[1].length == least &&
                      (!least || !memcmp(got[1].data, pivots, (size_t)least * sizeof *pivots)));
            weld_value_free(value);
            if (m == 3 && n) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(lu);
        }
    }
    REAL zero[4] = {0};
    Arg args[] = {I64(2), I64(2), VEC(E, zero, 4)};
    TEST(expect_status)(engine, full, args, 3, "singular");
}

static void TEST(getrs)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int rhs = 0; rhs < 3; rhs++) {
            bool trans = rhs % 2;
            REAL *lu = TEST(good_matrix)(n, false), *b = TEST(random)((int64_t)n * rhs),
                 *x = TEST(copy_of)(b, n * rhs);
            lapack_int pivots[128];
            if (n) LAPACK(getrf)(LAPACK_ROW_MAJOR, n, n, lu, n, pivots);
            if (n && rhs) LAPACK(getrs)(LAPACK_ROW_MAJOR, trans ? 'T' : 'N', n, rhs, lu, n, pivots, x, rhs);
            Arg args[] = {BOOL(trans),       I64(n), I64(rhs), VEC(E, lu, n * n), VEC("i32", pivots, n),
                          VEC(E, b, n * rhs)};
            weld_value_t value = call(engine, full, args, 6);
            TEST(expect)(full, weld_value_data(value), x, n * rhs, 1);
            weld_value_free(value);
            if (n == 3 && rhs) {
                TEST(expect_checked)(engine, full, args, 6);
                pivots[1] = 4;
                expect_failure(engine, full, args, 6, "a pivot beyond the matrix");
                pivots[1] = 0;
                expect_failure(engine, full, args, 6, "a pivot before the matrix");
            }
            free(lu), free(b), free(x);
        }
    }
}

static void TEST(inverse)(int engine, const char *full, bool factored) {
    EACH_SIZE(n) {
        REAL *a = TEST(good_matrix)(n, false), *expected = TEST(copy_of)(a, n * n);
        lapack_int pivots[128];
        if (n) LAPACK(getrf)(LAPACK_ROW_MAJOR, n, n, expected, n, pivots);
        REAL *lu = TEST(copy_of)(expected, n * n);
        if (n) LAPACK(getri)(LAPACK_ROW_MAJOR, n, expected, n, pivots);
        Arg args[] = {I64(n), VEC(E, factored ? lu : a, n * n), VEC("i32", pivots, n)};
        weld_value_t value = call(engine, full, args, factored ? 3 : 2);
        TEST(expect)(full, weld_value_data(value), expected, n * n, 1);
        weld_value_free(value);
        if (n == 3) TEST(expect_checked)(engine, full, args, factored ? 3 : 2);
        free(a), free(lu), free(expected);
    }
}
static void TEST(getri)(int engine, const char *full) {
    TEST(inverse)(engine, full, true);
}
static void TEST(inv)(int engine, const char *full) {
    TEST(inverse)(engine, full, false);
    REAL equal[4] = {1, 1, 1, 1};
    Arg args[] = {I64(2), VEC(E, equal, 4)};
    TEST(expect_status)(engine, full, args, 2, "singular");
}

/* By elimination without the library, in double. */
static double TEST(determinant)(int n, const REAL *a) {
    double work[16 * 16], det = 1;
    for (int i = 0; i < n * n; i++) work[i] = (double)a[i];
    for (int k = 0; k < n; k++) {
        int best = k;
        for (int i = k; i < n; i++) best = fabs(work[i * n + k]) > fabs(work[best * n + k]) ? i : best;
        det *= work[best * n + k] * (best == k ? 1 : -1);
        if (det == 0) return 0;
        for (int j = 0; j < n; j++) {
            double t = work[k * n + j];
            work[k * n + j] = work[best * n + j];
            work[best * n + j] = t;
        }
        for (int i = k + 1; i < n; i++) {
            double f = work[i * n + k] / work[k * n + k];
            for (int j = k; j < n; j++) work[i * n + j] -= f * work[k * n + j];
        }
    }
    return det;
}

static void TEST(det)(int engine, const char *full) {
    for (int n = 0; n < 12; n++) {
        for (int k = 0; k < 5; k++) {
            REAL *a = k % 2 ? TEST(random)(n * n) : TEST(good_matrix)(n, false);
            Arg args[] = {I64(n), VEC(E, a, n * n)};
            weld_value_t value = call(engine, full, args, 2);
            double expected = TEST(determinant)(n, a);
            expect_near(full, (double)*(const REAL *)weld_value_data(value), expected,
                        2000 * (double)EPS * (fabs(expected) + (k % 2 ? 1 : 0)));
            weld_value_free(value);
            if (n == 3) TEST(expect_checked)(engine, full, args, 2);
            free(a);
        }
    }
    REAL equal[4] = {1, 1, 1, 1};
    Arg args[] = {I64(2), VEC(E, equal, 4)};
    weld_value_t value = call(engine, full, args, 2);
    expect_near(full, (double)*(const REAL *)weld_value_data(value), 0, 0);
    weld_value_free(value);
}

static void TEST(cholesky)(int engine, const char *full, bool inverse) {
    EACH_SIZE(n) {
        for (int upper = 0; upper < 2; upper++) {
            REAL *a = TEST(good_matrix)(n, true), *expected = TEST(copy_of)(a, n * n);
            if (n) LAPACK(potrf)(LAPACK_ROW_MAJOR, upper ? 'U' : 'L', n, expected, n);
            for (int i = 0; i < n; i++) {
                for (int j = 0; j < n; j++) {
                    if (upper ? j < i : j > i) expected[i * n + j] = 0;
                }
            }
            if (inverse) memcpy(a, expected, (size_t)(n * n) * sizeof *a);
            if (inverse && n) LAPACK(potri)(LAPACK_ROW_MAJOR, upper ? 'U' : 'L', n, expected, n);
            Arg args[] = {BOOL(upper), I64(n), VEC(E, a, n * n)};
            weld_value_t value = call(engine, full, args, 3);
            TEST(expect)(full, weld_value_data(value), expected, n * n, 1);
            weld_value_free(value);
            if (n == 3) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(expected);
        }
    }
}
static void TEST(potri)(int engine, const char *full) {
    TEST(cholesky)(engine, full, true);
}
static void TEST(potrf)(int engine, const char *full) {
    TEST(cholesky)(engine, full, false);
    REAL negative[4] = {1, 2, 2, 1};
    Arg args[] = {BOOL(false), I64(2), VEC(E, negative, 4)};
    TEST(expect_status)(engine, full, args, 3, "not definite");
}

static void TEST(potrs)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int rhs = 0; rhs < 3; rhs++) {
            char uplo = rhs % 2 ? 'U' : 'L';
            REAL *factor = TEST(good_matrix)(n, true), *b = TEST(random)((int64_t)n * rhs),
                 *x = TEST(copy_of)(b, n * rhs);
            if (n) LAPACK(potrf)(LAPACK_ROW_MAJOR, uplo, n, factor, n);
            if (n && rhs) LAPACK(potrs)(LAPACK_ROW_MAJOR, uplo, n, rhs, factor, n, x, rhs);
            Arg args[] = {BOOL(rhs % 2), I64(n), I64(rhs), VEC(E, factor, n * n), VEC(E, b, n * rhs)};
            weld_value_t value = call(engine, full, args, 5);
            TEST(expect)(full, weld_value_data(value), x, n * rhs, 1);
            weld_value_free(value);
            if (n == 3 && rhs) TEST(expect_checked)(engine, full, args, 5);
            free(factor), free(b), free(x);
        }
    }
}

/* ---- orthogonal factors and least squares ---- */

static void TEST(geqrf)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 0; n < 10; n += n ? 3 : 1) {
            int least = m < n ? m : n;
            REAL *a = TEST(random)((int64_t)m * n), *qr = TEST(copy_of)(a, m * n), tau[16];
            if (least) LAPACK(geqrf)(LAPACK_ROW_MAJOR, m, n, qr, n, tau);
            Arg args[] = {I64(m), I64(n), VEC(E, a, m * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            TEST(expect)(full, &got[0], qr, m * n, 1);
            TEST(expect)(full, &got[1], tau, least, 1);
            weld_value_free(value);
            if (m == 5 && n) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(qr);
        }
    }
}

static void TEST(orgqr)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 0; n < 10 && n <= m; n += n ? 3 : 1) {
            REAL *qr = TEST(random)((int64_t)m * n), tau[16];
            if (n) LAPACK(geqrf)(LAPACK_ROW_MAJOR, m, n, qr, n, tau);
            for (int k = n; k >= 0; k -= 2) {
                REAL *q = TEST(copy_of)(qr, m * n);
                if (n) LAPACK(orgqr)(LAPACK_ROW_MAJOR, m, n, k, q, n, tau);
                Arg args[] = {I64(m), I64(n), I64(k), VEC(E, qr, m * n), VEC(E, tau, k)};
                weld_value_t value = call(engine, full, args, 5);
                TEST(expect)(full, weld_value_data(value), q, m * n, 1);
                weld_value_free(value);
                if (m == 5 && n && k) TEST(expect_checked)(engine, full, args, 5);
                free(q);
            }
            free(qr);
        }
    }
    REAL wide[6] = {1, 2, 3, 4, 5, 6}, tau[3] = {0};
    Arg args[] = {I64(2), I64(3), I64(2), VEC(E, wide, 6), VEC(E, tau, 2)};
    expect_failure(engine, full, args, 5, "more columns than rows");
}

/* Q R is A, Q orthonormal, R triangular with zeros below. */
static void TEST(qr)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 0; n < 14; n += n ? 3 : 1) {
            int k = m < n ? m : n;
            REAL *a = TEST(random)((int64_t)m * n);
            Arg args[] = {I64(m), I64(n), VEC(E, a, m * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            cr_assert(got[0].length == m * k && got[1].length == k * n);
            const REAL *q = got[0].data, *r = got[1].data;
            REAL *back = TEST(product)(m, n, k, q, r);
            TEST(expect)(full, &(Vector){back, m * n}, a, m * n, 1);
            for (int i = 0; i < k; i++) {
                for (int j = 0; j < i; j++) cr_assert(r[i * n + j] == 0);
                for (int j = 0; j <= i; j++) {
                    double dot = 0;
                    for (int l = 0; l < m; l++) dot += (double)q[l * k + i] * (double)q[l * k + j];
                    expect_near(full, dot, i == j, 64 * (double)EPS);
                }
            }
            weld_value_free(value);
            if (m == 5 && n) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(back);
        }
    }
}

static void TEST(gels)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 1; n < 14; n += 3) {
            for (int k = 0; k < 4; k++) {
                bool trans = k % 2;
                int rhs = 1 + k / 2, given = trans ? n : m, wanted = trans ? m : n, rows = m > n ? m : n;
                REAL *a = TEST(random)((int64_t)m * n), *b = TEST(random)((int64_t)given * rhs);
                REAL *qr = TEST(copy_of)(a, m * n), *x = TEST(random)((int64_t)rows * rhs);
                for (int i = 0; i < given * rhs; i++) x[i] = b[i];
                if (m) LAPACK(gels)(LAPACK_ROW_MAJOR, trans ? 'T' : 'N', m, n, rhs, qr, n, x, rhs);
                for (int i = 0; m == 0 && i < wanted * rhs; i++) x[i] = 0;
                Arg args[] = {BOOL(trans), I64(m),           I64(n),
                              I64(rhs),    VEC(E, a, m * n), VEC(E, b, given * rhs)};
                weld_value_t value = call(engine, full, args, 6);
                expect_vector_of(full, weld_value_data(value), x, wanted * rhs, FLOATS, 4096 * (double)EPS,
                                 1);
                weld_value_free(value);
                if (m == 5 && n == 4) TEST(expect_checked)(engine, full, args, 6);
                free(a), free(b), free(qr), free(x);
            }
        }
    }
    REAL deficient[4] = {1, 0, 0, 0}, b[2] = {1, 2};
    Arg args[] = {BOOL(false), I64(2), I64(2), I64(1), VEC(E, deficient, 4), VEC(E, b, 2)};
    TEST(expect_status)(engine, full, args, 6, "singular");
}

/* ---- eigenvalues and singular values ---- */

static void TEST(syev)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int upper = 0; upper < 2; upper++) {
            REAL *a = TEST(good_matrix)(n, true), *v = TEST(copy_of)(a, n * n), w[128];
            if (n) LAPACK(syev)(LAPACK_ROW_MAJOR, 'V', upper ? 'U' : 'L', n, v, n, w);
            Arg args[] = {BOOL(upper), I64(n), VEC(E, a, n * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            TEST(expect)(full, &got[0], w, n, n);
            expect_vector_of(full, &got[1], v, n * n, FLOATS, 1e5 * (double)EPS, 1);
            weld_value_free(value);
            if (n == 3) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(v);
        }
    }
}

static void TEST(geev)(int engine, const char *full) {
    EACH_SIZE(n) {
        REAL *a = TEST(random)((int64_t)n * n), *work = TEST(copy_of)(a, n * n), re[128], im[128];
        REAL *v = TEST(random)((int64_t)n * n);
        if (n) LAPACK(geev)(LAPACK_ROW_MAJOR, 'N', 'V', n, work, n, re, im, NULL, n, v, n);
        Arg args[] = {I64(n), VEC(E, a, n * n)};
        weld_value_t value = call(engine, full, args, 2);
        const Vector *got = weld_value_data(value);
        TEST(expect)(full, &got[0], re, n, n);
        TEST(expect)(full, &got[1], im, n, n);
        expect_vector_of(full, &got[2], v, n * n, FLOATS, 1e5 * (double)EPS, 1);
        weld_value_free(value);
        if (n == 3) TEST(expect_checked)(engine, full, args, 2);
        free(a), free(work), free(v);
    }
}

static void TEST(singular_values)(int engine, const char *full, bool divided) {
    EACH_SIZE(m) {
        for (int n = 0; n < 14; n += n ? 3 : 1) {
            int k = m < n ? m : n;
            REAL *a = TEST(random)((int64_t)m * n), *work = TEST(copy_of)(a, m * n), s[16], super[16];
            REAL *u = TEST(random)((int64_t)m * k), *vt = TEST(random)((int64_t)k * n);
            if (k && divided) LAPACK(gesdd)(LAPACK_ROW_MAJOR, 'S', m, n, work, n, s, u, k, vt, n);
            if (k && !divided)
                LAPACK(gesvd)(LAPACK_ROW_MAJOR, 'S', 'S', m, n, work, n, s, u, k, vt, n, super);
            Arg args[] = {I64(m), I64(n), VEC(E, a, m * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            expect_vector_of(full, &got[0], u, m * k, FLOATS, 1e4 * (double)EPS, 1);
            TEST(expect)(full, &got[1], s, k, 1);
            expect_vector_of(full, &got[2], vt, k * n, FLOATS, 1e4 * (double)EPS, 1);
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
