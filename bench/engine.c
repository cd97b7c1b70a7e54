/* engine.c: runs the compiled programs, as any user of libweld does, and the hand-written C.
 *
 * A program that calls of libraries emit is emitted, merged and looked up among the compiled ones at every round, as it
 * would be by its user; a program that is a file is compiled beforehand.
 *
 * All get the same columns in memory. The compiled program's argument is a struct of its parameters: a
 * vector is {data, length}, a matrix {{data, length}, rows, columns}, a number itself; the row of the
 * workload names them in order. The interpreter is ruled out.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#ifdef HAVE_ADAPTERS
#include <cblas.h>
#endif

#include "bench.h"
#include "../runtime/weld.h"

double now_ms(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

static int ascending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

double median(double *values, int count) {
    if (!count) return -1;
    qsort(values, (size_t)count, sizeof *values, ascending);
    return count % 2 ? values[count / 2] : (values[count / 2 - 1] + values[count / 2]) / 2;
}

double engine_median(const Engine *engine) {
    double copy[MOST_ROUNDS];
    memcpy(copy, engine->ms, sizeof copy);
    return median(copy, engine->rounds);
}

/* Memory of rounds: a buffer is free again in the next round, and is given to who asks for as much. */
struct Buffers {
    void *data[MOST_BUFFERS];
    size_t bytes[MOST_BUFFERS];
    bool used[MOST_BUFFERS];
    int count;
};

static void *take_buffer(Buffers *b, size_t bytes) {
    for (int i = 0; i < b->count; i++)
        if (!b->used[i] && b->bytes[i] == bytes) {
            b->used[i] = true;
            return b->data[i];
        }
    if (b->count == MOST_BUFFERS) return NULL;
    void *data = pages_new(bytes);
    if (!data) {
        fprintf(stderr, "weldc-bench: no memory\n");
        exit(1);
    }
    b->data[b->count] = data;
    b->bytes[b->count] = bytes;
    b->used[b->count++] = true;
    return data;
}

/* Threads of a workload may take memory at once. */
void *take(const Inputs *in, size_t bytes) {
    static pthread_mutex_t taking = PTHREAD_MUTEX_INITIALIZER;
    pthread_mutex_lock(&taking);
    void *data = take_buffer(in->buffers, bytes);
    pthread_mutex_unlock(&taking);
    return data;
}

char *program_read(const char *name) {
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", WELD_SOURCE_DIR, name);
    FILE *file = fopen(path, "rb");
    if (!file) {
        perror(path);
        return NULL;
    }
    char *text = calloc(1, 1 << 16);
    if (text && fread(text, 1, (1 << 16) - 1, file) == 0) {
        free(text);
        text = NULL;
    }
    fclose(file);
    return text;
}

/* Appends a number such as 20l, 0.5f or 0.5 to the argument. */
static size_t put_number(char *argument, size_t at, const char *word, double *number) {
    *number = strtod(word, NULL);
    char last = word[strlen(word) - 1];
    if (last == 'f') {
        float x = (float)*number;
        memcpy(argument + at, &x, sizeof x);
        return at + sizeof x;
    }
    at = (at + 7) / 8 * 8;
    int64_t integer = strtoll(word, NULL, 10);
    memcpy(argument + at, last == 'l' ? (const void *)&integer : (const void *)number, 8);
    return at + 8;
}

static size_t put_column(char *argument, size_t at, const Column *column) {
    at = (at + 7) / 8 * 8;
    memcpy(argument + at, &column->data, sizeof column->data);
    at += sizeof column->data;
    if (!column->columns) return at;
    int64_t shape[2] = {column->data.length / column->columns, column->columns};
    memcpy(argument + at, shape, sizeof shape);
    return at + sizeof shape;
}

static bool inputs_read(const Workload *workload, const char *dir, Run *out) {
    static double none;
    static const Column nothing = {.data = {&none, 0}};
    char words[256];
    size_t at = 0;
    int columns = 0, numbers = 0;
    snprintf(words, sizeof words, "%s", workload->inputs);
    for (char *rest, *word = strtok_r(words, " ", &rest); word; word = strtok_r(NULL, " ", &rest)) {
        if (*word == '=') {
            at = put_number(out->argument, at, word + 1, &out->inputs.numbers[numbers++]);
            continue;
        }
        const Column *column = dir ? data_load(dir, word) : &nothing;
        if (!column) return false;
        out->inputs.columns[columns++] = column;
        at = put_column(out->argument, at, column);
    }
    return true;
}

/* The answer of an emitted program, a struct of what its calls return. NULL: run->error says why. */
static weld_lazy_t answer_emit(const Workload *workload, const Run *run) {
    weld_lazy_t results[MOST_RESULTS] = {NULL}, answer = NULL;
    char code[200], *at = code;
    int count = workload->emit(&run->inputs, results, run->error);
    at += sprintf(at, "|");
    for (int i = 0; i < count; i++) at += sprintf(at, i ? ", r%d" : "r%d", i);
    at += sprintf(at, "| {");
    for (int i = 0; i < count; i++) at += sprintf(at, i ? ", r%d" : "r%d", i);
    sprintf(at, "}");
    if (count) answer = weld_lazy_new(NULL, code, results, count, run->error);
    for (int i = 0; i < MOST_RESULTS; i++) weld_lazy_free(results[i]);
    return answer;
}

