/* csv.c: CSV in and out.
 *
 * Reading finds the fields of the whole text first: where each begins and ends, and whether it was in quotes. Then each
 * column's type is the first of bool, i64, f64, date, text that fits all its fields, and its values are made. Texts are
 * parts of what was read, which the frame keeps; quotes that are doubled are undone in place.
 */
#include "frame.h"

#include <errno.h>
#include <stdio.h>

typedef struct Field {
    const char *text;
    int64_t length; /* < 0: missing */
} Field;

typedef struct Table {
    const char *function;
    weld_error_t error;
    char *text; /* a copy of the caller's */
    char separator;
    Field *fields; /* row by row */
    int64_t count, room, columns, rows;
} Table;

static bool table_grow(Table *table) {
    if (table->count < table->room) return true;
    int64_t room = table->room ? 2 * table->room : 256;
    Field *fields = realloc(table->fields, (size_t)room * sizeof *fields);
    if (!fields) return frame_no_memory(table->error) != NULL;
    table->fields = fields;
    table->room = room;
    return true;
}

/* Behind an opening quote; returns what follows the closing one, NULL if there is none. */
static char *read_quoted(char *at, const char *end, Field *field) {
    char *out = at;
    field->text = at;
    for (; at < end; at++) {
        if (*at == '"') {
            if (at + 1 == end || at[1] != '"') {
                field->length = out - field->text;
                return at + 1;
            }
            at++;
        }
        *out++ = *at;
    }
    return NULL;
}

static bool fail_line(Table *table, int64_t row, const char *what) {
    frame_fail(table->error, table->function, "record %lld: %s", (long long)row + 1, what);
    return false;
}

/* One record; *at is behind its line end then. */
static bool read_record(Table *table, char **from, const char *end, int64_t row) {
    char *at = *from;
    int64_t first = table->count;
    for (;;) {
        if (!table_grow(table)) return false;
        Field *field = &table->fields[table->count++];
        if (at < end && *at == '"') {
            at = read_quoted(at + 1, end, field);
            if (!at) return fail_line(table, row, "a quote is not closed");
        } else {
            field->text = at;
            while (at < end && *at != table->separator && *at != '\n') at++;
            field->length = at - field->text;
            bool line = at == end || *at == '\n';
            if (line && field->length && at[-1] == '\r') field->length--;
            if (field->length == 0) field->length = -1;
        }
        if (at < end && *at == '\r' && (at + 1 == end || at[1] == '\n')) at++;
        if (at == end || *at == '\n') break;
        if (*at != table->separator) return fail_line(table, row, "something follows a closing quote");
        at++;
    }
    *from = at < end ? at + 1 : at;
    if (table->columns == 0) table->columns = table->count - first;
    if (table->count - first == table->columns) return true;
    /* an empty line is a record of one missing field, and else none */
    if (table->count - first == 1 && table->fields[first].length < 0) {
        table->count = first;
        table->rows--;
        return true;
    }
    char text[100];
    snprintf(text, sizeof text, "%lld fields instead of %lld", (long long)(table->count - first),
             (long long)table->columns);
    return fail_line(table, row, text);
}

static bool read_records(Table *table, int64_t length) {
    char *at = table->text, *end = at + length;
    if (length >= 3 && memcmp(at, "\xef\xbb\xbf", 3) == 0) at += 3; /* a byte order mark */
    for (int64_t row = 0; at < end; row++) {
        table->rows++;
        if (!read_record(table, &at, end, row)) return false;
    }
    return true;
}

/* ---- types ---- */

static bool read_truth(const Field *field, bool *truth) {
    *truth = field->length == 4 && memcmp(field->text, "true", 4) == 0;
    return *truth || (field->length == 5 && memcmp(field->text, "false", 5) == 0);
}

static bool narrow(Kind kind, int64_t number) {
    Node node = {.kind = X_int, .integer = number};
    return check_fits(&node, kind);
}

