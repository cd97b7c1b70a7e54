/* matrix.c: runs the corpus of tests/golden/run under every configuration.
 *
 * What is run is told apart from how. Each case is
 *
 *     interpreted, as it was read;
 *     rewritten, in each of REWRITINGS ways: by the passes of each level, by each pass of passes.def alone, and by all but
 *         that one, with a verifier after every pass. Each program that is new among these is interpreted, which tests
 *         the optimizer apart from code generation, and compiled with little optimization by LLVM;
 *     compiled by each row of `table`, for other processors and by more of LLVM's passes.
 *
 * What comes out the same is run once: most passes leave most cases as they are, so that some five programs are left of 32
 * rewritings, and code for a named processor is that for this machine if it is of the same level. Code does not depend on
 * threads either: it is made once and run in turn in several contexts, the rows of `crews`. Adding threads or ranks is
 * adding a row.
 *
 * Every case is checked for more than its answer: the module is freed before the result is read, since
 * results must not point into it; the arguments must be as they were; the context must hold no byte once the
 * result is gone; a second run must do the same; and after a failure the same context runs the next case.
 *
 * Every case also runs with the n-th block of memory refused, for n = 1, 2, ... until it needs fewer: the
 * answer is the right one or OutOfMemory, and no byte stays behind.
 *
 * A test of its own prints each program and reads it back: print, parse, print must be the identity, before
 * and after the optimizer, and what was printed must have the same answer.
 *
 * All this without the cache of compiled code, whose one row compiles each case once more, for the file of
 * it. LLVM's levels 1 and 3 see a part of the cases each: their passes and code generators differ from those of levels 0 and 2
 * by what is LLVM's own. Under a sanitizer, which sees nothing in compiled code, LLVM's passes are left out: the rows that differ
 * in nothing else do not run, the others at its level 0, and what single passes make of a case is interpreted only.
 *
 * The tests are cut into shares of the cases, so that all processors are busy to the end.
 *
 * WELD_CONFIG=TEXT and WELD_CASE=TEXT in the environment choose configurations, and cases by `file:name`.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <unistd.h>

#include "corpus_functions.h"
#include "matrix.h"
#include "../runtime/rt.h"

/* ---- configurations ---- */

enum { MAX_CREWS = 4 };

/* Who runs it. */
typedef struct Crew {
    const char *name, *threads, *grain;
} Crew;

static const Crew crews[] = {
    {"", "1", "0"},
    {", 4 threads", "4", "0"},
    {", 4 threads, grain 3", "4", "3"},
    {", grain 2", "1", "2"},
    {", 2 threads, grain 1", "2", "1"},
    {", 3 threads, grain 2", "3", "2"},
    {", 2 threads, grain 40", "2", "40"},
};

typedef struct Config {
    char name[64];
    const char *settings[3][2];
    int level;            /* of the optimizer */
    char passes[512];     /* "": those of the level */
    int crews[MAX_CREWS]; /* numbers in `crews`, to the first 0 but for one in front */
    bool llvm_alone;      /* nothing but LLVM's passes make it another than one of the rewritings */
    int one_of;           /* so many cases of a share one runs, the last of them; 0: each */
} Config;

#define ENGINE(name) {"weld.engine", name}
#define LLVM(level) {"weld.llvm.optimization.level", level}
#define PROCESSOR(name) {"weld.processor", name}

