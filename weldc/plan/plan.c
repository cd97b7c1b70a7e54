/* plan.c: from a typed program to the graph of its fragments.
 *
 *     let a = result(for(v, appender, ..x > 0..));        loop 0: reads v, makes a, at most len(v)
 *     let n = f64(len(a));                                code 1: reads a, makes n
 *     {result(for(a, merger, ..n..)), a}                  loop 2: reads a, n, makes a value, the result
 *
 * One walk in the order of evaluation. Each name has a *view*: the buffer that its value is, or the views of
 * its fields where the parts of a struct are buffers of their own, so that taking a field, a result or another
 * name of a value needs no fragment. What is no loop, sort or the like becomes `code`, one for each value. A
 * fragment's inputs are the buffers of the names that are free in it.
 *
 * Sizes are symbolic: a loop runs as often as the vector it walks has elements, an appender gets so many times
 * what merges.c says; the length of what has exactly len(v) elements is again len(v). Lifetimes are found
 * backwards: a buffer is needed by its last reader, or for as long as what may point into it.
 */
#include "../weldc.h"

#include <stdio.h>
#include <string.h>

const FragmentClass fragment_classes[FRAGMENT_COUNT] = {
#define FRAGMENT(id, spelling, counts, doc) [FRAGMENT_##id] = {spelling, doc, counts},
#include "../fragments.def"
};

enum { LOOP_TIMES = 16, MATH_COST = 20, TABLE_COST = 20, NATIVE_COST = 50, MOST_PARTS = 64 };

typedef struct View {
    Buffer *buffer;
    struct View *parts;
    int count; /* of parts */
} View;

/* A list that grows in the arena. */
typedef struct List {
    void **items;
    int count, room;
} List;

/* A fragment and a plan that are still being made. */
typedef struct Open {
    Fragment *fragment;
    List inputs, outputs;
    List kept; /* inputs that the results of inner plans may point into */
} Open;

typedef struct Making {
    Plan *plan;
    Open *holder; /* the fragment that holds the plan, or NULL */
    List fragments;
} Making;

typedef struct Planner {
    Program *program;
    View *views; /* by symbol id */
    int *twins;  /* by a name's id: how often it was given; a merged program has names yet to be numbered */
    int names;
    Merges merges;
    Making *making;
    int number, stamp;
    Plan *plan; /* the whole */
} Planner;

static const Size one = {SIZE_EXACT, 1, 0, NULL, NULL};
static const Size unknown = {SIZE_UNKNOWN, 0, 0, NULL, NULL};

static View evaluate(Planner *p, Node *node, const char *name);

static void push(Planner *p, List *list, void *item) {
    void **items = arena_room(&p->program->arena, list->items, list->count, &list->room, sizeof *items);
    if (!items) return;
    list->items = items;
    items[list->count++] = item;
}

/* ---- which nodes are fragments ---- */

static FragmentKind kind_of(const Node *node) {
    switch (node->kind) {
    case N_For: return FRAGMENT_loop;
    case N_Sort: return FRAGMENT_sort;
    case N_Result: return node->kids[0]->type->kind == TY_groupmerger ? FRAGMENT_group : FRAGMENT_code;
    case N_ToVec: return FRAGMENT_tovec;
    case N_Serialize: return FRAGMENT_serialize;
    case N_Deserialize: return FRAGMENT_deserialize;
    case N_Cudf:
    case N_Cfun:
    case N_Cfill: return FRAGMENT_native;
    case N_Iterate: return FRAGMENT_iterate;
    case N_Exchange: return FRAGMENT_exchange;
    default: return FRAGMENT_code;
    }
}

/* It has memory of its own from here on, of the length of the vector that it begins with. */
static bool is_new_vecmerger(const Node *node) {
    return node->kind == N_NewBuilder && node->type->kind == TY_vecmerger;
}

/* Is there a fragment at or below the node, outside of functions that loops run? A node's index says it, after
 * the first walk; a field's, which is taken, is that of its kid. */
static bool has_fragment(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->index;
}

