/* exchange.c: what the ranks of a cluster do together (lang/exchanges.def), by the transfers of an engine.
 *
 * Nearly all of it is one *swap*: each rank has a vector for every rank, and gets one vector of what all have for it, in
 * their order. First each tells how many bytes come, then these come, straight to where they belong.
 *
 *     rank 0   for 0: [1]  for 1: [2, 3]        rank 0 gets [1, 4]
 *     rank 1   for 0: [4]  for 1: []            rank 1 gets [2, 3]
 *
 * Elements that hold pointers travel serialized. A gather is a swap of the same for everybody, a deal one of pieces.
 * Large vectors are reduced in two steps, each rank combining one part of them and then showing it to all, so that a rank
 * sends 2 (n - 1) / n of the vector (Rabenseifner, Optimization of collective reduction operations, ICCS'04). Values are
 * combined in the order of the ranks, so the result is the same everywhere and every time.
 */
#include "exchange.h"

#include <string.h>

enum { SMALL_REDUCE = 4096 }; /* bytes: below, every rank gets all and combines it */

void *exchange_take(Exchange *x, int64_t bytes) {
    return worker_alloc(x->worker, bytes > 0 ? bytes : 1, x->span);
}

void exchange_drop(Exchange *x, void *data, int64_t bytes) {
    region_release(x->worker->region, data, bytes > 0 ? bytes : 1);
}

static ErrorCode transfer(Exchange *x, const Transfer *transfers, int count) {
    Error *error = &x->worker->error;
    ErrorCode code = x->engine->transfer(transfers, count, x->worker->cancel, error);
    if (code != E_None) region_hold(x->worker->region); /* until the engine has ended the run */
    if (code != E_None) error_set(error, code, x->span, "%s", error_message(code));
    return code;
}

/* The bytes of a value that may lie on the stack, where a transfer that fails can leave them. */
static ErrorCode lasting(Exchange *x, const void *value, int64_t bytes, Vec *out) {
    *out = (Vec){exchange_take(x, bytes), bytes};
    if (!out->data) return E_OutOfMemory;
    if (bytes) memcpy(out->data, value, (size_t)bytes);
    return E_None;
}

/* ---- numbers ---- */

ErrorCode exchange_numbers(Exchange *x, const int64_t *own, int count, int64_t *all) {
    Transfer *list = exchange_take(x, 2 * x->ranks * (int64_t)sizeof *list);
    int64_t bytes = count * (int64_t)sizeof *own;
    int transfers = 0;
    if (!list) return E_OutOfMemory;
    memcpy(all + (int64_t)x->rank * count, own, (size_t)bytes);
    for (int peer = 0; peer < x->ranks; peer++) {
        if (peer == x->rank) continue;
        list[transfers++] = (Transfer){peer, false, all + (int64_t)peer * count, bytes};
        list[transfers++] = (Transfer){peer, true, all + (int64_t)x->rank * count, bytes};
    }
    return transfer(x, list, transfers);
}

static ErrorCode lengths_of(Exchange *x, const Vec *vec, int64_t **lengths) {
    *lengths = exchange_take(x, (x->ranks + 1) * (int64_t)sizeof **lengths);
    if (!*lengths) return E_OutOfMemory;
    return exchange_numbers(x, &vec->length, 1, *lengths);
}

static int64_t sum_of(const int64_t *numbers, int count) {
    int64_t sum = 0;
    for (int i = 0; i < count; i++) sum += numbers[i];
    return sum;
}

/* ---- the swap ---- */

const Type *exchange_vector_type(const Type *element, Type *room, Type **args) {
    args[0] = (Type *)element;
    *room =
        (Type){.kind = TY_vec, .pointers = true, .count = 1, .args = args, .size = sizeof(Vec), .align = 8};
    return room;
}

