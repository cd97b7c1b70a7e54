/* adjoints.h: the derivatives of the rows that call (matrix_rows.h), with P, T and Z as in level1.h where they are used.
 *
 * r = alpha A x + beta y with the adjoint g of r:   x' = alpha A' g    A' = alpha g x'    y' = beta g    beta' = g . y   ..
 *
 * BLAS again, so that they have derivatives themselves. An operand of which one triangle is read has an adjoint there only; where it
 * stands for a symmetric matrix, that of both elements together. What may be empty for a factor of 0 gets an empty one.
 */
#define NONE "slice(g, 0L, 0L)"
#define ZERO "0.0" Z
#define ONE "1.0" Z
#define BLAS(name) "cblas." P name "("
#define DOT(x, y) BLAS("dot") x ", " y ")"
#define TIMES(a, x) BLAS("scal") a ", " x ")"
#define PRODUCT(ta, tb, m, n, k, alpha, a, b) \
    BLAS("gemm") ta ", " tb ", " m ", " n ", " k ", " alpha ", " a ", " b ", " ZERO ", " NONE ")"
/* A matrix of n times n, row by row: its element at row i, column j, which is number `at`. */
#define SQUARE(n, element)                                                                            \
    "result(for(rangeiter(0L, " n " * " n ", 1L), appender[" T "], |b0, i0, at| let i = at / " n "; " \
    "let j = at % " n "; merge(b0, " element ")))"
#define READ "select(upper, i <= j, i >= j)"
#define MASKED(n, w) SQUARE(n, "if(" READ " && !(unit && i == j), lookup(" w ", at), " ZERO ")")
#define FOLDED(n, w)                                                                                \
    SQUARE(n, "if(i == j, lookup(" w ", at), if(" READ ", lookup(" w ", at) + lookup(" w ", j * " n \
              " + i), " ZERO "))")
/* Of what is written into one triangle: g there, its diagonal twice, so that as a symmetric matrix it is G + G'. */
#define BOTH "let g2 = " SQUARE("n", "let e = lookup(g, at); select(i == j, e + e, e)") "; "
#define TRIANGLE "let h = " SQUARE("n", "if(" READ ", lookup(g, at), " ZERO ")") "; "
#define SCALED(y) \
    "if(len(" y ") == 0L, " ZERO ", " DOT("g", y) "), if(len(" y ") == 0L, " y ", " TIMES("beta", "g") ")"
/* beta C + .. in one triangle: what is outside stays. */
#define SCALED_TRIANGLE                                                           \
    "if(len(c) == 0L, " ZERO ", " DOT("h", "c") "), if(len(c) == 0L, c, " SQUARE( \
        "n", "let e = lookup(g, at); if(" READ ", beta * e, e)") ")"

#define VJP_gemv                                                                                 \
    "|transposed, m, n, alpha, a, x, beta, y, r, g| "                                            \
    "{" DOT("g", BLAS("gemv") "transposed, m, n, " ONE ", a, x, " ZERO ", " NONE ")") ", " BLAS( \
        "ger") "m, n, alpha, if(transposed, x, g), if(transposed, g, x), map(a, |e| " ZERO       \
               ")), " BLAS("gemv") "!transposed, m, n, alpha, a, g, " ZERO ", " NONE "), " SCALED("y") "}"
#define VJP_symv                                                                                            \
    "|upper, n, alpha, a, x, beta, y, r, g| "                                                               \
    "{" DOT("g", BLAS("symv") "upper, n, " ONE ", a, x, " ZERO ", " NONE ")") ", " SQUARE(                  \
        "n", "if(" READ ", alpha * (lookup(g, i) * lookup(x, j) + if(i == j, " ZERO                         \
             ", lookup(g, j) * lookup(x, i))), " ZERO ")") ", " BLAS("symv") "upper, n, alpha, a, g, " ZERO \
                                                                             ", " NONE "), " SCALED("y") "}"
#define VJP_ger                                                       \
    "|m, n, alpha, x, y, a, r, g| let h = " BLAS(                     \
        "gemv") "false, m, n, " ONE ", g, y, " ZERO ", " NONE "); "   \
                "{" DOT("x", "h") ", " TIMES("alpha", "h") ", " BLAS( \
                    "gemv") "true, m, n, alpha, g, x, " ZERO ", " NONE "), g}"
#define VJP_syr                                                               \
    "|upper, n, alpha, x, a, r, g| " BOTH                                     \
    "let h = " BLAS("symv") "upper, n, " ONE ", g2, x, " ZERO ", " NONE "); " \
                            "{" DOT("x", "h") " / 2.0" Z ", " TIMES("alpha", "h") ", g}"
#define VJP_syr2                                                                                             \
    "|upper, n, alpha, x, y, a, r, g| " BOTH "let h = " BLAS(                                                \
        "symv") "upper, n, " ONE ", g2, y, " ZERO ", " NONE "); "                                            \
                "{" DOT("x", "h") ", " TIMES("alpha", "h") ", " BLAS("symv") "upper, n, alpha, g2, x, " ZERO \
                                                                             ", " NONE "), g}"
