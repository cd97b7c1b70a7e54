/* frame_ref.h: random tables in plain C, and comparing the columns of frames with cells that plain C computed. */
#ifndef FRAME_REF_H
#define FRAME_REF_H

#include <weld_frame.h>

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- engines ---- */

typedef struct Engine {
    const char *name, *engine, *threads, *grain;
} Engine;

static const Engine engines[] = {
    {"the interpreter", "eval", "1", "0"},
    {"one thread", "jit", "1", "0"},
    {"three threads", "jit", "3", "8"},
};
enum { ENGINES = sizeof engines / sizeof *engines };

static weld_context_t context_of(const Engine *engine) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine->engine);
    weld_conf_set(conf, "weld.threads", engine->threads);
    weld_conf_set(conf, "weld.grain", engine->grain);
    weld_context_t context = weld_context_new(conf);
    weld_conf_free(conf);
    return context;
}

/* ---- cells ---- */

typedef struct Cell {
    bool valid;
    int64_t integer; /* of integers, bool and dates */
    double real;     /* of floats */
    weld_frame_text_t text;
} Cell;

static const Cell missing = {0};

static Cell integer(int64_t number) {
    return (Cell){.valid = true, .integer = number};
}
static Cell real(double number) {
    return (Cell){.valid = true, .real = number};
}
static Cell text(const char *data, int64_t length) {
    return (Cell){.valid = true, .text = {data, length}};
}

static int compare_text(weld_frame_text_t a, weld_frame_text_t b) {
    int64_t common = a.length < b.length ? a.length : b.length;
    int order = common ? memcmp(a.data, b.data, (size_t)common) : 0;
    if (order) return order < 0 ? -1 : 1;
    return a.length < b.length ? -1 : a.length > b.length;
}

/* Cell i of a computed column. */
static Cell cell_of(weld_frame_t frame, const char *name, int64_t i) {
    const bool *valid;
    const void *data = weld_frame_data(frame, name, NULL, &valid, NULL);
    cr_assert(data, "%s", name);
    if (valid && !valid[i]) return missing;
    switch (weld_frame_column_type(frame, weld_frame_find(frame, name))) {
    case WELD_FRAME_BOOL: return integer(((const bool *)data)[i]);
    case WELD_FRAME_I8: return integer(((const int8_t *)data)[i]);
    case WELD_FRAME_I16: return integer(((const int16_t *)data)[i]);
    case WELD_FRAME_I32:
    case WELD_FRAME_DATE: return integer(((const int32_t *)data)[i]);
    case WELD_FRAME_U8: return integer(((const uint8_t *)data)[i]);
    case WELD_FRAME_U16: return integer(((const uint16_t *)data)[i]);
    case WELD_FRAME_U32: return integer(((const uint32_t *)data)[i]);
    case WELD_FRAME_I64:
    case WELD_FRAME_U64: return integer(((const int64_t *)data)[i]);
    case WELD_FRAME_F32: return real((double)((const float *)data)[i]);
    case WELD_FRAME_F64: return real(((const double *)data)[i]);
    default: {
        weld_frame_text_t own = ((const weld_frame_text_t *)data)[i];
        return text(own.data, own.length);
    }
    }
}

static bool close_to(double a, double b) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    return a == b || fabs(a - b) <= 1e-9 * (fabs(a) + fabs(b) + 1e-3);
}

static bool same_cell(Cell a, Cell b) {
    if (!a.valid || !b.valid) return a.valid == b.valid;
    return a.integer == b.integer && close_to(a.real, b.real) && compare_text(a.text, b.text) == 0;
}

static const char *cell_text(Cell cell) {
    static char texts[4][200];
    static int next;
    char *out = texts[next++ % 4];
    if (!cell.valid) return "missing";
    snprintf(out, 200, "%lld/%.17g/\"%.*s\"", (long long)cell.integer, cell.real, (int)cell.text.length,
             cell.text.data ? cell.text.data : "");
    return out;
}

