/* refuse.h: a client's own malloc, mmap and mprotect, which fail when told to, and count blocks; and checks
 * for such a client. Not for sanitizers. */
#ifndef REFUSE_H
#define REFUSE_H

#include "weld.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

extern void *__libc_malloc(size_t bytes), *__libc_calloc(size_t count, size_t bytes);
extern void *__libc_realloc(void *block, size_t bytes), *__libc_memalign(size_t align, size_t bytes);
extern void __libc_free(void *block);

static long left = -1; /* allocations until they fail; negative: they do not */
static int once;       /* only one of them fails */
static long live;      /* blocks */
static int bad;        /* a check failed */

/* Reported with memory for it; `error` is the client's. */
#define CHECK(condition)                                                                  \
    do {                                                                                  \
        if (!(condition)) {                                                               \
            left = -1;                                                                    \
            printf("line %d: %s: %s\n", __LINE__, #condition, weld_error_message(error)); \
            bad = 1;                                                                      \
        }                                                                                 \
    } while (0)

/* Attempts something with allocation number n failing, then again until no block is lost: caches may keep some. Returns what
 * the first attempt does, which is whether so many allocations did not happen: later ones find more in the caches, and need
 * fewer. */
static int refuse(int (*attempt)(void *data, long n), void *data, long n) {
    enum { MOST = 12 };
    long before = live, repeated = 0;
    int done = attempt(data, n);
    while (live != before && ++repeated < MOST && !bad) {
        before = live;
        attempt(data, n);
    }
    if (repeated == MOST) bad = printf("allocation %ld: blocks are lost each time\n", n);
    return done;
}

/* Runs the attempt, whose n is -1, in contexts in the place of the client's, with limits that grow until one is enough. */
static inline void refuse_bytes(weld_context_t *context, const char *engine, const char *threads,
                                int (*attempt)(void *data, long n), void *data) {
    weld_context_t whole = *context;
    int done = 0;
    for (long bytes = 1024; !done && !bad && bytes < 1L << 32; bytes += bytes / 2) {
        char limit[32];
        snprintf(limit, sizeof limit, "%ld", bytes);
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.engine", engine);
        weld_conf_set(conf, "weld.threads", threads);
        weld_conf_set(conf, "weld.memory.limit", limit);
        *context = weld_context_new(conf);
        done = attempt(data, -1);
        weld_context_free(*context);
        weld_conf_free(conf);
    }
    if (!done) bad = printf("no limit is enough, engine %s\n", engine);
    *context = whole;
}

static int fails(void) {
    long before = __atomic_load_n(&left, __ATOMIC_SEQ_CST);
    if (before > 0) before = __atomic_fetch_sub(&left, 1, __ATOMIC_SEQ_CST);
    if (before == 0) errno = ENOMEM;
    if (before == 0 && once) __atomic_store_n(&left, -2, __ATOMIC_SEQ_CST);
    return before == 0;
}

static void *counted(void *block) {
    if (block) __atomic_fetch_add(&live, 1, __ATOMIC_SEQ_CST);
    return block;
}

void *malloc(size_t bytes) {
    return fails() ? NULL : counted(__libc_malloc(bytes));
}
void *calloc(size_t number, size_t bytes) {
    return fails() ? NULL : counted(__libc_calloc(number, bytes));
}
void *realloc(void *block, size_t bytes) {
    if (fails()) return NULL;
    void *moved = __libc_realloc(block, bytes);
    return block ? moved : counted(moved);
}
void *aligned_alloc(size_t align, size_t bytes) {
    return fails() ? NULL : counted(__libc_memalign(align, bytes));
}
/* Of FFTW, which ends the process when it gets none: counted, never refused. */
void *memalign(size_t align, size_t bytes);
void *memalign(size_t align, size_t bytes) {
    return counted(__libc_memalign(align, bytes));
}
int posix_memalign(void **block, size_t align, size_t bytes) {
    *block = counted(__libc_memalign(align, bytes));
    return *block ? 0 : ENOMEM;
}
void free(void *block) {
    if (block) __atomic_fetch_sub(&live, 1, __ATOMIC_SEQ_CST);
    __libc_free(block);
}
void *mmap(void *address, size_t bytes, int protection, int flags, int file, off_t offset) {
    if (fails()) return MAP_FAILED;
    return (void *)syscall(SYS_mmap, address, bytes, protection, flags, file, offset);
}
int mprotect(void *address, size_t bytes, int protection) {
    return fails() ? -1 : (int)syscall(SYS_mprotect, address, bytes, protection);
}

#endif
