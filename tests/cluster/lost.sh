#!/bin/sh
# lost.sh MPIRUN FOLDER [NAME]: a rank that dies or hangs, in runs of each job and in windows, and ranks that are all stopped for a while:
# what lost.c and windows.c, in FOLDER, say of it. NAME: one of the cases below. They are silent for some ten seconds each and compute for
# less than one, so all run beside each other.
set -u
mpirun=$1 folder=$2 only=${3:-}
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
names=

# case_of NAME TEXT ARGUMENT...: TEXT must be printed, and no complaint.
case_of() {
    name=$1 text=$2
    shift 2
    [ -z "$only" ] || [ "$only" = "$name" ] || return 0
    names="$names $name"
    echo "$text" >"$dir/$name.text"
    { timeout 120 "$mpirun" --oversubscribe "$@" >"$dir/$name.out" 2>&1; echo $? >"$dir/$name.status"; } &
    sleep 0.3 # not all start at once
}

# The launcher is asked to leave the others alone; then it does not report their status.
recovery="--mca orte_enable_recovery 1"
remote="--mca pml ob1 --mca btl tcp,self --mca osc ^sm"
told="rank 0 was told within"
for how in die stop; do
    # shellcheck disable=SC2086 # words on purpose
    case_of ${how}_sum "$told" $recovery -n 3 "$folder/cluster_lost" $how
done
for which in die:shuffle die:reduce die:launch die:server stop:launch stop:server; do
    how=${which%:*} job=${which#*:}
    # shellcheck disable=SC2086
    case_of ${how}_$job "$told" $recovery -n 3 "$folder/cluster_lost" $how $job
done
case_of paused "" -n 2 "$folder/cluster_lost" pause reduce
# shellcheck disable=SC2086
case_of windows_die "a lost rank was named" $recovery -n 3 "$folder/cluster_windows" die
# shellcheck disable=SC2086
case_of windows_remote_die "a lost rank was named" $remote $recovery -n 3 "$folder/cluster_windows" die
[ -n "$names" ] || { echo "there is no case $only"; exit 1; }
wait

wrong=0
for name in $names; do
    if grep -qF -- "$(cat "$dir/$name.text")" "$dir/$name.out" && ! grep -qE '^lost: |windows do not work' "$dir/$name.out" &&
        { [ "$name" != paused ] || [ "$(cat "$dir/$name.status")" = 0 ]; }; then
        echo "$name: $(grep -F -- "$(cat "$dir/$name.text")" "$dir/$name.out" | head -n 1)"
    else
        wrong=$((wrong + 1))
        echo "$name: WRONG, status $(cat "$dir/$name.status")"
        cat "$dir/$name.out"
    fi
done
[ $wrong = 0 ]
