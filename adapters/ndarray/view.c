/* view.c: views: another start, shape and strides over the same lazy value.
 *
 *     x: start 0, shape {4, 6}, strides {6, 1}
 *     slice(x, 1, -1, none, -2)      start 5, shape {4, 3}, strides {6, -2}
 *     transpose(x)                   start 0, shape {6, 4}, strides {1, 6}
 */
#include "nd.h"

#include <string.h>

/* A view with another shape of the same elements in the same order, whose strides are those of an array in order. */
static Nd *reshaped(const Nd *nd, int rank, const int64_t *shape, weld_error_t error) {
    Nd *view = nd_view(nd, error);
    int64_t step = 1;
    if (!view) return NULL;
    view->rank = rank;
    for (int i = rank - 1; i >= 0; i--) {
        view->shape[i] = shape[i];
        view->strides[i] = nd->scalar ? 0 : step;
        step *= shape[i] ? shape[i] : 1;
    }
    return view;
}

/* What shape the numbers, one of which may be -1, ask for. */
static bool find_shape(const Nd *nd, int rank, const int64_t *given, int64_t *shape, weld_error_t error) {
    int64_t size, known = 1, total = nd_size(nd);
    int open = -1;
    if (rank < 0 || rank > WELD_ND_AXES || (rank && !given)) return nd_check_shape(rank, given, &size, error);
    for (int i = 0; i < rank; i++) {
        shape[i] = given[i];
        if (given[i] != -1) {
            if (given[i] > 0 && __builtin_mul_overflow(known, given[i], &known)) known = -1;
            if (given[i] == 0) known = 0;
            continue;
        }
        if (open >= 0) return nd_refuse(error, "only one length may be left open");
        open = i;
        shape[i] = 0;
    }
    if (open >= 0) {
        if (known <= 0 || total % known) return nd_refuse(error, "no length makes the shape fit");
        shape[open] = total / known;
    }
    if (!nd_check_shape(rank, shape, &size, error)) return false;
    return size == total ||
           nd_fail(error, WELD_ARGUMENT_ERROR, "%lld elements do not fit into a shape of %lld",
                   (long long)total, (long long)size);
}

/* Rank 0 has a lazy scalar, not a vector. */
static Nd *as_scalar(const Nd *nd, weld_error_t error) {
    Nd *view = NULL;
    if (nd->scalar) {
        view = nd_view(nd, error);
        if (view) view->rank = 0;
        return view;
    }
    Fragment f = {.function = "ndarray.item", .error = error};
    int data = fragment_lazy(&f, nd->data), at = fragment_numbers(&f, &nd->start, 1);
    text_put(&f.body, "lookup(p%d, p%d)", data, at);
    return nd_new(nd->dtype, 0, NULL, fragment_close(&f), true, error);
}

/* A scalar as a vector of one element is a scalar that is the same everywhere: nothing to do. */
weld_nd_t weld_nd_reshape(weld_nd_t nd, int rank, const int64_t *given, weld_error_t error) {
    int64_t shape[WELD_ND_AXES];
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!find_shape(nd, rank, given, shape, error)) return NULL;
    if (rank == 0) return as_scalar(nd, error);
    if (nd->scalar || nd_is_in_order(nd)) return reshaped(nd, rank, shape, error);
    Nd *copy = weld_nd_contiguous(nd, error), *view = copy ? reshaped(copy, rank, shape, error) : NULL;
    weld_nd_free(copy);
    return view;
}

weld_nd_t weld_nd_transpose(weld_nd_t nd, const int *axes, weld_error_t error) {
    bool seen[WELD_ND_AXES] = {false};
    if (!nd) return nd_refuse(error, "the array is NULL");
    Nd *view = nd_view(nd, error);
    for (int i = 0; view && i < nd->rank; i++) {
        int from = axes ? axes[i] : nd->rank - 1 - i;
        if (from < 0) from += nd->rank;
        if (from < 0 || from >= nd->rank || seen[from]) {
            weld_nd_free(view);
            return nd_refuse(error, "the axes are not each of the array's once");
        }
        seen[from] = true;
        view->shape[i] = nd->shape[from];
        view->strides[i] = nd->strides[from];
    }
    return view;
}

