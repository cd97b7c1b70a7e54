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

/* Who gets each of this rank's rows, and how many go to each rank. */
typedef struct Owners {
    int32_t *of;
    int64_t rows, *counts;
} Owners;

static ErrorCode take_owners(Exchange *x, int64_t rows, Owners *out) {
    *out = (Owners){exchange_take(x, rows * (int64_t)sizeof *out->of), rows,
                    exchange_take(x, x->ranks * (int64_t)sizeof *out->counts)};
    if (!out->of || !out->counts) return E_OutOfMemory;
    memset(out->counts, 0, (size_t)x->ranks * sizeof *out->counts);
    return E_None;
}

static void drop_owners(Exchange *x, Owners *owners) {
    exchange_drop(x, owners->of, owners->rows * (int64_t)sizeof *owners->of);
}

static void owners_by_hash(const Exchange *x, const Type *key, const Vec *keys, Owners *owners) {
    for (int64_t i = 0; i < keys->length; i++) {
        owners->of[i] = exchange_owner(x, key, (const char *)keys->data + i * key->size);
        owners->counts[owners->of[i]]++;
    }
}

/* The same of entries that are cut as block_begin cuts. False: an index is outside. */
static bool owners_by_index(const Exchange *x, const Vec *indices, int64_t entries, Owners *owners) {
    const int64_t *index = indices->data;
    int64_t least = entries / x->ranks, longer = entries % x->ranks, cut = (least + 1) * longer;
    for (int64_t i = 0; i < indices->length; i++) {
        int64_t at = index[i];
        if (at < 0 || at >= entries) return false;
        int32_t owner = (int32_t)(at < cut ? at / (least + 1) : longer + (at - cut) / least);
        owners->of[i] = owner;
        owners->counts[owner]++;
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

static ErrorCode send_column(Exchange *x, const Type *element, const Vec *column, const Owners *owners,
                             Vec *out) {
    Vec *send = exchange_vectors(x);
    int64_t size = element->size, bytes = column->length * size;
    char *dealt = exchange_take(x, bytes), *at = dealt,
         **next = exchange_take(x, x->ranks * (int64_t)sizeof *next);
    if (!send || !dealt || !next) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        send[peer] = (Vec){at, owners->counts[peer]};
        next[peer] = at;
        at += owners->counts[peer] * size;
    }
    const char *from = column->data;
    for (int64_t i = 0; i < column->length; i++) {
        copy_element(next[owners->of[i]], from + i * size, size);
        next[owners->of[i]] += size;
    }
    TRY(exchange_swap(x, element, send, out));
    exchange_drop(x, dealt, bytes);
    return E_None;
}

/* How many vectors a struct of them begins with. */
static ErrorCode send_columns(Exchange *x, int count, const Owners *owners) {
    const Type *type = x->call->type;
    for (int i = 0; i < count; i++) {
        Vec column, out;
        memcpy(&column, (const char *)x->call->operands[0] + type->offsets[i], sizeof column);
        if (column.length != owners->rows)
            return worker_fail(x->worker, E_ZipMismatch, x->span, owners->rows, column.length);
        TRY(send_column(x, type->args[i]->args[0], &column, owners, &out));
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
    TRY(send_columns(x, type->count, &owners));
    drop_owners(x, &owners);
    return E_None;
}

/* Do all ranks find that rows should go? inside: the indices of this one are. */
static ErrorCode agree(Exchange *x, const Owners *owners, bool inside, int64_t most, bool *out) {
    enum { OUTSIDE, OWN, COMING, NUMBERS };
    int64_t own[NUMBERS] = {!inside, owners->rows}, *all = exchange_take(x, x->ranks * (int64_t)sizeof own);
    int64_t *coming = exchange_take(x, x->ranks * (int64_t)sizeof *coming), total = 0, greatest = 0,
            outside = 0;
    Vec *send = exchange_vectors(x), *pieces = exchange_vectors(x);
    if (!all || !coming || !send || !pieces) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        send[peer] = (Vec){&owners->counts[peer], sizeof *coming};
        pieces[peer] = (Vec){&coming[peer], sizeof *coming};
    }
    TRY(exchange_swap_known(x, send, pieces));
    for (int peer = 0; peer < x->ranks; peer++) own[COMING] += coming[peer];
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
    TRY(agree(x, &owners, inside, numbers[1], &goes));
    if (goes) TRY(send_columns(x, last, &owners));
    drop_owners(x, &owners);
    memcpy((char *)x->call->out + type->offsets[last], &goes, sizeof goes);
    return E_None;
}

ErrorCode exchange_rows(Exchange *x) {
    return x->call->kind == EXCHANGE_route ? route(x) : settle(x);
}
