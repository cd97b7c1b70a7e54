/* test_cache.c: compiled code that is kept: object.c and code.c (loading), disk.c, cache.c, tier.c.
 *
 * Every test has a folder of its own for the files. A name that differs makes the cache in memory, not that
 * on disk, miss.
 */
#include "../../runtime/rt.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <fcntl.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[64], path[512];

static void begin(void) {
    snprintf(folder, sizeof folder, "/tmp/weld-cache-XXXXXX");
    cr_assert_not_null(mkdtemp(folder));
    setenv("XDG_CACHE_HOME", folder, 1);
}

/* How many files there are; *bytes: what they have together. The last one's path is in `path`. */
static int files(int64_t *bytes) {
    char name[128];
    snprintf(name, sizeof name, "%s/weldc", folder);
    DIR *open = opendir(name);
    int count = 0;
    if (bytes) *bytes = 0;
    for (struct dirent *entry; open && (entry = readdir(open));) {
        struct stat status;
        if (*entry->d_name == '.') continue;
        snprintf(path, sizeof path, "%s/%s", name, entry->d_name);
        stat(path, &status);
        if (bytes) *bytes += status.st_size;
        count++;
    }
    if (open) closedir(open);
    return count;
}

static void end(void) {
    char name[128];
    while (files(NULL) > 0) unlink(path);
    snprintf(name, sizeof name, "%s/weldc", folder);
    rmdir(name);
    rmdir(folder);
}

static weld_conf_t conf_with(const char *engine, const char *cache) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine);
    weld_conf_set(conf, "weld.cache", cache);
    weld_conf_set(conf, "weld.llvm.optimization.level", "1");
    return conf;
}

static const char text[] =
    "|x: vec[i64]| let d = result(for(x, dictmerger[i64,f64,+], |b, i, e| merge(b, {e % 3L, exp(0.0)})));"
    " {lookup(d, 1L), result(for(x, appender[i64], |b, i, e| merge(b, e * 2L))), \"text\"}";

/* Compiles under this name, runs over 1, 2, 4, and returns the tier. */
static const char *answer(const char *name, weld_conf_t conf) {
    Error error = {.code = E_None};
    int64_t data[] = {1, 2, 4};
    Vec x = {data, 3};
    weld_module_t module = module_compile(name, text, strlen(text), NULL, conf, &error, NULL);
    cr_assert_not_null(module, "%s", error.text);
    weld_context_t context = weld_context_new(conf);
    weld_value_t value = module_run(module, context, &x, NULL, &error);
    cr_assert_not_null(value, "%s", error.text);
    const char *tier = module_tier(module);
    weld_module_free(module);
    Buf out = {0};
    value_print(&out, value_type(value), weld_value_data(value));
    cr_assert_str_eq(out.text, "{2.0, [2l, 4l, 8l], \"text\"}");
    buf_release(&out);
    weld_value_free(value);
    weld_context_free(context);
    return tier;
}

static Buf read_file(const char *name) {
    Buf all = {0};
    FILE *file = fopen(name, "rb");
    char block[4096];
    cr_assert_not_null(file);
    for (size_t got; (got = fread(block, 1, sizeof block, file)) > 0;) buf_put(&all, block, got);
    fclose(file);
    return all;
}

/* The image of `text` as it lies on disk. */
static Buf image_of(weld_conf_t conf, Buf *key) {
    Buf image = {0};
    disk_key(key, conf, text, strlen(text), NULL, true);
    cr_assert(disk_find(key, &image));
    return image;
}

static uint64_t random_next(uint64_t *state) {
    *state ^= *state << 13, *state ^= *state >> 7, *state ^= *state << 17;
    return *state;
}

