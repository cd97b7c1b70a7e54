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
 * Scopes are immutable tries over the names' numbers: binding copies a path of 8-way nodes, so ten thousand
 * nested lets, each a scope that a closure may keep, cost little. Macros are in macro.c.
 *
 * The recursion follows the nesting of the text and of expansion; lets are a loop. It starts on the caller's
 * stack with a small limit; a program that needs more is read again on a large one.
 * Hygiene by elaborating arguments in their own scope: Bawden and Rees, "Syntactic closures", 1988.
 */
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
    SHALLOW = 250, /* levels on the caller's stack */
    DEEPEST = 20000,
    FUEL = 64,            /* steps of looking through names, macros and lets for a function or zip */
    MOST_NODES = 4000000, /* after expansion, for long texts; short ones: */
    FEW_NODES = 200000,
    NODES_PER_BYTE = 100
};

/* ---- errors ---- */

bool resolve_fail(Resolver *r, ErrorCode code, Span span, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(&r->program->error, code, span, "%s", text);
}

/* A list of names to choose the nearest from. */
typedef struct Candidates {
    const char **names;
    size_t count, room;
} Candidates;

static void candidate_add(void *data, const char *name) {
    Candidates *c = data;
    if (c->count == c->room) {
        size_t room = c->room ? c->room * 2 : 128;
        const char **names = realloc(c->names, room * sizeof *names);
        if (!names) return;
        c->names = names;
        c->room = room;
    }
    c->names[c->count++] = name;
}

static void candidates_in(Candidates *c, void *const *map, int level) {
    for (int i = 0; map && i < 8; i++) {
        if (level > 1) {
            candidates_in(c, map[i], level - 1);
        } else if (map[i]) {
            candidate_add(c, ((const Binding *)map[i])->name);
        }
    }
}

