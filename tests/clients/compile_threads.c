/* Four threads load the code generator, compile and run at the same time. */
#include "weld.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 4, ROUNDS = 8 };

static int compile_and_run(int64_t number) {
    char program[128];
    snprintf(program, sizeof program,
             "|x: i64| result(for([x, %lldL], merger[i64, +], |b, i, e| merge(b, e)))", (long long)number);
    weld_error_t error = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.cache", "off");
    weld_module_t module = weld_module_compile(program, conf, error);
    weld_conf_free(conf);
    weld_context_t context = weld_context_new(NULL);
    int64_t x = 1;
    weld_value_t argument = weld_value_new(&x), result = weld_module_run(module, context, argument, error);
    int bad = !result || *(int64_t *)weld_value_data(result) != number + 1;
    if (!result) fprintf(stderr, "%s\n", weld_error_message(error));
    weld_value_free(result);
    weld_value_free(argument);
    weld_context_free(context);
    weld_module_free(module);
    weld_error_free(error);
    return bad;
}

static void *work(void *data) {
    int64_t *job = data, failures = 0;
    for (int64_t round = 0; round < ROUNDS; round++) failures += compile_and_run(*job * 100 + round);
    *job = failures;
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    int64_t jobs[THREADS], failures = 0;
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = i;
        if (pthread_create(&threads[i], NULL, work, &jobs[i])) return 2;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failures += jobs[i];
    }
    if (failures) return 1;
    puts("ok");
    return 0;
}
