/* worker.c: what a running program holds on to: how it reports a failure, and how it takes memory.
 *
 * A failure is a code that every function returns to its caller at once; what it says stays in the worker,
 * where the first one sticks. Messages are formats of errors.def with up to two numbers.
 */
#include "../lang.h"

ErrorCode worker_fail(Worker *worker, ErrorCode code, Span span, int64_t a, int64_t b) {
    error_set(&worker->error, code, span, error_message(code), (long long)a, (long long)b);
    return code;
}

void *worker_alloc(Worker *worker, int64_t bytes, Span span) {
    void *memory = region_alloc(worker->region, bytes);
    if (!memory) worker_fail(worker, E_OutOfMemory, span, bytes, budget_limit(region_budget(worker->region)));
    return memory;
}
