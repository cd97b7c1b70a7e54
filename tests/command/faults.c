/* faults.c: bad input: message and exit status in `weldc run`, interpreted and compiled, and in the session,
 * which goes on.
 */
#include "command.h"

TestSuite(faults, .fini = test_folder_remove, .timeout = 600);

/* Programs without parameters, so that the session can run them as well. place: LINE:COL of the message. */
static const struct {
    const char *code, *place, *name, *line;
} rows[] = {
    {"1 +", "1:4", "Syntax", "1 +"},
    {"(1", "1:3", "Syntax", "(1"},
    {"1)", "1:2", "Syntax", "1)"},
    {"5 5", "1:3", "Syntax", "5 5"},
    {"\"abc", "1:1", "Syntax", "\"abc"},
    {"99999999999", "1:1", "Syntax", "99999999999"},
    {"1 + 2.0", "1:5", "Type", "1 + 2.0"},
    {"nothing", "1:1", "Type", "nothing"},
    {"len(5)", "1:5", "Type", "len(5)"},
    {"[1, 2l]", "1:5", "Type", "[1, 2l]"},
    {"lookup([1, 2], 5l)", "1:1", "OutOfBounds", "lookup([1, 2], 5l)"},
    {"lookup([1, 2], -1l)", "1:1", "OutOfBounds", "lookup([1, 2], -1l)"},
    {"slice([1, 2], -1l, 1l)", "1:1", "OutOfBounds", "slice([1, 2], -1l, 1l)"},
    {"result(for(iter([1,2,3], 0l, 5l, 1l), appender[i32], |b,i,e| merge(b,e)))", NULL, "BadIterator",
     "result("},
    {"result(for(zip([1,2], [1]), appender[i32], |b,i,e| merge(b,e.$0)))", NULL, "ZipMismatch", "result("},
    {"lookup(result(merge(dictmerger[i64,i64,+], {1l, 2l})), 3l)", "1:1", "KeyNotFound", "lookup("},
    {"1 / 0", "1:1", "DivisionByZero", "1 / 0"},
    {"let a = 0l; 7l % a", NULL, "DivisionByZero", NULL},
    {"assert(1 == 2)", "1:1", "AssertionFailed", "assert(1 == 2)"},
    {"let v = [1, 2]; assert(len(v) == 3L, \"v has {} elements, {} needed: 100 %s\", len(v), 3L)", "1:17",
     "AssertionFailed", ": v has 2 elements, 3 needed: 100 %s\n"},
    {"result(for([1L, 5L], appender, |b, i, x| merge(b, if(assert(x < 3L, \"at {}: {}\", i, x), x, 0L))))",
     NULL, "AssertionFailed", ": at 1: 5\n"},
    {"deserialize[i64]([1uc, 2uc])", "1:1", "Deserialization", "deserialize[i64]([1uc, 2uc])"},
    {"result(for([1], vecmerger[i32,+]([1]), |b,i,e| merge(b, {9l, e})))", NULL, "OutOfBounds", "result("},
    {"result(for(rangeiter(0l, 100000000l, 1l), appender[i64], |b,i,e| merge(b,e)))", NULL, "OutOfMemory",
     "result("},
};
enum { ROWS = sizeof rows / sizeof *rows };

/* Has the message this name and place, its line and a caret? */
static void check_message(size_t i, const char *source, const char *err) {
    char head[100], name[40];
    snprintf(name, sizeof name, "error[%s]: ", rows[i].name);
    snprintf(head, sizeof head, "%s:%s: ", source, rows[i].place ? rows[i].place : "");
    cr_expect(strstr(err, name), "%s\n%s without %s", rows[i].code, err, name);
    if (rows[i].place) cr_expect(strstr(err, head) == err, "%s\n%s without %s", rows[i].code, err, head);
    cr_expect(strncmp(err, source, strlen(source)) == 0, "%s\n%s", rows[i].code, err);
    cr_expect(strstr(err, "^"), "%s\n%s without a caret", rows[i].code, err);
    if (rows[i].line) cr_expect(strstr(err, rows[i].line), "%s\n%s without the line", rows[i].code, err);
}

