/* arrow.h: inside the adapter arrow. */
#ifndef ARROW_H
#define ARROW_H

#include "weld_arrow.h"

#include <stdatomic.h>

#define HIDDEN __attribute__((visibility("hidden")))

/* How deep types nest, and how long an array may be, so that no size in bytes overflows. */
enum { MOST_DEPTH = 60 };
#define MOST_LENGTH (INT64_MAX / 64)

typedef struct Vec {
    const void *data;
    int64_t length;
} Vec;

/* ---- base.c ---- */

/* Always false. */
HIDDEN bool fault(weld_error_t error, uint64_t code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
HIDDEN bool no_memory(weld_error_t error);
/* The number of this type, "u16", at an address; one of u64 that is too large is negative. */
HIDDEN int64_t index_at(const char *from, const char *type);

/* ---- format.c: Arrow's format strings ---- */

typedef enum Layout {
#define LAYOUT(id, buffers, children, entry) LAYOUT_##id,
#include "layouts.def"
    LAYOUTS
} Layout;

typedef struct LayoutRow {
    int buffers, children, entry;
} LayoutRow;

HIDDEN extern const LayoutRow layouts[LAYOUTS];

typedef struct FormatRow {
    const char *spelling;
    int rest;
    Layout layout;
    const char *type;
    int64_t size;
    const char *doc;
} FormatRow;

typedef struct Format {
    const FormatRow *row;
    int64_t width; /* of w:N and +w:N */
} Format;

/* False: the text is no format. */
HIDDEN bool format_read(const char *text, Format *out);

/* ---- base.c: memory that several share ---- */

/* Memory, or arrays that were imported, and what they point into. */
typedef struct Block Block;
struct Block {
    _Atomic int64_t refs;
    void *memory;
    struct ArrowArray *arrays; /* released with it */
    int64_t count;
    Block *under; /* held */
};

HIDDEN Block *block_new(size_t bytes,
                        Block *under);  /* with memory of zeros, at least one byte; NULL: there is none */
HIDDEN Block *block_hold(Block *block); /* takes NULL */
HIDDEN void block_drop(void *block);    /* takes NULL */

/* ---- column.c: what was imported ---- */

/* A part of a column that lies in one array: its elements start .. start + length. */
typedef struct Piece {
    const struct ArrowArray *array;
    int64_t start, length;
} Piece;

enum { VALUES, VALIDITY, INDICES, ITEM_VALIDITY, LAZIES };

typedef struct weld_arrow Column;
struct weld_arrow {
    Column *parent; /* if it is a struct: what is null there is null here */
    char *name, *text;
    Format format;
    int64_t length, pieces, children;
    Piece *piece; /* one for each array */
    Column **child;
    Column *dictionary;
    bool own_dictionaries;               /* the pieces have dictionaries that differ */
    Block *arrays;                       /* whose pieces they are; held */
    _Atomic(weld_lazy_t) lazies[LAZIES]; /* those that were asked for */
    _Atomic int64_t nulls;               /* -1: not counted yet */
};

/* A column of a schema, without pieces. NULL: error says what is wrong with the schema. */
HIDDEN Column *column_new(const struct ArrowSchema *schema, Column *parent, int depth, weld_error_t error);
HIDDEN void column_free(Column *column);
/* Takes the arrays of the block as pieces, once they are checked (check.c). */
HIDDEN bool column_fill(Column *column, Block *arrays, weld_error_t error);

/* ---- check.c: arrays against their schema ---- */

HIDDEN bool check_array(const Column *column, const struct ArrowArray *array, weld_error_t error);

/* ---- read.c: the elements of a column, all in one place ---- */

typedef struct Flat {
    char type[5 * MOST_DEPTH + 80]; /* of an element */
    int64_t size;                   /* of an element */
    Vec vec;
    Block *block; /* what holds them; NULL: they are nowhere */
} Flat;

HIDDEN bool column_flat(const Column *column, Flat *out, weld_error_t error);
/* vec.data NULL: none is missing. */
HIDDEN bool column_validity(const Column *column, Flat *out, int64_t *nulls, weld_error_t error);
HIDDEN bool column_items(const Column *list, const Flat *items, Flat *out, weld_error_t error);
HIDDEN bool column_has_nulls(const Column *column); /* perhaps */

/* ---- type.c: types of the language, read from their text ---- */

typedef enum TypeKind { TYPE_bool, TYPE_number, TYPE_vec, TYPE_struct, TYPE_other } TypeKind;

typedef struct Type Type;
struct Type {
    TypeKind kind;
    char name[5];   /* of a scalar */
    char format[2]; /* of a scalar, Arrow's */
    int64_t size, align, count;
    Type **part;     /* the element of a vec, the fields of a struct */
    int64_t *offset; /* of the fields */
};

HIDDEN Type *type_read(const char *text); /* NULL: no memory, or no type */
HIDDEN void type_free(Type *type);

/* ---- sheet.c: results as columns ---- */

/* A column to be exported. Buffers are the result's memory, or its own. */
typedef struct Sheet Sheet;
struct Sheet {
    char *name, *format;
    bool nullable;
    int64_t length, nulls, children;
    int buffers;
    const void *buffer[3]; /* the first: bits for validity, or NULL */
    void *owned[3];
    Sheet **child;
    Sheet *dictionary;
};

/* Elements of one type in a row, stride bytes from one to the next. */
typedef struct Source {
    const Type *type;
    const char *base;
    int64_t stride, count;
} Source;

HIDDEN Sheet *sheet_new(const char *name);
HIDDEN void sheet_free(Sheet *sheet);              /* takes NULL */
HIDDEN bool sheet_add(Sheet *sheet, Sheet *child); /* takes the child, also on failure; NULL: false */
HIDDEN Sheet *sheet_of_field(const weld_arrow_field_t *field, weld_error_t error);
/* The elements as a column of this format. validity: a byte for each, NULL: none is missing. */
HIDDEN bool sheet_fill(Sheet *sheet, const Source *source, const uint8_t *validity, const char *format,
                       weld_error_t error);
HIDDEN bool sheet_set_format(Sheet *sheet, const char *format, weld_error_t error);
/* Memory for a buffer, which the sheet owns, at least one byte. NULL: error set. */
HIDDEN void *sheet_room(Sheet *sheet, int buffer, int64_t count, int64_t size, weld_error_t error);
/* Sets a buffer; an empty one is not NULL, which not every reader likes. */
HIDDEN void sheet_set(Sheet *sheet, int buffer, const void *data);
HIDDEN bool sheet_bad_format(const Sheet *sheet, const char *format, const char *type, weld_error_t error);

/* ---- nested.c: strings and lists as columns ---- */

HIDDEN bool fill_nested(Sheet *sheet, const Source *source, const uint8_t *validity, const char *format,
                        weld_error_t error);

#endif
