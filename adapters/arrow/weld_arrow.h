/* weld_arrow.h: Arrow data in and out, by Arrow's C data interface and C stream interface. Link with -lweld-arrow -lweld; no
 * Arrow library is needed.
 *
 *     weld_arrow_t table = weld_arrow_import_stream(&stream, error);          (pyarrow, DuckDB, Polars, ... filled stream)
 *     weld_lazy_t price = weld_arrow_values(weld_arrow_find(table, "price"), error);
 *     weld_lazy_t twice = weld_lazy_new("mine.twice", "|v| map(v, |x| x + x)", &price, 1, error);
 *     weld_value_t value;
 *     weld_lazy_evaluate(context, &twice, 1, &value, error);
 *     weld_arrow_field_t field = {.name = "twice", .values = value};
 *     weld_arrow_export_table(&field, 1, &array, &schema, error);             (and whoever wants it takes array and schema)
 *
 * In: columns become lazy values, which are used like all others.
 *
 *     Arrow                                           in the language
 *     int8 .. uint64, float32, float64                vec[i8] .. vec[f64], in Arrow's memory; copied only if it is not aligned
 *     date32, time32                                  vec[i32], likewise; weld_arrow_format tells the unit
 *     date64, time64, timestamp, duration             vec[i64], likewise
 *     bool                                            vec[bool], copied: Arrow has bits
 *     utf8, binary, their large and view forms,       vec[vec[i8]], whose inner vectors lie in Arrow's memory
 *       fixed-size binary
 *     list, large, fixed-size list, list views        vec[vec[T]], likewise; T is any of these but structs and dictionaries
 *     struct                                          {vec[A], vec[B], ..}, and each child a column of its own
 *     dictionary                                      the values looked up when they are computed; indices and values apart
 *     null                                            vec[bool], of which all are missing
 *
 * Decimals, intervals, unions, maps, run ends and float16 are refused, by a message that says where they are. What is
 * missing is told by a vec[bool] beside the values (weld_arrow_validity); where that is false the value can be anything.
 *
 * Out: fields of results become columns, see weld_arrow_field_t.
 *
 * NULL, or false, is failure: error says why; outputs are set only on success. Functions that take a weld_arrow_t take NULL,
 * too, and fail, so that calls can be nested. What is imported never changes and may be used in any number of threads. */
#ifndef WELD_ARROW_H
#define WELD_ARROW_H

#include <weld.h>

