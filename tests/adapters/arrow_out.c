/* arrow_out.c: results as Arrow data: taken in again by the adapter itself they are what they were; who holds what; parts of
 * tables; what cannot be; memory that is refused at any moment, on both ways. */
#include "arrow_make.h"

#include <errno.h>
#include <math.h>

TestSuite(arrow_out, .init = begin, .fini = end, .timeout = 300);

/* What a program without arguments gives; the caller frees it. */
static weld_value_t run_in(weld_context_t context, const char *code) {
    weld_lazy_t lazy = weld_lazy_new(NULL, code, NULL, 0, error);
    cr_assert_not_null(lazy, "%s", weld_error_message(error));
    weld_value_t value = NULL;
    cr_assert(weld_lazy_evaluate(context, &lazy, 1, &value, error), "%s", weld_error_message(error));
    weld_lazy_free(lazy);
    return value;
}

static weld_value_t run(const char *code) {
    return run_in(contexts[0], code);
}

static Made must_export(const weld_arrow_field_t *field) {
    Made made;
    cr_assert(weld_arrow_export(field, &made.array, &made.schema, error), "%s", weld_error_message(error));
    cr_assert_eq(weld_error_code(error), 0);
    cr_assert(made.array.release && made.schema.release);
    return made;
}

/* Exports, takes in, compares. validity and dictionary: programs, or NULL. */
static void goes_round(const char *code, const char *format, const char *validity, const char *becomes,
                       const char *want, const char *want_validity) {
    weld_arrow_field_t field = {"name", format, run(code), validity ? run(validity) : NULL, NULL};
    Made made = must_export(&field);
    weld_value_free(field.values);
    weld_value_free(field.validity);
    cr_expect_str_eq(made.schema.name, "name");
    cr_expect_str_eq(made.schema.format, becomes);
    cr_expect_eq(made.schema.flags, validity ? ARROW_FLAG_NULLABLE : 0);
    if (strcmp(becomes, "+s") != 0 || !validity)
        cr_expect_eq(made.array.null_count > 0, want_validity != NULL);
    expect_made(made, want, want_validity);
}

Test(arrow_out, values) {
    static const char *const same[][3] = {
        {"[1c, -2c]", "c", "[1c, -2c]"},
        {"[1uc, 255uc]", "C", "[1uc, 255uc]"},
        {"[1si]", "s", "[1si]"},
        {"[1us]", "S", "[1us]"},
        {"[1, 2, 3]", "i", "[1, 2, 3]"},
        {"[1u]", "I", "[1u]"},
        {"[]: vec[i64]", "l", "[]: vec[i64]"},
        {"[1ul]", "L", "[1ul]"},
        {"[1.5f, -0f]", "f", "[1.5f, -0.0f]"},
        {"[1.5, 0.0 / 0.0, 1.0 / 0.0]", "g", NULL},
        {"[true, false, true, true, false, false, false, false, true]", "b",
         "[true, false, true, true, false, false, false, false, true]"},
        {"[]: vec[bool]", "b", "[]: vec[bool]"},
        {"5", "i", "[5]"},
        {"true", "b", "[true]"},
        {"[\"ab\", \"\", \"cde\", \"\xcf\x80\"]", "u", NULL},
        {"\"abc\"", "c", "\"abc\""},
        {"[]: vec[vec[i8]]", "u", "[]: vec[vec[i8]]"},
        {"[[1, 2], [], [3]]", "+l", "[[1, 2], [], [3]]"},
        {"[[1uc], [2uc]]", "+l", "[[1uc], [2uc]]"},
        {"[[true], []]", "+l", "[[true], []]"},
        {"[[\"a\", \"bc\"], [], [\"\"]]", "+l", NULL},
        {"[[[1.5]], [[], [2.5]]]", "+l", NULL},
        {"[{1, 2.5}, {3, 4.5}]", "+s", "{[1, 3], [2.5, 4.5]}"},
        {"[{1c, {true, \"a\"}}]", "+s", "{[1c], {[true], [\"a\"]}}"},
        {"{[1, 2], [true, false]}", "+s", "{[1, 2], [true, false]}"},
        {"{1, {2.5, true}}", "+s", "{[1], {[2.5], [true]}}"},
        {"{[1l], 2l, [\"x\"]}", "+s", "{[1l], [2l], [\"x\"]}"},
        {"{}", "+s", "{}"},
        {"[]: vec[{i8,f64}]", "+s", NULL},
    };
    for (size_t i = 0; i < sizeof same / sizeof *same; i++) {
        weld_value_t value = run(same[i][0]);
        char *text = weld_value_print(value);
        bool is_struct = strncmp(same[i][0], "[]: vec[{", 9) == 0;
        goes_round(same[i][0], NULL, NULL, same[i][1],
                   same[i][2]  ? same[i][2]
                   : is_struct ? "{[]: vec[i8], []: vec[f64]}"
                               : text,
                   NULL);
        free(text);
        weld_value_free(value);
    }
}

