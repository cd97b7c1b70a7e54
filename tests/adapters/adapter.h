/* adapter.h: what the tests of adapters share: calling a function by name with C data under each engine, comparing what it
 * gives with what the library gives, and going through a table so that no row is without a test.
 *
 *     Arg args[] = {F64(2.0), VEC("f64", x, n)};
 *     weld_value_t value = call(engine, "cblas.dscal", args, 2);
 *     expect_vector("cblas.dscal", weld_value_data(value), expected, n, 1e-15);
 *
 * A test includes weld.h, this, and the header of the library that the adapter wraps. */
#ifndef ADAPTER_H
#define ADAPTER_H

#include "../../runtime/weld.h"
#include "../read_file.h"

#include <criterion/criterion.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef struct Vector {
    const void *data;
    int64_t length;
} Vector;

typedef struct Arg {
    const char *type;
    union {
        double f64;
        float f32;
        double complex[2];
        int64_t i64;
        int32_t i32;
        bool b;
        Vector v;
        struct {
            Vector elements;
            int64_t rows, columns;
        } m;
    } as;
} Arg;

#define F64(x)         \
    {                  \
        "f64", {       \
            .f64 = (x) \
        }              \
    }
#define F32(x)         \
    {                  \
        "f32", {       \
            .f32 = (x) \
        }              \
    }
#define C64(x, y)                  \
    {                              \
        "{f64,f64}", {             \
            .complex = {(x), (y) } \
        }                          \
    }
#define I64(x)         \
    {                  \
        "i64", {       \
            .i64 = (x) \
        }              \
    }
#define I32(x)         \
    {                  \
        "i32", {       \
            .i32 = (x) \
        }              \
    }
#define BOOL(x)      \
    {                \
        "bool", {    \
            .b = (x) \
        }            \
    }
#define VEC(element, from, count)   \
    {                               \
        "vec[" element "]", {       \
            .v = {(from), (count) } \
        }                           \
    }
/* A matrix, {elements row by row, rows, columns}. */
#define MATRIX(element, from, r, c)                                              \
    {                                                                            \
        "{vec[" element "],i64,i64}", {                                          \
            .m = {.elements = {(from), (r) * (c)}, .rows = (r), .columns = (c) } \
        }                                                                        \
    }
#define COUNT(array) ((int64_t)(sizeof(array) / sizeof *(array)))

/* ---- engines: the interpreter and, where it was built, compiled code ---- */

static const char *const engine_names[] = {"eval", "jit"};
enum { ENGINES = 2, MOST_ARGS = 16 };

static inline weld_context_t context_of(int engine) {
    static weld_context_t contexts[ENGINES];
    if (contexts[engine]) return contexts[engine];
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", engine_names[engine]);
    weld_conf_set(conf, "weld.threads", "2");
    weld_conf_set(conf, "weld.cache", "memory");
    weld_conf_set(conf, "weld.memory.limit", "1G");
    contexts[engine] = weld_context_new(conf);
    weld_conf_free(conf);
    cr_assert_not_null(contexts[engine]);
    return contexts[engine];
}

/* ---- which edges a row was called with: check_rows insists on them ---- */

enum {
    EDGE_EMPTY = 1,    /* a vector without elements */
    EDGE_ONE = 2,      /* of one */
    EDGE_NAN = 4,      /* a NaN, alone or in a vector */
    EDGE_OVERFLOW = 8, /* an infinity, or a number whose square is one */
    EDGES = 4,
};
static const char *const edge_names[EDGES] = {"an empty vector", "a vector of one element", "a NaN",
                                              "a number that overflows"};

static inline unsigned *edges_met(void) {
    static unsigned met; /* of the row at hand */
    return &met;
}

static inline unsigned edges_of_number(double x, bool is_float) {
    return (isnan(x) ? EDGE_NAN : 0) | (fabs(x) > (is_float ? 1e20 : 1e160) ? EDGE_OVERFLOW : 0);
}

/* Of the floats that a type spells first, also within a struct. */
static inline void edges_note(const Arg *arg) {
    bool is_float = strstr(arg->type, "f32") != NULL, is_double = strstr(arg->type, "f64") != NULL;
    bool complex = strchr(arg->type, '{') && strchr(arg->type, ',');
    unsigned edges = 0;
    if (arg->type[0] == 'v') {
        int64_t count = arg->as.v.length * (complex ? 2 : 1);
        edges |= arg->as.v.length == 0 ? EDGE_EMPTY : arg->as.v.length == 1 ? EDGE_ONE : 0;
        for (int64_t i = 0; i < count && (is_float || is_double); i++)
            edges |= edges_of_number(is_float ? (double)((const float *)arg->as.v.data)[i]
                                              : ((const double *)arg->as.v.data)[i],
                                     is_float);
    } else if (arg->type[0] == 'f' || strncmp(arg->type, "{f", 2) == 0) {
        for (int i = 0; i < (complex ? 2 : 1); i++)
            edges |= edges_of_number(is_float ? (double)(&arg->as.f32)[i] : (&arg->as.f64)[i], is_float);
    }
    *edges_met() |= edges;
}

