/* frame_orders.c: the pipeline of examples/orders.h, calls of four libraries that know nothing of each other, is one pass: one
 * fragment, which holds nothing beside its inputs and results, however many rows there are; and gives what plain C gives. */
#include "../../examples/orders.h"

#include "adapter.h"

static int32_t dates[50000];
static double columns[4][50000];

static Orders orders_of(int64_t rows) {
    for (int64_t i = 0; i < rows; i++) {
        dates[i] = (int32_t)(19920101 + i * 7919 % 7 * 10000);
        columns[0][i] = (double)(1 + i * 31 % 50);
        columns[1][i] = columns[0][i] * (double)(900 + i * 104729 % 1200);
        columns[2][i] = (double)(i * 13 % 11) / 100;
        columns[3][i] = (double)(i * 17 % 9) / 100;
    }
    return (Orders){dates, columns[0], columns[1], columns[2], columns[3], rows, 10.2, 0.9};
}

static void by_hand(const Orders *orders, double *out) {
    double count = 0;
    memset(out, 0, sizeof *out * ORDERS_RESULTS);
    for (int64_t i = 0; i < orders->rows; i++) {
        bool kept =
            orders->shipdate[i] >= 19930101 && orders->shipdate[i] < 19980101 && orders->quantity[i] <= 45;
        if (!kept) continue;
        double revenue = orders->price[i] * (1 - orders->discount[i]),
               charge = revenue * (1 + orders->tax[i]);
        double z = (log(revenue) - orders->mean) / orders->deviation;
        count++;
        out[0] += charge;
        out[1] += charge * (exp(-(z * z) / 2) / 2.5066282746310002);
        out[2] += fabs(z);
        out[3] += z * z;
    }
    out[0] = count > 0 ? out[0] / count : 0;
    out[3] = sqrt(out[3]);
}

static weld_context_t new_context(int engine) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine_names[engine]);
    weld_conf_set(conf, "weld.threads", "2");
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    return context;
}

static int64_t compute(int engine, int64_t rows) {
    weld_error_t error = weld_error_new();
    weld_context_t context = new_context(engine);
    Orders orders = orders_of(rows);
    weld_lazy_t results[ORDERS_RESULTS] = {NULL};
    weld_value_t values[ORDERS_RESULTS];
    double expected[ORDERS_RESULTS];
    cr_assert(orders_emit(&orders, results, error), "%s", weld_error_message(error));
    cr_assert_eq(orders_fragments(results, ORDERS_RESULTS), 1);
    bool good = weld_lazy_evaluate(context, results, ORDERS_RESULTS, values, error);
    cr_assert(good, "%s", weld_error_message(error));
    by_hand(&orders, expected);
    for (int i = 0; i < ORDERS_RESULTS; i++) {
        double got = *(double *)weld_value_data(values[i]);
        cr_assert(fabs(got - expected[i]) <= 1e-9 * fabs(expected[i]),
                  "result %d of %lld rows: %.17g, not %.17g", i, (long long)rows, got, expected[i]);
        weld_value_free(values[i]);
        weld_lazy_free(results[i]);
    }
    int64_t peak = weld_context_memory_peak(context);
    weld_context_free(context);
    weld_error_free(error);
    return peak;
}

Test(orders, gives_what_c_gives) {
    for (int engine = 0; engine < ENGINES; engine++) {
        for (int64_t rows = 0; rows < 40; rows += 13) compute(engine, rows);
        compute(engine, 5000);
    }
}

Test(orders, holds_only_inputs_and_results) {
    /* A column of the orders that count would be some 5 bytes a row. What workers keep of their sums does not grow with rows. */
    for (int64_t rows = 10000; rows <= COUNT(dates); rows *= 5) {
        int64_t peak = compute(1, rows);
        cr_assert(peak <= 16384, "%lld bytes for %lld rows", (long long)peak, (long long)rows);
    }
}
