/* test_vector_sort.c: sorts of scalars and of words against the plain stable sort: every kernel that this processor can
 * run, every type, inputs that quicksorts are afraid of. */
#include "../../runtime/sort/sort.h"

#include <criterion/criterion.h>
#include <stdlib.h>

static const volatile int32_t never = 0;

/* ---- inputs ---- */

typedef enum Pattern {
    RANDOM,
    RISING,
    FALLING,
    EQUAL,
    FEW,
    ORGAN_PIPE,
    EXTREMES,
    ZEROS,
    NANS,
    MOSTLY_EQUAL,
    CLUSTERS,
    PATTERNS
} Pattern;

static uint64_t random_word(uint64_t *seed) {
    *seed ^= *seed << 13;
    *seed ^= *seed >> 7;
    *seed ^= *seed << 17;
    return *seed;
}

/* The bits of element i of n: of scalars of so many bits. */
static uint64_t pattern_bits(Pattern pattern, int64_t i, int64_t n, int bits, uint64_t *seed) {
    uint64_t word = random_word(seed), sign = UINT64_C(1) << (bits - 1);
    switch (pattern) {
    case RANDOM: return word;
    case RISING: return (uint64_t)i;
    case FALLING: return (uint64_t)(n - i);
    case EQUAL: return 7;
    case FEW: return word % 3;
    case ORGAN_PIPE: return (uint64_t)(i < n / 2 ? i : n - i);
    case EXTREMES: return word % 4 == 0 ? sign : word % 4 == 1 ? sign - 1 : word % 4 == 2 ? 0 : ~UINT64_C(0);
    case ZEROS: return word % 5 == 0 ? word : word % 2 ? sign : 0;
    case NANS: return (sign - 1) ^ (word % 2 ? sign : 0) ^ (word >> 8) % 4;
    case MOSTLY_EQUAL: return word % 50 ? 42 : word;
    default: return word % 7 ? (word >> 8) % 4 << (bits - 3) | word % 1000 : word;
    }
}

static void fill(TypeKind kind, Pattern pattern, int64_t count, int64_t size, int64_t offset, char *out) {
    uint64_t seed = 88172645463325252u + (uint64_t)count;
    int bits = type_classes[kind].bits;
    for (int64_t i = 0; i < count; i++) {
        uint64_t value = pattern_bits(pattern, i, count, bits, &seed);
        if (kind == TY_bool) value &= 1;
        memcpy(out + i * size + offset, &value, (size_t)bits / 8);
    }
}

/* LONGEST: more than what is worth several threads, and counting. A sanitizer, which makes the plain sort slow, sees each type and each
 * pattern at that length, but not each of each. */
enum { LONGEST = 70000 };

static bool is_seen(int64_t count, TypeKind kind, Pattern pattern) {
    return !SANITIZED || count < LONGEST || ((int)kind + (int)pattern) % 3 == 0;
}

static const int64_t large[] = {1000, 4097, 20000, LONGEST};
enum { SMALL = 301, COUNTS = SMALL + (int)(sizeof large / sizeof *large) };
static int64_t count_at(int i) {
    return i < SMALL ? i : large[i - SMALL];
}

/* ---- kernels ---- */

static int order_64(const void *a, const void *b) {
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x > y) - (x < y);
}

static int order_32(const void *a, const void *b) {
    int32_t x = *(const int32_t *)a, y = *(const int32_t *)b;
    return (x > y) - (x < y);
}

static void check_kernel(const SortKernel *kernel, Pattern pattern, int64_t count) {
    size_t bytes = (size_t)(count * kernel->bytes);
    Wording plain = {0, 0, kernel->bytes};
    Worker worker = {.cancel = &never};
    bool wide = kernel->bytes == 8;
    char *got = malloc(bytes ? bytes : 1), *want = malloc(bytes ? bytes : 1);
    cr_assert(got && want);
    fill(wide ? TY_i64 : TY_i32, pattern, count, kernel->bytes, 0, got);
    memcpy(want, got, bytes);
    qsort(want, (size_t)count, (size_t)kernel->bytes, wide ? order_64 : order_32);
    cr_assert(kernel->sort(&plain, got, count, wide ? INT64_MIN : INT32_MIN, wide ? INT64_MAX : INT32_MAX,
                           &worker));
    cr_assert_eq(memcmp(got, want, bytes), 0, "%lld words of %d bytes, pattern %d", (long long)count,
                 kernel->bytes, pattern);
    free(got);
    free(want);
}

