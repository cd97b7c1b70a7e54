/* lazy_grad.c: gradients of lazy values, and their derivatives in a direction, as lazy values.
 *
 *     y = f(w, x)   loss = g(y, w)      weld_lazy_grad(loss, {w})
 *
 *     the graph from w to loss, with w and all data as parameters:   |w, x| let y = f(w, x); g(y, w)
 *     a fragment:   |w, x| grad(|w| (|w, x| let y = f(w, x); g(y, w))(w, x))(w).$1      of the values w, x
 *
 * The graph is collected as for an evaluation, but ends at what one differentiates by, and becomes the text of a fragment; so a gradient
 * is a lazy value like any other, and merges and fuses with what uses it. What it computes again of its function, the
 * optimizer finds where both are evaluated.
 */
#include "lazy.h"

#include <stdlib.h>

enum { MOST_BY = 60 }; /* parameters that grad chooses from */

static const Span nowhere = {0, 0, 0};

static bool refuse(weld_error_t handle, ErrorCode code, const char *text) {
    Error error = {.code = E_None};
    error_set(&error, code, nowhere, "%s", text);
    report(handle, &error, NULL);
    return false;
}

/* Leaves of the graph are first those that one differentiates by, each once, and then the data. By jvp the fragment's last
 * parameters are the directions. */
static void write_fragment(Buf *out, const Program *program, int64_t own, bool forward) {
    int64_t all = program->root->nparams;
    buf_printf(out, "|");
    for (int64_t i = 0; i < all; i++) buf_printf(out, i ? ", q%lld" : "q%lld", (long long)i);
    for (int64_t i = 0; forward && i < own; i++) buf_printf(out, ", d%lld", (long long)i);
    buf_printf(out, forward ? "| jvp(|" : "| grad(|");
    for (int64_t i = 0; i < own; i++) buf_printf(out, i ? ", r%lld" : "r%lld", (long long)i);
    buf_printf(out, "| (");
    program_print(out, program, false);
    buf_printf(out, ")(");
    for (int64_t i = 0; i < all; i++)
        buf_printf(out, i ? ", %c%lld" : "%c%lld", i < own ? 'r' : 'q', (long long)i);
    buf_printf(out, ")");
    for (int64_t i = 0; i < own; i++) buf_printf(out, ", %lld", (long long)i);
    buf_printf(out, ")(");
    for (int64_t i = 0; i < own; i++) buf_printf(out, i ? ", q%lld" : "q%lld", (long long)i);
    for (int64_t i = 0; forward && i < own; i++)
        buf_printf(out, i ? ", d%lld" : own > 1 ? ", {d%lld" : ", d%lld", (long long)i);
    buf_printf(out, forward && own > 1 ? "}).$1" : ").$1");
}

/* The gradient, or the struct of gradients, by the first `own` leaves of the graph; or, if directions are given, the
 * derivative in these. NULL: error reported. */
static weld_lazy_t gradient_lazy(const Graph *graph, int64_t own, const weld_lazy_t *directions,
                                 weld_error_t handle) {
    const Recipe *recipe = graph->recipe;
    weld_lazy_t *leaves = malloc(sizeof *leaves * (size_t)(recipe->leaf_count + own + 1)), lazy = NULL;
    Error error = {.code = E_None};
    Program *program = recipe_program(recipe, false, &error);
    Buf text = {0};
    int64_t count = 0;
    bool callback = false;
    for (int64_t i = 0; leaves && i < recipe->step_count; i++) {
        if (!recipe->steps[i].leaf) continue;
        callback = callback || graph->lazies[i]->callback != NULL;
        leaves[count++] = graph->lazies[i];
    }
    for (int64_t i = 0; leaves && directions && i < own; i++) leaves[count++] = directions[i];
    if (program) write_fragment(&text, program, own, directions != NULL);
    if (!leaves || (program && text.failed))
        error_set(&error, E_OutOfMemory, nowhere, "no memory for a gradient");
    if (callback)
        error_set(&error, E_Argument, nowhere,
                  "a gradient goes through a callback, whose derivative is not known");
    if (error.code != E_None)
        report(handle, &error, NULL);
    else
        lazy = weld_lazy_new(directions ? "weld.jvp" : "weld.grad", text.text, leaves, count, handle);
    buf_release(&text);
    program_free(program);
    free(leaves);
    return lazy;
}

