/* fuzz_grad.c: are gradients of random programs what differences of their values say?
 *
 *     fuzz_grad COUNT [SEED [SIZE [JIT]]]
 *     fuzz_grad --budgets COUNT [SEED [SIZE]]
 *
 * Program number SEED + i is a function of a scalar x, a vector v, a matrix m of rows of different lengths and indices k,
 * made of operators that stay within bounds, builders, lookups, slices, sorts, ifs, nested loops, dictionaries and
 * iterates. Its gradient by x, v and m, by the interpreter, is compared with central differences of its value for each
 * scalar, and every JIT-th with that of compiled code. Every fifth program has a gradient within itself, so that second
 * derivatives are compared. Its derivative in a random direction by jvp must be the gradient's product with that direction, and of every
 * fourth program the derivative of the gradient in that direction is taken in three ways: jvp of grad, grad of jvp, grad of the
 * product. Where differences of several widths and of either side disagree there is a kink, and that
 * scalar is passed over and counted; if that is many, the test fails, too.
 *
 * With --budgets the gradients of functions of SIZE vectors that do not fuse are compiled and run with long ones instead, without a budget and with two: the least that can
 * be met, which the error of a budget of one byte names, and halfway between that and what was planned without. Results must be the
 * same, and no run may take more than its budget. Where there is no promise, or none of what keeps less, nothing is checked against it but results.
 */
#include <math.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "../../runtime/rt.h"

/* ---- random programs ---- */

enum { NAMES = 40 };

typedef struct Maker {
    uint64_t state;
    int left;  /* expressions */
    bool flat; /* none with a loop in a loop */
    int names[3][NAMES], count[3], next;
    Buf *out;
} Maker;

enum { SCALAR, VECTOR, MATRIX };
static const char letters[] = "svm";

static unsigned draw(Maker *m, unsigned below) {
    m->state += 0x9E3779B97F4A7C15u;
    uint64_t z = m->state;
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9u;
    z = (z ^ z >> 27) * 0x94D049BB133111EBu;
    return (unsigned)((z ^ z >> 31) % below);
}

static void name_know(Maker *m, int kind, int name) {
    if (m->count[kind] == NAMES) m->count[kind]--;
    m->names[kind][m->count[kind]++] = name;
}

static void make(Maker *m, int kind);

static void put(Maker *m, const char *text) {
    buf_put(m->out, text, strlen(text));
}

/* %s %v %m: an expression. %S %V %M: a new name; of a parameter, known up to the next ; or %;, or of a let, known
 * after the ; that ends its value. %0 to %2: the first, second, third name of the form. %d: a small number. %p: an
 * operator of builders. %%: the sign. */
static void form(Maker *m, const char *text) {
    int saved[3], known[3], own[4], kinds[4], made = 0, let = -1, value = 0;
    const char *start = text;
    memcpy(saved, m->count, sizeof saved);
    memcpy(known, m->count, sizeof known);
    for (; *text; text++) {
        if (*text != '%') {
            buf_put(m->out, text, 1);
            if (*text != ';') continue;
            memcpy(m->count, known, sizeof known);
            if (let >= 0) name_know(m, let, value);
            memcpy(known, m->count, sizeof known);
            let = -1;
            continue;
        }
        const char *letter = strchr("svmSVM", *++text);
        int number = letter ? (int)(letter - "svmSVM") : 0;
        if (letter && number < 3) {
            make(m, number);
        } else if (letter) {
            bool bound = text - start >= 5 && memcmp(text - 5, "let ", 4) == 0;
            own[made] = m->next++;
            kinds[made] = number - 3;
            if (bound)
                let = number - 3, value = own[made];
            else
                name_know(m, number - 3, own[made]);
            buf_printf(m->out, "%c%d", letters[number - 3], own[made++]);
        } else if (*text == '%') {
            put(m, "%");
        } else if (*text == ';') {
            memcpy(m->count, known, sizeof known);
        } else if (*text == 'd') {
            buf_printf(m->out, "%u", draw(m, 4));
        } else if (*text == 'p') {
            static const char *const ops[] = {"+", "*", "min", "max"};
            put(m, ops[draw(m, 4)]);
        } else {
            buf_printf(m->out, "%c%d", letters[kinds[*text - '0']], own[*text - '0']);
        }
    }
    memcpy(m->count, saved, sizeof saved);
}