Test(cache, a_second_compilation_finds_the_first) {
    begin();
    weld_conf_t disk = conf_with("jit", "disk"), memory = conf_with("jit", "memory"),
                off = conf_with("jit", "off");
    cr_expect_str_eq(answer("a", memory), "jit");
    cr_expect_str_eq(answer("a", memory), "cached");
    cr_expect_str_eq(answer("b", memory), "jit", "another name, and errors carry it");
    cr_expect_str_eq(answer("a", off), "jit");
    cr_expect_str_eq(answer("a", off), "jit");
    cr_expect_eq(files(NULL), 0);
    cr_expect_str_eq(answer("a", disk), "jit");
    cr_expect_eq(files(NULL), 1);
    cr_expect_str_eq(answer("b", disk), "cached", "from the file");
    weld_conf_set(disk, "weld.llvm.optimization.level", "2");
    cr_expect_str_eq(answer("c", disk), "jit", "the settings are other ones");
    cr_expect_eq(files(NULL), 2);
    weld_conf_free(disk);
    weld_conf_free(memory);
    weld_conf_free(off);
    end();
}

Test(cache, a_damaged_file_is_none) {
    begin();
    weld_conf_t conf = conf_with("jit", "disk");
    cr_expect_str_eq(answer("a", conf), "jit");
    Buf key = {0}, image = image_of(conf, &key);
    cr_assert_eq(files(NULL), 1);
    Buf file = read_file(path);
    int open_file = open(path, O_RDWR);
    for (size_t length = 0; length < file.length; length++) {
        Buf none = {0};
        cr_assert_eq(ftruncate(open_file, (off_t)(file.length - 1 - length)), 0);
        cr_assert(!disk_find(&key, &none) && !none.text, "without %zu bytes", length + 1);
    }
    cr_assert_eq(pwrite(open_file, file.text, file.length, 0), (ssize_t)file.length);
    uint64_t state = 7;
    for (int i = 0; i < 10000; i++) {
        Buf found = {0};
        size_t at = random_next(&state) % file.length;
        char broken = (char)(file.text[at] ^ 1 << random_next(&state) % 8);
        cr_assert_eq(pwrite(open_file, &broken, 1, (off_t)at), 1);
        cr_assert(!disk_find(&key, &found) && !found.text, "a bit of byte %zu", at);
        if (i < 9999) cr_assert_eq(pwrite(open_file, file.text + at, 1, (off_t)at), 1);
    }
    close(open_file);
    cr_expect_str_eq(answer("b", conf), "jit", "what is damaged is made anew");
    cr_expect_str_eq(answer("c", conf), "cached", "and replaced");
    buf_release(&file);
    buf_release(&image);
    buf_release(&key);
    weld_conf_free(conf);
    end();
}

static void *any_symbol(void *data, const char *name) {
    (void)data;
    return rtcall_symbol(name);
}

