/* explain.c: `weldc check` and `weldc explain`: a program's type, and its text at every stage on its way to
 * machine code.
 *
 *     parsed     names resolved, macros expanded: what the program says
 *     typed      the same with the types that inference found
 *     optimized  after the passes of weldc/
 *     plan       the fragments that are left, in the order in which they run
 *     picture    these, and how long each buffer lives, as an SVG file
 *     llvm, asm  what code generation makes of them
 */
#include <stdlib.h>
#include <string.h>

#include "command.h"

const char *const stage_names[STAGE_COUNT] = {"parsed",  "typed", "optimized", "plan",
                                              "picture", "llvm",  "asm"};

/* ---- passes watched while they run
 * ------------------------------------------------------------------------- */

typedef struct Watch {
    const char *after; /* print after this pass, or NULL */
    bool times, seen;
    Buf *out;
} Watch;

static void watch_pass(void *data, const PassClass *pass, const Program *program, double ms) {
    Watch *watch = data;
    if (watch->times) fprintf(stderr, "%-24s %9.3f ms\n", pass->spelling, ms);
    if (!watch->after || strcmp(watch->after, pass->spelling) || watch->seen) return;
    watch->seen = true;
    program_print(watch->out, program, true);
}

/* ---- the stages
 * ---------------------------------------------------------------------------------------------- */

static void *code_symbol(void *data, const char *name) {
    (void)data;
    void *address = rtcall_symbol(name);
    return address ? address : foreign_symbol(name);
}

static bool code_print(Program *program, Stage stage, const Options *options, Buf *out, Error *error) {
    const Jit *jit = jit_load(error);
    CodeOptions code = {
        .level = (int)options->llvm_level, .processor = options->processor, .symbol = code_symbol};
    return jit && jit->text(program, &code, stage == STAGE_llvm ? CODE_LLVM : CODE_ASM, out, error);
}

static void say_time(bool times, const char *phase, double *since) {
    double now = now_ms();
    if (times) fprintf(stderr, "%-24s %9.3f ms\n", phase, now - *since);
    *since = now;
}

static bool stage_make(Program *program, Stage stage, const char *after, bool times, const Options *options,
                       Buf *out, Error *error) {
    double since = now_ms();
    if (!program_read(program)) return false;
    say_time(times, "parse", &since);
    if (stage > STAGE_parsed || after) {
        if (!program_infer(program, NULL)) return false;
        say_time(times, "infer", &since);
    }
    Watch watch = {after, times, false, out};
    if (stage > STAGE_typed || after) {
        PassOptions passes = options_passes(options);
        passes.after = watch_pass;
        passes.data = &watch;
        if (!program_optimize(program, &passes)) return false;
        say_time(times, "optimize", &since);
    }
    if (after) {
        if (!watch.seen) error_set(error, E_Setting, (Span){0, 0, 0}, "no pass %s ran at this level", after);
        return watch.seen;
    }
    bool ok = true;
    if (stage == STAGE_plan || stage == STAGE_picture) {
        const Plan *plan = plan_make(program);
        ok = plan != NULL;
        if (ok && stage == STAGE_plan) plan_print(out, program, plan);
        if (ok && stage == STAGE_picture) ok = plan_draw(out, program, plan);
    } else if (stage == STAGE_llvm || stage == STAGE_asm) {
        ok = code_print(program, stage, options, out, error);
        say_time(times, stage_names[stage], &since);
    } else {
        program_print(out, program, stage != STAGE_parsed);
    }
    return ok;
}

bool stage_print(const Text *text, Stage stage, const char *after, bool times, weld_conf_t conf, Buf *out,
                 Fault *fault) {
    Options options;
    Error error = {0};
    if (!conf_options(conf, &options, &error)) return fault_set(fault, error.code, "%s", error.text);
    Program *program = program_open(text->name, text->bytes, text->length);
    if (!program) return fault_set(fault, E_OutOfMemory, "no memory for the program");
    program->saving = options.memory_budget > 0;
    bool ok = stage_make(program, stage, after, times, &options, out, &error);
    if (!ok) fault_of_program(fault, error.code == E_None ? &program->error : &error, text);
    if (ok && out->length && out->text[out->length - 1] != '\n') buf_put(out, "\n", 1);
    program_free(program);
    return ok;
}

/* ---- the commands
 * ---------------------------------------------------------------------------------------------- */

static int explain_text(const Request *request, Stage stage) {
    Fault fault = {0};
    Text text = {0};
    Buf out = {0};
    int status = EXIT_FAULT;
    if (request_text(request, &text, &fault) &&
        stage_print(&text, stage, request->after, request->times, request->conf, &out, &fault)) {
        status = write_out(&out);
    }
    fault_print(&fault);
    fault_release(&fault);
    text_release(&text);
    buf_release(&out);
    return status;
}

static int unknown_pass(const Request *request) {
    const char *names[PASS_COUNT];
    size_t count = 0;
    for (int i = PASS_None + 1; i < PASS_COUNT; i++) {
        names[count++] = pass_classes[i].spelling;
        if (strcmp(pass_classes[i].spelling, request->after) == 0) return EXIT_DONE;
    }
    const char *near = nearest_name(request->after, names, count);
    return usage_error(request, "there is no pass %s%s%s; `weldc passes` lists them", request->after,
                       near ? "; did you mean " : "", near ? near : "");
}

int command_explain(Request *request) {
    if (request->after) {
        int status = unknown_pass(request);
        return status ? status : explain_text(request, STAGE_optimized);
    }
    if (!request->stage)
        return usage_error(request,
                           "--stage is needed: parsed, typed, optimized, plan, picture, llvm or asm");
    for (Stage stage = 0; stage < STAGE_COUNT; stage++) {
        if (strcmp(request->stage, stage_names[stage]) == 0) return explain_text(request, stage);
    }
    const char *near = nearest_name(request->stage, stage_names, STAGE_COUNT);
    return usage_error(
        request, "there is no stage %s%s%s; there are parsed, typed, optimized, plan, picture, llvm and asm",
        request->stage, near ? "; did you mean " : "", near ? near : "");
}

int command_check(Request *request) {
    Fault fault = {0};
    Text text = {0};
    Buf out = {0};
    int status = EXIT_FAULT;
    if (request_text(request, &text, &fault)) {
        Program *program = program_open(text.name, text.bytes, text.length);
        if (!program) {
            fault_set(&fault, E_OutOfMemory, "no memory for the program");
        } else if (!program_read(program) || !program_infer(program, NULL) || !program_verify(program)) {
            fault_of_program(&fault, &program->error, &text);
        } else {
            type_print(&out, program->bare ? program_result_type(program) : program->root->type);
            buf_put(&out, "\n", 1);
            status = write_out(&out);
        }
        program_free(program);
    }
    fault_print(&fault);
    fault_release(&fault);
    text_release(&text);
    return status;
}
