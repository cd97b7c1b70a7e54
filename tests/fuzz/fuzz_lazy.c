/* fuzz_lazy.c: random sequences of calls to the lazy interface, right ones and wrong ones.
 *
 *     fuzz_lazy CALLS [SEED]
 *
 * A few dozen lazy values, results, futures and contexts are made, used, freed and mixed up at random. Of every lazy value
 * a model knows what it is worth, numbers or a failure, so that each evaluation is checked. Now and then a handle is NULL
 * or of another kind, a count negative, a text wrong: then the call must fail, with an error. At the end every release
 * was called once and the contexts hold nothing. To be run under the address sanitizer, too. Exit status: 0 all is well.
 */
#include "../../runtime/weld.h"
#include "calls.h"

#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LAZIES = 48, VALUES = 16, FUTURES = 4, CONTEXTS = 3, LONGEST = 6, WRONG = 40 };

static long calls;

/* ---- the model ---- */

/* What a lazy value is worth. */
typedef struct Worth {
    bool fails, is_vector;
    int64_t length; /* of a vector; else 1 */
    int64_t numbers[LONGEST];
} Worth;

static Worth number(int64_t x) {
    return (Worth){.length = 1, .numbers = {x}};
}

static int64_t wrap(uint64_t x) {
    return (int64_t)x;
}

/* A fragment: its text, where %lld is a constant k, the kinds of its arguments (i, v), and what it does. */
typedef struct Fragment {
    const char *code, *takes;
    Worth (*run)(const Worth *a, int64_t k);
} Fragment;

static Worth run_add(const Worth *a, int64_t k) {
    return number(wrap((uint64_t)a[0].numbers[0] + (uint64_t)k));
}
static Worth run_product(const Worth *a, int64_t k) {
    (void)k;
    return number(wrap((uint64_t)a[0].numbers[0] * (uint64_t)a[1].numbers[0]));
}
static Worth run_constant(const Worth *a, int64_t k) {
    (void)a;
    return number(k);
}
static Worth run_shift(const Worth *a, int64_t k) {
    Worth out = a[0];
    for (int64_t i = 0; i < out.length; i++) out.numbers[i] = wrap((uint64_t)out.numbers[i] + (uint64_t)k);
    return out;
}
static Worth run_zip(const Worth *a, int64_t k) {
    Worth out = a[0];
    (void)k;
    out.fails |= a[0].length != a[1].length;
    for (int64_t i = 0; i < out.length && !out.fails; i++)
        out.numbers[i] = wrap((uint64_t)out.numbers[i] - (uint64_t)a[1].numbers[i]);
    return out;
}
static Worth run_sum(const Worth *a, int64_t k) {
    uint64_t sum = (uint64_t)k;
    for (int64_t i = 0; i < a[0].length; i++) sum += (uint64_t)a[0].numbers[i];
    return number(wrap(sum));
}
static Worth run_lookup(const Worth *a, int64_t k) {
    Worth out = number(0);
    out.fails = k < 0 || k >= a[0].length;
    if (!out.fails) out.numbers[0] = a[0].numbers[k];
    return out;
}
static Worth run_pair(const Worth *a, int64_t k) {
    (void)k;
    return (Worth){.is_vector = true, .length = 2, .numbers = {a[0].numbers[0], a[1].numbers[0]}};
}
static Worth run_slice(const Worth *a, int64_t k) {
    Worth out = {.is_vector = true};
    for (int64_t i = 1; i < a[0].length && out.length < k; i++) out.numbers[out.length++] = a[0].numbers[i];
    return out;
}
static Worth run_same(const Worth *a, int64_t k) {
    (void)k;
    return a[0];
}

