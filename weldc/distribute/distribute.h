/* distribute.h: what the files of the pass distribute share. */
#ifndef DISTRIBUTE_H
#define DISTRIBUTE_H

#include "../weldc.h"

/* How a value lies on the ranks of a cluster. */
typedef struct Layout Layout;
struct Layout {
    enum {
        LAYOUT_WHOLE,   /* every rank has all of it */
        LAYOUT_SPLITS,  /* the same, of a vector that is worth being cut where loops walk it */
        LAYOUT_BLOCK,   /* a vector in blocks: one after the other, in the order of the ranks */
        LAYOUT_KEYED,   /* a dictionary of which every rank has other keys */
        LAYOUT_PARTIAL, /* a builder into which every rank merged its share */
        LAYOUT_PARTS    /* a struct: the layout of each field */
    } kind;
    int cut; /* of a block, and of an appender's: vectors with the same number are cut at the same places */
    bool loose; /* of a block in the state of an iterate: each step may leave it cut elsewhere */
    const Layout **parts;
};
enum { CUT_EVENLY = 0 }; /* into blocks of one length, or one more for the first ones: block_begin */

/* A loop whose function looks up in a dictionary, or NULL: a lookup that is in none. */
typedef struct Asked {
    const Node *loop;
    struct Asked *next;
} Asked;

/* What is known of a name. The names derived from it are made when they are needed first, and bound behind it. */
typedef struct Place {
    const Layout *layout;
    Symbol *whole, *block, *length, *start, **fields;
    bool closed;                 /* nothing can be bound behind it any more */
    bool bound;                  /* the walk has come behind where it is bound */
    int uses, results, listings; /* as the program was: in all, below result, below tovec */
    Symbol *same;                /* of a vector in blocks that has another name, too: that; or NULL */
    const Node *
        most; /* of a vector that was sliced: the size; of a number: what it is if an assertion holds; or NULL */
    const Node *init; /* of an iterate's state, or a part of it: what it begins as; or NULL */
    int fetches;      /* of a dictionary, as the program was: lookups whose keys may be fetched */
    int steps;        /* iterates around the place where it is bound */
    int varies; /* how many iterates are around the innermost step that changes it, with that one; 0: none does */
    Asked *asked;
    Symbol *spread; /* of a dictionary: {dictionary, is it whole on all ranks, do rows move to it}; or NULL */
    bool moves;     /* of a dictionary: there are loops whose rows may move to where their keys are */
} Place;

typedef struct Distribute {
    Program *program;
    Place **places; /* by symbol id */
    int room;
    int cuts; /* numbers given out */
    Merges merges;
    int merges_room; /* of merges.roots */
    bool exchanges;  /* the program does by itself */
    int steps;       /* of how many iterates the step is looked at */
    bool serves;     /* a step is distributed for a parameter server: sums stay as they are */
    bool gave_up;    /* there was no memory */
    struct Settled *settled;
} Distribute;

extern const Layout layout_whole, layout_splits, layout_keyed, layout_evenly;
const Layout *layout_block(Distribute *d, int cut);
int cut_new(Distribute *d);
bool layout_is_whole(const Layout *layout);

/* The layout of a struct, each part whole so far. Without parts: there was no memory. */
Layout *layout_parts(Distribute *d, int count);
const Layout *layout_part(const Layout *layout, int field);
/* The parts' layout, or that of a struct which is whole if all parts are. */
const Layout *layout_settle(const Layout *layout, int count);
bool layout_all_whole(const Layout *layout, const Type *type);

Place *place_of(Distribute *d, const Symbol *symbol);
/* An exchange; b may be NULL. */
Node *exchange_node(Distribute *d, ExchangeKind kind, Op op, Node *a, Node *b);
/* Rewrites what is evaluated once on every rank, and says how the value then lies on them. */
const Layout *distribute(Distribute *d, Node **slot);
/* The same, and every rank has all of it. */
void distribute_whole(Distribute *d, Node **slot);
/* Makes a rewritten value whole. */
void make_whole(Distribute *d, Node **slot, const Layout *layout);
/* Makes a value that is laid out in one way so in the other, where blocks are blocks, wherever they are cut. */
void make_layout(Distribute *d, Node **slot, const Layout *from, const Layout *to);
/* Binds what was derived from a name around the body that it is visible in. */
Node *bind_derived(Distribute *d, Symbol *symbol, Node *body);
/* Makes names whole that the function of a loop uses. */
void distribute_function(Distribute *d, Node *lambda);
/* How many elements all ranks have of a vector together. */
Node *whole_length(Distribute *d, const Node *vector, const Layout *layout);
/* About as many, where that may be known earlier: before an iterate of whose state the vector is, or before a slice. */
Node *likely_length(Distribute *d, const Node *vector, const Layout *layout);
/* Which element of a vector in blocks is the first of this rank's. */
Node *block_start(Distribute *d, const Node *vector);
/* This rank's block of a vector that is cut evenly, or could be. */
Node *own_block(Distribute *d, Node *vector, const Layout *layout);