/* A field of the type into element i. */
static bool read_field(const Field *field, Kind kind, void *data, int64_t i) {
    int64_t number = 0;
    double real = 0;
    if (kind_is_integer(kind)) {
        if (kind == WELD_FRAME_U64 && field->length == 20) { /* beyond an i64 */
            char copy[24];
            memcpy(copy, field->text, 20);
            copy[20] = 0;
            errno = 0;
            char *end;
            unsigned long long large = strtoull(copy, &end, 10);
            if (*copy != '1' || *end || errno) return false;
            ((uint64_t *)data)[i] = large;
            return true;
        }
        if (!integer_read(field->text, field->length, &number) || !narrow(kind, number)) {
            uint64_t large = 0;
            if (kind != WELD_FRAME_U64 || field->length != 19) return false;
            for (int j = 0; j < 19; j++) {
                if (field->text[j] < '0' || field->text[j] > '9') return false;
                large = 10 * large + (uint64_t)(field->text[j] - '0');
            }
            ((uint64_t *)data)[i] = large;
            return true;
        }
    }
    if (kind_is_float(kind) && !real_read(field->text, field->length, &real)) return false;
    switch (kind) {
    case WELD_FRAME_BOOL: return read_truth(field, (bool *)data + i);
    case WELD_FRAME_I8: ((int8_t *)data)[i] = (int8_t)number; return true;
    case WELD_FRAME_I16: ((int16_t *)data)[i] = (int16_t)number; return true;
    case WELD_FRAME_I32: ((int32_t *)data)[i] = (int32_t)number; return true;
    case WELD_FRAME_U8: ((uint8_t *)data)[i] = (uint8_t)number; return true;
    case WELD_FRAME_U16: ((uint16_t *)data)[i] = (uint16_t)number; return true;
    case WELD_FRAME_U32: ((uint32_t *)data)[i] = (uint32_t)number; return true;
    case WELD_FRAME_I64:
    case WELD_FRAME_U64: ((int64_t *)data)[i] = number; return true;
    case WELD_FRAME_F32: ((float *)data)[i] = (float)real; return true;
    case WELD_FRAME_F64: ((double *)data)[i] = real; return true;
    case WELD_FRAME_DATE: return date_read(field->text, field->length, (int32_t *)data + i);
    default: ((weld_frame_text_t *)data)[i] = (weld_frame_text_t){field->text, field->length}; return true;
    }
}

/* ---- columns ---- */

/* What the columns of texts share: the text, released with the last of them. */
typedef struct Kept {
    _Atomic int64_t refs;
    char *text;
} Kept;

typedef struct Store {
    Kept *kept;
    void *data;
    bool *valid;
} Store;

static void kept_drop(Kept *kept) {
    if (__atomic_sub_fetch((int64_t *)&kept->refs, 1, __ATOMIC_ACQ_REL)) return;
    free(kept->text);
    free(kept);
}

static void store_free(void *data) {
    Store *store = data;
    if (!store) return;
    if (store->kept) kept_drop(store->kept);
    free(store->data);
    free(store->valid);
    free(store);
}

static const Field *field_at(const Table *table, int64_t i, int64_t column) {
    return &table->fields[i * table->columns + column];
}

/* Fills from row `first` on; returns the row that does not fit, or -1. */
static int64_t fill(const Table *table, int64_t first, int64_t column, Kind kind, Store *store,
                    bool *missing) {
    for (int64_t i = first; i < table->rows; i++) {
        const Field *field = field_at(table, i, column);
        bool there = field->length >= 0;
        store->valid[i - first] = there;
        if (!there) {
            *missing = true;
            memset((char *)store->data + (i - first) * kind_size(kind), 0, (size_t)kind_size(kind));
        } else if (!read_field(field, kind, store->data, i - first)) {
            return i;
        }
    }
    return -1;
}

/* The first type that fits; of all missing, text. */
static Kind infer(const Table *table, int64_t first, int64_t column) {
    static const Kind order[] = {WELD_FRAME_BOOL, WELD_FRAME_I64, WELD_FRAME_F64, WELD_FRAME_DATE};
    enum { KINDS = sizeof order / sizeof *order };
    int at = 0;
    bool any = false;
    union {
        bool truth;
        int64_t number;
        double real;
        int32_t days;
    } one;
    for (int64_t i = first; i < table->rows && at < KINDS; i++) {
        const Field *field = field_at(table, i, column);
        if (field->length < 0) continue;
        while (at < KINDS && !read_field(field, order[at], &one, 0)) {
            /* a type that an earlier field has ruled out is none, but an integer is a number as well */
            if (any && !(order[at] == WELD_FRAME_I64)) return WELD_FRAME_TEXT;
            at++;
        }
        any = true;
    }
    return any && at < KINDS ? order[at] : WELD_FRAME_TEXT;
}

static weld_frame_t add_column(Table *table, weld_frame_t frame, const char *name, Kind kind, int64_t first,
                               int64_t column, Kept *kept) {
    int64_t rows = table->rows - first;
    Store *store = calloc(1, sizeof *store);
    if (!store) return frame_no_memory(table->error);
    store->data = malloc((size_t)((rows + 1) * kind_size(kind)));
    store->valid = malloc((size_t)rows + 1);
    bool missing = false;
    if (!store->data || !store->valid) {
        store_free(store);
        return frame_no_memory(table->error);
    }
    int64_t wrong = fill(table, first, column, kind, store, &missing);
    if (wrong >= 0) {
        const Field *field = field_at(table, wrong, column);
        frame_fail(table->error, table->function, "record %lld: `%.*s` in column `%.200s` is no %s",
                   (long long)wrong + 1, (int)(field->length < 100 ? field->length : 100), field->text, name,
                   weld_frame_type_name(kind));
        store_free(store);
        return NULL;
    }
    if (kind == WELD_FRAME_TEXT) {
        store->kept = kept;
        __atomic_add_fetch((int64_t *)&kept->refs, 1, __ATOMIC_RELAXED);
    }
    weld_frame_t made = weld_frame_add_data(frame, name, kind, store->data, missing ? store->valid : NULL,
                                            rows, store_free, store, table->error);
    if (!made) store_free(store);
    return made;
}

