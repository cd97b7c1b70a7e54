/* solvers.h: LAPACK for one precision: what checks the arguments and calls the library.
 *
 * Included by lapack.c once for each precision, with
 *     NUMBER         double, float, or their complex numbers     REAL           double or float
 *     LAPACK(name)   LAPACKE_dname                               SYM(name)      syname, or hename of complex numbers
 *     SHIM(name)     weld_lapack_dname, or a name of a type or function of this precision
 *     Reals          a vector of REAL                            UNI(name)      orname, or unname
 *     IS_FINITE(x)   of a NUMBER
 *     ADJOINT        the letter for a conjugate transpose
 *     TURN           parameters that say whether a matrix is transposed, and TURNED, the letter for them
 *
 * Matrices are row-major without gaps. Every size is checked, and every element must be finite: for others the library's
 * iterations might not end. What the library overwrites is a copy, in the result where that has room for it. */

typedef struct SHIM(Vector) {
    NUMBER *data;
    int64_t length;
} SHIM(Vector);
#define Numbers SHIM(Vector)

static bool SHIM(is_finite)(const Numbers *a) {
    for (int64_t i = 0; i < a->length; i++) {
        if (!IS_FINITE(a->data[i])) return false;
    }
    return true;
}

/* A copy of a matrix for the library to overwrite; NULL: no memory, or it is empty. */
static NUMBER *SHIM(copy_of)(const Numbers *a) {
    NUMBER *copy = a->length ? malloc((size_t)a->length * sizeof *copy) : NULL;
    if (copy) memcpy(copy, a->data, (size_t)a->length * sizeof *copy);
    return copy;
}

static void SHIM(copy_into)(const Numbers *a, Numbers *out) {
    if (a->length) memcpy(out->data, a->data, (size_t)a->length * sizeof *a->data);
}

/* ---- linear equations ---- */

/* Right sides that fit, copied into out, where the solutions will be. WELD_CALL_DONE: go on. */
static int SHIM(begin)(int64_t n, int64_t nrhs, const Numbers *a, const Numbers *b, Numbers *out) {
    if (!is_matrix(n, n, a->length) || !is_matrix(n, nrhs, b->length) || out->length != b->length)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(b)) return WELD_CALL_DOMAIN;
    SHIM(copy_into)(b, out);
    return WELD_CALL_DONE;
}

EXPORT int SHIM(gesv)(const int64_t *n, const int64_t *nrhs, const Numbers *a, const Numbers *b,
                      Numbers *out) {
    int status = SHIM(begin)(*n, *nrhs, a, b, out);
    if (status != WELD_CALL_DONE || *n == 0) return status;
    NUMBER *lu = SHIM(copy_of)(a);
    lapack_int *pivots = malloc((size_t)*n * sizeof *pivots);
    status = WELD_CALL_NO_MEMORY;
    if (lu && pivots)
        status = singular(LAPACK(gesv)(LAPACK_ROW_MAJOR, (int)*n, (int)*nrhs, lu, (int)*n, pivots, out->data,
                                       leading(*nrhs)));
    free(lu);
    free(pivots);
    return status;
}

EXPORT int SHIM(posv)(const bool *upper, const int64_t *n, const int64_t *nrhs, const Numbers *a,
                      const Numbers *b, Numbers *out) {
    int status = SHIM(begin)(*n, *nrhs, a, b, out);
    if (status != WELD_CALL_DONE || *n == 0) return status;
    NUMBER *factor = SHIM(copy_of)(a);
    if (!factor) return WELD_CALL_NO_MEMORY;
    status = singular(LAPACK(posv)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*nrhs, factor, (int)*n,
                                   out->data, leading(*nrhs)));
    free(factor);
    return status;
}

typedef struct SHIM(Factors) {
    Numbers lu;
    Pivots pivots;
} SHIM(Factors);

