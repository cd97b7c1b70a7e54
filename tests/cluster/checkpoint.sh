#!/bin/sh
# checkpoint.sh WELDC MPIRUN [PART]: a training on three ranks of which one is killed at some moment, again and again, until it is done: no
# file is damaged, and --resume comes to the result of an undisturbed run, bit by bit. With state that all ranks have, in blocks, and in the
# ranges of parameter servers; where these may be behind, to about as small a loss.
set -u
weldc=$1 mpirun=$2 part=${3:-1} # of the kills
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
fail() {
    echo "$1"
    cat "$dir/err" 2>/dev/null
    exit 1
}

last_loss() { sed 's/.*[[ ]\([-+.e0-9]*\)\]}$/\1/' "$1"; }
same() { cmp -s "$dir/undisturbed" "$1"; }
near() { awk -v a="$(last_loss "$dir/undisturbed")" -v b="$(last_loss "$1")" 'BEGIN { exit !(a > 0 && b > 0 && b < 1.02 * a && a < 1.02 * b) }'; }

# train NAME KILLS SECONDS same|near PROGRAM ARGUMENT..: SECONDS: no kill comes later than after so many.
train() {
    name=$1 kills=$(($2 / part)) span=$3 like=$4
    shift 4
    file="$dir/$name.ckpt" done=0 killed=0
    "$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval "$@" >"$dir/undisturbed" 2>"$dir/err" || fail "$name: fails"
    while [ $killed -lt "$kills" ]; do
        "$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval "$@" --checkpoint "$file" --every 2 --resume \
            >"$dir/out" 2>"$dir/err" &
        job=$!
        killed=$((killed + 1))
        # A moment that differs from kill to kill, and from run to run of this test.
        sleep "$(awk -v seed="$$$killed" -v span="$span" 'BEGIN { srand(seed); print 0.2 + rand() * span }')"
        victim=$(pgrep -f -- "--checkpoint $file " | grep -v "^$job\$" | awk -v n=$((killed % 3)) 'NR - 1 == n')
        [ -n "$victim" ] && kill -9 "$victim" 2>/dev/null
        if wait $job; then
            $like "$dir/out" || fail "$name: another result after $killed kills"
            done=$((done + 1))
            rm -f "$file"*
        elif grep -q 'error\[File\]' "$dir/err"; then
            fail "$name: a damaged file after $killed kills"
        fi
    done
    "$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval "$@" --checkpoint "$file" --every 2 --resume >"$dir/out" 2>"$dir/err" ||
        fail "$name: cannot go on"
    $like "$dir/out" || fail "$name: another result"
    echo "$name: $killed kills, $like result (done $done times in between)"
}

numbers='result(for(rangeiter(0L, 1000L, 1L), appender[f64], |b, i, x| merge(b, f64(x) * 0.01)))'
train blocks 10 1.5 same tests/cluster/settle.weld "$numbers" 400l
train whole 10 2.0 same examples/mlp.weld samples=400l steps=200l rate=0.01

server="--set weld.cluster.training=server"
train server 4 2.0 same tests/cluster/fit.weld 1500l 40l 600l 0.02 -1l $server
train stale 4 2.0 near tests/cluster/fit.weld 1500l 40l 600l 0.02 -1l $server --set weld.cluster.staleness=3

# The file is that of a state which all ranks have: any number of ranks goes on from it, and another mode.
fit() { # NAME RANKS STOP OPTION..
    name=$1 ranks=$2 stop=$3
    shift 3
    "$mpirun" --oversubscribe -n "$ranks" "$weldc" run --no-eval --stats tests/cluster/fit.weld 1500l 40l 300l 0.02 "$stop" "$@" \
        >"$dir/$name.out" 2>"$dir/err"
}
fit undisturbed 2 -1l || fail "fit fails"
cp "$dir/undisturbed.out" "$dir/undisturbed"
for ranks in 3 2; do
    rm -f "$dir/some.ckpt"
    fit begun $ranks 73l $server --checkpoint "$dir/some.ckpt" --every 7 && fail "fit does not stop at a step"
    [ "$(ls "$dir"/some.ckpt*)" = "$dir/some.ckpt" ] || fail "a server's checkpoint is in several files"
    cp "$dir/some.ckpt" "$dir/more.ckpt"
    fit resumed 2 -1l $server --set weld.cluster.servers=1 --checkpoint "$dir/some.ckpt" --resume || fail "cannot go on on two ranks"
    near "$dir/resumed.out" || fail "another result of two ranks from the checkpoint of $ranks"
    grep -q '"steps": 230' "$dir/err" || fail "the state was not gone on from"
    fit done 2 -1l $server --checkpoint "$dir/some.ckpt" --resume || fail "cannot go on from the end"
    cmp "$dir/resumed.out" "$dir/done.out" || fail "another result from the end"
    grep -q '"steps": 0' "$dir/err" || fail "what was done is done again"
