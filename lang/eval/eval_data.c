/* eval_data.c: the interpreter on vectors, dictionaries, bytes and foreign functions.
 *
 * A vector that is looked into or sliced is not copied: values never change once they are made.
 */
#include "eval.h"

#include <string.h>

ErrorCode eval_Len(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *vec;
    TRY(eval_operand(e, node->kids[0], &cell, &vec));
    *(int64_t *)out = ((const Vec *)vec)->length;
    return E_None;
}

/* ---- lookups ---- */

/* The value of the key kids[1] in the dictionary kids[0], or NULL. */
static ErrorCode find(Eval *e, const Node *node, const void **value) {
    Cell cells[2];
    const void *dict, *key;
    EntryType room;
    TRY(eval_operand(e, node->kids[0], &cells[0], &dict));
    TRY(eval_operand(e, node->kids[1], &cells[1], &key));
    *value = dict_find(*(Dict *const *)dict, dict_entry_layout(node->kids[0]->type, &room), key);
    return E_None;
}

ErrorCode eval_Lookup(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *at;
    if (node->kids[0]->type->kind == TY_dict) {
        TRY(find(e, node, &at));
        if (!at) return worker_fail(e->worker, E_KeyNotFound, node->span, 0, 0);
    } else {
        int64_t index;
        TRY(eval_operand(e, node->kids[0], &cell, &at));
        TRY(eval_i64(e, node->kids[1], &index));
        const Vec *vec = at;
        if (index < 0 || index >= vec->length) {
            return worker_fail(e->worker, E_OutOfBounds, node->span, index, vec->length);
        }
        at = (const char *)vec->data + index * node->type->size;
    }
    memcpy(out, at, (size_t)node->type->size);
    return E_None;
}

ErrorCode eval_OptLookup(Eval *e, const Node *node, void *out) {
    const void *value;
    TRY(find(e, node, &value));
    memset(out, 0, (size_t)node->type->size);
    if (!value) return E_None;
    *(uint8_t *)out = 1;
    memcpy((char *)out + node->type->offsets[1], value, (size_t)node->type->args[1]->size);
    return E_None;
}

ErrorCode eval_KeyExists(Eval *e, const Node *node, void *out) {
    const void *value;
    TRY(find(e, node, &value));
    *(uint8_t *)out = value != NULL;
    return E_None;
}

/* ---- parts of a vector ---- */

/* A view: negative operands are out of bounds, a start past the end gives nothing, the size is cut at the
 * end. */
ErrorCode eval_Slice(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *at;
    int64_t start, size;
    TRY(eval_operand(e, node->kids[0], &cell, &at));
    TRY(eval_i64(e, node->kids[1], &start));
    TRY(eval_i64(e, node->kids[2], &size));
    Vec vec = *(const Vec *)at;
    if (start < 0 || size < 0) {
        return worker_fail(e->worker, E_OutOfBounds, node->span, start < 0 ? start : size, vec.length);
    }
    Vec part = {NULL, 0};
    if (start < vec.length) {
        part.data = (char *)vec.data + start * node->type->args[0]->size;
        part.length = size < vec.length - start ? size : vec.length - start;
    }
    *(Vec *)out = part;
    return E_None;
}

/* The entries of a dictionary already are the vector. */
ErrorCode eval_ToVec(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *at;
    TRY(eval_operand(e, node->kids[0], &cell, &at));
    const Dict *dict = *(Dict *const *)at;
    *(Vec *)out = dict && dict->length ? (Vec){dict->entries, dict->length} : (Vec){NULL, 0};
    return E_None;
}

/* ---- bytes ---- */

ErrorCode eval_Serialize(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *value;
    const Type *type = node->kids[0]->type;
    TRY(eval_operand(e, node->kids[0], &cell, &value));
    Vec bytes = {NULL, value_serialized_size(type, value)};
    bytes.data = worker_alloc(e->worker, bytes.length, node->span);
    if (!bytes.data) return E_OutOfMemory;
    value_serialize(type, value, bytes.data);
    *(Vec *)out = bytes;
    return E_None;
}

ErrorCode eval_Deserialize(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *bytes;
    TRY(eval_operand(e, node->kids[0], &cell, &bytes));
    return value_deserialize(e->worker, node->span, node->type, bytes, out);
}

/* ---- ranks ---- */

ErrorCode eval_Exchange(Eval *e, const Node *node, void *out) {
    ExchangeCall call = {.kind = (ExchangeKind)node->bits,
                         .op = node->op,
                         .type = exchange_type(node),
                         .out = out,
                         .span = node->span};
    Cell cells[2];
    for (int i = 0; i < node->count; i++) TRY(eval_operand(e, node->kids[i], &cells[i], &call.operands[i]));
    return exchange(e->worker, &call);
}
