/* resolve.c: gives every binder its symbol and every name its binder; takes apart what needs no types.
 *
 *     macro double(a) = a * 2;                         |v: vec[i64], w: vec[i64]|
 *     |v: vec[i64], w: vec[i64]|                         for(zip(v, w), appender, |b, i, e|
 *     let f = |x, y| x + double(y);               =>       merge(b, (|x, y| x + y * 2)(e.$0, e.$1)))
 *     let z = zip(v, w);
 *     for(z, appender, |b, i, e| merge(b, f(e.$0, e.$1)))
 *
 * One recursive pass makes new nodes from the parsed ones, under a scope that maps names to bindings. A
 * function bound by let, or handed to a macro, is a closure: parsed text with the scope it was written in, so
 * its free names keep their meaning wherever it is used. Each use elaborates it anew as a literal function
 * that is applied. What a zip consists of is bound by lets, and the zip is put where a for needs it.
 *
 * Scopes are in resolve_scope.c, functions and their derivatives in resolve_function.c, macros in macro.c.
 *
 * The recursion follows the nesting of the text and of expansion; lets are a loop. It starts on the caller's
 * stack with a small limit; a program that needs more is read again on a large one.
 * Hygiene by elaborating arguments in their own scope: Bawden and Rees, "Syntactic closures", 1988.
 */
#include "resolve.h"

#include <stdlib.h>

enum {
    MOST_NODES = 4000000, /* after expansion, for long texts; short ones: */
    FEW_NODES = 200000,
    NODES_PER_BYTE = 100
};

/* ---- lets, names, loops ---- */

/* Elaborates the lets that *raw begins with; *raw and *scope become those of the body. */
static bool elaborate_lets(Resolver *r, Scope *scope, const Node **raw, Chain *chain) {
    for (; (*raw)->kind == N_Let; *raw = (*raw)->kids[1]) {
        const Node *let = *raw, *head;
        Scope where;
        Role role = role_of(r, scope, let->kids[0], &head, &where);
        if (role != VALUE && let->type)
            return resolve_fail(r, E_Type, span_in(scope, let),
                                "%.64s is a %s, which has no type that can be stated", let->text,
                                role == FUNCTION ? "function" : "zip or iterator");
        if (role == FUNCTION) {
            scope_bind(r, scope, let->text, binding_closure(r, let->text, head, &where));
        } else if (role == DATA) {
            if (!bind_zip(r, scope, let->kids[0], let->text, scope, chain)) return false;
        } else {
            Node *value = elaborate(r, scope, let->kids[0], VALUE);
            if (!value) return false;
            Type *type = let->type ? type_fresh(r, let->type) : type_unknown(&r->program->types);
            Span span = span_in(scope, let);
            chain_bind(r, chain, span, bind_symbol(r, scope, let->text, type), value);
        }
    }
    return true;
}

static Node *elaborate_let(Resolver *r, const Scope *outer, const Node *raw, Role role) {
    Scope scope = *outer;
    Chain chain = {0};
    if (!elaborate_lets(r, &scope, &raw, &chain)) return NULL;
    return chain_close(r, &chain, elaborate(r, &scope, raw, role));
}

static Node *elaborate_ident(Resolver *r, const Scope *scope, const Node *raw, Role role) {
    Binding *binding = scope_find(r, scope, raw->text);
    Span span = span_in(scope, raw);
    Node *node = NULL;
    if (!binding) {
        if (name_of(raw->text)->function)
            resolve_fail(r, E_Type, span, "%.64s is a function: it can only be called, or handed to one",
                         raw->text);
        else if (!name_of(raw->text)->macro)
            resolve_unknown(r, scope, raw, "name");
        else
            resolve_fail(r, E_Type, span, "%.64s is a macro: it can only be called", raw->text);
    } else if (binding->kind == B_variable || binding->kind == B_param) {
        node = node_ident(r->program, span, binding->symbol);
        if (binding->kind == B_param) macro_use(r, binding, node);
    } else if (binding->kind == B_zip) {
        node = node_clone(r->program, binding->zip);
        r->height = 2;
        if (role == DATA) return node;
        resolve_fail(r, E_Type, span, "%.64s is a zip or iterator: it can only be the data of a for",
                     raw->text);
        return NULL;
    } else if (binding->raw->kind == N_Lambda) {
        resolve_fail(r, E_Type, span,
                     "%.64s is a function: it can be called, or given to a for, iterate, sort or macro",
                     raw->text);
    } else {
        return elaborate(r, &binding->scope, binding->raw, role);
    }
    r->height = 1;
    return node;
}

