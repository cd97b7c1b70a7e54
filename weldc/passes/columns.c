/* columns.c: vectors of structs become vectors of their fields, and what nobody needs goes.
 *
 *     let rows = result(for(v, appender, |b, i, x| if(x > 0, merge(b, {x, x * 2, x * 3}), b)));
 *     result(for(rows, merger[i64, +], |b, i, r| merge(b, r.$0 - r.$2)))
 *  =>
 *     let bs = for(v, {appender, appender}, |b, i, x| if(x > 0, {merge(b.$0, x), merge(b.$1, x * 3)}, b));
 *     let rows = result(bs.$0); let rows_1 = result(bs.$1);
 *     result(for(zip(rows, rows_1), merger[i64, +], |b, i, e| let r = {e.$0, 0, e.$1}; merge(b, r.$0 - r.$2)))
 *
 * That is done where all uses of the vector are as data of loops, len, or reads of one field of an element.
 * A vector that a filter makes, and of which the length alone is needed, becomes a sum of ones. (Where each
 * iteration merges equally often, infer-size knows the length.)
 *
 * In the same way mergers, and dictmergers whose dictionary is only looked up, or its keys counted, keep of their values the fields
 * that are read, loops lose builders whose results are not, states of an iterate have zeros for fields that are
 * only passed round, and lets of nothing that is needed go. What is needed columns_need.c finds out; here the
 * program is changed. Where a struct was, one is put together again from what is left of it, with zeros for the
 * rest: simplify takes it apart where its fields are used.
 *
 * Lengths and indexes stay, and so do asserts, foreign calls and merges into builders of others. What may fail
 * and is not needed goes. Vectors made inside of loops stay whole: they are small. Linear, but for states.
 *
 * Requires uses; keeps nothing.
 */
#include "columns.h"

#include <string.h>

bool pass_columns(Program *program);

/* What the end of a chain of lets is: a builder's expression of this slot, or a state of which that is needed. */
typedef struct End {
    const Slot *slot;
    const Need *state;
} End;

static const End value_end = {NULL, NULL};

static Node *rewrite(Columns *c, Node *node, End end);

static Node *rewrite_value(Columns *c, Node *node) {
    return rewrite(c, node, value_end);
}

/* ---- pieces ---- */

/* Lets that come before an expression. */
typedef struct Chain {
    Columns *c;
    Span span;
    Node *first, **hole, *last;
} Chain;

static void chain_let(Chain *chain, Symbol *symbol, Node *value) {
    Node *let = node_new(chain->c->program, N_Let, chain->span, NULL, 2);
    let->symbol = symbol;
    let->text = symbol->name;
    let->kids[0] = value;
    if (!chain->hole) chain->hole = &chain->first;
    *chain->hole = let;
    chain->hole = &let->kids[1];
}

static Symbol *chain_bind(Chain *chain, const char *name, Node *value) {
    Symbol *symbol = symbol_new(chain->c->program, name, value->type);
    chain_let(chain, symbol, value);
    return symbol;
}

static Node *chain_end(Chain *chain, Node *end) {
    if (!chain->hole) return end;
    *chain->hole = end;
    for (Node *let = chain->first; let != end; let = let->kids[1]) let->type = end->type;
    return chain->first;
}

static Node *field(Columns *c, Node *of, int index) {
    Node *node = node_make(c->program, N_Field, of->span, of->type->args[index], 1, of);
    node->index = index;
    return node;
}

/* Dictionaries have no zero that could be written. */
static bool can_be_zero(const Type *type) {
    if (type->kind != TY_struct) return type_is_scalar(type) || type->kind == TY_vec;
    for (int i = 0; i < type->count; i++) {
        if (!can_be_zero(type->args[i])) return false;
    }
    return true;
}

