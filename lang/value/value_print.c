/* value_print.c: values as text: as a constant of the language that reads back, and as JSON.
 *
 *     value             language               JSON
 *     {1, [2.5f], []}   {1, [2.5f], []: vec[i64]}   [1,[2.5],[]]
 *     "ab"              "ab"                   [97,98]
 *     {"x" -> -0.0}     [{"x", -0.0}]          [[[120],-0.0]]
 *
 * An empty vector states its type where no other element tells it: only the first element of a vector needs
 * to. Dictionaries come in key order. A vec[i8] of printable text is a string literal. JSON's floats have the
 * fewest digits that read back to the same value (found by trying), and always a point or an exponent, so
 * that -0.0 keeps its sign where a reader would take -0 for an integer; NaN and infinities are strings.
 */
#include "../lang.h"

#include <float.h>
#include <inttypes.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef void (*PrintItem)(Buf *out, const Type *type, const void *value, bool first);

static void put(Buf *out, const char *text) {
    buf_put(out, text, strlen(text));
}

/* The entries of a dictionary in key order. */
static void print_dict(Buf *out, const Type *type, const Dict *dict, bool first, const char *comma,
                       PrintItem item) {
    EntryType room;
    const Type *entry = dict_entry_layout(type, &room);
    int64_t length = dict ? dict->length : 0;
    int64_t *order = malloc(sizeof *order * (size_t)(length ? length : 1));
    if (!order) {
        out->failed = true;
        return;
    }
    dict_sorted(dict, entry, order);
    put(out, "[");
    for (int64_t i = 0; i < length; i++) {
        if (i) put(out, comma);
        item(out, entry, dict->entries + order[i] * entry->size, first && i == 0);
    }
    put(out, "]");
    free(order);
}

static void print_elements(Buf *out, const Type *type, const void *data, int64_t length, bool first,
                           const char *comma, PrintItem item) {
    put(out, "[");
    for (int64_t i = 0; i < length; i++) {
        if (i) put(out, comma);
        /* Elements without bytes may lie nowhere. */
        item(out, type, type->size ? (const char *)data + i * type->size : data, first && i == 0);
    }
    put(out, "]");
}

/* ---- as the language ---- */

/* How many bytes the UTF-8 character at text takes, 0 if it is none that prints. */
static int64_t text_character(const unsigned char *text, int64_t left) {
    unsigned char c = text[0];
    if (c < 0x80) return (c >= 0x20 && c < 0x7F) || c == '\n' || c == '\t';
    int64_t length = c >= 0xC2 && c < 0xE0 ? 2 : c >= 0xE0 && c < 0xF0 ? 3 : c >= 0xF0 && c < 0xF5 ? 4 : 0;
    if (length == 0 || length > left) return 0;
    for (int64_t i = 1; i < length; i++) {
        if ((text[i] & 0xC0) != 0x80) return 0;
    }
    bool overlong = (c == 0xE0 && text[1] < 0xA0) || (c == 0xF0 && text[1] < 0x90);
    bool beyond = (c == 0xED && text[1] >= 0xA0) || (c == 0xF4 && text[1] >= 0x90);
    bool control = c == 0xC2 && text[1] < 0xA0;
    return overlong || beyond || control ? 0 : length;
}

static bool is_text(const Vec *vec) {
    const unsigned char *text = vec->data;
    int64_t at = 0, step = 1;
    for (; at < vec->length && step; at += step) step = text_character(text + at, vec->length - at);
    return vec->length > 0 && step;
}

static void print_text(Buf *out, const Vec *vec) {
    const char *text = vec->data;
    put(out, "\"");
    for (int64_t i = 0; i < vec->length; i++) {
        char c = text[i];
        if (c == '\n')
            put(out, "\\n");
        else if (c == '\t')
            put(out, "\\t");
        else if (c == '"')
            put(out, "\\\"");
        else if (c == '\\')
            put(out, "\\\\");
        else
            buf_put(out, &c, 1);
    }
    put(out, "\"");
}

/* "nan", "inf", "-inf", or NULL for a number. */
static const char *no_number(const Type *type, const void *value) {
    if (!type_is_float(type)) return NULL;
    double x = type->kind == TY_f64 ? *(const double *)value : (double)*(const float *)value;
    return isnan(x) ? "nan" : isinf(x) ? (x > 0 ? "inf" : "-inf") : NULL;
}

