/* grad.h: what the files of differentiation (grad*.c) share. Read grad.c first.
 *
 * Words: the *primal* program is what is differentiated. The *leaves* of a type are its parts that are floats, as vectors
 * of vectors: those of {i64, f64, vec[{f32, vec[f64]}]} are f64, vec[f32], vec[vec[f64]]; a dictionary's are those of its
 * values, in the order of tovec. The adjoint of a value is one value for each leaf. A *body* is a primal function's or arm's
 * chain of lets in normal form (grad_normal.c); a *block* is a chain of lets that is being written.
 */
#ifndef GRAD_H
#define GRAD_H

#include "../lang.h"

typedef struct Leaves {
    int count;
    Type **types; /* each f32, f64, or vec of such, any number of times */
} Leaves;

typedef struct Grad Grad;
typedef struct Block Block;
typedef struct Info Info;
typedef struct Rule Rule;

/* Adjoints of a leaf that are added up in a builder: a vecmerger of all its scalars, whatever the nesting. The scalar
 * at [i][j] is at offsets[0][i] + j, and so on. The builder is handed from one loop to the next: each block has a name
 * for it as it is now. */
typedef struct Acc {
    Type *scalar;
    int rank;         /* of the leaf, from 1 */
    Symbol **offsets; /* rank - 1 */
    Symbol **levels;  /* the primal values level by level, whose lengths the result gets: rank - 1 */
    Info *owner;
    int number;  /* of the owner's leaf */
    Symbol *now; /* in the owner's block */
    bool closed;
} Acc;

/* Adjoints of a vector's elements from this place on. */
typedef struct Piece {
    Symbol *start, *adjoint;
} Piece;

/* The adjoint of a leaf so far: nothing, a value and pieces (grad_piece.c) and points, or in a builder: elements from `base`
 * of that level. A point is a piece of one element: its adjoint is a scalar. */
typedef struct Leaf {
    Symbol *value; /* or NULL */
    Piece *pieces, *points;
    int piece_count, point_count;
    Acc *acc; /* or NULL; one that was closed counts as none */
    int level;
    Symbol *base; /* NULL: 0 */
} Leaf;

/* A builder of the primal program, from where it is made to its result. What its result's adjoint means for a merged
 * value: it is g (merger), g at the value's index or key (vecmerger, dictmerger), of the operator +; otherwise the builder
 * is taken for an appender of what was merged, and g are the adjoints of that, in the order of the merges. */
typedef struct Cell {
    Type *type;
    int depth; /* of the body that makes it */
    bool sequence;
    bool *active; /* by the leaves of its result */
    Leaves leaves;
    Symbol *one, *alone; /* of a result that is one of what is merged: which, and its adjoint; or NULL */
    bool live;           /* the result's adjoint is there: */
    Info *last;          /* what the result is taken of */
    Symbol *result;      /* its name now */
    Symbol **g;          /* by leaf; NULL: none */
    Symbol *index;       /* of a dictmerger: places of keys in g */
    Symbol **
        flow; /* forward mode: builders of tangents, by leaf, as they are now; then of what is merged, or NULL */
    Symbol **own; /* in a loop that merges once an iteration: g at this iteration, or NULL */
} Cell;

/* What is known of a name of the primal program, as it is being computed in the innermost block that does. */
struct Info {
    Symbol *symbol;
    Node *def;    /* its value in normal form; NULL: a parameter */
    Block *block; /* where it has its value now */
    int depth;    /* of the body that binds it */
    Leaves leaves;
    bool *active; /* does the leaf depend on what one differentiates by? */
    Leaf *leaf;
    Symbol **tangent; /* by leaf, in forward mode; NULL: zeros */
    int cells;        /* of a builder, or a struct with builders: in order */
    Cell **cell;
    Symbol **position; /* by cell: so many values were merged into a sequence before; NULL: not computed */
    Symbol **part;     /* by part (grad_forward.c) while part of it is computed anew */
    int *merges;       /* by cell: since the body began, 2 added; 0: not known, 1: it differs */
    struct Loop *loop; /* of a loop's parameter for builders */
    Symbol *index;     /* of a dictionary: a dictionary of its keys' places */
    Symbol *sorted;    /* of a sort: {element, where it was}, in order */
    Symbol *
        states; /* of an iterate: all states that its function was given; of one that saves, some (grad_again.c) */
    Symbol *steps, *slots; /* of one that saves: how many there are, and how many may be kept */
    bool given;            /* its value is known while the body is computed anew */
};

/* How a loop of the primal program is computed anew: where its iterations merge. */
typedef struct Loop {
    const Node *node;
    Symbol *index;   /* in the block of the loop's body */
    Info *before;    /* the loop's builder, before it */
    Symbol **starts; /* by cell: where merges differ, the number of each iteration's first, or NULL */
    Symbol **
        often; /* by cell: where each iteration merges as often, which is known only now, so often, or NULL */
} Loop;

