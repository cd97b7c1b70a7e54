/* weld_frame.h: tables with named columns that are computed when they are wanted. Link with -lweld-frame -lweld.
 *
 *     weld_frame_t all = weld_frame_read_csv("sales.csv", NULL, error);
 *     weld_frame_t dear = weld_frame_filter(all, "price > 10 && category == \"food\"", error);
 *     weld_frame_t more = weld_frame_with(dear, "price * quantity as total, year(day) as year", error);
 *     weld_frame_t years = weld_frame_group_by(more, "year", "sum(total) as total, mean(price) as price", error);
 *     char *text = weld_frame_print(context, years, 10, error);
 *
 * A frame is columns of equal length, each with a name, a type and lazy values (weld.h): a vector of its values and, if
 * some may be missing, a vec[bool] that says which are there. Operations compute nothing; what they emit fuses among
 * them and with what other libraries emit. Frames never change, may be used in any number of threads at once, and keep
 * what they are made from: every frame is freed by whoever got it, in any order.
 *
 * Functions return NULL on failure, and then error says why, naming the function: "frame.filter: ...". A NULL frame is an
 * error, too. docs/adapters/frame.md describes expressions, missing values and order in full. In short: names of columns
 * (`in backquotes` if they are no words), $names of values (weld_frame_bind), numbers, "text", true, false, null; + - * / % == != < <= > >= && || !; functions
 * such as if, is_null, fill_null, year, contains, substring. What is computed from a missing value is missing, but false
 * && missing is false, true || missing is true, and a condition that is missing is not met.
 */
#ifndef WELD_FRAME_H
#define WELD_FRAME_H

#include <weld.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct weld_frame *weld_frame_t;

typedef enum weld_frame_type {
    WELD_FRAME_BOOL, /* a byte, 0 or 1 */
    WELD_FRAME_I8,
    WELD_FRAME_I16,
    WELD_FRAME_I32,
    WELD_FRAME_I64,
    WELD_FRAME_U8,
    WELD_FRAME_U16,
    WELD_FRAME_U32,
    WELD_FRAME_U64,
    WELD_FRAME_F32,
    WELD_FRAME_F64,
    WELD_FRAME_DATE, /* an i32, days since 1970-01-01 */
    WELD_FRAME_TEXT, /* a weld_frame_text_t, UTF-8 */
    WELD_FRAME_TYPES
} weld_frame_type;

typedef struct weld_frame_text_t {
    const char *data; /* may be NULL if length is 0 */
    int64_t length;   /* in bytes */
} weld_frame_text_t;

enum { WELD_FRAME_COLUMNS = 1000 }; /* a frame has at most so many */

/* ---- Making ---- */

/* The frame with one more column, or another one in its place if the name is there; frame NULL: a frame of this column
 * alone. data is a vector of the type, valid a vec[bool] or NULL: none is missing. Lengths that differ are found when the
 * frame is computed. */
WELD_API weld_frame_t weld_frame_add(weld_frame_t frame, const char *name, weld_frame_type type,
                                     weld_lazy_t data, weld_lazy_t valid, weld_error_t error);
/* The same of the caller's arrays of so many rows; valid may be NULL. They must stay as they are until release(user) is
 * called (see weld_lazy_data); on failure it is not called. */
WELD_API weld_frame_t weld_frame_add_data(weld_frame_t frame, const char *name, weld_frame_type type,
                                          const void *data, const bool *valid, int64_t rows,
                                          void (*release)(void *user), void *user, weld_error_t error);
WELD_API void weld_frame_free(weld_frame_t frame);

/* ---- Asking ---- */

/* NULL or -1 on a bad frame or number. Texts live as long as the frame. */
WELD_API int64_t weld_frame_column_count(weld_frame_t frame);
WELD_API const char *weld_frame_name(weld_frame_t frame, int64_t column);
WELD_API weld_frame_type weld_frame_column_type(weld_frame_t frame, int64_t column); /* WELD_FRAME_TYPES */
WELD_API const char *weld_frame_type_name(weld_frame_type type);                     /* "f64", "date", ... */
WELD_API int64_t weld_frame_find(weld_frame_t frame, const char *name);

