/* checkpoint_file.c: how checkpoints lie in files.
 *
 *     FileHeader | for each iterate: EntryHeader, its type and layout as texts, its state as serialize writes it
 *
 * The checksum is of all but itself. Files are replaced as a whole (file.c): who finds one finds all of it, unless it was
 * cut off or changed later, which reading tells. Numbers are little-endian.
 */
#include "checkpoint.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const Span nowhere = {0, 0, 0};

typedef struct FileHeader {
    char magic[8];
    int64_t version, count, rest; /* count: of entries; rest: bytes behind the header */
    int64_t rank, ranks, generation;
    CheckpointKey key;
    Hash check;
} FileHeader;
typedef struct EntryHeader {
    int64_t number, done;
    int64_t sizes[3]; /* of type, layout and state */
} EntryHeader;
static const char magic[8] = {'w', 'e', 'l', 'd', 'c', 'k', 'p', 't'};
enum { VERSION = 1, PARTS = 4 /* of an entry */ };

static bool out_of_memory(Error *error, const char *path) {
    return error_set(error, E_OutOfMemory, nowhere, "no memory for the checkpoint %s", path);
}

/* ---- entries ---- */

KeptEntry *checkpoint_find(const CheckpointFile *file, int64_t number) {
    for (int i = 0; i < file->count; i++) {
        if (file->entries[i].number == number) return &file->entries[i];
    }
    return NULL;
}

KeptEntry *checkpoint_entry(CheckpointFile *file, int64_t number, const char *type, const char *layout) {
    KeptEntry *entry = checkpoint_find(file, number);
    if (entry) return entry;
    KeptEntry *grown = realloc(file->entries, ((size_t)file->count + 1) * sizeof *grown);
    if (!grown) return NULL;
    file->entries = grown;
    entry = &grown[file->count];
    *entry = (KeptEntry){.number = number, .type = strdup(type), .layout = strdup(layout)};
    if (entry->type && entry->layout) return &grown[file->count++];
    free(entry->type);
    free(entry->layout);
    return NULL;
}

static void entry_release(KeptEntry *entry) {
    free(entry->type);
    free(entry->layout);
    free(entry->bytes);
}

void checkpoint_drop(CheckpointFile *file, KeptEntry *entry) {
    entry_release(entry);
    *entry = file->entries[--file->count];
}

void checkpoint_release(CheckpointFile *file) {
    for (int i = 0; i < file->count; i++) entry_release(&file->entries[i]);
    free(file->entries);
    *file = (CheckpointFile){.rank = file->rank, .ranks = file->ranks, .key = file->key};
}

/* ---- writing ---- */

static Hash header_check(FileHeader header) {
    header.check = (Hash){0, 0};
    return hash_two(hash_start, (const char *)&header, sizeof header);
}

bool checkpoint_write(const char *path, const CheckpointFile *file, Error *error) {
    size_t count = (size_t)file->count;
    EntryHeader *entries = calloc(count + 1, sizeof *entries);
    const char **parts = calloc(PARTS * count + 1, sizeof *parts);
    size_t *sizes = calloc(PARTS * count + 1, sizeof *sizes);
    bool ok = entries && parts && sizes;
    FileHeader header = {.version = VERSION,
                         .count = file->count,
                         .rank = file->rank,
                         .ranks = file->ranks,
                         .generation = file->generation,
                         .key = file->key};
    memcpy(header.magic, magic, sizeof magic);
    for (size_t i = 0; ok && i < count; i++) {
        const KeptEntry *entry = &file->entries[i];
        entries[i] =
            (EntryHeader){entry->number,
                          entry->done,
                          {(int64_t)strlen(entry->type), (int64_t)strlen(entry->layout), entry->size}};
        const char *own[PARTS] = {(const char *)&entries[i], entry->type, entry->layout, entry->bytes};
        for (int k = 0; k < PARTS; k++) {
            parts[PARTS * i + 1 + (size_t)k] = own[k];
            sizes[PARTS * i + 1 + (size_t)k] = k ? (size_t)entries[i].sizes[k - 1] : sizeof *entries;
            header.rest += (int64_t)sizes[PARTS * i + 1 + (size_t)k];
        }
    }
    if (ok) {
        Hash check = header_check(header);
        for (size_t i = 1; i <= PARTS * count; i++) check = hash_two(check, parts[i], sizes[i]);
        header.check = check;
        parts[0] = (const char *)&header;
        sizes[0] = sizeof header;
        ok = file_replace(path, parts, sizes, (int)(PARTS * count + 1)) ||
             error_set(error, errno == ENOMEM ? E_OutOfMemory : E_File, nowhere,
                       "cannot write the checkpoint %s: %s", path, strerror(errno));
    } else {
        out_of_memory(error, path);
    }
    free(entries);
    free(parts);
    free(sizes);
    return ok;
}

/* ---- reading ---- */

bool checkpoint_read(const char *path, char **bytes, size_t *size, Error *error) {
    struct stat status;
    int file = open(path, O_RDONLY | O_CLOEXEC);
    *bytes = NULL;
    *size = 0;
    if (file < 0 && errno == ENOENT) return true;
    bool ok = file >= 0 && fstat(file, &status) == 0;
    if (ok) {
        *size = (size_t)status.st_size;
        *bytes = malloc(*size + 1);
        ok = *bytes && file_read(file, *bytes, *size);
    }
    int why = errno;
    if (file >= 0) close(file);
    if (ok) return true;
    free(*bytes);
    *bytes = NULL;
    return error_set(error, why == ENOMEM ? E_OutOfMemory : E_File, nowhere,
                     "cannot read the checkpoint %s: %s", path, strerror(why));
}

