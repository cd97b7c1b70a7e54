/* distribute_server.c: which iterates a parameter server can make: what a step does is looked at here.
 *
 *     |s| let g = exchange[reduce,+](result(for(block, {vecmerger, merger}, ..s.$0..)));      sums over the data of all ranks
 *         {{map(zip(s.$0, g), |e| e.$0 - rate * e.$1), s.$1 + 1L}, s.$1 < n}                  the update
 *
 * The step is a chain of lets. Every one is needed by the *update*, which makes the next state of sums and state, or by a
 * *worker*, who makes sums of the state, or by both. A state consists of
 *
 *     ranged    vectors that the update makes of others of the same length, and of sums, element by element, without the
 *               index: a server can do so for its range alone
 *     clocks    what depends on clocks alone, such as the number of the step; so must whether there is another step. A worker has
 *               its own, which are ahead of the server's
 *     whole     the rest, such as the losses; the update makes it on every rank
 *
 * Vectors that one loop walks together form a group: they are equally long. A group is ranged if nothing else is done with any of its
 * vectors in the update, the next ones are of the same group, and a sum is among them. What a worker does with them is of no concern: it pulls them as wholes.
 */
#include "distribute_server.h"

#include <stdio.h>
#include <string.h>

/* ---- the chain ---- */

static void append(Distribute *d, Chain *chain, Symbol *symbol, Node *value) {
    Entry *entries =
        arena_room(&d->program->arena, chain->entries, chain->count, &chain->room, sizeof *entries);
    d->gave_up |= !entries;
    if (!entries) return;
    chain->entries = entries;
    entries[chain->count++] = (Entry){.symbol = symbol, .value = value, .sum = -1, .group = -1};
}

static bool is_sum(const Node *node) {
    return node->kind == N_Exchange && node->bits == EXCHANGE_reduce;
}

/* Lets within a value come before it, and every sum gets one. */
static void unfold(Distribute *d, Chain *chain, Node **slot, bool named) {
    for (; (*slot)->kind == N_Let; *slot = (*slot)->kids[1]) {
        unfold(d, chain, &(*slot)->kids[0], true);
        append(d, chain, (*slot)->symbol, (*slot)->kids[0]);
    }
    Node *node = *slot;
    for (int i = 0; i < certain_kids(node); i++) unfold(d, chain, &node->kids[i], false);
    if (named || !is_sum(node)) return;
    Symbol *symbol = symbol_new(d->program, "sum", node->type);
    append(d, chain, symbol, node);
    *slot = node_ident(d->program, node->span, symbol);
}

bool chain_of(Distribute *d, Node *lambda, Chain *chain) {
    *chain = (Chain){.param = lambda->params[0]};
    unfold(d, chain, &lambda->kids[0], false);
    chain->end = lambda->kids[0];
    bool written = chain->end->kind == N_Struct;
    chain->next = written ? chain->end->kids[0] : NULL;
    chain->again = written ? chain->end->kids[1] : NULL;
    return !d->gave_up;
}

/* ---- parts of structs ---- */

int state_leaves(const Type *type) {
    int count = 0;
    if (type->kind != TY_struct) return 1;
    for (int i = 0; i < type->count; i++) count += state_leaves(type->args[i]);
    return count;
}

static Entry *entry_of(const Step *step, const Symbol *symbol) {
    int number = symbol->id < step->symbols ? step->entry_of[symbol->id] : 0;
    return number ? &step->chain.entries[number - 1] : NULL;
}

bool step_is_structural(const Node *node) {
    return node->kind == N_Ident || node->kind == N_Field || node->kind == N_Struct;
}

/* What a name, or a field of one, was written as, through lets and structs. */
static Node *origin(const Step *step, Node *node) {
    if (node->kind == N_Ident) {
        const Entry *entry = entry_of(step, node->symbol);
        return entry && step_is_structural(entry->value) ? origin(step, entry->value) : node;
    }
    if (node->kind != N_Field) return node;
    Node *whole = origin(step, node->kids[0]);
    if (whole->kind == N_Struct) return origin(step, whole->kids[node->index]);
    if (whole == node->kids[0]) return node;
    Node *field = node_make(step->d->program, N_Field, node->span, node->type, 1, whole);
    field->index = node->index;
    return field;
}

