/* plan_price.c: how many bytes a plan takes for given arguments, before it runs: the promise.
 *
 *     |v: vec[f64], n: i64| let a = map(v, ..); let s = sum(a); let c = result(for(rangeiter(0L, 2L * n, 1L), ..)); ..
 *         v of 1000, n = 50:   a 8000 + 64, until s is done; c 800 + 64; planned 8864 and what is small
 *
 * The program is run once without data: of a scalar its value, of a vector its length, each exact, at most, or unknown; a
 * loop is not repeated, of an if both arms are taken where the condition is unknown, and an iterate until its state's
 * lengths do not grow, or are unknown. Each fragment adds its blocks before it and releases behind it what the plan says
 * (cg_release.c does the same when it runs), so the most that is there at once is known. What a block takes is what
 * lang/region.c takes: its bytes and a header. Appenders of which only a bound is known grow by doubling. To the most comes
 * what the spares of a run may be (lang/budget.c).
 *
 * A promise is made or it is not: where a length or an algorithm has no bound (dictionaries, groups, vectors whose elements
 * are made in loops, a state that grows by each step), `open` is the fragment and `why` says so. What is kept for a gradient
 * (lang/grad_again.c) takes at most memory_room() each time that is asked for.
 *
 * Abstract interpretation: Cousot and Cousot, POPL 1977; the lattice is {exact n} < {at most n} < unknown.
 */
#include "weldc.h"

#include <string.h>

enum { SMALL = 108 << 10, ROUNDS = 3, DEEPEST = 64, MOST_WORK = 1 << 16 };

typedef enum Known { UNKNOWN, MOST, EXACT } Known;

typedef struct Abstract Abstract;
struct Abstract {
    const Type *type;
    Known known;
    int64_t n; /* of a vector or what builds one: its length; of a scalar its bits, MOST: of i64 only */
    const void *data; /* of a vector that is an argument, or NULL */
    Abstract *
        parts; /* of a struct: its fields; of a vector, or what builds one, of elements with vectors: one for all; or NULL */
};

/* Buffers that a fragment needs last: a list. */
typedef struct Dying Dying;
struct Dying {
    Buffer *buffer;
    Dying *next;
};

typedef struct Pricer {
    Program *program;
    Arena arena;
    Abstract *names; /* by symbol id */
    Fragment **fragments;
    Dying **dying; /* by fragment */
    int nfragments;
    Merges merges;
    bool dry, saving, threads;
    bool given; /* a loop is given the builders that are made */
    int inner;  /* loops around */
    int64_t now, live, extra;
    int64_t work; /* nodes so far */
    PlanPrice price;
    int64_t room;
} Pricer;

static Abstract eval(Pricer *p, Node *node);

static void give_up(Pricer *p, const Node *at, const char *why) {
    if (p->price.why || p->dry) return;
    p->price.why = why;
    p->price.span = at->span;
}

static Abstract unknown_of(const Type *type) {
    return (Abstract){.type = type};
}

static Abstract *parts_new(Pricer *p, int count) {
    return arena_alloc(&p->arena, sizeof(Abstract) * (size_t)(count + 1));
}

static Abstract part_of(const Abstract *value, int index) {
    return value->parts ? value->parts[index] : unknown_of(value->type->args[index]);
}

static const Type *element_of(const Type *type) {
    return type->args[type->count - 1];
}

static bool has_length(const Type *type) {
    return type->kind == TY_vec || type->kind == TY_appender || type->kind == TY_vecmerger;
}

/* ---- bytes ---- */

static int64_t times(int64_t a, int64_t b) {
    int64_t product;
    return __builtin_mul_overflow(a, b, &product) ? INT64_MAX / 8 : product;
}

static int64_t plus(int64_t a, int64_t b) {
    int64_t sum;
    return __builtin_add_overflow(a, b, &sum) ? INT64_MAX / 8 : sum;
}

static int64_t block_of(int64_t bytes) {
    return bytes ? plus((bytes + 15) / 16 * 16, REGION_HEADER) : REGION_HEADER;
}

