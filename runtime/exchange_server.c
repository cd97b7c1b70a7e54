/* exchange_server.c: a parameter server among the ranks of a cluster (Li et al., Scaling Distributed Machine Learning with the
 * Parameter Server, OSDI'14), by windows of an engine.
 *
 *     exchange[host]({{w, m}, sums}, plan)    the first `servers` ranks own a range of each parameter; rank r has begin..end of w and m
 *     exchange[serve]({w, m}, {k, t, more})   the ranges after k updates may be read. Waits until this rank shall
 *                                             make update k (0), or may begin step t (1), or all is done (2)
 *     exchange[pull]({w, m}, {t, reads})      w and m, as long as they are, where they are read: each range at most `staleness`
 *                                             updates older than step t
 *     exchange[push](sums, t)                 what this rank's step t adds to the sums goes to the owners; gives t + 1
 *     exchange[take](sums, k)                 on an owner, the sums of all ranks' steps k, combined in the order of the ranks
 *
 * Every rank is a worker and, if it owns something, a server. Who reads or writes does so alone, in the window of the other:
 *
 *     versions[rank]     how many versions of its ranges that rank has shown: one before the first update; it sets it
 *     arrived[worker]    how many steps this worker has pushed; the worker sets it
 *     lags[worker]       how far this worker was ahead of the slowest, at most; the worker sets it
 *     changed[page]      after which update a page of what this rank shows last changed
 *     shown[ring]        its ranges after update k, at k modulo the ring
 *     inbox[ring]        for each worker what it pushed in step t, at t modulo the ring, and which pages of it say something
 *
 * Sums that are no vectors go to all ranks, which keep what depends on them each for itself: so every rank makes updates, if not of
 * a range.
 *
 * The clocks bound everything. A worker begins step t when all ranks have made the updates up to t - staleness, for which they
 * needed step t - staleness - 1 of every worker: so none is further ahead of the slowest. And no rank can have made more than t
 * updates, nor does one need a step older than t - staleness: with a ring of staleness + 1 places no one writes what another may
 * still read.
 *
 * Only what says something travels: of a push the pages that differ from what changes nothing, of a pull those that are read and
 * have changed since this rank has pulled them.
 */
#include "exchange.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { PAGE = 512, MOST = 64 /* parameters, or sums */ };

typedef _Atomic int64_t Clock;

/* A vector of which servers own ranges, or a sum. */
typedef struct Item {
    const Type *type;   /* of a vector that of its elements */
    bool vector, shown; /* shown: a parameter that workers read */
    int64_t length;
    Op op;
} Item;

struct Server {
    const Engine *engine;
    int rank, ranks, servers;
    int64_t staleness, ring;
    int64_t published,
        pushed;  /* how many versions were shown, one before the first update; how many steps pushed */
    int64_t lag; /* the most steps that this rank was ahead of the slowest */
    Item parts[MOST], sums[MOST];
    const Type *parts_type, *sums_type;
    int nparts, nsums;
    char *window;
    /* By server, of each page that it shows: */
    char **mirrors;  /* what it was */
    int64_t **have;  /* after which update; -1: it was never pulled */
    int64_t **marks; /* after which it last changed */
    char **needed;   /* the step reads it */
    char **outboxes; /* by rank */
    Access *accesses;
    int count, room;
    ServerStats *stats;
};

/* ---- where things are ---- */

static int64_t padded(int64_t bytes) {
    return (bytes + PAGE - 1) / PAGE * PAGE;
}

/* A rank's range of a vector. */
static int64_t begin_of(const Server *s, int64_t length, int rank) {
    return rank < s->servers ? block_begin(length, rank, s->servers) : length;
}
static int64_t length_at(const Server *s, const Item *item, int rank) {
    if (!item->vector) return 1;
    return begin_of(s, item->length, rank + 1) - begin_of(s, item->length, rank);
}
static int64_t bytes_at(const Server *s, const Item *item, int rank) {
    return length_at(s, item, rank) * item->type->size;
}

