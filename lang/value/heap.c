/* heap.c: one range of addresses in which blocks of a run lie side by side, so that free neighbours are one.
 *
 * Blocks of many sizes, each allocated by itself, do not serve one another: what held forty states of a loop does not hold the
 * new parameters. Here a block is cut out of what is free, and joined with free neighbours when it is given:
 *
 *     addresses   | a 4M | free 2M | b 3M | free 5M ... |         give a:  | free 6M | b 3M | ...          6M at once
 *
 * A part of the range is a block, or free with pages, or free without: `dropped`. By first fit a block gets the first free part
 * with pages that is large enough. Where there is none, it gets the run of free parts, with pages and without, of which most
 * have pages, or the end of the range: the pages that are new are an allocation as any other.
 *
 * Whole pages of what is free can be given back at any time. So between two blocks at most two pages, which are not whole, cannot:
 * HEAP_EDGE bytes for each block, which budget.c sees to.
 *
 * First fit and joining of neighbours: Knuth, The Art of Computer Programming 1, 2.5.
 */
#include "heap.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { PARTS = 4096, MOST_BLOCKS = PARTS / 4 - 2, GRAIN = 64, PAGE = 4096, HUGE = 2 << 20 };

typedef enum Kind { DROPPED, FREE, BLOCK } Kind;

/* A part of the range. Neighbours that are free are of different kinds. */
typedef struct Part {
    int64_t at, bytes; /* from the beginning of the range */
    Kind kind;
} Part;

struct Heap {
    char *base;
    int64_t bytes;
    int blocks, count;
    Part parts[PARTS]; /* by address */
};

