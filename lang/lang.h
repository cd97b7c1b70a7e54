/* lang.h: what a program is: text, nodes, types, inference, verifier, interpreter.
 *
 * The one header of lang/ to include. Its sections are headed by the file that implements them, in the order in which
 * data flows: text -> tokens -> nodes -> typed nodes; what a running program has, its memory and values, is in run.h, which
 * this header includes. lang/ needs the C library only.
 *
 * Errors: functions that can fail return false (or NULL) and leave the first error in the program's or the
 * worker's Error; later ones do not overwrite it. No function aborts, exits, prints or uses a global
 * variable. Memory: everything of a program lies in its arena and goes with it; what a run makes lies in its
 * Region. Threads: a program, a region and a worker belong to one thread at a time.
 */
#ifndef LANG_H
#define LANG_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define WELD_LANES 8 /* of every simd[T]; programs are right at any width */

/* Is this build run under a sanitizer of memory or threads: 1 or 0. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

/* ---- base.c: arena, text buffer, errors ------------------------------------------------------------- */

/* An arena is one reserved range of addresses, so that a pointer into it never moves and a small allocation
 * never fails: past its limit it sets `exhausted`, which a phase checks as it checks for errors. */
typedef struct Arena {
    char *base, *next, *end;
    _Atomic(char *) committed; /* other threads ask how much it is */
    bool exhausted;
} Arena;

bool arena_init(Arena *arena); /* false: no address space */
void arena_release(Arena *arena);
void *arena_alloc(Arena *arena, size_t bytes); /* zeroed, 16-aligned; NULL only above 64 KiB when exhausted */
char *arena_copy(Arena *arena, const char *text, size_t length); /* NUL-terminated */
/* An array of elements of so many bytes, of which `count` are in use, with room for one more: items, or a larger copy, then *room is
 * changed. NULL: no memory, all is as it was. */
void *arena_room(Arena *arena, void *items, int count, int *room, size_t size);

/* A growing text. After a failed allocation it stays as it was and `failed` is set. */
typedef struct Buf {
    char *text; /* NUL-terminated, never NULL after the first write; owned: free() */
    size_t length, capacity;
    bool failed;
} Buf;

