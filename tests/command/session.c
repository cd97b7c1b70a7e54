/* session.c: the interactive session, through a pipe and on a terminal. */
#include "command.h"

#include <pty.h>

TestSuite(session, .fini = test_folder_remove, .timeout = 600);

/* One session; what it prints must be all of `out`, and nothing may fail. */
static const struct {
    const char *input, *out;
} sessions[] = {
    {"1 + 2\n", "3: i32\n"},
    {"1 + 2", "3: i32\n"},
    {"\n  \n1.5\n", "1.5: f64\n"},
    {"5;\n", "5: i32\n"},
    {"# nothing\n7c # a comment\n", "7c: i8\n"},
    {"let x = 5\nx + 1\n", "x: i32 = 5\n6: i32\n"},
    {"let x = 5;\nx + 1\n", "x: i32 = 5\n6: i32\n"},
    {"let x = 5; let y = x * 2; x + y\n", "x: i32 = 5\ny: i32 = 10\n15: i32\n"},
    {"let x: vec[i64] = []\nlen(x)\n", "x: vec[i64] = []: vec[i64]\n0l: i64\n"},
    {"let x = [1, 2]\nlet x = map(x, |e| e + 1)\nx\n",
     "x: vec[i32] = [1, 2]\nx: vec[i32] = [2, 3]\n[2, 3]: vec[i32]\n"},
    {"let s = slice([1, 2, 3, 4], 1l, 2l)\nlet t = s\nlet s = 0\nt\n",
     "s: vec[i32] = [2, 3]\nt: vec[i32] = [2, 3]\ns: i32 = 0\n[2, 3]: vec[i32]\n"},
    {"let f = |a: i32| a * 2\nf(21)\n", "f: |i32| i32\n42: i32\n"},
    {"let f = |a, b| a + b\nf(1, 2)\nf(1.5, 2.5)\n", "f: a function\n3: i32\n4.0: f64\n"},
    {"let x = 2; let f = |a: i32| a * x; let x = 10; f(x)\n",
     "x: i32 = 2\nf: |i32| i32\nx: i32 = 10\n20: i32\n"},
    {"let f = |a: i32| let b = a; b * b; f(3)\n", "f: |i32| i32\n9: i32\n"},
    {"let f = |a: i32| a + 1\nlet g = f\nlet f = |a: i32| a - 1\ng(1)\nf(1)\n",
     "f: |i32| i32\ng: |i32| i32\nf: |i32| i32\n2: i32\n0: i32\n"},
    {"macro sq(a) = a * a;\nsq(7)\nmacro sq(a) = a * a * a;\nsq(2)\n", "49: i32\n8: i32\n"},
    {"type P = {i64, f64};\n|p: P| p.$0\n{1l, 2.0}: P\n", "|{i64,f64}| i64\n{1l, 2.0}: {i64,f64}\n"},
    {"|x: i64| x\nlet y = 1l\n|x: i64| x + y\n|y: f64| y\n|| y\n",
     "|i64| i64\ny: i64 = 1l\n|i64| i64\n|f64| f64\n1l: i64\n"},
    {"let f = |a: i64| a + 1l\n|x: i64| f(x)\n", "f: |i64| i64\n|i64| i64\n"},
    {"result(for([1, 2, 3], merger[i32,+],\n  |b, i, e|\n    merge(b, e)))\n", "6: i32\n"},
    {"1 +\n2\n", "3: i32\n"},
    {"|x: i64|\nlet y = x;\ny + 1l\n", "|i64| i64\n"},
    {"\"a\nb\"\n", "\"a\\nb\": vec[i8]\n"},
    {"let d = result(merge(dictmerger[i64,i64,+], {1l, 2l}))\nlookup(d, 1l)\n", NULL},
    {":type map([1], |e| f64(e))\n", "vec[f64]\n"},
    {"let x = 1l\n:type x + 1l\n:t |z: f64| z\n", "x: i64 = 1l\ni64\n|f64| f64\n"},
    {":type (1 +\n2)\n", "i32\n"},
    {":type let a = 1; a\n", "i32\n"},
    {":ir |x: i64| x + 1l\n", "|x: i64| x + 1l\n"},
    {":set weld.threads 2\n:get weld.threads\nsetconf weld.threads 1\ngetconf weld.threads\n", "2\n1\n"},
    {"let a = 1; macro m(x) = x; type T = i64;\n:names\n",
     "a: i32 = 1\na: i32\nmacro m(x) = x;\ntype T = i64;\n"},
    {"1\n:quit\n2\n", "1: i32\n"},
    {"1\nquit\n2\n", "1: i32\n"},
};

