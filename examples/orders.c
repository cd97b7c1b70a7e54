/* orders.c: four libraries in one pass over a table of orders.
 *
 *     cc -o orders orders.c $(pkg-config --cflags --libs weld) -lweld-frame -lweld-ndarray -lm
 *     ./orders 1000000
 *
 * ndarray computes revenue and a standardized score, frame keeps the orders that count and adds a column, gsl and cblas make
 * four numbers of two columns: twelve calls, of which none computes (orders.h). All is evaluated at once, as one program. This
 * computes the same by hand, compares, counts the fragments that are left of the calls, and asks how much memory they took. */
#include "orders.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <weld_frame.h>
#include <weld_ndarray.h>

static int orders_make(Orders *orders) {
    size_t rows = (size_t)orders->rows;
    double *columns = malloc(rows * 4 * sizeof *columns);
    int32_t *dates = malloc(rows * sizeof *dates);
    for (size_t i = 0; columns && dates && i < rows; i++) {
        dates[i] = (int32_t)(19920101 + i * 7919 % 7 * 10000 + i % 12 * 100 + i % 28);
        columns[i] = (double)(1 + i * 31 % 50);
        columns[rows + i] = columns[i] * (double)(900 + i * 104729 % 1200);
        columns[2 * rows + i] = (double)(i * 13 % 11) / 100;
        columns[3 * rows + i] = (double)(i * 17 % 9) / 100;
    }
    orders->shipdate = dates;
    orders->quantity = columns;
    orders->price = columns + rows;
    orders->discount = columns + 2 * rows;
    orders->tax = columns + 3 * rows;
    return columns && dates;
}

static void by_hand(const Orders *orders, double *out) {
    double charges = 0, weighted = 0, sum = 0, squares = 0;
    int64_t count = 0;
    for (int64_t i = 0; i < orders->rows; i++) {
        if (!(orders->shipdate[i] >= 19930101 && orders->shipdate[i] < 19980101 && orders->quantity[i] <= 45))
            continue;
        double revenue = orders->price[i] * (1 - orders->discount[i]),
               charge = revenue * (1 + orders->tax[i]);
        double z = (log(revenue) - orders->mean) / orders->deviation;
        count++;
        charges += charge;
        weighted += charge * (exp(-(z * z) / 2) / 2.5066282746310002);
        sum += fabs(z);
        squares += z * z;
    }
    out[0] = count ? charges / (double)count : 0;
    out[1] = weighted;
    out[2] = sum;
    out[3] = sqrt(squares);
}

int main(int count, char **words) {
    static const char *const names[] = {"mean charge", "usual charges", "sum of |score|", "norm of score"};
    Orders orders = {.rows = count > 1 ? atoll(words[1]) : 100000, .mean = 10.2, .deviation = 0.9};
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_lazy_t results[ORDERS_RESULTS] = {NULL};
    weld_value_t values[ORDERS_RESULTS] = {NULL};
    double expected[ORDERS_RESULTS];
    int failed = 1;
    if (!orders_make(&orders)) {
        fputs("no memory\n", stderr);
    } else if (!orders_emit(&orders, results, error) ||
               !weld_lazy_evaluate(context, results, ORDERS_RESULTS, values, error)) {
        fputs(weld_error_message(error), stderr);
    } else {
        failed = 0;
        by_hand(&orders, expected);
        for (int i = 0; i < ORDERS_RESULTS; i++) {
            double got = *(double *)weld_value_data(values[i]);
            int differs = !(fabs(got - expected[i]) <= 1e-9 * fabs(expected[i]));
            printf("%-14s %.9g%s\n", names[i], got, differs ? "   by hand it is another number" : "");
            failed |= differs;
        }
        int fragments = orders_fragments(results, ORDERS_RESULTS);
        long long peak = (long long)weld_context_memory_peak(context);
        printf("fragments: %d; bytes at most beside the inputs: %lld\n", fragments, peak);
        failed |=
            fragments != 1 || peak >= 4 * orders.rows; /* a column of the orders that count would be more */
    }
    for (int i = 0; i < ORDERS_RESULTS; i++) {
        weld_value_free(values[i]);
        weld_lazy_free(results[i]);
    }
    free((void *)orders.shipdate);
    free((void *)orders.quantity);
    weld_context_free(context);
    weld_error_free(error);
    return failed;
}
