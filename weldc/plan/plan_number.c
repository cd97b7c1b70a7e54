/* plan_number.c: what is known of numbers while a plan is priced: exactly, or between bounds, or in relation to others.
 *
 *     step in 0 .. 499        step % 15 in 0 .. 14       (step % 15) * 32 in 0 .. 448: a slice of 32 from there is in 480
 *     top is x                top + 5 is x + 5           (top + 5) - top = 5
 *
 * Intervals: Cousot and Cousot, Static Determination of Dynamic Properties of Programs, 1976. An operation that may overflow has no
 * bounds.
 */
#include "plan_price.h"

bool is_number(const Type *type) {
    return type_is_scalar(type) && type->size <= 8;
}

int64_t number_least(const Abstract *number) {
    if (number->type->kind != TY_i64) return 0;
    return number->known == EXACT ? number->n : number->known == MOST ? number->lo : INT64_MIN;
}

Abstract number_within(const Type *type, int64_t lo, int64_t hi) {
    return (Abstract){.type = type, .known = MOST, .n = hi, .lo = lo};
}

/* x + 3, x - 3: by x's name. */
static void keep_name(const Node *node, const Abstract *a, const Abstract *b, Abstract *value) {
    bool adds = node->op == OP_add, left = b->known == EXACT;
    const Abstract *named = left ? a : b, *by = left ? b : a;
    if (!named->base || by->known != EXACT || (!adds && !(node->op == OP_sub && left))) return;
    bool over = adds ? __builtin_add_overflow(named->off, by->n, &value->off)
                     : __builtin_sub_overflow(named->off, by->n, &value->off);
    value->base = over ? 0 : named->base;
    value->moves = named->moves;
}

static bool sum(Op op, const Abstract *a, const Abstract *b, int64_t *lo, int64_t *hi) {
    int64_t a_lo = number_least(a), b_lo = number_least(b);
    if (op == OP_add)
        return !__builtin_add_overflow(a_lo, b_lo, lo) && !__builtin_add_overflow(a->n, b->n, hi);
    return !__builtin_sub_overflow(a_lo, b->n, lo) && !__builtin_sub_overflow(a->n, b_lo, hi);
}

/* The bounds of what an operator makes of two numbers with bounds, of which none is negative but in sums. */
static bool bounds(Op op, const Abstract *a, const Abstract *b, int64_t *lo, int64_t *hi) {
    int64_t a_lo = number_least(a), b_lo = number_least(b);
    if (op == OP_add || op == OP_sub) return sum(op, a, b, lo, hi);
    if (op == OP_max) {
        *lo = a_lo > b_lo ? a_lo : b_lo;
        *hi = a->n > b->n ? a->n : b->n;
        return true;
    }
    if (a_lo < 0 || b_lo < 0) return false;
    switch (op) {
    case OP_mul: *lo = a_lo * b_lo; return !__builtin_mul_overflow(a->n, b->n, hi);
    case OP_div:
        *lo = b->n ? a_lo / b->n : 0;
        *hi = b_lo ? a->n / b_lo : a->n;
        return true;
    case OP_rem:
        *lo = 0;
        *hi = b->n > 0 && b->n - 1 < a->n ? b->n - 1 : a->n;
        return true;
    default: return false;
    }
}

static Abstract least(const Abstract *a, const Abstract *b) {
    int64_t a_lo = number_least(a), b_lo = number_least(b);
    int64_t hi = !b->known || (a->known && a->n < b->n) ? a->n : b->n;
    return number_within(a->type, a_lo < b_lo ? a_lo : b_lo, hi);
}

static Abstract of_two(const Node *node, const Abstract *a, const Abstract *b) {
    Abstract value = abstract_unknown(node->type);
    int64_t lo, hi;
    if (node->kind != N_Binary || node->type->kind != TY_i64) return value;
    if (node->op == OP_min && (a->known || b->known)) return least(a, b);
    if (node->op == OP_sub && abstract_same(a, b)) {
        value.known = EXACT;
        value.n = (int64_t)((uint64_t)a->off - (uint64_t)b->off);
        return value;
    }
    if (a->known && b->known && bounds(node->op, a, b, &lo, &hi)) value = number_within(node->type, lo, hi);
    keep_name(node, a, b, &value);
    return value;
}

Abstract price_scalar(const Node *node, const Abstract *a, const Abstract *b) {
    const Type *from = a->type;
    Abstract value = abstract_unknown(node->type);
    if (!is_number(from) || !is_number(node->type)) return value;
    if (a->known != EXACT || (b && b->known != EXACT)) return b ? of_two(node, a, b) : value;
    value.known = EXACT;
    switch (node->kind) {
    case N_Binary:
        value.known = scalar_binary(node->op, from, &a->n, &b->n, &value.n) ? EXACT : UNKNOWN;
        break;
    case N_Compare: value.n = scalar_compare(node->op, from, &a->n, &b->n); break;
    case N_Unary: scalar_unary(node->op, from, &a->n, &value.n); break;
    default: scalar_cast(from, &a->n, node->type, &value.n); break;
    }
    return value;
}
