/* test_api_errors.c: the C interface when things go wrong, or side by side: errors and their places, limits, wrong
 * handles, foreign functions, threads, cancelling; and what only few users touch.
 *
 * Programs run with each engine: the interpreter and, where it was built, compiled code.
 */
#include "api.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <unistd.h>

/* ---- errors ------------------------------------------------------------------------------------------- */

Test(api, an_unused_error_is_empty) {
    weld_error_t error = weld_error_new();
    cr_assert_eq(weld_error_code(error), 0);
    cr_assert_str_eq(weld_error_message(error), "");
    cr_assert_str_eq(weld_error_name(error), "");
    cr_assert_eq(weld_error_line(error), 0);
    cr_assert_eq(weld_error_column(error), 0);
    weld_error_free(error);
}

Test(api, a_syntax_error_has_its_place) {
    weld_error_t error = weld_error_new();
    cr_assert_null(compile(0, "|x: i64|\n  x + )", error));
    cr_assert_eq(weld_error_code(error), WELD_COMPILE_ERROR);
    cr_assert_str_eq(weld_error_name(error), "Syntax");
    cr_assert_eq(weld_error_line(error), 2);
    cr_assert_eq(weld_error_column(error), 7);
    const char *message = weld_error_message(error);
    cr_assert_eq(strncmp(message, "<program>:2:7: error[Syntax]: ", 30), 0, "%s", message);
    cr_assert(strstr(message, "\n    x + )\n        ^\n"), "%s", message);
    weld_error_free(error);
}

Test(api, a_type_error_has_its_place) {
    weld_error_t error = weld_error_new();
    cr_assert_null(compile(0, "|x: i64| x + 1.0", error));
    cr_assert_eq(weld_error_code(error), WELD_COMPILE_ERROR);
    cr_assert_str_eq(weld_error_name(error), "Type");
    cr_assert_eq(weld_error_line(error), 1);
    cr_assert(strstr(weld_error_message(error), "i64") && strstr(weld_error_message(error), "f64"), "%s",
              weld_error_message(error));
    weld_error_free(error);
}

Test(api, an_empty_program_is_a_syntax_error) {
    weld_error_t error = weld_error_new();
    cr_assert_null(compile(0, "", error));
    cr_assert_eq(weld_error_code(error), WELD_COMPILE_ERROR);
    cr_assert_eq(weld_error_line(error), 1);
    weld_error_free(error);
}

Test(api, an_error_is_reset_when_it_is_used_again) {
    weld_error_t error = weld_error_new();
    cr_assert_null(compile(0, "|x| x + ", error));
    cr_assert_neq(weld_error_code(error), 0);
    weld_module_t module = compile(0, "|x: i64| x", error);
    cr_assert_eq(weld_error_code(error), 0);
    cr_assert_str_eq(weld_error_message(error), "Success");
    cr_assert_str_eq(weld_error_name(error), "Success");
    cr_assert_eq(weld_error_line(error), 0);
    weld_module_free(module);
    weld_error_free(error);
}

Test(api, each_failure_of_a_run_has_its_number) {
    int64_t data[] = {1, 2, 3}, zero = 0;
    struct {
        Ints a, b;
    } two = {{data, 3}, {data, 2}};
    Ints vec = {data, 3};
    EACH_ENGINE(engine) {
        expect_failure(engine, "|v: vec[i64]| lookup(v, 3l)", &vec, WELD_ARRAY_OUT_OF_BOUNDS, "OutOfBounds");
        expect_failure(engine,
                       "|v: vec[i64]| result(for(iter(v, 0l, 4l, 1l), merger[i64,+], |b,i,e| merge(b, e)))",
                       &vec, WELD_BAD_ITERATOR_LENGTH, "BadIterator");
        expect_failure(
            engine,
            "|a: vec[i64], b: vec[i64]| result(for(zip(a, b), merger[i64,+], |m,i,e| merge(m, e.$0)))", &two,
            WELD_MISMATCHED_ZIP_SIZE, "ZipMismatch");
        expect_failure(
            engine,
            "|v: vec[i64]| lookup(result(for(v, dictmerger[i64,i64,+], |b,i,e| merge(b, {e,e}))), 9l)", &vec,
            WELD_KEY_NOT_FOUND_ERROR, "KeyNotFound");
        expect_failure(engine, "|x: i64| 1l / x", &zero, WELD_DIVISION_BY_ZERO, "DivisionByZero");
        expect_failure(engine, "|x: i64| assert(x > 0l)", &zero, WELD_ASSERTION_ERROR, "AssertionFailed");
        expect_failure(engine, "|v: vec[i64]| deserialize[vec[i64]](serialize(7si))", &vec,
                       WELD_DESERIALIZATION_ERROR, "Deserialization");
    }
}

