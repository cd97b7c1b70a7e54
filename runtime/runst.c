/* runst.c: the calls that Weld's generated code made into its runtime, which are part of its C interface.
 *
 * Our compiled code does not use them. C functions that were written against them (to allocate what a cudf
 * returns, say) do: a run is a list of blocks with a limit on their sum, a result pointer and an error
 * number.
 */
#include "rt.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Chunk Chunk;
struct Chunk {
    Chunk *next, *previous;
    size_t bytes;
    _Alignas(16) char memory[];
};

typedef struct Run {
    Handle handle;
    Chunk *chunks;
    void *result;
    uint64_t error;
    int64_t live, limit; /* limit 0: none */
} Run;

void weld_init(void) {}

void *weld_runst_init(int32_t workers, int64_t memory_limit) {
    (void)workers;
    Run *run = calloc(1, sizeof *run);
    if (!run) return NULL;
    run->handle.kind = HANDLE_RUN;
    run->limit = memory_limit > 0 ? memory_limit : 0;
    return run;
}

void weld_runst_release(void *handle) {
    Run *run = handle_as(handle, HANDLE_RUN);
    if (!run) return;
    for (Chunk *chunk = run->chunks, *next; chunk; chunk = next) {
        next = chunk->next;
        free(chunk);
    }
    run->handle.kind = HANDLE_NONE;
    free(run);
}

static Chunk *chunk_of(void *memory) {
    return (Chunk *)((char *)memory - offsetof(Chunk, memory));
}

static void chunk_unlink(Run *run, Chunk *chunk) {
    if (chunk->previous)
        chunk->previous->next = chunk->next;
    else
        run->chunks = chunk->next;
    if (chunk->next) chunk->next->previous = chunk->previous;
    run->live -= (int64_t)chunk->bytes;
}

static void chunk_link(Run *run, Chunk *chunk) {
    chunk->previous = NULL;
    chunk->next = run->chunks;
    if (run->chunks) run->chunks->previous = chunk;
    run->chunks = chunk;
    run->live += (int64_t)chunk->bytes;
}

void *weld_runst_malloc(void *handle, int64_t bytes) {
    return weld_runst_realloc(handle, NULL, bytes);
}

void *weld_runst_realloc(void *handle, void *memory, int64_t bytes) {
    Run *run = handle_as(handle, HANDLE_RUN);
    if (!run) return NULL;
    if (bytes <= 0) {
        weld_runst_free(run, memory);
        return NULL;
    }
    Chunk *old = memory ? chunk_of(memory) : NULL;
    int64_t others = run->live - (old ? (int64_t)old->bytes : 0);
    Chunk *fresh = NULL;
    if (bytes < INT64_MAX / 4 && (!run->limit || bytes <= run->limit - others)) {
        fresh = malloc(sizeof *fresh + (size_t)bytes);
    }
    if (!fresh) {
        run->error = WELD_OUT_OF_MEMORY;
        return NULL;
    }
    fresh->bytes = (size_t)bytes;
    if (old) {
        memcpy(fresh->memory, old->memory, old->bytes < fresh->bytes ? old->bytes : fresh->bytes);
        weld_runst_free(run, memory);
    }
    chunk_link(run, fresh);
    return fresh->memory;
}

void weld_runst_free(void *handle, void *memory) {
    Run *run = handle_as(handle, HANDLE_RUN);
    if (!run || !memory) return;
    Chunk *chunk = chunk_of(memory);
    chunk_unlink(run, chunk);
    free(chunk);
}

void weld_runst_set_result(void *handle, void *result) {
    Run *run = handle_as(handle, HANDLE_RUN);
    if (run) run->result = result;
}

void *weld_runst_get_result(void *handle) {
    Run *run = handle_as(handle, HANDLE_RUN);
    return run ? run->result : NULL;
}

void weld_runst_set_errno(void *handle, uint64_t error) {
    Run *run = handle_as(handle, HANDLE_RUN);
    if (run) run->error = error;
}

uint64_t weld_runst_get_errno(void *handle) {
    Run *run = handle_as(handle, HANDLE_RUN);
    return run ? run->error : WELD_SUCCESS;
}

uint8_t weld_runst_assert(void *run, uint8_t condition) {
    if (!condition) weld_runst_set_errno(run, WELD_ASSERTION_ERROR);
    return condition != 0;
}

void weld_runst_print(void *run, const char *text) {
    (void)run;
    if (!text) return;
    puts(text);
    fflush(stdout);
}