static void mark_fragments(Walk *walk, Node **slot) {
    Node *node = *slot;
    (void)walk;
    if (node->kind == N_Field) return;
    node->index = kind_of(node) != FRAGMENT_code || is_new_vecmerger(node);
    for (int i = 0; !node->index && i < node->count; i++) node->index = has_fragment(node->kids[i]);
}

/* ---- buffers ---- */

/* The name, or one like it that no other buffer has: x, x#2, x#3. */
static const char *unique_name(Planner *p, const char *name) {
    const Name *word = name_intern(p->program, name, strlen(name));
    char text[80];
    if (!word || (int)word->id >= p->names || p->twins[word->id]++ == 0) return name;
    int length = snprintf(text, sizeof text, "%.60s#%d", name, p->twins[word->id]);
    return arena_copy(&p->program->arena, text, (size_t)length);
}

static const char *field_name(Planner *p, const char *name, int index) {
    char text[96];
    if (!name) return NULL;
    int length = snprintf(text, sizeof text, "%.80s.$%d", name, index);
    return arena_copy(&p->program->arena, text, (size_t)length);
}

static Buffer *buffer_new(Planner *p, const char *name, Type *type, Fragment *maker, Size size) {
    Buffer *buffer = arena_alloc(&p->program->arena, sizeof *buffer);
    *buffer = (Buffer){
        .name = name, .type = type, .size = size, .plan = p->making->plan, .maker = maker, .last = -1};
    return buffer;
}

/* Is it a number of elements, or builds that? */
static bool has_length(const Type *type) {
    return type->kind == TY_vec || type->kind == TY_dict ||
           (type_is_builder(type) && type->kind != TY_merger);
}

static View parts_new(Planner *p, int count) {
    View view = {NULL, arena_alloc(&p->program->arena, sizeof(View) * (size_t)(count + 1)), count};
    if (!view.parts) view.count = 0;
    return view;
}

/* Buffers for a value of this type: one for each part of a struct that holds vectors. */
static View view_new(Planner *p, const char *name, Type *type, Fragment *maker, List *into) {
    View view = {NULL, NULL, 0};
    if (type->kind == TY_struct && type->pointers && type->parts <= MOST_PARTS) {
        view = parts_new(p, type->count);
        for (int i = 0; i < view.count; i++)
            view.parts[i] = view_new(p, field_name(p, name, i), type->args[i], maker, into);
        return view;
    }
    view.buffer = buffer_new(p, name, type, maker, has_length(type) ? unknown : one);
    push(p, into, view.buffer);
    return view;
}

static View part_of(View view, int index) {
    return index < view.count ? view.parts[index] : view;
}

static void add_view(Planner *p, List *list, const View *view) {
    if (view->buffer) push(p, list, view->buffer);
    for (int i = 0; i < view->count; i++) add_view(p, list, &view->parts[i]);
}

/* ---- sizes ---- */

static Size length_of(const Buffer *buffer) {
    if (!buffer || !has_length(buffer->type)) return unknown;
    return buffer->size.known == SIZE_EXACT ? buffer->size : (Size){SIZE_EXACT, 0, 1, buffer, NULL};
}

static Size at_most(Size size) {
    if (size.known == SIZE_EXACT) size.known = SIZE_AT_MOST;
    return size;
}

static Size times(Size size, MergeBound bound) {
    if (bound.most < 0) return unknown;
    if (bound.least != bound.most) size = at_most(size);
    if (__builtin_mul_overflow(size.constant, (int64_t)bound.most, &size.constant) ||
        __builtin_mul_overflow(size.factor, (int64_t)bound.most, &size.factor))
        return unknown;
    return size;
}

static Size sum(Size a, Size b) {
    if (a.factor && b.factor) return unknown;
    Size size = a.factor ? a : b;
    if (__builtin_add_overflow(a.constant, b.constant, &size.constant)) return unknown;
    size.known = a.known < b.known ? a.known : b.known;
    return size;
}

