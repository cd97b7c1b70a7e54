/* memory.c: where a context's memory comes from, and how much there may be.
 *
 * A budget (lang/region.c) counts bytes against the limit; this file gives it its blocks, from 64 KiB or so
 * up to gigabytes, 64-aligned. Blocks of 2 MiB and more are aligned to that and asked to be huge pages: a
 * scan of a large vector then takes one TLB entry where it took 512.
 *
 * Each context has a jemalloc arena: blocks that a run frees stay mapped for a while and serve the next run
 * without page faults, and what is left goes with the arena. Thread caches are bypassed, for blocks this
 * large they gain nothing and would have to be flushed before the arena can be destroyed.
 *
 * libweld does not link jemalloc. Its library exports malloc, so that linking it would exchange the allocator
 * of every program that uses libweld, and it keeps 2.6 KB of initial-exec thread storage, more than is left
 * when a library is loaded at run time (from Python, say). So mallocx and mallctl are looked up in the
 * process: they are there when the program chose jemalloc, as the weldc command does by linking it. Elsewhere
 * a pool takes their place: large blocks come from mmap in size classes 1/8 apart (2, 2.25, 2.5, ... MiB),
 * and a freed one is kept for the next request of its class, up to an eighth of the limit in all.
 *
 *     take(3 MiB) maps 3 MiB;  give keeps it;  take(2.9 MiB) is of the class of 3 MiB and gets it back,
 * without a fault
 *
 * Under a sanitizer every block comes from aligned_alloc, so that accesses beyond it are found.
 */
#include "rt.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <unistd.h>
#include <jemalloc/jemalloc.h> /* only the MALLOCX_ macros */

#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define SANITIZED 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer) || __has_feature(thread_sanitizer) || __has_feature(memory_sanitizer)
#define SANITIZED 1
#endif
#endif
#ifndef SANITIZED
#define SANITIZED 0
#endif

enum { LINE = 64, HUGE = 2 << 20, KEPT = 64 };

typedef struct Block {
    void *base;
    size_t bytes;
} Block;

typedef struct Pool {
    void *(*mallocx)(size_t bytes, int flags); /* jemalloc's, or NULL */
    void (*sdallocx)(void *block, size_t bytes, int flags);
    int (*mallctl)(const char *name, void *old, size_t *old_length, void *new, size_t new_length);
    unsigned arena;
    pthread_mutex_t lock; /* of what follows */
    Block kept[KEPT];     /* free blocks, the one freed last at the end */
    int count;
    size_t kept_bytes;
    int64_t keep; /* at most so many bytes are kept; -1: an eighth of a limit that was not asked for yet */
} Pool;

/* ---- jemalloc, where the process has it ------------------------------------------------------------------
 */

