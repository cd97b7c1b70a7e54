/* compare.c: are two results equal?
 *
 * Integers must be, and dictionaries in key order; NaN is equal to NaN; floats may differ by the tolerance, and where there is
 * one, by anything below the least normal number: a product that is taken in another order loses other digits there.
 */
#include "differential.h"

#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

static bool same_float(double a, double b, double tolerance, double least_normal) {
    if (isnan(a) || isnan(b)) return isnan(a) && isnan(b);
    if (a == b) return true;
    double size = fmax(fabs(a), fabs(b));
    return fabs(a - b) <= tolerance * size || (tolerance > 0 && size < least_normal);
}

static bool same_array(const Type *type, const void *a, const void *b, int64_t count, Tolerance t) {
    for (int64_t i = 0; i < count && type->size; i++) {
        if (!same_value(type, (const char *)a + i * type->size, (const char *)b + i * type->size, t))
            return false;
    }
    return true;
}

/* Entries that are equal in key order. */
static bool same_dict(const Type *type, const Dict *a, const Dict *b, Tolerance t) {
    TypeTable types;
    Arena arena;
    if (a->length != b->length || !arena_init(&arena)) return false;
    types_init(&types, &arena);
    Type *entry = dict_entry_type(&types, type_import(&types, type));
    int64_t *x = malloc(sizeof *x * (size_t)(a->length + 1)),
            *y = malloc(sizeof *y * (size_t)(a->length + 1));
    bool same = x && y;
    if (same) dict_sorted(a, entry, x);
    if (same) dict_sorted(b, entry, y);
    for (int64_t i = 0; same && i < a->length; i++)
        same = same_value(entry, a->entries + x[i] * entry->size, b->entries + y[i] * entry->size, t);
    free(x);
    free(y);
    arena_release(&arena);
    return same;
}

bool same_value(const Type *type, const void *a, const void *b, Tolerance t) {
    if (type->kind == TY_f32) return same_float(*(const float *)a, *(const float *)b, t.single, FLT_MIN);
    if (type->kind == TY_f64) return same_float(*(const double *)a, *(const double *)b, t.twice, DBL_MIN);
    if (type_is_scalar(type)) return memcmp(a, b, (size_t)type->size) == 0;
    if (type->kind == TY_dict) return same_dict(type, *(Dict *const *)a, *(Dict *const *)b, t);
    if (type->kind == TY_vec) {
        const Vec *v = a, *w = b;
        return v->length == w->length && same_array(type->args[0], v->data, w->data, v->length, t);
    }
    for (int i = 0; i < type->count; i++) {
        int64_t at = type->offsets[i];
        if (!same_value(type->args[i], (const char *)a + at, (const char *)b + at, t)) return false;
    }
    return true;
}
