/* test_eval.c: the interpreter: every construct with its value, every failure with its code and place.
 *
 * Two tables: programs with their results as JSON, and programs that fail with the code and the text that the
 * error points at. Then what a table cannot say: arguments, builders passed between programs, memory,
 * cancelling, foreign functions, depth.
 */
#include "../../lang/lang.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static Program *typed(const char *text) {
    Program *program = program_new("test", text, strlen(text));
    cr_assert(program);
    if (program_read(program) && program_infer(program, NULL) && program_verify(program)) return program;
    Buf buf = {0};
    program_render_error(program, &program->error, &buf);
    cr_assert_fail("%s", buf.text);
    return NULL;
}

/* A run: its own budget, region and worker. */
typedef struct Run {
    Budget budget;
    int32_t cancel;
    Worker worker;
    Program *program;
    void *out;
    ErrorCode code;
} Run;

static void run_open(Run *run, const char *text, int64_t limit) {
    memset(run, 0, sizeof *run);
    budget_init(&run->budget, limit);
    run->program = typed(text);
    run->worker = (Worker){.cancel = &run->cancel, .region = region_new(&run->budget)};
    run->out = calloc(1, (size_t)program_result_type(run->program)->size + 1);
}

static void run_eval(Run *run, const char *text, const void *args) {
    run_open(run, text, 0);
    run->code = program_eval(run->program, &run->worker, args, run->out);
}

/* Everything is given back, whatever happened. */
static void run_close(Run *run) {
    region_free(run->worker.region);
    cr_expect_eq(run->budget.live, 0, "%lld bytes are lost", (long long)run->budget.live);
    free(run->out);
    program_free(run->program);
}

static void expect_json(Run *run, const char *text, const char *json) {
    Buf buf = {0};
    if (run->code) {
        program_render_error(run->program, &run->worker.error, &buf);
        cr_expect_fail("%s", buf.text);
    } else {
        value_print_json(&buf, program_result_type(run->program), run->out);
        cr_expect_str_eq(buf.text, json, "%s\n  gives %s\n  not   %s", text, buf.text, json);
    }
    buf_release(&buf);
}

typedef struct Case {
    const char *text, *json;
} Case;

static void expect_all(const Case *cases, size_t count) {
    for (size_t i = 0; i < count; i++) {
        Run run;
        run_eval(&run, cases[i].text, NULL);
        expect_json(&run, cases[i].text, cases[i].json);
        run_close(&run);
    }
}
#define EXPECT_ALL(cases) expect_all(cases, sizeof(cases) / sizeof *(cases))

static const Case constants[] = {
    {"5", "5"},
    {"-128c", "-128"},
    {"18446744073709551615ul", "18446744073709551615"},
    {"true", "true"},
    {"0.1", "0.1"},
    {"0.1f", "0.1"},
    {"16777216f", "16777216.0"},
    {"-0.0", "-0.0"},
    {"1e300 * 1e300", "\"inf\""},
    {"-1.0 / 0.0", "\"-inf\""},
    {"0.0 / 0.0", "\"nan\""},
    {"\"ab\"", "[97,98]"},
    {"\"\"", "[]"},
    {"{1, {2l, [3.5]}, true}", "[1,[2,[3.5]],true]"},
    {"{}", "[]"},
    {"[[1], []]", "[[1],[]]"},
    {"[]: vec[{i64, f64}]", "[]"},
    {"let x = 1; let y = x + 1; {x, y}", "[1,2]"},
    {"let x = 1; let x = {x, 2.0}; x.$1", "2.0"},
    {"let a = let b = 3; b * b; a + 1", "10"},
    {"(|x, y| {y, x})(1, 2l)", "[2,1]"},
    {"let f = |x| x * x; f(3) + f(4)", "25"},
    {"{1, {2, {3, 4}}}.$1.$1.$0", "3"},
};

static const Case operators[] = {
    {"2147483647 + 1", "-2147483648"},
    {"(-2147483648) / -1", "-2147483648"},
    {"(-2147483648) % -1", "0"},
    {"(-9223372036854775808l) / -1l", "-9223372036854775808"},
    {"-(-128c)", "-128"},
    {"-(1uc)", "255"},
    {"0ul - 1ul", "18446744073709551615"},
    {"{-7 / 2, -7 % 2, 7 / -2, 7 % -2}", "[-3,-1,-3,1]"},
    {"{1c << 9c, -8c >> 1c, 200uc >> 1uc, 1l << 64l, -1 >> 31}", "[2,-4,100,1,-1]"},
    {"{~0, ~5uc, 6 & 3, 6 | 3, 6 ^ 3}", "[-1,250,2,7,5]"},
    {"{true & false, true | false, true ^ true, !true}", "[false,true,false,false]"},
    {"{min(1, 2), max(1.0, 2.0), min(0.0 / 0.0, 1.0), max(1.0, 0.0 / 0.0)}", "[1,2.0,1.0,1.0]"},
    {"{min(-1, 1), min(1uc, 255uc), max(-1c, 1c)}", "[-1,1,1]"},
    {"{5.5 % 2.0, -5.5 % 2.0, pow(2.0, 10.0), pow(2f, 0.5f)}", "[1.5,-1.5,1024.0,1.4142135]"},
    {"{sqrt(2.0), exp(0.0), log(1.0), erf(0.0), sin(0.0), cos(0.0), tan(0.0)}",
     "[1.4142135623730951,1.0,0.0,0.0,0.0,1.0,0.0]"},
    {"{asin(0.0), acos(1.0), atan(0.0), sinh(0.0), cosh(0.0), tanh(0.0)}", "[0.0,0.0,0.0,0.0,1.0,0.0]"},
    {"-(0.0)", "-0.0"},
    {"0.1f + 0.2f", "0.3"},
    {"0.1 + 0.2", "0.30000000000000004"},
    {"let n = 0.0 / 0.0; {n == n, n != n, n < n, n >= n, n < 1.0}", "[false,true,false,false,false]"},
    {"{0.0 == -0.0, -1c < 1c, 255uc > 1uc, 0x80000000u > 1u}", "[true,true,true,true]"},
    {"{[1, 2] < [1, 2, 0], [1, 3] > [1, 2, 9], [1] == [1], [1] != [2]}", "[true,true,true,true]"},
    {"{\"\\xff\" < \"a\", \"ab\" <= \"ab\", false < true}", "[true,true,true]"},
    {"{{1, 2.0} < {1, 3.0}, {1, [2]} == {1, [2]}, {2, 0} >= {1, 9}}", "[true,true,true]"},
    {"let n = [0.0 / 0.0]; {n == n, n != n, n < n, n <= n}", "[false,true,false,false]"},
    {"{true && false, true || false, false && (1 / 0 == 1), true || (1 / 0 == 1)}",
     "[false,true,false,true]"},
};