/* Those that a row's parameters, |x: vec[f64], n: i64|, can have. */
static inline unsigned edges_possible(const weld_function_t *f) {
    const char *text = f->code ? f->code : f->native, *end = strchr(text + (*text == '|'), '|');
    unsigned edges = 0;
    if (*text != '|' || !end) return 0;
    for (const char *at = text; at < end; at++) {
        if (strncmp(at, ": vec[", 6) == 0) edges |= EDGE_EMPTY | EDGE_ONE;
        if (strncmp(at, "f64", 3) == 0 || strncmp(at, "f32", 3) == 0) edges |= EDGE_NAN | EDGE_OVERFLOW;
    }
    return edges;
}

/* ---- calls ---- */

/* Calls it; NULL: failed as `error` says. */
static inline weld_value_t call_for(int engine, const char *name, const Arg *args, int64_t count,
                                    weld_error_t error) {
    weld_lazy_t lazies[MOST_ARGS];
    cr_assert(count <= MOST_ARGS);
    for (int64_t i = 0; i < count; i++) {
        edges_note(&args[i]);
        lazies[i] = weld_lazy_data(args[i].type, &args[i].as, NULL, NULL, error);
        cr_assert_not_null(lazies[i], "%s: argument %d: %s", name, (int)i, weld_error_message(error));
    }
    weld_lazy_t lazy = weld_lazy_call(name, lazies, count, error);
    weld_value_t value = NULL;
    if (lazy && !weld_lazy_evaluate(context_of(engine), &lazy, 1, &value, error)) value = NULL;
    weld_lazy_free(lazy);
    for (int64_t i = 0; i < count; i++) weld_lazy_free(lazies[i]);
    return value;
}

static inline weld_value_t call(int engine, const char *name, const Arg *args, int64_t count) {
    weld_error_t error = weld_error_new();
    weld_value_t value = call_for(engine, name, args, count, error);
    cr_assert_not_null(value, "%s (%s): %s", name, engine_names[engine], weld_error_message(error));
    weld_error_free(error);
    return value;
}

/* It must fail, by an error that is not a fault of weldc's own. */
static inline void expect_failure(int engine, const char *name, const Arg *args, int64_t count,
                                  const char *what) {
    weld_error_t error = weld_error_new();
    weld_value_t value = call_for(engine, name, args, count, error);
    uint64_t code = weld_error_code(error);
    cr_expect(!value, "%s (%s): %s should fail", name, engine_names[engine], what);
    cr_expect(value || (code != WELD_SUCCESS && code != WELD_UNKNOWN && code != WELD_COMPILE_ERROR),
              "%s (%s): %s fails by %s", name, engine_names[engine], what, weld_error_message(error));
    weld_value_free(value);
    weld_error_free(error);
}

/* Arguments that fit, one of them spoilt: a vector that is too short or too long, a size that is negative or too large.
 * Arguments whose bit is set in `spare` may be anything. */
static inline void expect_checked(int engine, const char *name, const Arg *args, int64_t count,
                                  unsigned spare) {
    static const int64_t sizes[] = {-1, -2, INT64_MAX, INT64_MIN, INT64_MAX / 2, (int64_t)1 << 32};
    Arg spoilt[MOST_ARGS];
    char what[64];
    for (int64_t i = 0; i < count; i++) {
        if (spare >> i & 1) continue;
        memcpy(spoilt, args, (size_t)count * sizeof *args);
        snprintf(what, sizeof what, "argument %d spoilt", (int)i);
        for (int64_t k = 0; args[i].type[0] == 'i' && k < COUNT(sizes); k++) {
            spoilt[i].as.i64 = sizes[k];
            expect_failure(engine, name, spoilt, count, what);
        }
        if (args[i].type[0] != 'v') continue;
        if (args[i].as.v.length > 0) {
            spoilt[i].as.v.length = args[i].as.v.length - 1;
            expect_failure(engine, name, spoilt, count, what);
        }
        spoilt[i].as.v.length = 0;
        spoilt[i].as.v.data = NULL;
        if (args[i].as.v.length > 0) expect_failure(engine, name, spoilt, count, what);
    }
}

/* ---- comparing ---- */

/* Equal, both NaN, or within tolerance times scale. */
static inline bool is_near(double got, double expected, double allowed) {
    if (isnan(got) || isnan(expected)) return isnan(got) && isnan(expected);
    return got == expected || fabs(got - expected) <= allowed;
}

static inline void expect_near(const char *what, double got, double expected, double allowed) {
    cr_expect(is_near(got, expected, allowed), "%s: %.17g, but the library gives %.17g", what, got, expected);
}

