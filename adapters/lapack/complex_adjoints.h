/* complex_adjoints.h: the derivatives of the rows of complex numbers; adjoint and conjugates as in cblas/complex_adjoints.h.
 *
 *     X = A^-1 B with the adjoint G of X:     B' = S = A*^-1 G     A' = -S X*         (where * transposes and conjugates)
 */
/* clang-format off */
#define C_LET                                                                                                \
    "let flip = |e| {e.$0, -e.$1}; let bar = |v| map(v, |e| {e.$0, -e.$1}); "                                \
    "let plus = |p, q| {p.$0 + q.$0, p.$1 + q.$1}; "                                                         \
    "let times = |p, q| {p.$0 * q.$0 - p.$1 * q.$1, p.$0 * q.$1 + p.$1 * q.$0}; "
#define C_ZERO "{0.0" Z ", 0.0" Z "}"
#define C_ONE "{1.0" Z ", 0.0" Z "}"
#define C_MINUS "{-1.0" Z ", 0.0" Z "}"
#define C_SQUARE(element)                                                                                    \
    "result(for(rangeiter(0L, n * n, 1L), appender[{" T ", " T "}], |b0, i0, at| "                           \
    "let i = at / n; let j = at % n; merge(b0, " element ")))"
/* -S X*. */
#define C_OUTER "cblas." P "gemm(false, false, true, true, n, n, nrhs, " C_MINUS ", s, r, " C_ZERO ", slice(r, 0L, 0L))"
#define C_HERMITIAN                                                                                          \
    C_SQUARE("let e = lookup(w, at); if(i == j, {e.$0, 0.0" Z "}, if(" READ ", plus(e, flip(lookup(w, j * n + i))), " C_ZERO "))")
#define C_SYMMETRIC C_SQUARE("if(i == j, lookup(w, at), if(" READ ", plus(lookup(w, at), lookup(w, j * n + i)), " C_ZERO "))")

#define VJP_C_gesv                                                                                           \
    "|n, nrhs, a, b, r, g| " C_LET "let s = lapack." P "gesv(n, nrhs, " C_SQUARE("flip(lookup(a, j * n + i))") ", g); {" C_OUTER ", s}"
#define VJP_C_getrs                                                                                          \
    "|transposed, conjugated, n, nrhs, lu, pivots, b, r, g| " C_LET "let t = transposed && !conjugated; "    \
    "let s = lapack." P "getrs(!transposed, true, n, nrhs, lu, pivots, if(t, bar(g), g)); {{}, if(t, bar(s), s)}"
#define VJP_C_inv                                                                                            \
    "|n, a, r, g| let w = cblas." P "gemm(true, true, false, false, n, n, n, " C_MINUS ", r, g, " C_ZERO ", slice(r, 0L, 0L)); " \
    "cblas." P "gemm(false, false, true, true, n, n, n, " C_ONE ", w, r, " C_ZERO ", slice(r, 0L, 0L))"
#define VJP_C_det                                                                                            \
    "|n, a, r, g| " C_LET "let w = lapack." P "inv(n, a); let h = times(g, flip(r)); "                       \
    C_SQUARE("times(h, flip(lookup(w, j * n + i)))")
#define C_SOLVED(name)                                                                                       \
    "|upper, n, nrhs, a, b, r, g| " C_LET "let s = lapack." P name "(upper, n, nrhs, a, g); "                \
    "let w = " C_OUTER "; {" C_HERMITIAN ", s}"
#define VJP_C_posv C_SOLVED("posv")
#define VJP_C_hesv C_SOLVED("hesv")
#define VJP_C_sysv                                                                                           \
    "|upper, n, nrhs, a, b, r, g| " C_LET "let s = bar(lapack." P "sysv(upper, n, nrhs, a, bar(g))); "       \
    "let w = " C_OUTER "; {" C_SYMMETRIC ", s}"
/* What a product of two matrices of complex numbers is, each as it is or conjugated and transposed ("true"). */
#define C_PRODUCT(ta, tb, m, n, k, alpha, a, b)                                                              \
    "cblas." P "gemm(" ta ", " ta ", " tb ", " tb ", " m ", " n ", " k ", " alpha ", " a ", " b ", " C_ZERO ", slice(" a ", 0L, 0L))"
