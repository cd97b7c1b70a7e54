/* corpus_functions.h: the C functions that programs of tests/golden/run call. A test that runs these programs includes it once,
 * and exports its symbols.
 */
#ifndef CORPUS_FUNCTIONS_H
#define CORPUS_FUNCTIONS_H

#include "../lang/lang.h"

#include <string.h>

/* ---- foreign functions of tests/golden/run/cudf.weld: by pointers ---- */

#define FOREIGN __attribute__((visibility("default"))) void

FOREIGN corpus_add(const int64_t *a, const int64_t *b, int64_t *out) {
    *out = *a + *b;
}

FOREIGN corpus_answer(int64_t *out) {
    *out = 42;
}

FOREIGN corpus_total(const Vec *v, double *out) {
    *out = 0;
    for (int64_t i = 0; i < v->length; i++) *out += ((const double *)v->data)[i];
}

typedef struct ByteDouble {
    int8_t a;
    double b;
} ByteDouble;
typedef struct DoubleByte {
    double a;
    int8_t b;
} DoubleByte;

FOREIGN corpus_swap(const ByteDouble *in, DoubleByte *out) {
    out->a = in->b;
    out->b = in->a;
}

FOREIGN corpus_tail(const Vec *v, Vec *out) {
    *out = (Vec){(int64_t *)v->data + 1, v->length - 1};
}

FOREIGN corpus_invert(const uint8_t *in, uint8_t *out) {
    *out = !*in;
}

FOREIGN corpus_six(const int8_t *a, const int16_t *b, const int32_t *c, const int64_t *d, const float *e,
                   const double *f, int64_t *out) {
    *out = *a + *b + *c + *d + (int64_t)*e + (int64_t)*f;
}

/* ---- those of tests/golden/run/cfun.weld: by value ---- */

#define EXPORT __attribute__((visibility("default")))

EXPORT int64_t corpus_v_add(int64_t a, int64_t b) {
    return a + b;
}

EXPORT int64_t corpus_v_answer(void) {
    return 42;
}

EXPORT int8_t corpus_v_i8(int8_t x) {
    return (int8_t)(x - 100);
}

EXPORT int16_t corpus_v_i16(int16_t x) {
    return (int16_t)(x - 100);
}

EXPORT int32_t corpus_v_i32(int32_t x) {
    return x < 0 ? x + 1 : x - 1;
}

EXPORT uint8_t corpus_v_u8(uint8_t x) {
    return (uint8_t)(x + 100);
}

EXPORT uint16_t corpus_v_u16(uint16_t x) {
    return (uint16_t)(x + 100);
}

EXPORT uint32_t corpus_v_u32(uint32_t x) {
    return x / 2;
}

EXPORT uint64_t corpus_v_u64(uint64_t x) {
    return x / 2;
}

EXPORT float corpus_v_f32(float x) {
    return x / 4;
}

EXPORT bool corpus_v_not(bool x) {
    return !x;
}

/* More than go into registers, of every size. */
EXPORT double corpus_v_many(int8_t a, float b, uint16_t c, double d, int64_t e, bool f, uint32_t g, int16_t h,
                            double i, uint8_t j, float k, int32_t l, double m, double n, double o, double p,
                            double q, uint64_t r, double s, float t) {
    return a + b * 2 + c * 3 + d * 4 + (double)e * 5 + f * 6 + g * 7.0 + h * 8 + i * 9 + j * 10 + k * 11 +
           l * 12.0 + m * 13 + n * 14 + o * 15 + p * 16 + q * 17 + (double)r * 18 + s * 19 + t * 20;
}

static int64_t ticks, tick_log; /* calls; a number from their arguments in order */

EXPORT int64_t corpus_v_reset(void) {
    return ticks = tick_log = 0;
}

EXPORT int64_t corpus_v_tick(int64_t x) {
    ticks++;
    tick_log = tick_log * 10 + x;
    return x;
}

EXPORT int64_t corpus_v_ticks(void) {
    return ticks;
}

EXPORT int64_t corpus_v_tick_log(void) {
    return tick_log;
}

/* ---- of tests/golden/run/cfill.weld: into memory of the run ---- */

EXPORT int corpus_f_iota(const int64_t *start, Vec *out) {
    for (int64_t i = 0; i < out->length; i++) ((int64_t *)out->data)[i] = *start + i;
    return 0;
}

/* The elements above a limit, in room for all. */
EXPORT int corpus_f_above(const Vec *v, const double *limit, Vec *out) {
    int64_t count = 0;
    for (int64_t i = 0; i < v->length; i++) {
        double x = ((const double *)v->data)[i];
        if (x > *limit) ((double *)out->data)[count++] = x;
    }
    out->length = count;
    return 0;
}

EXPORT int corpus_f_status(const int32_t *status, Vec *out) {
    memset(out->data, 0, (size_t)out->length);
    return *status;
}

EXPORT int corpus_f_length(const int64_t *length, Vec *out) {
    out->length = *length;
    return 0;
}

/* What it must not do: other memory in the place of what it was given. */
EXPORT int corpus_f_replaces(const Vec *v, Vec *out) {
    out->data = v->data;
    return 0;
}

EXPORT int corpus_f_drops(Vec *out) {
    *out = (Vec){NULL, 0};
    return 0;
}

typedef struct Halves {
    Vec low;
    int8_t tag;
    struct {
        double mean;
        Vec high;
    } rest;
} Halves;

EXPORT int corpus_f_halves(const Vec *v, Halves *out) {
    const double *x = v->data;
    out->rest.mean = 0;
    for (int64_t i = 0; i < v->length; i++) {
        bool low = i < out->low.length;
        ((double *)(low ? out->low.data : out->rest.high.data))[low ? i : i - out->low.length] = x[i];
        out->rest.mean += x[i] / (double)v->length;
    }
    out->tag = 7;
    return 0;
}

EXPORT int corpus_f_scalars(const int64_t *x, DoubleByte *out) {
    *out = (DoubleByte){(double)*x / 2, (int8_t)*x};
    return 0;
}

EXPORT int corpus_f_count(const int64_t *x, Vec *out) {
    ticks++;
    for (int64_t i = 0; i < out->length; i++) ((int64_t *)out->data)[i] = *x;
    return 0;
}

#endif
