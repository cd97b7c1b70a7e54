/* test_api.c: the C interface, as its users see it: settings, runs and their results, who keeps whom alive.
 *
 * Programs run with each engine: the interpreter and, where it was built, compiled code.
 */
#include "api.h"

/* ---- configurations ----------------------------------------------------------------------------------- */

Test(api, conf_keeps_what_is_set_and_nothing_else) {
    weld_conf_t conf = weld_conf_new();
    cr_assert_null(weld_conf_get(conf, "weld.threads"), "a default is not a setting");
    weld_conf_set(conf, "weld.threads", "4");
    weld_conf_set(conf, "some.other.key", "x");
    weld_conf_set(conf, "weld.threads", "8");
    cr_assert_str_eq(weld_conf_get(conf, "weld.threads"), "8");
    cr_assert_str_eq(weld_conf_get(conf, "some.other.key"), "x");
    weld_conf_set(conf, "some.other.key", NULL);
    cr_assert_null(weld_conf_get(conf, "some.other.key"));
    cr_assert_str_eq(weld_conf_get(conf, "weld.threads"), "8");
    weld_conf_free(conf);
}

Test(api, conf_copies_its_texts) {
    char key[] = "weld.x", value[] = "abc";
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, key, value);
    value[0] = key[5] = 'z';
    cr_assert_str_eq(weld_conf_get(conf, "weld.x"), "abc");
    weld_conf_free(conf);
}

static void expect_bad_setting(const char *key, const char *value) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval");
    weld_conf_set(conf, key, value);
    weld_error_t error = weld_error_new();
    cr_assert_null(weld_module_compile("1", conf, error), "%s = %s", key, value);
    cr_assert_eq(weld_error_code(error), WELD_CONFIGURATION_ERROR);
    cr_assert_str_eq(weld_error_name(error), "Setting");
    cr_assert(strstr(weld_error_message(error), key) && strstr(weld_error_message(error), value), "%s",
              weld_error_message(error));
    cr_assert_null(weld_context_new(conf), "%s = %s", key, value);
    weld_error_free(error);
    weld_conf_free(conf);
}

Test(api, bad_settings_are_errors_that_name_them) {
    expect_bad_setting("weld.compile.dumpCode", "True");
    expect_bad_setting("weld.compile.dumpCode", "yes");
    expect_bad_setting("weld.optimization.sirOptimization", " true");
    expect_bad_setting("weld.memory.limit", "lots");
    expect_bad_setting("weld.memory.limit", "-1");
    expect_bad_setting("weld.memory.limit", "10KB");
    expect_bad_setting("weld.memory.limit", "99999999999999999999");
    expect_bad_setting("weld.memory.limit", "99999999999T");
    expect_bad_setting("weld.threads", "0");
    expect_bad_setting("weld.threads", "1.5");
    expect_bad_setting("weld.threads", "+1");
    expect_bad_setting("weld.engine", "fast");
    expect_bad_setting("weld.engine", "auto|jit");
    expect_bad_setting("weld.compile.dumpCodeFormats", "weld,pdf");
    expect_bad_setting("weld.optimization.level", "9");
}

Test(api, settings_of_weld_are_accepted) {
    static const char *const good[][2] = {{"weld.memory.limit", "1000000000"},
                                          {"weld.memory.limit", "2G"},
                                          {"weld.memory.limit", "0"},
                                          {"weld.threads", "16"},
                                          {"weld.compile.traceExecution", "true"},
                                          {"weld.compile.enableBoundsChecks", "false"},
                                          {"weld.compile.dumpCodeFormats", "llvm,sir,assembly"},
                                          {"weld.optimization.passes", ""},
                                          {"weld.optimization.applyExperimentalTransforms", "true"},
                                          {"weld.llvm.optimization.level", "3"},
                                          {"weld.llvm.runFunctionName", "main"},
                                          {"made.up.by.a.user", "whatever"}};
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        weld_conf_t conf = conf_for(0);
        weld_error_t error = weld_error_new();
        weld_conf_set(conf, good[i][0], good[i][1]);
        weld_module_t module = weld_module_compile("1", conf, error);
        weld_context_t context = weld_context_new(conf);
        cr_assert(module && context, "%s = %s: %s", good[i][0], good[i][1], weld_error_message(error));
        weld_context_free(context);
        weld_module_free(module);
        weld_error_free(error);
        weld_conf_free(conf);
    }
}

