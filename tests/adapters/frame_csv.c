/* frame_csv.c: CSV of the adapter `frame`: what is written reads back the same, types are found out, wrong text is told. */
#include "frame_ref.h"

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
