/* test_region.c: the memory of a run: what is freed when, what is kept, and that all of it is counted. */
#include "../../lang/lang.h"

#include <criterion/criterion.h>
#include <string.h>

static Budget budget;
static Arena arena;
static TypeTable types;
static Region *region;

static void setup(void) {
    budget_init(&budget, 0);
    arena_init(&arena);
    types_init(&types, &arena);
    region = region_new(&budget);
    cr_assert(region);
}

static void teardown(void) {
    region_free(region);
    cr_expect_eq(budget.live, 0);
    arena_release(&arena);
}

TestSuite(region, .init = setup, .fini = teardown);

static Type *scalar(TypeKind kind) {
    return type_scalar(&types, kind);
}

Test(region, small_things_are_aligned_and_apart) {
    char *last = NULL;
    for (int bytes = 0; bytes < 3000; bytes++) {
        char *at = region_alloc(region, bytes);
        cr_assert(at && (uintptr_t)at % 16 == 0);
        cr_assert(at != last);
        memset(at, bytes, (size_t)bytes);
        last = at;
    }
    cr_expect(region_owns(region, last));
    cr_expect_not(region_owns(region, &last));
    cr_expect_eq(region_bytes(region), budget.live);
}

Test(region, large_things_are_aligned_to_cache_lines) {
    for (int64_t bytes = 4096; bytes < 1 << 20; bytes *= 3) {
        char *at = region_alloc(region, bytes);
        cr_assert(at && (uintptr_t)at % 64 == 0);
        at[0] = at[bytes - 1] = 1;
        cr_expect(region_owns(region, at + bytes - 1));
    }
    cr_expect_eq(region_bytes(region), budget.live);
}

Test(region, impossible_sizes_are_refused) {
    cr_expect_null(region_alloc(region, -1));
    cr_expect_null(region_alloc(region, INT64_MIN));
    cr_expect_null(region_alloc(region, INT64_MAX));
    cr_expect_null(region_grow(region, NULL, -5));
    cr_expect_null(region_grow(region, NULL, INT64_MAX));
}

Test(region, the_limit_holds_and_what_was_refused_is_not_counted) {
    Budget small;
    budget_init(&small, 100000);
    Region *limited = region_new(&small);
    cr_assert(limited);
    int64_t before = small.live;
    cr_expect_null(region_alloc(limited, 200000));
    cr_expect_eq(small.live, before);
    int64_t taken = 0;
    while (region_alloc(limited, 64)) taken += 64;
    cr_expect_gt(taken, 30000);
    cr_expect_leq(small.peak, 100000);
    region_free(limited);
    cr_expect_eq(small.live, 0);
}

Test(region, reset_frees_what_came_after_the_mark) {
    char *kept = region_alloc(region, 100);
    strcpy(kept, "kept");
    RegionMark mark = region_mark(region);
    int64_t bytes = region_bytes(region);
    for (int round = 0; round < 3; round++) {
        for (int i = 0; i < 1000; i++) cr_assert(region_alloc(region, 500));
        cr_assert(region_alloc(region, 1 << 20));
        region_reset(region, mark);
        cr_expect_eq(region_bytes(region), bytes);
        cr_expect_eq(budget.live, bytes);
    }
    cr_expect_str_eq(kept, "kept");
}

Test(region, builders_survive_a_reset) {
    RegionMark mark = region_mark(region);
    char *block = region_grow(region, NULL, 10);
    strcpy(block, "builder");
    region_reset(region, mark);
    for (int64_t bytes = 20; bytes < 100000; bytes *= 2) {
        block = region_grow(region, block, bytes);
        cr_assert(block);
        cr_expect_str_eq(block, "builder");
        block[bytes - 1] = 0;
    }
    block = region_settle(region, block, 80000);
    cr_expect_str_eq(block, "builder");
    cr_expect_eq(region_bytes(region), budget.live);
    region_reset(region, mark);
    cr_expect_not(region_owns(region, block));
}

