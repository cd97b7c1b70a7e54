/* parallel_append.c: the appenders of a parallel loop's units, put together while the loop still runs.
 *
 * How much a unit appends is known when it has run, and so is where it goes once all units before it have run.
 * Threads take units in order, so that is nearly always at once, while what it appended is still in the cache:
 * it is copied to its place in the loop's appender, and its block serves the thread's next unit.
 *
 *     thread 0   unit 0 -> [a b] copy to 0            unit 3 -> [f] waits for 2 ... copy to 5
 *     thread 1   unit 1 -> [c] copy to 2   unit 2 -> [d e] copy to 3, and unit 3's, as it waits
 *
 * The thread that ends the unit that others wait for copies theirs, too. Room is made for as many elements as
 * the whole loop will append if it goes on as it did so far; where that was too little, the block grows (and
 * may move) once nobody copies into it. The length of the loop's appender changes only when all units have
 * ended well: until then it is as it was, whatever fails.
 *
 * A unit begins when the one that is placed next is at most some units before it: else a thread that is stopped by the system would
 * let the others keep all that they append, of which a plan promises that it is little.
 *
 * A block belongs to the region of the member that made it, and only that member may let it grow, so it goes
 * back to that one's list.
 */
#include "rt.h"

#include <string.h>

/* A free block, in itself. */
typedef struct Spare Spare;
struct Spare {
    Spare *next;
    int64_t capacity; /* elements */
};

typedef struct Stream {
    Appender *into;
    int64_t size, at;    /* of an element; where a unit's record holds its appender */
    int64_t total, next; /* elements before the next unit; place of the unit that is placed now */
} Stream;

typedef struct UnitState {
    char *record;
    int member;
    bool ended;
} UnitState;

struct Outlet {
    Worker *outer;
    Span span;
    pthread_mutex_t lock; /* of what follows */
    pthread_cond_t quiet; /* nobody copies, or one more unit has a place */
    Stream *streams;
    Spare **spares; /* by member, by stream */
    UnitState *units;
    int64_t count, placed; /* units; units that have a place */
    int nstreams, copying, waiting;
    int64_t ahead; /* so many units may have begun that have no place yet */
    bool failed;
};

Outlet *outlet_new(Worker *outer, Span span, int64_t units, int members, int streams) {
    int64_t spares = (int64_t)members * streams;
    int64_t bytes = (int64_t)sizeof(Outlet) + streams * (int64_t)sizeof(Stream) +
                    spares * (int64_t)sizeof(Spare *) + units * (int64_t)sizeof(UnitState);
    Outlet *outlet = region_grow(outer->region, NULL, bytes);
    if (!outlet) return NULL;
    memset(outlet, 0, (size_t)bytes);
    outlet->outer = outer;
    outlet->span = span;
    outlet->streams = (Stream *)(void *)(outlet + 1);
    outlet->spares = (Spare **)(void *)(outlet->streams + streams);
    outlet->units = (UnitState *)(void *)(outlet->spares + spares);
    outlet->count = units;
    outlet->ahead = (int64_t)LOOP_AHEAD * members;
    bool lock = pthread_mutex_init(&outlet->lock, NULL) == 0;
    if (lock && pthread_cond_init(&outlet->quiet, NULL) == 0) return outlet;
    if (lock) pthread_mutex_destroy(&outlet->lock);
    region_grow(outer->region, outlet, 0);
    return NULL;
}

void outlet_add(Outlet *outlet, Appender *into, int64_t size, int64_t at) {
    outlet->streams[outlet->nstreams++] = (Stream){into, size, at, into->length, 0};
}

void outlet_free(Outlet *outlet) {
    if (!outlet) return;
    pthread_cond_destroy(&outlet->quiet);
    pthread_mutex_destroy(&outlet->lock);
    region_grow(outlet->outer->region, outlet, 0);
}

