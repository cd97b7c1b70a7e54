/* bench.c: weldc-bench measures compiled programs against hand-written C, in one run on one thread.
 *
 *   weldc-bench [--rows N] [--rounds N] [--seed N] [--only NAME] [--json FILE]
 *
 * Machines are noisy, so figures are ratios within a run: in every round the C and the compiled program take
 * turns over the same data in memory, and the least time of each counts. The compiled program is called as
 * any user of libweld does, through weld_module_run, and the interpreter is ruled out.
 *
 * Cold compilation is measured in new processes: this program starts itself with --cold, compiles once, and
 * prints the time from the text to a module that can be called (loading LLVM included) and to its first
 * answer; the median counts.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.h"
#include "../runtime/weld.h"

enum { MOST_ROUNDS = 1000, MOST_VECTORS = 16, COLD_RUNS = 15 };

typedef struct Figures {
    double native_ms, weldc_ms;   /* the least of all rounds */
    double compile_ms, answer_ms; /* medians over new processes */
    double compile_low, compile_high;
    bool agree;
} Figures;

static double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static char *read_program(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/examples/%s", WELD_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return NULL;
    }
    char *text = calloc(1, 1 << 16);
    if (text && fread(text, 1, (1 << 16) - 1, file) == 0) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

static weld_module_t compile(const char *text, weld_error_t error) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.threads", "1");
    weld_module_t module = weld_module_compile(text, conf, error);
    weld_conf_free(conf);
    if (!module) fprintf(stderr, "%s\n", weld_error_message(error));
    return module;
}

/* In a process of its own: text to module to answer on a table of a few rows. */
static int cold(const Workload *workload) {
    Table table;
    char *text = read_program(workload->program);
    if (!text || !table_make(&table, 8, 1)) return 1;
    Vector arguments[MOST_VECTORS];
    workload->arguments(&table, arguments);
    weld_error_t error = weld_error_new();
    double start = now_ms();
    weld_module_t module = compile(text, error);
    double callable = now_ms();
    weld_context_t context = weld_context_new(NULL);
    weld_value_t argument = weld_value_new(arguments);
    weld_value_t result = module ? weld_module_run(module, context, argument, error) : NULL;
    double answered = now_ms();
    if (result) printf("%f %f\n", callable - start, answered - start);
    int status = result ? 0 : 1;
    weld_value_free(result);
    weld_value_free(argument);
    weld_context_free(context);
    weld_module_free(module);
    weld_error_free(error);
    table_free(&table);
    free(text);
    return status;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static bool measure_cold(const Workload *workload, Figures *figures) {
    char self[4096], command[4300];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    if (length < 0) return false;
    self[length] = 0;
    snprintf(command, sizeof command, "'%s' --cold %s", self, workload->name);
    double compile_ms[COLD_RUNS], answer_ms[COLD_RUNS];
    for (int i = 0; i < COLD_RUNS; i++) {
        FILE *child = popen(command, "r");
        if (!child) return false;
        int read = fscanf(child, "%lf %lf", &compile_ms[i], &answer_ms[i]);
        if (pclose(child) != 0 || read != 2) return false;
    }
    qsort(compile_ms, COLD_RUNS, sizeof *compile_ms, ascending);
    qsort(answer_ms, COLD_RUNS, sizeof *answer_ms, ascending);
    figures->compile_ms = compile_ms[COLD_RUNS / 2];
    figures->compile_low = compile_ms[0];
    figures->compile_high = compile_ms[COLD_RUNS - 1];
    figures->answer_ms = answer_ms[COLD_RUNS / 2];
    return true;
}

/* A round: the C, then the compiled program, both over the whole table. */
static bool run_round(const Workload *workload, const Table *table, weld_module_t module,
                      weld_context_t context, Figures *figures) {
    Vector arguments[MOST_VECTORS];
    workload->arguments(table, arguments);
    Answer native;
    double start = now_ms();
    workload->native(table, &native);
    double native_ms = now_ms() - start;

    weld_error_t error = weld_error_new();
    weld_value_t argument = weld_value_new(arguments);
    start = now_ms();
    weld_value_t result = weld_module_run(module, context, argument, error);
    double weldc_ms = now_ms() - start;
    if (!result) fprintf(stderr, "%s\n", weld_error_message(error));
    figures->agree = figures->agree && result && workload->agrees(table, &native, weld_value_data(result));
    if (!(figures->native_ms < native_ms)) figures->native_ms = native_ms;
    if (!(figures->weldc_ms < weldc_ms)) figures->weldc_ms = weldc_ms;
    bool done = result;
    weld_value_free(result);
    weld_value_free(argument);
    weld_error_free(error);
    return done;
}

static bool measure(const Workload *workload, const Table *table, int rounds, Figures *figures) {
    *figures = (Figures){.native_ms = 1e300, .weldc_ms = 1e300, .agree = true};
    if (!measure_cold(workload, figures)) return false;
    char *text = read_program(workload->program);
    weld_error_t error = weld_error_new();
    weld_module_t module = text ? compile(text, error) : NULL;
    weld_context_t context = weld_context_new(NULL);
    bool done = module && context;
    for (int i = 0; done && i < rounds; i++) done = run_round(workload, table, module, context, figures);
    weld_context_free(context);
    weld_module_free(module);
    weld_error_free(error);
    free(text);
    return done;
}

static double gigabytes_per_second(const Workload *workload, const Table *table, double ms) {
    return (double)table->rows * workload->bytes_per_row / ms / 1e6;
}

static void print_figures(const Workload *workload, const Table *table, const Figures *f) {
    printf("%-6s %9.2f %9.2f %7.2f %5.1f %8.1f %8.1f %9.1f %9.1f   %s\n", workload->name, f->native_ms,
           f->weldc_ms, f->weldc_ms / f->native_ms, workload->bar,
           gigabytes_per_second(workload, table, f->native_ms),
           gigabytes_per_second(workload, table, f->weldc_ms), f->compile_ms, f->answer_ms,
           f->agree ? "agree" : "DIFFER");
    fflush(stdout);
}

static void json_figures(FILE *out, const Workload *workload, const Table *table, const Figures *f) {
    fprintf(out,
            "{\"name\": \"%s\", \"rows\": %" PRId64
            ", \"native_ms\": %.4f, \"weldc_ms\": %.4f, \"ratio\": %.4f, \"bar\": "
            "%.2f, \"native_gbs\": %.3f, \"weldc_gbs\": %.3f, \"cold_compile_ms\": %.3f, "
            "\"cold_compile_low_ms\": %.3f, "
            "\"cold_compile_high_ms\": %.3f, \"cold_answer_ms\": %.3f, \"agree\": %s}",
            workload->name, table->rows, f->native_ms, f->weldc_ms, f->weldc_ms / f->native_ms, workload->bar,
            gigabytes_per_second(workload, table, f->native_ms),
            gigabytes_per_second(workload, table, f->weldc_ms), f->compile_ms, f->compile_low,
            f->compile_high, f->answer_ms, f->agree ? "true" : "false");
}

typedef struct Request {
    int64_t rows, rounds, seed;
    const char *only, *json, *cold;
} Request;

static bool read_request(int argc, char **argv, Request *out) {
    *out = (Request){.rows = 20000000, .rounds = 9, .seed = 1};
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (!value || strncmp(argv[i], "--", 2)) return false;
        if (!strcmp(argv[i], "--rows"))
            out->rows = strtoll(value, NULL, 10);
        else if (!strcmp(argv[i], "--rounds"))
            out->rounds = strtoll(value, NULL, 10);
        else if (!strcmp(argv[i], "--seed"))
            out->seed = strtoll(value, NULL, 10);
        else if (!strcmp(argv[i], "--only"))
            out->only = value;
        else if (!strcmp(argv[i], "--json"))
            out->json = value;
        else if (!strcmp(argv[i], "--cold"))
            out->cold = value;
        else
            return false;
    }
    return out->rows > 0 && out->rounds > 0 && out->rounds <= MOST_ROUNDS;
}

