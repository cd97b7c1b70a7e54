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
 * The program is an optimized one: the passes that find what is computed twice do not run again, so the copies stay. One with a
 * single reader is fused into that. A choice is a chain of lets, a let in it and the place of its copy, by number, so that
 * the same choices make the same of another copy of the program.
 *
 * Chen, Xu, Zhang and Guestrin, "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174 (4.4, what is cheap is
 * dropped); the choice by cost over what it frees is that of Kirisame et al., "Dynamic Tensor Rematerialization", ICLR 2021.
 */
#include "../weldc.h"

#include <stdlib.h>
#include <string.h>

enum {
    MOST_NEEDS = 8,
    MUCH_WORSE = 16,
    MOST_TOGETHER = 16,    /* lets that are computed again with one */
    MOST_WORK = 40 * 1000, /* lets that are looked at */
    EACH_STEP = 16         /* times that what is in an iterate is taken to run */
};

static const char cleaning[] = "columns,simplify,fuse-vertical";

/* A let of the chain. */
typedef struct Link {
    Node *let;
    const Fragment *maker; /* of the vector that it names, or NULL */
    double cost;           /* operations for each iteration of that, which make this vector */
    int64_t bytes;         /* of the vector */
    int next, last;        /* the first place behind the peak that uses it, the last one; -1: none */
    bool at_peak;          /* the peak uses it */
    bool together;         /* computed again with the one that is looked at */
    Symbol *copy;
} Link;

/* Lets one behind the other; place `count` is what comes behind the last. */
typedef struct Chain {
    Program *program;
    Node **slot; /* of the first let */
    Link *links;
    int *numbers; /* by symbol id: the let's and 1; INSIDE: bound in one of the values */
    int count, peak, at;
    int symbols;
} Chain;

enum { INSIDE = -1 };

/* ---- chains ---- */

typedef struct Search {
    Program *program;
    int target; /* the number of a fragment */
    int wanted; /* the number of a chain, or -1 */
    int chains; /* so far */
    Node **slot;
    /* The chains around the fragment, the innermost last: their numbers, first slots, and places. */
    struct Around {
        int chain, place;
        Node **slot;
    } around[MOST_TOGETHER];
    int depth, found; /* found: how many are around the fragment */
} Search;

static void visit(Search *search, Node **slot);

static void visit_value(Search *search, Node **slot) {
    Node *node = *slot;
    if (node->kind != N_Field && node->index == search->target + 1 && !search->found)
        search->found = search->depth;
    for (int i = 0; i < node->count; i++) visit(search, &node->kids[i]);
}

/* Numbers the chains below, in their order. */
static void visit(Search *search, Node **slot) {
    bool chain = (*slot)->kind == N_Let, room = search->depth < MOST_TOGETHER;
    if (chain && search->chains == search->wanted) search->slot = slot;
    struct Around *around = &search->around[search->depth];
    if (chain && room && !search->found) *around = (struct Around){search->chains, 0, slot};
    search->chains += chain;
    search->depth += chain && room;
    for (; (*slot)->kind == N_Let; slot = &(*slot)->kids[1]) {
        visit_value(search, &(*slot)->kids[0]);
        if (chain && room && !search->found) around->place++;
    }
    visit_value(search, slot);
    search->depth -= chain && room;
}

static Link *link_of(const Chain *chain, const Symbol *symbol) {
    int number = symbol->id < chain->symbols ? chain->numbers[symbol->id] : 0;
    return number > 0 ? &chain->links[number - 1] : NULL;
}

static bool is_inside(const Chain *chain, const Symbol *symbol) {
    return symbol->id < chain->symbols && chain->numbers[symbol->id] == INSIDE;
}

