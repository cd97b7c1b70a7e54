/* distribute.c: one program for all ranks of a cluster, where each does its share.
 *
 *     |v: vec[f64]| let s = result(for(v, merger[f64,+], ..)); result(for(v, appender, ..x / s..))
 *  =>
 *     |v: vec[f64]| let own = exchange[block](v);
 *                   let s = exchange[reduce,+](result(for(own, merger[f64,+], ..)));
 *                   exchange[gather](result(for(own, appender, ..x / s..)))
 *
 * Every rank runs the same program (SPMD), so all come to the same exchanges in the same order. A value has a *layout*
 * (distribute.h): whole on every rank, or in blocks, or by key. One walk in the order of evaluation rewrites the
 * program and finds the layouts together: loops run over the blocks of what they walk (distribute_loop.c), sorts sort
 * samples first (distribute_sort.c), products of matrices are shared by rows (distribute_product.c), and what needs all of a value gets it by an exchange, right behind the name where it
 * is needed again. Loops look up in dictionaries by key by asking for keys (distribute_fetch.c). What programs take and leave is distribute_ends.c, iterates are distribute_iterate.c. Everything else is computed whole, on every rank.
 *
 * Conditions are whole, hence the same on all ranks, so exchanges may stand in arms and in steps; functions of loops
 * hold none. An index becomes the index in the whole vector. Nothing that the program can see depends on the number of
 * ranks, but the rounding of sums and the order of tovec, which the language leaves open.
 *
 * The way of thinking is that of HPF's owner computes rule, and of alignment and distribution found by propagation
 * (Totoni et al., HPAT, ICS'17).
 */
#include "distribute.h"

#include <string.h>

bool pass_distribute(Program *program);

const Layout layout_whole = {.kind = LAYOUT_WHOLE}, layout_splits = {.kind = LAYOUT_SPLITS},
             layout_keyed = {.kind = LAYOUT_KEYED}, layout_evenly = {.kind = LAYOUT_BLOCK, .cut = CUT_EVENLY};

/* ---- layouts ---- */

const Layout *layout_block(Distribute *d, int cut) {
    Layout *layout = arena_alloc(&d->program->arena, sizeof *layout);
    *layout = (Layout){.kind = LAYOUT_BLOCK, .cut = cut};
    return layout;
}

int cut_new(Distribute *d) {
    return ++d->cuts;
}

Layout *layout_parts(Distribute *d, int count) {
    Layout *layout = arena_alloc(&d->program->arena, sizeof *layout);
    const Layout **parts = arena_alloc(&d->program->arena, sizeof *parts * (size_t)(count + 1));
    *layout = (Layout){.kind = parts ? LAYOUT_PARTS : LAYOUT_WHOLE, .parts = parts};
    for (int i = 0; parts && i < count; i++) parts[i] = &layout_whole;
    d->gave_up |= !parts;
    return layout;
}

bool layout_is_whole(const Layout *layout) {
    return layout->kind == LAYOUT_WHOLE || layout->kind == LAYOUT_SPLITS;
}

const Layout *layout_part(const Layout *layout, int field) {
    return layout->kind == LAYOUT_PARTS ? layout->parts[field] : layout;
}

const Layout *layout_settle(const Layout *layout, int count) {
    bool whole = true;
    for (int i = 0; i < count; i++) whole &= layout->parts[i]->kind == LAYOUT_WHOLE;
    return whole ? &layout_whole : layout;
}

/* ---- names ---- */

Place *place_of(Distribute *d, const Symbol *symbol) {
    Arena *arena = &d->program->arena;
    if (symbol->id >= d->room) {
        int room = symbol->id * 2 + 64;
        Place **places = arena_alloc(arena, sizeof *places * (size_t)room);
        if (!places) {
            d->gave_up = true;
            return d->places[0];
        }
        if (d->room) memcpy(places, d->places, sizeof *places * (size_t)d->room);
        d->places = places;
        d->room = room;
    }
    Place **place = &d->places[symbol->id];
    if (!*place) {
        *place = arena_alloc(arena, sizeof **place);
        **place = (Place){.layout = &layout_whole};
    }
    return *place;
}

static Symbol *derive(Distribute *d, const Symbol *from, Type *type, const Layout *layout) {
    Symbol *symbol = symbol_new(d->program, from->name, type);
    int varies = place_of(d, from)->varies;
    place_of(d, symbol)->layout = layout;
    place_of(d, symbol)->varies = varies;
    return symbol;
}