Test(vector_sort, kernels_sort) {
    for (int k = 0; sort_kernel_at(k); k++) {
        for (int pattern = 0; pattern < PATTERNS; pattern++) {
            for (int i = 0; i < COUNTS; i++) check_kernel(sort_kernel_at(k), (Pattern)pattern, count_at(i));
        }
    }
}

Test(vector_sort, kernels_find) {
    for (int k = 0; sort_kernel_at(k); k++) {
        const SortKernel *kernel = sort_kernel_at(k);
        Wording how = wording_of(kernel->bytes == 8 ? TY_f64 : TY_f32, false);
        int64_t words[300];
        for (int64_t count = 0; count < 300; count++) {
            for (int64_t hit = 0; hit < count; hit += 7) {
                memset(words, 0, sizeof words);
                memset((char *)words + hit * kernel->bytes, 0x81, (size_t)kernel->bytes);
                int64_t at = kernel->find(&how, words, hit / 3, count, 0);
                cr_assert(at <= hit && at >= hit / 3);
                at = kernel->find(&how, words, hit + 1, count, 0);
                cr_assert(at > hit && at <= count);
                cr_assert(count - at < 128, "it looks at blocks");
            }
        }
    }
}

/* ---- scalars ---- */

/* Elements of `size` bytes with their number in what room there is beside the key. */
static void check_sort(Worker *worker, SortKey key, int64_t size, Pattern pattern, int64_t count) {
    size_t bytes = (size_t)(count * size);
    TypeKind kind = key.kind;
    if (!is_seen(count, kind, pattern)) return;
    char *data = malloc(bytes + 1), *want = malloc(bytes + 1), *got = malloc(bytes + 1),
         *scratch = malloc(bytes + 1);
    cr_assert(data && want && got && scratch);
    memset(data, 0, bytes);
    for (int64_t i = 0; i < count && size >= 12; i++) memcpy(data + i * size + (key.offset ? 0 : 8), &i, 4);
    fill(kind, pattern, count, size, key.offset, data);
    memcpy(want, data, bytes);
    got[bytes] = 42;
    cr_assert_eq(sort_stable(worker, want, scratch, count, size, sort_key_compare, &key), E_None);
    cr_assert_eq(sort_run_by_key(worker, data, got, count, size, &key, (Span){0}), E_None);
    cr_assert_eq(memcmp(want, got, bytes), 0, "%lld of %s in %lld bytes, pattern %d, %s", (long long)count,
                 type_classes[kind].spelling, (long long)size, pattern,
                 key.descending ? "descending" : "ascending");
    cr_assert_eq(got[bytes], 42);
    free(data);
    free(want);
    free(got);
    free(scratch);
}

static void check_scalars(Worker *worker, TypeKind kind, Pattern pattern, int64_t count, bool descending) {
    check_sort(worker, (SortKey){kind, descending, 0}, type_classes[kind].bits / 8, pattern, count);
}

static void check_all_scalars(Team *team, int step) {
    Budget budget;
    budget_init(&budget, 0);
    Worker worker = {.cancel = &never, .region = region_new(&budget), .team = team};
    cr_assert(worker.region);
    for (int kind = TY_bool; kind <= TY_f64; kind++) {
        for (int pattern = 0; pattern < PATTERNS; pattern++) {
            for (int i = 0; i < COUNTS; i += i < SMALL - step ? step : 1)
                check_scalars(&worker, (TypeKind)kind, (Pattern)pattern, count_at(i), (i + pattern) % 2);
        }
    }
    region_free(worker.region);
    cr_assert_eq(budget.live, 0);
}

Test(vector_sort, every_type_on_one_thread) {
    check_all_scalars(NULL, 7);
}

/* A sanitizer takes its time, and sees the same at any number. */
Test(vector_sort, every_type_on_threads) {
    for (int threads = SANITIZED ? 4 : 2; threads <= 4; threads++) {
        Team *team = team_new(threads, threads - 1);
        cr_assert(team);
        check_all_scalars(team, 31);
        team_free(team);
    }
}

static void check_records(Team *team) {
    static const int64_t counts[] = {2, 63, 64, 65, 300, 5000, 70000}, sizes[] = {12, 16, 24, 40};
    Budget budget;
    budget_init(&budget, 0);
    Worker worker = {.cancel = &never, .region = region_new(&budget), .team = team};
    cr_assert(worker.region);
    for (int kind = TY_bool; kind <= TY_f64; kind++) {
        for (int i = 0; i < PATTERNS * 7; i++) {
            int64_t size = sizes[i % 4];
            int64_t offset = i % 3 && size >= 16 ? 8 : 0;
            check_sort(&worker, (SortKey){(TypeKind)kind, i % 2 == 1, offset}, size, (Pattern)(i / 7),
                       counts[i % 7]);
        }
    }
    region_free(worker.region);
    cr_assert_eq(budget.live, 0);
}

