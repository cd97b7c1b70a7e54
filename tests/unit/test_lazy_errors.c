/* test_lazy_errors.c: lazy values where things go wrong: handles that are none, fragments that do not fit, failures that
 * name the fragment they are in. */
#include "lazy.h"

/* ---- wrong handles ---- */

/* Every kind of handle but `kind`, and NULL. */
typedef struct Handles {
    weld_lazy_t lazy;
    weld_conf_t conf;
    weld_context_t context;
    weld_value_t value, own;
    weld_module_t module;
    weld_future_t future;
    weld_error_t error;
    void *all[9];
} Handles;

static Handles handles_open(void) {
    static int64_t five = 5;
    Handles h = {.conf = weld_conf_new(), .error = weld_error_new()};
    h.context = weld_context_new(h.conf);
    h.module = must_compile(0, "5");
    h.value = must_run(h.module, h.context, NULL);
    h.own = weld_value_new(&five);
    h.lazy = lazy_number(5);
    h.future = weld_lazy_evaluate_async(h.context, &h.lazy, 1, h.error);
    cr_assert_not_null(h.future);
    cr_assert(weld_future_wait(h.future, NULL, NULL));
    void *all[] = {NULL, h.lazy, h.conf, h.context, h.value, h.own, h.module, h.future, h.error};
    memcpy(h.all, all, sizeof all);
    return h;
}

static void handles_close(Handles *h) {
    weld_future_free(h->future);
    weld_lazy_free(h->lazy);
    weld_value_free(h->own);
    weld_value_free(h->value);
    weld_module_free(h->module);
    weld_context_free(h->context);
    weld_conf_free(h->conf);
    weld_error_free(h->error);
}

enum { KINDS = 9 };

static void expect_argument_error(weld_error_t error) {
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR, "%s", weld_error_message(error));
    cr_assert(strlen(weld_error_message(error)) > 10);
}

Test(lazy_errors, handles_of_another_kind_are_no_lazy_values) {
    Handles h = handles_open();
    weld_error_t error = weld_error_new();
    for (int i = 0; i < KINDS; i++) {
        void *bad = h.all[i];
        if (bad == h.lazy) continue;
        weld_lazy_t pair[] = {h.lazy, bad};
        weld_value_t values[2] = {NULL, NULL};
        cr_assert_null(weld_lazy_hold(bad));
        weld_lazy_free(bad);
        weld_lazy_keep(bad);
        cr_assert_null(weld_lazy_type(bad));
        cr_assert_null(weld_lazy_function(bad));
        cr_assert_null(weld_lazy_code(bad));
        cr_assert_eq(weld_lazy_argument_count(bad), -1);
        cr_assert_null(weld_lazy_argument(bad, 0));
        cr_assert_null(weld_lazy_new("mine.f", "|a, b| a", pair, 2, error));
        expect_argument_error(error);
        cr_assert_null(weld_lazy_call("nowhere.f", pair, 2, error));
        cr_assert_eq(weld_error_code(error), WELD_LOAD_LIBRARY_ERROR);
        cr_assert_null(weld_lazy_program(pair, 2, error));
        expect_argument_error(error);
        cr_assert_null(weld_lazy_plan(pair, 2, error));
        expect_argument_error(error);
        cr_assert_not(weld_lazy_evaluate(h.context, pair, 2, values, error));
        expect_argument_error(error);
        cr_assert_null(weld_lazy_evaluate_async(h.context, pair, 2, error));
        expect_argument_error(error);
        cr_assert_null(weld_lazy_new("mine.f", "|a, b| a", pair, 2, bad == error ? NULL : bad),
                       "no error to fill");
    }
    weld_error_free(error);
    handles_close(&h);
}

