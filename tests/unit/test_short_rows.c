/* test_short_rows.c: sums over rows of a matrix and rows that are added up, at every length around the widths of vectors: what
 * is full goes first, what is left goes under a mask or one by one (cg_count_short of weldc/codegen/cg_loop.c), of 8 rows at a time and
 * of those that are left. All numbers are small integers, so that every order of adding is exact. */
#include "../../runtime/rt.h"

#include <criterion/criterion.h>
#include <string.h>

enum { LONGEST = 40, ROWS = 19 };

static const char *const kinds[] = {"f32", "f64", "i32", "i64", "i16", "u8"};

/* weights = the sum over rows of (row . weights - label) * row; the exponential, of 0, makes stages of the loop. */
static void program(Buf *text, const char *kind) {
    bool real = kind[0] == 'f';
    buf_printf(
        text,
        "|data: vec[i64], y: vec[i64], size: i64|\n"
        "  let x = map(data, |e| %s(e));\n"
        "  let start = result(for(rangeiter(0L, size, 1L), appender[%s], |b, i, e| merge(b, %s(e %% 3L))));\n"
        "  let sums = result(for(y, vecmerger[%s, +](start), |sums, row, label|\n"
        "    let features = slice(x, row * size, size);\n"
        "    let score = result(for(zip(features, start), merger[%s, +], |b, i, e| merge(b, e.$0 * e.$1)));\n"
        "    let error = score - %s(label)%s;\n"
        "    for(features, sums, |b, column, feature| merge(b, {column, error * feature}))));\n"
        "  map(sums, |e| i64(e))",
        kind, kind, kind, kind, kind, kind,
        !real            ? ""
        : kind[1] == '3' ? " * exp(score * 0.0f)"
                         : " * exp(score * 0.0)");
}

static void want(const char *kind, const int64_t *data, const int64_t *y, int64_t size, int64_t *out) {
    for (int64_t j = 0; j < size; j++) out[j] = j % 3;
    for (int row = 0; row < ROWS; row++) {
        int64_t score = 0;
        for (int64_t j = 0; j < size; j++) score += data[row * size + j] * (j % 3);
        for (int64_t j = 0; j < size; j++) out[j] += (score - y[row]) * data[row * size + j];
    }
    for (int64_t j = 0; j < size; j++) {
        if (!strcmp(kind, "i16")) out[j] = (int16_t)out[j];
        if (!strcmp(kind, "u8")) out[j] = (uint8_t)out[j];
    }
}

Test(short_rows, all_lengths, .timeout = 300) {
    int64_t data[ROWS * LONGEST], y[ROWS], sums[LONGEST];
    for (int i = 0; i < ROWS * LONGEST; i++) data[i] = i * 7 % 5;
    for (int i = 0; i < ROWS; i++) y[i] = i % 4;
    for (size_t k = 0; k < sizeof kinds / sizeof *kinds; k++) {
        Buf text = {0};
        program(&text, kinds[k]);
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.engine", "jit");
        weld_error_t error = weld_error_new();
        weld_module_t module = weld_module_compile(text.text, conf, error);
        cr_assert(module, "%s", weld_error_message(error));
        for (int64_t size = 1; size <= LONGEST; size++) {
            struct {
                Vec data, y;
                int64_t size;
            } args = {{data, ROWS * size}, {y, ROWS}, size};
            weld_context_t context = weld_context_new(conf);
            weld_value_t argument = weld_value_new(&args),
                         value = weld_module_run(module, context, argument, error);
            cr_assert(value, "%s of %d: %s", kinds[k], (int)size, weld_error_message(error));
            const Vec *got = weld_value_data(value);
            want(kinds[k], data, y, size, sums);
            cr_assert_eq(got->length, size);
            for (int64_t j = 0; j < size; j++)
                cr_expect_eq(((const int64_t *)got->data)[j], sums[j], "%s, rows of %d, column %d", kinds[k],
                             (int)size, (int)j);
            weld_value_free(value);
            weld_value_free(argument);
            weld_context_free(context);
        }
        weld_module_free(module);
        weld_error_free(error);
        weld_conf_free(conf);
        buf_release(&text);
    }
}
