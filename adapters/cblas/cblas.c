/* cblas.c: BLAS, by OpenBLAS. Level 1 is written in the language and fuses; levels 2 and 3 call the library.
 *
 * Matrices are vectors of elements, row by row, with their sizes beside them. Every function is there for doubles (ddot)
 * and floats (sdot); their texts are in files that are included once for each.
 *
 *     level1.h, complex1.h  rows that are code, on real and on complex numbers
 *     matrix_rows.h  rows that call      matrix.h  the C functions that these call      adjoints.h  their derivatives
 *     banded_rows.h, banded.h, banded_adjoints.h: likewise, of banded and packed matrices
 *     complex_matrix_rows.h, complex_matrix.h, complex_banded_rows.h, complex_banded.h, complex_adjoints.h:
 *     likewise, of complex numbers
 *
 * OpenBLAS has threads of its own, whose number is the process's: it is left as it is. The library's answer may depend on
 * that number in the last digits.
 */
#include <cblas.h>
#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <string.h>
#include <weld.h>

#define EXPORT __attribute__((visibility("default")))

/* Is it a matrix that the library can index, and are there so many elements? */
static bool is_matrix(int64_t rows, int64_t columns, int64_t length) {
    return rows >= 0 && columns >= 0 && rows <= INT_MAX && columns <= INT_MAX && rows * columns == length;
}

/* A band so wide that its number of elements in a row, and that times an int, can be counted. */
static bool is_band(int64_t lower, int64_t upper) {
    return lower >= 0 && upper >= 0 && lower < INT_MAX && upper < INT_MAX - lower;
}

static enum CBLAS_TRANSPOSE trans(bool transposed) {
    return transposed ? CblasTrans : CblasNoTrans;
}
static enum CBLAS_UPLO uplo(bool upper) {
    return upper ? CblasUpper : CblasLower;
}
static enum CBLAS_DIAG diag(bool unit) {
    return unit ? CblasUnit : CblasNonUnit;
}
static enum CBLAS_SIDE side(bool left) {
    return left ? CblasLeft : CblasRight;
}

typedef struct Doubles {
    double *data;
    int64_t length;
} Doubles;
typedef struct Floats {
    float *data;
    int64_t length;
} Floats;
typedef struct ModifiedDouble {
    double d1, d2, x;
    Doubles p;
} ModifiedDouble;
typedef struct ModifiedFloat {
    float d1, d2, x;
    Floats p;
} ModifiedFloat;

#define REAL double
#define Vector Doubles
#define Modified ModifiedDouble
#define CBLAS(name) cblas_d##name
#define SHIM(name) weld_cblas_d##name
#include "matrix.h"

#include "banded.h"
#undef REAL
#undef Vector
#undef Modified
#undef CBLAS
#undef SHIM

#define REAL float
#define Vector Floats
#define Modified ModifiedFloat
#define CBLAS(name) cblas_s##name
#define SHIM(name) weld_cblas_s##name
#include "matrix.h"

#include "banded.h"

/* Conjugated counts together with transposed. */
static enum CBLAS_TRANSPOSE turned(bool transposed, bool conjugated) {
    return !transposed ? CblasNoTrans : conjugated ? CblasConjTrans : CblasTrans;
}

typedef struct ComplexDoubles {
    double (*data)[2];
    int64_t length;
} ComplexDoubles;
typedef struct ComplexFloats {
    float (*data)[2];
    int64_t length;
} ComplexFloats;
typedef struct weld_cblas_zRotation {
    double r[2], c, s[2];
} weld_cblas_zRotation;
typedef struct weld_cblas_cRotation {
    float r[2], c, s[2];
} weld_cblas_cRotation;

#undef REAL
#undef CBLAS
#undef SHIM
#define REAL double
#define Complexes ComplexDoubles
#define CBLAS(name) cblas_z##name
#define SHIM(name) weld_cblas_z##name
#include "complex_matrix.h"

#include "complex_banded.h"
#undef REAL
#undef Complexes
#undef CBLAS
#undef SHIM
#define REAL float
#define Complexes ComplexFloats
#define CBLAS(name) cblas_c##name
#define SHIM(name) weld_cblas_c##name
#include "complex_matrix.h"

#include "complex_banded.h"

#include "adjoints.h"

#include "banded_adjoints.h"

#include "complex_adjoints.h"

