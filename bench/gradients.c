/* gradients.c: how many times its function a value with its gradient takes, of the functions of tests/unit/grad_cost.def, whose
 * operations tests/unit/test_grad_cost.c counts.
 *
 * Both run in turn over the same data, with one thread; the least times are compared. Those of the matrix m, which has a few rows,
 * are over at once, which says nothing of what their gradients cost beside them: they are left out.
 */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "bench.h"
#include "../runtime/weld.h"

enum { LENGTH = 1000000, COLUMNS = 20, ROWS = 24, ROUNDS = 15 };

typedef struct Numbers {
    const void *data;
    int64_t length;
} Numbers;

static const struct {
    const char *name, *by, *text;
} rows[] = {
#define ROW(name, by, direction, most, forward, text) {name, by, text},
#include "../tests/unit/grad_cost.def"
};

typedef struct Program {
    weld_module_t module;
    weld_context_t context;
    double least;
} Program;

static bool program_open(Program *program, const char *text, weld_conf_t conf, weld_error_t error) {
    program->module = weld_module_compile(text, conf, error);
    program->context = program->module ? weld_context_new(conf) : NULL;
    program->least = INFINITY;
    return program->context;
}

static void program_close(Program *program) {
    if (program->context) weld_context_free(program->context);
    if (program->module) weld_module_free(program->module);
}

static bool program_run(Program *program, weld_value_t argument, weld_error_t error) {
    double start = now_ms();
    weld_value_t result = weld_module_run(program->module, program->context, argument, error);
    double took = now_ms() - start;
    if (!result) return false;
    if (took < program->least) program->least = took;
    weld_value_free(result);
    return true;
}

static bool measure_row(int row, weld_value_t argument, weld_conf_t conf, GradientFigure *out) {
    static const char *const head =
        "|v: vec[f64], w: vec[f64], m: vec[vec[f64]], k: vec[i64]| let f = |v, w, m, k| ";
    char text[2][4096];
    Program programs[2] = {{0}};
    weld_error_t error = weld_error_new();
    snprintf(text[0], sizeof text[0], "%s%s; f(v, w, m, k)", head, rows[row].text);
    snprintf(text[1], sizeof text[1], "%s%s; grad(f, %s)(v, w, m, k)", head, rows[row].text, rows[row].by);
    bool good = true;
    for (int i = 0; i < 2 && good; i++) good = program_open(&programs[i], text[i], conf, error);
    for (int round = 0; round < ROUNDS && good; round++) {
        for (int i = 0; i < 2 && good; i++) good = program_run(&programs[i], argument, error);
        if (round == 0) programs[0].least = programs[1].least = INFINITY;
    }
    if (!good) fprintf(stderr, "weldc-bench: %s: %s\n", rows[row].name, weld_error_message(error));
    *out = (GradientFigure){rows[row].name, programs[0].least, programs[1].least};
    for (int i = 0; i < 2; i++) program_close(&programs[i]);
    weld_error_free(error);
    return good;
}

static bool takes_matrix(const char *text) {
    return strstr(text, "(m,") || strstr(text, "(m)");
}

int gradients_measure(GradientFigure *out) {
    static double cells[ROWS][COLUMNS];
    static Numbers matrix[ROWS];
    double *numbers = malloc(LENGTH * sizeof *numbers);
    int64_t *places = malloc(LENGTH * sizeof *places);
    int count = 0;
    for (int i = 0; numbers && places && i < LENGTH; i++) {
        numbers[i] = sin(i * 1.7) * 1.1 + 0.01;
        places[i] = i * 7L % 16;
    }
    for (int i = 0; i < ROWS; i++) {
        for (int j = 0; j < COLUMNS; j++) cells[i][j] = cos(i * 3.1 + j);
        matrix[i] = (Numbers){cells[i], COLUMNS};
    }
    Numbers inputs[4] = {{numbers, LENGTH}, {cells[0], COLUMNS}, {matrix, ROWS}, {places, LENGTH}};
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.threads", "1");
    weld_value_t argument = weld_value_new(inputs);
    for (int i = 0; numbers && places && i < (int)(sizeof rows / sizeof *rows) && count < MOST_GRADIENTS;
         i++) {
        if (!takes_matrix(rows[i].text)) count += measure_row(i, argument, conf, &out[count]);
    }
    weld_value_free(argument);
    weld_conf_free(conf);
    free(numbers), free(places);
    return count;
}