static int64_t shown_bytes(const Server *s, int rank) {
    int64_t bytes = 0;
    for (int i = 0; i < s->nparts; i++)
        bytes += s->parts[i].shown ? padded(bytes_at(s, &s->parts[i], rank)) : 0;
    return bytes;
}
static int64_t paged_bytes(const Server *s, int rank) {
    int64_t bytes = 0;
    for (int i = 0; i < s->nsums; i++)
        bytes += s->sums[i].vector ? padded(bytes_at(s, &s->sums[i], rank)) : 0;
    return bytes;
}
/* A push: what is no vector, a byte for each page, the pages. */
static int64_t scalars_bytes(const Server *s) {
    int64_t bytes = 0;
    for (int i = 0; i < s->nsums; i++)
        bytes += s->sums[i].vector ? 0 : (s->sums[i].type->size + 15) / 16 * 16;
    return bytes;
}
static int64_t head_bytes(const Server *s, int rank) {
    return scalars_bytes(s) + paged_bytes(s, rank) / PAGE;
}
static int64_t push_bytes(const Server *s, int rank) {
    return padded(head_bytes(s, rank)) + paged_bytes(s, rank);
}

/* Where the sums are in a push: the first by {0, scalars_bytes, padded(head_bytes)}. */
typedef struct Place {
    int64_t scalar, flag, page;
} Place;
static Place first_place(const Server *s, int rank) {
    return (Place){0, scalars_bytes(s), padded(head_bytes(s, rank))};
}
static Place next_place(const Server *s, Place place, const Item *item, int rank) {
    int64_t bytes = bytes_at(s, item, rank);
    if (!item->vector) place.scalar += (bytes + 15) / 16 * 16;
    if (item->vector) place.flag += padded(bytes) / PAGE, place.page += padded(bytes);
    return place;
}

static int64_t version_at(int rank) {
    return rank * 8;
}
static int64_t arrived_at(const Server *s, int worker) {
    return (s->ranks + worker) * 8;
}
static int64_t lag_at(const Server *s, int worker) {
    return arrived_at(s, s->ranks + worker);
}
static int64_t changed_at(const Server *s) {
    return padded(lag_at(s, s->ranks));
}
static int64_t shown_at(const Server *s, int rank, int64_t k) {
    return changed_at(s) + padded(shown_bytes(s, rank) / PAGE * 8) + k % s->ring * shown_bytes(s, rank);
}
static int64_t inbox_at(const Server *s, int rank, int64_t t, int worker) {
    int64_t all = changed_at(s) + padded(shown_bytes(s, rank) / PAGE * 8) + s->ring * shown_bytes(s, rank);
    return all + (t % s->ring * s->ranks + worker) * push_bytes(s, rank);
}
static int64_t window_bytes(const Server *s, int rank) {
    return inbox_at(s, rank, 0, 0) + s->ring * s->ranks * push_bytes(s, rank);
}

static int64_t clock_at(const Server *s, int64_t at) {
    return atomic_load((Clock *)(void *)(s->window + at));
}

/* ---- accesses ---- */

static bool add(Server *s, Access access) {
    if (s->count == s->room) {
        int room = s->room * 2 + 64;
        Access *more = realloc(s->accesses, (size_t)room * sizeof *more);
        if (!more) return false;
        s->accesses = more;
        s->room = room;
    }
    s->accesses[s->count++] = access;
    return true;
}

static ErrorCode say(Worker *worker, Span span, ErrorCode code) {
    if (code != E_None) error_set(&worker->error, code, span, "%s", error_message(code));
    return code;
}

static ErrorCode carry_out(Server *s, Worker *worker, Span span) {
    int count = s->count;
    s->count = 0;
    return say(worker, span, s->engine->window_access(s->accesses, count, worker->cancel, &worker->error));
}

