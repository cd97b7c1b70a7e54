/* complex_matrix.h: levels 2 and 3 on complex numbers for one precision; included by cblas.c once for each, with
 *     REAL         double or float         Complexes    struct of REAL (*data)[2] and int64_t length
 *     CBLAS(name)  cblas_zname             SHIM(name)   weld_cblas_zname, or a name of this precision
 *
 * As in matrix.h every size is checked, and what is updated in place is copied into the result first.
 */

static bool SHIM(is_0)(const REAL *number) {
    return number[0] == 0 && number[1] == 0;
}

/* The result starts as `given`, or as zeros where its factor is 0. False: its length does not fit. */
static bool SHIM(begin_from)(const Complexes *given, bool zero, Complexes *out) {
    size_t bytes = (size_t)out->length * sizeof *out->data;
    if (!zero && given->length != out->length) return false;
    if (bytes && zero) memset(out->data, 0, bytes);
    if (bytes && !zero) memcpy(out->data, given->data, bytes);
    return true;
}

/* y = factor y, which the library leaves out where a matrix has no elements. */
static int SHIM(only_scaled)(const REAL *factor, Complexes *y) {
    if (y->length) CBLAS(scal)((int)y->length, factor, y->data, 1);
    return WELD_CALL_DONE;
}

/* ---- level 2 ---- */

