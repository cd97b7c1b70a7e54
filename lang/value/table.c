/* table.c: the index of a large dictionary whose keys are one word and whose values are at most another: the table.
 *
 * Where an index leads to the entries, a key that is found costs two waits for memory. A finished dictionary does not
 * change, so its table holds what the entries do:
 *
 *     lines   [ k1,v1 | k2,v2 | - | - ] [ k3,v3 | k4,v4 | k5,v5 | k6,v6 ] [ k7,v7 | - | - | - ]
 *
 * Four slots are a line of the cache. A key's hash names a line, of which the first free slot is taken, and where
 * none is free, one of the next lines (k7). So a probe compares four words at once, and all but few are done then:
 *
 *     an equal word: found;  else the line's last slot is free: not there;  else the same in the next line
 *
 * A free slot's value is zero. Every word may be a key, so what stands for a free slot is a word that is none of the dictionary's: `vacant`.
 * Whoever looks that word up must not take a free slot for it.
 *
 * The table is filled by runtime/gather.c. Compiled code probes it in place (weldc/codegen/cg_table.c). Buckets of a line:
 * Ross, Efficient Hash Probes on Modern Processors, ICDE 2007.
 */
#include "../lang.h"

#include <string.h>

enum { CANDIDATES = 16 };

bool table_fits(const Type *entry) {
    const Type *key = entry->args[0], *value = entry->args[1];
    return key_width(key) > DIRECT_BITS && !value->pointers && value->size <= TABLE_VALUE;
}

/* key_word, quickly for the commonest keys. */
static uint64_t word_of(const Type *key, const void *at) {
    uint64_t word;
    if (key->kind != TY_i64 && key->kind != TY_u64) return key_word(key, at);
    memcpy(&word, at, sizeof word);
    return word;
}

/* hash_u64, inline. */
static uint64_t hash_word(uint64_t word) {
    word = (word ^ HASH_SEED) * HASH_FACTOR;
    return word ^ word >> 32;
}

bool table_choose_vacant(const Type *entry, TableHasWord *has, const void *data, uint64_t *vacant) {
    *vacant = UINT64_MAX;
    if (key_width(entry->args[0]) < 64) return true;
    for (uint64_t i = 0; i < CANDIDATES; i++) {
        *vacant = hash_u64(i);
        if (!has(data, *vacant)) return true;
    }
    return false;
}

void table_clear(Dict *dict, uint64_t from, uint64_t to) {
    for (uint64_t slot = from; slot < to; slot++) dict->table[slot] = (TableSlot){.word = dict->vacant};
}

bool table_enter(Dict *dict, const Type *entry, const void *key, const void *value, uint64_t end) {
    uint64_t word = word_of(entry->args[0], key), slot = table_line(dict, hash_word(word));
    while (dict->table[slot].word != dict->vacant) {
        if (++slot == end) return false;
        slot &= dict->mask;
    }
    dict->table[slot].word = word;
    if (entry->args[1]->size == TABLE_VALUE)
        memcpy(dict->table[slot].value, value, TABLE_VALUE);
    else
        memcpy(dict->table[slot].value, value, (size_t)entry->args[1]->size);
    return true;
}

void *table_find(const Dict *dict, const Type *entry, const void *key) {
    uint64_t word = key_word(entry->args[0], key);
    if (word == dict->vacant) return NULL;
    for (uint64_t slot = table_line(dict, hash_u64(word));; slot = (slot + 1) & dict->mask) {
        if (dict->table[slot].word == word) return dict->table[slot].value;
        if (dict->table[slot].word == dict->vacant) return NULL;
    }
}
