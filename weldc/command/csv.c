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
 * Of ranks each reads its share of the records (csv_block.c), or a table of its own. The same two passes, and between
 * them the ranks tell each other which kinds of fields they met.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csv.h"

/* ---- columns ------------------------------------------------------------------------------------------- */

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

bool header_read(Table *table) {
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

/* Blank lines at the end are no records, unless a record may be blank. */
static void cut_end(Table *table) {
    int64_t length = table->length;
    while (table->count > 1 && length > table->start &&
           (table->text[length - 1] == '\n' || table->text[length - 1] == '\r')) {
        length--;
    }
    table->length = length;
}

/* Counts the records, checks their fields, notes the fields' kinds. */
static bool records_scan(Table *table) {
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
        table->columns[i].wanted = strcmp(table->columns[i].name, column) == 0;
        if (!table->columns[i].wanted) continue;
        if (chosen >= 0)
            return fault_set(table->fault, E_File, "%s: two columns are named %s", table->path, column);
        chosen = i;
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
    size_t count = table->count > 0 ? (size_t)table->count : 0;
    const char **names = calloc(count, sizeof *names);
    for (int i = 0; names && i < table->count; i++) names[i] = table->columns[i].name;
    const char *near = names ? nearest_name(column, names, count) : NULL;
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

bool csv_load(Inputs *inputs, const char *path, const char *column, const Type *want, Share share, Datum *out,
              Fault *fault) {
    Table table = {.path = path, .fault = fault, .ranks = &inputs->ranks};
    bool ok = share == SHARE_block ? table_read_block(&table, inputs)
                                   : table_read(&table, inputs) && header_read(&table);
    if (ok && share != SHARE_block) cut_end(&table);
    ok = ok && columns_choose(&table, column, want) && records_scan(&table) &&
         (share == SHARE_whole || columns_agree(&table)) && columns_alloc(&table, inputs) &&
         records_parse(&table) && wrap(&table, inputs, column != NULL, out);
    for (int i = 0; i < table.count; i++) free(table.columns[i].name);
    free(table.columns);
    return ok;
}
