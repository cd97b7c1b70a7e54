/* scalar.c: the operators of scalar.def on values in memory, casts, and the operators of builders.
 *
 * scalar_type.def turns the expressions of scalar.def's rows into three functions for one C type, each a
 * switch over the operators: binary_i32, compare_i32, unary_i32. Here it is included for every row of
 * types.def, and the functions below pick by the type. A new operator is a row of scalar.def and nothing
 * here.
 *
 * Integers wrap: rows compute on uint64_t and the result is cut to the type. A cast goes through the widest
 * type of its operand's class, int64_t, uint64_t or double, which loses nothing, so that it rounds once.
 */
#include "lang.h"

#include <float.h>
#include <math.h>
#include <string.h>

#define NAME(form) form##bool
#define T uint8_t
#define INTEGRAL 1
#define SIGNED 0
#include "scalar_type.def"
#define NAME(form) form##i8
#define T int8_t
#define INTEGRAL 1
#define SIGNED 1
#include "scalar_type.def"
#define NAME(form) form##i16
#define T int16_t
#define INTEGRAL 1
#define SIGNED 1
#include "scalar_type.def"
#define NAME(form) form##i32
#define T int32_t
#define INTEGRAL 1
#define SIGNED 1
#include "scalar_type.def"
#define NAME(form) form##i64
#define T int64_t
#define INTEGRAL 1
#define SIGNED 1
#include "scalar_type.def"
#define NAME(form) form##u8
#define T uint8_t
#define INTEGRAL 1
#define SIGNED 0
#include "scalar_type.def"
#define NAME(form) form##u16
#define T uint16_t
#define INTEGRAL 1
#define SIGNED 0
#include "scalar_type.def"
#define NAME(form) form##u32
#define T uint32_t
#define INTEGRAL 1
#define SIGNED 0
#include "scalar_type.def"
#define NAME(form) form##u64
#define T uint64_t
#define INTEGRAL 1
#define SIGNED 0
#include "scalar_type.def"
#define NAME(form) form##f32
#define T float
#define INTEGRAL 0
#define SIGNED 1
#define F(name) name##f
#include "scalar_type.def"
#define NAME(form) form##f64
#define T double
#define INTEGRAL 0
#define SIGNED 1
#define F(name) name
#include "scalar_type.def"

bool scalar_binary(Op op, const Type *type, const void *a, const void *b, void *out) {
    switch (type->kind) {
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: return binary_##id(op, a, b, out);
#include "types.def"
    default: return true;
    }
}

bool scalar_compare(Op op, const Type *type, const void *a, const void *b) {
    switch (type->kind) {
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: return compare_##id(op, a, b);
#include "types.def"
    default: return false;
    }
}

void scalar_unary(Op op, const Type *type, const void *a, void *out) {
    switch (type->kind) {
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: unary_##id(op, a, out); return;
#include "types.def"
    default: return;
    }
}

/* A scalar in the widest type of its class. */
typedef struct Wide {
    char class;
    int64_t s;
    uint64_t u;
    double f;
} Wide;

static Wide wide_load(const Type *type, const void *value) {
    Wide wide = {type_classes[type->kind].class, 0, 0, 0};
    switch (type->kind) {
#define LOAD_BOOL(ctype) wide.u = *(const ctype *)value != 0
#define LOAD_SINT(ctype) wide.s = *(const ctype *)value
#define LOAD_UINT(ctype) wide.u = *(const ctype *)value
#define LOAD_FLOAT(ctype) wide.f = (double)*(const ctype *)value
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: LOAD_##class(ctype); break;
#include "types.def"
    default: break;
    }
    return wide;
}

/* Toward zero, to the nearest that the type has; NaN to 0. */
static int64_t saturate_signed(double value, int bits) {
    double limit = ldexp(1, bits - 1);
    if (isnan(value)) return 0;
    if (value >= limit) return (int64_t)(~(uint64_t)0 >> (65 - bits));
    if (value <= -limit) return -(int64_t)(~(uint64_t)0 >> (65 - bits)) - 1;
    return (int64_t)value;
}

static uint64_t saturate_unsigned(double value, int bits) {
    if (isnan(value) || value <= 0) return 0;
    if (value >= ldexp(1, bits)) return ~(uint64_t)0 >> (64 - bits);
    return (uint64_t)value;
}

void scalar_cast(const Type *from, const void *a, const Type *to, void *out) {
    Wide w = wide_load(from, a);
    bool is_float = w.class == 'f', is_signed = w.class == 's';
    switch (to->kind) {
#define STORE_BOOL(ctype, bits) is_float ? w.f != 0 : (w.s | (int64_t)w.u) != 0
#define STORE_SINT(ctype, bits) is_float ? saturate_signed(w.f, bits) : is_signed ? w.s : (int64_t)w.u
#define STORE_UINT(ctype, bits) is_float ? saturate_unsigned(w.f, bits) : is_signed ? (uint64_t)w.s : w.u
#define STORE_FLOAT(ctype, bits) is_float ? (ctype)w.f : is_signed ? (ctype)w.s : (ctype)w.u
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: *(ctype *)out = (ctype)(STORE_##class(ctype, bits)); break;
#include "types.def"
    default: break;
    }
}

/* ---- the operators of builders ---- */

/* The type's greatest value, or its least. */
static void scalar_limit(const Type *type, bool greatest, void *out) {
    switch (type->kind) {
#define LIMIT_BOOL(ctype, bits) greatest
#define LIMIT_SINT(ctype, bits) saturate_signed(greatest ? INFINITY : -INFINITY, bits)
#define LIMIT_UINT(ctype, bits) greatest ? saturate_unsigned(INFINITY, bits) : 0
#define LIMIT_FLOAT(ctype, bits) greatest ? INFINITY : -INFINITY
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: *(ctype *)out = (ctype)(LIMIT_##class(ctype, bits)); break;
#include "types.def"
    default: break;
    }
}

static void scalar_number(const Type *type, int number, void *out) {
    switch (type->kind) {
#define SCALAR(id, spelling, ctype, class, bits) \
    case TY_##id: *(ctype *)out = (ctype)number; break;
#include "types.def"
    default: break;
    }
}

void combine_identity(const Type *type, Op op, void *out) {
    if (type->kind == TY_struct) {
        memset(out, 0, (size_t)type->size);
        for (int i = 0; i < type->count; i++) {
            combine_identity(type->args[i], op, (char *)out + type->offsets[i]);
        }
        return;
    }
    if (op == OP_min || op == OP_max)
        scalar_limit(type, op == OP_min, out);
    else
        scalar_number(type, op == OP_mul, out);
}

void combine(const Type *type, Op op, void *into, const void *value) {
    if (type->kind != TY_struct) {
        scalar_binary(op, type, into, value, into);
        return;
    }
    for (int i = 0; i < type->count; i++) {
        combine(type->args[i], op, (char *)into + type->offsets[i], (const char *)value + type->offsets[i]);
    }
}
