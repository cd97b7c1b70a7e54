/* lapack_structured.h: tests of the rows on triangular, symmetric, banded and tridiagonal matrices, of least squares of any
 * rank and of generalized eigenvalues; included like lapack_rows.h, behind it. */

/* The solutions of a matrix that is written out, by the library's general method. */
static REAL *TEST(solved)(int n, int rhs, const REAL *a, const REAL *b) {
    REAL *lu = TEST(copy_of)(a, n * n), *x = TEST(copy_of)(b, n * rhs);
    lapack_int pivots[128];
    if (n && rhs) cr_assert_eq(LAPACK(gesv)(LAPACK_ROW_MAJOR, n, rhs, lu, n, pivots, x, rhs), 0);
    free(lu);
    return x;
}

static void TEST(expect_solved)(int engine, const char *full, const Arg *args, int64_t count, int n, int rhs,
                                const REAL *a, const REAL *b) {
    REAL *x = TEST(solved)(n, rhs, a, b);
    weld_value_t value = call(engine, full, args, count);
    TEST(expect)(full, weld_value_data(value), x, n * rhs, 1);
    weld_value_free(value);
    if (n == 3 && rhs) TEST(expect_checked)(engine, full, args, count);
    free(x);
}

/* What is outside of the band from i - lower to i + upper becomes 0; the band, row by row, is returned. */
static REAL *TEST(band_of)(REAL *a, int n, int lower, int upper) {
    int width = lower + upper + 1;
    REAL *band = TEST(random)((int64_t)n * width);
    for (int i = 0; i < n; i++) {
        for (int j = 0; j < n; j++) {
            if (j < i - lower || j > i + upper)
                a[i * n + j] = 0;
            else
                band[i * width + j - i + lower] = a[i * n + j];
        }
    }
    return band;
}

static void TEST(trtrs)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 16; k++) {
            bool upper = k & 1, trans = k & 2, unit = k & 4;
            int rhs = k & 8 ? 2 : 1;
            REAL *a = TEST(good_matrix)(n, false), *b = TEST(random)((int64_t)n * rhs);
            REAL *given = TEST(copy_of)(a, n * n), *x = TEST(copy_of)(b, n * rhs);
            if (n)
                LAPACK(trtrs)(LAPACK_ROW_MAJOR, upper ? 'U' : 'L', trans ? 'T' : 'N', unit ? 'U' : 'N', n,
                              rhs, a, n, x, rhs);
            double most = 1;
            for (int i = 0; i < n * rhs; i++) most = fmax(most, fabs((double)x[i]));
            Arg args[] = {BOOL(upper), BOOL(trans),          BOOL(unit),        I64(n),
                          I64(rhs),    VEC(E, given, n * n), VEC(E, b, n * rhs)};
            weld_value_t value = call(engine, full, args, 7);
            TEST(expect)(full, weld_value_data(value), x, n * rhs, most);
            weld_value_free(value);
            if (n == 3) TEST(expect_checked)(engine, full, args, 7);
            free(a), free(b), free(given), free(x);
        }
    }
    REAL zero[4] = {1, 1, 1, 0}, b[2] = {1, 2};
    Arg args[] = {BOOL(true), BOOL(false), BOOL(false), I64(2), I64(1), VEC(E, zero, 4), VEC(E, b, 2)};
    TEST(expect_status)(engine, full, args, 7, "singular");
}

static void TEST(sysv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int rhs = 0; rhs < 3; rhs++) {
            REAL *a = TEST(good_matrix)(n, true), *b = TEST(random)((int64_t)n * rhs);
            for (int i = 0; i < n; i += 2) a[i * n + i] = -a[i * n + i]; /* neither definite nor singular */
            Arg args[] = {BOOL(rhs % 2), I64(n), I64(rhs), VEC(E, a, n * n), VEC(E, b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 5, n, rhs, a, b);
            free(a), free(b);
        }
    }
    REAL zero[4] = {0}, b[2] = {1, 2};
    Arg args[] = {BOOL(true), I64(2), I64(1), VEC(E, zero, 4), VEC(E, b, 2)};
    TEST(expect_status)(engine, full, args, 5, "singular");
}

