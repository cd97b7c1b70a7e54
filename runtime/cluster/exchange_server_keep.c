/* exchange_server_keep.c: checkpoints of a training with a parameter server.
 *
 *     exchange[resume]({state, true}, number)         the state that the checkpoint has of this iterate, and whether it goes on
 *     exchange[keep](state, {k, t, more, [number, 1, 0, ..]})    the state after k updates; its first part is a range, its second not
 *
 * What a rank has after k updates is its part of one state, that of all pushes of the steps before k and of none after: however far
 * workers are ahead, the ranks' parts after the same update are a consistent cut. So all ranks collect after the same one. Each
 * gets there without the others' doing anything but what an update needs of them: who has made k updates has pushed step k - 1. From
 * a state of k updates a run goes on at step k; pushes of later steps are lost, and made again.
 *
 * Which update that is, all know where steps are counted, and of the last one. By the clock rank 0 decides, and tells it with its push
 * of step t: update t + 2, which needs rank 0's next push, so that all know before they come to it.
 *
 * Rank 0 gets the ranges, and writes them as the vectors that they are of: the file is that of a state which every rank has, and is gone on from
 * by any number of ranks, servers or none.
 */
#include "exchange_server.h"

#include <stdatomic.h>
#include <string.h>

enum { PLAN_NUMBER, PLAN_PARTS };

ErrorCode server_resume(Worker *worker, const ExchangeCall *call) {
    const Type *type = call->type;
    bool fits = type->kind == TY_struct && type->count == 2 && type->args[1]->kind == TY_bool;
    KeptState kept = {.type = fits ? type->args[0] : NULL, .span = call->span};
    int32_t kind = KEPT_NONE;
    if (!fits) return worker_fail(worker, E_Internal, call->span, 0, 0);
    memcpy(&kept.number, call->operands[1], sizeof kept.number);
    memcpy(call->out, call->operands[0], (size_t)type->size);
    if (worker->keeper)
        TRY(worker->keeper->restore(worker->keeper->data, worker, &kept, (char *)call->out + type->offsets[0],
                                    &kind));
    if (kind != KEPT_NONE) ((char *)call->out)[type->offsets[1]] = kind == KEPT_AMID;
    return E_None;
}

void server_note_due(Server *s, const Worker *worker, int64_t t) {
    const Keeper *keeper = worker->keeper;
    if (s->rank == 0 && keeper && s->cut <= s->kept && keeper->is_late(keeper->data)) s->cut = t + 2;
}

/* Puts the whole vectors of a state in the place of the ranges, on rank 0. parts: how many were ranges so far. */
static ErrorCode collect(const Server *s, Exchange *x, const Type *type, const int64_t **plan, int *parts,
                         char *state) {
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++)
            TRY(collect(s, x, type->args[i], plan, parts, state + type->offsets[i]));
        return E_None;
    }
    if (!*(*plan)++) return E_None;
    Vec own, whole;
    const Item *item = &s->parts[(*parts)++];
    memcpy(&own, state, sizeof own);
    TRY(exchange_gather(x, item->type, &own, true, &whole));
    memcpy(state, &whole, sizeof whole);
    return E_None;
}

/* Is a part of the state a range wherever the plan says so, as long as the host was told? */
static bool fits(const Server *s, const Type *type, const int64_t **plan, const int64_t *end, int *parts,
                 const char *state) {
    bool ok = true;
    Vec own;
    if (type->kind == TY_struct) {
        for (int i = 0; ok && i < type->count; i++)
            ok = fits(s, type->args[i], plan, end, parts, state + type->offsets[i]);
        return ok;
    }
    if (*plan == end) return false;
    if (!*(*plan)++) return true;
    if (*parts >= s->nparts || type->kind != TY_vec) return false;
    const Item *item = &s->parts[(*parts)++];
    memcpy(&own, state, sizeof own);
    return type->args[0]->kind == item->type->kind && type->args[0]->size == item->type->size &&
           own.length == server_length_at(s, item, s->rank);
}

ErrorCode server_keep(Server *s, Worker *worker, const ExchangeCall *call) {
    const Keeper *keeper = worker->keeper;
    int64_t clocks[2];
    Vec plan;
    memcpy(call->out, call->operands[0], (size_t)call->type->size);
    if (!keeper) return E_None;
    memcpy(clocks, call->operands[1], sizeof clocks);
    memcpy(&plan, (const char *)call->operands[1] + 24, sizeof plan);
    int64_t k = clocks[0], t = clocks[1];
    bool more = ((const char *)call->operands[1])[16], done = !more && k == t;
    const int64_t *numbers = plan.data, *end = numbers + plan.length, *at = numbers + PLAN_PARTS;
    int parts = 0;
    if (plan.length < PLAN_PARTS || !fits(s, call->type, &at, end, &parts, call->out) || at != end)
        return worker_fail(worker, E_Internal, call->span, k, t);
    int64_t cut = atomic_load((_Atomic int64_t *)(void *)(s->window + server_cut_at(s)));
    if (!done && cut != k && !keeper->is_due(keeper->data, k)) return E_None;
    Exchange x = {s->engine, worker, call, call->span, s->rank, s->ranks};
    KeptState kept = {.number = numbers[PLAN_NUMBER], .type = call->type, .span = call->span};
    char *whole = exchange_take(&x, call->type->size + 1);
    if (!whole) return E_OutOfMemory;
    memcpy(whole, call->out, (size_t)call->type->size);
    at = numbers + PLAN_PARTS;
    parts = 0;
    TRY(collect(s, &x, call->type, &at, &parts, whole));
    s->kept = k;
    return keeper->write(keeper->data, worker, &kept, whole, done);
}
