/* curve.h: a curve of losses as an SVG picture, and a line of progress on a terminal. */
#ifndef CURVE_H
#define CURVE_H

#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <unistd.h>

/* One line that is written over on a terminal, and ends with the last step; elsewhere a line every time. */
static void curve_progress(int64_t step, int64_t steps, double loss) {
    int terminal = isatty(STDERR_FILENO);
    fprintf(stderr, "%sstep %" PRId64 " of %" PRId64 ", loss %.4f%s", terminal ? "\r" : "", step, steps, loss,
            !terminal || step == steps ? "\n" : "  ");
}

/* The losses of the steps from left to right, from 0 below to the greatest. 0: the file cannot be written. */
static int curve_write(const char *path, const char *title, const double *losses, int64_t count) {
    enum { WIDTH = 640, HEIGHT = 360, LEFT = 60, TOP = 40, BOTTOM = 40, RIGHT = 20 };
    double most = 0;
    for (int64_t i = 0; i < count; i++) most = fmax(most, losses[i]);
    if (!(most > 0)) most = 1;
    FILE *file = fopen(path, "w");
    if (!file) return 0;
    fprintf(file,
            "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"%d\" height=\"%d\" font-family=\"sans-serif\" "
            "font-size=\"12\">\n<rect width=\"100%%\" height=\"100%%\" fill=\"white\"/>\n"
            "<text x=\"%d\" y=\"24\" font-size=\"15\">%s</text>\n",
            WIDTH, HEIGHT, LEFT, title);
    for (int i = 0; i <= 4; i++) {
        double y = HEIGHT - BOTTOM - i / 4.0 * (HEIGHT - TOP - BOTTOM);
        fprintf(file,
                "<line x1=\"%d\" x2=\"%d\" y1=\"%.1f\" y2=\"%.1f\" stroke=\"#ddd\"/>"
                "<text x=\"%d\" y=\"%.1f\" text-anchor=\"end\">%.3f</text>\n",
                LEFT, WIDTH - RIGHT, y, y, LEFT - 6, y + 4, most * i / 4);
    }
    fprintf(file, "<polyline fill=\"none\" stroke=\"#1f5faa\" stroke-width=\"2\" points=\"");
    for (int64_t i = 0; i < count; i++) {
        double x = LEFT + (double)i / (double)(count > 1 ? count - 1 : 1) * (WIDTH - LEFT - RIGHT);
        fprintf(file, "%.1f,%.1f ", x, HEIGHT - BOTTOM - losses[i] / most * (HEIGHT - TOP - BOTTOM));
    }
    fprintf(file, "\"/>\n<text x=\"%d\" y=\"%d\">step 1</text>", LEFT, HEIGHT - 14);
    fprintf(file, "<text x=\"%d\" y=\"%d\" text-anchor=\"end\">step %" PRId64 "</text>\n</svg>\n",
            WIDTH - RIGHT, HEIGHT - 14, count);
    int good = !ferror(file);
    return fclose(file) == 0 && good;
}

#endif
