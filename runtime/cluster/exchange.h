/* exchange.h: what the files of exchanges share: one exchange under way, and the swap that all of them are made of. */
#ifndef EXCHANGE_H
#define EXCHANGE_H

#include "cluster.h"

#define TRY(call)                 \
    do {                          \
        ErrorCode code_ = (call); \
        if (code_) return code_;  \
    } while (0)

typedef struct Exchange {
    const Engine *engine;
    Worker *worker;
    const ExchangeCall *call;
    Span span;
    int rank, ranks;
} Exchange;

/* ---- exchange.c ---- */

/* Memory of the run. NULL: the worker's error is set. */
void *exchange_take(Exchange *x, int64_t bytes);
/* Gives it back before the run ends, once no transfer needs it. */
void exchange_drop(Exchange *x, void *data, int64_t bytes);
/* The bytes of a value that may lie on the stack, where a transfer that fails can leave them. */
ErrorCode exchange_lasting(Exchange *x, const void *value, int64_t bytes, Vec *out);
/* A vector for each rank, empty ones. */
Vec *exchange_vectors(Exchange *x);
/* Every rank's numbers: all[rank * count ..]. */
ErrorCode exchange_numbers(Exchange *x, const int64_t *own, int count, int64_t *all);
/* Of this vector's blocks, or copies, on all ranks. */
ErrorCode exchange_lengths(Exchange *x, const Vec *vec, int64_t **lengths);
/* Elements [begin, end), where they lie. */
Vec exchange_slice(const Vec *vec, int64_t begin, int64_t end, int64_t size);
/* This rank's block of a vector that every rank has. */
Vec exchange_block(const Exchange *x, const Type *element, const Vec *vec);
/* The type of vectors of these elements, made in *room. */
const Type *exchange_vector_type(const Type *element, Type *room, Type **args);
/* What is sent of a vector: its elements as they are, or serialized. */
bool exchange_pack(Exchange *x, const Type *element, const Vec *vec, Vec *bytes);
/* The vector of such bytes, which it may lie in. */
ErrorCode exchange_unpack(Exchange *x, const Type *element, const Vec *bytes, Vec *vec);
/* Bytes for every rank, and as many from each as `pieces` has room for, which both sides know. */
ErrorCode exchange_swap_known(Exchange *x, const Vec *send, const Vec *pieces);
/* The same bytes to all; as many come from each, one behind the other. */
ErrorCode exchange_swap_same(Exchange *x, const void *data, int64_t bytes, char **all);
/* Bytes for every rank; what comes lies in one block, which `pieces` points into. */
ErrorCode exchange_swap_bytes(Exchange *x, const Vec *send, Vec *pieces);
/* send: a vector for each rank. What all have for this one is *out. */
ErrorCode exchange_swap(Exchange *x, const Type *element, const Vec *send, Vec *out);
/* The vectors of all ranks, one after the other, on every rank, or on rank 0 only. */
ErrorCode exchange_gather(Exchange *x, const Type *element, const Vec *vec, bool first_only, Vec *out);

/* Any exchange but a launch and a wait, here and now. */
ErrorCode exchange_run(Exchanges *all, Worker *worker, const ExchangeCall *call);

/* ---- exchange_launch.c ---- */

ErrorCode launcher_launch(Exchanges *all, Worker *worker, const ExchangeCall *call);
ErrorCode launcher_wait(Exchanges *all, Worker *worker, const ExchangeCall *call);
/* All that was launched is done when it returns, as an exchange comes that others see after it. */
ErrorCode launcher_drain(Exchanges *all, Worker *worker);

/* ---- exchange_reduce.c ---- */

/* reduce, portion, seed, place */
ErrorCode exchange_reduce(Exchange *x);

/* ---- exchange_find.c ---- */

ErrorCode exchange_find(Exchange *x);

/* ---- exchange_dict.c ---- */

/* merge, shuffle, spread, fetch */
ErrorCode exchange_dict(Exchange *x);
/* The rank that owns a key, by its hash. */
int exchange_owner(const Exchange *x, const Type *key, const void *at);

/* ---- exchange_route.c ---- */

/* route, settle */
ErrorCode exchange_rows(Exchange *x);

#endif
