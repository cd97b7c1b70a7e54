/* bench.c: weldc-bench measures compiled programs beside hand-written C and beside the Python peers, in one
 * run.
 *
 *   weldc-bench [--rows N | --full] [--only NAME,...] [--rounds N] [--budget SECONDS] [--threads N,...]
 *               [--no-peers] [--no-latency] [--data DIR] [--python FILE] [--json FILE] [--svg FILE]
 *               [--markdown FILE]
 *
 * Machines are noisy, so figures are ratios within a run: in every round all engines take turns over the same
 * data, and medians count. Each engine first runs once unmeasured; that answer is compared. An engine that
 * has used up its budget of time for a workload sits out the remaining rounds.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "bench.h"

typedef struct Request {
    int64_t rows;
    int rounds, threads[4], thread_counts;
    double budget_ms;
    bool peers, latency;
    const char *only, *json, *svg, *markdown, *python, *data;
} Request;

static bool read_threads(const char *text, Request *out) {
    char *end;
    out->thread_counts = 0;
    do {
        long count = strtol(text, &end, 10);
        if (end == text || count < 1 || count > 64 || out->thread_counts == 4) return false;
        out->threads[out->thread_counts++] = (int)count;
        text = end + 1;
    } while (*end == ',');
    return !*end;
}

static bool read_request(int argc, char **argv, Request *out) {
    *out = (Request){.rows = 10000000,
                     .rounds = 7,
                     .budget_ms = 1500,
                     .threads = {1, 2},
                     .thread_counts = 2,
                     .peers = true,
                     .latency = true,
                     .python = "build/peers/bin/python",
                     .data = "build/bench-data"};
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2) out->thread_counts = 1;
    for (int i = 1; i < argc; i++) {
        const char *name = argv[i];
        if (!strcmp(name, "--full"))
            out->rows = 100000000;
        else if (!strcmp(name, "--no-peers"))
            out->peers = false;
        else if (!strcmp(name, "--no-latency"))
            out->latency = false;
        else if (++i == argc)
            return false;
        else if (!strcmp(name, "--rows"))
            out->rows = strtoll(argv[i], NULL, 10);
        else if (!strcmp(name, "--rounds"))
            out->rounds = (int)strtol(argv[i], NULL, 10);
        else if (!strcmp(name, "--budget"))
            out->budget_ms = strtod(argv[i], NULL) * 1e3;
        else if (!strcmp(name, "--only"))
            out->only = argv[i];
        else if (!strcmp(name, "--json"))
            out->json = argv[i];
        else if (!strcmp(name, "--svg"))
            out->svg = argv[i];
        else if (!strcmp(name, "--markdown"))
            out->markdown = argv[i];
        else if (!strcmp(name, "--python"))
            out->python = argv[i];
        else if (!strcmp(name, "--data"))
            out->data = argv[i];
        else if (strcmp(name, "--threads") || !read_threads(argv[i], out))
            return false;
    }
    return out->rows >= 1000 && out->rounds > 0 && out->rounds <= MOST_ROUNDS;
}

static bool wanted(const Request *request, const char *name) {
    if (!request->only) return true;
    size_t length = strlen(name);
    for (const char *at = request->only; (at = strstr(at, name)); at++)
        if ((at == request->only || at[-1] == ',') && (!at[length] || at[length] == ',')) return true;
    return false;
}

/* The columns of a workload, as words in text. */
static int columns_of(const Workload *workload, char *text, size_t size, const char **out) {
    int count = 0;
    snprintf(text, size, "%s", workload->inputs);
    for (char *rest, *word = strtok_r(text, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
        if (*word != '=') out[count++] = word;
    return count;
}

static Engine *engine_add(Figures *figures, const char *name, int kind, int threads, Peer *peer) {
    if (figures->count == MOST_ENGINES) return NULL;
    Engine *engine = &figures->engines[figures->count++];
    *engine = (Engine){.threads = threads, .kind = kind, .peer = peer};
    snprintf(engine->name, sizeof engine->name, "%s", name);
    return engine;
}

static void engines_list(const Request *request, Peer *const *peers, Figures *figures) {
    for (int t = 0; t < request->thread_counts; t++) {
        char names[256];
        engine_add(figures, "C", ENGINE_NATIVE, request->threads[t], NULL);
        engine_add(figures, "weldc", ENGINE_WELDC, request->threads[t], NULL);
        if (figures->workload->calls) engine_add(figures, "calls", ENGINE_CALLS, request->threads[t], NULL);
        if (!peers[t] || !peer_engines(peers[t], figures->workload->name, names, sizeof names)) continue;
        for (char *rest, *word = strtok_r(names, " ", &rest); word; word = strtok_r(NULL, " ", &rest))
            engine_add(figures, word, ENGINE_PEER, request->threads[t], peers[t]);
    }
}

/* The first, unmeasured time: compiles, warms up, and leaves the answer's digest. The compiled programs come
 * first, because they know the type of the answer. */
static void warm_up(Figures *figures, Run *run) {
    for (int turn = 0; turn < 2; turn++)
        for (int i = 0; i < figures->count; i++) {
            Engine *engine = &figures->engines[i];
            if ((engine->kind == ENGINE_WELDC) != (turn == 0)) continue;
            double ms = 0;
            engine->active = engine_prepare(engine, figures->workload, run) &&
                             engine_round(engine, figures->workload, run, true, &ms);
            engine->failed = !engine->active;
            if (engine->failed)
                fprintf(stderr, "%s: %s with %d threads: %s\n", figures->workload->name, engine->name,
                        engine->threads, engine->note);
        }
    const Digest *want = &figures->engines[0].digest;
    for (int i = 0; i < figures->count; i++) {
        Engine *engine = &figures->engines[i];
        engine->agrees = engine->active && digest_agree(want, &engine->digest, figures->workload->tolerance);
    }
}

static void rounds(const Request *request, Figures *figures, Run *run) {
    for (int round = 0; round < request->rounds; round++)
        for (int i = 0; i < figures->count; i++) {
            Engine *engine = &figures->engines[i];
            if (!engine->active || engine->spent_ms > request->budget_ms) continue;
            double ms = 0;
            if (!engine_round(engine, figures->workload, run, false, &ms)) {
                engine->active = false;
                engine->failed = true;
                continue;
            }
            engine->ms[engine->rounds++] = ms;
            engine->spent_ms += ms;
        }
}

static bool measure(const Request *request, const char *dir, Peer *const *peers, Figures *figures) {
    const Workload *workload = figures->workload;
    char text[256];
    const char *names[MOST_INPUTS];
    int columns = columns_of(workload, text, sizeof text, names);
    data_keep(names, columns);
    if (!data_make(dir, sizes_of(request->rows), names, columns)) return false;
    if (!request->latency || !compile_measure(workload, request->data, figures)) figures->compile_ms = -1;
    Run run;
    bool good = run_prepare(workload, dir, &run);
    for (int i = 0; good && i < columns; i++) {
        const Column *column = run.inputs.columns[i];
        figures->bytes += (int64_t)column->size * column->data.length;
        if (column->size == sizeof(Vector))
            for (int64_t row = 0; row < column->data.length; row++)
                figures->bytes += ((Vector *)column->data.data)[row].length;
    }
    if (good) {
        engines_list(request, peers, figures);
        warm_up(figures, &run);
        rounds(request, figures, &run);
    }
    for (int i = 0; i < figures->count; i++) engine_finish(&figures->engines[i]);
    run_free(&run);
    return good;
}

static void weldc_path(char *out, size_t size) {
    char self[4096];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = 0;
    char *slash = strrchr(self, '/');
    if (slash) *slash = 0;
    snprintf(out, size, "%s/weldc", self);
}

static int run(const Request *request) {
    char dir[4096], weldc[4200];
    snprintf(dir, sizeof dir, "%s/rows%" PRId64, request->data, request->rows);
    weldc_path(weldc, sizeof weldc);
    Peer *peers[4] = {NULL};
    for (int t = 0; request->peers && t < request->thread_counts; t++)
        peers[t] = peer_start(request->python, dir, request->threads[t]);
    const char *versions = peers[0] ? peer_versions(peers[0]) : "";
    printf("%" PRId64 " rows; peers: %s\n", request->rows,
           *versions ? versions : "none (./run bench --peers)");

    Machine machine = {.count = request->thread_counts};
    memcpy(machine.threads, request->threads, sizeof machine.threads);
    int64_t bytes = request->rows * 40;
    machine_measure(&machine, bytes < 1 << 26 ? 1 << 26 : bytes);
    report_head();
    Figures *figures = calloc((size_t)workload_count, sizeof *figures);
    Latency latencies[MOST_LATENCIES];
    LargeFigure larges[MOST_LARGE];
    GradientFigure gradients[MOST_GRADIENTS];
    FlagshipFigure flagships[MOST_FLAGSHIPS];
    int count = 0, latency_count = 0, large_count = 0, gradient_count = 0, flagship_count = 0, status = 0;
    for (int i = 0; figures && i < workload_count; i++) {
        if (!wanted(request, workloads[i].name)) continue;
        figures[count].workload = &workloads[i];
        if (!measure(request, dir, peers, &figures[count])) {
            fprintf(stderr, "weldc-bench: %s could not be measured\n", workloads[i].name);
            status = 1;
        }
        report_workload(&figures[count]);
        for (int k = 0; k < figures[count].count; k++)
            if (!figures[count].engines[k].agrees) status = 1;
        count++;
    }
    data_keep(NULL, 0);
    if (request->latency && wanted(request, "latency"))
        latency_count =
            latency_measure(weldc, request->peers ? request->python : "", request->data, latencies);
    report_latency(latencies, latency_count);
    if (request->latency && wanted(request, "large")) large_count = large_measure(larges);
    report_large(larges, large_count);
    if (request->latency && wanted(request, "gradients")) gradient_count = gradients_measure(gradients);
    report_gradients(gradients, gradient_count);
    if (request->latency && wanted(request, "flagship"))
        flagship_count =
            flagship_measure(request->data, request->peers ? request->python : "", request->rows, flagships);
    report_flagship(flagships, flagship_count);
    FILE *json = request->json ? fopen(request->json, "w") : NULL;
    if (json) {
        json_write(json, versions, request->rows, &machine, figures, count, latencies, latency_count, larges,
                   large_count, gradients, gradient_count, flagships, flagship_count);
        if (fclose(json) == 0) printf("\nwritten: %s\n", request->json);
    }
    FILE *markdown = request->markdown ? fopen(request->markdown, "w") : NULL;
    if (markdown) {
        markdown_write(markdown, figures, count);
        fclose(markdown);
    }
    if (request->svg && count && chart_write(request->svg, request->rows, figures, count))
        printf("written: %s\n", request->svg);
    for (int t = 0; t < request->thread_counts; t++) peer_stop(peers[t]);
    free(figures);
    return status;
}

/* OpenBLAS chooses its code by the processor's model when it is loaded, and on one that is newer than itself takes what suits
 * the oldest; `weldc` tells it what the processor can do. So do we, before the program begins. */
static void tell_openblas(char **argv) {
#if defined(__x86_64__)
    bool wide = __builtin_cpu_supports("avx512f") && __builtin_cpu_supports("avx512vl") &&
                __builtin_cpu_supports("avx512bw") && __builtin_cpu_supports("avx512dq");
    bool half = __builtin_cpu_supports("avx2") && __builtin_cpu_supports("fma");
    if (!getenv("OPENBLAS_CORETYPE") && (wide || half) &&
        setenv("OPENBLAS_CORETYPE", wide ? "SkylakeX" : "Haswell", 0) == 0)
        execv("/proc/self/exe", argv);
#else
    (void)argv;
#endif
}

int main(int argc, char **argv) {
    Request request;
    /* OpenMP's threads, which the C has, would else turn in circles beside what runs after it. */
    setenv("OMP_WAIT_POLICY", "passive", 0);
    tell_openblas(argv);
    if (argc == 3 && !strcmp(argv[1], "--compile")) return compile_child(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "--first")) return latency_child(argv[2]);
    if (argc == 3 && !strcmp(argv[1], "--large")) return large_child(argv[2]);
    if (!read_request(argc, argv, &request)) {
        fputs("usage: weldc-bench [--rows N | --full] [--only NAME,...] [--rounds N] [--budget SECONDS] "
              "[--threads N,...]\n"
              "                   [--no-peers] [--no-latency] [--data DIR] [--python FILE] [--json FILE] "
              "[--svg FILE]\n"
              "                   [--markdown FILE]\n",
              stderr);
        return 2;
    }
    /* Compiled code is cached in a folder of our own, which starts empty. */
    mkdir(request.data, 0777);
    char cache[4096];
    if (realpath(request.data, cache)) setenv("XDG_CACHE_HOME", cache, 1);
    return run(&request);
}
