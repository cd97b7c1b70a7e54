/* distribute_find.c: of a vector in blocks a loop gets the elements that it looks up, wherever they lie.
 *
 *     for(w, b, |b, i, e| ..lookup(v, e % n)..)          v in blocks
 *  =>
 *     let places = result(for(w, appender[i64], |c, i, e| merge(c, e % n)));
 *     let found = exchange[find](v, places);
 *     for(w, b, |b, i, e| ..lookup(found.$0, lookup(found.$1, i))..)
 *
 * A loop of its own collects where the loop looks (inspector), an exchange brings what is there, each element once, and says where it
 * then is, and the loop looks there (executor): PARTI (Saltz, Crowley, Mirchandaney and Berryman, Run-time scheduling and
 * execution of loops on message passing machines, 1990). Slices, and iterators with bounds, are {first, length}. Every iteration notes as
 * many places: where it does not come to a lookup, -1. So the k-th lookup of iteration i has its place at i * per + k. What lies past the
 * end of the vector is at no place of the part, and fails where the program says. Places that do not change in an iterate are
 * collected once, before (licm.c).
 *
 * Conditions stay, but those that depend on what is looked up: what is looked up below them is found in any case, if its place
 * costs little and cannot fail. There are no places where they depend on values of the same vector, where a loop within the loop looks,
 * or beside a call that must be made as often as it stands there; then the vector is gathered.
 *
 * It is gathered as well where that takes less memory. Ranks decide when the program runs, alike: of a small vector, or if the
 * numbers and elements that a rank gets would be more bytes than the vector has, the loop is left as it is:
 *
 *     let few = 16384 < len(v) * 8 && len(w) * (16 + 8) < len(v) * 8 * (ranks - 1);
 *     let places = if(few, .., []); let all = if(few, [], exchange[gather](v)); ..
 *     if(few, for(w, ..lookup(found.$0, lookup(found.$1, i))..), for(w, ..lookup(all, e % n)..))
 */
#include "distribute.h"

enum {
    DEPENDS = 1,           /* on what is looked up */
    COSTLY = 2,            /* or may fail */
    CHEAP_NODES = 32,      /* of a place that may not be needed */
    SMALL_VECTOR = 1 << 14 /* bytes that are not worth messages */
};

/* ---- the places of a loop ---- */

typedef struct Collect {
    Finds *finds;
    Found *found;
    Program *program;
    Type *builder;
    unsigned char *marks; /* of names bound by lets so far, by symbol id */
    int symbols;
    bool guarded; /* by a condition that depends on what is looked up */
    bool failed;
} Collect;

typedef struct Marked {
    const Collect *c;
    unsigned marks;
} Marked;

static bool is_fetched(const Finds *finds, const Symbol *symbol) {
    for (int i = 0; i < finds->fetches->count; i++) {
        if (finds->fetches->list[i].local == symbol) return true;
    }
    return false;
}

static bool add_marks(Walk *walk, Node **slot) {
    Marked *marked = walk->data;
    const Collect *c = marked->c;
    const Symbol *symbol = (*slot)->kind == N_Ident ? (*slot)->symbol : NULL;
    if (!symbol) return true;
    if (symbol == c->found->part || is_fetched(c->finds, symbol)) marked->marks |= DEPENDS;
    if (symbol->id < c->symbols) marked->marks |= c->marks[symbol->id];
    return true;
}

static unsigned marks_of(const Collect *c, Node *node) {
    Marked marked = {.c = c};
    Walk walk = {c->program, add_marks, NULL, &marked};
    int budget = CHEAP_NODES;
    node_walk(&walk, &node);
    return marked.marks | (node_is_cheap(node, &budget) ? 0 : COSTLY);
}

static Node *pair_node(Program *program, Span span, Node *a, Node *b) {
    Type *two[] = {a->type, b->type};
    return node_make(program, N_Struct, span, type_make(&program->types, TY_struct, OP_none, 2, two), 2, a,
                     b);
}