Test(region, a_small_or_mostly_empty_block_is_settled_without_waste) {
    char *block = region_grow(region, NULL, 1 << 20);
    strcpy(block, "text");
    char *settled = region_settle(region, block, 5);
    cr_expect_str_eq(settled, "text");
    cr_expect_lt(region_bytes(region), 4096);
    cr_expect_not_null(region_settle(region, NULL, 0));
    cr_expect_not_null(region_settle(region, region_grow(region, NULL, 64), 0));
}

Test(region, growing_to_nothing_frees) {
    int64_t bytes = region_bytes(region);
    char *block = region_grow(region, NULL, 1 << 16);
    cr_expect_null(region_grow(region, block, 0));
    cr_expect_eq(region_bytes(region), bytes);
}

Test(region, a_block_may_grow_in_another_region) {
    Region *other = region_new(&budget);
    char *block = region_grow(region, NULL, 100);
    strcpy(block, "moves");
    block = region_grow(other, block, 10000);
    cr_expect_str_eq(block, "moves");
    cr_expect(region_owns(other, block));
    cr_expect_not(region_owns(region, block));
    cr_expect_eq(region_bytes(region) + region_bytes(other), budget.live);
    region_free(other);
}

/* A vec[vec[i64]] of `count` inner vectors of `length` elements, all in the region. */
static Vec make_nested(int64_t count, int64_t length) {
    Vec *inner = region_alloc(region, count * (int64_t)sizeof *inner);
    for (int64_t i = 0; i < count; i++) {
        int64_t *data = region_alloc(region, length * (int64_t)sizeof *data);
        for (int64_t k = 0; k < length; k++) data[k] = i + k;
        inner[i] = (Vec){data, length};
    }
    return (Vec){inner, count};
}

static void check_nested(Vec value, int64_t count, int64_t length) {
    const Vec *inner = value.data;
    cr_assert_eq(value.length, count);
    for (int64_t i = 0; i < count; i++) {
        const int64_t *data = inner[i].data;
        cr_assert(region_owns(region, data));
        for (int64_t k = 0; k < length; k++) cr_assert_eq(data[k], i + k);
    }
}

Test(region, sweep_keeps_what_the_value_reaches_and_frees_the_rest) {
    Type *nested = type_vec(&types, type_vec(&types, scalar(TY_i64)));
    char *old = region_alloc(region, 300);
    strcpy(old, "old");
    RegionMark mark = region_mark(region);
    int64_t before = region_bytes(region);
    for (int i = 0; i < 50; i++) cr_assert(region_alloc(region, 20000));
    Vec value = make_nested(10, 1000); /* blocks of their own */
    for (int i = 0; i < 50; i++) cr_assert(region_alloc(region, 20000));
    region_sweep(region, mark, nested, &value);
    check_nested(value, 10, 1000);
    cr_expect_leq(region_bytes(region), before + 10 * (8000 + 64) + 4096);
    cr_expect_eq(region_bytes(region), budget.live);
    /* Once more, with a value in between that is replaced. */
    Vec next = make_nested(5, 2000);
    region_sweep(region, mark, nested, &next);
    check_nested(next, 5, 2000);
    cr_expect_leq(region_bytes(region), before + 5 * (16000 + 64) + 4096);
    cr_expect_str_eq(old, "old");
    Vec none = {0};
    region_sweep(region, mark, nested, &none);
    cr_expect_eq(region_bytes(region), before);
    cr_assert(region_alloc(region, 600));
    cr_expect_str_eq(old, "old");
}

Test(region, sweep_keeps_chunks_as_a_whole_and_goes_on_in_them) {
    Type *bytes = type_vec(&types, scalar(TY_i8));
    RegionMark mark = region_mark(region);
    Vec value = {0};
    for (int round = 0; round < 1000; round++) {
        char *text = region_alloc(region, 200);
        memset(text, round & 127, 200);
        value = (Vec){text, 200};
        for (int i = 0; i < 20; i++) memset(region_alloc(region, 100), -1, 100);
        region_sweep(region, mark, bytes, &value);
        for (int i = 0; i < 200; i++) cr_assert_eq(((char *)value.data)[i], round & 127);
    }
    cr_expect_lt(region_bytes(region), 1 << 20);
    cr_expect_eq(region_bytes(region), budget.live);
}

