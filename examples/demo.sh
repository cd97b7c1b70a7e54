#!/bin/sh
# The demo: two queries and a model's training, over a table of a million rows in real files. `./run demo` calls it.
#
#   sh examples/demo.sh BUILD-FOLDER [ROWS]
set -eu
build=$1 rows=${2:-1000000}
examples=$(CDPATH='' cd -- "$(dirname -- "$0")" && pwd -P)
weldc=$build/bin/weldc
table=$build/demo/lineitem-$rows
steps=20

# The table is made once; the marker says that it is complete.
if [ ! -e "$table/complete" ]; then
    mkdir -p "$table"
    "$build/bin/weldc-lineitem" "$rows" "$table"
    : >"$table/complete"
fi

# weld PROGRAM COLUMNS [OPTION | NAME=ARG]...: runs it over columns of the table. The answer goes to $answer, the
# figures to $stats.
weld() {
    program=$examples/$1 columns=$2 log=$build/demo/stats
    shift 2
    for column in $columns; do set -- "$@" "$column=@$table/$column.npy"; done
    answer=$("$weldc" run "$program" --json --stats --no-eval "$@" 2>"$log") || {
        cat "$log" >&2
        exit 1
    }
    stats=$(cat "$log")
}

# figure KEY: a number out of $stats.
figure() {
    printf '%s\n' "$stats" | awk -v key="\"$1\":" '{
        at = index($0, key)
        if (at) { rest = substr($0, at + length(key)); sub(/^[ ]*/, "", rest); sub(/[,}].*/, "", rest); print rest }
    }'
}

# How long it took.
speed() {
    printf '  %s\n\n' "$(awk -v rows="$rows" -v run="$(figure run_ms_min)" -v compile="$(figure codegen_ms)" \
        -v front="$(figure parse_ms) $(figure infer_ms) $(figure optimize_ms)" 'BEGIN {
            split(front, part, " ")
            printf "%.1f ms to compile, %.2f ms to run: %.1f million rows of the table per second",
                compile + part[1] + part[2] + part[3], run, rows / run / 1000
        }')"
}

grouped() { # 1234567.8 -> 1,234,567.80
    awk -v x="$1" 'BEGIN {
        text = sprintf("%.2f", x); digits = substr(text, 1, length(text) - 3); out = substr(text, length(text) - 2)
        while (length(digits) > 3) { out = "," substr(digits, length(digits) - 2) out; digits = substr(digits, 1, length(digits) - 3) }
        print digits out
    }'
}

shown=$(grouped "$rows")
echo "weldc demo: ${shown%.00} rows of orders, a file for each column ($(du -sh "$table" | cut -f1) in ${table#"$PWD"/})"
echo

echo "1. TPC-H query 6: revenue without small discounts in 1994             examples/q6.weld"
weld q6.weld "shipdate discount quantity extendedprice" --repeat 10
printf '  %s\n' "$(grouped "$answer")"
speed

echo "2. TPC-H query 1: pricing summary by return flag and line status      examples/q1.weld"
weld q1.weld "shipdate returnflag linestatus quantity extendedprice discount tax" --repeat 10
printf '%s\n' "$answer" | tr -d '[ ' | tr ']' '\n' | awk -F, '
    BEGIN { printf "  flag  status      quantity             price        discounted            charge     mean qty    count\n" }
    { sub(/^,/, "") }
    NF >= 10 { printf "  %c     %c       %12.0f %17.2f %17.2f %17.2f %12.2f %8d\n", $1 + 0, $2 + 0, $3, $4, $5, $6, $7, $10 }'
speed

echo "3. Analytics and training in one program                             examples/pipeline.weld"
echo "  of the rows shipped from 1994 to 1996, which bring more than 40,000? Filter, build features,"
echo "  standardize them, fit a logistic regression by $steps steps of gradient descent:"
weld pipeline.weld "shipdate quantity extendedprice discount tax" steps="${steps}L" rate=1.0
printf '%s\n' "$answer" | tr -d '[] ' | awk -F, -v steps="$steps" '{
    first = $(6 + 1)
    for (step = 1; step <= steps; step++) {
        if (step > 8 && step % 4 != 0) continue
        loss = $(6 + step); bar = ""
        for (i = 0; i < loss / first * 50; i++) bar = bar "#"
        printf "    step %2d   loss %.4f  %s\n", step, loss, bar
    }
    printf "  %d rows passed the filter; %.1f %% of them are told right\n", $1, 100 * $(6 + steps + 1)
    printf "  weights: quantity %.2f, piece price %.2f, discount %.2f, tax %.2f, constant %.2f\n", $2, $3, $4, $5, $6
}'
speed

echo "Now try: ./run repl, or build/release/bin/weldc run -e '|x: vec[i64]| map(x, |e| e * e)' '[1L, 2L, 3L]'"
