/* libweld is installed without its code generator: programs are interpreted, and asking for compiled code is
 * an error. */
#include "weld.h"

#include <stdio.h>
#include <string.h>

static int64_t run(const char *engine, weld_error_t error) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine);
    weld_module_t module = weld_module_compile("|x: i64| (|y: i64| y * 2L)(x) + len(\"ab\")", conf, error);
    weld_context_t context = weld_context_new(conf);
    int64_t x = 20, answer = -1;
    weld_value_t argument = weld_value_new(&x);
    weld_value_t result = module ? weld_module_run(module, context, argument, error) : NULL;
    if (result) answer = *(int64_t *)weld_value_data(result);
    weld_value_free(result);
    weld_value_free(argument);
    weld_context_free(context);
    weld_module_free(module);
    weld_conf_free(conf);
    return answer;
}

int main(void) {
    weld_error_t error = weld_error_new();
    if (run("auto", error) != 42) return 1;
    if (run("eval", error) != 42) return 2;
    if (run("jit", error) != -1 || weld_error_code(error) != LoadLibraryError) return 3;
    if (!strstr(weld_error_message(error), "libweldjit.so")) return 4;
    weld_error_free(error);
    puts("ok");
    return 0;
}
