/* build.c: `weldc build` and `weldc bind`: what they refuse, and what they write. tests/clients/ahead.sh uses a library that was
 * built. */
#include "command.h"

TestSuite(build, .timeout = 300);

Test(build, refuses) {
    expect(WORDS("build", "-e", "1"), NULL, 2, "", "-o NAME is needed");
    expect(WORDS("build", "-o", "x"), NULL, 2, "", "a program is needed");
    expect(WORDS("build", "-e", "1", "-o", "no-name"), NULL, 1, "", "a name that is one in C");
    expect(WORDS("build", "-e", "1", "-o", "int"), NULL, 1, "", "a name that is one in C");
    expect(WORDS("build", "-e", "1 +", "-o", "x"), NULL, 1, "", "<command line>:1:4: error[Syntax]");
    expect(WORDS("build", "-e", "appender[i64]", "-o", "x"), NULL, 1, "", "cannot be passed to C");
    expect(WORDS("build", "-e", "1", "-o", "no/such/folder/x"), NULL, 1, "",
           "cannot write no/such/folder/x.h");
    expect(WORDS("build", "missing.weld", "-o", "x"), NULL, 1, "", "error[File]");
    test_folder_remove();
}

/* A file of the test's folder. */
static char *read_whole(const char *name) {
    char *text = NULL;
    size_t length = 0;
    FILE *file = fopen(test_file(name), "r"), *out = open_memstream(&text, &length);
    int c;
    while (file && (c = getc(file)) != EOF) putc(c, out);
    if (file) fclose(file);
    fclose(out);
    return text;
}

Test(build, header_declares_all_types) {
    expect(WORDS("build", "-e", "|v: vec[{i64, vec[f32]}], int: bool, d: u8| {v, d}", "-o", "shapes"), NULL,
           0, "", "");
    char *header = read_whole("shapes.h");
    cr_expect(strstr(
        header, "typedef struct { /* vec[f32] */\n    float *data;\n    int64_t length;\n} shapes_vec_f32;"));
    cr_expect(
        strstr(header, "    shapes_type_2 v;\n    bool argument_1;\n    uint8_t d;\n} shapes_arguments;"),
        "%s", header);
    cr_expect(strstr(header, "weld_value_t shapes_run("));
    free(header);
    test_folder_remove();
}

/* LLVM would end the process. */
Test(build, unknown_processors_are_refused) {
    expect(WORDS("build", "-e", "|x: i64| x", "-o", "p", "--set", "weld.processor=pentium3"), NULL, 1, "",
           "weld.processor is native or a processor such as x86-64-v3, not pentium3");
    expect(WORDS("run", "--no-eval", "-e", "5l", "--set", "weld.processor=x86-64-v9"), NULL, 1, "",
           "not x86-64-v9");
    expect(WORDS("run", "--no-eval", "-e", "5l", "--set", "weld.processor=x86-64"), NULL, 0, "5l\n", "");
    test_folder_remove();
}

static const char header[] =
    "#include <stddef.h>\n"
    "/* A heading. */\n\n"
    "/* The mean, \\ of\n * \"all\". NaN of none. */\n"
    "double stats_mean(const double *x, size_t n);\n"
    "double weighted(const double *x, const double w[], long unsigned int n);\n"
    "void scale(const double *x, double factor, double *y, int n);\n"
    "// Between two numbers.\n"
    "double stats_clip(double x, double min, double result); /* Not of what follows. */\n"
    "long stats_fill(const long *len, double /* inside */ max, int n, long *result);\n"
    "int split(const float *x, float *low, float *high, size_t n);\n"
    "double square(double);\n"
    "struct thing *thing_new(void);\n"
    "void each(double (*f)(double), size_t n);\n"
    "typedef double real;\n"
    "typedef unsigned count_t;\n"
    "void stats_negate(double *x, size_t n);\n"
    "void stats_noise(double *x);\n"
    "real stats_level(const real *real, count_t n);\n"
    "static inline int hidden(int a) { return a; }\n";

