/* lapack_complex.h: tests of the rows of complex numbers of one precision; included by lapack.c once for each, with
 *     REAL          double or float                        E             "{f64,f64}" or "{f32,f32}"
 *     NUMBER        complex numbers of these               TEST(name)    the name of a function here
 *     LAPACK(name)  LAPACKE_zname                          EPS, FLOATS   as in lapack_rows.h
 *     R             "f64" or "f32"
 */

static NUMBER *TEST(random)(int64_t count) {
    NUMBER *data = malloc((size_t)(count > 0 ? count : 1) * sizeof *data);
    cr_assert_not_null(data);
    for (int64_t i = 0; i < count; i++) data[i] = (NUMBER)(random_number() + random_number() * I);
    return data;
}

static NUMBER *TEST(copy_of)(const NUMBER *from, int64_t count) {
    NUMBER *data = TEST(random)(count);
    for (int64_t i = 0; i < count; i++) data[i] = from[i];
    return data;
}

static void TEST(expect_within)(const char *full, const Vector *got, const NUMBER *expected, int64_t n,
                                double allowed) {
    const Vector parts = {got->data, 2 * got->length};
    expect_vector_of(full, &parts, expected, 2 * n, FLOATS, allowed, 1);
}

static void TEST(expect)(const char *full, const Vector *got, const NUMBER *expected, int64_t n) {
    TEST(expect_within)(full, got, expected, n, 128 * (double)EPS);
}

enum { TEST(GENERAL), TEST(SYMMETRIC), TEST(HERMITIAN), TEST(DEFINITE) };

/* A matrix far from singular. */
static NUMBER *TEST(matrix)(int n, int kind) {
    NUMBER *a = TEST(random)((int64_t)n * n);
    for (int i = 0; i < n; i++) {
        for (int j = 0; kind != TEST(GENERAL) && j < i; j++)
            a[i * n + j] = kind == TEST(SYMMETRIC) ? a[j * n + i] : (NUMBER)conj(a[j * n + i]);
        double sign = kind == TEST(DEFINITE) || i % 2 ? 1 : -1;
        a[i * n + i] =
            (NUMBER)((kind >= TEST(HERMITIAN) ? 0 : creal(a[i * n + i]) + cimag(a[i * n + i]) * I) +
                     sign * (2 * n + 1));
    }
    return a;
}

static const int TEST(sizes)[] = {0, 1, 2, 3, 5, 8, 13, 40};
#define EACH_SIZE(n) \
    for (int at_ = 0, n; at_ < (int)COUNT(TEST(sizes)) && (n = TEST(sizes)[at_], true); at_++)
#define Z(data, count) VEC(E, data, count)

/* The spoilt arguments must fail, and so must NaN and infinities as a part of a number in any vector. */
static void TEST(expect_checked)(int engine, const char *full, const Arg *args, int64_t count) {
    expect_checked(engine, full, args, count, 0);
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(args[i].type, "vec[" E "]") != 0 || args[i].as.v.length == 0) continue;
        for (int part = 0; part < 2; part++) {
            Arg spoilt[MOST_ARGS];
            memcpy(spoilt, args, (size_t)count * sizeof *args);
            NUMBER *data = TEST(copy_of)(args[i].as.v.data, args[i].as.v.length);
            ((REAL *)data)[args[i].as.v.length / 2 * 2 + part] = (REAL)(part ? NAN : INFINITY);
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

/* ---- equations: against the library's general method for the matrix a, written out ---- */

static void TEST(expect_solved)(int engine, const char *full, const Arg *args, int64_t count, int n, int rhs,
                                const NUMBER *a, const NUMBER *b) {
    NUMBER *lu = TEST(copy_of)(a, n * n), *x = TEST(copy_of)(b, n * rhs);
    lapack_int pivots[64];
    if (n && rhs) cr_assert_eq(LAPACK(gesv)(LAPACK_ROW_MAJOR, n, rhs, lu, n, pivots, x, rhs), 0);
    weld_value_t value = call(engine, full, args, count);
    TEST(expect)(full, weld_value_data(value), x, n * rhs);
    weld_value_free(value);
    if (n == 3 && rhs) TEST(expect_checked)(engine, full, args, count);
    free(lu), free(x);
}

static void TEST(gesv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int rhs = 0; rhs < 3; rhs++) {
            NUMBER *a = TEST(matrix)(n, TEST(GENERAL)), *b = TEST(random)((int64_t)n * rhs);
            Arg args[] = {I64(n), I64(rhs), Z(a, n * n), Z(b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 4, n, rhs, a, b);
            free(a), free(b);
        }
    }
    NUMBER zero[4] = {0}, b[2] = {1, 2};
    Arg args[] = {I64(2), I64(1), Z(zero, 4), Z(b, 2)};
    TEST(expect_status)(engine, full, args, 4, "singular");
}

