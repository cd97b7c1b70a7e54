/* cluster_group.c: small collective calls of all ranks, made of messages that nobody waits for in MPI.
 *
 *     gather   in round k each rank passes what it has, 2^k blocks, to the rank 2^k before it: log2 n rounds (Bruck et al.,
 *              Efficient algorithms for all-to-all communications, IEEE TPDS 8(11), 1997)
 *     swap     in round k each rank sends to the one k after it
 *     tell     a binomial tree from the rank that tells
 */
#include "cluster_group.h"

#include <stdlib.h>
#include <string.h>

static ErrorCode exchange_with(const Group *g, int to, const void *send, int64_t sent, int from,
                               void *received, int64_t expected, Error *error) {
    MPI_Request requests[2] = {MPI_REQUEST_NULL, MPI_REQUEST_NULL};
    MPI_Irecv(received, (int)expected, MPI_BYTE, from, GROUP_TAG, g->comm, &requests[0]);
    MPI_Isend(send, (int)sent, MPI_BYTE, to, GROUP_TAG, g->comm, &requests[1]);
    return g->wait(requests, 2, error);
}

ErrorCode group_gather(const Group *g, const void *own, int64_t bytes, void *all, Error *error) {
    int ranks = g->ranks, rank = g->rank;
    size_t size = (size_t)bytes;
    char *blocks = malloc((size_t)ranks * size), *out = all; /* block i is that of rank + i */
    if (!blocks) return E_OutOfMemory;
    memcpy(blocks, own, size);
    for (int have = 1; have < ranks; have *= 2) {
        int more = ranks - have < have ? ranks - have : have;
        ErrorCode code =
            exchange_with(g, (rank - have + ranks) % ranks, blocks, more * bytes, (rank + have) % ranks,
                          blocks + (size_t)have * size, more * bytes, error);
        if (code) return code; /* the blocks stay: messages may still come */
    }
    for (int i = 0; i < ranks; i++)
        memcpy(out + (size_t)((rank + i) % ranks) * size, blocks + (size_t)i * size, size);
    free(blocks);
    return E_None;
}

ErrorCode group_swap(const Group *g, const void *send, int64_t bytes, void *received, Error *error) {
    int ranks = g->ranks, rank = g->rank;
    size_t size = (size_t)bytes, whole = (size_t)ranks * size;
    char *out = malloc(whole), *in = malloc(whole);
    ErrorCode code = out && in ? E_None : E_OutOfMemory;
    if (!code) memcpy(out, send, whole);
    if (!code) memcpy(in + (size_t)rank * size, out + (size_t)rank * size, size);
    for (int k = 1; !code && k < ranks; k++) {
        int to = (rank + k) % ranks, from = (rank - k + ranks) % ranks;
        code = exchange_with(g, to, out + (size_t)to * size, bytes, from, in + (size_t)from * size, bytes,
                             error);
    }
    if (code == E_None) memcpy(received, in, whole);
    if (code && code != E_OutOfMemory) return code; /* messages may still come */
    free(out);
    free(in);
    return code;
}

ErrorCode group_tell(const Group *g, int from, void *data, int64_t bytes, Error *error) {
    int place = (g->rank - from + g->ranks) % g->ranks, step = 1;
    MPI_Request request;
    for (; step < g->ranks && !(place & step); step *= 2) continue;
    if (place) { /* the lowest bit of its place is the distance to whom it hears it from */
        void *heard = malloc((size_t)bytes);
        if (!heard) return E_OutOfMemory;
        MPI_Irecv(heard, (int)bytes, MPI_BYTE, (g->rank - step + g->ranks) % g->ranks, GROUP_TAG, g->comm,
                  &request);
        ErrorCode code = g->wait(&request, 1, error);
        if (code) return code; /* it stays: the message may still come */
        memcpy(data, heard, (size_t)bytes);
        free(heard);
    }
    for (step /= 2; step; step /= 2) {
        if (place + step >= g->ranks) continue;
        MPI_Isend(data, (int)bytes, MPI_BYTE, (g->rank + step) % g->ranks, GROUP_TAG, g->comm, &request);
        ErrorCode code = g->wait(&request, 1, error);
        if (code) return code;
    }
    return E_None;
}
