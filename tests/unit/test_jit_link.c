/* test_jit_link.c: LLVM's linker, which machines use that object.c does not know. Here it is tried on any. And what
 * making code loads. */
#include "../../runtime/rt.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <string.h>

static int called;

static int32_t fail(void *worker, int32_t code, int64_t span, int64_t a, int64_t b) {
    (void)worker, (void)span, (void)a, (void)b;
    called++;
    return code;
}

static void *symbol(void *data, const char *name) {
    (void)data;
    return strcmp(name, "rt_fail") == 0 ? (void *)fail : rtcall_symbol(name);
}

static Program *emit(const char *text, const CodeOptions *options, Buf *image) {
    Program *program = program_new("p", text, strlen(text));
    cr_assert(program_read(program) && program_infer(program, NULL));
    PassOptions passes = {.level = 1};
    cr_assert(program_optimize(program, &passes));
    Error error = {.code = E_None};
    cr_assert(weld_jit.emit(program, options, image, &error), "%s", error.text);
    return program;
}

Test(jit_link, llvm_links_what_we_emit) {
    CodeOptions options = {.level = 1, .symbol = symbol};
    Buf image = {0};
    Error error = {.code = E_None};
    Program *program = emit("|x: i64, y: i64| x / y", &options, &image);
    /* The object lies at the end of the image; its size is the third word. */
    uint64_t size;
    memcpy(&size, image.text + 2 * sizeof size, sizeof size);
    const void *entry = NULL;
    void *linked = weld_jit.link(image.text + image.length - size, size, &options, &entry, &error);
    cr_assert(linked && entry, "%s", error.text);
    union {
        const void *pointer;
        ErrorCode (*run)(Worker *worker, const void *args, void *out);
    } function = {.pointer = entry};
    int32_t stop = 0;
    Worker worker = {.cancel = &stop};
    int64_t args[] = {42, 6}, out = 0;
    cr_expect_eq(function.run(&worker, args, &out), E_None);
    cr_expect_eq(out, 7);
    args[1] = 0;
    cr_expect_eq(function.run(&worker, args, &out), E_DivisionByZero);
    cr_expect_eq(called, 1);
    weld_jit.unlink(linked);
    cr_expect_null(weld_jit.link(image.text + image.length - size, size / 2, &options, &entry, &error));
    buf_release(&image);
    program_free(program);
}

static bool sleef_is_there(void) {
    return dlopen("libsleef.so.3", RTLD_NOW | RTLD_NOLOAD) != NULL;
}

Test(jit_link, sleef_is_opened_by_programs_that_need_it) {
    CodeOptions options = {.level = 1, .symbol = symbol};
    Buf image = {0};
    cr_assert(!sleef_is_there());
    program_free(emit("|x: vec[f64]| result(for(x, merger[f64,+], |b, i, e| merge(b, sqrt(e) * 2.0)))",
                      &options, &image));
    cr_expect(!sleef_is_there());
    program_free(emit("|x: f64| exp(x)", &options, &image));
    cr_expect_eq(sleef_is_there(), math_has_vectors());
    buf_release(&image);
}
