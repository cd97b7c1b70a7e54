/* What adapters and lazy graphs are made of without memory, from data in to data out: of each row, allocation number n
 * fails, for n = 0, 1, 2, .. until it succeeds, once or with all that follow. Each time there is an error that says so, whatever
 * was handed over is released exactly once, what was not stays the caller's, the context holds nothing, and no block is lost.
 * Then the context's limit is what refuses, with compiled code too.
 *
 * Long rows are tried at every allocation up to DENSE, then at every 11th; all of them with WELD_ALL in the environment;
 * WELD_ROW=NAME picks a row.
 * client.sh builds model.h ahead of time. malloc is this program's own, so it does not go together with sanitizers. */
#define _GNU_SOURCE
#include "model.h"
#include "refuse.h"
#include "weld.h"
#include "weld_arrow.h"
#include "weld_frame.h"
#include "weld_ndarray.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { DENSE = 150, STRIDE = 11 };

static weld_context_t context;
static weld_error_t error;
static int text;             /* a number for programs, so that nothing of them is cached at first */
static int handed, released; /* things whose release is to be called */

static void count_release(void *user) {
    ++*(int *)user;
}

static const double numbers[12] = {3, 1, 2, 7, 5, 4, 9, 8, 6, 0, 11, 10};

/* ---- frames ---- */

/* CSV in, filter, group, join, sort, CSV out. */
static int run_frame(void) {
    static const char csv[] = "k,x,t\n1,2.5,\"a, b\"\n2,,c\n1,3,\n3,4,c\n2,7,a\n";
    char with[64], *out = NULL;
    weld_frame_t all = NULL, own = NULL, more = NULL, some = NULL, groups = NULL, both = NULL, sorted = NULL;
    snprintf(with, sizeof with, "x * 2 as y%d", text);
    if (!(own = weld_frame_add_data(NULL, "k", WELD_FRAME_F64, numbers, NULL, 12, count_release, &released,
                                    error)))
        goto end;
    handed++;
    if (!(all = weld_frame_parse_csv(csv, sizeof csv - 1, NULL, error))) goto end;
    if (!(more = weld_frame_with(all, with, error))) goto end;
    if (!(some = weld_frame_filter(more, "is_null(x) || x > 2.6", error))) goto end;
    if (!(groups = weld_frame_group_by(some, "k", "count() as n, sum(x) as s", error))) goto end;
    if (!(both = weld_frame_join(groups, own, WELD_FRAME_INNER, "f64(k) == k", error))) goto end;
    if (!(sorted = weld_frame_sort(both, "k desc", error))) goto end;
    out = weld_frame_format_csv(context, sorted, error);
end:
    weld_frame_free(all);
    weld_frame_free(more);
    weld_frame_free(some);
    weld_frame_free(groups);
    weld_frame_free(both);
    weld_frame_free(sorted);
    weld_frame_free(own);
    if (out) CHECK(strncmp(out, "k,n,s,k_right\n3,1,4", 19) == 0 || !printf("%s", out));
    free(out);
    return out != NULL;
}

/* ---- arrays ---- */

/* A column minus the means of rows, reduced along the other axis. */
static int run_ndarray(void) {
    static const int64_t shape[] = {3, 4}, wide[] = {2, 3, 4};
    const int last = 1, first = 0;
    double out[2 * 4], k = text;
    weld_nd_t x = NULL, mean = NULL, less = NULL, broad = NULL, added = NULL, sum = NULL, number = NULL;
    int computed = 0;
    if (!(x = weld_nd_from(WELD_ND_F64, numbers, 2, shape, NULL, count_release, &released, error))) goto end;
    handed++;
    if (!(mean = weld_nd_reduce(WELD_ND_MEAN, x, &last, 1, true, error))) goto end;
    if (!(less = weld_nd_binary(WELD_ND_SUBTRACT, x, mean, error))) goto end;
    if (!(number = weld_nd_full(WELD_ND_F64, &k, 0, NULL, error))) goto end;
    if (!(added = weld_nd_binary(WELD_ND_ADD, less, number, error))) goto end;
    if (!(broad = weld_nd_broadcast(added, 3, wide, error))) goto end;
    if (!(sum = weld_nd_reduce(WELD_ND_SUM, broad, (const int[]){first + 1}, 1, false, error))) goto end;
    computed = weld_nd_read(context, sum, out, sizeof out, error);
    if (computed) CHECK(out[0] == out[4] && out[0] - 3 * k == 3 - 3.25 + 5 - 6.5 + 6 - 6.75);
end:
    weld_nd_free(x);
    weld_nd_free(mean);
    weld_nd_free(less);
    weld_nd_free(broad);
    weld_nd_free(added);
    weld_nd_free(sum);
    weld_nd_free(number);
    return computed;
}

