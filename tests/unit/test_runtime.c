/* test_runtime.c: what the C interface does not show: memory, settings, modules as tools see them. */
#include "../../runtime/rt.h"

#include <criterion/criterion.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

/* ---- memory.c ----------------------------------------------------------------------------------------- */

Test(runtime, blocks_are_aligned_and_counted) {
    static const size_t sizes[] = {1,       64,      1000,          65536, 1 << 20, (2 << 20) - 1,
                                   2 << 20, 3 << 20, (17 << 20) + 5};
    enum { COUNT = sizeof sizes / sizeof *sizes };
    Budget budget;
    void *blocks[COUNT];
    int64_t sum = 0;
    cr_assert(memory_budget(&budget, 100 << 20));
    for (int i = 0; i < COUNT; i++) {
        blocks[i] = budget_take(&budget, sizes[i]);
        cr_assert_not_null(blocks[i]);
        cr_assert_eq((uintptr_t)blocks[i] % 64, 0);
        memset(blocks[i], i, sizes[i]);
        sum += (int64_t)sizes[i];
        cr_assert_eq(budget.live, sum);
    }
    for (int i = 0; i < COUNT; i++) {
        cr_assert_eq(((char *)blocks[i])[sizes[i] - 1], i);
        budget_give(&budget, blocks[i], sizes[i]);
    }
    cr_assert_eq(budget.live, 0);
    cr_assert_eq(budget.peak, sum);
    memory_budget_release(&budget);
}

Test(runtime, the_limit_holds_and_freed_bytes_come_back) {
    Budget budget;
    cr_assert(memory_budget(&budget, 10 << 20));
    for (int round = 0; round < 100; round++) {
        void *a = budget_take(&budget, 6 << 20), *b = budget_take(&budget, 5 << 20);
        cr_assert_not_null(a);
        cr_assert_null(b, "over the limit");
        void *c = budget_take(&budget, 4 << 20);
        cr_assert_not_null(c);
        budget_give(&budget, a, 6 << 20);
        budget_give(&budget, c, 4 << 20);
    }
    cr_assert_null(budget_take(&budget, SIZE_MAX));
    cr_assert_null(budget_take(&budget, (size_t)1 << 62));
    cr_assert_eq(budget.live, 0);
    memory_budget_release(&budget);
}

/* A context without a limit of its own gets the default one, once it holds enough to come near. */
Test(runtime, the_default_limit_is_asked_for_when_it_matters) {
    int64_t limit = memory_default_limit();
    Budget budget;
    cr_assert(memory_budget(&budget, -1));
    void *small = budget_take(&budget, 1 << 20);
    cr_assert_not_null(small);
    cr_assert_eq(budget.limit, LIMIT_UNASKED);
    cr_assert_null(budget_take(&budget, (size_t)limit), "over the limit");
    cr_assert_neq(budget.limit, LIMIT_UNASKED);
    void *large = budget_take(&budget, 100 << 20);
    cr_assert_not_null(large, "it is more than LIMIT_UNASKED, which is none");
    budget_give(&budget, large, 100 << 20);
    budget_give(&budget, small, 1 << 20);
    cr_assert_eq(budget.live, 0);
    memory_budget_release(&budget);
    /* Who sets that very number means it. */
    cr_assert(memory_budget(&budget, LIMIT_UNASKED));
    cr_assert_null(budget_take(&budget, (size_t)LIMIT_UNASKED + 1));
    memory_budget_release(&budget);
}

/* What is more than anybody can have is refused before the limit is looked at. */
Test(runtime, what_nobody_can_have_tells_the_limit) {
    char limit[64];
    Budget budget;
    cr_assert(memory_budget(&budget, -1));
    Worker worker = {.region = region_new(&budget)};
    cr_assert_null(worker_alloc(&worker, (int64_t)1 << 61, (Span){0, 0, 0}));
    snprintf(limit, sizeof limit, "the limit is %lld", (long long)memory_default_limit());
    cr_expect(strstr(worker.error.text, limit), "%s", worker.error.text);
    region_free(worker.region);
    memory_budget_release(&budget);
}

