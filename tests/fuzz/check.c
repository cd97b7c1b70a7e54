/* check.c: does everything agree on one random program?
 *
 * The program is read, typed, verified and printed; its text reads back to the same text, with and without
 * types. The interpreter runs it as it was read: that is the answer. Then it is rewritten in VARIANTS ways, the
 * verifier on: not at all, by all passes of level 2, by one pass alone, and by all but that one, for TURNS passes;
 * programs take turns, so that any PASSES in a row have had each of them. Each variant is
 *
 *     run by the interpreter, as the text that it prints, and
 *     made machine code of, by the rows of `engines`, and run on one thread and on several that take a few
 *     iterations at a time.
 *
 * Most passes leave most programs as they are: a text that was run before for this program is not run again. To
 * optimize with LLVM takes as long as all the rest, and is done for all passes together, for the processor at hand or
 * a lesser one. Code does not depend on threads, so that it is made once for all.
 *
 * Exact programs must give equal results; in the others floats may differ by rounding. A program that fails must
 * fail everywhere, but which of several failures is reported is open, and code that drops a failing expression
 * whose value nobody needs may succeed. When its values are gone, a context must hold no memory.
 */
#include "differential.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    PASSES = PASS_COUNT - 1,
    TURNS = 3,
    NONE = 0,
    ALL = 1,
    ALONE = 2,
    BUT = 2 + TURNS,
    VARIANTS = 2 + 2 * TURNS
};

typedef struct Variant {
    int level;
    Buf name, passes; /* passes: "" for those of the level */
    Buf text;         /* the program after them */
    bool repeated;    /* the text of an earlier one */
} Variant;

/* Machine code of a variant, and the contexts to run it in. */
typedef struct Engine {
    int variant;
    const char *llvm_level;
    bool in_turn; /* for the processor at hand or a lesser one, in turn */
    bool run[CONTEXTS];
} Engine;

static const Engine engines[] = {
    {NONE, "0", false, {true, false, true}},
    {ALL, "2", true, {true, true, true}},
    {ALONE, "0", false, {true, false, true}},
    {BUT, "0", false, {true, false, true}},
};
enum { ENGINES = sizeof engines / sizeof *engines };

static const char *const context_names[CONTEXTS] = {"1 thread", "2 threads, grain 3", "4 threads, grain 1"};

/* Constants of the language as the arguments of a program. */
typedef struct Arguments {
    weld_module_t modules[GENERATE_ARGS];
    weld_value_t values[GENERATE_ARGS];
    char *data; /* the struct of them */
} Arguments;

typedef struct Case {
    const Checker *checker;
    uint64_t seed;
    Buf text, args[GENERATE_ARGS];
    int nargs;
    Tolerance tolerance;
    Buf complaint; /* what does not agree */
    bool dropped;
    Arguments arguments;
    weld_module_t module; /* as it was read, by the interpreter */
    weld_value_t answer;  /* NULL: it fails */
    Variant variants[VARIANTS];
} Case;

/* ---- texts ---- */

static void complain(Case *c, const char *what, const Error *error) {
    buf_printf(&c->complaint, "%s: error[%s]: %s\n", what, error_name(error->code), error->text);
}

static Program *read_typed(const Buf *text) {
    Program *program = program_new("random", text->text, text->length);
    if (program && program_read(program) && program_infer(program, NULL)) program_verify(program);
    return program;
}

static bool same_text(const Buf *a, const Buf *b) {
    return a->length == b->length && memcmp(a->text, b->text, a->length) == 0;
}

static void check_text(Case *c) {
    Program *program = read_typed(&c->text);
    if (!program || program->error.code) {
        complain(c, "typing", &program->error);
        program_free(program);
        return;
    }
    for (int typed = 0; typed < 2; typed++) {
        Buf first = {0}, second = {0};
        program_print(&first, program, typed);
        Program *again = read_typed(&first);
        if (again->error.code) {
            complain(c, "reading what was printed", &again->error);
        } else {
            program_print(&second, again, typed);
            if (!same_text(&first, &second))
                buf_printf(&c->complaint, "printing twice differs:\n%s\n----\n%s\n", first.text, second.text);
        }
        program_free(again);
        buf_release(&first);
        buf_release(&second);
    }
    program_free(program);
}

