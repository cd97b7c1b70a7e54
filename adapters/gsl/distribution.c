/* distribution.c: the distributions of distribution.def, called by value. NaN, and parameters that a distribution cannot have,
 * give NaN without a call. */
#include "gsl_adapter.h"

#include <gsl/gsl_cdf.h>
#include <gsl/gsl_randist.h>

/* clang-format off */
#define CALL(allowed, call)                                                                                  \
    {                                                                                                        \
        if (!(allowed)) return NAN;                                                                          \
        guard_enter();                                                                                       \
        double result = call;                                                                                \
        guard_leave();                                                                                       \
        return result;                                                                                       \
    }
#define SHAPE_D(name, allowed) EXPORT double weld_gsl_##name(double x) CALL(!isnan(x) && (allowed), gsl_##name(x))
#define SHAPE_DD(name, allowed) \
    EXPORT double weld_gsl_##name(double x, double y) CALL(!isnan(x) && !isnan(y) && (allowed), gsl_##name(x, y))
#define SHAPE_DDD(name, allowed)                                                                             \
    EXPORT double weld_gsl_##name(double x, double y, double z)                                              \
        CALL(!isnan(x) && !isnan(y) && !isnan(z) && (allowed), gsl_##name(x, y, z))
#define SHAPE_UD(name, allowed) \
    EXPORT double weld_gsl_##name(unsigned n, double y) CALL(!isnan(y) && (allowed), gsl_##name(n, y))
#define DISTRIBUTION(shape, name, allowed, doc, vjp) SHAPE_##shape(name, allowed)
#include "distribution.def"
/* clang-format on */