/* Is a vector of doubles (or floats) so many, each within `relative` of itself or of `scale`? */
static inline void expect_vector_of(const char *what, const Vector *got, const void *expected, int64_t length,
                                    bool floats, double relative, double scale) {
    cr_expect(got->length == length, "%s: %ld elements instead of %ld", what, (long)got->length,
              (long)length);
    if (got->length != length) return;
    for (int64_t i = 0; i < length; i++) {
        double a = floats ? (double)((const float *)got->data)[i] : ((const double *)got->data)[i];
        double b = floats ? (double)((const float *)expected)[i] : ((const double *)expected)[i];
        if (is_near(a, b, relative * (fabs(b) + scale))) continue;
        cr_expect(false, "%s: element %ld of %ld is %.17g, but the library gives %.17g", what, (long)i,
                  (long)length, a, b);
        return;
    }
}

static inline void expect_vector(const char *what, const Vector *got, const double *expected, int64_t length,
                                 double relative) {
    expect_vector_of(what, got, expected, length, false, relative, 0);
}

/* ---- random data, the same on every run ---- */

static inline uint64_t random_bits(void) {
    static uint64_t state = 0x9e3779b97f4a7c15u;
    state ^= state << 13;
    state ^= state >> 7;
    state ^= state << 17;
    return state * 0x2545f4914f6cdd1du;
}

/* From -1 to 1. */
static inline double random_number(void) {
    return (double)(int64_t)random_bits() * 0x1p-63;
}

static inline int64_t random_below(int64_t bound) {
    return (int64_t)(random_bits() >> 11) % bound;
}

static inline double *random_doubles(int64_t count) {
    double *data = malloc((size_t)(count > 0 ? count : 1) * sizeof *data);
    cr_assert_not_null(data);
    for (int64_t i = 0; i < count; i++) data[i] = random_number();
    return data;
}

/* ---- tables ---- */

typedef struct RowTest {
    const char *name;
    void (*check)(int engine, const char *full);
} RowTest;

static inline const RowTest *test_of(const RowTest *tests, int64_t count, const char *name) {
    for (int64_t i = 0; i < count; i++) {
        if (strcmp(tests[i].name, name) == 0) return &tests[i];
    }
    return NULL;
}

/* Is it in the table of docs/adapters/NAME.md? Functions on floats (sdot) are there as those on doubles (ddot), or beside them. */
static inline bool is_documented(const char *text, const char *name) {
    char wanted[128];
    snprintf(wanted, sizeof wanted, "| `%s(", name);
    if (strstr(text, wanted)) return true;
    char *letter = strchr(wanted, 's');
    if (letter) *letter = 'd';
    if (letter && strstr(text, wanted)) return true;
    snprintf(wanted, sizeof wanted, "; of floats `%s` |", name);
    return strstr(text, wanted);
}

/* An edge on which a row and its library need not agree, and why. */
typedef struct Spare {
    const char *name;
    unsigned edges;
    const char *why;
} Spare;

/* Checks every row of the adapter under each engine: a row without a test fails, and so does a test without a row, and one that
 * leaves out an edge that the row's arguments have, unless it is spared (until a name that is NULL). */
static inline void check_rows_but(const char *adapter, const RowTest *tests, int64_t count,
                                  const Spare *spares) {
    weld_error_t error = weld_error_new();
    const weld_adapter_t *table = weld_adapter_find(adapter, error);
    cr_assert_not_null(table, "%s", weld_error_message(error));
    int64_t found = 0;
    char path[512];
    snprintf(path, sizeof path, "%s/docs/adapters/%s.md", WELD_SOURCE_DIR, adapter);
    char *document = read_file(path);
    for (const weld_function_t *f = table->functions; f->name; f++) {
        const RowTest *test = test_of(tests, count, f->name);
        char full[128];
        snprintf(full, sizeof full, "%s.%s", adapter, f->name);
        cr_expect(test, "%s has no test", full);
        cr_expect((f->code || f->native) && f->prototype && f->doc && *f->doc, "%s says too little", full);
        cr_expect(is_documented(document, f->name), "%s is not in %s", full, path);
        found += test != NULL;
        *edges_met() = 0;
        for (int engine = 0; test && engine < ENGINES; engine++) test->check(engine, full);
        unsigned missing = edges_possible(f) & ~*edges_met();
        for (const Spare *spare = spares; spare->name; spare++) {
            if (strcmp(spare->name, f->name) != 0) continue;
            cr_expect(missing & spare->edges, "%s need not be spared", full);
            missing &= ~spare->edges;
        }
        for (int edge = 0; test && edge < EDGES; edge++)
            cr_expect(!(missing >> edge & 1), "%s was not called with %s", full, edge_names[edge]);
    }
    cr_expect(found == count, "%d of %d tests belong to no row", (int)(count - found), (int)count);
    free(document);
    weld_error_free(error);
}

static inline void check_rows(const char *adapter, const RowTest *tests, int64_t count) {
    check_rows_but(adapter, tests, count, &(Spare){.name = NULL});
}

#endif
