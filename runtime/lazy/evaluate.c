/* evaluate.c: computes lazy values.
 *
 *     graph -> recipe -> unit (from the cache, or merged, typed and compiled) -> run -> one value for each root
 *
 * The data of the graph become the struct of arguments. Several roots are computed by one program, whose result is a
 * struct; each value is a part of it. Roots that are data already are handed out as they are. A future is the same on
 * a thread of its own.
 */
#include "lazy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const Span nowhere = {0, 0, 0};

/* ---- one evaluation ---- */

typedef struct Evaluation {
    Lazy *const *roots;
    int64_t count;
    Graph graph;
    Unit *unit;
    void *args;                    /* the struct of arguments */
    void **held;                   /* whose data they are: lazy values and results */
    const volatile int32_t *never; /* as in Execution */
} Evaluation;

static bool out_of_memory(Error *error) {
    return error_set(error, E_OutOfMemory, nowhere, "no memory to evaluate lazy values");
}

/* The unit of the graph's program; errors are reported to the handle against its texts. */
static bool find_unit(Evaluation *e, weld_conf_t conf, Error *error, weld_error_t handle) {
    Buf key = {0};
    Timings timings;
    bool hit;
    recipe_print(&key, e->graph.recipe);
    Origin origin = {.name = "<lazy>", .text = key.text, .length = key.length, .recipe = e->graph.recipe};
    if (key.failed)
        out_of_memory(error);
    else
        e->unit = unit_find(&origin, conf, error, &timings, handle, &hit);
    buf_release(&key);
    return e->unit != NULL;
}

static bool fill_arguments(Evaluation *e, Error *error) {
    const Type *type = e->unit->signature->argument;
    const Recipe *recipe = e->graph.recipe;
    int64_t field = 0;
    e->args = calloc(1, (size_t)type->size + 1);
    e->held = malloc(sizeof *e->held * (size_t)(recipe->leaf_count + 1));
    if (!e->args || !e->held) return out_of_memory(error);
    for (int64_t i = 0; i < recipe->step_count; i++) {
        if (!recipe->steps[i].leaf) continue;
        /* A lazy value that has its value still holds what it was computed from, maybe what gets this result as its
         * own. The value does not. */
        Lazy *lazy = e->graph.lazies[i];
        Value *value = atomic_load(&lazy->value);
        memcpy((char *)e->args + type->offsets[field], value ? value->data : lazy->data,
               (size_t)type->args[field]->size);
        e->held[field++] = value ? (void *)value : lazy;
    }
    return true;
}

/* The values of the roots, and of what was to be kept. On failure there are none. */
static bool hand_out(Evaluation *e, Value *whole, weld_value_t *out, Error *error) {
    const Recipe *recipe = e->graph.recipe;
    int64_t made = 0;
    for (; made < recipe->root_count; made++) {
        Value *part = recipe->root_count == 1 ? object_hold(whole) : value_part(whole, (int)made);
        if (!part) break;
        Lazy *lazy = e->graph.lazies[recipe->roots[made]];
        /* Data have their value; holding a result that points into them would hold them for ever. */
        if (atomic_load(&lazy->keep) && !recipe->steps[recipe->roots[made]].leaf) lazy_set_value(lazy, part);
        if (made < e->count)
            out[made] = part;
        else
            object_drop(part);
    }
    if (made == recipe->root_count) return true;
    for (int64_t i = 0; i < made && i < e->count; i++) object_drop(out[i]);
    return out_of_memory(error);
}

static void evaluation_close(Evaluation *e) {
    unit_drop(e->unit);
    free(e->args);
    free(e->held);
    graph_release(&e->graph);
}

