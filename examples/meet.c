/* meet.c: three libraries in one loop: how far two series of prices are apart, by seven calls of ndarray, cblas and gsl.
 *
 *     cc -o meet meet.c $(pkg-config --cflags --libs weld-ndarray) -lm
 *
 * None of the calls computes. Both results are evaluated at once: then all of it becomes one program. It also computes the
 * same by hand, compares, and counts the fragments that are left of the calls.
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weld_ndarray.h>

enum { DAYS = 1000 };

static double x[DAYS], y[DAYS];

static void by_hand(double *mean, double *total) {
    *mean = *total = 0;
    for (int i = 0; i < DAYS; i++) {
        double distance = 0.5 * fabs(log(x[i] / y[i]));
        *mean += distance / DAYS;
        *total += distance;
    }
}

/* The distances as a lazy vector: a view of two arrays, operations on elements, and a call of another library. */
static weld_lazy_t distances(weld_error_t error) {
    int64_t shape[] = {DAYS};
    weld_nd_t a = weld_nd_from(WELD_ND_F64, x, 1, shape, NULL, NULL, NULL, error);
    weld_nd_t b = weld_nd_from(WELD_ND_F64, y, 1, shape, NULL, NULL, NULL, error);
    weld_nd_t ratio = weld_nd_binary(WELD_ND_DIVIDE, a, b, error);
    weld_nd_t logarithm = weld_nd_unary(WELD_ND_LOG, ratio, error);
    weld_nd_t absolute = weld_nd_unary(WELD_ND_ABSOLUTE, logarithm, error);
    weld_lazy_t vector = weld_nd_lazy(absolute, error);
    weld_lazy_t half = weld_lazy_new(NULL, "0.5", NULL, 0, error);
    weld_lazy_t scaled = weld_lazy_call("cblas.dscal", (weld_lazy_t[]){half, vector}, 2, error);
    weld_nd_t arrays[] = {a, b, ratio, logarithm, absolute};
    for (int i = 0; i < 5; i++) weld_nd_free(arrays[i]);
    weld_lazy_free(vector);
    weld_lazy_free(half);
    return scaled;
}

static int count_fragments(const weld_lazy_t *lazies, int64_t count) {
    char *plan = weld_lazy_plan(lazies, count, NULL);
    int fragments = 0;
    for (const char *at = plan; at && (at = strstr(at, "fragment ")); at++) fragments++;
    free(plan);
    return fragments;
}

static int near(double a, double b) {
    return fabs(a - b) <= 1e-12 * fabs(b);
}

int main(void) {
    for (int i = 0; i < DAYS; i++) {
        x[i] = 100 + i % 7;
        y[i] = 100 + i % 11;
    }
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_lazy_t distance = distances(error);
    weld_lazy_t results[] = {weld_lazy_call("gsl.mean", &distance, 1, error),
                             weld_lazy_call("cblas.dasum", &distance, 1, error)};
    weld_value_t values[2] = {NULL, NULL};
    double mean, total;
    int failed = 1;
    by_hand(&mean, &total);
    if (!weld_lazy_evaluate(context, results, 2, values, error)) {
        fputs(weld_error_message(error), stderr);
    } else {
        double means[] = {*(double *)weld_value_data(values[0]), *(double *)weld_value_data(values[1])};
        printf("mean %.9f, total %.6f, fragments: %d\n", means[0], means[1], count_fragments(results, 2));
        failed = !near(means[0], mean) || !near(means[1], total);
        if (failed) printf("by hand: mean %.9f, total %.6f\n", mean, total);
    }
    for (int i = 0; i < 2; i++) {
        weld_value_free(values[i]);
        weld_lazy_free(results[i]);
    }
    weld_lazy_free(distance);
    weld_context_free(context);
    weld_error_free(error);
    return failed;
}
