/* fftw.c: every function of the adapter fftw against FFTW called directly, in all sizes up to 100 and some larger ones, from
 * arrays at any address; sizes that do not fit must fail; many threads at once. */
#include "adapter.h"

#include <fftw3.h>
#include <pthread.h>

/* fftwf.c is this file with WELD_FFTW_SINGLE. */
#ifdef WELD_FFTW_SINGLE
#define ADAPTER "fftwf"
#define T "f32"
#define FFTW(name) fftwf_##name
typedef float Real;
static const bool floats = true;
static const double relative = 1e-5;
#define FACTOR F32(0.3F)
#else
#define ADAPTER "fftw"
#define T "f64"
#define FFTW(name) fftw_##name
typedef double Real;
static const bool floats = false;
static const double relative = 1e-14;
#define FACTOR F64(0.3)
#endif
typedef FFTW(complex) Complex;
typedef FFTW(plan) Plan;
typedef FFTW(r2r_kind) Kind;
#define COMPLEX "{" T ", " T "}"
enum { PLAN = FFTW_ESTIMATE };

static Real *reals(int64_t n) {
    Real *data = malloc((size_t)(n > 0 ? n : 1) * sizeof *data);
    cr_assert_not_null(data);
    for (int64_t i = 0; i < n; i++) data[i] = (Real)random_number();
    return data;
}

/* Now and then with a NaN or an infinity, or so large that squares overflow. */
static Real *reals_or_worse(int64_t n) {
    static int turn;
    Real *data = reals(n);
    int kind = turn++ % 7;
    for (int64_t i = 0; kind == 0 && i < n; i++) data[i] *= (Real)(floats ? 1e25 : 1e170);
    if (n > 0 && kind == 3) data[random_below(n)] = (Real)NAN;
    if (n > 0 && kind == 5) data[random_below(n)] = (Real)INFINITY;
    return data;
}

/* Data that lie at an odd multiple of a number's bytes. */
static Real *odd_reals(int64_t n, void **memory) {
    Real *data = reals_or_worse(n + 1);
    *memory = data;
    return data + 1;
}

/* What is no number spreads, how far depends on the plan: there is some in both answers, or none. What is large, is so in both. */
static void expect_like(const char *full, const Arg *arg, const Vector *got, const Real *expected,
                        int64_t n) {
    bool complex = strchr(arg->type, '{') != NULL, none = true, some[2] = {false, false};
    double most = 1;
    for (int64_t i = 0; i < arg->as.v.length * (complex ? 2 : 1); i++) {
        double x = (double)((const Real *)arg->as.v.data)[i];
        none = none && isfinite(x);
        if (isfinite(x)) most = fmax(most, fabs(x));
    }
    if (none) {
        expect_vector_of(full, got, expected, n, floats, relative, 10 * most);
        return;
    }
    cr_assert_eq(got->length, n, "%s", full);
    for (int64_t i = 0; i < n; i++) {
        some[0] = some[0] || !isfinite((double)((const Real *)got->data)[i]);
        some[1] = some[1] || !isfinite((double)expected[i]);
    }
    cr_expect_eq(some[0], some[1], "%s of what is no number, %d of them", full, (int)n);
}

static void expect_reals(int engine, const char *full, const Arg *args, int64_t count, const Real *expected,
                         int64_t n) {
    weld_value_t value = call(engine, full, args, count);
    expect_like(full, args, weld_value_data(value), expected, n);
    weld_value_free(value);
}

static void expect_complexes(int engine, const char *full, const Arg *args, int64_t count,
                             const Real *expected, int64_t n) {
    weld_value_t value = call(engine, full, args, count);
    Vector flat = *(const Vector *)weld_value_data(value);
    flat.length *= 2;
    expect_like(full, args, &flat, expected, 2 * n);
    weld_value_free(value);
}

static Complex *as_complex(Real *data) {
    return (Complex *)(void *)data;
}

static const int64_t large[] = {128, 1000, 1021, 4096, 10007};
#define EACH_SIZE(n)                                                                       \
    for (int64_t at_ = 0, n;                                                               \
         at_ <= 100 + COUNT(large) - 1 && (n = at_ <= 100 ? at_ : large[at_ - 101], true); \
         at_ += at_ > 16 && at_ < 100 ? 3 : 1)

static void run_plan(Plan plan) {
    cr_assert_not_null(plan);
    FFTW(execute)(plan);
    FFTW(destroy_plan)(plan);
}

