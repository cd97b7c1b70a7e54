/* plan_iterate.c: what the steps of an iterate take.
 *
 *     iterate({w, 0L, []}, |s| {{step(s.$0), s.$1 + 1L, flatten([s.$2, [loss]])}, s.$1 + 1L < 500L})
 *         the length of w stays; s.$1 is n, then n + 1; the length of the losses is m, then m + 1: so there are 500 steps,
 *         and the last one, which takes the most, has 499 losses
 *
 * One step is priced with names for the numbers and lengths that change, again until it is known how each does: by the same
 * amount every time, up to a bound, or in ways that are not known. If the condition compares a number that changes
 * so with one that does not, it tells how many steps there are. That is induction over the steps. Where it does not hold,
 * the steps are priced one after the other, if it is known whether to go on and they are few; or any number of them by what is
 * true of all.
 */
#include "plan_price.h"

enum { ROUNDS = 3, MOST_ROUNDS = 6, MOST_WORK = 1 << 16 };

static const Node *body_of(const Node *iterate) {
    return iterate->kids[1]->kids[0];
}

static Abstract step(Pricer *p, const Node *node, Abstract state, Abstract *again) {
    p->names[node->kids[1]->params[0]->id] = state;
    Abstract end = price_node(p, node->kids[1]->kids[0]);
    *again = abstract_part(&end, 1);
    return abstract_part(&end, 0);
}

/* What was there stays as it was, but for the most. */
static void back_to(Pricer *p, const Pricer *before) {
    p->now = before->now;
    p->live = before->live;
    p->extra = before->extra;
}

static Abstract step_unpriced(Pricer *p, const Node *node, Abstract state) {
    bool dry = p->dry;
    Pricer before = *p;
    Abstract again;
    p->dry = true;
    Abstract next = step(p, node, state, &again);
    back_to(p, &before);
    p->price = before.price;
    p->dry = dry;
    return next;
}

/* ---- induction ---- */

static bool is_counted(const Type *type) {
    return abstract_has_length(type) || type->kind == TY_i64;
}

/* What is known of all states, from what was thought and what a step then made of it. True: it is so. */
static bool agree(Pricer *p, Abstract *state, const Abstract *start, const Abstract *next) {
    const Type *type = state->type;
    bool same = true;
    if (type->kind == TY_struct) {
        Abstract *parts = abstract_parts(p, type->count);
        for (int i = 0; i < type->count && parts; i++) {
            Abstract first = abstract_part(start, i), then = abstract_part(next, i);
            parts[i] = abstract_part(state, i);
            same &= agree(p, &parts[i], &first, &then);
        }
        state->parts = parts;
        return same;
    }
    if (state->parts) {
        Abstract before = *state;
        *state = abstract_limit(p, *state, next);
        same = state->parts && state->known == before.known && state->parts[0].known == before.parts[0].known;
    }
    if (state->room < next->room) state->room = next->room, same = false;
    if (state->data != next->data) state->data = NULL, same = false;
    state->each = NULL;
    if (state->known == EXACT) {
        if (next->known == EXACT && next->n == state->n) return same;
        *state = is_counted(type) ? abstract_number(p, type) : abstract_unknown(type);
        state->moves = true;
        return false;
    }
    if (state->known == MOST) {
        if (next->known && next->n <= state->n && number_least(next) >= number_least(state)) return same;
        *state = abstract_unknown(type);
        return false;
    }
    if (!state->base || (abstract_same(state, next) && (state->moves || state->off == next->off)))
        return same;
    bool bounded = abstract_has_length(type) && state->moves && start->known && next->known;
    *state = bounded ? *start : state->moves ? abstract_unknown(type) : abstract_number(p, type);
    state->moves = !bounded && state->base;
    if (bounded && next->n > state->n) state->n = next->n;
    if (bounded) state->known = MOST;
    return false;
}

/* ceil(a / b), b > 0; 0 if a < 0 */
static int64_t steps_until(__int128 a, __int128 b) {
    if (a <= 0) return 0;
    __int128 steps = (a + b - 1) / b;
    return steps > INT64_MAX / 8 ? INT64_MAX / 8 : (int64_t)steps;
}

static bool fits(__int128 number) {
    return number >= INT64_MIN && number <= INT64_MAX;
}

/* How often x < y holds, or x <= y, x going up or y going down by `by` from step to step. False: it is not known, or the number
 * overflows on the way. */
