/* distribute_serve.c: an iterate becomes one with a parameter server among the ranks (runtime/cluster/exchange_server.c).
 *
 *     iterate({w, 0L}, |s| ..)       w is ranged, the number of the step a clock, g the sums
 *  =>
 *     let hosted = exchange[host]({{w}, {[], 0.0}}, [staleness, servers, ..]);
 *     iterate({{hosted.$0.$0, 0L}, 0L, {0L, 0L}, true}, |o|            state, updates made; steps begun, clocks; are there more
 *       let what = exchange[serve]({o.$0.$0}, {o.$1, o.$2.$0, o.$3});
 *       if(what == 0L, let g = exchange[take](hosted.$1, o.$1); {{..the next state.., o.$1 + 1L, o.$2, o.$3}, true},
 *       if(what == 1L, let view = exchange[pull]({o.$0.$0}, o.$2.$0); ..sums..;
 *                      let t = exchange[push](sums, o.$2.$0); {{o.$0, o.$1, {t, ..the next clocks..}, ..again..}, true},
 *       {o, false}))).$0
 *
 * A state that checkpoints keep is gone on from and kept by exchange[resume]({init, true}, number) and exchange[keep](the next state, ..).
 *
 * So every rank is a worker, and between its steps makes the updates of the range that it owns, by the program's own code. What
 * a step computes for both stands in both; what does not depend on the state is computed before.
 */
#include "distribute_server.h"

#include <stdio.h>
#include <string.h>

typedef struct Build Build;
typedef Node *LeafOf(Build *b, int leaf);
struct Build {
    Distribute *d;
    Program *program;
    Step *step;
    Span span;
    Type *number, *flag;
    Node **by; /* by symbol id: what stands for a name */
    int symbols;
    int ranged[SERVED_MOST], nranged; /* numbers of leaves */
    int clocks[SERVED_MOST], nclocks;
    int sums[SERVED_MOST], nsums; /* that the update needs */
    Type *parts, *sums_type, *clock_type, *outer;
    int64_t kept; /* its number in checkpoints; 0: it is not kept */
    Symbol *first, *hosted, *o, *view;
    LeafOf *leaf_of; /* what stands for a leaf of the state */
};

/* ---- small nodes ---- */

static Node *use(Build *b, Symbol *symbol) {
    return node_ident(b->program, b->span, symbol);
}

static Node *field(Build *b, Node *whole, int index) {
    Node *node = node_make(b->program, N_Field, b->span, whole->type->args[index], 1, whole);
    node->index = index;
    return node;
}

static Node *number(Build *b, int64_t value) {
    return node_literal(b->program, b->span, b->number, (uint64_t)value);
}

static Node *flag(Build *b, bool value) {
    return node_literal(b->program, b->span, b->flag, value);
}

static Node *structure(Build *b, int count, Node **kids) {
    Type *types[2 * SERVED_MOST + 4];
    Node *node = node_new(b->program, N_Struct, b->span, NULL, count);
    for (int i = 0; i < count; i++) {
        node->kids[i] = kids[i];
        types[i] = kids[i]->type;
    }
    node->type = type_make(&b->program->types, TY_struct, OP_none, count, types);
    return node;
}

static Node *pair(Build *b, Node *first, Node *second) {
    Node *kids[] = {first, second};
    return structure(b, 2, kids);
}

static Node *exchange_of(Build *b, ExchangeKind kind, Type *type, Node *first, Node *second) {
    Node *node = node_make(b->program, N_Exchange, b->span, type, 2, first, second);
    node->bits = (uint64_t)kind;
    return node;
}

static Node *binary(Build *b, Op op, Type *type, Node *first, Node *second) {
    Node *node = node_make(b->program, N_Binary, b->span, type, 2, first, second);
    node->op = op;
    return node;
}

/* Nothing but its type counts. */
static Node *zero(Build *b, Type *type) {
    if (type->kind != TY_struct && type->kind != TY_vec) return node_literal(b->program, b->span, type, 0);
    Node *node = node_new(b->program, type->kind == TY_vec ? N_Vec : N_Struct, b->span, type,
                          type->kind == TY_vec ? 0 : type->count);
    for (int i = 0; i < node->count; i++) node->kids[i] = zero(b, type->args[i]);
    return node;
}

/* ---- names that stand for something else ---- */

/* A value of the state's type, or of a part of it, whose leaves are these, from number `leaf` on. */
static Node *state_of(Build *b, Type *type, int leaf, LeafOf *leaf_of) {
    if (type->kind != TY_struct) return leaf_of(b, leaf);
    Node *node = node_new(b->program, N_Struct, b->span, type, type->count);
    for (int i = 0; i < type->count; i++) {
        node->kids[i] = state_of(b, type->args[i], leaf, leaf_of);
        leaf += state_leaves(type->args[i]);
    }
    return node;
}

