#!/bin/sh
# overlap.sh WELDC MPIRUN [FOLDER]: what is exchanged beside the program gives the same, to the last bit, on 2 and 3 ranks, compiled and interpreted,
# and lets the program wait less; it counts to the limit of memory; a run that fails while exchanges are under way fails as it does without.
set -eu
weldc=$1 mpirun=$2 # FOLDER is one that all hosts share, if there are several: hosts -- sh .../overlap.sh WELDC mpirun /job
dir=$(mktemp -d ${3:+"$3/overlap.XXXXXX"})
trap 'rm -rf "$dir"' EXIT

field() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$2"; }

# runs RANKS MODE NAME ARGUMENT...: the result as $dir/NAME.MODE, what --stats says as $dir/NAME.MODE.err.
runs() {
    ranks=$1 mode=$2 name=$3
    shift 3
    "$mpirun" --oversubscribe -n "$ranks" "$weldc" run --threads 1 --json --stats --set weld.cluster.overlap="$mode" "$@" \
        >"$dir/$name.$mode" 2>"$dir/$name.$mode.err"
}

# same RANKS NAME ARGUMENT...: the same bits and bytes sent in both modes, and something is launched.
same() {
    ranks=$1 name=$2
    shift 2
    for mode in off on; do
        runs "$ranks" $mode "$name" "$@" || { echo "$name: fails with $mode"; cat "$dir/$name.$mode.err"; exit 1; }
    done
    cmp "$dir/$name.off" "$dir/$name.on" || { echo "$name on $ranks ranks: another result"; exit 1; }
    [ "$(field launched "$dir/$name.off.err")" = 0 ] && [ "$(field launched "$dir/$name.on.err")" -gt 0 ] ||
        { echo "$name: nothing is launched"; cat "$dir/$name.on.err"; exit 1; }
    [ "$(field sent_bytes "$dir/$name.off.err")" = "$(field sent_bytes "$dir/$name.on.err")" ] ||
        { echo "$name: other bytes are sent"; cat "$dir/$name.on.err"; exit 1; }
}

# The training of a network of two layers.
"$weldc" run examples/digits.weld samples=400L seed=1L --save "$dir/digits"
for ranks in 2 3; do
    same $ranks mlp --no-eval examples/digits_mlp.weld "@$dir/digits" 3L 0.002
done

# A sum with work beside it, of 1 MB and of few bytes.
cat >"$dir/two.weld" <<'END'
|n: i64, m: i64, none: i64|
  let zeros = result(for(rangeiter(0L, m, 1L), appender[f64], |b, i, x| merge(b, 0.0)));
  iterate({zeros, zeros, 0L}, |s|
    let g = result(for(rangeiter(0L, n, 1L), vecmerger[f64,+](zeros), |b, i, x| merge(b, {x % m, f64(x + s.$2) * 0.1})));
    let p = result(for(zip(s.$0, g), appender[f64], |b, i, e| merge(b, e.$0 + e.$1)));
    let q = result(for(s.$1, appender[f64], |b, i, x| merge(b, sin(x + f64(1000L / (i - none))))));
    {{p, q, s.$2 + 1L}, s.$2 + 1L < 3L})
END
for m in 7L 100000L; do
    for tier in --no-eval --eval; do
        same 3 two $tier "$dir/two.weld" 2000L $m -1L
    done
done

# What is launched counts to the limit: too little memory is told, by all, in time.
for limit in 1M 2M 3M; do
    for mode in off on; do
        status=0
        timeout 60 "$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval --memory-limit $limit --set weld.cluster.overlap=$mode "$dir/two.weld" 2000L \
            100000L -1L >/dev/null 2>"$dir/err" || status=$?
        [ $status = 1 ] && grep -q 'error\[OutOfMemory\]' "$dir/err" || { echo "limit $limit, $mode: status $status"; cat "$dir/err"; exit 1; }
    done
done

# It fails in the work between, on one rank alone, while the sums are under way.
for mode in off on; do
    status=0
    timeout 60 "$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval --set weld.cluster.overlap=$mode "$dir/two.weld" 2000L 100000L 99999L \
        >/dev/null 2>"$dir/err" || status=$?
    [ $status = 1 ] && grep -q 'error\[DivisionByZero\]' "$dir/err" || { echo "a failure, $mode: status $status"; cat "$dir/err"; exit 1; }
done