static void TEST(tridiagonal)(int engine, const char *full, bool definite) {
    EACH_SIZE(n) {
        for (int rhs = 0; rhs < 3; rhs++) {
            REAL *a = TEST(good_matrix)(n, definite), *b = TEST(random)((int64_t)n * rhs);
            REAL *band = TEST(band_of)(a, n, 1, 1), parts[3][128];
            int beside = n ? n - 1 : 0;
            for (int i = 0; i < n; i++) {
                if (i + 1 < n) parts[0][i] = band[3 * i + 3], parts[2][i] = band[3 * i + 2];
                parts[1][i] = band[3 * i + 1];
            }
            Arg three[] = {I64(n),
                           I64(rhs),
                           VEC(E, parts[0], beside),
                           VEC(E, parts[1], n),
                           VEC(E, parts[2], beside),
                           VEC(E, b, n * rhs)};
            Arg two[] = {three[0], three[1], three[3], three[2], three[5]};
            TEST(expect_solved)(engine, full, definite ? two : three, definite ? 5 : 6, n, rhs, a, b);
            free(a), free(b), free(band);
        }
    }
    REAL zero[2] = {0}, b[2] = {1, 2};
    Arg three[] = {I64(2), I64(1), VEC(E, zero, 1), VEC(E, zero, 2), VEC(E, zero, 1), VEC(E, b, 2)};
    Arg two[] = {three[0], three[1], three[3], three[2], three[5]};
    TEST(expect_status)(engine, full, definite ? two : three, definite ? 5 : 6, "singular");
}
static void TEST(gtsv)(int engine, const char *full) {
    TEST(tridiagonal)(engine, full, false);
}
static void TEST(ptsv)(int engine, const char *full) {
    TEST(tridiagonal)(engine, full, true);
}

static void TEST(gbsv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 16; k++) {
            int lower = k % 4, upper = k / 4, rhs = k % 3;
            REAL *a = TEST(good_matrix)(n, false), *b = TEST(random)((int64_t)n * rhs);
            REAL *band = TEST(band_of)(a, n, lower, upper);
            Arg args[] = {I64(n),
                          I64(lower),
                          I64(upper),
                          I64(rhs),
                          VEC(E, band, n * (lower + upper + 1)),
                          VEC(E, b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 6, n, rhs, a, b);
            free(a), free(b), free(band);
        }
    }
    REAL zero[2] = {0}, b[2] = {1, 2};
    Arg args[] = {I64(2), I64(0), I64(0), I64(1), VEC(E, zero, 2), VEC(E, b, 2)};
    TEST(expect_status)(engine, full, args, 6, "singular");
}

static void TEST(pbsv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 8; k++) {
            bool upper = k % 2;
            int wide = k / 2, rhs = k % 3;
            REAL *a = TEST(good_matrix)(n, true), *b = TEST(random)((int64_t)n * rhs);
            free(TEST(band_of)(a, n, wide, wide));
            REAL *whole = TEST(copy_of)(a, n * n),
                 *band = TEST(band_of)(whole, n, upper ? 0 : wide, upper ? wide : 0);
            Arg args[] = {BOOL(upper),       I64(n), I64(wide), I64(rhs), VEC(E, band, n * (wide + 1)),
                          VEC(E, b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 6, n, rhs, a, b);
            free(a), free(b), free(whole), free(band);
        }
    }
    REAL negative[2] = {1, -1}, b[2] = {1, 2};
    Arg args[] = {BOOL(true), I64(2), I64(0), I64(1), VEC(E, negative, 2), VEC(E, b, 2)};
    TEST(expect_status)(engine, full, args, 6, "not definite");
}

static void TEST(ppsv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 6; k++) {
            bool upper = k % 2;
            int rhs = k / 2, at = 0, packed = n * (n + 1) / 2;
            REAL *a = TEST(good_matrix)(n, true), *b = TEST(random)((int64_t)n * rhs),
                 *p = TEST(random)(packed);
            for (int i = 0; i < n; i++) {
                for (int j = upper ? i : 0; j < (upper ? n : i + 1); j++) p[at++] = a[i * n + j];
            }
            Arg args[] = {BOOL(upper), I64(n), I64(rhs), VEC(E, p, packed), VEC(E, b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 5, n, rhs, a, b);
            free(a), free(b), free(p);
        }
    }
    REAL negative[3] = {1, 0, -1}, b[2] = {1, 2};
    Arg args[] = {BOOL(true), I64(2), I64(1), VEC(E, negative, 3), VEC(E, b, 2)};
    TEST(expect_status)(engine, full, args, 5, "not definite");
}