/* dlsym gives a function as a pointer to data; C has no cast between the two. */
static bool find_function(const char *name, void *function) {
    void *address = dlsym(RTLD_DEFAULT, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static void pool_find_jemalloc(Pool *pool) {
    if (SANITIZED || !find_function("mallocx", &pool->mallocx)) return;
    size_t length = sizeof pool->arena;
    if (find_function("sdallocx", &pool->sdallocx) && find_function("mallctl", &pool->mallctl) &&
        pool->mallctl("arenas.create", &pool->arena, &length, NULL, 0) == 0) {
        return;
    }
    pool->mallocx = NULL;
}

static int arena_flags(const Pool *pool, size_t bytes) {
    return (int)MALLOCX_ARENA(pool->arena) | MALLOCX_TCACHE_NONE |
           (bytes >= HUGE ? MALLOCX_LG_ALIGN(21) : MALLOCX_LG_ALIGN(6));
}

static void arena_destroy(const Pool *pool) {
    char name[48];
    snprintf(name, sizeof name, "arena.%u.destroy", pool->arena);
    pool->mallctl(name, NULL, NULL, NULL, 0);
}

/* ---- mmap, elsewhere --------------------------------------------------------------------------------------
 */

/* The least size class that holds this many bytes, or 0: too many. */
static size_t size_class(size_t bytes) {
    if (bytes > SIZE_MAX / 4) return 0;
    size_t step = HUGE / 8;
    while (step * 16 < bytes) step *= 2;
    return (bytes + step - 1) / step * step;
}

static void *map_huge(size_t bytes) {
    char *map = mmap(NULL, bytes + HUGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (map == MAP_FAILED) return NULL;
    size_t before = (HUGE - (uintptr_t)map % HUGE) % HUGE;
    if (before) munmap(map, before);
    munmap(map + before + bytes, HUGE - before);
    return map + before;
}

static void *keep_take(Pool *pool, size_t bytes) {
    void *found = NULL;
    pthread_mutex_lock(&pool->lock);
    for (int i = pool->count - 1; i >= 0 && !found; i--) {
        if (pool->kept[i].bytes != bytes) continue;
        found = pool->kept[i].base;
        pool->kept_bytes -= bytes;
        memmove(&pool->kept[i], &pool->kept[i + 1], (size_t)(--pool->count - i) * sizeof *pool->kept);
    }
    pthread_mutex_unlock(&pool->lock);
    return found;
}

/* For a Budget: to find out takes reading some files, twenty microseconds that small runs do not need to pay. */
static int64_t pool_ask(void *data) {
    Pool *pool = data;
    int64_t limit = memory_default_limit();
    __atomic_store_n(&pool->keep, limit / 8, __ATOMIC_RELAXED);
    return limit;
}

static size_t most_to_keep(Pool *pool) {
    int64_t keep = __atomic_load_n(&pool->keep, __ATOMIC_RELAXED);
    return (size_t)(keep >= 0 ? keep : pool_ask(pool) / 8);
}

/* Keeps a block; the oldest ones make room. False: it is too large for that. */
static bool keep_give(Pool *pool, void *base, size_t bytes) {
    size_t most = most_to_keep(pool);
    if (bytes > most) return false;
    pthread_mutex_lock(&pool->lock);
    int drop = 0;
    while (drop < pool->count && (pool->kept_bytes + bytes > most || pool->count - drop == KEPT)) {
        pool->kept_bytes -= pool->kept[drop].bytes;
        munmap(pool->kept[drop].base, pool->kept[drop].bytes);
        drop++;
    }
    memmove(pool->kept, pool->kept + drop, (size_t)(pool->count - drop) * sizeof *pool->kept);
    pool->count -= drop;
    pool->kept[pool->count++] = (Block){base, bytes};
    pool->kept_bytes += bytes;
    pthread_mutex_unlock(&pool->lock);
    return true;
}

/* ---- a budget's blocks
 * -------------------------------------------------------------------------------------- */

static bool is_mapped(const Pool *pool, size_t bytes) {
    return !SANITIZED && !pool->mallocx && bytes >= HUGE;
}

static void *pool_take(void *data, size_t bytes) {
    Pool *pool = data;
    void *block = NULL;
    if (is_mapped(pool, bytes)) {
        size_t size = size_class(bytes);
        if (!size) return NULL;
        block = keep_take(pool, size);
        if (block) return block;
        block = map_huge(size);
        bytes = size;
    } else if (pool->mallocx) {
        block = bytes <= INT64_MAX ? pool->mallocx(bytes ? bytes : 1, arena_flags(pool, bytes)) : NULL;
    } else if (bytes <= INT64_MAX) {
        block = aligned_alloc(LINE, (bytes + LINE) / LINE * LINE);
    }
    if (block && bytes >= HUGE && !SANITIZED) madvise(block, bytes / HUGE * HUGE, MADV_HUGEPAGE);
    return block;
}

static void pool_give(void *data, void *block, size_t bytes) {
    Pool *pool = data;
    if (!block) return;
    if (is_mapped(pool, bytes)) {
        size_t size = size_class(bytes);
        if (!keep_give(pool, block, size)) munmap(block, size);
    } else if (pool->mallocx) {
        pool->sdallocx(block, bytes ? bytes : 1, arena_flags(pool, bytes));
    } else {
        free(block);
    }
}

bool memory_budget(Budget *budget, int64_t limit) {
    Pool *pool = calloc(1, sizeof *pool);
    if (!pool) return false;
    if (pthread_mutex_init(&pool->lock, NULL)) {
        free(pool);
        return false;
    }
    pool_find_jemalloc(pool);
    pool->keep = limit > 0 ? limit / 8 : -1;
    budget_init(budget, limit < 0 ? LIMIT_UNASKED : limit);
    budget->ask = limit < 0 ? pool_ask : NULL;
    budget->take = pool_take;
    budget->give = pool_give;
    budget->data = pool;
    return true;
}

void memory_budget_release(Budget *budget) {
    Pool *pool = budget->data;
    if (!pool) return;
    if (pool->mallocx) arena_destroy(pool);
    for (int i = 0; i < pool->count; i++) munmap(pool->kept[i].base, pool->kept[i].bytes);
    pthread_mutex_destroy(&pool->lock);
    free(pool);
    budget->data = NULL;
}

/* ---- how much there is
 * ----------------------------------------------------------------------------------------- */

static int64_t lesser(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* The number in a file of a cgroup; none ("max", no such file): INT64_MAX. */
static int64_t read_limit(const char *path) {
    FILE *file = fopen(path, "re");
    long long limit;
    if (!file) return INT64_MAX;
    if (fscanf(file, "%lld", &limit) != 1 || limit <= 0) limit = INT64_MAX;
    fclose(file);
    return limit;
}

/* The least limit of a cgroup and of those around it: /a/b, /a, /. */
static int64_t cgroup_limit(const char *mount, const char *name, char *group) {
    int64_t least = INT64_MAX;
    char path[4096];
    for (;;) {
        snprintf(path, sizeof path, "%s%s/%s", mount, group, name);
        least = lesser(least, read_limit(path));
        char *slash = strrchr(group, '/');
        if (!slash) return least;
        *slash = 0;
    }
}

/* Lines of /proc/self/cgroup: "0::/group" of version 2, "5:memory:/group" of version 1. */
static int64_t cgroups_limit(void) {
    int64_t least = INT64_MAX;
    char line[2048];
    FILE *file = fopen("/proc/self/cgroup", "re");
    while (file && fgets(line, sizeof line, file)) {
        line[strcspn(line, "\n")] = 0;
        char *controllers = strchr(line, ':');
        char *group = controllers ? strchr(controllers + 1, ':') : NULL;
        if (!group) continue;
        *group++ = 0;
        if (controllers[1] == 0) {
            least = lesser(least, cgroup_limit("/sys/fs/cgroup", "memory.max", group));
        } else if (strstr(controllers, "memory")) {
            least = lesser(least, cgroup_limit("/sys/fs/cgroup/memory", "memory.limit_in_bytes", group));
        }
    }
    if (file) fclose(file);
    return least;
}

int64_t memory_default_limit(void) {
    long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    int64_t least = pages > 0 && page > 0 ? (int64_t)pages * page : INT64_MAX;
    struct rlimit limit;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY && limit.rlim_cur < INT64_MAX) {
        least = lesser(least, (int64_t)limit.rlim_cur);
    }
    return lesser(least, cgroups_limit()) / 5 * 4;
}
