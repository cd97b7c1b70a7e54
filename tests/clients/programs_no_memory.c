/* Programs over all layers without memory: of each, allocation number n fails, for n = 0, 1, 2, .. until it succeeds, once
 * or with all that follow. Each time there is an error that says so, the context holds nothing and runs a small program
 * afterwards, data are released once, and no block is lost. Then the context's limit is what refuses, with compiled code
 * too (LLVM ends the process when malloc fails, so there malloc does not).
 *
 * Long programs are tried at every allocation up to DENSE, then at every 7th; all of them with WELD_ALL in the environment.
 * malloc is this program's own, so it does not go together with sanitizers. */
#define _GNU_SOURCE
#include "refuse.h"
#include "weld.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { DENSE = 150, STRIDE = 7, LENGTH = 64 };

/* Each takes one vec[f64] of LENGTH numbers; `needs` is an adapter. */
static const struct {
    const char *needs, *code;
} programs[] = {
    {NULL, "|v| map(v, |x| x * 2.0 + 1.0)"},
    {NULL, "|v| result(for(v, merger[f64, +], |b, i, x| merge(b, x)))"},
    {NULL, "|v| filter(v, |x| x > 3.0)"},
    {NULL, "|v| sort(v, |a, b| compare(b, a))"},
    {NULL, "|v| slice(sort(v, |a, b| compare(a, b)), 0l, 5l)"},
    {NULL, "|v| tovec(result(for(v, dictmerger[i64, f64, +], |b, i, x| merge(b, {i % 5l, x}))))"},
    {NULL, "|v| tovec(result(for(v, groupmerger[i64, f64], |b, i, x| merge(b, {i % 5l, x}))))"},
    {NULL, "|v| lookup(result(for(v, dictmerger[i64, f64, max], |b, i, x| merge(b, {i % 3l, x}))), 1l)"},
    {NULL, "|v| result(for(v, vecmerger[f64, +](map(v, |x| 0.0)), |b, i, x| merge(b, {i % 8l, x})))"},
    {NULL, "|v| serialize({v, \"text\"})"},
    {NULL, "|v: vec[f64]| deserialize[vec[f64]](serialize(v))"},
    {NULL, "|v| map(v, |x| [x, x + 1.0])"},
    {NULL, "|v| flatten(map(v, |x| [x, x]))"},
    {NULL, "|v| map(zip(v, v), |p| {p.$0, exp(p.$1)})"},
    {NULL, "|v| iterate({v, 0l}, |s| {{map(s.$0, |x| x / 2.0), s.$1 + 1l}, s.$1 < 4l})"},
    {NULL, "|v: vec[f64]| {len(v), lookup(v, 3l), \"ab\", [v, v]}"},
    {NULL, "|v| tovec(result(for(v, dictmerger[vec[i8], i64, +], |b, i, x| merge(b, {if(x > 2.0, \"hi\", "
           "\"lo\"), 1l}))))"},
    {NULL, "|v| let d = result(for(v, groupmerger[i64, i64], |b, i, x| merge(b, {i % 4l, i})));"
           "map(v, |x| len(lookup(d, i64(x) % 4l)))"},
    {"cblas", "|v: vec[f64]| cblas.ddot(v, v)"},
    {"cblas", "|v: vec[f64]| cblas.dscal(2.0, v)"},
    {"cblas", "|v: vec[f64]| cblas.daxpy(2.0, v, v)"},
    {"cblas", "|v: vec[f64]| cblas.dnrm2(map(v, |x| x + 1.0))"},
    {"gsl", "|v: vec[f64]| gsl.mean(v)"},
    {"gsl", "|v: vec[f64]| gsl.variance(v)"},
    {"gsl", "|v: vec[f64]| map(v, |x| gsl.sf_bessel_J0(x))"},
    {"gsl", "|v: vec[f64]| gsl.mean(cblas.dscal(2.0, v))"},
    {"lapack", "|v: vec[f64]| lapack.dsyev(false, 8l, v)"},
    {"lapack", "|v: vec[f64]| lapack.ddet(8l, v)"},
    {"lapack", "|v: vec[f64]| lapack.dinv(8l, v)"},
    {"fftw", "|v: vec[f64]| fftw.r2c(v)"},
    {"fftw", "|v: vec[f64]| fftw.dct2(v)"},
    {"fftw", "|v: vec[f64]| map(fftw.r2hc(v), |x| x * x)"},
};
enum { PROGRAMS = sizeof programs / sizeof *programs };