static bool replace(Walk *walk, Node **slot) {
    Build *b = walk->data;
    Node *node = *slot;
    int first = 0;
    const Node *path = node;
    while (path->kind == N_Field) path = path->kids[0];
    if (path->kind != N_Ident || path->symbol->id >= b->symbols) return true;
    if (path->symbol == b->step->chain.param) {
        for (const Node *at = node; at->kind == N_Field; at = at->kids[0]) {
            for (int i = 0; i < at->index; i++) first += state_leaves(at->kids[0]->type->args[i]);
        }
        *slot = state_of(b, node->type, first, b->leaf_of);
        return false;
    }
    if (node->kind != N_Ident || !b->by[node->symbol->id]) return true;
    *slot = node_clone(b->program, b->by[node->symbol->id]);
    return false;
}

/* A copy in which names stand for what they do now. */
static Node *copy_of(Build *b, const Node *node) {
    Node *copy = node_clone(b->program, node);
    Walk walk = {b->program, replace, NULL, b};
    node_walk(&walk, &copy);
    return copy;
}

/* Lets of those entries that are asked for, under new names, around a body that is made last. */
typedef struct Lets {
    Symbol **symbols;
    Node **values;
    int count;
} Lets;

static Lets lets_new(Build *b) {
    size_t room = (size_t)b->step->chain.count + 1;
    Lets lets = {.symbols = arena_alloc(&b->program->arena, sizeof *lets.symbols * room),
                 .values = arena_alloc(&b->program->arena, sizeof *lets.values * room)};
    b->d->gave_up |= !lets.symbols || !lets.values;
    return lets;
}

static void lets_add(Build *b, Lets *lets, const Entry *entry) {
    Symbol *symbol = symbol_new(b->program, entry->symbol->name, entry->symbol->type);
    lets->values[lets->count] = copy_of(b, entry->value);
    lets->symbols[lets->count++] = symbol;
    b->by[entry->symbol->id] = use(b, symbol);
}

static Node *lets_close(Build *b, const Lets *lets, Node *body) {
    for (int i = lets->count - 1; i >= 0; i--)
        body = node_let(b->program, b->span, lets->symbols[i], lets->values[i], body);
    return body;
}

/* ---- the parts of the loop ---- */

static Node *outer(Build *b, int index) {
    return field(b, use(b, b->o), index);
}

static Node *clock_of(Build *b) {
    return field(b, outer(b, 2), 0);
}

/* The ranged leaves of a value of the state's type. */
static Node *ranges_of(Build *b, Node *state) {
    Node *kids[SERVED_MOST];
    for (int i = 0; i < b->nranged; i++)
        kids[i] = node_clone(b->program, step_part(b->step, state, b->ranged[i]));
    return structure(b, b->nranged, kids);
}

static int place_in(const int *numbers, int count, int number) {
    for (int i = 0; i < count; i++) {
        if (numbers[i] == number) return i;
    }
    return -1;
}

static Node *server_leaf(Build *b, int leaf) {
    return node_clone(b->program, step_part(b->step, outer(b, 0), leaf));
}

static Node *worker_leaf(Build *b, int leaf) {
    if (b->step->leaves[leaf].ranged) return field(b, use(b, b->view), place_in(b->ranged, b->nranged, leaf));
    if (b->step->leaves[leaf].clock) return field(b, outer(b, 2), 1 + place_in(b->clocks, b->nclocks, leaf));
    return server_leaf(b, leaf);
}

/* What the step makes of a leaf, or of whether there is another one. */
static Node *next_leaf(Build *b, int leaf) {
    const Chain *chain = &b->step->chain;
    Node *next = chain->next ? chain->next : field(b, node_clone(b->program, chain->end), 0);
    return copy_of(b, step_part(b->step, next, leaf));
}

static Node *next_again(Build *b) {
    const Chain *chain = &b->step->chain;
    return copy_of(b, chain->again ? chain->again : field(b, node_clone(b->program, chain->end), 1));
}

/* {clock, ..} behind a first number */
static Node *clocks_of(Build *b, Node *clock, LeafOf *leaf_of) {
    Node *kids[SERVED_MOST + 1] = {clock};
    for (int i = 0; i < b->nclocks; i++) kids[1 + i] = leaf_of(b, b->clocks[i]);
    return structure(b, 1 + b->nclocks, kids);
}