static Appender *unit_appender(const Outlet *outlet, int64_t unit, const Stream *stream) {
    return (Appender *)(void *)(outlet->units[unit].record + stream->at);
}

static Spare **spares_of(Outlet *outlet, int member, int stream) {
    return &outlet->spares[member * outlet->nstreams + stream];
}

void outlet_fail(Outlet *outlet) {
    pthread_mutex_lock(&outlet->lock);
    outlet->failed = true;
    pthread_cond_broadcast(&outlet->quiet);
    pthread_mutex_unlock(&outlet->lock);
}

bool outlet_start(Outlet *outlet, int64_t unit, int member, void *record) {
    pthread_mutex_lock(&outlet->lock);
    while (!outlet->failed && unit >= outlet->placed + outlet->ahead) {
        outlet->waiting++;
        pthread_cond_wait(&outlet->quiet, &outlet->lock);
        outlet->waiting--;
    }
    bool failed = outlet->failed;
    outlet->units[unit] = (UnitState){record, member, false};
    for (int i = 0; !failed && i < outlet->nstreams; i++) {
        Appender *own = unit_appender(outlet, unit, &outlet->streams[i]);
        Spare **list = spares_of(outlet, member, i), *spare = *list;
        *own = (Appender){spare, 0, spare ? spare->capacity : 0};
        if (spare) *list = spare->next;
    }
    pthread_mutex_unlock(&outlet->lock);
    return !failed;
}

/* ---- how much will it be ---- */

/* If the rest of the iterations appends as much as those that are done, and a little more. */
static int64_t foreseen(int64_t length, int64_t fresh, int64_t done, int64_t count) {
    double guess = (double)length + (double)fresh * 1.03 / (double)done * (double)(count - done);
    return guess < 1e18 ? (int64_t)guess : length;
}

/* There is room for the rest, if it appends as much: it was told to the appender. */
static bool is_enough(const Appender *into, int64_t before, const Loop *loop, int64_t done) {
    double each = (double)(into->length - before) / (double)done;
    return (double)into->length + each * (double)(loop->count - done) <= (double)into->capacity;
}

/* What compiled code made room for before the first range it wants before every later one. */
int appenders_foresee(Worker *worker, const Loop *loop, const Type *builder, int leaf, int64_t *lengths,
                      int64_t done) {
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++)
        leaf = appenders_foresee(worker, loop, builder->args[i], leaf, lengths, done);
    if (builder->kind == TY_struct) return leaf;
    if (builder->kind != TY_appender || loop->exact[leaf]) return leaf + 1;
    Appender *into = ((Appender **)loop->state)[leaf];
    if (!done) {
        lengths[leaf] = into->length;
    } else if (into->capacity && into->length > lengths[leaf]) {
        if (is_enough(into, lengths[leaf], loop, done)) return leaf + 1;
        int64_t room = foreseen(into->length, into->length - lengths[leaf], done, loop->count), bytes;
        if (__builtin_add_overflow(room, into->capacity, &room)) return leaf + 1;
        if (__builtin_mul_overflow(room, builder->args[0]->size, &bytes)) return leaf + 1;
        void *data = region_grow(worker->region, into->data, bytes);
        if (data) *into = (Appender){data, into->length, room};
    }
    return leaf + 1;
}

/* ---- placing units, under the lock ---- */

static int64_t needed(const Outlet *outlet, const Stream *stream) {
    return stream->total + unit_appender(outlet, outlet->placed, stream)->length;
}

static bool has_room(const Outlet *outlet, const Stream *stream) {
    int64_t need = needed(outlet, stream);
    return need <= stream->into->capacity || need == stream->into->length;
}

static bool grow_to(Outlet *outlet, Stream *stream, int64_t room) {
    Appender *into = stream->into;
    int64_t bytes;
    if (__builtin_mul_overflow(room, stream->size, &bytes)) bytes = INT64_MAX;
    Region *region = outlet->outer->region;
    char *data = region_grow(region, into->capacity ? into->data : NULL, bytes ? bytes : 1);
    if (!data) return false;
    if (!into->capacity && into->length) memcpy(data, into->data, (size_t)(into->length * stream->size));
    into->data = data;
    into->capacity = room;
    return true;
}

