/* weldc.h: from a typed program to machine code. The one header of weldc/, but for cg.h, which alone sees
 * LLVM.
 *
 * passes rewrite the program (pipeline.c runs them); code generation turns it into a module of machine code.
 * Everything that includes llvm-c is linked into a library of its own, libweldjit, which jit.c's caller loads
 * when the first program is compiled: a process that only interprets, or whose code comes from the cache,
 * never pays for LLVM.
 */
#ifndef WELDC_H
#define WELDC_H

#include "../lang/lang.h"

/* ---- pipeline.c: the passes ------------------------------------------------------------------------- */

typedef enum PassId {
    PASS_None,
#define PASS(id, spelling, needs, breaks, level, doc) PASS_##id,
#include "passes.def"
    PASS_COUNT
} PassId;

enum Facts { USES = 1 };

typedef struct PassClass {
    const char *spelling, *doc;
    unsigned needs, breaks;
    int level;
    bool (*run)(Program *program); /* false: the program's error is set */
} PassClass;
extern const PassClass pass_classes[PASS_COUNT];

typedef struct PassOptions {
    int level;          /* 0: only what code generation needs; 2: the default */
    const char *passes; /* comma-separated names instead of those of the level, or NULL */
    bool verify;        /* run the verifier after every pass */
    Distribution distribution;
    void (*after)(void *data, const PassClass *pass, const Program *program, double ms); /* or NULL */
    void *data;
} PassOptions;

/* Rewrites a typed program in place. False: error set (Setting for an unknown pass name). */
bool program_optimize(Program *program, const PassOptions *options);
/* Fuses the loops of a function within a program; its parameters and what it uses from outside stay. False: error set. */
bool function_fuse(Program *program, Node **function);
bool passes_check(const char *passes, Error *error); /* are these names of passes */

/* ---- merges.c: how often an iteration merges ---------------------------------------------------------- */

/* A value is a list of leaves: a vector is two (data, length), a struct those of its fields in a row, anything
 * else one. */
int leaf_count(const Type *type);
int leaf_at(const Type *type, int field); /* a struct's first leaf of a field */
bool builder_is_new(const Node *builder); /* is it a fresh one, or a struct of fresh ones, as written */
typedef struct MergeBound {
    int least, most; /* most -1: not bounded */
} MergeBound;
typedef struct Merges {
    int *roots; /* by symbol id, zeroed: room for as many as the program has */
    int questions;
} Merges;
/* How often one evaluation of node merges into that leaf of the builder that symbol names. */
MergeBound merge_bound(Merges *merges, const Node *node, const Symbol *builder, int leaf);

/* ---- bucket.c ---------------------------------------------------------------------------------------- */

int certain_kids(const Node *node); /* how many are evaluated whenever the node is, from the first on */

/* ---- distribute_ends.c: what programs for ranks take ---- */

/* Of a program that was optimized for ranks which have their blocks of a parameter: does it take no more? Then they need not
 * have it whole. Of a struct's vectors some may be gathered, if others are not. */
bool distribution_cuts(Program *optimized, int parameter);

/* ---- plan.c, plan_print.c, plan_draw.c: the graph of fragments -------------------------------------------------------- */

size_t program_line(const Program *program, Span span); /* of its source, from 1 on */

typedef enum FragmentKind {
#define FRAGMENT(id, spelling, counts, doc) FRAGMENT_##id,
#include "fragments.def"
    FRAGMENT_COUNT
} FragmentKind;

typedef struct FragmentClass {
    const char *spelling, *doc;
    bool counts;
} FragmentClass;
extern const FragmentClass fragment_classes[FRAGMENT_COUNT];

typedef struct Buffer Buffer;
typedef struct Fragment Fragment;
typedef struct Plan Plan;

/* A number of elements: constant + factor * (the length of `length`, or the iterations of `trips`). */
typedef struct Size {
    enum { SIZE_UNKNOWN, SIZE_AT_MOST, SIZE_EXACT } known;
    int64_t constant, factor;
    const Buffer *length;  /* or NULL */
    const Fragment *trips; /* or NULL: of a loop that walks no vector as a whole */
} Size;

