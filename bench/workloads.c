/* workloads.c: the table of workloads.def. */
#include "bench.h"

enum { ORDERED = false, ANY = true, WORK = false, STREAM = true };

const Workload workloads[] = {
#define WORKLOAD(id, program, title, inputs, tolerance, order, passes, bar) \
    {#id, program, title, inputs, tolerance, order, passes, bar, native_##id},
#include "workloads.def"
};
const int workload_count = sizeof workloads / sizeof *workloads;
