/* test_lazy.c: lazy values: who owns what, what is computed together, how large a graph may be. */
#include "lazy.h"

#include <pthread.h>
#include <time.h>
#include <unistd.h>

static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + 1e-9 * (double)time.tv_nsec;
}

/* ---- ownership ---- */

Test(lazy, data_are_released_once_when_nobody_is_left) {
    int64_t numbers[] = {1, 2, 3};
    _Atomic int released = 0;
    weld_lazy_t x = lazy_ints(numbers, 3, &released);
    weld_lazy_t y = lazy_of("|v| map(v, |e| e + 1l)", x);
    cr_assert_eq(weld_lazy_hold(x), x);
    weld_lazy_free(x);
    weld_lazy_free(x);
    cr_assert_eq(released, 0, "y still needs them");
    weld_lazy_free(y);
    cr_assert_eq(released, 1);
}

/* What a result may point into must outlive it; what it does not point into need not. */
Test(lazy, data_live_as_long_as_a_result_that_points_into_them) {
    static const struct {
        const char *code, *text;
        bool points;
    } rows[] = {
        {"|v| v", "[1l, 2l, 3l]", true},
        {"|v| slice(v, 1l, 1l)", "[2l]", true},
        {"|v| {5, {v, true}}", "{5, {[1l, 2l, 3l], true}}", true},
        {"|v| [v, v]", "[[1l, 2l, 3l], [1l, 2l, 3l]]", true},
        {"|v| slice(v, 3l, 1l)", "[]: vec[i64]", false},
        {"|v| map(v, |e| -e)", "[-1l, -2l, -3l]", false},
        {"|v| len(v)", "3l", false},
        {"|v| let d = result(merge(dictmerger[vec[i64], i64, +], {v, 1l})); d", NULL, true},
    };
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            int64_t numbers[] = {1, 2, 3};
            _Atomic int released = 0;
            weld_lazy_t x = lazy_ints(numbers, 3, &released), y = lazy_of(rows[i].code, x);
            weld_value_t value = must_evaluate(context, y);
            cr_assert_eq(released, 0);
            weld_lazy_free(x);
            weld_lazy_free(y);
            if (rows[i].points)
                cr_assert_eq(released, 0, "%s", rows[i].code);
            else
                cr_assert_eq(released, 1, "%s", rows[i].code);
            if (rows[i].text) expect_text(value, rows[i].text);
            weld_value_free(value);
            cr_assert_eq(released, 1, "%s", rows[i].code);
            cr_assert_eq(weld_context_memory_usage(context), 0, "%s", rows[i].code);
        }
        weld_context_free(context);
    }
}

Test(lazy, data_are_released_once_after_failures) {
    EACH_ENGINE(engine) {
        weld_conf_t conf = conf_for(engine);
        weld_conf_set(conf, "weld.memory.limit", "100000");
        weld_context_t context = weld_context_new(conf);
        static const struct {
            const char *code;
            uint64_t error;
        } rows[] = {
            {"|v| lookup(v, 99l)", WELD_ARRAY_OUT_OF_BOUNDS},
            {"|v| map(v, |e| 1l / (e - 2l))", WELD_DIVISION_BY_ZERO},
            {"|v| {v, result(for(rangeiter(0l, 1000000l, 1l), appender[i64], |b, i, e| merge(b, e)))}",
             WELD_OUT_OF_MEMORY},
        };
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            int64_t numbers[] = {1, 2, 3};
            _Atomic int released = 0;
            weld_error_t error = weld_error_new();
            weld_lazy_t x = lazy_ints(numbers, 3, &released), y = lazy_of(rows[i].code, x);
            weld_lazy_t roots[] = {x, y};
            weld_value_t values[2] = {(weld_value_t)1, (weld_value_t)2};
            cr_assert_not(weld_lazy_evaluate(context, roots, 2, values, error));
            cr_assert_eq(weld_error_code(error), rows[i].error, "%s", weld_error_message(error));
            cr_assert(values[0] == (weld_value_t)1 && values[1] == (weld_value_t)2, "left as they were");
            cr_assert_eq(weld_context_memory_usage(context), 0);
            expect_lazy(context, x, "[1l, 2l, 3l]");
            weld_lazy_free(y);
            cr_assert_eq(released, 0);
            weld_lazy_free(x);
            cr_assert_eq(released, 1);
            weld_error_free(error);
        }
        weld_context_free(context);
        weld_conf_free(conf);
    }
}