/* ---- distribute_loop.c ---- */
bool loop_walks_all(const Node *iter);
/* Numbers from 0 on, one after the other: they can be cut like a vector. */
bool loop_counts_up(const Node *iter);
bool uses_name(Program *program, Node *body, const Symbol *name);
/* |b, i, x| body   =>   |b, j, x| let i = start + j; body, of a loop over blocks; start is bound around it. */
void shift_index(Distribute *d, Node **slot, Node *loop, int leader);
/* ends: what is done with its builder is nothing but to take the result. */
const Layout *distribute_for(Distribute *d, Node **slot, bool ends);
/* First values of a builder count on rank 0 only. */
void seed_builder(Distribute *d, Node *builder);
/* What becomes of a dictionary: all ranks get the whole, each key stays on one, or it stays as it is, LAYOUT_PARTIAL. */
typedef enum Keys { KEYS_WHOLE, KEYS_APART, KEYS_PARTIAL } Keys;
const Layout *distribute_result(Distribute *d, Node **slot, Keys keys);
/* Does every iteration merge once into this leaf of the builder? */
bool merges_once(Distribute *d, const Node *lambda, int leaf);

/* ---- distribute_window.c ---- */
Node *number_node(Program *program, Span span, int64_t number); /* an i64 */
Node *pair_field(Program *program, Span span, Symbol *pair, int index);
/* a op b, of a's type. */
Node *binary_node(Program *program, Op op, Node *a, Node *b);
/* The iterations of a loop that are this rank's: of a range, or over its block of a vector, whose name leader is. */
typedef struct Range {
    Symbol *share; /* {begin, end}, or NULL */
    const Node *leader;
} Range;
typedef struct Finds Finds;
/* Vectors in blocks that the loop's function only looks up or slices near its index become windows, bound around the loop; what is looked
 * up elsewhere is added to the finds, or, where they are NULL, gathered. */
void distribute_windows(Distribute *d, Node **slot, const Range *range, Finds *finds);
/* exchange[window](vector, {begin, end, scale, offset, size}) */
Node *window_node(Distribute *d, Node *vector, Node *begin, Node *end, Node *scale, Node *offset, Node *size);

/* ---- distribute_fetch.c ---- */
/* Counts the lookups in dictionaries whose keys may be fetched. */
void find_fetches(Distribute *d, Node *root);
/* Is the dictionary used in no other way, but listed? */
bool only_fetched(Distribute *d, const Symbol *dict);
/* The let of a dictionary in parts, or of its pair by the second, once its body is done. */
const Layout *spread_dict(Distribute *d, Node *let);
void bind_spread(Distribute *d, Node *let);
/* All of a dictionary by key, and a list of it in blocks. */
Node *merge_keyed(Distribute *d, Node *dict);
Node *list_keyed(Distribute *d, Node *list);
/* if(spread.$2, moved, other), or the first alone. */
Node *where_rows_move(Distribute *d, const Symbol *dict, Node *moved, Node *other);
/* A lookup by a key that all ranks have. */
void fetch_one(Distribute *d, Node **slot);
typedef struct Fetch {
    Symbol *dict, *local; /* local: what of it a loop needs */
    Node *keys;
    bool bound;
} Fetch;
enum { MOST_FETCHES = 8 }; /* of one loop; other dictionaries are made whole */
typedef struct Fetches {
    Distribute *d;
    Fetch list[MOST_FETCHES];
    int count;
} Fetches;
/* The loop's function looks up in dictionaries of its own, which the second binds around the finished loop. */
void fetches_begin(Distribute *d, Node *loop, Fetches *f);
void fetches_end(Fetches *f, Node **slot);