static const Case casts[] = {
    {"{i8(300), i8(-129l), u8(-1), u16(70000), i32(4294967295ul), u64(-1c)}",
     "[44,127,255,4464,-1,18446744073709551615]"},
    {"{i32(1e10), i32(-1e10), i32(2.9), i32(-2.9), i32(0.0 / 0.0), u8(-5.0), u8(300f), u64(1e30)}",
     "[2147483647,-2147483648,2,-2,0,0,255,18446744073709551615]"},
    {"{i64(9.3e18), i64(-9.3e18), i8(127.9), i8(-128.9)}",
     "[9223372036854775807,-9223372036854775808,127,-128]"},
    {"i64(f32(9007199791611905l))", "9007200328482816"},
    {"f64(18446744073709551615ul)", "1.8446744073709552e+19"},
    {"{bool(0.5), bool(0), bool(-3), bool(0.0), i32(true), f64(false)}", "[true,false,true,false,1,0.0]"},
};

static const Case choices[] = {
    {"if(true, 1, 1 / 0)", "1"},
    {"if(1 > 2, 1 / 0, 7)", "7"},
    {"select(false, [1], [2, 3])", "[2,3]"},
    {"assert(1 < 2)", "true"},
    {"iterate(1, |x| {x * 2, x < 50})", "128"},
    {"iterate({0l, 1l, 10}, |s| {{s.$1, s.$0 + s.$1, s.$2 - 1}, s.$2 > 1})", "[55,89,0]"},
    {"iterate(1, |x| {x + 1, false})", "2"},
    {"iterate([1.0], |v| {map(v, |x| x + 1.0), lookup(v, 0l) < 9.0})", "[10.0]"},
};

static const Case vectors[] = {
    {"len([1, 2, 3])", "3"},
    {"len(\"#abc\")", "4"},
    {"lookup([1, 2, 3], 2l)", "3"},
    {"lookup([[1], [2, 3]], 1l)", "[2,3]"},
    {"lookup([{1, 2.0}], 0l).$1", "2.0"},
    {"slice([1, 2, 3, 4], 1l, 2l)", "[2,3]"},
    {"slice([1, 2, 3], 2l, 9223372036854775807l)", "[3]"},
    {"{slice([1], 1l, 1l), slice([1], 9223372036854775807l, 1l), slice([1], 0l, 0l)}", "[[],[],[]]"},
    {"sort([3, 1, 2], |a, b| compare(a, b))", "[1,2,3]"},
    {"sort([{1, 0}, {0, 1}, {1, 2}, {0, 3}], |a, b| compare(a.$0, b.$0))", "[[0,1],[0,3],[1,0],[1,2]]"},
    {"sort([3, 1, 2], |a, b| compare(b, a))", "[3,2,1]"},
    {"sort([]: vec[f64], |a, b| compare(a, b))", "[]"},
    {"let v = [2, 1]; {sort(v, |a, b| compare(a, b)), v}", "[[1,2],[2,1]]"},
    {"map([1, 2], |x| {x, [x]})", "[[1,[1]],[2,[2]]]"},
    {"filter([1, 2, 3, 4], |x| x % 2 == 0)", "[2,4]"},
    {"flatten([[1, 2], [], [3]])", "[1,2,3]"},
    {"sum([1.5, 2.5])", "4.0"},
};

