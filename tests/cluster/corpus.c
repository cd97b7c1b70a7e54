/* corpus.c: the corpus of programs on the ranks of a cluster: the same answers as alone.
 *
 *     mpirun -n 3 corpus [FILE:NAME [TRANSPORT [EVERY [ENGINE]]]]
 *
 * FILE:NAME may be a part of it, or "all"; EVERY 10 takes each tenth of these. ENGINE is jit, the default, or eval: where compiling takes
 * too long, the exchanges are the same when programs are interpreted.
 *
 * Every rank runs every case twice: with all ranks given the whole arguments; and given blocks of every vector, or blocks of
 * other lengths, or all on rank 0, by turns of the cases and numbers of ranks, and keys that are looked up fetched from their owners, or rows moved there, and to the owners of entries that are
 * summed into; a chosen case in all these ways. All must get the result that the corpus expects, or fail with the failure that it expects. Exit status: 0 all did.
 */
#include <mpi.h>

#include "../../runtime/rt.h"
#include "../matrix.h"
#include "cut.h"

typedef struct Bench {
    int rank, ranks, run, failed;
    Mode mode;
    const char *wanted, *transport, *engine;
    int every;
    weld_conf_t conf;
    weld_context_t context;
} Bench;

static void complain(Bench *bench, const Case *c, const char *what, const char *more) {
    bench->failed++;
    fprintf(stderr, "rank %d of %d: %s:%d: %s%s: %s %s\n    expected: %s\n", bench->rank, bench->ranks,
            c->file, c->line, c->name, mode_names[bench->mode], what, more, c->expect);
}

/* Arguments: each a program of its own, interpreted in a context of its own. False: complained. */
static bool read_arguments(Bench *bench, const Case *c, const Type *type, weld_context_t alone,
                           weld_conf_t conf, weld_value_t *values, char *data) {
    if (type->count != c->nargs) return complain(bench, c, "has another number of parameters", ""), false;
    for (int i = 0; i < c->nargs; i++) {
        Error error = {.code = E_None};
        weld_module_t module =
            module_compile("argument", c->args[i], strlen(c->args[i]), type->args[i], conf, &error, NULL);
        values[i] = module ? module_run(module, alone, NULL, NULL, &error) : NULL;
        weld_module_free(module);
        if (!values[i]) return complain(bench, c, "an argument:", error.text), false;
        memcpy(data + type->offsets[i], weld_value_data(values[i]), (size_t)type->args[i]->size);
    }
    mode_apply(bench->mode, bench->rank, bench->ranks, type, data);
    return true;
}

static void check_error(Bench *bench, const Case *c, const Error *error) {
    char text[600];
    snprintf(text, sizeof text, "%s: %s", error_name(error->code), error->text);
    if (c->kind != '!' || !case_expects_error(c, error_name(error->code))) complain(bench, c, "fails:", text);
}

/* Moves behind a value. */
static void skip_value(const Type *type, const char **at) {
    const char *same = *at;
    json_same(type, at, &same, true);
}

/* Do two vectors hold the same in some order? */
static bool same_in_some_order(const Type *type, const char *want, const char *got) {
    enum { MOST = 4096 };
    const Type *element = type->args[0];
    const char *given[MOST];
    int count = 0;
    for (json_eat(&got, '['); *got && *got != ']' && count < MOST; json_eat(&got, ',')) {
        given[count++] = got;
        skip_value(element, &got);
    }
    for (json_eat(&want, '['); *want && *want != ']'; json_eat(&want, ',')) {
        int k = 0;
        const char *a = want, *b = count ? given[0] : NULL;
        while (k < count && !json_same(element, &a, &b, false)) {
            a = want;
            b = ++k < count ? given[k] : NULL;
        }
        if (k == count) return false;
        given[k] = given[--count];
        skip_value(element, &want);
    }
    return count == 0;
}

/* As json_same, but vectors may have another order: that of tovec is open, and another one on several ranks. */
static bool same_but_for_order(const Type *type, const char **want, const char **got) {
    if (type->kind == TY_vec) {
        const char *a = *want, *b = *got;
        skip_value(type, want);
        skip_value(type, got);
        return same_in_some_order(type, a, b);
    }
    if (type->kind != TY_struct) return json_same(type, want, got, false);
    bool same = json_eat(want, '[') && json_eat(got, '[');
    for (int i = 0; same && i < type->count; i++) {
        if (i > 0) same = json_eat(want, ',') && json_eat(got, ',');
        same = same && same_but_for_order(type->args[i], want, got);
    }
    return same && json_eat(want, ']') && json_eat(got, ']');
}

static bool lists_keys(const Case *c) {
    Buf program = {0};
    buf_put(&program, c->text, c->length);
    bool lists = program.text && strstr(program.text, "tovec");
    buf_release(&program);
    return lists;
}

static void check_result(Bench *bench, const Case *c, weld_value_t value) {
    Buf text = {0};
    const Type *type = value_type(value);
    if (type->builders) return;
    value_print_json(&text, type, weld_value_data(value));
    const char *want = c->expect, *got = text.text;
    /* Sums are formed in another order: what is exact alone need not be here. */
    bool same = c->kind != '!' && json_same(type, &want, &got, false) && json_ends(want);
    if (!same && c->kind != '!' && lists_keys(c)) {
        want = c->expect;
        got = text.text;
        same = same_but_for_order(type, &want, &got);
    }
    if (!same) complain(bench, c, "gives", text.text);
    buf_release(&text);
}

