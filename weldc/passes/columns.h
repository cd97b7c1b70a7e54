/* columns.h: what columns.c and columns_need.c share. */
#ifndef COLUMNS_H
#define COLUMNS_H

#include "../weldc.h"

enum { PATH_MOST = 8, COLUMNS_MOST = 16 };

/* What of a value is needed: kids are a struct's fields, a vector's element, a dictionary's value; NULL: not
 * needed. Of a builder: what is needed of its result. */
typedef struct Need Need;
struct Need {
    bool whole; /* all, as it is */
    int count;
    Need **kids;
};

/* Fields of fields that lead to a part of a value. */
typedef struct Path {
    int depth, at[PATH_MOST];
    Type *type; /* of the part; no struct */
} Path;

/* A part of the builder type of a loop, and what becomes of it. */
typedef struct Slot Slot;
struct Slot {
    Slot *parent;
    Slot **kids; /* of a struct */
    int count, index;
    Type *type;
    Need *need; /* of the values that a builder merges */
    bool keeps; /* merging into it does what must not go: an assert, a foreign call */
    bool lanes; /* simd values are merged into an appender of scalars */
    bool dropped;
    bool varies; /* how often an iteration merges is bounded, but not always the same */
    bool counts; /* an appender of whose vector the length alone is needed: becomes a merger of ones */
    Path *paths; /* the parts that the builder keeps of its values */
    int npaths;  /* 0: all, as they are */
    int at;      /* its number among the parts that its parent keeps */
    Type *made;  /* what it becomes */
};

/* The names that were given slots, as a list. */
typedef struct Touched Touched;
struct Touched {
    const Symbol *name;
    Touched *next;
};

typedef struct Columns {
    Program *program;
    /* by symbol id, of names that were there before: */
    Need **needs;
    Slot **slots;      /* of builders that change */
    int *lengths;      /* uses by len */
    int *plain;        /* uses that can do with parts; of builders: uses by result */
    Symbol ***columns; /* the names of a vector's columns, in the order of the slot's paths; or NULL */
    Slot **kept;       /* the slot that made a vector or dictionary of less than it was; or NULL */
    Type *i64;
    Merges merges;
    int limit; /* of ids */
    int loops; /* around what is looked at */
    int growth, rounds;
    /* of the loop whose builders are followed: */
    Touched *touched;
    int met, expected; /* uses of its builders' names */
    bool lost;
} Columns;

/* columns_need.c: fills in needs and slots. */
void columns_need(Columns *c);
/* May the expression go, if its value is not needed? */
bool columns_droppable(const Node *node);
/* Is the let one of a value that nobody needs, and that may go? Results of builders that have no other uses may. */
bool columns_unneeded(const Columns *c, const Node *let);
/* Is it len(tovec(dict))? */
bool columns_counts_keys(const Node *node);
/* The part of the loop's builders that a builder's expression stands for; NULL: none that changes. */
Slot *columns_slot(const Columns *c, const Node *node);
static inline Type *columns_value(const Type *builder) {
    return builder->args[builder->count - 1];
}
static inline const Need *need_kid(const Need *need, int index) {
    return !need || need->whole ? need : index < need->count ? need->kids[index] : NULL;
}

#endif
