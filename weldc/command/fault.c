/* fault.c: failures with their rendered messages, and the texts that they point into.
 *
 * All messages have one form, NAME:LINE:COL: error[KIND]: text, the line, and a caret. NAME is the program's
 * file, a table's file, or for what stood on the command line `<command line>`, `<argument 2>`, `<argument
 * x>`.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "command.h"

static bool set(Fault *fault, ErrorCode code, const char *format, va_list args) {
    char text[sizeof fault->error.text];
    vsnprintf(text, sizeof text, format, args);
    error_set(&fault->error, code, (Span){0, 0, 0}, "%s", text);
    return false;
}

bool fault_set(Fault *fault, ErrorCode code, const char *format, ...) {
    va_list args;
    va_start(args, format);
    set(fault, code, format, args);
    va_end(args);
    return false;
}

static bool place(Fault *fault, const char *name, const char *text, size_t length, size_t begin, size_t end,
                  size_t line) {
    if (fault->message.length || fault->error.code == E_None) return false;
    /* A span has 32 bits; a place beyond them keeps its text and loses its line. */
    size_t last = begin < UINT32_MAX && end < UINT32_MAX ? length : 0;
    fault->error.span = last ? (Span){0, (uint32_t)begin, (uint32_t)end} : (Span){0, 0, 0};
    error_render_from(&fault->error, name, text, last, line, &fault->message);
    return false;
}

bool fault_place(Fault *fault, const char *name, const char *text, size_t length, size_t begin, size_t end) {
    return place(fault, name, text, length, begin, end, 0);
}

bool fault_at_line(Fault *fault, const char *name, const char *text, size_t length, size_t begin, size_t end,
                   size_t line, ErrorCode code, const char *message) {
    if (fault->error.code != E_None) return false;
    fault_set(fault, code, "%s", message);
    return place(fault, name, text, length, begin, end, line);
}

bool fault_at(Fault *fault, const char *name, const char *text, size_t length, size_t begin, size_t end,
              ErrorCode code, const char *format, ...) {
    if (fault->error.code != E_None) return false;
    va_list args;
    va_start(args, format);
    set(fault, code, format, args);
    va_end(args);
    return fault_place(fault, name, text, length, begin, end);
}

bool fault_of_program(Fault *fault, const Error *error, const Text *text) {
    if (fault->error.code != E_None) return false;
    fault->error = *error;
    if (error->span.source == 0) {
        error_render(error, text->name, text->bytes, text->length, &fault->message);
        return false;
    }
    /* The place is in a text that the program brought along, such as a standard macro's. */
    Program *program = program_open(text->name, text->bytes, text->length);
    if (program) {
        program_read(program);
        program_render_error(program, error, &fault->message);
    }
    program_free(program);
    return false;
}

void fault_print(const Fault *fault) {
    if (fault->error.code == E_None) return;
    if (fault->message.length) {
        fwrite(fault->message.text, 1, fault->message.length, stderr);
    } else {
        fprintf(stderr, "<command line>:1:1: error[%s]: %s\n", error_name(fault->error.code),
                fault->error.text);
    }
    fflush(stderr);
}

void fault_release(Fault *fault) {
    buf_release(&fault->message);
    *fault = (Fault){0};
}

/* ---- texts --------------------------------------------------------------------------------------------- */

static bool read_all(FILE *file, Buf *out) {
    char chunk[1 << 14];
    size_t got;
    while ((got = fread(chunk, 1, sizeof chunk, file)) > 0) buf_put(out, chunk, got);
    buf_put(out, "", 0);
    return !ferror(file) && !out->failed;
}

bool text_of_file(const char *path, Text *out, Fault *fault) {
    bool standard = strcmp(path, "-") == 0;
    Buf buf = {0};
    errno = 0;
    FILE *file = standard ? stdin : fopen(path, "rbe");
    bool ok = file && read_all(file, &buf);
    if (ok && buf.length > UINT32_MAX - 1) {
        errno = EFBIG;
        ok = false;
    }
    if (!ok) {
        size_t length = strlen(path);
        fault_at(fault, "<command line>", path, length, 0, length, E_File, "cannot read %s: %s",
                 standard ? "standard input" : path, strerror(errno ? errno : ENOMEM));
        buf_release(&buf);
    } else {
        if (!buf.text) buf.text = calloc(1, 1);
        *out = (Text){standard ? "<stdin>" : path, buf.text, buf.length};
        ok = buf.text || fault_set(fault, E_OutOfMemory, "no memory for the program");
    }
    if (file && !standard) fclose(file);
    return ok;
}

bool text_of_code(const char *name, const char *code, Text *out, Fault *fault) {
    char *copy = strdup(code);
    if (!copy) return fault_set(fault, E_OutOfMemory, "no memory for the program");
    *out = (Text){name, copy, strlen(copy)};
    return true;
}

void text_release(Text *text) {
    free(text->bytes);
    *text = (Text){0};
}
