/* arrow.c: the adapter arrow against arrays made by hand: every format, offsets, bitmaps, lists, dictionaries, what is empty
 * or missing, what is malformed; who releases what and when, also if memory is refused. */
#include "arrow_make.h"

#include <pthread.h>

TestSuite(arrow, .init = begin, .fini = end, .timeout = 300);

/* ---- in: every format ---- */

static void expect_type(Made made, const char *type) {
    weld_arrow_t column = must_import(made);
    weld_lazy_t lazy = weld_arrow_values(column, error);
    cr_assert_not_null(lazy, "%s", weld_error_message(error));
    char whole[64];
    snprintf(whole, sizeof whole, "vec[%s]", type);
    cr_expect_str_eq(weld_lazy_type(lazy), whole);
    weld_value_t value = must_evaluate(lazy, 0);
    cr_expect_eq(((int64_t *)weld_value_data(value))[1], 2);
    weld_value_free(value);
    weld_lazy_free(lazy);
    weld_arrow_free(column);
}

enum {
    L_null,
    L_bits,
    L_plain,
    L_bytes,
    L_large_bytes,
    L_fixed_bytes,
    L_bytes_view,
    L_list,
    L_large_list,
    L_fixed_list,
    L_list_view,
    L_large_list_view,
    L_struct,
    L_refused,
    LAYOUTS
};

static Made make_items(void) {
    return make("s", "item", 4, 0, 0, 2, NULL, 0, "\1\0\2\0\3\0\4\0", 8);
}

/* Two elements of a format, as its layout wants it. */
static Made make_two(const char *format, int layout) {
    static const int32_t offsets[] = {0, 2, 3}, sizes[] = {2, 1},
                         views[] = {1, 'a', 0, 0, 2, 'b' * 257, 0, 0};
    static const int64_t wide_offsets[] = {0, 2, 3}, wide_sizes[] = {2, 1}, zeros[2];
    Made made;
    switch (layout) {
    case L_null: return make(format, "", 2, 0, 2, 0);
    case L_bytes: return make(format, "", 2, 0, 0, 3, NULL, 0, offsets, 12, "abc", 3);
    case L_large_bytes: return make(format, "", 2, 0, 0, 3, NULL, 0, wide_offsets, 24, "abc", 3);
    case L_bytes_view: return make(format, "", 2, 0, 0, 3, NULL, 0, views, 32, NULL, 0);
    case L_list: made = make(format, "", 2, 0, 0, 2, NULL, 0, offsets, 12); break;
    case L_large_list: made = make(format, "", 2, 0, 0, 2, NULL, 0, wide_offsets, 24); break;
    case L_fixed_list: made = make(format, "", 2, 0, 0, 1, NULL, 0); break;
    case L_list_view: made = make(format, "", 2, 0, 0, 3, NULL, 0, offsets, 8, sizes, 8); break;
    case L_large_list_view:
        made = make(format, "", 2, 0, 0, 3, NULL, 0, wide_offsets, 16, wide_sizes, 16);
        break;
    default: return make(format, "", 2, 0, 0, 2, NULL, 0, zeros, 16);
    }
    add_child(&made, make_items());
    return made;
}

Test(arrow, every_format) {
    static const struct {
        const char *spelling, *rest, *type;
        int layout;
    } rows[] = {
#define NONE ""
#define TEXT "UTC"
#define NUMBER "2"
#define FORMAT(spelling, rest, layout, type, size, doc) {spelling, rest, type, L_##layout},
#include "../../adapters/arrow/formats.def"
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char format[40];
        snprintf(format, sizeof format, "%s%s", rows[i].spelling, rows[i].rest);
        int layout = rows[i].layout;
        if (layout == L_struct) continue; /* see structs */
        Made made = make_two(format, layout);
        if (layout == L_refused) {
            cr_expect_null(weld_arrow_import(&made.array, &made.schema, error));
            cr_expect(strstr(weld_error_message(error), "there is no type for Arrow's"), "%s",
                      weld_error_message(error));
            made_free(&made);
        } else {
            expect_type(made, strcmp(rows[i].type, "vec") == 0 ? "vec[i16]" : rows[i].type);
        }
    }
}

Test(arrow, texts_that_are_no_format) {
    static const char *const texts[] = {
        "",    "x",    "ll",   "tsx:", "tss", "ts",  "w:", "w:-1", "w:1x", "w:99999999999999999999",
        "+w:", "+w:a", "+",    "+x",   "tdX", "t",   "td", "vuu",  "uu",   "+ll",
        "ti",  "n2",   "\xff", "d",    "+u",  "+ud", " l", "l "};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        Made made = make_two(texts[i], L_plain);
        cr_expect_null(weld_arrow_import(&made.array, &made.schema, error), "\"%s\"", texts[i]);
        cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
        cr_expect(made.array.release && made.schema.release);
        made_free(&made);
    }
}

/* ---- in: values ---- */

static const int64_t longs[] = {9, 8, 7, 6, 5, 4, 3, 2, 1, 0};