/* What the value reaches. Vectors of vectors in a program that saves are counted where room is asked for. */
static int64_t reach(Pricer *p, const Abstract *value, const Node *at) {
    const Type *type = value->type;
    if (!type->pointers || type->kind == TY_merger) return 0;
    int64_t bytes = 0;
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            Abstract part = part_of(value, i);
            bytes = plus(bytes, reach(p, &part, at));
        }
        return bytes;
    }
    if (!has_length(type)) {
        give_up(p, at, "how large a dictionary gets is not known");
        return 0;
    }
    if (!value->known) {
        give_up(p, at, "the length of a vector is not known");
        return 0;
    }
    const Type *element = element_of(type);
    bytes = block_of(times(value->n, element->size));
    if (!element->pointers || p->saving || value->data) return bytes;
    Abstract one = value->parts ? value->parts[0] : unknown_of(element);
    return value->n ? plus(bytes, times(value->n, reach(p, &one, at))) : bytes;
}

static void take(Pricer *p, int64_t bytes) {
    if (p->inner) {
        p->extra = plus(p->extra, bytes);
        return;
    }
    p->now = plus(p->now, bytes);
    p->live = plus(p->live, bytes);
    if (p->now > p->price.planned) p->price.planned = p->now;
    if (p->live > p->price.live) p->price.live = p->live;
    p->price.unshared = plus(p->price.unshared, bytes);
}

static void give(Pricer *p, int64_t bytes) {
    p->now -= bytes;
    p->live -= bytes;
}

/* What an algorithm takes while it runs. */
static void need(Pricer *p, int64_t bytes) {
    if (p->inner)
        p->extra = plus(p->extra, bytes);
    else if (plus(p->now, bytes) > p->price.planned)
        p->price.planned = plus(p->now, bytes);
}

/* ---- joining what may be ---- */

static Abstract join(Pricer *p, Abstract a, Abstract b, bool widen) {
    Abstract both = {.type = a.type};
    if (a.known && b.known && a.n == b.n) {
        both.known = a.known < b.known ? a.known : b.known;
        both.n = a.n;
        both.data = a.data == b.data ? a.data : NULL;
    } else if (a.known && b.known && !widen && has_length(a.type)) {
        both.known = MOST;
        both.n = a.n > b.n ? a.n : b.n;
    }
    int count = a.type->kind == TY_struct ? a.type->count : has_length(a.type) ? 1 : 0;
    bool has = a.type->kind == TY_struct || (a.parts && b.parts);
    if (!has_length(a.type) || element_of(a.type)->pointers) {
        if (!has && (a.parts || b.parts))
            both.parts = a.parts ? a.parts : b.parts; /* the other has no elements */
        if (has && count) both.parts = parts_new(p, count);
        for (int i = 0; has && i < count && both.parts; i++) {
            const Type *type = a.type->kind == TY_struct ? a.type->args[i] : element_of(a.type);
            both.parts[i] = join(p, a.parts ? a.parts[i] : unknown_of(type),
                                 b.parts ? b.parts[i] : unknown_of(type), widen);
        }
    }
    return both;
}

/* ---- arguments ---- */

static Abstract argument(Pricer *p, const Type *type, const void *data, int depth) {
    Abstract value = {.type = type};
    if (!data || depth > DEEPEST) return value;
    if (type->kind == TY_struct) {
        value.parts = parts_new(p, type->count);
        for (int i = 0; i < type->count && value.parts; i++)
            value.parts[i] = argument(p, type->args[i], (const char *)data + type->offsets[i], depth + 1);
    } else if (type->kind == TY_vec) {
        Vec vec;
        memcpy(&vec, data, sizeof vec);
        value.known = EXACT;
        value.n = vec.length;
        value.data = vec.data;
        const Type *element = type->args[0];
        if (!element->pointers || !vec.length) return value;
        value.parts = parts_new(p, 1);
        for (int64_t i = 0; i < vec.length && value.parts; i++) {
            Abstract one = argument(p, element, (const char *)vec.data + i * element->size, depth + 1);
            value.parts[0] = i ? join(p, value.parts[0], one, false) : one;
        }
    } else if (type_is_scalar(type) && type->size <= 8) {
        value.known = EXACT;
        memcpy(&value.n, data, (size_t)type->size);
    }
    return value;
}

/* ---- scalars ---- */

static Abstract exact(const Type *type, int64_t bits) {
    return (Abstract){.type = type, .known = EXACT, .n = bits};
}

