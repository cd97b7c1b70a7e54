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
 * Every rank is a worker and, if it owns something, a server. Who reads or writes does so alone, in the window of the other
 * (exchange_server_layout.c says where).
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
#include "exchange_server.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

typedef _Atomic int64_t Clock;

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

ErrorCode server_say(Worker *worker, Span span, ErrorCode code) {
    if (code != E_None) error_set(&worker->error, code, span, "%s", error_message(code));
    return code;
}

static ErrorCode carry_out(Server *s, Worker *worker, Span span) {
    int count = s->count;
    s->count = 0;
    return server_say(worker, span,
                      s->engine->window_access(s->accesses, count, worker->cancel, &worker->error));
}

/* A word of every other rank's window. It must stay. */
static bool set_words(Server *s, int64_t at, int64_t *word) {
    bool ok = true;
    for (int peer = 0; peer < s->ranks; peer++) {
        if (peer != s->rank) ok = ok && add(s, (Access){ACCESS_SET, peer, at, word, 0});
    }
    return ok;
}

/* ---- serve ---- */

/* Copies a range to where others read it; notes which pages are new. before: the last version, or NULL. */
static void show(const Server *s, const char *from, int64_t bytes, char *to, const char *before, int64_t page,
                 int64_t k) {
    Clock *changed = (Clock *)(void *)(s->window + server_changed_at(s));
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
    char *to = s->window + server_shown_at(s, s->rank, k);
    const char *before = k ? s->window + server_shown_at(s, s->rank, k - 1) : NULL;
    int64_t at = 0;
    for (int i = 0; i < s->nparts; i++) {
        const Item *item = &s->parts[i];
        Vec own;
        memcpy(&own, (const char *)call->operands[0] + s->parts_type->offsets[i], sizeof own);
        int64_t bytes = server_bytes_at(s, item, s->rank), wanted = server_length_at(s, item, s->rank);
        if (own.length != wanted) return worker_fail(worker, E_ZipMismatch, call->span, wanted, own.length);
        if (!item->shown) continue;
        show(s, own.data, bytes, to + at, before ? before + at : NULL, at / PAGE, k);
        at += server_padded(bytes);
    }
    Clock *version = (Clock *)(void *)(s->window + server_version_at(s->rank));
    atomic_store(version, s->published);
    if (!set_words(s, server_version_at(s->rank), &s->published))
        return server_say(worker, call->span, E_OutOfMemory);
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
        int64_t arrived = least_clock(s, server_arrived_at(s, 0), s->ranks), oldest = t - s->staleness;
        if (oldest < 0) oldest = 0;
        if (arrived > k) {
            what = UPDATE;
        } else if (!more) {
            if (k == t) what = DONE;
        } else if (k >= oldest && least_clock(s, server_version_at(0), s->ranks) > oldest) {
            what = STEP;
            if (t - arrived > s->lag) s->lag = t - arrived;
        }
        if (what < 0)
            TRY(server_say(worker, call->span, s->engine->idle(&spins, worker->cancel, &worker->error)));
    }
    for (int peer = 0; what == DONE && peer < s->ranks; peer++) {
        int64_t lag = clock_at(s, server_lag_at(s, peer));
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
        int64_t begin = server_begin_of(s, item->length, server),
                stop = begin + server_length_at(s, item, server);
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
        memset(s->needed[server], 0, (size_t)(server_shown_bytes(s, server) / PAGE));
    for (int i = 0; i < s->nparts; i++) {
        const Item *item = &s->parts[i];
        const Vec *ranges = (const Vec *)all.data + i;
        const int64_t *range = ranges->data;
        if (!item->shown) continue;
        for (int64_t k = 0; k < ranges->length; k++)
            need_range(s, item, offset, range[2 * k], range[2 * k + 1]);
        for (int server = 0; server < s->servers; server++)
            offset[server] += server_padded(server_bytes_at(s, item, server));
    }
    return E_None;
}

/* Is a page still to be fetched? marked: its mark has come, else that is what is fetched. */
static bool is_due(const Server *s, int server, int64_t page, bool marked) {
    return s->needed[server][page] && (!marked || s->marks[server][page] > s->have[server][page]);
}

