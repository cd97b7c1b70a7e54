/* transport_bench.c: what a transport does between ranks.
 *
 *     mpirun -n 2 transport_bench mpi|verbs
 *
 * Rank 0 prints a line for each measurement: its name, the transport, a number and its unit. The buffers lie where the runtime
 * puts a run's large blocks. Latency is half of a round trip, the median: of a transfer, and of a word that is set in the other's window,
 * who waits for it; bandwidth that of several transfers at once, one way; an
 * all-reduce and a shuffle take the time of the slowest rank. What comes is checked; before, transfers
 * of all sizes go both ways at once, from memory of both kinds, and some runs fail, and must leave nothing behind.
 */
#include <mpi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "../../runtime/cluster/cluster.h"
#include "../../runtime/rt.h"

enum { PINGS = 200, WARM = 20, WINDOW = 16, ROUNDS = 6, MEDIUM = 64 << 10, LARGE = 4 << 20 };

typedef struct Bench {
    const Engine *engine;
    Error error;
    char *data; /* LARGE bytes, registered if the transport does that */
    double us[PINGS];
    EngineStats before; /* what is measured */
} Bench;

static double now_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (double)now.tv_sec * 1e6 + (double)now.tv_nsec / 1e3;
}

static void say(const Bench *bench, const char *name, double number, const char *unit) {
    if (bench->engine->rank == 0)
        printf("%-16s %-6s %10.1f %s\n", name, bench->engine->transport, number, unit);
    fflush(stdout);
}

static bool move(Bench *bench, int peer, bool sends, int64_t bytes, int count) {
    Transfer list[WINDOW];
    for (int i = 0; i < count; i++) list[i] = (Transfer){peer, sends, bench->data + i * bytes, bytes};
    return bench->engine->transfer(list, count, NULL, &bench->error) == E_None;
}

/* `count` transfers from rank 0 to rank 1, and 8 bytes back. */
static bool round_trip(Bench *bench, int64_t bytes, int count) {
    int rank = bench->engine->rank;
    if (rank > 1) return true;
    return move(bench, !rank, rank == 0, bytes, count) && move(bench, !rank, rank == 1, 8, 1);
}

