/* cluster_mpi.c: the engine MPI, a library of its own: it knows the ranks and the runs.
 *
 *     control   how runs end; that a rank gave up (ABORT), left (LEAVE), or cannot be reached (LOST)
 *     pulse     a thread of each rank says every half second that it is there
 *
 * What programs exchange goes by a transport (transport.h); what they read and write in each other's windows, too, if it has some, else by
 * those of MPI (cluster_window.h). Nothing waits in MPI: every wait is a loop of tests in which the control messages are looked at and the pulses of the
 * others. A rank that fails tells all others, who then stop waiting for it; at the end of a run all agree on how it ended,
 * and where it failed, the transport leaves nothing of it to the next run. A rank of which
 * nothing was heard for LOST_SECONDS, in which this one listened, counts as lost, for good.
 *
 * MPI must allow calls from several threads for the pulse. Where it does not, or the program has initialized it otherwise,
 * lost ranks are left to the launcher. Any MPI of version 3 will do.
 */
#include "cluster_group.h"
#include "cluster_window.h"
#include "transport.h"

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
    ROUND_MOST_MS = LOST_SECONDS * 1000 / 4,
    SPINS = 300,     /* rounds before a wait lets others have the processor longer */
    SHARED_US = 200, /* a yield that takes longer gave the processor to somebody */
    WATCHED =
        64, /* of so many rounds of all waits one looks after the other ranks, which takes longer than all the rest: a
                     short wait mostly does without */
    HOST = 48
};

typedef enum Word { WORD_ABORT = 1, WORD_LEAVE, WORD_LOST } Word;

typedef struct Mpi {
    bool open, owner, pulses; /* owner: it was initialized here */
    MPI_Comm control, pulse;
    WindowHost windows;
    bool transport_window; /* the one that is open is the transport's */
    int rank, ranks;
    char (*hosts)[HOST];
    int broken;    /* a rank that was lost, or -1 */
    bool left;     /* it said so */
    int64_t ended; /* the last run that all have ended */
    int leaver;    /* the first rank that said that it leaves, after so many runs; -1: none did */
    int64_t leaver_ended;
    char why[200]; /* "was lost: .." */
    bool aborted;
    int rounds;       /* since this rank looked after the others */
    int64_t *gave_up; /* the latest run that a rank said it failed in; it may be one ahead */
    EngineHost host;
    Launch launch;
    Chosen chosen;
    bool connected; /* the transport is open */
    EngineStats stats;
    int64_t copied_before; /* while the transport was measured */
    pthread_t thread;
    _Atomic bool closing;
    _Atomic int64_t listened; /* milliseconds in which this rank could hear the others */
    _Atomic int64_t *heard;   /* of these, by rank */
} Mpi;

/* MPI is one for a process. */
static Mpi mpi;

static const Span nowhere = {0, 0, 0};

static int64_t now_ms(void) {
    return clock_us() / 1000;
}

/* ---- the pulse ---- */

/* A rank that was stopped, or whose host was, has heard nothing meanwhile, and would take all others for lost when it goes on; so no
 * round of its pulse counts for more than a quarter of what makes a rank lost. */
static void count_round(int64_t *last) {
    int64_t now = now_ms(), passed = now - *last;
    atomic_fetch_add(&mpi.listened, passed < ROUND_MOST_MS ? passed : ROUND_MOST_MS);
    *last = now;
}

