/* cg.h: code generation's internals, and the only header that includes llvm-c.
 *
 * A value of the language is a list of *leaves* in LLVM: a scalar, simd value, dictionary or builder is one
 * leaf, a vector two (data, length), a struct those of its fields in a row. So there are no aggregates in the
 * LLVM IR, taking a field is free, and an `if` needs a phi only for leaves that differ. A bool is an i1 as a
 * leaf and a byte in memory.
 *
 * A builder's leaf is a pointer to its state (below). Merging changes the state in place and yields the same
 * pointer, which is also what makes the non-linear form of inner loops right.
 *
 * Functions that are generated:
 *     status run(worker, arguments, result)              the program
 *     status body(state, worker, begin, end)             a loop that is not inside another one
 *     status compare(closure, worker, a, b, order)       the order of a sort
 * A status is an ErrorCode; a failure returns at once, its memory belongs to the region.
 */
#ifndef CG_H
#define CG_H

#include "weldc.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/TargetMachine.h>

enum { ROOMY = 16, MATH_KEPT = 96 };

typedef struct Fn {
    struct Fn *outer;
    LLVMValueRef function, worker;
    LLVMBasicBlockRef first;
    LLVMBasicBlockRef entry;   /* holds the allocas, then goes on to the first block of code */
    LLVMBasicBlockRef resume;  /* where the outer function was */
    bool outlines;             /* its loops become functions: it is not inside a loop */
    LLVMValueRef roomy[ROOMY]; /* appenders whose room was made before the loop: merging needs no check */
    int nroomy;
    struct {
        LLVMValueRef state, table;
    } direct[ROOMY]; /* dictmergers with small keys, and their Dict.direct or a null at run time */
    int ndirect;
    LLVMValueRef scope; /* alias scope of what an outlined loop reads through its iterators, or NULL */
} Fn;

typedef struct Cg {
    Program *program;
    Error *error;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder, allocas;
    LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, ptr, none;
    Fn *fn;
    LLVMValueRef **values; /* the leaves of each symbol, by its id */
    int *stamps, stamp;    /* by symbol id: marks of cg_free_names */
    int *roots, questions; /* by symbol id: what cg_merge_bound found */

    const Type **types; /* handed to runtime calls by number */
    int ntypes, types_capacity;
    Buf strings; /* the bytes of string constants, referred to by offset */
    LLVMValueRef type_table, string_base;
    LLVMValueRef kept[MATH_KEPT]; /* functions that only attributes mention */
    int nkept;
    bool heap_builders; /* builders' states outlive their function */
    bool wide;          /* AVX-512: ask for 512 bits, though the processor's own preference may be less */
    bool fma;           /* AVX2 and FMA */
    bool sleef;         /* SLEEF's functions can be called */
} Cg;

typedef LLVMValueRef Leaf;

/* ---- cg.c: programs, functions, expressions, one cg_<id> per row of ops.def ------------------------------
 */
bool cg_program(Cg *cg);
Leaf *cg_expr(Cg *cg, const Node *node); /* the leaves of its value, in the arena */
Leaf cg_one(Cg *cg, const Node *node);   /* of a value that is one leaf */
void cg_bind(Cg *cg, const Symbol *symbol, Leaf *leaves);
typedef struct NameList {
    Symbol **symbol;
    int count;
} NameList;
NameList cg_free_names(Cg *cg, const Node *lambda); /* used in it, bound outside */
/* May several threads run it at once? Not if it merges into builders from outside, nor if it calls C
 * functions, which nobody promised to be safe for that. */
bool cg_is_divisible(Cg *cg, const Node *lambda);
/* The memory through which a generated function reaches the names around it. */
typedef struct Closure {
    NameList names;
    LLVMValueRef state; /* in the outer function */
    Leaf **saved;
    int64_t first, size; /* where the names' values start and end; before them is room for the caller */
} Closure;
Closure cg_closure(Cg *cg, NameList names, int64_t first);
void cg_closure_enter(Cg *cg, Closure *closure, LLVMValueRef state);
void cg_closure_leave(Cg *cg, Closure *closure);
/* Opens and closes a function; its code goes where cg->builder then stands. */
void cg_fn_open(Cg *cg, Fn *fn, const char *name, LLVMTypeRef *params, int count);
void cg_fn_close(Cg *cg, Fn *fn);

/* ---- cg_type.c: leaves, memory, checks, calls
 * ----------------------------------------------------------------- */
int leaf_count(const Type *type);
int leaf_at(const Type *type, int field); /* a struct's first leaf of a field */
int leaf_types(Cg *cg, const Type *type, LLVMTypeRef *out);
Leaf *cg_leaves(Cg *cg, const Type *type);
Leaf *cg_load_new(Cg *cg, const Type *type, LLVMValueRef pointer); /* cg_load into fresh leaves */
LLVMTypeRef cg_scalar_type(Cg *cg, const Type *type);
void cg_load(Cg *cg, const Type *type, LLVMValueRef pointer, LLVMValueRef scope, Leaf *out);
void cg_store(Cg *cg, const Type *type, const Leaf *leaves, LLVMValueRef pointer, LLVMValueRef noalias);
LLVMValueRef cg_spill(Cg *cg, const Type *type, const Leaf *leaves); /* into a slot of the frame */
LLVMValueRef cg_slot(Cg *cg, int64_t bytes, int64_t align);
LLVMValueRef cg_at(Cg *cg, LLVMValueRef pointer, int64_t bytes);
LLVMValueRef cg_element(Cg *cg, const Type *type, LLVMValueRef data, LLVMValueRef index);
LLVMValueRef cg_load_at(Cg *cg, LLVMTypeRef type, LLVMValueRef pointer, int64_t bytes);
void cg_store_at(Cg *cg, LLVMValueRef value, LLVMValueRef pointer, int64_t bytes);
LLVMValueRef cg_i64(Cg *cg, int64_t value);
LLVMValueRef cg_i32(Cg *cg, int32_t value);
LLVMValueRef cg_span(Cg *cg, const Node *node);
LLVMBasicBlockRef cg_block(Cg *cg, const char *name);
void cg_goto(Cg *cg, LLVMBasicBlockRef block); /* continues there without a branch */
LLVMValueRef cg_intrinsic(Cg *cg, const char *name, LLVMTypeRef *overloads, int noverloads,
                          LLVMValueRef *args, int count);
