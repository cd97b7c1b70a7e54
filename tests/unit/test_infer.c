/* test_infer.c: what programs mean by their types: inference (infer*.c) and the verifier (verify.c).
 *
 * Two tables: programs with the types they have, and faulty programs with the message and the text that it
 * points at. Then golden files: tests/golden/infer (a program and its typed text) and tests/golden/err (a
 * faulty program and the rendered error). BLESS=1 in the environment writes the expected files anew.
 */
#include "../../lang/lang.h"

#include <criterion/criterion.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static Program *typed(const char *text, size_t length) {
    Program *program = program_new("test", text, length);
    cr_assert(program);
    if (program_read(program) && program_infer(program, NULL)) program_verify(program);
    return program;
}

typedef struct Good {
    const char *text, *type;
} Good;

static const Good good[] = {
    /* constants and operators */
    {"1", "i32"},
    {"1l + 2l", "i64"},
    {"1.5f * 2f", "f32"},
    {"1uc", "u8"},
    {"true && !false || 1 < 2", "bool"},
    {"\"text\"", "vec[i8]"},
    {"~1c | 2c ^ 3c & 4c", "i8"},
    {"1ul << 3ul >> 1ul", "u64"},
    {"true & false", "bool"},
    {"min(1, 2) + max(3, 4)", "i32"},
    {"pow(2.0, 3.0)", "f64"},
    {"sqrt(2f)", "f32"},
    {"f64(true)", "f64"},
    {"u8(1.5)", "u8"},
    {"bool(3)", "bool"},
    {"-(3ul)", "u64"},
    {"[1, 2] < [3]", "bool"},
    {"{1, [2.0]} == {1, [3.0]}", "bool"},
    {"\"a\" != \"b\"", "bool"},
    /* names and functions */
    {"|x: i32| x", "|i32| i32"},
    {"|x| x + 1l", "|i64| i64"},
    {"|x, y| if(x < y, x, 2f)", "|f32,f32| f32"},
    {"let x = 1; let y = x + 2; {x, y}", "{i32,i32}"},
    {"let x: vec[f64] = []; x", "vec[f64]"},
    {"let f = |x| x + 1; f(2)", "i32"},
    {"(|x, y| {y, x})(1, 2l)", "{i64,i32}"},
    {"let a = let b = 1; b; a", "i32"},
    {"|| 5", "|| i32"},
    {"let x = 1; let x = {x, 2.0}; x.$1", "f64"},
    /* what is known only later */
    {"|p| let a = p.$0; let q: {i32, f64} = p; a", "|{i32,f64}| i32"},
    {"|d| let a = lookup(d, 1); let e: dict[i32, f64] = d; a", "|dict[i32,f64]| f64"},
    {"|d| let a = lookup(d, 1l).$0; let e: vec[{i8, f64}] = d; a + 1c", "|vec[{i8,f64}]| i8"},
    {"|p| let a = p.$0.$1.$0; let q: {{i8, {bool}}} = p; a", "|{{i8,{bool}}}| bool"},
    {"[]: vec[i32]", "vec[i32]"},
    {"[[], [1]]", "vec[vec[i32]]"},
    {"|x| [x, 1.0]", "|f64| vec[f64]"},
    {"[{1, 2.0}]", "vec[{i32,f64}]"},
    {"{}", "{}"},
    /* vectors and dictionaries */
    {"len([1])", "i64"},
    {"lookup([1.0], 0l)", "f64"},
    {"slice([1c], 0l, 1l)", "vec[i8]"},
    {"sort([2, 1], |a, b| compare(a, b))", "vec[i32]"},
    {"sort([{2, 1.0}], |a, b| compare(a.$1, b.$1))", "vec[{i32,f64}]"},
    {"result(merge(dictmerger[i64, f64, +], {1l, 2.0}))", "dict[i64,f64]"},
    {"lookup(result(merge(dictmerger[vec[i8], f64, min], {\"a\", 2.0})), \"a\")", "f64"},
    {"optlookup(result(merge(dictmerger[i64, f32, *], {1l, 2f})), 1l)", "{bool,f32}"},
    {"keyexists(result(merge(groupmerger[i64, f32], {1l, 2f})), 1l)", "bool"},
    {"tovec(result(merge(groupmerger[i64, f32], {1l, 2f})))", "vec[{i64,vec[f32]}]"},
    {"serialize({1, [2.0]})", "vec[u8]"},
    {"deserialize[{i32, vec[f64]}](serialize({1, [2.0]}))", "{i32,vec[f64]}"},
    {"deserialize[i32](\"abcd\")", "i32"},
    {"|x| deserialize[i32](x)", "|vec[u8]| i32"},
    {"cudf[f, vec[i32]](1, [2.0])", "vec[i32]"},
    {"assert(true)", "bool"},
    {"select(1 < 2, 1, 2)", "i32"},
    {"iterate(0, |x| {x + 1, x < 10})", "i32"},
    {"iterate({0, 1.0}, |s| {{s.$0 + 1, s.$1 * 2.0}, s.$0 < 10})", "{i32,f64}"},
    {"iterate(0l, |x| let y = x + 1l; {y, y < 5l})", "i64"},
    /* loops and builders */
    {"for([1, 2], appender, |b, i, e| merge(b, e))", "appender[i32]"},
    {"result(for([1, 2], appender[?], |b, i, e| merge(b, i)))", "vec[i64]"},
    {"result(for([1, 2], appender(10l), |b, i, e| merge(b, e)))", "vec[i32]"},
    {"result(for([1, 2], merger[i32, +](7), |b, i, e| merge(b, e)))", "i32"},
    {"result(for([1, 2], merger[{i32, f64}, max], |b, i, e| merge(b, {e, 1.0})))", "{i32,f64}"},
    {"result(for([1, 2], dictmerger[i32, i64, +], |b, i, e| merge(b, {e, i})))", "dict[i32,i64]"},
    {"result(for([1, 2], dictmerger[?, ?, +], |b, i, e| merge(b, {e, i})))", "dict[i32,i64]"},
    {"result(for([1, 2], groupmerger[?, ?], |b, i, e| merge(b, {e, i})))", "dict[i32,vec[i64]]"},
    {"result(for([1, 2], vecmerger[f64, +]([0.0]), |b, i, e| merge(b, {0l, 1.0})))", "vec[f64]"},
    {"|v: vec[i32], w: vec[f64]| map(zip(v, w), |e| f64(e.$0) + e.$1)", "|vec[i32],vec[f64]| vec[f64]"},
    {"for(zip([1], [2.0], [3c]), appender, |b, i, e| merge(b, e.$2))", "appender[i8]"},
    {"for(rangeiter(0l, 10l, 1l), merger[i64, +], |b, i, e| merge(b, e))", "merger[i64,+]"},
    {"for(iter([1], 0l, 1l, 1l), appender, |b, i, e| merge(b, e))", "appender[i32]"},
    {"for(nditer([1], 0l, 1l, 1l, [1l], [1l]), appender, |b, i, e| merge(b, e))", "appender[i32]"},
    {"result(for([1], {appender, merger[f64, +]}, |b, i, e| {merge(b.$0, e), merge(b.$1, 2.0)}).$0)",
     "vec[i32]"},
    {"result(for([1], {appender[i32], merger[f64, +]}, |b, i, e| merge(b, {e, 2.0})))", "{vec[i32],f64}"},
    {"for([[1]], appender, |b, i, e| for(e, b, |b2, i2, e2| merge(b2, e2)))", "appender[i32]"},
    {"for([[1]], appender, |b, i, e| for(e, b, |b2, i2, e2| merge(b, e2)))", "appender[i32]"},
    {"for([1], appender, |b, i, e| if(e > 0, merge(b, e), b))", "appender[i32]"},
    {"for([1], {appender, merger[i32, +]}, |b, i, e| if(e > 0, {merge(b.$0, e), merge(b.$1, e)}, b))",
     "{appender[i32],merger[i32,+]}"},
    {"for([[1]], {appender, merger[i64, +]}, |b, i, r| {for(r, b.$0, |c, j, e| merge(c, e)), merge(b.$1, "
     "i)})",
     "{appender[i32],merger[i64,+]}"},
    {"for([1], merger[i32, +], |b, i, e| let c = merge(b, e); let d = e + 1; merge(c, d))", "merger[i32,+]"},
    {"for([1], {merger[i32, +], {merger[i32, *]}}, |b, i, e| {merge(b.$0, e), {merge(b.$1.$0, e)}})",
     "{merger[i32,+],{merger[i32,*]}}"},
    {"map([1, 2], |x| x + 1)", "vec[i32]"},
    {"filter([1, 2], |x| x > 1)", "vec[i32]"},
    {"flatten([[1], [2]])", "vec[i32]"},
    {"sum([1.0])", "f64"},
    {"{map([1], |x| x), map([1.0], |x| x), sum([1l]), sum([2f])}", "{vec[i32],vec[f64],i64,f32}"},
    {"|b: appender[i32]| merge(b, 1)", "|appender[i32]| appender[i32]"},
    {"iterate({appender[i32], 0}, |s| {{merge(s.$0, 1), s.$1 + 1}, s.$1 < 3}).$1", "i32"},
    {"let b = if(true, appender[i32], merge(appender[i32], 1)); result(b)", "vec[i32]"},
    {"iterate({appender[i32], 0}, |s| let r = result(s.$0);"
     "{{for(r, appender[i32], |b, i, e| merge(b, e)), s.$1 + 1}, s.$1 < 3}).$1",
     "i32"},
    {"|s: {appender[i32], i64}| {merge(s.$0, 1), s.$1}", "|{appender[i32],i64}| {appender[i32],i64}"},
    {"|d| let x = iterate(0, |x| lookup(d, x)); let k: dict[i32, {i32, bool}] = d; x",
     "|dict[i32,{i32,bool}]| i32"},
    {"let b = {appender[i32], 1}; let c = if(true, b, {appender[i32], 2}); result(c.$0)", "vec[i32]"},
    /* lanes */
    {"result(for(simditer([1f]), merger[f32, +], |b, i, e: simd[f32]| merge(b, e)))", "f32"},
    {"result(for(simditer([1f]), appender, |b, i, e| merge(b, e * broadcast(2f))))", "vec[f32]"},
    {"result(for(simditer([1]), merger[i32, +], |b, i, e| merge(b, select(e > broadcast(2), e, "
     "broadcast(0)))))",
     "i32"},
    {"result(for(zip(simditer([1f]), simditer([2f])), appender, |b, i, e| merge(b, sqrt(e.$0 + e.$1))))",
     "vec[f32]"},
    {"result(for(fringeiter([1f]), for(simditer([1f]), appender[f32], |b, i, e| merge(b, e)), |b, i, e| "
     "merge(b, e)))",
     "vec[f32]"},
    {"broadcast(1)", "simd[i32]"},
    {"broadcast(1) < broadcast(2) && broadcast(true)", "simd[bool]"},
};

