/* test_future.c: evaluation in a thread of its own: waiting, asking, cancelling, freeing. */
#include "lazy.h"

#include <pthread.h>
#include <time.h>

static const char *const never_ends = "|x| iterate(x, |s| {s + 1l, s >= 0l})";

static void nap(void) {
    nanosleep(&(struct timespec){.tv_nsec = 1000000}, NULL);
}

static weld_future_t must_start(weld_context_t context, const weld_lazy_t *lazies, int64_t count) {
    weld_error_t error = weld_error_new();
    weld_future_t future = weld_lazy_evaluate_async(context, lazies, count, error);
    cr_assert_not_null(future, "%s", weld_error_message(error));
    cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
    weld_error_free(error);
    return future;
}

Test(future, values_are_waited_for_and_given_once) {
    EACH_ENGINE(engine) {
        int64_t numbers[] = {1, 2, 3};
        _Atomic int released = 0;
        weld_context_t context = context_for(engine);
        weld_lazy_t x = lazy_ints(numbers, 3, &released);
        weld_lazy_t roots[] = {lazy_of("|v| map(v, |e| e + 1l)", x), lazy_of("|v| slice(v, 1l, 2l)", x)};
        weld_lazy_free(x);
        weld_future_t future = must_start(context, roots, 2);
        for (int i = 0; i < 2; i++) weld_lazy_free(roots[i]);
        weld_context_free(context);
        weld_error_t error = weld_error_new();
        weld_value_t values[2] = {NULL, NULL};
        cr_assert(weld_future_wait(future, NULL, error), "%s", weld_error_message(error));
        cr_assert(weld_future_poll(future));
        cr_assert(weld_future_wait(future, values, error));
        cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
        expect_text(values[0], "[2l, 3l, 4l]");
        weld_value_t again[2] = {NULL, NULL};
        cr_assert_not(weld_future_wait(future, again, error));
        cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
        cr_assert(!again[0] && !again[1]);
        weld_future_cancel(future);
        weld_future_free(future);
        expect_text(values[1], "[2l, 3l]");
        weld_value_free(values[0]);
        cr_assert_eq(released, 0);
        weld_value_free(values[1]);
        cr_assert_eq(released, 1);
        weld_error_free(error);
    }
}

Test(future, values_that_nobody_takes_go_with_it) {
    int64_t numbers[] = {1, 2, 3};
    _Atomic int released = 0;
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_ints(numbers, 3, &released), y = lazy_of("|v| {v, map(v, |e| e)}", x);
    weld_lazy_free(x);
    weld_future_t future = must_start(context, &y, 1);
    weld_lazy_free(y);
    while (!weld_future_poll(future)) nap();
    cr_assert_eq(released, 0);
    weld_future_free(future);
    cr_assert_eq(released, 1);
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
}

Test(future, nothing_is_a_future_too) {
    weld_context_t context = context_for(0);
    weld_future_t future = must_start(context, NULL, 0);
    cr_assert(weld_future_wait(future, NULL, NULL));
    weld_future_free(future);
    weld_context_free(context);
}

Test(future, failures_come_from_wait) {
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_number(0), y = lazy_apply("mine.broken", "|x|\n 1l / x", &x, 1, true);
    weld_future_t future = must_start(context, &y, 1);
    weld_lazy_free(y);
    weld_error_t error = weld_error_new();
    weld_value_t value = (weld_value_t)1;
    for (int i = 0; i < 2; i++) {
        cr_assert_not(weld_future_wait(future, &value, error));
        cr_assert_eq(weld_error_code(error), WELD_DIVISION_BY_ZERO);
        cr_assert_eq(strncmp(weld_error_message(error), "mine.broken:2:2:", 16), 0, "%s",
                     weld_error_message(error));
        cr_assert_eq(value, (weld_value_t)1);
        cr_assert_eq(weld_error_line(error), 2);
    }
    cr_assert_not(weld_future_wait(future, NULL, NULL));
    weld_future_free(future);
    weld_error_free(error);
    weld_context_free(context);
}