Test(arrow, numbers_stay_where_they_are) {
    Made made = make("tsu:Asia/Tokyo", "when", 3, 2, 0, 2, NULL, 0, longs, 80);
    const char *data = made.array.buffers[1];
    weld_arrow_t column = must_import(made);
    cr_expect_str_eq(weld_arrow_format(column), "tsu:Asia/Tokyo");
    cr_expect_str_eq(weld_arrow_name(column), "when");
    cr_expect_eq(weld_arrow_length(column), 3);
    weld_lazy_t lazy = weld_arrow_values(column, error), again = weld_arrow_values(column, error);
    cr_expect_eq(lazy, again);
    weld_value_t value = must_evaluate(lazy, 1);
    cr_expect_eq(*(const char **)weld_value_data(value), data + 16);
    weld_value_free(value);
    weld_lazy_free(again);
    expect(lazy, "[7l, 6l, 5l]");
    weld_arrow_free(column);
}

Test(arrow, numbers_that_are_not_aligned_are_copied) {
    char bytes[100] = {0};
    memcpy(bytes + 1, longs, 80);
    Made made = make("l", "", 3, 1, -1, 2, NULL, 0, bytes, 100);
    made.array.buffers[1] = (const char *)made.array.buffers[1] + 1;
    expect_made(made, "[8l, 7l, 6l]", NULL);
}

Test(arrow, bits_with_offsets) {
    /* bits 0.. : 1011 0100 1100 0001 */
    const uint8_t bits[] = {0x2D, 0x83};
    expect_made(
        make("b", "", 16, 0, 0, 2, NULL, 0, bits, 2),
        "[true, false, true, true, false, true, false, false, true, true, false, false, false, false, "
        "false, true]",
        NULL);
    expect_made(make("b", "", 10, 3, 4, 2, bits, 2, bits, 2),
                "[true, false, true, false, false, true, true, false, false, false]",
                "[true, false, true, false, false, true, true, false, false, false]");
    expect_made(make("b", "", 1, 15, -1, 2, bits, 2, bits, 2), "[true]", NULL);
    expect_made(make("l", "", 3, 1, 1, 2, bits, 2, longs, 80), "[8l, 7l, 6l]", "[false, true, true]");
    expect_made(make("l", "", 2, 2, -1, 2, bits, 2, longs, 80), "[7l, 6l]", NULL); /* none is missing here */
    expect_made(make("l", "", 3, 1, 0, 2, bits, 2, longs, 80), "[8l, 7l, 6l]", NULL); /* it says so */
}

/* Against a loop, by every offset and length. */
Test(arrow, bits_of_all_lengths) {
    uint8_t bits[40];
    uint32_t seed = 1;
    for (int i = 0; i < 40; i++) bits[i] = (uint8_t)((seed = seed * 1664525 + 1013904223) >> 24);
    for (int offset = 0; offset < 20; offset++) {
        for (int length = 0; length < 100; length += 1 + length / 20) {
            weld_arrow_t column = must_import(make("b", "", length, offset, -1, 2, bits, 40, bits, 40));
            int64_t nulls = 0;
            weld_lazy_t lazy = weld_arrow_values(column, error);
            weld_value_t value = must_evaluate(lazy, 0);
            const uint8_t *got = *(const uint8_t **)weld_value_data(value);
            for (int i = 0; i < length; i++) {
                int want = bits[(offset + i) / 8] >> (offset + i) % 8 & 1;
                cr_assert_eq(got[i], want);
                nulls += !want;
            }
            cr_assert_eq(weld_arrow_null_count(column, error), nulls);
            weld_value_free(value);
            weld_lazy_free(lazy);
            weld_arrow_free(column);
        }
    }
}

Test(arrow, strings) {
    const int32_t offsets[] = {0, 2, 2, 5, 9};
    const int64_t wide[] = {0, 2, 2, 5, 9};
    const uint8_t bits[] = {0x0D};
    const char *text = "abcdefghi";
    const char *all = "[\"ab\", [], \"cde\", \"fghi\"]";
    expect_made(make("u", "", 4, 0, 0, 3, NULL, 0, offsets, 20, text, 9), all, NULL);
    expect_made(make("z", "", 4, 0, -1, 3, bits, 1, offsets, 20, text, 9), all, "[true, false, true, true]");
    expect_made(make("U", "", 2, 1, 0, 3, NULL, 0, wide, 40, text, 9), "[[]: vec[i8], \"cde\"]", NULL);
    expect_made(make("Z", "", 4, 0, 0, 3, NULL, 0, wide, 40, text, 9), all, NULL);
    expect_made(make("w:3", "", 2, 1, 0, 2, NULL, 0, text, 9), "[\"def\", \"ghi\"]", NULL);
    expect_made(make("w:0", "", 2, 0, 0, 2, NULL, 0, NULL, 0), "[[]: vec[i8], []]", NULL);
    expect_made(make("u", "", 2, 0, 0, 3, NULL, 0, (int32_t[]){0, 0, 0}, 12, NULL, 0), "[[]: vec[i8], []]",
                NULL);
}