/* ---- complex ---- */

static void complex_of(int engine, const char *full, int sign) {
    EACH_SIZE(n) {
        void *memory;
        Real *x = odd_reals(2 * n, &memory), *in = reals(2 * n), *out = reals(2 * n);
        if (n) memcpy(in, x, (size_t)n * sizeof(Complex));
        if (n) run_plan(FFTW(plan_dft_1d)((int)n, as_complex(in), as_complex(out), sign, PLAN));
        Arg args[] = {VEC(COMPLEX, x, n)};
        expect_complexes(engine, full, args, 1, out, n);
        cr_expect(n == 0 || !memcmp(in, x, (size_t)n * sizeof(Complex)), "%s changed its input", full);
        free(memory);
        free(in);
        free(out);
    }
}
static void dft(int engine, const char *full) {
    complex_of(engine, full, FFTW_FORWARD);
}
static void idft(int engine, const char *full) {
    complex_of(engine, full, FFTW_BACKWARD);
}

static const struct Shape {
    int rank;
    int64_t n[4];
} shapes[] = {{1, {12}},      {2, {3, 5}},       {2, {8, 8}}, {3, {2, 3, 4}},
              {3, {5, 1, 7}}, {4, {2, 3, 2, 5}}, {2, {1, 9}}, {2, {60, 33}}};

static int64_t elements(const struct Shape *s, int *dims) {
    int64_t all = 1;
    for (int d = 0; d < s->rank; d++) {
        dims[d] = (int)s->n[d];
        all *= s->n[d];
    }
    return all;
}

/* Of this many arrays, dimensions that they do not have. */
static void expect_shapes_checked(int engine, const char *full, const Arg *args) {
    static const int64_t bad[][2] = {
        {-1, 4}, {0, 4}, {1, 1}, {INT64_MAX, INT64_MAX}, {(int64_t)1 << 32, (int64_t)1 << 32}, {-3, -5}};
    for (int k = 0; k < COUNT(bad); k++) {
        Arg spoilt[] = {args[0], VEC("i64", bad[k], 2)};
        expect_failure(engine, full, spoilt, 2, "a shape that does not fit");
    }
    int64_t ones[40];
    for (int k = 0; k < 40; k++) ones[k] = 1;
    Arg none[] = {args[0], VEC("i64", NULL, 0)}, deep[] = {args[0], VEC("i64", ones, 40)};
    expect_failure(engine, full, none, 2, "no dimensions");
    expect_failure(engine, full, deep, 2, "40 dimensions");
}

static void complex_nd_of(int engine, const char *full, int sign) {
    for (int k = 0; k < COUNT(shapes); k++) {
        int dims[4];
        int64_t n = elements(&shapes[k], dims);
        Real *x = reals_or_worse(2 * n), *in = reals(2 * n), *out = reals(2 * n);
        memcpy(in, x, (size_t)n * sizeof(Complex));
        run_plan(FFTW(plan_dft)(shapes[k].rank, dims, as_complex(in), as_complex(out), sign, PLAN));
        Arg args[] = {VEC(COMPLEX, x, n), VEC("i64", shapes[k].n, shapes[k].rank)};
        expect_complexes(engine, full, args, 2, out, n);
        expect_checked(engine, full, args, 2, 2);
        expect_shapes_checked(engine, full, args);
        free(x);
        free(in);
        free(out);
    }
    static const int64_t empty[] = {3, 0};
    Arg args[] = {VEC(COMPLEX, NULL, 0), VEC("i64", empty, 2)};
    expect_complexes(engine, full, args, 2, NULL, 0);
}
static void dft_nd(int engine, const char *full) {
    complex_nd_of(engine, full, FFTW_FORWARD);
}
static void idft_nd(int engine, const char *full) {
    complex_nd_of(engine, full, FFTW_BACKWARD);
}