static bool is_number(const Type *type) {
    return type_is_scalar(type) && type->size <= 8;
}

static Abstract scalar(const Node *node, const Abstract *a, const Abstract *b) {
    const Type *from = a->type;
    Abstract value = unknown_of(node->type);
    bool both = a->known == EXACT && (!b || b->known == EXACT);
    if (!is_number(from) || !is_number(node->type)) return value;
    if (node->kind == N_Binary && node->op == OP_min && from->kind == TY_i64 && !both &&
        (a->known || b->known)) {
        value.known = MOST;
        value.n = !b->known || (a->known && a->n < b->n) ? a->n : b->n;
        return value;
    }
    if (!both) return value;
    value.n = 0;
    switch (node->kind) {
    case N_Binary:
        if (scalar_binary(node->op, from, &a->n, &b->n, &value.n)) value.known = EXACT;
        break;
    case N_Compare:
        value.n = scalar_compare(node->op, from, &a->n, &b->n);
        value.known = EXACT;
        break;
    case N_Unary:
        scalar_unary(node->op, from, &a->n, &value.n);
        value.known = EXACT;
        break;
    default:
        scalar_cast(from, &a->n, node->type, &value.n);
        value.known = EXACT;
        break;
    }
    return value;
}

/* ---- vectors ---- */

static Abstract eval_lookup(Pricer *p, const Node *node) {
    Abstract vec = eval(p, node->kids[0]), index = eval(p, node->kids[1]);
    const Type *element = node->type;
    if (vec.type->kind != TY_vec) return unknown_of(node->type);
    bool at_hand = vec.data && index.known == EXACT && vec.known == EXACT && index.n >= 0 && index.n < vec.n;
    if (at_hand) return argument(p, element, (const char *)vec.data + index.n * element->size, 0);
    return vec.parts ? vec.parts[0] : unknown_of(element);
}

static Abstract eval_slice(Pricer *p, const Node *node) {
    Abstract vec = eval(p, node->kids[0]), start = eval(p, node->kids[1]), size = eval(p, node->kids[2]);
    Abstract part = {.type = node->type, .parts = vec.parts};
    bool all = vec.known == EXACT && start.known == EXACT && size.known == EXACT;
    int64_t left = vec.n - (start.known == EXACT ? start.n : 0);
    if (all && start.n >= 0 && size.n >= 0) {
        part.known = EXACT;
        part.n = left < 0 ? 0 : left < size.n ? left : size.n;
        if (vec.data && start.n <= vec.n)
            part.data = (const char *)vec.data + start.n * node->type->args[0]->size;
    } else if (vec.known || size.known) {
        part.known = MOST;
        part.n = !size.known || (vec.known && vec.n < size.n) ? vec.n : size.n;
        if (part.n < 0) part.n = 0;
    }
    return part;
}

static Abstract eval_vec(Pricer *p, const Node *node) {
    Abstract vec = {.type = node->type, .known = EXACT, .n = node->count};
    bool nested = node->type->args[0]->pointers && node->count;
    if (nested) vec.parts = parts_new(p, 1);
    for (int i = 0; i < node->count; i++) {
        Abstract one = eval(p, node->kids[i]);
        if (nested && vec.parts) vec.parts[0] = i ? join(p, vec.parts[0], one, false) : one;
    }
    if (node->count) take(p, block_of(times(node->count, node->type->args[0]->size)));
    return vec;
}

/* ---- loops ---- */

/* Does it make anything in the run's memory? */
static bool find_allocation(Walk *walk, Node **slot) {
    bool *found = walk->data;
    *found |= node_makes(*slot) || (*slot)->kind == N_Cudf;
    return !*found;
}

static bool allocates(Pricer *p, Node *node) {
    bool found = false;
    Walk walk = {p->program, find_allocation, NULL, &found};
    node_walk(&walk, &node);
    return found;
}

