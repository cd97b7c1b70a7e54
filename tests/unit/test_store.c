/* test_store.c: values in files: every type goes there and back; a file that is cut off at any byte, that has any bit another
 * way, that is longer, of a later version or something else, is an error that says so; and a file that cannot be replaced stays
 * as it was. */
#include "api.h"

#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[] = "/tmp/weld-store-XXXXXX", path[64];
static weld_error_t error;
static weld_context_t context;

static void setup(void) {
    cr_assert(mkdtemp(folder));
    snprintf(path, sizeof path, "%s/model", folder);
    error = weld_error_new();
    context = weld_context_new(NULL);
}

static void teardown(void) {
    cr_expect_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
    weld_error_free(error);
    chmod(folder, 0700);
    unlink(path);
    cr_expect(rmdir(folder) == 0, "nothing but the file is left");
}

TestSuite(store, .init = setup, .fini = teardown);

static weld_value_t value_of(const char *code) {
    weld_lazy_t lazy = weld_lazy_new(NULL, code, NULL, 0, error);
    weld_value_t value = NULL;
    cr_assert(weld_lazy_evaluate(context, &lazy, 1, &value, error), "%s: %s", code,
              weld_error_message(error));
    weld_lazy_free(lazy);
    return value;
}

static void save(const char *code) {
    weld_value_t value = value_of(code);
    cr_assert(weld_value_save(value, path, error), "%s: %s", code, weld_error_message(error));
    weld_value_free(value);
}

/* The file's bytes, to be changed. */
static char *bytes_of(size_t *length) {
    struct stat status;
    cr_assert(stat(path, &status) == 0);
    *length = (size_t)status.st_size;
    char *bytes = malloc(*length + 1);
    FILE *file = fopen(path, "rb");
    cr_assert(file && fread(bytes, 1, *length, file) == *length);
    fclose(file);
    return bytes;
}

static void write_bytes(const char *bytes, size_t length) {
    FILE *file = fopen(path, "wb");
    cr_assert(file && fwrite(bytes, 1, length, file) == length);
    cr_assert(fclose(file) == 0);
}

static void expect_refused(const char *why) {
    weld_value_t value = weld_value_load(context, path, error);
    cr_expect(!value && weld_error_code(error) == WELD_FILE_ERROR &&
                  strstr(weld_error_message(error), path) && strstr(weld_error_message(error), why),
              "%s: %s", why, weld_error_message(error));
    weld_value_free(value);
}

Test(store, there_and_back) {
    static const char *const codes[] = {
        "5l",
        "{1c, 2.5f, true, {3us, -0.0}}",
        "{[1.5, 2.5], 1l, 2l}",
        "[]: vec[f32]",
        "[[1.0f], []]",
        "\"a text\"",
        "result(for([1, 2, 1], dictmerger[i32, i64, +], |b, i, e| merge(b, {e, 1l})))",
        "result(for([1, 2, 1], groupmerger[i32, i64], |b, i, e| merge(b, {e, i})))",
        "[{1c, 2.0}, {3c, 4.0}]",
        "{}",
        "nn.he(nn.key(1l), 30l, 50l)",
    };
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        if (strstr(codes[i], "nn.") && !weld_adapter_find("nn", NULL)) continue;
        weld_value_t value = value_of(codes[i]);
        cr_assert(weld_value_save(value, path, error), "%s", weld_error_message(error));
        weld_value_t again = weld_value_load(context, path, error);
        cr_assert_not_null(again, "%s: %s", codes[i], weld_error_message(error));
        char *was = weld_value_print(value), *is = weld_value_print(again);
        cr_expect_str_eq(is, was);
        cr_expect_str_eq(weld_value_type(again), weld_value_type(value));
        cr_expect_eq(weld_value_run(again), -1);
        weld_value_t part = weld_value_field(again, 0);
        cr_expect_eq(part != NULL,
                     *codes[i] == '{' && codes[i][1] != '}' ? 1 : strstr(codes[i], "he(") != NULL);
        weld_value_free(part);
        free(was), free(is);
        weld_value_free(value), weld_value_free(again);
    }
}

