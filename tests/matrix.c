/* matrix.c: runs the corpus of tests/golden/run under every configuration.
 *
 * A configuration is a row: a way to run and settings. Ways are the runtime with one of its engines, and, to
 * test the optimizer apart from code generation, the interpreter on the optimized program. To the table below
 * come two rows for each pass of passes.def: this pass alone, and all but this pass; with a verifier after
 * every pass. Adding threads or ranks is adding rows.
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
 * it.
 *
 * WELD_CONFIG=TEXT and WELD_CASE=TEXT in the environment choose configurations, and cases by `file:name`.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <unistd.h>

#include "matrix.h"
#include "../runtime/rt.h"

/* ---- foreign functions of tests/golden/run/cudf.weld: by pointers ---- */

#define FOREIGN __attribute__((visibility("default"))) void

FOREIGN corpus_add(const int64_t *a, const int64_t *b, int64_t *out) {
    *out = *a + *b;
}

FOREIGN corpus_answer(int64_t *out) {
    *out = 42;
}

FOREIGN corpus_total(const Vec *v, double *out) {
    *out = 0;
    for (int64_t i = 0; i < v->length; i++) *out += ((const double *)v->data)[i];
}

typedef struct ByteDouble {
    int8_t a;
    double b;
} ByteDouble;
typedef struct DoubleByte {
    double a;
    int8_t b;
} DoubleByte;

FOREIGN corpus_swap(const ByteDouble *in, DoubleByte *out) {
    out->a = in->b;
    out->b = in->a;
}

FOREIGN corpus_tail(const Vec *v, Vec *out) {
    *out = (Vec){(int64_t *)v->data + 1, v->length - 1};
}

FOREIGN corpus_invert(const uint8_t *in, uint8_t *out) {
    *out = !*in;
}

FOREIGN corpus_six(const int8_t *a, const int16_t *b, const int32_t *c, const int64_t *d, const float *e,
                   const double *f, int64_t *out) {
    *out = *a + *b + *c + *d + (int64_t)*e + (int64_t)*f;
}

/* ---- those of tests/golden/run/cfun.weld: by value ---- */

#define EXPORT __attribute__((visibility("default")))

EXPORT int64_t corpus_v_add(int64_t a, int64_t b) {
    return a + b;
}

EXPORT int64_t corpus_v_answer(void) {
    return 42;
}

EXPORT int8_t corpus_v_i8(int8_t x) {
    return (int8_t)(x - 100);
}

EXPORT int16_t corpus_v_i16(int16_t x) {
    return (int16_t)(x - 100);
}

EXPORT int32_t corpus_v_i32(int32_t x) {
    return x < 0 ? x + 1 : x - 1;
}

EXPORT uint8_t corpus_v_u8(uint8_t x) {
    return (uint8_t)(x + 100);
}

EXPORT uint16_t corpus_v_u16(uint16_t x) {
    return (uint16_t)(x + 100);
}

EXPORT uint32_t corpus_v_u32(uint32_t x) {
    return x / 2;
}

EXPORT uint64_t corpus_v_u64(uint64_t x) {
    return x / 2;
}

EXPORT float corpus_v_f32(float x) {
    return x / 4;
}

EXPORT bool corpus_v_not(bool x) {
    return !x;
}

/* More than go into registers, of every size. */
EXPORT double corpus_v_many(int8_t a, float b, uint16_t c, double d, int64_t e, bool f, uint32_t g, int16_t h,
                            double i, uint8_t j, float k, int32_t l, double m, double n, double o, double p,
                            double q, uint64_t r, double s, float t) {
    return a + b * 2 + c * 3 + d * 4 + (double)e * 5 + f * 6 + g * 7.0 + h * 8 + i * 9 + j * 10 + k * 11 +
           l * 12.0 + m * 13 + n * 14 + o * 15 + p * 16 + q * 17 + (double)r * 18 + s * 19 + t * 20;
}

static int64_t ticks, tick_log; /* calls; a number from their arguments in order */