bool exchange_pack(Exchange *x, const Type *element, const Vec *vec, Vec *bytes) {
    Type room, *args[1];
    if (!element->size) { /* all that there is of them is how many */
        *bytes = (Vec){(void *)&vec->length, vec->length ? sizeof vec->length : 0};
        return true;
    }
    if (!element->pointers) {
        *bytes = (Vec){vec->data, vec->length * element->size};
        return true;
    }
    const Type *type = exchange_vector_type(element, &room, args);
    bytes->length = vec->length ? value_serialized_size(type, vec) : 0;
    bytes->data = exchange_take(x, bytes->length);
    if (bytes->data && bytes->length) value_serialize(type, vec, bytes->data);
    return bytes->data != NULL;
}

ErrorCode exchange_unpack(Exchange *x, const Type *element, const Vec *bytes, Vec *vec) {
    Type room, *args[1];
    *vec = (Vec){NULL, 0};
    if (!bytes->length) return E_None;
    if (element->pointers)
        return value_deserialize(x->worker, x->span, exchange_vector_type(element, &room, args), bytes, vec);
    *vec = (Vec){bytes->data, element->size ? bytes->length / element->size : 0};
    if (!element->size) memcpy(&vec->length, bytes->data, sizeof vec->length);
    return E_None;
}

/* The pieces, one after the other, as one vector. */
static ErrorCode join_pieces(Exchange *x, const Type *element, const Vec *pieces, Vec *out) {
    Vec *parts = exchange_take(x, x->ranks * (int64_t)sizeof *parts);
    if (!parts) return E_OutOfMemory;
    int64_t length = 0;
    for (int peer = 0; peer < x->ranks; peer++) {
        TRY(exchange_unpack(x, element, &pieces[peer], &parts[peer]));
        length += parts[peer].length;
    }
    *out = (Vec){pieces[0].data, length};
    if (!element->pointers) return E_None; /* they are one already */
    char *to = out->data = exchange_take(x, length * element->size);
    if (!to) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        size_t bytes = (size_t)(parts[peer].length * element->size);
        if (bytes) memcpy(to, parts[peer].data, bytes);
        to += bytes;
    }
    return E_None;
}

/* Bytes for every rank, and as many from each as `pieces` has room for, which both sides know. */
static ErrorCode swap_known(Exchange *x, const Vec *send, const Vec *pieces) {
    Transfer *list = exchange_take(x, 2 * x->ranks * (int64_t)sizeof *list);
    int count = 0;
    if (!list) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        const Vec *in = &pieces[peer], *out = &send[peer];
        if (peer == x->rank) {
            if (in->length) memcpy(in->data, out->data, (size_t)in->length);
            continue;
        }
        if (in->length) list[count++] = (Transfer){peer, false, in->data, in->length};
        if (out->length) list[count++] = (Transfer){peer, true, out->data, out->length};
    }
    return transfer(x, list, count);
}

/* The same bytes to all; as many come from each, one behind the other. */
static ErrorCode swap_same(Exchange *x, const void *data, int64_t bytes, char **all) {
    Vec *send = exchange_vectors(x), *pieces = exchange_vectors(x);
    *all = exchange_take(x, bytes * x->ranks);
    if (!send || !pieces || !*all) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        send[peer] = (Vec){(void *)(uintptr_t)data, bytes};
        pieces[peer] = (Vec){*all + peer * bytes, bytes};
    }
    return swap_known(x, send, pieces);
}

ErrorCode exchange_swap_bytes(Exchange *x, const Vec *send, Vec *pieces) {
    int64_t *sizes = exchange_take(x, 2 * x->ranks * (int64_t)sizeof *sizes), *incoming = sizes + x->ranks;
    Transfer *list = exchange_take(x, 2 * x->ranks * (int64_t)sizeof *list);
    int count = 0;
    if (!sizes || !list) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        sizes[peer] = incoming[peer] = send[peer].length;
        if (peer == x->rank) continue;
        list[count++] = (Transfer){peer, false, &incoming[peer], sizeof *sizes};
        list[count++] = (Transfer){peer, true, &sizes[peer], sizeof *sizes};
    }
    TRY(transfer(x, list, count));
    char *at = exchange_take(x, sum_of(incoming, x->ranks));
    if (!at) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        pieces[peer] = (Vec){at, incoming[peer]};
        at += incoming[peer];
    }
    return swap_known(x, send, pieces);
}