/* Not at all where the program is exact; an f64 that may have come from an f32 only to that one's precision, since
 * the engines' f32 functions are not the same. */
static Tolerance tolerance_of(const Buf *text, bool exact) {
    if (exact) return (Tolerance){0, 0};
    bool mixed = strstr(text->text, "f32") != NULL;
    for (const char *at = text->text; *at && !mixed; at++) mixed = *at >= '0' && *at <= '9' && at[1] == 'f';
    return (Tolerance){1e-5, mixed ? 1e-5 : 1e-9};
}

/* ---- running ---- */

static weld_conf_t conf_new(const char *engine, const char *level, const char *passes, const char *llvm_level,
                            const char *processor) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine);
    weld_conf_set(conf, "weld.optimization.level", level);
    weld_conf_set(conf, "weld.optimization.passes", passes);
    weld_conf_set(conf, "weld.llvm.optimization.level", llvm_level);
    weld_conf_set(conf, "weld.processor", processor);
    weld_conf_set(conf, "weld.verify", "true");
    weld_conf_set(conf, "weld.cache", "off");
    return conf;
}

static weld_module_t compile(Case *c, const char *name, const Buf *text, const char *engine,
                             weld_conf_t conf) {
    Error error = {0};
    weld_module_t module = module_compile("random", text->text, text->length, NULL, conf, &error, NULL);
    if (!module) {
        complain(c, name, &error);
    } else if (strcmp(module_tier(module), engine)) {
        buf_printf(&c->complaint, "%s ran as %s\n", name, module_tier(module));
        weld_module_free(module);
        module = NULL;
    }
    return module;
}

static void arguments_make(Case *c, const Type *type) {
    Arguments *arguments = &c->arguments;
    Error error = {0};
    weld_conf_t conf = conf_new("eval", "0", NULL, "0", "native");
    arguments->data = calloc(1, (size_t)type->size + 64);
    for (int i = 0; i < c->nargs && error.code == E_None; i++) {
        weld_module_t *module = &arguments->modules[i];
        weld_value_t *value = &arguments->values[i];
        const Buf *text = &c->args[i];
        *module = module_compile("argument", text->text, text->length, type->args[i], conf, &error, NULL);
        if (*module) *value = module_run(*module, c->checker->contexts[0], NULL, NULL, &error);
        if (*value)
            memcpy(arguments->data + type->offsets[i], weld_value_data(*value), (size_t)type->args[i]->size);
    }
    weld_conf_free(conf);
    if (error.code) complain(c, "an argument", &error);
}

static void arguments_free(Arguments *arguments) {
    for (int i = 0; i < GENERATE_ARGS; i++) {
        weld_value_free(arguments->values[i]);
        weld_module_free(arguments->modules[i]);
    }
    free(arguments->data);
}

static void compare(Case *c, const char *name, weld_value_t value, const Error *error) {
    const Type *type = module_result_type(c->module);
    if (!value && (error->code == E_Internal || error->code == E_None)) {
        complain(c, name, error);
    } else if (!c->answer && value) {
        c->dropped = true;
    } else if (c->answer && !value) {
        complain(c, name, error);
    } else if (value) {
        const void *a = weld_value_data(c->answer), *b = weld_value_data(value);
        if (same_value(type, a, b, c->tolerance)) return;
        buf_printf(&c->complaint, "the interpreter gives ");
        value_print(&c->complaint, type, a);
        buf_printf(&c->complaint, "\n%s gives ", name);
        value_print(&c->complaint, type, b);
        buf_printf(&c->complaint, "\n");
    }
}