EXPORT int64_t corpus_v_reset(void) {
    return ticks = tick_log = 0;
}

EXPORT int64_t corpus_v_tick(int64_t x) {
    ticks++;
    tick_log = tick_log * 10 + x;
    return x;
}

EXPORT int64_t corpus_v_ticks(void) {
    return ticks;
}

EXPORT int64_t corpus_v_tick_log(void) {
    return tick_log;
}

/* ---- of tests/golden/run/cfill.weld: into memory of the run ---- */

EXPORT int corpus_f_iota(const int64_t *start, Vec *out) {
    for (int64_t i = 0; i < out->length; i++) ((int64_t *)out->data)[i] = *start + i;
    return 0;
}

/* The elements above a limit, in room for all. */
EXPORT int corpus_f_above(const Vec *v, const double *limit, Vec *out) {
    int64_t count = 0;
    for (int64_t i = 0; i < v->length; i++) {
        double x = ((const double *)v->data)[i];
        if (x > *limit) ((double *)out->data)[count++] = x;
    }
    out->length = count;
    return 0;
}

EXPORT int corpus_f_status(const int32_t *status, Vec *out) {
    memset(out->data, 0, (size_t)out->length);
    return *status;
}

EXPORT int corpus_f_length(const int64_t *length, Vec *out) {
    out->length = *length;
    return 0;
}

typedef struct Halves {
    Vec low;
    int8_t tag;
    struct {
        double mean;
        Vec high;
    } rest;
} Halves;

EXPORT int corpus_f_halves(const Vec *v, Halves *out) {
    const double *x = v->data;
    out->rest.mean = 0;
    for (int64_t i = 0; i < v->length; i++) {
        bool low = i < out->low.length;
        ((double *)(low ? out->low.data : out->rest.high.data))[low ? i : i - out->low.length] = x[i];
        out->rest.mean += x[i] / (double)v->length;
    }
    out->tag = 7;
    return 0;
}

EXPORT int corpus_f_scalars(const int64_t *x, DoubleByte *out) {
    *out = (DoubleByte){(double)*x / 2, (int8_t)*x};
    return 0;
}

EXPORT int corpus_f_count(const int64_t *x, Vec *out) {
    ticks++;
    for (int64_t i = 0; i < out->length; i++) ((int64_t *)out->data)[i] = *x;
    return 0;
}

/* ---- configurations ---- */

typedef enum Way { RUNTIME, OPTIMIZED } Way;

typedef struct Config {
    char name[64];
    Way way;
    const char *settings[4][2]; /* of RUNTIME */
    int level;                  /* of OPTIMIZED */
    char passes[512];           /* "": those of the level; else for both ways */
} Config;

#define ENGINE(name) {"weld.engine", name}
#define LLVM(level) {"weld.llvm.optimization.level", level}
#define LEVEL(level) {"weld.optimization.level", level}
#define VERIFY {"weld.verify", "true"}
#define THREADS(number) {"weld.threads", number}
#define PROCESSOR(name) {"weld.processor", name}
#define GRAIN(iterations) {"weld.grain", iterations}

