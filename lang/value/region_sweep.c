/* region_sweep.c: what a region frees although it is younger than what is kept: all that a value does not reach.
 *
 * The younger blocks are sorted by address, a walk over the value by its type marks those that its pointers fall into, the rest is
 * freed. What a chunk holds lives and goes together.
 *
 * An iterate that collects vectors would walk over all of them after each step. So what the elements of appenders that only grow
 * reach moves down in the lists, and the mark moves above it:
 *
 *     block ->  [young] -> [of element 8] -> [state] -> [of element 7] -> | mark | -> [old]
 *         =>    [young] -> [state] -> | mark | -> [of element 8] -> [of element 7] -> [old]
 *
 * The newest chunk cannot move: the steps remember it.
 */
#include "region.h"

#include <stdlib.h>

typedef struct Range {
    char *begin, *end;
    Block *block;
} Range;

typedef struct Sweep {
    Range *ranges, *last; /* by address; last: the latest hit */
    int64_t count, unmarked;
    Reach reach; /* what is reached now becomes that */
    RegionSteps *steps;
    const char *root; /* steps: the state */
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
    if (range->block->live < sweep->reach) range->block->live = sweep->reach;
}

static bool is_growing(const Sweep *sweep, const void *value) {
    for (int64_t i = 0; sweep->steps && i < sweep->steps->count; i++) {
        if (value == sweep->root + sweep->steps->growing[i].offset) return true;
    }
    return false;
}

static void sweep_value(Sweep *sweep, const Type *type, const void *value);

static void sweep_from(Sweep *sweep, const Type *type, const void *data, int64_t from, int64_t length) {
    if (!type->pointers) return;
    for (int64_t i = from; i < length && sweep->unmarked; i++) {
        sweep_value(sweep, type, (const char *)data + i * type->size);
    }
}

static void sweep_elements(Sweep *sweep, const Type *type, const void *data, int64_t length) {
    if (!data || length <= 0 || type->size == 0) return;
    sweep_pointer(sweep, data);
    sweep_from(sweep, type, data, 0, length);
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
        if (is_growing(sweep, value))
            sweep_pointer(sweep, state->data);
        else
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
        char *begin = chunk == mark.chunk ? mark.next : region_block_data(chunk);
        if (chunk == mark.chunk && fill == begin) break;
        if (ranges) ranges[count] = (Range){begin, fill, chunk};
        count++;
        if (chunk == mark.chunk) break;
    }
    for (Block *block = region->block; block != mark.block; block = block->prev, count++) {
        if (ranges) ranges[count] = (Range){region_block_data(block), (char *)block + block->bytes, block};
    }
    if (!builders) return count;
    for (Block *block = region->builders.next; block != &region->builders; block = block->next, count++) {
        if (ranges) ranges[count] = (Range){region_block_data(block), (char *)block + block->bytes, block};
    }
    return count;
}

/* Frees the blocks of a list before stop that are not live; returns the list that is left. Of that, what stays comes last, if
 * `kept` is there for the first of it; the list's first does not move if it is a chunk. */
static Block *sweep_list(Region *region, Block *list, Block *stop, bool chunks, Block **kept) {
    Block **link = &list, *younger = NULL, *stays = NULL, **last = &stays, *youngest = NULL;
    while (*link != stop) {
        Block *block = *link;
        Reach live = block->live;
        bool moves = kept && live == STAYS && (!chunks || younger);
        block->live = UNREACHED;
        if (live && !moves) {
            block->next = younger;
            younger = block;
            link = &block->prev;
            continue;
        }
        *link = block->prev;
        if (!live) {
            region_give(region, block);
        } else {
            block->next = youngest;
            youngest = block;
            *last = block;
            last = &block->prev;
        }
    }
    if (stays) {
        *last = stop;
        *link = *kept = stays;
        stays->next = younger;
        younger = youngest;
    }
    if (stop) stop->next = younger;
    return list;
}

/* The young part of the mark's chunk, and all chunks above it. */
static void sweep_chunks(Region *region, RegionMark *mark, RegionSteps *steps) {
    Block *old = mark->chunk, *kept = NULL, *newest = region->chunk;
    Reach live = old ? old->live : UNREACHED;
    if (newest) newest->fill = region->next;
    if (old && !live) old->fill = mark->next;
    if (old) old->live = UNREACHED;
    while (newest != old && !newest->live) newest = newest->prev;
    bool stays = newest && newest != old ? newest->live == STAYS : live == STAYS;
    region->chunk = sweep_list(region, region->chunk, old, true, steps ? &kept : NULL);
    region->next = region->chunk ? region->chunk->fill : NULL;
    region->end = region->chunk ? (char *)region->chunk + region->chunk->bytes : NULL;
    if (!steps) return;
    steps->chunk = stays ? newest : NULL;
    if (live == STAYS && newest != old) mark->next = old->fill;
    if (kept) *mark = (RegionMark){kept, mark->block, kept->fill};
}

