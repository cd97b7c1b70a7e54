/* Every single allocation of making, showing and evaluating lazy values fails, once or with all that follow: each time
 * there is an error, data are released once, the context holds no bytes afterwards and computes the same graph as soon as there is memory, and no block
 * is lost. malloc and mmap are this program's own, so it does not go together with sanitizers.
 */
#define _GNU_SOURCE
#include "refuse.h"
#include "weld.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static weld_context_t context;
static weld_error_t error;

static void is_reported(int ok) {
    CHECK(ok == (weld_error_code(error) == WELD_SUCCESS));
    CHECK(ok || strlen(weld_error_message(error)) > 10);
    CHECK(ok || weld_error_code(error) == WELD_OUT_OF_MEMORY);
}

static void count_release(void *user) {
    ++*(int *)user;
}

static weld_lazy_t apply(int text, const char *format, const weld_lazy_t *arguments, int64_t number) {
    char code[512];
    snprintf(code, sizeof code, format, text);
    for (int64_t i = 0; i < number; i++) {
        if (!arguments[i]) return NULL;
    }
    weld_lazy_t lazy = weld_lazy_new("mine.step", code, arguments, number, error);
    is_reported(lazy != NULL);
    return lazy;
}

enum { NODES = 8 };

/* A graph with shared parts, one of them to be kept; NULL from where it failed. */
static void make(int text, weld_lazy_t *nodes, int *released) {
    static int64_t numbers[] = {3, 1, 2};
    static const struct {
        int64_t *data, length;
    } vector = {numbers, 3};
    nodes[0] = weld_lazy_data("vec[i64]", &vector, count_release, released, error);
    is_reported(nodes[0] != NULL);
    nodes[1] = apply(text, "|v| map(v, |e| e + %dl)", nodes, 1);
    nodes[2] = apply(text, "|v, w| map(zip(v, w), |e| e.$0 * e.$1 + %dl)", nodes, 2);
    weld_lazy_keep(nodes[2]);
    nodes[3] = apply(text, "|v| result(for(v, merger[i64, +](%dl), |b, i, e| merge(b, e)))", nodes + 2, 1);
    nodes[4] = apply(text, "|v, s| {sort(v, |a, b| compare(a, b)), \"text\", s + %dl, [s]}", nodes + 2, 2);
    nodes[5] = apply(text, "|v| tovec(result(for(v, groupmerger[i64, i64], |b, i, e| merge(b, {e, %dl}))))",
                     nodes, 1);
    nodes[6] = apply(text, "|v| cfill[lazy_no_memory_fill, vec[i64]](3l, v, %dl)", nodes, 1);
    nodes[7] = apply(text, "|v| map(v, |e| cfun[lazy_no_memory_twice, i64](e + %dl))", nodes, 1);
}

int lazy_no_memory_fill(const void *v, const int64_t *x, void *result);
int lazy_no_memory_fill(const void *v, const int64_t *x, void *result) {
    struct vector {
        int64_t *data, length;
    } *out = result;
    (void)v;
    for (int64_t i = 0; i < out->length; i++) out->data[i] = *x;
    return 0;
}

int64_t lazy_no_memory_twice(int64_t x);
int64_t lazy_no_memory_twice(int64_t x) {
    return 2 * x;
}

static int evaluate(weld_lazy_t *nodes, int number, int later, weld_value_t *values) {
    if (!later) {
        int ok = weld_lazy_evaluate(context, nodes, number, values, error);
        is_reported(ok);
        return ok;
    }
    weld_future_t future = weld_lazy_evaluate_async(context, nodes, number, error);
    is_reported(future != NULL);
    int ok = weld_future_wait(future, values, error);
    if (future) is_reported(ok);
    weld_future_free(future);
    return ok;
}

typedef struct Graph {
    int text, later; /* a text of its own, so that nothing of it is cached at first; evaluated by a future */
} Graph;

/* With allocation number n failing; true: that many did not happen. */
static int try(void *data, long n) {
    int text = ((Graph *)data)->text, later = ((Graph *)data)->later;
    weld_lazy_t nodes[NODES] = {NULL};
    weld_value_t values[NODES] = {NULL};
    int released = 0, made = 0;
    __atomic_store_n(&left, n, __ATOMIC_SEQ_CST);
    make(text, nodes, &released);
    while (made < NODES && nodes[made]) made++;
    char *program = weld_lazy_program(nodes, made, error);
    is_reported(program != NULL);
    char *plan = weld_lazy_plan(nodes, made, error);
    is_reported(plan != NULL);
    int ok = evaluate(nodes, made, later, values), done = __atomic_load_n(&left, __ATOMIC_SEQ_CST) > 0;
    weld_lazy_t again = ok ? weld_lazy_value(values[made - 1], error) : NULL;
    __atomic_store_n(&left, -1, __ATOMIC_SEQ_CST);
    for (int i = 0; i < made; i++) CHECK((values[i] != NULL) == ok);
    CHECK(released == 0 || made == 0);
    for (int i = 0; ok && i < made; i++) weld_value_free(values[i]);
    if (made) CHECK(evaluate(nodes, made, 0, values)); /* with memory it works */
    for (int i = 0; i < made; i++) weld_value_free(values[i]);
    for (int i = 0; i < NODES; i++) weld_lazy_free(nodes[i]);
    weld_lazy_free(again);
    free(program);
    free(plan);
    CHECK(released == (made > 0));
    CHECK(weld_context_memory_usage(context) == 0);
    return done;
}

int main(void) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval"); /* LLVM ends the process when there is no memory */
    weld_conf_set(conf, "weld.threads", "1");
    context = weld_context_new(conf);
    error = weld_error_new();
    Graph graph = {0, 0};
    for (int mode = 0; mode < 4; mode++) {
        int done = 0;
        graph.later = mode / 2;
        once = mode % 2;
        for (long n = 0; !done && !bad; n++) {
            graph.text++;
            done = refuse(try, &graph, n);
            if (n > 20000) bad = 1;
        }
        printf("%d graphs\n", graph.text);
    }
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
    return bad;
}
