/* structured_rows.h: the rows of structured.h and their derivatives; included like rows.h. */
/* clang-format off */
#define VEC "vec[" T "]"
#define CALL(name, type, size) "@(pure: true, threadsafe: true)cfill[weld_lapack_" P name ", " type "](" size ", "
#define LAPACKE(name, parameters) "lapack_int LAPACKE_" P name "(int layout, " parameters ")"
/* Row i of s times row j of the solutions r, of as many columns as there are right sides. */
#define ROWS(i, j)                                                                                           \
    "result(for(rangeiter(0L, nrhs, 1L), merger[" T ", +], |b3, i3, c3| "                                    \
    "merge(b3, lookup(s, (" i ") * nrhs + c3) * lookup(r, (" j ") * nrhs + c3))))"
#define EACH(n, element) "result(for(rangeiter(0L, " n ", 1L), appender[" T "], |b2, i2, i| merge(b2, " element ")))"
{P "trtrs", LAPACKE("trtrs", "uplo, trans, diag, n, nrhs, const " C " *a, lda, " C " *b, ldb"), NULL,
 "|upper: bool, transposed: bool, unit: bool, n: i64, nrhs: i64, a: " VEC ", b: " VEC "| "
 CALL("trtrs", VEC, "n * nrhs") "upper, transposed, unit, n, nrhs, a, b)",
 "|upper, transposed, unit, n, nrhs, a, b, r, g| let s = lapack." P "trtrs(upper, !transposed, unit, n, nrhs, a, g); {"
 SQUARE("if(" READ " && !(unit && i == j), -if(transposed, " ROWS("j", "i") ", " ROWS("i", "j") "), " ZERO ")") ", s}",
 "the X of A X = B, A triangular, or transposed"},
{P "sysv", LAPACKE("sysv", "uplo, n, nrhs, " C " *a, lda, ipiv, " C " *b, ldb"), NULL,
 "|upper: bool, n: i64, nrhs: i64, a: " VEC ", b: " VEC "| " CALL("sysv", VEC, "n * nrhs") "upper, n, nrhs, a, b)",
 "|upper, n, nrhs, a, b, r, g| let s = lapack." P "sysv(upper, n, nrhs, a, g); "
 "let w = " PRODUCT("false", "true", "n", "n", "nrhs", "-" ONE, "s", "r") "; {" FOLDED("w") ", s}",
 "the X of A X = B, A symmetric, of which one triangle is read"},
{P "gtsv", LAPACKE("gtsv", "n, nrhs, " C " *dl, " C " *d, " C " *du, " C " *b, ldb"), NULL,
 "|n: i64, nrhs: i64, below: " VEC ", diagonal: " VEC ", above: " VEC ", b: " VEC "| "
 CALL("gtsv", VEC, "n * nrhs") "n, nrhs, below, diagonal, above, b)",
 "|n, nrhs, below, diagonal, above, b, r, g| let s = lapack." P "gtsv(n, nrhs, above, diagonal, below, g); {"
 EACH("len(below)", "-" ROWS("i + 1L", "i")) ", " EACH("n", "-" ROWS("i", "i")) ", "
 EACH("len(above)", "-" ROWS("i", "i + 1L")) ", s}",
 "the X of A X = B, A tridiagonal: what is below the diagonal, on it and above"},
{P "ptsv", LAPACKE("ptsv", "n, nrhs, " C " *d, " C " *e, " C " *b, ldb"), NULL,
 "|n: i64, nrhs: i64, diagonal: " VEC ", beside: " VEC ", b: " VEC "| "
 CALL("ptsv", VEC, "n * nrhs") "n, nrhs, diagonal, beside, b)",
 "|n, nrhs, diagonal, beside, b, r, g| let s = lapack." P "ptsv(n, nrhs, diagonal, beside, g); {"
 EACH("n", "-" ROWS("i", "i")) ", " EACH("len(beside)", "-(" ROWS("i + 1L", "i") " + " ROWS("i", "i + 1L") ")") ", s}",
 "the X of A X = B, A tridiagonal, symmetric and positive definite"},
{P "gbsv", LAPACKE("gbsv", "n, kl, ku, nrhs, " C " *ab, ldab, ipiv, " C " *b, ldb"), NULL,
 "|n: i64, lower: i64, upper: i64, nrhs: i64, a: " VEC ", b: " VEC "| "
 CALL("gbsv", VEC, "n * nrhs") "n, lower, upper, nrhs, a, b)", NULL,
 "the X of A X = B, A banded as for cblas.gbmv"},
{P "pbsv", LAPACKE("pbsv", "uplo, n, kd, nrhs, " C " *ab, ldab, " C " *b, ldb"), NULL,
 "|upper: bool, n: i64, k: i64, nrhs: i64, a: " VEC ", b: " VEC "| "
 CALL("pbsv", VEC, "n * nrhs") "upper, n, k, nrhs, a, b)",
 "|upper, n, k, nrhs, a, b, r, g| let s = lapack." P "pbsv(upper, n, k, nrhs, a, g); {"
 "result(for(rangeiter(0L, n, 1L), appender[" T "], |b1, i1, i| for(rangeiter(0L, k + 1L, 1L), b1, |b2, i2, c| "
 "let j = i + c - select(upper, 0L, k); merge(b2, if(j < 0L || j >= n, " ZERO ", "
 "if(i == j, -" ROWS("i", "i") ", -(" ROWS("i", "j") " + " ROWS("j", "i") ")))))))" ", s}",
 "the X of A X = B, A positive definite and banded as for cblas.sbmv"},
{P "gelsd", LAPACKE("gelsd", "m, n, nrhs, " C " *a, lda, " C " *b, ldb, " C " *s, " C " rcond, rank"), NULL,
 "|m: i64, n: i64, nrhs: i64, rcond: " T ", a: " VEC ", b: " VEC "| "
 CALL("gelsd", "{" VEC ", " VEC "}", "{n * nrhs, min(m, n)}") "m, n, nrhs, rcond, a, b)", NULL,
 "{X, s}: the least X that makes |A X - B| least, A of any rank, and A's singular values; below rcond of the first they are 0"},
{P "sygv", LAPACKE("sygv", "itype, jobz, uplo, n, " C " *a, lda, " C " *b, ldb, " C " *w"), NULL,
 "|upper: bool, n: i64, a: " VEC ", b: " VEC "| " CALL("sygv", "{" VEC ", " VEC "}", "{n, n * n}") "upper, n, a, b)", NULL,
 "{values, vectors}: the eigenvalues w of A x = w B x, rising, and x as columns, A symmetric, B positive definite"},
#undef VEC
#undef CALL
#undef LAPACKE
#undef ROWS
#undef EACH
    /* clang-format on */
