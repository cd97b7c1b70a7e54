/* bind.c: `weldc bind`: what it drafts, what it does not and why, and that drafts compile by the command in their heads, load and
 * compute. tests/clients/guide.sh follows the guide. */
#include "command.h"

TestSuite(bind, .timeout = 300);

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
        "|x: vec[f64]| \" TRAITS \"cfill[weld_stats_negate, vec[f64]](len(x), x)",
        "    if (x->length) memcpy(result->data, x->data, (size_t)x->length * sizeof *x->data);\n"
        "    stats_negate(result->data, (size_t)x->length);\n",
        "|| \" TRAITS \"cfill[weld_stats_noise, f64]({})",
        " *   thing_new: its result `struct thing *` has no type of the language\n",
        " *   each: its parameter `double (*f)(double)` is a function\n",
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
    drafts(&got, "kinds_pointer: its result `int *` is a pointer");
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

/* ---- several lengths ---- */

static const char two[] =
    "#include <stddef.h>\n"
    "/* A x, of as many elements as it says. */\n"
    "void two_product(size_t rows, size_t cols, const double *a, const double *x, size_t nx,\n"
    "                 double *y, size_t ny);\n"
    "void two_matvec(const double *a, int m, int n, const double *x, double *y);\n"
    "void two_convolve(const double *x, size_t x_len, const double *h, size_t h_len, double *out);\n"
    "double two_distance(const float *a, int na, const float *b, int nb);\n"
    "double two_trace(int rows, int cols, const double *a);\n"
    "void two_smooth(double *image, size_t width, size_t height, double by);\n"
    "void two_turn(double v[3]);\n"
    "double two_strided(const double *x, size_t xstride, const double *y, int incy, size_t n, double *c);\n"
    "double two_split(double x, int *exponent);\n";
static const char two_code[] =
    "#include \"two.h\"\n"
    "void two_product(size_t rows, size_t cols, const double *a, const double *x, size_t nx, double *y, "
    "size_t ny) {\n"
    "    for (size_t i = 0; i < rows && i < ny; i++) {\n"
    "        y[i] = 0;\n"
    "        for (size_t j = 0; j < cols && j < nx; j++) y[i] += a[i * cols + j] * x[j];\n"
    "    }\n"
    "}\n"
    "void two_matvec(const double *a, int m, int n, const double *x, double *y) {\n"
    "    two_product((size_t)m, (size_t)n, a, x, (size_t)n, y, (size_t)m);\n"
    "}\n"
    "void two_convolve(const double *x, size_t nx, const double *h, size_t nh, double *out) {\n"
    "    for (size_t i = 0; i + 1 < nx + nh; i++) out[i] = 0;\n"
    "    for (size_t i = 0; i < nx; i++) for (size_t j = 0; j < nh; j++) out[i + j] += x[i] * h[j];\n"
    "}\n"
    "double two_distance(const float *a, int na, const float *b, int nb) { return na * 100 + nb + a[0] + "
    "b[0]; }\n"
    "double two_trace(int rows, int cols, const double *a) {\n"
    "    double sum = 0;\n"
    "    for (int i = 0; i < rows && i < cols; i++) sum += a[i * cols + i];\n"
    "    return sum;\n"
    "}\n"
    "void two_smooth(double *image, size_t width, size_t height, double by) {\n"
    "    for (size_t i = 0; i < width * height; i++) image[i] *= by;\n"
    "}\n"
    "void two_turn(double v[3]) { double x = v[0]; v[0] = v[1], v[1] = v[2], v[2] = x; }\n"
    "double two_strided(const double *x, size_t xstride, const double *y, int incy, size_t n, double *c) {\n"
    "    *c = (double)xstride + incy;\n"
    "    return n ? x[n - 1] * y[n - 1] : 0;\n"
    "}\n"
    "double two_split(double x, int *exponent) { *exponent = 7; return x; }\n";

/* Runs the command that the draft's head tells, in the test's folder. */
static void build_as_told(const char *draft, const char *file) {
    static const char before[] = " *     cc ";
    char flags[1200], command[4096];
    const char *at = strstr(draft, before);
    cr_assert_not_null(at, "%s", draft);
    at += sizeof before - 1;
    snprintf(flags, sizeof flags, "%.*s", (int)strcspn(at, "\n"), at);
    test_write(file, draft, strlen(draft));
    char *pkg = strstr(flags, "$(pkg-config --cflags weld)"); /* nothing is installed here */
    cr_assert_not_null(pkg);
    snprintf(command, sizeof command, "cd '%s' && cc -Wall -Wextra -Werror %.*s -I'%s/runtime' %s",
             test_folder(), (int)(pkg - flags), flags, WELD_SOURCE_DIR,
             pkg + sizeof "$(pkg-config --cflags weld)" - 1);
    cr_assert_eq(system(command), 0, "%s", command);
}

