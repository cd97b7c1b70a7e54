/* dict.c: dictionaries, and the groups of a groupmerger.
 *
 * Entries lie densely in the order in which their keys came; an index of hashed slots leads to them:
 *
 *     index    [ 0 | tag,2 | 0 | 0 | tag,1 | tag,3 | 0 | 0 ]      slot = the hash's highest bits,
 *     entries  [ {k1, v1} | {k2, v2} | {k3, v3} | room  ]         then the next ones; tag = its lower half
 *
 * so that walking is sequential and a probe touches one word of the index until a tag agrees. The index is
 * doubled when a quarter of it is used. While a builder grows, index and entries are builders' blocks of the
 * region; finishing settles them. A dictionary that is finished has values == -1 and no room, so that whoever
 * inserts more comes to dict_grow, which moves it back into growing blocks. Only one that nobody can merge to any
 * more may have a table instead of the index (table.c).
 *
 * A group that grows keeps all values in merge order in one array beside the number of each one's entry, and
 * in an entry's vector only the count. Finishing is a counting sort: each entry's vector gets its part of one
 * buffer, then the values are dealt out in order.
 *
 *     value a b c d e    group 0 1 0 0 1    ->    buffer [a c d | b e]
 */
#include "../lang.h"

#include <stdlib.h>
#include <string.h>

enum { FIRST_BITS = 4 }; /* of slots */

static uint64_t slot_word(uint64_t hash, int64_t number) {
    return hash << 32 | (uint64_t)(number + 1);
}

static uint64_t first_slot(const Dict *dict, uint64_t hash) {
    return hash >> dict->shift & dict->mask;
}

/* ---- the type of entries ---- */

const Type *dict_entry_layout(const Type *type, EntryType *room) {
    memset(room, 0, sizeof *room);
    Type *key = type->args[0], *value = type->args[1];
    if (type->kind == TY_groupmerger) {
        room->element = value;
        room->group = (Type){.kind = TY_vec, .pointers = true, .count = 1, .args = &room->element};
        room->group.size = sizeof(Vec);
        room->group.align = 8;
        value = &room->group;
    }
    room->parts[0] = key;
    room->parts[1] = value;
    room->offsets[1] = (key->size + value->align - 1) / value->align * value->align;
    Type *entry = &room->entry;
    entry->kind = TY_struct;
    entry->pointers = key->pointers || value->pointers;
    entry->count = 2;
    entry->args = room->parts;
    entry->offsets = room->offsets;
    entry->align = key->align > value->align ? key->align : value->align;
    entry->size = (room->offsets[1] + value->size + entry->align - 1) / entry->align * entry->align;
    return entry;
}

Type *dict_entry_type(TypeTable *table, const Type *type) {
    Type *parts[2] = {type->args[0], type->args[1]};
    if (type->kind == TY_groupmerger) parts[1] = type_vec(table, parts[1]);
    return type_make(table, TY_struct, OP_none, 2, parts);
}

/* ---- growing ---- */

/* region_grow of a builder's block for count things, never of no bytes at all. */
static void *grow(Worker *worker, void *block, int64_t count, int64_t size, Span span) {
    int64_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) bytes = INT64_MAX;
    void *grown = region_grow(worker->region, block, bytes ? bytes : 1);
    if (!grown) worker_fail(worker, E_OutOfMemory, span, bytes, budget_limit(region_budget(worker->region)));
    return grown;
}

static bool clear_index(Worker *worker, Dict *dict, Span span) {
    int64_t slots = (int64_t)(dict->mask + 1);
    dict->index = grow(worker, NULL, slots, sizeof *dict->index, span);
    if (dict->index) memset(dict->index, 0, (size_t)slots * sizeof *dict->index);
    return dict->index != NULL;
}

Dict *dict_new(Worker *worker, const Type *entry, Span span) {
    Dict *dict = worker_alloc(worker, sizeof *dict, span);
    if (!dict) return NULL;
    *dict = (Dict){.capacity = ((int64_t)1 << FIRST_BITS) / DICT_SPARSE,
                   .mask = ((uint64_t)1 << FIRST_BITS) - 1,
                   .shift = (uint64_t)(64 - FIRST_BITS)};
    if (!clear_index(worker, dict, span)) return NULL;
    dict->entries = grow(worker, NULL, dict->capacity, entry->size, span);
    return dict->entries ? dict : NULL;
}

/* A finished dictionary gets growing blocks again; what it had stays where it was, for values that refer to
 * it. */
