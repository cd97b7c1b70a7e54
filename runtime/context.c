/* context.c: contexts, the owners of memory.
 *
 * A context has a budget (memory.c) from which its runs and their results take memory. It is counted: the
 * user's handle is one reference, each result another, so that results may outlive the handle. Handles that
 * weld_value_context gives are the same pointer, counted once more.
 *
 * One word holds a context's state: idle, running, or cancelled. A run moves it from idle to running by
 * compare-and- swap, so a second run in the same context is refused; cancelling moves it from running to
 * cancelled, so it hits the run that is going on and never a later one. Running is 0: the word is the flag
 * that running code polls.
 */
#include "rt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const Span nowhere = {0, 0, 0};

Context *context_new(weld_conf_t conf, Error *error) {
    Options options;
    if (!conf_options(conf, &options, error)) return NULL;
    bool given = weld_conf_get(conf, "weld.memory.limit") != NULL;
    Context *context = calloc(1, sizeof *context);
    bool threads = options.threads > 1;
    if (context && threads) context->team = team_new((int)options.threads, options.grain);
    if (context) context->conf = conf_copy(conf);
    if (!context || (threads && !context->team) || !context->conf ||
        !memory_budget(&context->budget, given ? options.memory_limit : -1)) {
        if (context) {
            team_free(context->team);
            weld_conf_free(context->conf);
        }
        free(context);
        error_set(error, E_OutOfMemory, nowhere, "no memory for a context");
        return NULL;
    }
    context->grain = options.grain;
    context->handle.kind = HANDLE_CONTEXT;
    atomic_init(&context->refs, 1);
    atomic_init(&context->state, CONTEXT_IDLE);
    return context;
}

weld_context_t weld_context_new(weld_conf_t conf) {
    Error error = {.code = E_None};
    Context *context = context_new(conf, &error);
    if (!context) rt_log(WELD_LOG_ERROR, "no context: %s", error.text);
    return context;
}

Context *context_hold(Context *context) {
    atomic_fetch_add_explicit(&context->refs, 1, memory_order_relaxed);
    return context;
}

void context_drop(Context *context) {
    if (!context || atomic_fetch_sub_explicit(&context->refs, 1, memory_order_acq_rel) != 1) return;
    team_free(context->team);
    memory_budget_release(&context->budget);
    weld_conf_free(context->conf);
    free(context->timings);
    context->handle.kind = HANDLE_NONE;
    free(context);
}

void weld_context_free(weld_context_t context) {
    context_drop(handle_as(context, HANDLE_CONTEXT));
}

bool context_begin(Context *context, Error *error) {
    int32_t idle = CONTEXT_IDLE;
    if (!atomic_compare_exchange_strong(&context->state, &idle, CONTEXT_RUNNING)) {
        return error_set(error, E_Argument, nowhere,
                         "the context is running already; a thread needs one of its own");
    }
    context->runs++;
    budget_open(&context->budget);
    return true;
}

void context_end(Context *context) {
    budget_close(&context->budget);
    atomic_store(&context->state, CONTEXT_IDLE);
}

void weld_context_cancel(weld_context_t handle) {
    Context *context = handle_as(handle, HANDLE_CONTEXT);
    int32_t running = CONTEXT_RUNNING;
    if (context) atomic_compare_exchange_strong(&context->state, &running, CONTEXT_CANCELLED);
}

int64_t weld_context_memory_usage(weld_context_t handle) {
    Context *context = handle_as(handle, HANDLE_CONTEXT);
    return context ? atomic_load_explicit(&context->budget.live, memory_order_relaxed) : -1;
}

int64_t context_peak(weld_context_t handle) {
    Context *context = handle_as(handle, HANDLE_CONTEXT);
    return context ? atomic_load_explicit(&context->budget.peak, memory_order_relaxed) : -1;
}

int64_t context_allocations(weld_context_t handle) {
    Context *context = handle_as(handle, HANDLE_CONTEXT);
    return context ? atomic_load_explicit(&context->budget.allocations, memory_order_relaxed) : -1;
}

int64_t weld_context_memory_peak(weld_context_t context) {
    return context_peak(context);
}

char *weld_context_timings(weld_context_t handle) {
    const Context *context = handle_as(handle, HANDLE_CONTEXT);
    return context && context->timings ? strdup(context->timings) : NULL;
}
