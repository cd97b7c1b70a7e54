/* test_parse.c: the front end: literals, precedence, macros and their hygiene, functions, zips, errors,
 * printing.
 *
 * Tables of programs with what they print as once read (in one line), and of faulty texts with the error, its
 * message and the text that it points at. Then golden files: tests/golden/parse/NAME.weld prints as
 * NAME.expected (BLESS=1 writes it anew); and every program of the corpus and the examples prints, reads and
 * prints the same, before inference and after.
 */
#include "../../lang/lang.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static Program *program_of(const char *text, size_t length) {
    Program *program = program_new("test", text, length);
    cr_assert(program);
    return program;
}

/* ---- what programs print as ---- */

typedef struct Printed {
    const char *text, *printed; /* NULL: as it was written */
} Printed;

static void check_printed(const Printed *rows, size_t count) {
    for (size_t i = 0; i < count; i++) {
        const char *expected = rows[i].printed ? rows[i].printed : rows[i].text;
        Program *program = program_of(rows[i].text, strlen(rows[i].text));
        Buf out = {0};
        if (program_read(program)) {
            node_print(&out, program->bare ? program->root->kids[0] : program->root, false, 0);
            cr_expect_str_eq(out.text, expected, "%s\n  prints as %s\n  not as    %s", rows[i].text, out.text,
                             expected);
        } else {
            cr_expect_fail("%s: %s", rows[i].text, program->error.text);
        }
        buf_release(&out);
        program_free(program);
    }
}

#define CHECK_PRINTED(rows) check_printed(rows, sizeof(rows) / sizeof *(rows))

static const Printed literals[] = {
    {"5", NULL},
    {"5l", NULL},
    {"5L", "5l"},
    {"5c", NULL},
    {"5SI", "5si"},
    {"5uc", NULL},
    {"5Us", "5us"},
    {"5u", NULL},
    {"5uL", "5ul"},
    {"255uc", NULL},
    {"65535us", NULL},
    {"4294967295u", NULL},
    {"18446744073709551615ul", NULL},
    {"127c", NULL},
    {"-128c", NULL},
    {"-32768si", NULL},
    {"-2147483648", NULL},
    {"-9223372036854775808l", NULL},
    {"- 9223372036854775808L", "-9223372036854775808l"},
    {"-0x80000000", "-2147483648"},
    {"0xfc", "252"},
    {"0xFCL", "252l"},
    {"0x7fffffff", "2147483647"},
    {"0xffuc", "255uc"},
    {"0x1fsi", "31si"},
    {"0xffffffffffffffffUL", "18446744073709551615ul"},
    {"0b101", "5"},
    {"0B101c", "5c"},
    {"0b11ul", "3ul"},
    {"007", "7"},
    {"1.5", NULL},
    {"1.", "1.0"},
    {".5", "0.5"},
    {".5f", "0.5f"},
    {"1f", "1.0f"},
    {"1.F", "1.0f"},
    {"1e3", "1000.0"},
    {"1E-3", "0.001"},
    {"1e+5", "100000.0"},
    {"1e+20f", "1e20f"},
    {"1.5e300", NULL},
    {"0.1", NULL},
    {"0.1f", NULL},
    {"3.4028235e38f", NULL},
    {"16777217f", "16777216.0f"},
    {"5e-324", NULL},
    {"1e-45f", NULL},
    {"2.2250738585072014e-308", NULL},
    {"1.7976931348623157e308", NULL},
    {"9007199254740993.0", "9007199254740992.0"},
    {"123456789012345678901234567890.0", "1.2345678901234568e29"},
    {"1e-400", "0.0"},
    {"0.30000000000000004", NULL},
    {"-0.0", NULL},
    {"- -5", "--5"},
    {"true", NULL},
    {"false", NULL},
    {"\"text # no comment\" # comment", "\"text # no comment\""},
    {"\"a\\n\\t\\\\\\\"\\x00\\xFF\"", "\"a\\n\\t\\\\\\\"\\x00\\xff\""},
    {"\"two\nlines\"", "\"two\\nlines\""},
    {"\"\"", NULL},
};

Test(parse, literals) {
    CHECK_PRINTED(literals);
}

static const Printed precedence[] = {
    {"1 + 2 * 3", NULL},
    {"(1 + 2) * 3", NULL},
    {"1 - 2 - 3", NULL},
    {"1 - (2 - 3)", NULL},
    {"(1 * 2) + (3 / 4)", "1 * 2 + 3 / 4"},
    {"1 | 2 ^ 3 & 4 == 5 < 6 << 7 + 8 * 9", NULL},
    {"((((((((1 | 2) ^ 3) & 4) == 5) < 6) << 7) + 8) * 9)",
     "(((((((1 | 2) ^ 3) & 4) == 5) < 6) << 7) + 8) * 9"},
    {"true || false && true | false", NULL},
    {"(true || false) && true", NULL},
    {"1 < 2 == true", NULL},
    {"1 < (2 == true)", NULL},
    {"|x| -x.$0", NULL},
    {"|x| (-x).$0", NULL},
    {"|x| !~-x", NULL},
    {"|x| -(x + 1)", NULL},
    {"|x| -x + 1", NULL},
    {"|x| -exp(x)", NULL},
    {"|x| x.$0.$12", NULL},
    {"|x| 2 * x: i64", NULL},
    {"|x| (2 * x): i64", NULL},
    {"|x| -x: i64", NULL},
    {"|x| -(x: i64)", NULL},
    {"1: i64", NULL},
    {"1l: i64", "1l"},
    {"1: ?", "1"},
};