static char *program_emit(const Workload *workload, const Run *run) {
    weld_lazy_t answer = answer_emit(workload, run);
    char *text = answer ? weld_lazy_program(&answer, 1, run->error) : NULL;
    if (!text) fprintf(stderr, "%s: %s\n", workload->name, weld_error_message(run->error));
    weld_lazy_free(answer);
    return text;
}

bool run_prepare(const Workload *workload, const char *dir, Run *out) {
    *out = (Run){.argument = calloc(1, 512), .error = weld_error_new()};
    out->inputs.buffers = calloc(1, sizeof *out->inputs.buffers);
    if (!out->argument || !out->error || !out->inputs.buffers || !inputs_read(workload, dir, out))
        return false;
    out->text = workload->emit ? program_emit(workload, out) : program_read(workload->program);
    return out->text;
}

void run_free(Run *run) {
    for (int i = 0; run->inputs.buffers && i < run->inputs.buffers->count; i++)
        free(run->inputs.buffers->data[i]);
    free(run->inputs.buffers);
    free(run->argument);
    free(run->text);
    free(run->result_type);
    weld_error_free(run->error);
    *run = (Run){0};
}

typedef struct Compiled {
    weld_module_t module;
    weld_context_t context;
} Compiled;

static bool weldc_prepare(Engine *engine, Run *run) {
    char threads[16];
    snprintf(threads, sizeof threads, "%d", engine->threads);
    Compiled *compiled = calloc(1, sizeof *compiled);
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.threads", threads);
    compiled->module = weld_module_compile(run->text, conf, run->error);
    if (compiled->module) compiled->context = weld_context_new(conf);
    weld_conf_free(conf);
    engine->state = compiled;
    if (!compiled->module) {
        snprintf(engine->note, sizeof engine->note, "%.150s", weld_error_message(run->error));
        return false;
    }
    if (!run->result_type) run->result_type = strdup(weld_module_result_type(compiled->module));
    return compiled->context && run->result_type;
}

static weld_value_t evaluate(const Workload *workload, const Compiled *compiled, const Run *run) {
    weld_value_t result = NULL;
    weld_lazy_t answer = answer_emit(workload, run);
    if (answer && !weld_lazy_evaluate(compiled->context, &answer, 1, &result, run->error)) result = NULL;
    weld_lazy_free(answer);
    return result;
}

static bool weldc_round(Engine *engine, const Workload *workload, Run *run, bool digest, double *ms) {
    Compiled *compiled = engine->state;
    weld_value_t argument = weld_value_new(run->argument);
    double start = now_ms();
    weld_value_t result = workload->emit
                              ? evaluate(workload, compiled, run)
                              : weld_module_run(compiled->module, compiled->context, argument, run->error);
    *ms = now_ms() - start;
    bool good = result;
    if (!result) snprintf(engine->note, sizeof engine->note, "%.150s", weld_error_message(run->error));
    if (good && digest)
        good = digest_make(run->result_type, weld_value_data(result), workload->unordered, &engine->digest);
    weld_value_free(result);
    weld_value_free(argument);
    return good;
}

static bool native_round(Engine *engine, const Workload *workload, Run *run, bool digest, double *ms) {
    _Alignas(64) char answer[512];
    Inputs in = run->inputs;
    in.threads = engine->threads;
    memset(in.buffers->used, 0, sizeof in.buffers->used);
    double start = now_ms();
    (engine->kind == ENGINE_CALLS ? workload->calls : workload->native)(&in, answer);
    *ms = now_ms() - start;
    return !digest ||
           (run->result_type && digest_make(run->result_type, answer, workload->unordered, &engine->digest));
}

bool engine_prepare(Engine *engine, const Workload *workload, Run *run) {
    switch (engine->kind) {
    case ENGINE_NATIVE:
    case ENGINE_CALLS: return true;
    case ENGINE_WELDC: return weldc_prepare(engine, run);
    case ENGINE_PEER:
        return peer_prepare(engine->peer, workload->name, engine->name, engine->note, sizeof engine->note);
    }
    return false;
}

/* BLAS has threads of its own, as many as the engine is to have. */
static void set_blas_threads(int threads) {
#ifdef HAVE_ADAPTERS
    openblas_set_num_threads(threads);
#else
    (void)threads;
#endif
}

bool engine_round(Engine *engine, const Workload *workload, Run *run, bool digest, double *ms) {
    set_blas_threads(engine->threads);
    switch (engine->kind) {
    case ENGINE_NATIVE:
    case ENGINE_CALLS: return native_round(engine, workload, run, digest, ms);
    case ENGINE_WELDC: return weldc_round(engine, workload, run, digest, ms);
    case ENGINE_PEER:
        return peer_round(engine->peer, engine->name, digest, ms, &engine->digest, engine->note,
                          sizeof engine->note);
    }
    return false;
}

void engine_finish(Engine *engine) {
    if (engine->kind != ENGINE_WELDC || !engine->state) return;
    Compiled *compiled = engine->state;
    weld_context_free(compiled->context);
    weld_module_free(compiled->module);
    free(compiled);
    engine->state = NULL;
}