Test(session, inputs) {
    static const char *const engines[] = {"--eval", "--no-eval"};
    for (size_t i = 0; i < 2 * sizeof sessions / sizeof *sessions; i++) {
        expect(WORDS("repl", engines[i % 2]), sessions[i / 2].input, 0, sessions[i / 2].out, "");
    }
}

/* Each line fails, and the session goes on. */
Test(session, errors_never_end_it) {
    static const struct {
        const char *line, *err;
    } rows[] = {
        {"x +* 2", "<input>:1:4: error[Syntax]"},
        {"let x = foo + 1", "<input>:1:9: error[Type]: there is no name foo"},
        {"1; 2; 3", "error[Syntax]"},
        {"let = 5", "error[Syntax]"},
        {"let y = 1 / 0", "<input>:1:9: error[DivisionByZero]"},
        {"let f = |a: i32| a + 1.5", "error[Type]"},
        {"macro m(x = 1;)", "error[Syntax]"},
        {"type T = nothing;", "error["},
        {":foo", "there is no command :foo; try :help"},
        {":tpe 1", "did you mean :type"},
        {":load", "usage: :load"},
        {":load nowhere.npy as x", "error[File]: cannot open nowhere.npy"},
        {":load nowhere.weld", "error[File]: cannot read nowhere.weld"},
        {":load libnowhere.so", "error[Library]"},
        {":set", "usage: :set"},
        {":set weld.threds 2", "there is no setting weld.threds; did you mean weld.threads"},
        {":set weld.threads abc", "error[Setting]: weld.threads cannot be \"abc\""},
        {":type 1 +* 2", "<input>:1:4: error[Syntax]"},
        {":llvm nothing", "<input>:1:1: error[Type]"},
        {"\x01\x02", "error[Syntax]"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        char input[200];
        snprintf(input, sizeof input, "let kept = 41\n%s\nkept + 1\n", rows[i].line);
        expect(WORDS("repl", "--eval"), input, 0, "kept: i32 = 41\n42: i32\n", rows[i].err);
    }
}

Test(session, files) {
    test_write("t.csv", "a,b\n1,2.5\n3,4.5\n", 16);
    test_write("p.weld", "let q = 5;\nq * 2\n", 17);
    expect(WORDS("repl"), ":load t.csv as t\nt.$1\nload @t.csv:a as a\na\n", 0,
           "t: {vec[i64],vec[f64]}\n[2.5, 4.5]: vec[f64]\na: vec[i64], 2 elements\n[1l, 3l]: vec[i64]\n", "");
    expect(WORDS("repl"), "load p.weld\nq\n", 0, "q: i32 = 5\n10: i32\n5: i32\n", "");
    expect(WORDS("repl", "-i", "p.weld"), NULL, 0, "q: i32 = 5\n10: i32\n", "");
}

Test(session, stages) {
    Outcome got = weldc_run(WORDS("repl"),
                            "let k = 3l\n:opt |x: i64| x + k\n:plan |x: i64| x + k\n:llvm |x: i64| x + "
                            "k\n:asm |x: i64| x\n:time k + 1l\n:help\n",
                            0);
    cr_expect_str_eq(got.err, "");
    static const char *const parts[] = {"arguments: k: i64, x: i64", "define i32 @", ".text",
                                        "4l: i64\nparse ",           " run ",        ":load"};
    for (size_t i = 0; i < sizeof parts / sizeof *parts; i++)
        cr_expect(strstr(got.out, parts[i]), "%s in\n%s", parts[i], got.out);
    outcome_release(&got);
}

/* ---- on a terminal
 * ------------------------------------------------------------------------------------------------- */

typedef struct Terminal {
    int file;
    pid_t pid;
    char seen[1 << 16];
    size_t length;
} Terminal;

static void terminal_open(Terminal *t, const char *engine) {
    const char *folder = test_folder();
    t->length = 0;
    t->pid = forkpty(&t->file, NULL, NULL, NULL);
    cr_assert(t->pid >= 0);
    if (t->pid == 0) {
        setenv("TERM", "xterm", 1);
        setenv("XDG_STATE_HOME", folder, 1);
        execl(weldc_path(), "weldc", "repl", engine, (char *)NULL);
        _exit(126);
    }
}

/* Waits until the terminal shows the text, after what was waited for before. */
static bool terminal_wait(Terminal *t, const char *text) {
    time_t start = time(NULL);
    while (time(NULL) - start < SECONDS) {
        t->seen[t->length] = 0;
        char *found = strstr(t->seen, text);
        if (found) {
            size_t used = (size_t)(found - t->seen) + strlen(text);
            memmove(t->seen, t->seen + used, t->length - used);
            t->length -= used;
            return true;
        }
        struct pollfd poll_for = {.fd = t->file, .events = POLLIN};
        if (poll(&poll_for, 1, 500) <= 0) continue;
        ssize_t got = read(t->file, t->seen + t->length, sizeof t->seen - 1 - t->length);
        if (got <= 0) return false;
        t->length += (size_t)got;
    }
    return false;
}

static void terminal_type(Terminal *t, const char *text) {
    cr_assert(write(t->file, text, strlen(text)) == (ssize_t)strlen(text));
}

static void on_terminal(const char *engine) {
    Terminal t;
    terminal_open(&t, engine);
    cr_expect(terminal_wait(&t, ">>> "), "no prompt: %s", t.seen);
    terminal_type(&t, "let kept = 41\r");
    cr_expect(terminal_wait(&t, "kept: i32 = 41"), "%s", t.seen);
    cr_expect(terminal_wait(&t, ">>> "));
    terminal_type(&t, "nonsense \003"); /* Ctrl-C drops the line */
    cr_expect(terminal_wait(&t, "^C") && terminal_wait(&t, ">>> "), "%s", t.seen);
    terminal_type(&t, "(1 +\r");
    cr_expect(terminal_wait(&t, "... "), "%s", t.seen);
    terminal_type(&t, "\003"); /* and an input that is not complete */
    cr_expect(terminal_wait(&t, "^C") && terminal_wait(&t, ">>> "), "%s", t.seen);
    terminal_type(&t, "iterate(0l, |x| {x + 1l, x >= 0l})\r");
    wait_busy(t.pid);
    terminal_type(&t, "\003"); /* stops the run */
    cr_expect(terminal_wait(&t, "error[Cancelled]"), "%s", t.seen);
    cr_expect(terminal_wait(&t, ">>> "));
    terminal_type(&t, "kept + 1\r");
    cr_expect(terminal_wait(&t, "42: i32"), "%s", t.seen);
    cr_expect(terminal_wait(&t, ">>> "));
    terminal_type(&t, "\033[A"); /* the history's last line */
    terminal_type(&t, "0\r");
    cr_expect(terminal_wait(&t, "51: i32"), "%s", t.seen);
    cr_expect(terminal_wait(&t, ">>> "));
    terminal_type(&t, "\004");
    terminal_wait(&t, "what never comes"); /* its end: a terminal that nobody reads holds the process up */
    int status;
    waitpid(t.pid, &status, 0);
    cr_expect(WIFEXITED(status) && WEXITSTATUS(status) == 0, "%s", t.seen);
    close(t.file);
    struct stat history;
    cr_expect(stat(test_file("weldc/history"), &history) == 0 && history.st_size > 0, "no history was kept");
}

Test(session, terminal_interpreted) {
    on_terminal("--eval");
}
Test(session, terminal_compiled) {
    on_terminal("--no-eval");
}
