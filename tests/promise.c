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
#include "long.h"

enum { SECONDS = 3, SHARES = 2 };

static volatile int32_t stop;

static void on_alarm(int number) {
    (void)number;
    stop = 1;
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
    Arguments arguments = {.length = arguments_length(module)};
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
