/* product.c: products of matrices, and a vector added to each row, in one call: by BLAS where it is installed, else by plain
 * loops; then dense and matmul are loops of the language instead (matrices.h).
 *
 * The language's functions have no types, C functions do: `width`, the size of an element, chooses between floats and doubles.
 *
 * A product is cut into pieces for the run's threads: of rows, of columns, or, where there are few of both, of the sums, whose
 * parts are then added up in order. Small rows are cut, and sums, by their sizes alone: their pieces stay in the cache.
 * Meanwhile OpenBLAS uses one thread for each piece: its own wait in circles between two calls, on the processors that loops
 * of the program need, and a call that meets one that is not running waits for milliseconds.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <weld.h>
#if defined(WELD_NN_BLAS)
#include <cblas.h>
#include <pthread.h>
#endif

typedef struct Vector {
    void *data;
    int64_t length;
} Vector;

/* A matrix that is read as it lies, or by columns. */
typedef struct Factor {
    const void *data;
    bool transposed;
    int stride; /* elements of a row as it lies */
} Factor;

/* out += A B; out has `wide` elements in a row */
#if defined(WELD_NN_BLAS)
#define ADD_PRODUCT(REAL, GEMM, a, b, out, wide, m, n, k)                                                    \
    GEMM(CblasRowMajor, (a).transposed ? CblasTrans : CblasNoTrans,                                          \
         (b).transposed ? CblasTrans : CblasNoTrans, m, n, k, 1, (a).data, (a).stride, (b).data, (b).stride, \
         1, out, wide)
#else
#define AT(REAL, f, row, column)                                                     \
    ((const REAL *)(f).data)[(f).transposed ? (int64_t)(column) * (f).stride + (row) \
                                            : (int64_t)(row) * (f).stride + (column)]
#define ADD_PRODUCT(REAL, GEMM, a, b, out, wide, m, n, k)                                      \
    for (int64_t i = 0; i < (m); i++) {                                                        \
        for (int s = 0; s < (k); s++) {                                                        \
            REAL factor = AT(REAL, a, i, s);                                                   \
            for (int j = 0; j < (n); j++) (out)[i * (wide) + j] += factor * AT(REAL, b, s, j); \
        }                                                                                      \
    }
#endif

/* Every row of out starts as c, or as zeros if that is NULL. */
#define MULTIPLY(name, REAL, GEMM)                                                                   \
    static void name(Factor a, Factor b, const void *c, void *made, int wide, int m, int n, int k) { \
        size_t bytes = (size_t)n * sizeof(REAL);                                                     \
        REAL *out = made;                                                                            \
        for (int64_t i = 0; i < m; i++) {                                                            \
            if (c)                                                                                   \
                memcpy(out + i * wide, c, bytes);                                                    \
            else                                                                                     \
                memset(out + i * wide, 0, bytes);                                                    \
        }                                                                                            \
        ADD_PRODUCT(REAL, GEMM, a, b, out, wide, m, n, k);                                           \
    }
MULTIPLY(multiply_floats, float, cblas_sgemm)
MULTIPLY(multiply_doubles, double, cblas_dgemm)

/* ---- pieces ---- */

enum {
    WORTHWHILE = 1 << 20, /* multiplications of a product that is cut */
    LEAST = 64,           /* rows or columns for a thread, as each piece rearranges the other factor */
    SMALL =
        64, /* elements of a row of A and of the result that are few enough to be cut by what the cache holds, */
    NEAR = 32 << 10, /* which is so many */
    LONG = 4096,     /* sums that are cut have so many terms at least, */
    PARTS = 8,       /* into so many pieces, */
    FEW = 4096       /* and are so few at most */
};

typedef enum Cut { CUT_NOT, CUT_ROWS, CUT_COLUMNS, CUT_SUMS } Cut;

typedef struct Product {
    Factor a, b;
    const void *c;     /* or NULL */
    char *out, *parts; /* parts: of sums that are cut, all but the first */
    int64_t width;
    int m, n, k;
    Cut cut;
    int size; /* rows, columns or terms of a piece */
} Product;

static void multiply(int64_t width, Factor a, Factor b, const void *c, void *out, int wide, int m, int n,
                     int k) {
    (width == sizeof(float) ? multiply_floats : multiply_doubles)(a, b, c, out, wide, m, n, k);
}

static int smaller(int64_t a, int64_t b) {
    return (int)(a < b ? a : b);
}

/* Rows or columns of a piece, some for each thread, by eights. */
static int share(int all, int64_t threads) {
    int64_t each = (all / threads + 8) / 8 * 8;
    return (int)(each < LEAST ? LEAST : each);
}

static void choose_cut(Product *p, int64_t threads) {
    int64_t row = (int64_t)p->n + p->k;
    if ((double)p->m * p->n * p->k < WORTHWHILE) {
        p->cut = CUT_NOT;
    } else if (row <= SMALL) {
        p->cut = CUT_ROWS;
        p->size = (int)(NEAR / row);
    } else if (p->k >= LONG && (int64_t)p->m * p->n <= FEW) {
        p->cut = CUT_SUMS;
        p->size = (p->k + PARTS - 1) / PARTS;
    } else if (threads > 1 && p->m >= 2 * LEAST) {
        p->cut = CUT_ROWS;
        p->size = share(p->m, threads);
    } else if (threads > 1 && p->n >= 2 * LEAST) {
        p->cut = CUT_COLUMNS;
        p->size = share(p->n, threads);
    }
}

