/* test_spares.c: the blocks that a run keeps: who gets them, how many bytes they are at most, and that all of them go. */
#include "../../lang/lang.h"

#include <criterion/criterion.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static Budget budget;
static _Atomic int64_t held, most_held; /* what the budget has from its source */

static void *source_take(void *data, size_t bytes) {
    (void)data;
    int64_t now = held += (int64_t)bytes;
    for (int64_t most = most_held; most < now && !atomic_compare_exchange_weak(&most_held, &most, now);) {
    }
    return aligned_alloc(64, (bytes + 63) / 64 * 64);
}

static void source_give(void *data, void *block, size_t bytes) {
    (void)data;
    held -= (int64_t)bytes;
    free(block);
}

static void setup(void) {
    if (SANITIZED) cr_skip_test("under a sanitizer there are no spares");
    budget_init(&budget, 0);
    budget.take = source_take;
    budget.give = source_give;
    held = most_held = 0;
    budget_open(&budget);
}

static void teardown(void) {
    budget_close(&budget);
    cr_expect_eq(budget.live, 0);
    cr_expect_eq(budget.spare, 0);
    cr_expect_eq(budget.waste, 0);
    cr_expect_eq(budget.held, 0);
    cr_expect_eq(held, 0);
}

TestSuite(spares, .init = setup, .fini = teardown);

Test(spares, what_is_given_is_taken_again) {
    void *a = budget_take(&budget, 5000), *b = budget_take(&budget, 70000);
    budget_give(&budget, a, 5000);
    budget_give(&budget, b, 70000);
    for (int i = 0; i < 100; i++) {
        void *again = budget_take(&budget, 70000);
        cr_expect_eq(again, b);
        budget_give(&budget, again, 70000);
    }
    cr_expect_eq(budget_take(&budget, 5000), a);
    budget_give(&budget, a, 5000);
    cr_expect_eq(budget.allocations, 2);
}

Test(spares, the_least_that_fits_is_taken) {
    size_t size;
    void *large = budget_take(&budget, 1 << 20), *a = budget_take(&budget, 9000),
         *b = budget_take(&budget, 10000);
    budget_give(&budget, b, 10000);
    budget_give(&budget, a, 9000);
    cr_expect_eq(budget_take_about(&budget, 8500, &size), a);
    cr_expect_eq(size, 9000);
    cr_expect_eq(budget.waste, 500);
    void *c = budget_take(&budget, 9500); /* exactly as many, or new ones */
    cr_expect_neq(c, b);
    budget_give(&budget, c, 9500);
    budget_give_about(&budget, a, 9000, 500);
    budget_give(&budget, large, 1 << 20);
}

/* Of many small spares none goes if a large one makes the room. */
Test(spares, room_is_made_by_the_least_that_is_enough) {
    enum { SMALL = 100 };
    void *small[SMALL], *large = budget_take(&budget, 100000);
    for (int i = 0; i < SMALL; i++) small[i] = budget_take(&budget, 1000);
    for (int i = 0; i < SMALL; i++) budget_give(&budget, small[i], 1000);
    budget_give(&budget, large, 100000);
    void *block = budget_take(&budget, 90000);
    cr_expect_eq(budget.spare, SMALL * 1000);
    budget_give(&budget, block, 90000);
    cr_expect_leq(most_held, 200000 + budget_allowance(200000));
}

static int resizes;

static void *source_resize(void *data, void *block, size_t bytes, size_t wanted) {
    (void)data, (void)bytes;
    resizes++;
    held += (int64_t)wanted - (int64_t)bytes;
    return realloc(block, wanted);
}

/* A block that cannot grow is no allocation, and no spare goes for it; nor for one that may be copied into a spare. */
Test(spares, stay_where_a_block_is_not_resized) {
    budget.resize = source_resize;
    budget.resizes_from = 1 << 20;
    void *spare = budget_take(&budget, 4 << 20), *small = budget_take(&budget, 100000),
         *large = budget_take(&budget, 2 << 20);
    budget_give(&budget, spare, 4 << 20);
    cr_expect_null(budget_resize(&budget, small, 100000, 200000));
    cr_expect_null(budget_resize(&budget, large, 2 << 20, 4 << 20));
    cr_expect(resizes == 0 && budget.allocations == 3 && budget.spare == 4 << 20);
    cr_expect_eq(budget_take(&budget, 4 << 20), spare);
    large = budget_resize(&budget, large, 2 << 20, 4 << 20);
    cr_expect(large && resizes == 1 && budget.allocations == 4);
    budget_give(&budget, small, 100000);
    budget_give(&budget, large, 4 << 20);
    budget_give(&budget, spare, 4 << 20);
}

static bool source_lays(void *data) {
    (void)data;
    return true;
}

/* Blocks come by tens of a size, of one size after the other, as in the steps of a loop; then all go. */
static int64_t step_of_sizes(int64_t limit) {
    static const size_t sizes[] = {600000, 149312, 250000, 400000};
    enum { MOST = 64 };
    void *blocks[MOST];
    int64_t before = budget.allocations;
    for (int k = 0; k < 4; k++) {
        int count = (int)((size_t)limit / sizes[k]);
        if (count > MOST) count = MOST;
        for (int i = 0; i < count; i++) cr_assert(blocks[i] = budget_take(&budget, sizes[k]));
        for (int i = 0; i < count; i++) memset(blocks[i], i, sizes[k]);
        for (int i = 0; i < count; i++) {
            const char *block = blocks[i];
            cr_assert(block[0] == (char)i && block[sizes[k] - 1] == (char)i);
            budget_give(&budget, blocks[i], sizes[k]);
        }
    }
    return budget.allocations - before;
}

