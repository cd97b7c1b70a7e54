/* export.c: columns shown as Arrow's structs.
 *
 * A Book holds what is exported: sheets (sheet.c), and references to the results whose memory they use. Each ArrowArray
 * holds the book, so whoever takes arrays apart, and keeps some, keeps the memory, and the last release lets it go. A
 * stream makes arrays of parts of the same sheets:
 *
 *     rows 2..4 of a table:   the record batch has offset 0, its columns offset 2, length 2
 */
#include "arrow.h"

#include <errno.h>
#include <string.h>

typedef struct Book {
    _Atomic int64_t refs;
    Sheet *sheet;
    weld_value_t *values;
    int64_t count;
} Book;

static void book_drop(Book *book) {
    if (!book || atomic_fetch_sub_explicit(&book->refs, 1, memory_order_acq_rel) != 1) return;
    sheet_free(book->sheet);
    for (int64_t i = 0; i < book->count; i++) weld_value_free(book->values[i]);
    free(book->values);
    free(book);
}

static void hold(Book *book, weld_value_t value) {
    if (value) book->values[book->count++] = weld_value_hold(value);
}

/* A book with room for the values of so many fields, and without a sheet. */
static Book *book_new(const weld_arrow_field_t *fields, int64_t count, weld_error_t error) {
    Book *book = calloc(1, sizeof *book);
    if (book) book->values = calloc(3 * (size_t)count + 1, sizeof *book->values);
    if (!book || !book->values) {
        free(book);
        no_memory(error);
        return NULL;
    }
    atomic_init(&book->refs, 1);
    for (int64_t i = 0; i < count; i++) {
        hold(book, fields[i].values);
        hold(book, fields[i].validity);
        hold(book, fields[i].dictionary);
    }
    return book;
}

/* ---- arrays ---- */

/* Behind it: pointers to the children, the children, the dictionary. */
typedef struct ShownArray {
    Book *book;
    const void *buffers[3];
} ShownArray;

static void array_release(struct ArrowArray *array) {
    ShownArray *shown = array->private_data;
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
    }
    if (array->dictionary && array->dictionary->release) array->dictionary->release(array->dictionary);
    book_drop(shown->book);
    free(shown);
    array->release = NULL;
}

static bool array_show(Book *book, const Sheet *sheet, int64_t start, int64_t length,
                       struct ArrowArray *out) {
    size_t children = (size_t)sheet->children;
    ShownArray *shown = calloc(1, sizeof *shown + children * (sizeof(void *) + sizeof(struct ArrowArray)) +
                                      sizeof(struct ArrowArray));
    if (!shown) return false;
    struct ArrowArray **pointers = (struct ArrowArray **)(shown + 1);
    struct ArrowArray *child = (struct ArrowArray *)(pointers + children);
    memcpy(shown->buffers, sheet->buffer, sizeof shown->buffers);
    atomic_fetch_add_explicit(&book->refs, 1, memory_order_relaxed);
    shown->book = book;
    bool is_struct = strcmp(sheet->format, "+s") == 0;
    bool moves = is_struct && !sheet->buffer[0]; /* its children have the offset */
    bool whole = start == 0 && length == sheet->length;
    struct ArrowArray array = {.length = length,
                               .null_count = whole || sheet->nulls == 0 ? sheet->nulls : -1,
                               .offset = moves ? 0 : start,
                               .n_buffers = sheet->buffers,
                               .buffers = shown->buffers,
                               .children = children ? pointers : NULL,
                               .release = array_release,
                               .private_data = shown};
    bool ok = true;
    for (size_t i = 0; ok && i < children; i++) {
        const Sheet *of = sheet->child[i];
        pointers[i] = &child[i];
        ok = array_show(book, of, moves ? start : 0, moves ? length : of->length, &child[i]);
        array.n_children += ok;
    }
    if (ok && sheet->dictionary) {
        ok = array_show(book, sheet->dictionary, 0, sheet->dictionary->length, &child[children]);
        array.dictionary = ok ? &child[children] : NULL;
    }
    if (!ok) {
        array_release(&array);
        return false;
    }
    *out = array;
    return true;
}

/* ---- schemas: they need no book, all is copied ---- */

static void schema_release(struct ArrowSchema *schema) {
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
    }
    if (schema->dictionary && schema->dictionary->release) schema->dictionary->release(schema->dictionary);
    free(schema->private_data);
    schema->release = NULL;
}

/* One block: pointers to the children, the children, the dictionary, texts. */
static bool schema_show(const Sheet *sheet, struct ArrowSchema *out) {
    size_t children = (size_t)sheet->children, name = strlen(sheet->name) + 1,
           format = strlen(sheet->format) + 1;
    struct ArrowSchema **pointers =
        calloc(1, children * (sizeof(void *) + sizeof *out) + sizeof *out + name + format);
    if (!pointers) return false;
    struct ArrowSchema *child = (struct ArrowSchema *)(pointers + children);
    char *texts = (char *)(child + children + 1);
    struct ArrowSchema schema = {.format = memcpy(texts, sheet->format, format),
                                 .name = memcpy(texts + format, sheet->name, name),
                                 .flags = sheet->nullable ? ARROW_FLAG_NULLABLE : 0,
                                 .children = children ? pointers : NULL,
                                 .release = schema_release,
                                 .private_data = pointers};
    bool ok = true;
    for (size_t i = 0; ok && i < children; i++) {
        pointers[i] = &child[i];
        ok = schema_show(sheet->child[i], &child[i]);
        schema.n_children += ok;
    }
    if (ok && sheet->dictionary) {
        ok = schema_show(sheet->dictionary, &child[children]);
        schema.dictionary = ok ? &child[children] : NULL;
    }
    if (!ok) {
        schema_release(&schema);
        return false;
    }
    *out = schema;
    return true;
}

