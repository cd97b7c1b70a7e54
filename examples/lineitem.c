/* weldc-lineitem: writes a table like TPC-H's lineitem, from a seed, any number of rows.
 *
 *   weldc-lineitem 1000000 table            table/quantity.npy, table/extendedprice.npy, ...
 *   weldc-lineitem 1000000 table --csv      table/lineitem.csv
 *
 * The rows are those of lineitem.h. They are made a block at a time, so that memory does not grow with the
 * table, and each file is complete or the program says why not.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "lineitem.h"

enum { BLOCK = 4096 };

static int fail(const char *what, const char *path) {
    fprintf(stderr, "weldc-lineitem: %s %s: %s\n", what, path, strerror(errno));
    return 1;
}

static FILE *open_in(const char *dir, const char *name, char *path, size_t size) {
    if (snprintf(path, size, "%s/%s", dir, name) >= (int)size) {
        errno = ENAMETOOLONG;
        return NULL;
    }
    return fopen(path, "wb");
}

/* NumPy's format, version 1.0: magic, length of the header, a Python dictionary padded to a multiple of 64.
 */
static void npy_header(FILE *file, const char *descr, int64_t rows) {
    char header[128] = "\x93NUMPY\x01";
    memset(header + 8, ' ', sizeof header - 8);
    header[8] = sizeof header - 10;
    header[9] = 0;
    int length =
        snprintf(header + 10, sizeof header - 10,
                 "{'descr': '%s', 'fortran_order': False, 'shape': (%lld,), }", descr, (long long)rows);
    header[10 + length] = ' ';
    header[sizeof header - 1] = '\n';
    fwrite(header, 1, sizeof header, file);
}

enum {
#define COUNT(name, ctype, descr, format, cast) COLUMN_##name,
    LINEITEM_COLUMNS(COUNT) COLUMNS
#undef COUNT
};

static int write_npy(int64_t rows, const char *dir, uint64_t seed) {
    static LineItem items[BLOCK];
    FILE *files[COLUMNS];
    char path[4096];
#define OPEN(name, ctype, descr, format, cast)                            \
    files[COLUMN_##name] = open_in(dir, #name ".npy", path, sizeof path); \
    if (!files[COLUMN_##name]) return fail("cannot write", path);         \
    npy_header(files[COLUMN_##name], descr, rows);
    LINEITEM_COLUMNS(OPEN)
#undef OPEN
    for (int64_t start = 0; start < rows; start += BLOCK) {
        int64_t count = rows - start < BLOCK ? rows - start : BLOCK;
        for (int64_t i = 0; i < count; i++) lineitem_make(seed, start + i, &items[i]);
#define WRITE(name, ctype, descr, format, cast)                             \
    {                                                                       \
        static ctype column[BLOCK];                                         \
        for (int64_t i = 0; i < count; i++) column[i] = items[i].name;      \
        fwrite(column, sizeof(ctype), (size_t)count, files[COLUMN_##name]); \
    }
        LINEITEM_COLUMNS(WRITE)
#undef WRITE
    }
    bool good = true;
    for (int i = 0; i < COLUMNS; i++) {
        good = !ferror(files[i]) && good;
        good = fclose(files[i]) == 0 && good;
    }
    return good ? 0 : fail("cannot write to", dir);
}

static int write_csv(int64_t rows, const char *dir, uint64_t seed) {
    char path[4096];
    FILE *file = open_in(dir, "lineitem.csv", path, sizeof path);
    if (!file) return fail("cannot write", path);
    const char *comma = "";
#define HEAD(name, ctype, descr, format, cast) \
    fprintf(file, "%s" #name, comma);          \
    comma = ",";
    LINEITEM_COLUMNS(HEAD)
#undef HEAD
    for (int64_t row = 0; row < rows; row++) {
        LineItem item;
        lineitem_make(seed, row, &item);
        comma = "\n";
#define CELL(name, ctype, descr, format, cast)          \
    fprintf(file, "%s" format, comma, (cast)item.name); \
    comma = ",";
        LINEITEM_COLUMNS(CELL)
#undef CELL
    }
    putc('\n', file);
    bool good = !ferror(file);
    return fclose(file) == 0 && good ? 0 : fail("cannot write", path);
}

static bool read_number(const char *text, int64_t *out) {
    char *end;
    errno = 0;
    *out = strtoll(text, &end, 10);
    return !errno && end != text && !*end && *out >= 0;
}

int main(int argc, char **argv) {
    int64_t rows = -1, seed = 1;
    const char *dir = NULL;
    bool csv = false, good = true;
    for (int i = 1; i < argc && good; i++) {
        if (!strcmp(argv[i], "--csv"))
            csv = true;
        else if (!strcmp(argv[i], "--seed"))
            good = ++i < argc && read_number(argv[i], &seed);
        else if (argv[i][0] == '-')
            good = false;
        else if (rows < 0)
            good = read_number(argv[i], &rows);
        else if (!dir)
            dir = argv[i];
        else
            good = false;
    }
    if (!good || !dir) {
        fputs("usage: weldc-lineitem ROWS DIR [--csv] [--seed N]\n", stderr);
        return 2;
    }
    if (mkdir(dir, 0777) && errno != EEXIST) return fail("cannot make", dir);
    return csv ? write_csv(rows, dir, (uint64_t)seed) : write_npy(rows, dir, (uint64_t)seed);
}
