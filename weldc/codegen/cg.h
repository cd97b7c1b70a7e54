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

#include "../weldc.h"

#include <llvm-c/Analysis.h>
#include <llvm-c/Core.h>
#include <llvm-c/DebugInfo.h>
#include <llvm-c/TargetMachine.h>

#include <pthread.h>

enum { ROOMY = 16, MATH_KEPT = 96, PROVEN = 32, SCOPES = 8 };

/* A dictmerger of the loop whose merges are dealt out when it has many keys (cg_deal.c). */
typedef struct Dealt {
    LLVMValueRef state, drain, merges; /* merges: a slot that counts them */
    const Type *entry;                 /* {K, V, i64} */
    const Node *const *fixed; /* for each leaf of the value: the literal that it always is, or NULL */
    int64_t record;           /* bytes */
} Dealt;

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
    Dealt dealt[ROOMY];
    int ndealt;
    const struct Prefetch *ahead; /* what was asked for before the loop's iteration that is bound, or NULL */
    LLVMValueRef ahead_n;         /* its number in its block */
    const Node *proven[PROVEN];   /* whose index was checked before the loop (cg_proof.c) */
    int nproven;
    const struct Rows *rows;        /* that are relied on, or NULL */
    LLVMMetadataRef scopes[SCOPES]; /* alias scopes of what the loops around read through their iterators */
    int nscopes;
    LLVMValueRef scope; /* the list of these, or NULL: no builder writes there */
    bool whole;         /* slices that were proven to be whole need no bounds (cg_proof.c) */
    bool long_only;     /* loops in place have no form for few iterations: those went another way */
} Fn;

/* How lanes are moved to the front of a vector. */
typedef enum CompressKind {
    COMPRESS_NONE,
    COMPRESS_PERMUTE, /* AVX2: by a table of permutations */
    COMPRESS_WORDS,   /* AVX-512: lanes of 32 and 64 bits */
    COMPRESS_BYTES    /* AVX-512 with VBMI2: of 8 and 16 bits, too */
} CompressKind;

typedef struct Owned Owned;
typedef struct Passage Passage;
typedef struct Began Began;
enum { ROOTS = 64, KEPT_BUILDERS = 16 };

typedef struct Cg {
    Program *program;
    Error *error;
    LLVMContextRef context;
    LLVMModuleRef module;
    LLVMBuilderRef builder, allocas;
    LLVMTypeRef i1, i8, i16, i32, i64, f32, f64, ptr, none;
    Fn *fn;
    LLVMValueRef **values; /* the leaves of each symbol, by its id */
    int *stamps, stamp;    /* by symbol id: marks of cg_mark_bound */
    Merges merges;
    int loops;      /* so far: names of alias scopes */
    int math_calls; /* so far: of functions that have vector counterparts */
    int picks;      /* so far: lookups of elements of rows, without a check (cg_rows.c) */

    const Type **types; /* handed to runtime calls by number */
    int ntypes, types_capacity;
    Buf strings; /* the bytes of string constants, referred to by offset */
    LLVMValueRef type_table, string_base;
    LLVMValueRef kept[MATH_KEPT]; /* functions that only attributes mention */
    int nkept;
    bool iterates;  /* there is an iterate */
    bool neighbors; /* scalars that lie side by side in memory are loaded or stored one by one */
    const Type *kept_builders[KEPT_BUILDERS]; /* types of builders whose states may outlive their function */
    int nkept_builders;
    bool all_builders; /* those of all */
    bool wide;         /* AVX-512: ask for 512 bits, though the processor's own preference may be less */
    bool masks;        /* elements of all sizes are loaded and stored under a mask, as AVX-512 does */
    bool word_masks;   /* those of 4 or 8 bytes, as AVX2 does */
    bool fma;          /* AVX2 and FMA */
    bool present;      /* what is loaded now is there whatever conditions are (cg_unmask.c) */
    bool sleef;        /* SLEEF is made for the target; once `looked`, its functions can be called */
    bool looked;       /* for SLEEF, which no program without math functions opens */
    Passage *passages; /* by a fragment's number (cg_release.c) */
    int npassages;
    bool timed;           /* fragments tell when they have run */
    const Node *let;      /* whose value is being made */
    Began *began;         /* iterates that lets have as values (cg_renew.c) */
    const Node *listed;   /* a loop whose dictionary will be listed only, never searched; or NULL */
    const Node *finished; /* the loop whose result is being made, if its builder has no name */
    const Node *probed;   /* the same, if its dictionary will only be probed; or NULL */
    int *other_uses; /* by symbol id: uses other than those that only probe the dictionary of this name */
    CompressKind compress;
} Cg;

