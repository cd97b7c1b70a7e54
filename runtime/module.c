/* module.c: from a program's text to a module, and from a module to results.
 *
 *     text -> read -> infer -> verify -> typed program -> the interpreter runs it                 tier eval
 *                                              |
 *                                              +-> optimize in place -> Jit.compile -> Code       tier jit
 *
 * With weld.engine auto, code is compiled; where the code generator is not installed, or fails by a fault of
 * its own, the interpreter takes over and the log says so. The typed program that the optimizer consumed is
 * read again when somebody asks for it, which only tools do.
 *
 * A module does not change after it was compiled (but for that second reading, under a lock): threads may run
 * it side by side. Everything that a run changes lies in its context, its worker and its result.
 */
#include "rt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Module {
    Handle handle;
    Program *program; /* with code: optimized; errors are rendered against its text */
    const Jit *jit;
    Code *code;     /* NULL: the interpreter runs the program */
    bool foreign;   /* may it call C functions */
    bool constants; /* may results point into the program or the code */
    Signature *signature;
    pthread_mutex_t lock; /* of typed */
    Program *typed;       /* the program once more, not optimized; NULL: not yet asked for */
} Module;

static const Span nowhere = {0, 0, 0};

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* ---- compiling
 * --------------------------------------------------------------------------------------------- */

/* Moves a phase's error out of its program. Returns false, always. */
static bool phase_failed(Program *program, Error *error) {
    if (program->error.code)
        return error_set(error, program->error.code, program->error.span, "%s", program->error.text);
    return error_set(error, E_Internal, nowhere, "a phase failed without saying why");
}

static bool no_memory(Error *error) {
    return error_set(error, E_OutOfMemory, nowhere, "no memory to compile the program");
}

/* Reads and types a text. NULL or a program whose error is set: failed; the caller frees the program. */
static bool read_program(Program **program, const char *name, const char *text, size_t length,
                         const Type *want, Error *error, Timings *timings) {
    double start = now_ms();
    *program = program_new(name, text, length);
    if (!*program) return no_memory(error);
    bool ok = program_read(*program);
    double parsed = now_ms();
    ok = ok && program_infer(*program, want) && program_verify(*program);
    timings->parse_ms = parsed - start;
    timings->infer_ms = now_ms() - parsed;
    return ok || phase_failed(*program, error);
}

/* What a walk over the typed program finds out. */
typedef struct Survey {
    Module *module;
    Error *error;
} Survey;

static bool survey_node(Walk *walk, Node **slot) {
    Survey *survey = walk->data;
    const Node *node = *slot;
    if (node->kind == N_String || node->kind == N_Vec) survey->module->constants = true;
    if (node->kind != N_Cudf) return true;
    if (!survey->module->foreign) {
        error_set(survey->error, E_Library, node->span,
                  "calls of C functions are switched off (weld.foreign)");
    } else if (!foreign_symbol(node->text)) {
        error_set(survey->error, E_Library, node->span,
                  "there is no C function %s in the process or in a loaded library", node->text);
    }
    return true;
}

static bool survey_program(Module *module, Error *error) {
    Survey survey = {module, error};
    Walk walk = {.program = module->program, .enter = survey_node, .data = &survey};
    node_walk(&walk, &module->program->root);
    return error->code == E_None;
}

static void *code_symbol(void *data, const char *name) {
    const Module *module = data;
    if (strncmp(name, "rt_", 3) == 0) {
        void *call = rtcall_symbol(name);
        if (call) return call;
    }
    return module->foreign ? foreign_symbol(name) : NULL;
}

