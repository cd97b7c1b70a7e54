/* fftw.c: discrete Fourier transforms by FFTW: complex, real to complex and back, real to real, in one and more dimensions.
 *
 * A complex number is {real, imaginary}, which lies in memory as fftw_complex does. Transforms are FFTW's, not normalized:
 * forward and backward gives n times the data. An n-dimensional array is its elements, the last dimension fastest, with
 * its shape beside it; a transform of rows takes every row of n elements on its own.
 *
 *     dft([{1,0},{0,0}])  ->  plan (under the lock), execute, destroy (under the lock)  ->  [{1,0},{1,0}]
 *
 * FFTW's planner is not to be entered by two threads at once: a lock of this adapter guards it. Plans are made by
 * FFTW_ESTIMATE for the very arrays at hand, which may lie at any address, and their inputs are left as they are.
 * FFTW is under the GPL: it is linked with this library only.
 *
 * The same functions of floats are the adapter fftwf, which is this file with WELD_FFTW_SINGLE and the library fftw3f.
 */
#include <fftw3.h>
#include <limits.h>
#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <weld.h>

#define EXPORT __attribute__((visibility("default")))

/* NAME, T, Z: of the adapter, of its numbers in the language, and the suffix of its literals. */
#ifdef WELD_FFTW_SINGLE
#define NAME "fftwf"
#define T "f32"
#define Z "f"
#define ABOUT "FFTW, fast Fourier transforms of floats"
#define FFTW(name) fftwf_##name
#define SHIM(name) weld_fftwf_##name
typedef float Real;
#else
#define NAME "fftw"
#define T "f64"
#define Z ""
#define ABOUT "FFTW, fast Fourier transforms"
#define FFTW(name) fftw_##name
#define SHIM(name) weld_fftw_##name
typedef double Real;
#endif

typedef FFTW(complex) Complex;
typedef FFTW(plan) Plan;
typedef FFTW(iodim64) Dimension;
typedef FFTW(r2r_kind) Kind;

typedef struct Reals {
    Real *data;
    int64_t length;
} Reals;
typedef struct Complexes {
    Complex *data;
    int64_t length;
} Complexes;
typedef struct Shape {
    int64_t *data;
    int64_t length;
} Shape;

/* ---- plans ---- */

static pthread_mutex_t planner = PTHREAD_MUTEX_INITIALIZER;

enum { RANK = 32 };

/* Dimensions for FFTW, row-major, and how many arrays of them lie one after the other. */
typedef struct Layout {
    Dimension dims[RANK];
    int rank;
    Dimension many;
    int64_t elements; /* of one array */
    int64_t halved;   /* of one array, of whose last dimension n only n / 2 + 1 are kept */
} Layout;

/* True, and sets *product, unless it overflows. */
static bool multiply(int64_t a, int64_t b, int64_t *product) {
    return !__builtin_mul_overflow(a, b, product);
}

/* Where one side's last dimension is halved, the strides of the two sides differ. halved_in, halved_out: which. */
static bool make_layout(const int64_t *shape, int64_t rank, bool halved_in, bool halved_out, Layout *layout) {
    if (rank < 1 || rank > RANK) return false;
    int64_t in = 1, out = 1, all = 1;
    for (int64_t d = rank - 1; d >= 0; d--) {
        int64_t n = shape[d], kept = d == rank - 1 ? n / 2 + 1 : n;
        if (n < 0) return false;
        if (n == 0) kept = 0;
        layout->dims[d] = (Dimension){n, in, out};
        if (!multiply(in, halved_in ? kept : n, &in) || !multiply(out, halved_out ? kept : n, &out))
            return false;
        if (!multiply(all, n, &all)) return false;
    }
    layout->rank = (int)rank;
    layout->elements = all;
    layout->halved = halved_in ? in : out;
    layout->many = (Dimension){1, in, out};
    return true;
}

/* Runs a plan that was made under the lock, and takes the lock to destroy it. */
static int run(Plan plan) {
    if (!plan) return WELD_CALL_NO_MEMORY;
    FFTW(execute)(plan);
    pthread_mutex_lock(&planner);
    FFTW(destroy_plan)(plan);
    pthread_mutex_unlock(&planner);
    return WELD_CALL_DONE;
}

/* ---- complex to complex ---- */