/* Of full rank, and with rows that repeat. `method`: gelsd, gelss, gelsy. */
static void TEST(least_squares)(int engine, const char *full, char method) {
    EACH_SIZE(m) {
        for (int n = 0; n < 10; n += n ? 3 : 1) {
            for (int rhs = 0; rhs < 3; rhs++) {
                int rows = m > n ? m : n, least = m < n ? m : n;
                REAL *a = TEST(random)((int64_t)m * n), *b = TEST(random)((int64_t)m * rhs), s[16];
                for (int i = 1; rhs == 2 && i < m; i += 2) memcpy(a + i * n, a, (size_t)n * sizeof *a);
                REAL *work = TEST(copy_of)(a, m * n), *x = TEST(random)((int64_t)rows * (rhs ? rhs : 1));
                for (int i = 0; i < rows * (rhs ? rhs : 1); i++) x[i] = i < m * rhs ? b[i] : 0;
                lapack_int rank = 0, order[16] = {0}, columns = rhs ? rhs : 1;
                REAL rcond = (REAL)1e-4;
                if (least && method == 'd')
                    LAPACK(gelsd)(LAPACK_ROW_MAJOR, m, n, columns, work, n, x, columns, s, rcond, &rank);
                if (least && method == 's')
                    LAPACK(gelss)(LAPACK_ROW_MAJOR, m, n, columns, work, n, x, columns, s, rcond, &rank);
                if (least && method == 'y')
                    LAPACK(gelsy)(LAPACK_ROW_MAJOR, m, n, columns, work, n, x, columns, order, rcond, &rank);
                for (int i = 0; !least && i < n * rhs; i++) x[i] = 0;
                Arg args[] = {I64(m),           I64(n),
                              I64(rhs),         FLOATS ? (Arg)F32(1e-4f) : (Arg)F64(1e-4),
                              VEC(E, a, m * n), VEC(E, b, m * rhs)};
                weld_value_t value = call(engine, full, args, 6);
                const Vector *got = weld_value_data(value);
                expect_vector_of(full, &got[0], x, n * rhs, FLOATS, 1e5 * (double)EPS, 1);
                if (method == 'y')
                    cr_expect_eq(*(const int64_t *)(const void *)&got[1], rank, "%s: the rank", full);
                else
                    TEST(expect)(full, &got[1], s, least, 10);
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

static void TEST(sygv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int upper = 0; upper < 2; upper++) {
            REAL *a = TEST(good_matrix)(n, true), *b = TEST(good_matrix)(n, true), w[128];
            REAL *v = TEST(copy_of)(a, n * n), *factor = TEST(copy_of)(b, n * n);
            if (n) LAPACK(sygv)(LAPACK_ROW_MAJOR, 1, 'V', upper ? 'U' : 'L', n, v, n, factor, n, w);
            Arg args[] = {BOOL(upper), I64(n), VEC(E, a, n * n), VEC(E, b, n * n)};
            weld_value_t value = call(engine, full, args, 4);
            const Vector *got = weld_value_data(value);
            TEST(expect)(full, &got[0], w, n, n);
            expect_vector_of(full, &got[1], v, n * n, FLOATS, 1e5 * (double)EPS, 1);
            weld_value_free(value);
            if (n == 3) TEST(expect_checked)(engine, full, args, 4);
            free(a), free(b), free(v), free(factor);
        }
    }
    REAL a[4] = {1, 0, 0, 1}, negative[4] = {1, 0, 0, -1};
    Arg args[] = {BOOL(true), I64(2), VEC(E, a, 4), VEC(E, negative, 4)};
    TEST(expect_status)(engine, full, args, 4, "not definite");
}
#undef EACH_SIZE