/* Where the site looks: a number, or {first, length}. */
static Node *place_of_site(const Collect *c, const Node *site) {
    Program *program = c->program;
    Node *first = site->kids[1];
    if (!c->found->ranged) return first;
    Node *length = site->kind == N_Lookup  ? number_node(program, site->span, 1)
                   : site->kind == N_Slice ? site->kids[2]
                                           : binary_node(program, OP_sub, site->kids[2], first);
    return pair_node(program, site->span, first, length);
}

static Node *merge_node(const Collect *c, Node *into, Node *place) {
    return node_make(c->program, N_Merge, place->span, c->builder, 2, into, place);
}

/* `into`, a builder, with the places of the sites that evaluating the node comes to; itself, if there are none. *next: the number of the
 * next place. They share the nodes of the loop, and its names. */
static Node *collect(Collect *c, Node *node, Node *into, int *next);

static Node *collect_site(Collect *c, Node *site, Node *into, int *next) {
    for (int i = 1; i < site->count; i++) into = collect(c, site->kids[i], into, next);
    Node *place = place_of_site(c, site);
    c->failed |= c->guarded && marks_of(c, place);
    for (int i = 0; i < c->found->count; i++) {
        if (c->found->uses[i].site != site) continue;
        c->failed |= c->found->uses[i].place >= 0;
        c->found->uses[i].place = (*next)++;
    }
    return merge_node(c, into, place);
}

static Node *collect_let(Collect *c, Node *let, Node *into, int *next) {
    Program *program = c->program;
    Node *body = let, *made = into;
    for (; body->kind == N_Let; body = body->kids[1]) {
        made = collect(c, body->kids[0], made, next);
        c->marks[body->symbol->id] = (unsigned char)marks_of(c, body->kids[0]);
    }
    made = collect(c, body, made, next);
    return made == into ? into : same_lets(program, let, made);
}

/* if(condition, then, otherwise), of which an arm may be NULL: nothing is looked up there. Both arms note equally many places. */
static Node *collect_choice(Collect *c, Node *condition, Node *then, Node *otherwise, Node *into, int *next) {
    Program *program = c->program;
    Span span = condition->span;
    Node *before = collect(c, condition, into, next);
    Node *arms[2] = {then, otherwise}, *made[2];
    if (c->guarded || (marks_of(c, condition) & DEPENDS)) {
        bool outside = c->guarded;
        c->guarded = true;
        for (int i = 0; i < 2; i++) before = arms[i] ? collect(c, arms[i], before, next) : before;
        c->guarded = outside;
        return before;
    }
    Symbol *name = symbol_new(program, "c", c->builder);
    int ends[2], begin = *next;
    for (int i = 0; i < 2; i++) {
        ends[i] = begin;
        made[i] = node_ident(program, span, name);
        if (arms[i]) made[i] = collect(c, arms[i], made[i], &ends[i]);
        if (ends[i] > *next) *next = ends[i];
    }
    if (*next == begin) return before;
    for (int i = 0; i < 2; i++) {
        for (; ends[i] < *next; ends[i]++) {
            Node *nowhere = number_node(program, span, -1);
            if (c->found->ranged) nowhere = pair_node(program, span, nowhere, number_node(program, span, 0));
            made[i] = merge_node(c, made[i], nowhere);
        }
    }
    Node *choice = node_make(program, N_If, span, c->builder, 3, condition, made[0], made[1]);
    return node_let(program, span, name, before, choice);
}

static Node *collect(Collect *c, Node *node, Node *into, int *next) {
    switch (node->kind) {
    case N_Let: return collect_let(c, node, into, next);
    case N_If: return collect_choice(c, node->kids[0], node->kids[1], node->kids[2], into, next);
    case N_And: return collect_choice(c, node->kids[0], node->kids[1], NULL, into, next);
    case N_Or: return collect_choice(c, node->kids[0], NULL, node->kids[1], into, next);
    case N_Lambda: return into; /* a site below is left without a place */
    case N_Lookup:
    case N_Slice:
    case N_Iter:
        if (node->kids[0]->kind == N_Ident && node->kids[0]->symbol == c->found->part)
            return collect_site(c, node, into, next);
        break;
    default: break;
    }
    for (int i = 0; i < node->count; i++) into = collect(c, node->kids[i], into, next);
    return into;
}

