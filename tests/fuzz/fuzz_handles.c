/* fuzz_handles.c: random calls on everything that the interface hands out, in any order of making and freeing.
 *
 *     fuzz_handles CALLS [SEED]
 *
 * Configurations, errors, contexts, modules, results, lazy values, futures, frames and arrays live in slots. Each call makes,
 * uses or frees one; what it came from may be freed before it: a context before its results, a module before its values, a
 * frame before what was made of it. Lazy values are made of modules' results, of arrays and of each other, and evaluated
 * into results. Some configurations interpret, some compile, some leave it to the runtime; they have one thread or two.
 * A model knows what each is worth, so each result is checked. Wrong texts and handles fail, with an
 * error. At the end every release was called once and the contexts hold nothing. fuzz_lazy.c does the same for lazy values.
 * To be run under the address sanitizer, too. Exit status: 0 all is well. */
#include "../../adapters/frame/weld_frame.h"
#include "../../adapters/ndarray/weld_ndarray.h"
#include "calls.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { SLOTS = 8, LONGEST = 9, WRONG = 30, MODULES = 40 };

/* ---- what is there ---- */

typedef struct Numbers {
    int rank;         /* of an array; of a frame 1 */
    int64_t shape[2]; /* of rank 1: {n, 1} */
    double x[LONGEST];
} Numbers;

typedef struct Conf {
    weld_conf_t conf;
    char mine[24]; /* what the key "mine" has, or "" */
} Conf;

typedef struct Module {
    weld_module_t module;
    int64_t k;
} Module;

typedef struct Result {
    weld_value_t value;
    int64_t number;
} Result;

typedef struct Lazy {
    weld_lazy_t lazy; /* of type i64 */
    int64_t number;
} Lazy;

typedef struct Frame {
    weld_frame_t frame; /* of one column, a: i64 */
    Numbers of;
    bool computed;
} Frame;

typedef struct Array {
    weld_nd_t array;
    Numbers of;
} Array;

typedef struct Later {
    weld_future_t future;
    Numbers of;
    weld_context_t context; /* it runs in */
    bool cancelled;         /* the context was, meanwhile */
} Later;

static Conf confs[SLOTS];
static weld_error_t errors[SLOTS];
static weld_context_t contexts[SLOTS];
static Module modules[SLOTS];
static Result results[SLOTS];
static Lazy lazies[SLOTS];
static Frame frames[SLOTS];
static Array arrays[SLOTS];
static Later futures[SLOTS];
static weld_error_t error; /* of the call at hand; always there */
static _Atomic long handed, released;

static int64_t count_of(const Numbers *of) {
    return of->shape[0] * of->shape[1];
}

static void release(void *block) {
    memset(block, 0x5a, LONGEST * sizeof(double)); /* who still looks at it is found out */
    free(block);
    released++;
}

static bool is_wrong(void) {
    return draw(WRONG) == 0;
}

static void expect_error(bool failed) {
    if (!failed) complain("what is wrong was taken");
    if (weld_error_code(error) == WELD_SUCCESS || weld_error_code(error) == WELD_UNKNOWN)
        complain("a failure without an error: %s", weld_error_message(error));
}

/* False: it failed because a future runs in the context. */
static bool succeeded(bool ok) {
    if (!ok && weld_error_code(error) == WELD_ARGUMENT_ERROR && strstr(weld_error_message(error), "running"))
        return false;
    if (!ok || weld_error_code(error) != WELD_SUCCESS) complain("%s", weld_error_message(error));
    return true;
}

static void compare(const Numbers *of, const double *x) {
    for (int64_t i = 0; i < count_of(of); i++) {
        if (x[i] != of->x[i]) complain("%g instead of %g", x[i], of->x[i]);
    }
}

/* ---- configurations, errors, contexts ---- */

/* Code is soon made, and kept for this process where the same program comes again. */
static weld_conf_t conf_new(void) {
    static const char *const engines[] = {"eval", "eval", "eval", "eval", "eval", "auto", "auto", "jit"};
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engines[draw(sizeof engines / sizeof *engines)]);
    weld_conf_set(conf, "weld.llvm.optimization.level", "0");
    weld_conf_set(conf, "weld.cache", draw(4) ? "memory" : "off");
    weld_conf_set(conf, "weld.threads", draw(2) ? "1" : "2");
    weld_conf_set(conf, "weld.grain", draw(2) ? "0" : "1"); /* so that a few elements are shared out */
    return conf;
}