static void TEST(one_triangle)(int engine, const char *full, int kind, NUMBER bad, const char *text) {
    EACH_SIZE(n) {
        for (int k = 0; k < 6; k++) {
            bool upper = k % 2;
            int rhs = k / 2;
            NUMBER *a = TEST(matrix)(n, kind), *b = TEST(random)((int64_t)n * rhs),
                   *half = TEST(copy_of)(a, n * n);
            for (int i = 0; i < n * n; i++) {
                if (upper ? i / n > i % n : i / n < i % n) half[i] = 7; /* is not read */
            }
            Arg args[] = {BOOL(upper), I64(n), I64(rhs), Z(half, n * n), Z(b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 5, n, rhs, a, b);
            free(a), free(b), free(half);
        }
    }
    NUMBER singular[4] = {bad, 0, 0, bad}, b[2] = {1, 2};
    Arg args[] = {BOOL(true), I64(2), I64(1), Z(singular, 4), Z(b, 2)};
    TEST(expect_status)(engine, full, args, 5, text);
}
static void TEST(posv)(int engine, const char *full) {
    TEST(one_triangle)(engine, full, TEST(DEFINITE), -1, "not definite");
}
static void TEST(hesv)(int engine, const char *full) {
    TEST(one_triangle)(engine, full, TEST(HERMITIAN), 0, "singular");
}
static void TEST(sysv)(int engine, const char *full) {
    TEST(one_triangle)(engine, full, TEST(SYMMETRIC), 0, "singular");
}

static void TEST(ppsv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 6; k++) {
            bool upper = k % 2;
            int rhs = k / 2, at = 0, packed = n * (n + 1) / 2;
            NUMBER *a = TEST(matrix)(n, TEST(DEFINITE)), *b = TEST(random)((int64_t)n * rhs),
                   *p = TEST(random)(packed);
            for (int i = 0; i < n; i++) {
                for (int j = upper ? i : 0; j < (upper ? n : i + 1); j++) p[at++] = a[i * n + j];
            }
            Arg args[] = {BOOL(upper), I64(n), I64(rhs), Z(p, packed), Z(b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 5, n, rhs, a, b);
            free(a), free(b), free(p);
        }
    }
    NUMBER negative[3] = {1, 0, -1}, b[2] = {1, 2};
    Arg args[] = {BOOL(true), I64(2), I64(1), Z(negative, 3), Z(b, 2)};
    TEST(expect_status)(engine, full, args, 5, "not definite");
}

/* What is outside of the band from i - lower to i + upper becomes 0; the band, row by row, is returned. */
static NUMBER *TEST(band_of)(NUMBER *a, int n, int lower, int upper) {
    int width = lower + upper + 1;
    NUMBER *band = TEST(random)((int64_t)n * width);
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

static void TEST(gbsv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 16; k++) {
            int lower = k % 4, upper = k / 4, rhs = k % 3;
            NUMBER *a = TEST(matrix)(n, TEST(GENERAL)), *b = TEST(random)((int64_t)n * rhs);
            NUMBER *band = TEST(band_of)(a, n, lower, upper);
            Arg args[] = {I64(n),       I64(lower), I64(upper), I64(rhs), Z(band, n * (lower + upper + 1)),
                          Z(b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 6, n, rhs, a, b);
            free(a), free(b), free(band);
        }
    }
    NUMBER zero[2] = {0}, b[2] = {1, 2};
    Arg args[] = {I64(2), I64(0), I64(0), I64(1), Z(zero, 2), Z(b, 2)};
    TEST(expect_status)(engine, full, args, 6, "singular");
}

static void TEST(pbsv)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 8; k++) {
            bool upper = k % 2;
            int wide = k / 2, rhs = k % 3;
            NUMBER *a = TEST(matrix)(n, TEST(DEFINITE)), *b = TEST(random)((int64_t)n * rhs);
            free(TEST(band_of)(a, n, wide, wide));
            NUMBER *whole = TEST(copy_of)(a, n * n),
                   *band = TEST(band_of)(whole, n, upper ? 0 : wide, upper ? wide : 0);
            Arg args[] = {BOOL(upper), I64(n), I64(wide), I64(rhs), Z(band, n * (wide + 1)), Z(b, n * rhs)};
            TEST(expect_solved)(engine, full, args, 6, n, rhs, a, b);
            free(a), free(b), free(whole), free(band);
        }
    }
    NUMBER negative[2] = {1, -1}, b[2] = {1, 2};
    Arg args[] = {BOOL(true), I64(2), I64(0), I64(1), Z(negative, 2), Z(b, 2)};
    TEST(expect_status)(engine, full, args, 6, "not definite");
}

