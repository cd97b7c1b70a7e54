/* cluster_mpi.c: the engine MPI, a library of its own; the one file that includes mpi.h.
 *
 *     data      what programs exchange; a message's tag is the number of its run
 *     control   how runs end; that a rank gave up (ABORT), or left (LEAVE)
 *     pulse     a thread of each rank says every half second that it is there
 *
 * Nothing waits in MPI: every wait is a loop of tests in which the control messages are looked at and the pulses of the
 * others. A rank that fails tells all others, who then stop waiting for it; at the end of a run all agree on how it ended,
 * and where it failed, messages that nobody took are taken and dropped, so that the next run begins clean. A rank of which
 * nothing was heard for LOST_SECONDS counts as lost, for good.
 *
 * MPI must allow calls from several threads for the pulse. Where it does not, or the program has initialized it otherwise,
 * lost ranks are left to the launcher. Any MPI of version 3 will do.
 */
#include "cluster.h"

#include <mpi.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

enum {
    LOST_SECONDS = 10,
    PULSE_MS = 500,
    CHUNK = 64 << 20, /* bytes of the largest message */
    TAGS = 32000,     /* runs whose tags differ; MPI grants 32767 */
    SPINS = 2000,     /* tests before a wait lets others have the processor longer */
    HOST = 48
};

typedef enum Word { WORD_ABORT = 1, WORD_LEAVE } Word;

typedef struct Mpi {
    bool open, owner, pulses; /* owner: it was initialized here */
    MPI_Comm data, control, pulse;
    int rank, ranks;
    char (*hosts)[HOST];
    int64_t run;
    int broken; /* a rank that was lost, or -1 */
    bool left;  /* it said so */
    bool aborted;
    int64_t *sent, *received; /* messages of this run, by rank */
    int64_t *gave_up;         /* the latest run that a rank said it failed in; it may be one ahead */
    MPI_Request *pending;     /* of a transfer that was given up */
    int *pending_peer, pending_count;
    EngineStats stats;
    pthread_t thread;
    _Atomic bool closing;
    _Atomic int64_t *heard; /* milliseconds, by rank */
} Mpi;

/* MPI is one for a process. */
static Mpi mpi;

static const Span nowhere = {0, 0, 0};

