/* value.c: arguments and results.
 *
 * The user's own value is a pointer in a wrapper. A result owns a block for the value itself and the region
 * in which the run left what it points to, both counted in its context. Two things must not end up behind a
 * result's back:
 *
 * - Constants of the program, such as string literals, which go with the module. value_detach copies them:
 *       |x: i64| {"abc", [x]}   {pointer into the module, 3}, {pointer into the region, 1}
 *                        ->     {pointer into the region, 3}, {pointer into the region, 1}
 *   It follows pointers through the run's own region only; other memory is the arguments', which no program
 * writes.
 * - Data of a result, or of a lazy value, that was passed in. A program may return it or a slice of it, so the new result
 *   holds what it points into (reach.c finds out): a chain of results that each come from the one before, such as the
 *   steps of a training, does not keep them all.
 */
#include "rt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static Value *value_new(void) {
    Value *value = calloc(1, sizeof *value);
    if (!value) return NULL;
    object_init(&value->object, HANDLE_VALUE);
    value->run = value->bytes = -1;
    return value;
}

weld_value_t weld_value_new(const void *data) {
    Value *value = value_new();
    if (value) value->data = (void *)(uintptr_t)data;
    return value;
}

static size_t data_bytes(const Value *value) {
    int64_t size = value->signature->result->size;
    return size > 0 ? (size_t)size : 1;
}

/* Keeps objects alive for as long as the value lives. */
static bool hold_all(Value *value, void *const *held, int64_t count) {
    if (!count) return true;
    value->held = malloc((size_t)count * sizeof *value->held);
    if (!value->held) return false;
    for (int64_t i = 0; i < count; i++) value->held[i] = object_hold(held[i]);
    value->held_count = count;
    return true;
}

Value *value_new_result(Context *context, Signature *signature, void *const *held, int64_t count) {
    Value *value = value_new();
    if (!value) return NULL;
    value->context = context_hold(context);
    value->signature = signature_hold(signature);
    value->run = context->runs - 1;
    value->region = region_new(&context->budget);
    value->data = value->region ? budget_take(&context->budget, data_bytes(value)) : NULL;
    if (value->data && hold_all(value, held, signature->result->pointers ? count : 0)) {
        memset(value->data, 0, data_bytes(value));
        return value;
    }
    object_drop(value);
    return NULL;
}

Value *value_part(Value *whole, int field) {
    Value *part = value_new();
    if (!part) return NULL;
    const Type *type = whole->signature->result;
    part->is_part = true;
    part->context = context_hold(whole->context);
    part->signature = signature_part(whole->signature, field);
    part->data = (char *)whole->data + type->offsets[field];
    part->run = whole->run;
    part->in_blocks = whole->in_blocks;
    if (part->signature && hold_all(part, (void *const *)&whole, 1)) {
        part->bytes = value_bytes(type->args[field], part->data);
        return part;
    }
    object_drop(part);
    return NULL;
}

void value_finish(Value *value) {
    const Type *type = value->signature->result;
    if (type->pointers) {
        region_finish(value->region, (RegionMark){0}, type, value->data);
        value_release_unused(value);
    } else {
        region_free(value->region);
        value->region = NULL;
    }
    value->bytes = (int64_t)data_bytes(value) + (value->region ? region_bytes(value->region) : 0);
}

void value_destroy(Value *value, Object **dead) {
    for (int64_t i = 0; i < value->held_count; i++) object_bury(value->held[i], dead);
    free(value->held);
    if (value->context) {
        region_free(value->region);
        if (!value->is_part && value->data)
            budget_give(&value->context->budget, value->data, data_bytes(value));
        signature_drop(value->signature);
        context_drop(value->context);
    }
    free(value);
}

void weld_value_free(weld_value_t value) {
    object_drop(handle_as(value, HANDLE_VALUE));
}

weld_value_t weld_value_hold(weld_value_t value) {
    return handle_as(value, HANDLE_VALUE) ? object_hold(value) : NULL;
}

weld_value_t weld_value_field(weld_value_t handle, int64_t index) {
    Value *value = handle_as(handle, HANDLE_VALUE);
    const Type *type = value_type(handle);
    if (!type || type->kind != TY_struct || index < 0 || index >= type->count) return NULL;
    return value_part(value, (int)index);
}