Test(parse, precedence) {
    CHECK_PRINTED(precedence);
}

static const Printed forms[] = {
    {"[]", NULL},
    {"{}", NULL},
    {"[1, 2,]", "[1, 2]"},
    {"{1, 2l, }", "{1, 2l}"},
    {"[]: vec[{i64, dict[i32, vec[u8]]}]", "[]: vec[{i64,dict[i32,vec[u8]]}]"},
    {"|| 5", NULL},
    {"|x: i64, y,| x", "|x: i64, y| x"},
    {"|x: @(a: b) vec[@(c: 1) i64]| x", "|x: vec[i64]| x"},
    {"|x: simd[f32]| x", NULL},
    {"|x: vec[?]| x", NULL},
    {"let x: i64 = 5l; x", NULL},
    {"let x = (let y = 1; y); x", NULL},
    {"|c, a, b| if(c, a, b)", NULL},
    {"|c, a, b| select(c, a, b,)", "|c, a, b| select(c, a, b)"},
    {"|v| {len(v), lookup(v, 0l), slice(v, 1l, 2l)}", NULL},
    {"|d| {optlookup(d, 1), keyexists(d, 1), tovec(d)}", NULL},
    {"|x| {serialize(x), deserialize[{i64,f64}](serialize(x))}", NULL},
    {"|x| {min(x, x), max(x, x), pow(x, x)}", NULL},
    {"|x| {exp(x), log(x), erf(x), sqrt(x), sin(x), cos(x), tan(x)}", NULL},
    {"|x| {asin(x), acos(x), atan(x), sinh(x), cosh(x), tanh(x)}", NULL},
    {"|x| {bool(x), i8(x), i16(x), i32(x), i64(x), u8(x), u16(x), u32(x), u64(x), f32(x), f64(x)}", NULL},
    {"|x| {assert(x), broadcast(x)}", NULL},
    {"cudf[name, f64](1.0 2.0)", "cudf[name,f64](1.0, 2.0)"},
    {"cudf[exp,vec[i8]]()", NULL},
    {"iterate(0, |x| {x + 1, x < 5})", NULL},
    {"|v| sort(v, |a, b| a - b)", NULL},
    {"appender", NULL},
    {"appender[?]", "appender"},
    {"appender[i64](5l)", NULL},
    {"merger[i64, +]", "merger[i64,+]"},
    {"merger[?, max](1)", "merger[?,max](1)"},
    {"dictmerger[i64,f64,*]", NULL},
    {"dictmerger[i64,f64,min](5)", "dictmerger[i64,f64,min]"},
    {"groupmerger[i64,f64]", NULL},
    {"|v| vecmerger[i64,+](v)", NULL},
    {"|b| result(merge(b, 1))", NULL},
    {"|v| for(v, appender, |b, i, e| merge(b, e))", NULL},
    {"|v| for(iter(v), appender, |b, i, e| b)", "|v| for(v, appender, |b, i, e| b)"},
    {"|v| for(iter(v, 0l, 4l, 2l), appender, |b, i, e| b)", NULL},
    {"|v| for(zip(v), appender, |b, i, e| b)", "|v| for(v, appender, |b, i, e| b)"},
    {"|v| for(zip(v, iter(v, 0l, 4l, 2l), rangeiter(0l, 2l, 1l)), appender, |b, i, e| b)", NULL},
    {"|v| for(zip(simditer(v), simditer(v, 0l, 8l, 1l)), appender, |b, i, e| b)", NULL},
    {"|v| for(fringeiter(v), appender, |b, i, e| b)", NULL},
    {"|v| for(nditer(v, 0l, 4l, 1l, [2l, 2l], [2l, 1l]), appender, |b, i, e| b)", NULL},
    {"@(predicate:true, loopsize: 5l) if(true, 1, 2)", "@(predicate:true, loopsize:5l)if(true, 1, 2)"},
    {"@(a:b)@(c:\"d e\")if(true, 1, 2)", "@(a:b, c:\"d e\")if(true, 1, 2)"},
    {"@(size: -1)appender[i64]", "@(size:-1)appender[i64]"},
    {"@(grain_size:100)(1 + 2)", "1 + 2"},
    {"type t = {i64, f64}; type u = vec[t]; |x: u| x", "|x: vec[{i64,f64}]| x"},
    {"type t = i64; type t = f64; 1: t", "1: f64"},
    {"(|x| x + 1)(5)", NULL},
    {"|if_| let vec_ = if_; vec_", NULL},
    {"|$a, _b, c$1| {$a, _b, c$1}", NULL},
};

Test(parse, forms) {
    CHECK_PRINTED(forms);
}

