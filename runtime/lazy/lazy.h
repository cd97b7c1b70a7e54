/* lazy.h: lazy values, as the runtime sees them: what they were told to compute, and one program of many. */
#ifndef LAZY_H
#define LAZY_H

#include "../rt.h"

/* ---- emission.c: what lazy values were told to compute ------------------------------------------------ */

typedef struct Shelf Shelf;
typedef struct Emission Emission;
/* A fragment's text for parameters of certain types. Never changes; what is under the lock is emission.c's. */
struct Emission {
    _Atomic int refs; /* one is the table's */
    Shelf *shelf;     /* where its function lies */
    Node *function;   /* typed */
    Node *plain;      /* the same before its derivatives were taken; NULL: it has none */
    int depth;        /* no tree of it is deeper */
    Type *result;
    const char *name, *text, *result_text; /* name: of the library's function that emitted it */
    Buf key;                               /* name, text, types of the parameters, a NUL behind each */
    uint64_t hash;
    Emission *next, *older, *newer;
};
/* The emission of this text by the function `name`, with one reference. types NULL: the text gives its parameters' types.
 * NULL: error set; error or success is reported to the handle. */
Emission *emission_find(const char *name, const char *text, const Type *const *types,
                        const char *const *type_texts, int64_t count, Error *error, weld_error_t handle);
/* That of a C function; signature: |a: A, b: B, returned: R| returned. Its type is the function's. */
Emission *emission_of_callback(const char *signature, int traits, Error *error, weld_error_t handle);
Emission *emission_hold(Emission *emission);
void emission_drop(Emission *emission); /* takes NULL */
/* Between these two, functions may be read; between them no emission may be made. */
void emissions_read_begin(void);
void emissions_read_end(void);
const Program *emission_program(const Emission *emission); /* whose nodes its function is */

/* ---- lazy.c ----------------------------------------------------------------------------------------- */

/* What is behind weld_lazy_t. Data: `data` or `value` is there. */
typedef struct Lazy {
    Object object;
    Emission *emission; /* its result is the type */
    void *data;         /* the caller's: a copy of the value itself, what it points to is the caller's */
    void (*release)(void *user);
    void *user;
    Callback *callback;     /* or NULL; then `data` is its address */
    _Atomic(Value *) value; /* a result; once set, it stays */
    _Atomic bool keep;
    int64_t count;
    struct Lazy *kids[]; /* what it is computed from */
} Lazy;
void lazy_destroy(Lazy *lazy, Object **dead);
const void *lazy_data(const Lazy *lazy);       /* NULL: not computed */
void lazy_set_value(Lazy *lazy, Value *value); /* unless it has one */

/* ---- merge.c: one program of many lazy values ---------------------------------------------------------- */

typedef struct Step {
    int64_t emission; /* number in the recipe */
    int64_t first_kid, count;
    bool leaf;      /* data: a parameter */
    bool in_blocks; /* of whose vectors each rank has its block */
} Step;
/* A graph of lazy values without their data. Every step comes after those that it is computed from. */
struct Recipe {
    _Atomic int refs;
    Emission **emissions;
    Step *steps;
    int64_t *kids, *roots; /* numbers of steps */
    int64_t emission_count, step_count, kid_count, root_count, leaf_count;
};
typedef struct Graph {
    Recipe *recipe;
    Lazy **lazies; /* of each step; not held */
} Graph;
/* What these lazy values are computed from. The roots of the recipe are first these, then what is to be kept. */
bool graph_collect(Graph *graph, Lazy *const *roots, int64_t count, Error *error);
/* What one is computed from, up to these leaves, each given once, which are the first steps. */
bool graph_collect_until(Graph *graph, Lazy *root, Lazy *const *leaves, int64_t count, Error *error);
void graph_release(Graph *graph);
Recipe *recipe_hold(Recipe *recipe);
void recipe_drop(Recipe *recipe);                  /* takes NULL */
void recipe_print(Buf *out, const Recipe *recipe); /* bytes that are the same for the same program */
/* Typed; the recipe must outlive it. saving: its gradients keep little. NULL: error set. */
Program *recipe_program(const Recipe *recipe, bool saving, Error *error);

#endif
