/* functions.c: the adapter's table: functions of dates and texts, as code where that is as fast, else in C, called by
 * compiled code with cfill. They are known in the language as frame.year and so on.
 *
 * Dates are days since 1970-01-01 of the Gregorian calendar, also before it was introduced. Years begin in March here, so
 * that a leap day comes last, and eras of 400 years have 146097 days: H. Hinnant, "chrono-compatible low-level date
 * algorithms".
 */
#include "frame.h"

#include <errno.h>
#include <locale.h>
#include <math.h>
#include <stdio.h>

#define EXPORT __attribute__((visibility("default")))
#define PROMISE "@(pure: true, threadsafe: true)"

typedef struct Text {
    const int8_t *data;
    int64_t length;
} Text;

typedef struct TextOut {
    int8_t *data;
    int64_t length;
} TextOut;

/* ---- dates ---- */

typedef struct Day {
    int64_t year, month, day;
} Day;

static Day day_of(int64_t days) {
    int64_t z = days + 719468, era = (z >= 0 ? z : z - 146096) / 146097, doe = z - era * 146097;
    int64_t yoe = (doe - doe / 1460 + doe / 36524 - doe / 146096) / 365;
    int64_t doy = doe - (365 * yoe + yoe / 4 - yoe / 100), mp = (5 * doy + 2) / 153;
    int64_t month = mp < 10 ? mp + 3 : mp - 9;
    return (Day){yoe + era * 400 + (month <= 2), month, doy - (153 * mp + 2) / 5 + 1};
}

int64_t date_days(int64_t year, int64_t month, int64_t day) {
    int64_t y = year - (month <= 2), era = (y >= 0 ? y : y - 399) / 400, yoe = y - era * 400;
    int64_t doy = (153 * (month > 2 ? month - 3 : month + 9) + 2) / 5 + day - 1;
    return era * 146097 + yoe * 365 + yoe / 4 - yoe / 100 + doy - 719468;
}

static bool is_day(int64_t year, int64_t month, int64_t day, int32_t *days) {
    if (year < -5000000 || year > 5000000 || month < 1 || month > 12 || day < 1 || day > 31) return false;
    int64_t number = date_days(year, month, day);
    Day back = day_of(number);
    if (back.month != month || back.day != day) return false;
    *days = (int32_t)number;
    return true;
}

bool date_read(const char *text, int64_t length, int32_t *days) {
    int64_t parts[3] = {0, 0, 0};
    if (length != 10) return false;
    for (int i = 0, part = 0; i < 10; i++) {
        if (i == 4 || i == 7) {
            if (text[i] != '-') return false;
            part++;
        } else {
            if (text[i] < '0' || text[i] > '9') return false;
            parts[part] = 10 * parts[part] + text[i] - '0';
        }
    }
    return is_day(parts[0], parts[1], parts[2], days);
}

int date_write(int32_t days, char *out) {
    Day day = day_of(days);
    char text[80];
    int length = snprintf(text, sizeof text, "%s%04lld-%02lld-%02lld", day.year < 0 ? "-" : "",
                          (long long)llabs(day.year), (long long)day.month, (long long)day.day);
    memcpy(out, text, (size_t)length);
    return length;
}

EXPORT int weld_frame_year(const int32_t *days, int32_t *year) {
    *year = (int32_t)day_of(*days).year;
    return 0;
}

EXPORT int weld_frame_month(const int32_t *days, int32_t *month) {
    *month = (int32_t)day_of(*days).month;
    return 0;
}

EXPORT int weld_frame_day(const int32_t *days, int32_t *day) {
    *day = (int32_t)day_of(*days).day;
    return 0;
}

EXPORT int weld_frame_weekday(const int32_t *days, int32_t *weekday) {
    int64_t day = ((int64_t)*days + 3) % 7;
    *weekday = (int32_t)(day < 0 ? day + 7 : day) + 1;
    return 0;
}

