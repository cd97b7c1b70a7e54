/* nditer.c: the arithmetic of nditer, for the interpreter and compiled code.
 *
 * nditer(v, start, end, 1, shape, strides) visits v[start + sum(index * stride)] for all combinations of
 * indices below shape, the last one moving fastest. shape {2, 3} with strides {1, 2} reads a 3 x 2 matrix
 * column by column:
 *
 *     0 2 4 1 3 5
 */
#include "lang.h"

/* Every combination of indices is visited, so all accesses are inside exactly when the least and the greatest
 * one are. */
static ErrorCode check_reach(Worker *worker, Span span, const NdBounds *nd) {
    const int64_t *shape = nd->shape.data, *strides = nd->strides.data;
    __int128 least = nd->start, greatest = nd->start;
    for (int64_t i = 0; i < nd->shape.length; i++) {
        __int128 reach = (__int128)(shape[i] - 1) * strides[i];
        if (reach < 0)
            least += reach;
        else
            greatest += reach;
    }
    if (least >= 0 && greatest < nd->length) return E_None;
    __int128 worst = least < 0 ? least : greatest;
    int64_t index = worst < INT64_MIN ? INT64_MIN : worst > INT64_MAX ? INT64_MAX : (int64_t)worst;
    return worker_fail(worker, E_OutOfBounds, span, index, nd->length);
}

ErrorCode nd_check(Worker *worker, Span span, const NdBounds *nd) {
    const int64_t *shape = nd->shape.data;
    int64_t product = 1, distance = 0;
    bool fits = nd->stride == 1 && !__builtin_sub_overflow(nd->end, nd->start, &distance);
    bool empty = false;
    fits = fits && nd->shape.length == nd->strides.length;
    for (int64_t i = 0; i < nd->shape.length && fits; i++) {
        fits = shape[i] >= 0;
        empty |= shape[i] == 0;
    }
    for (int64_t i = 0; i < nd->shape.length && fits && !empty; i++) {
        fits = !__builtin_mul_overflow(product, shape[i], &product);
    }
    if (empty) product = 0;
    if (!fits || product != distance) return worker_fail(worker, E_BadIterator, span, nd->start, nd->end);
    return empty ? E_None : check_reach(worker, span, nd);
}

int64_t nd_offset(const NdBounds *nd, int64_t index) {
    const int64_t *shape = nd->shape.data, *strides = nd->strides.data;
    int64_t place = nd->start;
    for (int64_t i = nd->shape.length - 1; i >= 0; i--) {
        place += index % shape[i] * strides[i];
        index /= shape[i];
    }
    return place;
}