static const Case builders[] = {
    {"result(appender[i64])", "[]"},
    {"result(merge(merge(appender[i64], 1l), 2l))", "[1,2]"},
    {"result(for([1, 2, 3], appender[i32](0l), |b, i, x| merge(b, x)))", "[1,2,3]"},
    {"result(for([1, 2, 3], appender[i32](-5l), |b, i, x| merge(b, x)))", "[1,2,3]"},
    {"result(for([1, 2], appender[i32](9223372036854775807l), |b, i, x| merge(b, x)))", "[1,2]"},
    {"result(for([1, 2, 3], merger[i32, +], |b, i, x| merge(b, x)))", "6"},
    {"result(for([1, 2, 3], merger[i32, +](10), |b, i, x| merge(b, x)))", "16"},
    {"result(for([1, 2, 3], merger[i32, *](2), |b, i, x| merge(b, x)))", "12"},
    {"result(for([-1c, -5c], merger[i8, max], |b, i, x| merge(b, x)))", "-1"},
    {"{result(merger[i8, min]), result(merger[i8, max]), result(merger[u16, min]), result(merger[u16, max])}",
     "[127,-128,65535,0]"},
    {"{result(merger[i64, min]), result(merger[i64, max]), result(merger[i64, *]), result(merger[i64, +])}",
     "[9223372036854775807,-9223372036854775808,1,0]"},
    {"{result(merger[f32, min]), result(merger[f64, max]), result(merger[f64, *])}",
     "[\"inf\",\"-inf\",1.0]"},
    {"result(for([1, 2], merger[{i32, f64}, +], |b, i, x| merge(b, {x, f64(x) / 2.0})))", "[3,1.5]"},
    {"result(for([{1, 2}, {1, 3}, {0, 4}], dictmerger[i32, i32, +], |b, i, x| merge(b, x)))",
     "[[0,4],[1,5]]"},
    {"result(for([{1, 2}, {1, 3}], dictmerger[i32, i32, min], |b, i, x| merge(b, x)))", "[[1,2]]"},
    {"result(for([1, 2, 3], dictmerger[i32, {i32, i64}, +], |b, i, x| merge(b, {x % 2, {x, i}})))",
     "[[0,[2,1]],[1,[4,2]]]"},
    {"result(for([\"b\", \"a\", \"b\"], dictmerger[vec[i8], i64, +], |b, i, x| merge(b, {x, 1l})))",
     "[[[97],1],[[98],2]]"},
    {"result(for([0.0, -0.0, 0.0 / 0.0, -(0.0 / 0.0)], dictmerger[f64, i64, +], |b, i, x| merge(b, {x, "
     "1l})))",
     "[[0.0,2],[\"nan\",2]]"},
    {"result(for([{1, \"x\"}, {1, \"x\"}, {1, \"y\"}], dictmerger[{i32, vec[i8]}, i64, +], |b, i, x| "
     "merge(b, {x, i})))",
     "[[[1,[120]],1],[[1,[121]],2]]"},
    {"result(for([1, 2, 3, 4, 5], groupmerger[i32, i32], |b, i, x| merge(b, {x % 2, x})))",
     "[[0,[2,4]],[1,[1,3,5]]]"},
    {"result(groupmerger[i32, f64])", "[]"},
    {"result(for([[1], [2, 3]], groupmerger[bool, vec[i32]], |b, i, x| merge(b, {true, x})))",
     "[[true,[[1],[2,3]]]]"},
    {"let v = [1, 2, 3]; {result(for([0l, 2l, 0l], vecmerger[i32, +](v), |b, i, x| merge(b, {x, 10}))), v}",
     "[[21,2,13],[1,2,3]]"},
    {"let v = [5, 6, 7]; {result(merge(vecmerger[i32, min](slice(v, 1l, 2l)), {0l, 1})), v}",
     "[[1,7],[5,6,7]]"},
    {"result(merge(vecmerger[{i32, f64}, *]([{2, 3.0}]), {0l, {4, 5.0}}))", "[[8,15.0]]"},
    {"let b = for([1, 2, 3], {appender[i32], merger[i32, +]}, |b, i, x| {merge(b.$0, x), merge(b.$1, x)}); "
     "{result(b.$0), result(b.$1)}",
     "[[1,2,3],6]"},
    {"let b = for([1, 2], {appender[i32], merger[i64, +]}, |b, i, x| merge(b, {x, i})); {result(b.$0), "
     "result(b.$1)}",
     "[[1,2],1]"},
    {"result(for([1, 2], {appender[i32], merger[i64, +]}, |b, i, x| merge(b, {x, i})))", "[[1,2],1]"},
    {"result(for([1, 2, 3], appender[i32], |b, i, x| if(x > 1, merge(b, x), b)))", "[2,3]"},
    {"result(for([1, 2], appender[i32], |b, i, x| for([10, 20], b, |b2, j, y| merge(b, x + y))))",
     "[11,21,12,22]"},
    {"result(for([1, 2], appender[i32], |b, i, x| for([10, 20], b, |b2, j, y| merge(b2, x + y))))",
     "[11,21,12,22]"},
    {"let r = for([1, 2], {merger[i32, +], appender[i32]}, |b, i, x| {for([1, 2], b.$0, |c, j, y| merge(c, x "
     "* y)), "
     "merge(b.$1, x)}); {result(r.$0), result(r.$1)}",
     "[9,[1,2]]"},
    {"let r = for([1, 2, 3], {merger[i32, +], appender[i32]}, |b, i, x| if(x == 2, {merge(b.$0, x), "
     "merge(b.$1, x)}, b)); "
     "{result(r.$0), result(r.$1)}",
     "[2,[2]]"},
    {"result(iterate({appender[i32], 0}, |s| {{merge(s.$0, s.$1), s.$1 + 1}, s.$1 < 3}).$0)", "[0,1,2,3]"},
    {"result(for([1, 2, 3], appender[vec[i32]], |b, i, x| let t = map([1, 2], |y| x * y); merge(b, t)))",
     "[[1,2],[2,4],[3,6]]"},
    {"result(for([1, 2], appender[vec[vec[i32]]], |b, i, x| merge(b, result(for([3, 4], appender[vec[i32]], "
     "|c, j, y| merge(c, [x, y]))))))",
     "[[[1,3],[1,4]],[[2,3],[2,4]]]"},
};