static void run_and_compare(Case *c, const char *name, weld_module_t module, weld_context_t context) {
    Error error = {0};
    int64_t before = weld_context_memory_usage(context);
    weld_value_t value = module_run(module, context, c->arguments.data, NULL, &error);
    compare(c, name, value, &error);
    weld_value_free(value);
    int64_t left = weld_context_memory_usage(context) - before;
    if (left) buf_printf(&c->complaint, "%s leaves %lld bytes behind\n", name, (long long)left);
}

/* The answer. */
static void run_as_read(Case *c) {
    Error error = {0};
    weld_conf_t conf = conf_new("eval", "0", NULL, "0", "native");
    c->module = compile(c, "the interpreter", &c->text, "eval", conf);
    weld_conf_free(conf);
    if (c->module) arguments_make(c, module_argument_type(c->module));
    if (!c->module || c->complaint.length) return;
    c->answer = module_run(c->module, c->checker->contexts[0], c->arguments.data, NULL, &error);
    if (!c->answer && (error.code == E_Internal || error.code == E_None))
        complain(c, "the interpreter", &error);
}

/* ---- variants ---- */

static void variant_name(Variant *v, int number, uint64_t seed) {
    int turn = number >= BUT ? number - BUT : number - ALONE;
    int pass = 1 + (int)((seed % PASSES * TURNS + (uint64_t)turn) % PASSES);
    v->level = number == NONE ? 0 : 2;
    if (number < ALONE) {
        buf_printf(&v->name, number == NONE ? "no pass" : "all passes");
        return;
    }
    buf_printf(&v->name, number >= BUT ? "all passes but %s" : "%s", pass_classes[pass].spelling);
    for (int id = PASS_None + 1; id < PASS_COUNT; id++) {
        bool wanted = number >= BUT ? id != pass && pass_classes[id].level <= 2 : id == pass;
        if (wanted) buf_printf(&v->passes, "%s,", pass_classes[id].spelling);
    }
}

/* Rewrites the program, and prints what became of it. */
static void variant_make(Case *c, int number) {
    Variant *v = &c->variants[number];
    variant_name(v, number, c->seed);
    PassOptions options = {
        .level = v->level, .passes = v->passes.length ? v->passes.text : NULL, .verify = true};
    Program *program = read_typed(&c->text);
    if (program && program_optimize(program, &options))
        program_print(&v->text, program, true);
    else
        complain(c, v->name.text, &program->error);
    for (int i = 0; i < number && v->text.length; i++)
        v->repeated |= same_text(&v->text, &c->variants[i].text);
    program_free(program);
}

static void variant_interpret(Case *c, Variant *v) {
    weld_conf_t conf = conf_new("eval", "0", NULL, "0", "native");
    weld_module_t module = compile(c, v->name.text, &v->text, "eval", conf);
    if (module) run_and_compare(c, v->name.text, module, c->checker->contexts[0]);
    weld_module_free(module);
    weld_conf_free(conf);
}

static void check_variants(Case *c) {
    for (int i = 0; i < VARIANTS && c->complaint.length == 0; i++) {
        Variant *v = &c->variants[i];
        variant_make(c, i);
        if (!v->repeated && c->complaint.length == 0) variant_interpret(c, v);
        if (c->complaint.length && v->text.length)
            buf_printf(&c->complaint, "after these passes:\n%s\n", v->text.text);
    }
}

/* ---- machine code ---- */

