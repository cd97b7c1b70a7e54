/* test_top.c: slices of sorts that are not made in full, against slices of the plain stable sort: every key, elements that
 * are keys or hold them, orders by a function, threads, little memory. */
#include "../../runtime/sort/sort.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const volatile int32_t never = 0;

static uint64_t random_word(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* Random, rising, falling, few values, equal, zeros and NaNs. */
static void fill(const SortKey *key, int pattern, int64_t count, int64_t size, char *out) {
    uint64_t seed = 88172645463325252u + (uint64_t)count, sign = UINT64_C(1)
                                                                 << (type_classes[key->kind].bits - 1);
    for (int64_t i = 0; i < count; i++) {
        uint64_t word = random_word(&seed);
        uint64_t bits[6] = {word,     (uint64_t)i, (uint64_t)(count - i),
                            word % 3, 7,           word % 3 == 0 ? sign : word % 3 == 1 ? 0 : word};
        char *at = out + i * size;
        memset(at, 0, (size_t)size);
        if (size > 8) memcpy(at + (key->offset ? 0 : size - 8), &i, sizeof i);
        if (key->kind == TY_bool) bits[pattern] &= 1;
        memcpy(at + key->offset, &bits[pattern], (size_t)type_classes[key->kind].bits / 8);
    }
}

typedef struct Want {
    char *data, *sorted;
    int64_t count, size;
} Want;

static Want want_of(SortKey *key, int pattern, int64_t count, int64_t size) {
    size_t bytes = (size_t)(count * size) + 1;
    Want want = {malloc(bytes), malloc(bytes), count, size};
    char *scratch = malloc(bytes);
    cr_assert(want.data && want.sorted && scratch);
    fill(key, pattern, count, size, want.data);
    memcpy(want.sorted, want.data, bytes - 1);
    cr_assert_eq(sort_stable(NULL, want.sorted, scratch, count, size, sort_key_compare, key), E_None);
    free(scratch);
    return want;
}

static void want_free(Want *want) {
    free(want->data);
    free(want->sorted);
}

static void check_slice(const Want *want, const Vec *got, int64_t start, int64_t count, const char *what) {
    if (start > want->count) start = want->count;
    if (count > want->count - start) count = want->count - start;
    cr_assert_eq(got->length, count);
    if (count)
        cr_assert_eq(memcmp(got->data, want->sorted + start * want->size, (size_t)(count * want->size)), 0,
                     "%s: %lld from %lld of %lld elements of %lld bytes", what, (long long)count,
                     (long long)start, (long long)want->count, (long long)want->size);
}

static void check_both(Worker *worker, SortKey *key, const Want *want, int64_t start, int64_t count) {
    Vec got;
    RegionMark mark = region_mark(worker->region);
    cr_assert_eq(
        sort_top_by_key(worker, want->data, want->count, want->size, key, start, count, &got, (Span){0}),
        E_None);
    check_slice(want, &got, start, count, type_classes[key->kind].spelling);
    ErrorCode code;
    if (sort_top(worker, want->data, want->count, want->size, sort_key_compare, key, start, count, &got,
                 (Span){0}, &code)) {
        cr_assert_eq(code, E_None);
        check_slice(want, &got, start, count, "by a function");
    }
    region_reset(worker->region, mark);
}

static void check_all(Team *team) {
    static const int64_t counts[] = {0, 1, 63, 64, 200, 5000, 40000};
    static const int64_t slices[][2] = {{0, 0},   {0, 1},    {0, 4},    {3, 2},
                                        {0, 100}, {200, 50}, {1999, 1}, {0, INT64_MAX}};
    Budget budget;
    budget_init(&budget, 0);
    Worker worker = {.cancel = &never, .region = region_new(&budget), .team = team};
    cr_assert(worker.region);
    for (int kind = TY_bool; kind <= TY_f64; kind++) {
        for (int i = 0; i < 7 * 6; i++) {
            int64_t size = i % 4 < 2 ? type_classes[kind].bits / 8 : 24, offset = i % 4 == 3 ? 16 : 0;
            SortKey key = {(TypeKind)kind, i % 2 == 1, offset};
            Want want = want_of(&key, i / 7, counts[i % 7], size);
            for (int k = 0; k < 8; k++) check_both(&worker, &key, &want, slices[k][0], slices[k][1]);
            want_free(&want);
        }
    }
    region_free(worker.region);
    cr_assert_eq(budget.live, 0);
}

Test(top, on_one_thread) {
    check_all(NULL);
}

/* A sanitizer takes its time, and sees the same at any number. */
Test(top, on_threads) {
    for (int threads = SANITIZED ? 4 : 2; threads <= 4; threads++) {
        Team *team = team_new(threads, 100 * threads);
        cr_assert(team);
        check_all(team);
        team_free(team);
    }
}

/* Far less memory than the data's, whatever the data's order. */
Test(top, takes_little_memory) {
    Budget budget;
    budget_init(&budget, 400000);
    for (int pattern = 0; pattern < 6; pattern++) {
        SortKey key = {TY_f64, pattern % 2 == 1, 0};
        Want want = want_of(&key, pattern, 200000, 8);
        Worker worker = {.cancel = &never, .region = region_new(&budget)};
        cr_assert(worker.region);
        check_both(&worker, &key, &want, 5, 95);
        region_free(worker.region);
        want_free(&want);
    }
    cr_assert_eq(budget.live, 0);
}

static ErrorCode run_with(Worker *worker, Team *team, const Want *want, SortKey *key, bool by_function) {
    Vec got;
    ErrorCode code = E_None;
    worker->team = team;
    if (by_function)
        cr_assert(sort_top(worker, want->data, want->count, want->size, sort_key_compare, key, 0, 1000, &got,
                           (Span){0}, &code));
    else
        code = sort_top_by_key(worker, want->data, want->count, want->size, key, 0, 1000, &got, (Span){0});
    return code;
}

Test(top, fails_cleanly) {
    static const volatile int32_t now = 1;
    SortKey key = {TY_i64, false, 0};
    Want want = want_of(&key, 0, 100000, 8);
    Team *team = team_new(2, 1000);
    cr_assert(team);
    for (int i = 0; i < 8; i++) {
        Budget budget;
        budget_init(&budget, i & 1 ? 0 : 20000);
        Worker worker = {.cancel = i & 1 ? &now : &never, .region = region_new(&budget)};
        cr_assert(worker.region);
        ErrorCode code = run_with(&worker, i & 2 ? team : NULL, &want, &key, i & 4);
        cr_assert_eq(code, i & 1 ? E_Cancelled : E_OutOfMemory);
        cr_assert_eq(worker.error.code, code);
        region_free(worker.region);
        cr_assert_eq(budget.live, 0);
    }
    team_free(team);
    want_free(&want);
}
