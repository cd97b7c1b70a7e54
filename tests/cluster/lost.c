/* lost.c: a rank dies, or hangs, in the middle of runs: the others get a status, in time, and can go on alone.
 *
 *     mpirun -n 3 lost die|stop|pause|FILE [JOB [MILLISECONDS [TRANSPORT]]]
 *
 * JOB is what the ranks do, again and again: a row of jobs below. The last rank kills or stops itself after some runs, of a job
 * that was named in the middle of one, so many milliseconds later, or makes the file, upon which somebody ends its host; then it
 * goes on. Each of the others must then see a run fail with Cluster, naming that rank, within the bound, and a later one too, and
 * evaluate alone. Rank 0 at last kills the stopped rank. With `pause` all ranks are stopped for longer than one may be silent, as those of
 * a machine that sleeps, and go on as if nothing had been. Exit status: 0 all did.
 */
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

#include "../../runtime/rt.h"

enum { BOUND = 15, RUNS_BEFORE = 20, AMID_MS = 400, PAUSE = 12 };

static const char sum[] = "|n: i64| result(for(rangeiter(0L, n, 1L), merger[i64,+], |b, i, x| merge(b, x)))";

/* The same, as a training with as many steps. */
static const char training[] =
    "|n: i64|"
    "  let zeros = result(for(rangeiter(0L, 5000L, 1L), appender[f64], |b, i, k| merge(b, 0.0)));"
    "  let fit = iterate({zeros, 0L}, |s|"
    "    let g = result(for(rangeiter(0L, n, 1L), vecmerger[f64,+](zeros), |b, i, k|"
    "      merge(b, {k % 5000L, 1.0 - lookup(s.$0, k % 5000L)})));"
    "    {{result(for(zip(s.$0, g), appender[f64], |b, i, e| merge(b, e.$0 + 0.001 * e.$1))), s.$1 + 1L},"
    "     s.$1 + 1L < 200L});"
    "  if(fit.$1 == 200L && lookup(fit.$0, 0L) > 0.9, n * (n - 1L) / 2L, 0L)";

static const char shuffle[] =
    "|n: i64|"
    "  let d = result(for(rangeiter(0L, n, 1L), dictmerger[i64,i64,+], |b, i, x| merge(b, {x % 20000L, x})));"
    "  result(for(tovec(d), merger[i64,+], |b, i, e| merge(b, e.$1)))";

static const char reduce[] =
    "|n: i64|"
    "  let zeros = result(for(rangeiter(0L, 50000L, 1L), appender[i64], |b, i, k| merge(b, 0L)));"
    "  let s = result(for(rangeiter(0L, n, 1L), vecmerger[i64,+](zeros), |b, i, x| merge(b, {x % 50000L, "
    "x})));"
    "  let total = result(for(s, merger[i64,+], |b, i, x| merge(b, x)));"
    "  if(lookup(s, 7L) >= 0L, total, 0L)";

/* Sums of vectors that are exchanged while the program computes: 20 in each run. */
static const char launch[] =
    "|n: i64|"
    "  let zeros = result(for(rangeiter(0L, 50000L, 1L), appender[f64], |b, i, k| merge(b, 0.0)));"
    "  let ones = result(for(rangeiter(0L, 80000L, 1L), appender[f64], |b, i, k| merge(b, 1.0)));"
    "  let end = iterate({zeros, ones, 0L}, |s|"
    "    let g = result(for(rangeiter(0L, n, 1L), vecmerger[f64,+](zeros), |b, i, x|"
    "      merge(b, {x % 50000L, f64(s.$2)})));"
    "    let p = result(for(zip(s.$0, g), appender[f64], |b, i, e| merge(b, e.$0 + e.$1)));"
    "    let q = result(for(s.$1, appender[f64], |b, i, x| merge(b, sin(x) + 1.0)));"
    "    {{p, q, s.$2 + 1L}, s.$2 + 1L < 20L});"
    "  if(lookup(end.$0, 7L) == 190.0 * f64(n / 50000L) && lookup(end.$1, 7L) > 1.0, n * (n - 1L) / 2L, 0L)";