Test(arrow_out, formats_that_are_asked_for) {
    static const char *const rows[][3] = {
        {"[1, 2]", "tdD", "[1, 2]"},
        {"[1, 2]", "ttm", "[1, 2]"},
        {"[1l]", "tsn:UTC", "[1l]"},
        {"[1l]", "tDu", "[1l]"},
        {"[1l]", "tdm", "[1l]"},
        {"[\"ab\", \"\"]", "U", "[\"ab\", []]"},
        {"[\"ab\", \"\xff\"]", "z", NULL},
        {"[\"ab\", \"\xff\"]", "Z", NULL},
        {"[\"ab\", \"cd\"]", "w:2", NULL},
        {"[\"\", \"\"]", "w:0", NULL},
        {"[\"ab\", \"c\"]", "+l", NULL},
        {"[[1uc], [2uc]]", "z", "[[1c], [2c]]"},
        {"[[1, 2], []]", "+L", "[[1, 2], []]"},
        {"[[1, 2], [3, 4]]", "+w:2", "[[1, 2], [3, 4]]"},
        {"[[]: vec[f32]]", "+w:0", NULL},
        {"[1, 2]", "i", "[1, 2]"},
        {"[{1, 2}]", "+s", "{[1], [2]}"},
        {"[true]", "b", "[true]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weld_value_t value = run(rows[i][0]);
        char *text = weld_value_print(value);
        goes_round(rows[i][0], rows[i][1], NULL, rows[i][1], rows[i][2] ? rows[i][2] : text, NULL);
        free(text);
        weld_value_free(value);
    }
}

Test(arrow_out, what_is_missing) {
    goes_round("[1, 2, 3]", NULL, "[true, false, true]", "i", "[1, 2, 3]", "[true, false, true]");
    goes_round("[1, 2, 3]", NULL, "[true, true, true]", "i", "[1, 2, 3]", NULL);
    goes_round("[]: vec[i32]", NULL, "[]: vec[bool]", "i", "[]: vec[i32]", NULL);
    goes_round("5", NULL, "false", "i", "[5]", "[false]");
    goes_round("[\"ab\", \"\xff\", \"c\"]", NULL, "[true, false, true]", "u", "[\"ab\", [], \"c\"]",
               "[true, false, true]");
    goes_round("[\"ab\", \"c\", \"de\"]", "w:2", "[true, false, true]", "w:2", "[\"ab\", [0c, 0c], \"de\"]",
               "[true, false, true]");
    goes_round("[[1], [2, 3], [4]]", "+w:1", "[true, false, true]", "+w:1", "[[1], [0], [4]]",
               "[true, false, true]");
    goes_round("[{1, 2}, {3, 4}]", NULL, "[false, true]", "+s", "{[1, 3], [2, 4]}", "[false, true]");
    goes_round("{[1, 3], [2, 4]}", NULL, "[false, true]", "+s", "{[1, 3], [2, 4]}", "[false, true]");
}

Test(arrow_out, what_cannot_be) {
    static const char *const rows[][3] = {
        /* values, format, validity */
        {"[1, 2]", "l", NULL},
        {"[1, 2]", "tdm", NULL},
        {"[1l]", "tdD", NULL},
        {"[1l]", "I", NULL},
        {"[1.5]", "tsn:UTC", NULL},
        {"[1l]", "nonsense", NULL},
        {"[1l]", "", NULL},
        {"[1l]", "+s", NULL},
        {"[1l]", "e", NULL},
        {"[true]", "c", NULL},
        {"[\"a\"]", "vu", NULL},
        {"[\"a\"]", "n", NULL},
        {"[\"a\"]", "w:2", NULL},
        {"[\"a\"]", "+w:2", NULL},
        {"[\"\xff\"]", NULL, NULL},
        {"[\"\xc0\x80\"]", "u", NULL},
        {"[\"a\xe2\x82\"]", "U", NULL},
        {"[\"\xed\xa0\x80\"]", "U", NULL},
        {"[\"\xf4\x90\x80\x80\"]", "U", NULL},
        {"[[1, 2]]", "u", NULL},
        {"[[1, 2]]", "w:8", NULL},
        {"[{1, 2}]", "i", NULL},
        {"{[1, 2], [1]}", NULL, NULL},
        {"{[1, 2], 1}", NULL, NULL},
        {"[1, 2]", NULL, "[true]"},
        {"[1, 2]", NULL, "true"},
        {"[1, 2]", NULL, "[1c, 2c]"},
        {"result(merge(dictmerger[i64, i64, +], {1l, 2l}))", NULL, NULL},
        {"[result(merge(dictmerger[i64, i64, +], {1l, 2l}))]", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weld_arrow_field_t field = {NULL, rows[i][1], run(rows[i][0]), rows[i][2] ? run(rows[i][2]) : NULL,
                                    NULL};
        Made made = {.array.length = 77};
        cr_expect_not(weld_arrow_export(&field, &made.array, &made.schema, error), "%s as %s", rows[i][0],
                      rows[i][1]);
        cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR, "%s", weld_error_message(error));
        cr_expect(made.array.length == 77 && !made.array.release && !made.schema.release);
        weld_value_free(field.values);
        weld_value_free(field.validity);
    }
    int64_t number = 5;
    Made made;
    weld_value_t mine = weld_value_new(&number);
    cr_expect_not(weld_arrow_export(&(weld_arrow_field_t){.values = mine}, &made.array, &made.schema, error));
    cr_expect_not(weld_arrow_export(&(weld_arrow_field_t){0}, &made.array, &made.schema, NULL));
    cr_expect_not(weld_arrow_export(NULL, &made.array, &made.schema, error));
    cr_expect_not(weld_arrow_export(&(weld_arrow_field_t){0}, NULL, &made.schema, error));
    cr_expect_not(weld_arrow_export_table(NULL, 2, &made.array, &made.schema, error));
    cr_expect_not(weld_arrow_export_table(NULL, -1, &made.array, &made.schema, error));
    cr_expect_not(weld_arrow_export_stream(NULL, 0, -1, (struct ArrowArrayStream *)&made, error));
    cr_expect_not(weld_arrow_export_stream(NULL, 0, 0, NULL, error));
    weld_value_free(mine);
}

/* The least and the greatest of each length, and what lies around the surrogates. */
Test(arrow_out, utf8_that_is_right) {
    static const char *const code = "[\"\x7f\xc2\x80\xdf\xbf\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf"
                                    "\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"]";
    weld_value_t value = run(code);
    char *text = weld_value_print(value);
    goes_round(code, "u", NULL, "u", text, NULL);
    free(text);
    weld_value_free(value);
}

