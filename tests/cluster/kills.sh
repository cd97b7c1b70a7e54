#!/bin/sh
# kills.sh LOST MPIRUN COUNT [RANKS [TRANSPORT]]: ranks are killed at COUNT random moments, in turn of a shuffle, an all-reduce and a
# training with a parameter server: each time every other rank gets a status that names the rank, in time, and goes on alone. One line
# says how it went; the moments are printed, so that one can be tried again (lost.c). Runs on virtual hosts (hosts), too.
set -u
lost=$1 mpirun=$2 count=$3 ranks=${4:-3} transport=${5:-auto}
out=$(mktemp)
trap 'rm -f "$out"' EXIT
done=0 wrong=0
while [ $done -lt "$count" ]; do
    for job in shuffle reduce server; do
        [ $done -lt "$count" ] || break
        done=$((done + 1))
        moment=$(awk -v seed="$$$done" 'BEGIN { srand(seed); print int(rand() * 1500) }')
        timeout 90 "$mpirun" --oversubscribe --mca orte_enable_recovery 1 -n "$ranks" "$lost" die $job "$moment" "$transport" >"$out" 2>&1
        told=$(grep -c 'goes on alone' "$out")
        echo "$transport, $job killed after $moment ms: $told of $((ranks - 1)) told"
        [ "$told" = $((ranks - 1)) ] || { wrong=$((wrong + 1)); cat "$out"; }
    done
done
echo "$count kills of ranks, $wrong wrong"
[ $wrong = 0 ]
