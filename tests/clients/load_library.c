/* Programs call functions of a library that is loaded at run time. The library is argv[1]. */
#include "weld.h"

#include <stdio.h>
#include <string.h>

typedef struct {
    int64_t *data;
    int64_t length;
} vec_i64;

int main(int argc, char **argv) {
    const char *program =
        "|v: vec[i64], by: i64|"
        "result(for(cudf[shift_all, vec[i64]](v, by), merger[i64, +], |b, i, e| merge(b, e)))";
    weld_error_t error = weld_error_new();
    if (argc != 2) return 2;

    /* Before it is loaded, the function is not known. */
    if (weld_module_compile(program, NULL, error)) return 3;
    if (weld_error_code(error) != LoadLibraryError || !strstr(weld_error_message(error), "shift_all"))
        return 4;
    weld_load_library("no/such/library.so", error);
    if (weld_error_code(error) != LoadLibraryError) return 5;

    weld_load_library(argv[1], error);
    if (weld_error_code(error)) {
        fprintf(stderr, "%s\n", weld_error_message(error));
        return 6;
    }
    weld_module_t module = weld_module_compile(program, NULL, error);
    if (!module) {
        fprintf(stderr, "%s\n", weld_error_message(error));
        return 7;
    }
    weld_context_t context = weld_context_new(NULL);
    int64_t data[] = {1, 2, 3};
    struct {
        vec_i64 v;
        int64_t by;
    } args = {{data, 3}, 10};
    weld_value_t argument = weld_value_new(&args);
    weld_value_t result = weld_module_run(module, context, argument, error);
    if (!result || *(int64_t *)weld_value_data(result) != 36) return 8;
    weld_value_free(result);
    weld_value_free(argument);
    weld_context_free(context);
    weld_module_free(module);
    weld_error_free(error);
    puts("ok");
    return 0;
}
