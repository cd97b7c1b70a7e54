/* verbs_window.c: memory of each rank that the others read and write without its doing, by RDMA.
 *
 *     open     each rank takes memory that its device knows, and tells the others where: a transfer
 *     access   puts and gets are RDMA writes and reads, by the lanes in turn; when all are complete, words
 *     close    when the run has ended on all ranks nobody writes any more
 *
 * So when a word that was set is seen, what was put before is there. A word is at a multiple of 8, which devices and processors move as a
 * whole. Words that are set lie in the requests themselves and go by one lane, which keeps their order: nobody waits until they are
 * complete but the next access of another kind, and the end of the run. Memory that no device knows is written from and read into by way of a *stage*, a part of it at a time.
 */
#include "cluster_window.h"
#include "verbs.h"

#if WELD_VERBS

#include <stdlib.h>
#include <string.h>

/* What others must know of a window. */
typedef struct Place {
    uint64_t address, key; /* key 0: there is none */
} Place;

typedef struct Block {
    void *data;
    size_t bytes;
} Block;

/* Of a get that came, or comes, onto the stage. */
typedef struct Staged {
    void *to;
    const char *from;
    size_t bytes;
} Staged;
enum { STAGED = 64, WORD_LANE = 0 };

typedef struct VerbsWindow {
    Block own, next; /* the one that is open; the one that is being opened */
    Place *places;   /* by rank */
    size_t used;     /* of the stage */
    Staged staged[STAGED];
    int count;
    int turn;   /* the lane that is next */
    bool words; /* set, and perhaps not complete */
} VerbsWindow;

/* The engine is one for a process. */
static VerbsWindow window;

/* ---- opening ---- */

static ErrorCode tell_places(const volatile int32_t *cancel, Error *error) {
    int ranks = verbs.launch->ranks, own = verbs.launch->rank, count = 0;
    Transfer *list = malloc((size_t)ranks * 2 * sizeof *list);
    if (!list) return E_OutOfMemory;
    for (int rank = 0; rank < ranks; rank++) {
        if (rank == own) continue;
        list[count++] = (Transfer){rank, false, &window.places[rank], sizeof(Place)};
        list[count++] = (Transfer){rank, true, &window.places[own], sizeof(Place)};
    }
    ErrorCode code = wire_transfer(list, count, cancel, error);
    free(list);
    return code;
}

static void give(Block *block) {
    if (block->data) verbs.pinned->give(block->data, block->bytes);
    *block = (Block){NULL, 0};
}

/* All have come here: none reads or writes the last window any more. */
ErrorCode verbs_window_open(int64_t bytes, void **own, const volatile int32_t *cancel, Error *error) {
    int ranks = verbs.launch->ranks;
    if (!window.places) window.places = malloc((size_t)ranks * sizeof *window.places);
    if (!window.places) return E_OutOfMemory;
    ErrorCode code = verbs_window_finish(error);
    if (code) return code;
    give(&window.next);
    window.next = (Block){verbs.pinned->take((size_t)bytes), (size_t)bytes};
    const struct ibv_mr *memory =
        window.next.data ? device_memory(&verbs.device, window.next.data, bytes) : NULL;
    if (memory) memset(window.next.data, 0, (size_t)bytes);
    window.places[verbs.launch->rank] = (Place){(uintptr_t)window.next.data, memory ? memory->rkey : 0};
    code = tell_places(cancel, error);
    if (code) return code;
    bool all = true;
    for (int rank = 0; rank < ranks; rank++) all = all && window.places[rank].key;
    give(&window.own);
    if (all) window.own = window.next;
    if (all) window.next = (Block){NULL, 0};
    *own = window.own.data;
    return E_None;
}

ErrorCode verbs_window_finish(Error *error) {
    ErrorCode code = window.words ? wire_drain(NULL, false, NULL, error) : E_None;
    window.words = false;
    return code;
}

void verbs_window_close(void) {
    give(&window.own);
    give(&window.next);
    free(window.places);
    window.places = NULL;
    window.used = 0;
    window.count = 0;
    window.words = false;
}

/* ---- reading and writing ---- */

