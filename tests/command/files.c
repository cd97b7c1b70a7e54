/* files.c: .npy and .csv arguments: what can be read, and what is said of the
 * rest. */
#include "command.h"

TestSuite(files, .fini = test_folder_remove, .timeout = 600);

/* ---- .npy
 * ----------------------------------------------------------------------------------------------------
 */

/* Writes a file with this header and data. version 1 to 3. */
static void write_npy(const char *name, int version, const char *header, const void *data, size_t bytes) {
    size_t width = version == 1 ? 2 : 4, length = strlen(header), at = 8 + width;
    char *file = calloc(1, 1024 + bytes);
    cr_assert_not_null(file);
    memcpy(file, "\x93NUMPY", 6);
    file[6] = (char)version;
    size_t padded = (at + length + 1 + 63) / 64 * 64 - at;
    for (size_t i = 0; i < width; i++) file[8 + i] = (char)(padded >> (8 * i));
    memset(file + at, ' ', padded);
    memcpy(file + at, header, length);
    file[at + padded - 1] = '\n';
    cr_assert(at + padded <= 1024);
    if (bytes) memcpy(file + at + padded, data, bytes);
    test_write(name, file, at + padded + bytes);
    free(file);
}

static void swap(char *data, size_t count, size_t size) {
    for (size_t i = 0; i < count; i++) {
        for (size_t a = 0; a < size / 2; a++) {
            char c = data[i * size + a];
            data[i * size + a] = data[i * size + size - 1 - a];
            data[i * size + size - 1 - a] = c;
        }
    }
}

static const struct {
    const char *descr, *type;
    size_t size;
    char kind;
} dtypes[] = {{"b1", "bool", 1, 'b'}, {"i1", "i8", 1, 'i'},  {"i2", "i16", 2, 'i'}, {"i4", "i32", 4, 'i'},
              {"i8", "i64", 8, 'i'},  {"u1", "u8", 1, 'i'},  {"u2", "u16", 2, 'i'}, {"u4", "u32", 4, 'i'},
              {"u8", "u64", 8, 'i'},  {"f4", "f32", 4, 'f'}, {"f8", "f64", 8, 'f'}};

/* Six numbers 1 0 3 0 5 0 (as bool: true, false, ...) in a dtype and byte
 * order. */
static size_t numbers(char *data, size_t d, bool big) {
    for (size_t i = 0; i < 6; i++) {
        long long n = i % 2 ? 0 : (long long)i + 1;
        float f = (float)n;
        double g = (double)n;
        if (dtypes[d].kind == 'i' || dtypes[d].kind == 'b')
            memcpy(data + i * dtypes[d].size, &n, dtypes[d].size);
        if (dtypes[d].kind == 'f' && dtypes[d].size == 4) memcpy(data + i * 4, &f, 4);
        if (dtypes[d].kind == 'f' && dtypes[d].size == 8) memcpy(data + i * 8, &g, 8);
    }
    if (big) swap(data, 6, dtypes[d].size);
    return 6 * dtypes[d].size;
}

Test(files, npy_every_dtype_order_and_version) {
    for (size_t d = 0; d < sizeof dtypes / sizeof *dtypes; d++) {
        for (int big = 0; big < 2; big++) {
            for (int shape = 0; shape < 3; shape++) {
                char header[200], data[48], code[100];
                size_t bytes = numbers(data, d, big);
                snprintf(header, sizeof header, "{'descr': '%c%s', 'fortran_order': %s, 'shape': %s, }",
                         dtypes[d].size == 1 ? '|'
                         : big               ? '>'
                                             : '<',
                         dtypes[d].descr, shape == 2 ? "True" : "False", shape ? "(2, 3)" : "(6,)");
                write_npy("x.npy", 1 + (int)d % 3, header, data, bytes);
                snprintf(code, sizeof code, shape ? "|x: {vec[%s], i64, i64}| x" : "|x: vec[%s]| x",
                         dtypes[d].type);
                bool boolean = dtypes[d].kind == 'b';
                const char *want =
                    shape == 0 ? boolean ? "[true,false,true,false,true,false]\n" : "[1,0,3,0,5,0]\n"
                    : shape == 1
                        ? boolean ? "[[true,false,true,false,true,false],2,3]\n" : "[[1,0,3,0,5,0],2,3]\n"
                    : boolean ? "[[true,true,true,false,false,false],2,3]\n"
                              : "[[1,3,5,0,0,0],2,3]\n";
                Outcome got = weldc_run(WORDS("run", "--eval", "--json", "-e", code, "@x.npy"), NULL, false);
                /* Floats may be written 1 or 1.0. */
                char *to = got.out;
                for (char *p = got.out; *p; p++) {
                    if (p[0] == '.' && p[1] == '0')
                        p++;
                    else
                        *to++ = *p;
                }
                *to = 0;
                cr_expect_str_eq(got.out, want, "%s, %s\n%s%s", header, code, got.out, got.err);
                outcome_release(&got);
            }
        }
    }
}