/* ---- running ------------------------------------------------------------------------------------------ */

Test(api, scalar_in_scalar_out) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(engine, "|x: i64| x + 5l");
        weld_context_t context = weld_context_new(NULL);
        int64_t x = 37;
        weld_value_t result = must_run(module, context, &x);
        cr_assert_eq(*(int64_t *)weld_value_data(result), 42);
        cr_assert_str_eq(weld_value_type(result), "i64");
        expect_text(result, "42l");
        weld_value_free(result);
        cr_assert_eq(weld_context_memory_usage(context), 0);
        weld_context_free(context);
        weld_module_free(module);
    }
}

Test(api, struct_of_arguments_and_struct_result) {
    EACH_ENGINE(engine) {
        weld_module_t module =
            must_compile(engine, "|x: i32, ys: vec[i64], f: f64| {x, result(for(ys, appender[i64], |b, i, y| "
                                 "merge(b, y * i64(x)))), f > 1.0}");
        struct {
            int32_t x;
            Ints ys;
            double f;
        } args = {3, {(int64_t[]){1, 2, 3}, 3}, 2.5};
        weld_context_t context = weld_context_new(NULL);
        weld_value_t result = must_run(module, context, &args);
        struct {
            int32_t x;
            Ints ys;
            bool large;
        } *out = weld_value_data(result);
        cr_assert_eq(out->x, 3);
        cr_assert_eq(out->ys.length, 3);
        cr_assert_eq(out->ys.data[2], 9);
        cr_assert(out->large);
        expect_text(result, "{3, [3l, 6l, 9l], true}");
        char *json = weld_value_json(result);
        cr_assert_str_eq(json, "[3,[3,6,9],true]");
        free(json);
        weld_value_free(result);
        weld_context_free(context);
        weld_module_free(module);
    }
}

Test(api, dictionary_to_vector_of_pairs) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(engine, "|v: vec[{i64, i64}]| sort(tovec(result(for(v, "
                                                    "dictmerger[i64, i64, +], |b, i, e| merge(b, e)))), "
                                                    "|a, b| compare(a.$0, b.$0))");
        int64_t pairs[] = {1, 10, 2, 20, 1, 30};
        Ints vec = {pairs, 3};
        weld_context_t context = weld_context_new(NULL);
        weld_value_t result = must_run(module, context, &vec);
        expect_text(result, "[{1l, 40l}, {2l, 20l}]");
        weld_value_free(result);
        weld_context_free(context);
        weld_module_free(module);
    }
}

Test(api, no_parameters_need_no_argument) {
    EACH_ENGINE(engine) {
        weld_context_t context = weld_context_new(NULL);
        static const char *const codes[] = {"|| 6 * 7", "6 * 7"};
        for (int i = 0; i < 2; i++) {
            weld_module_t module = must_compile(engine, codes[i]);
            weld_error_t error = weld_error_new();
            weld_value_t result = weld_module_run(module, context, NULL, error);
            cr_assert_not_null(result, "%s", weld_error_message(error));
            cr_assert_eq(*(int32_t *)weld_value_data(result), 42);
            cr_assert_eq(weld_module_parameter_count(module), 0);
            weld_value_free(result);
            weld_error_free(error);
            weld_module_free(module);
        }
        weld_context_free(context);
    }
}

Test(api, a_configuration_serves_for_a_context) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(engine, "|x: i64| [x, x]");
        weld_conf_t conf = weld_conf_new();
        int64_t x = 1;
        weld_value_t result = must_run(module, conf, &x);
        weld_conf_free(conf);
        expect_text(result, "[1l, 1l]");
        weld_value_free(result);
        weld_module_free(module);
    }
}

Test(api, runs_are_numbered_and_user_values_are_not) {
    weld_module_t module = must_compile(0, "|x: i64| x");
    weld_context_t context = weld_context_new(NULL);
    int64_t x = 0;
    for (int64_t i = 0; i < 3; i++) {
        weld_value_t result = must_run(module, context, &x);
        cr_assert_eq(weld_value_run(result), i);
        weld_value_free(result);
    }
    weld_value_t mine = weld_value_new(&x);
    cr_assert_eq(weld_value_run(mine), -1);
    cr_assert_null(weld_value_context(mine));
    cr_assert_eq(weld_value_data(mine), &x);
    cr_assert_null(weld_value_type(mine));
    cr_assert_null(weld_value_print(mine));
    cr_assert_null(weld_value_json(mine));
    cr_assert_eq(weld_value_memory_usage(mine), 0);
    weld_value_free(mine);
    weld_context_free(context);
    weld_module_free(module);
}