static void print_stated(Buf *out, const Type *type) {
    put(out, "[]: ");
    if (type->kind == TY_vec) {
        type_print(out, type);
        return;
    }
    put(out, "vec[{");
    type_print(out, type->args[0]);
    put(out, ",");
    type_print(out, type->args[1]);
    put(out, "}]");
}

/* stated: an empty vector has to state its type. */
static void print_value(Buf *out, const Type *type, const void *value, bool stated) {
    const Dict *dict = type->kind == TY_dict ? *(Dict *const *)value : NULL;
    const Vec *vec = value;
    if (type_is_scalar(type)) {
        const char *name = no_number(type, value);
        if (name)
            put(out, name);
        else
            literal_print(out, type, value);
    } else if (type->kind == TY_struct) {
        put(out, "{");
        for (int i = 0; i < type->count; i++) {
            if (i) put(out, ", ");
            print_value(out, type->args[i], (const char *)value + type->offsets[i], stated);
        }
        put(out, "}");
    } else if (type->kind == TY_vec && vec->length == 0) {
        if (stated)
            print_stated(out, type);
        else
            put(out, "[]");
    } else if (type->kind == TY_vec && type->args[0]->kind == TY_i8 && is_text(vec)) {
        print_text(out, vec);
    } else if (type->kind == TY_vec) {
        print_elements(out, type->args[0], vec->data, vec->length, stated, ", ", print_value);
    } else if (type->kind == TY_simd) {
        print_elements(out, type->args[0], value, WELD_LANES, stated, ", ", print_value);
    } else if (type->kind == TY_dict && (!dict || dict->length == 0) && stated) {
        print_stated(out, type);
    } else if (type->kind == TY_dict) {
        print_dict(out, type, dict, stated, ", ", print_value);
    } else {
        type_print(out, type);
    }
}

void value_print(Buf *out, const Type *type, const void *value) {
    print_value(out, type, value, true);
}

/* ---- as JSON ---- */

/* The fewest digits from `least` on that read back. */
static void print_float(Buf *out, double x, bool is_single) {
    char text[40];
    bool tiny = fabs(x) < (is_single ? (double)FLT_MIN : DBL_MIN);
    int digits = tiny ? 1 : is_single ? FLT_DIG : DBL_DIG;
    for (;; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, x);
        if (digits == DBL_DECIMAL_DIG) break;
        if (is_single ? strtof(text, NULL) == (float)x : strtod(text, NULL) == x) break;
    }
    bool whole = true;
    for (char *c = text; *c; c++) { /* a locale may have put in another sign for the point */
        if (!strchr("+-0123456789e", *c)) *c = '.';
        if (*c == '.' || *c == 'e') whole = false;
    }
    put(out, text);
    if (whole) put(out, ".0");
}

void number_print_json(Buf *out, const Type *type, const void *value) {
    const char *name = no_number(type, value);
    if (name) {
        buf_printf(out, "\"%s\"", name);
        return;
    }
    switch (type->kind) {
#define PRINT_BOOL(x) put(out, (x) ? "true" : "false")
#define PRINT_SINT(x) buf_printf(out, "%" PRId64, (int64_t)(x))
#define PRINT_UINT(x) buf_printf(out, "%" PRIu64, (uint64_t)(x))
#define PRINT_FLOAT(x) print_float(out, (double)(x), sizeof(x) == sizeof(float))
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: PRINT_##class(*(const ctype *)value); break;
#include "../types.def"
    default: break;
    }
}

static void print_json(Buf *out, const Type *type, const void *value, bool first) {
    const Vec *vec = value;
    if (type_is_scalar(type)) {
        number_print_json(out, type, value);
    } else if (type->kind == TY_struct) {
        put(out, "[");
        for (int i = 0; i < type->count; i++) {
            if (i) put(out, ",");
            print_json(out, type->args[i], (const char *)value + type->offsets[i], first);
        }
        put(out, "]");
    } else if (type->kind == TY_vec) {
        print_elements(out, type->args[0], vec->data, vec->length, first, ",", print_json);
    } else if (type->kind == TY_simd) {
        print_elements(out, type->args[0], value, WELD_LANES, first, ",", print_json);
    } else if (type->kind == TY_dict) {
        print_dict(out, type, *(Dict *const *)value, first, ",", print_json);
    } else {
        put(out, "\"");
        type_print(out, type);
        put(out, "\"");
    }
}

void value_print_json(Buf *out, const Type *type, const void *value) {
    print_json(out, type, value, false);
}
