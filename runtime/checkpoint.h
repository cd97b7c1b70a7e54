/* checkpoint.h: files of states that programs go on from; for checkpoint*.c alone. */
#ifndef CHECKPOINT_H
#define CHECKPOINT_H

#include "rt.h"

/* The state of an iterate: of the whole, or of a rank's blocks. Its texts and bytes are owned. */
typedef struct KeptEntry {
    int64_t number; /* of the iterate */
    bool done;
    char *type, *layout; /* layout: as KeptState.layout, "" for NULL */
    char *bytes;         /* as serialize writes it; parts that lie elsewhere are empty */
    int64_t size;
} KeptEntry;

typedef struct CheckpointFile {
    CheckpointKey key;
    int64_t rank, ranks; /* whose blocks it holds; -1: it holds the whole, for all ranks */
    int64_t generation;  /* of the files of blocks that belong to it; 0: there are none */
    KeptEntry *entries;  /* one for each iterate that was begun */
    int count;
} CheckpointFile;

/* The entry of an iterate, or NULL. */
KeptEntry *checkpoint_find(const CheckpointFile *file, int64_t number);
/* The same, which is made if it is not there. NULL: no memory. */
KeptEntry *checkpoint_entry(CheckpointFile *file, int64_t number, const char *type, const char *layout);
void checkpoint_drop(CheckpointFile *file, KeptEntry *entry); /* which is one of the file's */
/* Replaces the file of this path as a whole. False: error set. */
bool checkpoint_write(const char *path, const CheckpointFile *file, Error *error);
static inline bool hash_same(Hash a, Hash b) {
    return a.low == b.low && a.high == b.high;
}
/* All bytes of a file; *bytes NULL: there is none. The caller frees them. False: error set. */
bool checkpoint_read(const char *path, char **bytes, size_t *size, Error *error);
/* The file of these bytes, checked; the caller releases it in any case. path: for messages. False: error set. */
bool checkpoint_parse(CheckpointFile *file, const char *path, const char *bytes, size_t size, Error *error);
void checkpoint_release(CheckpointFile *file);

/* ---- checkpoint_cut.c ---- */

/* Blocks that lie in the files of so many ranks, FILE.GENERATION.RANK, and who wants them. */
typedef struct CheckpointCut {
    const char *path; /* FILE */
    CheckpointKey key;
    int64_t generation, ranks;
    int rank, own_ranks;
    const char *layout; /* as KeptEntry.layout */
} CheckpointCut;
/* The path of a file of blocks. False: no memory. */
bool checkpoint_block_path(const char *path, int64_t generation, int rank, Buf *out);
/* A file of blocks, checked; the caller releases it if it was read. False: error set. */
bool checkpoint_read_blocks(CheckpointFile *file, const CheckpointCut *from, const char *path, int rank,
                            Error *error);
/* Does a state of this layout lie in such files? */
bool checkpoint_has_blocks(const char *layout);
/* Makes of the whole's entry what it would be if the state lay as cut->layout says, and puts into own this rank's blocks; own may be
 * NULL where there are none. False: error set. */
bool checkpoint_cut(const CheckpointCut *cut, const Type *type, KeptEntry *whole, KeptEntry *own,
                    Error *error);

#endif
