/* emitted.c: programs that no one wrote: calls of libraries through the lazy interface, which emit them.
 *
 * A row EMITTED of workloads.def names emit_<id>, which does what a user's program does before it wants numbers: it describes
 * its inputs and calls libraries, which compute nothing. What is measured begins with these calls, at every round.
 */
#include <stdlib.h>

#include "../examples/orders.h"
#include "bench.h"

#define INPUT(k, type) ((const type *)in->columns[k]->data.data)
#define LENGTH(k) (in->columns[k]->data.length)

int emit_orders(const Inputs *in, void **results, void *error) {
    Orders orders = {INPUT(0, int32_t), INPUT(1, double), INPUT(2, double), INPUT(3, double),
                     INPUT(4, double),  LENGTH(0),        in->numbers[0],   in->numbers[1]};
    return orders_emit(&orders, results, error) ? ORDERS_RESULTS : 0;
}

/* A frame with one more column of the inputs; the frame before it is freed. */
static weld_frame_t put_column(weld_frame_t frame, const char *name, weld_frame_type type,
                               const Column *column, void *error) {
    weld_frame_t more = weld_frame_add_data(frame, name, type, column->data.data, NULL, column->data.length,
                                            NULL, NULL, error);
    weld_frame_free(frame);
    return more;
}

static weld_frame_t table(const Inputs *in, int first, const char *value, void *error) {
    return put_column(put_column(NULL, "key", WELD_FRAME_I64, in->columns[first], error), value,
                      WELD_FRAME_F64, in->columns[first + 1], error);
}

/* All columns. */
int emit_frame_group(const Inputs *in, void **results, void *error) {
    static const char *const names[] = {"key", "sum", "n"};
    weld_frame_t frame = table(in, 0, "value", error);
    weld_frame_t groups = weld_frame_group_by(frame, "key", "sum(value) as sum, count() as n", error);
    for (int i = 0; i < 3; i++) results[i] = weld_frame_column(groups, names[i], error);
    weld_frame_free(frame);
    weld_frame_free(groups);
    return results[0] && results[1] && results[2] ? 3 : 0;
}

static weld_frame_t scores(const Inputs *in, void *error) {
    return put_column(put_column(NULL, "score", WELD_FRAME_F64, in->columns[0], error), "id", WELD_FRAME_I64,
                      in->columns[1], error);
}

/* The columns of a frame that was made of another; both frames are freed. */
static int all_columns(weld_frame_t frame, weld_frame_t made, void **results, void *error) {
    int count = (int)weld_frame_column_count(made), there = 0;
    for (int i = 0; i < count; i++) {
        results[i] = weld_frame_column(made, weld_frame_name(made, i), error);
        there += results[i] != NULL;
    }
    weld_frame_free(frame);
    weld_frame_free(made);
    return there == count ? count : 0;
}

int emit_frame_sort(const Inputs *in, void **results, void *error) {
    weld_frame_t frame = scores(in, error);
    return all_columns(frame, weld_frame_sort(frame, "score", error), results, error);
}

int emit_frame_top(const Inputs *in, void **results, void *error) {
    weld_frame_t frame = scores(in, error);
    return all_columns(frame, weld_frame_top(frame, "score desc", 100, error), results, error);
}

int emit_frame_distinct(const Inputs *in, void **results, void *error) {
    weld_frame_t frame = put_column(NULL, "key", WELD_FRAME_I64, in->columns[0], error);
    return all_columns(frame, weld_frame_distinct(frame, "key", error), results, error);
}

/* The only row. */
int emit_frame_join(const Inputs *in, void **results, void *error) {
    static const char *const names[] = {"sum", "n"};
    weld_frame_t small = table(in, 0, "factor", error), large = table(in, 2, "value", error);
    weld_frame_t both = weld_frame_join(large, small, WELD_FRAME_INNER, "key", error);
    weld_frame_t total = weld_frame_group_by(both, "", "sum(value * factor) as sum, count() as n", error);
    for (int i = 0; i < 2; i++) {
        weld_lazy_t column = weld_frame_column(total, names[i], error);
        results[i] = weld_lazy_new(NULL, "|column| lookup(column, 0L)", &column, 1, error);
        weld_lazy_free(column);
    }
    weld_frame_t used[] = {small, large, both, total};
    for (int i = 0; i < 4; i++) weld_frame_free(used[i]);
    return results[0] && results[1] ? 2 : 0;
}
