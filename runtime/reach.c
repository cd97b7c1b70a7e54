/* reach.c: what a result points into.
 *
 * A program may return its arguments, or slices of them. The result then holds the values that they lie in, but only
 * those: each pointer that does not lead into the result's own region is looked for in the memory of every held
 * result. A pointer that is found nowhere leads into the caller's own data, whose extent is not known, or into what a
 * held result holds itself; then everything stays held.
 *
 *     |v: vec[i64], w: vec[i64]| {slice(v, 1L, 2L), map(w, |e| e + 1L)}      holds v, lets go of w
 */
#include "rt.h"

#include <stdlib.h>

typedef struct Reach {
    const Value *value;
    bool *used;   /* by number of what is held */
    int64_t left; /* not yet known to be used */
} Reach;

static void use(Reach *reach, int64_t i) {
    reach->left -= !reach->used[i];
    reach->used[i] = true;
}

static bool lies_in(const Value *value, const char *pointer) {
    if (!value->signature || value->is_part) return false;
    const char *data = value->data;
    bool inside = pointer >= data && pointer < data + value->signature->result->size;
    return inside || (value->region && region_owns(value->region, pointer));
}

/* A pointer out of the result's own region. */
static void use_pointer(Reach *reach, const void *pointer) {
    const Value *value = reach->value;
    for (int64_t i = 0; i < value->held_count; i++) {
        const Object *held = value->held[i];
        const Value *result = held->handle.kind == HANDLE_VALUE ? (const Value *)held : NULL;
        while (result && result->is_part) result = result->held[0];
        if (!result || !lies_in(result, pointer)) continue;
        use(reach, i);
        return;
    }
    for (int64_t i = 0; i < value->held_count; i++) use(reach, i);
}

static void reach_value(Reach *reach, const Type *type, const char *value);

static void reach_elements(Reach *reach, const Type *type, const char *data, int64_t length) {
    if (!data || length <= 0 || !reach->left) return;
    if (!region_owns(reach->value->region, data)) {
        use_pointer(reach, data);
        return;
    }
    for (int64_t i = 0; type->pointers && i < length && reach->left; i++)
        reach_value(reach, type, data + i * type->size);
}

/* In a group that grows the entries have no vectors yet; the values lie apart. */
static void reach_dict(Reach *reach, const Type *type, const Dict *dict) {
    EntryType room;
    const Type *entry = dict_entry_layout(type, &room);
    if (!dict) return;
    if (!region_owns(reach->value->region, dict)) {
        use_pointer(reach, dict);
        return;
    }
    bool grows = type->kind == TY_groupmerger && dict->values >= 0;
    if (!grows) {
        reach_elements(reach, entry, dict->entries, dict->length);
        return;
    }
    for (int64_t i = 0; entry->args[0]->pointers && i < dict->length && reach->left; i++)
        reach_value(reach, entry->args[0], dict->entries + i * entry->size);
    reach_elements(reach, type->args[1], dict->value, dict->values);
}

static void reach_value(Reach *reach, const Type *type, const char *value) {
    if (!type->pointers || !reach->left) return;
    switch (type->kind) {
    case TY_struct:
        for (int i = 0; i < type->count; i++) reach_value(reach, type->args[i], value + type->offsets[i]);
        return;
    case TY_vec: {
        const Vec *vec = (const Vec *)(const void *)value;
        reach_elements(reach, type->args[0], vec->data, vec->length);
        return;
    }
    case TY_dict: reach_dict(reach, type, *(Dict *const *)(const void *)value); return;
    default: /* a builder: it may go on merging into what it came with */
        for (int64_t i = 0; i < reach->value->held_count; i++) use(reach, i);
    }
}

void value_release_unused(Value *value) {
    if (!value->held_count) return;
    bool *used = calloc((size_t)value->held_count, sizeof *used);
    if (!used) return; /* then all stays held */
    Reach reach = {value, used, value->held_count};
    reach_value(&reach, value->signature->result, value->data);
    int64_t kept = 0;
    for (int64_t i = 0; i < value->held_count; i++) {
        if (used[i])
            value->held[kept++] = value->held[i];
        else
            object_drop(value->held[i]);
    }
    value->held_count = kept;
    free(used);
}
