/* partition.c: merges of a dictmerger dealt out by hash.
 *
 * A table that is larger than the processor's own caches costs a wait for memory, or two, at each merge. So when
 * a dictmerger has very many keys, its merges are only written down, as records, in the partition that the highest
 * bits of the key's hash name:
 *
 *     merges     k1 k5 k1 k9 k5        partition 0   k1/0 k1/2            partition 1   k5/1 k9/3 k5/4
 *
 * Records lie in blocks of a page; each ends in the number of its merge. When a window of blocks is full, and at
 * the end of the loop, the partitions are drained: the records of each are merged, in their order, into a
 * dictionary of its own, which is small enough for the cache. That is done by code for the types of key and value.
 * An entry remembers the number of its key's first merge, and so the dictionaries can in the end be put together in
 * the order of first insertion (runtime/gather.c), which is the order that a table without partitions has.
 *
 * What a key's merges are combined to does not change by this: they come in the order of the loop.
 *
 * Where memory for another block is missing, draining frees those that are used. Only a worker that shares a loop
 * with others fails instead, so that what it has drained does not depend on what others allocate.
 *
 * Radix partitioning: Manegold, Boncz, Kersten, Optimizing Main-Memory Join on Modern Hardware, TKDE 2002.
 */
#include "lang.h"

#include <string.h>

enum { THRESHOLD = 1 << 15, FEW = 4, MOST_MERGES = 1 << 30, TINY_RECORDS = 2 };
enum { FIRST_BLOCKS = 256, MOST_BLOCKS = 1024, TINY_BLOCKS = 8, LEAST_WINDOW = 8192 };

int64_t partition_threshold(const Worker *worker) {
    return worker->grain ? FEW : THRESHOLD;
}

static int64_t *number_of(const Type *entry, void *value) {
    return (int64_t *)(void *)((char *)value - entry->offsets[1] + entry->offsets[2]);
}

/* A partition has no dictionary until it needs one. */
static bool open_dict(Worker *worker, Dict *dict, const Type *entry, Span span) {
    return dict->index || dict_open(worker, dict, entry, PARTITION_BITS, 0, span);
}

void *partition_insert(Worker *worker, Partitions *parts, const void *key, uint64_t hash, Span span) {
    bool fresh;
    Dict *dict = &parts->dict[hash >> (64 - PARTITION_BITS)];
    if (!open_dict(worker, dict, parts->entry, span)) return NULL;
    void *value = dict_insert(worker, dict, parts->entry, key, hash, &fresh, span);
    if (value) *number_of(parts->entry, value) = parts->base++;
    return value;
}

/* ---- blocks ---- */

/* Room for more blocks, page by page behind a pointer to the chunk before. With the region's header it is a power
 * of two, the sizes that allocators like best. */
static bool chunk_new(Worker *worker, Partitions *parts) {
    int64_t first = worker->grain ? TINY_BLOCKS : FIRST_BLOCKS;
    int64_t size = !parts->size ? first : parts->size < MOST_BLOCKS ? 2 * parts->size : MOST_BLOCKS;
    int64_t bytes = size * PARTITION_BLOCK - REGION_HEADER;
    char *chunk = region_grow(worker->region, NULL, bytes);
    if (!chunk) return false;
    *(void **)(void *)chunk = parts->chunks;
    parts->chunks = chunk;
    parts->fresh = chunk + PARTITION_BLOCK - (uintptr_t)chunk % PARTITION_BLOCK;
    parts->fresh_blocks = (chunk + bytes - parts->fresh) / PARTITION_BLOCK;
    parts->size = size;
    return true;
}

static PartitionBlock *block_new(Worker *worker, Partitions *parts) {
    PartitionBlock *block = parts->free;
    if (block) {
        parts->free = block->next;
    } else {
        if (!parts->fresh_blocks && !chunk_new(worker, parts)) return NULL;
        block = (void *)parts->fresh;
        parts->fresh += PARTITION_BLOCK;
        parts->fresh_blocks--;
    }
    block->next = NULL;
    parts->used++;
    return block;
}

char *partition_room(Worker *worker, Dict *dict, int64_t part, Span span) {
    Partitions *parts = dict->partitions;
    if ((parts->used >= parts->window || dict->merges >= MOST_MERGES) && partitions_drain(worker, dict))
        return NULL;
    PartitionBlock *block = block_new(worker, parts);
    if (!block && !worker->shares) {
        if (partitions_drain(worker, dict)) return NULL;
        block = block_new(worker, parts);
    }
    if (!block) {
        worker_fail(worker, E_OutOfMemory, span, PARTITION_BLOCK, region_budget(worker->region)->limit);
        return NULL;
    }
    if (parts->last[part])
        parts->last[part]->next = block;
    else
        parts->first[part] = block;
    parts->last[part] = block;
    return parts->next[part] = (char *)block + parts->start;
}