/* The draft compiles, and what it drafts is what the header says. */
Test(bind, drafts_rows_and_functions) {
    static const char *const parts[] = {
        "{\"mean\", \"double stats_mean(const double *x, size_t n)\", NULL,\n"
        "     \"|x: vec[f64]| \" TRAITS \"cfill[weld_stats_mean, f64]({}, x)\", NULL,\n"
        "     \"The mean, \\\\ of \\\"all\\\"\"},",
        "|real_: vec[f64]| \" TRAITS \"cfill[weld_stats_level, f64]({}, real_)",
        "cfill[weld_stats_weighted, f64]({}, x, w)",
        "if (w->length != x->length) return WELD_CALL_SIZES;",
        "|x: vec[f64], factor: f64| \" TRAITS \"cfill[weld_stats_scale, vec[f64]](len(x), x, factor)",
        "if ((int)x->length != x->length) return WELD_CALL_SIZES;",
        "    return split(x->data, result->low.data, result->high.data, (size_t)x->length) == 0 ? "
        "WELD_CALL_DONE",
        "cfill[weld_stats_split, {vec[f32], vec[f32]}]({len(x), len(x)}, x)",
        "cfill[weld_stats_fill, {vec[i64], i64}](len(len_), len_, max_)",
        "|x: f64, min_: f64, result_: f64| \" TRAITS \"cfun[stats_clip, f64](x, min_, result_)\", NULL,\n"
        "     \"Between two numbers\"},",
        "|a0: f64| \" TRAITS \"cfun[square, f64](a0)\", NULL,\n     \"\"},",
        " *     cc -shared -fPIC -O2 -I. -o libweld-stats.so stats_adapter.c $(pkg-config --cflags weld) -L. "
        "-lstats "
        "'-Wl,-rpath,$ORIGIN'\n",
        "#include <stats.h>\n",
        " *   stats_negate: it fills vectors, or changes what is in them: a prototype does not tell\n",
        " *   stats_noise: it writes vectors whose length no argument tells\n",
        " *   thing_new: its result has no type of the language\n",
        " *   each: it takes a function\n",
    };
    test_write("stats.h", header, sizeof header - 1);
    Outcome got = weldc_run(WORDS("bind", "stats.h", "--lib", "stats"), NULL, false);
    cr_assert_eq(got.status, 0, "%s", got.err);
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_expect(strstr(got.out, parts[i]), "without %s:\n%s", parts[i], got.out);
    cr_expect(!strstr(got.out, "hidden") && !strstr(got.out, "count_t count_t"));
    test_write("stats.c", got.out, strlen(got.out));
    char command[600];
    snprintf(command, sizeof command,
             "cd '%s' && cc -Wall -Wextra -Werror -fsyntax-only -I. -I'%s/runtime' stats.c", test_folder(),
             WELD_SOURCE_DIR);
    cr_expect_eq(system(command), 0);
    outcome_release(&got);
    expect(WORDS("bind", "stats.h"), NULL, 2, "", "--lib LIB is needed");
    got = weldc_run(WORDS("bind", "/usr/include/stdlib.h", "--lib", "c"), NULL, false);
    cr_expect(got.status == 0 && strstr(got.out, "#include <stdlib.h>\n") && !strstr(got.out, "-I"), "%s",
              got.out);
    outcome_release(&got);
    expect(WORDS("bind", "missing.h", "--lib", "x"), NULL, 1, "",
           "cannot read missing.h: No such file or directory");
    expect(WORDS("bind", "stats.h", "--lib", "no-name"), NULL, 2, "", "--lib takes the name");
    test_folder_remove();
}

static void drafts(const Outcome *got, const char *part) {
    cr_expect(strstr(got->out, part), "without %s:\n%s%s", part, got->out, got->err);
}

/* Several declarators, attributes, enums, and `static` that does not say that a function is local. */
Test(bind, reads_declarations_of_all_kinds) {
    static const char kinds[] =
        "int kinds_f(int), *kinds_pointer(void), kinds_variable, kinds_g(int a, double b);\n"
        "extern double kinds_pure(double) __attribute__((const)), kinds_named(double) __asm__(\"other\");\n"
        "__extension__ extern long kinds_long(void);\n"
        "enum kinds_side { LEFT, RIGHT };\n"
        "typedef enum { UP = 1, DOWN } kinds_way;\n"
        "typedef enum kinds_mode { FAST } kinds_mode, kinds_other_mode;\n"
        "int kinds_turn(enum kinds_side, const enum kinds_side side, kinds_way way, kinds_other_mode mode);\n"
        "double kinds_sum(const double x[static 1], int n);\n"
        "typedef double kinds_real, *kinds_reals;\n"
        "kinds_real kinds_half(kinds_real x);\n"
        "static int kinds_hidden(int a);\n";
    test_write("kinds.h", kinds, sizeof kinds - 1);
    Outcome got = weldc_run(WORDS("bind", "kinds.h", "--lib", "kinds"), NULL, false);
    drafts(&got, "cfun[kinds_f, i32](a0)");
    drafts(&got, "|a: i32, b: f64| \" TRAITS \"cfun[kinds_g, i32](a, b)");
    drafts(&got, "kinds_pointer: it returns a pointer");
    drafts(&got, "cfun[kinds_pure, f64](a0)");
    drafts(&got, "cfun[kinds_named, f64](a0)");
    drafts(&got, "cfun[kinds_long, i64]()");
    drafts(&got, "|a0: i32, side: i32, way: i32, mode: i32|");
    drafts(&got, "cfill[weld_kinds_sum, f64]({}, x)");
    drafts(&got, "cfun[kinds_half, f64](x)");
    cr_expect(!strstr(got.out, "kinds_variable") && !strstr(got.out, "kinds_hidden"), "%s", got.out);
    outcome_release(&got);
    test_folder_remove();
}

