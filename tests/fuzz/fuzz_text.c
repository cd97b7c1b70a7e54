/* fuzz_text.c: a libFuzzer target for everything that a program's text passes through before it runs.
 *
 * Any bytes: they are read or refused. What is read prints, reads again and prints the same. What infers is
 * verified, prints typed, and that reads, infers and prints the same. Any difference is a trap.
 */
#include "lang.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void require(bool holds, const char *what, const Buf *text) {
    if (holds) return;
    fprintf(stderr, "fuzz_text: %s\n%s\n", what, text && text->text ? text->text : "");
    __builtin_trap();
}

/* Prints the program, reads the print, and demands the same print of that. */
static void round_trip(const Program *program, bool typed) {
    Buf first = {0}, second = {0};
    program_print(&first, program, typed);
    Program *again = first.failed ? NULL : program_new("printed", first.text, first.length);
    if (again) {
        bool read = program_read(again);
        /* Names and binders make the print longer than the text was: limits may be met. */
        bool limit =
            !read && (strstr(again->error.text, "too deeply") || strstr(again->error.text, "too large"));
        require(read || limit, again->error.text, &first);
        if (read && typed) require(program_infer(again, NULL), again->error.text, &first);
        if (read) {
            program_print(&second, again, typed);
            require(first.length == second.length && memcmp(first.text, second.text, first.length) == 0,
                    "the print of a print differs", &first);
        }
        program_free(again);
    }
    buf_release(&first);
    buf_release(&second);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size) {
    Program *program = program_new("fuzz", (const char *)data, size);
    if (!program) return 0;
    if (program_read(program)) {
        round_trip(program, false);
        if (program_infer(program, NULL) && program_verify(program) && size < 4096) round_trip(program, true);
        require(program->error.code != E_Internal, program->error.text, NULL);
    }
    if (program->error.code != E_None) {
        Buf message = {0};
        program_render_error(program, &program->error, &message);
        buf_release(&message);
    }
    program_free(program);
    return 0;
}