Test(arrow, strings_lie_in_arrows_memory) {
    Made made = make("u", "", 2, 0, 0, 3, NULL, 0, (int32_t[]){0, 2, 3}, 12, "abc", 3);
    const char *data = made.array.buffers[2];
    weld_arrow_t column = must_import(made);
    weld_lazy_t lazy = weld_arrow_values(column, error);
    weld_value_t value = must_evaluate(lazy, 1);
    weld_arrow_free(column);
    weld_lazy_free(lazy);
    cr_expect_eq(arrays_alive, 1);
    struct {
        const char *data;
        int64_t length;
    } *views = *(void **)weld_value_data(value);
    cr_expect_eq(views[1].data, data + 2);
    weld_value_free(value);
    cr_expect_eq(arrays_alive, 0);
}

Test(arrow, string_views) {
    char views[64] = {0};
    const char *far = "0123456789abcdefghij";
    int32_t inside[] = {3}, outside[] = {13, 0, 1, 4}, garbage[] = {99, 0, 77, -1};
    const int64_t sizes[] = {5, 20};
    memcpy(views, inside, 4);
    memcpy(views + 4, "abc", 3);
    memcpy(views + 16, outside, 16);
    memcpy(views + 32, garbage, 16);
    const uint8_t bits[] = {0x0B};
    expect_made(make("vu", "", 4, 0, 1, 5, bits, 1, views, 64, "xxxxx", 5, far, 20, sizes, 16),
                "[\"abc\", \"456789abcdefg\", [], []]", "[true, true, false, true]");
    /* The same without the bitmap, other lies. */
    const int32_t bad[][4] = {{99, 0, 77, -1}, {-1, 0, 0, 0},  {13, 0, 2, 0}, {13, 0, -1, 0},
                              {13, 0, 1, 8},   {13, 0, 1, -1}, {13, 0, 0, 0}};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        weld_arrow_t column =
            must_import(make("vz", "", 1, 0, 0, 5, NULL, 0, bad[i], 16, "xxxxx", 5, far, 20, sizes, 16));
        cr_expect_null(weld_arrow_values(column, error));
        cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
        weld_arrow_free(column);
    }
}

Test(arrow, lists) {
    const int32_t offsets[] = {0, 1, 1, 4};
    const uint8_t item_bits[] = {0x1D}; /* of items 0.., 1 0 1 1 1; the list's items start with number 1 */
    Made made = make("+l", "", 2, 1, 0, 2, NULL, 0, offsets, 16);
    add_child(&made, make("l", "item", 4, 1, -1, 2, item_bits, 1, longs, 80));
    weld_arrow_t column = must_import(made);
    expect_column(column, "[[]: vec[i64], [7l, 6l, 5l]]", NULL);
    expect(weld_arrow_item_validity(column, error), "[[]: vec[bool], [true, true, true]]");
    expect_column(weld_arrow_column(column, 0), "[8l, 7l, 6l, 5l]", "[false, true, true, true]");
    weld_arrow_free(column);

    made = make("+w:2", "", 2, 1, 0, 1, NULL, 0);
    add_child(&made, make("l", "item", 8, 1, 0, 2, NULL, 0, longs, 80));
    column = must_import(made);
    expect_column(column, "[[6l, 5l], [4l, 3l]]", NULL);
    cr_expect_null(weld_arrow_item_validity(column, error));
    cr_expect_eq(weld_error_code(error), 0);
    weld_arrow_free(column);

    const uint8_t bits[] = {0x05};
    made = make("+vl", "", 3, 0, 1, 3, bits, 1, (int32_t[]){2, 77, 0}, 12, (int32_t[]){2, 88, 3}, 12);
    add_child(&made, make("l", "item", 4, 0, 0, 2, NULL, 0, longs, 80));
    expect_made(made, "[[7l, 6l], [], [9l, 8l, 7l]]", "[true, false, true]");

    Made inner = make("+L", "item", 2, 0, 0, 2, NULL, 0, (int64_t[]){0, 1, 3}, 24);
    add_child(&inner, make("u", "item", 3, 0, 0, 3, NULL, 0, (int32_t[]){0, 1, 1, 2}, 16, "ab", 2));
    made = make("+l", "", 2, 0, 0, 2, NULL, 0, (int32_t[]){0, 0, 2}, 12);
    add_child(&made, inner);
    expect_made(made, "[[]: vec[vec[vec[i8]]], [[\"a\"], [[], \"b\"]]]", NULL);

    made = make("+l", "", 1, 0, 0, 2, NULL, 0, (int32_t[]){0, 3}, 8);
    add_child(&made, make("b", "item", 3, 0, 0, 2, NULL, 0, "\5", 1));
    expect_made(made, "[[true, false, true]]", NULL);
}