Test(files, npy_forms) {
    double data[4] = {1.5, 2.5, 3.5, 4.5};
    write_npy("a.npy", 1, "{'shape': (4L,), \"descr\": \"<f8\", 'fortran_order': False}", data, 32);
    expect(WORDS("run", "-e", "|x: vec[f64]| x", "@a.npy"), NULL, 0, "[1.5, 2.5, 3.5, 4.5]\n", "");
    expect(WORDS("run", "-e", "|x| lookup(x, 1l)", "@a.npy"), NULL, 0, "2.5\n", "");
    expect(WORDS("run", "-e", "|x: vec[f64], y: f64| map(x, |e| e + y)", "y=1.0", "x=@a.npy"), NULL, 0,
           "[2.5, 3.5, 4.5, 5.5]\n", "");
    write_npy("s.npy", 1, "{'descr': '<f8', 'fortran_order': False, 'shape': ()}", data, 8);
    expect(WORDS("run", "-e", "|x: f64| x", "@s.npy"), NULL, 0, "1.5\n", "");
    write_npy("e.npy", 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (0,)}", data, 0);
    expect(WORDS("run", "-e", "|x: vec[f64]| len(x)", "@e.npy"), NULL, 0, "0l\n", "");
    write_npy("z.npy", 1, "{'descr': '<f8', 'fortran_order': True, 'shape': (0, 3)}", data, 0);
    expect(WORDS("run", "-e", "|x: {vec[f64], i64, i64}| x", "@z.npy"), NULL, 0, "{[]: vec[f64], 0l, 3l}\n",
           "");
    unsigned char odd[2] = {7, 0};
    write_npy("b.npy", 1, "{'descr': '|b1', 'fortran_order': False, 'shape': (2,)}", odd, 2);
    expect(WORDS("run", "-e", "|x: vec[bool]| x", "@b.npy"), NULL, 0, "[true, false]\n", "");
    write_npy("named-otherwise", 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (4,)}", data, 32);
    expect(WORDS("run", "-e", "|x: vec[f64]| len(x)", "@named-otherwise"), NULL, 0, "4l\n", "");
}

/* By several threads where there are several processors: every element lies where it belongs. */
Test(files, npy_of_megabytes) {
    static const int64_t counts[] = {1 << 20, (1 << 20) + 1, 3000017};
    for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
        char header[100], sum[40];
        int64_t *data = malloc((size_t)counts[i] * sizeof *data), expected = 0;
        cr_assert_not_null(data);
        for (int64_t k = 0; k < counts[i]; k++) {
            data[k] = k * k % 1000003;
            expected += data[k] * (k & 1023);
        }
        snprintf(header, sizeof header, "{'descr': '<i8', 'fortran_order': False, 'shape': (%lld,)}",
                 (long long)counts[i]);
        write_npy("large.npy", 1, header, data, (size_t)counts[i] * sizeof *data);
        snprintf(sum, sizeof sum, "%lldl\n", (long long)expected);
        expect(WORDS("run", "-e",
                     "|x: vec[i64]| result(for(x, merger[i64,+], |b, i, e| merge(b, e * (i & 1023L))))",
                     "@large.npy"),
               NULL, 0, sum, "");
        free(data);
    }
}