/* ---- Arrow ---- */

static void release_array(struct ArrowArray *array) {
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
    }
    array->release = NULL;
    released++;
}

static void release_schema(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
    }
    schema->release = NULL;
    released++;
}

/* A batch of an i64 and a text, in and out as a table, then in again as a stream. */
static int run_arrow(void) {
    static const int64_t values[] = {5, 6, 7, 8};
    static const int32_t offsets[] = {0, 2, 2, 3, 6};
    static const uint8_t valid[] = {0x0d};
    const void *none[] = {NULL}, *of_values[] = {valid, values}, *of_texts[] = {NULL, offsets, "abcdef"};
    struct ArrowArray columns[] =
        {{.length = 4, .null_count = 1, .n_buffers = 2, .buffers = of_values, .release = release_array},
         {.length = 4, .n_buffers = 3, .buffers = of_texts, .release = release_array}},
                      *pair[] = {&columns[0], &columns[1]}, out = {.release = NULL},
                      array = {.length = 4,
                               .n_buffers = 1,
                               .n_children = 2,
                               .buffers = none,
                               .children = pair,
                               .release = release_array};
    struct ArrowSchema
        types[] = {{.format = "l", .name = "x", .flags = ARROW_FLAG_NULLABLE, .release = release_schema},
                   {.format = "u", .name = "t", .release = release_schema}},
        *both[] = {&types[0], &types[1]}, out_schema = {.release = NULL},
        schema = {.format = "+s", .name = "", .n_children = 2, .children = both, .release = release_schema};
    struct ArrowArrayStream stream = {.release = NULL};
    weld_arrow_t table = NULL, again = NULL;
    weld_lazy_t x = NULL, t = NULL, there = NULL, roots[3] = {NULL}, back = NULL, sum = NULL;
    weld_value_t made[3] = {NULL}, total = NULL;
    char code[64];
    int computed = 0;
    handed += 6;
    table = weld_arrow_import(&array, &schema, error);
    CHECK((table == NULL) == (array.release != NULL) && (table == NULL) == (schema.release != NULL));
    if (!table) goto end;
    snprintf(code, sizeof code, "|v| map(v, |e| e + %dl)", text);
    if (!(x = weld_arrow_values(weld_arrow_find(table, "x"), error))) goto end;
    if (!(t = weld_arrow_values(weld_arrow_find(table, "t"), error))) goto end;
    if (!(there = weld_arrow_validity(weld_arrow_find(table, "x"), error))) goto end;
    if (!(roots[0] = weld_lazy_new("mine.step", code, &x, 1, error))) goto end;
    if (!(roots[1] = weld_lazy_new(NULL, "|t: vec[vec[i8]]| map(t, |e| slice(e, 0l, 1l))", &t, 1, error)))
        goto end;
    roots[2] = weld_lazy_hold(there);
    if (!weld_lazy_evaluate(context, roots, 3, made, error)) goto end;
    const weld_arrow_field_t fields[] = {{.name = "x", .values = made[0], .validity = made[2]},
                                         {.name = "t", .values = made[1]}};
    int ok = weld_arrow_export_table(fields, 2, &out, &out_schema, error);
    CHECK(ok == (out.release != NULL) && ok == (out_schema.release != NULL));
    if (!ok) goto end;
    CHECK(((const int64_t *)out.children[0]->buffers[1])[3] == 8 + text && out.children[0]->null_count != 0);
    ok = weld_arrow_export_stream(fields, 2, 3, &stream, error);
    CHECK(ok == (stream.release != NULL));
    if (!ok) goto end;
    again = weld_arrow_import_stream(&stream, error);
    CHECK((again == NULL) == (stream.release != NULL));
    if (!again) goto end;
    if (!(back = weld_arrow_values(weld_arrow_find(again, "x"), error))) goto end;
    if (!(sum = weld_lazy_new(NULL, "|v| result(for(v, merger[i64, +], |b, i, e| merge(b, e)))", &back, 1,
                              error)))
        goto end;
    computed = weld_lazy_evaluate(context, &sum, 1, &total, error);
    /* what is missing can be anything: here it is what lay there */
    if (computed) CHECK(*(int64_t *)weld_value_data(total) == 26 + 4 * text);
end:
    if (array.release) array.release(&array);
    if (schema.release) schema.release(&schema);
    if (out.release) out.release(&out);
    if (out_schema.release) out_schema.release(&out_schema);
    if (stream.release) stream.release(&stream);
    for (int i = 0; i < 3; i++) weld_value_free(made[i]), weld_lazy_free(roots[i]);
    weld_value_free(total);
    weld_lazy_free(x);
    weld_lazy_free(t);
    weld_lazy_free(there);
    weld_lazy_free(back);
    weld_lazy_free(sum);
    weld_arrow_free(table);
    weld_arrow_free(again);
    return computed;
}