/* Sets all of out, or none. The roots are lazy values, the context is one. */
static bool evaluate(Evaluation *e, Context *context, weld_conf_t conf, weld_value_t *out, Error *error,
                     weld_error_t handle) {
    weld_value_t *values = calloc((size_t)e->count + 1, sizeof *values);
    bool ok = values ? graph_collect(&e->graph, e->roots, e->count, error) : out_of_memory(error);
    ok = ok && find_unit(e, conf, error, handle) && fill_arguments(e, error);
    Execution run = {.args = e->args,
                     .held = e->held,
                     .held_count = ok ? e->graph.recipe->leaf_count : 0,
                     .never = e->never};
    Value *whole = ok ? unit_execute(e->unit, context, &run, error) : NULL;
    ok = whole && hand_out(e, whole, values, error);
    object_drop(whole);
    if (ok && e->count) memcpy(out, values, sizeof *values * (size_t)e->count);
    free(values);
    /* A program that could not be made was reported already, against its own texts. */
    if (ok || e->unit || error->span.end == 0) report(handle, error, e->unit ? e->unit->program : NULL);
    evaluation_close(e);
    return ok;
}

/* A callback has no value that could be handed out. */
static bool are_lazies(const weld_lazy_t *lazies, int64_t count, weld_error_t handle) {
    bool ok = count >= 0 && count <= WELD_LAZY_ARGUMENTS && (count == 0 || lazies);
    for (int64_t i = 0; ok && i < count; i++) {
        const Lazy *lazy = handle_as(lazies[i], HANDLE_LAZY);
        ok = lazy && !lazy->callback;
    }
    if (!ok) report_fault(handle, E_Argument, "these are not lazy values that have a value");
    return ok;
}

bool weld_lazy_evaluate(weld_context_t context_handle, const weld_lazy_t *lazies, int64_t count,
                        weld_value_t *values, weld_error_t handle) {
    Context *context = handle_as(context_handle, HANDLE_CONTEXT);
    if (!are_lazies(lazies, count, handle)) return false;
    if (!context || (count && !values)) {
        report_fault(handle, E_Argument,
                     context ? "there is no room for the values" : "this is not a context");
        return false;
    }
    Error error = {.code = E_None};
    Evaluation e = {.roots = (Lazy *const *)lazies, .count = count};
    bool ok = evaluate(&e, context, context->conf, values, &error, handle);
    if (!ok) rt_log(WELD_LOG_ERROR, "error[%s]: %s", error_name(error.code), error.text);
    return ok;
}

/* ---- looking ahead ---- */

static void print_plan(Buf *out, Program *program, Error *error) {
    Plan *plan = plan_make(program);
    if (plan)
        plan_print(out, program, plan);
    else
        *error = program->error;
}

/* The program of lazy values as it would be run, printed, or its plan. */
static char *program_text(const weld_lazy_t *lazies, int64_t count, bool plan, weld_error_t handle) {
    if (!are_lazies(lazies, count, handle)) return NULL;
    Error error = {.code = E_None};
    Graph graph = {0};
    Program *program = NULL;
    Buf text = {0};
    bool ok = graph_collect(&graph, (Lazy *const *)lazies, count, &error);
    if (ok) program = recipe_program(graph.recipe, false, &error);
    if (program && plan) {
        PassOptions passes = {.level = 2};
        if (!program_optimize(program, &passes)) error = program->error;
    }
    if (program && error.code == E_None && !plan) program_print(&text, program, false);
    if (program && error.code == E_None && plan) print_plan(&text, program, &error);
    if (text.failed) out_of_memory(&error);
    report(handle, &error, program);
    program_free(program);
    graph_release(&graph);
    if (error.code == E_None && text.text) return text.text;
    buf_release(&text);
    return NULL;
}

char *weld_lazy_program(const weld_lazy_t *lazies, int64_t count, weld_error_t error) {
    return program_text(lazies, count, false, error);
}

char *weld_lazy_plan(const weld_lazy_t *lazies, int64_t count, weld_error_t error) {
    return program_text(lazies, count, true, error);
}

/* ---- futures ---- */

typedef struct Future {
    Handle handle;
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t ended;
    bool done, taken; /* taken: the values were handed out */
    volatile int32_t cancelled;
    Context *context;
    Lazy **roots;
    weld_value_t *values;
    int64_t count;
    bool ok;
    weld_error_t error; /* how it ended */
} Future;

static void *future_run(void *data) {
    Future *future = data;
    Error error = {.code = E_None};
    Evaluation e = {.roots = future->roots, .count = future->count, .never = &future->cancelled};
    bool ok = evaluate(&e, future->context, future->context->conf, future->values, &error, future->error);
    pthread_mutex_lock(&future->lock);
    future->ok = ok;
    future->done = true;
    pthread_cond_broadcast(&future->ended);
    pthread_mutex_unlock(&future->lock);
    return NULL;
}

