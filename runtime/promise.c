/* promise.c: what a run will take at most, known before it starts, and the budget that it must meet.
 *
 *     weld.memory.budget 10M      the program as it is takes 7M for these arguments: it runs as it is
 *                                 it takes 12M: a variant that computes some vectors twice takes 9M: that runs
 *                                 it takes 80M: the form whose gradients keep little runs. Keeping nothing takes that 2M:
 *                                 so it may keep 8M. Keeping nothing takes 12M, and no variant of it less: an error says so
 *
 * A unit under a budget that has gradients holds a second one, `saver`, of the same text read with Program.saving. Each of both may
 * have variants (plan_again.c), made where one is needed first. All are priced for the arguments of each run (plan_price.c), for
 * which their optimized programs are made once more, on the first run. Where there is no promise, half of the budget may be kept.
 *
 * On a cluster the ranks first agree on the greatest lengths that one of them passes, and the most threads. Then each comes to the
 * same price, that of the rank that takes most (plan_exchange.c), and to the same form by itself.
 */
#include "rt.h"

#include <stdlib.h>
#include <string.h>

enum {
    TRIES = 8, /* to find how much may be kept: beside that there are vectors whose lengths depend on it */
    FEWEST_BYTES = 4096
};

/* What a saver does again at most, a pass forwards, is about this part of a gradient: where more is needed, a saver is better. */
static const double A_PASS = 0.3;

static const Span nowhere = {0, 0, 0};

/* The lock of the unit is held. */
static bool make_plan(Unit *unit) {
    if (unit->plan) return true;
    if (!unit->planned) unit->planned = unit_optimized(unit);
    if (unit->planned) unit->plan = plan_make(unit->planned);
    return unit->plan != NULL;
}

static PlanTeam team_of(const Context *context) {
    const Team *team = context ? context->team : NULL;
    return (PlanTeam){team_threads(team), team ? team_grain(team) : 0};
}

static bool price(Unit *unit, const PlanAsk *asked, int64_t room, PlanPrice *out) {
    PlanAsk ask = *asked;
    ask.room = room;
    pthread_mutex_lock(&unit->lock);
    bool ok = make_plan(unit) && plan_price(unit->planned, unit->plan, &ask, out);
    pthread_mutex_unlock(&unit->lock);
    out->again = unit->nagain;
    return ok;
}

static bool no_memory(Error *error) {
    return error_set(error, E_OutOfMemory, nowhere, "no memory to plan the run");
}

static bool cannot(int64_t budget, int64_t least, Error *error) {
    return error_set(error, E_OutOfMemory, nowhere,
                     "the budget of %lld bytes cannot be met: with these arguments it takes at least %lld",
                     (long long)budget, (long long)least);
}

/* A variant that was made before. */
static Unit *variant_find(const Unit *unit, const PlanAsk *asked, PlanPrice *found) {
    for (Unit *variant = unit->variants; variant; variant = variant->other) {
        if (price(variant, asked, 0, found) && !found->why && found->planned <= unit->options.memory_budget)
            return variant;
    }
    return NULL;
}

/* One that computes so much twice that it fits; NULL: there is none, and `least` is what it could be, or error is set. */
static Unit *variant_make(Unit *unit, const PlanAsk *asked, int64_t *least, PlanPrice *made, Error *error) {
    PassOptions passes = options_passes(&unit->options);
    PlanAsk ask = *asked;
    ask.budget = unit->options.memory_budget;
    ask.fewest_bytes = FEWEST_BYTES;
    ask.most_cost = unit->saver ? A_PASS : 0;
    ask.options = &passes;
    PlanAgain again = {0};
    Unit *variant = NULL;
    Program *program = unit_optimized(unit);
    if (!program || !plan_fit(program, &ask, &again, made)) {
        no_memory(error);
        if (program && program->error.code) *error = program->error;
    } else if (made->why || made->planned > ask.budget) {
        *least = made->planned;
    } else if ((variant = unit_recomputing(unit, &again, error))) {
        made->again = again.count;
        variant->other = unit->variants;
        unit->variants = variant;
    }
    program_free(program);
    free(again.choices);
    return variant;
}

/* Lets a unit that is planned to take too much compute vectors twice. False: that does not help, and `least` says what it
 * could be; or error is set. */
