/* distribute_keys.c: collects the keys that a loop looks up, by a loop of its own.
 *
 *     for(v, b, |b, i, x| let k = x % 7L; if(x > 2L, merge(b, f(lookup(d, k), i)), b))
 *  =>
 *     for(v, appender[K], |c, i, x| let k = x % 7L; if(x > 2L, merge(c, k), c))
 *
 * What decides whether a lookup is reached stays: lets, conditions, loops within the loop. So a key is computed just where the
 * loop itself computes it, and nothing fails that does not fail there. All else goes. Where a condition depends on the dictionary,
 *
 *     if(keyexists(d, k), merge(b, lookup(d, k + 1L)), b)    =>    merge(merge(c, k), k + 1L)
 *
 * it goes, too, if the keys cannot fail and cost little. A lookup of another dictionary may be part of a key. There are no
 * such keys where one depends on a value of the same dictionary, where a lookup is in a step of an iterate, in an order, or
 * beside a call that must be made as often as it stands there.
 */
#include "distribute.h"

enum { DEPENDS = 1 /* on the dictionary */, COSTLY = 2 /* or may fail */, CHEAP_NODES = 32 };

typedef struct Collect {
    Program *program;
    const Symbol *dict;
    Type *builder;
    unsigned char *marks; /* of names bound by lets so far, by symbol id */
    int symbols;
    bool guarded; /* by a condition that depends on the dictionary */
    bool failed;
} Collect;

typedef struct Marked {
    const Collect *c;
    unsigned marks;
} Marked;

static bool add_marks(Walk *walk, Node **slot) {
    Marked *marked = walk->data;
    const Symbol *symbol = (*slot)->kind == N_Ident ? (*slot)->symbol : NULL;
    if (symbol == marked->c->dict && symbol) marked->marks |= DEPENDS;
    if (symbol && symbol->id < marked->c->symbols) marked->marks |= marked->c->marks[symbol->id];
    return true;
}

static unsigned marks_of(const Collect *c, Node *node) {
    Marked marked = {.c = c};
    Walk walk = {c->program, add_marks, NULL, &marked};
    int budget = CHEAP_NODES;
    node_walk(&walk, &node);
    return marked.marks | (node_is_cheap(node, &budget) ? 0 : COSTLY);
}

Symbol *dict_looked_up(const Node *node) {
    bool looks = node->kind == N_Lookup || node->kind == N_OptLookup || node->kind == N_KeyExists;
    const Node *from = looks ? node->kids[0] : NULL;
    return from && from->kind == N_Ident && from->type->kind == TY_dict ? from->symbol : NULL;
}

static bool merges_already(const Node *into, const Node *key) {
    for (; into->kind == N_Merge; into = into->kids[0]) {
        if (node_equal(into->kids[1], key)) return true;
    }
    return false;
}

/* All of these return the builder that `into` becomes by the keys that evaluating the node looks up: `into` itself, if there
 * are none. They share the nodes of the loop, and its names. */
static Node *collect(Collect *c, Node *node, Node *into);

static Node *collect_kids(Collect *c, Node *node, Node *into) {
    for (int i = 0; i < node->count; i++) into = collect(c, node->kids[i], into);
    return into;
}

Node *same_lets(Program *program, const Node *let, Node *body) {
    Node *first = NULL, **hole = &first;
    for (; let->kind == N_Let; let = let->kids[1]) {
        *hole = node_let(program, let->span, let->symbol, let->kids[0], body);
        hole = &(*hole)->kids[1];
    }
    *hole = body;
    return first;
}

static Node *collect_let(Collect *c, Node *let, Node *into) {
    Program *program = c->program;
    Node *body = let, *made = into;
    for (; body->kind == N_Let; body = body->kids[1]) {
        made = collect(c, body->kids[0], made);
        c->marks[body->symbol->id] = (unsigned char)marks_of(c, body->kids[0]);
    }
    made = collect(c, body, made);
    return made == into ? into : same_lets(program, let, made);
}

/* if(condition, then, otherwise), of which an arm may be NULL: nothing is looked up there. */
static Node *collect_choice(Collect *c, Node *condition, Node *then, Node *otherwise, Node *into) {
    Program *program = c->program;
    Span span = condition->span;
    Node *before = collect(c, condition, into);
    if (c->guarded || (marks_of(c, condition) & DEPENDS)) {
        bool outside = c->guarded;
        c->guarded = true;
        if (then) before = collect(c, then, before);
        if (otherwise) before = collect(c, otherwise, before);
        c->guarded = outside;
        return before;
    }
    Symbol *name = symbol_new(program, "b", c->builder);
    Node *arms[2] = {then, otherwise}, *made[2];
    bool any = false;
    for (int i = 0; i < 2; i++) {
        Node *builder = node_ident(program, span, name);
        made[i] = arms[i] ? collect(c, arms[i], builder) : builder;
        any |= made[i] != builder;
    }
    if (!any) return before;
    Node *choice = node_make(program, N_If, span, c->builder, 3, condition, made[0], made[1]);
    return node_let(program, span, name, before, choice);
}