static const Fragment fragments[] = {
    {"|x| x + %lldl", "i", run_add},
    {"|x, y| x * y", "ii", run_product},
    {"%lldl", "", run_constant},
    {"|v| map(v, |e| e + %lldl)", "v", run_shift},
    {"|v, w| map(zip(v, w), |e| e.$0 - e.$1)", "vv", run_zip},
    {"|v| result(for(v, merger[i64, +](%lldl), |b, i, e| merge(b, e)))", "v", run_sum},
    {"|v| lookup(v, %lldl)", "v", run_lookup},
    {"|x: i64, y| [x, y]", "ii", run_pair},
    {"|v: vec[i64]| slice(v, 1l, %lldl)", "v", run_slice},
    {"|v| v", "v", run_same},
};
enum { FRAGMENTS = sizeof fragments / sizeof *fragments };

/* ---- what is there ---- */

typedef struct Slot {
    weld_lazy_t lazy;
    Worth worth;
} Slot;

typedef struct Later {
    weld_future_t future;
    Worth worth;
} Later;

static Slot lazies[LAZIES];
static weld_value_t values[VALUES];
static Later futures[FUTURES];
static Worth worths[VALUES]; /* of values */
static weld_context_t contexts[CONTEXTS];
static weld_error_t error;
static _Atomic long handed, released;

static void release(void *user) {
    Worth *data = user;
    memset(data->numbers, 0x5a, sizeof data->numbers); /* who still looks at them is found out */
    free(data);
    atomic_fetch_add(&released, 1);
}

static bool is_wrong(void) {
    return draw(WRONG) == 0;
}

/* A handle of a wrong kind. */
static void *wrong_handle(void) {
    void *all[] = {NULL, contexts[0], error, values[draw(VALUES)], futures[draw(FUTURES)].future};
    return all[draw(sizeof all / sizeof *all)];
}

static void expect_error(bool failed) {
    if (!failed) complain("what is wrong was taken");
    if (weld_error_code(error) == WELD_SUCCESS || weld_error_code(error) == WELD_UNKNOWN)
        complain("a failure without an error: %s", weld_error_message(error));
}

static void expect_success(bool ok) {
    if (!ok || weld_error_code(error) != WELD_SUCCESS) complain("%s", weld_error_message(error));
}

static void check_value(weld_value_t value, const Worth *worth) {
    const void *data = weld_value_data(value);
    const struct {
        const int64_t *data;
        int64_t length;
    } *vector = data;
    const int64_t *numbers = worth->is_vector ? vector->data : data;
    if (worth->is_vector && vector->length != worth->length) complain("a vector of another length");
    for (int64_t i = 0; i < worth->length; i++) {
        if (numbers[i] != worth->numbers[i]) complain("another number");
    }
    if (strcmp(weld_value_type(value), worth->is_vector ? "vec[i64]" : "i64") != 0) complain("another type");
}

static Slot *any_lazy(void) {
    Slot *slot = &lazies[draw(LAZIES)];
    return slot->lazy ? slot : NULL;
}

static void put(weld_lazy_t lazy, Worth worth) {
    Slot *slot = &lazies[draw(LAZIES)];
    weld_lazy_free(slot->lazy);
    *slot = (Slot){lazy, worth};
}

/* ---- calls ---- */

static void call_data(void) {
    Worth *worth = calloc(1, sizeof *worth);
    if (!worth) return;
    worth->is_vector = draw(3) > 0;
    worth->length = worth->is_vector ? (int64_t)draw(LONGEST) : 1;
    for (int64_t i = 0; i < worth->length; i++) worth->numbers[i] = (int64_t)draw(9) - 4;
    struct {
        int64_t *data, length;
    } vector = {worth->length ? worth->numbers : NULL, worth->length};
    const void *data = worth->is_vector ? (const void *)&vector : worth->numbers;
    bool wrong = is_wrong();
    if (wrong) vector.length = -1;
    weld_lazy_t lazy = weld_lazy_data(wrong              ? (draw(2) ? "vec[i64]" : "vec[")
                                      : worth->is_vector ? "vec[i64]"
                                                         : "i64",
                                      wrong ? &vector : data, release, worth, error);
    if (wrong) {
        expect_error(!lazy);
        free(worth);
        return;
    }
    expect_success(lazy != NULL);
    handed++;
    put(lazy, *worth);
}

