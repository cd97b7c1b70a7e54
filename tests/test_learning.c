/* test_learning.c: the programs of examples/ that train models: they learn, what they save is a model that another program
 * uses, and what goes astray is an error. That they learn what they should is learning.py's, beside JAX. */
#include <criterion/criterion.h>
#include <unistd.h>

#include "../lang/lang.h"
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

static double stat_of(const char *out, const char *name) {
    const char *at = out ? strstr(out, name) : NULL;
    return at ? strtod(at + strlen(name) + strlen("\": "), NULL) : -1;
}

/* ---- what a training takes from the system ---- */

static int allocations(const char *program, const char *words, int threads, int steps) {
    char line[300], options[80];
    snprintf(line, sizeof line, words, steps);
    snprintf(options, sizeof options, "--no-eval --threads %d --stats", threads);
    Run run = run_example(options, program, line);
    double count = stat_of(run.out, "\"allocations");
    cr_assert(run.status == 0 && count > 0, "%.2000s", run.out);
    free(run.out);
    return (int)count;
}

/* Twice as many steps take no block more, but for a few where the list of losses grows; on two threads, whose timing decides when
 * the most pieces wait, for some more: later steps may have more of them at once than the first. */
static void expect_steps_are_free(const char *program, const char *words) {
    enum { LIST = 6, TIMING = 60 };
    for (int threads = 1; threads <= 2; threads++) {
        int few = allocations(program, words, threads, 20), many = allocations(program, words, threads, 40);
        int more = threads == 1 ? LIST : LIST + TIMING;
        cr_expect(many <= few + more, "%s: 20 steps allocate %d blocks on %d threads, 40 steps %d", program,
                  few, threads, many);
    }
}

Test(learning, after_the_first_step_nothing_is_allocated) {
    if (SANITIZED) cr_skip_test("under a sanitizer every block is a new one");
    make_digits("200l");
    expect_steps_are_free("digits_mlp.weld", "@%%/digits %dl 0.003");
    expect_steps_are_free("mlp.weld", "500l %dl 0.01");
    expect_steps_are_free("logistic.weld",
                          "'{[1.0, 2.0, 3.0, 5.0, 4.0, 2.0], 3l, 2l}' '[1.0, 0.0, 1.0]' %dl 0.5");
    expect_steps_are_free("kmeans.weld", "'{[1.0, 2.0, 3.0, 5.0, 4.0, 2.0, 8.0, 9.0], 4l, 2l}' 2l %dl");
    expect_steps_are_free("factors.weld", "'[0l, 0l, 1l, 1l, 2l, 2l, 3l]' '[0l, 1l, 1l, 2l, 2l, 0l, 1l]' "
                                          "'[5.0, 1.0, 2.0, 4.0, 3.0, 4.5, 1.5]' 8l %dl 0.5 0.0001");
}

/* What one moment of a step wants does not fit beside what another one leaves: their blocks share one range of addresses. */
Test(learning, after_the_first_steps_the_largest_trainings_allocate_nothing) {
    if (SANITIZED) cr_skip_test("under a sanitizer every block is a new one");
    make_digits("100l");
    expect_steps_are_free("characters.weld",
                          "text=@" WELD_SOURCE_DIR "/README.md steps=%dl rate=0.02 written=9l");
    expect_steps_are_free("lenet.weld", "@%%/digits %dl 0.02");
}

/* ---- what every example was planned to take ---- */

/* Bytes that a promise has for what is small, and for threads. */
enum { SMALL = 108 << 10, SEVERAL = 90 << 10 };

static Run run_planned(const char *program, const char *words, int threads) {
    char options[80];
    snprintf(options, sizeof options, "--no-eval --threads %d --stats", threads);
    Run run = run_example(options, program, words);
    cr_assert(run.status == 0, "%s: %.2000s", program, run.out);
    return run;
}

/* No more than was promised, and no more was promised than so many times what must be there at once, and so many bytes. */
static void expect_promise(const char *program, const char *words, int threads, double times, int bytes) {
    Run run = run_planned(program, words, threads);
    double peak = stat_of(run.out, "\"peak_bytes"), planned = stat_of(run.out, "\"planned_bytes"),
           least = stat_of(run.out, "\"least_bytes");
    cr_expect(planned > 0 && peak <= planned && planned <= times * least + bytes,
              "%s takes %.0f bytes with %d threads, %.0f were planned, at least %.0f: %s", program, peak,
              threads, planned, least, run.out ? strrchr(run.out, '{') : "");
    free(run.out);
}

/* No more was promised than a tenth above what must be there at once; `twice`: with two threads so many times as much. */
static void expect_planned_by(const char *program, const char *words, double twice) {
    expect_promise(program, words, 1, 1.1, 0);
    expect_promise(program, words, 2, twice, 0);
}

static void expect_planned(const char *program, const char *words) {
    expect_planned_by(program, words, 1.1);
}

