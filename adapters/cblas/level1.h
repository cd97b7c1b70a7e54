/* level1.h: rows of BLAS level 1 for one precision, written in the language.
 *
 * Included in the table of cblas.c once for each precision, with
 *     P      its letter: "d"             T     its type: "f64"
 *     C      its type in C: "double"     Z     the suffix of its literals: "" or "f"
 *     NORM   the text of nrm2
 * All are one loop over their vectors, so that they fuse. What the library does not compute for a factor of 0 (axpy's x,
 * axpby's x and y) is not looked at here either: a NaN there does not reach the result.
 */
/* clang-format off */
{P "dot", C " cblas_" P "dot(int n, const " C " *x, int incx, const " C " *y, int incy)",
 "|x: vec[" T "], y: vec[" T "]| result(for(zip(x, y), merger[" T ", +], |b, i, e| merge(b, e.$0 * e.$1)))",
 NULL, NULL, "the sum of the products of two vectors"},
{P "axpy", "void cblas_" P "axpy(int n, " C " a, const " C " *x, int incx, " C " *y, int incy)",
 "|a: " T ", x: vec[" T "], y: vec[" T "]| map(zip(x, y), |e| select(a == 0.0" Z ", e.$1, a * e.$0 + e.$1))",
 NULL, NULL, "a x + y"},
{P "axpby", "void cblas_" P "axpby(int n, " C " a, const " C " *x, int incx, " C " b, " C " *y, int incy)",
 "|a: " T ", x: vec[" T "], c: " T ", y: vec[" T "]| map(zip(x, y), |e| "
 "select(a == 0.0" Z ", 0.0" Z ", a * e.$0) + select(c == 0.0" Z ", 0.0" Z ", c * e.$1))",
 NULL, NULL, "a x + b y"},
{P "scal", "void cblas_" P "scal(int n, " C " a, " C " *x, int incx)",
 "|a: " T ", x: vec[" T "]| map(x, |e| a * e)", NULL, NULL, "a x"},
{P "copy", "void cblas_" P "copy(int n, const " C " *x, int incx, " C " *y, int incy)",
 "|x: vec[" T "]| x", NULL, NULL, "x; vectors never change, so there is nothing to copy"},
{P "swap", "void cblas_" P "swap(int n, " C " *x, int incx, " C " *y, int incy)",
 "|x: vec[" T "], y: vec[" T "]| {y, x}", NULL, NULL, "the pair {y, x}"},
{P "nrm2", C " cblas_" P "nrm2(int n, const " C " *x, int incx)", NORM, NULL, NULL,
 "the Euclidean norm, without overflow or underflow on the way"},
{P "asum", C " cblas_" P "asum(int n, const " C " *x, int incx)",
 "|x: vec[" T "]| result(for(x, merger[" T ", +], |b, i, e| merge(b, select(e < 0.0" Z ", -e, e))))",
 NULL, NULL, "the sum of the absolute values"},
{"i" P "amax", "size_t cblas_i" P "amax(int n, const " C " *x, int incx)",
 "|x: vec[" T "]| let most = result(for(x, merger[" T ", max], |b, i, e| merge(b, select(e < 0.0" Z ", -e, e)))); "
 "let at = result(for(x, merger[i64, min], |b, i, e| "
 "if(select(e < 0.0" Z ", -e, e) == most || i == 0L && e != e, merge(b, i), b))); "
 "select(at == 9223372036854775807L, 0L, at)",
 NULL, NULL, "where the first element of greatest absolute value is, from 0; 0 if there are none"},
{P "rot", "void cblas_" P "rot(int n, " C " *x, int incx, " C " *y, int incy, " C " c, " C " s)",
 "|x: vec[" T "], y: vec[" T "], c: " T ", s: " T "| "
 "result(for(zip(x, y), {appender[" T "], appender[" T "]}, |b, i, e| "
 "merge(b, {c * e.$0 + s * e.$1, c * e.$1 - s * e.$0})))",
 NULL, NULL, "the pair {c x + s y, c y - s x}: points turned in the plane"},
{P "rotm", "void cblas_" P "rotm(int n, " C " *x, int incx, " C " *y, int incy, const " C " *p)",
 "|x: vec[" T "], y: vec[" T "], p: vec[" T "]| "
 "let flag = lookup(p, 0L); let identity = flag == -2.0" Z "; let full = flag < 0.0" Z "; let cross = flag == 0.0" Z "; "
 "let a = if(identity || cross, 1.0" Z ", lookup(p, 1L)); "
 "let c = if(identity, 0.0" Z ", if(full || cross, lookup(p, 2L), -1.0" Z ")); "
 "let d = if(identity, 0.0" Z ", if(full || cross, lookup(p, 3L), 1.0" Z ")); "
 "let e = if(identity || cross, 1.0" Z ", lookup(p, 4L)); "
 "result(for(zip(x, y), {appender[" T "], appender[" T "]}, |b, i, v| "
 "merge(b, {select(identity, v.$0, a * v.$0 + d * v.$1), select(identity, v.$1, c * v.$0 + e * v.$1)})))",
 NULL, NULL, "the pair {x, y} times the matrix that p = [flag, h11, h21, h12, h22] stands for"},
{P "rotg", "void cblas_" P "rotg(" C " *a, " C " *b, " C " *c, " C " *s)",
 "|a: " T ", b0: " T "| let p = select(a < 0.0" Z ", -a, a); let q = select(b0 < 0.0" Z ", -b0, b0); let most = max(p, q); "
 "let unit = select(most - most == 0.0" Z ", most, 1.0" Z "); let u = a / unit; let v = b0 / unit; "
 "let w = select(select(p > q, a, b0) < 0.0" Z ", -sqrt(u * u + v * v), sqrt(u * u + v * v)); "
 "if(p + q == 0.0" Z ", {0.0" Z ", 0.0" Z ", 1.0" Z ", 0.0" Z "}, "
 "(let r = unit * w; "
 "{r, if(a == 0.0" Z ", 1.0" Z ", if(p > q, v / w, if(u * u > 1e-30" Z ", w / u, r / a))), u / w, v / w}))",
 "|a: " T ", b: " T "| @(pure: true, threadsafe: true)cfill[weld_cblas_" P "rotg, {" T ", " T ", " T ", " T "}]({}, a, b)",
 NULL, "{r, z, c, s}: the rotation that makes b 0"},
{P "rotmg", "void cblas_" P "rotmg(" C " *d1, " C " *d2, " C " *x, " C " y, " C " *p)", NULL,
 "|d1: " T ", d2: " T ", x: " T ", y: " T "| @(pure: true, threadsafe: true)"
 "cfill[weld_cblas_" P "rotmg, {" T ", " T ", " T ", vec[" T "]}](5L, d1, d2, x, y)",
 NULL, "{d1, d2, x, p}: the scaled rotation that makes y 0, p as rotm takes it"},
    /* clang-format on */
