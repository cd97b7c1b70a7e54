/* keys.c: keys of one or several columns, as scalars or structs that dictionaries and sorts take.
 *
 *     id: i64, town: text that may be missing      ->  {i64, bool, vec[i8]}: {id, it is missing, town or ""}
 *
 * Missing values are equal to each other, and false < true puts them last. Floats that are keys of an order have NaN behind
 * the numbers.
 */
#include "frame.h"

#include <stdio.h>

bool keys_open(Parser *parser, bool order, Keys *keys) {
    *keys = (Keys){0};
    int64_t count = 0;
    Item *items = parser->failed ? NULL : parse_items(parser, order, &count);
    if (!items) return false;
    keys->columns = parser_alloc(parser, count * (int64_t)sizeof *keys->columns);
    keys->descending = parser_alloc(parser, count);
    keys->names = parser_alloc(parser, count * (int64_t)sizeof *keys->names);
    for (int64_t i = 0; !parser->failed && i < count; i++) {
        if (!check_value(parser, items[i].node) ||
            !expression_column(parser, items[i].node, items[i].node->type, &keys->columns[i]))
            break;
        keys->descending[i] = items[i].descending;
        keys->names[i] = items[i].name;
        keys->count++;
    }
    if (!parser->failed) return true;
    keys_close(keys);
    return false;
}

void keys_close(Keys *keys) {
    for (int64_t i = 0; i < keys->count; i++) column_drop(&keys->columns[i]);
    keys->count = 0;
}

int64_t keys_width(const Keys *keys) {
    int64_t width = keys->count;
    for (int64_t i = 0; i < keys->count; i++) width += keys->columns[i].valid != NULL;
    return width;
}

void keys_type(Buf *out, const Keys *keys) {
    bool one = keys_width(keys) == 1;
    if (!one) buf_printf(out, "{");
    for (int64_t i = 0; i < keys->count; i++)
        buf_printf(out, "%s%s%s", i ? "," : "", keys->columns[i].valid ? "bool," : "",
                   kind_code(keys->columns[i].kind));
    if (!one) buf_printf(out, "}");
}

void keys_fields(Buf *out, Row *row, const Keys *keys) {
    for (int64_t i = 0; i < keys->count; i++) {
        const Column *column = &keys->columns[i];
        long long x = row_element(row, column->data);
        buf_printf(out, i ? "," : "");
        if (column->valid) {
            long long v = row_element(row, column->valid);
            buf_printf(out, "!x%lld, if(x%lld, x%lld, %s)", v, v, x, kind_zero(column->kind));
        } else {
            buf_printf(out, "x%lld", x);
        }
    }
}

void keys_put(Buf *out, Row *row, const Keys *keys) {
    bool one = keys_width(keys) == 1;
    if (!one) buf_printf(out, "{");
    keys_fields(out, row, keys);
    if (!one) buf_printf(out, "}");
}

void keys_all_valid(Buf *out, Row *row, const Keys *keys) {
    for (int64_t i = 0; i < keys->count; i++) {
        if (!keys->columns[i].valid) continue;
        buf_printf(out, "%sx%lld", out->length ? " && " : "",
                   (long long)row_element(row, keys->columns[i].valid));
    }
}

void keys_value(char *out, const char *path, const Keys *keys, int64_t j, bool valid, bool bare) {
    int64_t field = 0;
    for (int64_t i = 0; i < j; i++) field += 1 + (keys->columns[i].valid != NULL);
    if (!valid && keys->columns[j].valid) field++;
    if (keys_width(keys) == 1 && !bare)
        snprintf(out, 80, "%s", path);
    else
        snprintf(out, 80, "%s.$%lld", path, (long long)field);
}

void keys_compare_values(Buf *out, Kind kind, bool descending, const char *x, const char *y) {
    buf_printf(out, kind == WELD_FRAME_TEXT ? "frame.order(%s, %s)" : "compare(%s, %s)", descending ? y : x,
               descending ? x : y);
}

void keys_compare_scalars(Buf *out, Kind kind, bool descending, const char *x, const char *y) {
    const char *first = descending ? y : x, *second = descending ? x : y;
    if (kind_is_float(kind))
        buf_printf(out, "if(%1$s != %1$s, if(%2$s != %2$s, 0, 1), if(%2$s != %2$s, -1, compare(%3$s, %4$s)))",
                   x, y, first, second);
    else
        keys_compare_values(out, kind, descending, x, y);
}

void keys_compare(Buf *out, const char *a, const char *b, const Keys *keys, bool bare) {
    char x[80], y[80];
    int64_t steps = keys_width(keys), step = 0;
    for (int64_t i = 0; i < keys->count; i++) {
        for (int valid = keys->columns[i].valid != NULL; valid >= 0; valid--) {
            keys_value(x, a, keys, i, valid, bare);
            keys_value(y, b, keys, i, valid, bare);
            bool last = ++step == steps;
            if (!last) buf_printf(out, "let o%lld = ", (long long)step);
            keys_compare_scalars(out, valid ? WELD_FRAME_BOOL : keys->columns[i].kind,
                                 !valid && keys->descending[i], x, y);
            if (!last) buf_printf(out, "; if(o%lld != 0, o%lld, (", (long long)step, (long long)step);
        }
    }
    for (int64_t i = 1; i < steps; i++) buf_printf(out, "))");
}
