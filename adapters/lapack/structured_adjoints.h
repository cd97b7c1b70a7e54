/* structured_adjoints.h: the derivatives of structured_rows.h, of eigenvalues and of least squares, by the texts of adjoints.h.
 *
 * Eigenvectors: Giles, as there. Where two eigenvalues are equal, those of their vectors do not exist: they count as 0.
 * Least squares: Golub and Pereyra, The differentiation of pseudo-inverses .., SIAM J. Numer. Anal. 10, 1973; the rank has to
 * stay what it is. With + the pseudo-inverse, X = A+ B and the adjoint G of X:
 *
 *     B' = S = A+' G      A' = -S X' + (B - A X) (A+ S)' + (A+' X) (G - A+ A G)'
 */
/* clang-format off */
/* Row i of s times row j of the solutions r, of as many columns as there are right sides. */
#define ROWS(i, j)                                                                                           \
    "result(for(rangeiter(0L, nrhs, 1L), merger[" T ", +], |b3, i3, c3| "                                    \
    "merge(b3, lookup(s, (" i ") * nrhs + c3) * lookup(r, (" j ") * nrhs + c3))))"
#define EACH(n, element) "result(for(rangeiter(0L, " n ", 1L), appender[" T "], |b2, i2, i| merge(b2, " element ")))"
#define VJP_trtrs \
    "|upper, transposed, unit, n, nrhs, a, b, r, g| let s = lapack." P "trtrs(upper, !transposed, unit, n, nrhs, a, g); {" \
    SQUARE("if(" READ " && !(unit && i == j), -if(transposed, " ROWS("j", "i") ", " ROWS("i", "j") "), " ZERO ")") ", s}"
#define VJP_sysv \
    "|upper, n, nrhs, a, b, r, g| let s = lapack." P "sysv(upper, n, nrhs, a, g); " \
    "let w = " PRODUCT("false", "true", "n", "n", "nrhs", "-" ONE, "s", "r") "; {" FOLDED("w") ", s}"
#define VJP_gtsv \
    "|n, nrhs, below, diagonal, above, b, r, g| let s = lapack." P "gtsv(n, nrhs, above, diagonal, below, g); {" \
    EACH("len(below)", "-" ROWS("i + 1L", "i")) ", " EACH("n", "-" ROWS("i", "i")) ", " \
    EACH("len(above)", "-" ROWS("i", "i + 1L")) ", s}"
#define VJP_ptsv \
    "|n, nrhs, diagonal, beside, b, r, g| let s = lapack." P "ptsv(n, nrhs, diagonal, beside, g); {" \
    EACH("n", "-" ROWS("i", "i")) ", " EACH("len(beside)", "-(" ROWS("i + 1L", "i") " + " ROWS("i", "i + 1L") ")") ", s}"
#define VJP_pbsv \
    "|upper, n, k, nrhs, a, b, r, g| let s = lapack." P "pbsv(upper, n, k, nrhs, a, g); {" \
    "result(for(rangeiter(0L, n, 1L), appender[" T "], |b1, i1, i| for(rangeiter(0L, k + 1L, 1L), b1, |b2, i2, c| " \
    "let j = i + c - select(upper, 0L, k); merge(b2, if(j < 0L || j >= n, " ZERO ", " \
    "if(i == j, -" ROWS("i", "i") ", -(" ROWS("i", "j") " + " ROWS("j", "i") ")))))))" ", s}"
#define TURNED_BAND                                                                                         \
    "result(for(rangeiter(0L, n, 1L), appender[" T "], |b1, i1, i| for(rangeiter(0L, lower + upper + 1L, 1L), b1, |b2, i2, c| " \
    "let j = i + c - upper; merge(b2, if(j < 0L || j >= n, " ZERO ", lookup(a, j * (lower + upper + 1L) + i - j + lower))))))"
#define VJP_gbsv                                                                                            \
    "|n, lower, upper, nrhs, a, b, r, g| let s = lapack." P "gbsv(n, upper, lower, nrhs, " TURNED_BAND ", g); {" \
    "result(for(rangeiter(0L, n, 1L), appender[" T "], |b1, i1, i| for(rangeiter(0L, lower + upper + 1L, 1L), b1, |b2, i2, c| " \
    "let j = i + c - lower; merge(b2, if(j < 0L || j >= n, " ZERO ", -" ROWS("i", "j") ")))))" ", s}"
#define VJP_ppsv                                                                                            \
    "|upper, n, nrhs, a, b, r, g| let s = lapack." P "ppsv(upper, n, nrhs, a, g); {"                        \
    "result(for(rangeiter(0L, n, 1L), appender[" T "], |b1, i1, i| "                                        \
    "for(rangeiter(select(upper, i, 0L), select(upper, n, i + 1L), 1L), b1, |b2, i2, j| "                   \
    "merge(b2, if(i == j, -" ROWS("i", "i") ", -(" ROWS("i", "j") " + " ROWS("j", "i") "))))))" ", s}"

/* `solve` is A+ times y, and `turned` A+' times y, A of p rows and q columns, or of as many as its transpose. */
#define FITTED(ta, p, q, y) "cblas." P "gemm(" ta ", false, " p ", nrhs, " q ", " ONE ", a, " y ", " ZERO ", " NONE_OF ")"
#define NONE_OF "slice(a, 0L, 0L)"
#define LEAST(x, gx, p, q, ta, solve, turned)                                                               \
    "let s = " turned(gx) "; let v = " solve("s") "; let w = " turned(x) "; "                               \
    "let h = " FITTED(ta, p, q, x) "; let rest = map(zip(b, h), |e| e.$0 - e.$1); "                         \
    "let d = " FITTED(ta, p, q, gx) "; let f = " solve("d") "; let o = map(zip(" gx ", f), |e| e.$0 - e.$1); "