Test(api, a_failure_points_into_the_text) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(engine, "|v: vec[i64]|\n  1l + lookup(v, 5l)");
        weld_context_t context = weld_context_new(NULL);
        weld_error_t error = weld_error_new();
        Ints vec = {(int64_t[]){1}, 1};
        cr_assert_null(run_with(module, context, &vec, error));
        const char *message = weld_error_message(error);
        cr_assert_eq(weld_error_line(error), 2, "%s", message);
        cr_assert(strstr(message, "<program>:2:") == message, "%s", message);
        cr_assert(strstr(message, "error[OutOfBounds]: index 5 is out of bounds for length 1\n"), "%s",
                  message);
        cr_assert(strstr(message, "lookup(v, 5l)\n") && strchr(message, '^'), "%s", message);
        weld_error_free(error);
        weld_context_free(context);
        weld_module_free(module);
    }
}

Test(api, a_context_is_usable_after_it_ran_out_of_memory) {
    EACH_ENGINE(engine) {
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.memory.limit", "1M");
        weld_context_t context = weld_context_new(conf);
        weld_conf_free(conf);
        weld_module_t module = must_compile(
            engine, "|n: i64| result(for(rangeiter(0l, n, 1l), appender[i64], |b, i, e| merge(b, e)))");
        weld_error_t error = weld_error_new();
        for (int i = 0; i < 3; i++) {
            int64_t many = 1000000, few = 3;
            cr_assert_null(run_with(module, context, &many, error));
            cr_assert_eq(weld_error_code(error), WELD_OUT_OF_MEMORY, "%s", weld_error_message(error));
            cr_assert_str_eq(weld_error_name(error), "OutOfMemory");
            cr_assert_eq(weld_context_memory_usage(context), 0);
            weld_value_t result = must_run(module, context, &few);
            expect_text(result, "[0l, 1l, 2l]");
            weld_value_free(result);
        }
        cr_assert_leq(weld_context_memory_peak(context), 1 << 20);
        weld_error_free(error);
        weld_module_free(module);
        weld_context_free(context);
    }
}

Test(api, a_kilobyte_is_enough_for_a_scalar) {
    EACH_ENGINE(engine) {
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.memory.limit", "1024");
        weld_context_t context = weld_context_new(conf);
        weld_conf_free(conf);
        weld_module_t module = must_compile(engine, "|x: i64| x+5L");
        int64_t x = 1;
        weld_value_t result = must_run(module, context, &x);
        cr_assert_eq(*(int64_t *)weld_value_data(result), 6);
        weld_value_free(result);
        weld_module_free(module);
        weld_context_free(context);
    }
}

/* ---- NULL and wrong handles ---------------------------------------------------------------------------- */