Heap *heap_new(int64_t bytes, bool huge) {
    Heap *heap = malloc(sizeof *heap);
    if (!heap) return NULL;
    bytes = (bytes + HUGE - 1) / HUGE * HUGE;
    void *base =
        mmap(NULL, (size_t)bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
    if (base == MAP_FAILED) {
        free(heap);
        return NULL;
    }
#ifdef MADV_HUGEPAGE
    madvise(base, (size_t)bytes, huge ? MADV_HUGEPAGE : MADV_NOHUGEPAGE);
#endif
    (void)huge;
    heap->base = base;
    heap->bytes = bytes;
    heap->blocks = 0;
    heap->count = 1;
    heap->parts[0] = (Part){0, bytes, DROPPED};
    return heap;
}

void heap_free(Heap *heap) {
    if (!heap) return;
    munmap(heap->base, (size_t)heap->bytes);
    free(heap);
}

bool heap_owns(const Heap *heap, const void *block) {
    const char *at = block;
    return at >= heap->base && at < heap->base + heap->bytes;
}

int heap_blocks(const Heap *heap) {
    return heap->blocks;
}

/* ---- parts ---- */

/* Replaces `old` parts at k by others, of which those without bytes are left out. */
static void replace(Heap *heap, int k, int old, const Part *parts, int count) {
    int left = 0;
    for (int i = 0; i < count; i++) left += parts[i].bytes > 0;
    memmove(&heap->parts[k + left], &heap->parts[k + old], sizeof *parts * (size_t)(heap->count - k - old));
    for (int i = 0; i < count; i++) {
        if (parts[i].bytes > 0) heap->parts[k++] = parts[i];
    }
    heap->count += left - old;
}

/* Joins the free part at k with its neighbours of the same kind. */
static void join(Heap *heap, int k) {
    Part *parts = heap->parts;
    Part joined = parts[k];
    int from = k, end = k + 1;
    if (end < heap->count && parts[end].kind == joined.kind) joined.bytes += parts[end++].bytes;
    if (from > 0 && parts[from - 1].kind == joined.kind) {
        joined.at = parts[--from].at;
        joined.bytes += parts[from].bytes;
    }
    replace(heap, from, end - from, &joined, 1);
}

static int64_t end_of(const Part *part) {
    return part->at + part->bytes;
}

/* How many bytes of the parts from k to end lie between the two, and have pages. */
static int64_t with_pages(const Heap *heap, int k, int end, int64_t from, int64_t to) {
    int64_t bytes = 0;
    for (; k < end; k++) {
        const Part *part = &heap->parts[k];
        int64_t low = part->at > from ? part->at : from, high = end_of(part) < to ? end_of(part) : to;
        if (part->kind == FREE && high > low) bytes += high - low;
    }
    return bytes;
}

/* ---- blocks ---- */

/* A place for a block in a run of free parts: the beginning or the end of it. */
typedef struct Place {
    int part, end; /* the run */
    int64_t at, reused, room;
} Place;

static bool is_better(const Place *a, const Place *b) {
    return a->reused > b->reused || (a->reused == b->reused && a->room < b->room);
}

static Place place_in(const Heap *heap, int part, int end, int64_t bytes) {
    int64_t from = heap->parts[part].at, to = end_of(&heap->parts[end - 1]);
    int64_t first = with_pages(heap, part, end, from, from + bytes),
            last = with_pages(heap, part, end, to - bytes, to);
    return (Place){part, end, first >= last ? from : to - bytes, first >= last ? first : last, to - from};
}

/* room 0: none. */
static Place place_find(const Heap *heap, int64_t bytes, bool fresh) {
    Place best = {.room = 0};
    for (int k = 0; k < heap->count; k++) {
        const Part *part = &heap->parts[k];
        if (part->kind == FREE && part->bytes >= bytes)
            return (Place){k, k + 1, part->at, bytes, part->bytes};
    }
    for (int k = 0, end; fresh && k < heap->count; k = end + 1) {
        for (end = k; end < heap->count && heap->parts[end].kind != BLOCK;) end++;
        if (end == k || end_of(&heap->parts[end - 1]) - heap->parts[k].at < bytes) continue;
        Place place = place_in(heap, k, end, bytes);
        if (!best.room || is_better(&place, &best)) best = place;
    }
    return best;
}

/* What of a part lies between the two. */
static Part clip(Part part, int64_t from, int64_t to) {
    int64_t low = part.at > from ? part.at : from, high = end_of(&part) < to ? end_of(&part) : to;
    return (Part){low, high > low ? high - low : 0, part.kind};
}

void *heap_take(Heap *heap, size_t wanted, bool fresh, int64_t *reused) {
    int64_t bytes = ((int64_t)wanted + GRAIN - 1) / GRAIN * GRAIN;
    if (heap->blocks == MOST_BLOCKS || heap->count + 2 > PARTS) return NULL;
    Place place = place_find(heap, bytes, fresh);
    if (!place.room) return NULL;
    int64_t end = place.at + bytes;
    while (end_of(&heap->parts[place.part]) <= place.at) place.part++;
    while (heap->parts[place.end - 1].at >= end) place.end--;
    Part before = clip(heap->parts[place.part], 0, place.at),
         after = clip(heap->parts[place.end - 1], end, heap->bytes);
    replace(heap, place.part, place.end - place.part, (Part[]){before, {place.at, bytes, BLOCK}, after}, 3);
    heap->blocks++;
    *reused = place.reused - (bytes - (int64_t)wanted);
    return heap->base + place.at;
}

/* The part that begins there. */
static int part_at(const Heap *heap, int64_t at) {
    int low = 0, high = heap->count - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (heap->parts[middle].at <= at)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

void heap_give(Heap *heap, void *block) {
    int k = part_at(heap, (char *)block - heap->base);
    heap->parts[k].kind = FREE;
    heap->blocks--;
    join(heap, k);
}

/* ---- pages ---- */

static int64_t page_up(int64_t at) {
    return (at + PAGE - 1) / PAGE * PAGE;
}

static int64_t page_down(int64_t at) {
    return at / PAGE * PAGE;
}

/* What of a free part lies in pages in which no block is. */
static Part pages_of(const Heap *heap, int k) {
    const Part *parts = heap->parts;
    int first = k, last = k;
    int64_t low = page_down(parts[k].at), high = page_up(end_of(&parts[k]));
    while (first > 0 && parts[first - 1].kind != BLOCK && parts[first].at > low) first--;
    while (last + 1 < heap->count && parts[last + 1].kind != BLOCK && end_of(&parts[last]) < high) last++;
    if (parts[first].at > low) low += PAGE;
    if (end_of(&parts[last]) < high) high -= PAGE;
    return clip(parts[k], low, high);
}

int64_t heap_find_free(const Heap *heap, int64_t bytes, int *at) {
    int64_t best = 0;
    for (int k = 0; k < heap->count; k++) {
        if (heap->parts[k].kind != FREE) continue;
        int64_t pages = pages_of(heap, k).bytes;
        bool better = best < bytes ? pages > best : pages >= bytes && pages < best;
        if (!better) continue;
        best = pages;
        *at = k;
    }
    return best;
}

/* No block is in the pages of it. */
static void drop(Heap *heap, Part *goes) {
    int64_t low = page_down(goes->at), high = page_up(end_of(goes));
    goes->kind = DROPPED;
    if (goes->bytes) madvise(heap->base + low, (size_t)(high - low), MADV_DONTNEED);
}

/* Beside what is dropped already, if there is any, else from the end. */
int64_t heap_drop(Heap *heap, int at, int64_t bytes) {
    if (heap->count + 2 > PARTS) return heap_drop_all(heap);
    Part part = heap->parts[at], goes = pages_of(heap, at);
    bool behind = at > 0 && heap->parts[at - 1].kind == DROPPED;
    goes = behind ? clip(goes, goes.at, page_up(goes.at + bytes))
                  : clip(goes, page_down(end_of(&goes) - bytes), end_of(&goes));
    drop(heap, &goes);
    Part before = clip(part, 0, goes.at), after = clip(part, end_of(&goes), heap->bytes);
    replace(heap, at, 1, (Part[]){before, goes, after}, 3);
    join(heap, at + (before.bytes > 0));
    return goes.bytes;
}

/* Of a run of free parts three are left: its whole pages, and what lies before and behind them. */
int64_t heap_drop_all(Heap *heap) {
    int64_t before = with_pages(heap, 0, heap->count, 0, heap->bytes);
    for (int k = 0, end; k < heap->count; k = end + 1) {
        for (end = k; end < heap->count && heap->parts[end].kind != BLOCK;) end++;
        if (end == k) continue;
        Part run = {heap->parts[k].at, end_of(&heap->parts[end - 1]) - heap->parts[k].at, FREE},
             goes = clip(run, page_up(run.at), page_down(end_of(&run)));
        int count = heap->count;
        drop(heap, &goes);
        replace(heap, k, end - k,
                (Part[]){clip(run, 0, goes.at), goes, clip(run, end_of(&goes), heap->bytes)}, 3);
        end += heap->count - count;
    }
    return before - with_pages(heap, 0, heap->count, 0, heap->bytes);
}
