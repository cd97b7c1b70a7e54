/* eval_foreign.c: calls of C functions, in the three forms that the language has.
 *
 *     cudf[f, T](a, b)         void f(A *, B *, T *)        by pointers to copies; *T is zeroed before
 *     cfun[f, T](a, b)         T f(A, B)                    scalars by value
 *     cfill[f, T](n, a, b)     int f(A *, B *, T *)         T's vectors have room for n elements, which f fills; it may
 *                                                           lower their lengths; not 0: it failed
 *
 * The host calls them (runtime/foreign.c), since that needs more than the C library.
 */
#include "eval.h"

#include <string.h>

static ErrorCode call_failed(Worker *worker, const Node *node, const char *why) {
    error_set(&worker->error, E_ForeignCall, node->span, why, node->text);
    return E_ForeignCall;
}

static ErrorCode find_function(Worker *worker, const Node *node, void **function) {
    const Host *host = worker->host;
    *function = host && host->symbol ? host->symbol(host->data, node->text) : NULL;
    return *function ? E_None : call_failed(worker, node, "there is no foreign function %s");
}

/* Pointers to copies of the values of kids `from` and on. */
static ErrorCode eval_arguments(Eval *e, const Node *node, int from, void ***arguments) {
    void *place;
    TRY(eval_temporary(e, (int64_t)sizeof(void *) * (node->count + 1), node->span, &place));
    *arguments = place;
    for (int i = from; i < node->count; i++) {
        void **argument = &(*arguments)[i - from];
        TRY(eval_temporary(e, node->kids[i]->type->size, node->span, argument));
        TRY(eval(e, node->kids[i], *argument));
    }
    return E_None;
}

ErrorCode eval_Cudf(Eval *e, const Node *node, void *out) {
    Worker *worker = e->worker;
    const Host *host = worker->host;
    void **arguments, *function;
    TRY(eval_arguments(e, node, 0, &arguments));
    TRY(find_function(worker, node, &function));
    arguments[node->count] = out;
    memset(out, 0, (size_t)node->type->size);
    if (host->call(host->data, function, node->count + 1, arguments, NULL)) return E_None;
    return call_failed(worker, node, "the foreign function %s cannot be called");
}

ErrorCode eval_Cfun(Eval *e, const Node *node, void *out) {
    Worker *worker = e->worker;
    const Host *host = worker->host;
    void **arguments, *function, *place;
    TRY(eval_arguments(e, node, 0, &arguments));
    TRY(eval_temporary(e, (int64_t)sizeof(TypeKind) * (node->count + 1), node->span, &place));
    int first = node_is_callback(node);
    if (!first)
        TRY(find_function(worker, node, &function));
    else if (host && host->call_value)
        memcpy(&function, arguments[0], sizeof function);
    else
        return call_failed(worker, node, "there is no foreign function %s");
    TypeKind *types = place;
    for (int i = first; i < node->count; i++) types[i - first] = node->kids[i]->type->kind;
    if (host->call_value(host->data, function, node->count - first, types, arguments + first,
                         node->type->kind, out))
        return E_None;
    return call_failed(worker, node, "the foreign function %s cannot be called");
}

ErrorCode eval_Cfill(Eval *e, const Node *node, void *out) {
    Worker *worker = e->worker;
    const Host *host = worker->host;
    void **arguments, *function, *sizes, *made;
    int32_t status = 0;
    TRY(eval_temporary(e, node->kids[0]->type->size, node->span, &sizes));
    TRY(eval(e, node->kids[0], sizes));
    TRY(eval_arguments(e, node, 1, &arguments));
    TRY(find_function(worker, node, &function));
    TRY(fill_prepare(worker, node->type, sizes, out, node->span));
    TRY(eval_temporary(e, node->type->size, node->span, &made));
    memcpy(made, out, (size_t)node->type->size);
    arguments[node->count - 1] = out;
    if (!host->call(host->data, function, node->count, arguments, &status))
        return call_failed(worker, node, "the foreign function %s cannot be called");
    return fill_finish(worker, node->type, made, out, status, node->span);
}