Test(lazy, data_that_are_refused_are_not_released) {
    _Atomic int released = 0;
    int64_t number = 1;
    Ints bad = {NULL, 5}, negative = {&number, -1};
    weld_error_t error = weld_error_new();
    static const char *const types[] = {"vec[i65]", "vec[",    "",           "appender[i64]",
                                        "?",        "i64 i64", "{vec[i64],", "|x| x"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        cr_assert_null(weld_lazy_data(types[i], &number, count_release, (void *)&released, error), "%s",
                       types[i]);
        cr_assert_neq(weld_error_code(error), WELD_SUCCESS, "%s", types[i]);
        cr_assert(strlen(weld_error_message(error)) > 10);
    }
    cr_assert_null(weld_lazy_data("vec[i64]", &bad, count_release, (void *)&released, error));
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    cr_assert_null(weld_lazy_data("vec[i64]", &negative, count_release, (void *)&released, error));
    cr_assert_null(weld_lazy_data("vec[i64]", NULL, count_release, (void *)&released, error));
    cr_assert_null(weld_lazy_data(NULL, &number, count_release, (void *)&released, error));
    cr_assert_eq(released, 0);
    weld_error_free(error);
}

static void *free_value(void *value) {
    weld_value_free(value);
    return NULL;
}

Test(lazy, results_are_freed_in_any_order_and_thread) {
    int64_t numbers[] = {4, 5};
    _Atomic int released = 0;
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_ints(numbers, 2, &released), y = lazy_of("|v| slice(v, 1l, 1l)", x);
    weld_lazy_t roots[] = {y, x, y};
    weld_value_t values[3];
    cr_assert(weld_lazy_evaluate(context, roots, 3, values, NULL));
    weld_context_free(context);
    weld_lazy_free(x);
    weld_lazy_free(y);
    weld_value_free(values[1]);
    expect_text(values[0], "[5l]");
    weld_value_free(values[0]);
    expect_text(values[2], "[5l]");
    cr_assert_eq(((Ints *)weld_value_data(values[2]))->data, numbers + 1);
    cr_assert_eq(released, 0);
    pthread_t thread;
    cr_assert_eq(pthread_create(&thread, NULL, free_value, values[2]), 0);
    pthread_join(thread, NULL);
    cr_assert_eq(released, 1);
}

/* ---- what is computed together ---- */

Test(lazy, what_is_shared_appears_once) {
    int64_t numbers[] = {1, 2, 3};
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_ints(numbers, 3, NULL), y = lazy_of("|v| map(v, |e| e * 1234l)", x);
    weld_lazy_t pair[] = {y, y};
    weld_lazy_t z = lazy_apply("mine.add", "|a, b| map(zip(a, b), |e| e.$0 + e.$1)", pair, 2, false);
    weld_lazy_t other[] = {z, y, x};
    weld_lazy_t w = lazy_apply("mine.all", "|a, b, c| {a, b, c}", other, 3, false);
    char *text = lazy_text(w);
    cr_assert_eq(occurrences(text, "1234l"), 1, "%s", text);
    cr_assert_eq(occurrences(text, "vec[i64]|"), 1, "one parameter: %s", text);
    free(text);
    expect_lazy(context, w, "{[2468l, 4936l, 7404l], [1234l, 2468l, 3702l], [1l, 2l, 3l]}");
    weld_error_t error = weld_error_new();
    char *plan = weld_lazy_plan(&w, 1, error);
    cr_assert(plan && *plan, "%s", weld_error_message(error));
    free(plan);
    weld_error_free(error);
    weld_lazy_t all[] = {x, y, z, w};
    for (int i = 0; i < 4; i++) weld_lazy_free(all[i]);
    weld_context_free(context);
}

