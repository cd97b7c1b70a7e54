/* lost.c: a rank dies, or hangs, in the middle of runs: the others get a status, in time, and can go on alone.
 *
 *     mpirun -n 3 lost die|stop|FILE [TRANSPORT]
 *
 * The last rank kills or stops itself after some runs, or makes the file, upon which somebody ends its host; then it goes on. Each of the others must then see a run fail with Cluster, naming that rank,
 * within the bound, and a later one too, and evaluate alone. Rank 0 at last kills the stopped rank. Exit status: 0 all did.
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "../../runtime/rt.h"

enum { BOUND = 15, RUNS_BEFORE = 20 };

static const char text[] = "|n: i64| result(for(rangeiter(0L, n, 1L), merger[i64,+], |b, i, x| merge(b, x)))";

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static bool fails(const char *what) {
    fprintf(stderr, "lost: %s\n", what);
    return false;
}

/* One run in a context of this configuration. */
static bool evaluate(weld_conf_t conf, Error *error) {
    int64_t n = 100000, sum = 0;
    weld_context_t context = weld_context_new(conf);
    weld_module_t module = module_compile("lost", text, strlen(text), NULL, conf, error, NULL);
    weld_value_t value = module ? module_run(module, context, &n, NULL, error) : NULL;
    if (value) memcpy(&sum, weld_value_data(value), sizeof sum);
    bool right = value && sum == n * (n - 1) / 2;
    if (value && !right) error_set(error, E_Internal, (Span){0}, "the sum is wrong");
    weld_value_free(value);
    weld_module_free(module);
    weld_context_free(context);
    return right;
}

static bool survives(weld_conf_t conf, int victim) {
    char name[32];
    snprintf(name, sizeof name, "rank %d ", victim);
    for (int i = 0; i < 2; i++) {
        Error error = {.code = E_None};
        double start = now();
        while (evaluate(conf, &error)) {
            if (now() - start > BOUND) return fails("runs go on without the rank");
        }
        if (error.code != E_Cluster || !strstr(error.text, name)) return fails(error.text);
        if (now() - start > BOUND) return fails("the status came too late");
    }
    Error error = {.code = E_None};
    weld_conf_set(conf, "weld.cluster", "off");
    return evaluate(conf, &error) || fails(error.text);
}

/* Runs go on until the end comes from outside. */
static bool wait_for_end(weld_conf_t conf, const char *file) {
    FILE *made = fopen(file, "w");
    Error error = {.code = E_None};
    double start = now();
    if (!made || fclose(made) != 0) return fails("the file cannot be made");
    while (evaluate(conf, &error) && now() - start < BOUND) continue;
    return fails("nobody ended the last rank");
}

int main(int count, char **words) {
    int rank, ranks;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    const char *how = count > 1 ? words[1] : "die";
    bool stops = strcmp(how, "stop") == 0, dies = strcmp(how, "die") == 0;
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.cluster", "mpi");
    weld_conf_set(conf, "weld.cache", "memory");
    if (count > 2) weld_conf_set(conf, "weld.transport", words[2]);
    pid_t *processes = calloc((size_t)ranks, sizeof *processes), own = getpid();
    MPI_Allgather(&own, sizeof own, MPI_BYTE, processes, sizeof own, MPI_BYTE, MPI_COMM_WORLD);
    for (int i = 0; i < RUNS_BEFORE; i++) {
        Error error = {.code = E_None};
        if (!evaluate(conf, &error)) return fails(error.text), 1;
    }
    if (rank == ranks - 1 && !stops && !dies) return !wait_for_end(conf, how);
    if (rank == ranks - 1) raise(stops ? SIGSTOP : SIGKILL);
    bool ok = survives(conf, ranks - 1);
    if (ok) printf("rank %d was told within %d s, and goes on alone\n", rank, BOUND);
    fflush(stdout);
    if (rank == 0) {
        sleep(2); /* for what the others say */
        if (stops) kill(processes[ranks - 1], SIGKILL);
    }
    weld_conf_free(conf);
    _exit(!ok); /* MPI would wait for the rank that is lost */
}
