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
# Several sums in one exchange, of 5 KB and more: each rank combines its part of them.
same sums --json -e '|n: i64|
  let none = result(for(rangeiter(0L, n, 1L), appender[i64], |b, i, x| merge(b, 0L)));
  let small = result(for(rangeiter(0L, 7L, 1L), appender[i8], |b, i, x| merge(b, 0c)));
  let a = result(for(rangeiter(0L, 3L * n, 1L), vecmerger[i64,+](none), |b, i, x| merge(b, {x % n, x})));
  let c = result(for(rangeiter(0L, 2L * n, 1L), vecmerger[i8,+](small), |b, i, x| merge(b, {x % 7L, i8(x)})));
  let s = result(for(rangeiter(0L, 5L * n, 1L), merger[i64,+], |b, i, x| merge(b, x * x)));
  {a, c, s}' 1001L
v17='[1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0, 9.0, 1.0, 2.0, 3.0]' w6='[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]'
for set in weld.cluster.blocks= weld.cluster.parts=v; do
    same product --set $set -e '|v: vec[f64], w: vec[f64]| nn.product(false, true, 7L, 2L, 3L, v, w, [0.5, 1.0])' "$v17" "$w6"
    same sums --set $set -e '|v: vec[f64], w: vec[f64]| {nn.product(true, false, 3L, 3L, 7L, v, v, [0.5, 1.0, 2.0]), nn.product(true, false, 3L, 2L, 7L, v, slice(v, 0L, 14L), slice(v, 0L, 0L))}' "$v17" "$w6"
    same unfit --set $set -e '|v: vec[f64], w: vec[f64]| nn.product(false, true, 6L, 2L, 3L, v, w, [0.5, 1.0])' "$v17" "$w6"
    same unfit --set $set -e '|v: vec[f64], w: vec[f64]| nn.product(true, false, 3L, 3L, 8L, v, v, w)' "$v17" "$w6"
done
same words examples/wordcount.weld '"one two one three one two"'
same fails -e '|v: vec[i64]| result(for(v, appender[i64], |b, i, x| merge(b, lookup(v, x + 4L))))' "$v"
"$mpirun" --oversubscribe -n 3 "$weldc" run -e '|v: vec[i64]| result(for(v, merger[i64,+], |b, i, x| merge(b, lookup(v, i + 1L))))' "$v" \
    >/dev/null 2>"$dir/err" && { echo "a lookup beyond the vector does not fail"; exit 1; }
grep -q 'for length [0-9]*, of what rank 2 has' "$dir/err" || { echo "whose index it is"; cat "$dir/err"; exit 1; }
same mistyped -e '|v: vec[i64]| v + 1L' "$v"

"$mpirun" --oversubscribe -n 2 "$weldc" run --no-eval --stats -e '|v: vec[f64]| result(for(v, merger[f64,+], |b, i, x| merge(b, x)))' \
    '[1.0, 2.0]' 2>&1 >/dev/null | grep -q '"transport": "mpi", "ranks": 2, "sent_bytes": 8,' ||
    { echo "--stats does not report the ranks"; exit 1; }

# Files: each rank reads its block, which the sum of all shows, and the memory of rank 0.
file=$dir/table.csv
awk 'BEGIN { print "id,price,name"; for (i = 0; i < 5000; i++) {
    gap = ""; for (k = i % 5; k > 0; k--) gap = gap "\n"
    printf "%d,%s,\"a%s,b\"\"%d\"\n", i, i < 4900 ? i : i + 0.5, gap, i } }' >"$file"
same table -e '|t| {len(t.$0), result(for(zip(t.$0, t.$1, t.$2), merger[f64,+],
    |b, i, x| merge(b, f64(x.$0 * i) + x.$1 + f64(len(x.$2)))))}' "@$file"
same column -e '|v: vec[f64]| result(for(v, appender[f64], |b, i, x| if(x > 4890.0, merge(b, x), b)))' "@$file:price"
same whole -e '|v: vec[f64]| lookup(v, 4999L)' "@$file:price"

# field NAME FILE: a number of --stats
field() { sed -n "s/.*\"$1\": \([0-9]*\).*/\1/p" "$2"; }