static void run_c(const char *arguments) {
    char command[1200];
    snprintf(command, sizeof command, "cd '%s' && %s", test_folder(), arguments);
    cr_assert_eq(system(command), 0, "%s", command);
}

/* Vectors of several lengths, matrices, what is changed in place, single numbers: the draft, as it is, computes. */
Test(bind, finds_several_lengths) {
    static const char *const calls[][2] = {
        {"two.product(2L, 3L, [1.0, 2.0, 3.0, 4.0, 5.0, 6.0], [1.0, 0.0, 1.0], 2L)", "[4.0, 10.0]\n"},
        {"two.matvec([1.0, 2.0, 3.0, 4.0, 5.0, 6.0], 2L, [1.0, 0.0, 1.0])", "[4.0, 10.0]\n"},
        {"two.convolve([1.0, 2.0], [1.0, 1.0, 1.0], 4L)", "[1.0, 3.0, 3.0, 2.0]\n"},
        {"two.distance([0.5f], [0.25f, 0.0f])", "102.75\n"},
        {"two.trace(2L, 2L, [1.0, 2.0, 3.0, 4.0])", "5.0\n"},
        {"two.smooth([1.0, 2.0, 3.0, 4.0], 2L, 2L, 10.0)", "[10.0, 20.0, 30.0, 40.0]\n"},
        {"two.turn([1.0, 2.0, 3.0])", "[2.0, 3.0, 1.0]\n"},
        {"two.strided([1.0, 2.0], [3.0, 4.0])", "{2.0, 8.0}\n"},
        {"two.split(2.5)", "{7, 2.5}\n"},
    };
    static const char *const wrong[] = {"two.product(2L, 2L, [1.0, 2.0, 3.0], [1.0, 0.0], 2L)",
                                        "two.product(-1L, -1L, [1.0], [1.0], 0L)",
                                        "two.matvec([1.0, 2.0, 3.0], 2L, [1.0, 0.0])",
                                        "two.trace(4294967298L, 2L, [1.0, 2.0, 3.0, 4.0])",
                                        "two.turn([1.0, 2.0])",
                                        "two.strided([1.0, 2.0], [3.0])"};
    test_write("two.h", two, sizeof two - 1);
    test_write("two.c", two_code, sizeof two_code - 1);
    run_c("cc -shared -fPIC -o libtwo.so two.c");
    Outcome got = weldc_run(WORDS("bind", "two.h", "--lib", "two"), NULL, false);
    cr_assert_eq(got.status, 0, "%s", got.err);
    cr_expect(!strstr(got.out, "Not drafted"), "%s", got.out);
    drafts(&got, "/* A guess, as in y = A x: x has n elements. */");
    build_as_told(got.out, "two_adapter.c");
    outcome_release(&got);
    cr_assert_eq(setenv("WELD_ADAPTERS", test_folder(), 1), 0);
    for (size_t i = 0; i < sizeof calls / sizeof *calls; i++)
        expect(WORDS("run", "-e", calls[i][0]), NULL, 0, calls[i][1], "");
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        expect(WORDS("run", "-e", wrong[i]), NULL, 1, "", "error[ForeignCall]");
    test_folder_remove();
}

