/* training.c: trainings on the ranks of a cluster come to what one rank alone comes to, up to rounding.
 *
 *     mpirun -n 4 training [NAME|all [TRANSPORT]]
 *
 * Each program runs alone, on every rank, then on all together: given the whole data, given blocks of it, and while one
 * rank, the last or the first, is slow: a timer stops it for most of the time. Then with parameter servers, on all ranks or on some, which come to the same where
 * nobody may be ahead, and elsewhere converge; one that fails on a rank comes before, and leaves nothing. Exit status: 0 all did.
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

enum { ROWS = 211, COLUMNS = 7, TEXT = 1 << 20 };

/* The arguments of all programs: |x: {vec[f64], i64, i64}, y: vec[f64], steps: i64, rate: f64|, or those of mlp.weld. */
typedef struct Data {
    Vec x;
    int64_t rows, columns;
    Vec y;
    int64_t steps;
    double rate;
} Data;
typedef struct Drawn {
    int64_t samples, steps;
    double rate;
} Drawn;

/* Two layers over all rows at every step, by momentum; the losses are in the state. */
static const char layers[] =
    "|x: {vec[f64], i64, i64}, y: vec[f64], steps: i64, rate: f64|"
    "  let loss = grad(|w, b, v, c| nn.logistic_loss(nn.linear(nn.tanh(nn.dense(x, {w, 5L, x.$2}, b)), v, "
    "c), y), 0, 1, 2, 3);"
    "  let some = |n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, k| merge(b, 0.3 * "
    "sin(f64(k)))));"
    "  let still = |p: vec[f64]| {p, nn.zeros_like(p)};"
    "  iterate({still(some(5L * x.$2)), still(some(5L)), still(some(5L)), 0.0, 0L, []: vec[f64]}, |s|"
    "    let slope = loss(s.$0.$0, s.$1.$0, s.$2.$0, s.$3);"
    "    {{nn.momentum(s.$0, slope.$1.$0, rate, 0.9), nn.momentum(s.$1, slope.$1.$1, rate, 0.9),"
    "      nn.momentum(s.$2, slope.$1.$2, rate, 0.9), s.$3 - rate * slope.$1.$3, s.$4 + 1L, flatten([s.$5, "
    "[slope.$0]])},"
    "     s.$4 + 1L < steps})";

/* Of a long table each row needs a few elements: most of what a step could push or pull is nothing new. */
static const char table[] =
    "|x: {vec[f64], i64, i64}, y: vec[f64], steps: i64, rate: f64|"
    "  let zeros = result(for(rangeiter(0L, 50000L, 1L), appender[f64], |b, i, k| merge(b, 0.0)));"
    "  iterate({zeros, 0L, []: vec[f64]}, |s|"
    "    let sums = for(y, {vecmerger[f64,+](zeros), merger[f64,+]}, |b, i, e|"
    "      let at = i * 7L + i64(e) * 30000L;"
    "      let miss = lookup(s.$0, at) + lookup(s.$0, at + 3L) - e - 1.0;"
    "      {merge(merge(b.$0, {at, miss}), {at + 3L, miss}), merge(b.$1, miss * miss)});"
    "    let g = result(sums.$0);"
    "    {{result(for(zip(s.$0, g), appender[f64], |b, i, e| merge(b, e.$0 - 0.3 * rate * e.$1))), s.$1 + 1L,"
    "      flatten([s.$2, [result(sums.$1)]])}, s.$1 + 1L < steps})";

/* The same, but each step reads elsewhere, under a condition, and by an inner loop. */
static const char moving[] =
    "|x: {vec[f64], i64, i64}, y: vec[f64], steps: i64, rate: f64|"
    "  let zeros = result(for(rangeiter(0L, 50000L, 1L), appender[f64], |b, i, k| merge(b, 0.0)));"
    "  iterate({zeros, 0L, []: vec[f64]}, |s|"
    "    let page = s.$1 % 2L * 10000L;"
    "    let sums = for(y, {vecmerger[f64,+](zeros), merger[f64,+]}, |b, i, e|"
    "      let at = page + i * 7L + if(e > 0.5, 30000L, 0L);"
    "      let more = if(e > 0.5, lookup(s.$0, at + 1000L), 0.0);"
    "      let miss = more + result(for(slice(s.$0, at, 2L), merger[f64,+], |c, k, w| merge(c, w))) - e - "
    "1.0;"
    "      let some = if(e > 0.5, merge(b.$0, {at + 1000L, miss}), b.$0);"
    "      {merge(merge(some, {at, miss}), {at + 1L, miss}), merge(b.$1, miss * miss)});"
    "    let g = result(sums.$0);"
    "    {{result(for(zip(s.$0, g), appender[f64], |b, i, e| merge(b, e.$0 - 0.3 * rate * e.$1))), s.$1 + 1L,"
    "      flatten([s.$2, [result(sums.$1)]])}, s.$1 + 1L < steps})";

