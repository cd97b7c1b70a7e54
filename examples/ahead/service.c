/* service.c: uses scores.weld, compiled ahead of time, where there is no LLVM.
 *
 *     cc -o service service.c $(pkg-config --cflags --libs weld) -lscores
 */
#include <stdio.h>

#include "scores.h"

int main(void) {
    scores_type_0 rows[] = {{0, 0}, {1, 2}, {-1, -2}};
    double weights[] = {1, 0.5};
    scores_arguments arguments = {.rows = {rows, 3}, .weights = {weights, 2}, .bound = 0.5};
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_value_t value = scores_run(context, &arguments, error);
    if (!value) {
        fputs(weld_error_message(error), stderr);
        return 1;
    }
    const scores_result *result = weld_value_data(value);
    printf("%lld above %g, the last is %.3f\n", (long long)result->_1, arguments.bound, result->_0.data[2]);
    weld_value_free(value);
    arguments.weights.length = 1;
    if (!scores_run(context, &arguments, error)) printf("%s\n", weld_error_name(error));
    weld_context_free(context);
    weld_error_free(error);
    return 0;
}
