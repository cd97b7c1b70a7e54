/* eval.h: what the files of the interpreter share: eval.c (the core), eval_data.c (vectors, dictionaries,
 * bytes), eval_loop.c (for, iterate, sort) and eval_builder.c.
 */
#ifndef EVAL_H
#define EVAL_H

#include "../lang.h"

/* A stretch of the run after which memory may be freed: an iteration, a comparison, a whole iterate. */
typedef struct Level Level;
struct Level {
    Level *outer;
    RegionMark memory, temporaries;
    const void
        *escaped; /* the builder, older than the level, that last took a pointer to its memory, or NULL */
};

/* One evaluation of a program. */
typedef struct Eval {
    Worker *worker;
    Region *frame; /* the values of names */
    Region *temp;  /* temporaries too large for a Cell, until the level ends */
    void **slots;  /* by symbol id: where the name's value lies, or NULL */
    Level *level;
    uint32_t ticks;
} Eval;

/* Room for a scalar, a simd value or a small struct. */
typedef union Cell {
    _Alignas(16) char bytes[64];
    int64_t word;
} Cell;

#define TRY(call)                 \
    do {                          \
        ErrorCode code_ = (call); \
        if (code_) return code_;  \
    } while (0)

/* ---- eval.c ---- */
ErrorCode eval(Eval *e, const Node *node, void *out); /* out: room for the node's type */
/* The value of a node where it lies, or in *cell, or in a temporary. Not to be written to. */
ErrorCode eval_operand(Eval *e, const Node *node, Cell *cell, const void **at);
ErrorCode eval_slot(Eval *e, const Symbol *symbol, void **slot);
ErrorCode eval_temporary(Eval *e, int64_t bytes, Span span, void **at);
ErrorCode eval_i64(Eval *e, const Node *node, int64_t *value);
ErrorCode eval_poll(Eval *e, Span span); /* now and then looks whether the run was cancelled */
void level_enter(Eval *e, Level *level);
void level_leave(Eval *e,
                 Level *level); /* frees what was allocated in it, unless a builder holds some of it */
void level_escape(Eval *e,
                  const void *state); /* a builder with that state now holds pointers to new memory */

#define NODE(id, spelling, least, most, traits, usage, doc) \
    ErrorCode eval_##id(Eval *e, const Node *node, void *out);
#include "../ops.def"

#endif
