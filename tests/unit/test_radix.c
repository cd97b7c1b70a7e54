/* test_radix.c: sort_by_key against the stable merge sort, on every scalar type, both orders, keys inside structs. */
#include "../../lang/lang.h"

#include <criterion/criterion.h>
#include <stdlib.h>
#include <string.h>

static const volatile int32_t never = 0;

typedef struct Order {
    const Type *type;
    SortKey key;
} Order;

static ErrorCode by_value(void *closure, Worker *worker, const void *a, const void *b, int32_t *order) {
    (void)worker;
    const Order *o = closure;
    int compared = value_compare(o->type, (const char *)a + o->key.offset, (const char *)b + o->key.offset);
    *order = o->key.descending ? -compared : compared;
    return E_None;
}

static uint64_t seed = 88172645463325252u;
static uint64_t random_word(void) {
    seed ^= seed << 13;
    seed ^= seed >> 7;
    seed ^= seed << 17;
    return seed;
}

/* Some bits of any value, no NaN: many equal keys, both zeros. */
static void random_key(const Type *type, char *out) {
    uint64_t word = random_word();
    if (word % 3 == 0) word = random_word() % 4;
    if (type->kind == TY_bool) word &= 1;
    if (type->kind == TY_f64) {
        double value = word % 7 == 0 ? -0.0 : word % 7 == 1 ? 0.0 : (double)(int64_t)word / 1024;
        memcpy(out, &value, sizeof value);
    } else if (type->kind == TY_f32) {
        float value = word % 7 == 0 ? -0.0f : word % 7 == 1 ? 0.0f : (float)(int32_t)word / 1024;
        memcpy(out, &value, sizeof value);
    } else {
        memcpy(out, &word, (size_t)type->size);
    }
}

static void check_sort(Worker *worker, const Type *type, int64_t count, int64_t size, int64_t offset,
                       bool descending) {
    Order order = {type, {type->kind, descending, offset}};
    size_t bytes = (size_t)(count * size) + 1;
    char *data = calloc(1, bytes), *want = calloc(1, bytes), *scratch = calloc(1, bytes),
         *got = calloc(1, bytes);
    cr_assert(data && want && scratch && got);
    for (int64_t i = 0; i < count; i++) {
        if (size > type->size) memcpy(data + i * size + (offset ? 0 : size - 8), &i, sizeof i);
        random_key(type, data + i * size + offset);
    }
    memcpy(want, data, bytes);
    cr_assert_eq(sort_stable(worker, want, scratch, count, size, by_value, &order), E_None);
    cr_assert_eq(sort_by_key(worker, data, got, count, size, &order.key, (Span){0}), E_None);
    cr_assert_eq(memcmp(want, got, (size_t)(count * size)), 0, "%s, %lld of %lld bytes, %s",
                 type_classes[type->kind].spelling, (long long)count, (long long)size,
                 descending ? "descending" : "ascending");
    free(data);
    free(want);
    free(scratch);
    free(got);
}

Test(radix, agrees_with_the_merge_sort) {
    Budget budget;
    budget_init(&budget, 0);
    Worker worker = {.cancel = &never, .region = region_new(&budget)};
    Program *program = program_new("test", "", 0);
    cr_assert(worker.region && program);
    static const int64_t counts[] = {0, 1, 2, 3, 17, 256, 5000};
    for (int kind = TY_bool; kind <= TY_f64; kind++) {
        const Type *type = type_scalar(&program->types, (TypeKind)kind);
        for (size_t i = 0; i < sizeof counts / sizeof *counts; i++) {
            for (int descending = 0; descending < 2; descending++) {
                check_sort(&worker, type, counts[i], type->size, 0, descending);
                check_sort(&worker, type, counts[i], 24, 0, descending);
                check_sort(&worker, type, counts[i], 24, 16, descending);
            }
        }
    }
    program_free(program);
    region_free(worker.region);
    cr_assert_eq(budget.live, 0);
}

Test(radix, reports_a_lack_of_memory) {
    Budget budget;
    budget_init(&budget, 1 << 16);
    Worker worker = {.cancel = &never, .region = region_new(&budget)};
    cr_assert(worker.region);
    double data[16384] = {0}, out[16384];
    SortKey key = {TY_f64, false, 0};
    cr_assert_eq(sort_by_key(&worker, data, out, 16384, 8, &key, (Span){0}), E_OutOfMemory);
    cr_assert_eq(worker.error.code, E_OutOfMemory);
    region_free(worker.region);
    cr_assert_eq(budget.live, 0);
}