static Node *outcome(Build *b, Node *state, Node *updates, Node *clocks, Node *again) {
    Node *kids[] = {state, updates, clocks, again};
    return pair(b, structure(b, 4, kids), flag(b, true));
}

/* exchange[keep](next state, {updates made, steps begun, more, [number, for each leaf whether it is ranged]}) */
static Node *keep(Build *b, Node *next) {
    const Step *step = b->step;
    Node *plan =
        node_new(b->program, N_Vec, b->span, type_vec(&b->program->types, b->number), 1 + step->nleaves);
    plan->kids[0] = number(b, b->kept);
    for (int i = 0; i < step->nleaves; i++) plan->kids[1 + i] = number(b, step->leaves[i].ranged);
    Node *by[] = {binary(b, OP_add, b->number, outer(b, 1), number(b, 1)), clock_of(b), outer(b, 3), plan};
    return exchange_of(b, EXCHANGE_keep, next->type, next, structure(b, 4, by));
}

static Node *make_update(Build *b) {
    const Chain *chain = &b->step->chain;
    Symbol *g = symbol_new(b->program, "g", b->sums_type);
    Lets lets = lets_new(b);
    b->leaf_of = server_leaf;
    for (int i = 0; i < chain->count && !b->d->gave_up; i++) {
        const Entry *entry = &chain->entries[i];
        if (!entry->updates || entry->hoisted) continue;
        if (entry->sum < 0)
            lets_add(b, &lets, entry);
        else
            b->by[entry->symbol->id] = field(b, use(b, g), place_in(b->sums, b->nsums, entry->sum));
    }
    Node *take = exchange_of(b, EXCHANGE_take, b->sums_type, field(b, use(b, b->hosted), 1), outer(b, 1));
    Node *updates = binary(b, OP_add, b->number, outer(b, 1), number(b, 1));
    Node *next = state_of(b, b->step->state, 0, next_leaf);
    if (b->kept) next = keep(b, next);
    Node *body = outcome(b, next, updates, outer(b, 2), outer(b, 3));
    return node_let(b->program, b->span, g, take, lets_close(b, &lets, body));
}

/* What is read of each parameter: [{first, length}, ..] */
static Node *reads_of(Build *b) {
    Type *numbers[] = {b->number, b->number};
    Type *types = type_vec(&b->program->types, type_make(&b->program->types, TY_struct, OP_none, 2, numbers));
    Node *all = node_new(b->program, N_Vec, b->span, type_vec(&b->program->types, types), b->nranged);
    for (int i = 0; i < b->nranged; i++) {
        const StateLeaf *leaf = &b->step->leaves[b->ranged[i]];
        if (leaf->reads) {
            all->kids[i] = node_clone(b->program, b->by[leaf->reads->id]);
            continue;
        }
        Node *list = all->kids[i] = node_new(b->program, N_Vec, b->span, types, leaf->pulled);
        if (leaf->pulled) list->kids[0] = pair(b, number(b, 0), number(b, INT64_MAX));
    }
    return all;
}

/* Entries that a worker needs: those that depend on parameters, or the others. */
static Lets work_entries(Build *b, bool late) {
    const Chain *chain = &b->step->chain;
    uint64_t ranged = 0;
    Lets lets = lets_new(b);
    for (int i = 0; i < b->nranged; i++) ranged |= 1ull << b->ranged[i];
    for (int i = 0; i < chain->count && !b->d->gave_up; i++) {
        const Entry *entry = &chain->entries[i];
        bool depends = (entry->leaves & ranged) != 0;
        if (entry->works && !entry->hoisted && depends == late) lets_add(b, &lets, entry);
    }
    return lets;
}

static Node *make_work(Build *b) {
    const Chain *chain = &b->step->chain;
    b->view = symbol_new(b->program, "view", b->parts);
    b->leaf_of = worker_leaf;
    Lets early = work_entries(b, false);
    Node *pull =
        exchange_of(b, EXCHANGE_pull, b->parts, ranges_of(b, outer(b, 0)), pair(b, clock_of(b), reads_of(b)));
    Lets lets = work_entries(b, true);
    Node *kids[SERVED_MOST];
    for (int i = 0; i < b->nsums; i++)
        kids[i] = copy_of(b, chain->entries[b->step->sums[b->sums[i]].entry].value->kids[0]);
    Symbol *t = symbol_new(b->program, "t", b->number);
    Node *push = exchange_of(b, EXCHANGE_push, b->number, structure(b, b->nsums, kids), clock_of(b));
    Node *body = outcome(b, outer(b, 0), outer(b, 1), clocks_of(b, use(b, t), next_leaf), next_again(b));
    body = lets_close(b, &lets, node_let(b->program, b->span, t, push, body));
    return lets_close(b, &early, node_let(b->program, b->span, b->view, pull, body));
}