/* How many elements an iterator gives. data: what it walks. */
static Size iter_size(const Node *iter, const Fragment *loop, View data) {
    const Size counted = {SIZE_EXACT, 0, 1, NULL, loop};
    int at = iter_classes[iter->iter].has_data;
    if (iter->iter == IT_fringe) return (Size){SIZE_AT_MOST, WELD_LANES - 1, 0, NULL, NULL};
    if (iter->iter == IT_scalar && iter->count == 1) {
        Size length = length_of(data.buffer);
        return length.known ? length : counted;
    }
    if (iter->iter == IT_nd || iter->iter == IT_simd || iter->count < at + 3) return counted;
    uint64_t bounds[3];
    for (int i = 0; i < 3; i++) {
        if (iter->kids[at + i]->kind != N_Literal) return counted;
        bounds[i] = iter->kids[at + i]->bits;
    }
    int64_t start = (int64_t)bounds[0], end = (int64_t)bounds[1], stride = (int64_t)bounds[2];
    if (start < 0 || end < start || stride < 1) return counted;
    return (Size){SIZE_EXACT, (end - start) / stride, 0, NULL, NULL};
}

/* ---- costs ---- */

static double own_cost(const Node *node) {
    switch (node->kind) {
    case N_Literal:
    case N_String:
    case N_Ident:
    case N_Let:
    case N_Lambda:
    case N_Field:
    case N_Struct:
    case N_Iter: return 0;
    case N_Unary:
    case N_Binary: return op_classes[node->op].class == 'f' ? MATH_COST : 1;
    case N_Lookup:
    case N_OptLookup:
    case N_KeyExists: return node->kids[0]->type->kind == TY_dict ? TABLE_COST : 1;
    case N_Merge:
        return node->type->kind == TY_dictmerger || node->type->kind == TY_groupmerger ? TABLE_COST : 1;
    case N_Cudf:
    case N_Cfun:
    case N_Cfill: return NATIVE_COST;
    default: return 1;
    }
}

double plan_node_cost(const Node *node) {
    double cost = 0;
    for (; node->kind == N_Let; node = node->kids[1]) cost += plan_node_cost(node->kids[0]);
    bool runs = node->kind == N_For || node->kind == N_Iterate || node->kind == N_Sort;
    for (int i = 0; i < node->count; i++) {
        double below = plan_node_cost(node->kids[i]);
        cost += runs && node->kids[i]->kind == N_Lambda ? below * LOOP_TIMES : below;
    }
    return cost + own_cost(node);
}

/* ---- fragments ---- */

static Open open_fragment(Planner *p, FragmentKind kind, Node *node) {
    Open open = {.fragment = arena_alloc(&p->program->arena, sizeof(Fragment))};
    *open.fragment = (Fragment){.kind = kind, .number = -1, .node = node, .trips = one};
    return open;
}

/* All that comes before it is in the plan. */
static void place(Planner *p, Open *open) {
    open->fragment->number = p->number++;
    push(p, &p->making->fragments, open->fragment);
}

/* Each buffer once. */
static int settle(Planner *p, List *list) {
    int count = 0, stamp = ++p->stamp;
    for (int i = 0; i < list->count; i++) {
        Buffer *buffer = list->items[i];
        if (buffer->stamp == stamp) continue;
        buffer->stamp = stamp;
        list->items[count++] = buffer;
    }
    return list->count = count;
}

/* May what is made point into what was read? */
static bool holds(const Fragment *fragment, const Buffer *made, const Buffer *read) {
    bool copies = fragment->kind != FRAGMENT_code && fragment->kind != FRAGMENT_tovec &&
                  fragment->kind != FRAGMENT_exchange && fragment->node->kind != N_Cudf &&
                  fragment_classes[fragment->kind].counts;
    if (!read->type->pointers || !made->type->pointers) return false;
    if (fragment->kind == FRAGMENT_exchange && exchange_copies((ExchangeKind)fragment->node->bits))
        return false;
    if (fragment->node->kind == N_NewBuilder) copies = true; /* of the vector that it starts from */
    if (!copies || read->type->builders) return true;
    for (int i = 0; i < made->type->count; i++) {
        if (made->type->args[i]->pointers) return true;
    }
    return false;
}

