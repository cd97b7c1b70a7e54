/* transport.h: what carries bytes between the ranks of a cluster; for cluster_mpi.c and transport*.c alone.
 *
 * A transport is a row of transports.def and a file, transport_<id>.c. The launcher (cluster_mpi.c) knows ranks and runs; a
 * transport moves what exchanges (exchange.c) hand to it, and asks the launcher whether to go on while it waits.
 *
 *     open                all ranks together; all get the transport, or none does
 *     begin               a run begins on this rank
 *     transfer ...        until one fails; then no more in this run
 *     settle              only if the run failed on some rank: when it returns, no rank writes any more, for this run, into
 *                         memory of another, and nothing of it is met by the next
 *     close               the end, or a rank was lost: others can no longer write here
 */
#ifndef TRANSPORT_H
#define TRANSPORT_H

#include "cluster.h"

#include <time.h>

enum { LOOK_NOW = -1 };

/* Microseconds since some moment. */
static inline int64_t clock_us(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* What a transport has from the launcher. gather and swap are calls of all ranks. */
typedef struct Launch {
    int rank, ranks;
    int local_rank, hosts; /* this rank's number on its host; how many hosts there are */
    int64_t run;           /* the number of the run */
    const EngineHost *host;
    /* Every rank's so many bytes, by rank. */
    ErrorCode (*gather)(const void *own, int64_t bytes, void *all, Error *error);
    /* To each rank its so many bytes of `send`, from each its own. */
    ErrorCode (*swap)(const void *send, int64_t bytes, void *received, Error *error);
    /* To be called again and again while waiting, with a count that starts at 0, or at LOOK_NOW: looks after the other ranks now and
     * then, lets others have the processor. E_Cluster: a rank is lost; E_Cancelled: another failed, or *cancel (may be NULL) is not
     * zero. */
    ErrorCode (*idle)(int *spins, const volatile int32_t *cancel, Error *error);
    /* The same, but other ranks' failures do not count. */
    ErrorCode (*settling)(int *spins, Error *error);
    /* A rank cannot be reached any more; tells the others. why: "was lost: ..". Returns E_Cluster. */
    ErrorCode (*lose)(int rank, const char *why, Error *error);
    const char *(*host_of)(int rank);
} Launch;

typedef struct TransportStats {
    int64_t copied_bytes, registrations;
} TransportStats;

typedef struct Transport {
    void (*begin)(void);
    ErrorCode (*transfer)(const Transfer *transfers, int count, const volatile int32_t *cancel, Error *error);
    ErrorCode (*settle)(Error *error);
    void (*stats)(TransportStats *stats);
    void (*close)(void);
    /* As Engine.window_open and .window_access; a window stays until window_close, when the run has ended on all ranks. NULL, or no
     * window, *own, on all ranks: those of MPI are used (cluster_window.h). */
    ErrorCode (*window_open)(int64_t bytes, void **own, const volatile int32_t *cancel, Error *error);
    ErrorCode (*window_access)(const Access *accesses, int count, const volatile int32_t *cancel,
                               Error *error);
    /* At the end of a run that did not fail here: returns when all that this rank has written is there. NULL: it is. */
    ErrorCode (*window_finish)(Error *error);
    void (*window_close)(void);
} Transport;

enum { TRANSPORT_WHY = 320 }; /* bytes for a reason */
/* NULL, on all ranks: it cannot be used, why says which rank misses what; or *error is set: a rank was lost. On success why
 * may say what was found. The launch stays. */
typedef const Transport *TransportOpen(const Launch *launch, char *why, Error *error);
#define TRANSPORT(id, hosts, doc) TransportOpen transport_##id##_open;
#include "transports.def"

/* ---- transport.c: which one is used ---- */

typedef struct Chosen {
    const Transport *transport;
    const char *name;
    char reason[TRANSPORT_WHY + 80];
    double latency_us, bandwidth_mbs; /* between two ranks, of different hosts if there are several */
} Chosen;
/* All ranks together. False: error set. */
bool transport_choose(const Launch *launch, Chosen *chosen, Error *error);
/* All ranks tell whether they can; true: all can. Else why becomes what those say that cannot. */
bool transport_agree(const Launch *launch, bool able, char *why, Error *error);

#endif
