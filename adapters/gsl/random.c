/* random.c: random numbers as a function of a seed: the same seed gives the same numbers, on every run and in any thread.
 *
 * A generator is made, seeded, and gone when the call ends. Like gsl_rng_set, a seed of 0 stands for 4357.
 */
#include "gsl_adapter.h"

#include <gsl/gsl_randist.h>
#include <gsl/gsl_rng.h>

static gsl_rng *seeded(int64_t seed) {
    guard_enter();
    gsl_rng *rng = gsl_rng_alloc(gsl_rng_mt19937);
    if (rng) gsl_rng_set(rng, (unsigned long)seed);
    guard_leave();
    return rng;
}

EXPORT int weld_gsl_rng_uniform(const int64_t *seed, Doubles *out) {
    gsl_rng *rng = seeded(*seed);
    if (!rng) return WELD_CALL_NO_MEMORY;
    for (int64_t i = 0; i < out->length; i++) out->data[i] = gsl_rng_uniform(rng);
    gsl_rng_free(rng);
    return WELD_CALL_DONE;
}

#define RANDOM1(name, allowed, doc)                                                              \
    EXPORT int weld_gsl_ran_##name(const int64_t *seed, const double *parameter, Doubles *out) { \
        double a = *parameter;                                                                   \
        if (!isfinite(a) || !(allowed)) return WELD_CALL_DOMAIN;                                 \
        gsl_rng *rng = seeded(*seed);                                                            \
        if (!rng) return WELD_CALL_NO_MEMORY;                                                    \
        for (int64_t i = 0; i < out->length; i++) out->data[i] = gsl_ran_##name(rng, a);         \
        gsl_rng_free(rng);                                                                       \
        return WELD_CALL_DONE;                                                                   \
    }
#define RANDOM2(name, allowed, doc)                                                                \
    EXPORT int weld_gsl_ran_##name(const int64_t *seed, const double *first, const double *second, \
                                   Doubles *out) {                                                 \
        double a = *first, b = *second;                                                            \
        if (!isfinite(a) || !isfinite(b) || !(allowed)) return WELD_CALL_DOMAIN;                   \
        gsl_rng *rng = seeded(*seed);                                                              \
        if (!rng) return WELD_CALL_NO_MEMORY;                                                      \
        for (int64_t i = 0; i < out->length; i++) out->data[i] = gsl_ran_##name(rng, a, b);        \
        gsl_rng_free(rng);                                                                         \
        return WELD_CALL_DONE;                                                                     \
    }
#include "random.def"

/* Counts, which the library returns as unsigned. */
EXPORT int weld_gsl_ran_poisson(const int64_t *seed, const double *mu, Doubles *out) {
    if (!(*mu >= 0 && *mu <= 1e9)) return WELD_CALL_DOMAIN;
    gsl_rng *rng = seeded(*seed);
    if (!rng) return WELD_CALL_NO_MEMORY;
    for (int64_t i = 0; i < out->length; i++) out->data[i] = (double)gsl_ran_poisson(rng, *mu);
    gsl_rng_free(rng);
    return WELD_CALL_DONE;
}

EXPORT int weld_gsl_ran_bernoulli(const int64_t *seed, const double *p, Doubles *out) {
    if (!(*p >= 0 && *p <= 1)) return WELD_CALL_DOMAIN;
    gsl_rng *rng = seeded(*seed);
    if (!rng) return WELD_CALL_NO_MEMORY;
    for (int64_t i = 0; i < out->length; i++) out->data[i] = (double)gsl_ran_bernoulli(rng, *p);
    gsl_rng_free(rng);
    return WELD_CALL_DONE;
}