/* A column as lazy values, for other libraries: new references. Where a value is missing the vector has some value of its
 * type, mostly zero. valid: NULL with an error of code 0 if none is missing. */
WELD_API weld_lazy_t weld_frame_column(weld_frame_t frame, const char *name, weld_error_t error);
WELD_API weld_lazy_t weld_frame_valid(weld_frame_t frame, const char *name, weld_error_t error);

/* ---- Values in expressions ---- */

/* The same frame, in whose expressions, and those of what is made from it, $name stands for a value: a lazy scalar of the
 * type (of a text a vec[i8]), from data or computed by any library. It is no part of the expression's text, so that a text
 * may hold quotes, and another value is no other program. name: a word. The newest value of a name counts; a join has the
 * left frame's, concat the first one's. */
WELD_API weld_frame_t weld_frame_bind(weld_frame_t frame, const char *name, weld_frame_type type,
                                      weld_lazy_t value, weld_error_t error);
/* The same of the caller's value, which is copied: a double for WELD_FRAME_F64, a weld_frame_text_t for WELD_FRAME_TEXT. */
WELD_API weld_frame_t weld_frame_bind_data(weld_frame_t frame, const char *name, weld_frame_type type,
                                           const void *value, weld_error_t error);

/* ---- Columns ---- */

/* Expressions, separated by commas: "name, price * 2 as dear". One without `as` is named by its column or its text. */
WELD_API weld_frame_t weld_frame_select(weld_frame_t frame, const char *expressions, weld_error_t error);
/* The frame's columns and these; one of the same name is replaced in its place. All are computed from the frame as it was. */
WELD_API weld_frame_t weld_frame_with(weld_frame_t frame, const char *expressions, weld_error_t error);
WELD_API weld_frame_t weld_frame_drop(weld_frame_t frame, const char *names, weld_error_t error);
WELD_API weld_frame_t weld_frame_rename(weld_frame_t frame, const char *names,
                                        weld_error_t error); /* "a as b" */

/* ---- Rows ---- */

/* The rows for which condition, a bool, is true: neither false nor missing. */
WELD_API weld_frame_t weld_frame_filter(weld_frame_t frame, const char *condition, weld_error_t error);
/* Rows start .. start + count - 1 as far as there are such; a negative start counts from the end. */
WELD_API weld_frame_t weld_frame_slice(weld_frame_t frame, int64_t start, int64_t count, weld_error_t error);
WELD_API weld_frame_t weld_frame_head(weld_frame_t frame, int64_t count, weld_error_t error);
WELD_API weld_frame_t weld_frame_tail(weld_frame_t frame, int64_t count, weld_error_t error);
/* By keys, expressions: "category, price desc". NaN goes behind all numbers and missing values behind everything, in both
 * directions. Texts by their bytes. Equal rows keep their order. */
WELD_API weld_frame_t weld_frame_sort(weld_frame_t frame, const char *keys, weld_error_t error);
/* The first `count` rows of the sorted frame, without sorting all of it. */
WELD_API weld_frame_t weld_frame_top(weld_frame_t frame, const char *keys, int64_t count, weld_error_t error);
/* Of the rows with equal keys the first, in the order of the frame; keys NULL: all columns. Missing equals missing, NaN
 * equals NaN. */
WELD_API weld_frame_t weld_frame_distinct(weld_frame_t frame, const char *keys, weld_error_t error);
/* The rows of all, one frame after the other: same names and types in the same order. */
WELD_API weld_frame_t weld_frame_concat(const weld_frame_t *frames, int64_t count, weld_error_t error);

/* ---- Groups and joins ---- */

