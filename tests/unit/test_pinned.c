/* test_pinned.c: runtime/pinned.c: blocks of the memory that a device knows, and contexts that take theirs from there. */
#include <criterion/criterion.h>
#include <string.h>

#include "../../runtime/cluster/cluster.h"
#include "../../runtime/rt.h"

enum { MIB = 1 << 20 };

static struct {
    char *base;
    size_t bytes;
} parts[8];
static int count;
static bool refuses;

static bool registers(void *base, size_t bytes) {
    if (refuses) return false;
    parts[count].base = base;
    parts[count++].bytes = bytes;
    return true;
}

static int part_of(const char *block, size_t bytes) {
    for (int i = 0; i < count; i++) {
        if (block >= parts[i].base && block + bytes <= parts[i].base + parts[i].bytes) return i;
    }
    return -1;
}

Test(pinned, there_is_none_before_it_is_opened) {
    cr_assert_null(pinned_take(MIB));
    cr_assert_not(pinned_owns(&count));
    pinned_memory.close();
    cr_assert_null(pinned_memory.take(MIB));
}

Test(pinned, blocks_lie_in_a_part_that_is_registered) {
    cr_assert(pinned_memory.open(registers, 8 * MIB));
    cr_assert_eq(count, 1);
    cr_assert_eq(parts[0].bytes, 8 * MIB);
    char *blocks[12];
    for (int i = 0; i < 12; i++) {
        blocks[i] = pinned_take(3 * MIB);
        cr_assert_not_null(blocks[i]);
        cr_assert_geq(part_of(blocks[i], 3 * MIB), 0);
        cr_assert(pinned_owns(blocks[i]));
        memset(blocks[i], i, 3 * MIB);
    }
    cr_assert_leq(count, 4, "as much again each time");
    for (int i = 0; i < 12; i++) {
        cr_assert_eq(blocks[i][0], i);
        cr_assert_eq(blocks[i][3 * MIB - 1], i);
    }
    int before = count;
    for (int i = 0; i < 12; i += 2) pinned_give(blocks[i], 3 * MIB);
    for (int i = 1; i < 12; i += 2) pinned_give(blocks[i], 3 * MIB);
    for (int i = 0; i < before; i++) { /* what was given joins: a part is whole again */
        char *whole = pinned_take(parts[i].bytes);
        cr_assert_not_null(whole);
        cr_assert_geq(part_of(whole, parts[i].bytes), 0);
    }
    cr_assert_eq(count, before);
}

Test(pinned, a_large_block_has_a_part_of_its_own_size) {
    cr_assert(pinned_memory.open(registers, 4 * MIB));
    char *block = pinned_take(64 * MIB);
    cr_assert_eq(part_of(block, 64 * MIB), 1);
    cr_assert_eq(parts[1].bytes, 64 * MIB);
}

Test(pinned, a_block_grows_where_there_is_room_behind_it) {
    cr_assert(pinned_memory.open(registers, 8 * MIB));
    char *block = pinned_take(MIB);
    cr_assert(pinned_extend(block, MIB, 2 * MIB));
    char *next = pinned_take(MIB);
    cr_assert(next >= block + 2 * MIB || next + MIB <= block);
    char *rest = pinned_take(4 * MIB); /* huge pages first: it may leave a gap */
    cr_assert_not_null(rest);
    cr_assert_not(pinned_extend(block, 2 * MIB, 8 * MIB), "not beyond its part");
    cr_assert_eq(count, 1);
}

Test(pinned, what_cannot_be_registered_is_no_block) {
    cr_assert(pinned_memory.open(registers, 4 * MIB));
    refuses = true;
    cr_assert_null(pinned_take(8 * MIB));
    cr_assert_not_null(pinned_take(2 * MIB), "the first part is still there");
    pinned_memory.close();
    refuses = false;
    cr_assert_null(pinned_take(8 * MIB), "closed: no new part");
    cr_assert_eq(count, 1);
    cr_assert(pinned_memory.open(registers, 4 * MIB), "the part is registered again");
    cr_assert_eq(count, 2);
    cr_assert_eq(parts[0].base, parts[1].base);
}

Test(pinned, a_device_that_refuses_leaves_it_closed) {
    refuses = true;
    cr_assert_not(pinned_memory.open(registers, 4 * MIB));
    cr_assert_null(pinned_take(MIB));
}

/* Blocks of a budget that was there before, too; they grow, and all comes back. */
Test(pinned, budgets_take_large_blocks_from_it) {
    Budget budget;
    cr_assert(memory_budget(&budget, 1 << 30));
    char *early = budget_take(&budget, 4 * MIB);
    cr_assert(pinned_memory.open(registers, 32 * MIB));
    for (size_t bytes = PINNED_LEAST; bytes <= 16 * MIB; bytes *= 2) {
        char *block = budget_take(&budget, bytes);
        cr_assert_not_null(block);
        if (!SANITIZED) cr_assert_geq(part_of(block, bytes), 0, "%zu bytes", bytes);
        memset(block, 7, bytes);
        char *moved = budget_resize(&budget, block, bytes, bytes * 2);
        if (moved) cr_assert_eq(moved[bytes - 1], 7);
        budget_give(&budget, moved ? moved : block, moved ? bytes * 2 : bytes);
    }
    budget_give(&budget, early, 4 * MIB);
    cr_assert_eq(budget.live, 0);
    memory_budget_release(&budget);
    for (int i = 0; !SANITIZED && i < count; i++)
        cr_assert_eq(part_of(pinned_take(parts[i].bytes), parts[i].bytes), i);
}