/* Two matrices whose product fits numbers, by gradients and momentum. */
static const char factors[] =
    "|x: {vec[f64], i64, i64}, y: vec[f64], steps: i64, rate: f64|"
    "  let small = |n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, k| merge(b, 0.3 * "
    "sin(f64(k)))));"
    "  let square = |v: vec[f64]| result(for(v, merger[f64, +], |b, i, e| merge(b, e * e)));"
    "  let error = |u: vec[f64], v: vec[f64]| result(for(y, merger[f64, +], |b, i, e|"
    "    let guess = result(for(zip(slice(u, i % 170L * 4L, 4L), slice(v, i % 230L * 4L, 4L)), merger[f64, "
    "+],"
    "      |c, k, f| merge(c, f.$0 * f.$1)));"
    "    merge(b, (guess - e) * (guess - e)))) / f64(x.$1);"
    "  let slope = grad(|u, v| error(u, v) + 0.0001 * (square(u) + square(v)));"
    "  let still = |p: vec[f64]| {p, nn.zeros_like(p)};"
    "  iterate({still(small(680L)), still(small(920L)), 0L, []: vec[f64]}, |s|"
    "    let g = slope(s.$0.$0, s.$1.$0).$1;"
    "    {{nn.momentum(s.$0, g.$0, rate, 0.5), nn.momentum(s.$1, g.$1, rate, 0.5), s.$2 + 1L,"
    "      flatten([s.$3, [error(s.$0.$0, s.$1.$0)]])}, s.$2 + 1L < steps})";

typedef struct Training {
    const char *name, *file, *text; /* a file of examples/, or the text */
    bool drawn;                     /* takes a Drawn */
    int losses;                     /* the field of the result with the losses; -1: it has no server */
    bool sparse;                    /* a step changes a small part of the parameters */
} Training;
static const Training trainings[] = {
    {"logistic regression", "logistic.weld", NULL, false, 1, false},
    {"two layers", NULL, layers, false, -1, false},
    {"factors", NULL, factors, false, 3, false},
    {"a long table", NULL, table, false, 2, true},
    {"a moving table", NULL, moving, false, 2, true},
    {"mini-batches", "mlp.weld", NULL, true, -1, false},
};

/* How a training is run on all ranks. A stale one comes to another result. */
typedef enum Slow { NOBODY, THE_FIRST, THE_LAST } Slow;
typedef struct Mode {
    const char *name;
    bool blocks;
    Slow slow;
    const char *training, *servers, *staleness;
} Mode;
static const Mode modes[] = {
    {"whole data", false, NOBODY, "allreduce", "0", "0"},
    {"data in blocks", true, NOBODY, "allreduce", "0", "0"},
    {"data in blocks, a slow rank", true, THE_LAST, "allreduce", "0", "0"},
    {"a parameter server", true, NOBODY, "server", "0", "0"},
    {"one server, whole data", false, NOBODY, "server", "1", "0"},
    {"a parameter server, a slow rank", true, THE_LAST, "server", "0", "0"},
    {"a parameter server, stale, the first rank slow", true, THE_FIRST, "server", "0", "4"},
    {"two servers, stale, a slow rank", true, THE_LAST, "server", "2", "4"},
};
enum { STALENESS = 4, WITHOUT_SERVER = 4 };

static int rank, ranks, failed;
static volatile sig_atomic_t stops; /* how often this rank was slow */
static const char *transport = "auto";

static void fill(Data *data) {
    double *x = malloc(sizeof *x * ROWS * COLUMNS), *y = malloc(sizeof *y * ROWS);
    for (int r = 0; r < ROWS; r++) {
        double sum = 0;
        for (int c = 0; c < COLUMNS; c++) sum += x[r * COLUMNS + c] = sin(r * 1.7 + c * c * 0.9);
        y[r] = sum > 0.2;
    }
    *data = (Data){{x, ROWS * COLUMNS}, ROWS, COLUMNS, {y, ROWS}, 40, 0.3};
}

static Vec own_block(Vec vec) {
    int64_t begin = block_begin(vec.length, rank, ranks), end = block_begin(vec.length, rank + 1, ranks);
    return (Vec){(double *)vec.data + begin, end - begin};
}

