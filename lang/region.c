/* region.c: the memory of a run: what a program allocates, until it is released.
 *
 * Every piece of memory that a region has from its budget opens with a Block header, and hangs in one of
 * three lists:
 *
 *     chunk ->  [32K ......next|free] -> [16K .....] -> ... -> [1K ....]     small things, bump-allocated
 *     block ->  [header|64K] -> [header|8M] -> ...                          one large thing each, newest
 * first builders  a ring of the blocks of builders that still grow, in no order
 *
 * A mark is a place in the first two lists, so freeing what came later is popping both until the mark. What is
 * known to be needed no longer leaves the list of large ones before that, if it is younger than all marks. A
 * sweep is that, but spares what a value reaches: the younger blocks are sorted by address, a walk over the
 * value by its type marks those that its pointers fall into, the rest is freed. What a chunk holds lives and
 * goes together.
 *
 * A builder's block may have been made by another region (a builder passed from run to run): the ring needs
 * no header of its owner to unlink it, and bytes are counted by walking, so such a block simply moves.
 *
 * A parallel loop gives each thread a region of its own, which the run's region adopts afterwards: the lists
 * are joined, the other's on top, as if all had been allocated since the loop began.
 */
#include "lang.h"

#include <stdlib.h>
#include <string.h>

/* Under a sanitizer nearly everything is a block of its own, and released memory is overwritten, which shows what
 * compiled code, which has no checks of the sanitizer's, reads too late. */
enum {
    ALIGN = 64,
    HEADER = REGION_HEADER,
    LARGE = SANITIZED ? 32 : 4096,
    POISON = 0xa5,
    FIRST_CHUNK = 1024,
    NEXT_CHUNK = 16 << 10,
    LAST_CHUNK = 32 << 10
};
enum { SPARE_CLASSES = 6, SPARES = 4, LEAST_SPARE = 128 }; /* small builders' blocks, by powers of two */

typedef struct Block Block;
struct Block {
    Block *prev, *next; /* the next older one, and the next younger; chunks have no next */
    int64_t bytes;      /* with this header */
    char *fill;         /* of a chunk that is not the newest: where its free part begins */
    int64_t born;       /* of a large one: the region's clock */
    int64_t waste;      /* bytes that nobody asked for: in a spare of the budget's */
    bool live;          /* during a sweep: it is reached */
};

struct Region {
    Budget *budget;
    Block *chunk, *block, builders;
    char *next, *end; /* the free part of the newest chunk */
    Block *spare[SPARE_CLASSES];
    int spares[SPARE_CLASSES];
    int64_t clock; /* how many large ones there were */
    bool held;     /* nothing is given back but by region_free */
};

/* ---- blocks ---- */

static char *block_data(Block *block) {
    return (char *)block + HEADER;
}

static Block *block_of(void *data) {
    return (Block *)(void *)((char *)data - HEADER);
}

/* The class of a small block of that many bytes with its header, or SPARE_CLASSES. */
static int spare_class(int64_t bytes) {
    int bin = 0;
    while (bin < SPARE_CLASSES && ((int64_t)LEAST_SPARE << bin) < bytes) bin++;
    return bin;
}

static Block *block_take(Region *region, int64_t bytes) {
    size_t size = (size_t)bytes;
    bool classed = spare_class(bytes) < SPARE_CLASSES;
    Block *block =
        classed ? budget_take(region->budget, size) : budget_take_about(region->budget, size, &size);
    if (!block) return NULL;
    memset(block, 0, sizeof *block);
    block->bytes = (int64_t)size;
    block->waste = (int64_t)size - bytes;
    return block;
}

static void block_give(Region *region, Block *block) {
    budget_give_about(region->budget, block, (size_t)block->bytes, (size_t)block->waste);
}

/* A large one becomes the youngest. */
static void list_add(Region *region, Block *block) {
    block->born = ++region->clock;
    block->prev = region->block;
    block->next = NULL;
    if (region->block) region->block->next = block;
    region->block = block;
}

static void list_remove(Region *region, Block *block) {
    if (block->prev) block->prev->next = block->next;
    *(block->next ? &block->next->prev : &region->block) = block->prev;
}

static void ring_add(Block *ring, Block *block) {
    block->prev = ring;
    block->next = ring->next;
    ring->next->prev = block;
    ring->next = block;
}

static void ring_remove(Block *block) {
    block->prev->next = block->next;
    block->next->prev = block->prev;
}

static void spares_free(Region *region) {
    for (int bin = 0; bin < SPARE_CLASSES; bin++) {
        for (Block *block = region->spare[bin], *prev; block; block = prev) {
            prev = block->prev;
            block_give(region, block);
        }
        region->spare[bin] = NULL;
        region->spares[bin] = 0;
    }
}