done
"$weldc" run --no-eval tests/cluster/fit.weld 1500l 40l 300l 0.02 -1l --checkpoint "$dir/more.ckpt" --resume >"$dir/resumed.out" ||
    fail "alone: fails"
near "$dir/resumed.out" || fail "another result alone from the checkpoint of ranks with servers"

# By the clock rank 0 says when. The file is there long before the training ends.
rm -f "$dir/clock.ckpt"
"$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval tests/cluster/fit.weld 1500l 40l 3000l 0.02 -1l $server --set weld.cluster.staleness=2 --checkpoint "$dir/clock.ckpt" --every 1s \
    >"$dir/out" 2>"$dir/err" &
job=$!
while [ ! -e "$dir/clock.ckpt" ] && kill -0 $job 2>/dev/null; do sleep 0.05; done
[ -e "$dir/clock.ckpt" ] && kill -0 $job 2>/dev/null || fail "no checkpoint by the clock before the end"
wait $job || fail "checkpoints by the clock: fails"

# A run that goes on numbers its files of blocks on from those it found: in the end those of the last two generations are there, as
# without kills.
settle() {
    "$mpirun" --oversubscribe -n 3 "$weldc" run --no-eval tests/cluster/settle.weld "$numbers" 2000l --checkpoint "$dir/$1.ckpt" \
        --every 2 --resume >"$dir/$1.out" 2>"$dir/err"
}
files() { (cd "$dir" && ls "$1".ckpt.* | sed "s/^$1//") >"$dir/$1.files"; }
settle calm || fail "a checkpoint fails"
killed=0 tries=0
while [ $killed = 0 ] && [ $tries -lt 20 ]; do
    rm -f "$dir/late.ckpt"*
    settle late &
    job=$! tries=$((tries + 1))
    while [ ! -e "$dir/late.ckpt.9.0" ] && kill -0 $job 2>/dev/null; do sleep 0.01; done
    pkill -9 -o -f -- "^$weldc run .*--checkpoint $dir/late.ckpt "
    wait $job || killed=1
done
[ $killed = 1 ] || fail "no run was killed at its tenth generation"
settle late || fail "cannot go on from a late generation"
rm -f "$dir"/late.ckpt.new-* "$dir"/late.ckpt.*.new-*
cmp -s "$dir/calm.out" "$dir/late.out" || fail "another result from a late generation"
files calm
files late
[ "$(wc -l <"$dir/calm.files")" = 6 ] || fail "not two generations of three files: $(cat "$dir/calm.files")"
cmp -s "$dir/calm.files" "$dir/late.files" || fail "other files of blocks than without a kill: $(cat "$dir/late.files")"