/* Equal, up to rounding that the steps have carried on? */
static bool close_to(const Type *type, const char *a, const char *b) {
    if (type->kind == TY_f64) {
        double x, y;
        memcpy(&x, a, sizeof x), memcpy(&y, b, sizeof y);
        return fabs(x - y) <= 1e-9 * fmax(1, fabs(x));
    }
    bool same = true;
    if (type->kind == TY_vec) {
        Vec v, w;
        memcpy(&v, a, sizeof v), memcpy(&w, b, sizeof w);
        same = v.length == w.length;
        int64_t size = type->args[0]->size;
        for (int64_t i = 0; same && i < v.length; i++)
            same = close_to(type->args[0], (char *)v.data + i * size, (char *)w.data + i * size);
        return same;
    }
    for (int i = 0; same && type->kind == TY_struct && i < type->count; i++)
        same = close_to(type->args[i], a + type->offsets[i], b + type->offsets[i]);
    return same && (type->kind == TY_struct || memcmp(a, b, (size_t)type->size) == 0);
}

static void stop_a_while(int signal) {
    (void)signal;
    stops = stops + 1;
    nanosleep(&(struct timespec){0, 3000000}, NULL);
}

static void be_slow(bool slow) {
    struct sigaction action = {.sa_handler = stop_a_while, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, slow ? 4000 : 0},
                              {0, slow ? 100 : 0}}; /* a whole training may take less than 4 ms */
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

static weld_value_t attempt(const char *name, const char *text, weld_context_t context, weld_conf_t conf,
                            const void *args, Error *error) {
    weld_module_t module = module_compile(name, text, strlen(text), NULL, conf, error, NULL);
    weld_value_t value = module ? module_run(module, context, args, NULL, error) : NULL;
    weld_module_free(module);
    return value;
}

/* NULL: complained. */
static weld_value_t train(const Training *t, const char *text, const char *mode, weld_context_t context,
                          weld_conf_t conf, const void *args) {
    Error error = {.code = E_None};
    weld_value_t value = attempt(t->name, text, context, conf, args, &error);
    if (!value) fprintf(stderr, "rank %d: %s, %s: %s\n", rank, t->name, mode, error.text);
    failed += !value;
    return value;
}

/* ---- parameter servers ---- */

static Vec losses_of(const Training *t, weld_value_t value) {
    Vec losses;
    memcpy(&losses, (char *)weld_value_data(value) + value_type(value)->offsets[t->losses], sizeof losses);
    return losses;
}

/* Steps that see older parameters come nearly as far: of what the loss falls by at least three quarters. */
static bool converges(const Training *t, weld_value_t alone, weld_value_t together) {
    Vec wanted = losses_of(t, alone), got = losses_of(t, together);
    if (wanted.length != got.length) return false;
    const double *a = wanted.data, *b = got.data;
    int64_t last = wanted.length - 1;
    bool far = a[last] < a[0] && b[0] - b[last] >= 0.75 * (a[0] - a[last]);
    if (!far)
        fprintf(stderr, "rank %d: the loss fell from %g to %g, alone to %g\n", rank, b[0], b[last], a[last]);
    return far;
}

/* Was there a server, or none where there can be none; did nobody get further ahead than is allowed; was no more sent than had to be? */
static bool served_well(const Training *t, const Mode *mode, const ServerStats *before) {
    ServerStats after = cluster_served();
    int64_t steps = after.steps - before->steps, most = steps * 50000 * 8 / 8;
    bool server = t->losses >= 0 && strcmp(mode->training, "server") == 0;
    if ((steps > 0) != server) return false;
    if (after.lag > (*mode->staleness == '0' && before->lag == 0 ? 0 : STALENESS)) return false;
    if (!t->sparse || !server) return true;
    return after.pushed - before->pushed < most && after.pulled - before->pulled < most;
}

static void run_mode(const Training *t, const Mode *mode, const char *text, weld_context_t context,
                     weld_conf_t conf, const void *args, weld_value_t alone) {
    ServerStats before = cluster_served();
    weld_conf_set(conf, "weld.cluster.blocks", mode->blocks ? "x,y" : "");
    weld_conf_set(conf, "weld.cluster.training", mode->training);
    weld_conf_set(conf, "weld.cluster.servers", mode->servers);
    weld_conf_set(conf, "weld.cluster.staleness", mode->staleness);
    bool slow = (mode->slow == THE_LAST && rank == ranks - 1) || (mode->slow == THE_FIRST && rank == 0);
    stops = 0;
    if (slow) be_slow(true);
    weld_value_t together = train(t, text, mode->name, context, conf, args);
    be_slow(false);
    bool stale = t->losses >= 0 && *mode->staleness != '0', same = false;
    if (together && stale) same = converges(t, alone, together);
    if (together && !stale)
        same = close_to(value_type(alone), weld_value_data(alone), weld_value_data(together));
    if (together && !same) fprintf(stderr, "rank %d: %s, %s: another result\n", rank, t->name, mode->name);
    bool well = served_well(t, mode, &before) && (!slow || stops > 0);
    if (!well) fprintf(stderr, "rank %d: %s, %s: not as it should be done\n", rank, t->name, mode->name);
    failed += !same || !well;
    weld_value_free(together);
}