static const char *const forms[3][32] = {
    {"sin(%s)",
     "tanh(%s)",
     "(%s + %s)",
     "(%s - %s)",
     "tanh(%s * %s)",
     "(%s / (1.5 + cos(%s)))",
     "exp(-(sqrt(1.0 + %s * 0.5 * %s)) * 0.1)",
     "log(2.5 + sin(%s))",
     "pow(1.5 + sin(%s), cos(%s))",
     "min(%s, %s)",
     "max(%s, %s)",
     "if(%s > %s, %s, %s)",
     "select(%s > %s, %s, %s)",
     "(let %S = %s; %s)",
     "(let %V = %v; %s)",
     "(let %M = %m; %s)",
     "tanh(sum(%v))",
     "tanh(result(for(%v, merger[f64, %p], |b, i, %S| merge(b, cos(%s) + 0.1 * %s))))",
     "tanh(result(for(%v, merger[f64, %p](%s), |b, i, %S| if(%s > %s, merge(b, %s), b))))",
     "(let %V = %v; if(len(%0) > %dL, lookup(%0, %dL %% len(%0)), %s))",
     "(let %M = %m; if(len(%0) > %dL, tanh(sum(lookup(%0, %dL %% len(%0)))), %s))",
     "iterate({%s, %dL}, |t| (let %S = t.$0; {{sin(%s) + %s, t.$1 - 1L}, t.$1 > 0L})).$0",
     "(let %V = %v; let %S = %s; iterate({%1, %dL}, |t| (let %S = t.$0; {{cos(%s) + if(len(%0) > t.$1, "
     "lookup(%0, t.$1), %2), t.$1 - 1L}, t.$1 > 0L})).$0)",
     "(let d = result(for(%v, dictmerger[i64, f64, %p], |b, i, %S| merge(b, {i %% 3L, cos(%s)}))); "
     "tanh(optlookup(d, 1L).$1 + optlookup(d, 5L).$1))",
     "(let q = for(%m, {appender[f64], merger[f64, +]}, |b, i, %V| {for(%0, b.$0, |c, j, %S| if(%s > %s, "
     "merge(c, %s), c)), %;merge(b.$1, %s)}); let %V = result(q.$0); let %S = result(q.$1); tanh(%s))",
     "tanh(sum(map(%m, |%V| (let %S = sum(%v); %s))))",
     "erf(%s)",
     "atan(%s)",
     "(asin(0.5 * sin(%s)) + acos(0.5 * tanh(%s)))",
     "tanh(sinh(0.3 * sin(%s)) + cosh(sin(%s)) + tan(0.5 * sin(%s)))",
     "(({%s, %v}).$0 + f64(f32(0.5) * f32(%s > %s)))",
     "(5.5 %% (2.2 + sin(%s)))"},
    {"map(%v, |%S| %s)",
     "map(%v, |%S| cos(%s * %0))",
     "(let %V = %v; let n = max(0L, len(%0) - 1L); map(zip(slice(%0, 0L, n), slice(%0, min(1L, len(%0)), "
     "n)), |e| "
     "(let %S = e.$0; let %S = e.$1; sin(%s))))",
     "(let %V = %v; result(for(rangeiter(1L, max(1L, len(%0) - 1L), 1L), appender[f64], |b, i, n| (let %S = "
     "lookup(%0, n - 1L); let %S = lookup(%0, n + 1L); merge(b, 0.3 * %1 * %2 - lookup(%0, n) + f64(i))))))",
     "(let %V = %v; let %V = result(for(%0, appender[f64], |b, i, x| if(x > 0.2, merge(b, x), b))); map(%1, "
     "|%S| "
     "%2 * (%s + sum(%1))))",
     "result(for(%v, appender[f64], |b, i, %S| if(%s > %s, merge(b, %s), b)))",
     "result(for(%v, appender[f64], |b, i, %S| merge(merge(b, %s), sin(%0))))",
     "slice(%v, %dL, %dL)",
     "sort(%v, |a, b| compare(a, b))",
     "flatten(%m)",
     "(let %V = %v; result(for(zip(%0, %0), appender, |b, i, e| (let %S = e.$0; merge(b, e.$1 * %s)))))",
     "(let %V = %v; let %V = map(%0, |%S| %s); %v)",
     "(let %V = %v; result(for(zip(%0, map(%0, |%S| cos(%s))), appender[f64], |b, i, e| merge(b, e.$0 * e.$1 "
     "+ f64(i)))))",
     "result(for(k, vecmerger[f64, %p](slice([%s, %s, %s, %s], 0L, 4L)), |b, i, n| merge(b, {n, cos(f64(i)) "
     "+ 0.1 * %s})))",
     "result(for(%v, vecmerger[f64, %p]([%s, %s, 1.5]), |b, i, %S| merge(b, {i %% 3L, cos(%s)})))",
     "(let d = result(for(%v, dictmerger[i64, f64, %p], |b, i, %S| merge(b, {i %% 3L, cos(%s)}))); "
     "map(tovec(d), |e| e.$1 * 0.5))",
     "(let d = result(for(%v, groupmerger[i64, f64], |b, i, %S| merge(b, {i %% 3L, sin(%s)}))); "
     "map(tovec(d), |e| (let %V = e.$1; %s)))",
     "if(%s > %s, %v, %v)",
     "[%s, %s]",
     "map(%m, |%V| %s)",
     "(let %M = %m; map(k, |n| if(len(%0) <= n, %s, (let %V = lookup(%0, n); %s))))",
     "(let %V = %v; map(k, |n| if(len(%0) > n, sin(lookup(%0, n) * %s), %s)))",
     "iterate({%v, %dL}, |t| (let %V = t.$0; {{map(%0, |%S| sin(%s)), t.$1 - 1L}, t.$1 > 0L})).$0",
     "(let %V = %v; let n = len(%0) / 2L * 2L; result(for(iter(%0, 0L, n, 2L), appender[f64], |b, i, %S| "
     "merge(b, %s))))",
     "(let s = map(%v, |%S| {%s, {i32(1), %0}}); map(s, |e| e.$0 * e.$1.$1))",
     "(let %M = %m; if(len(%0) > 0L, lookup(%0, 0L), %v))",
     "result(for(nditer([%s, %s, %s, %s], 0L, 4L, 1L, [2L, 2L], [1L, 2L]), appender[f64], |b, i, %S| "
     "merge(b, %s)))",
     NULL},
    {"map(%m, |%V| %v)", "map(%m, |%V| map(%0, |%S| %s))", "map(%v, |%S| [%s, %s])", "slice(%m, %dL, %dL)",
     "result(for(%m, appender[vec[f64]], |b, i, %V| if(%s > %s, merge(b, %v), b)))", "[%v, %v]",
     "if(%s > %s, %m, %m)", "(let %M = %m; %m)",
     "(let d = result(for(%v, groupmerger[i64, f64], |b, i, %S| merge(b, {i %% 2L, %s}))); map(tovec(d), |e| "
     "e.$1))",
     NULL}};

