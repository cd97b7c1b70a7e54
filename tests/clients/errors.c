/* Errors as a client sees them: numbers by Weld's names, messages with a place, and life goes on. */
#include "weld.h"

#include <stdio.h>
#include <string.h>

static int run(weld_context_t context, const char *program, int64_t x, weld_error_t error) {
    weld_module_t module = weld_module_compile(program, NULL, error);
    if (!module) return -1;
    weld_value_t argument = weld_value_new(&x);
    weld_value_t result = weld_module_run(module, context, argument, error);
    weld_value_free(argument);
    weld_module_free(module);
    if (!result) return -2;
    weld_value_free(result);
    return 0;
}

int main(void) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.memory.limit", "1000000");
    weld_context_t context = weld_context_new(conf);
    weld_error_t error = weld_error_new();

    if (weld_error_code(error) != Success || strcmp(weld_error_message(error), "") != 0) return 1;
    if (run(context, "|x: i64| x + y", 1, error) != -1 || weld_error_code(error) != CompileError) return 2;
    if (!strstr(weld_error_message(error), "<program>:1:14: error[")) return 3;
    if (run(context, "|x: i64| lookup([1, 2], x)", 2, error) != -2) return 4;
    if (weld_error_code(error) != ArrayOutOfBounds ||
        !strstr(weld_error_message(error), "error[OutOfBounds]"))
        return 5;
    if (run(context, "|x: i64| result(for(rangeiter(0L, x, 1L), appender[i64], |b, i, e| merge(b, e)))",
            1000000, error) != -2) {
        return 6;
    }
    if (weld_error_code(error) != OutOfMemory) return 7;
    if (weld_context_memory_usage(context) != 0) return 8;
    if (run(context, "|x: i64| assert(x == 1L)", 2, error) != -2 || weld_error_code(error) != AssertionError)
        return 9;
    if (run(context, "|x: i64| x % (x - 2L)", 2, error) != -2 ||
        weld_error_code(error) != WELD_DIVISION_BY_ZERO)
        return 10;
    if (run(context, "|x: i64| x", 2, error) != 0 || weld_error_code(error) != Success) return 11;

    weld_conf_set(conf, "weld.memory.limit", "a lot");
    if (weld_context_new(conf) != NULL) return 12;
    if (weld_module_compile("1", conf, error) || weld_error_code(error) != ConfigurationError) return 13;

    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
    puts("ok");
    return 0;
}
