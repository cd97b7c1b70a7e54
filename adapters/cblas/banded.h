/* banded.h: level 2 on banded and packed matrices for one precision; included like matrix.h, behind it.
 *
 *     banded     row i holds columns i - lower .. i + upper, `lower + upper + 1` elements, those beyond the matrix unread
 *     packed     of a triangle of n rows the n (n + 1) / 2 elements, row by row
 */

static bool SHIM(is_packed)(int64_t n, const Vector *a) {
    return n >= 0 && n <= INT_MAX && a->length == n * (n + 1) / 2;
}

EXPORT int SHIM(gbmv)(const bool *transposed, const int64_t *m, const int64_t *n, const int64_t *lower,
                      const int64_t *upper, const REAL *alpha, const Vector *a, const Vector *x,
                      const REAL *beta, const Vector *y, Vector *out) {
    int64_t in = *transposed ? *m : *n, result = *transposed ? *n : *m;
    if (!is_band(*lower, *upper) || !is_matrix(*m, *lower + *upper + 1, a->length) || *n < 0 || *n > INT_MAX)
        return WELD_CALL_SIZES;
    if (x->length != in || out->length != result || !SHIM(begin_from)(y, *beta, out)) return WELD_CALL_SIZES;
    if (*m == 0 || *n == 0) return SHIM(only_scaled)(*beta, out);
    CBLAS(gbmv)
    (CblasRowMajor, trans(*transposed), (int)*m, (int)*n, (int)*lower, (int)*upper, *alpha, a->data,
     (int)(*lower + *upper + 1), x->data, 1, *beta, out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(sbmv)(const bool *upper, const int64_t *n, const int64_t *k, const REAL *alpha,
                      const Vector *a, const Vector *x, const REAL *beta, const Vector *y, Vector *out) {
    if (!is_band(0, *k) || !is_matrix(*n, *k + 1, a->length)) return WELD_CALL_SIZES;
    if (x->length != *n || out->length != *n || !SHIM(begin_from)(y, *beta, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(sbmv)
    (CblasRowMajor, uplo(*upper), (int)*n, (int)*k, *alpha, a->data, (int)*k + 1, x->data, 1, *beta,
     out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(spmv)(const bool *upper, const int64_t *n, const REAL *alpha, const Vector *a,
                      const Vector *x, const REAL *beta, const Vector *y, Vector *out) {
    if (!SHIM(is_packed)(*n, a) || x->length != *n || out->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(y, *beta, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(spmv)(CblasRowMajor, uplo(*upper), (int)*n, *alpha, a->data, x->data, 1, *beta, out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(spr)(const bool *upper, const int64_t *n, const REAL *alpha, const Vector *x, const Vector *a,
                     Vector *out) {
    if (!SHIM(is_packed)(*n, out) || x->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, 1, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(spr)(CblasRowMajor, uplo(*upper), (int)*n, *alpha, x->data, 1, out->data);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(spr2)(const bool *upper, const int64_t *n, const REAL *alpha, const Vector *x,
                      const Vector *y, const Vector *a, Vector *out) {
    if (!SHIM(is_packed)(*n, out) || x->length != *n || y->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, 1, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(spr2)(CblasRowMajor, uplo(*upper), (int)*n, *alpha, x->data, 1, y->data, 1, out->data);
    return WELD_CALL_DONE;
}

/* x times a triangle, or the solution for it, starts as x. */
#define TRIANGLE_BAND(name)                                                                              \
    EXPORT int SHIM(name)(const bool *upper, const bool *transposed, const bool *unit, const int64_t *n, \
                          const int64_t *k, const Vector *a, const Vector *x, Vector *out) {             \
        if (!is_band(0, *k) || !is_matrix(*n, *k + 1, a->length)) return WELD_CALL_SIZES;                \
        if (out->length != *n || !SHIM(begin_from)(x, 1, out)) return WELD_CALL_SIZES;                   \
        if (*n == 0) return WELD_CALL_DONE;                                                              \
        CBLAS(name)                                                                                      \
        (CblasRowMajor, uplo(*upper), trans(*transposed), diag(*unit), (int)*n, (int)*k, a->data,        \
         (int)*k + 1, out->data, 1);                                                                     \
        return WELD_CALL_DONE;                                                                           \
    }
#define TRIANGLE_PACKED(name)                                                                            \
    EXPORT int SHIM(name)(const bool *upper, const bool *transposed, const bool *unit, const int64_t *n, \
                          const Vector *a, const Vector *x, Vector *out) {                               \
        if (!SHIM(is_packed)(*n, a) || out->length != *n) return WELD_CALL_SIZES;                        \
        if (!SHIM(begin_from)(x, 1, out)) return WELD_CALL_SIZES;                                        \
        if (*n == 0) return WELD_CALL_DONE;                                                              \
        CBLAS(name)                                                                                      \
        (CblasRowMajor, uplo(*upper), trans(*transposed), diag(*unit), (int)*n, a->data, out->data, 1);  \
        return WELD_CALL_DONE;                                                                           \
    }
TRIANGLE_BAND(tbmv)
TRIANGLE_BAND(tbsv)
TRIANGLE_PACKED(tpmv)
TRIANGLE_PACKED(tpsv)
#undef TRIANGLE_BAND
#undef TRIANGLE_PACKED
