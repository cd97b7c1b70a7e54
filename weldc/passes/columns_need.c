/* columns_need.c: what of each value is needed, found backwards, and what loops shall build instead.
 *
 *     let sum = result(for(v, merger[{i64, f64}, +], |b, i, x| merge(b, {x, f64(x) * y})));
 *     sum.$0                  of sum, and so of what is merged, field 0 is needed: y is not
 *
 * A use of a name adds to what is needed of it; all uses are behind its let, so that the let's value is met
 * when that is complete. Elements of vectors, values of dictionaries and what builders merge have needs of
 * their own. Of the state of an iterate first that is needed which its result needs, then what the body makes
 * of that, until it grows no more.
 *
 * A loop whose builders are new and are used by their results alone, and whose body merges into them in ways
 * that follow() knows, gets a tree of slots: builders that are not needed are dropped, the others keep of
 * their values what is needed. Everything else is needed as it is: an escape is `whole`.
 */
#include "columns.h"

#include <string.h>

enum { KEEPS = 1, BUILDER = 2, ROUNDS = 4, ALL_ROUNDS = 64 };

static const Need whole = {true, 0, NULL};
static const Need only_length = {false, 0, NULL}; /* of a vector */

static void demand(Columns *c, Node *node, const Need *need);
static void demand_loop(Columns *c, Node *node, const Need *results);

/* ---- needs ---- */

static int flags_of(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->index;
}

bool columns_droppable(const Node *node) {
    return flags_of(node) == 0 && !node->type->builders;
}

bool columns_unneeded(const Columns *c, const Node *let) {
    const Node *value = let->kids[0], *name = value;
    if (c->needs[let->symbol->id]) return false;
    if (columns_droppable(value)) return true;
    if (value->kind == N_Result) name = value->kids[0];
    while (name->kind == N_Field) name = name->kids[0];
    return value->kind == N_Result && name->kind == N_Ident &&
           c->plain[name->symbol->id] == name->symbol->uses;
}

bool columns_counts_keys(const Node *node) {
    return node->kind == N_Len && node->kids[0]->kind == N_ToVec;
}

static void mark_flags(Walk *walk, Node **slot) {
    Node *node = *slot;
    (void)walk;
    if (node->kind == N_Field) return;
    int flags = node_keeps(node) ? KEEPS : 0;
    if (node->kind == N_Ident && node->type->builders) flags = BUILDER;
    for (int i = 0; i < node->count; i++) flags |= flags_of(node->kids[i]);
    node->index = node->kind == N_Lambda ? flags & KEEPS : flags;
}

static Need *need_new(Columns *c, int count) {
    Need *need = arena_alloc(&c->program->arena, sizeof *need);
    *need = (Need){false, count, arena_alloc(&c->program->arena, sizeof(Need *) * (size_t)(count + 1))};
    if (!need->kids) need->whole = true;
    return need;
}

static void need_add(Columns *c, Need **into, const Need *from) {
    if (!from || (*into && (*into)->whole)) return;
    if (from->whole) {
        *into = (Need *)&whole; /* never written to */
        c->growth++;
        return;
    }
    if (!*into) {
        *into = need_new(c, from->count);
        c->growth++;
    }
    for (int i = 0; i < from->count && !(*into)->whole; i++) need_add(c, &(*into)->kids[i], from->kids[i]);
}

/* A need of one part among `count`; the part's may be NULL. */
static Need *need_of_part(Columns *c, int count, int index, const Need *part) {
    Need *need = need_new(c, count);
    if (!need->whole) need->kids[index] = (Need *)part;
    return need;
}

/* Where the needs of a path lie, below those of its name; NULL: they are whole. */
static Need **needs_at(Columns *c, const Node *path) {
    if (path->kind == N_Ident) return &c->needs[path->symbol->id];
    Need **at = needs_at(c, path->kids[0]);
    if (!at || (*at && (*at)->whole)) return NULL;
    if (!*at) {
        *at = need_new(c, path->kids[0]->type->count);
        c->growth++;
    }
    return (*at)->whole ? NULL : &(*at)->kids[path->index];
}

static bool is_path(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident;
}

/* ---- slots ---- */