static int by_value(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static double median(Bench *bench, int count) {
    qsort(bench->us, (size_t)count, sizeof *bench->us, by_value);
    return (bench->us[(count - 1) / 2] + bench->us[count / 2]) / 2;
}

static bool measure_latency(Bench *bench) {
    for (int i = -WARM; i < PINGS; i++) {
        double start = now_us();
        if (!round_trip(bench, 8, 1)) return false;
        if (i >= 0) bench->us[i] = (now_us() - start) / 2;
    }
    say(bench, "latency of 8 B", median(bench, PINGS), "us");
    return true;
}

static bool set_word(Bench *bench, int64_t word) {
    Access set = {ACCESS_SET, !bench->engine->rank, 0, &word, 0};
    return bench->engine->window_access(&set, 1, NULL, &bench->error) == E_None;
}

static bool await_word(Bench *bench, _Atomic int64_t *own, int64_t word) {
    int spins = 0;
    while (atomic_load(own) < word) {
        if (bench->engine->idle(&spins, NULL, &bench->error) != E_None) return false;
    }
    return true;
}

static bool measure_words(Bench *bench) {
    void *own;
    int rank = bench->engine->rank;
    if (bench->engine->window_open(8, &own, NULL, &bench->error) != E_None) return false;
    for (int i = -WARM; rank < 2 && i < PINGS; i++) {
        double start = now_us();
        bool ok = rank == 0 ? set_word(bench, i + WARM + 1) && await_word(bench, own, i + WARM + 1)
                            : await_word(bench, own, i + WARM + 1) && set_word(bench, i + WARM + 1);
        if (!ok) return false;
        if (i >= 0) bench->us[i] = (now_us() - start) / 2;
    }
    say(bench, "write of 8 B", median(bench, PINGS), "us");
    return true;
}

static bool measure_bandwidth(Bench *bench) {
    for (int i = -1; i < ROUNDS; i++) {
        double start = now_us();
        for (int k = 0; k < 4; k++) {
            if (!round_trip(bench, MEDIUM, WINDOW)) return false;
        }
        if (i >= 0) bench->us[i] = now_us() - start;
    }
    say(bench, "64 KB one way", 4.0 * WINDOW * MEDIUM / median(bench, ROUNDS), "MB/s");
    return true;
}

/* ---- exchanges ---- */

static const Type f64_type = {.kind = TY_f64, .size = 8, .align = 8};
static Type *const f64_args[] = {(Type *)&f64_type};
static const Type vec_type = {
    .kind = TY_vec, .pointers = true, .count = 1, .args = (Type **)f64_args, .size = sizeof(Vec), .align = 8};

/* Runs one on all ranks; false: the result is not a vector of so many equal numbers. */
static bool exchange_once(Bench *bench, ExchangeKind kind, Worker *worker, const Vec *vec, int64_t length,
                          double number) {
    Vec out = {NULL, 0}, cuts;
    int64_t cut[64];
    for (int i = 0; i + 1 < bench->engine->ranks; i++)
        cut[i] = block_begin(vec->length, i + 1, bench->engine->ranks);
    cuts = (Vec){cut, bench->engine->ranks - 1};
    ExchangeCall call = {
        .kind = kind, .op = OP_add, .type = &vec_type, .operands = {vec, &cuts}, .out = &out};
    Exchanges exchanges = {.engine = bench->engine};
    if (engine_exchange(&exchanges, worker, &call) != E_None) {
        bench->error = worker->error;
        return false;
    }
    bool right = out.length == length;
    for (int64_t i = 0; right && i < length; i++) right = ((double *)out.data)[i] == number;
    if (!right) error_set(&bench->error, E_Internal, (Span){0, 0, 0}, "what came is wrong");
    return right;
}

static bool measure_exchange(Bench *bench, const char *name, ExchangeKind kind, double number) {
    Budget budget;
    volatile int32_t cancel = 0;
    int64_t length = LARGE / 8;
    int rank = bench->engine->rank, ranks = bench->engine->ranks;
    int64_t share = ranks * (block_begin(length, rank + 1, ranks) - block_begin(length, rank, ranks));
    bool ok = memory_budget(&budget, 1 << 30);
    for (int64_t i = 0; i < length; i++) ((double *)(void *)bench->data)[i] = 1;
    for (int i = -1; ok && i < ROUNDS; i++) {
        Worker worker = {.cancel = &cancel, .region = region_new(&budget)};
        Vec vec = {bench->data, length};
        MPI_Barrier(MPI_COMM_WORLD);
        double start = now_us(), own, slowest;
        ok = exchange_once(bench, kind, &worker, &vec, kind == EXCHANGE_deal ? share : length, number);
        own = now_us() - start;
        MPI_Allreduce(&own, &slowest, 1, MPI_DOUBLE, MPI_MAX, MPI_COMM_WORLD);
        if (i >= 0) bench->us[i] = slowest;
        region_free(worker.region);
    }
    memory_budget_release(&budget);
    if (ok) say(bench, name, median(bench, ROUNDS) / 1e3, "ms");
    return ok;
}

/* Long ones from the heap are copied by pieces, among others that are not, and must not be taken for each other. */
static bool mix_once(Bench *bench, unsigned char *heap) {
    static const int sizes[] = {8, 20000, MEDIUM, 700000, 300000, 4096, 500000};
    enum { SIZES = sizeof sizes / sizeof *sizes };
    Transfer list[2 * SIZES];
    int rank = bench->engine->rank, at = 0, half = LARGE / 2, count = 0;
    bool right = true;
    for (int i = 0; i < SIZES; at += sizes[i++]) {
        unsigned char *sent = (i % 2 ? heap : (unsigned char *)bench->data) + at;
        unsigned char *received = (i % 3 ? (unsigned char *)bench->data : heap) + half + at;
        memset(sent, 16 * (rank + 1) + i, (size_t)sizes[i]);
        memset(received, 0, (size_t)sizes[i]);
        list[count++] = (Transfer){!rank, true, sent, sizes[i]};
        list[count++] = (Transfer){!rank, false, received, sizes[i]};
    }
    if (bench->engine->transfer(list, count, NULL, &bench->error) != E_None) return false;
    for (int i = 0; i < SIZES; i++) {
        const unsigned char *received = list[2 * i + 1].data;
        for (int k = 0; right && k < sizes[i]; k++) right = received[k] == 16 * (!rank + 1) + i;
    }
    return right || error_set(&bench->error, E_Internal, (Span){0, 0, 0}, "transfers are mixed up");
}

static bool mix(Bench *bench) {
    unsigned char *heap = malloc(LARGE);
    bool ok = heap != NULL;
    for (int i = 0; ok && i < 5 && bench->engine->rank < 2; i++) ok = mix_once(bench, heap);
    free(heap);
    return ok;
}

/* A run that fails on rank 1 while others send to it, or wait for it: they fail with it, and nothing is left of it. */
static bool fail_once(Bench *bench) {
    int rank = bench->engine->rank;
    ErrorCode code = E_OutOfBounds;
    if (bench->engine->begin(&bench->error) != E_None) return false;
    if (rank != 1) {
        Transfer list[] = {{1, true, bench->data, 8},
                           {1, true, bench->data, LARGE / 2},
                           {1, false, bench->data + LARGE / 2, MEDIUM}};
        code = bench->engine->transfer(list, 3, NULL, &bench->error);
    }
    Outcome outcome = {.code = code, .own = rank == 1};
    bool ended = bench->engine->end(&outcome, &bench->error) == E_None;
    bool right = ended && outcome.code == E_OutOfBounds && (rank == 1 || code == E_Cancelled);
    if (ended && !right)
        error_set(&bench->error, E_Internal, (Span){0, 0, 0}, "a run does not fail as rank 1 does");
    return right;
}

static bool measure_all(Bench *bench) {
    int ranks = bench->engine->ranks;
    for (int i = 0; i < 20; i++) {
        if (!fail_once(bench)) return false;
    }
    if (bench->engine->begin(&bench->error) != E_None) return false;
    bool words = strcmp(bench->engine->transport, "mpi") != 0; /* windows of MPI are no transport's */
    bool ok = mix(bench);
    bench->engine->stats(&bench->before);
    ok = ok && measure_latency(bench) && (!words || measure_words(bench)) && measure_bandwidth(bench) &&
         measure_exchange(bench, "all-reduce 4 MB", EXCHANGE_reduce, ranks) &&
         measure_exchange(bench, "shuffle 4 MB", EXCHANGE_deal, 1);
    Outcome outcome = {.code = bench->error.code, .own = !ok};
    return bench->engine->end(&outcome, &bench->error) == E_None && ok;
}

int main(int count, char **words) {
    Bench bench = {.error = {.code = E_None}};
    Options options;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.transport", count > 1 ? words[1] : "auto");
    bool ok = conf_options(conf, &options, &bench.error);
    bench.engine = ok ? cluster_open(&options, &bench.error) : NULL;
    Budget budget;
    ok = bench.engine && memory_budget(&budget, 1 << 30);
    bench.data = ok ? budget_take(&budget, LARGE) : NULL;
    if (bench.data) memset(bench.data, 0, LARGE);
    ok = bench.data && measure_all(&bench);
    if (ok) {
        EngineStats stats;
        bench.engine->stats(&stats);
        say(&bench, "registrations", (double)stats.registrations, "");
        say(&bench, "copied",
            (double)(stats.copied_bytes - bench.before.copied_bytes) /
                (double)(stats.sent_bytes + stats.received_bytes - bench.before.sent_bytes -
                         bench.before.received_bytes) *
                100,
            "%");
        budget_give(&budget, bench.data, LARGE);
        memory_budget_release(&budget);
    } else {
        fprintf(stderr, "transport_bench: %s\n", bench.error.text);
    }
    weld_conf_free(conf);
    MPI_Finalize();
    return !ok;
}
