/* report.c: the figures as a table, and as JSON. */
#include <inttypes.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"

void machine_measure(Machine *machine, int64_t bytes) {
    int64_t n = bytes / 8;
    double *a = pages_new((size_t)bytes), *b = pages_new((size_t)bytes), *c = pages_new((size_t)bytes);
    if (a && b && c) {
        for (int64_t i = 0; i < n; i++) a[i] = b[i] = c[i] = 1;
        for (int t = 0; t < machine->count; t++) {
            native_bandwidth(machine->threads[t], a, b, c, n, &machine->read_gbs[t], &machine->triad_gbs[t]);
            printf("%d thread%s: read %.1f GB/s, triad %.1f GB/s (arrays of %lld MB)\n", machine->threads[t],
                   machine->threads[t] > 1 ? "s" : "", machine->read_gbs[t], machine->triad_gbs[t],
                   (long long)(bytes >> 20));
        }
    }
    free(a);
    free(b);
    free(c);
}

static const Engine *engine_find(const Figures *figures, int kind, int threads) {
    for (int i = 0; i < figures->count; i++) {
        const Engine *engine = &figures->engines[i];
        if ((int)engine->kind == kind && engine->threads == threads && engine->rounds) return engine;
    }
    return NULL;
}

static const Engine *best_peer(const Figures *figures, int threads) {
    const Engine *best = NULL;
    for (int i = 0; i < figures->count; i++) {
        const Engine *engine = &figures->engines[i];
        if (engine->kind != ENGINE_PEER || engine->threads != threads || !engine->rounds || !engine->agrees)
            continue;
        if (!best || engine_median(engine) < engine_median(best)) best = engine;
    }
    return best;
}

static double gigabytes(const Figures *figures, double ms) {
    return (double)figures->bytes * figures->workload->passes / ms / 1e6;
}

void report_head(void) {
    printf("\n%-30s T      C ms  weldc ms  weldc/C   C GB/s    weldc  best peer        ms  weldc/peer  "
           "compile ms  answers\n",
           "");
}

/* Who gives another answer than the C, or none. */
static void report_answers(const Figures *figures, int threads) {
    int agree = 0;
    const char *bad = NULL;
    for (int i = 0; i < figures->count; i++) {
        const Engine *engine = &figures->engines[i];
        if (engine->threads != threads) continue;
        agree += engine->agrees;
        if (!engine->agrees) {
            printf("%s%s %s", bad ? ", " : "  ", engine->name, engine->failed ? "FAILS" : "DIFFERS");
            bad = engine->name;
        }
    }
    if (!bad) printf("  %d agree", agree);
    printf("\n");
}

static void report_threads(const Figures *figures, int threads, bool first) {
    const Engine *native = engine_find(figures, ENGINE_NATIVE, threads);
    const Engine *weldc = engine_find(figures, ENGINE_WELDC, threads), *peer = best_peer(figures, threads);
    double native_ms = native ? engine_median(native) : 0, weldc_ms = weldc ? engine_median(weldc) : 0;
    printf("%-30s %d", first ? figures->workload->title : "", threads);
    if (native && weldc)
        printf(" %9.2f %9.2f %8.2f %8.1f %8.1f", native_ms, weldc_ms, weldc_ms / native_ms,
               gigabytes(figures, native_ms), gigabytes(figures, weldc_ms));
    else
        printf(" %9.2f %9s %8s %8.1f %8s", native_ms, "-", "-", native ? gigabytes(figures, native_ms) : 0,
               "-");
    if (peer && weldc)
        printf("  %-9s %9.2f %11.2f", peer->name, engine_median(peer), weldc_ms / engine_median(peer));
    else
        printf("  %-9s %9s %11s", peer ? peer->name : "-", "-", "-");
    if (first && figures->compile_ms >= 0)
        printf(" %11.1f", figures->compile_ms);
    else
        printf(" %11s", "");
    report_answers(figures, threads);
}

/* Where libraries can be called directly: everybody, and the time of weldc over theirs. */
static void report_beside(const Figures *figures, int threads) {
    const Engine *weldc = engine_find(figures, ENGINE_WELDC, threads);
    const char *comma = "";
    if (!weldc) return;
    printf("    over");
    for (int i = 0; i < figures->count; i++) {
        const Engine *engine = &figures->engines[i];
        if (engine->threads != threads || !engine->rounds || engine->kind == ENGINE_WELDC) continue;
        double ms = engine_median(engine);
        printf("%s %s (%.2f ms) %.2f", comma, engine->name, ms, engine_median(weldc) / ms);
        comma = ",";
    }
    printf("\n");
}

