/* frame.c: the adapter `frame` against loops in plain C over random tables: each operation under the interpreter, compiled
 * code and several threads, over empty tables, tables without, with some and with only missing values. */
#include "frame_ref.h"

#include <time.h>

static const int64_t sizes[] = {0, 1, 2, 17, 100, 1000};
static const int shares[] = {-1, 0, 3, 10};

typedef void (*Body)(weld_context_t context, const Table *t, weld_error_t error);

/* Every engine, size and share of missing values. */
static void everywhere(Body body) {
    weld_error_t error = weld_error_new();
    for (int e = 0; e < ENGINES; e++) {
        weld_context_t context = context_of(&engines[e]);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (size_t j = 0; j < sizeof shares / sizeof *shares; j++) {
                Table t = table_new(sizes[i], shares[j]);
                body(context, &t, error);
                table_free(&t);
            }
        }
        cr_assert_eq(weld_context_memory_usage(context), 0);
        weld_context_free(context);
    }
    weld_error_free(error);
}

/* ---- expressions ---- */

static Cell both(const Table *t, int a, int b, int64_t i, Cell cell) {
    return there(t, a, i) && there(t, b, i) ? cell : missing;
}

static Cell c_sum(const Table *t, int64_t i) {
    return both(t, X, N, i, real(t->x[i] + t->n[i]));
}
static Cell c_quotient(const Table *t, int64_t i) {
    return both(t, N, K, i, real((double)t->n[i] / (double)t->k[i]));
}
static Cell c_rest(const Table *t, int64_t i) {
    if (!there(t, N, i) || !there(t, K, i) || t->k[i] == 0) return missing;
    return integer(t->n[i] % t->k[i]);
}
static Cell c_div(const Table *t, int64_t i) {
    if (!there(t, N, i) || !there(t, K, i) || t->k[i] == 0) return missing;
    return integer(t->n[i] / t->k[i]);
}
static Cell c_promote(const Table *t, int64_t i) {
    return both(t, U, N, i, integer((int32_t)((uint32_t)t->u[i] * (uint32_t)t->n[i])));
}
static Cell c_single(const Table *t, int64_t i) {
    return there(t, F, i) ? real((double)(t->f[i] * 2.5f)) : missing;
}
static Cell c_less(const Table *t, int64_t i) {
    return both(t, X, F, i, integer(t->x[i] < (double)t->f[i]));
}
/* -1: missing */
static int truth(const Table *t, int column, int64_t i, bool is) {
    return there(t, column, i) ? is : -1;
}
static Cell logic(int truth) {
    return truth < 0 ? missing : integer(truth);
}
static Cell c_and(const Table *t, int64_t i) {
    int a = truth(t, B, i, t->b[i]), b = truth(t, X, i, t->x[i] > 0);
    return logic(a == 0 || b == 0 ? 0 : a < 0 || b < 0 ? -1 : 1);
}
static Cell c_or(const Table *t, int64_t i) {
    int a = truth(t, B, i, t->b[i]), b = truth(t, X, i, t->x[i] > 0);
    return logic(a == 1 || b == 1 ? 1 : a < 0 || b < 0 ? -1 : 0);
}
static Cell c_not(const Table *t, int64_t i) {
    return there(t, B, i) ? integer(!t->b[i]) : missing;
}
static Cell c_if(const Table *t, int64_t i) {
    return there(t, B, i) && t->b[i] ? cell(t, X, i) : there(t, F, i) ? real((double)t->f[i]) : missing;
}
static Cell c_constant_arms(const Table *t, int64_t i) {
    return there(t, K, i) && t->k[i] > 0 ? text("many", 4) : text("few", 3);
}
static Cell c_is_null(const Table *t, int64_t i) {
    return integer(!there(t, T, i));
}
static Cell c_fill(const Table *t, int64_t i) {
    return there(t, N, i) ? integer(t->n[i]) : integer(7);
}
static Cell c_fill_other(const Table *t, int64_t i) {
    return there(t, X, i) ? real(t->x[i]) : cell(t, F, i);
}
static Cell c_nullif(const Table *t, int64_t i) {
    return there(t, K, i) && t->k[i] == 0 ? missing : cell(t, X, i);
}
static struct tm calendar(const Table *t, int64_t i) {
    time_t seconds = (time_t)t->d[i] * 86400;
    struct tm tm;
    gmtime_r(&seconds, &tm);
    return tm;
}
static Cell c_year(const Table *t, int64_t i) {
    return there(t, D, i) ? integer(calendar(t, i).tm_year + 1900) : missing;
}
static Cell c_month(const Table *t, int64_t i) {
    return there(t, D, i) ? integer(calendar(t, i).tm_mon + 1) : missing;
}
static Cell c_day(const Table *t, int64_t i) {
    return there(t, D, i) ? integer(calendar(t, i).tm_mday) : missing;
}
static Cell c_weekday(const Table *t, int64_t i) {
    return there(t, D, i) ? integer((calendar(t, i).tm_wday + 6) % 7 + 1) : missing;
}
static Cell c_date_text(const Table *t, int64_t i) {
    static char texts[64][20];
    char *out = texts[i % 64];
    struct tm tm = calendar(t, i);
    return there(t, D, i) ? text(out, (int64_t)strftime(out, 20, "%Y-%m-%d", &tm)) : missing;
}
static Cell c_same_date(const Table *t, int64_t i) {
    return cell(t, D, i);
}
static Cell c_days(const Table *t, int64_t i) {
    return there(t, D, i) ? integer(t->d[i] - 10957) : missing;
}
static Cell c_since(const Table *t, int64_t i) {
    return there(t, D, i) ? integer(t->d[i] >= 10957) : missing;
}
static Cell c_text_order(const Table *t, int64_t i) {
    return there(t, T, i) ? integer(compare_text(t->t[i], (weld_frame_text_t){"b", 1}) < 0) : missing;
}
static Cell c_text_same(const Table *t, int64_t i) {
    return there(t, T, i) ? integer(strcmp(t->t[i].data, "äpfel") == 0) : missing;
}
static Cell c_length(const Table *t, int64_t i) {
    int64_t count = 0;
    for (int64_t j = 0; j < t->t[i].length; j++) count += ((unsigned char)t->t[i].data[j] & 0xc0) != 0x80;
    return there(t, T, i) ? integer(count) : missing;
}
static Cell c_starts(const Table *t, int64_t i) {
    return there(t, T, i) ? integer(strncmp(t->t[i].data, "app", 3) == 0) : missing;
}
static Cell c_ends(const Table *t, int64_t i) {
    int64_t n = t->t[i].length;
    return there(t, T, i) ? integer(n > 0 && t->t[i].data[n - 1] == 'e') : missing;
}
static Cell c_contains(const Table *t, int64_t i) {
    return there(t, T, i) ? integer(strstr(t->t[i].data, "pp") != NULL) : missing;
}
static Cell c_upper(const Table *t, int64_t i) {
    static char texts[64][40];
    char *out = texts[i % 64];
    for (int64_t j = 0; j < t->t[i].length; j++) {
        char c = t->t[i].data[j];
        out[j] = c >= 'a' && c <= 'z' ? (char)(c - 32) : c;
    }
    return there(t, T, i) ? text(out, t->t[i].length) : missing;
}
static Cell c_concat(const Table *t, int64_t i) {
    static char texts[64][80];
    char *out = texts[i % 64];
    return there(t, T, i) ? text(out, sprintf(out, "%s-%s", t->t[i].data, t->t[i].data)) : missing;
}
static Cell c_in(const Table *t, int64_t i) {
    return there(t, K, i) ? integer(t->k[i] == 1 || t->k[i] == -3) : missing;
}
static Cell c_abs(const Table *t, int64_t i) {
    return there(t, X, i) ? real(fabs(t->x[i])) : missing;
}
static Cell c_min(const Table *t, int64_t i) {
    return both(t, X, F, i, real(fmin(t->x[i], (double)t->f[i])));
}
static Cell c_narrow(const Table *t, int64_t i) {
    return there(t, N, i) ? integer((int8_t)t->n[i]) : missing;
}
static Cell c_integer_back(const Table *t, int64_t i) {
    return cell(t, N, i);
}
static Cell c_real_back(const Table *t, int64_t i) {
    return cell(t, X, i);
}
static Cell c_no_number(const Table *t, int64_t i) {
    (void)t, (void)i;
    return missing;
}
static Cell c_floor(const Table *t, int64_t i) {
    return there(t, X, i) ? real(floor(t->x[i])) : missing;
}
static Cell c_nan(const Table *t, int64_t i) {
    return there(t, X, i) ? integer(isnan(t->x[i])) : missing;
}
static Cell c_constant(const Table *t, int64_t i) {
    (void)t, (void)i;
    return real(2.5);
}

