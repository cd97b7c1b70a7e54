/* test_heap.c: blocks in one range of addresses: none overlaps another, all bytes are accounted for, and pages go. */
#include "../../lang/value/heap.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

enum { RANGE = 64 << 20 };

static Heap *heap;

static void setup(void) {
    heap = heap_new(RANGE, false);
    cr_assert(heap);
}

static void teardown(void) {
    heap_free(heap);
}

TestSuite(heap, .init = setup, .fini = teardown);

Test(heap, neighbours_that_are_free_are_one) {
    int64_t reused;
    char *a = heap_take(heap, 10000, true, &reused), *b = heap_take(heap, 10000, true, &reused),
         *c = heap_take(heap, 10000, true, &reused);
    cr_expect(a && b == a + 10048 && c == b + 10048 && reused == -48);
    heap_give(heap, a);
    heap_give(heap, b);
    cr_expect_null(heap_take(heap, 20097, false, &reused));
    cr_expect_eq(heap_take(heap, 20096, false, &reused), a);
    cr_expect_eq(reused, 20096);
    heap_give(heap, a);
    cr_expect_eq(heap_take(heap, 100, false, &reused), a);
    cr_expect(heap_owns(heap, c) && !heap_owns(heap, &reused) && heap_blocks(heap) == 2);
}

/* Where nothing that is free is large enough, what is free is used as far as it goes. */
Test(heap, a_block_grows_into_new_pages) {
    int64_t reused;
    char *a = heap_take(heap, 64000, true, &reused);
    heap_give(heap, a);
    cr_expect_null(heap_take(heap, 128000, false, &reused));
    cr_expect_eq(heap_take(heap, 128000, true, &reused), a);
    cr_expect_eq(reused, 64000);
}

Test(heap, pages_go) {
    int64_t reused;
    int at = -1;
    char *a = heap_take(heap, 64 << 10, true, &reused), *b = heap_take(heap, 1 << 20, true, &reused);
    memset(a, 1, 64 << 10);
    memset(b, 2, 1 << 20);
    heap_give(heap, a);
    cr_expect_eq(heap_find_free(heap, 1000, &at), 64 << 10);
    cr_expect_eq(heap_drop(heap, at, 5000), 8192);
    cr_expect_eq(heap_find_free(heap, 1000, &at), (64 << 10) - 8192);
    cr_expect_eq(heap_drop_all(heap), (64 << 10) - 8192);
    cr_expect_eq(heap_find_free(heap, 1, &at), 0);
    cr_expect_eq(heap_take(heap, 64 << 10, true, &reused), a);
    cr_expect(reused == 0 && a[0] == 0 && b[0] == 2 && b[(1 << 20) - 1] == 2);
}

/* More blocks than there is room for, and holes between all of them: some are refused, and still all pages can go. */
Test(heap, as_many_blocks_as_it_can_tell_apart) {
    enum { MOST = 5000, BYTES = 9000 };
    char *blocks[MOST];
    int64_t reused, free_bytes = 0;
    int count = 0, at, bytes = BYTES;
    while (count < MOST && (blocks[count] = heap_take(heap, BYTES, true, &reused))) count++;
    cr_assert(count > 1000 && count < MOST);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < count; i += 2, free_bytes += bytes) heap_give(heap, blocks[i]);
        while (heap_find_free(heap, 4096, &at)) {
            int64_t dropped = heap_drop(heap, at, 4096);
            cr_assert_gt(dropped, 0);
            free_bytes -= dropped;
        }
        cr_expect_leq(free_bytes, 8192 * (int64_t)(heap_blocks(heap) + 1));
        bytes = BYTES - round;
        for (int i = 0; i < count; i += 2) {
            cr_assert(blocks[i] = heap_take(heap, (size_t)bytes, true, &reused));
            free_bytes -= reused;
        }
    }
}

static uint64_t state = 88172645463325252u;
static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

Test(heap, no_block_overlaps_another) {
    enum { LIVE = 200 };
    struct {
        char *block;
        size_t bytes;
    } live[LIVE] = {{0}};
    int64_t free_bytes = 0, reused;
    int at;
    for (int i = 0; i < 100000; i++) {
        int k = (int)(draw() % LIVE);
        if (live[k].block) {
            for (size_t b = 0; b < live[k].bytes; b += 1000) cr_assert_eq(live[k].block[b], (char)k);
            cr_assert_eq(live[k].block[live[k].bytes - 1], (char)k);
            heap_give(heap, live[k].block);
            free_bytes += (int64_t)live[k].bytes;
            live[k].block = NULL;
        } else if ((live[k].block =
                        heap_take(heap, live[k].bytes = 4096 + draw() % 60000, draw() % 4, &reused))) {
            free_bytes -= reused;
            memset(live[k].block, k, live[k].bytes);
        }
        if (i % 7 == 0 && heap_find_free(heap, 20000, &at)) free_bytes -= heap_drop(heap, at, 20000);
        if (i % 1000 == 0) free_bytes -= heap_drop_all(heap);
        cr_assert_gt(free_bytes, -64 * LIVE);
    }
    for (int k = 0; k < LIVE; k++) {
        if (!live[k].block) continue;
        heap_give(heap, live[k].block);
        free_bytes += (int64_t)live[k].bytes;
    }
    cr_expect_eq(heap_drop_all(heap), free_bytes);
    cr_expect_eq(heap_blocks(heap), 0);
}