EXPORT int SHIM(getrf)(const int64_t *m, const int64_t *n, const Numbers *a, SHIM(Factors) * out) {
    int64_t least = *m < *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length) || out->lu.length != a->length || out->pivots.length != least)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    SHIM(copy_into)(a, &out->lu);
    if (a->length == 0) return WELD_CALL_DONE;
    return singular(
        LAPACK(getrf)(LAPACK_ROW_MAJOR, (int)*m, (int)*n, out->lu.data, (int)*n, out->pivots.data));
}

/* Rows that a matrix of n rows has, from 1. */
static bool SHIM(are_rows)(const Pivots *pivots, int64_t n) {
    for (int64_t i = 0; i < n; i++) {
        if (pivots->data[i] < 1 || pivots->data[i] > n) return false;
    }
    return true;
}

EXPORT int SHIM(getrs)(TURN, const int64_t *n, const int64_t *nrhs, const Numbers *lu, const Pivots *pivots,
                       const Numbers *b, Numbers *out) {
    int status = SHIM(begin)(*n, *nrhs, lu, b, out);
    if (status != WELD_CALL_DONE) return status;
    if (pivots->length != *n) return WELD_CALL_SIZES;
    if (!SHIM(are_rows)(pivots, *n)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    return singular(LAPACK(getrs)(LAPACK_ROW_MAJOR, TURNED, (int)*n, (int)*nrhs, lu->data, (int)*n,
                                  pivots->data, out->data, leading(*nrhs)));
}

EXPORT int SHIM(getri)(const int64_t *n, const Numbers *lu, const Pivots *pivots, Numbers *out) {
    if (!is_matrix(*n, *n, lu->length) || out->length != lu->length || pivots->length != *n)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(lu) || !SHIM(are_rows)(pivots, *n)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    SHIM(copy_into)(lu, out);
    return singular(LAPACK(getri)(LAPACK_ROW_MAJOR, (int)*n, out->data, (int)*n, pivots->data));
}

/* One triangle, the other one 0. */
static void SHIM(copy_triangle)(bool upper, int64_t n, const Numbers *a, Numbers *out) {
    for (int64_t i = 0; i < n; i++) {
        for (int64_t j = 0; j < n; j++)
            out->data[i * n + j] = (upper ? j >= i : j <= i) ? a->data[i * n + j] : 0;
    }
}

EXPORT int SHIM(potrf)(const bool *upper, const int64_t *n, const Numbers *a, Numbers *out) {
    if (!is_matrix(*n, *n, a->length) || out->length != a->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    SHIM(copy_triangle)(*upper, *n, a, out);
    if (*n == 0) return WELD_CALL_DONE;
    return singular(LAPACK(potrf)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, out->data, (int)*n));
}

EXPORT int SHIM(potrs)(const bool *upper, const int64_t *n, const int64_t *nrhs, const Numbers *factor,
                       const Numbers *b, Numbers *out) {
    int status = SHIM(begin)(*n, *nrhs, factor, b, out);
    if (status != WELD_CALL_DONE || *n == 0) return status;
    return singular(LAPACK(potrs)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, (int)*nrhs, factor->data, (int)*n,
                                  out->data, leading(*nrhs)));
}

EXPORT int SHIM(potri)(const bool *upper, const int64_t *n, const Numbers *factor, Numbers *out) {
    if (!is_matrix(*n, *n, factor->length) || out->length != factor->length) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(factor)) return WELD_CALL_DOMAIN;
    SHIM(copy_triangle)(*upper, *n, factor, out);
    if (*n == 0) return WELD_CALL_DONE;
    return singular(LAPACK(potri)(LAPACK_ROW_MAJOR, uplo(*upper), (int)*n, out->data, (int)*n));
}