static Slot *slot_new(Columns *c, Slot *parent, int index, Type *type) {
    Slot *slot = arena_alloc(&c->program->arena, sizeof *slot);
    *slot = (Slot){.parent = parent, .index = index, .type = type, .made = type};
    if (type->kind != TY_struct) return slot;
    slot->kids = arena_alloc(&c->program->arena, sizeof *slot->kids * (size_t)(type->count + 1));
    for (int i = 0; slot->kids && i < type->count; i++) {
        slot->kids[i] = slot_new(c, slot, i, type->args[i]);
        slot->count++;
    }
    return slot;
}

Slot *columns_slot(const Columns *c, const Node *node) {
    for (;;) {
        switch (node->kind) {
        case N_Ident: return node->symbol->id < c->limit ? c->slots[node->symbol->id] : NULL;
        case N_Let:
        case N_If: node = node->kids[1]; break;
        case N_Merge: node = node->kids[0]; break;
        case N_For: node = node->kids[node->count - 2]; break;
        case N_Field: {
            Slot *slot = columns_slot(c, node->kids[0]);
            return slot && node->index < slot->count ? slot->kids[node->index] : NULL;
        }
        case N_Struct: {
            Slot *slot = node->count ? columns_slot(c, node->kids[0]) : NULL;
            return slot ? slot->parent : NULL;
        }
        default: return NULL;
        }
    }
}

static Slot *follow(Columns *c, const Node *node);

/* From here on the name stands for the slot, and all its uses must be met. */
static void give_slot(Columns *c, const Symbol *name, Slot *slot) {
    Touched *touched = arena_alloc(&c->program->arena, sizeof *touched);
    *touched = (Touched){name, c->touched};
    c->touched = touched;
    c->slots[name->id] = slot;
    c->expected += name->uses;
}

static Slot *follow_loop(Columns *c, const Node *node) {
    const Node *lambda = node->kids[node->count - 1];
    Slot *slot = follow(c, node->kids[node->count - 2]);
    if (!slot) return NULL;
    give_slot(c, lambda->params[0], slot);
    if (follow(c, lambda->kids[0]) != slot) c->lost = true;
    return slot;
}

static Slot *follow_struct(Columns *c, const Node *node) {
    Slot *parent = NULL;
    int others = 0;
    for (int i = 0; i < node->count; i++) {
        Slot *slot = node->kids[i]->type->builders ? follow(c, node->kids[i]) : NULL;
        bool fits = slot && slot->index == i && slot->parent && (!parent || slot->parent == parent);
        if (fits)
            parent = slot->parent;
        else if (slot)
            c->lost = true;
        else
            others++;
    }
    if (parent && (others || parent->count != node->count)) c->lost = true;
    return parent;
}

static Slot *follow_merge(Columns *c, const Node *node) {
    Slot *slot = follow(c, node->kids[0]);
    if (!slot) return NULL;
    const Type *value = node->kids[1]->type, *type = slot->type;
    bool pair = type->kind == TY_dictmerger;
    if (pair ? value->kind != TY_struct || value->count != 2 || value->args[1] != type->args[1]
             : value->kind == TY_struct && value != columns_value(type))
        c->lost = true;
    if (!pair && value != columns_value(type)) slot->lanes = true;
    return slot;
}

static bool is_below(const Slot *slot, const Slot *root) {
    while (slot && slot != root) slot = slot->parent;
    return slot;
}

/* The slot of a chain of lets, whose names stand for parts of it. */
static Slot *follow_lets(Columns *c, const Node *first) {
    const Node *node = first;
    bool keeps = false;
    for (; node->kind == N_Let; node = node->kids[1]) {
        Slot *slot = node->kids[0]->type->builders ? follow(c, node->kids[0]) : NULL;
        keeps |= (flags_of(node->kids[0]) & KEEPS) != 0;
        if (slot) give_slot(c, node->symbol, slot);
    }
    Slot *slot = follow(c, node);
    if (slot && keeps) slot->keeps = true;
    for (node = first; node->kind == N_Let; node = node->kids[1]) {
        const Slot *part = node->kids[0]->type->builders ? c->slots[node->symbol->id] : NULL;
        if (part && !is_below(part, slot)) c->lost = true;
    }
    return slot;
}