static void TEST(tridiagonal)(int engine, const char *full, bool definite) {
    EACH_SIZE(n) {
        for (int rhs = 0; rhs < 3; rhs++) {
            NUMBER *a = TEST(matrix)(n, definite ? TEST(DEFINITE) : TEST(GENERAL)),
                   *b = TEST(random)((int64_t)n * rhs);
            NUMBER *band = TEST(band_of)(a, n, 1, 1), parts[3][64];
            REAL diagonal[64];
            int beside = n ? n - 1 : 0;
            for (int i = 0; i < n; i++) {
                if (i + 1 < n) parts[0][i] = band[3 * i + 3], parts[2][i] = band[3 * i + 2];
                parts[1][i] = band[3 * i + 1];
                diagonal[i] = (REAL)creal(parts[1][i]);
            }
            Arg three[] = {I64(n),       I64(rhs), Z(parts[0], beside), Z(parts[1], n), Z(parts[2], beside),
                           Z(b, n * rhs)};
            Arg two[] = {three[0], three[1], VEC(R, diagonal, n), three[2], three[5]};
            TEST(expect_solved)(engine, full, definite ? two : three, definite ? 5 : 6, n, rhs, a, b);
            free(a), free(b), free(band);
        }
    }
    NUMBER zero[2] = {0}, b[2] = {1, 2};
    Arg three[] = {I64(2), I64(1), Z(zero, 1), Z(zero, 2), Z(zero, 1), Z(b, 2)};
    Arg two[] = {three[0], three[1], VEC(R, zero, 2), three[2], three[5]};
    TEST(expect_status)(engine, full, definite ? two : three, definite ? 5 : 6, "singular");
}
static void TEST(gtsv)(int engine, const char *full) {
    TEST(tridiagonal)(engine, full, false);
}
static void TEST(ptsv)(int engine, const char *full) {
    TEST(tridiagonal)(engine, full, true);
}

static const char TEST(letters)[] = "NTC"; /* by transposed, or conjugated as well */

static void TEST(trtrs)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 12; k++) {
            bool upper = k % 2, unit = k / 2 % 2;
            int turn = k / 4, rhs = 1 + k % 3;
            NUMBER *a = TEST(matrix)(n, TEST(GENERAL)), *b = TEST(random)((int64_t)n * rhs);
            for (int i = 0; unit && i < n * n; i++) a[i] *= (REAL)(0.5 / (3 * n));
            NUMBER *given = TEST(copy_of)(a, n * n), *x = TEST(copy_of)(b, n * rhs);
            if (n)
                LAPACK(trtrs)(LAPACK_ROW_MAJOR, upper ? 'U' : 'L', TEST(letters)[turn], unit ? 'U' : 'N', n,
                              rhs, a, n, x, rhs);
            Arg args[] = {BOOL(upper), BOOL(turn > 0), BOOL(turn > 1),  BOOL(unit),
                          I64(n),      I64(rhs),       Z(given, n * n), Z(b, n * rhs)};
            weld_value_t value = call(engine, full, args, 8);
            TEST(expect)(full, weld_value_data(value), x, n * rhs);
            weld_value_free(value);
            if (n == 3) TEST(expect_checked)(engine, full, args, 8);
            free(a), free(b), free(given), free(x);
        }
    }
}

/* ---- factors and inverses ---- */

static void TEST(getrf)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 0; n < 9; n += n ? 4 : 1) {
            int least = m < n ? m : n;
            NUMBER *a = TEST(random)((int64_t)m * n), *lu = TEST(copy_of)(a, m * n);
            lapack_int pivots[64];
            if (least) LAPACK(getrf)(LAPACK_ROW_MAJOR, m, n, lu, n, pivots);
            Arg args[] = {I64(m), I64(n), Z(a, m * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            TEST(expect)(full, &got[0], lu, m * n);
            cr_expect(got[1].length == least &&
                      (!least || !memcmp(got[1].data, pivots, (size_t)least * sizeof *pivots)));
            weld_value_free(value);
            if (m == 3 && n) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(lu);
        }
    }
}

