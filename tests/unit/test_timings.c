/* test_timings.c: how long each fragment took, by the name of the library function that it comes from. */
#include "lazy.h"

static weld_context_t context_with(int engine, const char *timings) {
    weld_conf_t conf = conf_for(engine);
    weld_conf_set(conf, "weld.timings", timings);
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    return context;
}

/* The runs and milliseconds of the line that begins so; it must be there. */
static int64_t runs_of(const char *text, const char *begin, double *ms) {
    const char *line = strstr(text, begin);
    cr_assert(line, "no `%s` in\n%s", begin, text);
    char *end;
    int64_t runs = strtoll(line + strlen(begin), &end, 10);
    end += strcspn(end, ",");
    *ms = strtod(end + 1, NULL);
    return runs;
}

/* A sort, and a sum that waits for it: most of the time is the sort's. */
static weld_lazy_t sorted_sum(int64_t *numbers, int64_t count) {
    weld_lazy_t x = lazy_ints(numbers, count, NULL);
    weld_lazy_t y = lazy_apply("mine.order", "|v|\n sort(v, |a, b| compare(a, b))", &x, 1, true);
    return lazy_apply("other.sum", "|v| result(for(v, merger[i64, +], |b, i, e| merge(b, e * i)))", &y, 1,
                      true);
}

Test(timings, name_the_library_functions) {
    enum { COUNT = 200000 };
    int64_t *numbers = malloc(COUNT * sizeof *numbers);
    for (int64_t i = 0; i < COUNT; i++) numbers[i] = (int64_t)((uint64_t)i * 0x9e3779b97f4a7c15u >> 20);
    weld_lazy_t sum = sorted_sum(numbers, COUNT);
    EACH_ENGINE(engine) {
        weld_context_t context = context_with(engine, "true");
        cr_assert_null(weld_context_timings(context), "nothing has run");
        for (int again = 0; again < 2; again++) {
            weld_value_free(must_evaluate(context, sum));
            char *text = weld_context_timings(context);
            double order, total, rest = -1;
            cr_assert_not_null(text);
            const char *last = strstr(text, "the rest: ");
            cr_assert(last && sscanf(last, "the rest: %lf ms\n", &rest) == 1 && rest >= 0, "%s", text);
            if (strcmp(engines[engine], "eval") == 0) {
                cr_expect_eq(last, text, "the interpreter has no fragments: %s", text);
            } else {
                cr_expect_eq(runs_of(text, "fragment 0: line 2 of mine.order, a sort: ", &order), 1);
                cr_expect_eq(runs_of(text, "fragment 1: line 1 of other.sum, a loop: ", &total), 1);
                cr_expect(order > total && total > 0, "%s", text);
            }
            free(text);
        }
        weld_context_free(context);
    }
    weld_lazy_free(sum);
    free(numbers);
}

/* They are of the last run: one without the setting has none, though one before it had. */
Test(timings, are_of_the_last_run) {
    weld_conf_t conf = weld_conf_new();
    weld_module_t plain = weld_module_compile("sort([2l, 1l], |a, b| compare(a, b))", conf, NULL);
    weld_conf_set(conf, "weld.timings", "true");
    weld_module_t timed = weld_module_compile("sort([2l, 1l], |a, b| compare(a, b))", conf, NULL);
    weld_context_t context = weld_context_new(conf);
    cr_assert(plain && timed && context);
    weld_value_free(weld_module_run(timed, context, NULL, NULL));
    char *text = weld_context_timings(context);
    cr_expect_not_null(text);
    free(text);
    weld_value_free(weld_module_run(plain, context, NULL, NULL));
    cr_expect_null(weld_context_timings(context));
    weld_context_free(context);
    weld_module_free(plain), weld_module_free(timed);
    weld_conf_free(conf);
}

/* What an iterate runs counts for itself, as often as it ran. */
Test(timings, count_each_step) {
    weld_lazy_t n = lazy_number(7);
    weld_lazy_t steps = lazy_apply(
        "mine.iterate",
        "|n| let v = result(for(rangeiter(0L, 1000L, 1L), appender[i64], |b, i, e| merge(b, e)));\n"
        "iterate({v, n},\n |s| {{sort(s.$0, |a, b| compare(b, a)), s.$1 - 1l}, s.$1 > 1l}).$0",
        &n, 1, true);
    EACH_ENGINE(engine) {
        if (strcmp(engines[engine], "eval") == 0) continue;
        weld_context_t context = context_with(engine, "true");
        weld_value_free(must_evaluate(context, steps));
        char *text = weld_context_timings(context);
        double ms;
        cr_expect_eq(runs_of(text, "line 3 of mine.iterate, a sort: ", &ms), 7, "%s", text);
        cr_expect_eq(runs_of(text, "line 2 of mine.iterate, an iterate: ", &ms), 1, "%s", text);
        free(text);
        weld_context_free(context);
    }
    weld_lazy_free(steps);
}

/* Of a run that failed there is what ended before; without the setting nothing is measured, whatever is in the cache. */
Test(timings, of_failures_and_without_the_setting) {
    int64_t numbers[] = {3, 1, 2};
    weld_lazy_t x = lazy_ints(numbers, 3, NULL);
    weld_lazy_t y = lazy_apply("mine.order", "|v| sort(v, |a, b| compare(a, b))", &x, 1, true);
    weld_lazy_t z = lazy_apply(
        "mine.fail", "|v| let n = result(for(v, merger[i64, +], |b, i, e| merge(b, e / (e - 3l)))); n", &y, 1,
        true);
    EACH_ENGINE(engine) {
        if (strcmp(engines[engine], "eval") == 0) continue;
        static const char *const settings[] = {"true", "false", "true"};
        for (int k = 0; k < 3; k++) {
            weld_context_t context = context_with(engine, settings[k]);
            weld_value_t value;
            double ms;
            cr_assert_not(weld_lazy_evaluate(context, &z, 1, &value, NULL));
            char *text = weld_context_timings(context);
            cr_assert_eq(text != NULL, k != 1);
            if (text) cr_expect_eq(runs_of(text, "of mine.order, a sort: ", &ms), 1, "%s", text);
            cr_expect(!text || !strstr(text, "mine.fail"), "%s", text);
            free(text);
            weld_context_free(context);
        }
    }
    weld_lazy_free(z);
    cr_expect_null(weld_context_timings(NULL));
}