/* The slot of a builder's expression. `lost` is set where it is not of a form that can be changed. */
static Slot *follow(Columns *c, const Node *node) {
    Slot *slot = NULL;
    switch (node->kind) {
    case N_Let: return follow_lets(c, node);
    case N_Ident:
        slot = node->symbol->id < c->limit ? c->slots[node->symbol->id] : NULL;
        if (slot) c->met++;
        return slot;
    case N_Field:
        slot = follow(c, node->kids[0]);
        return slot && node->index < slot->count ? slot->kids[node->index] : NULL;
    case N_Merge: slot = follow_merge(c, node); break;
    case N_If:
        slot = follow(c, node->kids[1]);
        if (follow(c, node->kids[2]) != slot) c->lost = true;
        break;
    case N_For: slot = follow_loop(c, node); break;
    case N_Struct: return follow_struct(c, node);
    default: return NULL;
    }
    if (slot && (flags_of(node) & KEEPS)) slot->keeps = true;
    return slot;
}

/* ---- what slots become ---- */

static bool has_zero(const Type *type) {
    return type_is_scalar(type) || type->kind == TY_vec;
}

/* Adds the parts of a value that are needed. False: too many, or too deep. */
static bool add_paths(Slot *slot, Type *type, const Need *need, Path *path, bool any, bool *all) {
    if (type->kind != TY_struct) {
        bool needed = need || !has_zero(type) || (any && slot->npaths == 0);
        *all = *all && needed;
        if (!needed) return true;
        if (slot->npaths == COLUMNS_MOST) return false;
        slot->paths[slot->npaths] = *path;
        slot->paths[slot->npaths++].type = type;
        return true;
    }
    if (path->depth == PATH_MOST) return false;
    for (int i = 0; i < type->count; i++) {
        path->at[path->depth++] = i;
        bool fits = add_paths(slot, type->args[i], need_kid(need, i), path, any, all);
        path->depth--;
        if (!fits) return false;
    }
    return true;
}

static bool keep_parts(Columns *c, Slot *slot, const Need *result) {
    Type *value = columns_value(slot->type);
    TypeKind kind = slot->type->kind;
    const Need *need = kind == TY_merger ? result : need_kid(result, 0);
    if (kind == TY_appender && !result->whole && result->count == 0 && !slot->lanes && slot->varies)
        return slot->counts = true;
    if (result->whole || value->kind != TY_struct || (kind == TY_appender && c->loops)) return false;
    if (kind != TY_appender && kind != TY_merger && kind != TY_dictmerger) return false;
    slot->paths = arena_alloc(&c->program->arena, sizeof *slot->paths * COLUMNS_MOST);
    /* A vector without columns has no length: the first one that is there stays. */
    Path path = {0};
    bool all = true, fits = slot->paths && add_paths(slot, value, need, &path, false, &all);
    if (fits && slot->npaths == 0) fits = add_paths(slot, value, NULL, &path, true, &all) && slot->npaths;
    if (fits && (kind == TY_appender || !all)) return true;
    slot->npaths = 0;
    return false;
}

static Type *pack(Columns *c, const Slot *slot) {
    Type *parts[COLUMNS_MOST];
    for (int i = 0; i < slot->npaths; i++) parts[i] = slot->paths[i].type;
    return slot->npaths == 1 ? parts[0]
                             : type_make(&c->program->types, TY_struct, OP_none, slot->npaths, parts);
}

/* What is needed of a value of which the slot keeps parts. */
static Need *kept_need(Columns *c, const Slot *slot) {
    Type *value = columns_value(slot->type);
    Need *need = NULL;
    for (int i = 0; i < slot->npaths; i++) {
        const Path *path = &slot->paths[i];
        const Type *type = value;
        Need **at = &need;
        for (int k = 0; k < path->depth; k++) {
            if (!*at) *at = need_new(c, type->count);
            if ((*at)->whole) break;
            at = &(*at)->kids[path->at[k]];
            type = type->args[path->at[k]];
        }
        *at = (Need *)&whole;
    }
    if (slot->type->kind != TY_dictmerger) return need;
    Need *pair = need_of_part(c, 2, 0, &whole);
    if (!pair->whole) pair->kids[1] = need;
    return pair;
}