/* A row for each group of rows with equal keys, in the order of the keys, missing last; "" or NULL: one row for all, also of
 * an empty frame. Columns: the keys, and the aggregates of expressions: count() of rows, count(x) of values that are
 * there, sum mean var std min max first last n_unique. They pass over missing values; var and std divide by n - 1. Of no
 * values sum is 0 and count and n_unique are 0, the others missing; var and std are of one value as well. */
WELD_API weld_frame_t weld_frame_group_by(weld_frame_t frame, const char *keys, const char *aggregates,
                                          weld_error_t error);

typedef enum weld_frame_how {
    WELD_FRAME_INNER, /* each pair of rows with equal keys */
    WELD_FRAME_LEFT,  /* and rows of the left one without a partner, what is the right one's is missing */
    WELD_FRAME_SEMI,  /* rows of the left one that have a partner */
    WELD_FRAME_ANTI   /* rows of the left one that have none */
} weld_frame_how;

/* on: "id, place == town": names in both, or left == right expressions. Missing keys have no partner. In the order of the
 * left rows, then of the right ones. Columns: those of left, then those of right without the keys that are columns of
 * the same name; another name that left has as well gets "_right" behind it. */
WELD_API weld_frame_t weld_frame_join(weld_frame_t left, weld_frame_t right, weld_frame_how how,
                                      const char *on, weld_error_t error);
/* A row for each column: its name, type, count, missing, unique, and, of numbers, mean, std, min, max as f64. */
WELD_API weld_frame_t weld_frame_describe(weld_frame_t frame, weld_error_t error);

/* ---- Computing ---- */

/* The same frame with all its columns computed, by one program; a column of which no value is missing has no valid. */
WELD_API weld_frame_t weld_frame_collect(weld_context_t context, weld_frame_t frame, weld_error_t error);
/* How many rows it has; -1: error says why. */
WELD_API int64_t weld_frame_rows(weld_context_t context, weld_frame_t frame, weld_error_t error);
/* The values of a column of a frame that was collected, read or made of arrays, as a C array, and which are there (NULL: all).
 * They live as long as the frame. rows and valid may be NULL. NULL: no such column, or it is not computed; of no rows the
 * array is some pointer. */
WELD_API const void *weld_frame_data(weld_frame_t frame, const char *name, int64_t *rows, const bool **valid,
                                     weld_error_t error);
/* A table of at most so many rows to be read by people. The caller releases it with free(). */
WELD_API char *weld_frame_print(weld_context_t context, weld_frame_t frame, int64_t rows, weld_error_t error);

/* ---- CSV ---- */

typedef struct weld_frame_csv_t {
    char separator;    /* 0: a comma */
    bool no_header;    /* the first line is data; columns are named c0, c1, ... */
    const char *types; /* "price: f64, day: date" for some columns, or NULL; other types are found out */
} weld_frame_csv_t;

/* RFC 4180: fields in quotes may hold separators, line ends and doubled quotes; lines end in LF or CRLF. An empty field is
 * missing; in quotes it is an empty text. A column that is not in types is the first of bool, i64, f64, date, text that
 * fits all its fields; true and false are bool, dates YYYY-MM-DD. options may be NULL. Everything is read at once. */
WELD_API weld_frame_t weld_frame_read_csv(const char *path, const weld_frame_csv_t *options,
                                          weld_error_t error);
WELD_API weld_frame_t weld_frame_parse_csv(const char *text, int64_t length, const weld_frame_csv_t *options,
                                           weld_error_t error);
/* Computes the frame and writes it, such that reading gives the same values. The text is released with free(). */
WELD_API bool weld_frame_write_csv(weld_context_t context, weld_frame_t frame, const char *path,
                                   weld_error_t error);
WELD_API char *weld_frame_format_csv(weld_context_t context, weld_frame_t frame, weld_error_t error);

#ifdef __cplusplus
}
#endif

#endif
