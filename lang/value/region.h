/* region.h: what the files of regions share: the blocks, and the lists that they hang in (region.c). */
#ifndef REGION_H
#define REGION_H

#include "../lang.h"

enum { SPARE_CLASSES = 6, SPARES = 4, LEAST_SPARE = 128 }; /* small builders' blocks, by powers of two */

typedef enum Reach { UNREACHED, REACHED, STAYS } Reach; /* STAYS: by what no later step takes away */

typedef struct Block Block;
struct Block {
    Block *prev, *next; /* the next older one, and the next younger; chunks have no next */
    int64_t bytes;      /* with this header */
    char *fill;         /* of a chunk that is not the newest: where its free part begins */
    int64_t born;       /* of a large one: the region's clock */
    int64_t waste;      /* bytes that nobody asked for: in a spare of the budget's */
    Reach live;         /* during a sweep */
};

struct Region {
    Budget *budget;
    Block *chunk, *block, builders;
    char *next, *end; /* the free part of the newest chunk */
    Block *spare[SPARE_CLASSES];
    int spares[SPARE_CLASSES];
    int64_t large; /* what takes so many bytes has a block of its own */
    int64_t clock; /* how many of these there were */
    bool held;     /* nothing is given back but by region_free */
};

static inline char *region_block_data(Block *block) {
    return (char *)block + REGION_HEADER;
}

/* Back to the budget. */
void region_give(Region *region, Block *block);
/* The list of large blocks. */
void region_list_add(Region *region, Block *block);
void region_list_remove(Region *region, Block *block);
void region_ring_remove(Block *block); /* the ring of builders' blocks */
void region_spares_free(Region *region);

#endif
