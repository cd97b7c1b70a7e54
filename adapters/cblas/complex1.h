/* complex1.h: rows of BLAS level 1 on complex numbers, {real, imaginary}, for one precision, written in the language.
 *
 * Included in the table of cblas.c once for each precision, with
 *     P      its letter: "z"             R      that of its real numbers: "d"
 *     T      their type: "f64"           C      their type in C: "double"
 *     Z      the suffix of literals      NORM   the text of nrm2
 * As in level1.h, what the library does not compute for a factor of 0 is not looked at.
 */
/* clang-format off */
#define NUMBER "{" T ", " T "}"
#define VEC "vec[" NUMBER "]"
#define IS_0(a) a ".$0 == 0.0" Z " && " a ".$1 == 0.0" Z
#define PRODUCT_OF(a, x) "{" a ".$0 * " x ".$0 - " a ".$1 * " x ".$1, " a ".$0 * " x ".$1 + " a ".$1 * " x ".$0}"
#define SIZE_OF(e) "(select(" e ".$0 < 0.0" Z ", -" e ".$0, " e ".$0) + select(" e ".$1 < 0.0" Z ", -" e ".$1, " e ".$1))"
{P "dotu", "void cblas_" P "dotu_sub(int n, const void *x, int incx, const void *y, int incy, void *dot)",
 "|x: " VEC ", y: " VEC "| result(for(zip(x, y), merger[" NUMBER ", +], |b, i, e| let u = e.$0; let v = e.$1; "
 "merge(b, " PRODUCT_OF("u", "v") ")))", NULL, NULL, "the sum of the products of two vectors"},
{P "dotc", "void cblas_" P "dotc_sub(int n, const void *x, int incx, const void *y, int incy, void *dot)",
 "|x: " VEC ", y: " VEC "| result(for(zip(x, y), merger[" NUMBER ", +], |b, i, e| let u = {e.$0.$0, -e.$0.$1}; let v = e.$1; "
 "merge(b, " PRODUCT_OF("u", "v") ")))", NULL, NULL, "the sum of the products of a vector's conjugates and another vector"},
{P "axpy", "void cblas_" P "axpy(int n, const void *a, const void *x, int incx, void *y, int incy)",
 "|a: " NUMBER ", x: " VEC ", y: " VEC "| let zero = " IS_0("a") "; map(zip(x, y), |e| let u = e.$0; let v = e.$1; "
 "let p = " PRODUCT_OF("a", "u") "; {select(zero, v.$0, p.$0 + v.$0), select(zero, v.$1, p.$1 + v.$1)})", NULL, NULL, "a x + y"},
{P "axpby", "void cblas_" P "axpby(int n, const void *a, const void *x, int incx, const void *b, void *y, int incy)",
 "|a: " NUMBER ", x: " VEC ", c: " NUMBER ", y: " VEC "| let no_a = " IS_0("a") "; let no_c = " IS_0("c") "; "
 "map(zip(x, y), |e| let u = e.$0; let v = e.$1; let p = " PRODUCT_OF("a", "u") "; let q = " PRODUCT_OF("c", "v") "; "
 "{select(no_a, 0.0" Z ", p.$0) + select(no_c, 0.0" Z ", q.$0), select(no_a, 0.0" Z ", p.$1) + select(no_c, 0.0" Z ", q.$1)})",
 NULL, NULL, "a x + b y"},
{P "scal", "void cblas_" P "scal(int n, const void *a, void *x, int incx)",
 "|a: " NUMBER ", x: " VEC "| map(x, |u| " PRODUCT_OF("a", "u") ")", NULL, NULL, "a x"},
{P R "scal", "void cblas_" P R "scal(int n, " C " a, void *x, int incx)",
 "|a: " T ", x: " VEC "| map(x, |u| {a * u.$0, a * u.$1})", NULL, NULL, "a x of a real a"},
{P "copy", "void cblas_" P "copy(int n, const void *x, int incx, void *y, int incy)",
 "|x: " VEC "| x", NULL, NULL, "x; vectors never change, so there is nothing to copy"},
{P "swap", "void cblas_" P "swap(int n, void *x, int incx, void *y, int incy)",
 "|x: " VEC ", y: " VEC "| {y, x}", NULL, NULL, "the pair {y, x}"},
{R P "nrm2", C " cblas_" R P "nrm2(int n, const void *x, int incx)", NORM, NULL, NULL,
 "the Euclidean norm, without overflow or underflow on the way"},
{R P "asum", C " cblas_" R P "asum(int n, const void *x, int incx)",
 "|x: " VEC "| result(for(x, merger[" T ", +], |b, i, e| merge(b, " SIZE_OF("e") ")))",
 NULL, NULL, "the sum of the absolute values of real and imaginary parts"},
{"i" P "amax", "size_t cblas_i" P "amax(int n, const void *x, int incx)",
 "|x: " VEC "| let sizes = map(x, |e| " SIZE_OF("e") "); "
 "let most = result(for(sizes, merger[" T ", max], |b, i, e| merge(b, e))); "
 "let at = result(for(sizes, merger[i64, min], |b, i, e| if(e == most || i == 0L && e != e, merge(b, i), b))); "
 "select(at == 9223372036854775807L, 0L, at)",
 NULL, NULL, "where the first element with the greatest sum of absolute parts is, from 0; 0 if there are none"},
{P R "rot", "void cblas_" P R "rot(int n, void *x, int incx, void *y, int incy, " C " c, " C " s)",
 "|x: " VEC ", y: " VEC ", c: " T ", s: " T "| "
 "result(for(zip(x, y), {appender[" NUMBER "], appender[" NUMBER "]}, |b, i, e| let u = e.$0; let v = e.$1; "
 "merge(b, {{c * u.$0 + s * v.$0, c * u.$1 + s * v.$1}, {c * v.$0 - s * u.$0, c * v.$1 - s * u.$1}})))",
 NULL, NULL, "the pair {c x + s y, c y - s x}"},
#undef NUMBER
#undef VEC
#undef IS_0
#undef PRODUCT_OF
#undef SIZE_OF
    /* clang-format on */