static void TEST(getrs)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 9; k++) {
            int turn = k % 3, rhs = k / 3;
            NUMBER *lu = TEST(matrix)(n, TEST(GENERAL)), *b = TEST(random)((int64_t)n * rhs),
                   *x = TEST(copy_of)(b, n * rhs);
            lapack_int pivots[64];
            if (n) LAPACK(getrf)(LAPACK_ROW_MAJOR, n, n, lu, n, pivots);
            if (n && rhs) LAPACK(getrs)(LAPACK_ROW_MAJOR, TEST(letters)[turn], n, rhs, lu, n, pivots, x, rhs);
            Arg args[] = {BOOL(turn > 0), BOOL(turn > 1),        I64(n),       I64(rhs),
                          Z(lu, n * n),   VEC("i32", pivots, n), Z(b, n * rhs)};
            weld_value_t value = call(engine, full, args, 7);
            TEST(expect)(full, weld_value_data(value), x, n * rhs);
            weld_value_free(value);
            if (n == 3 && rhs) TEST(expect_checked)(engine, full, args, 7);
            free(lu), free(b), free(x);
        }
    }
}

static void TEST(inverse)(int engine, const char *full, bool factored) {
    EACH_SIZE(n) {
        NUMBER *a = TEST(matrix)(n, TEST(GENERAL)), *expected = TEST(copy_of)(a, n * n);
        lapack_int pivots[64];
        if (n) LAPACK(getrf)(LAPACK_ROW_MAJOR, n, n, expected, n, pivots);
        NUMBER *lu = TEST(copy_of)(expected, n * n);
        if (n) LAPACK(getri)(LAPACK_ROW_MAJOR, n, expected, n, pivots);
        Arg args[] = {I64(n), Z(factored ? lu : a, n * n), VEC("i32", pivots, n)};
        weld_value_t value = call(engine, full, args, factored ? 3 : 2);
        TEST(expect)(full, weld_value_data(value), expected, n * n);
        weld_value_free(value);
        if (n == 3) TEST(expect_checked)(engine, full, args, factored ? 3 : 2);
        free(a), free(lu), free(expected);
    }
}
static void TEST(inv)(int engine, const char *full) {
    TEST(inverse)(engine, full, false);
}
static void TEST(getri)(int engine, const char *full) {
    TEST(inverse)(engine, full, true);
}

/* The determinant of a triangle with rows exchanged. */
static void TEST(det)(int engine, const char *full) {
    for (int n = 0; n < 9; n++) {
        NUMBER *a = TEST(matrix)(n, TEST(GENERAL)), expected = n > 1 ? -1 : 1;
        for (int i = 0; i < n; i++) {
            a[i * n + i] /= (REAL)(2 * n + 1);
            expected *= a[i * n + i];
            for (int j = 0; j < i; j++) a[i * n + j] = 0;
        }
        for (int j = 0; n > 1 && j < n; j++) {
            NUMBER kept = a[j];
            a[j] = a[n + j];
            a[n + j] = kept;
        }
        Arg args[] = {I64(n), Z(a, n * n)};
        weld_value_t value = call(engine, full, args, 2);
        TEST(expect_within)(full, &(Vector){weld_value_data(value), 1}, &expected, 1, 1e3 * (double)EPS);
        weld_value_free(value);
        if (n == 3) TEST(expect_checked)(engine, full, args, 2);
        free(a);
    }
    NUMBER equal[4] = {1, 1, 1, 1}, zero = 0;
    Arg args[] = {I64(2), Z(equal, 4)};
    weld_value_t value = call(engine, full, args, 2);
    TEST(expect_within)(full, &(Vector){weld_value_data(value), 1}, &zero, 1, 0);
    weld_value_free(value);
}

static void TEST(clear_other)(NUMBER *a, int n, bool upper) {
    for (int i = 0; i < n * n; i++) {
        if (upper ? i / n > i % n : i / n < i % n) a[i] = 0;
    }
}

static void TEST(cholesky)(int engine, const char *full, bool inverse) {
    EACH_SIZE(n) {
        for (int upper = 0; upper < 2; upper++) {
            NUMBER *a = TEST(matrix)(n, TEST(DEFINITE)), *expected = TEST(copy_of)(a, n * n);
            if (n) LAPACK(potrf)(LAPACK_ROW_MAJOR, upper ? 'U' : 'L', n, expected, n);
            TEST(clear_other)(expected, n, upper);
            if (inverse) memcpy(a, expected, (size_t)(n * n) * sizeof *a);
            if (inverse && n) LAPACK(potri)(LAPACK_ROW_MAJOR, upper ? 'U' : 'L', n, expected, n);
            Arg args[] = {BOOL(upper), I64(n), Z(a, n * n)};
            weld_value_t value = call(engine, full, args, 3);
            TEST(expect)(full, weld_value_data(value), expected, n * n);
            weld_value_free(value);
            if (n == 3) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(expected);
        }
    }
}
static void TEST(potrf)(int engine, const char *full) {
    TEST(cholesky)(engine, full, false);
}
static void TEST(potri)(int engine, const char *full) {
    TEST(cholesky)(engine, full, true);
}

