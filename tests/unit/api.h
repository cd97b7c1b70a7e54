/* api.h: what the tests of the C interface share: compiling and running with each engine, expecting text or a failure. */
#ifndef API_H
#define API_H

#include "../../runtime/weld.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

typedef struct Ints {
    int64_t *data;
    int64_t length;
} Ints;

typedef struct Bytes {
    char *data;
    int64_t length;
} Bytes;

static const char *const engines[] = {"eval", "jit"};
#define EACH_ENGINE(engine) for (int engine = 0; engine < engine_count(); engine++)

static inline weld_conf_t conf_for(int engine) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engines[engine]);
    return conf;
}

static inline weld_module_t compile(int engine, const char *code, weld_error_t error) {
    weld_conf_t conf = conf_for(engine);
    weld_module_t module = weld_module_compile(code, conf, error);
    weld_conf_free(conf);
    return module;
}

/* 1 in a build without the code generator. */
static inline int engine_count(void) {
    weld_error_t error = weld_error_new();
    weld_module_t module = compile(1, "1", error);
    bool missing = !module && weld_error_code(error) == WELD_LOAD_LIBRARY_ERROR;
    if (missing) cr_log_warn("compiled code is not tested: %s", weld_error_message(error));
    weld_module_free(module);
    weld_error_free(error);
    return missing ? 1 : 2;
}

static inline weld_module_t must_compile(int engine, const char *code) {
    weld_error_t error = weld_error_new();
    weld_module_t module = compile(engine, code, error);
    cr_assert_not_null(module, "%s: %s", engines[engine], weld_error_message(error));
    cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
    cr_assert_str_eq(weld_error_message(error), "Success");
    weld_error_free(error);
    return module;
}

static inline weld_value_t run_with(weld_module_t module, weld_context_t context, const void *data,
                                    weld_error_t error) {
    weld_value_t argument = weld_value_new(data);
    weld_value_t result = weld_module_run(module, context, argument, error);
    weld_value_free(argument);
    return result;
}

static inline weld_value_t must_run(weld_module_t module, weld_context_t context, const void *data) {
    weld_error_t error = weld_error_new();
    weld_value_t result = run_with(module, context, data, error);
    cr_assert_not_null(result, "%s", weld_error_message(error));
    cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
    weld_error_free(error);
    return result;
}

static inline void expect_text(weld_value_t value, const char *expected) {
    char *text = weld_value_print(value);
    cr_assert_not_null(text);
    cr_assert_str_eq(text, expected);
    free(text);
}

/* Runs code on data and expects this error of this run. */
static inline void expect_failure(int engine, const char *code, const void *data, uint64_t number,
                                  const char *name) {
    weld_module_t module = must_compile(engine, code);
    weld_context_t context = weld_context_new(NULL);
    weld_error_t error = weld_error_new();
    weld_value_t result = run_with(module, context, data, error);
    cr_assert_null(result, "%s should fail", code);
    cr_assert_eq(weld_error_code(error), number, "%s: %s", code, weld_error_message(error));
    cr_assert_str_eq(weld_error_name(error), name);
    cr_assert_neq(weld_error_line(error), 0, "%s: no line", code);
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_error_free(error);
    weld_context_free(context);
    weld_module_free(module);
}

#endif
