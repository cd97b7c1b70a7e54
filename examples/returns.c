/* returns.c: which orders will be sent back? From two CSV files to a model that is tested and saved, in one program.
 *
 *     cc -o returns returns.c $(pkg-config --cflags --libs weld) -lweld-frame -lm
 *     ./returns --make 20000 data && ./returns data 200
 *     weldc run returns_score.weld @data/model '{[3.2, 0.1, 2.0, 4.0, 1.0], 1L, 5L}'
 *
 * Tables and features are calls of frame, layers, loss and steps are calls of nn. None computes: reading a file aside, all up to
 * the first loss is one program, in which filter, join, features and their means meet; it runs with the first steps of the
 * training. A step is a gradient and Adam; some steps are one evaluation, after which the progress is shown.
 *
 * The fifth of the orders that the model has not seen tells how good it is. The folder then has the losses (losses.csv), their
 * curve (loss.svg) and the model, {weights, means, variances}. */
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>
#include <weld_frame.h>

#include "curve.h"

enum { FEATURES = 5, CHUNK = 20 };

static const char *const features[FEATURES] = {"amount", "discount", "pieces", "years", "weekend"};

typedef struct Vector {
    double *data;
    int64_t length;
} Vector;

/* ---- tables: frame ---- */

/* Orders of 2024 that were delivered, with what is known of their customers. */
static weld_frame_t make_table(const char *folder, weld_error_t error) {
    char orders[512], customers[512];
    snprintf(orders, sizeof orders, "%s/orders.csv", folder);
    snprintf(customers, sizeof customers, "%s/customers.csv", folder);
    weld_frame_t all = weld_frame_read_csv(orders, NULL, error);
    weld_frame_t known = all ? weld_frame_read_csv(customers, NULL, error) : NULL;
    weld_frame_t some =
        known ? weld_frame_filter(all, "year(day) == 2024 && quantity > 0 && !is_null(price)", error) : NULL;
    weld_frame_t both = some ? weld_frame_join(some, known, WELD_FRAME_INNER, "customer", error) : NULL;
    weld_frame_t table =
        both ? weld_frame_with(
                   both,
                   "log(price * quantity) as amount, discount, f64(quantity) as pieces, f64(2024 - since) as "
                   "years, if(weekday(day) >= 6, 1.0, 0.0) as weekend, if(returned, 1.0, 0.0) as label",
                   error)
             : NULL;
    weld_frame_t used[] = {all, known, some, both};
    for (int i = 0; i < 4; i++) weld_frame_free(used[i]);
    return table;
}

/* The features of the rows that meet the condition as a matrix, and their labels. */
static int split_table(weld_frame_t table, const char *condition, weld_lazy_t *x, weld_lazy_t *y,
                       weld_error_t error) {
    weld_frame_t part = weld_frame_filter(table, condition, error);
    weld_lazy_t columns[FEATURES] = {NULL};
    for (int i = 0; i < FEATURES && part; i++) columns[i] = weld_frame_column(part, features[i], error);
    *x = part ? weld_lazy_new(
                    "returns.matrix",
                    "|a, b, c, d, e| {result(for(zip(a, b, c, d, e), appender(len(a) * 5L), |m, i, r| "
                    "merge(merge(merge(merge(merge(m, r.$0), r.$1), r.$2), r.$3), r.$4))), len(a), 5L}",
                    columns, FEATURES, error)
              : NULL;
    *y = *x ? weld_frame_column(part, "label", error) : NULL;
    for (int i = 0; i < FEATURES; i++) weld_lazy_free(columns[i]);
    weld_frame_free(part);
    return *y != NULL;
}

/* ---- the model: nn ---- */

static const char standardize[] =
    "|x, mean, variance| nn.batch_norm_by(x, mean, variance, map(mean, |e| 1.0), map(mean, |e| 0.0), 1e-12)";

/* {parameters, means and squares of gradients} of each layer, and how many steps were made. */
static const char start[] =
    "let zeros = |n: i64| result(for(rangeiter(0L, n, 1L), appender[f64], |b, i, k| merge(b, 0.0)));"
    "let fresh = |p| {p, nn.zeros_like(p), nn.zeros_like(p)}; let key = nn.key(5L);"
    "{fresh(nn.glorot(nn.split(key, 0L), 16L, 5L).$0), fresh(zeros(16L)), fresh(nn.glorot(nn.split(key, 1L), "
    "1L, 16L).$0), "
    "fresh([0.0]), 0L}";

