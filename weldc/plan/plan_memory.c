/* plan_memory.c: how many bytes of vectors live at once when a plan runs, as a formula of what is known when it starts.
 *
 *     fragment 0 makes a: vec[f64], len(v), until 1              8 * len(v)
 *     fragment 1 makes c: vec[f64], len(v), in the place of a    8 * len(v)
 *     fragment 2 makes d: vec[i32], len(v), in the result        8 * len(v) + 4 * len(v)      the most
 *
 * One walk along the plan: a fragment's outputs are added before it, what it needs last is taken away behind it. A block
 * is released exactly then and fits exactly, so the most that lives at once is also what a run takes for these vectors:
 * the plan is its own lower bound. Formulas are compared as if all lengths in them were a million. An inner plan adds the
 * most of its own; the state of an iterate is there beside what the step makes of it.
 *
 * Not in it: arguments, which are the caller's, dictionaries, vectors that loops make inside, and what an algorithm needs
 * while it works (room to grow where only a bound is known, the scratch of a sort, threads' own copies).
 */
#include "../weldc.h"

enum { ASSUMED = 1000000 };

typedef struct Sum {
    PlanBytes bytes;
    double value; /* with the assumed lengths */
} Sum;

/* They wrap: lengths that cannot be are no reason to stop. */
static int64_t product(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a * (uint64_t)b);
}
static int64_t plus(int64_t a, int64_t b) {
    return (int64_t)((uint64_t)a + (uint64_t)b);
}

/* Adds elements, `times` (1 or -1) as many as the size says. */
static void add(Sum *sum, Size size, const Buffer *self, int64_t element, int times) {
    PlanBytes *bytes = &sum->bytes;
    bool known = size.known != SIZE_UNKNOWN;
    while (known && size.length && size.factor && size.length->size.known == SIZE_AT_MOST) {
        int64_t factor = size.factor; /* a length that is bounded itself */
        Size bound = size.length->size;
        size.constant = plus(size.constant, product(factor, bound.constant));
        size.factor = product(factor, bound.factor);
        size.length = bound.length;
        size.trips = bound.trips;
    }
    int64_t constant = product(times * element, known ? size.constant : 0);
    int64_t factor = product(times * element, known ? size.factor : 1);
    bytes->constant = plus(bytes->constant, constant);
    sum->value += (double)constant + (double)factor * ASSUMED;
    if (!factor) return;
    const Buffer *length = known ? size.length : self;
    const Fragment *trips = known ? size.trips : NULL;
    int at = 0;
    while (at < bytes->count && (bytes->term[at].length != length || bytes->term[at].trips != trips)) at++;
    if (at == PLAN_TERMS) {
        bytes->others = plus(bytes->others, factor);
        return;
    }
    if (at == bytes->count) {
        bytes->term[bytes->count].factor = 0;
        bytes->term[at].length = length;
        bytes->term[bytes->count++].trips = trips;
    }
    bytes->term[at].factor = plus(bytes->term[at].factor, factor);
}

static bool is_counted(const Buffer *buffer) {
    return buffer->owns != OWNS_NOTHING && buffer->type->count == 1;
}

static void add_buffer(Sum *sum, const Buffer *buffer, int times) {
    if (is_counted(buffer)) add(sum, buffer->size, buffer, buffer->type->args[0]->size, times);
}

static void add_sum(Sum *to, const Sum *from) {
    to->bytes.constant = plus(to->bytes.constant, from->bytes.constant);
    to->bytes.others = plus(to->bytes.others, from->bytes.others);
    to->value += (double)from->bytes.constant + (double)from->bytes.others * ASSUMED;
    for (int i = 0; i < from->bytes.count; i++) {
        Size size = {SIZE_EXACT, 0, from->bytes.term[i].factor, from->bytes.term[i].length,
                     from->bytes.term[i].trips};
        add(to, size, NULL, 1, 1);
    }
}

static Sum most_of(Program *program, const Plan *plan, int *where, Sum *unshared);

static void add_state(Sum *sum, const Plan *plan) {
    for (int i = 0; i < plan->narguments; i++) {
        const Buffer *state = plan->arguments[i];
        if (state->type->kind == TY_vec) add(sum, state->size, state, state->type->args[0]->size, 1);
    }
}

/* The most of the inner plans, of which one runs. */
static Sum inner_most(Program *program, const Fragment *holder, Sum *unshared) {
    Sum most = {.value = 0};
    for (int i = 0; i < holder->ninner; i++) {
        int where;
        Sum inner = most_of(program, holder->inner[i], &where, unshared);
        if (holder->kind == FRAGMENT_iterate) {
            add_state(&inner, holder->inner[i]);
            add_state(unshared, holder->inner[i]);
        }
        if (inner.value > most.value) most = inner;
    }
    return most;
}

/* What a fragment needs last, by its place in the plan: lists through `next`. */
typedef struct Dying {
    const Buffer *buffer;
    struct Dying *next;
} Dying;

static Sum most_of(Program *program, const Plan *plan, int *where, Sum *unshared) {
    Sum now = {.value = 0}, most = {.value = 0};
    *where = -1;
    Dying **dying = arena_alloc(&program->arena, sizeof(Dying *) * (size_t)(plan->nfragments + 1));
    for (int i = 0; dying && i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        for (int k = 0; k < fragment->noutputs; k++) {
            const Buffer *made = fragment->outputs[k];
            add_buffer(unshared, made, 1);
            if (made->place) add_buffer(&now, fragment->walks[made->place - 1], -1);
            if (made->begins) add_buffer(&now, made->start, -1);
            add_buffer(&now, made, 1);
            if (made->last < 0 || made->last == LIVES_ON || made->heir) continue;
            Dying *dies = arena_alloc(&program->arena, sizeof *dies);
            int at = plan_at(plan, made->last);
            *dies = (Dying){made, dying[at]};
            dying[at] = dies;
        }
        Sum here = now;
        if (fragment->ninner) {
            Sum inner = inner_most(program, fragment, unshared);
            add_sum(&here, &inner);
        }
        if (here.value > most.value) {
            most = here;
            *where = fragment->number;
        }
        for (const Dying *dies = dying[i]; dies; dies = dies->next) add_buffer(&now, dies->buffer, -1);
    }
    return most;
}

PlanMemory plan_memory(Program *program, const Plan *plan) {
    Sum unshared = {.value = 0};
    PlanMemory memory;
    memory.most = most_of(program, plan, &memory.fragment, &unshared).bytes;
    memory.unshared = unshared.bytes;
    return memory;
}
