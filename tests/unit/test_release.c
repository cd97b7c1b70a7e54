/* test_release.c: what a run holds at once: what is needed no longer is released, or written again in place. */
#include "../../runtime/rt.h"

#include <criterion/criterion.h>
#include <stdlib.h>

enum { LENGTH = 100000, VECTOR = 8 * LENGTH, SLACK = 64 << 10 };

#define RANGE "result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, e| merge(b, f64(e))))"
#define SUM(v) "result(for(" v ", merger[f64, +], |b, i, x| merge(b, x)))"

/* The most bytes that a run takes, of a program of n, the length, and k. */
static int64_t peak_of(const char *text, int64_t k, const char *threads) {
    Error error = {0};
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.cache", "off");
    weld_conf_set(conf, "weld.threads", threads);
    weld_module_t module = module_compile("release", text, strlen(text), NULL, conf, &error, NULL);
    if (!module && error.code == E_Library) cr_skip_test("no code generator");
    cr_assert(module, "%s", error.text);
    weld_context_t context = weld_context_new(conf);
    int64_t args[2] = {LENGTH, k};
    weld_value_t value = module_run(module, context, args, NULL, &error);
    cr_assert(value, "%s", error.text);
    int64_t peak = context_peak(context);
    weld_value_free(value);
    weld_context_free(context);
    weld_module_free(module);
    weld_conf_free(conf);
    return peak;
}

static void expect_vectors(const char *text, int64_t k, int vectors) {
    for (int threads = 1; threads <= 3; threads += 2) {
        int64_t peak = peak_of(text, k, threads == 1 ? "1" : "3");
        cr_expect(peak >= (int64_t)vectors * VECTOR && peak < (int64_t)vectors * VECTOR + SLACK,
                  "%lld bytes for %d vectors of %d, %d threads: %s", (long long)peak, vectors, VECTOR,
                  threads, text);
    }
}

/* All loops of a chain that cannot become one write in one place; what is no longer needed is no part of the result. */
Test(release, a_chain_takes_one_vector) {
    expect_vectors("|n: i64, k: i64| let a = " RANGE
                   "; let s = " SUM("a") "; let b = map(a, |x| x - s); let t = " SUM(
                       "b") ";"
                            "let c = map(b, |x| x * t); let u = " SUM("c") "; map(c, |x| x + u)",
                   0, 1);
}

/* What reads elsewhere in the vector needs a second one, and then the first is free for the third. */
Test(release, reversals_take_two) {
    expect_vectors(
        "|n: i64, k: i64| let a = " RANGE ";"
        "let b = result(for(a, appender[f64], |m, i, x| merge(m, lookup(a, n - 1L - i))));"
        "let c = result(for(b, appender[f64], |m, i, x| merge(m, lookup(b, n - 1L - i))));"
        "let d = result(for(c, appender[f64], |m, i, x| merge(m, lookup(c, n - 1L - i)))); " SUM("d"),
        0, 2);
}

/* The state, and one vector that becomes the next: any number of steps. */
Test(release, steps_take_no_more) {
    static const char text[] = "|n: i64, k: i64| let start = " RANGE ";"
                               "iterate({start, 0L}, |s| let a = map(s.$0, |x| x * 0.5); let t = " SUM(
                                   "a") ";"
                                        "let c = map(a, |x| x - t); {{c, s.$1 + 1L}, s.$1 + 1L < k}).$0";
    expect_vectors(text, 1, 2);
    int64_t few = peak_of(text, 3, "1"), many = peak_of(text, 40, "1");
    cr_expect_eq(few, many, "%lld, %lld", (long long)few, (long long)many);
    cr_expect(few < 3 * VECTOR + SLACK, "%lld", (long long)few);
}

/* Of two vectors that a loop makes one is not needed: it goes at once, not at the end of the run. */
Test(release, what_nobody_needs_goes) {
    static const char text[] =
        "|n: i64, k: i64| let start = " RANGE "; iterate({start, 0L}, |s|"
        "let a = result(for(rangeiter(0L, 10L, 1L), {appender[f64], appender[f64]}, |o, i, r| "
        "for(slice(s.$0, r * (n / 10L), n / 10L), o, |q, j, e| {merge(q.$0, e * 0.5), merge(q.$1, e)}))).$0;"
        "let t = " SUM("a") "; {{map(a, |x| x - t), s.$1 + 1L}, s.$1 + 1L < k}).$0";
    int64_t few = peak_of(text, 3, "1"), many = peak_of(text, 40, "1");
    cr_expect(many < few + SLACK, "%lld, %lld", (long long)few, (long long)many);
}

Test(release, a_fused_chain_takes_its_result) {
    expect_vectors("|n: i64, k: i64| map(map(map(" RANGE ", |x| x * 2.0), |x| x + 1.0), |x| sqrt(x))", 0, 1);
}

/* A vecmerger takes over the zeros that it begins with, and its result is free behind its reader. */
Test(release, a_vecmerger_takes_its_vector) {
#define SCATTER(v) \
    "result(for(" v ", vecmerger[f64, +](map(" v ", |x| 0.0)), |m, i, x| merge(m, {(i + 7L) % n, x})))"
    expect_vectors("|n: i64, k: i64| let a = " RANGE
                   "; let b = " SCATTER("a") "; let c = " SCATTER("b") "; let d = " SCATTER("c") ";" SUM("d"),
                   0, 2);
}
