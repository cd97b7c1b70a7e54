/* complex_adjoints.h: the derivatives of the rows of complex numbers that call, with P, T and Z as in complex1.h.
 *
 * The adjoint of a number holds what the slope is by its real part and by its imaginary part. For what depends on numbers but not
 * on their conjugates it is, with u the conjugates of g, the rule of adjoints.h for u, its answer conjugated:
 *
 *     r = alpha A x     x' = bar(alpha A' u)     A' = bar(alpha u x')     alpha' = bar(u . A x)          (' transposes)
 *
 * A transposed and conjugated is the transpose of bar(A), whose adjoint is conjugated again. Of a Hermitian matrix's triangle an
 * element's adjoint is its own and the conjugate of its partner's; the imaginary part of the diagonal does not count.
 */
/* clang-format off */
#define C_ZERO "{0.0" Z ", 0.0" Z "}"
#define C_ONE "{1.0" Z ", 0.0" Z "}"
#define C_MINUS "{-1.0" Z ", 0.0" Z "}"
#define C_LET                                                                                                \
    "let flip = |e| {e.$0, -e.$1}; let bar = |v| map(v, |e| {e.$0, -e.$1}); "                                \
    "let plus = |p, q| {p.$0 + q.$0, p.$1 + q.$1}; "                                                         \
    "let times = |p, q| {p.$0 * q.$0 - p.$1 * q.$1, p.$0 * q.$1 + p.$1 * q.$0}; let u = bar(g); "
#define C_NONE ", " C_ZERO ", slice(g, 0L, 0L))"
#define C_DOTU(x, y) BLAS("dotu") x ", " y ")"
#define C_DOTC(x, y) BLAS("dotc") x ", " y ")"
#define C_TIMES(a, x) BLAS("scal") a ", " x ")"
#define C_EMPTY(a) "map(" a ", |e| " C_ZERO ")"
#define C_GEMM(ta, tb, m, n, k, alpha, a, b)                                                                 \
    BLAS("gemm") ta ", false, " tb ", false, " m ", " n ", " k ", " alpha ", " a ", " b C_NONE
#define C_SQUARE(n, element)                                                                                 \
    "result(for(rangeiter(0L, " n " * " n ", 1L), appender[{" T ", " T "}], |b0, i0, at| "                   \
    "let i = at / " n "; let j = at % " n "; merge(b0, " element ")))"
/* Of what a matrix is that is conjugated where it is transposed; and its adjoint, of that of its transpose. */
#define C_FLIPPED "let t = transposed && conjugated; let p = if(t, bar(a), a); "
#define C_MASKED(n) C_SQUARE(n, "if(" READ " && !(unit && i == j), if(t, lookup(w, at), flip(lookup(w, at))), " C_ZERO ")")
#define C_SYMMETRIC(n)                                                                                       \
    C_SQUARE(n, "if(i == j, lookup(w, at), if(" READ ", plus(lookup(w, at), lookup(w, j * " n " + i)), " C_ZERO "))")
#define C_HERMITIAN(n)                                                                                       \
    C_SQUARE(n, "let e = lookup(w, at); if(i == j, {e.$0, 0.0" Z "}, if(" READ ", plus(e, flip(lookup(w, j * " n " + i))), " C_ZERO "))")
#define C_SCALED(y)                                                                                          \
    "if(len(" y ") == 0L, " C_ZERO ", " C_DOTC(y, "g") "), if(len(" y ") == 0L, " y ", " C_TIMES("flip(beta)", "g") ")"
/* As BOTH, TRIANGLE and SCALED_TRIANGLE are of symmetric matrices. */
#define C_BOTH "let g2 = " C_SQUARE("n", "let e = lookup(u, at); if(i == j, plus(e, e), e)") "; "
#define C_SCALED_TRIANGLE                                                                                    \
    "if(len(c) == 0L, " C_ZERO ", " C_DOTC("c", C_SQUARE("n", "if(" READ ", lookup(g, at), " C_ZERO ")")) "), "  \
    "if(len(c) == 0L, c, " C_SQUARE("n", "let e = lookup(g, at); if(" READ ", times(flip(beta), e), e)") ")"
