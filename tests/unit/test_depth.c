/* test_depth.c: programs that are long or deep: merged fragments make such programs, not people.
 *
 * Each row makes a program of `size` parts. Reading, typing, verifying, optimizing and interpreting it must
 * give the right answer and take a time that is linear in practice: the limit holds for one phase, and is
 * widened under sanitizers. Malformed texts of a million characters must end in a Syntax error as quickly.
 *
 * A smaller stack than usual is set first, so that recursion without a guard shows here and not at a user's.
 */
#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#include "../../weldc/weldc.h"

/* Than the machine that the bounds were taken on. */
enum { SLOWER = SANITIZED ? 60 : 3 };

/* Of the processor: other tests run at the same time. */
static double now(void) {
    struct timespec time;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static void repeat(Buf *out, const char *text, int count) {
    for (int i = 0; i < count; i++) buf_put(out, text, strlen(text));
}

/* ---- the programs; every answer is an i64 ---- */

static int64_t chained_lets(Buf *out, int size) {
    buf_printf(out, "let x0 = 0l; ");
    for (int i = 0; i < size; i++) buf_printf(out, "let x%d = x%d + 1l; ", i + 1, i);
    buf_printf(out, "x%d", size);
    return size;
}

/* Each value is used twice: by name this is linear, by text it would be two to the size. */
static int64_t doubling_lets(Buf *out, int size) {
    buf_printf(out, "let x0 = 1l; ");
    for (int i = 0; i < size; i++) buf_printf(out, "let x%d = x%d + x%d; ", i + 1, i, i);
    buf_printf(out, "x%d", size);
    return 0; /* 2^size wraps */
}

static int64_t shadowing_lets(Buf *out, int size) {
    buf_printf(out, "let x = 0l; ");
    repeat(out, "let x = x + 1l; ", size);
    buf_printf(out, "x");
    return size;
}

/* An annotation on the last name decides the type of all: inference must not walk the chain each time. */
static int64_t chained_lets_typed_at_the_end(Buf *out, int size) {
    buf_printf(out, "(|x0| ");
    for (int i = 0; i < size; i++) buf_printf(out, "let x%d = x%d; ", i + 1, i);
    buf_printf(out, "let y: i64 = x%d; y)(7l)", size);
    return 7;
}

static int64_t chained_functions(Buf *out, int size) {
    buf_printf(out, "let g0 = |x: i64| x + 1l; ");
    for (int i = 0; i < size; i++) buf_printf(out, "let g%d = |x: i64| g%d(x) + 1l; ", i + 1, i);
    buf_printf(out, "g%d(0l)", size);
    return size + 1;
}

static int64_t parentheses(Buf *out, int size) {
    repeat(out, "(", size);
    buf_printf(out, "5l");
    repeat(out, ")", size);
    return 5;
}

static int64_t negations(Buf *out, int size) {
    repeat(out, "- ", size);
    buf_printf(out, "(5l)");
    return size % 2 ? -5 : 5;
}

static int64_t right_sums(Buf *out, int size) {
    repeat(out, "1l + (", size);
    buf_printf(out, "0l");
    repeat(out, ")", size);
    return size;
}

static int64_t left_sums(Buf *out, int size) {
    buf_printf(out, "0l");
    repeat(out, " + 1l", size);
    return size;
}

static int64_t ifs_in_arms(Buf *out, int size) {
    for (int i = 0; i < size; i++) buf_printf(out, "if(%dl > 3l, %dl, ", i % 4, i);
    buf_printf(out, "77l");
    repeat(out, ")", size);
    return 77;
}

static int64_t ifs_in_conditions(Buf *out, int size) {
    repeat(out, "if(", size);
    buf_printf(out, "true");
    for (int i = 0; i < size - 1; i++) buf_printf(out, ", true, false)");
    buf_printf(out, ", 1l, 2l)");
    return 1;
}

static int64_t lets_in_values(Buf *out, int size) {
    repeat(out, "(let x = ", size);
    buf_printf(out, "0l");
    repeat(out, "; x + 1l)", size);
    return size;
}

static int64_t lets_in_arguments(Buf *out, int size) {
    repeat(out, "min(let x = ", size);
    buf_printf(out, "9l");
    repeat(out, "; x, 100l)", size);
    return 9;
}

static int64_t structs(Buf *out, int size) {
    repeat(out, "{", size);
    buf_printf(out, "3l");
    repeat(out, "}", size);
    repeat(out, ".$0", size);
    return 3;
}

static int64_t vectors(Buf *out, int size) {
    buf_printf(out, "len(");
    repeat(out, "[", size);
    buf_printf(out, "3l");
    repeat(out, "]", size);
    buf_printf(out, ")");
    return 1;
}

static int64_t applications(Buf *out, int size) {
    repeat(out, "(|x: i64| x + 1l)(", size);
    buf_printf(out, "0l");
    repeat(out, ")", size);
    return size;
}

static int64_t short_circuits(Buf *out, int size) {
    buf_printf(out, "if(");
    repeat(out, "true && (", size);
    buf_printf(out, "false");
    repeat(out, ")", size);
    buf_printf(out, ", 1l, 2l)");
    return 2;
}

static int64_t macro_calls(Buf *out, int size) {
    buf_printf(out, "macro inc(x) = x + 1l; ");
    repeat(out, "inc(", size);
    buf_printf(out, "0l");
    repeat(out, ")", size);
    return size;
}

static int64_t long_vector(Buf *out, int size) {
    buf_printf(out, "sum([");
    repeat(out, "1l, ", size);
    buf_printf(out, "0l])");
    return size;
}

static int64_t sibling_loops(Buf *out, int size) {
    buf_printf(out, "let v = [1l, 2l, 3l]; 0l");
    repeat(out, " + result(for(v, merger[i64, +], |b, i, e| merge(b, e)))", size);
    return 6 * size;
}

static int64_t sibling_loops_by_lets(Buf *out, int size) {
    buf_printf(out, "let v = [1l, 2l, 3l]; let s0 = 0l; ");
    for (int i = 0; i < size; i++)
        buf_printf(out, "let s%d = s%d + result(for(v, merger[i64, +], |b, i, e| merge(b, e))); ", i + 1, i);
    buf_printf(out, "s%d", size);
    return 6 * size;
}

static int64_t nested_loops(Buf *out, int size) {
    for (int i = 0; i < size; i++)
        buf_printf(out, "result(for([1l], merger[i64, +], |b%d, i, e| merge(b%d, e + ", i, i);
    buf_printf(out, "0l");
    repeat(out, ")))", size);
    return size;
}

static int64_t chained_maps(Buf *out, int size) {
    buf_printf(out, "let v0 = [1l, 2l]; ");
    for (int i = 0; i < size; i++) buf_printf(out, "let v%d = map(v%d, |x| x + 1l); ", i + 1, i);
    buf_printf(out, "lookup(v%d, 1l)", size);
    return size + 2;
}

/* A value used twice in each function of a chain is computed once. */
static int64_t chained_maps_using_twice(Buf *out, int size) {
    buf_printf(out, "let v0 = [0l, 2l]; ");
    for (int i = 0; i < size; i++) buf_printf(out, "let v%d = map(v%d, |x| x + x); ", i + 1, i);
    buf_printf(out, "lookup(v%d, 0l)", size);
    return 0;
}

static int64_t nested_maps(Buf *out, int size) {
    buf_printf(out, "lookup(");
    repeat(out, "map(", size);
    buf_printf(out, "[1l]");
    repeat(out, ", |x| x + 1l)", size);
    buf_printf(out, ", 0l)");
    return size + 1;
}

static int64_t zips_of_one_value(Buf *out, int size) {
    buf_printf(out, "let v0 = [0l, 1l]; ");
    for (int i = 0; i < size; i++)
        buf_printf(out, "let v%d = map(zip(v%d, v%d), |e| e.$0 + e.$1); ", i + 1, i, i);
    buf_printf(out, "lookup(v%d, 0l)", size);
    return 0;
}

/* Each table has two uses, so that none is fused into the next. */
static int64_t chained_tables(Buf *out, int size) {
    buf_printf(out, "let t0 = result(for([1l], appender[{i64, i64}], |b, i, e| merge(b, {e, i}))); ");
    for (int i = 0; i < size; i++)
        buf_printf(out,
                   "let t%d = result(for(t%d, appender[{i64, i64}], |b, i, e| "
                   "if(e.$0 < 9l + len(t%d) * 100000l, merge(b, {e.$0 + 1l, e.$0}), b))); ",
                   i + 1, i, i);
    buf_printf(out, "lookup(t%d, 0l).$1", size);
    return size;
}

static const struct {
    const char *name;
    int64_t (*make)(Buf *out, int size);
    int size;
    double seconds; /* the most that a phase may take */
} programs[] = {
    {"chained lets", chained_lets, 10000, 1},
    {"doubling lets", doubling_lets, 10000, 1},
    {"shadowing lets", shadowing_lets, 10000, 1},
    {"chained lets typed at the end", chained_lets_typed_at_the_end, 10000, 1},
    {"chained functions", chained_functions, 1000, 1},
    {"parentheses", parentheses, 2000, 1},
    {"parentheses", parentheses, 10000, 1},
    {"negations", negations, 2000, 1},
    {"negations", negations, 10001, 1},
    {"sums to the right", right_sums, 2000, 1},
    {"sums to the right", right_sums, 9900, 1},
    {"sums to the left", left_sums, 10000, 1},
    {"ifs in arms", ifs_in_arms, 2000, 1},
    {"ifs in arms", ifs_in_arms, 10000, 1},
    {"ifs in conditions", ifs_in_conditions, 2000, 1},
    {"ifs in conditions", ifs_in_conditions, 10000, 1},
    {"lets in values", lets_in_values, 2000, 1},
    {"lets in values", lets_in_values, 9900, 1},
    {"lets in arguments", lets_in_arguments, 2000, 1},
    {"lets in arguments", lets_in_arguments, 9900, 1},
    {"structs", structs, 2000, 1},
    {"vectors", vectors, 2000, 1},
    {"applications", applications, 2000, 1},
    {"applications", applications, 9900, 1},
    {"short circuits", short_circuits, 9900, 1},
    {"macro calls", macro_calls, 25, 1},
    {"a long vector", long_vector, 100000, 1},
    {"sibling loops", sibling_loops, 1000, 1},
    {"sibling loops by lets", sibling_loops_by_lets, 1000, 1},
    {"nested loops", nested_loops, 500, 1},
    {"chained maps", chained_maps, 10000, 2},
    {"chained maps using twice", chained_maps_using_twice, 10000, 2},
    {"nested maps", nested_maps, 25, 1},
    {"zips of one value", zips_of_one_value, 10000, 2},
    {"chained tables", chained_tables, 2000, 2},
};

static void small_stack(void) {
    struct rlimit limit;
    getrlimit(RLIMIT_STACK, &limit);
    if (limit.rlim_cur == RLIM_INFINITY || limit.rlim_cur > 8 << 20) {
        limit.rlim_cur = 8 << 20;
        setrlimit(RLIMIT_STACK, &limit);
    }
}

static void phase_done(const char *name, int size, const char *phase, bool ok, const Program *program,
                       double *start, double seconds) {
    double end = now(), took = end - *start;
    cr_assert(ok, "%d %s: %s fails: %s: %s", size, name, phase, error_name(program->error.code),
              program->error.text);
    cr_expect(took < seconds * SLOWER, "%d %s: %s takes %.2f s", size, name, phase, took);
    if (getenv("VERBOSE")) fprintf(stderr, "%6d %-30s %-9s %7.1f ms\n", size, name, phase, took * 1e3);
    *start = now();
}

static int64_t interpret(const char *name, Program *program) {
    static const int32_t never = 0;
    Budget budget;
    budget_init(&budget, 0);
    Region *region = region_new(&budget);
    Worker worker = {.cancel = &never, .region = region};
    int64_t answer = -1;
    cr_assert(program_result_type(program)->kind == TY_i64, "%s", name);
    ErrorCode code = program_eval(program, &worker, NULL, &answer);
    cr_assert(code == E_None, "%s: %s: %s", name, error_name(code), worker.error.text);
    region_free(region);
    cr_expect(budget.live == 0, "%s leaves %lld bytes", name, (long long)budget.live);
    return answer;
}

static void check_program(const char *name, int64_t (*make)(Buf *, int), int size, double seconds) {
    Buf text = {0}, printed = {0};
    int64_t expected = make(&text, size);
    double start = now();
    Program *program = program_new("deep", text.text, text.length);
    cr_assert(program);
    bool ok = program_read(program);
    phase_done(name, size, "read", ok, program, &start, seconds);
    ok = program_infer(program, NULL);
    phase_done(name, size, "infer", ok, program, &start, seconds);
    ok = program_verify(program);
    phase_done(name, size, "verify", ok, program, &start, seconds);
    program_print(&printed, program, true);
    phase_done(name, size, "print", printed.text && !printed.failed, program, &start, seconds);
    int64_t answer = interpret(name, program);
    phase_done(name, size, "eval", true, program, &start, seconds);
    cr_expect(answer == expected, "%d %s: %lld, not %lld", size, name, (long long)answer,
              (long long)expected);
    PassOptions options = {.level = 2, .verify = true};
    ok = program_optimize(program, &options);
    phase_done(name, size, "optimize", ok, program, &start, seconds);
    answer = interpret(name, program);
    phase_done(name, size, "eval again", true, program, &start, seconds);
    cr_expect(answer == expected, "optimized %d %s: %lld, not %lld", size, name, (long long)answer,
              (long long)expected);
    program_free(program);
    buf_release(&text);
    buf_release(&printed);
}

Test(depth, long_and_deep_programs, .timeout = 600) {
    small_stack();
    for (size_t i = 0; i < sizeof programs / sizeof *programs; i++)
        check_program(programs[i].name, programs[i].make, programs[i].size, programs[i].seconds);
}

/* ---- texts that are no programs ---- */

static const struct {
    const char *start, *part, *end;
    ErrorCode code;
} faulty[] = {
    {"", "(", "", E_Syntax},
    {"", "[", "", E_Syntax},
    {"", "{", "", E_Syntax},
    {"", "-", "", E_Syntax},
    {"", "!", "", E_Syntax},
    {"", "~", "", E_Syntax},
    {"", "if(", "", E_Syntax},
    {"", "|x| ", "", E_Syntax},
    {"", "||", "", E_Syntax},
    {"", "let x = ", "", E_Syntax},
    {"", "let x = 1; ", "", E_Syntax},
    {"", "1 + ", "", E_Syntax},
    {"", "1 + (", "", E_Syntax},
    {"1", ": vec[", "", E_Syntax},
    {"1: ", "vec[", "", E_Syntax},
    {"1: ", "{", "", E_Syntax},
    {"", "@(a: 1)", "", E_Syntax},
    {"", "f(", "", E_Syntax},
    {"x", ".$0", "", E_Type},
    {"", "result(for(", "", E_Syntax},
    {"", ")", "", E_Syntax},
    {"\"", "a", "", E_Syntax},
    {"", "9", "", E_Syntax},
    {"", "a", "", E_Type},
    {"", "macro m(x) = ", "", E_Syntax},
};

/* Syntax errors at once, also where the text nests a million deep. A name of a million letters, and fields of
 * a name that nobody bound, are errors of whichever phase resolves names. */
Test(depth, malformed_texts, .timeout = 600) {
    small_stack();
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++) {
        Buf text = {0};
        buf_printf(&text, "%s", faulty[i].start);
        repeat(&text, faulty[i].part, 1000000);
        buf_printf(&text, "%s", faulty[i].end);
        double start = now();
        Program *program = program_new("faulty", text.text, text.length);
        cr_assert(program);
        bool ok = program_read(program) && program_infer(program, NULL);
        ErrorCode code = program->error.code;
        double took = now() - start;
        cr_expect(!ok && (code == faulty[i].code || (faulty[i].code == E_Type && code == E_Syntax)),
                  "a million %s give %s: %s", faulty[i].part, error_name(code), program->error.text);
        cr_expect(took < 2 * SLOWER, "a million %s take %.2f s", faulty[i].part, took);
        if (getenv("VERBOSE"))
            fprintf(stderr, "%-14s %-7s %7.1f ms  %.60s\n", faulty[i].part, error_name(code), took * 1e3,
                    program->error.text);
        program_free(program);
        buf_release(&text);
    }
}

/* Macros that double their argument grow a program exponentially: a limit ends that. */
Test(depth, macros_that_explode, .timeout = 600) {
    small_stack();
    Buf text = {0};
    buf_printf(&text, "macro m0(x) = x + x; ");
    for (int i = 0; i < 60; i++) buf_printf(&text, "macro m%d(x) = m%d(m%d(x)); ", i + 1, i, i);
    buf_printf(&text, "m60(1)");
    double start = now();
    Program *program = program_new("macros", text.text, text.length);
    cr_assert(program);
    cr_expect(!program_read(program));
    cr_expect(program->error.code != E_None && program->error.code != E_Internal, "%s",
              error_name(program->error.code));
    double took = now() - start;
    cr_expect(took < 2 * SLOWER, "%.2f s", took);
    program_free(program);
    buf_release(&text);
}
