/* plan_price.h: what plan_price.c, plan_abstract.c, plan_loop.c, plan_exchange.c and plan_iterate.c share: values of which a length or a number is known, and
 * the pricing of a plan. Nobody else includes it. */
#ifndef PLAN_PRICE_H
#define PLAN_PRICE_H

#include "../weldc.h"

typedef enum Known { UNKNOWN, MOST, EXACT } Known;

typedef struct Abstract Abstract;
struct Abstract {
    const Type *type;
    Known known;
    int64_t n;  /* of a vector or what builds one: its length; of a scalar its bits, MOST: of i64 only */
    int64_t lo; /* of an i64 that is at most n: it is at least this */
    int base;   /* of an i64 or a length: it is `off` more than the number with this name; or 0 */
    int64_t off;
    bool moves;   /* the name is one of an iterate's: what its steps change */
    bool lent;    /* of a builder: a loop around takes its memory; n counts what an iteration appends */
    int64_t room; /* of an appender, or what one made: how many elements its block has room for, at most */
    const void *data; /* of a vector that is an argument, or NULL */
    bool given;       /* of a vector on a rank: its memory is the caller's */
    Abstract *
        parts; /* of a struct: its fields; of a vector, or what builds one, of elements with vectors: one for all; or NULL */
    Abstract *each; /* of a vector as it is written, of elements with vectors: each of them; or NULL */
};

/* Buffers that a fragment needs last: a list. */
typedef struct Dying Dying;
struct Dying {
    Buffer *buffer;
    Dying *next;
};

typedef struct Pricer {
    Program *program;
    Arena arena;
    Abstract *names; /* by symbol id */
    Fragment **fragments;
    Dying **dying; /* by fragment */
    int nfragments;
    Merges merges;
    bool dry, saving;
    PlanTeam team;
    int ranks; /* 0: it runs alone */
    int64_t
        needs;  /* what the threads of the loops need that were priced since a fragment was accounted for */
    bool given; /* a loop is given the builders that are made */
    int inner;  /* loops around */
    int64_t now, live, extra;
    int64_t work; /* nodes so far */
    int at;       /* the fragment that runs */
    int bases;    /* names of numbers so far */
    PlanPrice price;
    int64_t room;
} Pricer;

/* ---- plan_abstract.c ---- */

void price_give_up(Pricer *p, const Node *at, const char *why);
Abstract abstract_unknown(const Type *type);
/* A number or a length that is not known, by a new name. */
Abstract abstract_number(Pricer *p, const Type *type);
/* Gives a number or length that is not known exactly a name, if it has none. */
void abstract_name(Pricer *p, Abstract *value);
/* Both are so much more than the same number. */
bool abstract_same(const Abstract *a, const Abstract *b);
Abstract *abstract_parts(Pricer *p, int count);
Abstract abstract_part(const Abstract *value, int index);
void abstract_forget(Pricer *p, Abstract *value);
const Type *abstract_element(const Type *type);
bool abstract_has_length(const Type *type);
int64_t abstract_room(const Abstract *value);

/* They stop far below INT64_MAX. */
int64_t count_times(int64_t a, int64_t b);
int64_t count_plus(int64_t a, int64_t b);
int64_t price_block(int64_t bytes);
/* What the value reaches. Vectors of vectors in a program that saves are counted where room is asked for. */
int64_t price_reach(Pricer *p, const Abstract *value, const Node *at);
void price_take(Pricer *p, int64_t bytes);
void price_give(Pricer *p, int64_t bytes);
/* What an algorithm takes while it runs. */
void price_need(Pricer *p, int64_t bytes);

Abstract abstract_join(Pricer *p, Abstract a, Abstract b, bool widen);
/* a, or unknown where b says more. */
Abstract abstract_limit(Pricer *p, Abstract a, const Abstract *b);
/* Does it make anything in the run's memory? */
bool price_allocates(Pricer *p, Node *node);

/* ---- plan_number.c ---- */

/* What an operator, a comparison or a cast makes of a and b, or of a alone. */
Abstract price_scalar(const Node *node, const Abstract *a, const Abstract *b);
/* An i64 from lo to hi. */
Abstract number_within(const Type *type, int64_t lo, int64_t hi);
bool is_number(const Type *type);
int64_t number_least(const Abstract *number);

/* ---- plan_loop.c ---- */

Abstract price_for(Pricer *p, Node *node);
/* How often a fragment does what it does. */
void price_note_times(Pricer *p, const Node *node, int64_t times);

/* ---- plan_iterate.c ---- */

Abstract price_iterate(Pricer *p, Node *node);

/* ---- plan_team.c ---- */

/* What one loop of a builder needs on several threads, beyond what it builds and what one thread needs. */
typedef struct TeamLoop {
    const Node *loop;
    const Abstract *trips;
    int64_t made; /* bytes that an iteration makes */
    bool kept;    /* these are reached by what is built */
    bool tables;  /* a builder is a vecmerger */
    int64_t bytes;
} TeamLoop;

bool price_is_parallel(const Pricer *p);
/* The copies of a vecmerger of so many elements. */
void price_copies(Pricer *p, TeamLoop *team, const Abstract *vector);
/* What the units append, of whom each has an appender: in all, and in an iteration, or -1. */
void price_pieces(Pricer *p, TeamLoop *team, const Abstract *all, int64_t each);
void price_team(Pricer *p, TeamLoop *team);
/* What threads need to sort so many elements. */
int64_t price_sort_team(const Pricer *p, int64_t count);

/* ---- plan_exchange.c ---- */

Abstract price_exchange(Pricer *p, Node *node);
/* An argument on any rank; *lengths, which moves behind its own: plan_lengths. */
Abstract price_agreed(Pricer *p, const Type *type, const void *data, const int64_t **lengths, bool outer);

/* ---- plan_price.c ---- */

Abstract price_node(Pricer *p, Node *node);

#endif