/* Is it a scalar's form without a loop, or a vector's with one? */
static bool is_flat(int kind, int number) {
    static const char *const flat[] = {"yyyyyyyyyyyyyy............yyyy.y", "yyyy.yy...yyy....y"};
    return number < (int)strlen(flat[kind]) && flat[kind][number] == 'y';
}

static void make(Maker *m, int kind) {
    if (--m->left > 0 && draw(m, 6)) {
        int count = 0;
        while (count < 32 && forms[kind][count]) count++;
        unsigned number = draw(m, (unsigned)count);
        while (m->flat && !is_flat(kind, (int)number)) number = draw(m, (unsigned)count);
        form(m, forms[kind][number]);
        return;
    }
    if (kind == SCALAR && !draw(m, 5))
        buf_printf(m->out, "%u.%u", draw(m, 2), draw(m, 100));
    else
        buf_printf(m->out, "%c%d", letters[kind], m->names[kind][draw(m, (unsigned)m->count[kind])]);
}

static void make_program(uint64_t seed, int size, Buf *function, bool *second) {
    Maker m = {.state = seed * 7919, .left = size, .out = function, .next = 1};
    *second = draw(&m, 5) == 0;
    for (int kind = 0; kind < 3; kind++) m.names[kind][m.count[kind]++] = 0;
    buf_printf(function, "|s0: f64, v0: vec[f64], m0: vec[vec[f64]], k: vec[i64]| ");
    if (*second) put(&m, "(let g = grad(|s0, v0, m0| ");
    form(&m, draw(&m, 2) ? "sin(%s) + sum(%v)" : "%s * 0.5 + sum(flatten(%m))");
    if (*second)
        put(&m, ")(s0, v0, m0); g.$0 + sin(g.$1.$0) + sum(map(g.$1.$1, |e| e * e * 0.1)) + "
                "sum(flatten(g.$1.$2)))");
}