static bool compute_twice(Unit *unit, const PlanAsk *asked, Promise *promise, int64_t *least, Error *error) {
    PlanPrice made;
    int64_t planned = promise->price.planned, best = planned;
    pthread_mutex_lock(&unit->lock);
    Unit *variant = variant_find(unit, asked, &made);
    if (!variant && planned == unit->unfit) {
        best = unit->unfit_least;
    } else if (!variant) {
        variant = variant_make(unit, asked, &best, &made, error);
        if (!variant && error->code == E_None) {
            unit->unfit = planned;
            unit->unfit_least = best;
        }
    }
    pthread_mutex_unlock(&unit->lock);
    if (best < *least) *least = best;
    if (!variant) return false;
    *promise = (Promise){.unit = variant, .price = made};
    return true;
}

static bool make(Unit *unit, const PlanAsk *asked, Promise *promise, Error *error) {
    int64_t budget = unit->options.memory_budget;
    if (!price(unit, asked, 0, &promise->price)) return no_memory(error);
    if (budget <= 0 || (!promise->price.why && promise->price.planned <= budget)) return true;
    int64_t least = promise->price.planned;
    if (!promise->price.why && compute_twice(unit, asked, promise, &least, error)) return true;
    if (error->code != E_None) return false;
    if (!unit->saver) return promise->price.why ? true : cannot(budget, least, error);
    promise->unit = unit->saver;
    promise->room = budget / 2;
    if (!price(unit->saver, asked, 0, &promise->price)) return no_memory(error);
    if (promise->price.why) return true;
    if (promise->price.planned > budget) {
        if (promise->price.planned < least) least = promise->price.planned;
        if (compute_twice(unit->saver, asked, promise, &least, error)) return true;
        return error->code == E_None && cannot(budget, least, error);
    }
    int rooms = promise->price.rooms;
    int64_t kept = promise->price.planned;
    promise->room = rooms ? (budget - kept) / rooms : 0;
    for (int tries = 0; tries < TRIES; tries++) {
        if (!price(unit->saver, asked, promise->room, &promise->price)) return no_memory(error);
        int64_t over = promise->price.planned - budget;
        if (promise->price.why || over <= 0) return true;
        promise->room = over < promise->room ? promise->room - over : 0;
    }
    return cannot(budget, kept < least ? kept : least, error);
}

/* The greatest of what ranks have of each number. */
static bool greatest(Worker *worker, int64_t *numbers, int64_t count, Error *error) {
    static Type number = {.kind = TY_i64, .size = 8, .align = 8};
    static Type *element[] = {&number};
    static const Type vector = {
        .kind = TY_vec, .pointers = true, .count = 1, .args = element, .size = sizeof(Vec), .align = 8};
    Vec own = {numbers, count}, all;
    ExchangeCall call = {
        .kind = EXCHANGE_reduce, .op = OP_max, .type = &vector, .operands = {&own}, .out = &all};
    if (exchange(worker, &call) != E_None) {
        *error = worker->error;
        return false;
    }
    memcpy(numbers, all.data, (size_t)count * sizeof *numbers);
    return true;
}

bool promise_make(Unit *unit, const Context *context, Worker *worker, int ranks, const void *args,
                  Promise *promise, Error *error) {
    enum { THREADS, GRAIN, NUMBERS };
    PlanAsk ask = {.args = args, .team = team_of(context), .ranks = ranks};
    *promise = (Promise){.unit = unit};
    if (!ranks) return make(unit, &ask, promise, error);
    const Type *type = unit->signature->argument;
    int64_t count = NUMBERS + plan_vectors(type), *numbers = calloc((size_t)count, sizeof *numbers);
    if (!numbers) return no_memory(error);
    numbers[THREADS] = ask.team.threads;
    numbers[GRAIN] = ask.team.grain;
    plan_lengths(type, args, numbers + NUMBERS);
    bool ok = greatest(worker, numbers, count, error);
    ask.team = (PlanTeam){(int)numbers[THREADS], numbers[GRAIN]};
    ask.lengths = numbers + NUMBERS;
    ok = ok && make(unit, &ask, promise, error);
    free(numbers);
    return ok;
}
