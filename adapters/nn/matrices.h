/* matrices.h: rows for matrices: products, dense layers, rows by number.
 *
 * Where BLAS is installed dense and matmul are one call of it each (product.c), whose derivative is two more. It was faster than the
 * loops below from the smallest sizes on: equal for 64 x 8 by 8 x 8 and for 256 x 256 by 256 x 10, twice as fast for 64 x 16 by
 * 16 x 16, six times for 256 x 784 by 784 x 256. With one output a layer is bound by memory: linear is a loop, which fuses.
 *
 * The loops: dense adds up products along rows of both matrices; matmul adds multiples of the second one's rows to a row of the
 * result, so that neither walks down a column. */
/* clang-format off */
/* `like`, which nobody needs, says what type is made. */
#define PRODUCT(ta, tb, m, n, k, a, b, c) "(let made = @(pure: true, threadsafe: true, product: true)cfill[weld_nn_product, vec[?]](" \
    m " * " n ", " ta ", " tb ", " m ", " n ", " k ", nn.width(" a "), " a ", " b ", " c "); let like = [made, " a "]; made)"
#define ADJOINT(ta, tb, m, n, k, a, b) PRODUCT(ta, tb, m, n, k, a, b, "slice(" a ", 0L, 0L)")
{"product", "", NULL, "|ta: bool, tb: bool, m: i64, n: i64, k: i64, a, b, c| "
    PRODUCT("ta", "tb", "m", "n", "k", "a", "b", "c"),
    "|ta, tb, m, n, k, width, a, b, c, r, g| "
    "{if(ta, " ADJOINT("tb", "true", "k", "m", "n", "b", "g") ", " ADJOINT("false", "!tb", "m", "k", "n", "g", "b") "), "
    "if(tb, " ADJOINT("true", "ta", "n", "k", "m", "g", "a") ", " ADJOINT("!ta", "false", "k", "n", "m", "a", "g") "), "
    "result(for(" RANGE("if(len(c) > 0L, m, 0L)") ", vecmerger[?, +](map(c, |e| " ZERO ")), |sums, i, r| "
    "for(slice(g, r * n, n), sums, |s, j, e| merge(s, {j, e}))))}",
    "A B + c: m rows and n columns, sums of k; A, B are a and b or their transposes; c is for each row, or empty"},
FUSES("width", "|v| let one = result(for(slice(v, 0L, 0L), merger[?, *], |b, i, e| merge(b, e))); "
    "let a = one + one; let b = a * a; let c = b * b; let d = c * c; let e = d * d; "
    "select(one + one / (e * d * b) == one, 4L, 8L)", "the bytes of an element of v: 4 of f32, 8 of f64")
FUSES("real", "|n, like| iterate({n, " ONE ", select(true, " ZERO ", like)}, |s| "
    "{{s.$0 / 2L, s.$1 + s.$1, select(s.$0 % 2L == 1L, s.$2 + s.$1, s.$2)}, s.$0 > 1L}).$2",
    "the number n, an i64 from 0 on, as a number of the type of `like`")
FUSES("dense", "|x, w, b| "
    "let rows = " CHECKED(MATRIX("dense", "x") " & " MATRIX("dense", "w") " & "
    SAME("dense: x has {} columns, but w has {}", "x.$2", "w.$2") " & "
    SAME("dense: b has {} elements, but w has {} rows", "len(b)", "w.$1"), "x.$1") "; "
#if defined(WELD_NN_BLAS)
    "{nn.product(false, true, rows, w.$1, w.$2, x.$0, w.$0, b), rows, w.$1}",
#else
    "{result(for(" RANGE("rows") ", appender(rows * w.$1), |out, i, r| let row = " ROW("x", "r") "; "
    "for(b, out, |o, j, bias| merge(o, bias + "
    "result(for(zip(row, " ROW("w", "j") "), merger[?, +], |s, k, e| merge(s, e.$0 * e.$1))))))), rows, w.$1}",
#endif
    "x w' + b for each row of x; w has a row for each output")
FUSES("linear", "|x, w, b| let rows = " CHECKED(MATRIX("linear", "x") " & "
    SAME("linear: x has {} columns, but w has {} elements", "x.$2", "len(w)"), "x.$1") "; "
    "map(" RANGE("rows") ", |r| " SUM_FROM("b", "zip(" ROW("x", "r") ", w)", "e.$0 * e.$1") ")",
    "the vector x w + b of a vector w and a number b: dense with one output")
FUSES("matmul", "|x, y| let rows = " CHECKED(MATRIX("matmul", "x") " & " MATRIX("matmul", "y") " & "
    SAME("matmul: x has {} columns, but y has {} rows", "x.$2", "y.$1"), "x.$1") "; "
#if defined(WELD_NN_BLAS)
    "{nn.product(false, false, rows, y.$2, y.$1, x.$0, y.$0, slice(x.$0, 0L, 0L)), rows, y.$2}",
#else
    "let zeros = " ZEROS("y.$2") "; "
    "{result(for(" RANGE("rows") ", appender(rows * y.$2), |out, i, r| "
    "let sums = result(for(zip(" ROW("x", "r") ", " RANGE("y.$1") "), vecmerger[?, +](zeros), |s, k, e| "
    "for(" ROW("y", "e.$1") ", s, |t, j, v| merge(t, {j, e.$0 * v})))); "
    "for(sums, out, |o, j, v| merge(o, v)))), rows, y.$2}",
#endif
    "the product of two matrices")
FUSES("transpose", "|x| let columns = " CHECKED(MATRIX("transpose", "x"), "x.$2") "; "
    "{result(for(" RANGE("columns") ", appender(x.$1 * columns), |out, i, j| "
    "for(" RANGE("x.$1") ", out, |o, k, r| merge(o, lookup(x.$0, r * columns + j))))), columns, x.$1}",
    "the matrix whose rows are the columns of x")
FUSES("add", "|x, y| let rows = " CHECKED(SAME("add: x has {} rows, but y has {}", "x.$1", "y.$1") " & "
    SAME("add: x has {} columns, but y has {}", "x.$2", "y.$2"), "x.$1") "; "
    "{map(zip(x.$0, y.$0), |e| e.$0 + e.$1), rows, x.$2}", "x + y of two matrices of one shape")
FUSES("reshape", "|x, rows, columns| {x.$0, " "if(assert(len(x.$0) == rows * columns, "
    "\"reshape: x has {} elements, not {} rows of {}\", len(x.$0), rows, columns), rows, 0L)" ", columns}",
    "the elements of a matrix, in their order, as another of this shape")
FUSES("rows", "|x, at| let columns = " CHECKED(MATRIX("rows", "x"), "x.$2") "; "
    "{result(for(at, appender(len(at) * columns), |out, i, r| "
    "for(iter(x.$0, r * columns, r * columns + columns, 1L), out, |o, j, e| merge(o, e)))), len(at), columns}",
    "the matrix of the rows of x with these numbers, each as often as it is named")
FUSES("elements", "|v, at| map(at, |i| lookup(v, i))", "the elements of v with these numbers")
    /* clang-format on */
