/* arguments.c: every form of argument, in the interpreter and in compiled code.
 */
#include "command.h"

TestSuite(arguments, .fini = test_folder_remove, .timeout = 600);

typedef struct Case {
    const char *code, *words[5], *out, *json;
} Case;

static const Case cases[] = {
    {"5", {0}, "5", "5"},
    {"|| 5l", {0}, "5l", "5"},
    {"|x: i64| x", {"-2l"}, "-2l", "-2"},
    {"|x: f64| x", {"-490000.0"}, "-490000.0", "-490000"},
    {"|x: f64| x", {"-.5"}, "-0.5", "-0.5"},
    {"|x: i64| x", {"-(2l)"}, "-2l", "-2"},
    {"|x: f64| x", {"-exp(0.0)"}, "-1.0", "-1"},
    {"|x: f64| x", {"-0.0"}, "-0.0", "-0.0"},
    {"|x: i64, y: i64| x - y", {"5l", "2l"}, "3l", "3"},
    {"|x: i64, y: i64| x - y", {"x=5l", "y=2l"}, "3l", "3"},
    {"|x: i64, y: i64| x - y", {"y=2l", "x=5l"}, "3l", "3"},
    {"|x: i64, y: i64| x - y", {"y=-2l", "x=-5l"}, "-3l", "-3"},
    {"|x: u8| x", {"u8(7)"}, "7uc", "7"},
    {"|x: u64| x", {"18446744073709551615ul"}, "18446744073709551615ul", "18446744073709551615"},
    {"|x: bool| !x", {"true"}, "false", "false"},
    {"|x: vec[f64]| x", {"[1.5, 2.0]"}, "[1.5, 2.0]", "[1.5,2.0]"},
    {"|x: vec[i64]| x", {"[]: vec[i64]"}, "[]: vec[i64]", "[]"},
    {"|x: vec[i64]| x", {"[]"}, "[]: vec[i64]", "[]"},
    {"|x: {i32, vec[i64]}| x", {"{1, [2l]}"}, "{1, [2l]}", "[1,[2]]"},
    {"|x: {i32, vec[i64]}| x", {"{1, []}"}, "{1, []: vec[i64]}", "[1,[]]"},
    {"|x: vec[i8]| len(x)", {"\"text\""}, "4l", "4"},
    {"|x: vec[vec[i8]]| map(x, |s| len(s))", {"[\"a\", \"bcd\"]"}, "[1l, 3l]", "[1,3]"},
    {"|x: dict[i64, i64]| lookup(x, 1l)", {"result(merge(dictmerger[i64,i64,+], {1l, 7l}))"}, "7l", "7"},
    {"|x: f64| x", {"nan"}, NULL, NULL},
    {"|x| x + x", {"21l"}, "42l", "42"},
    {"|x, y: i64| lookup(x, y)", {"y=1l", "x=[1.5, 2.5]"}, "2.5", "2.5"},
    {"|x: f64| {x / 0.0, 0.0 / 0.0, -x / 0.0}", {"1.0"}, NULL, "[\"inf\",\"nan\",\"-inf\"]"},
    {"|x: i64| x", {"--", "-2l"}, "-2l", "-2"},
};

static void run_cases(const char *engine) {
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        for (int json = 0; json < 2; json++) {
            const char *want = json ? cases[i].json : cases[i].out,
                       *words[16] = {"run", engine, "-e", cases[i].code};
            if (!want) continue;
            int count = 4;
            if (json) words[count++] = "--json";
            for (int w = 0; cases[i].words[w]; w++) words[count++] = cases[i].words[w];
            Outcome got = weldc_run(words, NULL, false);
            size_t length = strlen(want);
            bool same = strncmp(got.out, want, length) == 0 && strcmp(got.out + length, "\n") == 0;
            /* A number may have other digits that read back to the same value. */
            char *end, *wend;
            double a = strtod(got.out, &end), b = strtod(want, &wend);
            if (json && !*wend && end != got.out && strcmp(end, "\n") == 0) same = a == b;
            cr_expect(same && got.status == 0, "weldc %s\n%d: %s%s instead of %s", join(words), got.status,
                      got.out, got.err, want);
            outcome_release(&got);
        }
    }
}

