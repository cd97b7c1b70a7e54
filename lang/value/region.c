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
 * sweep (region_sweep.c) is that, but spares what a value reaches.
 *
 * A builder's block may have been made by another region (a builder passed from run to run): the ring needs
 * no header of its owner to unlink it, and bytes are counted by walking, so such a block simply moves.
 *
 * A parallel loop gives each thread a region of its own, which the run's region adopts afterwards: the lists
 * are joined, the other's on top, as if all had been allocated since the loop began.
 */
#include "region.h"

#include <stdlib.h>
#include <string.h>

/* Under a sanitizer nearly everything is a block of its own, and released memory is overwritten, which shows what
 * compiled code, which has no checks of the sanitizer's, reads too late. */
enum {
    ALIGN = 64,
    HEADER = REGION_HEADER,
    LARGE = SANITIZED ? 32 : 4096,
    LARGE_APART = 32,
    POISON = 0xa5,
    FIRST_CHUNK = 1024,
    NEXT_CHUNK = 16 << 10,
    LAST_CHUNK = 32 << 10
};

/* ---- blocks ---- */

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

void region_give(Region *region, Block *block) {
    budget_give_about(region->budget, block, (size_t)block->bytes, (size_t)block->waste);
}

/* A large one becomes the youngest. */
void region_list_add(Region *region, Block *block) {
    block->born = ++region->clock;
    block->prev = region->block;
    block->next = NULL;
    if (region->block) region->block->next = block;
    region->block = block;
}

void region_list_remove(Region *region, Block *block) {
    if (block->prev) block->prev->next = block->next;
    *(block->next ? &block->next->prev : &region->block) = block->prev;
}

static void ring_add(Block *ring, Block *block) {
    block->prev = ring;
    block->next = ring->next;
    ring->next->prev = block;
    ring->next = block;
}

void region_ring_remove(Block *block) {
    block->prev->next = block->next;
    block->next->prev = block->prev;
}

void region_spares_free(Region *region) {
    for (int bin = 0; bin < SPARE_CLASSES; bin++) {
        for (Block *block = region->spare[bin], *prev; block; block = prev) {
            prev = block->prev;
            region_give(region, block);
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
    region->large = budget->apart ? LARGE_APART : LARGE;
    region->builders.prev = region->builders.next = &region->builders;
    return region;
}

void region_set_apart(Region *region, bool apart) {
    region->budget->apart = apart;
    region->large = apart ? LARGE_APART : LARGE;
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
        region_ring_remove(block);
        region_give(region, block);
    }
    region_spares_free(region);
    budget_give(region->budget, region, sizeof *region);
}

Budget *region_budget(const Region *region) {
    return region->budget;
}

static void *alloc_large(Region *region, int64_t size) {
    Block *block = block_take(region, size + HEADER);
    if (!block) return NULL;
    region_list_add(region, block);
    return region_block_data(block);
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
    region->next = region_block_data(chunk) + size;
    region->end = (char *)chunk + chunk->bytes;
    return region_block_data(chunk);
}

void *region_alloc(Region *region, int64_t bytes) {
    if (bytes < 0 || bytes > BUDGET_MOST) return NULL;
    int64_t size = bytes ? (bytes + 15) & ~(int64_t)15 : 16;
    if (size >= region->large) return alloc_large(region, size);
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
        region_give(region, region->chunk);
        region->chunk = prev;
        region->end = prev ? (char *)prev + prev->bytes : NULL;
    }
    region->next = mark.next;
    while (region->block != mark.block) {
        Block *prev = region->block->prev;
        region_give(region, region->block);
        region->block = prev;
    }
    if (region->block) region->block->next = NULL;
}

void region_release(Region *region, void *data, int64_t bytes) {
    if (region->held || bytes < region->large) return; /* what is small shares a chunk */
    Block *block = block_of(data);
    region_list_remove(region, block);
    if (SANITIZED) memset(data, POISON, (size_t)(block->bytes - HEADER));
    region_give(region, block);
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
    region_ring_remove(block);
    int bin = spare_class(block->bytes);
    if (bin == SPARE_CLASSES || region->spares[bin] == SPARES) {
        region_give(region, block);
        return;
    }
    block->prev = region->spare[bin];
    region->spare[bin] = block;
    region->spares[bin]++;
}

/* Without a copy, where the budget can. NULL: the block is as it was. */
static Block *builder_resize(Region *region, Block *block, int64_t bytes) {
    if (spare_class(block->bytes) < SPARE_CLASSES || spare_class(bytes + HEADER) < SPARE_CLASSES) return NULL;
    region_ring_remove(block);
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
    if (bytes <= room && (room < region->large || bytes > room / 2)) return data;
    Block *block = data ? builder_resize(region, block_of(data), bytes) : NULL;
    if (block) return region_block_data(block);
    block = builder_take(region, bytes);
    if (!block) return NULL;
    if (data) {
        memcpy(region_block_data(block), data, (size_t)(bytes < room ? bytes : room));
        builder_give(region, block_of(data));
    }
    return region_block_data(block);
}

/* A small block moves into a chunk, and one that is mostly empty to where it fits, unless the budget shrinks
 * it; another one, or one for which there is no memory to move to, changes lists. */
void *region_settle(Region *region, void *data, int64_t bytes) {
    if (!data) return region_alloc(region, bytes);
    Block *block = block_of(data), *resized = NULL;
    if (bytes >= region->large && bytes < block->bytes - HEADER)
        resized = builder_resize(region, block, bytes);
    if (resized) block = resized;
    if (bytes < region->large || bytes < (block->bytes - block->waste - HEADER) / 2) {
        void *copy = region_alloc(region, bytes);
        if (copy) {
            memcpy(copy, data, (size_t)bytes);
            builder_give(region, block);
            return copy;
        }
    }
    region_ring_remove(block);
    region_list_add(region, block);
    return region_block_data(block);
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

int64_t region_clock(const Region *region) {
    return region->clock;
}