Test(lazy_errors, other_handles_are_checked_too) {
    Handles h = handles_open();
    weld_error_t error = weld_error_new();
    for (int i = 0; i < KINDS; i++) {
        void *bad = h.all[i];
        weld_value_t value = NULL;
        if (bad != h.context) {
            cr_assert_not(weld_lazy_evaluate(bad, &h.lazy, 1, &value, error));
            expect_argument_error(error);
            cr_assert_null(weld_lazy_evaluate_async(bad, &h.lazy, 1, error));
            expect_argument_error(error);
        }
        if (bad != h.value) {
            cr_assert_null(weld_lazy_value(bad, error));
            expect_argument_error(error);
        }
        if (bad != h.future) {
            cr_assert(weld_future_poll(bad));
            cr_assert_not(weld_future_wait(bad, &value, error));
            expect_argument_error(error);
            weld_future_cancel(bad);
            weld_future_free(bad);
        }
    }
    weld_error_free(error);
    handles_close(&h);
}

Test(lazy_errors, counts_and_texts_are_checked) {
    Handles h = handles_open();
    weld_error_t error = weld_error_new();
    weld_value_t value;
    int64_t counts[] = {-1, INT64_MIN, WELD_LAZY_ARGUMENTS + 1, INT64_MAX};
    for (int i = 0; i < 4; i++) {
        cr_assert_null(weld_lazy_new("mine.f", "|a| a", &h.lazy, counts[i], error));
        expect_argument_error(error);
        cr_assert_not(weld_lazy_evaluate(h.context, &h.lazy, counts[i], &value, error));
        expect_argument_error(error);
        cr_assert_null(weld_lazy_evaluate_async(h.context, &h.lazy, counts[i], error));
        expect_argument_error(error);
        cr_assert_null(weld_lazy_program(&h.lazy, counts[i], error));
        expect_argument_error(error);
        cr_assert_null(weld_lazy_plan(&h.lazy, counts[i], error));
        expect_argument_error(error);
    }
    cr_assert_null(weld_lazy_new("mine.f", "|a| a", NULL, 1, error));
    expect_argument_error(error);
    cr_assert_null(weld_lazy_new("mine.f", NULL, &h.lazy, 1, error));
    expect_argument_error(error);
    cr_assert_not(weld_lazy_evaluate(h.context, NULL, 1, &value, error));
    expect_argument_error(error);
    cr_assert_not(weld_lazy_evaluate(h.context, &h.lazy, 1, NULL, error));
    expect_argument_error(error);
    cr_assert_null(weld_lazy_call(NULL, &h.lazy, 1, error));
    expect_argument_error(error);
    weld_error_free(error);
    handles_close(&h);
}

Test(lazy_errors, names_of_functions_that_are_not_there) {
    weld_error_t error = weld_error_new();
    static const char *const names[] = {"",       ".",     "x",   "x.",    ".x", "no_such_adapter.f",
                                        "../x.f", "a/b.c", "..f", "%s%n.x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cr_assert_null(weld_lazy_call(names[i], NULL, 0, error), "%s", names[i]);
        cr_assert_eq(weld_error_code(error), WELD_LOAD_LIBRARY_ERROR, "%s: %s", names[i],
                     weld_error_message(error));
        cr_assert_null(weld_adapter_find(names[i], error));
        cr_assert_eq(weld_error_code(error), WELD_LOAD_LIBRARY_ERROR);
    }
    cr_assert_null(weld_adapter_find(NULL, error));
    cr_assert_neq(weld_error_code(error), WELD_SUCCESS);
    cr_assert_null(weld_adapter_find("no_such_adapter", NULL));
    char name[10000];
    memset(name, 'a', sizeof name - 1);
    name[sizeof name - 1] = 0;
    cr_assert_null(weld_adapter_find(name, error));
    name[5000] = '.';
    cr_assert_null(weld_lazy_call(name, NULL, 0, error));
    weld_error_free(error);
}

/* ---- fragments that are wrong ---- */