/* What a block changes of the blocks around it: a scalar's adjoint, a builder, or a piece of a vector's adjoint. */
typedef struct Import {
    Leaf *scalar; /* of the outer block, or NULL; then here is the block's own */
    Info *owner;  /* its name, and which of its leaves */
    int number;
    Leaf here;
    Acc *acc; /* or NULL */
    Symbol *now;
    Type *type;
    bool stream;  /* here is what an iteration adds to the element */
    Node *offset; /* from this on; outside */
} Import;

typedef enum BlockKind { B_TOP, B_LOOP, B_ARM, B_STEP } BlockKind;

struct Block {
    BlockKind kind;
    Block *parent;
    int depth;
    Node *first, *last; /* lets */
    Import **imports;
    int count, room;
    const Node *loop; /* of which it is the body, or NULL */
    bool walks_range; /* whose elements are the numbers from here on */
    Symbol *range_start;
    Symbol *param; /* of a loop or step: the struct whose fields are the imports', after `fixed` others */
    int fixed;
    struct Uses {
        Node *field; /* of the parameter, whose type is known at the end */
        struct Uses *next;
    } *fields;
};

struct Grad {
    Program *program;
    Block *block; /* that is written */
    Info **infos; /* by symbol */
    int known;    /* symbols */
    Rule *rules;
    struct Known *elements; /* by Symbol.uses, from 1 */
    int known_count, known_room;
    Span span;           /* of what is written */
    const char *foreign; /* the C function whose rule is applied, or NULL */
    /* While part of a program is computed anew (grad_forward.c): cells of bodies less deep are left out, save: */
    int keep;
    bool saving;         /* iterates keep their states */
    Cell *target;        /* which becomes another builder */
    Type *replacement;   /* of this type */
    int record;          /* of what: RECORD_... */
    const Node *counted; /* the loop whose index that is, */
    Symbol *counter;
};

enum { RECORD_VALUE, RECORD_KEY, RECORD_COUNTER };

/* ---- grad.c ---- */
bool grad_fail(Grad *g, Span span, const char *format, ...) __attribute__((format(printf, 3, 4)));
static inline bool grad_failed(const Grad *g) {
    return g->program->error.code != E_None || g->program->arena.exhausted;
}
/* The adjoints of what the body computes from, given those of its result, which is at the end of its lets. */
void grad_reverse(Grad *g, Node *body);
void grad_reverse_let(Grad *g, Info *info);

/* The partial derivative of an operator's result by an operand, times `along`: an adjoint or a tangent. */
Symbol *partial(Grad *g, const Node *node, int operand, Symbol *result, Symbol *along);
/* What a linear function of one parameter makes of adjoints of its result's leaves: those of its parameter's leaves, here
 * at this value, which they do not depend on. NULL: error set. */
Symbol **transpose(Grad *g, Node *lambda, Symbol *at, Symbol **adjoints);
/* A sort's elements as {element, where it was}, sorted; of a slice of a sort those of the slice. */
Symbol *sorted_pairs(Grad *g, const Node *node);
Symbol *firsts(Grad *g, const char *name, Symbol *pairs); /* the elements alone */
/* Is it a slice that has its sort as an operand (grad_normal.c)? */
static inline bool is_sorted_slice(const Node *node) {
    return node->kind == N_Slice && node->kids[0]->kind == N_Sort;
}
bool is_chosen(const Node *node, int number); /* is it derived by this parameter? */
/* What a body computes from, its parameters named and those with `bits` active; then the derivative. */
Node *derive_forward(Grad *g, Node *node); /* grad_tangent.c */

/* The name that has the primal name's value now. */
static inline Symbol *now_of(Symbol *primal) {
    return primal->twin ? primal->twin : primal;
}

