/* weldc.h: from a typed program to machine code. The one header of weldc/, but for cg.h, which alone sees
 * LLVM.
 *
 * passes rewrite the program (pipeline.c runs them); code generation turns it into a module of machine code.
 * Everything that includes llvm-c is linked into a library of its own, libweldjit, which jit.c's caller loads
 * when the first program is compiled: a process that only interprets never pays for LLVM.
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
    void (*after)(void *data, const PassClass *pass, const Program *program, double ms); /* or NULL */
    void *data;
} PassOptions;

/* Rewrites a typed program in place. False: error set (Setting for an unknown pass name). */
bool program_optimize(Program *program, const PassOptions *options);
bool passes_check(const char *passes, Error *error); /* are these names of passes */

/* ---- math.c: what the operators call ------------------------------------------------------------------ */

void *math_symbol(const char *name); /* a function of libm, memcpy and its like, or SLEEF; NULL: none */
bool math_has_vectors(void);         /* is SLEEF installed */

/* ---- jit.c: machine code ------------------------------------------------------------------------------ */

/* A compiled program. Independent of the Program it came from; may run from many threads at once. */
typedef struct Code Code;

typedef struct CodeOptions {
    int level;             /* LLVM's: 0..3 */
    const char *processor; /* "native", or an LLVM processor name such as "x86-64-v3" */
    /* Addresses by name of what compiled code calls: the functions of rtcalls.def, and foreign functions. */
    void *(*symbol)(void *data, const char *name);
    void *data;
} CodeOptions;

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
typedef struct Jit {
    /* Compiles an optimized program. NULL: error set. */
    Code *(*compile)(Program *program, const CodeOptions *options, Error *error);
    /* As program_eval. Threads: any number at once, a worker each. */
    ErrorCode (*run)(const Code *code, Worker *worker, const void *args, void *out);
    void (*release)(Code *code);
    /* The text of a stage of compilation. False: error set. */
    bool (*text)(Program *program, const CodeOptions *options, CodeStage stage, Buf *out, Error *error);
    /* Is this pointer in the constants of the code (which go when it is released)? */
    bool (*owns)(const Code *code, const void *pointer);
} Jit;
extern const Jit weld_jit;

#endif