static const Printed macros[] = {
    {"|v| map(v, |x| x + 1)", "|v| result(for(v, appender, |b, i, x| merge(b, (|x_1| x_1 + 1)(x))))"},
    {"|v| filter(v, |x| x > 1)",
     "|v| result(for(v, appender, |b, i, x| if((|x_1| x_1 > 1)(x), merge(b, x), b)))"},
    {"|v| flatten(v)",
     "|v| result(for(v, appender, |b, i, v_1| for(v_1, b, |inner, j, x| merge(inner, x))))"},
    {"|v| sum(v)", "|v| result(for(v, merger[?,+], |b, i, x| merge(b, x)))"},
    {"|x, y| compare(x, y)", "|x, y| if(x > y, 1, if(x < y, -1, 0))"},
    /* what names mean */
    {"macro m(a) = let t = 1; a + t; |t| m(t)", "|t| let t_1 = 1; t + t_1"},
    {"macro m(a) = let t = 1; a + t; |t| m(m(t))", "|t| let t_1 = 1; (let t_2 = 1; t + t_2) + t_1"},
    {"macro m(a) = a + outer; |outer| m(1)", "|outer| 1 + outer"},
    {"macro m(f) = |t| f(t); |t| map([1], m(|x| x + t))",
     "|t| result(for([1], appender, |b, i, x| merge(b, (|t_1| (|x_1| x_1 + t)(t_1))(x))))"},
    {"|b, i, x| map([1], |e| {e, b, i, x})",
     "|b, i, x| result(for([1], appender, |b_1, i_1, x_1| merge(b_1, (|e| {e, b, i, x})(x_1))))"},
    {"|sum| sum + sum([sum])", "|sum_1| sum_1 + result(for([sum_1], merger[?,+], |b, i, x| merge(b, x)))"},
    {"let sum = |v| len(v); |v| sum(v)", "|v| (|v_1| len(v_1))(v)"},
    /* how arguments are put in */
    {"macro twice(a) = a + a; |x| twice(x.$0)", "|x| x.$0 + x.$0"},
    {"macro twice(a) = a + a; |v| twice(len(v))", "|v| let a = len(v); a + a"},
    {"macro twice(a) = a + a; |v| twice(twice(len(v)))", "|v| let a = (let a_1 = len(v); a_1 + a_1); a + a"},
    {"macro once(a) = a + 1; |v| once(len(v))", "|v| len(v) + 1"},
    {"macro none(a) = 1; |v| none(len(v))", "|v| 1"},
    {"macro both(b) = {b, b}; both(appender[i64])", "{appender[i64], appender[i64]}"},
    {"macro either(c, a) = if(c, a, {a, 1}); |c, v| either(c, len(v))", "|c, v| if(c, len(v), {len(v), 1})"},
    {"macro m(a) = if(a > 1, a, 0); |v| m(len(v))", "|v| let a = len(v); if(a > 1, a, 0)"},
    {"macro m(v, s) = map(v, |x| x * s); |v| m(v, len(v))",
     "|v| let s = len(v); result(for(v, appender, |b, i, x| merge(b, (|x_1| x_1 * s)(x))))"},
    {"macro m(v, s) = map(v, |x| x * s); |v| m(v, lookup(v, 0l))",
     "|v| result(for(v, appender, |b, i, x| merge(b, (|x_1| x_1 * lookup(v, 0l))(x))))"},
    {"macro id(x) = x; macro twice(a) = id(a) + id(a); |v| twice(len(v))", "|v| let a = len(v); a + a"},
    {"macro apply(f, a, b) = f(a, b); apply(|x, y| x - y, 1, 2)", "(|x, y| x - y)(1, 2)"},
    {"macro nothing() = 5; nothing()", "5"},
};

Test(parse, macros) {
    CHECK_PRINTED(macros);
}

static const Printed functions[] = {
    {"let f = |x| x + 1; f(2) * f(3)", "(|x| x + 1)(2) * (|x_1| x_1 + 1)(3)"},
    {"let f = |x: i64| x; f(2l)", "(|x: i64| x)(2l)"},
    {"let f = || 5; f()", "5"},
    {"let k = 1; let f = |x| x + k; let k = 2; f(k)", "let k = 1; let k_1 = 2; (|x| x + k)(k_1)"},
    {"let f = |x| x + 1; let g = |x| f(f(x)); g(1)", "(|x| (|x_1| x_1 + 1)((|x_2| x_2 + 1)(x)))(1)"},
    {"let f = |x| x; let g = f; g(1)", "(|x| x)(1)"},
    {"let twice = |f, x| f(f(x)); twice(|y| y + 1, 5)", "(|x| (|y| y + 1)((|y_1| y_1 + 1)(x)))(5)"},
    {"|v| let step = |b, i, e| merge(b, e); result(for(v, appender, step))",
     "|v| result(for(v, appender, |b, i, e| merge(b, e)))"},
    {"let next = |x| {x + 1, x < 5}; iterate(0, next)", "iterate(0, |x| {x + 1, x < 5})"},
    {"let order = |a, b| compare(a, b); |v| sort(v, order)",
     "|v| sort(v, |a, b| if(a > b, 1, if(a < b, -1, 0)))"},
    {"let f = |x| x + 1; |v| map(v, f)",
     "|v| result(for(v, appender, |b, i, x| merge(b, (|x_1| x_1 + 1)(x))))"},
    {"let c = 5; |x| x + c", "|x| let c = 5; x + c"},
    {"let f = |x| x + 1; f", "|x| x + 1"},
    {"macro program(k) = |x: i64| x + k; program(5l)", "|x: i64| x + 5l"},
    {"|v, w| let z = zip(v, w); for(z, appender, |b, i, e| b)",
     "|v, w| let z = v; let z_1 = w; for(zip(z, z_1), appender, |b, i, e| b)"},
    {"|v, w| map(zip(v, w), |e| e.$0)",
     "|v, w| result(for(zip(v, w), appender, |b, i, x| merge(b, (|e| e.$0)(x))))"},
    {"|v, w| sum(zip(iter(v, 0l, 4l, 2l), iter(w)))",
     "|v, w| result(for(zip(iter(v, 0l, 4l, 2l), w), merger[?,+], |b, i, x| merge(b, x)))"},
    {"macro pair(v) = zip(v, v); |v| map(pair(v), |e| e.$0)",
     "|v| result(for(zip(v, v), appender, |b, i, x| merge(b, (|e| e.$0)(x))))"},
    {"let f = |z| {sum(z), sum(z)}; |v, w| f(zip(v, tovec(w)))",
     "|v, w| let z = v; let z_1 = tovec(w); "
     "{result(for(zip(z, z_1), merger[?,+], |b, i, x| merge(b, x))), "
     "result(for(zip(z, z_1), merger[?,+], |b_1, i_1, x_1| merge(b_1, x_1)))}"},
    {"macro evens(v) = iter(v, 0l, len(v), 2l); |v| for(zip(evens(tovec(v)), tovec(v)), appender, |b, i, e| "
     "b)",
     "|v| let v_1 = tovec(v); for(zip(iter(v_1, 0l, len(v_1), 2l), tovec(v)), appender, |b, i, e| b)"},
};

