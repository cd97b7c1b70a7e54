/* eval_builder.c: the interpreter's builders: new, merge, result.
 *
 * A builder's value is a pointer to its state (see Appender in lang.h), and merging changes the state in
 * place and gives back the same pointer. So a builder that is named in an inner loop is the outer one,
 * whatever name it goes by.
 *
 *     appender     Appender, its data a builder's block that doubles
 *     merger       the value so far, starting from the operator's identity or the given value
 *     dictmerger   a Dict * that grows           groupmerger   the same, with its values apart
 *     vecmerger    Appender, its data a copy of the vector
 *
 * A struct of builders is a struct of pointers. After result an appender's data is an ordinary vector: its
 * capacity is 0, and merging more would start with a copy.
 */
#include "eval.h"

#include <string.h>

/* ---- new ---- */

static ErrorCode new_merger(Eval *e, const Node *node, void *state) {
    const Type *type = node->type;
    if (node->count) return eval(e, node->kids[0], state);
    combine_identity(type->args[0], type->op, state);
    return E_None;
}

static ErrorCode new_dict(Eval *e, const Node *node, Dict **state) {
    EntryType room;
    *state = dict_new(e->worker, dict_entry_layout(node->type, &room), node->span);
    return *state ? E_None : E_OutOfMemory;
}

static ErrorCode new_vecmerger(Eval *e, const Node *node, Appender *state) {
    Cell cell;
    const void *at;
    TRY(eval_operand(e, node->kids[0], &cell, &at));
    const Vec *vec = at;
    int64_t bytes = vec->length * node->type->args[0]->size;
    char *data = worker_alloc(e->worker, bytes, node->span);
    if (!data) return E_OutOfMemory;
    if (bytes) memcpy(data, vec->data, (size_t)bytes);
    *state = (Appender){data, vec->length, 0};
    return E_None;
}

/* The sizes that appenders and dictmergers may be given are hints. */
ErrorCode eval_NewBuilder(Eval *e, const Node *node, void *out) {
    const Type *type = node->type;
    int64_t bytes = type->kind == TY_merger ? type->args[0]->size : (int64_t)sizeof(Appender);
    void *state = worker_alloc(e->worker, bytes, node->span);
    if (!state) return E_OutOfMemory;
    memset(state, 0, (size_t)bytes);
    *(void **)out = state;
    switch (type->kind) {
    case TY_merger: return new_merger(e, node, state);
    case TY_vecmerger: return new_vecmerger(e, node, state);
    case TY_dictmerger:
    case TY_groupmerger: return new_dict(e, node, state);
    default: return E_None;
    }
}

/* ---- merge ---- */

static ErrorCode append_room(Eval *e, Span span, int64_t size, Appender *state, int64_t count) {
    enum { LEAST = 16 };
    Region *region = e->worker->region;
    int64_t capacity =
                state->length + count > 2 * state->capacity ? state->length + count : 2 * state->capacity,
            bytes;
    if (capacity < LEAST) capacity = LEAST;
    if (__builtin_mul_overflow(capacity, size ? size : 1, &bytes)) bytes = INT64_MAX;
    void *data = region_grow(region, state->capacity ? state->data : NULL, bytes);
    if (!data) return worker_fail(e->worker, E_OutOfMemory, span, bytes, budget_limit(region_budget(region)));
    if (!state->capacity && state->length) memcpy(data, state->data, (size_t)(state->length * size));
    state->data = data;
    state->capacity = capacity;
    return E_None;
}

static ErrorCode append(Eval *e, Span span, const Type *element, Appender *state, const void *value,
                        int64_t count) {
    if (count > state->capacity - state->length) TRY(append_room(e, span, element->size, state, count));
    memcpy((char *)state->data + state->length * element->size, value, (size_t)(count * element->size));
    state->length += count;
    if (element->pointers) level_escape(e, state);
    return E_None;
}

/* pair: the type {K, V} of the value, which is that of the entries. */
static ErrorCode merge_dict(Eval *e, Span span, const Type *builder, Dict **state, const Type *pair,
                            const char *value) {
    const Type *key = pair->args[0], *type = pair->args[1];
    bool fresh;
    void *into = dict_insert(e->worker, *state, pair, value, key_hash(key, value), &fresh, span);
    if (!into) return E_OutOfMemory;
    if (!fresh) {
        combine(type, builder->op, into, value + pair->offsets[1]);
        return E_None;
    }
    memcpy(into, value + pair->offsets[1], (size_t)type->size);
    if (pair->pointers) level_escape(e, state);
    return E_None;
}