/* Likewise of Hermitian ones, whose diagonals are real. */
#define C_REAL_TWICE "let g2 = " C_SQUARE("n", "let e = lookup(g, at); if(i == j, {e.$0 + e.$0, 0.0" Z "}, e)") "; "
#define C_REAL_DIAGONAL C_SQUARE("n", "let e = lookup(g, at); if(i == j, {e.$0, 0.0" Z "}, e)")
#define C_SCALED_REAL                                                                                        \
    "if(len(c) == 0L, 0.0" Z ", " C_DOTC("c", C_SQUARE("n",                                                   \
    "let e = lookup(g, at); if(i == j, {e.$0, 0.0" Z "}, if(" READ ", e, " C_ZERO "))")) ".$0), "               \
    "if(len(c) == 0L, c, " C_SQUARE("n",                                                                     \
    "let e = lookup(g, at); if(i == j, {beta * e.$0, 0.0" Z "}, if(" READ ", {beta * e.$0, beta * e.$1}, e))") ")"

#define VJP_C_gemv                                                                                           \
    "|transposed, conjugated, m, n, alpha, a, x, beta, y, r, g| " C_LET C_FLIPPED                            \
    "let w = " BLAS("geru") "m, n, alpha, if(transposed, x, u), if(transposed, u, x), " C_EMPTY("a") "); "   \
    "{flip(" C_DOTU("u", BLAS("gemv") "transposed, false, m, n, " C_ONE ", p, x" C_NONE) "), if(t, w, bar(w)), " \
    "bar(" BLAS("gemv") "!transposed, false, m, n, alpha, p, u" C_NONE "), " C_SCALED("y") "}"
#define VJP_C_hemv                                                                                           \
    "|upper, n, alpha, a, x, beta, y, r, g| " C_LET                                                          \
    "let w = " BLAS("gerc") "n, n, flip(alpha), g, x, " C_EMPTY("a") "); "                                   \
    "{" C_DOTC(BLAS("hemv") "upper, n, " C_ONE ", a, x" C_NONE, "g") ", " C_HERMITIAN("n") ", "              \
    BLAS("hemv") "upper, n, flip(alpha), a, g" C_NONE ", " C_SCALED("y") "}"
#define VJP_C_geru                                                                                           \
    "|m, n, alpha, x, y, a, r, g| " C_LET "let h = " BLAS("gemv") "false, false, m, n, " C_ONE ", u, y" C_NONE "; " \
    "{flip(" C_DOTU("x", "h") "), bar(" C_TIMES("alpha", "h") "), "                                          \
    "bar(" BLAS("gemv") "true, false, m, n, alpha, u, x" C_NONE "), g}"
#define VJP_C_gerc                                                                                           \
    "|m, n, alpha, x, y, a, r, g| " C_LET "let h = " BLAS("gemv") "false, false, m, n, " C_ONE ", g, y" C_NONE "; " \
    "{" C_DOTC("x", "h") ", " C_TIMES("flip(alpha)", "h") ", "                                               \
    BLAS("gemv") "true, true, m, n, alpha, g, x" C_NONE ", g}"
#define VJP_C_her                                                                                            \
    "|upper, n, alpha, x, a, r, g| " C_REAL_TWICE                                                            \
    "let h = " BLAS("hemv") "upper, n, " C_ONE ", g2, x" C_NONE "; "                                         \
    "{" C_DOTC("x", "h") ".$0 / 2.0" Z ", map(h, |e| {alpha * e.$0, alpha * e.$1}), " C_REAL_DIAGONAL "}"
#define VJP_C_her2                                                                                           \
    "|upper, n, alpha, x, y, a, r, g| " C_LET C_REAL_TWICE                                                   \
    "let h = " BLAS("hemv") "upper, n, " C_ONE ", g2, y" C_NONE "; "                                         \
    "{" C_DOTC("x", "h") ", " C_TIMES("flip(alpha)", "h") ", "                                               \
    BLAS("hemv") "upper, n, alpha, g2, x" C_NONE ", " C_REAL_DIAGONAL "}"
#define VJP_C_trmv                                                                                           \
    "|upper, transposed, conjugated, unit, n, a, x, r, g| " C_LET C_FLIPPED                                  \
    "let w = " BLAS("geru") "n, n, " C_ONE ", if(transposed, x, u), if(transposed, u, x), " C_EMPTY("a") "); " \
    "{" C_MASKED("n") ", bar(" BLAS("trmv") "upper, !transposed, false, unit, n, p, u))}"
