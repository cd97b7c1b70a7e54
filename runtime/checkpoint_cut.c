/* checkpoint_cut.c: the state of a checkpoint, for ranks on which it lies in another way than on those that wrote it.
 *
 *     written by 2 ranks, "bw":   FILE: [], 7     FILE.8.0: [1, 2, 3]     FILE.8.1: [4, 5]
 *     3 ranks, "ew":                    [], 7               [1, 2]                  [3, 4]     and [5]
 *     one that runs alone, "":          [1, 2, 3, 4, 5], 7
 *
 * Blocks follow each other in the order of the ranks. A vector that was whole is cut, one in blocks is put together or cut anew,
 * evenly, as it lies in the files, by bytes: what comes out is the entries that these ranks would have written. Each rank looks
 * through the blocks of all twice, a file at a time: first at how long they are, then for what it needs itself.
 */
#include "checkpoint.h"

#include <stdlib.h>
#include <string.h>

static const Span nowhere = {0, 0, 0};

/* A part of a state that is no struct. */
typedef struct Part {
    const Type *type;
    char from, to;             /* letters as KeptState.layout has them */
    int64_t total, begin, end; /* elements: of all blocks; of them, what is needed here */
    int64_t seen;              /* of all so far */
    Buf bytes;                 /* what is needed of those, without their count */
} Part;

typedef struct Cut {
    const CheckpointCut *how;
    const char *path; /* of the file that is looked through */
    Part *parts;
    int count;
    Error *error;
} Cut;

static bool is_vector(const Part *part) {
    return part->type->kind == TY_vec;
}

static bool no_memory(const Cut *cut) {
    return error_set(cut->error, E_OutOfMemory, nowhere, "no memory for the checkpoint %s", cut->how->path);
}

static bool is_damaged(const Cut *cut) {
    return error_set(cut->error, E_File, nowhere,
                     "the checkpoint %s is damaged: its states are not of their type", cut->path);
}

static int count_parts(const Type *type) {
    int count = 0;
    if (type->kind != TY_struct) return 1;
    for (int i = 0; i < type->count; i++) count += count_parts(type->args[i]);
    return count;
}

static char letter(const char *layout, int part) {
    return *layout ? layout[part] : 'w';
}

static void list_parts(Cut *cut, const Type *type, const KeptEntry *entry) {
    for (int i = 0; type->kind == TY_struct && i < type->count; i++) list_parts(cut, type->args[i], entry);
    if (type->kind == TY_struct) return;
    int i = cut->count++;
    cut->parts[i] = (Part){.type = type, .from = letter(entry->layout, i), .to = letter(cut->how->layout, i)};
}

/* ---- looking through ---- */

/* The elements of a part, from *at on, which moves behind the part. They are added up, or taken, if they are in what is needed. */
static bool take_elements(const Cut *cut, Part *part, const char **at, const char *end, bool take) {
    int64_t count, size = part->type->args[0]->size;
    bool even = !part->type->args[0]->pointers;
    if (end - *at < (int64_t)sizeof count) return is_damaged(cut);
    memcpy(&count, *at, sizeof count);
    *at += sizeof count;
    if (count < 0 || count > end - *at || (even && count > (end - *at) / size)) return is_damaged(cut);
    int64_t first = part->begin - part->seen, last = part->end - part->seen;
    first = first < 0 ? 0 : first;
    last = last > count ? count : last;
    const char *from = *at, *to = *at;
    if (even && first < last) {
        from = *at + first * size;
        to = *at + last * size;
    }
    if (even) *at += count * size;
    for (int64_t i = 0; !even && i < count; i++) {
        if (i == first) from = *at;
        if (!value_serialized_skip(part->type->args[0], at, end)) return is_damaged(cut);
        if (i + 1 == last) to = *at;
    }
    if (take && first < last) buf_put(&part->bytes, from, (size_t)(to - from));
    part->seen += count;
    if (!take) part->total += count;
    return !part->bytes.failed || no_memory(cut);
}