/* The function |b, i, x| of the loop, which collects keys instead. */
static Node *collect_body(Collect *c, const Node *loop, Node *into) {
    Program *program = c->program;
    Node *lambda = loop->kids[loop->count - 1];
    Symbol *name = symbol_new(program, "b", c->builder);
    Node *builder = node_ident(program, loop->span, name), *body = collect(c, lambda->kids[0], builder);
    if (body == builder) return into;
    c->failed |= c->guarded;
    Type *parts[4] = {c->builder, lambda->params[1]->type, lambda->params[2]->type, c->builder};
    Node *function = node_make(program, N_Lambda, lambda->span,
                               type_make(&program->types, TY_function, OP_none, 4, parts), 1, body);
    Node *made = node_new(program, N_For, loop->span, c->builder, loop->count);
    function->params = arena_alloc(&program->arena, sizeof *function->params * 3);
    if (!function->params || made->count != loop->count) {
        c->failed = true;
        return into;
    }
    function->nparams = 3;
    for (int i = 0; i < 3; i++) function->params[i] = i ? lambda->params[i] : name;
    for (int i = 0; i < loop->count - 2; i++) made->kids[i] = loop->kids[i];
    made->kids[loop->count - 2] = into;
    made->kids[loop->count - 1] = function;
    return made;
}

static Node *collect_loop(Collect *c, Node *loop, Node *into) {
    for (int i = 0; i < loop->count - 1; i++) into = collect(c, loop->kids[i], into);
    return collect_body(c, loop, into);
}

static Node *collect(Collect *c, Node *node, Node *into) {
    switch (node->kind) {
    case N_Let: return collect_let(c, node, into);
    case N_If: return collect_choice(c, node->kids[0], node->kids[1], node->kids[2], into);
    case N_And: return collect_choice(c, node->kids[0], node->kids[1], NULL, into);
    case N_Or: return collect_choice(c, node->kids[0], NULL, node->kids[1], into);
    case N_For: return collect_loop(c, node, into);
    case N_Lambda: {
        Node *none = node_new(c->program, N_Struct, node->span, node->type, 0);
        c->failed |= collect(c, node->kids[0], none) != none;
        return into;
    }
    case N_Lookup:
    case N_OptLookup:
    case N_KeyExists: {
        into = collect_kids(c, node, into);
        if (dict_looked_up(node) != c->dict || merges_already(into, node->kids[1])) return into;
        c->failed |= c->guarded && marks_of(c, node->kids[1]);
        return node_make(c->program, N_Merge, node->span, c->builder, 2, into, node->kids[1]);
    }
    default: return collect_kids(c, node, into);
    }
}

/* ---- lets that the keys do not need ---- */

static bool forget_use(Walk *walk, Node **slot) {
    (void)walk;
    if ((*slot)->kind == N_Ident) (*slot)->symbol->uses--;
    return true;
}

/* Inner lets come first: what they alone needed is not needed any more. */
static void drop_let(Walk *walk, Node **slot) {
    Node *let = *slot;
    if (let->kind != N_Let || let->symbol->uses) return;
    Walk forget = {walk->program, forget_use, NULL, NULL};
    node_walk(&forget, &let->kids[0]);
    *slot = let->kids[1];
}

static bool find_kept(Walk *walk, Node **slot) {
    bool *kept = walk->data;
    *kept |= node_keeps(*slot);
    return !*kept;
}

bool keeps_below(Program *program, Node *node) {
    bool kept = false;
    Walk walk = {program, find_kept, NULL, &kept};
    node_walk(&walk, &node);
    return kept;
}

void drop_unused_lets(Program *program, Node **slot) {
    Walk drop = {program, NULL, drop_let, NULL};
    count_uses(program, *slot);
    node_walk(&drop, slot);
}

Node *keys_of_loop(Distribute *d, const Node *loop, const Symbol *dict) {
    Program *program = d->program;
    Type *key = dict->type->args[0];
    const Symbol *builder = loop->kids[loop->count - 1]->params[0];
    Collect c = {.program = program, .dict = dict, .symbols = program->symbols};
    c.marks = arena_alloc(&program->arena, (size_t)program->symbols + 1);
    if (!c.marks) return NULL;
    c.builder = type_make(&program->types, TY_appender, OP_none, 1, &key);
    Node *fresh = node_new(program, N_NewBuilder, loop->span, c.builder, 0);
    Node *made = collect_body(&c, loop, fresh);
    if (c.failed || made == fresh) return NULL;
    made = node_clone(program, made);
    drop_unused_lets(program, &made);
    if (keeps_below(program, made) || uses_name(program, made, dict) || uses_name(program, made, builder))
        return NULL;
    return node_make(program, N_Result, loop->span, type_vec(&program->types, key), 1, made);
}
