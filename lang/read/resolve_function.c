/* resolve_function.c: functions, which are no values: what an expression is as one, seen through names, macros and lets;
 * its derivative; and how it is applied, or handed to a loop. */
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { FUEL = 64 }; /* steps of looking through names, macros and lets for a function or zip */

/* ---- functions ---- */

/* The macro that a call means, if it is one: a function of the same name hides it, a value does not. */
static const Macro *macro_called(const Resolver *r, const Scope *scope, const Node *call) {
    if (call->kids[0]->kind != N_Ident) return NULL;
    const char *name = call->kids[0]->text;
    const Binding *binding = scope_find(r, scope, name);
    return binding && binding->kind == B_closure && binding->raw->kind == N_Lambda ? NULL
                                                                                   : name_of(name)->macro;
}

static Role role_within(Resolver *r, Scope scope, const Node *raw, const Node **head, Scope *where,
                        int *fuel);

/* For a call: binds the arguments, unevaluated, and finds the role of what the function or macro gives. */
static Role role_of_call(Resolver *r, Scope scope, const Node *raw, const Node **head, Scope *where,
                         int *fuel) {
    const Macro *macro = macro_called(r, &scope, raw);
    const Node *function = NULL;
    Scope inside = scope;
    if (macro) {
        Span *call = arena_alloc(&r->program->arena, sizeof *call);
        *call = span_in(&scope, raw);
        inside.call = call;
        inside.rounds++;
    } else if (role_within(r, scope, raw->kids[0], &function, &inside, fuel) != FUNCTION) {
        return VALUE;
    }
    if (raw->count - 1 != (macro ? macro->nparams : function->nparams)) return VALUE;
    for (int i = 1; i < raw->count; i++) {
        const char *name = macro ? macro->params[i - 1] : function->params[i - 1]->name;
        scope_bind(r, &inside, name, binding_closure(r, name, raw->kids[i], &scope));
    }
    return role_within(r, inside, macro ? macro->body : function->kids[0], head, where, fuel);
}

/* ---- derivatives ---- */

#define DERIVED "derived " /* begins names that no program can write */

enum { APPLIED = 1, MISCHOSEN = 2 }; /* what Node.index says */

/* Which parameters grad(f, 0, 2) names, ascending, as bits; false: it does not. */
static bool chosen(const Node *raw, int nparams, uint64_t *bits) {
    int64_t before = -1;
    *bits = 0;
    for (int i = 1; i < raw->count; i++) {
        const Node *number = raw->kids[i];
        bool integer = number->kind == N_Literal && type_is_integer(number->type);
        int64_t value = integer ? (int64_t)number->bits : -1;
        if (value <= before || value >= nparams) return false;
        *bits |= (uint64_t)1 << value;
        before = value;
    }
    return true;
}

/* What grad(f) is as a function, of the parameters of f:
 *
 *     grad(f, 0)   =>   |a, b| Grad(f, a, b), in which 0 is noted; a and b are names that no program can write
 *     jvp(f, 0)    =>   |a, b, d| Jvp(f, a, b, d)
 */
static const Node *derivative(Resolver *r, const Node *raw, const Node *function) {
    int count = function->nparams < MOST_DERIVED ? function->nparams : MOST_DERIVED;
    uint64_t bits;
    bool fits = count == function->nparams && chosen(raw, count, &bits);
    count += raw->kind == N_Jvp; /* the direction */
    Node *node = node_new(r->program, raw->kind, raw->span, NULL, count + 1);
    Node *lambda = node_make(r->program, N_Lambda, raw->span, NULL, 1, node);
    lambda->params = arena_alloc(&r->program->arena, sizeof *lambda->params * (size_t)(count + 1));
    if (!lambda->params || node->count != count + 1) return NULL;
    node->index = fits ? APPLIED : MISCHOSEN;
    node->bits = fits ? bits : 0;
    node->kids[0] = raw->kids[0];
    for (int i = 0; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, DERIVED "%d", i);
        Name *name = name_intern(r->program, text, strlen(text));
        if (!name) return NULL;
        Node *argument = node_new(r->program, N_Ident, raw->span, NULL, 0);
        argument->text = name->text;
        node->kids[i + 1] = argument;
        lambda->params[lambda->nparams++] =
            symbol_new(r->program, name->text, type_unknown(&r->program->types));
    }
    return lambda;
}