void buf_put(Buf *buf, const char *bytes, size_t length);
void buf_printf(Buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_release(Buf *buf);

typedef enum ErrorCode {
    E_None,
#define ERROR(id, number, message, doc) E_##id,
#include "errors.def"
    E_COUNT
} ErrorCode;

/* A place in a program's text: bytes [begin, end) of source number `source`. */
typedef struct Span {
    uint32_t source, begin, end;
} Span;

typedef struct Error {
    ErrorCode code;
    Span span;
    char text[448]; /* one sentence without a final dot, or several lines */
} Error;

const char *error_name(ErrorCode code);    /* "OutOfBounds" */
int error_number(ErrorCode code);          /* of the C API; 0 for E_None */
const char *error_message(ErrorCode code); /* the printf format of errors.def: up to two long long */
/* The first error sticks: does nothing when error is NULL or already holds one. Returns false, always. */
bool error_set(Error *error, ErrorCode code, Span span, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* Appends `NAME:LINE:COL: error[CODE]: text`, the source line and a caret under the span. */
void error_render(const Error *error, const char *name, const char *text, size_t length, Buf *out);
/* The same for a part of a text, before which there are so many lines. */
void error_render_from(const Error *error, const char *name, const char *text, size_t length, size_t before,
                       Buf *out);

/* Runs fn(data) on a stack that is large enough for trees `depth` deep: on the caller's for small depths,
 * on a thread of its own for large ones. False: no memory for that stack. */
bool run_deep(size_t depth, void (*fn)(void *data), void *data);

bool name_is_listed(const char *list,
                    const char *name); /* of names between commas; "*" lists all, NULL none */
/* The nearest of `count` names to `name` by edit distance, or NULL if none is near. */
const char *nearest_name(const char *name, const char *const *names, size_t count);

/* ---- types.c: interned types ------------------------------------------------------------------------ */

typedef enum TypeKind {
    TY_unknown, /* a variable of inference; typed programs have none */
#define SCALAR(id, spelling, ctype, class, bits) TY_##id,
#include "types.def"
#define COMPOSITE(id, spelling, arguments, doc) TY_##id,
#include "types.def"
#define BUILDER(id, spelling, arguments, has_op, doc) TY_##id,
#include "types.def"
    TY_COUNT
} TypeKind;

/* The operators of scalar.def: OP_add, ... Binary, then comparisons, then unary. */
typedef enum Op {
    OP_none,
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) OP_##id,
#define COMPARE(id, spelling, precedence, cop, spred, upred, fpred, doc) OP_##id,
#define UNARY(id, spelling, class, iexpr, fexpr, doc) OP_##id,
#include "scalar.def"
    OP_COUNT
} Op;

enum { TYPE_PARTS = 1 << 14 }; /* a type of so many parts is too large to be used */

typedef struct Type Type;
struct Type {
    TypeKind kind;
    Op op; /* of a builder that combines: OP_add, OP_mul, OP_min, OP_max. Of a callback's function: CALLBACK_... */
    bool open;      /* some part is TY_unknown */
    bool pointers;  /* values hold pointers (vec, dict, builders somewhere inside) */
    bool builders;  /* a builder, or a struct with builders inside */
    int count;      /* of args */
    uint32_t parts; /* it and all its parts, each as often as it occurs; at most TYPE_PARTS */
    Type **args;    /* element; key, value; fields; parameters and result; the type arguments of a builder */
    int64_t size, align; /* of a value in memory, C layout; of open types and functions 0 */
    int64_t *offsets;    /* of a struct's fields */
    Type *link;          /* of TY_unknown: what it was found to be, or NULL */
    uint32_t hash, id;
};

/* What values look like in memory. A bool is one byte, 0 or 1. A struct is the C struct of its fields.
 * simd[T] is WELD_LANES T side by side. A dict is a Dict * (below), a builder a pointer to its state. */
typedef struct Vec {
    void *data; /* may be NULL when length is 0 */
    int64_t length;
} Vec;

typedef struct TypeClass {
    const char *spelling;
    char class; /* 'b' bool, 's' signed, 'u' unsigned, 'f' float, 'c' composite, 'm' builder, 0 unknown */
    uint8_t bits;
    int arguments; /* -1: any number */
    bool has_op;
} TypeClass;
extern const TypeClass type_classes[TY_COUNT];

typedef struct TypeTable {
    Arena *arena;
    Type **slots;
    uint32_t capacity, count, unknowns;
    Type *scalars[TY_COUNT]; /* by kind, for scalars */
} TypeTable;

void types_init(TypeTable *table, Arena *arena);
Type *type_scalar(TypeTable *table, TypeKind kind);
Type *type_unknown(TypeTable *table); /* a fresh variable */
/* The type with these parts; equal closed types are the same pointer. args is copied. */
Type *type_make(TypeTable *table, TypeKind kind, Op op, int count, Type *const *args);
Type *type_vec(TypeTable *table, Type *element);
Type *type_find(Type *type); /* follows links of variables; the type itself when closed */
/* The type with every solved variable replaced; closed if all are solved. */
Type *type_resolve(TypeTable *table, Type *type);
/* Makes two types one by solving variables. False: they differ (then some variables may be solved). */
bool type_unify(TypeTable *table, Type *a, Type *b);
/* The same type in another table. */
Type *type_import(TypeTable *table, const Type *type);
void type_print(Buf *out, const Type *type); /* in the language's own spelling; unknown is ? */

static inline bool type_is_scalar(const Type *t) {
    return t->kind >= TY_bool && t->kind <= TY_f64;
}
static inline bool type_is_float(const Type *t) {
    return t->kind == TY_f32 || t->kind == TY_f64;
}
static inline bool type_is_signed(const Type *t) {
    return t->kind >= TY_i8 && t->kind <= TY_i64;
}
static inline bool type_is_integer(const Type *t) {
    return t->kind >= TY_i8 && t->kind <= TY_u64;
}
static inline bool type_is_builder(const Type *t) {
    return t->kind >= TY_appender;
}
bool type_is_key(const Type *type); /* may be a dictionary's key: scalars, and vec and struct of keys */
bool type_nests(const Type *type);  /* has vectors whose elements have memory, in itself or in its fields */
bool type_is_comparable(const Type *type); /* has == and <: scalars, and vec and struct of comparables */

/* ---- node.c: the one node struct and what is written once for all kinds ------------------------------ */

typedef enum NodeKind {
    N_None,
#define NODE(id, spelling, least, most, traits, usage, doc) N_##id,
#include "ops.def"
    N_COUNT
} NodeKind;

enum Traits {
    CALL = 1,
    FAILS = 2,
    EFFECT = 4,
    BIND = 8,
    SUGAR = 16,
    COMM = 32,
    ASSOC = 64,
    REDUCE = 128,
    FOREIGN = 256
};

typedef struct NodeClass {
    const char *name, *spelling, *usage, *doc;
    int least, most; /* number of kids; most -1: any */
    unsigned traits;
} NodeClass;
extern const NodeClass node_classes[N_COUNT];

typedef struct OpClass {
    const char *name, *spelling, *doc;
    char form;       /* 'b' BINARY, 'c' COMPARE, 'u' UNARY */
    char class;      /* of operands: 'i' INT, 'n' NUM, 'f' FLT, 'l' LOGIC, 'b' BOOLS, 'a' any comparable */
    int precedence;  /* 0: call form, -1: prefix */
    unsigned traits; /* COMM, ASSOC, FAILS, REDUCE */
} OpClass;
extern const OpClass op_classes[OP_COUNT];

typedef enum IterKind {
#define ITER(id, spelling, bounds, has_data, doc) IT_##id,
#include "iters.def"
    IT_COUNT
} IterKind;
typedef struct IterClass {
    const char *spelling, *doc;
    char bounds; /* 'r' required, 'o' optional, 's' shaped */
    bool has_data;
} IterClass;
extern const IterClass iter_classes[IT_COUNT];

typedef enum ExchangeKind {
#define EXCHANGE(id, spelling, operands, combines, blocks, sends, doc) EXCHANGE_##id,
#include "exchanges.def"
    EXCHANGE_COUNT
} ExchangeKind;
typedef struct ExchangeClass {
    const char *spelling, *doc, *sends;
    int operands;
    bool combines, blocks;
} ExchangeClass;
extern const ExchangeClass exchange_classes[EXCHANGE_COUNT];

/* A binding of a name. Every binder makes its own, so a name can never be captured. */
typedef struct Symbol {
    const char *name;
    Type *type;
    int id;         /* unique in the program, from 0 */
    int uses;       /* kept by count_uses() */
    bool in_blocks; /* of a parameter, of whose vectors each rank passes its block, as weld.cluster.parts */
    struct Symbol *twin; /* its counterpart while a tree is cloned or compared; else NULL */
} Symbol;

typedef struct Annotation Annotation; /* @(key: value), a list */
struct Annotation {
    const char *key, *value;
    Annotation *next;
};

typedef struct Node Node;
struct Node {
    NodeKind kind;
    Op op;         /* Unary, Binary, Compare; of an Exchange that combines, as of a builder */
    IterKind iter; /* Iter */
    int index;     /* Field: which; else free for a pass */
    Span span;
    Type *type;     /* of its value; NewBuilder, Cast, Deserialize, FOREIGN kinds: also what was written */
    int count;      /* of kids */
    Node **kids;    /* For: iters, then builder, then lambda. Let: value, body. Lambda: body. Apply: function,
                       arguments */
    Symbol *symbol; /* Ident: the name used; Let: the name bound */
    const char
        *text; /* before names are resolved: Ident, Let: the name. FOREIGN: the function. String: the bytes.
                  Assert, once typed: its message or NULL. Iterate: NULL or KeptState.layout */
    uint64_t
        bits; /* Literal: the value's bytes in the low end. String, Assert: how many bytes. Exchange: its ExchangeKind.
                 Iterate: its number in checkpoints, 0: none. NewBuilder: of a program that was planned, how
                 (BUILDER_IN_PLACE) */
    Symbol **params; /* Lambda */
    int nparams;
    Annotation *notes;
};

typedef struct Source {
    const char *name, *text;
    size_t length;
} Source;

/* The words of a program's text (lex.c), each once. */
typedef struct Name Name;
typedef struct Names {
    Name **slots;
    uint32_t capacity, count;
} Names;

/* Where functions of libraries come from, that a program calls as `library.name(arguments)`. */
typedef struct Imports {
    /* The text of a function of the language, which outlives all programs; NULL: there is none, and why says more, or
     * nothing, if there is no such library. */
    const char *(*find)(void *data, const char *name, Buf *why);
    /* The derivative of a C function that programs call: the text of a function |arguments of the call.., result, adjoint|
     * that gives the adjoints of those arguments that hold floats (grad_foreign.c), or the name of such a function of a
     * library. NULL: it is not known. */
    const char *(*vjp)(void *data, const char *symbol);
    void *data;
} Imports;

/* How ranks look up in dictionaries. */
typedef enum Lookups {
    LOOKUPS_AUTO,   /* whichever sends less */
    LOOKUPS_MERGE,  /* dictionaries that loops look up are whole on all ranks */
    LOOKUPS_FETCH,  /* each of their keys is on one rank, where the others fetch it */
    LOOKUPS_SHUFFLE /* the same, and rows go to where their keys are, if they can */
} Lookups;

/* How ranks sum into a vector of which each needs its block. */
typedef enum Sums {
    SUMS_AUTO, /* whichever sends less */
    SUMS_SUMS, /* each rank into the whole; the sums are sent */
    SUMS_ROWS  /* each rank into its block; what is summed is sent there, where it can */
} Sums;

/* How a program for the ranks of a cluster gets its arguments and leaves its result. */
typedef struct Distribution {
    bool together; /* it is for ranks; else the rest means nothing */
    /* Names of parameters, between commas, or "*", all of them, or NULL, none: */
    const char *blocks; /* of whose vectors each rank passes its block, cut evenly */
    const char
        *parts; /* the same, of any lengths; vectors of one parameter that are equally long are cut alike */
    const char *root; /* that rank 0 passes, and the others anything of the type */
    enum {
        RESULT_ALL,   /* all ranks get the result's vectors */
        RESULT_FIRST, /* rank 0 alone, the others empty ones */
        RESULT_BLOCKS /* each gets its block of them */
    } result;
    Lookups lookups;
    Sums sums;
    bool overlap;               /* exchanges are launched, and waited for when they are needed */
    bool server;                /* trainings have a parameter server, where they can */
    int64_t servers, staleness; /* how many ranks are servers, 0: all; how many steps a worker may be ahead */
} Distribution;

/* A program and everything that belongs to it. After program_read: root is a Lambda (of no parameters for a
 * program that is a plain expression: `bare` tells), names are resolved, sugar is gone. After program_infer:
 * every node and symbol has a closed type. */
typedef struct Program Program;
struct Program {
    Arena arena;
    TypeTable types;
    Error error;
    Source *
        source; /* 0: the program's own text; further ones: the prelude, texts of types, of what was spliced in */
    int sources, source_room;
    /* Or NULL: rewrites a function of the program, a Lambda, before it is derived. False: error set. */
    bool (*prepare)(Program *program, Node **function);
    const Imports *imports; /* or NULL: there are no libraries */
    /* Before program_read, or NULL: for each parameter of the program its type if it is a C function that is handed
     * over by its address, else NULL. */
    const Type *const *callbacks;
    const Annotation *const *callback_notes; /* of their calls */
    Distribution distribution;
    const char
        *training; /* how iterates came to train on ranks, a line for each; NULL: none was asked about */
    Names names;
    Node *root;
    bool bare;
    int symbols;   /* how many ids were given out */
    int64_t nodes; /* made so far: bounds the growth by macros */
    int depth;     /* no tree is deeper */
    bool saving;   /* derivatives keep little and compute it again (grad_again.c); set before program_infer */
    bool postpone; /* program_infer leaves derivatives to the caller; set before it */
    bool derived;  /* there are derivatives, taken or postponed */
};

/* An empty program around a copy of text; NULL: no memory. program_free takes NULL. */
Program *program_new(const char *name, const char *text, size_t length);
void program_free(Program *program);
/* The number of one more source, whose texts must outlive the program; 0 (then it counts as the program's own): no
 * memory. */
uint32_t program_add_source(Program *program, const char *name, const char *text, size_t length);
/* Renders the program's own error, with its source line. */
void program_render_error(const Program *program, const Error *error, Buf *out);

Node *node_new(Program *program, NodeKind kind, Span span, Type *type, int count);       /* kids are NULL */
Node *node_make(Program *program, NodeKind kind, Span span, Type *type, int count, ...); /* kids follow */
Node *node_literal(Program *program, Span span, Type *type, uint64_t bits);
Node *node_ident(Program *program, Span span, Symbol *symbol);
Node *node_let(Program *program, Span span, Symbol *symbol, Node *value, Node *body);
Symbol *symbol_new(Program *program, const char *name, Type *type);
/* A deep copy in which every binder is fresh. */
Node *node_clone(Program *program, const Node *node);
/* Calls visit on every node below and at *slot, kids first; visit may replace *slot. Iterative along lets. */
typedef struct Walk Walk;
struct Walk {
    Program *program;
    bool (*enter)(Walk *walk, Node **slot); /* or NULL; false: skip what is below */
    void (*leave)(Walk *walk, Node **slot); /* or NULL */
    void *data;
};
void node_walk(Walk *walk, Node **slot);
void count_uses(Program *program, Node *node); /* sets Symbol.uses of all names used below node */
bool node_equal(const Node *a, const Node *b); /* the same up to the names of binders; types by pointer */
uint64_t node_hash(const Node *node);
int node_depth(const Node *node);
/* May it be evaluated where its value is not needed: it cannot fail, has no effect, and costs little. budget:
 * how many nodes it may have; what is left of it comes back. */
bool node_is_cheap(const Node *node, int *budget);
static inline bool node_is(const Node *n, NodeKind kind) {
    return n->kind == kind;
}
enum { CALLBACK_PURE = 1, CALLBACK_THREADSAFE = 2 };
#define CALLBACK "*" /* the text of a Cfun whose first kid is the function's address */
static inline bool node_is_callback(const Node *n) {
    return n->kind == N_Cfun && n->text[0] == '*';
}
static inline bool node_is_foreign(const Node *n) {
    return (node_classes[n->kind].traits & FOREIGN) != 0;
}
bool node_has_note(const Node *node, const char *key); /* @(key: true) */
/* Is it evaluated as often as it is written: an assertion, or a call of a C function that is not @(pure: true). */
bool node_keeps(const Node *node);
/* What a part, or the result of a part, is taken from; else the node. */
const Node *node_source(const Node *node);
bool node_uses(const Node *node, const Symbol *symbol); /* in itself or below it */

/* ---- lex.c ------------------------------------------------------------------------------------------ */

typedef enum TokenKind { TK_end, TK_error, TK_ident, TK_literal, TK_string, TK_punct } TokenKind;

typedef struct Token {
    TokenKind kind;
    Span span;
    const char
        *text;     /* ident: of a Name; punct: its spelling; string: its bytes after escapes, in the arena */
    size_t length; /* of a string */
    TypeKind type; /* of a literal */
    uint64_t bits; /* of a literal; of punct the spelling's one or two bytes, the first in the low end */
} Token;

/* What a word is reserved for: a row of the table for this kind of thing, or a form of its own. */
typedef enum WordKind {
    WD_name,
    WD_scalar,
    WD_composite,
    WD_builder,
    WD_node,
    WD_op,
    WD_iter,
    WD_keyword
} WordKind;

/* One word of a program's text. Texts of TK_ident tokens, and of nodes until names are resolved, lie in one.
 */
typedef struct Macro Macro;
struct Name {
    uint32_t hash, id; /* id: from 0 */
    WordKind word;
    int row;              /* TypeKind, NodeKind, Op or IterKind */
    Macro *macro;         /* of this name, or NULL */
    const Node *function; /* of a library, unresolved; or NULL */
    bool importing;       /* it is being read */
    Type *alias;          /* the type of this name, or NULL */
    int size;             /* of the alias's text, in type constructors */
    char text[];
};
Name *name_intern(Program *program, const char *text, size_t length);
static inline Name *name_of(const char *text) {
    return (Name *)(text - offsetof(Name, text));
}
/* Calls visit for every reserved word. */
void each_word(void (*visit)(void *data, const char *word), void *data);
const char *literal_suffix(TypeKind kind); /* "l" for i64, "" for i32, bool and f64 */

typedef struct Lexer {
    Program *program;
    uint32_t source, at;
} Lexer;

/* The next token; after the last TK_end, for ever. TK_error: the program's error is set. An integer literal
 * directly after a `-` may be the minimum of its type: the parser joins them. */
Token lex_next(Lexer *lexer);

/* ---- read.c, parse.c, resolve.c: from text to nodes ------------------------------------------------- */

/* Reads the program's text: parses, expands macros (those of prelude.weld included), gives every binder its
 * symbol, inlines functions bound by let (leaving Apply of a Lambda), flattens zips, removes sugar that needs
 * no types. */
bool program_read(Program *program);
/* Reads a type, e.g. "{vec[i64], f64}", into the program's table; NULL: error set. */
Type *type_parse(Program *program, const char *text);

extern const char prelude_weld[]; /* prelude.weld: the standard macros, made into a C string by the build */
extern const size_t prelude_weld_length;

struct Macro {
    const char *name;
    int nparams;
    const char **params;
    Node *body; /* unresolved */
    bool standard;
    Macro *next;
};
/* parse.c's product, resolve.c's input: nodes whose names are text. */
bool parse_source(Program *program, uint32_t source, Macro **macros, Node **root);
bool resolve(Program *program, Macro *macros, Node **root);

/* ---- infer.c, verify.c: types ----------------------------------------------------------------------- */

/* Gives every node and symbol its type. want: the type that the program shall have, or NULL. */
bool program_infer(Program *program, const Type *want);
/* The invariants of a typed program: closed types that agree with ops.def's rules, names in scope and bound
 * once, linear builders, loops that return their builder. Run after every pass in tests. On failure the
 * error says what is wrong where; code Type for what a user can write, Internal for the rest. */
bool program_verify(Program *program);

/* ---- grad*.c: derivatives ----------------------------------------------------------------------------------- */

/* Puts programs that compute derivatives in the place of grad; program_infer calls it, unless that is postponed. False:
 * error set. */
bool program_derive(Program *program);
/* Has a value of this type parts that are floats, by which one can differentiate? */
bool type_has_floats(const Type *type);

/* ---- splice.c: programs made of others ------------------------------------------------------------------ */

/* Typed functions of one program that are copied into another, which is only read. Without copy_texts names and texts are
 * shared, and `from` must outlive `into`. */
typedef struct Splice {
    Program *into;
    const Program *from;
    bool copy_texts;
    Type **types;      /* of `into`, by the number of from's */
    Symbol **symbols;  /* likewise */
    uint32_t *sources; /* likewise, and 1 added */
} Splice;
bool splice_open(Splice *splice, Program *into, const Program *from, bool copy_texts); /* false: no memory */
Node *splice_function(Splice *splice, const Node *lambda); /* a copy of a function without free names */
/* A copy of its body, its parameters replaced by these names of `into`. */
Node *splice_body(Splice *splice, const Node *lambda, Symbol *const *arguments);

/* ---- print.c ---------------------------------------------------------------------------------------- */

/* Canonical text: reads back to the same program. typed: types at every binder and builder.
 * indent: broken into lines. Names are made unique. */
void program_print(Buf *out, const Program *program, bool typed);
void node_print(Buf *out, const Node *node, bool typed, int indent);
void literal_print(Buf *out, const Type *type, const void *value); /* a scalar with its suffix */

#include "run.h" /* what a running program has */

/* ---- eval.c: the interpreter, the meaning of the language ---------------------------------------------- */

/* Runs a typed program. args: a struct of the parameters' types (NULL if none); out: room for the result's
 * type. Results may point into args, the program's constants and the worker's region. */
ErrorCode program_eval(const Program *program, Worker *worker, const void *args, void *out);
Type *program_argument_type(Program *program); /* the struct of its parameters */
Type *program_result_type(const Program *program);

#endif
