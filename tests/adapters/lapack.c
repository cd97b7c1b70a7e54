/* lapack.c: every function of the adapter lapack against LAPACKE called directly, on random matrices of many sizes; sizes
 * that do not fit, NaN and infinities must fail, and singular matrices must say that they are. */
#include "adapter.h"

#include <complex.h>
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
#undef REAL
#undef FLOATS
#undef E
#undef LAPACK
#undef TEST
#undef EPS

#define REAL double
#define NUMBER lapack_complex_double
#define FLOATS false
#define E "{f64,f64}"
#define R "f64"
#define LAPACK(name) LAPACKE_z##name
#define TEST(name) z_##name
#define EPS DBL_EPSILON
#include "lapack_complex.h"

#include "lapack_complex_values.h"
#undef REAL
#undef NUMBER
#undef FLOATS
#undef E
#undef R
#undef LAPACK
#undef TEST
#undef EPS

#define REAL float
#define NUMBER lapack_complex_float
#define FLOATS true
#define E "{f32,f32}"
#define R "f32"
#define LAPACK(name) LAPACKE_c##name
#define TEST(name) c_##name
#define EPS FLT_EPSILON
#include "lapack_complex.h"

#include "lapack_complex_values.h"

/* clang-format off */
#define BOTH(name) {"d" #name, d_##name}, {"s" #name, s_##name}
#define COMPLEX(name) {"z" #name, z_##name}, {"c" #name, c_##name}
#define ALL(name) BOTH(name), COMPLEX(name)
static const RowTest tests[] = {
    ALL(gesv), ALL(posv), ALL(getrf), ALL(getrs), ALL(getri), ALL(inv), ALL(det), ALL(potrf), ALL(potrs), ALL(potri),
    ALL(geqrf), BOTH(orgqr), COMPLEX(ungqr), ALL(qr), ALL(gels), BOTH(syev), COMPLEX(heev), ALL(geev), ALL(gesvd), ALL(gesdd),
    ALL(trtrs), ALL(sysv), COMPLEX(hesv), ALL(gtsv), ALL(ptsv), ALL(gbsv), ALL(pbsv), ALL(ppsv), ALL(gelsd), ALL(gelss),
    ALL(gelsy), BOTH(sygv), COMPLEX(hegv),
};
/* clang-format on */

Test(lapack, rows) {
    check_rows("lapack", tests, COUNT(tests));
}