/* Where spares of one size must go for those of another again and again, blocks lie in one range of addresses, and nothing more is
 * allocated. */
Test(spares, sizes_that_do_not_fit_together_lie_in_one_range) {
    enum { MOST = 4000000 };
    for (int step = 0; step < 3; step++) step_of_sizes(MOST);
    cr_expect_gt(step_of_sizes(MOST), 0);
    cr_expect_null(budget.heap);
    budget.lays = source_lays;
    budget_close(&budget);
    budget_open(&budget);
    for (int step = 0; step < 3; step++) step_of_sizes(MOST);
    cr_expect(budget.heap);
    for (int step = 0; step < 10; step++) cr_expect_eq(step_of_sizes(MOST), 0);
    cr_expect_leq(budget.peak, MOST + budget_allowance(MOST));
}

/* A block that is still there when the run ends keeps the range, and no more pages than its own; when it goes, the range goes. */
Test(spares, a_result_keeps_the_range) {
    enum { MOST = 4000000 };
    budget.lays = source_lays;
    for (int step = 0; step < 3; step++) step_of_sizes(MOST);
    char *result = budget_take(&budget, 50000);
    memset(result, 7, 50000);
    budget_close(&budget);
    cr_expect(budget.heap && budget.spare <= 2 * 4096);
    budget_open(&budget);
    for (int step = 0; step < 3; step++) step_of_sizes(MOST);
    for (int i = 0; i < 50000; i++) cr_assert_eq(result[i], 7);
    budget_close(&budget);
    budget_give(&budget, result, 50000);
    cr_expect(!budget.heap && !budget.spare);
}

static uint64_t state = 88172645463325252u;
static uint64_t draw(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

/* Blocks of all sizes come and go: what is held is never more than the most that was wanted and its allowance. */
static void come_and_go_by_chance(void) {
    enum { LIVE = 60 };
    struct {
        char *block;
        size_t wanted, bytes;
    } live[LIVE] = {{0}};
    int64_t wanted = 0, most = 0;
    for (int i = 0; i < 200000; i++) {
        int k = (int)(draw() % LIVE);
        if (live[k].block) {
            cr_assert(live[k].block[0] == (char)k && live[k].block[live[k].bytes - 1] == (char)k);
            wanted -= (int64_t)live[k].wanted;
            budget_give_about(&budget, live[k].block, live[k].bytes, live[k].bytes - live[k].wanted);
            live[k].block = NULL;
            continue;
        }
        live[k].wanted = 64 + draw() % ((size_t)64 << (draw() % 12));
        wanted += (int64_t)live[k].wanted;
        if (most < wanted) most = wanted;
        live[k].block = budget_take_about(&budget, live[k].wanted, &live[k].bytes);
        cr_assert(live[k].block && live[k].bytes >= live[k].wanted);
        live[k].block[0] = live[k].block[live[k].bytes - 1] = (char)k;
        cr_assert_leq(held, most + budget_allowance(most));
        cr_assert_leq(budget.peak, most + budget_allowance(most));
    }
    cr_expect_lt(budget.allocations, 50000, "%lld", (long long)budget.allocations);
    for (int k = 0; k < LIVE; k++) {
        if (live[k].block)
            budget_give_about(&budget, live[k].block, live[k].bytes, live[k].bytes - live[k].wanted);
    }
}

Test(spares, no_more_is_held_than_was_promised) {
    come_and_go_by_chance();
}

Test(spares, no_more_is_held_in_one_range_than_was_promised) {
    budget.lays = source_lays;
    come_and_go_by_chance();
    cr_expect(budget.heap);
}

Test(spares, they_are_given_up_for_the_limit) {
    budget.limit = 100000;
    void *a = budget_take(&budget, 60000), *b = budget_take(&budget, 40000);
    cr_expect_null(budget_take(&budget, 1));
    budget_give(&budget, a, 60000);
    budget_give(&budget, b, 40000);
    for (size_t bytes = 1000; bytes <= 100000; bytes += 1000) {
        void *block = budget_take(&budget, bytes);
        cr_expect(block);
        budget_give(&budget, block, bytes);
    }
    cr_expect_leq(most_held, 100000);
}

static void *come_and_go(void *seed) {
    uint64_t random = (uint64_t)(uintptr_t)seed * 0x9e3779b97f4a7c15u;
    for (int i = 0; i < 20000; i++) {
        random = random * 6364136223846793005u + 1442695040888963407u;
        size_t bytes = 64 + (random >> 40) % 20000, size;
        char *block = budget_take_about(&budget, bytes, &size);
        if (!block) return NULL;
        memset(block, (int)(uintptr_t)seed, size);
        for (size_t k = 0; k < size; k += 999) {
            if (block[k] != (char)(uintptr_t)seed) return NULL;
        }
        budget_give_about(&budget, block, size, size - bytes);
    }
    return seed;
}

static void share(void) {
    enum { THREADS = 4 };
    pthread_t threads[THREADS];
    for (uintptr_t i = 0; i < THREADS; i++)
        cr_assert_eq(pthread_create(&threads[i], NULL, come_and_go, (void *)(i + 1)), 0);
    for (int i = 0; i < THREADS; i++) {
        void *good = NULL;
        pthread_join(threads[i], &good);
        cr_expect(good);
    }
}

Test(spares, threads_share_them) {
    share();
}

Test(spares, threads_share_a_range) {
    budget.lays = source_lays;
    for (int step = 0; step < 3; step++) step_of_sizes(4000000);
    share();
    cr_expect(budget.heap);
}
