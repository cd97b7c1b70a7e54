#!/bin/sh
# lost_host.sh LOST TRANSPORT [JOB]: run on virtual hosts (hosts -k SECONDS), of which the last one is killed while ranks run a job
# (lost.c). The others must be told which rank is lost, in time. mpirun, which waits for the lost host, is ended.
set -eu
mpirun --mca orte_enable_recovery 1 -n 2 "$1" /job/kill "${3:-sum}" 0 "$2" >/job/output 2>&1 &
for second in $(seq 180); do
    grep -qE 'goes on alone|^lost:' /job/output && break
    sleep 1
done
cat /job/output
kill -9 $!
grep -q 'goes on alone' /job/output