/* The sum of the squares as it is, of smaller and of larger numbers: one of the three neither overflows nor loses digits. The
 * factors are 2^-600 and 2^600; below 2^-960 what underflowed could count. Either sum is of the numbers that can make the first
 * one fail: squares of others would underflow themselves, for which processors take time. */
#define DOWN "2.409919865102884e-181"
#define UP "4.149515568880993e180"
#define MAGNITUDE(x) "select(" x " < 0.0, -" x ", " x ")"
#define LOWERED(x) "select(" MAGNITUDE(x) " <= 1e130, 0.0, " x " * " DOWN ")"
#define RAISED(x) "select(" MAGNITUDE(x) " < 1e-144, " x " * " UP ", 0.0)"
#define NORM_OF_SUMS                                                                     \
    "if(s.$0 >= 1.0261342003245941e-289 && s.$0 <= 1.7976931348623157e308, sqrt(s.$0), " \
    "if(s.$0 < 1.0, sqrt(s.$2) * " DOWN ", sqrt(s.$1) * " UP "))"
/* clang-format off */
#define NORM_F64                                                                                              \
    "|x: vec[f64]| let s = result(for(x, merger[{f64, f64, f64}, +], |b, i, e| "                              \
    "let small = " LOWERED("e") "; let large = " RAISED("e") "; "                                             \
    "merge(b, {e * e, small * small, large * large}))); " NORM_OF_SUMS
#define NORM_C64                                                                                              \
    "|x: vec[{f64, f64}]| let s = result(for(x, merger[{f64, f64, f64}, +], |b, i, e| "                       \
    "let p = " LOWERED("e.$0") "; let q = " LOWERED("e.$1") "; "                                              \
    "let u = " RAISED("e.$0") "; let v = " RAISED("e.$1") "; "                                                \
    "merge(b, {e.$0 * e.$0 + e.$1 * e.$1, p * p + q * q, u * u + v * v}))); " NORM_OF_SUMS
/* clang-format on */
/* The squares of floats are doubles that neither overflow nor underflow. */
#define NORM_F32 \
    "|x: vec[f32]| f32(sqrt(result(for(x, merger[f64, +], |b, i, e| let d = f64(e); merge(b, d * d)))))"
#define NORM_C32                                                                                \
    "|x: vec[{f32, f32}]| f32(sqrt(result(for(x, merger[f64, +], |b, i, e| let p = f64(e.$0); " \
    "let q = f64(e.$1); merge(b, p * p + q * q)))))"

/* clang-format off */
static const weld_function_t functions[] = {
#define P "d"
#define T "f64"
#define C "double"
#define Z ""
#define NORM NORM_F64
#include "level1.h"
#include "matrix_rows.h"
#include "banded_rows.h"
#undef P
#undef T
#undef C
#undef Z
#undef NORM
#define P "s"
#define T "f32"
#define C "float"
#define Z "f"
#define NORM NORM_F32
#include "level1.h"
#include "matrix_rows.h"
#include "banded_rows.h"
#undef P
#undef T
#undef C
#undef Z
#undef NORM
#define P "z"
#define R "d"
#define T "f64"
#define C "double"
#define Z ""
#define NORM NORM_C64
#include "complex1.h"
#include "complex_matrix_rows.h"
#include "complex_banded_rows.h"
#undef P
#undef R
#undef T
#undef C
#undef Z
#undef NORM
#define P "c"
#define R "s"
#define T "f32"
#define C "float"
#define Z "f"
#define NORM NORM_C32
#include "complex1.h"
#include "complex_matrix_rows.h"
#include "complex_banded_rows.h"
    {"dsdot", "double cblas_dsdot(int n, const float *x, int incx, const float *y, int incy)",
     "|x: vec[f32], y: vec[f32]| "
     "result(for(zip(x, y), merger[f64, +], |b, i, e| merge(b, f64(e.$0) * f64(e.$1))))",
     NULL, NULL, "the sum of the products of two vectors of floats, in double"},
    {"sdsdot", "float cblas_sdsdot(int n, float a, const float *x, int incx, const float *y, int incy)",
     "|a: f32, x: vec[f32], y: vec[f32]| "
     "f32(f64(a) + result(for(zip(x, y), merger[f64, +], |b, i, e| merge(b, f64(e.$0) * f64(e.$1)))))",
     NULL, NULL, "a more than the sum of the products, in double, rounded to float"},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "cblas", "BLAS, by OpenBLAS", functions};
    return &adapter;
}