/* ---- grad_block.c: writing programs ---- */
void *grad_alloc(Grad *g, size_t count, size_t size);
Symbol *emit(Grad *g, const char *name, Node *value); /* a let in the block */
Node *use(Grad *g, Symbol *symbol);
Node *field_of(Grad *g, Symbol *symbol, int number);
Node *i64_literal(Grad *g, int64_t value);
Node *zero_of(Grad *g, Type *scalar);
Node *number_of(Grad *g, Type *scalar, double value);
Node *binary(Grad *g, Op op, Node *a, Node *b);
Node *struct_of(Grad *g, int count, Node **kids);
Node *make_if(Grad *g, Node *condition, Node *a, Node *b);
Node *make_merge(Grad *g, Node *builder, Node *value);
Node *make_result(Grad *g, Symbol *builder, Type *type);
Node *make_new(Grad *g, Type *builder, Node *argument);
Node *make_lambda(Grad *g, int nparams, Symbol **params, Node *body);
Node *make_for(Grad *g, int iters, Node **iter, Node *builder, Node *lambda);
Node *make_iter(Grad *g, Node *vector);
Node *make_range(Grad *g, Node *start, Node *end); /* from the one to before the other */
Type *builder_of(Grad *g, TypeKind kind, Op op, Type *a, Type *b);
Type *struct_type(Grad *g, int count, Type **types);
/* A function of the language, as text, applied: T becomes f32 or f64 where `scalar` is that. */
Node *apply_text(Grad *g, Type *scalar, const char *text, int count, Symbol **arguments);
void grad_rules_free(Grad *g);
Block *block_open(Grad *g, BlockKind kind);
/* The block's lets around this. */
Node *block_close(Grad *g, Node *result);
/* The lets that a value begins with become the block's; what they stand before is left. */
Node *block_take(Grad *g, Node *value);

/* ---- grad_element.c: what is known of a vector's elements ---- */
/* All elements of this vector, made just now, are this scalar. What every element is, or NULL. */
void note_fill(Grad *g, Symbol *vector, Symbol *scalar);
Symbol *fill_of(const Grad *g, const Symbol *vector);
/* Each iteration of the loop makes an element of the vector: this name in its body. */
void note_loop(Grad *g, Symbol *vector, const Node *loop, const Symbol *value);
const Node *loop_of(const Grad *g, const Symbol *vector);
/* How many operations it takes to compute an element anew; -1: better not, or not by what its loop walks at an index. */
int element_cost(Grad *g, const Symbol *vector);
/* In the block, the element at the index, which the loop makes of these parts, one for each of its iterators; NULL: it
 * cannot be had in this way. */
Symbol *element_anew(Grad *g, const Symbol *vector, Symbol *index, Symbol **parts);
/* The element that the loop makes where an element of the vector `walked` is this value. */
Symbol *element_of(Grad *g, const Symbol *vector, const Symbol *walked, Symbol *value);

/* ---- grad_leaf.c: leaves and adjoints ---- */
Leaves leaves_of(Grad *g, const Type *type);
Type *leaf_scalar(const Type *leaf);
int leaf_rank(const Type *leaf);
Info *info_of(const Grad *g, const Symbol *symbol);
/* Zeros, shaped like a leaf of the value, or of what the primal name stands for. */
Symbol *info_zeros(Grad *g, const Info *info, int number);
Symbol *leaf_zeros(Grad *g, Symbol *value, int number);
Symbol *leaf_of(Grad *g, Symbol *value, int number); /* the leaf itself */
void leaf_add(Grad *g, Info *info, int number, Symbol *adjoint);
/* Adds to an element, or to the elements from the index on if `many`. */
void leaf_add_at(Grad *g, Info *info, int number, Symbol *index, Symbol *adjoint, bool many);
/* The adjoint as a value, of a name of this block; NULL: none, or it was added up elsewhere. */
Symbol *leaf_value(Grad *g, Info *info, int number);
/* The same but for its points, which stay. */
Symbol *leaf_value_but_points(Grad *g, Info *info, int number);
bool leaf_resolve(Grad *g, Info *info, int number); /* is it in a builder? */
Acc *leaf_open(Grad *g, Info *info, int number);    /* it is from now on */
Symbol *acc_now(Grad *g, Block *block, Acc *acc);
void acc_set(Grad *g, Block *block, Acc *acc, Symbol *now);
Leaf *leaf_slot(Grad *g, Info *info, int number); /* of a scalar, in this block */
/* A field of the block's parameter. */
Symbol *param_field(Grad *g, Block *block, int number, Type *type, const char *name);
Leaf leaf_element(Grad *g, Leaf whole, Symbol *index, Block *home);
void acc_add(Grad *g, Leaf at, Symbol *index, Symbol *adjoint);

Import *import_new(Grad *g, Block *block);

/* ---- grad_piece.c: parts of vectors side by side ---- */
/* Adds to the elements from here on; false: not in this way. */
bool leaf_add_piece(Grad *g, Info *info, int number, Symbol *start, Symbol *adjoint);
Symbol *pieces_gather(Grad *g, const Info *info, int number);
void block_set_loop(Grad *g, Block *block, const Node *loop);
/* What a lookup in a loop adds, where the index is the loop's number and a constant; false: not in this way. */
bool stream_add(Grad *g, Info *info, int number, const Node *index, Symbol *adjoint);
void stream_close(Grad *g, const Import *import, Symbol *collected);

/* ---- grad_value.c, grad_tidy.c ---- */
/* A value of the type from adjoints of its leaves (NULL: zeros), shaped like `value`. */
Node *from_leaves(Grad *g, Type *type, Symbol *value, Symbol **leaves, Span span);
Type *leaf_type(Grad *g, const Type *type, int number);
void grad_tidy(Program *program); /* after all derivatives were taken */