Test(arrow, lists_that_cannot_be) {
    Made made = make("+l", "", 1, 0, 0, 2, NULL, 0, (int32_t[]){0, 1}, 8), row = make_struct(1, 0);
    add_child(&row, make("l", "x", 1, 0, 0, 2, NULL, 0, longs, 80));
    add_child(&made, row);
    weld_arrow_t column = must_import(made);
    cr_expect_null(weld_arrow_values(column, error));
    expect_column(weld_arrow_column(weld_arrow_column(column, 0), 0), "[9l]", NULL);
    weld_arrow_free(column);
    made = make("+l", "", 1, 0, 0, 2, NULL, 0, (int32_t[]){0, 1}, 8);
    add_child(&made, with_dictionary(make("c", "i", 1, 0, 0, 2, NULL, 0, "\0", 1),
                                     make("l", "", 1, 0, 0, 2, NULL, 0, longs, 80)));
    column = must_import(made);
    cr_expect_null(weld_arrow_values(column, error));
    weld_arrow_free(column);
    column = must_import(make("l", "", 1, 0, 0, 2, NULL, 0, longs, 80));
    cr_expect_null(weld_arrow_item_validity(column, error));
    cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    cr_expect_null(weld_arrow_indices(column, error));
    cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    weld_arrow_free(column);
}

Test(arrow, dictionaries) {
    const uint8_t bits[] = {0x0D}, value_bits[] = {0x05};
    const int32_t offsets[] = {0, 1, 1, 3};
    Made values = make("u", "", 3, 0, 0, 3, NULL, 0, offsets, 16, "abc", 3);
    weld_arrow_t column =
        must_import(with_dictionary(make("c", "", 4, 0, 1, 2, bits, 1, "\2\x80\0\2", 4), values));
    expect_column(column, "[\"bc\", [], \"a\", \"bc\"]", "[true, false, true, true]");
    expect(weld_arrow_indices(column, error), "[2c, -128c, 0c, 2c]");
    expect_column(weld_arrow_dictionary(column), "[\"a\", [], \"bc\"]", NULL);
    cr_expect_str_eq(weld_arrow_format(column), "u");
    weld_arrow_free(column);
    /* Values that are missing; with and without indices that are. */
    values = make("l", "", 3, 0, 1, 2, value_bits, 1, longs, 80);
    expect_made(with_dictionary(make("S", "", 3, 0, 0, 2, NULL, 0, "\1\0\2\0\0\0", 6), values),
                "[8l, 7l, 9l]", "[false, true, true]");
    values = make("l", "", 3, 0, 1, 2, value_bits, 1, longs, 80);
    expect_made(with_dictionary(make("S", "", 3, 0, -1, 2, bits, 1, "\1\0\xff\xff\0\0", 6), values),
                "[8l, 0l, 9l]", "[false, false, true]");
    values = make("b", "", 2, 0, 0, 2, NULL, 0, "\2", 1);
    expect_made(with_dictionary(make("L", "", 2, 0, -1, 2, "\1", 1, (int64_t[]){1, 99}, 16), values),
                "[true, false]", "[true, false]");
    /* All missing, nothing in the dictionary. */
    values = make("g", "", 0, 0, 0, 2, NULL, 0, NULL, 0);
    expect_made(with_dictionary(make("i", "", 2, 0, 2, 2, "\0", 1, (int32_t[]){5, 6}, 8), values),
                "[0.0, 0.0]", "[false, false]");
}

Test(arrow, an_index_beyond_its_dictionary_fails_when_it_is_looked_up) {
    Made values = make("l", "", 3, 0, 0, 2, NULL, 0, longs, 80);
    weld_arrow_t column = must_import(with_dictionary(make("c", "", 2, 0, 0, 2, NULL, 0, "\0\3", 2), values));
    weld_lazy_t lazy = weld_arrow_values(column, error);
    for (int i = 0; i < 2; i++) {
        weld_value_t value;
        cr_expect_not(weld_lazy_evaluate(contexts[i], &lazy, 1, &value, error));
        cr_expect_eq(weld_error_code(error), WELD_ARRAY_OUT_OF_BOUNDS);
        cr_expect(strstr(weld_error_message(error), "arrow.decode"));
    }
    weld_lazy_free(lazy);
    weld_arrow_free(column);
}

Test(arrow, structs) {
    const uint8_t bits[] = {0x1B}; /* 1 1 0 1 1 */
    Made made = make("+s", "", 3, 1, -1, 1, bits, 1), inner = make("+s", "in", 5, 0, 0, 1, NULL, 0);
    add_child(&made, make("l", "a", 5, 2, 0, 2, NULL, 0, longs, 80));
    add_child(&inner, make("c", "b", 6, 0, -1, 2, "\x0f", 1, "abcdef", 6));
    add_child(&made, inner);
    weld_arrow_t table = must_import(made);
    cr_expect_eq(weld_arrow_column_count(table), 2);
    expect_column(weld_arrow_find(table, "a"), "[6l, 5l, 4l]", "[true, false, true]");
    expect_column(weld_arrow_column(weld_arrow_find(table, "in"), 0), "\"bcd\"", "[true, false, true]");
    expect_column(table, "{[6l, 5l, 4l], {\"bcd\"}}", "[true, false, true]");
    cr_expect_eq(weld_arrow_null_count(weld_arrow_find(table, "a"), error), 1);
    cr_expect_null(weld_arrow_find(table, "b"));
    cr_expect_null(weld_arrow_column(table, 2));
    weld_arrow_free(table);
    made = make_struct(3, 0);
    expect_made(made, "{}", NULL);
}

