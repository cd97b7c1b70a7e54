/* pages.c: a context's large blocks: mapped, kept for the next run, and grown without copying.
 *
 * A fresh page costs more than computing on it: the system finds it, zeroes it and maps it. So large blocks are
 * mapped here in sizes at most 1/8 apart (2, 2.25, 2.5, ... MiB), and what is freed is kept. From 2 MiB on they are
 * aligned to that and asked to be huge pages.
 *
 *     take(3 MiB) maps 3 MiB;  give keeps it;  take(2.9 MiB) gets it back, without a fault
 *
 * A builder grows by pages_resize. Its block takes the place of a kept one that is much larger (of the last
 * run's result, usually), or gets more pages, for which its own may move to other addresses; only then are
 * there new ones. When it shrinks to what it holds, its end goes back to the system:
 *
 *     run 1   2 -> 4 -> ... -> 64 -> 128 MiB, shrinks to 72; freed: kept
 *     run 2   2 -> (the kept one) 4 -> ... -> 128 MiB, of which 72 have pages
 *
 * Where an RDMA device is in use, blocks come from the memory that it knows (pinned.c) and go back there; they grow only
 * where there is room behind them.
 *
 * So the addresses of a block may reach further than its size says: such blocks are listed as `loose`.
 *
 * What is kept is at most a quarter of the limit, and with the blocks in use at most all of it: whatever is
 * taken beyond that drops the oldest ones. Those that nobody wanted for some seconds are dropped when next
 * something is taken or given, and all of them are marked as free for the system, which takes them where
 * memory gets short.
 */
#include "rt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

enum { KEPT = 256, LOOSE = 256, PATIENCE_S = 10, HUGE = 2 << 20 };

typedef struct Extent {
    char *base;
    size_t span, bytes; /* addresses; of a kept one, how many bytes may have pages */
    time_t since;
} Extent;

struct Pages {
    Budget *budget;
    pthread_mutex_t lock; /* of what follows */
    Extent kept[KEPT];    /* free blocks, the one freed last at the end */
    Extent loose[LOOSE];
    int nkept, nloose;
    size_t kept_bytes;
};

Pages *pages_new(Budget *budget) {
    Pages *pages = calloc(1, sizeof *pages);
    if (!pages) return NULL;
    pages->budget = budget;
    if (pthread_mutex_init(&pages->lock, NULL) == 0) return pages;
    free(pages);
    return NULL;
}

static void unmap(char *base, size_t bytes) {
    if (pinned_owns(base))
        pinned_give(base, bytes);
    else
        munmap(base, bytes);
}

void pages_free(Pages *pages) {
    if (!pages) return;
    for (int i = 0; i < pages->nkept; i++) unmap(pages->kept[i].base, pages->kept[i].span);
    pthread_mutex_destroy(&pages->lock);
    free(pages);
}

/* ---- the system ---- */