static const Case loops[] = {
    {"result(for([7, 8], appender[i64], |b, i, x| merge(b, i)))", "[0,1]"},
    {"result(for(zip([1, 2], [3.0, 4.0]), appender[f64], |b, i, x| merge(b, f64(x.$0) * x.$1)))",
     "[3.0,8.0]"},
    {"result(for(zip([1c, 2c], [3l, 4l], [true, false]), appender[{i8, i64, bool}], |b, i, x| merge(b, x)))",
     "[[1,3,true],[2,4,false]]"},
    {"result(for(iter([1, 2, 3, 4, 5], 1l, 5l, 2l), appender[{i64, i32}], |b, i, x| merge(b, {i, x})))",
     "[[0,2],[1,4]]"},
    {"result(for(iter([1, 2], 2l, 2l, 1l), appender[i32], |b, i, x| merge(b, x)))", "[]"},
    {"result(for(rangeiter(5l, 11l, 3l), appender[i64], |b, i, x| merge(b, x + i)))", "[5,9]"},
    {"result(for(rangeiter(-9223372036854775808l, 9223372036854775806l, 9223372036854775807l), "
     "appender[i64], "
     "|b, i, x| merge(b, x)))",
     "[-9223372036854775808,-1]"},
    {"result(for(zip(rangeiter(0l, 2l, 1l), iter([1, 2, 3, 4], 0l, 4l, 2l)), appender[{i64, i32}], |b, i, x| "
     "merge(b, x)))",
     "[[0,1],[1,3]]"},
    {"result(for(nditer([0, 1, 2, 3, 4, 5], 0l, 6l, 1l, [2l, 3l], [3l, 1l]), appender[i32], |b, i, x| "
     "merge(b, x)))",
     "[0,1,2,3,4,5]"},
    {"result(for(nditer([0, 1, 2, 3, 4, 5], 0l, 6l, 1l, [3l, 2l], [1l, 3l]), appender[i32], |b, i, x| "
     "merge(b, x)))",
     "[0,3,1,4,2,5]"},
    {"result(for(nditer([0, 1, 2], 2l, 5l, 1l, [3l], [-1l]), appender[i32], |b, i, x| merge(b, x)))",
     "[2,1,0]"},
    {"result(for(nditer([7, 8], 1l, 5l, 1l, [2l, 2l], [0l, 0l]), appender[{i64, i32}], |b, i, x| merge(b, "
     "{i, x})))",
     "[[0,8],[1,8],[2,8],[3,8]]"},
    {"result(for(nditer([7], 9l, 9l, 1l, [0l, 5l], [9l, 9l]), appender[i32], |b, i, x| merge(b, x)))", "[]"},
    {"let v = result(for(rangeiter(0l, 19l, 1l), appender[i64], |b, i, x| merge(b, x))); "
     "let s = for(simditer(v), merger[i64, +], |b, i, x: simd[i64]| merge(b, x + x * broadcast(2l))); "
     "result(for(fringeiter(v), s, |b, i, x| merge(b, x * 3l)))",
     "513"},
    {"let v = result(for(rangeiter(0l, 19l, 1l), appender[f64], |b, i, x| merge(b, f64(x)))); "
     "let s = for(simditer(v), appender[f64], |b, i, x: simd[f64]| merge(b, select(x > broadcast(9.0), -x, "
     "sqrt(x * x)))); "
     "let r = result(for(fringeiter(v), s, |b, i, x| merge(b, -x))); {len(r), lookup(r, 3l), lookup(r, 18l)}",
     "[19,3.0,-18.0]"},
    {"let v = result(for(rangeiter(0l, 21l, 1l), appender[i64], |b, i, x| merge(b, x))); "
     "let s = for(simditer(v, 1l, 21l, 1l), merger[i64, +], |b, i, x: simd[i64]| merge(b, x)); "
     "result(for(fringeiter(v, 1l, 21l, 1l), s, |b, i, x| merge(b, x)))",
     "210"},
    {"result(for([[1, 2], [3]], merger[i32, +], |b, i, v| merge(b, result(for(v, merger[i32, *], |c, j, x| "
     "merge(c, x))))))",
     "5"},
};

static const Case dictionaries[] = {
    {"let d = result(for([1, 2, 3], dictmerger[i32, i32, +], |b, i, x| merge(b, {x, x * x}))); "
     "{lookup(d, 3), keyexists(d, 2), keyexists(d, 9), optlookup(d, 2), optlookup(d, 7)}",
     "[9,true,false,[true,4],[false,0]]"},
    {"let d = result(for([\"a\", \"b\"], groupmerger[vec[i8], i64], |b, i, x| merge(b, {x, i}))); "
     "{lookup(d, \"b\"), optlookup(d, \"c\"), len(tovec(d))}",
     "[[1],[false,[]],2]"},
    {"len(tovec(result(dictmerger[i64, i64, +])))", "0"},
    {"sort(tovec(result(for([3, 1], dictmerger[i32, i32, +], |b, i, x| merge(b, {x, 0})))), |a, b| "
     "compare(a.$0, b.$0))",
     "[[1,0],[3,0]]"},
    {"let d = result(for([1, 2], groupmerger[i32, i32], |b, i, x| merge(b, {0, x}))); "
     "let o = optlookup(result(for([1], groupmerger[i32, vec[i32]], |b, i, x| merge(b, {x, [x]}))), 5); {d, "
     "len(o.$1)}",
     "[[[0,[1,2]]],0]"},
    {"let e = optlookup(result(for([1], dictmerger[i32, i64, +], |b, i, x| merge(b, {x, 1l}))), 2); e",
     "[false,0]"},
};

static const Case bytes[] = {
    {"serialize(258)", "[2,1,0,0]"},
    {"serialize({1c, 2si})", "[1,2,0]"},
    {"serialize([{1c, 2si}])", "[1,0,0,0,0,0,0,0,1,0,2,0]"},
    {"serialize([{1c, [true]}])", "[1,0,0,0,0,0,0,0,1,1,0,0,0,0,0,0,0,1]"},
    {"serialize(result(merge(dictmerger[i8, i8, +], {3c, 4c})))", "[1,0,0,0,0,0,0,0,3,4]"},
    {"deserialize[{i8, i16}](serialize({1c, 2si}))", "[1,2]"},
    {"deserialize[vec[{i8, vec[f64]}]](serialize([{1c, [2.5]}, {3c, []}]))", "[[1,[2.5]],[3,[]]]"},
    {"lookup(deserialize[dict[vec[i8], i64]](serialize(result(for([\"a\", \"b\"], dictmerger[vec[i8], i64, "
     "+], "
     "|b, i, x| merge(b, {x, i}))))), \"b\")",
     "1"},
};

Test(eval, constants) {
    EXPECT_ALL(constants);
}
Test(eval, operators) {
    EXPECT_ALL(operators);
}
Test(eval, casts) {
    EXPECT_ALL(casts);
}
Test(eval, choices) {
    EXPECT_ALL(choices);
}
Test(eval, vectors) {
    EXPECT_ALL(vectors);
}
Test(eval, builders) {
    EXPECT_ALL(builders);
}
Test(eval, loops) {
    EXPECT_ALL(loops);
}
Test(eval, dictionaries) {
    EXPECT_ALL(dictionaries);
}
Test(eval, bytes) {
    EXPECT_ALL(bytes);
}

