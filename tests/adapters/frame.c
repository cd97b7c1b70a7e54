/* frame.c: the adapter `frame` against loops in plain C over random tables: each operation under the interpreter, compiled
 * code and several threads, over empty tables, tables without, with some and with only missing values. */
#include "frame_ref.h"

#include <time.h>

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
        bool umlaut = j && t->t[i].data[j - 1] == '\xc3'; /* ä, é: capitals are 32 below */
        out[j] = (c >= 'a' && c <= 'z') || (umlaut && c >= '\xa0') ? (char)(c - 32) : c;
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
    {"f desc", {F}, {true}, 1},
    {"d", {D}, {false}, 1},
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

/* The values of a key come with the rows' numbers; those of other columns are looked up. */
Test(frame, sort_has_its_keys) {
    static const double x[] = {2, 1};
    static const int64_t k[] = {1, 2};
    weld_error_t error = weld_error_new();
    weld_frame_t one = weld_frame_add_data(NULL, "x", WELD_FRAME_F64, x, NULL, 2, NULL, NULL, error);
    weld_frame_t both = weld_frame_add_data(one, "k", WELD_FRAME_I64, k, NULL, 2, NULL, NULL, error);
    static const char *const keys[] = {"x", "x desc, k"};
    for (int i = 0; i < 2; i++) {
        weld_frame_t sorted = weld_frame_sort(both, keys[i], error);
        cr_assert(sorted, "%s", weld_error_message(error));
        for (int j = 0; j < 2; j++) {
            weld_lazy_t column = weld_frame_column(sorted, j ? "k" : "x", error);
            char *text = weld_lazy_program(&column, 1, error);
            cr_assert(text, "%s", weld_error_message(error));
            cr_expect_eq(strstr(text, "lookup(") != NULL, i == 0 && j == 1, "%s", text);
            free(text);
            weld_lazy_free(column);
        }
        weld_frame_free(sorted);
    }
    weld_frame_free(one);
    weld_frame_free(both);
    weld_error_free(error);
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

/* Of keys that occur once, all columns of the right: they are carried by the dictionary, some at least. */
static void check_join_alone(weld_context_t context, const Table *t, weld_error_t error) {
    static const char *const all[] = {"x", "k", "u", "f", "b", "d", "t"};
    Table other = table_new(t->rows / 2 + 3, 2);
    weld_frame_t right = collected("distinct", context, weld_frame_distinct(other.frame, "n", error), error);
    int64_t count = weld_frame_rows(context, right, error);
    for (int how = WELD_FRAME_INNER; how <= WELD_FRAME_LEFT; how++) {
        weld_frame_t made = collected(
            "alone", context, weld_frame_join(t->frame, right, (weld_frame_how)how, "n", error), error);
        int64_t row = 0;
        for (int64_t i = 0; i < t->rows; i++) {
            Cell key = cell(t, N, i);
            int64_t j = 0;
            while (j < count && !(key.valid && same_cell(cell_of(right, "n", j), key))) j++;
            if (j == count && how == WELD_FRAME_INNER) continue;
            cr_assert(same_cell(cell_of(made, "t", row), cell(t, T, i)));
            for (size_t c = 0; c < sizeof all / sizeof *all; c++) {
                char name[20];
                snprintf(name, sizeof name, "%s_right", all[c]);
                Cell expected = j < count ? cell_of(right, all[c], j) : missing;
                cr_assert(same_cell(cell_of(made, name, row), expected), "%s of row %lld", name,
                          (long long)i);
            }
            row++;
        }
        cr_assert_eq(row, weld_frame_rows(context, made, error));
        weld_frame_free(made);
    }
    weld_frame_free(right);
    table_free(&other);
}

Test(frame, join_of_keys_that_are_alone) {
    everywhere(check_join_alone);
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