static void type_text(const Program *program, Buf *out) {
    Type *type = program->root->type;
    type_print(out, program->bare ? type->args[type->count - 1] : type);
}

Test(infer, gives_types) {
    for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
        Program *program = typed(good[i].text, strlen(good[i].text));
        Buf out = {0};
        if (program->error.code) {
            program_render_error(program, &program->error, &out);
        } else {
            type_text(program, &out);
        }
        cr_expect_str_eq(out.text, good[i].type, "%s: %s", good[i].text, out.text);
        buf_release(&out);
        program_free(program);
    }
}

typedef struct Bad {
    const char *text, *message, *at; /* a part of the message; the text that it points at */
} Bad;

static const Bad bad[] = {
    {"1.5 + 2l", "this is i64, but the left side of + is f64; convert with f64(..)", "2l"},
    {"|x: i64, y: f64| x * y", "this is f64, but the left side of * is i64; convert with i64(..)", "y"},
    {"min(1, 2.0)", "this is f64, but the first operand of min is i32; convert with i32(..)", "2.0"},
    {"true + true", "this is bool, but + works on numbers", "true"},
    {"[1] + [2]", "this is vec[i32], but + works on numbers", "[1]"},
    {"pow(1, 2)", "this is i32, but pow works on f32 or f64; convert with f64(..)", "1"},
    {"exp(1)", "this is i32, but exp works on f32 or f64; convert with f64(..)", "1"},
    {"!1", "this is i32, but ! works on bool", "1"},
    {"~1.0", "this is f64, but ~ works on integers", "1.0"},
    {"1.0 & 2.0", "this is f64, but & works on integers or bool", "1.0"},
    {"true << false", "this is bool, but << works on integers", "true"},
    {"1 && true", "this is i32, but an operand of && is bool; convert with bool(..)", "1"},
    {"if(1, 2, 3)", "this is i32, but the condition of if is bool", "1"},
    {"if(true, 2, 3.0)", "this is f64, but the other arm of if is i32; convert with i32(..)", "3.0"},
    {"select(true, 2, 3l)", "this is i64, but the other arm of select is i32", "3l"},
    {"let x: f64 = 1; x", "this is i32, but the declared type of x is f64; convert with f64(..)", "1"},
    {"(1 + 2): f64", "this is i32, but what is stated after it is f64", "1 + 2"},
    {"{1, 2}.$2", "there is no field $2 in {i32,i32}", "{1, 2}.$2"},
    {"(1).$0", "this is i32, which has no fields", "1"},
    {"[1, 2.0]", "this is f64, but an element of this vector is i32; convert with i32(..)", "2.0"},
    {"[]", "could not infer the type of this (vec[?] so far)", "[]"},
    {"|x| x", "could not infer the type of the parameter x; write |x: T|", "|x| x"},
    {"appender", "could not infer the type of this (appender[?] so far)", "appender"},
    {"len(1)", "this is i32, but what len measures must be a vec", "1"},
    {"lookup([1], 0)", "this is i32, but an index is i64; convert with i64(..)", "0"},
    {"lookup(1, 0)", "this is i32, but lookup works on a vec or a dict", "1"},
    {"|d: dict[i64, f64]| lookup(d, 1)",
     "this is i32, but a key of this dictionary is i64; convert with i64(..)", "1"},
    {"slice([1], 0, 1l)", "this is i32, but the start of a slice is i64", "0"},
    {"tovec([1])", "this is vec[i32], but what tovec lists must be a dict", "[1]"},
    {"sort([1], |a, b| a < b)", "this is bool, but the order that sort's function gives is i32", "a < b"},
    {"assert(1)", "this is i32, but what assert checks is bool", "1"},
    {"f64([1])", "this is vec[i32], but f64(..) converts scalars", "[1]"},
    {"iterate(0, |x| x + 1)", "this is i32, but what iterate's function must give is {i32,bool}", "x + 1"},
    {"iterate(0, |x| {1.0, true})", "this is {f64,bool}, but what iterate's function must give is {i32,bool}",
     "{1.0, true}"},
    {"(|x: i32| x)(1l)", "this is i64, but the parameter x is i32; convert with i32(..)", "1l"},
    {"(|x: i32| x)(1, 2)", "this function takes 1 argument, not 2", "(|x: i32| x)(1, 2)"},
    {"let d: dict[i64, f64] = (iterate({1}, |x| {x, false})); d",
     "this is {i32}, but the declared type of d is dict[i64,f64]", "iterate({1}, |x| {x, false})"},
    {"|d: dict[i64, i64]| d == d", "values of type dict[i64,i64] cannot be compared with ==", "d == d"},
    {"|p| let a: f64 = p.$0; let q: {i32} = p; a", "this is i32, but its use needs f64; convert with f64(..)",
     "p.$0"},
    {"broadcast([1])", "this is vec[i32], but broadcast widens scalars", "[1]"},
    {"select(broadcast(true), 1, 2)",
     "this is i32, but a condition of type simd[bool] chooses between simd values", "1"},
    {"deserialize[i32]([1l])", "this is vec[i64], but deserialize reads vec[u8]", "[1l]"},
    {"for(rangeiter(0, 1, 1), appender, |b, i, e| merge(b, e))",
     "this is i32, but the start of rangeiter is i64; convert with i64(..)", "0"},
    {"{"
     "{1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16, 17, 18, 19, 20, 21, 22, 23, 24, 25, 26, 27, "
     "28, 29, 30}"
     "} + 1",
     "i32,i3...", NULL},
    /* types that there are not */
    {"|x: dict[dict[i32, i32], i32]| 1", "there is no dict[dict[i32,i32],i32]: a key is a scalar", NULL},
    {"|x: vec[appender[i32]]| 1", "there is no vec[appender[i32]]: vec cannot hold builders", NULL},
    {"[appender[i32]]", "there is no vec[appender[i32]]: vec cannot hold builders", NULL},
    {"|x: merger[vec[i32], +]| 1", "there is no merger[vec[i32],+]: merger combines numbers", NULL},
    {"merger[bool, +]", "there is no merger[bool,+]: merger combines numbers", NULL},
    {"[broadcast(1)]", "there is no vec[simd[i32]]: vec cannot hold simd values", NULL},
    {"serialize(appender[i32])", "this is appender[i32], but serialize works on plain data", "appender[i32]"},
    /* loops and builders */
    {"for(1, appender, |b, i, e| merge(b, e))", "this is i32, but the data of a loop must be a vec", "1"},
    {"for([1], 2, |b, i, e| b)", "this is i32, but a for merges into a builder, or a struct of builders",
     "2"},
    {"for([1], {appender[i32], 2}, |b, i, e| b)",
     "this is {appender[i32],i32}, but a for merges into a builder", "{appender[i32], 2}"},
    {"for([1], appender[i32], |b, i, e: f64| b)",
     "the parameter e is declared f64, but an element of the data is i32", "|b, i, e: f64| b"},
    {"for([1], appender[i32], |b, i, e| e)",
     "this is i32, but the builder that this function must give back is appender[i32]", "e"},
    {"for([1], appender[i64], |b, i, e| merge(b, e))",
     "this is i32, but appender[i64] merges i64; convert with i64(..)", "e"},
    {"for([1], dictmerger[i32, i32, +], |b, i, e| merge(b, e))",
     "this is i32, but dictmerger[i32,i32,+] merges {i32,i32}", "e"},
    {"for(zip(simditer([1]), iter([1])), appender, |b, i, e| b)",
     "simditer cannot be zipped with other iterators", "iter([1])"},
    {"for(simditer([1]), merger[i32, +], |b, i, e| merge(b, e + 1))",
     "this is i32, but the left side of + is simd[i32]; widen with broadcast(..)", "1"},
    {"for(simditer([[1]]), appender, |b, i, e| b)",
     "this is vec[vec[i32]], but simditer walks vectors of scalars", "[[1]]"},
    {"vecmerger[i32, +]", NULL, NULL},
    {"merge({appender[i32], {merger[i32, +]}}, 5)",
     "this is i32, but {appender[i32],{merger[i32,+]}} merges {i32,{i32}}", "5"},
    {"merge({appender[i32], merger[i32, +]}, {1, 2, 3})", "merges {i32,i32}", "{1, 2, 3}"},
    {"merge(1, 2)", "this is i32, but merge adds to a builder", "1"},
    {"result([1])", "this is vec[i32], but result ends a builder", "[1]"},
    /* builders are linear */
    {"for([1], appender[i32], |b, i, e| appender[i32])",
     "must give back its own builder, but this is another", "appender[i32]"},
    {"for([1], {appender[i32], appender[i32]}, |b, i, e| {b.$1, b.$0})",
     "must give back its own builders, field for field", "{b.$1, b.$0}"},
    {"for([1], appender[i32], |b, i, e| if(e > 0, b, appender[i32]))",
     "must give back its own builder, but this is another", "if(e > 0, b, appender[i32])"},
    {"for([1], {appender[i32], appender[i32]}, |b, i, e| {b.$0, b.$0})",
     "this struct holds one builder twice", "{b.$0, b.$0}"},
    {"let b = appender[i32]; let r = result(b); result(b)", "result has ended this builder already", "b"},
    {"iterate({appender[i32], 0}, |s| let r = result(s.$0); {s, false})",
     "result has ended this builder already", "{s, false}"},
    {"for([1], {appender[i32], appender[i32]}, |b, i, e| let r = result(b.$0); b)",
     "result has ended this builder, so the function cannot give it back", "b"},
    {"iterate(0, |x| let b = appender[i32]; let r = iterate(0, |y| let c = merge(b, y); {y, false}); {r, "
     "false})",
     "this builder is from outside the loop", "merge(b, y)"},
    {"let a = appender[i32]; let b = appender[i32]; let c = if(true, a, b); {result(c), result(a)}",
     "result has ended this builder already", "a"},
    {"let b = appender[i32]; {b, result(b)}", "result has ended this builder already", "{b, result(b)}"},
    {"let b = merger[i32, +]; for([1], b, |c, i, e| let r = result(c); c)",
     "result has ended this builder already", "c"},
    {"let a = appender[i32]; for([1], appender[i32], |b, i, e| let c = merge(a, e); b)",
     "this builder is from outside the loop", "merge(a, e)"},
    {"for([1], appender[i32], |b, i, e| select(e > 0, merge(b, e), b))",
     "select evaluates both arms, so they cannot be builders; use if", "select(e > 0, merge(b, e), b)"},
};