static void complex_rows_of(int engine, const char *full, int sign) {
    for (int64_t n = 1; n < 40; n += 3) {
        for (int64_t rows = 0; rows < 5; rows += rows ? 2 : 1) {
            Real *x = reals_or_worse(2 * n * rows), *in = reals(2 * n * rows), *out = reals(2 * n * rows);
            if (rows) memcpy(in, x, (size_t)(n * rows) * sizeof(Complex));
            for (int64_t r = 0; r < rows; r++)
                run_plan(
                    FFTW(plan_dft_1d)((int)n, as_complex(in) + r * n, as_complex(out) + r * n, sign, PLAN));
            Arg args[] = {VEC(COMPLEX, x, n * rows), I64(n)}, zero[] = {VEC(COMPLEX, x, n * rows), I64(0)};
            expect_complexes(engine, full, args, 2, out, n * rows);
            if (n > 1 && rows) expect_checked(engine, full, args, 2, 1);
            expect_failure(engine, full, zero, 2, "rows of no elements");
            free(x);
            free(in);
            free(out);
        }
    }
}
static void dft_rows(int engine, const char *full) {
    complex_rows_of(engine, full, FFTW_FORWARD);
}
static void idft_rows(int engine, const char *full) {
    complex_rows_of(engine, full, FFTW_BACKWARD);
}

/* ---- real to complex and back ---- */

static void r2c(int engine, const char *full) {
    EACH_SIZE(n) {
        void *memory;
        int64_t kept = n ? n / 2 + 1 : 0;
        Real *x = odd_reals(n, &memory), *in = reals(n), *out = reals(2 * kept);
        if (n) memcpy(in, x, (size_t)n * sizeof *in);
        if (n) run_plan(FFTW(plan_dft_r2c_1d)((int)n, in, as_complex(out), PLAN));
        Arg args[] = {VEC(T, x, n)};
        expect_complexes(engine, full, args, 1, out, kept);
        cr_expect(n == 0 || !memcmp(in, x, (size_t)n * sizeof *x), "%s changed its input", full);
        free(memory);
        free(in);
        free(out);
    }
}

static void c2r(int engine, const char *full) {
    EACH_SIZE(n) {
        void *memory;
        int64_t kept = n ? n / 2 + 1 : 0;
        Real *x = odd_reals(2 * kept, &memory), *in = reals(2 * kept), *out = reals(n);
        if (n) memcpy(in, x, (size_t)kept * sizeof(Complex));
        if (n) run_plan(FFTW(plan_dft_c2r_1d)((int)n, as_complex(in), out, PLAN | FFTW_PRESERVE_INPUT));
        Arg args[] = {VEC(COMPLEX, x, kept), I64(n)};
        expect_reals(engine, full, args, 2, out, n);
        cr_expect(n == 0 || !memcmp(in, x, (size_t)kept * sizeof(Complex)), "%s changed its input", full);
        if (n) expect_checked(engine, full, args, 2, 0);
        free(memory);
        free(in);
        free(out);
    }
}

static void real_nd_of(int engine, const char *full, bool back) {
    for (int k = 0; k < COUNT(shapes); k++) {
        int dims[4];
        const struct Shape *s = &shapes[k];
        int64_t n = elements(s, dims), last = s->n[s->rank - 1], kept = n / last * (last / 2 + 1);
        Real *real = reals_or_worse(n), *freq = reals_or_worse(2 * kept), *in = reals(2 * kept + n),
             *out = reals(2 * kept + n);
        memcpy(in, back ? freq : real, back ? (size_t)kept * sizeof(Complex) : (size_t)n * sizeof *real);
        run_plan(back ? FFTW(plan_dft_c2r)(s->rank, dims, as_complex(in), out, PLAN)
                      : FFTW(plan_dft_r2c)(s->rank, dims, in, as_complex(out), PLAN));
        Real *before = reals(2 * kept);
        memcpy(before, freq, (size_t)kept * sizeof(Complex));
        Arg args[] = {VEC(T, real, n), VEC("i64", s->n, s->rank)};
        Arg backwards[] = {VEC(COMPLEX, freq, kept), VEC("i64", s->n, s->rank)};
        if (back)
            expect_reals(engine, full, backwards, 2, out, n);
        else
            expect_complexes(engine, full, args, 2, out, kept);
        cr_expect(!memcmp(before, freq, (size_t)kept * sizeof(Complex)), "%s changed its input", full);
        expect_checked(engine, full, back ? backwards : args, 2, 2);
        expect_shapes_checked(engine, full, back ? backwards : args);
        free(real);
        free(freq);
        free(before);
        free(in);
        free(out);
    }
    static const int64_t empty[] = {0, 3}, last[] = {3, 0};
    Arg real[] = {VEC(T, NULL, 0), VEC("i64", empty, 2)},
        freq[] = {VEC(COMPLEX, NULL, 0), VEC("i64", last, 2)};
    weld_value_free(call(engine, full, back ? freq : real, 2));
}
static void r2c_nd(int engine, const char *full) {
    real_nd_of(engine, full, false);
}
static void c2r_nd(int engine, const char *full) {
    real_nd_of(engine, full, true);
}

