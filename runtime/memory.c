/* memory.c: where a context's memory comes from, and how much there may be.
 *
 * A budget (lang/value/region.c) counts bytes against the limit; this file gives it its blocks, from 64 KiB or so
 * up to gigabytes, 64-aligned. Blocks of 2 MiB and more are aligned to that and asked to be huge pages: a
 * scan of a large vector then takes one TLB entry where it took 512.
 *
 * Large blocks are mapped, kept and grown by pages.c. The others come from a jemalloc arena for each context
 * and go with it. Thread caches are bypassed: they gain little and would have to be flushed before the arena
 * can be destroyed.
 *
 * libweld does not link jemalloc. Its library exports malloc, so that linking it would exchange the allocator
 * of every program that uses libweld, and it keeps 2.6 KB of initial-exec thread storage, more than is left
 * when a library is loaded at run time (from Python, say). So mallocx and mallctl are looked up in the
 * process: they are there when the program chose jemalloc, as the weldc command does by linking it. Elsewhere
 * the C library's heap takes their place.
 *
 * Under a sanitizer every block comes from aligned_alloc, so that accesses beyond it are found.
 */
#include "rt.h"

#include <dlfcn.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>
#include <jemalloc/jemalloc.h> /* only the MALLOCX_ macros */

enum { LINE = 64, HUGE = 2 << 20 };

typedef struct Jemalloc {
    void *(*mallocx)(size_t bytes, int flags);
    void (*sdallocx)(void *block, size_t bytes, int flags);
    int (*mallctl)(const char *name, void *old, size_t *old_length, void *new, size_t new_length);
} Jemalloc;

typedef struct Pool {
    bool has_arena; /* of jemalloc's; else blocks come from the C library's heap */
    unsigned arena;
    Pages *pages;
} Pool;

/* ---- jemalloc, where the process has it ------------------------------------------------------------------
 */

/* dlsym gives a function as a pointer to data; C has no cast between the two. */
static bool find_function(const char *name, void *function) {
    void *address = dlsym(RTLD_DEFAULT, name);
    memcpy(function, &address, sizeof address);
    return address != NULL;
}

static Jemalloc jemalloc; /* all NULL where there is none; fixed when the process makes its first pool */
static pthread_once_t jemalloc_sought = PTHREAD_ONCE_INIT;

/* Names that the process does not have take the linker a microsecond each. */
static void jemalloc_find(void) {
    Jemalloc found;
    if (find_function("mallocx", &found.mallocx) && find_function("sdallocx", &found.sdallocx) &&
        find_function("mallctl", &found.mallctl)) {
        jemalloc = found;
    }
}

static bool arena_new(unsigned *arena) {
    size_t length = sizeof *arena;
    pthread_once(&jemalloc_sought, jemalloc_find);
    return !SANITIZED && jemalloc.mallocx && jemalloc.mallctl("arenas.create", arena, &length, NULL, 0) == 0;
}

static int arena_flags(const Pool *pool) {
    return (int)MALLOCX_ARENA(pool->arena) | MALLOCX_TCACHE_NONE | MALLOCX_LG_ALIGN(6);
}

static void arena_destroy(const Pool *pool) {
    char name[48];
    snprintf(name, sizeof name, "arena.%u.destroy", pool->arena);
    jemalloc.mallctl(name, NULL, NULL, NULL, 0);
}

/* ---- a budget's blocks ------------------------------------------------------------------------------------
 */

/* jemalloc keeps what is smaller than a huge page better than a list does. */
static bool is_mapped(const Pool *pool, size_t bytes) {
    return !SANITIZED && bytes >= (pool->has_arena ? HUGE : PAGES_LEAST);
}

/* Nor would an RDMA device know jemalloc's memory: what is worth a transfer of its own comes from pinned.c. */
static bool may_be_pinned(size_t bytes) {
    return !SANITIZED && bytes >= PINNED_LEAST;
}

static void *pool_take(void *data, size_t bytes) {
    Pool *pool = data;
    if (is_mapped(pool, bytes)) return pages_take(pool->pages, bytes);
    void *pinned = may_be_pinned(bytes) ? pinned_take(bytes) : NULL;
    if (pinned) return pinned;
    if (pool->has_arena) return jemalloc.mallocx(bytes ? bytes : 1, arena_flags(pool));
    return bytes <= INT64_MAX ? aligned_alloc(LINE, (bytes + LINE) / LINE * LINE) : NULL;
}

static void pool_give(void *data, void *block, size_t bytes) {
    Pool *pool = data;
    if (!block) return;
    if (is_mapped(pool, bytes))
        pages_give(pool->pages, block, bytes);
    else if (may_be_pinned(bytes) && pinned_owns(block))
        pinned_give(block, bytes);
    else if (pool->has_arena)
        jemalloc.sdallocx(block, bytes ? bytes : 1, arena_flags(pool));
    else
        free(block);
}

static void *pool_resize(void *data, void *block, size_t bytes, size_t wanted) {
    Pool *pool = data;
    return is_mapped(pool, bytes) && is_mapped(pool, wanted) ? pages_resize(pool->pages, block, bytes, wanted)
                                                             : NULL;
}

/* In one range of addresses: an RDMA device would not know that memory. */
static bool pool_lays(void *data) {
    (void)data;
    return !pinned_in_use();
}

/* For a Budget: to find out takes reading some files, twenty microseconds that small runs do not need to pay. */
static int64_t ask_limit(void *data) {
    (void)data;
    return memory_default_limit();
}

bool memory_budget(Budget *budget, int64_t limit) {
    Pool *pool = calloc(1, sizeof *pool);
    if (!pool) return false;
    pool->pages = pages_new(budget);
    if (!pool->pages) {
        free(pool);
        return false;
    }
    pool->has_arena = arena_new(&pool->arena);
    budget_init(budget, limit < 0 ? LIMIT_UNASKED : limit);
    budget->ask = limit < 0 ? ask_limit : NULL;
    budget->take = pool_take;
    budget->give = pool_give;
    budget->resize = pool_resize;
    budget->lays = pool_lays;
    budget->resizes_from = pool->has_arena ? HUGE : PAGES_LEAST;
    budget->data = pool;
    return true;
}

void memory_budget_release(Budget *budget) {
    Pool *pool = budget->data;
    if (!pool) return;
    if (pool->has_arena) arena_destroy(pool);
    pages_free(pool->pages);
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