static Role role_within(Resolver *r, Scope scope, const Node *raw, const Node **head, Scope *where,
                        int *fuel) {
    while (--*fuel > 0) {
        const Binding *binding;
        *head = raw;
        *where = scope;
        switch (raw->kind) {
        case N_Lambda: return FUNCTION;
        case N_Zip:
        case N_Iter: return DATA;
        case N_Apply: return role_of_call(r, scope, raw, head, where, fuel);
        case N_Grad:
        case N_Jvp: {
            const Node *function, *derived = NULL;
            Scope inside;
            if (raw->index == 0 && role_within(r, scope, raw->kids[0], &function, &inside, fuel) == FUNCTION)
                derived = derivative(r, raw, function);
            if (!derived) return VALUE;
            *head = derived;
            return FUNCTION;
        }
        case N_Let:
            scope_bind(r, &scope, raw->text, binding_closure(r, raw->text, raw->kids[0], &scope));
            raw = raw->kids[1];
            break;
        case N_Ident:
            binding = scope_find(r, &scope, raw->text);
            if (!binding && name_of(raw->text)->function) {
                *where = (Scope){0};
                *head = name_of(raw->text)->function;
                return FUNCTION;
            }
            if (binding && binding->kind == B_zip) return DATA;
            if (!binding || binding->kind != B_closure) return VALUE;
            scope = binding->scope;
            raw = binding->raw;
            break;
        default: return VALUE;
        }
    }
    return VALUE;
}

Role role_of(Resolver *r, const Scope *scope, const Node *raw, const Node **head, Scope *where) {
    int fuel = FUEL;
    return role_within(r, *scope, raw, head, where, &fuel);
}

Node *function_make(Resolver *r, Scope scope, const Node *raw, const bool *taken) {
    Node *lambda = node_new(r->program, N_Lambda, span_in(&scope, raw), NULL, 1);
    int first = r->program->symbols;
    lambda->params = arena_alloc(&r->program->arena, sizeof *lambda->params * (size_t)(raw->nparams + 1));
    for (int i = 0; i < raw->nparams && lambda->params; i++) {
        const char *name = raw->params[i]->name;
        const Binding *same = scope_find(r, &scope, name);
        if (taken && taken[i]) continue;
        if (same && same->kind == B_variable && same->symbol->id >= first) {
            resolve_fail(r, E_Syntax, lambda->span, "the function has two parameters %.64s", name);
            return NULL;
        }
        lambda->params[lambda->nparams++] = bind_symbol(r, &scope, name, type_fresh(r, raw->params[i]->type));
    }
    lambda->kids[0] = elaborate(r, &scope, raw->kids[0], VALUE);
    r->height++;
    return lambda->kids[0] ? lambda : NULL;
}

Node *function_operand(Resolver *r, const Scope *scope, const Node *raw, int arity, const char *usage) {
    const Node *head;
    Scope where;
    if (role_of(r, scope, raw, &head, &where) != FUNCTION) {
        resolve_fail(r, E_Type, span_in(scope, raw), "here stands a value, but a function is needed: %s",
                     usage);
        return NULL;
    }
    if (head->nparams != arity) {
        resolve_fail(r, E_Type, span_in(&where, head),
                     "the function has %d parameter%s, but %d %s needed: %s", head->nparams,
                     head->nparams == 1 ? "" : "s", arity, arity == 1 ? "is" : "are", usage);
        return NULL;
    }
    r->loops++;
    Node *lambda = function_make(r, where, head, NULL);
    r->loops--;
    return lambda;
}

/* f(a, b) of a function: Apply(f, a, b). Functions and zips among the arguments are bound, not passed. */
static Node *function_apply(Resolver *r, const Scope *scope, const Node *raw, const Node *head, Scope where) {
    int count = raw->count - 1, tallest = 0;
    Chain chain = {0};
    Span span = span_in(scope, raw);
    const Node *callee = raw->kids[0];
    if (count != head->nparams) {
        resolve_fail(r, E_Syntax, span, "%.64s takes %d argument%s, not %d",
                     callee->kind == N_Ident ? callee->text : "this function", head->nparams,
                     head->nparams == 1 ? "" : "s", count);
        return NULL;
    }
    Node *apply = node_new(r->program, N_Apply, span, NULL, count + 1);
    bool *taken = arena_alloc(&r->program->arena, sizeof *taken * (size_t)(count + 1));
    if (!taken || apply->count != count + 1) return NULL; /* exhausted: reported by elaborate */
    apply->count = 1;
    for (int i = 0; i < count; i++) {
        const Node *argument = raw->kids[i + 1], *inner;
        Scope from;
        Role role = role_of(r, scope, argument, &inner, &from);
        taken[i] = role != VALUE;
        if (taken[i]) {
            const char *name = head->params[i]->name;
            if (role == FUNCTION)
                scope_bind(r, &where, name, binding_closure(r, name, inner, &from));
            else if (!bind_zip(r, scope, argument, name, &where, &chain))
                return NULL;
            continue;
        }
        Node *value = elaborate(r, scope, argument, VALUE);
        if (!value) return NULL;
        apply->kids[apply->count++] = value;
        if (r->height > tallest) tallest = r->height;
    }
    apply->kids[0] = function_make(r, where, head, taken);
    if (!apply->kids[0]) return NULL;
    if (apply->count == 1) return chain_close(r, &chain, apply->kids[0]->kids[0]);
    r->height = (r->height > tallest ? r->height : tallest) + 1;
    return chain_close(r, &chain, apply);
}