#define VJP_trmv                                                                                         \
    "|upper, transposed, unit, n, a, x, r, g| "                                                          \
    "let w = " BLAS("ger") "n, n, " ONE ", if(transposed, x, g), if(transposed, g, x), map(a, |e| " ZERO \
                           ")); "                                                                        \
                           "{" MASKED("n", "w") ", " BLAS("trmv") "upper, !transposed, unit, n, a, g)}"
#define VJP_trsv                                                                                        \
    "|upper, transposed, unit, n, a, x, r, g| let s = " BLAS(                                           \
        "trsv") "upper, !transposed, unit, n, a, g); "                                                  \
                "let w = " BLAS("ger") "n, n, -" ONE                                                    \
                                       ", if(transposed, r, s), if(transposed, s, r), map(a, |e| " ZERO \
                                       ")); "                                                           \
                                       "{" MASKED("n", "w") ", s}"
#define VJP_gemm                                                                                          \
    "|ta, tb, m, n, k, alpha, a, b, beta, c, r, g| "                                                      \
    "{" DOT("g",                                                                                          \
            PRODUCT("ta", "tb", "m", "n", "k", ONE, "a",                                                  \
                    "b")) ", "                                                                            \
                          "if(ta, " PRODUCT("tb", "true", "k", "m", "n", "alpha", "b", "g") ", " PRODUCT( \
                              "false", "!tb", "m", "k", "n", "alpha", "g",                                \
                              "b") "), "                                                                  \
                                   "if(tb, " PRODUCT("true", "ta", "n", "k", "m", "alpha", "g",           \
                                                     "a") ", " PRODUCT("!ta", "false", "k", "n", "m",     \
                                                                       "alpha", "a",                      \
                                                                       "g") "), " SCALED("c") "}"
#define VJP_symm                                                                                             \
    "|left, upper, m, n, alpha, a, b, beta, c, r, g| let k = select(left, m, n); "                           \
    "let w = if(left, " PRODUCT("false", "true", "m", "m", "n", "alpha", "g", "b") ", " PRODUCT(             \
        "true", "false", "n", "n", "m", "alpha", "b",                                                        \
        "g") "); "                                                                                           \
             "{" DOT("g", BLAS("symm") "left, upper, m, n, " ONE ", a, b, " ZERO ", " NONE ")") ", " FOLDED( \
                 "k", "w") ", " BLAS("symm") "left, upper, m, n, alpha, a, g, " ZERO ", " NONE               \
                                             "), " SCALED("c") "}"
#define VJP_syrk                                                                                             \
    "|upper, transposed, n, k, alpha, a, beta, c, r, g| " BOTH TRIANGLE                                      \
    "let s = if(transposed, " BLAS("symm") "false, upper, k, n, " ONE ", g2, a, " ZERO ", " NONE "), " BLAS( \
        "symm") "true, upper, n, k, " ONE ", g2, a, " ZERO ", " NONE ")); "                                  \
                "{" DOT("s", "a") " / 2.0" Z ", " TIMES("alpha", "s") ", " SCALED_TRIANGLE "}"
#define VJP_syr2k                                                                                            \
    "|upper, transposed, n, k, alpha, a, b, beta, c, r, g| " BOTH TRIANGLE                                   \
    "let s = if(transposed, " BLAS("symm") "false, upper, k, n, " ONE ", g2, b, " ZERO ", " NONE "), " BLAS( \
        "symm") "true, upper, n, k, " ONE ", g2, b, " ZERO ", " NONE ")); "                                  \
                "{" DOT("s", "a") ", " TIMES(                                                                \
                    "alpha", "s") ", "                                                                       \
                                  "if(transposed, " BLAS(                                                    \
                                      "symm") "false, upper, k, n, alpha, g2, a, " ZERO ", " NONE            \
                                              "), " BLAS("symm") "true, upper, n, k, alpha, g2, a, " ZERO    \
                                                                 ", " NONE ")), " SCALED_TRIANGLE "}"
/* W of the triangular A, n times n, left or right of B. */
#define OUTER(alpha, g, b)                                                               \
    "let k = select(left, m, n); let w = if(left, "                                      \
    "if(transposed, " PRODUCT("false", "true", "m", "m", "n", alpha, b, g) ", " PRODUCT( \
        "false", "true", "m", "m", "n", alpha, g,                                        \
        b) "), "                                                                         \
           "if(transposed, " PRODUCT("true", "false", "n", "n", "m", alpha, g,           \
                                     b) ", " PRODUCT("true", "false", "n", "n", "m", alpha, b, g) ")); "
#define VJP_trmm                                                                                          \
    "|left, upper, transposed, unit, m, n, alpha, a, b, r, g| " OUTER("alpha", "g", "b") "let s = " BLAS( \
        "trmm") "left, upper, !transposed, unit, m, n, " ONE ", a, g); "                                  \
                "{" DOT("s", "b") ", " MASKED("k", "w") ", " TIMES("alpha", "s") "}"
#define VJP_trsm                                                                            \
    "|left, upper, transposed, unit, m, n, alpha, a, b, r, g| "                             \
    "let s = " BLAS("trsm") "left, upper, !transposed, unit, m, n, " ONE ", a, g); " OUTER( \
        "-" ONE, "s", "r") "{" DOT("s", "b") ", " MASKED("k", "w") ", " TIMES("alpha", "s") "}"