/* The sum of three products, of which the first is subtracted. */
#define SUM_OF(m, n, a1, b1, a2, b2, a3, b3, begin)                                                         \
    "cblas." P "gemm(false, true, " m ", " n ", nrhs, " ONE ", " a3 ", " b3 ", " ONE ", "                   \
    "cblas." P "gemm(false, true, " m ", " n ", nrhs, " ONE ", " a2 ", " b2 ", " ONE ", "                   \
    "cblas." P "gemm(false, true, " m ", " n ", nrhs, -" ONE ", " a1 ", " b1 ", " begin ")))"
#define GELS(y) "lapack." P "gels(transposed, m, n, nrhs, a, " y ")"
#define GELS_TURNED(y) "lapack." P "gels(!transposed, m, n, nrhs, a, " y ")"
#define VJP_gels                                                                                            \
    "|transposed, m, n, nrhs, a, b, r, g| let p = select(transposed, n, m); let q = select(transposed, m, n); " \
    LEAST("r", "g", "p", "q", "transposed", GELS, GELS_TURNED)                                              \
    "{if(transposed, " SUM_OF("m", "n", "r", "s", "v", "rest", "o", "w", ZERO ", " NONE_OF) ", "            \
    SUM_OF("m", "n", "s", "r", "rest", "v", "w", "o", ZERO ", " NONE_OF) "), s}"
#define ANY_RANK(name, y) "lapack." P name "(m, n, nrhs, rcond, a, " y ").$0"
#define ANY_RANK_TURNED(name, y) "lapack." P name "(n, m, nrhs, rcond, turned, " y ").$0"
#define GELSD(y) ANY_RANK("gelsd", y)
#define GELSD_TURNED(y) ANY_RANK_TURNED("gelsd", y)
#define GELSS(y) ANY_RANK("gelss", y)
#define GELSS_TURNED(y) ANY_RANK_TURNED("gelss", y)
#define GELSY(y) ANY_RANK("gelsy", y)
#define GELSY_TURNED(y) ANY_RANK_TURNED("gelsy", y)
#define TURNED_A                                                                                            \
    "let turned = result(for(rangeiter(0L, m * n, 1L), appender[" T "], |b0, i0, at| "                      \
    "merge(b0, lookup(a, at % m * n + at / m)))); "
/* The singular values' part of A' is U times their adjoints times V'. */
#define OF_VALUES                                                                                           \
    "let k = min(m, n); let usv = lapack." P "gesvd(m, n, a); "                                             \
    "let us = map(zip(usv.$0, result(for(rangeiter(0L, m, 1L), appender[" T "], |b0, i0, i| "               \
    "for(g.$1, b0, |b1, i1, e| merge(b1, e))))), |e| e.$0 * e.$1); "                                        \
    "let begin = " PRODUCT_OF("m", "n", "k", "us", "usv.$2") "; "
#define PRODUCT_OF(m, n, k, a, b) \
    "cblas." P "gemm(false, false, " m ", " n ", " k ", " ONE ", " a ", " b ", " ZERO ", slice(" a ", 0L, 0L))"
#define VJP_WITH_VALUES(solve, turned)                                                                      \
    "|m, n, nrhs, rcond, a, b, r, g| " TURNED_A LEAST("r.$0", "g.$0", "m", "n", "false", solve, turned) OF_VALUES \
    "{" ZERO ", " SUM_OF("m", "n", "s", "r.$0", "rest", "v", "w", "o", ONE ", begin") ", s}"
#define VJP_gelsd VJP_WITH_VALUES(GELSD, GELSD_TURNED)
#define VJP_gelss VJP_WITH_VALUES(GELSS, GELSS_TURNED)
#define VJP_gelsy                                                                                           \
    "|m, n, nrhs, rcond, a, b, r, g| " TURNED_A LEAST("r.$0", "g.$0", "m", "n", "false", GELSY, GELSY_TURNED) \
    "{" ZERO ", " SUM_OF("m", "n", "s", "r.$0", "rest", "v", "w", "o", ZERO ", " NONE_OF) ", s}"

/* With M = V' times the adjoint of V: what stands between V and V'; the columns times `factor` of column j. */
#define BETWEEN(factor, more)                                                                               \
    SQUARE("if(i == j, lookup(g.$0, i) * " factor " + " more ", if(lookup(r.$0, i) == lookup(r.$0, j), " ZERO ", " \
           "lookup(mm, at) / (lookup(r.$0, j) - lookup(r.$0, i)) * " factor "))")
#define EIGEN_LET "let v = r.$1; let mm = cblas." P "gemm(true, false, n, n, n, " ONE ", v, g.$1, " ZERO ", slice(v, 0L, 0L)); "
#define AROUND(sign, w)                                                                                     \
    "cblas." P "gemm(false, true, n, n, n, " sign ONE ", " PRODUCT_OF("n", "n", "n", "v", w) ", v, " ZERO ", slice(v, 0L, 0L))"
#define VJP_syev                                                                                            \
    "|upper, n, a, r, g| " EIGEN_LET "let c = " BETWEEN(ONE, ZERO) "; let w = " AROUND("", "c") "; " FOLDED("w")
#define VJP_sygv                                                                                            \
    "|upper, n, a, b, r, g| " EIGEN_LET "let c = " BETWEEN(ONE, ZERO) "; let w = " AROUND("", "c") "; "      \
    "let e = " BETWEEN("lookup(r.$0, j)", "lookup(mm, at) / 2.0" Z) "; let u = " AROUND("-", "e") "; "       \
    "{" FOLDED("w") ", " FOLDED("u") "}"
/* clang-format on */
