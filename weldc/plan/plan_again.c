/* plan_again.c: vectors that a program under a budget computes twice, to hold less at once.
 *
 *     let a = map(x, exp);  let b = map(a, sin);  ..  zip(b, c) ..  zip(a, d) ..      most is there at zip(b, c)
 *  => let a = map(x, exp);  let b = map(a, sin);  ..  zip(b, c) ..  let a2 = map(x, exp);  zip(a2, d) ..
 *
 * Greedy, by cost over bytes: of the vectors that are there where most is (plan_price.c), that nothing reads there but
 * something does later, the one that takes the fewest operations for each of its bytes goes behind its last reader before, and
 * is computed again in front of the next. What that needs is there then, or is computed again with it. The program is
 * planned and priced anew, and so on, until it fits or nothing is left that helps. In the bodies of iterates and the arms
 * of choices the same happens, to what they make themselves.
 *
 * The program is an optimized one. plan_chain.c says what depends on what, plan_recompute.c does what is chosen here.
 *
 * Chen, Xu, Zhang and Guestrin, "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174 (4.4, what is cheap is
 * dropped); the choice by cost over what it frees is that of Kirisame et al., "Dynamic Tensor Rematerialization", ICLR 2021.
 */
#include "plan_chain.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_REFUSED = 24,
    MUCH_WORSE = 16,       /* times as many operations for each byte as the best */
    MOST_WORK = 40 * 1000, /* lets that are looked at */
    EACH_STEP = 16         /* times that what is in an iterate is taken to run */
};

/* ---- the next choices ---- */

typedef struct Fitting {
    Program *program;
    const PlanAsk *ask;
    PlanAgain *again;
    PlanPrice price;
    Plan *plan;
    Recompute refused[MOST_REFUSED]; /* those that did not help, since the last that did */
    int nrefused;
    double cost;  /* operations that are done again */
    int64_t work; /* lets that were looked at */
    bool ok;
} Fitting;

typedef struct Candidate {
    Recompute choice;
    double cost, ratio; /* operations; for each byte */
    int64_t bytes;
    int needs[MOST_NEEDS], nneeds;
} Candidate;

typedef struct Candidates {
    Candidate *items; /* malloc's */
    int count, room;
    bool failed; /* no memory */
} Candidates;

static void add_candidate(Candidates *list, Candidate candidate) {
    if (list->count == list->room) {
        int room = list->room ? 2 * list->room : 64;
        Candidate *grown = realloc(list->items, (size_t)room * sizeof *grown);
        list->failed |= !grown;
        if (!grown) return;
        list->items = grown;
        list->room = room;
    }
    list->items[list->count++] = candidate;
}

static bool is_refused(const Fitting *f, const Recompute *choice) {
    for (int i = 0; i < f->nrefused; i++) {
        const Recompute *refused = &f->refused[i];
        if (refused->chain == choice->chain && refused->let == choice->let && refused->place == choice->place)
            return true;
    }
    return false;
}

static void find_in_chain(const Fitting *f, Chain *chain, const struct Around *around, double weight,
                          Candidates *list) {
    for (int i = 0; i < chain->count && i < around->place; i++) {
        Link *link = &chain->links[i];
        Recompute choice = {around->chain, i, link->next, 0};
        if (!link->maker || link->at_peak || link->next < 0 || link->bytes < f->ask->fewest_bytes ||
            is_refused(f, &choice))
            continue;
        Together t = chain_together(chain, link, link->next);
        if (!t.ok || t.nneeds > MOST_NEEDS) continue;
        Candidate candidate = {
            .choice = choice, .cost = t.cost * weight, .bytes = link->bytes, .nneeds = t.nneeds};
        candidate.ratio = (candidate.cost + 1) / (double)link->bytes;
        memcpy(candidate.needs, t.needs, sizeof t.needs);
        add_candidate(list, candidate);
    }
}

static int by_ratio(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    if (x->ratio != y->ratio) return x->ratio < y->ratio ? -1 : 1;
    return (x->bytes < y->bytes) - (x->bytes > y->bytes);
}

/* The last places first: what is inserted there leaves the numbers of the others as they are. */
static int by_place(const void *a, const void *b) {
    const Candidate *x = a, *y = b;
    if (x->choice.chain != y->choice.chain) return x->choice.chain < y->choice.chain ? 1 : -1;
    if (x->choice.place != y->choice.place) return x->choice.place < y->choice.place ? 1 : -1;
    return (x->choice.let < y->choice.let) - (x->choice.let > y->choice.let);
}