/* ---- grad_normal.c, grad_study.c: the primal program in normal form; what depends on what ---- */
void normalize(Grad *g, Node **body);
Node *body_end(Node *body); /* the name that the lets end in */
Info *info_make(Grad *g, Symbol *symbol, Node *def, int depth);
void study(Grad *g, Node *body, int depth);
int type_leaves(const Type *type); /* how many */

/* ---- grad_forward.c: computing anew ---- */
void forward(Grad *g, Node *body); /* the body's lets, in the block */
void forget(Grad *g, Node *body);  /* its names have no values any more */
void bind_value(Grad *g, Symbol *primal, Symbol *now);
void unbind_value(Grad *g, Symbol *primal);
int parts_of(const Type *type);
void bind_state(Grad *g, const Node *lambda, Symbol *state);
Symbol *states_of(Grad *g, Info *iterate); /* all states that its function was given */
/* What the cell becomes by this name when it is another builder of such records. */
Symbol *forward_replaced(Grad *g, Info *info, Cell *cell, Type *replacement, int record);
/* For each value that the loop merges into its cell, in order, the number of the iteration. */
Symbol *forward_sources(Grad *g, const Node *loop, int cell);

/* ---- grad_foreign.c: calls of C functions ---- */
bool foreign_has_rule(Grad *g, const Node *call);
void reverse_foreign(Grad *g, Info *info, Symbol **adjoints);
/* The tangents of its result, by leaf, from those of the arguments' leaves (NULL: zeros); NULL: error set. */
Symbol **foreign_tangents(Grad *g, Info *info, Symbol **along);

/* ---- grad_again.c: what is kept for the adjoints, and what is computed again ---- */
bool again_wanted(Grad *g, Node *body); /* is part of it to be computed again */
void again_reverse(Grad *g,
                   Node *body); /* grad_reverse of such a body, in the block in which it was computed */
Symbol *again_sweep(Grad *g, Info *iterate); /* the last state; sets states, steps and slots */
/* In the block: {what is kept, number, the state before that step}, from such a struct of an earlier state. */
Symbol *again_descend(Grad *g, Info *iterate, Symbol *states, Symbol *step);
/* What is kept when the adjoint of that step is known. */
Node *again_drop(Grad *g, Symbol *states, Symbol *step);

/* ---- grad_loop.c, grad_branch.c, grad_position.c, grad_sequence.c: rules for what has bodies, and builders ---- */
void reverse_for(Grad *g, Info *info);
void reverse_ones(Grad *g,
                  Info *info); /* grad_one.c: of its builders whose results are one of what is merged */
/* Is all that the builder's result holds merged by this loop? */
bool loop_fills(const Grad *g, const Info *info, int cell);
void reverse_iterate(Grad *g, Info *info, Symbol **adjoints);
void reverse_if(Grad *g, Info *info, Symbol **adjoints);
/* What two arms have added is added if the condition is true, or false. */
void close_arms(Grad *g, Symbol *condition, Block *a, Block *b);
void reverse_result(Grad *g, Info *info, Symbol **adjoints);
void reverse_merge(Grad *g, Info *info);
void reverse_new(Grad *g, Info *info);
Symbol *dict_index(Grad *g, Info *dict);
bool can_redo(Grad *g, Node *body); /* false: error set */
Symbol *lookup_in(Grad *g, Symbol *vector, Symbol *index);
/* How many values were merged into the sequence before it became what this name stands for. */
Symbol *position_of(Grad *g, Symbol *symbol, int cell);
int merges_each(Grad *g, const Node *body, int cell); /* iteration; -1: they differ */
Symbol *loop_merges(Grad *g, const Node *loop,
                    int cell); /* the same as a number that is known before it; or NULL */
Symbol *loop_starts(Grad *g, const Node *loop, int cell); /* the number of each iteration's first merge */
Symbol *loop_length(Grad *g, const Node *loop);
Symbol *sums_before(Grad *g, Symbol *counts); /* of each the sum of those before it */
/* What is merged into a cell, as a vector's elements; and a builder of them, which holds what it begins with. */
Type *record_builder(Grad *g, const Cell *cell);
Symbol *records_new(Grad *g, Node *node, Type *builder);
/* The tangent of a leaf of the result, from those of the merged values in order. */
Symbol *sequence_tangent(Grad *g, Cell *cell, Info *result, int leaf, Symbol *merged, Symbol *tangents);
/* The adjoints of a sequence's values, for the builder's result and its adjoints. */
void sequence_adjoints(Grad *g, Cell *cell, Info *result, Symbol **adjoints);

#endif
