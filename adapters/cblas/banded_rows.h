/* banded_rows.h: rows of level 2 on banded and packed matrices for one precision; included like matrix_rows.h. */
/* clang-format off */
#define CALL(name, result) "@(pure: true, threadsafe: true)cfill[weld_cblas_" P name ", vec[" T "]](" result ", "
#define VEC "vec[" T "]"
{P "gbmv", "void cblas_" P "gbmv(order, trans, int m, int n, int kl, int ku, " C " alpha, a, lda, x, incx, " C " beta, y, incy)",
 NULL,
 "|transposed: bool, m: i64, n: i64, lower: i64, upper: i64, alpha: " T ", a: " VEC ", x: " VEC ", beta: " T ", y: " VEC "| "
 CALL("gbmv", "select(transposed, n, m)") "transposed, m, n, lower, upper, alpha, a, x, beta, y)",
 VJP_gbmv, "alpha A x + beta y, or of the transpose, of a banded A: row i has lower + upper + 1 elements, from column i - lower on"},
{P "sbmv", "void cblas_" P "sbmv(order, uplo, int n, int k, " C " alpha, a, lda, x, incx, " C " beta, y, incy)", NULL,
 "|upper: bool, n: i64, k: i64, alpha: " T ", a: " VEC ", x: " VEC ", beta: " T ", y: " VEC "| "
 CALL("sbmv", "n") "upper, n, k, alpha, a, x, beta, y)",
 VJP_sbmv, "alpha A x + beta y of a symmetric banded A: row i has the k + 1 elements up to the diagonal, or from it on"},
{P "spmv", "void cblas_" P "spmv(order, uplo, int n, " C " alpha, ap, x, incx, " C " beta, y, incy)", NULL,
 "|upper: bool, n: i64, alpha: " T ", a: " VEC ", x: " VEC ", beta: " T ", y: " VEC "| "
 CALL("spmv", "n") "upper, n, alpha, a, x, beta, y)",
 VJP_spmv, "alpha A x + beta y of a symmetric A, of which one triangle is given, packed row by row"},
{P "spr", "void cblas_" P "spr(order, uplo, int n, " C " alpha, x, incx, ap)", NULL,
 "|upper: bool, n: i64, alpha: " T ", x: " VEC ", a: " VEC "| " CALL("spr", "n * (n + 1L) / 2L") "upper, n, alpha, x, a)",
 VJP_spr, "A + alpha x x' of a packed triangle"},
{P "spr2", "void cblas_" P "spr2(order, uplo, int n, " C " alpha, x, incx, y, incy, ap)", NULL,
 "|upper: bool, n: i64, alpha: " T ", x: " VEC ", y: " VEC ", a: " VEC "| "
 CALL("spr2", "n * (n + 1L) / 2L") "upper, n, alpha, x, y, a)",
 VJP_spr2, "A + alpha (x y' + y x') of a packed triangle"},
{P "tbmv", "void cblas_" P "tbmv(order, uplo, trans, diag, int n, int k, a, lda, x, incx)", NULL,
 "|upper: bool, transposed: bool, unit: bool, n: i64, k: i64, a: " VEC ", x: " VEC "| "
 CALL("tbmv", "n") "upper, transposed, unit, n, k, a, x)",
 VJP_tbmv, "A x of a triangular banded A"},
{P "tbsv", "void cblas_" P "tbsv(order, uplo, trans, diag, int n, int k, a, lda, x, incx)", NULL,
 "|upper: bool, transposed: bool, unit: bool, n: i64, k: i64, a: " VEC ", x: " VEC "| "
 CALL("tbsv", "n") "upper, transposed, unit, n, k, a, x)",
 VJP_tbsv, "the y of A y = x, A triangular and banded; a 0 on the diagonal divides"},
{P "tpmv", "void cblas_" P "tpmv(order, uplo, trans, diag, int n, ap, x, incx)", NULL,
 "|upper: bool, transposed: bool, unit: bool, n: i64, a: " VEC ", x: " VEC "| "
 CALL("tpmv", "n") "upper, transposed, unit, n, a, x)",
 VJP_tpmv, "A x of a triangular packed A"},
{P "tpsv", "void cblas_" P "tpsv(order, uplo, trans, diag, int n, ap, x, incx)", NULL,
 "|upper: bool, transposed: bool, unit: bool, n: i64, a: " VEC ", x: " VEC "| "
 CALL("tpsv", "n") "upper, transposed, unit, n, a, x)",
 VJP_tpsv, "the y of A y = x, A triangular and packed; a 0 on the diagonal divides"},
#undef CALL
#undef VEC
    /* clang-format on */
