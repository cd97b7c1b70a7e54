/* sort.c: rows in order: sort, top.
 *
 *     s = sort([{keys.., row number}..], order); columns map(s, |p| lookup(x, p.$n)), the keys map(s, |p| p.$k)
 *
 * The first k rows by one column none of which is missing are a slice of the sort of all {key, row number}, which the
 * runtime selects without making them all; its order puts NaN last.
 */
#include "frame.h"

#include <stdio.h>

/* The row's key and number, where it can be compared at once; NaN and missing values, which have no order, are put
 * behind in the order of the rows: {comparable, NaN, missing}. So one key is sorted as plain numbers. */
static void put_single(Fragment *fragment, const Keys *keys, const char *limit) {
    const Column *column = &keys->columns[0];
    Row *row = row_open(fragment);
    if (!row) return;
    Buf result = {0}, order = {0};
    const char *code = kind_code(column->kind);
    bool real = kind_is_float(column->kind);
    long long x = row_element(row, column->data);
    char comparable[80], nan[80], missing[80], builder[200];
    snprintf(comparable, sizeof comparable, "{merge(b.$0, {x%lld, i}), b.$1, b.$2}", x);
    snprintf(nan, sizeof nan, "{b.$0, merge(b.$1, {x%lld, i}), b.$2}", x);
    snprintf(missing, sizeof missing, "{b.$0, b.$1, merge(b.$2, {x%lld, i})}", x);
    if (column->valid)
        buf_printf(&result, "if(!x%lld, %s, ", (long long)row_element(row, column->valid), missing);
    if (real)
        buf_printf(&result, "if(x%lld == x%lld, %s, %s)", x, x, comparable, nan);
    else
        buf_printf(&result, "%s", comparable);
    if (column->valid) buf_printf(&result, ")");
    keys_compare_values(&order, column->kind, keys->descending[0], "a.$0", "b.$0");
    snprintf(builder, sizeof builder, "{appender[{%s,i64}],appender[{%s,i64}],appender[{%s,i64}]}", code,
             code, code);
    buf_printf(&fragment->body, "let r = ");
    row_close(row, builder, buf_text(&result));
    buf_printf(&fragment->body, "; let s = %ssort(result(r.$0), |a, b| %s)%s; ", *limit ? "slice(" : "",
               buf_text(&order), limit);
    buf_printf(&fragment->body,
               "let nan = result(r.$1); let missing = result(r.$2); if(len(nan) + len(missing) == 0l, s, "
               "%sresult(for(missing, for(nan, for(s, appender[{%s,i64}], |b, i, e| merge(b, e)), |b, i, e| "
               "merge(b, e)), "
               "|b, i, e| merge(b, e)))%s)",
               *limit ? "slice(" : "", code, limit);
    if (result.failed || order.failed) fragment->failed = true;
    fragment_drop(fragment, &result);
    fragment_drop(fragment, &order);
}

/* sort(result(for(zip(keys), appender[{.., i64}], |b, i, e| merge(b, {.., i}))), |a, b| ..) */
static void put_several(Fragment *fragment, const Keys *keys, const char *limit) {
    Row *row = row_open(fragment);
    if (!row) return;
    Buf result = {0};
    buf_printf(&fragment->body, *limit ? "slice(sort(result(" : "sort(result(");
    buf_printf(&result, "merge(b, {");
    keys_fields(&result, row, keys);
    buf_printf(&result, ", i})");
    if (result.failed) fragment->failed = true;
    row_close(row, "appender", buf_text(&result));
    fragment_drop(fragment, &result);
    buf_printf(&fragment->body, "), |a, b| ");
    keys_compare(&fragment->body, "a", "b", keys, true);
    buf_printf(&fragment->body, ")%s", limit);
}

static bool is_single(const Keys *keys) {
    return keys->count == 1 && (keys->columns[0].valid || kind_is_float(keys->columns[0].kind));
}

/* May its first rows be selected by the column alone? */
static bool is_selected(const Keys *keys) {
    return keys->count == 1 && !keys->columns[0].valid &&
           (kind_is_number(keys->columns[0].kind) || keys->columns[0].kind == WELD_FRAME_DATE);
}

