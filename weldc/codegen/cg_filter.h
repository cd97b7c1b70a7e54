/* cg_filter.h: what the files of cg_filter.c share: a loop whose iterations run in groups of lanes. */
#ifndef CG_FILTER_H
#define CG_FILTER_H

#include "cg.h"

enum { MOST_LETS = 64, MOST_MERGES = 16 };

/* A let of the body, evaluated when it is first used. */
typedef struct Late {
    const Symbol *symbol;
    const Node *value;
    Leaf *leaves; /* NULL: not yet */
} Late;

typedef struct LaneMerge {
    const Type *builder;
    LLVMValueRef state;
    int leaf;  /* of the loop's builders */
    Leaf mask; /* NULL: all lanes */
    const Node *node, *value;
    bool done;
} LaneMerge;

/* A dictmerger that may have few keys. */
typedef struct Few {
    const Type *builder;
    LLVMValueRef state, table, sums, words; /* words: of the entries' keys */
    int64_t row;                            /* bytes of the sums of an entry */
} Few;

typedef struct Filter {
    Wide wide; /* first: what cg_wide_expr hands back is a Filter */
    const Loop *loop;
    LLVMValueRef index;    /* of the first iteration of the group */
    Leaf number, *element; /* of the iterations; element: NULL for leaves that are not loaded yet */
    Leaf **accumulators;   /* of the mergers' leaves, by the loop's leaf */
    Late lets[MOST_LETS];
    int nlets, budget;
    int64_t widest; /* scalar in the body */
    LaneMerge merges[MOST_MERGES];
    int nmerges;
    Few few[ROOMY];
    int nfew;
    LLVMValueRef missed; /* a slot: how many lanes were, or enough to stop */
    LLVMValueRef thin;   /* NULL, or an appender whose length tells whether few iterations were kept so far */
    LLVMValueRef start;  /* THIN * its length - the index, before the groups */
} Filter;

/* ---- cg_filter_plan.c: which loops ---- */

/* How many lanes there shall be, or 0: the loop is not one for them. Lists the lets of the body. */
unsigned cg_filter_plan(Filter *lanes);
Late *cg_filter_late(Filter *lanes, const Symbol *symbol); /* or NULL */
int64_t cg_filter_largest(const Type *type);               /* the bytes of its largest scalar */
bool cg_filter_walks(const Loop *loop);                    /* are its elements side by side */
/* Of a loop that is not planned as a whole: can the value be computed for all lanes? */
bool cg_filter_takes(Filter *lanes, const Node *value);
bool cg_filter_takes_let(Filter *lanes, const Node *let); /* and lists it */

/* ---- cg_filter_load.c: what names of the body mean in a group ---- */

Leaf *cg_filter_name(Wide *wide, const Node *ident, int at, int count); /* Wide.name */
unsigned cg_filter_even(const Type *type); /* of a struct of 2 or 4 scalars of one size: how many; else 0 */

/* ---- cg_filter.c ---- */

Leaf cg_filter_neutral(Cg *cg, Op op, const Type *type); /* the value that changes no other */
Leaf *cg_filter_other(Wide *wide, const Node *let);      /* Wide.other: lets were listed */

/* ---- cg_few.c: merges into dictmergers that have few keys ---- */

/* May it be one, of a loop long enough to have sums? Then it is listed. */
/* May it be one, of a loop that is a function of its own? Then it is listed. */
bool cg_few_add(Filter *lanes, const Type *builder, LLVMValueRef state);
LLVMValueRef cg_few_pays(Filter *lanes); /* before the loop, as the dictionaries are then */
void cg_few_open(Filter *lanes);         /* before the first group */
void cg_few_merge(Filter *lanes, const LaneMerge *merge, const Leaf *pair);
LLVMValueRef cg_few_goes_on(Filter *lanes); /* after a group: is there a next one */
void cg_few_close(Filter *lanes);           /* after the last group */

/* ---- cg_compress.c: lanes that go to an appender ---- */

/* The mask as an i64, a bit for each lane; read `step` lanes at a time. */
LLVMValueRef cg_mask_bits(Cg *cg, Leaf mask, unsigned step);
LLVMValueRef cg_appender_length(Cg *cg, LLVMValueRef state);
void cg_appender_set_length(Cg *cg, LLVMValueRef state, LLVMValueRef length);

/* Appends the value in the lanes of merge->mask, in their order. */
void cg_filter_append(Filter *lanes, const LaneMerge *merge, const Leaf *value);
/* The lanes of the mask, all if it is NULL, of scalars, from element `number` of data on, where there is room for all lanes.
 * Returns the number behind the last one. */
LLVMValueRef cg_compress_store(Filter *lanes, const Type *type, Leaf value, Leaf mask, LLVMValueRef data,
                               LLVMValueRef number);

#endif