Test(lazy, several_roots_are_one_program) {
    int64_t numbers[] = {3, 1, 2};
    _Atomic int released = 0;
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        released = 0;
        weld_lazy_t x = lazy_ints(numbers, 3, &released), y = lazy_of("|v| map(v, |e| e * 2l)", x);
        weld_lazy_t sum = lazy_of("|v| result(for(v, merger[i64, +], |b, i, e| merge(b, e)))", y);
        weld_lazy_t most = lazy_of("|v| result(for(v, merger[i64, max], |b, i, e| merge(b, e)))", y);
        weld_lazy_t none = lazy_apply(NULL, "5", NULL, 0, false);
        weld_lazy_t roots[] = {sum, x, most, y, y, none};
        weld_value_t values[6];
        weld_error_t error = weld_error_new();
        cr_assert(weld_lazy_evaluate(context, roots, 6, values, error), "%s", weld_error_message(error));
        static const char *const texts[] = {"12l", "[3l, 1l, 2l]", "6l", "[6l, 2l, 4l]", "[6l, 2l, 4l]", "5"};
        static const char *const types[] = {"i64", "vec[i64]", "i64", "vec[i64]", "vec[i64]", "i32"};
        for (int i = 0; i < 6; i++) {
            expect_text(values[i], texts[i]);
            cr_assert_str_eq(weld_value_type(values[i]), types[i]);
            cr_assert(weld_value_memory_usage(values[i]) >= 0);
        }
        cr_assert_eq(((Ints *)weld_value_data(values[1]))->data, numbers, "data are handed out, not copied");
        for (int i = 0; i < 6; i++) weld_value_free(values[i]);
        cr_assert_eq(weld_context_memory_usage(context), 0);
        cr_assert(weld_lazy_evaluate(context, NULL, 0, NULL, error), "nothing is easily computed");
        for (int i = 0; i < 6; i++) {
            if (i != 4) weld_lazy_free(roots[i]);
        }
        cr_assert_eq(released, 1);
        weld_error_free(error);
        weld_context_free(context);
    }
}

Test(lazy, data_alone_are_a_root) {
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        struct {
            double a;
            Bytes b;
            bool c;
        } data = {1.5, {(char *)"hi", 2}, true};
        weld_lazy_t lazy = weld_lazy_data("{f64, vec[i8], bool}", &data, NULL, NULL, NULL);
        cr_assert_str_eq(weld_lazy_type(lazy), "{f64,vec[i8],bool}");
        data.a = 0; /* the value itself was copied */
        expect_lazy(context, lazy, "{1.5, \"hi\", true}");
        weld_lazy_t empty = weld_lazy_data("{}", &data, NULL, NULL, NULL);
        expect_lazy(context, empty, "{}");
        weld_lazy_free(lazy);
        weld_lazy_free(empty);
        weld_context_free(context);
    }
}

Test(lazy, a_kept_value_is_computed_once) {
    int64_t numbers[] = {1, 2};
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        weld_lazy_t x = lazy_ints(numbers, 2, NULL), y = lazy_of("|v| map(v, |e| e * 77l)", x);
        weld_lazy_t z = lazy_of("|v| map(v, |e| e + 1l)", y);
        weld_lazy_keep(y);
        weld_lazy_keep(y);
        weld_lazy_keep(x);
        char *text = lazy_text(z);
        cr_assert_eq(occurrences(text, "77l"), 1);
        free(text);
        expect_lazy(context, z, "[78l, 155l]");
        text = lazy_text(z);
        cr_assert_eq(occurrences(text, "77l"), 0, "it is data now: %s", text);
        free(text);
        weld_value_t first = must_evaluate(context, y), second = must_evaluate(context, y);
        cr_assert_eq(((Ints *)weld_value_data(first))->data, ((Ints *)weld_value_data(second))->data);
        expect_text(first, "[77l, 154l]");
        cr_assert_str_eq(weld_lazy_function(y), "mine.step", "where it is from stays known");
        weld_value_free(first);
        weld_value_free(second);
        expect_lazy(context, z, "[78l, 155l]");
        cr_assert(weld_context_memory_usage(context) > 0, "kept");
        weld_lazy_free(x);
        weld_lazy_free(y);
        cr_assert(weld_context_memory_usage(context) > 0, "z needs it");
        weld_lazy_free(z);
        cr_assert_eq(weld_context_memory_usage(context), 0);
        weld_context_free(context);
    }
}

