/* plan_chain.h: what plan_again.c, plan_chain.c and plan_recompute.c share: lets one behind the other, and what of them must be
 * computed again with which. Nobody else includes it. */
#ifndef PLAN_CHAIN_H
#define PLAN_CHAIN_H

#include "../weldc.h"

enum {
    MOST_NEEDS = 8,
    MOST_TOGETHER = 16, /* lets that are computed again with one */
    MOST_AROUND = 16
};

/* A let of the chain. */
typedef struct Link {
    Node *let;
    const Fragment *maker; /* of the vector that it names, or NULL */
    double cost;           /* operations for each iteration of that, which make this vector */
    int64_t bytes;         /* of the vector */
    int next, last;        /* the first place behind the peak that uses it, the last one; -1: none */
    bool at_peak;          /* the peak uses it */
    bool together;         /* computed again with the one that is looked at */
    Symbol *copy;
} Link;

/* Lets one behind the other; place `count` is what comes behind the last. */
typedef struct Chain {
    Program *program;
    Node **slot; /* of the first let */
    Link *links;
    int *numbers; /* by symbol id: the let's and 1; INSIDE: bound in one of the values */
    int count, peak, at;
    int symbols;
} Chain;

/* For the chains around a fragment, or for the first let of one chain. */
typedef struct Search {
    Program *program;
    int target; /* the number of a fragment */
    int wanted; /* the number of a chain, or -1 */
    int chains; /* so far */
    Node **slot;
    /* The chains around the fragment, the innermost last: their numbers, first slots, and places. */
    struct Around {
        int chain, place;
        Node **slot;
    } around[MOST_AROUND];
    int depth, found; /* found: how many are around the fragment */
} Search;

/* What is computed again with a let. */
typedef struct Together {
    Chain *chain;
    int place, count; /* of the copies; of lets */
    int needs
        [MOST_NEEDS]; /* lets with vectors that must be there then; nneeds: may be more than there is room for */
    int nneeds;
    double cost;
    bool ok;
} Together;

/* ---- plan_chain.c ---- */

/* Numbers the chains below, in their order, and finds what the search is for. */
void chains_visit(Search *search, Node **slot);
/* peak: the place that is looked at, or -1. The caller releases it, also after a failure. False: no memory. */
bool chain_read(Chain *chain, Program *program, Node **slot, int peak);
void chain_release(Chain *chain);
Link *chain_link(const Chain *chain, const Symbol *symbol); /* NULL: it names none of its lets */
/* What makes the vectors that the lets name, of a plan that was priced. */
void chain_find_makers(Chain *chain, const Plan *plan);
/* Marks what is computed again with a let, itself too, if that is done in front of this place. */
Together chain_together(Chain *chain, Link *link, int place);

/* ---- plan_recompute.c ---- */

/* Gives the loops of a chain, and of those in its values, lets of their own. */
void chain_name_loops(Program *program, Node **slot);
/* Choices of one program, which has such lets; and cleans up. False: the program's error is set. */
bool chain_recompute(Program *program, const Recompute *choices, int count, const PassOptions *options);

#endif