Test(lazy_errors, fragments_that_do_not_fit) {
    static const struct {
        const char *code;
        int count;
        int64_t line, column;
        const char *name;
    } rows[] = {
        {"|a| a +", 1, 1, 8, "Syntax"},
        {"|a|\n  a + true", 1, 2, 7, "Type"},
        {"|a, b| a", 1, 1, 1, "Type"},
        {"|| 5", 1, 1, 1, "Type"},
        {"5", 1, 0, 0, "Type"},
        {"|a| b", 1, 1, 5, "Type"},
        {"|a: f64| a", 1, 0, 0, "Type"},
        {"|a| appender[i64]", 1, 0, 0, "Type"},
        {"|a| {merger[i64, +], a}", 1, 0, 0, "Type"},
        {"|a| []", 1, 0, 0, "Type"},
        {"|a|", 1, 0, 0, "Syntax"},
        {"", 0, 0, 0, "Syntax"},
        {"|a| a", 0, 0, 0, "Type"},
        {"|a| nowhere.f(a)", 1, 0, 0, NULL},
        {"|a| a \xff", 1, 0, 0, "Syntax"},
    };
    weld_lazy_t five = lazy_number(5);
    weld_error_t error = weld_error_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        for (int twice = 0; twice < 2; twice++) {
            cr_assert_null(weld_lazy_new("mine.wrong", rows[i].code, &five, rows[i].count, error), "%s",
                           rows[i].code);
            cr_expect(weld_error_code(error) != WELD_SUCCESS && weld_error_code(error) != WELD_UNKNOWN,
                      "%s: %s", rows[i].code, weld_error_message(error));
            if (rows[i].name)
                cr_expect_str_eq(weld_error_name(error), rows[i].name, "%s", weld_error_message(error));
            if (rows[i].line) {
                cr_expect_eq(weld_error_line(error), rows[i].line, "%s", weld_error_message(error));
                cr_expect_eq(weld_error_column(error), rows[i].column, "%s", weld_error_message(error));
                cr_expect_eq(strncmp(weld_error_message(error), "mine.wrong:", 11), 0, "%s",
                             weld_error_message(error));
            }
        }
    }
    cr_assert_null(weld_lazy_new(NULL, "|a| a + ", &five, 1, NULL), "without an error object");
    weld_lazy_free(five);
    weld_error_free(error);
}

/* ---- failures while computing ---- */

/* The failing fragment amid others, which fuse with it. */
Test(lazy_errors, failures_name_the_fragment_they_are_in) {
    static const struct {
        const char *code;
        int64_t line, column;
        const char *name;
    } rows[] = {
        {"|v|\n  map(v,\n    |e| 7l / (e - 3l))", 3, 9, "DivisionByZero"},
        {"|v| map(v, |e|\n lookup(v, e + 5l))", 2, 2, "OutOfBounds"},
        {"|v| let w = map(v, |e| e);\n\n\n   let x = slice(w, -1l, 5l);\n x", 4, 12, "OutOfBounds"},
        {"|v| map(v, |e| if(\nassert(e < 3l), e, 0l))", 2, 1, "AssertionFailed"},
        {"|v| map(v, |e|\n lookup(result(for(v, dictmerger[i64, i64, +], |b, i, x| merge(b, {x, x}))), e * "
         "100l))",
         2, 2, "KeyNotFound"},
        {"|v| let n = len(v);\n result(for(zip(v, rangeiter(0l, n + 1l, 1l)), appender, |b, i, e| merge(b, "
         "e.$0)))",
         0, 0, "ZipMismatch"},
        {"|v|\n result(for(iter(v, 0l, 7l, 1l), appender, |b, i, e| merge(b, e)))", 2, 0, "BadIterator"},
        {"|v|\n\n map(deserialize[vec[i64]]([1uc]), |e| e)", 3, 6, "Deserialization"},
        {"|v| map(v, |e| @(x: 1)\n cfun[no_such_function_at_all, i64](e))", 2, 2, NULL},
    };
    EACH_ENGINE(engine) {
        static const char *const levels[] = {"0", "2"};
        for (int level = 0; level < 2; level++) {
            weld_conf_t conf = conf_for(engine);
            weld_conf_set(conf, "weld.optimization.level", levels[level]);
            weld_context_t context = weld_context_new(conf);
            for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
                int64_t numbers[] = {0, 1, 2};
                weld_error_t error = weld_error_new();
                weld_lazy_t x = lazy_ints(numbers, 3, NULL);
                weld_lazy_t y = lazy_apply("mine.plus", "|v| map(v, |e| e + 1l)", &x, 1, true);
                weld_lazy_t z = lazy_apply("mine.broken", rows[i].code, &y, 1, true);
                weld_lazy_t w = lazy_apply("mine.minus", "|v| map(v, |e| e - 1l)", &z, 1, true);
                weld_value_t value;
                cr_assert_not(weld_lazy_evaluate(context, &w, 1, &value, error), "%s", rows[i].code);
                const char *message = weld_error_message(error);
                if (rows[i].name) cr_expect_str_eq(weld_error_name(error), rows[i].name, "%s", message);
                cr_expect(strstr(message, "mine.broken:") == message, "%s, level %s: %s", engines[engine],
                          levels[level], message);
                if (rows[i].line)
                    cr_expect_eq(weld_error_line(error), rows[i].line, "%s: %s", engines[engine], message);
                if (rows[i].column)
                    cr_expect_eq(weld_error_column(error), rows[i].column, "%s: %s", engines[engine],
                                 message);
                cr_assert_eq(weld_context_memory_usage(context), 0);
                weld_lazy_free(w);
                weld_error_free(error);
            }
            weld_context_free(context);
            weld_conf_free(conf);
        }
    }
}

