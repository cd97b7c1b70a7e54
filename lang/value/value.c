/* value.c: what is done with values in memory by their type: comparing, hashing, copying, measuring.
 *
 * Every function here is the same walk: a scalar is treated at once, a struct field by field at its offsets,
 * a vector element by element, a dictionary entry by entry. A type without pointers, padding and floats is
 * compared and hashed as bytes, one without pointers copied as bytes.
 *
 * There are two orders: value_compare is the language's (a NaN makes it unordered), value_order a total one
 * that puts NaN last, by which dictionaries are printed. And there is equality of keys: NaN is NaN and -0.0
 * is 0.0, which the canonical bits of key_bits give to floats. Equal keys have equal hashes.
 */
#include "../lang.h"

#include <string.h>

/* Is it equal exactly when its bytes are: no floats, no padding, no pointers. */
static bool type_is_plain(const Type *type) {
    if (type_is_scalar(type)) return !type_is_float(type);
    if (type->kind != TY_struct) return false;
    int64_t bytes = 0;
    for (int i = 0; i < type->count; i++) {
        if (!type_is_plain(type->args[i])) return false;
        bytes += type->args[i]->size;
    }
    return bytes == type->size;
}

/* ---- order ---- */

static int scalar_order(const Type *type, const void *a, const void *b) {
    switch (type->kind) {
#define SCALAR(id, spelling, ctype, class, bits)            \
    case TY_##id: {                                         \
        ctype x = *(const ctype *)a, y = *(const ctype *)b; \
        return x < y ? -1 : x > y ? 1 : x == y ? 0 : 2;     \
    }
#include "../types.def"
    default: return 0;
    }
}

/* total: NaN comes after all numbers and equals itself. */
static int order(const Type *type, const void *a, const void *b, bool total) {
    if (type_is_scalar(type)) {
        int at = scalar_order(type, a, b);
        if (at != 2 || !total) return at;
        return scalar_compare(OP_ne, type, a, a) - scalar_compare(OP_ne, type, b, b);
    }
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            int64_t offset = type->offsets[i];
            int at = order(type->args[i], (const char *)a + offset, (const char *)b + offset, total);
            if (at) return at;
        }
        return 0;
    }
    if (type->kind != TY_vec) return 0;
    const Vec *x = a, *y = b;
    const Type *element = type->args[0];
    int64_t least = x->length < y->length ? x->length : y->length;
    for (int64_t i = 0; i < least; i++) {
        int64_t offset = i * element->size;
        int at = order(element, (const char *)x->data + offset, (const char *)y->data + offset, total);
        if (at) return at;
    }
    return x->length < y->length ? -1 : x->length > y->length;
}

int value_compare(const Type *type, const void *a, const void *b) {
    return order(type, a, b, false);
}

int value_order(const Type *type, const void *a, const void *b) {
    return order(type, a, b, true);
}

/* ---- keys ---- */

uint64_t key_bits(const Type *type, const void *key) {
    uint64_t bits = 0;
    if (type->kind == TY_f64) {
        double x = *(const double *)key;
        if (x != x) return 0x7FF8000000000000u;
        if (x != 0) memcpy(&bits, &x, sizeof x);
        return bits;
    }
    if (type->kind == TY_f32) {
        float x = *(const float *)key;
        if (x != x) return 0x7FC00000u;
        if (x != 0) memcpy(&bits, &x, sizeof x);
        return bits;
    }
    switch (type->size) {
    case 1: return *(const uint8_t *)key;
    case 2: return *(const uint16_t *)key;
    case 4: return *(const uint32_t *)key;
    default: return *(const uint64_t *)key;
    }
}

bool key_equal(const Type *type, const void *a, const void *b) {
    if (type_is_scalar(type)) return key_bits(type, a) == key_bits(type, b);
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            int64_t offset = type->offsets[i];
            if (!key_equal(type->args[i], (const char *)a + offset, (const char *)b + offset)) return false;
        }
        return true;
    }
    const Vec *x = a, *y = b;
    const Type *element = type->args[0];
    if (x->length != y->length) return false;
    if (x->length == 0 || x->data == y->data) return true;
    if (type_is_plain(element)) return memcmp(x->data, y->data, (size_t)(x->length * element->size)) == 0;
    for (int64_t i = 0; i < x->length; i++) {
        int64_t offset = i * element->size;
        if (!key_equal(element, (const char *)x->data + offset, (const char *)y->data + offset)) return false;
    }
    return true;
}

uint64_t hash_u64(uint64_t bits) {
    uint64_t hash = (bits ^ HASH_SEED) * HASH_FACTOR;
    return hash ^ hash >> 32;
}

uint64_t hash_mix(uint64_t hash, uint64_t next) {
    return hash_u64((hash << 5 | hash >> 59) ^ next);
}

/* Eight bytes at a time; the last ones are filled up with zeros, which the length tells apart. */
uint64_t hash_bytes(const void *bytes, int64_t length) {
    const char *at = bytes;
    uint64_t hash = hash_u64((uint64_t)length), word;
    for (; length >= 8; length -= 8, at += 8) {
        memcpy(&word, at, 8);
        hash = hash_mix(hash, word);
    }
    if (length > 0) {
        word = 0;
        memcpy(&word, at, (size_t)length);
        hash = hash_mix(hash, word);
    }
    return hash;
}