ErrorCode exchange_swap(Exchange *x, const Type *element, const Vec *send, Vec *out) {
    Vec *packed = exchange_take(x, 2 * x->ranks * (int64_t)sizeof *packed), *pieces = packed + x->ranks;
    if (!packed) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        bool same =
            peer > 0 && send[peer].data == send[peer - 1].data && send[peer].length == send[peer - 1].length;
        if (same)
            packed[peer] = packed[peer - 1];
        else if (!exchange_pack(x, element, &send[peer], &packed[peer]))
            return E_OutOfMemory;
    }
    TRY(exchange_swap_bytes(x, packed, pieces));
    return join_pieces(x, element, pieces, out);
}

static Vec slice_of(const Vec *vec, int64_t begin, int64_t end, int64_t size) {
    return (Vec){vec->data ? (char *)vec->data + begin * size : NULL, end - begin};
}

Vec *exchange_vectors(Exchange *x) {
    Vec *send = exchange_take(x, x->ranks * (int64_t)sizeof *send);
    if (send) memset(send, 0, (size_t)x->ranks * sizeof *send);
    return send;
}

/* ---- vectors in blocks ---- */

ErrorCode exchange_gather(Exchange *x, const Type *element, const Vec *vec, bool first_only, Vec *out) {
    Vec *send = exchange_vectors(x);
    if (!send) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        if (peer == 0 || !first_only) send[peer] = *vec;
    }
    return exchange_swap(x, element, send, out);
}

/* Piece r begins where piece r - 1 ends, at cuts[r - 1]. */
static ErrorCode deal(Exchange *x, const Type *element, const Vec *vec, const int64_t *cuts, Vec *out) {
    Vec *send = exchange_vectors(x);
    if (!send) return E_OutOfMemory;
    int64_t begin = 0;
    for (int peer = 0; peer < x->ranks; peer++) {
        int64_t end = peer + 1 < x->ranks ? cuts[peer] : vec->length;
        if (end < begin || end > vec->length)
            return worker_fail(x->worker, E_OutOfBounds, x->span, end, vec->length);
        send[peer] = slice_of(vec, begin, end, element->size);
        begin = end;
    }
    return exchange_swap(x, element, send, out);
}

static ErrorCode deal_at(Exchange *x, const Type *element, const Vec *vec, const Vec *cuts, Vec *out) {
    if (cuts->length != x->ranks - 1)
        return worker_fail(x->worker, E_OutOfBounds, x->span, cuts->length, x->ranks - 1);
    return deal(x, element, vec, cuts->data, out);
}

/* Both vectors must be equally long as wholes. own, like: lengths of their blocks by rank; own NULL: of the whole. */
static ErrorCode check_lengths(Exchange *x, int64_t whole, const int64_t *like) {
    int64_t wanted = sum_of(like, x->ranks);
    return wanted == whole ? E_None : worker_fail(x->worker, E_ZipMismatch, x->span, wanted, whole);
}

static ErrorCode align(Exchange *x, const Type *element, const Vec *vec, const Vec *like, Vec *out) {
    int64_t *own, *want, *cuts = exchange_take(x, x->ranks * (int64_t)sizeof *cuts);
    if (!cuts) return E_OutOfMemory;
    TRY(lengths_of(x, vec, &own));
    TRY(lengths_of(x, like, &want));
    TRY(check_lengths(x, sum_of(own, x->ranks), want));
    int64_t start = sum_of(own, x->rank), end = 0;
    for (int peer = 0; peer + 1 < x->ranks; peer++) {
        end += want[peer];
        int64_t cut = end - start;
        cuts[peer] = cut < 0 ? 0 : cut > vec->length ? vec->length : cut;
    }
    return deal(x, element, vec, cuts, out);
}