/* All that there are at the peak, the best first. False: no memory. */
static bool find_candidates(Fitting *f, Candidates *list) {
    Search search = {.program = f->program, .target = f->price.peak, .wanted = -1};
    double weight = 1;
    chains_visit(&search, &f->program->root->kids[0]);
    for (int i = 0; i < search.found && !list->failed; i++) {
        Chain chain;
        list->failed = !chain_read(&chain, f->program, search.around[i].slot, search.around[i].place);
        if (!list->failed) {
            chain_find_makers(&chain, f->plan);
            find_in_chain(f, &chain, &search.around[i], weight, list);
        }
        f->work += chain.count;
        chain_release(&chain);
        weight *= EACH_STEP;
    }
    if (list->count) qsort(list->items, (size_t)list->count, sizeof *list->items, by_ratio);
    return !list->failed;
}

/* ---- until it fits ---- */

/* Operations, roughly, of a plan that was priced. */
static double plan_cost(const Plan *plan, double weight) {
    double cost = 0;
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        if (!fragment->ninner) cost += fragment->cost * fragment->times * weight;
        for (int k = 0; k < fragment->ninner; k++) cost += plan_cost(fragment->inner[k], weight * EACH_STEP);
    }
    return cost;
}

static void price_anew(Fitting *f) {
    f->plan = plan_make(f->program);
    f->ok = f->plan && plan_price(f->program, f->plan, f->ask, &f->price);
}

static bool is_less(const PlanPrice *price, const PlanPrice *before) {
    if (price->why) return false;
    return price->planned < before->planned ||
           (price->planned == before->planned && price->peaks < before->peaks);
}

/* Takes these choices, if that helps; else the program is as before. */
static bool try_choices(Fitting *f, Candidate *items, int count) {
    PlanAgain *again = f->again;
    const PlanPrice before = f->price;
    Recompute *grown = realloc(again->choices, ((size_t)again->count + (size_t)count) * sizeof *grown);
    f->ok = grown != NULL;
    if (!grown) return false;
    again->choices = grown;
    Recompute *added = grown + again->count;
    qsort(items, (size_t)count, sizeof *items, by_place);
    double cost = 0;
    for (int i = 0; i < count; i++) {
        cost += items[i].cost;
        added[i] = items[i].choice;
        added[i].more = i + 1 < count;
    }
    Node *root = node_clone(f->program, f->program->root);
    f->ok = chain_recompute(f->program, added, count, f->ask->options);
    if (f->ok) price_anew(f);
    if (!f->ok) return false;
    if (is_less(&f->price, &before)) {
        again->count += count;
        f->cost += cost;
        f->nrefused = 0;
        return true;
    }
    f->program->root = root;
    price_anew(f);
    return false;
}

static bool needs(const Candidate *candidate, const Recompute *choice) {
    for (int i = 0; i < candidate->nneeds; i++) {
        if (candidate->choice.chain == choice->chain && candidate->needs[i] == choice->let) return true;
    }
    return false;
}

/* Puts the best in front: as many as should be enough, of which none needs another to be there. Returns how many. */
static int pick(Candidates *list, int64_t over) {
    int count = 0;
    for (int i = 0; i < list->count && over > 0; i++) {
        const Candidate candidate = list->items[i];
        bool apart = true;
        if (count && candidate.ratio > MUCH_WORSE * list->items[0].ratio)
            break; /* others may be there next time */
        for (int k = 0; k < count && apart; k++)
            apart = !needs(&candidate, &list->items[k].choice) && !needs(&list->items[k], &candidate.choice);
        if (!apart) continue;
        memmove(&list->items[count + 1], &list->items[count], (size_t)(i - count) * sizeof candidate);
        list->items[count++] = candidate;
        over -= candidate.bytes;
    }
    return count;
}

/* As many of the best as should be enough, else half as many; the best by itself is refused if it does not help. */
static bool improve(Fitting *f) {
    Candidates list = {0};
    bool better = false;
    f->ok = find_candidates(f, &list);
    int count = f->ok ? pick(&list, f->price.planned - f->ask->budget) : 0;
    while (f->ok && count && !better) {
        Candidate best = list.items[0];
        better = try_choices(f, list.items, count);
        if (!better && count == 1) f->refused[f->nrefused++] = best.choice;
        if (!better && count > 1) qsort(list.items, (size_t)count, sizeof *list.items, by_ratio);
        count /= 2;
    }
    bool tried = better || list.count;
    free(list.items);
    return tried && f->ok;
}

static void fit(void *data) {
    Fitting *f = data;
    chain_name_loops(f->program, &f->program->root->kids[0]);
    price_anew(f);
    const double most = f->ok ? f->ask->most_cost * plan_cost(f->plan, 1) : 0;
    while (f->ok && !f->price.why && f->price.planned > f->ask->budget && f->work < MOST_WORK &&
           f->nrefused < MOST_REFUSED && (most <= 0 || f->cost <= most) && improve(f)) {
    }
}

bool plan_fit(Program *program, const PlanAsk *ask, PlanAgain *again, PlanPrice *price) {
    Fitting f = {.program = program, .ask = ask, .again = again};
    *again = (PlanAgain){0};
    bool deep = run_deep((size_t)node_depth(program->root) * 2 + 200, fit, &f);
    *price = f.price;
    return deep && f.ok && !program->arena.exhausted;
}
