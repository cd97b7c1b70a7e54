/* exchange_server_host.c: a parameter server begins: what it holds, the window that others read and write, its own ranges.
 *
 *     exchange[host]({{w, m}, sums}, {staleness, servers, shown.., {which, operator}..})    {{w[begin..end], m[begin..end]}, sums}
 */
#include "exchange_server.h"
#include "../rt.h"

#include <stdlib.h>
#include <string.h>

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

/* Memory that a device may write into, if there is one, of zeros. It is not the run's own: when a rank is lost, MPI may still be about
 * to write there. */
static void *take_shared(int64_t bytes) {
    void *pinned = bytes ? pinned_take((size_t)bytes) : NULL;
    if (pinned) memset(pinned, 0, (size_t)bytes);
    return pinned ? pinned : calloc(1, (size_t)bytes + 1);
}

static void give_shared(void *data, int64_t bytes) {
    if (data && pinned_owns(data))
        pinned_give(data, (size_t)bytes);
    else
        free(data);
}

static int64_t marks_bytes(const Server *s, int rank) {
    return server_shown_bytes(s, rank) / PAGE * 8;
}

/* All that a server takes, by the ranks' numbers of bytes. */
static ErrorCode charge(Server *s, Worker *worker, Span span) {
    int64_t bytes = server_window_bytes(s, s->rank);
    for (int peer = 0; peer < s->ranks; peer++) {
        int64_t shown = server_shown_bytes(s, peer);
        bytes += shown + 2 * marks_bytes(s, peer) + shown / PAGE + server_push_bytes(s, peer);
    }
    if (!budget_charge(s->budget, bytes))
        return worker_fail(worker, E_OutOfMemory, span, bytes, budget_limit(s->budget));
    s->charged = bytes;
    return E_None;
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
        size_t pages = (size_t)(server_shown_bytes(s, peer) / PAGE);
        s->mirrors[peer] = take_shared(server_shown_bytes(s, peer));
        s->have[peer] = malloc(pages * 8 + 1);
        s->marks[peer] = take_shared(marks_bytes(s, peer));
        s->needed[peer] = malloc(pages + 1);
        s->outboxes[peer] = take_shared(server_push_bytes(s, peer));
        ok = s->mirrors[peer] && s->have[peer] && s->marks[peer] && s->needed[peer] && s->outboxes[peer];
        for (size_t page = 0; ok && page < pages; page++) s->have[peer][page] = -1;
    }
    return ok;
}

static void free_lists(void *lists, int count) {
    for (int i = 0; lists && i < count; i++) free(((void **)lists)[i]);
    free(lists);
}

void server_leave(Server *s) {
    if (!s) return;
    budget_discharge(s->budget, s->charged);
    s->charged = 0;
}

void server_free(Server *s) {
    if (!s) return;
    server_leave(s);
    for (int peer = 0; peer < s->ranks; peer++) {
        if (s->mirrors) give_shared(s->mirrors[peer], server_shown_bytes(s, peer));
        if (s->marks) give_shared(s->marks[peer], marks_bytes(s, peer));
        if (s->outboxes) give_shared(s->outboxes[peer], server_push_bytes(s, peer));
    }
    free(s->mirrors);
    free(s->marks);
    free(s->outboxes);
    free_lists(s->have, s->ranks);
    free_lists(s->needed, s->ranks);
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
        Vec whole, own = {NULL, server_length_at(s, item, s->rank)};
        memcpy(&whole, values + parts->offsets[i], sizeof whole);
        own.data = worker_alloc(worker, own.length * item->type->size + 1, call->span);
        if (!own.data) return E_OutOfMemory;
        if (own.length)
            memcpy(own.data,
                   (char *)whole.data + server_begin_of(s, item->length, s->rank) * item->type->size,
                   (size_t)server_bytes_at(s, item, s->rank));
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

ErrorCode server_host(Exchanges *x, Worker *worker, const ExchangeCall *call) {
    enum { STALENESS, SERVERS, ITEMS };
    const int64_t *plan = ((const Vec *)call->operands[1])->data;
    if (!is_plan(call, call->operands[1])) return worker_fail(worker, E_Internal, call->span, 0, 0);
    server_free(x->server);
    Server *s = x->server = calloc(1, sizeof *s);
    if (!s) return server_say(worker, call->span, E_OutOfMemory);
    const Engine *engine = s->engine = x->engine;
    s->stats = &x->stats;
    s->budget = region_budget(worker->region);
    s->rank = engine->rank;
    s->ranks = engine->ranks;
    s->staleness = plan[STALENESS];
    s->servers = plan[SERVERS] && plan[SERVERS] < s->ranks ? (int)plan[SERVERS] : s->ranks;
    s->ring = s->staleness + 1;
    describe(s, call, plan + ITEMS);
    TRY(agree(s, worker, call));
    TRY(charge(s, worker, call->span));
    if (!allocate(s)) return server_say(worker, call->span, E_OutOfMemory);
    x->stats.servers = s->servers;
    void *own;
    TRY(server_say(
        worker, call->span,
        engine->window_open(server_window_bytes(s, s->rank), &own, worker->cancel, &worker->error)));
    s->window = own;
    return take_ranges(s, worker, call);
}
