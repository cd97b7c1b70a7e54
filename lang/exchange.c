/* exchange.c: what the ranks of a cluster do together, by a program's own nodes (exchanges.def).
 *
 *     exchange[reduce,+](s)      3 on rank 0, 4 on rank 1    =>   7 on both
 *     exchange[gather](v)        [1, 2] and [3]              =>   [1, 2, 3] on both
 *
 * How that is done is the runtime's matter, which hands the worker an Exchanger. Without one the program runs alone:
 * it is rank 0 of 1, and an exchange gives its operand, an element or a 0.
 */
#include "lang.h"

#include <string.h>

const ExchangeClass exchange_classes[EXCHANGE_COUNT] = {
#define EXCHANGE(id, spelling, operands, combines, blocks, sends, doc) \
    [EXCHANGE_##id] = {spelling, doc, sends, operands, combines, blocks},
#include "exchanges.def"
};

int64_t block_begin(int64_t length, int64_t rank, int64_t ranks) {
    return length / ranks * rank + (length % ranks < rank ? length % ranks : rank);
}

ExchangeKind exchange_launched(ExchangeKind kind) {
    switch (kind) {
    case EXCHANGE_launch_reduce: return EXCHANGE_reduce;
    case EXCHANGE_launch_portion: return EXCHANGE_portion;
    case EXCHANGE_launch_gather: return EXCHANGE_gather;
    default: return EXCHANGE_COUNT;
    }
}

const Type *exchange_type(const Node *node) {
    bool numbers = node->bits == EXCHANGE_serve || node->bits == EXCHANGE_push ||
                   exchange_launched((ExchangeKind)node->bits) != EXCHANGE_COUNT;
    return numbers ? node->kids[0]->type : node->type;
}

static ErrorCode pick(Worker *worker, const ExchangeCall *call) {
    const Vec *vec = call->operands[0];
    int64_t index;
    memcpy(&index, call->operands[1], sizeof index);
    if (index < 0 || index >= vec->length)
        return worker_fail(worker, E_OutOfBounds, call->span, index, vec->length);
    memcpy(call->out, (const char *)vec->data + index * call->type->size, (size_t)call->type->size);
    return E_None;
}

/* Vectors without pointers, and, where there is one more field, that they came. */
static ErrorCode copy_columns(Worker *worker, const ExchangeCall *call) {
    const Type *type = call->type;
    for (int i = 0; i < type->count; i++) {
        char *into = (char *)call->out + type->offsets[i];
        Vec vec;
        if (type->args[i]->kind != TY_vec) {
            *into = true;
            break;
        }
        memcpy(&vec, (const char *)call->operands[0] + type->offsets[i], sizeof vec);
        int64_t bytes = vec.length * type->args[i]->args[0]->size;
        const void *from = vec.data;
        vec.data = bytes ? worker_alloc(worker, bytes, call->span) : NULL;
        if (bytes && !vec.data) return E_OutOfMemory;
        if (bytes) memcpy(vec.data, from, (size_t)bytes);
        memcpy(into, &vec, sizeof vec);
    }
    return E_None;
}

bool exchange_copies(ExchangeKind kind) {
    return kind == EXCHANGE_settle || kind == EXCHANGE_route;
}

static ErrorCode alone(Worker *worker, const ExchangeCall *call) {
    switch (call->kind) {
    case EXCHANGE_share:
        memcpy(call->out, &(int64_t[2]){0, *(const int64_t *)call->operands[0]}, 16);
        return E_None;
    case EXCHANGE_launch_reduce: /* nothing is under way: the wait gives the operand */
    case EXCHANGE_launch_portion:
    case EXCHANGE_launch_gather:
    case EXCHANGE_start: memset(call->out, 0, sizeof(int64_t)); return E_None;
    case EXCHANGE_window:
        memset(call->out, 0, (size_t)call->type->size);
        memcpy(call->out, call->operands[0], sizeof(Vec));
        return E_None;
    case EXCHANGE_find: /* all of it, so each is where it is */
        memcpy(call->out, call->operands[0], sizeof(Vec));
        memcpy((char *)call->out + call->type->offsets[1], call->operands[1], sizeof(Vec));
        return E_None;
    case EXCHANGE_spread:
        memset(call->out, 0, (size_t)call->type->size);
        memcpy(call->out, call->operands[0], sizeof(Dict *));
        ((char *)call->out)[call->type->offsets[1]] = true;
        return E_None;
    case EXCHANGE_settle:
    case EXCHANGE_route: return copy_columns(worker, call);
    case EXCHANGE_pick: return pick(worker, call);
    case EXCHANGE_part:
    case EXCHANGE_align: {
        const Vec *vec = call->operands[0], *like = call->operands[1];
        if (vec->length != like->length)
            return worker_fail(worker, E_ZipMismatch, call->span, like->length, vec->length);
        break;
    }
    case EXCHANGE_host:
    case EXCHANGE_serve:
    case EXCHANGE_pull:
    case EXCHANGE_push:
    case EXCHANGE_resume:
    case EXCHANGE_keep:
    case EXCHANGE_take:
        error_set(&worker->error, E_Cluster, call->span, "a parameter server needs weld.cluster=mpi");
        return E_Cluster;
    default: break;
    }
    memcpy(call->out, call->operands[0], (size_t)call->type->size);
    return E_None;
}

ErrorCode exchange(Worker *worker, const ExchangeCall *call) {
    if (!worker->exchanger) return alone(worker, call);
    return worker->exchanger->run(worker->exchanger->data, worker, call);
}

void exchange_stop(Worker *worker) {
    if (worker->exchanger && worker->exchanger->stop)
        worker->exchanger->stop(worker->exchanger->data, worker);
}