/* A word of every other rank's window. It must stay. */
static bool set_words(Server *s, int64_t at, int64_t *word) {
    bool ok = true;
    for (int peer = 0; peer < s->ranks; peer++) {
        if (peer != s->rank) ok = ok && add(s, (Access){ACCESS_SET, peer, at, word, 0});
    }
    return ok;
}

/* ---- host ---- */

static void describe(Server *s, const ExchangeCall *call, const int64_t *plan) {
    const Type *parts = call->type->args[0], *sums = call->type->args[1];
    const char *values = (const char *)call->operands[0] + call->type->offsets[0];
    s->parts_type = parts;
    s->sums_type = sums;
    s->nparts = parts->count;
    s->nsums = sums->count;
    for (int i = 0; i < parts->count; i++) {
        Vec vec;
        memcpy(&vec, values + parts->offsets[i], sizeof vec);
        s->parts[i] = (Item){parts->args[i]->args[0], true, *plan++ != 0, vec.length, OP_none};
    }
    for (int i = 0; i < sums->count; i++, plan += 2) {
        bool vector = sums->args[i]->kind == TY_vec;
        s->sums[i] = (Item){
            .type = vector ? sums->args[i]->args[0] : sums->args[i], .vector = vector, .op = (Op)plan[1]};
        if (vector) s->sums[i].length = s->parts[plan[0]].length;
    }
}

static bool allocate(Server *s) {
    size_t ranks = (size_t)s->ranks;
    s->mirrors = calloc(ranks, sizeof *s->mirrors);
    s->have = calloc(ranks, sizeof *s->have);
    s->marks = calloc(ranks, sizeof *s->marks);
    s->needed = calloc(ranks, sizeof *s->needed);
    s->outboxes = calloc(ranks, sizeof *s->outboxes);
    bool ok = s->mirrors && s->have && s->marks && s->needed && s->outboxes;
    for (int peer = 0; ok && peer < s->ranks; peer++) {
        size_t shown = (size_t)shown_bytes(s, peer), pages = shown / PAGE;
        s->mirrors[peer] = calloc(1, shown + 1);
        s->have[peer] = malloc(pages * 8 + 1);
        s->marks[peer] = malloc(pages * 8 + 1);
        s->needed[peer] = malloc(pages + 1);
        s->outboxes[peer] = malloc((size_t)push_bytes(s, peer) + 1);
        ok = s->mirrors[peer] && s->have[peer] && s->marks[peer] && s->needed[peer] && s->outboxes[peer];
        for (size_t page = 0; ok && page < pages; page++) s->have[peer][page] = -1;
    }
    return ok;
}

static void free_lists(void *lists, int count) {
    for (int i = 0; lists && i < count; i++) free(((void **)lists)[i]);
    free(lists);
}

void server_free(Server *s) {
    if (!s) return;
    free_lists(s->mirrors, s->ranks);
    free_lists(s->have, s->ranks);
    free_lists(s->marks, s->ranks);
    free_lists(s->needed, s->ranks);
    free_lists(s->outboxes, s->ranks);
    free(s->accesses);
    free(s);
}

/* This rank's ranges of the parameters, as vectors of their own. */
static ErrorCode take_ranges(const Server *s, Worker *worker, const ExchangeCall *call) {
    const Type *parts = s->parts_type;
    char *values = (char *)call->out + call->type->offsets[0];
    memcpy(call->out, call->operands[0], (size_t)call->type->size);
    for (int i = 0; i < s->nparts; i++) {
        const Item *item = &s->parts[i];
        Vec whole, own = {NULL, length_at(s, item, s->rank)};
        memcpy(&whole, values + parts->offsets[i], sizeof whole);
        own.data = worker_alloc(worker, own.length * item->type->size + 1, call->span);
        if (!own.data) return E_OutOfMemory;
        if (own.length)
            memcpy(own.data, (char *)whole.data + begin_of(s, item->length, s->rank) * item->type->size,
                   (size_t)bytes_at(s, item, s->rank));
        memcpy(values + parts->offsets[i], &own, sizeof own);
    }
    return E_None;
}