Test(api, types_can_be_asked) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(engine, "|age: vec[i32], k: {f64,bool}| {len(age), k.$1}");
        cr_assert_eq(weld_module_parameter_count(module), 2);
        cr_assert_str_eq(weld_module_parameter_name(module, 0), "age");
        cr_assert_str_eq(weld_module_parameter_name(module, 1), "k");
        cr_assert_str_eq(weld_module_parameter_type(module, 0), "vec[i32]");
        cr_assert_str_eq(weld_module_parameter_type(module, 1), "{f64,bool}");
        cr_assert_str_eq(weld_module_result_type(module), "{i64,bool}");
        cr_assert_null(weld_module_parameter_type(module, 2));
        cr_assert_null(weld_module_parameter_type(module, -1));
        cr_assert_null(weld_module_parameter_name(module, 2));
        weld_module_free(module);
    }
}

/* ---- who keeps whom alive ----------------------------------------------------------------------------- */

Test(api, a_result_outlives_its_module_and_context) {
    EACH_ENGINE(engine) {
        weld_module_t module =
            must_compile(engine, "|x: i64| {\"abc\", [\"de\", \"\"], [1l, 2l], {x, [[\"f\"]]}}");
        weld_context_t context = weld_context_new(NULL);
        int64_t x = 7;
        weld_value_t result = must_run(module, context, &x);
        weld_context_free(context);
        weld_module_free(module);
        cr_assert_str_eq(weld_value_type(result), "{vec[i8],vec[vec[i8]],vec[i64],{i64,vec[vec[vec[i8]]]}}");
        struct {
            Bytes abc;
            struct {
                Bytes *data;
                int64_t length;
            } two;
            Ints ints;
        } *out = weld_value_data(result);
        cr_assert(out->abc.length == 3 && memcmp(out->abc.data, "abc", 3) == 0);
        cr_assert(out->two.length == 2 && memcmp(out->two.data[0].data, "de", 2) == 0);
        cr_assert_eq(out->two.data[1].length, 0);
        cr_assert_eq(out->ints.data[1], 2);
        char *text = weld_value_print(result);
        cr_assert_not_null(text);
        free(text);
        weld_value_free(result);
    }
}

Test(api, constants_in_dictionaries_outlive_the_module) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(
            engine, "|n: i64| result(for(rangeiter(0l, n, 1l), dictmerger[vec[i8], i64, +], |b, i, e| "
                    "merge(b, {if(e % 2l == 0l, \"even\", \"odd\"), e})))");
        weld_context_t context = weld_context_new(NULL);
        int64_t n = 10;
        weld_value_t dict = must_run(module, context, &n);
        weld_module_free(module);
        weld_module_t reader =
            must_compile(engine, "|d: dict[vec[i8], i64]| {lookup(d, \"even\"), lookup(d, \"odd\")}");
        weld_value_t sums = weld_module_run(reader, context, dict, NULL);
        cr_assert_not_null(sums);
        expect_text(sums, "{20l, 25l}");
        weld_value_free(sums);
        weld_value_free(dict);
        weld_module_free(reader);
        weld_context_free(context);
    }
}

Test(api, a_result_that_is_an_argument_stays_as_long_as_needed) {
    EACH_ENGINE(engine) {
        weld_module_t make = must_compile(
            engine, "|n: i64| result(for(rangeiter(0l, n, 1l), appender[i64], |b, i, e| merge(b, e)))");
        weld_module_t slice = must_compile(engine, "|v: vec[i64]| slice(v, 10l, 5l)");
        weld_context_t context = weld_context_new(NULL);
        int64_t n = 1000;
        weld_value_t all = must_run(make, context, &n);
        weld_value_t view = weld_module_run(slice, context, all, NULL);
        weld_value_t again = weld_module_run(slice, context, all, NULL);
        cr_assert(view && again);
        weld_value_free(all);
        weld_value_free(again);
        cr_assert_geq(weld_context_memory_usage(context), 8000, "the view needs the whole vector");
        weld_context_free(context);
        weld_module_free(make);
        weld_module_free(slice);
        expect_text(view, "[10l, 11l, 12l, 13l, 14l]");
        context = weld_value_context(view);
        weld_value_free(view);
        cr_assert_eq(weld_context_memory_usage(context), 0);
        weld_context_free(context);
    }
}