/* A bound as Python has it, cut to [least, most]. */
static int64_t clamp(int64_t at, int64_t length, int64_t least, int64_t most) {
    if (at < 0) at = at < -length ? least : at + length;
    return at < least ? least : at > most ? most : at;
}

weld_nd_t weld_nd_slice(weld_nd_t nd, int axis, int64_t start, int64_t stop, int64_t step,
                        weld_error_t error) {
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!nd_check_axis(nd, &axis, nd->rank, error)) return NULL;
    if (step == 0 || step == INT64_MIN) return nd_refuse(error, "the step of a slice is 0, or too far");
    int64_t length = nd->shape[axis], least = step < 0 ? -1 : 0, most = step < 0 ? length - 1 : length;
    start = start == WELD_ND_NONE ? (step < 0 ? most : least) : clamp(start, length, least, most);
    stop = stop == WELD_ND_NONE ? (step < 0 ? least : most) : clamp(stop, length, least, most);
    int64_t distance = step < 0 ? start - stop : stop - start, each = step < 0 ? -step : step;
    Nd *view = nd_view(nd, error);
    if (!view) return NULL;
    int64_t count = distance > 0 ? (distance - 1) / each + 1 : 0;
    view->shape[axis] = count;
    if (count > 0) view->start += start * nd->strides[axis];
    if (count > 1) view->strides[axis] *= step; /* then the step is within the axis */
    return view;
}

static Nd *without_axis(const Nd *nd, int axis, int64_t index, weld_error_t error) {
    Nd *view = nd_view(nd, error);
    if (!view) return NULL;
    view->start += index * nd->strides[axis];
    view->rank--;
    for (int i = axis; i < view->rank; i++) {
        view->shape[i] = nd->shape[i + 1];
        view->strides[i] = nd->strides[i + 1];
    }
    if (view->rank > 0) return view;
    Nd *scalar = as_scalar(view, error);
    weld_nd_free(view);
    return scalar;
}

weld_nd_t weld_nd_index(weld_nd_t nd, int axis, int64_t index, weld_error_t error) {
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!nd_check_axis(nd, &axis, nd->rank, error)) return NULL;
    int64_t length = nd->shape[axis], at = index < 0 ? index + length : index;
    if (at < 0 || at >= length)
        return nd_fail(error, WELD_ARRAY_OUT_OF_BOUNDS,
                       "index %lld is out of bounds for an axis of length %lld", (long long)index,
                       (long long)length);
    return without_axis(nd, axis, at, error);
}

weld_nd_t weld_nd_expand(weld_nd_t nd, int axis, weld_error_t error) {
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!nd_check_axis(nd, &axis, nd->rank + 1, error)) return NULL;
    if (nd->rank == WELD_ND_AXES) return nd_refuse(error, "the array has as many axes as there can be");
    Nd *view = nd_view(nd, error);
    if (!view) return NULL;
    view->rank++;
    for (int i = view->rank - 1; i > axis; i--) {
        view->shape[i] = nd->shape[i - 1];
        view->strides[i] = nd->strides[i - 1];
    }
    view->shape[axis] = 1;
    view->strides[axis] = 0;
    return view;
}

weld_nd_t weld_nd_squeeze(weld_nd_t nd, int axis, weld_error_t error) {
    if (!nd) return nd_refuse(error, "the array is NULL");
    if (!nd_check_axis(nd, &axis, nd->rank, error)) return NULL;
    if (nd->shape[axis] != 1)
        return nd_fail(error, WELD_ARGUMENT_ERROR, "axis %d has length %lld, not 1", axis,
                       (long long)nd->shape[axis]);
    return without_axis(nd, axis, 0, error);
}