/* Is it one that the compiler writes? */
static bool is_plan(const ExchangeCall *call, const Vec *plan) {
    const Type *type = call->type,
               *parts = type->kind == TY_struct && type->count == 2 ? type->args[0] : NULL;
    const Type *sums = parts ? type->args[1] : NULL;
    bool fits = parts && parts->kind == TY_struct && sums->kind == TY_struct && parts->count <= MOST &&
                sums->count <= MOST && plan->length == 2 + parts->count + 2 * sums->count;
    const int64_t *at = plan->data;
    fits = fits && at[0] >= 0 && at[0] < INT32_MAX && at[1] >= 0;
    for (int i = 0; fits && i < parts->count; i++)
        fits = parts->args[i]->kind == TY_vec && !parts->args[i]->args[0]->pointers;
    if (fits) at += 2 + parts->count;
    for (int i = 0; fits && i < sums->count; i++, at += 2) {
        bool vector = sums->args[i]->kind == TY_vec;
        const Type *element = vector ? sums->args[i]->args[0] : sums->args[i];
        fits = !element->pointers && element->size > 0 && (!vector || (at[0] >= 0 && at[0] < parts->count)) &&
               at[1] > OP_none && at[1] < OP_COUNT;
    }
    return fits;
}

/* All ranks must be told the same: they write where, by these, the others' windows have it. */
static ErrorCode agree(const Server *s, Worker *worker, const ExchangeCall *call) {
    Exchange x = {s->engine, worker, call, call->span, s->rank, s->ranks};
    int64_t own[2 + MOST] = {s->staleness, s->servers};
    int count = 2 + s->nparts;
    for (int i = 0; i < s->nparts; i++) own[2 + i] = s->parts[i].length;
    int64_t *all = exchange_take(&x, s->ranks * count * (int64_t)sizeof *all);
    if (!all) return E_OutOfMemory;
    TRY(exchange_numbers(&x, own, count, all));
    for (int i = 0; i < s->ranks * count; i++) {
        int64_t here = own[i % count];
        if (all[i] != here) return worker_fail(worker, E_ZipMismatch, call->span, here, all[i]);
    }
    return E_None;
}

static ErrorCode host(Exchanges *x, Worker *worker, const ExchangeCall *call) {
    enum { STALENESS, SERVERS, ITEMS };
    const int64_t *plan = ((const Vec *)call->operands[1])->data;
    if (!is_plan(call, call->operands[1])) return worker_fail(worker, E_Internal, call->span, 0, 0);
    server_free(x->server);
    Server *s = x->server = calloc(1, sizeof *s);
    if (!s) return say(worker, call->span, E_OutOfMemory);
    const Engine *engine = s->engine = x->engine;
    s->stats = &x->stats;
    s->rank = engine->rank;
    s->ranks = engine->ranks;
    s->staleness = plan[STALENESS];
    s->servers = plan[SERVERS] && plan[SERVERS] < s->ranks ? (int)plan[SERVERS] : s->ranks;
    s->ring = s->staleness + 1;
    describe(s, call, plan + ITEMS);
    TRY(agree(s, worker, call));
    if (!allocate(s)) return say(worker, call->span, E_OutOfMemory);
    x->stats.servers = s->servers;
    void *own;
    TRY(say(worker, call->span,
            engine->window_open(window_bytes(s, s->rank), &own, worker->cancel, &worker->error)));
    s->window = own;
    return take_ranges(s, worker, call);
}

/* ---- serve ---- */

