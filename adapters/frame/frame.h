/* frame.h: what the files of this adapter share. */
#ifndef FRAME_H
#define FRAME_H

#include "weld_frame.h"

#include <stdarg.h>
#include <string.h>
#include <strings.h>

/* ---- types.c: types and names ---- */

typedef weld_frame_type Kind;

const char *kind_code(Kind kind);     /* the language's type: date is i32 */
const char *kind_zero(Kind kind);     /* a value of it in the language */
const char *kind_greatest(Kind kind); /* of a number, date or bool as i8: what min starts with */
const char *kind_least(Kind kind);
int64_t kind_size(Kind kind); /* of an element in memory */
static inline bool kind_is_integer(Kind kind) {
    return kind >= WELD_FRAME_I8 && kind <= WELD_FRAME_U64;
}
static inline bool kind_is_float(Kind kind) {
    return kind == WELD_FRAME_F32 || kind == WELD_FRAME_F64;
}
static inline bool kind_is_number(Kind kind) {
    return kind >= WELD_FRAME_I8 && kind <= WELD_FRAME_F64;
}
static inline bool kind_is_unsigned(Kind kind) {
    return kind >= WELD_FRAME_U8 && kind <= WELD_FRAME_U64;
}
Kind kind_promote(Kind a, Kind b); /* of two numbers, as NumPy does */
Kind kind_named(const char *name, int64_t length);