/* A value that a fragment makes, or that is there from the start: an argument, an iterate's state. */
struct Buffer {
    const char *name; /* in the program, made unique, and x.$0 for a part of it; or NULL */
    Type *type;       /* of what is built, or of the builder if nothing takes its result */
    Size size;        /* of a vector, dictionary or what builds them; else exactly 1 */
    const Plan *plan; /* that it belongs to */
    Fragment *maker;  /* NULL: it is there when the plan starts */
    /* Whose the memory is: a new builder's that the maker was given, or a vector that the maker made; that is then leaf
     * number `leaf` of the maker's value. Of others it may be part of another's. */
    enum { OWNS_NOTHING, OWNS_BUILDER, OWNS_VECTOR } owns;
    int leaf;
    bool shared;   /* something may point into it */
    bool one_each; /* a new appender into which every iteration merges once */
    int place; /* it takes the place of what iterator place - 1 of its loop walks; 0: it has memory of its own */
    Buffer *start; /* of a new vecmerger: the vector that it begins with; or NULL */
    bool begins;   /* it takes the place of that, and its node's bits are BUILDER_IN_PLACE */
    Buffer *heir;  /* that takes its place, or NULL */
    int last;      /* number of the last fragment of its plan that needs it or what may point into it, or
                         LIVES_ON; none: its maker if it owns memory, else -1 */
    int64_t bytes; /* while the plan is priced; most: of it at most, behind that */
    int64_t most;
    int stamp;
};
enum { LIVES_ON = INT32_MAX };         /* in the plan's result */
enum { APPENDER_MOST_HINT = 1 << 24 }; /* elements that a new appender gets room for, if it is told so */
enum { BUILDER_IN_PLACE = 1 };         /* the bits of the new vecmerger's node */

struct Fragment {
    FragmentKind kind;
    int number; /* in the order of the program, inner plans' fragments after the one that holds them */
    Node *node;
    Buffer **inputs, **outputs; /* each once; inputs: those that fragments of inner plans read, too */
    Buffer **
        walks; /* of a loop, for each iterator: what it walks as a whole and nothing else in the loop reads; or NULL */
    bool *held; /* for each input: may the outputs point into it */
    int ninputs, noutputs;
    Size trips;  /* of a loop: iterations; else exactly 1 */
    double cost; /* operations of one iteration, roughly; a loop inside is taken to run 16 times */
    double
        times; /* iterations, as the plan was priced; of a native call the elements that it reads and makes */
    bool parallel;   /* may several threads run it */
    const char *why; /* it is not parallel; or NULL */
    Plan *inner[2];  /* of an iterate, a choice; or NULL */
    int ninner;
};

/* What is to be run, in program order; the graph's edges lead from a fragment's inputs to their makers. Lies
 * in the program's arena, and refers to its nodes. */
struct Plan {
    Fragment *holder; /* whose inner plan it is, or NULL */
    Fragment **fragments;
    Buffer **arguments, **results;
    int nfragments, narguments, nresults;
};

/* The plan of a typed program, optimized or not. Afterwards the index of a fragment's node is the fragment's number and 1,
 * that of any other node but a field 0. Linear. NULL: the program's error is set. */
Plan *plan_make(Program *program);
int plan_at(const Plan *plan,
            int number); /* the place in it of the last fragment whose number is at most that */
double plan_node_cost(const Node *node); /* operations, as Fragment.cost */
int plan_count(const Plan *plan);        /* of fragments whose row counts, inner plans' included */
void plan_print(Buf *out, Program *program, const Plan *plan); /* and its plan_memory */
void plan_print_name(Buf *out, const Buffer *buffer);
void plan_print_size(Buf *out, Size size);
/* The functions of libraries that were fused into it, if there are several. */
void plan_print_origins(Buf *out, Program *program, const Fragment *fragment);
/* plan_draw.c: the plan as a picture, an SVG file's text. False: no memory, and the program's error is set. */
bool plan_draw(Buf *out, Program *program, const Plan *plan);

/* ---- reuse.c: loops that write where they read ---- */
bool node_makes(const Node *node);             /* does it take memory of the run, by itself */
void plan_reuse(Program *program, Plan *plan); /* sets place and heir */

/* ---- plan_memory.c: bytes that live at once ---- */

enum { PLAN_TERMS = 16 };
/* constant + for each term factor * (the length of `length`, or the iterations of `trips`). */
typedef struct PlanBytes {
    int64_t constant, others; /* others: factors of lengths for which there was no term */
    int count;
    struct {
        int64_t factor;
        const Buffer *length;
        const Fragment *trips;
    } term[PLAN_TERMS];
} PlanBytes;
typedef struct PlanMemory {
    PlanBytes most, unshared; /* the most at once; if nothing were released or written in place */
    int fragment;             /* where it is the most; -1: nothing is made */
} PlanMemory;
PlanMemory plan_memory(Program *program, const Plan *plan);
void plan_print_memory(Buf *out, const PlanMemory *memory); /* a line; nothing if nothing is made */