static const Config table[] = {
    {"interpreter", {ENGINE("eval")}, 2, "", {0}, false, 0},
    {"jit, llvm 1", {ENGINE("jit"), LLVM("1")}, 2, "", {0}, true, 4},
    {"jit, llvm 2, level 0", {ENGINE("jit"), LLVM("2")}, 0, "", {0}, true, 0},
    {"jit, llvm 2", {ENGINE("jit"), LLVM("2")}, 2, "", {0, 1, 2, 6}, true, 0},
    {"jit, llvm 3", {ENGINE("jit"), LLVM("3")}, 3, "", {0}, true, 2},
    {"jit, from the cache", {ENGINE("jit"), LLVM("0"), {"weld.cache", "disk"}}, 2, "", {0}, false, 0},
    {"jit, x86-64", {ENGINE("jit"), LLVM("2"), PROCESSOR("x86-64")}, 2, "", {0}, false, 0},
    {"jit, x86-64-v3", {ENGINE("jit"), LLVM("2"), PROCESSOR("x86-64-v3")}, 2, "", {0}, false, 0},
    {"jit, x86-64-v4", {ENGINE("jit"), LLVM("2"), PROCESSOR("x86-64-v4")}, 2, "", {0}, false, 0},
};

enum {
    ROWS = sizeof table / sizeof *table,
    LEVELS = 4,
    REWRITINGS = LEVELS + 2 * (PASS_COUNT - 1),
    SHARES = 4
};

/* The n-th way to rewrite: by the levels, then by and without each pass. */
static Config rewriting(int n) {
    int pass = 1 + (n - LEVELS) / 2;
    bool alone = (n - LEVELS) % 2 == 0;
    Config config = {.settings = {ENGINE("jit"), LLVM("0")}, .level = n < LEVELS ? n : 2, .crews = {0, 3, 4}};
    if (n < LEVELS) {
        snprintf(config.name, sizeof config.name, "level %d", n);
        return config;
    }
    snprintf(config.name, sizeof config.name, "%s %s", alone ? "only" : "all but",
             pass_classes[pass].spelling);
    snprintf(config.passes, sizeof config.passes, "%s", alone ? pass_classes[pass].spelling : " ");
    for (int other = PASS_None + 1; other < PASS_COUNT && !alone; other++) {
        size_t length = strlen(config.passes);
        if (other == pass || pass_classes[other].level > 2) continue;
        snprintf(config.passes + length, sizeof config.passes - length, "%s,", pass_classes[other].spelling);
    }
    return config;
}

static bool is_chosen(const char *variable, const char *name) {
    const char *wanted = getenv(variable);
    return !wanted || !*wanted || strstr(name, wanted);
}

/* ---- running one case ---- */

typedef struct Bench { /* what the cases of a configuration share */
    const Config *config;
    const char *how;                                       /* what is said of it in complaints, too */
    const Crew *crew;                                      /* at work, or NULL */
    weld_context_t contexts[sizeof crews / sizeof *crews]; /* of crews that have been at work */
    int run, failed, refused;
} Bench;

static volatile int32_t stop;
static char current[768]; /* configuration and case, for the handler */
static struct sigaction before[NSIG];

/* Says which case it was, and lets the signal take its course. */
static void on_fault(int number) {
    ssize_t ignored = write(STDERR_FILENO, current, strlen(current));
    (void)ignored;
    sigaction(number, &before[number], NULL);
}

static void on_alarm(int number) {
    (void)number;
    stop = 1;
}

static void watch_signals(void) {
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT};
    struct sigaction action = {.sa_handler = on_fault};
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigaction(faults[i], &action, &before[faults[i]]);
    action.sa_handler = on_alarm;
    sigaction(SIGALRM, &action, NULL);
}

