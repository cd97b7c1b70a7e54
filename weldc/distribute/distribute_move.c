/* distribute_move.c: a loop over rows that looks up in a dictionary by key, run where the keys are: a shuffle join.
 *
 *     for(zip(k, p, q), merger[f64,+], |b, i, x| if(x.$1 > 0.5, merge(b, lookup(d, x.$0) * x.$2), b))
 *  =>
 *     let rows = for(zip(k, p, q), {appender, appender}, |c, i, x| if(x.$1 > 0.5, {merge(c.$0, x.$0), merge(c.$1, x.$2)}, c));
 *     let moved = exchange[route]({result(rows.$0), result(rows.$1)});       to the rank that owns the key, the first column
 *     for(zip(moved.$0, moved.$1), merger[f64,+], |b, j, y| merge(b, lookup(d, y.$0) * y.$1))
 *
 * What decides whether a row gets to its lookup is computed where the row was, so other rows stay there; of a row there moves
 * what the rest of the function needs: its key, elements, and lets. As rows come in another order this is for builders that have
 * none, for one key in each iteration, and for columns without pointers. Which rows move, or keys are fetched instead, or all
 * ranks have the dictionary, is a matter of bytes (exchange[spread]).
 *
 * With both sides by key this is the distributed hash join of Gamma (DeWitt et al., The Gamma database machine project, 1990).
 */
#include "distribute_move.h"

/* ---- where the rest begins ---- */

typedef struct Sought {
    const Symbol *dict;
    bool found;
} Sought;

static bool see_dict(Walk *walk, Node **slot) {
    Sought *sought = walk->data;
    sought->found |= (*slot)->kind == N_Ident && (*slot)->symbol == sought->dict;
    return !sought->found;
}

static bool needs_dict(const Move *m, Node *node) {
    Sought sought = {m->dict, false};
    Walk walk = {m->d->program, see_dict, NULL, &sought};
    node_walk(&walk, &node);
    return sought.found;
}

bool is_own_builder(const Move *m, const Node *node) {
    return node->kind == N_Ident && node->symbol == m->lambda->params[0];
}

/* The arm of if(c, arm, b) or if(c, b, arm), where nothing else is done; or NULL. */
static Node **lone_arm(const Move *m, Node *choice) {
    if (is_own_builder(m, choice->kids[2])) return &choice->kids[1];
    return is_own_builder(m, choice->kids[1]) ? &choice->kids[2] : NULL;
}

Node **move_step(const Move *m, Node *node) {
    bool path = node->kind == N_Let || node->kind == N_If;
    if (!path || m->stays(m, node->kids[0])) return NULL;
    if (node->kind == N_If) return lone_arm(m, node);
    return node->symbol->type->builders ? NULL : &node->kids[1];
}

static bool see_bound(Walk *walk, Node **slot) {
    Move *m = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Let) m->bound[node->symbol->id] = WITHIN;
    for (int i = 0; i < node->nparams; i++) m->bound[node->params[i]->id] = WITHIN;
    return true;
}

bool move_room(Move *m) {
    m->symbols = m->d->program->symbols;
    m->bound = arena_alloc(&m->d->program->arena, (size_t)m->symbols + 1);
    m->d->gave_up |= !m->bound;
    return m->bound;
}

void find_rest(Move *m) {
    Node *node = m->lambda->kids[0];
    for (Node **next; (next = move_step(m, node)); node = *next) {
        if (node->kind == N_Let) m->bound[node->symbol->id] = BEFORE;
    }
    m->rest = node;
    Walk bound = {m->d->program, see_bound, NULL, m};
    node_walk(&bound, &node);
}

/* ---- what it needs ---- */

static bool see_key(Walk *walk, Node **slot) {
    Move *m = walk->data;
    if (dict_looked_up(*slot) != m->dict) return true;
    if (!m->key) m->key = (*slot)->kids[1];
    m->failed |= !node_equal(m->key, (*slot)->kids[1]);
    return true;
}

static void add_column(Move *m, Symbol *let, int field, Type *type) {
    for (int i = 0; i < m->count; i++) {
        if (m->columns[i].let == let && (let || m->columns[i].field == field)) return;
    }
    m->failed |= m->count == MOST_COLUMNS || type->pointers || type->builders || type->kind == TY_simd;
    if (!m->failed) m->columns[m->count++] = (Column){.let = let, .field = field, .type = type};
}

