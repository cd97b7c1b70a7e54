/* resolve_scope.c: what names mean at a place, and the lets that move outward.
 *
 * Scopes are immutable tries over the names' numbers: binding copies a path of 8-way nodes, so ten thousand
 * nested lets, each a scope that a closure may keep, cost little.
 */
#include "resolve.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* ---- errors ---- */

bool resolve_fail(Resolver *r, ErrorCode code, Span span, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(&r->program->error, code, span, "%s", text);
}

/* A list of names to choose the nearest from. */
typedef struct Candidates {
    const char **names;
    size_t count, room;
} Candidates;

static void candidate_add(void *data, const char *name) {
    Candidates *c = data;
    if (c->count == c->room) {
        size_t room = c->room ? c->room * 2 : 128;
        const char **names = realloc(c->names, room * sizeof *names);
        if (!names) return;
        c->names = names;
        c->room = room;
    }
    c->names[c->count++] = name;
}

static void candidates_in(Candidates *c, void *const *map, int level) {
    for (int i = 0; map && i < 8; i++) {
        if (level > 1) {
            candidates_in(c, map[i], level - 1);
        } else if (map[i]) {
            candidate_add(c, ((const Binding *)map[i])->name);
        }
    }
}

/* There is no such name: say which one is near. what: "name" or "function". */
bool resolve_unknown(Resolver *r, const Scope *scope, const Node *ident, const char *what) {
    Candidates c = {0};
    const Names *names = &r->program->names;
    candidates_in(&c, scope->map, r->levels);
    for (uint32_t i = 0; i < names->capacity; i++) {
        if (names->slots[i] && names->slots[i]->macro) candidate_add(&c, names->slots[i]->text);
    }
    each_word(candidate_add, &c);
    const char *near = nearest_name(ident->text, c.names, c.count);
    resolve_fail(r, E_Type, span_in(scope, ident), "there is no %s %.64s%s%.64s%s", what, ident->text,
                 near ? "; did you mean " : "", near ? near : "", near ? "?" : "");
    free(c.names);
    return false;
}

/* ---- scopes ---- */

Binding *scope_find(const Resolver *r, const Scope *scope, const char *name) {
    uint32_t id = name_of(name)->id;
    void *const *map = scope->map;
    for (int level = r->levels - 1; map && level >= 0; level--) map = map[id >> (3 * level) & 7];
    return (Binding *)(uintptr_t)map;
}

void scope_bind(Resolver *r, Scope *scope, const char *name, Binding *binding) {
    uint32_t id = name_of(name)->id;
    void **hole = &scope->map;
    for (int level = r->levels - 1; level >= 0; level--) {
        void **copy = arena_alloc(&r->program->arena, 8 * sizeof *copy);
        if (*hole) memcpy(copy, *hole, 8 * sizeof *copy);
        *hole = copy;
        hole = &copy[id >> (3 * level) & 7];
    }
    *hole = binding;
}

Binding *binding_new(Resolver *r, BindingKind kind, const char *name) {
    Binding *binding = arena_alloc(&r->program->arena, sizeof *binding);
    binding->kind = kind;
    binding->name = name;
    return binding;
}

Binding *binding_closure(Resolver *r, const char *name, const Node *raw, const Scope *scope) {
    Binding *binding = binding_new(r, B_closure, name);
    binding->raw = raw;
    binding->scope = *scope;
    return binding;
}

Symbol *bind_symbol(Resolver *r, Scope *scope, const char *name, Type *type) {
    Binding *binding = binding_new(r, B_variable, name);
    binding->symbol = symbol_new(r->program, name, type);
    scope_bind(r, scope, name, binding);
    return binding->symbol;
}

Type *type_fresh(Resolver *r, Type *type) {
    if (!type || !type->open) return type;
    if (type->kind == TY_unknown) return type_unknown(&r->program->types);
    Type **args = arena_alloc(&r->program->arena, sizeof *args * (size_t)type->count);
    if (!args) return type;
    for (int i = 0; i < type->count; i++) args[i] = type_fresh(r, type->args[i]);
    return type_make(&r->program->types, type->kind, type->op, type->count, args);
}

/* ---- lets that move, zips ---- */

static void chain_add(Chain *chain, Node *let, int height) {
    if (chain->last)
        chain->last->kids[1] = let;
    else
        chain->first = let;
    chain->last = let;
    if (height > chain->height) chain->height = height;
}

void chain_bind(Resolver *r, Chain *chain, Span span, Symbol *symbol, Node *value) {
    Node *let = node_make(r->program, N_Let, span, NULL, 2, value, NULL);
    let->symbol = symbol;
    let->text = symbol->name;
    chain_add(chain, let, r->height + 1);
}

Node *chain_close(Resolver *r, const Chain *chain, Node *body) {
    if (chain->height > r->height) r->height = chain->height;
    if (!chain->last || !body) return body;
    chain->last->kids[1] = body;
    return chain->first;
}

Node *chain_peel(Resolver *r, Node *node, Chain *chain) {
    Node *inner = node;
    while (inner->kind == N_Let) inner = inner->kids[1];
    if (inner->kind != N_Zip && inner->kind != N_Iter) return node;
    for (; node->kind == N_Let; node = node->kids[1]) chain_add(chain, node, r->height);
    return inner;
}

bool bind_zip(Resolver *r, const Scope *from, const Node *raw, const char *name, Scope *to, Chain *chain) {
    Node *zip = elaborate(r, from, raw, DATA);
    if (!zip) return false;
    zip = chain_peel(r, zip, chain);
    for (int i = 0; i < (zip->kind == N_Zip ? zip->count : 1); i++) {
        Node *iter = zip->kind == N_Zip ? zip->kids[i] : zip;
        for (int k = 0; k < iter->count; k++) {
            Symbol *part = symbol_new(r->program, name, type_unknown(&r->program->types));
            chain_bind(r, chain, iter->span, part, iter->kids[k]);
            iter->kids[k] = node_ident(r->program, iter->span, part);
        }
    }
    Binding *binding = binding_new(r, B_zip, name);
    binding->zip = zip;
    scope_bind(r, to, name, binding);
    return true;
}
