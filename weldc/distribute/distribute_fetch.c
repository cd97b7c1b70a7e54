/* distribute_fetch.c: dictionaries of which each key is on one rank, and how loops on all ranks look up in them.
 *
 *     let d = result(for(v, dictmerger[K,V,+], ..)); result(for(w, merger[V,+], |b, i, x| merge(b, lookup(d, x))))
 *  =>
 *     let spread = exchange[spread,+](result(for(v, ..)), {len(w), 0, 0}); let d = spread.$0;
 *     let e = if(spread.$1, d, exchange[fetch](d, result(for(w, appender[K], |c, i, x| merge(c, x)))));
 *     exchange[reduce,+](result(for(w, merger[V,+], |b, i, x| merge(b, lookup(e, x)))))
 *
 * The loop stays as it is, over its own rows, in their order: e is a dictionary that has of d what it asks for. How many keys
 * these are is known when d is made, as a bound, so the ranks decide then, by bytes: spread.$1 says whether all have the whole
 * of d, and spread.$2 whether rows move to it, of loops that can (distribute_move.c). With weld.cluster.lookups=merge there is no
 * such layout, and with fetch and shuffle each key is on one rank.
 *
 * Only a dictionary that is used in no other way, but that it may be listed, is laid out so: its list is in blocks, of the keys
 * that a rank has, or cut. A use that turns out to be none of these (the loop cannot be distributed, or its keys cannot be
 * collected) gets the whole, by a merge behind the dictionary's name.
 */
#include "distribute.h"

/* ---- which dictionaries ---- */

typedef struct Search {
    Distribute *d;
    Node *loop;  /* whose function it is in, if it is a loop that may be distributed; or NULL */
    bool hidden; /* it is in another function */
    int steps;   /* of iterates around it */
} Search;

/* Dictionaries that are looked up are never whole. */
static bool by_key_only(const Distribute *d) {
    Lookups lookups = d->program->distribution.lookups;
    return lookups == LOOKUPS_FETCH || lookups == LOOKUPS_SHUFFLE;
}

static void note_fetch(Search *s, const Symbol *dict) {
    Distribute *d = s->d;
    Place *place = place_of(d, dict);
    bool again = place->steps != s->steps && !by_key_only(d);
    if (s->hidden || again) return;
    place->fetches++;
    if (place->asked && place->asked->loop == s->loop) return;
    Asked *asked = arena_alloc(&d->program->arena, sizeof *asked);
    *asked = (Asked){s->loop, place->asked};
    place->asked = asked;
}

static bool may_be_distributed(const Node *loop) {
    bool all = true;
    for (int i = 0; i < loop->count - 2; i++) all &= loop_walks_all(loop->kids[i]);
    return builder_is_new(loop->kids[loop->count - 2]) &&
           (all || (loop->count == 3 && loop_counts_up(loop->kids[0])));
}

static bool see_lookup(Walk *walk, Node **slot) {
    Search *s = walk->data, outside = *s;
    Node *node = *slot;
    int last = node->count - 1;
    const Symbol *dict = dict_looked_up(node);
    if (dict) note_fetch(s, dict);
    if (node->kind == N_Let) place_of(s->d, node->symbol)->steps = s->steps;
    if (last < 0 || node->kids[last]->kind != N_Lambda) return true;
    for (int i = 0; i < last; i++) node_walk(walk, &node->kids[i]);
    bool inside = s->loop || s->hidden;
    if (node->kind == N_Iterate && !inside)
        s->steps++;
    else if (node->kind != N_For || (!inside && !may_be_distributed(node)))
        s->hidden = true;
    else if (!inside)
        s->loop = node;
    node_walk(walk, &node->kids[last]->kids[0]);
    *s = outside;
    return false;
}

void find_fetches(Distribute *d, Node *root) {
    Search s = {.d = d};
    Walk walk = {d->program, see_lookup, NULL, &s};
    if (d->program->distribution.lookups != LOOKUPS_MERGE) node_walk(&walk, &root->kids[0]);
}

bool only_fetched(Distribute *d, const Symbol *dict) {
    const Place *place = place_of(d, dict);
    return place->fetches && place->uses == place->fetches + place->listings;
}

/* ---- how many keys are looked up ---- */

static bool find_unbound(Walk *walk, Node **slot) {
    Distribute **d = walk->data;
    if (*d && (*slot)->kind == N_Ident && !place_of(*d, (*slot)->symbol)->bound) *d = NULL;
    return *d != NULL;
}

/* May it be evaluated here: its names are there, and it cannot fail. */
static bool is_known(Distribute *d, Node *node) {
    Distribute *known = d;
    Walk walk = {d->program, find_unbound, NULL, &known};
    int budget = 8;
    if (!node_is_cheap(node, &budget)) return false;
    node_walk(&walk, &node);
    return known;
}