/* What the type of a builder that keeps parts of its values becomes. */
static Type *made_leaf(Columns *c, const Slot *slot) {
    TypeTable *types = &c->program->types;
    const Type *type = slot->type;
    Type *parts[COLUMNS_MOST];
    if (type->kind == TY_appender) {
        for (int i = 0; i < slot->npaths; i++) {
            Type *column = slot->paths[i].type;
            parts[i] = type_make(types, TY_appender, OP_none, 1, &column);
        }
        return slot->npaths == 1 ? parts[0] : type_make(types, TY_struct, OP_none, slot->npaths, parts);
    }
    parts[0] = type->args[0];
    parts[type->count - 1] = pack(c, slot);
    return type_make(types, type->kind, type->op, type->count, parts);
}

/* Decides what becomes of the slots, given what is needed of the results. Does anything change? */
static bool settle(Columns *c, Slot *slot, const Need *result, const Node *from, const Node *lambda,
                   int leaf) {
    if (slot->type->kind != TY_struct) {
        MergeBound bound = merge_bound(&c->merges, lambda->kids[0], lambda->params[0], leaf);
        bool plain = from->kind == N_NewBuilder && from->count == 0;
        slot->dropped = !result && !slot->keeps;
        slot->varies = bound.most > bound.least;
        if (!result) result = &whole;
        if (slot->dropped || (plain && keep_parts(c, slot, result))) {
            if (slot->dropped) return true;
            slot->made = slot->counts ? type_make(&c->program->types, TY_merger, OP_add, 1, &c->i64)
                                      : made_leaf(c, slot);
            if (slot->counts) return true;
            slot->need = kept_need(c, slot);
            return true;
        }
        return false;
    }
    bool changes = false;
    Type **parts = arena_alloc(&c->program->arena, sizeof *parts * (size_t)(slot->count + 1));
    int count = 0;
    for (int i = 0; parts && i < slot->count; i++) {
        Slot *kid = slot->kids[i];
        changes |= settle(c, kid, need_kid(result, i), from->kids[i], lambda, leaf);
        leaf += leaf_count(kid->type);
        kid->at = count;
        if (!kid->dropped) parts[count++] = kid->made;
    }
    slot->dropped = count == 0;
    if (changes && count) slot->made = type_make(&c->program->types, TY_struct, OP_none, count, parts);
    return changes;
}

static bool may_drop_arguments(const Slot *slot, const Node *from) {
    if (slot->type->kind != TY_struct) {
        return !slot->dropped || from->count == 0 || flags_of(from->kids[0]) == 0;
    }
    for (int i = 0; i < slot->count; i++) {
        if (!may_drop_arguments(slot->kids[i], from->kids[i])) return false;
    }
    return true;
}

/* The slots of a loop of whose results that is needed; NULL: it stays as it is. */
static Slot *make_slots(Columns *c, Node *loop, const Need *results) {
    Node *from = loop->kids[loop->count - 2], *lambda = loop->kids[loop->count - 1];
    c->slots[lambda->params[0]->id] = NULL;
    if (!builder_is_new(from)) return NULL;
    Slot *slot = slot_new(c, NULL, 0, loop->type);
    c->lost = false;
    c->met = c->expected = 0;
    c->touched = NULL;
    give_slot(c, lambda->params[0], slot);
    bool found = follow(c, lambda->kids[0]) == slot && !c->lost && c->met == c->expected && !results->whole;
    if (found && settle(c, slot, results, from, lambda, 0) && !slot->dropped &&
        may_drop_arguments(slot, from))
        return slot;
    for (; c->touched; c->touched = c->touched->next) c->slots[c->touched->name->id] = NULL;
    return NULL;
}

/* ---- the walk, backwards ---- */

/* Of a value whose parts may go where they are not needed and have no effect: what a builder merges; with
 * states, what an iterate starts with or returns. */
static void demand_value(Columns *c, Node *node, const Need *need, bool state);

static void demand_result(Columns *c, Node *node, const Need *need) {
    Node *builder = node->kids[0];
    if (is_path(builder)) {
        Need **at = needs_at(c, builder);
        if (at) need_add(c, at, need);
    } else if (builder->kind == N_For) {
        demand_loop(c, builder, need);
    } else {
        demand(c, builder, &whole);
    }
}

