/* native_learn.c: what is fitted in many rounds, by hand. */
#include <string.h>

#include "native.h"

enum { DIM = 8 };

/* k-means for at most 8 centers of 8 coordinates: a vector holds one coordinate of all centers. Missing
 * centers are infinitely far. */
typedef struct Clusters {
    Lanes sums[LANES]; /* by center */
    int64_t counts[LANES];
    double spread;
} Clusters;

static int nearest(Lanes distance, double *least) {
#if defined(WIDE)
    *least = _mm512_reduce_min_pd((__m512d)distance);
    return __builtin_ctz(_mm512_cmpeq_pd_mask((__m512d)distance, _mm512_set1_pd(*least)));
#elif defined(HALVES)
    __m256d low = half(distance, 0), high = half(distance, 1), all = _mm256_min_pd(low, high);
    all = _mm256_min_pd(all, _mm256_permute2f128_pd(all, all, 1));
    all = _mm256_min_pd(all, _mm256_permute_pd(all, 5));
    *least = _mm256_cvtsd_f64(all);
    return __builtin_ctz((unsigned)(_mm256_movemask_pd(_mm256_cmp_pd(low, all, _CMP_EQ_OQ)) |
                                    _mm256_movemask_pd(_mm256_cmp_pd(high, all, _CMP_EQ_OQ)) << 4));
#else
    int at = 0;
    for (int k = 1; k < LANES; k++) at = distance[k] < distance[at] ? k : at;
    *least = distance[at];
    return at;
#endif
}

static void assign(const double *points, int64_t start, int64_t end, const Lanes *coordinates,
                   Clusters *out) {
    memset(out, 0, sizeof *out);
    for (int64_t row = start; row < end; row++) {
        const double *point = points + row * DIM;
        Lanes distance = {0};
        for (int k = 0; k < DIM; k++) {
            Lanes apart = point[k] - coordinates[k];
            distance += apart * apart;
        }
        double least;
        int center = nearest(distance, &least);
        out->sums[center] += load(point);
        out->counts[center]++;
        out->spread += least;
    }
}

typedef struct KmeansAnswer {
    Vector centers, counts;
    double spread;
} KmeansAnswer;

void native_kmeans(const Inputs *in, void *out) {
    const double *points = INPUT(0, double);
    int64_t rows = LENGTH(0) / DIM, rounds = (int64_t)in->numbers[1];
    int k = (int)in->numbers[0], threads = in->threads;
    double *centers = take(in, (size_t)(k * DIM) * 8), spread = 0;
    int64_t *counts = take(in, (size_t)k * 8);
    memcpy(centers, points, (size_t)(k * DIM) * 8);
    Clusters parts[MOST_THREADS];
    for (int64_t round = 0; round < rounds; round++) {
        Lanes coordinates[DIM];
        for (int d = 0; d < DIM; d++)
            for (int c = 0; c < LANES; c++) coordinates[d][c] = c < k ? centers[c * DIM + d] : INFINITY;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; t++)
            assign(points, share(rows, t, threads), share(rows, t + 1, threads), coordinates, &parts[t]);
        spread = 0;
        for (int t = 0; t < threads; t++) spread += parts[t].spread;
        for (int c = 0; c < k; c++) {
            Lanes sum = {0};
            counts[c] = 0;
            for (int t = 0; t < threads; t++) {
                sum += parts[t].sums[c];
                counts[c] += parts[t].counts[c];
            }
            if (counts[c]) store(centers + c * DIM, sum / (double)counts[c]);
        }
    }
    *(KmeansAnswer *)out = (KmeansAnswer){{centers, k * DIM}, {counts, k}, spread};
}

static void count_degrees(const int32_t *source, int64_t edges, int64_t nodes, int threads, int32_t *parts) {
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        int32_t *own = parts + t * nodes;
        memset(own, 0, (size_t)nodes * sizeof *own);
        for (int64_t i = share(edges, t, threads); i < share(edges, t + 1, threads); i++) own[source[i]]++;
    }
#pragma omp parallel for num_threads(threads) schedule(static)
    for (int64_t i = 0; i < nodes; i++)
        for (int t = 1; t < threads; t++) parts[i] += parts[t * nodes + i];
}

void native_pagerank(const Inputs *in, void *out) {
    const int64_t *start = INPUT(0, int64_t);
    const int32_t *source = INPUT(1, int32_t);
    int64_t nodes = LENGTH(0) - 1, rounds = (int64_t)in->numbers[0];
    int threads = in->threads;
    double *rank = take(in, (size_t)nodes * 8), *give = take(in, (size_t)nodes * 8),
           even = 1.0 / (double)nodes;
    int32_t *degree = take(in, (size_t)(threads * nodes) * 4);
    count_degrees(source, LENGTH(1), nodes, threads, degree);
    for (int64_t i = 0; i < nodes; i++) rank[i] = even;
    for (int64_t round = 0; round < rounds; round++) {
#pragma omp parallel for num_threads(threads) schedule(static)
        for (int64_t i = 0; i < nodes; i++) give[i] = degree[i] ? rank[i] / degree[i] : 0;
#pragma omp parallel for num_threads(threads) schedule(dynamic, 4096)
        for (int64_t i = 0; i < nodes; i++) {
            double inflow = 0;
            for (int64_t edge = start[i]; edge < start[i + 1]; edge++) inflow += give[source[edge]];
            rank[i] = 0.15 * even + 0.85 * inflow;
        }
    }
    *(Vector *)out = (Vector){rank, nodes};
}