static int64_t now_ms(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static int run_tag(void) {
    return (int)(mpi.run % TAGS);
}

/* ---- the pulse ---- */

static void *pulse(void *data) {
    int ranks = mpi.ranks;
    MPI_Request *sends = malloc((size_t)ranks * sizeof *sends),
                *receives = malloc((size_t)ranks * sizeof *receives);
    static const char beat = 1;
    char *heard = malloc((size_t)ranks);
    (void)data;
    for (int peer = 0; sends && receives && heard && peer < ranks; peer++) {
        sends[peer] = receives[peer] = MPI_REQUEST_NULL;
        if (peer != mpi.rank) MPI_Irecv(&heard[peer], 1, MPI_CHAR, peer, 0, mpi.pulse, &receives[peer]);
    }
    while (sends && receives && heard && !atomic_load(&mpi.closing)) {
        for (int peer = 0; peer < ranks; peer++) {
            int done = 0;
            if (peer == mpi.rank) continue;
            if (MPI_Test(&sends[peer], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done)
                MPI_Isend(&beat, 1, MPI_CHAR, peer, 0, mpi.pulse, &sends[peer]);
            while (MPI_Test(&receives[peer], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done) {
                atomic_store(&mpi.heard[peer], now_ms());
                if (MPI_Irecv(&heard[peer], 1, MPI_CHAR, peer, 0, mpi.pulse, &receives[peer]) != MPI_SUCCESS)
                    break;
            }
        }
        struct timespec pause = {PULSE_MS / 1000, PULSE_MS % 1000 * 1000000L};
        nanosleep(&pause, NULL);
    }
    for (int peer = 0; sends && receives && heard && peer < ranks; peer++) {
        if (receives[peer] != MPI_REQUEST_NULL) MPI_Cancel(&receives[peer]);
        if (receives[peer] != MPI_REQUEST_NULL) MPI_Request_free(&receives[peer]);
        if (sends[peer] != MPI_REQUEST_NULL) MPI_Request_free(&sends[peer]);
    }
    free(sends);
    free(receives);
    /* `heard` stays: a message may still be on its way into it. */
    return NULL;
}

/* ---- watching while waiting ---- */

static ErrorCode lost(Error *error) {
    int rank = mpi.broken;
    if (mpi.left)
        error_set(error, E_Cluster, nowhere, "rank %d (%s) has left the cluster", rank, mpi.hosts[rank]);
    else
        error_set(error, E_Cluster, nowhere, "rank %d (%s) was lost: nothing was heard of it for %d seconds",
                  rank, mpi.hosts[rank], LOST_SECONDS);
    return E_Cluster;
}

static void take_word(int source) {
    int64_t word[2];
    if (MPI_Recv(word, sizeof word, MPI_BYTE, source, 0, mpi.control, MPI_STATUS_IGNORE) != MPI_SUCCESS)
        return;
    if (word[0] == WORD_LEAVE && mpi.broken < 0) {
        mpi.broken = source;
        mpi.left = true;
    } else if (word[0] == WORD_ABORT) {
        mpi.gave_up[source] = word[1];
        mpi.aborted |= word[1] == mpi.run;
    }
}

/* Looks after the other ranks. E_Cluster: one is lost. */
static ErrorCode watch(Error *error) {
    int there = 0;
    MPI_Status status;
    while (MPI_Iprobe(MPI_ANY_SOURCE, 0, mpi.control, &there, &status) == MPI_SUCCESS && there)
        take_word(status.MPI_SOURCE);
    int64_t now = mpi.pulses ? now_ms() : 0;
    for (int peer = 0; mpi.pulses && mpi.broken < 0 && peer < mpi.ranks; peer++) {
        if (peer != mpi.rank && now - atomic_load(&mpi.heard[peer]) > LOST_SECONDS * 1000) mpi.broken = peer;
    }
    return mpi.broken >= 0 ? lost(error) : E_None;
}

static void pause_between(int *spins) {
    if (++*spins < SPINS) {
        sched_yield();
        return;
    }
    struct timespec pause = {0, 50000};
    nanosleep(&pause, NULL);
}

/* Waits for all requests. aborts: stop when another rank has failed. */
static ErrorCode wait_all(MPI_Request *requests, int count, bool aborts, const volatile int32_t *cancel,
                          Error *error) {
    int spins = 0, done = 0;
    for (;;) {
        if (MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS) {
            ErrorCode code = watch(error);
            if (code) return code;
            error_set(error, E_Cluster, nowhere, "a transfer failed in MPI");
            return E_Cluster;
        }
        if (done) return E_None;
        if (spins % 64 == 0 || spins >= SPINS) {
            ErrorCode code = watch(error);
            if (code) return code;
            if (aborts && (mpi.aborted || (cancel && *cancel))) return E_Cancelled;
        }
        pause_between(&spins);
    }
}

/* ---- transfers ---- */

static int messages_of(int64_t bytes) {
    return (int)((bytes + CHUNK - 1) / CHUNK);
}

static int post(const Transfer *t, MPI_Request *requests) {
    int count = 0;
    for (int64_t at = 0; at < t->bytes; at += CHUNK) {
        int bytes = (int)(t->bytes - at < CHUNK ? t->bytes - at : CHUNK);
        char *data = (char *)t->data + at;
        int failed = t->sends
                         ? MPI_Isend(data, bytes, MPI_BYTE, t->peer, run_tag(), mpi.data, &requests[count])
                         : MPI_Irecv(data, bytes, MPI_BYTE, t->peer, run_tag(), mpi.data, &requests[count]);
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

static ErrorCode mpi_transfer(const Transfer *transfers, int count, const volatile int32_t *cancel,
                              Error *error) {
    int all = 0, posted = 0;
    if (mpi.broken >= 0) return lost(error);
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
        const Transfer *t = &transfers[i];
        if (!t->sends) mpi.received[t->peer] += messages_of(t->bytes);
        *(t->sends ? &mpi.stats.sent_bytes : &mpi.stats.received_bytes) += t->bytes;
    }
    free(requests);
    free(peers);
    return E_None;
}

/* ---- runs ---- */

static ErrorCode mpi_begin(Error *error) {
    if (!mpi.open) {
        error_set(error, E_Cluster, nowhere, "MPI was finalized");
        return E_Cluster;
    }
    if (mpi.broken >= 0 || watch(error) != E_None) return lost(error);
    mpi.run++;
    mpi.aborted = false;
    for (int peer = 0; peer < mpi.ranks; peer++) {
        mpi.sent[peer] = mpi.received[peer] = 0;
        mpi.aborted |= mpi.gave_up[peer] == mpi.run;
    }
    return E_None;
}

static void tell_all(Word word) {
    int64_t message[2] = {word, mpi.run};
    for (int peer = 0; peer < mpi.ranks; peer++) {
        if (peer != mpi.rank) MPI_Send(message, sizeof message, MPI_BYTE, peer, 0, mpi.control);
    }
}

/* Receives that nothing came for end; what came counts. Sends stay. */
static void stop_receiving(void) {
    int kept = 0;
    for (int i = 0; i < mpi.pending_count; i++) {
        int peer = mpi.pending_peer[i], cancelled = 0;
        MPI_Status status;
        if (peer < 0) {
            mpi.pending[kept++] = mpi.pending[i];
            continue;
        }
        if (mpi.pending[i] == MPI_REQUEST_NULL) { /* Testall completes all at once, or none: not this */
            mpi.received[peer]++;
            continue;
        }
        MPI_Cancel(&mpi.pending[i]);
        MPI_Wait(&mpi.pending[i], &status);
        MPI_Test_cancelled(&status, &cancelled);
        mpi.received[peer] += !cancelled;
    }
    mpi.pending_count = kept;
}

/* Takes messages of this run that others sent and nobody waits for. */
static ErrorCode drain(const int64_t *expected, Error *error) {
    char *scratch = NULL;
    int spins = 0;
    for (int peer = 0; peer < mpi.ranks; peer++) {
        while (mpi.received[peer] < expected[peer]) {
            int there = 0, bytes = 0;
            MPI_Status status;
            MPI_Iprobe(peer, run_tag(), mpi.data, &there, &status);
            if (!there) {
                ErrorCode code = watch(error);
                if (code) {
                    free(scratch);
                    return code;
                }
                pause_between(&spins);
                continue;
            }
            MPI_Get_count(&status, MPI_BYTE, &bytes);
            if (!scratch) scratch = malloc(CHUNK);
            if (!scratch) return E_OutOfMemory;
            MPI_Recv(scratch, bytes, MPI_BYTE, peer, run_tag(), mpi.data, MPI_STATUS_IGNORE);
            mpi.received[peer]++;
        }
    }
    free(scratch);
    return wait_all(mpi.pending, mpi.pending_count, false, NULL, error);
}

/* ABORTs of this run must not be met by the next. */
static ErrorCode take_aborts(const int32_t *states, Error *error) {
    int spins = 0;
    for (int peer = 0; peer < mpi.ranks; peer++) {
        while (peer != mpi.rank && states[2 * peer + 1] && mpi.gave_up[peer] < mpi.run) {
            ErrorCode code = watch(error);
            if (code) return code;
            pause_between(&spins);
        }
    }
    return E_None;
}

static ErrorCode wait_one(MPI_Request *request, Error *error) {
    return wait_all(request, 1, false, NULL, error);
}

/* A run has failed somewhere: leaves nothing of it. */
static ErrorCode clean_up(const int32_t *states, Outcome *outcome, Error *error) {
    MPI_Request request;
    int64_t *expected = malloc((size_t)mpi.ranks * sizeof *expected);
    int first = 0;
    if (!expected) return E_OutOfMemory;
    MPI_Ialltoall(mpi.sent, sizeof *expected, MPI_BYTE, expected, sizeof *expected, MPI_BYTE, mpi.control,
                  &request);
    ErrorCode code = wait_one(&request, error);
    if (code == E_None) code = drain(expected, error);
    if (code == E_None) code = take_aborts(states, error);
    free(expected);
    if (code) return code;
    while (first < mpi.ranks - 1 && !states[2 * first + 1]) first++;
    MPI_Ibcast(outcome, sizeof *outcome, MPI_BYTE, first, mpi.control, &request);
    return wait_one(&request, error);
}

static ErrorCode agree(Outcome *outcome, int32_t *states, Error *error) {
    MPI_Request request;
    int32_t own[2] = {outcome->code, outcome->own};
    MPI_Iallgather(own, sizeof own, MPI_BYTE, states, sizeof own, MPI_BYTE, mpi.control, &request);
    ErrorCode code = wait_one(&request, error);
    bool failed = false;
    for (int peer = 0; code == E_None && peer < mpi.ranks; peer++) failed |= states[2 * peer] != 0;
    return failed ? clean_up(states, outcome, error) : code;
}

static ErrorCode mpi_end(Outcome *outcome, Error *error) {
    int32_t *states = calloc((size_t)mpi.ranks * 2, sizeof *states);
    if (!states) return E_OutOfMemory;
    if (outcome->own && mpi.broken < 0) tell_all(WORD_ABORT);
    if (mpi.pending && mpi.broken < 0) stop_receiving();
    ErrorCode code = mpi.broken >= 0 ? lost(error) : agree(outcome, states, error);
    free(states);
    if (code == E_None) { /* else requests may be under way for ever */
        free(mpi.pending);
        free(mpi.pending_peer);
    }
    mpi.pending = NULL;
    mpi.pending_peer = NULL;
    mpi.pending_count = 0;
    return code;
}

static void mpi_stats(EngineStats *stats) {
    *stats = mpi.stats;
}

/* ---- beginning and end ---- */

/* Before MPI ends, whoever ends it: the pulse must not call it any more. */
static int leave(MPI_Comm comm, int key, void *value, void *extra) {
    (void)comm, (void)key, (void)value, (void)extra;
    if (!mpi.open) return MPI_SUCCESS;
    mpi.open = false;
    if (mpi.broken < 0) tell_all(WORD_LEAVE);
    atomic_store(&mpi.closing, true);
    if (mpi.pulses) pthread_join(mpi.thread, NULL);
    return MPI_SUCCESS;
}

/* MPI's end deletes the attributes of MPI_COMM_SELF first. */
static bool leave_at_end(void) {
    int key;
    return MPI_Comm_create_keyval(MPI_COMM_NULL_COPY_FN, leave, &key, NULL) == MPI_SUCCESS &&
           MPI_Comm_set_attr(MPI_COMM_SELF, key, NULL) == MPI_SUCCESS;
}

static void mpi_close(void) {
    int finalized = 0;
    MPI_Finalized(&finalized);
    if (finalized || !mpi.owner) return;
    /* MPI waits for all ranks in its end: not for one that is lost. */
    if (mpi.broken < 0 || mpi.left)
        MPI_Finalize();
    else
        leave(MPI_COMM_SELF, 0, NULL, NULL);
}

static Engine engine = {.name = "mpi",
                        .transport = "mpi",
                        .transfer = mpi_transfer,
                        .begin = mpi_begin,
                        .end = mpi_end,
                        .stats = mpi_stats,
                        .close = mpi_close};

static bool duplicate(MPI_Comm *comm) {
    return MPI_Comm_dup(MPI_COMM_WORLD, comm) == MPI_SUCCESS &&
           MPI_Comm_set_errhandler(*comm, MPI_ERRORS_RETURN) == MPI_SUCCESS;
}

static bool allocate(void) {
    size_t ranks = (size_t)mpi.ranks;
    mpi.sent = calloc(ranks, sizeof *mpi.sent);
    mpi.received = calloc(ranks, sizeof *mpi.received);
    mpi.gave_up = calloc(ranks, sizeof *mpi.gave_up);
    mpi.heard = calloc(ranks, sizeof *mpi.heard);
    mpi.hosts = calloc(ranks, sizeof *mpi.hosts);
    return mpi.sent && mpi.received && mpi.gave_up && mpi.heard && mpi.hosts;
}

static bool open_mpi(Error *error) {
    int already = 0, level = MPI_THREAD_SINGLE;
    MPI_Initialized(&already);
    if (already)
        MPI_Query_thread(&level);
    else if (MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS)
        return error_set(error, E_Cluster, nowhere, "MPI cannot be initialized");
    mpi.owner = !already;
    mpi.broken = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &mpi.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &mpi.ranks);
    if (!allocate()) return error_set(error, E_OutOfMemory, nowhere, "no memory for the cluster");
    if (!duplicate(&mpi.data) || !duplicate(&mpi.control) || !duplicate(&mpi.pulse))
        return error_set(error, E_Cluster, nowhere, "MPI cannot make communicators");
    char host[HOST] = "";
    gethostname(host, sizeof host - 1);
    MPI_Allgather(host, HOST, MPI_CHAR, mpi.hosts, HOST, MPI_CHAR, mpi.control);
    for (int peer = 0; peer < mpi.ranks; peer++) atomic_store(&mpi.heard[peer], now_ms());
    if (!leave_at_end()) return error_set(error, E_Cluster, nowhere, "MPI cannot keep an attribute");
    mpi.pulses =
        level == MPI_THREAD_MULTIPLE && mpi.ranks > 1 && pthread_create(&mpi.thread, NULL, pulse, NULL) == 0;
    mpi.open = true;
    engine.rank = mpi.rank;
    engine.ranks = mpi.ranks;
    return true;
}

__attribute__((visibility("default"))) const Engine *weld_mpi(Error *error);
const Engine *weld_mpi(Error *error) {
    if (mpi.open) return &engine;
    if (!open_mpi(error)) return NULL;
    if (mpi.owner) atexit(mpi_close);
    return &engine;
}
