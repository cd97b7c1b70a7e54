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
