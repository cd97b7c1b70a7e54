/* Adds one to every element of a vector, several times with one module and one context. */
#include "weld.h"

#include <stdio.h>

struct vector {
    int64_t *data;
    int64_t length;
};

int main(void) {
    weld_error_t error = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.memory.limit", "100000000");
    weld_module_t module = weld_module_compile(
        "|v: vec[i64]| result(for(v, appender[i64], |b, i, e| merge(b, e + 1L)))", conf, error);
    if (weld_error_code(error)) {
        fprintf(stderr, "%s\n", weld_error_message(error));
        return 1;
    }
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);

    for (int64_t round = 0; round < 3; round++) {
        int64_t data[] = {round, 10, 20, 30};
        struct vector input = {data, 4};
        weld_value_t argument = weld_value_new(&input);
        weld_value_t result = weld_module_run(module, context, argument, error);
        if (weld_error_code(error)) {
            fprintf(stderr, "%s\n", weld_error_message(error));
            return 1;
        }
        struct vector *output = weld_value_data(result);
        if (output->length != 4 || output->data[0] != round + 1 || output->data[3] != 31 || data[1] != 10)
            return 2;
        if (weld_value_run(result) != round || weld_value_run(argument) != -1) return 3;
        if (weld_context_memory_usage(context) < 32) return 4;
        weld_value_free(result);
        weld_value_free(argument);
    }
    if (weld_context_memory_usage(context) != 0) return 5;
    weld_context_free(context);
    weld_module_free(module);
    weld_error_free(error);
    puts("ok");
    return 0;
}
