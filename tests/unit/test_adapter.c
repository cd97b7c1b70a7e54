/* test_adapter.c: functions of libraries, by name in programs and from C, with an adapter of the tests (adapter/tiny.c). */
#include "lazy.h"

#include <pthread.h>
#include <sys/stat.h>
#include <unistd.h>

static void find_adapters(void) {
    setenv("WELD_ADAPTERS", "/no/such/folder::" WELD_BINARY_DIR "/tests/adapters", 1);
}

TestSuite(adapter, .init = find_adapters);

/* ---- in programs ---- */

Test(adapter, programs_call_functions_by_name) {
    static const char *const rows[][2] = {
        {"tiny.twice(5l)", "10l"},
        {"tiny.four(5l) + tiny.four(tiny.twice(1l))", "28l"},
        {"tiny . twice ( 5l )", "10l"},
        {"tiny.many([1l, 2l])", "[4l, 8l]"},
        {"tiny.triple(5l)", "15l"},
        {"tiny.both(5l)", "15l"},
        {"{tiny.any(1l, 2l), tiny.any(1.5, 2.0)}", "{3l, 3.5}"},
        {"tiny.none()", "5l"},
        {"map([1l, 2l], tiny.twice)", "[2l, 4l]"},
        {"map([1l, 2l], |x| tiny.triple(x) + 1l)", "[4l, 7l]"},
        {"sort([1l, 3l, 2l], tiny.order)", "[3l, 2l, 1l]"},
        {"let f = |x| tiny.twice(x); f(2l)", "4l"},
        {"let f = tiny.twice; f(1l)", "2l"},
        {"let x = 100l; let e = 1l; tiny.twice(e)", "2l"},
        {"let twice = |x: i64| x; tiny.twice(5l)", "10l"},
        {"macro twice(x) = x; tiny.twice(5l)", "10l"},
        {"let tiny = {7l, 8l}; tiny.twice(tiny.$0)", "14l"}, /* behind a value's dot there is always a $ */
        {"macro apply(f, x) = f(f(x)); apply(tiny.twice, 3l)", "12l"},
    };
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            weld_module_t module = must_compile(engine, rows[i][0]);
            weld_value_t value = must_run(module, context, NULL);
            expect_text(value, rows[i][1]);
            weld_value_free(value);
            weld_module_free(module);
        }
        weld_context_free(context);
    }
}

Test(adapter, c_functions_divide_their_work_among_the_threads_of_the_run) {
    static const struct {
        const char *threads, *code, *text;
    } rows[] = {
        {"2", "tiny.doubles([1l, 2l, 3l], true)", "[2l, 4l, 6l, 2l]"},
        {"1", "tiny.doubles([1l, 2l, 3l], false)", "[2l, 4l, 6l, 1l]"},
        {"2", "tiny.doubles([]: vec[i64], true)", "[0l]"},
        /* in a loop that threads have divided already, or that one runs alone */
        {"2",
         "result(for(rangeiter(0L, 5000L, 1L), merger[i64, +], |b, i, x| merge(b, lookup(tiny.doubles([x], "
         "false), 0L))))",
         "24995000l"},
    };
    if (engine_count() < 2)
        cr_skip_test("the interpreter runs on one thread"); /* there is no code generator */
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.threads", rows[i].threads);
        weld_context_t context = weld_context_new(conf);
        weld_module_t module = must_compile(engine_count() - 1, rows[i].code);
        for (int again = 0; again < 3; again++) {
            weld_value_t value = must_run(module, context, NULL);
            expect_text(value, rows[i].text);
            weld_value_free(value);
        }
        weld_module_free(module);
        weld_context_free(context);
        weld_conf_free(conf);
    }
}