Test(arrow_out, dictionaries) {
    weld_arrow_field_t field = {"d", NULL, run("[2c, -1c, 0c]"), run("[true, false, true]"),
                                run("[\"a\", \"b\", \"cd\"]")};
    Made made = must_export(&field);
    cr_expect_str_eq(made.schema.format, "c");
    cr_expect_str_eq(made.schema.dictionary->format, "u");
    expect_made(made, "[\"cd\", [], \"a\"]", "[true, false, true]");
    weld_value_free(field.validity);
    field.validity = NULL; /* now -1 is one, too */
    cr_expect_not(weld_arrow_export(&field, &made.array, &made.schema, error));
    cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    weld_value_free(field.values);
    static const char *const bad[] = {"[1.5]", "[true]",    "[3]", "[18446744073709551615ul]",
                                      "[[1]]", "{[1], [2]}"};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        field.values = run(bad[i]);
        cr_expect_not(weld_arrow_export(&field, &made.array, &made.schema, error), "%s", bad[i]);
        cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
        weld_value_free(field.values);
    }
    static const char *const good[] = {"[1uc]", "[1si]", "[1us]", "[1]", "[1u]", "[1l]", "[1ul]", "1"};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        field.values = run(good[i]);
        expect_made(must_export(&field), "[\"b\"]", NULL);
        weld_value_free(field.values);
    }
    weld_value_free(field.dictionary);
}

/* ---- who holds what ---- */