Test(region, sweep_follows_slices_structs_dictionaries_and_builders) {
    Type *text = type_vec(&types, scalar(TY_i8));
    Type *pair[2] = {text, text};
    Type *dict_type = type_make(&types, TY_dict, OP_none, 2, pair);
    Type *entry = dict_entry_type(&types, dict_type);
    Type *appender = type_make(&types, TY_appender, OP_none, 1, &text);
    Type *fields[3] = {dict_type, appender, text};
    Type *type = type_make(&types, TY_struct, OP_none, 3, fields);
    int32_t cancel = 0;
    Worker worker = {.cancel = &cancel, .region = region};
    Span span = {0};
    RegionMark mark = region_mark(region);
    struct {
        Dict *dict;
        Appender *appender;
        Vec slice;
    } root;
    root.dict = dict_new(&worker, entry, span);
    root.appender = region_alloc(region, sizeof *root.appender);
    Vec *items = region_grow(region, NULL, 100 * sizeof *items);
    for (int i = 0; i < 100; i++) {
        char *key = region_alloc(region, 5000), *item = region_alloc(region, 5000);
        memset(key, i, 5000), memset(item, i, 5000);
        cr_assert(region_alloc(region, 7000));
        bool fresh;
        Vec vec = {key, 5000},
            *value = dict_insert(&worker, root.dict, entry, &vec, key_hash(text, &vec), &fresh, span);
        cr_assert(value && fresh);
        *value = (Vec){key + 100, 10};
        items[i] = (Vec){item + 4000, 1000};
    }
    cr_assert(dict_finish(&worker, root.dict, entry, span));
    *root.appender = (Appender){items, 100, 100};
    char *large = region_alloc(region, 50000);
    strcpy(large + 40000, "slice");
    root.slice = (Vec){large + 40000, 6};
    region_sweep(region, mark, type, &root);
    cr_expect_leq(region_bytes(region), 200 * (5000 + 16 + 64) + 60000 + 40000);
    cr_expect_str_eq(root.slice.data, "slice");
    for (int i = 0; i < 100; i++) {
        char key[5000];
        memset(key, i, sizeof key);
        Vec vec = {key, sizeof key}, *value = dict_find(root.dict, entry, &vec);
        cr_assert(value && ((char *)value->data)[9] == i);
        cr_expect_eq(((char *)((Vec *)root.appender->data)[i].data)[999], i);
    }
    region_finish(region, mark, text, &root.slice);
    cr_expect_leq(region_bytes(region), 60000);
    cr_expect_eq(region_bytes(region), budget.live);
}