/* What holds next to nothing at once is planned, too. */
static void expect_small(const char *program, const char *words) {
    expect_promise(program, words, 1, 1.1, SMALL + 1024);
    expect_promise(program, words, 2, 1.1, SMALL + SEVERAL);
}

static void expect_no_plan(const char *program, const char *words, const char *why) {
    for (int threads = 1; threads <= 2; threads++) {
        Run run = run_planned(program, words, threads);
        cr_expect(stat_of(run.out, "\"planned_bytes") == 0 && strstr(run.out, why), "%s: %.2000s", program,
                  run.out);
        free(run.out);
    }
}

static void save(const char *code, const char *name) {
    char line[400];
    snprintf(line, sizeof line, "run -e '%s' --save '%s/%s'", code, folder, name);
    Run run = run_weldc(line);
    cr_assert(run.status == 0, "%s", run.out);
    free(run.out);
}

static void make_table(void) {
    char command[200];
    snprintf(command, sizeof command, "'%s/bin/weldc-lineitem' 100000 '%s'", WELD_BINARY_DIR, folder);
    cr_assert(system(command) == 0);
}

static void make_text(void) {
    char command[400];
    snprintf(command, sizeof command,
             "for i in $(seq 100); do head -c 10000 '%s/README.md'; done > '%s/text'", WELD_SOURCE_DIR,
             folder);
    cr_assert(system(command) == 0);
}

Test(learning, examples_that_compute_are_planned) {
    make_table();
    make_text();
    save("nn.uniform(nn.key(1L), 500000L)", "half");
    save("nn.uniform(nn.key(1L), 1000000L)", "signal");
    save("nn.uniform(nn.key(1L), 500001L)", "gain");
    save("{nn.uniform(nn.key(1L), 40000L), 10000L, 4L}", "points");
    save("map(nn.uniform(nn.key(2L), 10000L), |e| if(e < 0.5, 1.0, 0.0))", "labels");
    expect_planned("black_scholes.weld", "@%/half @%/half @%/half 0.02 0.3");
    expect_planned("spectrum.weld", "@%/signal @%/gain @%/gain");
    /* a filter's pieces: of a block of 4096 rows as if all were kept */
    expect_planned_by("pipeline.weld",
                      "shipdate=@%/shipdate.npy quantity=@%/quantity.npy "
                      "extendedprice=@%/extendedprice.npy discount=@%/discount.npy "
                      "tax=@%/tax.npy steps=20l rate=1.0",
                      1.5);
    expect_small("q6.weld", "shipdate=@%/shipdate.npy discount=@%/discount.npy quantity=@%/quantity.npy "
                            "extendedprice=@%/extendedprice.npy");
    expect_small("logistic.weld", "@%/points @%/labels 20l 0.5");
    expect_small("kmeans.weld", "@%/points 3l 20l");
    expect_no_plan("wordcount.weld", "@%/text", "how many keys there are is not known");
    expect_no_plan("q1.weld",
                   "shipdate=@%/shipdate.npy returnflag=@%/returnflag.npy linestatus=@%/linestatus.npy "
                   "quantity=@%/quantity.npy extendedprice=@%/extendedprice.npy discount=@%/discount.npy "
                   "tax=@%/tax.npy",
                   "how many keys there are is not known");
}

Test(learning, examples_that_learn_are_planned) {
    make_text();
    make_digits("2000l");
    save("map(nn.uniform(nn.key(5L), 30000L), |e| i64(e * 20000.0))", "users");
    save("nn.uniform(nn.key(6L), 30000L)", "ratings");
    expect_planned("mlp.weld", "10000l 20l 0.01");
    expect_planned_by("digits.weld", "2000l 1l", 1.12);
    expect_planned("digits_mlp.weld", "@%/digits 60l 0.003");
    expect_planned("lenet.weld", "@%/digits 4l 0.02");
    expect_planned_by("characters.weld", "text=@%/text steps=100l rate=0.02 written=9l", 1.2);
    expect_planned("factors.weld", "@%/users @%/users @%/ratings 8l 100l 0.5 0.0001");
    Run run = run_example("", "digits_mlp.weld", "@%/digits 1l 0.001 --save %/result");
    cr_assert(run.status == 0, "%s", run.out);
    free(run.out);
    expect_planned("digits_read.weld", "@%/result @%/digits");
}

