// A program calls C functions that lie in the executable, which is not linked with -rdynamic.
#include <stdio.h>
#include <stdlib.h>

#include "weld.h"

struct point {
    double x, y;
};

extern "C" void add_five(int64_t *x, int64_t *result) {
    *result = *x + 5;
}
extern "C" void midpoint(point *a, point *b, point *result) {
    result->x = (a->x + b->x) / 2;
    result->y = (a->y + b->y) / 2;
}

int main() {
    weld_error_t e = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_module_t m = weld_module_compile(
        "|x:i64| {cudf[add_five,i64](x), cudf[midpoint,{f64,f64}]({1.0, 2.0}, {f64(x), 4.0})}", conf, e);
    if (weld_error_code(e)) {
        const char *err = weld_error_message(e);
        printf("Error message: %s\n", err);
        exit(1);
    }
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    int64_t input = 3;
    weld_value_t arg = weld_value_new(&input);
    weld_value_t result = weld_module_run(m, context, arg, e);
    struct answer {
        int64_t sum;
        point middle;
    } *answer = (struct answer *)weld_value_data(result);
    if (!answer || answer->sum != 8 || answer->middle.x != 2.0 || answer->middle.y != 3.0) return 2;
    weld_value_free(result);
    weld_value_free(arg);
    weld_context_free(context);
    weld_error_free(e);
    weld_module_free(m);
    puts("ok");
    return 0;
}