Test(vector_sort, records_on_one_thread) {
    check_records(NULL);
}

Test(vector_sort, records_on_threads) {
    Team *team = team_new(3, 50);
    cr_assert(team);
    check_records(team);
    team_free(team);
}

/* Memory for the numbers alone, for less, and none: then it fails as a status. */
Test(vector_sort, records_in_little_memory) {
    int64_t count = 20000, limits[] = {0, 400000, 200000, 4096};
    SortKey key = {TY_f64, false, 8};
    char *data = calloc((size_t)count, 16), *out = calloc((size_t)count, 16);
    cr_assert(data && out);
    fill(TY_f64, MOSTLY_EQUAL, count, 16, 8, data);
    for (int i = 0; i < 4; i++) {
        Budget budget;
        budget_init(&budget, limits[i]);
        Worker worker = {.cancel = &never, .region = region_new(&budget)};
        cr_assert(worker.region);
        ErrorCode code = sort_run_by_key(&worker, data, out, count, 16, &key, (Span){0});
        if (i == 0) cr_assert_eq(code, E_None);
        if (i == 3) cr_assert_eq(code, E_OutOfMemory);
        cr_assert_eq(worker.error.code, code);
        region_free(worker.region);
        cr_assert_eq(budget.live, 0);
    }
    free(data);
    free(out);
}

/* More than the cache holds: parts of a sample, on one thread too. A sanitizer sees it with fewer patterns. */
Test(vector_sort, many) {
    Budget budget;
    budget_init(&budget, 0);
    Worker worker = {.cancel = &never, .region = region_new(&budget)};
    for (int pattern = 0; pattern < PATTERNS; pattern += SANITIZED ? 4 : 1) {
        check_scalars(&worker, TY_f64, (Pattern)pattern, 600000, pattern % 2);
        check_scalars(&worker, TY_u32, (Pattern)pattern, 600000, pattern % 2);
    }
    static const Pattern scattered[] = {RANDOM, FEW, ZEROS};
    for (int i = 0; i < (SANITIZED ? 1 : 3); i++)
        check_scalars(&worker, TY_f64, scattered[i], (4 << 20) + 5, i == 1);
    region_free(worker.region);
}

/* Without any memory of its own. */
Test(vector_sort, needs_no_memory) {
    if (!sort_kernel(8)) return;
    Budget budget;
    budget_init(&budget, 4096);
    Worker worker = {.cancel = &never, .region = region_new(&budget)};
    cr_assert(worker.region);
    int64_t count = 300000;
    double *data = malloc((size_t)count * 8), *out = malloc((size_t)count * 8);
    cr_assert(data && out);
    fill(TY_f64, RANDOM, count, 8, 0, (char *)data);
    SortKey key = {TY_f64, false, 0};
    cr_assert_eq(sort_run_by_key(&worker, data, out, count, 8, &key, (Span){0}), E_None);
    int32_t order;
    for (int64_t i = 1; i < count; i++) {
        sort_key_compare(&key, NULL, &out[i - 1], &out[i], &order);
        cr_assert(order <= 0);
    }
    free(data);
    free(out);
    region_free(worker.region);
}

Test(vector_sort, can_be_cancelled) {
    static const volatile int32_t now = 1;
    Budget budget;
    budget_init(&budget, 0);
    Team *team = team_new(2, 0);
    Worker worker = {.cancel = &now, .region = region_new(&budget), .team = team};
    int64_t count = 300000;
    char *data = calloc((size_t)count, 8), *out = malloc((size_t)count * 8);
    cr_assert(data && out && worker.region);
    static const TypeKind kinds[] = {TY_f64, TY_i32, TY_i16, TY_u8};
    for (int i = 0; i < 8; i++) {
        TypeKind kind = kinds[i / 2];
        worker.team = i % 2 ? team : NULL;
        worker.error = (Error){.code = E_None};
        SortKey key = {kind, false, 0};
        fill(kind, RANDOM, count, type_classes[kind].bits / 8, 0, data);
        if (type_classes[kind].bits > 16 && !sort_kernel(4)) continue;
        cr_assert_eq(sort_run_by_key(&worker, data, out, count, type_classes[kind].bits / 8, &key, (Span){0}),
                     E_Cancelled);
        cr_assert_eq(worker.error.code, E_Cancelled);
    }
    free(data);
    free(out);
    team_free(team);
    region_free(worker.region);
    cr_assert_eq(budget.live, 0);
}