static void *pulse(void *data) {
    int ranks = mpi.ranks;
    MPI_Request *sends = malloc((size_t)ranks * sizeof *sends),
                *receives = malloc((size_t)ranks * sizeof *receives);
    static const char beat = 1;
    char *heard = malloc((size_t)ranks);
    int64_t last = now_ms();
    (void)data;
    for (int peer = 0; sends && receives && heard && peer < ranks; peer++) {
        sends[peer] = receives[peer] = MPI_REQUEST_NULL;
        if (peer != mpi.rank) MPI_Irecv(&heard[peer], 1, MPI_CHAR, peer, 0, mpi.pulse, &receives[peer]);
    }
    while (sends && receives && heard && !atomic_load(&mpi.closing)) {
        count_round(&last);
        for (int peer = 0; peer < ranks; peer++) {
            int done = 0;
            if (peer == mpi.rank) continue;
            if (MPI_Test(&sends[peer], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done)
                MPI_Isend(&beat, 1, MPI_CHAR, peer, 0, mpi.pulse, &sends[peer]);
            while (MPI_Test(&receives[peer], &done, MPI_STATUS_IGNORE) == MPI_SUCCESS && done) {
                atomic_store(&mpi.heard[peer], atomic_load(&mpi.listened));
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
    error_set(error, E_Cluster, nowhere, "rank %d (%s) %s", mpi.broken, mpi.hosts[mpi.broken], mpi.why);
    return E_Cluster;
}

/* Others may still reach a rank that this one cannot, and would wait for this one. */
static void tell_loss(int rank) {
    static int64_t word[2]; /* once in a process, and sent for as long as it takes */
    word[0] = WORD_LOST;
    word[1] = rank;
    for (int peer = 0; peer < mpi.ranks; peer++) {
        MPI_Request request;
        if (peer == mpi.rank ||
            MPI_Isend(word, sizeof word, MPI_BYTE, peer, 0, mpi.control, &request) != MPI_SUCCESS)
            continue;
        MPI_Request_free(&request);
    }
}

static void lose_rank(int rank, const char *why) {
    if (mpi.broken >= 0) return;
    mpi.broken = rank;
    snprintf(mpi.why, sizeof mpi.why, "%s", why);
    tell_loss(rank);
}

static void take_word(int source) {
    int64_t word[2];
    if (MPI_Recv(word, sizeof word, MPI_BYTE, source, 0, mpi.control, MPI_STATUS_IGNORE) != MPI_SUCCESS)
        return;
    if (word[0] == WORD_ABORT) {
        mpi.gave_up[source] = word[1];
        mpi.aborted |= word[1] == mpi.launch.run;
    } else if (word[0] == WORD_LEAVE) {
        if (mpi.leaver >= 0) return;
        mpi.leaver = source;
        mpi.leaver_ended = word[1];
    } else if (mpi.broken < 0) {
        bool own = word[1] == mpi.rank;
        mpi.broken = own ? source : (int)word[1];
        if (own)
            snprintf(mpi.why, sizeof mpi.why, "lost its connection to this rank, %d", mpi.rank);
        else
            snprintf(mpi.why, sizeof mpi.why, "was lost: rank %d (%s) cannot reach it any more", source,
                     mpi.hosts[source]);
    }
}

/* Looks after the other ranks. E_Cluster: one is lost. */
static ErrorCode watch(Error *error) {
    int there = 0;
    MPI_Status status;
    while (MPI_Iprobe(MPI_ANY_SOURCE, 0, mpi.control, &there, &status) == MPI_SUCCESS && there)
        take_word(status.MPI_SOURCE);
    /* One that left after a run has done all that this run takes from it, though others may still be ending it. */
    if (mpi.broken < 0 && mpi.leaver >= 0 && mpi.launch.run > mpi.leaver_ended) {
        mpi.broken = mpi.leaver;
        mpi.left = true;
        snprintf(mpi.why, sizeof mpi.why, "has left the cluster");
    }
    int64_t listened = atomic_load(&mpi.listened);
    for (int peer = 0; mpi.pulses && mpi.broken < 0 && peer < mpi.ranks; peer++) {
        if (peer == mpi.rank || peer == mpi.leaver) continue;
        if (listened - atomic_load(&mpi.heard[peer]) <= LOST_SECONDS * 1000) continue;
        char why[80];
        snprintf(why, sizeof why, "was lost: nothing was heard of it for %d seconds", LOST_SECONDS);
        lose_rank(peer, why);
    }
    return mpi.broken >= 0 ? lost(error) : E_None;
}

/* Where others want the processor a rank that yields has it again after milliseconds, behind all of them; one that slept a little is
 * let in before them. */
static void pause_between(int *spins) {
    if (++*spins < SPINS) {
        int64_t before = clock_us();
        sched_yield();
        if (clock_us() - before > SHARED_US) *spins = SPINS;
        return;
    }
    struct timespec pause = {0, 50000};
    nanosleep(&pause, NULL);
}

/* One round of a wait. aborts: it ends when another rank has failed. */
static ErrorCode wait_round(int *spins, bool aborts, const volatile int32_t *cancel, Error *error) {
    if (*spins == LOOK_NOW || ++mpi.rounds >= WATCHED) {
        mpi.rounds = 0;
        ErrorCode code = watch(error);
        if (code) return code;
        bool cancelled = cancel && __atomic_load_n(cancel, __ATOMIC_RELAXED);
        if (aborts && (mpi.aborted || cancelled)) return E_Cancelled;
    }
    pause_between(spins);
    return E_None;
}

static ErrorCode idle(int *spins, const volatile int32_t *cancel, Error *error) {
    return wait_round(spins, true, cancel, error);
}

static ErrorCode settling(int *spins, Error *error) {
    return wait_round(spins, false, NULL, error);
}

/* ---- what transports have from here ---- */

static ErrorCode wait_for(MPI_Request *requests, int count, Error *error) {
    int spins = 0, done = 0;
    for (;;) {
        bool failed = MPI_Testall(count, requests, &done, MPI_STATUSES_IGNORE) != MPI_SUCCESS;
        if (done && !failed) return E_None;
        if (failed) spins = LOOK_NOW; /* who is lost */
        ErrorCode code = settling(&spins, error);
        if (code) return code;
        if (failed) {
            error_set(error, E_Cluster, nowhere, "a message failed in MPI");
            return E_Cluster;
        }
    }
}

static Group group(void) {
    return (Group){mpi.control, mpi.rank, mpi.ranks, wait_for};
}

static ErrorCode gather(const void *own, int64_t bytes, void *all, Error *error) {
    Group all_ranks = group();
    return group_gather(&all_ranks, own, bytes, all, error);
}

static ErrorCode swap(const void *send, int64_t bytes, void *received, Error *error) {
    Group all_ranks = group();
    return group_swap(&all_ranks, send, bytes, received, error);
}

static ErrorCode lose(int rank, const char *why, Error *error) {
    lose_rank(rank, why);
    return lost(error);
}

static const char *host_of(int rank) {
    return mpi.hosts[rank];
}

static Engine engine;

/* No rank may write here any more when the program goes on alone. */
static void disconnect(void) {
    if (mpi.connected) mpi.chosen.transport->close();
    mpi.connected = false;
}

static ErrorCode mpi_transfer(const Transfer *transfers, int count, const volatile int32_t *cancel,
                              Error *error) {
    if (mpi.broken >= 0) return lost(error);
    ErrorCode code = mpi.chosen.transport->transfer(transfers, count, cancel, error);
    for (int i = 0; code == E_None && i < count; i++)
        *(transfers[i].sends ? &mpi.stats.sent_bytes : &mpi.stats.received_bytes) += transfers[i].bytes;
    if (mpi.broken >= 0) disconnect();
    return code;
}

static ErrorCode mpi_window_open(int64_t bytes, void **own, const volatile int32_t *cancel, Error *error) {
    if (mpi.broken >= 0) return lost(error);
    const Transport *transport = mpi.chosen.transport;
    void *made = NULL;
    ErrorCode code = transport->window_open ? transport->window_open(bytes, &made, cancel, error) : E_None;
    mpi.transport_window = made != NULL;
    if (code == E_None && !made) code = window_open(&mpi.windows, bytes, &made, cancel, error);
    if (code == E_None) {
        *own = made;
        engine.windows = mpi.transport_window ? mpi.chosen.name : engine.name;
    }
    if (mpi.broken >= 0) disconnect();
    return code;
}

static ErrorCode mpi_window_access(const Access *accesses, int count, const volatile int32_t *cancel,
                                   Error *error) {
    if (mpi.broken >= 0) return lost(error);
    ErrorCode code = mpi.transport_window
                         ? mpi.chosen.transport->window_access(accesses, count, cancel, error)
                         : window_access(accesses, count, cancel, error);
    for (int i = 0; code == E_None && i < count; i++) {
        bool sends = accesses[i].kind == ACCESS_PUT;
        if (accesses[i].peer == mpi.rank || (!sends && accesses[i].kind != ACCESS_GET)) continue;
        *(sends ? &mpi.stats.put_bytes : &mpi.stats.got_bytes) += accesses[i].bytes;
    }
    if (mpi.broken >= 0) disconnect();
    return code;
}

/* ---- runs ---- */

static ErrorCode mpi_begin(Error *error) {
    if (!mpi.open) {
        error_set(error, E_Cluster, nowhere, "MPI was finalized");
        return E_Cluster;
    }
    if (mpi.broken >= 0 || watch(error) != E_None) {
        disconnect();
        return lost(error);
    }
    mpi.launch.run++;
    mpi.aborted = false;
    for (int peer = 0; peer < mpi.ranks; peer++) mpi.aborted |= mpi.gave_up[peer] == mpi.launch.run;
    mpi.chosen.transport->begin();
    return E_None;
}

static void tell_all(Word word, int64_t run) {
    int64_t message[2] = {word, run};
    for (int peer = 0; peer < mpi.ranks; peer++) {
        if (peer != mpi.rank) MPI_Send(message, sizeof message, MPI_BYTE, peer, 0, mpi.control);
    }
}

/* ABORTs of this run must not be met by the next. */
static ErrorCode take_aborts(const int32_t *states, Error *error) {
    int spins = 0;
    for (int peer = 0; peer < mpi.ranks; peer++) {
        while (peer != mpi.rank && states[2 * peer + 1] && mpi.gave_up[peer] < mpi.launch.run) {
            ErrorCode code = settling(&spins, error);
            if (code) return code;
        }
    }
    return E_None;
}

/* The window of a run that failed, which some may not have opened. */
static ErrorCode close_windows(Error *error) {
    int64_t own = window_steps(), most = 0, *all = calloc((size_t)mpi.ranks, sizeof *all);
    if (!all) return E_OutOfMemory;
    ErrorCode code = gather(&own, sizeof own, all, error);
    for (int peer = 0; peer < mpi.ranks; peer++) most = all[peer] > most ? all[peer] : most;
    free(all);
    if (code == E_None) code = window_join(&mpi.windows, most, error);
    return code ? code : window_close(error);
}

/* A run has failed somewhere: leaves nothing of it. */
static ErrorCode clean_up(const int32_t *states, Outcome *outcome, Error *error) {
    Group all_ranks = group();
    int first = 0;
    ErrorCode code = mpi.chosen.transport->settle(error);
    if (code == E_None) code = close_windows(error);
    if (code == E_None) code = take_aborts(states, error);
    if (code) return code;
    while (first < mpi.ranks - 1 && !states[2 * first + 1]) first++;
    return group_tell(&all_ranks, first, outcome, sizeof *outcome, error);
}

static ErrorCode agree(Outcome *outcome, int32_t *states, Error *error) {
    int32_t own[2] = {outcome->code, outcome->own};
    const Transport *transport = mpi.chosen.transport;
    bool finishes = transport->window_finish && outcome->code == E_None;
    ErrorCode code = finishes ? transport->window_finish(error) : E_None;
    if (code == E_None) code = gather(own, sizeof own, states, error);
    bool failed = false;
    for (int peer = 0; code == E_None && peer < mpi.ranks; peer++) failed |= states[2 * peer] != 0;
    if (code) return code;
    code = failed ? clean_up(states, outcome, error) : window_close(error);
    if (code == E_None && transport->window_close) transport->window_close();
    return code;
}

static ErrorCode mpi_end(Outcome *outcome, Error *error) {
    int32_t *states = calloc((size_t)mpi.ranks * 2, sizeof *states);
    if (!states) return E_OutOfMemory;
    if (outcome->own && mpi.broken < 0) tell_all(WORD_ABORT, mpi.launch.run);
    ErrorCode code = mpi.broken >= 0 ? lost(error) : agree(outcome, states, error);
    free(states);
    if (mpi.broken >= 0) disconnect();
    if (code == E_None) mpi.ended = mpi.launch.run;
    return code;
}

static void mpi_stats(EngineStats *stats) {
    TransportStats own = {0, 0};
    if (mpi.connected) mpi.chosen.transport->stats(&own);
    *stats = mpi.stats;
    stats->copied_bytes = own.copied_bytes - mpi.copied_before;
    stats->registrations = own.registrations;
    stats->latency_us = mpi.chosen.latency_us;
    stats->bandwidth_mbs = mpi.chosen.bandwidth_mbs;
}

/* ---- beginning and end ---- */

/* Before MPI ends, whoever ends it: the pulse must not call it any more. */
static int leave(MPI_Comm comm, int key, void *value, void *extra) {
    (void)comm, (void)key, (void)value, (void)extra;
    if (!mpi.open) return MPI_SUCCESS;
    mpi.open = false;
    if (mpi.broken < 0) tell_all(WORD_LEAVE, mpi.ended);
    atomic_store(&mpi.closing, true);
    if (mpi.pulses) pthread_join(mpi.thread, NULL);
    window_leave();
    disconnect();
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
                        .windows = "mpi",
                        .transfer = mpi_transfer,
                        .window_open = mpi_window_open,
                        .window_access = mpi_window_access,
                        .idle = idle,
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
    mpi.gave_up = calloc(ranks, sizeof *mpi.gave_up);
    mpi.heard = calloc(ranks, sizeof *mpi.heard);
    mpi.hosts = calloc(ranks, sizeof *mpi.hosts);
    return mpi.gave_up && mpi.heard && mpi.hosts;
}

static bool open_mpi(Error *error) {
    int already = 0, level = MPI_THREAD_SINGLE;
    MPI_Initialized(&already);
    if (already)
        MPI_Query_thread(&level);
    else if (MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &level) != MPI_SUCCESS)
        return error_set(error, E_Cluster, nowhere, "MPI cannot be initialized");
    mpi.owner = !already;
    mpi.broken = mpi.leaver = -1;
    MPI_Comm_rank(MPI_COMM_WORLD, &mpi.rank);
    MPI_Comm_size(MPI_COMM_WORLD, &mpi.ranks);
    if (!allocate()) return error_set(error, E_OutOfMemory, nowhere, "no memory for the cluster");
    mpi.windows = (WindowHost){.rank = mpi.rank,
                               .ranks = mpi.ranks,
                               .threads = level == MPI_THREAD_MULTIPLE,
                               .idle = idle,
                               .settling = settling};
    if (!duplicate(&mpi.control) || !duplicate(&mpi.pulse) || !duplicate(&mpi.windows.comm))
        return error_set(error, E_Cluster, nowhere, "MPI cannot make communicators");
    if (!leave_at_end()) return error_set(error, E_Cluster, nowhere, "MPI cannot keep an attribute");
    mpi.pulses =
        level == MPI_THREAD_MULTIPLE && mpi.ranks > 1 && pthread_create(&mpi.thread, NULL, pulse, NULL) == 0;
    engine.threads = level == MPI_THREAD_MULTIPLE;
    mpi.open = true;
    return true;
}

/* Who is on which host. */
static bool meet(Error *error) {
    char host[HOST] = "";
    Launch *launch = &mpi.launch;
    gethostname(host, sizeof host - 1);
    if (gather(host, HOST, mpi.hosts, error) != E_None) return false;
    for (int rank = 0; rank < mpi.ranks; rank++) {
        bool first = true;
        for (int before = 0; before < rank; before++)
            first &= strcmp(mpi.hosts[before], mpi.hosts[rank]) != 0;
        launch->hosts += first;
        launch->local_rank += rank < mpi.rank && strcmp(mpi.hosts[rank], host) == 0;
    }
    return true;
}

static bool connect_ranks(const EngineHost *host, Error *error) {
    mpi.host = *host;
    mpi.launch = (Launch){.rank = mpi.rank,
                          .ranks = mpi.ranks,
                          .host = &mpi.host,
                          .gather = gather,
                          .swap = swap,
                          .idle = idle,
                          .settling = settling,
                          .lose = lose,
                          .host_of = host_of};
    if (!meet(error) || !transport_choose(&mpi.launch, &mpi.chosen, error)) return false;
    TransportStats own;
    mpi.connected = true;
    mpi.chosen.transport->stats(&own);
    mpi.copied_before = own.copied_bytes;
    engine.transport = mpi.chosen.name;
    engine.reason = mpi.chosen.reason;
    engine.rank = mpi.rank;
    engine.ranks = mpi.ranks;
    return true;
}

__attribute__((visibility("default"))) const Engine *weld_mpi(const EngineHost *host, Error *error);
const Engine *weld_mpi(const EngineHost *host, Error *error) {
    if (!mpi.open) {
        if (!open_mpi(error)) return NULL;
        if (mpi.owner) atexit(mpi_close);
    }
    return mpi.connected || connect_ranks(host, error) ? &engine : NULL;
}
