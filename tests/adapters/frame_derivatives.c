/* frame_derivatives.c: gradients through frames, by a column of doubles of each of two tables, against differences.
 *
 * A scalar is made of each column that a case names: its elements that are there, each by a factor of its row. */
#include "frame_ref.h"

enum { ROWS = 9 };

typedef struct Inputs {
    double x[ROWS], p[ROWS];
    bool valid[ROWS];
    int64_t left[ROWS], right[ROWS];
    int64_t right_rows;
} Inputs;

/* Each value of x and p far from every other, so that a small step changes no order. */
static Inputs inputs_new(bool alone) {
    Inputs in = {.right_rows = alone ? 5 : ROWS};
    for (int i = 0; i < ROWS; i++) {
        in.x[i] = (double)(i * 4 % ROWS) / 3 - 1.1;
        in.p[i] = (double)(i * 2 % ROWS) / 4 + 0.3;
        in.valid[i] = i != 3;
        in.left[i] = i % 4 + 1;
        in.right[i] = alone ? i : i % 3;
    }
    return in;
}

typedef weld_frame_t Build(weld_frame_t left, weld_frame_t right, weld_error_t error);

static weld_frame_t with(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_with(left, "x * x * y + if(x > 0, sqrt(x), exp(x)) as a, fill_null(m, 3) * x as b",
                           error);
}
static weld_frame_t filter(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_filter(left, "x > -0.5 && m < 1.5", error);
}
static weld_frame_t sort(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_sort(left, "k desc, x", error);
}
static weld_frame_t top(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_top(left, "x desc", 4, error);
}
static weld_frame_t tail(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_tail(left, 4, error);
}
static weld_frame_t distinct(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_distinct(left, "k", error);
}
static weld_frame_t concat(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    weld_frame_t parts[] = {weld_frame_select(left, "k, x", error),
                            weld_frame_select(right, "k, p as x", error)};
    weld_frame_t made = parts[0] && parts[1] ? weld_frame_concat(parts, 2, error) : NULL;
    weld_frame_free(parts[0]), weld_frame_free(parts[1]);
    return made;
}
static weld_frame_t sums(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_group_by(left, "k", "sum(x * y) as a, mean(m) as b, count() as n", error);
}
static weld_frame_t spread(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_group_by(left, "", "var(x) as a, std(m) as b", error);
}
static weld_frame_t spreads(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_group_by(left, "k", "var(x) as a, var(m) as b", error);
}
static weld_frame_t ends(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_group_by(left, "k", "min(x) as a, max(m) as b", error);
}
static weld_frame_t firsts(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    (void)right;
    return weld_frame_group_by(left, "k", "first(x) as a, last(m) as b", error);
}
static weld_frame_t inner(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    return weld_frame_join(left, right, WELD_FRAME_INNER, "k", error);
}
static weld_frame_t outer(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    return weld_frame_join(left, right, WELD_FRAME_LEFT, "k", error);
}
static weld_frame_t semi(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    return weld_frame_join(left, right, WELD_FRAME_SEMI, "k", error);
}
static weld_frame_t anti(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    return weld_frame_join(left, right, WELD_FRAME_ANTI, "k", error);
}
/* What a report does: the joined price counts in a new column, of which each group has a sum. */
static weld_frame_t revenue(weld_frame_t left, weld_frame_t right, weld_error_t error) {
    weld_frame_t joined = weld_frame_join(left, right, WELD_FRAME_INNER, "k", error);
    weld_frame_t more = weld_frame_with(joined, "x * p * p as total", error);
    weld_frame_t groups = weld_frame_group_by(more, "k", "sum(total) as a", error);
    weld_frame_free(joined), weld_frame_free(more);
    return groups;
}