Test(parse, functions) {
    CHECK_PRINTED(functions);
}

/* ---- errors ---- */

typedef struct Faulty {
    const char *text;
    ErrorCode code;
    const char *at, *message; /* the text under the caret, up to the line's end; a part of the message */
} Faulty;

static const Faulty faulty[] = {
    {"", E_Syntax, "", "the program is empty"},
    {"# only a comment", E_Syntax, "", "the program is empty"},
    {"len(x", E_Syntax, "", "expected ')' to close the '(' of len, found the end of the text"},
    {"len(1 x)", E_Syntax, "x", "expected ')' to close the '(' of len, found 'x'"},
    {"(1", E_Syntax, "", "expected ')' to close the '('"},
    {"[1, 2", E_Syntax, "", "expected ']' to close the '[' of the vector"},
    {"{1, 2)", E_Syntax, ")", "expected '}' to close the '{' of the struct, found ')'"},
    {"1 +", E_Syntax, "", "expected an expression"},
    {"1 2", E_Syntax, "2", "expected an operator or the end of the program, found '2'"},
    {"x = 5", E_Syntax, "=", "found '='"},
    {"len(1, 2)", E_Syntax, "len(1, 2)", "len takes 1 argument, not 2: len(vec)"},
    {"slice([1], 0l)", E_Syntax, "slice([1], 0l)", "slice takes 3 arguments, not 2"},
    {"pow(1.0)", E_Syntax, "pow(1.0)", "pow takes 2 arguments, not 1"},
    {"i64(1, 2)", E_Syntax, "i64(1, 2)", "i64 takes 1 argument, not 2"},
    {"zip()", E_Syntax, "zip()", "zip takes at least 1 argument, not 0"},
    {"iter([1], 0l)", E_Syntax, "iter([1], 0l)", "with its start, end and stride"},
    {"rangeiter(0l, 1l)", E_Syntax, "rangeiter(0l, 1l)", "rangeiter takes 3 arguments, not 2"},
    {"len", E_Syntax, "", "expected '(' after len"},
    {"let len = 5; len", E_Syntax, "len", "expected the name to bind, found the keyword 'len'"},
    {"let x = 5", E_Syntax, "", "expected ';' after the value of the let"},
    {"let x 5; x", E_Syntax, "5", "expected '='"},
    {"|x: i64 x", E_Syntax, "x", "expected '|' to close the parameters, found 'x'"},
    {"|x| x.foo", E_Syntax, "foo", "as in .$0, found 'foo'"},
    {"|x| x.$", E_Syntax, "$", "as in .$0"},
    {"|x| x.$99999999", E_Syntax, "$99999999", "as in .$0"},
    {"1 + |x| x", E_Syntax, "|", "put the function in parentheses"},
    {"1 + let x = 1; x", E_Syntax, "let", "put the let in parentheses"},
    {"|x, x| x", E_Syntax, "|x, x| x", "the function has two parameters x"},
    /* literals */
    {"128c", E_Syntax, "128c", "the literal 128c is out of range for i8"},
    {"32768si", E_Syntax, "32768si", "out of range for i16"},
    {"2147483648", E_Syntax, "2147483648", "out of range for i32"},
    {"1 - 2147483648", E_Syntax, "2147483648", "out of range for i32"},
    {"-2147483649", E_Syntax, "2147483649", "out of range for i32"},
    {"0xffffffff", E_Syntax, "0xffffffff", "out of range for i32"},
    {"9223372036854775808l", E_Syntax, "9223372036854775808l", "out of range for i64"},
    {"256uc", E_Syntax, "256uc", "out of range for u8"},
    {"18446744073709551616ul", E_Syntax, "18446744073709551616ul", "out of range for u64"},
    {"99999999999999999999999999ul", E_Syntax, "99999999999999999999999999ul", "out of range for u64"},
    {"1e400", E_Syntax, "1e400", "out of range for f64"},
    {"1e39f", E_Syntax, "1e39f", "out of range for f32"},
    {"12abc", E_Syntax, "12abc", "'12abc' is not a number"},
    {"1.5l", E_Syntax, "1.5l", "'l' is none of the suffixes"},
    {"1e", E_Syntax, "1e", "is not a number"},
    {"0x", E_Syntax, "0x", "is not a number"},
    {"0b12", E_Syntax, "0b12", "is not a number"},
    {"1 + \"abc", E_Syntax, "\"", "no closing '\"'"},
    {"\"a\\q\"", E_Syntax, "\\q", "unknown escape"},
    {"\"a\\x1\"", E_Syntax, "\\x", "unknown escape"},
    {"1 ` 2", E_Syntax, "`", "'`' has no meaning"},
    {"1 \x01 2", E_Syntax, "\x01", "the byte 0x01"},
    {"1 \xff 2", E_Syntax, "\xff", "the byte 0xff"},
    /* types */
    {"|x: i65| x", E_Syntax, "i65", "there is no type i65; did you mean i64?"},
    {"|x: vec| x", E_Syntax, "|", "expected '[' and the types of vec"},
    {"|x: vec[i64| x", E_Syntax, "|", "expected ']' to close the type"},
    {"|x: dict[i64]| x", E_Syntax, "]", "dict takes 2 types, not 1"},
    {"|x: simd[vec[i64]]| x", E_Syntax, "simd[vec[i64]]", "simd takes a scalar type"},
    {"merger[i64]", E_Syntax, "]", "expected the operator of merger: +, *, min or max"},
    {"merger[i64, -]", E_Syntax, "-", "expected the operator of merger"},
    {"vecmerger[i64, +]", E_Syntax, "vecmerger[i64, +]", "vecmerger takes the vector that it starts from"},
    {"appender[i64](1l, 2l)", E_Syntax, "appender[i64](1l, 2l)", "appender takes at most 1 argument"},
    {"type t = t; 1", E_Syntax, "t", "there is no type t"},
    {"deserialize([1uc])", E_Syntax, "(", "expected '[' and the type after deserialize"},
    /* names, macros, functions */
    {"|vector| vectr + 1", E_Type, "vectr", "there is no name vectr; did you mean vector?"},
    {"lenn([1])", E_Type, "lenn", "there is no function or macro lenn; did you mean len?"},
    {"macro triple(a) = a; tripel(1)", E_Type, "tripel", "did you mean triple?"},
    {"|v| mapp(v, |x| x)", E_Type, "mapp", "did you mean map?"},
    {"(let x = 1; x) + x", E_Type, "x", "there is no name x"},
    {"map + 1", E_Type, "map", "map is a macro: it can only be called"},
    {"map(1)", E_Syntax, "map(1)", "the macro map takes 2 arguments, not 1"},
    {"macro map(a) = a; 1", E_Syntax, "map", "there is a standard macro map already"},
    {"macro m(a) = a; macro m(a) = a; 1", E_Syntax, "m", "there is a macro m already"},
    {"macro m(a, a) = a; 1", E_Syntax, "a", "the macro m has two parameters a"},
    {"macro m(a) = m(a); 1 + m(2)", E_Syntax, "m(2)", "does not come to an end"},
    {"macro m(a) = n(a); macro n(a) = m(a); m(2)", E_Syntax, "m(2)", "does not come to an end"},
    {"macro m(a) = a + nowhere; 1 + m(2)", E_Type, "m(2)", "there is no name nowhere"},
    {"macro m(a) = a + 1; 1 + m(2 + nowhere)", E_Type, "nowhere", "there is no name nowhere"},
    {"let f = |x| x; f(1, 2)", E_Syntax, "f(1, 2)", "f takes 1 argument, not 2"},
    {"let f = |x| x; f + 1", E_Type, "f", "f is a function"},
    {"let f: i64 = |x| x; f(1)", E_Type, "let f: i64 = |x| x;", "f is a function, which has no type"},
    {"[|x| x]", E_Type, "|x| x", "a function is no value"},
    {"let x = 5; x(3)", E_Type, "x", "only functions can be called"},
    {"zip([1], [2])", E_Type, "zip([1], [2])", "zip can only be the data of a for"},
    {"let z = zip([1], [2]); len(z)", E_Type, "z", "z is a zip or iterator"},
    {"len(iter([1]))", E_Type, "iter([1])", "iter can only be the data of a for"},
    {"|v| for(zip(zip(v, v), v), appender, |b, i, e| b)", E_Type, "zip(v, v)", "cannot be zipped again"},
    {"|v| for(v, appender, v)", E_Type, "v)", "a function is needed"},
    {"|v| for(v, appender, |b, e| b)", E_Type, "|b, e| b)",
     "the function has 2 parameters, but 3 are needed"},
    {"sort([1], |x| x)", E_Type, "|x| x", "the function has 1 parameter, but 2 are needed"},
    {"@(a:)1", E_Syntax, ")", "expected the value of the annotation"},
};

