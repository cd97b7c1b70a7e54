/* lang.h: what a program is: text, nodes, types, inference, verifier, interpreter.
 *
 * The one header of lang/. Its sections are headed by the file that implements them, in the order in which
 * data flows: text -> tokens -> nodes -> typed nodes -> values. lang/ needs the C library only.
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
    char *base, *next, *committed, *end;
    bool exhausted;
} Arena;

bool arena_init(Arena *arena); /* false: no address space */
void arena_release(Arena *arena);
void *arena_alloc(Arena *arena, size_t bytes); /* zeroed, 16-aligned; NULL only above 64 KiB when exhausted */
char *arena_copy(Arena *arena, const char *text, size_t length); /* NUL-terminated */

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
                  Iterate: NULL or KeptState.layout */
    uint64_t
        bits; /* Literal: the value's bytes in the low end. String: how many bytes. Exchange: its ExchangeKind.
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
    Names names;
    Node *root;
    bool bare;
    int symbols;   /* how many ids were given out */
    int64_t nodes; /* made so far: bounds the growth by macros */
    int depth;     /* no tree is deeper */
    bool saving;   /* derivatives keep little and compute it again (grad_again.c); set before program_infer */
    bool derived;  /* there were derivatives, which were taken */
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

/* Puts programs that compute derivatives in the place of grad; program_infer calls it. False: error set. */
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

/* ---- region.c: the memory of a run ------------------------------------------------------------------- */

/* Where regions get their blocks, and what all regions of a context may have together. `take` returns NULL
 * when the limit or the machine's memory is reached. */
typedef struct Budget {
    void *(*take)(void *data, size_t bytes); /* 64-aligned */
    void (*give)(void *data, void *block, size_t bytes);
    /* Makes a block larger or smaller where that copies little of it. Returns where it is then; NULL: it is
     * as it was. The pointer may be NULL, too. */
    void *(*resize)(void *data, void *block, size_t bytes, size_t wanted);
    void *data;
    _Atomic int64_t live, peak;
    int64_t limit;              /* bytes; 0: none; LIMIT_UNASKED: */
    int64_t (*ask)(void *data); /* tells the limit when so much is taken; several threads may ask */
} Budget;
enum { LIMIT_UNASKED = (64 << 20) + 1 };
void budget_init(Budget *budget,
                 int64_t limit);      /* on the C library's heap; runtime/ sets its own take, give */
int64_t budget_limit(Budget *budget); /* asks for one that was not asked for yet */
void *budget_take(Budget *budget, size_t bytes); /* counted against the limit; NULL: over it */
void budget_give(Budget *budget, void *block, size_t bytes);
void *budget_resize(Budget *budget, void *block, size_t bytes, size_t wanted); /* NULL: it is as it was */

/* A region holds what a run allocates: small things in chunks, large ones in blocks of their own, 64-aligned.
 * Builders that still grow have separate blocks, so that resetting a region to a mark keeps them. */
typedef struct Region Region;
typedef struct RegionMark {
    void *chunk, *block;
    char *next;
} RegionMark;
Region *region_new(Budget *budget);                /* NULL: no memory */
void region_free(Region *region);                  /* with all that it holds; takes NULL */
void *region_alloc(Region *region, int64_t bytes); /* NULL: no memory, or bytes out of range */
RegionMark region_mark(const Region *region);
void region_reset(Region *region, RegionMark mark); /* frees what was allocated since, builders excepted */
/* Frees an allocation of so many bytes, or a settled builder's block, that is younger than all marks in use; what is
 * small stays until its chunk goes. */
void region_release(Region *region, void *data, int64_t bytes);
/* Frees what was allocated since mark and is not reachable from the value at root. */
void region_sweep(Region *region, RegionMark mark, const Type *type, const void *root);
/* What lies in blocks of its own, is younger than the clock and is reachable from the value, but not from the roots, becomes
 * the youngest; the mark that is returned is older than that. Where there is no memory to find out, nothing moves. */
typedef struct RegionRoot {
    const Type *type;
    const void *value;
} RegionRoot;
int64_t region_clock(const Region *region);
RegionMark region_renew(Region *region, int64_t clock, const Type *type, const void *value,
                        const RegionRoot *roots, int64_t count);