Test(infer, explains_what_does_not_fit) {
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        Program *program = typed(bad[i].text, strlen(bad[i].text));
        const Error *error = &program->error;
        cr_expect(error->code != E_None && error->code != E_Internal, "%s: %s %s", bad[i].text,
                  error_name(error->code), error->text);
        if (bad[i].message)
            cr_expect(strstr(error->text, bad[i].message), "%s: \"%s\"", bad[i].text, error->text);
        if (bad[i].at) {
            int length = (int)(error->span.end - error->span.begin);
            const char *at = bad[i].text + error->span.begin;
            cr_expect(length == (int)strlen(bad[i].at) && strncmp(at, bad[i].at, (size_t)length) == 0,
                      "%s: points at \"%.*s\"", bad[i].text, length, at);
        }
        program_free(program);
    }
}

/* ---- a wanted type ---- */

Test(infer, takes_a_wanted_type) {
    static const struct {
        const char *text, *want, *type;
    } rows[] = {
        {"[]", "vec[i64]", "vec[i64]"},
        {"{1, []}", "{i32, vec[{i8, f64}]}", "{i32,vec[{i8,f64}]}"},
        {"let x = []; [x]", "vec[vec[f32]]", "vec[vec[f32]]"},
        {"1", "i64", NULL},
        {"[]", "i64", NULL},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Program *other = program_new("want", "", 0),
                *program = program_new("test", rows[i].text, strlen(rows[i].text));
        Type *want = type_parse(other, rows[i].want);
        cr_assert(want);
        bool ok = program_read(program) && program_infer(program, want) && program_verify(program);
        cr_expect(ok == (rows[i].type != NULL), "%s: %s", rows[i].text, program->error.text);
        Buf out = {0};
        if (ok) type_text(program, &out);
        if (ok) cr_expect_str_eq(out.text, rows[i].type);
        buf_release(&out);
        program_free(program);
        program_free(other);
    }
}