typedef struct OptionalDate {
    bool found;
    int32_t days;
} OptionalDate;

EXPORT int weld_frame_make_date(const int64_t *year, const int64_t *month, const int64_t *day,
                                OptionalDate *out) {
    *out = (OptionalDate){0};
    out->found = is_day(*year, *month, *day, &out->days);
    return 0;
}

EXPORT int weld_frame_date(const Text *text, OptionalDate *out) {
    *out = (OptionalDate){0};
    out->found = date_read((const char *)text->data, text->length, &out->days);
    return 0;
}

EXPORT int weld_frame_text_date(const int32_t *days, TextOut *out) {
    out->length = date_write(*days, (char *)out->data);
    return 0;
}

/* ---- numbers as text ---- */

bool integer_read(const char *text, int64_t length, int64_t *number) {
    bool minus = length > 0 && *text == '-';
    int64_t i = minus || (length > 0 && *text == '+');
    if (i == length) return false;
    uint64_t limit = minus ? (uint64_t)INT64_MAX + 1 : INT64_MAX, value = 0;
    for (; i < length; i++) {
        if (text[i] < '0' || text[i] > '9') return false;
        uint64_t digit = (uint64_t)(text[i] - '0');
        if (value > (limit - digit) / 10) return false;
        value = 10 * value + digit;
    }
    *number = (int64_t)(minus ? 0 - value : value);
    return true;
}

/* Is it a number as the C locale has it; the decimal point of strtod is the locale's. */
static bool is_real(const char *text, int64_t length) {
    int64_t i = length > 0 && (*text == '-' || *text == '+'), digits = 0;
    int64_t left = length - i;
    const char *word = text + i;
    if (left == 3 && (strncasecmp(word, "nan", 3) == 0 || strncasecmp(word, "inf", 3) == 0)) return true;
    if (left == 8 && strncasecmp(word, "infinity", 8) == 0) return true;
    for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) digits++;
    if (i < length && text[i] == '.') {
        for (i++; i < length && text[i] >= '0' && text[i] <= '9'; i++) digits++;
    }
    if (!digits) return false;
    if (i < length && (text[i] == 'e' || text[i] == 'E')) {
        i++;
        if (i < length && (text[i] == '-' || text[i] == '+')) i++;
        if (i == length) return false;
        for (; i < length && text[i] >= '0' && text[i] <= '9'; i++) {
        }
    }
    return i == length;
}

/* Digits that are an integer below 2^53 times or over a power of ten up to 22 are right by one operation (Clinger, "How to
 * read floating point numbers accurately", 1990). */
static bool read_fast(const char *text, int64_t length, double *number) {
    static const double tens[] = {1e0,  1e1,  1e2,  1e3,  1e4,  1e5,  1e6,  1e7,  1e8,  1e9,  1e10, 1e11,
                                  1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22};
    bool minus = *text == '-', point = false;
    int64_t value = 0, digits = 0, scale = 0;
    for (int64_t i = minus || *text == '+'; i < length; i++) {
        if (text[i] == '.' && !point) {
            point = true;
            continue;
        }
        if (text[i] < '0' || text[i] > '9' || ++digits > 15) return false;
        value = 10 * value + text[i] - '0';
        scale += point;
    }
    if (!digits) return false;
    double real = (double)value / tens[scale];
    *number = minus ? -real : real;
    return true;
}

bool real_read(const char *text, int64_t length, double *number) {
    if (length > 0 && read_fast(text, length, number)) return true;
    char copy[512];
    if (!is_real(text, length) || length >= (int64_t)sizeof copy - 8) return false;
    memcpy(copy, text, (size_t)length);
    copy[length] = 0;
    char *point = strchr(copy, '.');
    const char *local = localeconv()->decimal_point;
    if (point && strcmp(local, ".") != 0 && strlen(local) < 8) {
        memmove(point + strlen(local), point + 1, strlen(point + 1) + 1);
        memcpy(point, local, strlen(local));
    }
    *number = strtod(copy, NULL);
    return true;
}

