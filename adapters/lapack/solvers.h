/* solvers.h: LAPACK for one precision: what checks the arguments and calls the library.
 *
 * Included by lapack.c once for each precision, with
 *     REAL           double or float
 *     LAPACK(name)   LAPACKE_dname
 *     SHIM(name)     weld_lapack_dname, or a name of a type or function of this precision
 *
 * Matrices are row-major without gaps. Every size is checked, and every element must be finite: for others the library's
 * iterations might not end. What the library overwrites is a copy, in the result where that has room for it. */

typedef struct SHIM(Vector) {
    REAL *data;
    int64_t length;
} SHIM(Vector);
#define Reals SHIM(Vector)

static bool SHIM(is_finite)(const Reals *a) {
    for (int64_t i = 0; i < a->length; i++) {
        if (!isfinite(a->data[i])) return false;
    }
    return true;
}

/* A copy of a matrix for the library to overwrite; NULL: no memory, or it is empty. */
static REAL *SHIM(copy_of)(const Reals *a) {
    REAL *copy = a->length ? malloc((size_t)a->length * sizeof *copy) : NULL;
    if (copy) memcpy(copy, a->data, (size_t)a->length * sizeof *copy);
    return copy;
}

static void SHIM(copy_into)(const Reals *a, Reals *out) {
    if (a->length) memcpy(out->data, a->data, (size_t)a->length * sizeof *a->data);
}

/* ---- linear equations ---- */

/* Right sides that fit, copied into out, where the solutions will be. WELD_CALL_DONE: go on. */
static int SHIM(begin)(int64_t n, int64_t nrhs, const Reals *a, const Reals *b, Reals *out) {
    if (!is_matrix(n, n, a->length) || !is_matrix(n, nrhs, b->length) || out->length != b->length)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(b)) return WELD_CALL_DOMAIN;
    SHIM(copy_into)(b, out);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(gesv)(const int64_t *n, const int64_t *nrhs, const Reals *a, const Reals *b, Reals *out) {
    int status = SHIM(begin)(*n, *nrhs, a, b, out);
    if (status != WELD_CALL_DONE || *n == 0) return status;
    REAL *lu = SHIM(copy_of)(a);
    lapack_int *pivots = malloc((size_t)*n * sizeof *pivots);
    status = WELD_CALL_NO_MEMORY;
    if (lu && pivots)
        status = singular(LAPACK(gesv)(LAPACK_ROW_MAJOR, (int)*n, (int)*nrhs, lu, (int)*n, pivots, out->data,
                                       leading(*nrhs)));
    free(lu);
    free(pivots);
    return status;
}

EXPORT int SHIM(posv)(const bool *upper, const int64_t *n, const int64_t *nrhs, const Reals *a,
                      const Reals *b, Reals *out) {
    int status = SHIM(begin)(*n, *nrhs, a, b, out);
    if (status != WELD_CALL_DONE || *n == 0) return status;
    REAL *factor = SHIM(copy_of)(a);
    if (!factor) return WELD_CALL_NO_MEMORY;
    status = singular(LAPACK(posv)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*nrhs, factor, (int)*n,
                                   out->data, leading(*nrhs)));
    free(factor);
    return status;
}

typedef struct SHIM(Factors) {
    Reals lu;
    Pivots pivots;
} SHIM(Factors);

EXPORT int SHIM(getrf)(const int64_t *m, const int64_t *n, const Reals *a, SHIM(Factors) * out) {
    int64_t least = *m < *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length) || out->lu.length != a->length || out->pivots.length != least)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    SHIM(copy_into)(a, &out->lu);
    if (a->length == 0) return WELD_CALL_DONE;
    return singular(
        LAPACK(getrf)(LAPACK_ROW_MAJOR, (int)*m, (int)*n, out->lu.data, (int)*n, out->pivots.data));
}

EXPORT int SHIM(getrs)(const bool *transposed, const int64_t *n, const int64_t *nrhs, const Reals *lu,
                       const Pivots *pivots, const Reals *b, Reals *out) {
    int status = SHIM(begin)(*n, *nrhs, lu, b, out);
    if (status != WELD_CALL_DONE) return status;
    if (pivots->length != *n) return WELD_CALL_SIZES;
    for (int64_t i = 0; i < *n; i++) {
        if (pivots->data[i] < 1 || pivots->data[i] > *n) return WELD_CALL_DOMAIN;
    }
    if (*n == 0) return WELD_CALL_DONE;
    return singular(LAPACK(getrs)(LAPACK_ROW_MAJOR, *transposed ? 'T' : 'N', (int)*n, (int)*nrhs, lu->data,
                                  (int)*n, pivots->data, out->data, leading(*nrhs)));
}