static const struct {
    const char *name;
    Build *build;
    const char *columns[3]; /* of floats */
} cases[] = {
    {"with", with, {"a", "b"}},        {"filter", filter, {"x", "m"}},    {"sort", sort, {"x", "m"}},
    {"top", top, {"x", "y"}},          {"tail", tail, {"x", "m"}},        {"distinct", distinct, {"x", "m"}},
    {"concat", concat, {"x"}},         {"sums", sums, {"a", "b"}},        {"spread", spread, {"a", "b"}},
    {"spreads", spreads, {"a", "b"}},  {"ends", ends, {"a", "b"}},        {"firsts", firsts, {"a", "b"}},
    {"inner", inner, {"x", "p", "m"}}, {"outer", outer, {"x", "p", "m"}}, {"semi", semi, {"x", "m"}},
    {"anti", anti, {"x", "m"}},        {"revenue", revenue, {"a"}}};
enum { CASES = sizeof cases / sizeof *cases };

static weld_lazy_t doubles(const double *data, int64_t rows, weld_error_t error) {
    struct {
        const double *data;
        int64_t length;
    } vector = {data, rows};
    return weld_lazy_data("vec[f64]", &vector, NULL, NULL, error);
}

/* {k, x, y, m} where m is x, of which some are missing. */
static weld_frame_t left_of(const Inputs *in, weld_lazy_t x, weld_error_t error) {
    struct {
        const bool *data;
        int64_t length;
    } flags = {in->valid, ROWS};
    static const double ones[ROWS] = {1, 2, 1, 2, 3, 1, 2, 3, 1};
    weld_lazy_t valid = weld_lazy_data("vec[bool]", &flags, NULL, NULL, error);
    weld_frame_t keys =
        weld_frame_add_data(NULL, "k", WELD_FRAME_I64, in->left, NULL, ROWS, NULL, NULL, error);
    weld_frame_t one = weld_frame_add(keys, "x", WELD_FRAME_F64, x, NULL, error);
    weld_frame_t two = weld_frame_add_data(one, "y", WELD_FRAME_F64, ones, NULL, ROWS, NULL, NULL, error);
    weld_frame_t all = weld_frame_add(two, "m", WELD_FRAME_F64, x, valid, error);
    weld_frame_free(keys), weld_frame_free(one), weld_frame_free(two);
    weld_lazy_free(valid);
    return all;
}

static weld_frame_t right_of(const Inputs *in, weld_lazy_t p, weld_error_t error) {
    weld_frame_t keys =
        weld_frame_add_data(NULL, "k", WELD_FRAME_I64, in->right, NULL, in->right_rows, NULL, NULL, error);
    weld_frame_t all = weld_frame_add(keys, "p", WELD_FRAME_F64, p, NULL, error);
    weld_frame_free(keys);
    return all;
}

/* The sum of the column's elements that are there, by factors that tell them apart. */
static weld_lazy_t weighed(weld_frame_t frame, const char *name, weld_error_t error) {
    weld_lazy_t args[2] = {weld_frame_column(frame, name, error), weld_frame_valid(frame, name, error)};
    weld_lazy_t sum = weld_lazy_new(
        "test.weigh",
        args[1] ? "|v, there| result(for(zip(v, there), merger[f64, +], |b, i, e| "
                  "if(e.$1, merge(b, e.$0 * e.$0 * (f64(i) + 1.5)), b)))"
                : "|v| result(for(v, merger[f64, +], |b, i, e| merge(b, e * e * (f64(i) + 1.5))))",
        args, args[1] ? 2 : 1, error);
    weld_lazy_free(args[0]), weld_lazy_free(args[1]);
    return sum;
}

static weld_lazy_t loss_of(int c, const char *column, const Inputs *in, weld_lazy_t x, weld_lazy_t p,
                           weld_error_t error) {
    weld_frame_t left = left_of(in, x, error), right = right_of(in, p, error);
    weld_frame_t made = left && right ? cases[c].build(left, right, error) : NULL;
    cr_assert(made, "%s: %s", cases[c].name, weld_error_message(error));
    weld_lazy_t loss = weighed(made, column, error);
    cr_assert(loss, "%s.%s: %s", cases[c].name, column, weld_error_message(error));
    weld_frame_free(left), weld_frame_free(right), weld_frame_free(made);
    return loss;
}

