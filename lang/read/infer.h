/* infer.h: what inference (infer*.c) and the verifier (verify.c) share: one rule per row of ops.def.
 *
 * A rule states how the type of a node and the types of its kids hang together, by unifying them. On a
 * program with closed types the same rule is a check: unifying closed types compares pointers.
 */
#ifndef INFER_H
#define INFER_H

#include "../lang.h"

/* What a rule says: the types do not fit (the error is set); not enough is known yet, ask again; decided. */
typedef enum Verdict { FAIL, WAIT, DONE } Verdict;

typedef struct Infer {
    Program *program;
    TypeTable *types;
    bool checking;   /* the verifier runs the rules: what does not fit is a fault of a pass */
    bool entering;   /* the node's function was not visited yet: give its parameters their types */
    bool last;       /* nothing else can be decided: choose what is usual */
    bool derives;    /* there are derivatives to take */
    size_t progress; /* grows when a variable is solved or a node decided */
    Node **pending;  /* nodes to ask again, in data-flow order */
    size_t waiting, room;
    uint8_t *judged; /* by a closed type's id; see infer_judge */
    uint32_t known;
} Infer;

typedef Verdict (*InferRule)(Infer *in, Node *node);
extern const InferRule infer_rules[N_COUNT];
#define NODE(id, spelling, least, most, traits, usage, doc) Verdict infer_##id(Infer *in, Node *node);
#include "../ops.def"

/* ---- infer.c ---- */

/* Which kid must be a literal function, or -1. No other kid may be one. */
int infer_function_kid(const Node *node);
/* Sets the error: a program cannot use this function as a value, or this value as a function. */
bool infer_check_functions(Infer *in, const Node *node);
/* Is this closed type one that values can have? False: error set at span. Each type is judged once. */
bool infer_judge(Infer *in, const Type *type, Span span);

/* The type of a node as far as it is known; a fresh variable at first. */
Type *infer_type(Infer *in, Node *node);
/* Sets the error, returns FAIL. */
Verdict infer_fail(Infer *in, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
bool infer_unify(Infer *in, Type *a, Type *b);
/* The node must have this type: "this is A, but WHAT is B". False: error set. */
bool infer_expect(Infer *in, Node *node, Type *want, const char *what, ...)
    __attribute__((format(printf, 4, 5)));
/* The rule found that the node has this type. */
Verdict infer_give(Infer *in, Node *node, Type *found);
/* The node must have this kind of type, of one or two arguments, which are returned; NULL: error set. */
Type **infer_shape(Infer *in, Node *node, TypeKind kind, const char *what);
static inline Type *infer_scalar(Infer *in, TypeKind kind) {
    return type_scalar(in->types, kind);
}
Type *infer_pair(Infer *in, Type *a, Type *b); /* {a, b} */
/* A type's text, cut to fit in a message. */
typedef struct TypeText {
    char text[112];
} TypeText;
TypeText infer_text(Infer *in, Type *type);

#endif
