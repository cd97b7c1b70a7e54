#!/bin/sh
# scaling.sh WELDC MPIRUN: what seven programs send on four ranks, which is what docs/scaling.md predicts to 5 %; and what a rank
# holds of arguments and of what it makes, on 1 to 4 ranks.
set -eu
weldc=$1 mpirun=$2
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT

field() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$2"; }

# made NAME PROGRAM ARGUMENT...
made() {
    name=$1 program=$2
    shift 2
    "$weldc" run -e "$program" "$@" --save "$dir/$name"
}
made keys.npy '|n: i64| result(for(rangeiter(0L, n, 1L), appender[i64], |b, i, x| merge(b, x * 7919L % (n / 4L))))' 400000L
made distinct.npy '|n: i64| result(for(rangeiter(0L, n, 1L), appender[i64], |b, i, x| merge(b, x * 7919L % n)))' 400000L
made x.npy '|n: i64| {result(for(rangeiter(0L, n * 400L, 1L), appender[f64], |b, i, x| merge(b, f64(x * x % 17L) * 0.1 - 0.8))), n, 400L}' 2000L
made y.npy '|n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, f64(x % 2L))))' 2000L
"$weldc" run examples/digits.weld samples=2000L seed=1L --save "$dir/digits"
"$weldc" run -e '|d: {{vec[f64], i64, i64}, vec[i64]}| d.$0' "@$dir/digits" --save "$dir/images.npy"
"$weldc" run -e '|d: {{vec[f64], i64, i64}, vec[i64]}| d.$1' "@$dir/digits" --save "$dir/labels.npy"
sed 's/^|digits: .*vec.i64.}, /|images: {vec[f64], i64, i64}, labels: vec[i64], /; s/^  let images = digits.$0;/  let digits = {images, labels};/' \
    examples/digits_mlp.weld >"$dir/mlp.weld"
cat >"$dir/pagerank.weld" <<'END'
|from: vec[i64], to: vec[i64], n: i64|
  let zeros = result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, 0.0)));
  iterate({result(for(zeros, appender[f64], |b, i, x| merge(b, 1.0))), 0L}, |s|
    let ranks = s.$0;
    let sums = result(for(zip(from, to), vecmerger[f64,+](zeros), |b, i, e| merge(b, {e.$1 % n, lookup(ranks, e.$0 % n)})));
    {{result(for(sums, appender[f64], |b, i, x| merge(b, 0.15 + 0.85 * x))), s.$1 + 1L}, s.$1 + 1L < 10L}).$0
END
group='|k: vec[i64]| result(for(tovec(result(for(k, dictmerger[i64,i64,+], |b, i, x| merge(b, {x, 1L})))), merger[i64,+],
    |b, i, e| merge(b, e.$1 * e.$1)))'
join='|k: vec[i64], w: vec[i64]| let d = result(for(w, dictmerger[i64,i64,max], |b, i, x| merge(b, {x, i})));
    result(for(k, merger[i64,+], |b, i, x| merge(b, lookup(d, x))))'

# scales NAME BYTES WHOLE ARGUMENT...: rank 0 of 4 sends so many bytes, to 5 %. WHOLE: what every rank has as a whole, in bytes; of the
# rest it holds 1/n, and 256 KB more for what is small and for spare blocks, of which a run may keep a sixteenth. A table has twice as many slots as a smaller one, so a third may take as much as a half.
scales() {
    name=$1 bytes=$2 whole=$3
    shift 3
    line=$name
    for ranks in 1 2 3 4; do
        "$mpirun" --oversubscribe -n $ranks "$weldc" run --threads 1 --no-eval "$@" --stats 2>"$dir/err" >/dev/null
        held=$(($(field input_bytes "$dir/err") + $(field peak_bytes "$dir/err")))
        [ $ranks = 1 ] && alone=$held
        line="$line  $held"
        part=$ranks
        [ $ranks = 3 ] && part=2
        [ $held -le $(((alone - whole) * 108 / 100 / part + whole + 262144)) ] ||
            { echo "$line: on $ranks ranks too many bytes are held"; exit 1; }
    done
    sent=$(field sent_bytes "$dir/err")
    echo "$line  predicted $bytes  counted $sent"
    [ "$sent" -ge $((bytes * 95 / 100)) ] && [ "$sent" -le $((bytes * 105 / 100)) ] || { echo "$name: other bytes are sent"; exit 1; }
}
# Of 100000 rows on a rank each has a key of its own; they go to the owners of the keys.
scales group-by $((100000 * 16 * 3 / 4)) 0 -e "$group" "@$dir/distinct.npy"
scales sort $((100000 * 8 * 3 / 4 + 64 * 8 * 3)) 0 -e '|v: vec[i64]| result(for(sort(v, |a, b| compare(a, b)), merger[i64,+], |b, i, x| merge(b, x * i)))' \
    "@$dir/distinct.npy"
# Entries, and rows: a key each.
scales join $((100000 * 16 * 3 / 4 + 100000 * 8 * 3 / 4)) 0 -e "$join" "@$dir/distinct.npy" "@$dir/distinct.npy"
# Once the edges, 16 bytes each, to the owners of what they point to; in each round the ranks. Two ranks send a portion of sums in each round
# instead, and have first vectors and sums of all nodes as well; every rank has the ranks.
scales pagerank $((100000 * 16 * 3 / 4 + 10 * 25000 * 8 * 3)) $((4 * 100000 * 8)) "$dir/pagerank.weld" "@$dir/keys.npy" "@$dir/keys.npy" 100000L
# The first centers from rank 0 to all; in each round sums of 10 centers of 400, their counts with the error, the centers.
scales kmeans $((4000 * 8 * 3 + 10 * (4000 * 8 * 3 / 4 + (10 * 8 + 16) * 3 + 1000 * 8 * 3))) 0 examples/kmeans.weld \
    "points=@$dir/x.npy" k=10L rounds=10L
# In each step a portion of 400 sums, the loss, and the weights.
scales logistic $((10 * (100 * 8 * 3 + 8 * 3 + 100 * 8 * 3))) 0 examples/logistic.weld "x=@$dir/x.npy" "y=@$dir/y.npy" steps=10L rate=0.1
# In each step portions of the gradients of 203530 parameters, and these; the slopes of 128 x 10 scores, whose zeros are gathered, as are those of the
# biases; the order of 1600 samples; of 96 images of others those that this rank has, a third of the 1600. At the start all, and 2000 labels, at the end the
# model and scores of 400 images by all. All ranks have the 400 images, and parameters and their gradients.
parameters=$((203530 * 8))
scales mlp $((10 * (parameters * 3 / 4 * 2 + 128 * 10 * 8 * 3 / 2 + (128 * 10 + 266) * 8 * 3 / 4 + 400 * 16 * 3 / 4 + 64 * 16 * 3 + 96 * 784 * 8 * 500 / 1600) + parameters * 3 / 4 + 500 * 8 * 3)) \
    $((400 * 784 * 8 + 3 * parameters)) "$dir/mlp.weld" "@$dir/images.npy" "@$dir/labels.npy" 10L 0.002