static bool dict_thaw(Worker *worker, Dict *dict, const Type *entry, Span span) {
    int64_t slots = (int64_t)(dict->mask + 1);
    uint64_t *index = grow(worker, NULL, slots, sizeof *index, span);
    char *entries = index ? grow(worker, NULL, slots / DICT_SPARSE, entry->size, span) : NULL;
    if (!entries) return false;
    memcpy(index, dict->index, (size_t)slots * sizeof *index);
    memcpy(entries, dict->entries, (size_t)(dict->length * entry->size));
    dict->index = index;
    dict->entries = entries;
    dict->capacity = slots / DICT_SPARSE;
    dict->values = 0;
    return true;
}

/* key_hash, quickly for the commonest keys. */
static uint64_t hash_key(const Type *key, const void *at) {
    uint64_t word;
    if (key->kind != TY_i64 && key->kind != TY_u64) return key_hash(key, at);
    memcpy(&word, at, sizeof word);
    word = (word ^ HASH_SEED) * HASH_FACTOR;
    return word ^ word >> 32;
}

static void dict_fill_index(Dict *dict, const Type *entry) {
    const Type *key = entry->args[0];
    for (int64_t i = 0; i < dict->length; i++) {
        uint64_t hash = hash_key(key, dict->entries + i * entry->size), slot = first_slot(dict, hash);
        while (dict->index[slot]) slot = (slot + 1) & dict->mask;
        dict->index[slot] = slot_word(hash, i);
    }
}

bool dict_make_index(Worker *worker, Dict *dict, const Type *entry, Span span) {
    if (!clear_index(worker, dict, span)) return false;
    dict_fill_index(dict, entry);
    return true;
}

/* The entries may have less room than the index has slots for. */
bool dict_grow(Worker *worker, Dict *dict, const Type *entry, Span span) {
    if (dict->values < 0 && !dict_thaw(worker, dict, entry, span)) return false;
    if (dict->length < dict->capacity) return true;
    int64_t most = (int64_t)(dict->mask + 1) / DICT_SPARSE, capacity = dict->length < most ? most : 2 * most;
    if (capacity > UINT32_MAX / 2) {
        worker_fail(worker, E_OutOfMemory, span, capacity, budget_limit(region_budget(worker->region)));
        return false;
    }
    char *entries = grow(worker, dict->entries, capacity, entry->size, span);
    if (!entries) return false;
    dict->entries = entries;
    if (capacity > most) {
        Dict larger = *dict;
        larger.mask = 2 * dict->mask + 1;
        larger.shift--;
        if (!clear_index(worker, &larger, span)) return false;
        region_grow(worker->region, dict->index, 0);
        *dict = larger;
        dict_fill_index(dict, entry);
    }
    dict->capacity = capacity;
    return true;
}

bool dict_finish(Worker *worker, Dict *dict, const Type *entry, Span span) {
    if (dict->values < 0) return true;
    if (dict->direct) dict->direct = region_grow(worker->region, dict->direct, 0);
    int64_t slots = (int64_t)(dict->mask + 1);
    uint64_t *index =
        dict->index ? region_settle(worker->region, dict->index, slots * (int64_t)sizeof *index) : NULL;
    TableSlot *table =
        dict->table ? region_settle(worker->region, dict->table, slots * (int64_t)sizeof *table) : NULL;
    char *entries =
        dict->entries ? region_settle(worker->region, dict->entries, dict->length * entry->size) : NULL;
    if ((dict->index && !index) || (dict->table && !table) || (dict->entries && !entries)) {
        worker_fail(worker, E_OutOfMemory, span, slots, budget_limit(region_budget(worker->region)));
        return false;
    }
    dict->index = index;
    dict->table = table;
    dict->entries = entries;
    dict->capacity = dict->length;
    dict->values = -1;
    return true;
}

/* The number of keys that lead through the direct table: all of them, or the lowest of a wide key's. */
static uint64_t direct_keys(const Type *key) {
    int width = key_width(key);
    return UINT64_C(1) << (width < DIRECT_BITS ? width : DIRECT_BITS);
}

static void direct_set(Dict *dict, const Type *key, const void *at, int64_t number) {
    uint64_t word = key_word(key, at);
    if (word < direct_keys(key)) dict->direct[word] = (uint32_t)number + 1;
}

void dict_clear_direct(Dict *dict, const Type *entry) {
    if (dict->direct) memset(dict->direct, 0, sizeof *dict->direct * direct_keys(entry->args[0]));
}

uint32_t *dict_take_direct(Dict *dict, const Type *entry) {
    const Type *key = entry->args[0];
    uint32_t *direct = dict->direct;
    for (int64_t i = 0; direct && i < dict->length; i++) {
        uint64_t word = key_word(key, dict->entries + i * entry->size);
        if (word < direct_keys(key)) direct[word] = 0;
    }
    dict->direct = NULL;
    return direct;
}

