/* distribute_window.c: of a vector in blocks a rank gets what its iterations look up, not all.
 *
 *     for(y, b, |b, i, e| ..slice(x, i * d, d)..)         x in blocks: the rows of the iterations of this rank
 *     for(v, b, |b, i, e| ..lookup(v, i - 1)..)           v in blocks: this rank's, and an element of its neighbour, a halo
 *  =>
 *     let window = exchange[window](v, {begin, end, 1, -1, 1});          iterations [begin, end) look up i * 1 - 1, 1 element
 *     for(v, b, |b, i, e| ..lookup(window.$0, i - 1 - window.$1)..)      window.$1: which element of v is the first
 *
 * An index is followed through the lets of the loop's body to scale * i + offset, where scale and offset do not change in
 * the loop. The window covers all lookups and slices of the vector, which must have the scale in common, and offsets but for a
 * number. It ends where the vector ends, so what fails still does. What is looked up elsewhere is found (distribute_find.c), and what is used
 * in another way gathered.
 *
 * In the terms of Gerndt (Updating distributed variables in local computations, 1990) the window is the overlap area.
 */
#include "distribute.h"

/* scale * times * i + rest + constant; times and rest may be NULL: 1 and 0. */
typedef struct Linear {
    int64_t scale, constant;
    const Node *times, *rest;
} Linear;

typedef struct Window {
    const Symbol *vector;
    bool spoiled; /* it is used in another way */
    bool whole;   /* and in one that is no lookup or slice */
    Linear at;
    int64_t low, high; /* of the constants; high: behind the last element, without size */
    const Node *size;  /* of slices; NULL: elements [low, high) are all */
    Node **uses;
    int count, room;
    Symbol *part, *first;
    Symbol *length; /* of the whole, which the loop asks for; or NULL */
} Window;

typedef struct Windows {
    Distribute *d;
    const Symbol *index, *element; /* of the iteration; element: the same, or NULL */
    bool *inner;                   /* by symbol id: bound in the loop */
    const Node **values;           /* of lets in the loop */
    int symbols;
    Window *list;
    int count, room;
} Windows;

static void *room_for(Windows *w, void *items, int count, int *room, size_t size) {
    void *more = arena_room(&w->d->program->arena, items, count, room, size);
    w->d->gave_up |= !more;
    return more;
}

/* ---- indices ---- */

static bool is_inner(const Windows *w, const Symbol *symbol) {
    return symbol->id >= w->symbols || w->inner[symbol->id];
}

/* Numbers that are known before the loop, and arithmetic on them that cannot fail. */
static bool is_invariant(const Windows *w, const Node *node) {
    const Node *name = node;
    while (name->kind == N_Field) name = name->kids[0];
    if (name->kind == N_Ident) return !is_inner(w, name->symbol) && node->type->kind == TY_i64;
    if (node->kind == N_Literal) return node->type->kind == TY_i64;
    bool plain = node->kind == N_Binary && (node->op == OP_add || node->op == OP_sub || node->op == OP_mul);
    return plain && is_invariant(w, node->kids[0]) && is_invariant(w, node->kids[1]);
}

static bool linear(const Windows *w, const Node *node, Linear *out);

static bool linear_sum(const Windows *w, const Node *node, Linear *out) {
    Linear a, b;
    bool minus = node->op == OP_sub;
    if (!linear(w, node->kids[0], &a) || !linear(w, node->kids[1], &b)) return false;
    if (minus && (b.rest || b.scale)) return false;
    if ((a.scale && b.scale) || (a.rest && b.rest)) return false;
    *out = (Linear){
        .scale = a.scale + b.scale, .times = a.times ? a.times : b.times, .rest = a.rest ? a.rest : b.rest};
    return minus ? !__builtin_sub_overflow(a.constant, b.constant, &out->constant)
                 : !__builtin_add_overflow(a.constant, b.constant, &out->constant);
}

/* i * d, and i * 3. */
static bool linear_product(const Windows *w, const Node *node, Linear *out) {
    Linear a;
    const Node *factor = node->kids[1];
    if (is_invariant(w, node->kids[0])) factor = node->kids[0];
    if (!is_invariant(w, factor)) return false;
    if (!linear(w, factor == node->kids[1] ? node->kids[0] : node->kids[1], &a)) return false;
    if (a.scale != 1 || a.times || a.rest || a.constant) return false;
    *out = (Linear){.scale = 1, .times = factor};
    if (factor->kind == N_Literal) *out = (Linear){.scale = (int64_t)factor->bits};
    return true;
}