/* Fails with the code unless ok; goes on where it holds. */
void cg_check(Cg *cg, LLVMValueRef ok, ErrorCode code, const Node *node, LLVMValueRef a, LLVMValueRef b);
void cg_likely(Cg *cg, LLVMValueRef branch, bool first);
typedef enum RtCall {
#define RTCALL(id, result, arguments, doc) RT_##id,
#include "rtcalls.def"
    RT_COUNT
} RtCall;
LLVMValueRef cg_call(Cg *cg, RtCall call, ...);            /* as many arguments as the row has */
void cg_try(Cg *cg, LLVMValueRef status);                  /* returns a status that is not 0 */
LLVMValueRef cg_try_pointer(Cg *cg, LLVMValueRef pointer); /* returns the worker's error if NULL */
LLVMValueRef cg_type_pointer(Cg *cg, const Type *type);
void cg_keep(Cg *cg, LLVMValueRef function); /* though only an attribute mentions it */
LLVMValueRef cg_foreign(Cg *cg, const char *name, LLVMTypeRef type); /* a function from outside */

/* ---- cg_scalar.c: the operators of scalar.def
 * --------------------------------------------------------------------- */
Leaf cg_binary_op(Cg *cg, Op op, const Type *type, Leaf a, Leaf b, bool reassociate);
void cg_divisor_check(Cg *cg, Op op, const Type *type, Leaf divisor, const Node *node);
Leaf cg_compare_op(Cg *cg, Op op, const Type *type, Leaf a, Leaf b);
Leaf cg_unary_op(Cg *cg, Op op, const Type *type, Leaf a);
Leaf cg_cast_op(Cg *cg, const Type *from, Leaf a, const Type *to);
Leaf cg_identity(Cg *cg, Op op, const Type *type);
LLVMValueRef cg_hash(Cg *cg, const Type *type, const Leaf *leaves);     /* of keys made of scalars */
LLVMValueRef cg_key_word(Cg *cg, const Type *type, const Leaf *leaves); /* of a key that has a key_width */
LLVMValueRef cg_key_equal(Cg *cg, const Type *type, const Leaf *a, const Leaf *b); /* likewise */
bool key_is_flat(const Type *type);                                                /* made of scalars only */

/* ---- cg_foreign.c ---- */
Leaf *cg_foreign_call(Cg *cg, const Node *node);

/* ---- cg_sort.c ---- */
Leaf *cg_sort(Cg *cg, const Node *node);

/* ---- cg_prefetch.c: memory asked for ahead ---- */

enum { PREFETCH_TARGETS = 4, PREFETCH_LETS = 8, PREFETCH_BLOCK = 64 };
typedef struct PrefetchTarget {
    const Node *dict, *key; /* dict: or the dictmerger */
    const Node *lets[PREFETCH_LETS];
    int nlets; /* that the key may use */
} PrefetchTarget;
typedef struct Prefetch {
    PrefetchTarget target[PREFETCH_TARGETS];
    int count;
} Prefetch;
Prefetch cg_prefetch_plan(Cg *cg, const Node *lambda);
LLVMValueRef cg_prefetch_pays(Cg *cg, const Prefetch *plan); /* are all its tables large now */
void cg_prefetch_step(Cg *cg, const Prefetch *plan,
                      bool entries); /* for the iteration that is bound: slots, or entries */

/* ---- cg_loop.c: for and iterate, cg_builder.c: builders, cg_dict.c: dictionaries
 * ------------------------------------- */
Leaf *cg_for(Cg *cg, const Node *node);
Leaf *cg_iterate(Cg *cg, const Node *node);
void cg_poll(Cg *cg, const Node *node);
bool cg_allocates(const Node *node); /* may running it take memory of the region */
int64_t builder_state_size(const Type *builder);
/* How often one evaluation of node merges into that leaf of the builder that symbol names; most -1: not
 * bounded. */
typedef struct MergeBound {
    int least, most;
} MergeBound;
MergeBound cg_merge_bound(Cg *cg, const Node *node, const Symbol *builder, int leaf);
void cg_make_room(Cg *cg, const Type *appender, LLVMValueRef state, LLVMValueRef count, const Node *node);
/* Combines a value into the one in memory, field by field. */
void cg_combine_at(Cg *cg, const Type *type, Op op, LLVMValueRef pointer, const Leaf *value);
Leaf *cg_new_builder(Cg *cg, const Node *node);
Leaf *cg_merge(Cg *cg, const Node *node);
/* if(c, merge(b, e), b) without a branch, where b is an appender with room and e is cheap; else NULL. */
Leaf *cg_merge_if(Cg *cg, const Node *node);
Leaf *cg_result(Cg *cg, const Node *node);
void cg_dict_direct(Cg *cg, const Type *builder, LLVMValueRef state, LLVMValueRef count);
void cg_dict_merge(Cg *cg, const Type *builder, LLVMValueRef state, const Leaf *pair, const Node *node);
LLVMValueRef cg_dict_value(Cg *cg, const Type *dict, Leaf pointer,
                           const Leaf *key); /* pointer to it, or NULL */

#endif
