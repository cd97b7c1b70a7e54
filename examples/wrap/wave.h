/* wave.h: a small library for sampled signals. It knows nothing of weldc. */
#ifndef WAVE_H
#define WAVE_H

#include <stddef.h>

#ifdef __cplusplus
extern "C" {
#endif

/* A ratio of powers in decibels. */
double wave_db(double ratio);
/* x, but at least low and at most high. */
double wave_clip(double x, double low, double high);
/* The E of Kepler's equation E - e sin(E) = m, by Newton's method; 0 <= e < 1. */
double wave_kepler(double m, double e);

/* The mean of the squares; NaN of none. */
double wave_power(const double *x, size_t n);
/* The sum of the products. */
double wave_dot(const double *x, const double *y, size_t n);
/* out = x times a factor. */
void wave_gain(const double *x, size_t n, double factor, double *out);
/* out[i] = out[i - 1] + alpha (x[i] - out[i - 1]), from out[0] = x[0] on. 0, or -1: alpha is not above 0 and at most 1. */
int wave_smooth(const double *x, size_t n, double alpha, double *out);
/* Every step-th sample: n / step of them, without the remainder. A step of 0 crashes. */
void wave_decimate(const double *x, size_t n, size_t step, double *out);

#ifdef __cplusplus
}
#endif

#endif