/* Is it a part of the state? Then *first is the number of its first leaf. */
static bool state_part(const Step *step, const Node *node, int *first) {
    if (node->kind == N_Ident) {
        *first = 0;
        return node->symbol == step->chain.param;
    }
    if (node->kind != N_Field || !state_part(step, node->kids[0], first)) return false;
    for (int i = 0; i < node->index; i++) *first += state_leaves(node->kids[0]->type->args[i]);
    return true;
}

Node *step_part(Step *step, Node *whole, int leaf) {
    while (whole->type->kind == TY_struct) {
        const Type *type = whole->type;
        int field = 0;
        for (; leaf >= state_leaves(type->args[field]); field++) leaf -= state_leaves(type->args[field]);
        if (whole->kind == N_Struct) {
            whole = whole->kids[field];
            continue;
        }
        whole = node_make(step->d->program, N_Field, whole->span, type->args[field], 1,
                          node_clone(step->d->program, whole));
        whole->index = field;
    }
    return whole;
}

/* ---- what depends on what ---- */

static void refuse(Step *step, Span span, const char *why) {
    if (step->why) return;
    step->why = why;
    step->where = span;
}

static void refuse_exchange(Step *step, const Node *exchange) {
    snprintf(step->text, sizeof step->text, "a step needs exchange[%s], too",
             exchange_classes[exchange->bits].spelling);
    refuse(step, exchange->span, step->text);
}

typedef struct Needs {
    Step *step;
    uint64_t leaves, sums;
    const Node *collects; /* an exchange that all ranks come to, or NULL */
} Needs;

static bool is_local(const Node *exchange) {
    return exchange->bits == EXCHANGE_share || exchange->bits == EXCHANGE_seed ||
           exchange->bits == EXCHANGE_block;
}

static bool find_needs(Walk *walk, Node **slot) {
    Needs *needs = walk->data;
    Step *step = needs->step;
    Node *node = *slot;
    int first;
    if (node->kind == N_Exchange && !is_local(node)) needs->collects = node;
    if (node_is_foreign(node) && !node_has_note(node, "pure"))
        refuse(step, node->span, "a step calls a C function");
    Node *from = node->kind == N_Ident || node->kind == N_Field ? origin(step, node) : node;
    if (from != node) {
        node_walk(walk, &from);
        return false;
    }
    if (state_part(step, node, &first)) {
        int count = state_leaves(node->type);
        for (int i = first; i < first + count; i++) needs->leaves |= 1ull << i;
        return false;
    }
    const Entry *entry = node->kind == N_Ident ? entry_of(step, node->symbol) : NULL;
    if (!entry) return true;
    needs->leaves |= entry->leaves;
    needs->sums |= entry->sums;
    return true;
}

static Needs needs_of(Step *step, Node *node) {
    Needs needs = {.step = step};
    Walk walk = {step->d->program, find_needs, NULL, &needs};
    node_walk(&walk, &node);
    return needs;
}

/* What does not depend on the state is computed once, before; so exchanges of it are no matter of a step. */
static void study_entries(Step *step) {
    for (int i = 0; i < step->chain.count; i++) {
        Entry *entry = &step->chain.entries[i];
        bool sum = is_sum(entry->value);
        Needs needs = needs_of(step, sum ? entry->value->kids[0] : entry->value);
        entry->leaves = needs.leaves;
        entry->sums = needs.sums;
        if (sum && needs.sums) refuse(step, entry->value->span, "a sum needs another one of the same step");
        if (sum && step->nsums < SERVED_MOST) {
            entry->sum = step->nsums;
            entry->sums |= 1ull << step->nsums;
            step->sums[step->nsums++] = (StepSum){.entry = i, .group = -1};
        } else if (sum) {
            refuse(step, entry->value->span, "a step has too many sums");
        }
        entry->hoisted = !sum && !entry->leaves && !entry->sums && !entry->value->type->builders;
        if (needs.collects && !entry->hoisted) refuse_exchange(step, needs.collects);
    }
    Needs end = needs_of(step, step->chain.end);
    if (end.collects) refuse_exchange(step, end.collects);
}

