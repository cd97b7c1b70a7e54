/* plan_team.c: what several threads take for a loop, beyond what one does: a part of the promise.
 *
 *     for(v, vecmerger[i64,+](zeros), ..)   v of 1,000,000, zeros of 1000     64 units at most, and one to try: each a copy
 *     for(rows, appender, .. for(..))       1000 rows of 8000 bytes           units of 3 rows: 2 for each thread that wait,
 *                                                                             twice as large as what they hold
 *
 * Loops are cut as runtime/parallel.c does: into so many units, of so many iterations, that depend on how long the loop is. A
 * unit has a record with its builders. An appender of which each iteration appends equally often has its place, others are pieces
 * that are put together while the loop runs (parallel_append.c), and no more than LOOP_AHEAD of them for each thread wait, but where
 * vecmergers are built, too: then all do. A block of a piece grows by doubling, and belongs to its thread. What an iteration makes
 * is there once for each thread. Loops in loops stay on their thread.
 *
 * A sort's threads have candidates for its least elements, at most an eighth of all, and share records that are sorted by words
 * (runtime/sort/). Dictionaries have no promise.
 */
#include "plan_price.h"

enum {
    RECORD = 64 + 24, /* bytes of a unit, for each builder: its state and the outlet's */
    MEMBER = 6 << 10, /* of a thread: its region, its copy of the loop's state */
    CHUNKS = 80 << 10 /* of one that makes things, at most: chunks that are not full */
};

static bool find_loop(Walk *walk, Node **slot) {
    bool *found = walk->data;
    NodeKind kind = (*slot)->kind;
    *found |= kind == N_For || kind == N_Iterate || kind == N_Sort;
    return !*found;
}

bool loop_is_innermost(Program *program, const Node *loop) {
    bool found = false;
    Walk walk = {program, find_loop, NULL, &found};
    Node *body = loop->kids[loop->count - 1]->kids[0];
    node_walk(&walk, &body);
    return !found;
}

bool price_is_parallel(const Pricer *p) {
    return p->team.threads > 1 && !p->inner;
}

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

static int64_t most(int64_t a, int64_t b) {
    return a > b ? a : b;
}

/* ---- how a loop is cut ---- */

/* Iterations of a unit, at most; also where the loop is shorter than thought. */
static int64_t unit_length(const Pricer *p, const TeamLoop *team) {
    int64_t count = team->trips->n, grain = p->team.grain;
    int64_t units = team->tables ? LOOP_TABLE_UNITS : LOOP_UNITS;
    int64_t shortest = grain ? grain : loop_is_innermost(p->program, team->loop) ? LOOP_LEAST : 1;
    /* Of one with tables what is left behind the first unit is cut into fewer, if these cost too much. */
    int64_t length = team->tables ? count : most(count / units + 1, shortest);
    return least(count, length);
}

static int64_t unit_count(const Pricer *p, const TeamLoop *team) {
    int64_t count = team->trips->n, units = most(2 * LOOP_UNITS, count / LOOP_STRIP + 2);
    if (team->tables) units = most(LOOP_MOST_TABLE_UNITS, p->team.threads) + 1;
    if (p->team.grain && !team->tables) units = LOOP_MOST_UNITS + 1;
    return least(count, units);
}

/* ---- what units take ---- */

/* Small blocks of builders are powers of two (lang/value/region.c). */
static int64_t builder_block(int64_t bytes) {
    enum { SMALLEST = 128, LARGE = 4096 };
    int64_t block = price_block(bytes);
    return block > LARGE ? block : most(SMALLEST, least(2 * block, LARGE));
}

static void add(TeamLoop *team, int64_t bytes) {
    team->bytes = count_plus(team->bytes, bytes);
}

void price_copies(Pricer *p, TeamLoop *team, const Abstract *vector) {
    int64_t count = team->trips->n, units = LOOP_TABLE_UNITS;
    if (!vector->known || !team->trips->known) return; /* there is no promise */
    bool exact = vector->known == EXACT && team->trips->known == EXACT;
    if (exact && !p->team.grain && vector->n > count / 2) return; /* the loop is not cut */
    if (exact && vector->n > 0) units = least(units, count / LOOP_ELEMENT_COST / vector->n);
    units = most(units, p->team.threads);
    if (p->team.grain) units = LOOP_MOST_TABLE_UNITS;
    int64_t block = builder_block(count_times(vector->n, abstract_element(vector->type)->size));
    add(team, count_times(least(count, units + 1), block));
}

void price_pieces(Pricer *p, TeamLoop *team, const Abstract *all, int64_t each) {
    if (!all->known || !team->trips->known) return; /* there is no promise */
    int64_t threads = p->team.threads, blocks = unit_count(p, team), size = abstract_element(all->type)->size;
    if (!team->tables) blocks = least(blocks, threads * LOOP_AHEAD * threads);
    int64_t length = each < 0 ? all->n : least(all->n, count_times(each, unit_length(p, team)));
    int64_t block = builder_block(count_times(2, count_times(length, size)));
    int64_t together = count_times(blocks, block);
    if (team->tables)
        together =
            least(together, count_plus(count_times(3, count_times(all->n, size)), blocks * builder_block(1)));
    add(team, count_plus(together, count_times(threads, block / 2 + 1))); /* one of each thread grows */
}

void price_team(Pricer *p, TeamLoop *team) {
    int64_t threads = p->team.threads, leaves = leaf_count(team->loop->type);
    if (!team->trips->known) {
        price_give_up(p, team->loop, "how often a loop runs on several threads is not known");
        return;
    }
    if (team->trips->n < 2) return;
    int64_t units = unit_count(p, team), made = count_times(team->kept ? 1 : 2, team->made);
    add(team, count_times(units, count_times(leaves, RECORD)));
    add(team, count_times(threads, MEMBER + leaves * 128));
    if (team->made) add(team, count_times(threads, count_plus(made, CHUNKS)));
    price_need(p, team->bytes);
    p->needs = most(p->needs, team->bytes); /* beside what the fragment owns */
}

int64_t price_sort_team(const Pricer *p, int64_t count) {
    enum {
        WORDS = 24,
        CANDIDATES = 8,
        EACH = 64 << 10
    }; /* bytes of an element, for each thread too; of a thread */
    if (!price_is_parallel(p)) return 0;
    int64_t each = count_plus(count_times(CANDIDATES, count), EACH);
    return count_plus(count_times(WORDS, count), count_times(p->team.threads, each));
}
