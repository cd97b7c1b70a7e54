/* Every single allocation of making and computing arrays (adapters/ndarray) fails, once or with all that follow: each time
 * there is an error that says so, data are released once, no block is lost, and what was made can be computed later. */
#define _GNU_SOURCE
#include "refuse.h"
#include "weld_ndarray.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 32 };

static weld_context_t context;
static weld_error_t error;
static weld_nd_t arrays[MOST];
static int count;

static weld_nd_t add(weld_nd_t nd) {
    CHECK(nd ? weld_error_code(error) == WELD_SUCCESS : weld_error_code(error) == WELD_OUT_OF_MEMORY);
    arrays[count++] = nd;
    return nd;
}

static void count_release(void *user) {
    ++*(int *)user;
}

static void make(int *released) {
    static const double data[24] = {3, 1, 2};
    static const int64_t at[] = {0, 1}, two = 2, shape[] = {2, 3, 4};
    int axis = 1;
    weld_nd_t x = add(weld_nd_from(WELD_ND_F64, data, 3, shape, NULL, count_release, released, error)),
              pair[] = {x, x}, y, z;
    if (!x) return;
    if ((y = add(weld_nd_transpose(x, NULL, error)))) add(weld_nd_contiguous(y, error));
    if ((y = add(weld_nd_slice(x, 2, -1, WELD_ND_NONE, -2, error))))
        add(weld_nd_reduce(WELD_ND_SUM, y, &axis, 1, false, error));
    add(weld_nd_binary(WELD_ND_ADD, x, x, error));
    add(weld_nd_where(x, x, x, error));
    add(weld_nd_reduce(WELD_ND_STD, x, &axis, 1, true, error));
    add(weld_nd_reduce(WELD_ND_MIN, x, &axis, 1, false, error));
    add(weld_nd_reduce(WELD_ND_ARGMAX, x, &axis, 1, false, error));
    add(weld_nd_reduce(WELD_ND_VAR, x, NULL, 0, false, error));
    add(weld_nd_concatenate(pair, 2, 1, error));
    add(weld_nd_stack(pair, 2, 1, error));
    if ((y = add(weld_nd_from(WELD_ND_I64, at, 1, &two, NULL, NULL, NULL, error))))
        add(weld_nd_take(x, y, 1, error));
    add(weld_nd_cumsum(x, 1, error));
    if ((y = add(weld_nd_index(x, 0, 1, error))) && (z = add(weld_nd_transpose(y, NULL, error))))
        add(weld_nd_matmul(y, z, error));
    add(weld_nd_arange(WELD_ND_I8, 0, 5, 1, error));
    add(weld_nd_linspace(0, 1, 5, true, error));
    add(weld_nd_full(WELD_ND_F32, NULL, 3, shape, error));
}

/* With allocation number n failing; true: that many did not happen. */
static int try(void *data, long n) {
    (void)data;
    int released = 0, made;
    count = 0;
    left = n;
    make(&released);
    made = arrays[0] != NULL;
    for (int i = 0; i < count; i++) {
        weld_value_t value = NULL;
        if (arrays[i] && !weld_nd_evaluate(context, &arrays[i], 1, &value, error))
            CHECK(weld_error_code(error) == WELD_OUT_OF_MEMORY);
        weld_value_free(value);
    }
    int done = left > 0;
    left = -1;
    CHECK(released == 0);
    for (int i = 0; i < count; i++) {
        weld_value_t value = NULL;
        if (arrays[i]) CHECK(weld_nd_evaluate(context, &arrays[i], 1, &value, error));
        weld_value_free(value);
        weld_nd_free(arrays[i]);
    }
    CHECK(released == made);
    CHECK(weld_context_memory_usage(context) == 0);
    return done;
}

int main(void) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval"); /* LLVM ends the process when there is no memory */
    weld_conf_set(conf, "weld.threads", "1");
    context = weld_context_new(conf);
    error = weld_error_new();
    weld_adapter_find("ndarray", error);
    weld_adapter_find("cblas", error); /* and so does the library behind this one while it is loaded */
    for (once = 0; once < 2; once++) {
        int done = 0;
        for (long n = 0; !done && !bad; n++) {
            done = refuse(try, NULL, n);
            if (done) printf("%ld allocations\n", n);
        }
    }
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
    return bad != 0;
}