static const Config table[] = {
    {"interpreter", RUNTIME, {ENGINE("eval")}, 0, ""},
    {"jit, llvm 0, level 0", RUNTIME, {ENGINE("jit"), LLVM("0"), LEVEL("0"), VERIFY}, 0, ""},
    {"jit, llvm 0, level 2", RUNTIME, {ENGINE("jit"), LLVM("0"), LEVEL("2"), VERIFY}, 0, ""},
    {"jit, llvm 1, level 2", RUNTIME, {ENGINE("jit"), LLVM("1"), LEVEL("2")}, 0, ""},
    {"jit, llvm 2, level 0", RUNTIME, {ENGINE("jit"), LLVM("2"), LEVEL("0")}, 0, ""},
    {"jit, llvm 2, level 2", RUNTIME, {ENGINE("jit"), LLVM("2"), LEVEL("2")}, 0, ""},
    {"jit, llvm 3, level 3", RUNTIME, {ENGINE("jit"), LLVM("3"), LEVEL("3")}, 0, ""},
    {"jit, from the cache", RUNTIME, {ENGINE("jit"), LLVM("0"), {"weld.cache", "disk"}}, 0, ""},
    {"jit, llvm 2, 4 threads", RUNTIME, {ENGINE("jit"), THREADS("4")}, 0, ""},
    {"jit, llvm 0, grain 2", RUNTIME, {ENGINE("jit"), LLVM("0"), GRAIN("2")}, 0, ""},
    {"jit, llvm 0, 2 threads, grain 1", RUNTIME, {ENGINE("jit"), LLVM("0"), THREADS("2"), GRAIN("1")}, 0, ""},
    {"jit, llvm 2, 2 threads, grain 40",
     RUNTIME,
     {ENGINE("jit"), LLVM("2"), THREADS("2"), GRAIN("40")},
     0,
     ""},
    {"jit, x86-64", RUNTIME, {ENGINE("jit"), PROCESSOR("x86-64")}, 0, ""},
    {"jit, x86-64-v3", RUNTIME, {ENGINE("jit"), PROCESSOR("x86-64-v3")}, 0, ""},
    {"jit, x86-64-v4", RUNTIME, {ENGINE("jit"), PROCESSOR("x86-64-v4")}, 0, ""},
    {"jit, llvm 2, 4 threads, grain 3", RUNTIME, {ENGINE("jit"), LLVM("2"), THREADS("4"), GRAIN("3")}, 0, ""},
    {"interpreter, optimized, level 0", OPTIMIZED, {{0}}, 0, ""},
    {"interpreter, optimized, level 1", OPTIMIZED, {{0}}, 1, ""},
    {"interpreter, optimized, level 2", OPTIMIZED, {{0}}, 2, ""},
    {"interpreter, optimized, level 3", OPTIMIZED, {{0}}, 3, ""},
};

enum { ROWS = sizeof table / sizeof *table, WAYS = 2, CONFIGS = ROWS + 2 * WAYS * (PASS_COUNT - 1) };

/* The n-th configuration: of the table, then of the passes. */
static Config config_number(int n) {
    if (n < ROWS) return table[n];
    int pass = 1 + (n - ROWS) / (2 * WAYS);
    bool alone = (n - ROWS) % 2 == 0, compiled = (n - ROWS) / 2 % 2;
    Config config = {.way = compiled ? RUNTIME : OPTIMIZED, .settings = {ENGINE("jit"), LLVM("0"), VERIFY}};
    snprintf(config.name, sizeof config.name, "%s, %s %s", compiled ? "jit, llvm 0" : "interpreter",
             alone ? "only" : "all but", pass_classes[pass].spelling);
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
    weld_conf_t conf;
    weld_context_t context;
    int run, failed, refused;
} Bench;

static volatile int32_t stop;
static char current[512]; /* configuration and case, for the handler */
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
    fprintf(stderr, "%s:%d: %s [%s]: ", c->file, c->line, c->name, bench->config->name);
    va_list list;
    va_start(list, format);
    vfprintf(stderr, format, list);
    va_end(list);
    fputc('\n', stderr);
}

static weld_conf_t conf_of(const Config *config, const Case *c) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.cache", "off");
    for (int i = 0; i < 4 && config->settings[i][0]; i++)
        weld_conf_set(conf, config->settings[i][0], config->settings[i][1]);
    if (*config->passes) weld_conf_set(conf, "weld.optimization.passes", config->passes);
    for (int i = 0; c && i < c->nsettings; i++) weld_conf_set(conf, c->settings[i][0], c->settings[i][1]);
    return conf;
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