Test(arrow_out, what_is_exported_holds_the_result) {
    weld_context_t context = weld_context_new(NULL);
    weld_value_t value =
        run_in(context, "result(for(rangeiter(0l, 1000l, 1l), appender[i64], |b, i, x| merge(b, x * x)))");
    const int64_t *data = *(int64_t **)weld_value_data(value);
    Made made = must_export(&(weld_arrow_field_t){.values = value});
    cr_expect_eq(made.array.buffers[1], data);
    weld_value_free(value);
    cr_expect_gt(weld_context_memory_usage(context), 8000);
    cr_expect_eq(((const int64_t *)made.array.buffers[1])[999], 999 * 999);
    made_free(&made);
    cr_expect_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
}

/* In and out again: the same memory, which is released behind the last. */
Test(arrow_out, what_only_passes_through_is_not_copied) {
    Made in = make_struct(3, 0);
    int64_t numbers[] = {1, 2, 3};
    int32_t offsets[] = {0, 2, 2, 5};
    add_child(&in, make("l", "a", 3, 0, 0, 2, NULL, 0, numbers, 24));
    add_child(&in, make("u", "s", 3, 0, 0, 3, NULL, 0, offsets, 16, "abcde", 5));
    const void *a = in.array.children[0]->buffers[1], *s = in.array.children[1]->buffers[2];
    weld_arrow_t table = must_import(in);
    weld_lazy_t lazies[2] = {weld_arrow_values(weld_arrow_find(table, "a"), error),
                             weld_arrow_values(weld_arrow_find(table, "s"), error)};
    weld_value_t values[2];
    cr_assert(weld_lazy_evaluate(contexts[1], lazies, 2, values, error));
    weld_arrow_field_t fields[2] = {{.name = "a", .values = values[0]}, {.name = "s", .values = values[1]}};
    Made out;
    cr_assert(weld_arrow_export_table(fields, 2, &out.array, &out.schema, error));
    cr_expect_eq(out.array.children[0]->buffers[1], a);
    cr_expect_eq(out.array.children[1]->buffers[2], s);
    weld_arrow_free(table);
    for (int i = 0; i < 2; i++) {
        weld_lazy_free(lazies[i]);
        weld_value_free(values[i]);
    }
    cr_expect_eq(arrays_alive, 3);
    cr_expect_eq(memcmp(out.array.children[1]->buffers[2], "abcde", 5), 0);
    made_free(&out);
    cr_expect_eq(arrays_alive, 0);
}

/* A reader may keep a child and release the rest. */
Test(arrow_out, children_can_be_taken_out) {
    weld_value_t value = run("{[1l, 2l], [\"a\", \"b\"]}");
    Made made = must_export(&(weld_arrow_field_t){.values = value});
    weld_value_free(value);
    Made child = {*made.array.children[1], *made.schema.children[1]};
    made.array.children[1]->release = NULL;
    made.schema.children[1]->release = NULL;
    made_free(&made);
    cr_expect_str_eq(child.schema.name, "1");
    expect_made(child, "[\"a\", \"b\"]", NULL);
}

/* ---- tables and streams ---- */

static void fill_fields(weld_arrow_field_t *fields) {
    fields[0] = (weld_arrow_field_t){
        .name = "n",
        .values = run("result(for(rangeiter(0l, 10l, 1l), appender[i64], |b, i, x| merge(b, x)))"),
        .validity =
            run("result(for(rangeiter(0l, 10l, 1l), appender[bool], |b, i, x| merge(b, x % 3l != 1l)))")};
    fields[1] = (weld_arrow_field_t){
        .name = "s",
        .values =
            run("let s = \"abcdefghij\"; result(for(rangeiter(0l, 10l, 1l), appender[vec[i8]], |b, i, x| "
                "merge(b, slice(s, x, x % 3l))))")};
    fields[2] = (weld_arrow_field_t){
        .name = "r",
        .values = run(
            "result(for(rangeiter(0l, 10l, 1l), appender[{i8, bool}], |b, i, x| merge(b, {i8(x), x > 4l})))"),
        .validity = run("result(for(rangeiter(0l, 10l, 1l), appender[bool], |b, i, x| merge(b, x != 4l)))")};
    fields[3] = (weld_arrow_field_t){
        .name = "d",
        .values = run("result(for(rangeiter(0l, 10l, 1l), appender[i32], |b, i, x| merge(b, i32(x % 2l))))"),
        .dictionary = run("[\"even\", \"odd\"]")};
    fields[4] = (weld_arrow_field_t){
        .name = "l",
        .format = "+w:2",
        .values = run(
            "result(for(rangeiter(0l, 10l, 1l), appender[vec[bool]], |b, i, x| merge(b, [true, x > 4l])))")};
}