static Abstract eval_trips(Pricer *p, const Node *iter, Abstract *element) {
    int first = iter_classes[iter->iter].has_data;
    Abstract data = {0}, count = {0}, bounds[3];
    *element = unknown_of(iter->type);
    if (first) data = count = eval(p, iter->kids[0]);
    if (data.parts) *element = data.parts[0];
    count.data = NULL;
    for (int i = first; i < iter->count; i++) {
        Abstract one = eval(p, iter->kids[i]);
        if (i - first < 3) bounds[i - first] = one;
    }
    if (iter->iter == IT_nd || iter->count < first + 3) {
        if (iter->iter == IT_nd) count.known = UNKNOWN;
        if (iter->iter != IT_scalar && count.known == EXACT) count.known = MOST;
        return count;
    }
    bool all = bounds[0].known == EXACT && bounds[1].known == EXACT && bounds[2].known == EXACT;
    int64_t way;
    if (all && bounds[2].n > 0 && bounds[1].n >= bounds[0].n &&
        !__builtin_sub_overflow(bounds[1].n, bounds[0].n, &way)) {
        count.known = iter->iter == IT_scalar || iter->iter == IT_range ? EXACT : MOST;
        count.n = way / bounds[2].n;
    } else if (count.known == EXACT) {
        count.known = MOST;
    } else if (!first) {
        count.known = UNKNOWN;
    }
    return count;
}

static bool merges_pointers(const Type *builder) {
    for (int i = 0; i < builder->count; i++) {
        if (builder->kind == TY_struct ? merges_pointers(builder->args[i]) : builder->args[i]->pointers)
            return true;
    }
    return false;
}

typedef struct Run {
    const Node *loop, *lambda;
    Abstract trips;
} Run;

/* What a builder, from what it was before the loop and the elements that the body merges, is behind it. */
static Abstract built(Pricer *p, const Run *run, Abstract before, Abstract body, int leaf) {
    const Type *type = before.type;
    if (type->kind == TY_struct) {
        Abstract value = {.type = type, .parts = parts_new(p, type->count)};
        for (int i = 0; i < type->count && value.parts; i++) {
            value.parts[i] = built(p, run, part_of(&before, i), part_of(&body, i), leaf);
            leaf += leaf_count(type->args[i]);
        }
        return value;
    }
    if (type->kind != TY_appender) return before;
    MergeBound bound = merge_bound(&p->merges, run->lambda->kids[0], run->lambda->params[0], leaf);
    Abstract value = {.type = type, .parts = body.parts ? body.parts : before.parts};
    if (before.parts && body.parts && before.parts != body.parts) {
        value.parts = parts_new(p, 1);
        if (value.parts) value.parts[0] = join(p, before.parts[0], body.parts[0], false);
    }
    if (bound.most < 0 || !run->trips.known || !before.known) return value;
    value.known =
        bound.least == bound.most && run->trips.known == EXACT && before.known == EXACT ? EXACT : MOST;
    value.n = plus(before.n, times(run->trips.n, bound.most));
    return value;
}

/* The memory of what a loop has built: taken, and what it takes while it grows. */
static void take_built(Pricer *p, const Run *run, const Abstract *before, const Abstract *after,
                       const Node *given) {
    const Type *type = after->type;
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            Abstract a = part_of(before, i), b = part_of(after, i);
            take_built(p, run, &a, &b, given->kind == N_Struct ? given->kids[i] : given);
        }
        return;
    }
    if (type->kind == TY_dictmerger || type->kind == TY_groupmerger) {
        give_up(p, run->loop, "how many keys there are is not known");
        return;
    }
    if (type->kind != TY_appender) {
        if (type->kind == TY_vecmerger && p->threads)
            give_up(p, run->loop, "how many copies of its vector the threads make is not known");
        return;
    }
    if (!after->known) {
        give_up(p, run->loop, "how much a loop appends is not known");
        return;
    }
    if (after->known == MOST && p->threads) give_up(p, run->loop, "what several threads append is not known");
    int64_t size = element_of(type)->size, bytes = block_of(times(after->n, size));
    bool exact_room = after->known == EXACT && given->kind == N_NewBuilder && !given->count;
    if (exact_room && !p->inner) return; /* its fragment takes it */
    need(p, times(3, bytes));
    take(p, p->inner ? times(2, bytes) : times(2, bytes) - (given->kind == N_NewBuilder ? bytes : 0));
}