Test(arguments, constants_interpreted) {
    run_cases("--eval");
}
Test(arguments, constants_compiled) {
    run_cases("--no-eval");
}

Test(arguments, program_from_file_and_pipe) {
    test_write("p.weld", "|x: i64| # comment\n x + 1l\n", 26);
    expect(WORDS("run", test_file("p.weld"), "4l"), NULL, 0, "5l\n", "");
    expect(WORDS("run", "p.weld", "x=4l", "--json"), NULL, 0, "5\n", "");
    expect(WORDS("run", "-", "4l"), "|x: i64| x * 2l", 0, "8l\n", "");
    expect(WORDS("run", "4l", "-e", "|x: i64| x * 2l"), NULL, 0, "8l\n", "");
}

typedef struct Bad {
    const char *code, *words[5], *err;
} Bad;

static const Bad bad[] = {
    {"|x: i64| x",
     {"5"},
     "<argument 1>:1:1: error[Argument]: the parameter x is i64, but the "
     "argument is i32\n  5\n  ^\n"},
    {"|x: vec[f64]| x",
     {"x=[1, 2]"},
     "<argument x>:1:1: error[Argument]: the parameter x is vec[f64], but the "
     "argument is vec[i32]"},
    {"|x: i64| x",
     {0},
     "<command line>:1:1: error[Argument]: 0 arguments are given; the program "
     "takes (x: i64)"},
    {"|x: i64, y: f64| x", {"1l", "2.0", "3"}, "3 arguments are given; the program takes (x: i64, y: f64)"},
    {"5", {"1"}, "error[Argument]: 1 argument is given; the program takes no arguments"},
    {"|x: i64, y: f64| x",
     {"x=1l"},
     "error[Argument]: the argument y is missing; the program takes (x: i64, "
     "y: f64)"},
    {"|x: i64, y: f64| x",
     {"x=1l", "z=2.0"},
     "<argument z>:1:1: error[Argument]: there is no parameter z; the program "
     "takes (x: i64, y: f64)"},
    {"|x: i64, y: f64| x", {"x=1l", "x=2l"}, "error[Argument]: the parameter x is given twice"},
    {"|x: i64, y: f64| x",
     {"x=1l", "2.0"},
     "<argument 2>:1:1: error[Argument]: give all arguments by position, or "
     "all as NAME=VALUE"},
    {"|x: i64| x", {"5 +"}, "<argument 1>:1:4: error[Argument]"},
    {"|x: i64| x", {"x=(5"}, "<argument x>:1:5: error[Argument]"},
    {"|x: i64| x", {"foo"}, "<argument 1>:1:1: error[Argument]: there is no name foo"},
    {"|x: i64| x", {"|y: i64| y"}, "error[Argument]: a function is not a constant"},
    {"|x: i64| x", {"1l / 0l"}, "<argument 1>:1:1: error[DivisionByZero]"},
    {"|x| x", {0}, "error[Type]"},
    {"|x: i64| x", {"@"}, "error[File]"},
    {"|x: i64| x",
     {"@/nowhere/x.npy"},
     "<argument 1>:1:1: error[File]: cannot open /nowhere/x.npy: No such file "
     "or directory\n  @/nowhere/x.npy\n"},
    {"|x: i64| x", {"@/nowhere/x.csv"}, "error[File]: cannot open /nowhere/x.csv"},
    {"|x: i64| x", {"@/"}, "error[File]"},
    {"|x: i64| x", {"@/bin/sh"}, "error[File]: /bin/sh is neither a .npy nor a .csv file"},
};

Test(arguments, bad) {
    static const char *const engines[] = {"--eval", "--no-eval"};
    for (size_t i = 0; i < 2 * sizeof bad / sizeof *bad; i++) {
        const Bad *c = &bad[i / 2];
        const char *words[16] = {"run", engines[i % 2], "-e", c->code};
        for (int w = 0; c->words[w]; w++) words[4 + w] = c->words[w];
        expect(words, NULL, 1, "", c->err);
    }
}
