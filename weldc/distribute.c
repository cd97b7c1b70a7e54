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
 * samples first (distribute_sort.c), and what needs all of a value gets it by an exchange, right behind the name where it
 * is needed again. The state of an iterate keeps a layout that a step leads back to: a step is tried on copies
 * until it does. Everything else is computed whole, on every rank.
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

static Layout *layout_parts(Distribute *d, int count) {
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

static const Layout *part_of(const Layout *layout, int field) {
    return layout->kind == LAYOUT_PARTS ? layout->parts[field] : layout;
}

/* The parts' layout, or that of a struct which is whole if all parts are. */
static const Layout *layout_settle(const Layout *layout, int count) {
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
    place_of(d, symbol)->layout = layout;
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
    if (!place->fields[field])
        place->fields[field] = derive(d, symbol, symbol->type->args[field], part_of(place->layout, field));
    return place->fields[field];
}

/* Binds what was derived from a name around the body that it is visible in. */
static Node *bind_derived(Distribute *d, Symbol *symbol, Node *body) {
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

static bool is_all_whole(const Layout *layout, const Type *type) {
    if (layout->kind != LAYOUT_PARTS) return layout_is_whole(layout);
    for (int i = 0; i < type->count; i++) {
        if (!is_all_whole(layout->parts[i], type->args[i])) return false;
    }
    return true;
}

void make_whole(Distribute *d, Node **slot, const Layout *layout) {
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *node = *slot;
    if (is_all_whole(layout, node->type)) return;
    Place *place = node->kind == N_Ident ? place_of(d, node->symbol) : NULL;
    if (place && !place->closed) {
        if (!place->whole) place->whole = derive(d, node->symbol, node->type, &layout_whole);
        *slot = node_ident(d->program, node->span, place->whole);
    } else if (layout->kind == LAYOUT_PARTS) {
        *slot = whole_parts(d, node, layout);
    } else if (layout->kind == LAYOUT_KEYED) {
        *slot = exchange_node(d, EXCHANGE_merge, OP_add, node, NULL);
    } else {
        *slot = exchange_node(d, EXCHANGE_gather, OP_none, node, NULL);
    }
}

/* As make_whole, but on rank 0 alone. */
static void make_first(Distribute *d, Node **slot, const Layout *layout) {
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *node = *slot;
    if (layout->kind == LAYOUT_BLOCK) {
        *slot = exchange_node(d, EXCHANGE_collect, OP_none, node, NULL);
    } else if (layout->kind == LAYOUT_PARTS && node->kind == N_Struct) {
        for (int i = 0; i < node->count; i++) make_first(d, &node->kids[i], layout->parts[i]);
    } else {
        make_whole(d, slot, layout);
    }
}

Node *own_block(Distribute *d, Node *vector, const Layout *layout) {
    if (layout->kind == LAYOUT_BLOCK) return vector;
    Place *place = vector->kind == N_Ident ? place_of(d, vector->symbol) : NULL;
    if (!place || place->closed) return exchange_node(d, EXCHANGE_block, OP_none, vector, NULL);
    if (!place->block) place->block = derive(d, vector->symbol, vector->type, &layout_evenly);
    return node_ident(d->program, vector->span, place->block);
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

static bool only_listed(Distribute *d, const Symbol *dict) {
    const Place *place = place_of(d, dict);
    return place->uses == place->listings;
}

static const Layout *distribute_let(Distribute *d, Node *let) {
    Node **value = &let->kids[0];
    const Layout *layout;
    if ((*value)->kind == N_For)
        layout = distribute_for(d, value, only_ends(d, let->symbol));
    else if ((*value)->kind == N_Result)
        layout = distribute_result(d, value, only_listed(d, let->symbol));
    else
        layout = distribute(d, value);
    place_of(d, let->symbol)->layout = layout;
    layout = distribute(d, &let->kids[1]);
    let->kids[1] = bind_derived(d, let->symbol, let->kids[1]);
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

static const Layout *distribute_len(Distribute *d, Node **slot) {
    const Layout *layout = distribute(d, &(*slot)->kids[0]);
    if (layout->kind == LAYOUT_BLOCK) *slot = exchange_node(d, EXCHANGE_reduce, OP_add, *slot, NULL);
    return &layout_whole;
}

static const Layout *distribute_lookup(Distribute *d, Node **slot) {
    Node *node = *slot;
    const Layout *layout = distribute(d, &node->kids[0]);
    distribute_whole(d, &node->kids[1]);
    if (layout->kind == LAYOUT_BLOCK) {
        *slot = exchange_node(d, EXCHANGE_pick, OP_none, node->kids[0], node->kids[1]);
        (*slot)->span = node->span;
    } else {
        make_whole(d, &node->kids[0], layout);
    }
    return &layout_whole;
}

static const Layout *distribute_tovec(Distribute *d, Node *node) {
    Node **dict = &node->kids[0];
    const Layout *layout = (*dict)->kind == N_Result ? distribute_result(d, dict, true) : distribute(d, dict);
    return layout->kind == LAYOUT_KEYED ? layout_block(d, cut_new(d)) : layout;
}

/* ---- iterate ---- */

/* The layout of a state that starts like one and is left like the other by a step. */
static const Layout *layout_join(Distribute *d, const Type *type, const Layout *a, const Layout *b) {
    if (type->kind == TY_struct && (a->kind == LAYOUT_PARTS || b->kind == LAYOUT_PARTS)) {
        Layout *parts = layout_parts(d, type->count);
        for (int i = 0; parts->parts && i < type->count; i++)
            parts->parts[i] = layout_join(d, type->args[i], part_of(a, i), part_of(b, i));
        return parts->parts ? layout_settle(parts, type->count) : parts;
    }
    if (a->kind == LAYOUT_KEYED || b->kind == LAYOUT_KEYED) return &layout_whole;
    if (a->kind == LAYOUT_BLOCK && b->kind == LAYOUT_BLOCK)
        return a->cut == b->cut ? a : layout_block(d, cut_new(d));
    if (a->kind == LAYOUT_BLOCK || b->kind == LAYOUT_BLOCK) {
        const Layout *block = a->kind == LAYOUT_BLOCK ? a : b;
        return block->cut == CUT_EVENLY ? block : layout_block(d, cut_new(d));
    }
    return a->kind == b->kind ? a : &layout_whole;
}

static bool layout_same(const Type *type, const Layout *a, const Layout *b) {
    if (a->kind != b->kind || a->cut != b->cut) return false;
    for (int i = 0; a->kind == LAYOUT_PARTS && i < type->count; i++) {
        if (!layout_same(type->args[i], a->parts[i], b->parts[i])) return false;
    }
    return true;
}

/* Makes a value's layout that of a state. */
static void convert(Distribute *d, Node **slot, const Layout *from, const Layout *to) {
    Program *program = d->program;
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *node = *slot;
    Type *type = node->type;
    if (layout_same(type, from, to)) return;
    if (type->kind != TY_struct) {
        if (to->kind == LAYOUT_WHOLE || to->kind == LAYOUT_SPLITS)
            make_whole(d, slot, from);
        else if (from->kind != LAYOUT_BLOCK)
            *slot = own_block(d, node, from);
        return;
    }
    bool written = node->kind == N_Struct;
    Symbol *name = node->kind == N_Ident ? node->symbol : symbol_new(program, "t", type);
    Node *parts = written ? node : node_new(program, N_Struct, node->span, type, type->count);
    for (int i = 0; i < parts->count; i++) {
        if (!written) {
            parts->kids[i] = node_make(program, N_Field, node->span, type->args[i], 1,
                                       node_ident(program, node->span, name));
            parts->kids[i]->index = i;
        }
        convert(d, &parts->kids[i], part_of(from, i), part_of(to, i));
    }
    *slot = written || node->kind == N_Ident ? parts : node_let(program, node->span, name, node, parts);
}

/* Rewrites a step whose state has this layout. How the next state then lies on the ranks. */
static const Layout *distribute_step(Distribute *d, Node *lambda, const Layout *state) {
    place_of(d, lambda->params[0])->layout = state;
    const Layout *both = distribute(d, &lambda->kids[0]);
    Node **end = &lambda->kids[0];
    while ((*end)->kind == N_Let) end = &(*end)->kids[1];
    const Layout *next = part_of(both, 0);
    if ((*end)->kind == N_Struct) {
        make_whole(d, &(*end)->kids[1], part_of(both, 1));
        convert(d, &(*end)->kids[0], next, state);
    } else if (state->kind != LAYOUT_WHOLE || !is_all_whole(both, (*end)->type)) {
        Layout *want = layout_parts(d, 2);
        if (want->parts) want->parts[0] = state;
        if (want->parts) convert(d, end, both, want);
    }
    lambda->kids[0] = bind_derived(d, lambda->params[0], lambda->kids[0]);
    return next;
}

/* The layouts can only become less whole, a few times; what is not settled by then is whole. */
static const Layout *distribute_iterate(Distribute *d, Node *node) {
    enum { TRIES = 4 };
    const Layout *from = distribute(d, &node->kids[0]), *state = from;
    const Type *type = node->type;
    bool settled = false;
    for (int i = 0; i < TRIES && !settled; i++) {
        Node *copy = node_clone(d->program, node->kids[1]);
        const Layout *joined = layout_join(d, type, state, distribute_step(d, copy, state));
        settled = layout_same(type, joined, state);
        state = joined;
    }
    if (!settled) state = &layout_whole;
    convert(d, &node->kids[0], from, state);
    distribute_step(d, node->kids[1], state);
    return state;
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
    case N_Lookup: return distribute_lookup(d, slot);
    case N_ToVec: return distribute_tovec(d, node);
    case N_Slice: return distribute_slice(d, slot);
    case N_Sort: return distribute_sort(d, slot);
    case N_For: return distribute_for(d, slot, false);
    case N_Result: return distribute_result(d, slot, false);
    case N_Iterate: return distribute_iterate(d, node);
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

/* Vectors of the arguments, and those in structs of them. */
static const Layout *layout_of_argument(Distribute *d, const Type *type, bool in_blocks) {
    if (type->kind == TY_vec) return in_blocks ? &layout_evenly : &layout_splits;
    if (type->kind != TY_struct || !type->pointers) return &layout_whole;
    Layout *parts = layout_parts(d, type->count);
    for (int i = 0; parts->parts && i < type->count; i++)
        parts->parts[i] = layout_of_argument(d, type->args[i], in_blocks);
    return parts->parts ? layout_settle(parts, type->count) : parts;
}

/* Is the word one of a list between commas? */
static bool lists(const char *words, const char *word) {
    size_t length = strlen(word);
    for (const char *at = words; *at;) {
        size_t here = strcspn(at, ",");
        if (here == length && memcmp(at, word, length) == 0) return true;
        at += here + (at[here] == ',');
    }
    return false;
}

bool pass_distribute(Program *program) {
    const Distribution *distribution = &program->distribution;
    Node *root = program->root;
    if (!distribution->blocks) return true;
    Distribute d = {.program = program};
    Walk walk = {program, count_use, NULL, &d};
    node_walk(&walk, &root);
    if (d.exchanges) return true; /* it was distributed, here or by who wrote it */
    for (int i = 0; i < root->nparams; i++) {
        Symbol *param = root->params[i];
        bool in_blocks = strcmp(distribution->blocks, "*") == 0 || lists(distribution->blocks, param->name);
        place_of(&d, param)->layout = layout_of_argument(&d, param->type, in_blocks);
    }
    const Layout *layout = distribute(&d, &root->kids[0]);
    if (distribution->first)
        make_first(&d, &root->kids[0], layout);
    else
        make_whole(&d, &root->kids[0], layout);
    for (int i = 0; i < root->nparams; i++) root->kids[0] = bind_derived(&d, root->params[i], root->kids[0]);
    if (!d.gave_up) return true;
    return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
}