/* Until all that was begun is done. */
static ErrorCode finish(const volatile int32_t *cancel, Error *error) {
    ErrorCode code = wire_drain(NULL, true, cancel, error);
    window.words = false;
    for (int i = 0; !code && i < window.count; i++)
        memcpy(window.staged[i].to, window.staged[i].from, window.staged[i].bytes);
    window.count = 0;
    window.used = 0;
    return code;
}

/* Where the device finds, or leaves, at most *bytes of them; fewer if they go by the stage. */
static ErrorCode find_memory(const Access *a, char *data, int64_t *bytes, LinkWrite *request,
                             const volatile int32_t *cancel, Error *error) {
    enum { GRAIN = 8 };
    const struct ibv_mr *memory = device_memory(&verbs.device, data, *bytes);
    request->data = data;
    request->local_key = memory ? memory->lkey : 0;
    if (memory) return E_None;
    if (window.used + GRAIN > STAGE || window.count == STAGED) {
        ErrorCode code = finish(cancel, error);
        if (code) return code;
    }
    char *staged = verbs.stage + window.used;
    if (*bytes > (int64_t)(STAGE - window.used)) *bytes = (int64_t)(STAGE - window.used);
    window.used += (size_t)(*bytes + GRAIN - 1) / GRAIN * GRAIN;
    if (request->reads)
        window.staged[window.count++] = (Staged){data, staged, (size_t)*bytes};
    else
        memcpy(staged, data, (size_t)*bytes);
    verbs.copied += a->kind == ACCESS_PUT || a->kind == ACCESS_GET ? *bytes : 0;
    request->data = staged;
    request->local_key = verbs.slot_memory->lkey;
    return E_None;
}

/* Does the request itself hold it? */
static bool goes_at_once(const Access *a) {
    return a->kind == ACCESS_SET && verbs.peers[a->peer].lanes[WORD_LANE].inline_most >= sizeof(int64_t);
}

static ErrorCode begin_access(const Access *a, const volatile int32_t *cancel, Error *error) {
    const Place *there = &window.places[a->peer];
    bool word = a->kind == ACCESS_SET || a->kind == ACCESS_READ;
    int64_t whole = word ? (int64_t)sizeof(int64_t) : a->bytes;
    for (int64_t at = 0; at < whole;) {
        int64_t bytes = whole - at < CHUNK ? whole - at : CHUNK;
        int lane = a->kind == ACCESS_SET ? WORD_LANE : window.turn++ % verbs.lanes;
        const Link *link = &verbs.peers[a->peer].lanes[lane];
        LinkWrite request = {.remote = there->address + (uint64_t)(a->at + at),
                             .remote_key = (uint32_t)there->key,
                             .signals = true,
                             .reads = a->kind == ACCESS_GET || a->kind == ACCESS_READ};
        ErrorCode code = wire_drain(link, true, cancel, error);
        if (code) return code;
        if (goes_at_once(a))
            request.data = a->data;
        else
            code = find_memory(a, (char *)a->data + at, &bytes, &request, cancel, error);
        request.bytes = (uint32_t)bytes;
        if (!code) code = wire_request(a->peer, lane, &request, error);
        if (code) return code;
        at += bytes;
    }
    return E_None;
}

static ErrorCode carry_out(const Access *accesses, int count, bool words, const volatile int32_t *cancel,
                           Error *error) {
    bool waits = false;
    for (int i = 0; i < count; i++) {
        const Access *a = &accesses[i];
        bool word = a->kind == ACCESS_SET || a->kind == ACCESS_READ;
        ErrorCode code = E_None;
        if (word != words) continue;
        if (a->peer == verbs.launch->rank) {
            window_access_own(a, window.own.data);
            continue;
        }
        bool late = goes_at_once(a);
        if (!late && window.words) code = finish(cancel, error); /* words that were set before come before */
        if (!code) code = begin_access(a, cancel, error);
        if (code) return code;
        window.words |= late;
        waits |= !late;
    }
    return waits ? finish(cancel, error) : E_None;
}

ErrorCode verbs_window_access(const Access *accesses, int count, const volatile int32_t *cancel,
                              Error *error) {
    if (verbs.failed || !window.own.data) return E_Cancelled; /* this run has failed */
    ErrorCode code = carry_out(accesses, count, false, cancel, error);
    if (!code) code = carry_out(accesses, count, true, cancel, error);
    verbs.failed = code != E_None;
    return code;
}

#endif