EXPORT int SHIM(inv)(const int64_t *n, const Numbers *a, Numbers *out) {
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
EXPORT int SHIM(det)(const int64_t *n, const Numbers *a, NUMBER *out) {
    if (!is_matrix(*n, *n, a->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    *out = 1;
    if (*n == 0) return WELD_CALL_DONE;
    NUMBER *lu = SHIM(copy_of)(a);
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
    Numbers first, second;
} SHIM(Pair);

EXPORT int SHIM(geqrf)(const int64_t *m, const int64_t *n, const Numbers *a, SHIM(Pair) * out) {
    int64_t least = *m < *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length) || out->first.length != a->length || out->second.length != least)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (a->length == 0) return WELD_CALL_DONE;
    SHIM(copy_into)(a, &out->first);
    return singular(
        LAPACK(geqrf)(LAPACK_ROW_MAJOR, (int)*m, (int)*n, out->first.data, (int)*n, out->second.data));
}

EXPORT int SHIM(UNI(gqr))(const int64_t *m, const int64_t *n, const int64_t *k, const Numbers *a,
                          const Numbers *tau, Numbers *out) {
    if (!is_matrix(*m, *n, a->length) || out->length != a->length || tau->length != *k)
        return WELD_CALL_SIZES;
    if (*k < 0 || *k > *n || *n > *m) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(tau)) return WELD_CALL_DOMAIN;
    if (a->length == 0) return WELD_CALL_DONE;
    SHIM(copy_into)(a, out);
    return singular(
        LAPACK(UNI(gqr))(LAPACK_ROW_MAJOR, (int)*m, (int)*n, (int)*k, out->data, (int)*n, tau->data));
}

/* R is above the diagonal of what geqrf leaves; Q is made of what is below it. */
static int SHIM(split_qr)(int m, int n, NUMBER *qr, const NUMBER *tau, SHIM(Pair) * out) {
    int k = m < n ? m : n;
    for (int64_t i = 0; i < k; i++) {
        for (int64_t j = 0; j < n; j++) out->second.data[i * n + j] = j >= i ? qr[i * n + j] : 0;
    }
    for (int64_t i = 0; i < m; i++) {
        for (int64_t j = 0; j < k; j++) out->first.data[i * k + j] = qr[i * n + j];
    }
    return singular(LAPACK(UNI(gqr))(LAPACK_ROW_MAJOR, m, k, k, out->first.data, k, tau));
}

EXPORT int SHIM(qr)(const int64_t *m, const int64_t *n, const Numbers *a, SHIM(Pair) * out) {
    int64_t k = *m < *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length)) return WELD_CALL_SIZES;
    if (out->first.length != *m * k || out->second.length != k * *n) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (a->length == 0) return WELD_CALL_DONE;
    NUMBER *qr = SHIM(copy_of)(a), *tau = malloc((size_t)k * sizeof *tau);
    int status = WELD_CALL_NO_MEMORY;
    if (qr && tau) status = singular(LAPACK(geqrf)(LAPACK_ROW_MAJOR, (int)*m, (int)*n, qr, (int)*n, tau));
    if (status == WELD_CALL_DONE) status = SHIM(split_qr)((int)*m, (int)*n, qr, tau, out);
    free(qr);
    free(tau);
    return status;
}

