/* ndarray.c: chains of array operations (adapters/ndarray) beside C loops written by hand.
 *
 *     weldc-bench-ndarray [ELEMENTS [ROUNDS [THREADS]]]
 *
 * Both take turns; the least time of each counts, compile time apart. The C is one thread's, so compare with 1 thread. The
 * answers are compared. Its memory is kept from round to round, as that of weldc's results is not: that is part of computing.
 */
#include <weld_ndarray.h>

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

typedef struct Data {
    int64_t rows, columns;
    double *x, *y, *row; /* rows x columns, the same, columns */
    weld_nd_t nx, ny, nrow;
    double *out;
} Data;

static weld_error_t error;

static weld_nd_t must(weld_nd_t nd) {
    if (nd) return nd;
    fprintf(stderr, "%s\n", weld_error_message(error));
    exit(1);
}

static weld_nd_t number(double value) {
    return must(weld_nd_full(WELD_ND_F64, &value, 0, NULL, error));
}

/* These free what they are given. */
static weld_nd_t binary(weld_nd_binary_op op, weld_nd_t a, weld_nd_t b) {
    weld_nd_t result = must(weld_nd_binary(op, a, b, error));
    weld_nd_free(a);
    weld_nd_free(b);
    return result;
}
static weld_nd_t unary(weld_nd_unary_op op, weld_nd_t a) {
    weld_nd_t result = must(weld_nd_unary(op, a, error));
    weld_nd_free(a);
    return result;
}
static weld_nd_t reduce(weld_nd_reduce_op op, weld_nd_t a, int axis) {
    weld_nd_t result = must(weld_nd_reduce(op, a, axis < 0 ? NULL : &axis, 1, false, error));
    weld_nd_free(a);
    return result;
}
static weld_nd_t hold(weld_nd_t a) {
    return weld_nd_hold(a);
}

/* ---- the chains, each by C and as arrays; the result has `size` elements ---- */

/* sum(sqrt(x x + y y) * where(x > y, 2, 0.5)) */
static void c_norms(Data *d) {
    double sum = 0;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = 0; i < d->rows * d->columns; i++)
        sum += sqrt(d->x[i] * d->x[i] + d->y[i] * d->y[i]) * (d->x[i] > d->y[i] ? 2 : 0.5);
    d->out[0] = sum;
}
static weld_nd_t nd_norms(const Data *d) {
    weld_nd_t xx = unary(WELD_ND_SQUARE, hold(d->nx)), yy = unary(WELD_ND_SQUARE, hold(d->ny));
    weld_nd_t norm = unary(WELD_ND_SQRT, binary(WELD_ND_ADD, xx, yy));
    weld_nd_t more = binary(WELD_ND_GREATER, hold(d->nx), hold(d->ny)), two = number(2), half = number(0.5);
    weld_nd_t factor = must(weld_nd_where(more, two, half, error));
    weld_nd_free(more), weld_nd_free(two), weld_nd_free(half);
    return reduce(WELD_ND_SUM, binary(WELD_ND_MULTIPLY, norm, factor), -1);
}

/* (x - row) / (row + 1), row by row */
static void c_rows(Data *d) {
    for (int64_t i = 0; i < d->rows; i++) {
        for (int64_t j = 0; j < d->columns; j++)
            d->out[i * d->columns + j] = (d->x[i * d->columns + j] - d->row[j]) / (d->row[j] + 1);
    }
}
static weld_nd_t nd_rows(const Data *d) {
    weld_nd_t below = binary(WELD_ND_ADD, hold(d->nrow), number(1));
    return binary(WELD_ND_DIVIDE, binary(WELD_ND_SUBTRACT, hold(d->nx), hold(d->nrow)), below);
}

/* the mean of each column */
static void c_columns(Data *d) {
    memset(d->out, 0, sizeof *d->out * (size_t)d->columns);
    for (int64_t i = 0; i < d->rows; i++) {
        for (int64_t j = 0; j < d->columns; j++) d->out[j] += d->x[i * d->columns + j];
    }
    for (int64_t j = 0; j < d->columns; j++) d->out[j] /= (double)d->rows;
}
static weld_nd_t nd_columns(const Data *d) {
    return reduce(WELD_ND_MEAN, hold(d->nx), 0);
}

/* the greatest of each row */
static void c_greatest(Data *d) {
    for (int64_t i = 0; i < d->rows; i++) {
        double most = -INFINITY;
#pragma omp simd reduction(max : most)
        for (int64_t j = 0; j < d->columns; j++)
            most = d->x[i * d->columns + j] > most ? d->x[i * d->columns + j] : most;
        d->out[i] = most;
    }
}
static weld_nd_t nd_greatest(const Data *d) {
    return reduce(WELD_ND_MAX, hold(d->nx), 1);
}