# The result of all ranks is one file, which all read again.
squares='|n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, f64(x * x))))'
"$weldc" run -e "$squares" 200001L --save "$dir/alone.npy"
"$mpirun" --oversubscribe -n 3 "$weldc" run -e "$squares" 200001L --save "$dir/ranks.npy"
cmp "$dir/alone.npy" "$dir/ranks.npy" || { echo "--save: ranks write another file"; exit 1; }
sum='|v: vec[f64], w: vec[f64]| result(for(zip(v, w), merger[f64,+], |b, i, x| merge(b, x.$0 - x.$1 + f64(i))))'
same files -e "$sum" "@$dir/alone.npy" "@$dir/ranks.npy"
same untyped -e '|v| result(for(v, merger[f64,max], |b, i, x| merge(b, x)))' "@$dir/ranks.npy"
same scalar -e '|v: vec[f64], n: f64| n' "@$dir/ranks.npy" 2.0
for program in kmeans logistic; do
    case $program in
    kmeans) given="points=@$dir/points.npy k=3L rounds=4L" ;;
    logistic) given="x=@$dir/points.npy y=@$dir/labels.npy steps=5L rate=0.1" ;;
    esac
    "$weldc" run -e '|n: i64| {result(for(rangeiter(0L, n * 8L, 1L), appender[f64], |b, i, x| merge(b, f64(x * x % 17L)))), n, 8L}' 3001L \
        --save "$dir/points.npy"
    "$weldc" run -e '|n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, f64(x % 2L))))' 3001L --save "$dir/labels.npy"
    "$mpirun" --oversubscribe -n 4 "$weldc" run --no-eval examples/$program.weld $given --stats 2>"$dir/err" >/dev/null
    [ "$(field input_bytes "$dir/err")" -lt $((3001 * 9 * 8 * 26 / 100 + 4096)) ] &&
        [ "$(field sent_bytes "$dir/err")" -lt 30000 ] || { echo "$program: the rows are not where they are needed"; cat "$dir/err"; exit 1; }
done
matrix='|n: i64| {result(for(rangeiter(0L, n * 7L, 1L), appender[i64], |b, i, x| merge(b, x))), n, 7L}'
"$mpirun" --oversubscribe -n 3 "$weldc" run -e "$matrix" 1001L --save "$dir/matrix.npy"
same matrix -e '|m| {m.$1, m.$2, result(for(m.$0, merger[i64,+], |b, i, x| merge(b, x * i)))}' "@$dir/matrix.npy"

map='|v: vec[f64]| len(result(for(v, appender[f64], |b, i, x| merge(b, x + 1.0))))'
"$weldc" run --no-eval --set weld.optimization.passes=distribute -e "$map" "@$dir/alone.npy" --stats 2>"$dir/one" >/dev/null
"$mpirun" --oversubscribe -n 4 "$weldc" run --no-eval --set weld.optimization.passes=distribute -e "$map" "@$dir/alone.npy" --stats \
    2>"$dir/four" >/dev/null
[ "$(field peak_bytes "$dir/four")" -lt $(($(field peak_bytes "$dir/one") * 26 / 100 + 4096)) ] ||
    { echo "memory of a run does not fall as 1/n"; cat "$dir/one" "$dir/four"; exit 1; }
[ "$(field input_bytes "$dir/four")" -lt $((200001 * 8 * 26 / 100 + 4096)) ] ||
    { echo "memory of arguments does not fall as 1/n"; cat "$dir/four"; exit 1; }

# sends NAME BYTES ARGUMENT...: rank 0 of 4 sends so many bytes, to 5 %.
sends() {
    name=$1 bytes=$2
    shift 2
    "$mpirun" --oversubscribe -n 4 "$weldc" run --no-eval "$@" --stats 2>"$dir/err" >/dev/null
    sent=$(field sent_bytes "$dir/err")
    [ "$sent" -ge $((bytes * 95 / 100)) ] && [ "$sent" -le $((bytes * 105 / 100)) ] ||
        { echo "$name: $sent bytes are sent, not $bytes"; exit 1; }
}
"$weldc" run -e '|n: i64| result(for(rangeiter(0L, n, 1L), appender[i64], |b, i, x| merge(b, x * 7919L % 40000L)))' 160000L --save "$dir/keys.npy"
sends groups $((40000 * 16 * 3 / 4)) -e '|k: vec[i64]| result(for(tovec(result(for(k, dictmerger[i64,i64,+], |b, i, x| merge(b, {x, 1L})))),
    merger[i64,+], |b, i, e| merge(b, e.$1 * e.$1)))' "@$dir/keys.npy"
# Each rank has all 40000 keys at first. By key it sends its entries, then all keys, and values of a quarter of them to each; whole, its entries
# to all. Of 10000 keys, too, the whole is not less if all ranks have them, but it is if each has a part.
join='|k: vec[i64], w: vec[i64]| let d = result(for(w, dictmerger[i64,i64,max], |b, i, x| merge(b, {x, i})));
    result(for(k, merger[i64,+], |b, i, x| merge(b, lookup(d, x))))'