/* A function that makes vectors which do not fuse, one after another, each of one that is known: as layers do. */
static void make_layers(uint64_t seed, int layers, int size, Buf *function) {
    Maker m = {.state = seed * 7919 + 17, .out = function, .next = 1, .flat = true};
    for (int kind = 0; kind < 3; kind++) m.names[kind][m.count[kind]++] = 0;
    buf_printf(function, "|s0: f64, v0: vec[f64], m0: vec[vec[f64]], k: vec[i64]| ");
    for (int i = 0; i < layers; i++) {
        int name = m.next++, element = m.next++, from = m.names[VECTOR][m.count[VECTOR] - 1];
        if (!draw(&m, 3)) from = m.names[VECTOR][draw(&m, (unsigned)m.count[VECTOR])];
        m.left = size;
        buf_printf(function, "let v%d = ", name);
        if (draw(&m, 5)) {
            buf_printf(function, "result(for(v%d, appender[f64], |b, i, s%d| merge(b, sin(", from, element);
            int known = m.count[SCALAR];
            name_know(&m, SCALAR, element);
            make(&m, SCALAR);
            m.count[SCALAR] = known;
            buf_printf(function, " + lookup(v%d, (i * 7L + 1L) %% len(v%d))))))", from, from);
        } else {
            make(&m, VECTOR);
        }
        put(&m, "; ");
        name_know(&m, VECTOR, name);
    }
    m.left = size;
    form(&m, "sin(%s) + sum(%v) + ");
    buf_printf(function, "sum(v%d)", m.names[VECTOR][m.count[VECTOR] - 1]);
}

/* ---- values ---- */

typedef struct Vector {
    double *data;
    int64_t length;
} Vector;

typedef struct Inputs {
    double s;
    Vector v;
    struct {
        Vector *data;
        int64_t length;
    } m;
    struct {
        int64_t *data;
        int64_t length;
    } k;
} Inputs;

typedef struct Gradient {
    double value;
    struct {
        double s;
        Vector v;
        struct {
            Vector *data;
            int64_t length;
        } m;
    } d;
} Gradient;

enum { LENGTH = 5, ROWS = 3, SCALARS = 1 + LENGTH + 6 };

typedef struct Point {
    double scalars[SCALARS]; /* x, v, rows of 3, 0 and 3 */
    Vector rows[ROWS];
    int64_t k[4];
    Inputs inputs;
} Point;

static void point_init(Point *p, uint64_t seed) {
    Maker m = {.state = seed * 31 + 5};
    for (int i = 0; i < SCALARS; i++) p->scalars[i] = (int)draw(&m, 3000) / 1000.0 - 1.2;
    p->rows[0] = (Vector){p->scalars + 1 + LENGTH, 3};
    p->rows[1] = (Vector){NULL, 0};
    p->rows[2] = (Vector){p->scalars + 4 + LENGTH, 3};
    for (int i = 0; i < 4; i++) p->k[i] = (int)draw(&m, 4);
    p->inputs.v = (Vector){p->scalars + 1, LENGTH};
    p->inputs.m.data = p->rows, p->inputs.m.length = ROWS;
    p->inputs.k.data = p->k, p->inputs.k.length = 4;
}

/* ---- checking ---- */

typedef struct Counts {
    long smooth, kinks, skipped, second, compiled, directions, curvatures;
} Counts;

static weld_module_t compile(const char *text, const char *engine) {
    weld_conf_t conf = weld_conf_new();
    weld_error_t error = weld_error_new();
    weld_conf_set(conf, "weld.engine", engine);
    weld_conf_set(conf, "weld.cache", "off");
    weld_conf_set(conf, "weld.verify", "true");
    weld_module_t module = weld_module_compile(text, conf, error);
    if (!module) printf("%s\n", weld_error_message(error));
    weld_error_free(error);
    weld_conf_free(conf);
    return module;
}

static weld_value_t run(weld_module_t module, weld_context_t context, Point *p) {
    p->inputs.s = p->scalars[0];
    weld_error_t error = weld_error_new();
    weld_value_t argument = weld_value_new(&p->inputs);
    weld_value_t value = weld_module_run(module, context, argument, error);
    if (!value) printf("%s\n", weld_error_message(error));
    weld_value_free(argument);
    weld_error_free(error);
    return value;
}

static double value_at(weld_module_t module, weld_context_t context, Point *p, int which, double x) {
    double before = p->scalars[which];
    p->scalars[which] = x;
    weld_value_t value = run(module, context, p);
    p->scalars[which] = before;
    double result = value ? *(double *)weld_value_data(value) : NAN;
    weld_value_free(value);
    return result;
}

