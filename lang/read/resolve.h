/* resolve.h: what the files of name resolution share: resolve.c, resolve_scope.c, resolve_function.c, macro.c; read.c
 * calls them.
 *
 * All make new nodes from parsed ones, which they never change: a function or macro that is used twice is
 * elaborated twice, so every use has binders of its own.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "../lang.h"

enum {
    SHALLOW = 250, /* levels on the caller's stack */
    DEEPEST = 20000,
    MOST_DERIVED = 60 /* parameters of a function that is derived */
};

/* What names mean at some place: an immutable map from a name's id to its binding, so that a function can
 * keep the meaning that its free names had where it was written. */
typedef struct Scope {
    void *map; /* a trie of 8-way nodes over the id's digits */
    const Span
        *call;  /* where the text is a macro's body: the place of the call, which its nodes take; or NULL */
    int rounds; /* of macro expansion around this place */
} Scope;

typedef enum BindingKind {
    B_variable, /* a symbol of the program */
    B_param,    /* a macro's parameter: a symbol until it is known how its argument is best put in */
    B_closure,  /* a function, or an expression without work: elaborated at every use */
    B_zip       /* a zip or iterator, of names */
} BindingKind;

/* A use of a macro's parameter: the node to replace, how deep in loops and arms of ifs it lies. */
typedef struct Binding Binding;
typedef struct Use Use;
struct Use {
    Node *node;
    Binding *binding;
    int loops, arms;
    Use *next, *before; /* the same binding's; the one recorded before */
};

struct Binding {
    BindingKind kind;
    const char *name;
    Symbol *symbol;  /* variable, param */
    const Node *raw; /* closure */
    Scope scope;     /* closure: what the names in raw mean */
    Node *zip;       /* zip: to be cloned */
    int number;      /* param: in Resolver.params, from 1 */
    Use *uses;       /* param */
    int loops, arms; /* param: around the call */
};

/* What an expression is allowed to be, and what it is. */
typedef enum Role { VALUE, DATA, FUNCTION } Role; /* DATA: of a for, where zip and iter stand, too */

typedef struct Resolver {
    Program *program;
    int levels;      /* of the scopes' tries */
    int depth;       /* of the recursion */
    int loops, arms; /* around the node at hand */
    int height;      /* no path down from the node made last is longer; lets in a chain count as one */
    int64_t most;    /* nodes */
    Binding **params;
    int count, room;
    Use *last;
} Resolver;

/* Lets that were taken off an expression, outermost first. */
typedef struct Chain {
    Node *first, *last;
    int height;
} Chain;

/* ---- resolve.c ---- */

/* The node's resolved copy; NULL: error set. */
Node *elaborate(Resolver *r, const Scope *scope, const Node *raw, Role role);

/* ---- resolve_function.c ---- */

/* What raw is, seen through names, macros, lets: sets head and where its names have their meaning. */
Role role_of(Resolver *r, const Scope *scope, const Node *raw, const Node **head, Scope *where);

/* Elaborates the body of a function whose remaining parameters (those without a binding yet) become symbols.
 * taken[i]: parameter i is bound already; NULL: none is. */
Node *function_make(Resolver *r, Scope scope, const Node *raw, const bool *taken);
/* The function that a for, iterate or sort runs, of `arity` parameters. */
Node *function_operand(Resolver *r, const Scope *scope, const Node *raw, int arity, const char *usage);
Node *elaborate_apply(Resolver *r, const Scope *scope, const Node *raw, Role role);
Node *elaborate_derivative(Resolver *r, const Scope *scope, const Node *raw);

/* ---- resolve_scope.c ---- */

Binding *scope_find(const Resolver *r, const Scope *scope, const char *name);
void scope_bind(Resolver *r, Scope *scope, const char *name, Binding *binding);
Binding *binding_new(Resolver *r, BindingKind kind, const char *name);
Binding *binding_closure(Resolver *r, const char *name, const Node *raw, const Scope *scope);
/* Binds a name to a fresh symbol. */
Symbol *bind_symbol(Resolver *r, Scope *scope, const char *name, Type *type);
/* Binds name, in `to`, to the zip or iterator raw: its parts become lets, of which the zip is made where it is used. */
bool bind_zip(Resolver *r, const Scope *from, const Node *raw, const char *name, Scope *to, Chain *chain);
/* The type as written, its unknown parts new: each use of a function or macro has types of its own. */
Type *type_fresh(Resolver *r, Type *type);

void chain_bind(Resolver *r, Chain *chain, Span span, Symbol *symbol, Node *value);
/* The body under the chain's lets. */
Node *chain_close(Resolver *r, const Chain *chain, Node *body);
/* If node is a zip or iterator under lets, moves the lets to the chain. */
Node *chain_peel(Resolver *r, Node *node, Chain *chain);

/* Says that ident means nothing, and which name is near. Always false. */
bool resolve_unknown(Resolver *r, const Scope *scope, const Node *ident, const char *what);
bool resolve_fail(Resolver *r, ErrorCode code, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static inline Span span_in(const Scope *scope, const Node *raw) {
    return scope->call ? *scope->call : raw->span;
}

/* ---- macro.c ---- */

/* A call of a macro, expanded. */
Node *macro_expand(Resolver *r, const Scope *scope, const Node *raw, const Macro *macro, Role role);
/* Notes that node is a use of a macro's parameter. */
void macro_use(Resolver *r, Binding *binding, Node *node);

#endif