/* The same at the end of a run; if the region was empty at the mark, builders' blocks are freed as well. */
void region_finish(Region *region, RegionMark mark, const Type *type, const void *root);
bool region_owns(const Region *region, const void *pointer);
bool region_since(const Region *region, RegionMark mark,
                  const void *pointer); /* was it allocated since mark */
Budget *region_budget(const Region *region);
int64_t region_bytes(const Region *region);
enum { REGION_HEADER = 64 }; /* bytes that it needs for itself with each block */
/* Growing blocks of builders. bytes 0 frees. Contents are kept up to the lesser size. */
void *region_grow(Region *region, void *block, int64_t bytes);
/* A builder's block becomes an ordinary allocation of `bytes` bytes; returns where it lies now, NULL: no
 * memory. */
void *region_settle(Region *region, void *block, int64_t bytes);
/* Moves what `other` holds into region, both of one budget: the builders' blocks or, with all, everything. */
void region_adopt(Region *region, Region *other, bool all);

/* ---- worker.c: what a running program holds on to ------------------------------------------------------ */

/* Foreign calls, which need more than the C library, come through the host. */
typedef struct Worker Worker;
typedef struct Host {
    void *(*symbol)(void *data, const char *name); /* a C function, NULL: unknown, or foreign code is off */
    /* Calls f(void *, ...); status: NULL, then it returns nothing, or room for the int that it returns. */
    bool (*call)(void *data, void *function, int count, void **arguments, int32_t *status);
    /* Calls R f(A, ...) of scalars of these types; arguments and result point to them. */
    bool (*call_value)(void *data, void *function, int count, const TypeKind *types, void **arguments,
                       TypeKind type, void *result);
    void *data;
} Host;

/* One exchange of the ranks of a cluster, as a program comes to it. */
typedef struct ExchangeCall {
    ExchangeKind kind;
    Op op;
    const Type *type; /* of the result, and of the first operand but for a pick and a window */
    const void *
        operands[2]; /* the second: of a part or an align only the length counts, whatever its elements are */
    void *out;       /* room for the result, which may point into the operands and the worker's region */
    Span span;
} ExchangeCall;
typedef struct Exchanger {
    ErrorCode (*run)(void *data, Worker *worker, const ExchangeCall *call);
    void *data;
} Exchanger;

/* The state of an iterate that checkpoints keep, as a run comes to it. */
typedef struct KeptState {
    int64_t number; /* of the iterate, from 1 on */
    const Type *type;
    const char *
        layout; /* a letter for each part that is no struct, in order: b, this rank has its block of it; w, all
                           ranks have the whole. NULL: the whole of all */
    Span span;
} KeptState;
enum KeptKind { KEPT_NONE, KEPT_AMID, KEPT_DONE };
typedef struct Keeper {
    /* The state, in the worker's region, that a run goes on from, and an enum KeptKind; KEPT_NONE: the iterate begins
     * anew. */
    ErrorCode (*restore)(void *data, Worker *worker, const KeptState *kept, void *state, int32_t *kind);
    /* After each step. */
    ErrorCode (*step)(void *data, Worker *worker, const KeptState *kept, const void *state, bool again);
    void *data;
} Keeper;

/* One per thread of a run. Compiled code reads `cancel` and `stop` and passes the worker on. */
struct Worker {
    const volatile int32_t *cancel; /* becomes non-zero when the run shall stop; never NULL */
    volatile int32_t stop;          /* becomes non-zero when the loop that it works on shall stop */
    Region *region;
    const Host *host;           /* or NULL: no foreign code */
    const Exchanger *exchanger; /* or NULL: it runs alone */
    const Keeper *keeper;       /* or NULL: there are no checkpoints */
    Error error;                /* the first failure */
    struct Team *team;          /* the threads that it may use, or NULL: none but its own */
    int64_t grain;              /* weld.grain: not 0 makes what is for much data happen with little */
    int64_t room;               /* bytes that memory_room() gives */
    bool shares;                /* it is one of several that run a loop */
    int64_t
        steps; /* of the interpreter so far: iterations, and nodes evaluated that are no names and constants */
};