/* if(k is small, slice(sort({key, row number}), 0l, k), or what follows. */
static void put_selected(Fragment *fragment, const Keys *keys, long long k, const char *limit) {
    enum { FRACTION = 16 }; /* of the rows: of more the runtime sorts all (runtime/sort/top.c) */
    const Column *column = &keys->columns[0];
    long long x = fragment_add(fragment, column->data);
    Buf order = {0};
    keys_compare_scalars(&order, column->kind, keys->descending[0], "a.$0", "b.$0");
    buf_printf(
        &fragment->body,
        "if(p%lld <= len(p%lld) / %dl, "
        "slice(sort(result(for(p%lld, appender[{%s,i64}], |b, i, e| merge(b, {e, i}))), |a, b| %s)%s, ",
        k, x, FRACTION, x, kind_code(column->kind), buf_text(&order), limit);
    if (order.failed) fragment->failed = true;
    fragment_drop(fragment, &order);
}

/* A vector of structs, of which field `number` is a row; all of it, or its first `count`. */
static weld_lazy_t sorted(const char *function, const Keys *keys, weld_lazy_t count, int64_t *number,
                          weld_error_t error) {
    Fragment fragment = fragment_open(function, error);
    char limit[60] = "";
    long long k = count ? fragment_add(&fragment, count) : -1;
    if (count) snprintf(limit, sizeof limit, ", 0l, p%lld)", k);
    bool selected = count && is_selected(keys);
    if (selected) put_selected(&fragment, keys, k, limit);
    *number = is_single(keys) ? 1 : keys_width(keys);
    if (is_single(keys))
        put_single(&fragment, keys, limit);
    else
        put_several(&fragment, keys, limit);
    if (selected) buf_printf(&fragment.body, ")");
    return fragment_close(&fragment);
}

/* Which key the column is, of which p.$.. holds the values themselves; or -1. */
static int64_t key_of(const Keys *keys, const Column *column) {
    for (int64_t i = 0; i < keys->count && !column->valid; i++) {
        if (keys->columns[i].data == column->data && column->kind != WELD_FRAME_TEXT) return i;
    }
    return -1;
}

static bool put_key(weld_frame_t made, const char *function, const Keys *keys, int64_t key,
                    const Column *column, weld_lazy_t places, weld_error_t error) {
    char value[80], code[120];
    keys_value(value, "p", keys, key, false, true);
    snprintf(code, sizeof code, "|s| map(s, |p| %s)", value);
    weld_lazy_t values = weld_lazy_new(function, code, &places, 1, error);
    return frame_put(made, function, column->name, column->kind, values, NULL, error);
}

static weld_frame_t sort(weld_frame_t frame, const char *function, const char *text, weld_lazy_t count,
                         weld_error_t error) {
    if (!frame_check(frame, function, error)) return NULL;
    Parser parser = parser_open(frame, function, text, error);
    Keys keys;
    int64_t number = 0;
    weld_lazy_t places =
        keys_open(&parser, true, &keys) ? sorted(function, &keys, count, &number, error) : NULL;
    weld_frame_t made = places ? frame_new(frame->count, frame, error) : NULL;
    char index[40];
    snprintf(index, sizeof index, "p.$%lld", (long long)number);
    for (int64_t i = 0; made && i < frame->count; i++) {
        const Column *column = &frame->columns[i];
        int64_t key = key_of(&keys, column);
        bool put = key >= 0 ? put_key(made, function, &keys, key, column, places, error)
                            : frame_gather(made, function, column, column->name, places, index, NULL, error);
        if (!put) {
            weld_frame_free(made);
            made = NULL;
        }
    }
    weld_lazy_free(places);
    keys_close(&keys);
    parser_close(&parser);
    return made;
}

weld_frame_t weld_frame_sort(weld_frame_t frame, const char *keys, weld_error_t error) {
    return sort(frame, "frame.sort", keys, NULL, error);
}

weld_frame_t weld_frame_top(weld_frame_t frame, const char *keys, int64_t count, weld_error_t error) {
    if (count < 0) return frame_fail(error, "frame.top", "%lld rows are too few", (long long)count);
    weld_lazy_t number = lazy_i64(count, error);
    weld_frame_t made = number ? sort(frame, "frame.top", keys, number, error) : NULL;
    weld_lazy_free(number);
    return made;
}
