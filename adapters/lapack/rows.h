/* rows.h: the rows of one precision, with P its letter, T the type of its reals here and C in C, E that of its numbers; SY and OR
 * are how names of symmetric and of orthogonal matrices begin ("he", "un" of complex numbers); FLAGS and FLAG_NAMES say whether
 * a matrix is transposed. */
/* clang-format off */
#define VEC "vec[" E "]"
#define REALS_ "vec[" T "]"
#define CALL(name, type, size) "@(pure: true, threadsafe: true)cfill[weld_lapack_" P name ", " type "](" size ", "
#define LAPACKE(name, parameters) "lapack_int LAPACKE_" P name "(int layout, " parameters ")"
{P "gesv", LAPACKE("gesv", "n, nrhs, " C " *a, lda, ipiv, " C " *b, ldb"), NULL,
 "|n: i64, nrhs: i64, a: " VEC ", b: " VEC "| " CALL("gesv", VEC, "n * nrhs") "n, nrhs, a, b)",
 VJP(gesv), "the X of A X = B, A of n rows, B of nrhs columns"},
{P "getrf", LAPACKE("getrf", "m, n, " C " *a, lda, ipiv"), NULL,
 "|m: i64, n: i64, a: " VEC "| " CALL("getrf", "{" VEC ", vec[i32]}", "{m * n, min(m, n)}") "m, n, a)",
 NULL, "{LU, pivots}: the triangular factors of A in one matrix, and the rows exchanged, from 1"},
{P "getrs", LAPACKE("getrs", "trans, n, nrhs, const " C " *a, lda, ipiv, " C " *b, ldb"), NULL,
 "|" FLAGS ", n: i64, nrhs: i64, lu: " VEC ", pivots: vec[i32], b: " VEC "| "
 CALL("getrs", VEC, "n * nrhs") FLAG_NAMES ", n, nrhs, lu, pivots, b)",
 VJP(getrs), "the X of A X = B, A by its factors from getrf, or transposed"},
{P "getri", LAPACKE("getri", "n, " C " *a, lda, const ipiv"), NULL,
 "|n: i64, lu: " VEC ", pivots: vec[i32]| " CALL("getri", VEC, "n * n") "n, lu, pivots)",
 NULL, "the inverse of A by its factors from getrf"},
{P "inv", LAPACKE("getri", "n, " C " *a, lda, ipiv"), NULL,
 "|n: i64, a: " VEC "| " CALL("inv", VEC, "n * n") "n, a)", VJP(inv), "the inverse"},
{P "det", LAPACKE("getrf", "m, n, " C " *a, lda, ipiv"), NULL,
 "|n: i64, a: " VEC "| " CALL("det", E, "{}") "n, a)", VJP(det), "the determinant; 0 of a singular matrix, 1 of none"},
{P "potrf", LAPACKE("potrf", "uplo, n, " C " *a, lda"), NULL,
 "|upper: bool, n: i64, a: " VEC "| " CALL("potrf", VEC, "n * n") "upper, n, a)",
 VJP(potrf), "Cholesky's factor of a positive definite A, of which one triangle is read; the other one is 0"},
{P "potrs", LAPACKE("potrs", "uplo, n, nrhs, const " C " *a, lda, " C " *b, ldb"), NULL,
 "|upper: bool, n: i64, nrhs: i64, factor: " VEC ", b: " VEC "| "
 CALL("potrs", VEC, "n * nrhs") "upper, n, nrhs, factor, b)",
 VJP(potrs), "the X of A X = B, A by its factor from potrf"},
{P "potri", LAPACKE("potri", "uplo, n, " C " *a, lda"), NULL,
 "|upper: bool, n: i64, factor: " VEC "| " CALL("potri", VEC, "n * n") "upper, n, factor)",
 NULL, "one triangle of the inverse of A by its factor from potrf; the other one is 0"},
{P "posv", LAPACKE("posv", "uplo, n, nrhs, " C " *a, lda, " C " *b, ldb"), NULL,
 "|upper: bool, n: i64, nrhs: i64, a: " VEC ", b: " VEC "| " CALL("posv", VEC, "n * nrhs") "upper, n, nrhs, a, b)",
 VJP(posv), "the X of A X = B, A positive definite, of which one triangle is read"},
{P "geqrf", LAPACKE("geqrf", "m, n, " C " *a, lda, " C " *tau"), NULL,
 "|m: i64, n: i64, a: " VEC "| " CALL("geqrf", "{" VEC ", " VEC "}", "{m * n, min(m, n)}") "m, n, a)",
 NULL, "{A, tau}: R in the upper triangle, below it and in tau what orgqr (ungqr) makes Q of"},
{P OR "gqr", LAPACKE(OR "gqr", "m, n, k, " C " *a, lda, const " C " *tau"), NULL,
 "|m: i64, n: i64, k: i64, a: " VEC ", tau: " VEC "| " CALL(OR "gqr", VEC, "m * n") "m, n, k, a, tau)",
 NULL, "the first n columns of Q, of m rows, from the k reflections of geqrf"},
{P "qr", LAPACKE("geqrf", "m, n, " C " *a, lda, " C " *tau"), NULL,
 "|m: i64, n: i64, a: " VEC "| let k = min(m, n); "
 CALL("qr", "{" VEC ", " VEC "}", "{m * k, k * n}") "m, n, a)",
 NULL, "{Q, R}: A = Q R, Q of k = min(m, n) orthonormal columns, R of k rows"},
{P "gels", LAPACKE("gels", "trans, m, n, nrhs, " C " *a, lda, " C " *b, ldb"), NULL,
 "|transposed: bool, m: i64, n: i64, nrhs: i64, a: " VEC ", b: " VEC "| "
 CALL("gels", VEC, "select(transposed, m, n) * nrhs") "transposed, m, n, nrhs, a, b)",
 VJP(gels), "the X that makes |A X - B| least, or the least X where many solve it, A of full rank or transposed"},
{P SY "ev", LAPACKE(SY "ev", "jobz, uplo, n, " C " *a, lda, " C " *w"), NULL,
 "|upper: bool, n: i64, a: " VEC "| " CALL(SY "ev", "{" REALS_ ", " VEC "}", "{n, n * n}") "upper, n, a)",
 VJP(syev), "{values, vectors}: the eigenvalues, rising, and eigenvectors, as columns, of a symmetric or Hermitian A"},
