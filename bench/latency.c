/* latency.c: compiling, and the time to the first answer, in new processes.
 *
 * A process that has run a program once is warm in many ways, so each figure is the median over new
 * processes: this program starts itself as --compile or --first and reads what it measured. The time of the
 * shell is that of `weldc run` on files, or of a Python script, from start to end. A folder of its own serves
 * as the cache of compiled code: empty for `cold`, filled by the run before for `cached`. OpenBLAS, which this program
 * is linked with for the sake of the hand-written C, is kept from starting threads: they would turn in circles on the processor
 * that the compiler wants.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "../runtime/weld.h"

enum { COMPILE_RUNS = 5, FIRST_RUNS = 5, PEER_RUNS = 3, AGAIN = 200 };

static const Workload *workload_find(const char *name) {
    for (int i = 0; i < workload_count; i++)
        if (!strcmp(workloads[i].name, name)) return &workloads[i];
    return NULL;
}

static void self_path(char *out, size_t size) {
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    out[length < 0 ? 0 : length] = 0;
}

static void cache_clear(const char *scratch) {
    char command[4200];
    snprintf(command, sizeof command, "rm -rf '%s/weldc'", scratch);
    if (system(command)) perror(command);
}

int command_numbers(const char *command, double *numbers, int count, double *wall_ms) {
    double start = now_ms();
    FILE *child = popen(command, "r");
    if (!child) return -1;
    int read = 0;
    while (read < count && fscanf(child, "%lf", &numbers[read]) == 1) read++;
    char rest[256];
    while (fgets(rest, sizeof rest, child)) continue;
    int status = pclose(child);
    *wall_ms = now_ms() - start;
    return status ? -1 : read;
}

int compile_child(const char *name) {
    const Workload *workload = workload_find(name);
    Run run = {0};
    if (!workload || !run_prepare(workload, NULL, &run)) {
        run_free(&run);
        return 2;
    }
    double start = now_ms();
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_module_t module = weld_module_compile(run.text, conf, run.error);
    if (module) printf("%f\n", now_ms() - start);
    int status = module ? 0 : 1;
    weld_module_free(module);
    weld_conf_free(conf);
    run_free(&run);
    return status;
}

bool compile_measure(const Workload *workload, const char *scratch, Figures *figures) {
    char self[4096], command[4300];
    double ms[COMPILE_RUNS], wall;
    self_path(self, sizeof self);
    snprintf(command, sizeof command, "OPENBLAS_NUM_THREADS=1 '%s' --compile %s", self, workload->name);
    for (int i = 0; i < COMPILE_RUNS; i++) {
        cache_clear(scratch);
        if (command_numbers(command, &ms[i], 1, &wall) != 1) return false;
    }
    figures->compile_ms = median(ms, COMPILE_RUNS);
    figures->compile_low = ms[0];
    figures->compile_high = ms[COMPILE_RUNS - 1];
    return true;
}

/* Q6 from the text to its answer: first in this process; again, from the memory of compiled code; and a call
 * of a module that is there. Data are made here: the columns of the table, in the program's order. */
int latency_child(const char *rows_text) {
    int64_t rows = strtoll(rows_text, NULL, 10);
    Vector columns[4];
    for (int i = 0; i < 4; i++) columns[i] = (Vector){calloc((size_t)rows, 8), rows};
    for (int64_t i = 0; i < rows; i++) {
        ((int32_t *)columns[0].data)[i] = 19940101 + (int32_t)(i % 8) * 2000;
        for (int k = 1; k < 4; k++) ((double *)columns[k].data)[i] = 0.05 + 0.001 * (double)(i % 50);
    }
    char *text = program_read("examples/q6.weld");
    weld_error_t error = weld_error_new();
    weld_value_t argument = weld_value_new(columns);
    weld_module_t module = NULL;
    double ms[2], call[AGAIN];
    for (int again = 0; again < 2; again++) {
        double start = now_ms();
        module = weld_module_compile(text, NULL, error);
        weld_context_t context = weld_context_new(NULL);
        weld_value_t result = module ? weld_module_run(module, context, argument, error) : NULL;
        ms[again] = now_ms() - start;
        if (!result) {
            fprintf(stderr, "%s\n", weld_error_message(error));
            return 1;
        }
        weld_value_free(result);
        weld_context_free(context);
    }
    weld_context_t context = weld_context_new(NULL);
    int calls = rows > 100000 ? 10 : AGAIN;
    for (int i = 0; i < calls; i++) {
        double start = now_ms();
        weld_value_free(weld_module_run(module, context, argument, error));
        call[i] = now_ms() - start;
    }
    printf("%f %f %f\n", ms[0], ms[1], median(call, calls));
    return 0;
}

