/* plan_abstract.c: what is known of values while a plan is priced, and the bytes that they take.
 *
 *     exactly 5  <  at most 5  <  unknown             join(5, 3) = at most 5
 *     unknown numbers have names: n, n + 1            (n + 8) - n = 8, whatever n is
 *
 * Abstract interpretation: Cousot and Cousot, POPL 1977.
 */
#include "plan_price.h"

void price_give_up(Pricer *p, const Node *at, const char *why) {
    if (p->price.why || p->dry) return;
    p->price.why = why;
    p->price.span = at->span;
}

Abstract abstract_unknown(const Type *type) {
    return (Abstract){.type = type};
}

Abstract abstract_number(Pricer *p, const Type *type) {
    return (Abstract){.type = type, .base = ++p->bases};
}

void abstract_name(Pricer *p, Abstract *value) {
    bool named = value->type->kind == TY_i64 || value->type->kind == TY_vec;
    if (!named || value->known == EXACT || value->base) return;
    value->base = ++p->bases;
    value->off = 0;
    value->moves = false;
}

bool abstract_same(const Abstract *a, const Abstract *b) {
    return a->base && a->base == b->base;
}

int64_t abstract_room(const Abstract *value) {
    return value->room > value->n ? value->room : value->n;
}

Abstract *abstract_parts(Pricer *p, int count) {
    return arena_alloc(&p->arena, sizeof(Abstract) * (size_t)(count + 1));
}

Abstract abstract_part(const Abstract *value, int index) {
    return value->parts ? value->parts[index] : abstract_unknown(value->type->args[index]);
}

const Type *abstract_element(const Type *type) {
    return type->args[type->count - 1];
}

bool abstract_has_length(const Type *type) {
    return type->kind == TY_vec || type->kind == TY_appender || type->kind == TY_vecmerger;
}

/* Of any element of a vector names of numbers say nothing. */
void abstract_forget(Pricer *p, Abstract *value) {
    value->base = 0;
    if (!value->parts || value->type->kind != TY_struct) return;
    Abstract *parts = abstract_parts(p, value->type->count);
    for (int i = 0; i < value->type->count && parts; i++) {
        parts[i] = value->parts[i];
        abstract_forget(p, &parts[i]);
    }
    value->parts = parts;
}

/* ---- bytes ---- */

int64_t count_times(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX / 8 : product;
}

int64_t count_plus(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX / 8 : sum;
}

int64_t price_block(int64_t bytes) {
    return bytes ? count_plus(count_plus(bytes, 15) / 16 * 16, REGION_HEADER) : REGION_HEADER;
}

/* What the value reaches. Vectors of vectors in a program that saves are counted where room is asked for. */
int64_t price_reach(Pricer *p, const Abstract *value, const Node *at) {
    const Type *type = value->type;
    if (!type->pointers || type->kind == TY_merger) return 0;
    int64_t bytes = 0;
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            Abstract part = abstract_part(value, i);
            bytes = count_plus(bytes, price_reach(p, &part, at));
        }
        return bytes;
    }
    if (!abstract_has_length(type)) {
        price_give_up(p, at, "how large a dictionary gets is not known");
        return 0;
    }
    if (!value->known) {
        price_give_up(p, at, "the length of a vector is not known");
        return 0;
    }
    const Type *element = abstract_element(type);
    bytes = price_block(count_times(abstract_room(value), element->size));
    if (!element->pointers || p->saving || value->data) return bytes;
    Abstract one = value->parts ? value->parts[0] : abstract_unknown(element);
    return value->n ? count_plus(bytes, count_times(value->n, price_reach(p, &one, at))) : bytes;
}

static void raise_planned(Pricer *p, int64_t bytes) {
    if (bytes < p->price.planned || (bytes == p->price.planned && p->at == p->price.peak)) return;
    p->price.peaks = bytes == p->price.planned ? p->price.peaks + 1 : 1;
    p->price.planned = bytes;
    p->price.peak = p->at;
}

