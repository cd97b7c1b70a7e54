/* csv.h: what the files that read tables share; for csv*.c alone. */
#ifndef CSV_H
#define CSV_H

#include "command.h"

enum Kinds { EMPTY = 1, INTEGER = 2, REAL = 4, BOOL = 8, OTHER = 16 };

typedef struct Column {
    char *name;
    bool wanted, given; /* to be read; its type is given */
    bool text;          /* vec[vec[i8]]; else of kind */
    TypeKind kind;
    size_t size; /* of an element */
    unsigned kinds;
    int64_t empty; /* where the first empty field lies; -1: none */
    char *data;
} Column;

typedef struct Table {
    const char *path;
    char *text;            /* in the inputs' memory; a NUL follows */
    int64_t length, start; /* start: of the records */
    int64_t line;          /* lines of the file before the text */
    Ranks *ranks;          /* that read a table together; alone: one */
    Column *columns;
    int count;
    int64_t rows;
    Fault *fault;
} Table;

typedef struct Field {
    char *begin, *end; /* without quotes */
    bool escaped;      /* holds "" */
    char stop;         /* what follows: ',' or '\n', or 0: the end of the file */
} Field;

/* ---- csv_field.c: fields, and what they hold ---- */

/* Fails at bytes of the text. Returns false. */
bool table_fault(Table *table, int64_t begin, int64_t end, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
/* A field that starts with a quote, which is at *at. */
bool field_quoted(Table *table, int64_t *at, Field *out);
/* "" becomes ", in place. */
void field_unescape(Field *field);
/* Without blanks around it. */
void field_trim(Field *field);
unsigned field_kind(Field field); /* one of Kinds */
/* The field becomes a row's element of the column. False: fault set. */
bool column_parse(Table *table, Column *column, int64_t row, Field field);

/* The field at *at, which moves behind it and its separator. False: fault set. */
static inline bool field_next(Table *table, int64_t *at, Field *out) {
    char *text = table->text, *p = text + *at, *end = text + table->length;
    out->escaped = false;
    if (p < end && *p == '"') return field_quoted(table, at, out);
    out->begin = p;
    while (p < end && *p != ',' && *p != '\n') p++;
    out->stop = p < end ? *p : 0;
    out->end = out->stop == '\n' && p > out->begin && p[-1] == '\r' ? p - 1 : p;
    *at = p - text + 1;
    return true;
}

/* ---- csv_block.c: a rank's share of a table ---- */

/* Reads the header and this rank's records. */
bool table_read_block(Table *table, Inputs *inputs);
/* What the fields of all ranks' records are like, and that their tables have the same columns. */
bool columns_agree(Table *table);

/* ---- csv.c ---- */

/* Reads the names of the columns, behind which the records start. */
bool header_read(Table *table);

#endif