static void call_conf(void) {
    Conf *conf = &confs[draw(SLOTS)];
    if (!conf->conf) {
        *conf = (Conf){.conf = conf_new()};
        return;
    }
    if (draw(3) == 0) {
        weld_conf_free(conf->conf);
        *conf = (Conf){0};
        return;
    }
    const char *got = weld_conf_get(conf->conf, "mine");
    if (strcmp(got ? got : "", conf->mine) != 0) complain("a setting is %s", got ? got : "gone");
    snprintf(conf->mine, sizeof conf->mine, "%d", (int)draw(1000) + 1);
    weld_conf_set(conf->conf, "mine", conf->mine);
    weld_conf_set(conf->conf, "weld.threads", draw(2) ? "1" : "2");
    weld_conf_set((weld_conf_t)error, "mine", "1");
    weld_conf_set(conf->conf, NULL, NULL);
    if (weld_conf_get((weld_conf_t)error, "mine")) complain("an error has settings");
}

static void call_error(void) {
    weld_error_t *slot = &errors[draw(SLOTS)];
    if (!*slot) {
        *slot = weld_error_new();
        if (weld_error_code(*slot) != 0 || *weld_error_message(*slot))
            complain("a new error has something to say");
    } else if (draw(2)) {
        weld_error_set(*slot, WELD_ARGUMENT_ERROR, "it was set");
        if (weld_error_code(*slot) != WELD_ARGUMENT_ERROR || !strstr(weld_error_message(*slot), "it was set"))
            complain("an error is another");
        weld_frame_free(weld_frame_parse_csv("a\n1\n", 4, NULL, *slot));
        if (weld_error_code(*slot) != 0) complain("an error of old");
    } else {
        weld_error_free(*slot);
        *slot = NULL;
    }
}

static void call_context(void) {
    weld_context_t *slot = &contexts[draw(SLOTS)];
    weld_conf_t conf = confs[draw(SLOTS)].conf;
    if (*slot && draw(4)) return;
    weld_context_free(*slot); /* results, frames and futures live on */
    *slot = conf ? weld_context_new(conf) : NULL;
    if (conf && weld_context_memory_usage(*slot) != 0) complain("a new context holds something");
}

/* ---- modules and results ---- */

static void call_module(void) {
    Module *slot = &modules[draw(SLOTS)];
    if (slot->module && draw(2)) {
        weld_module_free(slot->module);
        *slot = (Module){0};
        return;
    }
    static const char *const wrong[] = {"|v: vec[i64]| w", "|v: vec[", "", "|x| x",
                                        "|v: vec[i64]| lookup(v, 1.0)"};
    char code[160];
    int64_t k = (int64_t)draw(MODULES);
    bool fails = is_wrong();
    snprintf(code, sizeof code,
             "|v: vec[i64], i: i64| result(for(v, merger[i64, +](%lldl), |b, i, e| merge(b, e))) + "
             "lookup(v, i)",
             (long long)k);
    weld_module_t module = weld_module_compile(fails ? wrong[draw(sizeof wrong / sizeof *wrong)] : code,
                                               confs[draw(SLOTS)].conf, error);
    if (fails) {
        expect_error(!module);
        return;
    }
    succeeded(module != NULL);
    weld_module_free(slot->module);
    *slot = (Module){module, k};
}