static bool linear(const Windows *w, const Node *node, Linear *out) {
    if (node->type->kind != TY_i64) return false;
    if (node->kind == N_Literal) {
        *out = (Linear){.constant = (int64_t)node->bits};
        return true;
    }
    if (node->kind == N_Ident) {
        const Symbol *symbol = node->symbol;
        if (symbol == w->index || symbol == w->element) {
            *out = (Linear){.scale = 1};
            return true;
        }
        if (symbol->id < w->symbols && w->values[symbol->id]) return linear(w, w->values[symbol->id], out);
    }
    if (is_invariant(w, node)) {
        *out = (Linear){.rest = node};
        return true;
    }
    if (node->kind != N_Binary) return false;
    if (node->op == OP_add || node->op == OP_sub) return linear_sum(w, node, out);
    return node->op == OP_mul && linear_product(w, node, out);
}

static bool same_or_none(const Node *a, const Node *b) {
    return a && b ? node_equal(a, b) : a == b;
}

/* ---- uses ---- */

static bool note_bound(Walk *walk, Node **slot) {
    Windows *w = walk->data;
    const Node *node = *slot;
    for (int i = 0; i < node->nparams; i++) w->inner[node->params[i]->id] = true;
    if (node->kind == N_Let) {
        w->inner[node->symbol->id] = true;
        w->values[node->symbol->id] = node->kids[0];
    }
    return true;
}

static Window *window_of(Windows *w, const Symbol *vector) {
    for (int i = 0; i < w->count; i++) {
        if (w->list[i].vector == vector) return &w->list[i];
    }
    Window *list = room_for(w, w->list, w->count, &w->room, sizeof *list);
    if (!list) return NULL;
    w->list = list;
    list[w->count] = (Window){.vector = vector};
    return &list[w->count++];
}

static void note_use(Windows *w, Window *window, Node *use) {
    Node **uses = room_for(w, window->uses, window->count, &window->room, sizeof *uses);
    if (!uses) return;
    window->uses = uses;
    uses[window->count++] = use;
}

/* The window grows to what this lookup or slice takes, or is spoiled. */
static void add_use(Windows *w, Window *window, Node *use) {
    Linear at;
    const Node *size = use->kind == N_Slice ? use->kids[2] : NULL;
    bool number = !size || (size->kind == N_Literal && (int64_t)size->bits >= 0);
    if (!linear(w, use->kids[1], &at) || (!number && !is_invariant(w, size))) {
        window->spoiled = true;
        note_use(w, window, use);
        return;
    }
    int64_t high = at.constant;
    if (number && __builtin_add_overflow(high, size ? (int64_t)size->bits : 1, &high)) window->spoiled = true;
    if (window->count == 0) {
        window->at = at;
        window->low = at.constant;
        window->high = high;
        window->size = number ? NULL : size;
    }
    const Linear *first = &window->at;
    bool alike = first->scale == at.scale && same_or_none(first->times, at.times) &&
                 same_or_none(first->rest, at.rest) && same_or_none(window->size, number ? NULL : size);
    window->spoiled |= !alike;
    if (at.constant < window->low) window->low = at.constant;
    if (high > window->high) window->high = high;
    note_use(w, window, use);
}

/* The name of a vector in blocks, or NULL; a path gets one. */
static const Symbol *block_name(Windows *w, Node **slot) {
    const Node *path = *slot;
    while (path->kind == N_Field) path = path->kids[0];
    if (path->kind != N_Ident || is_inner(w, path->symbol)) return NULL;
    if (distribute(w->d, slot)->kind != LAYOUT_BLOCK || (*slot)->kind != N_Ident) return NULL;
    return (*slot)->symbol;
}

/* iter(v, first, end, 1) */
static bool walks_some(const Node *node) {
    return node->kind == N_Iter && node->iter == IT_scalar && node->count == 4 &&
           node->kids[3]->kind == N_Literal && node->kids[3]->bits == 1;
}

static bool find_uses(Walk *walk, Node **slot) {
    Windows *w = walk->data;
    Node *node = *slot;
    bool length = node->kind == N_Len, walks = walks_some(node),
         takes = length || walks || node->kind == N_Lookup || node->kind == N_Slice;
    bool path = node->kind == N_Ident || node->kind == N_Field;
    if ((!takes && !path) || (takes && node->kids[0]->type->kind != TY_vec)) return true;
    const Symbol *vector = block_name(w, takes ? &node->kids[0] : slot);
    Window *window = vector ? window_of(w, vector) : NULL;
    if (!window) return true;
    if (!takes) {
        window->spoiled = window->whole = true;
        return false;
    }
    if (length) {
        if (!window->length) window->length = symbol_new(w->d->program, "length", node->type);
        *slot = node_ident(w->d->program, node->span, window->length);
        return false;
    }
    if (walks) {
        window->spoiled = true;
        note_use(w, window, node);
    } else {
        add_use(w, window, node);
    }
    for (int i = 1; i < node->count; i++) node_walk(walk, &node->kids[i]);
    return false;
}

/* ---- the exchange ---- */

Node *number_node(Program *program, Span span, int64_t number) {
    return node_literal(program, span, type_scalar(&program->types, TY_i64), (uint64_t)number);
}