/* An iterator: as it was written, or around data. */
static Node *iter_of(Resolver *r, Node *data) {
    if (data->kind == N_Iter) return data;
    Node *iter = node_make(r->program, N_Iter, data->span, NULL, 1, data);
    iter->iter = IT_scalar;
    r->height++;
    return iter;
}

static Node *elaborate_zip(Resolver *r, const Scope *scope, const Node *raw) {
    Chain chain = {0};
    int tallest = 0;
    Node *zip = node_new(r->program, N_Zip, span_in(scope, raw), NULL, raw->count);
    for (int i = 0; i < zip->count; i++) {
        Node *part = elaborate(r, scope, raw->kids[i], DATA);
        if (!part) return NULL;
        part = chain_peel(r, part, &chain);
        if (part->kind == N_Zip) {
            resolve_fail(r, E_Type, part->span, "a zip cannot be zipped again: name all vectors in one zip");
            return NULL;
        }
        zip->kids[i] = iter_of(r, part);
        if (r->height > tallest) tallest = r->height;
    }
    r->height = tallest + 1;
    return chain_close(r, &chain, zip);
}

/* for(data, builder, function): the data becomes one or more iterators. */
static Node *elaborate_for(Resolver *r, const Scope *scope, const Node *raw) {
    Chain chain = {0};
    Node *data = elaborate(r, scope, raw->kids[0], DATA);
    if (!data) return NULL;
    data = chain_peel(r, data, &chain);
    int iters = data->kind == N_Zip ? data->count : 1;
    Node *node = node_new(r->program, N_For, span_in(scope, raw), NULL, iters + 2);
    if (node->count != iters + 2) return NULL; /* exhausted: reported by elaborate */
    node->notes = raw->notes;
    for (int i = 0; i < iters; i++) node->kids[i] = data->kind == N_Zip ? data->kids[i] : iter_of(r, data);
    int tallest = r->height;
    node->kids[iters] = elaborate(r, scope, raw->kids[1], VALUE);
    if (!node->kids[iters]) return NULL;
    if (r->height > tallest) tallest = r->height;
    node->kids[iters + 1] = function_operand(r, scope, raw->kids[2], 3, node_classes[N_For].usage);
    if (!node->kids[iters + 1]) return NULL;
    r->height = (r->height > tallest ? r->height : tallest) + 1;
    return chain_close(r, &chain, node);
}

/* ---- everything else ---- */

/* The node itself with elaborated kids. */
static Node *elaborate_kids(Resolver *r, const Scope *scope, const Node *raw) {
    Node *node = node_new(r->program, raw->kind, span_in(scope, raw), type_fresh(r, raw->type), raw->count);
    bool arms = raw->kind == N_If || raw->kind == N_And || raw->kind == N_Or;
    int function = raw->kind == N_Iterate || raw->kind == N_Sort ? 1 : -1, tallest = 0;
    node->op = raw->op;
    node->iter = raw->iter;
    node->index = raw->index;
    node->text = raw->text;
    node->bits = raw->bits;
    node->notes = raw->notes;
    for (int i = 0; i < node->count; i++) {
        r->arms += arms && i > 0;
        node->kids[i] = i == function ? function_operand(r, scope, raw->kids[i], raw->kind == N_Sort ? 2 : 1,
                                                         node_classes[raw->kind].usage)
                                      : elaborate(r, scope, raw->kids[i], VALUE);
        r->arms -= arms && i > 0;
        if (!node->kids[i]) return NULL;
        if (r->height > tallest) tallest = r->height;
    }
    r->height = tallest + 1;
    return node;
}

/* value: T. Left out where it says nothing new. */
static Node *elaborate_ascribe(Resolver *r, const Scope *scope, const Node *raw) {
    Node *value = elaborate(r, scope, raw->kids[0], VALUE);
    if (!value || raw->type->kind == TY_unknown || (!raw->type->open && value->type == raw->type))
        return value;
    r->height++;
    return node_make(r->program, N_Ascribe, span_in(scope, raw), type_fresh(r, raw->type), 1, value);
}

static bool within_limits(Resolver *r, Span span) {
    if (r->depth >= r->program->depth) {
        r->program->depth = 0;
        return resolve_fail(r, E_Syntax, span, "the program is nested too deeply");
    }
    if (r->program->nodes > r->most)
        return resolve_fail(r, E_Syntax, span,
                            "macros and functions make the program too large: over %lld nodes",
                            (long long)r->most);
    return !r->program->arena.exhausted ||
           resolve_fail(r, E_OutOfMemory, span, "no memory for a program this large");
}