static bool count_steps(const Abstract *x, const Abstract *y, int64_t from, int64_t by, bool equal,
                        int64_t *steps) {
    bool rises = x->moves;
    const Abstract *moving = rises ? x : y, *fixed = rises ? y : x;
    __int128 first = (__int128)from + moving->off, way = rises ? fixed->n - first : first - fixed->n;
    if (fixed->known != EXACT || !moving->base || (rises ? by <= 0 : by >= 0)) return false;
    *steps = steps_until(way + equal, rises ? by : -(__int128)by);
    __int128 last = (__int128)by * (*steps + 1);
    return fits(first + last) && fits(from + last);
}

/* A part of the state that changes by the same amount each time: by its name. */
static bool find_course(const Abstract *state, const Abstract *start, const Abstract *next, int base,
                        int64_t *from, int64_t *by) {
    if (state->type->kind == TY_struct) {
        for (int i = 0; i < state->type->count; i++) {
            Abstract s = abstract_part(state, i), first = abstract_part(start, i),
                     then = abstract_part(next, i);
            if (find_course(&s, &first, &then, base, from, by)) return true;
        }
        return false;
    }
    if (!state->moves || state->base != base || start->known != EXACT || !abstract_same(state, next))
        return false;
    *from = start->n;
    *by = next->off - state->off;
    return true;
}

/* The condition, after the step was priced: its names are still there. */
static bool known_steps(Pricer *p, const Node *node, const Abstract *state, const Abstract *start,
                        const Abstract *next, int64_t *steps) {
    const Node *end = body_of(node);
    while (end->kind == N_Let) end = end->kids[1];
    const Node *condition = end->kind == N_Struct ? end->kids[1] : end;
    int64_t from, by;
    if (condition->kind != N_Compare || condition->kids[0]->type->kind != TY_i64) return false;
    bool turned = condition->op == OP_gt || condition->op == OP_ge;
    bool equal = condition->op == OP_le || condition->op == OP_ge;
    if (!turned && !equal && condition->op != OP_lt) return false;
    Abstract x = price_node(p, condition->kids[turned]), y = price_node(p, condition->kids[!turned]);
    if (x.moves == y.moves) return false;
    if (!find_course(state, start, next, x.moves ? x.base : y.base, &from, &by)) return false;
    if (!count_steps(&x, &y, from, by, equal, steps)) return false;
    *steps = count_plus(*steps, 1); /* the first is always made */
    return true;
}

/* What is known of a state. */
typedef struct Course {
    Abstract state, start, next; /* of each; the first; of what a step makes of it */
} Course;

static Course course_part(const Course *course, int index) {
    return (Course){abstract_part(&course->state, index), abstract_part(&course->start, index),
                    abstract_part(&course->next, index)};
}

/* The state after so many steps, all that changes by the same amount each time being what it is then. */
static Abstract state_after(Pricer *p, const Course *course, int64_t steps) {
    const Abstract *state = &course->state, *start = &course->start;
    const Type *type = state->type;
    Abstract after = *state;
    if (type->kind == TY_struct) {
        after.parts = abstract_parts(p, type->count);
        for (int i = 0; i < type->count && after.parts; i++) {
            Course part = course_part(course, i);
            after.parts[i] = state_after(p, &part, steps);
        }
        return after;
    }
    if (!state->moves || !state->base) return after;
    int64_t by = course->next.off - state->off;
    after.base = after.moves = 0;
    after.known = start->known;
    after.n = abstract_has_length(type) ? count_plus(start->n, count_times(by, steps))
                                        : (int64_t)((uint64_t)start->n + (uint64_t)by * (uint64_t)steps);
    return after;
}

/* What holds before each step: lengths are at most what they are before the first or the last. */
static Abstract any_state(Pricer *p, const Abstract *state, const Abstract *first, const Abstract *last) {
    Abstract any = *state;
    const Type *type = state->type;
    if (type->kind == TY_struct) {
        any.parts = abstract_parts(p, type->count);
        for (int i = 0; i < type->count && any.parts; i++) {
            Abstract s = abstract_part(state, i), a = abstract_part(first, i), b = abstract_part(last, i);
            any.parts[i] = any_state(p, &s, &a, &b);
        }
        return any;
    }
    if (!state->moves || !last->known || !first->known) return any;
    any.known = MOST;
    if (abstract_has_length(type)) any.base = 0;
    any.lo = first->n < last->n ? first->n : last->n;
    any.n = first->n > last->n ? first->n : last->n;
    return any;
}

