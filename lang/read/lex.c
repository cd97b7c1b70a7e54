/* lex.c: cuts a program's text into tokens.
 *
 *     let x = 0xffuc;   =>   word "let"   word "x"   punct "="   literal u8 255   punct ";"
 *
 * Words (identifiers and keywords) are interned: each spelling has one Name, which knows what the tables
 * reserve it for, so that the parser compares pointers and looks up rows by number.
 *
 * Numbers take the suffixes c si l (i8 i16 i64), uc us u ul (u8 u16 u32 u64) and f (f32) in either case;
 * without one they are i32, or f64 with a point or an exponent. In a hexadecimal literal the digits are taken
 * greedily, and c is a digit: `0xfc` is the i32 252, and an i8 is written in decimal or binary. A literal
 * whose magnitude is one more than its signed type's maximum is let through with just the sign bit set: after
 * a `-` it is the minimum, elsewhere the parser refuses it.
 *
 * Decimal fractions are converted exactly: by one multiplication or division where both operands are exact
 * (Clinger, "How to read floating point numbers accurately", 1990), else by strtod.
 */
#include "../lang.h"

#include <locale.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- words ---- */

static const struct Word {
    const char *spelling;
    WordKind word;
    int row;
} words[] = {
    {"true", WD_keyword, 0},
    {"false", WD_keyword, 0},
    {"macro", WD_keyword, 0},
    {"type", WD_keyword, 0},
#define ITER(id, spelling, bounds, has_data, doc) {spelling, WD_iter, IT_##id},
#include "../iters.def"
#define SCALAR(id, spelling, ctype, class, bits) {spelling, WD_scalar, TY_##id},
#define COMPOSITE(id, spelling, arguments, doc) {spelling, WD_composite, TY_##id},
#define BUILDER(id, spelling, arguments, has_op, doc) {spelling, WD_builder, TY_##id},
#include "../types.def"
#define NODE(id, spelling, least, most, traits, usage, doc) {spelling, WD_node, N_##id},
#include "../ops.def"
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) \
    {spelling, WD_op, OP_##id},
#define UNARY(id, spelling, class, iexpr, fexpr, doc) {spelling, WD_op, OP_##id},
#include "../scalar.def"
};

enum { WORDS = sizeof words / sizeof *words };

static bool is_letter(char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || c == '$';
}
static bool is_digit(char c) {
    return c >= '0' && c <= '9';
}
static bool is_word(char c) {
    return is_letter(c) || is_digit(c);
}
static char lower(char c) {
    return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

void each_word(void (*visit)(void *data, const char *word), void *data) {
    for (int i = 0; i < WORDS; i++) {
        if (is_letter(words[i].spelling[0])) visit(data, words[i].spelling);
    }
}

static void names_grow(Program *program) {
    Names *names = &program->names;
    uint32_t capacity = names->capacity ? names->capacity * 2 : 128;
    Name **slots = arena_alloc(&program->arena, sizeof *slots * capacity);
    if (!slots) return; /* fuller, but of use: a slot is left, see name_intern */
    for (uint32_t i = 0; i < names->capacity; i++) {
        if (!names->slots[i]) continue;
        uint32_t at = names->slots[i]->hash & (capacity - 1);
        while (slots[at]) at = (at + 1) & (capacity - 1);
        slots[at] = names->slots[i];
    }
    names->slots = slots;
    names->capacity = capacity;
}

Name *name_intern(Program *program, const char *text, size_t length) {
    Names *names = &program->names;
    if (names->count >= names->capacity / 2) names_grow(program);
    uint32_t hash = 2166136261u;
    for (size_t i = 0; i < length; i++) hash = (hash ^ (unsigned char)text[i]) * 16777619u;
    hash ^= hash >> 15;
    uint32_t at = hash & (names->capacity - 1);
    for (; names->slots[at]; at = (at + 1) & (names->capacity - 1)) {
        Name *name = names->slots[at];
        if (name->hash == hash && strncmp(name->text, text, length) == 0 && !name->text[length]) return name;
    }
    if (names->count + 1 >= names->capacity) return NULL;
    Name *name = arena_alloc(&program->arena, sizeof *name + length + 1);
    if (!name) return NULL;
    memcpy(name->text, text, length);
    name->hash = hash;
    name->id = names->count++;
    for (int i = 0; i < WORDS; i++) {
        if (words[i].spelling[0] != name->text[0] || strcmp(words[i].spelling, name->text) != 0) continue;
        name->word = words[i].word;
        name->row = words[i].row;
        break;
    }
    return names->slots[at] = name;
}

/* ---- numbers ---- */

static const struct Suffix {
    char text[4];
    TypeKind type;
} suffixes[] = {{"", TY_i32},  {"l", TY_i64},  {"c", TY_i8},  {"si", TY_i16}, {"f", TY_f32},
                {"uc", TY_u8}, {"us", TY_u16}, {"u", TY_u32}, {"ul", TY_u64}};

const char *literal_suffix(TypeKind kind) {
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (suffixes[i].type == kind) return suffixes[i].text;
    }
    return "";
}