Node *binary_node(Program *program, Op op, Node *a, Node *b) {
    Node *node = node_make(program, N_Binary, a->span, a->type, 2, a, b);
    node->op = op;
    return node;
}

Node *window_node(Distribute *d, Node *vector, Node *begin, Node *end, Node *scale, Node *offset,
                  Node *size) {
    Program *program = d->program;
    Type *number = type_scalar(&program->types, TY_i64), *five[] = {number, number, number, number, number},
         *pair[] = {vector->type, number};
    Node *bounds =
        node_make(program, N_Struct, vector->span, type_make(&program->types, TY_struct, OP_none, 5, five), 5,
                  begin, end, scale, offset, size);
    Node *window = exchange_node(d, EXCHANGE_window, OP_none, vector, bounds);
    window->type = type_make(&program->types, TY_struct, OP_none, 2, pair);
    return window;
}

Node *pair_field(Program *program, Span span, Symbol *pair, int index) {
    Node *field =
        node_make(program, N_Field, span, pair->type->args[index], 1, node_ident(program, span, pair));
    field->index = index;
    return field;
}

/* let pair = exchange[window](..); let part = pair.$0; let first = pair.$1; body */
static Node *bind_window(Windows *w, Window *window, Node *begin, Node *end, Node *body) {
    Program *program = w->d->program;
    const Linear *at = &window->at;
    Span span = body->span;
    Type *number = begin->type;
    Node *scale =
        at->times ? node_clone(program, at->times) : node_literal(program, span, number, (uint64_t)at->scale);
    Node *offset = node_literal(program, span, number, (uint64_t)window->low);
    if (at->rest) offset = binary_node(program, OP_add, node_clone(program, at->rest), offset);
    Node *size = node_literal(program, span, number, (uint64_t)(window->high - window->low));
    if (window->size) size = binary_node(program, OP_add, node_clone(program, window->size), size);
    Node *exchanged = window_node(w->d, node_ident(program, span, (Symbol *)window->vector), begin, end,
                                  scale, offset, size);
    Symbol *pair = symbol_new(program, "window", exchanged->type);
    body = node_let(program, span, window->first, pair_field(program, span, pair, 1), body);
    body = node_let(program, span, window->part, pair_field(program, span, pair, 0), body);
    return node_let(program, span, pair, exchanged, body);
}

/* lookup(v, at)   =>   lookup(part, at - first) */
static void take_from_window(Windows *w, Window *window) {
    Program *program = w->d->program;
    Type *number = window->uses[0]->kids[1]->type;
    window->part = symbol_new(program, window->vector->name, window->vector->type);
    window->first = symbol_new(program, "first", number);
    for (int i = 0; i < window->count; i++) {
        Node *use = window->uses[i];
        use->kids[0] = node_ident(program, use->span, window->part);
        use->kids[1] =
            binary_node(program, OP_sub, use->kids[1], node_ident(program, use->span, window->first));
    }
}

void distribute_windows(Distribute *d, Node **slot, const Range *range, Finds *finds) {
    Program *program = d->program;
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *loop = *slot, *lambda = loop->kids[loop->count - 1];
    size_t room = (size_t)program->symbols + 1;
    Windows w = {.d = d,
                 .index = lambda->params[1],
                 .element = range->share ? lambda->params[2] : NULL,
                 .symbols = program->symbols};
    w.inner = arena_alloc(&program->arena, room * sizeof *w.inner);
    w.values = arena_alloc(&program->arena, room * sizeof *w.values);
    if (!w.inner || !w.values) {
        d->gave_up = true;
        return;
    }
    Walk bound = {program, note_bound, NULL, &w}, uses = {program, find_uses, NULL, &w};
    node_walk(&bound, &lambda);
    node_walk(&uses, &lambda->kids[0]);
    Span span = loop->span;
    for (int i = 0; i < w.count; i++) {
        Window *window = &w.list[i];
        if (window->length)
            *slot = node_let(program, span, window->length,
                             whole_length(d, node_ident(program, span, (Symbol *)window->vector),
                                          place_of(d, window->vector)->layout),
                             *slot);
        if (finds && window->spoiled && !window->whole)
            finds_add(finds, window->vector, window->uses, window->count);
        if (window->spoiled || !window->count) continue;
        take_from_window(&w, window);
        Node *begin, *end;
        if (range->share) {
            begin = pair_field(program, span, range->share, 0);
            end = pair_field(program, span, range->share, 1);
        } else {
            Node *length =
                node_make(program, N_Len, span, window->first->type, 1, node_clone(program, range->leader));
            begin = exchange_node(d, EXCHANGE_start, OP_none, length, NULL);
            end = binary_node(program, OP_add, node_clone(program, begin), node_clone(program, length));
        }
        *slot = bind_window(&w, window, begin, end, *slot);
    }
}