Test(parse, errors) {
    for (size_t i = 0; i < sizeof faulty / sizeof *faulty; i++) {
        const Faulty *row = &faulty[i];
        Program *program = program_of(row->text, strlen(row->text));
        cr_expect(!program_read(program), "%s is read", row->text);
        const Error *error = &program->error;
        cr_expect(error->code == row->code, "%s: %s: %s", row->text, error_name(error->code), error->text);
        cr_expect(strstr(error->text, row->message) != NULL, "%s: %s\n  lacks: %s", row->text, error->text,
                  row->message);
        size_t length = error->span.end - error->span.begin;
        cr_expect(error->span.source == 0 && error->span.end <= strlen(row->text) &&
                      strncmp(row->text + error->span.begin, row->at, length) == 0 &&
                      length <= strlen(row->at),
                  "%s: points at %u..%u, not at %s", row->text, error->span.begin, error->span.end, row->at);
        program_free(program);
    }
}

Test(parse, spans_of_expanded_nodes) {
    const char *text = "macro inc(a) = a + 1; |x: i64| inc(x * 2l)";
    Program *program = program_of(text, strlen(text));
    cr_assert(program_read(program), "%s", program->error.text);
    const Node *sum = program->root->kids[0];
    cr_assert(sum->kind == N_Binary && sum->op == OP_add);
    cr_expect(strncmp(text + sum->span.begin, "inc(x * 2l)", sum->span.end - sum->span.begin) == 0);
    const Node *product = sum->kids[0];
    cr_expect(strncmp(text + product->span.begin, "x * 2l", product->span.end - product->span.begin) == 0);
    program_free(program);
}