/* The name of a field of a struct that has one. NULL: it is too late. */
static Symbol *field_symbol(Distribute *d, const Symbol *symbol, int field) {
    Place *place = place_of(d, symbol);
    if (place->closed) return NULL;
    if (!place->fields)
        place->fields =
            arena_alloc(&d->program->arena, sizeof *place->fields * (size_t)(symbol->type->count + 1));
    if (!place->fields) {
        d->gave_up = true;
        return NULL;
    }
    if (!place->fields[field]) {
        place->fields[field] =
            derive(d, symbol, symbol->type->args[field], layout_part(place->layout, field));
        bool written = place->init && place->init->kind == N_Struct;
        place_of(d, place->fields[field])->init = written ? place->init->kids[field] : NULL;
    }
    return place->fields[field];
}

Node *bind_derived(Distribute *d, Symbol *symbol, Node *body) {
    Program *program = d->program;
    Place *place = place_of(d, symbol);
    Span span = body->span;
    place->closed = true;
    if (place->block) {
        Node *block = exchange_node(d, EXCHANGE_block, OP_none, node_ident(program, span, symbol), NULL);
        body = node_let(program, span, place->block, block, bind_derived(d, place->block, body));
    }
    if (place->whole) {
        Node *whole = node_ident(program, span, symbol);
        make_whole(d, &whole, place->layout);
        body = node_let(program, span, place->whole, whole, body);
    }
    if (place->length) {
        Node *length = whole_length(d, node_ident(program, span, symbol), place->layout);
        body = node_let(program, span, place->length, length, body);
    }
    if (place->start)
        body = node_let(program, span, place->start, block_start(d, node_ident(program, span, symbol)), body);
    for (int i = 0; place->fields && i < symbol->type->count; i++) {
        Symbol *part = place->fields[i];
        if (!part) continue;
        Node *field = node_make(program, N_Field, span, part->type, 1, node_ident(program, span, symbol));
        field->index = i;
        body = node_let(program, span, part, field, bind_derived(d, part, body));
    }
    return body;
}

/* ---- exchanges ---- */

Node *exchange_node(Distribute *d, ExchangeKind kind, Op op, Node *a, Node *b) {
    Program *program = d->program;
    Type *number = type_scalar(&program->types, TY_i64), *pair[] = {number, number};
    Type *type = kind == EXCHANGE_start   ? number
                 : kind == EXCHANGE_share ? type_make(&program->types, TY_struct, OP_none, 2, pair)
                 : kind == EXCHANGE_pick  ? a->type->args[0]
                                          : a->type;
    Node *node = b ? node_make(program, N_Exchange, a->span, type, 2, a, b)
                   : node_make(program, N_Exchange, a->span, type, 1, a);
    node->bits = (uint64_t)kind;
    node->op = op;
    return node;
}

/* A struct's parts, made whole one by one; the value is a name, or gets one. */
static Node *whole_parts(Distribute *d, Node *node, const Layout *layout) {
    Program *program = d->program;
    Type *type = node->type;
    Symbol *name = node->kind == N_Ident ? node->symbol : symbol_new(program, "t", type);
    Node *whole = node_new(program, N_Struct, node->span, type, type->count);
    for (int i = 0; i < whole->count; i++) {
        Node *part =
            node_make(program, N_Field, node->span, type->args[i], 1, node_ident(program, node->span, name));
        part->index = i;
        whole->kids[i] = part;
        make_whole(d, &whole->kids[i], layout->parts[i]);
    }
    return node->kind == N_Ident ? whole : node_let(program, node->span, name, node, whole);
}

bool layout_all_whole(const Layout *layout, const Type *type) {
    if (layout->kind != LAYOUT_PARTS) return layout_is_whole(layout);
    for (int i = 0; i < type->count; i++) {
        if (!layout_all_whole(layout->parts[i], type->args[i])) return false;
    }
    return true;
}

void make_whole(Distribute *d, Node **slot, const Layout *layout) {
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *node = *slot;
    if (layout_all_whole(layout, node->type)) return;
    Place *place = node->kind == N_Ident ? place_of(d, node->symbol) : NULL;
    if (place && !place->closed) {
        if (!place->whole) place->whole = derive(d, node->symbol, node->type, &layout_whole);
        *slot = node_ident(d->program, node->span, place->whole);
    } else if (layout->kind == LAYOUT_PARTS) {
        *slot = whole_parts(d, node, layout);
    } else if (layout->kind == LAYOUT_KEYED) {
        *slot = merge_keyed(d, node);
    } else {
        *slot = exchange_node(d, EXCHANGE_gather, OP_none, node, NULL);
    }
}

