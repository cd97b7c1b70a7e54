/* complex_banded_rows.h: rotg, and rows of level 2 on banded and packed matrices of complex numbers for one precision; included
 * like complex_matrix_rows.h. */
/* clang-format off */
#define NUMBER "{" T ", " T "}"
#define VEC "vec[" NUMBER "]"
#define CALL(name, result) "@(pure: true, threadsafe: true)cfill[weld_cblas_" P name ", " VEC "](" result ", "
{P "rotg", "void cblas_" P "rotg(a, b, " C " *c, s)", NULL,
 "|a: " NUMBER ", b: " NUMBER "| @(pure: true, threadsafe: true)cfill[weld_cblas_" P "rotg, {" NUMBER ", " T ", " NUMBER "}]({}, a, b)",
 NULL, "{r, c, s}: the rotation of a real c and a complex s that makes b 0"},
{P "gbmv", "void cblas_" P "gbmv(order, trans, m, n, kl, ku, alpha, a, lda, x, incx, beta, y, incy)", NULL,
 "|transposed: bool, conjugated: bool, m: i64, n: i64, lower: i64, upper: i64, alpha: " NUMBER ", a: " VEC ", x: " VEC ", beta: " NUMBER ", y: " VEC "| "
 CALL("gbmv", "select(transposed, n, m)") "transposed, conjugated, m, n, lower, upper, alpha, a, x, beta, y)",
 VJP_C_gbmv, "alpha A x + beta y, or of the transpose, conjugated or not, of an A banded as for dgbmv"},
{P "hbmv", "void cblas_" P "hbmv(order, uplo, n, k, alpha, a, lda, x, incx, beta, y, incy)", NULL,
 "|upper: bool, n: i64, k: i64, alpha: " NUMBER ", a: " VEC ", x: " VEC ", beta: " NUMBER ", y: " VEC "| "
 CALL("hbmv", "n") "upper, n, k, alpha, a, x, beta, y)",
 VJP_C_hbmv, "alpha A x + beta y of a Hermitian A banded as for dsbmv"},
{P "hpmv", "void cblas_" P "hpmv(order, uplo, n, alpha, ap, x, incx, beta, y, incy)", NULL,
 "|upper: bool, n: i64, alpha: " NUMBER ", a: " VEC ", x: " VEC ", beta: " NUMBER ", y: " VEC "| "
 CALL("hpmv", "n") "upper, n, alpha, a, x, beta, y)",
 VJP_C_hpmv, "alpha A x + beta y of a Hermitian A, of which one triangle is given, packed row by row"},
{P "hpr", "void cblas_" P "hpr(order, uplo, n, " C " alpha, x, incx, ap)", NULL,
 "|upper: bool, n: i64, alpha: " T ", x: " VEC ", a: " VEC "| " CALL("hpr", "n * (n + 1L) / 2L") "upper, n, alpha, x, a)",
 VJP_C_hpr, "A + alpha x x* of a real alpha, of a packed triangle"},
{P "hpr2", "void cblas_" P "hpr2(order, uplo, n, alpha, x, incx, y, incy, ap)", NULL,
 "|upper: bool, n: i64, alpha: " NUMBER ", x: " VEC ", y: " VEC ", a: " VEC "| "
 CALL("hpr2", "n * (n + 1L) / 2L") "upper, n, alpha, x, y, a)",
 VJP_C_hpr2, "A + alpha x y* + (alpha x y*)* of a packed triangle"},
{P "tbmv", "void cblas_" P "tbmv(order, uplo, trans, diag, n, k, a, lda, x, incx)", NULL,
 "|upper: bool, transposed: bool, conjugated: bool, unit: bool, n: i64, k: i64, a: " VEC ", x: " VEC "| "
 CALL("tbmv", "n") "upper, transposed, conjugated, unit, n, k, a, x)",
 VJP_C_tbmv, "A x of a triangular banded A"},
{P "tbsv", "void cblas_" P "tbsv(order, uplo, trans, diag, n, k, a, lda, x, incx)", NULL,
 "|upper: bool, transposed: bool, conjugated: bool, unit: bool, n: i64, k: i64, a: " VEC ", x: " VEC "| "
 CALL("tbsv", "n") "upper, transposed, conjugated, unit, n, k, a, x)",
 VJP_C_tbsv, "the y of A y = x, A triangular and banded; a 0 on the diagonal divides"},
{P "tpmv", "void cblas_" P "tpmv(order, uplo, trans, diag, n, ap, x, incx)", NULL,
 "|upper: bool, transposed: bool, conjugated: bool, unit: bool, n: i64, a: " VEC ", x: " VEC "| "
 CALL("tpmv", "n") "upper, transposed, conjugated, unit, n, a, x)",
 VJP_C_tpmv, "A x of a triangular packed A"},
{P "tpsv", "void cblas_" P "tpsv(order, uplo, trans, diag, n, ap, x, incx)", NULL,
 "|upper: bool, transposed: bool, conjugated: bool, unit: bool, n: i64, a: " VEC ", x: " VEC "| "
 CALL("tpsv", "n") "upper, transposed, conjugated, unit, n, a, x)",
 VJP_C_tpsv, "the y of A y = x, A triangular and packed; a 0 on the diagonal divides"},
#undef NUMBER
#undef VEC
#undef CALL
    /* clang-format on */
