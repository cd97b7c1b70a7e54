/* frame_use.c: the adapter `frame` as programs use it: columns by name, mistakes, ownership, lazy columns, printing; and the
 * table of its functions, code against native. */
#include "frame_ref.h"

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

/* Values of the caller's are no part of a text: a quote in one is a quote, and a lazy one is computed with the rest. */
Test(frame, values_are_bound) {
    static const char sold[] =
        "name,price,day\nO'Neil \\,3,2024-01-05\nx' || true || ',4,2024-03-01\n\"say \"\"hi\"\"\",9,\n";
    static const char *const told[] = {"O'Neil \\", "x' || true || '", "say \"hi\""};
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_frame_t all = weld_frame_parse_csv(sold, (int64_t)strlen(sold), NULL, error);
    for (int64_t i = 0; i < 3; i++) {
        char *own = strdup(told[i]);
        weld_frame_text_t text = {own, (int64_t)strlen(own)};
        weld_frame_t bound = weld_frame_bind_data(all, "who", WELD_FRAME_TEXT, &text, error);
        memset(own, '?', strlen(own)); /* it was copied */
        free(own);
        weld_frame_t made = weld_frame_filter(bound, "name == $who", error);
        weld_frame_t one = collected("bound", context, made, error);
        cr_assert_eq(weld_frame_rows(context, one, error), 1, "%s", told[i]);
        Cell cell = cell_of(one, "name", 0);
        cr_assert(cell.text.length == (int64_t)strlen(told[i]) &&
                  !memcmp(cell.text.data, told[i], strlen(told[i])));
        weld_frame_free(one);
        weld_frame_free(bound);
    }
    /* The mean of the column by another library; the newest of two values; values of frames that are made from it. */
    weld_lazy_t price = weld_frame_column(all, "price", error);
    weld_lazy_t mean =
        weld_lazy_new(NULL, "|x| result(for(x, merger[f64,+], |b, i, e| merge(b, f64(e)))) / f64(len(x))",
                      &price, 1, error);
    int32_t day = 19787; /* 2024-03-05 */
    int64_t two = 2, three = 3;
    weld_frame_t steps[6] = {weld_frame_bind(all, "mean", WELD_FRAME_F64, mean, error)};
    steps[1] = weld_frame_bind_data(steps[0], "day", WELD_FRAME_DATE, &day, error);
    steps[2] = weld_frame_bind_data(steps[1], "n", WELD_FRAME_I64, &two, error);
    steps[3] = weld_frame_bind_data(steps[2], "n", WELD_FRAME_I64, &three, error);
    steps[4] = weld_frame_filter(steps[3], "price < $mean && day <= $day", error);
    steps[5] = weld_frame_with(steps[4], "price * $n as more, $day - day as days", error);
    weld_frame_t made = collected("bound", context, weld_frame_sort(steps[5], "price * -$n", error), error);
    cr_assert_eq(weld_frame_rows(context, made, error), 2);
    cr_assert_eq(cell_of(made, "more", 0).integer, 12);
    cr_assert_eq(cell_of(made, "days", 0).integer, 4);
    weld_frame_free(made);
    cr_assert_null(weld_frame_filter(all, "price < $mean", error));
    cr_assert_str_eq(weld_error_message(error),
                     "error[Argument]: frame.filter: no value is bound under this name, in `$mean`");
    cr_assert_null(weld_frame_bind(all, "mean", WELD_FRAME_I64, mean, error));
    cr_assert(strstr(weld_error_message(error), "frame.bind: `mean` is to be i64, but it is f64"));
    cr_assert_null(weld_frame_bind_data(all, "a b", WELD_FRAME_I64, &two, error));
    cr_assert_null(weld_frame_bind_data(all, "a", WELD_FRAME_TEXT, NULL, error));
    for (int i = 0; i < 6; i++) weld_frame_free(steps[i]);
    weld_lazy_free(mean);
    weld_lazy_free(price);
    weld_frame_free(all);
    weld_context_free(context);
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
    {"upper",
     "[frame.upper(\"äpfel ß\") == \"ÄPFEL ß\", frame.upper(\"жωñ\") == \"ЖΩÑ\", frame.upper(\"ÿıⱥ𐐨a\") == "
     "\"ŸIȺ𐐀A\", "
     "frame.upper(\"\\xc3a\\xa4\\xff\") == \"\\xc3A\\xa4\\xff\", frame.upper(\"\") == \"\"]",
     "[true,true,true,true,true]"},
    {"lower",
     "[frame.lower(\"ÄPFEL ẞ\") == \"äpfel ß\", frame.lower(\"ЖΩÑŐ\") == \"жωñő\", frame.lower(\"ŸȺ𐐀A\") == "
     "\"ÿⱥ𐐨a\", "
     "frame.lower(\"日本 A×Z\") == \"日本 a×z\", frame.lower(\"Ⱥ\") == \"ⱥ\"]",
     "[true,true,true,true,true]"},
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
