/* test_compile.c: what it takes to compile large programs: two seconds and 500 MB at most.
 *
 * Each test is a process of its own, whose peak of memory is that of its program. Time is that of the processor, so
 * that other tests do not count.
 */
#include "../../runtime/rt.h"
#include "../../weldc/weldc.h"

#include <criterion/criterion.h>
#include <criterion/parameterized.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <time.h>

/* The bar is 2 s, which `weldc-bench --only large` reports; a slow or busy machine may take longer. What is not linear takes far
 * more than this. */
#if SANITIZED
enum { MOST_SECONDS = 40, LARGER = 10 };
#else
enum { MOST_SECONDS = 6, LARGER = 1 };
#endif

enum { MOST_BUILDERS = 32 };

static double cpu_seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec / 1e9;
}

/* Compiles it, and takes the answer of an empty vector, which has a field or element for each loop. */
static void compile_within_bounds(const char *what, int count, const Buf *text) {
    Error error = {0};
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.cache", "off");
    double start = cpu_seconds();
    weld_module_t module = module_compile(what, text->text, text->length, NULL, conf, &error, NULL);
    double took = cpu_seconds() - start;
    if (!module && error.code == E_Library) cr_skip_test("no code generator");
    cr_assert(module, "%d %s: %s: %s", count, what, error_name(error.code), error.text);
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    cr_expect(took < MOST_SECONDS, "%d %s take %.2f s", count, what, took);
    cr_expect(usage.ru_maxrss < 500L * 1024 * LARGER, "%d %s take %ld KB", count, what, usage.ru_maxrss);
    if (getenv("VERBOSE")) fprintf(stderr, "%5d %-24s %.2f s %ld KB\n", count, what, took, usage.ru_maxrss);
    Vec empty = {NULL, 0};
    weld_context_t context = weld_context_new(NULL);
    weld_value_t value = module_run(module, context, &empty, NULL, &error);
    cr_assert(value, "%d %s: %s: %s", count, what, error_name(error.code), error.text);
    weld_value_free(value);
    weld_context_free(context);
    weld_module_free(module);
    weld_conf_free(conf);
}

typedef struct Siblings {
    const char *name, *loop; /* with one %d, the loop's number */
} Siblings;

/* Over one vector, over slices of it, over what another loop made. */
static const Siblings siblings[] = {
    {"sums", "result(for(x, merger[i64,+], |b, i, e| merge(b, e * %dL)))"},
    {"filters", "len(result(for(x, appender[i64], |b, i, e| if(e > %dL, merge(b, e), b))))"},
    {"tables", "len(tovec(result(for(x, dictmerger[i64,i64,+], |b, i, e| merge(b, {e & %dL, 1L})))))"},
    {"loops over slices", "result(for(slice(x, %dL, 9L), merger[i64,+], |b, i, e| merge(b, e * e)))"},
    {"loops over maps",
     "result(for(map(slice(x, %dL, 9L), |e| e * e), merger[i64,max], |b, i, e| merge(b, e)))"},
    {"floats", "i64(result(for(x, merger[f64,+], |b, i, e| merge(b, exp(f64(e) / %d.5)))))"},
};

static void check_siblings(const Siblings *kind, int count) {
    Buf text = {0};
    buf_printf(&text, "|x: vec[i64]|\n");
    for (int i = 0; i < count; i++) {
        buf_printf(&text, "let a%d = ", i);
        buf_printf(&text, kind->loop, i);
        buf_printf(&text, ";\n");
    }
    buf_printf(&text, "[");
    for (int i = 0; i < count; i++) buf_printf(&text, "%sa%d", i ? ", " : "", i);
    buf_printf(&text, "]");
    compile_within_bounds(kind->name, count, &text);
    buf_release(&text);
}

ParameterizedTestParameters(compile, sibling_loops) {
    enum { KINDS = sizeof siblings / sizeof *siblings };
    int *kinds = cr_malloc(KINDS * sizeof *kinds);
    for (int i = 0; i < KINDS; i++) kinds[i] = i;
    return cr_make_param_array(int, kinds, KINDS);
}

/* The time must not jump where a program becomes too large for a level. A sanitizer's times say nothing of that. */
ParameterizedTest(int *kind, compile, sibling_loops, .timeout = 600) {
    static const int counts[] = {100, 1000, 250, 400, 550, 700, 850, 2000};
    for (size_t i = 0; i < (SANITIZED ? 2 : sizeof counts / sizeof *counts); i++)
        check_siblings(&siblings[*kind], counts[i]);
}

Test(compile, a_chain_of_maps, .timeout = 600) {
    enum { COUNT = 10000 };
    Buf text = {0};
    buf_printf(&text, "|x0: vec[i64]|\n");
    for (int i = 0; i < COUNT; i++) buf_printf(&text, "let x%d = map(x%d, |e| e + %dL);\n", i + 1, i, i % 7);
    buf_printf(&text, "x%d", COUNT);
    compile_within_bounds("maps", COUNT, &text);
    buf_release(&text);
}

static int builder_count(const Type *type) {
    int count = 0;
    if (type->kind != TY_struct) return 1;
    for (int i = 0; i < type->count; i++) count += builder_count(type->args[i]);
    return count;
}

static bool most_builders(Walk *walk, Node **slot) {
    int *most = walk->data;
    if ((*slot)->kind != N_For) return true;
    int count = builder_count((*slot)->type);
    if (count > *most) *most = count;
    return true;
}

/* Loops that were fused are fused with others later on; the bound holds for all of them together. */
Test(compile, fused_loops_have_a_bound) {
    Buf text = {0};
    buf_printf(&text, "|x: vec[i64]| {0L");
    for (int i = 0; i < 200; i++)
        buf_printf(&text, ", result(for(x, merger[i64,+], |b, i, e| merge(b, e * %dL)))", i + 1);
    buf_printf(&text, "}");
    Program *program = program_new("siblings", text.text, text.length);
    cr_assert(program && program_read(program) && program_infer(program, NULL));
    PassOptions options = {.level = 2, .verify = true};
    cr_assert(program_optimize(program, &options), "%s", program->error.text);
    int most = 0;
    Walk walk = {.program = program, .enter = most_builders, .data = &most};
    node_walk(&walk, &program->root);
    cr_expect(most == MOST_BUILDERS, "%d builders in a loop", most);
    program_free(program);
    buf_release(&text);
}