Test(arrow, nothing) {
    expect_made(make("n", "", 3, 0, 3, 0), "[false, false, false]", "[false, false, false]");
    expect_made(make("n", "", 3, 0, -1, 1, NULL, 0), "[false, false, false]", "[false, false, false]");
    expect_made(make("n", "", 0, 0, 0, 0), "[]: vec[bool]", NULL);
    expect_made(make("l", "", 0, 0, 0, 2, NULL, 0, NULL, 0), "[]: vec[i64]", NULL);
    expect_made(make("l", "", 0, 0, -1, 2, NULL, 0, NULL, 0), "[]: vec[i64]", NULL);
    expect_made(make("b", "", 0, 0, 0, 2, NULL, 0, NULL, 0), "[]: vec[bool]", NULL);
    expect_made(make("u", "", 0, 0, 0, 3, NULL, 0, NULL, 0, NULL, 0), "[]: vec[vec[i8]]", NULL);
    expect_made(make("vu", "", 0, 0, 0, 3, NULL, 0, NULL, 0, NULL, 0), "[]: vec[vec[i8]]", NULL);
    expect_made(make("l", "", 3, 0, 3, 2, "\0", 1, longs, 80), "[9l, 8l, 7l]", "[false, false, false]");
    Made made = make("+l", "", 0, 0, 0, 2, NULL, 0, NULL, 0);
    add_child(&made, make("i", "item", 0, 0, 0, 2, NULL, 0, NULL, 0));
    expect_made(made, "[]: vec[vec[i32]]", NULL);
}

/* ---- in: what is malformed ---- */

static Made make_table(void) {
    Made table = make_struct(2, 1), list = make("+l", "l", 3, 0, 0, 2, NULL, 0, (int32_t[]){0, 1, 1, 4}, 16);
    add_child(&table, make("l", "a", 3, 1, 1, 2, "\x0b", 1, longs, 80));
    add_child(&list, make("i", "item", 4, 0, 0, 2, NULL, 0, longs, 40));
    add_child(&table, list);
    add_child(&table, make("u", "s", 3, 0, 0, 3, NULL, 0, (int32_t[]){0, 1, 1, 3}, 16, "abc", 3));
    add_child(&table, with_dictionary(make("c", "d", 3, 0, 0, 2, NULL, 0, "\0\1\1", 3),
                                      make("g", "", 2, 0, 0, 2, NULL, 0, longs, 40)));
    add_child(&table, make("vu", "v", 3, 0, 0, 3, NULL, 0, (int64_t[6]){0}, 48, NULL, 0));
    return table;
}

typedef struct Spoiler {
    void *at;
    size_t size;
    int64_t value;
} Spoiler;

static int spoilers(Made *t, Spoiler *out) {
    struct ArrowArray *a = t->array.children[0], *l = t->array.children[1], *s = t->array.children[2],
                      *d = t->array.children[3], *v = t->array.children[4], *item = l->children[0];
    struct ArrowSchema *sa = t->schema.children[0], *sl = t->schema.children[1], *sd = t->schema.children[3];
    const Spoiler all[] = {
#define AT(place, number) {&(place), sizeof(place), number}
        AT(t->array.length, -1),
        AT(t->array.length, 100),
        AT(t->array.length, INT64_MAX),
        AT(t->array.offset, -1),
        AT(t->array.offset, 2),
        AT(t->array.offset, INT64_MAX),
        AT(t->array.null_count, -2),
        AT(t->array.null_count, 1),
        AT(t->array.n_buffers, 0),
        AT(t->array.n_buffers, 2),
        AT(t->array.buffers, 0),
        AT(t->array.n_children, 4),
        AT(t->array.n_children, 6),
        AT(t->array.n_children, -1),
        AT(t->array.children, 0),
        AT(t->array.children[2], 0),
        AT(t->array.release, 0),
        AT(t->array.dictionary, (int64_t)(intptr_t)a),
        AT(t->schema.release, 0),
        AT(t->schema.format, 0),
        AT(t->schema.n_children, 4),
        AT(t->schema.n_children, -1),
        AT(t->schema.children, 0),
        AT(t->schema.children[1], 0),
        AT(t->schema.dictionary, (int64_t)(intptr_t)sa),
        AT(a->length, 2),
        AT(a->length, -5),
        AT(a->length, INT64_MAX / 2),
        AT(a->offset, INT64_MAX / 2),
        AT(a->null_count, 4),
        AT(a->n_buffers, 3),
        AT(a->n_buffers, -1),
        AT(a->buffers[0], 0),
        AT(a->buffers[1], 0),
        AT(a->release, 0),
        AT(a->n_children, 1),
        AT(sa->release, 0),
        AT(sa->format, 0),
        AT(sa->format, (int64_t)(intptr_t)"u"),
        AT(sa->format, (int64_t)(intptr_t)"+s"),
        AT(sa->format, (int64_t)(intptr_t)"+l"),
        AT(sa->format, (int64_t)(intptr_t)"n"),
        AT(sa->format, (int64_t)(intptr_t)"d:3,2"),
        AT(sa->n_children, 1),
        AT(l->length, 2),
        AT(l->buffers[1], 0),
        AT(l->n_children, 0),
        AT(l->children[0], 0),
        AT(item->buffers[1], 0),
        AT(item->release, 0),
        AT(sl->n_children, 0),
        AT(sl->format, (int64_t)(intptr_t)"+w:2"),
        AT(sl->children[0]->format, (int64_t)(intptr_t)"?"),
        AT(s->n_buffers, 2),
        AT(s->buffers[1], 0),
        AT(d->dictionary, 0),
        AT(d->dictionary->length, -1),
        AT(d->dictionary->release, 0),
        AT(sd->dictionary, 0),
        AT(sd->format, (int64_t)(intptr_t)"f"),
        AT(sd->format, (int64_t)(intptr_t)"tdD"),
        AT(v->n_buffers, 2),
        AT(v->n_buffers, INT64_MIN),
        AT(v->buffers[1], 0),
#undef AT
    };
    memcpy(out, all, sizeof all);
    return sizeof all / sizeof *all;
}

