/* collect.c: frames computed, described and printed. */
#include "frame.h"

#include <stdio.h>

typedef struct Vector {
    const void *data;
    int64_t length;
} Vector;

static const void *elements_of(weld_value_t value, int64_t *length) {
    const Vector *vector = weld_value_data(value);
    *length = vector->length;
    return vector->data ? vector->data : "";
}

/* The column, of its values; `valid` may be NULL. */
static bool put_values(weld_frame_t made, const Column *column, weld_value_t data, weld_value_t valid,
                       weld_error_t error) {
    int64_t length;
    const void *elements = elements_of(data, &length);
    const bool *there = valid ? elements_of(valid, &length) : NULL;
    int64_t i = 0;
    while (there && i < length && there[i]) i++;
    if (i == length) there = NULL; /* none is missing */
    weld_lazy_t lazy = weld_lazy_value(data, error);
    weld_lazy_t lazy_valid = lazy && there ? weld_lazy_value(valid, error) : NULL;
    if (there && !lazy_valid) {
        weld_lazy_free(lazy);
        return false;
    }
    if (!frame_put(made, "frame.collect", column->name, column->kind, lazy, lazy_valid, error)) return false;
    Column *put = frame_column(made, column->name, (int64_t)strlen(column->name));
    put->elements = elements;
    put->valid_elements = there;
    put->rows = length;
    return true;
}

static bool check_lengths(weld_frame_t frame, weld_error_t error) {
    const Column *first = &frame->columns[0];
    for (int64_t i = 1; i < frame->count; i++) {
        const Column *column = &frame->columns[i];
        if (column->rows == first->rows) continue;
        frame_fail(error, "frame.collect", "`%.200s` has %lld rows, but `%.200s` %lld", column->name,
                   (long long)column->rows, first->name, (long long)first->rows);
        return false;
    }
    return true;
}

weld_frame_t weld_frame_collect(weld_context_t context, weld_frame_t frame, weld_error_t error) {
    static const char function[] = "frame.collect";
    if (!frame_check(frame, function, error)) return NULL;
    int64_t most = 2 * frame->count, count = 0;
    weld_lazy_t *lazies = malloc((size_t)most * sizeof *lazies);
    weld_value_t *values = calloc((size_t)most, sizeof *values);
    weld_frame_t made = lazies && values ? frame_new(frame->count, frame, error) : frame_no_memory(error);
    for (int64_t i = 0; made && i < frame->count; i++) {
        lazies[count++] = frame->columns[i].data;
        if (frame->columns[i].valid) lazies[count++] = frame->columns[i].valid;
    }
    bool ok = made && weld_lazy_evaluate(context, lazies, count, values, error);
    for (int64_t i = 0, at = 0; ok && i < frame->count; i++) {
        bool valid = frame->columns[i].valid != NULL;
        ok = put_values(made, &frame->columns[i], values[at], valid ? values[at + 1] : NULL, error);
        at += 1 + valid;
    }
    for (int64_t i = 0; values && i < count; i++) weld_value_free(values[i]);
    free(lazies);
    free(values);
    if (ok && check_lengths(made, error)) {
        weld_error_set(error, WELD_SUCCESS, NULL);
        return made;
    }
    weld_frame_free(made);
    return NULL;
}

int64_t weld_frame_rows(weld_context_t context, weld_frame_t frame, weld_error_t error) {
    if (!frame_check(frame, "frame.rows", error)) return -1;
    if (weld_context_memory_usage(context) < 0)
        return frame_fail(error, "frame.rows", "the context is none"), -1;
    if (frame->columns[0].rows >= 0) return weld_error_set(error, WELD_SUCCESS, NULL), frame->columns[0].rows;
    weld_lazy_t length = lazy_put("frame.rows", error, frame->columns[0].data, "|v| len(v)");
    weld_value_t value = NULL;
    int64_t rows = -1;
    if (length && weld_lazy_evaluate(context, &length, 1, &value, error))
        rows = *(int64_t *)weld_value_data(value);
    weld_value_free(value);
    weld_lazy_free(length);
    return rows;
}

/* ---- describe ---- */

static weld_frame_t then(weld_frame_t frame, weld_frame_t (*step)(weld_frame_t, const char *, weld_error_t),
                         const char *text, weld_error_t error) {
    weld_frame_t made = frame ? step(frame, text, error) : NULL;
    weld_frame_free(frame);
    return made;
}