/* ---- who needs what ---- */

typedef struct Mark {
    Step *step;
    bool works; /* else updates */
} Mark;

static void mark_entries(Step *step, Node *node, bool works);

static bool mark_name(Walk *walk, Node **slot) {
    const Mark *mark = walk->data;
    Entry *entry = (*slot)->kind == N_Ident ? entry_of(mark->step, (*slot)->symbol) : NULL;
    bool *known = entry ? (mark->works ? &entry->works : &entry->updates) : NULL;
    if (!known || *known) return true;
    *known = true;
    if (entry->sum < 0 || mark->works) mark_entries(mark->step, entry->value, mark->works);
    return true;
}

/* A sum is where the update's needs end. */
static void mark_entries(Step *step, Node *node, bool works) {
    Mark mark = {step, works};
    Walk walk = {step->d->program, mark_name, NULL, &mark};
    node_walk(&walk, &node);
}

uint64_t step_leaves(Step *step, Node *node) {
    return needs_of(step, node).leaves;
}

bool step_is_leaf(Step *step, Node *node, int leaf) {
    int first;
    Node *from = node->kind == N_Ident || node->kind == N_Field ? origin(step, node) : node;
    return from->type->kind != TY_struct && state_part(step, from, &first) && first == leaf;
}

Symbol *step_add(Step *step, const char *name, Node *value) {
    Symbol *symbol = symbol_new(step->d->program, name, value->type);
    append(step->d, &step->chain, symbol, value);
    Entry *entry = &step->chain.entries[step->chain.count - 1];
    entry->leaves = step_leaves(step, value);
    entry->hoisted = !entry->leaves;
    entry->works = true;
    mark_entries(step, value, true);
    return symbol;
}

static Node *again_of(Step *step) {
    if (step->chain.again) return step->chain.again;
    Node *field = node_make(step->d->program, N_Field, step->chain.end->span, step->chain.end->type->args[1],
                            1, node_clone(step->d->program, step->chain.end));
    field->index = 1;
    return field;
}

static Node *next_of(Step *step) {
    if (step->chain.next) return step->chain.next;
    Node *field = node_make(step->d->program, N_Field, step->chain.end->span, step->state, 1,
                            node_clone(step->d->program, step->chain.end));
    field->index = 0;
    return field;
}

static Node *next_leaf(Step *step, int leaf) {
    return origin(step, step_part(step, origin(step, next_of(step)), leaf));
}

/* ---- groups ---- */

static int root_of(Step *step, int group) {
    while (step->groups[group] != group) group = step->groups[group];
    return group;
}

static void join(Step *step, int a, int b) {
    int to = root_of(step, a), from = root_of(step, b);
    step->groups[from] = to;
    step->bad[to] |= step->bad[from];
}

static int group_of(Step *step, Node *node);

/* Vectors of groups that are named below are used as something else than the data of a loop. */
static bool spoil(Walk *walk, Node **slot) {
    Step *step = walk->data;
    Node *node = *slot;
    if (node->kind != N_Ident && node->kind != N_Field) return true;
    Node *from = origin(step, node);
    int first, group = group_of(step, from);
    if (group >= 0) step->bad[root_of(step, group)] = true;
    if (group >= 0) return false;
    if (state_part(step, from, &first)) { /* a struct of the state */
        for (int i = first; i < first + state_leaves(from->type); i++) {
            if (step->leaves[i].group >= 0) step->bad[root_of(step, step->leaves[i].group)] = true;
        }
        return false;
    }
    if (from == node) return true;
    node_walk(walk, &from);
    return false;
}

static void spoil_all(Step *step, Node *node) {
    Walk walk = {step->d->program, spoil, NULL, step};
    node_walk(&walk, &node);
}

/* How long a vector is that the loop walks may be said to an appender. */
static void spoil_builder(Step *step, Node *builder) {
    for (int i = 0; i < builder->count; i++) {
        if (builder->kind == N_Struct)
            spoil_builder(step, builder->kids[i]);
        else if (builder->kids[i]->kind != N_Len)
            spoil_all(step, builder->kids[i]);
    }
}

