/* Programs on several threads: the same results as on one, from several contexts at once; failures,
 * cancelling and limits reach the caller; a context works on in a forked child. */
#define _GNU_SOURCE
#include "weld.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

enum { CALLERS = 3, ROUNDS = 12 };

/* Every builder, alone and in a struct, and a sort. */
static const char everything[] =
    "|n: i64|"
    "let v = result(for(rangeiter(0L, n, 1L), appender[i64], |b, i, e| merge(b, e * 7919L % 101L)));"
    "let few = result(for(v, appender[i64], |b, i, e| if(e % 3L == 0L, merge(b, e), b)));"
    "let nested = result(for(few, appender[vec[i64]], |b, i, e| merge(b, [e, i])));"
    "let d = tovec(result(for(v, dictmerger[i64, i64, +], |b, i, e| merge(b, {e % 13L, i}))));"
    "let w = tovec(result(for(nested, dictmerger[vec[i64], i64, min], |b, i, e| merge(b, {slice(e, 0L, 1L), "
    "i}))));"
    "let g = tovec(result(for(v, groupmerger[i64, i64], |b, i, e| merge(b, {e % 5L, i}))));"
    "let m = result(for(v, vecmerger[i64, +]([100L, 0L, 0L, 0L, 0L]), |b, i, e| merge(b, {e % 5L, i})));"
    "let s = for(v, {merger[i64, +](5L), merger[f64, max], appender[i64]},"
    "            |b, i, e| {merge(b.$0, e), merge(b.$1, f64(e)), merge(b.$2, i)});"
    "let sums = result(for(few, appender[i64], |b, i, e|"
    "            merge(b, result(for(v, merger[i64, +], |c, j, x| merge(c, x * e))))));"
    "{few, nested, d, w, g, m, result(s.$0), result(s.$1), result(s.$2), sums, sort(v, |a, b| compare(b, "
    "a))}";

static weld_conf_t settings(const char *threads, const char *grain, const char *limit) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.threads", threads);
    weld_conf_set(conf, "weld.grain", grain);
    weld_conf_set(conf, "weld.memory.limit", limit);
    return conf;
}

static weld_module_t compile(const char *text) {
    weld_error_t error = weld_error_new();
    weld_module_t module = weld_module_compile(text, NULL, error);
    if (!module) fprintf(stderr, "%s\n", weld_error_message(error));
    if (!module) exit(2);
    weld_error_free(error);
    return module;
}

/* The result as JSON, or the error's name; to be freed. */
static char *answer(weld_module_t module, weld_context_t context, int64_t n) {
    weld_error_t error = weld_error_new();
    weld_value_t argument = weld_value_new(&n), result = weld_module_run(module, context, argument, error);
    char *text = result ? weld_value_json(result) : strdup(weld_error_name(error));
    weld_value_free(result);
    weld_value_free(argument);
    weld_error_free(error);
    return text;
}

static void expect(const char *what, char *got, const char *want, int *failures) {
    if (strcmp(got, want) != 0) {
        fprintf(stderr, "%s: %.200s\n  not %.200s\n", what, got, want);
        ++*failures;
    }
    free(got);
}

typedef struct {
    weld_module_t module;
    const char *want;
    int number, failures;
} job;

static void *call(void *data) {
    static const char *const grains[CALLERS] = {"1", "7", "0"};
    job *job = data;
    weld_conf_t conf = settings("4", grains[job->number], NULL);
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    for (int round = 0; round < ROUNDS; round++)
        expect("side by side", answer(job->module, context, 300), job->want, &job->failures);
    if (weld_context_memory_usage(context) != 0) job->failures++;
    weld_context_free(context);
    return NULL;
}

static int side_by_side(weld_module_t module, const char *want) {
    pthread_t threads[CALLERS];
    job jobs[CALLERS];
    int failures = 0;
    for (int i = 0; i < CALLERS; i++) {
        jobs[i] = (job){module, want, i, 0};
        if (pthread_create(&threads[i], NULL, call, &jobs[i])) exit(2);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(threads[i], NULL);
        failures += jobs[i].failures;
    }
    return failures;
}

static void *cancel_soon(void *context) {
    usleep(100000);
    weld_context_cancel(context);
    return NULL;
}

/* One iteration fails while the others would go on for ever; and one that has to be cancelled. */
static int stopping(weld_context_t context) {
    int failures = 0;
    weld_module_t fails =
        compile("|n: i64| result(for(rangeiter(0L, n, 1L), merger[i64, +], |b, i, e| merge(b,"
                "  iterate({e, 0L}, |s| {{if(s.$0 == 0L && s.$1 == 3000000L, lookup([1L], n), s.$0), s.$1 + "
                "1L}, true}).$0)))");
    expect("failing", answer(fails, context, 64), "OutOfBounds", &failures);
    weld_module_t endless =
        compile("|n: i64| result(for(rangeiter(0L, n, 1L), merger[i64, +], |b, i, e| merge(b,"
                "  iterate(e, |x| {x, true}))))");
    pthread_t thread;
    if (pthread_create(&thread, NULL, cancel_soon, context)) exit(2);
    expect("cancelling", answer(endless, context, 64), "Cancelled", &failures);
    pthread_join(thread, NULL);
    weld_module_free(fails);
    weld_module_free(endless);
    return failures;
}

/* A child has no threads but its own. */
static int forking(weld_module_t module, weld_context_t context, const char *want) {
    pid_t child = fork();
    if (child == 0) {
        int failures = 0, status;
        expect("in a child", answer(module, context, 300), want, &failures);
        weld_context_free(context);
        status = failures != 0;
        _exit(status);
    }
    int status = 1;
    return child < 0 || waitpid(child, &status, 0) != child || status != 0;
}

static int limits(weld_module_t module, const char *want) {
    int failures = 0, short_of = 0, done = 0;
    for (int kilobytes = 8; kilobytes < 4096 && done < 3; kilobytes *= 2) {
        char limit[16];
        snprintf(limit, sizeof limit, "%dK", kilobytes);
        weld_conf_t conf = settings("4", "5", limit);
        weld_context_t context = weld_context_new(conf);
        weld_conf_free(conf);
        char *got = answer(module, context, 300);
        if (strcmp(got, "OutOfMemory") == 0)
            short_of++, free(got);
        else
            done++, expect("a limit", got, want, &failures);
        if (weld_context_memory_usage(context) != 0) failures++;
        weld_context_free(context);
    }
    return failures + (short_of == 0) + (done == 0);
}

int main(void) {
    weld_module_t module = compile(everything);
    weld_context_t one = weld_context_new(NULL);
    char *want = answer(module, one, 300);
    weld_context_free(one);
    weld_conf_t conf = settings("4", "3", NULL);
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    int failures = side_by_side(module, want);
    expect("after others", answer(module, context, 300), want, &failures);
    failures += stopping(context);
    expect("after failures", answer(module, context, 300), want, &failures);
    failures += limits(module, want);
#if !defined(__SANITIZE_THREAD__) /* which does not follow a fork of a process with threads */
    failures += forking(module, context, want);
#endif
    weld_context_free(context);
    weld_module_free(module);
    free(want);
    if (failures) return 3;
    puts("ok");
    return 0;
}