static void run_case(Bench *bench, const Case *c) {
    if (getenv("WELD_VERBOSE") && bench->rank == 0) fprintf(stderr, "%s:%s\n", c->file, c->name);
    Error error = {.code = E_None};
    weld_conf_t alone = weld_conf_new();
    weld_conf_set(alone, "weld.engine", "eval");
    weld_context_t context = weld_context_new(alone);
    weld_value_t values[MAX_ARGS] = {NULL}, result = NULL;
    char *data = NULL;
    weld_module_t module = module_compile("program", c->text, c->length, NULL, bench->conf, &error, NULL);
    bench->run++;
    bool ok = module != NULL;
    if (!ok) check_error(bench, c, &error);
    if (ok) {
        const Type *type = module_argument_type(module);
        data = calloc(1, (size_t)type->size + 1);
        ok = read_arguments(bench, c, type, context, alone, values, data);
    }
    if (ok) {
        result = module_run(module, bench->context, data, NULL, &error);
        if (result)
            check_result(bench, c, result);
        else
            check_error(bench, c, &error);
    }
    weld_value_free(result);
    weld_module_free(module);
    if (weld_context_memory_usage(bench->context) != 0) complain(bench, c, "leaves memory", "");
    for (int i = 0; i < MAX_ARGS; i++) weld_value_free(values[i]);
    weld_context_free(context);
    weld_conf_free(alone);
    free(data);
}

/* Not cases that call C functions of the other test, have settings, exchange by themselves, or look at the order of tovec. */
static bool is_for_ranks(const Case *c) {
    static const char *const others[] = {"cudf.weld", "cfun.weld", "cfill.weld", "libraries.weld",
                                         "exchange.weld"};
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(c->file, others[i]) == 0) return false;
    }
    static const char *const ordered[] = {"many_keys_in_order_of_appearance", "distinct_keys",
                                          "groups_in_loop_order", "dealt_beyond_the_usual_threshold"};
    for (size_t i = 0; i < sizeof ordered / sizeof *ordered; i++) {
        if (strcmp(c->name, ordered[i]) == 0) return false;
    }
    return c->nsettings == 0;
}

static bool is_chosen(const Case *c, const char *wanted) {
    char name[256];
    snprintf(name, sizeof name, "%s:%s", c->file, c->name);
    return is_for_ranks(c) && (!wanted || strstr(name, wanted));
}

static void run_all(Bench *bench, const Corpus *corpus) {
    int chosen = 0;
    bench->conf = weld_conf_new();
    mode_settings(bench->conf, bench->mode);
    weld_conf_set(bench->conf, "weld.cluster.lookups",
                  bench->mode == WHOLE    ? "auto"
                  : bench->mode == BLOCKS ? "fetch"
                                          : "shuffle");
    weld_conf_set(bench->conf, "weld.cluster.sums", bench->mode == WHOLE ? "auto" : "rows");
    weld_conf_set(bench->conf, "weld.transport", bench->transport);
    weld_conf_set(bench->conf, "weld.cluster.training", bench->mode == WHOLE ? "allreduce" : "server");
    weld_conf_set(bench->conf, "weld.cache", "off");
    weld_conf_set(bench->conf, "weld.verify", "true");
    weld_conf_set(bench->conf, "weld.engine", bench->engine);
    weld_conf_set(bench->conf, "weld.llvm.optimization.level", "0");
    bench->context = weld_context_new(bench->conf);
    for (int i = 0; i < corpus->count; i++) {
        bool turn = bench->mode == WHOLE || (i + bench->ranks) % (MODES - 1) + 1 == (int)bench->mode;
        if ((turn || bench->wanted) && is_chosen(&corpus->cases[i], bench->wanted) &&
            chosen++ % bench->every == 0)
            run_case(bench, &corpus->cases[i]);
    }
    weld_context_free(bench->context);
    weld_conf_free(bench->conf);
}

int main(int count, char **words) {
    Corpus corpus = {0};
    Bench bench = {.wanted = count > 1 && strcmp(words[1], "all") != 0 ? words[1] : NULL,
                   .transport = count > 2 ? words[2] : "auto",
                   .every = count > 3 ? atoi(words[3]) : 1,
                   .engine = count > 4 ? words[4] : "jit"};
    if (bench.every < 1) bench.every = 1;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    MPI_Comm_rank(MPI_COMM_WORLD, &bench.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &bench.ranks);
    if (!corpus_read(&corpus, WELD_SOURCE_DIR "/tests/golden/run")) {
        fprintf(stderr, "%s\n", corpus.fault);
        return 2;
    }
    for (int mode = 0; mode < MODES; mode++) {
        bench.mode = mode;
        run_all(&bench, &corpus);
    }
    corpus_free(&corpus);
    if (bench.rank == 0)
        fprintf(stderr, "%d ranks, %s, %s: %d runs, %d failures on rank 0\n", bench.ranks, bench.transport,
                bench.engine, bench.run, bench.failed);
    MPI_Finalize();
    return bench.failed != 0;
}