/* ---- regions ---- */

Region *region_new(Budget *budget) {
    Region *region = budget_take(budget, sizeof *region);
    if (!region) return NULL;
    memset(region, 0, sizeof *region);
    region->budget = budget;
    region->builders.prev = region->builders.next = &region->builders;
    return region;
}

void region_hold(Region *region) {
    region->held = true;
}

void region_free(Region *region) {
    if (!region) return;
    region->held = false;
    region_reset(region, (RegionMark){0});
    while (region->builders.next != &region->builders) {
        Block *block = region->builders.next;
        ring_remove(block);
        block_give(region, block);
    }
    spares_free(region);
    budget_give(region->budget, region, sizeof *region);
}

Budget *region_budget(const Region *region) {
    return region->budget;
}

static void *alloc_large(Region *region, int64_t size) {
    Block *block = block_take(region, size + HEADER);
    if (!block) return NULL;
    list_add(region, block);
    return block_data(block);
}

/* As large as all chunks together, so that they double; a loop whose state moves from chunk to chunk, each
 * swept away after it, stays with small ones. */
static int64_t next_chunk_bytes(const Region *region, int64_t least) {
    int64_t together = 0, bytes = region->chunk ? NEXT_CHUNK : FIRST_CHUNK;
    for (const Block *chunk = region->chunk; chunk && together < LAST_CHUNK; chunk = chunk->prev) {
        together += chunk->bytes;
    }
    while (bytes < LAST_CHUNK && (bytes < together || bytes < least)) bytes *= 2;
    return bytes;
}

static void *alloc_from_new_chunk(Region *region, int64_t size) {
    int64_t bytes = next_chunk_bytes(region, size + HEADER);
    Block *chunk = block_take(region, bytes);
    if (!chunk) chunk = block_take(region, bytes = size + HEADER); /* near the limit */
    if (!chunk) return NULL;
    if (region->chunk) region->chunk->fill = region->next;
    chunk->prev = region->chunk;
    region->chunk = chunk;
    region->next = block_data(chunk) + size;
    region->end = (char *)chunk + chunk->bytes;
    return block_data(chunk);
}

void *region_alloc(Region *region, int64_t bytes) {
    if (bytes < 0 || bytes > BUDGET_MOST) return NULL;
    int64_t size = bytes ? (bytes + 15) & ~(int64_t)15 : 16;
    if (size >= LARGE) return alloc_large(region, size);
    if (size > region->end - region->next) return alloc_from_new_chunk(region, size);
    char *at = region->next;
    region->next += size;
    return at;
}

RegionMark region_mark(const Region *region) {
    return (RegionMark){region->chunk, region->block, region->next};
}

void region_reset(Region *region, RegionMark mark) {
    if (region->held) return;
    while (region->chunk != mark.chunk) {
        Block *prev = region->chunk->prev;
        block_give(region, region->chunk);
        region->chunk = prev;
        region->end = prev ? (char *)prev + prev->bytes : NULL;
    }
    region->next = mark.next;
    while (region->block != mark.block) {
        Block *prev = region->block->prev;
        block_give(region, region->block);
        region->block = prev;
    }
    if (region->block) region->block->next = NULL;
}

void region_release(Region *region, void *data, int64_t bytes) {
    if (region->held || bytes < LARGE) return; /* what is small shares a chunk */
    Block *block = block_of(data);
    list_remove(region, block);
    if (SANITIZED) memset(data, POISON, (size_t)(block->bytes - HEADER));
    block_give(region, block);
}

static bool block_holds(const Block *block, const void *pointer) {
    return (const char *)pointer >= (const char *)block &&
           (const char *)pointer < (const char *)block + block->bytes;
}

bool region_since(const Region *region, RegionMark mark, const void *pointer) {
    for (const Block *chunk = region->chunk; chunk != mark.chunk; chunk = chunk->prev) {
        if (block_holds(chunk, pointer)) return true;
    }
    if (mark.chunk && block_holds(mark.chunk, pointer)) return (const char *)pointer >= mark.next;
    for (const Block *block = region->block; block != mark.block; block = block->prev) {
        if (block_holds(block, pointer)) return true;
    }
    return false;
}

bool region_owns(const Region *region, const void *pointer) {
    if (region_since(region, (RegionMark){0}, pointer)) return true;
    for (const Block *block = region->builders.next; block != &region->builders; block = block->next) {
        if (block_holds(block, pointer)) return true;
    }
    return false;
}

