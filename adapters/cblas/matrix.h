/* matrix.h: levels 2 and 3 for one precision: what checks the arguments and calls the library.
 *
 * Included by cblas.c once for each precision, with
 *     REAL         double or float
 *     Vector       struct of REAL *data and int64_t length
 *     Modified     what rotmg gives: struct of REAL d1, d2, x and Vector p
 *     CBLAS(name)  cblas_dname
 *     SHIM(name)   int weld_cblas_dname
 *
 * Every size is checked against every vector, since the library would read beyond. What it updates in place is copied into
 * the result first (begin_from); where its factor beta is 0 it is not read, and may be empty.
 */

/* The result starts as `given`, or as zeros. False: its length does not fit. */
static bool SHIM(begin_from)(const Vector *given, REAL factor, Vector *out) {
    size_t bytes = (size_t)out->length * sizeof *out->data;
    if (factor == 0) {
        if (bytes) memset(out->data, 0, bytes);
        return true;
    }
    if (given->length != out->length) return false;
    if (bytes) memcpy(out->data, given->data, bytes);
    return true;
}

/* y = factor y, which the library leaves out where a matrix has no elements. */
static int SHIM(only_scaled)(REAL factor, Vector *y) {
    for (int64_t i = 0; i < y->length; i++) y->data[i] *= factor;
    return WELD_CALL_DONE;
}

EXPORT int SHIM(rotg)(const REAL *a, const REAL *b, REAL *out) {
    out[0] = *a;
    out[1] = *b;
    CBLAS(rotg)(&out[0], &out[1], &out[2], &out[3]);
    return WELD_CALL_DONE;
}

/* Where a factor overflows, also on the way, when it is divided by a difference from 1, the library does not return. */
EXPORT int SHIM(rotmg)(const REAL *d1, const REAL *d2, const REAL *x, const REAL *y, Modified *out) {
    const double most =
        sizeof(REAL) == sizeof(float) ? (double)(FLT_MAX * FLT_EPSILON / 2) : DBL_MAX * DBL_EPSILON / 2;
    if (out->p.length != 5) return WELD_CALL_SIZES;
    if (fabs((double)*d1) > most || fabs((double)*d2) > most) return WELD_CALL_DOMAIN;
    out->d1 = *d1;
    out->d2 = *d2;
    out->x = *x;
    for (int i = 0; i < 5; i++) out->p.data[i] = 0;
    CBLAS(rotmg)(&out->d1, &out->d2, &out->x, *y, out->p.data);
    return WELD_CALL_DONE;
}

/* ---- level 2: a matrix and vectors ---- */