static void close_fragment(Planner *p, Open *open) {
    Fragment *fragment = open->fragment;
    const Making *making = p->making;
    fragment->ninputs = settle(p, &open->inputs);
    fragment->inputs = (Buffer **)open->inputs.items;
    fragment->noutputs = settle(p, &open->outputs);
    fragment->outputs = (Buffer **)open->outputs.items;
    fragment->held =
        arena_alloc(&p->program->arena, sizeof *fragment->held * (size_t)(fragment->ninputs + 1));
    if (!fragment->held) fragment->ninputs = 0;
    settle(p, &open->kept);
    for (int i = 0; i < fragment->ninputs; i++) {
        Buffer *input = fragment->inputs[i];
        bool kept = !fragment->ninner || input->stamp == p->stamp;
        for (int k = 0; kept && !fragment->held[i] && k < fragment->noutputs; k++)
            fragment->held[i] = holds(fragment, fragment->outputs[k], input);
        input->shared |= fragment->held[i];
        if (making->holder && input->plan != making->plan) push(p, &making->holder->inputs, input);
    }
}

/* ---- what a fragment reads ---- */

/* The view of a name, or of a field of one; else none. */
static View view_of(const Planner *p, const Node *node) {
    if (node->kind == N_Ident) return p->views[node->symbol->id];
    return node->kind == N_Field ? part_of(view_of(p, node->kids[0]), node->index) : (View){NULL, NULL, 0};
}

typedef struct Inside {
    Planner *planner;
    List *inputs;
    const char *builder, *native; /* that is bound outside; a function in C */
} Inside;

/* Names that are bound inside have no views. */
static bool see(Walk *walk, Node **slot) {
    Inside *inside = walk->data;
    const Node *node = *slot, *name = node;
    if (node_is_foreign(node) && !node_has_note(node, "threadsafe")) inside->native = node->text;
    while (name->kind == N_Field) name = name->kids[0];
    if (name->kind != N_Ident) return true;
    View view = view_of(inside->planner, node);
    if (node->type->builders && (view.buffer || view.count)) inside->builder = name->symbol->name;
    add_view(inside->planner, inside->inputs, &view);
    return false;
}

static Inside look_inside(Planner *p, List *inputs, Node *node) {
    Inside inside = {p, inputs, NULL, NULL};
    Walk walk = {p->program, see, NULL, &inside};
    node_walk(&walk, &node);
    return inside;
}

static bool is_choice(const Node *node) {
    if (node->kind == N_And || node->kind == N_Or) return has_fragment(node->kids[1]);
    return node->kind == N_If && (has_fragment(node->kids[1]) || has_fragment(node->kids[2]));
}

/* Adds what straight code reads; what it needs of fragments comes before it. */
static void gather(Planner *p, List *inputs, Node *node) {
    bool straight = kind_of(node) == FRAGMENT_code && !is_choice(node) && !is_new_vecmerger(node);
    if (!has_fragment(node)) {
        look_inside(p, inputs, node);
    } else if (straight && node->kind != N_Let && node->kind != N_Apply && node->kind != N_Result) {
        for (int i = 0; i < node->count; i++) gather(p, inputs, node->kids[i]);
    } else {
        View view = evaluate(p, node, NULL);
        add_view(p, inputs, &view);
    }
}

/* ---- loops ---- */

