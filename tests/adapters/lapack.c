/* lapack.c: every function of the adapter lapack against LAPACKE called directly, on random matrices of many sizes; sizes
 * that do not fit, NaN and infinities must fail, and singular matrices must say that they are. */
#include "adapter.h"

#include <float.h>
#include <lapacke.h>

#define REAL double
#define FLOATS false
#define E "f64"
#define LAPACK(name) LAPACKE_d##name
#define TEST(name) d_##name
#define EPS DBL_EPSILON
#include "lapack_rows.h"

#include "lapack_structured.h"
#undef REAL
#undef FLOATS
#undef E
#undef LAPACK
#undef TEST
#undef EPS

#define REAL float
#define FLOATS true
#define E "f32"
#define LAPACK(name) LAPACKE_s##name
#define TEST(name) s_##name
#define EPS FLT_EPSILON
#include "lapack_rows.h"

#include "lapack_structured.h"

/* clang-format off */
#define BOTH(name) {"d" #name, d_##name}, {"s" #name, s_##name}
static const RowTest tests[] = {
    BOTH(gesv), BOTH(posv), BOTH(getrf), BOTH(getrs), BOTH(inv), BOTH(det), BOTH(potrf), BOTH(potrs),
    BOTH(geqrf), BOTH(orgqr), BOTH(qr), BOTH(gels), BOTH(syev), BOTH(geev), BOTH(gesvd),
    BOTH(trtrs), BOTH(sysv), BOTH(gtsv), BOTH(ptsv), BOTH(gbsv), BOTH(pbsv), BOTH(gelsd), BOTH(sygv),
};
/* clang-format on */

Test(lapack, rows) {
    check_rows("lapack", tests, COUNT(tests));
}