Test(adapter, programs_that_name_what_is_not_there) {
    static const struct {
        const char *code, *name, *text;
    } rows[] = {
        {"tiny.twise(5l)", "Library",
         "<program>:1:6: error[Library]: tiny has no function twise; did you mean twice?"},
        {"tiny.qqqqqqqqqq(5l)", "Library", "tiny has no function qqqqqqqqqq\n"},
        {"tiny.(5l)", "Syntax", NULL},
        {"tiny.5", "Syntax", NULL},
        {"nowhere.f(5l)", "Syntax", "an adapter nowhere is not installed"},
        {"let a = {1l}; a.x", "Syntax", "as in .$0, found 'x'"},
        {"5l.twice(1l)", "Syntax", NULL},
        {"tiny.self(5l)", "Syntax", "tiny.self calls itself"},
        {"tiny.ping(5l)", "Syntax", "tiny.ping calls itself"},
        {"tiny.value(5l)", "Syntax", "tiny.value is not a function"},
        {"tiny.broken(5l)", "Syntax", "tiny.broken:1:13: "},
        {"tiny.wrong(5l)", "Type", "tiny.wrong:2:6: "},
        {"tiny.lost(5l)", NULL, "tiny.lost:1:15: error[Library]: tiny has no function nothing"},
        {"tiny.nowhere(5l)", NULL, "tiny.nowhere:1:"},
        {"tiny.missing(5l)", "Library", "weld_tiny_is_not_there"},
        {"tiny.empty(5l)", NULL, NULL},
        {"tiny.macros(5l)", "Syntax",
         "tiny.macros:1:1: error[Syntax]: a function of a library has no macros of its own"},
        {"tiny.types(5l)", "Syntax", "a function of a library has no types of its own"},
        {"tiny.twice(5l, 6l)", "Syntax", NULL},
        {"tiny.twice(true)", "Type", NULL},
        {"map(tiny.twice, |x| x)", "Type", "is a function"},
        {"{tiny.twice, 1l}", "Type", "<program>:1:2: error[Type]: tiny.twice is a function"},
        {"wrong.twice(1l)", NULL, "libweld-wrong.so is not an adapter of this version"},
        {"noentry.twice(1l)", NULL, "libweld-noentry.so"},
        {"text.twice(1l)", NULL, "libweld-text.so"},
    };
    FILE *file = fopen(WELD_BINARY_DIR "/tests/adapters/libweld-text.so", "w");
    cr_assert(file && fputs("this is text", file) >= 0);
    fclose(file);
    weld_error_t error = weld_error_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weld_module_t module = compile(0, rows[i].code, error);
        const char *message = weld_error_message(error);
        if (module && strstr(rows[i].code, "missing")) { /* the interpreter looks for it when it is called */
            weld_context_t context = context_for(0);
            cr_expect_null(weld_module_run(module, context, NULL, error));
            weld_context_free(context);
            weld_module_free(module);
            continue;
        }
        cr_expect_null(module, "%s", rows[i].code);
        cr_expect(weld_error_code(error) != WELD_SUCCESS && weld_error_code(error) != WELD_UNKNOWN, "%s: %s",
                  rows[i].code, message);
        if (rows[i].name)
            cr_expect_str_eq(weld_error_name(error), rows[i].name, "%s: %s", rows[i].code, message);
        if (rows[i].text) cr_expect(strstr(message, rows[i].text), "%s: %s", rows[i].code, message);
    }
    weld_error_free(error);
}

Test(adapter, derivatives_of_calls) {
    static const char *const rows[][2] = {
        {"grad(|x, y| tiny.product(x, y * 2.0))(3.0, 4.0)", "{24.0, {8.0, 6.0}}"},
        {"grad(|x| sum(map([1.0, 2.0], |y| tiny.product(x, y) * y)))(3.0)", "{15.0, 5.0}"},
        {"grad(|x| cfun[weld_tiny_product, f64](x, x))(3.0)", "{9.0, 6.0}"},
        {"grad(|x| grad(|x| tiny.product(x, x))(x).$1 * x)(3.0)", "{18.0, 12.0}"},
        {"grad(|x| tiny.half(x, 2.0))(3.0)", "{6.0, 2.0}"},
    };
    static const struct {
        const char *code, *text;
    } wrong[] = {
        {"grad(|x| tiny.half(2.0, x))(3.0)",
         "the derivative of weld_tiny_half by one of its arguments is not known"},
        {"grad(|x| tiny.few(2.0, x))(3.0)",
         "weld_tiny_few, |x, r, g| g, does not fit: it takes 3 arguments, not 4"},
        {"grad(|x| tiny.other(x, 2.0))(3.0)", "gives f32 for an argument that is f64"},
        {"grad(|x| tiny.broken_vjp(x, 2.0))(3.0)", "the derivative of weld_tiny_broken, |x, y"},
        {"grad(|x| tiny.without(x, 2.0))(3.0)", "tiny.without:1:31: error[Type]: cfun has no derivative: "
                                                "weld_tiny_without is a C function"},
    };
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
            weld_module_t module = must_compile(engine, rows[i][0]);
            weld_value_t value = must_run(module, context, NULL);
            expect_text(value, rows[i][1]);
            weld_value_free(value);
            weld_module_free(module);
        }
        weld_context_free(context);
    }
    weld_error_t error = weld_error_new();
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        cr_expect_null(compile(0, wrong[i].code, error), "%s", wrong[i].code);
        const char *message = weld_error_message(error);
        cr_expect_str_eq(weld_error_name(error), "Type", "%s", message);
        cr_expect(strstr(message, wrong[i].text), "%s: %s", wrong[i].code, message);
    }
    weld_error_free(error);
}

