/* exchange_reduce.c: values of all ranks are combined: reduce, portion, seed, place.
 *
 *     rank 0   [1, 2, 3, 4]   combines [1, 2] and [5, 6]: [6, 8]     gets [6, 8, 10, 12]
 *     rank 1   [5, 6, 7, 8]   combines [3, 4] and [7, 8]: [10, 12]   gets [6, 8, 10, 12]
 *
 * Large vectors are reduced in two steps, each rank combining one part of them and then showing it to all, so that a rank
 * sends 2 (n - 1) / n of the vector (Rabenseifner, Optimization of collective reduction operations, ICCS'04). Values are
 * combined in the order of the ranks, so the result is the same everywhere and every time.
 */
#include "exchange.h"

#include <string.h>

enum { SMALL_REDUCE = 4096 }; /* bytes: below, every rank gets all and combines it */

/* ---- values that are combined ---- */

/* Where NaN is, infinity is not neutral to the operators min and max; a rank without merges must change nothing. nothing: what
 * changes nothing. */
static void combine_extremes(const Type *type, Op op, const char *nothing, char *into, const char *from) {
    for (int i = 0; type->kind == TY_struct && i < type->count; i++) {
        int64_t at = type->offsets[i];
        combine_extremes(type->args[i], op, nothing + at, into + at, from + at);
    }
    if (type->kind == TY_struct || memcmp(from, nothing, (size_t)type->size) == 0) return;
    if (memcmp(into, nothing, (size_t)type->size) == 0)
        memcpy(into, from, (size_t)type->size);
    else
        combine(type, op, into, from);
}

void combine_all(const Type *element, Op op, char *into, const char *from, int64_t count) {
    _Alignas(16) char nothing[256];
    if ((op == OP_min || op == OP_max) && element->size <= (int64_t)sizeof nothing) {
        combine_identity(element, op, nothing);
        for (int64_t i = 0; i < count; i++)
            combine_extremes(element, op, nothing, into + i * element->size, from + i * element->size);
        return;
    }
    for (int64_t i = 0; i < count; i++)
        combine(element, op, into + i * element->size, from + i * element->size);
}

/* `count` copies of a vector of `length` elements, one behind the other, become one, in the first. */
static void combine_rows(const Type *element, Op op, char *rows, int64_t length, int count) {
    for (int i = 1; i < count; i++) combine_all(element, op, rows, rows + i * length * element->size, length);
}

/* Each rank combines its block, and shows it to all, unless they want but a portion. */
static ErrorCode reduce_blocks(Exchange *x, const Type *element, const Vec *vec, bool portion, Vec *out) {
    Vec *send = exchange_vectors(x), *pieces = exchange_vectors(x);
    int64_t size = element->size, length = vec->length;
    if (!send || !pieces) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        int64_t begin = block_begin(length, peer, x->ranks), end = block_begin(length, peer + 1, x->ranks);
        send[peer] = (Vec){(char *)vec->data + begin * size, (end - begin) * size};
    }
    int64_t bytes = send[x->rank].length;
    char *rows = exchange_take(x, bytes * x->ranks);
    if (!rows) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) pieces[peer] = (Vec){rows + peer * bytes, bytes};
    TRY(exchange_swap_known(x, send, pieces));
    combine_rows(element, x->call->op, rows, bytes / size, x->ranks);
    *out = (Vec){rows, bytes / size};
    if (portion) return E_None;
    char *whole = exchange_take(x, length * size);
    if (!whole) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        pieces[peer] = (Vec){whole + block_begin(length, peer, x->ranks) * size, send[peer].length};
        send[peer] = (Vec){rows, bytes};
    }
    TRY(exchange_swap_known(x, send, pieces));
    exchange_drop(x, rows, bytes * x->ranks);
    *out = (Vec){whole, length};
    return E_None;
}

/* portion: only this rank's block of it. */
static ErrorCode reduce_vector(Exchange *x, const Type *element, const Vec *vec, bool portion, Vec *out) {
    Op op = x->call->op;
    int64_t length = vec->length, *lengths;
    TRY(exchange_lengths(x, vec, &lengths));
    for (int peer = 0; peer < x->ranks; peer++) {
        if (lengths[peer] != length)
            return worker_fail(x->worker, E_ZipMismatch, x->span, length, lengths[peer]);
    }
    char *rows;
    if (!element->size || (!portion && length * element->size <= SMALL_REDUCE)) {
        TRY(exchange_swap_same(x, vec->data, length * element->size, &rows));
        combine_rows(element, op, rows, length, x->ranks);
        *out = (Vec){rows, length};
        if (portion) *out = exchange_block(x, element, out);
        return E_None;
    }
    return reduce_blocks(x, element, vec, portion, out);
}

/* ---- several values that are combined at once ---- */

/* A vector, or a value as a vector of one. */
typedef struct Part {
    const Type *element;
    Vec vec;
} Part;