/* Parameters without types get those of the arguments. */
Test(infer, takes_types_of_arguments) {
    Program *other = program_new("want", "", 0);
    Type *parts[3] = {type_parse(other, "i64"), type_parse(other, "vec[i8]"), NULL};
    parts[2] = type_unknown(&other->types);
    Type *two = type_make(&other->types, TY_function, OP_none, 3, parts);
    static const struct {
        const char *text, *found;
    } rows[] = {
        {"|x, y| {y, x}", "|i64,vec[i8]| {vec[i8],i64}"},
        {"|x: i64, y| y", "|i64,vec[i8]| vec[i8]"},
        {"|x: f64, y| y", "the parameter x is f64, but the argument is i64"},
        {"|x| x", "the program takes 1 arguments, but is given 2"},
    };
    for (int i = 0; i < 4; i++) {
        Program *program = program_new("test", rows[i].text, strlen(rows[i].text));
        Buf out = {0};
        if (program_read(program) && program_infer(program, two) && program_verify(program))
            type_text(program, &out);
        cr_expect_str_eq(out.text ? out.text : program->error.text, rows[i].found);
        buf_release(&out);
        program_free(program);
    }
    program_free(other);
}

/* ---- large programs ---- */

/* Of the processor: other tests run at the same time. */
static double seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
    return (double)now.tv_sec + (double)now.tv_nsec * 1e-9;
}

