/* One module runs in eight threads at once, each with a context of its own; errors in one do not touch
 * another. */
#include "weld.h"

#include <pthread.h>
#include <stdio.h>

enum { THREADS = 8, ROUNDS = 40, LENGTH = 500 };

typedef struct {
    int64_t *data;
    int64_t length;
} ints;

typedef struct {
    weld_module_t module;
    int64_t number;
    int failures;
} job;

/* The sum of a vector, or a lookup that fails. */
static int round_fails(const job *job, weld_context_t context, weld_error_t error, int64_t round) {
    int64_t numbers[LENGTH], sum = 0;
    for (int64_t i = 0; i < LENGTH; i++) sum += numbers[i] = i * job->number + round;
    struct {
        ints v;
        int64_t at;
    } args = {{numbers, LENGTH}, round % 3 == 0 ? LENGTH : 7};
    weld_value_t argument = weld_value_new(&args);
    weld_value_t result = weld_module_run(job->module, context, argument, error);
    weld_value_free(argument);
    if (!result) return args.at != LENGTH || weld_error_code(error) != ArrayOutOfBounds;
    struct {
        int64_t sum;
        ints doubled;
    } *out = weld_value_data(result);
    int bad =
        args.at == LENGTH || out->sum != sum || out->doubled.data[LENGTH - 1] != 2 * numbers[LENGTH - 1];
    weld_value_free(result);
    return bad;
}

static void *work(void *data) {
    job *job = data;
    weld_context_t context = weld_context_new(NULL);
    weld_error_t error = weld_error_new();
    for (int64_t round = 0; round < ROUNDS; round++) job->failures += round_fails(job, context, error, round);
    if (weld_context_memory_usage(context) != 0) job->failures++;
    weld_context_free(context);
    weld_error_free(error);
    return NULL;
}

static int run_in_threads(const char *engine) {
    weld_error_t error = weld_error_new();
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine);
    weld_module_t module =
        weld_module_compile("|v: vec[i64], at: i64| let x = lookup(v, at);"
                            "{result(for(v, merger[i64, +], |b, i, e| merge(b, e))) + x - x,"
                            " result(for(v, appender[i64], |b, i, e| merge(b, e * 2L)))}",
                            conf, error);
    weld_conf_free(conf);
    if (!module) {
        fprintf(stderr, "%s\n", weld_error_message(error));
        return 1;
    }
    pthread_t threads[THREADS];
    job jobs[THREADS];
    int failures = 0;
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){module, i, 0};
        if (pthread_create(&threads[i], NULL, work, &jobs[i])) return 2;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failures += jobs[i].failures;
    }
    weld_module_free(module);
    weld_error_free(error);
    return failures ? 3 : 0;
}

int main(void) {
    int bad = run_in_threads("jit");
    bad = bad ? bad : run_in_threads("eval");
    if (!bad) puts("ok");
    return bad;
}