/* One of the struct's. */
static weld_lazy_t part_lazy(weld_lazy_t whole, int64_t own, int64_t number, weld_error_t handle) {
    Buf text = {0};
    if (own == 1) return weld_lazy_hold(whole);
    buf_printf(&text, "|g| g.$%lld", (long long)number);
    weld_lazy_t part = text.failed ? NULL : weld_lazy_new("weld.grad", text.text, &whole, 1, handle);
    if (text.failed) refuse(handle, E_OutOfMemory, "no memory for a gradient");
    buf_release(&text);
    return part;
}

static bool are_values(weld_lazy_t scalar, const weld_lazy_t *by, int64_t count) {
    bool ok = by && count > 0;
    for (int64_t i = -1; ok && i < count; i++) {
        const Lazy *lazy = handle_as(i < 0 ? scalar : by[i], HANDLE_LAZY);
        ok = lazy && !lazy->callback;
    }
    return ok;
}

/* The gradients by these values, each given once. False: error reported. */
static bool grad_group(Lazy *root, Lazy *const *own, int64_t owns, weld_lazy_t *parts, weld_error_t handle) {
    Error error = {.code = E_None};
    Graph graph = {0};
    if (!graph_collect_until(&graph, root, own, owns, &error)) {
        report(handle, &error, NULL);
        return false;
    }
    weld_lazy_t whole = gradient_lazy(&graph, owns, NULL, handle);
    graph_release(&graph);
    int64_t made = 0;
    while (whole && made < owns) {
        parts[made] = part_lazy(whole, owns, made, handle);
        if (!parts[made]) break;
        made++;
    }
    weld_lazy_free(whole);
    if (made == owns) return true;
    while (made > 0) weld_lazy_free(parts[--made]);
    return false;
}

/* Data depend on nothing, so their gradients are computed at once; one that is computed may be between another and the
 * scalar. */
bool weld_lazy_grad(weld_lazy_t scalar, const weld_lazy_t *by, int64_t count, weld_lazy_t *gradients,
                    weld_error_t handle) {
    Lazy *own[MOST_BY];
    weld_lazy_t parts[MOST_BY];
    int64_t owns = 0, data = 0, made = 0;
    if (count > MOST_BY) return refuse(handle, E_Argument, "a derivative is by at most 60 values at once");
    if (!are_values(scalar, by, count) || !gradients)
        return refuse(handle, E_Argument, "these are not lazy values that have a value");
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t i = 0; i < count; i++) {
            Lazy *lazy = by[i];
            int64_t k = 0;
            while (k < owns && own[k] != lazy) k++;
            if (k == owns && (lazy_data(lazy) != NULL) == (pass == 0)) own[owns++] = lazy;
        }
        if (pass == 0) data = owns;
    }
    while (made < owns) {
        int64_t group = made < data ? data : 1;
        if (!grad_group(scalar, own + made, group, parts + made, handle)) break;
        made += group;
    }
    for (int64_t i = 0; made == owns && i < count; i++) {
        int64_t k = 0;
        while (own[k] != by[i]) k++;
        gradients[i] = weld_lazy_hold(parts[k]);
    }
    for (int64_t i = 0; i < made; i++) weld_lazy_free(parts[i]);
    return made == owns;
}

weld_lazy_t weld_lazy_jvp(weld_lazy_t value, const weld_lazy_t *by, const weld_lazy_t *directions,
                          int64_t count, weld_error_t handle) {
    static const char *const twice = "a value that one differentiates by is given twice";
    Lazy *own[MOST_BY];
    Error error = {.code = E_None};
    Graph graph = {0};
    weld_lazy_t tangent = NULL;
    if (count > MOST_BY) {
        refuse(handle, E_Argument, "a derivative is by at most 60 values at once");
        return NULL;
    }
    if (!are_values(value, by, count) || !are_values(value, directions, count)) {
        refuse(handle, E_Argument, "these are not lazy values that have a value");
        return NULL;
    }
    for (int64_t i = 0; i < count; i++) {
        own[i] = by[i];
        for (int64_t k = 0; k < i; k++) {
            if (own[k] == own[i]) error_set(&error, E_Argument, nowhere, "%s", twice);
        }
    }
    if (error.code != E_None || !graph_collect_until(&graph, value, own, count, &error)) {
        report(handle, &error, NULL);
        return NULL;
    }
    tangent = gradient_lazy(&graph, count, directions, handle);
    graph_release(&graph);
    return tangent;
}