Node *own_block(Distribute *d, Node *vector, const Layout *layout) {
    if (layout->kind == LAYOUT_BLOCK) return vector;
    Node **slot = &vector;
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *node = *slot;
    Place *place = node->kind == N_Ident ? place_of(d, node->symbol) : NULL;
    if (place && !place->closed) {
        if (!place->block) place->block = derive(d, node->symbol, node->type, &layout_evenly);
        *slot = node_ident(d->program, node->span, place->block);
    } else {
        *slot = exchange_node(d, EXCHANGE_block, OP_none, node, NULL);
    }
    return vector;
}

/* ---- expressions ---- */

void distribute_whole(Distribute *d, Node **slot) {
    make_whole(d, slot, distribute(d, slot));
}

static const Layout *whole_kids(Distribute *d, Node *node) {
    for (int i = 0; i < node->count; i++) {
        if (node->kids[i]->kind == N_Lambda)
            distribute_function(d, node->kids[i]);
        else
            distribute_whole(d, &node->kids[i]);
    }
    return &layout_whole;
}

/* Are all uses of the builder those that take its results? */
static bool only_ends(Distribute *d, const Symbol *builder) {
    const Place *place = place_of(d, builder);
    return place->uses == place->results;
}

/* What becomes of a dictionary, by its uses. */
static Keys keys_of(Distribute *d, const Symbol *dict) {
    const Place *place = place_of(d, dict);
    return place->uses == place->listings ? KEYS_APART : only_fetched(d, dict) ? KEYS_PARTIAL : KEYS_WHOLE;
}

/* As Place.most, of a value that is not rewritten yet. */
static const Node *most_of(Distribute *d, const Node *value) {
    bool checked = value->kind == N_Select && value->type->kind == TY_i64;
    const Node *most = value->kind == N_Slice ? value->kids[2] : checked ? value->kids[1] : NULL;
    const Node *path = most;
    while (path && path->kind == N_Field) path = path->kids[0];
    bool known = path && (path->kind == N_Ident || path->kind == N_Literal);
    return known ? node_clone(d->program, most) : NULL;
}

static const Layout *distribute_let(Distribute *d, Node *let) {
    Node **value = &let->kids[0];
    const Node *most = most_of(d, *value);
    const Layout *layout;
    int varies = varies_in(d, *value);
    if ((*value)->kind == N_For)
        layout = distribute_for(d, value, only_ends(d, let->symbol));
    else if ((*value)->kind == N_Result)
        layout = distribute_result(d, value, keys_of(d, let->symbol));
    else
        layout = distribute(d, value);
    if (layout->kind == LAYOUT_PARTIAL && let->symbol->type->kind == TY_dict) layout = spread_dict(d, let);
    Place *place = place_of(d, let->symbol);
    if ((*value)->kind == N_Ident) {
        place->most = place_of(d, (*value)->symbol)->most;
        place->init = place_of(d, (*value)->symbol)->init;
        if (layout->kind == LAYOUT_BLOCK) place->same = (*value)->symbol;
    } else {
        place->most = most;
    }
    place->layout = layout;
    place->varies = varies;
    place->bound = true;
    layout = distribute(d, &let->kids[1]);
    let->kids[1] = bind_derived(d, let->symbol, let->kids[1]);
    bind_spread(d, let);
    return layout;
}

static const Layout *distribute_field(Distribute *d, Node **slot) {
    Node *node = *slot;
    const Layout *layout = distribute(d, &node->kids[0]);
    Node *kid = node->kids[0];
    if (layout->kind != LAYOUT_PARTS) return layout;
    Symbol *field =
        kid->kind == N_Ident && !kid->type->builders ? field_symbol(d, kid->symbol, node->index) : NULL;
    if (field) *slot = node_ident(d->program, node->span, field);
    return layout->parts[node->index];
}

static const Layout *distribute_struct(Distribute *d, Node *node) {
    if (node->type->builders) return whole_kids(d, node);
    Layout *layout = layout_parts(d, node->count);
    for (int i = 0; i < node->count; i++) {
        const Layout *part = distribute(d, &node->kids[i]);
        if (layout->parts) layout->parts[i] = part;
    }
    return layout->parts ? layout_settle(layout, node->count) : layout;
}

Node *whole_length(Distribute *d, const Node *vector, const Layout *layout) {
    Program *program = d->program;
    Type *number = type_scalar(&program->types, TY_i64);
    Place *place = vector->kind == N_Ident ? place_of(d, vector->symbol) : NULL;
    if (place && place->same) return whole_length(d, node_ident(program, vector->span, place->same), layout);
    if (layout->kind == LAYOUT_BLOCK && place && !place->closed) {
        if (!place->length) place->length = derive(d, vector->symbol, number, &layout_whole);
        return node_ident(program, vector->span, place->length);
    }
    Node *length = node_make(program, N_Len, vector->span, number, 1, node_clone(program, vector));
    return layout->kind == LAYOUT_BLOCK ? exchange_node(d, EXCHANGE_reduce, OP_add, length, NULL) : length;
}