Test(api, the_context_of_a_value_is_a_new_reference) {
    weld_module_t module = must_compile(0, "|x: i64| [x]");
    weld_context_t context = weld_context_new(NULL);
    int64_t x = 1;
    for (int i = 0; i < 10; i++) {
        weld_value_t result = must_run(module, context, &x);
        weld_context_free(context);
        context = weld_value_context(result);
        cr_assert_gt(weld_context_memory_usage(context), 0);
        cr_assert_eq(weld_context_memory_usage(context), weld_value_memory_usage(result));
        weld_value_free(result);
        cr_assert_eq(weld_context_memory_usage(context), 0);
    }
    weld_context_free(context);
    weld_module_free(module);
}

Test(api, intermediates_are_freed_and_the_peak_stays) {
    EACH_ENGINE(engine) {
        weld_module_t module = must_compile(
            engine,
            "|n: i64| let v = result(for(rangeiter(0l, n, 1l), appender[i64], |b, i, e| merge(b, e))); "
            "let w = result(for(sort(v, |a, b| compare(b, a)), appender[i64], |b, i, e| merge(b, e + 1l))); "
            "slice(result(for(sort(w, |a, b| compare(a, b)), appender[i64], |b, i, e| if(i < 3l, merge(b, "
            "e), b))), 0l, 2l)");
        weld_context_t context = weld_context_new(NULL);
        int64_t n = 100000;
        weld_value_t result = must_run(module, context, &n);
        expect_text(result, "[1l, 2l]");
        cr_assert_lt(weld_context_memory_usage(context), 100000);
        cr_assert_geq(weld_context_memory_peak(context), 800000);
        weld_value_free(result);
        cr_assert_eq(weld_context_memory_usage(context), 0);
        weld_context_free(context);
        weld_module_free(module);
    }
}

Test(api, a_long_chain_of_results_is_freed_without_recursion) {
    weld_module_t module = must_compile(0, "|v: vec[i64]| v");
    weld_context_t context = weld_context_new(NULL);
    int64_t data[] = {1, 2, 3};
    Ints ints = {data, 3};
    weld_value_t value = must_run(module, context, &ints);
    for (int i = 0; i < 20000; i++) {
        weld_value_t next = weld_module_run(module, context, value, NULL);
        cr_assert_not_null(next);
        weld_value_free(value);
        value = next;
    }
    expect_text(value, "[1l, 2l, 3l]");
    weld_value_free(value);
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_context_free(context);
    weld_module_free(module);
}

/* A field of a result is a value of its own, in the same memory; what is no struct has none. */
Test(api, fields_and_references_of_results) {
    weld_error_t error = weld_error_new();
    weld_context_t context = weld_context_new(NULL);
    weld_module_t module = weld_module_compile(
        "|n: i64| {n, {result(for(rangeiter(0l, n, 1l), appender, |b, i, x| merge(b, x))), 2.5}}", NULL,
        error);
    int64_t n = 3;
    weld_value_t argument = weld_value_new(&n), whole = weld_module_run(module, context, argument, error);
    cr_assert(whole, "%s", weld_error_message(error));
    weld_value_t inner = weld_value_field(whole, 1), vector = weld_value_field(inner, 0);
    cr_assert_str_eq(weld_value_type(inner), "{vec[i64],f64}");
    cr_assert_str_eq(weld_value_type(vector), "vec[i64]");
    cr_assert_eq(weld_value_field(whole, 2), NULL);
    cr_assert_eq(weld_value_field(whole, -1), NULL);
    cr_assert_eq(weld_value_field(vector, 0), NULL);
    cr_assert_eq(weld_value_field(argument, 0), NULL);
    cr_assert_eq(weld_value_field(NULL, 0), NULL);
    cr_assert_eq(weld_value_hold(NULL), NULL);
    cr_assert_eq(weld_value_hold(context), NULL);
    cr_assert_eq(weld_value_hold(vector), vector);
    weld_value_free(whole);
    weld_value_free(inner);
    weld_value_free(vector);
    char *text = weld_value_print(vector);
    cr_assert_str_eq(text, "[0l, 1l, 2l]");
    free(text);
    weld_value_free(vector);
    weld_value_free(argument);
    cr_assert_eq(weld_context_memory_usage(context), 0);
    weld_module_free(module);
    weld_context_free(context);
    weld_error_free(error);
}