/* The factor from this row and column on. */
static Factor factor_from(Factor f, int64_t row, int64_t column, int64_t width) {
    int64_t at = f.transposed ? column * f.stride + row : row * f.stride + column;
    return (Factor){(const char *)f.data + at * width, f.transposed, f.stride};
}

static void piece(void *state, int64_t i) {
    const Product *p = state;
    int64_t width = p->width, at = i * p->size;
    if (p->cut == CUT_ROWS) {
        multiply(width, factor_from(p->a, at, 0, width), p->b, p->c, p->out + at * p->n * width, p->n,
                 smaller(p->size, p->m - at), p->n, p->k);
    } else if (p->cut == CUT_COLUMNS) {
        const char *c = p->c;
        multiply(width, p->a, factor_from(p->b, 0, at, width), c ? c + at * width : NULL, p->out + at * width,
                 p->n, p->m, smaller(p->size, p->n - at), p->k);
    } else if (p->cut == CUT_SUMS) {
        char *out = i ? p->parts + (i - 1) * p->m * p->n * width : p->out;
        multiply(width, factor_from(p->a, 0, at, width), factor_from(p->b, at, 0, width), i ? NULL : p->c,
                 out, p->n, p->m, p->n, smaller(p->size, p->k - at));
    } else {
        multiply(width, p->a, p->b, p->c, p->out, p->n, p->m, p->n, p->k);
    }
}

static void add_parts(const Product *p, int64_t pieces) {
    int64_t count = (int64_t)p->m * p->n;
    for (int64_t i = 0; i < (pieces - 1) * count; i++) {
        if (p->width == sizeof(float))
            ((float *)(void *)p->out)[i % count] += ((const float *)(const void *)p->parts)[i];
        else
            ((double *)(void *)p->out)[i % count] += ((const double *)(const void *)p->parts)[i];
    }
}

/* ---- threads ---- */

static weld_divide_t divide;

__attribute__((visibility("default"))) void weld_use_threads(weld_divide_t given) {
    divide = given;
}

#if defined(WELD_NN_BLAS)
int openblas_get_num_threads(void) __attribute__((weak)); /* another BLAS has none of these */
void openblas_set_num_threads(int threads) __attribute__((weak));
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static int users, before; /* products that are being made; threads that OpenBLAS had */

/* OpenBLAS has one number of threads for the process: the last product gives it back. */
static void blas_enter(void) {
    if (!openblas_get_num_threads || !openblas_set_num_threads) return;
    pthread_mutex_lock(&lock);
    if (users++ == 0 && (before = openblas_get_num_threads()) > 1) openblas_set_num_threads(1);
    pthread_mutex_unlock(&lock);
}

static void blas_leave(void) {
    if (!openblas_get_num_threads || !openblas_set_num_threads) return;
    pthread_mutex_lock(&lock);
    if (--users == 0 && before > 1) openblas_set_num_threads(before);
    pthread_mutex_unlock(&lock);
}
#else
static void blas_enter(void) {}
static void blas_leave(void) {}
#endif

static void run_product(Product *p) {
    int64_t whole = p->cut == CUT_ROWS ? p->m : p->cut == CUT_COLUMNS ? p->n : p->cut == CUT_SUMS ? p->k : 1;
    int64_t size = p->cut ? p->size : 1, pieces = (whole + size - 1) / size;
    blas_enter();
    if (divide && pieces > 1) {
        divide(pieces, piece, p);
    } else {
        for (int64_t i = 0; i < pieces; i++) piece(p, i);
    }
    blas_leave();
    if (p->cut == CUT_SUMS) add_parts(p, pieces);
}

/* ---- the function ---- */

static bool is_matrix(int64_t rows, int64_t columns, const Vector *v) {
    return rows >= 0 && columns >= 0 && rows <= INT_MAX && columns <= INT_MAX && rows * columns == v->length;
}

/* out = A B + c, m rows and n columns, sums of k; A and B are the matrices a and b, or their transposes. */
__attribute__((visibility("default"))) int weld_nn_product(const bool *ta, const bool *tb, const int64_t *m,
                                                           const int64_t *n, const int64_t *k,
                                                           const int64_t *width, const Vector *a,
                                                           const Vector *b, const Vector *c, Vector *out) {
    if (!is_matrix(*m, *k, a) || !is_matrix(*k, *n, b) || !is_matrix(*m, *n, out)) return WELD_CALL_SIZES;
    if (c->length && c->length != *n) return WELD_CALL_SIZES;
    if (out->length == 0) return WELD_CALL_DONE;
    int rows = (int)*m, columns = (int)*n, inner = (int)*k, one = inner > 0 ? inner : 1;
    _Alignas(64) char parts[(PARTS - 1) * FEW * sizeof(double)];
    Product product = {.a = {a->data, *ta, *ta ? rows : one},
                       .b = {b->data, *tb, *tb ? one : columns},
                       .c = c->length ? c->data : NULL,
                       .out = out->data,
                       .parts = parts,
                       .width = *width,
                       .m = rows,
                       .n = columns,
                       .k = inner};
    choose_cut(&product, divide ? divide(0, piece, NULL) : 1);
    run_product(&product);
    return WELD_CALL_DONE;
}