/* The literal under the lexer's hands: its text, what was seen in it, where its parts end. */
typedef struct Number {
    const char *begin, *end, *digits,
        *suffix; /* digits: of the mantissa; they end, at the latest, at suffix */
    TypeKind type;
    int base;
    bool fraction; /* has a point or an exponent */
} Number;

static Token lex_fail(Lexer *lexer, uint32_t begin, uint32_t end, const char *text) {
    Token token = {.kind = TK_error, .span = {lexer->source, begin, end}};
    error_set(&lexer->program->error, E_Syntax, token.span, "%s", text);
    lexer->at = end;
    return token;
}

static int digit_value(char c) {
    if (is_digit(c)) return c - '0';
    c = lower(c);
    return c >= 'a' && c <= 'f' ? c - 'a' + 10 : 99;
}

/* Finds the parts of a number. `stop` is the end of the text. */
static Number number_scan(const char *p, const char *stop) {
    Number n = {.begin = p, .digits = p, .base = 10};
#define AT(i) (stop - p > (i) ? p[i] : '\0')
    int base = AT(0) != '0' ? 10 : lower(AT(1)) == 'x' ? 16 : lower(AT(1)) == 'b' ? 2 : 10;
    if (base != 10 && digit_value(AT(2)) < base) {
        n.base = base;
        n.digits = p += 2;
        while (digit_value(AT(0)) < base) p++;
    } else {
        while (is_digit(AT(0))) p++;
        if (AT(0) == '.' && AT(1) != '$') {
            n.fraction = true;
            p++;
            while (is_digit(AT(0))) p++;
        }
        bool sign = AT(1) == '+' || AT(1) == '-';
        if (lower(AT(0)) == 'e' && is_digit(sign ? AT(2) : AT(1))) {
            n.fraction = true;
            p += sign ? 2 : 1;
            while (is_digit(AT(0))) p++;
        }
    }
    n.suffix = p;
    while (is_word(AT(0))) p++;
#undef AT
    n.end = p;
    return n;
}

/* Which type the suffix stands for; TY_unknown if it is none. */
static TypeKind number_type(const Number *n) {
    char text[4] = {0};
    size_t length = (size_t)(n->end - n->suffix);
    if (length >= sizeof text) return TY_unknown;
    for (size_t i = 0; i < length; i++) text[i] = lower(n->suffix[i]);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        TypeKind type = suffixes[i].type;
        if (strcmp(suffixes[i].text, text) != 0) continue;
        if (!n->fraction) return type == TY_f32 && n->base != 10 ? TY_unknown : type;
        return length == 0 ? TY_f64 : type == TY_f32 ? TY_f32 : TY_unknown;
    }
    return TY_unknown;
}

/* The value of an integer literal, if it fits its type or is the magnitude of its minimum. */
static bool integer_value(const Number *n, uint64_t *value) {
    int bits = type_classes[n->type].bits;
    bool is_signed = type_classes[n->type].class == 's';
    uint64_t most = is_signed ? (uint64_t)1 << (bits - 1) : UINT64_MAX >> (64 - bits), sum = 0;
    for (const char *p = n->digits; p < n->suffix; p++) {
        uint64_t digit = (uint64_t)digit_value(*p), base = (uint64_t)n->base;
        if (sum > (most - digit) / base) return false;
        sum = sum * base + digit;
    }
    *value = sum;
    return true;
}