static bool is_near(double a, double b, double tolerance) {
    return fabs(a - b) <= tolerance * (1 + fabs(a) + fabs(b));
}

static bool flatten(const Gradient *g, double out[SCALARS]) {
    bool fits = g->d.v.length == LENGTH && g->d.m.length == ROWS && g->d.m.data[0].length == 3 &&
                g->d.m.data[1].length == 0 && g->d.m.data[2].length == 3;
    if (!fits) return false;
    out[0] = g->d.s;
    memcpy(out + 1, g->d.v.data, LENGTH * sizeof *out);
    memcpy(out + 1 + LENGTH, g->d.m.data[0].data, 3 * sizeof *out);
    memcpy(out + 4 + LENGTH, g->d.m.data[2].data, 3 * sizeof *out);
    return true;
}

/* Does the slope that differences give agree? Where they do not agree among themselves: a kink. */
static bool check_scalar(weld_module_t f, weld_context_t context, Point *p, int which, double slope,
                         double value, Counts *counts) {
    double x = p->scalars[which], seen[3], left = 0, right = 0;
    static const double widths[] = {1e-4, 1e-5, 1e-6};
    for (int i = 0; i < 3; i++) {
        double up = value_at(f, context, p, which, x + widths[i]),
               down = value_at(f, context, p, which, x - widths[i]);
        seen[i] = (up - down) / (2 * widths[i]);
        right = (up - value) / widths[i];
        left = (value - down) / widths[i];
        if (is_near(seen[i], slope, 1e-5)) {
            counts->smooth++;
            return true;
        }
    }
    bool rough =
        !is_near(left, right, 1e-3) || !is_near(seen[0], seen[1], 1e-3) || !is_near(seen[1], seen[2], 1e-3);
    if (!rough && is_near(seen[1], slope, 1e-3)) rough = true;
    counts->kinks += rough;
    if (!rough) printf("scalar %d: the gradient is %.12g, differences say %.12g\n", which, slope, seen[1]);
    return rough;
}

static bool check_compiled(const char *text, weld_context_t context, Point *p, const double *want) {
    weld_module_t module = compile(text, "jit");
    weld_value_t value = module ? run(module, context, p) : NULL;
    double got[SCALARS];
    bool agree = value && flatten(weld_value_data(value), got);
    for (int i = 0; agree && i < SCALARS; i++) {
        agree = is_near(got[i], want[i], 1e-8) || (isnan(got[i]) && isnan(want[i]));
        if (!agree)
            printf("scalar %d: the interpreter gives %.17g, compiled code %.17g\n", i, want[i], got[i]);
    }
    weld_value_free(value);
    weld_module_free(module);
    return agree;
}

#define PARAMETERS "|s0: f64, v0: vec[f64], m0: vec[vec[f64]], k: vec[i64]| "

static void put_direction(Buf *out, const double *d) {
    buf_printf(out, "{%.3f, [", d[0]);
    for (int i = 0; i < LENGTH; i++) buf_printf(out, "%s%.3f", i ? ", " : "", d[1 + i]);
    d += 1 + LENGTH;
    buf_printf(out, "], [[%.3f, %.3f, %.3f], [], [%.3f, %.3f, %.3f]]}", d[0], d[1], d[2], d[3], d[4], d[5]);
}

/* By jvp, in one direction, is it what the gradient says? */
static bool check_direction(const Buf *function, weld_context_t context, Point *p, const double *slopes,
                            const double *d, bool compiled) {
    Buf text = {0};
    double want = 0, size = 0;
    buf_printf(&text, PARAMETERS "let f = %s; jvp(f, 0, 1, 2)(s0, v0, m0, k, ", function->text);
    put_direction(&text, d);
    buf_printf(&text, ")");
    for (int i = 0; i < SCALARS; i++) want += slopes[i] * d[i], size += fabs(slopes[i] * d[i]);
    bool agree = true;
    for (int engine = 0; engine <= compiled && agree; engine++) {
        weld_module_t module = compile(text.text, engine ? "jit" : "eval");
        weld_value_t value = module ? run(module, context, p) : NULL;
        double got = value ? ((const double *)weld_value_data(value))[1] : NAN;
        agree = fabs(got - want) <= 1e-8 * (1 + size);
        if (!agree)
            printf("jvp gives %.12g, the gradient %.12g, in the direction of\n%s\n", got, want, text.text);
        weld_value_free(value);
        weld_module_free(module);
    }
    buf_release(&text);
    return agree;
}