/* Compiles the optimized program. */
static bool generate(Module *module, const Options *options, const Dump *dump, Error *error) {
    CodeOptions code = {(int)options->llvm_level, options->processor, code_symbol, module};
    module->code = module->jit->compile(module->program, &code, error);
    if (!module->code) {
        return error_set(error, E_Internal, nowhere, "code generation failed without saying why");
    }
    static const struct {
        const char *format;
        CodeStage stage;
    } stages[] = {{"llvm", CODE_LLVM}, {"llvmopt", CODE_LLVM}, {"assembly", CODE_ASM}};
    bool ok = true;
    for (size_t i = 0; ok && i < sizeof stages / sizeof *stages; i++) {
        if (!dump_wants(dump, stages[i].format)) continue;
        Buf text = {0};
        ok = module->jit->text(module->program, &code, stages[i].stage, &text, error) &&
             dump_text(dump, stages[i].format, &text, error);
        buf_release(&text);
    }
    return ok;
}

/* Reads the module's program again, as it was before the optimizer. */
static Program *read_again(const Module *module) {
    const Source *source = &module->program->source[0];
    const Signature *signature = module->signature;
    int count = signature->argument->count;
    TypeTable *types = &module->signature->types;
    Type **parts = calloc((size_t)count + 1, sizeof *parts);
    if (!parts) return NULL;
    for (int i = 0; i < count; i++) parts[i] = signature->argument->args[i];
    parts[count] = signature->result;
    Type *function = type_make(types, TY_function, OP_none, count + 1, parts);
    free(parts);
    Error error = {.code = E_None};
    Timings timings;
    Program *program;
    if (read_program(&program, source->name, source->text, source->length, function, &error, &timings))
        return program;
    program_free(program);
    return NULL;
}

/* auto, and there will be no code: back to the typed program. */
static bool fall_back(Module *module, Error *error) {
    rt_log(WELD_LOG_WARN, "interpreting: %s", error->text);
    Program *typed = read_again(module);
    if (!typed) return false;
    program_free(module->program);
    module->program = typed;
    *error = (Error){.code = E_None};
    return true;
}

static bool optimize_and_generate(Module *module, const Options *options, const Dump *dump, Error *error,
                                  Timings *timings) {
    bool automatic = strcmp(options->engine, "auto") == 0;
    double start = now_ms();
    PassOptions passes = {.level = (int)options->level, .passes = options->passes, .verify = options->verify};
    if (!program_optimize(module->program, &passes)) return phase_failed(module->program, error);
    if (!dump_program(dump, "weldopt", module->program, error)) return false;
    double optimized = now_ms();
    module->jit = jit_load(error);
    bool ok = module->jit && generate(module, options, dump, error);
    if (!ok && automatic && (!module->jit || error->code == E_Internal)) ok = fall_back(module, error);
    timings->optimize_ms = optimized - start;
    timings->codegen_ms = now_ms() - optimized;
    return ok;
}

static bool compile(Module *module, const char *name, const char *text, size_t length, const Type *want,
                    weld_conf_t conf, Error *error, Timings *timings) {
    Options options;
    Dump dump;
    if (!conf_options(conf, &options, error) || !dump_begin(&dump, &options, error)) return false;
    if (options.passes && !passes_check(options.passes, error)) return false;
    module->foreign = options.foreign;
    if (!read_program(&module->program, name, text, length, want, error, timings)) return false;
    if (!survey_program(module, error)) return false;
    module->signature = signature_new(module->program, program_argument_type(module->program),
                                      program_result_type(module->program));
    if (!module->signature) return no_memory(error);
    if (!dump_program(&dump, "weld", module->program, error)) return false;
    return strcmp(options.engine, "eval") == 0 ||
           optimize_and_generate(module, &options, &dump, error, timings);
}

static Module *module_new(Error *error) {
    Module *module = calloc(1, sizeof *module);
    if (!module || pthread_mutex_init(&module->lock, NULL)) {
        free(module);
        no_memory(error);
        return NULL;
    }
    module->handle.kind = HANDLE_MODULE;
    return module;
}

