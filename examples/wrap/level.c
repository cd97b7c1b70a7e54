/* level.c: how much energy is in the difference of two signals, in decibels: by calls that compute at once, and by calls of two
 * adapters that become one loop. The number of samples may be given.
 *
 *     cc -O2 -o level level.c $(pkg-config --cflags --libs weld) -lwave
 */
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <wave.h>
#include <weld.h>

typedef struct {
    double *data;
    int64_t length;
} Vector;

static double seconds(void) {
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + (double)t.tv_nsec * 1e-9;
}

/* Three passes over memory, and two vectors between them. */
static double level_at_once(Vector x, Vector y) {
    size_t n = (size_t)x.length;
    double *difference = malloc(n * sizeof *difference), *half = malloc(n * sizeof *half);
    for (size_t i = 0; i < n; i++) difference[i] = y.data[i] - x.data[i];
    wave_gain(difference, n, 0.5, half);
    double level = wave_db(wave_dot(half, half, n));
    free(difference);
    free(half);
    return level;
}

/* The same calls, which compute nothing. Each gives a new reference, and holds those that it was given. */
static weld_lazy_t level_lazily(weld_lazy_t x, weld_lazy_t y, weld_error_t error) {
    weld_lazy_t minus_one = weld_lazy_new(NULL, "-1.0", NULL, 0, error);
    weld_lazy_t one_half = weld_lazy_new(NULL, "0.5", NULL, 0, error);
    weld_lazy_t difference = weld_lazy_call("cblas.daxpy", (weld_lazy_t[]){minus_one, x, y}, 3, error);
    weld_lazy_t half = weld_lazy_call("wave.gain", (weld_lazy_t[]){difference, one_half}, 2, error);
    weld_lazy_t energy = weld_lazy_call("wave.dot", (weld_lazy_t[]){half, half}, 2, error);
    weld_lazy_t level = weld_lazy_call("wave.db", &energy, 1, error);
    weld_lazy_t between[] = {minus_one, one_half, difference, half, energy};
    for (int i = 0; i < 5; i++) weld_lazy_free(between[i]);
    return level;
}

static int fail(weld_error_t error) {
    fputs(weld_error_message(error), stderr);
    return 1;
}

int main(int count, char **words) {
    int64_t n = count > 1 ? atoll(words[1]) : 4000000;
    Vector x = {malloc((size_t)n * sizeof(double)), n}, y = {malloc((size_t)n * sizeof(double)), n};
    for (int64_t i = 0; i < n; i++) {
        x.data[i] = (double)(i % 100);
        y.data[i] = (double)(i % 50);
    }
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_lazy_t lazy_x = weld_lazy_data("vec[f64]", &x, NULL, NULL, error);
    weld_lazy_t lazy_y = weld_lazy_data("vec[f64]", &y, NULL, NULL, error);
    weld_lazy_t level = level_lazily(lazy_x, lazy_y, error);
    if (!level) return fail(error);
    double best[2] = {1e9, 1e9}, answers[2] = {0, 0};
    for (int round = 0; round < 5; round++) {
        double start = seconds();
        answers[0] = level_at_once(x, y);
        double middle = seconds();
        weld_value_t value;
        if (!weld_lazy_evaluate(context, &level, 1, &value, error)) return fail(error);
        answers[1] = *(double *)weld_value_data(value);
        double end = seconds();
        weld_value_free(value);
        if (middle - start < best[0]) best[0] = middle - start;
        if (end - middle < best[1]) best[1] = end - middle;
    }
    printf("at once %.6f dB, lazily %.6f dB\n", answers[0], answers[1]);
    fprintf(stderr, "at once %.2f ms, lazily %.2f ms\n", best[0] * 1e3, best[1] * 1e3);
    char *plan = weld_lazy_plan(&level, 1, error);
    if (plan) fputs(plan, stderr);
    free(plan);
    weld_lazy_free(level);
    weld_lazy_free(lazy_x);
    weld_lazy_free(lazy_y);
    weld_context_free(context);
    weld_error_free(error);
    free(x.data);
    free(y.data);
    return 0;
}