#if COMPLEX
{P "geev", LAPACKE("geev", "jobvl, jobvr, n, a, lda, w, vl, ldvl, vr, ldvr"), NULL,
 "|n: i64, a: " VEC "| " CALL("geev", "{" VEC ", " VEC "}", "{n, n * n}") "n, a)",
 NULL, "{values, vectors}: the eigenvalues and right eigenvectors, as columns"},
#else
{P "geev", LAPACKE("geev", "jobvl, jobvr, n, " C " *a, lda, " C " *wr, " C " *wi, vl, ldvl, " C " *vr, ldvr"), NULL,
 "|n: i64, a: " VEC "| " CALL("geev", "{" VEC ", " VEC ", " VEC "}", "{n, n, n * n}") "n, a)",
 NULL, "{real, imaginary, vectors}: the eigenvalues and right eigenvectors, packed as LAPACK does"},
#endif
{P "gesvd", LAPACKE("gesvd", "jobu, jobvt, m, n, " C " *a, lda, " C " *s, " C " *u, ldu, " C " *vt, ldvt, superb"), NULL,
 "|m: i64, n: i64, a: " VEC "| let k = min(m, n); "
 CALL("gesvd", "{" VEC ", " REALS_ ", " VEC "}", "{m * k, k, k * n}") "m, n, a)",
 NULL, "{U, s, V'}: the singular values, falling, U of k = min(m, n) columns, V' of k rows"},
{P "gesdd", LAPACKE("gesdd", "jobz, m, n, " C " *a, lda, " C " *s, " C " *u, ldu, " C " *vt, ldvt"), NULL,
 "|m: i64, n: i64, a: " VEC "| let k = min(m, n); "
 CALL("gesdd", "{" VEC ", " REALS_ ", " VEC "}", "{m * k, k, k * n}") "m, n, a)",
 NULL, "the same as gesvd, faster where the matrix is large"},
#undef VEC
#undef REALS_
#undef CALL
#undef LAPACKE
    /* clang-format on */
