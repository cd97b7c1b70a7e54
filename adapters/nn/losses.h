/* losses.h: rows for activations, softmax and losses. Losses are means, which there are none of no samples. */
/* clang-format off */
#define SIZE "select(e <= " ZERO ", -e, e)"
#define ACTIVATION(name, parameters, text, doc) \
FUSES(name, "|x" parameters "| {map(x.$0, |e| " text "), x.$1, x.$2}", doc ", for each element of a matrix") \
FUSES(name "_of", "|e" parameters "| " text, doc)
#include "activations.def"
#undef ACTIVATION
#undef SIZE

/* The greatest of a row goes out of the exponents, so that none overflows. */
#define TOP "let row = " ROW("x", "r") "; " \
    "let top = result(for(row, merger[?, max], |m, k, e| merge(m, e))); let total = " SUM("row", "exp(e - top)") "; "
#define BY_ROWS(name, text) "|x| let rows = " CHECKED(MATRIX(name, "x"), "x.$1") "; " \
    "{result(for(" RANGE("rows") ", appender(len(x.$0)), |out, i, r| " TOP text ")), rows, x.$2}"
FUSES("softmax", BY_ROWS("softmax", "for(row, out, |o, j, e| merge(o, exp(e - top) / total))"),
    "exp(e) over the sum of these in its row")
FUSES("log_softmax", BY_ROWS("log_softmax", "let scale = top + log(total); for(row, out, |o, j, e| merge(o, e - scale))"),
    "the logarithm of softmax")
FUSES("cross_entropy", "|x, labels| let rows = " CHECKED(MATRIX("cross_entropy", "x") " & "
    SAME("cross_entropy: x has {} rows, but there are {} labels", "x.$1", "len(labels)") " & "
    CHECK("x.$1 > 0L", "cross_entropy: there are no samples"), "x.$1") "; "
    "result(for(zip(" RANGE("rows") ", labels), merger[?, +], |sum, i, at| let r = at.$0; " TOP
    "merge(sum, top + log(total) - lookup(row, at.$1)))) / " REAL("rows"),
    "the mean of -log(softmax) at each row's label, an i64 from 0")
FUSES("argmax", "|x| let rows = " CHECKED(MATRIX("argmax", "x") " & " CHECK("x.$2 > 0L", "argmax: x has no columns"), "x.$1") "; map(" RANGE("rows") ", |r| "
    "let row = " ROW("x", "r") "; let top = result(for(row, merger[?, max], |m, k, e| merge(m, e))); "
    "let at = result(for(row, merger[i64, min], |m, k, e| if(e == top, merge(m, k), m))); "
    "select(at == 9223372036854775807L, 0L, at))",
    "where the first greatest element of each row is; 0 if all are NaN")
FUSES("accuracy", "|x, labels| let n = " CHECKED(CHECK("len(labels) > 0L", "accuracy: there are no labels"), "len(labels)") "; "
    "result(for(zip(nn.argmax(x), labels), merger[f64, +], |sum, i, e| "
    "merge(sum, select(e.$0 == e.$1, 1.0, 0.0)))) / f64(n)",
    "the part of the rows whose greatest element is at the label, an f64")
#define COUNTED(name) "let n = " CHECKED(CHECK("len(y) > 0L", name ": there are no samples"), "len(y)") "; "
#define MEAN(name, of) "|x, y| " COUNTED(name) SUM("zip(x, y)", of) " / " REAL("n")
FUSES("squared_loss", MEAN("squared_loss", "let d = e.$0 - e.$1; d * d"), "the mean of (x - y)^2 of two vectors")
FUSES("absolute_loss", MEAN("absolute_loss", "let d = e.$0 - e.$1; select(d < " ZERO ", -d, d)"), "the mean of |x - y|")
FUSES("huber_loss", "|x, y, delta| " COUNTED("huber_loss") "let half = " ONE " / (" ONE " + " ONE "); "
    SUM("zip(x, y)", "let d = e.$0 - e.$1; let size = select(d < " ZERO ", -d, d); "
    "select(size <= delta, half * d * d, delta * (size - half * delta))") " / " REAL("n"),
    "the mean of d^2 / 2 where |d| = |x - y| is at most delta, else of delta (|d| - delta / 2)")
FUSES("logistic_loss", MEAN("logistic_loss", "nn.softplus_of(e.$0) - e.$1 * e.$0"),
    "the mean of log(1 + exp(x)) - y x: of scores x and labels y, 0 or 1")
FUSES("logistic_fit", "|x, w, b, y| "
    "let rows = " CHECKED(MATRIX("logistic_fit", "x") " & "
    SAME("logistic_fit: x has {} columns, but w has {} elements", "x.$2", "len(w)") " & "
    SAME("logistic_fit: x has {} rows, but y has {} elements", "x.$1", "len(y)") " & "
    CHECK("x.$1 > 0L", "logistic_fit: there are no samples"), "x.$1") "; "
    "result(for(zip(" RANGE("rows") ", y), merger[?, +], |total, i, e| "
    "let score = " SUM_FROM("b", "zip(" ROW("x", "e.$0") ", w)", "e.$0 * e.$1") "; "
    "merge(total, nn.softplus_of(score) - e.$1 * score))) / " REAL("rows"),
    "logistic_loss(linear(x, w, b), y), whose gradient reads x once")
FUSES("finite", "|e| if(" CHECK("e - e == " ZERO, "finite: the value is infinite or no number") ", e, " ZERO ")", "e itself; a failure if it is infinite or no number")
/* clang-format on */