static bool note_use(Walk *walk, Node **slot) {
    Chain *chain = walk->data;
    for (int i = 0; i < (*slot)->nparams; i++) chain->numbers[(*slot)->params[i]->id] = INSIDE;
    if ((*slot)->kind == N_Let) chain->numbers[(*slot)->symbol->id] = INSIDE;
    Link *link = (*slot)->kind == N_Ident ? link_of(chain, (*slot)->symbol) : NULL;
    if (!link) return true;
    link->last = chain->at;
    if (chain->at == chain->peak) link->at_peak = true;
    if (chain->at > chain->peak && link->next < 0) link->next = chain->at;
    return true;
}

/* False: no memory. */
static bool chain_read(Chain *chain, Program *program, Node **slot, int peak) {
    *chain = (Chain){.program = program, .slot = slot, .peak = peak, .symbols = program->symbols};
    for (Node *let = *slot; let->kind == N_Let; let = let->kids[1]) chain->count++;
    chain->links = calloc((size_t)chain->count + 1, sizeof *chain->links);
    chain->numbers = calloc((size_t)chain->symbols + 1, sizeof *chain->numbers);
    if (!chain->links || !chain->numbers) return false;
    Walk walk = {program, note_use, NULL, chain};
    for (; (*slot)->kind == N_Let; slot = &(*slot)->kids[1], chain->at++) {
        chain->links[chain->at] = (Link){.let = *slot, .next = -1, .last = -1};
        chain->numbers[(*slot)->symbol->id] = chain->at + 1;
        node_walk(&walk, &(*slot)->kids[0]);
    }
    node_walk(&walk, slot);
    return true;
}

static void chain_release(Chain *chain) {
    free(chain->links);
    free(chain->numbers);
}

/* ---- what a vector is made by ---- */

static const Fragment *fragment_numbered(const Plan *plan, int number) {
    const Fragment *fragment = plan->nfragments ? plan->fragments[plan_at(plan, number)] : NULL;
    if (!fragment || fragment->number == number) return fragment;
    const Plan *inside = NULL;
    for (int k = 0; k < fragment->ninner; k++) {
        const Plan *inner = fragment->inner[k];
        if (inner->nfragments && inner->fragments[0]->number <= number) inside = inner;
    }
    return inside ? fragment_numbered(inside, number) : NULL;
}

/* The node that a value is a part or a result of, through names of builders; *leaf: which part. */
static const Node *maker_of(const Chain *chain, const Node *value, int *leaf) {
    *leaf = 0;
    for (;;) {
        if (value->kind == N_Field) {
            *leaf += leaf_at(value->kids[0]->type, value->index);
            value = value->kids[0];
        } else if (value->kind == N_Result) {
            value = value->kids[0];
        } else if (value->kind == N_Ident && value->type->builders && link_of(chain, value->symbol)) {
            value = link_of(chain, value->symbol)->let->kids[0];
        } else {
            return value;
        }
    }
}

/* The part of a loop's operations that makes one of its builders. */
static double cost_of(const Fragment *maker, int leaf) {
    const Node *loop = maker->node;
    if (loop->kind != N_For || loop->type->kind != TY_struct) return maker->cost;
    const Node *body = loop->kids[loop->count - 1]->kids[0], *part = body;
    int lets = 0;
    for (; part->kind == N_Let; part = part->kids[1]) lets++;
    while (part->kind == N_Struct) {
        int i = part->count - 1;
        while (i > 0 && leaf_at(part->type, i) > leaf) i--;
        leaf -= leaf_at(part->type, i);
        part = part->kids[i];
    }
    const Node **wanted = malloc(((size_t)lets + 1) * sizeof *wanted), *let = body;
    if (!wanted) return maker->cost;
    double cost = plan_node_cost(part);
    for (int i = 0; i < lets; i++, let = let->kids[1]) wanted[i] = let;
    for (int i = lets - 1, last = lets; i >= 0; i--) {
        bool used = node_uses(part, wanted[i]->symbol);
        for (int k = last; k < lets && !used; k++) used = node_uses(wanted[k]->kids[0], wanted[i]->symbol);
        if (!used) continue;
        cost += plan_node_cost(wanted[i]->kids[0]);
        wanted[--last] = wanted[i];
    }
    free(wanted);
    return cost;
}

