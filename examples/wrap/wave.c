/* wave.c: see wave.h. */
#include "wave.h"

#include <math.h>

double wave_db(double ratio) {
    return 10 * log10(ratio);
}

double wave_clip(double x, double low, double high) {
    return x < low ? low : x > high ? high : x;
}

double wave_kepler(double m, double e) {
    double x = m;
    for (int i = 0; i < 50; i++) {
        double step = (x - e * sin(x) - m) / (1 - e * cos(x));
        x -= step;
        if (fabs(step) < 1e-14) break;
    }
    return x;
}

double wave_power(const double *x, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * x[i];
    return sum / (double)n;
}

double wave_dot(const double *x, const double *y, size_t n) {
    double sum = 0;
    for (size_t i = 0; i < n; i++) sum += x[i] * y[i];
    return sum;
}

void wave_gain(const double *x, size_t n, double factor, double *out) {
    for (size_t i = 0; i < n; i++) out[i] = factor * x[i];
}

int wave_smooth(const double *x, size_t n, double alpha, double *out) {
    if (!(alpha > 0 && alpha <= 1)) return -1;
    double last = n ? x[0] : 0;
    for (size_t i = 0; i < n; i++) out[i] = last += alpha * (x[i] - last);
    return 0;
}

void wave_decimate(const double *x, size_t n, size_t step, double *out) {
    for (size_t i = 0; i < n / step; i++) out[i] = x[i * step];
}
