/* test_learning.c: the programs of examples/ that train models: they learn, what they save is a model that another program
 * uses, and what goes astray is an error. That they learn what they should is learning.py's, beside JAX. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "run_weldc.h"

static char folder[] = "/tmp/weldc-learning-XXXXXX";

static void make_folder(void) {
    cr_assert(mkdtemp(folder));
}

static void remove_folder(void) {
    char command[100];
    snprintf(command, sizeof command, "rm -r '%s'", folder);
    cr_expect(system(command) == 0);
}

TestSuite(learning, .init = make_folder, .fini = remove_folder, .timeout = 600);

/* Runs an example; @ in the words is the folder. */
static Run run_example(const char *options, const char *program, const char *words) {
    char line[2000];
    int at =
        snprintf(line, sizeof line, "run --json %s '%s/examples/%s' ", options, WELD_SOURCE_DIR, program);
    for (const char *p = words; *p; p++) {
        at +=
            snprintf(line + at, sizeof line - (size_t)at, *p == '%' ? "%s" : "%.1s", *p == '%' ? folder : p);
    }
    return run_weldc(line);
}

/* The numbers of a list that starts at `at`; gives how many. */
static int numbers(const char *at, double *out, int most) {
    int count = 0;
    for (char *end; *at && *at != ']' && count < most; at = end + (*end == ',')) {
        out[count++] = strtod(at, &end);
        if (end == at) return -1;
    }
    return count;
}

/* What `code` makes of a value that was saved. */
static Run read_saved(const char *code, const char *file) {
    char line[400];
    snprintf(line, sizeof line, "run --json -e '%s' '@%s/%s'", code, folder, file);
    return run_weldc(line);
}

/* Losses as a JSON list: the last few are below `part` of the first. */
static void expect_falls(const char *what, const char *text, int steps, double part) {
    double losses[200], last = 0;
    const char *list = text ? strchr(text, '[') : NULL;
    int count = list ? numbers(list + strspn(list, "["), losses, 200) : -1;
    cr_assert_eq(count, steps, "%s: %d losses in %.300s", what, count, text);
    for (int i = 0; i < 3; i++) last += losses[steps - 1 - i] / 3;
    cr_expect(last < part * losses[0], "%s: %g to %g", what, losses[0], last);
}

static void make_digits(const char *samples) {
    char words[80];
    snprintf(words, sizeof words, "%s 1l --save %%/digits", samples);
    Run run = run_example("", "digits.weld", words);
    cr_assert(run.status == 0, "%s", run.out);
    free(run.out);
}

Test(learning, digits) {
    make_digits("400l");
    Run run = run_example("", "digits_mlp.weld", "@%/digits 30l 0.003 --save %/result");
    cr_assert(run.status == 0 && !*run.out, "%s", run.out);
    free(run.out);
    run = read_saved("|r: {{{vec[f64], vec[f64]}, {vec[f64], vec[f64]}}, vec[f64], f64}| r.$1", "result");
    expect_falls("digits_mlp", run.out, 30, 0.4);
    free(run.out);
    run = run_example("", "digits_read.weld", "@%/result @%/digits");
    const char *end = run.out ? strrchr(run.out, ',') : NULL;
    cr_assert(run.status == 0 && end, "%s", run.out);
    cr_expect(strtod(end + 1, NULL) > 0.7, "the model names %s of the digits rightly", end + 1);
    free(run.out);
}

Test(learning, lenet) {
    make_digits("200l");
    Run run = run_example("", "lenet.weld", "@%/digits 20l 0.02 --save %/result");
    cr_assert(run.status == 0, "%s", run.out);
    free(run.out);
    run = read_saved("|r: {vec[f64], vec[f64], f64}| r.$1", "result");
    expect_falls("lenet", run.out, 20, 0.97);
    free(run.out);
}

Test(learning, characters) {
    Run run = run_example("", "characters.weld",
                          "text=@" WELD_SOURCE_DIR "/README.md steps=20l rate=0.02 written=9l");
    cr_assert(run.status == 0, "%s", run.out);
    expect_falls("characters", run.out, 20, 0.85);
    double sample[20];
    const char *list = strrchr(run.out, '[');
    cr_assert_eq(numbers(list + 1, sample, 20), 9, "%s", run.out);
    for (int i = 0; i < 9; i++) cr_expect(sample[i] >= 32 && sample[i] < 127);
    free(run.out);
}

/* The interpreter and compiled code learn the same. */
Test(learning, factors) {
    static const char words[] = "'[0l, 0l, 1l, 1l, 2l, 2l, 3l]' '[0l, 1l, 1l, 2l, 2l, 0l, 1l]' "
                                "'[5.0, 1.0, 2.0, 4.0, 3.0, 4.5, 1.5]' 2l 60l 0.5 0.0001";
    Run eval = run_example("--eval", "factors.weld", words),
        jit = run_example("--no-eval", "factors.weld", words);
    cr_expect(eval.status == 0 && jit.status == 0 && json_same(eval.out, jit.out, 1e-9), "%s\n%s", eval.out,
              jit.out);
    const char *losses = strstr(eval.out, "]],[");
    cr_assert(losses, "%s", eval.out);
    expect_falls("factors", losses + 3, 60, 0.2);
    free(eval.out), free(jit.out);
}

static void expect_error(const char *program, const char *words, const char *why) {
    Run run = run_example("", program, words);
    cr_expect(run.status == 1 && strstr(run.out, why), "%s %s: %s", program, words, run.out);
    free(run.out);
}

Test(learning, faults) {
    make_digits("40l");
    expect_error("digits_mlp.weld", "@%/digits 20l 1e200", "nn.finite");
    expect_error("lenet.weld", "@%/digits 30l 1e100", "nn.finite");
    expect_error("factors.weld", "'[0l]' '[0l]' '[5.0]' 2l 200l 1e100 0.1", "nn.finite");
    expect_error("factors.weld", "'[]' '[]' '[]' 2l 2l 0.1 0.1", "error[AssertionFailed]");
    expect_error("factors.weld", "'[0l, 1l]' '[0l]' '[5.0]' 2l 2l 0.1 0.1", "error[ZipMismatch]");
    expect_error("digits_mlp.weld", "'{{[], 0l, 784l}, []}' 2l 0.1", "error[AssertionFailed]");
    expect_error("digits_mlp.weld", "'{{[1.0, 2.0], 1l, 2l}, [1l]}' 2l 0.1", "error[AssertionFailed]");
    Run run = run_example("", "digits_mlp.weld", "@%/digits 1l 0.001 --save %/result");
    cr_assert(run.status == 0, "%s", run.out);
    free(run.out);
    char path[100];
    snprintf(path, sizeof path, "%s/result", folder);
    cr_assert(truncate(path, 5000) == 0);
    expect_error("digits_read.weld", "@%/result @%/digits", "result is cut off: 5000 of its bytes are there");
}

/* The matrix is read once for loss and gradient. */
Test(learning, logistic_fit_reads_once) {
    Run run = run_weldc("explain --stage optimized -e '|x: {vec[f64], i64, i64}, y: vec[f64], w: vec[f64]| "
                        "let g = grad(|w| nn.logistic_fit(x, w, 0.0, y))(w); g'");
    const char *read = run.out ? strstr(run.out, "slice(x.$0") : NULL;
    cr_expect(run.status == 0 && read && !strstr(read + 1, "slice(x.$0"), "%s", run.out);
    free(run.out);
}