static void TEST(potrs)(int engine, const char *full) {
    EACH_SIZE(n) {
        for (int k = 0; k < 6; k++) {
            NUMBER *a = TEST(matrix)(n, TEST(DEFINITE)), *b = TEST(random)((int64_t)n * (k / 2)),
                   *factor = TEST(copy_of)(a, n * n);
            if (n) LAPACK(potrf)(LAPACK_ROW_MAJOR, k % 2 ? 'U' : 'L', n, factor, n);
            Arg args[] = {BOOL(k % 2), I64(n), I64(k / 2), Z(factor, n * n), Z(b, n * (k / 2))};
            TEST(expect_solved)(engine, full, args, 5, n, k / 2, a, b);
            free(a), free(b), free(factor);
        }
    }
}

static void TEST(geqrf)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 0; n < 10; n += n ? 3 : 1) {
            int least = m < n ? m : n;
            NUMBER *a = TEST(random)((int64_t)m * n), *qr = TEST(copy_of)(a, m * n), tau[16];
            if (least) LAPACK(geqrf)(LAPACK_ROW_MAJOR, m, n, qr, n, tau);
            Arg args[] = {I64(m), I64(n), Z(a, m * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            TEST(expect)(full, &got[0], qr, m * n);
            TEST(expect)(full, &got[1], tau, least);
            weld_value_free(value);
            if (m == 5 && n) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(qr);
        }
    }
}

static void TEST(ungqr)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 0; n < 10 && n <= m; n += n ? 3 : 1) {
            NUMBER *qr = TEST(random)((int64_t)m * n), tau[16];
            if (n) LAPACK(geqrf)(LAPACK_ROW_MAJOR, m, n, qr, n, tau);
            for (int k = n; k >= 0; k -= 2) {
                NUMBER *q = TEST(copy_of)(qr, m * n);
                if (n) LAPACK(ungqr)(LAPACK_ROW_MAJOR, m, n, k, q, n, tau);
                Arg args[] = {I64(m), I64(n), I64(k), Z(qr, m * n), Z(tau, k)};
                weld_value_t value = call(engine, full, args, 5);
                TEST(expect)(full, weld_value_data(value), q, m * n);
                weld_value_free(value);
                if (m == 5 && n && k) TEST(expect_checked)(engine, full, args, 5);
                free(q);
            }
            free(qr);
        }
    }
}

/* Q R is A, Q unitary, R triangular with zeros below. */
static void TEST(qr)(int engine, const char *full) {
    EACH_SIZE(m) {
        for (int n = 0; n < 14; n += n ? 3 : 1) {
            int k = m < n ? m : n;
            NUMBER *a = TEST(random)((int64_t)m * n), *back = TEST(random)((int64_t)m * n);
            Arg args[] = {I64(m), I64(n), Z(a, m * n)};
            weld_value_t value = call(engine, full, args, 3);
            const Vector *got = weld_value_data(value);
            cr_assert(got[0].length == m * k && got[1].length == k * n);
            const NUMBER *q = got[0].data, *r = got[1].data;
            for (int i = 0; i < m * n; i++) {
                back[i] = 0;
                for (int l = 0; l < k; l++) back[i] += q[i / n * k + l] * r[l * n + i % n];
            }
            TEST(expect)(full, &(Vector){back, m * n}, a, m * n);
            for (int i = 0; i < k; i++) {
                for (int j = 0; j < i; j++) cr_assert(creal(r[i * n + j]) == 0 && cimag(r[i * n + j]) == 0);
                for (int j = 0; j <= i; j++) {
                    NUMBER dot = 0, one = i == j;
                    for (int l = 0; l < m; l++) dot += (NUMBER)conj(q[l * k + i]) * q[l * k + j];
                    TEST(expect)(full, &(Vector){&dot, 1}, &one, 1);
                }
            }
            weld_value_free(value);
            if (m == 5 && n) TEST(expect_checked)(engine, full, args, 3);
            free(a), free(back);
        }
    }
}
