/* module.c: modules, the handles of compiled programs, and running them.
 *
 * A module is a reference to a unit (unit.c), which holds the typed program and its code. Modules of the same
 * text under the same settings share one (cache.c). A unit changes under a lock only: threads may run it side
 * by side. Everything that a run changes lies in its context, its worker and its result.
 */
#include "rt.h"

#include <stdlib.h>
#include <string.h>

typedef struct Module {
    Handle handle;
    Unit *unit;
    bool had_code; /* the unit had code already when this module was made */
} Module;

static const Span nowhere = {0, 0, 0};

/* ---- compiling ---- */

void weld_module_free(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    if (!module) return;
    module->handle.kind = HANDLE_NONE;
    unit_drop(module->unit);
    free(module);
}

/* Compiles, or finds what was compiled before, and tells a handle how it went. */
static Module *compile_and_report(const char *name, const char *text, size_t length, const Type *want,
                                  weld_conf_t conf, Error *error, Timings *timings, weld_error_t handle) {
    Timings ignored;
    timings = timings ? timings : &ignored;
    *timings = (Timings){0};
    Module *module = calloc(1, sizeof *module);
    if (!module) {
        error_set(error, E_OutOfMemory, nowhere, "no memory to compile the program");
        report(handle, error, NULL);
        return NULL;
    }
    module->handle.kind = HANDLE_MODULE;
    bool hit;
    Origin origin = {.name = name, .text = text, .length = length, .want = want};
    module->unit = unit_find(&origin, conf, error, timings, handle, &hit);
    if (module->unit) {
        module->had_code = hit && unit_has_code(module->unit);
        return module;
    }
    rt_log(WELD_LOG_ERROR, "%s: error[%s]: %s", name, error_name(error->code), error->text);
    weld_module_free(module);
    return NULL;
}

weld_module_t module_compile(const char *name, const char *text, size_t length, const Type *want,
                             weld_conf_t conf, Error *error, Timings *timings) {
    return compile_and_report(name, text, length, want, conf, error, timings, NULL);
}

weld_module_t weld_module_compile(const char *code, weld_conf_t conf, weld_error_t handle) {
    Error error = {.code = E_None};
    if (!code) {
        report_fault(handle, E_Argument, "the program is NULL");
        return NULL;
    }
    return compile_and_report("<program>", code, strlen(code), NULL, conf, &error, NULL, handle);
}

weld_module_t weld_module_load(const void *data, int64_t size, weld_conf_t conf, weld_error_t handle) {
    Error error = {.code = E_None};
    if (!data || size < 0) {
        report_fault(handle, E_Argument, "the bytes of the program are NULL");
        return NULL;
    }
    Module *module = calloc(1, sizeof *module);
    if (!module) {
        report_fault(handle, E_OutOfMemory, "no memory to load the program");
        return NULL;
    }
    module->handle.kind = HANDLE_MODULE;
    module->had_code = true;
    module->unit = ahead_load(data, (size_t)size, conf, &error, handle);
    if (module->unit) return module;
    weld_module_free(module);
    return NULL;
}

/* ---- questions
 * ----------------------------------------------------------------------------------------------- */

Program *module_program(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? unit_typed(module->unit) : NULL;
}

bool module_price(weld_module_t handle, weld_context_t owner, const void *args, PlanPrice *price) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    Context *context = handle_as(owner, HANDLE_CONTEXT);
    Promise promise;
    Error error = {.code = E_None};
    ClusterRun cluster;
    static const volatile int32_t never = 0;
    Budget budget;
    budget_init(&budget, 0);
    Worker worker = {.cancel = &never, .region = region_new(&budget)};
    bool ok = module && worker.region && cluster_begin(&cluster, &module->unit->options, &worker, &error);
    if (ok) {
        ok = promise_make(module->unit, context, &worker, cluster_ranks(&cluster), args, &promise, &error);
        ErrorCode code = ok ? E_None : error.code ? error.code : E_OutOfMemory;
        ok = cluster_end(&cluster, &worker, code) == E_None && ok;
    }
    if (worker.region) region_free(worker.region);
    if (ok) *price = promise.price;
    return ok;
}

Program *module_optimized(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? unit_optimized(module->unit) : NULL;
}

const char *module_tier(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    if (!module || !unit_has_code(module->unit)) return "eval";
    return module->had_code || module->unit->from_disk ? "cached" : "jit";
}

const Type *module_argument_type(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? module->unit->signature->argument : NULL;
}

const Type *module_result_type(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? module->unit->signature->result : NULL;
}

int64_t weld_module_parameter_count(weld_module_t module) {
    const Type *argument = module_argument_type(module);
    return argument ? argument->count : -1;
}

const char *weld_module_parameter_name(weld_module_t handle, int64_t index) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    bool ok = module && index >= 0 && index < weld_module_parameter_count(module);
    return ok ? module->unit->signature->names[index] : NULL;
}

const char *weld_module_parameter_type(weld_module_t handle, int64_t index) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    bool ok = module && index >= 0 && index < weld_module_parameter_count(module);
    return ok ? module->unit->signature->texts[index] : NULL;
}

const char *weld_module_result_type(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? module->unit->signature->result_text : NULL;
}

/* ---- running ---- */

bool module_prepare(weld_module_t handle, const void *args, int64_t runs, Timings *timings) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    Error error = {.code = E_None};
    if (!module || !arguments_check(module->unit->signature, args, &error)) return false;
    unit_code(module->unit, args, runs, timings);
    return true;
}

weld_value_t module_run(weld_module_t handle, weld_context_t context_handle, const void *args,
                        const volatile int32_t *cancel, Error *error) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    Context *context = handle_as(context_handle, HANDLE_CONTEXT);
    Execution run = {.args = args, .cancel = cancel};
    if (module && context) return unit_execute(module->unit, context, &run, error);
    error_set(error, E_Argument, nowhere, module ? "this is not a context" : "this is not a module");
    return NULL;
}

weld_value_t weld_module_run(weld_module_t module_handle, weld_context_t context_handle,
                             weld_value_t arg_handle, weld_error_t error_handle) {
    Error error = {.code = E_None};
    Module *module = handle_as(module_handle, HANDLE_MODULE);
    Value *arg = handle_as(arg_handle, HANDLE_VALUE), *value = NULL;
    Context *context = handle_as(context_handle, HANDLE_CONTEXT);
    /* Weld before 0.4 passed a configuration here, and so do some of its examples. */
    if (context)
        context_hold(context);
    else if (handle_as(context_handle, HANDLE_CONF))
        context = context_new(context_handle, &error);
    else
        error_set(&error, E_Argument, nowhere, "this is not a context");
    if (!module) error_set(&error, E_Argument, nowhere, "this is not a module");
    if (arg_handle && !arg) error_set(&error, E_Argument, nowhere, "this is not a value");
    if (error.code == E_None) {
        Execution run = {
            .args = arg ? arg->data : NULL, .held = (void *const *)&arg, .held_count = arg && arg->context};
        value = unit_execute(module->unit, context, &run, &error);
    }
    report(error_handle, &error, module ? module->unit->program : NULL);
    if (error.code) rt_log(WELD_LOG_ERROR, "error[%s]: %s", error_name(error.code), error.text);
    context_drop(context);
    return value;
}