/* Random sizes of large blocks, so that the pool of free ones fills, is searched, and drops its oldest. */
Test(runtime, freed_blocks_are_used_again_and_never_twice) {
    enum { LIVE = 40, STEPS = 3000 };
    struct {
        unsigned char *base;
        size_t bytes;
    } live[LIVE] = {0};
    Budget budget;
    cr_assert(memory_budget(&budget, (int64_t)1 << 30));
    srand(7);
    for (int step = 0; step < STEPS; step++) {
        int k = rand() % LIVE;
        if (live[k].base) {
            cr_assert_eq(live[k].base[0], k);
            cr_assert_eq(live[k].base[live[k].bytes - 1], k);
            budget_give(&budget, live[k].base, live[k].bytes);
        }
        live[k].bytes = (size_t)(1 + rand() % 96) << 16;
        live[k].base = budget_take(&budget, live[k].bytes);
        cr_assert_not_null(live[k].base);
        live[k].base[0] = live[k].base[live[k].bytes - 1] = (unsigned char)k;
    }
    for (int k = 0; k < LIVE; k++) budget_give(&budget, live[k].base, live[k].bytes);
    cr_assert_eq(budget.live, 0);
    memory_budget_release(&budget);
}

/* The words of a block of so many bytes are numbered from seed on, some of them. */
enum { STEP = 1 << 13 };

static void fill(uint64_t *block, size_t bytes, size_t from, uint64_t seed) {
    for (size_t i = (from + 8 * STEP - 1) / (8 * STEP) * STEP; i < bytes / 8; i += STEP) block[i] = seed + i;
}

static bool is_filled(const uint64_t *block, size_t bytes, uint64_t seed) {
    for (size_t i = 0; i < bytes / 8; i += STEP) {
        if (block[i] != seed + i) return false;
    }
    return true;
}

/* Random sizes that grow and shrink, beside blocks that come and go: contents stay, bytes are counted. */
Test(runtime, resized_blocks_keep_what_they_hold) {
    enum { LIVE = 12, STEPS = 2000, MIB = 1 << 20 };
    struct {
        uint64_t *base;
        size_t bytes;
    } live[LIVE] = {0};
    Budget budget;
    int64_t sum = 0;
    int resized = 0;
    cr_assert(memory_budget(&budget, (int64_t)1 << 30));
    srand(11);
    for (int step = 0; step < STEPS; step++) {
        int k = rand() % LIVE;
        uint64_t seed = (uint64_t)k << 32;
        size_t wanted = (size_t)(1 + rand() % 128) << 18;
        if (!live[k].base) {
            live[k].base = budget_take(&budget, wanted);
            cr_assert_not_null(live[k].base);
            fill(live[k].base, wanted, 0, seed);
        } else if (rand() % 3 == 0) {
            budget_give(&budget, live[k].base, live[k].bytes);
            live[k].base = NULL;
            wanted = 0;
        } else {
            size_t before = live[k].bytes, least = wanted < before ? wanted : before;
            uint64_t *moved = budget_resize(&budget, live[k].base, before, wanted);
            if (!moved) wanted = before, least = before;
            if (moved) live[k].base = moved, resized++;
            cr_assert(is_filled(live[k].base, least, seed));
            fill(live[k].base, wanted, least, seed);
        }
        sum += (int64_t)wanted - (int64_t)live[k].bytes;
        live[k].bytes = wanted;
        cr_assert_eq(budget.live, sum);
    }
    for (int k = 0; k < LIVE; k++) {
        cr_assert(!live[k].base || is_filled(live[k].base, live[k].bytes, (uint64_t)k << 32));
        budget_give(&budget, live[k].base, live[k].bytes);
    }
    cr_assert_eq(budget.live, 0);
    cr_expect(resized > 0 || budget.resize(budget.data, NULL, 1, 2) == NULL);
    memory_budget_release(&budget);
}

/* Sanitizers need terabytes of addresses. */

Test(runtime, the_default_limit_respects_the_address_space) {
    int64_t before = memory_default_limit();
    cr_assert_gt(before, 1 << 20);
#if !SANITIZED
    struct rlimit limit = {(rlim_t)1 << 30, RLIM_INFINITY};
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = (rlim_t)1 << 30;
    if (setrlimit(RLIMIT_AS, &limit) == 0) cr_assert_leq(memory_default_limit(), ((int64_t)1 << 30) / 5 * 4);
#endif
}

/* The memory of one run's result serves the next one, whose builder grows as the first one's did. */
#if !SANITIZED
static long faults(void) {
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return usage.ru_minflt;
}

