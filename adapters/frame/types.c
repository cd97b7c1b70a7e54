/* types.c: the types of columns, and how failures are told. */
#include "frame.h"

#include <stdio.h>

typedef struct KindRow {
    const char *name, *code, *zero, *greatest, *least;
    int64_t size;
} KindRow;

static const KindRow kinds[WELD_FRAME_TYPES] = {
    [WELD_FRAME_BOOL] = {"bool", "bool", "false", "1c", "0c", 1},
    [WELD_FRAME_I8] = {"i8", "i8", "0c", "127c", "(-128c)", 1},
    [WELD_FRAME_I16] = {"i16", "i16", "0si", "32767si", "(-32768si)", 2},
    [WELD_FRAME_I32] = {"i32", "i32", "0", "2147483647", "(-2147483648)", 4},
    [WELD_FRAME_I64] = {"i64", "i64", "0l", "9223372036854775807l", "(-9223372036854775808l)", 8},
    [WELD_FRAME_U8] = {"u8", "u8", "0uc", "255uc", "0uc", 1},
    [WELD_FRAME_U16] = {"u16", "u16", "0us", "65535us", "0us", 2},
    [WELD_FRAME_U32] = {"u32", "u32", "0u", "4294967295u", "0u", 4},
    [WELD_FRAME_U64] = {"u64", "u64", "0ul", "18446744073709551615ul", "0ul", 8},
    [WELD_FRAME_F32] = {"f32", "f32", "0.0f", "(1.0f / 0.0f)", "(-1.0f / 0.0f)", 4},
    [WELD_FRAME_F64] = {"f64", "f64", "0.0", "(1.0 / 0.0)", "(-1.0 / 0.0)", 8},
    [WELD_FRAME_DATE] = {"date", "i32", "0", "2147483647", "(-2147483648)", 4},
    [WELD_FRAME_TEXT] = {"text", "vec[i8]", "\"\"", "", "", sizeof(weld_frame_text_t)},
};

static bool is_kind(Kind kind) {
    return (int)kind >= 0 && kind < WELD_FRAME_TYPES;
}

const char *weld_frame_type_name(weld_frame_type type) {
    return is_kind(type) ? kinds[type].name : NULL;
}

const char *kind_code(Kind kind) {
    return kinds[kind].code;
}

const char *kind_zero(Kind kind) {
    return kinds[kind].zero;
}

const char *kind_greatest(Kind kind) {
    return kinds[kind].greatest;
}

const char *kind_least(Kind kind) {
    return kinds[kind].least;
}

int64_t kind_size(Kind kind) {
    return kinds[kind].size;
}

Kind kind_named(const char *name, int64_t length) {
    for (int i = 0; i < WELD_FRAME_TYPES; i++) {
        if ((int64_t)strlen(kinds[i].name) == length && memcmp(kinds[i].name, name, (size_t)length) == 0)
            return (Kind)i;
    }
    return WELD_FRAME_TYPES;
}

/* A signed type that holds all of both, f64 where there is none; f32 keeps what 16 bits hold. */
Kind kind_promote(Kind a, Kind b) {
    if (a == b) return a;
    if (kind_is_float(a) || kind_is_float(b)) {
        Kind other = a == WELD_FRAME_F32 ? b : a;
        bool small = (a == WELD_FRAME_F32 || b == WELD_FRAME_F32) && kind_size(other) <= 2;
        return small ? WELD_FRAME_F32 : WELD_FRAME_F64;
    }
    if (kind_is_unsigned(a) == kind_is_unsigned(b)) return a > b ? a : b;
    Kind natural = kind_is_unsigned(a) ? a : b, whole = kind_is_unsigned(a) ? b : a;
    if (kind_size(whole) > kind_size(natural)) return whole;
    return natural == WELD_FRAME_U64 ? WELD_FRAME_F64
                                     : (Kind)(WELD_FRAME_I16 + (int)(natural - WELD_FRAME_U8));
}

void *frame_fail(weld_error_t error, const char *function, const char *format, ...) {
    char text[1200];
    int length = snprintf(text, sizeof text, "%s: ", function);
    va_list arguments;
    va_start(arguments, format);
    vsnprintf(text + length, sizeof text - (size_t)length, format, arguments);
    va_end(arguments);
    weld_error_set(error, WELD_ARGUMENT_ERROR, text);
    return NULL;
}

void *frame_no_memory(weld_error_t error) {
    weld_error_set(error, WELD_OUT_OF_MEMORY, "frame: no memory");
    return NULL;
}