/* Reports a failure with the message of errors.def. Returns the code, so that `return worker_fail(...)`. */
ErrorCode worker_fail(Worker *worker, ErrorCode code, Span span, int64_t a, int64_t b);
/* region_alloc that reports OutOfMemory. */
void *worker_alloc(Worker *worker, int64_t bytes, Span span);

/* ---- value.c, scalar.c, serialize.c, value_print.c: operations on values in memory, by type ------------ */

/* What a builder's pointer points to: for an appender and a vecmerger an Appender, for a merger its value,
 * for a dictmerger and a groupmerger a Dict *. */
typedef struct Appender {
    void *data;
    int64_t length, capacity; /* capacity 0: data is no builder's block: empty, settled, or a vecmerger's */
} Appender;

/* Lexicographic, IEEE on floats: -1 less, 0 equal, 1 greater, 2 unordered (a NaN decides). */
int value_compare(const Type *type, const void *a, const void *b);
int value_order(const Type *type, const void *a, const void *b); /* a total order: NaN last, for printing */
bool key_equal(const Type *type, const void *a, const void *b);  /* as keys: NaN is NaN, -0.0 is 0.0 */
/* Compiled code computes the same hash inline. A scalar, or a struct of scalars (nested or not) whose bits
 * add up to at most 64, is packed into one word, the first field lowest (a bool takes 8 bits):
 * hash_u64(word). Any other struct folds its fields: h = 0, then h = hash_u64(h ^ key_hash(field)) for each.
 * A vector: hash_bytes of an i8 or u8 vector; else h = hash_u64(length), then the same folding over its
 * elements. */
uint64_t key_hash(const Type *type, const void *key);
int key_width(const Type *type); /* bits of that one word; 0: the key does not fit */
uint64_t key_word(const Type *type, const void *key);
#define HASH_SEED 0x8a5cd789635d2dffu
#define HASH_FACTOR 0x9E3779B97F4A7C15u
uint64_t hash_u64(uint64_t bits);                /* x = (bits ^ HASH_SEED) * HASH_FACTOR; x ^ x >> 32 */
uint64_t hash_mix(uint64_t hash, uint64_t next); /* hash_u64((hash << 5 | hash >> 59) ^ next) */
uint64_t hash_bytes(const void *bytes, int64_t length);
uint64_t key_bits(const Type *scalar, const void *key); /* zero-extended; NaN and -0.0 canonical */
/* Applies a scalar operator. False: division by zero. Operands and result may alias. */
bool scalar_binary(Op op, const Type *type, const void *a, const void *b, void *out);
bool scalar_compare(Op op, const Type *type, const void *a, const void *b);
void scalar_unary(Op op, const Type *type, const void *a, void *out);
void scalar_cast(const Type *from, const void *a, const Type *to, void *out);
/* The identity of a builder's operator, and a (op)= b; for scalars and structs of scalars. */
void combine_identity(const Type *type, Op op, void *out);
void combine(const Type *type, Op op, void *into, const void *value);
/* Serialized form: docs/language.md describes it. */
int64_t value_serialized_size(const Type *type, const void *value);
void value_serialize(const Type *type, const void *value, char *out);
ErrorCode value_deserialize(Worker *worker, Span span, const Type *type, const Vec *bytes, void *out);
/* Copies a value with everything it points to into the region. */
bool value_copy(Worker *worker, const Type *type, const void *value, void *out);
int64_t value_bytes(const Type *type, const void *value); /* of memory that it reaches */
void value_print(Buf *out, const Type *type,
                 const void *value); /* as a literal of the language; a dict as [{k, v}, ..] */
void value_print_json(Buf *out, const Type *type, const void *value);
void number_print_json(Buf *out, const Type *scalar, const void *value); /* one scalar; shortest digits */

/* ---- dict.c: dictionaries and group builders ----------------------------------------------------------- */

/* Entries lie densely in the order of their first insertion, as the C struct {K, V}; the index is a power of
 * two of slots, each 0 or (tag << 32 | entry + 1), found by linear probing from (hash >> shift) & mask, where
 * tag is the hash's lower half. Compiled code inlines the probe: this layout is part of its contract. At most a
 * quarter of the slots are used, because a step that a processor does not foresee costs more than memory. */
