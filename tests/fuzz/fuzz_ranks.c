/* fuzz_ranks.c: do ranks agree on random programs with one that runs them alone?
 *
 *     mpirun -n 3 fuzz_ranks COUNT [SEED [SIZE]]
 *
 * All ranks generate program SEED + i (generate.c). Each interprets it alone: that is the answer. Then they run it together,
 * by turns with all given the whole arguments, blocks of them, blocks of other lengths, and all on rank 0 (cut.h); nearly all
 * by the interpreter, which makes the exchanges that compiled code makes, each COMPILED_EACH-th as machine code; each
 * FETCHING_EACH-th chooses how to look up in dictionaries, the others fetch keys or move rows to them; each
 * SUMMING_EACH-th chooses how to sum into entries of a vector, the others move rows to their owners; every other one trains with a parameter server
 * where it can. Each must get the answer; all of a failing program must fail, unless the optimizer drops what fails and nobody
 * needs. Generated programs list dictionaries in key order only. Contexts must hold no memory afterwards.
 *
 * What disagrees is printed by the first rank that sees it, with the smallest size at which the seed still does. A rank that
 * crashes, or hangs, tells the seed. Exit status: 0 all agree; 1 some do not; 2 misuse.
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../cluster/cut.h"
#include "differential.h"

enum { MOST_REPORTS = 10, COMPILED_EACH = 16, FETCHING_EACH = 3, SUMMING_EACH = 3, STUCK_SECONDS = 60 };

typedef struct Fuzz {
    int rank, ranks;
    weld_context_t alone, together;
} Fuzz;

typedef struct Trial {
    uint64_t seed;
    int size;
    Mode mode;
    bool compiled, fetches, settles;
    Buf text, args[GENERATE_ARGS], report; /* report: empty: this rank has nothing to complain of */
    int nargs;
    Tolerance tolerance;
    bool failed; /* alone */
} Trial;

static volatile uint64_t at_seed;

