/* import.c: arrays and streams taken in, and lazy values of their columns.
 *
 * What was taken lies in a block (base.c) that the columns hold, and each lazy value that points into it: so the release
 * callback is called when the last of them goes. A lazy value is made when it is first asked for, and kept, so that
 * whoever asks again gets the same, which merges.
 */
#include "arrow.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

/* ---- taking in ---- */

/* The arrays become the block's. NULL: they are still the caller's, and the block is gone. */
static Column *import(Block *block, const struct ArrowSchema *schema, weld_error_t error) {
    Column *column = column_new(schema, NULL, 0, error);
    if (column && column_fill(column, block, error)) {
        block_drop(block); /* the columns hold it */
        return column;
    }
    block->count = 0;
    column_free(column);
    block_drop(block);
    return NULL;
}

static Block *block_of_arrays(const struct ArrowArray *arrays, int64_t count) {
    Block *block = block_new(0, NULL);
    struct ArrowArray *copy = calloc((size_t)count + 1, sizeof *copy);
    if (!block || !copy) {
        block_drop(block);
        free(copy);
        return NULL;
    }
    if (count) memcpy(copy, arrays, (size_t)count * sizeof *copy);
    block->arrays = copy;
    block->count = count;
    return block;
}

weld_arrow_t weld_arrow_import(struct ArrowArray *array, struct ArrowSchema *schema, weld_error_t error) {
    if (!array || !array->release) {
        fault(error, WELD_ARGUMENT_ERROR, "the Arrow array is missing, or released already");
        return NULL;
    }
    Block *block = block_of_arrays(array, 1);
    if (!block) {
        no_memory(error);
        return NULL;
    }
    Column *column = import(block, schema, error);
    if (!column) return NULL;
    array->release = NULL;
    schema->release(schema);
    schema->release = NULL;
    weld_error_set(error, WELD_SUCCESS, NULL);
    return column;
}

static void release_arrays(struct ArrowArray *arrays, int64_t count) {
    for (int64_t i = 0; i < count; i++) arrays[i].release(&arrays[i]);
    free(arrays);
}

static bool stream_fault(struct ArrowArrayStream *stream, int code, weld_error_t error) {
    const char *text = stream->get_last_error ? stream->get_last_error(stream) : NULL;
    return fault(error, code == ENOMEM ? WELD_OUT_OF_MEMORY : WELD_FOREIGN_CALL_ERROR,
                 "the Arrow stream failed: %.500s", text ? text : strerror(code));
}

/* All batches, for the caller to release. */
static bool stream_read(struct ArrowArrayStream *stream, struct ArrowArray **out, int64_t *out_count,
                        weld_error_t error) {
    struct ArrowArray *arrays = NULL;
    int64_t count = 0, room = 0;
    for (;;) {
        if (count == room) {
            room = room ? 2 * room : 16;
            struct ArrowArray *grown = realloc(arrays, (size_t)room * sizeof *arrays);
            if (!grown) {
                release_arrays(arrays, count);
                return no_memory(error);
            }
            arrays = grown;
        }
        arrays[count].release = NULL;
        int code = stream->get_next(stream, &arrays[count]);
        if (code) {
            stream_fault(stream, code, error);
            release_arrays(arrays, count);
            return false;
        }
        if (!arrays[count].release) break;
        count++;
    }
    *out = arrays;
    *out_count = count;
    return true;
}

weld_arrow_t weld_arrow_import_stream(struct ArrowArrayStream *stream, weld_error_t error) {
    if (!stream || !stream->release || !stream->get_schema || !stream->get_next) {
        fault(error, WELD_ARGUMENT_ERROR, "the Arrow stream is missing, or released already");
        return NULL;
    }
    struct ArrowSchema schema = {.release = NULL};
    struct ArrowArray *arrays = NULL;
    int64_t count = 0;
    int code = stream->get_schema(stream, &schema);
    if (code) {
        stream_fault(stream, code, error);
        return NULL;
    }
    Column *column = NULL;
    if (stream_read(stream, &arrays, &count, error)) {
        Block *block = block_of_arrays(arrays, count);
        if (!block) no_memory(error);
        column = block ? import(block, &schema, error) : NULL;
        if (column)
            free(arrays);
        else
            release_arrays(arrays, count);
    }
    if (schema.release) schema.release(&schema);
    if (!column) return NULL;
    stream->release(stream);
    stream->release = NULL;
    weld_error_set(error, WELD_SUCCESS, NULL);
    return column;
}

void weld_arrow_free(weld_arrow_t table) {
    column_free(table);
}

/* ---- asking ---- */

int64_t weld_arrow_length(weld_arrow_t column) {
    return column ? column->length : -1;
}

int64_t weld_arrow_column_count(weld_arrow_t table) {
    return table ? table->children : -1;
}

weld_arrow_t weld_arrow_column(weld_arrow_t table, int64_t index) {
    return table && index >= 0 && index < table->children ? table->child[index] : NULL;
}

