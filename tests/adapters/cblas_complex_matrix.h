/* cblas_complex_matrix.h: tests of levels 2 and 3 on complex numbers of one precision; included like cblas_complex.h, behind it. */

/* What a function takes, of random sizes and flags; vectors of complex numbers as reals. */
typedef struct {
    int m, n, k;
    bool flag[5];
    REAL alpha[2], beta[2];
    REAL *a, *b, *c, *out;
    int64_t na, nb, nc;
} ROW(Case);

static void ROW(open)(ROW(Case) * t) {
    static const int sizes[] = {0, 1, 2, 3, 5, 8, 17};
    const REAL *alpha = ROW(factors)[random_below(4)], *beta = ROW(factors)[random_below(4)];
    *t = (ROW(Case)){.m = sizes[random_below(7)], .n = sizes[random_below(7)], .k = sizes[random_below(7)]};
    for (int i = 0; i < 5; i++) t->flag[i] = random_below(2);
    for (int i = 0; i < 2; i++) t->alpha[i] = alpha[i], t->beta[i] = beta[i];
}

static void ROW(fill)(ROW(Case) * t, int64_t na, int64_t nb, int64_t nc, bool updates) {
    t->na = na, t->nb = nb, t->nc = nc;
    t->a = TEST(random)(2 * na), t->b = TEST(random)(2 * nb), t->c = TEST(random)(2 * nc);
    TEST(spoil)(t->a, 2 * na), TEST(spoil)(t->b, 2 * nb), TEST(spoil)(t->c, 2 * nc);
    t->out = TEST(copy_of)(t->c, 2 * nc);
    if (updates) t->beta[0] = 1, t->beta[1] = 0;
    for (int64_t i = 0; t->beta[0] == 0 && t->beta[1] == 0 && i < 2 * nc; i++) t->out[i] = 0;
}

static Arg ROW(number)(const REAL *z) {
    Arg arg = {E, {.f64 = 0}};
    memcpy(&arg.as, z, 2 * sizeof *z);
    return arg;
}

static void ROW(close)(ROW(Case) * t, int engine, const char *full, const Arg *args, int64_t count) {
    weld_value_t value = call(engine, full, args, count);
    Vector got = *(const Vector *)weld_value_data(value);
    cr_assert_eq(got.length, t->nc, "%s", full);
    got.length *= 2;
    expect_vector_of(full, &got, t->out, got.length, FLOATS, 64 * (double)EPS, 1 + t->m + t->n + t->k);
    weld_value_free(value);
    bool small = t->na && t->na < 20 && t->nb && t->nb < 20 && t->nc && t->nc < 20;
    if (small && (t->beta[0] != 0 || t->beta[1] != 0)) expect_checked(engine, full, args, count, 0);
    free(t->a), free(t->b), free(t->c), free(t->out);
}

enum { ROW(ROUNDS) = 40 };
#define EACH_CASE(t) \
    ROW(Case) t;     \
    for (int round_ = 0; round_ < ROW(ROUNDS) && (ROW(open)(&t), true); round_++)
#define NUMBER(z) ROW(number)(z)
#define IN_A VEC(E, t.a, t.na)
#define IN_B VEC(E, t.b, t.nb)
#define IN_C VEC(E, t.c, t.nc)
#define LD(n) ((n) > 0 ? (n) : 1)
#define UPLO(flag) ((flag) ? CblasUpper : CblasLower)
#define DIAG(flag) ((flag) ? CblasUnit : CblasNonUnit)
#define SIDE(flag) ((flag) ? CblasLeft : CblasRight)
#define TURN(transposed, conjugated) \
    (!(transposed) ? CblasNoTrans : (conjugated) ? CblasConjTrans : CblasTrans)

static void ROW(gemv)(int engine, const char *full) {
    EACH_CASE(t) {
        bool trans = t.flag[0], conj = t.flag[1];
        int in = trans ? t.m : t.n, out = trans ? t.n : t.m;
        ROW(fill)(&t, t.m * t.n, in, out, false);
        if (t.m * t.n == 0)
            CBLAS(scal)(out, t.beta, t.out, 1);
        else
            CBLAS(gemv)(CblasRowMajor, TURN(trans, conj), t.m, t.n, t.alpha, t.a, t.n, t.b, 1, t.beta, t.out,
                        1);
        Arg args[] = {BOOL(trans), BOOL(conj), I64(t.m),       I64(t.n), NUMBER(t.alpha),
                      IN_A,        IN_B,       NUMBER(t.beta), IN_C};
        ROW(close)(&t, engine, full, args, 9);
    }
}

