/* Eight threads compile and run one text, which the cache gives to all of them, while it goes from the
 * interpreter to machine code. */
#include "weld.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, ROUNDS = 60, LENGTH = 4000 };

static const char program[] =
    "|v: vec[i64], at: i64| result(for(v, merger[i64, +], |b, i, e| merge(b, e))) + lookup(v, at)";

static int round_fails(weld_context_t context, weld_error_t error, int64_t number) {
    static const int64_t numbers[LENGTH] = {1, 2, 3};
    struct {
        struct {
            const int64_t *data;
            int64_t length;
        } v;
        int64_t at;
    } args = {{numbers, LENGTH}, number % 5 == 0 ? LENGTH : 2};
    weld_module_t module = weld_module_compile(program, NULL, error);
    weld_value_t argument = weld_value_new(&args);
    weld_value_t result = module ? weld_module_run(module, context, argument, error) : NULL;
    int bad = args.at == LENGTH ? result || weld_error_code(error) != ArrayOutOfBounds
                                : !result || *(int64_t *)weld_value_data(result) != 9;
    weld_value_free(result);
    weld_value_free(argument);
    weld_module_free(module);
    return bad;
}

static void *work(void *data) {
    int *failures = data;
    weld_context_t context = weld_context_new(NULL);
    weld_error_t error = weld_error_new();
    for (int64_t round = 0; round < ROUNDS; round++) *failures += round_fails(context, error, round);
    if (weld_context_memory_usage(context) != 0) ++*failures;
    weld_context_free(context);
    weld_error_free(error);
    return NULL;
}

int main(void) {
    pthread_t threads[THREADS];
    int failures[THREADS] = {0}, sum = 0;
    for (int i = 0; i < THREADS; i++) {
        if (pthread_create(&threads[i], NULL, work, &failures[i])) return 2;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        sum += failures[i];
    }
    if (sum) return 1;
    puts("ok");
    return 0;
}