void dict_make_direct(Worker *worker, Dict *dict, const Type *entry) {
    const Type *key = entry->args[0];
    if (dict->partitions) dict->direct = region_grow(worker->region, dict->direct, 0);
    if (dict->direct || dict->partitions || !key_width(key) || dict->values < 0) return;
    size_t bytes = sizeof *dict->direct * direct_keys(key);
    dict->direct = region_grow(worker->region, NULL, (int64_t)bytes);
    if (!dict->direct) return;
    memset(dict->direct, 0, bytes);
    for (int64_t i = 0; i < dict->length; i++) direct_set(dict, key, dict->entries + i * entry->size, i);
}

/* ---- probing ---- */

/* The number of key's entry, or -1 and the free slot where it would be. */
static int64_t dict_probe(const Dict *dict, const Type *entry, const void *key, uint64_t hash,
                          uint64_t *free_slot) {
    uint64_t slot = first_slot(dict, hash), word;
    for (; (word = dict->index[slot]) != 0; slot = (slot + 1) & dict->mask) {
        if (word >> 32 != (uint32_t)hash) continue;
        int64_t number = (int64_t)(uint32_t)word - 1;
        if (key_equal(entry->args[0], dict->entries + number * entry->size, key)) return number;
    }
    *free_slot = slot;
    return -1;
}

void *dict_find(const Dict *dict, const Type *entry, const void *key) {
    if (!dict || dict->length == 0) return NULL;
    if (dict->table) return table_find(dict, entry, key);
    uint64_t slot;
    int64_t number = dict_probe(dict, entry, key, key_hash(entry->args[0], key), &slot);
    return number < 0 ? NULL : dict->entries + number * entry->size + entry->offsets[1];
}

/* The number of key's entry, which is made if need be, or -1. */
static int64_t dict_place(Worker *worker, Dict *dict, const Type *entry, const void *key, uint64_t hash,
                          bool *fresh, Span span) {
    uint64_t slot = 0;
    int64_t number = dict_probe(dict, entry, key, hash, &slot);
    *fresh = number < 0;
    if (number >= 0) return number;
    if (dict->length == dict->capacity) {
        if (!dict_grow(worker, dict, entry, span)) return -1;
        dict_probe(dict, entry, key, hash, &slot);
    }
    number = dict->length++;
    char *at = dict->entries + number * entry->size;
    memset(at, 0, (size_t)entry->size);
    memcpy(at, key, (size_t)entry->args[0]->size);
    dict->index[slot] = slot_word(hash, number);
    if (dict->direct) direct_set(dict, entry->args[0], key, number);
    return number;
}

void *dict_insert(Worker *worker, Dict *dict, const Type *entry, const void *key, uint64_t hash, bool *fresh,
                  Span span) {
    int64_t number = dict_place(worker, dict, entry, key, hash, fresh, span);
    return number < 0 ? NULL : dict->entries + number * entry->size + entry->offsets[1];
}

void dict_discard(Worker *worker, Dict *dict) {
    region_grow(worker->region, dict->index, 0);
    region_grow(worker->region, dict->table, 0);
    region_grow(worker->region, dict->entries, 0);
    region_grow(worker->region, dict->direct, 0);
    region_grow(worker->region, dict->value, 0);
    region_grow(worker->region, dict->group, 0);
}

bool dict_merge(Worker *worker, Dict *dict, const Type *entry, const void *pair, Op op, Span span) {
    const Type *value = entry->args[1];
    const char *merged = (const char *)pair + entry->offsets[1];
    bool fresh;
    void *into = dict_insert(worker, dict, entry, pair, key_hash(entry->args[0], pair), &fresh, span);
    if (!into) return false;
    if (fresh)
        memcpy(into, merged, (size_t)value->size);
    else
        combine(value, op, into, merged);
    return true;
}

/* An empty one simply becomes the other. */
static bool dict_replace(Worker *worker, Dict *dict, Dict *other) {
    if (dict->length || dict->values) return false;
    dict_discard(worker, dict);
    *dict = *other;
    return true;
}

bool dict_absorb(Worker *worker, Dict *dict, Dict *other, const Type *entry, Op op, Span span) {
    if (dict_replace(worker, dict, other)) return true;
    for (int64_t i = 0; i < other->length; i++) {
        if (!dict_merge(worker, dict, entry, other->entries + i * entry->size, op, span)) return false;
    }
    dict_discard(worker, other);
    return true;
}

/* ---- groups ---- */

static Vec *group_at(const Dict *dict, const Type *entry, int64_t number) {
    return (Vec *)(void *)(dict->entries + number * entry->size + entry->offsets[1]);
}

static bool group_room(Worker *worker, Dict *dict, int64_t size, int64_t count, Span span) {
    if (count <= dict->room) return true;
    int64_t room = dict->room ? dict->room * 2 : 16;
    while (room < count) room *= 2;
    char *value = grow(worker, dict->value, room, size, span);
    if (!value) return false;
    dict->value = value;
    uint32_t *group = grow(worker, dict->group, room, sizeof *group, span);
    if (!group) return false;
    dict->group = group;
    dict->room = room;
    return true;
}