static ErrorCode part(Exchange *x, const Type *element, const Vec *vec, const Vec *like, Vec *out) {
    int64_t *want;
    TRY(lengths_of(x, like, &want));
    TRY(check_lengths(x, vec->length, want));
    int64_t begin = sum_of(want, x->rank);
    *out = slice_of(vec, begin, begin + like->length, element->size);
    return E_None;
}

static Vec block(const Exchange *x, const Type *element, const Vec *vec) {
    return slice_of(vec, block_begin(vec->length, x->rank, x->ranks),
                    block_begin(vec->length, x->rank + 1, x->ranks), element->size);
}

static ErrorCode scatter(Exchange *x, const Type *element, const Vec *vec, Vec *out) {
    Vec *send = exchange_vectors(x);
    if (!send) return E_OutOfMemory;
    for (int peer = 0; x->rank == 0 && peer < x->ranks; peer++)
        send[peer] = slice_of(vec, block_begin(vec->length, peer, x->ranks),
                              block_begin(vec->length, peer + 1, x->ranks), element->size);
    return exchange_swap(x, element, send, out);
}

static ErrorCode broadcast(Exchange *x) {
    const Type *type = x->call->type;
    Vec one, all;
    TRY(lasting(x, x->call->operands[0], x->rank == 0 ? type->size : 0, &one));
    one.length = x->rank == 0;
    TRY(exchange_gather(x, type, &one, false, &all));
    memcpy(x->call->out, all.data, (size_t)type->size);
    return E_None;
}

static int64_t clamp(int64_t value, int64_t low, int64_t high) {
    return value < low ? low : value > high ? high : value;
}

/* [bounds[0], bounds[1]) are the elements that are wanted, where numbers become too large all. */
static void window_bounds(const int64_t *numbers, int64_t *bounds) {
    int64_t begin = numbers[0], last = numbers[1] - 1, scale = numbers[2], offset = numbers[3],
            size = numbers[4];
    int64_t a = 0, b = 0;
    bounds[0] = bounds[1] = 0;
    if (begin > last || size <= 0) return;
    bool over = __builtin_mul_overflow(begin, scale, &a) || __builtin_mul_overflow(last, scale, &b) ||
                __builtin_add_overflow(a, offset, &a) || __builtin_add_overflow(b, offset, &b);
    bounds[0] = a < b ? a : b;
    if (!over && !__builtin_add_overflow(a < b ? b : a, size, &bounds[1])) return;
    bounds[0] = 0;
    bounds[1] = INT64_MAX;
}

/* Ranks tell each other how many elements they have, and which they want; each sends what it has of these. */
static ErrorCode window(Exchange *x, const Type *element) {
    enum { LENGTH, FROM, TO, NUMBERS };
    int64_t numbers[NUMBERS], *all = exchange_take(x, x->ranks * (int64_t)sizeof numbers), whole = 0,
                              start = 0, begin = 0;
    Vec *send = exchange_vectors(x), own, part;
    if (!all || !send) return E_OutOfMemory;
    memcpy(&own, x->call->operands[0], sizeof own);
    numbers[LENGTH] = own.length;
    window_bounds(x->call->operands[1], &numbers[FROM]);
    TRY(exchange_numbers(x, numbers, NUMBERS, all));
    for (int peer = 0; peer < x->ranks; peer++) {
        whole += all[peer * NUMBERS + LENGTH];
        if (peer < x->rank) start = whole;
    }
    bool all_own = true;
    for (int peer = 0; peer < x->ranks; peer++) {
        int64_t *of = all + peer * NUMBERS, end = begin + of[LENGTH];
        of[FROM] = clamp(of[FROM], 0, whole);
        of[TO] = clamp(of[TO], of[FROM], whole);
        all_own &= of[FROM] == of[TO] || (of[FROM] >= begin && of[TO] <= end);
        int64_t low = clamp(of[FROM] - start, 0, own.length), high = clamp(of[TO] - start, low, own.length);
        send[peer] = slice_of(&own, low, high, element->size);
        begin = end;
    }
    if (all_own)
        part = send[x->rank];
    else
        TRY(exchange_swap(x, element, send, &part));
    memcpy(x->call->out, &part, sizeof part);
    memcpy((char *)x->call->out + x->call->type->offsets[1], &all[x->rank * NUMBERS + FROM], sizeof start);
    return E_None;
}

