/* nn_train.c: examples/mlp.weld against the same models, data and steps in plain C, loss by loss. */
#include "adapter.h"

#include "nn_random.h"

enum { SAMPLES = 120, STEPS = 40, KINDS = 10, PIXELS = 64, HIDDEN = 32, SIZE = 50, BATCHES = SAMPLES / SIZE };
static const double RATE = 0.01;

static double images[SAMPLES][PIXELS], others[SAMPLES][PIXELS];

static void draw_images(Words key) {
    static double sets[KINDS][PIXELS];
    for (int64_t i = 0; i < KINDS * PIXELS; i++) sets[i / PIXELS][i % PIXELS] = unit(split(key, 0), i) < 0.4;
    for (int64_t i = 0; i < SAMPLES * PIXELS; i++) {
        double pixel = sets[i / PIXELS % KINDS][i % PIXELS];
        images[i / PIXELS][i % PIXELS] = pixel + 0.8 * normal_at(split(key, 1), i);
        others[i / PIXELS][i % PIXELS] = pixel + 0.8 * normal_at(split(key, 2), i);
    }
}

static void choose(Words key, int64_t step, int64_t *at) {
    int64_t all[SAMPLES];
    permute(split(split(key, 3), step / BATCHES), all, SAMPLES);
    memcpy(at, all + step % BATCHES * SIZE, SIZE * sizeof *at);
}

typedef struct Network {
    double w1[HIDDEN][PIXELS], b1[HIDDEN], w2[KINDS][HIDDEN], b2[KINDS];
} Network;
enum { PARAMETERS = sizeof(Network) / sizeof(double) };

static void forward(const Network *net, const double *x, double *inner, double *out) {
    for (int h = 0; h < HIDDEN; h++) {
        inner[h] = net->b1[h];
        for (int p = 0; p < PIXELS; p++) inner[h] += net->w1[h][p] * x[p];
        inner[h] = inner[h] > 0 ? inner[h] : 0;
    }
    for (int k = 0; k < KINDS; k++) {
        out[k] = net->b2[k];
        for (int h = 0; h < HIDDEN; h++) out[k] += net->w2[k][h] * inner[h];
    }
}

/* The loss of one image; its part of the gradient is added to g. */
static double backward(const Network *net, const double *x, int64_t label, Network *g) {
    double inner[HIDDEN], out[KINDS], total = 0;
    forward(net, x, inner, out);
    for (int k = 0; k < KINDS; k++) total += exp(out[k]);
    for (int k = 0; k < KINDS; k++) {
        double d = (exp(out[k]) / total - (k == label)) / SIZE;
        g->b2[k] += d;
        for (int h = 0; h < HIDDEN; h++) {
            g->w2[k][h] += d * inner[h];
            if (inner[h] <= 0) continue;
            g->b1[h] += d * net->w2[k][h];
            for (int p = 0; p < PIXELS; p++) g->w1[h][p] += d * net->w2[k][h] * x[p];
        }
    }
    return log(total) - out[label];
}

static void train_network(Words key, double *losses, double *right) {
    static Network net, g, m, v;
    memset(&net, 0, sizeof net), memset(&m, 0, sizeof m), memset(&v, 0, sizeof v);
    for (int64_t i = 0; i < HIDDEN * PIXELS; i++)
        net.w1[i / PIXELS][i % PIXELS] = normal_at(split(key, 4), i) * sqrt(2.0 / PIXELS);
    for (int64_t i = 0; i < KINDS * HIDDEN; i++)
        net.w2[i / HIDDEN][i % HIDDEN] = sqrt(6.0 / (KINDS + HIDDEN)) * (2 * unit(split(key, 5), i) - 1);
    for (int64_t t = 0; t < STEPS; t++) {
        int64_t at[SIZE];
        choose(key, t, at);
        memset(&g, 0, sizeof g);
        losses[t] = 0;
        for (int i = 0; i < SIZE; i++) losses[t] += backward(&net, images[at[i]], at[i] % KINDS, &g) / SIZE;
        double rate = RATE * (1 + cos(acos(-1) * (double)t / STEPS)) / 2;
        double *p = (double *)&net, *pg = (double *)&g, *pm = (double *)&m, *pv = (double *)&v;
        for (int i = 0; i < PARAMETERS; i++) {
            pm[i] = 0.9 * pm[i] + (1 - 0.9) * pg[i];
            pv[i] = 0.999 * pv[i] + (1 - 0.999) * pg[i] * pg[i];
            p[i] -= rate * (pm[i] / (1 - pow(0.9, (double)t + 1))) /
                    (sqrt(pv[i] / (1 - pow(0.999, (double)t + 1))) + 1e-8);
        }
    }
    *right = 0;
    for (int64_t i = 0; i < SAMPLES; i++) {
        double inner[HIDDEN], out[KINDS];
        int most = 0;
        forward(&net, others[i], inner, out);
        for (int k = 1; k < KINDS; k++) most = out[k] > out[most] ? k : most;
        *right += (most == i % KINDS) / (double)SAMPLES;
    }
}