static bool only_appenders(const Type *type) {
    if (type->kind != TY_struct) return type->kind == TY_appender && !type->args[0]->pointers;
    for (int i = 0; i < type->count; i++) {
        if (!only_appenders(type->args[i])) return false;
    }
    return type->count > 0;
}

static bool appends_each(Step *step, const Node *lambda, const Type *builder, int leaf) {
    if (builder->kind != TY_struct) return merges_once(step->d, lambda, leaf);
    for (int i = 0; i < builder->count; i++) {
        if (!appends_each(step, lambda, builder->args[i], leaf + leaf_at(builder, i))) return false;
    }
    return true;
}

/* The group of what a loop makes element by element. -1: it does something else. */
static int group_of_loop(Step *step, Node *loop) {
    Node *builder = loop->kids[loop->count - 2], *lambda = loop->kids[loop->count - 1];
    bool fits = only_appenders(builder->type) && builder_is_new(builder) &&
                appends_each(step, lambda, builder->type, 0) &&
                !uses_name(step->d->program, lambda->kids[0], lambda->params[1]);
    int group = -1;
    for (int i = 0; fits && i < loop->count - 2; i++) {
        const Node *iter = loop->kids[i];
        int here = loop_walks_all(iter) ? group_of(step, origin(step, iter->kids[0])) : -1;
        if (here >= 0 && group >= 0) join(step, group, here);
        if (group < 0) group = here;
        fits = here >= 0;
    }
    if (!fits) return -1;
    spoil_builder(step, builder);
    spoil_all(step, lambda->kids[0]);
    return group;
}

static int group_of(Step *step, Node *node) {
    int first;
    if (node->kind == N_Result) return group_of(step, origin(step, node->kids[0]));
    if (node->kind == N_For) return group_of_loop(step, node);
    if (node->type->kind == TY_vec && state_part(step, node, &first)) return step->leaves[first].group;
    while (node->kind == N_Field && node->type->builders) node = node->kids[0];
    const Entry *entry = node->kind == N_Ident ? entry_of(step, node->symbol) : NULL;
    return entry ? entry->group : -1;
}

/* Sets the group of a value, or spoils those of what it uses. */
static int settle_value(Step *step, Node *value) {
    int group = group_of(step, value);
    if (group < 0 && !step_is_structural(value)) spoil_all(step, value);
    for (int i = 0; group < 0 && value->kind == N_Struct && i < value->count; i++)
        settle_value(step, value->kids[i]);
    return group;
}

/* A vector of numbers, or of structs of them. */
static bool can_be_ranged(const Type *type) {
    return type->kind == TY_vec && !type->args[0]->pointers && type->args[0]->size > 0;
}

static void make_groups(Step *step) {
    int count = 0;
    for (int i = 0; i < step->nleaves; i++)
        step->leaves[i].group = can_be_ranged(step->leaves[i].type) ? count++ : -1;
    for (int i = 0; i < step->nsums; i++) {
        Entry *entry = &step->chain.entries[step->sums[i].entry];
        entry->group = step->sums[i].group = can_be_ranged(entry->value->type) ? count++ : -1;
    }
    for (int i = 0; i < count; i++) step->groups[i] = i;
    for (int i = 0; i < step->chain.count; i++) {
        Entry *entry = &step->chain.entries[i];
        if (entry->updates && entry->sum < 0) entry->group = settle_value(step, entry->value);
    }
    for (int i = 0; i < step->nleaves; i++) group_of(step, next_leaf(step, i));
    for (int i = 0; i < step->nleaves; i++) {
        Node *next = next_leaf(step, i);
        int group = group_of(step, next), own = step->leaves[i].group;
        bool together = own >= 0 && group >= 0 && root_of(step, own) == root_of(step, group);
        if (own >= 0 && !together) step->bad[root_of(step, own)] = true;
        if (group < 0 || own < 0) spoil_all(step, next);
    }
}

/* ---- what there is ---- */

