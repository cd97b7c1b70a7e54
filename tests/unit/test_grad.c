/* test_grad.c: how large the programs of gradients are, and that they are what a person would write. */
#include <criterion/criterion.h>
#include <stdio.h>

#include "../../lang/lang.h"
#include "../../weldc/weldc.h"

static Program *read_typed(const char *text) {
    Program *program = program_new("test", text, strlen(text));
    cr_assert_not_null(program);
    bool ok = program_read(program) && program_infer(program, NULL) && program_verify(program);
    cr_assert(ok, "%s: %s", error_name(program->error.code), program->error.text);
    return program;
}

static bool count_enter(Walk *walk, Node **slot) {
    (void)slot;
    ++*(long *)walk->data;
    return true;
}

/* Nodes of a program that is typed; optimized at this level, if it is not negative. */
static long nodes_of(const char *text, int level) {
    Program *program = read_typed(text);
    PassOptions options = {.level = level};
    if (level >= 0) cr_assert(program_optimize(program, &options));
    long count = 0;
    Walk walk = {program, count_enter, NULL, &count};
    node_walk(&walk, &program->root);
    program_free(program);
    return count;
}

/* A let that uses the one before it twice, `count` of them. */
static long nodes_of_chain(int count, const char *before, const char *step, const char *after) {
    Buf text = {0};
    buf_printf(&text, "%s", before);
    for (int i = 0; i < count; i++) {
        buf_printf(&text, " let x = ");
        buf_put(&text, step, strlen(step));
        buf_printf(&text, ";");
    }
    buf_printf(&text, "%s", after);
    long nodes = nodes_of(text.text, -1);
    buf_release(&text);
    return nodes;
}

Test(grad, grows_linearly_with_its_function) {
    static const struct {
        const char *before, *step, *after;
    } chains[] = {
        {"|x: f64| grad(|x|", "x * sin(x)", " x)(x)"},
        {"|x: f64| grad(|x|", "if(x > 0.5, x * x, x + x)", " x)(x)"},
        {"|x: vec[f64]| grad(|x|", "map(zip(x, x), |e| e.$0 * e.$1)", " sum(x))(x)"},
        {"|x: vec[f64]| grad(|x|",
         "result(for(x, appender[f64], |b, i, e| if(e > 0.5, merge(b, e * lookup(x, i)), b)))",
         " sum(x))(x)"},
        {"|x: f64| grad(|x| grad(|x|", "x * x", " x)(x).$1)(x)"},
        {"|x: f64| jvp(|x|", "x * sin(x)", " x)(x, 1.0)"},
        {"|x: f64| grad(|x| jvp(|x|", "x * sin(x)", " x)(x, 1.0).$1)(x)"},
        {"|x: f64| jvp(|x| grad(|x|", "x * sin(x)", " x)(x).$1)(x, 1.0)"},
        {"|x: vec[f64]| jvp(|x|", "map(zip(x, x), |e| if(e.$0 > 0.5, e.$0 * e.$1, e.$0))", " x)(x, x)"},
    };
    for (size_t i = 0; i < sizeof chains / sizeof *chains; i++) {
        long half = nodes_of_chain(250, chains[i].before, chains[i].step, chains[i].after);
        long whole = nodes_of_chain(500, chains[i].before, chains[i].step, chains[i].after);
        cr_expect(whole < 2 * half + 100, "%s: %ld nodes, then %ld", chains[i].step, half, whole);
    }
}

/* A thousand lets: so many nodes for each. */
Test(grad, of_a_thousand_lets) {
    long nodes = nodes_of_chain(1000, "|x: f64| grad(|x|", "x * sin(x)", " x)(x)");
    cr_expect(nodes < 1000 * 40, "%ld", nodes);
    nodes = nodes_of_chain(1000, "|x: f64| jvp(|x|", "x * sin(x)", " x)(x, 1.0)");
    cr_expect(nodes < 1000 * 40, "%ld", nodes);
}

