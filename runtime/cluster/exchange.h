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
/* A vector for each rank, empty ones. */
Vec *exchange_vectors(Exchange *x);
/* Every rank's numbers: all[rank * count ..]. */
ErrorCode exchange_numbers(Exchange *x, const int64_t *own, int count, int64_t *all);
/* The type of vectors of these elements, made in *room. */
const Type *exchange_vector_type(const Type *element, Type *room, Type **args);
/* What is sent of a vector: its elements as they are, or serialized. */
bool exchange_pack(Exchange *x, const Type *element, const Vec *vec, Vec *bytes);
/* The vector of such bytes, which it may lie in. */
ErrorCode exchange_unpack(Exchange *x, const Type *element, const Vec *bytes, Vec *vec);
/* Bytes for every rank; what comes lies in one block, which `pieces` points into. */
ErrorCode exchange_swap_bytes(Exchange *x, const Vec *send, Vec *pieces);
/* send: a vector for each rank. What all have for this one is *out. */
ErrorCode exchange_swap(Exchange *x, const Type *element, const Vec *send, Vec *out);
/* The vectors of all ranks, one after the other, on every rank, or on rank 0 only. */
ErrorCode exchange_gather(Exchange *x, const Type *element, const Vec *vec, bool first_only, Vec *out);

/* ---- exchange_dict.c ---- */

/* merge, shuffle, spread, fetch, route */
ErrorCode exchange_dict(Exchange *x);

#endif