static double value_of(int c, const char *column, const Inputs *in, weld_context_t context,
                       weld_error_t error) {
    weld_lazy_t x = doubles(in->x, ROWS, error), p = doubles(in->p, in->right_rows, error);
    weld_lazy_t loss = loss_of(c, column, in, x, p, error);
    weld_value_t value;
    cr_assert(weld_lazy_evaluate(context, &loss, 1, &value, error), "%s: %s", cases[c].name,
              weld_error_message(error));
    double number = *(const double *)weld_value_data(value);
    weld_value_free(value);
    weld_lazy_free(loss), weld_lazy_free(x), weld_lazy_free(p);
    return number;
}

/* Central differences, by the interpreter. */
static void slopes_of(int c, const char *column, Inputs in, double *slopes, int by_p, weld_error_t error) {
    weld_context_t context = context_of(&engines[0]);
    for (int64_t i = 0; i < (by_p ? in.right_rows : ROWS); i++) {
        double *at = by_p ? &in.p[i] : &in.x[i], middle = *at, step = 1e-5;
        *at = middle + step;
        double above = value_of(c, column, &in, context, error);
        *at = middle - step;
        slopes[i] = (above - value_of(c, column, &in, context, error)) / (2 * step);
        *at = middle;
    }
    weld_context_free(context);
}

static void expect_slopes(int c, const char *column, weld_value_t gradient, const double *slopes, int by_p,
                          int64_t rows) {
    const struct {
        const double *data;
        int64_t length;
    } *got = weld_value_data(gradient);
    cr_assert_eq(got->length, rows);
    for (int64_t i = 0; i < rows; i++)
        cr_expect(fabs(got->data[i] - slopes[i]) <= 1e-6 * (1 + fabs(slopes[i])),
                  "%s.%s by %s[%d]: %g, not %g", cases[c].name, column, by_p ? "p" : "x", (int)i,
                  got->data[i], slopes[i]);
}

static void check_case(int c, const char *column, bool alone) {
    weld_error_t error = weld_error_new();
    Inputs in = inputs_new(alone);
    double slopes[2][ROWS];
    weld_lazy_t by[2] = {doubles(in.x, ROWS, error), doubles(in.p, in.right_rows, error)}, gradients[2];
    weld_lazy_t loss = loss_of(c, column, &in, by[0], by[1], error);
    cr_assert(weld_lazy_grad(loss, by, 2, gradients, error), "%s.%s: %s", cases[c].name, column,
              weld_error_message(error));
    for (int k = 0; k < 2; k++) slopes_of(c, column, in, slopes[k], k, error);
    for (int e = 0; e < ENGINES; e++) {
        weld_context_t context = context_of(&engines[e]);
        weld_value_t values[2];
        cr_assert(weld_lazy_evaluate(context, gradients, 2, values, error), "%s: %s", cases[c].name,
                  weld_error_message(error));
        for (int k = 0; k < 2; k++) {
            expect_slopes(c, column, values[k], slopes[k], k, k ? in.right_rows : ROWS);
            weld_value_free(values[k]);
        }
        weld_context_free(context);
    }
    for (int k = 0; k < 2; k++) weld_lazy_free(by[k]), weld_lazy_free(gradients[k]);
    weld_lazy_free(loss);
    weld_error_free(error);
}

Test(frame_derivatives, of_tables, .timeout = 300) {
    for (int c = 0; c < CASES; c++) {
        for (int k = 0; k < 3 && cases[c].columns[k]; k++) {
            check_case(c, cases[c].columns[k], true);
            check_case(c, cases[c].columns[k], false);
        }
    }
}