#define C_ONE_TRIANGLE(a) C_SQUARE("if(" READ ", lookup(" a ", at), " C_ZERO ")")
/* In the real rules nothing is conjugated: they are for the conjugates of g, and their answers are conjugated. */
#define C_ROWS(i, j)                                                                                         \
    "result(for(rangeiter(0L, nrhs, 1L), merger[{" T ", " T "}, +], |b3, i3, c3| "                           \
    "merge(b3, times(lookup(s, (" i ") * nrhs + c3), lookup(r, (" j ") * nrhs + c3)))))"
#define C_NEGATIVE(x) "(let x9 = " x "; {-x9.$0, x9.$1})" /* and conjugated */
#define C_EACH(n, element) "result(for(rangeiter(0L, " n ", 1L), appender[{" T ", " T "}], |b2, i2, i| merge(b2, " element ")))"
#define VJP_C_trtrs                                                                                          \
    "|upper, transposed, conjugated, unit, n, nrhs, a, b, r, g| " C_LET                                      \
    "let t = transposed && conjugated; let p = if(t, bar(a), a); "                                           \
    "let s = lapack." P "trtrs(upper, !transposed, false, unit, n, nrhs, p, bar(g)); "                       \
    "let w = cblas." P "gemm(false, false, true, false, n, n, nrhs, " C_MINUS ", if(transposed, r, s), if(transposed, s, r), " \
    C_ZERO ", slice(r, 0L, 0L)); {"                                                                          \
    C_SQUARE("if(" READ " && !(unit && i == j), if(t, lookup(w, at), flip(lookup(w, at))), " C_ZERO ")") ", bar(s)}"
#define VJP_C_gtsv                                                                                           \
    "|n, nrhs, below, diagonal, above, b, r, g| " C_LET                                                      \
    "let s = lapack." P "gtsv(n, nrhs, above, diagonal, below, bar(g)); {"                                   \
    C_EACH("len(below)", C_NEGATIVE(C_ROWS("i + 1L", "i"))) ", " C_EACH("n", C_NEGATIVE(C_ROWS("i", "i"))) ", " \
    C_EACH("len(above)", C_NEGATIVE(C_ROWS("i", "i + 1L"))) ", bar(s)}"
#define C_BAND(first, element)                                                                               \
    "result(for(rangeiter(0L, n, 1L), appender[{" T ", " T "}], |b1, i1, i| for(rangeiter(0L, lower + upper + 1L, 1L), b1, " \
    "|b2, i2, c| let j = i + c - " first "; merge(b2, if(j < 0L || j >= n, " C_ZERO ", " element ")))))"
#define VJP_C_gbsv                                                                                           \
    "|n, lower, upper, nrhs, a, b, r, g| " C_LET "let s = lapack." P "gbsv(n, upper, lower, nrhs, "          \
    C_BAND("upper", "lookup(a, j * (lower + upper + 1L) + i - j + lower)") ", bar(g)); {"                    \
    C_BAND("lower", C_NEGATIVE(C_ROWS("i", "j"))) ", bar(s)}"
/* Of S X*, what a Hermitian matrix' element i, j has: its own and the conjugate of its partner's. */
#define C_HALF(i, j)                                                                                         \
    "result(for(rangeiter(0L, nrhs, 1L), merger[{" T ", " T "}, +], |b3, i3, c3| "                           \
    "merge(b3, times(lookup(s, (" i ") * nrhs + c3), flip(lookup(r, (" j ") * nrhs + c3))))))"
#define C_PAIR                                                                                               \
    "if(i == j, (let h1 = " C_HALF("i", "i") "; {-h1.$0, 0.0" Z "}), "                                       \
    "(let h1 = plus(" C_HALF("i", "j") ", flip(" C_HALF("j", "i") ")); {-h1.$0, -h1.$1}))"
#define VJP_C_ptsv                                                                                           \
    "|n, nrhs, diagonal, beside, b, r, g| " C_LET "let s = lapack." P "ptsv(n, nrhs, diagonal, beside, g); {" \
    "result(for(rangeiter(0L, n, 1L), appender[" T "], |b2, i2, i| merge(b2, -" C_HALF("i", "i") ".$0))), "   \
    C_EACH("len(beside)", "(let j = i; let k = i + 1L; let h1 = plus(" C_HALF("k", "j") ", flip(" C_HALF("j", "k") ")); {-h1.$0, -h1.$1})") \
    ", s}"
