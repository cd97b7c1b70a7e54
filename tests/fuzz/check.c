/* check.c: does everything agree on one random program?
 *
 * The program is read, typed, verified and printed; its text reads back to the same text, with and without
 * types. The interpreter runs it as it was read: that is the answer. Then it is rewritten in VARIANTS ways, the
 * verifier on: not at all, by the pipeline of level 2, by each pass alone, and by the pipeline without each pass.
 *
 *     variant             text after it                      the interpreter    machine code
 *     no pass             let b = a + 0; ...                 runs it            in turn
 *     all passes          a                                  runs it            of it
 *     simplify            a                                  ran it before
 *     cse                 let b = a + 0; ...                 ran it before
 *     all but simplify    let b = a + 0; ... fused           runs it            in turn
 *
 * Most passes leave most programs as they are: a text that was run before for this program is not run again. A pass that
 * changed nothing at any of its places in the pipeline is not left out of it: nothing would be missing. To make machine
 * code takes longer than all the rest: a program has it made of all passes, and of one other of its variants, in turn (or
 * of all, --all). To optimize with LLVM takes ten times as long again, and is done in one program of FULL_EACH; what we
 * emit does not depend on LLVM's level. A program's code is for the processor at hand or for a lesser one; it does not
 * depend on threads, so that each is run on one thread and on several that take a few iterations at a time.
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
    NONE = 0,
    ALL = 1,
    ALONE = 2, /* and one for each pass */
    BUT = ALONE + PASSES,
    TWICE = BUT + PASSES, /* all, and then vectors are computed twice */
    VARIANTS = TWICE + 1,
    COPIES = 6,
    FULL_EACH = 8
};

typedef struct Variant {
    Buf name, passes; /* passes: "" for those of the level */
    Buf text;         /* the program after them; empty: the same as another, without a look */
    bool repeated;    /* the text of an earlier one */
} Variant;

static const char *const context_names[CONTEXTS] = {"1 thread", "2 threads, grain 3", "4 threads, grain 1"};