/* ---- types and literals alone ---- */

Test(parse, types) {
    static const char *const types[] = {"i64",
                                        "{}",
                                        "{vec[i64],f64}",
                                        "dict[{i8,vec[i8]},vec[bool]]",
                                        "merger[{i64,f32},+]",
                                        "dictmerger[i64,f64,max]",
                                        "groupmerger[i64,f64]",
                                        "vecmerger[u8,*]",
                                        "appender[simd[f32]]"};
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        Program *program = program_of("1", 1);
        Buf out = {0};
        Type *type = type_parse(program, types[i]);
        cr_assert(type, "%s: %s", types[i], program->error.text);
        type_print(&out, type);
        cr_expect_str_eq(out.text, types[i]);
        cr_expect(type == type_parse(program, types[i]), "%s is two types", types[i]);
        buf_release(&out);
        program_free(program);
    }
    Program *program = program_of("1", 1);
    cr_expect(!type_parse(program, "vec[i64]]") && program->error.code == E_Syntax);
    program_free(program);
}

static void check_literal(TypeKind kind, const void *value, const char *expected) {
    Program *program = program_of("1", 1);
    Buf out = {0};
    literal_print(&out, type_scalar(&program->types, kind), value);
    cr_expect_str_eq(out.text, expected);
    buf_release(&out);
    program_free(program);
}

Test(print, literal) {
    int8_t i8 = -128;
    int64_t i64 = INT64_MIN;
    uint64_t u64 = UINT64_MAX;
    uint8_t yes = 1;
    double f64 = NAN, infinite = -INFINITY, zero = -0.0;
    float f32 = INFINITY, third = 1.0f / 3;
    check_literal(TY_i8, &i8, "-128c");
    check_literal(TY_i64, &i64, "-9223372036854775808l");
    check_literal(TY_u64, &u64, "18446744073709551615ul");
    check_literal(TY_bool, &yes, "true");
    check_literal(TY_f64, &f64, "(0.0 / 0.0)");
    check_literal(TY_f64, &infinite, "(-1.0 / 0.0)");
    check_literal(TY_f64, &zero, "-0.0");
    check_literal(TY_f32, &f32, "(1.0f / 0.0f)");
    check_literal(TY_f32, &third, "0.33333334f");
}

/* Random bits read back as they were. */
Test(print, floats_are_exact) {
    uint64_t state = 88172645463325252u;
    for (int i = 0; i < 20000; i++) {
        state ^= state << 13, state ^= state >> 7, state ^= state << 17;
        double value;
        float narrow;
        uint32_t half = (uint32_t)(state >> 16);
        memcpy(&value, &state, sizeof value);
        memcpy(&narrow, &half, sizeof narrow);
        if (!isfinite(value) || !isfinite(narrow)) continue;
        Program *program = program_of("1", 1);
        Buf out = {0};
        buf_put(&out, "{", 1);
        literal_print(&out, type_scalar(&program->types, TY_f64), &value);
        buf_put(&out, ", ", 2);
        literal_print(&out, type_scalar(&program->types, TY_f32), &narrow);
        buf_put(&out, "}", 1);
        program_free(program);
        program = program_of(out.text, out.length);
        cr_assert(program_read(program), "%s: %s", out.text, program->error.text);
        const Node *wide = program->root->kids[0]->kids[0], *small = program->root->kids[0]->kids[1];
        bool minus = wide->kind == N_Unary, minus_small = small->kind == N_Unary;
        if (minus) wide = wide->kids[0];
        if (minus_small) small = small->kids[0];
        cr_expect((wide->bits | (uint64_t)minus << 63) == state, "%s", out.text);
        cr_expect((small->bits | (uint64_t)minus_small << 31) == half, "%s", out.text);
        buf_release(&out);
        program_free(program);
    }
}

