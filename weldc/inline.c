/* inline.c: calls become lets, and lets that need no name become their values.
 *
 *     inline-apply   (|x, y| e)(a, b)          =>  let x = a; let y = b; e
 *     inline-let     let x = a; .. x ..        =>  .. a ..       x is used once, and not in a function that
 * runs many times let x = y; .. x .. x ..   =>  .. y .. y ..  y is a name or a constant let x = a; e =>  e x
 * is not used
 *
 * Nothing is evaluated twice that was evaluated once, so both passes keep the program's size. A value that
 * touches a builder bound outside it stays where it is: merges have an order. A value that nobody uses may
 * fail unseen (semantics: Evaluation), but an assert and a foreign call stay.
 */
#include "weldc.h"

bool pass_inline_apply(Program *program);
bool pass_inline_let(Program *program);

static void apply_to_let(Walk *walk, Node **slot) {
    Node *node = *slot;
    if (node->kind != N_Apply || node->kids[0]->kind != N_Lambda) return;
    Node *lambda = node->kids[0], *body = lambda->kids[0];
    for (int i = lambda->nparams - 1; i >= 0; i--) {
        body = node_let(walk->program, node->span, lambda->params[i], node->kids[i + 1], body);
    }
    *slot = body;
}

bool pass_inline_apply(Program *program) {
    Walk walk = {program, NULL, apply_to_let, NULL};
    node_walk(&walk, &program->root);
    return true;
}

typedef struct Binding {
    const Node *let;
    int depth;    /* of functions around the let */
    bool movable; /* the value may be evaluated elsewhere, or not at all */
    bool gone;    /* it was moved to its use */
} Binding;

typedef struct Inline {
    Binding *bindings; /* by symbol id */
    int depth;
} Inline;

/* Marks what is bound below (twin is free for use here), or clears the marks. */
static bool mark_bound(Walk *walk, Node **slot) {
    Node *node = *slot;
    bool mark = *(bool *)walk->data;
    if (node->kind == N_Let) node->symbol->twin = mark ? node->symbol : NULL;
    for (int i = 0; i < node->nparams; i++) node->params[i]->twin = mark ? node->params[i] : NULL;
    return true;
}

/* What keeps a value in its place: an assert, a foreign call, a builder from outside. */
static bool find_fixed(Walk *walk, Node **slot) {
    const Node *node = *slot;
    bool *fixed = walk->data;
    if (node->kind == N_Assert || node->kind == N_Cudf) *fixed = true;
    if (node->kind == N_Ident && node->type->builders && !node->symbol->twin) *fixed = true;
    return !*fixed;
}

static bool is_movable(Program *program, Node *value) {
    bool fixed = false, mark = true;
    if (value->type->builders) return false;
    Walk bound = {program, mark_bound, NULL, &mark}, find = {program, find_fixed, NULL, &fixed};
    node_walk(&bound, &value);
    node_walk(&find, &value);
    mark = false;
    node_walk(&bound, &value);
    return !fixed;
}

static bool inline_enter(Walk *walk, Node **slot) {
    Inline *in = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Lambda) in->depth++;
    if (node->kind != N_Let) return true;
    bool movable = node->symbol->uses <= 1 && is_movable(walk->program, node->kids[0]);
    in->bindings[node->symbol->id] = (Binding){node, in->depth, movable, false};
    return true;
}

static bool is_copied(const Node *value) {
    return value->kind == N_Literal || value->kind == N_Ident;
}

/* Values are walked before the bodies that use them, so a binding's value is already done when its use is
 * met. */
static void inline_leave(Walk *walk, Node **slot) {
    Inline *in = walk->data;
    Node *node = *slot;
    if (node->kind == N_Lambda) in->depth--;
    if (node->kind != N_Ident && node->kind != N_Let) return;
    Binding *binding = &in->bindings[node->symbol->id];
    if (!binding->let) return;
    Node *value = binding->let->kids[0];
    if (node->kind == N_Let) {
        bool unused = node->symbol->uses == 0 && binding->movable;
        if (binding->gone || is_copied(value) || unused) *slot = node->kids[1];
    } else if (value->kind == N_Literal) {
        *slot = node_literal(walk->program, node->span, value->type, value->bits);
    } else if (value->kind == N_Ident) {
        *slot = node_ident(walk->program, node->span, value->symbol);
    } else if (node->symbol->uses == 1 && binding->depth == in->depth && binding->movable) {
        *slot = value;
        binding->gone = true;
    }
}

bool pass_inline_let(Program *program) {
    Inline in = {arena_alloc(&program->arena, sizeof(Binding) * (size_t)(program->symbols + 1)), 0};
    if (!in.bindings) return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    Walk walk = {program, inline_enter, inline_leave, &in};
    node_walk(&walk, &program->root);
    return true;
}