/* The iterations of this rank, if it is known where the dictionary is made; else NULL. */
static Node *own_iterations(Distribute *d, const Node *loop) {
    Program *program = d->program;
    Span span = loop->span;
    const Node *iter = loop->kids[0];
    if (iter->iter == IT_range) {
        if (!is_known(d, iter->kids[1])) return NULL;
        Node *end = node_clone(program, iter->kids[1]);
        distribute_whole(d, &end);
        Node *share = exchange_node(d, EXCHANGE_share, OP_none, end, NULL);
        Symbol *name = symbol_new(program, "share", share->type);
        Node *count = binary_node(program, OP_sub, pair_field(program, span, name, 1),
                                  pair_field(program, span, name, 0));
        return node_let(program, span, name, share, count);
    }
    for (int i = 0; i < loop->count - 2; i++) {
        Node *data = loop->kids[i]->kids[0];
        while (data->kind == N_Field) data = data->kids[0];
        if (data->kind != N_Ident || !place_of(d, data->symbol)->bound) continue;
        Node *vector = node_clone(program, loop->kids[i]->kids[0]);
        const Layout *layout = distribute(d, &vector);
        if (layout->kind == LAYOUT_SPLITS) vector = own_block(d, vector, layout);
        return node_make(program, N_Len, span, type_scalar(&program->types, TY_i64), 1, vector);
    }
    return NULL;
}

static void add_to(Program *program, Node **sum, Node *count) {
    *sum = *sum ? binary_node(program, OP_add, *sum, count) : count;
}

/* {keys that are fetched, rows that may move, bytes of these rows}, of this rank. What is not known counts nothing: to fetch costs
 * little more than the merge then, at most. */
static Node *keys_asked(Distribute *d, const Symbol *dict, Span span) {
    Program *program = d->program;
    Place *place = place_of(d, dict);
    Type *number = type_scalar(&program->types, TY_i64), *numbers[] = {number, number, number};
    Node *sums[3] = {NULL};
    for (const Asked *asked = place->asked; asked; asked = asked->next) {
        Node *count = asked->loop ? own_iterations(d, asked->loop) : node_literal(program, span, number, 1);
        int64_t bytes = asked->loop && count ? moved_row(d, asked->loop, dict) : 0;
        if (!count) continue;
        add_to(program, &sums[bytes ? 1 : 0], count);
        place->moves |= bytes > 0;
        if (bytes)
            add_to(program, &sums[2],
                   binary_node(program, OP_mul, node_clone(program, count),
                               node_literal(program, span, number, (uint64_t)bytes)));
    }
    for (int i = 0; i < 3; i++) {
        if (!sums[i]) sums[i] = node_literal(program, span, number, 0);
    }
    return node_make(program, N_Struct, span, type_make(&program->types, TY_struct, OP_none, 3, numbers), 3,
                     sums[0], sums[1], sums[2]);
}

const Layout *spread_dict(Distribute *d, Node *let) {
    Program *program = d->program;
    Place *place = place_of(d, let->symbol);
    Node *result = let->kids[0];
    const Type *builder = result->kids[0]->type;
    Op op = builder->kind == TY_groupmerger ? OP_add : builder->op;
    if (by_key_only(d)) {
        place->moves = program->distribution.lookups == LOOKUPS_SHUFFLE;
        let->kids[0] = exchange_node(d, EXCHANGE_shuffle, op, result, NULL);
        return &layout_keyed;
    }
    Type *truth = type_scalar(&program->types, TY_bool), *parts[] = {result->type, truth, truth};
    Node *spread = exchange_node(d, EXCHANGE_spread, op, result, keys_asked(d, let->symbol, result->span));
    spread->type = type_make(&program->types, TY_struct, OP_none, 3, parts);
    place->spread = symbol_new(program, "spread", spread->type);
    let->kids[0] = spread;
    return &layout_keyed;
}

void bind_spread(Distribute *d, Node *let) {
    Program *program = d->program;
    Symbol *dict = let->symbol, *pair = place_of(d, dict)->spread;
    if (!pair) return;
    let->kids[1] = node_let(program, let->span, dict, pair_field(program, let->span, pair, 0), let->kids[1]);
    let->symbol = pair;
    let->text = pair->name;
}

/* if(spread.$1, whole, other), or the other alone where the dictionary is never whole. */
static Node *unless_whole(Distribute *d, const Symbol *dict, Node *whole, Node *other) {
    Program *program = d->program;
    Symbol *pair = place_of(d, dict)->spread;
    if (!pair) return other;
    return node_make(program, N_If, whole->span, whole->type, 3, pair_field(program, whole->span, pair, 1),
                     whole, other);
}

Node *where_rows_move(Distribute *d, const Symbol *dict, Node *moved, Node *other) {
    Program *program = d->program;
    Symbol *spread = place_of(d, dict)->spread;
    if (!spread) return moved;
    return node_make(program, N_If, other->span, other->type, 3, pair_field(program, other->span, spread, 2),
                     moved, other);
}