static Abstract eval_for(Pricer *p, Node *node) {
    int iters = node->count - 2;
    const Node *lambda = node->kids[node->count - 1];
    Run run = {node, lambda, {0}};
    Abstract *elements = parts_new(p, iters);
    for (int i = 0; i < iters && elements; i++) {
        Abstract trips = eval_trips(p, node->kids[i], &elements[i]);
        if (i == 0 || trips.known > run.trips.known) run.trips = trips;
    }
    Node *given = node->kids[iters];
    bool outer_given = p->given;
    p->given = true;
    Abstract before = eval(p, given), body = before;
    p->given = outer_given;
    bool nested = merges_pointers(node->type), makes = allocates(p, lambda->kids[0]);
    if ((nested || makes) && elements) {
        Abstract element = elements[0];
        if (iters > 1) element = (Abstract){.type = lambda->params[2]->type, .parts = elements};
        p->names[lambda->params[0]->id] = before;
        p->names[lambda->params[1]->id] = unknown_of(lambda->params[1]->type);
        p->names[lambda->params[2]->id] = element;
        int64_t outer = p->extra;
        p->extra = 0;
        p->inner++;
        body = eval(p, lambda->kids[0]);
        p->inner--;
        int64_t made = p->extra;
        p->extra = outer;
        if (makes && nested && !run.trips.known)
            give_up(p, node, "how often a loop runs that makes vectors is not known");
        if (p->threads && made) give_up(p, node, "what several threads make at once is not known");
        int64_t all = nested ? times(made, run.trips.n) : made;
        if (nested)
            take(p, all);
        else
            need(p, plus(all, made));
    }
    Abstract after = built(p, &run, before, body, 0);
    take_built(p, &run, &before, &after, given);
    return after;
}

/* ---- iterate ---- */

/* Where b says more than a, unknown. */
static Abstract limit(Pricer *p, Abstract a, const Abstract *b) {
    if (a.known && (!b->known || b->n > a.n || (a.known == EXACT && (b->known != EXACT || b->n != a.n)))) {
        bool fits = has_length(a.type) && b->known && b->n <= a.n;
        a.known = fits ? MOST : UNKNOWN;
        a.data = NULL;
    }
    int count = a.type->kind == TY_struct ? a.type->count : a.parts ? 1 : 0;
    if (!a.parts || !count) return a;
    Abstract *parts = parts_new(p, count);
    for (int i = 0; i < count && parts; i++) {
        Abstract none = unknown_of(a.parts[i].type);
        parts[i] = limit(p, a.parts[i], b->parts ? &b->parts[i] : has_length(a.type) ? &a.parts[i] : &none);
    }
    a.parts = parts;
    return a;
}

static Abstract step(Pricer *p, const Node *node, Abstract state, Abstract *again) {
    p->names[node->kids[1]->params[0]->id] = state;
    Abstract end = eval(p, node->kids[1]->kids[0]);
    *again = part_of(&end, 1);
    return part_of(&end, 0);
}

/* What was there stays as it was, but for the most. */
static void back_to(Pricer *p, const Pricer *before) {
    p->now = before->now;
    p->live = before->live;
    p->extra = before->extra;
}

/* Step by step, as long as it is known whether to go on, and not too much work. False: it is not. */
static bool count_out(Pricer *p, const Node *node, Abstract start, Abstract *last) {
    Abstract state = start, again = {0};
    int64_t limit = p->work + MOST_WORK;
    Pricer before = *p;
    for (bool first = true;; first = false) {
        int64_t old = first ? 0 : reach(p, &state, node);
        back_to(p, &before);
        take(p, old);
        state = step(p, node, state, &again);
        if (again.known != EXACT || p->work > limit) {
            back_to(p, &before);
            p->price = before.price;
            return false;
        }
        if (!(again.n & 1)) break;
    }
    back_to(p, &before);
    take(p, reach(p, &state, node));
    *last = state;
    return true;
}