Test(runtime, a_freed_result_serves_the_next_run) {
    enum { LENGTH = 4 << 20, RUNS = 5, FEW = 1000 }; /* 24 MB of results: 6000 small pages */
    static double x[LENGTH];
    for (int64_t i = 0; i < LENGTH; i++) x[i] = (double)(i % 4);
    Vec argument = {x, LENGTH};
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_error_t error = weld_error_new();
    weld_module_t module = weld_module_compile("|x: vec[f64]| filter(x, |e| e < 2.5)", conf, error);
    weld_context_t context = weld_context_new(conf);
    cr_assert(module && context);
    for (int run = 0; run < RUNS; run++) {
        weld_value_t in = weld_value_new(&argument);
        long before = faults();
        weld_value_t out = weld_module_run(module, context, in, error);
        long fresh = faults() - before;
        cr_assert(out);
        const Vec *kept = weld_value_data(out);
        cr_assert_eq(kept->length, LENGTH / 4 * 3);
        cr_assert_leq(weld_context_memory_usage(context), kept->length * 8 + 4096,
                      "what it holds, not its room");
        if (run > 0) cr_expect_lt(fresh, FEW, "run %d: %ld page faults", run, fresh);
        weld_value_free(out);
        weld_value_free(in);
        cr_assert_eq(weld_context_memory_usage(context), 0);
    }
    weld_context_free(context);
    weld_module_free(module);
    weld_error_free(error);
    weld_conf_free(conf);
}
#endif

/* ---- gather.c ----------------------------------------------------------------------------------------- */

/* The first of a loop's units has few of the keys, the partitions of the others many: they are put together in order. */
Test(runtime, units_with_many_keys_are_put_together, .timeout = 60) {
    static const char text[] =
        "let d = result(for(rangeiter(0L, 120000L, 1L), dictmerger[i64,i64,+], |b, i, e| "
        "merge(b, {e * 7919L, e})));"
        "result(for(tovec(d), merger[{i64,i64},+], |b, i, e| "
        "merge(b, {e.$1 * i, i64(lookup(d, e.$0) == i)})))";
    static const char *const threads[] = {"1", "2", "3"};
    for (int k = 0; k < 3; k++) {
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.engine", "jit");
        weld_conf_set(conf, "weld.threads", threads[k]);
        weld_error_t error = weld_error_new();
        weld_module_t module = weld_module_compile(text, conf, error);
        if (!module && weld_error_code(error) == WELD_LOAD_LIBRARY_ERROR) cr_skip_test("no code generator");
        weld_context_t context = weld_context_new(conf);
        weld_value_t in = weld_value_new(NULL), out = weld_module_run(module, context, in, error);
        cr_assert(out, "%s", weld_error_message(error));
        const int64_t *sums = weld_value_data(out);
        cr_expect_eq(sums[0], INT64_C(119999) * 120000 * 239999 / 6, "%s threads", threads[k]);
        cr_expect_eq(sums[1], 120000, "%s threads", threads[k]);
        weld_value_free(out);
        weld_value_free(in);
        weld_context_free(context);
        weld_module_free(module);
        weld_error_free(error);
        weld_conf_free(conf);
    }
}

/* ---- settings.c --------------------------------------------------------------------------------------- */

Test(runtime, every_default_is_a_good_value) {
    for (int i = 0; i < setting_count; i++) {
        if (!settings[i].fallback) continue;
        weld_conf_t conf = weld_conf_new();
        Options options;
        Error error = {.code = E_None};
        weld_conf_set(conf, settings[i].key, settings[i].fallback);
        cr_assert(conf_options(conf, &options, &error), "%s", error.text);
        cr_assert_str_eq(conf_get(conf, settings[i].key), settings[i].fallback);
        weld_conf_free(conf);
    }
}

Test(runtime, settings_are_converted) {
    weld_conf_t conf = weld_conf_new();
    Options options;
    Error error = {.code = E_None};
    cr_assert(conf_options(NULL, &options, &error));
    cr_assert_eq(options.memory_limit, 0);
    cr_assert_eq(options.threads, 1);
    cr_assert_str_eq(options.engine, "auto");
    cr_assert_null(options.passes);
    cr_assert(options.foreign && !options.verify && !options.dump);
    weld_conf_set(conf, "weld.memory.limit", "3K");
    weld_conf_set(conf, "weld.verify", "true");
    weld_conf_set(conf, "weld.optimization.passes", "");
    weld_conf_set(conf, "weld.llvm.optimization.level", "3");
    cr_assert(conf_options(conf, &options, &error), "%s", error.text);
    cr_assert_eq(options.memory_limit, 3072);
    cr_assert_eq(options.llvm_level, 3);
    cr_assert(options.verify);
    cr_assert_str_eq(options.passes, "");
    weld_conf_free(conf);
}

Test(runtime, every_setting_is_documented) {
    char *text = NULL, row[128];
    size_t size = 0;
    FILE *file = fopen(WELD_SOURCE_DIR "/docs/api.md", "r");
    cr_assert(file && getdelim(&text, &size, 0, file) > 0);
    fclose(file);
    for (int i = 0; i < setting_count; i++) {
        snprintf(row, sizeof row, "\n| `%s` |", settings[i].key);
        cr_assert(strstr(text, row), "%s", settings[i].key);
    }
    free(text);
}