bool is_element(const Move *m, const Node *node) {
    const Node *name = node->kind == N_Field ? node->kids[0] : node;
    return name->kind == N_Ident && name->symbol == m->lambda->params[2];
}

static bool see_column(Walk *walk, Node **slot) {
    Move *m = walk->data;
    Node *node = *slot;
    if (node_equal(node, m->key)) return false;
    if (is_element(m, node)) {
        m->failed |= node->kind == N_Ident && m->loop->count > 3;
        add_column(m, NULL, node->kind == N_Field ? node->index : WHOLE_ELEMENT, node->type);
        return false;
    }
    if (node->kind == N_Ident && m->bound[node->symbol->id] == BEFORE)
        add_column(m, node->symbol, 0, node->type);
    return true;
}

void find_columns(Move *m) {
    Walk columns = {m->d->program, see_column, NULL, m};
    Node *rest = (Node *)m->rest;
    node_walk(&columns, &rest);
}

/* Anything that keeps the loop where it is: calls that are counted, the index, vectors of which a rank has a block. */
static bool see_hindrance(Walk *walk, Node **slot) {
    Move *m = walk->data;
    const Node *node = *slot;
    m->failed |= node_keeps(node);
    if (node->kind != N_Ident || m->failed) return !m->failed;
    const Layout *layout = place_of(m->d, node->symbol)->layout;
    m->failed |= node->symbol == m->lambda->params[1];
    m->failed |= !layout_is_whole(layout) && layout->kind != LAYOUT_KEYED && !node->type->builders;
    return !m->failed;
}

static bool see_inner(Walk *walk, Node **slot) {
    Move *m = walk->data;
    if ((*slot)->kind == N_Ident) m->failed |= m->bound[(*slot)->symbol->id] == WITHIN;
    return true;
}

static bool has_no_order(const Type *builder) {
    for (int i = 0; builder->kind == TY_struct && i < builder->count; i++) {
        if (!has_no_order(builder->args[i])) return false;
    }
    return builder->kind == TY_struct || builder->kind == TY_merger || builder->kind == TY_vecmerger ||
           builder->kind == TY_dictmerger;
}

static bool find_move(Move *m, Distribute *d, const Node *loop, const Symbol *dict) {
    Program *program = d->program;
    *m = (Move){
        .d = d, .loop = loop, .lambda = loop->kids[loop->count - 1], .stays = needs_dict, .dict = dict};
    for (int i = 0; i < loop->count - 2; i++) {
        if (!loop_walks_all(loop->kids[i])) return false;
    }
    if (!has_no_order(loop->type) || dict->type->args[0]->pointers) return false;
    if (!move_room(m)) return false;
    Walk hindrances = {program, see_hindrance, NULL, m}, keys = {program, see_key, NULL, m},
         inner = {program, see_inner, NULL, m};
    Node *body = m->lambda->kids[0];
    node_walk(&hindrances, &body);
    find_rest(m);
    Node *rest = (Node *)m->rest;
    node_walk(&keys, &rest);
    int budget = CHEAP_KEY;
    if (m->failed || !m->key || !node_is_cheap(m->key, &budget))
        return false; /* may be computed where it is not needed */
    node_walk(&inner, &m->key);
    find_columns(m);
    return !m->failed;
}

int64_t moved_row(Distribute *d, const Node *loop, const Symbol *dict) {
    Move m;
    const Type *key = dict->type->args[0], *value = dict->type->args[1];
    Lookups lookups = d->program->distribution.lookups;
    bool ask = lookups == LOOKUPS_SHUFFLE || lookups == LOOKUPS_AUTO;
    if (!ask || !find_move(&m, d, loop, dict)) return 0;
    int64_t bytes = key->size;
    for (int i = 0; i < m.count; i++) bytes += m.columns[i].type->size;
    bool pays = lookups == LOOKUPS_SHUFFLE || value->pointers || bytes < key->size + value->size;
    return pays ? bytes : 0;
}

/* ---- the rows that move ---- */

static Node *field_of(Program *program, Span span, Symbol *name, int index) {
    return pair_field(program, span, name, index);
}

Node *column_value(const Move *m, int column, Span span) {
    Program *program = m->d->program;
    if (column == 0) return m->key;
    const Column *c = &m->columns[column - 1];
    if (c->value) return c->value;
    if (c->let) return node_ident(program, span, c->let);
    if (c->field == WHOLE_ELEMENT) return node_ident(program, span, m->lambda->params[2]);
    return field_of(program, span, m->lambda->params[2], c->field);
}