#define VJP_C_pbsv                                                                                           \
    "|upper, n, k, nrhs, a, b, r, g| " C_LET "let s = lapack." P "pbsv(upper, n, k, nrhs, a, g); {"           \
    "result(for(rangeiter(0L, n, 1L), appender[{" T ", " T "}], |b1, i1, i| for(rangeiter(0L, k + 1L, 1L), b1, |b2, i2, c| " \
    "let j = i + c - select(upper, 0L, k); merge(b2, if(j < 0L || j >= n, " C_ZERO ", " C_PAIR ")))))" ", s}"
#define VJP_C_ppsv                                                                                           \
    "|upper, n, nrhs, a, b, r, g| " C_LET "let s = lapack." P "ppsv(upper, n, nrhs, a, g); {"                \
    "result(for(rangeiter(0L, n, 1L), appender[{" T ", " T "}], |b1, i1, i| "                                \
    "for(rangeiter(select(upper, i, 0L), select(upper, n, i + 1L), 1L), b1, |b2, i2, j| merge(b2, " C_PAIR "))))" ", s}"
/* A = F F* or F* F: (W + W*) F, or F (W + W*). */
#define VJP_C_potrs                                                                                          \
    "|upper, n, nrhs, factor, b, r, g| " C_LET "let s = lapack." P "potrs(upper, n, nrhs, factor, g); "      \
    "let h = " C_OUTER "; let both = " C_SQUARE("plus(lookup(h, at), flip(lookup(h, j * n + i)))") "; "      \
    "let f = " C_ONE_TRIANGLE("factor") "; let w = if(upper, "                                               \
    C_PRODUCT("false", "false", "n", "n", "n", C_ONE, "f", "both") ", "                                      \
    C_PRODUCT("false", "false", "n", "n", "n", C_ONE, "both", "f") "); {" C_ONE_TRIANGLE("w") ", s}"
/* As the real one, with conjugates; the factor's diagonal is real. */
#define VJP_C_potrf                                                                                          \
    "|upper, n, a, r, g| " C_LET "let h = " C_ONE_TRIANGLE("g") "; let p = if(upper, "                       \
    C_PRODUCT("false", "true", "n", "n", "n", C_ONE, "r", "h") ", "                                          \
    C_PRODUCT("true", "false", "n", "n", "n", C_ONE, "r", "h") "); "                                         \
    "let t = " C_SQUARE("let e = lookup(p, at); if(i > j, e, if(i == j, {e.$0 / 2.0" Z ", 0.0" Z "}, " C_ZERO "))") "; " \
    "let s = cblas." P "trsm(true, upper, !upper, true, false, n, n, " C_ONE ", r, t); "                     \
    "let w = cblas." P "trsm(false, upper, upper, true, false, n, n, " C_ONE ", r, s); " C_HERMITIAN

/* ---- least squares and eigenvalues, as in structured_adjoints.h with conjugate transposes ---- */

#define C_FITTED(ta, p, q, y) C_PRODUCT_OF(ta, "false", p, "nrhs", q, "a", y)
#define C_PRODUCT_OF(ta, tb, m, n, k, a, b) C_PRODUCT(ta, tb, m, n, k, C_ONE, a, b)
#define C_MINUS_EACH(x, y) "map(zip(" x ", " y "), |e| {e.$0.$0 - e.$1.$0, e.$0.$1 - e.$1.$1})"
#define C_LEAST(x, gx, p, q, ta, solve, turned)                                                              \
    "let s = " turned(gx) "; let v = " solve("s") "; let w = " turned(x) "; "                                \
    "let h = " C_FITTED(ta, p, q, x) "; let rest = " C_MINUS_EACH("b", "h") "; "                             \
    "let d = " C_FITTED(ta, p, q, gx) "; let f = " solve("d") "; let o = " C_MINUS_EACH(gx, "f") "; "
#define C_SUM_OF(m, n, a1, b1, a2, b2, a3, b3, begin)                                                        \
    "cblas." P "gemm(false, false, true, true, " m ", " n ", nrhs, " C_ONE ", " a3 ", " b3 ", " C_ONE ", "   \
    "cblas." P "gemm(false, false, true, true, " m ", " n ", nrhs, " C_ONE ", " a2 ", " b2 ", " C_ONE ", "   \
    "cblas." P "gemm(false, false, true, true, " m ", " n ", nrhs, " C_MINUS ", " a1 ", " b1 ", " begin ")))"