/* ---- lazy graphs ---- */

static void half(void *user, void *const *arguments, void *result) {
    (void)user;
    *(double *)result = *(double *)arguments[0] / 2;
}

/* Several roots over a kept value, a function of the caller's, a gradient, a future; then the kept value and a result anew. */
static int run_lazy(void) {
    static const struct {
        const double *data;
        int64_t length;
    } vector = {numbers, 12};
    static const char *const f64[] = {"f64"};
    weld_lazy_t nodes[6] = {NULL}, gradient = NULL, change = NULL, old = NULL, last = NULL;
    weld_value_t values[5] = {NULL}, value = NULL;
    weld_future_t future = NULL;
    char code[80];
    int computed = 0;
    if (!(nodes[0] = weld_lazy_data("vec[f64]", &vector, count_release, &released, error))) goto end;
    handed++;
    if (!(nodes[1] = weld_lazy_callback(f64, 1, "f64", WELD_PURE, half, count_release, &released, error)))
        goto end;
    handed++;
    snprintf(code, sizeof code, "|v| map(v, |e| e + %d.0)", text);
    if (!(nodes[2] = weld_lazy_new("mine.kept", code, nodes, 1, error))) goto end;
    weld_lazy_keep(nodes[2]);
    if (!(nodes[3] = weld_lazy_new(NULL, "|f, v| map(v, |e| f(e))", nodes + 1, 2, error))) goto end;
    if (!(nodes[4] = weld_lazy_new(NULL, "|v| result(for(v, merger[f64, +], |b, i, e| merge(b, e * e)))",
                                   nodes + 2, 1, error)))
        goto end;
    if (!(nodes[5] = weld_lazy_new(NULL, "|v: vec[f64]| sort(v, |a, b| compare(a, b))", nodes + 3, 1, error)))
        goto end;
    if (!weld_lazy_grad(nodes[4], nodes, 1, &gradient, error)) goto end;
    if (!(change = weld_lazy_jvp(nodes[4], nodes, nodes, 1, error))) goto end;
    if (!weld_lazy_evaluate(context, (weld_lazy_t[]){nodes[2], nodes[4], nodes[5], gradient, change}, 5,
                            values, error))
        goto end;
    CHECK(**(double **)weld_value_data(values[2]) == text / 2.0);
    CHECK(**(double **)weld_value_data(values[3]) == 2 * (3.0 + text));
    if (!(old = weld_lazy_value(values[2], error))) goto end;
    if (!(last = weld_lazy_new(NULL, "|v: vec[f64], w: vec[f64]| lookup(v, 0l) + lookup(w, 0l)",
                               (weld_lazy_t[]){old, nodes[2]}, 2, error)))
        goto end;
    if (!(future = weld_lazy_evaluate_async(context, &last, 1, error))) goto end;
    computed = weld_future_wait(future, &value, error);
    if (computed) CHECK(*(double *)weld_value_data(value) == text / 2.0 + 3 + text);
end:
    weld_future_free(future);
    weld_value_free(value);
    for (int i = 0; i < 5; i++) weld_value_free(values[i]);
    for (int i = 0; i < 6; i++) weld_lazy_free(nodes[i]);
    weld_lazy_free(gradient);
    weld_lazy_free(change);
    weld_lazy_free(old);
    weld_lazy_free(last);
    return computed;
}