static const struct {
    const char *text;
    Cell (*cell)(const Table *t, int64_t i);
    weld_frame_type type;
} expressions[] = {
    {"x + n", c_sum, WELD_FRAME_F64},
    {"n / k", c_quotient, WELD_FRAME_F64},
    {"n % k", c_rest, WELD_FRAME_I64},
    {"div(n, k)", c_div, WELD_FRAME_I64},
    {"u * n", c_promote, WELD_FRAME_I32},
    {"f * 2.5", c_single, WELD_FRAME_F32},
    {"x < f", c_less, WELD_FRAME_BOOL},
    {"b && x > 0", c_and, WELD_FRAME_BOOL},
    {"b || x > 0", c_or, WELD_FRAME_BOOL},
    {"!b", c_not, WELD_FRAME_BOOL},
    {"if(b, x, f)", c_if, WELD_FRAME_F64},
    {"if(k > 0, \"many\", 'few')", c_constant_arms, WELD_FRAME_TEXT},
    {"if(k == 0, null, x)", c_nullif, WELD_FRAME_F64},
    {"is_null(t)", c_is_null, WELD_FRAME_BOOL},
    {"fill_null(n, 7)", c_fill, WELD_FRAME_I32},
    {"fill_null(x, f)", c_fill_other, WELD_FRAME_F64},
    {"year(d)", c_year, WELD_FRAME_I32},
    {"month(d)", c_month, WELD_FRAME_I32},
    {"day(d)", c_day, WELD_FRAME_I32},
    {"weekday(d)", c_weekday, WELD_FRAME_I32},
    {"text(d)", c_date_text, WELD_FRAME_TEXT},
    {"date(text(d))", c_same_date, WELD_FRAME_DATE},
    {"make_date(year(d), month(d), day(d))", c_same_date, WELD_FRAME_DATE},
    {"d - '2000-01-01'", c_days, WELD_FRAME_I32},
    {"(d + 30) - 30", c_same_date, WELD_FRAME_DATE},
    {"d >= \"2000-01-01\"", c_since, WELD_FRAME_BOOL},
    {"t < 'b'", c_text_order, WELD_FRAME_BOOL},
    {"t == 'äpfel'", c_text_same, WELD_FRAME_BOOL},
    {"length(t)", c_length, WELD_FRAME_I64},
    {"starts_with(t, 'app')", c_starts, WELD_FRAME_BOOL},
    {"ends_with(t, 'e')", c_ends, WELD_FRAME_BOOL},
    {"contains(t, 'pp')", c_contains, WELD_FRAME_BOOL},
    {"upper(t)", c_upper, WELD_FRAME_TEXT},
    {"concat(t, '-', t)", c_concat, WELD_FRAME_TEXT},
    {"t + '-' + t", c_concat, WELD_FRAME_TEXT},
    {"in(k, 1, -3)", c_in, WELD_FRAME_BOOL},
    {"abs(x)", c_abs, WELD_FRAME_F64},
    {"min(x, f)", c_min, WELD_FRAME_F64},
    {"i8(n)", c_narrow, WELD_FRAME_I8},
    {"i32(text(n))", c_integer_back, WELD_FRAME_I32},
    {"f64(text(x))", c_real_back, WELD_FRAME_F64},
    {"i64(concat('no ', t))", c_no_number, WELD_FRAME_I64},
    {"null + x", c_no_number, WELD_FRAME_F64},
    {"floor(x)", c_floor, WELD_FRAME_F64},
    {"is_nan(x)", c_nan, WELD_FRAME_BOOL},
    {"2.5", c_constant, WELD_FRAME_F64},
};
enum { EXPRESSIONS = sizeof expressions / sizeof *expressions };

static void check_expressions(weld_context_t context, const Table *t, weld_error_t error) {
    char all[4000] = "", name[20];
    for (int j = 0; j < EXPRESSIONS; j++)
        sprintf(all + strlen(all), "%s%s as e%d", j ? ", " : "", expressions[j].text, j);
    weld_frame_t made = collected("expressions", context, weld_frame_select(t->frame, all, error), error);
    for (int j = 0; j < EXPRESSIONS; j++) {
        sprintf(name, "e%d", j);
        weld_frame_type type = weld_frame_column_type(made, j);
        cr_assert_eq(type, expressions[j].type, "%s is %s", expressions[j].text, weld_frame_type_name(type));
        for (int64_t i = 0; i < t->rows; i++) {
            Cell got = cell_of(made, name, i), want = expressions[j].cell(t, i);
            cr_assert(same_cell(got, want), "%s of row %lld (k %s x %s n %s t %s) is %s, not %s",
                      expressions[j].text, (long long)i, cell_text(cell(t, K, i)), cell_text(cell(t, X, i)),
                      cell_text(cell(t, N, i)), cell_text(cell(t, T, i)), cell_text(got), cell_text(want));
        }
    }
    weld_frame_free(made);
}

Test(frame, expressions) {
    everywhere(check_expressions);
}

/* ---- rows ---- */

static bool met(Cell truth) {
    return truth.valid && truth.integer;
}
static bool w_and(const Table *t, int64_t i) {
    return met(c_and(t, i));
}
static bool w_mixed(const Table *t, int64_t i) {
    Cell either = c_or(t, i);
    bool denied = either.valid && !either.integer; /* missing is not met, negated or not */
    return denied || met(c_contains(t, i));
}
static bool w_none(const Table *t, int64_t i) {
    (void)t, (void)i;
    return false;
}
static bool w_present(const Table *t, int64_t i) {
    return there(t, T, i) && there(t, X, i);
}

static const struct {
    const char *text;
    bool (*met)(const Table *t, int64_t i);
} conditions[] = {
    {"b && x > 0", w_and},
    {"!(b || x > 0) || contains(t, 'pp')", w_mixed},
    {"null", w_none},
    {"!is_null(t) && !is_null(x)", w_present},
};

static void check_filter(weld_context_t context, const Table *t, weld_error_t error) {
    int64_t *from = malloc(((size_t)t->rows + 1) * sizeof *from);
    for (size_t j = 0; j < sizeof conditions / sizeof *conditions; j++) {
        int64_t count = 0;
        for (int64_t i = 0; i < t->rows; i++) {
            if (conditions[j].met(t, i)) from[count++] = i;
        }
        weld_frame_t made = collected(conditions[j].text, context,
                                      weld_frame_filter(t->frame, conditions[j].text, error), error);
        expect_rows(conditions[j].text, made, t, from, count);
        cr_assert_eq(weld_frame_rows(context, made, error), count);
        weld_frame_free(made);
    }
    free(from);
}

Test(frame, filter) {
    everywhere(check_filter);
}

