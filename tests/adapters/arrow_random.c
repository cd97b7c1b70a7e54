/* arrow_random.c: the adapter arrow on random trees of arrays: right ones go in, out and in again and are what they were; of
 * schemas and arrays that do not belong together, and of wrong numbers, nothing comes but an error. */
#include "arrow_make.h"

TestSuite(arrow_random, .init = begin, .fini = end, .timeout = 600);

static uint64_t seed = 88172645463325252ull;

static int64_t draw(int64_t below) {
    seed ^= seed << 13, seed ^= seed >> 7, seed ^= seed << 17;
    return (int64_t)((seed * 0x2545F4914F6CDD1Dull >> 20) % (uint64_t)below);
}

enum { BYTES = 4096 };

static uint8_t *random_bytes(void) {
    static uint8_t bytes[BYTES];
    for (int i = 0; i < BYTES; i++) bytes[i] = (uint8_t)draw(256);
    return bytes;
}

/* ---- right ones ---- */

/* Elements in all, and those before the first. */
typedef struct Extent {
    int64_t length, offset;
} Extent;

static Made random_column(int depth, Extent extent, bool nulls);

/* entry bytes for each; from a random first on, sums of lengths below 4. *last: the last. */
static void random_offsets(char *out, int entry, int64_t count, int64_t *last) {
    int64_t sum = draw(3);
    for (int64_t i = 0; i <= count; i++) {
        int32_t narrow = (int32_t)sum;
        memcpy(out + i * entry, entry == 8 ? (void *)&sum : (void *)&narrow, (size_t)entry);
        *last = sum;
        sum += draw(4);
    }
}

static Made random_text(Extent e, const void *bitmap, int64_t nulls) {
    static const char *const formats[] = {"u", "z", "U", "Z"};
    int kind = (int)draw(4), entry = kind < 2 ? 4 : 8;
    int64_t count = e.length + e.offset, last;
    char *offsets = malloc((size_t)(count + 1) * 8);
    random_offsets(offsets, entry, count, &last);
    uint8_t *bytes = random_bytes();
    for (int64_t i = 0; i < last; i++) bytes[i] = (uint8_t)(32 + bytes[i] % 90);
    Made made = make(formats[kind], "c", e.length, e.offset, nulls, 3, bitmap, 64, offsets,
                     (int)(count + 1) * entry, bytes, (int)last);
    free(offsets);
    return made;
}

static Made random_list(int depth, Extent e, const void *bitmap, int64_t nulls) {
    static const char *const formats[] = {"+l", "+L", "+w:3"};
    int kind = (int)draw(3), entry = kind ? 8 : 4;
    int64_t count = e.length + e.offset, last = 3 * count;
    char *offsets = malloc((size_t)(count + 1) * 8);
    if (kind < 2) random_offsets(offsets, entry, count, &last);
    Made made = make(formats[kind], "c", e.length, e.offset, nulls, kind < 2 ? 2 : 1, bitmap, 64, offsets,
                     (int)(count + 1) * entry);
    add_child(&made, random_column(depth + 1, (Extent){last + draw(3), draw(4)}, false));
    free(offsets);
    return made;
}

static Made random_plain(Extent e, const void *bitmap, int64_t nulls) {
    static const char *const formats[] = {"c", "C", "s",   "S",       "i",   "I",
                                          "l", "L", "tdD", "tsu:UTC", "tDs", "ttm"};
    int64_t count = e.length + e.offset;
    uint8_t *bytes = malloc((size_t)count * 8 + 1);
    for (int64_t i = 0; i < count * 8; i++) bytes[i] = (uint8_t)draw(256);
    Made made = make(formats[draw(12)], "c", e.length, e.offset, nulls, 2, bitmap, 64, bytes, (int)count * 8);
    free(bytes);
    return made;
}

static Made random_bits(Extent e, const void *bitmap, int64_t nulls) {
    int64_t bytes = (e.length + e.offset) / 8 + 1;
    return make("b", "c", e.length, e.offset, nulls, 2, bitmap, 64, random_bytes(),
                (int)(bytes < BYTES ? bytes : BYTES));
}

/* Bitmaps have room for 512 bits. */
static Made random_column(int depth, Extent e, bool nulls) {
    uint8_t bits[64];
    for (int i = 0; i < 64; i++) bits[i] = (uint8_t)draw(256);
    const void *bitmap = nulls && e.length + e.offset <= 512 ? bits : NULL;
    int64_t count = bitmap ? -1 : -draw(2);
    switch (draw(depth < 3 ? 4 : 3)) {
    case 0: return random_plain(e, bitmap, count);
    case 1: return random_text(e, bitmap, count);
    case 2: return random_bits(e, bitmap, count);
    default: return random_list(depth, e, bitmap, count);
    }
}

static char *text_of(weld_lazy_t lazy, int engine) {
    if (!lazy) return strdup("none");
    weld_value_t value = must_evaluate(lazy, engine);
    char *text = weld_value_print(value);
    weld_value_free(value);
    weld_lazy_free(lazy);
    return text;
}

/* What is missing can be anything: values are compared where nothing is. */
static void expect_same(weld_arrow_t a, weld_arrow_t b) {
    char *valid[2] = {text_of(weld_arrow_validity(a, error), 0), text_of(weld_arrow_validity(b, error), 0)};
    cr_assert_str_eq(valid[0], valid[1]);
    if (strcmp(valid[0], "none") == 0) {
        char *values[2] = {text_of(weld_arrow_values(a, error), 0), text_of(weld_arrow_values(b, error), 1)};
        cr_assert_str_eq(values[0], values[1]);
        free(values[0]);
        free(values[1]);
    }
    free(valid[0]);
    free(valid[1]);
}

