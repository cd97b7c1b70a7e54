/* native_tables.c: queries over tables, by hand. */
#include <string.h>

#include "native.h"

/* Conditions are combined with & so that the loop has no branches to mispredict. */
void native_q6(const Inputs *in, void *out) {
    const int32_t *shipdate = INPUT(0, int32_t);
    const double *discount = INPUT(1, double), *quantity = INPUT(2, double), *price = INPUT(3, double);
    int64_t rows = LENGTH(0);
    double revenue = 0;
#pragma omp parallel for simd reduction(+ : revenue) num_threads(in->threads) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        int keep = (shipdate[i] >= 19940101) & (shipdate[i] < 19950101) & (discount[i] >= 0.05) &
                   (discount[i] <= 0.07) & (quantity[i] < 24.0);
        revenue += keep ? price[i] * discount[i] : 0.0;
    }
    *(double *)out = revenue;
}

enum { FLAGS = 3, STATUSES = 2, GROUPS = 6, SUMS = 5 };
static const char flags[FLAGS] = {'A', 'N', 'R'}, statuses[STATUSES] = {'F', 'O'};

typedef struct Q1Sums {
    double sum[GROUPS][SUMS]; /* quantity, price, discounted, charge, discount */
    int64_t count[GROUPS];
} Q1Sums;

/* One row at a time: the places of the six possible groups are known from the two flags. */
static void q1_rows(const Inputs *in, int64_t start, int64_t end, Q1Sums *out) {
    for (int64_t i = start; i < end; i++) {
        if (INPUT(0, int32_t)[i] > 19980902) continue;
        int8_t flag = INPUT(1, int8_t)[i];
        int group = (flag == 'N' ? 2 : flag == 'R' ? 4 : 0) + (INPUT(2, int8_t)[i] == 'O');
        double price = INPUT(4, double)[i], discount = INPUT(5, double)[i],
               discounted = price * (1.0 - discount);
        double *sum = out->sum[group];
        sum[0] += INPUT(3, double)[i];
        sum[1] += price;
        sum[2] += discounted;
        sum[3] += discounted * (1.0 + INPUT(6, double)[i]);
        sum[4] += discount;
        out->count[group]++;
    }
}

/* Eight rows at a time: every group's sums are vectors, to which the rows of the group are added under a
 * mask. */
#if defined(WIDE)
static void q1_range(const Inputs *in, int64_t start, int64_t end, Q1Sums *out) {
    __m512d sums[GROUPS][SUMS];
    memset(sums, 0, sizeof sums);
    const __m512d one = _mm512_set1_pd(1.0);
    int64_t i = start;
    for (; i + 8 <= end; i += 8) {
        unsigned shipped = _mm256_cmple_epi32_mask(_mm256_loadu_si256((const __m256i *)&INPUT(0, int32_t)[i]),
                                                   _mm256_set1_epi32(19980902));
        __m128i flag = _mm_loadl_epi64((const __m128i *)&INPUT(1, int8_t)[i]);
        __m128i status = _mm_loadl_epi64((const __m128i *)&INPUT(2, int8_t)[i]);
        __m512d price = _mm512_loadu_pd(&INPUT(4, double)[i]),
                discount = _mm512_loadu_pd(&INPUT(5, double)[i]);
        __m512d discounted = _mm512_mul_pd(price, _mm512_sub_pd(one, discount));
        __m512d tax = _mm512_loadu_pd(&INPUT(6, double)[i]), quantity = _mm512_loadu_pd(&INPUT(3, double)[i]);
        __m512d charge = _mm512_mul_pd(discounted, _mm512_add_pd(one, tax));
        for (int group = 0; group < GROUPS; group++) {
            unsigned mask = shipped & _mm_cmpeq_epi8_mask(flag, _mm_set1_epi8(flags[group / 2])) &
                            _mm_cmpeq_epi8_mask(status, _mm_set1_epi8(statuses[group % 2]));
            if (!mask) continue;
            __mmask8 m = (__mmask8)mask;
            __m512d *sum = sums[group];
            sum[0] = _mm512_mask_add_pd(sum[0], m, sum[0], quantity);
            sum[1] = _mm512_mask_add_pd(sum[1], m, sum[1], price);
            sum[2] = _mm512_mask_add_pd(sum[2], m, sum[2], discounted);
            sum[3] = _mm512_mask_add_pd(sum[3], m, sum[3], charge);
            sum[4] = _mm512_mask_add_pd(sum[4], m, sum[4], discount);
            out->count[group] += __builtin_popcount(mask);
        }
    }
    for (int group = 0; group < GROUPS; group++)
        for (int k = 0; k < SUMS; k++) out->sum[group][k] += _mm512_reduce_add_pd(sums[group][k]);
    q1_rows(in, i, end, out);
}
#else
#define q1_range q1_rows
#endif

typedef struct Q1Row {
    int8_t returnflag, linestatus;
    double sums[4], means[3];
    int64_t count;
} Q1Row;

void native_q1(const Inputs *in, void *out) {
    Q1Sums parts[MOST_THREADS];
    memset(parts, 0, sizeof *parts * (size_t)in->threads);
#pragma omp parallel for num_threads(in->threads) schedule(static, 1)
    for (int t = 0; t < in->threads; t++)
        q1_range(in, share(LENGTH(0), t, in->threads), share(LENGTH(0), t + 1, in->threads), &parts[t]);
    for (int t = 1; t < in->threads; t++)
        for (int group = 0; group < GROUPS; group++) {
            for (int k = 0; k < SUMS; k++) parts->sum[group][k] += parts[t].sum[group][k];
            parts->count[group] += parts[t].count[group];
        }
    Q1Row *rows = take(in, GROUPS * sizeof *rows);
    int64_t count = 0;
    for (int group = 0; group < GROUPS; group++) {
        if (!parts->count[group]) continue;
        const double *sum = parts->sum[group], n = (double)parts->count[group];
        rows[count++] = (Q1Row){.returnflag = flags[group / 2],
                                .linestatus = statuses[group % 2],
                                .sums = {sum[0], sum[1], sum[2], sum[3]},
                                .means = {sum[0] / n, sum[1] / n, sum[4] / n},
                                .count = parts->count[group]};
    }
    *(Vector *)out = (Vector){rows, count};
}

typedef struct Total {
    double sum;
    int64_t count;
} Total;

/* The five letters compared as one number; the sum without a branch. */
void native_strings(const Inputs *in, void *out) {
    const Vector *texts = INPUT(0, Vector);
    const double *price = INPUT(1, double);
    int64_t rows = LENGTH(0), count = 0;
    double sum = 0;
#pragma omp parallel for reduction(+ : sum, count) num_threads(in->threads) schedule(static)
    for (int64_t i = 0; i < rows; i++) {
        bool match = texts[i].length >= 5 && !memcmp(texts[i].data, "PROMO", 5);
        sum += match ? price[i] : 0.0;
        count += match;
    }
    *(Total *)out = (Total){sum, count};
}
