#!/bin/sh
# on_hosts.sh FOLDER: run on virtual hosts (hosts): each transport gives the right answers and does what it should; FOLDER has
# the test programs. Programs are compiled some twenty times slower than elsewhere, so a part of the corpus is run.
set -eu
for transport in verbs mpi; do
    mpirun -n 2 "$1/cluster_transport_bench" $transport
done
mpirun -n 2 "$1/cluster_windows" work verbs
# Interpreted, what ranks exchange is the same: all of it is `hosts -n 2 -- mpirun -n 2 FOLDER/cluster_corpus all verbs 1 eval`.
mpirun -n 2 "$1/cluster_corpus" all verbs 10 eval
mpirun -n 2 "$1/cluster_corpus" all verbs 100
mpirun -n 2 "$1/cluster_corpus" all mpi 400