static void check_slice(weld_context_t context, const Table *t, weld_error_t error) {
    static const int64_t bounds[][2] = {{0, 5},   {3, 4},        {-5, 3}, {-3, 100},
                                        {200, 5}, {-2000, 1990}, {0, 0},  {INT64_MIN, INT64_MAX}};
    int64_t *from = malloc(((size_t)t->rows + 1) * sizeof *from);
    for (size_t j = 0; j < sizeof bounds / sizeof *bounds; j++) {
        int64_t start = bounds[j][0], many = bounds[j][1], count = 0;
        for (int64_t i = 0; i < t->rows; i++) {
            int64_t first = start < 0 ? t->rows + start : start;
            if (i >= first && i - first < many) from[count++] = i;
        }
        weld_frame_t made =
            collected("slice", context, weld_frame_slice(t->frame, start, many, error), error);
        expect_rows("slice", made, t, from, count);
        weld_frame_free(made);
    }
    for (int64_t i = 0; i < 3 && i < t->rows; i++) from[i] = t->rows - (t->rows < 3 ? t->rows : 3) + i;
    weld_frame_t made = collected("tail", context, weld_frame_tail(t->frame, 3, error), error);
    expect_rows("tail", made, t, from, t->rows < 3 ? t->rows : 3);
    weld_frame_free(made);
    made = collected("tail", context, weld_frame_tail(t->frame, 0, error), error);
    expect_rows("tail of 0", made, t, from, 0);
    weld_frame_free(made);
    free(from);
}

Test(frame, slice) {
    everywhere(check_slice);
}

typedef struct Sort {
    const char *text;
    int columns[3];
    bool descending[3];
    int count;
} Sort;

static const Sort sorts[] = {
    {"k", {K}, {false}, 1},
    {"x desc", {X}, {true}, 1},
    {"x", {X}, {false}, 1},
    {"t", {T}, {false}, 1},
    {"t desc", {T}, {true}, 1},
    {"b desc, f asc, n", {B, F, N}, {true, false, false}, 3},
    {"k, t desc", {K, T}, {false, true}, 2},
    {"f desc, d desc", {F, D}, {true, true}, 2},
};

static bool before(const Table *t, const Sort *sort, int64_t a, int64_t b) {
    for (int j = 0; j < sort->count; j++) {
        int sign = order(cell(t, sort->columns[j], a), cell(t, sort->columns[j], b), sort->descending[j]);
        if (sign) return sign < 0;
    }
    return a < b;
}

static void sort_rows(const Table *t, const Sort *sort, int64_t *from) {
    for (int64_t i = 0; i < t->rows; i++) {
        int64_t at = i;
        for (; at > 0 && before(t, sort, i, from[at - 1]); at--) from[at] = from[at - 1];
        from[at] = i;
    }
}

static void check_sort(weld_context_t context, const Table *t, weld_error_t error) {
    int64_t *from = malloc(((size_t)t->rows + 1) * sizeof *from);
    for (size_t j = 0; j < sizeof sorts / sizeof *sorts; j++) {
        sort_rows(t, &sorts[j], from);
        weld_frame_t made =
            collected(sorts[j].text, context, weld_frame_sort(t->frame, sorts[j].text, error), error);
        expect_rows(sorts[j].text, made, t, from, t->rows);
        weld_frame_free(made);
        made = collected(sorts[j].text, context, weld_frame_top(t->frame, sorts[j].text, 10, error), error);
        expect_rows(sorts[j].text, made, t, from, t->rows < 10 ? t->rows : 10);
        weld_frame_free(made);
    }
    free(from);
}

Test(frame, sort_and_top) {
    everywhere(check_sort);
}

/* NaN equals NaN, missing equals missing. */
static bool equal(Cell a, Cell b) {
    return order(a, b, false) == 0;
}

static const Sort distincts[] = {
    {"k", {K}, {0}, 1},
    {"x", {X}, {0}, 1},
    {"t, b", {T, B}, {0}, 2},
    {"f, k, d", {F, K, D}, {0}, 3},
};

static bool same_keys(const Table *t, const Sort *keys, int64_t a, int64_t b) {
    for (int j = 0; j < keys->count; j++) {
        if (!equal(cell(t, keys->columns[j], a), cell(t, keys->columns[j], b))) return false;
    }
    return true;
}

static void check_distinct(weld_context_t context, const Table *t, weld_error_t error) {
    int64_t *from = malloc(((size_t)t->rows + 1) * sizeof *from);
    for (size_t j = 0; j < sizeof distincts / sizeof *distincts; j++) {
        int64_t count = 0;
        for (int64_t i = 0; i < t->rows; i++) {
            int64_t at = 0;
            while (at < count && !same_keys(t, &distincts[j], from[at], i)) at++;
            if (at == count) from[count++] = i;
        }
        weld_frame_t made =
            collected("distinct", context, weld_frame_distinct(t->frame, distincts[j].text, error), error);
        expect_rows(distincts[j].text, made, t, from, count);
        weld_frame_free(made);
    }
    /* of all columns, twice the same rows */
    weld_frame_t two = weld_frame_concat((weld_frame_t[]){t->frame, t->frame}, 2, error);
    weld_frame_t once = collected("distinct", context, weld_frame_distinct(t->frame, NULL, error), error);
    weld_frame_t made = collected("distinct", context, weld_frame_distinct(two, "", error), error);
    cr_assert_eq(weld_frame_rows(context, made, error), weld_frame_rows(context, once, error));
    weld_frame_free(once);
    weld_frame_free(made);
    weld_frame_free(two);
    free(from);
}

Test(frame, distinct) {
    everywhere(check_distinct);
}

static void check_concat(weld_context_t context, const Table *t, weld_error_t error) {
    Table none = table_new(3, -1);
    weld_frame_t frames[] = {t->frame, none.frame, t->frame};
    weld_frame_t made = collected("concat", context, weld_frame_concat(frames, 3, error), error);
    cr_assert_eq(weld_frame_rows(context, made, error), 2 * t->rows + 3);
    for (int c = 0; c < COLUMNS; c++) {
        for (int64_t i = 0; i < 2 * t->rows + 3; i++) {
            Cell want = i < t->rows       ? cell(t, c, i)
                        : i < t->rows + 3 ? cell(&none, c, i - t->rows)
                                          : cell(t, c, i - t->rows - 3);
            cr_assert(same_cell(cell_of(made, names[c], i), want), "concat: row %lld of %s", (long long)i,
                      names[c]);
        }
    }
    weld_frame_free(made);
    table_free(&none);
}

Test(frame, concat) {
    everywhere(check_concat);
}

/* ---- groups ---- */

typedef struct Aggregates {
    int64_t rows, count[COLUMNS], first[COLUMNS], last[COLUMNS], least[COLUMNS], greatest[COLUMNS],
        unique[COLUMNS];
    double sum, mean, var;
    int64_t whole;
} Aggregates;

static bool less(Cell a, Cell b) { /* for min and max: a number is before NaN */
    return order(a, b, false) < 0;
}

/* Of the rows that have the keys of row `at`; keys NULL: of all. */
static Aggregates aggregate(const Table *t, const Sort *keys, int64_t at) {
    Aggregates a = {0};
    int64_t *mine = malloc(((size_t)t->rows + 1) * sizeof *mine);
    for (int64_t i = 0; i < t->rows; i++) {
        if (!keys || same_keys(t, keys, at, i)) mine[a.rows++] = i;
    }
    for (int c = 0; c < COLUMNS; c++) {
        a.first[c] = a.last[c] = a.least[c] = a.greatest[c] = -1;
        for (int64_t j = 0; j < a.rows; j++) {
            int64_t i = mine[j], l = 0;
            Cell one = cell(t, c, i);
            if (!one.valid) continue;
            a.count[c]++;
            if (a.first[c] < 0) a.first[c] = i;
            a.last[c] = i;
            if (a.least[c] < 0 || less(one, cell(t, c, a.least[c]))) a.least[c] = i;
            Cell most = a.greatest[c] < 0 ? missing : cell(t, c, a.greatest[c]);
            if (!most.valid || isnan(most.real) || (!isnan(one.real) && less(most, one))) a.greatest[c] = i;
            while (!there(t, c, mine[l]) || !equal(cell(t, c, mine[l]), one)) l++;
            a.unique[c] += l == j;
        }
    }
    for (int64_t j = 0; j < a.rows; j++) {
        if (there(t, X, mine[j])) a.sum += t->x[mine[j]];
        if (there(t, N, mine[j])) a.whole += t->n[mine[j]], a.mean += (double)t->n[mine[j]];
    }
    a.mean /= (double)a.count[N];
    for (int64_t j = 0; j < a.rows; j++) {
        double left = (double)t->n[mine[j]] - a.mean;
        if (there(t, N, mine[j])) a.var += left * left;
    }
    a.var /= (double)(a.count[N] - 1);
    free(mine);
    return a;
}

