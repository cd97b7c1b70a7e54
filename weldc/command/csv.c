/* csv.c: reads tables as text: a header line, then one record a line, fields between commas.
 *
 * A field may stand in quotes; then it may hold commas, line breaks, and `""` for a quote. Lines end in \n or
 * \r\n, the last one may end with the file. Blanks around a number do not count.
 *
 * Two passes over the text in memory. The first counts the records, checks that each has as many fields as
 * the header has names, and notes for a column whose type nobody gave which kinds of fields it has:
 *
 *     1,5,-2 -> i64     1,2.5,nan -> f64     true,false -> bool     1,true,x -> text
 *
 * The second parses every field straight into its column. Text fields are unescaped where they stand and are
 * views of the file's text, which stays in memory with them.
 *
 * Decimal to binary: digits below 2^53 scaled by an exact power of ten need one correctly rounded operation
 * (Clinger, "How to Read Floating Point Numbers Accurately", 1990); all others go through strtod.
 */
#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

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

static bool table_fault(Table *table, int64_t begin, int64_t end, const char *format, ...)
    __attribute__((format(printf, 4, 5)));
static bool table_fault(Table *table, int64_t begin, int64_t end, const char *format, ...) {
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fault_at(table->fault, table->path, table->text, (size_t)table->length, (size_t)begin, (size_t)end,
                    E_File, "%s", text);
}

/* ---- fields -------------------------------------------------------------------------------------------- */

/* A field that starts with a quote, which is at *at. */
static bool field_quoted(Table *table, int64_t *at, Field *out) {
    char *text = table->text;
    int64_t open = *at, i = open + 1;
    out->begin = text + i;
    for (;;) {
        char *quote = memchr(text + i, '"', (size_t)(table->length - i));
        if (!quote) return table_fault(table, open, open + 1, "a quoted field is never closed");
        i = quote - text + 1;
        if (i == table->length || text[i] != '"') break;
        out->escaped = true;
        i++;
    }
    out->end = text + i - 1;
    if (i < table->length && text[i] == '\r' && text[i + 1] == '\n') i++;
    out->stop = i < table->length ? text[i] : 0;
    *at = i + 1;
    if (i >= table->length || text[i] == ',' || text[i] == '\n') return true;
    return table_fault(table, i, i + 1, "text follows a field's closing quote");
}

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

static void field_trim(Field *field) {
    while (field->begin < field->end && (*field->begin == ' ' || *field->begin == '\t')) field->begin++;
    while (field->end > field->begin && (field->end[-1] == ' ' || field->end[-1] == '\t')) field->end--;
}

/* "" becomes ", in place. */
static void field_unescape(Field *field) {
    if (!field->escaped) return;
    char *to = field->begin;
    for (char *p = field->begin; p < field->end; p++) {
        *to++ = *p;
        if (*p == '"') p++;
    }
    field->end = to;
    field->escaped = false;
}

/* ---- numbers ------------------------------------------------------------------------------------------- */

static bool is_word(const char *begin, const char *end, const char *word) {
    size_t length = strlen(word);
    return (size_t)(end - begin) == length && strncasecmp(begin, word, length) == 0;
}

static bool parse_bool(const char *begin, const char *end, void *out, bool digits) {
    bool yes = is_word(begin, end, "true") || (digits && is_word(begin, end, "1"));
    if (!yes && !is_word(begin, end, "false") && !(digits && is_word(begin, end, "0"))) return false;
    *(uint8_t *)out = yes;
    return true;
}

/* Digits with a sign, within the type's range. */
static bool parse_integer(const char *begin, const char *end, TypeKind kind, void *out) {
    const TypeClass *class = &type_classes[kind];
    bool negative = begin < end && *begin == '-';
    if (begin < end && (*begin == '-' || *begin == '+')) begin++;
    if (begin == end) return false;
    uint64_t value = 0;
    bool over = false;
    for (; begin < end; begin++) {
        unsigned digit = (unsigned char)*begin - '0';
        if (digit > 9) return false;
        over |= value > (UINT64_MAX - digit) / 10;
        value = value * 10 + digit;
    }
    uint64_t most = class->class == 's' ? (UINT64_MAX >> (65 - class->bits)) + negative
                    : negative          ? 0
                                        : UINT64_MAX >> (64 - class->bits);
    if (over || value > most) return false;
    if (negative) value = 0 - value;
    memcpy(out, &value, class->bits / 8u); /* little-endian */
    return true;
}