/* Copies a range to where others read it; notes which pages are new. before: the last version, or NULL. */
static void show(const Server *s, const char *from, int64_t bytes, char *to, const char *before, int64_t page,
                 int64_t k) {
    Clock *changed = (Clock *)(void *)(s->window + changed_at(s));
    for (int64_t at = 0; at < bytes; at += PAGE, page++) {
        size_t size = (size_t)(bytes - at < PAGE ? bytes - at : PAGE);
        if (before && memcmp(before + at, from + at, size) == 0) {
            if (to != before) memcpy(to + at, from + at, size);
            continue;
        }
        memcpy(to + at, from + at, size);
        atomic_store(&changed[page], k);
    }
}

static ErrorCode publish(Server *s, Worker *worker, const ExchangeCall *call, int64_t k) {
    s->published = k + 1;
    char *to = s->window + shown_at(s, s->rank, k);
    const char *before = k ? s->window + shown_at(s, s->rank, k - 1) : NULL;
    int64_t at = 0;
    for (int i = 0; i < s->nparts; i++) {
        const Item *item = &s->parts[i];
        Vec own;
        memcpy(&own, (const char *)call->operands[0] + s->parts_type->offsets[i], sizeof own);
        int64_t bytes = bytes_at(s, item, s->rank), wanted = length_at(s, item, s->rank);
        if (own.length != wanted) return worker_fail(worker, E_ZipMismatch, call->span, wanted, own.length);
        if (!item->shown) continue;
        show(s, own.data, bytes, to + at, before ? before + at : NULL, at / PAGE, k);
        at += padded(bytes);
    }
    Clock *version = (Clock *)(void *)(s->window + version_at(s->rank));
    atomic_store(version, s->published);
    if (!set_words(s, version_at(s->rank), &s->published)) return say(worker, call->span, E_OutOfMemory);
    return carry_out(s, worker, call->span);
}

static int64_t least_clock(const Server *s, int64_t at, int count) {
    int64_t least = INT64_MAX;
    for (int i = 0; i < count; i++) {
        int64_t clock = clock_at(s, at + i * 8);
        if (clock < least) least = clock;
    }
    return least;
}

static ErrorCode serve(Server *s, Worker *worker, const ExchangeCall *call) {
    enum { UPDATE, STEP, DONE };
    int64_t numbers[2], what = -1;
    bool more = ((const char *)call->operands[1])[16];
    int spins = 0;
    memcpy(numbers, call->operands[1], sizeof numbers);
    int64_t k = numbers[0], t = numbers[1];
    if (k < 0 || k > s->published || t != s->pushed) return worker_fail(worker, E_Internal, call->span, k, t);
    if (k >= s->published) TRY(publish(s, worker, call, k));
    while (what < 0) {
        int64_t arrived = least_clock(s, arrived_at(s, 0), s->ranks), oldest = t - s->staleness;
        if (oldest < 0) oldest = 0;
        if (arrived > k) {
            what = UPDATE;
        } else if (!more) {
            if (k == t) what = DONE;
        } else if (k >= oldest && least_clock(s, version_at(0), s->ranks) > oldest) {
            what = STEP;
            if (t - arrived > s->lag) s->lag = t - arrived;
        }
        if (what < 0) TRY(say(worker, call->span, s->engine->idle(&spins, worker->cancel, &worker->error)));
    }
    for (int peer = 0; what == DONE && peer < s->ranks; peer++) {
        int64_t lag = clock_at(s, lag_at(s, peer));
        if (lag > s->stats->lag) s->stats->lag = lag;
    }
    memcpy(call->out, &what, sizeof what);
    return E_None;
}

/* ---- pull ---- */

