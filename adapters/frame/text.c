/* text.c: the code that operations emit, while it is written.
 *
 *     Fragment: |p0, p1| result(for(zip(p0, p1), appender[f64], |b, i, e| let x0 = e.$0; let x1 = e.$1; BODY))
 *
 * A parameter is a lazy value, in the order in which they are met; a Row is the body of one loop, whose vectors are known
 * only when it is complete. Failures stick and are seen when the fragment is closed.
 */
#include "frame.h"

#include <stdio.h>

void buf_put(Buf *buf, const char *data, int64_t length) {
    if (buf->failed) return;
    if (buf->length + length + 1 > buf->room) {
        int64_t room = 2 * (buf->length + length + 64);
        char *text = realloc(buf->text, (size_t)room);
        if (!text) {
            buf->failed = true;
            return;
        }
        buf->text = text;
        buf->room = room;
    }
    if (length) memcpy(buf->text + buf->length, data, (size_t)length);
    buf->length += length;
    buf->text[buf->length] = 0;
}

void buf_printf(Buf *buf, const char *format, ...) {
    char small[512];
    va_list arguments;
    va_start(arguments, format);
    int length = vsnprintf(small, sizeof small, format, arguments);
    va_end(arguments);
    if (length < (int)sizeof small) {
        buf_put(buf, small, length);
        return;
    }
    char *large = malloc((size_t)length + 1);
    if (!large) {
        buf->failed = true;
        return;
    }
    va_start(arguments, format);
    vsnprintf(large, (size_t)length + 1, format, arguments);
    va_end(arguments);
    buf_put(buf, large, length);
    free(large);
}

void buf_free(Buf *buf) {
    free(buf->text);
    *buf = (Buf){0};
}

const char *buf_text(const Buf *buf) {
    return buf->text ? buf->text : "";
}

Fragment fragment_open(const char *function, weld_error_t error) {
    return (Fragment){.function = function, .error = error};
}

int64_t fragment_add(Fragment *fragment, weld_lazy_t lazy) {
    for (int64_t i = 0; i < fragment->count; i++) {
        if (fragment->arguments[i] == lazy) return i;
    }
    if (fragment->count == fragment->room) {
        int64_t room = fragment->room ? 2 * fragment->room : 16;
        weld_lazy_t *arguments = realloc(fragment->arguments, (size_t)room * sizeof *arguments);
        if (!arguments) {
            fragment->failed = true;
            return 0;
        }
        fragment->arguments = arguments;
        fragment->room = room;
    }
    fragment->arguments[fragment->count] = lazy;
    return fragment->count++;
}

void fragment_drop(Fragment *fragment, Buf *part) {
    if (part->failed) fragment->failed = true;
    buf_free(part);
}

weld_lazy_t fragment_close(Fragment *fragment) {
    Buf code = {0};
    for (int64_t i = 0; i < fragment->count; i++) buf_printf(&code, "%sp%lld", i ? "," : "|", (long long)i);
    if (fragment->count) buf_put(&code, "| ", 2);
    buf_put(&code, buf_text(&fragment->body), fragment->body.length);
    weld_lazy_t lazy = NULL;
    if (fragment->failed || fragment->body.failed || code.failed)
        frame_no_memory(fragment->error);
    else
        lazy = weld_lazy_new(fragment->function, code.text, fragment->arguments, fragment->count,
                             fragment->error);
    buf_free(&code);
    buf_free(&fragment->body);
    free(fragment->arguments);
    *fragment = (Fragment){0};
    return lazy;
}

weld_lazy_t lazy_put(const char *function, weld_error_t error, weld_lazy_t lazy, const char *code) {
    return lazy ? weld_lazy_new(function, code, &lazy, 1, error) : NULL;
}

/* As data, so that the program is the same for all numbers. */
weld_lazy_t lazy_i64(int64_t number, weld_error_t error) {
    return weld_lazy_data("i64", &number, NULL, NULL, error);
}

Row *row_open(Fragment *fragment) {
    Row *row = calloc(1, sizeof *row);
    if (!row)
        fragment->failed = true;
    else
        row->fragment = fragment;
    return row;
}

int64_t row_element(Row *row, weld_lazy_t vector) {
    int64_t parameter = fragment_add(row->fragment, vector);
    for (int64_t i = 0; i < row->count; i++) {
        if (row->elements[i] == parameter) return parameter;
    }
    if (row->count == (int64_t)(sizeof row->elements / sizeof *row->elements))
        row->fragment->failed = true;
    else
        row->elements[row->count++] = parameter;
    return parameter;
}

void row_close(Row *row, const char *builder, const char *result) {
    Buf *out = &row->fragment->body;
    bool one = row->count == 1;
    buf_printf(out, one ? "for(" : "for(zip(");
    for (int64_t i = 0; i < row->count; i++)
        buf_printf(out, "%sp%lld", i ? "," : "", (long long)row->elements[i]);
    buf_printf(out, one ? ", %s, |b, i, e| " : "), %s, |b, i, e| ", builder);
    for (int64_t i = 0; i < row->count; i++) {
        if (one)
            buf_printf(out, "let x%lld = e; ", (long long)row->elements[i]);
        else
            buf_printf(out, "let x%lld = e.$%lld; ", (long long)row->elements[i], (long long)i);
    }
    buf_put(out, buf_text(&row->body), row->body.length);
    buf_printf(out, "%s)", result);
    if (row->body.failed) out->failed = true;
    buf_free(&row->body);
    free(row);
}
