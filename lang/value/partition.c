/* partition.c: merges of a dictmerger dealt out by hash.
 *
 * A table that is larger than the processor's own caches costs a wait for memory, or two, at each merge. So when
 * a dictmerger has very many keys, its merges are only written down, as records, in the partition that the highest
 * bits of the key's hash name:
 *
 *     merges     k1 k5 k1 k9 k5        partition 0   k1/0 k1/2            partition 1   k5/1 k9/3 k5/4
 *
 * Records lie in blocks of a page; each ends in the number of its merge. When a window of blocks is full, and at
 * the end of the loop, the partitions are drained: the records of each are merged, in their order, in a scratch
 * dictionary, which is small enough for the cache and serves one partition after the other. That is done by code
 * for the types of key and value. What stays are the entries, which remember the numbers of their keys' first
 * merges:
 *
 *     records   k1/0 k1/2  ->  scratch  index, entries  ->  drained  {k1, v, 0}
 *
 * and which go back into the scratch dictionary before the next window's records. With the numbers, entries can in
 * the end be put together in the order of first insertion (runtime/gather.c), which is the order that a table
 * without partitions has.
 *
 * What a key's merges are combined to does not change by this: they come in the order of the loop.
 *
 * Where memory for another block is missing, draining frees those that are used. Only a worker that shares a loop
 * with others fails instead, so that what it has drained does not depend on what others allocate.
 *
 * Radix partitioning: Manegold, Boncz, Kersten, Optimizing Main-Memory Join on Modern Hardware, TKDE 2002.
 */
#include "../lang.h"

#include <string.h>

enum { THRESHOLD = 1 << 15, FEW = 4, MOST_MERGES = 1 << 30, TINY_RECORDS = 2 };
enum { FIRST_BLOCKS = 256, MOST_BLOCKS = 1024, TINY_BLOCKS = 8, LEAST_WINDOW = 16384 };
/* Of scratch: entries beyond what its index is made for, at least the records of a block; and so many that an index has slots
 * for them, too. */
enum { SLACK = 512, FIRST_SLOTS = 2 * SLACK };
enum { FIRST_SLAB = 1 << 16, MOST_SLAB = 4 << 20, TINY_SLAB = 4096 };

int64_t partition_threshold(const Worker *worker) {
    return worker->grain ? FEW : THRESHOLD;
}

/* Where there was no memory for it, it is tried again with twice as many keys. */
bool partition_is_due(const Worker *worker, const Dict *dict) {
    int64_t length = dict->length;
    return (dict->many || length >= partition_threshold(worker)) && (length & (length - 1)) == 0;
}

static int64_t *number_of(const Type *entry, void *value) {
    return (int64_t *)(void *)((char *)value - entry->offsets[1] + entry->offsets[2]);
}

/* ---- slabs ---- */

void slabs_free(Worker *worker, Slabs *slabs) {
    while (slabs->list) {
        void *block = slabs->list;
        slabs->list = *(void **)block;
        region_grow(worker->region, block, 0);
    }
    *slabs = (Slabs){.size = 0};
}

void slabs_join(Slabs *slabs, Slabs *other) {
    void **oldest = &other->list;
    while (*oldest) oldest = *oldest;
    *oldest = slabs->list;
    *slabs = *other;
    *other = (Slabs){.size = 0};
}

