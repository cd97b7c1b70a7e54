/* native_pipeline.c: examples/pipeline.weld by hand: filter a table, standardize its features, fit a model.
 *
 * The rows that stay are kept as columns, standardized in place; a step of the fit reads them once. exp(-|s|)
 * serves both the probability and the loss.
 */
#include <string.h>

#include "native.h"

enum { FEATURES = 4, COLUMNS = FEATURES + 1, TOTALS = FEATURES + 2 };

typedef struct Rows {
    double *column[COLUMNS]; /* the last one: the label */
    int64_t starts[MOST_THREADS + 1];
} Rows;

typedef struct PipelineAnswer {
    int64_t rows;
    double weights[COLUMNS];
    Vector losses;
    double accuracy;
} PipelineAnswer;

static inline bool stays(int32_t shipdate) {
    return (shipdate >= 19940101) & (shipdate < 19970101);
}

static int64_t count_rows(const Inputs *in, int64_t start, int64_t end) {
    const int32_t *shipdate = INPUT(0, int32_t);
    int64_t count = 0;
    for (int64_t i = start; i < end; i++) count += stays(shipdate[i]);
    return count;
}

/* Writes every row, and goes on to the next place where one stays. */
static void filter_rows(const Inputs *in, int64_t start, int64_t end, const Rows *rows, int t) {
    double *const *column = rows->column;
    int64_t at = rows->starts[t], room = rows->starts[t + 1];
    for (int64_t i = start; i < end && at < room; i++) {
        double quantity = INPUT(1, double)[i], price = INPUT(2, double)[i], discount = INPUT(3, double)[i];
        double tax = INPUT(4, double)[i];
        column[0][at] = quantity;
        column[1][at] = price / quantity;
        column[2][at] = discount;
        column[3][at] = tax;
        column[4][at] = price * (1.0 - discount) * (1.0 + tax) > 40000.0 ? 1.0 : 0.0;
        at += stays(INPUT(0, int32_t)[i]);
    }
}

static void standardize(const Inputs *in, const Rows *rows, int64_t n) {
    for (int k = 0; k < FEATURES; k++) {
        double *x = rows->column[k], sum = 0, squares = 0;
#pragma omp parallel for simd reduction(+ : sum) num_threads(in->threads) schedule(static)
        for (int64_t i = 0; i < n; i++) sum += x[i];
        double mean = sum / (double)n;
#pragma omp parallel for simd reduction(+ : squares) num_threads(in->threads) schedule(static)
        for (int64_t i = 0; i < n; i++) squares += (x[i] - mean) * (x[i] - mean);
        double scale = sqrt((double)n / squares);
#pragma omp parallel for simd num_threads(in->threads) schedule(static)
        for (int64_t i = 0; i < n; i++) x[i] = (x[i] - mean) * scale;
    }
}

static inline Lanes score(const double *w, const Lanes *x) {
    return w[0] * x[0] + w[1] * x[1] + w[2] * x[2] + w[3] * x[3] + w[4];
}

/* The last rows are filled up with zeros, whose part is taken away by `lives`. */
static int load_rows(const Rows *rows, int64_t i, int64_t end, Lanes *x, Lanes *lives) {
    int count = end - i < LANES ? (int)(end - i) : LANES;
    *lives = all(1);
    if (count == LANES) {
        for (int k = 0; k < COLUMNS; k++) x[k] = load(rows->column[k] + i);
        return count;
    }
    for (int lane = 0; lane < LANES; lane++) {
        for (int k = 0; k < COLUMNS; k++) x[k][lane] = lane < count ? rows->column[k][i + lane] : 0;
        (*lives)[lane] = lane < count;
    }
    return count;
}

static void step_range(const Rows *rows, int64_t start, int64_t end, const double *w, double *totals) {
    Lanes sums[TOTALS] = {{0}}, x[COLUMNS], lives;
    for (int64_t i = start; i < end; i += LANES) {
        load_rows(rows, i, end, x, &lives);
        Lanes s = score(w, x), y = x[FEATURES];
        LanesI above = (LanesI)(s > 0.0);
        Lanes positive = pick(above, s, all(0));
        Lanes t = lanes_exp(s - 2.0 * positive); /* exp(-|s|) */
        Lanes most = 1.0 / (1.0 + t), p = pick(above, most, t * most);
        Lanes e = (p - y) * lives;
        for (int k = 0; k < FEATURES; k++) sums[k] += e * x[k];
        sums[FEATURES] += e;
        sums[FEATURES + 1] += (positive - y * s + lanes_log(1.0 + t)) * lives;
    }
    for (int k = 0; k < TOTALS; k++) totals[k] = add_up(sums[k]);
}

static double fit_step(const Inputs *in, const Rows *rows, int64_t n, double *w) {
    double parts[MOST_THREADS][TOTALS], total[TOTALS] = {0}, pace = in->numbers[1] / (double)n;
#pragma omp parallel for num_threads(in->threads) schedule(static, 1)
    for (int t = 0; t < in->threads; t++)
        step_range(rows, share(n, t, in->threads), share(n, t + 1, in->threads), w, parts[t]);
    for (int t = 0; t < in->threads; t++)
        for (int k = 0; k < TOTALS; k++) total[k] += parts[t][k];
    for (int k = 0; k < COLUMNS; k++) w[k] -= pace * total[k];
    return total[TOTALS - 1] / (double)n;
}

static int64_t count_right(const Inputs *in, const Rows *rows, int64_t n, const double *w) {
    int64_t right = 0;
#pragma omp parallel for simd reduction(+ : right) num_threads(in->threads) schedule(static)
    for (int64_t i = 0; i < n; i++) {
        double s = w[0] * rows->column[0][i] + w[1] * rows->column[1][i] + w[2] * rows->column[2][i] +
                   w[3] * rows->column[3][i] + w[4];
        right += (s > 0.0) == (rows->column[4][i] > 0.5);
    }
    return right;
}

void native_pipeline(const Inputs *in, void *out) {
    int64_t length = LENGTH(0), steps = (int64_t)in->numbers[0];
    int threads = in->threads;
    Rows rows;
    rows.starts[0] = 0;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++)
        rows.starts[t + 1] = count_rows(in, share(length, t, threads), share(length, t + 1, threads));
    for (int t = 0; t < threads; t++) rows.starts[t + 1] += rows.starts[t];
    int64_t n = rows.starts[threads];
    for (int k = 0; k < COLUMNS; k++) rows.column[k] = take(in, (size_t)(n + LANES) * 8);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++)
        filter_rows(in, share(length, t, threads), share(length, t + 1, threads), &rows, t);
    standardize(in, &rows, n);
    PipelineAnswer *answer = out;
    double *losses = take(in, (size_t)steps * 8);
    memset(answer->weights, 0, sizeof answer->weights);
    for (int64_t step = 0; step < steps; step++) losses[step] = fit_step(in, &rows, n, answer->weights);
    answer->rows = n;
    answer->losses = (Vector){losses, steps};
    answer->accuracy = (double)count_right(in, &rows, n, answer->weights) / (double)n;
}
