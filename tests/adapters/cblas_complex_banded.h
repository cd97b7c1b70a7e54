/* cblas_complex_banded.h: tests of rotg, and of the rows on banded and packed matrices of complex numbers; included like
 * cblas_complex_matrix.h, behind it. */

static void ROW(rotg)(int engine, const char *full) {
    for (int round = 0; round < ROW(ROUNDS); round++) {
        REAL *z = TEST(random)(4), b[2], c, s[2];
        for (int i = 0; i < 4; i++) z[i] *= round % 4 == i ? 0 : round % 5 == 4 ? (REAL)1e15 : 1;
        for (int i = 0; i < 2; i++) {
            if (round == 10) z[i] = 0;
            if (round == 11) z[2 + i] = 0;
            if (round >= 12 && round < 20)
                z[round % 4] = round < 16 ? (REAL)NAN : (REAL)(FLOATS ? 1e25 : 1e170);
        }
        Arg args[] = {NUMBER(z), NUMBER(z + 2)};
        weld_value_t value = call(engine, full, args, 2);
        memcpy(b, z + 2, sizeof b);
        CBLAS(rotg)(z, b, &c, s);
        REAL expected[] = {z[0], z[1], c, s[0], s[1]};
        const Vector got = {weld_value_data(value), 5};
        expect_vector_of(full, &got, expected, 5, FLOATS, 0, 0);
        weld_value_free(value);
        free(z);
    }
}

static void ROW(gbmv)(int engine, const char *full) {
    EACH_CASE(t) {
        bool trans = t.flag[0], conj = t.flag[1];
        int in = trans ? t.m : t.n, out = trans ? t.n : t.m;
        int lower = (int)random_below(4), upper = (int)random_below(4), width = lower + upper + 1;
        ROW(fill)(&t, t.m * width, in, out, false);
        if (t.m * t.n == 0)
            CBLAS(scal)(out, t.beta, t.out, 1);
        else
            CBLAS(gbmv)
        (CblasRowMajor, TURN(trans, conj), t.m, t.n, lower, upper, t.alpha, t.a, width, t.b, 1, t.beta, t.out,
         1);
        Arg args[] = {BOOL(trans),     BOOL(conj), I64(t.m), I64(t.n),       I64(lower), I64(upper),
                      NUMBER(t.alpha), IN_A,       IN_B,     NUMBER(t.beta), IN_C};
        ROW(close)(&t, engine, full, args, 11);
    }
}

static void ROW(hbmv)(int engine, const char *full) {
    EACH_CASE(t) {
        int k = (int)random_below(5);
        ROW(fill)(&t, t.n * (k + 1), t.n, t.n, false);
        CBLAS(hbmv)
        (CblasRowMajor, UPLO(t.flag[0]), t.n, k, t.alpha, t.a, k + 1, t.b, 1, t.beta, t.out, 1);
        Arg args[] = {BOOL(t.flag[0]), I64(t.n), I64(k), NUMBER(t.alpha), IN_A, IN_B, NUMBER(t.beta), IN_C};
        ROW(close)(&t, engine, full, args, 8);
    }
}

static void ROW(hpmv)(int engine, const char *full) {
    EACH_CASE(t) {
        ROW(fill)(&t, t.n * (t.n + 1) / 2, t.n, t.n, false);
        CBLAS(hpmv)(CblasRowMajor, UPLO(t.flag[0]), t.n, t.alpha, t.a, t.b, 1, t.beta, t.out, 1);
        Arg args[] = {BOOL(t.flag[0]), I64(t.n), NUMBER(t.alpha), IN_A, IN_B, NUMBER(t.beta), IN_C};
        ROW(close)(&t, engine, full, args, 7);
    }
}

static void ROW(hpr)(int engine, const char *full) {
    EACH_CASE(t) {
        ROW(fill)(&t, t.n, 1, t.n * (t.n + 1) / 2, true);
        CBLAS(hpr)(CblasRowMajor, UPLO(t.flag[0]), t.n, t.alpha[0], t.a, 1, t.out);
        Arg args[] = {BOOL(t.flag[0]), I64(t.n), SCALAR(t.alpha[0]), IN_A, IN_C};
        ROW(close)(&t, engine, full, args, 5);
    }
}

static void ROW(hpr2)(int engine, const char *full) {
    EACH_CASE(t) {
        ROW(fill)(&t, t.n, t.n, t.n * (t.n + 1) / 2, true);
        CBLAS(hpr2)(CblasRowMajor, UPLO(t.flag[0]), t.n, t.alpha, t.a, 1, t.b, 1, t.out);
        Arg args[] = {BOOL(t.flag[0]), I64(t.n), NUMBER(t.alpha), IN_A, IN_B, IN_C};
        ROW(close)(&t, engine, full, args, 6);
    }
}

/* A triangle that can be solved for: its diagonal, where `at` finds it, is large. */
static void ROW(raise_elements)(ROW(Case) * t, int64_t (*at)(int i, int n, int k), int k) {
    for (int64_t i = 0; i < 2 * t->na; i++) t->a[i] *= (REAL)(0.5 / (t->n + 1));
    for (int i = 0; i < t->n; i++) t->a[2 * at(i, t->n, k)] = (REAL)(1.5 + 0.25 * random_number());
}

#define TRIANGLE_BAND(name)                                                                                 \
    static void ROW(name)(int engine, const char *full) {                                                   \
        EACH_CASE(t) {                                                                                      \
            const bool *f = t.flag;                                                                         \
            int k = (int)random_below(5);                                                                   \
            ROW(fill)(&t, t.n * (k + 1), 1, t.n, true);                                                     \
            ROW(raise_elements)(&t, f[0] ? TEST(band_upper) : TEST(band_lower), k);                         \
            CBLAS(name)(CblasRowMajor, UPLO(f[0]), TURN(f[1], f[2]), DIAG(f[3]), t.n, k, t.a, k + 1, t.out, \
                        1);                                                                                 \
            Arg args[] = {BOOL(f[0]), BOOL(f[1]), BOOL(f[2]), BOOL(f[3]), I64(t.n), I64(k), IN_A, IN_C};    \
            ROW(close)(&t, engine, full, args, 8);                                                          \
        }                                                                                                   \
    }
TRIANGLE_BAND(tbmv)
TRIANGLE_BAND(tbsv)

#define TRIANGLE_PACKED(name)                                                                         \
    static void ROW(name)(int engine, const char *full) {                                             \
        EACH_CASE(t) {                                                                                \
            const bool *f = t.flag;                                                                   \
            ROW(fill)(&t, t.n * (t.n + 1) / 2, 1, t.n, true);                                         \
            ROW(raise_elements)(&t, f[0] ? TEST(packed_upper) : TEST(packed_lower), 0);               \
            CBLAS(name)(CblasRowMajor, UPLO(f[0]), TURN(f[1], f[2]), DIAG(f[3]), t.n, t.a, t.out, 1); \
            Arg args[] = {BOOL(f[0]), BOOL(f[1]), BOOL(f[2]), BOOL(f[3]), I64(t.n), IN_A, IN_C};      \
            ROW(close)(&t, engine, full, args, 7);                                                    \
        }                                                                                             \
    }
TRIANGLE_PACKED(tpmv)
TRIANGLE_PACKED(tpsv)
#undef TRIANGLE_BAND
#undef TRIANGLE_PACKED
#undef EACH_CASE
#undef NUMBER
#undef IN_A
#undef IN_B
#undef IN_C
#undef LD
#undef UPLO
#undef DIAG
#undef SIDE
#undef TURN