/* The least size class that holds this many bytes, or 0: too many. */
static size_t size_class(size_t bytes) {
    if (bytes > SIZE_MAX / 4) return 0;
    size_t step = PAGES_LEAST / 8;
    while (step * 15 < bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

static char *map_fresh(size_t bytes) {
    size_t more = bytes >= HUGE ? HUGE : 0;
    char *base = mmap(NULL, bytes + more, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (base == MAP_FAILED) return NULL;
    if (!more) return base;
    size_t before = (HUGE - (uintptr_t)base % HUGE) % HUGE;
    if (before) munmap(base, before);
    munmap(base + before + bytes, HUGE - before);
    madvise(base + before, bytes, MADV_HUGEPAGE);
    return base + before;
}

/* Memory that an RDMA device knows, where there is any. */
static char *map(size_t bytes) {
    char *pinned = pinned_take(bytes);
    return pinned ? pinned : map_fresh(bytes);
}

/* The pages stay what they are, at other addresses. NULL: the block is where it was. */
static char *map_more(char *base, size_t span, size_t wanted) {
    if (pinned_owns(base)) return pinned_extend(base, span, wanted) ? base : NULL;
#ifdef MREMAP_FIXED
    char *to = map_fresh(wanted);
    if (!to) return NULL;
    if (mremap(base, span, wanted, MREMAP_MAYMOVE | MREMAP_FIXED, to) == to) return to;
    munmap(to, wanted);
#endif
    (void)base, (void)span, (void)wanted;
    return NULL;
}

/* What the block no longer uses goes back, but for the rest of a huge page: to split one would cost more each time than it
 * gives. Its addresses stay. */
static void drop_end(char *base, size_t bytes, size_t span) {
    enum { SMALL_PAGE = 4096 };
    size_t page = bytes >= HUGE ? HUGE : SMALL_PAGE, from = (bytes + page - 1) / page * page;
    if (from < span && !pinned_owns(base)) madvise(base + from, span - from, MADV_DONTNEED);
}

static time_t seconds(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec;
}

/* ---- what is kept, under the lock ---- */

static Extent kept_remove(Pages *pages, int at) {
    Extent extent = pages->kept[at];
    pages->kept_bytes -= extent.bytes;
    pages->nkept--;
    memmove(&pages->kept[at], &pages->kept[at + 1], (size_t)(pages->nkept - at) * sizeof extent);
    return extent;
}

/* How many bytes there may be, in use and kept, if it could matter when so many are kept; 0: any number. */
static int64_t limit_for(Pages *pages, size_t kept) {
    int64_t limit = __atomic_load_n(&pages->budget->limit, __ATOMIC_RELAXED);
    int64_t live = atomic_load_explicit(&pages->budget->live, memory_order_relaxed) +
                   __atomic_load_n(&pages->budget->spare, __ATOMIC_RELAXED);
    if (limit > 0 && (int64_t)kept <= limit / 4 && live + (int64_t)kept <= limit) return limit;
    return budget_limit(pages->budget);
}

/* Drops the oldest ones: what nobody wanted for long, and as many as it takes for so many bytes to fit beside the rest. */
static void kept_trim(Pages *pages, size_t fresh) {
    int64_t limit = limit_for(pages, pages->kept_bytes + fresh);
    int64_t live = atomic_load_explicit(&pages->budget->live, memory_order_relaxed) +
                   __atomic_load_n(&pages->budget->spare, __ATOMIC_RELAXED);
    time_t now = pages->nkept ? seconds() : 0;
    while (pages->nkept) {
        bool full =
            (limit > 0 && pages->kept_bytes + fresh > (size_t)limit / 4) || (fresh && pages->nkept == KEPT);
        bool over = limit > 0 && live + (int64_t)pages->kept_bytes > limit;
        if (!full && !over && now - pages->kept[0].since < PATIENCE_S) return;
        Extent extent = kept_remove(pages, 0);
        unmap(extent.base, extent.span);
    }
}

static void kept_add(Pages *pages, char *base, size_t span, size_t bytes) {
    kept_trim(pages, bytes);
    int64_t limit = limit_for(pages, pages->kept_bytes + bytes);
    if (limit > 0 && bytes > (size_t)limit / 4) {
        unmap(base, span);
        return;
    }
#ifdef MADV_FREE
    if (bytes >= HUGE && !pinned_owns(base)) madvise(base, bytes / HUGE * HUGE, MADV_FREE);
#endif
    pages->kept[pages->nkept++] = (Extent){base, span, bytes, seconds()};
    pages->kept_bytes += bytes;
}

/* The least one of `least` to `most` bytes of addresses; of equal ones that freed last. -1: none. */
static int kept_find(const Pages *pages, size_t least, size_t most) {
    int best = -1;
    for (int i = pages->nkept - 1; i >= 0; i--) {
        size_t span = pages->kept[i].span;
        if (span >= least && span <= most && (best < 0 || span < pages->kept[best].span)) best = i;
    }
    return best;
}

/* The one with most pages that has room for a growing block: enough new ones to pay for copying its bytes. -1:
 * none. */
static int kept_find_larger(const Pages *pages, size_t bytes, size_t wanted) {
    int best = -1;
    for (int i = 0; i < pages->nkept; i++) {
        const Extent *extent = &pages->kept[i];
        if (extent->span < wanted || extent->bytes < bytes + bytes / 4) continue;
        if (best < 0 || extent->bytes > pages->kept[best].bytes) best = i;
    }
    return best;
}

/* ---- the addresses of a block, under the lock ---- */

static int loose_find(const Pages *pages, const char *base) {
    int at = pages->nloose - 1;
    while (at >= 0 && pages->loose[at].base != base) at--;
    return at;
}

/* Removes the block from the list if it is there; returns how far its addresses reach. */
static size_t loose_remove(Pages *pages, const char *base, size_t bytes) {
    int at = loose_find(pages, base);
    if (at < 0) return size_class(bytes);
    size_t span = pages->loose[at].span;
    pages->loose[at] = pages->loose[--pages->nloose];
    return span;
}

/* Notes how far a block's addresses reach, or gives away what is beyond its size. */
static void loose_add(Pages *pages, char *base, size_t bytes, size_t span) {
    size_t size = size_class(bytes);
    if (span == size) return;
    if (pages->nloose < LOOSE)
        pages->loose[pages->nloose++] = (Extent){base, span, bytes, 0};
    else
        unmap(base + size, span - size);
}

/* ---- blocks ---- */

void *pages_take(Pages *pages, size_t bytes) {
    size_t size = size_class(bytes);
    char *base = NULL;
    if (!size) return NULL;
    pthread_mutex_lock(&pages->lock);
    int at = kept_find(pages, size, size * 2);
    if (at >= 0) {
        Extent extent = kept_remove(pages, at);
        base = extent.base;
        if (extent.bytes > size && size >= HUGE) drop_end(base, size, extent.span);
        loose_add(pages, base, bytes, extent.span);
    } else {
        kept_trim(pages, 0);
    }
    pthread_mutex_unlock(&pages->lock);
    return base ? base : map(size);
}

void pages_give(Pages *pages, void *block, size_t bytes) {
    pthread_mutex_lock(&pages->lock);
    kept_add(pages, block, loose_remove(pages, block, bytes), bytes);
    pthread_mutex_unlock(&pages->lock);
}

/* The bytes are copied without the lock: the block is listed nowhere meanwhile. */
static Extent move_to_kept(Pages *pages, int at, char *base, size_t bytes, size_t span) {
    Extent to = kept_remove(pages, at);
    pthread_mutex_unlock(&pages->lock);
    memcpy(to.base, base, bytes);
    pthread_mutex_lock(&pages->lock);
    kept_add(pages, base, span, bytes);
    return to;
}

/* NULL: the block is as it was. */
static char *grow(Pages *pages, char *base, size_t bytes, size_t wanted) {
    size_t size = size_class(wanted);
    if (!size || bytes < HUGE) return NULL; /* a copy costs no more, and finds a kept block or huge pages */
    size_t span = loose_remove(pages, base, bytes);
    int at = size > span ? kept_find_larger(pages, bytes, size) : -1;
    char *grown = base;
    size_t reach = span;
    if (at >= 0) {
        Extent extent = move_to_kept(pages, at, base, bytes, span);
        grown = extent.base;
        reach = extent.span;
    } else if (size > span) {
        kept_trim(pages, 0);
        grown = map_more(base, span, size);
        reach = size;
    }
    loose_add(pages, grown ? grown : base, grown ? wanted : bytes, grown ? reach : span);
    return grown;
}

void *pages_resize(Pages *pages, void *block, size_t bytes, size_t wanted) {
    void *moved = block;
    pthread_mutex_lock(&pages->lock);
    if (wanted > bytes) {
        moved = grow(pages, block, bytes, wanted);
    } else {
        size_t span = loose_remove(pages, block, bytes);
        drop_end(block, wanted, span);
        loose_add(pages, block, wanted, span);
    }
    pthread_mutex_unlock(&pages->lock);
    return moved;
}
