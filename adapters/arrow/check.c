/* check.c: an array against its schema: all that the structs tell. The lengths of buffers they do not tell; offsets are
 * checked when they are read. */
#include "arrow.h"

static bool bad(const Column *column, weld_error_t error, const char *what) {
    return fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\" of format \"%.40s\": the array %s",
                 column->name, column->text, what);
}

static bool check_counts(const Column *column, const struct ArrowArray *array, weld_error_t error) {
    Layout layout = column->format.row->layout;
    int wanted = layouts[layout].buffers;
    if (array->length < 0 || array->offset < 0) return bad(column, error, "has a negative length or offset");
    if (array->length > MOST_LENGTH || array->offset > MOST_LENGTH)
        return bad(column, error, "is longer than can be");
    if (array->null_count < -1 || array->null_count > array->length)
        return bad(column, error, "has a number of nulls that cannot be");
    bool fits = array->n_buffers == wanted || (layout == LAYOUT_bytes_view && array->n_buffers > wanted) ||
                (layout == LAYOUT_null && array->n_buffers == 1); /* as older versions of Arrow had it */
    if (!fits) return bad(column, error, "has another number of buffers than its format says");
    if (array->n_buffers > 0 && !array->buffers) return bad(column, error, "lacks its buffers");
    if (array->n_children != column->children || (array->n_children > 0 && !array->children))
        return bad(column, error, "has another number of children than its schema");
    if (!array->dictionary != !column->dictionary)
        return bad(column, error, "has a dictionary and its schema has none, or the other way round");
    return true;
}

/* Empty arrays need no buffers. */
static bool check_buffers(const Column *column, const struct ArrowArray *array, weld_error_t error) {
    Layout layout = column->format.row->layout;
    if (layout == LAYOUT_null) return true;
    if (array->null_count > 0 && !array->buffers[0])
        return bad(column, error, "has nulls, but no buffer that tells which");
    bool has_width = layout != LAYOUT_fixed_bytes || column->format.width > 0;
    if (layouts[layout].buffers > 1 && array->length > 0 && !array->buffers[1] && has_width)
        return bad(column, error, "lacks a buffer");
    if ((layout == LAYOUT_list_view || layout == LAYOUT_large_list_view) && array->length > 0 &&
        !array->buffers[2])
        return bad(column, error, "lacks a buffer");
    if (layout == LAYOUT_bytes_view && array->n_buffers > 3 && !array->buffers[array->n_buffers - 1])
        return bad(column, error, "lacks the buffer of the lengths of buffers");
    int64_t width = column->format.width;
    if (width > 1 && array->offset + array->length > MOST_LENGTH / width)
        return bad(column, error, "is longer than can be");
    return true;
}

/* So long must each child be. */
static int64_t needed_of_child(const Column *column, const struct ArrowArray *array) {
    switch (column->format.row->layout) {
    case LAYOUT_struct: return array->offset + array->length;
    case LAYOUT_fixed_list: return (array->offset + array->length) * column->format.width;
    default: return 0;
    }
}

bool check_array(const Column *column, const struct ArrowArray *array, weld_error_t error) {
    if (!array) return bad(column, error, "is missing");
    if (!array->release) return bad(column, error, "is released already");
    if (!check_counts(column, array, error) || !check_buffers(column, array, error)) return false;
    int64_t needed = needed_of_child(column, array);
    for (int64_t i = 0; i < column->children; i++) {
        if (!check_array(column->child[i], array->children[i], error)) return false;
        if (array->children[i]->length < needed)
            return bad(column->child[i], error, "is shorter than what it is a part of says");
    }
    return !column->dictionary || check_array(column->dictionary, array->dictionary, error);
}