Node *elaborate(Resolver *r, const Scope *scope, const Node *raw, Role role) {
    Node *node = NULL;
    Span span = span_in(scope, raw);
    if (!within_limits(r, span)) return NULL;
    r->depth++;
    switch (raw->kind) {
    case N_Grad:
    case N_Jvp: node = elaborate_derivative(r, scope, raw); break;
    case N_Ident: node = elaborate_ident(r, scope, raw, role); break;
    case N_Let: node = elaborate_let(r, scope, raw, role); break;
    case N_Apply: node = elaborate_apply(r, scope, raw, role); break;
    case N_For: node = elaborate_for(r, scope, raw); break;
    case N_Ascribe: node = elaborate_ascribe(r, scope, raw); break;
    case N_Lambda:
        resolve_fail(
            r, E_Type, span,
            "a function is no value: it can be called, bound by let, or given to a for, iterate, sort or "
            "macro");
        break;
    case N_Zip:
    case N_Iter:
        if (role != DATA) {
            resolve_fail(r, E_Type, span, "%s can only be the data of a for",
                         raw->kind == N_Zip ? "zip" : iter_classes[raw->iter].spelling);
        } else {
            node = raw->kind == N_Zip ? elaborate_zip(r, scope, raw) : elaborate_kids(r, scope, raw);
        }
        break;
    default: node = elaborate_kids(r, scope, raw); break;
    }
    r->depth--;
    return node;
}

/* The program's function, lets before it moved inside; or one of no parameters around an expression. */
static Node *elaborate_program(Resolver *r, const Node *raw) {
    Scope scope = {0}, where;
    Chain chain = {0};
    const Node *head;
    if (!elaborate_lets(r, &scope, &raw, &chain)) return NULL;
    r->program->bare = role_of(r, &scope, raw, &head, &where) != FUNCTION;
    Node *lambda;
    if (r->program->bare) {
        Node *body = elaborate(r, &scope, raw, VALUE);
        if (!body) return NULL;
        lambda = node_make(r->program, N_Lambda, raw->span, NULL, 1, body);
    } else {
        lambda = function_make(r, where, head, NULL);
        if (!lambda) return NULL;
    }
    lambda->kids[0] = chain_close(r, &chain, lambda->kids[0]);
    return lambda;
}

typedef struct Visit {
    const Node *node;
    int depth;
} Visit;

/* The exact node_depth, without recursion; -1: no memory. */
static int measure(const Node *root, int64_t nodes) {
    size_t room = (size_t)nodes + 8, top = 0; /* a node is made before it is anyone's kid */
    Visit *stack = malloc(room * sizeof *stack);
    int deepest = 0;
    if (!stack) return -1;
    stack[top++] = (Visit){root, 0};
    while (top) {
        Visit visit = stack[--top];
        if (visit.depth > deepest) deepest = visit.depth;
        for (int i = 0; i < visit.node->count && top < room; i++) {
            bool along = visit.node->kind == N_Let && i == 1;
            stack[top++] = (Visit){visit.node->kids[i], visit.depth + !along};
        }
    }
    free(stack);
    return deepest;
}

bool resolve(Program *program, Macro *macros, Node **root) {
    (void)macros; /* every macro's Name knows it */
    Resolver r = {.program = program, .levels = 1};
    while ((program->names.count + 2 * MOST_DERIVED) >> (3 * r.levels)) r.levels++; /* see derivative */
    size_t length = program->source[0].length;
    r.most = length > (MOST_NODES - FEW_NODES) / NODES_PER_BYTE
                 ? MOST_NODES
                 : (int64_t)length * NODES_PER_BYTE + FEW_NODES;
    program->symbols = 0;
    program->nodes = 0;
    Node *made = elaborate_program(&r, *root);
    free(r.params);
    if (program->error.code != E_None) return false;
    if (!made || program->arena.exhausted)
        return error_set(&program->error, E_OutOfMemory, (*root)->span, "no memory for this program");
    /* Putting arguments into macros adds up estimates, so a tall program may be less deep. */
    program->depth = (r.height < SHALLOW ? r.height : measure(made, program->nodes)) + 2;
    if (program->depth < 2)
        return error_set(&program->error, E_OutOfMemory, made->span, "no memory for this program");
    if (program->depth > DEEPEST)
        return error_set(&program->error, E_Syntax, made->span, "the program is nested too deeply");
    *root = made;
    return true;
}
