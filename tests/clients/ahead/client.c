/* A program that runs a model that was compiled ahead of time, in two threads, without LLVM. */
#include <math.h>
#include <pthread.h>
#include <stdio.h>

#include "model.h"

static int check(weld_context_t context, weld_error_t error) {
    model_type_0 rows[3] = {{0, 0}, {1, 2}, {-1, -2}};
    double weights[2] = {1, 0.5};
    model_arguments arguments = {.rows = {rows, 3}, .weights = {weights, 2}, .k = 1, .bound = 0.5};
    weld_value_t value = model_run(context, &arguments, error);
    if (!value) {
        printf("%s\n", weld_error_message(error));
        return 1;
    }
    const model_result *result = weld_value_data(value);
    int wrong = result->_0.length != 3 || result->_1 != 1 || fabs(result->_0.data[0] - 0.5) > 1e-12 ||
                fabs(result->_0.data[1] - 1 / (1 + exp(-2))) > 1e-12;
    weld_value_free(value);
    arguments.k = 2;
    value = model_run(context, &arguments, error);
    wrong |=
        value != NULL || weld_error_code(error) != WELD_ARRAY_OUT_OF_BOUNDS || weld_error_line(error) != 4;
    if (wrong) printf("wrong answer, or no error: %s\n", weld_error_message(error));
    return wrong;
}

static void *thread(void *failed) {
    weld_context_t context = weld_context_new(NULL);
    weld_error_t error = weld_error_new();
    for (int i = 0; i < 100; i++) *(int *)failed |= check(context, error);
    weld_error_free(error);
    weld_context_free(context);
    return NULL;
}

int main(void) {
    pthread_t threads[2];
    int failed[2] = {0, 0};
    for (int i = 0; i < 2; i++) pthread_create(&threads[i], NULL, thread, &failed[i]);
    for (int i = 0; i < 2; i++) pthread_join(threads[i], NULL);
    weld_error_t error = weld_error_new();
    if (weld_module_load("not a program", 13, NULL, error) ||
        weld_error_code(error) != WELD_LOAD_LIBRARY_ERROR)
        failed[0] = 1;
    if (weld_module_load(NULL, 13, NULL, error) || weld_error_code(error) != WELD_ARGUMENT_ERROR)
        failed[0] = 1;
    weld_error_free(error);
    if (!failed[0] && !failed[1]) printf("ok\n");
    return failed[0] | failed[1];
}