/* Is this grad(f) itself, of as many values as it takes? Then head, made for this use, gets them as arguments. */
static bool derivative_is_applied(Resolver *r, const Scope *scope, const Node *raw, const Node *head) {
    const Node *callee = raw->kids[0], *inner;
    Scope where;
    if ((callee->kind != N_Grad && callee->kind != N_Jvp) || head->nparams != raw->count - 1) return false;
    for (int i = 1; i < raw->count; i++) {
        if (role_of(r, scope, raw->kids[i], &inner, &where) != VALUE) return false;
    }
    for (int i = 1; i < raw->count; i++) head->kids[0]->kids[i] = raw->kids[i];
    return true;
}

/* A derivative that is applied. */
Node *elaborate_derivative(Resolver *r, const Scope *scope, const Node *raw) {
    const NodeClass *class = &node_classes[raw->kind];
    const Node *head;
    Scope where;
    if (raw->index == MISCHOSEN) {
        resolve_fail(r, E_Type, span_in(scope, raw),
                     "%s chooses parameters, of at most %d, by their numbers, from 0 and ascending: %s",
                     class->spelling, MOST_DERIVED, class->usage);
        return NULL;
    }
    if (raw->index != APPLIED) {
        bool is = role_of(r, scope, raw->kids[0], &head, &where) == FUNCTION;
        resolve_fail(r, E_Type, span_in(scope, is ? raw : raw->kids[0]),
                     is ? "%s(f) is a function: it can be called, or handed to one"
                        : "here stands a value, but %s derives a function",
                     class->spelling);
        return NULL;
    }
    int nparams = raw->count - 1 - (raw->kind == N_Jvp);
    bool found = role_of(r, scope, raw->kids[0], &head, &where) == FUNCTION;
    if (found) nparams = head->nparams;
    Node *node = node_new(r->program, raw->kind, span_in(scope, raw), NULL, raw->count);
    node->bits = raw->bits;
    node->kids[0] = function_operand(r, scope, raw->kids[0], nparams, class->usage);
    int tallest = r->height;
    for (int i = 1; i < node->count && node->kids[0]; i++) {
        node->kids[i] = elaborate(r, scope, raw->kids[i], VALUE);
        if (!node->kids[i]) return NULL;
        Symbol *argument = node->kids[i]->symbol; /* from now on by a name that can be read again */
        if (argument && strncmp(argument->name, DERIVED, strlen(DERIVED)) == 0)
            node->kids[i]->text = argument->name = found && i <= nparams ? head->params[i - 1]->name : "d";
        if (r->height > tallest) tallest = r->height;
    }
    r->height = tallest + 1;
    return node->kids[0] ? node : NULL;
}

Node *elaborate_apply(Resolver *r, const Scope *scope, const Node *raw, Role role) {
    const Macro *macro = macro_called(r, scope, raw);
    if (macro) return macro_expand(r, scope, raw, macro, role);
    const Node *head, *callee = raw->kids[0];
    Scope where;
    if (role_of(r, scope, callee, &head, &where) == FUNCTION)
        return derivative_is_applied(r, scope, raw, head) ? elaborate_derivative(r, scope, head->kids[0])
                                                          : function_apply(r, scope, raw, head, where);
    if (callee->kind == N_Ident && !scope_find(r, scope, callee->text)) {
        resolve_unknown(r, scope, callee, "function or macro");
    } else {
        resolve_fail(r, E_Type, span_in(scope, callee), "this is a value, but only functions can be called");
    }
    return NULL;
}