static Node *zero(Columns *c, Span span, Type *type) {
    if (type->kind != TY_struct)
        return type_is_scalar(type) ? node_literal(c->program, span, type, 0)
                                    : node_new(c->program, N_Vec, span, type, 0);
    Node *node = node_new(c->program, N_Struct, span, type, type->count);
    for (int i = 0; i < node->count; i++) node->kids[i] = zero(c, span, type->args[i]);
    return node;
}

static Node *struct_of(Columns *c, Span span, Node *const *parts, int count) {
    Type *types[COLUMNS_MOST];
    for (int i = 0; i < count; i++) types[i] = parts[i]->type;
    Type *type = type_make(&c->program->types, TY_struct, OP_none, count, types);
    Node *node = node_new(c->program, N_Struct, span, type, count);
    if (node->count == count) memcpy(node->kids, parts, sizeof *parts * (size_t)count);
    return node;
}

/* A whole value from the parts that a slot kept of it, which are the fields of a struct from number `at` on, or
 * the one part alone. */
typedef struct Rebuild {
    Columns *c;
    Span span;
    const Slot *slot;
    Symbol *from;
    int at;
    bool alone;
    int done; /* parts */
    Path path;
} Rebuild;

static bool same_path(const Path *a, const Path *b) {
    return a->depth == b->depth && memcmp(a->at, b->at, sizeof *a->at * (size_t)a->depth) == 0;
}

static Node *rebuild_part(Rebuild *r, Type *type) {
    Program *program = r->c->program;
    if (type->kind != TY_struct) {
        bool kept = r->done < r->slot->npaths && same_path(&r->path, &r->slot->paths[r->done]);
        if (!kept) return zero(r->c, r->span, type);
        int number = r->at + r->done++;
        Node *from = node_ident(program, r->span, r->from);
        return r->alone ? from : field(r->c, from, number);
    }
    Node *node = node_new(program, N_Struct, r->span, type, type->count);
    for (int i = 0; i < node->count; i++) {
        r->path.at[r->path.depth++] = i;
        node->kids[i] = rebuild_part(r, type->args[i]);
        r->path.depth--;
    }
    return node;
}

static Node *rebuild(Columns *c, Span span, const Slot *slot, Symbol *from, int at, bool alone) {
    Rebuild r = {c, span, slot, from, at, alone, 0, {0}};
    return rebuild_part(&r, columns_value(slot->type));
}

/* ---- parts of values that are merged ---- */

typedef struct Named Named;
struct Named {
    const Node *value;
    Symbol *name;
    Named *next;
};

typedef struct Parts {
    Chain *chain;
    Named *named; /* values that got a name, as several parts are taken of them */
} Parts;

static bool is_path(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident;
}

static Node *named_value(Parts *parts, Node *value) {
    Columns *c = parts->chain->c;
    if (is_path(value)) return rewrite_value(c, node_clone(c->program, value));
    Named *named = parts->named;
    while (named && named->value != value) named = named->next;
    if (!named) {
        named = arena_alloc(&c->program->arena, sizeof *named);
        *named = (Named){value, chain_bind(parts->chain, "t", rewrite_value(c, value)), parts->named};
        parts->named = named;
    }
    return node_ident(c->program, value->span, named->name);
}

static Node *part_of(Parts *parts, Node *value, const Path *path) {
    int at = 0;
    for (; at < path->depth && value->kind == N_Struct; at++) value = value->kids[path->at[at]];
    if (at == path->depth) return rewrite_value(parts->chain->c, value);
    Node *part = named_value(parts, value);
    for (; at < path->depth; at++) part = field(parts->chain->c, part, path->at[at]);
    return part;
}

/* Parts that are not needed, but must not go. */
static void keep_effects(Parts *parts, Node *value, const Need *need) {
    if (need->whole || value->kind != N_Struct) return;
    for (int i = 0; i < value->count; i++) {
        const Need *part = need_kid(need, i);
        if (part)
            keep_effects(parts, value->kids[i], part);
        else if (!columns_droppable(value->kids[i]))
            chain_bind(parts->chain, "t", rewrite_value(parts->chain->c, value->kids[i]));
    }
}

