#!/bin/sh
# host_kills.sh BUILD COUNT [TRANSPORT..]: of two virtual hosts (hosts) one is killed at COUNT random moments, in turn of a shuffle, an
# all-reduce, a training with a parameter server and one with checkpoints, by each transport: each time the other rank gets a status that
# names the lost one, in time, and goes on alone, or the training goes on from its checkpoint, on new hosts, to the result of an undisturbed
# run. BUILD is a folder with bin/weldc and tests/cluster_lost. Status 77: there can be no hosts here.
set -u
here=$(cd "$(dirname "$0")" && pwd)
build=$1 count=$2
shift 2
[ $# -gt 0 ] || set -- verbs mpi
folder=$(mktemp -d)
trap 'rm -rf "$folder"' EXIT
"$here/hosts" -j "$folder" -- sh "$here/train_host.sh" "$build/bin/weldc" "$1" alone >"$folder/log" 2>&1
status=$?
[ $status = 0 ] || { cat "$folder/log"; exit $status; }
grep -o '"transport".*"transport_reason": "[^"]*"' "$folder/log"

one_kill() {
    if [ "$job" = train ]; then
        "$here/hosts" -t 400 -j "$folder" -k "$moment" -- sh "$here/train_host.sh" "$build/bin/weldc" "$transport" killed &&
            "$here/hosts" -t 400 -j "$folder" -- sh "$here/train_host.sh" "$build/bin/weldc" "$transport" resumed
    else
        "$here/hosts" -t 400 -j "$folder" -k "$moment" -- sh "$here/lost_host.sh" "$build/tests/cluster_lost" "$transport" $job
    fi
}
done=0 wrong=0
while [ $done -lt "$count" ]; do
    for job in shuffle train reduce server; do
        for transport in "$@"; do
            [ $done -lt "$count" ] || break
            done=$((done + 1))
            moment=$(awk -v seed="$$$done" 'BEGIN { srand(seed); printf "%.2f", rand() * 3 }')
            rm -f "$folder"/host.ckpt*
            if one_kill >"$folder/log" 2>&1; then
                echo "$transport, $job: killed after $moment s: $(tail -n 1 "$folder/log")"
            else
                wrong=$((wrong + 1))
                echo "$transport, $job: killed after $moment s: WRONG"
                cat "$folder/log"
            fi
        done
    done
done
echo "$count kills of hosts, $wrong wrong"
[ $wrong = 0 ]