/* ---- tables ---- */

typedef struct Table {
    int64_t rows;
    int64_t *k; /* few values */
    double *x;  /* with NaN, infinities and -0.0 */
    int32_t *n; /* with extremes */
    uint8_t *u;
    float *f;
    int32_t *d; /* dates */
    bool *b;
    weld_frame_text_t *t;
    bool *valid[8]; /* of k x n u f d b t */
    weld_frame_t frame;
} Table;

static uint64_t state = 88172645463325252u;

static uint64_t next_random(void) {
    state ^= state << 13;
    state ^= state >> 7;
    return state ^= state << 17;
}

static int64_t below(int64_t limit) {
    return (int64_t)(next_random() % (uint64_t)limit);
}

static const char *const words[] = {"",           "a",          "apple",  "Apple", "äpfel", "pear, green",
                                    "say \"hi\"", "two\nlines", "日本語", "~z",    "é",     "zebra",
                                    "app",        "APPLE",      "a b",    "-"};
enum { WORDS = sizeof words / sizeof *words };

static double some_real(void) {
    static const double odd[] = {NAN, INFINITY, -INFINITY, -0.0, 0.0, 1e300, 5e-324};
    return below(10) == 0 ? odd[below(7)] : (double)below(2000) / 16 - 50;
}

/* share: of 10 values so many are missing; < 0: no column can have missing ones. */
static Table table_new(int64_t rows, int share) {
    size_t room = (size_t)rows + 1;
    Table t = {.rows = rows,
               .k = malloc(room * 8),
               .x = malloc(room * 8),
               .n = malloc(room * 4),
               .u = malloc(room),
               .f = malloc(room * 4),
               .d = malloc(room * 4),
               .b = malloc(room),
               .t = malloc(room * sizeof *t.t)};
    for (int j = 0; j < 8; j++) t.valid[j] = share < 0 ? NULL : malloc(room);
    for (int64_t i = 0; i < rows; i++) {
        static const int32_t odd[] = {INT32_MIN, INT32_MAX, 0, -1};
        const char *word = words[below(WORDS)];
        t.k[i] = below(7) - 3;
        t.x[i] = some_real();
        t.n[i] = below(20) == 0 ? odd[below(4)] : (int32_t)below(41) - 20;
        t.u[i] = (uint8_t)below(256);
        t.f[i] = (float)some_real();
        t.d[i] = (int32_t)below(40000) - 10000;
        t.b[i] = below(2);
        t.t[i] = (weld_frame_text_t){word, (int64_t)strlen(word)};
        for (int j = 0; j < 8 && share >= 0; j++) t.valid[j][i] = below(10) >= share;
    }
    const struct {
        const char *name;
        weld_frame_type type;
        const void *data;
    } columns[] = {{"k", WELD_FRAME_I64, t.k},  {"x", WELD_FRAME_F64, t.x}, {"n", WELD_FRAME_I32, t.n},
                   {"u", WELD_FRAME_U8, t.u},   {"f", WELD_FRAME_F32, t.f}, {"d", WELD_FRAME_DATE, t.d},
                   {"b", WELD_FRAME_BOOL, t.b}, {"t", WELD_FRAME_TEXT, t.t}};
    weld_error_t error = weld_error_new();
    for (int j = 0; j < 8; j++) {
        weld_frame_t more = weld_frame_add_data(t.frame, columns[j].name, columns[j].type, columns[j].data,
                                                t.valid[j], rows, NULL, NULL, error);
        cr_assert(more, "%s", weld_error_message(error));
        weld_frame_free(t.frame);
        t.frame = more;
    }
    weld_error_free(error);
    return t;
}

static void table_free(Table *t) {
    weld_frame_free(t->frame);
    free(t->k);
    free(t->x);
    free(t->n);
    free(t->u);
    free(t->f);
    free(t->d);
    free(t->b);
    free(t->t);
    for (int j = 0; j < 8; j++) free(t->valid[j]);
}