static void call_new(void) {
    const Fragment *fragment = &fragments[draw(FRAGMENTS)];
    int64_t count = (int64_t)strlen(fragment->takes), k = (int64_t)draw(8);
    weld_lazy_t arguments[2] = {NULL, NULL};
    Worth of[2] = {0};
    char code[128];
    snprintf(code, sizeof code, fragment->code, (long long)k);
    bool fits = true, fails = false;
    for (int64_t i = 0; i < count; i++) {
        Slot *slot = any_lazy();
        if (!slot) return;
        arguments[i] = slot->lazy;
        of[i] = slot->worth;
        fits &= of[i].is_vector == (fragment->takes[i] == 'v');
        fails |= of[i].fails;
    }
    fits |= fragment->run == run_same;
    if (!fits && draw(8)) return;
    bool wrong = is_wrong();
    if (wrong && count && draw(2))
        arguments[0] = wrong_handle();
    else if (wrong)
        code[strlen(code) / 2] = '\x01';
    weld_lazy_t lazy = weld_lazy_new(draw(4) ? "mine.step" : NULL, code, arguments, count, error);
    if (wrong || !fits) {
        expect_error(!lazy);
        return;
    }
    expect_success(lazy != NULL);
    Worth worth = fails ? (Worth){0} : fragment->run(of, k);
    worth.is_vector = fragment->run == run_same ? of[0].is_vector : strcmp(weld_lazy_type(lazy), "i64") != 0;
    worth.fails |= fails;
    put(lazy, worth);
}

static void call_value(void) {
    size_t i = draw(VALUES);
    if (is_wrong() || !values[i]) {
        void *wrong = draw(2) ? (void *)contexts[1] : NULL;
        expect_error(!weld_lazy_value(wrong, error));
        return;
    }
    weld_lazy_t lazy = weld_lazy_value(values[i], error);
    expect_success(lazy != NULL);
    put(lazy, worths[i]);
}

static void call_evaluate(void) {
    enum { MOST = 3 };
    int64_t count = (int64_t)draw(MOST + 1);
    weld_lazy_t roots[MOST];
    Worth of[MOST];
    bool fails = false, wrong = count && is_wrong();
    for (int64_t i = 0; i < count; i++) {
        Slot *slot = any_lazy();
        if (!slot) return;
        roots[i] = slot->lazy;
        of[i] = slot->worth;
        fails |= of[i].fails;
    }
    if (wrong) roots[draw((uint64_t)count)] = wrong_handle();
    weld_value_t out[MOST] = {NULL};
    weld_context_t context = contexts[draw(CONTEXTS)];
    if (is_wrong()) {
        expect_error(!weld_lazy_evaluate(is_wrong() ? wrong_handle() == context ? NULL : error : NULL, roots,
                                         count, out, error));
        return;
    }
    bool ok = weld_lazy_evaluate(context, roots, count, out, error);
    if (wrong || fails) {
        if (!wrong && ok && fails) complain("it should fail");
        expect_error(!ok);
        return;
    }
    if (!ok && weld_error_code(error) == WELD_ARGUMENT_ERROR && strstr(weld_error_message(error), "running"))
        return;
    expect_success(ok);
    for (int64_t i = 0; i < count; i++) {
        check_value(out[i], &of[i]);
        size_t to = draw(VALUES);
        weld_value_free(values[to]);
        values[to] = out[i];
        worths[to] = of[i];
    }
}

static void finish(Later *later) {
    weld_value_t value = NULL;
    if (!later->future) return;
    if (draw(4) == 0) weld_future_cancel(later->future);
    if (draw(4) == 0) weld_future_poll(later->future);
    if (draw(4) == 0) weld_future_wait(later->future, NULL, error);
    if (draw(4)) {
        bool ok = weld_future_wait(later->future, &value, error);
        if (ok && later->worth.fails) complain("a future should fail");
        if (ok)
            check_value(value, &later->worth);
        else
            expect_error(!value);
        if (ok) expect_error(!weld_future_wait(later->future, &value, error));
    }
    weld_value_free(value);
    weld_future_free(later->future);
    *later = (Later){0};
}