static Cell cell_at(const Table *t, int column, int64_t row) {
    return row < 0 ? missing : cell(t, column, row);
}

#define EXPECT(name, want)                                                                           \
    do {                                                                                             \
        Cell got_ = cell_of(made, name, row), want_ = want;                                          \
        cr_assert(same_cell(got_, want_), "group_by %s: %s of group %lld is %s, not %s", what, name, \
                  (long long)row, cell_text(got_), cell_text(want_));                                \
    } while (0)

static const char aggregates_text[] = "count() as rows, count(x) as cx, sum(x) as sx, sum(n) as sn, sum(b) "
                                      "as sb, mean(n) as mn, var(n) as vn, std(n) as dn, "
                                      "min(x) as lx, max(x) as gx, min(f) as lf, min(n) as ln, max(u) as gu, "
                                      "min(d) as ld, min(b) as lb, max(b) as gb, "
                                      "min(t) as lt, max(t) as gt, first(t) as ft, last(x) as ex, first(d) "
                                      "as fd, n_unique(t) as ut, n_unique(x) as ux";

static void expect_group(const char *what, weld_frame_t made, int64_t row, const Table *t,
                         const Aggregates *a) {
    EXPECT("rows", integer(a->rows));
    EXPECT("cx", integer(a->count[X]));
    EXPECT("sx", real(a->sum));
    EXPECT("sn", integer(a->whole));
    EXPECT("mn", a->count[N] ? real(a->mean) : missing);
    EXPECT("vn", a->count[N] > 1 ? real(a->var) : missing);
    EXPECT("dn", a->count[N] > 1 ? real(sqrt(a->var)) : missing);
    EXPECT("lx", cell_at(t, X, a->least[X]));
    EXPECT("gx", cell_at(t, X, a->greatest[X]));
    EXPECT("lf", cell_at(t, F, a->least[F]));
    EXPECT("ln", cell_at(t, N, a->least[N]));
    EXPECT("gu", cell_at(t, U, a->greatest[U]));
    EXPECT("ld", cell_at(t, D, a->least[D]));
    EXPECT("lb", cell_at(t, B, a->least[B]));
    EXPECT("gb", cell_at(t, B, a->greatest[B]));
    EXPECT("lt", cell_at(t, T, a->least[T]));
    EXPECT("gt", cell_at(t, T, a->greatest[T]));
    EXPECT("ft", cell_at(t, T, a->first[T]));
    EXPECT("ex", cell_at(t, X, a->last[X]));
    EXPECT("fd", cell_at(t, D, a->first[D]));
    EXPECT("ut", integer(a->unique[T]));
    EXPECT("ux", integer(a->unique[X]));
}

static const Sort groupings[] = {
    {"k", {K}, {0}, 1},
    {"t, b", {T, B}, {0}, 2},
    {"f", {F}, {0}, 1},
};

static void check_group_by(weld_context_t context, const Table *t, weld_error_t error) {
    if (t->rows > 100) return; /* the reference is cubic */
    int64_t *from = malloc(((size_t)t->rows + 1) * sizeof *from);
    for (size_t j = 0; j < sizeof groupings / sizeof *groupings; j++) {
        const Sort *keys = &groupings[j];
        sort_rows(t, keys, from);
        const char *what = keys->text;
        weld_frame_t made =
            collected(what, context, weld_frame_group_by(t->frame, what, aggregates_text, error), error);
        int64_t row = 0;
        for (int64_t i = 0; i < t->rows; i++) {
            if (i && same_keys(t, keys, from[i - 1], from[i])) continue;
            cr_assert_lt(row, weld_frame_rows(context, made, error));
            for (int c = 0; c < keys->count; c++) {
                Cell got = cell_of(made, names[keys->columns[c]], row);
                cr_assert(equal(got, cell(t, keys->columns[c], from[i])), "group_by %s: key %s", what,
                          cell_text(got));
            }
            Aggregates a = aggregate(t, keys, from[i]);
            expect_group(what, made, row++, t, &a);
        }
        cr_assert_eq(weld_frame_rows(context, made, error), row);
        weld_frame_free(made);
    }
    weld_frame_t made =
        collected("all", context, weld_frame_group_by(t->frame, NULL, aggregates_text, error), error);
    cr_assert_eq(weld_frame_rows(context, made, error), 1);
    Aggregates a = aggregate(t, NULL, 0);
    expect_group("nothing", made, 0, t, &a);
    weld_frame_free(made);
    free(from);
}

Test(frame, group_by) {
    everywhere(check_group_by);
}

/* ---- joins ---- */

static bool partners(const Table *a, const Table *b, const int *columns, int count, int64_t i, int64_t j) {
    for (int c = 0; c < count; c++) {
        Cell x = cell(a, columns[c], i), y = cell(b, columns[c], j);
        if (!x.valid || !y.valid || !equal(x, y)) return false;
    }
    return true;
}

static void check_join(weld_context_t context, const Table *t, weld_error_t error) {
    static const struct {
        const char *on;
        int columns[2], count;
    } rows[] = {{"n", {N}, 1}, {"t, k", {T, K}, 2}};
    Table other = table_new(t->rows > 100 ? 100 : t->rows / 2 + 3, 2);
    for (size_t r = 0; r < sizeof rows / sizeof *rows; r++) {
        for (int how = WELD_FRAME_INNER; how <= WELD_FRAME_ANTI; how++) {
            weld_frame_t made = collected(
                rows[r].on, context,
                weld_frame_join(t->frame, other.frame, (weld_frame_how)how, rows[r].on, error), error);
            int64_t row = 0, all = weld_frame_rows(context, made, error);
            bool pairs = how == WELD_FRAME_INNER || how == WELD_FRAME_LEFT;
            for (int64_t i = 0; i < t->rows; i++) {
                int64_t found = 0;
                for (int64_t j = 0; j < other.rows; j++) {
                    if (!partners(t, &other, rows[r].columns, rows[r].count, i, j)) continue;
                    found++;
                    if (!pairs) continue;
                    cr_assert_lt(row, all);
                    cr_assert(same_cell(cell_of(made, "x", row), cell(t, X, i)));
                    cr_assert(same_cell(cell_of(made, "x_right", row), cell(&other, X, j)));
                    cr_assert(same_cell(cell_of(made, "d_right", row), cell(&other, D, j)));
                    row++;
                }
                bool left = how == WELD_FRAME_LEFT && !found;
                if (left || (how == WELD_FRAME_SEMI && found) || (how == WELD_FRAME_ANTI && !found)) {
                    cr_assert_lt(row, all, "join %d on %s", how, rows[r].on);
                    cr_assert(same_cell(cell_of(made, "t", row), cell(t, T, i)));
                    if (left)
                        cr_assert(!cell_of(made, "x_right", row).valid &&
                                  !cell_of(made, "u_right", row).valid);
                    row++;
                }
            }
            cr_assert_eq(row, all, "join %d on %s: %lld rows, not %lld", how, rows[r].on, (long long)all,
                         (long long)row);
            weld_frame_free(made);
        }
    }
    table_free(&other);
}

Test(frame, join) {
    everywhere(check_join);
}

Test(frame, keys_of_joins_are_expressions) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    static const char left[] = "id,name\n1,Anna\n2,BERT\n",
                      right[] = "number,who,id\n1.0,anna,7\n2.5,bert,8\n";
    weld_frame_t a = weld_frame_parse_csv(left, (int64_t)strlen(left), NULL, error);
    weld_frame_t b = weld_frame_parse_csv(right, (int64_t)strlen(right), NULL, error);
    weld_frame_t made =
        collected("join", context,
                  weld_frame_join(a, b, WELD_FRAME_INNER, "id == number, lower(name) == who", error), error);
    cr_assert_eq(weld_frame_rows(context, made, error), 1);
    cr_assert_eq(cell_of(made, "id_right", 0).integer, 7);
    weld_frame_free(made);
    made = collected("join", context, weld_frame_join(a, b, WELD_FRAME_LEFT, "lower(name) == who", error),
                     error);
    cr_assert_eq(cell_of(made, "id_right", 1).integer, 8);
    cr_assert_eq(weld_frame_column_count(made), 5);
    weld_frame_free(made);
    weld_frame_free(a);
    weld_frame_free(b);
    weld_context_free(context);
    weld_error_free(error);
}