/* In a step there are the state that it was given, if that was made by a step, and what it makes itself. */
static Abstract eval_iterate(Pricer *p, Node *node) {
    Abstract start = eval(p, node->kids[0]), state = start, again;
    if (!p->inner && count_out(p, node, start, &state)) return state;
    if (p->inner && allocates(p, node->kids[1]->kids[0])) /* its steps release nothing */
        give_up(p, node, "how many steps of an iterate in a loop make vectors is not known");
    state = start;
    bool dry = p->dry;
    Pricer before = *p;
    p->dry = true;
    for (int round = 0; round < ROUNDS; round++) {
        Abstract next = step(p, node, state, &again);
        state = round == 0   ? join(p, start, next, true)
                : round == 1 ? join(p, start, next, false)
                             : limit(p, state, &next);
    }
    p->now = before.now, p->live = before.live, p->extra = before.extra;
    p->price = before.price;
    p->dry = dry;
    int64_t old = reach(p, &state, node);
    take(p, old);
    int64_t now = p->now, live = p->live;
    step(p, node, state, &again);
    if (!p->inner)
        p->now = now, p->live = live; /* what was there and the last state, which is what it gives */
    return state;
}

/* ---- the other nodes ---- */

static Abstract eval_choice(Pricer *p, Node *node) {
    Abstract condition = eval(p, node->kids[0]);
    int arms = node->count - 1;
    int64_t now = p->now, live = p->live, most = 0, most_live = 0;
    Abstract value = unknown_of(node->type);
    for (int i = 0; i < arms; i++) {
        p->now = now, p->live = live;
        Abstract arm = eval(p, node->kids[i + 1]);
        value = i ? join(p, value, arm, false) : arm;
        if (p->now > most) most = p->now;
        if (p->live > most_live) most_live = p->live;
    }
    p->now = most, p->live = most_live;
    if (node->kind != N_If) return unknown_of(node->type);
    if (condition.known == EXACT && is_number(node->type))
        return eval(p, node->kids[condition.n & 1 ? 1 : 2]);
    return value;
}

static Abstract eval_fill(Pricer *p, const Node *node) {
    Abstract size = eval(p, node->kids[0]), value = unknown_of(node->type);
    for (int i = 1; i < node->count; i++) eval(p, node->kids[i]);
    if (node->type->kind == TY_vec && is_number(node->kids[0]->type) && !node->type->args[0]->pointers) {
        value.known = size.known;
        value.n = size.n;
    }
    bool owned = !p->inner && node->index > 0 && value.type->kind == TY_vec; /* the fragment takes it */
    if (!owned || !value.known) take(p, reach(p, &value, node));
    return value;
}

static Abstract eval_other(Pricer *p, Node *node) {
    for (int i = 0; i < node->count; i++) {
        if (node->kids[i]->kind != N_Lambda) eval(p, node->kids[i]);
    }
    bool open = node->kind == N_ToVec || node->kind == N_Serialize || node->kind == N_Deserialize ||
                node->kind == N_Cudf;
    if (open) give_up(p, node, "how much this makes is not known");
    return unknown_of(node->type);
}

static Abstract eval_result(Pricer *p, Node *node) {
    Abstract builder = eval(p, node->kids[0]);
    Abstract value = {.type = node->type, .known = builder.known, .n = builder.n, .parts = builder.parts};
    if (node->type->kind == TY_vec && node->kids[0]->type->kind != TY_groupmerger) return value;
    if (node->type->kind == TY_dict || node->type->kind == TY_vec)
        give_up(p, node, "how many keys there are is not known");
    return unknown_of(node->type);
}

static Abstract eval_new(Pricer *p, const Node *node) {
    Abstract value = {.type = node->type, .known = EXACT};
    bool given = p->given;
    p->given = false;
    Abstract first = node->count ? eval(p, node->kids[0]) : (Abstract){0};
    p->given = given;
    if (node->type->kind == TY_vecmerger) {
        value.known = first.known;
        value.n = first.n;
        bool owned = !p->inner && (given || node->index > 0); /* the fragment takes it */
        if (!owned && first.known) take(p, block_of(times(first.n, element_of(node->type)->size)));
        if (!first.known) give_up(p, node, "the length of a vector is not known");
    } else if (node->type->kind == TY_appender && node->count) {
        need(p, first.known ? times(first.n, element_of(node->type)->size) : 0);
    }
    return value;
}