int real_write(double number, bool single, char *out) {
    char text[64];
    if (number != number) return memcpy(out, "nan", 3), 3;
    if (isinf(number)) return memcpy(out, number < 0 ? "-inf" : "inf", 4), number < 0 ? 4 : 3;
    for (int digits = single ? 6 : 15; digits <= 17; digits++) {
        snprintf(text, sizeof text, "%.*g", digits, number);
        double back = strtod(text, NULL);
        if (single ? (float)back == (float)number : back == number) break;
    }
    const char *local = localeconv()->decimal_point;
    char *point = strcmp(local, ".") != 0 ? strstr(text, local) : NULL;
    if (point) {
        *point = '.';
        memmove(point + 1, point + strlen(local), strlen(point + strlen(local)) + 1);
    }
    int length = (int)strlen(text);
    memcpy(out, text, (size_t)length);
    return length;
}

typedef struct OptionalInteger {
    bool found;
    int64_t number;
} OptionalInteger;

typedef struct OptionalReal {
    bool found;
    double number;
} OptionalReal;

EXPORT int weld_frame_integer(const Text *text, OptionalInteger *out) {
    *out = (OptionalInteger){0};
    out->found = integer_read((const char *)text->data, text->length, &out->number);
    return 0;
}

EXPORT int weld_frame_real(const Text *text, OptionalReal *out) {
    *out = (OptionalReal){0};
    out->found = real_read((const char *)text->data, text->length, &out->number);
    return 0;
}

EXPORT int weld_frame_text_i64(const int64_t *number, TextOut *out) {
    char text[32];
    out->length = snprintf(text, sizeof text, "%lld", (long long)*number);
    memcpy(out->data, text, (size_t)out->length);
    return 0;
}

EXPORT int weld_frame_text_u64(const uint64_t *number, TextOut *out) {
    char text[32];
    out->length = snprintf(text, sizeof text, "%llu", (unsigned long long)*number);
    memcpy(out->data, text, (size_t)out->length);
    return 0;
}

EXPORT int weld_frame_text_f64(const double *number, TextOut *out) {
    out->length = real_write(*number, false, (char *)out->data);
    return 0;
}

EXPORT int weld_frame_text_f32(const float *number, TextOut *out) {
    out->length = real_write((double)*number, true, (char *)out->data);
    return 0;
}

/* ---- texts ---- */

int text_compare(const char *a, int64_t m, const char *b, int64_t n) {
    int64_t common = m < n ? m : n;
    int order = common ? memcmp(a, b, (size_t)common) : 0;
    if (order) return order < 0 ? -1 : 1;
    return m < n ? -1 : m > n;
}

EXPORT int weld_frame_order(const Text *a, const Text *b, int32_t *order) {
    *order = text_compare((const char *)a->data, a->length, (const char *)b->data, b->length);
    return 0;
}

/* A byte of `what` is looked for with memchr, then the rest is compared. */
EXPORT int weld_frame_contains(const Text *text, const Text *what, bool *found) {
    int64_t n = what->length;
    *found = n == 0;
    if (*found) return 0;
    const char *at = (const char *)text->data, *end = at + text->length, *key = (const char *)what->data;
    while (end - at >= n && (at = memchr(at, *key, (size_t)(end - at - n + 1)))) {
        *found = memcmp(at, key, (size_t)n) == 0;
        if (*found) return 0;
        at++;
    }
    return 0;
}

static bool begins_character(int8_t byte) {
    return ((uint8_t)byte & 0xc0) != 0x80;
}

EXPORT int weld_frame_length(const Text *text, int64_t *length) {
    int64_t count = 0;
    for (int64_t i = 0; i < text->length; i++) count += begins_character(text->data[i]);
    *length = count;
    return 0;
}

typedef struct Part {
    int64_t start, length;
} Part;