static void demand_let(Columns *c, const Node *let) {
    const Symbol *name = let->symbol;
    Node *value = let->kids[0];
    const Need *need = c->needs[name->id];
    if (columns_unneeded(c, let)) return;
    bool plain = need && c->plain[name->id] == name->uses;
    if (value->kind == N_For) {
        demand_loop(c, value, plain ? need : &whole);
        c->slots[name->id] = c->slots[value->kids[value->count - 1]->params[0]->id];
    } else if (value->kind == N_Result && need && c->lengths[name->id] == name->uses) {
        demand_result(c, value, &only_length);
    } else if (value->kind == N_Result) {
        bool merged = value->kids[0]->type->kind == TY_merger;
        demand_result(c, value, need && (plain || merged) ? need : &whole);
    } else {
        demand(c, value, need ? need : &whole);
    }
}

/* A chain of lets, and its end. */
static void demand_block(Columns *c, Node *node, const Need *need, bool value, bool state) {
    int count = 0;
    Node *end = node;
    for (; end->kind == N_Let; end = end->kids[1]) count++;
    const Node **lets = arena_alloc(&c->program->arena, sizeof *lets * (size_t)(count + 1));
    if (!lets) return;
    for (int i = 0; i < count; i++, node = node->kids[1]) lets[i] = node;
    if (value)
        demand_value(c, end, need, state);
    else
        demand(c, end, need);
    while (count > 0) demand_let(c, lets[--count]);
}

static void demand_value(Columns *c, Node *node, const Need *need, bool state) {
    if (need->whole || node->type->kind != TY_struct) {
        demand(c, node, need);
    } else if (node->kind == N_Let && state) {
        demand_block(c, node, need, true, true);
    } else if (node->kind == N_If && state) {
        demand(c, node->kids[0], &whole);
        for (int i = 1; i < 3; i++) demand_value(c, node->kids[i], need, true);
    } else if (node->kind == N_Struct) {
        for (int i = 0; i < node->count; i++) {
            const Need *part = need_kid(need, i);
            if (part)
                demand_value(c, node->kids[i], part, state);
            else if (!columns_droppable(node->kids[i]))
                demand(c, node->kids[i], &whole);
        }
    } else {
        demand(c, node, need);
    }
}

static void demand_merge(Columns *c, Node *node) {
    const Slot *slot = columns_slot(c, node->kids[0]);
    Node *value = node->kids[1];
    demand(c, node->kids[0], &whole);
    if (slot && slot->npaths)
        demand_block(c, value, slot->need, true, false);
    else if (!slot || !(slot->dropped || slot->counts) || !columns_droppable(value))
        demand(c, value, &whole);
}

/* The builder that a loop was given. */
static void demand_builder(Columns *c, Node *node, const Slot *slot) {
    if (slot && slot->dropped) return;
    if (node->kind != N_Struct || !slot) {
        demand(c, node, &whole);
        return;
    }
    for (int i = 0; i < node->count; i++) demand_builder(c, node->kids[i], slot->kids[i]);
}

/* results: what is needed of the results of its builders. */
static void demand_loop(Columns *c, Node *node, const Need *results) {
    Node *builder = node->kids[node->count - 2], *lambda = node->kids[node->count - 1];
    int iters = node->count - 2;
    const Slot *inner = columns_slot(c, builder);
    const Slot *slot = inner ? NULL : make_slots(c, node, results);
    c->loops++;
    demand(c, lambda->kids[0], &whole);
    c->loops--;
    const Need *element = c->needs[lambda->params[2]->id];
    for (int i = 0; i < iters; i++) {
        Node *iter = node->kids[i];
        const Need *part = iters == 1 ? element : need_kid(element, i);
        bool walks = iter_classes[iter->iter].has_data;
        if (walks) demand(c, iter->kids[0], iter->iter == IT_scalar ? need_of_part(c, 1, 0, part) : &whole);
        for (int k = walks; k < iter->count; k++) demand(c, iter->kids[k], &whole);
    }
    demand_builder(c, builder, slot);
}

/* What has no zero to stand for it is needed. */
static void add_zeroless(Columns *c, const Type *type, Need **need) {
    if (type->kind != TY_struct) {
        if (!has_zero(type)) need_add(c, need, &whole);
        return;
    }
    for (int i = 0; i < type->count && !(*need && (*need)->whole); i++) {
        Need *part = need_kid(*need, i) ? (*need)->kids[i] : NULL;
        add_zeroless(c, type->args[i], &part);
        if (!part) continue;
        if (!*need) *need = need_new(c, type->count);
        if (!(*need)->whole) (*need)->kids[i] = part;
    }
}