Test(api, null_is_never_a_crash) {
    weld_conf_free(NULL);
    weld_context_free(NULL);
    weld_value_free(NULL);
    weld_module_free(NULL);
    weld_error_free(NULL);
    weld_runst_release(NULL);
    weld_conf_set(NULL, "a", "b");
    weld_context_cancel(NULL);
    weld_load_library(NULL, NULL);
    cr_assert_null(weld_conf_get(NULL, "a"));
    cr_assert_eq(weld_context_memory_usage(NULL), -1);
    cr_assert_eq(weld_context_memory_peak(NULL), -1);
    cr_assert_eq(weld_value_run(NULL), -1);
    cr_assert_eq(weld_value_memory_usage(NULL), -1);
    cr_assert_null(weld_value_context(NULL));
    cr_assert_null(weld_value_data(NULL));
    cr_assert_null(weld_value_type(NULL));
    cr_assert_null(weld_value_print(NULL));
    cr_assert_null(weld_value_json(NULL));
    cr_assert_eq(weld_error_code(NULL), 0);
    cr_assert_str_eq(weld_error_message(NULL), "");
    cr_assert_str_eq(weld_error_name(NULL), "");
    cr_assert_eq(weld_error_line(NULL), 0);
    cr_assert_eq(weld_error_column(NULL), 0);
    cr_assert_null(weld_module_compile(NULL, NULL, NULL));
    cr_assert_null(weld_module_run(NULL, NULL, NULL, NULL));
    cr_assert_eq(weld_module_parameter_count(NULL), -1);
    cr_assert_null(weld_module_parameter_name(NULL, 0));
    cr_assert_null(weld_module_parameter_type(NULL, 0));
    cr_assert_null(weld_module_result_type(NULL));
    weld_init();
    weld_context_t context = weld_context_new(NULL);
    cr_assert_not_null(context);
    weld_context_free(context);
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, NULL, "b");
    cr_assert_null(weld_conf_get(conf, NULL));
    weld_conf_free(conf);
}

static void expect_argument_error(weld_module_t module, weld_context_t context, weld_value_t value) {
    weld_error_t error = weld_error_new();
    cr_assert_null(weld_module_run(module, context, value, error));
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    cr_assert_str_eq(weld_error_name(error), "Argument");
    weld_error_free(error);
}

Test(api, bad_arguments_of_a_run_are_errors) {
    weld_module_t module = must_compile(0, "|x: i64, v: vec[i64]| x");
    weld_context_t context = weld_context_new(NULL);
    struct {
        int64_t x;
        Ints v;
    } negative = {1, {NULL, -1}}, missing = {1, {NULL, 5}}, empty = {1, {NULL, 0}};
    weld_value_t value = weld_value_new(&negative), hole = weld_value_new(&missing),
                 none = weld_value_new(NULL);
    weld_value_t good = weld_value_new(&empty);
    weld_error_t error = weld_error_new();
    expect_argument_error(NULL, context, good);
    expect_argument_error(module, NULL, good);
    expect_argument_error(module, context, NULL);
    expect_argument_error(module, context, none);
    expect_argument_error(module, context, value);
    expect_argument_error(module, context, hole);
    expect_argument_error(module, context, module);
    expect_argument_error(module, module, good);
    expect_argument_error(context, context, good);
    expect_argument_error(module, error, good);
    cr_assert_null(weld_module_run(module, context, none, NULL));
    weld_value_t result = weld_module_run(module, context, good, good); /* a wrong error handle is ignored */
    cr_assert_not_null(result);
    weld_value_free(result);
    cr_assert_null(weld_module_compile("1", context, error));
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    weld_error_free(error);
    weld_value_free(good);
    weld_value_free(value);
    weld_value_free(hole);
    weld_value_free(none);
    weld_context_free(context);
    weld_module_free(module);
}

/* ---- foreign functions --------------------------------------------------------------------------------- */

__attribute__((visibility("default"))) void test_api_add_five(const int64_t *x, int64_t *result);
void test_api_add_five(const int64_t *x, int64_t *result) {
    *result = *x + 5;
}

