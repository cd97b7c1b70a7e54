#!/bin/sh
# command.sh WELDC MPIRUN: the weldc command on three ranks does what it does alone, and says it once.
set -eu
weldc=$1 mpirun=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

# same NAME ARGUMENT...: the same result, status and message as alone.
same() {
    name=$1
    shift
    alone=0 ranks=0
    "$weldc" run --no-eval "$@" >"$dir/alone" 2>"$dir/alone.err" || alone=$?
    "$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval "$@" >"$dir/ranks" 2>"$dir/ranks.err" || ranks=$?
    [ $alone = $ranks ] || { echo "$name: status $ranks, alone $alone"; cat "$dir/ranks.err"; exit 1; }
    cmp "$dir/alone" "$dir/ranks" || { echo "$name: another result"; exit 1; }
    [ "$(grep -c 'error\[' "$dir/alone.err")" = "$(grep -c 'error\[' "$dir/ranks.err")" ] ||
        { echo "$name: another number of messages"; cat "$dir/ranks.err"; exit 1; }
}

v='[3L, 1L, 4L, 1L, 5L, 9L, 2L, 6L, 5L, 3L, 5L]'
same sum -e '|v: vec[i64]| result(for(v, merger[i64,+], |b, i, x| merge(b, x * i)))' "$v"
same filter -e '|v: vec[i64]| result(for(v, appender[i64], |b, i, x| if(x > 2L, merge(b, x), b)))' "$v"
same sort --json -e '|v: vec[i64]| sort(v, |a, b| compare(a, b))' "$v"
same count -e '|v: vec[i64]| result(for(v, dictmerger[i64,i64,+], |b, i, x| merge(b, {x, 1L})))' "$v"
same words examples/wordcount.weld '"one two one three one two"'
same fails -e '|v: vec[i64]| result(for(v, appender[i64], |b, i, x| merge(b, lookup(v, x + 4L))))' "$v"
same mistyped -e '|v: vec[i64]| v + 1L' "$v"

"$mpirun" --oversubscribe -n 2 "$weldc" run --no-eval --stats -e '|v: vec[f64]| result(for(v, merger[f64,+], |b, i, x| merge(b, x)))' \
    '[1.0, 2.0]' 2>&1 >/dev/null | grep -q '"transport": "mpi", "ranks": 2, "sent_bytes": 16' ||
    { echo "--stats does not report the ranks"; exit 1; }
echo "3 ranks: the same as alone"
