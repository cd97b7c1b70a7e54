/* structured.h: equations whose matrix is triangular, symmetric, banded or tridiagonal, least squares of any rank, and the
 * generalized symmetric eigenvalues, for one precision; included like solvers.h, behind it.
 *
 * Bands are as cblas has them, row by row; the library wants their diagonals one after the other, in a copy with room for its
 * factors.
 */

/* ---- triangular and symmetric ---- */

EXPORT int SHIM(trtrs)(const bool *upper, TURN, const bool *unit, const int64_t *n, const int64_t *nrhs,
                       const Numbers *a, const Numbers *b, Numbers *out) {
    int status = SHIM(begin)(*n, *nrhs, a, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    return singular(LAPACK(trtrs)(LAPACK_ROW_MAJOR, uplo(*upper), TURNED, *unit ? 'U' : 'N', (int)*n,
                                  (int)*nrhs, a->data, (int)*n, out->data, (int)*nrhs));
}

#define SOLVE_SYMMETRIC(name)                                                                           \
    EXPORT int SHIM(name)(const bool *upper, const int64_t *n, const int64_t *nrhs, const Numbers *a,   \
                          const Numbers *b, Numbers *out) {                                             \
        int status = SHIM(begin)(*n, *nrhs, a, b, out);                                                 \
        if (status != WELD_CALL_DONE || *n == 0) return status;                                         \
        NUMBER *factor = SHIM(copy_of)(a);                                                              \
        lapack_int *pivots = malloc((size_t)*n * sizeof *pivots);                                       \
        status = WELD_CALL_NO_MEMORY;                                                                   \
        if (factor && pivots)                                                                           \
            status = singular(LAPACK(name)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*nrhs, factor, \
                                           (int)*n, pivots, out->data, leading(*nrhs)));                \
        free(factor);                                                                                   \
        free(pivots);                                                                                   \
        return status;                                                                                  \
    }
SOLVE_SYMMETRIC(sysv)
#if COMPLEX
SOLVE_SYMMETRIC(hesv)
#endif
#undef SOLVE_SYMMETRIC

/* ---- tridiagonal ---- */

/* Right sides that fit a matrix of n rows, copied into out. */
static int SHIM(begin_rows)(int64_t n, int64_t nrhs, const Numbers *b, Numbers *out) {
    if (!is_matrix(n, nrhs, b->length) || out->length != b->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(b)) return WELD_CALL_DOMAIN;
    SHIM(copy_into)(b, out);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(gtsv)(const int64_t *n, const int64_t *nrhs, const Numbers *lower, const Numbers *diagonal,
                      const Numbers *upper, const Numbers *b, Numbers *out) {
    int64_t beside = *n > 0 ? *n - 1 : 0;
    if (diagonal->length != *n || lower->length != beside || upper->length != beside) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(lower) || !SHIM(is_finite)(diagonal) || !SHIM(is_finite)(upper))
        return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    NUMBER *l = SHIM(copy_of)(lower), *d = SHIM(copy_of)(diagonal), *u = SHIM(copy_of)(upper);
    status = WELD_CALL_NO_MEMORY;
    if (d && (beside == 0 || (l && u)))
        status =
            singular(LAPACK(gtsv)(LAPACK_ROW_MAJOR, (int)*n, (int)*nrhs, l, d, u, out->data, (int)*nrhs));
    free(l);
    free(d);
    free(u);
    return status;
}

/* The diagonal of a Hermitian matrix is real. */
EXPORT int SHIM(ptsv)(const int64_t *n, const int64_t *nrhs, const Reals *diagonal, const Numbers *beside,
                      const Numbers *b, Numbers *out) {
    if (diagonal->length != *n || beside->length != (*n > 0 ? *n - 1 : 0)) return WELD_CALL_SIZES;
    if (!REALS(is_finite)(diagonal) || !SHIM(is_finite)(beside)) return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    REAL *d = REALS(copy_of)(diagonal);
    NUMBER *e = SHIM(copy_of)(beside);
    status = WELD_CALL_NO_MEMORY;
    if (d && (e || *n == 1))
        status = singular(LAPACK(ptsv)(LAPACK_ROW_MAJOR, (int)*n, (int)*nrhs, d, e, out->data, (int)*nrhs));
    free(d);
    free(e);
    return status;
}