Test(api, foreign_functions_are_found_or_named) {
    EACH_ENGINE(engine) {
        weld_error_t error = weld_error_new();
        cr_assert_null(compile(engine, "|x: i64| cudf[no_such_function_anywhere, i64](x)", error));
        cr_assert_eq(weld_error_code(error), WELD_LOAD_LIBRARY_ERROR);
        cr_assert(strstr(weld_error_message(error), "no_such_function_anywhere"), "%s",
                  weld_error_message(error));
        cr_assert_eq(weld_error_column(error), 10);
        weld_conf_t conf = conf_for(engine);
        weld_conf_set(conf, "weld.foreign", "false");
        cr_assert_null(weld_module_compile("|x: i64| cudf[llabs, i64](x)", conf, error));
        cr_assert_eq(weld_error_code(error), WELD_LOAD_LIBRARY_ERROR);
        cr_assert(strstr(weld_error_message(error), "weld.foreign"), "%s", weld_error_message(error));
        weld_conf_free(conf);
        weld_error_free(error);
    }
}

Test(api, a_foreign_function_of_the_program_is_called) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(engine, "|x: i64| cudf[test_api_add_five, i64](x) * 2l");
        weld_context_t context = weld_context_new(NULL);
        int64_t x = 16;
        weld_value_t result = must_run(module, context, &x);
        cr_assert_eq(*(int64_t *)weld_value_data(result), 42);
        weld_value_free(result);
        weld_context_free(context);
        weld_module_free(module);
    }
}

Test(api, a_library_that_cannot_be_loaded_is_an_error) {
    weld_error_t error = weld_error_new();
    weld_load_library("/no/such/library.so", error);
    cr_assert_eq(weld_error_code(error), WELD_LOAD_LIBRARY_ERROR);
    cr_assert(strstr(weld_error_message(error), "/no/such/library.so"));
    weld_load_library(NULL, error);
    cr_assert_eq(weld_error_code(error), WELD_LOAD_LIBRARY_ERROR);
    weld_load_library("libm.so.6", error);
    cr_assert_eq(weld_error_code(error), 0, "%s", weld_error_message(error));
    weld_error_free(error);
}

/* ---- threads ------------------------------------------------------------------------------------------- */

enum { THREADS = 8, ROUNDS = 50 };

typedef struct Job {
    weld_module_t module;
    int64_t number;
    int64_t failures;
} Job;

static void *thread_runs(void *data) {
    Job *job = data;
    weld_context_t context = weld_context_new(NULL);
    weld_error_t error = weld_error_new();
    for (int64_t i = 0; i < ROUNDS; i++) {
        int64_t numbers[100], sum = 0;
        for (int64_t k = 0; k < 100; k++) sum += numbers[k] = job->number * k + i;
        Ints vec = {numbers, 100};
        weld_value_t result = run_with(job->module, context, &vec, error);
        struct {
            int64_t sum;
            Bytes name;
        } *out = weld_value_data(result);
        if (!out || out->sum != sum || out->name.length != 4) job->failures++;
        weld_value_free(result);
    }
    if (weld_context_memory_usage(context) != 0) job->failures++;
    weld_error_free(error);
    weld_context_free(context);
    return NULL;
}

Test(api, one_module_in_eight_threads) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(
            engine, "|v: vec[i64]| {result(for(v, merger[i64, +], |b, i, e| merge(b, e))), \"name\"}");
        pthread_t threads[THREADS];
        Job jobs[THREADS];
        for (int i = 0; i < THREADS; i++) {
            jobs[i] = (Job){module, i, 0};
            cr_assert_eq(pthread_create(&threads[i], NULL, thread_runs, &jobs[i]), 0);
        }
        for (int i = 0; i < THREADS; i++) {
            pthread_join(threads[i], NULL);
            cr_assert_eq(jobs[i].failures, 0);
        }
        weld_module_free(module);
    }
}

typedef struct Endless {
    weld_module_t module;
    weld_context_t context;
    weld_error_t error;
    weld_value_t result;
} Endless;