void report_workload(const Figures *figures) {
    int last = 0;
    for (int i = 0; i < figures->count; i++) {
        int threads = figures->engines[i].threads;
        if (threads == last) continue;
        report_threads(figures, threads, !last);
        if (figures->workload->calls) report_beside(figures, threads);
        last = threads;
    }
    fflush(stdout);
}

static void report_milliseconds(double ms) {
    if (ms < 0)
        printf(" %11s", "-");
    else
        printf(" %11.4f", ms);
}

void report_latency(const Latency *latency, int count) {
    if (count) printf("\nfirst answer of Q6, ms          rows  in process  from shell\n");
    for (int i = 0; i < count; i++) {
        printf("%-24s %11" PRId64, latency[i].what, latency[i].rows);
        report_milliseconds(latency[i].process_ms);
        report_milliseconds(latency[i].shell_ms);
        printf("\n");
    }
}

void report_large(const LargeFigure *large, int count) {
    if (count) printf("\ncompiling large programs         loops           ms     peak MB\n");
    for (int i = 0; i < count; i++)
        printf("%-24s %13d %12.1f %11.0f\n", large[i].title, large[i].count, large[i].ms, large[i].mb);
}

void report_gradients(const GradientFigure *gradients, int count) {
    if (count) printf("\nvalue and gradient        function ms     both ms   times\n");
    for (int i = 0; i < count; i++)
        printf("%-26s %10.3f %11.3f %7.2f\n", gradients[i].title, gradients[i].function_ms,
               gradients[i].gradient_ms, gradients[i].gradient_ms / gradients[i].function_ms);
}

void report_flagship(const FlagshipFigure *figures, int count) {
    double best = INFINITY;
    for (int i = 1; i < count; i++) best = fmin(best, figures[i].process_ms);
    if (count) printf("\nfrom two CSV files to a model  process ms  after imports  last loss  told right\n");
    for (int i = 0; i < count; i++) {
        printf("%-28s %12.0f", figures[i].title, figures[i].process_ms);
        if (figures[i].inside_ms < 0)
            printf(" %14s", "-");
        else
            printf(" %14.0f", figures[i].inside_ms);
        printf(" %10.4f %11.4f\n", figures[i].loss, figures[i].right);
    }
    if (count > 1) printf("    over the best peer: %.2f\n", figures[0].process_ms / best);
}

static void markdown_cell(FILE *out, const Figures *figures, int threads, bool peers) {
    const Engine *weldc = engine_find(figures, ENGINE_WELDC, threads);
    const Engine *other = peers ? best_peer(figures, threads) : engine_find(figures, ENGINE_NATIVE, threads);
    if (!weldc || !other)
        fprintf(out, " - |");
    else if (peers)
        fprintf(out, " %.2f %s |", engine_median(weldc) / engine_median(other), other->name);
    else
        fprintf(out, " %.2f |", engine_median(weldc) / engine_median(other));
}

void markdown_write(FILE *out, const Figures *figures, int count) {
    fprintf(out, "| workload | C, ms | weldc, ms | GB/s | compile, ms | over C | 2 threads | over best peer "
                 "| 2 threads |\n"
                 "|---|---|---|---|---|---|---|---|---|\n");
    for (int i = 0; i < count; i++) {
        const Engine *native = engine_find(&figures[i], ENGINE_NATIVE, 1);
        const Engine *weldc = engine_find(&figures[i], ENGINE_WELDC, 1);
        fprintf(out, "| %s |", figures[i].workload->title);
        if (native && weldc)
            fprintf(out, " %.2f | %.2f | %.1f |", engine_median(native), engine_median(weldc),
                    gigabytes(&figures[i], engine_median(weldc)));
        else
            fprintf(out, " - | - | - |");
        if (figures[i].compile_ms >= 0)
            fprintf(out, " %.0f |", figures[i].compile_ms);
        else
            fprintf(out, " - |");
        for (int peers = 0; peers < 2; peers++)
            for (int threads = 1; threads <= 2; threads++) markdown_cell(out, &figures[i], threads, peers);
        fprintf(out, "\n");
    }
}