static int complex_transform(const Layout *l, int64_t many, int sign, const Complexes *x, Complexes *out) {
    Dimension howmany = l->many;
    howmany.n = many;
    if (x->length == 0) return WELD_CALL_DONE;
    pthread_mutex_lock(&planner);
    Plan plan = FFTW(plan_guru64_dft)(l->rank, l->dims, 1, &howmany, x->data, out->data, sign,
                                      FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
    pthread_mutex_unlock(&planner);
    return run(plan);
}

static int complex_one(int sign, const Complexes *x, Complexes *out) {
    Layout layout;
    if (out->length != x->length || !make_layout(&x->length, 1, false, false, &layout))
        return WELD_CALL_SIZES;
    return complex_transform(&layout, 1, sign, x, out);
}
EXPORT int SHIM(dft)(const Complexes *x, Complexes *out) {
    return complex_one(FFTW_FORWARD, x, out);
}
EXPORT int SHIM(idft)(const Complexes *x, Complexes *out) {
    return complex_one(FFTW_BACKWARD, x, out);
}

static int complex_nd(int sign, const Complexes *x, const Shape *shape, Complexes *out) {
    Layout layout;
    if (!make_layout(shape->data, shape->length, false, false, &layout)) return WELD_CALL_SIZES;
    if (layout.elements != x->length || out->length != x->length) return WELD_CALL_SIZES;
    return complex_transform(&layout, 1, sign, x, out);
}
EXPORT int SHIM(dft_nd)(const Complexes *x, const Shape *shape, Complexes *out) {
    return complex_nd(FFTW_FORWARD, x, shape, out);
}
EXPORT int SHIM(idft_nd)(const Complexes *x, const Shape *shape, Complexes *out) {
    return complex_nd(FFTW_BACKWARD, x, shape, out);
}

static int complex_rows(int sign, const Complexes *x, const int64_t *n, Complexes *out) {
    Layout layout;
    if (*n < 1 || x->length % *n || out->length != x->length) return WELD_CALL_SIZES;
    if (!make_layout(n, 1, false, false, &layout)) return WELD_CALL_SIZES;
    return complex_transform(&layout, x->length / *n, sign, x, out);
}
EXPORT int SHIM(dft_rows)(const Complexes *x, const int64_t *n, Complexes *out) {
    return complex_rows(FFTW_FORWARD, x, n, out);
}
EXPORT int SHIM(idft_rows)(const Complexes *x, const int64_t *n, Complexes *out) {
    return complex_rows(FFTW_BACKWARD, x, n, out);
}

/* ---- real to complex: of the last dimension n, n / 2 + 1 frequencies; the others are their conjugates ---- */

static int forward(const Layout *l, int64_t many, const Reals *x, Complexes *out) {
    Dimension howmany = l->many;
    howmany.n = many;
    if (x->length == 0) return WELD_CALL_DONE;
    pthread_mutex_lock(&planner);
    Plan plan = FFTW(plan_guru64_dft_r2c)(l->rank, l->dims, 1, &howmany, x->data, out->data,
                                          FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
    pthread_mutex_unlock(&planner);
    return run(plan);
}

EXPORT int SHIM(r2c)(const Reals *x, Complexes *out) {
    Layout layout;
    if (!make_layout(&x->length, 1, false, true, &layout) || out->length != layout.halved)
        return WELD_CALL_SIZES;
    return forward(&layout, 1, x, out);
}

EXPORT int SHIM(r2c_nd)(const Reals *x, const Shape *shape, Complexes *out) {
    Layout layout;
    if (!make_layout(shape->data, shape->length, false, true, &layout)) return WELD_CALL_SIZES;
    if (layout.elements != x->length || layout.halved != out->length) return WELD_CALL_SIZES;
    return forward(&layout, 1, x, out);
}

EXPORT int SHIM(r2c_rows)(const Reals *x, const int64_t *n, Complexes *out) {
    Layout layout;
    if (*n < 1 || x->length % *n || !make_layout(n, 1, false, true, &layout)) return WELD_CALL_SIZES;
    if (out->length != x->length / *n * layout.halved) return WELD_CALL_SIZES;
    return forward(&layout, x->length / *n, x, out);
}

/* ---- complex to real ---- */

/* In more than one dimension FFTW has no way to do it that leaves its input alone: it gets a copy. */
static int backward(const Layout *l, int64_t many, const Complexes *x, Reals *out) {
    Dimension howmany = l->many;
    howmany.n = many;
    if (x->length == 0) return WELD_CALL_DONE;
    size_t bytes = (size_t)x->length * sizeof *x->data;
    bool copied = l->rank > 1;
    Complex *in = copied ? FFTW(malloc)(bytes) : x->data;
    if (!in) return WELD_CALL_NO_MEMORY;
    if (copied) memcpy(in, x->data, bytes);
    pthread_mutex_lock(&planner);
    Plan plan =
        FFTW(plan_guru64_dft_c2r)(l->rank, l->dims, 1, &howmany, in, out->data,
                                  FFTW_ESTIMATE | (copied ? FFTW_DESTROY_INPUT : FFTW_PRESERVE_INPUT));
    pthread_mutex_unlock(&planner);
    int status = run(plan);
    if (copied) FFTW(free)(in);
    return status;
}

EXPORT int SHIM(c2r)(const Complexes *x, const int64_t *n, Reals *out) {
    Layout layout;
    if (!make_layout(n, 1, true, false, &layout)) return WELD_CALL_SIZES;
    if (layout.halved != x->length || out->length != *n) return WELD_CALL_SIZES;
    return backward(&layout, 1, x, out);
}

EXPORT int SHIM(c2r_nd)(const Complexes *x, const Shape *shape, Reals *out) {
    Layout layout;
    if (!make_layout(shape->data, shape->length, true, false, &layout)) return WELD_CALL_SIZES;
    if (layout.halved != x->length || layout.elements != out->length) return WELD_CALL_SIZES;
    return backward(&layout, 1, x, out);
}

EXPORT int SHIM(c2r_rows)(const Complexes *x, const int64_t *n, Reals *out) {
    Layout layout;
    if (*n < 1 || !make_layout(n, 1, true, false, &layout)) return WELD_CALL_SIZES;
    int64_t rows = x->length / layout.halved;
    if (x->length % layout.halved || out->length / *n != rows || out->length % *n) return WELD_CALL_SIZES;
    return backward(&layout, rows, x, out);
}

/* ---- real to real ---- */

static int real_transform(Kind kind, const Reals *x, const int64_t *shape, int64_t rank, Reals *out) {
    Layout layout;
    Kind kinds[RANK];
    if (!make_layout(shape, rank, false, false, &layout)) return WELD_CALL_SIZES;
    if (layout.elements != x->length || out->length != x->length) return WELD_CALL_SIZES;
    for (int64_t d = 0; d < rank; d++) {
        kinds[d] = kind;
        if (kind == FFTW_REDFT00 && shape[d] == 1) return WELD_CALL_SIZES; /* it needs two ends */
    }
    if (x->length == 0) return WELD_CALL_DONE;
    pthread_mutex_lock(&planner);
    Plan plan = FFTW(plan_guru64_r2r)(layout.rank, layout.dims, 0, NULL, x->data, out->data, kinds,
                                      FFTW_ESTIMATE | FFTW_PRESERVE_INPUT);
    pthread_mutex_unlock(&planner);
    return run(plan);
}

#define REAL(name, kind, adjoint, before, after, doc)                            \
    EXPORT int SHIM(name)(const Reals *x, Reals *out) {                          \
        return real_transform(kind, x, &x->length, 1, out);                      \
    }                                                                            \
    EXPORT int SHIM(name##_nd)(const Reals *x, const Shape *shape, Reals *out) { \
        return real_transform(kind, x, shape->data, shape->length, out);         \
    }
#include "real.def"
#undef REAL

/* ---- the table ---- */

/* clang-format off */
#define CALL NAME "_plan " NAME "_"
#define PURE "@(pure: true, threadsafe: true)"
#define COMPLEX "vec[{" T ", " T "}]"
#define KEPT "select(n > 0L, n / 2L + 1L, 0L)"
/* Elements of a shape, and what is kept of it where the last dimension is halved. */
#define ELEMENTS "result(for(shape, merger[i64, *], |b, i, n| merge(b, n)))"
#define HALVED                                                                                               \
    "result(for(shape, merger[i64, *], |b, i, n| merge(b, if(i == len(shape) - 1L, " KEPT ", n))))"
/* What is kept of a halved dimension n stands for two conjugates, save its ends. The adjoint of a transform to it is the
 * transform back of half of that; of a transform from it, twice that of the transform to it. */
#define LAST "if(len(shape) > 0L, lookup(shape, len(shape) - 1L), 1L)"
#define INNER(n) "let k = i % (" n " / 2L + 1L); let inner = k > 0L && k * 2L < " n "; "
#define HALF(n)                                                                                              \
    "result(for(g, appender, |b, i, e| " INNER(n) "merge(b, if(inner, {e.$0 * 0.5" Z ", e.$1 * 0.5" Z "}, e))))"
#define DOUBLE(spectrum)                                                                                     \
    "result(for(" spectrum ", appender, |b, i, e| " INNER("n") "merge(b, if(inner, {e.$0 + e.$0, e.$1 + e.$1}, e))))"
/* The adjoint of a transform is another one, of what is weighted before, weighted after: by `weight` of a place k of n, and of
 * all places of a shape. */
#define WEIGHTS(weight) "let weights = result(for(g, appender, |b, i, e| let k = i; let n = len(g); merge(b, " weight "))); "
#define WEIGHTS_ND(weight)                                                                                   \
    "let weights = result(for(g, appender, |b, i, e| merge(b, iterate({i, 1.0" Z ", len(shape) - 1L}, |s| "  \
    "let n = lookup(shape, s.$2); let k = s.$0 % n; "                                                        \
    "{{s.$0 / n, s.$1 * " weight ", s.$2 - 1L}, s.$2 > 0L}).$1))); "
#define WEIGHTED(v) "map(zip(" v ", weights), |e| e.$0 * e.$1)"
#define ONE "1.0" Z
#define ENDS(which, factor) "select(" which ", " factor Z ", 1.0" Z ")"
static const weld_function_t functions[] = {
    {"dft", CALL "plan_dft_1d(int n, in, out, FFTW_FORWARD, flags)", NULL,
     "|x: " COMPLEX "| " PURE "cfill[weld_" NAME "_dft, " COMPLEX "](len(x), x)", "|x, r, g| " NAME ".idft(g)",
     "the discrete Fourier transform, not normalized"},
    {"idft", CALL "plan_dft_1d(int n, in, out, FFTW_BACKWARD, flags)", NULL,
     "|x: " COMPLEX "| " PURE "cfill[weld_" NAME "_idft, " COMPLEX "](len(x), x)", "|x, r, g| " NAME ".dft(g)",
     "its inverse, times the number of elements"},
    {"dft_nd", CALL "plan_dft(int rank, const int *n, in, out, FFTW_FORWARD, flags)", NULL,
     "|x: " COMPLEX ", shape: vec[i64]| " PURE "cfill[weld_" NAME "_dft_nd, " COMPLEX "](len(x), x, shape)", "|x, shape, r, g| " NAME ".idft_nd(g, shape)",
     "the transform of an array of this shape over all its dimensions"},
    {"idft_nd", CALL "plan_dft(int rank, const int *n, in, out, FFTW_BACKWARD, flags)", NULL,
     "|x: " COMPLEX ", shape: vec[i64]| " PURE "cfill[weld_" NAME "_idft_nd, " COMPLEX "](len(x), x, shape)", "|x, shape, r, g| " NAME ".dft_nd(g, shape)",
     "its inverse, times the number of elements"},
    {"dft_rows", CALL "plan_many_dft(1, &n, howmany, in, ..., out, ..., FFTW_FORWARD, flags)", NULL,
     "|x: " COMPLEX ", n: i64| " PURE "cfill[weld_" NAME "_dft_rows, " COMPLEX "](len(x), x, n)", "|x, n, r, g| " NAME ".idft_rows(g, n)",
     "the transform of every row of n elements"},
    {"idft_rows", CALL "plan_many_dft(1, &n, howmany, in, ..., out, ..., FFTW_BACKWARD, flags)", NULL,
     "|x: " COMPLEX ", n: i64| " PURE "cfill[weld_" NAME "_idft_rows, " COMPLEX "](len(x), x, n)", "|x, n, r, g| " NAME ".dft_rows(g, n)",
     "its inverse, times n"},
    {"r2c", CALL "plan_dft_r2c_1d(int n, double *in, complex *out, flags)", NULL,
     "|x: vec[" T "]| let n = len(x); " PURE "cfill[weld_" NAME "_r2c, " COMPLEX "](" KEPT ", x)", "|x, r, g| let n = len(x); " NAME ".c2r(" HALF("n") ", n)",
     "the transform of n real numbers: its first n / 2 + 1 elements, of which the rest are conjugates"},
    {"r2c_nd", CALL "plan_dft_r2c(int rank, const int *n, double *in, complex *out, flags)", NULL,
     "|x: vec[" T "], shape: vec[i64]| " PURE "cfill[weld_" NAME "_r2c_nd, " COMPLEX "](" HALVED ", x, shape)", "|x, shape, r, g| let n = " LAST "; " NAME ".c2r_nd(" HALF("n") ", shape)",
     "the transform of a real array of this shape; of the last dimension n, n / 2 + 1 are kept"},
    {"r2c_rows", CALL "plan_many_dft_r2c(1, &n, howmany, in, ..., out, ..., flags)", NULL,
     "|x: vec[" T "], n: i64| " PURE "cfill[weld_" NAME "_r2c_rows, " COMPLEX "](if(n > 0L, len(x) / n * (n / 2L + 1L), 0L), x, n)",
     "|x, n, r, g| " NAME ".c2r_rows(" HALF("n") ", n)", "the transform of every row of n real numbers"},
    {"c2r", CALL "plan_dft_c2r_1d(int n, complex *in, double *out, flags)", NULL,
     "|x: " COMPLEX ", n: i64| " PURE "cfill[weld_" NAME "_c2r, vec[" T "]](n, x, n)", "|x, n, r, g| " DOUBLE("" NAME ".r2c(g)"),
     "the inverse of r2c to n real numbers, times n"},
    {"c2r_nd", CALL "plan_dft_c2r(int rank, const int *n, complex *in, double *out, flags)", NULL,
     "|x: " COMPLEX ", shape: vec[i64]| " PURE "cfill[weld_" NAME "_c2r_nd, vec[" T "]](" ELEMENTS ", x, shape)", "|x, shape, r, g| let n = " LAST "; " DOUBLE("" NAME ".r2c_nd(g, shape)"),
     "the inverse of r2c_nd to a real array of this shape, times the number of its elements"},
    {"c2r_rows", CALL "plan_many_dft_c2r(1, &n, howmany, in, ..., out, ..., flags)", NULL,
     "|x: " COMPLEX ", n: i64| " PURE "cfill[weld_" NAME "_c2r_rows, vec[" T "]](if(n > 0L, len(x) / (n / 2L + 1L) * n, 0L), x, n)",
     "|x, n, r, g| " DOUBLE("" NAME ".r2c_rows(g, n)"), "the inverse of r2c_rows to rows of n real numbers, times n"},
    {"multiply", "", "|x: " COMPLEX ", y: " COMPLEX "| map(zip(x, y), |e| let a = e.$0; let c = e.$1; "
     "{a.$0 * c.$0 - a.$1 * c.$1, a.$0 * c.$1 + a.$1 * c.$0})", NULL, NULL,
     "the products of two spectra, the spectrum of a convolution"},
    {"correlate", "", "|x: " COMPLEX ", y: " COMPLEX "| map(zip(x, y), |e| let a = e.$0; let c = e.$1; "
     "{a.$0 * c.$0 + a.$1 * c.$1, a.$0 * c.$1 - a.$1 * c.$0})", NULL, NULL,
     "conj(x) y, the spectrum of a correlation"},
    {"scale", "", "|x: " COMPLEX ", a: " T "| map(x, |e| {e.$0 * a, e.$1 * a})", NULL, NULL,
     "a x of complex numbers, to normalize with"},
    {"power", "", "|x: " COMPLEX "| map(x, |e| e.$0 * e.$0 + e.$1 * e.$1)", NULL, NULL,
     "|x|^2 of complex numbers, the power at each frequency"},
#define REAL(name, kind, adjoint, before, after, doc)                                                                   \
    {#name, CALL "plan_r2r_1d(int n, in, out, " #kind ", flags)", NULL,                                                 \
     "|x: vec[" T "]| " PURE "cfill[weld_" NAME "_" #name ", vec[" T "]](len(x), x)",                                   \
     "|x, r, g| " WEIGHTS(before) "let a = " NAME "." #adjoint "(" WEIGHTED("g") "); " WEIGHTS(after) WEIGHTED("a"), doc}, \
    {#name "_nd", CALL "plan_r2r(int rank, const int *n, in, out, {" #kind ", ..}, flags)", NULL,                       \
     "|x: vec[" T "], shape: vec[i64]| " PURE "cfill[weld_" NAME "_" #name "_nd, vec[" T "]](len(x), x, shape)",        \
     "|x, shape, r, g| " WEIGHTS_ND(before) "let a = " NAME "." #adjoint "_nd(" WEIGHTED("g") ", shape); "              \
     WEIGHTS_ND(after) WEIGHTED("a"), "the same over all dimensions of an array of this shape"},
#include "real.def"
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, NAME, ABOUT, functions};
    return &adapter;
}