#ifdef __cplusplus
extern "C" {
#endif

/* ---- Arrow's own declarations, see https://arrow.apache.org/docs/format/CDataInterface.html ---- */

#ifndef ARROW_C_DATA_INTERFACE
#define ARROW_C_DATA_INTERFACE

#define ARROW_FLAG_DICTIONARY_ORDERED 1
#define ARROW_FLAG_NULLABLE 2
#define ARROW_FLAG_MAP_KEYS_SORTED 4

struct ArrowSchema {
    const char *format;
    const char *name;
    const char *metadata;
    int64_t flags;
    int64_t n_children;
    struct ArrowSchema **children;
    struct ArrowSchema *dictionary;
    void (*release)(struct ArrowSchema *);
    void *private_data;
};

struct ArrowArray {
    int64_t length;
    int64_t null_count;
    int64_t offset;
    int64_t n_buffers;
    int64_t n_children;
    const void **buffers;
    struct ArrowArray **children;
    struct ArrowArray *dictionary;
    void (*release)(struct ArrowArray *);
    void *private_data;
};

#endif

#ifndef ARROW_C_STREAM_INTERFACE
#define ARROW_C_STREAM_INTERFACE

struct ArrowArrayStream {
    int (*get_schema)(struct ArrowArrayStream *, struct ArrowSchema *out);
    int (*get_next)(struct ArrowArrayStream *, struct ArrowArray *out);
    const char *(*get_last_error)(struct ArrowArrayStream *);
    void (*release)(struct ArrowArrayStream *);
    void *private_data;
};

#endif

/* ---- In ---- */

typedef struct weld_arrow *weld_arrow_t; /* a column; a table is one that has columns */

/* An array, or a record batch. On success array and schema are moved: both are marked as released here; the schema is
 * released at once, the array once, in any thread, when neither the handle nor a lazy value from it nor a result that points
 * into it is left. On failure both stay the caller's. The caller frees the handle.
 *
 * The structs are checked as far as they tell: formats, counts, lengths, offsets, missing buffers; what lies behind offsets
 * when it is read. How long a buffer is they do not tell. */
WELD_API weld_arrow_t weld_arrow_import(struct ArrowArray *array, struct ArrowSchema *schema,
                                        weld_error_t error);
/* All that the stream has, one behind the other; nothing is copied but in columns of more than one batch. On success the
 * stream is moved: it was released. On failure it stays the caller's, who can only release it. */
WELD_API weld_arrow_t weld_arrow_import_stream(struct ArrowArrayStream *stream, weld_error_t error);
/* Lazy values from it live on. Takes NULL. */
WELD_API void weld_arrow_free(weld_arrow_t table);

/* Columns and texts belong to the table and live as long as it. -1, or NULL: no table, or no such column. */
WELD_API int64_t weld_arrow_length(weld_arrow_t column);
WELD_API int64_t weld_arrow_column_count(weld_arrow_t table);
WELD_API weld_arrow_t weld_arrow_column(weld_arrow_t table, int64_t index);  /* of a list: its items */
WELD_API weld_arrow_t weld_arrow_find(weld_arrow_t table, const char *name); /* the first of this name */
WELD_API const char *weld_arrow_name(weld_arrow_t column);
WELD_API const char *weld_arrow_format(
    weld_arrow_t column); /* Arrow's: "l", "tsu:UTC"; of a dictionary, of the values */
/* How many values are missing: a null in a struct counts in its columns. Of a dictionary, how many indices. -1: failure. */
WELD_API int64_t weld_arrow_null_count(weld_arrow_t column, weld_error_t error);

/* Lazy values, which the caller frees; asked again, the same. What has to be copied is copied when they are first asked for. */
WELD_API weld_lazy_t weld_arrow_values(weld_arrow_t column, weld_error_t error);
/* vec[bool]: which are not missing. NULL with error 0: none is missing. */
WELD_API weld_lazy_t weld_arrow_validity(weld_arrow_t column, weld_error_t error);
/* Of a list, vec[vec[bool]]: which of the items are not missing. NULL with error 0: none is missing. */
WELD_API weld_lazy_t weld_arrow_item_validity(weld_arrow_t list, weld_error_t error);
/* Of a dictionary: which value each is. Batches with dictionaries of their own count through all of them, as i64. */
WELD_API weld_lazy_t weld_arrow_indices(weld_arrow_t column, weld_error_t error);
WELD_API weld_arrow_t weld_arrow_dictionary(weld_arrow_t column); /* the values; NULL: it is none */

/* ---- Out ---- */

/* A column to be. The values are results, and stay the caller's: what is exported has references of its own. One lazy value
 * gives one; weld_value_field takes a struct of columns apart.
 *
 *     values                      format, if it is NULL   others that can be asked for
 *     vec[i8] .. vec[f64]         c C s S i I l L f g     of the same size: tdD tts ttm (i32), tdm ttu ttn tDs .. tss:ZONE .. (i64)
 *     vec[bool]                   b
 *     vec[vec[i8]]                u; U if it is large     U z Z w:N +l +L +w:N; u and U fail unless all is UTF-8
 *     vec[vec[T]]                 +l; +L if it is large   +L +w:N
 *     {A, B, ..}, vec[{A, B, ..}] +s                      fields of one length, named "0", "1", ..
 *     a scalar                    as a vector of one
 *
 * Numbers are not copied, nor items of lists that lie one behind the other. */
typedef struct weld_arrow_field_t {
    const char *name;      /* NULL: "" */
    const char *format;    /* NULL: as above */
    weld_value_t values;   /* with a dictionary: integers, indices into it */
    weld_value_t validity; /* vec[bool], false: missing; NULL: nothing is, and the schema says not nullable */
    weld_value_t dictionary; /* the values that format is for; NULL: no dictionary */
} weld_arrow_field_t;

enum { WELD_ARROW_COLUMNS = 1 << 20 }; /* a table goes out with at most so many */

/* One column; a record batch of columns of one length. Whoever gets them releases them, in any thread. */
WELD_API bool weld_arrow_export(const weld_arrow_field_t *field, struct ArrowArray *array,
                                struct ArrowSchema *schema, weld_error_t error);
WELD_API bool weld_arrow_export_table(const weld_arrow_field_t *fields, int64_t count,
                                      struct ArrowArray *array, struct ArrowSchema *schema,
                                      weld_error_t error);
/* The same as a stream of record batches of at most so many rows, which are parts of the same memory; rows 0: all in one. */
WELD_API bool weld_arrow_export_stream(const weld_arrow_field_t *fields, int64_t count, int64_t rows,
                                       struct ArrowArrayStream *stream, weld_error_t error);

#ifdef __cplusplus
}
#endif

#endif