/* Steps that collect a vector each, and hand another one on: sizes in blocks of their own and in chunks. */
static void collect(int64_t length, int count) {
    Type *vec = type_vec(&types, scalar(TY_i64)),
         *appender = type_make(&types, TY_appender, OP_none, 1, &vec);
    Type *fields[3] = {vec, appender, vec}, *type = type_make(&types, TY_struct, OP_none, 3, fields);
    struct {
        Vec first;
        Appender *all;
        Vec second;
    } state = {.all = region_alloc(region, sizeof *state.all)};
    Vec *items = region_grow(region, NULL, count * (int64_t)sizeof *items);
    *state.all = (Appender){items, 0, count};
    RegionSteps steps = {.mark = region_mark(region), .count = 1, .growing = {{(int64_t)sizeof(Vec), 0}}};
    int64_t bytes = length * 8, before = region_bytes(region);
    for (int i = 0; i < count; i++) {
        int64_t *parts[3];
        for (int k = 0; k < 3; k++) {
            parts[k] = region_alloc(region, bytes);
            for (int64_t n = 0; n < length; n++) parts[k][n] = 3 * i + k;
        }
        state.first = (Vec){parts[0], length};
        items[state.all->length++] = (Vec){parts[1], length};
        if (i % 3 == 0) state.second = (Vec){parts[2], length};
        region_sweep_step(region, &steps, type, &state);
        cr_assert_eq(((int64_t *)state.first.data)[length - 1], 3 * i);
        cr_assert_eq(((int64_t *)state.second.data)[0], i / 3 * 9 + 2);
    }
    cr_expect_eq(steps.growing[0].seen, count);
    for (int i = 0; i < count; i++) cr_assert_eq(((int64_t *)items[i].data)[length - 1], 3 * i + 1);
    int64_t own = bytes >= 4096 ? bytes + 64 : 3 * bytes;
    cr_expect_leq(region_bytes(region), before + count * own + 4 * bytes + (128 << 10));
    cr_expect_eq(region_bytes(region), budget.live);
    Vec one = items[count / 2];
    region_sweep(region, steps.mark, vec, &one);
    region_finish(region, (RegionMark){0}, vec, &one);
    cr_expect_eq(((int64_t *)one.data)[0], 3 * (count / 2) + 1);
    cr_expect_leq(region_bytes(region), 2 * bytes + (64 << 10));
    cr_expect_eq(region_bytes(region), budget.live);
}

Test(region, sweeps_of_steps_look_once_at_what_appenders_collect, .timeout = 60) {
    collect(8, SANITIZED ? 2000 : 200000);
    collect(600, 2000);
    collect(300, 1000);
}

Test(region, since_tells_what_came_after_a_mark) {
    char *old = region_alloc(region, 50), *old_large = region_alloc(region, 5000);
    RegionMark mark = region_mark(region);
    cr_expect_not(region_since(region, mark, old));
    cr_expect_not(region_since(region, mark, old_large));
    char *young = region_alloc(region, 50), *young_large = region_alloc(region, 5000);
    cr_expect(region_since(region, mark, young));
    cr_expect(region_since(region, mark, young_large));
    for (int i = 0; i < 100; i++) cr_expect(region_since(region, mark, region_alloc(region, 400)));
    cr_expect_not(region_since(region, mark, old));
    cr_expect_not(region_since(region, mark, &mark));
}

/* What finish leaves of a builder that a run returns is all that merging more needs. */
Test(region, finish_keeps_builders_that_are_returned) {
    Type *parts[2] = {scalar(TY_u8), scalar(TY_i64)}, *group_parts[2] = {scalar(TY_i64), scalar(TY_i64)};
    Type *counter = type_make(&types, TY_dictmerger, OP_add, 2, parts);
    Type *group = type_make(&types, TY_groupmerger, OP_none, 2, group_parts);
    Type *merger = type_make(&types, TY_merger, OP_add, 1, parts);
    Type *fields[3] = {counter, group, merger}, *type = type_make(&types, TY_struct, OP_none, 3, fields);
    Type *count_entry = dict_entry_type(&types, counter), *group_entry = dict_entry_type(&types, group);
    int32_t cancel = 0;
    Worker worker = {.cancel = &cancel, .region = region};
    Span span = {0};
    RegionMark mark = region_mark(region);
    struct {
        Dict **counter, **group;
        uint8_t *merger;
    } root = {region_alloc(region, 8), region_alloc(region, 8), region_alloc(region, 5000)};
    *root.counter = dict_new(&worker, count_entry, span);
    *root.group = dict_new(&worker, group_entry, span);
    *root.merger = 7;
    cr_assert(region_grow(region, NULL, 100000)); /* a builder that nobody wants */
    dict_make_direct(&worker, *root.counter, count_entry);
    for (int64_t i = 0; i < 3000; i++) {
        if (i % 1000 == 999) {
            region_finish(region, mark, type, &root);
            cr_assert_lt(region_bytes(region), 200000);
        }
        bool fresh;
        uint8_t key = (uint8_t)(i % 100);
        int64_t wide = i % 100, *count = dict_insert(&worker, *root.counter, count_entry, &key,
                                                     key_hash(parts[0], &key), &fresh, span);
        cr_assert(count);
        ++*count;
        cr_assert_eq((*root.counter)->direct[key], wide + 1);
        cr_assert(group_merge(&worker, *root.group, group_entry, &wide, &i, span));
    }
    cr_assert(dict_finish(&worker, *root.counter, count_entry, span));
    cr_assert(group_finish(&worker, *root.group, group_entry, span));
    for (int64_t i = 0; i < 100; i++) {
        uint8_t key = (uint8_t)i;
        cr_expect_eq(*(int64_t *)dict_find(*root.counter, count_entry, &key), 30);
        const Vec *values = dict_find(*root.group, group_entry, &i);
        cr_assert_eq(values->length, 30);
        cr_expect_eq(((int64_t *)values->data)[29], 2900 + i);
    }
    cr_expect_eq(*root.merger, 7);
}

