/* lapack.c: LAPACK, through LAPACKE: linear equations, factorizations, least squares, eigenvalues, singular values.
 *
 * Every function is there for doubles (dgesv) and floats (sgesv) and for complex numbers of these (zgesv, cgesv). Files that are
 * included once for each:
 *
 *     solvers.h, rows.h                    general matrices, Hermitian ones, their factors
 *     general_eigen.h                      the eigenvalues of any matrix
 *     structured.h, structured_rows.h      triangles, bands, packed matrices; least squares; generalized eigenvalues
 *     adjoints.h, structured_adjoints.h, complex_adjoints.h     derivatives
 *
 * Several results are a struct of vectors. What the library reports by `info` becomes a failure that says which: a singular matrix,
 * a method that did not converge, no memory.
 */
#include <complex.h>
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

#define JOINED_(a, b) a##b
#define JOINED(a, b) JOINED_(a, b)
#define LAPACK(name) JOINED(JOINED(LAPACKE_, LETTER), name)
#define SHIM(name) JOINED(JOINED(weld_lapack_, LETTER), name)
#define REALS(name) JOINED(JOINED(weld_lapack_, REAL_LETTER), name)
#define Numbers SHIM(Vector)
#define Reals REALS(Vector)

#define COMPLEX 0
#define SYM(name) sy##name
#define UNI(name) or ##name
#define IS_FINITE(x) isfinite(x)
#define ADJOINT 'T'
#define TURN const bool *transposed
#define TURNED *transposed ? 'T' : 'N'

#define REAL double
#define NUMBER double
#define LETTER d
#define REAL_LETTER d
#include "solvers.h"

#include "general_eigen.h"

#include "structured.h"
#undef REAL
#undef NUMBER
#undef LETTER
#undef REAL_LETTER

#define REAL float
#define NUMBER float
#define LETTER s
#define REAL_LETTER s
#include "solvers.h"

#include "general_eigen.h"

#include "structured.h"
#undef REAL
#undef NUMBER
#undef LETTER
#undef REAL_LETTER
#undef COMPLEX
#undef SYM
#undef UNI
#undef IS_FINITE
#undef ADJOINT
#undef TURN
#undef TURNED

#define COMPLEX 1
#define SYM(name) he##name
#define UNI(name) un##name
#define IS_FINITE(x) (isfinite(creal(x)) && isfinite(cimag(x)))
#define ADJOINT 'C'
#define TURN const bool *transposed, const bool *conjugated
#define TURNED !*transposed ? 'N' : *conjugated ? 'C' : 'T'

#define REAL double
#define NUMBER lapack_complex_double
#define LETTER z
#define REAL_LETTER d
#include "solvers.h"

#include "general_eigen.h"

#include "structured.h"
#undef REAL
#undef NUMBER
#undef LETTER
#undef REAL_LETTER

#define REAL float
#define NUMBER lapack_complex_float
#define LETTER c
#define REAL_LETTER s
#include "solvers.h"

#include "general_eigen.h"

#include "structured.h"

#undef COMPLEX
#undef TURN
#undef TURNED

#include "adjoints.h"

#include "structured_adjoints.h"

#include "complex_adjoints.h"

#define COMPLEX 0

/* clang-format off */
static const weld_function_t functions[] = {
#define SY "sy"
#define OR "or"
#define FLAGS "transposed: bool"
#define FLAG_NAMES "transposed"
#define VJP(name) VJP_##name
#define E T
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
#undef P
#undef T
#undef C
#undef Z
#undef SY
#undef OR
#undef FLAGS
#undef FLAG_NAMES
#undef VJP
#undef E
#undef COMPLEX
#define COMPLEX 1
#define SY "he"
#define OR "un"
#define FLAGS "transposed: bool, conjugated: bool"
#define FLAG_NAMES "transposed, conjugated"
#define VJP(name) VJP_C_##name
#define E "{" T ", " T "}"
#define P "z"
#define T "f64"
#define C "double"
#define Z ""
#include "rows.h"
#include "structured_rows.h"
#undef P
#undef T
#undef C
#undef Z
#define P "c"
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