weld_arrow_t weld_arrow_find(weld_arrow_t table, const char *name) {
    for (int64_t i = 0; table && name && i < table->children; i++) {
        if (strcmp(table->child[i]->name, name) == 0) return table->child[i];
    }
    return NULL;
}

const char *weld_arrow_name(weld_arrow_t column) {
    return column ? column->name : NULL;
}

const char *weld_arrow_format(weld_arrow_t column) {
    return !column ? NULL : column->dictionary ? column->dictionary->text : column->text;
}

weld_arrow_t weld_arrow_dictionary(weld_arrow_t column) {
    return column ? column->dictionary : NULL;
}

static bool is_column(const Column *column, weld_error_t error) {
    return column || fault(error, WELD_ARGUMENT_ERROR, "there is no such Arrow column");
}

int64_t weld_arrow_null_count(weld_arrow_t column, weld_error_t error) {
    if (!is_column(column, error)) return -1;
    int64_t nulls = atomic_load(&column->nulls);
    if (nulls < 0) {
        Flat validity;
        if (!column_validity(column, &validity, &nulls, error)) return -1;
        block_drop(validity.block);
        atomic_store(&column->nulls, nulls);
    }
    weld_error_set(error, WELD_SUCCESS, NULL);
    return nulls;
}

/* ---- lazy values ---- */

/* Takes the block. */
static bool lazy_of_flat(const Flat *flat, weld_lazy_t *out, weld_error_t error) {
    char type[sizeof flat->type + 8];
    snprintf(type, sizeof type, "vec[%s]", flat->type);
    *out = weld_lazy_data(type, &flat->vec, block_drop, flat->block, error);
    if (!*out) block_drop(flat->block);
    return *out != NULL;
}

/* Indices that count through the dictionaries of all pieces. One that is outside its own dictionary must not lead into
 * another; a missing one can be anything. */
static bool widen_indices(const Column *column, Flat *flat, weld_error_t error) {
    Block *block = block_new((size_t)column->length * sizeof(int64_t), NULL);
    if (!block) return no_memory(error);
    int64_t *to = block->memory, before = 0;
    const char *from = flat->vec.data;
    for (int64_t p = 0; p < column->pieces; p++) {
        int64_t own = column->dictionary->piece[p].length;
        for (int64_t i = 0; i < column->piece[p].length; i++, from += flat->size) {
            int64_t index = index_at(from, flat->type);
            *to++ = index >= 0 && index < own ? index + before : -1;
        }
        before += own;
    }
    block_drop(flat->block);
    *flat = (Flat){.type = "i64", .size = 8, .vec = {block->memory, column->length}, .block = block};
    return true;
}

/* The elements; of a dictionary, the indices. */
static bool make_plain(Column *column, weld_lazy_t *out, weld_error_t error) {
    Flat flat;
    if (!column_flat(column, &flat, error)) return false;
    if (column->own_dictionaries && !widen_indices(column, &flat, error)) {
        block_drop(flat.block);
        return false;
    }
    return lazy_of_flat(&flat, out, error);
}

static bool make_own_validity(Column *column, weld_lazy_t *out, weld_error_t error) {
    Flat flat;
    int64_t nulls;
    *out = NULL;
    if (!column_validity(column, &flat, &nulls, error)) return false;
    atomic_store(&column->nulls, nulls);
    return !flat.vec.data || lazy_of_flat(&flat, out, error);
}

/* What stands for a value that is missing, in the language. */
static bool print_missing(const char *vector, char *out, size_t room, weld_error_t error) {
    int length = (int)strlen(vector) - 5; /* vec[T] */
    const char *type = vector + 4;
    if (strncmp(vector, "vec[", 4) != 0)
        return fault(error, WELD_ARGUMENT_ERROR, "the values of a dictionary cannot be %.100s", vector);
    if (strncmp(type, "vec[", 4) == 0)
        snprintf(out, room, "([]: %.*s)", length, type);
    else if (strncmp(type, "bool", 4) == 0)
        snprintf(out, room, "false");
    else
        snprintf(out, room, "%.*s(0)", length, type);
    return true;
}

/* Of a dictionary: what `values` has for each index. */
static bool make_decoded(Column *column, weld_lazy_t values, weld_lazy_t *out, weld_error_t error) {
    char missing[sizeof((Flat *)0)->type + 20], code[sizeof missing + 80];
    weld_lazy_t arguments[3] = {weld_arrow_indices(column, error), values, NULL};
    bool ok = arguments[0] && make_own_validity(column, &arguments[2], error) &&
              print_missing(weld_lazy_type(values), missing, sizeof missing, error);
    if (ok && arguments[2])
        snprintf(code, sizeof code, "|i, d, v| map(zip(i, v), |e| if(e.$1, lookup(d, i64(e.$0)), %s))",
                 missing);
    else
        snprintf(code, sizeof code, "|i, d| map(i, |e| lookup(d, i64(e)))");
    if (ok) *out = weld_lazy_new("arrow.decode", code, arguments, arguments[2] ? 3 : 2, error);
    weld_lazy_free(arguments[0]);
    weld_lazy_free(arguments[2]);
    return ok && *out;
}