/* ---- how runtime/parallel.c cuts loops, which plan_team.c prices ---- */

enum {
    LOOP_STRIP = 1 << 16,        /* iterations between looks at the cancel flag; a unit has no more */
    LOOP_LEAST = 4096,           /* iterations without loops that are worth handing to another thread */
    LOOP_UNITS = 256,            /* of a loop, */
    LOOP_MOST_UNITS = 1 << 16,   /* with weld.grain at most */
    LOOP_TABLE_UNITS = 64,       /* of one whose units have dictionaries or vectors, */
    LOOP_MOST_TABLE_UNITS = 128, /* likewise */
    LOOP_ELEMENT_COST = 16,      /* iterations that pay well for merging an element of a vector */
    LOOP_AHEAD = 2               /* units, for each thread, that may have begun before one has a place */
};
bool loop_is_innermost(Program *program, const Node *loop); /* it has no loops inside */

/* ---- plan_price.c: bytes for given arguments ---- */

typedef struct PlanPrice {
    int64_t planned, live,
        unshared; /* bytes: a run takes at most; the most that the plan's vectors have at once; all of them */
    const char *why; /* there is no promise, or NULL; where: */
    Span span;
    int rooms; /* how often memory_room() is asked for */
    int peak;  /* the number of the last fragment where most is there; -1: none */
    int peaks; /* how many there are */
    int again; /* vectors that are computed again (promise.c) */
} PlanPrice;
typedef struct PlanTeam {
    int threads;
    int64_t grain; /* the setting weld.grain */
} PlanTeam;
typedef struct PlanAsk {
    const void *args; /* the struct of arguments */
    int64_t room;     /* what memory_room() gives */
    PlanTeam team;    /* who runs it */
    /* Of a program for a cluster, of which the price is that of the rank that takes most: how many ranks there are, and the greatest
     * length that a rank passes of each vector (plan_lengths); 0 and NULL: it runs alone. */
    int ranks;
    const int64_t *lengths;
    /* For plan_fit: */
    int64_t budget, fewest_bytes; /* fewest_bytes: smaller vectors stay as they are */
    double most_cost;             /* of what the program does, the share that may be done again; 0: any */
    const PassOptions *options;
} PlanAsk;
/* How many vectors a type has, and vectors of their elements, each kind counted once; and how long the longest are, of values of that
 * type: lengths holds so many, which grow. */
int plan_vectors(const Type *type);
void plan_lengths(const Type *type, const void *value, int64_t *lengths);
/* Changes `bytes`, `most` and `times` in the plan. False: no memory. */
bool plan_price(Program *program, const Plan *plan, const PlanAsk *ask, PlanPrice *price);

/* ---- plan_again.c: vectors that are computed twice ---- */

/* In chain number `chain` of the program's chains of lets, let number `let` is computed again in front of let `place`, or behind
 * the last. */
typedef struct Recompute {
    int chain, let, place;
    int more; /* others follow that were chosen of the same program: all of them, then it is cleaned up */
} Recompute;
typedef struct PlanAgain {
    Recompute *choices; /* owned: malloc's */
    int count;
} PlanAgain;
/* Lets an optimized program compute vectors twice until it is planned to take at most ask->budget, if there is a promise, and
 * if it can: price says. The choices are those of program_recompute, in their order. False: no memory. */
bool plan_fit(Program *program, const PlanAsk *ask, PlanAgain *again, PlanPrice *price);
/* The same choices for another copy of that program; one that is not there changes nothing. False: the program's error is set. */
bool program_recompute(Program *program, const Recompute *choices, int count, const PassOptions *options);

/* ---- math.c: what the operators call ------------------------------------------------------------------ */

void *math_symbol(const char *name);      /* a function of libm, memcpy and its like, or SLEEF; NULL: none */
bool math_has_vectors(void);              /* is SLEEF installed */
bool math_lacks_memory(const char *name); /* was there no memory to open the library of this function */

/* ---- code.c: machine code ----------------------------------------------------------------------------- */

/* A compiled program. Independent of the Program it came from; may run from many threads at once. */
typedef struct Code Code;

