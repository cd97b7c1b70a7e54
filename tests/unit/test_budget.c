/* test_budget.c: what gradients keep and compute again under weld.memory.budget, and with checkpoint. */
#include "../../runtime/rt.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

/* ---- running ---- */

typedef struct Outcome {
    int64_t peak;
    double value[8];
} Outcome;

static weld_conf_t conf_of(const char *engine, int64_t budget) {
    char bytes[32];
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine);
    weld_conf_set(conf, "weld.cache", "off");
    snprintf(bytes, sizeof bytes, "%lld", (long long)budget);
    if (budget) weld_conf_set(conf, "weld.memory.budget", bytes);
    return conf;
}

static weld_module_t compiled(const char *text, weld_conf_t conf) {
    Error error = {0};
    weld_module_t module = module_compile("budget", text, strlen(text), NULL, conf, &error, NULL);
    if (!module && error.code == E_Library) cr_skip_test("no code generator");
    cr_assert(module, "%s", error.text);
    return module;
}

/* Runs a program of two integers whose result are `count` f64. */
static Outcome run(weld_module_t module, weld_conf_t conf, int64_t a, int64_t b, int count) {
    Error error = {0};
    Outcome out = {0};
    weld_context_t context = weld_context_new(conf);
    int64_t args[2] = {a, b};
    weld_value_t value = module_run(module, context, args, NULL, &error);
    cr_assert(value, "%s", error.text);
    out.peak = context_peak(context);
    memcpy(out.value, weld_value_data(value), sizeof(double) * (size_t)count);
    weld_value_free(value);
    weld_context_free(context);
    return out;
}

static Outcome outcome(const char *text, int64_t a, int64_t b, const char *engine, int64_t budget,
                       int count) {
    weld_conf_t conf = conf_of(engine, budget);
    weld_module_t module = compiled(text, conf);
    Outcome out = run(module, conf, a, b, count);
    weld_module_free(module);
    weld_conf_free(conf);
    return out;
}

static void expect_same(const Outcome *a, const Outcome *b, int count, const char *what) {
    for (int i = 0; i < count; i++)
        cr_expect(fabs(a->value[i] - b->value[i]) <= 1e-12 * (1 + fabs(a->value[i])), "%s: %d: %.17g, %.17g",
                  what, i, a->value[i], b->value[i]);
}

/* ---- the schedule of steps ---- */

/* A recurrence of n steps on d numbers; each step asks a function for its factor. */
static const char steps_text[] =
    "|d: i64, n: i64|"
    " let w = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, 0.5 + 0.001 * f64(i))));"
    " let xs = result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, e| merge(b, 0.01 * f64(i))));"
    " let g = grad(|w, xs|"
    "   let r = iterate({map(w, |e| 0.1), 0L}, |s|"
    "     let x = lookup(xs, s.$1) * f64(@(pure: true) cfun[weld_test_tick, i64](s.$1));"
    "     {{map(zip(s.$0, w), |e| sin(e.$0 * e.$1 + x)), s.$1 + 1L}, s.$1 + 1L < n});"
    "   sum(r.$0))(w, xs);"
    " {g.$0, sum(g.$1.$0), sum(g.$1.$1), lookup(g.$1.$1, 0L)}";

static int64_t ticks;
__attribute__((visibility("default"))) int64_t weld_test_tick(int64_t step);
int64_t weld_test_tick(int64_t step) {
    ticks++;
    return step - step + 1;
}

/* C(t, m) of Gruslys et al.: evaluations of the step by the best schedule. */
static int64_t *optimum(int steps, int slots) {
    int64_t *cost = calloc((size_t)(steps + 1) * (size_t)(slots + 1), sizeof *cost);
    cr_assert(cost);
#define C(t, m) cost[(t) * (slots + 1) + (m)]
    for (int m = 1; m <= slots; m++) {
        for (int t = 1; t <= steps; t++) {
            C(t, m) = (int64_t)t * (t + 1) / 2;
            for (int y = 1; y < t && m > 1; y++) {
                int64_t with = y + C(t - y, m - 1) + C(y, m);
                if (with < C(t, m)) C(t, m) = with;
            }
        }
    }
#undef C
    return cost;
}

/* Each state is counted with its number and the header of its block. */
static int64_t budget_for(int slots, int d) {
    return 2 * slots * (24 + 8 + 8 * (int64_t)d + 64);
}

