/* build.c: `weldc build`: what it refuses, and what it writes. tests/clients/ahead.sh uses a library that it made. */
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