int64_t region_bytes(const Region *region) {
    int64_t bytes = sizeof *region;
    for (const Block *chunk = region->chunk; chunk; chunk = chunk->prev) bytes += chunk->bytes;
    for (const Block *block = region->block; block; block = block->prev) bytes += block->bytes;
    for (const Block *block = region->builders.next; block != &region->builders; block = block->next) {
        bytes += block->bytes;
    }
    for (int bin = 0; bin < SPARE_CLASSES; bin++) {
        for (const Block *block = region->spare[bin]; block; block = block->prev) bytes += block->bytes;
    }
    return bytes;
}

/* ---- builders' blocks ---- */

static Block *builder_take(Region *region, int64_t bytes) {
    int bin = spare_class(bytes + HEADER);
    Block *block;
    if (bin == SPARE_CLASSES) {
        block = block_take(region, bytes + HEADER);
    } else if (region->spare[bin]) {
        block = region->spare[bin];
        region->spare[bin] = block->prev;
        region->spares[bin]--;
    } else {
        block = block_take(region, (int64_t)LEAST_SPARE << bin);
    }
    if (block) ring_add(&region->builders, block);
    return block;
}

static void builder_give(Region *region, Block *block) {
    ring_remove(block);
    int bin = spare_class(block->bytes);
    if (bin == SPARE_CLASSES || region->spares[bin] == SPARES) {
        block_give(region, block);
        return;
    }
    block->prev = region->spare[bin];
    region->spare[bin] = block;
    region->spares[bin]++;
}

/* Without a copy, where the budget can. NULL: the block is as it was. */
static Block *builder_resize(Region *region, Block *block, int64_t bytes) {
    if (spare_class(block->bytes) < SPARE_CLASSES || spare_class(bytes + HEADER) < SPARE_CLASSES) return NULL;
    ring_remove(block);
    Block *moved = budget_resize(region->budget, block, (size_t)block->bytes, (size_t)(bytes + HEADER));
    if (moved) moved->bytes = bytes + HEADER;
    ring_add(&region->builders, moved ? moved : block);
    return moved;
}

void *region_grow(Region *region, void *data, int64_t bytes) {
    if (bytes < 0 || bytes > BUDGET_MOST) return NULL;
    if (bytes == 0) {
        if (data) builder_give(region, block_of(data));
        return NULL;
    }
    int64_t room = data ? block_of(data)->bytes - HEADER : 0;
    if (bytes <= room && (room < LARGE || bytes > room / 2)) return data;
    Block *block = data ? builder_resize(region, block_of(data), bytes) : NULL;
    if (block) return block_data(block);
    block = builder_take(region, bytes);
    if (!block) return NULL;
    if (data) {
        memcpy(block_data(block), data, (size_t)(bytes < room ? bytes : room));
        builder_give(region, block_of(data));
    }
    return block_data(block);
}

/* A small block moves into a chunk, and one that is mostly empty to where it fits, unless the budget shrinks
 * it; another one, or one for which there is no memory to move to, changes lists. */
void *region_settle(Region *region, void *data, int64_t bytes) {
    if (!data) return region_alloc(region, bytes);
    Block *block = block_of(data), *resized = NULL;
    if (bytes >= LARGE && bytes < block->bytes - HEADER) resized = builder_resize(region, block, bytes);
    if (resized) block = resized;
    if (bytes < LARGE || bytes < (block->bytes - block->waste - HEADER) / 2) {
        void *copy = region_alloc(region, bytes);
        if (copy) {
            memcpy(copy, data, (size_t)bytes);
            builder_give(region, block);
            return copy;
        }
    }
    ring_remove(block);
    list_add(region, block);
    return block_data(block);
}

void region_adopt(Region *region, Region *other, bool all) {
    Block *ring = &other->builders;
    if (ring->next != ring) {
        ring->prev->next = region->builders.next;
        region->builders.next->prev = ring->prev;
        ring->next->prev = &region->builders;
        region->builders.next = ring->next;
        ring->prev = ring->next = ring;
    }
    if (!all) return;
    Block *oldest = other->block;
    int64_t born = region->clock += other->clock; /* more than there are */
    for (Block *block = oldest; block; block = block->prev) block->born = born--;
    while (oldest && oldest->prev) oldest = oldest->prev;
    if (oldest) {
        oldest->prev = region->block;
        if (region->block) region->block->next = oldest;
        region->block = other->block;
    }
    oldest = other->chunk;
    while (oldest && oldest->prev) oldest = oldest->prev;
    if (oldest) {
        if (region->chunk) region->chunk->fill = region->next;
        oldest->prev = region->chunk;
        region->chunk = other->chunk;
        region->next = other->next;
        region->end = other->end;
    }
    other->chunk = other->block = NULL;
    other->next = other->end = NULL;
}