static void infers_quickly(Buf *text, const char *what) {
    double start = seconds();
    Program *program = typed(text->text, text->length);
    double took = seconds() - start;
    cr_expect(program->error.code == E_None, "%s: %s", what, program->error.text);
    cr_expect(took < 2, "%s took %.2f s", what, took);
    program_free(program);
    buf_release(text);
}

Test(infer, is_linear) {
    enum { LETS = 10000, DEEP = 5000 };
    Buf text = {0};
    buf_printf(&text, "|v: vec[f64]| let a0 = v;");
    for (int i = 1; i < LETS; i++)
        buf_printf(&text, "let a%d = result(for(a%d, appender, |b, i, e| merge(b, e + 1.0)));\n", i, i - 1);
    buf_printf(&text, "a%d", LETS - 1);
    infers_quickly(&text, "a chain of lets");

    buf_printf(&text, "|p| ");
    for (int i = 0; i < LETS; i++) buf_printf(&text, "let a%d = p.$%d;", i, i % 3);
    buf_printf(&text, "let q: {i8, i16, i32} = p; a0");
    infers_quickly(&text, "lets that wait for the last");

    for (int i = 0; i < DEEP; i++) buf_printf(&text, "(1 + ");
    buf_printf(&text, "1");
    for (int i = 0; i < DEEP; i++) buf_printf(&text, ")");
    infers_quickly(&text, "a deep sum");

    for (int i = 0; i < DEEP; i++) buf_printf(&text, "let a%d = (", i);
    buf_printf(&text, "1");
    for (int i = DEEP - 1; i >= 0; i--) buf_printf(&text, "); a%d", i);
    infers_quickly(&text, "lets in values of lets");
}