/* What is not drafted is said with the parameter that is at fault, as it is declared. */
Test(bind, says_what_it_lacks) {
    static const char header_[] =
        "#include <stddef.h>\n"
        "struct state;\n"
        "typedef struct state *handle;\n"
        "double lack_two(int m, int n, const double *x, const double *y);\n"
        "double lack_none(const double *x);\n"
        "int lack_text(const char *name);\n"
        "double lack_leading(int m, int n, const double *a, int lda);\n"
        "int lack_packed(char uplo, int n, double *ap, int *ipiv);\n"
        "int lack_struct(handle   h, int n);\n"
        "int lack_callback(int (*compare)(const void *, const void *), int n);\n"
        "int lack_void(const void *data, size_t n);\n"
        "int lack_many(const char *format, ...);\n"
        "long double lack_wide(double x);\n"
        "const char *lack_name(int code);\n"
        "int lack_room(unsigned char *out, size_t *outlen, const unsigned char *in, size_t inlen);\n"
        "int lack_complex(double _Complex z);\n"
        "void lack_result(int x);\n";
    static const char *const reasons[] = {
        "lack_two: how long `const double *x` is, of several lengths, its name and place do not tell",
        "lack_none: how long `const double *x` is, no parameter tells: none is named n, len,",
        "lack_text: `const char *name` is a text that ends where a 0 is",
        "lack_leading: it takes a matrix whose rows are apart: `int lda`",
        "lack_packed: it takes a packed triangle: `double *ap`",
        "lack_struct: its parameter `handle h` has no type of the language",
        "lack_callback: its parameter `int (*compare)(const void *, const void *)` is a function",
        "lack_void: its parameter `const void *data` points to what has no type",
        "lack_many: it takes any number of arguments, `...`",
        "lack_wide: its result `long double` has no type of the language",
        "lack_name: its result `const char *` is a pointer",
        "lack_room: it changes a length, `size_t *outlen`",
        "lack_complex: its parameter `double _Complex z` has no type of the language",
        "lack_result: it returns nothing",
    };
    test_write("lack.h", header_, sizeof header_ - 1);
    Outcome got = weldc_run(WORDS("bind", "lack.h", "--lib", "lack"), NULL, false);
    cr_assert_eq(got.status, 0, "%s", got.err);
    for (size_t i = 0; i < sizeof reasons / sizeof *reasons; i++) drafts(&got, reasons[i]);
    outcome_release(&got);
    test_folder_remove();
}

/* A package that is not installed, in folders include and lib, from elsewhere: the command has the folders. */
Test(bind, tells_the_folders_of_a_package) {
    static const char header_[] = "double pack_twice(double x);\n",
                      code[] = "double pack_twice(double x) { return 2 * x; }\n";
    run_c("mkdir -p pack/include pack/lib elsewhere");
    test_write("pack/include/pack.h", header_, sizeof header_ - 1);
    test_write("pack.c", code, sizeof code - 1);
    run_c("cc -shared -fPIC -o pack/lib/libpack.so pack.c");
    Outcome got = weldc_run(WORDS("bind", "pack/include/pack.h", "--lib", "pack"), NULL, false);
    cr_assert_eq(got.status, 0, "%s", got.err);
    cr_expect(!strstr(got.out, "could not be opened"), "%s", got.out);
    drafts(&got, "-Ipack/include ");
    build_as_told(got.out, "pack_adapter.c");
    outcome_release(&got);
    cr_assert_eq(setenv("WELD_ADAPTERS", test_folder(), 1), 0);
    expect(WORDS("run", "-e", "pack.twice(4.0)"), NULL, 0, "8.0\n", "");
    test_folder_remove();
}

/* Headers of others, where they are installed: their drafts compile without a warning, load, and compute. */
Test(bind, takes_headers_of_others) {
    static const struct {
        const char *header, *lib, *call, *answer;
    } others[] = {
        {"/usr/include/math.h", "m", "{m.frexp(10.0), m.cbrt(8.0)}", "{{4, 0.625}, 2.0}\n"},
        {"/usr/include/zlib.h", "z", "z.crc32(0UL, map(\"123456789\", |c| u8(c)))", "3421780262ul\n"},
        {"/usr/include/x86_64-linux-gnu/cblas.h", "openblas", "openblas.cblas_ddot([1.0, 2.0], [3.0, 4.0])",
         "11.0\n"},
        {"/usr/include/gsl/gsl_statistics_double.h", "gsl", "gsl.stats_mean([1.0, 2.0, 6.0])", "3.0\n"},
        {"/usr/include/gsl/gsl_sf_bessel.h", "gsl", "gsl.sf_bessel_J0(0.0)", "1.0\n"},
        {"/usr/include/fftw3.h", "fftw3", NULL, NULL},
        {"/usr/include/lapacke.h", "lapacke", NULL, NULL},
        {"/usr/include/sqlite3.h", "sqlite3", NULL, NULL},
    };
    for (size_t i = 0; i < sizeof others / sizeof *others; i++) {
        if (access(others[i].header, R_OK) != 0) continue;
        Outcome got = weldc_run(WORDS("bind", others[i].header, "--lib", others[i].lib), NULL, false);
        cr_assert_eq(got.status, 0, "%s", got.err);
        if (!strstr(got.out, "could not be opened")) {
            char file[64];
            snprintf(file, sizeof file, "%s_adapter.c", others[i].lib);
            build_as_told(got.out, file);
            cr_assert_eq(setenv("WELD_ADAPTERS", test_folder(), 1), 0);
            if (others[i].answer) expect(WORDS("run", "-e", others[i].call), NULL, 0, others[i].answer, "");
        }
        outcome_release(&got);
    }
    test_folder_remove();
}