Type *column_type(const Move *m, int column) {
    return column == 0 ? m->key->type : m->columns[column - 1].type;
}

Type *columns_type(const Move *m, TypeKind kind) {
    TypeTable *types = &m->d->program->types;
    Type *parts[MOST_COLUMNS + 1];
    for (int i = 0; i <= m->count; i++) {
        Type *type = column_type(m, i);
        parts[i] = kind == TY_vec        ? type_vec(types, type)
                   : kind == TY_appender ? type_make(types, TY_appender, OP_none, 1, &type)
                                         : type;
    }
    return type_make(types, TY_struct, OP_none, m->count + 1, parts);
}

Node *function_of(Distribute *d, Symbol *builder, Symbol *index, Symbol *element, Node *body) {
    Program *program = d->program;
    Type *parts[4] = {builder->type, index->type, element->type, builder->type};
    Type *type = type_make(&program->types, TY_function, OP_none, 4, parts);
    Node *function = node_make(program, N_Lambda, body->span, type, 1, body);
    function->params = arena_alloc(&program->arena, sizeof *function->params * 3);
    d->gave_up |= !function->params;
    if (!function->params) return function;
    function->nparams = 3;
    function->params[0] = builder;
    function->params[1] = index;
    function->params[2] = element;
    return function;
}

/* The path to the rest, where a row is merged. It shares the nodes of the loop. */
static Node *collecting_body(const Move *m, Symbol *builder) {
    Program *program = m->d->program;
    Span span = m->loop->span;
    Node *merged = node_new(program, N_Struct, span, builder->type, m->count + 1);
    for (int i = 0; i < merged->count; i++)
        merged->kids[i] = node_make(program, N_Merge, span, builder->type->args[i], 2,
                                    field_of(program, span, builder, i), column_value(m, i, span));
    Node *body = NULL, **hole = &body;
    for (Node *node = m->lambda->kids[0]; node != m->rest;) {
        Node **next = move_step(m, node);
        if (node->kind == N_Let) {
            *hole = node_let(program, node->span, node->symbol, node->kids[0], merged);
            hole = &(*hole)->kids[1];
        } else {
            Node *none = node_ident(program, span, builder);
            *hole = node_make(program, N_If, node->span, builder->type, 3, node->kids[0], none, none);
            hole = &(*hole)->kids[next == &node->kids[1] ? 1 : 2];
        }
        node = *next;
    }
    *hole = merged;
    return body;
}

Node *collecting_loop(const Move *m) {
    Distribute *d = m->d;
    Program *program = d->program;
    Span span = m->loop->span;
    Type *type = columns_type(m, TY_appender);
    Node *fresh = node_new(program, N_Struct, span, type, type->count);
    for (int i = 0; i < fresh->count; i++)
        fresh->kids[i] = node_new(program, N_NewBuilder, span, type->args[i], 0);
    Symbol *builder = symbol_new(program, "c", type);
    Node *loop = node_new(program, N_For, span, type, m->loop->count);
    for (int i = 0; i < loop->count - 2; i++) loop->kids[i] = m->loop->kids[i];
    loop->kids[loop->count - 2] = fresh;
    loop->kids[loop->count - 1] =
        function_of(d, builder, m->lambda->params[1], m->lambda->params[2], collecting_body(m, builder));
    loop = node_clone(program, loop);
    drop_unused_lets(program, &loop);
    return loop;
}

/* ---- the loop over rows that came ---- */

typedef struct Replace {
    const Move *m;
    Symbol *builder, *element, *local;
} Replace;

static Node *arrived(const Replace *r, int column, Span span) {
    Program *program = r->m->d->program;
    if (r->m->count == 0) return node_ident(program, span, r->element);
    return field_of(program, span, r->element, column);
}

static bool replace_use(Walk *walk, Node **slot) {
    Replace *r = walk->data;
    const Move *m = r->m;
    Node *node = *slot;
    if (node->kind == N_Ident && node->symbol == m->dict) node->symbol = r->local;
    if (is_own_builder(m, node)) node->symbol = r->builder;
    if (node_equal(node, m->key)) {
        *slot = arrived(r, 0, node->span);
        return false;
    }
    for (int i = 0; i < m->count; i++) {
        const Column *c = &m->columns[i];
        bool value = c->value && node_equal(node, c->value);
        bool let = c->let && node->kind == N_Ident && node->symbol == c->let;
        bool element = !c->let && !c->value && is_element(m, node) &&
                       c->field == (node->kind == N_Field ? node->index : WHOLE_ELEMENT);
        if (!value && !let && !element) continue;
        *slot = arrived(r, i + 1, node->span);
        return false;
    }
    return true;
}

