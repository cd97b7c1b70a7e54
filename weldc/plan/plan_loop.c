/* plan_loop.c: what loops make, for given arguments: how often they run, what an iteration appends, and all of them together.
 *
 *     for(rangeiter(0L, n, 1L), appender, |b, i, e| merge(b, ..)), n = 50     50 iterations, 50 elements
 *
 * A loop is not repeated: what its iterations append is the product, and the sum where it walks a vector that is written out.
 */
#include "plan_price.h"

/* What rangeiter(start, end, ..) gives. */
static Abstract elements_between(const Abstract *start, const Abstract *end) {
    const Type *type = start->type;
    if (!end->known || end->n == INT64_MIN || number_least(start) >= end->n) return abstract_unknown(type);
    return number_within(type, number_least(start), end->n - 1);
}

static Abstract eval_trips(Pricer *p, const Node *iter, Abstract *element) {
    int first = iter_classes[iter->iter].has_data;
    Abstract data = {0}, count = {0}, bounds[3];
    *element = abstract_unknown(iter->type);
    if (first) data = count = price_node(p, iter->kids[0]);
    if (data.parts) *element = data.parts[0];
    count.data = NULL;
    for (int i = first; i < iter->count; i++) {
        Abstract one = price_node(p, iter->kids[i]);
        if (i - first < 3) bounds[i - first] = one;
    }
    if (iter->iter == IT_nd || iter->count < first + 3) {
        if (iter->iter == IT_nd) count.known = UNKNOWN;
        if (iter->iter != IT_scalar && count.known == EXACT) count.known = MOST;
        return count;
    }
    const Abstract *start = &bounds[0], *end = &bounds[1], *stride = &bounds[2];
    bool one_by_one = iter->iter == IT_scalar || iter->iter == IT_range;
    int64_t way;
    count.base = 0;
    count.each = NULL;
    count.known = count.known == EXACT ? MOST : count.known;
    if (!first) count = abstract_unknown(iter->type);
    if (stride->known != EXACT || stride->n <= 0) return count;
    bool same = abstract_same(start, end), all = same || (start->known == EXACT && end->known == EXACT);
    bool over = same ? __builtin_sub_overflow(end->off, start->off, &way)
                     : __builtin_sub_overflow(end->n, number_least(start), &way);
    if (!same && !(start->known && end->known)) over = true;
    if (!over && way >= 0) {
        count.known = all && one_by_one ? EXACT : MOST;
        count.n = way / stride->n;
    }
    if (iter->iter == IT_range) *element = elements_between(start, end);
    if (first || stride->n != 1 || start->known != EXACT || !end->base) return count;
    if (__builtin_sub_overflow(end->off, start->n, &count.off)) return count;
    count.base = end->base;
    count.moves = end->moves;
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
    bool
        inside; /* the body was priced: its builders tell what an iteration appends, or all of them together */
    bool all;
} Run;

/* The same builders, for an iteration to append to. */
static Abstract lend(Pricer *p, Abstract builder) {
    const Type *type = builder.type;
    Abstract lent = builder;
    if (type->kind == TY_struct) {
        lent.parts = abstract_parts(p, type->count);
        for (int i = 0; i < type->count && lent.parts; i++)
            lent.parts[i] = lend(p, abstract_part(&builder, i));
    } else if (type->kind == TY_appender) {
        lent.known = EXACT;
        lent.n = 0;
        lent.base = 0;
        lent.lent = true;
    }
    return lent;
}

/* before and what so many iterations append, each so many. */
static Abstract appended(Abstract value, const Abstract *before, const Abstract *trips, int64_t each,
                         bool exactly) {
    value.known = UNKNOWN;
    if (before->known && trips->known) {
        value.known = exactly && trips->known == EXACT && before->known == EXACT ? EXACT : MOST;
        value.n = count_plus(before->n, count_times(trips->n, each));
    }
    if (exactly && before->known == EXACT && trips->base && each == 1) {
        value.base = trips->base;
        value.moves = trips->moves;
        value.off = count_plus(before->n, trips->off);
    } else if (exactly && before->base && trips->known == EXACT) {
        value.base = before->base;
        value.moves = before->moves;
        value.off = count_plus(before->off, count_times(trips->n, each));
    }
    return value;
}