/* ---- CSV ---- */

static void check_round_trip(weld_context_t context, const Table *t, weld_error_t error) {
    static const weld_frame_csv_t types = {
        .types = "k: i64, x: f64, n: i32, u: u8, f: f32, d: date, b: bool, t: text"};
    char *csv = weld_frame_format_csv(context, t->frame, error);
    cr_assert(csv, "%s", weld_error_message(error));
    weld_frame_t made = weld_frame_parse_csv(csv, (int64_t)strlen(csv), &types, error);
    cr_assert(made, "%s", weld_error_message(error));
    int64_t *from = malloc(((size_t)t->rows + 1) * sizeof *from);
    for (int64_t i = 0; i < t->rows; i++) from[i] = i;
    expect_rows("csv", made, t, from, t->rows);
    free(from);
    free(csv);
    weld_frame_free(made);
}

Test(frame, csv_round_trip) {
    everywhere(check_round_trip);
}

static weld_frame_t parsed(const char *csv, const weld_frame_csv_t *options, weld_error_t error) {
    return weld_frame_parse_csv(csv, (int64_t)strlen(csv), options, error);
}

Test(frame, csv_types_are_found_out) {
    weld_error_t error = weld_error_new();
    static const struct {
        const char *csv;
        weld_frame_type type;
        int64_t rows;
    } rows[] = {
        {"a\ntrue\nfalse\n", WELD_FRAME_BOOL, 2},
        {"a\n1\n-9223372036854775808", WELD_FRAME_I64, 2},
        {"a\n1\n9223372036854775808\n", WELD_FRAME_F64, 2},
        {"a\r\n1\r\n2.5e3\r\n", WELD_FRAME_F64, 2},
        {"a\nnan\ninf\n", WELD_FRAME_F64, 2},
        {"a\n2024-02-29\n", WELD_FRAME_DATE, 1},
        {"a\n2023-02-29\n", WELD_FRAME_TEXT, 1},
        {"a\ntrue\n1\n", WELD_FRAME_TEXT, 2},
        {"a\n2024-02-29\n1\n", WELD_FRAME_TEXT, 2},
        {"a\n0x10\n", WELD_FRAME_TEXT, 1},
        {"a\n \n", WELD_FRAME_TEXT, 1},
        {"a\n", WELD_FRAME_TEXT, 0},
        {"a", WELD_FRAME_TEXT, 0},
        {"\xef\xbb\xbf"
         "a\n1\n",
         WELD_FRAME_I64, 1},
        {"a\n\n1\n", WELD_FRAME_I64, 2}, /* of one column an empty line is a missing value */
        {"a\n\"x\"\"y\"\n", WELD_FRAME_TEXT, 1},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weld_frame_t made = parsed(rows[i].csv, NULL, error);
        cr_assert(made, "%s", weld_error_message(error));
        int64_t count;
        cr_assert(weld_frame_data(made, "a", &count, NULL, error), "%s", weld_error_message(error));
        cr_assert_eq(weld_frame_column_type(made, 0), rows[i].type, "%s: %s", rows[i].csv,
                     weld_frame_type_name(weld_frame_column_type(made, 0)));
        cr_assert_eq(count, rows[i].rows, "%s", rows[i].csv);
        weld_frame_free(made);
    }
    weld_frame_t made =
        parsed("1;x\n2;\n;\"\"\n", &(weld_frame_csv_t){.separator = ';', .no_header = true}, error);
    cr_assert(made, "%s", weld_error_message(error));
    cr_assert(cell_of(made, "c0", 0).integer == 1 && !cell_of(made, "c0", 2).valid);
    cr_assert(!cell_of(made, "c1", 1).valid && cell_of(made, "c1", 2).valid &&
              cell_of(made, "c1", 2).text.length == 0);
    weld_frame_free(made);
    weld_error_free(error);
}

static const struct {
    const char *csv, *types, *message;
} wrong_csv[] = {
    {"a,b\n1\n", NULL, "record 2: 1 fields instead of 2"},
    {"a\n\"x\n", NULL, "record 2: a quote is not closed"},
    {"a\n\"x\"y\n", NULL, "record 2: something follows a closing quote"},
    {"a,a\n1,2\n", NULL, "two columns are named `a`"},
    {"", NULL, "0 columns are too few"},
    {"a\nx\n", "a: i64", "record 2: `x` in column `a` is no i64"},
    {"a\n300\n", "a: u8", "is no u8"},
    {"a\n1\n", "b: i64", "`b: i64` in types is not a column and its type"},
    {"a\n1\n", "a: i65", "`a: i65` in types is not a column and its type"},
};

Test(frame, csv_that_is_wrong) {
    weld_error_t error = weld_error_new();
    for (size_t i = 0; i < sizeof wrong_csv / sizeof *wrong_csv; i++) {
        cr_assert_null(parsed(wrong_csv[i].csv, &(weld_frame_csv_t){.types = wrong_csv[i].types}, error),
                       "%s", wrong_csv[i].csv);
        const char *message = weld_error_message(error);
        cr_assert(strstr(message, "frame.parse_csv: ") && strstr(message, wrong_csv[i].message), "%s",
                  message);
    }
    cr_assert_null(weld_frame_read_csv("/nowhere/at/all.csv", NULL, error));
    cr_assert_eq(weld_error_code(error), WELD_FILE_ERROR);
    cr_assert(strstr(weld_error_message(error), "frame.read_csv: /nowhere/at/all.csv"));
    weld_error_free(error);
}

Test(frame, csv_files) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    Table t = table_new(5000, 3);
    char path[] = "/tmp/weldc-frame-XXXXXX";
    int file = mkstemp(path);
    cr_assert(file >= 0);
    cr_assert(weld_frame_write_csv(context, t.frame, path, error), "%s", weld_error_message(error));
    weld_frame_t made =
        weld_frame_read_csv(path, &(weld_frame_csv_t){.types = "n: i32, u: u8, f: f32"}, error);
    cr_assert(made, "%s", weld_error_message(error));
    for (int64_t i = 0; i < t.rows; i++) {
        for (int c = 0; c < COLUMNS; c++) cr_assert(same_cell(cell_of(made, names[c], i), cell(&t, c, i)));
    }
    cr_assert_not(weld_frame_write_csv(context, t.frame, "/nowhere/at/all.csv", error));
    cr_assert_eq(weld_error_code(error), WELD_FILE_ERROR);
    remove(path);
    weld_frame_free(made);
    table_free(&t);
    weld_context_free(context);
    weld_error_free(error);
}

/* ---- the rest ---- */

Test(frame, columns) {
    weld_error_t error = weld_error_new();
    Table t = table_new(10, 3);
    weld_frame_t made = weld_frame_drop(t.frame, "x, f", error);
    cr_assert_eq(weld_frame_column_count(made), 6);
    cr_assert_eq(weld_frame_find(made, "x"), -1);
    weld_frame_t other = weld_frame_rename(made, "k as key, n as k", error);
    cr_assert_str_eq(weld_frame_name(other, 0), "key");
    cr_assert_str_eq(weld_frame_name(other, 1), "k");
    weld_frame_t more = weld_frame_with(other, "k + 1 as key, key + 1 as `a name`", error);
    cr_assert(more, "%s", weld_error_message(error));
    cr_assert_eq(weld_frame_column_type(more, 0), WELD_FRAME_I32);
    cr_assert_eq(weld_frame_find(more, "a name"), 6);
    weld_frame_t last = weld_frame_select(more, "`a name`, key * 2, k", error);
    cr_assert_str_eq(weld_frame_name(last, 1), "key * 2");
    cr_assert_null(weld_frame_name(last, 3));
    cr_assert_eq(weld_frame_column_type(last, -1), WELD_FRAME_TYPES);
    weld_frame_free(last);
    weld_frame_free(more);
    weld_frame_free(other);
    weld_frame_free(made);
    table_free(&t);
    weld_error_free(error);
}