/* ---- values in files ---- */

/* A value goes into a file, and comes back. */
static int run_store(void) {
    char path[64], code[80];
    weld_lazy_t lazy = NULL;
    weld_value_t value = NULL, again = NULL;
    snprintf(path, sizeof path, "/tmp/graphs_no_memory.%ld", (long)getpid());
    snprintf(code, sizeof code, "{map([1l, 2l], |e| e + %dl), [[1.5f], [2.5f]]}", text);
    if (!(lazy = weld_lazy_new(NULL, code, NULL, 0, error))) goto end;
    if (!weld_lazy_evaluate(context, &lazy, 1, &value, error) || !weld_value_save(value, path, error))
        goto end;
    again = weld_value_load(context, path, error);
    if (again) CHECK(**(int64_t **)weld_value_data(again) == 1 + text);
end:
    weld_lazy_free(lazy);
    weld_value_free(value);
    weld_value_free(again);
    unlink(path);
    return again != NULL;
}

/* ---- ahead of time ---- */

static int run_ahead(void) {
    model_type_0 rows[3] = {{0, 0}, {1, 2}, {-1, -2}};
    double weights[2] = {1, 0.5};
    model_arguments arguments = {.rows = {rows, 3}, .weights = {weights, 2}, .k = 1, .bound = 0.5};
    weld_value_t value = model_run(context, &arguments, error);
    if (value) {
        const model_result *result = weld_value_data(value);
        CHECK(result->_0.length == 3 && result->_1 == 1);
    }
    weld_value_free(value);
    return value != NULL;
}

/* ---- refusing ---- */

static const struct {
    const char *name, *needs; /* an adapter */
    int (*run)(void);
} rows[] = {
    {"frame", "frame", run_frame}, {"ndarray", "ndarray", run_ndarray}, {"arrow", NULL, run_arrow},
    {"lazy", NULL, run_lazy},      {"store", NULL, run_store},          {"ahead", NULL, run_ahead},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* With allocation number n failing; negative: none. True: it succeeded, and that many did not happen. */
static int try(void *data, long n) {
    const int *row = data;
    handed = released = 0;
    __atomic_store_n(&left, n, __ATOMIC_SEQ_CST);
    int computed = rows[*row].run();
    int code = (int)weld_error_code(error), done = __atomic_load_n(&left, __ATOMIC_SEQ_CST) > 0 || n < 0;
    __atomic_store_n(&left, -1, __ATOMIC_SEQ_CST);
    CHECK(computed ? code == WELD_SUCCESS : code == WELD_OUT_OF_MEMORY);
    CHECK(released == handed);
    CHECK(weld_context_memory_usage(context) == 0);
    return done && computed;
}

static void refuse_allocations(int row, int all) {
    int done = 0;
    long n = 0;
    for (; !done && !bad; n += all || n < DENSE ? 1 : STRIDE) {
        text++;
        done = refuse(try, &row, n);
        if (n > 100000) bad = printf("it never succeeds\n");
        if (bad) printf("%s: allocation %ld%s\n", rows[row].name, n, once ? " alone" : "");
    }
    printf("%s: %ld allocations\n", rows[row].name, n);
}

int main(void) {
    int all = getenv("WELD_ALL") != NULL;
    const char *only = getenv("WELD_ROW");
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval"); /* LLVM ends the process when there is no memory */
    weld_conf_set(conf, "weld.threads", "1");
    context = weld_context_new(conf);
    error = weld_error_new();
    for (int row = 0; row < ROWS && !bad; row++) {
        if (only && strcmp(only, rows[row].name) != 0) continue;
        if (rows[row].needs) CHECK(weld_adapter_find(rows[row].needs, error));
        for (once = 0; once < 2; once++) refuse_allocations(row, all);
        refuse_bytes(&context, "eval", "1", try, &row);
        refuse_bytes(&context, "jit", "1", try, &row);
        refuse_bytes(&context, "jit", "2", try, &row);
        if (bad) printf("%s\n", rows[row].name);
    }
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
    return bad != 0;
}
