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
    " let w = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, 0.5 + 0.4 * f64(i) / "
    "f64(d))));"
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

/* Runs the program by the interpreter, with room for so many states. */
static Outcome with_slots(const char *text, int64_t d, int64_t n, int slots) {
    static const volatile int32_t never = 0;
    PassOptions passes = {.level = 2, .verify = true};
    Program *program = program_new("steps", text, strlen(text));
    cr_assert(program);
    program->saving = slots > 0;
    bool ok = program_read(program) && program_infer(program, NULL) && program_optimize(program, &passes);
    cr_assert(ok, "%s", program->error.text);
    Budget budget;
    budget_init(&budget, 0);
    Region *region = region_new(&budget);
    /* Each state is counted with its number and the header of its block. */
    Worker worker = {.cancel = &never,
                     .host = &foreign_host,
                     .region = region,
                     .room = slots * (24 + 8 + 8 * d + REGION_HEADER)};
    int64_t args[2] = {d, n};
    Outcome out = {0};
    cr_assert_eq(program_eval(program, &worker, args, out.value), E_None, "%s", worker.error.text);
    region_free(region);
    program_free(program);
    return out;
}

/* The last step is taken once more: its state is the function's result. */
Test(budget, a_schedule_takes_as_many_steps_as_the_best) {
    enum { MOST = 120, SLOTS = 14, D = 3 };
    static const int steps[] = {1, 2, 3, 4, 5, 6, 7, 10, 13, 21, 40, 77, MOST};
    int64_t *cost = optimum(MOST, SLOTS);
    for (size_t i = 0; i < sizeof steps / sizeof *steps; i++) {
        int n = steps[i];
        Outcome all = with_slots(steps_text, D, n, 0);
        for (int m = 1; m <= SLOTS; m++) {
            ticks = 0;
            Outcome few = with_slots(steps_text, D, n, m);
            int64_t best = cost[n * (SLOTS + 1) + m] + 1;
            cr_expect_eq(ticks, best, "%d steps, %d slots: %lld, not %lld", n, m, (long long)ticks,
                         (long long)best);
            expect_same(&all, &few, 4, "steps");
        }
    }
    free(cost);
}

Test(budget, a_thousand_steps_take_a_twentieth) {
    enum { D = 16000, STEPS = 1000 };
    Outcome all = outcome(steps_text, D, STEPS, "jit", 0, 4);
    ticks = 0;
    Outcome few = outcome(steps_text, D, STEPS, "jit", all.peak / 20, 4);
    expect_same(&all, &few, 4, "a thousand steps");
    cr_expect(few.peak <= all.peak / 20, "%lld of %lld", (long long)few.peak, (long long)all.peak);
    /* Of a step forwards, the same again in its adjoint, and the adjoint, which costs two: 4 each without a budget. */
    cr_expect(ticks + 2 * STEPS <= 4 * STEPS * 27 / 20, "%lld evaluations", (long long)ticks);
}

/* ---- chains ---- */

/* A chain of layers that do not fuse: each looks elsewhere in what the one before made. */
static char *chain_of(int layers, int every, const char *factor) {
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
            "1L) %% d))%s)))%s; ",
            i + 1, mark ? "checkpoint(" : "", i ? from : "x", i ? from : "x", factor, mark ? ")" : "");
    }
    buf_printf(&text, "sum(h%d))(x, 0.7); {g.$0, sum(g.$1.$0), lookup(g.$1.$0, 1L), g.$1.$1}", layers);
    cr_assert(!text.failed);
    return text.text;
}

static char *chain_text(int layers, int every) {
    return chain_of(layers, every, "");
}

enum { CHAIN_D = 20000, CHAIN_BYTES = 8 * CHAIN_D };

/* Layers of a segment, kept ones, and what each adjoint needs. */
Test(budget, a_chain_keeps_the_square_root) {
    static const int layers[] = {64, 256, 500};
    for (size_t i = 0; i < (SANITIZED ? 2 : sizeof layers / sizeof *layers); i++) {
        char *text = chain_text(layers[i], 0);
        Outcome all = outcome(text, CHAIN_D, 0, "jit", 0, 4);
        int64_t bound = (int64_t)(2.6 * sqrt(layers[i]) + 6) * CHAIN_BYTES + (192 << 10);
        Outcome few = outcome(text, CHAIN_D, 0, "jit", bound, 4);
        expect_same(&all, &few, 4, "a chain");
        cr_expect(few.peak <= bound, "%d layers: %lld, at most %lld; else %lld", layers[i],
                  (long long)few.peak, (long long)bound, (long long)all.peak);
        cr_expect(all.peak >= layers[i] * (int64_t)CHAIN_BYTES);
        free(text);
    }
}

