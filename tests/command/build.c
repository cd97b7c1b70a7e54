/* build.c: `weldc build`: what it refuses, and what it writes. tests/clients/ahead.sh uses a library that was
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