distinct='|n: i64| result(for(rangeiter(0L, n, 1L), appender[i64], |b, i, x| merge(b, x * 7919L % n)))'
"$weldc" run -e "$distinct" 400000L --save "$dir/distinct.npy"
"$weldc" run -e "$distinct" 10000L --save "$dir/few.npy"
"$weldc" run -e '|v: vec[i64]| result(for(v, appender[i64], |b, i, x| merge(b, x % 10000L)))' "@$dir/keys.npy" --save "$dir/same.npy"
by_key=$((40000 * 16 * 3 / 4 + 40000 * 8 * 3 / 4 + 40000 * 8 * 3 / 4)) whole=$((40000 * 16 * 3))
moved=$((40000 * 16 * 3 / 4 + 40000 * 8 * 3 / 4))
sends joins $moved -e "$join" "@$dir/keys.npy" "@$dir/keys.npy"
sends fetches $by_key --set weld.cluster.lookups=fetch -e "$join" "@$dir/keys.npy" "@$dir/keys.npy"
sends moves $moved --set weld.cluster.lookups=shuffle -e "$join" "@$dir/keys.npy" "@$dir/keys.npy"
sends merges $whole --set weld.cluster.lookups=merge -e "$join" "@$dir/keys.npy" "@$dir/keys.npy"
sends same $((by_key / 4)) -e "$join" "@$dir/same.npy" "@$dir/same.npy"
sends few $((2500 * 16 * 3)) -e "$join" "@$dir/same.npy" "@$dir/few.npy"
"$weldc" explain --stage plan --set weld.cluster=mpi -e "$join" >"$dir/plan"
grep -q '(n - 1) / n \* (8 bytes \* len(#[0-9]*))' "$dir/plan" && grep -q '(n - 1) \* 16 bytes \* len(#[0-9]*), or (n - 1) / n \* (16 bytes \* len(#[0-9]*) + 16 bytes \* (len(k#2)), of rows that move 8 bytes each)' "$dir/plan" ||
    { echo "the plan does not show the bytes of all ways to join"; cat "$dir/plan"; exit 1; }
# Of rows that are filtered only those that are left move, with what is needed of them: keys and weights of a half, 16 bytes.
weighed='|k: vec[i64], p: vec[f64], w: vec[i64]| let d = result(for(w, dictmerger[i64,{f64,f64},+], |b, i, x| merge(b, {x, {0.5, 1.0}})));
    result(for(zip(k, p, k), merger[f64,+], |b, i, x| if(x.$2 % 2L == 0L, merge(b, x.$1 * lookup(d, x.$0).$0 + lookup(d, x.$0).$1), b)))'
"$weldc" run -e '|n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, f64(x % 8L))))' 160000L --save "$dir/weights.npy"
sends weighed $((40000 * 24 * 3 / 4 + 20000 * 16 * 3 / 4)) -e "$weighed" "@$dir/keys.npy" "@$dir/weights.npy" "@$dir/keys.npy"
same weighed --set weld.cluster.lookups=shuffle -e "$weighed" "@$dir/keys.npy" "@$dir/weights.npy" "@$dir/keys.npy"
# Of rows the indices go to the owners of the entries, of which rank 0 has three in ten itself. With sums a portion goes to each; so it does
# where the keys are all of the first quarter, and one rank would get all.
counts='|k: vec[i64], v: vec[f64]| let sums = result(for(k, vecmerger[f64,+](v), |b, i, x| merge(b, {x % 160000L, 1.0})));
    result(for(sums, merger[f64,+], |b, i, x| merge(b, x * x)))'
sends settles $((100000 * 8 * 7 / 10)) -e "$counts" "@$dir/distinct.npy" "@$dir/weights.npy"
sends sums $((160000 * 8 * 3 / 4)) --set weld.cluster.sums=sums -e "$counts" "@$dir/distinct.npy" "@$dir/weights.npy"
sends skewed $((160000 * 8 * 3 / 4)) -e "$counts" "@$dir/keys.npy" "@$dir/weights.npy"
same counts -e "$counts" "@$dir/distinct.npy" "@$dir/weights.npy"
"$weldc" explain --stage plan --set weld.cluster=mpi -e "$counts" >"$dir/plan"
grep -q '(n - 1) / n \* (8 bytes \* len(#[0-9]*)), but what belongs to itself' "$dir/plan" ||
    { echo "the plan does not show the bytes of rows that go to owners"; cat "$dir/plan"; exit 1; }