Test(lazy, data_that_are_kept_are_released) {
    int64_t numbers[] = {1, 2};
    _Atomic int released = 0;
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_ints(numbers, 2, &released), y = lazy_of("|v| v", x);
    weld_lazy_keep(x);
    weld_lazy_keep(y);
    for (int i = 0; i < 3; i++) {
        expect_lazy(context, x, "[1l, 2l]");
        expect_lazy(context, y, "[1l, 2l]");
    }
    weld_lazy_free(x);
    cr_assert_eq(released, 0);
    weld_lazy_free(y);
    cr_assert_eq(released, 1);
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
}

/* y has its value when x gets one that is held together with y, which was made of x. */
Test(lazy, kept_values_do_not_hold_each_other) {
    int64_t numbers[] = {1, 2};
    _Atomic int released = 0;
    weld_context_t context = context_for(0);
    weld_lazy_t data = lazy_ints(numbers, 2, &released), x = lazy_of("|v| map(v, |e| e + 1l)", data);
    weld_lazy_t y = lazy_of("|v| slice(v, 1l, 1l)", x), pair[] = {x, y};
    weld_lazy_keep(y);
    expect_lazy(context, y, "[3l]");
    weld_lazy_keep(x);
    weld_value_t values[2];
    cr_assert(weld_lazy_evaluate(context, pair, 2, values, NULL));
    weld_value_free(values[0]);
    weld_value_free(values[1]);
    weld_lazy_free(data);
    weld_lazy_free(x);
    expect_lazy(context, y, "[3l]");
    weld_lazy_free(y);
    cr_assert_eq(released, 1);
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
}

Test(lazy, many_values_are_kept_at_once) {
    enum { MANY = 5000 };
    weld_context_t context = context_for(0);
    static weld_lazy_t all[MANY + 1];
    all[0] = lazy_number(0);
    for (int i = 0; i < MANY; i++) {
        all[i + 1] = lazy_of("|x| x + 1l", all[i]);
        weld_lazy_keep(all[i + 1]);
    }
    expect_lazy(context, all[MANY], "5000l");
    expect_lazy(context, all[MANY / 2], "2500l");
    for (int i = 0; i <= MANY; i++) weld_lazy_free(all[i]);
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
}

Test(lazy, results_are_lazy_values_again) {
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        weld_module_t module = must_compile(engine, "|n: i64| {n, [n, n + 1l]}");
        int64_t seven = 7;
        weld_value_t value = must_run(module, context, &seven);
        weld_lazy_t lazy = weld_lazy_value(value, NULL);
        cr_assert_not_null(lazy);
        cr_assert_str_eq(weld_lazy_type(lazy), "{i64,vec[i64]}");
        cr_assert_str_eq(weld_lazy_function(lazy), "data");
        weld_value_free(value);
        weld_module_free(module);
        weld_lazy_t sum = lazy_of("|p| p.$0 + lookup(p.$1, 1l)", lazy), part = lazy_of("|p| p.$1", lazy);
        weld_lazy_free(lazy);
        expect_lazy(context, sum, "15l");
        weld_value_t inner = must_evaluate(context, part);
        weld_lazy_free(part);
        weld_lazy_free(sum);
        expect_text(inner, "[7l, 8l]");
        weld_value_free(inner);
        cr_assert_eq(weld_context_memory_usage(context), 0);
        weld_context_free(context);
    }
}

/* ---- asking ---- */

