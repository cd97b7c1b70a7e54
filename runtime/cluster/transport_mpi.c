/* transport_mpi.c: the transport that runs everywhere: messages of MPI.
 *
 * A message's tag is the number of its run. Where a run failed, each rank tells the others how many messages it had sent
 * them; those that nobody took are taken and dropped, so that the next run begins clean.
 */
#include "transport.h"

#include <mpi.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 64 << 20, /* bytes of the largest message */
    TAGS = 32000      /* runs whose tags differ; MPI grants 32767 */
};

typedef struct Messages {
    const Launch *launch;
    MPI_Comm comm;
    int64_t *sent, *received; /* messages of this run, by rank */
    MPI_Request *pending;     /* of a transfer that was given up */
    int *pending_peer, pending_count;
} Messages;

/* MPI is one for a process. */
static Messages mpi;

static const Span nowhere = {0, 0, 0};

static int run_tag(void) {
    return (int)(mpi.launch->run % TAGS);
}

/* Waits for all requests. aborts: stop when another rank has failed. */
static ErrorCode wait_all(MPI_Request *requests, int count, bool aborts, const volatile int32_t *cancel,
                          Error *error) {
    const Launch *launch = mpi.launch;
    int spins = 0, done = 0;
    for (;;) {
        int failed = MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE);
        if (failed == MPI_SUCCESS && done) return E_None;
        if (failed != MPI_SUCCESS) spins = LOOK_NOW; /* for whoever is lost */
        ErrorCode code = aborts ? launch->idle(&spins, cancel, error) : launch->settling(&spins, error);
        if (code) return code;
        if (failed != MPI_SUCCESS) {
            error_set(error, E_Cluster, nowhere, "a transfer failed in MPI");
            return E_Cluster;
        }
    }
}

static int messages_of(int64_t bytes) {
    return (int)((bytes + CHUNK - 1) / CHUNK);
}

static int post(const Transfer *t, MPI_Request *requests) {
    int count = 0;
    for (int64_t at = 0; at < t->bytes; at += CHUNK) {
        int bytes = (int)(t->bytes - at < CHUNK ? t->bytes - at : CHUNK);
        char *data = (char *)t->data + at;
        int failed = t->sends
                         ? MPI_Isend(data, bytes, MPI_BYTE, t->peer, run_tag(), mpi.comm, &requests[count])
                         : MPI_Irecv(data, bytes, MPI_BYTE, t->peer, run_tag(), mpi.comm, &requests[count]);
        if (failed != MPI_SUCCESS) break;
        count++;
    }
    return count;
}

/* Keeps what is under way for the end of the run. */
static void give_up(MPI_Request *requests, int *peers, int count) {
    mpi.pending = requests;
    mpi.pending_peer = peers;
    mpi.pending_count = count;
}

static ErrorCode transfer(const Transfer *transfers, int count, const volatile int32_t *cancel,
                          Error *error) {
    int all = 0, posted = 0;
    if (mpi.pending) return E_Cancelled; /* this run has failed */
    for (int i = 0; i < count; i++) all += messages_of(transfers[i].bytes);
    MPI_Request *requests = malloc(((size_t)all + 1) * sizeof *requests);
    int *peers = malloc(((size_t)all + 1) * sizeof *peers); /* of receives; -1: a send */
    if (!requests || !peers) {
        free(requests);
        free(peers);
        return E_OutOfMemory;
    }
    for (int receiving = 1; receiving >= 0; receiving--) {
        for (int i = 0; i < count; i++) {
            const Transfer *t = &transfers[i];
            if (t->sends == receiving) continue;
            int messages = post(t, requests + posted);
            for (int k = 0; k < messages; k++) peers[posted + k] = t->sends ? -1 : t->peer;
            posted += messages;
            if (t->sends) mpi.sent[t->peer] += messages;
        }
    }
    ErrorCode code = wait_all(requests, posted, true, cancel, error);
    if (code != E_None) {
        give_up(requests, peers, posted);
        return code;
    }
    for (int i = 0; i < count; i++) {
        if (!transfers[i].sends) mpi.received[transfers[i].peer] += messages_of(transfers[i].bytes);
    }
    free(requests);
    free(peers);
    return E_None;
}

static void begin(void) {
    size_t bytes = (size_t)mpi.launch->ranks * sizeof *mpi.sent;
    memset(mpi.sent, 0, bytes);
    memset(mpi.received, 0, bytes);
    mpi.pending = NULL; /* if the last run ended with a rank lost, they may be under way for ever */
    mpi.pending_peer = NULL;
    mpi.pending_count = 0;
}