/* The buffers of a loop's builders. from: the builder that it was given; base: what it was. */
static View make_outputs(Planner *p, Open *open, const Type *type, Node *from, View base, int leaf,
                         const char *name) {
    const Node *loop = open->fragment->node, *lambda = loop->kids[loop->count - 1];
    if (type->kind == TY_struct) {
        View view = parts_new(p, type->count);
        for (int i = 0; i < view.count; i++) {
            Node *part = from->kind == N_Struct ? from->kids[i] : from;
            view.parts[i] = make_outputs(p, open, type->args[i], part, part_of(base, i), leaf, NULL);
            leaf += leaf_count(type->args[i]);
        }
        return view;
    }
    Size size = one;
    View start = {NULL, NULL, 0};
    MergeBound bound = {0, 0};
    if (from->kind == N_NewBuilder && from->count) {
        start = evaluate(p, from->kids[0], NULL);
        add_view(p, &open->inputs, &start);
    }
    if (type->kind == TY_vecmerger) {
        size = from->kind == N_NewBuilder ? length_of(start.buffer)
               : base.buffer              ? base.buffer->size
                                          : unknown;
    } else if (has_length(type)) {
        bound = merge_bound(&p->merges, lambda->kids[0], lambda->params[0], leaf);
        size = times(open->fragment->trips, bound);
        if (type->kind != TY_appender) size = at_most(size);
        if (from->kind != N_NewBuilder) size = sum(size, base.buffer ? base.buffer->size : unknown);
    }
    View view = {buffer_new(p, name, (Type *)type, open->fragment, size), NULL, 0};
    view.buffer->start = start.buffer;
    bool block = type->kind == TY_appender || type->kind == TY_vecmerger;
    if (block && from->kind == N_NewBuilder) view.buffer->owns = OWNS_BUILDER;
    view.buffer->leaf = leaf;
    view.buffer->one_each = type->kind == TY_appender && from->kind == N_NewBuilder && !from->count &&
                            bound.least == 1 && bound.most == 1;
    push(p, &open->outputs, view.buffer);
    return view;
}

static void judge(Planner *p, Fragment *fragment, const Inside *inside) {
    char text[160];
    int length = 0;
    if (inside->native)
        length = snprintf(text, sizeof text, "it calls the C function %.60s", inside->native);
    else if (inside->builder)
        length = snprintf(text, sizeof text, "it merges into %.60s of outside", inside->builder);
    fragment->parallel = length == 0;
    if (length) fragment->why = arena_copy(&p->program->arena, text, (size_t)length);
}

/* Is it read just once, so far as is known now? */
static bool is_read_once(const List *inputs, const Buffer *buffer) {
    int count = 0;
    for (int i = 0; i < inputs->count && count < 2; i++) count += inputs->items[i] == buffer;
    return count == 1;
}

static void keep_walked(Fragment *loop, const List *inputs, Buffer **walked, int count) {
    loop->walks = walked;
    for (int i = 0; walked && i < count; i++) {
        if (walked[i] && !is_read_once(inputs, walked[i])) walked[i] = NULL;
    }
}

/* What the loop's builders are before it; new ones, which have no fragments of their own, are nothing. */
static View view_before(Planner *p, Node *builder) {
    if (builder->kind == N_NewBuilder) return (View){NULL, NULL, 0};
    if (builder->kind != N_Struct) return evaluate(p, builder, NULL);
    View view = parts_new(p, builder->count);
    for (int i = 0; i < view.count; i++) view.parts[i] = view_before(p, builder->kids[i]);
    return view;
}

static View make_loop(Planner *p, Node *node, const char *name) {
    Open open = open_fragment(p, FRAGMENT_loop, node);
    Fragment *loop = open.fragment;
    Node *builder = node->kids[node->count - 2], *lambda = node->kids[node->count - 1];
    loop->trips = unknown;
    int iters = node->count - 2;
    Buffer **walked = arena_alloc(&p->program->arena, sizeof *walked * (size_t)iters);
    for (int i = 0; i < iters; i++) {
        Node *iter = node->kids[i];
        View data = {NULL, NULL, 0};
        bool walks = iter_classes[iter->iter].has_data;
        if (walks) data = evaluate(p, iter->kids[0], NULL);
        add_view(p, &open.inputs, &data);
        if (walked && iter->iter == IT_scalar && iter->count == 1) walked[i] = data.buffer;
        for (int k = walks; k < iter->count; k++) gather(p, &open.inputs, iter->kids[k]);
        Size trips = iter_size(iter, loop, data);
        bool better = !trips.factor || (trips.length && loop->trips.trips);
        if (!loop->trips.known || (trips.known == SIZE_EXACT && better && loop->trips.factor))
            loop->trips = trips;
    }
    View base = view_before(p, builder);
    add_view(p, &open.inputs, &base);
    Inside inside = look_inside(p, &open.inputs, lambda);
    judge(p, loop, &inside);
    loop->cost = plan_node_cost(lambda->kids[0]);
    View view = make_outputs(p, &open, node->type, builder, base, 0, name);
    for (int i = 0; i < open.outputs.count; i++) {
        Buffer *made = open.outputs.items[i];
        if (made->start && !is_read_once(&open.inputs, made->start)) made->start = NULL;
    }
    keep_walked(loop, &open.inputs, walked, iters);
    place(p, &open);
    close_fragment(p, &open);
    return view;
}