Test(lazy, it_says_what_it_is) {
    weld_lazy_t two[] = {lazy_number(1), lazy_number(2)};
    weld_lazy_t lazy = lazy_apply("mine.pair", "|a, b|\n {f64(a), b}", two, 2, false);
    cr_assert_str_eq(weld_lazy_type(lazy), "{f64,i64}");
    cr_assert_str_eq(weld_lazy_function(lazy), "mine.pair");
    cr_assert_str_eq(weld_lazy_code(lazy), "|a, b|\n {f64(a), b}");
    cr_assert_eq(weld_lazy_argument_count(lazy), 2);
    for (int i = 0; i < 2; i++) {
        weld_lazy_t argument = weld_lazy_argument(lazy, i);
        cr_assert_eq(argument, two[i]);
        weld_lazy_free(argument);
    }
    cr_assert_null(weld_lazy_argument(lazy, -1));
    cr_assert_null(weld_lazy_argument(lazy, 2));
    cr_assert_str_eq(weld_lazy_function(two[0]), "data");
    cr_assert_eq(weld_lazy_argument_count(two[0]), 0);
    for (int i = 0; i < 2; i++) weld_lazy_free(two[i]);
    weld_lazy_free(lazy);
}

Test(lazy, names_never_meet) {
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_number(5),
                a = lazy_apply("mine.data", "|x| let data = x + 1l; data * 2l", &x, 1, false);
    weld_lazy_t two[] = {x, a};
    weld_lazy_t b = lazy_apply("mine.data", "|data, x| let x = data + x; let data = x; data", two, 2, false);
    expect_lazy(context, b, "17l");
    char *text = lazy_text(b);
    weld_conf_t conf = conf_for(0);
    weld_module_t module = weld_module_compile(text, conf, NULL);
    cr_assert_not_null(module, "what is printed can be read: %s", text);
    int64_t five = 5;
    weld_value_t value = must_run(module, context, &five);
    expect_text(value, "17l");
    weld_value_free(value);
    weld_module_free(module);
    weld_conf_free(conf);
    free(text);
    weld_lazy_free(x);
    weld_lazy_free(a);
    weld_lazy_free(b);
    weld_context_free(context);
}

/* ---- size ---- */

enum { MANY_FRAGMENTS = SANITIZED ? 10000 : 100000 };

static void merge_many(bool distinct) {
    weld_lazy_t x = lazy_number(0);
    double start = now();
    for (int i = 0; i < MANY_FRAGMENTS; i++) {
        char code[64];
        snprintf(code, sizeof code, "|x| x + %dl", distinct ? i : 1);
        weld_lazy_t next = lazy_of(code, x);
        weld_lazy_free(x);
        x = next;
    }
    double made = now();
    weld_error_t error = weld_error_new();
    char *text = weld_lazy_program(&x, 1, error);
    double merged = now();
    cr_assert_not_null(text, "%s", weld_error_message(error));
    cr_assert_eq(occurrences(text, "step"), 2 * MANY_FRAGMENTS);
    free(text);
    weld_lazy_free(x);
    double freed = now();
    cr_log_info("%s: made in %.3f s, merged in %.3f s, freed in %.3f s", distinct ? "distinct" : "same",
                made - start, merged - made, freed - merged);
    cr_expect(SANITIZED || merged - made < 2, "merging took %.3f s", merged - made);
    cr_expect(SANITIZED || freed - merged < 1, "freeing took %.3f s", freed - merged);
    cr_expect(SANITIZED || made - start < (distinct ? 10 : 2), "making took %.3f s", made - start);
    weld_error_free(error);
}

Test(lazy, many_fragments_of_the_same_text_merge_fast) {
    merge_many(false);
}

Test(lazy, many_fragments_of_distinct_texts_merge_fast) {
    merge_many(true);
}

Test(lazy, many_fragments_are_evaluated) {
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_number(0);
    for (int i = 0; i < 20000; i++) {
        weld_lazy_t next = lazy_of("|x| x + 1l", x);
        weld_lazy_free(x);
        x = next;
    }
    expect_lazy(context, x, "20000l");
    weld_lazy_free(x);
    weld_context_free(context);
}