/* The last step is taken once more: its state is the function's result. */
Test(budget, a_schedule_takes_as_many_steps_as_the_best) {
    enum { MOST = 120, SLOTS = 14, D = 3 };
    static const int steps[] = {1, 2, 3, 4, 5, 6, 7, 10, 13, 21, 40, 77, MOST};
    static const int slots[] = {1, 2, 3, 5, 8, SLOTS};
    enum { COUNT = sizeof steps / sizeof *steps };
    int64_t *cost = optimum(MOST, SLOTS);
    Outcome all[COUNT];
    for (size_t k = 0; k <= sizeof slots / sizeof *slots; k++) {
        int m = k ? slots[k - 1] : 0;
        weld_conf_t conf = conf_of("jit", m ? budget_for(m, D) : 0);
        weld_module_t module = compiled(steps_text, conf);
        for (size_t i = 0; i < COUNT; i++) {
            int n = steps[i];
            ticks = 0;
            Outcome few = run(module, conf, D, n, 4);
            if (!m) all[i] = few;
            int64_t best = cost[n * (SLOTS + 1) + m] + 1;
            cr_expect(!m || ticks == best, "%d steps, %d slots: %lld, not %lld", n, m, (long long)ticks,
                      (long long)best);
            expect_same(&all[i], &few, 4, "steps");
        }
        weld_module_free(module);
        weld_conf_free(conf);
    }
    free(cost);
}

Test(budget, the_interpreter_keeps_the_schedule) {
    Outcome all = outcome(steps_text, 3, 30, "eval", 0, 4);
    Outcome few = outcome(steps_text, 3, 30, "eval", budget_for(4, 3), 4);
    expect_same(&all, &few, 4, "interpreted");
}

Test(budget, a_thousand_steps_take_a_twentieth) {
    enum { D = 4000, STEPS = 1000 };
    Outcome all = outcome(steps_text, D, STEPS, "jit", 0, 4);
    ticks = 0;
    Outcome few = outcome(steps_text, D, STEPS, "jit", all.peak / 20 * 29 / 20, 4);
    expect_same(&all, &few, 4, "a thousand steps");
    cr_expect(few.peak <= all.peak / 20, "%lld of %lld", (long long)few.peak, (long long)all.peak);
    /* Of a step forwards, the same again in its adjoint, and the adjoint, which costs two: 4 each without a budget. */
    cr_expect(ticks + 2 * STEPS <= 4 * STEPS * 4 / 3, "%lld evaluations", (long long)ticks);
}

/* ---- chains ---- */

/* A chain of layers that do not fuse: each looks elsewhere in what the one before made. */
static char *chain_text(int layers, int every) {
    Buf text = {0};
    buf_printf(&text,
               "|d: i64, n: i64| let x = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, "
               "0.00001 * f64(i)))); let g = grad(|x, w| ");
    for (int i = 0; i < layers; i++) {
        char from[24];
        snprintf(from, sizeof from, "h%d", i);
        bool mark = every && i % every == every - 1;
        buf_printf(
            &text,
            "let h%d = %sresult(for(%s, appender[f64], |b, i, e| merge(b, sin(e * w + lookup(%s, (i * 7L + "
            "1L) %% d)))))%s; ",
            i + 1, mark ? "checkpoint(" : "", i ? from : "x", i ? from : "x", mark ? ")" : "");
    }
    buf_printf(&text, "sum(h%d))(x, 0.7); {g.$0, sum(g.$1.$0), lookup(g.$1.$0, 1L), g.$1.$1}", layers);
    cr_assert(!text.failed);
    return text.text;
}

enum { CHAIN_D = 2000, CHAIN_BYTES = 8 * CHAIN_D };

/* Layers of a segment, kept ones, and what each adjoint needs. */
Test(budget, a_chain_keeps_the_square_root) {
    static const int layers[] = {16, 64, 256};
    for (size_t i = 0; i < sizeof layers / sizeof *layers; i++) {
        char *text = chain_text(layers[i], 0);
        Outcome all = outcome(text, CHAIN_D, 0, "jit", 0, 4);
        Outcome few = outcome(text, CHAIN_D, 0, "jit", 1 << 20, 4);
        expect_same(&all, &few, 4, "a chain");
        int64_t bound = (int64_t)(2.2 * sqrt(layers[i]) + 6) * CHAIN_BYTES + (64 << 10);
        cr_expect(few.peak <= bound, "%d layers: %lld, at most %lld; else %lld", layers[i],
                  (long long)few.peak, (long long)bound, (long long)all.peak);
        cr_expect(all.peak >= layers[i] * (int64_t)CHAIN_BYTES);
        free(text);
    }
}

Test(budget, checkpoints_by_hand) {
    enum { LAYERS = 36 };
    char *plain = chain_text(LAYERS, 0), *marked = chain_text(LAYERS, 6);
    for (int k = 0; k < 2; k++) {
        const char *engine = k ? "jit" : "eval";
        Outcome all = outcome(plain, CHAIN_D, 0, engine, 0, 4),
                few = outcome(marked, CHAIN_D, 0, engine, 0, 4);
        expect_same(&all, &few, 4, "marks");
        if (k) cr_expect(few.peak <= 18 * CHAIN_BYTES + (64 << 10), "%lld", (long long)few.peak);
        if (k) cr_expect(all.peak >= LAYERS * CHAIN_BYTES, "%lld", (long long)all.peak);
    }
    free(plain);
    free(marked);
}
