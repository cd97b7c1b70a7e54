/* rows.c: frames with other rows: filter, slice, distinct, concat; sort.c has their orders.
 *
 *     filter:  f = result(for(zip(x, y, keep), appender[{..}], |b, i, e| if(keep, merge(b, {x, y}), b)))
 *              columns map(f, |e| e.$0), ..: the optimizer makes one loop of it all, without columns that nobody wants
 *     distinct: r = sort(least row numbers of a dictionary of the keys); columns map(r, |p| lookup(x, p))
 */
#include "frame.h"

#include <stdio.h>

static bool fail(weld_frame_t *made) {
    weld_frame_free(*made);
    *made = NULL;
    return false;
}

/* Columns of a vector of structs, in the order in which keep_rows put them. */
static weld_frame_t unpack(weld_frame_t frame, const char *function, weld_lazy_t rows, bool one,
                           weld_error_t error) {
    weld_frame_t made = rows ? frame_new(frame->count, frame, error) : NULL;
    char code[64];
    int64_t field = 0;
    for (int64_t i = 0; made && i < frame->count; i++) {
        const Column *column = &frame->columns[i];
        snprintf(code, sizeof code, "|v| map(v, |e| e.$%lld)", (long long)field++);
        weld_lazy_t data = one ? weld_lazy_hold(rows) : lazy_put(function, error, rows, code), valid = NULL;
        if (data && column->valid) {
            snprintf(code, sizeof code, "|v| map(v, |e| e.$%lld)", (long long)field++);
            valid = lazy_put(function, error, rows, code);
            if (!valid) {
                weld_lazy_free(data);
                data = NULL;
            }
        }
        if (!frame_put(made, function, column->name, column->kind, data, valid, error)) fail(&made);
    }
    weld_lazy_free(rows);
    return made;
}

weld_frame_t frame_keep(weld_frame_t frame, const char *function, weld_lazy_t keep, weld_error_t error) {
    Fragment fragment = fragment_open(function, error);
    Row *row = row_open(&fragment);
    Buf builder = {0}, fields = {0}, result = {0};
    bool one = frame->count == 1 && !frame->columns[0].valid;
    for (int64_t i = 0; row && i < frame->count; i++) {
        const Column *column = &frame->columns[i];
        const char *comma = i ? "," : "";
        buf_printf(&builder, "%s%s%s", comma, kind_code(column->kind), column->valid ? ",bool" : "");
        buf_printf(&fields, "%sx%lld", comma, (long long)row_element(row, column->data));
        if (column->valid) buf_printf(&fields, ",x%lld", (long long)row_element(row, column->valid));
    }
    Buf whole = {0};
    buf_printf(&whole, one ? "appender[" : "appender[{");
    buf_put(&whole, buf_text(&builder), builder.length);
    buf_printf(&whole, one ? "]" : "}]");
    if (row) {
        buf_printf(&result, one ? "if(x%lld, merge(b, " : "if(x%lld, merge(b, {",
                   (long long)row_element(row, keep));
        buf_put(&result, buf_text(&fields), fields.length);
        buf_printf(&result, one ? "), b)" : "}), b)");
        buf_printf(&fragment.body, "result(");
        row_close(row, buf_text(&whole), buf_text(&result));
        buf_printf(&fragment.body, ")");
    }
    if (builder.failed || fields.failed || result.failed || whole.failed) fragment.failed = true;
    fragment_drop(&fragment, &builder);
    fragment_drop(&fragment, &fields);
    fragment_drop(&fragment, &result);
    fragment_drop(&fragment, &whole);
    return unpack(frame, function, fragment_close(&fragment), one, error);
}

weld_frame_t weld_frame_filter(weld_frame_t frame, const char *condition, weld_error_t error) {
    static const char function[] = "frame.filter";
    if (!frame_check(frame, function, error)) return NULL;
    Parser parser = parser_open(frame, function, condition, error);
    Node *node = parse_expression(&parser);
    weld_lazy_t keep = NULL;
    if (node && parse_end(&parser) && check_node(&parser, node)) {
        if (node->type != WELD_FRAME_BOOL && node->type != WELD_FRAME_TYPES)
            parser_fail(&parser, node, "the condition is %s, not bool,", weld_frame_type_name(node->type));
        else
            keep = expression_met(&parser, node);
    }
    parser_close(&parser);
    weld_frame_t made = keep ? frame_keep(frame, function, keep, error) : NULL;
    weld_lazy_free(keep);
    return made;
}

/* ---- one code for each column ---- */

