#!/bin/sh
# lost_host.sh PROGRAM TRANSPORT: run on virtual hosts (hosts -k 1), of which the last one is killed while ranks run programs.
# The others must be told which rank is lost (lost.c looks at the time, too). mpirun, which waits for the lost host, is ended.
set -eu
mpirun --mca orte_enable_recovery 1 -n 2 "$1" /job/kill "$2" >/job/output 2>&1 &
for second in $(seq 180); do
    grep -qE 'goes on alone|^lost:' /job/output && break
    sleep 1
done
cat /job/output
kill -9 $!
grep -q 'goes on alone' /job/output
