/* arrow_make.h: arrays made by hand for the tests of the adapter arrow. All that they consist of is allocated and freed by
 * their release callbacks, which count, so that a sanitizer sees what is used too late, and the tests what is released
 * twice or never. */
#ifndef ARROW_MAKE_H
#define ARROW_MAKE_H

#include <criterion/criterion.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>

#include "weld_arrow.h"

static _Thread_local long left = -1; /* allocations until one fails; -1: none does */

static _Atomic int arrays_alive, schemas_alive; /* children included */

typedef struct Made {
    struct ArrowArray array;
    struct ArrowSchema schema;
} Made;

static inline void release_array(struct ArrowArray *array) {
    cr_assert_not_null(array->release);
    for (int64_t i = 0; i < array->n_children; i++) {
        if (array->children[i]->release) array->children[i]->release(array->children[i]);
        free(array->children[i]);
    }
    if (array->dictionary && array->dictionary->release) array->dictionary->release(array->dictionary);
    free(array->dictionary);
    free(array->children);
    void **memory = array->private_data;
    for (int i = 0; memory[i]; i++) free(memory[i]);
    free(memory);
    free(array->buffers);
    array->release = NULL;
    arrays_alive--;
}

static inline void release_schema(struct ArrowSchema *schema) {
    cr_assert_not_null(schema->release);
    for (int64_t i = 0; i < schema->n_children; i++) {
        if (schema->children[i]->release) schema->children[i]->release(schema->children[i]);
        free(schema->children[i]);
    }
    if (schema->dictionary && schema->dictionary->release) schema->dictionary->release(schema->dictionary);
    free(schema->dictionary);
    free(schema->children);
    free((char *)(uintptr_t)schema->format);
    free((char *)(uintptr_t)schema->name);
    schema->release = NULL;
    schemas_alive--;
}

static inline struct ArrowSchema make_schema(const char *format, const char *name) {
    schemas_alive++;
    return (struct ArrowSchema){.format = strdup(format),
                                .name = strdup(name),
                                .flags = ARROW_FLAG_NULLABLE,
                                .release = release_schema};
}

/* Buffers follow: pointer and size (an int) each, copied; a pointer of NULL stays one. */
static inline Made make(const char *format, const char *name, int64_t length, int64_t offset, int64_t nulls,
                        int buffers, ...) {
    Made made = {.schema = make_schema(format, name)};
    void **memory = calloc((size_t)buffers + 1, sizeof *memory);
    const void **pointers = calloc((size_t)buffers + 1, sizeof *pointers);
    va_list args;
    va_start(args, buffers);
    int filled = 0;
    for (int i = 0; i < buffers; i++) {
        const void *from = va_arg(args, const void *);
        int size = va_arg(args, int);
        if (!from) continue;
        void *copy = malloc((size_t)size + !size);
        memcpy(copy, from, (size_t)size);
        memory[filled++] = copy;
        pointers[i] = copy;
    }
    va_end(args);
    arrays_alive++;
    made.array = (struct ArrowArray){.length = length,
                                     .null_count = nulls,
                                     .offset = offset,
                                     .n_buffers = buffers,
                                     .buffers = pointers,
                                     .release = release_array,
                                     .private_data = memory};
    return made;
}

static inline void *moved(const void *from, size_t size) {
    void *copy = malloc(size);
    return memcpy(copy, from, size);
}

/* Takes the child. */
static inline void add_child(Made *made, Made child) {
    size_t count = (size_t)made->array.n_children + 1;
    made->array.children = realloc(made->array.children, count * sizeof(void *));
    made->schema.children = realloc(made->schema.children, count * sizeof(void *));
    made->array.children[count - 1] = moved(&child.array, sizeof child.array);
    made->schema.children[count - 1] = moved(&child.schema, sizeof child.schema);
    made->array.n_children = made->schema.n_children = (int64_t)count;
}

static inline Made with_dictionary(Made made, Made values) {
    made.array.dictionary = moved(&values.array, sizeof values.array);
    made.schema.dictionary = moved(&values.schema, sizeof values.schema);
    return made;
}

static inline Made make_struct(int64_t length, int64_t offset) {
    return make("+s", "", length, offset, 0, 1, NULL, 0);
}

static inline void made_free(Made *made) {
    if (made->array.release) made->array.release(&made->array);
    if (made->schema.release) made->schema.release(&made->schema);
}

/* ---- streams ---- */

typedef struct Batches {
    Made *batch; /* the first one's schema is that of the stream */
    int count, next;
    int fails_at; /* at this batch; -1: never */
    _Atomic int *alive;
} Batches;