/* Receives that nothing came for end; what came counts. Sends stay. */
static ErrorCode stop_receiving(Error *error) {
    int kept = 0, spins = 0;
    for (int i = 0; i < mpi.pending_count; i++) {
        int peer = mpi.pending_peer[i], cancelled = 0, done = 0;
        MPI_Status status;
        if (peer < 0) {
            mpi.pending_peer[kept] = peer;
            mpi.pending[kept++] = mpi.pending[i];
            continue;
        }
        if (mpi.pending[i] == MPI_REQUEST_NULL) { /* Testall completes all at once, or none: not this */
            mpi.received[peer]++;
            continue;
        }
        MPI_Cancel(&mpi.pending[i]);
        while (MPI_Test(&mpi.pending[i], &done, &status) == MPI_SUCCESS && !done) {
            ErrorCode code = mpi.launch->settling(&spins, error); /* its sender may be lost meanwhile */
            if (code) return code;
        }
        MPI_Test_cancelled(&status, &cancelled);
        mpi.received[peer] += !cancelled;
    }
    mpi.pending_count = kept;
    return E_None;
}

/* Takes messages of this run that others sent and nobody waits for. */
static ErrorCode drain(const int64_t *expected, Error *error) {
    char *scratch = malloc(CHUNK);
    int spins = 0;
    ErrorCode code = scratch ? E_None : E_OutOfMemory;
    for (int peer = 0; !code && peer < mpi.launch->ranks; peer++) {
        while (!code && mpi.received[peer] < expected[peer]) {
            int there = 0, bytes = 0;
            MPI_Status status;
            MPI_Iprobe(peer, run_tag(), mpi.comm, &there, &status);
            if (!there) {
                code = mpi.launch->settling(&spins, error);
                continue;
            }
            MPI_Get_count(&status, MPI_BYTE, &bytes);
            MPI_Recv(scratch, bytes, MPI_BYTE, peer, run_tag(), mpi.comm, MPI_STATUS_IGNORE);
            mpi.received[peer]++;
        }
    }
    free(scratch);
    return code ? code : wait_all(mpi.pending, mpi.pending_count, false, NULL, error);
}

static ErrorCode settle(Error *error) {
    int64_t *expected = malloc((size_t)mpi.launch->ranks * sizeof *expected);
    if (!expected) return E_OutOfMemory;
    ErrorCode code = stop_receiving(error);
    if (code == E_None) code = mpi.launch->swap(mpi.sent, sizeof *expected, expected, error);
    if (code == E_None) code = drain(expected, error);
    free(expected);
    if (code) return code;
    free(mpi.pending);
    free(mpi.pending_peer);
    begin();
    return E_None;
}

/* The program's memory is the message's; how MPI moves it is its own affair. */
static void stats(TransportStats *stats) {
    *stats = (TransportStats){0, 0};
}

/* After a loss nobody settles: what still comes must not be written to where it was to go. */
static void close_messages(void) {
    for (int i = 0; i < mpi.pending_count; i++) {
        if (mpi.pending_peer[i] >= 0 && mpi.pending[i] != MPI_REQUEST_NULL) MPI_Cancel(&mpi.pending[i]);
    }
    free(mpi.sent);
    free(mpi.received);
    mpi.sent = mpi.received = NULL;
}

static const Transport transport = {
    .begin = begin, .transfer = transfer, .settle = settle, .stats = stats, .close = close_messages};

const Transport *transport_mpi_open(const Launch *launch, char *why, Error *error) {
    size_t ranks = (size_t)launch->ranks;
    mpi.launch = launch;
    mpi.sent = calloc(ranks, sizeof *mpi.sent);
    mpi.received = calloc(ranks, sizeof *mpi.received);
    bool able = mpi.sent && mpi.received;
    if (!able) memcpy(why, "no memory", sizeof "no memory");
    if (!transport_agree(launch, able, why, error)) return NULL;
    if (MPI_Comm_dup(MPI_COMM_WORLD, &mpi.comm) == MPI_SUCCESS &&
        MPI_Comm_set_errhandler(mpi.comm, MPI_ERRORS_RETURN) == MPI_SUCCESS)
        return &transport;
    error_set(error, E_Cluster, nowhere, "MPI cannot make communicators");
    return NULL;
}
