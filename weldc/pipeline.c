/* pipeline.c: runs the passes of passes.def over a program, in their order.
 *
 * Before a pass, the facts that it needs and that an earlier one may have destroyed are computed anew; after
 * it, on request, the verifier runs and the caller is shown the program and the time. A failing pass leaves
 * its error in the program.
 */
#include "weldc.h"

#include <string.h>
#include <time.h>

#define PASS(id, spelling, needs, breaks, level, doc) bool pass_##id(Program *program);
#include "passes.def"

const PassClass pass_classes[PASS_COUNT] = {
    [PASS_None] = {"none", "", 0, 0, 0, NULL},
#define PASS(id, spelling, needs, breaks, level, doc) \
    [PASS_##id] = {spelling, doc, needs, breaks, level, pass_##id},
#include "passes.def"
};

static const PassId order[] = {
#define PASS(id, spelling, needs, breaks, level, doc) PASS_##id,
#define AGAIN(id) PASS_##id,
#include "passes.def"
};

static const struct {
    const char *spelling;
    PassId pass;
} aliases[] = {
#define ALIAS(spelling, id) {spelling, PASS_##id},
#include "passes.def"
};

/* The pass that these characters name; PASS_COUNT: none. */
static PassId pass_named(const char *name, size_t length) {
    for (int id = PASS_None + 1; id < PASS_COUNT; id++) {
        const char *spelling = pass_classes[id].spelling;
        if (strlen(spelling) == length && memcmp(spelling, name, length) == 0) return (PassId)id;
    }
    for (size_t i = 0; i < sizeof aliases / sizeof *aliases; i++) {
        const char *spelling = aliases[i].spelling;
        if (strlen(spelling) == length && memcmp(spelling, name, length) == 0) return aliases[i].pass;
    }
    return PASS_COUNT;
}

/* Calls for each name between commas; blanks around names do not count. */
static bool each_name(const char *names, bool (*visit)(void *data, const char *name, size_t length),
                      void *data) {
    while (*names) {
        size_t blanks = strspn(names, " \t,");
        size_t length = strcspn(names + blanks, " \t,");
        if (length && !visit(data, names + blanks, length)) return false;
        names += blanks + length;
    }
    return true;
}

static bool check_name(void *data, const char *name, size_t length) {
    if (pass_named(name, length) != PASS_COUNT) return true;
    const char *names[PASS_COUNT];
    char text[64];
    for (int id = PASS_None + 1; id < PASS_COUNT; id++) names[id - 1] = pass_classes[id].spelling;
    if (length >= sizeof text) length = sizeof text - 1;
    memcpy(text, name, length);
    text[length] = 0;
    const char *near = nearest_name(text, names, PASS_COUNT - 1);
    return error_set(data, E_Setting, (Span){0}, "unknown optimization pass %s%s%s%s", text,
                     near ? " (did you mean " : "", near ? near : "", near ? "?)" : "");
}

bool passes_check(const char *passes, Error *error) {
    return !passes || each_name(passes, check_name, error);
}

static double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec / 1e6;
}

typedef struct Run {
    Program *program;
    const PassOptions *options;
    unsigned facts; /* that hold */
} Run;

static bool run_pass(Run *run, const PassClass *pass) {
    Program *program = run->program;
    double start = now_ms();
    if (pass->needs & ~run->facts & USES) count_uses(program, program->root);
    run->facts |= pass->needs;
    if (!pass->run(program) || program->error.code != E_None) return false;
    if (program->arena.exhausted)
        return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    run->facts &= ~pass->breaks;
    if (run->options->verify && !program_verify(program)) return false;
    if (run->options->after) run->options->after(run->options->data, pass, program, now_ms() - start);
    return true;
}

static bool run_named(void *data, const char *name, size_t length) {
    PassId pass = pass_named(name, length);
    return pass == PASS_None || pass == PASS_COUNT || pass_classes[pass].level == 0 ||
           run_pass(data, &pass_classes[pass]);
}

static void run_all(void *data) {
    Run *run = data;
    for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
        const PassClass *pass = &pass_classes[order[i]];
        bool wanted = pass->level == 0 || (!run->options->passes && pass->level <= run->options->level);
        if (wanted && !run_pass(run, pass)) return;
    }
    if (run->options->passes) each_name(run->options->passes, run_named, run);
}

bool program_optimize(Program *program, const PassOptions *options) {
    Run run = {program, options, 0};
    if (!passes_check(options->passes, &program->error)) return false;
    program->distribution = options->distribution;
    /* Some room for passes that make the tree deeper. */
    if (!run_deep((size_t)node_depth(program->root) + 200, run_all, &run)) {
        return error_set(&program->error, E_OutOfMemory, (Span){0},
                         "no memory for the stack that this program needs");
    }
    return program->error.code == E_None;
}

/* The passes up to fusion, of a function as if it were the program. */
bool function_fuse(Program *program, Node **function) {
    static const PassId passes[] = {PASS_inline_apply,    PASS_inline_let, PASS_flatten,
                                    PASS_simplify,        PASS_cse,        PASS_fuse_vertical,
                                    PASS_fuse_horizontal, PASS_flatten,    PASS_fuse_vertical};
    const PassOptions options = {.level = 2};
    Run run = {program, &options, 0};
    Node *root = program->root;
    program->root = *function;
    bool ok = true;
    for (size_t i = 0; i < sizeof passes / sizeof *passes && ok; i++)
        ok = run_pass(&run, &pass_classes[passes[i]]);
    *function = program->root;
    program->root = root;
    return ok;
}