Node *arrived_loop(const Move *m, Symbol *moved, Symbol *local) {
    Distribute *d = m->d;
    Program *program = d->program;
    Span span = m->loop->span;
    const Node *old = m->loop->kids[m->loop->count - 2];
    Type *element = m->count ? columns_type(m, TY_struct) : m->key->type;
    Replace replace = {m, symbol_new(program, "b", old->type), symbol_new(program, "y", element), local};
    Symbol *index = symbol_new(program, "i", m->lambda->params[1]->type);
    Node *body = node_clone(program, m->rest);
    Walk walk = {program, replace_use, NULL, &replace};
    node_walk(&walk, &body);
    Node *loop = node_new(program, N_For, span, m->loop->type, m->count + 3);
    for (int i = 0; i <= m->count; i++)
        loop->kids[i] =
            node_make(program, N_Iter, span, column_type(m, i), 1, field_of(program, span, moved, i));
    loop->kids[m->count + 1] = node_clone(program, old);
    loop->kids[m->count + 2] = function_of(d, replace.builder, index, replace.element, body);
    return loop;
}

/* A loop that is done where it stands, with what it looks up in other dictionaries. */
static void finish_loop(Distribute *d, Node **slot) {
    Fetches fetches;
    Node *loop = *slot;
    fetches_begin(d, loop, &fetches);
    seed_builder(d, loop->kids[loop->count - 2]);
    distribute_function(d, loop->kids[loop->count - 1]);
    fetches_end(&fetches, slot);
}

static const Symbol *dict_moved_to(Distribute *d, const Node *loop, Move *m);

Node *moved_loop(Distribute *d, Node **slot, Symbol **dict) {
    Program *program = d->program;
    Move m;
    Node *loop = *slot;
    const Symbol *found = dict_moved_to(d, loop, &m);
    if (!found) return NULL;
    name_data(d, slot, loop);
    Span span = loop->span;
    Node *rows = collecting_loop(&m);
    Symbol *made = symbol_new(program, "rows", rows->type);
    Type *vectors = columns_type(&m, TY_vec);
    Node *columns = node_new(program, N_Struct, span, vectors, vectors->count);
    for (int i = 0; i < columns->count; i++)
        columns->kids[i] =
            node_make(program, N_Result, span, vectors->args[i], 1, field_of(program, span, made, i));
    Symbol *moved = symbol_new(program, "moved", vectors);
    Symbol *local = symbol_new(program, found->name, found->type);
    Node *arrived = arrived_loop(&m, moved, local);
    finish_loop(d, &rows);
    finish_loop(d, &arrived);
    arrived = node_let(program, span, local, node_ident(program, span, (Symbol *)found), arrived);
    arrived =
        node_let(program, span, moved, exchange_node(d, EXCHANGE_route, OP_none, columns, NULL), arrived);
    *dict = (Symbol *)found;
    return node_let(program, span, made, rows, arrived);
}

typedef struct First {
    Distribute *d;
    const Node *loop;
    Move *m;
    const Symbol *dict;
} First;

static bool see_moving(Walk *walk, Node **slot) {
    First *first = walk->data;
    const Symbol *dict = first->dict ? NULL : dict_looked_up(*slot);
    if (!dict || place_of(first->d, dict)->layout->kind != LAYOUT_KEYED) return !first->dict;
    if (!place_of(first->d, dict)->moves || !moved_row(first->d, first->loop, dict)) return true;
    if (find_move(first->m, first->d, first->loop, dict)) first->dict = dict;
    return !first->dict;
}

/* The first dictionary that the loop's rows may move to; or NULL. */
static const Symbol *dict_moved_to(Distribute *d, const Node *loop, Move *m) {
    First first = {d, loop, m, NULL};
    Node *body = loop->kids[loop->count - 1]->kids[0];
    Walk walk = {d->program, see_moving, NULL, &first};
    node_walk(&walk, &body);
    return first.dict;
}