typedef weld_frame_t (*Step)(weld_frame_t frame, const char *text, weld_error_t error);

static weld_frame_t group_by_k(weld_frame_t frame, const char *text, weld_error_t error) {
    return weld_frame_group_by(frame, "k", text, error);
}
static weld_frame_t join_itself(weld_frame_t frame, const char *text, weld_error_t error) {
    return weld_frame_join(frame, frame, WELD_FRAME_INNER, text, error);
}
static weld_frame_t top_3(weld_frame_t frame, const char *text, weld_error_t error) {
    return weld_frame_top(frame, text, 3, error);
}

static const struct {
    Step step;
    const char *text, *message;
} mistakes[] = {
    {weld_frame_filter, "prise > 3", "frame.filter: there is no column `prise`; did you mean `price`?"},
    {weld_frame_filter, "category == 3", "frame.filter: there is no column `category`"},
    {weld_frame_filter, "price > 'a'", "frame.filter: f64 and text do not go together in `price > 'a'`"},
    {weld_frame_filter, "price + 1", "frame.filter: the condition is f64, not bool, in `price + 1`"},
    {weld_frame_filter, "price > ", "frame.filter: an expression is missing at the end"},
    {weld_frame_filter, "(price > 1", "frame.filter: a ) is missing"},
    {weld_frame_filter, "price > 1)", "frame.filter: this does not belong here: in `)`"},
    {weld_frame_filter, "price ? 1", "frame.filter: this does not belong here: in `? 1`"},
    {weld_frame_filter, "", "frame.filter: an expression is missing"},
    {weld_frame_filter, NULL, "frame.filter: the text is NULL"},
    {weld_frame_filter, "day > 'tomorrow'", "frame.filter: this is no date (YYYY-MM-DD) in `'tomorrow'`"},
    {weld_frame_filter, "name && true", "frame.filter: && is for bool, not text, in `name && true`"},
    {weld_frame_filter, "!price", "frame.filter: ! is for bool, not f64, in `!price`"},
    {weld_frame_filter, "name == \"x", "frame.filter: a text has no end"},
    {weld_frame_filter, "name == '\\q'", "frame.filter: a \\ is followed by"},
    {weld_frame_filter, "sum(price) > 1",
     "frame.filter: sum is an aggregate, for frame.group_by, in `sum(price)`"},
    {weld_frame_select, "-name", "frame.select: - is for numbers, not text, in `-name`"},
    {weld_frame_select, "name * 2", "frame.select: text and i64 do not go together in `name * 2`"},
    {weld_frame_select, "name - name", "frame.select: - is for numbers, not text, in `name - name`"},
    {weld_frame_select, "day * 2", "frame.select: date and i64 do not go together"},
    {weld_frame_select, "day + day", "frame.select: date and date do not go together"},
    {weld_frame_select, "upper(price)",
     "frame.select: argument 1 of upper is a text, not f64, in `upper(price)`"},
    {weld_frame_select, "upper()", "frame.select: upper takes 1 argument in `upper()`"},
    {weld_frame_select, "uper(name)", "frame.select: there is no function uper in `uper(name)`"},
    {weld_frame_select, "null", "frame.select: the type of null is not known in `null`"},
    {weld_frame_select, "price, name as price", "frame.select: two columns would be `price`"},
    {weld_frame_select, "date(price)", "frame.select: f64 does not become date in `date(price)`"},
    {weld_frame_select, "if(price, 1, 2)", "frame.select: if takes a bool and two values"},
    {weld_frame_select, "99999999999999999999", "frame.select: the number is too large"},
    {weld_frame_select, "price,", "frame.select: an expression is missing"},
    {weld_frame_with, "k as", "frame.with: a name is missing"},
    {weld_frame_with, "`k", "frame.with: a name has no second `"},
    {weld_frame_drop, "nam", "frame.drop: there is no column `nam`; did you mean `name`?"},
    {weld_frame_drop, "k + 1", "frame.drop: a name is expected in `k + 1`"},
    {weld_frame_drop, "k, price, name, day", "frame.drop: no column would be left"},
    {weld_frame_rename, "k", "frame.rename: `name as other` is expected in `k`"},
    {weld_frame_rename, "k as price", "frame.rename: two columns would be `price`"},
    {weld_frame_sort, "", "frame.sort: an expression is missing"},
    {weld_frame_sort, "price up", "frame.sort: this does not belong here: in `up`"},
    {top_3, "prize", "frame.top: there is no column `prize`; did you mean `price`?"},
    {weld_frame_distinct, "kk", "frame.distinct: there is no column `kk`; did you mean `k`?"},
    {group_by_k, "price", "frame.group_by: count, sum, mean"},
    {group_by_k, "sum(name)", "frame.group_by: sum is for numbers, not text, in `name`"},
    {group_by_k, "sum(price, k)", "frame.group_by: sum takes one expression"},
    {group_by_k, "count() as k", "frame.group_by: two columns would be `k`"},
    {group_by_k, "mean(prce)", "frame.group_by: there is no column `prce`; did you mean `price`?"},
    {join_itself, "", "frame.join: there are no keys"},
    {join_itself, "k == name", "frame.join: i64 and text do not go together"},
    {join_itself, "k == price == k", "frame.join: more than one == stand between two commas"},
    {join_itself, "kay", "frame.join: there is no column `kay`"},
};

Test(frame, mistakes_are_told) {
    weld_error_t error = weld_error_new();
    weld_frame_t frame = parsed("k,price,name,day\n1,2.5,a,2024-01-01\n", NULL, error);
    cr_assert(frame, "%s", weld_error_message(error));
    for (size_t i = 0; i < sizeof mistakes / sizeof *mistakes; i++) {
        weld_frame_t made = mistakes[i].step(frame, mistakes[i].text, error);
        const char *message = weld_error_message(error);
        cr_assert_null(made, "%s", mistakes[i].text);
        cr_assert(strstr(message, mistakes[i].message), "%s\nnot %s", message, mistakes[i].message);
        cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
        cr_assert_null(mistakes[i].step(NULL, mistakes[i].text, error));
        cr_assert(strstr(weld_error_message(error), "the frame is NULL"), "%s", weld_error_message(error));
        cr_assert_null(mistakes[i].step(frame, mistakes[i].text, NULL));
    }
    weld_frame_free(frame);
    weld_error_free(error);
}

Test(frame, deep_and_large_expressions) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_frame_t frame = parsed("k\n1\n", NULL, error);
    enum { ROOM = 20000 };
    char *code = malloc(ROOM);
    for (int most = 50; most <= 5000; most *= 10) {
        for (int shape = 0; shape < 3; shape++) {
            char *at = code;
            for (int i = 0; i < most; i++) *at++ = "(-!"[shape];
            strcpy(at, shape == 2 ? "true" : "k");
            at += strlen(at);
            for (int i = 0; shape == 0 && i < most; i++) *at++ = ')';
            *at = 0;
            weld_frame_t made = weld_frame_select(frame, code, error);
            cr_assert_eq(made != NULL, most == 50, "%d, %d: %s", shape, most, weld_error_message(error));
            weld_frame_free(made);
        }
    }
    strcpy(code, "k");
    for (int i = 0; i < 400; i++) strcat(code, " + k");
    weld_frame_t made = collected("sum", context, weld_frame_select(frame, code, error), error);
    cr_assert_eq(cell_of(made, code, 0).integer, 401);
    weld_frame_free(made);
    for (int i = 0; i < 400; i++) strcat(code, " + k");
    cr_assert_null(weld_frame_select(frame, code, error));
    cr_assert(strstr(weld_error_message(error), "too large"), "%s", weld_error_message(error));
    free(code);
    weld_frame_free(frame);
    weld_context_free(context);
    weld_error_free(error);
}

static int released;
static void count_release(void *user) {
    *(int *)user += 1;
}