/* code is of a vector, and of the numbers if there are such. */
static weld_frame_t each_column(weld_frame_t frame, const char *function, const char *code,
                                const weld_lazy_t *numbers, int count, weld_error_t error) {
    weld_frame_t made = frame_new(frame->count, frame, error);
    weld_lazy_t arguments[4];
    for (int i = 0; i < count; i++) arguments[i + 1] = numbers[i];
    for (int64_t i = 0; made && i < frame->count; i++) {
        const Column *column = &frame->columns[i];
        arguments[0] = column->data;
        weld_lazy_t data = weld_lazy_new(function, code, arguments, count + 1, error), valid = NULL;
        arguments[0] = column->valid;
        if (data && column->valid) {
            valid = weld_lazy_new(function, code, arguments, count + 1, error);
            if (!valid) {
                weld_lazy_free(data);
                data = NULL;
            }
        }
        if (!frame_put(made, function, column->name, column->kind, data, valid, error)) fail(&made);
    }
    return made;
}

static weld_frame_t slice(weld_frame_t frame, const char *function, int64_t start, int64_t count,
                          weld_error_t error) {
    if (!frame_check(frame, function, error)) return NULL;
    if (count < 0) return frame_fail(error, function, "%lld rows are too few", (long long)count);
    /* a start before the first row takes rows from the count */
    static const char code[] = "|v, start, count| let s = if(start < 0l, len(v) + start, start); "
                               "slice(v, max(s, 0l), if(start < 0l, max(count + min(s, 0l), 0l), count))";
    weld_lazy_t numbers[2] = {lazy_i64(start, error), NULL};
    if (numbers[0]) numbers[1] = lazy_i64(count, error);
    weld_frame_t made = NULL;
    if (numbers[1]) made = each_column(frame, function, code, numbers, 2, error);
    weld_lazy_free(numbers[0]);
    weld_lazy_free(numbers[1]);
    return made;
}

weld_frame_t weld_frame_slice(weld_frame_t frame, int64_t start, int64_t count, weld_error_t error) {
    return slice(frame, "frame.slice", start, count, error);
}

weld_frame_t weld_frame_head(weld_frame_t frame, int64_t count, weld_error_t error) {
    return slice(frame, "frame.head", 0, count, error);
}

weld_frame_t weld_frame_tail(weld_frame_t frame, int64_t count, weld_error_t error) {
    return slice(frame, "frame.tail", count > 0 ? -count : 0, count, error);
}

/* ---- gather ---- */

bool frame_gather(weld_frame_t to, const char *function, const Column *column, const char *name,
                  weld_lazy_t places, const char *index, const char *optional, weld_error_t error) {
    Buf data = {0}, valid = {0};
    weld_lazy_t values = NULL, there = NULL;
    if (optional) {
        buf_printf(&data, "|s, v| map(s, |p| if(%s, lookup(v, %s), %s))", optional, index,
                   kind_zero(column->kind));
        buf_printf(&valid,
                   column->valid ? "|s, v| map(s, |p| if(%s, lookup(v, %s), false))" : "|s| map(s, |p| %s)",
                   optional, index);
    } else {
        buf_printf(&data, "|s, v| map(s, |p| lookup(v, %s))", index);
        buf_printf(&valid, "%s", buf_text(&data));
    }
    if (data.failed || valid.failed) {
        frame_no_memory(error);
    } else {
        weld_lazy_t arguments[2] = {places, column->data};
        values = weld_lazy_new(function, data.text, arguments, 2, error);
        arguments[1] = column->valid;
        bool needed = column->valid || optional;
        if (values && needed)
            there = weld_lazy_new(function, valid.text, arguments, 1 + (column->valid != NULL), error);
        if (needed && !there) {
            weld_lazy_free(values);
            values = NULL;
        }
    }
    buf_free(&data);
    buf_free(&valid);
    return frame_put(to, function, name, column->kind, values, there, error);
}

/* ---- distinct ---- */

/* The first rows with their keys, rising: the least row numbers that a dictionary of the keys has. */
static weld_lazy_t firsts(const char *function, const Keys *keys, weld_error_t error) {
    Fragment fragment = fragment_open(function, error);
    Buf type = {0}, key = {0}, builder = {0}, merge = {0};
    Row *row = row_open(&fragment);
    if (row) {
        keys_type(&type, keys);
        keys_put(&key, row, keys);
        buf_printf(&builder, "dictmerger[%s,i64,min]", buf_text(&type));
        buf_printf(&merge, "merge(b, {%s, i})", buf_text(&key));
        buf_printf(&fragment.body, "sort(map(tovec(result(");
        row_close(row, buf_text(&builder), buf_text(&merge));
        buf_printf(&fragment.body, ")), |e| e.$1), |a, b| compare(a, b))");
    }
    fragment_drop(&fragment, &type);
    fragment_drop(&fragment, &key);
    fragment_drop(&fragment, &builder);
    fragment_drop(&fragment, &merge);
    return fragment_close(&fragment);
}