Test(files, npy_faults) {
    static const struct {
        const char *header;
        size_t bytes;
        const char *err;
    } rows[] = {
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (5,)}", 32,
         "x.npy is truncated: its header promises 40 bytes"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (3,)}", 32,
         "x.npy does not agree with its header"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': "
         "(1152921504606846976, 1000)}",
         32, "error[File]"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': "
         "(99999999999999999999,)}",
         32, "error[File]"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1000000000000,)}", 32, "is truncated"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (-1,)}", 32, "its header cannot be understood"},
        {"{'descr': '<f8', 'fortran_order': False, 'shape': (1, 2, 2)}", 32, "has 3 dimensions"},
        {"{'descr': '<f2', 'fortran_order': False, 'shape': (4,)}", 8, "holds float16"},
        {"{'descr': '<c16', 'fortran_order': False, 'shape': (2,)}", 32, "holds complex numbers"},
        {"{'descr': '|S8', 'fortran_order': False, 'shape': (4,)}", 32, "holds text"},
        {"{'descr': '<U2', 'fortran_order': False, 'shape': (4,)}", 32, "holds text"},
        {"{'descr': '|O', 'fortran_order': False, 'shape': (4,)}", 32, "holds Python objects"},
        {"{'descr': '<M8[ns]', 'fortran_order': False, 'shape': (4,)}", 32, "holds dates"},
        {"{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (4,)}", 32, "holds records"},
        {"{'descr': '<f8', 'shape': (4,)}", 32, "its header cannot be understood"},
        {"nonsense", 32, "its header cannot be understood"},
    };
    double data[4] = {0};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        write_npy("x.npy", 1, rows[i].header, data, rows[i].bytes);
        expect(WORDS("run", "-e", "|x: vec[f64]| x", "@x.npy"), NULL, 1, "", rows[i].err);
        expect(WORDS("run", "-e", "|x: vec[f64]| x", "@x.npy"), NULL, 1, "",
               "<argument 1>:1:1: error[File]: x.npy");
    }
    test_write("x.npy", "\x93NUMPY\x01", 7);
    expect(WORDS("run", "-e", "|x: vec[f64]| x", "@x.npy"), NULL, 1, "",
           "error[File]: x.npy is not a .npy file");
    test_write("x.npy", "\x93NUMPY\x01\x00\x70\x00{'de", 14);
    expect(WORDS("run", "-e", "|x: vec[f64]| x", "@x.npy"), NULL, 1, "", "it ends within its header");
    test_write("x.npy", "\x93NUMPY\x09\x00\x70\x00", 10);
    expect(WORDS("run", "-e", "|x: vec[f64]| x", "@x.npy"), NULL, 1, "", "of version 9.0");
    test_write("x.npy", "1,2,3\n", 6);
    expect(WORDS("run", "-e", "|x: vec[f64]| x", "@x.npy"), NULL, 1, "", "x.npy is not a .npy file");
    test_write("x.npy", "", 0);
    expect(WORDS("run", "-e", "|x: vec[f64]| x", "@x.npy"), NULL, 1, "", "x.npy is not a .npy file");
    write_npy("x.npy", 1, "{'descr': '<f8', 'fortran_order': False, 'shape': (4,)}", data, 32);
    expect(WORDS("run", "-e", "|x: vec[i64]| x", "@x.npy"), NULL, 1, "",
           "<argument 1>:1:1: error[Argument]: the parameter x is vec[i64], but "
           "the argument is vec[f64]\n  @x.npy\n");
}

/* ---- .csv
 * ----------------------------------------------------------------------------------------------------
 */