/* ---- banded ---- */

/* `rows` rows of n columns, where element i, j of the band from i - lower on goes into row `diagonal` + i - j; NULL: no memory. */
static NUMBER *SHIM(diagonals)(int64_t n, int64_t lower, int64_t upper, int64_t rows, int64_t diagonal,
                               const Numbers *a) {
    int64_t width = lower + upper + 1;
    NUMBER *out = calloc((size_t)rows * (size_t)n, sizeof *out);
    for (int64_t i = 0; out && i < n; i++) {
        for (int64_t c = 0; c < width; c++) {
            int64_t j = i + c - lower;
            if (j >= 0 && j < n) out[(diagonal + i - j) * n + j] = a->data[i * width + c];
        }
    }
    return out;
}

EXPORT int SHIM(gbsv)(const int64_t *n, const int64_t *lower, const int64_t *upper, const int64_t *nrhs,
                      const Numbers *a, const Numbers *b, Numbers *out) {
    if (!is_band(*lower, *upper) || !is_matrix(*n, *lower + *upper + 1, a->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    int64_t rows = 2 * *lower + *upper + 1;
    NUMBER *band = SHIM(diagonals)(*n, *lower, *upper, rows, *lower + *upper, a);
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
                      const Numbers *a, const Numbers *b, Numbers *out) {
    if (!is_band(0, *k) || !is_matrix(*n, *k + 1, a->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    int64_t below = *upper ? 0 : *k;
    NUMBER *band = SHIM(diagonals)(*n, below, *k - below, *k + 1, *k - below, a);
    if (!band) return WELD_CALL_NO_MEMORY;
    status = singular(LAPACK(pbsv)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*k, (int)*nrhs, band,
                                   (int)*n, out->data, (int)*nrhs));
    free(band);
    return status;
}

EXPORT int SHIM(ppsv)(const bool *upper, const int64_t *n, const int64_t *nrhs, const Numbers *a,
                      const Numbers *b, Numbers *out) {
    if (*n < 0 || *n > INT_MAX || a->length != *n * (*n + 1) / 2) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    int status = SHIM(begin_rows)(*n, *nrhs, b, out);
    if (status != WELD_CALL_DONE || b->length == 0) return status;
    NUMBER *factor = SHIM(copy_of)(a);
    if (!factor) return WELD_CALL_NO_MEMORY;
    status = singular(
        LAPACK(ppsv)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*nrhs, factor, out->data, (int)*nrhs));
    free(factor);
    return status;
}

/* ---- least squares, eigenvalues ---- */

/* Right sides as the library wants them, of max(m, n) rows, and a column at least; the first n rows hold the solutions then. */
typedef struct SHIM(Squares) {
    NUMBER *a, *b;
    int m, n, columns;
} SHIM(Squares);

/* WELD_CALL_DONE: go on, if there is a work->a. */
static int SHIM(begin_squares)(int64_t m, int64_t n, int64_t nrhs, REAL rcond, const Numbers *a,
                               const Numbers *b, Numbers *x, SHIM(Squares) * work) {
    int64_t rows = m > n ? m : n, columns = nrhs > 0 ? nrhs : 1;
    *work = (SHIM(Squares)){.a = NULL};
    if (!is_matrix(m, n, a->length) || !is_matrix(m, nrhs, b->length)) return WELD_CALL_SIZES;
    if (!is_matrix(n, nrhs, x->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(b) || !isfinite(rcond)) return WELD_CALL_DOMAIN;
    if (x->length) memset(x->data, 0, (size_t)x->length * sizeof *x->data);
    if (a->length == 0) return WELD_CALL_DONE;
    NUMBER *all = calloc((size_t)rows * (size_t)columns, sizeof *all);
    *work = (SHIM(Squares)){SHIM(copy_of)(a), all, (int)m, (int)n, (int)columns};
    if (work->b && b->length) memcpy(work->b, b->data, (size_t)b->length * sizeof *work->b);
    return work->a && work->b ? WELD_CALL_DONE : WELD_CALL_NO_MEMORY;
}

static int SHIM(end_squares)(int status, Numbers *x, SHIM(Squares) * work) {
    if (status == WELD_CALL_DONE && work->b && x->length)
        memcpy(x->data, work->b, (size_t)x->length * sizeof *x->data);
    free(work->a);
    free(work->b);
    return status;
}

typedef struct SHIM(Least) {
    Numbers x;
    Reals s;
} SHIM(Least);

#define LEAST_SQUARES(name)                                                                                 \
    EXPORT int SHIM(name)(const int64_t *m, const int64_t *n, const int64_t *nrhs, const REAL *rcond,       \
                          const Numbers *a, const Numbers *b, SHIM(Least) * out) {                          \
        SHIM(Squares) work;                                                                                 \
        lapack_int rank;                                                                                    \
        if (out->s.length != (*m < *n ? *m : *n)) return WELD_CALL_SIZES;                                   \
        int status = SHIM(begin_squares)(*m, *n, *nrhs, *rcond, a, b, &out->x, &work);                      \
        if (status == WELD_CALL_DONE && work.a)                                                             \
            status = converged(LAPACK(name)(LAPACK_ROW_MAJOR, work.m, work.n, work.columns, work.a, work.n, \
                                            work.b, work.columns, out->s.data, *rcond, &rank));             \
        return SHIM(end_squares)(status, &out->x, &work);                                                   \
    }
LEAST_SQUARES(gelsd)
LEAST_SQUARES(gelss)
#undef LEAST_SQUARES

typedef struct SHIM(Ranked) {
    Numbers x;
    int64_t rank;
} SHIM(Ranked);

EXPORT int SHIM(gelsy)(const int64_t *m, const int64_t *n, const int64_t *nrhs, const REAL *rcond,
                       const Numbers *a, const Numbers *b, SHIM(Ranked) * out) {
    SHIM(Squares) work;
    lapack_int rank = 0, *columns = NULL;
    int status = SHIM(begin_squares)(*m, *n, *nrhs, *rcond, a, b, &out->x, &work);
    if (status == WELD_CALL_DONE && work.a && !(columns = calloc((size_t)work.n, sizeof *columns)))
        status = WELD_CALL_NO_MEMORY;
    if (status == WELD_CALL_DONE && work.a)
        status = singular(LAPACK(gelsy)(LAPACK_ROW_MAJOR, work.m, work.n, work.columns, work.a, work.n,
                                        work.b, work.columns, columns, *rcond, &rank));
    free(columns);
    out->rank = rank;
    return SHIM(end_squares)(status, &out->x, &work);
}

/* info up to n: no convergence; beyond: B is not definite. */
EXPORT int SHIM(SYM(gv))(const bool *upper, const int64_t *n, const Numbers *a, const Numbers *b,
                         SHIM(Spectrum) * out) {
    if (!is_matrix(*n, *n, a->length) || b->length != a->length) return WELD_CALL_SIZES;
    if (out->values.length != *n || out->vectors.length != a->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(b)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    NUMBER *factor = SHIM(copy_of)(b);
    if (!factor) return WELD_CALL_NO_MEMORY;
    SHIM(copy_into)(a, &out->vectors);
    lapack_int info = LAPACK(SYM(gv))(LAPACK_ROW_MAJOR, 1, 'V', uplo(*upper), (int)*n, out->vectors.data,
                                      (int)*n, factor, (int)*n, out->values.data);
    free(factor);
    return info > *n ? WELD_CALL_SINGULAR : converged(info);
}