static void choose_ranges(Step *step) {
    bool summed[2 * SERVED_MOST] = {false}, kept[2 * SERVED_MOST] = {false}, any = false;
    for (int i = 0; i < step->nsums; i++) {
        if (step->sums[i].group >= 0) summed[root_of(step, step->sums[i].group)] = true;
    }
    for (int i = 0; i < step->nleaves; i++) {
        StateLeaf *leaf = &step->leaves[i];
        int group = leaf->group < 0 ? -1 : root_of(step, leaf->group);
        leaf->ranged = group >= 0 && summed[group] && !step->bad[group];
        if (leaf->ranged) kept[group] = any = true;
    }
    for (int i = 0; i < step->nsums; i++) {
        const Entry *entry = &step->chain.entries[step->sums[i].entry];
        int group = step->sums[i].group < 0 ? -1 : root_of(step, step->sums[i].group);
        step->sums[i].ranged = group >= 0 && kept[group];
        for (int k = 0; step->sums[i].ranged && k < step->nleaves; k++) {
            if (step->leaves[k].ranged && root_of(step, step->leaves[k].group) == group)
                step->sums[i].like = k;
        }
        bool fits =
            step->sums[i].ranged || (!entry->value->type->pointers && entry->value->type->kind != TY_vec);
        if (entry->updates && !fits)
            refuse(step, entry->value->span,
                   "a vector of sums is used for more than an update of parameters, one by one");
    }
    if (!step->nsums) refuse(step, step->chain.end->span, "a step has no sums over the data of all ranks");
    if (!any) refuse(step, step->chain.end->span, "a step has no vector that is updated by sums, one by one");
}

/* Clocks depend on clocks alone. */
static void find_clocks(Step *step) {
    uint64_t clocks = 0, before;
    Needs needs[SERVED_MOST];
    for (int i = 0; i < step->nleaves; i++) {
        needs[i] = needs_of(step, next_leaf(step, i));
        if (!step->leaves[i].ranged && !needs[i].sums) clocks |= 1ull << i;
    }
    do {
        before = clocks;
        for (int i = 0; i < step->nleaves; i++) {
            if (needs[i].leaves & ~clocks) clocks &= ~(1ull << i);
        }
    } while (clocks != before);
    for (int i = 0; i < step->nleaves; i++) step->leaves[i].clock = clocks >> i & 1;
    Needs again = needs_of(step, again_of(step));
    if (again.sums || again.leaves & ~clocks)
        refuse(step, step->chain.end->span, "whether there is another step depends on sums");
}

static void find_work(Step *step) {
    uint64_t read = 0;
    for (int i = 0; i < step->nsums; i++) {
        const Entry *entry = &step->chain.entries[step->sums[i].entry];
        if (!entry->updates) continue;
        mark_entries(step, entry->value->kids[0], true);
        read |= needs_of(step, entry->value->kids[0]).leaves;
    }
    for (int i = 0; i < step->nleaves; i++) {
        if (step->leaves[i].clock) mark_entries(step, next_leaf(step, i), true);
    }
    mark_entries(step, again_of(step), true);
    for (int i = 0; i < step->nleaves; i++)
        step->leaves[i].pulled = step->leaves[i].ranged && (read >> i & 1);
}

static void find_leaves(Step *step, Type *type) {
    if (type->kind != TY_struct) {
        step->leaves[step->nleaves++] = (StateLeaf){.type = type, .group = -1};
        return;
    }
    for (int i = 0; i < type->count; i++) find_leaves(step, type->args[i]);
}

void step_study(Step *step, Distribute *d, Type *state, Node *lambda) {
    *step = (Step){.d = d, .state = state};
    if (!chain_of(d, lambda, &step->chain)) return;
    if (state_leaves(state) > SERVED_MOST) {
        refuse(step, lambda->span, "its state has too many parts");
        return;
    }
    find_leaves(step, state);
    step->symbols = d->program->symbols;
    step->entry_of = arena_alloc(&d->program->arena, sizeof *step->entry_of * (size_t)(step->symbols + 1));
    d->gave_up |= !step->entry_of;
    if (!step->entry_of) return;
    for (int i = 0; i < step->chain.count; i++) step->entry_of[step->chain.entries[i].symbol->id] = i + 1;
    study_entries(step);
    for (int i = 0; !step->why && i < step->nleaves; i++) mark_entries(step, next_leaf(step, i), false);
    if (step->why) return;
    make_groups(step);
    choose_ranges(step);
    find_clocks(step);
    find_work(step);
    if (!step->why) step_find_reads(step);
}
