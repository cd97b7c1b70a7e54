/* serialize.c: values as bytes, and back with every check.
 *
 *     scalar   as it lies in memory, little-endian
 *     struct   its fields one after the other, without padding
 *     vec      an i64 count, then its elements; elements of a struct type without pointers are copied whole,
 * padding zeroed dict     an i64 count, then key, value, key, value, ...
 *
 * {i8 1, vec[i16] [2, 3]}  ->  01 | 02 00 00 00 00 00 00 00 | 02 00 | 03 00
 *
 * Reading trusts nothing: each read asks for the bytes that are left, a count must fit them by the least size
 * of an element before anything is allocated, keys may not repeat, and no byte may be left over. So memory
 * and time are bounded by the length of the input. A bool that is neither 0 nor 1 is read as true.
 */
#include "../lang.h"

#include <string.h>

static bool type_has_padding(const Type *type) {
    int64_t bytes = 0;
    if (type->kind != TY_struct) return false;
    for (int i = 0; i < type->count; i++) {
        if (type_has_padding(type->args[i])) return true;
        bytes += type->args[i]->size;
    }
    return bytes != type->size;
}

static bool type_has_bool(const Type *type) {
    if (type->kind == TY_bool) return true;
    for (int i = 0; i < type->count && type->kind == TY_struct; i++) {
        if (type_has_bool(type->args[i])) return true;
    }
    return false;
}

/* The least that a value takes. */
static int64_t least_size(const Type *type) {
    int64_t bytes = 0;
    if (type->kind == TY_vec || type->kind == TY_dict) return sizeof(int64_t);
    if (type->kind != TY_struct) return type->size;
    for (int i = 0; i < type->count; i++) bytes += least_size(type->args[i]);
    return bytes;
}

/* ---- writing ---- */

static int64_t add_sizes(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX : sum;
}

int64_t value_serialized_size(const Type *type, const void *value) {
    int64_t bytes = sizeof(int64_t);
    if (!type->pointers) return least_size(type);
    if (type->kind == TY_vec) {
        const Vec *vec = value;
        const Type *element = type->args[0];
        if (!element->pointers) return bytes + vec->length * element->size;
        for (int64_t i = 0; i < vec->length; i++) {
            const char *at = (const char *)vec->data + i * element->size;
            bytes = add_sizes(bytes, value_serialized_size(element, at));
        }
        return bytes;
    }
    if (type->kind == TY_dict) {
        const Dict *dict = *(Dict *const *)value;
        EntryType room;
        const Type *entry = dict_entry_layout(type, &room);
        for (int64_t i = 0; dict && i < dict->length; i++) {
            bytes = add_sizes(bytes, value_serialized_size(entry, dict->entries + i * entry->size));
        }
        return bytes;
    }
    bytes = 0;
    for (int i = 0; i < type->count && type->kind == TY_struct; i++) {
        bytes =
            add_sizes(bytes, value_serialized_size(type->args[i], (const char *)value + type->offsets[i]));
    }
    return bytes;
}

/* An element with its padding zeroed. */
static void write_whole(const Type *type, const void *value, char *out) {
    if (type->kind != TY_struct) {
        memcpy(out, value, (size_t)type->size);
        return;
    }
    memset(out, 0, (size_t)type->size);
    for (int i = 0; i < type->count; i++) {
        write_whole(type->args[i], (const char *)value + type->offsets[i], out + type->offsets[i]);
    }
}

static char *write_count(int64_t count, char *out) {
    memcpy(out, &count, sizeof count);
    return out + sizeof count;
}

static char *write_value(const Type *type, const void *value, char *out);

static char *write_vec(const Type *element, const Vec *vec, char *out) {
    const char *data = vec->data;
    out = write_count(vec->length, out);
    if (element->pointers) {
        for (int64_t i = 0; i < vec->length; i++) out = write_value(element, data + i * element->size, out);
        return out;
    }
    int64_t bytes = vec->length * element->size;
    if (!type_has_padding(element)) {
        if (bytes) memcpy(out, data, (size_t)bytes);
        return out + bytes;
    }
    for (int64_t at = 0; at < bytes; at += element->size) write_whole(element, data + at, out + at);
    return out + bytes;
}

static char *write_value(const Type *type, const void *value, char *out) {
    if (type->kind == TY_vec) return write_vec(type->args[0], value, out);
    if (type->kind == TY_dict) {
        const Dict *dict = *(Dict *const *)value;
        EntryType room;
        const Type *entry = dict_entry_layout(type, &room);
        out = write_count(dict ? dict->length : 0, out);
        for (int64_t i = 0; dict && i < dict->length; i++) {
            out = write_value(entry, dict->entries + i * entry->size, out);
        }
        return out;
    }
    if (type->kind != TY_struct) {
        memcpy(out, value, (size_t)type->size);
        return out + type->size;
    }
    for (int i = 0; i < type->count; i++) {
        out = write_value(type->args[i], (const char *)value + type->offsets[i], out);
    }
    return out;
}

void value_serialize(const Type *type, const void *value, char *out) {
    write_value(type, value, out);
}

/* ---- reading ---- */

typedef struct Reader {
    Worker *worker;
    Span span;
    const char *bytes;
    int64_t length, at;
} Reader;

static ErrorCode read_fail(Reader *reader) {
    return worker_fail(reader->worker, E_Deserialization, reader->span, reader->at, reader->length);
}