/* ---- other fragments ---- */

/* How many elements its value has. data: the view of its first kid. */
static Size size_of(const Node *node, View data) {
    switch (node->kind) {
    case N_Vec: return (Size){SIZE_EXACT, node->count, 0, NULL, NULL};
    case N_String: return (Size){SIZE_EXACT, (int64_t)node->bits, 0, NULL, NULL};
    case N_Sort:
    case N_ToVec: return length_of(data.buffer);
    case N_Result: return data.buffer ? data.buffer->size : unknown;
    case N_Slice: return at_most(length_of(data.buffer));
    default: return unknown;
    }
}

/* The sizes that a C function is called with; it may leave its vectors shorter. */
static void sizes_given(Planner *p, Node *size, const View *view) {
    for (int i = 0; size->kind == N_Struct && i < view->count && i < size->count; i++)
        sizes_given(p, size->kids[i], &view->parts[i]);
    if (!view->buffer || view->buffer->type->kind != TY_vec) return;
    if (size->kind == N_Literal && (int64_t)size->bits >= 0)
        view->buffer->size = (Size){SIZE_AT_MOST, (int64_t)size->bits, 0, NULL, NULL};
    else if (size->kind == N_Len && size->kids[0]->kind == N_Ident)
        view->buffer->size = at_most(length_of(view_of(p, size->kids[0]).buffer));
}

static View make_simple(Planner *p, Node *node, FragmentKind kind, const char *name) {
    Open open = open_fragment(p, kind, node);
    Fragment *fragment = open.fragment;
    View data = {NULL, NULL, 0};
    bool begins = is_new_vecmerger(node);
    bool walks = kind == FRAGMENT_sort || kind == FRAGMENT_tovec || kind == FRAGMENT_group || begins;
    if (walks)
        data = evaluate(p, node->kids[0], NULL);
    else if (node->count)
        data = view_of(p, node->kids[0]);
    if (walks) add_view(p, &open.inputs, &data);
    Inside inside = {p, &open.inputs, NULL, NULL};
    if (kind == FRAGMENT_sort)
        inside = look_inside(p, &open.inputs, node->kids[1]);
    else if (!has_fragment(node))
        look_inside(p, &open.inputs, node);
    for (int i = 0; has_fragment(node) && !walks && i < node->count; i++)
        gather(p, &open.inputs, node->kids[i]);
    place(p, &open);
    if (kind == FRAGMENT_sort) judge(p, fragment, &inside);
    if (kind == FRAGMENT_native) fragment->why = "a C function runs by itself";
    fragment->cost = plan_node_cost(kind == FRAGMENT_sort ? node->kids[1] : node);
    View view = view_new(p, name, node->type, fragment, &open.outputs);
    if (view.buffer && has_length(node->type)) view.buffer->size = size_of(node, data);
    if (node->kind == N_Cfill) sizes_given(p, node->kids[0], &view);
    bool filled = node->kind == N_Cfill && node->type->kind == TY_vec && !node->type->args[0]->pointers;
    if (kind == FRAGMENT_sort || kind == FRAGMENT_serialize || filled) view.buffer->owns = OWNS_VECTOR;
    if (begins) {
        view.buffer->owns = OWNS_BUILDER;
        view.buffer->size = length_of(data.buffer);
        view.buffer->start = data.buffer;
    }
    close_fragment(p, &open);
    return view;
}

static View make_result(Planner *p, Node *node, const char *name) {
    if (kind_of(node) == FRAGMENT_group) return make_simple(p, node, FRAGMENT_group, name);
    const Type *builder = node->kids[0]->type;
    View view = evaluate(p, node->kids[0], name);
    if (!view.buffer) return view;
    if (!view.buffer->name) view.buffer->name = name;
    if (view.buffer->type == builder) view.buffer->type = node->type;
    return view;
}