Test(arrow_random, in_and_out_and_in_again) {
    for (int round = 0; round < 300; round++) {
        Extent extent = {draw(100), draw(20)};
        weld_arrow_t column = must_import(random_column(0, extent, draw(2)));
        weld_lazy_t lazies[2] = {weld_arrow_values(column, error), weld_arrow_validity(column, error)};
        cr_assert_not_null(lazies[0], "%s", weld_error_message(error));
        weld_value_t values[2] = {NULL, NULL};
        cr_assert(weld_lazy_evaluate(contexts[round % 2], lazies, lazies[1] ? 2 : 1, values, error));
        weld_arrow_field_t field = {"c", weld_arrow_format(column), values[0], values[1], NULL};
        struct ArrowArrayStream stream;
        cr_assert(weld_arrow_export_stream(&field, 1, 1 + draw(50), &stream, error), "%s",
                  weld_error_message(error));
        weld_arrow_t again = weld_arrow_import_stream(&stream, error);
        cr_assert_not_null(again, "%s", weld_error_message(error));
        cr_expect_str_eq(weld_arrow_format(weld_arrow_column(again, 0)), weld_arrow_format(column));
        expect_same(column, weld_arrow_column(again, 0));
        weld_arrow_free(again);
        weld_arrow_free(column);
        for (int i = 0; i < 2; i++) {
            weld_lazy_free(lazies[i]);
            weld_value_free(values[i]);
        }
    }
}

/* ---- wrong ones ---- */

static const char *random_format(void) {
    static const char *const formats[] = {
#define FORMAT(spelling, rest, layout, type, size, doc) spelling,
#include "../../adapters/arrow/formats.def"
    };
    static char text[40];
    snprintf(text, sizeof text, "%s", formats[draw(sizeof formats / sizeof *formats)]);
    if (draw(2)) snprintf(text + strlen(text), 8, "%d", (int)draw(60));
    if (draw(20) == 0) text[draw((int64_t)strlen(text) + 1)] = (char)draw(256);
    return text;
}

/* An array with three buffers of random or small numbers that are longer than whatever is read of them, which its format does
 * not care about. Children and dictionaries in any number. */
static Made random_tree(int depth) {
    uint8_t *bytes = random_bytes();
    for (int i = 0; i < BYTES && draw(3); i += 8) memset(bytes + i + 1, 0, 7); /* small numbers */
    int64_t length = draw(12), offset = draw(8);
    Made made = make(random_format(), "", length, offset, draw(4) ? -1 : draw(14), 3, draw(2) ? bytes : NULL,
                     BYTES, bytes, BYTES, bytes, BYTES);
    made.array.n_buffers = draw(6) ? 1 + draw(3) : draw(6) - 2;
    if (made.array.n_buffers > 3) made.array.n_buffers = 3;
    int children = depth < 4 ? (int)draw(3) : 0;
    for (int i = 0; i < children; i++) add_child(&made, random_tree(depth + 1));
    if (depth < 4 && draw(8) == 0) return with_dictionary(made, random_tree(depth + 1));
    return made;
}

static void ask_all(weld_arrow_t column) {
    weld_lazy_free(weld_arrow_values(column, error));
    weld_lazy_free(weld_arrow_validity(column, error));
    weld_lazy_free(weld_arrow_indices(column, error));
    weld_lazy_free(weld_arrow_item_validity(column, error));
    weld_arrow_null_count(column, error);
    for (int64_t i = 0; i < weld_arrow_column_count(column); i++) ask_all(weld_arrow_column(column, i));
    if (weld_arrow_dictionary(column)) ask_all(weld_arrow_dictionary(column));
}

Test(arrow_random, what_does_not_fit_together) {
    int taken = 0;
    for (int round = 0; round < 20000; round++) {
        Made made = random_tree(0);
        int before = arrays_alive;
        weld_arrow_t column = weld_arrow_import(&made.array, &made.schema, error);
        if (column) {
            ask_all(column);
            weld_arrow_free(column);
            cr_assert(!made.array.release && !made.schema.release);
            taken++;
        } else {
            cr_assert_neq(weld_error_code(error), 0);
            cr_assert_eq(arrays_alive, before);
            made_free(&made);
        }
        cr_assert_eq(arrays_alive, 0);
        cr_assert_eq(schemas_alive, 0);
    }
    cr_expect_gt(taken, 500, "%d", taken);
}

/* ---- together with others ---- */

/* Two columns, one of them looked up in a dictionary, into BLAS: one program, one pass. */
Test(arrow_random, columns_fuse_with_other_libraries) {
    if (!weld_adapter_find("cblas", error)) return;
    static const double prices[] = {0.5, 2, 4}, amounts[] = {1, 2, 3, 4};
    weld_arrow_t price = must_import(with_dictionary(make("c", "", 4, 0, 0, 2, NULL, 0, "\2\1\0\2", 4),
                                                     make("g", "", 3, 0, 0, 2, NULL, 0, prices, 24)));
    weld_arrow_t amount = must_import(make("g", "", 4, 0, 0, 2, NULL, 0, amounts, 32));
    weld_lazy_t columns[2] = {weld_arrow_values(price, error), weld_arrow_values(amount, error)};
    weld_lazy_t dot = weld_lazy_call("cblas.ddot", columns, 2, error);
    cr_assert_not_null(dot, "%s", weld_error_message(error));
    char *plan = weld_lazy_plan(&dot, 1, error);
    const char *loop = plan ? strstr(plan, "a loop over") : NULL;
    cr_expect(loop && !strstr(loop + 1, "a loop over"), "%s", plan);
    free(plan);
    expect(dot, "25.5");
    for (int i = 0; i < 2; i++) weld_lazy_free(columns[i]);
    weld_arrow_free(price);
    weld_arrow_free(amount);
}