/* The parts of an entry that were written with these letters: 'w' or others. */
static bool look_through(const Cut *cut, const KeptEntry *entry, bool whole, bool take) {
    const char *at = entry->bytes, *end = at + entry->size;
    for (int i = 0; i < cut->count; i++) {
        Part *part = &cut->parts[i];
        const char *start = at;
        if ((part->from == 'w') == whole && is_vector(part)) {
            if (!take_elements(cut, part, &at, end, take)) return false;
            continue;
        }
        if (!value_serialized_skip(part->type, &at, end)) return is_damaged(cut);
        if ((part->from == 'w') == whole && take) buf_put(&part->bytes, start, (size_t)(at - start));
        if (part->bytes.failed) return no_memory(cut);
    }
    return at == end || is_damaged(cut);
}

static bool look_through_all(Cut *cut, const KeptEntry *whole, bool take) {
    for (int i = 0; i < cut->count; i++) cut->parts[i].seen = 0;
    cut->path = cut->how->path;
    if (!look_through(cut, whole, true, take)) return false;
    bool ok = true;
    for (int r = 0; ok && checkpoint_has_blocks(whole->layout) && r < cut->how->ranks; r++) {
        CheckpointFile file;
        Buf path = {0};
        ok = checkpoint_block_path(cut->how->path, cut->how->generation, r, &path) || no_memory(cut);
        ok = ok && checkpoint_read_blocks(&file, cut->how, path.text, r, cut->error);
        if (ok) {
            const KeptEntry *entry = checkpoint_find(&file, whole->number);
            cut->path = path.text;
            if (!entry || strcmp(entry->type, whole->type) != 0 || strcmp(entry->layout, whole->layout) != 0)
                ok = is_damaged(cut);
            ok = ok && look_through(cut, entry, false, take);
            checkpoint_release(&file);
        }
        buf_release(&path);
    }
    return ok;
}

/* ---- putting together ---- */

/* The state with the parts that all ranks have, or those of which this rank has a block; of the others nothing. */
static bool put_together(const Cut *cut, bool whole, KeptEntry *entry) {
    static const char nothing[sizeof(int64_t)] = {0};
    Buf bytes = {0};
    for (int i = 0; i < cut->count; i++) {
        const Part *part = &cut->parts[i];
        int64_t count = part->end - part->begin;
        bool here = (part->to == 'w') == whole;
        if (here && is_vector(part)) buf_put(&bytes, (const char *)&count, sizeof count);
        if (here) buf_put(&bytes, part->bytes.text, part->bytes.length);
        int64_t left = part->type->pointers ? (int64_t)sizeof nothing
                                            : part->type->size; /* of nothing: a count, or a zero */
        for (; !here && left > 0; left -= (int64_t)sizeof nothing)
            buf_put(&bytes, nothing, left < (int64_t)sizeof nothing ? (size_t)left : sizeof nothing);
    }
    char *layout = strdup(cut->how->layout);
    if (bytes.failed || !layout) {
        free(layout);
        buf_release(&bytes);
        return no_memory(cut);
    }
    free(entry->bytes);
    free(entry->layout);
    entry->bytes = bytes.text;
    entry->size = (int64_t)bytes.length;
    entry->layout = layout;
    return true;
}

bool checkpoint_cut(const CheckpointCut *how, const Type *type, KeptEntry *whole, KeptEntry *own,
                    Error *error) {
    Cut cut = {.how = how, .error = error, .parts = calloc((size_t)count_parts(type), sizeof *cut.parts)};
    if (!cut.parts) return no_memory(&cut);
    list_parts(&cut, type, whole);
    bool ok = look_through_all(&cut, whole, false);
    for (int i = 0; i < cut.count; i++) {
        Part *part = &cut.parts[i];
        bool all = part->to == 'w';
        part->begin = all ? 0 : block_begin(part->total, how->rank, how->own_ranks);
        part->end = all ? part->total : block_begin(part->total, how->rank + 1, how->own_ranks);
    }
    ok = ok && look_through_all(&cut, whole, true);
    ok = ok && put_together(&cut, true, whole) && (!own || put_together(&cut, false, own));
    for (int i = 0; i < cut.count; i++) buf_release(&cut.parts[i].bytes);
    free(cut.parts);
    return ok;
}