#define VJP_C_trsv                                                                                           \
    "|upper, transposed, conjugated, unit, n, a, x, r, g| " C_LET C_FLIPPED                                  \
    "let s = " BLAS("trsv") "upper, !transposed, false, unit, n, p, u); "                                    \
    "let w = " BLAS("geru") "n, n, " C_MINUS ", if(transposed, r, s), if(transposed, s, r), " C_EMPTY("a") "); " \
    "{" C_MASKED("n") ", bar(s)}"
#define VJP_C_gemm                                                                                           \
    "|ta, ca, tb, cb, m, n, k, alpha, a, b, beta, c, r, g| " C_LET                                           \
    "let s = ta && ca; let t = tb && cb; let p = if(s, bar(a), a); let q = if(t, bar(b), b); "               \
    "let v = if(ta, " C_GEMM("tb", "true", "k", "m", "n", "alpha", "q", "u") ", "                            \
    C_GEMM("false", "!tb", "m", "k", "n", "alpha", "u", "q") "); "                                           \
    "let w = if(tb, " C_GEMM("true", "ta", "n", "k", "m", "alpha", "u", "p") ", "                            \
    C_GEMM("!ta", "false", "k", "n", "m", "alpha", "p", "u") "); "                                           \
    "{flip(" C_DOTU("u", C_GEMM("ta", "tb", "m", "n", "k", C_ONE, "p", "q")) "), if(s, v, bar(v)), "          \
    "if(t, w, bar(w)), " C_SCALED("c") "}"
#define VJP_C_symm                                                                                           \
    "|left, upper, m, n, alpha, a, b, beta, c, r, g| " C_LET "let k = select(left, m, n); "                  \
    "let w = bar(if(left, " C_GEMM("false", "true", "m", "m", "n", "alpha", "u", "b") ", "                   \
    C_GEMM("true", "false", "n", "n", "m", "alpha", "b", "u") ")); "                                         \
    "{flip(" C_DOTU("u", BLAS("symm") "left, upper, m, n, " C_ONE ", a, b" C_NONE) "), " C_SYMMETRIC("k") ", " \
    "bar(" BLAS("symm") "left, upper, m, n, alpha, a, u" C_NONE "), " C_SCALED("c") "}"
#define VJP_C_hemm                                                                                           \
    "|left, upper, m, n, alpha, a, b, beta, c, r, g| " C_LET "let k = select(left, m, n); "                  \
    "let w = if(left, " BLAS("gemm") "false, false, true, true, m, m, n, flip(alpha), g, b" C_NONE ", "      \
    BLAS("gemm") "true, true, false, false, n, n, m, flip(alpha), b, g" C_NONE "); "                         \
    "{" C_DOTC(BLAS("hemm") "left, upper, m, n, " C_ONE ", a, b" C_NONE, "g") ", " C_HERMITIAN("k") ", "     \
    BLAS("hemm") "left, upper, m, n, flip(alpha), a, g" C_NONE ", " C_SCALED("c") "}"
#define C_SIDES(name, alpha, a)                                                                              \
    "if(transposed, " BLAS(name) "false, upper, k, n, " alpha ", g2, " a C_NONE ", "                         \
    BLAS(name) "true, upper, n, k, " alpha ", g2, " a C_NONE ")"
#define VJP_C_syrk                                                                                           \
    "|upper, transposed, n, k, alpha, a, beta, c, r, g| " C_LET C_BOTH                                       \
    "let s = " C_SIDES("symm", C_ONE, "a") "; let d = " C_DOTU("s", "a") "; "                                \
    "{{d.$0 / 2.0" Z ", -d.$1 / 2.0" Z "}, bar(" C_TIMES("alpha", "s") "), " C_SCALED_TRIANGLE "}"
#define VJP_C_syr2k                                                                                          \
    "|upper, transposed, n, k, alpha, a, b, beta, c, r, g| " C_LET C_BOTH                                    \
    "let s = " C_SIDES("symm", C_ONE, "b") "; "                                                              \
    "{flip(" C_DOTU("s", "a") "), bar(" C_TIMES("alpha", "s") "), bar(" C_SIDES("symm", "alpha", "a") "), "    \
    C_SCALED_TRIANGLE "}"
