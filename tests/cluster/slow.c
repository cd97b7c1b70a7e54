/* slow.c: how long ranks wait for each other in a training while one of them is slow, or each is in its turn.
 *
 *     mpirun -n 2 slow [TRANSPORT]
 *
 * The same training (fit.weld) by all-reduce and with a parameter server, whose workers may be no steps ahead, or 8. A rank that is
 * slow stands still for 16 ms of every 64. Printed are the time of a run and how long a rank stood still for exchanges, the mean of those that
 * are not slow, or of all. One rank that is always slower is what all go by in the end, in either mode; where ranks are slow in turn,
 * each catches up while others are, if it may be behind: then they must wait less than by all-reduce. Exit status: 0 they do, and all trainings
 * come to about the same loss.
 */
#include <math.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

#include "../../runtime/cluster/cluster.h"
#include "../../runtime/rt.h"

enum { STILL = 16000, PERIOD = 64000, TRIES = 3 }; /* microseconds */

typedef struct Fit {
    int64_t rows, columns, steps;
    double rate;
    int64_t stop;
} Fit;

typedef struct Mode {
    const char *name, *training, *staleness;
} Mode;
static const Mode modes[] = {{"all-reduce", "allreduce", "0"},
                             {"a server, no steps ahead", "server", "0"},
                             {"a server, 8 steps ahead", "server", "8"}};
enum { MODES = sizeof modes / sizeof *modes };
typedef enum Slow { NOBODY, THE_LAST, IN_TURN, SLOWS } Slow;
static const char *const slow_names[SLOWS] = {"nobody is slow", "the last rank is slow",
                                              "each is slow in turn"};

static int rank, ranks;

static void stand_still(int signal) {
    (void)signal;
    nanosleep(&(struct timespec){0, STILL * 1000}, NULL);
}

/* The ranks' turns lie evenly in the period. */
static void be_slow(bool slow, int turn) {
    struct sigaction action = {.sa_handler = stand_still, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, PERIOD}, {0, 1000 + PERIOD / ranks * turn}}, never = {0};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, slow ? &every : &never, NULL);
}

static double now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e3 + (double)now.tv_nsec / 1e6;
}

/* What a training came to on this rank; waited_ms: see above. */
typedef struct Went {
    double ms, waited_ms, loss;
} Went;

static Went train(weld_module_t module, weld_context_t context, const Fit *fit, Slow slow) {
    Error error = {.code = E_None};
    bool slows = slow == IN_TURN || (slow == THE_LAST && rank == ranks - 1);
    MPI_Barrier(MPI_COMM_WORLD);
    int64_t waited = cluster_exchanged().waited_ns;
    double begin = now_ms();
    be_slow(slows, slow == IN_TURN ? rank : 0);
    weld_value_t value = module_run(module, context, fit, NULL, &error);
    be_slow(false, 0);
    if (!value) {
        fprintf(stderr, "rank %d: %s\n", rank, error.text);
        MPI_Abort(MPI_COMM_WORLD, 1);
        exit(1);
    }
    Went went = {.ms = now_ms() - begin};
    Vec losses;
    memcpy(&losses, (char *)weld_value_data(value) + value_type(value)->offsets[1], sizeof losses);
    went.loss = ((const double *)losses.data)[losses.length - 1];
    weld_value_free(value);
    bool counts = slow != THE_LAST || !slows;
    double own[2] = {counts ? (double)(cluster_exchanged().waited_ns - waited) / 1e6 : 0, counts}, all[2];
    MPI_Allreduce(own, all, 2, MPI_DOUBLE, MPI_SUM, MPI_COMM_WORLD);
    went.waited_ms = all[0] / all[1];
    return went;
}

int main(int count, char **words) {
    static char text[1 << 14];
    Fit fit = {40000, 60, 300, 0.02, -1};
    weld_module_t modules[MODES];
    weld_conf_t confs[MODES];
    Error error = {.code = E_None};
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    FILE *file = fopen(WELD_SOURCE_DIR "/tests/cluster/fit.weld", "r");
    text[file ? fread(text, 1, sizeof text - 1, file) : 0] = 0;
    if (file) fclose(file);
    for (int m = 0; m < MODES; m++) {
        confs[m] = weld_conf_new();
        weld_conf_set(confs[m], "weld.cache", "memory");
        weld_conf_set(confs[m], "weld.engine", "jit");
        weld_conf_set(confs[m], "weld.threads", "1");
        weld_conf_set(confs[m], "weld.cluster", "mpi");
        weld_conf_set(confs[m], "weld.transport", count > 1 ? words[1] : "auto");
        weld_conf_set(confs[m], "weld.cluster.training", modes[m].training);
        weld_conf_set(confs[m], "weld.cluster.staleness", modes[m].staleness);
        modules[m] = module_compile("fit", text, strlen(text), NULL, confs[m], &error, NULL);
        if (!modules[m]) fprintf(stderr, "rank %d: %s\n", rank, error.text);
        if (!modules[m]) return 1;
    }
    weld_context_t context = weld_context_new(confs[0]);
    bool good = false, near = true;
    for (int attempt = 0; attempt < TRIES && !good; attempt++) {
        Went went[SLOWS][MODES];
        for (Slow slow = NOBODY; slow < SLOWS; slow++) {
            for (int m = 0; m < MODES; m++) {
                Went *w = &went[slow][m];
                *w = train(modules[m], context, &fit, slow);
                near = near && fabs(w->loss - went[NOBODY][0].loss) <= 0.05 * went[NOBODY][0].loss;
                if (rank == 0)
                    printf("%d ranks, %s, %s: %.0f ms, waited %.0f ms, loss %g\n", ranks, slow_names[slow],
                           modes[m].name, w->ms, w->waited_ms, w->loss);
            }
        }
        good = went[IN_TURN][MODES - 1].waited_ms < went[IN_TURN][0].waited_ms;
        MPI_Bcast(&good, 1, MPI_C_BOOL, 0, MPI_COMM_WORLD);
    }
    int64_t lag = cluster_served().lag;
    if (rank == 0 && !good) printf("ranks that may be ahead waited no less\n");
    if (rank == 0 && !near) printf("another loss\n");
    if (rank == 0 && (lag < 1 || lag > 8)) printf("the largest lag was %lld\n", (long long)lag);
    for (int m = 0; m < MODES; m++) {
        weld_module_free(modules[m]);
        weld_conf_free(confs[m]);
    }
    weld_context_free(context);
    MPI_Finalize();
    return !good || !near || lag < 1 || lag > 8;
}
