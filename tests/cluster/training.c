/* training.c: trainings on the ranks of a cluster come to what one rank alone comes to, up to rounding.
 *
 *     mpirun -n 4 training
 *
 * Each program runs alone, on every rank, then on all together: given the whole data, given blocks of it, and while the
 * last rank is slow: a timer stops it for most of the time. Exit status: 0 all came to the same.
 */
#include <math.h>
#include <mpi.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/time.h>
#include <time.h>

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

typedef struct Training {
    const char *name, *file, *text; /* a file of examples/, or the text */
    bool drawn;                     /* takes a Drawn */
} Training;
static const Training trainings[] = {
    {"logistic regression", "logistic.weld", NULL, false},
    {"two layers", NULL, layers, false},
    {"mini-batches", "mlp.weld", NULL, true},
};

static int rank, ranks, failed;

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
    nanosleep(&(struct timespec){0, 3000000}, NULL);
}

static void be_slow(bool slow) {
    struct sigaction action = {.sa_handler = stop_a_while, .sa_flags = SA_RESTART};
    struct itimerval every = {{0, slow ? 4000 : 0}, {0, slow ? 4000 : 0}};
    sigaction(SIGALRM, &action, NULL);
    setitimer(ITIMER_REAL, &every, NULL);
}

/* NULL: complained. */
static weld_value_t train(const Training *t, const char *text, const char *mode, weld_context_t context,
                          weld_conf_t conf, const void *args) {
    Error error = {.code = E_None};
    weld_module_t module = module_compile(t->name, text, strlen(text), NULL, conf, &error, NULL);
    weld_value_t value = module ? module_run(module, context, args, NULL, &error) : NULL;
    weld_module_free(module);
    if (!value) fprintf(stderr, "rank %d: %s, %s: %s\n", rank, t->name, mode, error.text);
    failed += !value;
    return value;
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
    for (int mode = 0; mode < 3 && alone; mode++) {
        static const char *const names[] = {"whole data", "data in blocks", "data in blocks, a slow rank"};
        weld_conf_set(conf, "weld.cluster.blocks", mode ? "x,y" : "");
        if (mode == 2 && rank == ranks - 1) be_slow(true);
        weld_value_t together = train(t, text, names[mode], context, conf, mode ? parts : whole);
        be_slow(false);
        bool same =
            together && close_to(value_type(alone), weld_value_data(alone), weld_value_data(together));
        if (together && !same)
            fprintf(stderr, "rank %d: %s, %s: another result\n", rank, t->name, names[mode]);
        failed += !same;
        weld_value_free(together);
    }
    weld_value_free(alone);
    weld_context_free(context);
    weld_conf_free(conf);
}

int main(void) {
    Data data;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    fill(&data);
    for (size_t i = 0; i < sizeof trainings / sizeof *trainings; i++) run(&trainings[i], &data);
    free(data.x.data);
    free(data.y.data);
    if (rank == 0) fprintf(stderr, "%d ranks: %d failures on rank 0\n", ranks, failed);
    MPI_Finalize();
    return failed != 0;
}
