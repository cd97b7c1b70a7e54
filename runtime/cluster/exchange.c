/* exchange.c: what the ranks of a cluster do together (lang/exchanges.def), by the transfers of an engine.
 *
 * Nearly all of it is one *swap*: each rank has a vector for every rank, and gets one vector of what all have for it, in
 * their order. First each tells how many bytes come, then these come, straight to where they belong.
 *
 *     rank 0   for 0: [1]  for 1: [2, 3]        rank 0 gets [1, 4]
 *     rank 1   for 0: [4]  for 1: []            rank 1 gets [2, 3]
 *
 * Elements that hold pointers travel serialized. A gather is a swap of the same for everybody, a deal one of pieces.
 * What combines values (exchange_reduce.c), what dictionaries need (exchange_dict.c), rows that go to others
 * (exchange_route.c) and a parameter server (exchange_server.c) are files of their own.
 */
#include "exchange.h"

#include <string.h>
#include <time.h>

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

ErrorCode exchange_lasting(Exchange *x, const void *value, int64_t bytes, Vec *out) {
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

ErrorCode exchange_lengths(Exchange *x, const Vec *vec, int64_t **lengths) {
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

ErrorCode exchange_swap_known(Exchange *x, const Vec *send, const Vec *pieces) {
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

ErrorCode exchange_swap_same(Exchange *x, const void *data, int64_t bytes, char **all) {
    Vec *send = exchange_vectors(x), *pieces = exchange_vectors(x);
    *all = exchange_take(x, bytes * x->ranks);
    if (!send || !pieces || !*all) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        send[peer] = (Vec){(void *)(uintptr_t)data, bytes};
        pieces[peer] = (Vec){*all + peer * bytes, bytes};
    }
    return exchange_swap_known(x, send, pieces);
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
    return exchange_swap_known(x, send, pieces);
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

Vec exchange_slice(const Vec *vec, int64_t begin, int64_t end, int64_t size) {
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
        send[peer] = exchange_slice(vec, begin, end, element->size);
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
    TRY(exchange_lengths(x, vec, &own));
    TRY(exchange_lengths(x, like, &want));
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
    TRY(exchange_lengths(x, like, &want));
    TRY(check_lengths(x, vec->length, want));
    int64_t begin = sum_of(want, x->rank);
    *out = exchange_slice(vec, begin, begin + like->length, element->size);
    return E_None;
}

Vec exchange_block(const Exchange *x, const Type *element, const Vec *vec) {
    return exchange_slice(vec, block_begin(vec->length, x->rank, x->ranks),
                          block_begin(vec->length, x->rank + 1, x->ranks), element->size);
}

static ErrorCode scatter(Exchange *x, const Type *element, const Vec *vec, Vec *out) {
    Vec *send = exchange_vectors(x);
    if (!send) return E_OutOfMemory;
    for (int peer = 0; x->rank == 0 && peer < x->ranks; peer++)
        send[peer] = exchange_slice(vec, block_begin(vec->length, peer, x->ranks),
                                    block_begin(vec->length, peer + 1, x->ranks), element->size);
    return exchange_swap(x, element, send, out);
}

static ErrorCode broadcast(Exchange *x) {
    const Type *type = x->call->type;
    Vec one, all;
    TRY(exchange_lasting(x, x->call->operands[0], x->rank == 0 ? type->size : 0, &one));
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
        send[peer] = exchange_slice(&own, low, high, element->size);
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
    TRY(exchange_lengths(x, vec, &lengths));
    int64_t whole = sum_of(lengths, x->ranks);
    if (index < 0 || index >= whole) return worker_fail(x->worker, E_OutOfBounds, x->span, index, whole);
    int owner = 0;
    while (index >= start + lengths[owner]) start += lengths[owner++];
    Vec one = owner == x->rank ? exchange_slice(vec, index - start, index - start + 1, element->size)
                               : (Vec){NULL, 0},
        all;
    TRY(exchange_gather(x, element, &one, false, &all));
    memcpy(x->call->out, all.data, (size_t)element->size);
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

ErrorCode exchange_run(Exchanges *all, Worker *worker, const ExchangeCall *call) {
    Exchange exchange = {.engine = all->engine, .worker = worker, .call = call, .span = call->span},
             *x = &exchange;
    x->rank = x->engine->rank;
    x->ranks = x->engine->ranks;
    const Type *element = call->type->kind == TY_vec ? call->type->args[0] : NULL;
    const void *a = call->operands[0], *b = call->operands[1];
    switch (call->kind) {
    case EXCHANGE_start: return start(x);
    case EXCHANGE_share: share(x); return E_None;
    case EXCHANGE_seed:
    case EXCHANGE_place:
    case EXCHANGE_reduce:
    case EXCHANGE_portion: return exchange_reduce(x);
    case EXCHANGE_gather: return exchange_gather(x, element, a, false, call->out);
    case EXCHANGE_collect: return exchange_gather(x, element, a, true, call->out);
    case EXCHANGE_scatter: return scatter(x, element, a, call->out);
    case EXCHANGE_broadcast: return broadcast(x);
    case EXCHANGE_part: return part(x, element, a, b, call->out);
    case EXCHANGE_align: return align(x, element, a, b, call->out);
    case EXCHANGE_deal: return deal_at(x, element, a, b, call->out);
    case EXCHANGE_pick: return pick(x);
    case EXCHANGE_window: return window(x, call->type->args[0]->args[0]);
    case EXCHANGE_find: return exchange_find(x);
    case EXCHANGE_merge:
    case EXCHANGE_shuffle:
    case EXCHANGE_spread:
    case EXCHANGE_fetch: return exchange_dict(x);
    case EXCHANGE_route:
    case EXCHANGE_settle: return exchange_rows(x);
    case EXCHANGE_host:
    case EXCHANGE_serve:
    case EXCHANGE_pull:
    case EXCHANGE_push:
    case EXCHANGE_resume:
    case EXCHANGE_keep:
    case EXCHANGE_take: return server_exchange(all, worker, call);
    case EXCHANGE_block: {
        Vec own = exchange_block(x, element, a);
        memcpy(call->out, &own, sizeof own);
        return E_None;
    }
    case EXCHANGE_launch_reduce: /* launched_exchange does them */
    case EXCHANGE_launch_portion:
    case EXCHANGE_launch_gather:
    case EXCHANGE_wait:
    case EXCHANGE_COUNT: break;
    }
    return worker_fail(worker, E_Internal, call->span, 0, 0);
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

ErrorCode engine_exchange(void *exchanges, Worker *worker, const ExchangeCall *call) {
    Exchanges *all = exchanges;
    int64_t begin = now_ns();
    ErrorCode code = E_None;
    if (exchange_launched(call->kind) != EXCHANGE_COUNT) {
        code = launcher_launch(all, worker, call);
    } else if (call->kind == EXCHANGE_wait) {
        code = launcher_wait(all, worker, call);
    } else {
        bool alone = call->kind == EXCHANGE_share || call->kind == EXCHANGE_block ||
                     call->kind == EXCHANGE_seed || call->kind == EXCHANGE_place;
        if (!alone) code = launcher_drain(all, worker);
        if (code == E_None) code = exchange_run(all, worker, call);
    }
    all->figures.waited_ns += now_ns() - begin;
    return code;
}