static Type *place_type(Program *program, const Found *found) {
    Type *number = type_scalar(&program->types, TY_i64), *two[] = {number, number};
    return found->ranged ? type_make(&program->types, TY_struct, OP_none, 2, two) : number;
}

/* for(data of the loop, appender, |c, i, x| ..merge(c, place)..); NULL: they cannot be collected. */
static Node *places_of_loop(Finds *finds, Found *found, const Node *loop) {
    Distribute *d = finds->d;
    Program *program = d->program;
    Node *lambda = loop->kids[loop->count - 1];
    Type *place = place_type(program, found);
    Collect c = {.finds = finds, .found = found, .program = program, .symbols = program->symbols};
    c.marks = arena_alloc(&program->arena, (size_t)program->symbols + 1);
    if (!c.marks) return NULL;
    c.builder = type_make(&program->types, TY_appender, OP_none, 1, &place);
    Symbol *builder = symbol_new(program, "c", c.builder);
    found->per = 0;
    for (int i = 0; i < found->count; i++) found->uses[i].place = -1;
    Node *body = collect(&c, lambda->kids[0], node_ident(program, loop->span, builder), &found->per);
    for (int i = 0; i < found->count; i++) c.failed |= found->uses[i].place < 0;
    Type *parts[4] = {c.builder, lambda->params[1]->type, lambda->params[2]->type, c.builder};
    Node *function = node_make(program, N_Lambda, lambda->span,
                               type_make(&program->types, TY_function, OP_none, 4, parts), 1, body);
    Node *made = node_new(program, N_For, loop->span, c.builder, loop->count);
    function->params = arena_alloc(&program->arena, sizeof *function->params * 3);
    if (c.failed || !function->params) return NULL;
    function->nparams = 3;
    for (int i = 0; i < 3; i++) function->params[i] = i ? lambda->params[i] : builder;
    for (int i = 0; i < loop->count - 2; i++) made->kids[i] = loop->kids[i];
    made->kids[loop->count - 2] = node_new(program, N_NewBuilder, loop->span, c.builder, 0);
    made->kids[loop->count - 1] = function;
    made = node_clone(program, made);
    drop_unused_lets(program, &made);
    bool needs = uses_name(program, made, found->part) || uses_name(program, made, lambda->params[0]);
    for (int i = 0; i < finds->fetches->count; i++)
        needs |= uses_name(program, made, finds->fetches->list[i].local);
    if (needs || keeps_below(program, made)) return NULL;
    return node_make(program, N_Result, loop->span, type_vec(&program->types, place), 1, made);
}

/* ---- which vectors ---- */

void finds_add(Finds *finds, const Symbol *vector, Node **uses, int count) {
    Distribute *d = finds->d;
    Program *program = d->program;
    bool merges = program->distribution.lookups == LOOKUPS_MERGE;
    if (finds->count == MOST_FINDS || merges || d->serves || place_of(d, vector)->whole) return;
    while (place_of(d, vector)->same) vector = place_of(d, vector)->same;
    Found *found = &finds->list[finds->count];
    *found = (Found){.vector = (Symbol *)vector, .count = count};
    found->uses = arena_alloc(&program->arena, sizeof *found->uses * (size_t)count);
    d->gave_up |= !found->uses;
    if (!found->uses) return;
    finds->count++;
    found->part = symbol_new(program, vector->name, vector->type);
    for (int i = 0; i < count; i++) {
        Node *site = uses[i];
        found->uses[i] = (FoundUse){site, -1};
        found->ranged |= site->kind != N_Lookup;
        site->kids[0] = node_ident(program, site->kids[0]->span, found->part);
    }
}

/* ---- what it costs ---- */

static bool mark_bound(Walk *walk, Node **slot) {
    Finds *finds = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Let) finds->inside[node->symbol->id] = true;
    for (int i = 0; i < node->nparams; i++) finds->inside[node->params[i]->id] = true;
    return true;
}

static bool see_bound(Walk *walk, Node **slot) {
    Finds **finds = walk->data;
    const Node *node = *slot;
    if (*finds && node->kind == N_Ident && (*finds)->inside[node->symbol->id]) *finds = NULL;
    return *finds != NULL;
}