static void free_fields(weld_arrow_field_t *fields, int count) {
    for (int i = 0; i < count; i++) {
        weld_value_free(fields[i].values);
        weld_value_free(fields[i].validity);
        weld_value_free(fields[i].dictionary);
    }
}

static void expect_ten(weld_arrow_t table) {
    cr_assert_not_null(table, "%s", weld_error_message(error));
    cr_expect_eq(weld_arrow_length(table), 10);
    expect_column(weld_arrow_find(table, "n"), "[0l, 1l, 2l, 3l, 4l, 5l, 6l, 7l, 8l, 9l]",
                  "[true, false, true, true, false, true, true, false, true, true]");
    expect_column(weld_arrow_find(table, "s"),
                  "[[]: vec[i8], \"b\", \"cd\", [], \"e\", \"fg\", [], \"h\", \"ij\", []]", NULL);
    expect_column(
        weld_arrow_find(table, "r"),
        "{[0c, 1c, 2c, 3c, 4c, 5c, 6c, 7c, 8c, 9c], [false, false, false, false, false, true, true, "
        "true, true, true]}",
        "[true, true, true, true, false, true, true, true, true, true]");
    expect_column(
        weld_arrow_find(table, "d"),
        "[\"even\", \"odd\", \"even\", \"odd\", \"even\", \"odd\", \"even\", \"odd\", \"even\", \"odd\"]",
        NULL);
    expect_column(weld_arrow_find(table, "l"),
                  "[[true, false], [true, false], [true, false], [true, false], [true, false], [true, true], "
                  "[true, true], [true, true], [true, true], [true, true]]",
                  NULL);
    weld_arrow_free(table);
}

Test(arrow_out, tables_and_streams) {
    weld_arrow_field_t fields[5];
    fill_fields(fields);
    Made made;
    cr_assert(weld_arrow_export_table(fields, 5, &made.array, &made.schema, error), "%s",
              weld_error_message(error));
    expect_ten(must_import(made));
    for (int64_t rows = 0; rows < 12; rows++) {
        struct ArrowArrayStream stream;
        cr_assert(weld_arrow_export_stream(fields, 5, rows, &stream, error));
        expect_ten(weld_arrow_import_stream(&stream, error));
        cr_expect_null(stream.release);
    }
    /* Batches as they come; one outlives the stream. */
    struct ArrowArrayStream stream;
    cr_assert(weld_arrow_export_stream(fields, 5, 4, &stream, error));
    free_fields(fields, 5);
    struct ArrowArray batch, more;
    cr_expect_eq(stream.get_schema(&stream, &made.schema), 0);
    cr_expect_eq(stream.get_next(&stream, &batch), 0);
    for (int64_t rest = 6; rest >= 0; rest -= 4) {
        cr_expect_eq(stream.get_next(&stream, &more), 0);
        cr_expect_eq(more.length, rest < 4 ? rest : 4);
        cr_expect_eq(more.offset, 0);
        more.release(&more);
    }
    cr_expect_eq(stream.get_next(&stream, &more), 0);
    cr_expect_null(more.release);
    cr_expect_null(stream.get_last_error(&stream));
    stream.release(&stream);
    made.array = batch;
    weld_arrow_t table = must_import(made);
    expect_column(weld_arrow_find(table, "n"), "[0l, 1l, 2l, 3l]", "[true, false, true, true]");
    weld_arrow_free(table);
}

Test(arrow_out, tables_without_rows_or_columns) {
    weld_arrow_field_t field = {.name = "x", .values = run("[]: vec[f64]")};
    struct ArrowArrayStream stream;
    cr_assert(weld_arrow_export_stream(&field, 1, 5, &stream, error));
    weld_arrow_t table = weld_arrow_import_stream(&stream, error);
    expect_column(weld_arrow_find(table, "x"), "[]: vec[f64]", NULL);
    weld_arrow_free(table);
    cr_assert(weld_arrow_export_stream(NULL, 0, 5, &stream, error));
    table = weld_arrow_import_stream(&stream, error);
    cr_expect_eq(weld_arrow_column_count(table), 0);
    weld_arrow_free(table);
    weld_arrow_field_t two[2] = {field, {.name = "y", .values = run("[1]")}};
    Made made;
    cr_expect_not(weld_arrow_export_table(two, 2, &made.array, &made.schema, error));
    cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    free_fields(two, 2);
}