static const struct {
    const char *text, *code, *argument, *out;
} tables[] = {
    {"a,b\n1,2.5\n-3,4\n", "|t: {vec[i64], vec[f64]}| t", "@t.csv", "[[1,-3],[2.5,4.0]]\n"},
    {"a,b\r\n1,2.5\r\n-3,4\r\n", "|t: {vec[i64], vec[f64]}| t", "@t.csv", "[[1,-3],[2.5,4.0]]\n"},
    {"a,b\n1,2.5\n-3,4", "|t: {vec[i64], vec[f64]}| t", "@t.csv", "[[1,-3],[2.5,4.0]]\n"},
    {"a,b\n1,2.5\n-3,4\n\n\n", "|t: {vec[i64], vec[f64]}| t", "@t.csv", "[[1,-3],[2.5,4.0]]\n"},
    {"\xef\xbb\xbf"
     "a,b\n1,2\n",
     "|a: vec[i64]| a", "@t.csv:a", "[1]\n"},
    {"a,b\n1,2\n3,4\n", "|b: vec[i32]| b", "@t.csv:b", "[2,4]\n"},
    {"a,b\n1,2\n3,4\n", "|b: vec[f32]| b", "@t.csv:b", "[2.0,4.0]\n"},
    {"a,b\n1,2\n3,4\n", "|b| b", "@t.csv:b", "[2,4]\n"},
    {"\"a,x\",\"b\"\"q\"\n1,2\n", "|b: vec[i64]| b", "@t.csv:b\"q", "[2]\n"},
    {"a\n\"x,y\"\n\"l1\nl2\"\n\"q\"\"q\"\"\"\n", "|a: vec[vec[i8]]| map(a, |s| len(s))", "@t.csv:a",
     "[3,5,4]\n"},
    {"a,b\n\"5\",\" 6 \"\n", "|t: {vec[i64], vec[i64]}| t", "@t.csv", "[[5],[6]]\n"},
    {"a\ntrue\nFalse\n", "|a| a", "@t.csv:a", "[true,false]\n"},
    {"a\n1\n0\n", "|a: vec[bool]| a", "@t.csv:a", "[true,false]\n"},
    {"a\nnan\n-inf\n1e400\n", "|a| a", "@t.csv:a", "[\"nan\",\"-inf\",\"inf\"]\n"},
    {"a\n1\n2.5\n", "|a| map(a, |x| x * 2.0)", "@t.csv:a", "[2.0,5.0]\n"},
    {"a\n1\nx\n", "|a| map(a, |s| len(s))", "@t.csv:a", "[1,1]\n"},
    {"a\n1\ntrue\n", "|a| map(a, |s| len(s))", "@t.csv:a", "[1,4]\n"},
    {"a,b\n,1\n,2\n", "|a| map(a, |s| len(s))", "@t.csv:a", "[0,0]\n"},
    {"a\n9223372036854775807\n-9223372036854775808\n", "|a| a", "@t.csv:a",
     "[9223372036854775807,-9223372036854775808]\n"},
    {"a\n9223372036854775808\n", "|a| map(a, |x| x / 2.0)", "@t.csv:a", "[4.611686018427388e18]\n"},
    {"a\n18446744073709551615\n", "|a: vec[u64]| a", "@t.csv:a", "[18446744073709551615]\n"},
    {"a\n0.1\n123456789012345678901234567890e-10\n2.2250738585072014e-308\n",
     "|a: vec[f64]| map(a, |x| x == x)", "@t.csv:a", "[true,true,true]\n"},
    {"a\n16777217.0\n0.1\n", "|a: vec[f32]| map(a, |x| f64(x))", "@t.csv:a",
     "[16777216.0,0.10000000149011612]\n"},
    {"a,b\n", "|t: {vec[i64], vec[f64]}| t", "@t.csv", "[[],[]]\n"},
    {"a,b", "|a| a", "@t.csv:a", "[]\n"},
};

/* Writes 2.0 and 2, 1e18 and 1000000000000000000 alike. */
static void normalize(char *json) {
    char *to = json;
    for (char *p = json; *p; p++) {
        if (p[0] == '.' && p[1] == '0' && (p[2] == ',' || p[2] == ']'))
            p++;
        else if (*p != '+')
            *to++ = *p;
    }
    *to = 0;
}

Test(files, csv) {
    for (size_t i = 0; i < sizeof tables / sizeof *tables; i++) {
        test_write("t.csv", tables[i].text, strlen(tables[i].text));
        Outcome got =
            weldc_run(WORDS("run", "--json", "-e", tables[i].code, tables[i].argument), NULL, false);
        char want[200];
        snprintf(want, sizeof want, "%s", tables[i].out);
        normalize(want);
        normalize(got.out);
        cr_expect(
            strcmp(got.out, want) == 0 || (strstr(want, "e18") && strstr(got.out, "4611686018427387904")),
            "%s\n%s\n%s%s instead of %s", tables[i].text, tables[i].code, got.out, got.err, tables[i].out);
        outcome_release(&got);
    }
}