/* ---- failures ---- */

typedef struct Failure {
    ErrorCode code;
    const char *text, *at, *message; /* at: what the error points at */
} Failure;

static const Failure failures[] = {
    {E_OutOfBounds, "1l + lookup([1l], 1l)", "lookup([1l], 1l)", "index 1 is out of bounds for length 1"},
    {E_OutOfBounds, "lookup([1l], -1l)", "lookup([1l], -1l)", "index -1 is out of bounds for length 1"},
    {E_OutOfBounds, "lookup([]: vec[i32], 0l)", NULL, NULL},
    {E_OutOfBounds, "slice([1], -1l, 1l)", NULL, "index -1 is out of bounds for length 1"},
    {E_OutOfBounds, "slice([1], 0l, -9l)", NULL, "index -9 is out of bounds for length 1"},
    {E_OutOfBounds, "result(merge(vecmerger[i32, +]([1]), {1l, 5}))",
     "merge(vecmerger[i32, +]([1]), {1l, 5})", NULL},
    {E_OutOfBounds, "result(merge(vecmerger[i32, +]([1]), {-1l, 5}))", NULL, NULL},
    {E_KeyNotFound, "lookup(result(dictmerger[i64, i64, +]), 1l)", NULL, "the key is not in the dictionary"},
    {E_DivisionByZero, "2 + 1 / 0", "1 / 0", "division by zero"},
    {E_DivisionByZero, "1ul % 0ul", "1ul % 0ul", NULL},
    {E_DivisionByZero,
     "let v = [1, 1, 1, 1, 1, 1, 1, 1]; result(for(simditer(v), merger[i32, +], |b, i, x: simd[i32]| "
     "merge(b, x / broadcast(0))))",
     "x / broadcast(0)", NULL},
    {E_AssertionFailed, "if(assert(1 > 2), 1, 2)", "assert(1 > 2)", "the assertion does not hold"},
    {E_AssertionFailed, "assert(1 > 2, \"{} of {}, not {}; 100 %\", 1L, -2L, 3L)", NULL,
     "1 of -2, not 3; 100 %"},
    {E_AssertionFailed, "assert(1 > 2, \"{ } \\\"so\\\"\")", NULL, "{ } \"so\""},
    {E_DivisionByZero, "assert(true, \"{}\", 1L / 0L)", "1L / 0L", NULL},
    {E_ZipMismatch, "result(for(zip([1, 2], [1]), appender[i32], |b, i, x| merge(b, x.$0)))", NULL,
     "zipped iterators have 2 and 1 elements"},
    {E_ZipMismatch,
     "result(for(zip([1, 2], rangeiter(0l, 3l, 1l)), appender[i32], |b, i, x| merge(b, x.$0)))", NULL, NULL},
    {E_BadIterator, "result(for(iter([1, 2], 0l, 3l, 1l), appender[i32], |b, i, x| merge(b, x)))",
     "iter([1, 2], 0l, 3l, 1l)", "the bounds of an iterator do not fit its data (0, 3)"},
    {E_BadIterator, "result(for(iter([1, 2], -1l, 2l, 1l), appender[i32], |b, i, x| merge(b, x)))", NULL,
     NULL},
    {E_BadIterator, "result(for(iter([1, 2], 2l, 1l, 1l), appender[i32], |b, i, x| merge(b, x)))", NULL,
     NULL},
    {E_BadIterator, "result(for(iter([1, 2], 0l, 1l, 2l), appender[i32], |b, i, x| merge(b, x)))", NULL,
     NULL},
    {E_BadIterator, "result(for(iter([1, 2], 0l, 2l, 0l), appender[i32], |b, i, x| merge(b, x)))", NULL,
     NULL},
    {E_BadIterator, "result(for(iter([1, 2], 0l, 2l, -1l), appender[i32], |b, i, x| merge(b, x)))", NULL,
     NULL},
    {E_BadIterator,
     "result(for(iter([1, 2], -9223372036854775808l, 9223372036854775807l, 1l), appender[i32], "
     "|b, i, x| merge(b, x)))",
     NULL, NULL},
    {E_BadIterator,
     "result(for(simditer([1, 2], 0l, 8l, 1l), appender[i32], |b, i, x: simd[i32]| merge(b, x)))", NULL,
     NULL},
    {E_BadIterator, "result(for(rangeiter(0l, 3l, 2l), appender[i64], |b, i, x| merge(b, x)))", NULL, NULL},
    {E_BadIterator, "result(for(rangeiter(3l, 0l, 1l), appender[i64], |b, i, x| merge(b, x)))", NULL, NULL},
    {E_BadIterator,
     "result(for(rangeiter(-9223372036854775808l, 9223372036854775807l, 1l), appender[i64], "
     "|b, i, x| merge(b, x)))",
     NULL, NULL},
    {E_BadIterator,
     "result(for(nditer([1, 2], 0l, 2l, 1l, [3l], [1l]), appender[i32], |b, i, x| merge(b, x)))", NULL, NULL},
    {E_BadIterator,
     "result(for(nditer([1, 2], 0l, 2l, 2l, [2l], [1l]), appender[i32], |b, i, x| merge(b, x)))", NULL, NULL},
    {E_BadIterator,
     "result(for(nditer([1, 2], 0l, 2l, 1l, [2l], [1l, 1l]), appender[i32], |b, i, x| merge(b, x)))", NULL,
     NULL},
    {E_BadIterator,
     "result(for(nditer([1], 0l, 1l, 1l, [-1l, -1l], [1l, 1l]), appender[i32], |b, i, x| merge(b, x)))", NULL,
     NULL},
    {E_BadIterator,
     "result(for(nditer([1], 0l, 0l, 1l, [4294967296l, 4294967296l], [0l, 0l]), appender[i32], "
     "|b, i, x| merge(b, x)))",
     NULL, NULL},
    {E_OutOfBounds,
     "result(for(nditer([1, 2], 0l, 2l, 1l, [2l], [2l]), appender[i32], |b, i, x| merge(b, x)))", NULL,
     "index 2 is out of bounds for length 2"},
    {E_OutOfBounds,
     "result(for(nditer([1, 2], 0l, 2l, 1l, [2l], [-1l]), appender[i32], |b, i, x| merge(b, x)))", NULL,
     NULL},
    {E_OutOfBounds,
     "result(for(nditer([1, 2], 0l, 4l, 1l, [2l, 2l], [9223372036854775807l, 9223372036854775807l]), "
     "appender[i32], |b, i, x| merge(b, x)))",
     NULL, NULL},
    {E_Deserialization, "deserialize[i64]([1uc])", "deserialize[i64]([1uc])",
     "the bytes are not a value of this type (at byte 0 of 1)"},
    {E_Deserialization, "deserialize[i8]([1uc, 2uc])", NULL, NULL},
    {E_Deserialization, "deserialize[vec[i64]]([255uc, 255uc, 255uc, 255uc, 255uc, 255uc, 255uc, 127uc])",
     NULL, NULL},
    {E_Deserialization, "deserialize[vec[i64]]([255uc, 255uc, 255uc, 255uc, 255uc, 255uc, 255uc, 255uc])",
     NULL, NULL},
    {E_ForeignCall, "cudf[nothing, i64](1l)", "cudf[nothing, i64](1l)",
     "there is no foreign function nothing"},
    {E_DivisionByZero, "sort([3, 1], |a, b| a / 0)", "a / 0", NULL},
    {E_DivisionByZero, "iterate(3, |x| {x - 1, 6 / x > 0})", "6 / x", NULL},
};

