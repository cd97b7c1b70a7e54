/* product.c: products of matrices, and a vector added to each row, in one call: by BLAS where it is installed, else by plain
 * loops; then dense and matmul are loops of the language instead (matrices.h).
 *
 * The language's functions have no types, C functions do: `width`, the size of an element, chooses between floats and doubles.
 */
#include <limits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <weld.h>
#if defined(WELD_NN_BLAS)
#include <cblas.h>
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

/* out += A B */
#if defined(WELD_NN_BLAS)
#define ADD_PRODUCT(REAL, GEMM, a, b, out, m, n, k)                                                          \
    GEMM(CblasRowMajor, (a).transposed ? CblasTrans : CblasNoTrans,                                          \
         (b).transposed ? CblasTrans : CblasNoTrans, m, n, k, 1, (a).data, (a).stride, (b).data, (b).stride, \
         1, out, n)
#else
#define AT(REAL, f, row, column)                                                     \
    ((const REAL *)(f).data)[(f).transposed ? (int64_t)(column) * (f).stride + (row) \
                                            : (int64_t)(row) * (f).stride + (column)]
#define ADD_PRODUCT(REAL, GEMM, a, b, out, m, n, k)                                         \
    for (int64_t i = 0; i < (m); i++) {                                                     \
        for (int s = 0; s < (k); s++) {                                                     \
            REAL factor = AT(REAL, a, i, s);                                                \
            for (int j = 0; j < (n); j++) (out)[i * (n) + j] += factor * AT(REAL, b, s, j); \
        }                                                                                   \
    }
#endif

/* Every row of out starts as c, or as zeros. */
#define MULTIPLY(name, REAL, GEMM)                                                          \
    static void name(Factor a, Factor b, const Vector *c, REAL *out, int m, int n, int k) { \
        size_t bytes = (size_t)n * sizeof *out;                                             \
        for (int64_t i = 0; i < m && c->length; i++) memcpy(out + i * n, c->data, bytes);   \
        if (!c->length) memset(out, 0, (size_t)m *bytes);                                   \
        ADD_PRODUCT(REAL, GEMM, a, b, out, m, n, k);                                        \
    }
MULTIPLY(multiply_floats, float, cblas_sgemm)
MULTIPLY(multiply_doubles, double, cblas_dgemm)

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
    Factor first = {a->data, *ta, *ta ? rows : one}, second = {b->data, *tb, *tb ? one : columns};
    if (*width == sizeof(float))
        multiply_floats(first, second, c, out->data, rows, columns, inner);
    else
        multiply_doubles(first, second, c, out->data, rows, columns, inner);
    return WELD_CALL_DONE;
}