static void real_rows_of(int engine, const char *full, bool back) {
    for (int64_t n = 1; n < 40; n += 3) {
        for (int64_t rows = 0; rows < 5; rows += rows ? 2 : 1) {
            int64_t kept = n / 2 + 1;
            Real *real = reals_or_worse(n * rows), *freq = reals_or_worse(2 * kept * rows),
                 *in = reals(2 * kept), *out = reals(2 * kept * rows + n * rows);
            for (int64_t r = 0; r < rows; r++) {
                if (back) {
                    memcpy(in, freq + 2 * kept * r, (size_t)kept * sizeof(Complex));
                    run_plan(FFTW(plan_dft_c2r_1d)((int)n, as_complex(in), out + r * n,
                                                   PLAN | FFTW_PRESERVE_INPUT));
                } else {
                    memcpy(in, real + n * r, (size_t)n * sizeof *in);
                    run_plan(FFTW(plan_dft_r2c_1d)((int)n, in, as_complex(out) + r * kept, PLAN));
                }
            }
            Arg args[] = {VEC(T, real, n * rows), I64(n)},
                backwards[] = {VEC(COMPLEX, freq, kept * rows), I64(n)};
            if (back)
                expect_reals(engine, full, backwards, 2, out, n * rows);
            else
                expect_complexes(engine, full, args, 2, out, kept * rows);
            Arg zero[] = {back ? backwards[0] : args[0], I64(0)};
            expect_failure(engine, full, zero, 2, "rows of no elements");
            if (rows && kept > 1) expect_checked(engine, full, back ? backwards : args, 2, 1);
            free(real);
            free(freq);
            free(in);
            free(out);
        }
    }
}
static void r2c_rows(int engine, const char *full) {
    real_rows_of(engine, full, false);
}
static void c2r_rows(int engine, const char *full) {
    real_rows_of(engine, full, true);
}

/* ---- real to real ---- */

static void real_of(int engine, const char *full, Kind kind) {
    EACH_SIZE(n) {
        void *memory;
        Real *x = odd_reals(n, &memory), *in = reals(n), *out = reals(n);
        Arg args[] = {VEC(T, x, n)};
        if (n) memcpy(in, x, (size_t)n * sizeof *in);
        if (kind == FFTW_REDFT00 && n == 1) {
            expect_failure(engine, full, args, 1, "one element");
        } else {
            if (n) run_plan(FFTW(plan_r2r_1d)((int)n, in, out, kind, PLAN | FFTW_PRESERVE_INPUT));
            expect_reals(engine, full, args, 1, out, n);
            cr_expect(n == 0 || !memcmp(in, x, (size_t)n * sizeof *x), "%s changed its input", full);
        }
        free(memory);
        free(in);
        free(out);
    }
}

/* Of all dimensions of arrays. */
static void reals_nd_of(int engine, const char *full, Kind kind) {
    const Kind kinds[] = {kind, kind, kind, kind};
    for (int k = 0; k < COUNT(shapes); k++) {
        int dims[4];
        int64_t n = elements(&shapes[k], dims);
        Real *x = reals_or_worse(n), *in = reals(n), *out = reals(n);
        bool ends = true;
        Arg args[] = {VEC(T, x, n), VEC("i64", shapes[k].n, shapes[k].rank)};
        memcpy(in, x, (size_t)n * sizeof *in);
        for (int d = 0; d < shapes[k].rank; d++) ends = ends && (kind != FFTW_REDFT00 || dims[d] > 1);
        if (ends) {
            run_plan(FFTW(plan_r2r)(shapes[k].rank, dims, in, out, kinds, PLAN));
            expect_reals(engine, full, args, 2, out, n);
        }
        expect_checked(engine, full, args, 2, ends ? 2 : 3);
        expect_shapes_checked(engine, full, args);
        if (!ends) expect_failure(engine, full, args, 2, "a dimension of one element");
        free(x);
        free(in);
        free(out);
    }
    static const int64_t empty[] = {3, 0};
    Arg args[] = {VEC(T, NULL, 0), VEC("i64", empty, 2)};
    expect_reals(engine, full, args, 2, NULL, 0);
}

#define REAL(name, kind, adjoint, before, after, doc)     \
    static void name(int engine, const char *full) {      \
        real_of(engine, full, kind);                      \
    }                                                     \
    static void name##_nd(int engine, const char *full) { \
        reals_nd_of(engine, full, kind);                  \
    }