static void find_makers(Chain *chain, const Plan *plan) {
    for (int i = 0; i < chain->count; i++) {
        Link *link = &chain->links[i];
        const Type *type = link->let->symbol->type;
        int leaf;
        if (type->kind != TY_vec || type->args[0]->pointers) continue;
        const Node *made = maker_of(chain, link->let->kids[0], &leaf);
        if (made->kind != N_For && made->kind != N_Cfill) continue;
        const Fragment *maker = made->index ? fragment_numbered(plan, made->index - 1) : NULL;
        for (int k = 0; maker && k < maker->noutputs; k++) {
            const Buffer *buffer = maker->outputs[k];
            if (buffer->owns == OWNS_NOTHING || buffer->leaf != leaf) continue;
            link->maker = maker;
            link->cost = cost_of(maker, leaf);
            link->bytes = buffer->most;
        }
    }
}

/* ---- what must be computed again with it ---- */

typedef struct Together {
    Chain *chain;
    int place, count; /* of the copies; of lets */
    int needs
        [MOST_NEEDS]; /* lets with vectors that must be there then; nneeds: may be more than there is room for */
    int nneeds;
    double cost;
    bool ok;
} Together;

static void add_together(Together *t, Link *link);

static bool add_needed(Walk *walk, Node **slot) {
    Together *t = walk->data;
    const Node *node = *slot;
    bool twice = node_is_foreign(node) ? !node_keeps(node) : true;
    if (!twice || node->kind == N_Iterate || node->kind == N_Exchange || node->kind == N_Sort ||
        node->kind == N_Room)
        t->ok = false;
    Link *link = node->kind == N_Ident ? link_of(t->chain, node->symbol) : NULL;
    if (node->kind == N_Ident && node->type->builders && !link && !is_inside(t->chain, node->symbol))
        t->ok = false;
    if (!link || !t->ok) return t->ok;
    if (node->type->builders || (node->type->pointers && link->last < t->place)) {
        add_together(t, link);
    } else if (node->type->pointers) {
        if (t->nneeds < MOST_NEEDS) t->needs[t->nneeds] = (int)(link - t->chain->links);
        t->nneeds++;
    }
    return t->ok;
}

static void add_together(Together *t, Link *link) {
    if (link->together) return;
    link->together = true;
    if (++t->count > MOST_TOGETHER) t->ok = false;
    if (link->maker) t->cost += link->cost * link->maker->times;
    if (!t->ok) return;
    Walk walk = {t->chain->program, add_needed, NULL, t};
    node_walk(&walk, &link->let->kids[0]);
}

/* Marks what is computed again with a let, itself too, if that is done in front of this place. */
static Together together(Chain *chain, Link *link, int place) {
    Together t = {.chain = chain, .place = place, .ok = true};
    for (int i = 0; i < chain->count; i++) chain->links[i].together = false;
    add_together(&t, link);
    return t;
}

/* ---- the next choices ---- */

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

static bool same_choice(const Recompute *a, const Recompute *b) {
    return a->chain == b->chain && a->let == b->let && a->place == b->place;
}

static bool is_refused(const PlanAgain *again, const Recompute *choice) {
    for (int i = 0; i < again->nrefused; i++) {
        if (same_choice(&again->refused[i], choice)) return true;
    }
    return false;
}

