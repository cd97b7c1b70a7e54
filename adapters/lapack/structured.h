/* structured.h: equations whose matrix is triangular, symmetric, banded or tridiagonal, least squares of any rank, and the
 * generalized symmetric eigenvalues, for one precision; included like solvers.h, behind it.
 *
 * Bands are as cblas has them, row by row; the library wants their diagonals one after the other, in a copy with room for its
 * factors.
 */

/* ---- triangular and symmetric ---- */

EXPORT int SHIM(trtrs)(const bool *upper, const bool *transposed, const bool *unit, const int64_t *n,
                       const int64_t *nrhs, const Reals *a, const Reals *b, Reals *out) {
    int status = SHIM(begin)(*n, *nrhs, a, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    return singular(LAPACK(trtrs)(LAPACK_ROW_MAJOR, uplo(*upper), *transposed ? 'T' : 'N', *unit ? 'U' : 'N',
                                  (int)*n, (int)*nrhs, a->data, (int)*n, out->data, (int)*nrhs));
}

EXPORT int SHIM(sysv)(const bool *upper, const int64_t *n, const int64_t *nrhs, const Reals *a,
                      const Reals *b, Reals *out) {
    int status = SHIM(begin)(*n, *nrhs, a, b, out);
    if (status != WELD_CALL_DONE || *n == 0) return status;
    REAL *factor = SHIM(copy_of)(a);
    lapack_int *pivots = malloc((size_t)*n * sizeof *pivots);
    status = WELD_CALL_NO_MEMORY;
    if (factor && pivots)
        status = singular(LAPACK(sysv)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*nrhs, factor, (int)*n,
                                       pivots, out->data, leading(*nrhs)));
    free(factor);
    free(pivots);
    return status;
}

/* ---- tridiagonal ---- */

/* Right sides that fit a matrix of n rows, copied into out. */
static int SHIM(begin_rows)(int64_t n, int64_t nrhs, const Reals *b, Reals *out) {
    if (!is_matrix(n, nrhs, b->length) || out->length != b->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(b)) return WELD_CALL_DOMAIN;
    SHIM(copy_into)(b, out);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(gtsv)(const int64_t *n, const int64_t *nrhs, const Reals *lower, const Reals *diagonal,
                      const Reals *upper, const Reals *b, Reals *out) {
    int64_t beside = *n > 0 ? *n - 1 : 0;
    if (diagonal->length != *n || lower->length != beside || upper->length != beside) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(lower) || !SHIM(is_finite)(diagonal) || !SHIM(is_finite)(upper))
        return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    REAL *l = SHIM(copy_of)(lower), *d = SHIM(copy_of)(diagonal), *u = SHIM(copy_of)(upper);
    status = WELD_CALL_NO_MEMORY;
    if (d && (beside == 0 || (l && u)))
        status =
            singular(LAPACK(gtsv)(LAPACK_ROW_MAJOR, (int)*n, (int)*nrhs, l, d, u, out->data, (int)*nrhs));
    free(l);
    free(d);
    free(u);
    return status;
}

EXPORT int SHIM(ptsv)(const int64_t *n, const int64_t *nrhs, const Reals *diagonal, const Reals *beside,
                      const Reals *b, Reals *out) {
    if (diagonal->length != *n || beside->length != (*n > 0 ? *n - 1 : 0)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(diagonal) || !SHIM(is_finite)(beside)) return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    REAL *d = SHIM(copy_of)(diagonal), *e = SHIM(copy_of)(beside);
    status = WELD_CALL_NO_MEMORY;
    if (d && (e || *n == 1))
        status = singular(LAPACK(ptsv)(LAPACK_ROW_MAJOR, (int)*n, (int)*nrhs, d, e, out->data, (int)*nrhs));
    free(d);
    free(e);
    return status;
}

/* ---- banded ---- */

/* `rows` rows of n columns, where element i, j of the band from i - lower on goes into row `diagonal` + i - j; NULL: no memory. */
static REAL *SHIM(diagonals)(int64_t n, int64_t lower, int64_t upper, int64_t rows, int64_t diagonal,
                             const Reals *a) {
    int64_t width = lower + upper + 1;
    REAL *out = calloc((size_t)rows * (size_t)n, sizeof *out);
    for (int64_t i = 0; out && i < n; i++) {
        for (int64_t c = 0; c < width; c++) {
            int64_t j = i + c - lower;
            if (j >= 0 && j < n) out[(diagonal + i - j) * n + j] = a->data[i * width + c];
        }
    }
    return out;
}

