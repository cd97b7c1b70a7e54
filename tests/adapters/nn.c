/* nn.c: every function of the adapter nn against plain C, in f64 and f32, and its gradient against central differences. What
 * works on matrices and losses is in nn_layers.h, steps, rates and random numbers in nn_steps.h, cells and images in
 * nn_cells.h.
 *
 *     check(engine, "|x, w, b| nn.dense(x, w, b).$0", args, 3, expected, n * m, BY(0) | BY(1) | BY(2));
 *
 * A text gives a vector, whose elements are compared; their gradient is that of a weighted sum of them. */
#include "adapter.h"

#include "nn_random.h"

#define BY(k) (1u << (k))
#define X(r, c) MATRIX("f64", x, r, c)

static double *numbers_of(Arg *arg, int64_t *count) {
    if (strcmp(arg->type, "f64") == 0) return *count = 1, &arg->as.f64;
    *count = arg->as.v.length; /* of a vector, or of the elements of a matrix */
    return (double *)(uintptr_t)arg->as.v.data;
}

static weld_lazy_t lazy_of(const char *text, const Arg *args, int64_t count, weld_lazy_t *lazies,
                           weld_error_t error) {
    for (int64_t i = 0; i < count; i++)
        lazies[i] = weld_lazy_data(args[i].type, &args[i].as, NULL, NULL, error);
    weld_lazy_t lazy = weld_lazy_new("test", text, lazies, count, error);
    cr_assert_not_null(lazy, "%s: %s", text, weld_error_message(error));
    return lazy;
}

/* What another text makes of a lazy value, which goes. */
static weld_lazy_t then(weld_lazy_t lazy, const char *text, weld_error_t error) {
    weld_lazy_t next = weld_lazy_new("test", text, &lazy, 1, error);
    cr_assert_not_null(next, "%s: %s", text, weld_error_message(error));
    weld_lazy_free(lazy);
    return next;
}

static weld_value_t value_of(int engine, weld_lazy_t lazy, const char *text, weld_error_t error) {
    weld_value_t value = NULL;
    bool done = weld_lazy_evaluate(context_of(engine), &lazy, 1, &value, error);
    cr_assert(done, "%s (%s): %s", text, engine_names[engine], weld_error_message(error));
    return value;
}

static void free_all(weld_lazy_t *lazies, int64_t count) {
    for (int64_t i = 0; i < count; i++) weld_lazy_free(lazies[i]);
}

static void check_values(int engine, const char *text, const Arg *args, int64_t count, const double *expected,
                         int64_t length, double relative) {
    weld_error_t error = weld_error_new();
    weld_lazy_t lazies[MOST_ARGS];
    weld_lazy_t lazy = then(lazy_of(text, args, count, lazies, error), "|v| map(v, |e| f64(e))", error);
    weld_value_t value = value_of(engine, lazy, text, error);
    expect_vector_of(text, weld_value_data(value), expected, length, false, relative, 1);
    weld_value_free(value);
    weld_lazy_free(lazy);
    free_all(lazies, count);
    weld_error_free(error);
}

/* The same arguments in f32. */
static void check_floats(int engine, const char *text, Arg *args, int64_t count, const double *expected,
                         int64_t length) {
    static const char *const types[][2] = {
        {"f64", "f32"}, {"vec[f64]", "vec[f32]"}, {"{vec[f64],i64,i64}", "{vec[f32],i64,i64}"}};
    Arg floats[MOST_ARGS];
    float *copies[MOST_ARGS] = {NULL};
    for (int64_t i = 0; i < count; i++) {
        int64_t n = 0;
        floats[i] = args[i];
        for (int64_t k = 0; k < COUNT(types); k++) {
            if (strcmp(args[i].type, types[k][0]) != 0) continue;
            const double *from = numbers_of(&args[i], &n);
            floats[i].type = types[k][1];
            copies[i] = malloc((size_t)(n + 1) * sizeof(float));
            for (int64_t j = 0; j < n; j++) copies[i][j] = (float)from[j];
            if (k == 0)
                floats[i].as.f32 = copies[i][0];
            else
                floats[i].as.v.data = copies[i];
        }
    }
    check_values(engine, text, floats, count, expected, length, 3e-5);
    for (int64_t i = 0; i < count; i++) free(copies[i]);
}

#define WEIGHTED "|v| result(for(v, merger[f64, +], |b, i, e| merge(b, e * (1.0 + 0.25 * f64(i % 5L)))))"

