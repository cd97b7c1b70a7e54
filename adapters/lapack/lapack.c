/* lapack.c: LAPACK, through LAPACKE: linear equations, factorizations, least squares, eigenvalues, singular values.
 *
 * Every function is there for doubles (dgesv) and floats (sgesv); solvers.h and rows.h, and structured.h
 * and structured_rows.h for matrices with a structure, are included once for each. Several
 * results are a struct of vectors. What the library reports by `info` becomes a failure that says which: a singular matrix,
 * a method that did not converge, no memory.
 */
#include <lapacke.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <weld.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct Pivots {
    lapack_int *data;
    int64_t length;
} Pivots;
_Static_assert(sizeof(lapack_int) == 4, "pivots are vec[i32]");

/* Is it a matrix that the library can index, and are there so many elements? */
static bool is_matrix(int64_t rows, int64_t columns, int64_t length) {
    return rows >= 0 && columns >= 0 && rows <= INT_MAX && columns <= INT_MAX && rows * columns == length;
}

/* A band so wide that the elements of a row, and of what the library makes of it, can be counted. */
static bool is_band(int64_t lower, int64_t upper) {
    return lower >= 0 && upper >= 0 && lower < INT_MAX / 2 && upper < INT_MAX - 2 * lower;
}

static char uplo(bool upper) {
    return upper ? 'U' : 'L';
}

static int leading(int64_t columns) {
    return columns > 0 ? (int)columns : 1;
}

/* info > 0 is a 0 on a diagonal, or a minor that is not positive. */
static int singular(lapack_int info) {
    if (info == LAPACK_WORK_MEMORY_ERROR || info == LAPACK_TRANSPOSE_MEMORY_ERROR) return WELD_CALL_NO_MEMORY;
    return info > 0 ? WELD_CALL_SINGULAR : info < 0 ? WELD_CALL_SIZES : WELD_CALL_DONE;
}

/* info > 0 is what did not converge. */
static int converged(lapack_int info) {
    return info > 0 ? WELD_CALL_NOT_REACHED : singular(info);
}

#define REAL double
#define LAPACK(name) LAPACKE_d##name
#define SHIM(name) weld_lapack_d##name
#include "solvers.h"

#include "structured.h"
#undef Reals
#undef REAL
#undef LAPACK
#undef SHIM

#define REAL float
#define LAPACK(name) LAPACKE_s##name
#define SHIM(name) weld_lapack_s##name
#include "solvers.h"

#include "structured.h"
#undef Reals

#include "adjoints.h"

/* clang-format off */
static const weld_function_t functions[] = {
#define P "d"
#define T "f64"
#define C "double"
#define Z ""
#include "rows.h"
#include "structured_rows.h"
#undef P
#undef T
#undef C
#undef Z
#define P "s"
#define T "f32"
#define C "float"
#define Z "f"
#include "rows.h"
#include "structured_rows.h"
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "lapack", "LAPACK, linear algebra",
                                           functions};
    return &adapter;
}