Node *list_keyed(Distribute *d, Node *list) {
    const Node *dict = list->kids[0];
    if (dict->kind != N_Ident) return list;
    Node *block = exchange_node(d, EXCHANGE_block, OP_none, node_clone(d->program, list), NULL);
    return unless_whole(d, dict->symbol, block, list);
}

Node *merge_keyed(Distribute *d, Node *dict) {
    Node *merged = exchange_node(d, EXCHANGE_merge, OP_add, dict, NULL);
    return dict->kind == N_Ident ? unless_whole(d, dict->symbol, node_clone(d->program, dict), merged)
                                 : merged;
}

static Node *fetch_keys(Distribute *d, Symbol *dict, Node *keys) {
    Node *name = node_ident(d->program, keys->span, dict);
    return unless_whole(d, dict, node_clone(d->program, name),
                        exchange_node(d, EXCHANGE_fetch, OP_none, name, keys));
}

/* ---- lookups ---- */

void fetch_one(Distribute *d, Node **slot) {
    Program *program = d->program;
    Node *node = *slot, *key = node->kids[1];
    Symbol *name = symbol_new(program, "key", key->type);
    Node *keys = node_make(program, N_Vec, node->span, type_vec(&program->types, key->type), 1,
                           node_ident(program, node->span, name));
    node->kids[0] = fetch_keys(d, node->kids[0]->symbol, keys);
    node->kids[1] = node_ident(program, node->span, name);
    *slot = node_let(program, node->span, name, key, node);
}

static bool find_keyed(Walk *walk, Node **slot) {
    Fetches *f = walk->data;
    Distribute *d = f->d;
    Node *node = *slot;
    Symbol *dict = dict_looked_up(node);
    if (!dict || place_of(d, dict)->layout->kind != LAYOUT_KEYED) return true;
    int i = 0;
    while (i < f->count && f->list[i].dict != dict) i++;
    if (i == MOST_FETCHES) return true;
    if (i == f->count)
        f->list[f->count++] = (Fetch){.dict = dict, .local = symbol_new(d->program, dict->name, dict->type)};
    node->kids[0] = node_ident(d->program, node->span, f->list[i].local);
    return true;
}

void fetches_begin(Distribute *d, Node *loop, Fetches *f) {
    Node *lambda = loop->kids[loop->count - 1];
    Walk walk = {d->program, find_keyed, NULL, f};
    f->d = d;
    f->count = 0;
    node_walk(&walk, &lambda->kids[0]);
}

/* Data that the loop of keys walks, too, gets a name. */
void name_data(Distribute *d, Node **slot, Node *loop) {
    Program *program = d->program;
    for (int i = 0; i < loop->count - 2; i++) {
        if (!iter_classes[loop->kids[i]->iter].has_data) continue;
        Node **data = &loop->kids[i]->kids[0];
        const Node *path = *data;
        while (path->kind == N_Field) path = path->kids[0];
        if (path->kind == N_Ident) continue;
        Symbol *name = symbol_new(program, "data", (*data)->type);
        *slot = node_let(program, loop->span, name, *data, loop);
        *data = node_ident(program, loop->span, name);
        slot = &(*slot)->kids[1];
    }
}

/* The first, if any, whose keys need no dictionary that is not there yet. */
static Fetch *next_fetch(Fetches *f) {
    for (int i = 0; i < f->count; i++) {
        Fetch *fetch = &f->list[i];
        bool ready = fetch->keys && !fetch->bound;
        for (int k = 0; ready && k < f->count; k++)
            ready = f->list[k].bound || !uses_name(f->d->program, fetch->keys, f->list[k].local);
        if (ready) return fetch;
    }
    return NULL;
}

static Node *whole_dict(Distribute *d, Symbol *dict, Span span) {
    Node *whole = node_ident(d->program, span, dict);
    make_whole(d, &whole, place_of(d, dict)->layout);
    return whole;
}

static Node **bind_local(Distribute *d, Node **slot, Fetch *f, Node *value, Node *loop) {
    *slot = node_let(d->program, loop->span, f->local, value, loop);
    f->bound = true;
    return &(*slot)->kids[1];
}

void fetches_end(Fetches *f, Node **slot) {
    Distribute *d = f->d;
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *loop = *slot;
    if (!f->count) return;
    name_data(d, slot, loop);
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    for (int i = 0; i < f->count; i++) {
        Fetch *fetch = &f->list[i];
        fetch->keys = keys_of_loop(d, loop, fetch->local);
        if (!fetch->keys) slot = bind_local(d, slot, fetch, whole_dict(d, fetch->dict, loop->span), loop);
    }
    for (Fetch *ready; (ready = next_fetch(f));)
        slot = bind_local(d, slot, ready, fetch_keys(d, ready->dict, ready->keys), loop);
    for (int i = 0; i < f->count; i++) {
        Fetch *rest = &f->list[i];
        if (!rest->bound) slot = bind_local(d, slot, rest, whole_dict(d, rest->dict, loop->span), loop);
    }
}