Test(arrow, malformed_structs_are_refused_and_stay_the_callers) {
    Made table = make_table();
    Spoiler spoiler[100];
    int count = spoilers(&table, spoiler);
    for (int i = 0; i < count; i++) {
        char before[8] = {0};
        memcpy(before, spoiler[i].at, spoiler[i].size);
        memcpy(spoiler[i].at, &spoiler[i].value, spoiler[i].size);
        weld_arrow_t got = weld_arrow_import(&table.array, &table.schema, error);
        memcpy(spoiler[i].at, before, spoiler[i].size);
        cr_assert_null(got, "number %d", i);
        cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR, "number %d: %s", i,
                     weld_error_message(error));
        cr_expect(table.array.release && table.schema.release);
    }
    cr_expect_null(weld_arrow_import(NULL, &table.schema, error));
    cr_expect_null(weld_arrow_import(&table.array, NULL, error));
    cr_expect_null(weld_arrow_import(&table.array, NULL, NULL));
    weld_arrow_t whole = must_import(table);
    expect_column(weld_arrow_find(whole, "a"), "[7l, 6l]", "[false, true]");
    expect_column(weld_arrow_find(whole, "l"), "[[]: vec[i32], [0, 8, 0]]", NULL);
    expect_column(weld_arrow_find(whole, "s"), "[[]: vec[i8], \"bc\"]", NULL);
    weld_arrow_free(whole);
}

Test(arrow, offsets_that_are_malformed) {
    static const int32_t bad[][3] = {{-1, 0, 1}, {0, -1, 1},        {2, 1, 3},
                                     {0, 3, 2},  {0, INT32_MIN, 1}, {0, 2, 1}};
    static const int32_t beyond[][3] = {{0, 1, 5}, {5, 5, 5}, {0, INT32_MAX, INT32_MAX}};
    for (size_t i = 0; i < 6 + 3; i++) {
        const int32_t *offsets = i < 6 ? bad[i] : beyond[i - 6];
        int64_t wide[3] = {offsets[0], offsets[1], offsets[2]};
        Made made[4] = {make("u", "", 2, 0, 0, 3, NULL, 0, offsets, 12, "abcd", 4),
                        make("Z", "", 2, 0, 0, 3, NULL, 0, wide, 24, "abcd", 4),
                        make("+l", "", 2, 0, 0, 2, NULL, 0, offsets, 12),
                        make("+L", "", 2, 0, 0, 2, NULL, 0, wide, 24)};
        for (int k = 0; k < 4; k++) {
            if (k >= 2) add_child(&made[k], make("c", "", 4, 0, 0, 2, NULL, 0, "abcd", 4));
            weld_arrow_t column = must_import(made[k]);
            if (i < 6 || k >= 2) { /* how many bytes there are nobody knows */
                cr_expect_null(weld_arrow_values(column, error));
                cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
            }
            weld_arrow_free(column);
        }
    }
    static const int64_t views[][2] = {{-1, 1}, {0, -1},        {0, 5},        {5, 0},
                                       {4, 1},  {INT64_MAX, 1}, {1, INT64_MAX}};
    for (size_t i = 0; i < sizeof views / sizeof *views; i++) {
        Made made = make("+vL", "", 1, 0, 0, 3, NULL, 0, &views[i][0], 8, &views[i][1], 8);
        add_child(&made, make("c", "", 4, 0, 0, 2, NULL, 0, "abcd", 4));
        weld_arrow_t column = must_import(made);
        cr_expect_null(weld_arrow_values(column, error));
        weld_arrow_free(column);
    }
    weld_arrow_t column = must_import(make("u", "", 1, 0, 0, 3, NULL, 0, (int32_t[]){0, 1}, 8, NULL, 0));
    cr_expect_null(weld_arrow_values(column, error)); /* text without data */
    weld_arrow_free(column);
}