static bool is_cut_off(Error *error, const char *path, size_t size) {
    return error_set(error, E_File, nowhere, "the checkpoint %s is cut off: %zu of its bytes are there", path,
                     size);
}

static bool is_damaged(Error *error, const char *path) {
    return error_set(error, E_File, nowhere,
                     "the checkpoint %s is damaged: its checksum is not that of its bytes", path);
}

static bool read_header(FileHeader *header, const char *path, const char *bytes, size_t size, Error *error) {
    size_t start = size < sizeof magic ? size : sizeof magic;
    if (size == 0 || memcmp(bytes, magic, start) != 0)
        return error_set(error, E_File, nowhere, "%s is no checkpoint: another program wrote it", path);
    if (size < sizeof *header) return is_cut_off(error, path, size);
    memcpy(header, bytes, sizeof *header);
    if (header->version != VERSION)
        return error_set(error, E_File, nowhere,
                         "the checkpoint %s is of version %lld of such files; version %d can be read", path,
                         (long long)header->version, VERSION);
    if (header->rest < 0 || (uint64_t)header->rest > size - sizeof *header)
        return is_cut_off(error, path, size);
    return (uint64_t)header->rest == size - sizeof *header || is_damaged(error, path);
}

/* The next entry, at *at, which moves behind it. NULL: it is not there. */
static const EntryHeader *next_entry(const char *bytes, size_t size, size_t *at, EntryHeader *entry,
                                     const char *parts[3]) {
    if (size - *at < sizeof *entry) return NULL;
    memcpy(entry, bytes + *at, sizeof *entry);
    *at += sizeof *entry;
    for (int k = 0; k < 3; k++) {
        if (entry->sizes[k] < 0 || (uint64_t)entry->sizes[k] > size - *at) return NULL;
        parts[k] = bytes + *at;
        *at += (size_t)entry->sizes[k];
    }
    return entry;
}

static bool take_entry(CheckpointFile *file, const EntryHeader *header, const char *const parts[3]) {
    char *type = strndup(parts[0], (size_t)header->sizes[0]),
         *layout = strndup(parts[1], (size_t)header->sizes[1]);
    KeptEntry *entry = type && layout ? checkpoint_entry(file, header->number, type, layout) : NULL;
    free(type);
    free(layout);
    if (!entry) return false;
    free(entry->bytes);
    entry->done = header->done != 0;
    entry->size = header->sizes[2];
    entry->bytes = malloc((size_t)entry->size + 1);
    if (entry->bytes) memcpy(entry->bytes, parts[2], (size_t)entry->size);
    return entry->bytes != NULL;
}

bool checkpoint_parse(CheckpointFile *file, const char *path, const char *bytes, size_t size, Error *error) {
    FileHeader header;
    *file = (CheckpointFile){0};
    if (!read_header(&header, path, bytes, size, error)) return false;
    EntryHeader entry;
    const char *parts[3];
    size_t at = sizeof header;
    Hash check = header_check(header);
    for (int64_t i = 0; i < header.count; i++) {
        size_t begin = at;
        if (!next_entry(bytes, size, &at, &entry, parts)) return is_damaged(error, path);
        check = hash_two(check, bytes + begin, sizeof entry);
        for (int k = 0; k < 3; k++) check = hash_two(check, parts[k], (size_t)entry.sizes[k]);
    }
    if (at != size || check.low != header.check.low || check.high != header.check.high)
        return is_damaged(error, path);
    file->key = header.key;
    file->rank = header.rank;
    file->ranks = header.ranks;
    file->generation = header.generation;
    at = sizeof header;
    for (int64_t i = 0; i < header.count; i++) {
        if (!take_entry(file, next_entry(bytes, size, &at, &entry, parts), parts))
            return out_of_memory(error, path);
    }
    return true;
}

/* ---- files of blocks ---- */

bool checkpoint_has_blocks(const char *layout) {
    return layout && strpbrk(layout, "be") != NULL;
}

bool checkpoint_block_path(const char *path, int64_t generation, int rank, Buf *out) {
    buf_printf(out, "%s.%lld.%d", path, (long long)generation, rank);
    return !out->failed;
}

bool checkpoint_read_blocks(CheckpointFile *file, const CheckpointCut *from, const char *path, int rank,
                            Error *error) {
    char *bytes = NULL;
    size_t size;
    *file = (CheckpointFile){0};
    bool ok = checkpoint_read(path, &bytes, &size, error);
    if (ok && !bytes) ok = error_set(error, E_File, nowhere, "the checkpoint %s is not there", path);
    ok = ok && checkpoint_parse(file, path, bytes, size, error);
    if (ok && (file->rank != rank || file->generation != from->generation ||
               !hash_same(file->key.program, from->key.program)))
        ok = error_set(error, E_File, nowhere, "the checkpoint %s does not belong to %s", path, from->path);
    free(bytes);
    if (!ok) checkpoint_release(file);
    return ok;
}