static Abstract eval_merge(Pricer *p, const Node *node) {
    Abstract builder = eval(p, node->kids[0]), value = eval(p, node->kids[1]);
    if (builder.type->kind != TY_appender) return builder;
    if (builder.known) builder.n = plus(builder.n, 1);
    if (element_of(builder.type)->pointers) {
        Abstract *parts = parts_new(p, 1);
        if (parts) parts[0] = builder.parts ? join(p, builder.parts[0], value, false) : value;
        builder.parts = parts;
    }
    if (builder.known) need(p, times(3, block_of(times(builder.n, element_of(builder.type)->size))));
    return builder;
}

static Abstract eval_sort(Pricer *p, const Node *node) {
    enum { SCRATCH = 40 };
    Abstract vec = eval(p, node->kids[0]);
    int64_t bytes = times(vec.n, node->type->args[0]->size);
    if (!vec.known) give_up(p, node, "the length of a vector is not known");
    if (p->threads) give_up(p, node, "what several threads need to sort is not known");
    if (allocates(p, node->kids[1]->kids[0])) give_up(p, node, "what an order makes is not known");
    if (vec.known) need(p, plus(times(3, bytes), times(SCRATCH, vec.n)));
    if (vec.known && p->inner) take(p, bytes);
    vec.data = NULL;
    return vec;
}

static Abstract eval_node(Pricer *p, Node *node) {
    Abstract value, other;
    switch (node->kind) {
    case N_Literal:
        return is_number(node->type) ? exact(node->type, (int64_t)node->bits) : unknown_of(node->type);
    case N_String: return (Abstract){.type = node->type, .known = EXACT, .n = (int64_t)node->bits};
    case N_Ident: return p->names[node->symbol->id];
    case N_Field: value = eval(p, node->kids[0]); return part_of(&value, node->index);
    case N_Struct:
        value = (Abstract){.type = node->type, .parts = parts_new(p, node->count)};
        for (int i = 0; i < node->count && value.parts; i++) value.parts[i] = eval(p, node->kids[i]);
        return value;
    case N_Vec: return eval_vec(p, node);
    case N_Unary:
    case N_Cast: value = eval(p, node->kids[0]); return scalar(node, &value, NULL);
    case N_Binary:
    case N_Compare:
        value = eval(p, node->kids[0]);
        other = eval(p, node->kids[1]);
        return scalar(node, &value, &other);
    case N_And:
    case N_Or:
    case N_If: return eval_choice(p, node);
    case N_Assert: /* or the run ends here */ eval(p, node->kids[0]); return exact(node->type, true);
    case N_Select: {
        Abstract condition = eval(p, node->kids[0]);
        value = eval(p, node->kids[1]);
        other = eval(p, node->kids[2]);
        if (condition.known == EXACT) return condition.n & 1 ? value : other;
        return join(p, value, other, false);
    }
    case N_Len:
        value = eval(p, node->kids[0]);
        return (Abstract){.type = node->type, .known = value.known, .n = value.n};
    case N_Lookup: return eval_lookup(p, node);
    case N_Slice: return eval_slice(p, node);
    case N_Sort: return eval_sort(p, node);
    case N_Cfill: return eval_fill(p, node);
    case N_Iterate: return eval_iterate(p, node);
    case N_For: return eval_for(p, node);
    case N_NewBuilder: return eval_new(p, node);
    case N_Merge: return eval_merge(p, node);
    case N_Result: return eval_result(p, node);
    case N_After: eval(p, node->kids[1]); return eval(p, node->kids[0]);
    case N_Checkpoint: return eval(p, node->kids[0]);
    case N_Room:
        take(p, p->room);
        if (!p->dry) p->price.rooms++;
        return exact(node->type, p->room);
    default: return eval_other(p, node);
    }
}

/* ---- fragments: what the plan owns ---- */

static bool is_owned(const Buffer *buffer) {
    return buffer->owns != OWNS_NOTHING;
}

static const Abstract *leaf_at_number(const Abstract *value, int leaf, Abstract *room) {
    while (value->type->kind == TY_struct) {
        int i = 0;
        for (; leaf >= leaf_count(value->type->args[i]); i++) leaf -= leaf_count(value->type->args[i]);
        *room = part_of(value, i);
        Abstract copy = *room;
        room->parts = copy.parts;
        value = room;
    }
    return value;
}