static Node *choice(Build *b, Symbol *what, int64_t value, Node *then, Node *otherwise) {
    Node *is = node_make(b->program, N_Compare, b->span, b->flag, 2, use(b, what), number(b, value));
    is->op = OP_eq;
    return node_make(b->program, N_If, b->span, then->type, 3, is, then, otherwise);
}

/* |o| .. */
static Node *make_step(Build *b) {
    Node *clocks[] = {outer(b, 1), clock_of(b), outer(b, 3)};
    Node *serve =
        exchange_of(b, EXCHANGE_serve, b->number, ranges_of(b, outer(b, 0)), structure(b, 3, clocks));
    Symbol *what = symbol_new(b->program, "what", b->number);
    Node *update = make_update(b);
    Node *rest = choice(b, what, 1, make_work(b), pair(b, use(b, b->o), flag(b, false)));
    Node *body = node_let(b->program, b->span, what, serve, choice(b, what, 0, update, rest));
    Type *types[] = {b->o->type, body->type};
    Type *function = type_make(&b->program->types, TY_function, OP_none, 2, types);
    Node *lambda = node_make(b->program, N_Lambda, b->span, function, 1, body);
    lambda->nparams = 1;
    lambda->params = arena_alloc(&b->program->arena, sizeof *lambda->params);
    lambda->params[0] = b->o;
    return lambda;
}

/* ---- the beginning ---- */

static Node *first_state(Build *b) {
    return b->kept ? field(b, use(b, b->first), 0) : use(b, b->first);
}

static Node *first_leaf(Build *b, int leaf) {
    if (b->step->leaves[leaf].ranged)
        return field(b, field(b, use(b, b->hosted), 0), place_in(b->ranged, b->nranged, leaf));
    return node_clone(b->program, step_part(b->step, first_state(b), leaf));
}

/* {staleness, servers, for each parameter whether it is pulled, for each sum what it is as long as, and its operator} */
static Node *make_plan(Build *b) {
    const Distribution *given = &b->program->distribution;
    int count = 2 + b->nranged + 2 * b->nsums, at = 2;
    Node *plan = node_new(b->program, N_Vec, b->span, type_vec(&b->program->types, b->number), count);
    plan->kids[0] = number(b, given->staleness);
    plan->kids[1] = number(b, given->servers);
    for (int i = 0; i < b->nranged; i++) plan->kids[at++] = number(b, b->step->leaves[b->ranged[i]].pulled);
    for (int i = 0; i < b->nsums; i++) {
        const StepSum *sum = &b->step->sums[b->sums[i]];
        plan->kids[at++] = number(b, sum->ranged ? place_in(b->ranged, b->nranged, sum->like) : -1);
        plan->kids[at++] = number(b, b->step->chain.entries[sum->entry].value->op);
    }
    return plan;
}

static void prepare(Build *b) {
    const Step *step = b->step;
    for (int i = 0; i < step->nleaves; i++) {
        if (step->leaves[i].ranged) b->ranged[b->nranged++] = i;
        if (step->leaves[i].clock) b->clocks[b->nclocks++] = i;
    }
    for (int i = 0; i < step->nsums; i++) {
        if (step->chain.entries[step->sums[i].entry].updates) b->sums[b->nsums++] = i;
    }
}

static Node *zero_sums(Build *b) {
    Node *kids[SERVED_MOST];
    for (int i = 0; i < b->nsums; i++)
        kids[i] = zero(b, b->step->chain.entries[b->step->sums[b->sums[i]].entry].value->type);
    return structure(b, b->nsums, kids);
}

static Node *build(Build *b, Node *init) {
    Program *program = b->program;
    const Chain *chain = &b->step->chain;
    prepare(b);
    Node *first = b->kept ? pair(b, init, flag(b, true)) : init;
    if (b->kept) first = exchange_of(b, EXCHANGE_resume, first->type, first, number(b, b->kept));
    b->first = symbol_new(program, "first", first->type);
    Node *given = pair(b, ranges_of(b, first_state(b)), zero_sums(b));
    b->parts = given->type->args[0];
    b->sums_type = given->type->args[1];
    b->hosted = symbol_new(program, "hosted", given->type);
    Node *host = exchange_of(b, EXCHANGE_host, given->type, given, make_plan(b));
    Lets lets = lets_new(b);
    for (int i = 0; i < chain->count && !b->d->gave_up; i++) {
        const Entry *entry = &chain->entries[i];
        if (entry->hoisted && (entry->works || entry->updates)) lets_add(b, &lets, entry);
    }
    Node *kids[] = {state_of(b, init->type, 0, first_leaf), number(b, 0),
                    clocks_of(b, number(b, 0), first_leaf),
                    b->kept ? field(b, use(b, b->first), 1) : flag(b, true)};
    Node *start = structure(b, 4, kids);
    b->o = symbol_new(program, "o", start->type);
    Node *iterate = node_make(program, N_Iterate, b->span, start->type, 2, start, make_step(b));
    Node *body = node_let(program, b->span, b->hosted, host, field(b, iterate, 0));
    return node_let(program, b->span, b->first, first, lets_close(b, &lets, body));
}

