/* csv_field.c: the fields of tables, and the numbers in them.
 *
 * A field may stand in quotes; then it may hold commas, line breaks, and `""` for a quote. Text fields are unescaped where
 * they stand. Blanks around a number do not count.
 *
 * Decimal to binary: digits below 2^53 scaled by an exact power of ten need one correctly rounded operation
 * (Clinger, "How to Read Floating Point Numbers Accurately", 1990); all others go through strtod.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "csv.h"

bool table_fault(Table *table, int64_t begin, int64_t end, const char *format, ...) {
    char text[300];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return fault_at_line(table->fault, table->path, table->text, (size_t)table->length, (size_t)begin,
                         (size_t)end, (size_t)table->line, E_File, text);
}

/* ---- fields -------------------------------------------------------------------------------------------- */

bool field_quoted(Table *table, int64_t *at, Field *out) {
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

void field_trim(Field *field) {
    while (field->begin < field->end && (*field->begin == ' ' || *field->begin == '\t')) field->begin++;
    while (field->end > field->begin && (field->end[-1] == ' ' || field->end[-1] == '\t')) field->end--;
}

void field_unescape(Field *field) {
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

/* ---- what fields hold ---- */

unsigned field_kind(Field field) {
    int64_t value;
    Decimal number;
    field_trim(&field);
    if (field.begin == field.end) return EMPTY;
    if (parse_integer(field.begin, field.end, TY_i64, &value)) return INTEGER;
    if (parse_decimal(field.begin, field.end, &number) || is_special(field.begin, field.end)) return REAL;
    return parse_bool(field.begin, field.end, &value, false) ? BOOL : OTHER;
}

bool column_parse(Table *table, Column *column, int64_t row, Field field) {
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