Test(eval, failures) {
    for (size_t i = 0; i < sizeof failures / sizeof *failures; i++) {
        const Failure *failure = &failures[i];
        Run run;
        run_eval(&run, failure->text, NULL);
        const Error *error = &run.worker.error;
        cr_expect_eq(run.code, failure->code, "%s gives %s", failure->text, error_name(run.code));
        cr_expect_eq(error->code, run.code);
        if (failure->at) {
            const char *at = failure->text + error->span.begin;
            size_t length = error->span.end - error->span.begin;
            cr_expect(length == strlen(failure->at) && strncmp(at, failure->at, length) == 0,
                      "%s points at %.*s", failure->text, (int)length, at);
        }
        if (failure->message) cr_expect_str_eq(error->text, failure->message);
        run_close(&run);
    }
}

/* ---- arguments ---- */

Test(eval, arguments_are_the_fields_of_a_struct) {
    struct {
        int8_t a;
        double b;
        Vec c;
        bool d;
    } args = {-3, 2.5, {(int16_t[]){1, 2, 3}, 3}, true};
    const char *text = "|a: i8, b: f64, c: vec[i16], d: bool| {d, c, b, a}";
    Run run;
    run_eval(&run, text, &args);
    expect_json(&run, text, "[true,[1,2,3],2.5,-3]");
    const Type *type = program_argument_type(run.program);
    cr_expect_eq(type->size, sizeof args);
    cr_expect_eq(type->count, 4);
    run_close(&run);
    run_eval(&run, "|| 5", NULL);
    expect_json(&run, "|| 5", "5");
    run_close(&run);
}

Test(eval, a_vecmerger_does_not_change_its_argument) {
    int64_t data[3] = {1, 2, 3};
    Vec vec = {data, 3};
    const char *text = "|v: vec[i64]| result(for(v, vecmerger[i64, +](v), |b, i, x| merge(b, {i, x})))";
    Run run;
    run_eval(&run, text, &vec);
    expect_json(&run, text, "[2,4,6]");
    cr_expect(data[0] == 1 && data[1] == 2 && data[2] == 3);
    run_close(&run);
}

/* A builder that one program returns is an argument of the next, in a region of its own. */
Test(eval, builders_pass_from_program_to_program) {
    static const char *const makers[] = {"appender[i64]", "merger[i64, +]", "dictmerger[i64, i64, +]",
                                         "groupmerger[i64, i64]"};
    static const char *const merges[] = {"x", "x", "{x % 10l, x}", "{x % 10l, x}"};
    static const char *const finals[] = {"sum(result(b))", "result(b)", "lookup(result(b), 3l)",
                                         "sum(lookup(result(b), 3l))"};
    static const char *const sums[] = {"1999000", "1999000", "199600", "199600"};
    for (int i = 0; i < 4; i++) {
        char text[256];
        Run runs[4];
        snprintf(text, sizeof text, "%s", makers[i]);
        run_eval(&runs[0], text, NULL);
        for (int k = 1; k <= 2; k++) {
            snprintf(text, sizeof text, "|b: %s| for(rangeiter(%dl, %dl, 1l), b, |b, i, x| merge(b, %s))",
                     makers[i], 1000 * (k - 1), 1000 * k, merges[i]);
            run_eval(&runs[k], text, runs[k - 1].out);
            cr_assert_eq(runs[k].code, E_None);
        }
        snprintf(text, sizeof text, "|b: %s| %s", makers[i], finals[i]);
        run_eval(&runs[3], text, runs[2].out);
        expect_json(&runs[3], text, sums[i]);
        int64_t live = 0;
        for (int k = 3; k >= 0; k--) {
            region_free(runs[k].worker.region);
            live += runs[k].budget.live; /* a block may go back to another budget than it came from */
            free(runs[k].out);
            program_free(runs[k].program);
        }
        cr_expect_eq(live, 0);
    }
}

/* ---- memory ---- */