EXPORT int SHIM(gemv)(const bool *transposed, const bool *conjugated, const int64_t *m, const int64_t *n,
                      const REAL *alpha, const Complexes *a, const Complexes *x, const REAL *beta,
                      const Complexes *y, Complexes *out) {
    int64_t in = *transposed ? *m : *n, result = *transposed ? *n : *m;
    if (!is_matrix(*m, *n, a->length) || x->length != in || out->length != result) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(y, SHIM(is_0)(beta), out)) return WELD_CALL_SIZES;
    if (a->length == 0) return SHIM(only_scaled)(beta, out);
    CBLAS(gemv)
    (CblasRowMajor, turned(*transposed, *conjugated), (int)*m, (int)*n, alpha, a->data, (int)*n, x->data, 1,
     beta, out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(hemv)(const bool *upper, const int64_t *n, const REAL *alpha, const Complexes *a,
                      const Complexes *x, const REAL *beta, const Complexes *y, Complexes *out) {
    if (!is_matrix(*n, *n, a->length) || x->length != *n || out->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(y, SHIM(is_0)(beta), out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(hemv)
    (CblasRowMajor, uplo(*upper), (int)*n, alpha, a->data, (int)*n, x->data, 1, beta, out->data, 1);
    return WELD_CALL_DONE;
}

#define OUTER_PRODUCT(name)                                                                                \
    EXPORT int SHIM(name)(const int64_t *m, const int64_t *n, const REAL *alpha, const Complexes *x,       \
                          const Complexes *y, const Complexes *a, Complexes *out) {                        \
        if (!is_matrix(*m, *n, out->length) || x->length != *m || y->length != *n) return WELD_CALL_SIZES; \
        if (!SHIM(begin_from)(a, false, out)) return WELD_CALL_SIZES;                                      \
        if (out->length == 0) return WELD_CALL_DONE;                                                       \
        CBLAS(name)(CblasRowMajor, (int)*m, (int)*n, alpha, x->data, 1, y->data, 1, out->data, (int)*n);   \
        return WELD_CALL_DONE;                                                                             \
    }
OUTER_PRODUCT(geru)
OUTER_PRODUCT(gerc)
#undef OUTER_PRODUCT

EXPORT int SHIM(her)(const bool *upper, const int64_t *n, const REAL *alpha, const Complexes *x,
                     const Complexes *a, Complexes *out) {
    if (!is_matrix(*n, *n, out->length) || x->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, false, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(her)(CblasRowMajor, uplo(*upper), (int)*n, *alpha, x->data, 1, out->data, (int)*n);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(her2)(const bool *upper, const int64_t *n, const REAL *alpha, const Complexes *x,
                      const Complexes *y, const Complexes *a, Complexes *out) {
    if (!is_matrix(*n, *n, out->length) || x->length != *n || y->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, false, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(her2)(CblasRowMajor, uplo(*upper), (int)*n, alpha, x->data, 1, y->data, 1, out->data, (int)*n);
    return WELD_CALL_DONE;
}

#define TRIANGLE(name)                                                                                 \
    EXPORT int SHIM(name)(const bool *upper, const bool *transposed, const bool *conjugated,           \
                          const bool *unit, const int64_t *n, const Complexes *a, const Complexes *x,  \
                          Complexes *out) {                                                            \
        if (!is_matrix(*n, *n, a->length) || out->length != *n) return WELD_CALL_SIZES;                \
        if (!SHIM(begin_from)(x, false, out)) return WELD_CALL_SIZES;                                  \
        if (*n == 0) return WELD_CALL_DONE;                                                            \
        CBLAS(name)                                                                                    \
        (CblasRowMajor, uplo(*upper), turned(*transposed, *conjugated), diag(*unit), (int)*n, a->data, \
         (int)*n, out->data, 1);                                                                       \
        return WELD_CALL_DONE;                                                                         \
    }
TRIANGLE(trmv)
TRIANGLE(trsv)
#undef TRIANGLE

/* ---- level 3 ---- */

EXPORT int SHIM(gemm)(const bool *ta, const bool *ca, const bool *tb, const bool *cb, const int64_t *m,
                      const int64_t *n, const int64_t *k, const REAL *alpha, const Complexes *a,
                      const Complexes *b, const REAL *beta, const Complexes *c, Complexes *out) {
    if (!is_matrix(*m, *k, a->length) || !is_matrix(*k, *n, b->length) || !is_matrix(*m, *n, out->length))
        return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(c, SHIM(is_0)(beta), out)) return WELD_CALL_SIZES;
    if (out->length == 0) return WELD_CALL_DONE;
    if (*k == 0) return SHIM(only_scaled)(beta, out);
    int lda = (int)(*ta ? *m : *k), ldb = (int)(*tb ? *k : *n);
    CBLAS(gemm)
    (CblasRowMajor, turned(*ta, *ca), turned(*tb, *cb), (int)*m, (int)*n, (int)*k, alpha, a->data, lda,
     b->data, ldb, beta, out->data, (int)*n);
    return WELD_CALL_DONE;
}

#define SYMMETRIC(name)                                                                                      \
    EXPORT int SHIM(name)(const bool *left, const bool *upper, const int64_t *m, const int64_t *n,           \
                          const REAL *alpha, const Complexes *a, const Complexes *b, const REAL *beta,       \
                          const Complexes *c, Complexes *out) {                                              \
        int64_t order = *left ? *m : *n;                                                                     \
        if (!is_matrix(order, order, a->length) || !is_matrix(*m, *n, b->length)) return WELD_CALL_SIZES;    \
        if (out->length != b->length || !SHIM(begin_from)(c, SHIM(is_0)(beta), out)) return WELD_CALL_SIZES; \
        if (out->length == 0) return WELD_CALL_DONE;                                                         \
        CBLAS(name)                                                                                          \
        (CblasRowMajor, side(*left), uplo(*upper), (int)*m, (int)*n, alpha, a->data, (int)order, b->data,    \
         (int)*n, beta, out->data, (int)*n);                                                                 \
        return WELD_CALL_DONE;                                                                               \
    }
SYMMETRIC(symm)
SYMMETRIC(hemm)
#undef SYMMETRIC

/* A product with its own transpose, or conjugate transpose. `alpha` and `beta` as the library takes them; `turn` of a. */
#define RANK_K(name, alpha_, beta_, zero, turn)                                                          \
    EXPORT int SHIM(name)(const bool *upper, const bool *transposed, const int64_t *n, const int64_t *k, \
                          const REAL *alpha, const Complexes *a, const REAL *beta, const Complexes *c,   \
                          Complexes *out) {                                                              \
        if (!is_matrix(*n, *k, a->length) || !is_matrix(*n, *n, out->length)) return WELD_CALL_SIZES;    \
        if (!SHIM(begin_from)(c, zero, out)) return WELD_CALL_SIZES;                                     \
        if (*n == 0) return WELD_CALL_DONE;                                                              \
        int lda = (int)(*transposed ? *n : *k);                                                          \
        CBLAS(name)                                                                                      \
        (CblasRowMajor, uplo(*upper), turned(*transposed, turn), (int)*n, (int)*k, alpha_, a->data,      \
         lda > 0 ? lda : 1, beta_, out->data, (int)*n);                                                  \
        return WELD_CALL_DONE;                                                                           \
    }
RANK_K(syrk, alpha, beta, SHIM(is_0)(beta), false)
RANK_K(herk, *alpha, *beta, *beta == 0, true)
#undef RANK_K

#define RANK_2K(name, beta_, zero, turn)                                                                 \
    EXPORT int SHIM(name)(const bool *upper, const bool *transposed, const int64_t *n, const int64_t *k, \
                          const REAL *alpha, const Complexes *a, const Complexes *b, const REAL *beta,   \
                          const Complexes *c, Complexes *out) {                                          \
        if (!is_matrix(*n, *k, a->length) || b->length != a->length) return WELD_CALL_SIZES;             \
        if (!is_matrix(*n, *n, out->length) || !SHIM(begin_from)(c, zero, out)) return WELD_CALL_SIZES;  \
        if (*n == 0) return WELD_CALL_DONE;                                                              \
        int lda = (int)(*transposed ? *n : *k);                                                          \
        lda = lda > 0 ? lda : 1;                                                                         \
        CBLAS(name)                                                                                      \
        (CblasRowMajor, uplo(*upper), turned(*transposed, turn), (int)*n, (int)*k, alpha, a->data, lda,  \
         b->data, lda, beta_, out->data, (int)*n);                                                       \
        return WELD_CALL_DONE;                                                                           \
    }
RANK_2K(syr2k, beta, SHIM(is_0)(beta), false)
RANK_2K(her2k, *beta, *beta == 0, true)
#undef RANK_2K

#define TRIANGLE_MATRIX(name)                                                                               \
    EXPORT int SHIM(name)(const bool *left, const bool *upper, const bool *transposed,                      \
                          const bool *conjugated, const bool *unit, const int64_t *m, const int64_t *n,     \
                          const REAL *alpha, const Complexes *a, const Complexes *b, Complexes *out) {      \
        int64_t order = *left ? *m : *n;                                                                    \
        if (!is_matrix(*m, *n, out->length) || !is_matrix(order, order, a->length)) return WELD_CALL_SIZES; \
        if (!SHIM(begin_from)(b, false, out)) return WELD_CALL_SIZES;                                       \
        if (out->length == 0) return WELD_CALL_DONE;                                                        \
        CBLAS(name)                                                                                         \
        (CblasRowMajor, side(*left), uplo(*upper), turned(*transposed, *conjugated), diag(*unit), (int)*m,  \
         (int)*n, alpha, a->data, (int)order, out->data, (int)*n);                                          \
        return WELD_CALL_DONE;                                                                              \
    }
TRIANGLE_MATRIX(trmm)
TRIANGLE_MATRIX(trsm)
#undef TRIANGLE_MATRIX