/* The lets of the value come before the merge. */
static Node *lets_first(Node *merge) {
    Node *first = merge->kids[1], *last = first;
    while (last->kids[1]->kind == N_Let) last = last->kids[1];
    merge->kids[1] = last->kids[1];
    last->kids[1] = merge;
    return first;
}

static Node *merge_new(Columns *c, Span span, Node *builder, Node *value) {
    return node_make(c->program, N_Merge, span, builder->type, 2, builder, value);
}

static Node *merge_columns(Chain *chain, Node *builder, Node *const *parts, int count) {
    Columns *c = chain->c;
    if (count == 1) return merge_new(c, chain->span, builder, parts[0]);
    if (!is_path(builder)) builder = node_ident(c->program, chain->span, chain_bind(chain, "b", builder));
    Node *merges[COLUMNS_MOST];
    for (int i = 0; i < count; i++) {
        Node *column = field(c, i ? node_clone(c->program, builder) : builder, i);
        merges[i] = merge_new(c, chain->span, column, parts[i]);
    }
    return struct_of(c, chain->span, merges, count);
}

static Node *rewrite_merge(Columns *c, Node *node, const Slot *slot) {
    if (slot && slot->npaths && node->kids[1]->kind == N_Let)
        return rewrite(c, lets_first(node), (End){slot, NULL});
    Node *builder = rewrite(c, node->kids[0], (End){slot, NULL}), *value = node->kids[1];
    if (slot && slot->counts) {
        Chain effects = {c, node->span, NULL, NULL, NULL};
        if (!columns_droppable(value)) chain_bind(&effects, "t", rewrite_value(c, value));
        return chain_end(&effects,
                         merge_new(c, node->span, builder, node_literal(c->program, node->span, c->i64, 1)));
    }
    if (!slot || !slot->npaths) {
        node->kids[0] = builder;
        node->kids[1] = rewrite_value(c, value);
        node->type = builder->type;
        return node;
    }
    Chain chain = {c, node->span, NULL, NULL, NULL};
    Parts from = {&chain, NULL};
    Node *parts[COLUMNS_MOST], *key = NULL;
    bool pair = slot->type->kind == TY_dictmerger;
    keep_effects(&from, value, slot->need);
    if (pair) key = part_of(&from, value, &(Path){1, {0}, slot->type->args[0]});
    for (int i = 0; i < slot->npaths; i++) {
        Path path = {0};
        if (pair) path.at[path.depth++] = 1;
        memcpy(path.at + path.depth, slot->paths[i].at, sizeof *path.at * (size_t)slot->paths[i].depth);
        path.depth += slot->paths[i].depth;
        parts[i] = part_of(&from, value, &path);
    }
    if (slot->type->kind == TY_appender)
        return chain_end(&chain, merge_columns(&chain, builder, parts, slot->npaths));
    Node *kept = slot->npaths == 1 ? parts[0] : struct_of(c, node->span, parts, slot->npaths);
    if (pair) kept = struct_of(c, node->span, (Node *const[]){key, kept}, 2);
    return chain_end(&chain, merge_new(c, node->span, builder, kept));
}

/* ---- loops ---- */

/* A new builder of what the slot becomes. */
static Node *new_builder(Columns *c, Node *node, const Slot *slot) {
    Program *program = c->program;
    if (node->kind == N_NewBuilder && slot->counts)
        return node_new(program, N_NewBuilder, node->span, slot->made, 0);
    if (node->kind == N_NewBuilder && !slot->npaths) {
        if (node->count) node->kids[0] = rewrite_value(c, node->kids[0]);
        return node;
    }
    if (node->kind == N_NewBuilder) {
        if (slot->made->kind != TY_struct) return node_new(program, N_NewBuilder, node->span, slot->made, 0);
        Node *columns = node_new(program, N_Struct, node->span, slot->made, slot->npaths);
        for (int i = 0; i < columns->count; i++)
            columns->kids[i] = node_new(program, N_NewBuilder, node->span, slot->made->args[i], 0);
        return columns;
    }
    int count = 0;
    for (int i = 0; i < slot->count; i++) {
        if (!slot->kids[i]->dropped) node->kids[count++] = new_builder(c, node->kids[i], slot->kids[i]);
    }
    node->count = count;
    node->type = slot->made;
    return node;
}