#define VJP_C_gels                                                                                           \
    "|transposed, m, n, nrhs, a, b, r, g| let p = select(transposed, n, m); let q = select(transposed, m, n); " \
    C_LEAST("r", "g", "p", "q", "transposed", GELS, GELS_TURNED)                                             \
    "{if(transposed, " C_SUM_OF("m", "n", "r", "s", "v", "rest", "o", "w", C_ZERO ", " NONE_OF) ", "         \
    C_SUM_OF("m", "n", "s", "r", "rest", "v", "w", "o", C_ZERO ", " NONE_OF) "), s}"
#define C_TURNED_A                                                                                           \
    "let turned = result(for(rangeiter(0L, m * n, 1L), appender[{" T ", " T "}], |b0, i0, at| "              \
    "let e = lookup(a, at % m * n + at / m); merge(b0, {e.$0, -e.$1}))); "
#define C_OF_VALUES                                                                                          \
    "let k = min(m, n); let usv = lapack." P "gesvd(m, n, a); "                                              \
    "let us = map(zip(usv.$0, result(for(rangeiter(0L, m, 1L), appender[" T "], |b0, i0, i| "                \
    "for(g.$1, b0, |b1, i1, e| merge(b1, e))))), |e| {e.$0.$0 * e.$1, e.$0.$1 * e.$1}); "                    \
    "let begin = " C_PRODUCT_OF("false", "false", "m", "n", "k", "us", "usv.$2") "; "
#define VJP_C_WITH_VALUES(solve, turned)                                                                     \
    "|m, n, nrhs, rcond, a, b, r, g| " C_TURNED_A C_LEAST("r.$0", "g.$0", "m", "n", "false", solve, turned) C_OF_VALUES \
    "{" ZERO ", " C_SUM_OF("m", "n", "s", "r.$0", "rest", "v", "w", "o", C_ONE ", begin") ", s}"
#define VJP_C_gelsd VJP_C_WITH_VALUES(GELSD, GELSD_TURNED)
#define VJP_C_gelss VJP_C_WITH_VALUES(GELSS, GELSS_TURNED)
#define VJP_C_gelsy                                                                                          \
    "|m, n, nrhs, rcond, a, b, r, g| " C_TURNED_A C_LEAST("r.$0", "g.$0", "m", "n", "false", GELSY, GELSY_TURNED) \
    "{" ZERO ", " C_SUM_OF("m", "n", "s", "r.$0", "rest", "v", "w", "o", C_ZERO ", " NONE_OF) ", s}"

/* Vectors are known but for a factor of size 1 each, of which what is differentiated must not depend. */
#define C_BETWEEN(factor, more)                                                                              \
    C_SQUARE("let f9 = " factor "; if(i == j, {lookup(g.$0, i) * f9 + " more ", 0.0" Z "}, "                  \
             "if(lookup(r.$0, i) == lookup(r.$0, j), " C_ZERO ", "                                           \
             "(let q9 = f9 / (lookup(r.$0, j) - lookup(r.$0, i)); let m9 = lookup(mm, at); {m9.$0 * q9, m9.$1 * q9})))")
#define C_EIGEN_LET "let v = r.$1; let mm = " C_PRODUCT_OF("true", "false", "n", "n", "n", "v", "g.$1") "; "
#define C_AROUND(sign, w) C_PRODUCT("false", "true", "n", "n", "n", sign, C_PRODUCT_OF("false", "false", "n", "n", "n", "v", w), "v")
#define VJP_C_syev                                                                                           \
    "|upper, n, a, r, g| " C_LET C_EIGEN_LET "let c = " C_BETWEEN(ONE, ZERO) "; let w = " C_AROUND(C_ONE, "c") "; " C_HERMITIAN
#define C_HERMITIAN_OF(w)                                                                                    \
    C_SQUARE("let e = lookup(" w ", at); if(i == j, {e.$0, 0.0" Z "}, if(" READ ", plus(e, flip(lookup(" w ", j * n + i))), " C_ZERO "))")
#define VJP_C_sygv                                                                                           \
    "|upper, n, a, b, r, g| " C_LET C_EIGEN_LET "let c = " C_BETWEEN(ONE, ZERO) "; let w = " C_AROUND(C_ONE, "c") "; " \
    "let d = " C_BETWEEN("lookup(r.$0, j)", "lookup(mm, at).$0 / 2.0" Z) "; let y = " C_AROUND(C_MINUS, "d") "; " \
    "{" C_HERMITIAN_OF("w") ", " C_HERMITIAN_OF("y") "}"
/* clang-format on */
