/* nn.c: neural networks: layers, losses, optimizers and random numbers, all written in the language.
 *
 * A row is a function of the language without types: inference gives it those of its arguments, so each works on f32
 * and on f64. All but large products (product.c) fuses, and `grad` goes through all but the random numbers.
 *
 *     matrices.h   products, dense layers, rows       activations.def   what is done to each element, losses.h
 *     optimizers.h steps, rates                       random.h          Threefry and what is drawn with it
 *     cells.h      norms, recurrent cells             images.h          convolution, pooling
 *
 * A matrix is {elements row by row, rows, columns}. A row of the table checks the sizes of its arguments before it
 * reads them: the check decides how many iterations there are, so it cannot be dropped while its result is used. It says which
 * function and which argument, as its place is in the row's text.
 *
 * A constant of a type that is not known has no literal: 0 and 1 are what builders of sums and products start from, other
 * whole numbers are made by nn.real.
 */
#include <weld.h>

#define EXPORT __attribute__((visibility("default")))

/* clang-format off */
#define ZERO "result(merger[?, +])"
#define ONE "result(merger[?, *])"
#define REAL(n) "nn.real(" n ", " ZERO ")"
#define SUM(v, term) "result(for(" v ", merger[?, +], |total, k, e| merge(total, " term ")))"
#define SUM_FROM(start, v, term) "result(for(" v ", merger[?, +](" start "), |total, k, e| merge(total, " term ")))"
#define RANGE(n) "rangeiter(0L, " n ", 1L)"
#define ZEROS(n) "result(for(" RANGE(n) ", appender, |z, k, at| merge(z, " ZERO ")))"
#define CHECKED(checks, n) "if(" checks ", " n ", 0L)"
#define CHECK(condition, message) "assert(" condition ", \"" message "\")"
#define CHECK_TWO(condition, message, a, b) "assert(" condition ", \"" message "\", " a ", " b ")"
#define SAME(message, a, b) CHECK_TWO(a " == " b, message, a, b)
#define MATRIX(name, m) "assert(len(" m ".$0) == " m ".$1 * " m ".$2, \"" name ": " m \
    " has {} elements, not {} rows of {}\", len(" m ".$0), " m ".$1, " m ".$2)"
#define ROW(m, r) "slice(" m ".$0, " r " * " m ".$2, " m ".$2)"
#define FUSES(name, code, doc) {name, "", code, NULL, NULL, doc},

static const weld_function_t functions[] = {
#include "matrices.h"
#include "losses.h"
#include "optimizers.h"
#include "random.h"
#include "cells.h"
#include "images.h"
    {NULL, NULL, NULL, NULL, NULL, NULL},
};
/* clang-format on */

EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "nn", "neural networks", functions};
    return &adapter;
}
