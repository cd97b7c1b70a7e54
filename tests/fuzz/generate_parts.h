/* generate_parts.h: what the files of the generator share: generate.c (choices, types, names, constants, the
 * table), generate_values.c and generate_loops.c (the productions).
 */
#ifndef GENERATE_PARTS_H
#define GENERATE_PARTS_H

#include "generate.h"

enum { MOST_VARS = 64 };

typedef struct Var {
    int number;
    Type *type;
} Var;

typedef struct Gen {
    Program *program; /* for its types */
    TypeTable *types;
    uint64_t state;
    Buf *out;
    Var vars[MOST_VARS];
    int count, names; /* variables in scope; names given out */
    int fuel;         /* expressions to be written yet */
    int loops;        /* around this point */
    Type *palette[3]; /* scalars that this program uses most, so that names find uses */
    bool exact;
    bool dense; /* arithmetic alone */
} Gen;

/* Writes an expression of this type, at most so deep. */
void gen_expr(Gen *g, Type *type, int depth);
#define PRODUCTION(id, weight, dense, fits, doc) \
    bool fits_##fits(Gen *g, const Type *type);  \
    void write_##id(Gen *g, Type *type, int depth);
#include "productions.def"

/* ---- choices ---- */
int gen_below(Gen *g, int count);
bool gen_chance(Gen *g, int percent);
bool gen_guarded(Gen *g); /* mostly true */
uint64_t gen_next(Gen *g);

/* ---- text ---- */
void gen_put(Gen *g, const char *text);
void gen_put_type(Gen *g, const Type *type);
void gen_literal(Gen *g, Type *type); /* the least that has the type */
void gen_elements(Gen *g, Type *element, int count, int depth);

/* ---- types ---- */
Type *gen_scalar(Gen *g, TypeKind kind);
bool gen_has_float(const Type *type);
bool gen_is_number(const Type *type);
bool gen_is_combinable(const Type *type);
bool gen_decides(Gen *g, const Type *type); /* may its values be compared, be keys? */
Type *gen_random_scalar(Gen *g);
Type *gen_random_combinable(Gen *g);
Type *gen_random_key(Gen *g, int depth);
Type *gen_random_type(Gen *g, int depth);
Type *gen_random_element(Gen *g); /* of a vector in scope, mostly, so that loops follow on one another */

/* ---- names ---- */
/* Brings a name into scope; the caller restores g->count when it ends. */
int gen_name(Gen *g, Type *type);
bool gen_put_var(Gen *g, const Type *type); /* a variable or a field of one; false: there is none */
int gen_find_vec(Gen *g);                   /* a vector in scope: its place in g->vars, or -1 */

/* ---- operators ---- */
bool gen_op_inexact(Op op);
Op gen_random_op(Gen *g, char form, const Type *type); /* OP_none: there is none */
Op gen_random_reduction(Gen *g, const Type *type);

#endif
