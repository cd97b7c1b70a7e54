/* resolve.h: what resolve.c and macro.c share.
 *
 * Both make new nodes from parsed ones, which they never change: a function or macro that is used twice is
 * elaborated twice, so every use has binders of its own.
 */
#ifndef RESOLVE_H
#define RESOLVE_H

#include "lang.h"

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

/* ---- resolve.c ---- */

/* The node's resolved copy; NULL: error set. */
Node *elaborate(Resolver *r, const Scope *scope, const Node *raw, Role role);
/* What raw is, seen through names, macros, lets: sets head and where its names have their meaning. */
Role role_of(Resolver *r, const Scope *scope, const Node *raw, const Node **head, Scope *where);

Binding *scope_find(const Resolver *r, const Scope *scope, const char *name);
void scope_bind(Resolver *r, Scope *scope, const char *name, Binding *binding);
Binding *binding_new(Resolver *r, BindingKind kind, const char *name);
Binding *binding_closure(Resolver *r, const char *name, const Node *raw, const Scope *scope);

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