/* Loops that are nested: computing bodies anew costs each level its own, not the product of all. */
Test(grad, grows_with_the_nesting_as_the_levels_do) {
    long nodes[5];
    for (int depth = 1; depth <= 5; depth++) {
        Buf text = {0};
        buf_printf(&text, "|x: ");
        for (int i = 0; i < depth; i++) buf_printf(&text, "vec[");
        buf_printf(&text, "f64");
        for (int i = 0; i < depth; i++) buf_printf(&text, "]");
        buf_printf(&text, "| grad(|x| ");
        for (int i = 0; i < depth; i++) buf_printf(&text, "sum(map(x, |x| ");
        buf_printf(&text, "x * x");
        for (int i = 0; i < depth; i++) buf_printf(&text, "))");
        buf_printf(&text, ")(x)");
        nodes[depth - 1] = nodes_of(text.text, -1);
        buf_release(&text);
    }
    cr_expect(nodes[4] < 12 * nodes[0], "%ld to %ld nodes", nodes[0], nodes[4]);
}

static void expect_fragments(const char *text, int most) {
    Program *program = read_typed(text);
    PassOptions options = {.level = 2};
    cr_assert(program_optimize(program, &options));
    long loops = 0;
    for (Node *node = program->root->kids[0];; node = node->kids[1]) {
        Buf printed = {0};
        node_print(&printed, node->kind == N_Let ? node->kids[0] : node, false, 0);
        const char *rows = printed.text;
        while ((rows = strstr(rows, "for(zip(x, y)")) != NULL) loops++, rows++;
        buf_release(&printed);
        if (node->kind != N_Let) break;
    }
    cr_expect_eq(loops, most, "%ld passes over the rows", loops);
    program_free(program);
}

Test(grad, of_a_sum_over_rows_is_one_pass_with_its_value) {
    expect_fragments("|w: vec[f64], x: vec[vec[f64]], y: vec[f64]|"
                     " grad(|w| result(for(zip(x, y), merger[f64, +], |b, i, e|"
                     " let d = result(for(zip(e.$0, w), merger[f64, +], |b, j, p| merge(b, p.$0 * p.$1)));"
                     " merge(b, log(1.0 + exp(-(e.$1 * d)))))))(w)",
                     1);
}

/* Where a merge in loops within loops lands is computed where all of them run as often each time, and else from counts. */
Test(grad, numbers_merges_of_nested_loops_without_counting) {
    static const struct {
        const char *inner;
        bool counts;
    } rows[] = {
        {"for(rangeiter(r, r + n, 1L), b, |c, j, k| merge(c, lookup(x, k)))", false},
        {"for(rangeiter(r * n, r * n + n, 1L), b, |c, j, k| merge(c, lookup(x, k % n)))", false},
        {"for(rangeiter(0L, n * n, 1L), b, |c, j, k| merge(merge(c, lookup(x, k / n)), 1.0))", false},
        {"for(rangeiter(r, r + n, 1L), b, |c, j, k| for(w, c, |d, h, y| merge(d, y * lookup(x, k))))", false},
        {"for(rangeiter(0L, 4L, 2L), merge(b, lookup(x, r)), |c, j, k| for(w, c, |d, h, y| merge(d, y * "
         "lookup(x, r))))",
         false},
        {"for(rangeiter(0L, r, 1L), b, |c, j, k| merge(c, lookup(x, k)))", true},
        {"for(slice(x, r, n), b, |c, j, y| merge(c, y))", true},
        {"if(r > 2L, for(w, b, |c, j, y| merge(c, y * lookup(x, r))), b)", true},
    };
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        Buf text = {0}, printed = {0};
        buf_printf(&text,
                   "|x: vec[f64], w: vec[f64], n: i64| grad(|x| sum(map(result(for(rangeiter(0L, 5L, 1L), "
                   "appender[f64],"
                   " |b, i, r| %s)), |z| z * z)))(x)",
                   rows[i].inner);
        Program *program = read_typed(text.text);
        node_print(&printed, program->root->kids[0], false, 0);
        bool counts = strstr(printed.text, "iterate") || strstr(printed.text, "9223372036854775807");
        cr_expect_eq(counts, rows[i].counts, "%s: %s", rows[i].inner, printed.text);
        program_free(program);
        buf_release(&printed);
        buf_release(&text);
    }
}
