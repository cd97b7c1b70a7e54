/* differential.h: the parts of fuzz_differential: comparing values (compare.c), checking a program (check.c). */
#ifndef DIFFERENTIAL_H
#define DIFFERENTIAL_H

#include "generate.h"

#include "../../runtime/rt.h"
#include "../../weldc/weldc.h"

/* ---- compare.c: values of two modules, of the same type ---- */

/* How far f32 and f64 results may differ, relatively. */
typedef struct Tolerance {
    double single, twice;
} Tolerance;

bool same_value(const Type *type, const void *a, const void *b, Tolerance t);

/* ---- given.c: what a program is given ---- */

/* Constants of the language as the arguments of a program. */
typedef struct Arguments {
    weld_module_t modules[GENERATE_ARGS];
    weld_value_t values[GENERATE_ARGS];
    char *data; /* the struct of them */
} Arguments;

/* type: of the struct. False: an argument's program failed; to be freed nevertheless. */
bool arguments_make(Arguments *arguments, const Type *type, const Buf *texts, int count,
                    weld_context_t context, Error *error);
void arguments_free(Arguments *arguments);
/* Not at all where the program is exact; an f64 that may have come from an f32 only to that one's precision, since
 * the engines' f32 functions are not the same. */
Tolerance tolerance_of(const Buf *text, bool exact);

/* ---- check.c: one program ---- */

enum { CONTEXTS = 3 };

/* What the checks of one process share. */
typedef struct Checker {
    weld_context_t contexts[CONTEXTS]; /* with 1, 2 and 4 threads */
    bool machine_code;                 /* is there a code generator */
    bool all;                          /* machine code of all variants, not in turn */
} Checker;

/* False: no memory. The process must not fork after it: contexts have threads. */
bool checker_init(Checker *checker, bool machine_code, bool all);
void checker_release(Checker *checker);

typedef struct Verdict {
    bool agree;
    bool exact, failed, dropped; /* the program's floats are exact; it fails; code dropped its failure */
    Buf report;                  /* if it does not agree: the program and what differs */
} Verdict;

/* Program number `seed` of about this size. The caller releases the report. */
void check_program(const Checker *checker, uint64_t seed, int size, Verdict *verdict);
/* The program of this seed and size with its arguments, as a report shows it. */
void show_program(Buf *out, uint64_t seed, int size);

#endif