/* A schema like that one. */
static inline struct ArrowSchema copy_schema(const struct ArrowSchema *from) {
    struct ArrowSchema copy = make_schema(from->format, from->name);
    copy.children = calloc((size_t)from->n_children + 1, sizeof(void *));
    for (int64_t i = 0; i < from->n_children; i++) {
        struct ArrowSchema child = copy_schema(from->children[i]);
        copy.children[copy.n_children++] = moved(&child, sizeof child);
    }
    if (from->dictionary) {
        struct ArrowSchema dictionary = copy_schema(from->dictionary);
        copy.dictionary = moved(&dictionary, sizeof dictionary);
    }
    return copy;
}

static inline int batches_schema(struct ArrowArrayStream *stream, struct ArrowSchema *out) {
    Batches *batches = stream->private_data;
    long was = left; /* this does not fail */
    left = -1;
    *out = copy_schema(&batches->batch[0].schema);
    left = was;
    return 0;
}

static inline int batches_next(struct ArrowArrayStream *stream, struct ArrowArray *out) {
    Batches *batches = stream->private_data;
    if (batches->next == batches->fails_at) return 5;
    memset(out, 0, sizeof *out);
    if (batches->next == batches->count) return 0;
    struct ArrowArray *from = &batches->batch[batches->next++].array;
    *out = *from;
    from->release = NULL;
    return 0;
}

static inline const char *batches_error(struct ArrowArrayStream *stream) {
    (void)stream;
    return "the disk is on fire";
}

static inline void batches_release(struct ArrowArrayStream *stream) {
    cr_assert_not_null(stream->release);
    Batches *batches = stream->private_data;
    for (int i = 0; i < batches->count || i < 1; i++) made_free(&batches->batch[i]);
    --*batches->alive;
    stream->release = NULL;
}

static inline struct ArrowArrayStream make_stream(Batches *batches) {
    ++*batches->alive;
    return (struct ArrowArrayStream){batches_schema, batches_next, batches_error, batches_release, batches};
}

/* ---- by both engines ---- */

static weld_error_t error;
static weld_context_t contexts[2];
static _Atomic int streams_alive;

static inline void begin(void) {
    static const char *const engines[] = {"eval", "jit"};
    setenv("WELD_ADAPTERS", WELD_BINARY_DIR "/lib", 1);
    error = weld_error_new();
    for (int i = 0; i < 2; i++) {
        weld_conf_t conf = weld_conf_new();
        weld_conf_set(conf, "weld.engine", engines[i]);
        contexts[i] = weld_context_new(conf);
        weld_conf_free(conf);
    }
}

static inline void end(void) {
    for (int i = 0; i < 2; i++) {
        cr_assert_eq(weld_context_memory_usage(contexts[i]), 0);
        weld_context_free(contexts[i]);
    }
    weld_error_free(error);
    cr_assert_eq(arrays_alive, 0, "%d arrays are not released", arrays_alive);
    cr_assert_eq(schemas_alive, 0, "%d schemas are not released", schemas_alive);
    cr_assert_eq(streams_alive, 0, "%d streams are not released", streams_alive);
}

static inline weld_arrow_t must_import(Made made) {
    weld_arrow_t column = weld_arrow_import(&made.array, &made.schema, error);
    cr_assert_not_null(column, "%s", weld_error_message(error));
    cr_assert(!made.array.release && !made.schema.release);
    cr_assert_eq(weld_error_code(error), 0);
    return column;
}

/* The caller frees the value. */
static inline weld_value_t must_evaluate(weld_lazy_t lazy, int engine) {
    weld_value_t value = NULL;
    cr_assert(weld_lazy_evaluate(contexts[engine], &lazy, 1, &value, error), "%s", weld_error_message(error));
    return value;
}

/* Its text by both engines; takes the lazy value. */
static inline void expect(weld_lazy_t lazy, const char *want) {
    cr_assert_not_null(lazy, "no lazy value for %s: %s", want, weld_error_message(error));
    for (int i = 0; i < 2; i++) {
        weld_value_t value = must_evaluate(lazy, i);
        char *text = weld_value_print(value);
        cr_expect_str_eq(text, want);
        free(text);
        weld_value_free(value);
    }
    weld_lazy_free(lazy);
}

static inline void expect_column(weld_arrow_t column, const char *values, const char *validity) {
    cr_assert_not_null(column);
    expect(weld_arrow_values(column, error), values);
    weld_lazy_t valid = weld_arrow_validity(column, error);
    cr_assert_eq(weld_error_code(error), 0);
    if (validity)
        expect(valid, validity);
    else
        cr_expect_null(valid);
}

/* Imports it, compares, frees it. */
static inline void expect_made(Made made, const char *values, const char *validity) {
    weld_arrow_t column = must_import(made);
    expect_column(column, values, validity);
    weld_arrow_free(column);
}

#endif