/* A copy of a number that is the same in all iterations, or NULL. */
static Node *known_before(Finds *finds, Node *node) {
    Finds *known = finds;
    Walk walk = {finds->d->program, see_bound, NULL, &known};
    int budget = CHEAP_NODES;
    if (!node_is_cheap(node, &budget)) return NULL;
    node_walk(&walk, &node);
    if (!known) return NULL;
    const Node *most = node->kind == N_Ident ? place_of(finds->d, node->symbol)->most : NULL;
    return node_clone(finds->d->program, most ? most : node);
}

/* How many elements a site takes, if that is known; else NULL. */
static Node *size_of_site(Finds *finds, const Node *site) {
    if (site->kind == N_Lookup) return number_node(finds->d->program, site->span, 1);
    Node *size = site->kids[2];
    if (site->kind == N_Iter) {
        bool sum = size->kind == N_Binary && size->op == OP_add && node_equal(size->kids[0], site->kids[1]);
        if (!sum) return NULL;
        size = size->kids[1];
    }
    return known_before(finds, size);
}

static Node *times(Program *program, Node *a, int64_t b) {
    return binary_node(program, OP_mul, a, number_node(program, a->span, b));
}

static Node *add(Program *program, Node *sum, Node *more) {
    return sum ? binary_node(program, OP_add, sum, more) : more;
}

/* The bytes that an iteration finds, places and elements, are added to finds->each; where they are not known, each element once to ->once. */
static void add_cost(Finds *finds, const Found *found) {
    Distribute *d = finds->d;
    Program *program = d->program;
    Span span = found->places->span;
    int64_t element = found->vector->type->args[0]->size, place = place_type(program, found)->size;
    Node *length =
        likely_length(d, node_ident(program, span, found->vector), place_of(d, found->vector)->layout);
    Node *bytes = times(program, length, element);
    bool known = true;
    finds->each = add(program, finds->each, number_node(program, span, 2 * place * found->per));
    for (int k = 0; k < found->count; k++) {
        Node *size = size_of_site(finds, found->uses[k].site);
        known &= size != NULL;
        if (size) finds->each = add(program, finds->each, times(program, size, element));
    }
    if (!known) finds->once = add(program, finds->once, node_clone(program, bytes));
    finds->all = add(program, finds->all, bytes);
}

/* Are the vectors many bytes, and more in all ranks that gather them than what is found? */
static Node *find_pays(const Finds *finds, Node *iterations) {
    Distribute *d = finds->d;
    Program *program = d->program;
    Span span = iterations->span;
    Type *truth = type_scalar(&program->types, TY_bool);
    Symbol *bytes = symbol_new(program, "bytes", finds->all->type);
    Symbol *ranks = symbol_new(program, "ranks", finds->all->type);
    Node *others =
        binary_node(program, OP_sub, node_ident(program, span, ranks), number_node(program, span, 1));
    Node *gathered = binary_node(program, OP_mul, node_ident(program, span, bytes), others);
    Node *found = binary_node(program, OP_mul, iterations, finds->each);
    if (finds->once) found = add(program, found, finds->once);
    Node *less = node_make(program, N_Compare, span, truth, 2, found, gathered);
    Node *many = node_make(program, N_Compare, span, truth, 2, number_node(program, span, SMALL_VECTOR),
                           node_ident(program, span, bytes));
    less->op = many->op = OP_lt;
    Node *both = node_make(program, N_And, span, truth, 2, many, less);
    return node_let(program, span, ranks,
                    exchange_node(d, EXCHANGE_reduce, OP_add, number_node(program, span, 1), NULL),
                    node_let(program, span, bytes, finds->all, both));
}

/* ---- the loop that looks there ---- */

/* if(few, found, other), or what is found where it always is. */
static Node *choose(const Finds *finds, Node *found, Node *other) {
    Program *program = finds->d->program;
    if (!finds->few) return found;
    return node_make(program, N_If, found->span, found->type, 3, node_ident(program, found->span, finds->few),
                     found, other);
}

