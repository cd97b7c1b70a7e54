/* wave_adapter.c: the functions of wave.h for weldc. What can be said in the language is, and fuses; wave_kepler is called by
 * value within loops; wave_smooth and wave_decimate write their vectors where the runtime wants them.
 *
 *     cc -shared -fPIC -O2 -o libweld-wave.so wave_adapter.c $(pkg-config --cflags weld) -lwave
 */
#include <wave.h>
#include <weld.h>

#define EXPORT __attribute__((visibility("default")))
#define TRAITS "@(pure: true, threadsafe: true)"

typedef struct {
    double *data;
    int64_t length;
} vec_f64;

EXPORT int weld_wave_power(const vec_f64 *x, double *result) {
    *result = wave_power(x->data, (size_t)x->length);
    return WELD_CALL_DONE;
}

EXPORT int weld_wave_dot(const vec_f64 *x, const vec_f64 *y, double *result) {
    if (y->length != x->length) return WELD_CALL_SIZES;
    *result = wave_dot(x->data, y->data, (size_t)x->length);
    return WELD_CALL_DONE;
}

EXPORT int weld_wave_gain(const vec_f64 *x, const double *factor, vec_f64 *result) {
    wave_gain(x->data, (size_t)x->length, *factor, result->data);
    return WELD_CALL_DONE;
}

EXPORT int weld_wave_smooth(const vec_f64 *x, const double *alpha, vec_f64 *result) {
    return wave_smooth(x->data, (size_t)x->length, *alpha, result->data) == 0 ? WELD_CALL_DONE
                                                                              : WELD_CALL_DOMAIN;
}

/* The length that the row asks for is 0 where the step is none. */
EXPORT int weld_wave_decimate(const vec_f64 *x, const int64_t *step, vec_f64 *result) {
    if (*step < 1) return WELD_CALL_DOMAIN;
    wave_decimate(x->data, (size_t)x->length, (size_t)*step, result->data);
    return WELD_CALL_DONE;
}

/* clang-format off */
static const weld_function_t functions[] = {
    {"db", "double wave_db(double ratio)",
     "|ratio: f64| 4.342944819032518 * log(ratio)",
     "|ratio: f64| " TRAITS "cfun[wave_db, f64](ratio)", NULL,
     "a ratio of powers in decibels"},
    {"clip", "double wave_clip(double x, double low, double high)",
     "|x: f64, low: f64, high: f64| if(x < low, low, if(x > high, high, x))",
     "|x: f64, low: f64, high: f64| " TRAITS "cfun[wave_clip, f64](x, low, high)", NULL,
     "x, but at least low and at most high"},
    {"kepler", "double wave_kepler(double m, double e)", NULL,
     "|m: f64, e: f64| " TRAITS "cfun[wave_kepler, f64](m, e)",
     "|m, e, r, g| let s = g / (1.0 - e * cos(r)); {s, s * sin(r)}",
     "the E of Kepler's equation E - e sin(E) = m"},
    {"power", "double wave_power(const double *x, size_t n)",
     "|x: vec[f64]| result(for(x, merger[f64, +], |b, i, e| merge(b, e * e))) / f64(len(x))",
     "|x: vec[f64]| " TRAITS "cfill[weld_wave_power, f64]({}, x)", NULL,
     "the mean of the squares; NaN of none"},
    {"dot", "double wave_dot(const double *x, const double *y, size_t n)",
     "|x: vec[f64], y: vec[f64]| result(for(zip(x, y), merger[f64, +], |b, i, e| merge(b, e.$0 * e.$1)))",
     "|x: vec[f64], y: vec[f64]| " TRAITS "cfill[weld_wave_dot, f64]({}, x, y)", NULL,
     "the sum of the products"},
    {"gain", "void wave_gain(const double *x, size_t n, double factor, double *out)",
     "|x: vec[f64], factor: f64| map(x, |e| factor * e)",
     "|x: vec[f64], factor: f64| " TRAITS "cfill[weld_wave_gain, vec[f64]](len(x), x, factor)", NULL,
     "x times a factor"},
    {"smooth", "int wave_smooth(const double *x, size_t n, double alpha, double *out)", NULL,
     "|x: vec[f64], alpha: f64| " TRAITS "cfill[weld_wave_smooth, vec[f64]](len(x), x, alpha)", NULL,
     "x without what is fast; 0 < alpha <= 1, the smaller the smoother"},
    {"decimate", "void wave_decimate(const double *x, size_t n, size_t step, double *out)", NULL,
     "|x: vec[f64], step: i64| " TRAITS
     "cfill[weld_wave_decimate, vec[f64]](if(step < 1L, 0L, len(x) / step), x, step)", NULL,
     "every step-th sample: len(x) / step of them"},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "wave", "sampled signals", functions};
    return &adapter;
}