static ErrorCode pick(Exchange *x) {
    const Type *element = x->call->type;
    const Vec *vec = x->call->operands[0];
    int64_t index, *lengths, start = 0;
    memcpy(&index, x->call->operands[1], sizeof index);
    TRY(lengths_of(x, vec, &lengths));
    int64_t whole = sum_of(lengths, x->ranks);
    if (index < 0 || index >= whole) return worker_fail(x->worker, E_OutOfBounds, x->span, index, whole);
    int owner = 0;
    while (index >= start + lengths[owner]) start += lengths[owner++];
    Vec one = owner == x->rank ? slice_of(vec, index - start, index - start + 1, element->size)
                               : (Vec){NULL, 0},
        all;
    TRY(exchange_gather(x, element, &one, false, &all));
    memcpy(x->call->out, all.data, (size_t)element->size);
    return E_None;
}

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
    TRY(swap_known(x, send, pieces));
    combine_rows(element, x->call->op, rows, bytes / size, x->ranks);
    *out = (Vec){rows, bytes / size};
    if (portion) return E_None;
    char *whole = exchange_take(x, length * size);
    if (!whole) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        pieces[peer] = (Vec){whole + block_begin(length, peer, x->ranks) * size, send[peer].length};
        send[peer] = (Vec){rows, bytes};
    }
    TRY(swap_known(x, send, pieces));
    exchange_drop(x, rows, bytes * x->ranks);
    *out = (Vec){whole, length};
    return E_None;
}