static void sweep_free(Region *region, RegionMark *mark, RegionSteps *steps, bool builders) {
    Block *kept = NULL;
    sweep_chunks(region, mark, steps);
    region->block = sweep_list(region, region->block, mark->block, false, steps ? &kept : NULL);
    if (kept) mark->block = kept;
    if (!builders) return;
    for (Block *block = region->builders.next, *next; block != &region->builders; block = next) {
        next = block->next;
        if (block->live) {
            block->live = UNREACHED;
        } else {
            region_ring_remove(block);
            region_give(region, block);
        }
    }
    region_spares_free(region);
}

/* What the elements reach that no sweep has seen; what stays already is not counted. */
static void sweep_growing(Sweep *sweep, const Type *type, const char *root, int64_t at) {
    RegionSteps *steps = sweep->steps;
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++)
            sweep_growing(sweep, type->args[i], root, at + type->offsets[i]);
        return;
    }
    for (int64_t i = 0; type->kind == TY_appender && i < steps->count; i++) {
        const Appender *state = *(Appender *const *)(const void *)(root + at);
        if (steps->growing[i].offset != at || !state) continue;
        sweep_from(sweep, type->args[0], state->data, steps->growing[i].seen, state->length);
        steps->growing[i].seen = state->length;
    }
}

static void sweep_roots(Sweep *sweep, const Type *type, const void *root) {
    if (sweep->steps) {
        for (int64_t i = 0; i < sweep->count; i++) {
            if (sweep->ranges[i].block != sweep->steps->chunk) continue;
            sweep->ranges[i].block->live = STAYS;
            sweep->unmarked--;
        }
        sweep->reach = STAYS;
        sweep_growing(sweep, type, root, 0);
        sweep->reach = REACHED;
    }
    sweep_value(sweep, type, root);
}

static void sweep(Region *region, RegionMark *mark, RegionSteps *steps, const Type *type, const void *root,
                  bool builders) {
    enum { FEW = 32 };
    Range few[FEW];
    Sweep state = {.ranges = few,
                   .count = sweep_ranges(region, *mark, builders, NULL),
                   .reach = REACHED,
                   .steps = steps,
                   .root = root};
    size_t bytes = sizeof *few * (size_t)state.count;
    if (state.count > FEW) state.ranges = budget_take(region->budget, bytes);
    if (!state.ranges) return; /* then nothing is freed yet */
    sweep_ranges(region, *mark, builders, state.ranges);
    state.unmarked = state.count;
    if (type->pointers && state.count) {
        qsort(state.ranges, (size_t)state.count, sizeof *few, range_order);
        sweep_roots(&state, type, root);
    }
    if (state.ranges != few) budget_give(region->budget, state.ranges, bytes);
    sweep_free(region, mark, steps, builders);
}

void region_sweep(Region *region, RegionMark mark, const Type *type, const void *root) {
    sweep(region, &mark, NULL, type, root, false);
}

void region_sweep_step(Region *region, RegionSteps *steps, const Type *type, const void *root) {
    sweep(region, &steps->mark, steps, type, root, false);
}

static void renew(Region *region, Sweep *state, int64_t clock, const Type *type, const void *value,
                  const RegionRoot *roots, int64_t nroots) {
    int64_t count = 0;
    for (Block *block = region->block; block && block->born > clock; block = block->prev)
        state->ranges[count++] = (Range){region_block_data(block), (char *)block + block->bytes, block};
    state->count = state->unmarked = count;
    qsort(state->ranges, (size_t)count, sizeof *state->ranges, range_order);
    for (int64_t i = 0; i < nroots; i++) sweep_value(state, roots[i].type, roots[i].value);
    int64_t left = 0;
    for (int64_t i = 0; i < count; i++) {
        if (!state->ranges[i].block->live) state->ranges[left++] = state->ranges[i];
        state->ranges[i].block->live = UNREACHED;
    }
    state->last = NULL;
    state->count = state->unmarked = left;
    sweep_value(state, type, value);
    for (int64_t i = 0; i < left; i++) {
        if (state->ranges[i].block->live) region_list_remove(region, state->ranges[i].block);
    }
}

RegionMark region_renew(Region *region, int64_t clock, const Type *type, const void *value,
                        const RegionRoot *roots, int64_t nroots) {
    Sweep state = {.reach = REACHED};
    int64_t count = 0;
    for (const Block *block = region->block; block && block->born > clock; block = block->prev) count++;
    size_t bytes = sizeof(Range) * (size_t)count;
    if (count) state.ranges = budget_take(region->budget, bytes);
    if (state.ranges) renew(region, &state, clock, type, value, roots, nroots);
    RegionMark mark = region_mark(region);
    for (int64_t i = 0; i < state.count; i++) {
        Block *block = state.ranges[i].block;
        if (block->live) region_list_add(region, block);
        block->live = UNREACHED;
    }
    budget_give(region->budget, state.ranges, bytes);
    return mark;
}

void region_finish(Region *region, RegionMark mark, const Type *type, const void *root) {
    sweep(region, &mark, NULL, type, root, !mark.chunk && !mark.block);
}