/* A thread's region ends up in the run's: what was there stays, what came counts as new. */
Test(region, adopts_another) {
    for (int all = 0; all < 2; all++) {
        Region *other = region_new(&budget);
        char *before = region_alloc(region, 100), *large = region_alloc(region, 10000);
        RegionMark mark = region_mark(region);
        char *small = region_alloc(other, 100), *block = region_alloc(other, 20000);
        char *grows = region_grow(other, NULL, 5000);
        cr_assert(before && large && small && block && grows);
        memset(small, 1, 100);
        memset(grows, 2, 5000);
        region_adopt(region, other, all);
        cr_expect_not(region_owns(other, small) && all);
        region_free(other);
        cr_expect_eq(region_bytes(region), budget.live);
        cr_expect(region_owns(region, grows));
        cr_expect_eq(region_since(region, mark, small), all);
        cr_expect_eq(region_since(region, mark, block), all);
        if (all) cr_expect_eq(small[99], 1);
        grows = region_grow(region, grows, 50000);
        cr_assert(grows);
        cr_expect_eq(grows[4999], 2);
        char *after = region_alloc(region, 64);
        cr_assert(after && region_since(region, mark, after));
        region_reset(region, mark);
        cr_expect(region_owns(region, before) && region_owns(region, large) && region_owns(region, grows));
        region_grow(region, grows, 0);
        cr_expect_eq(region_bytes(region), budget.live);
    }
}

Test(region, what_is_needed_no_longer_leaves_before_the_rest) {
    enum { LARGE = 8192 };
    RegionMark mark = region_mark(region);
    char *old = region_alloc(region, LARGE), *middle = region_alloc(region, LARGE);
    char *built = region_settle(region, region_grow(region, NULL, LARGE), LARGE);
    int64_t live = budget.live;
    region_release(region, middle, LARGE);
    cr_expect_eq(budget.live, live - LARGE - REGION_HEADER);
    cr_expect_not(region_owns(region, middle));
    region_release(region, built, LARGE);
    char *small = region_alloc(region, 16);
    region_release(region, small, 16);
    cr_expect(region_owns(region, small) && region_owns(region, old));
    /* What a sweep spares can still leave, as can what came from another region. */
    Vec vec = {old, LARGE};
    Region *other = region_new(&budget);
    char *adopted = region_alloc(other, LARGE);
    region_adopt(region, other, true);
    region_free(other);
    region_sweep(region, mark, type_vec(&types, scalar(TY_i8)), &vec);
    cr_expect_not(region_owns(region, adopted));
    char *young = region_alloc(region, LARGE);
    region_release(region, old, LARGE);
    cr_expect_not(region_owns(region, old));
    region_release(region, young, LARGE);
    region_reset(region, mark);
    cr_expect_eq(region_bytes(region), budget.live);
}