/* portion: only this rank's block of it. */
static ErrorCode reduce_vector(Exchange *x, const Type *element, const Vec *vec, bool portion, Vec *out) {
    Op op = x->call->op;
    int64_t length = vec->length, *lengths;
    TRY(lengths_of(x, vec, &lengths));
    for (int peer = 0; peer < x->ranks; peer++) {
        if (lengths[peer] != length)
            return worker_fail(x->worker, E_ZipMismatch, x->span, length, lengths[peer]);
    }
    char *rows;
    if (!element->size || (!portion && length * element->size <= SMALL_REDUCE)) {
        TRY(swap_same(x, vec->data, length * element->size, &rows));
        combine_rows(element, op, rows, length, x->ranks);
        *out = (Vec){rows, length};
        if (portion) *out = block(x, element, out);
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
    return slice_of(&part->vec, block_begin(length, rank, x->ranks), block_begin(length, rank + 1, x->ranks),
                    part->element->size);
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
    TRY(swap_same(x, own, count * (int64_t)sizeof *own, &all));
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
    TRY(swap_known(x, send, pieces));
    combine_shares(x, parts, all, pieces);
    if (all) return unpack_shares(x, parts, all, pieces);
    Vec own = pieces[0];
    for (int peer = 0; peer < x->ranks; peer++) send[peer] = own;
    TRY(room_for_pieces(x, parts, all, true, pieces));
    TRY(swap_known(x, send, pieces));
    return unpack_shares(x, parts, all, pieces);
}

static ErrorCode reduce(Exchange *x) {
    const Type *type = x->call->type;
    if (type->kind == TY_struct && type->pointers) return reduce_parts(x);
    if (type->kind == TY_vec)
        return reduce_vector(x, type->args[0], x->call->operands[0], false, x->call->out);
    Vec own;
    char *all;
    TRY(lasting(x, x->call->operands[0], type->size, &own));
    TRY(swap_same(x, own.data, type->size, &all));
    if (type->size) combine_rows(type, x->call->op, all, 1, x->ranks);
    memcpy(x->call->out, all, (size_t)type->size);
    return E_None;
}

static ErrorCode seed(Exchange *x) {
    const Type *type = x->call->type;
    if (x->rank == 0) {
        memcpy(x->call->out, x->call->operands[0], (size_t)type->size);
    } else if (type->kind != TY_vec) {
        combine_identity(type, x->call->op, x->call->out);
    } else {
        const Type *element = type->args[0];
        Vec made = {NULL, ((const Vec *)x->call->operands[0])->length};
        made.data = exchange_take(x, made.length * element->size);
        if (!made.data) return E_OutOfMemory;
        for (int64_t i = 0; i < made.length; i++)
            combine_identity(element, x->call->op, (char *)made.data + i * element->size);
        memcpy(x->call->out, &made, sizeof made);
    }
    return E_None;
}

static ErrorCode start(Exchange *x) {
    int64_t own, *all = exchange_take(x, x->ranks * (int64_t)sizeof *all), before;
    if (!all) return E_OutOfMemory;
    memcpy(&own, x->call->operands[0], sizeof own);
    TRY(exchange_numbers(x, &own, 1, all));
    before = sum_of(all, x->rank);
    memcpy(x->call->out, &before, sizeof before);
    return E_None;
}

/* How many there are may be nonsense, which the loop then says. */
static void share(const Exchange *x) {
    int64_t count, bounds[2];
    memcpy(&count, x->call->operands[0], sizeof count);
    bounds[0] = count < 0 ? 0 : block_begin(count, x->rank, x->ranks);
    bounds[1] = count < 0 ? count : block_begin(count, x->rank + 1, x->ranks);
    memcpy(x->call->out, bounds, sizeof bounds);
}

/* ---- all of them ---- */

ErrorCode engine_exchange(void *exchanges, Worker *worker, const ExchangeCall *call) {
    Exchanges *all = exchanges;
    Exchange exchange = {.engine = all->engine, .worker = worker, .call = call, .span = call->span},
             *x = &exchange;
    x->rank = x->engine->rank;
    x->ranks = x->engine->ranks;
    const Type *element = call->type->kind == TY_vec ? call->type->args[0] : NULL;
    const void *a = call->operands[0], *b = call->operands[1];
    switch (call->kind) {
    case EXCHANGE_seed: return seed(x);
    case EXCHANGE_start: return start(x);
    case EXCHANGE_share: share(x); return E_None;
    case EXCHANGE_reduce: return reduce(x);
    case EXCHANGE_portion: return reduce_vector(x, element, a, true, call->out);
    case EXCHANGE_gather: return exchange_gather(x, element, a, false, call->out);
    case EXCHANGE_collect: return exchange_gather(x, element, a, true, call->out);
    case EXCHANGE_scatter: return scatter(x, element, a, call->out);
    case EXCHANGE_broadcast: return broadcast(x);
    case EXCHANGE_part: return part(x, element, a, b, call->out);
    case EXCHANGE_align: return align(x, element, a, b, call->out);
    case EXCHANGE_deal: return deal_at(x, element, a, b, call->out);
    case EXCHANGE_pick: return pick(x);
    case EXCHANGE_window: return window(x, call->type->args[0]->args[0]);
    case EXCHANGE_merge:
    case EXCHANGE_shuffle:
    case EXCHANGE_spread:
    case EXCHANGE_fetch:
    case EXCHANGE_route: return exchange_dict(x);
    case EXCHANGE_host:
    case EXCHANGE_serve:
    case EXCHANGE_pull:
    case EXCHANGE_push:
    case EXCHANGE_take: return server_exchange(all, worker, call);
    case EXCHANGE_block: {
        Vec own = block(x, element, a);
        memcpy(call->out, &own, sizeof own);
        return E_None;
    }
    case EXCHANGE_COUNT: break;
    }
    return worker_fail(worker, E_Internal, call->span, 0, 0);
}