/* There is no such name: say which one is near. what: "name" or "function". */
static bool fail_unknown(Resolver *r, const Scope *scope, const Node *ident, const char *what) {
    Candidates c = {0};
    const Names *names = &r->program->names;
    candidates_in(&c, scope->map, r->levels);
    for (uint32_t i = 0; i < names->capacity; i++) {
        if (names->slots[i] && names->slots[i]->macro) candidate_add(&c, names->slots[i]->text);
    }
    each_word(candidate_add, &c);
    const char *near = nearest_name(ident->text, c.names, c.count);
    resolve_fail(r, E_Type, span_in(scope, ident), "there is no %s %.64s%s%.64s%s", what, ident->text,
                 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    free(c.names);
    return false;
}

/* ---- scopes ---- */

Binding *scope_find(const Resolver *r, const Scope *scope, const char *name) {
    uint32_t id = name_of(name)->id;
    void *const *map = scope->map;
    for (int level = r->levels - 1; map && level >= 0; level--) map = map[id >> (3 * level) & 7];
    return (Binding *)(uintptr_t)map;
}

void scope_bind(Resolver *r, Scope *scope, const char *name, Binding *binding) {
    uint32_t id = name_of(name)->id;
    void **hole = &scope->map;
    for (int level = r->levels - 1; level >= 0; level--) {
        void **copy = arena_alloc(&r->program->arena, 8 * sizeof *copy);
        if (*hole) memcpy(copy, *hole, 8 * sizeof *copy);
        *hole = copy;
        hole = &copy[id >> (3 * level) & 7];
    }
    *hole = binding;
}

Binding *binding_new(Resolver *r, BindingKind kind, const char *name) {
    Binding *binding = arena_alloc(&r->program->arena, sizeof *binding);
    binding->kind = kind;
    binding->name = name;
    return binding;
}

Binding *binding_closure(Resolver *r, const char *name, const Node *raw, const Scope *scope) {
    Binding *binding = binding_new(r, B_closure, name);
    binding->raw = raw;
    binding->scope = *scope;
    return binding;
}

/* Binds a name to a fresh symbol. */
static Symbol *bind_symbol(Resolver *r, Scope *scope, const char *name, Type *type) {
    Binding *binding = binding_new(r, B_variable, name);
    binding->symbol = symbol_new(r->program, name, type);
    scope_bind(r, scope, name, binding);
    return binding->symbol;
}

/* The type as written, its unknown parts new: each use of a function or macro has types of its own. */
static Type *type_fresh(Resolver *r, Type *type) {
    if (!type || !type->open) return type;
    if (type->kind == TY_unknown) return type_unknown(&r->program->types);
    Type **args = arena_alloc(&r->program->arena, sizeof *args * (size_t)type->count);
    if (!args) return type;
    for (int i = 0; i < type->count; i++) args[i] = type_fresh(r, type->args[i]);
    return type_make(&r->program->types, type->kind, type->op, type->count, args);
}

/* ---- lets that move, zips ---- */

/* Lets that were taken off an expression, outermost first. */
typedef struct Chain {
    Node *first, *last;
    int height;
} Chain;

static void chain_add(Chain *chain, Node *let, int height) {
    if (chain->last)
        chain->last->kids[1] = let;
    else
        chain->first = let;
    chain->last = let;
    if (height > chain->height) chain->height = height;
}

static void chain_bind(Resolver *r, Chain *chain, Span span, Symbol *symbol, Node *value) {
    Node *let = node_make(r->program, N_Let, span, NULL, 2, value, NULL);
    let->symbol = symbol;
    let->text = symbol->name;
    chain_add(chain, let, r->height + 1);
}

static Node *chain_close(Resolver *r, const Chain *chain, Node *body) {
    if (chain->height > r->height) r->height = chain->height;
    if (!chain->last || !body) return body;
    chain->last->kids[1] = body;
    return chain->first;
}

/* If node is a zip or iterator under lets, moves the lets to the chain. */
static Node *peel(Resolver *r, Node *node, Chain *chain) {
    Node *inner = node;
    while (inner->kind == N_Let) inner = inner->kids[1];
    if (inner->kind != N_Zip && inner->kind != N_Iter) return node;
    for (; node->kind == N_Let; node = node->kids[1]) chain_add(chain, node, r->height);
    return inner;
}

/* Binds name, in `to`, to the zip or iterator raw: its parts become lets, of which the zip is made where it
 * is used. */
static bool bind_zip(Resolver *r, const Scope *from, const Node *raw, const char *name, Scope *to,
                     Chain *chain) {
    Node *zip = elaborate(r, from, raw, DATA);
    if (!zip) return false;
    zip = peel(r, zip, chain);
    for (int i = 0; i < (zip->kind == N_Zip ? zip->count : 1); i++) {
        Node *iter = zip->kind == N_Zip ? zip->kids[i] : zip;
        for (int k = 0; k < iter->count; k++) {
            Symbol *part = symbol_new(r->program, name, type_unknown(&r->program->types));
            chain_bind(r, chain, iter->span, part, iter->kids[k]);
            iter->kids[k] = node_ident(r->program, iter->span, part);
        }
    }
    Binding *binding = binding_new(r, B_zip, name);
    binding->zip = zip;
    scope_bind(r, to, name, binding);
    return true;
}

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

enum { APPLIED = 1, MISCHOSEN = 2, MOST_DERIVED = 60 }; /* what Node.index says; parameters */

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

/* Elaborates the body of a function whose remaining parameters (those without a binding yet) become symbols.
 * taken[i]: parameter i is bound already. */
static Node *function_make(Resolver *r, Scope scope, const Node *raw, const bool *taken) {
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

/* The function that a for, iterate or sort runs, of `arity` parameters. */
static Node *function_operand(Resolver *r, const Scope *scope, const Node *raw, int arity,
                              const char *usage) {
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
static Node *elaborate_derivative(Resolver *r, const Scope *scope, const Node *raw) {
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

static Node *elaborate_apply(Resolver *r, const Scope *scope, const Node *raw, Role role) {
    const Macro *macro = macro_called(r, scope, raw);
    if (macro) return macro_expand(r, scope, raw, macro, role);
    const Node *head, *callee = raw->kids[0];
    Scope where;
    if (role_of(r, scope, callee, &head, &where) == FUNCTION)
        return derivative_is_applied(r, scope, raw, head) ? elaborate_derivative(r, scope, head->kids[0])
                                                          : function_apply(r, scope, raw, head, where);
    if (callee->kind == N_Ident && !scope_find(r, scope, callee->text)) {
        fail_unknown(r, scope, callee, "function or macro");
    } else {
        resolve_fail(r, E_Type, span_in(scope, callee), "this is a value, but only functions can be called");
    }
    return NULL;
}

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
            fail_unknown(r, scope, raw, "name");
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
        part = peel(r, part, &chain);
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
    data = peel(r, data, &chain);
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

/* ---- reading a program ---- */

typedef struct Reading {
    Program *program;
    uint32_t prelude; /* its source */
    int deepest;
    Macro *macros;
    Node *root; /* parsed; NULL: not yet */
    bool ok;
} Reading;

/* A parameter f that is a C function becomes its address, and f a function that calls there:
 *
 *     |v, f| map(v, |x| f(x))   =>   |v, address: i64| let f = |a: f64| cfun[*, f64](address, a); map(v, |x| f(x))
 */
static Node *bind_callback(Program *program, const Node *root, int number, Node *body) {
    const Type *type = program->callbacks[number];
    Symbol *param = root->params[number];
    int count = type->count - 1;
    Node *call =
        node_new(program, N_Cfun, root->span, type_import(&program->types, type->args[count]), count + 1);
    Node *lambda = node_make(program, N_Lambda, root->span, NULL, 1, call);
    lambda->params = arena_alloc(&program->arena, sizeof *lambda->params * (size_t)(count + 1));
    if (!lambda->params || call->count != count + 1) return NULL;
    for (int i = -1; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, i < 0 ? "address %d" : "argument %d", i < 0 ? number : i);
        Name *name = name_intern(program, text, strlen(text)); /* no program can write a blank in a name */
        call->kids[i + 1] = node_new(program, N_Ident, root->span, NULL, 0);
        if (!name) return NULL;
        call->kids[i + 1]->text = name->text;
        if (i >= 0)
            lambda->params[i] = symbol_new(program, name->text, type_import(&program->types, type->args[i]));
        else
            root->params[number] = symbol_new(program, name->text, type_scalar(&program->types, TY_i64));
    }
    lambda->nparams = count;
    call->text = CALLBACK;
    call->notes = (Annotation *)(uintptr_t)program->callback_notes[number];
    Node *let = node_make(program, N_Let, root->span, NULL, 2, lambda, body);
    let->text = param->name;
    return let;
}

static bool bind_callbacks(Program *program, Node *root) {
    while (root->kind == N_Let) root = root->kids[1];
    for (int i = 0; root->kind == N_Lambda && i < root->nparams; i++) {
        if (!program->callbacks[i]) continue;
        root->kids[0] = bind_callback(program, root, i, root->kids[0]);
        if (!root->kids[0])
            return error_set(&program->error, E_OutOfMemory, root->span, "no memory for this program");
    }
    return true;
}

static void read_within(void *data) {
    Reading *reading = data;
    Program *program = reading->program;
    program->depth = reading->deepest;
    if (!reading->root) {
        reading->macros = NULL;
        program->names = (Names){0};
        if (!parse_source(program, reading->prelude, &reading->macros, NULL)) return;
        if (!parse_source(program, 0, &reading->macros, &reading->root)) return;
        if (program->callbacks && !bind_callbacks(program, reading->root)) return;
    }
    Node *root = reading->root;
    reading->ok = resolve(program, reading->macros, &root);
    if (reading->ok) program->root = root;
}

bool program_read(Program *program) {
    if (program->error.code != E_None) return false;
    if (program->source[0].length > (size_t)1 << 30)
        return error_set(&program->error, E_Syntax, (Span){0, 0, 0}, "the program is over a gigabyte long");
    uint32_t prelude = program_add_source(program, "prelude.weld", prelude_weld, prelude_weld_length);
    Reading reading = {.program = program, .prelude = prelude, .deepest = SHALLOW};
    read_within(&reading);
    if (reading.ok || program->depth != 0) return reading.ok;
    program->error = (Error){0};
    reading.deepest = DEEPEST;
    if (!run_deep(DEEPEST, read_within, &reading))
        return error_set(&program->error, E_OutOfMemory, (Span){0, 0, 0},
                         "no memory to read a program this deep");
    return reading.ok;
}