/* What was loaded is data like other data, and outlives its file. */
Test(store, used_in_a_program) {
    save("{[1.5, 2.5], 1l, 2l}");
    weld_value_t model = weld_value_load(context, path, error), sum = NULL;
    cr_assert(unlink(path) == 0);
    weld_lazy_t lazy = weld_lazy_value(model, error);
    weld_value_free(model);
    weld_lazy_t total = weld_lazy_new(NULL, "|m| sum(m.$0) + f64(m.$2)", &lazy, 1, error);
    cr_assert(weld_lazy_evaluate(context, &total, 1, &sum, error), "%s", weld_error_message(error));
    cr_expect(*(double *)weld_value_data(sum) == 6);
    weld_value_free(sum), weld_lazy_free(total), weld_lazy_free(lazy);
    save("1");
}

Test(store, cut_off_at_every_byte) {
    size_t length;
    save("{[1.5f, 2.5f, 3.5f], 1l, 3l}");
    char *bytes = bytes_of(&length);
    for (size_t n = 0; n < length; n++) {
        write_bytes(bytes, n);
        expect_refused(n == 0 ? "holds no value" : "cut off");
    }
    free(bytes);
}

Test(store, every_bit_another_way) {
    size_t length;
    save("{[1.5f, 2.5f, 3.5f], 1l, 3l}");
    char *bytes = bytes_of(&length);
    for (size_t n = 0; n < length; n++) {
        for (int bit = 0; bit < 8; bit++) {
            bytes[n] = (char)(bytes[n] ^ 1 << bit);
            write_bytes(bytes, length);
            expect_refused(n < 8 ? "holds no value" : n < 12 ? "version" : "");
            bytes[n] = (char)(bytes[n] ^ 1 << bit);
        }
    }
    free(bytes);
}

Test(store, longer_and_later_and_other) {
    size_t length;
    save("[1.5f, 2.5f]");
    char *bytes = bytes_of(&length);
    bytes[length] = 0;
    write_bytes(bytes, length + 1);
    expect_refused("bytes follow");
    bytes[8] = 2;
    write_bytes(bytes, length);
    expect_refused("is of version 2 of such files; version 1 can be read");
    write_bytes("\x93NUMPY\x01\x00", 8);
    expect_refused("another program wrote it");
    free(bytes);
    unlink(path);
    expect_refused("No such file");
    cr_assert(mkdir(path, 0700) == 0);
    expect_refused("not a regular file");
    weld_value_t value = value_of("1");
    cr_expect(!weld_value_save(value, path, error) && weld_error_code(error) == WELD_FILE_ERROR);
    weld_value_free(value);
    cr_assert(rmdir(path) == 0);
    save("1");
}

/* Another value takes the place of the first whole, or not at all. */
Test(store, replaced_as_a_whole) {
    struct stat before, after;
    save("[1, 2]");
    cr_assert(stat(path, &before) == 0);
    save("[3, 4]");
    cr_assert(stat(path, &after) == 0);
    cr_expect(before.st_ino != after.st_ino, "it is another file under the same name");
    weld_value_t value = value_of("[5, 6]"), was;
    if (geteuid() != 0) { /* whom no permission stops */
        chmod(folder, 0500);
        cr_expect(!weld_value_save(value, path, error) && weld_error_code(error) == WELD_FILE_ERROR);
        chmod(folder, 0700);
    }
    was = weld_value_load(context, path, error);
    char *text = weld_value_print(was);
    cr_expect_str_eq(text, "[3, 4]");
    free(text);
    weld_value_free(was), weld_value_free(value);
}

Test(store, what_cannot_be_saved) {
    int64_t five = 5;
    weld_module_t module = must_compile(0, "merge(appender[i64], 1l)");
    weld_value_t own = weld_value_new(&five), builder = weld_module_run(module, context, NULL, error);
    cr_expect(!weld_value_save(own, path, error) && weld_error_code(error) == WELD_ARGUMENT_ERROR);
    cr_expect(!weld_value_save(builder, path, error) && weld_error_code(error) == WELD_ARGUMENT_ERROR);
    cr_expect(!weld_value_save(builder, NULL, NULL) && !weld_value_load(NULL, path, NULL));
    weld_value_free(own), weld_value_free(builder);
    weld_module_free(module);
    save("1");
}

/* A context that has too little room for the value says so, and has its memory back. */
Test(store, limit) {
    save("result(for(rangeiter(0l, 100000l, 1l), appender[i64], |b, i, e| merge(b, e)))");
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.memory.limit", "100K");
    weld_context_t small = weld_context_new(conf);
    cr_expect(!weld_value_load(small, path, error) && weld_error_code(error) == WELD_OUT_OF_MEMORY, "%s",
              weld_error_message(error));
    cr_expect_eq(weld_context_memory_usage(small), 0);
    weld_context_free(small);
    weld_conf_free(conf);
}
