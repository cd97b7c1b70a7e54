/* distribute_server.h: what the two files share that make a training one with a parameter server. */
#ifndef DISTRIBUTE_SERVER_H
#define DISTRIBUTE_SERVER_H

#include "distribute.h"

enum { SERVED_MOST = 64 /* parts of a state; sums of a step */ };

/* A let of a step. leaves, sums: which parts of the state, and which sums it depends on, a bit each. */
typedef struct Entry {
    Symbol *symbol;
    Node *value;
    uint64_t leaves, sums;
    int sum;   /* it is the sum of this number; -1: none */
    int group; /* of vectors that are as long, element by element; -1: of none */
    bool hoisted, updates,
        works; /* it is computed before the iterate; it is needed by the update; by a worker */
} Entry;

/* The lets of a function's value, one after the other, and what they end with. */
typedef struct Chain {
    Symbol *param;
    Entry *entries;
    int count, room;
    Node *next, *again; /* what the end is made of, or NULL: fields of it */
    Node *end;
} Chain;

/* A part of the state that is no struct. */
typedef struct StateLeaf {
    Type *type;
    int group;     /* -1: it is no vector that can be in ranges */
    bool ranged;   /* every server has its range */
    bool clock;    /* it depends on nothing but such: workers have their own */
    bool pulled;   /* workers read it */
    Symbol *reads; /* of an entry: the ranges that they read; NULL: it may be any */
} StateLeaf;

typedef struct StepSum {
    int entry, group, like; /* like: of a ranged one, a leaf that is as long */
    bool ranged;
} StepSum;

typedef struct Step {
    Distribute *d;
    Type *state;
    Chain chain;
    int *entry_of, symbols; /* by symbol id: 1 + the number of its entry */
    StateLeaf leaves[SERVED_MOST];
    int nleaves;
    StepSum sums[SERVED_MOST];
    int nsums;
    int groups[2 * SERVED_MOST]; /* which one each was joined to */
    bool bad[2 * SERVED_MOST];   /* of a group: something else is done with its vectors */
    const char *why;             /* it does not qualify; NULL: it does */
    char text[96];
    Span where;
} Step;

/* ---- distribute_server.c ---- */
/* Finds out whether a step, which was distributed for a state that is whole, is one that a server can make. */
void step_study(Step *step, Distribute *d, Type *state, Node *lambda);
/* The lets of a function, which goes. */
bool chain_of(Distribute *d, Node *lambda, Chain *chain);
/* The part of a value of the state's type that is this leaf. */
Node *step_part(Step *step, Node *whole, int leaf);
int state_leaves(const Type *type);
/* The leaves of the state that a name, or a field of one, depends on. */
uint64_t step_leaves(Step *step, Node *node);
bool step_is_leaf(Step *step, Node *node, int leaf); /* is it this leaf, through lets and structs */
bool step_is_structural(const Node *node); /* nothing but names, their fields, and structs of these */
/* One more entry, which workers need. */
Symbol *step_add(Step *step, const char *name, Node *value);

/* ---- distribute_reads.c ---- */
/* Adds entries for what workers read of the parameters. */
void step_find_reads(Step *step);

/* ---- distribute_serve.c ---- */
/* Makes an iterate one with a parameter server, if it can be one. NULL: it cannot, and is as it was. */
const Layout *distribute_served(Distribute *d, Node **slot);

#endif
