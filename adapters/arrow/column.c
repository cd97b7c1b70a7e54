/* column.c: what was imported, as a tree of columns.
 *
 * The tree follows the schema. Each column has a piece of each array: of a table that came in two batches
 *
 *     table  rows 0..2 of batch 0, 0..3 of batch 1
 *       a    elements 0..2 of batch 0's array a, 1..4 of batch 1's array a      (whose offset is 1)
 *       b    ..
 *
 * The columns of a struct have the part of their arrays that the struct's offset and length say; items of lists and the
 * values of dictionaries have all of it. Nothing is read yet but the structs: read.c does that when values are asked for.
 */
#include "arrow.h"

#include <string.h>

static bool is_index(const FormatRow *row) {
    return row->layout == LAYOUT_plain && row->type[0] != 'f' && !row->spelling[1];
}

static bool check_format(const Column *column, weld_error_t error) {
    const FormatRow *row = column->format.row;
    if (row->layout == LAYOUT_refused)
        return fault(error, WELD_ARGUMENT_ERROR,
                     "column \"%.100s\": there is no type for Arrow's %s (format \"%.40s\"): cast it before",
                     column->name, row->doc, column->text);
    return true;
}

static bool add_children(Column *column, const struct ArrowSchema *schema, int depth, weld_error_t error) {
    int wanted = layouts[column->format.row->layout].children;
    if (schema->n_children < 0 || (wanted >= 0 && schema->n_children != wanted) ||
        (schema->n_children > 0 && !schema->children))
        return fault(error, WELD_ARGUMENT_ERROR,
                     "column \"%.100s\": the schema of format \"%.40s\" has %lld children", column->name,
                     column->text, (long long)schema->n_children);
    if (schema->n_children == 0) return true;
    if (schema->n_children > INT32_MAX) return no_memory(error);
    column->child = calloc((size_t)schema->n_children, sizeof(Column *));
    if (!column->child) return no_memory(error);
    for (int64_t i = 0; i < schema->n_children; i++) {
        column->child[i] = column_new(schema->children[i], column, depth + 1, error);
        if (!column->child[i]) return false;
        column->children = i + 1;
    }
    return true;
}

static bool add_dictionary(Column *column, const struct ArrowSchema *schema, int depth, weld_error_t error) {
    if (!schema->dictionary) return true;
    if (!is_index(column->format.row))
        return fault(error, WELD_ARGUMENT_ERROR,
                     "column \"%.100s\": the indices of a dictionary are integers, not of format \"%.40s\"",
                     column->name, column->text);
    column->dictionary = column_new(schema->dictionary, NULL, depth + 1, error);
    return column->dictionary != NULL;
}

Column *column_new(const struct ArrowSchema *schema, Column *parent, int depth, weld_error_t error) {
    if (!schema || !schema->release || !schema->format) {
        fault(error, WELD_ARGUMENT_ERROR, "an Arrow schema is %s",
              !schema            ? "missing"
              : !schema->release ? "released already"
                                 : "without a format");
        return NULL;
    }
    if (depth > MOST_DEPTH) {
        fault(error, WELD_ARGUMENT_ERROR, "an Arrow schema is nested deeper than %d", MOST_DEPTH);
        return NULL;
    }
    Column *column = calloc(1, sizeof *column);
    if (column) {
        column->name = strdup(schema->name ? schema->name : "");
        column->text = strdup(schema->format);
        atomic_init(&column->nulls, -1);
    }
    bool ok = column && column->name && column->text;
    if (!ok) no_memory(error);
    if (ok && !format_read(column->text, &column->format))
        ok = fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\": \"%.40s\" is no format of Arrow",
                   column->name, column->text);
    ok = ok && check_format(column, error);
    if (ok && parent && parent->format.row->layout == LAYOUT_struct) column->parent = parent;
    ok = ok && add_children(column, schema, depth, error) && add_dictionary(column, schema, depth, error);
    if (ok) return column;
    column_free(column);
    return NULL;
}

void column_free(Column *column) {
    if (!column) return;
    for (int i = 0; i < LAZIES; i++) weld_lazy_free(atomic_load(&column->lazies[i]));
    for (int64_t i = 0; i < column->children; i++) column_free(column->child[i]);
    column_free(column->dictionary);
    free(column->child);
    free(column->piece);
    free(column->name);
    free(column->text);
    block_drop(column->arrays);
    free(column);
}

/* ---- pieces ---- */

static bool set_pieces(Column *column, Block *arrays, int64_t count, weld_error_t error) {
    column->arrays = block_hold(arrays);
    column->piece = calloc((size_t)count + 1, sizeof *column->piece);
    if (!column->piece) return no_memory(error);
    column->pieces = count;
    return true;
}

/* Do two arrays have the same elements, by lying in the same memory? */
static bool are_same(const struct ArrowArray *a, const struct ArrowArray *b) {
    if (a == b) return true;
    if (a->length != b->length || a->offset != b->offset || a->n_buffers != b->n_buffers || a->n_children ||
        b->n_children || a->dictionary || b->dictionary)
        return false;
    for (int64_t i = 0; i < a->n_buffers; i++) {
        if (a->buffers[i] != b->buffers[i]) return false;
    }
    return a->n_buffers > 0;
}

static bool fill_from_pieces(Column *column, weld_error_t error);

static bool fill_dictionary(Column *column, weld_error_t error) {
    Column *values = column->dictionary;
    for (int64_t p = 1; p < column->pieces && !column->own_dictionaries; p++)
        column->own_dictionaries =
            !are_same(column->piece[0].array->dictionary, column->piece[p].array->dictionary);
    int64_t count = column->own_dictionaries || !column->pieces ? column->pieces : 1;
    if (!set_pieces(values, column->arrays, count, error)) return false;
    for (int64_t p = 0; p < count; p++) {
        const struct ArrowArray *array = column->piece[p].array->dictionary;
        values->piece[p] = (Piece){array, array->offset, array->length};
    }
    return fill_from_pieces(values, error);
}

static bool fill_child(Column *column, int64_t number, weld_error_t error) {
    Column *child = column->child[number];
    bool is_struct = column->format.row->layout == LAYOUT_struct;
    if (!set_pieces(child, column->arrays, column->pieces, error)) return false;
    for (int64_t p = 0; p < column->pieces; p++) {
        const Piece *of = &column->piece[p];
        const struct ArrowArray *array = of->array->children[number];
        child->piece[p] = is_struct ? (Piece){array, array->offset + of->start, of->length}
                                    : (Piece){array, array->offset, array->length};
    }
    return fill_from_pieces(child, error);
}

static bool fill_from_pieces(Column *column, weld_error_t error) {
    column->length = 0;
    for (int64_t p = 0; p < column->pieces; p++) {
        column->length += column->piece[p].length;
        if (column->length > MOST_LENGTH) return no_memory(error);
    }
    for (int64_t i = 0; i < column->children; i++) {
        if (!fill_child(column, i, error)) return false;
    }
    return !column->dictionary || fill_dictionary(column, error);
}

bool column_fill(Column *column, Block *arrays, weld_error_t error) {
    if (!set_pieces(column, arrays, arrays->count, error)) return false;
    for (int64_t p = 0; p < arrays->count; p++) {
        const struct ArrowArray *array = &arrays->arrays[p];
        if (!check_array(column, array, error)) return false;
        column->piece[p] = (Piece){array, array->offset, array->length};
    }
    return fill_from_pieces(column, error);
}