static void ROW(hemv)(int engine, const char *full) {
    EACH_CASE(t) {
        ROW(fill)(&t, t.n * t.n, t.n, t.n, false);
        CBLAS(hemv)(CblasRowMajor, UPLO(t.flag[0]), t.n, t.alpha, t.a, LD(t.n), t.b, 1, t.beta, t.out, 1);
        Arg args[] = {BOOL(t.flag[0]), I64(t.n), NUMBER(t.alpha), IN_A, IN_B, NUMBER(t.beta), IN_C};
        ROW(close)(&t, engine, full, args, 7);
    }
}

#define OUTER_PRODUCT(name)                                                                \
    static void ROW(name)(int engine, const char *full) {                                  \
        EACH_CASE(t) {                                                                     \
            ROW(fill)(&t, t.m, t.n, t.m * t.n, true);                                      \
            CBLAS(name)(CblasRowMajor, t.m, t.n, t.alpha, t.a, 1, t.b, 1, t.out, LD(t.n)); \
            Arg args[] = {I64(t.m), I64(t.n), NUMBER(t.alpha), IN_A, IN_B, IN_C};          \
            ROW(close)(&t, engine, full, args, 6);                                         \
        }                                                                                  \
    }
OUTER_PRODUCT(geru)
OUTER_PRODUCT(gerc)

static void ROW(her)(int engine, const char *full) {
    EACH_CASE(t) {
        ROW(fill)(&t, t.n, 1, t.n * t.n, true);
        CBLAS(her)(CblasRowMajor, UPLO(t.flag[0]), t.n, t.alpha[0], t.a, 1, t.out, LD(t.n));
        Arg args[] = {BOOL(t.flag[0]), I64(t.n), SCALAR(t.alpha[0]), IN_A, IN_C};
        ROW(close)(&t, engine, full, args, 5);
    }
}

static void ROW(her2)(int engine, const char *full) {
    EACH_CASE(t) {
        ROW(fill)(&t, t.n, t.n, t.n * t.n, true);
        CBLAS(her2)(CblasRowMajor, UPLO(t.flag[0]), t.n, t.alpha, t.a, 1, t.b, 1, t.out, LD(t.n));
        Arg args[] = {BOOL(t.flag[0]), I64(t.n), NUMBER(t.alpha), IN_A, IN_B, IN_C};
        ROW(close)(&t, engine, full, args, 6);
    }
}

/* A diagonal that makes solving well-conditioned. */
static void ROW(raise_diagonal)(REAL *a, int n) {
    for (int i = 0; i < 2 * n * n; i++) a[i] *= (REAL)(0.5 / (n + 1));
    for (int i = 0; i < n; i++) a[2 * (i * n + i)] = (REAL)(1.5 + 0.25 * random_number());
}

#define TRIANGLE(name)                                                                                     \
    static void ROW(name)(int engine, const char *full) {                                                  \
        EACH_CASE(t) {                                                                                     \
            const bool *f = t.flag;                                                                        \
            ROW(fill)(&t, t.n * t.n, 1, t.n, true);                                                        \
            ROW(raise_diagonal)(t.a, t.n);                                                                 \
            CBLAS(name)(CblasRowMajor, UPLO(f[0]), TURN(f[1], f[2]), DIAG(f[3]), t.n, t.a, LD(t.n), t.out, \
                        1);                                                                                \
            Arg args[] = {BOOL(f[0]), BOOL(f[1]), BOOL(f[2]), BOOL(f[3]), I64(t.n), IN_A, IN_C};           \
            ROW(close)(&t, engine, full, args, 7);                                                         \
        }                                                                                                  \
    }
TRIANGLE(trmv)
TRIANGLE(trsv)

static void ROW(gemm)(int engine, const char *full) {
    EACH_CASE(t) {
        const bool *f = t.flag;
        ROW(fill)(&t, t.m * t.k, t.k * t.n, t.m * t.n, false);
        if (t.k == 0)
            CBLAS(scal)(t.m * t.n, t.beta, t.out, 1);
        else
            CBLAS(gemm)(CblasRowMajor, TURN(f[0], f[1]), TURN(f[2], f[3]), t.m, t.n, t.k, t.alpha, t.a,
                        LD(f[0] ? t.m : t.k), t.b, LD(f[2] ? t.k : t.n), t.beta, t.out, LD(t.n));
        Arg args[] = {BOOL(f[0]), BOOL(f[1]),      BOOL(f[2]), BOOL(f[3]), I64(t.m),       I64(t.n),
                      I64(t.k),   NUMBER(t.alpha), IN_A,       IN_B,       NUMBER(t.beta), IN_C};
        ROW(close)(&t, engine, full, args, 12);
    }
}