/* Data of the loop that has no name gets one. */
void name_data(Distribute *d, Node **slot, Node *loop);

/* ---- distribute_find.c ---- */
/* Something that takes elements of a vector: a lookup, a slice, or an iterator with bounds; place: its number in an iteration. */
typedef struct FoundUse {
    Node *site;
    int place;
} FoundUse;
typedef struct Found {
    Symbol *vector, *part, *at; /* part: what of it the loop needs; at: where in that each place is */
    FoundUse *uses;
    int count, per; /* per: places of an iteration */
    bool ranged;    /* places are {first, length} */
    bool done;
    Node *places; /* or NULL: it is gathered */
} Found;
enum { MOST_FINDS = 8 }; /* of one loop; other vectors are made whole */
struct Finds {
    Distribute *d;
    const Fetches *fetches;
    Found list[MOST_FINDS];
    int count;
    bool *inside; /* by symbol id: bound in the loop's function */
    Symbol *few;  /* is little found? NULL: it always is */
    Node *each, *once,
        *all; /* bytes: found by an iteration, or by all, of vectors that are gathered otherwise; or NULL */
    Node **slot; /* of the loop, or what is around it */
};
void finds_begin(Finds *finds, Distribute *d, const Fetches *fetches);
/* The uses look in a part from now on. */
void finds_add(Finds *finds, const Symbol *vector, Node **uses, int count);
/* Binds the parts around the loop, whose function is done; iterations: of all ranks. Before fetches_end. */
void finds_look(Finds *finds, Node **slot, Node *loop, Node *iterations);
/* Behind fetches_end: the loop becomes two where the ranks choose when the program runs. */
void finds_end(Finds *finds);

/* ---- distribute_move.c ---- */
/* How many bytes move of a row of the loop that looks up in this dictionary; 0: rows stay, as they must or as it does not pay. */
int64_t moved_row(Distribute *d, const Node *loop, const Symbol *dict);
/* The loop, which walks this rank's share, as one over rows that have moved to where their keys of *dict are; or NULL. Before it is
 * rewritten itself. */
Node *moved_loop(Distribute *d, Node **slot, Symbol **dict);

/* A loop's function |b, i, x| body. */
Node *function_of(Distribute *d, Symbol *builder, Symbol *index, Symbol *element, Node *body);

/* ---- distribute_settle.c ---- */
typedef struct Settled Settled;
/* The innermost iterate around whose step changes the value, counted from the outermost one, 1; 0: none does. */
int varies_in(Distribute *d, Node *node);
/* The sums of a loop over blocks, by the owners of the entries; or NULL. fixed: no step changes what it walks. Before the loop is rewritten itself. */
Settled *settled_loop(Distribute *d, Node **slot, int leader, bool fixed);
/* *slot is the exchange of the result of that loop, behind names that are bound around it. */
void settle_sums(Distribute *d, Node **slot, Settled *settled);
/* Sums of which each rank needs its portion get the other way beside it. */
void settle_portions(Distribute *d, Node **body);

/* ---- distribute_keys.c ---- */
/* The lets that one begins, one after the other, once more around another body. */
Node *same_lets(Program *program, const Node *let, Node *body);
/* Drops the lets below that nothing uses. */
void drop_unused_lets(Program *program, Node **slot);
/* Is there anything below that must be done as often as it stands there? */
bool keeps_below(Program *program, Node *node);
/* The name of the dictionary that the node looks up in, or NULL: it does not, or in one without a name. */
Symbol *dict_looked_up(const Node *node);
/* The keys that the loop's function looks up in the dictionary of that name, as a vector; NULL: they cannot be collected. */
Node *keys_of_loop(Distribute *d, const Node *loop, const Symbol *dict);

/* ---- distribute_product.c ---- */
/* A call of a C function that is said to multiply matrices. */
bool is_product(const Node *node);
const Layout *distribute_product(Distribute *d, Node **slot);

/* ---- distribute_sort.c ---- */
const Layout *distribute_sort(Distribute *d, Node **slot);
const Layout *distribute_slice(Distribute *d, Node **slot);

/* ---- distribute_iterate.c ---- */
const Layout *distribute_iterate(Distribute *d, Node **slot);

/* ---- distribute_ends.c ---- */
/* Sets the layouts of the parameters. */
void distribute_arguments(Distribute *d, Node *root);
void distribute_end(Distribute *d, Node **slot, const Layout *layout);

#endif
