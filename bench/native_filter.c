/* native_filter.c: what is left of a vector: filters and the greatest, by hand. */
#include <stdlib.h>
#include <string.h>

#include "native.h"

/* Writes whole vectors of which only the first lanes count, as long as there is room for them. */
static int64_t filter_range(const double *x, int64_t length, double bound, double *out, int64_t room) {
    int64_t count = 0, i = 0;
    for (; i + LANES <= length && count + LANES <= room; i += LANES) {
        Lanes lanes = load(x + i);
        unsigned keep = below(lanes, bound);
        if (keep) count += compress(out + count, lanes, keep);
    }
    for (; i < length; i++)
        if (x[i] < bound) out[count++] = x[i];
    return count;
}

static int64_t count_range(const double *x, int64_t length, double bound) {
    int64_t count = 0;
#pragma omp simd reduction(+ : count)
    for (int64_t i = 0; i < length; i++) count += x[i] < bound;
    return count;
}

/* One thread needs one pass. Several first count, so that each knows where to write. */
static void filter(const Inputs *in, void *out) {
    const double *x = INPUT(0, double), bound = in->numbers[0];
    int64_t length = LENGTH(0), starts[MOST_THREADS + 1] = {0};
    int threads = in->threads;
    double *kept = take(in, (size_t)(length + LANES) * 8);
    if (threads == 1) {
        *(Vector *)out = (Vector){kept, filter_range(x, length, bound, kept, length + LANES)};
        return;
    }
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        int64_t start = share(length, t, threads);
        starts[t + 1] = count_range(x + start, share(length, t + 1, threads) - start, bound);
    }
    for (int t = 0; t < threads; t++) starts[t + 1] += starts[t];
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        int64_t start = share(length, t, threads);
        filter_range(x + start, share(length, t + 1, threads) - start, bound, kept + starts[t],
                     starts[t + 1] - starts[t]);
    }
    *(Vector *)out = (Vector){kept, starts[threads]};
}

void native_filter_1(const Inputs *in, void *out) {
    filter(in, out);
}

void native_filter_10(const Inputs *in, void *out) {
    filter(in, out);
}

void native_filter_50(const Inputs *in, void *out) {
    filter(in, out);
}

void native_filter_90(const Inputs *in, void *out) {
    filter(in, out);
}

enum { TOP = 100, BLOCK = 64 };

/* A heap whose root is the least of the greatest seen so far. */
static void heap_replace(double *heap, double x) {
    int at = 0;
    for (;;) {
        int child = 2 * at + 1;
        if (child >= TOP) break;
        if (child + 1 < TOP && heap[child + 1] < heap[child]) child++;
        if (!(heap[child] < x)) break;
        heap[at] = heap[child];
        at = child;
    }
    heap[at] = x;
}

/* Most blocks hold nothing that is greater than the least of the greatest: one comparison with their greatest
 * tells. */
static void top_range(const double *x, int64_t length, double *heap) {
    for (int k = 0; k < TOP; k++) heap[k] = -INFINITY;
    for (int64_t i = 0; i < length; i += BLOCK) {
        int64_t end = length - i < BLOCK ? length : i + BLOCK;
        double greatest = -INFINITY;
#pragma omp simd reduction(max : greatest)
        for (int64_t j = i; j < end; j++) greatest = x[j] > greatest ? x[j] : greatest;
        if (!(greatest > heap[0])) continue;
        for (int64_t j = i; j < end; j++)
            if (x[j] > heap[0]) heap_replace(heap, x[j]);
    }
}

static int descending(const void *a, const void *b) {
    double x = *(const double *)a, y = *(const double *)b;
    return (x < y) - (x > y);
}

void native_top_100(const Inputs *in, void *out) {
    int threads = in->threads;
    int64_t length = LENGTH(0);
    double(*heaps)[TOP] = take(in, sizeof *heaps * (size_t)threads);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        int64_t start = share(length, t, threads);
        top_range(INPUT(0, double) + start, share(length, t + 1, threads) - start, heaps[t]);
    }
    qsort(heaps, (size_t)(threads * TOP), sizeof(double), descending);
    *(Vector *)out = (Vector){heaps, length < TOP ? length : TOP};
}
