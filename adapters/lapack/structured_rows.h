/* structured_rows.h: the rows of structured.h and their derivatives; included like rows.h. */
/* clang-format off */
#define VEC "vec[" E "]"
#define REALS_ "vec[" T "]"
#define CALL(name, type, size) "@(pure: true, threadsafe: true)cfill[weld_lapack_" P name ", " type "](" size ", "
#define LAPACKE(name, parameters) "lapack_int LAPACKE_" P name "(int layout, " parameters ")"
{P "trtrs", LAPACKE("trtrs", "uplo, trans, diag, n, nrhs, const " C " *a, lda, " C " *b, ldb"), NULL,
 "|upper: bool, " FLAGS ", unit: bool, n: i64, nrhs: i64, a: " VEC ", b: " VEC "| "
 CALL("trtrs", VEC, "n * nrhs") "upper, " FLAG_NAMES ", unit, n, nrhs, a, b)",
 VJP(trtrs),
 "the X of A X = B, A triangular, or transposed"},
{P "sysv", LAPACKE("sysv", "uplo, n, nrhs, " C " *a, lda, ipiv, " C " *b, ldb"), NULL,
 "|upper: bool, n: i64, nrhs: i64, a: " VEC ", b: " VEC "| " CALL("sysv", VEC, "n * nrhs") "upper, n, nrhs, a, b)",
 VJP(sysv),
 "the X of A X = B, A symmetric, of which one triangle is read"},
#if COMPLEX
{P "hesv", LAPACKE("hesv", "uplo, n, nrhs, " C " *a, lda, ipiv, " C " *b, ldb"), NULL,
 "|upper: bool, n: i64, nrhs: i64, a: " VEC ", b: " VEC "| " CALL("hesv", VEC, "n * nrhs") "upper, n, nrhs, a, b)",
 VJP(hesv), "the X of A X = B, A Hermitian, of which one triangle is read"},
#endif
{P "gtsv", LAPACKE("gtsv", "n, nrhs, " C " *dl, " C " *d, " C " *du, " C " *b, ldb"), NULL,
 "|n: i64, nrhs: i64, below: " VEC ", diagonal: " VEC ", above: " VEC ", b: " VEC "| "
 CALL("gtsv", VEC, "n * nrhs") "n, nrhs, below, diagonal, above, b)",
 VJP(gtsv),
 "the X of A X = B, A tridiagonal: what is below the diagonal, on it and above"},
{P "ptsv", LAPACKE("ptsv", "n, nrhs, " C " *d, " C " *e, " C " *b, ldb"), NULL,
 "|n: i64, nrhs: i64, diagonal: " REALS_ ", beside: " VEC ", b: " VEC "| "
 CALL("ptsv", VEC, "n * nrhs") "n, nrhs, diagonal, beside, b)",
 VJP(ptsv),
 "the X of A X = B, A tridiagonal, symmetric and positive definite"},
{P "gbsv", LAPACKE("gbsv", "n, kl, ku, nrhs, " C " *ab, ldab, ipiv, " C " *b, ldb"), NULL,
 "|n: i64, lower: i64, upper: i64, nrhs: i64, a: " VEC ", b: " VEC "| "
 CALL("gbsv", VEC, "n * nrhs") "n, lower, upper, nrhs, a, b)", VJP(gbsv),
 "the X of A X = B, A banded as for cblas.gbmv"},
{P "pbsv", LAPACKE("pbsv", "uplo, n, kd, nrhs, " C " *ab, ldab, " C " *b, ldb"), NULL,
 "|upper: bool, n: i64, k: i64, nrhs: i64, a: " VEC ", b: " VEC "| "
 CALL("pbsv", VEC, "n * nrhs") "upper, n, k, nrhs, a, b)",
 VJP(pbsv),
 "the X of A X = B, A positive definite and banded as for cblas.sbmv"},
{P "ppsv", LAPACKE("ppsv", "uplo, n, nrhs, " C " *ap, " C " *b, ldb"), NULL,
 "|upper: bool, n: i64, nrhs: i64, a: " VEC ", b: " VEC "| " CALL("ppsv", VEC, "n * nrhs") "upper, n, nrhs, a, b)",
 VJP(ppsv), "the X of A X = B, A positive definite, of which one triangle is given, packed row by row"},
{P "gelsd", LAPACKE("gelsd", "m, n, nrhs, " C " *a, lda, " C " *b, ldb, " C " *s, " C " rcond, rank"), NULL,
 "|m: i64, n: i64, nrhs: i64, rcond: " T ", a: " VEC ", b: " VEC "| "
 CALL("gelsd", "{" VEC ", " REALS_ "}", "{n * nrhs, min(m, n)}") "m, n, nrhs, rcond, a, b)", VJP(gelsd),
 "{X, s}: the least X that makes |A X - B| least, A of any rank, and A's singular values; below rcond of the first they are 0"},
{P "gelss", LAPACKE("gelss", "m, n, nrhs, " C " *a, lda, " C " *b, ldb, " C " *s, " C " rcond, rank"), NULL,
 "|m: i64, n: i64, nrhs: i64, rcond: " T ", a: " VEC ", b: " VEC "| "
 CALL("gelss", "{" VEC ", " REALS_ "}", "{n * nrhs, min(m, n)}") "m, n, nrhs, rcond, a, b)", VJP(gelss),
 "the same as gelsd, by another method"},
{P "gelsy", LAPACKE("gelsy", "m, n, nrhs, " C " *a, lda, " C " *b, ldb, jpvt, " C " rcond, rank"), NULL,
 "|m: i64, n: i64, nrhs: i64, rcond: " T ", a: " VEC ", b: " VEC "| "
 CALL("gelsy", "{" VEC ", i64}", "n * nrhs") "m, n, nrhs, rcond, a, b)", VJP(gelsy),
 "{X, rank}: the least X that makes |A X - B| least, and A's rank where what is below rcond counts as 0"},
{P SY "gv", LAPACKE(SY "gv", "itype, jobz, uplo, n, " C " *a, lda, " C " *b, ldb, " C " *w"), NULL,
 "|upper: bool, n: i64, a: " VEC ", b: " VEC "| " CALL(SY "gv", "{" REALS_ ", " VEC "}", "{n, n * n}") "upper, n, a, b)", VJP(sygv),
 "{values, vectors}: the eigenvalues w of A x = w B x, rising, and x as columns, A symmetric or Hermitian, B positive definite"},
#undef VEC
#undef REALS_
#undef CALL
#undef LAPACKE
    /* clang-format on */