Test(files, csv_faults) {
    static const struct {
        const char *text, *code, *argument, *err;
    } rows[] = {
        {"a,b\n1,2\n3,\n", "|t: {vec[i64], vec[f64]}| t", "@t.csv",
         "t.csv:3:3: error[File]: an empty field in column b of f64\n  3,\n    "
         "^\n"},
        {"a,b\n1,2\n3,\n", "|t| t.$0", "@t.csv", "t.csv:3:3: error[File]: an empty field in column b of i64"},
        {"a,b\n1,2\nx,4\n", "|t: {vec[i64], vec[f64]}| t", "@t.csv",
         "t.csv:3:1: error[File]: \"x\" in column a cannot be read as i64\n  "
         "x,4\n  ^\n"},
        {"a\n300\n", "|a: vec[u8]| a", "@t.csv:a",
         "t.csv:2:1: error[File]: \"300\" in column a cannot be read as u8"},
        {"a\n-1\n", "|a: vec[u64]| a", "@t.csv:a", "cannot be read as u64"},
        {"a\n1.5\n", "|a: vec[i64]| a", "@t.csv:a", "cannot be read as i64"},
        {"a\n1e\n", "|a: vec[f64]| a", "@t.csv:a", "cannot be read as f64"},
        {"a\n0x10\n", "|a: vec[f64]| a", "@t.csv:a", "cannot be read as f64"},
        {"a\nyes\n", "|a: vec[bool]| a", "@t.csv:a", "cannot be read as bool"},
        {"a,b\n1,2\n3\n", "|t: {vec[i64], vec[f64]}| t", "@t.csv",
         "t.csv:3:1: error[File]: 1 field where the header names 2 columns"},
        {"a,b\n1,2,3\n", "|t| t.$0", "@t.csv",
         "t.csv:2:1: error[File]: 3 fields where the header names 2 columns"},
        {"a,b\n1,\"2\n3,4\n", "|t| t.$0", "@t.csv", "t.csv:2:3: error[File]: a quoted field is never closed"},
        {"a,b\n1,\"2\"x\n", "|t| t.$0", "@t.csv",
         "t.csv:2:6: error[File]: text follows a field's closing quote"},
        {"", "|t| t.$0", "@t.csv", "error[File]: t.csv is empty"},
        {"price,b\n1,2\n", "|a: vec[i64]| a", "@t.csv:prize",
         "error[File]: t.csv has no column prize; the nearest is price"},
        {"a,b,a\n1,2,3\n", "|a: vec[i64]| a", "@t.csv:a", "error[File]: t.csv: two columns are named a"},
        {"a,b\n1,2\n", "|t: {vec[i64]}| t", "@t.csv",
         "error[Argument]: the parameter t is {vec[i64]}, but the argument is "
         "{vec[i64],vec[i64]}"},
        {"a,b\n1,2\n", "|a: i64| a", "@t.csv:a",
         "error[Argument]: the parameter a is i64, but the argument is vec[i64]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        test_write("t.csv", rows[i].text, strlen(rows[i].text));
        expect(WORDS("run", "-e", rows[i].code, rows[i].argument), NULL, 1, "", rows[i].err);
    }
}

/* ---- values that were saved
 * ------------------------------------------------------------------------------------ */

Test(files, saved) {
    char path[220];
    snprintf(path, sizeof path, "@%s", test_file("model"));
    expect(WORDS("run", "--save", path + 1, "-e", "{[0.5f, 1.5f], 2l}"), NULL, 0, "", "");
    static const char *const engines[] = {"--eval", "--no-eval"};
    for (int i = 0; i < 2; i++) {
        expect(WORDS("run", engines[i], "-e", "|m: {vec[f32], i64}| lookup(m.$0, 1l)", path), NULL, 0,
               "1.5f\n", "");
        expect(WORDS("run", engines[i], "-e", "|m| m.$1", path), NULL, 0, "2l\n", "");
    }
    expect(WORDS("run", "-e", "|m: vec[f32]| m", path), NULL, 1, "",
           "error[Argument]: the parameter m is vec[f32], but the argument is {vec[f32],i64}");
    expect(WORDS("run", "--save", path + 1, "-e", "merge(appender[i64], 1l)"), NULL, 1, "",
           "error[Argument]: --save: the result is an unfinished builder");
    expect(WORDS("run", "--save", "/no/such/folder/model", "-e", "1"), NULL, 1, "",
           "error[File]: cannot write /no/such/folder/model: No such file or directory");
    test_write("model", "weldvalu\1\0\0\0", 12);
    expect(WORDS("run", "-e", "|m| m", path), NULL, 1, "", "model is cut off: it ends within its header\n");
}

/* Bytes of any file, where bytes are wanted. */
Test(files, bytes) {
    char path[220], none[220];
    snprintf(path, sizeof path, "@%s", test_file("text.md"));
    snprintf(none, sizeof none, "@%s", test_file("nothing"));
    test_write("text.md", "a\0\xff\n", 4);
    test_write("nothing", "", 0);
    expect(WORDS("run", "--json", "-e", "|t: vec[i8]| t", path), NULL, 0, "[97,0,-1,10]\n", "");
    expect(WORDS("run", "--json", "-e", "|t: vec[u8]| t", path), NULL, 0, "[97,0,255,10]\n", "");
    expect(WORDS("run", "--json", "-e", "|t: vec[u8]| t", none), NULL, 0, "[]\n", "");
    expect(WORDS("run", "-e", "|t| t", path), NULL, 1, "", "is neither a .npy nor a .csv file");
    expect(WORDS("run", "-e", "|t: vec[i8]| t", "@/no/such/text"), NULL, 1, "", "No such file or directory");
    expect(WORDS("run", "-e", "|t: vec[i8]| t", "@/"), NULL, 1, "", "error[File]");
}
