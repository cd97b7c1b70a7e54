/* check.c: each function of the adapter that has both a meaning in the language and a call of the library, one against the
 * other: on vectors of several lengths, with NaN and infinities among their numbers.
 *
 *     cc -o check check.c $(pkg-config --cflags --libs weld) -lm
 */
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <weld.h>

typedef struct {
    double *data;
    int64_t length;
} Vector;

enum { LENGTH = 1000 };

/* The arguments of each function: v for a vector, s for a scalar. */
static const struct {
    const char *name, *arguments, *result;
} shapes[] = {
    {"db", "s", "s"}, {"clip", "sss", "s"}, {"power", "v", "s"}, {"dot", "vv", "s"}, {"gain", "vs", "v"}};

static double number(unsigned at) {
    static const double odd[] = {0, -0.0, NAN, INFINITY, -INFINITY, 1e-310, 1e200};
    at = (at ^ at >> 7) * 2654435761u;
    return at % 64 < sizeof odd / sizeof *odd ? odd[at % 64] : (double)(at >> 8) / 65536 - 100;
}

static int same(double a, double b) {
    return a == b || (isnan(a) && isnan(b)) || fabs(a - b) <= 1e-12 * fmax(fabs(a), fabs(b));
}

static int compare(const void *a, const void *b, const char *type) {
    if (*type == 's') return same(*(const double *)a, *(const double *)b);
    const Vector *v = a, *w = b;
    int ok = v->length == w->length;
    for (int64_t i = 0; ok && i < v->length; i++) ok = same(v->data[i], w->data[i]);
    return ok;
}

/* 0: they agree. */
static int check(const weld_function_t *f, int shape, int64_t length, unsigned seed) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_lazy_t arguments[4];
    double numbers[4][LENGTH];
    int count = (int)strlen(shapes[shape].arguments);
    for (int i = 0; i < count; i++) {
        for (int64_t k = 0; k < LENGTH; k++) numbers[i][k] = number(seed + (unsigned)(i * LENGTH + k));
        Vector vector = {numbers[i], length};
        arguments[i] = shapes[shape].arguments[i] == 'v'
                           ? weld_lazy_data("vec[f64]", &vector, NULL, NULL, error)
                           : weld_lazy_data("f64", numbers[i], NULL, NULL, error);
    }
    weld_lazy_t both[] = {weld_lazy_new(f->name, f->code, arguments, count, error),
                          weld_lazy_new(f->name, f->native, arguments, count, error)};
    weld_value_t values[2] = {NULL, NULL};
    int failed = !both[0] || !both[1] || !weld_lazy_evaluate(context, both, 2, values, error) ||
                 !compare(weld_value_data(values[0]), weld_value_data(values[1]), shapes[shape].result);
    if (failed)
        printf("%s differs, length %d, seed %u: %s\n", f->name, (int)length, seed, weld_error_message(error));
    for (int i = 0; i < 2; i++) {
        weld_value_free(values[i]);
        weld_lazy_free(both[i]);
    }
    for (int i = 0; i < count; i++) weld_lazy_free(arguments[i]);
    weld_context_free(context);
    weld_error_free(error);
    return failed;
}

int main(void) {
    static const int64_t lengths[] = {0, 1, 7, LENGTH};
    weld_error_t error = weld_error_new();
    const weld_adapter_t *adapter = weld_adapter_find("wave", error);
    if (!adapter) {
        fputs(weld_error_message(error), stderr);
        return 1;
    }
    weld_error_free(error);
    int functions = 0, failed = 0;
    for (const weld_function_t *f = adapter->functions; f->name; f++) {
        if (!f->code || !f->native) continue;
        int shape = 0, known = sizeof shapes / sizeof *shapes;
        while (shape < known && strcmp(shapes[shape].name, f->name) != 0) shape++;
        if (shape == known) {
            printf("%s is not checked\n", f->name);
            failed++;
            continue;
        }
        functions++;
        for (unsigned round = 0; round < 20; round++)
            failed += check(f, shape, lengths[round % 4], round * 7919);
    }
    if (!failed) printf("%d functions agree with the library\n", functions);
    return failed != 0;
}
