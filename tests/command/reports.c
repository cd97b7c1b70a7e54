/* reports.c: what the command says of programs and of itself: --stats, check, explain, the tables, help. */
#include "command.h"

TestSuite(reports, .fini = test_folder_remove, .timeout = 600);

static const char loop[] =
    "|x: vec[i64]| result(for(map(x, |e| e + 1l), merger[i64,+], |b, i, e| merge(b, e)))";

/* The number behind a name of the line of JSON; -1: it is not there. */
static double stat_of(const char *json, const char *name) {
    char key[64];
    snprintf(key, sizeof key, "\"%s\": ", name);
    const char *found = strstr(json, key);
    return found ? strtod(found + strlen(key), NULL) : -1;
}

Test(reports, stats) {
    static const char *const names[] = {"load_ms",    "parse_ms",    "infer_ms",     "optimize_ms",
                                        "codegen_ms", "run_ms",      "run_ms_min",   "total_ms",
                                        "tier",       "threads",     "fragments",    "peak_bytes",
                                        "live_bytes", "allocations", "planned_bytes"};
    static const char *const engines[][2] = {{"--eval", "\"tier\": \"eval\""},
                                             {"--no-eval", "\"tier\": \"jit\""}};
    for (int e = 0; e < 2; e++) {
        Outcome got = weldc_run(WORDS("run", engines[e][0], "--stats", "--repeat", "5", "--set",
                                      "weld.cache=off", "-e", loop, "[1l, 2l]"),
                                NULL, false);
        cr_expect_eq(got.status, 0);
        cr_expect_str_eq(got.out, "5l\n");
        cr_expect(got.err[0] == '{' && strchr(got.err, '\n') == got.err + strlen(got.err) - 1, "%s", got.err);
        const char *at = got.err;
        for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
            char key[40];
            snprintf(key, sizeof key, "\"%s\": ", names[i]);
            const char *found = strstr(at, key);
            cr_assert(found, "%s in %s", key, got.err);
            at = found;
        }
        cr_expect(strstr(got.err, engines[e][1]), "%s", got.err);
        cr_expect(stat_of(got.err, "run_ms_min") <= stat_of(got.err, "run_ms"));
        cr_expect(stat_of(got.err, "total_ms") >= stat_of(got.err, "codegen_ms"));
        cr_expect_eq(stat_of(got.err, "threads"), 1);
        cr_expect_eq(stat_of(got.err, "live_bytes"), 8, "%s", got.err); /* the result */
        outcome_release(&got);
    }
}

/* Vectors that are computed twice for the sake of a budget are counted. */
Test(reports, recomputed) {
    static const char code[] =
        "|d: i64| let x = result(for(rangeiter(0l, d, 1l), appender[f64], |b, i, e| merge(b, f64(e))));"
        " let a = sum(map(x, |e| lookup(x, d - 1l) - e));"
        " let y = result(for(rangeiter(0l, d, 1l), appender[f64], |b, i, e| merge(b, f64(e) * a)));"
        " let b = sum(map(y, |e| lookup(y, d - 1l) - e));"
        " {a, b, sum(map(x, |e| e * b))}";
    static const char *const budgets[] = {"4M", "2M"};
    for (int i = 0; i < 2; i++) {
        char setting[40];
        snprintf(setting, sizeof setting, "weld.memory.budget=%s", budgets[i]);
        Outcome got = weldc_run(WORDS("run", "--no-eval", "--stats", "--set", setting, "-e", code, "150000l"),
                                NULL, false);
        cr_expect_eq(got.status, 0);
        cr_expect_eq(stat_of(got.err, "recomputed"), i ? 1 : -1, "%s", got.err);
        cr_expect(!i || stat_of(got.err, "peak_bytes") < 2 << 20, "%s", got.err);
        outcome_release(&got);
    }
}

/* What each fragment took, by the function that it comes from. */
Test(reports, times) {
    static const char code[] = "|x: vec[f64]| let s = sort(x, |a, b| compare(a, b)); s";
    Outcome got = weldc_run(WORDS("run", "--times", "-e", code, "[2.0, 1.0]"), NULL, false);
    cr_expect_str_eq(got.out, "[1.0, 2.0]\n");
    cr_expect(strstr(got.err, "fragment 0: line 1 of <command line>, a sort: 1 run, ") == got.err, "%s",
              got.err);
    cr_expect(strstr(got.err, "\nthe rest: "), "%s", got.err);
    outcome_release(&got);
    got = weldc_run(WORDS("run", "--times", "--eval", "-e", code, "[2.0, 1.0]"), NULL, false);
    cr_expect(strstr(got.err, "the rest: ") == got.err, "%s", got.err);
    outcome_release(&got);
}