/* The iterators of a loop, with those of columns in the place of those of vectors that became columns. */
typedef struct Iters {
    Node **iters;
    Slot **parts; /* for each iterator as it was: what its columns are now, or NULL */
    int count;
    bool changed;
} Iters;

static Symbol **columns_of(const Columns *c, const Node *node) {
    return node->kind == N_Ident && node->symbol->id < c->limit ? c->columns[node->symbol->id] : NULL;
}

static bool is_needed(const Need *need, const Path *path) {
    for (int i = 0; i < path->depth; i++) need = need_kid(need, path->at[i]);
    return need;
}

/* Iterators over the columns of a vector that a loop needs, or over the first: its length counts. */
static Slot *column_iters(Columns *c, Iters *out, const Node *iter, const Need *element) {
    Symbol *vector = iter->kids[0]->symbol, **columns = c->columns[vector->id];
    const Slot *slot = c->kept[vector->id];
    Slot *part = arena_alloc(&c->program->arena, sizeof *part);
    *part = *slot;
    part->paths = arena_alloc(&c->program->arena, sizeof *part->paths * COLUMNS_MOST);
    part->npaths = 0;
    for (int k = 0; part->paths && k < slot->npaths; k++) {
        bool last = k == slot->npaths - 1 && part->npaths == 0;
        bool replaceable = can_be_zero(slot->paths[k].type);
        if (!is_needed(element, &slot->paths[k]) && replaceable && !last) continue;
        part->paths[part->npaths++] = slot->paths[k];
        Node *data = node_ident(c->program, iter->span, columns[k]);
        Node *column = node_make(c->program, N_Iter, iter->span, slot->paths[k].type, 1, data);
        column->iter = IT_scalar;
        out->iters[out->count++] = column;
    }
    return part;
}

static Iters rewrite_iters(Columns *c, const Node *loop) {
    int before = loop->count - 2;
    size_t most = (size_t)(before * COLUMNS_MOST + 2);
    Iters out = {arena_alloc(&c->program->arena, sizeof *out.iters * most),
                 arena_alloc(&c->program->arena, sizeof *out.parts * most), 0, false};
    if (!out.parts) out.iters = NULL;
    const Need *element = c->needs[loop->kids[loop->count - 1]->params[2]->id];
    for (int i = 0; out.iters && i < before; i++) {
        Node *iter = loop->kids[i];
        const Need *part = before == 1 ? element : need_kid(element, i);
        if (iter_classes[iter->iter].has_data && columns_of(c, iter->kids[0])) {
            out.parts[i] = column_iters(c, &out, iter, part);
            out.changed = true;
            continue;
        }
        for (int k = 0; k < iter->count; k++) iter->kids[k] = rewrite_value(c, iter->kids[k]);
        out.iters[out.count++] = iter;
    }
    return out;
}

/* The old element of a loop, put together from the new one. */
static Node *old_element(Columns *c, const Iters *iters, Span span, Symbol *old, int before,
                         Symbol *element) {
    Node *parts = before > 1 ? node_new(c->program, N_Struct, span, old->type, before) : NULL, *part = NULL;
    bool alone = iters->count == 1;
    for (int i = 0, at = 0; i < before; i++) {
        if (iters->parts[i]) {
            part = rebuild(c, span, iters->parts[i], element, at, alone);
            at += iters->parts[i]->npaths;
        } else {
            part = node_ident(c->program, span, element);
            if (!alone) part = field(c, part, at);
            at++;
        }
        if (parts) parts->kids[i] = part;
    }
    return parts ? parts : part;
}

