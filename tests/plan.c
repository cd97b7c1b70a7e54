/* plan.c: the graph of fragments: as text, and the promises that weldc.h makes about it.
 *
 * tests/golden/plan/plan.weld holds programs; plan.expected their plans after the default passes; picture.weld those whose plans
 * are drawn.
 */
#include <time.h>

#include "golden.h"
#include "../weldc/weldc.h"

static Program *optimized(const char *name, const char *text, size_t length, int level) {
    PassOptions options = {.level = level, .verify = true};
    Program *program = program_new(name, text, length);
    bool done = program && program_read(program) && program_infer(program, NULL) &&
                program_optimize(program, &options);
    Buf message = {0};
    if (program && !done) program_render_error(program, &program->error, &message);
    cr_assert(done, "%s", message.text ? message.text : "no memory");
    return program;
}

/* What a plan says must agree with itself. */
static void check_plan(const Plan *plan, int *number) {
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        cr_expect_eq(fragment->number, (*number)++);
        for (int k = 0; k < fragment->ninputs; k++) {
            const Buffer *input = fragment->inputs[k];
            cr_expect(!input->maker || input->maker->number < fragment->number);
            cr_expect(input->plan != plan || input->last >= fragment->number);
            for (int j = 0; j < k; j++) cr_expect_neq(input, fragment->inputs[j]);
        }
        for (int k = 0; k < fragment->noutputs; k++) {
            cr_expect_eq(fragment->outputs[k]->maker, fragment);
            cr_expect_eq(fragment->outputs[k]->plan, plan);
        }
        cr_expect(!fragment->parallel || !fragment->why);
        for (int k = 0; k < fragment->ninner; k++) {
            cr_expect_eq(fragment->inner[k]->holder, fragment);
            check_plan(fragment->inner[k], number);
        }
    }
    for (int i = 0; i < plan->nresults; i++)
        cr_expect(plan->results[i]->plan != plan || plan->results[i]->last == LIVES_ON);
}

static void print_plan(void *data, const char *title, const char *text, size_t length, Buf *out) {
    (void)data;
    for (int level = 0; level <= 2; level += 2) {
        Program *program = optimized(title, text, length, level);
        const Plan *plan = plan_make(program);
        int number = 0;
        cr_assert(plan);
        check_plan(plan, &number);
        if (level) plan_print(out, program, plan);
        program_free(program);
    }
}

static void draw_plan(void *data, const char *title, const char *text, size_t length, Buf *out) {
    (void)data;
    Program *program = optimized(title, text, length, 2);
    const Plan *plan = plan_make(program);
    cr_assert(plan && plan_draw(out, program, plan));
    program_free(program);
}

Test(plan, golden_pictures) {
    golden_check("plan", "picture", draw_plan, NULL);
}

Test(plan, golden) {
    golden_check("plan", "plan", print_plan, NULL);
}

static int count_of(const char *text) {
    Program *program = optimized("count", text, strlen(text), 2);
    const Plan *plan = plan_make(program);
    cr_assert(plan);
    int count = plan_count(plan);
    program_free(program);
    return count;
}

Test(plan, counts_what_walks_data) {
    cr_expect_eq(count_of("|x: i64| x + 1L"), 0);
    cr_expect_eq(count_of("|v: vec[i64]| map(map(v, |x| x + 1L), |x| x * 2L)"), 1);
    cr_expect_eq(count_of("|v: vec[i64]| tovec(result(for(v, dictmerger[i64, i64, +], |b, i, x| "
                          "merge(b, {x, 1L}))))"),
                 2);
    /* One in an iterate, one in an arm: neither the iterate nor the if counts. */
    cr_expect_eq(count_of("|v: vec[i64], n: i64| iterate(n, |s| {s + result(for(v, merger[i64, +], |b, i, x| "
                          "merge(b, x * s))), s < 9L})"),
                 1);
    cr_expect_eq(
        count_of(
            "|v: vec[i64], n: i64| if(n > 1L, result(for(v, merger[i64, +], |b, i, x| merge(b, x))), n)"),
        1);
}

/* Ten thousand loops that each read what the one before made. */
Test(plan, is_linear) {
    enum { LOOPS = 10000 };
    Buf text = {0};
    buf_printf(&text, "|v0: vec[i64]|\n");
    for (int i = 0; i < LOOPS; i++)
        buf_printf(&text, "let v%d = result(for(v%d, appender, |b, i, x| merge(b, x + lookup(v%d, i))));\n",
                   i + 1, i, i);
    buf_printf(&text, "v%d", LOOPS);
    PassOptions options = {.level = 0};
    Program *program = program_new("chain", text.text, text.length);
    cr_assert(program && program_read(program) && program_infer(program, NULL) &&
              program_optimize(program, &options));
    Buf out = {0};
    clock_t start = clock();
    const Plan *plan = plan_make(program);
    cr_assert(plan);
    plan_print(&out, program, plan);
    double seconds = (double)(clock() - start) / CLOCKS_PER_SEC;
    cr_expect_eq(plan_count(plan), LOOPS);
    cr_expect(seconds < 5, "%.1f s", seconds);
    int number = 0;
    check_plan(plan, &number);
    cr_expect_eq(plan->results[0]->size.length, plan->arguments[0]);
    program_free(program);
    buf_release(&text);
    buf_release(&out);
}