EXPORT int SHIM(potrf)(const bool *upper, const int64_t *n, const Reals *a, Reals *out) {
    if (!is_matrix(*n, *n, a->length) || out->length != a->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    for (int64_t i = 0; i < *n; i++) {
        for (int64_t j = 0; j < *n; j++)
            out->data[i * *n + j] = (*upper ? j >= i : j <= i) ? a->data[i * *n + j] : 0;
    }
    if (*n == 0) return WELD_CALL_DONE;
    return singular(LAPACK(potrf)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, out->data, (int)*n));
}

EXPORT int SHIM(potrs)(const bool *upper, const int64_t *n, const int64_t *nrhs, const Reals *factor,
                       const Reals *b, Reals *out) {
    int status = SHIM(begin)(*n, *nrhs, factor, b, out);
    if (status != WELD_CALL_DONE || *n == 0) return status;
    return singular(LAPACK(potrs)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*nrhs, factor->data, (int)*n,
                                  out->data, leading(*nrhs)));
}

EXPORT int SHIM(inv)(const int64_t *n, const Reals *a, Reals *out) {
    if (!is_matrix(*n, *n, a->length) || out->length != a->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    SHIM(copy_into)(a, out);
    lapack_int *pivots = malloc((size_t)*n * sizeof *pivots);
    if (!pivots) return WELD_CALL_NO_MEMORY;
    int status = singular(LAPACK(getrf)(LAPACK_ROW_MAJOR, (int)*n, (int)*n, out->data, (int)*n, pivots));
    if (status == WELD_CALL_DONE)
        status = singular(LAPACK(getri)(LAPACK_ROW_MAJOR, (int)*n, out->data, (int)*n, pivots));
    free(pivots);
    return status;
}

/* The product of U's diagonal, its sign turned by each exchange of rows. A singular matrix has the determinant 0. */
EXPORT int SHIM(det)(const int64_t *n, const Reals *a, REAL *out) {
    if (!is_matrix(*n, *n, a->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    *out = 1;
    if (*n == 0) return WELD_CALL_DONE;
    REAL *lu = SHIM(copy_of)(a);
    lapack_int *pivots = malloc((size_t)*n * sizeof *pivots);
    int status = WELD_CALL_NO_MEMORY;
    if (lu && pivots)
        status = singular(LAPACK(getrf)(LAPACK_ROW_MAJOR, (int)*n, (int)*n, lu, (int)*n, pivots));
    if (status == WELD_CALL_SINGULAR) {
        *out = 0;
        status = WELD_CALL_DONE;
    } else if (status == WELD_CALL_DONE) {
        for (int64_t i = 0; i < *n; i++) *out *= pivots[i] == i + 1 ? lu[i * *n + i] : -lu[i * *n + i];
    }
    free(lu);
    free(pivots);
    return status;
}

/* ---- orthogonal factors and least squares ---- */

typedef struct SHIM(Pair) {
    Reals first, second;
} SHIM(Pair);

EXPORT int SHIM(geqrf)(const int64_t *m, const int64_t *n, const Reals *a, SHIM(Pair) * out) {
    int64_t least = *m < *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length) || out->first.length != a->length || out->second.length != least)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (a->length == 0) return WELD_CALL_DONE;
    SHIM(copy_into)(a, &out->first);
    return singular(
        LAPACK(geqrf)(LAPACK_ROW_MAJOR, (int)*m, (int)*n, out->first.data, (int)*n, out->second.data));
}

EXPORT int SHIM(orgqr)(const int64_t *m, const int64_t *n, const int64_t *k, const Reals *a, const Reals *tau,
                       Reals *out) {
    if (!is_matrix(*m, *n, a->length) || out->length != a->length || tau->length != *k)
        return WELD_CALL_SIZES;
    if (*k < 0 || *k > *n || *n > *m) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(tau)) return WELD_CALL_DOMAIN;
    if (a->length == 0) return WELD_CALL_DONE;
    SHIM(copy_into)(a, out);
    return singular(
        LAPACK(orgqr)(LAPACK_ROW_MAJOR, (int)*m, (int)*n, (int)*k, out->data, (int)*n, tau->data));
}

/* R is above the diagonal of what geqrf leaves; Q is made of what is below it. */
static int SHIM(split_qr)(int m, int n, REAL *qr, const REAL *tau, SHIM(Pair) * out) {
    int k = m < n ? m : n;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < n; j++) out->second.data[i * n + j] = j >= i ? qr[i * n + j] : 0;
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < k; j++) out->first.data[i * k + j] = qr[i * n + j];
    }
    return singular(LAPACK(orgqr)(LAPACK_ROW_MAJOR, m, k, k, out->first.data, k, tau));
}

