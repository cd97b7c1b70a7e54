/* cut.h: the ways in which ranks pass arguments to a program: what the tests run everything in. */
#ifndef CUT_H
#define CUT_H

#include "../../runtime/rt.h"

typedef enum Mode {
    WHOLE,  /* all ranks the whole */
    BLOCKS, /* each its block, cut evenly */
    PARTS,  /* each a block of another length */
    ROOT,   /* rank 0 all */
    MODES
} Mode;
static const char *const mode_names[MODES] = {"", " [blocks]", " [parts]", " [root]"};

static inline void mode_settings(weld_conf_t conf, Mode mode) {
    weld_conf_set(conf, "weld.cluster", "mpi");
    weld_conf_set(conf, "weld.cluster.blocks", mode == BLOCKS ? "*" : "");
    weld_conf_set(conf, "weld.cluster.parts", mode == PARTS ? "*" : "");
    weld_conf_set(conf, "weld.cluster.root", mode == ROOT ? "*" : "");
}

/* Where a rank's elements begin: of parts, the later ranks have more. */
static inline int64_t mode_cut(Mode mode, int64_t length, int64_t rank, int64_t ranks) {
    if (mode == ROOT) return rank ? length : 0;
    return mode == PARTS ? length * rank * rank / (ranks * ranks) : block_begin(length, rank, ranks);
}

/* Vectors of a value, and of a struct's fields, are cut to what this rank passes. */
static inline void mode_apply(Mode mode, int rank, int ranks, const Type *type, char *at) {
    if (type->kind == TY_vec && mode != WHOLE) {
        Vec *vec = (Vec *)(void *)at;
        int64_t begin = mode_cut(mode, vec->length, rank, ranks),
                end = mode_cut(mode, vec->length, rank + 1, ranks);
        *vec = (Vec){vec->data ? (char *)vec->data + begin * type->args[0]->size : NULL, end - begin};
    }
    for (int i = 0; type->kind == TY_struct && i < type->count; i++)
        mode_apply(mode, rank, ranks, type->args[i], at + type->offsets[i]);
}

#endif