static void demand_iterate(Columns *c, Node *node, const Need *need) {
    Node *lambda = node->kids[1];
    const Symbol *name = lambda->params[0];
    Need *state = NULL;
    need_add(c, &state, node->type->builders || node->type->kind != TY_struct ? &whole : need);
    add_zeroless(c, node->type, &state);
    for (int round = 1;; round++) {
        if (round == ROUNDS || ++c->rounds > ALL_ROUNDS) need_add(c, &state, &whole);
        Need *returned = need_of_part(c, 2, 0, state);
        if (!returned->whole) returned->kids[1] = (Need *)&whole;
        demand_value(c, lambda->kids[0], returned, true);
        int before = c->growth;
        need_add(c, &state, c->needs[name->id]);
        if (state->whole || c->growth == before) break;
    }
    c->needs[name->id] = state;
    demand_value(c, node->kids[0], state, true);
}

static void demand_kids(Columns *c, Node *node) {
    for (int i = 0; i < node->count; i++) demand(c, node->kids[i], &whole);
}

/* Adds to the needs of names what computing the needed part of the node's value takes. */
static void demand(Columns *c, Node *node, const Need *need) {
    const Need *part;
    Need **at;
    switch (node->kind) {
    case N_Let: demand_block(c, node, need, false, false); break;
    case N_Ident: need_add(c, &c->needs[node->symbol->id], need); break;
    case N_Field:
        at = is_path(node) ? needs_at(c, node) : NULL;
        if (at)
            need_add(c, at, need);
        else if (!is_path(node))
            demand(c, node->kids[0], need_of_part(c, node->kids[0]->type->count, node->index, need));
        break;
    case N_Struct:
        for (int i = 0; i < node->count; i++) {
            part = need_kid(need, i);
            demand(c, node->kids[i], part ? part : &whole);
        }
        break;
    case N_If:
        demand(c, node->kids[0], &whole);
        for (int i = 1; i < 3; i++) demand(c, node->kids[i], need);
        break;
    case N_Lookup:
    case N_OptLookup:
        part = node->kind == N_Lookup ? need : need_kid(need, 1);
        demand(c, node->kids[0], need_of_part(c, 1, 0, part));
        demand(c, node->kids[1], &whole);
        break;
    case N_Len:
    case N_KeyExists:
        demand(c, columns_counts_keys(node) ? node->kids[0]->kids[0] : node->kids[0], need_new(c, 1));
        if (node->count > 1) demand(c, node->kids[1], &whole);
        break;
    case N_Result: demand_result(c, node, node->kids[0]->type->kind == TY_merger ? need : &whole); break;
    case N_For: demand_loop(c, node, &whole); break;
    case N_Merge: demand_merge(c, node); break;
    case N_Iterate: demand_iterate(c, node, need); break;
    default: demand_kids(c, node); break;
    }
}

/* ---- uses that can do with less ---- */

static const Node *name_of_path(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident ? node : NULL;
}

static bool count_plain(Walk *walk, Node **slot) {
    Columns *c = walk->data;
    const Node *node = *slot, *name = NULL;
    switch (node->kind) {
    case N_Result: name = name_of_path(node->kids[0]); break;
    case N_Iter:
        if (node->iter == IT_scalar && node->count == 1) name = node->kids[0];
        break;
    case N_Field: /* of an element: nothing but one part of it is read */
        if (node->type->kind == TY_struct) return true;
        while (node->kind == N_Field) node = node->kids[0];
        if (node->kind == N_Lookup && node->kids[0]->type->kind == TY_vec) name = node->kids[0];
        break;
    case N_Lookup:
    case N_OptLookup:
    case N_KeyExists:
        if (node->kids[0]->type->kind == TY_dict) name = node->kids[0];
        break;
    case N_Len:
        name = columns_counts_keys(node) ? node->kids[0]->kids[0] : node->kids[0];
        if (name->kind == N_Ident) c->lengths[name->symbol->id]++;
        break;
    default: break;
    }
    if (name && name->kind == N_Ident) c->plain[name->symbol->id]++;
    return true;
}

void columns_need(Columns *c) {
    Walk flags = {c->program, NULL, mark_flags, NULL}, plain = {c->program, count_plain, NULL, c};
    node_walk(&flags, &c->program->root);
    node_walk(&plain, &c->program->root);
    demand(c, c->program->root->kids[0], &whole);
}