/* Only what a handler may do. */
static void tell_seed(int signal_number) {
    char text[64] = "program ", digits[24];
    size_t length = 8, count = 0;
    for (uint64_t n = at_seed; n || !count; n /= 10) digits[count++] = (char)('0' + n % 10);
    while (count) text[length++] = digits[--count];
    const char *what = signal_number == SIGALRM ? ": hangs\n" : ": crashes\n";
    memcpy(text + length, what, strlen(what));
    ssize_t put = write(STDERR_FILENO, text, length + strlen(what));
    (void)put;
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

static void complain(Trial *t, const char *what, const Error *error) {
    buf_printf(&t->report, "%s: error[%s]: %s\n", what, error_name(error->code), error->text);
}

static weld_module_t compile(Trial *t, bool together) {
    Error error = {.code = E_None};
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", together && t->compiled ? "jit" : "eval");
    weld_conf_set(conf, "weld.llvm.optimization.level", "0");
    weld_conf_set(conf, "weld.cache", "off");
    weld_conf_set(conf, "weld.verify", "true");
    if (together) mode_settings(conf, t->mode);
    if (together && t->fetches)
        weld_conf_set(conf, "weld.cluster.lookups", t->seed % FETCHING_EACH == 1 ? "fetch" : "shuffle");
    if (together && t->settles) weld_conf_set(conf, "weld.cluster.sums", "rows");
    if (together && t->seed % 2) weld_conf_set(conf, "weld.cluster.training", "server");
    weld_module_t module = module_compile("random", t->text.text, t->text.length, NULL, conf, &error, NULL);
    if (!module) complain(t, together ? "compiling for ranks" : "compiling", &error);
    weld_conf_free(conf);
    return module;
}

static void compare(Trial *t, const Type *type, weld_value_t answer, weld_value_t value, const Error *error) {
    if (!value &&
        (answer || error->code == E_Internal || error->code == E_Cluster || error->code == E_None)) {
        complain(t, "the ranks", error);
    } else if (value && answer &&
               !same_value(type, weld_value_data(answer), weld_value_data(value), t->tolerance)) {
        buf_printf(&t->report, "alone it gives ");
        value_print(&t->report, type, weld_value_data(answer));
        buf_printf(&t->report, "\nthe ranks give ");
        value_print(&t->report, type, weld_value_data(value));
        buf_printf(&t->report, "\n");
    }
}

/* All ranks come to module_run, or none: what is before it is the same on all. */
static void run_both(const Fuzz *fuzz, Trial *t, weld_module_t alone, weld_module_t together) {
    const Type *type = module_argument_type(alone);
    Arguments arguments = {.data = NULL};
    Error error = {.code = E_None};
    if (arguments_make(&arguments, type, t->args, t->nargs, fuzz->alone, &error)) {
        weld_value_t answer = module_run(alone, fuzz->alone, arguments.data, NULL, &error);
        t->failed = !answer;
        mode_apply(t->mode, fuzz->rank, fuzz->ranks, type, arguments.data);
        error = (Error){.code = E_None};
        weld_value_t value = module_run(together, fuzz->together, arguments.data, NULL, &error);
        compare(t, module_result_type(alone), answer, value, &error);
        weld_value_free(value);
        weld_value_free(answer);
    } else {
        complain(t, "an argument", &error);
    }
    arguments_free(&arguments);
}

static void trial_release(Trial *t) {
    for (int i = 0; i < GENERATE_ARGS; i++) buf_release(&t->args[i]);
    buf_release(&t->text);
    buf_release(&t->report);
}

/* Returns the first rank that complains, or as many as there are. The caller releases *t. */
static int try(const Fuzz *fuzz, Trial *t, uint64_t seed, long number, int size) {
    *t = (Trial){.seed = seed,
                 .size = size,
                 .mode = (Mode)(number % MODES),
                 .compiled = number / MODES % COMPILED_EACH == 0,
                 .fetches = number / MODES % FETCHING_EACH != 0,
                 .settles = number % SUMMING_EACH != 0};
    at_seed = seed;
    alarm(STUCK_SECONDS);
    bool exact = generate_program(seed, size, &t->text, t->args, &t->nargs);
    t->tolerance = tolerance_of(&t->text, exact);
    weld_module_t alone = compile(t, false), together = alone ? compile(t, true) : NULL;
    if (together) run_both(fuzz, t, alone, together);
    weld_module_free(together);
    weld_module_free(alone);
    if (weld_context_memory_usage(fuzz->together) != 0) buf_printf(&t->report, "memory is left\n");
    int own = t->report.length ? fuzz->rank : fuzz->ranks, first;
    MPI_Allreduce(&own, &first, 1, MPI_INT, MPI_MIN, MPI_COMM_WORLD);
    alarm(0);
    return first;
}

static void report_smallest(const Fuzz *fuzz, uint64_t seed, long number, int size) {
    Trial t;
    int first;
    for (int smaller = 1;; smaller += smaller < 40 ? 1 : smaller / 10) {
        if (smaller > size) smaller = size;
        first = try(fuzz, &t, seed, number, smaller);
        if (first < fuzz->ranks || smaller == size) break;
        trial_release(&t);
    }
    if (first == fuzz->rank) {
        printf("---- seed %llu, size %d, number %ld, %d ranks%s%s, on rank %d\n%s\n",
               (unsigned long long)seed, t.size, number, fuzz->ranks, mode_names[t.mode],
               t.compiled ? ", compiled" : "", fuzz->rank, t.text.text);
        for (int i = 0; i < t.nargs; i++) printf("%s\n", t.args[i].text);
        printf("%s", t.report.text);
        fflush(stdout);
    }
    trial_release(&t);
}

int main(int count, char **words) {
    Fuzz fuzz;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    MPI_Comm_rank(MPI_COMM_WORLD, &fuzz.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &fuzz.ranks);
    long programs = count > 1 ? atol(words[1]) : 0, reports = 0, failing = 0,
         size = count > 3 ? atol(words[3]) : 0;
    uint64_t seed = count > 2 ? strtoull(words[2], NULL, 10) : 1;
    if (programs <= 0) {
        fprintf(stderr, "fuzz_ranks COUNT [SEED [SIZE]]\n");
        MPI_Finalize();
        return 2;
    }
    static const int fatal[] = {SIGSEGV, SIGBUS, SIGABRT, SIGFPE, SIGILL, SIGALRM};
    for (size_t i = 0; i < sizeof fatal / sizeof *fatal; i++) signal(fatal[i], tell_seed);
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.memory.limit", "256M");
    fuzz.alone = weld_context_new(conf);
    weld_conf_set(conf, "weld.cluster", "mpi");
    fuzz.together = weld_context_new(conf);
    weld_conf_free(conf);
    for (long i = 0; i < programs && reports < MOST_REPORTS; i++) {
        Trial t;
        int of_size = size ? (int)size : 20 + (int)(i % 7) * 30;
        bool agree = try(&fuzz, &t, seed + (uint64_t)i, i, of_size) == fuzz.ranks;
        failing += t.failed;
        trial_release(&t);
        if (!agree) report_smallest(&fuzz, seed + (uint64_t)i, i, of_size);
        reports += !agree;
    }
    if (fuzz.rank == 0)
        printf("%ld programs on %d ranks, of which %ld fail: %ld disagree\n", programs, fuzz.ranks, failing,
               reports);
    weld_context_free(fuzz.together);
    weld_context_free(fuzz.alone);
    MPI_Finalize();
    return reports != 0;
}