/* lookup(at, i * per + k), or a field of it. */
static Node *place_found(const Finds *finds, const Found *found, const FoundUse *use, const Symbol *index,
                         int field) {
    Program *program = finds->d->program;
    Span span = use->site->span;
    Node *number = node_ident(program, span, (Symbol *)index);
    if (found->per > 1) number = times(program, number, found->per);
    if (use->place) number = add(program, number, number_node(program, span, use->place));
    Node *place = node_make(program, N_Lookup, span, found->at->type->args[0], 2,
                            node_ident(program, span, found->at), number);
    if (!found->ranged) return place;
    Node *part = node_make(program, N_Field, span, index->type, 1, place);
    part->index = field;
    return part;
}

/* iter(v, first, end, 1)   =>   iter(part, at.$0, if all of it is there at.$0 + at.$1 else -1, 1) */
static Node *end_found(const Finds *finds, const Found *found, const FoundUse *use, const Symbol *index) {
    Program *program = finds->d->program;
    const Node *site = use->site;
    Type *truth = type_scalar(&program->types, TY_bool);
    Node *wanted =
        binary_node(program, OP_sub, node_clone(program, site->kids[2]), node_clone(program, site->kids[1]));
    Node *all =
        node_make(program, N_Compare, site->span, truth, 2, wanted, place_found(finds, found, use, index, 1));
    all->op = OP_eq;
    Node *end = binary_node(program, OP_add, place_found(finds, found, use, index, 0),
                            place_found(finds, found, use, index, 1));
    return node_make(program, N_Select, site->span, end->type, 3, all, end,
                     number_node(program, site->span, -1));
}

static void look_in_part(const Finds *finds, const Found *found, const Symbol *index) {
    for (int i = 0; i < found->count; i++) {
        const FoundUse *use = &found->uses[i];
        Node *site = use->site, *end = NULL;
        if (site->kind == N_Iter) end = end_found(finds, found, use, index);
        if (site->kind == N_Slice) end = place_found(finds, found, use, index, 1);
        site->kids[1] = choose(finds, place_found(finds, found, use, index, 0), site->kids[1]);
        if (end) site->kids[2] = choose(finds, end, site->kids[2]);
    }
}

/* ---- around the loop ---- */

static Node **bind(Distribute *d, Node **slot, Symbol *name, Node *value) {
    *slot = node_let(d->program, (*slot)->span, name, value, *slot);
    return &(*slot)->kids[1];
}

static Node *nothing(Program *program, Span span, Type *vector) {
    return node_new(program, N_Vec, span, vector, 0);
}

typedef struct Fold {
    const Symbol *few;
    int arm;
} Fold;

static void fold_choice(Walk *walk, Node **slot) {
    const Fold *fold = walk->data;
    Node *node = *slot;
    if (node->kind == N_If && node->kids[0]->kind == N_Ident && node->kids[0]->symbol == fold->few)
        *slot = node->kids[fold->arm];
}

/* What it is where few is true, by arm 1, or not, by arm 2. */
static Node *chosen(const Finds *finds, Node *node, int arm) {
    Fold fold = {finds->few, arm};
    Walk walk = {finds->d->program, NULL, fold_choice, &fold};
    if (finds->few) node_walk(&walk, &node);
    return node;
}

static Node **bind_found(const Finds *finds, Node **slot, const Found *found) {
    Distribute *d = finds->d;
    Program *program = d->program;
    Span span = found->places->span;
    Type *vector = found->vector->type, *at = found->places->type, *two[] = {vector, at};
    Symbol *places = symbol_new(program, "places", at);
    slot = bind(d, slot, places, choose(finds, chosen(finds, found->places, 1), nothing(program, span, at)));
    Node *find = exchange_node(d, EXCHANGE_find, OP_none, node_ident(program, span, found->vector),
                               node_ident(program, span, places));
    find->type = type_make(&program->types, TY_struct, OP_none, 2, two);
    Symbol *pair = symbol_new(program, "found", find->type);
    if (finds->few) {
        Symbol *all = symbol_new(program, "all", vector);
        Node *gather =
            exchange_node(d, EXCHANGE_gather, OP_none, node_ident(program, span, found->vector), NULL);
        slot = bind(d, slot, all, choose(finds, nothing(program, span, vector), gather));
        find = choose(finds, find,
                      pair_node(program, span, node_ident(program, span, all), nothing(program, span, at)));
    }
    slot = bind(d, slot, pair, find);
    slot = bind(d, slot, found->part, pair_field(program, span, pair, 0));
    return bind(d, slot, found->at, pair_field(program, span, pair, 1));
}