/* Ranges of all ranks are blocks that are cut evenly. */
static const Layout *layout_of(Build *b, const Type *type, int leaf) {
    if (type->kind != TY_struct) {
        if (!b->step->leaves[leaf].ranged) return &layout_whole;
        return b->program->distribution.servers ? layout_block(b->d, cut_new(b->d)) : &layout_evenly;
    }
    Layout *layout = layout_parts(b->d, type->count);
    for (int i = 0; layout->parts && i < type->count; i++) {
        layout->parts[i] = layout_of(b, type->args[i], leaf);
        leaf += state_leaves(type->args[i]);
    }
    return layout->parts ? layout_settle(layout, type->count) : layout;
}

/* ---- whether it is done ---- */

static void put_line(Buf *text, const Program *program, Span span) {
    uint32_t source = span.source < (uint32_t)program->sources ? span.source : 0;
    buf_printf(text, "line %zu of %s", program_line(program, span), program->source[source].name);
}

/* One line for `explain`. b: NULL, it is not served; why, and where in the step. */
static void say(Distribute *d, const Build *b, Span span, const char *why, Span where) {
    Program *program = d->program;
    const Distribution *given = &program->distribution;
    Buf text = {0};
    if (program->training) buf_put(&text, program->training, strlen(program->training));
    put_line(&text, program, span);
    if (b) {
        buf_printf(&text, ": a parameter server, staleness %lld, servers: ", (long long)given->staleness);
        if (given->servers)
            buf_printf(&text, "%lld", (long long)given->servers);
        else
            buf_printf(&text, "all");
        buf_printf(&text, "; vectors in ranges: %d, sums: %d, clocks: %d\n", b->nranged, b->nsums,
                   b->nclocks);
    } else {
        buf_printf(&text, ": all-reduce, as %s: ", why);
        put_line(&text, program, where);
        buf_printf(&text, "\n");
    }
    program->training = text.failed ? NULL : arena_copy(&program->arena, text.text, text.length);
    d->gave_up |= !program->training;
    buf_release(&text);
}

/* One that steps over no vectors is no training. */
static bool has_vectors(const Type *type) {
    if (type->kind == TY_vec) return true;
    for (int i = 0; type->kind == TY_struct && i < type->count; i++) {
        if (has_vectors(type->args[i])) return true;
    }
    return false;
}

const Layout *distribute_served(Distribute *d, Node **slot) {
    Node *node = *slot, *lambda = node_clone(d->program, node->kids[1]);
    Step step;
    if (!has_vectors(node->type)) return NULL;
    if (node->type->builders) {
        say(d, NULL, node->span, "its state holds a builder", node->span);
        return NULL;
    }
    place_of(d, lambda->params[0])->layout = &layout_whole;
    d->serves = true;
    distribute_whole(d, &lambda->kids[0]);
    d->serves = false;
    lambda->kids[0] = bind_derived(d, lambda->params[0], lambda->kids[0]);
    step_study(&step, d, node->type, lambda);
    if (d->gave_up) return NULL;
    if (step.why) {
        say(d, NULL, node->span, step.why, step.where);
        return NULL;
    }
    TypeTable *types = &d->program->types;
    Build b = {.d = d,
               .program = d->program,
               .step = &step,
               .span = node->span,
               .kept = (int64_t)node->bits,
               .number = type_scalar(types, TY_i64),
               .flag = type_scalar(types, TY_bool),
               .symbols = d->program->symbols};
    b.by = arena_alloc(&d->program->arena, sizeof *b.by * (size_t)(b.symbols + 1));
    d->gave_up |= !b.by;
    if (d->gave_up) return NULL;
    distribute_whole(d, &node->kids[0]);
    *slot = build(&b, node->kids[0]);
    say(d, &b, node->span, NULL, node->span);
    return layout_of(&b, node->type, 0);
}
