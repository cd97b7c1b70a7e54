/* passes.c: what each pass does alone, from text to text.
 *
 * tests/golden/pass/PASS.weld holds programs, each under a line `#= NAME`; PASS.expected what they are after
 * that pass:
 *
 *     #= used_once                               #= used_once
 *     |x: i64| let a = x + 1L; a * 2L      ->    |x: i64| (x + 1l) * 2l
 *
 * A pass without programs fails. After each pass the verifier must accept the program, and the pass must find
 * nothing left to do: a second run changes nothing.
 */
#include "golden.h"
#include "../weldc/weldc.h"

/* The program, after the passes, as text. */
static void optimized(const char *text, size_t length, const char *pass, const char *title, Buf *out) {
    PassOptions options = {.passes = pass, .verify = true};
    if (strcmp(pass, "distribute") == 0)
        options.distribution = (Distribution){.together = true,
                                              .blocks = "own",
                                              .parts = "part",
                                              .root = "root",
                                              .server = strncmp(title, "served", strlen("served")) == 0};
    options.distribution.overlap = strcmp(pass, "overlap") == 0;
    Program *program = program_new(pass, text, length);
    bool done = program && program_read(program) && program_infer(program, NULL) &&
                program_optimize(program, &options);
    Buf message = {0};
    if (program && !done) program_render_error(program, &program->error, &message);
    cr_assert(done, "%s", message.text ? message.text : "no memory");
    program_print(out, program, false);
    program_free(program);
}

static void check_case(void *data, const char *title, const char *text, size_t length, Buf *all) {
    const char *pass = data;
    Buf once = {0}, again = {0};
    optimized(text, length, pass, title, &once);
    optimized(once.text, once.length, pass, title, &again);
    cr_expect_str_eq(once.text, again.text, "%s: %s: a second time it gives\n%s", pass, title, again.text);
    buf_put(all, once.text, once.length);
    buf_release(&once);
    buf_release(&again);
}

Test(passes, golden) {
    for (int id = PASS_None + 1; id < PASS_COUNT; id++)
        golden_check("pass", pass_classes[id].spelling, check_case, (void *)pass_classes[id].spelling);
}