/* 64-aligned, as a slab's start is. */
static char *slabs_take(Worker *worker, Slabs *slabs, int64_t bytes) {
    enum { LINE = 64 };
    if (bytes > slabs->left) {
        int64_t size = !slabs->size ? FIRST_SLAB : slabs->size < MOST_SLAB ? 2 * slabs->size : MOST_SLAB;
        if (worker->grain) size = TINY_SLAB;
        if (size < bytes + LINE + REGION_HEADER) size = bytes + LINE + REGION_HEADER;
        char *block = region_grow(worker->region, NULL, size - REGION_HEADER);
        if (!block) return NULL;
        *(void **)(void *)block = slabs->list;
        *slabs = (Slabs){block, block + LINE, size - REGION_HEADER - LINE, size};
    }
    char *at = slabs->next;
    bytes = (bytes + LINE - 1) / LINE * LINE;
    if (bytes > slabs->left) bytes = slabs->left;
    slabs->next += bytes;
    slabs->left -= bytes;
    return at;
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

/* ---- draining ---- */

static uint64_t first_slot(const Dict *dict, uint64_t hash) {
    return hash >> dict->shift & dict->mask;
}

/* The entries from `first` on are entered into the index. */
static void enter(Dict *dict, const Type *entry, int64_t first) {
    for (int64_t i = first; i < dict->length; i++) {
        uint64_t hash = key_hash(entry->args[0], dict->entries + i * entry->size);
        uint64_t slot = first_slot(dict, hash);
        while (dict->index[slot]) slot = (slot + 1) & dict->mask;
        dict->index[slot] = hash << 32 | (uint64_t)(i + 1);
    }
}

/* An index for so many keys, and room for SLACK more entries, which are zero: so is their padding. */
static bool scratch_resize(Worker *worker, Dict *dict, const Type *entry, int64_t keys) {
    int64_t slots = FIRST_SLOTS, size = entry->size;
    while (slots < keys * DICT_SPARSE) slots *= 2;
    int64_t capacity = slots / DICT_SPARSE + SLACK;
    if (capacity > UINT32_MAX / 2) return false;
    uint64_t *index = region_grow(worker->region, NULL, slots * (int64_t)sizeof *index);
    char *entries = index ? region_grow(worker->region, NULL, capacity * size) : NULL;
    if (!entries) {
        region_grow(worker->region, index, 0);
        return false;
    }
    memset(index, 0, (size_t)slots * sizeof *index);
    if (dict->length) memcpy(entries, dict->entries, (size_t)(dict->length * size));
    memset(entries + dict->length * size, 0, (size_t)((capacity - dict->length) * size));
    region_grow(worker->region, dict->index, 0);
    region_grow(worker->region, dict->entries, 0);
    *dict = (Dict){.length = dict->length,
                   .capacity = capacity,
                   .mask = (uint64_t)slots - 1,
                   .shift = (uint64_t)(64 - PARTITION_BITS - __builtin_ctzll((uint64_t)slots)),
                   .index = index,
                   .entries = entries};
    enter(dict, entry, 0);
    return true;
}

/* Room for so many more entries, at most SLACK. */
static bool scratch_reserve(Worker *worker, Dict *dict, const Type *entry, int64_t more) {
    if (dict->length + more <= dict->capacity && dict->length <= dict->capacity - SLACK) return true;
    return scratch_resize(worker, dict, entry, dict->length + 1);
}

/* What is known first: its keys are all different. */
static bool scratch_fill(Worker *worker, Dict *dict, const Type *entry, const Drained *first) {
    dict->length = 0;
    if (dict->index && first->length <= dict->capacity - SLACK)
        memset(dict->index, 0, (dict->mask + 1) * sizeof *dict->index);
    else if (!scratch_resize(worker, dict, entry, first->length))
        return false;
    if (first->length) memcpy(dict->entries, first->entries, (size_t)(first->length * entry->size));
    dict->length = first->length;
    enter(dict, entry, 0);
    return true;
}

/* The entry of a key in a dictionary that has room, and whether it is new. */
static char *scratch_insert(Dict *dict, const Type *entry, const char *key, bool *fresh) {
    uint64_t hash = key_hash(entry->args[0], key), slot = first_slot(dict, hash), word;
    for (; (word = dict->index[slot]) != 0; slot = (slot + 1) & dict->mask) {
        char *at = dict->entries + ((int64_t)(uint32_t)word - 1) * entry->size;
        *fresh = false;
        if (word >> 32 == (uint32_t)hash && key_equal(entry->args[0], at, key)) return at;
    }
    *fresh = true;
    dict->index[slot] = hash << 32 | (uint64_t)++dict->length;
    return dict->entries + (dict->length - 1) * entry->size;
}

/* Entries of another dictmerger, whose merges are numbered `later` onwards. */
static bool absorb(Worker *worker, Dict *dict, const Type *entry, Op op, const Drained *from, int64_t later) {
    for (int64_t i = 0; i < from->length; i++) {
        const char *merged = from->entries + i * entry->size;
        bool fresh;
        if (!scratch_reserve(worker, dict, entry, 1)) return false;
        char *at = scratch_insert(dict, entry, merged, &fresh);
        if (fresh) {
            memcpy(at, merged, (size_t)entry->size);
            *number_of(entry, at + entry->offsets[1]) += later;
        } else {
            combine(entry->args[1], op, at + entry->offsets[1], merged + entry->offsets[1]);
        }
    }
    return true;
}

/* The records of a partition that wait. */
static bool drain_records(Worker *worker, const Partitions *parts, int64_t part, Dict *into, int64_t base) {
    int64_t full = (PARTITION_BLOCK - parts->start) / parts->record;
    for (const PartitionBlock *block = parts->first[part]; block; block = block->next) {
        const char *records = (const char *)block + parts->start;
        int64_t count = block->next ? full : (parts->next[part] - records) / parts->record;
        if (block->next) __builtin_prefetch(block->next);
        if (!count) continue;
        if (!scratch_reserve(worker, into, parts->entry, count) ||
            parts->drain(worker, into, records, count, base) != E_None)
            return false;
    }
    return true;
}

bool partition_merge(Worker *worker, Dict *const *from, int64_t count, int64_t part, Op op, Dict *scratch,
                     Slabs *slabs, Drained *out) {
    const Type *entry = from[0]->partitions->entry;
    int64_t later = 0;
    for (int64_t i = 0; i < count; i++) {
        const Partitions *parts = from[i]->partitions;
        bool ok = i ? absorb(worker, scratch, entry, op, &parts->drained[part], later)
                    : scratch_fill(worker, scratch, entry, &parts->drained[part]);
        if (!ok || !drain_records(worker, parts, part, scratch, parts->base + later)) return false;
        later += parts->base + from[i]->merges;
    }
    int64_t bytes = scratch->length * entry->size;
    char *entries = bytes ? slabs_take(worker, slabs, bytes) : NULL;
    if (bytes && !entries) return false;
    if (bytes) memcpy(entries, scratch->entries, (size_t)bytes);
    *out = (Drained){entries, scratch->length};
    return true;
}

/* A window is worth draining when its records are many more bytes than the entries that they are merged to. */
static int64_t next_window(const Worker *worker, const Partitions *parts) {
    int64_t keys = 0, least = worker->grain ? TINY_BLOCKS : LEAST_WINDOW;
    for (int i = 0; i < PARTITIONS; i++) keys += parts->drained[i].length;
    int64_t blocks = keys * 4 * parts->entry->size / PARTITION_BLOCK;
    if (worker->grain) blocks = keys / (4 * TINY_RECORDS);
    return blocks > least ? blocks : least;
}

/* Its blocks are free for others. */
static void recycle(Partitions *parts, int part) {
    if (!parts->first[part]) return;
    parts->last[part]->next = parts->free;
    parts->free = parts->first[part];
    parts->first[part] = parts->last[part] = NULL;
    parts->next[part] = NULL;
}

/* Merges the records of all partitions. */
static bool drain_all(Worker *worker, Dict *dict) {
    Partitions *parts = dict->partitions;
    Dict scratch = {0};
    Slabs slabs = {0}, before = parts->slabs;
    bool ok = true;
    for (int part = 0; ok && part < PARTITIONS; part++) {
        ok = partition_merge(worker, &dict, 1, part, OP_none, &scratch, &slabs, &parts->drained[part]);
        if (ok) recycle(parts, part);
    }
    dict_discard(worker, &scratch);
    if (!ok) {
        slabs_free(worker, &slabs);
        return false;
    }
    parts->slabs = slabs;
    slabs_free(worker, &before);
    parts->base += dict->merges;
    dict->merges = parts->used = 0;
    parts->window = next_window(worker, parts);
    return true;
}

char *partition_room(Worker *worker, Dict *dict, int64_t part, Span span) {
    Partitions *parts = dict->partitions;
    bool full = parts->used >= parts->window || dict->merges >= MOST_MERGES;
    PartitionBlock *block = !full || drain_all(worker, dict) ? block_new(worker, parts) : NULL;
    if (!block && !full && !worker->shares && drain_all(worker, dict)) block = block_new(worker, parts);
    if (!block) {
        worker_fail(worker, E_OutOfMemory, span, PARTITION_BLOCK,
                    budget_limit(region_budget(worker->region)));
        return NULL;
    }
    if (parts->last[part])
        parts->last[part]->next = block;
    else
        parts->first[part] = block;
    parts->last[part] = block;
    return parts->next[part] = (char *)block + parts->start;
}

/* ---- beginning and end ---- */

static void chunks_free(Worker *worker, Partitions *parts) {
    while (parts->chunks) {
        void *chunk = parts->chunks;
        parts->chunks = *(void **)chunk;
        region_grow(worker->region, chunk, 0);
    }
}

void partitions_free(Worker *worker, Partitions *parts) {
    if (!parts) return;
    slabs_free(worker, &parts->slabs);
    chunks_free(worker, parts);
    region_grow(worker->region, parts, 0);
}

void partitions_clear(Worker *worker, Partitions *parts) {
    slabs_free(worker, &parts->slabs);
    chunks_free(worker, parts);
    memset(parts->first, 0, sizeof parts->first);
    memset(parts->last, 0, sizeof parts->last);
    memset(parts->next, 0, sizeof parts->next);
    memset(parts->drained, 0, sizeof parts->drained);
    parts->free = NULL;
    parts->fresh_blocks = parts->used = parts->size = 0;
}

/* Room in partitions for the dictionary's entries, and for one more in partition `extra` unless that is < 0. */
static bool open_drained(Worker *worker, const Dict *dict, int64_t size, Partitions *parts, int64_t extra) {
    const Type *key = parts->entry->args[0];
    int64_t counts[PARTITIONS] = {0}, bytes = (dict->length + 1) * parts->entry->size;
    for (int64_t i = 0; i < dict->length; i++)
        counts[key_hash(key, dict->entries + i * size) >> (64 - PARTITION_BITS)]++;
    if (extra >= 0) counts[extra]++;
    char *entries = slabs_take(worker, &parts->slabs, bytes);
    if (!entries) return false;
    memset(entries, 0, (size_t)bytes);
    for (int part = 0; part < PARTITIONS; part++) {
        parts->drained[part] = (Drained){entries, 0};
        entries += counts[part] * parts->entry->size;
    }
    return true;
}

/* The value of a new entry. */
static char *append(Partitions *parts, const void *key, uint64_t hash) {
    const Type *entry = parts->entry;
    Drained *drained = &parts->drained[hash >> (64 - PARTITION_BITS)];
    char *at = drained->entries + drained->length++ * entry->size, *value = at + entry->offsets[1];
    memcpy(at, key, (size_t)entry->args[0]->size);
    *number_of(entry, value) = parts->base++;
    return value;
}

static bool move_entries(Worker *worker, const Dict *dict, Partitions *parts, int64_t extra) {
    const Type *entry = parts->entry, *key = entry->args[0];
    EntryType room;
    Type plain = {.kind = TY_dict, .count = 2, .args = entry->args};
    int64_t size = dict_entry_layout(&plain, &room)->size;
    if (!open_drained(worker, dict, size, parts, extra)) return false;
    for (int64_t i = 0; i < dict->length; i++) {
        const char *from = dict->entries + i * size;
        char *value = append(parts, from, key_hash(key, from));
        memcpy(value, from + entry->offsets[1], (size_t)entry->args[1]->size);
    }
    return true;
}

void *partition_begin(Worker *worker, Dict *dict, const Type *entry, PartitionDrain drain, int64_t record,
                      const void *key, uint64_t hash) {
    if (dict->values < 0) return NULL;
    Error before = worker->error;
    Partitions *parts = region_grow(worker->region, NULL, sizeof *parts);
    if (!parts) return NULL;
    memset(parts, 0, sizeof *parts);
    parts->entry = entry;
    parts->drain = drain;
    parts->record = record;
    parts->start = PARTITION_BLOCK - (PARTITION_BLOCK - (int64_t)sizeof(PartitionBlock)) / record * record;
    if (worker->grain) parts->start = PARTITION_BLOCK - TINY_RECORDS * record;
    parts->window = worker->grain ? TINY_BLOCKS : LEAST_WINDOW;
    int64_t extra = key ? (int64_t)(hash >> (64 - PARTITION_BITS)) : -1;
    if (!chunk_new(worker, parts) || !move_entries(worker, dict, parts, extra)) {
        partitions_free(worker, parts);
        worker->error = before;
        return NULL;
    }
    uint32_t *direct = dict->direct;
    dict->direct = NULL;
    dict_discard(worker, dict);
    *dict = (Dict){.partitions = parts, .direct = direct};
    dict_clear_direct(dict, entry);
    return key ? (void *)append(parts, key, hash) : parts;
}
