/* report.c: error handles, the C interface's way to tell what went wrong.
 *
 * lang/ and weldc/ report an Error: a code, a span and a sentence. A handle keeps what a C program can use
 * without the program's text: the number, the name, line and column, and the message rendered with the source
 * line. The text is rendered when the error is reported, because the program may be gone when the message is
 * read.
 */
#include "rt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Report {
    Handle handle;
    uint64_t number;
    const char *name; /* static */
    char *message;    /* NULL: `fixed` is the message */
    char fixed[512];
    int64_t line, column;
} Report;

weld_error_t weld_error_new(void) {
    Report *report = calloc(1, sizeof *report);
    if (!report) return NULL;
    report->handle.kind = HANDLE_ERROR;
    report->name = "";
    return report;
}

void weld_error_free(weld_error_t handle) {
    Report *report = handle_as(handle, HANDLE_ERROR);
    if (!report) return;
    report->handle.kind = HANDLE_NONE;
    free(report->message);
    free(report);
}

uint64_t weld_error_code(weld_error_t handle) {
    Report *report = handle_as(handle, HANDLE_ERROR);
    return report ? report->number : WELD_SUCCESS;
}

const char *weld_error_message(weld_error_t handle) {
    Report *report = handle_as(handle, HANDLE_ERROR);
    if (!report) return "";
    return report->message ? report->message : report->fixed;
}

const char *weld_error_name(weld_error_t handle) {
    Report *report = handle_as(handle, HANDLE_ERROR);
    return report ? report->name : "";
}

int64_t weld_error_line(weld_error_t handle) {
    Report *report = handle_as(handle, HANDLE_ERROR);
    return report ? report->line : 0;
}

int64_t weld_error_column(weld_error_t handle) {
    Report *report = handle_as(handle, HANDLE_ERROR);
    return report ? report->column : 0;
}

/* Errors of settings, arguments and the machine have no place; their span is empty. A fault of the text has
 * one even if its span is empty. */
static bool has_place(const Error *error, const Program *program) {
    if (!program || (int)error->span.source >= program->sources) return false;
    return error->span.end > 0 || error->code == E_Syntax || error->code == E_Type;
}

/* Line and column of the span's beginning; a column is a character, not a byte. */
static void find_place(Report *report, const Error *error, const Program *program) {
    const Source *source = &program->source[error->span.source];
    size_t begin = error->span.begin < source->length ? error->span.begin : source->length;
    report->line = report->column = 1;
    for (size_t i = 0; i < begin; i++) {
        if (source->text[i] == '\n')
            report->line++, report->column = 1;
        else
            report->column += ((unsigned char)source->text[i] & 0xc0) != 0x80;
    }
}

void report(weld_error_t handle, const Error *error, const Program *program) {
    Report *out = handle_as(handle, HANDLE_ERROR);
    if (!out) return;
    free(out->message);
    out->message = NULL;
    out->line = out->column = 0;
    out->number = (uint64_t)error_number(error->code);
    out->name = error->code ? error_name(error->code) : "Success";
    if (error->code == E_None) {
        snprintf(out->fixed, sizeof out->fixed, "Success");
        return;
    }
    snprintf(out->fixed, sizeof out->fixed, "error[%s]: %s", out->name, error->text);
    if (!has_place(error, program)) return;
    find_place(out, error, program);
    Buf buf = {0};
    program_render_error(program, error, &buf);
    if (buf.failed)
        buf_release(&buf); /* no memory: the short form stays */
    else
        out->message = buf.text;
}

void report_copy(weld_error_t to_handle, weld_error_t from_handle) {
    Report *to = handle_as(to_handle, HANDLE_ERROR);
    const Report *from = handle_as(from_handle, HANDLE_ERROR);
    if (!to || !from || to == from) return;
    char *old = to->message;
    *to = *from;
    to->message = from->message ? strdup(from->message) : NULL;
    free(old);
}

void report_fault(weld_error_t handle, ErrorCode code, const char *text) {
    Error error = {.code = E_None};
    error_set(&error, code, (Span){0, 0, 0}, "%s", text);
    report(handle, &error, NULL);
}

void weld_error_set(weld_error_t handle, uint64_t number, const char *text) {
    ErrorCode code = number ? E_Internal : E_None;
    for (int i = E_COUNT - 1; i > E_None; i--) {
        if ((uint64_t)error_number((ErrorCode)i) == number && i != E_Syntax) code = (ErrorCode)i;
    }
    report_fault(handle, code, text ? text : "");
}