/* mantissa * 10^exponent where both are exact, so that one operation rounds once. */
static bool float_exact(uint64_t mantissa, int exponent, TypeKind type, double *wide, float *narrow) {
    static const double power[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                   1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    int most = type == TY_f32 ? 10 : 22, digits = type == TY_f32 ? 24 : 53;
    if (exponent < -most || exponent > most || mantissa >> digits) return false;
    if (type == TY_f32) {
        float scale = (float)power[abs(exponent)];
        *narrow = exponent < 0 ? (float)mantissa / scale : (float)mantissa * scale;
    } else {
        double scale = power[abs(exponent)];
        *wide = exponent < 0 ? (double)mantissa / scale : (double)mantissa * scale;
    }
    return true;
}

/* strtod, whatever decimal point the process's locale has. */
static bool float_slow(Program *program, const Number *n, double *wide, float *narrow) {
    const char *point = localeconv()->decimal_point;
    size_t length = (size_t)(n->suffix - n->begin), more = strlen(point);
    char few[128], *text = length + more < sizeof few ? few : arena_alloc(&program->arena, length + more + 1);
    if (!text) return false;
    char *to = text;
    for (const char *p = n->begin; p < n->suffix; p++) {
        if (*p != '.') {
            *to++ = *p;
        } else {
            memcpy(to, point, more);
            to += more;
        }
    }
    *to = 0;
    if (n->type == TY_f32) {
        *narrow = strtof(text, NULL);
        return !isinf(*narrow);
    }
    *wide = strtod(text, NULL);
    return !isinf(*wide);
}

static bool float_value(Program *program, const Number *n, uint64_t *value) {
    uint64_t mantissa = 0;
    int exponent = 0, written = 0;
    bool point = false, exact = true, negative = false;
    const char *p = n->begin;
    for (; p < n->suffix && (is_digit(*p) || *p == '.'); p++) {
        if (*p == '.') {
            point = true;
            continue;
        }
        if (mantissa > (UINT64_MAX - 9) / 10) exact = false;
        if (exact) mantissa = mantissa * 10 + (uint64_t)(*p - '0');
        if (point && exact) exponent--;
    }
    if (p < n->suffix) p++; /* the e */
    if (p < n->suffix && (*p == '-' || *p == '+')) negative = *p++ == '-';
    for (; p < n->suffix; p++) {
        if (written < 100000) written = written * 10 + (*p - '0');
    }
    exponent += negative ? -written : written;
    double wide = 0;
    float narrow = 0;
    if (!(exact && float_exact(mantissa, exponent, n->type, &wide, &narrow)) &&
        !float_slow(program, n, &wide, &narrow))
        return false;
    uint32_t half = 0;
    memcpy(&half, &narrow, sizeof half);
    memcpy(value, &wide, sizeof *value);
    if (n->type == TY_f32) *value = half;
    return true;
}

static Token lex_number(Lexer *lexer, const Source *source) {
    uint32_t begin = lexer->at;
    Number n = number_scan(source->text + begin, source->text + source->length);
    uint32_t end = (uint32_t)(n.end - source->text);
    char message[160];
    int shown = n.end - n.begin > 40 ? 40 : (int)(n.end - n.begin);
    n.type = number_type(&n);
    if (n.type == TY_unknown) {
        snprintf(message, sizeof message, "'%.*s' is not a number: '%.*s' is none of the suffixes %s", shown,
                 n.begin, (int)(n.end - n.suffix > 16 ? 16 : n.end - n.suffix), n.suffix,
                 n.fraction ? "f" : "c si l f uc us u ul");
        return lex_fail(lexer, begin, end, message);
    }
    Token token = {.kind = TK_literal, .span = {lexer->source, begin, end}, .type = n.type};
    bool real = n.type == TY_f32 || n.type == TY_f64;
    if (!(real ? float_value(lexer->program, &n, &token.bits) : integer_value(&n, &token.bits))) {
        snprintf(message, sizeof message, "the literal %.*s is out of range for %s", shown, n.begin,
                 type_classes[n.type].spelling);
        return lex_fail(lexer, begin, end, message);
    }
    lexer->at = end;
    return token;
}

/* ---- strings, punctuation, and all together ---- */

static Token lex_string(Lexer *lexer, const Source *source) {
    static const char letters[] = "nt\\\"", meanings[] = "\n\t\\\"";
    uint32_t begin = lexer->at, at = begin + 1, end = (uint32_t)source->length;
    const char *text = source->text;
    while (at < end && text[at] != '"') at += text[at] == '\\' ? 2 : 1;
    if (at >= end) return lex_fail(lexer, begin, begin + 1, "this string has no closing '\"'");
    char *bytes = arena_alloc(&lexer->program->arena, at - begin);
    if (!bytes) return lex_fail(lexer, begin, begin + 1, "this string is too long");
    size_t length = 0;
    for (uint32_t i = begin + 1; i < at; i++) {
        if (text[i] != '\\') {
            bytes[length++] = text[i];
            continue;
        }
        const char *found = text[++i] ? strchr(letters, text[i]) : NULL;
        if (found) {
            bytes[length++] = meanings[found - letters];
        } else if (text[i] == 'x' && digit_value(text[i + 1]) < 16 && digit_value(text[i + 2]) < 16) {
            bytes[length++] = (char)(digit_value(text[i + 1]) * 16 + digit_value(text[i + 2]));
            i += 2;
        } else {
            return lex_fail(
                lexer, i - 1, i + 1,
                "unknown escape; there are \\n \\t \\\\ \\\" and \\xNN with two hexadecimal digits");
        }
    }
    lexer->at = at + 1;
    return (Token){.kind = TK_string,
                   .span = {lexer->source, begin, at + 1},
                   .text = bytes,
                   .length = length,
                   .type = TY_vec};
}

static Token lex_punct(Lexer *lexer, const Source *source) {
    static const char *const spellings[] = {"==", "!=", "<=", ">=", "&&", "||", "<<", ">>", "+", "-", "*",
                                            "/",  "%",  "(",  ")",  "[",  "]",  "{",  "}",  "|", "@", ",",
                                            "=",  ".",  ":",  ";",  "?",  "!",  "<",  ">",  "&", "^", "~"};
    uint32_t begin = lexer->at;
    const unsigned char *p = (const unsigned char *)source->text + begin;
    for (size_t i = 0; i < sizeof spellings / sizeof *spellings; i++) {
        const unsigned char *s = (const unsigned char *)spellings[i];
        if (p[0] != s[0] || (s[1] && (begin + 1 >= source->length || p[1] != s[1]))) continue;
        lexer->at = begin + (s[1] ? 2 : 1);
        return (Token){.kind = TK_punct,
                       .span = {lexer->source, begin, lexer->at},
                       .text = spellings[i],
                       .bits = s[0] | (uint64_t)s[1] << 8};
    }
    char message[80];
    if (p[0] > ' ' && p[0] < 127) {
        snprintf(message, sizeof message, "'%c' has no meaning here", p[0]);
    } else {
        snprintf(message, sizeof message, "the byte 0x%02x has no meaning outside strings and comments",
                 p[0]);
    }
    return lex_fail(lexer, begin, begin + 1, message);
}

Token lex_next(Lexer *lexer) {
    const Source *source = &lexer->program->source[lexer->source];
    const char *text = source->text;
    uint32_t at = lexer->at, end = (uint32_t)source->length;
    for (;; at++) {
        while (at < end && (text[at] == ' ' || (text[at] >= '\t' && text[at] <= '\r'))) at++;
        if (at >= end || text[at] != '#') break;
        while (at < end && text[at] != '\n') at++;
        if (at >= end) break;
    }
    lexer->at = at;
    if (at >= end) return (Token){.kind = TK_end, .span = {lexer->source, end, end}};
    char c = text[at], next = at + 1 < end ? text[at + 1] : '\0';
    if (is_digit(c) || (c == '.' && is_digit(next))) return lex_number(lexer, source);
    if (c == '"') return lex_string(lexer, source);
    if (!is_letter(c)) return lex_punct(lexer, source);
    while (at < end && is_word(text[at])) at++;
    Name *name = name_intern(lexer->program, text + lexer->at, at - lexer->at);
    if (!name) return lex_fail(lexer, lexer->at, at, "there are too many names");
    Token token = {.kind = TK_ident, .span = {lexer->source, lexer->at, at}, .text = name->text};
    lexer->at = at;
    return token;
}
