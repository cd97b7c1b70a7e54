/* workloads.c: the table of workloads.def. */
#include "bench.h"

enum { ORDERED = false, ANY = true, WORK = false, STREAM = true };

const Workload workloads[] = {
#define WORKLOAD(id, program, title, inputs, tolerance, order, passes, bar) \
    {#id, program, title, inputs, tolerance, order, passes, bar, native_##id, NULL, NULL},
#ifdef HAVE_ADAPTERS
#define CALLED(id) calls_##id
#define ALONE(id) NULL
#define EMITTED(id, libraries, title, inputs, tolerance, order, passes, bar) \
    {#id, NULL, title, inputs, tolerance, order, passes, bar, native_##id, libraries(id), emit_##id},
#else
#define EMITTED(...)
#endif
#include "workloads.def"
};
const int workload_count = sizeof workloads / sizeof *workloads;