/* ---- given types: "price: f64, day: date" ---- */

static void trim(const char **begin, const char **end) {
    while (*begin < *end && strchr(" \t\r\n`", **begin)) ++*begin;
    while (*begin < *end && strchr(" \t\r\n`", (*end)[-1])) --*end;
}

/* Calls for the given type of a column; or, name NULL, checks the text: all names are columns of the frame. */
static bool given_type(const Table *table, const char *types, char **names, int64_t j, Kind *kind) {
    while (types && !parse_blank(types)) {
        const char *end = types + strcspn(types, ","), *colon = memchr(types, ':', (size_t)(end - types));
        const char *name = types, *name_end = colon ? colon : end, *type = colon ? colon + 1 : end,
                   *type_end = end;
        trim(&name, &name_end);
        trim(&type, &type_end);
        Kind found = kind_named(type, type_end - type);
        int64_t column = 0;
        while (column < table->columns && !((int64_t)strlen(names[column]) == name_end - name &&
                                            memcmp(names[column], name, (size_t)(name_end - name)) == 0))
            column++;
        if (found == WELD_FRAME_TYPES || column == table->columns) {
            frame_fail(table->error, table->function, "`%.*s` in types is not a column and its type",
                       (int)(end - types < 100 ? end - types : 100), types);
            return false;
        }
        if (column == j) *kind = found;
        types = *end ? end + 1 : end;
    }
    return true;
}

static char *name_of(const Table *table, bool header, int64_t j) {
    const Field *field = header ? field_at(table, 0, j) : NULL;
    int64_t length = field && field->length > 0 ? field->length : 0;
    char *name = malloc((size_t)length + 24);
    if (!name) return frame_no_memory(table->error);
    if (length) {
        memcpy(name, field->text, (size_t)length);
        name[length] = 0;
    }
    if (!length || !*name) snprintf(name, 24, "c%lld", (long long)j);
    return name;
}

static weld_frame_t add_columns(Table *table, const weld_frame_csv_t *options, char **names, Kept *kept) {
    weld_frame_t frame = NULL;
    int64_t first = !options->no_header;
    for (int64_t j = 0; j < table->columns; j++) {
        Kind kind = WELD_FRAME_TYPES;
        bool twice = frame && weld_frame_find(frame, names[j]) >= 0;
        if (twice) frame_fail(table->error, table->function, "two columns are named `%.200s`", names[j]);
        weld_frame_t more = NULL;
        if (!twice && given_type(table, options->types, names, j, &kind)) {
            if (kind == WELD_FRAME_TYPES) kind = infer(table, first, j);
            more = add_column(table, frame, names[j], kind, first, j, kept);
        }
        weld_frame_free(frame);
        frame = more;
        if (!frame) break;
    }
    return frame;
}

/* Takes text over. */
static weld_frame_t parse(const char *function, char *text, int64_t length, const weld_frame_csv_t *options,
                          weld_error_t error) {
    static const weld_frame_csv_t usual = {0};
    if (!options) options = &usual;
    Table table = {.function = function, .error = error, .text = text, .separator = options->separator};
    if (!table.separator) table.separator = ',';
    Kept *kept = calloc(1, sizeof *kept);
    if (!kept) {
        free(text);
        return frame_no_memory(error);
    }
    *kept = (Kept){.refs = 1, .text = text};
    weld_frame_t frame = NULL;
    char **names = NULL;
    if (strchr("\"\r\n", table.separator)) {
        frame_fail(error, function, "the separator cannot be a quote or a line end");
    } else if (read_records(&table, length)) {
        if (!table.columns || table.columns > WELD_FRAME_COLUMNS)
            frame_fail(error, function, "%lld columns are %s", (long long)table.columns,
                       table.columns ? "too many" : "too few");
        else if (!(names = calloc((size_t)table.columns, sizeof *names)))
            frame_no_memory(error);
        bool ok = names != NULL;
        for (int64_t j = 0; ok && j < table.columns; j++)
            ok = (names[j] = name_of(&table, !options->no_header, j)) != NULL;
        if (ok) frame = add_columns(&table, options, names, kept);
        for (int64_t j = 0; names && j < table.columns; j++) free(names[j]);
        free(names);
    }
    free(table.fields);
    kept_drop(kept);
    return frame;
}