static void json_engine(FILE *out, const Figures *figures, const Engine *engine) {
    fprintf(out, "{\"name\": \"%s\", \"threads\": %d, \"agrees\": %s, \"rounds\": %d", engine->name,
            engine->threads, engine->agrees ? "true" : "false", engine->rounds);
    if (engine->rounds) {
        double ms = engine_median(engine), least = engine->ms[0];
        for (int i = 1; i < engine->rounds; i++) least = engine->ms[i] < least ? engine->ms[i] : least;
        fprintf(out, ", \"ms\": %.4f, \"least_ms\": %.4f, \"gbs\": %.3f", ms, least, gigabytes(figures, ms));
        const Engine *native = engine_find(figures, ENGINE_NATIVE, engine->threads);
        if (native) fprintf(out, ", \"over_c\": %.4f", ms / engine_median(native));
        if (native && engine->kind == ENGINE_WELDC && figures->compile_ms >= 0)
            fprintf(out, ", \"over_c_compile_included\": %.4f",
                    (ms + figures->compile_ms) / engine_median(native));
    }
    fprintf(out, "}");
}

static void json_workload(FILE *out, const Figures *figures) {
    fprintf(out,
            "  {\"name\": \"%s\", \"bytes\": %" PRId64 ", \"compile_ms\": %.3f, \"compile_low_ms\": %.3f, "
            "\"compile_high_ms\": %.3f, \"bar\": \"%s\",\n   \"engines\": [",
            figures->workload->name, figures->bytes, figures->compile_ms, figures->compile_low,
            figures->compile_high, figures->workload->streaming ? "read bandwidth" : "C");
    for (int i = 0; i < figures->count; i++) {
        if (i) fprintf(out, ",\n    ");
        json_engine(out, figures, &figures->engines[i]);
    }
    fprintf(out, "]}");
}

void json_write(FILE *out, const char *versions, int64_t rows, const Machine *machine, const Figures *figures,
                int count, const Latency *latency, int latencies, const LargeFigure *large, int larges,
                const GradientFigure *gradients, int gradient_count, const FlagshipFigure *flagships,
                int flagship_count) {
    fprintf(out, "{\"rows\": %" PRId64 ", \"peers\": \"%s\",\n \"machine\": [", rows, versions);
    for (int t = 0; t < machine->count; t++)
        fprintf(out, "%s{\"threads\": %d, \"read_gbs\": %.2f, \"triad_gbs\": %.2f}", t ? ", " : "",
                machine->threads[t], machine->read_gbs[t], machine->triad_gbs[t]);
    fprintf(out, "],\n \"workloads\": [\n");
    for (int i = 0; i < count; i++) {
        json_workload(out, &figures[i]);
        fprintf(out, i + 1 < count ? ",\n" : "\n");
    }
    fprintf(out, " ],\n \"latency\": [\n");
    for (int i = 0; i < latencies; i++) {
        fprintf(out, "  {\"what\": \"%s\", \"rows\": %" PRId64 ", \"process_ms\": %.4f", latency[i].what,
                latency[i].rows, latency[i].process_ms);
        if (latency[i].shell_ms >= 0) fprintf(out, ", \"shell_ms\": %.4f", latency[i].shell_ms);
        fprintf(out, i + 1 < latencies ? "},\n" : "}\n");
    }
    fprintf(out, " ],\n \"large\": [\n");
    for (int i = 0; i < larges; i++)
        fprintf(out, "  {\"what\": \"%s\", \"loops\": %d, \"compile_ms\": %.2f, \"peak_mb\": %.1f}%s\n",
                large[i].title, large[i].count, large[i].ms, large[i].mb, i + 1 < larges ? "," : "");
    fprintf(out, " ],\n \"gradients\": [\n");
    for (int i = 0; i < gradient_count; i++)
        fprintf(out, "  {\"what\": \"%s\", \"function_ms\": %.4f, \"gradient_ms\": %.4f}%s\n",
                gradients[i].title, gradients[i].function_ms, gradients[i].gradient_ms,
                i + 1 < gradient_count ? "," : "");
    fprintf(out, " ],\n \"flagship\": [\n");
    for (int i = 0; i < flagship_count; i++)
        fprintf(out, "  {\"what\": \"%s\", \"process_ms\": %.1f, \"loss\": %.6f, \"right\": %.4f}%s\n",
                flagships[i].title, flagships[i].process_ms, flagships[i].loss, flagships[i].right,
                i + 1 < flagship_count ? "," : "");
    fprintf(out, " ]}\n");
}