/* Every repetition evaluates anew, and only the last result stays. */
Test(reports, repeat_frees) {
    static const char code[] =
        "result(for(rangeiter(0l, 100000l, 1l), appender[i64], |b, i, e| merge(b, e)))";
    Outcome once = weldc_run(WORDS("run", "--stats", "-e", code), NULL, false);
    Outcome often = weldc_run(WORDS("run", "--stats", "--repeat", "20", "-e", code), NULL, false);
    cr_expect_str_eq(once.out, often.out);
    cr_expect_eq(stat_of(once.err, "live_bytes"), stat_of(often.err, "live_bytes"));
    cr_expect_eq(stat_of(once.err, "peak_bytes"), stat_of(often.err, "peak_bytes"), "%s%s", once.err,
                 often.err);
    cr_expect(stat_of(once.err, "peak_bytes") >= 800000);
    outcome_release(&once);
    outcome_release(&often);
}

/* Inputs count neither as live nor as peak. */
Test(reports, inputs_are_borrowed) {
    FILE *file = fopen(test_file("t.csv"), "w");
    cr_assert(file);
    fprintf(file, "a\n");
    for (int i = 0; i < 200000; i++) fprintf(file, "%d\n", i);
    fclose(file);
    Outcome got =
        weldc_run(WORDS("run", "--stats", "--memory-limit", "200K", "-e", "|a: vec[i64]| sum(a)", "@t.csv:a"),
                  NULL, false);
    cr_expect_str_eq(got.out, "19999900000l\n", "%s", got.err);
    cr_expect(stat_of(got.err, "peak_bytes") < 100000, "%s", got.err);
    cr_expect(stat_of(got.err, "load_ms") > 0);
    outcome_release(&got);
}