# Of a dictionary by key, and of what is fetched of it or moves to it, each rank holds its part, with the spares of a run, a sixteenth of it.
for lookups in fetch shuffle; do
    for ranks in 1 4; do
        "$mpirun" --oversubscribe -n $ranks "$weldc" run --no-eval --set weld.cluster.lookups=$lookups -e "$join" "@$dir/distinct.npy" \
            "@$dir/distinct.npy" --stats 2>"$dir/by_key.$ranks" >/dev/null
    done
    [ "$(field peak_bytes "$dir/by_key.4")" -lt $(($(field peak_bytes "$dir/by_key.1") * 27 / 100 + 4096)) ] ||
        { echo "$lookups: memory of a dictionary by key does not fall as 1/n"; cat "$dir"/by_key.*; exit 1; }
done
sends rounds $((60000 + 10 * (60000 + 60000))) -e '|from: vec[i64], to: vec[i64], n: i64|
    let zeros = result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, 0.0)));
    iterate({result(for(zeros, appender[f64], |b, i, x| merge(b, 1.0))), 0L}, |s|
        let ranks = s.$0;
        let sums = result(for(zip(from, to), vecmerger[f64,+](zeros), |b, i, e| merge(b, {e.$1 % n, lookup(ranks, e.$0 % n)})));
        {{result(for(sums, appender[f64], |b, i, x| merge(b, 0.15 + 0.85 * x))), s.$1 + 1L}, s.$1 + 1L < 10L}).$0' \
    "@$dir/keys.npy" "@$dir/keys.npy" 10000L

# A file for each rank.
for rank in 0 1 2; do
    "$weldc" run -e '|n: i64| result(for(rangeiter(0L, n, 1L), appender[i64], |b, i, x| merge(b, x + n)))' $((rank * 7 % 5))L \
        --save "$dir/part-$rank.npy"
done
"$mpirun" --oversubscribe -n 3 "$weldc" run -e '|v| result(for(v, appender, |b, i, x| merge(b, x * 10L + i)))' \
    "@$dir/part-{rank}.npy" >"$dir/parts"
echo '[20l, 31l, 42l, 53l, 64l, 75l]' | cmp - "$dir/parts" || { echo "files of ranks"; cat "$dir/parts"; exit 1; }

# refuses NAME TEXT ARGUMENT...: all ranks fail, and one says why
refuses() {
    name=$1 text=$2
    shift 2
    if "$mpirun" --oversubscribe -n 3 "$weldc" run "$@" >"$dir/out" 2>"$dir/err"; then
        echo "$name: no failure"
        exit 1
    fi
    [ "$(grep -c 'error\[' "$dir/err")" = 1 ] && grep -q "$text" "$dir/err" ||
        { echo "$name: another message"; cat "$dir/err"; exit 1; }
}
sumi='|v| result(for(v, merger[i64,+], |b, i, x| merge(b, x)))'
mv "$dir/part-1.npy" "$dir/away.npy"
refuses missing "cannot open $dir/part-1.npy" -e "$sumi" "@$dir/part-{rank}.npy"
# Rank 2 is late: what it sends comes when the others know already that rank 1 has failed.
mv "$dir/part-2.npy" "$dir/late.npy"
mkfifo "$dir/part-2.npy"
{ exec 3>"$dir/part-2.npy"; sleep 1; cat "$dir/late.npy" >&3; } &
refuses late "cannot open $dir/part-1.npy" -e "$sumi" "@$dir/part-{rank}.npy"
wait $!
mv "$dir/late.npy" "$dir/part-2.npy"
# The same in a run: rank 1 is in an exchange when rank 0 fails, and rank 2 comes to it long afterwards.
refuses late_run "out of bounds" --no-eval -e '|v: vec[i64], one: vec[i64]|
    let slow = |x: i64| iterate({x, 0L}, |s| {{s.$0 * 6364136223846793005L + s.$1, s.$1 + 1L}, s.$1 < 300000000L}).$0;
    result(for(v, merger[i64,+], |b, i, x|
        merge(b, if(x == 1L, lookup(one, 7L), if(x == 3L, slow(x), x)))))' '[1L, 2L, 3L]' '[1L]'