weld_frame_t weld_frame_parse_csv(const char *text, int64_t length, const weld_frame_csv_t *options,
                                  weld_error_t error) {
    static const char function[] = "frame.parse_csv";
    if (length < 0 || (length && !text)) return frame_fail(error, function, "there is no text");
    char *copy = malloc((size_t)length + 1);
    if (!copy) return frame_no_memory(error);
    if (length) memcpy(copy, text, (size_t)length);
    copy[length] = 0;
    return parse(function, copy, length, options, error);
}

weld_frame_t weld_frame_read_csv(const char *path, const weld_frame_csv_t *options, weld_error_t error) {
    static const char function[] = "frame.read_csv";
    if (!path) return frame_fail(error, function, "the path is NULL");
    FILE *file = fopen(path, "rb");
    Buf text = {0};
    static const int64_t piece = 1 << 16;
    bool ok = file != NULL;
    while (ok && !text.failed) {
        char bytes[1 << 16];
        size_t got = fread(bytes, 1, (size_t)piece, file);
        buf_put(&text, bytes, (int64_t)got);
        if (got < (size_t)piece) {
            ok = !ferror(file);
            break;
        }
    }
    if (!ok) {
        char message[1200];
        snprintf(message, sizeof message, "%s: %.1000s cannot be read: %s", function, path, strerror(errno));
        weld_error_set(error, WELD_FILE_ERROR, message);
    } else if (text.failed) {
        frame_no_memory(error);
    }
    if (file) fclose(file);
    if (ok && !text.failed) return parse(function, text.text, text.length, options, error);
    buf_free(&text);
    return NULL;
}

/* ---- writing ---- */

static void put_field(Buf *out, const char *text, int64_t length) {
    bool plain = length > 0;
    for (int64_t i = 0; plain && i < length; i++) plain = !strchr("\",\r\n", text[i]) || text[i] == 0;
    /* a text that would be read as another type does not matter: types are the column's */
    if (plain) {
        buf_put(out, text, length);
        return;
    }
    buf_printf(out, "\"");
    for (int64_t i = 0; i < length; i++) {
        if (text[i] == '"') buf_printf(out, "\"");
        buf_put(out, text + i, 1);
    }
    buf_printf(out, "\"");
}

static void put_rows(Buf *out, weld_frame_t frame) {
    for (int64_t j = 0; j < frame->count; j++) {
        if (j) buf_printf(out, ",");
        put_field(out, frame->columns[j].name, (int64_t)strlen(frame->columns[j].name));
    }
    buf_printf(out, "\n");
    for (int64_t i = 0; i < frame->columns[0].rows; i++) {
        for (int64_t j = 0; j < frame->count; j++) {
            const Column *column = &frame->columns[j];
            if (j) buf_put(out, ",", 1);
            if (column->valid_elements && !column->valid_elements[i]) continue;
            const weld_frame_text_t *text = (const weld_frame_text_t *)column->elements + i;
            if (column->kind == WELD_FRAME_TEXT)
                put_field(out, text->data, text->length);
            else
                cell_put(out, column, i);
        }
        buf_put(out, "\n", 1);
    }
}

static bool format(weld_context_t context, weld_frame_t frame, Buf *out, weld_error_t error) {
    weld_frame_t all = weld_frame_collect(context, frame, error);
    if (!all) return false;
    put_rows(out, all);
    weld_frame_free(all);
    if (!out->failed) return true;
    buf_free(out);
    return frame_no_memory(error) != NULL;
}

char *weld_frame_format_csv(weld_context_t context, weld_frame_t frame, weld_error_t error) {
    Buf out = {0};
    return format(context, frame, &out, error) ? out.text : NULL;
}

bool weld_frame_write_csv(weld_context_t context, weld_frame_t frame, const char *path, weld_error_t error) {
    static const char function[] = "frame.write_csv";
    if (!path) return frame_fail(error, function, "the path is NULL") != NULL;
    Buf out = {0};
    if (!format(context, frame, &out, error)) return false;
    FILE *file = fopen(path, "wb");
    bool ok = file && fwrite(out.text, 1, (size_t)out.length, file) == (size_t)out.length;
    int number = errno;
    if (file && fclose(file) != 0 && ok) {
        ok = false;
        number = errno;
    }
    buf_free(&out);
    if (ok) return true;
    char message[1200];
    snprintf(message, sizeof message, "%s: %.1000s cannot be written: %s", function, path, strerror(number));
    weld_error_set(error, WELD_FILE_ERROR, message);
    return false;
}