/* The parts of a decimal number. */
typedef struct Decimal {
    uint64_t digits; /* the first 19 significant ones */
    int exponent;    /* value = digits * 10^exponent, exactly unless `more` */
    bool negative, more;
} Decimal;

static bool parse_exponent(const char *p, const char *end, int *out) {
    bool negative = p < end && *p == '-';
    if (p < end && (*p == '-' || *p == '+')) p++;
    if (p == end) return false;
    int value = 0;
    for (; p < end; p++) {
        if (!isdigit((unsigned char)*p)) return false;
        if (value < 100000) value = value * 10 + (*p - '0');
    }
    *out = negative ? -value : value;
    return true;
}

static bool parse_decimal(const char *p, const char *end, Decimal *out) {
    int digits = 0, exponent = 0;
    bool point = false, some = false;
    *out = (Decimal){0};
    if (p < end && (*p == '-' || *p == '+')) out->negative = *p++ == '-';
    for (; p < end; p++) {
        unsigned digit = (unsigned char)*p - '0';
        if (digit <= 9) {
            some = true;
            if (digits < 19) {
                out->digits = out->digits * 10 + digit;
                digits += out->digits > 0;
                out->exponent -= point;
            } else {
                out->more |= digit > 0;
                out->exponent += !point;
            }
        } else if (*p == '.' && !point) {
            point = true;
        } else {
            break;
        }
    }
    if (!some) return false;
    if (p < end && (*p | 32) == 'e') {
        if (!parse_exponent(p + 1, end, &exponent)) return false;
        p = end;
    }
    out->exponent += exponent;
    return p == end;
}

static bool is_special(const char *p, const char *end) {
    if (p < end && (*p == '-' || *p == '+')) p++;
    return is_word(p, end, "nan") || is_word(p, end, "inf") || is_word(p, end, "infinity");
}

/* The text is followed by a character that cannot continue a number, so that strtod stops at its end. */
static bool parse_real(const char *begin, const char *end, TypeKind kind, void *out) {
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    Decimal n;
    bool decimal = parse_decimal(begin, end, &n);
    if (!decimal && !is_special(begin, end)) return false;
    int scale = n.exponent < 0 ? -n.exponent : n.exponent;
    if (kind == TY_f64) {
        double value;
        if (decimal && !n.more && n.digits <= (uint64_t)1 << 53 && scale <= 22) {
            value = n.exponent < 0 ? (double)n.digits / tens[scale] : (double)n.digits * tens[scale];
            value = n.negative ? -value : value;
        } else {
            value = strtod(begin, NULL);
        }
        memcpy(out, &value, sizeof value);
    } else {
        float value;
        if (decimal && !n.more && n.digits <= 1u << 24 && scale <= 10) {
            value =
                n.exponent < 0 ? (float)n.digits / (float)tens[scale] : (float)n.digits * (float)tens[scale];
            value = n.negative ? -value : value;
        } else {
            value = strtof(begin, NULL);
        }
        memcpy(out, &value, sizeof value);
    }
    return true;
}

/* ---- columns ------------------------------------------------------------------------------------------- */

static unsigned field_kind(Field field) {
    int64_t value;
    Decimal number;
    field_trim(&field);
    if (field.begin == field.end) return EMPTY;
    if (parse_integer(field.begin, field.end, TY_i64, &value)) return INTEGER;
    if (parse_decimal(field.begin, field.end, &number) || is_special(field.begin, field.end)) return REAL;
    return parse_bool(field.begin, field.end, &value, false) ? BOOL : OTHER;
}

static bool column_parse(Table *table, Column *column, int64_t row, Field field) {
    char *out = column->data + (size_t)row * column->size;
    if (column->text) {
        field_unescape(&field);
        *(Vec *)out = (Vec){field.begin, field.end - field.begin};
        return true;
    }
    field_trim(&field);
    char class = type_classes[column->kind].class;
    bool ok = class == 'f'   ? parse_real(field.begin, field.end, column->kind, out)
              : class == 'b' ? parse_bool(field.begin, field.end, out, true)
                             : parse_integer(field.begin, field.end, column->kind, out);
    if (ok) return true;
    int64_t begin = field.begin - table->text, end = field.end - table->text;
    const char *spelling = type_classes[column->kind].spelling;
    if (begin == end)
        return table_fault(table, begin, end, "an empty field in column %.60s of %s", column->name, spelling);
    int shown = end - begin > 60 ? 60 : (int)(end - begin);
    return table_fault(table, begin, end, "\"%.*s\" in column %.60s cannot be read as %s", shown, field.begin,
                       column->name, spelling);
}

