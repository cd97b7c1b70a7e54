/* native_orders.c: the pipeline of examples/orders.h by hand, twice.
 *
 * native_orders is one loop, eight orders at a time: those that do not count add zeros. calls_orders is what the same calls
 * do when each computes: an array library's loops, a table's filter, then functions of GSL and BLAS over columns.
 */
#include <cblas.h>
#include <gsl/gsl_sf_erf.h>
#include <gsl/gsl_statistics_double.h>

#include "native.h"

enum { SHIPDATE, QUANTITY, PRICE, DISCOUNT, TAX, COLUMNS };
static const double root_two_pi = 2.5066282746310002;

typedef struct Sums {
    double count, charges, usual, scores, squares;
} Sums;

static inline int counts(int32_t shipdate, double quantity) {
    return (shipdate >= 19930101) & (shipdate < 19980101) & (quantity <= 45);
}

static void orders_rest(const Inputs *in, int64_t start, int64_t end, Sums *out) {
    for (int64_t i = start; i < end; i++) {
        if (!counts(INPUT(SHIPDATE, int32_t)[i], INPUT(QUANTITY, double)[i])) continue;
        double revenue = INPUT(PRICE, double)[i] * (1 - INPUT(DISCOUNT, double)[i]);
        double charge = revenue * (1 + INPUT(TAX, double)[i]);
        double z = (log(revenue) - in->numbers[0]) / in->numbers[1];
        out->count++;
        out->charges += charge;
        out->usual += charge * (exp(-0.5 * z * z) / root_two_pi);
        out->scores += fabs(z);
        out->squares += z * z;
    }
}

static void orders_range(const Inputs *in, int64_t start, int64_t end, Sums *out) {
    typedef int32_t Dates __attribute__((vector_size(32), aligned(4)));
    Lanes count = all(0), charges = all(0), usual = all(0), scores = all(0), squares = all(0);
    double mean = in->numbers[0], scale = 1 / in->numbers[1];
    int64_t i = start;
    for (; i + LANES <= end; i += LANES) {
        LanesI dates = __builtin_convertvector(*(const Dates *)(INPUT(SHIPDATE, int32_t) + i), LanesI);
        LanesI keep =
            (dates >= 19930101) & (dates < 19980101) & (LanesI)(load(INPUT(QUANTITY, double) + i) <= 45.0);
        Lanes revenue = load(INPUT(PRICE, double) + i) * (1.0 - load(INPUT(DISCOUNT, double) + i));
        Lanes charge = (Lanes)((LanesI)(revenue * (1.0 + load(INPUT(TAX, double) + i))) & keep);
        Lanes z = (Lanes)((LanesI)((lanes_log(revenue) - mean) * scale) & keep), square = z * z;
        count += (Lanes)((LanesI)all(1) & keep);
        charges += charge;
        usual += charge * lanes_exp(-0.5 * square);
        scores += (Lanes)((LanesI)z & INT64_MAX);
        squares += square;
    }
    *out =
        (Sums){add_up(count), add_up(charges), add_up(usual) / root_two_pi, add_up(scores), add_up(squares)};
    orders_rest(in, i, end, out);
}

typedef struct OrdersAnswer {
    double mean, usual, scores, norm;
} OrdersAnswer;

void native_orders(const Inputs *in, void *out) {
    Sums parts[MOST_THREADS];
#pragma omp parallel for num_threads(in->threads) schedule(static, 1)
    for (int t = 0; t < in->threads; t++)
        orders_range(in, share(LENGTH(0), t, in->threads), share(LENGTH(0), t + 1, in->threads), &parts[t]);
    for (int t = 1; t < in->threads; t++) {
        parts->count += parts[t].count;
        parts->charges += parts[t].charges;
        parts->usual += parts[t].usual;
        parts->scores += parts[t].scores;
        parts->squares += parts[t].squares;
    }
    *(OrdersAnswer *)out = (OrdersAnswer){parts->count > 0 ? parts->charges / parts->count : 0, parts->usual,
                                          parts->scores, sqrt(parts->squares)};
}

/* An array library's function: a loop over all elements, and a new array. */
#define ELEMENTWISE(out, rows, expression)      \
    double *out = take(in, (size_t)(rows) * 8); \
    for (int64_t i = 0; i < (rows); i++) out[i] = (expression)

static double *logarithms(const Inputs *in, const double *x, int64_t rows) {
    double *out = take(in, (size_t)(rows + LANES) * 8);
    int64_t i = 0;
    for (; i + LANES <= rows; i += LANES) store(out + i, lanes_log(load(x + i)));
    for (; i < rows; i++) out[i] = log(x[i]);
    return out;
}

/* A table's filter: which rows count, then each column of these. */
static int64_t filter_columns(const Inputs *in, const double *const *columns, int count, double **kept) {
    int64_t rows = LENGTH(0), length = 0;
    const int32_t *shipdate = INPUT(SHIPDATE, int32_t);
    const double *quantity = INPUT(QUANTITY, double);
    uint8_t *keep = take(in, (size_t)rows);
    for (int64_t i = 0; i < rows; i++) length += keep[i] = (uint8_t)counts(shipdate[i], quantity[i]);
    for (int k = 0; k < count; k++) {
        double *column = kept[k] = take(in, (size_t)(length + 1) * 8);
        for (int64_t i = 0, at = 0; i < rows; i++) {
            column[at] = columns[k][i];
            at += keep[i];
        }
    }
    return length;
}

void calls_orders(const Inputs *in, void *out) {
    int64_t rows = LENGTH(0);
    double center = in->numbers[0], deviation = in->numbers[1];
    const double *price = INPUT(PRICE, double), *discount = INPUT(DISCOUNT, double);
    ELEMENTWISE(share_paid, rows, 1 - discount[i]);
    ELEMENTWISE(revenue, rows, price[i] * share_paid[i]);
    double *logarithm = logarithms(in, revenue, rows);
    ELEMENTWISE(centred, rows, logarithm[i] - center);
    ELEMENTWISE(score, rows, centred[i] / deviation);
    const double *columns[] = {revenue, INPUT(TAX, double), score};
    double *kept[3];
    int64_t length = filter_columns(in, columns, 3, kept);
    ELEMENTWISE(charge, length, kept[0][i] * (1 + kept[1][i]));
    ELEMENTWISE(density, length, gsl_sf_erf_Z(kept[2][i]));
    *(OrdersAnswer *)out =
        (OrdersAnswer){length ? gsl_stats_mean(charge, 1, (size_t)length) : 0,
                       cblas_ddot((int)length, charge, 1, density, 1), cblas_dasum((int)length, kept[2], 1),
                       cblas_dnrm2((int)length, kept[2], 1)};
}