static ErrorCode read_bytes(Reader *reader, void *out, int64_t bytes) {
    if (bytes > reader->length - reader->at) return read_fail(reader);
    if (bytes) memcpy(out, reader->bytes + reader->at, (size_t)bytes);
    reader->at += bytes;
    return E_None;
}

/* A count of things that take at least `least` bytes each. */
static ErrorCode read_count(Reader *reader, int64_t least, int64_t *count) {
    ErrorCode code = read_bytes(reader, count, sizeof *count);
    if (code) return code;
    if (*count < 0 || (least && *count > (reader->length - reader->at) / least)) return read_fail(reader);
    return E_None;
}

static void fix_bools(const Type *type, void *value) {
    if (type->kind == TY_bool) *(uint8_t *)value = *(uint8_t *)value != 0;
    for (int i = 0; i < type->count && type->kind == TY_struct; i++) {
        fix_bools(type->args[i], (char *)value + type->offsets[i]);
    }
}

static ErrorCode read_value(Reader *reader, const Type *type, void *out);

static ErrorCode read_vec(Reader *reader, const Type *element, Vec *out) {
    Vec vec = {0};
    int64_t bytes, least = element->pointers ? least_size(element) : element->size;
    ErrorCode code = read_count(reader, least, &vec.length);
    if (code) return code;
    if (__builtin_mul_overflow(vec.length, element->size, &bytes)) bytes = -1;
    if (vec.length) vec.data = worker_alloc(reader->worker, bytes, reader->span);
    if (vec.length && !vec.data) return E_OutOfMemory;
    if (!element->pointers) {
        code = read_bytes(reader, vec.data, bytes);
        bool fix = type_has_bool(element);
        for (int64_t at = 0; at < bytes && fix && !code; at += element->size)
            fix_bools(element, (char *)vec.data + at);
    } else {
        for (int64_t at = 0; at < bytes && !code; at += element->size) {
            code = read_value(reader, element, (char *)vec.data + at);
        }
    }
    if (!code) *out = vec;
    return code;
}

static ErrorCode read_dict(Reader *reader, const Type *type, Dict **out) {
    Worker *worker = reader->worker;
    EntryType room;
    const Type *entry = dict_entry_layout(type, &room);
    int64_t count = 0;
    ErrorCode code = read_count(reader, least_size(entry), &count);
    if (code) return code;
    Dict *dict = dict_new(worker, entry, reader->span);
    char *pair = worker_alloc(worker, entry->size, reader->span);
    if (!dict || !pair) return E_OutOfMemory;
    for (int64_t i = 0; i < count; i++) {
        bool fresh;
        code = read_value(reader, entry, pair);
        if (code) return code;
        uint64_t hash = key_hash(entry->args[0], pair);
        char *value = dict_insert(worker, dict, entry, pair, hash, &fresh, reader->span);
        if (!value) return E_OutOfMemory;
        if (!fresh) return read_fail(reader);
        memcpy(value, pair + entry->offsets[1], (size_t)entry->args[1]->size);
    }
    if (!dict_finish(worker, dict, entry, reader->span)) return E_OutOfMemory;
    *out = dict;
    return E_None;
}

static ErrorCode read_value(Reader *reader, const Type *type, void *out) {
    if (type->kind == TY_vec) return read_vec(reader, type->args[0], out);
    if (type->kind == TY_dict) return read_dict(reader, type, out);
    ErrorCode code = E_None;
    if (type->kind != TY_struct) {
        code = read_bytes(reader, out, type->size);
        if (!code) fix_bools(type, out);
        return code;
    }
    memset(out, 0, (size_t)type->size);
    for (int i = 0; i < type->count && !code; i++) {
        code = read_value(reader, type->args[i], (char *)out + type->offsets[i]);
    }
    return code;
}

ErrorCode value_deserialize(Worker *worker, Span span, const Type *type, const Vec *bytes, void *out) {
    Reader reader = {worker, span, bytes->data, bytes->length, 0};
    ErrorCode code = read_value(&reader, type, out);
    if (!code && reader.at != reader.length) code = read_fail(&reader);
    return code;
}

/* A count of things, and that of bytes that are left at *at. */
static bool skip_bytes(const char **at, const char *end, int64_t count, int64_t each) {
    if (count < 0 || (each && count > (end - *at) / each)) return false;
    *at += count * each;
    return true;
}

static bool skip_count(const char **at, const char *end, int64_t *count) {
    const char *from = *at;
    if (!skip_bytes(at, end, 1, sizeof *count)) return false;
    memcpy(count, from, sizeof *count);
    return true;
}

bool value_serialized_skip(const Type *type, const char **at, const char *end) {
    int64_t count;
    bool ok = true;
    if (!type->pointers) return skip_bytes(at, end, 1, least_size(type));
    if (type->kind == TY_vec || type->kind == TY_dict) {
        EntryType room;
        const Type *element = type->kind == TY_vec ? type->args[0] : dict_entry_layout(type, &room);
        if (!skip_count(at, end, &count)) return false;
        if (type->kind == TY_vec && !element->pointers) return skip_bytes(at, end, count, element->size);
        for (int64_t i = 0; ok && i < count; i++) ok = value_serialized_skip(element, at, end);
        return ok && count >= 0;
    }
    for (int i = 0; ok && i < type->count; i++) ok = value_serialized_skip(type->args[i], at, end);
    return ok;
}