weld_frame_t weld_frame_distinct(weld_frame_t frame, const char *keys, weld_error_t error) {
    static const char function[] = "frame.distinct";
    if (!frame_check(frame, function, error)) return NULL;
    bool all = parse_blank(keys);
    Parser parser = parser_open(frame, function, all ? "" : keys, error);
    Keys own = {.columns = frame->columns, .count = frame->count};
    weld_lazy_t rows = NULL;
    if (all || keys_open(&parser, false, &own)) rows = firsts(function, &own, error);
    weld_frame_t made = rows ? frame_new(frame->count, frame, error) : NULL;
    for (int64_t i = 0; made && i < frame->count; i++) {
        const Column *column = &frame->columns[i];
        if (!frame_gather(made, function, column, column->name, rows, "p", NULL, error)) fail(&made);
    }
    weld_lazy_free(rows);
    if (!all) keys_close(&own);
    parser_close(&parser);
    return made;
}

/* ---- concat ---- */

/* One column of all frames; a vec[bool] of trues where one has none. NULL, and *none: no frame has it. */
static weld_lazy_t chain(const weld_frame_t *frames, int64_t count, int64_t i, bool valid, bool *none,
                         weld_error_t error) {
    static const char function[] = "frame.concat";
    Fragment fragment = fragment_open(function, error);
    *none = valid;
    for (int64_t j = 0; valid && j < count; j++) *none &= frames[j]->columns[i].valid == NULL;
    if (*none) return NULL;
    buf_printf(&fragment.body, "let b0 = appender[%s]; ",
               valid ? "bool" : kind_code(frames[0]->columns[i].kind));
    for (int64_t j = 0; j < count; j++) {
        const Column *column = &frames[j]->columns[i];
        bool constant = valid && !column->valid;
        weld_lazy_t lazy = valid && column->valid ? column->valid : column->data;
        buf_printf(&fragment.body, "let b%lld = for(p%lld, b%lld, |b, i, e| merge(b, %s)); ",
                   (long long)j + 1, (long long)fragment_add(&fragment, lazy), (long long)j,
                   constant ? "true" : "e");
    }
    buf_printf(&fragment.body, "result(b%lld)", (long long)count);
    return fragment_close(&fragment);
}

static bool check_alike(const weld_frame_t *frames, int64_t j, weld_error_t error) {
    static const char function[] = "frame.concat";
    if (!frame_check(frames[j], function, error)) return false;
    if (frames[j]->count != frames[0]->count) {
        frame_fail(error, function, "frame %lld has %lld columns, not %lld", (long long)j,
                   (long long)frames[j]->count, (long long)frames[0]->count);
        return false;
    }
    for (int64_t i = 0; i < frames[0]->count; i++) {
        const Column *a = &frames[0]->columns[i], *b = &frames[j]->columns[i];
        if (strcmp(a->name, b->name) == 0 && a->kind == b->kind) continue;
        frame_fail(error, function, "column %lld of frame %lld is `%.200s`: %s, not `%.200s`: %s",
                   (long long)i, (long long)j, b->name, weld_frame_type_name(b->kind), a->name,
                   weld_frame_type_name(a->kind));
        return false;
    }
    return true;
}

weld_frame_t weld_frame_concat(const weld_frame_t *frames, int64_t count, weld_error_t error) {
    static const char function[] = "frame.concat";
    enum { MOST = WELD_FRAME_COLUMNS };
    if (!frames || count < 1 || count > MOST)
        return frame_fail(error, function, "it takes 1 to %d frames", MOST);
    for (int64_t j = 0; j < count; j++) {
        if (!check_alike(frames, j, error)) return NULL;
    }
    weld_frame_t made = frame_new(frames[0]->count, frames[0], error);
    for (int64_t i = 0; made && i < frames[0]->count; i++) {
        const Column *column = &frames[0]->columns[i];
        bool none;
        weld_lazy_t data = chain(frames, count, i, false, &none, error);
        weld_lazy_t valid = data ? chain(frames, count, i, true, &none, error) : NULL;
        if (data && !valid && !none) {
            weld_lazy_free(data);
            data = NULL;
        }
        if (!frame_put(made, function, column->name, column->kind, data, valid, error)) fail(&made);
    }
    return made;
}