static void train_regression(Words key, double *losses, double *w) {
    double v[PIXELS + 1] = {0};
    memset(w, 0, sizeof v);
    for (int64_t t = 0; t < STEPS; t++) {
        int64_t at[SIZE];
        double g[PIXELS + 1] = {0};
        choose(key, t, at);
        losses[t] = 0;
        for (int i = 0; i < SIZE; i++) {
            const double *x = images[at[i]];
            double score = w[PIXELS], wanted = at[i] % KINDS == 0;
            for (int p = 0; p < PIXELS; p++) score += w[p] * x[p];
            losses[t] += (log1p(exp(score)) - wanted * score) / SIZE;
            double d = (1 / (1 + exp(-score)) - wanted) / SIZE;
            for (int p = 0; p < PIXELS; p++) g[p] += d * x[p];
            g[PIXELS] += d;
        }
        for (int p = 0; p <= PIXELS; p++) {
            v[p] = 0.9 * v[p] + g[p];
            w[p] -= RATE * v[p];
        }
    }
}

Test(nn_train, as_in_c) {
    static double losses[STEPS], misses[STEPS], weights[PIXELS + 1];
    double right;
    Words key = key_of(7);
    draw_images(key);
    train_network(key, losses, &right);
    train_regression(key, misses, weights);
    char *text = read_file(WELD_SOURCE_DIR "/examples/mlp.weld");
    for (int engine = 0; engine < ENGINES; engine++) {
        weld_error_t error = weld_error_new();
        int64_t samples = SAMPLES, steps = STEPS;
        weld_lazy_t args[] = {weld_lazy_data("i64", &samples, NULL, NULL, error),
                              weld_lazy_data("i64", &steps, NULL, NULL, error),
                              weld_lazy_data("f64", &RATE, NULL, NULL, error)};
        weld_lazy_t lazy = weld_lazy_new("mlp", text, args, 3, error);
        cr_assert_not_null(lazy, "%s", weld_error_message(error));
        weld_value_t value = NULL;
        bool done = weld_lazy_evaluate(context_of(engine), &lazy, 1, &value, error);
        cr_assert(done, "%s: %s", engine_names[engine], weld_error_message(error));
        const struct {
            Vector losses;
            double right;
            Vector misses, weights;
        } *got = weld_value_data(value);
        expect_vector("the network's losses", &got->losses, losses, STEPS, 1e-7);
        expect_vector("the regression's losses", &got->misses, misses, STEPS, 1e-9);
        expect_vector_of("the weights", &got->weights, weights, PIXELS + 1, false, 1e-9, 1);
        expect_near("the images named rightly", got->right, right, 1e-12);
        weld_value_free(value);
        weld_lazy_free(lazy);
        for (int i = 0; i < 3; i++) weld_lazy_free(args[i]);
        weld_error_free(error);
    }
    cr_expect(losses[STEPS - 1] < 0.2 * losses[0] && right > 0.7, "it learns: %g to %g, %g right", losses[0],
              losses[STEPS - 1], right);
    cr_expect(misses[STEPS - 1] < 0.7 * misses[0], "it learns: %g to %g", misses[0], misses[STEPS - 1]);
    free(text);
}