/* Types that double with each let are stopped before they fill the memory. */
Test(infer, stops_types_that_explode) {
    static const char *const starts[] = {"{1, 2}", "{}", "{[], []}"};
    for (int s = 0; s < 3; s++) {
        Buf text = {0};
        buf_printf(&text, "let a0 = %s;", starts[s]);
        for (int i = 1; i < 70; i++) buf_printf(&text, "let a%d = {a%d, a%d};", i, i - 1, i - 1);
        buf_printf(&text, "1");
        Program *program = typed(text.text, text.length);
        cr_expect(strstr(program->error.text, "too many parts"), "%s: %s", starts[s], program->error.text);
        program_free(program);
        buf_release(&text);
    }
}

Test(infer, refuses_infinite_types) {
    static const char *const texts[] = {"|x| x == [x]", "|x, y| let a = x == {y}; let b = y == {x}; 1",
                                        "|v| for(v, appender, |b, i, e| merge(b, v))"};
    for (int i = 0; i < 3; i++) {
        Program *program = typed(texts[i], strlen(texts[i]));
        cr_expect(program->error.code == E_Type, "%s: %s", texts[i], program->error.text);
        program_free(program);
    }
}

/* ---- the verifier on trees that no text gives ---- */

static const Span nowhere;

static Program *small(void) {
    Program *program = program_new("test", "", 0);
    cr_assert(program);
    return program;
}