/* Tries to load an image that ends where memory does, so that reading behind it is a fault. */
static void try_load(const char *bytes, size_t length) {
    size_t room = (length + 4095) & ~(size_t)4095;
    char *pages = mmap(NULL, room + 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    cr_assert(pages != MAP_FAILED && mprotect(pages + room, 4096, PROT_NONE) == 0);
    char *image = pages + room - length;
    memcpy(image, bytes, length);
    CodeOptions options = {.level = 1, .symbol = any_symbol};
    Error error = {.code = E_None};
    Code *code = code_load(image, length, &options, NULL, &error);
    cr_assert(code || error.code != E_None);
    code_free(code);
    munmap(pages, room + 4096);
}

Test(cache, the_linker_survives_any_object) {
    if (!object_known_machine()) cr_skip_test("object.c does not know this machine");
    begin();
    weld_conf_t conf = conf_with("jit", "disk");
    answer("a", conf);
    Buf key = {0}, image = image_of(conf, &key);
    for (size_t length = 0; length < image.length; length++) try_load(image.text, length);
    uint64_t state = 11;
    char *copy = malloc(image.length);
    for (int i = 0; i < 10000; i++) {
        memcpy(copy, image.text, image.length);
        /* Bytes of the file's tables far more often than those of the code, which is not looked at. */
        for (uint64_t n = 1 + random_next(&state) % 4; n > 0; n--) {
            size_t at = random_next(&state) % image.length;
            if (random_next(&state) % 2) at = image.length - 1 - random_next(&state) % (image.length / 2);
            copy[at] = (char)(random_next(&state) % 3 ? random_next(&state) : 0xff);
        }
        try_load(copy, image.length);
    }
    free(copy);
    buf_release(&image);
    buf_release(&key);
    weld_conf_free(conf);
    end();
}

Test(cache, many_processes_share_an_empty_folder) {
    begin();
    pid_t children[8];
    for (int i = 0; i < 8; i++) {
        children[i] = fork();
        if (children[i]) continue;
        weld_conf_t conf = conf_with("jit", "disk");
        for (int n = 0; n < 5; n++) {
            char name[16];
            snprintf(name, sizeof name, "%d", n);
            answer(name, conf);
        }
        _exit(0);
    }
    for (int i = 0; i < 8; i++) {
        int status;
        cr_assert(waitpid(children[i], &status, 0) == children[i] && status == 0, "status %d", status);
    }
    cr_expect_eq(files(NULL), 1, "no unfinished files stay");
    end();
}

/* Processes that find different versions of an adapter, one after the other. */
Test(cache, another_version_of_an_adapter_is_compiled_anew) {
    static const char calls[] = "|x: vec[i64]| map(x, |e| tiny.twice(e))";
    static const char *const versions[][2] = {
        {WELD_BINARY_DIR "/tests/adapters", "[2l, 4l, 8l]"},
        {WELD_BINARY_DIR "/tests/adapters/changed", "[10l, 20l, 40l]"},
        {WELD_BINARY_DIR "/tests/adapters", "[2l, 4l, 8l]"},
    };
    begin();
    for (int i = 0; i < 3; i++) {
        pid_t child = fork();
        if (child == 0) {
            setenv("WELD_ADAPTERS", versions[i][0], 1);
            Error error = {.code = E_None};
            int64_t data[] = {1, 2, 4};
            Vec x = {data, 3};
            weld_conf_t conf = conf_with("jit", "disk");
            weld_module_t module = module_compile("a", calls, strlen(calls), NULL, conf, &error, NULL);
            weld_context_t context = weld_context_new(conf);
            weld_value_t value = module ? module_run(module, context, &x, NULL, &error) : NULL;
            Buf out = {0};
            if (!value) _exit(2);
            value_print(&out, value_type(value), weld_value_data(value));
            if (strcmp(out.text, versions[i][1]) != 0) _exit(1);
            _exit(strcmp(module_tier(module), i == 2 ? "cached" : "jit") == 0 ? 0 : 3);
        }
        int status;
        cr_assert_eq(waitpid(child, &status, 0), child);
        cr_expect_eq(status, 0, "version %d: status %d", i, status >> 8);
    }
    cr_expect_eq(files(NULL), 2);
    end();
}

Test(cache, the_folder_stays_under_its_limit_and_keeps_what_is_used) {
    enum { LIMIT = 64 << 10, SIZE = 4000, COUNT = 60 };
    begin();
    char block[SIZE] = {0};
    Buf image = {.text = block, .length = SIZE, .capacity = SIZE}, found = {0};
    for (int i = 0; i < COUNT; i++) {
        Buf key = {0};
        int64_t bytes;
        buf_printf(&key, "key %d", i);
        disk_store(&key, &image, LIMIT);
        buf_release(&key);
        files(&bytes);
        cr_assert_leq(bytes, LIMIT);
        buf_printf(&key, "key 0");
        cr_assert(disk_find(&key, &found), "used after every store, gone after %d", i);
        buf_release(&key);
        buf_release(&found);
        usleep(5000); /* the clock of files is coarse */
    }
    Buf key = {0};
    buf_printf(&key, "key 1");
    cr_assert(!disk_find(&key, &found));
    buf_release(&key);
    end();
}

/* Files come and go under the processes that read them: every answer is right, and the limit holds at the end. */
Test(cache, many_processes_sweep_a_small_folder) {
    enum { PROCESSES = 6, LIMIT = 20000 };
    begin();
    pid_t children[PROCESSES];
    for (int i = 0; i < PROCESSES; i++) {
        children[i] = fork();
        if (children[i]) continue;
        weld_conf_t conf = conf_with("jit", "disk");
        weld_conf_set(conf, "weld.cache.size", "20000");
        for (int n = 0; n < 24; n++) {
            char name[16], level[2] = {(char)('0' + (i + n) % 4), 0}, llvm[2] = {(char)('0' + n % 2), 0};
            snprintf(name, sizeof name, "%d", n);
            weld_conf_set(conf, "weld.optimization.level", level);
            weld_conf_set(conf, "weld.llvm.optimization.level", llvm);
            answer(name, conf);
        }
        _exit(0);
    }
    for (int i = 0; i < PROCESSES; i++) {
        int status;
        cr_assert(waitpid(children[i], &status, 0) == children[i] && status == 0, "status %d", status);
    }
    int64_t bytes;
    cr_expect_gt(files(&bytes), 0);
    cr_expect_leq(bytes, LIMIT);
    end();
}

Test(cache, what_dead_processes_left_goes) {
    begin();
    weld_conf_t conf = conf_with("jit", "disk");
    weld_conf_set(conf, "weld.cache.size", "1000000");
    answer("a", conf);
    cr_assert_eq(files(NULL), 1);
    char old[600], fresh[600];
    snprintf(old, sizeof old, "%s/weldc/new-1-1-0123456789abcdef", folder);
    snprintf(fresh, sizeof fresh, "%s/weldc/new-2-2-0123456789abcdef", folder);
    close(open(old, O_CREAT | O_WRONLY, 0600));
    close(open(fresh, O_CREAT | O_WRONLY, 0600));
    struct timespec times[2] = {{.tv_sec = 1000000}, {.tv_sec = 1000000}};
    cr_assert_eq(utimensat(AT_FDCWD, old, times, 0), 0);
    weld_conf_set(conf, "weld.optimization.level", "1");
    answer("b", conf);
    cr_expect_neq(access(old, F_OK), 0);
    cr_expect_eq(access(fresh, F_OK), 0, "its process may still write it");
    cr_expect_eq(files(NULL), 3);
    weld_conf_free(conf);
    end();
}

Test(cache, where_nothing_can_be_written_programs_run) {
    static const char *const places[] = {"/proc/no such folder", "/dev/null/x", "relative", ""};
    weld_conf_t conf = conf_with("jit", "disk");
    unsetenv("HOME");
    for (int i = 0; i < 4; i++) {
        char name[8] = {(char)('a' + i)};
        setenv("XDG_CACHE_HOME", places[i], 1);
        cr_expect_str_eq(answer(name, conf), "jit");
    }
    weld_conf_free(conf);
}

Test(cache, a_file_that_others_may_write_is_not_believed) {
    begin();
    weld_conf_t conf = conf_with("jit", "disk");
    answer("a", conf);
    files(NULL);
    chmod(path, 0666);
    cr_expect_str_eq(answer("b", conf), "jit");
    cr_expect_str_eq(answer("c", conf), "cached", "it was replaced by one of our own");
    weld_conf_free(conf);
    end();
}

/* ---- tiers ---- */

static const char sum[] = "|x: vec[i64]| result(for(x, merger[i64,+], |b, i, e| merge(b, e)))";

Test(cache, work_decides_the_tier) {
    enum { COUNT = 1 << 20 };
    begin();
    weld_conf_t conf = conf_with("auto", "off");
    weld_context_t context = weld_context_new(conf);
    Error error = {.code = E_None};
    int64_t *data = calloc(COUNT, sizeof *data);
    weld_module_t module = module_compile("sum", sum, strlen(sum), NULL, conf, &error, NULL);
    Vec few = {data, 100}, many = {data, COUNT};
    weld_value_free(module_run(module, context, &few, NULL, &error));
    cr_expect_str_eq(module_tier(module), "eval");
    weld_value_free(module_run(module, context, &many, NULL, &error));
    cr_expect_str_eq(module_tier(module), "jit");
    weld_value_t value = module_run(module, context, &few, NULL, &error);
    cr_expect_eq(*(int64_t *)weld_value_data(value), 0);
    weld_value_free(value);
    weld_module_free(module);
    weld_context_free(context);
    weld_conf_free(conf);
    free(data);
    end();
}

/* The least sum of making and running, and never less than there is. */
Test(cache, the_cheapest_tier_is_chosen) {
    static const struct {
        double ms;
        int64_t size;
        Tier has, wanted;
    } rows[] = {
        {0.05, 50, TIER_EVAL, TIER_EVAL},    {4, 50, TIER_EVAL, TIER_EVAL},
        {8, 50, TIER_EVAL, TIER_LIGHT},      {100, 50, TIER_EVAL, TIER_LIGHT},
        {500, 50, TIER_EVAL, TIER_FULL},     {4, 50, TIER_LIGHT, TIER_LIGHT},
        {100, 50, TIER_LIGHT, TIER_LIGHT},   {500, 50, TIER_LIGHT, TIER_FULL},
        {500, 50, TIER_FULL, TIER_FULL},     {100, 10000, TIER_EVAL, TIER_EVAL},
        {500, 10000, TIER_EVAL, TIER_LIGHT}, {1e9, 10000, TIER_EVAL, TIER_FULL},
        {INFINITY, 1, TIER_EVAL, TIER_FULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Tier tier = tier_choose(rows[i].has, (Work){rows[i].ms * 1e6, rows[i].size});
        cr_expect_eq(tier, rows[i].wanted, "row %zu gives %d", i, tier);
    }
}

/* Code that is quickly made gives way to better code when there is much to do, and is kept apart on disk. */
Test(cache, light_code_comes_first) {
    enum { COUNT = 20000 };
    begin();
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "auto");
    weld_context_t context = weld_context_new(conf);
    Error error = {.code = E_None};
    int64_t *data = calloc(COUNT, sizeof *data);
    Vec x = {data, COUNT};
    for (int process = 0; process < 2; process++) { /* the second one finds the first one's files */
        Timings first = {0}, second = {0}, third = {0};
        char name[2] = {(char)('a' + process), 0};
        weld_module_t module = module_compile(name, sum, strlen(sum), NULL, conf, &error, NULL);
        cr_assert(module_prepare(module, &x, 10, &first));
        cr_expect_str_eq(module_tier(module), process ? "cached" : "jit");
        cr_expect_eq(files(NULL), process ? 2 : 1);
        cr_assert(module_prepare(module, &x, 1, &second));
        cr_expect_eq(second.codegen_ms, 0, "there is code");
        data[7] = 5;
        weld_value_t value = module_run(module, context, &x, NULL, &error);
        cr_expect_eq(*(int64_t *)weld_value_data(value), 5);
        cr_assert(module_prepare(module, &x, 100000, &third));
        cr_expect(process || third.codegen_ms > 0,
                  "better code was made; the second process found it at once");
        cr_expect_eq(files(NULL), 2);
        weld_value_t again = module_run(module, context, &x, NULL, &error);
        cr_expect_eq(*(int64_t *)weld_value_data(again), 5);
        weld_value_free(value);
        weld_value_free(again);
        weld_module_free(module);
    }
    weld_context_free(context);
    weld_conf_free(conf);
    free(data);
    end();
}

/* However small: the interpreter adds in another order. */
Test(cache, sums_of_floats_are_compiled) {
    static const char floats[] = "|x: vec[f64]| result(for(x, merger[f64,+], |b, i, e| merge(b, e)))";
    begin();
    weld_conf_t conf = conf_with("auto", "off");
    weld_context_t context = weld_context_new(conf);
    Error error = {.code = E_None};
    double data[] = {1, 2};
    Vec few = {data, 2};
    weld_module_t module = module_compile("sum", floats, strlen(floats), NULL, conf, &error, NULL);
    weld_value_t value = module_run(module, context, &few, NULL, &error);
    cr_assert(value && *(double *)weld_value_data(value) == 3);
    cr_expect_str_eq(module_tier(module), "jit");
    weld_value_free(value);
    weld_module_free(module);
    weld_context_free(context);
    weld_conf_free(conf);
    end();
}

Test(cache, what_runs_often_is_compiled) {
    begin();
    weld_conf_t conf = conf_with("auto", "off");
    weld_context_t context = weld_context_new(conf);
    Error error = {.code = E_None};
    int64_t data[2000] = {1, 2};
    Vec some = {data, 2000};
    weld_module_t module = module_compile("sum", sum, strlen(sum), NULL, conf, &error, NULL);
    cr_assert_not_null(module_program(module), "shown: code is made of another copy");
    int runs = 0;
    for (; runs < 10000 && strcmp(module_tier(module), "eval") == 0; runs++) {
        weld_value_t value = module_run(module, context, &some, NULL, &error);
        cr_assert_eq(*(int64_t *)weld_value_data(value), 3);
        weld_value_free(value);
    }
    cr_expect(runs > 0 && runs < 10000, "%d", runs);
    cr_expect_str_eq(module_tier(module), "jit");
    cr_expect_eq(module_program(module)->root->nparams, 1);
    weld_module_free(module);
    weld_context_free(context);
    weld_conf_free(conf);
    end();
}

static void *run_often(void *data) {
    weld_conf_t conf = data;
    weld_context_t context = weld_context_new(conf);
    int64_t numbers[3000] = {1, 2};
    Vec some = {numbers, 3000};
    for (int i = 0; i < 100; i++) {
        Error error = {.code = E_None};
        weld_module_t module = module_compile("sum", sum, strlen(sum), NULL, conf, &error, NULL);
        if (i % 7 == 3) cr_assert_not_null(module_program(module));
        weld_value_t value = module_run(module, context, &some, NULL, &error);
        cr_assert(value && *(int64_t *)weld_value_data(value) == 3, "%s", error.text);
        weld_value_free(value);
        weld_module_free(module);
    }
    weld_context_free(context);
    return NULL;
}

Test(cache, threads_share_a_unit_while_it_is_compiled) {
    enum { THREADS = 8 };
    begin();
    pthread_t threads[THREADS];
    weld_conf_t conf = conf_with("auto", "disk");
    for (int i = 0; i < THREADS; i++) cr_assert_eq(pthread_create(&threads[i], NULL, run_often, conf), 0);
    for (int i = 0; i < THREADS; i++) pthread_join(threads[i], NULL);
    Error error = {.code = E_None};
    weld_module_t module = module_compile("sum", sum, strlen(sum), NULL, conf, &error, NULL);
    cr_expect_str_eq(module_tier(module), "cached");
    weld_module_free(module);
    weld_conf_free(conf);
    end();
}

/* Programs that call C functions are kept as well, but only while these are where they were. */
Test(cache, calls_of_c_functions_are_kept) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.cache", "memory");
    static const char program[] = "|x: f64| cfun[cbrt, f64](x) + 123.5";
    weld_module_t first = weld_module_compile(program, conf, NULL),
                  second = weld_module_compile(program, conf, NULL);
    cr_assert(first && second);
    cr_expect_str_eq(module_tier(first), "jit");
    cr_expect_str_eq(module_tier(second), "cached");
    weld_module_free(first);
    weld_module_free(second);
    weld_conf_free(conf);
}