typedef struct CodeOptions {
    int level;             /* LLVM's: 0..3 */
    int threads;           /* that may make the code, with the calling one */
    const char *processor; /* "native", or an LLVM processor name such as "x86-64-v3" */
    bool timed;            /* fragments tell when they have run (rt_passed) */
    /* Addresses by name of what compiled code calls: the functions of rtcalls.def, and foreign functions. */
    void *(*symbol)(void *data, const char *name);
    void *data;
} CodeOptions;

#define FOREIGN_PREFIX "cudf " /* before the names of foreign functions in an object */

/* An object file in memory. A program is one or more, each of which may use what another defines. */
typedef struct ObjectFile {
    const char *bytes;
    size_t size;
} ObjectFile;
enum { OBJECT_FILES = 2 }; /* at most */

typedef struct Jit Jit;

/* Makes an image callable. jit: needed only where object.c does not know the machine, and then outlives the
 * code; else NULL. NULL: error set: Library for a missing symbol, Internal for a damaged image. */
Code *code_load(const char *image, size_t size, const CodeOptions *options, const Jit *jit, Error *error);
void code_free(Code *code); /* takes NULL */
/* As program_eval. Threads: any number at once, a worker each. */
ErrorCode code_run(const Code *code, Worker *worker, const void *args, void *out);
/* Is this pointer in the constants of the code (which go when it is freed)? */
bool code_owns(const Code *code, const void *pointer);
/* For the code generator: appends an image. types: what runtime calls are given. False: no memory. */
bool image_write(Buf *image, const Program *program, const Type **types, int count, const Buf *strings,
                 const ObjectFile *files, int nfiles);
bool code_missing_symbol(const char *name, Error *error); /* sets Library; false */

/* ---- object.c: a linker for object files ----------------------------------------------------------------
 */

typedef struct Object Object;
bool object_known_machine(void);
/* Links files, of whose open symbols options->symbol finds those that none of them defines. NULL: error set. */
Object *object_load(const ObjectFile *files, int count, const CodeOptions *options, Error *error);
const void *object_entry(const Object *object); /* the function weld_run */
void object_free(Object *object);               /* takes NULL */

/* A span as one word, for compiled code. Of the program's own text (source 0): begin | end << 32. Of others, which are
 * fragments: the sign, 23 bits of source, 20 of begin, 20 of length; what is too large for that leads to the source's
 * beginning. */
static inline int64_t span_pack(Span span) {
    if (span.source == 0) return (int64_t)((uint64_t)span.end << 32 | span.begin);
    uint64_t length = span.end - span.begin;
    bool fits = span.source < 1u << 23 && span.begin < 1u << 20 && length < 1u << 20;
    uint64_t place = fits ? (uint64_t)span.begin << 20 | length : 1;
    return (int64_t)(1ull << 63 | (uint64_t)(span.source & ((1u << 23) - 1)) << 40 | place);
}
static inline Span span_unpack(int64_t packed) {
    uint64_t bits = (uint64_t)packed;
    if (packed >= 0) return (Span){0, (uint32_t)bits, (uint32_t)(bits >> 32)};
    uint32_t begin = (uint32_t)(bits >> 20) & ((1u << 20) - 1), length = (uint32_t)bits & ((1u << 20) - 1);
    return (Span){(uint32_t)(bits >> 40) & ((1u << 23) - 1), begin, begin + length};
}

/* ---- jit.c: the code generator --------------------------------------------------------------------------
 */

typedef enum CodeStage { CODE_LLVM, CODE_ASM } CodeStage;

/* What compiled code tells rt_for about a loop. */
typedef struct LoopShape {
    int64_t size;    /* of the body's state in bytes */
    int64_t least;   /* iterations that are worth handing to another thread */
    int64_t exact[]; /* for each builder: an appender that has room already, as every iteration merges so
                      * often; else 0
                      */
} LoopShape;

/* What libweldjit exports as `weld_jit`. */
struct Jit {
    /* Appends the image of an optimized program. False: error set. */
    bool (*emit)(Program *program, const CodeOptions *options, Buf *image, Error *error);
    /* The text of a stage of compilation. False: error set. */
    bool (*text)(Program *program, const CodeOptions *options, CodeStage stage, Buf *out, Error *error);
    /* Links objects with LLVM's linker: for machines that object.c does not know. NULL: error set. */
    void *(*link)(const ObjectFile *files, int count, const CodeOptions *options, const void **entry,
                  Error *error);
    void (*unlink)(void *linked);
};
extern const Jit weld_jit;

#endif
