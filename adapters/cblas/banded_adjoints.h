/* banded_adjoints.h: the derivatives of banded_rows.h, by the texts of adjoints.h.
 *
 * That of a matrix is made element by element, in its own layout: `element` of row i and column j. */
/* clang-format off */
#define BANDED(rows, width, first, element)                                                                  \
    "result(for(rangeiter(0L, " rows ", 1L), appender[" T "], |b0, i0, i| for(rangeiter(0L, " width ", 1L), b0, " \
    "|b1, i1, c| let j = i + c - (" first "); merge(b1, if(j >= 0L && j < n, " element ", " ZERO ")))))"
#define ONE_SIDE(element) BANDED("n", "(k + 1L)", "select(upper, 0L, k)", element)
#define PACKED(element)                                                                                      \
    "result(for(rangeiter(0L, n, 1L), appender[" T "], |b0, i0, i| "                                          \
    "for(rangeiter(select(upper, i, 0L), select(upper, n, i + 1L), 1L), b0, |b1, i1, j| merge(b1, " element "))))"
#define PACKED_AT "select(upper, i * n - i * (i - 1L) / 2L + j - i, i * (i + 1L) / 2L + j)"
/* Both elements of a symmetric matrix together. */
#define SYMMETRIC "alpha * (lookup(g, i) * lookup(x, j) + if(i == j, " ZERO ", lookup(g, j) * lookup(x, i)))"
/* Of a triangle: of what it is multiplied by and the adjoint of the product, p and q. */
#define TRIANGULAR(sign, p, q)                                                                               \
    "if(unit && i == j, " ZERO ", " sign "lookup(if(transposed, " p ", " q "), i) * lookup(if(transposed, " q ", " p "), j))"
/* g with its diagonal twice: as a symmetric matrix it is G + G'. */
#define PACKED_BOTH "let g2 = " PACKED("let e = lookup(g, " PACKED_AT "); select(i == j, e + e, e)") "; "

#define VJP_gbmv                                                                                             \
    "|transposed, m, n, lower, upper, alpha, a, x, beta, y, r, g| "                                          \
    "{" DOT("g", BLAS("gbmv") "transposed, m, n, lower, upper, " ONE ", a, x, " ZERO ", " NONE ")") ", "      \
    BANDED("m", "(lower + upper + 1L)", "lower",                                                             \
           "alpha * lookup(if(transposed, x, g), i) * lookup(if(transposed, g, x), j)") ", "                 \
    BLAS("gbmv") "!transposed, m, n, lower, upper, alpha, a, g, " ZERO ", " NONE "), " SCALED("y") "}"
#define VJP_sbmv                                                                                             \
    "|upper, n, k, alpha, a, x, beta, y, r, g| "                                                             \
    "{" DOT("g", BLAS("sbmv") "upper, n, k, " ONE ", a, x, " ZERO ", " NONE ")") ", " ONE_SIDE(SYMMETRIC) ", " \
    BLAS("sbmv") "upper, n, k, alpha, a, g, " ZERO ", " NONE "), " SCALED("y") "}"
#define VJP_spmv                                                                                             \
    "|upper, n, alpha, a, x, beta, y, r, g| "                                                                \
    "{" DOT("g", BLAS("spmv") "upper, n, " ONE ", a, x, " ZERO ", " NONE ")") ", " PACKED(SYMMETRIC) ", "     \
    BLAS("spmv") "upper, n, alpha, a, g, " ZERO ", " NONE "), " SCALED("y") "}"
#define VJP_spr                                                                                              \
    "|upper, n, alpha, x, a, r, g| " PACKED_BOTH                                                             \
    "let h = " BLAS("spmv") "upper, n, " ONE ", g2, x, " ZERO ", " NONE "); "                                \
    "{" DOT("x", "h") " / 2.0" Z ", " TIMES("alpha", "h") ", g}"
#define VJP_spr2                                                                                             \
    "|upper, n, alpha, x, y, a, r, g| " PACKED_BOTH                                                          \
    "let h = " BLAS("spmv") "upper, n, " ONE ", g2, y, " ZERO ", " NONE "); "                                \
    "{" DOT("x", "h") ", " TIMES("alpha", "h") ", "                                                          \
    BLAS("spmv") "upper, n, alpha, g2, x, " ZERO ", " NONE "), g}"
#define VJP_tbmv                                                                                             \
    "|upper, transposed, unit, n, k, a, x, r, g| {" ONE_SIDE(TRIANGULAR("", "x", "g")) ", "                  \
    BLAS("tbmv") "upper, !transposed, unit, n, k, a, g)}"
#define VJP_tbsv                                                                                             \
    "|upper, transposed, unit, n, k, a, x, r, g| let s = " BLAS("tbsv") "upper, !transposed, unit, n, k, a, g); " \
    "{" ONE_SIDE(TRIANGULAR("-", "r", "s")) ", s}"
#define VJP_tpmv                                                                                             \
    "|upper, transposed, unit, n, a, x, r, g| {" PACKED(TRIANGULAR("", "x", "g")) ", "                       \
    BLAS("tpmv") "upper, !transposed, unit, n, a, g)}"
#define VJP_tpsv                                                                                             \
    "|upper, transposed, unit, n, a, x, r, g| let s = " BLAS("tpsv") "upper, !transposed, unit, n, a, g); "   \
    "{" PACKED(TRIANGULAR("-", "r", "s")) ", s}"
/* clang-format on */