/* Marks the pages of a vector's elements from `first` on. offset: where each server's range of it begins, among what that shows. */
static void need_range(Server *s, const Item *item, const int64_t *offset, int64_t first, int64_t length) {
    int64_t size = item->type->size, end;
    if (first < 0) first = 0;
    if (length < 0 || __builtin_add_overflow(first, length, &end) || end > item->length)
        end = length < 0 ? first : item->length;
    for (int server = 0; server < s->servers; server++) {
        int64_t begin = begin_of(s, item->length, server), stop = begin + length_at(s, item, server);
        int64_t low = first > begin ? first : begin, high = end < stop ? end : stop;
        if (low >= high) continue;
        int64_t from = (offset[server] + (low - begin) * size) / PAGE;
        int64_t to = (offset[server] + (high - begin) * size - 1) / PAGE;
        memset(s->needed[server] + from, 1, (size_t)(to - from + 1));
    }
}

/* What the step reads: [{first, length}, ..] of each parameter. */
static ErrorCode need_pages(Server *s, Worker *worker, const ExchangeCall *call) {
    const char *by = call->operands[1];
    Vec all;
    memcpy(&all, by + 8, sizeof all);
    int64_t *offset = worker_alloc(worker, s->servers * (int64_t)sizeof *offset, call->span);
    if (!offset) return E_OutOfMemory;
    if (all.length != s->nparts) return worker_fail(worker, E_Internal, call->span, 0, 0);
    memset(offset, 0, (size_t)s->servers * sizeof *offset);
    for (int server = 0; server < s->servers; server++)
        memset(s->needed[server], 0, (size_t)(shown_bytes(s, server) / PAGE));
    for (int i = 0; i < s->nparts; i++) {
        const Item *item = &s->parts[i];
        const Vec *ranges = (const Vec *)all.data + i;
        const int64_t *range = ranges->data;
        if (!item->shown) continue;
        for (int64_t k = 0; k < ranges->length; k++)
            need_range(s, item, offset, range[2 * k], range[2 * k + 1]);
        for (int server = 0; server < s->servers; server++)
            offset[server] += padded(bytes_at(s, item, server));
    }
    return E_None;
}

/* Is a page still to be fetched? marked: its mark has come, else that is what is fetched. */
static bool is_due(const Server *s, int server, int64_t page, bool marked) {
    return s->needed[server][page] && (!marked || s->marks[server][page] > s->have[server][page]);
}

/* Asks for the pages of a server that are due, or their marks; what lies side by side at once. */
static bool add_due(Server *s, int server, bool marked, int64_t version) {
    int64_t pages = shown_bytes(s, server) / PAGE, size = marked ? PAGE : 8, first = 0;
    int64_t there = marked ? shown_at(s, server, version) : changed_at(s);
    char *here = marked ? s->mirrors[server] : (char *)s->marks[server];
    while (first < pages) {
        int64_t end = first;
        for (; end < pages && is_due(s, server, end, marked); end++) {
            if (marked) s->have[server][end] = version;
        }
        int64_t at = first * size, bytes = (end - first) * size;
        if (bytes && !add(s, (Access){ACCESS_GET, server, there + at, here + at, bytes})) return false;
        if (server != s->rank) s->stats->pulled += bytes;
        first = end + 1;
    }
    return true;
}

static ErrorCode refresh(Server *s, Worker *worker, Span span) {
    int64_t *versions = worker_alloc(worker, s->servers * (int64_t)sizeof *versions, span);
    if (!versions) return E_OutOfMemory;
    for (int server = 0; server < s->servers; server++)
        versions[server] = clock_at(s, version_at(server)) - 1;
    for (int marked = 0; marked < 2; marked++) {
        bool ok = true;
        for (int server = 0; ok && server < s->servers; server++)
            ok = add_due(s, server, marked, versions[server]);
        if (!ok) return say(worker, span, E_OutOfMemory);
        TRY(carry_out(s, worker, span));
    }
    return E_None;
}

