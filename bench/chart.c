/* chart.c: the figures of one thread as an SVG: for every workload a bar for each engine, its time over that
 * of the hand-written C, on a logarithmic scale. A bar to the left of 1 is faster than the C, one to the
 * right slower.
 */
#include <inttypes.h>
#include <math.h>
#include <string.h>

#include "bench.h"

enum { LABELS = 210, WIDTH = 640, RIGHT = 70, BAR = 11, GAP = 14, TOP = 74 };
static const double LOW = 0.25, HIGH = 256;

typedef struct Color {
    const char *name, *color;
} Color;

static const Color colors[] = {{"weldc", "#c0392b"}, {"numpy", "#4d77cf"},  {"numexpr", "#5bb7c4"},
                               {"numba", "#00a98f"}, {"duckdb", "#e0b400"}, {"polars", "#7a5ba8"},
                               {"jax", "#8a8f98"},   {"scipy", "#a0612c"}};
enum { COLORS = sizeof colors / sizeof *colors };

static double place(double ratio) {
    double x = ratio < LOW ? LOW : ratio > HIGH ? HIGH : ratio;
    return LABELS + WIDTH * log(x / LOW) / log(HIGH / LOW);
}

static double native_ms(const Figures *figures) {
    for (int i = 0; i < figures->count; i++)
        if (figures->engines[i].kind == ENGINE_NATIVE && figures->engines[i].threads == 1 &&
            figures->engines[i].rounds)
            return engine_median(&figures->engines[i]);
    return 0;
}

static bool shown(const Engine *engine) {
    return engine->kind != ENGINE_NATIVE && engine->threads == 1 && engine->rounds;
}

static int bars(const Figures *figures) {
    int count = 0;
    for (int i = 0; i < figures->count; i++) count += shown(&figures->engines[i]);
    return count;
}

static void scale_write(FILE *out, int height) {
    for (double ratio = LOW; ratio <= HIGH; ratio *= 2) {
        double x = place(ratio);
        fprintf(out,
                "<line x1=\"%.1f\" y1=\"%d\" x2=\"%.1f\" y2=\"%d\" stroke=\"%s\" stroke-width=\"%s\"/>\n", x,
                TOP - 8, x, height - 10, ratio == 1 ? "#222" : "#ddd", ratio == 1 ? "1.5" : "1");
        fprintf(out, "<text x=\"%.1f\" y=\"%d\" text-anchor=\"middle\">%g</text>\n", x, TOP - 14, ratio);
    }
}

static void legend_write(FILE *out) {
    for (int i = 0; i < COLORS; i++) {
        int x = LABELS + i * 80;
        fprintf(out,
                "<rect x=\"%d\" y=\"30\" width=\"11\" height=\"11\" fill=\"%s\"/><text x=\"%d\" "
                "y=\"40\">%s</text>\n",
                x, colors[i].color, x + 16, colors[i].name);
    }
}

static void bar_write(FILE *out, const Engine *engine, double native, int y) {
    const char *color = "#999";
    for (int i = 0; i < COLORS; i++)
        if (!strcmp(colors[i].name, engine->name)) color = colors[i].color;
    double ratio = engine_median(engine) / native, from = place(1), to = place(ratio);
    double x = from < to ? from : to, width = fabs(to - from);
    fprintf(out,
            "<rect x=\"%.1f\" y=\"%d\" width=\"%.1f\" height=\"%d\" fill=\"%s\"><title>%s: %.2f "
            "ms</title></rect>\n",
            x, y, width < 1 ? 1 : width, BAR - 1, color, engine->name, engine_median(engine));
    fprintf(out, "<text x=\"%.1f\" y=\"%d\" font-size=\"9\">%.2f%s</text>\n", (from < to ? to : from) + 4,
            y + BAR - 2, ratio, engine->agrees ? "" : " (other answer)");
}

bool chart_write(const char *path, int64_t rows, const Figures *figures, int count) {
    FILE *out = fopen(path, "w");
    if (!out) {
        perror(path);
        return false;
    }
    int height = TOP + 20;
    for (int i = 0; i < count; i++) height += bars(&figures[i]) * BAR + GAP;
    int width = LABELS + WIDTH + RIGHT;
    fprintf(
        out,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" viewBox=\"0 0 %d %d\" "
        "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"%d\" height=\"%d\" fill=\"white\"/>\n",
        width, height, width, height, width, height);
    fprintf(out,
            "<text x=\"10\" y=\"20\" font-size=\"14\">Time over that of hand-written C (= 1), one thread, "
            "%" PRId64 " rows, logarithmic; less is better</text>\n",
            rows);
    legend_write(out);
    scale_write(out, height);
    int y = TOP;
    for (int i = 0; i < count; i++) {
        double native = native_ms(&figures[i]);
        int lines = bars(&figures[i]);
        if (native <= 0 || !lines) continue;
        fprintf(out, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">%s</text>\n", LABELS - 10,
                y + lines * BAR / 2 + 4, figures[i].workload->title);
        for (int k = 0; k < figures[i].count; k++) {
            if (!shown(&figures[i].engines[k])) continue;
            bar_write(out, &figures[i].engines[k], native, y);
            y += BAR;
        }
        y += GAP;
    }
    fprintf(out, "</svg>\n");
    return fclose(out) == 0;
}