/* What a builder, from what it was before the loop and the elements that the body merges, is behind it. */
static Abstract built(Pricer *p, const Run *run, Abstract before, Abstract body, int leaf) {
    const Type *type = before.type;
    if (type->kind == TY_struct) {
        Abstract value = {.type = type, .parts = abstract_parts(p, type->count)};
        for (int i = 0; i < type->count && value.parts; i++) {
            value.parts[i] = built(p, run, abstract_part(&before, i), abstract_part(&body, i), leaf);
            leaf += leaf_count(type->args[i]);
        }
        return value;
    }
    if (type->kind != TY_appender) return before;
    const Abstract once = {.known = EXACT, .n = 1};
    MergeBound bound = merge_bound(&p->merges, run->lambda->kids[0], run->lambda->params[0], leaf);
    Abstract value = {.type = type, .room = before.room, .lent = before.lent};
    value.parts = body.parts ? body.parts : before.parts;
    if (before.parts && body.parts && before.parts != body.parts) {
        value.parts = abstract_parts(p, 1);
        if (value.parts) value.parts[0] = abstract_join(p, before.parts[0], body.parts[0], false);
    }
    if (bound.most >= 0) {
        value = appended(value, &before, &run->trips, bound.most, bound.least == bound.most);
        if (value.known && bound.least == bound.most && value.n > value.room)
            value.room = value.n; /* made before */
        return value;
    }
    if (run->all && !body.known && body.base) return appended(value, &before, &body, 1, true);
    if (!run->inside || !body.known) return value;
    return appended(value, &before, run->all ? &once : &run->trips, body.n, body.known == EXACT);
}

/* Does each iteration merge equally often, so that threads write to their places? */
static bool is_placed(Pricer *p, const Run *run, int leaf) {
    MergeBound bound = merge_bound(&p->merges, run->lambda->kids[0], run->lambda->params[0], leaf);
    return bound.least == bound.most && run->trips.known == EXACT;
}

/* The memory of what a loop has built: taken, and what it takes while it grows. */
static void take_built(Pricer *p, const Run *run, const Abstract *after, const Node *given, int leaf) {
    const Type *type = after->type;
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count; i++) {
            Abstract part = abstract_part(after, i);
            take_built(p, run, &part, given->kind == N_Struct ? given->kids[i] : given, leaf);
            leaf += leaf_count(type->args[i]);
        }
        return;
    }
    if (type->kind == TY_dictmerger || type->kind == TY_groupmerger) {
        price_give_up(p, run->loop, "how many keys there are is not known");
        return;
    }
    if (type->kind != TY_appender) {
        return;
    }
    if (after->lent) return;
    if (!after->known) {
        price_give_up(p, run->loop, "how much a loop appends is not known");
        return;
    }
    bool settled = after->n <= after->room, fresh = given->kind == N_NewBuilder;
    int64_t size = abstract_element(type)->size, bytes = price_block(count_times(abstract_room(after), size));
    if (settled && fresh) {
        if (p->inner) price_take(p, bytes); /* else its fragment takes it */
        return;
    }
    price_need(p, count_times(3, bytes));
    price_take(p, p->inner ? count_times(2, bytes) : count_times(2, bytes) - (fresh ? bytes : 0));
}

/* Must the body be priced to know how much it appends? */
static bool appends_in_loops(Pricer *p, const Node *lambda, const Type *builder, int leaf) {
    bool found = builder->kind == TY_appender &&
                 merge_bound(&p->merges, lambda->kids[0], lambda->params[0], leaf).most < 0;
    for (int i = 0; builder->kind == TY_struct && i < builder->count && !found; i++) {
        found = appends_in_loops(p, lambda, builder->args[i], leaf);
        leaf += leaf_count(builder->args[i]);
    }
    return found;
}

static bool has_vecmerger(const Type *builder) {
    bool has = builder->kind == TY_vecmerger;
    for (int i = 0; builder->kind == TY_struct && i < builder->count && !has; i++)
        has = has_vecmerger(builder->args[i]);
    return has;
}