/* ---- tables ---- */

static bool add_fields(Sheet *table, const weld_arrow_field_t *fields, int64_t count, weld_error_t error) {
    for (int64_t i = 0; i < count; i++) {
        Sheet *column = sheet_of_field(&fields[i], error);
        if (!column) return false;
        if (!sheet_add(table, column)) return no_memory(error);
        if (i > 0 && column->length != table->length)
            return fault(
                error, WELD_ARGUMENT_ERROR,
                "the columns of a table have one length: \"%.100s\" has %lld elements, \"%.100s\" %lld",
                table->child[0]->name, (long long)table->length, column->name, (long long)column->length);
        table->length = column->length;
    }
    table->buffers = 1;
    return sheet_set_format(table, "+s", error);
}

static Book *book_of_table(const weld_arrow_field_t *fields, int64_t count, weld_error_t error) {
    if (count < 0 || count > WELD_ARROW_COLUMNS || (count > 0 && !fields)) {
        fault(error, WELD_ARGUMENT_ERROR, "the columns of the table are missing, or too many");
        return NULL;
    }
    Book *book = book_new(fields, count, error);
    if (!book) return NULL;
    book->sheet = sheet_new(NULL);
    if (!book->sheet) no_memory(error);
    if (book->sheet && add_fields(book->sheet, fields, count, error)) return book;
    book_drop(book);
    return NULL;
}

/* Drops the book, which may be NULL: then an error is set already. */
static bool show(Book *book, struct ArrowArray *array, struct ArrowSchema *schema, weld_error_t error) {
    if (!book) return false;
    struct ArrowSchema described;
    bool ok = schema_show(book->sheet, &described);
    if (ok && !array_show(book, book->sheet, 0, book->sheet->length, array)) {
        schema_release(&described);
        ok = false;
    }
    book_drop(book);
    if (!ok) return no_memory(error);
    *schema = described;
    weld_error_set(error, WELD_SUCCESS, NULL);
    return true;
}

static bool is_room(const void *array, const void *schema, weld_error_t error) {
    return (array && schema) || fault(error, WELD_ARGUMENT_ERROR, "there is no room for what is exported");
}

bool weld_arrow_export(const weld_arrow_field_t *field, struct ArrowArray *array, struct ArrowSchema *schema,
                       weld_error_t error) {
    if (!is_room(array, schema, error)) return false;
    if (!field) return fault(error, WELD_ARGUMENT_ERROR, "the column is missing");
    Book *book = book_new(field, 1, error);
    if (!book) return false;
    book->sheet = sheet_of_field(field, error);
    if (book->sheet) return show(book, array, schema, error);
    book_drop(book);
    return false;
}

bool weld_arrow_export_table(const weld_arrow_field_t *fields, int64_t count, struct ArrowArray *array,
                             struct ArrowSchema *schema, weld_error_t error) {
    return is_room(array, schema, error) && show(book_of_table(fields, count, error), array, schema, error);
}

/* ---- streams ---- */

typedef struct Stream {
    Book *book;
    int64_t at, rows;
    const char *fault; /* of the last call; NULL: none */
} Stream;

static int stream_schema(struct ArrowArrayStream *self, struct ArrowSchema *out) {
    Stream *stream = self->private_data;
    bool ok = schema_show(stream->book->sheet, out);
    stream->fault = ok ? NULL : "no memory for an Arrow schema";
    return ok ? 0 : ENOMEM;
}

static int stream_next(struct ArrowArrayStream *self, struct ArrowArray *out) {
    Stream *stream = self->private_data;
    const Sheet *sheet = stream->book->sheet;
    int64_t left = sheet->length - stream->at, length = left < stream->rows ? left : stream->rows;
    stream->fault = NULL;
    if (left == 0) {
        memset(out, 0, sizeof *out);
        return 0;
    }
    if (!array_show(stream->book, sheet, stream->at, length, out)) {
        stream->fault = "no memory for an Arrow array";
        return ENOMEM;
    }
    stream->at += length;
    return 0;
}

static const char *stream_last_error(struct ArrowArrayStream *self) {
    return ((Stream *)self->private_data)->fault;
}

static void stream_release(struct ArrowArrayStream *self) {
    Stream *stream = self->private_data;
    book_drop(stream->book);
    free(stream);
    self->release = NULL;
}

bool weld_arrow_export_stream(const weld_arrow_field_t *fields, int64_t count, int64_t rows,
                              struct ArrowArrayStream *out, weld_error_t error) {
    if (!is_room(out, out, error)) return false;
    if (rows < 0) return fault(error, WELD_ARGUMENT_ERROR, "a batch has at least one row");
    Book *book = book_of_table(fields, count, error);
    if (!book) return false;
    Stream *stream = calloc(1, sizeof *stream);
    if (!stream) {
        book_drop(book);
        return no_memory(error);
    }
    *stream = (Stream){.book = book, .rows = rows ? rows : INT64_MAX};
    *out = (struct ArrowArrayStream){.get_schema = stream_schema,
                                     .get_next = stream_next,
                                     .get_last_error = stream_last_error,
                                     .release = stream_release,
                                     .private_data = stream};
    weld_error_set(error, WELD_SUCCESS, NULL);
    return true;
}
