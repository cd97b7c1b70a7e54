/* radix.c: stable sorting by a scalar key.
 *
 * Keys become words whose unsigned order is theirs (a float's sign bit decides whether all its bits or only
 * that one are flipped; for a descending order all bits are), and records of a word and the element's number
 * are sorted by counting, one byte at a time, the lowest first. A byte that all keys share costs nothing but
 * its count. Then the elements are fetched in the records' order. A key of up to 32 bits shares one word with
 * the number; an element that is its own 64-bit key needs no number and is turned back instead, unless some
 * -0.0 must keep its place beside 0.0, whose equal it is.
 *
 *     [7, 3, 7]  ->  records (7,0) (3,1) (7,2)  ->  (3,1) (7,0) (7,2)  ->  [3, 7, 7]
 *
 * Knuth, The Art of Computer Programming, volume 3, 5.2.5.
 */
#include "../lang.h"

#include <string.h>

typedef struct Record {
    uint64_t word, number;
} Record;

typedef struct Keys {
    const char *data; /* the first element's key */
    int64_t count, size;
    TypeKind kind;
    uint64_t flip;    /* all ones for a descending order */
    bool signed_zero; /* some key is -0.0 */
} Keys;

static int key_bytes(TypeKind kind) {
    return type_classes[kind].bits / 8;
}

/* The key of element i as a word of key_bytes bytes, in order. */
static inline uint64_t ordered_word(Keys *keys, int64_t i, int bytes) {
    uint64_t word = 0, sign = UINT64_C(1) << (bytes * 8 - 1);
    uint64_t all = sign | (sign - 1);
    memcpy(&word, keys->data + i * keys->size, (size_t)bytes);
    char class = type_classes[keys->kind].class;
    if (class == 'f') {
        if (word == sign) {
            keys->signed_zero = true;
            word = 0;
        }
        word = word & sign ? ~word & all : word | sign;
    } else if (class == 's') {
        word ^= sign;
    }
    return (word ^ keys->flip) & all;
}

/* Sorts records of `size` bytes that begin with their word, by its bytes from `first` on. Returns where they
 * end up: in records or in scratch. */
static inline char *sort_records(char *records, char *scratch, int64_t count, size_t size, int first) {
    int64_t counts[8][256];
    memset(counts, 0, sizeof counts);
    for (int64_t i = 0; i < count; i++) {
        uint64_t word;
        memcpy(&word, records + (size_t)i * size, sizeof word);
        for (int byte = first; byte < 8; byte++) counts[byte][word >> (8 * byte) & 255]++;
    }
    for (int byte = first; byte < 8; byte++) {
        int64_t at[256], sum = 0, most = 0;
        for (int value = 0; value < 256; value++) {
            at[value] = sum;
            sum += counts[byte][value];
            if (counts[byte][value] > most) most = counts[byte][value];
        }
        if (most == count) continue;
        for (int64_t i = 0; i < count; i++) {
            uint64_t word;
            memcpy(&word, records + (size_t)i * size, sizeof word);
            memcpy(scratch + (size_t)at[word >> (8 * byte) & 255]++ * size, records + (size_t)i * size, size);
        }
        char *sorted = scratch;
        scratch = records;
        records = sorted;
    }
    return records;
}

/* Elements that are their own keys of 64 bits. */
static void sort_words(Keys *keys, char *records, char *scratch, char *out) {
    records = sort_records(records, scratch, keys->count, sizeof(uint64_t), 0);
    uint64_t sign = UINT64_C(1) << 63;
    char class = type_classes[keys->kind].class;
    for (int64_t i = 0; i < keys->count; i++) {
        uint64_t word;
        memcpy(&word, records + i * 8, sizeof word);
        word ^= keys->flip;
        if (class == 'f')
            word = word & sign ? word ^ sign : ~word;
        else if (class == 's')
            word ^= sign;
        memcpy(out + i * 8, &word, sizeof word);
    }
}

static void fetch(const Keys *keys, const char *data, const char *records, size_t record, size_t number_at,
                  uint64_t mask, char *out) {
    for (int64_t i = 0; i < keys->count; i++) {
        uint64_t number;
        memcpy(&number, records + (size_t)i * record + number_at, sizeof number);
        memcpy(out + i * keys->size, data + (int64_t)(number & mask) * keys->size, (size_t)keys->size);
    }
}

ErrorCode sort_by_key(Worker *worker, const void *data, void *out, int64_t count, int64_t size,
                      const SortKey *key, Span span) {
    if (count == 0) return E_None; /* then data may be NULL */
    Keys keys = {(const char *)data + key->offset, count, size, key->kind,
                 key->descending ? UINT64_MAX : 0, false};
    int bytes = key_bytes(key->kind);
    bool narrow = bytes <= 4 && count <= UINT32_MAX;
    size_t record = narrow ? sizeof(uint64_t) : sizeof(Record);
    int64_t room;
    if (__builtin_mul_overflow(count, (int64_t)(2 * record), &room)) room = INT64_MAX;
    char *records = region_grow(worker->region, NULL, room ? room : 1);
    if (!records)
        return worker_fail(worker, E_OutOfMemory, span, room, budget_limit(region_budget(worker->region)));
    bool itself = size == 8 && bytes == 8;
    for (int64_t i = 0; i < count; i++) {
        uint64_t word = bytes == 8   ? ordered_word(&keys, i, 8)
                        : bytes == 4 ? ordered_word(&keys, i, 4)
                                     : ordered_word(&keys, i, bytes);
        if (narrow)
            ((uint64_t *)(void *)records)[i] = word << 32 | (uint64_t)i;
        else if (itself)
            ((uint64_t *)(void *)records)[i] = word;
        else
            ((Record *)(void *)records)[i] = (Record){word, (uint64_t)i};
    }
    if (itself && keys.signed_zero) {
        itself = false;
        for (int64_t i = count; i-- > 0;)
            ((Record *)(void *)records)[i] = (Record){ordered_word(&keys, i, 8), (uint64_t)i};
    }
    char *scratch = records + (size_t)count * record;
    if (itself)
        sort_words(&keys, records, scratch, out);
    else if (narrow)
        fetch(&keys, data, sort_records(records, scratch, count, 8, 4), 8, 0, UINT32_MAX, out);
    else
        fetch(&keys, data, sort_records(records, scratch, count, sizeof(Record), 0), sizeof(Record), 8,
              UINT64_MAX, out);
    region_grow(worker->region, records, 0);
    return E_None;
}

ErrorCode sort_key_compare(void *key, Worker *worker, const void *a, const void *b, int32_t *order) {
    const SortKey *by = key;
    (void)worker;
    Keys keys = {
        .data = (const char *)a + by->offset, .kind = by->kind, .flip = by->descending ? UINT64_MAX : 0};
    uint64_t x = ordered_word(&keys, 0, key_bytes(by->kind));
    keys.data = (const char *)b + by->offset;
    uint64_t y = ordered_word(&keys, 0, key_bytes(by->kind));
    *order = (x > y) - (x < y);
    return E_None;
}