#define VJP_C_herk                                                                                           \
    "|upper, transposed, n, k, alpha, a, beta, c, r, g| " C_REAL_TWICE                                       \
    "let s = " C_SIDES("hemm", C_ONE, "a") "; "                                                              \
    "{" C_DOTC("a", "s") ".$0 / 2.0" Z ", map(s, |e| {alpha * e.$0, alpha * e.$1}), " C_SCALED_REAL "}"
#define VJP_C_her2k                                                                                          \
    "|upper, transposed, n, k, alpha, a, b, beta, c, r, g| " C_LET C_REAL_TWICE                              \
    "let s = " C_SIDES("hemm", C_ONE, "b") "; "                                                              \
    "{if(transposed, " C_DOTC("s", "a") ", " C_DOTC("a", "s") "), "                                          \
    C_TIMES("if(transposed, alpha, flip(alpha))", "s") ", "                                                  \
    C_SIDES("hemm", "if(transposed, flip(alpha), alpha)", "a") ", " C_SCALED_REAL "}"
/* w of the triangular A, left or right of B. */
#define C_OUTER(alpha, g, b)                                                                                 \
    "let k = select(left, m, n); let w = if(left, if(transposed, "                                           \
    C_GEMM("false", "true", "m", "m", "n", alpha, b, g) ", " C_GEMM("false", "true", "m", "m", "n", alpha, g, b) "), if(transposed, " \
    C_GEMM("true", "false", "n", "n", "m", alpha, g, b) ", " C_GEMM("true", "false", "n", "n", "m", alpha, b, g) ")); "
#define VJP_C_trmm                                                                                           \
    "|left, upper, transposed, conjugated, unit, m, n, alpha, a, b, r, g| " C_LET C_FLIPPED                  \
    C_OUTER("alpha", "u", "b") "let s = " BLAS("trmm") "left, upper, !transposed, false, unit, m, n, " C_ONE ", p, u); " \
    "{flip(" C_DOTU("s", "b") "), " C_MASKED("k") ", bar(" C_TIMES("alpha", "s") ")}"
#define VJP_C_trsm                                                                                           \
    "|left, upper, transposed, conjugated, unit, m, n, alpha, a, b, r, g| " C_LET C_FLIPPED                  \
    "let s = " BLAS("trsm") "left, upper, !transposed, false, unit, m, n, " C_ONE ", p, u); "                \
    C_OUTER(C_MINUS, "s", "r") "{flip(" C_DOTU("s", "b") "), " C_MASKED("k") ", bar(" C_TIMES("alpha", "s") ")}"

/* ---- banded and packed, element by element in their own layouts ---- */

#define C_BANDED(rows, width, first, element)                                                                \
    "result(for(rangeiter(0L, " rows ", 1L), appender[{" T ", " T "}], |b0, i0, i| for(rangeiter(0L, " width ", 1L), b0, " \
    "|b1, i1, c| let j = i + c - (" first "); merge(b1, if(j >= 0L && j < n, " element ", " C_ZERO ")))))"
#define C_ONE_SIDE(element) C_BANDED("n", "(k + 1L)", "select(upper, 0L, k)", element)
#define C_PACKED(element)                                                                                    \
    "result(for(rangeiter(0L, n, 1L), appender[{" T ", " T "}], |b0, i0, i| "                                \
    "for(rangeiter(select(upper, i, 0L), select(upper, n, i + 1L), 1L), b0, |b1, i1, j| merge(b1, " element "))))"
/* Of conj(alpha) g x*, the part that a Hermitian A's element i, j has. */
#define C_PAIR                                                                                               \
    "(let q1 = times(flip(alpha), times(lookup(g, i), flip(lookup(x, j)))); "                                \
    "let q2 = times(alpha, times(flip(lookup(g, j)), lookup(x, i))); if(i == j, {q1.$0, 0.0" Z "}, plus(q1, q2)))"
/* Of a triangle: of what it is multiplied by and u, p1 and q1. */
#define C_TRIANGULAR(p1, q1)                                                                                 \
    "if(unit && i == j, " C_ZERO ", (let w1 = times(lookup(if(transposed, " p1 ", " q1 "), i), "              \
    "lookup(if(transposed, " q1 ", " p1 "), j)); if(t, w1, flip(w1))))"
#define C_PACKED_TWICE "let g2 = " C_PACKED("let e = lookup(g, " PACKED_AT "); if(i == j, {e.$0 + e.$0, 0.0" Z "}, e)") "; "
#define C_PACKED_DIAGONAL C_PACKED("let e = lookup(g, " PACKED_AT "); if(i == j, {e.$0, 0.0" Z "}, e)")