static int run(const Request *request) {
    Table table;
    fprintf(stderr, "making %" PRId64 " rows\n", request->rows);
    if (!table_make(&table, request->rows, (uint64_t)request->seed)) {
        fprintf(stderr, "weldc-bench: no memory for %" PRId64 " rows\n", request->rows);
        return 1;
    }
    FILE *json = request->json ? fopen(request->json, "w") : NULL;
    if (request->json && !json) perror(request->json);
    printf("%" PRId64 " rows in memory, one thread, least of %" PRId64
           " rounds in turn; compiling: median of %d new "
           "processes, text to callable and to the first answer\n\n",
           request->rows, request->rounds, COLD_RUNS);
    printf("             C     weldc   ratio   bar   C GB/s    weldc   compile    answer\n");
    int status = 0;
    const char *comma = "";
    if (json) fprintf(json, "{\"workloads\": [");
    for (int i = 0; i < workload_count; i++) {
        Figures figures;
        if (request->only && strcmp(request->only, workloads[i].name)) continue;
        if (!measure(&workloads[i], &table, (int)request->rounds, &figures)) {
            fprintf(stderr, "weldc-bench: %s could not be measured\n", workloads[i].name);
            status = 1;
            continue;
        }
        print_figures(&workloads[i], &table, &figures);
        if (!figures.agree) status = 1;
        if (!json) continue;
        fputs(comma, json);
        json_figures(json, &workloads[i], &table, &figures);
        comma = ", ";
    }
    printf("\ntimes in ms; ratio: weldc over C, the bar is the most that it may be; cold compile of q6: 30 "
           "ms at most\n");
    if (json) {
        fprintf(json, "]}\n");
        fclose(json);
        printf("written to %s\n", request->json);
    }
    table_free(&table);
    return status;
}

int main(int argc, char **argv) {
    Request request;
    if (!read_request(argc, argv, &request)) {
        fprintf(stderr,
                "usage: weldc-bench [--rows N] [--rounds N] [--seed N] [--only NAME] [--json FILE]\n");
        return 2;
    }
    if (request.cold) {
        for (int i = 0; i < workload_count; i++)
            if (!strcmp(request.cold, workloads[i].name)) return cold(&workloads[i]);
        return 2;
    }
    return run(&request);
}