Test(lazy, a_graph_may_have_many_data) {
    enum { MANY = 2000 };
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_number(0);
    for (int i = 1; i <= MANY; i++) {
        weld_lazy_t two[] = {x, lazy_number(i)};
        x = lazy_apply("mine.add", "|a, b| a + b", two, 2, true);
    }
    expect_lazy(context, x, "2001000l");
    weld_lazy_free(x);
    static weld_lazy_t many[WELD_LAZY_ARGUMENTS + 1];
    for (int i = 0; i <= WELD_LAZY_ARGUMENTS; i++) many[i] = lazy_number(i);
    static weld_value_t values[WELD_LAZY_ARGUMENTS + 1];
    weld_error_t error = weld_error_new();
    cr_assert(weld_lazy_evaluate(context, many, WELD_LAZY_ARGUMENTS, values, error), "%s",
              weld_error_message(error));
    for (int i = 0; i < WELD_LAZY_ARGUMENTS; i++) {
        cr_assert_eq(*(int64_t *)weld_value_data(values[i]), i);
        weld_value_free(values[i]);
    }
    cr_assert_not(weld_lazy_evaluate(context, many, WELD_LAZY_ARGUMENTS + 1, values, error));
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    for (int i = 0; i <= WELD_LAZY_ARGUMENTS; i++) weld_lazy_free(many[i]);
    weld_error_free(error);
    weld_context_free(context);
}

static int64_t resident_bytes(void) {
    long pages = 0;
    FILE *file = fopen("/proc/self/statm", "r");
    if (file && fscanf(file, "%*s %ld", &pages) != 1) pages = 0;
    if (file) fclose(file);
    return (int64_t)pages * sysconf(_SC_PAGESIZE);
}

/* Result -> lazy -> result, as a training loop does: each step's value is the next one's data. */
Test(lazy, a_long_chain_of_evaluations_keeps_nothing) {
    enum { STEPS = SANITIZED ? 3000 : 100000 };
    int64_t numbers[] = {1, 2, 3, 4}, before = 0;
    _Atomic int released = 0;
    weld_context_t context = context_for(0);
    weld_lazy_t state = lazy_ints(numbers, 4, &released);
    for (int i = 0; i < STEPS; i++) {
        weld_lazy_t next = lazy_of("|v| map(v, |e| e + 1l)", state);
        weld_value_t value = must_evaluate(context, next);
        weld_lazy_free(next);
        weld_lazy_free(state);
        state = weld_lazy_value(value, NULL);
        weld_value_free(value);
        if (i == 0) cr_assert_eq(released, 1);
        if (i == STEPS / 4) before = resident_bytes();
    }
    int64_t grown = resident_bytes() - before;
    cr_assert(SANITIZED || grown < 4 << 20, "%lld bytes more", (long long)grown);
    cr_assert(weld_context_memory_usage(context) < 4096);
    weld_value_t last = must_evaluate(context, state);
    cr_assert_eq(((Ints *)weld_value_data(last))->data[3], 4 + STEPS);
    weld_value_free(last);
    weld_lazy_free(state);
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
}

/* A step that hands on a part of the one before: the chain is as long as the steps, and freed without recursion. */
Test(lazy, a_long_chain_of_views_is_freed) {
    enum { STEPS = SANITIZED ? 3000 : 20000 };
    int64_t numbers[] = {1, 2, 3, 4};
    _Atomic int released = 0;
    weld_context_t context = context_for(0);
    weld_lazy_t state = lazy_ints(numbers, 4, &released);
    for (int i = 0; i < STEPS; i++) {
        weld_lazy_t next = lazy_of("|v| slice(v, 0l, 4l)", state);
        weld_value_t value = must_evaluate(context, next);
        weld_lazy_free(next);
        weld_lazy_free(state);
        state = weld_lazy_value(value, NULL);
        weld_value_free(value);
    }
    expect_lazy(context, state, "[1l, 2l, 3l, 4l]");
    cr_assert_eq(released, 0);
    weld_lazy_free(state);
    cr_assert_eq(released, 1);
    weld_context_free(context);
}

/* ---- threads ---- */

enum { THREADS = 8 };

typedef struct Task {
    weld_lazy_t lazy;
    int engine;
    bool ok;
} Task;