static void set_lambda_type(Columns *c, Node *lambda) {
    Type *parts[4];
    for (int i = 0; i < 3; i++) parts[i] = lambda->params[i]->type;
    parts[3] = lambda->kids[0]->type;
    lambda->type = type_make(&c->program->types, TY_function, OP_none, 4, parts);
}

static Node *rewrite_loop(Columns *c, Node *node, const Slot *slot) {
    Program *program = c->program;
    Node *builder = node->kids[node->count - 2], *lambda = node->kids[node->count - 1];
    bool fresh = builder_is_new(builder);
    Iters iters = rewrite_iters(c, node);
    if (!iters.iters) return node;
    builder = slot && fresh ? new_builder(c, builder, slot) : rewrite(c, builder, (End){slot, NULL});
    node->type = lambda->params[0]->type = builder->type;
    lambda->kids[0] = rewrite(c, lambda->kids[0], (End){slot, NULL});
    if (iters.changed) {
        Symbol *old = lambda->params[2];
        Type **types = arena_alloc(&program->arena, sizeof *types * (size_t)(iters.count + 1));
        for (int i = 0; types && i < iters.count; i++) types[i] = iters.iters[i]->type;
        if (!types) return node;
        Type *type =
            iters.count == 1 ? types[0] : type_make(&program->types, TY_struct, OP_none, iters.count, types);
        Symbol *element = symbol_new(program, old->name, type);
        Node *value = old_element(c, &iters, node->span, old, node->count - 2, element);
        lambda->params[2] = element;
        if (old->uses) lambda->kids[0] = node_let(program, node->span, old, value, lambda->kids[0]);
    }
    set_lambda_type(c, lambda);
    iters.iters[iters.count] = builder;
    iters.iters[iters.count + 1] = lambda;
    node->kids = iters.iters;
    node->count = iters.count + 2;
    return node;
}

/* ---- results, and what uses them ---- */

/* The slot of the builder of a result; NULL: it is as it was. */
static const Slot *result_slot(const Columns *c, const Node *result) {
    const Node *builder = result->kids[0];
    if (builder->kind != N_For) return columns_slot(c, builder);
    return columns_slot(c, builder->kids[builder->count - 2])
               ? NULL
               : c->slots[builder->kids[builder->count - 1]->params[0]->id];
}

static Node *rewrite_builder_of(Columns *c, Node *result, const Slot *slot) {
    Node *builder = result->kids[0];
    return builder->kind == N_For ? rewrite_loop(c, builder, slot) : rewrite(c, builder, (End){slot, NULL});
}

static Type *result_type(Columns *c, const Type *builder) {
    TypeTable *types = &c->program->types;
    switch (builder->kind) {
    case TY_appender: return type_vec(types, builder->args[0]);
    case TY_dictmerger: return type_make(types, TY_dict, OP_none, 2, builder->args);
    default: return builder->args[0];
    }
}

/* let name = result(..), of which columns are left: a let for each. */
static void columns_let(Columns *c, Chain *chain, Symbol *name, Node *result, const Slot *slot) {
    Program *program = c->program;
    Symbol **names = arena_alloc(&program->arena, sizeof *names * COLUMNS_MOST);
    if (!names) return;
    Node *builder = rewrite_builder_of(c, result, slot);
    if (slot->npaths > 1 && builder->kind == N_For)
        builder = node_ident(program, result->span, chain_bind(chain, "bs", builder));
    for (int i = 0; i < slot->npaths; i++) {
        Node *column = i ? node_clone(program, builder) : builder;
        if (slot->npaths > 1) column = field(c, column, i);
        Type *type = result_type(c, column->type);
        names[i] = chain_bind(chain, name->name, node_make(program, N_Result, result->span, type, 1, column));
    }
    c->columns[name->id] = names;
    c->kept[name->id] = (Slot *)slot;
}