static double weighted(const char *text, const Arg *args, int64_t count, weld_error_t error) {
    weld_lazy_t lazies[MOST_ARGS];
    weld_lazy_t sum = then(lazy_of(text, args, count, lazies, error), WEIGHTED, error);
    weld_value_t value = value_of(0, sum, text, error);
    double got = *(double *)weld_value_data(value);
    weld_value_free(value);
    weld_lazy_free(sum);
    free_all(lazies, count);
    return got;
}

/* The slope by each element of one argument, as each engine gives it, against central differences. */
static void check_slopes(const char *text, Arg *args, int64_t count, int64_t by, const Vector **got,
                         weld_error_t error) {
    static const double h = 1e-5;
    int64_t n;
    double *at = numbers_of(&args[by], &n);
    for (int64_t i = 0; i < n; i++) {
        double was = at[i];
        at[i] = was + h;
        double more = weighted(text, args, count, error);
        at[i] = was - h;
        double less = weighted(text, args, count, error);
        at[i] = was;
        double near = (more - less) / (2 * h);
        for (int engine = 0; engine < ENGINES; engine++) {
            cr_assert(got[engine]->length == n, "%s: %ld slopes", text, (long)got[engine]->length);
            double slope = ((const double *)got[engine]->data)[i];
            cr_expect(is_near(slope, near, 1e-6 * (1 + fabs(near))),
                      "%s (%s): the slope by element %ld of argument %ld is %.12g, not %.12g", text,
                      engine_names[engine], (long)i, (long)by, near, slope);
        }
    }
}

/* The gradient by all arguments whose bit is set, by one program, under each engine. */
static void check_gradient(const char *text, Arg *args, int64_t count, unsigned by) {
    weld_error_t error = weld_error_new();
    weld_lazy_t lazies[MOST_ARGS], chosen[MOST_ARGS], slopes[MOST_ARGS];
    weld_value_t values[ENGINES][MOST_ARGS];
    int64_t places[MOST_ARGS], n = 0;
    weld_lazy_t sum = then(lazy_of(text, args, count, lazies, error), WEIGHTED, error);
    for (int64_t i = 0; i < count; i++) {
        if (by & BY(i)) places[n] = i, chosen[n++] = lazies[i];
    }
    bool done = weld_lazy_grad(sum, chosen, n, slopes, error);
    cr_assert(done, "%s: %s", text, weld_error_message(error));
    for (int64_t i = 0; i < n; i++) {
        char type = args[places[i]].type[0];
        slopes[i] = then(slopes[i], type == '{' ? "|g| g.$0" : type == 'v' ? "|g| g" : "|g| [g]", error);
    }
    for (int engine = 0; engine < ENGINES; engine++) {
        done = weld_lazy_evaluate(context_of(engine), slopes, n, values[engine], error);
        cr_assert(done, "%s (%s): %s", text, engine_names[engine], weld_error_message(error));
    }
    for (int64_t i = 0; i < n; i++) {
        const Vector *got[ENGINES];
        for (int engine = 0; engine < ENGINES; engine++) got[engine] = weld_value_data(values[engine][i]);
        check_slopes(text, args, count, places[i], got, error);
        for (int engine = 0; engine < ENGINES; engine++) weld_value_free(values[engine][i]);
        weld_lazy_free(slopes[i]);
    }
    weld_lazy_free(sum);
    free_all(lazies, count);
    weld_error_free(error);
}

static void check(int engine, const char *text, Arg *args, int64_t count, const double *expected,
                  int64_t length, unsigned by) {
    check_values(engine, text, args, count, expected, length, 1e-12);
    check_floats(engine, text, args, count, expected, length);
    if (by && engine == 0) check_gradient(text, args, count, by);
}

#include "nn_layers.h"
#include "nn_steps.h"
#include "nn_cells.h"

#define ROW(name, test) {name, test}
#define BOTH(name, test) \
    {name, test}, {      \
        name "_of", test \
    }
