/* Each of several modules is evaluated from eight threads at once, under each engine, in contexts of one and of two threads: loops,
 * dictionaries, groups, sorts, iteration, calls of C functions by value and into buffers, and failures. Whatever thread asks gets
 * what one thread alone got before, to the last bit. */
#define _POSIX_C_SOURCE 200809L
#include "weld.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { THREADS = 8, VARIANTS = 4, LENGTH = 6000 };

/* |x: vec[f64], n: i64| to vec[f64]; what adapter it needs, or NULL. */
static const struct {
    const char *adapter, *code;
} programs[] = {
    {NULL, "map(filter(x, |e| e > f64(n)), |e| sqrt(e * e + 1.0) / 3.0)"},
    {NULL, "let s = result(for(x, {merger[f64, +], merger[f64, max]}, |b, i, e| "
           "{merge(b.$0, e), merge(b.$1, e)})); [s.$0, s.$1, lookup(x, n)]"},
    {NULL,
     "map(sort(tovec(result(for(x, dictmerger[i64, f64, +], |b, i, e| merge(b, {i64(e) % (n + 2L), e})))), "
     "|a, c| compare(a.$0, c.$0)), |e| e.$1)"},
    {NULL, "let g = tovec(result(for(x, groupmerger[i64, f64], |b, i, e| merge(b, {i % 17L, e})))); "
           "map(sort(g, |a, c| compare(a.$0, c.$0)), |e| "
           "result(for(e.$1, merger[f64, +], |b, i, v| merge(b, v * f64(i)))))"},
    {NULL, "sort(x, |a, c| compare(c, a))"},
    {NULL, "result(for(x, vecmerger[f64, +](map(x, |e| 0.0)), |b, i, e| merge(b, {(i * 7L) % len(x), e})))"},
    {NULL, "[iterate({0L, 1.0}, |s| {{s.$0 + 1L, s.$1 * 1.0001 + lookup(x, s.$0)}, s.$0 < n + 100L}).$1]"},
    {NULL, "map(x, |e| cfun[cbrt, f64](e) + f64(n))"},
    {"gsl", "map(x, |e| gsl.sf_bessel_J0(e + f64(n)))"},
    {"gsl", "[gsl.mean(x), gsl.variance(x), gsl.sf_gamma(f64(n) + 1.0)]"},
    {"cblas", "cblas.dgemv(false, 60L, 100L, 1.0, x, slice(x, n, 100L), 0.0, slice(x, 0L, 0L))"},
    {"lapack", "lapack.dgesv(20L, 2L, result(for(rangeiter(0L, 400L, 1L), appender[f64], |b, i, k| "
               "merge(b, lookup(x, k + n) + if(k % 21L == 0L, 900.0, 0.0)))), slice(x, 500L, 40L))"},
    {"fftw", "map(fftw.r2c(slice(x, n, 512L)), |e| e.$0 - e.$1)"},
};
enum { PROGRAMS = sizeof programs / sizeof *programs };

typedef struct {
    double *data;
    int64_t length;
} doubles;

/* A result, or the failure's code. */
typedef struct {
    uint64_t code;
    int64_t length;
    double *data;
} answer;

typedef struct {
    weld_module_t modules[PROGRAMS];        /* NULL: its adapter is not installed */
    answer expected[2][PROGRAMS][VARIANTS]; /* in a context of one thread, and of two */
    double numbers[LENGTH];
    pthread_barrier_t begin;
} work;

typedef struct {
    work *work;
    int number, rounds, failures;
} job;

/* Arguments of one variant. The last one is out of bounds where something is looked up. */
static answer evaluate(const work *w, int program, int variant, weld_context_t context, weld_error_t error) {
    struct {
        doubles x;
        int64_t n;
    } args = {{(double *)w->numbers, LENGTH}, variant * 3};
    if (variant == 1) args.x.length = LENGTH - 1; /* an odd number */
    if (variant == VARIANTS - 1) args.n = LENGTH;
    weld_value_t argument = weld_value_new(&args);
    weld_value_t value = weld_module_run(w->modules[program], context, argument, error);
    answer a = {.code = weld_error_code(error)};
    if (value) {
        const doubles *got = weld_value_data(value);
        size_t bytes = (size_t)got->length * sizeof(double);
        a = (answer){0, got->length, malloc(bytes + 1)};
        if (bytes) memcpy(a.data, got->data, bytes);
    }
    weld_value_free(value);
    weld_value_free(argument);
    return a;
}

