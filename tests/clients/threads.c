/* One module runs in eight threads at once, each with a context of its own; errors in one do not touch another. So do lazy
 * values: graphs over data and over a kept value that all threads share, with functions of adapters that all load at once. */
#define _POSIX_C_SOURCE 200809L
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

/* ---- lazy values ---- */

typedef struct {
    weld_lazy_t shared, kept; /* 0, 1, 2, ..; and one more each */
    pthread_barrier_t *begin;
    int64_t number;
    int failures;
} lazy_job;

static _Atomic int released;

static void count_release(void *user) {
    (void)user;
    released++;
}

/* The sum of a function of the shared values, which fails now and then; true: it is as it should be. */
static int lazy_round(lazy_job *job, weld_context_t context, weld_error_t error, int64_t round) {
    char code[128];
    int64_t k = (round + job->number) % 5, at = round % 7 == 0 ? LENGTH : 3;
    snprintf(code, sizeof code, "|v, w| lookup(v, %lldl) - lookup(w, 3l) + %lldl + lookup(w, 4l) - 5l",
             (long long)at, (long long)k);
    weld_lazy_t arguments[] = {job->shared, job->kept},
                lazy = weld_lazy_new("mine.step", code, arguments, 2, error);
    weld_value_t value = NULL;
    weld_future_t future = round % 4 ? NULL : weld_lazy_evaluate_async(context, &lazy, 1, error);
    int ok = future ? weld_future_wait(future, &value, error)
                    : weld_lazy_evaluate(context, &lazy, 1, &value, error);
    int fine = ok ? at == 3 && *(int64_t *)weld_value_data(value) == k - 1
                  : at != 3 && weld_error_code(error) == ArrayOutOfBounds;
    weld_value_free(value);
    weld_future_free(future);
    weld_lazy_free(lazy);
    return fine;
}

/* What a library computes; true also where the adapter is not installed. */
static int adapter_round(const char *adapter, const char *function, double expected, int64_t count,
                         weld_context_t context, weld_error_t error) {
    static const double numbers[] = {1, 2, 3};
    static const struct {
        const double *data;
        int64_t length;
    } vector = {numbers, 3};
    if (!weld_adapter_find(adapter, error)) return 1;
    weld_lazy_t v = weld_lazy_data("vec[f64]", &vector, count_release, NULL, error);
    weld_lazy_t arguments[] = {v, v}, lazy = weld_lazy_call(function, arguments, count, error);
    weld_value_t value = NULL;
    int fine =
        weld_lazy_evaluate(context, &lazy, 1, &value, error) && *(double *)weld_value_data(value) == expected;
    if (!fine) fprintf(stderr, "%s: %s\n", function, weld_error_message(error));
    weld_value_free(value);
    weld_lazy_free(lazy);
    weld_lazy_free(v);
    return fine;
}

static void *work_lazily(void *data) {
    lazy_job *job = data;
    weld_context_t context = weld_context_new(NULL);
    weld_error_t error = weld_error_new();
    pthread_barrier_wait(job->begin);
    for (int i = 0; i < 2; i++) { /* half of the threads begin with the other one */
        job->failures += (job->number + i) % 2 ? !adapter_round("cblas", "cblas.ddot", 14, 2, context, error)
                                               : !adapter_round("gsl", "gsl.mean", 2, 1, context, error);
    }
    for (int64_t round = 0; round < ROUNDS; round++) job->failures += !lazy_round(job, context, error, round);
    weld_context_free(context); /* one of them holds what is kept */
    weld_error_free(error);
    return NULL;
}

static int lazy_in_threads(void) {
    static int64_t numbers[LENGTH];
    static const struct {
        int64_t *data, length;
    } vector = {numbers, LENGTH};
    for (int64_t i = 0; i < LENGTH; i++) numbers[i] = i;
    weld_error_t error = weld_error_new();
    weld_lazy_t shared = weld_lazy_data("vec[i64]", &vector, count_release, NULL, error);
    weld_lazy_t kept = weld_lazy_new("mine.kept", "|v| map(v, |e| e + 1l)", &shared, 1, error);
    weld_lazy_keep(kept);
    pthread_barrier_t begin;
    pthread_t threads[THREADS];
    lazy_job jobs[THREADS];
    int failures = 0;
    pthread_barrier_init(&begin, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (lazy_job){shared, kept, &begin, i, 0};
        if (pthread_create(&threads[i], NULL, work_lazily, &jobs[i])) return 4;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failures += jobs[i].failures;
    }
    int before = released;
    weld_lazy_free(kept);
    weld_lazy_free(shared);
    failures += released != before + 1;
    pthread_barrier_destroy(&begin);
    weld_error_free(error);
    return failures ? 5 : 0;
}

int main(void) {
    int bad = lazy_in_threads();
    bad = bad ? bad : run_in_threads("jit");
    bad = bad ? bad : run_in_threads("eval");
    if (!bad) puts("ok");
    return bad;
}
