/* test_grad_cost.c: what a gradient costs, in operations: at most so many times its function as grad_cost.def says, which is to
 * be four.
 *
 * Operations are counted by the interpreter, over programs as the optimizer leaves them: iterations, and what is computed,
 * merged, looked up and decided, once for each time. That does not depend on the machine or on who else uses it.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "../../runtime/rt.h"
#include "../../weldc/weldc.h"

enum { LENGTH = 600, ROWS = 24, COLUMNS = 20 };

typedef struct Inputs {
    Vec v, w, m, k;
} Inputs;

static double numbers[LENGTH], cells[ROWS][COLUMNS];
static Vec rows[ROWS];
static int64_t places[LENGTH];

static Inputs inputs_make(void) {
    for (int i = 0; i < LENGTH; i++) {
        numbers[i] = sin(i * 1.7) * 1.1 + 0.01;
        places[i] = i * 7 % 16;
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) cells[i][j] = cos(i * 3.1 + j);
        rows[i] = (Vec){cells[i], COLUMNS};
    }
    return (Inputs){{numbers, LENGTH}, {numbers + 100, COLUMNS}, {rows, ROWS}, {places, LENGTH}};
}

static const volatile int32_t never = 0;

/* Operations of a program of v, w, m and k. */
static int64_t operations(const char *text) {
    Inputs inputs = inputs_make();
    Program *program = program_open("test", text, strlen(text));
    PassOptions options = {.level = 2};
    cr_assert_not_null(program);
    bool ok = program_read(program) && program_infer(program, NULL) && program_verify(program) &&
              program_optimize(program, &options);
    cr_assert(ok, "%s: %s: %s", text, error_name(program->error.code), program->error.text);
    Budget budget;
    budget_init(&budget, 0);
    Worker worker = {.cancel = &never, .region = region_new(&budget), .host = &foreign_host};
    void *out = calloc(1, (size_t)program_result_type(program)->size + 1);
    ErrorCode code = program_eval(program, &worker, &inputs, out);
    cr_assert(code == E_None, "%s: %s", text, worker.error.text);
    int64_t steps = worker.steps;
    free(out);
    region_free(worker.region);
    program_free(program);
    return steps;
}

static const struct Function {
    const char *name, *by, *direction, *text;
    double most, forward;
} functions[] = {
#define ROW(name, by, direction, most, forward, text) {name, by, direction, text, most, forward},
#include "grad_cost.def"
};

static void expect_at_most(const struct Function *f, const char *what, const char *text, int64_t own,
                           double most) {
    int64_t count = operations(text);
    double times = (double)count / (double)own;
    if (getenv("WELD_SHOW"))
        printf("%-26s %-10s %8ld %8ld %6.2f\n", f->name, what, (long)own, (long)count, times);
    cr_expect(times <= most, "%s: %ld operations, with its %s %ld, %.2f times", f->name, (long)own, what,
              (long)count, times);
    cr_expect(most <= 4 || times > 4, "%s: the %s costs %.2f times: say 4", f->name, what, times);
}

/* Of v (600 numbers), w (20), m (24 rows of 20) and k (600 numbers below 16). */
Test(grad_cost, is_a_few_times_that_of_the_function) {
    setenv("WELD_ADAPTERS", WELD_BINARY_DIR "/lib", 1);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++) {
        static const char *const head =
            "|v: vec[f64], w: vec[f64], m: vec[vec[f64]], k: vec[i64]| let f = |v, w, m, k| ";
        const struct Function *f = &functions[i];
        char text[4096];
        snprintf(text, sizeof text, "%s%s; f(v, w, m, k)", head, f->text);
        int64_t own = operations(text);
        snprintf(text, sizeof text, "%s%s; grad(f, %s)(v, w, m, k)", head, f->text, f->by);
        expect_at_most(f, "gradient", text, own, f->most);
        snprintf(text, sizeof text, "%s%s; jvp(f, %s)(v, w, m, k, %s)", head, f->text, f->by, f->direction);
        expect_at_most(f, "direction", text, own, f->forward);
    }
}