static int differ(const answer *a, const answer *b) {
    if (a->code != b->code || a->length != b->length) return 1;
    return a->length && memcmp(a->data, b->data, (size_t)a->length * sizeof(double)) != 0;
}

static weld_context_t new_context(int threads) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.threads", threads == 1 ? "1" : "2");
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    return context;
}

static void *run(void *data) {
    job *j = data;
    weld_context_t context = new_context(1 + j->number % 2);
    weld_error_t error = weld_error_new();
    pthread_barrier_wait(&j->work->begin);
    for (int at = 0; at < j->rounds * PROGRAMS * VARIANTS; at++) {
        /* All begin with the same module; later each goes its own way. */
        int program = (at / VARIANTS + (at >= PROGRAMS * VARIANTS ? j->number : 0)) % PROGRAMS,
            variant = at % VARIANTS;
        if (!j->work->modules[program]) continue;
        answer got = evaluate(j->work, program, variant, context, error);
        if (differ(&got, &j->work->expected[j->number % 2][program][variant])) {
            if (!j->failures++)
                fprintf(stderr, "thread %d, program %d, variant %d: status %d, %d elements\n", j->number,
                        program, variant, (int)got.code, (int)got.length);
        }
        free(got.data);
    }
    if (weld_context_memory_usage(context) != 0) j->failures++;
    weld_context_free(context);
    weld_error_free(error);
    return NULL;
}

static int compile_all(work *w, const char *engine, weld_error_t error) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine);
    int failures = 0;
    for (int i = 0; i < PROGRAMS; i++) {
        char text[1024];
        w->modules[i] = NULL;
        if (programs[i].adapter && !weld_adapter_find(programs[i].adapter, error)) continue;
        snprintf(text, sizeof text, "|x: vec[f64], n: i64| %s", programs[i].code);
        w->modules[i] = weld_module_compile(text, conf, error);
        if (!w->modules[i]) fprintf(stderr, "program %d: %s\n", i, weld_error_message(error)), failures++;
    }
    weld_conf_free(conf);
    return failures;
}

static int in_threads(const char *engine, int rounds) {
    static work w;
    weld_error_t error = weld_error_new();
    int failures = 0;
    for (int i = 0; i < LENGTH; i++) w.numbers[i] = (double)(i * 37 % 1000) / 7.0;
    if (compile_all(&w, engine, error)) return 1;
    for (int count = 0; count < 2; count++) {
        weld_context_t alone = new_context(1 + count);
        for (int i = 0; i < PROGRAMS; i++) {
            for (int k = 0; k < VARIANTS && w.modules[i]; k++)
                w.expected[count][i][k] = evaluate(&w, i, k, alone, error);
        }
        weld_context_free(alone);
    }
    for (int i = 0; i < PROGRAMS; i++) weld_module_free(w.modules[i]);
    if (compile_all(&w, engine, error)) return 1; /* anew: so that the first evaluations are at once */
    pthread_t threads[THREADS];
    job jobs[THREADS];
    pthread_barrier_init(&w.begin, NULL, THREADS);
    for (int i = 0; i < THREADS; i++) {
        jobs[i] = (job){&w, i, rounds, 0};
        if (pthread_create(&threads[i], NULL, run, &jobs[i])) return 2;
    }
    for (int i = 0; i < THREADS; i++) {
        pthread_join(threads[i], NULL);
        failures += jobs[i].failures;
    }
    pthread_barrier_destroy(&w.begin);
    for (int i = 0; i < PROGRAMS; i++) {
        for (int k = 0; k < VARIANTS; k++) free(w.expected[0][i][k].data), free(w.expected[1][i][k].data);
        weld_module_free(w.modules[i]);
    }
    weld_error_free(error);
    return failures ? 3 : 0;
}

int main(void) {
    int bad = in_threads("jit", 20);
    bad = bad ? bad : in_threads("eval", 3);
    bad = bad ? bad : in_threads("auto", 12);
    if (!bad) puts("ok");
    return bad;
}
