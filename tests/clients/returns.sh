#!/bin/sh
# returns.sh PROGRAM PREFIX FOLDER: examples/returns.c as its first comment says, and what it leaves; then without orders to learn
# from, without a column, and with a model that is cut off.
set -eu
program=$1 weldc=$2/bin/weldc data=$3/returns.data
score=$(dirname "$0")/../../examples/returns_score.weld

# fails PATTERN COMMAND: it fails, and says so.
fails() {
    pattern=$1
    shift
    if "$@" >"$data/said" 2>&1; then echo "should fail: $*" && exit 1; fi
    grep -q "$pattern" "$data/said" || { echo "$* says" && cat "$data/said" && exit 1; }
}

rm -rf "$data"
"$program" --make 3000 "$data"
"$program" "$data" 50 >"$data/judged" 2>"$data/progress"
grep -q "step 50 of 50, loss 0\.[0-9]*" "$data/progress"
awk '{ exit !($1 > 0.8 && $1 <= 1 && $1 > $3 && $2 > 0) }' "$data/judged"
awk 'NR == 2 { first = $1 } { last = $1 } END { exit !(NR == 51 && last < 0.6 * first) }' "$data/losses.csv"
grep -q '<polyline' "$data/loss.svg" && grep -q '</svg>' "$data/loss.svg"
"$weldc" run "$score" "@$data/model" '{[3.2, 0.1, 2.0, 4.0, 1.0, 6.0, 0.0, 5.0, 0.0, 0.0], 2L, 5L}' |
    tr -d '[]' | awk -F, '{ exit !(NF == 2 && $1 > 0 && $1 < 0.5 && $2 > 0.5 && $2 < 1) }'

head -c 500 "$data/model" >"$data/cut"
fails "cut is cut off" "$weldc" run "$score" "@$data/cut" '{[1.0, 1.0, 1.0, 1.0, 1.0], 1L, 5L}'
fails "error\[ZipMismatch\]" "$weldc" run "$score" "@$data/model" '{[1.0, 1.0], 1L, 2L}'
sed 's/2024-/2022-/' "$data/orders.csv" >"$data/old" && mv "$data/old" "$data/orders.csv"
fails "error\[AssertionFailed\]" "$program" "$data" 50
sed '1s/quantity/number/' "$data/orders.csv" >"$data/other" && mv "$data/other" "$data/orders.csv"
fails "there is no column" "$program" "$data" 50
rm "$data/customers.csv"
fails "customers.csv" "$program" "$data" 50