Test(reports, check) {
    static const struct {
        const char *code, *out;
    } rows[] = {
        {"5", "i32\n"},
        {"|| 5", "|| i32\n"},
        {"{1l, [2.0]}", "{i64,vec[f64]}\n"},
        {"|x: vec[i64], y: f64| f64(len(x)) * y", "|vec[i64],f64| f64\n"},
        {"|x, y: i64| x + y", "|i64,i64| i64\n"},
        {"|d: dict[i64, vec[f32]]| lookup(d, 1l)", "|dict[i64,vec[f32]]| vec[f32]\n"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        expect(WORDS("check", "-e", rows[i].code), NULL, 0, rows[i].out, "");
    }
    expect(WORDS("check", "-e", "|x: i64| x + 1"), NULL, 1, "", "<command line>:1:");
    expect(WORDS("check", "-e", "|x: i64| x + 1"), NULL, 1, "", "error[Type]");
    expect(WORDS("check", "-"), "|x: i64| x", 0, "|i64| i64\n", "");
}

Test(reports, explain) {
    static const struct {
        const char *stage, *part;
    } rows[] = {{"parsed", "|x: vec[i64]|"},
                {"typed", "merger[i64,+]"},
                {"optimized", "|x: vec[i64]|"},
                {"plan", "fragment 0: line 1 of <command line>"},
                {"picture", "<svg xmlns"},
                {"llvm", "define "},
                {"asm", ".text"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Outcome got = weldc_run(WORDS("explain", "-e", loop, "--stage", rows[i].stage), NULL, false);
        cr_expect_eq(got.status, 0, "%s", got.err);
        cr_expect(strstr(got.out, rows[i].part), "%s: %s", rows[i].stage, got.out);
        cr_expect_str_eq(got.err, "");
        outcome_release(&got);
    }
    Outcome got = weldc_run(WORDS("explain", "-e", loop, "--after", "inline-apply", "--times"), NULL, false);
    cr_expect(strstr(got.out, "|x: vec[i64]|") && !strstr(got.out, "(|e: i64|"), "%s", got.out);
    cr_expect(strstr(got.err, "inline-apply") && strstr(got.err, " ms"), "%s", got.err);
    outcome_release(&got);
    /* What explain prints is a program that does the same. */
    got = weldc_run(WORDS("explain", "-e", loop, "--stage", "optimized"), NULL, false);
    expect(WORDS("run", "-", "[1l, 2l]"), got.out, 0, "5l\n", "");
    outcome_release(&got);
    expect(WORDS("explain", "-e", "1 + 1.5", "--stage", "typed"), NULL, 1, "", "error[Type]");
}

/* A float that is chosen by what nobody foresees, and comes from memory: no branch is made of it. */
Test(reports, choices_of_floats_are_no_branches) {
    const char *code = "|t: vec[vec[i8]], p: vec[f64]| result(for(zip(t, p), merger[f64, +], |b, i, e| "
                       "if(slice(e.$0, 0L, 5L) == \"PROMO\", merge(b, e.$1), b)))";
    Outcome got = weldc_run(
        WORDS("explain", "-e", code, "--stage", "asm", "--set", "weld.processor=x86-64-v3"), NULL, false);
    cr_expect_eq(got.status, 0, "%s", got.err);
    cr_expect(strstr(got.out, "cmov"), "%s", got.out);
    outcome_release(&got);
}

static int occurrences(const char *text, const char *part) {
    int count = 0;
    for (const char *at = text; (at = strstr(at, part)); at++) count++;
    return count;
}

/* Several vectors of a loop are given to a function of mathematics side by side. */
Test(reports, calls_side_by_side) {
    static const char text[] = "|x: vec[f64]| result(for(x, merger[f64,+], |b, i, e| merge(b, exp(e) * e)))";
    Outcome got = weldc_run(
        WORDS("explain", "-e", text, "--stage", "asm", "--set", "weld.processor=x86-64-v3"), NULL, false);
    cr_assert_eq(got.status, 0, "%s", got.err);
    if (!strstr(got.out, "Sleef_")) cr_skip_test("SLEEF is not installed");
    cr_expect_eq(occurrences(got.out, "Sleef_finz_expd4_u10avx2@"), 4, "%s", got.out);
    outcome_release(&got);
}

/* What an iteration has whatever its conditions are is loaded without a mask. */
Test(reports, conditions_without_masks) {
    static const char text[] = "|x: vec[f64], y: vec[i32]| result(for(zip(x, y), merger[f64,+], "
                               "|b, i, e| if(e.$0 < 0.5, merge(b, f64(e.$1) / (e.$0 + 1.0) / (e.$0 + 2.0) "
                               "/ (e.$0 + 3.0) / (e.$0 + 4.0) / (e.$0 + 5.0) / (e.$0 + 6.0)), b)))";
    static const char *const processors[] = {"weld.processor=x86-64-v3", "weld.processor=x86-64-v4"};
    for (int i = 0; i < 2; i++) {
        Outcome got =
            weldc_run(WORDS("explain", "-e", text, "--stage", "llvm", "--set", processors[i]), NULL, false);
        cr_assert_eq(got.status, 0, "%s", got.err);
        cr_expect(strstr(got.out, " x double>") && !strstr(got.out, "masked.load"), "%s", got.out);
        outcome_release(&got);
    }
}

/* With AVX-512 what several conditions compare is loaded before, so that no load is under a mask. */
Test(reports, conditions_of_loads) {
    static const char text[] = "|x: vec[f64], y: vec[f64]| result(for(zip(x, y), merger[f64,+], "
                               "|b, i, e| if(e.$0 < 0.5 && e.$1 > 2.0, merge(b, e.$0), b)))";
    Outcome got = weldc_run(
        WORDS("explain", "-e", text, "--stage", "asm", "--set", "weld.processor=x86-64-v4"), NULL, false);
    cr_assert_eq(got.status, 0, "%s", got.err);
    int compared = 0;
    for (char *rest, *line = strtok_r(got.out, "\n", &rest); line; line = strtok_r(NULL, "\n", &rest)) {
        if (!strstr(line, "vcmp") || !strstr(line, "pd\t")) continue;
        compared++;
        cr_expect(!strchr(line, '(') || !strchr(line, '{'), "%s", line);
    }
    cr_expect(compared > 0);
    outcome_release(&got);
}

/* Without AVX-512 no branch, which nobody could foresee, decides between what a key that is found gives and nothing. */
Test(reports, choices_without_branches) {
    static const char *const types[][2] = {{"f64", "double"}, {"f32", "float"}};
    for (int i = 0; i < 2; i++) {
        char text[300], choice[40];
        snprintf(text, sizeof text,
                 "|d: dict[i64,%s], x: vec[i64]| result(for(x, merger[%s,+], |b, i, e| "
                 "let found = optlookup(d, e); if(found.$0, merge(b, found.$1 * found.$1), b)))",
                 types[i][0], types[i][0]);
        Outcome got =
            weldc_run(WORDS("explain", "-e", text, "--stage", "llvm", "--set", "weld.processor=x86-64-v3"),
                      NULL, false);
        cr_assert_eq(got.status, 0, "%s", got.err);
        snprintf(choice, sizeof choice, ", %s -0.0", types[i][1]);
        cr_expect(strstr(got.out, "select i1") && !strstr(got.out, choice), "%s", got.out);
        outcome_release(&got);
    }
}

Test(reports, tables) {
    static const struct {
        const char *command, *parts[5];
    } rows[] = {{"ops", {"dictmerger[K, V, op]", "lookup(vec, index)", "nditer(", "a << b", "erf(a)"}},
                {"passes", {"inline-let", "loop-fusion"}},
                {"settings", {"weld.memory.limit", "weld.threads", "weld.llvm.optimization.level"}}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Outcome got = weldc_run(WORDS(rows[i].command), NULL, false);
        cr_expect_eq(got.status, 0);
        for (int p = 0; p < 5 && rows[i].parts[p]; p++) {
            cr_expect(strstr(got.out, rows[i].parts[p]), "%s without %s", rows[i].command, rows[i].parts[p]);
        }
        outcome_release(&got);
    }
}

/* Every command that reads a program knows the functions of the adapters that are installed. */
Test(reports, adapters) {
    static const char dot[] = "|x: vec[f64]| cblas.ddot(x, x)";
    Outcome got = weldc_run(WORDS("adapters"), NULL, false);
    bool has_cblas = strstr(got.out, "  cblas.ddot ");
    cr_expect(got.status == 0 &&
              (strstr(got.out, "no adapters are installed") || strstr(got.out, "  fuses ")));
    outcome_release(&got);
    expect(WORDS("adapters", "nowhere"), NULL, 1, "", "error[Library]: an adapter nowhere is not installed");
    expect(WORDS("adapters", "a", "b"), NULL, 2, "", "takes one name");
    if (!has_cblas) return;
    got = weldc_run(WORDS("adapters", "cblas"), NULL, false);
    cr_expect(got.status == 0 && strncmp(got.out, "cblas: ", 7) == 0 && !strstr(got.out, "ndarray"), "%s",
              got.out);
    outcome_release(&got);
    expect(WORDS("check", "-e", dot), NULL, 0, "|vec[f64]| f64\n", "");
    expect(WORDS("run", "-e", dot, "[1.0, 2.0]"), NULL, 0, "5.0\n", "");
    expect(WORDS("run", "-e", "|x| cblas.ddot(x, x)", "[1.0, 2.0]"), NULL, 0, "5.0\n", "");
    Outcome plan = weldc_run(WORDS("explain", "-e", dot, "--stage", "plan"), NULL, false);
    cr_expect(strstr(plan.out, "fragment 0: line 1 of cblas.ddot, a loop over 2 iterators"), "%s", plan.out);
    outcome_release(&plan);
    /* All functions that a fused loop comes from. */
    static const char fused[] =
        "|x: vec[f64], y: vec[f64]| cblas.dasum(cblas.daxpy(2.0, x, map(y, |e| e + 1.0)))";
    plan = weldc_run(WORDS("explain", "-e", fused, "--stage", "plan"), NULL, false);
    cr_expect(strstr(plan.out, "    from   cblas.daxpy, cblas.dasum\n"), "%s", plan.out);
    outcome_release(&plan);
    expect(WORDS("check", "-e", "cblas.ddott([1.0])"), NULL, 1, "", "did you mean ddot?");
}

/* Started by its bare name, as a shell does that finds it in PATH. */
Test(reports, adapters_are_found_from_the_path) {
    char command[8192], line[200] = "";
    Outcome by_path = weldc_run(WORDS("adapters"), NULL, false);
    snprintf(command, sizeof command, "PATH='%s/bin':$PATH weldc adapters", WELD_BINARY_DIR);
    FILE *pipe = popen(command, "r");
    cr_assert(pipe && fgets(line, sizeof line, pipe));
    cr_expect(strncmp(by_path.out, line, strlen(line)) == 0, "%s", line);
    while (fgets(line, sizeof line, pipe)) continue;
    cr_expect_eq(pclose(pipe), 0);
    outcome_release(&by_path);
}

Test(reports, help) {
    static const char *const commands[] = {"run",  "check", "explain", "build",    "bind",
                                           "repl", "ops",   "passes",  "settings", "adapters"};
    Outcome got = weldc_run(WORDS("--help"), NULL, false);
    cr_expect_eq(got.status, 0);
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++) {
        char line[40];
        snprintf(line, sizeof line, "weldc %s ", commands[i]);
        cr_expect(strstr(got.out, line), "%s", commands[i]);
        Outcome one = weldc_run(WORDS(commands[i], "--help"), NULL, false);
        cr_expect(one.status == 0 && strstr(one.out, "--help"), "%s: %s", commands[i], one.out);
        outcome_release(&one);
    }
    outcome_release(&got);
    got = weldc_run(WORDS("--version"), NULL, false);
    cr_expect(got.status == 0 && strncmp(got.out, "weldc ", 6) == 0);
    outcome_release(&got);
}
