/* type.c: types of the language, read from their text, with their layout in memory, which is C's: "{i64,vec[f64]}". */
#include "arrow.h"

#include <string.h>

static const struct {
    const char name[5], format[2];
    int64_t size;
} scalars[] = {
    {"bool", "b", 1}, {"i8", "c", 1},  {"i16", "s", 2}, {"i32", "i", 4}, {"i64", "l", 8}, {"u8", "C", 1},
    {"u16", "S", 2},  {"u32", "I", 4}, {"u64", "L", 8}, {"f32", "f", 4}, {"f64", "g", 8},
};

static Type *read(const char **at, int depth);

static Type *type_new(TypeKind kind, int64_t size, int64_t align) {
    Type *type = calloc(1, sizeof *type);
    if (type) *type = (Type){.kind = kind, .size = size, .align = align};
    return type;
}

void type_free(Type *type) {
    if (!type) return;
    for (int64_t i = 0; i < type->count; i++) type_free(type->part[i]);
    free(type->part);
    free(type->offset);
    free(type);
}

/* Takes the part. */
static bool add_part(Type *type, Type *part) {
    size_t count = (size_t)type->count + 1;
    Type **parts = part ? realloc(type->part, count * sizeof *parts) : NULL;
    if (parts) type->part = parts;
    int64_t *offsets = parts ? realloc(type->offset, count * sizeof *offsets) : NULL;
    if (!offsets) {
        type_free(part);
        return false;
    }
    type->offset = offsets;
    type->part[type->count] = part;
    type->offset[type->count++] = (type->size + part->align - 1) / part->align * part->align;
    return true;
}

static bool read_fields(Type *type, const char **at, int depth) {
    ++*at;
    while (**at != '}') {
        if (type->count && *(*at)++ != ',') return false;
        Type *field = read(at, depth + 1);
        if (!add_part(type, field)) return false;
        type->size = type->offset[type->count - 1] + field->size;
        if (field->align > type->align) type->align = field->align;
    }
    ++*at;
    type->size = (type->size + type->align - 1) / type->align * type->align;
    return true;
}

static bool read_element(Type *type, const char **at, int depth) {
    *at += 4;
    if (!add_part(type, read(at, depth + 1)) || **at != ']') return false;
    ++*at;
    return true;
}

static Type *read_scalar(const char **at) {
    size_t length = strspn(*at, "abcdefghijklmnopqrstuvwxyz0123456789");
    for (size_t i = 0; i < sizeof scalars / sizeof *scalars; i++) {
        if (strlen(scalars[i].name) != length || memcmp(*at, scalars[i].name, length) != 0) continue;
        *at += length;
        Type *type = type_new(i ? TYPE_number : TYPE_bool, scalars[i].size, scalars[i].size);
        if (!type) return NULL;
        memcpy(type->name, scalars[i].name, sizeof type->name);
        memcpy(type->format, scalars[i].format, sizeof type->format);
        return type;
    }
    return NULL;
}

static Type *read(const char **at, int depth) {
    if (depth > MOST_DEPTH) return NULL;
    bool is_struct = **at == '{', is_vec = strncmp(*at, "vec[", 4) == 0;
    if (!is_struct && !is_vec) return read_scalar(at);
    Type *type = is_struct ? type_new(TYPE_struct, 0, 1) : type_new(TYPE_vec, sizeof(Vec), _Alignof(Vec));
    bool ok = type && (is_struct ? read_fields(type, at, depth) : read_element(type, at, depth));
    if (ok) return type;
    type_free(type);
    return NULL;
}

Type *type_read(const char *text) {
    Type *type = read(&text, 0);
    if (type && !*text) return type;
    type_free(type);
    return NULL;
}