/* Of what an iterate's state begins as: a path, or a loop that makes a vector of another one; NULL: who knows. */
static Node *length_at_start(Distribute *d, const Node *init) {
    const Node *loop = init->kind == N_Result ? init->kids[0] : NULL;
    if (init->kind == N_Exchange && init->bits == EXCHANGE_block) return length_at_start(d, init->kids[0]);
    if (loop && loop->kind == N_For && loop->count == 3 && loop->kids[0]->iter == IT_scalar &&
        loop->kids[0]->count == 1)
        return length_at_start(d, loop->kids[0]->kids[0]);
    if (init->kind != N_Ident) return NULL;
    return likely_length(d, init, place_of(d, init->symbol)->layout);
}

Node *likely_length(Distribute *d, const Node *vector, const Layout *layout) {
    const Place *place = vector->kind == N_Ident ? place_of(d, vector->symbol) : NULL;
    Node *length = place && place->init ? length_at_start(d, place->init) : NULL;
    if (length) return length;
    return place && place->most ? node_clone(d->program, place->most) : whole_length(d, vector, layout);
}

Node *block_start(Distribute *d, const Node *vector) {
    Program *program = d->program;
    Type *number = type_scalar(&program->types, TY_i64);
    Place *place = vector->kind == N_Ident ? place_of(d, vector->symbol) : NULL;
    if (place && !place->closed) {
        if (!place->start) place->start = derive(d, vector->symbol, number, &layout_whole);
        return node_ident(program, vector->span, place->start);
    }
    Node *length = node_make(program, N_Len, vector->span, number, 1, node_clone(program, vector));
    return exchange_node(d, EXCHANGE_start, OP_none, length, NULL);
}

static const Layout *distribute_len(Distribute *d, Node **slot) {
    const Layout *layout = distribute(d, &(*slot)->kids[0]);
    if (layout->kind == LAYOUT_BLOCK) *slot = whole_length(d, (*slot)->kids[0], layout);
    return &layout_whole;
}

static const Layout *distribute_lookup(Distribute *d, Node **slot) {
    Node *node = *slot;
    const Layout *layout = distribute(d, &node->kids[0]);
    distribute_whole(d, &node->kids[1]);
    if (layout->kind == LAYOUT_BLOCK) {
        *slot = exchange_node(d, EXCHANGE_pick, OP_none, node->kids[0], node->kids[1]);
        (*slot)->span = node->span;
    } else if (layout->kind == LAYOUT_KEYED && node->kids[0]->kind == N_Ident) {
        fetch_one(d, slot);
    } else {
        make_whole(d, &node->kids[0], layout);
    }
    return &layout_whole;
}

static const Layout *distribute_tovec(Distribute *d, Node **slot) {
    Node **dict = &(*slot)->kids[0];
    const Layout *layout =
        (*dict)->kind == N_Result ? distribute_result(d, dict, KEYS_APART) : distribute(d, dict);
    if (layout->kind != LAYOUT_KEYED) return layout;
    *slot = list_keyed(d, *slot);
    return layout_block(d, cut_new(d));
}

/* ---- the walk ---- */

const Layout *distribute(Distribute *d, Node **slot) {
    Node *node = *slot;
    switch (node->kind) {
    case N_Let: return distribute_let(d, node);
    case N_Ident: return place_of(d, node->symbol)->layout;
    case N_Field: return distribute_field(d, slot);
    case N_Struct: return distribute_struct(d, node);
    case N_Len: return distribute_len(d, slot);
    case N_Lookup:
    case N_OptLookup:
    case N_KeyExists: return distribute_lookup(d, slot);
    case N_ToVec: return distribute_tovec(d, slot);
    case N_Slice: return distribute_slice(d, slot);
    case N_Sort: return distribute_sort(d, slot);
    case N_For: return distribute_for(d, slot, false);
    case N_Result: return distribute_result(d, slot, KEYS_WHOLE);
    case N_Iterate: return distribute_iterate(d, slot);
    case N_Cfill: return is_product(node) ? distribute_product(d, slot) : whole_kids(d, node);
    case N_Exchange:
        whole_kids(d, node);
        return node->bits == EXCHANGE_scatter ? &layout_evenly : &layout_whole;
    default: return whole_kids(d, node);
    }
}