/* Lets before the value, and calls of functions, are evaluated; what is left is returned. */
static Node *bind_names(Planner *p, Node *node) {
    for (;;) {
        bool call = node->kind == N_Apply && node->kids[0]->kind == N_Lambda;
        if (node->kind != N_Let && !call) return node;
        const Node *lambda = node->kids[0];
        for (int i = 0; i < (call ? lambda->nparams : 1); i++) {
            const Symbol *symbol = call ? lambda->params[i] : node->symbol;
            Node *value = node->kids[call ? i + 1 : 0];
            bool named = value->kind != N_Ident && value->kind != N_Literal;
            const char *name = named ? unique_name(p, symbol->name) : NULL;
            View view = evaluate(p, value, name);
            if (view.buffer && !view.buffer->name) view.buffer->name = name;
            p->views[symbol->id] = view;
        }
        node = call ? lambda->kids[0] : node->kids[1];
    }
}

/* ---- plans ---- */

static void find_lives(Planner *p, Plan *plan, Open *holder) {
    for (int i = 0; i < plan->nresults; i++) {
        if (plan->results[i]->plan == plan)
            plan->results[i]->last = LIVES_ON;
        else if (holder)
            push(p, &holder->kept, plan->results[i]);
    }
    for (int i = plan->nfragments - 1; i >= 0; i--) {
        const Fragment *fragment = plan->fragments[i];
        int pointed = fragment->number;
        for (int k = 0; k < fragment->noutputs; k++) {
            Buffer *made = fragment->outputs[k];
            if (made->last < 0 && made->owns != OWNS_NOTHING) made->last = fragment->number; /* nobody's */
            if (made->type->pointers && made->last > pointed) pointed = made->last;
        }
        for (int k = 0; k < fragment->ninputs; k++) {
            Buffer *read = fragment->inputs[k];
            int last = fragment->held[k] ? pointed : fragment->number;
            if (read->plan == plan && read->last < last) read->last = last;
            if (read->plan != plan && holder && last == LIVES_ON) push(p, &holder->kept, read);
        }
    }
}

/* The plan of a body. holder: the fragment that holds it, or NULL. */
static Plan *make_plan(Planner *p, Open *holder, Symbol *const *params, int nparams, Node *body) {
    Plan *plan = arena_alloc(&p->program->arena, sizeof *plan);
    Making making = {plan, holder, {NULL, 0, 0}}, *outer = p->making;
    List arguments = {NULL, 0, 0}, results = {NULL, 0, 0};
    *plan = (Plan){.holder = holder ? holder->fragment : NULL};
    p->making = &making;
    for (int i = 0; i < nparams; i++)
        p->views[params[i]->id] =
            view_new(p, unique_name(p, params[i]->name), params[i]->type, NULL, &arguments);
    View view = evaluate(p, body, NULL);
    add_view(p, &results, &view);
    plan->nresults = settle(p, &results);
    plan->results = (Buffer **)results.items;
    plan->narguments = arguments.count;
    plan->arguments = (Buffer **)arguments.items;
    plan->nfragments = making.fragments.count;
    plan->fragments = (Fragment **)making.fragments.items;
    p->making = outer;
    for (int i = 0; holder && i < plan->nresults; i++) {
        if (plan->results[i]->plan != plan) push(p, &holder->inputs, plan->results[i]);
    }
    find_lives(p, plan, holder);
    return plan;
}