static void latency_add(Latency *out, int *count, const char *what, int64_t rows, double process,
                        double shell) {
    Latency *latency = &out[(*count)++];
    *latency = (Latency){.rows = rows, .process_ms = process, .shell_ms = shell};
    snprintf(latency->what, sizeof latency->what, "%s", what);
}

static void measure_weldc(const char *weldc, const char *scratch, int64_t rows, Latency *out, int *count) {
    char self[4096], dir[4096], first[4300], shell[20000];
    double figures[2][3][FIRST_RUNS], walls[2][FIRST_RUNS], numbers[3], wall;
    self_path(self, sizeof self);
    snprintf(dir, sizeof dir, "%s/rows%lld", scratch, (long long)rows);
    static const char *const names[] = {"shipdate", "discount", "quantity", "extendedprice"};
    if (!data_make(dir, sizes_of(rows), names, 4)) return;
    snprintf(first, sizeof first, "OPENBLAS_NUM_THREADS=1 '%s' --first %lld", self, (long long)rows);
    snprintf(shell, sizeof shell,
             "'%s' run '%s/examples/q6.weld' shipdate='@%s/shipdate.npy' discount='@%s/discount.npy' "
             "quantity='@%s/quantity.npy' extendedprice='@%s/extendedprice.npy'",
             weldc, WELD_SOURCE_DIR, dir, dir, dir, dir);
    for (int i = 0; i < FIRST_RUNS; i++)
        for (int cached = 0; cached < 2; cached++) {
            if (!cached) cache_clear(scratch);
            if (command_numbers(first, numbers, 3, &wall) != 3) return;
            for (int k = 0; k < 3; k++) figures[cached][k][i] = numbers[k];
            if (!cached) cache_clear(scratch);
            if (command_numbers(shell, numbers, 1, &walls[cached][i]) != 1) return;
        }
    latency_add(out, count, "weldc, empty cache", rows, median(figures[0][0], FIRST_RUNS),
                median(walls[0], FIRST_RUNS));
    latency_add(out, count, "weldc, cache on disk", rows, median(figures[1][0], FIRST_RUNS),
                median(walls[1], FIRST_RUNS));
    latency_add(out, count, "weldc, same text again", rows, median(figures[0][1], FIRST_RUNS), -1);
    latency_add(out, count, "weldc, same module again", rows, median(figures[0][2], FIRST_RUNS), -1);
}

static void measure_peer(const char *python, const char *scratch, const char *engine, int64_t rows,
                         Latency *out, int *count) {
    char command[20000];
    double ms[PEER_RUNS], walls[PEER_RUNS];
    snprintf(command, sizeof command, "'%s' '%s/bench/peers.py' --data '%s/rows%lld' --first %s", python,
             WELD_SOURCE_DIR, scratch, (long long)rows, engine);
    for (int i = 0; i < PEER_RUNS; i++)
        if (command_numbers(command, &ms[i], 1, &walls[i]) != 1) return;
    latency_add(out, count, engine, rows, median(ms, PEER_RUNS), median(walls, PEER_RUNS));
}

int latency_measure(const char *weldc, const char *python, const char *scratch, Latency *out) {
    static const int64_t rows[] = {1, 1000, 1000000};
    static const char *const peers[] = {"numpy", "numexpr", "numba", "duckdb", "polars", "jax"};
    int count = 0;
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        measure_weldc(weldc, scratch, rows[i], out, &count);
        for (size_t k = 0; !access(python, X_OK) && k < sizeof peers / sizeof *peers; k++)
            measure_peer(python, scratch, peers[k], rows[i], out, &count);
    }
    return count;
}