/* A header that only includes others stands for these; one that declares something does not. */
Test(bind, reads_what_a_header_includes) {
    static const char all[] = "#include \"part.h\"\n",
                      part[] = "double part_of(double x);\nint __part_inner(int x);\n",
                      own[] = "#include \"part.h\"\ndouble own(double x);\n";
    test_write("all.h", all, sizeof all - 1);
    test_write("part.h", part, sizeof part - 1);
    test_write("own.h", own, sizeof own - 1);
    Outcome got = weldc_run(WORDS("bind", "all.h", "--lib", "part"), NULL, false);
    drafts(&got, "cfun[part_of, f64](x)");
    cr_expect(!strstr(got.out, "__part_inner"), "%s", got.out);
    outcome_release(&got);
    got = weldc_run(WORDS("bind", "own.h", "--lib", "part"), NULL, false);
    drafts(&got, "cfun[own, f64](x)");
    cr_expect(!strstr(got.out, "part_of"), "%s", got.out);
    outcome_release(&got);
    test_write("none.h", "/* nothing */\n", 14);
    expect(WORDS("bind", "none.h", "--lib", "x"), NULL, 1, "", "none.h declares no function");
    test_folder_remove();
}

/* A header may declare more than the library has. The draft that leaves this out loads as it is. */
Test(bind, leaves_out_what_the_library_lacks) {
    static const char few[] = "double few_twice(double x);\ndouble few_lost(double x);\n"
                              "double few_gone(const double *x, unsigned long n);\n",
                      code[] = "double few_twice(double x) { return 2 * x; }\n",
                      lost[] = "cfun[few_lost, f64]";
    test_write("few.h", few, sizeof few - 1);
    test_write("few.c", code, sizeof code - 1);
    Outcome got = weldc_run(WORDS("bind", "few.h", "--lib", "few"), NULL, false);
    cr_expect(strstr(got.out, lost) && strstr(got.out, "libfew.so could not be opened"), "%s", got.out);
    outcome_release(&got);
    char command[1200];
    snprintf(command, sizeof command, "cd '%s' && cc -shared -fPIC -o libfew.so few.c", test_folder());
    cr_assert_eq(system(command), 0);
    got = weldc_run(WORDS("bind", "few.h", "--lib", "few"), NULL, false);
    cr_assert_eq(got.status, 0, "%s", got.err);
    cr_expect(!strstr(got.out, lost) && !strstr(got.out, "could not be opened"), "%s", got.out);
    cr_expect(strstr(got.out, " * Not drafted:\n *   few_lost: the library has no such function\n"
                              " *   few_gone: the library has no such function\n"),
              "%s", got.out);
    test_write("draft.c", got.out, strlen(got.out));
    outcome_release(&got);
    snprintf(command, sizeof command,
             "cd '%s' && cc -Wall -Wextra -Werror -shared -fPIC -o libweld-few.so -I. -I'%s/runtime' draft.c "
             "-L. -lfew "
             "-Wl,-rpath,'%s'",
             test_folder(), WELD_SOURCE_DIR, test_folder());
    cr_assert_eq(system(command), 0);
    cr_assert_eq(setenv("WELD_ADAPTERS", test_folder(), 1), 0);
    expect(WORDS("run", "-e", "|x: f64| few.twice(x)", "4.0"), NULL, 0, "8.0\n", "");
    test_folder_remove();
}