/* An iterate, or a choice between the kids from the second on. */
static View make_holder(Planner *p, Node *node, const char *name) {
    bool repeats = node->kind == N_Iterate;
    Open open = open_fragment(p, repeats ? FRAGMENT_iterate : FRAGMENT_choice, node);
    Fragment *fragment = open.fragment;
    gather(p, &open.inputs, node->kids[0]);
    for (int i = 0; repeats && i < open.inputs.count; i++) push(p, &open.kept, open.inputs.items[i]);
    place(p, &open);
    if (repeats) fragment->trips = (Size){SIZE_EXACT, 0, 1, NULL, fragment};
    for (int i = 1; i < node->count; i++) {
        Node *body = node->kids[i];
        const Node *lambda = body;
        if (repeats) body = body->kids[0];
        fragment->inner[fragment->ninner++] =
            make_plan(p, &open, lambda->params, repeats ? lambda->nparams : 0, body);
    }
    View view = view_new(p, name, node->type, fragment, &open.outputs);
    close_fragment(p, &open);
    return view;
}

/* The view of a node's value; the fragments that it takes are added to the plan. */
static View evaluate(Planner *p, Node *node, const char *name) {
    const View nothing = {NULL, NULL, 0};
    node = bind_names(p, node);
    switch (node->kind) {
    case N_Literal: return nothing;
    case N_Ident: return p->views[node->symbol->id];
    case N_Field: return part_of(evaluate(p, node->kids[0], NULL), node->index);
    case N_For: return make_loop(p, node, name);
    case N_Iterate: return make_holder(p, node, name);
    case N_Result: return make_result(p, node, name);
    case N_Struct: break;
    default: return is_choice(node) ? make_holder(p, node, name) : make_simple(p, node, kind_of(node), name);
    }
    View view = parts_new(p, node->count);
    for (int i = 0; i < view.count; i++) {
        const char *part = node->kids[i]->count ? field_name(p, name, i) : NULL;
        view.parts[i] = evaluate(p, node->kids[i], part);
        Buffer *buffer = view.parts[i].buffer;
        if (buffer && !buffer->name) buffer->name = part;
    }
    return view;
}

/* Nodes remember their fragments: the marks of has_fragment go. */
static void forget_marks(Walk *walk, Node **slot) {
    (void)walk;
    if ((*slot)->kind != N_Field) (*slot)->index = 0;
    if ((*slot)->kind == N_NewBuilder) (*slot)->bits = 0;
}

static void number_nodes(const Plan *plan) {
    for (int i = 0; i < plan->nfragments; i++) {
        Fragment *fragment = plan->fragments[i];
        fragment->node->index = fragment->number + 1;
        for (int k = 0; k < fragment->ninner; k++) number_nodes(fragment->inner[k]);
    }
}

static void plan_root(void *data) {
    Planner *p = data;
    Walk mark = {p->program, NULL, mark_fragments, NULL};
    Node *root = p->program->root;
    node_walk(&mark, &p->program->root);
    p->plan = make_plan(p, NULL, root->params, root->nparams, root->kids[0]);
    Walk forget = {p->program, NULL, forget_marks, NULL};
    node_walk(&forget, &p->program->root);
    number_nodes(p->plan);
    plan_reuse(p->program, p->plan);
}

Plan *plan_make(Program *program) {
    Planner p = {.program = program, .names = (int)program->names.count + program->symbols};
    size_t symbols = (size_t)program->symbols + 1;
    p.views = arena_alloc(&program->arena, sizeof *p.views * symbols);
    p.twins = arena_alloc(&program->arena, sizeof *p.twins * (size_t)(p.names + 1));
    p.merges.roots = arena_alloc(&program->arena, sizeof *p.merges.roots * symbols);
    bool ok = p.views && p.twins && p.merges.roots;
    ok = ok && run_deep((size_t)node_depth(program->root), plan_root, &p) && !program->arena.exhausted;
    if (ok) return p.plan;
    error_set(&program->error, E_OutOfMemory, (Span){0}, "no memory to plan the program");
    return NULL;
}

int plan_at(const Plan *plan, int number) {
    int low = 0, high = plan->nfragments - 1;
    while (low < high) {
        int middle = (low + high + 1) / 2;
        if (plan->fragments[middle]->number <= number)
            low = middle;
        else
            high = middle - 1;
    }
    return low;
}

int plan_count(const Plan *plan) {
    int count = 0;
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        count += fragment_classes[fragment->kind].counts;
        for (int k = 0; k < fragment->ninner; k++) count += plan_count(fragment->inner[k]);
    }
    return count;
}
