/* promise.c: no rank of a cluster takes more than was promised: of the programs of tests/golden/run, whose vectors are made long.
 *
 *     mpirun -n 4 promise [FILE:NAME]
 *
 * Each case with arguments runs given the whole of them, or blocks, evenly cut or not, by turns of the cases and numbers of ranks, of which each has half of the cases. All ranks must come to the same price, and none of them
 * takes more bytes. Exit status: 0 so it is. WELD_SHOW=1 prints for each case what was promised and taken.
 */
#include <mpi.h>

#include "../long.h"
#include "cut.h"

typedef struct Tally {
    int rank, ranks, runs, promised, broken;
} Tally;

static void run_case(Tally *tally, const Case *c, Mode mode, weld_conf_t conf) {
    Error error = {.code = E_None};
    weld_module_t module = module_compile("program", c->text, c->length, NULL, conf, &error, NULL);
    if (!module) return;
    Arguments arguments = {.length = arguments_length(module)};
    const Type *type = module_argument_type(module);
    weld_context_t context = weld_context_new(conf);
    PlanPrice price = {.why = "it cannot be priced"};
    if (arguments_read(&arguments, c, type)) {
        mode_apply(mode, tally->rank, tally->ranks, type, arguments.data);
        bool priced = module_price(module, context, arguments.data, &price) && !price.why;
        int64_t own = priced ? price.planned : -1, least, most;
        MPI_Allreduce(&own, &least, 1, MPI_INT64_T, MPI_MIN, MPI_COMM_WORLD);
        MPI_Allreduce(&own, &most, 1, MPI_INT64_T, MPI_MAX, MPI_COMM_WORLD);
        weld_value_t value = module_run(module, context, arguments.data, NULL, &error);
        long long peak = (long long)context_peak(context);
        bool broken = least != most || (priced && peak > price.planned);
        tally->runs++;
        tally->promised += priced;
        tally->broken += broken;
        if (broken || getenv("WELD_SHOW"))
            fprintf(stderr, "rank %d: %s:%d: %s%s: takes %lld bytes, %lld were planned%s%s%s\n", tally->rank,
                    c->file, c->line, c->name, mode_names[mode], peak, (long long)own,
                    least != most ? ", other ranks plan others" : "", priced ? "" : ": ",
                    priced ? "" : price.why);
        weld_value_free(value);
    }
    arguments_free(&arguments, c->nargs);
    weld_context_free(context);
    weld_module_free(module);
}

/* What a C function of the other tests needs, or what exchanges by itself, is not for ranks; without arguments nothing is long. */
static bool is_chosen(const Case *c, const char *wanted) {
    static const char *const others[] = {"cudf.weld", "cfun.weld", "cfill.weld", "libraries.weld",
                                         "exchange.weld"};
    char name[256];
    snprintf(name, sizeof name, "%s:%s", c->file, c->name);
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (strcmp(c->file, others[i]) == 0) return false;
    }
    return c->nargs > 0 && c->nsettings == 0 && (!wanted || strstr(name, wanted));
}

int main(int count, char **words) {
    Corpus corpus = {0};
    Tally tally = {0};
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    MPI_Comm_rank(MPI_COMM_WORLD, &tally.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &tally.ranks);
    if (!corpus_read(&corpus, WELD_SOURCE_DIR "/tests/golden/run")) {
        fprintf(stderr, "%s\n", corpus.fault);
        return 2;
    }
    for (Mode mode = WHOLE; mode <= PARTS; mode++) {
        weld_conf_t conf = weld_conf_new();
        mode_settings(conf, mode);
        weld_conf_set(conf, "weld.engine", "jit");
        weld_conf_set(conf, "weld.cache", "off");
        weld_conf_set(conf, "weld.threads", "1");
        weld_conf_set(conf, "weld.llvm.optimization.level", "0");
        weld_conf_set(conf, "weld.memory.limit", "500000000");
        for (int i = 0; i < corpus.count; i++) {
            bool turn = count > 1 || (i + tally.ranks) % (2 * (PARTS + 1)) == (int)mode;
            if (turn && is_chosen(&corpus.cases[i], count > 1 ? words[1] : NULL))
                run_case(&tally, &corpus.cases[i], mode, conf);
        }
        weld_conf_free(conf);
    }
    corpus_free(&corpus);
    if (tally.rank == 0)
        fprintf(stderr, "%d ranks: %d runs, %d with a promise, %d of them broken on rank 0\n", tally.ranks,
                tally.runs, tally.promised, tally.broken);
    MPI_Finalize();
    return tally.broken != 0 || tally.promised == 0;
}