/* Other results: of a merger the whole value again. */
static Node *rewrite_result(Columns *c, Node *node) {
    const Slot *slot = result_slot(c, node);
    node->kids[0] = rewrite_builder_of(c, node, slot);
    if (slot && slot->counts) node->type = c->i64;
    if (!slot || !slot->npaths) return node;
    node->type = result_type(c, slot->made);
    if (slot->type->kind != TY_merger) return node;
    Chain chain = {c, node->span, NULL, NULL, NULL};
    Symbol *kept = chain_bind(&chain, "r", node);
    return chain_end(&chain, rebuild(c, node->span, slot, kept, 0, slot->npaths == 1));
}

static const Slot *dict_slot(const Columns *c, const Node *dict) {
    bool named = dict->kind == N_Ident && dict->symbol->id < c->limit && dict->type->kind == TY_dict;
    return named ? c->kept[dict->symbol->id] : NULL;
}

/* Of a dictionary that keeps less of its values. */
static Node *rewrite_lookup(Columns *c, Node *node) {
    const Slot *slot = dict_slot(c, node->kids[0]);
    bool optional = node->kind == N_OptLookup;
    for (int i = 0; i < 2; i++) node->kids[i] = rewrite_value(c, node->kids[i]);
    if (!slot) return node;
    Chain chain = {c, node->span, NULL, NULL, NULL};
    Type *kept = node->kids[0]->type->args[1], *found[2] = {NULL, kept};
    if (optional) found[0] = node->type->args[0];
    node->type = optional ? type_make(&c->program->types, TY_struct, OP_none, 2, found) : kept;
    Symbol *name = chain_bind(&chain, "r", node), *value = name;
    if (optional) value = chain_bind(&chain, "r", field(c, node_ident(c->program, node->span, name), 1));
    Node *whole = rebuild(c, node->span, slot, value, 0, slot->npaths == 1);
    if (optional) {
        Node *parts[2] = {field(c, node_ident(c->program, node->span, name), 0), whole};
        whole = struct_of(c, node->span, parts, 2);
    }
    return chain_end(&chain, whole);
}

/* len(tovec(dict)), of a dictionary that may keep less of its values. */
static Node *rewrite_key_count(Columns *c, Node *node) {
    Node *list = node->kids[0];
    list->kids[0] = rewrite_value(c, list->kids[0]);
    Type *entry = dict_entry_type(&c->program->types, list->kids[0]->type);
    list->type = type_make(&c->program->types, TY_vec, OP_none, 1, &entry);
    return node;
}

/* lookup(rows, i).$k; NULL: it is something else. */
static Node *rewrite_element(Columns *c, Node *node) {
    Path path = {0};
    Node *base = node;
    for (; base->kind == N_Field; base = base->kids[0]) {
        if (path.depth == PATH_MOST) return NULL;
        path.at[path.depth++] = base->index;
    }
    Symbol **columns = base->kind == N_Lookup ? columns_of(c, base->kids[0]) : NULL;
    if (!columns) return NULL;
    for (int i = 0; i < path.depth / 2; i++) {
        int other = path.at[i];
        path.at[i] = path.at[path.depth - 1 - i];
        path.at[path.depth - 1 - i] = other;
    }
    const Slot *slot = c->kept[base->kids[0]->symbol->id];
    for (int i = 0; i < slot->npaths; i++) {
        if (!same_path(&path, &slot->paths[i])) continue;
        base->kids[0] = node_ident(c->program, base->span, columns[i]);
        base->kids[1] = rewrite_value(c, base->kids[1]);
        base->type = slot->paths[i].type;
        return base;
    }
    return NULL;
}

/* ---- the walk ---- */

