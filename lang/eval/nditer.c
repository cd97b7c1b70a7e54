/* nditer.c: the arithmetic of nditer, for the interpreter and compiled code.
 *
 * nditer(v, start, end, 1, shape, strides) visits v[start + sum(index * stride)] for all combinations of
 * indices below shape, the last one moving fastest. shape {2, 3} with strides {1, 2} reads a 3 x 2 matrix
 * column by column:
 *
 *     0 2 4 1 3 5
 *
 * The last dimensions, as far as they could be one, are a segment: a run of elements a stride apart, which compiled code
 * walks without computing offsets. Here the segments are 0 2 4 and 1 3 5, of stride 2; shape {2, 3} with strides {3, 1} is
 * a single one.
 */
#include "../lang.h"

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

/* The number of dimensions before those that are the segment, and what the segment is. */
static int64_t find_segment(const NdBounds *nd, int64_t *length, int64_t *stride) {
    const int64_t *shape = nd->shape.data, *strides = nd->strides.data;
    int64_t dimension = nd->shape.length;
    *length = 1;
    *stride = 0;
    for (; dimension > 0; dimension--) {
        int64_t size = shape[dimension - 1], step = strides[dimension - 1];
        if (size == 1) continue;
        if (*length == 1)
            *stride = step;
        else if ((__int128)*stride * *length != step)
            break;
        *length *= size;
    }
    return dimension;
}

int64_t nd_segment(const NdBounds *nd, int64_t index, int64_t *place) {
    const int64_t *shape = nd->shape.data, *strides = nd->strides.data;
    int64_t length, stride, dimension = find_segment(nd, &length, &stride), inside = index % length;
    *place = nd->start + inside * stride;
    index /= length;
    for (; dimension > 0 && index > 0; dimension--) {
        *place += index % shape[dimension - 1] * strides[dimension - 1];
        index /= shape[dimension - 1];
    }
    return length - inside;
}

int64_t nd_stride(const NdBounds *nd) {
    int64_t length, stride;
    find_segment(nd, &length, &stride);
    return stride;
}