Test(arrow, schemas_that_nest_too_deep) {
    Made made = make("l", "", 1, 0, 0, 2, NULL, 0, longs, 80);
    for (int i = 0; i < 100; i++) {
        Made outer = make("+l", "", 1, 0, 0, 2, NULL, 0, (int32_t[]){0, 1}, 8);
        add_child(&outer, made);
        made = outer;
    }
    cr_expect_null(weld_arrow_import(&made.array, &made.schema, error));
    made_free(&made);
    made = make("l", "", 1, 0, 0, 2, NULL, 0, longs, 80);
    for (int i = 0; i < 55; i++) {
        Made outer = make("+l", "", 1, 0, 0, 2, NULL, 0, (int32_t[]){0, 1}, 8);
        add_child(&outer, made);
        made = outer;
    }
    weld_arrow_t column = must_import(made);
    weld_lazy_t lazy = weld_arrow_values(column, error);
    cr_expect(lazy, "%s", weld_error_message(error));
    weld_lazy_free(lazy);
    weld_arrow_free(column);
}

Test(arrow, no_column_is_an_error) {
    cr_expect_null(weld_arrow_values(NULL, error));
    cr_expect_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    cr_expect_null(weld_arrow_validity(NULL, NULL));
    cr_expect_null(weld_arrow_values(weld_arrow_find(NULL, "x"), NULL));
    cr_expect_eq(weld_arrow_length(NULL), -1);
    cr_expect_eq(weld_arrow_column_count(NULL), -1);
    cr_expect_eq(weld_arrow_null_count(NULL, NULL), -1);
    cr_expect_null(weld_arrow_name(NULL));
    cr_expect_null(weld_arrow_format(NULL));
    cr_expect_null(weld_arrow_dictionary(NULL));
    cr_expect_null(weld_arrow_import_stream(NULL, error));
    weld_arrow_free(NULL);
}

/* ---- in: who holds what ---- */

Test(arrow, an_array_is_released_when_nothing_is_left_of_it) {
    weld_arrow_t table = must_import(make_table());
    int whole = arrays_alive;
    cr_expect_eq(schemas_alive, 0);
    weld_lazy_t lazy = weld_arrow_values(weld_arrow_find(table, "s"), error);
    weld_lazy_t tail = weld_lazy_new(NULL, "|v| slice(v, 1l, 1l)", &lazy, 1, error);
    weld_lazy_t count = weld_lazy_new(NULL, "|v| len(v)", &lazy, 1, error);
    weld_arrow_free(table);
    weld_lazy_free(lazy);
    cr_expect_eq(arrays_alive, whole);
    weld_value_t value = must_evaluate(tail, 0), length = must_evaluate(count, 0);
    weld_lazy_free(tail);
    weld_lazy_free(count);
    cr_expect_eq(arrays_alive, whole);
    weld_value_free(value);
    cr_expect_eq(arrays_alive, 0); /* a number points nowhere */
    weld_value_free(length);
}

static void *ask(void *data) {
    weld_error_t own = weld_error_new();
    weld_lazy_t *lazies = calloc(3, sizeof *lazies);
    lazies[0] = weld_arrow_values(weld_arrow_column(data, 0), own);
    lazies[1] = weld_arrow_validity(weld_arrow_column(data, 0), own);
    lazies[2] = weld_arrow_values(data, own);
    weld_error_free(own);
    return lazies;
}

Test(arrow, threads_ask_for_the_same) {
    enum { THREADS = 8 };
    for (int round = 0; round < 20; round++) {
        weld_arrow_t table = must_import(make_table());
        pthread_t thread[THREADS];
        weld_lazy_t *first = NULL;
        for (int i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&thread[i], NULL, ask, table), 0);
        for (int i = 0; i < THREADS; i++) {
            void *got;
            pthread_join(thread[i], &got);
            weld_lazy_t *lazies = got;
            for (int k = 0; k < 3; k++) {
                cr_assert_not_null(lazies[k]);
                if (first) cr_assert_eq(lazies[k], first[k]);
                weld_lazy_free(lazies[k]);
            }
            if (first)
                free(lazies);
            else
                first = lazies;
        }
        free(first);
        weld_arrow_free(table);
    }
}

/* ---- in: streams ---- */

static Made make_batch(const char *values, int64_t first, int64_t length) {
    Made batch = make_struct(length, 0);
    add_child(&batch, make("l", "x", length, first, -1, 2, "\xfe\xff", 2, longs, 80));
    add_child(&batch, make("b", "b", length, first, 0, 2, NULL, 0, "\x55\x55", 2));
    int32_t offsets[] = {0, 1, 3, 3, 6, 6, 6, 7, 8, 9, 9};
    add_child(&batch, make("u", "s", length, first, 0, 3, NULL, 0, offsets, 44, "abcdefghi", 9));
    int64_t count = (int64_t)strlen(values);
    int32_t ends[10] = {0};
    for (int i = 0; i < 10; i++) ends[i] = i < count ? i : (int32_t)count;
    add_child(&batch,
              with_dictionary(make("c", "d", length, first, 0, 2, NULL, 0, "\0\1\0\1\0\1\0\1\0\1", 10),
                              make("u", "", count, 0, 0, 3, NULL, 0, ends, 40, values, (int)count)));
    Made list = make("+w:2", "l", length, 0, 0, 1, NULL, 0);
    add_child(&list, make("i", "item", 2 * length, first, -1, 2, "\xfd\xff\xff", 3,
                          (int64_t[16]){1, 2, 3, 4, 5, 6, 7, 8}, 128));
    add_child(&batch, list);
    return batch;
}