/* The derivative of the gradient in a direction, in three ways. */
static bool check_curvature(const Buf *function, weld_context_t context, Point *p, const double *d) {
    static const char *const ways[] = {
        "jvp(|s0, v0, m0, k| grad(f, 0, 1, 2)(s0, v0, m0, k).$1, 0, 1, 2)(s0, v0, m0, k, d).$1",
        "grad(|s0, v0, m0, k| jvp(f, 0, 1, 2)(s0, v0, m0, k, d).$1, 0, 1, 2)(s0, v0, m0, k).$1",
        "grad(|s0, v0, m0, k| let g = grad(f, 0, 1, 2)(s0, v0, m0, k).$1; g.$0 * d.$0 + "
        "sum(map(zip(g.$1, d.$1), |e| e.$0 * e.$1)) + sum(map(zip(g.$2, d.$2), |e| "
        "sum(map(zip(e.$0, e.$1), |x| x.$0 * x.$1)))), 0, 1, 2)(s0, v0, m0, k).$1"};
    double got[3][SCALARS];
    bool agree = true;
    for (int way = 0; way < 3 && agree; way++) {
        Buf text = {0};
        buf_printf(&text, PARAMETERS "let f = %s; let d = ", function->text);
        put_direction(&text, d);
        buf_printf(&text, "; {0.0, %s}", ways[way]);
        weld_module_t module = compile(text.text, "eval");
        weld_value_t value = module ? run(module, context, p) : NULL;
        agree = value && flatten(weld_value_data(value), got[way]);
        for (int i = 0; i < SCALARS && agree && way > 0; i++) {
            agree = is_near(got[way][i], got[0][i], 1e-7) || !isfinite(got[0][i]);
            if (!agree)
                printf("scalar %d: the derivatives of the gradient are %.12g, %.12g: way %d of\n%s\n", i,
                       got[0][i], got[way][i], way, text.text);
        }
        weld_value_free(value);
        weld_module_free(module);
        buf_release(&text);
    }
    return agree;
}

static bool check(weld_context_t context, uint64_t seed, int size, bool compiled, bool shows,
                  Counts *counts) {
    Buf function = {0}, gradient = {0};
    bool second, agree = true;
    make_program(seed, size, &function, &second);
    Point *p = calloc(1, sizeof *p);
    point_init(p, seed);
    buf_printf(
        &gradient,
        "|s0: f64, v0: vec[f64], m0: vec[vec[f64]], k: vec[i64]| let f = %s; grad(f, 0, 1, 2)(s0, v0, m0, k)",
        function.text);
    if (shows) printf("%s\n", gradient.text);
    weld_module_t f = compile(function.text, "eval"), g = compile(gradient.text, "eval");
    weld_value_t value = f && g ? run(g, context, p) : NULL;
    double slopes[SCALARS];
    if (!value || !flatten(weld_value_data(value), slopes)) {
        agree = false;
        printf("no gradient, or not of the shape of the arguments\n");
    } else {
        const Gradient *got = weld_value_data(value);
        bool finite = isfinite(got->value);
        counts->second += second;
        for (int i = 0; i < SCALARS; i++) finite = finite && isfinite(slopes[i]);
        if (!finite) counts->skipped++;
        for (int i = 0; i < SCALARS && finite && agree; i++)
            agree = check_scalar(f, context, p, i, slopes[i], got->value, counts);
        double d[SCALARS];
        Maker m = {.state = seed * 101 + 3};
        for (int i = 0; i < SCALARS; i++) d[i] = (int)draw(&m, 3000) / 1000.0 - 1.5;
        if (agree && finite) {
            counts->directions++;
            agree = check_direction(&function, context, p, slopes, d, compiled);
        }
        if (agree && finite && !second && seed % 4 == 0) {
            counts->curvatures++;
            agree = check_curvature(&function, context, p, d);
        }
        if (agree && compiled) {
            counts->compiled++;
            agree = check_compiled(gradient.text, context, p, slopes);
        }
    }
    weld_value_free(value);
    weld_module_free(f);
    weld_module_free(g);
    free(p);
    buf_release(&function);
    buf_release(&gradient);
    return agree;
}

/* ---- budgets ---- */

enum { LONG = 20000, LONG_ROW = 200, SECONDS = 4 };

static volatile int32_t stop;

static void on_alarm(int number) {
    (void)number;
    stop = 1;
}

typedef struct Long {
    double numbers[LONG], rows[2][LONG_ROW];
    Vector m[ROWS];
    int64_t k[LONG_ROW];
    Inputs inputs;
} Long;

