/* promise.c: no run takes more than was promised: of the programs of tests/golden/run, whose vectors are made long.
 *
 * Each case's vectors are repeated until they are long, since for short ones a promise holds whatever the plan is: less long where
 * loops are in loops, which may walk them in each iteration. What the program then gives, and whether it fails, is no matter here. It is compiled and priced for these arguments, and runs with one
 * thread and with several. Where the plan says how many bytes a run takes at most, no run may take more.
 *
 * WELD_SHOW=1 prints for each case what was promised, what it took, and why there is no promise; WELD_CASE=TEXT chooses cases
 * by `file:name`.
 */
#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <signal.h>
#include <unistd.h>

#include "corpus_functions.h"
#include "matrix.h"
#include "../runtime/rt.h"

enum { LONG = 60000, LONG_INSIDE = 400, MOST_DEPTH = 4, SECONDS = 3, SHARES = 2 };

static volatile int32_t stop;

static void on_alarm(int number) {
    (void)number;
    stop = 1;
}

/* ---- arguments ---- */

typedef struct Arguments {
    weld_context_t context;
    weld_value_t values[MAX_ARGS];
    char *data;
    void *made[64];
    int count, length;
} Arguments;

/* All vectors of the value that are in no other vector have about `length` elements: theirs again and again. */
static void make_long(Arguments *arguments, const Type *type, char *at, int depth) {
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count && depth < MOST_DEPTH; i++)
            make_long(arguments, type->args[i], at + type->offsets[i], depth + 1);
        return;
    }
    Vec *vec = (Vec *)(void *)at;
    if (type->kind != TY_vec || vec->length == 0 || arguments->count == 64) return;
    int64_t size = type->args[0]->size, times = arguments->length / vec->length + 1;
    char *room = malloc((size_t)(size * vec->length * times) + 1);
    cr_assert(room);
    for (int64_t i = 0; i < times && size; i++)
        memcpy(room + i * vec->length * size, vec->data, (size_t)(vec->length * size));
    arguments->made[arguments->count++] = room;
    *vec = (Vec){room, vec->length * times};
}

/* Are there loops in loops? */
static bool is_nested(const Node *node, int loops) {
    bool loop = node->kind == N_For || node->kind == N_Iterate;
    if (loop && loops) return true;
    for (int i = 0; i < node->count; i++) {
        if (is_nested(node->kids[i], loops + (loop && node->kids[i]->kind == N_Lambda))) return true;
    }
    return false;
}

/* C functions are made for the arguments that they get. */
static bool is_foreign(const Node *node) {
    bool foreign = node_is_foreign(node);
    for (int i = 0; i < node->count && !foreign; i++) foreign = is_foreign(node->kids[i]);
    return foreign;
}

static bool arguments_read(Arguments *arguments, const Case *c, const Type *type) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval");
    arguments->context = weld_context_new(conf);
    arguments->data = calloc(1, (size_t)type->size + 1);
    bool ok = type->count == c->nargs;
    for (int i = 0; ok && i < c->nargs; i++) {
        Error error = {.code = E_None};
        weld_module_t module =
            module_compile("argument", c->args[i], strlen(c->args[i]), type->args[i], conf, &error, NULL);
        weld_value_t value = module ? module_run(module, arguments->context, NULL, NULL, &error) : NULL;
        weld_module_free(module);
        arguments->values[i] = value;
        ok = value != NULL;
        if (!ok) continue;
        char *at = arguments->data + type->offsets[i];
        memcpy(at, weld_value_data(value), (size_t)type->args[i]->size);
        make_long(arguments, type->args[i], at, 0);
    }
    weld_conf_free(conf);
    return ok;
}

static void arguments_free(Arguments *arguments, int count) {
    for (int i = 0; i < count; i++) weld_value_free(arguments->values[i]);
    for (int i = 0; i < arguments->count; i++) free(arguments->made[i]);
    weld_context_free(arguments->context);
    free(arguments->data);
}

/* ---- runs ---- */

typedef struct Tally {
    int cases, promised, broken;
} Tally;

static void run_case(const Case *c, weld_module_t module, const Arguments *arguments, const char *threads,
                     Tally *tally) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.threads", threads);
    weld_conf_set(conf, "weld.memory.limit", "500000000");
    for (int i = 0; i < c->nsettings; i++) weld_conf_set(conf, c->settings[i][0], c->settings[i][1]);
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    PlanPrice price;
    if (!context || !module_price(module, context, arguments->data, &price)) {
        weld_context_free(context);
        return;
    }
    Error error = {.code = E_None};
    stop = 0;
    alarm(SECONDS);
    weld_value_t value = module_run(module, context, arguments->data, &stop, &error);
    alarm(0);
    long long peak = (long long)context_peak(context);
    bool broken = !price.why && peak > price.planned;
    tally->cases++;
    tally->promised += !price.why;
    tally->broken += broken;
    cr_expect(!broken, "%s:%d: %s, %s threads: takes %lld bytes, %lld were planned", c->file, c->line,
              c->name, threads, peak, (long long)price.planned);
    if (getenv("WELD_SHOW"))
        fprintf(stderr, "%s:%s: %s: took %lld, planned %lld, least %lld%s%s\n", c->file, c->name, threads,
                peak, (long long)price.planned, (long long)price.live, price.why ? ": " : "",
                price.why ? price.why : "");
    weld_value_free(value);
    weld_context_free(context);
}

static void try_case(const Case *c, weld_conf_t conf, Tally *tally) {
    static const char *const threads[] = {"1", "3"};
    Error error = {.code = E_None};
    weld_module_t module = module_compile("program", c->text, c->length, NULL, conf, &error, NULL);
    if (!module) return;
    Program *program = module_optimized(module);
    Arguments arguments = {.length = LONG};
    if (!program || is_nested(program->root, 0)) arguments.length = LONG_INSIDE;
    if (!program || is_foreign(program->root)) arguments.length = 0;
    program_free(program);
    if (arguments_read(&arguments, c, module_argument_type(module))) {
        for (size_t i = 0; i < sizeof threads / sizeof *threads; i++)
            run_case(c, module, &arguments, threads[i], tally);
    }
    arguments_free(&arguments, c->nargs);
    weld_module_free(module);
}

static void run_share(int share) {
    const char *wanted = getenv("WELD_CASE");
    Corpus corpus = {0};
    Tally tally = {0};
    bool ok = corpus_read(&corpus, WELD_SOURCE_DIR "/tests/golden/run");
    cr_assert(ok, "%s", corpus.fault);
    signal(SIGALRM, on_alarm);
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.cache", "off");
    weld_conf_set(conf, "weld.llvm.optimization.level", "0");
    for (int i = share; i < corpus.count; i += SHARES) {
        char name[256];
        snprintf(name, sizeof name, "%s:%s", corpus.cases[i].file, corpus.cases[i].name);
        if (!wanted || strstr(name, wanted)) try_case(&corpus.cases[i], conf, &tally);
    }
    weld_conf_free(conf);
    corpus_free(&corpus);
    fprintf(stderr, "%d runs, %d with a promise, %d of them broken (share %d of %d)\n", tally.cases,
            tally.promised, tally.broken, share + 1, SHARES);
    if (!tally.cases) cr_skip_test("no case was chosen, or there is no code generator");
    cr_expect(wanted || 2 * tally.promised > tally.cases, "%d of %d have a promise", tally.promised,
              tally.cases);
}

Test(promise, is_kept_by_the_first_half) {
    run_share(0);
}

Test(promise, is_kept_by_the_second_half) {
    run_share(1);
}