static Node *rewrite_state(Columns *c, Node *node, const Need *need) {
    if (node->kind == N_If) {
        node->kids[0] = rewrite_value(c, node->kids[0]);
        for (int i = 1; i < 3; i++) node->kids[i] = rewrite(c, node->kids[i], (End){NULL, need});
        return node;
    }
    for (int i = 0; i < node->count; i++) {
        const Need *part = need_kid(need, i);
        Node *kid = node->kids[i];
        if (!part && can_be_zero(kid->type) && columns_droppable(kid))
            node->kids[i] = zero(c, kid->span, kid->type);
        else
            node->kids[i] = rewrite(c, kid, (End){NULL, part});
    }
    return node;
}

static Node *rewrite_kids(Columns *c, Node *node) {
    for (int i = 0; i < node->count; i++) node->kids[i] = rewrite_value(c, node->kids[i]);
    return node;
}

/* An expression of builders that change. */
static Node *rewrite_builder(Columns *c, Node *node, const Slot *slot) {
    int count = 0;
    switch (node->kind) {
    case N_Ident: return node_ident(c->program, node->span, node->symbol);
    case N_Field:
        node->kids[0] = rewrite(c, node->kids[0], (End){slot->parent, NULL});
        node->index = slot->at;
        break;
    case N_Merge: return rewrite_merge(c, node, slot);
    case N_For: return rewrite_loop(c, node, slot);
    case N_If:
        node->kids[0] = rewrite_value(c, node->kids[0]);
        for (int i = 1; i < 3; i++) node->kids[i] = rewrite(c, node->kids[i], (End){slot, NULL});
        break;
    case N_Struct:
        for (int i = 0; i < slot->count; i++) {
            const Slot *kid = slot->kids[i];
            if (!kid->dropped) node->kids[count++] = rewrite(c, node->kids[i], (End){kid, NULL});
        }
        node->count = count;
        break;
    default: break;
    }
    node->type = slot->made;
    return node;
}

/* Is it the name of a vector that became its length? */
static bool is_count(const Columns *c, const Node *node) {
    if (node->kind != N_Ident || node->symbol->id >= c->limit) return false;
    const Slot *slot = c->kept[node->symbol->id];
    return slot && slot->counts;
}

static Node *rewrite_end(Columns *c, Node *node, End end) {
    Node *element;
    if (end.slot) return rewrite_builder(c, node, end.slot);
    bool partly = end.state && !end.state->whole && node->type->kind == TY_struct;
    if (partly && (node->kind == N_Struct || node->kind == N_If)) return rewrite_state(c, node, end.state);
    switch (node->kind) {
    case N_Ident: return node_ident(c->program, node->span, node->symbol);
    case N_Field: element = rewrite_element(c, node); return element ? element : rewrite_kids(c, node);
    case N_Lookup:
    case N_OptLookup: return rewrite_lookup(c, node);
    case N_Len:
        if (columns_counts_keys(node)) return rewrite_key_count(c, node);
        if (is_count(c, node->kids[0])) return rewrite_value(c, node->kids[0]);
        if (columns_of(c, node->kids[0])) {
            node->kids[0] = node_ident(c->program, node->span, columns_of(c, node->kids[0])[0]);
            return node;
        }
        return rewrite_kids(c, node);
    case N_Result: return rewrite_result(c, node);
    case N_For: return rewrite_loop(c, node, NULL);
    case N_Merge: return rewrite_merge(c, node, NULL);
    case N_Iterate: {
        Node *lambda = node->kids[1];
        const Need *state = c->needs[lambda->params[0]->id];
        Need *both[2] = {(Need *)state, (Need *)state}, returned = {false, 2, both};
        node->kids[0] = rewrite(c, node->kids[0], (End){NULL, state});
        lambda->kids[0] = rewrite(c, lambda->kids[0], (End){NULL, &returned});
        return node;
    }
    default: return rewrite_kids(c, node);
    }
}