/* One text as a column; it is copied. */
static weld_frame_t add_text(weld_frame_t frame, const char *name, const char *text, weld_error_t error) {
    size_t length = strlen(text);
    struct {
        weld_frame_text_t text;
        char bytes[];
    } *copy = malloc(sizeof *copy + length + 1);
    if (!copy) return frame_no_memory(error);
    copy->text = (weld_frame_text_t){memcpy(copy->bytes, text, length + 1), (int64_t)length};
    weld_frame_t made =
        weld_frame_add_data(frame, name, WELD_FRAME_TEXT, &copy->text, NULL, 1, free, copy, error);
    if (!made) free(copy);
    return made;
}

static weld_frame_t describe_column(const Column *column, weld_error_t error) {
    static const char function[] = "frame.describe";
    weld_frame_t alone = frame_new(1, NULL, error);
    if (!alone || !frame_share(alone, function, column, "x", error)) {
        weld_frame_free(alone);
        return NULL;
    }
    bool number = kind_is_number(column->kind);
    weld_frame_t row = weld_frame_group_by(
        alone, "",
        number ? "count() as rows, count(x) as count, n_unique(x) as unique, mean(x) as mean, "
                 "std(x) as std, min(f64(x)) as min, max(f64(x)) as max"
               : "count() as rows, count(x) as count, n_unique(x) as unique, mean(f64(null)) as mean, "
                 "std(f64(null)) as std, min(f64(null)) as min, max(f64(null)) as max",
        error);
    weld_frame_free(alone);
    row = then(row, weld_frame_select, "count, rows - count as missing, unique, mean, std, min, max", error);
    weld_frame_t name = row ? add_text(NULL, "name", column->name, error) : NULL;
    weld_frame_t made = name ? add_text(name, "type", weld_frame_type_name(column->kind), error) : NULL;
    weld_frame_free(name);
    for (int64_t i = 0; made && i < row->count; i++) {
        if (frame_share(made, function, &row->columns[i], row->columns[i].name, error)) continue;
        weld_frame_free(made);
        made = NULL;
    }
    weld_frame_free(row);
    return made;
}

weld_frame_t weld_frame_describe(weld_frame_t frame, weld_error_t error) {
    if (!frame_check(frame, "frame.describe", error)) return NULL;
    weld_frame_t *rows = calloc((size_t)frame->count, sizeof(weld_frame_t));
    if (!rows) return frame_no_memory(error);
    bool ok = true;
    for (int64_t i = 0; ok && i < frame->count; i++)
        ok = (rows[i] = describe_column(&frame->columns[i], error)) != NULL;
    weld_frame_t made = ok ? weld_frame_concat(rows, frame->count, error) : NULL;
    for (int64_t i = 0; i < frame->count; i++) weld_frame_free(rows[i]);
    free(rows);
    return made;
}

/* ---- print ---- */

enum { WIDEST = 32 }; /* characters of a cell */