/* Does this type say how a column is read? Then notes it. */
static void column_want(Column *column, const Type *want) {
    if (!want || want->kind != TY_vec) return;
    const Type *element = want->args[0];
    bool text = element->kind == TY_vec && element->args[0]->kind == TY_i8;
    if (!text && !type_is_scalar(element)) return;
    column->given = true;
    column->text = text;
    column->kind = element->kind;
}

/* The first of i64, f64, bool, text that fits all fields of a column. */
static bool column_decide(Table *table, Column *column) {
    unsigned kinds = column->kinds & ~(unsigned)EMPTY;
    if (!column->given) {
        column->text = false;
        column->kind = TY_i64;
        if (kinds == BOOL && !(column->kinds & EMPTY)) {
            column->kind = TY_bool;
        } else if (kinds & (BOOL | OTHER) || column->kinds == EMPTY) {
            column->text = true;
        } else if (kinds & REAL) {
            column->kind = TY_f64;
        }
    }
    column->size = column->text ? sizeof(Vec) : type_classes[column->kind].bits / 8u;
    if (column->text || column->empty < 0) return true;
    return table_fault(table, column->empty, column->empty, "an empty field in column %.60s of %s",
                       column->name, type_classes[column->kind].spelling);
}

/* ---- the table ------------------------------------------------------------------------------------------
 */

