/* cells.h: rows for normalization, embedding and recurrent cells.
 *
 * Cells take a batch, a matrix with a row for each sequence, and the states of the step before. Weights are those of dense for
 * the input (w, b) and for the state (u, c); where a cell has gates, their rows stand one below the other. */
/* clang-format off */
FUSES("column_sum", "|x| let rows = " CHECKED(MATRIX("column_sum", "x"), "x.$1") "; let zeros = " ZEROS("x.$2") "; "
    "result(for(" RANGE("rows") ", vecmerger[?, +](zeros), |sums, i, r| "
    "for(" ROW("x", "r") ", sums, |s, j, e| merge(s, {j, e}))))", "the sum of each column")
#define SOME_ROWS(name) "let count = " CHECKED(CHECK("x.$1 > 0L", name ": x has no rows"), "x.$1") "; "
FUSES("column_mean", "|x| " SOME_ROWS("column_mean") "let rows = " REAL("count") "; map(nn.column_sum(x), |e| e / rows)", "the mean of each column")
FUSES("column_variance", "|x| " SOME_ROWS("column_variance") "let rows = " CHECKED(MATRIX("column_variance", "x"), "x.$1") "; let zeros = " ZEROS("x.$2") "; "
    "let mean = nn.column_mean(x); let n = " REAL("count") "; "
    "map(result(for(" RANGE("rows") ", vecmerger[?, +](zeros), |sums, i, r| for(zip(" ROW("x", "r") ", mean), sums, "
    "|s, j, e| let d = e.$0 - e.$1; merge(s, {j, d * d})))), |e| e / n)",
    "the mean squared distance of each column from its mean")
FUSES("batch_norm_by", "|x, mean, variance, gain, bias, epsilon| let rows = " CHECKED(MATRIX("batch_norm", "x"), "x.$1") "; "
    "let scale = map(zip(variance, gain), |e| e.$1 / sqrt(e.$0 + epsilon)); "
    "{result(for(" RANGE("rows") ", appender(len(x.$0)), |out, i, r| for(zip(" ROW("x", "r") ", mean, scale, bias), out, "
    "|o, j, e| merge(o, (e.$0 - e.$1) * e.$2 + e.$3)))), rows, x.$2}",
    "gain (x - mean) / sqrt(variance + epsilon) + bias, each column by its own")
FUSES("batch_norm", "|x, gain, bias, epsilon| "
    "nn.batch_norm_by(x, nn.column_mean(x), nn.column_variance(x), gain, bias, epsilon)",
    "batch_norm_by the columns' own mean and variance")
FUSES("batch_norm_track", "|s, x, keep| let blend = |old, new| map(zip(old, new), |e| keep * e.$0 + (" ONE " - keep) * e.$1); "
    "{blend(s.$0, nn.column_mean(x)), blend(s.$1, nn.column_variance(x))}",
    "the running s = {mean, variance} after a batch x, for batch_norm_by: keep s + (1 - keep) that of x")
FUSES("layer_norm", "|x, gain, bias, epsilon| let rows = " CHECKED(MATRIX("layer_norm", "x"), "x.$1") "; let n = " REAL("x.$2") "; "
    "{result(for(" RANGE("rows") ", appender(len(x.$0)), |out, i, r| let row = " ROW("x", "r") "; "
    "let mean = " SUM("row", "e") " / n; let variance = " SUM("row", "(let d = e - mean; d * d)") " / n; "
    "let scale = " ONE " / sqrt(variance + epsilon); "
    "for(zip(row, gain, bias), out, |o, j, e| merge(o, (e.$0 - mean) * scale * e.$1 + e.$2)))), rows, x.$2}",
    "gain (x - mean) / sqrt(variance + epsilon) + bias by the mean and variance of each row")
FUSES("embedding", "|table, ids| nn.rows(table, ids)", "the row of each id, an i64, in a table")
FUSES("rnn", "|x, h, w, b, u, c| nn.tanh(nn.add(nn.dense(x, w, b), nn.dense(h, u, c)))",
    "the next state, tanh(x w' + b + h u' + c)")
#define PART(m, k) "slice(" m ".$0, r * " m ".$2 + " k " * n, n)"
FUSES("lstm", "|x, h, s, w, b, u, c| let a = nn.add(nn.dense(x, w, b), nn.dense(h, u, c)); let n = s.$2; "
    "let rows = " CHECKED(MATRIX("lstm", "s") " & " SAME("lstm: s has {} rows, but x has {}", "s.$1", "a.$1") " & "
    SAME("lstm: w has {} rows, where four for each of the columns of s are {}", "a.$2", "4L * n"), "s.$1") "; "
    "let next = result(for(" RANGE("rows") ", {appender, appender}, |out, i, r| "
    "for(zip(" PART("a", "0L") ", " PART("a", "1L") ", " PART("a", "2L") ", " PART("a", "3L") ", " ROW("s", "r") "), out, "
    "|o, j, e| let cell = nn.sigmoid_of(e.$1) * e.$4 + nn.sigmoid_of(e.$0) * tanh(e.$2); "
    "merge(o, {nn.sigmoid_of(e.$3) * tanh(cell), cell})))); {{next.$0, rows, n}, {next.$1, rows, n}}",
    "{h, s} after a step of an LSTM with state h and cells s; gates: input, forget, cell, output")
FUSES("gru", "|x, h, w, b, u, c| let a = nn.dense(x, w, b); let z = nn.dense(h, u, c); let n = h.$2; "
    "let rows = " CHECKED(SAME("gru: h has {} rows, but x has {}", "h.$1", "x.$1") " & "
    SAME("gru: w has {} rows, where three for each of the columns of h are {}", "a.$2", "3L * n") " & "
    SAME("gru: u has {} rows, where three for each of the columns of h are {}", "z.$2", "3L * n"), "h.$1") "; "
    "{result(for(" RANGE("rows") ", appender(len(h.$0)), |out, i, r| "
    "for(zip(" PART("a", "0L") ", " PART("a", "1L") ", " PART("a", "2L") ", " PART("z", "0L") ", " PART("z", "1L") ", "
    PART("z", "2L") ", " ROW("h", "r") "), out, |o, j, e| let keep = nn.sigmoid_of(e.$1 + e.$4); "
    "let new = tanh(e.$2 + nn.sigmoid_of(e.$0 + e.$3) * e.$5); merge(o, new + keep * (e.$6 - new))))), rows, n}",
    "the next state of a GRU with state h; gates: reset, update, new")
/* clang-format on */