static int64_t peak_of(const char *text, const char *json) {
    Run run;
    run_eval(&run, text, NULL);
    expect_json(&run, text, json);
    int64_t peak = run.budget.peak;
    run_close(&run);
    return peak;
}

Test(eval, loops_free_what_they_no_longer_need) {
    cr_expect_lt(peak_of("result(for(rangeiter(0l, 20000l, 1l), merger[i64, +], |b, i, x| "
                         "merge(b, len(map([1, 2, 3, 4, 5, 6, 7, 8], |y| y + 1)))))",
                         "160000"),
                 100000);
    cr_expect_lt(
        peak_of("iterate({0, [1.0, 2.0]}, |s| {{s.$0 + 1, map(s.$1, |x| x * 0.5 + 1.0)}, s.$0 < 20000}).$0",
                "20001"),
        1000000);
    cr_expect_lt(
        peak_of("result(for(rangeiter(0l, 1000l, 1l), merger[i64, +], |b, i, x| merge(b, len(result(for("
                "rangeiter(0l, 20l, 1l), appender[vec[i64]], |c, j, y| merge(c, [x, y])))))))",
                "20000"),
        100000);
    cr_expect_lt(
        peak_of("len(tovec(result(for(rangeiter(0l, 20000l, 1l), dictmerger[vec[i64], i64, +], |b, i, x| "
                "merge(b, {[x % 7l], 1l})))))",
                "7"),
        100000);
    cr_expect_lt(
        peak_of(
            "len(sort(result(for(rangeiter(0l, 1000l, 1l), appender[vec[i64]], |b, i, x| merge(b, [x]))), "
            "|a, b| compare(sum(map(a, |x| -x)), sum(map(b, |x| -x)))))",
            "1000"),
        300000);
}

Test(eval, what_outer_builders_hold_is_kept) {
    static const Case cases[] = {
        {"sum(flatten(result(for(rangeiter(0l, 3000l, 1l), appender[vec[i64]], |b, i, x| let g = map([1l, "
         "2l], |y| y + x); "
         "merge(b, map(g, |y| y - x))))))",
         "9000"},
        {"let r = result(for(rangeiter(0l, 300l, 1l), appender[vec[i64]], |b, i, x| for(rangeiter(0l, 3l, "
         "1l), b, |c, j, y| "
         "let g = map([1l, 2l], |z| z + x); if(y == 1l, merge(b, map(g, |z| z + y)), c)))); {len(r), "
         "lookup(r, 299l)}",
         "[300,[301,302]]"},
        {"let r = result(for(rangeiter(0l, 100l, 1l), appender[vec[i64]], |b, i, x| iterate({b, x, [x]}, |s| "
         "{{merge(s.$0, s.$2), "
         "s.$1 + 1l, [s.$1, x]}, s.$1 < x + 5l}).$0)); {len(r), lookup(r, 599l), lookup(r, 3l)}",
         "[600,[103,99],[2,0]]"},
        {"let r = iterate({appender[vec[i64]], 0l}, |s| {{merge(s.$0, [s.$1, s.$1]), s.$1 + 1l}, s.$1 < "
         "999l}); "
         "let v = result(r.$0); {len(v), lookup(v, 500l)}",
         "[1000,[500,500]]"},
        {"let r = iterate({groupmerger[vec[i64], vec[i64]], 0l}, |s| {{merge(s.$0, {[s.$1 % 3l], [s.$1, "
         "7l]}), s.$1 + 1l}, "
         "s.$1 < 999l}); let d = result(r.$0); {len(tovec(d)), lookup(lookup(d, [2l]), 332l)}",
         "[3,[998,7]]"},
        {"let r = iterate({dictmerger[vec[i64], i64, +], 0l}, |s| {{merge(s.$0, {[s.$1 % 3l], 1l}), s.$1 + "
         "1l}, s.$1 < 999l}); "
         "result(r.$0)",
         "[[[0],334],[[1],333],[[2],333]]"},
        {"let s = iterate({[[0l]], 0l}, |s| {{[[s.$1], lookup(s.$0, 0l)], s.$1 + 1l}, s.$1 < 1000l}); s.$0",
         "[[1000],[999]]"},
    };
    EXPECT_ALL(cases);
}

Test(eval, only_the_result_stays) {
    Run run;
    run_eval(&run,
             "let v = map([1, 2, 3], |x| x * 1000); let w = map(v, |x| [x, x]); slice(lookup(w, 1l), 1l, 1l)",
             NULL);
    expect_json(&run, "", "[2000]");
    cr_expect_leq(region_bytes(run.worker.region), 3000);
    run_close(&run);
    run_eval(&run, "len(result(for(rangeiter(0l, 100000l, 1l), appender[i64], |b, i, x| merge(b, x))))",
             NULL);
    cr_expect_leq(region_bytes(run.worker.region), 200);
    run_close(&run);
    run_eval(&run, "for(rangeiter(0l, 100000l, 1l), appender[i64], |b, i, x| merge(b, x))", NULL);
    cr_expect_geq(region_bytes(run.worker.region), 800000);
    run_close(&run);
}

Test(eval, the_memory_limit_is_an_error_and_loses_nothing) {
    static const char *const greedy[] = {
        "len(result(for(rangeiter(0l, 1000000000l, 1l), appender[i64], |b, i, x| merge(b, x))))",
        "len(tovec(result(for(rangeiter(0l, 1000000000l, 1l), dictmerger[i64, i64, +], |b, i, x| merge(b, "
        "{x, x})))))",
        "len(tovec(result(for(rangeiter(0l, 1000000000l, 1l), groupmerger[i64, i64], |b, i, x| merge(b, {0l, "
        "x})))))",
        "len(iterate([1l], |v| {flatten([v, v]), true}))",
    };
    for (size_t i = 0; i < sizeof greedy / sizeof *greedy; i++) {
        Run run;
        run_open(&run, greedy[i], 4 << 20);
        run.code = program_eval(run.program, &run.worker, NULL, run.out);
        cr_expect_eq(run.code, E_OutOfMemory, "%s gives %s", greedy[i], error_name(run.code));
        cr_expect(strstr(run.worker.error.text, "the limit is 4194304"), "%s", run.worker.error.text);
        cr_expect_leq(run.budget.peak, 4 << 20);
        run_close(&run);
    }
}