/* What is computed again is at most one more pass forwards: every element of every layer asks a function for its factor. */
Test(budget, a_chain_is_computed_again_once) {
    static const int layers[] = {64, 256};
    enum { D = 2000 };
    for (size_t i = 0; i < (SANITIZED ? 1 : sizeof layers / sizeof *layers); i++) {
        char *text = chain_of(layers[i], 0, " * f64(@(pure: true) cfun[weld_test_tick, i64](i))");
        ticks = 0;
        Outcome all = outcome(text, D, 0, "jit", 0, 4);
        int64_t before = ticks, budget = (int64_t)(4 * sqrt(layers[i]) + 12) * 8 * D + (192 << 10);
        ticks = 0;
        Outcome few = outcome(text, D, 0, "jit", budget, 4);
        expect_same(&all, &few, 4, "a chain that is counted");
        cr_expect(ticks > before && ticks <= before + (int64_t)layers[i] * D,
                  "%d layers: %lld factors, without a budget %lld", layers[i], (long long)ticks,
                  (long long)before);
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

/* ---- promises ---- */

/* A run takes at most what was promised; returns what is promised. */
static PlanPrice expect_within(const char *text, int64_t a, int64_t b, int64_t budget) {
    weld_conf_t conf = conf_of("jit", budget);
    weld_module_t module = compiled(text, conf);
    weld_context_t context = weld_context_new(conf);
    Error error = {0};
    PlanPrice price;
    int64_t args[2] = {a, b};
    cr_assert(module_price(module, context, args, &price));
    cr_expect(!price.why, "%s: %s", price.why, text);
    weld_value_t value = module_run(module, context, args, NULL, &error);
    cr_assert(value, "%s", error.text);
    int64_t peak = context_peak(context);
    cr_expect(peak <= price.planned, "%lld, planned %lld: %s", (long long)peak, (long long)price.planned,
              text);
    cr_expect(!budget || price.planned <= budget);
    weld_value_free(value);
    weld_context_free(context);
    weld_module_free(module);
    weld_conf_free(conf);
    return price;
}

/* And that is little more than what it must hold. */
static void expect_promise(const char *text, int64_t a, int64_t b, int64_t budget) {
    PlanPrice price = expect_within(text, a, b, budget);
    cr_expect(price.planned <= price.live * 11 / 10, "planned %lld, at least %lld: %s",
              (long long)price.planned, (long long)price.live, text);
}

Test(budget, a_run_takes_what_was_planned) {
    char *chain = chain_text(20, 0);
    expect_promise(chain, 1 << 20, 0, 0);
    expect_promise(chain, 1 << 20, 0, 120 << 20);
    expect_promise(steps_text, 40000, 100, 0);
    expect_promise(steps_text, 40000, 100, 8 << 20);
    expect_promise(
        "|d: i64, n: i64| let a = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, "
        "f64(e)))); let s = sum(a); let c = map(a, |x| x - s); let t = sum(c); {t, sum(map(c, |x| x * t))}",
        1 << 20, 0, 0);
    free(chain);
}

/* Only a sum of the gradient is wanted: what goes back is no let's value by itself, but a part of one. */
Test(budget, a_part_of_a_gradient_takes_what_was_planned) {
    static const char text[] =
        "|n: i64, d: i64| let w = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, 0.5)));"
        " sum(grad(|w| let r = iterate({map(w, |e| 0.1), 0L}, |s|"
        " {{map(zip(s.$0, w), |e| sin(e.$0 * e.$1)), s.$1 + 1L}, s.$1 + 1L < n}); sum(r.$0))(w).$1)";
    expect_promise(text, 500, 20000, 6500000);
}

/* A state of a few numbers lies among others that go; what is kept of them must not keep those. */
Test(budget, small_states_take_what_was_planned) {
    expect_within(steps_text, 100, 1000, 400 << 10);
    expect_within(steps_text, 500, 1000, 600 << 10);
}

/* ---- any program: what is cheapest for its bytes is computed twice ---- */

/* Two vectors that are needed before and behind a large one; of `dear` each element asks a function. What is made of each looks
 * elsewhere, so that nothing fuses. */
static const char graph_text[] =
    "|d: i64, n: i64|"
    " let x = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, 0.001 * f64(e))));"
    " let cheap = map(x, |e| e * 3.0 + 1.0);"
    " let dear = result(for(x, appender[f64], |b, i, e| merge(b, sin(e) * f64(@(pure: true) "
    "cfun[weld_test_tick, i64](i)))));"
    " let first = result(for(x, merger[f64,+], |b, i, e| merge(b, lookup(cheap, (i * 7L) % d) * lookup(dear, "
    "(i "
    "* 3L) % d))));"
    " let large = result(for(rangeiter(0L, n * d, 1L), appender[f64], |b, i, e| merge(b, f64(e) * first)));"
    " let second = result(for(x, merger[f64,+], |b, i, e| merge(b, lookup(large, (i * 5L) % d))));"
    " let third = result(for(x, merger[f64,+], |b, i, e| merge(b, lookup(cheap, (i * 11L) % d) * "
    "lookup(dear, (i * 13L) % d) + second)));"
    " {first, second, third, f64(len(x))}";

/* Of a run whose vectors have so many bytes at once. */
static int64_t budget_for(int64_t bytes) {
    return bytes + budget_allowance(bytes) + (112 << 10);
}

/* Of 11 vectors at once, x and `large` of eight must be there. */
Test(budget, the_cheapest_for_its_bytes_is_computed_twice) {
    enum { D = 100000, TIMES = 8, BYTES = 8 * D };
    static const char *const engines[] = {"jit", "eval", "auto"};
    for (size_t k = 0; k < sizeof engines / sizeof *engines; k++) {
        ticks = 0;
        Outcome all = outcome(graph_text, D, TIMES, engines[k], 0, 4);
        int64_t once = ticks;
        ticks = 0;
        Outcome cheap = outcome(graph_text, D, TIMES, engines[k], budget_for(10 * BYTES), 4);
        cr_expect_eq(ticks, once, "%s: %lld, not %lld", engines[k], (long long)ticks, (long long)once);
        ticks = 0;
        Outcome both = outcome(graph_text, D, TIMES, engines[k], budget_for(9 * BYTES), 4);
        cr_expect_eq(ticks, 2 * once, "%s: %lld, not twice %lld", engines[k], (long long)ticks,
                     (long long)once);
        expect_same(&all, &cheap, 4, "one computed twice");
        expect_same(&all, &both, 4, "two computed twice");
        if (k) continue;
        cr_expect(all.peak >= 11 * BYTES, "%lld", (long long)all.peak);
        cr_expect(cheap.peak < 10 * BYTES + BYTES / 2, "%lld", (long long)cheap.peak);
        cr_expect(both.peak < 9 * BYTES + BYTES / 2, "%lld", (long long)both.peak);
    }
}

/* The same in each step of an iterate. */
Test(budget, a_step_computes_twice) {
    enum { D = 100000, BYTES = 8 * D };
    Buf text = {0};
    buf_printf(
        &text,
        "|d: i64, n: i64|"
        " let x = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, 0.001 * f64(e))));"
        " let end = iterate({x, 0.0, 0L}, |s|"
        "   let cheap = map(s.$0, |e| e * 3.0 + 1.0);"
        "   let first = result(for(x, merger[f64,+], |b, i, e| merge(b, lookup(cheap, (i * 7L) %% d))));"
        "   let large = result(for(rangeiter(0L, 8L * d, 1L), appender[f64], |b, i, e| merge(b, f64(e) * "
        "first)));"
        "   let second = result(for(x, merger[f64,+], |b, i, e| merge(b, lookup(large, (i * 5L) %% d))));"
        "   let next = result(for(s.$0, appender[f64], |b, i, e| merge(b, lookup(cheap, (i * 11L) %% d) + "
        "1e-9 * second)));"
        "   {{next, second, s.$2 + 1L}, s.$2 + 1L < n});"
        " {end.$1, lookup(end.$0, 5L), sum(end.$0), 0.0}");
    Outcome all = outcome(text.text, D, 5, "jit", 0, 4);
    int64_t least = all.peak - BYTES / 2; /* spares may take a sixteenth more */
    Outcome few = outcome(text.text, D, 5, "jit", budget_for(least), 4);
    expect_same(&all, &few, 4, "steps");
    cr_expect(few.peak <= least + budget_allowance(least) && few.peak < all.peak, "%lld of %lld",
              (long long)few.peak, (long long)all.peak);
    buf_release(&text);
}

/* Layers of unequal widths, one of which a later one looks at again. */
Test(budget, a_net_of_unequal_layers_fits) {
    static const char text[] =
        "|d: i64, n: i64|"
        " let x = result(for(rangeiter(0L, d, 1L), appender[f64], |b, i, e| merge(b, 0.00001 * f64(e))));"
        " let g = grad(|x, w|"
        "   let a = result(for(rangeiter(0L, 4L * d, 1L), appender[f64], |b, i, e| merge(b, sin(lookup(x, e "
        "% d) * w))));"
        "   let y = result(for(x, appender[f64], |b, i, e| merge(b, exp(-lookup(a, (i * 4L + 3L) % len(a)) * "
        "e))));"
        "   let c = result(for(rangeiter(0L, 2L * d, 1L), appender[f64], |b, i, e| merge(b, lookup(y, (e * "
        "7L) % d) + "
        "lookup(a, e))));"
        "   let m = result(for(c, appender[f64], |b, i, e| merge(b, e * lookup(c, (i + 5L) % len(c)))));"
        "   sum(map(m, |e| tanh(e))) + sum(map(y, |e| e * e)))(x, 0.7);"
        " {g.$0, sum(g.$1.$0), lookup(g.$1.$0, 1L), g.$1.$1}";
    enum { D = 50000 };
    Outcome all = outcome(text, D, 0, "jit", 0, 4);
    for (int part = 9; part >= 8; part--) {
        int64_t budget = budget_for(all.peak * part / 10);
        Outcome few = outcome(text, D, 0, "jit", budget, 4);
        expect_same(&all, &few, 4, "a net");
        cr_expect(few.peak <= budget, "%lld of %lld", (long long)few.peak, (long long)budget);
    }
}

/* Where it cannot be, the least is named, and can be. */
static void expect_least(const char *text, int64_t a, int64_t b) {
    weld_conf_t conf = conf_of("jit", 1 << 20);
    weld_module_t module = compiled(text, conf);
    weld_context_t context = weld_context_new(conf);
    Error error = {0};
    int64_t args[2] = {a, b};
    cr_assert_null(module_run(module, context, args, NULL, &error));
    cr_expect_eq(error.code, E_OutOfMemory);
    const char *least = strstr(error.text, "at least ");
    cr_assert(least, "%s", error.text);
    weld_context_free(context);
    weld_module_free(module);
    weld_conf_free(conf);
    conf = conf_of("jit", atoll(least + strlen("at least ")));
    module = compiled(text, conf);
    context = weld_context_new(conf);
    Error none = {0};
    weld_value_t value = module_run(module, context, args, NULL, &none);
    cr_expect(value, "%s", none.text);
    weld_value_free(value);
    weld_context_free(context);
    weld_module_free(module);
    weld_conf_free(conf);
}

Test(budget, one_that_cannot_be_met_names_the_least) {
    expect_least(steps_text, 1 << 18, 100);
    expect_least(graph_text, 1 << 18, 8);
}

/* ---- lazy values ---- */

typedef struct Doubles {
    double *data;
    int64_t length;
} Doubles;

static weld_lazy_t lazy_apply(const char *code, weld_lazy_t *arguments, int64_t count) {
    weld_error_t error = weld_error_new();
    weld_lazy_t lazy = weld_lazy_new("mine.step", code, arguments, count, error);
    cr_assert(lazy, "%s", weld_error_message(error));
    weld_error_free(error);
    return lazy;
}

/* The loss, and its gradient by the first argument, which is `gradient`. Returns the peak; budget 0: none. */
static int64_t evaluate(const weld_lazy_t *both, int64_t budget, double *loss, double *gradient, Error *why) {
    weld_conf_t conf = conf_of("jit", budget);
    weld_context_t context = weld_context_new(conf);
    weld_error_t error = weld_error_new();
    weld_value_t values[2];
    int64_t peak = -1;
    if (weld_lazy_evaluate(context, both, 2, values, error)) {
        const Doubles *by = weld_value_data(values[1]);
        peak = context_peak(context);
        *loss = *(const double *)weld_value_data(values[0]);
        memcpy(gradient, by->data, sizeof(double) * (size_t)by->length);
        for (int i = 0; i < 2; i++) weld_value_free(values[i]);
    } else {
        error_set(why, E_OutOfMemory, (Span){0, 0, 0}, "%s", weld_error_message(error));
    }
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
    return peak;
}

/* Half of what it takes is met with the same result; of too little the least is named, and met. */
static void expect_met(const weld_lazy_t *both, int64_t length, const char *what) {
    double loss[2], *gradient = calloc((size_t)length * 2, sizeof *gradient);
    Error error = {0};
    cr_assert(gradient);
    int64_t all = evaluate(both, 0, &loss[0], gradient, &error), budgets[2] = {all / 2, 0};
    cr_assert(all > 0, "%s: %s", what, error.text);
    cr_expect_eq(evaluate(both, 200 << 10, &loss[1], gradient + length, &error), -1, "%s", what);
    const char *least = strstr(error.text, "at least ");
    cr_assert(least, "%s: %s", what, error.text);
    budgets[1] = atoll(least + strlen("at least "));
    for (int k = 0; k < 2; k++) {
        Error none = {0};
        int64_t peak = evaluate(both, budgets[k], &loss[1], gradient + length, &none);
        cr_expect(peak > 0 && peak <= budgets[k], "%s: %lld of %lld: %s", what, (long long)peak,
                  (long long)budgets[k], none.text);
        cr_expect(fabs(loss[0] - loss[1]) <= 1e-12 * (1 + fabs(loss[0])), "%s", what);
        for (int64_t i = 0; i < length; i++)
            cr_assert(fabs(gradient[i] - gradient[length + i]) <= 1e-12 * (1 + fabs(gradient[i])), "%s",
                      what);
    }
    free(gradient);
}

/* A gradient is merged before a budget is known: it keeps less where there is one. */
Test(budget, gradients_of_lazy_values) {
    enum { D = 20000, LAYERS = 40 };
    double *numbers = calloc(D, sizeof *numbers);
    int64_t steps = 200;
    for (int i = 0; i < D; i++) numbers[i] = 0.5 + 1e-5 * i;
    Doubles vector = {numbers, D};
    weld_lazy_t x = weld_lazy_data("vec[f64]", &vector, NULL, NULL, NULL);
    weld_lazy_t n = weld_lazy_data("i64", &steps, NULL, NULL, NULL), arguments[2] = {x, n}, both[2], h = x;
    weld_error_t error = weld_error_new();
    both[0] = lazy_apply(
        "|w, n| let r = iterate({map(w, |e| 0.1), 0L}, |s| {{map(zip(s.$0, w), |e| sin(e.$0 * e.$1)),"
        " s.$1 + 1L}, s.$1 + 1L < n}); sum(r.$0)",
        arguments, 2);
    cr_assert(weld_lazy_grad(both[0], &x, 1, &both[1], error), "%s", weld_error_message(error));
    expect_met(both, D, "a recurrence");
    for (int i = 0; i < 2; i++) weld_lazy_free(both[i]);
    for (int i = 0; i < LAYERS; i++) {
        weld_lazy_t next = lazy_apply(
            "|h| result(for(h, appender[f64], |b, i, e| merge(b, sin(e * 0.7 + lookup(h, (i * 7L + "
            "1L) % len(h))))))",
            &h, 1);
        if (h != x) weld_lazy_free(h);
        h = next;
    }
    both[0] = lazy_apply("|h| sum(h)", &h, 1);
    cr_assert(weld_lazy_grad(both[0], &x, 1, &both[1], error), "%s", weld_error_message(error));
    expect_met(both, D, "a chain");
    for (int i = 0; i < 2; i++) weld_lazy_free(both[i]);
    weld_lazy_free(h);
    weld_lazy_free(x);
    weld_lazy_free(n);
    weld_error_free(error);
    free(numbers);
}