/* What the threads' own builders take. */
static void parts_of_team(Pricer *p, const Run *run, TeamLoop *team, const Abstract *after,
                          const Abstract *body, int leaf) {
    const Type *type = after->type;
    for (int i = 0; type->kind == TY_struct && i < type->count; i++) {
        Abstract part = abstract_part(after, i), once = abstract_part(body, i);
        parts_of_team(p, run, team, &part, &once, leaf);
        leaf += leaf_count(type->args[i]);
    }
    if (type->kind == TY_vecmerger) price_copies(p, team, after);
    if (type->kind != TY_appender || is_placed(p, run, leaf)) return;
    MergeBound bound = merge_bound(&p->merges, run->lambda->kids[0], run->lambda->params[0], leaf);
    int64_t each = bound.most >= 0 ? bound.most : run->inside && !run->all && body->known ? body->n : -1;
    price_pieces(p, team, after, each);
}

static Abstract index_of(Pricer *p, const Run *run) {
    const Type *type = run->lambda->params[1]->type;
    bool some = run->trips.known && run->trips.n > 0;
    Abstract index = some ? number_within(type, 0, run->trips.n - 1) : abstract_unknown(type);
    abstract_name(p, &index);
    return index;
}

/* What an iteration makes of its builders. */
static Abstract price_body(Pricer *p, Run *run, Abstract before, Abstract element, const Abstract *data) {
    const Node *lambda = run->lambda;
    run->inside = true;
    Abstract body = lend(p, before);
    bool each = data->each && run->loop->count == 3 && !price_allocates(p, lambda->kids[0]);
    run->all = each;
    for (int64_t i = 0; i < (each ? data->n : 1); i++) {
        p->names[lambda->params[0]->id] = body;
        p->names[lambda->params[1]->id] = index_of(p, run);
        p->names[lambda->params[2]->id] = each ? data->each[i] : element;
        abstract_name(p, &p->names[lambda->params[2]->id]);
        body = price_node(p, lambda->kids[0]);
    }
    return body;
}

void price_note_times(Pricer *p, const Node *node, int64_t times) {
    if (!p->inner && node->index > 0 && p->fragments[node->index - 1])
        p->fragments[node->index - 1]->times = (double)times;
}

Abstract price_for(Pricer *p, Node *node) {
    int iters = node->count - 2;
    const Node *lambda = node->kids[node->count - 1];
    Run run = {.loop = node, .lambda = lambda};
    TeamLoop team = {.loop = node};
    Abstract *elements = abstract_parts(p, iters);
    for (int i = 0; i < iters && elements; i++) {
        Abstract trips = eval_trips(p, node->kids[i], &elements[i]);
        bool more = trips.known > run.trips.known || (trips.base && !run.trips.known && !run.trips.base);
        bool fewer = trips.known == MOST && run.trips.known == MOST && trips.n < run.trips.n;
        if (i == 0 || more || fewer) run.trips = trips;
    }
    Node *given = node->kids[iters];
    bool outer_given = p->given;
    p->given = true;
    Abstract before = price_node(p, given), body = before;
    p->given = outer_given;
    bool nested = merges_pointers(node->type), makes = price_allocates(p, lambda->kids[0]);
    bool appends = appends_in_loops(p, lambda, node->type, 0);
    if ((nested || makes || appends) && elements) {
        Abstract element = elements[0];
        if (iters > 1) element = (Abstract){.type = lambda->params[2]->type, .parts = elements};
        int64_t outer = p->extra;
        p->extra = 0;
        p->inner++;
        body = price_body(p, &run, before, element, &run.trips);
        p->inner--;
        int64_t made = p->extra;
        p->extra = outer;
        if (makes && nested && !run.trips.known)
            price_give_up(p, node, "how often a loop runs that makes vectors is not known");
        team.made = made;
        team.kept = nested;
        int64_t all = nested ? count_times(made, run.trips.n) : made;
        if (nested)
            price_take(p, all);
        else
            price_need(p, count_plus(all, made));
    }
    Abstract after = built(p, &run, before, body, 0);
    price_note_times(p, node, run.trips.known ? run.trips.n : 0);
    take_built(p, &run, &after, given, 0);
    if (price_is_parallel(p)) {
        team.trips = &run.trips;
        team.tables = has_vecmerger(node->type);
        parts_of_team(p, &run, &team, &after, &body, 0);
        price_team(p, &team);
    }
    return after;
}