#define SYMMETRIC(name)                                                                                     \
    static void ROW(name)(int engine, const char *full) {                                                   \
        EACH_CASE(t) {                                                                                      \
            int order = t.flag[0] ? t.m : t.n;                                                              \
            ROW(fill)(&t, order * order, t.m * t.n, t.m * t.n, false);                                      \
            CBLAS(name)(CblasRowMajor, SIDE(t.flag[0]), UPLO(t.flag[1]), t.m, t.n, t.alpha, t.a, LD(order), \
                        t.b, LD(t.n), t.beta, t.out, LD(t.n));                                              \
            Arg args[] = {BOOL(t.flag[0]),                                                                  \
                          BOOL(t.flag[1]),                                                                  \
                          I64(t.m),                                                                         \
                          I64(t.n),                                                                         \
                          NUMBER(t.alpha),                                                                  \
                          IN_A,                                                                             \
                          IN_B,                                                                             \
                          NUMBER(t.beta),                                                                   \
                          IN_C};                                                                            \
            ROW(close)(&t, engine, full, args, 9);                                                          \
        }                                                                                                   \
    }
SYMMETRIC(symm)
SYMMETRIC(hemm)

/* alpha and beta as the library takes them, and as arguments. */
#define RANK_K(name, alpha_, beta_, conj, alpha_arg, beta_arg, real_beta)                               \
    static void ROW(name)(int engine, const char *full) {                                               \
        EACH_CASE(t) {                                                                                  \
            if (real_beta) t.beta[1] = 0;                                                               \
            ROW(fill)(&t, t.n * t.k, 1, t.n * t.n, false);                                              \
            CBLAS(name)(CblasRowMajor, UPLO(t.flag[0]), TURN(t.flag[1], conj), t.n, t.k, alpha_, t.a,   \
                        LD(t.flag[1] ? t.n : t.k), beta_, t.out, LD(t.n));                              \
            Arg args[] = {                                                                              \
                BOOL(t.flag[0]), BOOL(t.flag[1]), I64(t.n), I64(t.k), alpha_arg, IN_A, beta_arg, IN_C}; \
            ROW(close)(&t, engine, full, args, 8);                                                      \
        }                                                                                               \
    }
RANK_K(syrk, t.alpha, t.beta, false, NUMBER(t.alpha), NUMBER(t.beta), false)
RANK_K(herk, t.alpha[0], t.beta[0], true, SCALAR(t.alpha[0]), SCALAR(t.beta[0]), true)

#define RANK_2K(name, beta_, conj, beta_arg, real_beta)                                                     \
    static void ROW(name)(int engine, const char *full) {                                                   \
        EACH_CASE(t) {                                                                                      \
            if (real_beta) t.beta[1] = 0;                                                                   \
            ROW(fill)(&t, t.n * t.k, t.n * t.k, t.n * t.n, false);                                          \
            int lda = LD(t.flag[1] ? t.n : t.k);                                                            \
            CBLAS(name)(CblasRowMajor, UPLO(t.flag[0]), TURN(t.flag[1], conj), t.n, t.k, t.alpha, t.a, lda, \
                        t.b, lda, beta_, t.out, LD(t.n));                                                   \
            Arg args[] = {BOOL(t.flag[0]),                                                                  \
                          BOOL(t.flag[1]),                                                                  \
                          I64(t.n),                                                                         \
                          I64(t.k),                                                                         \
                          NUMBER(t.alpha),                                                                  \
                          IN_A,                                                                             \
                          IN_B,                                                                             \
                          beta_arg,                                                                         \
                          IN_C};                                                                            \
            ROW(close)(&t, engine, full, args, 9);                                                          \
        }                                                                                                   \
    }
RANK_2K(syr2k, t.beta, false, NUMBER(t.beta), false)
RANK_2K(her2k, t.beta[0], true, SCALAR(t.beta[0]), true)

#define TRIANGLE_MATRIX(name)                                                                          \
    static void ROW(name)(int engine, const char *full) {                                              \
        EACH_CASE(t) {                                                                                 \
            const bool *f = t.flag;                                                                    \
            int order = f[0] ? t.m : t.n;                                                              \
            ROW(fill)(&t, order * order, 1, t.m * t.n, true);                                          \
            ROW(raise_diagonal)(t.a, order);                                                           \
            CBLAS(name)(CblasRowMajor, SIDE(f[0]), UPLO(f[1]), TURN(f[2], f[3]), DIAG(f[4]), t.m, t.n, \
                        t.alpha, t.a, LD(order), t.out, LD(t.n));                                      \
            Arg args[] = {BOOL(f[0]), BOOL(f[1]), BOOL(f[2]),      BOOL(f[3]), BOOL(f[4]),             \
                          I64(t.m),   I64(t.n),   NUMBER(t.alpha), IN_A,       IN_C};                  \
            ROW(close)(&t, engine, full, args, 10);                                                    \
        }                                                                                              \
    }
TRIANGLE_MATRIX(trmm)
TRIANGLE_MATRIX(trsm)
#undef OUTER_PRODUCT
#undef TRIANGLE
#undef SYMMETRIC
#undef RANK_K
#undef RANK_2K
#undef TRIANGLE_MATRIX
