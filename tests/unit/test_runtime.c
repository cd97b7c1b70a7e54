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

/* Sanitizers need terabytes of addresses. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer)
#define SANITIZED 1
#endif
#endif

Test(runtime, the_default_limit_respects_the_address_space) {
    int64_t before = memory_default_limit();
    cr_assert_gt(before, 1 << 20);
#ifndef SANITIZED
    struct rlimit limit = {(rlim_t)1 << 30, RLIM_INFINITY};
    getrlimit(RLIMIT_AS, &limit);
    limit.rlim_cur = (rlim_t)1 << 30;
    if (setrlimit(RLIMIT_AS, &limit) == 0) cr_assert_leq(memory_default_limit(), ((int64_t)1 << 30) / 5 * 4);
#endif
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