static const RowTest tests[] = {
    ROW("real", real),
    ROW("dense", dense),
    ROW("product", product),
    ROW("width", width),
    ROW("linear", linear),
    ROW("matmul", matmul),
    ROW("transpose", transpose),
    ROW("add", add),
    ROW("reshape", reshape),
    ROW("rows", rows),
    ROW("embedding", rows),
    ROW("elements", elements),
    BOTH("relu", activation),
    BOTH("leaky_relu", activation),
    BOTH("elu", activation),
    BOTH("sigmoid", activation),
    BOTH("tanh", activation),
    BOTH("softplus", activation),
    BOTH("silu", activation),
    BOTH("gelu", activation),
    ROW("softmax", softmax),
    ROW("log_softmax", softmax),
    ROW("cross_entropy", cross_entropy),
    ROW("argmax", argmax),
    ROW("accuracy", accuracy),
    ROW("squared_loss", loss),
    ROW("absolute_loss", loss),
    ROW("huber_loss", loss),
    ROW("logistic_loss", loss),
    ROW("logistic_fit", logistic_fit),
    ROW("finite", is_finite),
    ROW("zeros_like", zeros_like),
    ROW("sgd", sgd),
    ROW("momentum", momentum),
    ROW("nesterov", momentum),
    ROW("adagrad", adagrad),
    ROW("adamw", adam),
    ROW("adam", adam),
    ROW("clip", clip),
    ROW("step_rate", rate),
    ROW("exponential_rate", rate),
    ROW("inverse_rate", rate),
    ROW("warmup_rate", rate),
    ROW("cosine_rate", rate),
    ROW("threefry", known_answers),
    ROW("key", key),
    ROW("split", key),
    ROW("draw", key),
    ROW("uniform", uniform),
    ROW("suniform", uniform),
    ROW("normal", normal),
    ROW("snormal", normal),
    ROW("glorot", weights),
    ROW("sglorot", weights),
    ROW("he", weights),
    ROW("she", weights),
    ROW("dropout", dropout),
    ROW("permutation", permutation),
    ROW("batch", batch),
    ROW("column_sum", columns),
    ROW("column_mean", columns),
    ROW("column_variance", columns),
    ROW("batch_norm_by", batch_norm),
    ROW("batch_norm", batch_norm),
    ROW("batch_norm_track", batch_norm_track),
    ROW("layer_norm", layer_norm),
    ROW("rnn", rnn),
    ROW("lstm", lstm),
    ROW("gru", gru),
    ROW("im2col", convolution),
    ROW("conv2d", convolution),
    ROW("max_pool", pool),
    ROW("average_pool", pool),
};

/* What does not fit: the error names the function, the argument and the sizes. */
static const struct Misfit {
    const char *text, *message;
} misfits[] = {
#define ONE_TWO "{[1.0, 2.0], 1L, 2L}"
    {"nn.dense({[1.0], 1L, 2L}, " ONE_TWO ", [0.0])", "dense: x has 1 elements, not 1 rows of 2"},
    {"nn.dense({[1.0], 1L, 1L}, " ONE_TWO ", [0.0])", "dense: x has 1 columns, but w has 2"},
    {"nn.dense(" ONE_TWO ", " ONE_TWO ", [0.0, 1.0])", "dense: b has 2 elements, but w has 1 rows"},
    {"nn.linear(" ONE_TWO ", [1.0], 0.0)", "linear: x has 2 columns, but w has 1 elements"},
    {"nn.matmul(" ONE_TWO ", " ONE_TWO ")", "matmul: x has 2 columns, but y has 1 rows"},
    {"nn.reshape(" ONE_TWO ", 3L, 1L)", "reshape: x has 2 elements, not 3 rows of 1"},
    {"nn.cross_entropy(" ONE_TWO ", [0L, 1L])", "cross_entropy: x has 1 rows, but there are 2 labels"},
    {"nn.squared_loss([1.0], slice([1.0], 1L, 1L))", "squared_loss: there are no samples"},
    {"nn.finite(1.0 / 0.0)", "finite: the value is infinite or no number"},
    {"nn.max_pool(" ONE_TWO ", 1L, 2L, 1L, 2L, 1L)",
     "max_pool: size is 2, but the image with its borders is only 1 wide or high"},
    {"nn.im2col(" ONE_TWO ", 2L, 2L, 1L, 1L, 1L, 0L)", "im2col: x has 2 columns, but an image has 4 values"},
    {"nn.batch(nn.key(1L), 0L, 3L, 2L)", "batch: size is 3, but is from 1 to 2"},
#undef ONE_TWO
};

Test(nn, misfits) {
    for (int i = 0; i < COUNT(misfits) * ENGINES; i++) {
        const struct Misfit *misfit = &misfits[i / ENGINES];
        weld_error_t error = weld_error_new();
        weld_value_t value = NULL;
        weld_lazy_t lazy = weld_lazy_new("test", misfit->text, NULL, 0, error);
        cr_assert_not_null(lazy, "%s: %s", misfit->text, weld_error_message(error));
        cr_expect(!weld_lazy_evaluate(context_of(i % ENGINES), &lazy, 1, &value, error), "%s", misfit->text);
        cr_expect_eq(weld_error_code(error), WELD_ASSERTION_ERROR, "%s", misfit->text);
        cr_expect(strstr(weld_error_message(error), misfit->message), "%s (%s): %s", misfit->text,
                  engine_names[i % ENGINES], weld_error_message(error));
        weld_lazy_free(lazy);
        weld_error_free(error);
    }
}

Test(nn, rows) {
    check_rows("nn", tests, COUNT(tests));
}
