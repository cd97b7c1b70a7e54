/* test_callback.c: C functions of the caller's in fragments, by the interpreter and in machine code. */
#include <criterion/criterion.h>
#include <stdio.h>
#include <string.h>

#include "../../runtime/rt.h"

TestSuite(callback, .timeout = 120);

static const char *const engines[] = {"eval", "jit"};

static weld_context_t context_of(const char *engine, const char *threads) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine);
    weld_conf_set(conf, "weld.threads", threads);
    weld_conf_set(conf, "weld.grain", "1");
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    return context;
}

static void twice_and(void *user, void *const *arguments, void *result) {
    __atomic_fetch_add((int *)user, 1, __ATOMIC_RELAXED);
    *(double *)result = 2 * *(const double *)arguments[0] + *(const int32_t *)arguments[1];
}

static void count_release(void *user) {
    ++*(int *)user;
}

static void expect_text(weld_value_t value, const char *want) {
    char *text = weld_value_print(value);
    cr_expect_str_eq(text, want);
    free(text);
    weld_value_free(value);
}

static weld_lazy_t numbers(double *data, int64_t length) {
    struct {
        double *data;
        int64_t length;
    } vector = {data, length};
    return weld_lazy_data("vec[f64]", &vector, NULL, NULL, NULL);
}

Test(callback, is_called_once_for_each_element) {
    for (int i = 0; i < 2; i++) {
        weld_error_t error = weld_error_new();
        weld_context_t context = context_of(engines[i], "1");
        double data[] = {1, 2, 3};
        int calls = 0, released = 0;
        const char *types[] = {"f64", "i32"};
        weld_lazy_t arguments[2] = {numbers(data, 3),
                                    weld_lazy_callback(types, 2, "f64", 0, twice_and, NULL, &calls, error)};
        cr_assert(arguments[1], "%s", weld_error_message(error));
        cr_expect_str_eq(weld_lazy_type(arguments[1]), "|f64,i32| f64");
        weld_lazy_t lazy =
            weld_lazy_new("test.apply", "|v, f| map(v, |x| f(x, 1) + f(x, 0))", arguments, 2, error);
        cr_assert(lazy, "%s", weld_error_message(error));
        weld_value_t value;
        cr_assert(weld_lazy_evaluate(context, &lazy, 1, &value, error), "%s", weld_error_message(error));
        expect_text(value, "[5.0, 9.0, 13.0]");
        cr_expect_eq(calls, 6);
        weld_lazy_t kept =
            weld_lazy_callback(types, 2, "f64", WELD_PURE, twice_and, count_release, &released, error);
        weld_lazy_free(kept);
        cr_expect_eq(released, 1);
        weld_lazy_free(lazy);
        for (int k = 0; k < 2; k++) weld_lazy_free(arguments[k]);
        cr_expect_eq(weld_context_memory_usage(context), 0);
        weld_context_free(context);
        weld_error_free(error);
    }
}

/* A function of every scalar type to every other, called with its least value and 1. */
static void hand_back(void *user, void *const *arguments, void *result) {
    memcpy(result, arguments[0], *(const size_t *)user);
}

Test(callback, passes_every_scalar_type) {
    for (TypeKind kind = TY_bool; kind <= TY_f64; kind++) {
        size_t size = type_classes[kind].bits / 8u;
        const char *type = type_classes[kind].spelling;
        weld_lazy_t f = weld_lazy_callback(&type, 1, type, 0, hand_back, NULL, &size, NULL);
        char code[200], want[200] = "";
        snprintf(code, sizeof code, "|f| {f(%s(-3)) == %s(-3), f(%s(1)) == %s(1)}", type, type, type, type);
        weld_lazy_t lazy = weld_lazy_new(NULL, code, &f, 1, NULL);
        strcpy(want, "{true, true}");
        for (int i = 0; i < 2; i++) {
            weld_context_t context = context_of(engines[i], "1");
            weld_value_t value;
            cr_assert(weld_lazy_evaluate(context, &lazy, 1, &value, NULL), "%s", type);
            expect_text(value, want);
            weld_context_free(context);
        }
        weld_lazy_free(f);
        weld_lazy_free(lazy);
    }
}