/* ---- sweeping ---- */

typedef struct Range {
    char *begin, *end;
    Block *block;
} Range;

typedef struct Sweep {
    Range *ranges, *last; /* by address; last: the latest hit */
    int64_t count, unmarked;
} Sweep;

static void sweep_pointer(Sweep *sweep, const void *pointer) {
    const char *at = pointer;
    Range *range = sweep->last;
    if (!range || at < range->begin || at >= range->end) {
        int64_t low = 0, high = sweep->count; /* the first range that ends beyond it */
        while (low < high) {
            int64_t middle = low + (high - low) / 2;
            if (sweep->ranges[middle].end <= at)
                low = middle + 1;
            else
                high = middle;
        }
        if (low == sweep->count || at < sweep->ranges[low].begin) return;
        range = sweep->last = &sweep->ranges[low];
    }
    if (!range->block->live) sweep->unmarked--;
    range->block->live = true;
}

static void sweep_value(Sweep *sweep, const Type *type, const void *value);

static void sweep_elements(Sweep *sweep, const Type *type, const void *data, int64_t length) {
    if (!data || length <= 0 || type->size == 0) return;
    sweep_pointer(sweep, data);
    if (!type->pointers) return;
    for (int64_t i = 0; i < length && sweep->unmarked; i++) {
        sweep_value(sweep, type, (const char *)data + i * type->size);
    }
}

/* In a group that grows the entries' vectors have lengths but no data yet; the values lie together apart. */
static void sweep_dict(Sweep *sweep, const Type *type, const Dict *dict) {
    if (!dict) return;
    EntryType room;
    const Type *entry = dict_entry_layout(type, &room);
    bool grows = type->kind == TY_groupmerger && dict->values >= 0;
    sweep_pointer(sweep, dict);
    sweep_pointer(sweep, dict->index);
    sweep_pointer(sweep, dict->entries);
    if (dict->table) sweep_pointer(sweep, dict->table);
    if (dict->direct) sweep_pointer(sweep, dict->direct);
    for (int64_t i = 0; i < dict->length && entry->pointers && sweep->unmarked; i++) {
        const char *at = dict->entries + i * entry->size;
        sweep_value(sweep, entry->args[0], at);
        if (!grows) sweep_value(sweep, entry->args[1], at + entry->offsets[1]);
    }
    if (!grows) return;
    sweep_pointer(sweep, dict->group);
    sweep_elements(sweep, type->args[1], dict->value, dict->values);
}

static void sweep_value(Sweep *sweep, const Type *type, const void *value) {
    if (!type->pointers || !sweep->unmarked) return;
    void *const *pointer = value;
    switch (type->kind) {
    case TY_struct:
        for (int i = 0; i < type->count; i++) {
            sweep_value(sweep, type->args[i], (const char *)value + type->offsets[i]);
        }
        break;
    case TY_vec: {
        const Vec *vec = value;
        sweep_elements(sweep, type->args[0], vec->data, vec->length);
        break;
    }
    case TY_dict: sweep_dict(sweep, type, *pointer); break;
    case TY_dictmerger:
    case TY_groupmerger:
        if (!*pointer) break;
        sweep_pointer(sweep, *pointer);
        sweep_dict(sweep, type, *(Dict **)*pointer);
        break;
    case TY_appender:
    case TY_vecmerger: {
        const Appender *state = *pointer;
        if (!state) break;
        sweep_pointer(sweep, state);
        sweep_elements(sweep, type->args[0], state->data, state->length);
        break;
    }
    case TY_merger:
        if (*pointer) sweep_pointer(sweep, *pointer);
        break;
    default: break;
    }
}

static int range_order(const void *a, const void *b) {
    const char *x = ((const Range *)a)->begin, *y = ((const Range *)b)->begin;
    return x < y ? -1 : x > y;
}

/* What may go: the blocks younger than the mark, the young part of the mark's chunk, and all builders'
 * blocks. With ranges NULL only counts. */
static int64_t sweep_ranges(const Region *region, RegionMark mark, bool builders, Range *ranges) {
    int64_t count = 0;
    for (Block *chunk = region->chunk; chunk; chunk = chunk->prev) {
        char *fill = chunk == region->chunk ? region->next : chunk->fill;
        char *begin = chunk == mark.chunk ? mark.next : block_data(chunk);
        if (chunk == mark.chunk && fill == begin) break;
        if (ranges) ranges[count] = (Range){begin, fill, chunk};
        count++;
        if (chunk == mark.chunk) break;
    }
    for (Block *block = region->block; block != mark.block; block = block->prev, count++) {
        if (ranges) ranges[count] = (Range){block_data(block), (char *)block + block->bytes, block};
    }
    if (!builders) return count;
    for (Block *block = region->builders.next; block != &region->builders; block = block->next, count++) {
        if (ranges) ranges[count] = (Range){block_data(block), (char *)block + block->bytes, block};
    }
    return count;
}