/* Where character number `count` begins from `from` on. */
static int64_t skip(const Text *text, int64_t from, int64_t count) {
    int64_t at = from;
    while (at < text->length && !begins_character(text->data[at]))
        at++; /* of a text that begins amid a character */
    for (; count > 0 && at < text->length; count--) {
        at++;
        while (at < text->length && !begins_character(text->data[at])) at++;
    }
    return at;
}

/* The bytes of characters start .. start + count - 1; a negative start counts from the end. */
EXPORT int weld_frame_part(const Text *text, const int64_t *start, const int64_t *count, Part *part) {
    int64_t from = *start, many = *count, length;
    if (from < 0) {
        weld_frame_length(text, &length);
        from = length + from;
        if (from < 0 && many > 0) many = many + from > 0 ? many + from : 0;
        if (from < 0) from = 0;
    }
    part->start = skip(text, 0, from);
    part->length = many > 0 ? skip(text, part->start, many) - part->start : 0;
    return 0;
}

static int change_case(bool upper, const Text *text, TextOut *out) {
    out->length = text_change_case(upper, (const char *)text->data, text->length, (char *)out->data);
    return 0;
}

EXPORT int weld_frame_upper(const Text *text, TextOut *out) {
    return change_case(true, text, out);
}

EXPORT int weld_frame_lower(const Text *text, TextOut *out) {
    return change_case(false, text, out);
}

/* ---- the table ---- */

/* The code of a date's parts: $0 .. of the struct {year, month, day}. */
#define DAY_OF                                                                                        \
    "let z = i64(d) + 719468l; let era = if(z >= 0l, z, z - 146096l) / 146097l; let doe = z - era * " \
    "146097l; "                                                                                       \
    "let yoe = (doe - doe / 1460l + doe / 36524l - doe / 146096l) / 365l; "                           \
    "let doy = doe - (365l * yoe + yoe / 4l - yoe / 100l); let mp = (5l * doy + 2l) / 153l; "         \
    "let month = if(mp < 10l, mp + 3l, mp - 9l); "

/* A text of ASCII needs no call. Others grow by half at most. */
#define CALL_CASE(function) PROMISE "cfill[" function ", vec[i8]](len(t) + len(t) / 2l, t)"
#define CHANGE_CASE(ascii, function)                                                \
    "|t: vec[i8]| if(result(for(t, merger[i8,min], |b, i, c| merge(b, c))) >= 0c, " \
    "map(t, |c| " ascii "), " CALL_CASE(function) ")"