void weld_module_free(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    if (!module) return;
    module->handle.kind = HANDLE_NONE;
    if (module->code) module->jit->release(module->code);
    program_free(module->program);
    program_free(module->typed);
    signature_drop(module->signature);
    pthread_mutex_destroy(&module->lock);
    free(module);
}

/* Compiles, and tells a handle how it went. */
static Module *compile_and_report(const char *name, const char *text, size_t length, const Type *want,
                                  weld_conf_t conf, Error *error, Timings *timings, weld_error_t handle) {
    Timings ignored;
    timings = timings ? timings : &ignored;
    *timings = (Timings){0};
    Module *module = module_new(error);
    bool ok = module && compile(module, name, text, length, want, conf, error, timings);
    report(handle, error, module ? module->program : NULL);
    if (ok) return module;
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
    if (!module || !module->code) return module ? module->program : NULL;
    pthread_mutex_lock(&module->lock);
    if (!module->typed) module->typed = read_again(module);
    Program *typed = module->typed;
    pthread_mutex_unlock(&module->lock);
    return typed;
}

const char *module_tier(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module && module->code ? "jit" : "eval";
}

const Type *module_argument_type(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? module->signature->argument : NULL;
}

const Type *module_result_type(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? module->signature->result : NULL;
}

int64_t weld_module_parameter_count(weld_module_t module) {
    const Type *argument = module_argument_type(module);
    return argument ? argument->count : -1;
}

const char *weld_module_parameter_name(weld_module_t handle, int64_t index) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    bool ok = module && index >= 0 && index < weld_module_parameter_count(module);
    return ok ? module->signature->names[index] : NULL;
}

const char *weld_module_parameter_type(weld_module_t handle, int64_t index) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    bool ok = module && index >= 0 && index < weld_module_parameter_count(module);
    return ok ? module->signature->texts[index] : NULL;
}

const char *weld_module_result_type(weld_module_t handle) {
    Module *module = handle_as(handle, HANDLE_MODULE);
    return module ? module->signature->result_text : NULL;
}

/* ---- running
 * ------------------------------------------------------------------------------------------------- */

static bool program_owns(const void *program, const void *pointer) {
    const Arena *arena = &((const Program *)program)->arena;
    return (const char *)pointer >= arena->base && (const char *)pointer < arena->next;
}

static bool code_owns(const void *module, const void *pointer) {
    return ((const Module *)module)->jit->owns(((const Module *)module)->code, pointer);
}

/* Computes the result, and makes it independent of the module. */
static ErrorCode execute(const Module *module, Worker *worker, const void *args, Value *value) {
    const Type *type = module->signature->result;
    ErrorCode code = module->code ? module->jit->run(module->code, worker, args, value->data)
                                  : program_eval(module->program, worker, args, value->data);
    if (code != E_None || !module->constants || !type->pointers) return code;
    bool ok = module->code ? value_detach(worker, type, value->data, code_owns, module)
                           : value_detach(worker, type, value->data, program_owns, module->program);
    return ok ? E_None : worker->error.code ? worker->error.code : E_OutOfMemory;
}

static Value *run(Module *module, Context *context, const void *args, Value *alias,
                  const volatile int32_t *cancel, Error *error) {
    if (!arguments_check(module->signature, args, error) || !context_begin(context, error)) return NULL;
    Worker worker = {.cancel = cancel ? cancel : (const volatile int32_t *)&context->state,
                     .host = module->foreign ? &foreign_host : &no_foreign,
                     .team = context->team};
    Value *value = value_new_result(context, module->signature, alias);
    ErrorCode code = E_OutOfMemory;
    if (value) {
        worker.region = value->region;
        args = arguments_normal(&worker, module->signature, args);
        code = args || !module->signature->argument->count ? execute(module, &worker, args, value)
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
    report(error_handle, &error, module ? module->program : NULL);
    if (error.code) rt_log(WELD_LOG_ERROR, "error[%s]: %s", error_name(error.code), error.text);
    context_drop(context);
    return value;
}