/* ---- the functions by name ---- */

Test(arrow_out, functions) {
    static const struct {
        const char *name, *arguments[3], *want;
    } rows[] = {
        {"decode", {"[1c, 0c, 1c]", "[\"a\", \"b\"]"}, "[\"b\", \"a\", \"b\"]"},
        {"decode", {"[]: vec[u64]", "[]: vec[f64]"}, "[]: vec[f64]"},
        {"fill", {"[1, 2, 3]", "[true, false, true]", "9"}, "[1, 9, 3]"},
        {"fill", {"[\"a\", \"b\"]", "[true, false]", "\"?\""}, "[\"a\", \"?\"]"},
        {"fill", {"[]: vec[f64]", "[]: vec[bool]", "0.5"}, "[]: vec[f64]"},
        {"drop", {"[1, 2, 3]", "[true, false, true]"}, "[1, 3]"},
        {"drop", {"[\"a\"]", "[false]"}, "[]: vec[vec[i8]]"},
        {"count", {"[true, false, true]"}, "2l"},
        {"count", {"[]: vec[bool]"}, "0l"},
    };
    enum { ROWS = sizeof rows / sizeof *rows };
    const weld_adapter_t *adapter = weld_adapter_find("arrow", error);
    cr_assert_not_null(adapter, "%s", weld_error_message(error));
    for (const weld_function_t *function = adapter->functions; function->name; function++) {
        bool tested = false;
        for (size_t i = 0; i < ROWS; i++) tested |= !strcmp(rows[i].name, function->name);
        cr_expect(tested, "%s is not tested", function->name);
    }
    for (size_t i = 0; i < ROWS; i++) {
        weld_lazy_t arguments[3];
        int count = 0;
        for (; count < 3 && rows[i].arguments[count]; count++)
            arguments[count] = weld_lazy_new(NULL, rows[i].arguments[count], NULL, 0, error);
        char name[20];
        snprintf(name, sizeof name, "arrow.%s", rows[i].name);
        expect(weld_lazy_call(name, arguments, count, error), rows[i].want);
        while (count) weld_lazy_free(arguments[--count]);
    }
}

/* ---- no memory ---- */

#if defined(__has_feature)
#if __has_feature(address_sanitizer)
#define SANITIZED
#endif
#endif
#ifdef __SANITIZE_ADDRESS__
#define SANITIZED
#endif

#ifndef SANITIZED
extern void *__libc_malloc(size_t bytes), *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes), *__libc_memalign(size_t align, size_t bytes);

static bool fails(void) {
    if (left < 0 || left-- > 0) return false;
    errno = ENOMEM;
    return true;
}

WELD_API void *malloc(size_t bytes) {
    return fails() ? NULL : __libc_malloc(bytes);
}
WELD_API void *calloc(size_t count, size_t bytes) {
    return fails() ? NULL : __libc_calloc(count, bytes);
}
WELD_API void *realloc(void *block, size_t bytes) {
    return fails() ? NULL : __libc_realloc(block, bytes);
}
WELD_API void *aligned_alloc(size_t align, size_t bytes) {
    return fails() ? NULL : __libc_memalign(align, bytes);
}

static Made make_everything(void) {
    static const int64_t numbers[] = {5, 6, 7};
    static const int32_t offsets[] = {0, 1, 1, 3};
    Made table = make("+s", "", 3, 0, 1, 1, "\6", 1),
         list = make("+l", "l", 3, 0, 0, 2, NULL, 0, offsets, 16);
    add_child(&table, make("l", "n", 3, 0, 1, 2, "\5", 1, numbers, 24));
    add_child(&table, make("u", "s", 3, 0, 0, 3, NULL, 0, offsets, 16, "abc", 3));
    add_child(&list, make("b", "item", 3, 0, 1, 2, "\5", 1, "\2", 1));
    add_child(&table, list);
    add_child(&table, with_dictionary(make("c", "d", 3, 0, 0, 2, NULL, 0, "\0\1\1", 3),
                                      make("g", "", 2, 0, 1, 2, "\1", 1, numbers, 16)));
    return table;
}