/* Fills the error with "frame.FUNCTION: ..." and returns NULL. */
void *frame_fail(weld_error_t error, const char *function, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
void *frame_no_memory(weld_error_t error);

/* ---- text.c: growing texts, fragments, rows ---- */

typedef struct Buf {
    char *text;
    int64_t length, room;
    bool failed; /* no memory */
} Buf;
void buf_put(Buf *buf, const char *data, int64_t length);
void buf_printf(Buf *buf, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_free(Buf *buf);
const char *buf_text(const Buf *buf); /* "" if nothing was put */

/* A function |p0, p1, ..| body of the language, while it is written. */
typedef struct Fragment {
    const char *function; /* "frame.filter" */
    weld_error_t error;
    Buf body;
    weld_lazy_t *arguments; /* the caller's */
    int64_t count, room;
    bool failed;
} Fragment;
Fragment fragment_open(const char *function, weld_error_t error);
/* The number of the parameter that stands for the lazy value. */
int64_t fragment_add(Fragment *fragment, weld_lazy_t lazy);
/* Frees a part of the text; if it is not whole, neither is the fragment. */
void fragment_drop(Fragment *fragment, Buf *part);
/* The lazy value of the body; the fragment is over. NULL: error says why. */
weld_lazy_t fragment_close(Fragment *fragment);
/* One field or more: field `number` of a struct, or of vec of structs, that a lazy value is. */
weld_lazy_t lazy_put(const char *function, weld_error_t error, weld_lazy_t lazy, const char *code);
weld_lazy_t lazy_i64(int64_t number, weld_error_t error);

/* The body of a loop over rows: lines of lets, in which x3 is the row's element of parameter p3. */
typedef struct Row {
    Fragment *fragment;
    int64_t elements[2 * WELD_FRAME_COLUMNS + 8];
    int64_t count;
    int64_t names; /* that were given out */
    Buf body;
} Row;
Row *row_open(Fragment *fragment); /* NULL: no memory, and the fragment has failed */
int64_t row_element(Row *row, weld_lazy_t vector);
/* for(zip(..), builder, |b, i, e| lets; result), put at the end of the fragment's body; the row is over. */
void row_close(Row *row, const char *builder, const char *result);

/* ---- frame.c ---- */

typedef struct Column {
    char *name;
    Kind kind;
    weld_lazy_t data, valid; /* valid NULL: none is missing */
    const void *elements;    /* of what is computed, as is valid_elements; else NULL */
    const bool *valid_elements;
    int64_t rows; /* -1: not known */
} Column;

typedef struct Binding Binding; /* bind.c */

struct weld_frame {
    uint64_t magic;
    int64_t count, room;
    Column *columns;
    Binding *bound; /* values that expressions may name; NULL: none */
};

/* An empty frame, to be filled, with the values that are bound in another one; from NULL: none. NULL: no memory. */
weld_frame_t frame_new(int64_t room, weld_frame_t from, weld_error_t error);
/* The same columns and room for one more; frame NULL: none. */
weld_frame_t frame_copy(weld_frame_t frame, const char *function, weld_error_t error);
bool frame_check(weld_frame_t frame, const char *function, weld_error_t error);
/* Takes over data and valid, whatever happens. A NULL data is a failure that is in error already. */
bool frame_put(weld_frame_t frame, const char *function, const char *name, Kind kind, weld_lazy_t data,
               weld_lazy_t valid, weld_error_t error);
/* Another reference to a column, under its name or another one. */
bool frame_share(weld_frame_t frame, const char *function, const Column *column, const char *name,
                 weld_error_t error);
Column *frame_column(weld_frame_t frame, const char *name, int64_t length);
/* The column, or an error that says which name is like it. */
Column *frame_need(weld_frame_t frame, const char *function, const char *name, int64_t length,
                   weld_error_t error);

/* ---- bind.c: values of the caller's ---- */

Binding *binding_hold(Binding *binding);
void binding_drop(Binding *binding);
/* The newest value of the name, which stays the binding's; NULL: there is none. */
weld_lazy_t binding_find(const Binding *binding, const char *name, int64_t length, Kind *kind);

/* ---- parse.c: expressions as trees ---- */

typedef enum NodeKind {
    X_int,
    X_float,
    X_text,
    X_bool,
    X_null,
    X_column,
    X_bound,
    X_unary,
    X_binary,
    X_call
} NodeKind;

typedef struct Node Node;
struct Node {
    NodeKind kind;
    Kind type; /* WELD_FRAME_TYPES: not known, as of null */
    const char *begin;
    int64_t length;          /* its text */
    char op[4];              /* of unary and binary */
    const struct Call *call; /* of a call */
    const Column *column;
    weld_lazy_t bound; /* the frame's */
    int64_t integer;
    bool beyond; /* the integer is a u64 */
    double real;
    char *text; /* of a text, name of a call */
    int64_t text_length;
    Node *kids[8];
    int count;
};

typedef struct Item {
    Node *node;
    char *name; /* behind `as`, or of the column, or the text */
    bool named, descending;
} Item;

typedef struct Block Block;

/* Expressions of one text, of the columns of a frame. */
typedef struct Parser {
    weld_frame_t frame;
    const char *function, *text, *at;
    weld_error_t error;
    Block *blocks; /* memory of the nodes */
    int depth, nodes;
    bool failed;
} Parser;
Parser parser_open(weld_frame_t frame, const char *function, const char *text, weld_error_t error);
void parser_close(Parser *parser);
void *parser_alloc(Parser *parser, int64_t bytes);
/* Reports it at a node, or where the text stands if node is NULL. */
void *parser_fail(Parser *parser, const Node *node, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
Node *parse_expression(Parser *parser);
/* Items separated by commas, up to the end. NULL: failed. Several expressions may have one name only where it does not
 * matter. order: "asc" and "desc" may follow. */
Item *parse_items(Parser *parser, bool order, int64_t *count);
bool parse_end(Parser *parser);
bool parse_word(Parser *parser, const char *word); /* skips it if it is there */
bool parse_blank(const char *text);
bool parse_is_word(const char *text);

/* ---- check.c: their types;  emit.c: their code ---- */

/* Gives types to all nodes. False: the parser has failed. */
bool check_node(Parser *parser, Node *node);
/* The same for an expression whose type must be known. */
bool check_value(Parser *parser, Node *node);
/* Is a number that is written out one of the type. */
bool check_fits(const Node *node, Kind kind);
/* The type to which both must be cast; WELD_FRAME_TYPES: failed. */
Kind check_common(Parser *parser, const Node *at, Node *a, Node *b);

/* A value of a row, by names of its body. */
typedef struct Value {
    Kind kind;
    char text[40], valid[40]; /* valid "": always there */
} Value;
Value emit_node(Row *row, Node *node);
Value emit_as(Row *row, Node *node, Kind kind);

/* A column of an expression: lazy values of the caller. */
bool expression_column(Parser *parser, Node *node, Kind as, Column *column);
/* A vec[bool] of an expression that is a bool: is it there and true. */
weld_lazy_t expression_met(Parser *parser, Node *node);
void column_drop(Column *column);

/* The functions of expressions; see functions.def. */
typedef struct Call {
    const char *name, *kinds, *code;
    Kind result;
    const char *doc;
} Call;
const Call *call_find(const char *name, int64_t length);
const Call *call_row(int64_t number); /* NULL: there is none */

/* ---- keys.c: keys of groups, joins and sorts ---- */

typedef struct Keys {
    Column *columns;
    bool *descending;
    char **names; /* the parser's */
    int64_t count;
} Keys;
/* Columns of all items, computed. */
bool keys_open(Parser *parser, bool order, Keys *keys);
void keys_close(Keys *keys);
/* Fields of key j in the key's struct: whether it is missing, if it may be, and its value, else zero. */
void keys_type(Buf *out, const Keys *keys);                /* "{bool,i64}", or "i64" of one field */
void keys_put(Buf *out, Row *row, const Keys *keys);       /* the key of the row */
void keys_fields(Buf *out, Row *row, const Keys *keys);    /* the same without braces */
int64_t keys_width(const Keys *keys);                      /* how many fields */
void keys_all_valid(Buf *out, Row *row, const Keys *keys); /* "" if none may be missing */
/* "path.$3", or path itself if the key has one field: value or validity of key j; bare: fields lie in path in any case. */
void keys_value(char *out, const char *path, const Keys *keys, int64_t j, bool valid, bool bare);
/* The order of two values without NaN, an i32: negative if x goes before y. */
void keys_compare_values(Buf *out, Kind kind, bool descending, const char *x, const char *y);
/* The same with NaN behind all others. */
void keys_compare_scalars(Buf *out, Kind kind, bool descending, const char *x, const char *y);
/* The order of two keys. */
void keys_compare(Buf *out, const char *a, const char *b, const Keys *keys, bool bare);

/* ---- rows.c ---- */

/* Columns of `to` that take rows of `from`: those for which keep, a vec[bool], is true; elements at the places that
 * `index` says of each element p of `places`. optional: "p.$1 >= 0l", else the element is missing. */
weld_frame_t frame_keep(weld_frame_t frame, const char *function, weld_lazy_t keep, weld_error_t error);
bool frame_gather(weld_frame_t to, const char *function, const Column *column, const char *name,
                  weld_lazy_t places, const char *index, const char *optional, weld_error_t error);

/* ---- collect.c ---- */

void cell_put(Buf *out, const Column *column,
              int64_t i); /* an element that is there, as CSV has it, texts as they are */

/* ---- functions.c: what the language lacks ---- */

int64_t date_days(int64_t year, int64_t month, int64_t day);
bool date_read(const char *text, int64_t length, int32_t *days);
int date_write(int32_t days, char *out); /* at most 16 bytes */
bool integer_read(const char *text, int64_t length, int64_t *number);
bool real_read(const char *text, int64_t length, double *number);
int real_write(double number, bool single, char *out); /* at most 32 bytes, such that reading gives it back */
/* In capitals or small letters, at out, which has room for half as much again; gives how many bytes. */
int64_t text_change_case(bool upper, const char *text, int64_t length, char *out);
int text_compare(const char *a, int64_t m, const char *b, int64_t n);

#endif