static void call_run(void) {
    const Module *module = &modules[draw(SLOTS)];
    weld_context_t context = contexts[draw(SLOTS)];
    Result *to = &results[draw(SLOTS)];
    if (is_wrong()) {
        expect_error(!weld_module_run(draw(2) ? NULL : (weld_module_t)error, context, NULL, error));
        return;
    }
    if (!module->module || !context) return;
    int64_t data[LONGEST], length = (int64_t)draw(LONGEST) + 1, i = (int64_t)draw((uint64_t)length + 1),
                           sum = module->k;
    for (int64_t j = 0; j < length; j++) sum += data[j] = (int64_t)draw(100);
    const struct {
        int64_t *data, length, i;
    } arguments = {data, length, i};
    weld_value_t argument = weld_value_new(&arguments);
    weld_value_t value = weld_module_run(module->module, context, argument, error);
    weld_value_free(argument);
    if (i == length) {
        expect_error(!value);
        return;
    }
    if (!succeeded(value != NULL)) return;
    weld_value_free(to->value);
    *to = (Result){value, sum + data[i]};
}

static void call_result(void) {
    Result *result = &results[draw(SLOTS)], *other = &results[draw(SLOTS)];
    if (!result->value) return;
    if (*(int64_t *)weld_value_data(result->value) != result->number) complain("a result has changed");
    weld_context_free(weld_value_context(result->value));
    char *text = weld_value_print(result->value);
    if (!text || atoll(text) != result->number) complain("a result prints as %s", text ? text : "nothing");
    free(text);
    if (draw(2)) {
        weld_value_free(result->value);
        *result = (Result){0};
    } else if (other != result) {
        weld_value_free(other->value);
        *other = (Result){weld_value_hold(result->value), result->number};
    }
}

/* ---- lazy values ---- */

static void put_lazy(weld_lazy_t lazy, int64_t number) {
    succeeded(lazy != NULL);
    Lazy *to = &lazies[draw(SLOTS)];
    weld_lazy_free(to->lazy);
    *to = (Lazy){lazy, number};
}

/* Numbers stay small, so that the model need not wrap around. */
static void call_lazy(void) {
    const Lazy *a = &lazies[draw(SLOTS)], *b = &lazies[draw(SLOTS)];
    const Result *result = &results[draw(SLOTS)];
    char code[64];
    int64_t k = (int64_t)draw(10);
    snprintf(code, sizeof code, "|a, b| (a - b * 2l) %% 1000l + %lldl", (long long)k);
    if (is_wrong()) {
        expect_error(!weld_lazy_value(draw(2) ? NULL : (weld_value_t)error, error));
        expect_error(!weld_lazy_new("mine.step", code, (weld_lazy_t[]){a->lazy, NULL}, 2, error));
    } else if (draw(3) == 0 && result->value) {
        put_lazy(weld_lazy_value(result->value, error), result->number);
    } else if (a->lazy && b->lazy) {
        put_lazy(weld_lazy_new("mine.step", code, (weld_lazy_t[]){a->lazy, b->lazy}, 2, error),
                 (a->number - b->number * 2) % 1000 + k);
    }
}

/* The sum of an array of whole numbers. */
static void call_lazy_sum(void) {
    const Array *a = &arrays[draw(SLOTS)];
    double sum = 0;
    if (!a->array) return;
    for (int64_t i = 0; i < count_of(&a->of); i++) sum += a->of.x[i];
    if (sum > 1e6 || sum < -1e6) return;
    weld_lazy_t of = weld_nd_lazy(a->array, error);
    succeeded(of != NULL);
    put_lazy(weld_lazy_new("mine.sum", "|v| i64(result(for(v, merger[f64, +], |b, i, e| merge(b, e))))", &of,
                           1, error),
             (int64_t)sum);
    weld_lazy_free(of);
}

/* Two by one program. */
static void call_evaluate(void) {
    Lazy *a = &lazies[draw(SLOTS)];
    const Lazy *b = &lazies[draw(SLOTS)];
    weld_context_t context = contexts[draw(SLOTS)];
    weld_value_t values[2] = {NULL, NULL};
    if (!a->lazy || !b->lazy || !context) return;
    if (draw(4) == 0) weld_lazy_keep(a->lazy);
    int64_t numbers[2] = {a->number, b->number};
    bool ok = weld_lazy_evaluate(context, (weld_lazy_t[]){a->lazy, b->lazy}, 2, values, error);
    if (!succeeded(ok)) return;
    for (int i = 0; i < 2; i++) {
        Result *to = &results[draw(SLOTS)];
        if (*(int64_t *)weld_value_data(values[i]) != numbers[i]) complain("a lazy value is another number");
        weld_value_free(to->value);
        *to = (Result){values[i], numbers[i]};
    }
    if (draw(3)) return;
    weld_lazy_free(a->lazy);
    *a = (Lazy){0};
}