Test(callback, threadsafe_ones_run_in_several_threads) {
    enum { COUNT = 1000 };
    static double data[COUNT];
    int calls = 0;
    const char *types[] = {"f64", "i32"};
    for (int i = 0; i < COUNT; i++) data[i] = i;
    weld_context_t context = context_of("jit", "4");
    weld_lazy_t arguments[2] = {numbers(data, COUNT), weld_lazy_callback(types, 2, "f64", WELD_THREADSAFE,
                                                                         twice_and, NULL, &calls, NULL)};
    weld_lazy_t lazy = weld_lazy_new(
        NULL, "|v, f| result(for(v, merger[f64, +], |b, i, x| merge(b, f(x, 1))))", arguments, 2, NULL);
    weld_value_t value;
    cr_assert(weld_lazy_evaluate(context, &lazy, 1, &value, NULL));
    expect_text(value, "1000000.0");
    cr_expect_eq(calls, COUNT);
    weld_lazy_free(lazy);
    for (int k = 0; k < 2; k++) weld_lazy_free(arguments[k]);
    weld_context_free(context);
}

Test(callback, wrong_ones_are_refused) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    const char *scalar = "f64", *vector = "vec[f64]", *nonsense = "f65";
    int calls = 0;
    cr_expect_null(weld_lazy_callback(&vector, 1, "f64", 0, twice_and, NULL, &calls, error));
    cr_expect_str_eq(weld_error_name(error), "Type");
    cr_expect_null(weld_lazy_callback(&scalar, 1, "{f64}", 0, twice_and, NULL, &calls, error));
    cr_expect_null(weld_lazy_callback(&nonsense, 1, "f64", 0, twice_and, NULL, &calls, error));
    cr_expect_null(weld_lazy_callback(&scalar, 1, "f64", 0, NULL, NULL, &calls, error));
    cr_expect_null(weld_lazy_callback(NULL, 1, "f64", 0, twice_and, NULL, &calls, error));
    cr_expect_null(weld_lazy_callback(&scalar, -1, "f64", 0, twice_and, NULL, &calls, error));
    cr_expect_null(weld_lazy_callback(&scalar, 1, NULL, 0, twice_and, NULL, &calls, error));
    cr_expect_str_eq(weld_error_name(error), "Argument");
    weld_lazy_t f = weld_lazy_callback(&scalar, 1, "f64", 0, twice_and, NULL, &calls, error);
    weld_value_t value = NULL;
    cr_expect(!weld_lazy_evaluate(context, &f, 1, &value, error) && !value);
    cr_expect_null(weld_lazy_new(NULL, "|f| f(1)", &f, 1, error));
    cr_expect_str_eq(weld_error_name(error), "Type");
    cr_expect_null(weld_lazy_new(NULL, "|f| f", &f, 1, error));
    cr_expect_null(weld_lazy_new(NULL, "|f| f(1.0, 2.0)", &f, 1, error));
    weld_module_t module = weld_module_compile("|a: i64| cfun[*, f64](a, 1.0)", NULL, error);
    cr_expect(!module && strcmp(weld_error_name(error), "Syntax") == 0);
    weld_lazy_free(f);
    weld_context_free(context);
    weld_error_free(error);
}

/* Foreign code that is switched off. */
Test(callback, needs_foreign_code) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.foreign", "false");
    weld_context_t context = weld_context_new(conf);
    weld_error_t error = weld_error_new();
    const char *types[] = {"f64", "i32"};
    int calls = 0;
    weld_lazy_t f = weld_lazy_callback(types, 2, "f64", 0, twice_and, NULL, &calls, error);
    weld_lazy_t lazy = weld_lazy_new(NULL, "|f| f(1.0, 2)", &f, 1, error);
    weld_value_t value;
    cr_expect(!weld_lazy_evaluate(context, &lazy, 1, &value, error));
    cr_expect_str_eq(weld_error_name(error), "Library");
    cr_expect_eq(calls, 0);
    weld_lazy_free(lazy);
    weld_lazy_free(f);
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
}
