/* promise.c: what a run will take at most, known before it starts, and the budget that it must meet.
 *
 *     weld.memory.budget 10M      the program as it is takes 7M for these arguments: it runs as it is
 *                                 it takes 80M: the form whose gradients keep little runs. Keeping nothing takes that 2M:
 *                                 so it may keep 8M. Keeping nothing takes 12M: an error says so
 *
 * A unit under a budget that has gradients holds a second one, `saver`, of the same text read with Program.saving. Both
 * are priced for the arguments of each run (plan_price.c), for which their optimized programs are made once more, on the
 * first run. Where there is no promise, half of the budget may be kept.
 */
#include "rt.h"

enum {
    TRIES = 8
}; /* to find how much may be kept: beside that there are vectors whose lengths depend on it */

static const Span nowhere = {0, 0, 0};

/* The lock of the unit is held. */
static bool make_plan(Unit *unit) {
    if (unit->plan) return true;
    if (!unit->planned) unit->planned = unit_optimized(unit);
    if (unit->planned) unit->plan = plan_make(unit->planned);
    return unit->plan != NULL;
}

static bool price(Unit *unit, const Context *context, const void *args, int64_t room, PlanPrice *out) {
    bool several = context && context->team;
    pthread_mutex_lock(&unit->lock);
    bool ok = make_plan(unit) && plan_price(unit->planned, unit->plan, args, room, several, out);
    pthread_mutex_unlock(&unit->lock);
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

bool promise_make(Unit *unit, const Context *context, const void *args, Promise *promise, Error *error) {
    int64_t budget = unit->options.memory_budget;
    *promise = (Promise){.unit = unit};
    if (!price(unit, context, args, 0, &promise->price)) return no_memory(error);
    if (budget <= 0 || (!promise->price.why && promise->price.planned <= budget)) return true;
    if (!unit->saver) return promise->price.why ? true : cannot(budget, promise->price.planned, error);
    promise->unit = unit->saver;
    promise->room = budget / 2;
    if (!price(unit->saver, context, args, 0, &promise->price)) return no_memory(error);
    if (promise->price.why) return true;
    if (promise->price.planned > budget) return cannot(budget, promise->price.planned, error);
    int rooms = promise->price.rooms;
    int64_t least = promise->price.planned;
    promise->room = rooms ? (budget - least) / rooms : 0;
    for (int tries = 0; tries < TRIES; tries++) {
        if (!price(unit->saver, context, args, promise->room, &promise->price)) return no_memory(error);
        int64_t over = promise->price.planned - budget;
        if (promise->price.why || over <= 0) return true;
        promise->room = over < promise->room ? promise->room - over : 0;
    }
    return cannot(budget, least, error);
}