/* Blocks may be larger than what they hold. */
static void take_rooms(Pricer *p, Abstract *state, const Abstract *from) {
    if (state->room < from->room) state->room = from->room;
    if (state->type->kind != TY_struct || !state->parts || !from->parts) return;
    Abstract *parts = abstract_parts(p, state->type->count);
    for (int i = 0; i < state->type->count && parts; i++) {
        parts[i] = state->parts[i];
        take_rooms(p, &parts[i], &from->parts[i]);
    }
    state->parts = parts;
}

static void unprice(Pricer *p, const Pricer *before) {
    back_to(p, before);
    p->price = before->price;
}

/* False: how the state changes, or how often, is not known, or there is no promise so. */
static bool price_by_induction(Pricer *p, const Node *node, Abstract start, Abstract *last) {
    if (p->work > MOST_WORK * 16) return false; /* iterates in iterates */
    Course course = {start, start, start};
    Abstract again;
    Pricer before = *p;
    int64_t steps;
    bool agreed = false;
    for (int round = 0; round < MOST_ROUNDS && !agreed; round++) {
        course.next = step_unpriced(p, node, course.state);
        agreed = agree(p, &course.state, &start, &course.next);
    }
    bool known = agreed && known_steps(p, node, &course.state, &start, &course.next, &steps);
    unprice(p, &before);
    if (!known) return false;
    Abstract end = state_after(p, &course, steps - 1), any = any_state(p, &course.state, &start, &end);
    *last = state_after(p, &course, steps);
    Abstract made = step_unpriced(p, node, any);
    take_rooms(p, &any, &made);
    take_rooms(p, last, &made);
    if (steps > 1 && !p->inner) price_take(p, price_reach(p, &any, node));
    p->price.unshared = before.price.unshared;
    step(p, node, any, &again);
    if (p->price.why && !before.price.why) {
        unprice(p, &before);
        return false;
    }
    p->price.unshared =
        count_plus(before.price.unshared, count_times(p->price.unshared - before.price.unshared, steps));
    int64_t extra = p->extra, unshared = p->price.unshared;
    back_to(p, &before);
    if (p->inner) { /* its steps release nothing */
        p->extra = count_plus(before.extra, count_times(extra - before.extra, steps));
        return true;
    }
    price_take(p, price_reach(p, last, node));
    p->price.unshared = unshared;
    return true;
}

/* ---- one step after the other ---- */

/* As long as it is known whether to go on, and not too much work. False: it is not. */
static bool count_out(Pricer *p, const Node *node, Abstract start, Abstract *last) {
    Abstract state = start, again = {0};
    int64_t limit = p->work + MOST_WORK;
    Pricer before = *p;
    for (bool first = true;; first = false) {
        int64_t old = first ? 0 : price_reach(p, &state, node);
        back_to(p, &before);
        price_take(p, old);
        state = step(p, node, state, &again);
        if (again.known != EXACT || p->work > limit) {
            unprice(p, &before);
            return false;
        }
        if (!(again.n & 1)) break;
    }
    back_to(p, &before);
    price_take(p, price_reach(p, &state, node));
    *last = state;
    return true;
}

/* In a step there are the state that it was given, if that was made by a step, and what it makes itself. */
Abstract price_iterate(Pricer *p, Node *node) {
    Abstract start = price_node(p, node->kids[0]), state = start, again;
    if (price_by_induction(p, node, start, &state)) return state;
    if (!p->inner && count_out(p, node, start, &state)) return state;
    if (p->inner && price_allocates(p, node->kids[1]->kids[0])) /* its steps release nothing */
        price_give_up(p, node, "how many steps of an iterate in a loop make vectors is not known");
    state = start;
    for (int round = 0; round < ROUNDS; round++) {
        Abstract next = step_unpriced(p, node, state);
        state = round == 0   ? abstract_join(p, start, next, true)
                : round == 1 ? abstract_join(p, start, next, false)
                             : abstract_limit(p, state, &next);
    }
    price_take(p, price_reach(p, &state, node));
    int64_t now = p->now, live = p->live;
    step(p, node, state, &again);
    if (!p->inner)
        p->now = now, p->live = live; /* what was there and the last state, which is what it gives */
    return state;
}