static void call_later(void) {
    Later *later = &futures[draw(FUTURES)];
    if (draw(16)) return; /* threads take their time */
    finish(later);
    Slot *slot = any_lazy();
    if (!slot) return;
    later->worth = slot->worth;
    later->future = weld_lazy_evaluate_async(contexts[draw(CONTEXTS)], &slot->lazy, 1, error);
    expect_success(later->future != NULL);
}

static void call_ask(void) {
    Slot *slot = any_lazy();
    weld_lazy_t lazy = slot && !is_wrong() ? slot->lazy : wrong_handle();
    bool right = slot && lazy == slot->lazy;
    if ((weld_lazy_type(lazy) != NULL) != right || (weld_lazy_function(lazy) != NULL) != right ||
        (weld_lazy_code(lazy) != NULL) != right || (weld_lazy_argument_count(lazy) >= 0) != right)
        complain("an answer that cannot be");
    weld_lazy_free(weld_lazy_argument(lazy, (int64_t)draw(4) - 1));
    char *text = draw(2) ? weld_lazy_program(&lazy, 1, error) : weld_lazy_plan(&lazy, 1, error);
    if ((text != NULL) != right) complain("a text that cannot be");
    free(text);
}

static void call_hold(void) {
    Slot *slot = any_lazy();
    weld_lazy_t lazy = slot && !is_wrong() ? slot->lazy : wrong_handle();
    if (weld_lazy_hold(lazy) && slot) put(lazy, slot->worth);
    if (slot) weld_lazy_keep(draw(3) == 0 ? slot->lazy : wrong_handle());
}

static void call_free(void) {
    Slot *slot = &lazies[draw(LAZIES)];
    size_t i = draw(VALUES);
    if (draw(2)) {
        weld_lazy_free(slot->lazy);
        *slot = (Slot){0};
    } else {
        weld_value_free(values[i]);
        values[i] = NULL;
    }
    if (is_wrong()) weld_lazy_free(contexts[0]), weld_future_free(contexts[0]), weld_lazy_free(NULL);
}

static void (*const operations[])(void) = {call_data,  call_new,      call_new,      call_new,
                                           call_value, call_evaluate, call_evaluate, call_evaluate,
                                           call_later, call_ask,      call_hold,     call_free};

static void end(void) {
    for (int i = 0; i < FUTURES; i++) finish(&futures[i]);
    for (int i = 0; i < LAZIES; i++) weld_lazy_free(lazies[i].lazy);
    for (int i = 0; i < VALUES; i++) weld_value_free(values[i]);
    for (int i = 0; i < CONTEXTS; i++) {
        if (weld_context_memory_usage(contexts[i]) != 0) complain("a context holds memory at the end");
        weld_context_free(contexts[i]);
    }
    if (handed != released) complain("%ld data, but %ld releases", (long)handed, (long)released);
    weld_error_free(error);
}

int main(int count, char **words) {
    if (count < 2) {
        fprintf(stderr, "usage: fuzz_lazy CALLS [SEED]\n");
        return 2;
    }
    calls = atol(words[1]);
    state = (count > 2 ? (uint64_t)atoll(words[2]) : 1) * 0x9E3779B97F4A7C15ull | 1;
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval");
    for (int i = 0; i < CONTEXTS; i++) contexts[i] = weld_context_new(conf);
    weld_conf_free(conf);
    error = weld_error_new();
    for (at = 0; at < calls; at++) operations[draw(sizeof operations / sizeof *operations)]();
    end();
    printf("%ld calls, %ld data released\n", calls, (long)released);
    return 0;
}