/* What a future holds, once its thread is not running. */
static void future_release(Future *future) {
    for (int64_t i = 0; future->ok && !future->taken && i < future->count; i++)
        object_drop(future->values[i]);
    for (int64_t i = 0; i < future->count; i++) object_drop(future->roots[i]);
    context_drop(future->context);
    weld_error_free(future->error);
    free(future->roots);
    free(future->values);
    free(future);
}

static Future *future_new(Context *context, const weld_lazy_t *lazies, int64_t count) {
    Future *future = calloc(1, sizeof *future);
    if (!future) return NULL;
    future->handle.kind = HANDLE_FUTURE;
    future->context = context_hold(context);
    future->roots = calloc((size_t)count + 1, sizeof *future->roots);
    future->values = calloc((size_t)count + 1, sizeof *future->values);
    future->error = weld_error_new();
    if (future->roots && future->values && future->error) {
        for (int64_t i = 0; i < count; i++) future->roots[i] = object_hold(lazies[i]);
        future->count = count;
        return future;
    }
    future_release(future);
    return NULL;
}

static bool future_start(Future *future) {
    if (pthread_mutex_init(&future->lock, NULL)) return false;
    if (pthread_cond_init(&future->ended, NULL) == 0) {
        if (pthread_create(&future->thread, NULL, future_run, future) == 0) return true;
        pthread_cond_destroy(&future->ended);
    }
    pthread_mutex_destroy(&future->lock);
    return false;
}

weld_future_t weld_lazy_evaluate_async(weld_context_t context_handle, const weld_lazy_t *lazies,
                                       int64_t count, weld_error_t handle) {
    Context *context = handle_as(context_handle, HANDLE_CONTEXT);
    if (!are_lazies(lazies, count, handle)) return NULL;
    if (!context) {
        report_fault(handle, E_Argument, "this is not a context");
        return NULL;
    }
    Future *future = future_new(context, lazies, count);
    if (future && future_start(future)) {
        Error none = {.code = E_None};
        report(handle, &none, NULL);
        return future;
    }
    if (future) future_release(future);
    report_fault(handle, E_OutOfMemory, "no memory, or no thread, for a future");
    return NULL;
}

bool weld_future_poll(weld_future_t handle) {
    Future *future = handle_as(handle, HANDLE_FUTURE);
    if (!future) return true;
    pthread_mutex_lock(&future->lock);
    bool done = future->done;
    pthread_mutex_unlock(&future->lock);
    return done;
}

bool weld_future_wait(weld_future_t handle, weld_value_t *values, weld_error_t error) {
    Future *future = handle_as(handle, HANDLE_FUTURE);
    if (!future) {
        report_fault(error, E_Argument, "this is not a future");
        return false;
    }
    pthread_mutex_lock(&future->lock);
    while (!future->done) pthread_cond_wait(&future->ended, &future->lock);
    bool ok = future->ok, taken = future->taken;
    if (ok && !taken && values) {
        if (future->count) memcpy(values, future->values, sizeof *values * (size_t)future->count);
        future->taken = true;
    }
    pthread_mutex_unlock(&future->lock);
    if (taken)
        report_fault(error, E_Argument, "the values of the future were taken already");
    else
        report_copy(error, future->error);
    return ok && !taken;
}

void weld_future_cancel(weld_future_t handle) {
    Future *future = handle_as(handle, HANDLE_FUTURE);
    if (!future || weld_future_poll(future)) return;
    __atomic_store_n(&future->cancelled, 1, __ATOMIC_SEQ_CST);
    weld_context_cancel(future->context);
}

void weld_future_free(weld_future_t handle) {
    Future *future = handle_as(handle, HANDLE_FUTURE);
    if (!future) return;
    weld_future_cancel(future);
    pthread_join(future->thread, NULL);
    future->handle.kind = HANDLE_NONE;
    pthread_cond_destroy(&future->ended);
    pthread_mutex_destroy(&future->lock);
    future_release(future);
}
