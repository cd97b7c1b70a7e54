/* orders.h: four libraries in one pass over a table of orders; see orders.c. Each section is somebody's own code, which knows
 * one library and takes and gives lazy values. Nothing computes until the results are evaluated. */
#ifndef ORDERS_H
#define ORDERS_H

#include <stdlib.h>
#include <string.h>
#include <weld_frame.h>
#include <weld_ndarray.h>

/* Columns of equal length, the caller's; dates are numbers such as 19940131. */
typedef struct Orders {
    const int32_t *shipdate;
    const double *quantity, *price, *discount, *tax;
    int64_t rows;
    double mean, deviation; /* of the logarithm of revenue, as a model has them from earlier orders */
} Orders;

enum { ORDERS_RESULTS = 4 }; /* f64 each */

/* ---- ndarray: revenue, and how unusual it is ---- */

static weld_nd_t orders_array(const double *data, int64_t rows, weld_error_t error) {
    return weld_nd_from(WELD_ND_F64, data, 1, &rows, NULL, NULL, NULL, error);
}

static weld_nd_t orders_revenue(const Orders *orders, weld_error_t error) {
    double one = 1;
    weld_nd_t price = orders_array(orders->price, orders->rows, error);
    weld_nd_t discount = orders_array(orders->discount, orders->rows, error);
    weld_nd_t all = weld_nd_full(WELD_ND_F64, &one, 0, NULL, error);
    weld_nd_t share = weld_nd_binary(WELD_ND_SUBTRACT, all, discount, error);
    weld_nd_t revenue = weld_nd_binary(WELD_ND_MULTIPLY, price, share, error);
    weld_nd_t used[] = {price, discount, all, share};
    for (int i = 0; i < 4; i++) weld_nd_free(used[i]);
    return revenue;
}

/* (log(revenue) - mean) / deviation */
static weld_nd_t orders_score(weld_nd_t revenue, const Orders *orders, weld_error_t error) {
    weld_nd_t mean = weld_nd_full(WELD_ND_F64, &orders->mean, 0, NULL, error);
    weld_nd_t deviation = weld_nd_full(WELD_ND_F64, &orders->deviation, 0, NULL, error);
    weld_nd_t logarithm = weld_nd_unary(WELD_ND_LOG, revenue, error);
    weld_nd_t centred = weld_nd_binary(WELD_ND_SUBTRACT, logarithm, mean, error);
    weld_nd_t score = weld_nd_binary(WELD_ND_DIVIDE, centred, deviation, error);
    weld_nd_t used[] = {mean, deviation, logarithm, centred};
    for (int i = 0; i < 4; i++) weld_nd_free(used[i]);
    return score;
}

/* ---- frame: a table of the orders that count ---- */

static weld_frame_t orders_put(weld_frame_t frame, const char *name, weld_lazy_t column, weld_error_t error) {
    weld_frame_t more = weld_frame_add(frame, name, WELD_FRAME_F64, column, NULL, error);
    weld_frame_free(frame);
    weld_lazy_free(column);
    return more;
}

static weld_frame_t orders_table(const Orders *orders, weld_lazy_t revenue, weld_lazy_t score,
                                 weld_error_t error) {
    weld_frame_t dates = weld_frame_add_data(NULL, "shipdate", WELD_FRAME_I32, orders->shipdate, NULL,
                                             orders->rows, NULL, NULL, error);
    weld_frame_t amounts = weld_frame_add_data(dates, "quantity", WELD_FRAME_F64, orders->quantity, NULL,
                                               orders->rows, NULL, NULL, error);
    weld_frame_t taxed = weld_frame_add_data(amounts, "tax", WELD_FRAME_F64, orders->tax, NULL, orders->rows,
                                             NULL, NULL, error);
    weld_frame_free(dates);
    weld_frame_free(amounts);
    return orders_put(orders_put(taxed, "revenue", revenue, error), "score", score, error);
}

static weld_frame_t orders_recent(weld_frame_t table, weld_error_t error) {
    weld_frame_t recent =
        weld_frame_filter(table, "shipdate >= 19930101 && shipdate < 19980101 && quantity <= 45", error);
    weld_frame_t charged = weld_frame_with(recent, "revenue * (1 + tax) as charge", error);
    weld_frame_free(recent);
    return charged;
}

/* ---- gsl and cblas: numbers of two columns ---- */

/* The mean charge, the charges weighted by how usual each order is, the sum and the norm of the scores. */
static int orders_numbers(weld_lazy_t charge, weld_lazy_t score, weld_lazy_t *results, weld_error_t error) {
    weld_lazy_t density =
        weld_lazy_new("orders.density", "|v| map(v, |z| gsl.sf_erf_Z(z))", &score, 1, error);
    results[0] = weld_lazy_call("gsl.mean", &charge, 1, error);
    results[1] = weld_lazy_call("cblas.ddot", (weld_lazy_t[]){charge, density}, 2, error);
    results[2] = weld_lazy_call("cblas.dasum", &score, 1, error);
    results[3] = weld_lazy_call("cblas.dnrm2", &score, 1, error);
    weld_lazy_free(density);
    return results[0] && results[1] && results[2] && results[3];
}

/* ---- who calls them all ---- */

/* Fills results, which the caller frees in any case; 0: error says why not. */
static int orders_emit(const Orders *orders, weld_lazy_t results[ORDERS_RESULTS], weld_error_t error) {
    weld_nd_t revenue = orders_revenue(orders, error), score = orders_score(revenue, orders, error);
    weld_frame_t table =
        orders_table(orders, weld_nd_lazy(revenue, error), weld_nd_lazy(score, error), error);
    weld_frame_t recent = orders_recent(table, error);
    weld_lazy_t charge = weld_frame_column(recent, "charge", error),
                kept = weld_frame_column(recent, "score", error);
    int made = orders_numbers(charge, kept, results, error);
    weld_lazy_free(charge);
    weld_lazy_free(kept);
    weld_frame_free(table);
    weld_frame_free(recent);
    weld_nd_free(revenue);
    weld_nd_free(score);
    return made;
}

/* How many passes are left. */
static inline int orders_fragments(const weld_lazy_t *lazies, int64_t count) {
    char *plan = weld_lazy_plan(lazies, count, NULL);
    int fragments = 0;
    for (const char *at = plan; at && (at = strstr(at, "fragment ")); at++) fragments++;
    free(plan);
    return fragments;
}

#endif