static const char *processor_in_turn(uint64_t seed) {
#if defined(__x86_64__)
    if (seed % 4 == 1) return "x86-64";
    if (seed % 4 == 2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "x86-64-v3";
#else
    (void)seed;
#endif
    return "native";
}

/* Is there code of this text already: from an engine before, at the same level of LLVM? */
static bool ran_before(const Case *c, const Engine *engine) {
    for (const Engine *e = engines; e < engine; e++) {
        if (!strcmp(e->llvm_level, engine->llvm_level) &&
            same_text(&c->variants[e->variant].text, &c->variants[engine->variant].text))
            return true;
    }
    return false;
}

static void check_engine(Case *c, const Engine *e) {
    const Variant *v = &c->variants[e->variant];
    const char *processor = e->in_turn ? processor_in_turn(c->seed) : "native";
    if (ran_before(c, e)) return;
    Buf name = {0};
    char level[2] = {(char)('0' + v->level), 0};
    weld_conf_t conf =
        conf_new("jit", level, v->passes.length ? v->passes.text : NULL, e->llvm_level, processor);
    buf_printf(&name, "machine code (%s, LLVM at %s, %s)", v->name.text, e->llvm_level, processor);
    weld_module_t module = compile(c, name.text, &c->text, "jit", conf);
    for (int i = 0; module && i < CONTEXTS && c->complaint.length == 0; i++) {
        if (!e->run[i]) continue;
        run_and_compare(c, name.text, module, c->checker->contexts[i]);
        if (c->complaint.length) buf_printf(&c->complaint, "on %s\n", context_names[i]);
    }
    weld_module_free(module);
    weld_conf_free(conf);
    buf_release(&name);
}

/* ---- one program ---- */

static void case_show(const Case *c, int size, Buf *out) {
    buf_printf(out, "---- seed %llu, size %d\n%s\n", (unsigned long long)c->seed, size, c->text.text);
    for (int i = 0; i < c->nargs; i++) buf_printf(out, "argument %d: %s\n", i, c->args[i].text);
}

static void case_release(Case *c) {
    weld_value_free(c->answer);
    arguments_free(&c->arguments);
    weld_module_free(c->module);
    for (int i = 0; i < VARIANTS; i++) {
        buf_release(&c->variants[i].name);
        buf_release(&c->variants[i].passes);
        buf_release(&c->variants[i].text);
    }
    for (int i = 0; i < GENERATE_ARGS; i++) buf_release(&c->args[i]);
    buf_release(&c->text);
    buf_release(&c->complaint);
}

void check_program(const Checker *checker, uint64_t seed, int size, Verdict *verdict) {
    Case room = {.checker = checker, .seed = seed}, *c = &room;
    *verdict = (Verdict){.exact = generate_program(seed, size, &c->text, c->args, &c->nargs)};
    c->tolerance = tolerance_of(&c->text, verdict->exact);
    check_text(c);
    if (c->complaint.length == 0) run_as_read(c);
    if (c->complaint.length == 0) check_variants(c);
    for (int i = 0; i < ENGINES && checker->machine_code && c->complaint.length == 0; i++)
        check_engine(c, &engines[i]);
    verdict->agree = c->complaint.length == 0;
    verdict->failed = c->module && !c->answer;
    verdict->dropped = c->dropped;
    if (!verdict->agree) {
        case_show(c, size, &verdict->report);
        buf_put(&verdict->report, c->complaint.text, c->complaint.length);
    }
    case_release(c);
}

void show_program(Buf *out, uint64_t seed, int size) {
    Case room = {.seed = seed}, *c = &room;
    generate_program(seed, size, &c->text, c->args, &c->nargs);
    case_show(c, size, out);
    case_release(c);
}

bool checker_init(Checker *checker, bool machine_code) {
    static const char *const threads[CONTEXTS] = {"1", "2", "4"}, *const grains[CONTEXTS] = {"0", "3", "1"};
    *checker = (Checker){.machine_code = machine_code};
    for (int i = 0; i < CONTEXTS; i++) {
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.threads", threads[i]);
        weld_conf_set(conf, "weld.grain", grains[i]);
        weld_conf_set(conf, "weld.memory.limit", "256M");
        checker->contexts[i] = weld_context_new(conf);
        weld_conf_free(conf);
        if (!checker->contexts[i]) return false;
    }
    return true;
}

void checker_release(Checker *checker) {
    for (int i = 0; i < CONTEXTS; i++) weld_context_free(checker->contexts[i]);
}