enum { ROWS_AT_ONCE = 256, MOST_COLUMNS = 32 };

static inline LanesF load_some(const float *at, int count) {
    if (count >= LANES_F) return *(const LanesFAt *)at;
#if defined(WIDE)
    return (LanesF)_mm512_maskz_loadu_ps((__mmask16)((1u << count) - 1), at);
#elif defined(HALVES)
    static const int bits[16] = {-1, -1, -1, -1, -1, -1, -1, -1};
    int low = count < 8 ? count : 8;
    __m256i first = _mm256_loadu_si256((const __m256i *)(bits + 8 - low));
    __m256i last = _mm256_loadu_si256((const __m256i *)(bits + 8 - (count - low)));
    return join_f(_mm256_maskload_ps(at, first), _mm256_maskload_ps(at + 8, last));
#else
    LanesF x = {0};
    for (int k = 0; k < count; k++) x[k] = at[k];
    return x;
#endif
}

static inline float add_up_f(LanesF x) {
#if defined(WIDE)
    return _mm512_reduce_add_ps((__m512)x);
#elif defined(HALVES)
    __m256 four = _mm256_add_ps(half_f(x, 0), half_f(x, 1));
    __m128 two = _mm_add_ps(_mm256_castps256_ps128(four), _mm256_extractf128_ps(four, 1));
    two = _mm_add_ps(two, _mm_movehl_ps(two, two));
    return _mm_cvtss_f32(_mm_add_ss(two, _mm_movehdup_ps(two)));
#else
    float sum = 0;
    for (int k = 0; k < LANES_F; k++) sum += x[k];
    return sum;
#endif
}

/* A block of rows: all scores, all errors at once, then the gradient while the rows are in the cache. */
static void logistic_rows(const float *x, const float *y, int64_t rows, int columns, const LanesF *w,
                          LanesF *gradient) {
    _Alignas(64) float error[ROWS_AT_ONCE];
    for (int64_t i = 0; i < rows; i++) {
        const float *row = x + i * columns;
        LanesF score = load_some(row, columns) * w[0];
        if (columns > LANES_F) score += load_some(row + LANES_F, columns - LANES_F) * w[1];
        error[i] = add_up_f(score);
    }
    for (int64_t i = rows; i % LANES_F; i++) error[i] = 0;
    for (int64_t i = 0; i < rows; i += LANES_F) {
        LanesF *e = (LanesF *)(error + i);
        *e = 1.0f / (1.0f + lanes_expf(-*e)) -
             load_some(y + i, rows - i < LANES_F ? (int)(rows - i) : LANES_F);
    }
    for (int64_t i = 0; i < rows; i++) {
        const float *row = x + i * columns;
        gradient[0] += load_some(row, columns) * error[i];
        if (columns > LANES_F) gradient[1] += load_some(row + LANES_F, columns - LANES_F) * error[i];
    }
}

void native_logistic(const Inputs *in, void *out) {
    const float *x = INPUT(0, float), *y = INPUT(1, float);
    int64_t rows = LENGTH(1), steps = (int64_t)in->numbers[0];
    int columns = (int)in->columns[0]->columns, threads = in->threads;
    float *weights = take(in, MOST_COLUMNS * sizeof *weights), pace = (float)in->numbers[1] / (float)rows;
    memset(weights, 0, MOST_COLUMNS * sizeof *weights);
    if (columns > MOST_COLUMNS) return;
    for (int64_t step = 0; step < steps; step++) {
        LanesF w[2], total[2] = {{0}};
        memcpy(w, weights, sizeof w);
        LanesF parts[MOST_THREADS][2];
#pragma omp parallel for num_threads(threads) schedule(static, 1)
        for (int t = 0; t < threads; t++) {
            int64_t end = share(rows, t + 1, threads);
            LanesF gradient[2] = {{0}};
            for (int64_t i = share(rows, t, threads); i < end; i += ROWS_AT_ONCE)
                logistic_rows(x + i * columns, y + i, end - i < ROWS_AT_ONCE ? end - i : ROWS_AT_ONCE,
                              columns, w, gradient);
            memcpy(parts[t], gradient, sizeof gradient);
        }
        for (int t = 0; t < threads; t++)
            for (int k = 0; k < 2; k++) total[k] += parts[t][k];
        for (int k = 0; k < 2; k++) w[k] -= pace * total[k];
        memcpy(weights, w, sizeof w);
    }
    *(Vector *)out = (Vector){weights, columns};
}

void native_logistic_grad(const Inputs *in, void *out) {
    native_logistic(in, out);
}