EXPORT int SHIM(gemv)(const bool *transposed, const int64_t *m, const int64_t *n, const REAL *alpha,
                      const Vector *a, const Vector *x, const REAL *beta, const Vector *y, Vector *out) {
    int64_t in = *transposed ? *m : *n, result = *transposed ? *n : *m;
    if (!is_matrix(*m, *n, a->length) || x->length != in || out->length != result) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(y, *beta, out)) return WELD_CALL_SIZES;
    if (a->length == 0) return SHIM(only_scaled)(*beta, out);
    CBLAS(gemv)
    (CblasRowMajor, trans(*transposed), (int)*m, (int)*n, *alpha, a->data, (int)*n, x->data, 1, *beta,
     out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(symv)(const bool *upper, const int64_t *n, const REAL *alpha, const Vector *a,
                      const Vector *x, const REAL *beta, const Vector *y, Vector *out) {
    if (!is_matrix(*n, *n, a->length) || x->length != *n || out->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(y, *beta, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(symv)
    (CblasRowMajor, uplo(*upper), (int)*n, *alpha, a->data, (int)*n, x->data, 1, *beta, out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(ger)(const int64_t *m, const int64_t *n, const REAL *alpha, const Vector *x, const Vector *y,
                     const Vector *a, Vector *out) {
    if (!is_matrix(*m, *n, out->length) || x->length != *m || y->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, 1, out)) return WELD_CALL_SIZES;
    if (out->length == 0) return WELD_CALL_DONE;
    CBLAS(ger)(CblasRowMajor, (int)*m, (int)*n, *alpha, x->data, 1, y->data, 1, out->data, (int)*n);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(syr)(const bool *upper, const int64_t *n, const REAL *alpha, const Vector *x, const Vector *a,
                     Vector *out) {
    if (!is_matrix(*n, *n, out->length) || x->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, 1, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(syr)(CblasRowMajor, uplo(*upper), (int)*n, *alpha, x->data, 1, out->data, (int)*n);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(syr2)(const bool *upper, const int64_t *n, const REAL *alpha, const Vector *x,
                      const Vector *y, const Vector *a, Vector *out) {
    if (!is_matrix(*n, *n, out->length) || x->length != *n || y->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, 1, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(syr2)
    (CblasRowMajor, uplo(*upper), (int)*n, *alpha, x->data, 1, y->data, 1, out->data, (int)*n);
    return WELD_CALL_DONE;
}

/* x is ready to be multiplied or solved for, in out. */
static bool SHIM(triangle)(int64_t n, const Vector *a, const Vector *x, Vector *out) {
    return is_matrix(n, n, a->length) && out->length == n && SHIM(begin_from)(x, 1, out);
}

EXPORT int SHIM(trmv)(const bool *upper, const bool *transposed, const bool *unit, const int64_t *n,
                      const Vector *a, const Vector *x, Vector *out) {
    if (!SHIM(triangle)(*n, a, x, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(trmv)
    (CblasRowMajor, uplo(*upper), trans(*transposed), diag(*unit), (int)*n, a->data, (int)*n, out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(trsv)(const bool *upper, const bool *transposed, const bool *unit, const int64_t *n,
                      const Vector *a, const Vector *x, Vector *out) {
    if (!SHIM(triangle)(*n, a, x, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(trsv)
    (CblasRowMajor, uplo(*upper), trans(*transposed), diag(*unit), (int)*n, a->data, (int)*n, out->data, 1);
    return WELD_CALL_DONE;
}

/* ---- level 3: matrices ---- */

EXPORT int SHIM(gemm)(const bool *ta, const bool *tb, const int64_t *m, const int64_t *n, const int64_t *k,
                      const REAL *alpha, const Vector *a, const Vector *b, const REAL *beta, const Vector *c,
                      Vector *out) {
    if (!is_matrix(*m, *k, a->length) || !is_matrix(*k, *n, b->length) || !is_matrix(*m, *n, out->length))
        return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(c, *beta, out)) return WELD_CALL_SIZES;
    if (out->length == 0) return WELD_CALL_DONE;
    if (*k == 0) return SHIM(only_scaled)(*beta, out);
    int lda = (int)(*ta ? *m : *k), ldb = (int)(*tb ? *k : *n);
    CBLAS(gemm)
    (CblasRowMajor, trans(*ta), trans(*tb), (int)*m, (int)*n, (int)*k, *alpha, a->data, lda, b->data, ldb,
     *beta, out->data, (int)*n);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(symm)(const bool *left, const bool *upper, const int64_t *m, const int64_t *n,
                      const REAL *alpha, const Vector *a, const Vector *b, const REAL *beta, const Vector *c,
                      Vector *out) {
    int64_t order = *left ? *m : *n;
    if (!is_matrix(order, order, a->length) || !is_matrix(*m, *n, b->length)) return WELD_CALL_SIZES;
    if (out->length != b->length || !SHIM(begin_from)(c, *beta, out)) return WELD_CALL_SIZES;
    if (out->length == 0) return WELD_CALL_DONE;
    CBLAS(symm)
    (CblasRowMajor, side(*left), uplo(*upper), (int)*m, (int)*n, *alpha, a->data, (int)order, b->data,
     (int)*n, *beta, out->data, (int)*n);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(syrk)(const bool *upper, const bool *transposed, const int64_t *n, const int64_t *k,
                      const REAL *alpha, const Vector *a, const REAL *beta, const Vector *c, Vector *out) {
    if (!is_matrix(*n, *k, a->length) || !is_matrix(*n, *n, out->length)) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(c, *beta, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    int lda = (int)(*transposed ? *n : *k);
    CBLAS(syrk)
    (CblasRowMajor, uplo(*upper), trans(*transposed), (int)*n, (int)*k, *alpha, a->data, lda > 0 ? lda : 1,
     *beta, out->data, (int)*n);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(syr2k)(const bool *upper, const bool *transposed, const int64_t *n, const int64_t *k,
                       const REAL *alpha, const Vector *a, const Vector *b, const REAL *beta, const Vector *c,
                       Vector *out) {
    if (!is_matrix(*n, *k, a->length) || b->length != a->length || !is_matrix(*n, *n, out->length))
        return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(c, *beta, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    int lda = (int)(*transposed ? *n : *k);
    lda = lda > 0 ? lda : 1;
    CBLAS(syr2k)
    (CblasRowMajor, uplo(*upper), trans(*transposed), (int)*n, (int)*k, *alpha, a->data, lda, b->data, lda,
     *beta, out->data, (int)*n);
    return WELD_CALL_DONE;
}

/* b is ready to be multiplied or solved for, in out; *order: of the triangle. */
static bool SHIM(triangle_and_matrix)(bool left, int64_t m, int64_t n, const Vector *a, const Vector *b,
                                      Vector *out, int *order) {
    int64_t size = left ? m : n;
    if (!is_matrix(m, n, out->length) || !is_matrix(size, size, a->length)) return false;
    *order = (int)size;
    return SHIM(begin_from)(b, 1, out);
}

EXPORT int SHIM(trmm)(const bool *left, const bool *upper, const bool *transposed, const bool *unit,
                      const int64_t *m, const int64_t *n, const REAL *alpha, const Vector *a, const Vector *b,
                      Vector *out) {
    int order;
    if (!SHIM(triangle_and_matrix)(*left, *m, *n, a, b, out, &order)) return WELD_CALL_SIZES;
    if (out->length == 0) return WELD_CALL_DONE;
    CBLAS(trmm)
    (CblasRowMajor, side(*left), uplo(*upper), trans(*transposed), diag(*unit), (int)*m, (int)*n, *alpha,
     a->data, order, out->data, (int)*n);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(trsm)(const bool *left, const bool *upper, const bool *transposed, const bool *unit,
                      const int64_t *m, const int64_t *n, const REAL *alpha, const Vector *a, const Vector *b,
                      Vector *out) {
    int order;
    if (!SHIM(triangle_and_matrix)(*left, *m, *n, a, b, out, &order)) return WELD_CALL_SIZES;
    if (out->length == 0) return WELD_CALL_DONE;
    CBLAS(trsm)
    (CblasRowMajor, side(*left), uplo(*upper), trans(*transposed), diag(*unit), (int)*m, (int)*n, *alpha,
     a->data, order, out->data, (int)*n);
    return WELD_CALL_DONE;
}