static ErrorCode merge_group(Eval *e, Span span, const Type *builder, Dict **state, const Type *pair,
                             const char *value) {
    EntryType room;
    const Type *entry = dict_entry_layout(builder, &room);
    if (!group_merge(e->worker, *state, entry, value, value + pair->offsets[1], span)) return E_OutOfMemory;
    if (pair->pointers) level_escape(e, state);
    return E_None;
}

static ErrorCode merge_vec(Eval *e, Span span, const Type *builder, const Appender *state, const Type *pair,
                           const char *value) {
    const Type *type = builder->args[0];
    int64_t index = *(const int64_t *)(const void *)value;
    if (index < 0 || index >= state->length)
        return worker_fail(e->worker, E_OutOfBounds, span, index, state->length);
    combine(type, builder->op, (char *)state->data + index * type->size, value + pair->offsets[1]);
    return E_None;
}

/* builder: where the builder's value lies. A simd value is merged lane after lane. */
static ErrorCode merge(Eval *e, Span span, const Type *builder, const void *at, const Type *type,
                       const char *value) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            TRY(merge(e, span, builder->args[i], (const char *)at + builder->offsets[i], type->args[i],
                      value + type->offsets[i]));
        }
        return E_None;
    }
    void *state = *(void *const *)at;
    int lanes = type->kind == TY_simd && builder->args[0]->kind != TY_simd ? WELD_LANES : 1;
    switch (builder->kind) {
    case TY_appender: return append(e, span, builder->args[0], state, value, lanes);
    case TY_dictmerger: return merge_dict(e, span, builder, state, type, value);
    case TY_groupmerger: return merge_group(e, span, builder, state, type, value);
    case TY_vecmerger: return merge_vec(e, span, builder, state, type, value);
    default: break;
    }
    const Type *element = builder->args[0];
    for (int i = 0; i < lanes; i++) combine(element, builder->op, state, value + i * element->size);
    return E_None;
}

ErrorCode eval_Merge(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *value;
    const Node *operand = node->kids[1];
    TRY(eval(e, node->kids[0], out));
    TRY(eval_operand(e, operand, &cell, &value));
    return merge(e, node->span, node->type, out, operand->type, value);
}

/* ---- result ---- */

static ErrorCode result_appender(Eval *e, Span span, const Type *element, Appender *state, Vec *out) {
    Region *region = e->worker->region;
    if (state->capacity) {
        int64_t bytes = state->length * element->size;
        void *data = region_settle(region, state->data, bytes);
        if (!data)
            return worker_fail(e->worker, E_OutOfMemory, span, bytes, budget_limit(region_budget(region)));
        state->data = data;
        state->capacity = 0;
        level_escape(e, state);
    }
    *out = (Vec){state->data, state->length};
    return E_None;
}

static ErrorCode result_dict(Eval *e, Span span, const Type *builder, Dict **state, Dict **out) {
    EntryType room;
    const Type *entry = dict_entry_layout(builder, &room);
    bool done = builder->kind == TY_groupmerger ? group_finish(e->worker, *state, entry, span)
                                                : dict_finish(e->worker, *state, entry, span);
    if (!done) return E_OutOfMemory;
    level_escape(e, state);
    *out = *state;
    return E_None;
}

static ErrorCode result(Eval *e, Span span, const Type *builder, const void *at, const Type *type,
                        char *out) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            TRY(result(e, span, builder->args[i], (const char *)at + builder->offsets[i], type->args[i],
                       out + type->offsets[i]));
        }
        return E_None;
    }
    void *state = *(void *const *)at;
    switch (builder->kind) {
    case TY_appender:
    case TY_vecmerger: return result_appender(e, span, builder->args[0], state, (Vec *)(void *)out);
    case TY_dictmerger:
    case TY_groupmerger: return result_dict(e, span, builder, state, (Dict **)(void *)out);
    default: memcpy(out, state, (size_t)type->size); return E_None;
    }
}

ErrorCode eval_Result(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *builder;
    TRY(eval_operand(e, node->kids[0], &cell, &builder));
    return result(e, node->span, node->kids[0]->type, builder, node->type, out);
}