static void find_in_chain(const PlanAgain *again, Chain *chain, const struct Around *around, double weight,
                          Candidates *list) {
    for (int i = 0; i < chain->count && i < around->place; i++) {
        Link *link = &chain->links[i];
        Recompute choice = {around->chain, i, link->next, 0};
        if (!link->maker || link->at_peak || link->next < 0 || link->bytes < again->fewest ||
            is_refused(again, &choice))
            continue;
        Together t = together(chain, link, link->next);
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
static bool find_candidates(PlanAgain *again, Program *program, const Plan *plan, int peak,
                            Candidates *list) {
    Search search = {.program = program, .target = peak, .wanted = -1};
    double weight = 1;
    visit(&search, &program->root->kids[0]);
    for (int i = 0; i < search.found && !list->failed; i++) {
        Chain chain;
        list->failed = !chain_read(&chain, program, search.around[i].slot, search.around[i].place);
        if (!list->failed) {
            find_makers(&chain, plan);
            find_in_chain(again, &chain, &search.around[i], weight, list);
        }
        again->work += chain.count;
        chain_release(&chain);
        weight *= EACH_STEP;
    }
    if (list->count) qsort(list->items, (size_t)list->count, sizeof *list->items, by_ratio);
    return !list->failed;
}

/* ---- a let for each loop ---- */

static void name_in_chain(Program *program, Node **slot);

/* Gives loops below *slot lets of their own, in front of **front, which moves on. */
static void name_vectors(Program *program, Node **slot, Node ***front, bool top) {
    Node *node = *slot;
    if (node->kind == N_Lambda) return;
    if (node->kind == N_Let) {
        name_in_chain(program, slot);
        return;
    }
    if (node->kind == N_Iterate) {
        name_vectors(program, &node->kids[0], front, false);
        name_in_chain(program, &node->kids[1]->kids[0]);
        return;
    }
    if (node->kind == N_If || node->kind == N_And || node->kind == N_Or) {
        name_vectors(program, &node->kids[0], front, false);
        for (int i = 1; i < node->count; i++) name_in_chain(program, &node->kids[i]);
        return;
    }
    bool whole = node->kind == N_Result && node->kids[0]->kind == N_For;
    for (int i = 0; i < node->count; i++) name_vectors(program, &node->kids[i], front, whole);
    if (top || !(whole || node->kind == N_For)) return;
    Node *let = node_make(program, N_Let, node->span, (**front)->type, 2, node, **front);
    let->symbol = symbol_new(program, "made", node->type);
    Node *use = node_new(program, N_Ident, node->span, node->type, 0);
    use->symbol = let->symbol;
    *slot = use;
    **front = let;
    *front = &let->kids[1];
}

static void name_in_chain(Program *program, Node **slot) {
    for (; (*slot)->kind == N_Let; slot = &(*slot)->kids[1])
        name_vectors(program, &(*slot)->kids[0], &slot, true);
    name_vectors(program, slot, &slot, true);
}

/* ---- doing it ---- */

static bool rename_use(Walk *walk, Node **slot) {
    const Chain *chain = walk->data;
    const Link *link = (*slot)->kind == N_Ident ? link_of(chain, (*slot)->symbol) : NULL;
    if (link && link->copy) (*slot)->symbol = link->copy;
    return true;
}

/* Copies of the lets that are computed again, in front of what *slot is; from there on they stand for them. */
static Node **insert_copies(Chain *chain, Node **slot) {
    Program *program = chain->program;
    Walk walk = {program, rename_use, NULL, chain};
    for (int i = 0; i < chain->count; i++) {
        Link *link = &chain->links[i];
        const Node *let = link->let;
        if (!link->together) continue;
        Node *value = node_clone(program, let->kids[0]);
        node_walk(&walk, &value);
        Node *copy = node_make(program, N_Let, let->span, let->type, 2, value, *slot);
        link->copy = copy->symbol = symbol_new(program, let->symbol->name, let->symbol->type);
        *slot = copy;
        slot = &copy->kids[1];
    }
    return slot;
}

/* All choices of one chain, the last places first. False: no memory. */
static bool recompute_chain(Program *program, const Recompute *choices, int count) {
    Search search = {.program = program, .target = -2, .wanted = choices->chain};
    Chain chain;
    visit(&search, &program->root->kids[0]);
    Node **slot = search.slot;
    if (!slot) return true;
    bool ok = chain_read(&chain, program, slot, -1);
    Walk walk = {program, rename_use, NULL, &chain};
    for (int place = 0; ok && place <= chain.count; place++) {
        for (; count && choices[count - 1].place == place; count--) {
            int let = choices[count - 1].let;
            bool builder = let < place && chain.links[let].let->symbol->type->builders;
            if (let < place && !builder && together(&chain, &chain.links[let], place).ok)
                slot = insert_copies(&chain, slot);
        }
        bool end = place == chain.count;
        node_walk(&walk, end ? slot : &(*slot)->kids[0]);
        if (!end) slot = &(*slot)->kids[1];
    }
    chain_release(&chain);
    return ok;
}

static bool no_memory(Program *program) {
    return error_set(&program->error, E_OutOfMemory, (Span){0}, "no memory to plan the program");
}

/* Choices of the same program. */
static bool recompute(Program *program, const Recompute *choices, int count, const PassOptions *options) {
    PassOptions clean = {.level = options->level, .passes = cleaning, .verify = options->verify};
    for (int i = 0; i < count;) {
        int first = i;
        while (i < count && choices[i].chain == choices[first].chain) i++;
        if (!recompute_chain(program, choices + first, i - first)) return no_memory(program);
    }
    if (!program_optimize(program, &clean)) return false;
    name_in_chain(program, &program->root->kids[0]);
    return !program->arena.exhausted || no_memory(program);
}

bool program_recompute(Program *program, const Recompute *choices, int count, const PassOptions *options) {
    if (count) name_in_chain(program, &program->root->kids[0]);
    for (int i = 0, first; i < count;) {
        for (first = i++; choices[i - 1].more && i < count;) i++;
        if (!recompute(program, choices + first, i - first, options)) return false;
    }
    return true;
}

/* ---- until it fits ---- */

typedef struct Fitting {
    Program *program;
    const PlanAsk *ask;
    PlanAgain *again;
    PlanPrice price;
    Plan *plan;
    bool ok;
} Fitting;

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
    f->ok = recompute(f->program, added, count, f->ask->options);
    if (f->ok) price_anew(f);
    if (!f->ok) return false;
    if (is_less(&f->price, &before)) {
        again->count += count;
        again->cost += cost;
        again->nrefused = 0;
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
    PlanAgain *again = f->again;
    Candidates list = {0};
    bool better = false;
    f->ok = find_candidates(again, f->program, f->plan, f->price.peak, &list);
    int count = f->ok ? pick(&list, f->price.planned - f->ask->budget) : 0;
    while (f->ok && count && !better) {
        Candidate best = list.items[0];
        better = try_choices(f, list.items, count);
        if (!better && count == 1) again->refused[again->nrefused++] = best.choice;
        if (!better && count > 1) qsort(list.items, (size_t)count, sizeof *list.items, by_ratio);
        count /= 2;
    }
    bool tried = better || list.count;
    free(list.items);
    return tried && f->ok;
}

static void fit(void *data) {
    Fitting *f = data;
    name_in_chain(f->program, &f->program->root->kids[0]);
    price_anew(f);
    const double most = f->ok ? f->ask->most_cost * plan_cost(f->plan, 1) : 0;
    while (f->ok && !f->price.why && f->price.planned > f->ask->budget && f->again->work < MOST_WORK &&
           f->again->nrefused < RECOMPUTE_REFUSED && (most <= 0 || f->again->cost <= most) && improve(f)) {
    }
}

bool plan_fit(Program *program, const PlanAsk *ask, PlanAgain *again, PlanPrice *price) {
    Fitting f = {.program = program, .ask = ask, .again = again};
    *again = (PlanAgain){.fewest = ask->fewest_bytes};
    bool deep = run_deep((size_t)node_depth(program->root) * 2 + 200, fit, &f);
    *price = f.price;
    return deep && f.ok && !program->arena.exhausted;
}