Test(frame, arrays_are_released_once) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    double data[] = {1, 2, 3};
    bool valid[] = {true, false, true};
    for (int with = 0; with < 2; with++) {
        released = 0;
        weld_frame_t a = weld_frame_add_data(NULL, "x", WELD_FRAME_F64, data, with ? valid : NULL, 3,
                                             count_release, &released, error);
        weld_frame_t b = weld_frame_filter(a, "x > 2", error);
        weld_frame_t c = weld_frame_select(a, "x", error);
        weld_frame_free(a);
        weld_frame_t d = weld_frame_collect(context, b, error);
        cr_assert_eq(released, 0);
        weld_frame_free(b);
        weld_frame_free(c);
        weld_frame_free(d);
        cr_assert_eq(released, 1);
        cr_assert_null(
            weld_frame_add_data(NULL, "", WELD_FRAME_F64, data, valid, 3, count_release, &released, error));
        cr_assert_null(weld_frame_add_data(NULL, "x", WELD_FRAME_TYPES, data, valid, 3, count_release,
                                           &released, error));
        cr_assert_null(
            weld_frame_add_data(NULL, "x", WELD_FRAME_F64, NULL, valid, 3, count_release, &released, error));
        cr_assert_null(
            weld_frame_add_data(NULL, "x", WELD_FRAME_F64, data, valid, -1, count_release, &released, error));
        cr_assert_eq(released, 1);
    }
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
    weld_error_free(error);
}

Test(frame, lazy_columns) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    double data[] = {1, 2, 3};
    struct {
        const double *data;
        int64_t length;
    } three = {data, 3}, two = {data, 2};
    weld_lazy_t x = weld_lazy_data("vec[f64]", &three, NULL, NULL, error);
    weld_lazy_t y = weld_lazy_data("vec[f64]", &two, NULL, NULL, error);
    weld_frame_t a = weld_frame_add(NULL, "x", WELD_FRAME_F64, x, NULL, error);
    cr_assert(a, "%s", weld_error_message(error));
    cr_assert_null(weld_frame_add(a, "y", WELD_FRAME_I64, y, NULL, error));
    cr_assert(strstr(weld_error_message(error), "`y` is to be vec[i64], but its data are vec[f64]"));
    cr_assert_null(weld_frame_add(a, "y", WELD_FRAME_F64, y, x, error));
    cr_assert_null(weld_frame_add(a, "y", WELD_FRAME_F64, NULL, NULL, error));
    cr_assert_null(weld_frame_valid(a, "x", error));
    cr_assert_eq(weld_error_code(error), WELD_SUCCESS);
    cr_assert_null(weld_frame_column(a, "z", error));
    cr_assert(strstr(weld_error_message(error), "frame.column: there is no column `z`"));
    cr_assert_null(weld_frame_data(a, "x", NULL, NULL, error));
    cr_assert(strstr(weld_error_message(error), "not computed"));
    weld_frame_t b = weld_frame_add(a, "y", WELD_FRAME_F64, y, NULL, error);
    cr_assert_null(weld_frame_collect(context, b, error)); /* lengths differ */
    cr_assert(strstr(weld_error_message(error), "`y` has 2 rows, but `x` 3"), "%s",
              weld_error_message(error));
    weld_frame_t c = weld_frame_select(b, "x + y", error);
    cr_assert_null(weld_frame_collect(context, c, error));
    cr_assert_eq(weld_error_code(error), WELD_MISMATCHED_ZIP_SIZE);
    weld_frame_free(a);
    weld_frame_free(b);
    weld_frame_free(c);
    weld_lazy_free(x);
    weld_lazy_free(y);
    weld_context_free(context);
    weld_error_free(error);
}

/* Frame, another library's math, and a reduction: one loop over the inputs. */
Test(frame, fuses_with_other_libraries) {
    weld_error_t error = weld_error_new();
    Table t = table_new(100, 3);
    weld_frame_t some = weld_frame_filter(t.frame, "x > 0 && n < 10", error);
    weld_frame_t more = weld_frame_with(some, "x * n as total", error);
    weld_lazy_t total = weld_frame_column(more, "total", error);
    weld_lazy_t root = weld_lazy_new("math.root", "|v| map(v, |x| sqrt(x * x))", &total, 1, error);
    weld_lazy_t sum = weld_lazy_new("blas.sum", "|v| result(for(v, merger[f64,+], |b, i, e| merge(b, e)))",
                                    &root, 1, error);
    char *plan = weld_lazy_plan(&sum, 1, error);
    cr_assert(plan, "%s", weld_error_message(error));
    const char *loop = strstr(plan, "a loop over");
    cr_assert(loop && !strstr(loop + 1, "a loop over"), "%s", plan);
    cr_assert_null(strstr(plan, "fragment 1"), "%s", plan);
    free(plan);
    for (int e = 0; e < ENGINES; e++) {
        weld_context_t context = context_of(&engines[e]);
        weld_value_t value;
        cr_assert(weld_lazy_evaluate(context, &sum, 1, &value, error), "%s", weld_error_message(error));
        double want = 0;
        for (int64_t i = 0; i < t.rows; i++) {
            if (there(&t, X, i) && there(&t, N, i) && t.x[i] > 0 && t.n[i] < 10)
                want += sqrt(t.x[i] * t.n[i] * (t.x[i] * t.n[i]));
        }
        cr_assert(close_to(*(double *)weld_value_data(value), want));
        weld_value_free(value);
        weld_context_free(context);
    }
    weld_lazy_free(total);
    weld_lazy_free(root);
    weld_lazy_free(sum);
    weld_frame_free(some);
    weld_frame_free(more);
    table_free(&t);
    weld_error_free(error);
}

Test(frame, describe_and_print) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_frame_t frame =
        parsed("id,näme,x\n1,\"a\tb\",1.5\n2,,\n3,a text that is far too long to be shown in a cell,nan\n",
               NULL, error);
    char *table = weld_frame_print(context, frame, 2, error);
    cr_assert(table, "%s", weld_error_message(error));
    cr_assert_str_eq(table,
                     " id  näme    x\ni64  text  f64\n  1  a.b   1.5\n  2  -       -\n... 3 rows in all\n");
    free(table);
    table = weld_frame_print(context, frame, 100, error);
    cr_assert(strstr(table, "  3  a text that is far too long to …  nan\n"), "%s", table);
    free(table);
    cr_assert_null(weld_frame_print(context, frame, -1, error));
    weld_frame_t made = collected("describe", context, weld_frame_describe(frame, error), error);
    cr_assert_eq(weld_frame_rows(context, made, error), 3);
    cr_assert(close_to(cell_of(made, "mean", 0).real, 2) && close_to(cell_of(made, "std", 0).real, 1));
    cr_assert(cell_of(made, "missing", 1).integer == 1 && !cell_of(made, "mean", 1).valid);
    cr_assert(close_to(cell_of(made, "max", 2).real, 1.5) && cell_of(made, "unique", 2).integer == 2);
    weld_frame_free(made);
    weld_frame_free(frame);
    weld_context_free(context);
    weld_error_free(error);
}