static const weld_function_t functions[] = {
    {"year", "", "|d: i32| " DAY_OF "i32(yoe + era * 400l + i64(month <= 2l))",
     "|d: i32| " PROMISE "cfill[weld_frame_year, i32]({}, d)", NULL, "the year of a date"},
    {"month", "", "|d: i32| " DAY_OF "i32(month)", "|d: i32| " PROMISE "cfill[weld_frame_month, i32]({}, d)",
     NULL, "the month of a date, 1..12"},
    {"day", "", "|d: i32| " DAY_OF "i32(doy - (153l * mp + 2l) / 5l + 1l)",
     "|d: i32| " PROMISE "cfill[weld_frame_day, i32]({}, d)", NULL, "the day of the month"},
    {"weekday", "", "|d: i32| let w = (i64(d) + 3l) % 7l; i32(if(w < 0l, w + 7l, w)) + 1",
     "|d: i32| " PROMISE "cfill[weld_frame_weekday, i32]({}, d)", NULL, "Monday is 1, Sunday 7"},
    {"make_date", "", NULL,
     "|y: i64, m: i64, d: i64| " PROMISE "cfill[weld_frame_make_date, {bool, i32}]({}, y, m, d)", NULL,
     "{is there such a day, the date}"},
    {"date", "", NULL, "|t: vec[i8]| " PROMISE "cfill[weld_frame_date, {bool, i32}]({}, t)", NULL,
     "{is it YYYY-MM-DD, the date}"},
    {"text_date", "", NULL, "|d: i32| " PROMISE "cfill[weld_frame_text_date, vec[i8]](24l, d)", NULL,
     "YYYY-MM-DD"},
    {"integer", "", NULL, "|t: vec[i8]| " PROMISE "cfill[weld_frame_integer, {bool, i64}]({}, t)", NULL,
     "{is it an i64, the number}"},
    {"real", "", NULL, "|t: vec[i8]| " PROMISE "cfill[weld_frame_real, {bool, f64}]({}, t)", NULL,
     "{is it a number, the number}"},
    {"text_i64", "", NULL, "|n: i64| " PROMISE "cfill[weld_frame_text_i64, vec[i8]](24l, n)", NULL,
     "its digits"},
    {"text_u64", "", NULL, "|n: u64| " PROMISE "cfill[weld_frame_text_u64, vec[i8]](24l, n)", NULL,
     "its digits"},
    {"text_f64", "", NULL, "|n: f64| " PROMISE "cfill[weld_frame_text_f64, vec[i8]](32l, n)", NULL,
     "the shortest digits of which reading gives the number"},
    {"text_f32", "", NULL, "|n: f32| " PROMISE "cfill[weld_frame_text_f32, vec[i8]](32l, n)", NULL,
     "the shortest digits of which reading gives the number"},
    {"order", "", NULL, "|a: vec[i8], b: vec[i8]| " PROMISE "cfill[weld_frame_order, i32]({}, a, b)", NULL,
     "-1, 0 or 1 by bytes without sign, which is the order of UTF-8"},
    {"contains", "", NULL, "|a: vec[i8], b: vec[i8]| " PROMISE "cfill[weld_frame_contains, bool]({}, a, b)",
     NULL, "is the second anywhere in the first"},
    {"starts_with", "", "|a: vec[i8], b: vec[i8]| len(a) >= len(b) && slice(a, 0l, len(b)) == b", NULL, NULL,
     "does the first start with the second"},
    {"ends_with", "", "|a: vec[i8], b: vec[i8]| len(a) >= len(b) && slice(a, len(a) - len(b), len(b)) == b",
     NULL, NULL, "does the first end with the second"},
    {"length", "", "|t: vec[i8]| result(for(t, merger[i64,+], |b, i, c| if(c >= -64c, merge(b, 1l), b)))",
     "|t: vec[i8]| " PROMISE "cfill[weld_frame_length, i64]({}, t)", NULL, "how many characters of UTF-8"},
    {"substring", "", NULL,
     "|t: vec[i8], s: i64, n: i64| let p = " PROMISE "cfill[weld_frame_part, {i64, i64}]({}, t, s, n); "
     "slice(t, p.$0, p.$1)",
     NULL, "n characters from number s on; a negative s counts from the end"},
    {"upper", "", CHANGE_CASE("if(c >= 97c && c <= 122c, c - 32c, c)", "weld_frame_upper"),
     "|t: vec[i8]| " CALL_CASE("weld_frame_upper"), NULL, "in capitals, a character for a character"},
    {"lower", "", CHANGE_CASE("if(c >= 65c && c <= 90c, c + 32c, c)", "weld_frame_lower"),
     "|t: vec[i8]| " CALL_CASE("weld_frame_lower"), NULL, "in small letters, a character for a character"},
    {"floor", "double floor(double x)", "|x: f64| " PROMISE "cfun[floor, f64](x)", NULL, NULL,
     "down to a whole number"},
    {"ceil", "double ceil(double x)", "|x: f64| " PROMISE "cfun[ceil, f64](x)", NULL, NULL,
     "up to a whole number"},
    {NULL, NULL, NULL, NULL, NULL, NULL},
};

EXPORT const weld_adapter_t *weld_adapter(void) {
    static const weld_adapter_t adapter = {WELD_ADAPTER_VERSION, "frame", "tables with named columns",
                                           functions};
    return &adapter;
}
