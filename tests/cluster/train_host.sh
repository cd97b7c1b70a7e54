#!/bin/sh
# train_host.sh WELDC TRANSPORT alone|killed|resumed: run on virtual hosts (hosts) that share /job: a training with checkpoints on two
# ranks, from the beginning to the end; until its last host is killed (hosts -k SECONDS), of which the other rank must tell in time; or
# going on from the checkpoint.
set -u
numbers='result(for(rangeiter(0L, 1000L, 1L), appender[f64], |b, i, x| merge(b, f64(x) * 0.01)))'
weldc=$1 transport=$2
train() {
    mpirun --mca orte_enable_recovery 1 -n 2 "$weldc" run --no-eval --stats --set weld.transport="$transport" tests/cluster/settle.weld \
        "$numbers" 1000l "$@"
}
cd "$(dirname "$0")/../.."
case $3 in
alone) train >/job/alone ;;
resumed)
    train --checkpoint /job/host.ckpt --every 2 --resume >/job/resumed 2>/job/output || { cat /job/output; exit 1; }
    cmp /job/alone /job/resumed
    ;;
killed)
    train --checkpoint /job/host.ckpt --every 2 --resume >/job/out 2>/job/output &
    job=$!
    until [ -s /job/host.ckpt ]; do
        kill -0 $job 2>/dev/null || break
        sleep 0.2
    done
    : >/job/kill
    # The script outside kills the host up to 3 s later; then 15 s are the bound, and some for the looks at it.
    begin=$(cut -d. -f1 /proc/uptime)
    until grep -q 'error\[' /job/output; do
        kill -0 $job 2>/dev/null || break
        [ $(($(cut -d. -f1 /proc/uptime) - begin)) -lt 25 ] || { echo "no status"; break; }
        sleep 0.5
    done
    kill -9 $job 2>/dev/null
    grep -q 'error\[Cluster\].*rank 1' /job/output && { grep 'error\[Cluster\]' /job/output; exit 0; }
    cmp -s /job/alone /job/out && { echo "was done before the kill"; exit 0; }
    cat /job/output
    exit 1
    ;;
esac
