/* engine.c: runs the compiled programs, as any user of libweld does, and the hand-written C.
 *
 * Both get the same columns in memory. The compiled program's argument is a struct of its parameters: a
 * vector is {data, length}, a matrix {{data, length}, rows, columns}, a number itself; the row of the
 * workload names them in order. The interpreter is ruled out.
 */
#include <stdlib.h>
#include <string.h>
#include <time.h>

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

void *take(const Inputs *in, size_t bytes) {
    Buffers *b = in->buffers;
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

bool run_prepare(const Workload *workload, const char *dir, Run *out) {
    char words[256];
    size_t at = 0;
    int columns = 0, numbers = 0;
    *out = (Run){.text = program_read(workload->program), .argument = calloc(1, 512)};
    out->inputs.buffers = calloc(1, sizeof *out->inputs.buffers);
    out->error = weld_error_new();
    bool good = out->text && out->argument && out->inputs.buffers;
    snprintf(words, sizeof words, "%s", workload->inputs);
    for (char *rest, *word = strtok_r(words, " ", &rest); good && word; word = strtok_r(NULL, " ", &rest)) {
        if (*word == '=') {
            at = put_number(out->argument, at, word + 1, &out->inputs.numbers[numbers++]);
            continue;
        }
        const Column *column = data_load(dir, word);
        good = column;
        if (!good) break;
        out->inputs.columns[columns++] = column;
        at = put_column(out->argument, at, column);
    }
    return good;
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

static bool weldc_round(Engine *engine, const Workload *workload, Run *run, bool digest, double *ms) {
    Compiled *compiled = engine->state;
    weld_value_t argument = weld_value_new(run->argument);
    double start = now_ms();
    weld_value_t result = weld_module_run(compiled->module, compiled->context, argument, run->error);
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
    workload->native(&in, answer);
    *ms = now_ms() - start;
    return !digest ||
           (run->result_type && digest_make(run->result_type, answer, workload->unordered, &engine->digest));
}

bool engine_prepare(Engine *engine, const Workload *workload, Run *run) {
    switch (engine->kind) {
    case ENGINE_NATIVE: return true;
    case ENGINE_WELDC: return weldc_prepare(engine, run);
    case ENGINE_PEER:
        return peer_prepare(engine->peer, workload->name, engine->name, engine->note, sizeof engine->note);
    }
    return false;
}

bool engine_round(Engine *engine, const Workload *workload, Run *run, bool digest, double *ms) {
    switch (engine->kind) {
    case ENGINE_NATIVE: return native_round(engine, workload, run, digest, ms);
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