static bool enter_function(Walk *walk, Node **slot) {
    Distribute *d = walk->data;
    const Node *path = *slot;
    while (path->kind == N_Field) path = path->kids[0];
    if (path->kind != N_Ident) return true;
    distribute_whole(d, slot);
    return false;
}

void distribute_function(Distribute *d, Node *lambda) {
    Walk walk = {d->program, enter_function, NULL, d};
    node_walk(&walk, &lambda->kids[0]);
}

/* ---- what the program was ---- */

static bool count_use(Walk *walk, Node **slot) {
    Distribute *d = walk->data;
    const Node *node = *slot, *path = node->kind == N_Result || node->kind == N_ToVec ? node->kids[0] : NULL;
    d->exchanges |= node->kind == N_Exchange;
    if (node->kind == N_Ident) place_of(d, node->symbol)->uses++;
    while (path && path->kind == N_Field) path = path->kids[0];
    if (!path || path->kind != N_Ident) return true;
    if (node->kind == N_ToVec)
        place_of(d, path->symbol)->listings++;
    else if (node->kids[0]->type->kind != TY_struct)
        place_of(d, path->symbol)->results++;
    return true;
}

typedef struct Alias {
    const Symbol *name;
    const Node *path;
} Alias;

static bool follow_alias(Walk *walk, Node **slot) {
    const Alias *alias = walk->data;
    if ((*slot)->kind == N_Ident && (*slot)->symbol == alias->name)
        *slot = node_clone(walk->program, alias->path);
    return true;
}

/* let sums = b.$0; ..result(sums.$1)..   =>   ..result(b.$0.$1).., so that it is seen what becomes of b. */
static bool inline_builder(Walk *walk, Node **slot) {
    Node *let = *slot;
    while (let->kind == N_Let && let->symbol->type->builders) {
        const Node *path = let->kids[0];
        while (path->kind == N_Field) path = path->kids[0];
        if (path->kind != N_Ident) break;
        Alias alias = {let->symbol, let->kids[0]};
        Walk follow = {walk->program, follow_alias, NULL, &alias};
        node_walk(&follow, &let->kids[1]);
        *slot = let = let->kids[1];
    }
    return true;
}

/* ---- vectors that are combined for their blocks alone ---- */

static bool find_blocks(Walk *walk, Node **slot) {
    Node **reduced = walk->data;
    Node *node = *slot, *kid = node->count ? node->kids[0] : NULL;
    while (node->kind == N_Let && kid->kind == N_Let) kid = kid->kids[1];
    bool sums = node->kind == N_Let && kid->kind == N_Exchange && kid->bits == EXCHANGE_reduce;
    if (sums && kid->type->kind == TY_vec && node->symbol->uses == 1) reduced[node->symbol->id] = kid;
    if (node->kind != N_Exchange || node->bits != EXCHANGE_block) return true;
    Node *whole = kid->kind == N_Exchange && kid->bits == EXCHANGE_reduce ? kid
                  : kid->kind == N_Ident                                  ? reduced[kid->symbol->id]
                                                                          : NULL;
    if (!whole) return true;
    whole->bits = EXCHANGE_portion;
    *slot = kid;
    return whole == kid;
}

/* let s = exchange[reduce,+](v); ..exchange[block](s)..   =>   let s = exchange[portion,+](v); ..s.., if s is not needed else. */
static void reduce_to_blocks(Distribute *d, Node **body) {
    Node **reduced = arena_alloc(&d->program->arena, sizeof *reduced * ((size_t)d->program->symbols + 1));
    Walk walk = {d->program, find_blocks, NULL, reduced};
    d->gave_up |= !reduced;
    if (!reduced) return;
    count_uses(d->program, *body);
    node_walk(&walk, body);
}

bool pass_distribute(Program *program) {
    Node *root = program->root;
    if (!program->distribution.together) return true;
    Distribute d = {.program = program};
    Walk walk = {program, count_use, NULL, &d}, aliases = {program, inline_builder, NULL, NULL};
    node_walk(&walk, &root);
    if (d.exchanges) return true; /* it was distributed, here or by who wrote it */
    node_walk(&aliases, &root);
    d = (Distribute){.program = program};
    node_walk(&walk, &root);
    find_fetches(&d, root);
    distribute_arguments(&d, root);
    distribute_end(&d, &root->kids[0], distribute(&d, &root->kids[0]));
    for (int i = 0; i < root->nparams; i++) root->kids[0] = bind_derived(&d, root->params[i], root->kids[0]);
    reduce_to_blocks(&d, &root->kids[0]);
    settle_portions(&d, &root->kids[0]);
    if (!d.gave_up) return true;
    return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
}
