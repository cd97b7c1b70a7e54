/* matrices.h: rows for matrices: products, dense layers, rows by number.
 *
 * dense adds up products along rows of both matrices. matmul adds multiples of the second one's rows to a row of the
 * result, so that neither walks down a column. */
/* clang-format off */
FUSES("real", "|n, like| iterate({n, " ONE ", select(true, " ZERO ", like)}, |s| "
    "{{s.$0 / 2L, s.$1 + s.$1, select(s.$0 % 2L == 1L, s.$2 + s.$1, s.$2)}, s.$0 > 1L}).$2",
    "the number n, an i64 from 0 on, as a number of the type of `like`")
FUSES("dense", "|x, w, b| "
    "let rows = " CHECKED(IS_MATRIX("x") " && " IS_MATRIX("w") " && x.$2 == w.$2 && len(b) == w.$1", "x.$1") "; "
    "{result(for(" RANGE("rows") ", appender(rows * w.$1), |out, i, r| let row = " ROW("x", "r") "; "
    "for(b, out, |o, j, bias| merge(o, bias + "
    "result(for(zip(row, " ROW("w", "j") "), merger[?, +], |s, k, e| merge(s, e.$0 * e.$1))))))), rows, w.$1}",
    "x w' + b for each row of x; w has a row for each output")
FUSES("linear", "|x, w, b| let rows = " CHECKED(IS_MATRIX("x") " && x.$2 == len(w)", "x.$1") "; "
    "map(" RANGE("rows") ", |r| b + " SUM("zip(" ROW("x", "r") ", w)", "e.$0 * e.$1") ")",
    "the vector x w + b of a vector w and a number b: dense with one output")
FUSES("matmul", "|x, y| let rows = " CHECKED(IS_MATRIX("x") " && " IS_MATRIX("y") " && x.$2 == y.$1", "x.$1") "; "
    "let zeros = " ZEROS("y.$2") "; "
    "{result(for(" RANGE("rows") ", appender(rows * y.$2), |out, i, r| "
    "let sums = result(for(zip(" ROW("x", "r") ", " RANGE("y.$1") "), vecmerger[?, +](zeros), |s, k, e| "
    "for(" ROW("y", "e.$1") ", s, |t, j, v| merge(t, {j, e.$0 * v})))); "
    "for(sums, out, |o, j, v| merge(o, v)))), rows, y.$2}",
    "the product of two matrices")
FUSES("transpose", "|x| let columns = " CHECKED(IS_MATRIX("x"), "x.$2") "; "
    "{result(for(" RANGE("columns") ", appender(x.$1 * columns), |out, i, j| "
    "for(" RANGE("x.$1") ", out, |o, k, r| merge(o, lookup(x.$0, r * columns + j))))), columns, x.$1}",
    "the matrix whose rows are the columns of x")
FUSES("add", "|x, y| let rows = " CHECKED("x.$1 == y.$1 && x.$2 == y.$2", "x.$1") "; "
    "{map(zip(x.$0, y.$0), |e| e.$0 + e.$1), rows, x.$2}", "x + y of two matrices of one shape")
FUSES("reshape", "|x, rows, columns| {x.$0, " CHECKED("len(x.$0) == rows * columns", "rows") ", columns}",
    "the elements of a matrix, in their order, as another of this shape")
FUSES("rows", "|x, at| let columns = " CHECKED(IS_MATRIX("x"), "x.$2") "; "
    "{result(for(at, appender(len(at) * columns), |out, i, r| "
    "for(iter(x.$0, r * columns, r * columns + columns, 1L), out, |o, j, e| merge(o, e)))), len(at), columns}",
    "the matrix of the rows of x with these numbers, each as often as it is named")
FUSES("elements", "|v, at| map(at, |i| lookup(v, i))", "the elements of v with these numbers")
/* clang-format on */