/* A finished group becomes one that grows: its values go back into one array, entry by entry. */
static bool group_thaw(Worker *worker, Dict *dict, const Type *entry, Span span) {
    int64_t size = entry->args[1]->args[0]->size, total = 0;
    for (int64_t i = 0; i < dict->length; i++) total += group_at(dict, entry, i)->length;
    if (!dict_thaw(worker, dict, entry, span) || !group_room(worker, dict, size, total, span)) return false;
    for (int64_t i = 0; i < dict->length; i++) {
        Vec *vec = group_at(dict, entry, i);
        if (vec->length) memcpy(dict->value + dict->values * size, vec->data, (size_t)(vec->length * size));
        for (int64_t k = 0; k < vec->length; k++) dict->group[dict->values++] = (uint32_t)i;
        vec->data = NULL;
    }
    return true;
}

bool group_merge(Worker *worker, Dict *dict, const Type *entry, const void *key, const void *value,
                 Span span) {
    int64_t size = entry->args[1]->args[0]->size;
    bool fresh;
    if (dict->values < 0 && !group_thaw(worker, dict, entry, span)) return false;
    if (!group_room(worker, dict, size, dict->values + 1, span)) return false;
    int64_t number = dict_place(worker, dict, entry, key, key_hash(entry->args[0], key), &fresh, span);
    if (number < 0) return false;
    group_at(dict, entry, number)->length++;
    memcpy(dict->value + dict->values * size, value, (size_t)size);
    dict->group[dict->values++] = (uint32_t)number;
    return true;
}

bool group_finish(Worker *worker, Dict *dict, const Type *entry, Span span) {
    if (dict->values < 0) return true;
    int64_t size = entry->args[1]->args[0]->size;
    char *buffer = worker_alloc(worker, dict->values * size, span), *next = buffer;
    if (!buffer) return false;
    for (int64_t i = 0; i < dict->length; i++) {
        Vec *vec = group_at(dict, entry, i);
        vec->data = next;
        next += vec->length * size;
        vec->length = 0;
    }
    for (int64_t i = 0; i < dict->values; i++) {
        Vec *vec = group_at(dict, entry, dict->group[i]);
        memcpy((char *)vec->data + vec->length++ * size, dict->value + i * size, (size_t)size);
    }
    region_grow(worker->region, dict->value, 0);
    region_grow(worker->region, dict->group, 0);
    dict->value = NULL;
    dict->group = NULL;
    dict->values = dict->room = 0;
    return dict_finish(worker, dict, entry, span);
}

/* number: the entry in dict of each entry of other. */
static bool group_deal(Worker *worker, Dict *dict, const Dict *other, const Type *entry, uint32_t *number,
                       Span span) {
    const Type *key = entry->args[0];
    int64_t size = entry->args[1]->args[0]->size;
    if (dict->values < 0 && !group_thaw(worker, dict, entry, span)) return false;
    if (!group_room(worker, dict, size, dict->values + other->values, span)) return false;
    for (int64_t i = 0; i < other->length; i++) {
        const char *from = other->entries + i * entry->size;
        bool fresh;
        int64_t at = dict_place(worker, dict, entry, from, key_hash(key, from), &fresh, span);
        if (at < 0) return false;
        group_at(dict, entry, at)->length += group_at(other, entry, i)->length;
        number[i] = (uint32_t)at;
    }
    memcpy(dict->value + dict->values * size, other->value, (size_t)(other->values * size));
    for (int64_t i = 0; i < other->values; i++) dict->group[dict->values + i] = number[other->group[i]];
    dict->values += other->values;
    return true;
}

bool group_absorb(Worker *worker, Dict *dict, Dict *other, const Type *entry, Span span) {
    if (dict_replace(worker, dict, other)) return true;
    uint32_t *number = grow(worker, NULL, other->length, sizeof *number, span);
    bool ok = number && group_deal(worker, dict, other, entry, number, span);
    region_grow(worker->region, number, 0);
    if (ok) dict_discard(worker, other);
    return ok;
}

/* ---- order ---- */

typedef struct ByKey {
    const Dict *dict;
    const Type *entry;
} ByKey;

static int by_key(const void *a, const void *b, void *data) {
    const ByKey *by = data;
    int64_t size = by->entry->size, x = *(const int64_t *)a, y = *(const int64_t *)b;
    return value_order(by->entry->args[0], by->dict->entries + x * size, by->dict->entries + y * size);
}

void dict_sorted(const Dict *dict, const Type *entry, int64_t *order) {
    ByKey by = {dict, entry};
    if (!dict) return;
    for (int64_t i = 0; i < dict->length; i++) order[i] = i;
    qsort_r(order, (size_t)dict->length, sizeof *order, by_key, &by);
}
