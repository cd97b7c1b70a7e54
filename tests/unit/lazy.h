/* lazy.h: what the tests of lazy values share: data that count their releases, fragments, evaluating. */
#ifndef LAZY_H
#define LAZY_H

#include "api.h"

#include <stdatomic.h>
#include <stdio.h>

typedef struct Doubles {
    double *data;
    int64_t length;
} Doubles;

/* Under a sanitizer everything takes its time. */
#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED 1
#endif
#endif
#if defined(__SANITIZE_ADDRESS__) && !defined(SANITIZED)
#define SANITIZED 1
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

static inline void count_release(void *user) {
    atomic_fetch_add((_Atomic int *)user, 1);
}

/* vec[i64] around the caller's numbers; released counts, or is NULL. */
static inline weld_lazy_t lazy_ints(int64_t *numbers, int64_t count, _Atomic int *released) {
    weld_error_t error = weld_error_new();
    Ints vector = {numbers, count};
    weld_lazy_t lazy =
        weld_lazy_data("vec[i64]", &vector, released ? count_release : NULL, (void *)released, error);
    cr_assert_not_null(lazy, "%s", weld_error_message(error));
    weld_error_free(error);
    return lazy;
}

static inline weld_lazy_t lazy_number(int64_t number) {
    weld_lazy_t lazy = weld_lazy_data("i64", &number, NULL, NULL, NULL);
    cr_assert_not_null(lazy);
    return lazy;
}

/* A fragment that must be right; it takes over the references to its arguments if `gone`. */
static inline weld_lazy_t lazy_apply(const char *function, const char *code, weld_lazy_t *arguments,
                                     int64_t count, bool gone) {
    weld_error_t error = weld_error_new();
    weld_lazy_t lazy = weld_lazy_new(function, code, arguments, count, error);
    cr_assert_not_null(lazy, "%s", weld_error_message(error));
    cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
    weld_error_free(error);
    for (int64_t i = 0; gone && i < count; i++) weld_lazy_free(arguments[i]);
    return lazy;
}

static inline weld_lazy_t lazy_of(const char *code, weld_lazy_t argument) {
    return lazy_apply("mine.step", code, &argument, 1, false);
}

static inline weld_context_t context_for(int engine) {
    weld_conf_t conf = conf_for(engine);
    weld_context_t context = weld_context_new(conf);
    cr_assert_not_null(context);
    weld_conf_free(conf);
    return context;
}

static inline weld_value_t must_evaluate(weld_context_t context, weld_lazy_t lazy) {
    weld_error_t error = weld_error_new();
    weld_value_t value = NULL;
    bool ok = weld_lazy_evaluate(context, &lazy, 1, &value, error);
    cr_assert(ok && value, "%s", weld_error_message(error));
    cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
    weld_error_free(error);
    return value;
}

static inline void expect_lazy(weld_context_t context, weld_lazy_t lazy, const char *expected) {
    weld_value_t value = must_evaluate(context, lazy);
    expect_text(value, expected);
    weld_value_free(value);
}

static inline int occurrences(const char *text, const char *word) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, word)); at += strlen(word)) count++;
    return count;
}

static inline char *lazy_text(weld_lazy_t lazy) {
    weld_error_t error = weld_error_new();
    char *text = weld_lazy_program(&lazy, 1, error);
    cr_assert_not_null(text, "%s", weld_error_message(error));
    weld_error_free(error);
    return text;
}

#endif
