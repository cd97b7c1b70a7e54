/* test_jit_link.c: LLVM's linker, which machines use that object.c does not know. Here it is tried on any. And what
 * making code loads. */
#include "../../runtime/rt.h"

#include <criterion/criterion.h>
#include <dlfcn.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>

static int called;

static int32_t fail(void *worker, int32_t code, int64_t span, int64_t a, int64_t b) {
    (void)worker, (void)span, (void)a, (void)b;
    called++;
    return code;
}

static void *symbol(void *data, const char *name) {
    static void *types[8];
    (void)data;
    if (strcmp(name, "weld_types") == 0) return types;
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

/* The objects lie at the end of the image; their sizes are the third word and the fourth. */
static int objects_of(const Buf *image, ObjectFile *files) {
    uint64_t size[OBJECT_FILES];
    int count = 0;
    memcpy(size, image->text + 2 * sizeof *size, sizeof size);
    const char *end = image->text + image->length;
    for (int i = OBJECT_FILES - 1; i >= 0; i--) {
        files[i] = (ObjectFile){end -= size[i], size[i]};
        count += size[i] > 0;
    }
    return count;
}

Test(jit_link, llvm_links_what_we_emit) {
    CodeOptions options = {.level = 1, .symbol = symbol};
    Buf image = {0};
    Error error = {.code = E_None};
    Program *program = emit("|x: i64, y: i64| x / y", &options, &image);
    ObjectFile files[OBJECT_FILES];
    cr_assert_eq(objects_of(&image, files), 1);
    const void *entry = NULL;
    void *linked = weld_jit.link(files, 1, &options, &entry, &error);
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
    files[0].size /= 2;
    cr_expect_null(weld_jit.link(files, 1, &options, &entry, &error));
    buf_release(&image);
    program_free(program);
}

/* Two filters, sorted, and the number of elements below 0: loops of which a thread has some and the other the rest, each enough. */
static const char loops[] =
    "|x: vec[i64]| let y = result(for(x, appender[i64], |b, i, e| if(e > 0L, merge(b, e * e + 1L), b)));"
    "let n = result(for(x, merger[i64, +], |b, i, e| if(e < 0L, merge(b, 1L), b)));"
    "let s = sort(y, |a, b| compare(a % 10L, b % 10L));"
    "let z = result(for(s, appender[i64], |b, i, e| if(e % 3L > 0L, merge(b, e / 7L), b)));"
    "let t = sort(z, |a, b| compare(a % 100L, b % 100L));"
    "let d = tovec(result(for(t, dictmerger[i64, i64, +], |b, i, e| merge(b, {e % 5L, e}))));"
    "{s, d, n + len(s)}";

static bool has_processors(void) {
    cpu_set_t processors;
    return sched_getaffinity(0, sizeof processors, &processors) == 0 && CPU_COUNT(&processors) > 1;
}

Test(jit_link, two_threads_make_an_object_each) {
    CodeOptions options = {.level = 2, .threads = 2, .symbol = symbol};
    Buf image = {0};
    Error error = {.code = E_None};
    ObjectFile files[OBJECT_FILES];
    const void *entry = NULL;
    if (!has_processors()) cr_skip_test("there is one processor only");
    program_free(emit(loops, &options, &image));
    cr_assert_eq(objects_of(&image, files), 2);
    void *linked = weld_jit.link(files, 2, &options, &entry, &error);
    cr_expect(linked && entry, "%s", error.text);
    weld_jit.unlink(linked);
    cr_expect_null(weld_jit.link(files + 1, 1, &options, &entry, &error), "half a program does not run");
    buf_release(&image);
    options.threads = 1;
    image = (Buf){0};
    program_free(emit(loops, &options, &image));
    cr_expect_eq(objects_of(&image, files), 1);
    buf_release(&image);
}

Test(jit_link, a_program_of_one_loop_is_made_by_one_thread) {
    static const char text[] =
        "|x: vec[i32], y: vec[f64], z: vec[f64]| result(for(zip(x, y, z), merger[f64, +], |b, i, e| "
        "if(e.$0 >= 1994 && e.$0 < 1995 && e.$1 >= 0.05 && e.$1 < 0.07, merge(b, e.$1 * e.$2), b)))";
    CodeOptions options = {.level = 2, .threads = 2, .symbol = symbol};
    Buf image = {0};
    ObjectFile files[OBJECT_FILES];
    program_free(emit(text, &options, &image));
    cr_expect_eq(objects_of(&image, files), 1);
    buf_release(&image);
}

static uint64_t next(uint64_t *state) {
    *state = *state * 6364136223846793005u + 1442695040888963407u;
    return *state >> 33;
}

Test(jit_link, damaged_halves_are_refused_or_loaded) {
    CodeOptions options = {.level = 2, .threads = 2, .symbol = symbol};
    Buf image = {0};
    if (!has_processors() || !object_known_machine())
        cr_skip_test("there are no halves, or nobody to link them");
    program_free(emit(loops, &options, &image));
    char *copy = malloc(image.length);
    uint64_t state = 7;
    for (int i = 0; i < 3000; i++) {
        Error error = {.code = E_None};
        memcpy(copy, image.text, image.length);
        for (int n = 0; i > 0 && n < 3; n++)
            copy[next(&state) % image.length] = (char)(n ? next(&state) : 0xff);
        Code *code = code_load(copy, image.length, &options, NULL, &error);
        cr_assert(code || (i > 0 && error.code != E_None), "%s", error.text);
        code_free(code);
    }
    free(copy);
    buf_release(&image);
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