EXPORT int SHIM(qr)(const int64_t *m, const int64_t *n, const Reals *a, SHIM(Pair) * out) {
    int64_t k = *m < *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length)) return WELD_CALL_SIZES;
    if (out->first.length != *m * k || out->second.length != k * *n) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (a->length == 0) return WELD_CALL_DONE;
    REAL *qr = SHIM(copy_of)(a), *tau = malloc((size_t)k * sizeof *tau);
    int status = WELD_CALL_NO_MEMORY;
    if (qr && tau) status = singular(LAPACK(geqrf)(LAPACK_ROW_MAJOR, (int)*m, (int)*n, qr, (int)*n, tau));
    if (status == WELD_CALL_DONE) status = SHIM(split_qr)((int)*m, (int)*n, qr, tau, out);
    free(qr);
    free(tau);
    return status;
}

/* The library wants max(m, n) rows of b, none of them with a NaN; the first hold the solutions then. */
EXPORT int SHIM(gels)(const bool *transposed, const int64_t *m, const int64_t *n, const int64_t *nrhs,
                      const Reals *a, const Reals *b, Reals *out) {
    int64_t given = *transposed ? *n : *m, wanted = *transposed ? *m : *n, rows = *m > *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length) || !is_matrix(given, *nrhs, b->length)) return WELD_CALL_SIZES;
    if (!is_matrix(wanted, *nrhs, out->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(b)) return WELD_CALL_DOMAIN;
    if (out->length == 0) return WELD_CALL_DONE;
    if (a->length == 0) {
        memset(out->data, 0, (size_t)out->length * sizeof *out->data);
        return WELD_CALL_DONE;
    }
    REAL *qr = SHIM(copy_of)(a), *x = calloc((size_t)(rows * *nrhs), sizeof *x);
    int status = WELD_CALL_NO_MEMORY;
    if (qr && x) {
        memcpy(x, b->data, (size_t)b->length * sizeof *x);
        status = singular(LAPACK(gels)(LAPACK_ROW_MAJOR, *transposed ? 'T' : 'N', (int)*m, (int)*n,
                                       (int)*nrhs, qr, (int)*n, x, (int)*nrhs));
        memcpy(out->data, x, (size_t)out->length * sizeof *x);
    }
    free(qr);
    free(x);
    return status;
}

/* ---- eigenvalues and singular values ---- */

EXPORT int SHIM(syev)(const bool *upper, const int64_t *n, const Reals *a, SHIM(Pair) * out) {
    if (!is_matrix(*n, *n, a->length) || out->first.length != *n || out->second.length != a->length)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    SHIM(copy_into)(a, &out->second);
    return converged(LAPACK(syev)(LAPACK_ROW_MAJOR, 'V', uplo(*upper), (int)*n, out->second.data, (int)*n,
                                  out->first.data));
}

typedef struct SHIM(Eigen) {
    Reals re, im, vectors;
} SHIM(Eigen);

EXPORT int SHIM(geev)(const int64_t *n, const Reals *a, SHIM(Eigen) * out) {
    if (!is_matrix(*n, *n, a->length) || out->re.length != *n || out->im.length != *n) return WELD_CALL_SIZES;
    if (out->vectors.length != a->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    REAL *work = SHIM(copy_of)(a);
    if (!work) return WELD_CALL_NO_MEMORY;
    int status = converged(LAPACK(geev)(LAPACK_ROW_MAJOR, 'N', 'V', (int)*n, work, (int)*n, out->re.data,
                                        out->im.data, NULL, (int)*n, out->vectors.data, (int)*n));
    free(work);
    return status;
}

typedef struct SHIM(Singular) {
    Reals u, s, vt;
} SHIM(Singular);

EXPORT int SHIM(gesvd)(const int64_t *m, const int64_t *n, const Reals *a, SHIM(Singular) * out) {
    int64_t k = *m < *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length)) return WELD_CALL_SIZES;
    if (out->u.length != *m * k || out->s.length != k || out->vt.length != k * *n) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (a->length == 0) return WELD_CALL_DONE;
    REAL *work = SHIM(copy_of)(a), *super = malloc((size_t)k * sizeof *super);
    int status = WELD_CALL_NO_MEMORY;
    if (work && super)
        status = converged(LAPACK(gesvd)(LAPACK_ROW_MAJOR, 'S', 'S', (int)*m, (int)*n, work, (int)*n,
                                         out->s.data, out->u.data, (int)k, out->vt.data, (int)*n, super));
    free(work);
    free(super);
    return status;
}