static double numbers[LENGTH];
static long refused; /* allocations */
static weld_context_t context;
static weld_error_t error;

static void count_release(void *user) {
    ++*(int *)user;
}

static void expect_usable(void) {
    weld_lazy_t six = weld_lazy_new(NULL, "1l + 5l", NULL, 0, error);
    weld_value_t value = NULL;
    CHECK(weld_lazy_evaluate(context, &six, 1, &value, error));
    weld_value_free(value);
    weld_lazy_free(six);
}

/* With allocation number n failing; negative: none. True: it succeeded, and that many did not happen. */
static int try(void *code, long n) {
    const struct {
        double *data;
        int64_t length;
    } vector = {numbers, LENGTH};
    int released = 0;
    __atomic_store_n(&left, n, __ATOMIC_SEQ_CST);
    weld_value_t value = NULL;
    weld_lazy_t v = weld_lazy_data("vec[f64]", &vector, count_release, &released, error);
    weld_lazy_t root = v ? weld_lazy_new("mine.step", code, &v, 1, error) : NULL;
    int computed = root && weld_lazy_evaluate(context, &root, 1, &value, error);
    int code_of = (int)weld_error_code(error), done = __atomic_load_n(&left, __ATOMIC_SEQ_CST) > 0 || n < 0;
    __atomic_store_n(&left, -1, __ATOMIC_SEQ_CST);
    CHECK(computed ? code_of == WELD_SUCCESS : code_of == WELD_OUT_OF_MEMORY);
    int made = v != NULL;
    CHECK(released == 0);
    weld_value_free(value);
    weld_lazy_free(root);
    weld_lazy_free(v);
    CHECK(released == made);
    CHECK(weld_context_memory_usage(context) == 0);
    return done && computed;
}

static int try_and_go_on(void *code, long n) {
    int done = try(code, n);
    expect_usable();
    return done;
}

static void refuse_allocations(int p, int all) {
    static int texts;
    char code[512];
    int done = 0;
    long n = 0;
    for (; !done && !bad; n += all || n < DENSE ? 1 : STRIDE) {
        /* A text of its own, so that nothing of it is cached at first. */
        snprintf(code, sizeof code, "%s # %d", programs[p].code, texts++);
        done = refuse(try, code, n);
        if (n % 16 == 0) expect_usable();
        if (n > 100000) bad = printf("it never succeeds\n");
    }
    expect_usable();
    refused += n;
    if (bad) printf("program %d: %s\n", p, code);
}

int main(void) {
    int tried = 0, all = getenv("WELD_ALL") != NULL;
    for (int i = 0; i < LENGTH; i++) numbers[i] = (i * 37 % 11) + (i % 9 == 0 ? 8 : 0.5);
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval"); /* LLVM ends the process when there is no memory */
    weld_conf_set(conf, "weld.threads", "1");
    context = weld_context_new(conf);
    error = weld_error_new();
    for (int p = 0; p < PROGRAMS && !bad; p++) {
        if (programs[p].needs && !weld_adapter_find(programs[p].needs, error)) continue; /* not installed */
        tried++;
        for (once = 0; once < 2; once++) refuse_allocations(p, all);
        refuse_bytes(&context, "eval", "1", try_and_go_on, (void *)programs[p].code);
        refuse_bytes(&context, "jit", "1", try_and_go_on, (void *)programs[p].code);
        refuse_bytes(&context, "jit", "2", try_and_go_on, (void *)programs[p].code);
        if (bad) printf("program %d: %s\n", p, programs[p].code);
    }
    weld_error_free(error);
    weld_context_free(context);
    weld_conf_free(conf);
    printf("%d of %d programs, %ld allocations, %s\n", tried, (int)PROGRAMS, refused,
           bad ? "at fault" : "all well");
    return bad != 0;
}