static void run(const Training *t, const Data *data) {
    static char text[TEXT];
    char path[1000];
    snprintf(path, sizeof path, "%s/examples/%s", WELD_SOURCE_DIR, t->file ? t->file : "");
    FILE *file = t->file ? fopen(path, "r") : NULL;
    if (t->file)
        text[file ? fread(text, 1, TEXT - 1, file) : 0] = 0;
    else
        snprintf(text, TEXT, "%s", t->text);
    if (file) fclose(file);
    Data blocks = *data;
    blocks.x = own_block(data->x);
    blocks.y = own_block(data->y);
    Drawn drawn = {300, 40, 0.01};
    const void *whole = t->drawn ? (const void *)&drawn : data,
               *parts = t->drawn ? (const void *)&drawn : &blocks;
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.cache", "memory");
    weld_conf_set(conf, "weld.llvm.optimization.level", "0");
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.verify", "true");
    weld_context_t context = weld_context_new(conf);
    weld_value_t alone = train(t, text, "alone", context, conf, whole);
    weld_conf_set(conf, "weld.cluster", "mpi");
    weld_conf_set(conf, "weld.transport", transport);
    size_t count = sizeof modes / sizeof *modes;
    if (t->losses < 0) count = WITHOUT_SERVER; /* one says that it is all-reduced all the same */
    for (size_t i = 0; alone && i < count; i++)
        run_mode(t, &modes[i], text, context, conf, modes[i].blocks ? parts : whole, alone);
    weld_value_free(alone);
    weld_context_free(context);
    weld_conf_free(conf);
}

/* A training that fails on one rank, at some step, while others may be ahead: all get its error. */
static void fail(const Data *data) {
    static const char text[] =
        "|x: {vec[f64], i64, i64}, y: vec[f64], steps: i64, rate: f64|"
        "  let zeros = result(for(rangeiter(0L, 9L, 1L), appender[f64], |b, i, k| merge(b, 0.0)));"
        "  iterate({zeros, 0L}, |s|"
        "    let g = result(for(y, vecmerger[f64,+](zeros), |b, i, e|"
        "      merge(b, {if(i == 210L && s.$1 == 20L, 9L, i % 9L), e - lookup(s.$0, i % 9L)})));"
        "    {{result(for(zip(s.$0, g), appender[f64], |b, i, e| merge(b, e.$0 + 0.001 * e.$1))), s.$1 + 1L},"
        "     s.$1 + 1L < steps})";
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.cache", "memory");
    weld_conf_set(conf, "weld.cluster", "mpi");
    weld_conf_set(conf, "weld.transport", transport);
    weld_conf_set(conf, "weld.cluster.training", "server");
    weld_conf_set(conf, "weld.cluster.staleness", "4");
    weld_context_t context = weld_context_new(conf);
    Error error = {.code = E_None};
    weld_value_t value = attempt("fails", text, context, conf, data, &error);
    if (value || error.code != E_OutOfBounds) {
        fprintf(stderr, "rank %d: a training that fails: %s\n", rank, error.text);
        failed++;
    }
    weld_value_free(value);
    weld_context_free(context);
    weld_conf_free(conf);
}

int main(int count, char **words) {
    Data data;
    if (count > 2) transport = words[2];
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    fill(&data);
    fail(&data);
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) {
        if (count < 2 || strcmp(words[1], "all") == 0 || strcmp(words[1], trainings[i].name) == 0)
            run(&trainings[i], &data);
    }
    free(data.x.data);
    free(data.y.data);
    ServerStats stats = cluster_served();
    /* A slow rank must have let the others get ahead, else staleness was not tried. */
    if (ranks > 1 && stats.lag == 0) failed++;
    if (rank == 0)
        fprintf(stderr, "%d ranks: %d failures on rank 0; the largest lag was %lld\n", ranks, failed,
                (long long)stats.lag);
    MPI_Finalize();
    return failed != 0;
}