/* What passes may make and the language has no literal for. */
Test(print, constants_of_passes) {
    Program *program = program_of("|x: f64, y: i64| {x * x, y - y, x, y}", 37);
    Span span = {0};
    Buf out = {0};
    double nan = NAN, infinite = -INFINITY;
    uint64_t bits[2];
    memcpy(&bits[0], &nan, sizeof nan);
    memcpy(&bits[1], &infinite, sizeof infinite);
    cr_assert(program_read(program));
    Node **fields = program->root->kids[0]->kids;
    Type *f64 = type_scalar(&program->types, TY_f64), *i64 = type_scalar(&program->types, TY_i64);
    fields[0]->kids[1] = node_literal(program, span, f64, bits[0]);
    fields[1]->kids[1] = node_literal(program, span, i64, (uint64_t)-5);
    fields[2] = node_literal(program, span, f64, bits[1]);
    fields[3] = node_make(program, N_Field, span, NULL, 1, node_literal(program, span, i64, 5));
    node_print(&out, program->root, false, 0);
    cr_expect_str_eq(out.text, "|x: f64, y: i64| {x * (0.0 / 0.0), y - -5l, -1.0 / 0.0, (5l).$0}");
    buf_release(&out);
    program_free(program);
}

/* ---- round trips ---- */

static bool print_again(const Buf *text, bool typed, Buf *out) {
    Program *program = program_of(text->text, text->length);
    bool ok = program_read(program) && (!typed || program_infer(program, NULL));
    if (ok)
        program_print(out, program, typed);
    else
        cr_expect_fail("printed text: %s\n%s", program->error.text, text->text);
    program_free(program);
    return ok;
}

static void check_same(const Program *program, bool typed, const char *name) {
    Buf first = {0}, second = {0};
    program_print(&first, program, typed);
    if (print_again(&first, typed, &second))
        cr_expect_str_eq(first.text, second.text, "%s: the print of a print differs", name);
    buf_release(&first);
    buf_release(&second);
}

/* Prints, reads and prints a program, if it is one: the corpus has faulty ones, too. */
static bool check_round_trip(const char *name, const char *text, size_t length) {
    Program *program = program_of(text, length);
    bool ok = program_read(program);
    if (ok) {
        check_same(program, false, name);
        if (program_infer(program, NULL)) check_same(program, true, name);
    }
    program_free(program);
    return ok;
}

static void read_file(const char *path, Buf *out) {
    FILE *file = fopen(path, "rb");
    char block[4096];
    size_t got;
    cr_assert(file, "cannot open %s", path);
    buf_put(out, "", 0);
    while ((got = fread(block, 1, sizeof block, file)) > 0) buf_put(out, block, got);
    fclose(file);
}

/* A file of the corpus holds many programs, each under a line that begins with #= */
static int check_file(const char *path) {
    Buf text = {0};
    int good = 0;
    read_file(path, &text);
    for (char *at = text.text, *next; *at; at = next) {
        next = strstr(at + 1, "\n#=");
        if (!next) next = text.text + text.length;
        good += check_round_trip(path, at, (size_t)(next - at));
    }
    buf_release(&text);
    return good;
}

static void each_file(const char *folder, void (*visit)(const char *path, void *data), void *data) {
    DIR *dir = opendir(folder);
    if (!dir) return;
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        char path[1024];
        if (length < 6 || strcmp(entry->d_name + length - 5, ".weld")) continue;
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        visit(path, data);
    }
    closedir(dir);
}

static void visit_round_trip(const char *path, void *data) {
    *(int *)data += check_file(path);
}

Test(print, round_trips_of_the_corpus) {
    static const char *const folders[] = {"tests/golden/run", "tests/golden/parse", "tests/golden/infer",
                                          "tests/golden/err", "tests/golden/pass",  "examples"};
    int programs = 0;
    for (size_t i = 0; i < sizeof folders / sizeof *folders; i++) {
        char path[600];
        snprintf(path, sizeof path, "%s/%s", WELD_SOURCE_DIR, folders[i]);
        each_file(path, visit_round_trip, &programs);
    }
    cr_expect(programs > 100, "only %d programs", programs);
}

#define TABLE_ROUND_TRIP(rows)                                 \
    for (size_t i = 0; i < sizeof(rows) / sizeof *(rows); i++) \
    check_round_trip(rows[i].text, rows[i].text, strlen(rows[i].text))

Test(print, round_trips_of_the_tables) {
    TABLE_ROUND_TRIP(literals);
    TABLE_ROUND_TRIP(precedence);
    TABLE_ROUND_TRIP(forms);
    TABLE_ROUND_TRIP(macros);
    TABLE_ROUND_TRIP(functions);
}

static void visit_golden(const char *path, void *data) {
    Buf text = {0}, found = {0}, expected = {0};
    char golden[1024];
    snprintf(golden, sizeof golden, "%.*s.expected", (int)strlen(path) - 5, path);
    read_file(path, &text);
    Program *program = program_of(text.text, text.length);
    cr_expect(program_read(program), "%s: %s", path, program->error.text);
    if (program->root) program_print(&found, program, false);
    if (getenv("BLESS")) {
        FILE *file = fopen(golden, "wb");
        cr_assert(file, "cannot write %s", golden);
        fwrite(found.text, 1, found.length, file);
        fclose(file);
    } else {
        read_file(golden, &expected);
        cr_expect_str_eq(found.text, expected.text, "%s differs; found:\n%s", golden, found.text);
    }
    ++*(int *)data;
    program_free(program);
    buf_release(&text);
    buf_release(&found);
    buf_release(&expected);
}