static void *evaluate_often(void *data) {
    Task *task = data;
    weld_conf_t conf = conf_for(task->engine);
    weld_context_t context = weld_context_new(conf);
    task->ok = context != NULL;
    for (int i = 0; i < 50 && task->ok; i++) {
        weld_value_t value = NULL;
        weld_lazy_t more = weld_lazy_new("mine.more", "|x| x + 1l", &task->lazy, 1, NULL);
        weld_lazy_t roots[] = {task->lazy, more};
        weld_value_t values[2];
        task->ok = weld_lazy_evaluate(context, &task->lazy, 1, &value, NULL) &&
                   *(int64_t *)weld_value_data(value) == 420 &&
                   weld_lazy_evaluate(context, roots, 2, values, NULL) &&
                   *(int64_t *)weld_value_data(values[1]) == 421;
        weld_value_free(value);
        weld_value_free(values[0]);
        weld_value_free(values[1]);
        weld_lazy_free(more);
    }
    weld_context_free(context);
    weld_conf_free(conf);
    return NULL;
}

Test(lazy, one_graph_is_evaluated_in_many_threads) {
    EACH_ENGINE(engine) {
        for (int kept = 0; kept < 2; kept++) {
            int64_t numbers[] = {1, 2, 3};
            _Atomic int released = 0;
            weld_lazy_t x = lazy_ints(numbers, 3, &released), y = lazy_of("|v| map(v, |e| e * 70l)", x);
            weld_lazy_t sum = lazy_of("|v| result(for(v, merger[i64, +], |b, i, e| merge(b, e)))", y);
            if (kept) weld_lazy_keep(y);
            weld_lazy_free(x);
            weld_lazy_free(y);
            Task tasks[THREADS];
            pthread_t threads[THREADS];
            for (int i = 0; i < THREADS; i++) {
                tasks[i] = (Task){sum, engine, false};
                cr_assert_eq(pthread_create(&threads[i], NULL, evaluate_often, &tasks[i]), 0);
            }
            for (int i = 0; i < THREADS; i++) {
                pthread_join(threads[i], NULL);
                cr_assert(tasks[i].ok);
            }
            cr_assert_eq(released, 0);
            weld_lazy_free(sum);
            cr_assert_eq(released, 1);
        }
    }
}

/* ---- gradients ---- */

static weld_lazy_t lazy_doubles(Doubles *vector) {
    weld_lazy_t lazy = weld_lazy_data("vec[f64]", vector, NULL, NULL, NULL);
    cr_assert_not_null(lazy);
    return lazy;
}

Test(lazy, gradients_are_lazy_values) {
    double weights[] = {1, 2}, samples[] = {3, 4};
    Doubles w = {weights, 2}, x = {samples, 2};
    weld_context_t context = context_for(0);
    weld_lazy_t both[] = {lazy_doubles(&w), lazy_doubles(&x)}, gradients[3];
    weld_lazy_t products = lazy_apply("mine.times", "|a, b| map(zip(a, b), |e| e.$0 * e.$1)", both, 2, false);
    weld_lazy_t loss = lazy_of("|v| result(for(v, merger[f64, +], |b, i, e| merge(b, e * e)))", products);
    weld_lazy_t by[] = {both[0], products, both[0]};
    weld_error_t error = weld_error_new();
    cr_assert(weld_lazy_grad(loss, by, 3, gradients, error), "%s", weld_error_message(error));
    expect_lazy(context, gradients[0], "[18.0, 64.0]");
    expect_lazy(context, gradients[1], "[6.0, 16.0]");
    expect_lazy(context, gradients[2], "[18.0, 64.0]");
    weld_lazy_t step[] = {both[0], gradients[0]}, second, length;
    weld_lazy_t next =
        lazy_apply("mine.step", "|w, g| map(zip(w, g), |e| e.$0 - 0.5 * e.$1)", step, 2, false);
    expect_lazy(context, next, "[-8.0, -30.0]");
    length = lazy_of("|g| result(for(g, merger[f64, +], |b, i, e| merge(b, e)))", gradients[0]);
    cr_assert(weld_lazy_grad(length, both, 1, &second, error), "%s", weld_error_message(error));
    expect_lazy(context, second, "[18.0, 32.0]");
    weld_lazy_t all[] = {both[0],      both[1],      products, loss,   gradients[0],
                         gradients[1], gradients[2], next,     length, second};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) weld_lazy_free(all[i]);
    weld_error_free(error);
    weld_context_free(context);
}

