/* pinned.c: the memory of a process that is registered with an RDMA device: its arena.
 *
 * A device reads and writes memory that was registered with it, which fixes it in place and takes long. So where the ranks of a
 * cluster talk by such a device, the large blocks of all contexts come from here: one range of addresses, of which a
 * first part is registered when the device is opened, and another part as large as all before it when that is full.
 *
 *     addresses   |  64 MiB  |  64 MiB  |      128 MiB      | not used yet ...
 *     free list      [a   ]        [b ]   [c              ]                       by address; neighbours of one part join
 *
 * A block lies in one part. Its pages stay where they are while it is free: nothing here is given back to the system, or moved.
 * Where no more can be registered there is no block; whoever asked takes other memory, whose bytes are copied on their way.
 */
#include "cluster/cluster.h"
#include "rt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { GRAIN = 16 << 10, HUGE = 2 << 20, PARTS = 60 };
static const size_t most_step = (size_t)1 << 30; /* bytes that it grows by, unless one block takes more */

typedef struct Range {
    char *base;
    size_t bytes;
} Range;

typedef struct PinnedArena {
    pthread_mutex_t lock;
    bool (*registers)(void *base, size_t bytes); /* NULL: closed */
    Range whole;                                 /* the addresses */
    _Atomic size_t used;                         /* bytes of them, in parts */
    size_t first;
    size_t part_end[PARTS]; /* offsets */
    int parts;
    Range *free;
    int count, capacity;
} PinnedArena;

static PinnedArena arena = {.lock = PTHREAD_MUTEX_INITIALIZER};

bool pinned_owns(const void *block) {
    const char *at = block, *base = arena.whole.base;
    size_t used = atomic_load_explicit(&arena.used, memory_order_acquire);
    return used && at >= base && at < base + used;
}

bool pinned_in_use(void) {
    return atomic_load_explicit(&arena.used, memory_order_acquire) > 0;
}

/* ---- free ranges, under the lock ---- */

/* The first one behind an address. */
static int range_after(const char *base) {
    int low = 0, high = arena.count;
    while (low < high) {
        int middle = (low + high) / 2;
        if (arena.free[middle].base < base)
            low = middle + 1;
        else
            high = middle;
    }
    return low;
}

static void range_remove(int at) {
    arena.count--;
    memmove(&arena.free[at], &arena.free[at + 1], (size_t)(arena.count - at) * sizeof *arena.free);
}

static bool ends_part(const char *end) {
    for (int i = 0; i < arena.parts; i++) {
        if (arena.part_end[i] == (size_t)(end - arena.whole.base)) return true;
    }
    return false;
}

/* Where there is no memory for the list the range is lost to it. */
static void range_add(char *base, size_t bytes) {
    int at = range_after(base);
    Range *before = at > 0 ? &arena.free[at - 1] : NULL, *after = at < arena.count ? &arena.free[at] : NULL;
    bool joins_after = after && base + bytes == after->base && !ends_part(after->base);
    if (before && before->base + before->bytes == base && !ends_part(base)) {
        before->bytes += bytes + (joins_after ? after->bytes : 0);
        if (joins_after) range_remove(at);
        return;
    }
    if (joins_after) {
        *after = (Range){base, bytes + after->bytes};
        return;
    }
    if (arena.count == arena.capacity) {
        int capacity = arena.capacity ? arena.capacity * 2 : 64;
        Range *more = realloc(arena.free, (size_t)capacity * sizeof *more);
        if (!more) return;
        arena.free = more;
        arena.capacity = capacity;
    }
    memmove(&arena.free[at + 1], &arena.free[at], (size_t)(arena.count - at) * sizeof *arena.free);
    arena.free[at] = (Range){base, bytes};
    arena.count++;
}

/* The least range that is large enough; large blocks begin where a huge page does, if there is room. */
static char *range_take(size_t bytes) {
    int best = -1;
    for (int i = 0; i < arena.count; i++) {
        if (arena.free[i].bytes >= bytes && (best < 0 || arena.free[i].bytes < arena.free[best].bytes))
            best = i;
    }
    if (best < 0) return NULL;
    Range range = arena.free[best];
    size_t skip = bytes >= HUGE ? (HUGE - (uintptr_t)range.base % HUGE) % HUGE : 0;
    if (range.bytes - bytes < skip) skip = 0;
    range_remove(best);
    if (skip) range_add(range.base, skip);
    if (range.bytes - bytes > skip) range_add(range.base + skip + bytes, range.bytes - bytes - skip);
    return range.base + skip;
}