/* Until the probe below leaves the context free. */
static void *thread_endless(void *data) {
    Endless *job = data;
    int64_t one = 1;
    do job->result = run_with(job->module, job->context, &one, job->error);
    while (!job->result && weld_error_code(job->error) == WELD_ARGUMENT_ERROR);
    return NULL;
}

/* Starts an endless run in a thread and waits until it is going on: a second run in the context is refused.
 */
static void start_endless(Endless *job, int engine, pthread_t *thread) {
    job->module = must_compile(engine, "|x: i64| iterate(x, |s| {s + x, s != 0l || x != 0l})");
    job->context = weld_context_new(NULL);
    job->error = weld_error_new();
    cr_assert_eq(pthread_create(thread, NULL, thread_endless, job), 0);
    weld_module_t probe = must_compile(0, "1");
    weld_error_t error = weld_error_new();
    weld_value_t value;
    while ((value = weld_module_run(probe, job->context, NULL, error))) {
        weld_value_free(value);
        usleep(1000);
    }
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR, "%s", weld_error_message(error));
    weld_error_free(error);
    weld_module_free(probe);
}

Test(api, a_run_is_cancelled_and_the_context_lives_on, .timeout = 60) {
    EACH_ENGINE(engine) {
        Endless job = {0};
        pthread_t thread;
        start_endless(&job, engine, &thread);
        weld_context_cancel(job.context);
        pthread_join(thread, NULL);
        cr_assert_null(job.result);
        cr_assert_eq(weld_error_code(job.error), WELD_CANCELLED, "%s", weld_error_message(job.error));
        cr_assert_str_eq(weld_error_name(job.error), "Cancelled");
        weld_context_cancel(job.context); /* nothing is running: no effect */
        weld_module_t module = must_compile(engine, "|x: i64| x");
        int64_t x = 3;
        weld_value_t result = must_run(module, job.context, &x);
        weld_value_free(result);
        weld_module_free(module);
        weld_module_free(job.module);
        weld_error_free(job.error);
        weld_context_free(job.context);
    }
}

/* ---- the rest ------------------------------------------------------------------------------------------ */

Test(api, stages_are_dumped_into_new_files) {
    EACH_ENGINE(engine) {
        char dir[] = "/tmp/weld-test-XXXXXX", path[256], text[4096];
        cr_assert_not_null(mkdtemp(dir));
        weld_conf_t conf = conf_for(engine);
        weld_conf_set(conf, "weld.compile.dumpCode", "true");
        weld_conf_set(conf, "weld.compile.dumpCodeDir", dir);
        weld_conf_set(conf, "weld.compile.dumpCodeFilename", "p");
        weld_error_t error = weld_error_new();
        weld_module_t module = weld_module_compile("|x: i64| x + 5l", conf, error);
        cr_assert_not_null(module, "%s", weld_error_message(error));
        weld_module_free(module);
        static const char *const files[] = {"p.weld", "p-opt.weld", "p.ll", "p-opt.ll", "p.S"};
        for (int i = 0; i < (engine ? 5 : 1); i++) {
            snprintf(path, sizeof path, "%s/%s", dir, files[i]);
            FILE *file = fopen(path, "r");
            cr_assert_not_null(file, "%s", path);
            size_t length = fread(text, 1, sizeof text - 1, file);
            text[length] = 0;
            fclose(file);
            cr_assert_gt(length, 0);
            if (i == 0) cr_assert(strstr(text, "x + 5l") || strstr(text, "x+5l"), "%s", text);
        }
        cr_assert_null(weld_module_compile("|x: i64| x + 6l", conf, error), "files are not overwritten");
        cr_assert_eq(weld_error_code(error), WELD_FILE_ERROR);
        for (int i = 0; i < 5; i++) {
            snprintf(path, sizeof path, "%s/%s", dir, files[i]);
            unlink(path);
        }
        rmdir(dir);
        weld_error_free(error);
        weld_conf_free(conf);
    }
}