#define SCORES "nn.linear(nn.tanh(nn.dense(x, {w1, 16L, 5L}, b1)), w2, lookup(b2, 0L))"
static const char advance[] =
    "|x, y, start, steps: i64| "
    "let slope = grad(|w1, b1, w2, b2| nn.logistic_loss(" SCORES ", y));"
    "iterate({start, []: vec[f64]}, |s| let p = s.$0; let g = slope(p.$0.$0, p.$1.$0, p.$2.$0, p.$3.$0);"
    "  let step = |q, d| nn.adam(q, d, p.$4, 0.02, 0.9, 0.999, 1e-8);"
    "  {{{step(p.$0, g.$1.$0), step(p.$1, g.$1.$1), step(p.$2, g.$1.$2), step(p.$3, g.$1.$3), p.$4 + 1L},"
    "    flatten([s.$1, [nn.finite(g.$0)]])}, len(s.$1) + 1L < steps})";

/* {the part of the rows that is told right, the loss, the part that is told right by always saying no} */
static const char judge[] =
    "|x, y, s| let w1 = s.$0.$0; let b1 = s.$1.$0; let w2 = s.$2.$0; let b2 = s.$3.$0; let scores = " SCORES
    ";"
    "let n = f64(len(y)); let right = |f: vec[bool]| sum(map(f, |e| if(e, 1.0, 0.0))) / n;"
    "{right(map(zip(scores, y), |e| (e.$0 > 0.0) == (e.$1 > 0.5))), nn.logistic_loss(scores, y), "
    "right(map(y, |e| e < 0.5))}";

typedef struct Training {
    weld_context_t context;
    weld_error_t error;
    weld_lazy_t x, y, apart, labels, mean,
        variance; /* features and labels to learn from, and those kept apart */
    weld_lazy_t state;
    double *losses;
    int64_t done, steps;
} Training;

/* Calls a function of nn, or a fragment. */
static weld_lazy_t make(const Training *t, const char *code, weld_lazy_t *arguments, int64_t count) {
    return code[0] == 'n' && code[2] == '.' ? weld_lazy_call(code, arguments, count, t->error)
                                            : weld_lazy_new("returns", code, arguments, count, t->error);
}

static int prepare(Training *t, const char *folder) {
    weld_lazy_t raw = NULL, other = NULL;
    weld_frame_t table = make_table(folder, t->error);
    if (table && split_table(table, "order % 5 != 0", &raw, &t->y, t->error) &&
        split_table(table, "order % 5 == 0", &other, &t->labels, t->error)) {
        t->mean = make(t, "nn.column_mean", &raw, 1);
        t->variance = make(t, "nn.column_variance", &raw, 1);
        t->x = make(t, standardize, (weld_lazy_t[]){raw, t->mean, t->variance}, 3);
        t->apart = make(t, standardize, (weld_lazy_t[]){other, t->mean, t->variance}, 3);
        t->state = make(t, start, NULL, 0);
        weld_lazy_t kept[] = {t->x, t->y, t->apart, t->labels, t->mean, t->variance};
        for (int i = 0; i < 6; i++) weld_lazy_keep(kept[i]); /* computed once, by the first evaluation */
    }
    weld_lazy_free(raw);
    weld_lazy_free(other);
    weld_frame_free(table);
    return t->state != NULL;
}

/* Some more steps; the losses are noted. */
static int train(Training *t, int64_t steps) {
    weld_lazy_t count = weld_lazy_data("i64", &steps, NULL, NULL, t->error);
    weld_lazy_t more = make(t, advance, (weld_lazy_t[]){t->x, t->y, t->state, count}, 4);
    weld_value_t value = NULL, state;
    int good = more && weld_lazy_evaluate(t->context, &more, 1, &value, t->error);
    if (good) {
        state = weld_value_field(value, 0);
        weld_lazy_free(t->state);
        t->state = weld_lazy_value(state, t->error);
        weld_value_free(state);
        weld_value_t losses = weld_value_field(value, 1);
        const Vector *made = weld_value_data(losses);
        memcpy(t->losses + t->done, made->data, (size_t)made->length * sizeof(double));
        t->done += made->length;
        weld_value_free(losses);
        curve_progress(t->done, t->steps, t->losses[t->done - 1]);
    }
    weld_value_free(value);
    weld_lazy_free(more);
    weld_lazy_free(count);
    return good && t->state;
}

/* How good it is, and the files. */
static int finish(Training *t, const char *folder) {
    char path[512];
    weld_lazy_t results[] = {
        make(t, judge, (weld_lazy_t[]){t->apart, t->labels, t->state}, 3),
        make(t, "|s, mean, variance| {{s.$0.$0, s.$1.$0, s.$2.$0, s.$3.$0}, mean, variance}",
             (weld_lazy_t[]){t->state, t->mean, t->variance}, 3)};
    weld_value_t values[2] = {NULL, NULL};
    int good = results[0] && results[1] && weld_lazy_evaluate(t->context, results, 2, values, t->error);
    if (good) {
        const double *judged = weld_value_data(values[0]);
        printf("%.17g %.17g %.17g\n", judged[0], judged[1], judged[2]);
        fprintf(stderr, "of the orders kept apart %.1f %% are told right; %.1f %% were kept\n",
                100 * judged[0], 100 * judged[2]);
        snprintf(path, sizeof path, "%s/model", folder);
        good = weld_value_save(values[1], path, t->error);
        snprintf(path, sizeof path, "%s/loss.svg", folder);
        if (good && !curve_write(path, "Orders that are sent back: loss by step", t->losses, t->done))
            good = 0, perror(path);
        snprintf(path, sizeof path, "%s/losses.csv", folder);
        FILE *file = good ? fopen(path, "w") : NULL;
        if (file) fputs("loss\n", file);
        for (int64_t i = 0; file && i < t->done; i++) fprintf(file, "%.17g\n", t->losses[i]);
        if (good && (!file || fclose(file))) good = 0, perror(path);
    }
    for (int i = 0; i < 2; i++) weld_value_free(values[i]), weld_lazy_free(results[i]);
    return good;
}

