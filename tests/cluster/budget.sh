#!/bin/sh
# budget.sh WELDC MPIRUN: a budget is met on each rank of 2 and 4: by the program as it is, or by one that computes vectors twice or keeps less for its
# gradients, the same on all of them, with the same result; or the run fails before it begins.
set -eu
weldc=$1 mpirun=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

field() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$2"; }
fail() {
    echo "$1"
    cat "$dir/err"
    exit 1
}

cat >"$dir/twice.weld" <<'END'
|v: vec[f64]|
  let a = result(for(v, appender[f64], |b, i, e| merge(b, sin(e) + 0.001 * f64(i))));
  let s = result(for(a, merger[f64,+], |b, i, e| merge(b, e)));
  let c = result(for(v, appender[f64], |b, i, e| merge(b, cos(e) / s)));
  let t = result(for(c, merger[f64,+], |b, i, e| merge(b, e * e)));
  let d = result(for(zip(c, v), appender[f64], |b, i, e| merge(b, e.$0 * t + e.$1)));
  let u = result(for(d, merger[f64,max], |b, i, e| merge(b, e)));
  {result(for(zip(a, v), merger[f64,+], |b, i, e| merge(b, e.$0 * e.$1 + u))), result(for(d, merger[f64,+], |b, i, e| merge(b, e / u)))}
END
cat >"$dir/chain.weld" <<'END'
|n: i64, d: i64|
  let w = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, 0.5)));
  sum(grad(|w| sum(iterate({w, 0L}, |s| {{map(zip(s.$0, w), |e| sin(e.$0 * e.$1)), s.$1 + 1L}, s.$1 + 1L < n}).$0))(w).$1)
END
"$weldc" run -e '|n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, f64(x) * 0.001)))' 400000L --save "$dir/v.npy"

# runs RANKS BUDGET ARGUMENT..: the result as $dir/out, and what --stats says.
runs() (
    ranks=$1 budget=$2
    shift 2
    "$mpirun" --oversubscribe -n "$ranks" "$weldc" run --threads 1 --no-eval --stats --set weld.memory.budget="$budget" "$@" >"$dir/out" 2>"$dir/err"
)

# meets RANKS BUDGET ARGUMENT..: the program takes more without one.
meets() {
    ranks=$1 budget=$2
    shift 2
    runs "$ranks" 0 "$@" || fail "$1 on $ranks ranks: fails"
    mv "$dir/out" "$dir/free"
    [ "$(field planned_bytes "$dir/err")" -gt "$budget" ] || fail "$1 on $ranks ranks: fits as it is"
    runs "$ranks" "$budget" "$@" || fail "$1 on $ranks ranks, a budget of $budget: fails"
    cmp -s "$dir/free" "$dir/out" || fail "$1 on $ranks ranks, a budget of $budget: another result"
    peak=$(field peak_bytes "$dir/err") planned=$(field planned_bytes "$dir/err")
    [ "$peak" -le "$planned" ] && [ "$planned" -le "$budget" ] || fail "$1 on $ranks ranks: $peak bytes, $planned planned, of $budget"
    echo "$(basename "$1"), $ranks ranks: $peak bytes, $planned planned, of $budget"
}
meets 2 2000000 "$dir/twice.weld" "@$dir/v.npy"
meets 4 1000000 "$dir/twice.weld" "@$dir/v.npy"
meets 2 1500000 "$dir/chain.weld" 300L 5000L

# One that cannot be met is told before the run, and by all: nobody waits.
status=0
timeout 60 "$mpirun" --oversubscribe -n 2 "$weldc" run --no-eval --set weld.memory.budget=1M "$dir/twice.weld" "@$dir/v.npy" >/dev/null 2>"$dir/err" || status=$?
[ $status = 1 ] && grep -q 'error\[OutOfMemory\]: the budget of 1048576 bytes cannot be met' "$dir/err" || fail "status $status"