Test(api, runst_has_memory_a_result_and_an_error) {
    void *run = weld_runst_init(1, 1000);
    char *a = weld_runst_malloc(run, 100), *b = weld_runst_malloc(run, 200);
    cr_assert(a && b);
    memset(a, 1, 100);
    memset(b, 2, 200);
    a = weld_runst_realloc(run, a, 700);
    cr_assert(a && a[99] == 1);
    cr_assert_eq(weld_runst_get_errno(run), WELD_SUCCESS);
    cr_assert_null(weld_runst_malloc(run, 101));
    cr_assert_eq(weld_runst_get_errno(run), WELD_OUT_OF_MEMORY);
    weld_runst_free(run, b);
    weld_runst_free(run, NULL);
    cr_assert_not_null(weld_runst_malloc(run, 300));
    cr_assert_null(weld_runst_malloc(run, 0));
    weld_runst_set_result(run, a);
    cr_assert_eq(weld_runst_get_result(run), a);
    cr_assert_eq(weld_runst_assert(run, 1), 1);
    cr_assert_eq(weld_runst_assert(run, 0), 0);
    cr_assert_eq(weld_runst_get_errno(run), WELD_ASSERTION_ERROR);
    weld_runst_set_errno(run, WELD_SUCCESS);
    cr_assert_eq(weld_runst_get_errno(run), WELD_SUCCESS);
    weld_runst_release(run);
    cr_assert_null(weld_runst_malloc(NULL, 1));
    cr_assert_null(weld_runst_realloc(NULL, NULL, 1));
    weld_runst_free(NULL, NULL);
    weld_runst_set_result(NULL, NULL);
    cr_assert_null(weld_runst_get_result(NULL));
    cr_assert_eq(weld_runst_get_errno(NULL), 0);
    weld_runst_print(NULL, NULL);
}

Test(api, any_byte_but_zero_is_true) {
    EACH_ENGINE(engine) {
        weld_module_t module =
            must_compile(engine, "|b: bool, s: {bool, i64}| {b, i32(b), b == true, s.$0 == b, !b}");
        struct {
            uint8_t b;
            struct {
                uint8_t b;
                int64_t i;
            } s;
        } args = {2, {255, 1}};
        weld_context_t context = weld_context_new(NULL);
        weld_value_t result = must_run(module, context, &args);
        expect_text(result, "{true, 1, true, true, false}");
        cr_assert_eq(*(uint8_t *)weld_value_data(result), 1);
        cr_assert_eq(args.b, 2, "the caller's data are not changed");
        weld_value_free(result);
        weld_context_free(context);
        weld_module_free(module);
    }
}

Test(api_errors, adapters_fill_errors_themselves) {
    static const struct {
        uint64_t code, becomes;
        const char *message;
    } rows[] = {
        {WELD_ARGUMENT_ERROR, WELD_ARGUMENT_ERROR, "error[Argument]: a % is missing"},
        {WELD_COMPILE_ERROR, WELD_COMPILE_ERROR, "error[Type]: a % is missing"},
        {WELD_OUT_OF_MEMORY, WELD_OUT_OF_MEMORY, "error[OutOfMemory]: a % is missing"},
        {12345, WELD_UNKNOWN, "error[Internal]: a % is missing"},
        {WELD_SUCCESS, WELD_SUCCESS, "Success"},
    };
    weld_error_t error = weld_error_new();
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        weld_error_set(error, rows[i].code, "a % is missing");
        cr_assert_eq(weld_error_code(error), rows[i].becomes);
        cr_assert_str_eq(weld_error_message(error), rows[i].message);
    }
    weld_error_set(error, WELD_ARGUMENT_ERROR, NULL);
    cr_assert_eq(weld_error_code(error), WELD_ARGUMENT_ERROR);
    weld_error_set(NULL, WELD_ARGUMENT_ERROR, "nowhere");
    weld_conf_t conf = weld_conf_new();
    weld_error_set(conf, WELD_ARGUMENT_ERROR, "nowhere");
    weld_conf_free(conf);
    weld_error_free(error);
}