Test(frame, null_and_wrong_arguments) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_frame_t frame = parsed("a\n1\n", NULL, error), none = NULL;
    cr_assert_null(weld_frame_slice(NULL, 0, 1, error));
    cr_assert_null(weld_frame_head(frame, -1, error));
    cr_assert_null(weld_frame_tail(frame, -1, error));
    cr_assert_null(weld_frame_top(frame, "a", -1, error));
    cr_assert_null(weld_frame_concat(NULL, 1, error));
    cr_assert_null(weld_frame_concat(&frame, 0, error));
    cr_assert_null(weld_frame_concat(&none, 1, error));
    cr_assert_null(weld_frame_join(frame, NULL, WELD_FRAME_INNER, "a", error));
    cr_assert_null(weld_frame_join(frame, frame, (weld_frame_how)9, "a", error));
    cr_assert_null(weld_frame_join(frame, frame, WELD_FRAME_INNER, NULL, error));
    cr_assert_null(weld_frame_group_by(frame, NULL, NULL, error));
    cr_assert_null(weld_frame_describe(NULL, error));
    cr_assert_null(weld_frame_collect(context, NULL, error));
    cr_assert_null(weld_frame_collect(NULL, frame, error));
    cr_assert_null(weld_frame_print(context, NULL, 1, error));
    cr_assert_eq(weld_frame_rows(context, NULL, error), -1);
    cr_assert_eq(weld_frame_column_count(NULL), -1);
    cr_assert_eq(weld_frame_find(frame, NULL), -1);
    cr_assert_null(weld_frame_column(frame, NULL, error));
    cr_assert_null(weld_frame_valid(NULL, "a", error));
    cr_assert_null(weld_frame_parse_csv(NULL, 1, NULL, error));
    cr_assert_null(weld_frame_read_csv(NULL, NULL, error));
    cr_assert_not(weld_frame_write_csv(context, frame, NULL, error));
    cr_assert_null(weld_frame_format_csv(context, NULL, error));
    cr_assert_null(weld_frame_type_name(WELD_FRAME_TYPES));
    weld_frame_free(NULL);
    weld_frame_free(frame);
    weld_context_free(context);
    weld_error_free(error);
}

/* ---- the table ---- */

/* Arguments for a row, as data of the language's type; the value that is expected, if it is not code against native. */
static const struct {
    const char *name, *program, *expected;
} row_tests[] = {
    {"make_date",
     "[frame.make_date(2024l, 2l, 29l), frame.make_date(2023l, 2l, 29l), frame.make_date(1l, 13l, 1l)]",
     "[[true,19782],[false,0],[false,0]]"},
    {"date",
     "[frame.date(\"1969-12-31\"), frame.date(\"1969-12-32\"), frame.date(\"\"), frame.date(\"69-12-31\")]",
     "[[true,-1],[false,0],[false,0],[false,0]]"},
    {"text_date", "frame.text_date(-1) == \"1969-12-31\" && frame.text_date(-800000) == \"-0221-09-04\"",
     "true"},
    {"integer",
     "[frame.integer(\"-9223372036854775808\"), frame.integer(\"9223372036854775808\"), "
     "frame.integer(\"+5\"), frame.integer(\"-\")]",
     "[[true,-9223372036854775808],[false,0],[true,5],[false,0]]"},
    {"real",
     "[frame.real(\"1.5e3\"), frame.real(\"-.5\"), frame.real(\"1e\"), frame.real(\"\"), "
     "frame.real(\"0x1\"), frame.real(\"-INF\"), frame.real(\"0.1\"), "
     "frame.real(\"123456789012345678901234567890\")]",
     "[[true,1500.0],[true,-0.5],[false,0.0],[false,0.0],[false,0.0],[true,\"-inf\"],[true,0.1],[true,1."
     "2345678901234568e+29]]"},
    {"text_i64", "frame.text_i64(-9223372036854775808l) == \"-9223372036854775808\"", "true"},
    {"text_u64", "frame.text_u64(18446744073709551615ul) == \"18446744073709551615\"", "true"},
    {"text_f64",
     "frame.text_f64(0.1) == \"0.1\" && frame.text_f64(1.0 / 3.0) == \"0.3333333333333333\" && "
     "frame.text_f64(-1.0 / 0.0) == \"-inf\" && frame.text_f64(-0.0) == \"-0\"",
     "true"},
    {"text_f32", "frame.text_f32(0.1f) == \"0.1\"", "true"},
    {"order",
     "[frame.order(\"a\", \"\\xc3\"), frame.order(\"a\", \"\"), frame.order(\"\", \"\"), frame.order(\"ab\", "
     "\"b\")]",
     "[-1,1,0,-1]"},
    {"contains",
     "[frame.contains(\"abab\", \"ba\"), frame.contains(\"aab\", \"ab\"), frame.contains(\"a\", \"\"), "
     "frame.contains(\"\", \"a\"), frame.contains(\"aa\", \"aab\")]",
     "[true,true,true,false,false]"},
    {"starts_with",
     "[frame.starts_with(\"abc\", \"ab\"), frame.starts_with(\"a\", \"ab\"), frame.starts_with(\"\", \"\")]",
     "[true,false,true]"},
    {"ends_with",
     "[frame.ends_with(\"abc\", \"bc\"), frame.ends_with(\"c\", \"bc\"), frame.ends_with(\"\", \"\")]",
     "[true,false,true]"},
    {"substring",
     "[frame.substring(\"äbcd\", 0l, 2l) == \"äb\", frame.substring(\"äbcd\", -2l, 9l) == \"cd\", "
     "frame.substring(\"ab\", 5l, 2l) == \"\", frame.substring(\"ab\", -5l, 4l) == \"a\", "
     "frame.substring(\"ab\", 0l, -1l) == \"\", frame.substring(\"\\x80\\x80a\", 0l, 1l) == \"a\"]",
     "[true,true,true,true,true,true]"},
    {"floor", "[frame.floor(-1.5), frame.floor(2.0)]", "[-2.0,2.0]"},
    {"ceil", "[frame.ceil(-1.5), frame.ceil(2.0)]", "[-1.0,2.0]"},
};

static char *run_json(const Engine *engine, const char *program, weld_error_t error) {
    weld_context_t context = context_of(engine);
    weld_lazy_t lazy = weld_lazy_new(NULL, program, NULL, 0, error);
    cr_assert(lazy, "%s", weld_error_message(error));
    weld_value_t value;
    cr_assert(weld_lazy_evaluate(context, &lazy, 1, &value, error), "%s: %s", program,
              weld_error_message(error));
    char *json = weld_value_json(value);
    weld_value_free(value);
    weld_lazy_free(lazy);
    weld_context_free(context);
    /* blanks do not matter */
    char *out = json;
    for (char *at = json; *at; at++) {
        if (*at != ' ') *out++ = *at;
    }
    *out = 0;
    return json;
}

/* Code and native of a row over many arguments, in one program. */
static void check_both(const weld_function_t *row, weld_error_t error) {
    bool of_text = strstr(row->code, "vec[i8]") != NULL;
    char program[4000];
    snprintf(program, sizeof program,
             of_text ? "let code = %s; let native = %s; [code(\"\") == native(\"\"), code(\"aZz{[`@\") == "
                       "native(\"aZz{[`@\"), "
                       "code(\"äÖé日\") == native(\"äÖé日\"), code(\"\\x80\\xff\") == native(\"\\x80\\xff\")]"
                     : "let code = %s; let native = %s; let wrong = |start: i64, step: i64| "
                       "result(for(rangeiter(0l, 20000l, 1l), "
                       "merger[i64,+], |b, i, e| (let d = i32(start + e * step); if(code(d) != native(d), "
                       "merge(b, 1l), b)))); "
                       "[wrong(-10000l, 1l) == 0l, wrong(-2147483648l, 214748l) == 0l, code(2147483647) == "
                       "native(2147483647), true]",
             row->code, row->native);
    for (int e = 0; e < ENGINES; e++) {
        char *json = run_json(&engines[e], program, error);
        cr_assert_str_eq(json, "[true,true,true,true]", "frame.%s: %s by %s", row->name, json,
                         engines[e].name);
        free(json);
    }
}

Test(frame, rows_of_the_table) {
    weld_error_t error = weld_error_new();
    const weld_adapter_t *adapter = weld_adapter_find("frame", error);
    cr_assert(adapter, "%s", weld_error_message(error));
    for (const weld_function_t *row = adapter->functions; row->name; row++) {
        bool tested = row->code && row->native;
        if (tested) check_both(row, error);
        for (size_t i = 0; i < sizeof row_tests / sizeof *row_tests; i++) {
            if (strcmp(row_tests[i].name, row->name) != 0) continue;
            tested = true;
            for (int e = 0; e < ENGINES; e++) {
                char *json = run_json(&engines[e], row_tests[i].program, error);
                cr_assert_str_eq(json, row_tests[i].expected, "frame.%s: %s by %s", row->name, json,
                                 engines[e].name);
                free(json);
            }
        }
        cr_assert(tested, "frame.%s has no test", row->name);
    }
    weld_error_free(error);
}