/* ---- frames ---- */

static void put_frame(weld_frame_t frame, const Numbers *of, bool computed) {
    succeeded(frame != NULL);
    Frame *to = &frames[draw(SLOTS)];
    weld_frame_free(to->frame);
    *to = (Frame){frame, *of, computed};
}

static void call_frame_data(void) {
    Numbers of = {1, {(int64_t)draw(LONGEST), 1}, {0}};
    int64_t *data = malloc(LONGEST * sizeof *data);
    if (!data) return;
    for (int64_t i = 0; i < of.shape[0]; i++) of.x[i] = (double)(data[i] = (int64_t)draw(20) - 10);
    if (is_wrong()) {
        expect_error(!weld_frame_add_data(NULL, "a", WELD_FRAME_I64, data, NULL, -1, release, data, error));
        free(data);
        return;
    }
    handed++;
    put_frame(weld_frame_add_data(NULL, "a", WELD_FRAME_I64, data, NULL, of.shape[0], release, data, error),
              &of, true);
}

static int by_size(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

static void call_frame(void) {
    const Frame *frame = &frames[draw(SLOTS)], *other = &frames[draw(SLOTS)];
    Numbers of = frame->of;
    int64_t k = (int64_t)draw(10), n = 0;
    char text[40];
    if (is_wrong()) {
        static const char *const wrong[] = {"b > 1", "a +", "a", "a > 'x'", ""};
        expect_error(!weld_frame_filter(frame->frame, wrong[draw(5)], error));
        expect_error(!weld_frame_sort(NULL, "a", error));
        return;
    }
    if (!frame->frame || !other->frame) return;
    switch (draw(5)) {
    case 0:
        snprintf(text, sizeof text, "a > %d", (int)k);
        for (int64_t i = 0; i < of.shape[0]; i++) {
            if (of.x[i] > (double)k) of.x[n++] = of.x[i];
        }
        of.shape[0] = n;
        put_frame(weld_frame_filter(frame->frame, text, error), &of, false);
        break;
    case 1:
        snprintf(text, sizeof text, "a - %d as a", (int)k);
        for (int64_t i = 0; i < of.shape[0]; i++) of.x[i] -= (double)k;
        put_frame(weld_frame_with(frame->frame, text, error), &of, false);
        break;
    case 2:
        qsort(of.x, (size_t)of.shape[0], sizeof *of.x, by_size);
        put_frame(weld_frame_sort(frame->frame, "a", error), &of, false);
        break;
    case 3:
        of.shape[0] = of.shape[0] < k ? of.shape[0] : k;
        put_frame(weld_frame_head(frame->frame, k, error), &of, false);
        break;
    default:
        if (of.shape[0] + other->of.shape[0] > LONGEST) return;
        memcpy(of.x + of.shape[0], other->of.x, sizeof *of.x * (size_t)other->of.shape[0]);
        of.shape[0] += other->of.shape[0];
        put_frame(weld_frame_concat((weld_frame_t[]){frame->frame, other->frame}, 2, error), &of, false);
    }
}

static void call_collect(void) {
    const Frame *frame = &frames[draw(SLOTS)];
    weld_context_t context = contexts[draw(SLOTS)];
    if (!frame->frame || !context) return;
    Numbers of = frame->of;
    weld_frame_t made = weld_frame_collect(context, frame->frame, error);
    if (succeeded(made != NULL)) put_frame(made, &of, true);
}

static void call_read_frame(void) {
    Frame *frame = &frames[draw(SLOTS)];
    int64_t rows = -1;
    const int64_t *data = weld_frame_data(frame->frame, draw(8) ? "a" : "b", &rows, NULL, error);
    if (data && !frame->computed) complain("a column without a value");
    if (!data) expect_error(true);
    if (data && rows != frame->of.shape[0]) complain("%ld rows", (long)rows);
    for (int64_t i = 0; data && i < rows; i++) {
        if ((double)data[i] != frame->of.x[i]) complain("a frame has another number");
    }
    if (draw(4)) return;
    weld_frame_free(frame->frame);
    *frame = (Frame){0};
}

/* ---- arrays and futures ---- */

static void put_array(weld_nd_t array, const Numbers *of) {
    succeeded(array != NULL);
    Array *to = &arrays[draw(SLOTS)];
    weld_nd_free(to->array);
    *to = (Array){array, *of};
}

static void call_array_data(void) {
    Numbers of = {(int)draw(2) + 1, {(int64_t)draw(4), (int64_t)draw(4)}, {0}};
    if (of.rank == 1) of.shape[1] = 1;
    double *data = malloc(LONGEST * sizeof *data);
    if (!data) return;
    for (int64_t i = 0; i < count_of(&of); i++) of.x[i] = data[i] = (double)draw(20) - 10;
    if (is_wrong()) {
        expect_error(!weld_nd_from(WELD_ND_F64, data, -1, of.shape, NULL, release, data, error));
        free(data);
        return;
    }
    handed++;
    put_array(weld_nd_from(WELD_ND_F64, data, of.rank, of.shape, NULL, release, data, error), &of);
}

/* The lengths of both along an axis counted from the end, if one fits the other. */
static bool broadcast(const Numbers *a, const Numbers *b, int64_t shape[2]) {
    int64_t left[2] = {a->rank == 1 ? 1 : a->shape[0], a->shape[a->rank - 1]};
    int64_t right[2] = {b->rank == 1 ? 1 : b->shape[0], b->shape[b->rank - 1]};
    for (int i = 0; i < 2; i++) {
        if (left[i] != right[i] && left[i] != 1 && right[i] != 1) return false;
        shape[i] = left[i] == 1 ? right[i] : left[i];
    }
    return true;
}

static double element(const Numbers *of, int64_t i, int64_t j) {
    int64_t rows = of->rank == 1 ? 1 : of->shape[0], columns = of->shape[of->rank - 1];
    return of->x[(rows == 1 ? 0 : i) * columns + (columns == 1 ? 0 : j)];
}

static void call_subtract(const Array *a, const Array *b) {
    Numbers of = {a->of.rank > b->of.rank ? a->of.rank : b->of.rank, {0, 0}, {0}};
    int64_t shape[2];
    if (!broadcast(&a->of, &b->of, shape)) {
        expect_error(!weld_nd_binary(WELD_ND_SUBTRACT, a->array, b->array, error));
        return;
    }
    if (shape[0] * shape[1] > LONGEST) return;
    for (int64_t i = 0; i < shape[0]; i++) {
        for (int64_t j = 0; j < shape[1]; j++)
            of.x[i * shape[1] + j] = element(&a->of, i, j) - element(&b->of, i, j);
    }
    of.shape[0] = of.rank == 1 ? shape[1] : shape[0];
    of.shape[1] = of.rank == 1 ? 1 : shape[1];
    put_array(weld_nd_binary(WELD_ND_SUBTRACT, a->array, b->array, error), &of);
}

static void call_array(void) {
    const Array *a = &arrays[draw(SLOTS)], *b = &arrays[draw(SLOTS)];
    Numbers of = a->of;
    if (is_wrong()) {
        expect_error(!weld_nd_binary(WELD_ND_ADD, a->array, NULL, error));
        expect_error(!weld_nd_slice(a->array, 7, 0, 1, 1, error));
        return;
    }
    if (!a->array || !b->array) return;
    int64_t length = count_of(&of);
    switch (draw(4)) {
    case 0: call_subtract(a, b); break;
    case 1:
        of = (Numbers){of.rank, {of.shape[1], of.shape[0]}, {0}};
        if (of.rank == 1) of = a->of;
        for (int64_t i = 0; of.rank == 2 && i < length; i++)
            of.x[i] = a->of.x[i % of.shape[1] * of.shape[0] + i / of.shape[1]];
        put_array(weld_nd_transpose(a->array, NULL, error), &of);
        break;
    case 2:
        of.rank = 1, of.shape[0] = length, of.shape[1] = 1;
        put_array(weld_nd_reshape(a->array, 1, &length, error), &of);
        break;
    default: /* the sums of columns */
        if (of.rank == 1) return;
        of = (Numbers){1, {a->of.shape[1], 1}, {0}};
        for (int64_t i = 0; i < length; i++) of.x[i % a->of.shape[1]] += a->of.x[i];
        put_array(weld_nd_reduce(WELD_ND_SUM, a->array, (const int[]){0}, 1, false, error), &of);
    }
}

static void call_read_array(void) {
    Array *a = &arrays[draw(SLOTS)];
    weld_context_t context = contexts[draw(SLOTS)];
    double out[LONGEST] = {0};
    if (!a->array || !context) return;
    if (draw(4) == 0) weld_nd_keep(a->array);
    if (succeeded(weld_nd_read(context, a->array, out, count_of(&a->of) * (int64_t)sizeof *out, error)))
        compare(&a->of, out);
    if (draw(3)) return;
    weld_nd_free(a->array);
    *a = (Array){0};
}

static void finish(Later *later) {
    weld_value_t value = NULL;
    if (!later->future) return;
    bool cancelled = later->cancelled;
    if (draw(3) == 0) weld_future_cancel(later->future), cancelled = true;
    if (draw(4) == 0) weld_future_poll(later->future);
    if (draw(4)) {
        bool ok = weld_future_wait(later->future, &value, error);
        if (ok) compare(&later->of, *(double **)weld_value_data(value));
        if (!ok && !(cancelled && weld_error_code(error) == WELD_CANCELLED)) succeeded(false);
    }
    weld_value_free(value);
    weld_future_free(later->future);
    *later = (Later){0};
}

static void call_later(void) {
    Later *later = &futures[draw(SLOTS)];
    const Array *a = &arrays[draw(SLOTS)];
    weld_context_t context = contexts[draw(SLOTS)];
    if (draw(8)) return; /* threads take their time */
    finish(later);
    if (!a->array || !context) return;
    weld_lazy_t lazy = weld_nd_lazy(a->array, error);
    succeeded(lazy != NULL);
    *later = (Later){weld_lazy_evaluate_async(context, &lazy, 1, error), a->of, context, false};
    succeeded(later->future != NULL);
    weld_lazy_free(lazy);
    if (draw(8)) return;
    weld_context_cancel(context);
    for (int i = 0; i < SLOTS; i++) futures[i].cancelled |= futures[i].context == context;
    finish(later);
}

static void (*const operations[])(void) = {
    call_conf,       call_error,      call_context,  call_module,     call_run,     call_run,
    call_result,     call_frame_data, call_frame,    call_frame,      call_collect, call_read_frame,
    call_array_data, call_array,      call_array,    call_read_array, call_later,   call_lazy,
    call_lazy,       call_lazy_sum,   call_evaluate,
};

static void end(void) {
    for (int i = 0; i < SLOTS; i++) finish(&futures[i]);
    for (int i = 0; i < SLOTS; i++) {
        weld_conf_free(confs[i].conf);
        weld_error_free(errors[i]);
        weld_module_free(modules[i].module);
        weld_value_free(results[i].value);
        weld_lazy_free(lazies[i].lazy);
        weld_frame_free(frames[i].frame);
        weld_nd_free(arrays[i].array);
    }
    for (int i = 0; i < SLOTS; i++) {
        if (contexts[i] && weld_context_memory_usage(contexts[i]) != 0)
            complain("a context holds memory at the end");
        weld_context_free(contexts[i]);
    }
    if (handed != released) complain("%ld data, but %ld releases", (long)handed, (long)released);
    weld_error_free(error);
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: fuzz_handles CALLS [SEED]\n");
        return 2;
    }
    long calls = atol(words[1]);
    state = (count > 2 ? (uint64_t)atoll(words[2]) : 1) * 0x9E3779B97F4A7C15ull | 1;
    error = weld_error_new();
    for (at = 0; at < calls; at++) operations[draw(sizeof operations / sizeof *operations)]();
    end();
    printf("%ld calls, %ld data released\n", calls, (long)released);
    return 0;
}