"$weldc" run -e '[1.5f]' --save "$dir/part-1.npy"
refuses types "part-1.npy holds f32 .* on rank 0 it is i64" -e "$sumi" "@$dir/part-{rank}.npy"
sed '4998s/^[0-9]*,/oops,/' "$file" >"$dir/wrong.csv"
line=$(grep -n '^oops' "$dir/wrong.csv" | cut -d: -f1)
refuses line "wrong.csv:$line:1: error" -e '|t: {vec[i64], vec[f64], vec[vec[i8]]}| result(for(t.$0, merger[i64,+], |b, i, x| merge(b, x)))' \
    "@$dir/wrong.csv"
refuses unhosted "error\[Internal\]" --no-eval -e '|v: vec[f64]| let h = exchange[host]({{v}, {v}}, [0L, 0L, 1L, 0L, 1L]); {h, exchange[push]({5L}, 0L)}' "[1.0, 2.0]"
refuses unplaced "out of bounds" --no-eval -e '|v: vec[f64]| exchange[place,+](v, {5L, 1L})' "[1.0, 2.0]"
refuses unresumed "error\[Internal\]" --no-eval -e '|v: vec[f64]| exchange[resume](v, 1L)' "[1.0, 2.0]"
refuses unkept "error\[Internal\]" --no-eval --checkpoint "$dir/unkept.ckpt" \
    -e '|v: vec[f64]| let h = exchange[host]({{v}, {v}}, [0L, 0L, 1L, 0L, 1L]); {h, exchange[keep](v, {1L, 1L, true, [1L, 1L, 1L]})}' "[1.0, 2.0]"
refuses unsaved "No such file" -e "$squares" 5L --save "$dir/nowhere/x.npy"

# What rank 0 alone reads.
"$mpirun" --oversubscribe -n 3 sh -c "
    if [ \${OMPI_COMM_WORLD_RANK:-\$PMI_RANK} = 0 ]; then data=$dir/alone.npy; else data=$dir/nothing.npy; fi
    exec $weldc run --set weld.cluster.root=v -e '|v| result(for(v, merger[f64,+], |b, i, x| merge(b, x)))' @\$data" >"$dir/root"
"$weldc" run -e '|v| result(for(v, merger[f64,+], |b, i, x| merge(b, x)))' "@$dir/alone.npy" | cmp - "$dir/root" ||
    { echo "scattered: another result"; exit 1; }
echo "3 ranks: the same as alone"

# The same training with a parameter server: the plan says so, or why not, and --stats what was sent.
served="--set weld.cluster=mpi --set weld.cluster.training=server"
"$weldc" explain --stage plan $served examples/logistic.weld >"$dir/plan"
grep -q 'line 17 of examples/logistic.weld: a parameter server, staleness 0, servers: all; vectors in ranges: 1, sums: 2' "$dir/plan" ||
    { echo "explain does not tell of the server"; head -1 "$dir/plan"; exit 1; }
"$weldc" explain --stage plan $served examples/kmeans.weld | grep -q 'kmeans.weld: all-reduce, as a vector of sums' ||
    { echo "explain does not tell why there is no server"; exit 1; }
"$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval --stats $served --set weld.cluster.servers=2 examples/logistic.weld \
    "x=@$dir/points.npy" "y=@$dir/labels.npy" steps=5L rate=0.1 2>"$dir/err" >/dev/null
grep -q '"training": "server", "windows": "mpi", "servers": 2, "steps": 5' "$dir/err" && [ "$(field largest_lag "$dir/err")" = 0 ] &&
    [ "$(field pushed_bytes "$dir/err")" -gt 0 ] && [ "$(field pulled_bytes "$dir/err")" -gt 0 ] ||
    { echo "--stats does not report the server"; cat "$dir/err"; exit 1; }

# A network's layers, and their gradients, are shared by samples; so is a mini-batch.
"$weldc" explain --stage plan --set weld.cluster=mpi examples/digits_mlp.weld >"$dir/plan"
[ "$(grep -c 'a native call, each rank its share' "$dir/plan")" -ge 5 ] ||
    { echo "products of matrices are not shared"; grep 'a native call' "$dir/plan"; exit 1; }

# What a server takes counts: here the pushes and ranges of a thousand steps.
out=$("$mpirun" --oversubscribe -n 2 "$weldc" run --no-eval $served --set weld.cluster.staleness=1000 --memory-limit 1500000 \
    examples/logistic.weld "x=@$dir/points.npy" "y=@$dir/labels.npy" steps=5L rate=0.1 2>&1) && { echo "a server goes beyond the limit"; exit 1; }
echo "$out" | grep -q 'error\[OutOfMemory\]' || { echo "a server beyond the limit: $out"; exit 1; }
