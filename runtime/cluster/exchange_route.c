/* exchange_route.c: rows go to the ranks that own them.
 *
 *     route      by a key: the rank that owns its hash
 *     settle     by an index: the rank that owns this entry of so many, which are cut evenly. All ranks agree before whether rows go
 *                there at all: none does if an index is outside, or if a rank would get many more than others
 *
 *     settle, of 4 entries                    entries 0 and 1 are rank 0's, 2 and 3 are rank 1's
 *         rank 0   [3, 0] [a, b]              gets   [0, 1] [b, c]
 *         rank 1   [1, 2] [c, d]              gets   [3, 2] [a, d]
 *
 * A row's columns are vectors of their own. What comes from all ranks follows in their order, and keeps the order that it had there, so
 * rows with one index stay in the order of all. By index this is the range partitioning of Gamma (DeWitt et al., 1990), and what
 * makes of a loop one where the owner computes (Callahan and Kennedy, Compiling programs for distributed-memory multiprocessors, 1988).
 */
#include "exchange.h"

#include <string.h>

/* Who gets each of this rank's rows, how many go to each rank, and how many come. */
typedef struct Owners {
    void *of; /* a byte each, or of many ranks an int32_t */
    bool bytes;
    int64_t rows, *counts, *coming; /* coming: from each rank */
} Owners;
enum { STAGES = 4 };

static int64_t owners_size(const Owners *owners) {
    return owners->rows * (owners->bytes ? 1 : (int64_t)sizeof(int32_t));
}

static ErrorCode take_owners(Exchange *x, int64_t rows, Owners *out) {
    *out = (Owners){.bytes = x->ranks <= 256, .rows = rows};
    out->of = exchange_take(x, owners_size(out));
    out->counts = exchange_take(x, x->ranks * (int64_t)sizeof *out->counts);
    if (!out->of || !out->counts) return E_OutOfMemory;
    memset(out->counts, 0, (size_t)x->ranks * sizeof *out->counts);
    return E_None;
}

static void drop_owners(Exchange *x, Owners *owners) {
    exchange_drop(x, owners->of, owners_size(owners));
}

static int owner_get(const Owners *owners, int64_t row) {
    return owners->bytes ? ((const uint8_t *)owners->of)[row] : ((const int32_t *)owners->of)[row];
}

static void owner_set(Owners *owners, int64_t row, int owner) {
    if (owners->bytes)
        ((uint8_t *)owners->of)[row] = (uint8_t)owner;
    else
        ((int32_t *)owners->of)[row] = owner;
    owners->counts[owner]++;
}

static void owners_by_hash(const Exchange *x, const Type *key, const Vec *keys, Owners *owners) {
    for (int64_t i = 0; i < keys->length; i++)
        owner_set(owners, i, exchange_owner(x, key, (const char *)keys->data + i * key->size));
}

/* The same of entries that are cut as block_begin cuts. False: an index is outside. */
static bool owners_by_index(const Exchange *x, const Vec *indices, int64_t entries, Owners *owners) {
    const int64_t *index = indices->data;
    int64_t least = entries / x->ranks, longer = entries % x->ranks, cut = (least + 1) * longer;
    for (int64_t i = 0; i < indices->length; i++) {
        int64_t at = index[i];
        if (at < 0 || at >= entries) return false;
        owner_set(owners, i, (int)(at < cut ? at / (least + 1) : longer + (at - cut) / least));
    }
    return true;
}

/* Elements of 8 bytes, as most are, without a call. */
static void copy_element(char *to, const char *from, int64_t size) {
    if (size == 8)
        memcpy(to, from, 8);
    else
        memcpy(to, from, (size_t)size);
}

/* Elements go where next[owner] points, which goes on; NULL: they stay. */
static void deal(const Vec *column, int64_t size, const Owners *owners, char **next) {
    const char *from = column->data;
    for (int64_t i = 0; i < column->length; i++) {
        char **to = &next[owner_get(owners, i)];
        if (!*to) continue;
        copy_element(*to, from + i * size, size);
        *to += size;
    }
}