static void finish(Program *program, Node *body, const char *message) {
    Type *type = body->type;
    program->root = node_make(program, N_Lambda, nowhere,
                              type_make(&program->types, TY_function, OP_none, 1, &type), 1, body);
    program->depth = 10;
    bool ok = program_verify(program);
    cr_expect(ok == !message, "%s", program->error.text);
    if (message) {
        cr_expect(program->error.code == E_Internal);
        cr_expect(strstr(program->error.text, message), "%s", program->error.text);
    }
    program_free(program);
}

Test(verify, checks_the_tree) {
    Program *p = small();
    Type *i32 = type_scalar(&p->types, TY_i32);
    Node *one = node_literal(p, nowhere, i32, 1);
    Node *sum = node_make(p, N_Binary, nowhere, i32, 2, one, one);
    sum->op = OP_add;
    finish(p, sum, "twice");

    p = small();
    i32 = type_scalar(&p->types, TY_i32);
    sum = node_make(p, N_Binary, nowhere, i32, 2, node_literal(p, nowhere, i32, 1),
                    node_literal(p, nowhere, type_scalar(&p->types, TY_i64), 1));
    sum->op = OP_add;
    finish(p, sum, "a rule of types does not hold");

    p = small();
    finish(p, node_make(p, N_Literal, nowhere, type_unknown(&p->types), 0), "not closed");

    p = small();
    i32 = type_scalar(&p->types, TY_i32);
    finish(p, node_make(p, N_Ascribe, nowhere, i32, 1, node_literal(p, nowhere, i32, 1)), "sugar");

    p = small();
    i32 = type_scalar(&p->types, TY_i32);
    finish(p, node_make(p, N_Len, nowhere, i32, 0), "number of kids");
}