/* Adds a let to the chain, or not. */
static void rewrite_let(Columns *c, Chain *chain, Node *let) {
    Symbol *name = let->symbol;
    Node *value = let->kids[0];
    const Slot *slot;
    if (columns_unneeded(c, let)) return;
    chain->span = let->span;
    if (value->kind == N_Result) {
        slot = result_slot(c, value);
        bool kept = slot && slot->npaths;
        if (kept && slot->type->kind == TY_appender) {
            columns_let(c, chain, name, value, slot);
            return;
        }
        value = rewrite_result(c, value);
        if ((kept && slot->type->kind == TY_dictmerger) || (slot && slot->counts))
            c->kept[name->id] = (Slot *)slot;
    } else if (value->type->builders) {
        slot = c->slots[name->id];
        if (slot && slot->dropped) return;
        value = value->kind == N_For ? rewrite_loop(c, value, slot) : rewrite(c, value, (End){slot, NULL});
    } else {
        value = rewrite_value(c, value);
    }
    name->type = value->type;
    chain_let(chain, name, value);
}

static Node *rewrite(Columns *c, Node *node, End end) {
    Chain chain = {c, node->span, NULL, NULL, NULL};
    for (; node->kind == N_Let; node = node->kids[1]) rewrite_let(c, &chain, node);
    return chain_end(&chain, rewrite_end(c, node, end));
}

/* ---- vectors without a name ---- */

static bool wants_name(const Node *node) {
    return node->kind == N_Result && node->kids[0]->type->kind == TY_appender;
}

/* Vectors of structs that a loop, or len, is given as they are made get names before the node. */
static void name_vectors(Walk *walk, Node **slot) {
    Node *node = *slot, *user = node->kind == N_Let ? node->kids[0] : node;
    if (user->kind == N_Result) user = user->kids[0];
    bool loop = user->kind == N_For && (node != user || node->kind == N_Let);
    if (!loop && (node->kind != N_Len || user != node)) return;
    if (node->kind == N_Let && user != node->kids[0]) return; /* its result is a node of its own */
    for (int i = 0; i < (loop ? user->count - 2 : 1); i++) {
        Node **data = loop ? &user->kids[i]->kids[0] : &user->kids[0];
        bool plain = !loop || (user->kids[i]->iter == IT_scalar && user->kids[i]->count == 1);
        if (!plain || !wants_name(*data)) continue;
        if (loop && (*data)->type->args[0]->kind != TY_struct) continue;
        Symbol *name = symbol_new(walk->program, "rows", (*data)->type);
        Node *value = *data;
        name->uses = 1;
        *data = node_ident(walk->program, value->span, name);
        *slot = node_let(walk->program, value->span, name, value, *slot);
    }
}

bool pass_columns(Program *program) {
    Walk names = {program, NULL, name_vectors, NULL};
    node_walk(&names, &program->root);
    Columns c = {.program = program, .limit = program->symbols};
    size_t count = (size_t)c.limit + 1;
    c.needs = arena_alloc(&program->arena, sizeof *c.needs * count);
    c.slots = arena_alloc(&program->arena, sizeof *c.slots * count);
    c.plain = arena_alloc(&program->arena, sizeof *c.plain * count);
    c.lengths = arena_alloc(&program->arena, sizeof *c.lengths * count);
    c.merges.roots = arena_alloc(&program->arena, sizeof *c.merges.roots * count);
    c.i64 = type_scalar(&program->types, TY_i64);
    c.columns = arena_alloc(&program->arena, sizeof *c.columns * count);
    c.kept = arena_alloc(&program->arena, sizeof *c.kept * count);
    if (!c.needs || !c.slots || !c.plain || !c.lengths || !c.merges.roots || !c.columns || !c.kept)
        return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    columns_need(&c);
    program->root->kids[0] = rewrite_value(&c, program->root->kids[0]);
    int depth = node_depth(program->root);
    if (depth > program->depth) program->depth = depth;
    return true;
}