/* Far into a long text, and among many fragments, a place is still a place. */
Test(lazy_errors, failures_are_placed_in_large_graphs) {
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        weld_lazy_t x = lazy_number(1);
        for (int i = 0; i < 300; i++) {
            char name[64], code[64];
            snprintf(name, sizeof name, "mine.step%d", i);
            snprintf(code, sizeof code, "|x|\n x * %dl", 1 + 2 * i);
            x = lazy_apply(name, code, &x, 1, true);
        }
        static char code[70000];
        strcpy(code, "|x| \n");
        memset(code + 5, ' ', 60000);
        strcpy(code + 60005, "\n\n   1l / (x - x)");
        x = lazy_apply("mine.broken", code, &x, 1, true);
        x = lazy_apply("mine.last", "|x| x + 1l", &x, 1, true);
        weld_value_t value;
        weld_error_t error = weld_error_new();
        cr_assert_not(weld_lazy_evaluate(context, &x, 1, &value, error));
        cr_expect_eq(strncmp(weld_error_message(error), "mine.broken:4:4: ", 17), 0, "%.200s",
                     weld_error_message(error));
        weld_lazy_free(x);
        weld_error_free(error);
        weld_context_free(context);
    }
}

Test(lazy_errors, a_wrong_setting_is_an_error_each_time) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.optimization.passes", "no-such-pass");
    weld_context_t context = weld_context_new(conf);
    cr_assert_not_null(context);
    weld_lazy_t x = lazy_number(5), y = lazy_of("|x| x + 1l", x);
    weld_error_t error = weld_error_new();
    weld_value_t value;
    for (int i = 0; i < 3; i++) {
        cr_assert_not(weld_lazy_evaluate(context, &y, 1, &value, error));
        cr_assert_eq(weld_error_code(error), WELD_CONFIGURATION_ERROR, "%s", weld_error_message(error));
    }
    weld_lazy_free(x);
    weld_lazy_free(y);
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
}

Test(lazy_errors, a_context_that_runs_is_refused) {
    weld_context_t context = context_for(0);
    weld_error_t error = weld_error_new();
    weld_lazy_t x = lazy_number(0), slow = lazy_of("|x| iterate(x, |s| {s + 1l, s >= 0l})", x);
    weld_future_t future = weld_lazy_evaluate_async(context, &slow, 1, error);
    cr_assert_not_null(future);
    weld_value_t value = NULL;
    bool refused = false;
    for (int i = 0; i < 100000 && !refused; i++) {
        if (weld_lazy_evaluate(context, &x, 1, &value, error))
            weld_value_free(value);
        else
            refused = weld_error_code(error) == WELD_ARGUMENT_ERROR;
        if (weld_future_poll(future)) break; /* it came too late itself */
    }
    cr_assert(refused || weld_future_poll(future));
    weld_future_free(future);
    expect_lazy(context, x, "0l");
    weld_lazy_free(x);
    weld_lazy_free(slow);
    weld_error_free(error);
    weld_context_free(context);
}