Test(arrow, a_stream_of_batches) {
    Made batch[3] = {make_batch("pq", 0, 3), make_batch("xyz", 0, 0), make_batch("pqr", 2, 2)};
    Batches batches = {batch, 3, 0, -1, &streams_alive};
    struct ArrowArrayStream stream = make_stream(&batches);
    weld_arrow_t table = weld_arrow_import_stream(&stream, error);
    cr_assert_not_null(table, "%s", weld_error_message(error));
    cr_expect(!stream.release && !streams_alive && !schemas_alive);
    cr_expect_eq(weld_arrow_length(table), 5);
    expect_column(weld_arrow_find(table, "x"), "[9l, 8l, 7l, 7l, 6l]", "[false, true, true, true, true]");
    expect_column(weld_arrow_find(table, "b"), "[true, false, true, true, false]", NULL);
    expect_column(weld_arrow_find(table, "s"), "[\"a\", \"bc\", [], [], \"def\"]", NULL);
    expect_column(weld_arrow_find(table, "d"), "[\"p\", \"q\", \"p\", \"p\", \"q\"]", NULL);
    expect(weld_arrow_indices(weld_arrow_find(table, "d"), error), "[0l, 1l, 0l, 5l, 6l]");
    expect_column(weld_arrow_find(table, "l"), "[[1, 0], [2, 0], [3, 0], [2, 0], [3, 0]]", NULL);
    expect(weld_arrow_item_validity(weld_arrow_find(table, "l"), error),
           "[[true, false], [true, true], [true, true], [true, true], [true, true]]");
    weld_arrow_free(table);
}

Test(arrow, one_batch_is_not_copied_and_none_is_empty) {
    Made batch = make_batch("pq", 1, 3);
    const char *data = batch.array.children[0]->buffers[1];
    Batches batches = {&batch, 1, 0, -1, &streams_alive};
    struct ArrowArrayStream stream = make_stream(&batches);
    weld_arrow_t table = weld_arrow_import_stream(&stream, error);
    cr_assert_not_null(table);
    weld_lazy_t lazy = weld_arrow_values(weld_arrow_column(table, 0), error);
    weld_value_t value = must_evaluate(lazy, 0);
    cr_expect_eq(*(const char **)weld_value_data(value), data + 8);
    weld_value_free(value);
    weld_lazy_free(lazy);
    weld_arrow_free(table);

    batch = make_batch("pq", 1, 3);
    batches = (Batches){&batch, 0, 0, -1, &streams_alive};
    stream = make_stream(&batches);
    table = weld_arrow_import_stream(&stream, error);
    cr_assert_not_null(table, "%s", weld_error_message(error));
    expect_column(weld_arrow_column(table, 0), "[]: vec[i64]", NULL);
    expect_column(weld_arrow_column(table, 2), "[]: vec[vec[i8]]", NULL);
    expect_column(weld_arrow_column(table, 3), "[]: vec[vec[i8]]", NULL);
    weld_arrow_free(table);
}

/* Not a table, and the same dictionary in each batch. */
Test(arrow, a_stream_of_dictionaries_that_are_the_same) {
    Made batch[2];
    for (int i = 0; i < 2; i++) {
        batch[i] = with_dictionary(make("c", "", 2, 0, 0, 2, NULL, 0, i ? "\0\2" : "\2\1", 2),
                                   make("l", "", 3, 0, 0, 2, NULL, 0, longs, 80));
    }
    batch[1].array.dictionary->buffers[1] = batch[0].array.dictionary->buffers[1];
    Batches batches = {batch, 2, 0, -1, &streams_alive};
    struct ArrowArrayStream stream = make_stream(&batches);
    weld_arrow_t column = weld_arrow_import_stream(&stream, error);
    expect_column(column, "[7l, 8l, 9l, 7l]", NULL);
    expect(weld_arrow_indices(column, error), "[2c, 1c, 0c, 2c]");
    weld_arrow_free(column);
}

Test(arrow, streams_that_fail) {
    for (int fails_at = 0; fails_at < 5; fails_at++) {
        Made batch[3] = {make_batch("pq", 0, 3), make_batch("xyz", 0, 1), make_batch("pqr", 2, 2)};
        if (fails_at == 3) batch[2].array.children[1]->n_buffers = 7;
        Batches batches = {batch, 3, 0, fails_at < 3 ? fails_at : -1, &streams_alive};
        struct ArrowArrayStream stream = make_stream(&batches);
        if (fails_at == 4) stream.get_next = NULL;
        cr_expect_null(weld_arrow_import_stream(&stream, error));
        cr_expect_eq(weld_error_code(error), fails_at < 3 ? WELD_FOREIGN_CALL_ERROR : WELD_ARGUMENT_ERROR);
        if (fails_at < 3) cr_expect(strstr(weld_error_message(error), "the disk is on fire"));
        if (fails_at < 4) cr_expect_eq(batches.next, fails_at);
        cr_assert_not_null(stream.release);
        stream.release(&stream);
    }
}