static void complain(Bench *bench, const Case *c, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
static void complain(Bench *bench, const Case *c, const char *format, ...) {
    bench->failed++;
    fprintf(stderr, "%s:%d: %s [%s%s%s]: ", c->file, c->line, c->name, bench->config->name,
            bench->how ? bench->how : "", bench->crew ? bench->crew->name : "");
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

static weld_conf_t conf_of(const Config *config, const Case *c) {
    weld_conf_t conf = weld_conf_new();
    const char level[2] = {(char)('0' + config->level), 0};
    weld_conf_set(conf, "weld.cache", "off");
    weld_conf_set(conf, "weld.verify", "true");
    weld_conf_set(conf, "weld.optimization.level", level);
    for (int i = 0; i < 3 && config->settings[i][0]; i++)
        weld_conf_set(conf, config->settings[i][0], config->settings[i][1]);
    if (SANITIZED) weld_conf_set(conf, "weld.llvm.optimization.level", "0");
    if (*config->passes) weld_conf_set(conf, "weld.optimization.passes", config->passes);
    for (int i = 0; c && i < c->nsettings; i++) weld_conf_set(conf, c->settings[i][0], c->settings[i][1]);
    return conf;
}

static weld_context_t context_new_of(const Crew *crew, const Case *c) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.threads", crew->threads);
    weld_conf_set(conf, "weld.grain", crew->grain);
    for (int i = 0; c && i < c->nsettings; i++) weld_conf_set(conf, c->settings[i][0], c->settings[i][1]);
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    return context;
}

/* The crew's context, which all cases share but those with settings of their own; those get one that crew_leave frees. */
static weld_context_t crew_context(Bench *bench, const Case *c, int crew) {
    bench->crew = &crews[crew];
    if (c->nsettings) return context_new_of(bench->crew, c);
    if (!bench->contexts[crew]) bench->contexts[crew] = context_new_of(bench->crew, NULL);
    return bench->contexts[crew];
}

static void crew_leave(Bench *bench, const Case *c, weld_context_t context) {
    bench->crew = NULL;
    if (c->nsettings) weld_context_free(context);
}

static void bench_end(Bench *bench) {
    for (size_t i = 0; i < sizeof crews / sizeof *crews; i++) weld_context_free(bench->contexts[i]);
}

/* The number of the n-th crew of a configuration; -1: it has fewer. */
static int crew_number(const Config *config, int n) {
    return n < MAX_CREWS && (n == 0 || config->crews[n]) ? config->crews[n] : -1;
}

/* Arguments: each a program of its own, interpreted in a context of its own. */
typedef struct CaseArgs {
    weld_context_t context;
    weld_value_t values[MAX_ARGS];
    char *data; /* the struct of them */
    Buf text;   /* as JSON, before the run */
    const Type *type;
} CaseArgs;

static bool case_args_read(CaseArgs *arguments, Bench *bench, const Case *c, const Type *type) {
    if (type->count != c->nargs) {
        complain(bench, c, "has %d parameters and %d arguments", type->count, c->nargs);
        return false;
    }
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval");
    arguments->context = weld_context_new(conf);
    arguments->data = calloc(1, (size_t)type->size + 1);
    arguments->type = type;
    bool ok = true;
    for (int i = 0; ok && i < c->nargs; i++) {
        Error error = {.code = E_None};
        const char *text = c->args[i];
        weld_module_t module =
            module_compile("argument", text, strlen(text), type->args[i], conf, &error, NULL);
        weld_value_t value = module ? module_run(module, arguments->context, NULL, NULL, &error) : NULL;
        weld_module_free(module);
        arguments->values[i] = value;
        ok = value != NULL;
        if (ok)
            memcpy(arguments->data + type->offsets[i], weld_value_data(value), (size_t)type->args[i]->size);
        else
            complain(bench, c, "argument %d: %s: %s", i + 1, error_name(error.code), error.text);
    }
    weld_conf_free(conf);
    if (ok) value_print_json(&arguments->text, type, arguments->data);
    return ok;
}

/* Complains if the run changed them. To be called while their type lives. */
static void case_args_check(CaseArgs *arguments, Bench *bench, const Case *c) {
    if (!arguments->text.text) return;
    Buf now = {0};
    value_print_json(&now, arguments->type, arguments->data);
    if (!now.text || strcmp(now.text, arguments->text.text) != 0)
        complain(bench, c, "changes its arguments to %s", now.text);
    buf_release(&now);
}

static void case_args_free(CaseArgs *arguments, Bench *bench, const Case *c) {
    for (int i = 0; i < c->nargs; i++) weld_value_free(arguments->values[i]);
    if (arguments->context && weld_context_memory_usage(arguments->context) != 0)
        complain(bench, c, "arguments leave %lld bytes",
                 (long long)weld_context_memory_usage(arguments->context));
    weld_context_free(arguments->context);
    free(arguments->data);
    buf_release(&arguments->text);
}

static void check_error(Bench *bench, const Case *c, const Error *error) {
    if (c->kind != '!' || !case_expects_error(c, error_name(error->code))) {
        complain(bench, c, "fails with %s: %s\n    expected: %s", error_name(error->code), error->text,
                 c->expect);
        return;
    }
    int line = 1, column = 1;
    for (uint32_t i = 0; i < error->span.begin && i < c->length; i++) {
        column = c->text[i] == '\n' ? 1 : column + 1;
        line += c->text[i] == '\n';
    }
    if (c->error_line && (error->span.source != 0 || line != c->error_line || column != c->error_column))
        complain(bench, c, "fails at %d:%d (source %u), not at %d:%d", line, column, error->span.source,
                 c->error_line, c->error_column);
}

static bool is_type(const Type *type, const char *text) {
    Program *scratch = program_new("type", "", 0);
    Type *expected = scratch ? type_parse(scratch, text) : NULL;
    Buf a = {0}, b = {0};
    type_print(&a, type);
    if (expected) type_print(&b, expected);
    bool same = a.text && b.text && strcmp(a.text, b.text) == 0;
    buf_release(&a);
    buf_release(&b);
    program_free(scratch);
    return same;
}

static void check_result(Bench *bench, const Case *c, const Type *type, const void *data) {
    Buf json = {0}, name = {0};
    type_print(&name, type);
    value_print_json(&json, type, data);
    const char *want = c->expect, *got = json.text ? json.text : "";
    if (c->kind == '!')
        complain(bench, c, "gives %.500s\n    expected: %s", got, c->expect);
    else if (!json_same(type, &want, &got, c->kind == '>') || !json_ends(want) || !json_ends(got))
        complain(bench, c, "gives %.1500s : %s\n    expected: %.1500s", json.text, name.text, c->expect);
    if (c->type && !is_type(type, c->type)) complain(bench, c, "has type %s, not %s", name.text, c->type);
    buf_release(&json);
    buf_release(&name);
}

static weld_module_t compile_case(Bench *bench, const Case *c, weld_conf_t conf) {
    Error error = {.code = E_None};
    const char *engine = conf_get(conf, "weld.engine");
    bool cached = strcmp(conf_get(conf, "weld.cache"), "disk") == 0;
    if (cached) { /* a first time, under a name that the cache in memory tells apart: then it comes from disk
                   */
        weld_module_free(module_compile("before", c->text, c->length, NULL, conf, &error, NULL));
        error = (Error){.code = E_None};
        engine = "cached";
    }
    weld_module_t module = module_compile("program", c->text, c->length, NULL, conf, &error, NULL);
    if (!module)
        check_error(bench, c, &error);
    else if (strcmp(module_tier(module), engine) != 0)
        complain(bench, c, "runs by %s, not %s", module_tier(module), engine);
    return module;
}

static void check_no_bytes(Bench *bench, const Case *c, weld_context_t context) {
    long long bytes = (long long)weld_context_memory_usage(context);
    if (bytes != 0) complain(bench, c, "leaves %lld bytes", bytes);
}

/* One crew's two runs: nothing of a run may stay in its module. */
typedef struct Runs {
    weld_context_t context;
    weld_value_t values[2];
} Runs;

static void crew_runs(Bench *bench, const Case *c, weld_module_t module, CaseArgs *arguments, int crew,
                      Runs *runs) {
    runs->context = crew_context(bench, c, crew);
    for (int i = 0; i < 2; i++) {
        Error error = {.code = E_None};
        runs->values[i] = module_run(module, runs->context, arguments->data, &stop, &error);
        case_args_check(arguments, bench, c);
        if (!runs->values[i]) check_error(bench, c, &error);
    }
}

static void crew_ends(Bench *bench, const Case *c, int crew, Runs *runs) {
    bench->crew = &crews[crew];
    for (int i = 0; i < 2; i++) {
        weld_value_t value = runs->values[i];
        if (value) check_result(bench, c, value_type(value), weld_value_data(value));
        weld_value_free(value);
    }
    check_no_bytes(bench, c, runs->context);
    crew_leave(bench, c, runs->context);
}

/* Through the runtime. The results are read when the module is gone. */
static void run_by_runtime(Bench *bench, const Case *c) {
    weld_conf_t conf = conf_of(bench->config, c);
    weld_module_t module = compile_case(bench, c, conf);
    weld_conf_free(conf);
    if (!module) return;
    CaseArgs arguments = {0};
    Runs runs[MAX_CREWS] = {{0}};
    bool ok = case_args_read(&arguments, bench, c, module_argument_type(module));
    int done = 0;
    for (int crew; ok && (crew = crew_number(bench->config, done)) >= 0; done++)
        crew_runs(bench, c, module, &arguments, crew, &runs[done]);
    weld_module_free(module);
    for (int i = 0; i < done; i++) crew_ends(bench, c, crew_number(bench->config, i), &runs[i]);
    case_args_free(&arguments, bench, c);
}

static const char *case_setting(const Case *c, const char *key) {
    for (int i = 0; i < c->nsettings; i++) {
        if (strcmp(c->settings[i][0], key) == 0) return c->settings[i][1];
    }
    return NULL;
}

/* A typed program, interpreted. */
static void interpret(Bench *bench, const Case *c, Program *program) {
    Budget budget;
    const char *limit = case_setting(c, "weld.memory.limit"), *foreign = case_setting(c, "weld.foreign");
    budget_init(&budget, limit ? atoll(limit) : 0);
    Region *region = region_new(&budget);
    Worker worker = {.cancel = &stop, .region = region, .host = foreign ? &no_foreign : &foreign_host};
    CaseArgs arguments = {0};
    const Type *type = program_result_type(program);
    char *out = calloc(1, (size_t)type->size + 1);
    if (case_args_read(&arguments, bench, c, program_argument_type(program))) {
        ErrorCode code = program_eval(program, &worker, arguments.data, out);
        case_args_check(&arguments, bench, c);
        if (code != E_None)
            check_error(bench, c, &worker.error);
        else
            check_result(bench, c, type, out);
    }
    region_free(region);
    if (budget.live != 0) complain(bench, c, "leaves %lld bytes", (long long)budget.live);
    case_args_free(&arguments, bench, c);
    free(out);
}

/* Reads and types a text; NULL: failed, and checked against what the case expects. */
static Program *program_of(Bench *bench, const Case *c, const char *text, size_t length) {
    Program *program = program_new("program", text, length);
    if (program && program_read(program) && program_infer(program, NULL) && program_verify(program))
        return program;
    if (program)
        check_error(bench, c, &program->error);
    else
        complain(bench, c, "no memory");
    program_free(program);
    return NULL;
}

static bool optimize(Bench *bench, const Case *c, Program *program, int level, const char *passes) {
    PassOptions options = {.level = level, .passes = passes, .verify = true};
    if (program_optimize(program, &options)) return true;
    check_error(bench, c, &program->error);
    return false;
}

static void case_begin(Bench *bench, const Case *c) {
    snprintf(current, sizeof current, "\n%s:%d: %s [%s]: died\n", c->file, c->line, c->name,
             bench->config->name);
    stop = 0;
    alarm(60);
    bench->run++;
}

static void run_case(Bench *bench, const Case *c) {
    case_begin(bench, c);
    run_by_runtime(bench, c);
    alarm(0);
}

/* Rewrites a case, and runs what comes out if none of the texts before is the same. */
static void run_rewritten(Bench *bench, const Case *c, int number, Buf *texts) {
    Program *program = program_of(bench, c, c->text, c->length);
    const Config *config = bench->config;
    const char *passes = *config->passes ? config->passes : NULL;
    bool repeated = false;
    if (program && optimize(bench, c, program, config->level, passes)) {
        program_print(&texts[number], program, true);
        for (int i = 0; i < number; i++)
            repeated |= texts[i].length == texts[number].length && texts[i].length &&
                        memcmp(texts[i].text, texts[number].text, texts[i].length) == 0;
        bench->how = ", interpreter";
        if (!repeated) interpret(bench, c, program);
    }
    program_free(program);
    bench->how = ", jit, llvm 0";
    /* What does not become a program is refused by the runtime, too: once. */
    bool compiled = number < LEVELS || !SANITIZED;
    if (texts[number].length ? !repeated && compiled : number == 0) run_by_runtime(bench, c);
    bench->how = NULL;
}

static void run_rewritings(Bench *bench, const Case *c) {
    Buf texts[REWRITINGS] = {{0}};
    for (int i = 0; i < REWRITINGS; i++) {
        Config config = rewriting(i);
        if (!is_chosen("WELD_CONFIG", config.name)) continue;
        bench->config = &config;
        case_begin(bench, c);
        run_rewritten(bench, c, i, texts);
        alarm(0);
    }
    for (int i = 0; i < REWRITINGS; i++) buf_release(&texts[i]);
}

static void read_corpus(Corpus *corpus) {
    bool ok = corpus_read(corpus, WELD_SOURCE_DIR "/tests/golden/run");
    cr_assert(ok, "%s", corpus->fault);
    cr_assert(corpus->count > 500, "%d cases", corpus->count);
}

static bool is_chosen_case(const Case *c) {
    char name[256];
    snprintf(name, sizeof name, "%s:%s", c->file, c->name);
    return is_chosen("WELD_CASE", name);
}

static void bench_report(const Bench *bench, const char *name, int share) {
    fprintf(stderr, "%-36s %5d cases, %d failures (share %d of %d)\n", name, bench->run, bench->failed,
            share + 1, SHARES);
    cr_expect(bench->failed == 0, "%s: %d of %d cases fail", name, bench->failed, bench->run);
}

/* Goes through the chosen cases of a share. */
static void each_case(Bench *bench, int share, void (*run)(Bench *bench, const Case *c)) {
    Corpus corpus = {0};
    read_corpus(&corpus);
    watch_signals();
    int one_of = bench->config && bench->config->one_of ? bench->config->one_of : 1;
    for (int i = share; i < corpus.count; i += SHARES) {
        bool mine = getenv("WELD_CASE") || i / SHARES % one_of == one_of - 1;
        if (mine && is_chosen_case(&corpus.cases[i])) run(bench, &corpus.cases[i]);
    }
    corpus_free(&corpus);
    bench_end(bench);
}

/* The level of x86-64 that this machine has, of those that code generation tells apart; 0: it is another machine. */
static int machine_level(void) {
#if defined(__x86_64__)
    __builtin_cpu_init();
    bool three = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    bool four = __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                __builtin_cpu_supports("avx512dq");
    return !three ? 1 : four ? 4 : 3;
#else
    return 0;
#endif
}

/* Why what is made for the configuration's processor need not be run, or cannot; NULL: it is to be run. */
static const char *why_skipped(const Config *config) {
    for (int i = 0; i < 3 && config->settings[i][0]; i++) {
        if (strcmp(config->settings[i][0], "weld.processor") != 0) continue;
        const char *level = strstr(config->settings[i][1], "-v");
        int wanted = level ? atoi(level + 2) : 1, had = machine_level();
        if (wanted > had) return "not for this machine";
        if (wanted == had && !getenv("WELD_CONFIG")) return "what this machine has anyway";
    }
    return NULL;
}

/* A parameter for each share of each of `count` rows. */
static struct criterion_test_params shares_of(int count) {
    int *numbers = cr_malloc((size_t)(count * SHARES) * sizeof *numbers);
    for (int i = 0; i < count * SHARES; i++) numbers[i] = i;
    return cr_make_param_array(int, numbers, (size_t)(count * SHARES));
}

ParameterizedTestParameters(matrix, every_configuration) {
    return shares_of(ROWS);
}

ParameterizedTest(int *number, matrix, every_configuration, .timeout = 1800) {
    const Config *config = &table[*number / SHARES];
    if (!is_chosen("WELD_CONFIG", config->name) || (SANITIZED && config->llvm_alone)) return;
    const char *why = why_skipped(config);
    if (why) {
        fprintf(stderr, "%-36s skipped: %s\n", config->name, why);
        return;
    }
    Bench bench = {.config = config};
    each_case(&bench, *number % SHARES, run_case);
    bench_report(&bench, config->name, *number % SHARES);
}

ParameterizedTestParameters(matrix, every_rewriting) {
    return shares_of(1);
}

ParameterizedTest(int *share, matrix, every_rewriting, .timeout = 1800) {
    Bench bench = {0};
    each_case(&bench, *share, run_rewritings);
    bench_report(&bench, "rewritings", *share);
}

/* ---- memory that is refused ---- */

typedef struct Refusal {
    Budget *budget;
    void *(*take)(void *data, size_t bytes);
    void (*give)(void *data, void *block, size_t bytes);
    void *(*resize)(void *data, void *block, size_t bytes, size_t wanted);
    void *data;
    _Atomic int left; /* blocks until one is refused */
    _Atomic bool refused;
} Refusal;

static void *refusing_take(void *data, size_t bytes) {
    Refusal *refusal = data;
    bool refused = --refusal->left == 0;
    if (refused) refusal->refused = true;
    return refused ? NULL : refusal->take(refusal->data, bytes);
}

static void refusing_give(void *data, void *block, size_t bytes) {
    Refusal *refusal = data;
    refusal->give(refusal->data, block, bytes);
}

static void *refusing_resize(void *data, void *block, size_t bytes, size_t wanted) {
    Refusal *refusal = data;
    bool refused = wanted > bytes && --refusal->left == 0;
    if (refused) refusal->refused = true;
    return refused ? NULL : refusal->resize(refusal->data, block, bytes, wanted);
}

/* The context's n-th block from now on is refused. */
static void refuse(Refusal *refusal, weld_context_t handle, int n) {
    Budget *budget = &((Context *)handle_as(handle, HANDLE_CONTEXT))->budget;
    *refusal = (Refusal){budget, budget->take, budget->give, budget->resize, budget->data, 0, false};
    refusal->left = n;
    budget->take = refusing_take;
    budget->give = refusing_give;
    budget->resize = refusing_resize;
    budget->data = refusal;
}

static void refuse_no_more(Refusal *refusal) {
    refusal->budget->take = refusal->take;
    refusal->budget->give = refusal->give;
    refusal->budget->resize = refusal->resize;
    refusal->budget->data = refusal->data;
}

/* Runs with the n-th block refused. False: the run did not come that far. */
static bool run_refused(Bench *bench, const Case *c, weld_context_t context, weld_module_t module,
                        const CaseArgs *arguments, int n) {
    Refusal refusal;
    Error error = {.code = E_None};
    refuse(&refusal, context, n);
    weld_value_t value = module_run(module, context, arguments->data, &stop, &error);
    bool refused = refusal.refused;
    bench->refused += refused;
    if (value)
        check_result(bench, c, value_type(value), weld_value_data(value));
    else if (!refused || error.code != E_OutOfMemory)
        check_error(bench, c, &error);
    weld_value_free(value);
    refuse_no_more(&refusal);
    check_no_bytes(bench, c, context);
    return refused;
}

static void refuse_case(Bench *bench, const Case *c) {
    enum { MOST = 60 }; /* blocks: more tell nothing new */
    if (c->nsettings) return;
    case_begin(bench, c);
    weld_conf_t conf = conf_of(bench->config, c);
    weld_module_t module = compile_case(bench, c, conf);
    weld_conf_free(conf);
    CaseArgs arguments = {0};
    bool ok = module && case_args_read(&arguments, bench, c, module_argument_type(module));
    for (int i = 0, crew; ok && (crew = crew_number(bench->config, i)) >= 0; i++) {
        weld_context_t context = crew_context(bench, c, crew);
        for (int n = 1; n < MOST && run_refused(bench, c, context, module, &arguments, n); n++) continue;
        case_args_check(&arguments, bench, c);
        crew_leave(bench, c, context);
    }
    alarm(0);
    weld_module_free(module);
    if (arguments.context) case_args_free(&arguments, bench, c);
}

ParameterizedTestParameters(matrix, survives_refused_memory) {
    return shares_of(2);
}

ParameterizedTest(int *number, matrix, survives_refused_memory, .timeout = 1800) {
    static const Config configs[] = {
        {.name = "eval, memory refused", .settings = {ENGINE("eval")}, .level = 2},
        {.name = "jit, memory refused",
         .settings = {ENGINE("jit"), LLVM("0")},
         .level = 2,
         .crews = {0, 3, 5}},
    };
    const Config *config = &configs[*number / SHARES];
    if (!is_chosen("WELD_CONFIG", config->name)) return;
    Bench bench = {.config = config};
    each_case(&bench, *number % SHARES, refuse_case);
    fprintf(stderr, "%-36s %5d runs refused\n", config->name, bench.refused);
    bench_report(&bench, config->name, *number % SHARES);
}

/* ---- printing ---- */

/* Prints the program, reads that, prints again: the same text. typed: and the same answer. */
static void check_printing(Bench *bench, const Case *c, const Program *program, bool typed,
                           const char *what) {
    Buf first = {0}, second = {0};
    program_print(&first, program, typed);
    Program *again = program_new("printed", first.text ? first.text : "", first.length);
    bool ok =
        again && program_read(again) && (!typed || (program_infer(again, NULL) && program_verify(again)));
    if (ok) {
        program_print(&second, again, typed);
        if (!second.text || strcmp(first.text, second.text) != 0)
            complain(bench, c, "%s: prints\n%s\n    and then\n%s", what, first.text, second.text);
        Case anywhere = *c;
        anywhere.error_line = 0;
        if (typed) interpret(bench, &anywhere, again);
    } else if (again) {
        complain(bench, c, "%s: prints\n%s\n    which gives %s: %s", what, first.text,
                 error_name(again->error.code), again->error.text);
    }
    program_free(again);
    buf_release(&first);
    buf_release(&second);
}

static void print_case(Bench *bench, const Case *c) {
    case_begin(bench, c);
    Program *bare = program_new("program", c->text, c->length);
    if (bare && program_read(bare)) check_printing(bench, c, bare, false, "as read");
    program_free(bare);
    Program *program = program_of(bench, c, c->text, c->length);
    if (program) {
        check_printing(bench, c, program, true, "typed");
        if (optimize(bench, c, program, 2, NULL)) check_printing(bench, c, program, true, "optimized");
    }
    program_free(program);
    alarm(0);
}

ParameterizedTestParameters(matrix, prints_read_back) {
    return shares_of(1);
}

ParameterizedTest(int *share, matrix, prints_read_back, .timeout = 1800) {
    static const Config config = {.name = "printed"};
    if (!is_chosen("WELD_CONFIG", config.name)) return;
    Bench bench = {.config = &config};
    each_case(&bench, *share, print_case);
    bench_report(&bench, config.name, *share);
}