static void run_rows(const char *engine) {
    for (size_t i = 0; i < ROWS; i++) {
        Outcome got =
            weldc_run(WORDS("run", engine, "--memory-limit", "64M", "-e", rows[i].code), NULL, false);
        cr_expect_eq(got.status, 1, "%s\nexit status %d", rows[i].code, got.status);
        cr_expect_str_eq(got.out, "");
        check_message(i, "<command line>", got.err);
        outcome_release(&got);
    }
}

Test(faults, interpreted) {
    run_rows("--eval");
}
Test(faults, compiled) {
    run_rows("--no-eval");
}

static void session_rows(const char *engine) {
    for (size_t i = 0; i < ROWS; i++) {
        char input[300];
        snprintf(input, sizeof input, "let kept = 41\n%s\n\nkept + 1\n", rows[i].code);
        bool open = rows[i].code[0] == '"'; /* what follows is part of the string */
        if (open) continue;
        Outcome got = weldc_run(WORDS("repl", engine, "--memory-limit", "64M"), input, false);
        cr_expect_eq(got.status, 0);
        cr_expect(strstr(got.out, "42: i32\n"), "%s\n%s%s", rows[i].code, got.out, got.err);
        check_message(i, rows[i].line ? "<input>" : "<", got.err);
        outcome_release(&got);
    }
}

Test(faults, session_interpreted) {
    session_rows("--eval");
}
Test(faults, session_compiled) {
    session_rows("--no-eval");
}

/* The place is in the program's file. */
Test(faults, file_line_and_column) {
    static const char text[] = "# a comment\n|x: i64|\n  let y = x + 1l;\n  lookup([1l], y)\n";
    test_write("p.weld", text, strlen(text));
    expect(WORDS("run", "--eval", "p.weld", "4l"), NULL, 1, "",
           "p.weld:4:3: error[OutOfBounds]: index 5 is out of bounds for length 1\n    lookup([1l], y)\n    "
           "^~~~~~~~~~~~~~~\n");
    expect(WORDS("run", "--no-eval", "p.weld", "4l"), NULL, 1, "",
           "p.weld:4:3: error[OutOfBounds]: index 5 is out of bounds for length 1\n    lookup([1l], y)\n    "
           "^~~~~~~~~~~~~~~\n");
    expect(WORDS("run", "nowhere.weld"), NULL, 1, "",
           "<command line>:1:1: error[File]: cannot read nowhere.weld: No such file or directory\n  "
           "nowhere.weld\n");
    expect(WORDS("run", "-"), "1 +", 1, "", "<stdin>:1:4: error[Syntax]");
}

Test(faults, settings_and_libraries) {
    expect(WORDS("run", "-e", "1", "--set", "weld.threads=many"), NULL, 1, "",
           "<command line>:1:14: error[Setting]: weld.threads cannot be \"many\"");
    expect(WORDS("run", "-e", "1", "--set", "my.own=thing"), NULL, 0, "1\n", "");
    expect(WORDS("run", "-e", "1", "--set", "weld.threds=2"), NULL, 0, "1\n",
           "weldc: there is no setting weld.threds; did you mean weld.threads; it changes nothing");
    expect(WORDS("run", "-e", "1", "--set", "weld.optimization.passes=nonsense"), NULL, 1, "",
           "error[Setting]");
    expect(WORDS("run", "-e", "1", "--load", "/nowhere/lib.so"), NULL, 1, "",
           "<command line>:1:1: error[Library]");
    expect(WORDS("run", "-e", "cudf[no_such_function, i64](1l)"), NULL, 1, "", "error[Library]");
    expect(WORDS("run", "-e", "1", "--memory-limit", "1K"), NULL, 0, "1\n", "");
    expect(WORDS("run", "--eval", "-e",
                 "result(for(rangeiter(0l, 1000000l, 1l), appender[i64], |b,i,e| merge(b,e)))",
                 "--memory-limit", "100K"),
           NULL, 1, "", "error[OutOfMemory]");
}

/* ---- Ctrl-C
 * ------------------------------------------------------------------------------------------------------ */

static const char endless[] = "iterate(0l, |x| {x + 1l, x >= 0l})";
static const char endless_loop[] =
    "iterate(0l, |x| {result(for(rangeiter(0l, 1000000l, 1l), merger[i64,+], |b,i,e| merge(b,e))), true})";