/* At once, a little later, and later still: the run may not have begun, or be in the middle. */
Test(future, what_would_never_end_is_cancelled) {
    EACH_ENGINE(engine) {
        weld_context_t context = context_for(engine);
        weld_lazy_t x = lazy_number(0), y = lazy_of(never_ends, x);
        for (int naps = 0; naps < 12; naps++) {
            weld_error_t error = weld_error_new();
            weld_future_t future = must_start(context, &y, 1);
            for (int i = 0; i < naps; i++) nap();
            cr_assert_not(weld_future_poll(future));
            weld_future_cancel(future);
            cr_assert_not(weld_future_wait(future, NULL, error));
            cr_assert_eq(weld_error_code(error), WELD_CANCELLED, "%s", weld_error_message(error));
            weld_future_cancel(future);
            cr_assert(weld_future_poll(future));
            weld_future_free(future);
            weld_error_free(error);
            expect_lazy(context, x, "0l");
        }
        for (int naps = 0; naps < 12; naps++) { /* freeing does the same */
            weld_future_t future = must_start(context, &y, 1);
            for (int i = 0; i < naps; i++) nap();
            weld_future_free(future);
        }
        weld_future_t future =
            must_start(context, &y, 1); /* and so does the context's own way, while it runs */
        weld_error_t error = weld_error_new();
        while (!weld_future_poll(future)) {
            weld_context_cancel(context);
            nap();
        }
        cr_assert_not(weld_future_wait(future, NULL, error));
        cr_assert_eq(weld_error_code(error), WELD_CANCELLED);
        weld_future_free(future);
        weld_error_free(error);
        cr_assert_eq(weld_context_memory_usage(context), 0);
        weld_lazy_free(x);
        weld_lazy_free(y);
        weld_context_free(context);
    }
}

/* Cancelling what is done leaves the next run alone. */
Test(future, cancelling_late_stops_nothing_else) {
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_number(5);
    weld_future_t future = must_start(context, &x, 1);
    cr_assert(weld_future_wait(future, NULL, NULL));
    weld_future_cancel(future);
    expect_lazy(context, x, "5l");
    weld_value_t value;
    cr_assert(weld_future_wait(future, &value, NULL));
    expect_text(value, "5l");
    weld_value_free(value);
    weld_future_free(future);
    weld_lazy_free(x);
    weld_context_free(context);
}

static void *wait_for(void *future) {
    return weld_future_wait(future, NULL, NULL) ? future : NULL;
}

static void *cancel_it(void *future) {
    nap();
    weld_future_cancel(future);
    return NULL;
}

Test(future, several_threads_may_wait) {
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_number(0), slow = lazy_of("|x| iterate(x, |s| {s + 1l, s < 300000l})", x);
    weld_lazy_t forever = lazy_of(never_ends, x);
    for (int endless = 0; endless < 2; endless++) {
        weld_future_t future = must_start(context, endless ? &forever : &slow, 1);
        pthread_t threads[4], killer;
        for (int i = 0; i < 4; i++) cr_assert_eq(pthread_create(&threads[i], NULL, wait_for, future), 0);
        if (endless) cr_assert_eq(pthread_create(&killer, NULL, cancel_it, future), 0);
        for (int i = 0; i < 4; i++) {
            void *result;
            pthread_join(threads[i], &result);
            cr_assert_eq(result, endless ? NULL : future);
        }
        if (endless) pthread_join(killer, NULL);
        weld_future_free(future);
    }
    weld_lazy_free(x);
    weld_lazy_free(slow);
    weld_lazy_free(forever);
    weld_context_free(context);
}

/* One context runs one thing at a time: of two futures at once one may be refused, with an error, and neither hangs. */
Test(future, two_in_one_context) {
    weld_context_t context = context_for(0);
    weld_lazy_t x = lazy_number(5);
    for (int i = 0; i < 200; i++) {
        weld_future_t a = must_start(context, &x, 1), b = must_start(context, &x, 1);
        weld_error_t error = weld_error_new();
        bool first = weld_future_wait(a, NULL, error);
        cr_assert(first || weld_error_code(error) == WELD_ARGUMENT_ERROR, "%s", weld_error_message(error));
        bool second = weld_future_wait(b, NULL, error);
        cr_assert(second || weld_error_code(error) == WELD_ARGUMENT_ERROR);
        cr_assert(first || second);
        weld_future_free(a);
        weld_future_free(b);
        weld_error_free(error);
    }
    weld_lazy_free(x);
    weld_context_free(context);
}