static Node **bind_whole(const Finds *finds, Node **slot, const Found *found) {
    Node *whole = node_ident(finds->d->program, (*slot)->span, found->vector);
    make_whole(finds->d, &whole, place_of(finds->d, found->vector)->layout);
    return bind(finds->d, slot, found->part, whole);
}

/* Collects the places of all that need nothing which is not found yet; what is left then looks where it looks itself. */
static Found *next_found(Finds *finds, const Node *loop) {
    Program *program = finds->d->program;
    Found *left = NULL;
    for (int i = 0; i < finds->count; i++) {
        Found *found = &finds->list[i];
        if (found->done) continue;
        left = left ? left : found;
        bool ready = true;
        found->places = places_of_loop(finds, found, loop);
        for (int k = 0; found->places && k < finds->count; k++)
            ready &= finds->list[k].done || !uses_name(program, found->places, finds->list[k].part);
        if (ready) return found;
    }
    if (left) left->places = NULL;
    return left;
}

/* What ranks send each other for the builder gets names before what becomes two loops. */
static bool name_exchange(Walk *walk, Node **slot) {
    Finds *finds = walk->data;
    Node *node = *slot;
    if (node->kind != N_Exchange || !*exchange_classes[node->bits].sends) return true;
    Symbol *name = symbol_new(walk->program, "all", node->type);
    *slot = node_ident(walk->program, node->span, name);
    finds->slot = bind(finds->d, finds->slot, name, node);
    return false;
}

void finds_begin(Finds *finds, Distribute *d, const Fetches *fetches) {
    *finds = (Finds){.d = d, .fetches = fetches};
}

void finds_look(Finds *finds, Node **slot, Node *loop, Node *iterations) {
    Distribute *d = finds->d;
    Program *program = d->program;
    if (!finds->count) return;
    while (*slot != loop) slot = &(*slot)->kids[1];
    name_data(d, slot, loop);
    while (*slot != loop) slot = &(*slot)->kids[1];
    Node *lambda = loop->kids[loop->count - 1], *few = NULL;
    Walk bound = {program, mark_bound, NULL, finds}, exchanges = {program, name_exchange, NULL, finds};
    finds->inside = arena_alloc(&program->arena, (size_t)program->symbols + 1);
    d->gave_up |= !finds->inside;
    if (!finds->inside) return;
    node_walk(&bound, &lambda);
    if (program->distribution.lookups == LOOKUPS_AUTO) {
        finds->few = symbol_new(program, "few", type_scalar(&program->types, TY_bool));
    }
    finds->slot = slot;
    if (finds->few) node_walk(&exchanges, &loop->kids[loop->count - 2]);
    Node **first = finds->slot;
    slot = first;
    for (Found *found; (found = next_found(finds, loop)); found->done = true) {
        if (!found->places) {
            slot = bind_whole(finds, slot, found);
            continue;
        }
        found->at = symbol_new(program, "at", found->places->type);
        if (finds->few) add_cost(finds, found);
        look_in_part(finds, found, lambda->params[1]);
        slot = bind_found(finds, slot, found);
    }
    if (finds->all) few = find_pays(finds, iterations);
    if (few) *first = node_let(program, loop->span, finds->few, few, *first);
    if (!few) finds->few = NULL;
    finds->slot = slot;
}

void finds_end(Finds *finds) {
    Program *program = finds->d->program;
    if (!finds->count || !finds->few) return;
    Node *loop = *finds->slot, *found = chosen(finds, node_clone(program, loop), 1);
    *finds->slot = node_make(program, N_If, loop->span, loop->type, 3,
                             node_ident(program, loop->span, finds->few), found, chosen(finds, loop, 2));
}