/* As much as all units together need if the others append as much as those so far, and a little more; where
 * there is no memory for that, what is needed now. */
static bool make_room(Outlet *outlet, Stream *stream) {
    int64_t need = needed(outlet, stream);
    int64_t room = foreseen(need, need - stream->into->length, outlet->placed + 1, outlet->count);
    return grow_to(outlet, stream, room > need ? room : need) || grow_to(outlet, stream, need);
}

/* Gives the next unit its place in all streams. False: not now, somebody copies into a block that must grow;
 * or there is no memory. */
static bool place_next(Outlet *outlet) {
    for (int i = 0; i < outlet->nstreams; i++) {
        Stream *stream = &outlet->streams[i];
        if (has_room(outlet, stream)) continue;
        if (outlet->copying) return false;
        outlet->failed = !make_room(outlet, stream);
        if (outlet->failed) return false;
    }
    for (int i = 0; i < outlet->nstreams; i++) {
        Stream *stream = &outlet->streams[i];
        stream->next = stream->total;
        stream->total = needed(outlet, stream);
    }
    outlet->placed++;
    if (outlet->waiting) pthread_cond_broadcast(&outlet->quiet);
    return true;
}

/* Copies a unit's values to the place that was just found, without the lock; then its blocks are free. */
static void copy_unit(Outlet *outlet, int64_t unit) {
    int member = outlet->units[unit].member;
    char *to[OUTLET_STREAMS];
    for (int i = 0; i < outlet->nstreams; i++) {
        const Stream *stream = &outlet->streams[i];
        to[i] = stream->into->data ? (char *)stream->into->data + stream->next * stream->size : NULL;
    }
    outlet->copying++;
    pthread_mutex_unlock(&outlet->lock);
    for (int i = 0; i < outlet->nstreams; i++) {
        const Appender *from = unit_appender(outlet, unit, &outlet->streams[i]);
        if (from->length) memcpy(to[i], from->data, (size_t)(from->length * outlet->streams[i].size));
    }
    pthread_mutex_lock(&outlet->lock);
    for (int i = 0; i < outlet->nstreams; i++) {
        Appender *from = unit_appender(outlet, unit, &outlet->streams[i]);
        Spare **list = spares_of(outlet, member, i), *spare = from->data;
        if (from->capacity * outlet->streams[i].size < (int64_t)sizeof *spare)
            continue; /* free_blocks will */
        *spare = (Spare){*list, from->capacity};
        *list = spare;
        *from = (Appender){0};
    }
    if (--outlet->copying == 0) pthread_cond_broadcast(&outlet->quiet);
}

bool outlet_end(Outlet *outlet, int64_t unit) {
    pthread_mutex_lock(&outlet->lock);
    outlet->units[unit].ended = true;
    while (!outlet->failed && outlet->placed < outlet->count && outlet->units[outlet->placed].ended) {
        int64_t next = outlet->placed;
        if (place_next(outlet))
            copy_unit(outlet, next);
        else if (!outlet->failed)
            pthread_cond_wait(&outlet->quiet, &outlet->lock);
    }
    bool failed = outlet->failed;
    pthread_mutex_unlock(&outlet->lock);
    return !failed;
}

void outlet_finish(Outlet *outlet, int members) {
    for (int i = 0; i < outlet->nstreams; i++) {
        outlet->streams[i].into->length = outlet->streams[i].total;
        for (int member = 0; member < members; member++) {
            for (Spare *spare = *spares_of(outlet, member, i), *next; spare; spare = next) {
                next = spare->next;
                region_grow(outlet->outer->region, spare, 0);
            }
        }
    }
}