#define VJP_C_gbmv                                                                                           \
    "|transposed, conjugated, m, n, lower, upper, alpha, a, x, beta, y, r, g| " C_LET C_FLIPPED              \
    "{flip(" C_DOTU("u", BLAS("gbmv") "transposed, false, m, n, lower, upper, " C_ONE ", p, x" C_NONE) "), " \
    C_BANDED("m", "(lower + upper + 1L)", "lower",                                                           \
             "(let w1 = times(alpha, times(lookup(if(transposed, x, u), i), lookup(if(transposed, u, x), j))); " \
             "if(t, w1, flip(w1)))") ", "                                                                    \
    "bar(" BLAS("gbmv") "!transposed, false, m, n, lower, upper, alpha, p, u" C_NONE "), " C_SCALED("y") "}"
#define VJP_C_hbmv                                                                                           \
    "|upper, n, k, alpha, a, x, beta, y, r, g| " C_LET                                                       \
    "{" C_DOTC(BLAS("hbmv") "upper, n, k, " C_ONE ", a, x" C_NONE, "g") ", " C_ONE_SIDE(C_PAIR) ", "         \
    BLAS("hbmv") "upper, n, k, flip(alpha), a, g" C_NONE ", " C_SCALED("y") "}"
#define VJP_C_hpmv                                                                                           \
    "|upper, n, alpha, a, x, beta, y, r, g| " C_LET                                                          \
    "{" C_DOTC(BLAS("hpmv") "upper, n, " C_ONE ", a, x" C_NONE, "g") ", " C_PACKED(C_PAIR) ", "              \
    BLAS("hpmv") "upper, n, flip(alpha), a, g" C_NONE ", " C_SCALED("y") "}"
#define VJP_C_hpr                                                                                            \
    "|upper, n, alpha, x, a, r, g| " C_PACKED_TWICE                                                          \
    "let h = " BLAS("hpmv") "upper, n, " C_ONE ", g2, x" C_NONE "; "                                         \
    "{" C_DOTC("x", "h") ".$0 / 2.0" Z ", map(h, |e| {alpha * e.$0, alpha * e.$1}), " C_PACKED_DIAGONAL "}"
#define VJP_C_hpr2                                                                                           \
    "|upper, n, alpha, x, y, a, r, g| " C_LET C_PACKED_TWICE                                                 \
    "let h = " BLAS("hpmv") "upper, n, " C_ONE ", g2, y" C_NONE "; "                                         \
    "{" C_DOTC("x", "h") ", " C_TIMES("flip(alpha)", "h") ", "                                               \
    BLAS("hpmv") "upper, n, alpha, g2, x" C_NONE ", " C_PACKED_DIAGONAL "}"
#define VJP_C_tbmv                                                                                           \
    "|upper, transposed, conjugated, unit, n, k, a, x, r, g| " C_LET C_FLIPPED                               \
    "{" C_ONE_SIDE(C_TRIANGULAR("x", "u")) ", bar(" BLAS("tbmv") "upper, !transposed, false, unit, n, k, p, u))}"
#define VJP_C_tbsv                                                                                           \
    "|upper, transposed, conjugated, unit, n, k, a, x, r, g| " C_LET C_FLIPPED                               \
    "let s = " BLAS("tbsv") "upper, !transposed, false, unit, n, k, p, u); let v = " C_TIMES(C_MINUS, "s") "; " \
    "{" C_ONE_SIDE(C_TRIANGULAR("r", "v")) ", bar(s)}"
#define VJP_C_tpmv                                                                                           \
    "|upper, transposed, conjugated, unit, n, a, x, r, g| " C_LET C_FLIPPED                                  \
    "{" C_PACKED(C_TRIANGULAR("x", "u")) ", bar(" BLAS("tpmv") "upper, !transposed, false, unit, n, p, u))}"
#define VJP_C_tpsv                                                                                           \
    "|upper, transposed, conjugated, unit, n, a, x, r, g| " C_LET C_FLIPPED                                  \
    "let s = " BLAS("tpsv") "upper, !transposed, false, unit, n, p, u); let v = " C_TIMES(C_MINUS, "s") "; "  \
    "{" C_PACKED(C_TRIANGULAR("r", "v")) ", bar(s)}"
/* clang-format on */