typedef LLVMValueRef Leaf;

/* ---- cg.c: expressions, one cg_<id> per row of ops.def --------------------------------------------------- */
Leaf *cg_expr(Cg *cg, const Node *node); /* the leaves of its value, in the arena */
Leaf cg_one(Cg *cg, const Node *node);   /* of a value that is one leaf */
void cg_slice_check(Cg *cg, const Node *slice, Leaf start, Leaf size,
                    Leaf length); /* that neither is negative */
void cg_bind(Cg *cg, const Symbol *symbol, Leaf *leaves);

/* ---- cg_function.c: the program, functions ------------------------------------------------------------- */
bool cg_program(Cg *cg);
typedef struct NameList {
    Symbol **symbol;
    int count;
} NameList;
int cg_mark_bound(Cg *cg, const Node *node);        /* stamps the names it binds; returns the new stamp */
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

/* ---- cg_type.c: leaves, memory, checks, calls ----------------------------------------------------------- */
bool type_is_flat(const Type *type); /* made of scalars only */
int leaf_types(Cg *cg, const Type *type, LLVMTypeRef *out);
/* The type of a struct's leaf; its offset is added to *offset, unless that is NULL. Vectors in it are two leaves. */
const Type *leaf_place(const Type *type, int leaf, int64_t *offset);
bool cg_is_constant(LLVMValueRef value, int64_t number);
Leaf *cg_leaves(Cg *cg, const Type *type);
Leaf *cg_load_new(Cg *cg, const Type *type, LLVMValueRef pointer); /* cg_load into fresh leaves */
LLVMTypeRef cg_scalar_type(Cg *cg, const Type *type);
void cg_load(Cg *cg, const Type *type, LLVMValueRef pointer, LLVMValueRef scope, Leaf *out);
/* Of what a builder holds: no loop around walks it. */
void cg_load_merged(Cg *cg, const Type *type, LLVMValueRef pointer, Leaf *out);
void cg_store(Cg *cg, const Type *type, const Leaf *leaves, LLVMValueRef pointer, LLVMValueRef noalias);
Leaf cg_load_packed(Cg *cg, const Type *type, LLVMValueRef pointer); /* a scalar, not aligned */
void cg_store_packed(Cg *cg, const Type *type, Leaf leaf, LLVMValueRef pointer, LLVMValueRef noalias);
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
/* The same of an assertion with a message and MOST_ASSERTED numbers for it. */
void cg_check_told(Cg *cg, LLVMValueRef ok, const Node *node, LLVMValueRef text, LLVMValueRef *numbers);
void cg_likely(Cg *cg, LLVMValueRef branch, bool first);
void cg_unpredictable(Cg *cg, LLVMValueRef select); /* no branch shall be made of it (LLVM 17 and later) */
typedef enum RtCall {
#define RTCALL(id, result, arguments, doc) RT_##id,
#include "../rtcalls.def"
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
Leaf cg_identity(Cg *cg, Op op, const Type *type); /* what a builder starts with */
Leaf cg_neutral(Cg *cg, Op op, const Type *type);  /* leaves every value as it is, -0.0 too */
/* Operands of the operators above may also be vectors of the type's scalar, at most MOST_LANES long. */
LLVMTypeRef cg_shaped(LLVMTypeRef scalar, Leaf like); /* as many of a scalar as `like` has lanes */
bool cg_math_has_lanes(Cg *cg, Op op, const Type *type, unsigned lanes); /* a math function, on so many */
LLVMValueRef cg_hash(Cg *cg, const Type *type, const Leaf *leaves);      /* of keys made of scalars */
/* Of a key that has a key_width; all leaves may have lanes. */
LLVMValueRef cg_key_word(Cg *cg, const Type *type, const Leaf *leaves);
LLVMValueRef cg_key_equal(Cg *cg, const Type *type, const Leaf *a, const Leaf *b); /* likewise */

/* ---- cg_release.c: memory that is given back ---- */
bool cg_release_open(Cg *cg); /* plans the program; false: the error is set */
/* For each leaf of a loop's builders: does it write where an iterator reads (reuse.c): that one's number and 1, or 0.
 * NULL: none does. */
const int *cg_places(Cg *cg, const Node *loop);
/* The code of a fragment's node ends here: tells so, if times are wanted, and releases what nobody needs from now on. leaves: of its value, or NULL, then
 * what it made is kept. */
void cg_fragment_end(Cg *cg, const Node *node, const Leaf *leaves);
/* Blocks that will be released behind the node's fragment, or fragments behind it in the plan. */
void cg_each_owned(Cg *cg, const Node *node, void (*visit)(void *data, const Type *type, const Leaf *place),
                   void *data);

/* ---- cg_renew.c: iterates that take over the memory of others ---- */
void cg_renew_note(Cg *cg, const Node *iterate); /* before it begins */
/* Sets mark, if there is something to take over; state: the first. */
bool cg_renew(Cg *cg, const Node *iterate, LLVMValueRef mark, LLVMValueRef state);

/* ---- cg_foreign.c ---- */
Leaf *cg_foreign_call(Cg *cg, const Node *node);

/* ---- cg_sort.c ---- */
Leaf *cg_sort(Cg *cg, const Node *node);
Leaf *cg_sort_slice(Cg *cg, const Node *slice); /* of a sort */

/* ---- cg_proof.c: checks that a loop proves ---- */

/* An i64 of a loop: base + step * number of the iteration, wrapping. */
typedef struct Steps {
    LLVMValueRef base, step;
} Steps;
typedef struct Loop Loop;
/* Checks indices of the body once for iterations [begin, end), of which there is at least one; these nodes are then
 * proven. walks: also those that are elements of what the loop walks, for which it walks them ahead. The caller sets
 * nproven back behind the loop. */
void cg_prove(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end, bool walks);
bool cg_is_proven(const Cg *cg, const Node *node);
/* Cheap, and of names from outside only; inside: the stamp of names that a loop binds. */
bool cg_is_invariant(const Cg *cg, int inside, const Node *node);
typedef struct Cursor Cursor;
/* The greatest of a cursor's integers begin .. end - 1, at least one, compared without sign, as an index. */
LLVMValueRef cg_greatest(Cg *cg, const Cursor *cursor, LLVMValueRef begin, LLVMValueRef end);
/* A slice whose start is steps of its vector's elements, `size` long if that is whole. */
typedef struct Moving {
    const Type *element;
    LLVMValueRef data;
    Steps start;
    LLVMValueRef size;
} Moving;
enum { MOVING = 4 };
typedef struct Slices {
    LLVMValueRef whole; /* are all of them, in the iterations that were asked for; NULL: there are none */
    Moving moving[MOVING];
    int count;
} Slices;
/* The slices of what the loop does not change that move with the iteration, in iterations [begin, end). Where fn->whole is
 * set, they rely on being whole. */
void cg_prove_slices(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end, Slices *out);

/* ---- cg_rows.c: indices in rows, checked for many of these at once ---- */

enum { ROW_SLICES = 2, ROW_LOOKUPS = 8, ROW_LETS = 16 };
typedef struct Rows {
    const Node *iter[ROW_SLICES], *slice[ROW_SLICES]; /* an iterator over a slice, the iteration's row */
    struct {
        const Node *node;
        int slice;
    } lookup[ROW_LOOKUPS];      /* whose index is an element of such a row */
    const Node *lets[ROW_LETS]; /* of the body: what slices use, among others */
    bool known[ROW_LETS];       /* is a scalar that costs little and cannot fail but for lookups */
    int nslices, nlookups, nlets;
} Rows;
/* The loop's builders are bound. False: it has none. */
bool cg_rows_find(Cg *cg, const Loop *loop, Rows *rows);
/* Are all these slices whole and indices right in iterations [from, to)? Also false where looking does not pay. NULL:
 * that cannot be known before. Asked behind cg_prove. */
LLVMValueRef cg_rows_check(Cg *cg, const Loop *loop, const Rows *rows, LLVMValueRef from, LLVMValueRef to);
/* From now on these nodes are proven, until the caller sets nproven, rows and whole of the function back. */
void cg_rows_rely(Cg *cg, const Rows *rows);
void cg_rows_note(Cg *cg, const Node *lookup); /* counts it in picks, if it is relied on */

/* ---- cg_prefetch.c: memory asked for ahead ---- */

enum { PREFETCH_TARGETS = 4, PREFETCH_LETS = 8, PREFETCH_BLOCK = 64 };
typedef struct PrefetchTarget {
    const Node *dict, *key;
    const Node *lets[PREFETCH_LETS];
    int nlets;          /* that the key may use */
    LLVMValueRef slots; /* where the probes of a block's iterations end, or stop at an equal tag */
    LLVMValueRef none;  /* an entry for those that end at an empty slot */
    LLVMValueRef pays;  /* is its table large */
} PrefetchTarget;
typedef struct Prefetch {
    PrefetchTarget target[PREFETCH_TARGETS];
    int count;
    LLVMValueRef pays; /* is a table large */
    LLVMValueRef end;  /* of the loop's iterations */
} Prefetch;
Prefetch cg_prefetch_plan(Cg *cg, const Node *lambda);
void cg_prefetch_open(Cg *cg, Prefetch *plan);              /* sets pays */
void cg_prefetch(Cg *cg, LLVMValueRef address, bool write); /* any address */
/* Asks for the next `eighths` / 8 rows of each slice that is a short one, after `asked` / 8 rows: counted from the row of
 * iteration from + lag on, or from some kilobytes behind that of `from`, whatever is more. */
void cg_prefetch_rows(Cg *cg, const Slices *slices, LLVMValueRef from, LLVMValueRef lag, LLVMValueRef asked,
                      LLVMValueRef eighths);
/* For the iteration that is bound, the n-th of its block: slots, or entries. */
void cg_prefetch_step(Cg *cg, const Prefetch *plan, bool entries, LLVMValueRef n);
/* Where the probe for that key node may start: known from the block's prefetches, or the hash's own slot. */
LLVMValueRef cg_prefetched_slot(Cg *cg, const Node *key, LLVMValueRef dict, LLVMValueRef hash);
/* Whether the key of that node is there, and its value or anything, without a branch; goes to `probing` where that
 * is not known from the block's prefetches. False: they never know, and there is no code. */
bool cg_prefetched_value(Cg *cg, const Node *node, LLVMValueRef dict, const Type *entry, const Leaf *key,
                         LLVMBasicBlockRef probing, LLVMValueRef *found, Leaf *value);

/* ---- cg_wide.c: values of several iterations at once ---- */

enum { MOST_LANES = 64 };
/* How expressions are evaluated for a group of iterations, each a lane. */
typedef struct Wide Wide;
struct Wide {
    Cg *cg;
    unsigned width; /* lanes */
    /* `count` leaves of a name, from leaf `at` on. */
    Leaf *(*name)(Wide *wide, const Node *ident, int at, int count);
    Leaf *(*other)(Wide *wide, const Node *node); /* of a kind that cg_wide_expr does not know */
};
/* A value's leaves, wide or uniform: scalars, fields, structs, selections and operators are known. */
Leaf *cg_wide_expr(Wide *wide, const Node *node);
Leaf cg_wide_one(Wide *wide, const Node *node); /* of a value that is one leaf */
bool cg_is_wide(Leaf leaf);
Leaf cg_wide_spread(const Wide *wide, Leaf leaf);       /* the same in all lanes, if it is uniform */
void cg_wide_level(const Wide *wide, Leaf *a, Leaf *b); /* either both are wide or none */
Leaf cg_every_lane(Leaf constant, unsigned count);
Leaf cg_wide_part(Cg *cg, Leaf vector, unsigned from, unsigned count);
Leaf cg_wide_join(Cg *cg, Leaf *parts, unsigned count); /* side by side; count: a power of 2 */
/* As many of a scalar as there are lanes, side by side in memory. Bools are bytes there. */
Leaf cg_wide_load(const Wide *wide, const Type *type, LLVMValueRef at);
/* Element `index` of each lane's vector; data or index may be uniform. */
Leaf cg_wide_gather(const Wide *wide, const Type *type, LLVMValueRef data, LLVMValueRef index);
const Type *cg_wide_type(const Wide *wide, const Type *scalar); /* simd, of WELD_LANES lanes */

/* ---- cg_lanes.c: loops inside that run alike in several iterations ---- */

enum { LANE_ROWS = 8 };
typedef struct Lanes {
    Wide wide;     /* first: what cg_wide_expr hands back is a Lanes */
    bool **varies; /* by symbol id: for each leaf, is it another in each lane; NULL: a name from outside */
    int budget;
    LLVMBasicBlockRef give_up; /* where the iterations are done one by one */
    struct {
        LLVMValueRef data, buffer;
    } rows[LANE_ROWS]; /* vectors that were copied */
    int nrows;
} Lanes;
bool cg_lanes_pay(const Node *let); /* has it a loop in a loop */
bool cg_lanes_open(Cg *cg, const Node *lambda, Lanes *lanes);
bool cg_lanes_can(Lanes *lanes, const Node *let); /* asked of all lets in order, before any is evaluated */
void cg_lanes_let(Lanes *lanes, const Node *let); /* evaluates and binds it */
void cg_lanes_store(Lanes *lanes, const Type *type, LLVMValueRef leaf, LLVMValueRef at);

/* ---- cg_lanes_judge.c: which leaves vary ---- */

bool cg_lanes_judge_open(Lanes *lanes, const Node *lambda);
bool *cg_lanes_judge(Lanes *lanes, const Node *node); /* a flag for each leaf; NULL: it cannot be computed */

/* ---- cg_stages.c: loops that run in stages ---- */

/* The rows of two blocks, of the one that runs and the one that is asked for ahead, share the smallest of caches: 128 bytes each
 * fill a quarter of 32 KiB. */
enum { STAGE_LETS = 48, STAGE_LEAVES = 16, STAGE_BLOCK = 32 };
typedef struct StageLet {
    const Node *node;
    int stage;           /* that computes it first */
    bool kept;           /* for the later stages, in the buffer */
    LLVMValueRef buffer; /* of STAGE_BLOCK values */
} StageLet;
typedef struct Stages {
    StageLet let[STAGE_LETS]; /* all lets of the body, in order; none: the loop has no stages */
    int count;
    Lanes lanes;     /* of stage 1, if `wide` */
    bool wide, dots; /* dots: stage 1 sums up short vectors (cg_dots.c) */
} Stages;
void cg_stage_run_wide(Cg *cg, Stages *stages, LLVMValueRef number); /* stage 1 for WELD_LANES iterations */
Stages cg_stages(Cg *cg, const Node *lambda);
bool cg_stage_is_empty(const Stages *stages, int stage);
/* Evaluates the lets of a stage for the iteration that is bound, the number-th of its block, with those of
 * earlier stages bound; stage 3 is all that is left before the body's last expression. */
void cg_stage_run(Cg *cg, const Stages *stages, int stage, LLVMValueRef number);
/* Stores a let's value for the later stages. */
void cg_stage_keep(Cg *cg, const StageLet *let, const Leaf *leaves, LLVMValueRef number);

/* ---- cg_cursor.c: iterators ---- */

/* An iterator that was checked. */
struct Cursor {
    const Node *iter;
    const Type *element;
    LLVMValueRef data, start, stride, bounds; /* bounds: of an nditer, a NdBounds in memory */
    LLVMValueRef scope;                       /* alias scope of its loads, or NULL */
    bool in_segment;                          /* of an nditer: start and stride hold, see loop_segments */
    LLVMValueRef
        bytes; /* from data to the element of the iteration that is bound next, where known; or NULL */
};
/* Evaluates an iterator and checks it. Returns how many elements it gives. */
LLVMValueRef cg_cursor_open(Cg *cg, const Node *iter, Cursor *cursor);
LLVMValueRef cg_cursor_whole(Cg *cg, const Node *iter, Cursor *cursor); /* of a vector; returns its length */
int cg_cursor_element(Cg *cg, const Cursor *cursor, LLVMValueRef index, Leaf *out); /* how many leaves */
/* Of iteration `index` in the cursor's vector. */
LLVMValueRef cg_position(Cg *cg, LLVMValueRef index, LLVMValueRef start, LLVMValueRef stride);

/* ---- cg_loop.c: the pieces that loops are made of ---- */

struct Loop {
    const Node *node, *lambda;
    const Type *builder;
    Cursor *cursors;
    int ncursors;
    LLVMValueRef count;
    Leaf *builders;       /* pointers to the states that the body merges into */
    LLVMValueRef mark;    /* of the region, where each iteration frees what it made; or NULL */
    const Prefetch *plan; /* what is asked for ahead of a block of iterations, or NULL */
    const int *places;    /* as of cg_places */
    bool outlined;        /* a function of its own */
};
/* for (index = begin; index < end; index += 1), at least once. */
typedef struct Counter {
    LLVMValueRef index, begin, end, phi;
    LLVMBasicBlockRef before, body, after;
} Counter;
/* Gives the names of the loop's function their values in an iteration. */
void cg_bind_iteration(Cg *cg, const Loop *loop, LLVMValueRef index);
/* Asks for what an iteration will look at first, a block after this one (cg_prefetch.c). */
void cg_prefetch_ahead(Cg *cg, const Loop *loop, LLVMValueRef index);
Counter cg_counter_open(Cg *cg, LLVMValueRef begin, LLVMValueRef end);
LLVMValueRef cg_counter_close(Cg *cg, Counter *counter); /* the branch back */
/* Asks LLVM neither to unroll nor to vectorize the loop of that branch back: that would not pay for its code. */
void cg_loop_as_is(Cg *cg, LLVMValueRef back);
void cg_mark_calls(Cg *cg, LLVMValueRef back); /* of a loop that calls functions of mathematics */
LLVMValueRef cg_loop_range(Cg *cg, Loop *loop, LLVMValueRef begin, LLVMValueRef end, bool few);
/* The same, several at once as far as that goes. */
void cg_loop_by_lanes(Cg *cg, Loop *loop, LLVMValueRef begin, LLVMValueRef end);
LLVMValueRef cg_least(Cg *cg, LLVMValueRef a, LLVMValueRef b); /* without sign */
/* Room for what so many iterations append; exactly: only where it is known how much that is. */
void cg_loop_room(Cg *cg, Loop *loop, const Type *builder, int leaf, LLVMValueRef iterations, bool exactly);
void cg_loop_private(Cg *cg, Loop *loop); /* each iteration frees what it made, where nothing else sees it */
bool cg_is_innermost(Cg *cg, const Loop *loop);
void cg_loop_scope(Cg *cg, Loop *loop); /* until the caller sets fn->nscopes and fn->scope back */
typedef void ShortBody(Cg *cg, LLVMValueRef index, void *user);
int cg_word_size(const Loop *loop, const Type *type);
void cg_count_short(Cg *cg, LLVMValueRef count, int size, ShortBody *body, void *user);

/* ---- cg_offsets.c: offsets that loops count ---- */

enum { OFFSETS = 4 };
typedef struct Offsets {
    struct {
        LLVMValueRef phi, first, step; /* in bytes */
        const Cursor *of;              /* the first that walks like this */
    } each[OFFSETS];
    int count;
    LLVMBasicBlockRef before;
} Offsets;
Offsets cg_offsets_plan(Cg *cg, const Loop *loop, LLVMValueRef begin);  /* before the counter is opened */
void cg_offsets_open(Cg *cg, Offsets *offsets, const Counter *counter); /* just after it was */
void cg_offsets_use(Loop *loop,
                    const Offsets *offsets); /* for elements that are bound from now on; NULL: no longer */
void cg_offsets_close(Cg *cg, Offsets *offsets); /* just before it is closed */

/* ---- cg_select.c: choices between two floats ---- */

void cg_select_words(Cg *cg); /* of the whole module, when LLVM's passes are through */

/* ---- cg_unmask.c: elements read under a condition ---- */

void cg_mark_present(Cg *cg, LLVMValueRef load); /* every iteration of the loop may do it */
void cg_unmask_loads(Cg *cg);                    /* of the whole module, when LLVM's passes are through */

/* ---- cg_chunks.c: a few elements of several vectors, a register at a time ---- */

typedef struct Chunks {
    Wide wide;         /* first: what cg_wide_expr hands back is a Chunks; its width: of a register */
    LLVMValueRef full; /* the elements before the last register */
    LLVMValueRef mask; /* of the last register, which holds at least one */
} Chunks;
/* For vectors of `count` elements, at least 1, that are whole, and values of that type. False: not with this type, or on this
 * processor. */
bool cg_chunks_open(Cg *cg, const Loop *rows, const Type *type, LLVMValueRef count, Chunks *out);
/* The same with so many lanes, for elements of `size` bytes. */
bool cg_chunks_of(Cg *cg, unsigned lanes, int64_t size, LLVMValueRef count, Chunks *out);
/* index: of a register's first element; last: it is under the mask. */
typedef void ChunkBody(Chunks *chunks, LLVMValueRef index, bool last, void *user);
void cg_chunks_each(Chunks *chunks, ChunkBody *body, void *user); /* the last one first */
Leaf cg_chunk_load(const Chunks *chunks, const Type *type, LLVMValueRef data, LLVMValueRef index, bool last);
void cg_chunk_store(const Chunks *chunks, const Type *type, Leaf leaf, LLVMValueRef data, LLVMValueRef index,
                    bool last);
/* The leaves of an element, one of each cursor, and of its number. */
Leaf *cg_chunk_elements(const Chunks *chunks, const Cursor *cursors, int count, LLVMValueRef index,
                        bool last);
Leaf *cg_chunk_numbers(const Chunks *chunks, LLVMValueRef index);
/* One register of `count` lanes, the k-th of all lanes of the k-th part; count: a power of 2. Overwrites parts. */
Leaf cg_lane_sums(Cg *cg, const Type *type, Op op, Leaf *parts, unsigned count);
/* As many rows as they have lanes: the k-th becomes the k-th lanes of all. */
void cg_transpose(Cg *cg, Leaf *rows, unsigned count);

/* ---- cg_blocks.c: loops that run block by block ---- */
void cg_loop_in_blocks(Cg *cg, Loop *loop, LLVMValueRef begin, LLVMValueRef end);

/* ---- cg_dots.c: sums over short vectors, of several iterations together ---- */

enum { DOT_ROWS = 8 };
bool cg_dots_pay(const Stages *stages);
bool cg_is_little(const Node *node, int *budget); /* worth writing down once for each iteration of a group */
/* Stage 1 for iterations from + number .. from + number + DOT_ROWS - 1, or a branch to narrow. */
void cg_dots_run(Cg *cg, const Loop *loop, const Stages *stages, LLVMValueRef from, LLVMValueRef number,
                 LLVMBasicBlockRef narrow);

/* ---- cg_filter.c: loops that filter, several iterations at once ---- */

/* Iterations begin, begin + 1, ... of a loop that filters, as far as groups of lanes reach; returns the first
 * one left, which is `begin` itself where the loop is not one for lanes. */
LLVMValueRef cg_filter_loop(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end);

/* ---- cg_outline.c: loops that are functions of their own ---- */

void cg_loop_outlined(Cg *cg, Loop *loop);

/* ---- cg_sieve.c: loops that do costly mathematics under a condition ---- */

bool cg_sieve_pays(Cg *cg, const Loop *loop); /* is it one; its builders and cursors are known */
/* As cg_filter_loop. */
LLVMValueRef cg_sieve_loop(Cg *cg, const Loop *loop, LLVMValueRef begin, LLVMValueRef end);

/* ---- cg_loop.c: for, cg_iterate.c: iterate, cg_builder.c: builders, cg_dict.c: dictionaries
 * ------------------------------------- */
Leaf *cg_for(Cg *cg, const Node *node);
Leaf *cg_iterate(Cg *cg, const Node *node);
void cg_poll(Cg *cg, const Node *node);
bool cg_allocates(const Node *node); /* may running it take memory of the region */
bool cg_keeps_builder(const Cg *cg, const Type *type);
int64_t builder_state_size(const Type *builder);
bool cg_has_room(const Cg *cg, LLVMValueRef state); /* made before the loop, for all its merges */
void cg_make_room(Cg *cg, const Type *appender, LLVMValueRef state, LLVMValueRef count, const Node *node);
void cg_combine_leaves(Cg *cg, const Type *type, Op op, Leaf *into, const Leaf *value);
void cg_identity_leaves(Cg *cg, const Type *type, Op op, Leaf *out);
/* Combines a value into the one in memory, field by field. */
void cg_combine_at(Cg *cg, const Type *type, Op op, LLVMValueRef pointer, const Leaf *value);
void cg_combine_entry(Cg *cg, const Type *type, Op op, LLVMValueRef pointer, const Leaf *value);
Leaf *cg_new_builder(Cg *cg, const Node *node);
Leaf *cg_merge(Cg *cg, const Node *node);
/* if(c, merge(b, e), b) without a branch, where b is an appender with room and e is cheap; else NULL. */
Leaf *cg_merge_if(Cg *cg, const Node *node);
Leaf *cg_result(Cg *cg, const Node *node);
void cg_dict_direct(Cg *cg, const Type *builder, LLVMValueRef state, LLVMValueRef count);
LLVMValueRef cg_direct_table(const Cg *cg, LLVMValueRef state); /* null at run time: none; NULL: none ever */
void cg_dict_merge(Cg *cg, const Type *builder, LLVMValueRef state, const Leaf *pair, const Node *node);
void cg_dict_gather(Cg *cg, const Node *loop, const Type *builder, const Leaf *states);
typedef struct Probe {
    LLVMValueRef hash, value;         /* where found: pointer to the key's value */
    LLVMValueRef slot;                /* where missing: an empty one */
    LLVMBasicBlockRef found, missing; /* missing has no code yet; the builder stands in found */
} Probe;
/* A dictionary that is not NULL. node: the key's, or NULL. */
Probe cg_dict_probe(Cg *cg, const Type *entry, LLVMValueRef dict, const Leaf *key, const Node *node);
LLVMValueRef cg_slot_of(Cg *cg, LLVMValueRef dict, LLVMValueRef hash); /* where a probe begins */
bool cg_probes_open(Cg *cg);                                           /* counts how dictionaries are used */
bool cg_is_probed(const Cg *cg, const Node *result); /* is it only looked up, or asked for its length? */
LLVMValueRef cg_dict_value(Cg *cg, const Type *dict, Leaf pointer, const Leaf *key,
                           const Node *node); /* pointer to it, or NULL; node: the key's */

/* ---- cg_table.c: probing tables ---- */

/* The place of the key's value, or of zeros where it is not *found; goes to `indexed` where the dictionary is NULL or
 * has no table. entry: one that table_fits. */
LLVMValueRef cg_table_probe(Cg *cg, const Type *entry, LLVMValueRef dict, const Leaf *key,
                            LLVMBasicBlockRef indexed, LLVMValueRef *found);
/* Where a probe begins, in the table or the index of a dictionary that is not NULL. */
LLVMValueRef cg_table_first(Cg *cg, const Type *entry, LLVMValueRef dict, LLVMValueRef hash);

/* ---- cg_deal.c: merges dealt out by hash ---- */

/* At the begin and the end of a range of the loop's iterations. */
void cg_deal_open(Cg *cg, const Node *lambda, const Type *builder, const Leaf *states);
void cg_deal_close(Cg *cg);
const Dealt *cg_dealt(Cg *cg, LLVMValueRef state); /* or NULL */
/* Where merges to dict are dealt out, writes the record and goes on to after; else goes on here. */
void cg_deal(Cg *cg, const Dealt *dealt, LLVMValueRef dict, const Leaf *pair, const Node *node,
             LLVMBasicBlockRef after);
bool cg_deals(const Type *builder); /* are its merges dealt out, if the loop is not inside another one */

/* ---- jit_halves.c: a module's functions as two halves ----------------------------------------------------- */
/* Instructions of a function times ten; of one that is to stay as it is (cg_function.c), times left_tenths. */
int64_t jit_work(LLVMValueRef function, int left_tenths);
bool jit_pays_to_halve(LLVMModuleRef module);
void jit_keep_half(LLVMModuleRef module,
                   int half);            /* 0 or 1: what is the other's goes with "elim-avail-extern" */
void jit_keep_all(LLVMModuleRef module); /* nobody else sees its functions, weld_run apart */
bool jit_thread(pthread_t *thread, void *(*run)(void *data), void *data); /* false: there is none */

#endif