/* ---- symtab.c ----------------------------------------------------------------------------------------- */

int test_runtime_global(int x);
int test_runtime_global(int x) {
    return x + 1;
}

Test(runtime, functions_of_the_executable_are_found) {
    void *expected = (void *)test_runtime_global;
    cr_assert_eq(executable_symbol("test_runtime_global"), expected);
    cr_assert_eq(executable_symbol("test_runtime_global"), expected, "the second time, too");
    cr_assert_eq(foreign_symbol("test_runtime_global"), expected);
    cr_assert_null(executable_symbol("test_runtime_globa"));
    cr_assert_null(executable_symbol(""));
    cr_assert_null(foreign_symbol("test_runtime_no_such"));
}

static void sum_pointers(int64_t *a, int64_t *b, int64_t *c, int64_t *d, int64_t *e, int64_t *f, int64_t *g,
                         int64_t *h, int64_t *i, int64_t *j, int64_t *k, int64_t *l, int64_t *m, int64_t *n,
                         int64_t *o, int64_t *p, int64_t *q, int64_t *out) {
    *out = *a + *b + *c + *d + *e + *f + *g + *h + *i + *j + *k + *l + *m + *n + *o + *p + *q;
}

Test(runtime, a_foreign_call_passes_many_pointers) {
    int64_t numbers[18] = {0};
    void *arguments[18];
    for (int i = 0; i < 18; i++) numbers[i] = 1 << i, arguments[i] = &numbers[i];
    cr_assert(foreign_host.call(foreign_host.data, (void *)sum_pointers, 18, arguments, NULL));
    cr_assert_eq(numbers[17], (1 << 17) - 1);
}

/* ---- module.c ----------------------------------------------------------------------------------------- */

Test(runtime, the_typed_program_of_a_module_can_be_asked_for) {
    static const char *const engines[] = {"eval", "auto"};
    for (int i = 0; i < 2; i++) {
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.engine", engines[i]);
        Error error = {.code = E_None};
        Timings timings;
        static const char text[] = "|x: i64| (|y| y + 1l)(x)";
        weld_module_t module = module_compile("f.weld", text, strlen(text), NULL, conf, &error, &timings);
        cr_assert_not_null(module, "%s", error.text);
        Program *program = module_program(module);
        cr_assert_not_null(program);
        cr_assert_eq(program, module_program(module));
        cr_assert_eq(program->root->kids[0]->kind, N_Apply, "not optimized");
        cr_assert_str_eq(program->source[0].name, "f.weld");
        cr_assert_geq(timings.parse_ms, 0);
        weld_context_t context = weld_context_new(NULL);
        int64_t x = 4;
        volatile int32_t cancel = 0;
        weld_value_t value = module_run(module, context, &x, &cancel, &error);
        cr_assert_not_null(value, "%s", error.text);
        cr_assert_eq(*(int64_t *)weld_value_data(value), 5);
        cr_assert_eq(value_type(value)->kind, TY_i64);
        weld_value_free(value);
        weld_context_free(context);
        weld_module_free(module);
        weld_conf_free(conf);
    }
}

Test(runtime, a_wanted_type_types_the_parameters) {
    Program *types = program_new("types", "", 0);
    Error error = {.code = E_None};
    Type *i64 = type_scalar(&types->types, TY_i64);
    Type *parts[] = {i64, i64, i64};
    Type *want = type_make(&types->types, TY_function, OP_none, 3, parts);
    weld_module_t module = module_compile("f", "|x, y| x + y", 12, want, NULL, &error, NULL);
    cr_assert_not_null(module, "%s", error.text);
    program_free(types);
    cr_assert_str_eq(weld_module_parameter_type(module, 1), "i64");
    cr_assert_not_null(module_program(module));
    cr_assert_eq(module_argument_type(module)->count, 2);
    cr_assert_eq(module_result_type(module)->kind, TY_i64);
    weld_module_free(module);
}

Test(runtime, a_bare_program_can_be_asked_for) {
    Error error = {.code = E_None};
    weld_module_t module = module_compile("f", "len(\"ab\") + 2l", 14, NULL, NULL, &error, NULL);
    cr_assert_not_null(module, "%s", error.text);
    Program *program = module_program(module);
    cr_assert(program && program->bare);
    cr_assert_eq(program->root->kids[0]->kind, N_Binary);
    weld_module_free(module);
}

Test(runtime, errors_of_compilation_keep_code_and_span) {
    Error error = {.code = E_None};
    cr_assert_null(module_compile("f", "1 + true", 8, NULL, NULL, &error, NULL));
    cr_assert_eq(error.code, E_Type);
    cr_assert_gt(error.span.end, error.span.begin);
}