/* (x[1:-1, :] * 2 - x[:-2, :] - x[2:, :]) ^ 2, summed */
static void c_stencil(Data *d) {
    double sum = 0;
    const double *x = d->x;
    int64_t m = d->columns;
#pragma omp simd reduction(+ : sum)
    for (int64_t i = m; i < (d->rows - 1) * m; i++) {
        double difference = x[i] * 2 - x[i - m] - x[i + m];
        sum += difference * difference;
    }
    d->out[0] = sum;
}
static weld_nd_t nd_stencil(const Data *d) {
    weld_nd_t middle = must(weld_nd_slice(d->nx, 0, 1, -1, 1, error));
    weld_nd_t above = must(weld_nd_slice(d->nx, 0, WELD_ND_NONE, -2, 1, error));
    weld_nd_t below = must(weld_nd_slice(d->nx, 0, 2, WELD_ND_NONE, 1, error));
    weld_nd_t twice = binary(WELD_ND_MULTIPLY, middle, number(2));
    weld_nd_t all = binary(WELD_ND_SUBTRACT, binary(WELD_ND_SUBTRACT, twice, above), below);
    return reduce(WELD_ND_SUM, unary(WELD_ND_SQUARE, all), -1);
}

/* x transposed + y, elements of which lie far apart */
static void c_transposed(Data *d) {
    for (int64_t j = 0; j < d->columns; j++) {
        for (int64_t i = 0; i < d->rows; i++)
            d->out[j * d->rows + i] = d->x[i * d->columns + j] * d->y[i * d->columns + j];
    }
}
static weld_nd_t nd_transposed(const Data *d) {
    weld_nd_t x = must(weld_nd_transpose(d->nx, NULL, error)),
              y = must(weld_nd_transpose(d->ny, NULL, error));
    return binary(WELD_ND_MULTIPLY, x, y);
}

static const struct {
    const char *name;
    void (*c)(Data *d);
    weld_nd_t (*nd)(const Data *d);
} chains[] = {
    {"sum of norms", c_norms, nd_norms},          {"rows, broadcast", c_rows, nd_rows},
    {"means of columns", c_columns, nd_columns},  {"greatest of rows", c_greatest, nd_greatest},
    {"stencil of slices", c_stencil, nd_stencil}, {"transposed product", c_transposed, nd_transposed},
};

/* ---- measuring ---- */

static double now_ms(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec * 1e3 + (double)time.tv_nsec * 1e-6;
}

static double worst_difference(const double *a, const double *b, int64_t count) {
    double worst = 0;
    for (int64_t i = 0; i < count; i++) {
        double difference = fabs(a[i] - b[i]) / fmax(1, fabs(a[i]));
        if (!(difference <= worst)) worst = difference;
    }
    return worst;
}

static bool measure(Data *d, weld_context_t context, int number, int rounds) {
    weld_nd_t nd = chains[number].nd(d);
    double c = INFINITY, ours = INFINITY, differ = 0;
    for (int i = 0; i <= rounds; i++) {
        weld_value_t value;
        double start = now_ms();
        if (!weld_nd_evaluate(context, &nd, 1, &value, error)) must(NULL);
        double middle = now_ms();
        chains[number].c(d);
        double stop = now_ms();
        double *const *vector = weld_value_data(value);
        const double *result = weld_nd_rank(nd) ? *vector : weld_value_data(value);
        differ = fmax(differ, worst_difference(d->out, result, weld_nd_size(nd)));
        weld_value_free(value);
        if (i == 0) continue; /* compiles */
        ours = fmin(ours, middle - start);
        c = fmin(c, stop - middle);
    }
    weld_nd_free(nd);
    printf("%-20s C %8.2f ms   weldc %8.2f ms   ratio %5.2f%s\n", chains[number].name, c, ours, c / ours,
           differ < 1e-9 ? "" : "   DIFFERENT ANSWERS");
    return differ < 1e-9;
}

int main(int count, char **words) {
    int64_t elements = count > 1 ? atoll(words[1]) : 10000000, columns = 1000;
    int rounds = count > 2 ? atoi(words[2]) : 10;
    Data d = {.columns = columns, .rows = elements / columns > 3 ? elements / columns : 3};
    size_t size = (size_t)(d.rows * d.columns);
    d.x = malloc(size * 8), d.y = malloc(size * 8), d.out = malloc(size * 8),
    d.row = malloc((size_t)columns * 8);
    if (!d.x || !d.y || !d.out || !d.row) return 1;
    for (size_t i = 0; i < size; i++)
        d.x[i] = (double)(i * 7919 % 1009) / 16, d.y[i] = (double)(i * 104729 % 1013) / 32;
    for (int64_t j = 0; j < columns; j++) d.row[j] = (double)j / 8;
    error = weld_error_new();
    int64_t shape[] = {d.rows, d.columns};
    d.nx = must(weld_nd_from(WELD_ND_F64, d.x, 2, shape, NULL, NULL, NULL, error));
    d.ny = must(weld_nd_from(WELD_ND_F64, d.y, 2, shape, NULL, NULL, NULL, error));
    d.nrow = must(weld_nd_from(WELD_ND_F64, d.row, 1, &columns, NULL, NULL, NULL, error));
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.threads", count > 3 ? words[3] : "1");
    weld_context_t context = weld_context_new(conf);
    bool ok = context != NULL;
    for (size_t i = 0; ok && i < sizeof chains / sizeof *chains; i++)
        ok &= measure(&d, context, (int)i, rounds);
    weld_context_free(context);
    weld_conf_free(conf);
    weld_nd_free(d.nx), weld_nd_free(d.ny), weld_nd_free(d.nrow);
    weld_error_free(error);
    free(d.x), free(d.y), free(d.out), free(d.row);
    return !ok;
}