int key_width(const Type *type) {
    if (type_is_scalar(type)) return type_classes[type->kind].bits;
    if (type->kind != TY_struct) return 0;
    int bits = 0;
    for (int i = 0; i < type->count; i++) {
        int field = key_width(type->args[i]);
        if (field == 0 || (bits += field) > 64) return 0;
    }
    return bits;
}

static uint64_t pack(const Type *type, const char *key, int *shift) {
    uint64_t word = 0;
    if (type_is_scalar(type)) {
        word = key_bits(type, key) << *shift;
        *shift += type_classes[type->kind].bits;
        return word;
    }
    for (int i = 0; i < type->count; i++) word |= pack(type->args[i], key + type->offsets[i], shift);
    return word;
}

uint64_t key_word(const Type *type, const void *key) {
    int shift = 0;
    return pack(type, key, &shift);
}

uint64_t key_hash(const Type *type, const void *key) {
    if (type_is_scalar(type)) return hash_u64(key_bits(type, key));
    if (key_width(type)) return hash_u64(key_word(type, key));
    uint64_t hash = 0;
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            hash = hash_u64(hash ^ key_hash(type->args[i], (const char *)key + type->offsets[i]));
        }
        return hash;
    }
    const Vec *vec = key;
    const Type *element = type->args[0];
    if (element->kind == TY_i8 || element->kind == TY_u8) return hash_bytes(vec->data, vec->length);
    hash = hash_u64((uint64_t)vec->length);
    for (int64_t i = 0; i < vec->length; i++) {
        hash = hash_u64(hash ^ key_hash(element, (const char *)vec->data + i * element->size));
    }
    return hash;
}

/* ---- copying and measuring ---- */

static bool copy_elements(Worker *worker, const Type *type, const void *from, int64_t count, char **to) {
    Span nowhere = {0};
    int64_t bytes;
    if (__builtin_mul_overflow(count, type->size, &bytes)) bytes = -1;
    char *data = worker_alloc(worker, bytes, nowhere);
    if (!data) return false;
    if (bytes) memcpy(data, from, (size_t)bytes);
    for (int64_t i = 0; i < count && type->pointers; i++) {
        if (!value_copy(worker, type, (const char *)from + i * type->size, data + i * type->size))
            return false;
    }
    *to = data;
    return true;
}

static void *copy_block(Worker *worker, const void *from, int64_t bytes) {
    Span nowhere = {0};
    void *to = worker_alloc(worker, bytes, nowhere);
    if (to) memcpy(to, from, (size_t)bytes);
    return to;
}

static bool copy_dict(Worker *worker, const Type *type, const Dict *from, Dict **to) {
    Span nowhere = {0};
    EntryType room;
    Dict *dict = worker_alloc(worker, sizeof *dict, nowhere);
    if (!dict) return false;
    *dict = (Dict){.length = from->length,
                   .capacity = from->length,
                   .mask = from->mask,
                   .shift = from->shift,
                   .values = -1};
    int64_t slots = (int64_t)(from->mask + 1);
    if (from->table) {
        dict->vacant = from->vacant;
        dict->table = copy_block(worker, from->table, slots * (int64_t)sizeof *from->table);
    } else {
        dict->index = copy_block(worker, from->index, slots * (int64_t)sizeof *from->index);
    }
    if (!dict->table && !dict->index) return false;
    *to = dict;
    return copy_elements(worker, dict_entry_layout(type, &room), from->entries, from->length, &dict->entries);
}

bool value_copy(Worker *worker, const Type *type, const void *value, void *out) {
    if (type->kind == TY_vec) {
        Vec from = *(const Vec *)value, *to = out;
        char *data = NULL;
        if (from.length && !copy_elements(worker, type->args[0], from.data, from.length, &data)) return false;
        *to = (Vec){data, from.length};
        return true;
    }
    if (type->kind == TY_dict) {
        const Dict *from = *(Dict *const *)value;
        if (from) return copy_dict(worker, type, from, out);
        *(Dict **)out = NULL;
        return true;
    }
    if (type->kind != TY_struct || !type->pointers) {
        memmove(out, value, (size_t)type->size);
        return true;
    }
    for (int i = 0; i < type->count; i++) {
        int64_t offset = type->offsets[i];
        if (!value_copy(worker, type->args[i], (const char *)value + offset, (char *)out + offset))
            return false;
    }
    return true;
}

static int64_t elements_bytes(const Type *type, const void *data, int64_t count) {
    int64_t bytes = count * type->size;
    for (int64_t i = 0; i < count && type->pointers; i++) {
        bytes += value_bytes(type, (const char *)data + i * type->size);
    }
    return bytes;
}

int64_t value_bytes(const Type *type, const void *value) {
    int64_t bytes = 0;
    EntryType room;
    if (!type->pointers) return 0;
    if (type->kind == TY_vec) {
        const Vec *vec = value;
        return elements_bytes(type->args[0], vec->data, vec->length);
    }
    if (type->kind == TY_dict) {
        const Dict *dict = *(Dict *const *)value;
        if (!dict) return 0;
        size_t slot = dict->table ? sizeof *dict->table : sizeof *dict->index;
        bytes = (int64_t)sizeof *dict + (int64_t)(dict->mask + 1) * (int64_t)slot;
        return bytes + elements_bytes(dict_entry_layout(type, &room), dict->entries, dict->length);
    }
    for (int i = 0; i < type->count && type->kind == TY_struct; i++) {
        bytes += value_bytes(type->args[i], (const char *)value + type->offsets[i]);
    }
    return bytes;
}
