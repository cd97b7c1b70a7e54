/* cluster_window.c: memory of each rank that the others read and write without its doing, by windows of MPI.
 *
 *     open     MPI_Win_allocate, and a lock of all ranks' windows that is shared and stays: passive targets
 *     access   MPI_Put, MPI_Get, a flush; then MPI_Accumulate with REPLACE and MPI_Fetch_and_op with NO_OP, a flush
 *     close    MPI_Win_free
 *
 * So when a word that was set is seen, what was put before is there. Most of these calls wait in MPI, for ever if the other rank
 * has died. Hence a thread of its own makes them, the *carrier*, one job at a time, while the caller looks after the other ranks. If
 * one is lost, the job is left to itself, with its memory. Where MPI allows no second thread the caller does them, and lost ranks are
 * left to the launcher.
 *
 * Opening and closing are *steps* that all ranks take together, in turn. A rank that fails may not come to one that others are in
 * already; when the run ends on all, those that took fewer steps than another take them then (window_join).
 */
#include "cluster_window.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum {
    CHUNK = 1 << 30, /* bytes of the largest transfer */
    LINE = 64        /* divides the bytes of a window; MPICH 4.0 lets windows overlap where 16 does not */
};

typedef struct Carrier {
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t wake;
    bool started, stops;
    _Atomic bool busy;
    void (*job)(void);
} Carrier;

typedef struct Window {
    const WindowHost *host;
    Carrier carrier;
    MPI_Win win;
    void *own;
    int64_t steps;      /* how many were begun */
    bool present, open; /* present: the last step was to open; open: programs may use it */
    bool failed;        /* the last job */
    /* of the job at hand */
    int64_t bytes;
    Access *accesses;
    int count, room;
} Window;

/* MPI is one for a process. */
static Window window = {.carrier = {.lock = PTHREAD_MUTEX_INITIALIZER, .wake = PTHREAD_COND_INITIALIZER}};

static const Span nowhere = {0, 0, 0};

/* ---- the carrier ---- */

static void *carry(void *data) {
    Carrier *c = data;
    pthread_mutex_lock(&c->lock);
    while (!c->stops) {
        if (!c->job) {
            pthread_cond_wait(&c->wake, &c->lock);
            continue;
        }
        void (*job)(void) = c->job;
        c->job = NULL;
        pthread_mutex_unlock(&c->lock);
        job();
        atomic_store(&c->busy, false);
        pthread_mutex_lock(&c->lock);
    }
    pthread_mutex_unlock(&c->lock);
    return NULL;
}

static bool start_carrier(void) {
    Carrier *c = &window.carrier;
    if (!c->started) c->started = pthread_create(&c->thread, NULL, carry, c) == 0;
    return c->started;
}

/* Begins a job; nothing else may be under way. */
static bool begin_job(void (*job)(void)) {
    Carrier *c = &window.carrier;
    window.failed = false;
    if (!window.host->threads) {
        job();
        return true;
    }
    if (!start_carrier()) return false;
    atomic_store(&c->busy, true);
    pthread_mutex_lock(&c->lock);
    c->job = job;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    return true;
}

static void allocate(void);

static ErrorCode do_job(void (*job)(void), const volatile int32_t *cancel, bool aborts, Error *error) {
    int spins = 0;
    if (!begin_job(job)) return E_OutOfMemory;
    while (atomic_load(&window.carrier.busy)) {
        ErrorCode code =
            aborts ? window.host->idle(&spins, cancel, error) : window.host->settling(&spins, error);
        if (code) return code;
    }
    if (!window.failed) return E_None;
    error_set(error, E_Cluster, nowhere, "%s",
              job == allocate ? "MPI gives no window that other ranks write into; Open MPI needs its osc ucx "
                                "for it, or an RDMA network"
                              : "a window of MPI failed");
    return E_Cluster;
}

/* ---- opening and closing ---- */

static void allocate(void) {
    int *model = NULL, known = 0;
    MPI_Aint bytes = (MPI_Aint)(window.bytes + LINE - 1) / LINE * LINE;
    window.failed =
        MPI_Win_allocate(bytes, 1, MPI_INFO_NULL, window.host->comm, &window.own, &window.win) != MPI_SUCCESS;
    if (window.failed) window.win = MPI_WIN_NULL;
    if (window.failed) return;
    MPI_Win_set_errhandler(window.win, MPI_ERRORS_RETURN);
    memset(window.own, 0, (size_t)bytes);
    MPI_Win_get_attr(window.win, MPI_WIN_MODEL, &model, &known);
    window.failed = !known || *model != MPI_WIN_UNIFIED || /* else a rank would not see what others write */
                    MPI_Win_lock_all(MPI_MODE_NOCHECK, window.win) != MPI_SUCCESS ||
                    MPI_Barrier(window.host->comm) != MPI_SUCCESS; /* none writes before all have zeros */
}

static void deallocate(void) {
    if (window.win == MPI_WIN_NULL) return;
    window.failed = MPI_Win_unlock_all(window.win) != MPI_SUCCESS || MPI_Win_free(&window.win) != MPI_SUCCESS;
}

