/* types.c: interned types, variables of inference, and unification.
 *
 * A closed type (one without unknown parts) exists once per table, found by hashing its kind, operator and
 * argument pointers, so that equal types are the same pointer and carry their layout. A type with unknown
 * parts is `open` and not shared: vec[?1] becomes vec[i64] when ?1 is linked to i64, and type_resolve then
 * finds the interned vec[i64]. Unification is Robinson's, with union-find links and an occurs check.
 */
#include "lang.h"

#include <string.h>

const TypeClass type_classes[TY_COUNT] = {
#define CLASS_BOOL 'b'
#define CLASS_SINT 's'
#define CLASS_UINT 'u'
#define CLASS_FLOAT 'f'
    [TY_unknown] = {"?", 0, 0, 0, false},
#define SCALAR(id, spelling, ctype, class, bits) [TY_##id] = {spelling, CLASS_##class, bits, 0, false},
#include "types.def"
#define COMPOSITE(id, spelling, arguments, doc) [TY_##id] = {spelling, 'c', 0, arguments, false},
#include "types.def"
#define BUILDER(id, spelling, arguments, has_op, doc) [TY_##id] = {spelling, 'm', 0, arguments, has_op},
#include "types.def"
};

static uint32_t type_hash(TypeKind kind, Op op, int count, Type *const *args) {
    uint64_t hash = (uint64_t)kind * 31 + op;
    for (int i = 0; i < count; i++) hash = (hash ^ args[i]->id) * 0x9E3779B97F4A7C15u + (hash >> 29);
    return (uint32_t)(hash ^ hash >> 32);
}

/* C's layout: each field at the next multiple of its alignment. */
static void type_layout(Arena *arena, Type *type) {
    type->align = 8;
    type->size = 8;
    if (type_is_scalar(type)) {
        type->size = type->align = type_classes[type->kind].bits / 8;
    } else if (type->kind == TY_simd) {
        type->size = type->args[0]->size * WELD_LANES;
        type->align = type->size < 64 ? type->size : 64;
    } else if (type->kind == TY_vec) {
        type->size = sizeof(Vec);
    } else if (type->kind == TY_function) {
        type->size = 0;
    } else if (type->kind == TY_struct) {
        type->size = 0;
        type->align = 1;
        type->offsets = arena_alloc(arena, sizeof(int64_t) * (size_t)type->count);
        for (int i = 0; i < type->count && type->offsets; i++) {
            const Type *field = type->args[i];
            type->size = (type->size + field->align - 1) / field->align * field->align;
            type->offsets[i] = type->size;
            type->size += field->size;
            if (field->align > type->align) type->align = field->align;
        }
        type->size = (type->size + type->align - 1) / type->align * type->align;
    }
}

static Type *type_new(TypeTable *table, TypeKind kind, Op op, int count, Type *const *args) {
    Type *type = arena_alloc(table->arena, sizeof *type);
    type->kind = kind;
    type->op = op;
    type->id = ++table->count;
    type->pointers = kind >= TY_vec && kind != TY_struct;
    type->builders = kind >= TY_appender;
    if (count) type->args = arena_alloc(table->arena, sizeof *args * (size_t)count);
    if (count && !type->args) count = 0;
    type->count = count;
    type->parts = 1;
    for (int i = 0; i < count; i++) {
        uint32_t parts = type_find(args[i])->parts;
        type->parts = parts < TYPE_PARTS - type->parts ? type->parts + parts : TYPE_PARTS;
        type->args[i] = args[i];
        type->open |= args[i]->open;
        type->pointers |= args[i]->pointers;
        if (kind == TY_struct) type->builders |= args[i]->builders;
    }
    if (!type->open && type->parts < TYPE_PARTS) type_layout(table->arena, type);
    return type;
}

void types_init(TypeTable *table, Arena *arena) {
    memset(table, 0, sizeof *table);
    table->arena = arena;
    table->capacity = 64;
    table->slots = arena_alloc(arena, sizeof *table->slots * table->capacity);
    for (int kind = TY_bool; kind <= TY_f64; kind++) {
        table->scalars[kind] = type_new(table, (TypeKind)kind, OP_none, 0, NULL);
    }
}

Type *type_scalar(TypeTable *table, TypeKind kind) {
    return table->scalars[kind];
}

Type *type_unknown(TypeTable *table) {
    Type *type = arena_alloc(table->arena, sizeof *type);
    type->open = true;
    type->parts = 1;
    type->id = ++table->unknowns;
    return type;
}

static void types_grow(TypeTable *table) {
    uint32_t capacity = table->capacity * 2;
    Type **slots = arena_alloc(table->arena, sizeof *slots * capacity);
    if (!slots) return; /* the table stays usable, only fuller */
    for (uint32_t i = 0; i < table->capacity; i++) {
        if (!table->slots[i]) continue;
        uint32_t at = table->slots[i]->hash & (capacity - 1);
        while (slots[at]) at = (at + 1) & (capacity - 1);
        slots[at] = table->slots[i];
    }
    table->slots = slots;
    table->capacity = capacity;
}