enum { DICT_SPARSE = 4 };
typedef struct Dict {
    int64_t length, capacity; /* of entries */
    uint64_t mask, shift;     /* slots - 1; where the slot's bits begin in a hash: they are its highest */
    uint32_t *direct;         /* of a builder: by keys that are small words, entry + 1 or 0; or NULL */
    uint64_t *index;          /* or NULL: it has a table, or is neither searched nor grows */
    struct TableSlot *table;  /* instead of an index (table.c), or NULL */
    uint64_t vacant;          /* the word of the table's free slots */
    char *entries;
    /* of a groupmerger that still grows: */
    int64_t values, room; /* how many values are there, and fit */
    char *value;          /* all values in merge order */
    uint32_t *group;      /* the entry of each */
    /* of a dictmerger that deals its merges out (partition.c): */
    struct Partitions *partitions; /* or NULL */
    int64_t merges;                /* since they were last drained */
} Dict;

/* What a dictionary of a dictmerger is for when its loop is done. */
typedef enum DictForm {
    DICT_GROWS,    /* or is searched */
    DICT_LISTED,   /* it will be finished, and only its entries are looked at: it needs no index */
    DICT_SEARCHED, /* it will be finished, and may be searched: it may have a table instead of an index */
} DictForm;

/* The slots of a table, as many as an index would have; compiled code inlines the probe of it, too. */
enum { TABLE_LINE = 4, TABLE_VALUE = 8 };
typedef struct TableSlot {
    uint64_t word; /* key_word of the key */
    char value[TABLE_VALUE];
} TableSlot;

/* The type of the entries of a dict, dictmerger or groupmerger, made in *room without a table of types. */
typedef struct EntryType {
    Type entry, group;
    Type *parts[2], *element;
    int64_t offsets[2];
} EntryType;
const Type *dict_entry_layout(const Type *dict_or_builder, EntryType *room);

/* A dictionary may be NULL wherever one is read: it is empty. */
Dict *dict_new(Worker *worker, const Type *entry, Span span); /* entry: the struct {K, V}; NULL: failed */
void dict_discard(Worker *worker, Dict *dict);                /* frees its builders' blocks */
/* Makes the index of an otherwise complete builder. */
bool dict_make_index(Worker *worker, Dict *dict, const Type *entry, Span span);
/* The value of key, or NULL. */
void *dict_find(const Dict *dict, const Type *entry, const void *key);
/* The value of key; *fresh: it was inserted just now, its value zeroed. NULL: no memory. */
void *dict_insert(Worker *worker, Dict *dict, const Type *entry, const void *key, uint64_t hash, bool *fresh,
                  Span span);
/* Merges an entry, a {K, V}. */
bool dict_merge(Worker *worker, Dict *dict, const Type *entry, const void *pair, Op op, Span span);
bool dict_grow(Worker *worker, Dict *dict, const Type *entry, Span span); /* makes room for one more entry */
bool group_merge(Worker *worker, Dict *dict, const Type *entry, const void *key, const void *value,
                 Span span);
bool group_finish(Worker *worker, Dict *dict, const Type *entry, Span span); /* makes the values' vectors */
/* Makes `direct`, for keys that are one word and less than 1 << DIRECT_BITS, unless there is no memory. */
enum { DIRECT_BITS = 16 };
void dict_make_direct(Worker *worker, Dict *dict, const Type *entry);
/* Takes it away, leading nowhere, for another builder of the same type; or NULL. */
uint32_t *dict_take_direct(Dict *dict, const Type *entry);
/* Lets it lead nowhere: a loop that has its address looks keys up in the index. */
void dict_clear_direct(Dict *dict, const Type *entry);
/* Merges another builder's dictionary that grows, as if its merges came now. Its blocks, which must lie in
 * the worker's region, are freed or taken over. */
bool dict_absorb(Worker *worker, Dict *dict, Dict *other, const Type *entry, Op op, Span span);
bool group_absorb(Worker *worker, Dict *dict, Dict *other, const Type *entry, Span span);
bool dict_finish(Worker *worker, Dict *dict, const Type *entry, Span span); /* settles its memory */
/* The entries' numbers in key order, in memory of the caller's that holds dict->length of them. */
void dict_sorted(const Dict *dict, const Type *entry, int64_t *order);
Type *dict_entry_type(TypeTable *table, const Type *dict_or_builder); /* {K, V}; for a group {K, vec[V]} */