Test(adapter, failures_name_the_function_they_are_in) {
    EACH_ENGINE(engine) {
        weld_error_t error = weld_error_new();
        weld_context_t context = context_for(engine);
        weld_module_t module = must_compile(engine, "|v: vec[i64]| map(v, |x| tiny.fails(x) + 1l)");
        Ints numbers = {(int64_t[]){2, 1, 0}, 3};
        cr_assert_null(run_with(module, context, &numbers, error));
        cr_expect_eq(strncmp(weld_error_message(error), "tiny.fails:2:3: error[DivisionByZero]", 36), 0,
                     "%s: %s", engines[engine], weld_error_message(error));
        weld_module_free(module);
        weld_context_free(context);
        weld_error_free(error);
    }
}

/* ---- from C ---- */

Test(adapter, lazy_calls) {
    EACH_ENGINE(engine) {
        weld_error_t error = weld_error_new();
        weld_context_t context = context_for(engine);
        weld_lazy_t five = lazy_number(5), none = weld_lazy_call("tiny.none", NULL, 0, error);
        weld_lazy_t four = weld_lazy_call("tiny.four", &five, 1, error), pair[] = {four, none};
        cr_assert(none && four, "%s", weld_error_message(error));
        weld_lazy_t any = weld_lazy_call("tiny.any", pair, 2, error),
                    triple = weld_lazy_call("tiny.triple", &any, 1, error);
        cr_assert_str_eq(weld_lazy_function(triple), "tiny.triple");
        cr_assert_str_eq(weld_lazy_type(triple), "i64");
        expect_lazy(context, triple, "75l");
        weld_lazy_t zero = lazy_number(0), fails = weld_lazy_call("tiny.fails", &zero, 1, error);
        weld_value_t value;
        cr_assert_not(weld_lazy_evaluate(context, &fails, 1, &value, error));
        cr_expect_eq(strncmp(weld_error_message(error), "tiny.fails:2:3: error[DivisionByZero]", 36), 0, "%s",
                     weld_error_message(error));
        weld_lazy_t all[] = {five, none, four, any, triple, zero, fails};
        for (size_t i = 0; i < sizeof all / sizeof *all; i++) weld_lazy_free(all[i]);
        weld_context_free(context);
        weld_error_free(error);
    }
}

Test(adapter, lazy_calls_that_cannot_be) {
    static const char *const names[] = {
        "tiny.twise", "tiny",         "tiny.",      "tiny.self", "tiny.ping",  "tiny.broken", "tiny.wrong",
        "tiny.lost",  "tiny.nowhere", "tiny.value", "tiny.any",  "tiny.empty", "wrong.f",     "noentry.f"};
    weld_error_t error = weld_error_new();
    weld_lazy_t five = lazy_number(5);
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        cr_expect_null(weld_lazy_call(names[i], &five, 1, error), "%s", names[i]);
        cr_expect(weld_error_code(error) != WELD_SUCCESS && weld_error_code(error) != WELD_UNKNOWN, "%s: %s",
                  names[i], weld_error_message(error));
        cr_expect(strlen(weld_error_message(error)) > 15);
    }
    cr_assert_null(weld_lazy_call("tiny.twise", &five, 1, error));
    cr_assert(strstr(weld_error_message(error), "did you mean twice?"), "%s", weld_error_message(error));
    weld_lazy_free(five);
    weld_error_free(error);
}

Test(adapter, tables_are_found) {
    weld_error_t error = weld_error_new();
    const weld_adapter_t *tiny = weld_adapter_find("tiny", error);
    cr_assert_not_null(tiny, "%s", weld_error_message(error));
    cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
    cr_assert_str_eq(tiny->functions[0].name, "twice");
    cr_assert_eq(weld_adapter_find("tiny", NULL), tiny, "once loaded it stays");
    cr_assert_null(weld_adapter_find("wrong", error));
    cr_assert_eq(weld_error_code(error), WELD_LOAD_LIBRARY_ERROR);
    cr_assert(strstr(weld_error_message(error), "version"), "%s", weld_error_message(error));
    weld_error_free(error);
}

static void *find_tiny(void *out) {
    *(const weld_adapter_t **)out = weld_adapter_find("tiny", NULL);
    return NULL;
}

Test(adapter, many_threads_load_it) {
    enum { THREADS = 8 };
    pthread_t threads[THREADS];
    const weld_adapter_t *found[THREADS] = {NULL};
    for (int i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, find_tiny, &found[i]), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    for (int i = 0; i < THREADS; i++) cr_assert(found[i] && found[i] == found[0]);
}