static int64_t character_count(const char *text, int64_t length) {
    int64_t count = 0;
    for (int64_t i = 0; i < length; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

/* As much of a text as a cell shows, control characters as dots. */
static void put_cell_text(Buf *out, const char *text, int64_t length) {
    int64_t shown = 0;
    for (int64_t i = 0; i < length; i++) {
        unsigned char c = (unsigned char)text[i];
        if ((c & 0xc0) != 0x80 && ++shown == WIDEST && character_count(text + i, length - i) > 1) {
            buf_printf(out, "…");
            return;
        }
        if (c < 32 || c == 127)
            buf_printf(out, ".");
        else
            buf_put(out, text + i, 1);
    }
}

void cell_put(Buf *out, const Column *column, int64_t i) {
    char text[40];
    const void *data = column->elements;
    switch (column->kind) {
    case WELD_FRAME_BOOL: buf_printf(out, ((const bool *)data)[i] ? "true" : "false"); break;
    case WELD_FRAME_I8: buf_printf(out, "%d", ((const int8_t *)data)[i]); break;
    case WELD_FRAME_I16: buf_printf(out, "%d", ((const int16_t *)data)[i]); break;
    case WELD_FRAME_I32: buf_printf(out, "%d", ((const int32_t *)data)[i]); break;
    case WELD_FRAME_I64: buf_printf(out, "%lld", (long long)((const int64_t *)data)[i]); break;
    case WELD_FRAME_U8: buf_printf(out, "%u", ((const uint8_t *)data)[i]); break;
    case WELD_FRAME_U16: buf_printf(out, "%u", ((const uint16_t *)data)[i]); break;
    case WELD_FRAME_U32: buf_printf(out, "%u", ((const uint32_t *)data)[i]); break;
    case WELD_FRAME_U64: buf_printf(out, "%llu", (unsigned long long)((const uint64_t *)data)[i]); break;
    case WELD_FRAME_F32: buf_put(out, text, real_write((double)((const float *)data)[i], true, text)); break;
    case WELD_FRAME_F64: buf_put(out, text, real_write(((const double *)data)[i], false, text)); break;
    case WELD_FRAME_DATE: buf_put(out, text, date_write(((const int32_t *)data)[i], text)); break;
    default: {
        const weld_frame_text_t *own = (const weld_frame_text_t *)data + i;
        buf_put(out, own->data, own->length);
    }
    }
}

static void put_cell(Buf *out, const Column *column, int64_t i) {
    if (i == -2) {
        put_cell_text(out, column->name, (int64_t)strlen(column->name));
    } else if (i == -1) {
        buf_printf(out, "%s", weld_frame_type_name(column->kind));
    } else if (column->valid_elements && !column->valid_elements[i]) {
        buf_printf(out, "-");
    } else if (column->kind == WELD_FRAME_TEXT) {
        const weld_frame_text_t *own = (const weld_frame_text_t *)column->elements + i;
        put_cell_text(out, own->data, own->length);
    } else {
        cell_put(out, column, i);
    }
}

/* Rows -2 and -1 are names and types. Texts to the left, the rest to the right. */
static void put_table(Buf *out, weld_frame_t frame, int64_t rows) {
    int64_t widths[WELD_FRAME_COLUMNS] = {0};
    Buf cell = {0};
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = -2; i < rows; i++) {
            for (int64_t j = 0; j < frame->count; j++) {
                const Column *column = &frame->columns[j];
                cell.length = 0;
                put_cell(&cell, column, i);
                int64_t width = character_count(buf_text(&cell), cell.length);
                if (pass == 0) {
                    if (width > widths[j]) widths[j] = width;
                    continue;
                }
                int pad = (int)(widths[j] - width);
                bool left = column->kind == WELD_FRAME_TEXT, last = j == frame->count - 1;
                buf_printf(out, "%s%*s", j ? "  " : "", left ? 0 : pad, "");
                buf_put(out, buf_text(&cell), cell.length);
                if (left && !last) buf_printf(out, "%*s", pad, "");
            }
            if (pass) buf_printf(out, "\n");
        }
    }
    if (cell.failed) out->failed = true;
    buf_free(&cell);
}

char *weld_frame_print(weld_context_t context, weld_frame_t frame, int64_t rows, weld_error_t error) {
    static const char function[] = "frame.print";
    if (!frame_check(frame, function, error)) return NULL;
    if (rows < 0) return frame_fail(error, function, "%lld rows are too few", (long long)rows);
    /* the number of all rows is one more column, by the same program */
    weld_frame_t head = weld_frame_head(frame, rows, error);
    weld_lazy_t total = head ? lazy_put(function, error, frame->columns[0].data, "|v| [len(v)]") : NULL;
    weld_frame_t shown = NULL;
    Buf out = {0};
    weld_value_t value = NULL;
    if (total && weld_lazy_evaluate(context, &total, 1, &value, error)) {
        int64_t length, all = *(const int64_t *)elements_of(value, &length);
        shown = weld_frame_collect(context, head, error);
        if (shown) {
            put_table(&out, shown, shown->columns[0].rows);
            if (all > shown->columns[0].rows) buf_printf(&out, "... %lld rows in all\n", (long long)all);
            if (out.failed) frame_no_memory(error);
        }
    }
    weld_value_free(value);
    weld_lazy_free(total);
    weld_frame_free(head);
    if (shown && !out.failed) {
        weld_frame_free(shown);
        return out.text;
    }
    weld_frame_free(shown);
    buf_free(&out);
    return NULL;
}