/* ---- draining ---- */

ErrorCode partition_drain(Worker *worker, const Partitions *parts, int64_t part, Dict *into, int64_t base) {
    int64_t full = (PARTITION_BLOCK - parts->start) / parts->record;
    for (const PartitionBlock *block = parts->first[part]; block; block = block->next) {
        const char *records = (const char *)block + parts->start;
        int64_t count = block->next ? full : (parts->next[part] - records) / parts->record;
        if (!open_dict(worker, into, parts->entry, (Span){0, 0, 0})) return E_OutOfMemory;
        ErrorCode code = count ? parts->drain(worker, into, records, count, base) : E_None;
        if (code != E_None) return code;
    }
    return E_None;
}

/* A window is worth draining when its records are about as many bytes as the tables that they go through. */
static int64_t next_window(const Worker *worker, const Partitions *parts) {
    int64_t keys = 0;
    if (worker->grain) return TINY_BLOCKS;
    for (int i = 0; i < PARTITIONS; i++) keys += parts->dict[i].length;
    int64_t blocks = keys * 2 * (parts->entry->size + 8 * DICT_SPARSE) / PARTITION_BLOCK;
    return blocks > LEAST_WINDOW ? blocks : LEAST_WINDOW;
}

ErrorCode partitions_drain(Worker *worker, Dict *dict) {
    Partitions *parts = dict->partitions;
    for (int part = 0; part < PARTITIONS; part++) {
        if (!parts->first[part]) continue;
        ErrorCode code = partition_drain(worker, parts, part, &parts->dict[part], parts->base);
        if (code != E_None) return code;
        parts->last[part]->next = parts->free;
        parts->free = parts->first[part];
        parts->first[part] = parts->last[part] = NULL;
        parts->next[part] = NULL;
    }
    parts->base += dict->merges;
    dict->merges = parts->used = 0;
    parts->window = next_window(worker, parts);
    return E_None;
}

bool partition_absorb(Worker *worker, Dict *into, const Dict *from, const Type *entry, Op op, int64_t later,
                      Span span) {
    const Type *key = entry->args[0], *type = entry->args[1];
    for (int64_t i = 0; i < from->length; i++) {
        char *at = from->entries + i * entry->size, *merged = at + entry->offsets[1];
        bool fresh;
        void *value = dict_insert(worker, into, entry, at, key_hash(key, at), &fresh, span);
        if (!value) return false;
        if (fresh) {
            memcpy(value, merged, (size_t)type->size);
            *number_of(entry, value) = *number_of(entry, merged) + later;
        } else {
            combine(type, op, value, merged);
        }
    }
    return true;
}

/* ---- beginning and end ---- */

void partitions_free(Worker *worker, Partitions *parts) {
    if (!parts) return;
    for (int part = 0; part < PARTITIONS; part++) dict_discard(worker, &parts->dict[part]);
    while (parts->chunks) {
        void *chunk = parts->chunks;
        parts->chunks = *(void **)chunk;
        region_grow(worker->region, chunk, 0);
    }
    region_grow(worker->region, parts, 0);
}

static bool move_entries(Worker *worker, const Dict *dict, Partitions *parts) {
    const Type *entry = parts->entry, *key = entry->args[0];
    EntryType room;
    Type plain = {.kind = TY_dict, .count = 2, .args = entry->args};
    int64_t size = dict_entry_layout(&plain, &room)->size;
    for (int64_t i = 0; i < dict->length; i++) {
        const char *from = dict->entries + i * size;
        void *value = partition_insert(worker, parts, from, key_hash(key, from), (Span){0, 0, 0});
        if (!value) return false;
        memcpy(value, from + entry->offsets[1], (size_t)entry->args[1]->size);
    }
    return true;
}

bool partition_begin(Worker *worker, Dict *dict, const Type *entry, PartitionDrain drain, int64_t record) {
    if (dict->values < 0) return false;
    Error before = worker->error;
    Partitions *parts = region_grow(worker->region, NULL, sizeof *parts);
    if (!parts) return false;
    memset(parts, 0, sizeof *parts);
    parts->entry = entry;
    parts->drain = drain;
    parts->record = record;
    parts->start = PARTITION_BLOCK - (PARTITION_BLOCK - (int64_t)sizeof(PartitionBlock)) / record * record;
    if (worker->grain) parts->start = PARTITION_BLOCK - TINY_RECORDS * record;
    parts->window = worker->grain ? TINY_BLOCKS : LEAST_WINDOW;
    if (!chunk_new(worker, parts) || !move_entries(worker, dict, parts)) {
        partitions_free(worker, parts);
        worker->error = before;
        return false;
    }
    uint32_t *direct = dict->direct;
    dict->direct = NULL;
    dict_discard(worker, dict);
    *dict = (Dict){.partitions = parts, .direct = direct};
    dict_clear_direct(dict, entry);
    return true;
}