typedef struct Job {
    const char *name, *text, *training;
} Job;

static const Job jobs[] = {
    {"sum", sum, "allreduce"},       {"shuffle", shuffle, "allreduce"}, {"reduce", reduce, "allreduce"},
    {"launch", launch, "allreduce"}, {"server", training, "server"},
};

static const char *text = sum;

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
    int64_t n = 100000, found = 0;
    weld_context_t context = weld_context_new(conf);
    weld_module_t module = module_compile("lost", text, strlen(text), NULL, conf, error, NULL);
    weld_value_t value = module ? module_run(module, context, &n, NULL, error) : NULL;
    if (value) memcpy(&found, weld_value_data(value), sizeof found);
    bool right = value && found == n * (n - 1) / 2;
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

static bool stopped; /* is the last rank to stop, or to die */

static void end_now(int signal) {
    (void)signal;
    while (stopped) raise(SIGSTOP); /* whoever wakes it */
    raise(SIGKILL);
}

/* Ends the last rank in the middle of a run. */
static void end_amid(weld_conf_t conf, int milliseconds) {
    struct itimerval soon = {{0, 0}, {milliseconds / 1000, milliseconds % 1000 * 1000 + 1}};
    Error error = {.code = E_None};
    signal(SIGALRM, end_now);
    setitimer(ITIMER_REAL, &soon, NULL);
    while (evaluate(conf, &error)) continue;
}

/* A process beside the ranks stops all of them, rank 0 last, and wakes it first: so it has heard nothing of the others when it goes on. */
static void pause_all(const pid_t *processes, int ranks) {
    if (fork() != 0) return;
    sleep(1);
    for (int i = ranks - 1; i >= 0; i--, sleep(1)) kill(processes[i], SIGSTOP);
    sleep(PAUSE);
    for (int i = 0; i < ranks; i++, sleep(1)) kill(processes[i], SIGCONT);
    _exit(0);
}

/* Runs go on before, after, and through the pause. */
static bool goes_on(weld_conf_t conf) {
    Error error = {.code = E_None};
    double start = now();
    while (evaluate(conf, &error)) {
        int goes = now() - start < PAUSE + 8; /* rank 0 says whether there is another run */
        MPI_Bcast(&goes, 1, MPI_INT, 0, MPI_COMM_WORLD);
        if (!goes) return true;
    }
    return fails(error.text);
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
    const Job *job = NULL;
    for (size_t i = 0; count > 2 && i < sizeof jobs / sizeof *jobs; i++)
        job = strcmp(words[2], jobs[i].name) == 0 ? &jobs[i] : job;
    if (count > 4) weld_conf_set(conf, "weld.transport", words[4]);
    weld_conf_set(conf, "weld.cluster.training", job ? job->training : "allreduce");
    weld_conf_set(conf, "weld.cluster.staleness", "2");
    stopped = stops;
    pid_t *processes = calloc((size_t)ranks, sizeof *processes), own = getpid();
    MPI_Allgather(&own, sizeof own, MPI_BYTE, processes, sizeof own, MPI_BYTE, MPI_COMM_WORLD);
    if (job) text = job->text;
    for (int i = 0; i < (job ? 1 : RUNS_BEFORE); i++) {
        Error error = {.code = E_None};
        if (!evaluate(conf, &error)) return fails(error.text), 1;
    }
    if (strcmp(how, "pause") == 0) {
        if (rank == 0) pause_all(processes, ranks);
        bool ok = goes_on(conf);
        if (ok && rank == 0) printf("%d ranks were stopped, and went on\n", ranks);
        MPI_Finalize();
        return !ok;
    }
    if (rank == ranks - 1 && !stops && !dies) return !wait_for_end(conf, how);
    if (rank == ranks - 1 && job) end_amid(conf, count > 3 ? atoi(words[3]) : AMID_MS);
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