static void cancel_run(const char *engine, const char *code) {
    Outcome got = weldc_run(WORDS("run", engine, "-e", code), NULL, true);
    cr_expect_eq(got.status, 1, "%s %s: %d %s", engine, code, got.status, got.err);
    cr_expect(strstr(got.err, "<command line>:1:") && strstr(got.err, "error[Cancelled]: "), "%s", got.err);
    outcome_release(&got);
}

Test(faults, interrupted_run) {
    cancel_run("--eval", endless);
    cancel_run("--no-eval", endless);
    cancel_run("--eval", endless_loop);
    cancel_run("--no-eval", endless_loop);
}

Test(faults, interrupted_session) {
    static const char *const engines[] = {"--eval", "--no-eval"};
    for (int i = 0; i < 2; i++) {
        char input[300];
        snprintf(input, sizeof input, "let kept = 41\n%s\nkept + 1\n", endless);
        Outcome got = weldc_run(WORDS("repl", engines[i]), input, true);
        cr_expect_eq(got.status, 0, "%d %s", got.status, got.err);
        cr_expect(strstr(got.err, "error[Cancelled]: "), "%s", got.err);
        cr_expect(strstr(got.out, "42: i32\n"), "%s%s", got.out, got.err);
        outcome_release(&got);
    }
}

/* ---- the command line
 * ------------------------------------------------------------------------------------------------ */

Test(faults, usage) {
    static const struct {
        const char *words[6], *err;
    } usage[] = {
        {{0}, "weldc run"},
        {{"rum"}, "weldc: unknown command rum; did you mean run"},
        {{"run"}, "weldc run: a program is needed"},
        {{"run", "-e"}, "-e needs CODE"},
        {{"run", "--jsom", "-e", "1"}, "unknown option --jsom; did you mean --json"},
        {{"run", "-x", "-e", "1"}, "unknown option -x"},
        {{"run", "--json=yes", "-e", "1"}, "--json takes no value"},
        {{"run", "-e", "1", "--repeat", "0"}, "--repeat takes a number from 1 on"},
        {{"run", "-e", "1", "--repeat", "x"}, "--repeat takes a number from 1 on"},
        {{"run", "-e", "1", "--threads", "0"}, "--threads 0"},
        {{"run", "-e", "1", "--threads", "many"}, "--threads many"},
        {{"run", "-e", "1", "--memory-limit", "big"}, "--memory-limit big"},
        {{"run", "-e", "1", "--set", "nothing"}, "--set takes KEY=VALUE"},
        {{"explain", "-e", "1"}, "--stage is needed"},
        {{"explain", "-e", "1", "--stage", "typd"}, "there is no stage typd; did you mean typed"},
        {{"explain", "-e", "1", "--after", "inline-lett"},
         "there is no pass inline-lett; did you mean inline-let"},
        {{"check", "-e", "1", "2"}, "takes no argument such as `2`"},
        {{"ops", "all"}, "takes no argument such as `all`"},
        {{"repl", "--json"}, "unknown option --json"},
    };
    for (size_t i = 0; i < sizeof usage / sizeof *usage; i++)
        expect(usage[i].words, NULL, 2, "", usage[i].err);
}

Test(faults, broken_pipe) {
    char command[400];
    snprintf(command, sizeof command,
             "'%s' run --eval -e 'result(for(rangeiter(0l, 100000l, 1l), appender[i64], |b,i,e| "
             "merge(b,e)))' 2>'%s' | head -c 1",
             weldc_path(), test_file("err"));
    FILE *pipe = popen(command, "r");
    cr_assert(pipe);
    cr_expect_eq(fgetc(pipe), '[');
    pclose(pipe);
    struct stat status;
    cr_assert(stat(test_file("err"), &status) == 0);
    cr_expect_eq(status.st_size, 0, "a broken pipe is not quiet");
    snprintf(command, sizeof command, "'%s' run -e 1 >/dev/full 2>'%s'", weldc_path(), test_file("err"));
    int full = system(command);
    cr_expect(WIFEXITED(full) && WEXITSTATUS(full) == 1);
}
