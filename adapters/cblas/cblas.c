/* cblas.c: BLAS. Level 1 is written in the language and fuses; levels 2 and 3 call the library.
 *
 * Matrices are vectors of elements, row by row, with their sizes beside them.
 */
#include <cblas.h>
#include <weld.h>

typedef struct Vector {
    double *data;
    int64_t length;
} Vector;

#define EXPORT __attribute__((visibility("default")))

/* y = A x, A of m rows and n columns. */
EXPORT int weld_cblas_dgemv(const Vector *a, const int64_t *m, const int64_t *n, const Vector *x, Vector *y) {
    if (*m < 0 || *n < 0 || a->length < *m * *n || x->length < *n) return 1;
    if (*m == 0) return 0;
    if (*n == 0) {
        for (int64_t i = 0; i < *m; i++) y->data[i] = 0;
        return 0;
    }
    cblas_dgemv(CblasRowMajor, CblasNoTrans, (int)*m, (int)*n, 1.0, a->data, (int)*n, x->data, 1, 0.0,
                y->data, 1);
    return 0;
}

static const weld_function_t functions[] = {
    {"ddot", "double cblas_ddot(int n, const double *x, int incx, const double *y, int incy)",
     "|x: vec[f64], y: vec[f64]| result(for(zip(x, y), merger[f64, +], |b, i, e| merge(b, e.$0 * e.$1)))",
     NULL, NULL, "the sum of the products of two vectors"},
    {"dgemv", "void cblas_dgemv(order, trans, m, n, alpha, a, lda, x, incx, beta, y, incy)", NULL,
     "|a: vec[f64], m: i64, n: i64, x: vec[f64]| "
     "@(pure: true, threadsafe: true)cfill[weld_cblas_dgemv, vec[f64]](m, a, m, n, x)",
     NULL, "a matrix times a vector"},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "cblas", "BLAS, by OpenBLAS", functions};
    return &adapter;
}