static ErrorCode pull(Server *s, Worker *worker, const ExchangeCall *call) {
    TRY(need_pages(s, worker, call));
    TRY(refresh(s, worker, call->span));
    int64_t *at = worker_alloc(worker, s->servers * (int64_t)sizeof *at, call->span);
    if (!at) return E_OutOfMemory;
    memset(at, 0, (size_t)s->servers * sizeof *at);
    for (int i = 0; i < s->nparts; i++) {
        const Item *item = &s->parts[i];
        Vec made = {NULL, item->shown ? item->length : 0};
        char *to = made.data = worker_alloc(worker, made.length * item->type->size + 1, call->span);
        if (!to) return E_OutOfMemory;
        for (int server = 0; item->shown && server < s->servers; server++) {
            int64_t bytes = bytes_at(s, item, server);
            if (bytes) memcpy(to, s->mirrors[server] + at[server], (size_t)bytes);
            to += bytes;
            at[server] += padded(bytes);
        }
        memcpy((char *)call->out + s->parts_type->offsets[i], &made, sizeof made);
    }
    return E_None;
}

/* ---- push ---- */

/* Can the pages of it be told apart, and combined by themselves? */
static bool has_pages(const Item *item) {
    return item->type->size > 0 && PAGE % item->type->size == 0;
}

/* Packs a vector; flags: which pages say something. */
static void pack_pages(const Item *item, const char *from, int64_t bytes, char *flags, char *to) {
    int64_t size = item->type->size;
    _Alignas(16) char nothing[PAGE];
    bool pages = has_pages(item);
    for (int64_t e = 0; pages && e < PAGE / size; e++)
        combine_identity(item->type, item->op, nothing + e * size);
    for (int64_t at = 0; at < bytes; at += PAGE, flags++) {
        size_t here = (size_t)(bytes - at < PAGE ? bytes - at : PAGE);
        *flags = !pages || memcmp(from + at, nothing, here) != 0;
        if (*flags) memcpy(to + at, from + at, here);
    }
}

/* Packs the sums for a rank. */
static void pack(const Server *s, const char *values, int rank, char *box) {
    Place place = first_place(s, rank);
    for (int i = 0; i < s->nsums; i++) {
        const Item *item = &s->sums[i];
        const char *from = values + s->sums_type->offsets[i];
        if (item->vector) {
            Vec vec;
            memcpy(&vec, from, sizeof vec);
            from = (const char *)vec.data + begin_of(s, item->length, rank) * item->type->size;
            pack_pages(item, from, bytes_at(s, item, rank), box + place.flag, box + place.page);
        } else {
            memcpy(box + place.scalar, from, (size_t)item->type->size);
        }
        place = next_place(s, place, item, rank);
    }
}

static bool add_push(Server *s, int rank, int64_t t) {
    int64_t inbox = inbox_at(s, rank, t, s->rank), head = head_bytes(s, rank), sent = head;
    int64_t pages = paged_bytes(s, rank) / PAGE, first = 0;
    char *box = s->outboxes[rank], *flags = box + scalars_bytes(s);
    bool ok = !head || add(s, (Access){ACCESS_PUT, rank, inbox, box, head});
    while (ok && first < pages) {
        int64_t end = first;
        while (end < pages && flags[end]) end++;
        int64_t at = padded(head) + first * PAGE, bytes = (end - first) * PAGE;
        if (bytes) ok = add(s, (Access){ACCESS_PUT, rank, inbox + at, box + at, bytes});
        sent += bytes;
        first = end + 1;
    }
    if (rank != s->rank) s->stats->pushed += sent;
    return ok;
}