Test(verify, checks_names) {
    Program *p = small();
    Type *i32 = type_scalar(&p->types, TY_i32);
    Symbol *x = symbol_new(p, "x", i32);
    finish(p, node_ident(p, nowhere, x), "outside its scope");

    p = small();
    i32 = type_scalar(&p->types, TY_i32);
    x = symbol_new(p, "x", i32);
    Node *inner = node_let(p, nowhere, x, node_literal(p, nowhere, i32, 1), node_ident(p, nowhere, x));
    finish(p, node_let(p, nowhere, x, node_literal(p, nowhere, i32, 1), inner), "bound twice");

    p = small();
    i32 = type_scalar(&p->types, TY_i32);
    x = symbol_new(p, "x", i32);
    inner = node_let(p, nowhere, x, node_literal(p, nowhere, i32, 1), node_ident(p, nowhere, x));
    Node *sum = node_make(p, N_Binary, nowhere, i32, 2, inner, node_ident(p, nowhere, x));
    sum->op = OP_add;
    finish(p, sum, "outside its scope");
}

/* ---- golden files ---- */

static void read_file(const char *path, Buf *out) {
    FILE *file = fopen(path, "rb");
    char block[4096];
    size_t got;
    if (!file) return;
    while ((got = fread(block, 1, sizeof block, file)) > 0) buf_put(out, block, got);
    fclose(file);
}

static void compare_golden(const char *path, const Buf *found) {
    if (getenv("BLESS")) {
        FILE *file = fopen(path, "wb");
        cr_assert(file, "cannot write %s", path);
        fwrite(found->text, 1, found->length, file);
        fclose(file);
        return;
    }
    Buf expected = {0};
    read_file(path, &expected);
    cr_expect(expected.length == found->length && memcmp(expected.text, found->text, found->length) == 0,
              "%s differs; found:\n%s", path, found->text);
    buf_release(&expected);
}

/* Every NAME.weld of a folder, against NAME.expected. errors: are they faulty programs? */
static void check_golden(const char *folder, bool errors) {
    DIR *dir = opendir(folder);
    int files = 0;
    cr_assert(dir, "no folder %s", folder);
    for (struct dirent *entry; (entry = readdir(dir));) {
        size_t length = strlen(entry->d_name);
        if (length < 6 || strcmp(entry->d_name + length - 5, ".weld")) continue;
        char path[512], expected[520];
        snprintf(path, sizeof path, "%s/%s", folder, entry->d_name);
        snprintf(expected, sizeof expected, "%.*s.expected", (int)strlen(path) - 5, path);
        Buf text = {0}, out = {0};
        read_file(path, &text);
        Program *program = program_new(entry->d_name, text.text, text.length);
        if (program_read(program) && program_infer(program, NULL)) program_verify(program);
        cr_expect((program->error.code != E_None) == errors, "%s: %s", path, program->error.text);
        if (program->error.code) {
            program_render_error(program, &program->error, &out);
        } else {
            program_print(&out, program, true);
            if (out.length && out.text[out.length - 1] != '\n') buf_put(&out, "\n", 1);
        }
        compare_golden(expected, &out);
        files++;
        program_free(program);
        buf_release(&text);
        buf_release(&out);
    }
    closedir(dir);
    cr_expect(files > 0, "no programs in %s", folder);
}

Test(golden, infer) {
    check_golden(WELD_SOURCE_DIR "/tests/golden/infer", false);
}
Test(golden, err) {
    check_golden(WELD_SOURCE_DIR "/tests/golden/err", true);
}