/* Frees the blocks of a list before stop that are not live; returns the list that is left. */
static Block *sweep_list(Region *region, Block *list, Block *stop) {
    Block **link = &list, *younger = NULL;
    while (*link != stop) {
        Block *block = *link;
        if (block->live) {
            block->live = false;
            block->next = younger;
            younger = block;
            link = &block->prev;
        } else {
            *link = block->prev;
            block_give(region, block);
        }
    }
    if (stop) stop->next = younger;
    return list;
}

static void sweep_free(Region *region, RegionMark mark, bool builders) {
    Block *old = mark.chunk;
    if (region->chunk) region->chunk->fill = region->next;
    if (old && !old->live) old->fill = mark.next;
    if (old) old->live = false;
    region->chunk = sweep_list(region, region->chunk, old);
    region->next = region->chunk ? region->chunk->fill : NULL;
    region->end = region->chunk ? (char *)region->chunk + region->chunk->bytes : NULL;
    region->block = sweep_list(region, region->block, mark.block);
    if (!builders) return;
    for (Block *block = region->builders.next, *next; block != &region->builders; block = next) {
        next = block->next;
        if (block->live) {
            block->live = false;
        } else {
            ring_remove(block);
            block_give(region, block);
        }
    }
    spares_free(region);
}

static void sweep(Region *region, RegionMark mark, const Type *type, const void *root, bool builders) {
    enum { FEW = 32 };
    Range few[FEW];
    Sweep state = {few, NULL, sweep_ranges(region, mark, builders, NULL), 0};
    size_t bytes = sizeof *few * (size_t)state.count;
    if (state.count > FEW) state.ranges = budget_take(region->budget, bytes);
    if (!state.ranges) return; /* then nothing is freed yet */
    sweep_ranges(region, mark, builders, state.ranges);
    state.unmarked = state.count;
    if (type->pointers && state.count) {
        qsort(state.ranges, (size_t)state.count, sizeof *few, range_order);
        sweep_value(&state, type, root);
    }
    if (state.ranges != few) budget_give(region->budget, state.ranges, bytes);
    sweep_free(region, mark, builders);
}

void region_sweep(Region *region, RegionMark mark, const Type *type, const void *root) {
    sweep(region, mark, type, root, false);
}

int64_t region_clock(const Region *region) {
    return region->clock;
}

static void renew(Region *region, Sweep *state, int64_t clock, const Type *type, const void *value,
                  const RegionRoot *roots, int64_t nroots) {
    int64_t count = 0;
    for (Block *block = region->block; block && block->born > clock; block = block->prev)
        state->ranges[count++] = (Range){block_data(block), (char *)block + block->bytes, block};
    state->count = state->unmarked = count;
    qsort(state->ranges, (size_t)count, sizeof *state->ranges, range_order);
    for (int64_t i = 0; i < nroots; i++) sweep_value(state, roots[i].type, roots[i].value);
    int64_t left = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!state->ranges[i].block->live) state->ranges[left++] = state->ranges[i];
        state->ranges[i].block->live = false;
    }
    state->last = NULL;
    state->count = state->unmarked = left;
    sweep_value(state, type, value);
    for (int64_t i = 0; i < left; i++) {
        if (state->ranges[i].block->live) list_remove(region, state->ranges[i].block);
    }
}

RegionMark region_renew(Region *region, int64_t clock, const Type *type, const void *value,
                        const RegionRoot *roots, int64_t nroots) {
    Sweep state = {0};
    int64_t count = 0;
    for (const Block *block = region->block; block && block->born > clock; block = block->prev) count++;
    size_t bytes = sizeof(Range) * (size_t)count;
    if (count) state.ranges = budget_take(region->budget, bytes);
    if (state.ranges) renew(region, &state, clock, type, value, roots, nroots);
    RegionMark mark = region_mark(region);
    for (int64_t i = 0; i < state.count; i++) {
        Block *block = state.ranges[i].block;
        if (block->live) list_add(region, block);
        block->live = false;
    }
    budget_give(region->budget, state.ranges, bytes);
    return mark;
}

void region_finish(Region *region, RegionMark mark, const Type *type, const void *root) {
    sweep(region, mark, type, root, !mark.chunk && !mark.block);
}