/* ---- table.c: keys and values in the slots, for dictionaries that are finished and large ------------------ */

/* The first slot of the line where a key's probe begins. */
static inline uint64_t table_line(const Dict *dict, uint64_t hash) {
    return hash >> dict->shift & dict->mask & ~(uint64_t)(TABLE_LINE - 1);
}
bool table_fits(const Type *entry); /* may its dictionaries have tables */
/* A word that is no key of the dictionary, of which `has` knows the keys. False: none of those that were tried. */
typedef bool TableHasWord(const void *data, uint64_t word);
bool table_choose_vacant(const Type *entry, TableHasWord *has, const void *data, uint64_t *vacant);
void table_clear(Dict *dict, uint64_t from, uint64_t to); /* slots [from, to) */
/* Enters a new key at the first free slot from its line on. False: there is none before slot `end`, which no slot
 * number reaches where the search may go round. */
bool table_enter(Dict *dict, const Type *entry, const void *key, const void *value, uint64_t end);
void *table_find(const Dict *dict, const Type *entry, const void *key); /* the value, or NULL */

/* ---- partition.c: merges dealt out by hash, for more keys than the caches hold --------------------------- */

enum { PARTITION_BITS = 8, PARTITIONS = 1 << PARTITION_BITS, PARTITION_BLOCK = 4096, PARTITION_RECORD = 256 };

/* Merges so many records, which lie one after the other, into a dictionary of {K, V, i64} that has room for as many
 * more. A record is what compiled code makes of it and ends in the number of its merge, to which base is added. */
typedef ErrorCode (*PartitionDrain)(Worker *worker, Dict *dict, const char *records, int64_t count,
                                    int64_t base);

typedef struct PartitionBlock PartitionBlock;
struct PartitionBlock {
    PartitionBlock *next; /* the one filled after it */
};

/* What a partition's records were merged to: {K, V, i64} one after the other, in the order of first merges. */
typedef struct Drained {
    char *entries;
    int64_t length;
} Drained;

/* Memory for them, from large blocks. */
typedef struct Slabs {
    void *list; /* the newest, which points to the one before */
    char *next;
    int64_t left, size; /* bytes left in the newest; its bytes */
} Slabs;

/* Compiled code writes a record to next[hash >> (64 - PARTITION_BITS)] and advances that. No room is left where
 * ((next - 1) & (PARTITION_BLOCK - 1)) > PARTITION_BLOCK - 1 - record; so there is none where next is NULL. */
typedef struct Partitions {
    char *next[PARTITIONS];
    PartitionBlock *first[PARTITIONS], *last[PARTITIONS], *free;
    Drained drained[PARTITIONS];
    Slabs slabs;       /* where these lie */
    const Type *entry; /* of these: {K, V, i64}, with the number of the key's first merge */
    PartitionDrain drain;
    int64_t base;               /* number of the first merge that is not drained */
    int64_t record, start;      /* bytes; where records begin in a block */
    int64_t used, window;       /* blocks; so many may be used before they are drained */
    void *chunks;               /* where the blocks lie, a list */
    char *fresh;                /* blocks that were never used, in the newest chunk */
    int64_t fresh_blocks, size; /* how many; of the newest chunk, in blocks */
} Partitions;

/* How many keys a dictmerger has before it deals out merges. */
int64_t partition_threshold(const Worker *worker);
/* Moves what it has into partitions, and adds a new key, whose value is returned; key NULL: none, and something is.
 * NULL: no memory, and nothing has changed; that is no failure. */
void *partition_begin(Worker *worker, Dict *dict, const Type *entry, PartitionDrain drain, int64_t record,
                      const void *key, uint64_t hash);
/* Room for the next record of a partition. NULL: no memory, or draining failed. */
char *partition_room(Worker *worker, Dict *dict, int64_t part, Span span);
/* Merges what a partition of several dictmergers holds, in their order, in `scratch`, an empty Dict at first that
 * serves one partition after the other; what comes out is in *out, in memory of the slabs. */
bool partition_merge(Worker *worker, Dict *const *from, int64_t count, int64_t part, Op op, Dict *scratch,
                     Slabs *slabs, Drained *out);