/* A struct of vectors: |a0, a1| {a0, a1} */
static bool make_struct(Column *column, weld_lazy_t *out, weld_error_t error) {
    if (column->children > WELD_LAZY_ARGUMENTS)
        return fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\": a lazy value has at most %d fields",
                     column->name, WELD_LAZY_ARGUMENTS);
    size_t count = (size_t)column->children, room = 40 * count + 10, at = 0;
    char *code = malloc(room);
    weld_lazy_t *fields = calloc(count + 1, sizeof *fields);
    bool ok = (code && fields) || no_memory(error);
    for (size_t i = 0; ok && i < count; i++)
        ok = (fields[i] = weld_arrow_values(column->child[i], error)) != NULL;
    for (size_t i = 0; ok && i < count; i++)
        at += (size_t)snprintf(code + at, room - at, "%sa%zu", i ? ", " : "|", i);
    if (ok) at += (size_t)snprintf(code + at, room - at, "%s{", count ? "| " : "");
    for (size_t i = 0; ok && i < count; i++)
        at += (size_t)snprintf(code + at, room - at, "%sa%zu", i ? ", " : "", i);
    if (ok) snprintf(code + at, room - at, "}");
    if (ok) *out = weld_lazy_new("arrow.struct", code, fields, (int64_t)count, error);
    for (size_t i = 0; fields && i < count; i++) weld_lazy_free(fields[i]);
    free(fields);
    free(code);
    return ok && *out;
}

static bool make_values(Column *column, weld_lazy_t *out, weld_error_t error) {
    if (column->format.row->layout == LAYOUT_struct) return make_struct(column, out, error);
    if (!column->dictionary) return make_plain(column, out, error);
    weld_lazy_t values = weld_arrow_values(column->dictionary, error);
    bool ok = values && make_decoded(column, values, out, error);
    weld_lazy_free(values);
    return ok;
}

static bool lazy_find(Column *column, int which, weld_lazy_t *out, weld_error_t error);

static bool make_validity(Column *column, weld_lazy_t *out, weld_error_t error) {
    if (!column->dictionary || !column_has_nulls(column->dictionary))
        return make_own_validity(column, out, error);
    weld_lazy_t valid;
    if (!lazy_find(column->dictionary, VALIDITY, &valid, error)) return false;
    bool ok = valid ? make_decoded(column, valid, out, error) : make_own_validity(column, out, error);
    weld_lazy_free(valid);
    return ok;
}

static bool make_indices(Column *column, weld_lazy_t *out, weld_error_t error) {
    if (column->dictionary) return make_plain(column, out, error);
    return fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\" is no dictionary", column->name);
}

static bool make_item_validity(Column *list, weld_lazy_t *out, weld_error_t error) {
    if (list->format.row->layout == LAYOUT_struct || list->children != 1)
        return fault(error, WELD_ARGUMENT_ERROR, "column \"%.100s\" is no list", list->name);
    Flat items, flat = {.block = NULL};
    int64_t nulls;
    *out = NULL;
    if (!column_validity(list->child[0], &items, &nulls, error)) return false;
    if (!items.vec.data) return true;
    bool ok = column_items(list, &items, &flat, error);
    block_drop(items.block);
    if (ok) return lazy_of_flat(&flat, out, error);
    block_drop(flat.block);
    return false;
}

/* The one that was made before, or else a new one, which is kept; NULL where there is none. */
static bool lazy_find(Column *column, int which, weld_lazy_t *out, weld_error_t error) {
    static bool (*const makers[LAZIES])(Column *, weld_lazy_t *, weld_error_t) = {
        [VALUES] = make_values,
        [VALIDITY] = make_validity,
        [INDICES] = make_indices,
        [ITEM_VALIDITY] = make_item_validity,
    };
    weld_lazy_t lazy = atomic_load(&column->lazies[which]), none = NULL;
    if (!lazy) {
        if (!makers[which](column, &lazy, error)) return false;
        if (lazy && !atomic_compare_exchange_strong(&column->lazies[which], &none, lazy)) {
            weld_lazy_free(lazy); /* another thread was first */
            lazy = none;
        }
    }
    *out = weld_lazy_hold(lazy);
    return true;
}

static weld_lazy_t lazy_of(Column *column, int which, weld_error_t error) {
    weld_lazy_t lazy;
    if (!is_column(column, error) || !lazy_find(column, which, &lazy, error)) return NULL;
    weld_error_set(error, WELD_SUCCESS, NULL);
    return lazy;
}

weld_lazy_t weld_arrow_values(weld_arrow_t column, weld_error_t error) {
    return lazy_of(column, VALUES, error);
}

weld_lazy_t weld_arrow_validity(weld_arrow_t column, weld_error_t error) {
    return lazy_of(column, VALIDITY, error);
}

weld_lazy_t weld_arrow_item_validity(weld_arrow_t list, weld_error_t error) {
    return lazy_of(list, ITEM_VALIDITY, error);
}

weld_lazy_t weld_arrow_indices(weld_arrow_t column, weld_error_t error) {
    return lazy_of(column, INDICES, error);
}