static int64_t padded(int64_t bytes) {
    return (bytes + 15) & ~(int64_t)15;
}

/* What of a part belongs to a rank; all: everything belongs to everybody. */
static Vec share_of(const Exchange *x, const Part *part, int rank, bool all) {
    int64_t length = part->vec.length;
    if (all) return part->vec;
    return exchange_slice(&part->vec, block_begin(length, rank, x->ranks),
                          block_begin(length, rank + 1, x->ranks), part->element->size);
}

static int64_t share_bytes(const Exchange *x, const Part *parts, int rank, bool all) {
    int64_t bytes = 0;
    for (int i = 0; i < x->call->type->count; i++)
        bytes += padded(share_of(x, &parts[i], rank, all).length * parts[i].element->size);
    return bytes;
}

/* Some rank has others: all come here, and tell them. */
static ErrorCode other_lengths(Exchange *x, const int64_t *own) {
    char *all;
    int count = x->call->type->count;
    TRY(exchange_swap_same(x, own, count * (int64_t)sizeof *own, &all));
    for (int i = 0; i < count * x->ranks; i++) {
        int64_t other = ((int64_t *)(void *)all)[i];
        if (other != own[i % count])
            return worker_fail(x->worker, E_ZipMismatch, x->span, own[i % count], other);
    }
    return worker_fail(x->worker, E_Internal, x->span, 0, 0);
}

/* The parts of the struct; all ranks must have as many elements of each. */
static ErrorCode find_parts(Exchange *x, Part *parts, int64_t *bytes) {
    const Type *type = x->call->type;
    int64_t *lengths = exchange_take(x, type->count * (int64_t)sizeof *lengths);
    int64_t *hashes = exchange_take(x, x->ranks * (int64_t)sizeof *hashes);
    if (!lengths || !hashes) return E_OutOfMemory;
    uint64_t hash = 0;
    *bytes = 0;
    for (int i = 0; i < type->count; i++) {
        const char *at = (const char *)x->call->operands[0] + type->offsets[i];
        bool vector = type->args[i]->kind == TY_vec;
        parts[i] = (Part){vector ? type->args[i]->args[0] : type->args[i], {(void *)(uintptr_t)at, 1}};
        if (vector) memcpy(&parts[i].vec, at, sizeof parts[i].vec);
        lengths[i] = parts[i].vec.length;
        hash = hash_mix(hash, (uint64_t)lengths[i]);
        *bytes += padded(parts[i].vec.length * parts[i].element->size);
    }
    TRY(exchange_numbers(x, &(int64_t){(int64_t)hash}, 1, hashes));
    bool same = true;
    for (int peer = 0; peer < x->ranks; peer++) same &= hashes[peer] == (int64_t)hash;
    return same ? E_None : other_lengths(x, lengths);
}

/* The shares of a rank, one behind the other. */
static ErrorCode pack_shares(Exchange *x, const Part *parts, int rank, bool all, Vec *out) {
    *out = (Vec){NULL, share_bytes(x, parts, rank, all)};
    char *at = out->data = exchange_take(x, out->length);
    if (!at) return E_OutOfMemory;
    memset(at, 0, (size_t)out->length);
    for (int i = 0; i < x->call->type->count; i++) {
        Vec share = share_of(x, &parts[i], rank, all);
        int64_t bytes = share.length * parts[i].element->size;
        if (bytes) memcpy(at, share.data, (size_t)bytes);
        at += padded(bytes);
    }
    return E_None;
}

/* This rank's shares from all ranks become one, in the first. */
static void combine_shares(const Exchange *x, const Part *parts, bool all, const Vec *pieces) {
    int64_t at = 0;
    for (int i = 0; i < x->call->type->count; i++) {
        const Type *element = parts[i].element;
        int64_t length = share_of(x, &parts[i], x->rank, all).length;
        for (int peer = 1; peer < x->ranks; peer++)
            combine_all(element, x->call->op, (char *)pieces[0].data + at, (char *)pieces[peer].data + at,
                        length);
        at += padded(length * element->size);
    }
}

/* The combined shares of every rank become the result. */
static ErrorCode unpack_shares(Exchange *x, const Part *parts, bool all, const Vec *pieces) {
    const Type *type = x->call->type;
    int sources = all ? 1 : x->ranks;
    int64_t *at = exchange_take(x, sources * (int64_t)sizeof *at);
    if (!at) return E_OutOfMemory;
    memset(at, 0, (size_t)sources * sizeof *at);
    for (int i = 0; i < type->count; i++) {
        int64_t size = parts[i].element->size;
        Vec made = {exchange_take(x, parts[i].vec.length * size), parts[i].vec.length};
        char *to = made.data;
        if (!to) return E_OutOfMemory;
        for (int peer = 0; peer < sources; peer++) {
            int64_t bytes = share_of(x, &parts[i], peer, all).length * size;
            if (bytes) memcpy(to, (char *)pieces[peer].data + at[peer], (size_t)bytes);
            to += bytes;
            at[peer] += padded(bytes);
        }
        bool vector = type->args[i]->kind == TY_vec;
        memcpy((char *)x->call->out + type->offsets[i], vector ? (void *)&made : made.data,
               vector ? sizeof made : (size_t)size);
    }
    return E_None;
}

