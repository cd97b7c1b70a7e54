/* native_math.c: streams of mathematics, by hand, and the machine's bandwidth. */
#include "native.h"

static Lanes normal_cdf(Lanes x) {
    return 0.5 * (1.0 + lanes_erf(x * 0.7071067811865476));
}

/* The last lanes are done once more together with some that are done already, if there are eight in all. */
#define EACH_EIGHT(i, length)                                                                         \
    for (int64_t block = 0, i;                                                                        \
         block < ((length) + 7) / 8 && (i = block * 8 + 8 <= (length) ? block * 8 : (length) - 8, 1); \
         block++)

static void black_scholes_range(const Inputs *in, int64_t start, int64_t end, double *calls, double *puts) {
    double rate = in->numbers[0], volatility = in->numbers[1], drift = rate + 0.5 * volatility * volatility;
    const double *spots = INPUT(0, double) + start, *strikes = INPUT(1, double) + start;
    const double *terms = INPUT(2, double) + start;
    EACH_EIGHT(i, end - start) {
        Lanes spot = load(spots + i), strike = load(strikes + i), years = load(terms + i);
        Lanes spread = volatility * lanes_sqrt(years);
        Lanes d1 = (lanes_log(spot / strike) + drift * years) / spread, d2 = d1 - spread;
        Lanes discounted = strike * lanes_exp(-rate * years);
        Lanes call = spot * normal_cdf(d1) - discounted * normal_cdf(d2);
        store(calls + start + i, call);
        store(puts + start + i, call + discounted - spot);
    }
}

void native_black_scholes(const Inputs *in, void *out) {
    int64_t length = LENGTH(0);
    double *calls = take(in, (size_t)length * 8), *puts = take(in, (size_t)length * 8);
#pragma omp parallel for num_threads(in->threads) schedule(static, 1)
    for (int t = 0; t < in->threads; t++)
        black_scholes_range(in, share(length, t, in->threads), share(length, t + 1, in->threads), calls,
                            puts);
    Vector *vectors = out;
    vectors[0] = (Vector){calls, length};
    vectors[1] = (Vector){puts, length};
}

static void haversine_range(const double *latitude, const double *longitude, int64_t length, double *miles) {
    const double degree = 0.017453292519943295, here = 0.70984286, cos_here = cos(here);
    EACH_EIGHT(i, length) {
        Lanes there = load(latitude + i) * degree;
        Lanes up = lanes_sin((there - here) * 0.5);
        Lanes across = lanes_sin((load(longitude + i) * degree + 1.29353) * 0.5);
        Lanes a = up * up + cos_here * lanes_cos(there) * (across * across);
        store(miles + i, 2.0 * 3959.0 * lanes_asin(lanes_sqrt(a)));
    }
}

void native_haversine(const Inputs *in, void *out) {
    int64_t length = LENGTH(0);
    double *miles = take(in, (size_t)length * 8);
#pragma omp parallel for num_threads(in->threads) schedule(static, 1)
    for (int t = 0; t < in->threads; t++) {
        int64_t start = share(length, t, in->threads), end = share(length, t + 1, in->threads);
        haversine_range(INPUT(0, double) + start, INPUT(1, double) + start, end - start, miles + start);
    }
    *(Vector *)out = (Vector){miles, length};
}

/* Reading one array, and STREAM's triad (which reads two and writes one; the line that is written is read
 * first, which is not counted). The best of five. */
void native_bandwidth(int threads, double *a, double *b, double *c, int64_t n, double *read_gbs,
                      double *triad_gbs) {
    *read_gbs = *triad_gbs = 0;
    for (int round = 0; round < 5; round++) {
        double sum = 0, start = now_ms();
#pragma omp parallel for simd reduction(+ : sum) num_threads(threads) schedule(static)
        for (int64_t i = 0; i < n; i++) sum += a[i];
        double ms = now_ms() - start, gbs = (double)n * 8 / ms / 1e6;
        if (gbs > *read_gbs && sum >= 0) *read_gbs = gbs;
        start = now_ms();
#pragma omp parallel for simd num_threads(threads) schedule(static)
        for (int64_t i = 0; i < n; i++) c[i] = a[i] + 3.0 * b[i];
        ms = now_ms() - start;
        gbs = (double)n * 24 / ms / 1e6;
        if (gbs > *triad_gbs) *triad_gbs = gbs;
    }
}