/* Opens a window of so many bytes, or closes the one there is. aborts: it does not wait for a rank that has failed. */
static ErrorCode take_step(bool opens, int64_t bytes, bool aborts, const volatile int32_t *cancel,
                           Error *error) {
    if (window.host->threads && !start_carrier()) return E_OutOfMemory;
    window.steps++;
    window.present = opens;
    window.open = false;
    window.bytes = bytes;
    return do_job(opens ? allocate : deallocate, cancel, aborts, error);
}

ErrorCode window_open(const WindowHost *host, int64_t bytes, void **own, const volatile int32_t *cancel,
                      Error *error) {
    window.host = host;
    ErrorCode code = window.present ? take_step(false, 0, true, cancel, error) : E_None;
    if (code == E_None) code = take_step(true, bytes, true, cancel, error);
    window.open = code == E_None;
    if (code == E_None) *own = window.own;
    return code;
}

int64_t window_steps(void) {
    return window.steps;
}

/* What is under way ends: if a rank has taken a step more, all others have taken this one, or take it here. */
ErrorCode window_join(const WindowHost *host, int64_t steps, Error *error) {
    window.host = host;
    for (;;) {
        int spins = 0;
        while (atomic_load(&window.carrier.busy)) {
            ErrorCode code = host->settling(&spins, error);
            if (code) return code;
        }
        if (window.steps >= steps) return E_None;
        ErrorCode code = take_step(!window.present, sizeof(int64_t), false, NULL, error);
        if (code) return code;
    }
}

ErrorCode window_close(Error *error) {
    return window.present ? take_step(false, 0, false, NULL, error) : E_None;
}

void window_leave(void) {
    Carrier *c = &window.carrier;
    if (!c->started || atomic_load(&c->busy)) return; /* it waits in MPI, and ends with the process */
    pthread_mutex_lock(&c->lock);
    c->stops = true;
    pthread_cond_signal(&c->wake);
    pthread_mutex_unlock(&c->lock);
    pthread_join(c->thread, NULL);
    c->started = false;
}

/* ---- reading and writing ---- */

static void move(const Access *a) {
    for (int64_t done = 0; done < a->bytes; done += CHUNK) {
        int bytes = (int)(a->bytes - done < CHUNK ? a->bytes - done : CHUNK);
        char *data = (char *)a->data + done;
        MPI_Aint at = (MPI_Aint)(a->at + done);
        int failed = a->kind == ACCESS_PUT
                         ? MPI_Put(data, bytes, MPI_BYTE, a->peer, at, bytes, MPI_BYTE, window.win)
                         : MPI_Get(data, bytes, MPI_BYTE, a->peer, at, bytes, MPI_BYTE, window.win);
        window.failed |= failed != MPI_SUCCESS;
    }
}

static void reach_word(const Access *a) {
    static const int64_t none = 0;
    MPI_Aint at = (MPI_Aint)a->at;
    int failed =
        a->kind == ACCESS_SET
            ? MPI_Accumulate(a->data, 1, MPI_INT64_T, a->peer, at, 1, MPI_INT64_T, MPI_REPLACE, window.win)
            : MPI_Fetch_and_op(&none, a->data, MPI_INT64_T, a->peer, at, MPI_NO_OP, window.win);
    window.failed |= failed != MPI_SUCCESS;
}

static void carry_out(void) {
    for (int words = 0; words < 2; words++) {
        bool any = false;
        for (int i = 0; i < window.count; i++) {
            const Access *a = &window.accesses[i];
            bool word = a->kind == ACCESS_SET || a->kind == ACCESS_READ;
            if (word != words) continue;
            any = true;
            if (word)
                reach_word(a);
            else
                move(a);
        }
        if (any) window.failed |= MPI_Win_flush_all(window.win) != MPI_SUCCESS;
    }
}

/* Of its own window a rank needs no MPI. */
void window_access_own(const Access *a, char *own) {
    char *at = own + a->at;
    switch (a->kind) {
    case ACCESS_PUT: memcpy(at, a->data, (size_t)a->bytes); break;
    case ACCESS_GET: memcpy(a->data, at, (size_t)a->bytes); break;
    case ACCESS_SET: atomic_store((_Atomic int64_t *)(void *)at, *(const int64_t *)a->data); break;
    case ACCESS_READ: *(int64_t *)a->data = atomic_load((_Atomic int64_t *)(void *)at); break;
    }
}

ErrorCode window_access(const Access *accesses, int count, const volatile int32_t *cancel, Error *error) {
    if (!window.open || atomic_load(&window.carrier.busy)) return E_Cancelled; /* this run has failed */
    if (count > window.room) {
        Access *more = realloc(window.accesses, (size_t)count * sizeof *more);
        if (!more) return E_OutOfMemory;
        window.accesses = more;
        window.room = count;
    }
    window.count = 0;
    for (int words = 0; words < 2; words++) {
        for (int i = 0; i < count; i++) {
            const Access *a = &accesses[i];
            bool word = a->kind == ACCESS_SET || a->kind == ACCESS_READ;
            if (a->peer == window.host->rank && word == words) window_access_own(a, window.own);
            if (a->peer != window.host->rank && !words) window.accesses[window.count++] = *a;
        }
    }
    return window.count ? do_job(carry_out, cancel, true, error) : E_None;
}