# What was written in one mode on so many ranks is gone on from in the other on as many, more, fewer, or by one alone, up to rounding.
close() { # A B: the numbers of both are the same up to rounding
    tr -c '0-9.eE+-' '\n' <"$1" | grep '[0-9]' >"$dir/a"
    tr -c '0-9.eE+-' '\n' <"$2" | grep '[0-9]' >"$dir/b"
    paste "$dir/a" "$dir/b" | awk 'NF != 2 { exit 1 } { d = $1 - $2; if (d < 0) d = -d; m = $1 < 0 ? -$1 : $1; if (d > 1e-9 * (1 + m)) exit 1 }
        END { if (!NR) exit 1 }'
}
started() ( # RANKS COMMAND..: alone, or on so many ranks
    ranks=$1
    shift
    if [ "$ranks" = 0 ]; then "$@"; else "$mpirun" --oversubscribe -n "$ranks" "$@"; fi
)
allreduce="--set weld.cluster.training=allreduce"
# across STOP FROM-RANKS FROM-MODE TO-RANKS TO-MODE PROGRAM ARGUMENT..: the arguments before the stop. It goes on
# behind step 30, where it would fail, too.
across() {
    stop=$1 from=$2 from_mode=$3 to=$4 to_mode=$5
    shift 5
    name="$(basename "$1"): $from ranks, ${from_mode##*=}, to $to ranks, ${to_mode##*=}"
    rm -f "$dir/across.ckpt"*
    started "$from" "$weldc" run --no-eval "$@" "$stop" $from_mode --checkpoint "$dir/across.ckpt" --every 7 >"$dir/out" 2>"$dir/err" &&
        fail "$name: does not stop at a step"
    [ -e "$dir/across.ckpt" ] || fail "$name: no checkpoint"
    started "$to" "$weldc" run --no-eval "$@" 30l $to_mode --checkpoint "$dir/across.ckpt" --every 7 --resume >"$dir/out" 2>"$dir/err" ||
        fail "$name: cannot go on"
    close "$dir/alone" "$dir/out" || fail "$name: another result"
    # Files of blocks are those of the ranks that there are now, of two generations, or there are none.
    for file in "$dir"/across.ckpt.*; do
        [ -e "$file" ] && [ "${file##*.}" -ge "$to" ] && fail "$name: $file is left"
    done
}
"$weldc" run --no-eval tests/cluster/fit.weld 1500l 40l 120l 0.02 -1l >"$dir/alone" || fail "fit: fails alone"
for pair in 00aa 02as 20aa 22as 23aa 30sa 32sa 23ss; do # ranks and modes of both
    case $pair in ??a?) first=$allreduce ;; *) first=$server ;; esac
    case $pair in ???a) second=$allreduce ;; *) second=$server ;; esac
    ranks=${pair%??}
    across 73l "${ranks%?}" "$first" "${ranks#?}" "$second" tests/cluster/fit.weld 1500l 40l 120l 0.02
done
# Vectors of vectors, whose blocks are cut elsewhere where the data are.
mkdir "$dir/parts"
"$weldc" run -e '|n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, f64(x) * 0.01)))' 40l --save "$dir/whole.npy"
"$weldc" run -e '|n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, x| merge(b, f64(x) * 0.01)))' 31l --save "$dir/parts/0.npy"
"$weldc" run -e '|n: i64| result(for(rangeiter(31L, n, 1L), appender[f64], |b, i, x| merge(b, f64(x) * 0.01)))' 40l --save "$dir/parts/1.npy"
"$weldc" run --no-eval tests/cluster/drift.weld "@$dir/whole.npy" 60l -1l >"$dir/alone" || fail "drift: fails alone"
for ranks in 02 20 21 23 32; do
    across 41l "${ranks%?}" "$allreduce" "${ranks#?}" "$allreduce" tests/cluster/drift.weld "@$dir/whole.npy" 60l
done
rm -f "$dir/across.ckpt"*
started 3 "$weldc" run --no-eval tests/cluster/drift.weld "@$dir/whole.npy" 60l 41l --checkpoint "$dir/across.ckpt" --every 7 >"$dir/out" 2>&1
started 2 "$weldc" run --no-eval tests/cluster/drift.weld "@$dir/parts/{rank}.npy" 60l 30l --checkpoint "$dir/across.ckpt" --resume >"$dir/out" 2>"$dir/err" ||
    fail "drift in parts: cannot go on"
close "$dir/alone" "$dir/out" || fail "drift in parts: another result"

# What does not fit is refused: files of blocks that are not there.
rm -f "$dir"/blocks.ckpt.*.1
out=$("$mpirun" --oversubscribe -n 2 "$weldc" run --no-eval tests/cluster/settle.weld "$numbers" 400l --checkpoint "$dir/blocks.ckpt" \
    --resume 2>&1) && fail "blocks that are not there were taken"
echo "$out" | grep -q 'blocks.ckpt.[0-9]*.1 is not there' || fail "$out"
if ls "$dir"/blocks.ckpt.*.3 2>/dev/null; then fail "there is a file of a fourth rank"; fi