/* In the direction of the gradient the value changes by the gradient's square; of a value between, by its own part. */
Test(lazy, derivatives_in_a_direction_are_lazy_values) {
    double weights[] = {1, 2}, samples[] = {3, 4};
    Doubles w = {weights, 2}, x = {samples, 2};
    weld_context_t context = context_for(0);
    weld_lazy_t both[] = {lazy_doubles(&w), lazy_doubles(&x)}, slope;
    weld_lazy_t products = lazy_apply("mine.times", "|a, b| map(zip(a, b), |e| e.$0 * e.$1)", both, 2, false);
    weld_lazy_t loss = lazy_of("|v| result(for(v, merger[f64, +], |b, i, e| merge(b, e * e)))", products);
    weld_error_t error = weld_error_new();
    cr_assert(weld_lazy_grad(loss, both, 1, &slope, error), "%s", weld_error_message(error));
    weld_lazy_t uphill = weld_lazy_jvp(loss, both, &slope, 1, error);
    expect_lazy(context, uphill, "4420.0");
    weld_lazy_t all = weld_lazy_jvp(products, both, both, 2, error);
    expect_lazy(context, all, "[6.0, 16.0]");
    weld_lazy_t between = weld_lazy_jvp(loss, &products, both, 1, error);
    expect_lazy(context, between, "38.0");
    weld_lazy_t curve;
    cr_assert(weld_lazy_grad(between, both, 1, &curve, error), "%s", weld_error_message(error));
    expect_lazy(context, curve, "[12.0, 32.0]");
    weld_lazy_t twice[] = {both[0], both[0]};
    cr_assert_null(weld_lazy_jvp(loss, twice, both, 2, error));
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    cr_assert_null(weld_lazy_jvp(loss, both, &loss, 1, error));
    cr_assert(strstr(weld_error_message(error), "the direction of jvp is vec[f64]"), "%s",
              weld_error_message(error));
    cr_assert_null(weld_lazy_jvp(loss, both, NULL, 1, error));
    cr_assert_null(weld_lazy_jvp(loss, both, both, 61, error));
    cr_assert_null(weld_lazy_jvp(NULL, both, both, 1, error));
    weld_lazy_t made[] = {both[0], both[1], slope, products, loss, uphill, all, between, curve};
    for (size_t i = 0; i < sizeof made / sizeof *made; i++) weld_lazy_free(made[i]);
    weld_error_free(error);
    weld_context_free(context);
}

Test(lazy, gradients_that_there_are_not) {
    double numbers[] = {1, 2};
    Doubles vector = {numbers, 2};
    weld_lazy_t v = lazy_doubles(&vector), none = (weld_lazy_t)1;
    weld_lazy_t bytes = lazy_of("|v| f64(len(serialize(v))) + lookup(v, 0l)", v);
    weld_error_t error = weld_error_new();
    cr_assert_not(weld_lazy_grad(v, &v, 1, &none, error));
    cr_assert(strstr(weld_error_message(error), "vec[f64]"), "%s", weld_error_message(error));
    cr_assert_not(weld_lazy_grad(bytes, &v, 1, &none, error));
    cr_assert(strstr(weld_error_message(error), "serialize has no derivative"), "%s",
              weld_error_message(error));
    cr_assert_not(weld_lazy_grad(bytes, NULL, 1, &none, error));
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    cr_assert_not(weld_lazy_grad(NULL, &v, 1, &none, error));
    cr_assert_not(weld_lazy_grad(bytes, &v, 61, &none, error));
    cr_assert(none == (weld_lazy_t)1, "left as it was");
    weld_lazy_free(bytes), weld_lazy_free(v);
    weld_error_free(error);
}