#include "../../adapters/fftw/real.def"
#undef REAL

/* ---- spectra: what FFTW has no functions for ---- */

static void spectra(int engine, const char *full) {
    EACH_SIZE(n) {
        Real *x = reals_or_worse(2 * n), *y = reals(2 * n), *out = reals(2 * n);
        bool turned = strstr(full, "correlate"), scaled = strstr(full, "scale");
        for (int64_t i = 0; i < n; i++) {
            Real re = x[2 * i], im = turned ? -x[2 * i + 1] : x[2 * i + 1];
            out[2 * i] = scaled ? re * (Real)0.3 : re * y[2 * i] - im * y[2 * i + 1];
            out[2 * i + 1] = scaled ? im * 0.3 : re * y[2 * i + 1] + im * y[2 * i];
        }
        Arg args[] = {VEC(COMPLEX, x, n), VEC(COMPLEX, y, n)}, factor[] = {VEC(COMPLEX, x, n), FACTOR};
        expect_complexes(engine, full, scaled ? factor : args, 2, out, n);
        free(x);
        free(y);
        free(out);
    }
}

static void power(int engine, const char *full) {
    EACH_SIZE(n) {
        Real *x = reals_or_worse(2 * n), *out = reals(n);
        for (int64_t i = 0; i < n; i++) out[i] = x[2 * i] * x[2 * i] + x[2 * i + 1] * x[2 * i + 1];
        Arg args[] = {VEC(COMPLEX, x, n)};
        expect_reals(engine, full, args, 1, out, n);
        free(x);
        free(out);
    }
}

/* clang-format off */
#define ROW(name) {#name, name}
#define REAL(name, kind, adjoint, before, after, doc) ROW(name), ROW(name##_nd),
static const RowTest tests[] = {
    ROW(dft), ROW(idft), ROW(dft_nd), ROW(idft_nd), ROW(dft_rows), ROW(idft_rows),
    ROW(r2c), ROW(c2r), ROW(r2c_nd), ROW(c2r_nd), ROW(r2c_rows), ROW(c2r_rows),
    {"multiply", spectra}, {"correlate", spectra}, {"scale", spectra}, ROW(power),
#include "../../adapters/fftw/real.def"
};
/* clang-format on */

Test(fftw, rows) {
    check_rows(ADAPTER, tests, COUNT(tests));
}

/* NaN and infinities go through as they do in the library: nothing of the result is finite. */
Test(fftw, nan_spreads) {
    Real x[] = {1, NAN, 2, 3};
    Arg args[] = {VEC(T, x, 4)};
    for (int engine = 0; engine < ENGINES; engine++) {
        weld_value_t value = call(engine, ADAPTER ".r2c", args, 1);
        const Vector *got = weld_value_data(value);
        const Real *part = got->data;
        for (int i = 0; i < 3; i++) cr_expect(isnan(part[2 * i]) || isnan(part[2 * i + 1]));
        weld_value_free(value);
    }
}

/* ---- threads: each with a context of its own ---- */

static void *transform(void *all_right) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval");
    weld_context_t context = weld_context_new(conf);
    weld_error_t error = weld_error_new();
    bool ok = context && error;
    for (int round = 0; ok && round < 200; round++) {
        int64_t n = 1 + round % 64;
        Real x[64];
        for (int i = 0; i < n; i++) x[i] = 1;
        Vector vector = {x, n};
        weld_lazy_t data = weld_lazy_data("vec[" T "]", &vector, NULL, NULL, error);
        weld_lazy_t lazy = weld_lazy_call(ADAPTER ".r2c", &data, 1, error);
        weld_value_t value = NULL;
        ok = weld_lazy_evaluate(context, &lazy, 1, &value, error);
        ok = ok && *(const Real *)((const Vector *)weld_value_data(value))->data == (Real)n;
        weld_value_free(value);
        weld_lazy_free(lazy);
        weld_lazy_free(data);
    }
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
    if (!ok) *(bool *)all_right = false;
    return NULL;
}

Test(fftw, plans_are_made_by_one_thread_at_a_time) {
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    bool all_right[THREADS];
    for (int i = 0; i < THREADS; i++) {
        all_right[i] = true;
        cr_assert(pthread_create(&threads[i], NULL, transform, &all_right[i]) == 0);
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        cr_expect(all_right[i], "thread %d", i);
    }
}