/* The library wants max(m, n) rows of b, none of them with a NaN; the first hold the solutions then. */
EXPORT int SHIM(gels)(const bool *transposed, const int64_t *m, const int64_t *n, const int64_t *nrhs,
                      const Numbers *a, const Numbers *b, Numbers *out) {
    int64_t given = *transposed ? *n : *m, wanted = *transposed ? *m : *n, rows = *m > *n ? *m : *n;
    if (!is_matrix(*m, *n, a->length) || !is_matrix(given, *nrhs, b->length)) return WELD_CALL_SIZES;
    if (!is_matrix(wanted, *nrhs, out->length)) return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a) || !SHIM(is_finite)(b)) return WELD_CALL_DOMAIN;
    if (out->length == 0) return WELD_CALL_DONE;
    if (a->length == 0) {
        memset(out->data, 0, (size_t)out->length * sizeof *out->data);
        return WELD_CALL_DONE;
    }
    NUMBER *qr = SHIM(copy_of)(a), *x = calloc((size_t)(rows * *nrhs), sizeof *x);
    int status = WELD_CALL_NO_MEMORY;
    if (qr && x) {
        memcpy(x, b->data, (size_t)b->length * sizeof *x);
        status = singular(LAPACK(gels)(LAPACK_ROW_MAJOR, *transposed ? ADJOINT : 'N', (int)*m, (int)*n,
                                       (int)*nrhs, qr, (int)*n, x, (int)*nrhs));
        memcpy(out->data, x, (size_t)out->length * sizeof *x);
    }
    free(qr);
    free(x);
    return status;
}

/* ---- eigenvalues and singular values ---- */

typedef struct SHIM(Spectrum) {
    Reals values;
    Numbers vectors;
} SHIM(Spectrum);

EXPORT int SHIM(SYM(ev))(const bool *upper, const int64_t *n, const Numbers *a, SHIM(Spectrum) * out) {
    if (!is_matrix(*n, *n, a->length) || out->values.length != *n || out->vectors.length != a->length)
        return WELD_CALL_SIZES;
    if (!SHIM(is_finite)(a)) return WELD_CALL_DOMAIN;
    if (*n == 0) return WELD_CALL_DONE;
    SHIM(copy_into)(a, &out->vectors);
    return converged(LAPACK(SYM(ev))(LAPACK_ROW_MAJOR, 'V', uplo(*upper), (int)*n, out->vectors.data, (int)*n,
                                     out->values.data));
}

typedef struct SHIM(Singular) {
    Numbers u;
    Reals s;
    Numbers vt;
} SHIM(Singular);

static int SHIM(begin_singular)(int64_t m, int64_t n, const Numbers *a, const SHIM(Singular) * out) {
    int64_t k = m < n ? m : n;
    if (!is_matrix(m, n, a->length)) return WELD_CALL_SIZES;
    if (out->u.length != m * k || out->s.length != k || out->vt.length != k * n) return WELD_CALL_SIZES;
    return SHIM(is_finite)(a) ? WELD_CALL_DONE : WELD_CALL_DOMAIN;
}

EXPORT int SHIM(gesvd)(const int64_t *m, const int64_t *n, const Numbers *a, SHIM(Singular) * out) {
    int64_t k = *m < *n ? *m : *n;
    int status = SHIM(begin_singular)(*m, *n, a, out);
    if (status != WELD_CALL_DONE || a->length == 0) return status;
    NUMBER *work = SHIM(copy_of)(a);
    REAL *super = malloc((size_t)k * sizeof *super);
    status = WELD_CALL_NO_MEMORY;
    if (work && super)
        status = converged(LAPACK(gesvd)(LAPACK_ROW_MAJOR, 'S', 'S', (int)*m, (int)*n, work, (int)*n,
                                         out->s.data, out->u.data, (int)k, out->vt.data, (int)*n, super));
    free(work);
    free(super);
    return status;
}

/* The same by dividing and conquering. */
EXPORT int SHIM(gesdd)(const int64_t *m, const int64_t *n, const Numbers *a, SHIM(Singular) * out) {
    int64_t k = *m < *n ? *m : *n;
    int status = SHIM(begin_singular)(*m, *n, a, out);
    if (status != WELD_CALL_DONE || a->length == 0) return status;
    NUMBER *work = SHIM(copy_of)(a);
    if (!work) return WELD_CALL_NO_MEMORY;
    status = converged(LAPACK(gesdd)(LAPACK_ROW_MAJOR, 'S', (int)*m, (int)*n, work, (int)*n, out->s.data,
                                     out->u.data, (int)k, out->vt.data, (int)*n));
    free(work);
    return status;
}