static bool type_has_parts(const Type *type, TypeKind kind, Op op, int count, Type *const *args) {
    if (type->kind != kind || type->op != op || type->count != count) return false;
    return count == 0 || memcmp(type->args, args, sizeof *args * (size_t)count) == 0;
}

Type *type_make(TypeTable *table, TypeKind kind, Op op, int count, Type *const *args) {
    if (kind >= TY_bool && kind <= TY_f64) return table->scalars[kind];
    for (int i = 0; i < count; i++) {
        if (args[i]->open) return type_new(table, kind, op, count, args);
    }
    uint32_t hash = type_hash(kind, op, count, args), at = hash & (table->capacity - 1);
    for (; table->slots[at]; at = (at + 1) & (table->capacity - 1)) {
        if (type_has_parts(table->slots[at], kind, op, count, args)) return table->slots[at];
    }
    Type *type = type_new(table, kind, op, count, args);
    type->hash = hash;
    table->slots[at] = type;
    if (table->count > table->capacity / 2) types_grow(table);
    return type;
}

Type *type_vec(TypeTable *table, Type *element) {
    return type_make(table, TY_vec, OP_none, 1, &element);
}

Type *type_find(Type *type) {
    Type *root = type;
    while (root->link) root = root->link;
    while (type->link) {
        Type *next = type->link;
        type->link = root;
        type = next;
    }
    return root;
}

enum { FEW = 16 }; /* arguments that fit on the stack */

Type *type_resolve(TypeTable *table, Type *type) {
    type = type_find(type);
    if (!type->open || type->kind == TY_unknown) return type;
    Type *few[FEW];
    Type **args = type->count <= FEW ? few : arena_alloc(table->arena, sizeof *args * (size_t)type->count);
    if (!args) return type;
    for (int i = 0; i < type->count; i++) args[i] = type_resolve(table, type->args[i]);
    return type_make(table, type->kind, type->op, type->count, args);
}

static bool type_occurs(const Type *variable, Type *type) {
    type = type_find(type);
    if (type == variable) return true;
    if (!type->open) return false;
    for (int i = 0; i < type->count; i++) {
        if (type_occurs(variable, type->args[i])) return true;
    }
    return false;
}

bool type_unify(TypeTable *table, Type *a, Type *b) {
    a = type_find(a);
    b = type_find(b);
    if (a == b) return true;
    if (a->kind == TY_unknown || b->kind == TY_unknown) {
        Type *variable = a->kind == TY_unknown ? a : b, *other = variable == a ? b : a;
        if (type_occurs(variable, other)) return false;
        variable->link = other;
        return true;
    }
    if (!a->open && !b->open) return false; /* interned: different pointers, different types */
    if (a->kind != b->kind || a->op != b->op || a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        if (!type_unify(table, a->args[i], b->args[i])) return false;
    }
    return true;
}

Type *type_import(TypeTable *table, const Type *type) {
    if (type->link) return type_import(table, type->link);
    if (type->kind == TY_unknown) return type_unknown(table);
    Type *few[FEW];
    Type **args = type->count <= FEW ? few : arena_alloc(table->arena, sizeof *args * (size_t)type->count);
    if (!args) return NULL;
    for (int i = 0; i < type->count; i++) args[i] = type_import(table, type->args[i]);
    return type_make(table, type->kind, type->op, type->count, args);
}

static void args_print(Buf *out, Type *const *args, int count) {
    for (int i = 0; i < count; i++) {
        if (i) buf_put(out, ",", 1);
        type_print(out, args[i]);
    }
}

void type_print(Buf *out, const Type *type) {
    while (type->link) type = type->link;
    const TypeClass *class = &type_classes[type->kind];
    if (type->kind == TY_struct) {
        buf_put(out, "{", 1);
        args_print(out, type->args, type->count);
        buf_put(out, "}", 1);
    } else if (type->kind == TY_function) {
        buf_put(out, "|", 1);
        args_print(out, type->args, type->count - 1);
        buf_put(out, "| ", 2);
        type_print(out, type->args[type->count - 1]);
    } else {
        buf_printf(out, "%s", class->spelling);
        if (type->count == 0) return;
        buf_put(out, "[", 1);
        args_print(out, type->args, type->count);
        if (class->has_op) buf_printf(out, ",%s", op_classes[type->op].spelling);
        buf_put(out, "]", 1);
    }
}

static bool type_all(const Type *type, bool vectors) {
    if (type_is_scalar(type)) return true;
    if (type->kind != TY_struct && !(vectors && type->kind == TY_vec)) return false;
    for (int i = 0; i < type->count; i++) {
        if (!type_all(type->args[i], vectors)) return false;
    }
    return true;
}

bool type_is_key(const Type *type) {
    return type_all(type, true);
}
bool type_nests(const Type *type) {
    if (type->kind == TY_vec) return type->args[0]->pointers;
    bool nests = false;
    for (int i = 0; type->kind == TY_struct && i < type->count; i++) nests |= type_nests(type->args[i]);
    return nests;
}

bool type_is_comparable(const Type *type) {
    return type_all(type, true);
}
