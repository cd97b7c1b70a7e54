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
    module->unit = unit_find(name, text, length, want, conf, error, timings, handle, &hit);
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

/* ---- questions
 * ----------------------------------------------------------------------------------------------- */

Program *module_program(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? unit_typed(module->unit) : NULL;
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

/* ---- running
 * ------------------------------------------------------------------------------------------------- */

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

bool module_prepare(weld_module_t handle, const void *args, int64_t runs, Timings *timings) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    Error error = {.code = E_None};
    if (!module || !arguments_check(module->unit->signature, args, &error)) return false;
    unit_code(module->unit, args, runs, timings);
    return true;
}

static Value *run(Module *module, Context *context, const void *args, Value *alias,
                  const volatile int32_t *cancel, Error *error) {
    if (!arguments_check(module->unit->signature, args, error) || !context_begin(context, error)) return NULL;
    Worker worker = {.cancel = cancel ? cancel : (const volatile int32_t *)&context->state,
                     .host = module->unit->options.foreign ? &foreign_host : &no_foreign,
                     .team = context->team,
                     .grain = context->grain};
    Value *value = value_new_result(context, module->unit->signature, alias);
    ErrorCode code = E_OutOfMemory;
    if (value) {
        worker.region = value->region;
        args = arguments_normal(&worker, module->unit->signature, args);
        code = args || !module->unit->signature->argument->count ? execute(module->unit, &worker, args, value)
                                                                 : E_OutOfMemory;
    }
    if (code == E_None) {
        value_finish(value);
    } else {
        value_drop(value);
        value = NULL;
        if (worker.error.code == E_None) worker_fail(&worker, code, nowhere, 0, context->budget.limit);
        error_set(error, worker.error.code, worker.error.span, "%s", worker.error.text);
    }
    context_end(context);
    return value;
}

weld_value_t module_run(weld_module_t handle, weld_context_t context_handle, const void *args,
                        const volatile int32_t *cancel, Error *error) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    Context *context = handle_as(context_handle, HANDLE_CONTEXT);
    if (module && context) return run(module, context, args, NULL, cancel, error);
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
        value = run(module, context, arg ? arg->data : NULL, arg && arg->context ? arg : NULL, NULL, &error);
    }
    report(error_handle, &error, module ? module->unit->program : NULL);
    if (error.code) rt_log(WELD_LOG_ERROR, "error[%s]: %s", error_name(error.code), error.text);
    context_drop(context);
    return value;
}