EXPORT int SHIM(gbsv)(const int64_t *n, const int64_t *lower, const int64_t *upper, const int64_t *nrhs,
                      const Reals *a, const Reals *b, Reals *out) {
    if (!is_band(*lower, *upper) || !is_matrix(*n, *lower + *upper + 1, a->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    int64_t rows = 2 * *lower + *upper + 1;
    REAL *band = SHIM(diagonals)(*n, *lower, *upper, rows, *lower + *upper, a);
    lapack_int *pivots = malloc((size_t)*n * sizeof *pivots);
    status = WELD_CALL_NO_MEMORY;
    if (band && pivots)
        status = singular(LAPACK(gbsv)(LAPACK_ROW_MAJOR, (int)*n, (int)*lower, (int)*upper, (int)*nrhs, band,
                                       (int)*n, pivots, out->data, (int)*nrhs));
    free(band);
    free(pivots);
    return status;
}

EXPORT int SHIM(pbsv)(const bool *upper, const int64_t *n, const int64_t *k, const int64_t *nrhs,
                      const Reals *a, const Reals *b, Reals *out) {
    if (!is_band(0, *k) || !is_matrix(*n, *k + 1, a->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    int64_t below = *upper ? 0 : *k;
    REAL *band = SHIM(diagonals)(*n, below, *k - below, *k + 1, *k - below, a);
    if (!band) return WELD_CALL_NO_MEMORY;
    status = singular(LAPACK(pbsv)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*k, (int)*nrhs, band,
                                   (int)*n, out->data, (int)*nrhs));
    free(band);
    return status;
}

/* ---- least squares, eigenvalues ---- */

/* The library wants max(m, n) rows of b, and a column at least; the first n rows hold the solutions then. */
EXPORT int SHIM(gelsd)(const int64_t *m, const int64_t *n, const int64_t *nrhs, const REAL *rcond,
                       const Reals *a, const Reals *b, SHIM(Pair) * out) {
    int64_t rows = *m > *n ? *m : *n, least = *m < *n ? *m : *n;
    int64_t columns = *nrhs > 0 ? *nrhs : 1;
    Reals *x = &out->first, *s = &out->second;
    if (!is_matrix(*m, *n, a->length) || !is_matrix(*m, *nrhs, b->length)) return WELD_CALL_SIZES;
    if (!is_matrix(*n, *nrhs, x->length) || s->length != least) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(b) || !isfinite(*rcond)) return WELD_CALL_DOMAIN;
    if (x->length) memset(x->data, 0, (size_t)x->length * sizeof *x->data);
    if (a->length == 0) return WELD_CALL_DONE;
    REAL *work = SHIM(copy_of)(a), *all = calloc((size_t)rows * (size_t)columns, sizeof *all);
    lapack_int rank;
    int status = WELD_CALL_NO_MEMORY;
    if (work && all) {
        if (b->length) memcpy(all, b->data, (size_t)b->length * sizeof *all);
        status = converged(LAPACK(gelsd)(LAPACK_ROW_MAJOR, (int)*m, (int)*n, (int)columns, work, (int)*n, all,
                                         (int)columns, s->data, *rcond, &rank));
        if (x->length) memcpy(x->data, all, (size_t)x->length * sizeof *all);
    }
    free(work);
    free(all);
    return status;
}

/* info up to n: no convergence; beyond: B is not definite. */
EXPORT int SHIM(sygv)(const bool *upper, const int64_t *n, const Reals *a, const Reals *b, SHIM(Pair) * out) {
    if (!is_matrix(*n, *n, a->length) || b->length != a->length) return WELD_CALL_SIZES;
    if (out->first.length != *n || out->second.length != a->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(b)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    REAL *factor = SHIM(copy_of)(b);
    if (!factor) return WELD_CALL_NO_MEMORY;
    SHIM(copy_into)(a, &out->second);
    lapack_int info = LAPACK(sygv)(LAPACK_ROW_MAJOR, 1, 'V', uplo(*upper), (int)*n, out->second.data, (int)*n,
                                   factor, (int)*n, out->first.data);
    free(factor);
    return info > *n ? WELD_CALL_SINGULAR : converged(info);
}