/* Asks for the pages of a server that are due, or their marks; what lies side by side at once. */
static bool add_due(Server *s, int server, bool marked, int64_t version) {
    int64_t pages = server_shown_bytes(s, server) / PAGE, size = marked ? PAGE : 8, first = 0;
    int64_t there = marked ? server_shown_at(s, server, version) : server_changed_at(s);
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
        versions[server] = clock_at(s, server_version_at(server)) - 1;
    for (int marked = 0; marked < 2; marked++) {
        bool ok = true;
        for (int server = 0; ok && server < s->servers; server++)
            ok = add_due(s, server, marked, versions[server]);
        if (!ok) return server_say(worker, span, E_OutOfMemory);
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
            int64_t bytes = server_bytes_at(s, item, server);
            if (bytes) memcpy(to, s->mirrors[server] + at[server], (size_t)bytes);
            to += bytes;
            at[server] += server_padded(bytes);
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
    Place place = server_first_place(s, rank);
    for (int i = 0; i < s->nsums; i++) {
        const Item *item = &s->sums[i];
        const char *from = values + s->sums_type->offsets[i];
        if (item->vector) {
            Vec vec;
            memcpy(&vec, from, sizeof vec);
            from = (const char *)vec.data + server_begin_of(s, item->length, rank) * item->type->size;
            pack_pages(item, from, server_bytes_at(s, item, rank), box + place.flag, box + place.page);
        } else {
            memcpy(box + place.scalar, from, (size_t)item->type->size);
        }
        place = server_next_place(s, place, item, rank);
    }
}

static bool add_push(Server *s, int rank, int64_t t) {
    int64_t inbox = server_inbox_at(s, rank, t, s->rank), head = server_head_bytes(s, rank), sent = head;
    int64_t pages = server_paged_bytes(s, rank) / PAGE, first = 0;
    char *box = s->outboxes[rank], *flags = box + server_scalars_bytes(s);
    bool ok = !head || add(s, (Access){ACCESS_PUT, rank, inbox, box, head});
    while (ok && first < pages) {
        int64_t end = first;
        while (end < pages && flags[end]) end++;
        int64_t at = server_padded(head) + first * PAGE, bytes = (end - first) * PAGE;
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
    server_note_due(s, worker, t);
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
        ok = add_push(s, rank, t) &&
             (s->rank || add(s, (Access){ACCESS_SET, rank, server_cut_at(s), &s->cut, 0})) &&
             add(s, (Access){ACCESS_SET, rank, server_lag_at(s, s->rank), &s->lag, 0}) &&
             add(s, (Access){ACCESS_SET, rank, server_arrived_at(s, s->rank), &s->pushed, 0});
    }
    if (!ok) return server_say(worker, call->span, E_OutOfMemory);
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
    Place place = server_first_place(s, s->rank);
    memcpy(&k, call->operands[1], sizeof k);
    if (k < 0 || k >= s->pushed) return worker_fail(worker, E_Internal, call->span, k, s->pushed);
    for (int i = 0; i < s->nsums; i++) {
        const Item *item = &s->sums[i];
        int64_t bytes = server_bytes_at(s, item, s->rank), length = server_length_at(s, item, s->rank);
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
            const char *box = s->window + server_inbox_at(s, s->rank, k, peer);
            if (item->vector)
                combine_pages(item, box + place.flag, box + place.page, into, bytes);
            else
                combine_all(item->type, item->op, into, box + place.scalar, 1);
        }
        place = server_next_place(s, place, item, s->rank);
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
    if (s && s->window && call->kind == EXCHANGE_keep) return true; /* it looks itself */
    return s && s->window && is_like(call->type, parts ? s->parts_type : s->sums_type);
}

ErrorCode server_exchange(Exchanges *exchanges, Worker *worker, const ExchangeCall *call) {
    Server *s = exchanges->server;
    if (call->kind == EXCHANGE_host) return server_host(exchanges, worker, call);
    if (call->kind == EXCHANGE_resume) return server_resume(worker, call);
    if (!is_hosted(s, call)) return worker_fail(worker, E_Internal, call->span, 0, 0);
    switch (call->kind) {
    case EXCHANGE_serve: return serve(s, worker, call);
    case EXCHANGE_pull: return pull(s, worker, call);
    case EXCHANGE_push: return push(s, worker, call);
    case EXCHANGE_keep: return server_keep(s, worker, call);
    default: return take(s, worker, call);
    }
}
