/* cluster.h: the ranks of a cluster, as the runtime sees them; for cluster*.c and the engine alone.
 *
 * An engine launches ranks, knows who there is, and carries bytes, by one of its transports (transport.h). The one there is,
 * MPI (cluster_mpi.c), is a library of its own, libweldmpi, that is loaded when a program is to run on a cluster: weldc
 * needs no MPI otherwise, and ties to none of them.
 */
#ifndef CLUSTER_H
#define CLUSTER_H

#include "../../lang/lang.h"

/* Bytes from or to another rank. Between two ranks transfers match in their order. */
typedef struct Transfer {
    int peer;
    bool sends;
    void *data;
    int64_t bytes;
} Transfer;

/* Bytes of another rank's window, or of its own, from `at` on. Words are of 8 bytes, at a multiple of 8, and never half one and half
 * another. */
typedef struct Access {
    enum {
        ACCESS_PUT, /* data go there */
        ACCESS_GET, /* what is there comes into data */
        ACCESS_SET, /* the same, of a word; after all puts and gets of the call are done */
        ACCESS_READ
    } kind;
    int peer;
    int64_t at;
    void *data;
    int64_t bytes; /* of a put or a get, more than none */
} Access;

/* How a run went on a rank. */
typedef struct Outcome {
    int32_t code; /* an ErrorCode */
    bool own;     /* it failed by itself, not because another rank had */
    Span span;
    char text[448];
} Outcome;

typedef struct EngineStats {
    int64_t sent_bytes, received_bytes; /* of transfers */
    int64_t copied_bytes;         /* of these, what was copied between the program's memory and the wire's */
    int64_t registrations;        /* of memory with a device */
    int64_t put_bytes, got_bytes; /* into and from windows of others */
    double latency_us, bandwidth_mbs; /* between two ranks, when the transport was opened; 0: unknown */
} EngineStats;

/* ---- pinned.c: the memory that is registered with a device, which large blocks of all contexts come from ---- */

typedef struct PinnedMemory {
    /* Registers a first part, and more when it is full, by the given function, under a lock. False: nothing can be. */
    bool (*open)(bool (*registers)(void *base, size_t bytes), size_t first);
    void *(*take)(size_t bytes); /* page-aligned; NULL: there is no more */
    void (*give)(void *block, size_t bytes);
    void (*close)(void); /* registers no more; blocks stay */
} PinnedMemory;
extern const PinnedMemory pinned_memory;

/* What an engine has from the process that opens it. */
typedef struct EngineHost {
    const char *transport; /* weld.transport */
    int64_t memory;        /* weld.transport.memory */
    const PinnedMemory *pinned;
} EngineHost;

/* One engine serves a process; all calls by one thread at a time. Failures: E_Cluster, the error says which rank was
 * lost; E_Cancelled: another rank has failed, or *cancel became non-zero. After a rank was lost every call fails. */
typedef struct Engine {
    const char *name;
    const char *transport, *reason; /* what carries the bytes (transports.def), and why this one */
    bool threads;                   /* calls may come from several threads, one at a time */
    const char *windows;            /* what carries those of windows: the transport, or the engine itself */
    int rank, ranks;
    /* Carries out all transfers, while it watches the other ranks. Both sides of one name as many bytes, more than none.
     * After a failure bytes may still come until end has succeeded: their memory must stay. */
    ErrorCode (*transfer)(const Transfer *transfers, int count, const volatile int32_t *cancel, Error *error);
    /* A window: memory of this rank, zeros so far, that all of them read and write without its doing. All ranks together; one at
     * a time, which stays until the next, or until the run has ended. */
    ErrorCode (*window_open)(int64_t bytes, void **own, const volatile int32_t *cancel, Error *error);
    /* Carries them out, in any order. When it returns all has been done. After a failure the memory of the accesses must stay
     * until end has succeeded. */
    ErrorCode (*window_access)(const Access *accesses, int count, const volatile int32_t *cancel,
                               Error *error);
    /* One round of a wait for what others write into this rank's window; spins counts from 0 on. */
    ErrorCode (*idle)(int *spins, const volatile int32_t *cancel, Error *error);
    /* Begins a run. What is left of one that failed must be gone. */
    ErrorCode (*begin)(Error *error);
    /* Ends it on all ranks: *outcome becomes that of the first rank that failed by itself, if one did. */
    ErrorCode (*end)(Outcome *outcome, Error *error);
    void (*stats)(EngineStats *stats);
    void (*close)(void); /* at the end of the process; without it the launcher may take it for a crash */
} Engine;

/* What libweldmpi exports as weld_mpi. NULL: error set. Once; later calls return the same. All ranks together. */
typedef const Engine *EngineOpen(const EngineHost *host, Error *error);

/* ---- exchange.c: what ranks exchange, by an engine ---- */

typedef struct Server Server;
typedef struct ServerStats {
    int servers;            /* 0: there was none */
    int64_t steps;          /* of this rank */
    int64_t pushed, pulled; /* bytes, to and from other ranks */
    int64_t lag;            /* the most steps that any rank was ahead of the slowest */
} ServerStats;
/* Of all runs so far. */
typedef struct ExchangeStats {
    int64_t launched;  /* exchanges that went on while the program computed, or could have */
    int64_t waited_ns; /* what the program stood still for exchanges */
} ExchangeStats;
/* What the exchanges of a run share. */
typedef struct Exchanges {
    const Engine *engine;
    Server *server; /* or NULL */
    ServerStats stats;
    struct Launcher *launcher; /* or NULL: nothing was launched in the run */
    ExchangeStats figures;
} Exchanges;

ErrorCode engine_exchange(void *exchanges, Worker *worker, const ExchangeCall *call);

/* ---- exchange_launch.c: exchanges beside the program ---- */

/* The program has failed: nothing that was launched goes on. The region's memory stays until it is freed. */
void launcher_stop(void *exchanges, Worker *worker);
/* At the end of a run. code: how it went; what was launched and nobody waits for is done first if it went well. */
ErrorCode launcher_end(Exchanges *exchanges, Worker *worker, ErrorCode code);
/* When nothing can come any more, or never mind. */
void launcher_free(Exchanges *exchanges);

/* ---- exchange_reduce.c ---- */

/* `count` elements into as many others. */
void combine_all(const Type *element, Op op, char *into, const char *from, int64_t count);

/* ---- exchange_server.c: a parameter server ---- */

ErrorCode server_exchange(Exchanges *exchanges, Worker *worker, const ExchangeCall *call);
void server_leave(Server *server); /* takes NULL; its memory counts no more */
void server_free(Server *server);  /* takes NULL; when nobody can write to it any more */

/* ---- cluster.c ---- */

ServerStats cluster_served(void); /* by parameter servers, in all runs of the process so far */
ExchangeStats cluster_exchanged(void);

#endif
