#!/bin/sh
# transport_bench.sh PROGRAM: run on virtual hosts (hosts), measures each transport, and beside verbs the programs of perftest.
set -eu
program=$1
for transport in mpi verbs mpi verbs; do mpirun -n 2 "$program" $transport; done
# beside PROGRAM NAME COLUMN UNIT OPTION...: between host 1 and host 2.
beside() {
    tool=$1 name=$2 column=$3 unit=$4
    shift 4
    /job/agent host2 "$tool -d rxe0 -x 1 $* >/job/$tool.2 2>&1"
    for try in 1 2 3 4 5 6 7 8 9 10; do
        sleep 1
        "$tool" -d rxe0 -x 1 "$@" host2 >"/job/$tool.1" 2>&1 && break
    done
    awk -v name="$name" -v tool="$tool" -v column="$column" -v unit="$unit" \
        '$1 ~ /^[0-9]+$/ && NF > 3 {printf "%-16s %s %.1f %s\n", name, tool, $column, unit}' "/job/$tool.1"
}
command -v ib_write_lat >/dev/null || { echo "perftest is not installed"; exit 0; }
beside ib_write_lat "latency of 8 B" 5 us -s 8 -n 300
beside ib_write_bw "64 KB one way" 4 MB/s -s 65536 -n 200