static void account(Pricer *p, const Fragment *fragment, const Abstract *value) {
    for (int k = 0; k < fragment->noutputs; k++) {
        Buffer *made = fragment->outputs[k];
        Abstract room;
        made->bytes = 0;
        if (!is_owned(made)) continue;
        const Abstract *leaf = leaf_at_number(value, made->leaf, &room);
        if (!leaf->known) give_up(p, fragment->node, "the length of a vector is not known");
        made->bytes = leaf->known ? block_of(times(leaf->n, element_of(leaf->type)->size)) : 0;
        Buffer *heir_of = made->place ? fragment->walks[made->place - 1] : made->begins ? made->start : NULL;
        if (heir_of) give(p, heir_of->bytes);
        take(p, made->bytes);
    }
    for (const Dying *dies = p->dying[fragment->number]; dies; dies = dies->next) {
        if (!dies->buffer->heir) give(p, dies->buffer->bytes);
        dies->buffer->bytes = 0;
    }
}

static Abstract eval(Pricer *p, Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) p->names[node->symbol->id] = eval(p, node->kids[0]);
    p->work++;
    Abstract value = eval_node(p, node);
    int number = node->kind == N_Field || node->kind == N_Ident ? -1 : node->index - 1;
    if (number >= 0 && number < p->nfragments && p->fragments[number] && !p->inner)
        account(p, p->fragments[number], &value);
    return value;
}

static int last_number(const Plan *plan) {
    int last = -1;
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        if (fragment->number > last) last = fragment->number;
        for (int k = 0; k < fragment->ninner; k++) {
            int inner = last_number(fragment->inner[k]);
            if (inner > last) last = inner;
        }
    }
    return last;
}

static void list_fragments(Pricer *p, const Plan *plan) {
    for (int i = 0; i < plan->nfragments; i++) {
        Fragment *fragment = p->fragments[plan->fragments[i]->number] = plan->fragments[i];
        for (int k = 0; k < fragment->noutputs; k++) {
            Buffer *made = fragment->outputs[k];
            if (!is_owned(made) || made->last < 0 || made->last == LIVES_ON) continue;
            Dying *dies = arena_alloc(&p->arena, sizeof *dies);
            if (!dies) return;
            int at = plan->fragments[plan_at(plan, made->last)]->number;
            *dies = (Dying){made, p->dying[at]};
            p->dying[at] = dies;
        }
        for (int k = 0; k < plan->fragments[i]->ninner; k++) list_fragments(p, plan->fragments[i]->inner[k]);
    }
}

static void price_root(void *data) {
    Pricer *p = data;
    Abstract result = eval(p, p->program->root->kids[0]);
    (void)result;
}

static bool find_room(Walk *walk, Node **slot) {
    Pricer *p = walk->data;
    p->saving |= (*slot)->kind == N_Room;
    return !p->saving;
}

bool plan_price(Program *program, const Plan *plan, const void *args, int64_t room, bool threads,
                PlanPrice *price) {
    Pricer p = {.program = program, .nfragments = last_number(plan) + 1, .room = room, .threads = threads};
    const Type *type = program_argument_type(program);
    size_t symbols = (size_t)program->symbols + 1;
    if (!type || !arena_init(&p.arena)) return false;
    p.names = arena_alloc(&p.arena, sizeof *p.names * symbols);
    p.merges.roots = arena_alloc(&p.arena, sizeof *p.merges.roots * symbols);
    p.fragments = arena_alloc(&p.arena, sizeof *p.fragments * (size_t)(p.nfragments + 1));
    p.dying = arena_alloc(&p.arena, sizeof *p.dying * (size_t)(p.nfragments + 1));
    bool ok = p.names && p.merges.roots && p.fragments && p.dying;
    if (ok) {
        list_fragments(&p, plan);
        Walk walk = {program, find_room, NULL, &p};
        node_walk(&walk, &program->root);
        const Node *root = program->root;
        for (int i = 0; i < root->nparams; i++)
            p.names[root->params[i]->id] =
                argument(&p, type->args[i], (const char *)args + type->offsets[i], 0);
        ok = run_deep((size_t)node_depth(program->root) * 2, price_root, &p) && !p.arena.exhausted;
        p.price.planned = plus(plus(p.price.planned, budget_allowance(p.price.planned)), SMALL);
        *price = p.price;
    }
    arena_release(&p.arena);
    return ok;
}