void slabs_free(Worker *worker, Slabs *slabs);
void slabs_join(Slabs *slabs, Slabs *other);              /* which is empty then */
void partitions_clear(Worker *worker, Partitions *parts); /* frees what they hold */
void partitions_free(Worker *worker, Partitions *parts);

/* ---- checkpoint.c: which states are kept in checkpoints ------------------------------------------------------ */

/* Numbers the iterates of a typed program that a run comes to once at most and whose state is all that they leave. */
void program_number_iterates(Program *program);
/* By the worker's keeper; without one nothing is kept. */
ErrorCode checkpoint_restore(Worker *worker, const KeptState *kept, void *state, int32_t *kind);
ErrorCode checkpoint_step(Worker *worker, const KeptState *kept, const void *state, bool again);

/* ---- exchange.c: what ranks do together -------------------------------------------------------------------- */

ErrorCode exchange(Worker *worker, const ExchangeCall *call); /* by the worker's exchanger, or alone */
/* Where block number `rank` of a vector of that length begins; of block number `ranks` its end. */
int64_t block_begin(int64_t length, int64_t rank, int64_t ranks);

/* ---- fill.c: results that C functions write (cfill) ----------------------------------------------------- */

/* How many vectors a cfill of this type fills; -1: it cannot, their elements hold pointers. */
int fill_count(const Type *type);
/* Makes *out a zero value whose vectors have room for `sizes` elements. */
ErrorCode fill_prepare(Worker *worker, const Type *type, const int64_t *sizes, void *out, Span span);
/* Checks what the function left there and returned. */
ErrorCode fill_finish(Worker *worker, const Type *type, const int64_t *sizes, const void *out, int32_t status,
                      Span span);

/* ---- nditer.c ------------------------------------------------------------------------------------------ */

typedef struct NdBounds {
    int64_t length, start, end, stride; /* length: of the vector; the rest as written */
    Vec shape, strides;                 /* of i64 */
} NdBounds;
/* E_None: the iterator is right, all its accesses are inside, and it visits end - start elements. */
ErrorCode nd_check(Worker *worker, Span span, const NdBounds *nd);
int64_t nd_offset(const NdBounds *nd, int64_t index); /* the element of an iteration of a checked iterator */
/* Of a checked iterator that is not empty: how many iterations from this one on read elements that are nd_stride apart, and
 * the first one's place. */
int64_t nd_segment(const NdBounds *nd, int64_t index, int64_t *place);
int64_t nd_stride(const NdBounds *nd);

/* ---- sort.c -------------------------------------------------------------------------------------------- */

typedef ErrorCode (*SortCompare)(void *closure, Worker *worker, const void *a, const void *b, int32_t *order);
/* Stable merge sort of `count` elements of `size` bytes, in place, with scratch of the same size. */
ErrorCode sort_stable(Worker *worker, void *data, void *scratch, int64_t count, int64_t size,
                      SortCompare compare, void *closure);
/* Merges two sorted arrays; of equal elements those of a come first. */
ErrorCode sort_merge(Worker *worker, const void *a, int64_t na, const void *b, int64_t nb, void *out,
                     int64_t size, SortCompare compare, void *closure);

/* ---- radix.c --------------------------------------------------------------------------------------------
 */

/* An order by a scalar that lies `offset` bytes into each element. */
typedef struct SortKey {
    TypeKind kind;
    bool descending;
    int64_t offset;
} SortKey;
/* Stable, from data to out; takes memory for two records of 8 or 16 bytes an element while it runs. A NaN
 * goes anywhere. */
ErrorCode sort_by_key(Worker *worker, const void *data, void *out, int64_t count, int64_t size,
                      const SortKey *key, Span span);
/* The same order as a SortCompare; the closure is the SortKey. Total, also where there are NaNs. */
ErrorCode sort_key_compare(void *key, Worker *worker, const void *a, const void *b, int32_t *order);

/* ---- eval.c: the interpreter, the meaning of the language ---------------------------------------------- */

/* Runs a typed program. args: a struct of the parameters' types (NULL if none); out: room for the result's
 * type. Results may point into args, the program's constants and the worker's region. */
ErrorCode program_eval(const Program *program, Worker *worker, const void *args, void *out);
Type *program_argument_type(Program *program); /* the struct of its parameters */
Type *program_result_type(const Program *program);

#endif