/* Through the runtime, twice: nothing of a run may stay in its module. */
static void run_by_runtime(Bench *bench, const Case *c, weld_conf_t conf, weld_context_t context) {
    weld_module_t module = compile_case(bench, c, conf);
    if (!module) return;
    CaseArgs arguments = {0};
    weld_value_t values[2] = {NULL, NULL};
    bool ok = case_args_read(&arguments, bench, c, module_argument_type(module));
    for (int i = 0; ok && i < 2; i++) {
        Error error = {.code = E_None};
        values[i] = module_run(module, context, arguments.data, &stop, &error);
        case_args_check(&arguments, bench, c);
        if (!values[i]) check_error(bench, c, &error);
    }
    weld_module_free(module);
    for (int i = 0; i < 2; i++) {
        if (values[i]) check_result(bench, c, value_type(values[i]), weld_value_data(values[i]));
        weld_value_free(values[i]);
    }
    check_no_bytes(bench, c, context);
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

static void run_case(Bench *bench, const Case *c) {
    const Config *config = bench->config;
    snprintf(current, sizeof current, "\n%s:%d: %s [%s]: died\n", c->file, c->line, c->name, config->name);
    stop = 0;
    alarm(60);
    bench->run++;
    if (config->way == OPTIMIZED) {
        Program *program = program_of(bench, c, c->text, c->length);
        if (program && optimize(bench, c, program, config->level, *config->passes ? config->passes : NULL))
            interpret(bench, c, program);
        program_free(program);
    } else if (c->nsettings == 0) {
        run_by_runtime(bench, c, bench->conf, bench->context);
    } else {
        weld_conf_t conf = conf_of(config, c);
        weld_context_t context = weld_context_new(conf);
        run_by_runtime(bench, c, conf, context);
        weld_context_free(context);
        weld_conf_free(conf);
    }
    alarm(0);
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

static void bench_report(const Bench *bench) {
    fprintf(stderr, "%-36s %5d cases, %d failures\n", bench->config->name, bench->run, bench->failed);
    cr_expect(bench->failed == 0, "%s: %d of %d cases fail", bench->config->name, bench->failed, bench->run);
}

/* Can this machine run what is made for the configuration's processor? */
static bool is_runnable(const Config *config) {
    for (int i = 0; i < 4 && config->settings[i][0]; i++) {
        if (strcmp(config->settings[i][0], "weld.processor") != 0) continue;
        const char *processor = config->settings[i][1];
#if defined(__x86_64__)
        __builtin_cpu_init();
        if (strcmp(processor, "x86-64-v3") == 0)
            return __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
        if (strcmp(processor, "x86-64-v4") == 0)
            return __builtin_cpu_supports("avx512vl") && __builtin_cpu_supports("avx512bw") &&
                   __builtin_cpu_supports("avx512dq");
        return true;
#else
        (void)processor;
        return false;
#endif
    }
    return true;
}

ParameterizedTestParameters(matrix, every_configuration) {
    int *numbers = cr_malloc(CONFIGS * sizeof *numbers);
    for (int i = 0; i < CONFIGS; i++) numbers[i] = i;
    return cr_make_param_array(int, numbers, CONFIGS);
}

ParameterizedTest(int *number, matrix, every_configuration, .timeout = 1800) {
    Config config = config_number(*number);
    if (!is_chosen("WELD_CONFIG", config.name)) return;
    if (!is_runnable(&config)) {
        fprintf(stderr, "%-36s skipped: not for this machine\n", config.name);
        return;
    }
    Corpus corpus = {0};
    read_corpus(&corpus);
    watch_signals();
    Bench bench = {.config = &config, .conf = conf_of(&config, NULL)};
    bench.context = weld_context_new(bench.conf);
    cr_assert(bench.context);
    for (int i = 0; i < corpus.count; i++) {
        if (is_chosen_case(&corpus.cases[i])) run_case(&bench, &corpus.cases[i]);
    }
    corpus_free(&corpus);
    weld_context_free(bench.context);
    weld_conf_free(bench.conf);
    bench_report(&bench);
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
static bool run_refused(Bench *bench, const Case *c, weld_module_t module, const CaseArgs *arguments, int n) {
    Refusal refusal;
    Error error = {.code = E_None};
    refuse(&refusal, bench->context, n);
    weld_value_t value = module_run(module, bench->context, arguments->data, &stop, &error);
    bool refused = refusal.refused;
    bench->refused += refused;
    if (value)
        check_result(bench, c, value_type(value), weld_value_data(value));
    else if (!refused || error.code != E_OutOfMemory)
        check_error(bench, c, &error);
    weld_value_free(value);
    refuse_no_more(&refusal);
    check_no_bytes(bench, c, bench->context);
    return refused;
}

static void refuse_case(Bench *bench, const Case *c) {
    enum { MOST = 60 }; /* blocks: more tell nothing new */
    snprintf(current, sizeof current, "\n%s:%d: %s [%s]: died\n", c->file, c->line, c->name,
             bench->config->name);
    weld_module_t module = compile_case(bench, c, bench->conf);
    if (!module) return;
    CaseArgs arguments = {0};
    stop = 0;
    alarm(60);
    bench->run++;
    if (case_args_read(&arguments, bench, c, module_argument_type(module))) {
        for (int n = 1; n < MOST && run_refused(bench, c, module, &arguments, n); n++) continue;
        case_args_check(&arguments, bench, c);
    }
    alarm(0);
    weld_module_free(module);
    case_args_free(&arguments, bench, c);
}

ParameterizedTestParameters(matrix, survives_refused_memory) {
    static int engines[] = {0, 1, 2, 3};
    return cr_make_param_array(int, engines, 4);
}

ParameterizedTest(int *number, matrix, survives_refused_memory, .timeout = 1800) {
    static const Config configs[] = {
        {.name = "eval, memory refused", .settings = {ENGINE("eval")}},
        {.name = "jit, memory refused", .settings = {ENGINE("jit"), LLVM("0")}},
        {.name = "jit, grain 2, memory refused", .settings = {ENGINE("jit"), LLVM("0"), GRAIN("2")}},
        {.name = "jit, 3 threads, memory refused",
         .settings = {ENGINE("jit"), LLVM("0"), THREADS("3"), GRAIN("2")}},
    };
    const Config config = configs[*number];
    if (!is_chosen("WELD_CONFIG", config.name)) return;
    Corpus corpus = {0};
    read_corpus(&corpus);
    watch_signals();
    Bench bench = {.config = &config, .conf = conf_of(&config, NULL)};
    bench.context = weld_context_new(bench.conf);
    for (int i = 0; i < corpus.count; i++) {
        const Case *c = &corpus.cases[i];
        if (is_chosen_case(c) && c->nsettings == 0) refuse_case(&bench, c);
    }
    corpus_free(&corpus);
    weld_context_free(bench.context);
    weld_conf_free(bench.conf);
    fprintf(stderr, "%-36s %5d runs refused\n", config.name, bench.refused);
    bench_report(&bench);
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
    snprintf(current, sizeof current, "\n%s:%d: %s [printing]: died\n", c->file, c->line, c->name);
    stop = 0;
    alarm(60);
    Program *bare = program_new("program", c->text, c->length);
    if (bare && program_read(bare)) check_printing(bench, c, bare, false, "as read");
    program_free(bare);
    Program *program = program_of(bench, c, c->text, c->length);
    if (program) {
        bench->run++;
        check_printing(bench, c, program, true, "typed");
        if (optimize(bench, c, program, 2, NULL)) check_printing(bench, c, program, true, "optimized");
    }
    program_free(program);
    alarm(0);
}

Test(matrix, prints_read_back, .timeout = 1800) {
    static const Config config = {.name = "printed", .way = OPTIMIZED};
    if (!is_chosen("WELD_CONFIG", config.name)) return;
    Corpus corpus = {0};
    read_corpus(&corpus);
    watch_signals();
    Bench bench = {.config = &config};
    for (int i = 0; i < corpus.count; i++) {
        if (is_chosen_case(&corpus.cases[i])) print_case(&bench, &corpus.cases[i]);
    }
    corpus_free(&corpus);
    bench_report(&bench);
}