typedef struct Case {
    const Checker *checker;
    uint64_t seed;
    Buf text, args[GENERATE_ARGS];
    int nargs;
    Tolerance tolerance;
    Buf complaint; /* what does not agree */
    bool dropped;
    Program *program; /* typed */
    Arguments arguments;
    weld_module_t module; /* as it was read, by the interpreter */
    weld_value_t answer;  /* NULL: it fails */
    Variant variants[VARIANTS];
    bool changes[PASS_COUNT]; /* does this pass of the pipeline change the program */
    Buf last;                 /* its text after the pass before */
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

/* Of a typed program, for passes to rewrite. NULL: no memory. */
static Program *program_copy(const Program *program) {
    Program *copy = program_new("random", "", 0);
    Splice splice;
    if (!copy || !splice_open(&splice, copy, program, false)) return NULL;
    copy->root = splice_function(&splice, program->root);
    copy->depth = program->depth;
    return copy;
}

static void check_text(Case *c) {
    Program *program = c->program = read_typed(&c->text);
    if (!program || program->error.code) {
        complain(c, "typing", &program->error);
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

/* value: NULL: the run failed. */
static void compare(Case *c, const char *name, const void *value, const Error *error) {
    const Type *type = module_result_type(c->module);
    if (!value && (error->code == E_Internal || error->code == E_None)) {
        complain(c, name, error);
    } else if (!c->answer && value) {
        c->dropped = true;
    } else if (c->answer && !value) {
        complain(c, name, error);
    } else if (value) {
        const void *answer = weld_value_data(c->answer);
        if (same_value(type, answer, value, c->tolerance)) return;
        buf_printf(&c->complaint, "the interpreter gives ");
        value_print(&c->complaint, type, answer);
        buf_printf(&c->complaint, "\n%s gives ", name);
        value_print(&c->complaint, type, value);
        buf_printf(&c->complaint, "\n");
    }
}

static void run_and_compare(Case *c, const char *name, weld_module_t module, weld_context_t context) {
    Error error = {0};
    int64_t before = weld_context_memory_usage(context);
    weld_value_t value = module_run(module, context, c->arguments.data, NULL, &error);
    compare(c, name, value ? weld_value_data(value) : NULL, &error);
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
    if (c->module && !arguments_make(&c->arguments, module_argument_type(c->module), c->args, c->nargs,
                                     c->checker->contexts[0], &error))
        complain(c, "an argument", &error);
    if (!c->module || c->complaint.length) return;
    c->answer = module_run(c->module, c->checker->contexts[0], c->arguments.data, NULL, &error);
    if (!c->answer && (error.code == E_Internal || error.code == E_None))
        complain(c, "the interpreter", &error);
}

/* ---- variants ---- */

/* The pipeline in its order, repetitions included. */
static const PassId pipeline[] = {
#define PASS(id, spelling, needs, breaks, level, doc) PASS_##id,
#define AGAIN(id) PASS_##id,
#include "../../weldc/passes.def"
};

static const PassClass *pass_of(int number) {
    return &pass_classes[1 + (number - ALONE) % PASSES];
}

static const char *level_of(int number) {
    return number == NONE ? "0" : "2";
}

static void variant_name(Variant *v, int number) {
    if (number == TWICE) {
        buf_printf(&v->name, "vectors computed twice");
    } else if (number < ALONE) {
        buf_printf(&v->name, number == NONE ? "no pass" : "all passes");
    } else if (number < BUT) {
        buf_printf(&v->name, "%s", pass_of(number)->spelling);
        buf_printf(&v->passes, "%s", pass_of(number)->spelling);
    } else {
        buf_printf(&v->name, "all passes but %s", pass_of(number)->spelling);
        for (size_t i = 0; i < sizeof pipeline / sizeof *pipeline; i++) {
            const PassClass *pass = &pass_classes[pipeline[i]];
            if (pass != pass_of(number) && pass->level <= 2) buf_printf(&v->passes, "%s,", pass->spelling);
        }
    }
}

/* Notes whether the pass changed anything. */
static void after_pass(void *data, const PassClass *pass, const Program *program, double ms) {
    Case *c = data;
    Buf text = {0};
    (void)ms;
    program_print(&text, program, true);
    if (!same_text(&text, &c->last)) c->changes[pass - pass_classes] = true;
    buf_release(&c->last);
    c->last = text;
}

static bool is_new(const Variant *v) {
    return v->text.length && !v->repeated;
}

/* As the text that it prints where all passes ran; as it is in memory where it is one of many. */
static void variant_interpret(Case *c, const Variant *v, const Program *program) {
    if (v == &c->variants[ALL]) {
        weld_conf_t conf = conf_new("eval", "0", NULL, "0", "native");
        weld_module_t module = compile(c, v->name.text, &v->text, "eval", conf);
        if (module) run_and_compare(c, v->name.text, module, c->checker->contexts[0]);
        weld_module_free(module);
        weld_conf_free(conf);
        return;
    }
    Budget budget;
    volatile int32_t cancel = 0;
    budget_init(&budget, 0);
    Worker worker = {.cancel = &cancel, .region = region_new(&budget), .host = &foreign_host};
    char *out = calloc(1, (size_t)program_result_type(program)->size + 1);
    bool ok = out && worker.region && program_eval(program, &worker, c->arguments.data, out) == E_None;
    compare(c, v->name.text, ok ? out : NULL, &worker.error);
    free(out);
    region_free(worker.region);
    if (budget.live)
        buf_printf(&c->complaint, "%s leaves %lld bytes behind\n", v->name.text, (long long)budget.live);
}

/* As a budget that nothing fits would have it, and then lets here and there, which the seed draws. */
static bool compute_twice(Case *c, Program *program, const PassOptions *options) {
    PlanAsk ask = {.args = c->arguments.data, .team = {.threads = 1}, .fewest_bytes = 1, .options = options};
    PlanAgain again;
    PlanPrice price;
    bool ok = plan_fit(program, &ask, &again, &price);
    uint64_t draw = c->seed;
    for (int i = 0; ok && i < COPIES; i++) {
        draw = draw * 6364136223846793005u + 1442695040888963407u;
        Recompute choice = {.chain = (int)(draw >> 33) % 3, .let = (int)(draw >> 40) % 8};
        choice.place = choice.let + 1 + (int)(draw >> 50) % 4;
        ok = program_recompute(program, &choice, 1, options);
    }
    free(again.choices);
    return ok;
}

/* Rewrites the program, prints what became of it, and runs that if it is new. */
static void check_variant(Case *c, int number) {
    Variant *v = &c->variants[number];
    variant_name(v, number);
    if (number >= BUT && number < TWICE && !c->changes[pass_of(number) - pass_classes]) return;
    PassOptions options = {.level = atoi(level_of(number)),
                           .passes = v->passes.length ? v->passes.text : NULL,
                           .verify = true,
                           .after = number == ALL ? after_pass : NULL,
                           .data = c};
    Program *program = program_copy(c->program);
    bool ok = program && program_optimize(program, &options);
    if (ok && number == TWICE) ok = compute_twice(c, program, &options);
    if (ok)
        program_print(&v->text, program, true);
    else if (program)
        complain(c, v->name.text, &program->error);
    for (int i = 0; i < number && v->text.length; i++)
        v->repeated |= same_text(&v->text, &c->variants[i].text);
    if (is_new(v) && c->complaint.length == 0) variant_interpret(c, v, program);
    if (c->complaint.length && v->text.length)
        buf_printf(&c->complaint, "after these passes:\n%s\n", v->text.text);
    program_free(program);
}

static void check_variants(Case *c) {
    for (int i = 0; i < VARIANTS && c->complaint.length == 0; i++) check_variant(c, i);
}

/* ---- machine code ---- */

/* What is done with a program's code in turn, by a number that the seed gives. */
typedef struct Turn {
    const char *processor;
    bool full;   /* LLVM at its default level, for all passes together */
    int variant; /* that has code made of it, too */
} Turn;

static const char *processor_of(uint64_t number) {
#if defined(__x86_64__)
    if (number == 1) return "x86-64";
    if (number == 2 && __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma")) return "x86-64-v3";
#else
    (void)number;
#endif
    return "native";
}

/* No pass, for one program of two; else one alone or left out, or if that text is not new the next one's. */
static int variant_of(const Case *c, uint64_t number) {
    if (number % 2) return NONE;
    for (uint64_t i = 0; i <= 2 * PASSES; i++) {
        int variant = ALONE + (int)((number / 2 + i) % (2 * PASSES + 1));
        if (is_new(&c->variants[variant])) return variant;
    }
    return NONE;
}

static Turn turn_of(const Case *c) {
    uint64_t number = c->seed * 0x9E3779B97F4A7C15u >> 32;
    return (Turn){processor_of(number % 4), number / 4 % FULL_EACH == 0,
                  variant_of(c, number / 4 / FULL_EACH)};
}

static void check_code(Case *c, int number, const char *processor, const char *llvm_level) {
    const Variant *v = &c->variants[number];
    Buf name = {0};
    const char *level = number == TWICE ? "0" : level_of(number); /* what is there twice stays */
    weld_conf_t conf =
        conf_new("jit", level, v->passes.length ? v->passes.text : NULL, llvm_level, processor);
    buf_printf(&name, "machine code (%s, LLVM at %s, %s)", v->name.text, llvm_level, processor);
    weld_module_t module = compile(c, name.text, number == TWICE ? &v->text : &c->text, "jit", conf);
    for (int i = 0; module && i < CONTEXTS && c->complaint.length == 0; i++) {
        run_and_compare(c, name.text, module, c->checker->contexts[i]);
        if (c->complaint.length) buf_printf(&c->complaint, "on %s\n", context_names[i]);
    }
    weld_module_free(module);
    weld_conf_free(conf);
    buf_release(&name);
}

static void check_machine_code(Case *c) {
    Turn turn = turn_of(c);
    for (int i = 0; i < VARIANTS && c->complaint.length == 0; i++) {
        bool wanted = i == ALL || ((i == turn.variant || c->checker->all) && is_new(&c->variants[i]));
        bool follows = i == NONE && c->variants[ALL].repeated; /* the same text */
        if (wanted && !follows) check_code(c, i, turn.processor, i == ALL && turn.full ? "2" : "0");
    }
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
    program_free(c->program);
    buf_release(&c->last);
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
    if (c->complaint.length == 0 && checker->machine_code) check_machine_code(c);
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

bool checker_init(Checker *checker, bool machine_code, bool all) {
    static const char *const threads[CONTEXTS] = {"1", "2", "4"}, *const grains[CONTEXTS] = {"0", "3", "1"};
    *checker = (Checker){.machine_code = machine_code, .all = all};
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
