/* adjoints.h: the derivatives of rows.h, with P, T and Z (the suffix of literals) where they are used.
 *
 *     X = A^-1 B with the adjoint G of X:     B' = A'^-1 G     A's = -B's X'         (where ' at the end of a name transposes)
 *
 * Giles, Collected Matrix Derivative Results for Forward and Reverse Mode Algorithmic Differentiation, 2008; of Cholesky's
 * factor: Murray, Differentiation of the Cholesky decomposition, arXiv 1602.07527. Products are cblas's.
 * Factors with pivots, eigenvectors and singular vectors have none.
 */
#define NONE "slice(g, 0L, 0L)"
#define ZERO "0.0" Z
#define ONE "1.0" Z
#define PRODUCT(ta, tb, m, n, k, alpha, a, b) \
    "cblas." P "gemm(" ta ", " tb ", " m ", " n ", " k ", " alpha ", " a ", " b ", " ZERO ", " NONE ")"
#define SOLVE(side, upper, transposed, m, n, a, b) \
    "cblas." P "trsm(" side ", " upper ", " transposed ", false, " m ", " n ", " ONE ", " a ", " b ")"
#define SQUARE(element)                                                                                   \
    "result(for(rangeiter(0L, n * n, 1L), appender[" T "], |b0, i0, at| let i = at / n; let j = at % n; " \
    "merge(b0, " element ")))"
#define READ "select(upper, i <= j, i >= j)"
#define FOLDED(w)                                                                                           \
    SQUARE("if(i == j, lookup(" w ", at), if(" READ ", lookup(" w ", at) + lookup(" w ", j * n + i), " ZERO \
           "))")
#define TURNED(a) SQUARE("lookup(" a ", j * n + i)")

#define VJP_gesv                              \
    "|n, nrhs, a, b, r, g| let s = lapack." P \
    "gesv(n, nrhs, " TURNED("a") ", g); "     \
                                 "{" PRODUCT("false", "true", "n", "n", "nrhs", "-" ONE, "s", "r") ", s}"
#define VJP_getrs                                                                                          \
    "|transposed, n, nrhs, lu, pivots, b, r, g| {{}, lapack." P "getrs(!transposed, n, nrhs, lu, pivots, " \
    "g)}"
#define VJP_inv                                                                   \
    "|n, a, r, g| let w = " PRODUCT("true", "false", "n", "n", "n", "-" ONE, "r", \
                                    "g") "; " PRODUCT("false", "true", "n", "n", "n", ONE, "w", "r")
#define VJP_det "|n, a, r, g| let w = lapack." P "inv(n, a); " SQUARE("g * r * lookup(w, j * n + i)")
#define VJP_posv                                                                    \
    "|upper, n, nrhs, a, b, r, g| let s = lapack." P "posv(upper, n, nrhs, a, g); " \
    "let w = " PRODUCT("false", "true", "n", "n", "nrhs", "-" ONE, "s", "r") "; {" FOLDED("w") ", s}"
#define VJP_potrs                                                                                            \
    "|upper, n, nrhs, factor, b, r, g| let s = lapack." P "potrs(upper, n, nrhs, factor, g); "               \
    "let h = " PRODUCT(                                                                                      \
        "false", "true", "n", "n", "nrhs", "-" ONE, "s",                                                     \
        "r") "; "                                                                                            \
             "let both = " SQUARE(                                                                           \
                 "lookup(h, at) + lookup(h, j * n + i)") "; "                                                \
                                                         "let f = " SQUARE(                                  \
                                                             "if(" READ ", lookup(factor, at), " ZERO        \
                                                             ")") "; "                                       \
                                                                  "let w = if(upper, " PRODUCT(              \
                                                                      "false", "false", "n", "n", "n", ONE,  \
                                                                      "f",                                   \
                                                                      "both") ", " PRODUCT("false", "false", \
                                                                                           "n", "n", "n",    \
                                                                                           ONE, "both",      \
                                                                                           "f") "); "        \
                                                                                                "{" SQUARE(  \
                                                                                                    "if"     \
                                                                                                    "(" READ \
                                                                                                    ", "     \
                                                                                                    "lookup" \
                                                                                                    "(w, "   \
                                                                                                    "at),"   \
                                                                                                    " " ZERO \
                                                                                                    ")") "," \
                                                                                                         " " \
                                                                                                         "s" \
                                                                                                         "}"
/* With the lower factor L: the lower triangle of L' G, its diagonal halved, between L'^-1 and L^-1, on both elements. */
#define VJP_potrf                                                                                           \
    "|upper, n, a, r, g| let h = " SQUARE(                                                                  \
        "if(" READ ", lookup(g, at), " ZERO                                                                 \
        ")") "; "                                                                                           \
             "let p = if(upper, " PRODUCT("false", "true", "n", "n", "n", ONE, "r", "h") ", " PRODUCT(      \
                 "true", "false", "n", "n", "n", ONE, "r",                                                  \
                 "h") "); "                                                                                 \
                      "let t = " SQUARE(                                                                    \
                          "if(i > j, lookup(p, at), if(i == j, lookup(p, at) / 2.0" Z ", " ZERO             \
                          "))") "; "                                                                        \
                                "let s = " SOLVE("true", "upper", "!upper", "n", "n", "r",                  \
                                                 "t") "; "                                                  \
                                                      "let w = " SOLVE("false", "upper", "upper", "n", "n", \
                                                                       "r", "s") "; " FOLDED("w")