static bool header_read(Table *table) {
    int64_t at = table->length >= 3 && memcmp(table->text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    if (at == table->length)
        return table_fault(table, 0, 0, "%s is empty; a line of column names is needed", table->path);
    Field field;
    do {
        if (!field_next(table, &at, &field)) return false;
        field_unescape(&field);
        field_trim(&field);
        Column *columns = realloc(table->columns, sizeof *columns * (size_t)(table->count + 1));
        if (!columns)
            return fault_set(table->fault, E_OutOfMemory, "no memory for the columns of %s", table->path);
        table->columns = columns;
        Column *column = &columns[table->count++];
        *column = (Column){
            .name = strndup(field.begin, (size_t)(field.end - field.begin)), .empty = -1, .wanted = true};
        if (!column->name)
            return fault_set(table->fault, E_OutOfMemory, "no memory for the columns of %s", table->path);
    } while (field.stop == ',');
    table->start = at < table->length ? at : table->length;
    return true;
}

/* Counts the records, checks their fields, notes the fields' kinds. */
static bool records_scan(Table *table) {
    /* Blank lines at the end are no records, unless a record may be blank. */
    int64_t length = table->length;
    while (table->count > 1 && length > table->start &&
           (table->text[length - 1] == '\n' || table->text[length - 1] == '\r')) {
        length--;
    }
    table->length = length;
    for (int64_t at = table->start; at < table->length; table->rows++) {
        int64_t begin = at;
        int column = 0;
        Field field;
        do {
            if (!field_next(table, &at, &field)) return false;
            if (column < table->count) {
                Column *c = &table->columns[column];
                if (c->wanted && !c->given && !(c->kinds & OTHER)) {
                    unsigned kind = field_kind(field);
                    if (kind == EMPTY && c->empty < 0) c->empty = field.begin - table->text;
                    c->kinds |= kind;
                }
            }
            column++;
        } while (field.stop == ',');
        if (column != table->count) {
            return table_fault(table, begin, begin, "%d field%s where the header names %d column%s", column,
                               column == 1 ? "" : "s", table->count, table->count == 1 ? "" : "s");
        }
        if (cancel_flag)
            return fault_set(table->fault, E_Cancelled, "cancelled while reading %s", table->path);
    }
    return true;
}

static bool records_parse(Table *table) {
    int64_t at = table->start;
    for (int64_t row = 0; row < table->rows; row++) {
        for (int column = 0; column < table->count; column++) {
            Field field;
            Column *c = &table->columns[column];
            if (!field_next(table, &at, &field)) return false;
            if (c->wanted && !column_parse(table, c, row, field)) return false;
        }
        if (cancel_flag)
            return fault_set(table->fault, E_Cancelled, "cancelled while reading %s", table->path);
    }
    return true;
}

/* Which columns are read, and as what. */
static bool columns_choose(Table *table, const char *column, const Type *want) {
    int chosen = -1;
    for (int i = 0; column && i < table->count; i++) {
        table->columns[i].wanted = chosen < 0 && strcmp(table->columns[i].name, column) == 0;
        if (table->columns[i].wanted) chosen = i;
    }
    if (!column) {
        bool fits = want && want->kind == TY_struct && want->count == table->count;
        for (int i = 0; fits && i < table->count; i++) column_want(&table->columns[i], want->args[i]);
        return true;
    }
    if (chosen >= 0) {
        column_want(&table->columns[chosen], want);
        return true;
    }
    const char **names = calloc((size_t)table->count, sizeof *names);
    for (int i = 0; names && i < table->count; i++) names[i] = table->columns[i].name;
    const char *near = names ? nearest_name(column, names, (size_t)table->count) : NULL;
    free(names);
    return fault_set(table->fault, E_File, "%s has no column %s%s%s", table->path, column,
                     near ? "; the nearest is " : "", near ? near : "");
}

static bool columns_alloc(Table *table, Inputs *inputs) {
    for (int i = 0; i < table->count; i++) {
        Column *column = &table->columns[i];
        if (!column->wanted) continue;
        if (!column_decide(table, column)) return false;
        column->data = inputs_alloc(inputs, (size_t)table->rows * column->size, table->fault);
        if (!column->data) return false;
    }
    return true;
}

/* The struct of all columns, or the one that was asked for. */
static bool wrap(Table *table, Inputs *inputs, bool single, Datum *out) {
    TypeTable *types = &inputs->types;
    Vec *value = inputs_alloc(inputs, sizeof *value * (size_t)table->count, table->fault);
    Type **fields = calloc((size_t)table->count, sizeof *fields);
    if (!value || !fields) {
        free(fields);
        return fault_set(table->fault, E_OutOfMemory, "no memory for the columns of %s", table->path);
    }
    int count = 0;
    for (int i = 0; i < table->count; i++) {
        Column *column = &table->columns[i];
        if (!column->wanted) continue;
        Type *element = type_scalar(types, column->text ? TY_i8 : column->kind);
        fields[count] = type_vec(types, column->text ? type_vec(types, element) : element);
        value[count++] = (Vec){column->data, table->rows};
    }
    *out = (Datum){single ? fields[0] : type_make(types, TY_struct, OP_none, count, fields), value};
    free(fields);
    return true;
}

/* The whole file, with a NUL behind it. */
static bool table_read(Table *table, Inputs *inputs) {
    int file = open(table->path, O_RDONLY | O_CLOEXEC);
    struct stat status;
    if (file < 0 || fstat(file, &status)) {
        fault_set(table->fault, E_File, "cannot open %s: %s", table->path, strerror(errno));
        if (file >= 0) close(file);
        return false;
    }
    int64_t room = S_ISREG(status.st_mode) ? status.st_size : 1 << 16;
    ssize_t got = 0;
    table->text = inputs_alloc(inputs, (size_t)room + 2, table->fault);
    while (table->text) {
        got = read(file, table->text + table->length, (size_t)(room + 1 - table->length));
        if (got == 0 || (got < 0 && (errno != EINTR || cancel_flag))) break;
        table->length += got > 0 ? got : 0;
        if (table->length <= room) continue;
        char *more =
            inputs_alloc(inputs, (size_t)room * 2 + 2, table->fault); /* a pipe, or a file that grows */
        if (more) memcpy(more, table->text, (size_t)table->length);
        table->text = more;
        room *= 2;
    }
    if (table->text && got < 0)
        fault_set(table->fault, E_File, "cannot read %s: %s", table->path, strerror(errno));
    close(file);
    if (!table->text || got < 0) return false;
    table->text[table->length] = 0;
    return true;
}

bool csv_load(Inputs *inputs, const char *path, const char *column, const Type *want, Datum *out,
              Fault *fault) {
    Table table = {.path = path, .fault = fault};
    bool ok = table_read(&table, inputs) && header_read(&table) && columns_choose(&table, column, want) &&
              records_scan(&table) && columns_alloc(&table, inputs) && records_parse(&table) &&
              wrap(&table, inputs, column != NULL, out);
    for (int i = 0; i < table.count; i++) free(table.columns[i].name);
    free(table.columns);
    return ok;
}