void price_take(Pricer *p, int64_t bytes) {
    if (p->inner) {
        p->extra = count_plus(p->extra, bytes);
        return;
    }
    p->now = count_plus(p->now, bytes);
    p->live = count_plus(p->live, bytes);
    raise_planned(p, p->now);
    if (p->live > p->price.live) p->price.live = p->live;
    p->price.unshared = count_plus(p->price.unshared, bytes);
}

void price_give(Pricer *p, int64_t bytes) {
    p->now -= bytes;
    p->live -= bytes;
}

/* What an algorithm takes while it runs. */
void price_need(Pricer *p, int64_t bytes) {
    if (p->inner)
        p->extra = count_plus(p->extra, bytes);
    else
        raise_planned(p, count_plus(p->now, bytes));
}

/* ---- joining what may be ---- */

Abstract abstract_join(Pricer *p, Abstract a, Abstract b, bool widen) {
    Abstract both = {.type = a.type};
    both.lent = a.lent && b.lent;
    both.room = a.room > b.room ? a.room : b.room;
    both.each = a.each == b.each ? a.each : NULL;
    if (abstract_same(&a, &b) && a.off == b.off) {
        both.base = a.base;
        both.off = a.off;
        both.moves = a.moves;
    }
    if (a.known && b.known && a.n == b.n) {
        both.known = a.known < b.known ? a.known : b.known;
        both.n = a.n;
        both.data = a.data == b.data ? a.data : NULL;
    } else if (a.known && b.known && !widen && (abstract_has_length(a.type) || a.type->kind == TY_i64)) {
        both.known = MOST;
        both.n = a.n > b.n ? a.n : b.n;
    }
    int64_t least_a = number_least(&a), least_b = number_least(&b);
    both.lo = least_a < least_b ? least_a : least_b;
    int count = a.type->kind == TY_struct ? a.type->count : abstract_has_length(a.type) ? 1 : 0;
    bool has = a.type->kind == TY_struct || (a.parts && b.parts);
    if (!abstract_has_length(a.type) || abstract_element(a.type)->pointers) {
        if (!has && (a.parts || b.parts))
            both.parts = a.parts ? a.parts : b.parts; /* the other has no elements */
        if (has && count) both.parts = abstract_parts(p, count);
        for (int i = 0; has && i < count && both.parts; i++) {
            const Type *type = a.type->kind == TY_struct ? a.type->args[i] : abstract_element(a.type);
            both.parts[i] = abstract_join(p, a.parts ? a.parts[i] : abstract_unknown(type),
                                          b.parts ? b.parts[i] : abstract_unknown(type), widen);
        }
    }
    return both;
}

/* Where b says more than a, unknown. */
Abstract abstract_limit(Pricer *p, Abstract a, const Abstract *b) {
    bool wider = b->n > a.n || number_least(b) < number_least(&a);
    if (a.known && (!b->known || wider || (a.known == EXACT && (b->known != EXACT || b->n != a.n)))) {
        bool fits = abstract_has_length(a.type) && b->known && b->n <= a.n;
        a.known = fits ? MOST : UNKNOWN;
        a.data = NULL;
    }
    if (!abstract_same(&a, b) || a.off != b->off) a.base = 0;
    a.each = NULL;
    int count = a.type->kind == TY_struct ? a.type->count : a.parts ? 1 : 0;
    if (!a.parts || !count) return a;
    Abstract *parts = abstract_parts(p, count);
    for (int i = 0; i < count && parts; i++) {
        Abstract none = abstract_unknown(a.parts[i].type);
        parts[i] = abstract_limit(p, a.parts[i],
                                  b->parts                      ? &b->parts[i]
                                  : abstract_has_length(a.type) ? &a.parts[i]
                                                                : &none);
    }
    a.parts = parts;
    return a;
}

/* Does it make anything in the run's memory? */
static bool find_allocation(Walk *walk, Node **slot) {
    bool *found = walk->data;
    *found |= node_makes(*slot) || (*slot)->kind == N_Cudf;
    return !*found;
}

bool price_allocates(Pricer *p, Node *node) {
    bool found = false;
    Walk walk = {p->program, find_allocation, NULL, &found};
    node_walk(&walk, &node);
    return found;
}
