/* complex_matrix_rows.h: rows of levels 2 and 3 on complex numbers for one precision; included like complex1.h.
 *
 * Flags as in matrix_rows.h; conjugated counts together with transposed. */
/* clang-format off */
#define NUMBER "{" T ", " T "}"
#define VEC "vec[" NUMBER "]"
#define CALL(name, result) "@(pure: true, threadsafe: true)cfill[weld_cblas_" P name ", " VEC "](" result ", "
{P "gemv", "void cblas_" P "gemv(order, trans, m, n, alpha, a, lda, x, incx, beta, y, incy)", NULL,
 "|transposed: bool, conjugated: bool, m: i64, n: i64, alpha: " NUMBER ", a: " VEC ", x: " VEC ", beta: " NUMBER ", y: " VEC "| "
 CALL("gemv", "select(transposed, n, m)") "transposed, conjugated, m, n, alpha, a, x, beta, y)",
 VJP_C_gemv, "alpha A x + beta y, A of m rows and n columns, or of its transpose, conjugated or not; y may be empty if beta is 0"},
{P "hemv", "void cblas_" P "hemv(order, uplo, n, alpha, a, lda, x, incx, beta, y, incy)", NULL,
 "|upper: bool, n: i64, alpha: " NUMBER ", a: " VEC ", x: " VEC ", beta: " NUMBER ", y: " VEC "| "
 CALL("hemv", "n") "upper, n, alpha, a, x, beta, y)",
 VJP_C_hemv, "alpha A x + beta y of a Hermitian A, of which one triangle is read"},
{P "geru", "void cblas_" P "geru(order, m, n, alpha, x, incx, y, incy, a, lda)", NULL,
 "|m: i64, n: i64, alpha: " NUMBER ", x: " VEC ", y: " VEC ", a: " VEC "| "
 CALL("geru", "m * n") "m, n, alpha, x, y, a)",
 VJP_C_geru, "A + alpha x y', where ' transposes"},
{P "gerc", "void cblas_" P "gerc(order, m, n, alpha, x, incx, y, incy, a, lda)", NULL,
 "|m: i64, n: i64, alpha: " NUMBER ", x: " VEC ", y: " VEC ", a: " VEC "| "
 CALL("gerc", "m * n") "m, n, alpha, x, y, a)",
 VJP_C_gerc, "A + alpha x y*, where * transposes and conjugates"},
{P "her", "void cblas_" P "her(order, uplo, n, alpha, x, incx, a, lda)", NULL,
 "|upper: bool, n: i64, alpha: " T ", x: " VEC ", a: " VEC "| "
 CALL("her", "n * n") "upper, n, alpha, x, a)",
 VJP_C_her, "A + alpha x x* of a real alpha in one triangle; the other stays"},
{P "her2", "void cblas_" P "her2(order, uplo, n, alpha, x, incx, y, incy, a, lda)", NULL,
 "|upper: bool, n: i64, alpha: " NUMBER ", x: " VEC ", y: " VEC ", a: " VEC "| "
 CALL("her2", "n * n") "upper, n, alpha, x, y, a)",
 VJP_C_her2, "A + alpha x y* + (alpha x y*)* in one triangle; the other stays"},
{P "trmv", "void cblas_" P "trmv(order, uplo, trans, diag, n, a, lda, x, incx)", NULL,
 "|upper: bool, transposed: bool, conjugated: bool, unit: bool, n: i64, a: " VEC ", x: " VEC "| "
 CALL("trmv", "n") "upper, transposed, conjugated, unit, n, a, x)",
 VJP_C_trmv, "A x of a triangular A"},
{P "trsv", "void cblas_" P "trsv(order, uplo, trans, diag, n, a, lda, x, incx)", NULL,
 "|upper: bool, transposed: bool, conjugated: bool, unit: bool, n: i64, a: " VEC ", x: " VEC "| "
 CALL("trsv", "n") "upper, transposed, conjugated, unit, n, a, x)",
 VJP_C_trsv, "the y of A y = x, A triangular; a 0 on the diagonal divides"},
{P "gemm", "void cblas_" P "gemm(order, transa, transb, m, n, k, alpha, a, lda, b, ldb, beta, c, ldc)", NULL,
 "|transpose_a: bool, conjugate_a: bool, transpose_b: bool, conjugate_b: bool, m: i64, n: i64, k: i64, alpha: " NUMBER ", a: " VEC ", b: " VEC ", beta: " NUMBER ", c: " VEC "| "
 CALL("gemm", "m * n") "transpose_a, conjugate_a, transpose_b, conjugate_b, m, n, k, alpha, a, b, beta, c)",
 VJP_C_gemm, "alpha A B + beta C, A and B or their transposes, conjugated or not; C may be empty if beta is 0"},
{P "symm", "void cblas_" P "symm(order, side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc)", NULL,
 "|left: bool, upper: bool, m: i64, n: i64, alpha: " NUMBER ", a: " VEC ", b: " VEC ", beta: " NUMBER ", c: " VEC "| "
 CALL("symm", "m * n") "left, upper, m, n, alpha, a, b, beta, c)",
 VJP_C_symm, "alpha A B + beta C, or alpha B A + beta C, A symmetric"},
{P "hemm", "void cblas_" P "hemm(order, side, uplo, m, n, alpha, a, lda, b, ldb, beta, c, ldc)", NULL,
 "|left: bool, upper: bool, m: i64, n: i64, alpha: " NUMBER ", a: " VEC ", b: " VEC ", beta: " NUMBER ", c: " VEC "| "
 CALL("hemm", "m * n") "left, upper, m, n, alpha, a, b, beta, c)",
 VJP_C_hemm, "the same, A Hermitian"},
{P "syrk", "void cblas_" P "syrk(order, uplo, trans, n, k, alpha, a, lda, beta, c, ldc)", NULL,
 "|upper: bool, transposed: bool, n: i64, k: i64, alpha: " NUMBER ", a: " VEC ", beta: " NUMBER ", c: " VEC "| "
 CALL("syrk", "n * n") "upper, transposed, n, k, alpha, a, beta, c)",
 VJP_C_syrk, "alpha A A' + beta C, or alpha A' A + beta C, in one triangle; the other stays, or is 0"},
{P "herk", "void cblas_" P "herk(order, uplo, trans, n, k, alpha, a, lda, beta, c, ldc)", NULL,
 "|upper: bool, transposed: bool, n: i64, k: i64, alpha: " T ", a: " VEC ", beta: " T ", c: " VEC "| "
 CALL("herk", "n * n") "upper, transposed, n, k, alpha, a, beta, c)",
 VJP_C_herk, "alpha A A* + beta C, or alpha A* A + beta C, alpha and beta real, in one triangle; the other stays, or is 0"},
{P "syr2k", "void cblas_" P "syr2k(order, uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc)", NULL,
 "|upper: bool, transposed: bool, n: i64, k: i64, alpha: " NUMBER ", a: " VEC ", b: " VEC ", beta: " NUMBER ", c: " VEC "| "
 CALL("syr2k", "n * n") "upper, transposed, n, k, alpha, a, b, beta, c)",
 VJP_C_syr2k, "alpha (A B' + B A') + beta C, or of the transposes, in one triangle; the other stays, or is 0"},
{P "her2k", "void cblas_" P "her2k(order, uplo, trans, n, k, alpha, a, lda, b, ldb, beta, c, ldc)", NULL,
 "|upper: bool, transposed: bool, n: i64, k: i64, alpha: " NUMBER ", a: " VEC ", b: " VEC ", beta: " T ", c: " VEC "| "
 CALL("her2k", "n * n") "upper, transposed, n, k, alpha, a, b, beta, c)",
 VJP_C_her2k, "alpha A B* + (alpha A B*)* + beta C, or of the transposes, beta real, in one triangle; the other stays, or is 0"},
{P "trmm", "void cblas_" P "trmm(order, side, uplo, trans, diag, m, n, alpha, a, lda, b, ldb)", NULL,
 "|left: bool, upper: bool, transposed: bool, conjugated: bool, unit: bool, m: i64, n: i64, alpha: " NUMBER ", a: " VEC ", b: " VEC "| "
 CALL("trmm", "m * n") "left, upper, transposed, conjugated, unit, m, n, alpha, a, b)",
 VJP_C_trmm, "alpha A B, or alpha B A, A triangular"},
{P "trsm", "void cblas_" P "trsm(order, side, uplo, trans, diag, m, n, alpha, a, lda, b, ldb)", NULL,
 "|left: bool, upper: bool, transposed: bool, conjugated: bool, unit: bool, m: i64, n: i64, alpha: " NUMBER ", a: " VEC ", b: " VEC "| "
 CALL("trsm", "m * n") "left, upper, transposed, conjugated, unit, m, n, alpha, a, b)",
 VJP_C_trsm, "the X of A X = alpha B, or of X A = alpha B, A triangular; a 0 on the diagonal divides"},
#undef NUMBER
#undef VEC
#undef CALL
    /* clang-format on */
