/* passes.c: what each pass does alone, from text to text.
 *
 * tests/golden/pass/PASS.weld holds programs, each under a line `#= NAME`; PASS.expected what they are after
 * that pass:
 *
 *     #= used_once                               #= used_once
 *     |x: i64| let a = x + 1L; a * 2L      ->    |x: i64| (x + 1l) * 2l
 *
 * A pass without programs fails. After each pass the verifier must accept the program, and the pass must find
 * nothing left to do: a second run changes nothing. With BLESS in the environment the expected texts are
 * written.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../lang/lang.h"
#include "../weldc/weldc.h"

static void read_file(const char *path, Buf *out) {
    FILE *file = fopen(path, "rb");
    cr_assert(file, "%s is missing", path);
    char block[4096];
    size_t got;
    buf_put(out, "", 0);
    while ((got = fread(block, 1, sizeof block, file)) > 0) buf_put(out, block, got);
    fclose(file);
}

static void write_file(const char *path, const Buf *text) {
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(text->text, 1, text->length, file) == text->length, "%s cannot be written",
              path);
    fclose(file);
}

/* The program, after the passes, as text. */
static void optimized(const char *text, size_t length, const char *pass, Buf *out) {
    PassOptions options = {.passes = pass, .verify = true};
    Program *program = program_new(pass, text, length);
    bool done = program && program_read(program) && program_infer(program, NULL) &&
                program_optimize(program, &options);
    Buf message = {0};
    if (program && !done) program_render_error(program, &program->error, &message);
    cr_assert(done, "%s", message.text ? message.text : "no memory");
    program_print(out, program, false);
    program_free(program);
}

static void check_case(const char *name, int name_length, const char *text, size_t length, const char *pass,
                       Buf *all) {
    Buf once = {0}, again = {0};
    optimized(text, length, pass, &once);
    optimized(once.text, once.length, pass, &again);
    cr_expect_str_eq(once.text, again.text, "%s: %.*s: a second time it gives\n%s", pass, name_length, name,
                     again.text);
    buf_printf(all, "%s#= %.*s\n%s", all->length ? "\n" : "", name_length, name, once.text);
    if (once.length && once.text[once.length - 1] != '\n') buf_put(all, "\n", 1);
    buf_release(&once);
    buf_release(&again);
}

static void check_pass(const char *pass) {
    char input[4200], golden[4200];
    snprintf(input, sizeof input, "%s/tests/golden/pass/%s.weld", WELD_SOURCE_DIR, pass);
    snprintf(golden, sizeof golden, "%s/tests/golden/pass/%s.expected", WELD_SOURCE_DIR, pass);
    Buf text = {0}, found = {0}, expected = {0};
    read_file(input, &text);
    int cases = 0;
    for (char *at = text.text; at && (at = strstr(at, "#= ")); cases++) {
        const char *name = at + 3, *begin = strchr(name, '\n');
        cr_assert(begin, "%s ends with a name", input);
        at = strstr(begin, "\n#= ");
        const char *end = at ? at : text.text + text.length;
        check_case(name, (int)(begin - name), begin + 1, (size_t)(end - begin - 1), pass, &found);
    }
    cr_expect(cases > 1, "%s has %d programs", input, cases);
    if (getenv("BLESS")) {
        write_file(golden, &found);
    } else {
        read_file(golden, &expected);
        cr_expect_str_eq(found.text, expected.text, "%s: found\n%s\nexpected\n%s", pass, found.text,
                         expected.text);
    }
    buf_release(&text);
    buf_release(&found);
    buf_release(&expected);
}

Test(passes, golden) {
    for (int id = PASS_None + 1; id < PASS_COUNT; id++) check_pass(pass_classes[id].spelling);
}
