/* run.c: runs a unit: in a context, with a worker, into a value.
 *
 * Everything that a run changes lies in its context, its worker and its result, so that threads may run a unit side by
 * side. A failure leaves the context as it was before.
 */
#include "rt.h"

#include <stdlib.h>
#include <string.h>

static const Span nowhere = {0, 0, 0};

static bool program_owns(const void *program, const void *pointer) {
    const Arena *arena = &((const Program *)program)->arena;
    return (const char *)pointer >= arena->base && (const char *)pointer < arena->next;
}

static bool owned_by_code(const void *code, const void *pointer) {
    return code_owns(code, pointer);
}

/* Computes the result, and makes it independent of the unit. */
static ErrorCode run_code(const Unit *unit, const Code *code, Worker *worker, const void *args,
                          Value *value) {
    const Type *type = unit->signature->result;
    ErrorCode status = code_run(code, worker, args, value->data);
    if (status != E_None || !unit->constants || !type->pointers) return status;
    if (value_detach(worker, type, value->data, owned_by_code, code)) return E_None;
    return worker->error.code ? worker->error.code : E_OutOfMemory;
}

/* The same by the interpreter, and takes the time. */
static ErrorCode interpret(Unit *unit, Worker *worker, const void *args, Value *value) {
    const Type *type = unit->signature->result;
    const Program *program = unit_interpret_begin(unit);
    double start = rt_clock_ms();
    ErrorCode status = program ? program_eval(program, worker, args, value->data) : E_OutOfMemory;
    if (status == E_None && unit->constants && type->pointers &&
        !value_detach(worker, type, value->data, program_owns, program))
        status = worker->error.code ? worker->error.code : E_OutOfMemory;
    unit_interpret_end(unit, (rt_clock_ms() - start) * 1e6);
    return status;
}

static ErrorCode execute(Unit *unit, Worker *worker, const void *args, Value *value) {
    const Code *code = unit_code(unit, args, 1, NULL);
    if (!code) return interpret(unit, worker, args, value);
    if (!unit_is_light(unit)) return run_code(unit, code, worker, args, value);
    double start = rt_clock_ms();
    ErrorCode status = run_code(unit, code, worker, args, value);
    unit_light_end(unit, (rt_clock_ms() - start) * 1e6);
    return status;
}

/* Executes, and leaves in the context how long fragments took, if somebody asks. */
static ErrorCode measure(Unit *unit, Worker *worker, Context *context, const void *args, Value *value) {
    free(context->timings);
    context->timings = NULL;
    if (!worker->watch) return execute(unit, worker, args, value);
    stopwatch_begin(worker->watch);
    ErrorCode status = execute(unit, worker, args, value);
    context->timings = stopwatch_end(worker->watch, unit->program);
    return status;
}

/* The form of the program that meets the budget, if there is one. */
static ErrorCode choose_form(Unit **unit, Context *context, Worker *worker, int ranks, const void *args) {
    Promise promise = {.unit = *unit};
    Error error = {.code = E_None};
    bool asked = (*unit)->options.memory_budget > 0 && (*unit)->program;
    if (asked && !promise_make(*unit, context, worker, ranks, args, &promise, &error)) {
        if (worker->error.code == E_None) worker->error = error;
        return worker->error.code;
    }
    /* Another form keeps few of what it makes, also if that is small. */
    region_set_apart(worker->region, promise.unit != *unit);
    *unit = promise.unit;
    worker->room = promise.room;
    return E_None;
}

Value *unit_execute(Unit *unit, Context *context, const Execution *run, Error *error) {
    const void *args = run->args;
    if (!arguments_check(unit->signature, args, error) || !context_begin(context, error)) return NULL;
    if (run->never && __atomic_load_n(run->never, __ATOMIC_SEQ_CST)) weld_context_cancel(context);
    Stopwatch watch;
    Worker worker = {.cancel = run->cancel ? run->cancel : (const volatile int32_t *)&context->state,
                     .host = unit->options.foreign ? &foreign_host : &no_foreign,
                     .team = context->team,
                     .watch = unit->options.timings ? &watch : NULL,
                     .grain = context->grain};
    ClusterRun cluster;
    Checkpoint *checkpoint = NULL;
    if (!cluster_begin(&cluster, &unit->options, &worker, error)) {
        context_end(context);
        return NULL;
    }
    Value *value = value_new_result(context, unit->signature, run->held, run->held_count);
    ErrorCode code = E_OutOfMemory;
    if (value) {
        worker.region = value->region;
        code = choose_form(&unit, context, &worker, cluster_ranks(&cluster), args);
        if (code == E_None) args = arguments_normal(&worker, unit->signature, args);
        if (code == E_None)
            code = args || !unit->signature->argument->count
                       ? checkpoint_begin(&checkpoint, unit, &cluster, &worker)
                       : E_OutOfMemory;
        if (code == E_None) code = measure(unit, &worker, context, args, value);
        checkpoint_end(checkpoint);
    }
    code = cluster_end(&cluster, &worker, code);
    if (code == E_None) {
        value->in_blocks = cluster.engine && strcmp(unit->options.cluster_result, "blocks") == 0;
        value_finish(value);
    } else {
        object_drop(value);
        value = NULL;
        if (worker.error.code == E_None)
            worker_fail(&worker, code, nowhere, 0, budget_limit(&context->budget));
        error_set(error, worker.error.code, worker.error.span, "%s", worker.error.text);
    }
    context_end(context);
    return value;
}