static void long_init(Long *l, uint64_t seed) {
    Maker m = {.state = seed * 37 + 11};
    for (int i = 0; i < LONG; i++) l->numbers[i] = (int)draw(&m, 3000) / 1000.0 - 1.2;
    for (int i = 0; i < 2 * LONG_ROW; i++)
        l->rows[i / LONG_ROW][i % LONG_ROW] = (int)draw(&m, 3000) / 1000.0 - 1.2;
    for (int i = 0; i < LONG_ROW; i++) l->k[i] = (int)draw(&m, 4);
    for (int i = 0; i < ROWS; i++) l->m[i] = (Vector){i == 1 ? NULL : l->rows[i / 2], i == 1 ? 0 : LONG_ROW};
    l->inputs.s = (int)draw(&m, 3000) / 1000.0 - 1.2;
    l->inputs.v = (Vector){l->numbers, LONG};
    l->inputs.m.data = l->m, l->inputs.m.length = ROWS;
    l->inputs.k.data = l->k, l->inputs.k.length = LONG_ROW;
}

typedef struct Budgeted {
    weld_module_t module;
    weld_context_t context;
    weld_value_t value;
    Error error;
    int64_t peak, planned; /* planned -1: there is no promise */
} Budgeted;

/* Results that point into code hold it, so the module goes with the value. */
static Budgeted run_budgeted(const Buf *text, Long *l, int64_t budget) {
    Budgeted out = {.planned = -1};
    char bytes[32];
    PlanPrice price;
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.cache", "off");
    weld_conf_set(conf, "weld.verify", "true");
    weld_conf_set(conf, "weld.llvm.optimization.level", "1");
    snprintf(bytes, sizeof bytes, "%lld", (long long)budget);
    if (budget) weld_conf_set(conf, "weld.memory.budget", bytes);
    out.context = weld_context_new(conf);
    out.module = module_compile("fuzz", text->text, text->length, NULL, conf, &out.error, NULL);
    if (out.module) {
        stop = 0;
        alarm(SECONDS);
        out.value = module_run(out.module, out.context, &l->inputs, &stop, &out.error);
        alarm(0);
        out.peak = context_peak(out.context);
        if (!budget && module_price(out.module, out.context, &l->inputs, &price) && !price.why)
            out.planned = price.planned;
    }
    weld_conf_free(conf);
    return out;
}

static void budgeted_free(Budgeted *run) {
    weld_value_free(run->value);
    weld_module_free(run->module);
    weld_context_free(run->context);
}

static bool is_same(double a, double b) {
    return is_near(a, b, 1e-9) || (isnan(a) && isnan(b)) || a == b;
}

static bool are_same(const Vector *a, const Vector *b) {
    bool same = a->length == b->length;
    for (int64_t i = 0; same && i < a->length; i++) same = is_same(a->data[i], b->data[i]);
    return same;
}

static bool is_same_gradient(const Gradient *a, const Gradient *b) {
    bool same = is_same(a->value, b->value) && is_same(a->d.s, b->d.s) && are_same(&a->d.v, &b->d.v) &&
                a->d.m.length == b->d.m.length;
    for (int64_t i = 0; same && i < a->d.m.length; i++) same = are_same(&a->d.m.data[i], &b->d.m.data[i]);
    return same;
}

typedef struct Tally {
    long met, open, slow, less, bytes, least;
} Tally;

/* With this budget: the same, within it. Too slow counts as well. */
static bool meets_budget(const Buf *text, Long *l, const Budgeted *free_run, int64_t budget, bool checked,
                         Tally *tally) {
    Budgeted run = run_budgeted(text, l, budget);
    bool slow = !run.value && run.error.code == E_Cancelled;
    bool ok =
        slow || (run.value && is_same_gradient(weld_value_data(free_run->value), weld_value_data(run.value)));
    if (!ok) printf("budget %lld: %s\n", (long long)budget, run.value ? "another result" : run.error.text);
    if (ok && checked && run.peak > budget) {
        ok = false;
        printf("budget %lld: %lld bytes were taken\n", (long long)budget, (long long)run.peak);
    }
    tally->slow += slow;
    budgeted_free(&run);
    return ok;
}

