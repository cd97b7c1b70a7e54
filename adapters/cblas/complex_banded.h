/* complex_banded.h: rotg, and level 2 on banded and packed matrices of complex numbers for one precision; included like
 * complex_matrix.h, behind it. The layouts are those of banded.h; Hermitian matrices take the place of symmetric ones.
 */

EXPORT int SHIM(rotg)(const REAL *a, const REAL *b, SHIM(Rotation) * out) {
    REAL eliminated[2] = {b[0], b[1]};
    memcpy(out->r, a, sizeof out->r);
    CBLAS(rotg)(out->r, eliminated, &out->c, out->s);
    return WELD_CALL_DONE;
}

static bool SHIM(is_packed)(int64_t n, const Complexes *a) {
    return n >= 0 && n <= INT_MAX && a->length == n * (n + 1) / 2;
}

EXPORT int SHIM(gbmv)(const bool *transposed, const bool *conjugated, const int64_t *m, const int64_t *n,
                      const int64_t *lower, const int64_t *upper, const REAL *alpha, const Complexes *a,
                      const Complexes *x, const REAL *beta, const Complexes *y, Complexes *out) {
    int64_t in = *transposed ? *m : *n, result = *transposed ? *n : *m;
    if (!is_band(*lower, *upper) || !is_matrix(*m, *lower + *upper + 1, a->length) || *n < 0 || *n > INT_MAX)
        return WELD_CALL_SIZES;
    if (x->length != in || out->length != result) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(y, SHIM(is_0)(beta), out)) return WELD_CALL_SIZES;
    if (*m == 0 || *n == 0) return SHIM(only_scaled)(beta, out);
    CBLAS(gbmv)
    (CblasRowMajor, turned(*transposed, *conjugated), (int)*m, (int)*n, (int)*lower, (int)*upper, alpha,
     a->data, (int)(*lower + *upper + 1), x->data, 1, beta, out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(hbmv)(const bool *upper, const int64_t *n, const int64_t *k, const REAL *alpha,
                      const Complexes *a, const Complexes *x, const REAL *beta, const Complexes *y,
                      Complexes *out) {
    if (!is_band(0, *k) || !is_matrix(*n, *k + 1, a->length)) return WELD_CALL_SIZES;
    if (x->length != *n || out->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(y, SHIM(is_0)(beta), out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(hbmv)
    (CblasRowMajor, uplo(*upper), (int)*n, (int)*k, alpha, a->data, (int)*k + 1, x->data, 1, beta, out->data,
     1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(hpmv)(const bool *upper, const int64_t *n, const REAL *alpha, const Complexes *a,
                      const Complexes *x, const REAL *beta, const Complexes *y, Complexes *out) {
    if (!SHIM(is_packed)(*n, a) || x->length != *n || out->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(y, SHIM(is_0)(beta), out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(hpmv)(CblasRowMajor, uplo(*upper), (int)*n, alpha, a->data, x->data, 1, beta, out->data, 1);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(hpr)(const bool *upper, const int64_t *n, const REAL *alpha, const Complexes *x,
                     const Complexes *a, Complexes *out) {
    if (!SHIM(is_packed)(*n, out) || x->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, false, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(hpr)(CblasRowMajor, uplo(*upper), (int)*n, *alpha, x->data, 1, out->data);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(hpr2)(const bool *upper, const int64_t *n, const REAL *alpha, const Complexes *x,
                      const Complexes *y, const Complexes *a, Complexes *out) {
    if (!SHIM(is_packed)(*n, out) || x->length != *n || y->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(begin_from)(a, false, out)) return WELD_CALL_SIZES;
    if (*n == 0) return WELD_CALL_DONE;
    CBLAS(hpr2)(CblasRowMajor, uplo(*upper), (int)*n, alpha, x->data, 1, y->data, 1, out->data);
    return WELD_CALL_DONE;
}

/* x times a triangle, or the solution for it, starts as x. */
#define TRIANGLE_BAND(name)                                                                            \
    EXPORT int SHIM(name)(const bool *upper, const bool *transposed, const bool *conjugated,           \
                          const bool *unit, const int64_t *n, const int64_t *k, const Complexes *a,    \
                          const Complexes *x, Complexes *out) {                                        \
        if (!is_band(0, *k) || !is_matrix(*n, *k + 1, a->length)) return WELD_CALL_SIZES;              \
        if (out->length != *n || !SHIM(begin_from)(x, false, out)) return WELD_CALL_SIZES;             \
        if (*n == 0) return WELD_CALL_DONE;                                                            \
        CBLAS(name)                                                                                    \
        (CblasRowMajor, uplo(*upper), turned(*transposed, *conjugated), diag(*unit), (int)*n, (int)*k, \
         a->data, (int)*k + 1, out->data, 1);                                                          \
        return WELD_CALL_DONE;                                                                         \
    }
#define TRIANGLE_PACKED(name)                                                                          \
    EXPORT int SHIM(name)(const bool *upper, const bool *transposed, const bool *conjugated,           \
                          const bool *unit, const int64_t *n, const Complexes *a, const Complexes *x,  \
                          Complexes *out) {                                                            \
        if (!SHIM(is_packed)(*n, a) || out->length != *n) return WELD_CALL_SIZES;                      \
        if (!SHIM(begin_from)(x, false, out)) return WELD_CALL_SIZES;                                  \
        if (*n == 0) return WELD_CALL_DONE;                                                            \
        CBLAS(name)                                                                                    \
        (CblasRowMajor, uplo(*upper), turned(*transposed, *conjugated), diag(*unit), (int)*n, a->data, \
         out->data, 1);                                                                                \
        return WELD_CALL_DONE;                                                                         \
    }
TRIANGLE_BAND(tbmv)
TRIANGLE_BAND(tbsv)
TRIANGLE_PACKED(tpmv)
TRIANGLE_PACKED(tpsv)
#undef TRIANGLE_BAND
#undef TRIANGLE_PACKED