/* To some ranks at a time, so that what is dealt out takes a part of the column's memory: rank r sends to r + k, and hears from r - k. */
static ErrorCode send_column(Exchange *x, int64_t size, const Vec *column, const Owners *owners, Vec *out) {
    int ranks = x->ranks, stages = ranks - 1 < STAGES ? ranks - 1 : STAGES;
    Vec *pieces = exchange_vectors(x), *send = exchange_vectors(x), *due = exchange_vectors(x);
    char **next = exchange_take(x, ranks * (int64_t)sizeof *next), *at;
    if (!pieces || !send || !due || !next) return E_OutOfMemory;
    *out = (Vec){NULL, 0};
    for (int peer = 0; peer < ranks; peer++) out->length += owners->coming[peer];
    at = out->data = exchange_take(x, out->length * size);
    if (!at) return E_OutOfMemory;
    for (int peer = 0; peer < ranks; peer++) {
        pieces[peer] = (Vec){at, owners->coming[peer] * size};
        at += pieces[peer].length;
    }
    for (int stage = 0, k = 1; stage < stages || stage == 0; stage++) {
        int end = 1 + (int)((int64_t)(ranks - 1) * (stage + 1) / (stages ? stages : 1)), first = k;
        int64_t bytes = 0;
        memset(send, 0, (size_t)ranks * sizeof *send);
        memset(due, 0, (size_t)ranks * sizeof *due);
        memset(next, 0, (size_t)ranks * sizeof *next);
        if (!stage) next[x->rank] = pieces[x->rank].data; /* its own rows go where they belong */
        for (; k < end; k++) bytes += owners->counts[(x->rank + k) % ranks] * size;
        char *dealt = at = exchange_take(x, bytes);
        if (!dealt) return E_OutOfMemory;
        for (k = first; k < end; k++) {
            int to = (x->rank + k) % ranks, from = (x->rank - k + ranks) % ranks;
            send[to] = (Vec){at, owners->counts[to] * size};
            next[to] = at;
            at += send[to].length;
            due[from] = pieces[from];
        }
        deal(column, size, owners, next);
        TRY(exchange_swap_known(x, send, due));
        exchange_drop(x, dealt, bytes);
    }
    return E_None;
}

/* How many rows come from each rank. */
static ErrorCode tell_counts(Exchange *x, Owners *owners) {
    Vec *send = exchange_vectors(x), *pieces = exchange_vectors(x);
    owners->coming = exchange_take(x, x->ranks * (int64_t)sizeof *owners->coming);
    if (!owners->coming || !send || !pieces) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        send[peer] = (Vec){&owners->counts[peer], sizeof *owners->counts};
        pieces[peer] = (Vec){&owners->coming[peer], sizeof *owners->coming};
    }
    return exchange_swap_known(x, send, pieces);
}

/* The first so many fields of the operand. */
static ErrorCode send_columns(Exchange *x, int count, const Owners *owners) {
    const Type *type = x->call->type;
    for (int i = 0; i < count; i++) {
        Vec column, out;
        memcpy(&column, (const char *)x->call->operands[0] + type->offsets[i], sizeof column);
        if (column.length != owners->rows)
            return worker_fail(x->worker, E_ZipMismatch, x->span, owners->rows, column.length);
        TRY(send_column(x, type->args[i]->args[0]->size, &column, owners, &out));
        memcpy((char *)x->call->out + type->offsets[i], &out, sizeof out);
    }
    return E_None;
}

static ErrorCode route(Exchange *x) {
    const Type *type = x->call->type;
    Vec keys;
    Owners owners;
    memcpy(&keys, x->call->operands[0], sizeof keys);
    TRY(take_owners(x, keys.length, &owners));
    owners_by_hash(x, type->args[0]->args[0], &keys, &owners);
    TRY(tell_counts(x, &owners));
    TRY(send_columns(x, type->count, &owners));
    drop_owners(x, &owners);
    return E_None;
}

/* Do all ranks find that rows should go? inside: the indices of this one are. */
static ErrorCode agree(Exchange *x, const Owners *owners, bool inside, int64_t most, bool *out) {
    enum { OUTSIDE, OWN, COMING, NUMBERS };
    int64_t own[NUMBERS] = {!inside, owners->rows}, *all = exchange_take(x, x->ranks * (int64_t)sizeof own);
    int64_t total = 0, greatest = 0, outside = 0;
    if (!all) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) own[COMING] += owners->coming[peer];
    TRY(exchange_numbers(x, own, NUMBERS, all));
    for (int peer = 0; peer < x->ranks; peer++) {
        const int64_t *of = all + peer * NUMBERS;
        outside += of[OUTSIDE];
        total += of[OWN];
        if (of[COMING] > greatest) greatest = of[COMING];
    }
    *out = !outside && (!most || (double)greatest * x->ranks <= (double)total * (double)most);
    return E_None;
}

static ErrorCode settle(Exchange *x) {
    const Type *type = x->call->type;
    int last = type->count - 1;
    int64_t numbers[2];
    Vec indices;
    Owners owners;
    bool goes;
    memcpy(&indices, x->call->operands[0], sizeof indices);
    memcpy(numbers, x->call->operands[1], sizeof numbers);
    memset(x->call->out, 0, (size_t)type->size);
    TRY(take_owners(x, indices.length, &owners));
    bool inside = owners_by_index(x, &indices, numbers[0], &owners);
    TRY(tell_counts(x, &owners));
    TRY(agree(x, &owners, inside, numbers[1], &goes));
    if (goes) TRY(send_columns(x, last, &owners));
    drop_owners(x, &owners);
    memcpy((char *)x->call->out + type->offsets[last], &goes, sizeof goes);
    return E_None;
}

ErrorCode exchange_rows(Exchange *x) {
    return x->call->kind == EXCHANGE_route ? route(x) : settle(x);
}