/* A layer before its tanh is as long as after it, and of no other use for the gradient: two vectors are there at once, not three. */
Test(learning, a_layer_is_not_kept_for_its_length) {
    enum { VECTOR = 20000 * 16 * 8 };
    char line[1000];
    save("map(nn.uniform(nn.key(5L), 320000L), |e| e - 0.5)", "x");
    save("nn.uniform(nn.key(6L), 20000L)", "y");
    save("map(nn.uniform(nn.key(7L), 256L), |e| e - 0.5)", "w");
    snprintf(line, sizeof line,
             "run --no-eval --threads 1 --stats -e '|x: vec[f64], y: vec[f64], w: vec[f64]|"
             " let n = len(y); let c = slice(w, 0L, 16L); let g = grad(|w, c| nn.logistic_loss("
             "nn.linear(nn.tanh(nn.dense({x, n, 16L}, {w, 16L, 16L}, c)), c, 0.1), y))(w, c);"
             " {g.$0, lookup(g.$1.$0, 5L), lookup(g.$1.$1, 5L)}' '@%s/x' '@%s/y' '@%s/w'",
             folder, folder, folder);
    Run run = run_weldc(line);
    double peak = stat_of(run.out, "\"peak_bytes"), planned = stat_of(run.out, "\"planned_bytes");
    cr_expect(run.status == 0 && peak < 2.2 * VECTOR && peak <= planned && planned < 2.3 * VECTOR, "%s",
              run.out);
    free(run.out);
}

/* A step of a network of two layers is planned, though adapters check what they are given, and that is what it takes. */
Test(learning, a_step_takes_what_was_planned) {
    Run run = run_weldc("run --no-eval --threads 1 --stats -e '|n: i64|"
                        " let fill = |k: i64| result(for(rangeiter(0L, k, 1L), appender[f32], |b, i, e| "
                        "merge(b, f32(e % 7L) * 0.01f)));"
                        " let x = fill(n * 784L); let y = result(for(rangeiter(0L, n, 1L), appender[i64], "
                        "|b, i, e| merge(b, e % 10L)));"
                        " let w = fill(200704L); let c = fill(256L); let v = fill(2560L); let d = fill(10L);"
                        " let g = grad(|w, c, v, d| let h = nn.dense({x, n, 784L}, {w, 256L, 784L}, c);"
                        "   nn.cross_entropy(nn.dense({map(h.$0, |e| max(e, 0.0f)), n, 256L}, {v, 10L, "
                        "256L}, d), y))(w, c, v, d);"
                        " let step = |p: vec[f32], d: vec[f32]| map(zip(p, d), |e| e.$0 - 0.01f * e.$1);"
                        " let s = {step(w, g.$1.$0), step(c, g.$1.$1), step(v, g.$1.$2), step(d, g.$1.$3)};"
                        " {lookup(s.$0, 5L), lookup(s.$1, 5L), lookup(s.$2, 5L), lookup(s.$3, 5L)}' 256l");
    double peak = stat_of(run.out, "\"peak_bytes"), planned = stat_of(run.out, "\"planned_bytes"),
           least = stat_of(run.out, "\"least_bytes"), unshared = stat_of(run.out, "\"unshared_bytes");
    double spares = least / 16 + (112 << 10); /* of the smallest ones 108 KB */
    cr_expect(run.status == 0 && planned > 0 && peak <= planned && planned <= least + spares, "%s", run.out);
    cr_expect(planned < 0.7 * unshared, "%s", run.out);
    free(run.out);
}

/* What a step itself takes, whose parameters and batch are there already and whose parameters are new behind it: the promise is less
 * than half of what all its vectors take. The layers go as soon as the slopes of the weights behind them are known. */
Test(learning, a_step_takes_less_than_half_of_its_vectors) {
    static const char *const kinds[] = {"relu", "tanh"};
    char line[1400];
    save("map(nn.uniform(nn.key(5L), 200704L), |e| f32(e - 0.5) * 0.1f)", "x");
    save("map(nn.uniform(nn.key(6L), 2560L), |e| f32(e - 0.5))", "v");
    for (int i = 0; i < 2; i++) {
        snprintf(line, sizeof line,
                 "run --no-eval --threads 1 --stats -e '|x: vec[f32], w: vec[f32], v: vec[f32]|"
                 " let c = slice(v, 0L, 256L); let d = slice(v, 0L, 10L);"
                 " let y = result(for(rangeiter(0L, 256L, 1L), appender[i64], |b, i, e| merge(b, e %% 10L)));"
                 " let g = grad(|w, c, v, d| let h = nn.dense({x, 256L, 784L}, {w, 256L, 784L}, c);"
                 "   nn.cross_entropy(nn.dense(nn.%s(h), {v, 10L, 256L}, d), y))(w, c, v, d);"
                 " {g.$0, nn.sgd(w, g.$1.$0, 0.01f), nn.sgd(c, g.$1.$1, 0.01f), nn.sgd(v, g.$1.$2, 0.01f),"
                 "  nn.sgd(d, g.$1.$3, 0.01f)}' '@%s/x' '@%s/x' '@%s/v' --save '%s/step'",
                 kinds[i], folder, folder, folder, folder);
        Run run = run_weldc(line);
        double peak = stat_of(run.out, "\"peak_bytes"), planned = stat_of(run.out, "\"planned_bytes"),
               unshared = stat_of(run.out, "\"unshared_bytes");
        cr_expect(run.status == 0 && peak > 0 && peak <= planned, "%s", run.out);
        cr_expect(peak < 0.42 * unshared && planned < 0.49 * unshared, "%s", run.out);
        free(run.out);
    }
}