/* ---- made-up orders ---- */

static double noise(uint64_t at) {
    at = (at + 0x9e3779b97f4a7c15u) * 0xbf58476d1ce4e5b9u; /* splitmix64 */
    at = (at ^ at >> 27) * 0x94d049bb133111ebu;
    return (double)((at ^ at >> 31) >> 11) * 0x1p-53;
}

static int make_files(int64_t rows, const char *folder) {
    char path[512];
    int64_t people = rows / 20 + 1;
    if (mkdir(folder, 0777)) (void)0; /* it may be there already */
    snprintf(path, sizeof path, "%s/customers.csv", folder);
    FILE *file = fopen(path, "w");
    if (!file) return perror(path), 0;
    fputs("customer,since,name\n", file);
    for (int64_t i = 0; i < people; i++)
        fprintf(file, "%" PRId64 ",%d,\"Customer %" PRId64 ", Ltd\"\n", i * 7 + 3, 2024 - (int)(i * 31 % 15),
                i);
    if (fclose(file)) return perror(path), 0;
    snprintf(path, sizeof path, "%s/orders.csv", folder);
    file = fopen(path, "w");
    if (!file) return perror(path), 0;
    fputs("order,customer,day,price,quantity,discount,returned\n", file);
    for (int64_t i = 0; i < rows; i++) {
        uint64_t at = (uint64_t)i * 16;
        int64_t customer =
            (int64_t)(noise(at) * (double)(people + people / 10)); /* some are of nobody known */
        int quantity = (int)(noise(at + 1) * 6), month = (int)(noise(at + 2) * 12) + 1,
            day = (int)(noise(at + 3) * 28) + 1;
        double price = 5 + 195 * noise(at + 4) * noise(at + 5), discount = (int)(noise(at + 6) * 4) * 0.1;
        double years = (double)(customer * 31 % 15);
        double score = 0.02 * (price - 50) + 0.4 * (quantity - 3) - 4 * (discount - 0.15) -
                       0.35 * (years - 5) + 2 * (noise(at + 7) + noise(at + 8) - 1) - 1;
        fprintf(file, "%" PRId64 ",%" PRId64 ",%d-%02d-%02d,", i, customer * 7 + 3,
                2023 + (noise(at + 9) > 0.2), month, day);
        if (noise(at + 10) > 0.02) fprintf(file, "%.2f", price); /* else it is missing */
        fprintf(file, ",%d,%.1f,%s\n", quantity, discount, score > 0 ? "true" : "false");
    }
    return fclose(file) ? perror(path), 0 : 1;
}

/* All processors. */
static weld_context_t open_context(void) {
    char threads[16];
    weld_conf_t conf = weld_conf_new();
    snprintf(threads, sizeof threads, "%ld", sysconf(_SC_NPROCESSORS_ONLN));
    weld_conf_set(conf, "weld.threads", threads);
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    return context;
}

int main(int count, char **words) {
    if (count == 4 && strcmp(words[1], "--make") == 0) return !make_files(atoll(words[2]), words[3]);
    Training t = {.steps = count == 3 ? atoll(words[2]) : 0};
    if (t.steps < 1)
        return fputs("usage: returns --make ROWS FOLDER\n       returns FOLDER STEPS\n", stderr), 2;
    t.error = weld_error_new();
    t.context = open_context();
    t.losses = malloc((size_t)t.steps * sizeof *t.losses);
    int good = t.losses && prepare(&t, words[1]);
    while (good && t.done < t.steps) good = train(&t, t.steps - t.done < CHUNK ? t.steps - t.done : CHUNK);
    good = good && finish(&t, words[1]);
    if (!good && weld_error_code(t.error)) fprintf(stderr, "%s\n", weld_error_message(t.error));
    weld_lazy_t used[] = {t.x, t.y, t.apart, t.labels, t.mean, t.variance, t.state};
    for (int i = 0; i < 7; i++) weld_lazy_free(used[i]);
    free(t.losses);
    weld_context_free(t.context);
    weld_error_free(t.error);
    return !good;
}