static bool there(const Table *t, int column, int64_t i) {
    return !t->valid[column] || t->valid[column][i];
}

/* Cell i of column number c. */
static Cell cell(const Table *t, int column, int64_t i) {
    if (!there(t, column, i)) return missing;
    switch (column) {
    case 0: return integer(t->k[i]);
    case 1: return real(t->x[i]);
    case 2: return integer(t->n[i]);
    case 3: return integer(t->u[i]);
    case 4: return real((double)t->f[i]);
    case 5: return integer(t->d[i]);
    case 6: return integer(t->b[i]);
    default: return text(t->t[i].data, t->t[i].length);
    }
}

static const char *const names[] = {"k", "x", "n", "u", "f", "d", "b", "t"};
enum { K, X, N, U, F, D, B, T, COLUMNS };

/* The order of cells of a column: numbers, then NaN, then missing, also if descending. */
static inline int order(Cell a, Cell b, bool descending) {
    if (a.valid != b.valid) return a.valid ? -1 : 1;
    if (!a.valid) return 0;
    if (isnan(a.real) || isnan(b.real)) return isnan(a.real) - isnan(b.real);
    int sign = a.integer != b.integer ? (a.integer < b.integer ? -1 : 1)
               : a.real != b.real     ? (a.real < b.real ? -1 : 1)
                                      : compare_text(a.text, b.text);
    return descending ? -sign : sign;
}

/* Computes the frame and holds its rows against rows `from` of the table. */
static inline void expect_rows(const char *what, weld_frame_t made, const Table *t, const int64_t *from,
                               int64_t count) {
    cr_assert(made, "%s", what);
    for (int c = 0; c < COLUMNS; c++) {
        int64_t rows;
        cr_assert(weld_frame_data(made, names[c], &rows, NULL, NULL));
        cr_assert_eq(rows, count, "%s: %lld rows of %s, not %lld", what, (long long)rows, names[c],
                     (long long)count);
        for (int64_t i = 0; i < count; i++) {
            Cell got = cell_of(made, names[c], i), want = cell(t, c, from[i]);
            cr_assert(same_cell(got, want), "%s: row %lld of %s is %s, not %s", what, (long long)i, names[c],
                      cell_text(got), cell_text(want));
        }
    }
}

/* A frame from CSV. */
static inline weld_frame_t parsed(const char *csv, const weld_frame_csv_t *options, weld_error_t error) {
    return weld_frame_parse_csv(csv, (int64_t)strlen(csv), options, error);
}

/* Computes it and frees it. */
static inline weld_frame_t collected(const char *what, weld_context_t context, weld_frame_t frame,
                                     weld_error_t error) {
    cr_assert(frame, "%s: %s", what, weld_error_message(error));
    weld_frame_t made = weld_frame_collect(context, frame, error);
    cr_assert(made, "%s: %s", what, weld_error_message(error));
    weld_frame_free(frame);
    return made;
}

static const int64_t sizes[] = {0, 1, 2, 17, 100, 1000};
static const int shares[] = {-1, 0, 3, 10};

typedef void (*Body)(weld_context_t context, const Table *t, weld_error_t error);

/* Every engine, size and share of missing values. */
static inline void everywhere(Body body) {
    weld_error_t error = weld_error_new();
    for (int e = 0; e < ENGINES; e++) {
        weld_context_t context = context_of(&engines[e]);
        for (size_t i = 0; i < sizeof sizes / sizeof *sizes; i++) {
            for (size_t j = 0; j < sizeof shares / sizeof *shares; j++) {
                Table t = table_new(sizes[i], shares[j]);
                body(context, &t, error);
                table_free(&t);
            }
        }
        cr_assert_eq(weld_context_memory_usage(context), 0);
        weld_context_free(context);
    }
    weld_error_free(error);
}

#endif
