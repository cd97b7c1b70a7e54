/* nn_random.h: the random numbers of the adapter nn in C, for the tests nn.c and nn_train.c. */
#ifndef NN_RANDOM_H
#define NN_RANDOM_H

#include <math.h>
#include <stdint.h>
#include <stdlib.h>

typedef struct Words {
    uint32_t a, b;
} Words;

/* Threefry 2x32 with 20 rounds. */
static inline Words threefry(Words key, Words counter) {
    static const int by[] = {13, 15, 26, 6, 17, 29, 16, 24};
    uint32_t k[] = {key.a, key.b, key.a ^ key.b ^ 0x1bd11bda}, a = counter.a + k[0], b = counter.b + k[1];
    for (uint32_t i = 0; i < 20; i++) {
        a += b;
        b = (b << by[i % 8] | b >> (32 - by[i % 8])) ^ a;
        if (i % 4 != 3) continue;
        a += k[(i / 4 + 1) % 3];
        b += k[(i / 4 + 2) % 3] + i / 4 + 1;
    }
    return (Words){a, b};
}

static inline Words draw(Words key, int64_t i) {
    return threefry(key, (Words){(uint32_t)(i >> 32) | 0x80000000u, (uint32_t)i});
}

static inline double unit(Words key, int64_t i) {
    Words u = draw(key, i);
    return (double)((uint64_t)u.a << 21 | u.b >> 11) * 0x1p-53;
}

static inline double normal_at(Words key, int64_t i) {
    return sqrt(-2 * log(1 - unit(key, 2 * i))) * cos(2 * acos(-1) * unit(key, 2 * i + 1));
}

static inline Words key_of(int64_t seed) {
    return (Words){(uint32_t)(seed >> 32), (uint32_t)seed};
}

static inline Words split(Words key, int64_t i) {
    return threefry(key, (Words){(uint32_t)(i >> 32) & 0x7fffffff, (uint32_t)i});
}

static Words order_key;
static inline int by_draw(const void *a, const void *b) {
    Words u = draw(order_key, *(const int64_t *)a), w = draw(order_key, *(const int64_t *)b);
    uint64_t p = (uint64_t)u.a << 32 | u.b, q = (uint64_t)w.a << 32 | w.b;
    return (p > q) - (p < q);
}

static inline void permute(Words key, int64_t *at, int64_t n) {
    order_key = key;
    for (int64_t i = 0; i < n; i++) at[i] = i;
    qsort(at, (size_t)n, sizeof *at, by_draw);
}

#endif