/* Room for this rank's shares from every rank, or for those of every rank. */
static ErrorCode room_for_pieces(Exchange *x, const Part *parts, bool all, bool theirs, Vec *pieces) {
    for (int peer = 0; peer < x->ranks; peer++) {
        int64_t bytes = share_bytes(x, parts, theirs ? peer : x->rank, all);
        pieces[peer] = (Vec){exchange_take(x, bytes), bytes};
        if (!pieces[peer].data) return E_OutOfMemory;
    }
    return E_None;
}

/* Both steps of reduce_vector, for all parts at once. */
static ErrorCode reduce_parts(Exchange *x) {
    int64_t bytes;
    Part *parts = exchange_take(x, x->call->type->count * (int64_t)sizeof *parts);
    Vec *send = exchange_vectors(x), *pieces = exchange_vectors(x);
    if (!parts || !send || !pieces) return E_OutOfMemory;
    TRY(find_parts(x, parts, &bytes));
    bool all = bytes <= SMALL_REDUCE;
    for (int peer = 0; peer < x->ranks; peer++) {
        if (peer > 0 && all)
            send[peer] = send[0];
        else
            TRY(pack_shares(x, parts, peer, all, &send[peer]));
    }
    TRY(room_for_pieces(x, parts, all, false, pieces));
    TRY(exchange_swap_known(x, send, pieces));
    combine_shares(x, parts, all, pieces);
    if (all) return unpack_shares(x, parts, all, pieces);
    Vec own = pieces[0];
    for (int peer = 0; peer < x->ranks; peer++) send[peer] = own;
    TRY(room_for_pieces(x, parts, all, true, pieces));
    TRY(exchange_swap_known(x, send, pieces));
    return unpack_shares(x, parts, all, pieces);
}

static ErrorCode reduce(Exchange *x) {
    const Type *type = x->call->type;
    if (type->kind == TY_struct && type->pointers) return reduce_parts(x);
    if (type->kind == TY_vec)
        return reduce_vector(x, type->args[0], x->call->operands[0], false, x->call->out);
    Vec own;
    char *all;
    TRY(exchange_lasting(x, x->call->operands[0], type->size, &own));
    TRY(exchange_swap_same(x, own.data, type->size, &all));
    if (type->size) combine_rows(type, x->call->op, all, 1, x->ranks);
    memcpy(x->call->out, all, (size_t)type->size);
    return E_None;
}

/* A new vector of what changes nothing. */
static ErrorCode take_identities(Exchange *x, const Type *element, int64_t length, Vec *made) {
    *made = (Vec){exchange_take(x, length * element->size), length};
    if (!made->data) return E_OutOfMemory;
    for (int64_t i = 0; i < length; i++)
        combine_identity(element, x->call->op, (char *)made->data + i * element->size);
    return E_None;
}

static ErrorCode place(Exchange *x) {
    const Type *element = x->call->type->args[0];
    const Vec *block = x->call->operands[0];
    int64_t at[2];
    Vec made;
    memcpy(at, x->call->operands[1], sizeof at);
    if (at[0] < 0 || at[1] < block->length || at[0] > at[1] - block->length)
        return worker_fail(x->worker, E_OutOfBounds, x->span, at[0], at[1]);
    TRY(take_identities(x, element, at[1], &made));
    if (block->length)
        memcpy((char *)made.data + at[0] * element->size, block->data,
               (size_t)(block->length * element->size));
    memcpy(x->call->out, &made, sizeof made);
    return E_None;
}

static ErrorCode seed(Exchange *x) {
    const Type *type = x->call->type;
    if (x->rank == 0) {
        memcpy(x->call->out, x->call->operands[0], (size_t)type->size);
    } else if (type->kind != TY_vec) {
        combine_identity(type, x->call->op, x->call->out);
    } else {
        Vec made;
        TRY(take_identities(x, type->args[0], ((const Vec *)x->call->operands[0])->length, &made));
        memcpy(x->call->out, &made, sizeof made);
    }
    return E_None;
}

ErrorCode exchange_reduce(Exchange *x) {
    const ExchangeCall *call = x->call;
    if (call->kind == EXCHANGE_seed) return seed(x);
    if (call->kind == EXCHANGE_place) return place(x);
    if (call->kind == EXCHANGE_reduce) return reduce(x);
    return reduce_vector(x, call->type->args[0], call->operands[0], true, call->out);
}