/* Every allocation fails once: each run ends in OutOfMemory or with its result, and gives everything back. */
typedef struct Faulty {
    int64_t left;
} Faulty;

static void *faulty_take(void *data, size_t size) {
    Faulty *faulty = data;
    return faulty->left-- <= 0 ? NULL : aligned_alloc(64, (size + 63) / 64 * 64);
}

static void faulty_give(void *data, void *block, size_t size) {
    (void)data, (void)size;
    free(block);
}

Test(eval, any_allocation_may_fail) {
    const char *text =
        "let v = result(for(rangeiter(0l, 500l, 1l), appender[i64], |b, i, x| merge(b, x))); "
        "let d = result(for(v, groupmerger[vec[i64], vec[i64]], |b, i, x| merge(b, {[x % 3l], [x]}))); "
        "let e = result(for(v, dictmerger[i64, i64, +], |b, i, x| merge(b, {x, 1l}))); "
        "let s = sort(v, |a, b| compare(b, a)); let t = deserialize[vec[vec[i64]]](serialize([s, v])); "
        "let r = iterate({0, t}, |s| {{s.$0 + 1, map(s.$1, |x| map(x, |y| y + 1l))}, s.$0 < 3}); "
        "{len(tovec(d)), len(tovec(e)), lookup(lookup(r.$1, 0l), 0l)}";
    for (int64_t allowed = 0;; allowed++) {
        Run run;
        Faulty faulty = {allowed};
        run_open(&run, text, 0);
        region_free(run.worker.region);
        run.budget.take = faulty_take, run.budget.give = faulty_give, run.budget.data = &faulty;
        run.worker.region = region_new(&run.budget);
        if (run.worker.region)
            run.code = program_eval(run.program, &run.worker, NULL, run.out);
        else
            run.code = E_OutOfMemory;
        bool done = run.code == E_None;
        if (done)
            expect_json(&run, text, "[3,500,503]");
        else
            cr_assert_eq(run.code, E_OutOfMemory);
        run_close(&run);
        if (done) break;
        cr_assert_lt(allowed, 100000);
    }
}

/* ---- cancelling, foreign functions, depth ---- */

Test(eval, a_run_can_be_cancelled) {
    static const char *const endless[] = {
        "iterate(1, |x| {x, true})",
        "result(for(rangeiter(0l, 9000000000000000l, 1l), merger[i64, +], |b, i, x| merge(b, x)))",
        "len(sort(map([3, 1, 2, 9, 8, 7], |x| x), |a, b| iterate(1, |x| {x, true})))",
    };
    for (size_t i = 0; i < sizeof endless / sizeof *endless; i++) {
        Run run;
        run_open(&run, endless[i], 0);
        run.cancel = 1;
        run.code = program_eval(run.program, &run.worker, NULL, run.out);
        cr_expect_eq(run.code, E_Cancelled);
        cr_expect_str_eq(run.worker.error.text, "cancelled");
        run_close(&run);
    }
}

static void add_all(void *vec, void *scale, void *out) {
    const Vec *v = vec;
    double sum = 0;
    for (int64_t i = 0; i < v->length; i++) sum += ((double *)v->data)[i];
    *(double *)out = sum * *(int32_t *)scale;
    *(int32_t *)scale = 0; /* its own copy */
}

static void *find_function(void *data, const char *name) {
    (void)data;
    return strcmp(name, "add_all") == 0 ? (void *)(uintptr_t)add_all : NULL;
}

static bool call_function(void *data, void *function, int count, void **arguments, int32_t *status) {
    ++*(int *)data;
    if (count != 3 || status) return false;
    ((void (*)(void *, void *, void *))(uintptr_t)function)(arguments[0], arguments[1], arguments[2]);
    return true;
}

Test(eval, foreign_functions_are_called_through_the_host) {
    int calls = 0;
    Host host = {find_function, call_function, NULL, &calls};
    static const char *const text =
        "let s = 2; {cudf[add_all, f64]([1.5, 2.5], s), s, cudf[add_all, f64]([1.0], 3)}";
    Run run;
    run_open(&run, text, 0);
    run.worker.host = &host;
    run.code = program_eval(run.program, &run.worker, NULL, run.out);
    expect_json(&run, text, "[8.0,2,3.0]");
    cr_expect_eq(calls, 2);
    run_close(&run);
    run_open(&run, "cudf[add_all, f64]([1.0])", 0);
    run.worker.host = &host;
    run.code = program_eval(run.program, &run.worker, NULL, run.out);
    cr_expect_eq(run.code, E_ForeignCall);
    cr_expect_str_eq(run.worker.error.text, "the foreign function add_all cannot be called");
    run_close(&run);
}

Test(eval, deep_and_long_programs) {
    enum { DEPTH = 2000, LETS = 10000 };
    Buf text = {0};
    for (int i = 0; i < DEPTH; i++) buf_printf(&text, "(1 + ");
    buf_printf(&text, "0");
    for (int i = 0; i < DEPTH; i++) buf_printf(&text, ")");
    Run run;
    run_eval(&run, text.text, NULL);
    expect_json(&run, "deep", "2000");
    run_close(&run);
    text.length = 0;
    buf_printf(&text, "let x0 = 1l;");
    for (int i = 1; i <= LETS; i++) buf_printf(&text, "let x%d = x%d + 1l;", i, i - 1);
    buf_printf(&text, "x%d", LETS);
    run_eval(&run, text.text, NULL);
    expect_json(&run, "long", "10001");
    run_close(&run);
    buf_release(&text);
}