Test(golden, parse) {
    int files = 0;
    each_file(WELD_SOURCE_DIR "/tests/golden/parse", visit_golden, &files);
    cr_expect(files > 0);
}

/* ---- size ---- */

static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now); /* other programs of the machine do not count */
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

/* before, `count` times piece (its %: the number, ~: the next), middle, `count` times close, after */
static Buf repeated(const char *before, const char *piece, int count, const char *middle, const char *close) {
    Buf text = {0};
    buf_printf(&text, "%s", before);
    for (int i = 0; i < count; i++) {
        for (const char *c = piece; *c; c++) {
            if (*c == '%')
                buf_printf(&text, "%d", i);
            else if (*c == '~')
                buf_printf(&text, "%d", i + 1);
            else
                buf_put(&text, c, 1);
        }
    }
    buf_printf(&text, "%s", middle);
    for (int i = 0; i < count; i++) buf_printf(&text, "%s", close);
    return text;
}

/* Reads, or fails with the message; never for long. */
static void check_large(Buf text, const char *message) {
    double start = seconds();
    Program *program = program_of(text.text, text.length);
    bool ok = program_read(program);
    double took = seconds() - start;
    cr_expect(ok == !message, "%.60s...: %s", text.text, program->error.text);
    if (message)
        cr_expect(strstr(program->error.text, message), "%.60s...: %s", text.text, program->error.text);
    cr_expect(took < 1, "%.60s... took %g s", text.text, took);
    if (ok && text.length < 1000000) check_same(program, false, "large");
    program_free(program);
    buf_release(&text);
}

Test(size, chains) {
    check_large(repeated("|x0: i64| ", "let x~ = x% + 1l; ", 10000, "x10000", ""), NULL);
    check_large(repeated("|v0: vec[i64]| ", "let v~ = map(v%, |x| x + x); ", 10000, "v10000", ""), NULL);
    check_large(repeated("|x: i64| ", "let g% = |a| a + x; ", 10000, "g9999(1l)", ""), NULL);
    check_large(repeated("|v: vec[i64]| ", "let z% = zip(v, v); ", 5000, "map(z4999, |e| e.$0)", ""), NULL);
    check_large(repeated("", "macro m%(a) = a + 1; ", 10000, "m9999(1)", ""), NULL);
    check_large(repeated("", "1 + ", 15000, "1", ""), NULL);
    check_large(repeated("", "1 + ", 1000000, "1", ""), "nested too deeply");
    check_large(repeated("|x| x", ".$0", 1000000, "", ""), "nested too deeply");
    check_large(repeated("if(true, ", "@(a:b)", 100000, "1, 2)", ""), NULL);
}

Test(size, nesting) {
    check_large(repeated("", "(", 2000, "1", ")"), NULL);
    check_large(repeated("", "[", 2000, "1", "]"), NULL);
    check_large(repeated("|x: i64| ", "exp(1.0 + ", 2000, "1.0", ")"), NULL);
    check_large(repeated("", "let a = ", 5000, "1", "; a"), NULL);
    check_large(repeated("|v: vec[i64]| ", "map(", 2000, "v", ", |x| x + 1l)"), NULL);
    check_large(repeated("|v: vec[i64]| ", "map(v, |v| ", 600, "v", ")"), NULL);
    check_large(repeated("", "let g% = |a| a + 1; let g~ = |a| g%(a); ", 3000, "g3000(1)", ""), NULL);
    check_large(repeated("", "(", 1000000, "", ""), "nested too deeply");
    check_large(repeated("", "-", 1000000, "1", ""), "nested too deeply");
    check_large(repeated("", "|x| ", 100000, "1", ""), "nested too deeply");
    check_large(repeated("|x: ", "vec[", 100000, "i64", "]"), "type is nested too deeply");
}

Test(size, growth) {
    check_large(repeated("macro a(x) = x + x; ", "a(", 2000, "len([1])", ")"), NULL);
    check_large(repeated("macro a(x) = {x, x}; ", "a(", 40, "appender", ")"), "too large");
    check_large(repeated("let g0 = |x| x; ", "let g~ = |x| g%(x) + g%(x); ", 60, "g60(1)", ""), "too large");
    check_large(repeated("type t0 = {i64, i64}; ", "type t~ = {t%, t%}; ", 60, "|x: t60| x", ""),
                "too large");
}

/* The standard macros are read with every program, so reading a small one must be quick. */
Test(size, small_programs_are_quick) {
    const char *text = "|v: vec[i64], w: vec[i64]| sum(map(zip(v, w), |e| e.$0 * e.$1 + 1l))";
    double best = 1;
    for (int i = 0; i < 50; i++) {
        double start = seconds();
        Program *program = program_of(text, strlen(text));
        cr_assert(program_read(program));
        double took = seconds() - start;
        if (took < best) best = took;
        program_free(program);
    }
    cr_expect(best < 2e-3, "%g s", best); /* 50 microseconds without sanitizers */
}

Test(parse, no_nul_in_an_annotation) {
    static const char text[] = "@(note:\"a\0b\")if(true, 1, 2)";
    Program *program = program_new("test", text, sizeof text - 1);
    cr_assert(program);
    cr_assert(!program_read(program));
    cr_assert_eq(program->error.code, E_Syntax);
    cr_assert_eq(program->error.span.begin, 7);
    program_free(program);
}