static ErrorCode push(Server *s, Worker *worker, const ExchangeCall *call) {
    int64_t t;
    memcpy(&t, call->operands[1], sizeof t);
    if (t != s->pushed) return worker_fail(worker, E_Internal, call->span, t, s->pushed);
    s->pushed = t + 1;
    for (int i = 0; i < s->nsums; i++) {
        Vec vec;
        if (!s->sums[i].vector) continue;
        memcpy(&vec, (const char *)call->operands[0] + s->sums_type->offsets[i], sizeof vec);
        if (vec.length != s->sums[i].length)
            return worker_fail(worker, E_ZipMismatch, call->span, s->sums[i].length, vec.length);
    }
    bool ok = true;
    for (int rank = 0; ok && rank < s->ranks; rank++) {
        pack(s, call->operands[0], rank, s->outboxes[rank]);
        ok = add_push(s, rank, t) && add(s, (Access){ACCESS_SET, rank, lag_at(s, s->rank), &s->lag, 0}) &&
             add(s, (Access){ACCESS_SET, rank, arrived_at(s, s->rank), &s->pushed, 0});
    }
    if (!ok) return say(worker, call->span, E_OutOfMemory);
    TRY(carry_out(s, worker, call->span));
    s->stats->steps++;
    memcpy(call->out, &s->pushed, sizeof s->pushed);
    return E_None;
}

/* ---- take ---- */

/* Adds what a worker pushed of a vector to it. */
static void combine_pages(const Item *item, const char *flags, const char *from, char *into, int64_t bytes) {
    int64_t size = item->type->size;
    if (!has_pages(item)) {
        if (size) combine_all(item->type, item->op, into, from, bytes / size);
        return;
    }
    for (int64_t at = 0; at < bytes; at += PAGE, flags++) {
        int64_t here = bytes - at < PAGE ? bytes - at : PAGE;
        if (*flags) combine_all(item->type, item->op, into + at, from + at, here / size);
    }
}

static ErrorCode take(Server *s, Worker *worker, const ExchangeCall *call) {
    int64_t k;
    Place place = first_place(s, s->rank);
    memcpy(&k, call->operands[1], sizeof k);
    if (k < 0 || k >= s->pushed) return worker_fail(worker, E_Internal, call->span, k, s->pushed);
    for (int i = 0; i < s->nsums; i++) {
        const Item *item = &s->sums[i];
        int64_t bytes = bytes_at(s, item, s->rank), length = length_at(s, item, s->rank);
        char *out = (char *)call->out + s->sums_type->offsets[i], *into = out;
        if (item->vector) {
            Vec made = {worker_alloc(worker, bytes + 1, call->span), length};
            if (!made.data) return E_OutOfMemory;
            memcpy(out, &made, sizeof made);
            into = made.data;
        }
        for (int64_t e = 0; e < length; e++)
            combine_identity(item->type, item->op, into + e * item->type->size);
        for (int peer = 0; peer < s->ranks; peer++) {
            const char *box = s->window + inbox_at(s, s->rank, k, peer);
            if (item->vector)
                combine_pages(item, box + place.flag, box + place.page, into, bytes);
            else
                combine_all(item->type, item->op, into, box + place.scalar, 1);
        }
        place = next_place(s, place, item, s->rank);
    }
    return E_None;
}

/* Are values of both laid out alike? */
static bool is_like(const Type *a, const Type *b) {
    bool like = a == b || (a->kind == b->kind && a->count == b->count && a->size == b->size);
    for (int i = 0; a != b && like && i < a->count; i++) like = is_like(a->args[i], b->args[i]);
    return like;
}

/* A program that the compiler did not make could go by other types than it has told the host. */
static bool is_hosted(const Server *s, const ExchangeCall *call) {
    bool parts = call->kind == EXCHANGE_serve || call->kind == EXCHANGE_pull;
    return s && s->window && is_like(call->type, parts ? s->parts_type : s->sums_type);
}

ErrorCode server_exchange(Exchanges *exchanges, Worker *worker, const ExchangeCall *call) {
    Server *s = exchanges->server;
    if (call->kind == EXCHANGE_host) return host(exchanges, worker, call);
    if (!is_hosted(s, call)) return worker_fail(worker, E_Internal, call->span, 0, 0);
    switch (call->kind) {
    case EXCHANGE_serve: return serve(s, worker, call);
    case EXCHANGE_pull: return pull(s, worker, call);
    case EXCHANGE_push: return push(s, worker, call);
    default: return take(s, worker, call);
    }
}