void *weld_value_data(weld_value_t handle) {
    Value *value = handle_as(handle, HANDLE_VALUE);
    return value ? value->data : NULL;
}

int64_t weld_value_run(weld_value_t handle) {
    Value *value = handle_as(handle, HANDLE_VALUE);
    return value ? value->run : -1;
}

weld_context_t weld_value_context(weld_value_t handle) {
    Value *value = handle_as(handle, HANDLE_VALUE);
    return value && value->context ? context_hold(value->context) : NULL;
}

int64_t weld_value_memory_usage(weld_value_t handle) {
    Value *value = handle_as(handle, HANDLE_VALUE);
    return !value ? -1 : value->context ? value->bytes : 0;
}

const Type *value_type(weld_value_t handle) {
    Value *value = handle_as(handle, HANDLE_VALUE);
    return value && value->signature ? value->signature->result : NULL;
}

const char *weld_value_type(weld_value_t handle) {
    Value *value = handle_as(handle, HANDLE_VALUE);
    return value && value->signature ? value->signature->result_text : NULL;
}

static char *value_text(weld_value_t value, void (*print)(Buf *out, const Type *type, const void *value)) {
    const Type *type = value_type(value);
    if (!type || type->builders) return NULL;
    Buf buf = {0};
    print(&buf, type, weld_value_data(value));
    if (!buf.failed && buf.text) return buf.text;
    buf_release(&buf);
    return NULL;
}

char *weld_value_print(weld_value_t value) {
    return value_text(value, value_print);
}

char *weld_value_json(weld_value_t value) {
    return value_text(value, value_print_json);
}

/* ---- detaching a result from its module
 * -------------------------------------------------------------------- */

typedef struct Detach {
    Worker *worker;
    bool (*owns)(const void *module, const void *pointer);
    const void *module;
} Detach;

static bool detach(const Detach *d, const Type *type, char *value);

static bool detach_elements(const Detach *d, const Type *type, char *data, int64_t length) {
    if (!type->pointers || !data || length <= 0 || !region_owns(d->worker->region, data)) return true;
    for (int64_t i = 0; i < length; i++) {
        if (!detach(d, type, data + i * type->size)) return false;
    }
    return true;
}

/* In a group that grows the entries have no vectors yet; the values lie apart. */
static bool detach_dict(const Detach *d, const Type *type, Dict *dict) {
    if (!dict) return true;
    EntryType room;
    const Type *entry = dict_entry_layout(type, &room);
    bool grows = type->kind == TY_groupmerger && dict->values >= 0;
    if (!grows) return detach_elements(d, entry, dict->entries, dict->length);
    for (int64_t i = 0; i < dict->length; i++) {
        if (!detach(d, entry->args[0], dict->entries + i * entry->size)) return false;
    }
    return detach_elements(d, type->args[1], dict->value, dict->values);
}

static bool detach(const Detach *d, const Type *type, char *value) {
    if (!type->pointers) return true;
    switch (type->kind) {
    case TY_struct:
        for (int i = 0; i < type->count; i++) {
            if (!detach(d, type->args[i], value + type->offsets[i])) return false;
        }
        return true;
    case TY_vec: {
        Vec *vec = (Vec *)(void *)value;
        if (vec->length <= 0 || !vec->data) return true;
        if (!d->owns(d->module, vec->data)) return detach_elements(d, type->args[0], vec->data, vec->length);
        Vec constant = *vec;
        return value_copy(d->worker, type, &constant, vec);
    }
    case TY_appender:
    case TY_vecmerger: {
        Appender *state = *(Appender **)(void *)value;
        return !state || detach_elements(d, type->args[0], state->data, state->length);
    }
    case TY_dict: return detach_dict(d, type, *(Dict **)(void *)value);
    case TY_dictmerger:
    case TY_groupmerger: {
        Dict **state = *(Dict ***)(void *)value;
        return !state || detach_dict(d, type, *state);
    }
    default: return true;
    }
}

bool value_detach(Worker *worker, const Type *type, void *value,
                  bool (*owns)(const void *module, const void *pointer), const void *module) {
    Detach d = {worker, owns, module};
    return detach(&d, type, value);
}
