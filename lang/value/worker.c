/* worker.c: what a running program holds on to: how it reports a failure, and how it takes memory.
 *
 * A failure is a code that every function returns to its caller at once; what it says stays in the worker,
 * where the first one sticks. Messages are formats of errors.def with up to two numbers, or what an
 * assertion says.
 */
#include "../lang.h"

ErrorCode worker_fail(Worker *worker, ErrorCode code, Span span, int64_t a, int64_t b) {
    error_set(&worker->error, code, span, error_message(code), (long long)a, (long long)b);
    return code;
}

ErrorCode worker_fail_assert(Worker *worker, Span span, const char *text, int64_t length,
                             const int64_t numbers[MOST_ASSERTED]) {
    Buf message = {0};
    int next = 0;
    for (int64_t i = 0; i < length; i++) {
        bool number = next < MOST_ASSERTED && text[i] == '{' && i + 1 < length && text[i + 1] == '}';
        if (number)
            buf_printf(&message, "%lld", (long long)numbers[next++]), i++;
        else
            buf_put(&message, text + i, 1);
    }
    error_set(&worker->error, E_AssertionFailed, span, "%s",
              message.text ? message.text : error_message(E_AssertionFailed));
    buf_release(&message);
    return E_AssertionFailed;
}

void *worker_alloc(Worker *worker, int64_t bytes, Span span) {
    void *memory = region_alloc(worker->region, bytes);
    if (!memory) worker_fail(worker, E_OutOfMemory, span, bytes, budget_limit(region_budget(worker->region)));
    return memory;
}