/* ---- parts, under the lock ---- */

static size_t rounded(size_t bytes, size_t unit) {
    return (bytes + unit - 1) / unit * unit;
}

/* Another part that holds a block of so many bytes. */
static bool grow(size_t bytes) {
    size_t used = atomic_load(&arena.used), step = used ? used : arena.first;
    if (step > most_step) step = most_step;
    step = rounded(bytes > step ? bytes : step, HUGE);
    char *base = arena.whole.base + used;
    if (!arena.registers || arena.parts == PARTS || arena.whole.bytes - used < step) return false;
    if (mprotect(base, step, PROT_READ | PROT_WRITE) != 0) return false;
    madvise(base, step, MADV_HUGEPAGE);
    if (!arena.registers(base, step)) {
        madvise(base, step, MADV_DONTNEED);
        mprotect(base, step, PROT_NONE);
        return false;
    }
    arena.part_end[arena.parts++] = used + step;
    atomic_store(&arena.used, used + step);
    range_add(base, step);
    return true;
}

/* ---- blocks ---- */

void *pinned_take(size_t bytes) {
    if (!atomic_load_explicit(&arena.used, memory_order_acquire)) return NULL;
    size_t size = rounded(bytes ? bytes : 1, GRAIN);
    if (size < bytes) return NULL;
    pthread_mutex_lock(&arena.lock);
    char *block = range_take(size);
    if (!block && grow(size)) block = range_take(size);
    pthread_mutex_unlock(&arena.lock);
    return block;
}

void pinned_give(void *block, size_t bytes) {
    pthread_mutex_lock(&arena.lock);
    range_add(block, rounded(bytes ? bytes : 1, GRAIN));
    pthread_mutex_unlock(&arena.lock);
}

bool pinned_extend(void *block, size_t bytes, size_t wanted) {
    char *end = (char *)block + rounded(bytes, GRAIN);
    size_t more = rounded(wanted, GRAIN) - rounded(bytes, GRAIN);
    pthread_mutex_lock(&arena.lock);
    int at = range_after(end);
    bool room =
        at < arena.count && arena.free[at].base == end && arena.free[at].bytes >= more && !ends_part(end);
    Range range = room ? arena.free[at] : (Range){NULL, 0};
    if (room) range_remove(at);
    if (room && range.bytes > more) range_add(range.base + more, range.bytes - more);
    pthread_mutex_unlock(&arena.lock);
    return room;
}

/* ---- opening ---- */

/* Addresses cost nothing: as many as there may be memory. */
static bool reserve(void) {
    if (arena.whole.base) return true;
    size_t bytes = rounded((size_t)memory_default_limit(), HUGE);
    char *base = mmap(NULL, bytes + HUGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) return false;
    arena.whole = (Range){base + (HUGE - (uintptr_t)base % HUGE) % HUGE, bytes};
    return true;
}

static bool register_again(void) {
    size_t begin = 0;
    for (int i = 0; i < arena.parts; i++) {
        if (!arena.registers(arena.whole.base + begin, arena.part_end[i] - begin)) return false;
        begin = arena.part_end[i];
    }
    return true;
}

static bool open_arena(bool (*registers)(void *base, size_t bytes), size_t first) {
    pthread_mutex_lock(&arena.lock);
    arena.registers = registers;
    arena.first = rounded(first, HUGE);
    bool ok = arena.parts ? register_again() : reserve() && grow(GRAIN);
    if (!ok) arena.registers = NULL;
    pthread_mutex_unlock(&arena.lock);
    return ok;
}

/* Blocks stay; there are no more parts. */
static void close_arena(void) {
    pthread_mutex_lock(&arena.lock);
    arena.registers = NULL;
    pthread_mutex_unlock(&arena.lock);
}

const PinnedMemory pinned_memory = {open_arena, pinned_take, pinned_give, close_arena};
