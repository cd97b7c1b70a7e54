/* matrix_rows.h: rows of levels 2 and 3 for one precision; included like level1.h, with P, T and C.
 *
 * Flags are bool: transposed, upper (or lower), unit (ones on the diagonal that are not read), left (or right). Matrices are
 * vectors, row by row, without gaps. */
/* clang-format off */
#define CALL(name, result) "@(pure: true, threadsafe: true)cfill[weld_cblas_" P name ", vec[" T "]](" result ", "
#define VEC "vec[" T "]"
{P "gemv", "void cblas_" P "gemv(order, trans, int m, int n, " C " alpha, a, lda, x, incx, " C " beta, y, incy)", NULL,
 "|transposed: bool, m: i64, n: i64, alpha: " T ", a: " VEC ", x: " VEC ", beta: " T ", y: " VEC "| "
 CALL("gemv", "select(transposed, n, m)") "transposed, m, n, alpha, a, x, beta, y)",
 VJP_gemv, "alpha A x + beta y, A of m rows and n columns, or of its transpose; y may be empty if beta is 0"},
{P "symv", "void cblas_" P "symv(order, uplo, int n, " C " alpha, a, lda, x, incx, " C " beta, y, incy)", NULL,
 "|upper: bool, n: i64, alpha: " T ", a: " VEC ", x: " VEC ", beta: " T ", y: " VEC "| "
 CALL("symv", "n") "upper, n, alpha, a, x, beta, y)",
 VJP_symv, "alpha A x + beta y of a symmetric A, of which one triangle is read"},
{P "ger", "void cblas_" P "ger(order, int m, int n, " C " alpha, x, incx, y, incy, a, lda)", NULL,
 "|m: i64, n: i64, alpha: " T ", x: " VEC ", y: " VEC ", a: " VEC "| " CALL("ger", "m * n") "m, n, alpha, x, y, a)",
 VJP_ger, "A + alpha x y'"},
{P "syr", "void cblas_" P "syr(order, uplo, int n, " C " alpha, x, incx, a, lda)", NULL,
 "|upper: bool, n: i64, alpha: " T ", x: " VEC ", a: " VEC "| " CALL("syr", "n * n") "upper, n, alpha, x, a)",
 VJP_syr, "A + alpha x x' in one triangle; the other stays"},
{P "syr2", "void cblas_" P "syr2(order, uplo, int n, " C " alpha, x, incx, y, incy, a, lda)", NULL,
 "|upper: bool, n: i64, alpha: " T ", x: " VEC ", y: " VEC ", a: " VEC "| "
 CALL("syr2", "n * n") "upper, n, alpha, x, y, a)",
 VJP_syr2, "A + alpha (x y' + y x') in one triangle; the other stays"},
{P "trmv", "void cblas_" P "trmv(order, uplo, trans, diag, int n, a, lda, x, incx)", NULL,
 "|upper: bool, transposed: bool, unit: bool, n: i64, a: " VEC ", x: " VEC "| "
 CALL("trmv", "n") "upper, transposed, unit, n, a, x)",
 VJP_trmv, "A x of a triangular A"},
{P "trsv", "void cblas_" P "trsv(order, uplo, trans, diag, int n, a, lda, x, incx)", NULL,
 "|upper: bool, transposed: bool, unit: bool, n: i64, a: " VEC ", x: " VEC "| "
 CALL("trsv", "n") "upper, transposed, unit, n, a, x)",
 VJP_trsv, "the y of A y = x, A triangular; a 0 on the diagonal divides"},
{P "gemm", "void cblas_" P "gemm(order, transa, transb, int m, int n, int k, " C " alpha, a, lda, b, ldb, " C " beta, c, ldc)",
 NULL,
 "|transpose_a: bool, transpose_b: bool, m: i64, n: i64, k: i64, alpha: " T ", a: " VEC ", b: " VEC ", beta: " T ", c: "
 VEC "| " CALL("gemm", "m * n") "transpose_a, transpose_b, m, n, k, alpha, a, b, beta, c)",
 VJP_gemm, "alpha A B + beta C, A and B or their transposes, C of m rows and n columns; C may be empty if beta is 0"},
{P "symm", "void cblas_" P "symm(order, side, uplo, int m, int n, " C " alpha, a, lda, b, ldb, " C " beta, c, ldc)", NULL,
 "|left: bool, upper: bool, m: i64, n: i64, alpha: " T ", a: " VEC ", b: " VEC ", beta: " T ", c: " VEC "| "
 CALL("symm", "m * n") "left, upper, m, n, alpha, a, b, beta, c)",
 VJP_symm, "alpha A B + beta C, or alpha B A + beta C, A symmetric"},
{P "syrk", "void cblas_" P "syrk(order, uplo, trans, int n, int k, " C " alpha, a, lda, " C " beta, c, ldc)", NULL,
 "|upper: bool, transposed: bool, n: i64, k: i64, alpha: " T ", a: " VEC ", beta: " T ", c: " VEC "| "
 CALL("syrk", "n * n") "upper, transposed, n, k, alpha, a, beta, c)",
 VJP_syrk, "alpha A A' + beta C, or alpha A' A + beta C, in one triangle; the other stays, or is 0"},
{P "syr2k", "void cblas_" P "syr2k(order, uplo, trans, int n, int k, " C " alpha, a, lda, b, ldb, " C " beta, c, ldc)", NULL,
 "|upper: bool, transposed: bool, n: i64, k: i64, alpha: " T ", a: " VEC ", b: " VEC ", beta: " T ", c: " VEC "| "
 CALL("syr2k", "n * n") "upper, transposed, n, k, alpha, a, b, beta, c)",
 VJP_syr2k, "alpha (A B' + B A') + beta C, or of the transposes, in one triangle; the other stays, or is 0"},
{P "trmm", "void cblas_" P "trmm(order, side, uplo, trans, diag, int m, int n, " C " alpha, a, lda, b, ldb)", NULL,
 "|left: bool, upper: bool, transposed: bool, unit: bool, m: i64, n: i64, alpha: " T ", a: " VEC ", b: " VEC "| "
 CALL("trmm", "m * n") "left, upper, transposed, unit, m, n, alpha, a, b)",
 VJP_trmm, "alpha A B, or alpha B A, A triangular"},
{P "trsm", "void cblas_" P "trsm(order, side, uplo, trans, diag, int m, int n, " C " alpha, a, lda, b, ldb)", NULL,
 "|left: bool, upper: bool, transposed: bool, unit: bool, m: i64, n: i64, alpha: " T ", a: " VEC ", b: " VEC "| "
 CALL("trsm", "m * n") "left, upper, transposed, unit, m, n, alpha, a, b)",
 VJP_trsm, "the X of A X = alpha B, or of X A = alpha B, A triangular; a 0 on the diagonal divides"},
#undef CALL
#undef VEC
    /* clang-format on */