static bool read_all(weld_arrow_t table, weld_lazy_t *lazies, int *count) {
    for (int64_t i = 0; i < weld_arrow_column_count(table); i++) {
        if (!(lazies[*count] = weld_arrow_values(weld_arrow_column(table, i), error))) return false;
        ++*count;
        if (!(lazies[*count] = weld_arrow_validity(weld_arrow_column(table, i), error))) return false;
        ++*count;
    }
    return (lazies[*count] = weld_arrow_values(table, error)) && ++*count;
}

/* What is taken in: a stream, or else an array. */
typedef struct Inlet {
    struct ArrowArrayStream *stream;
    Made *made;
} Inlet;

/* Fields to a table, or a stream, and in again. */
static bool out_and_in(const weld_arrow_field_t *fields, bool by_stream) {
    struct ArrowArrayStream stream;
    Made made;
    weld_arrow_t again = NULL;
    if (by_stream && weld_arrow_export_stream(fields, 4, 2, &stream, error)) {
        again = weld_arrow_import_stream(&stream, error);
        if (stream.release) stream.release(&stream);
    } else if (!by_stream && weld_arrow_export_table(fields, 4, &made.array, &made.schema, error)) {
        again = weld_arrow_import(&made.array, &made.schema, error);
        made_free(&made);
    }
    weld_arrow_free(again);
    if (!again || by_stream) return again != NULL;
    weld_arrow_field_t one = {.name = "d", .values = fields[4].values, .dictionary = fields[1].values};
    bool ok = weld_arrow_export(&one, &made.array, &made.schema, error);
    if (ok) made_free(&made);
    return ok;
}

/* In, values, evaluation, out, in again: true if all went well. */
static bool all_ways(Inlet from) {
    weld_lazy_t lazies[16];
    weld_value_t values[16];
    int count = 0;
    weld_arrow_t table = from.stream ? weld_arrow_import_stream(from.stream, error)
                                     : weld_arrow_import(&from.made->array, &from.made->schema, error);
    bool ok = table && read_all(table, lazies, &count);
    if (ok) ok = (lazies[count] = weld_arrow_indices(weld_arrow_column(table, 3), error)) && ++count;
    bool evaluated = ok && weld_lazy_evaluate(contexts[0], lazies, count, values, error);
    weld_arrow_field_t fields[5] = {0};
    for (int i = 0; evaluated && i < 4; i++)
        fields[i] = (weld_arrow_field_t){.name = "x", .values = values[2 * i], .validity = values[2 * i + 1]};
    if (evaluated) fields[4].values = values[9];
    ok = evaluated && out_and_in(fields, from.stream);
    for (int i = 0; evaluated && i < count; i++) weld_value_free(values[i]);
    for (int i = 0; i < count; i++) weld_lazy_free(lazies[i]);
    weld_arrow_free(table);
    return ok;
}

/* With allocation number n failing; true if that many did not happen. */
static bool all_ways_but(long n, Inlet from) {
    left = n;
    bool ok = all_ways(from);
    bool done = left >= 0;
    left = -1;
    cr_assert_eq(ok, weld_error_code(error) == 0, "%ld: %s", n, weld_error_message(error));
    cr_assert(ok || !done, "%s", weld_error_message(error));
    cr_assert_eq(weld_context_memory_usage(contexts[0]), 0);
    return done;
}

Test(arrow_out, every_allocation_fails_once) {
    long n = 0;
    for (bool done = false; !done; n++) {
        Made batch[2] = {make_everything(), make_everything()};
        Batches batches = {batch, 2, 0, -1, &streams_alive};
        struct ArrowArrayStream source = make_stream(&batches);
        done = all_ways_but(n, (Inlet){.stream = &source});
        if (source.release) source.release(&source);
        cr_assert_eq(arrays_alive, 0, "allocation %ld", n);
        cr_assert_eq(schemas_alive, 0, "allocation %ld", n);
    }
    cr_expect_gt(n, 200, "%ld", n);
    n = 0;
    for (bool done = false; !done; n++) {
        Made made = make_everything();
        done = all_ways_but(n, (Inlet){.made = &made});
        cr_assert_eq(!made.array.release, !made.schema.release);
        made_free(&made);
        cr_assert_eq(arrays_alive, 0, "allocation %ld", n);
        cr_assert_eq(schemas_alive, 0, "allocation %ld", n);
    }
    cr_expect_gt(n, 200, "%ld", n);
}
#endif