static bool check_budgets(uint64_t seed, int size, bool shows, Tally *tally) {
    Buf function = {0}, text = {0};
    bool ok = true;
    make_layers(seed, size, 1 + (int)(seed % 4) * 2, &function);
    buf_printf(&text, PARAMETERS "let f = %s; grad(f, 0, 1, 2)(s0, v0, m0, k)", function.text);
    if (shows) printf("%s\n", text.text);
    Long *l = calloc(1, sizeof *l);
    long_init(l, seed);
    Budgeted all = run_budgeted(&text, l, 0), none = {0};
    if (all.value) none = run_budgeted(&text, l, 1);
    const char *named = strstr(none.error.text, "at least ");
    int64_t least = named ? atoll(named + strlen("at least ")) : 0;
    if (!all.value) {
        ok = all.error.code == E_Cancelled;
        if (!ok) printf("%s\n", all.error.text);
        tally->slow++;
    } else if (all.planned < 0 || none.value ||
               none.error.code == E_Cancelled) { /* nor has what keeps less */
        tally->open++;
        ok = meets_budget(&text, l, &all, all.peak / 2 + 1, false, tally);
    } else if (!named || least > all.planned) {
        ok = false;
        printf("%lld bytes were planned, but of 1 byte it is said: %s\n", (long long)all.planned,
               none.error.text);
    } else {
        tally->met++;
        tally->less += least < all.planned;
        tally->bytes += all.planned;
        tally->least += least;
        ok = meets_budget(&text, l, &all, least, true, tally) &&
             meets_budget(&text, l, &all, least + (all.planned - least) / 2, true, tally);
    }
    budgeted_free(&all);
    budgeted_free(&none);
    free(l);
    buf_release(&function);
    buf_release(&text);
    return ok;
}

static int budgets(long count, uint64_t seed, int fixed) {
    Tally tally = {0};
    long wrong = 0;
    signal(SIGALRM, on_alarm);
    for (long i = 0; i < count && wrong < 10; i++) {
        int size = fixed ? fixed : 3 + (int)(i % 8), smaller = 1;
        if (check_budgets(seed + (uint64_t)i, size, false, &tally)) continue;
        wrong++;
        Tally unused = {0};
        while (smaller < size && check_budgets(seed + (uint64_t)i, smaller, false, &unused)) smaller++;
        printf("program %llu of size %d\n", (unsigned long long)(seed + (uint64_t)i), smaller);
        check_budgets(seed + (uint64_t)i, smaller, true, &unused);
    }
    printf(
        "%ld programs: %ld met their least budget and one between, %ld of them less than was planned without "
        "(on the whole %ld of %ld KB); %ld without a promise, %ld runs were too slow, %ld wrong\n",
        count, tally.met, tally.less, tally.least >> 10, tally.bytes >> 10, tally.open, tally.slow, wrong);
    return wrong > 0;
}

int main(int argc, char **argv) {
    bool budgeted = argc > 1 && strcmp(argv[1], "--budgets") == 0;
    argc -= budgeted, argv += budgeted;
    long count = argc > 1 ? atol(argv[1]) : 0, wrong = 0;
    uint64_t seed = argc > 2 ? strtoull(argv[2], NULL, 10) : 1;
    int fixed = argc > 3 ? atoi(argv[3]) : 0, jit = argc > 4 ? atoi(argv[4]) : 20;
    Counts counts = {0};
    if (count <= 0) {
        fprintf(stderr, "usage: fuzz_grad [--budgets] COUNT [SEED [SIZE [JIT]]]\n");
        return 2;
    }
    if (budgeted) return budgets(count, seed, fixed);
    weld_context_t context = weld_context_new(NULL);
    for (long i = 0; i < count && wrong < 10; i++) {
        int size = fixed ? fixed : 4 + (int)(i % 8) * 4;
        if (check(context, seed + (uint64_t)i, size, jit && i % jit == 0, false, &counts)) continue;
        wrong++;
        int smaller = 1;
        Counts none = {0};
        while (smaller < size && check(context, seed + (uint64_t)i, smaller, jit == 1, false, &none))
            smaller++;
        printf("program %llu of size %d\n", (unsigned long long)(seed + (uint64_t)i), smaller);
        check(context, seed + (uint64_t)i, smaller, jit == 1, true, &none);
    }
    weld_context_free(context);
    printf("%ld programs, %ld with second derivatives, %ld compiled; %ld slopes, %ld directions and %ld "
           "gradients' "
           "derivatives agree, %ld slopes at kinks, %ld programs without finite gradients, %ld wrong\n",
           count, counts.second, counts.compiled, counts.smooth, counts.directions, counts.curvatures,
           counts.kinks, counts.skipped, wrong);
    bool many = counts.kinks * 50 > counts.smooth || counts.skipped * 20 > count;
    return wrong || many;
}
