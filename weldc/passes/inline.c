/* inline.c: calls become lets, and lets that need no name become their values.
 *
 *     inline-apply   (|x, y| e)(a, b)          =>  let x = a; let y = b; e
 *     inline-let     let x = a; .. x ..        =>  .. a ..        x is used once, not in a function that runs often
 *                    let x = y; .. x .. x ..   =>  .. y .. y ..   y is a name or a constant
 *                    let x = a; e              =>  e              x is not used
 *
 * Nothing is evaluated twice that was evaluated once, so both passes keep the program's size. A value that
 * touches a builder bound outside it stays where it is: merges have an order. A value that nobody uses may
 * fail unseen, but an assert and a foreign call stay. So does a pure call that fills a vector, unless its use is in an arm.
 */
#include "../weldc.h"

#include <limits.h>

enum { INLINE_HEIGHT = 100 }; /* the highest value that moves: bounds how deep a chain of lets can become */

enum { FILLED_LETS = 16, FILLED_DEPTH = 4 }; /* how far is looked for the call in a value */

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
    const Node *let; /* NULL: a parameter */
    int serial;      /* binders are numbered as they are met: those further out have lower numbers */
    int depth;       /* of functions around the let */
    int arms;        /* of conditions around the let */
    bool movable;    /* the value may be evaluated elsewhere, or not at all */
    bool stays;      /* but it is better evaluated here, */
    bool called;     /* or only in an arm that may not be taken */
    bool gone;       /* it was moved to its use */
} Binding;

typedef struct Inline {
    Binding *bindings; /* by symbol id */
    int serial, depth, arms;
} Inline;

/* A number that each walk keeps for each node in its index; a field, whose index is taken, has that of its
 * kid. */
static int number_of(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->index;
}

/* An iterate over vectors that have memory themselves stays its let's value: there it may take over what an iterate before it
 * made (cg_renew.c). */
static bool is_iterate_of_many(const Node *value) {
    const Node *source = node_source(value);
    return source->kind == N_Iterate && type_nests(source->type);
}

/* What a C function fills is made where its let stands: there a gradient knows what it is made of, which need not live then until
 * the result is put together. A vector that a loop makes has to move, to be fused. On ranks a slope is summed by an exchange right
 * where it is needed, so it is best made there, too: a network on four ranks took 5 % more otherwise. */
static bool is_filled(const Node *value, int deepest) {
    const Node *end = value;
    if (deepest == 0) return false;
    if (value->kind == N_If)
        return is_filled(value->kids[1], deepest - 1) && is_filled(value->kids[2], deepest - 1);
    for (int lets = 0; end->kind == N_Let && lets < FILLED_LETS; lets++) end = end->kids[1];
    if (end->kind != N_Ident) return end->kind == N_Cfill;
    for (; value != end; value = value->kids[1]) {
        if (value->symbol == end->symbol) return is_filled(value->kids[0], deepest - 1);
    }
    return false;
}

/* First walk: what may move. A node's number is the least serial of the builders that are named below it, 0
 * if there is an assert or a foreign call: a value stays where it is if its number is lower than its let's.
 */
static bool survey_enter(Walk *walk, Node **slot) {
    Inline *in = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Let) in->bindings[node->symbol->id] = (Binding){.let = node, .serial = ++in->serial};
    for (int i = 0; i < node->nparams; i++)
        in->bindings[node->params[i]->id] = (Binding){.serial = ++in->serial};
    return true;
}

static void survey_leave(Walk *walk, Node **slot) {
    Inline *in = walk->data;
    Node *node = *slot;
    if (node->kind == N_Let) {
        Binding *binding = &in->bindings[node->symbol->id];
        const Node *value = node->kids[0];
        binding->movable = !value->type->builders && number_of(value) > binding->serial;
        binding->stays = is_iterate_of_many(value);
        binding->called = !walk->program->distribution.together && is_filled(value, FILLED_DEPTH);
    }
    if (node->kind == N_Field) return;
    node->index = node_keeps(node) ? 0 : INT_MAX;
    if (node->kind == N_Ident && node->type->builders) node->index = in->bindings[node->symbol->id].serial;
    for (int i = 0; i < node->count; i++) {
        int number = number_of(node->kids[i]);
        if (number < node->index) node->index = number;
    }
}

static bool is_copied(const Node *value) {
    return value->kind == N_Literal || value->kind == N_Ident;
}

/* The value that stands for a use of a name, or NULL. */
static Node *value_for(Program *program, const Inline *in, Binding *binding, const Node *use) {
    Node *value = binding->let->kids[0];
    if (value->kind == N_Literal) return node_literal(program, use->span, value->type, value->bits);
    if (value->kind == N_Ident) return node_ident(program, use->span, value->symbol);
    bool once = use->symbol->uses == 1 && binding->depth == in->depth;
    bool stays = binding->stays || (binding->called && binding->arms == in->arms);
    if (!once || !binding->movable || stays || number_of(value) > INLINE_HEIGHT) return NULL;
    binding->gone = true;
    return value;
}

static bool is_lazy(const Node *node) {
    return node->kind == N_If || node->kind == N_And || node->kind == N_Or;
}

static bool inline_enter(Walk *walk, Node **slot) {
    Inline *in = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Lambda) in->depth++;
    if (is_lazy(node)) in->arms++;
    if (node->kind == N_Let) {
        in->bindings[node->symbol->id].depth = in->depth;
        in->bindings[node->symbol->id].arms = in->arms;
    }
    return true;
}

/* Second walk: moves. A node's number is its height. Values are walked before the bodies that use them, so a
 * value is already done when its use is met. */
static void inline_leave(Walk *walk, Node **slot) {
    Inline *in = walk->data;
    Node *node = *slot;
    if (node->kind == N_Lambda) in->depth--;
    if (is_lazy(node)) in->arms--;
    if (node->kind == N_Ident || node->kind == N_Let) {
        Binding *binding = &in->bindings[node->symbol->id];
        if (node->kind == N_Let) {
            bool unused = node->symbol->uses == 0 && binding->movable;
            if (binding->gone || unused || is_copied(node->kids[0])) *slot = node->kids[1];
        } else if (binding->let) {
            Node *value = value_for(walk->program, in, binding, node);
            if (value) *slot = value;
        }
        if (*slot != node) return;
    }
    if (node->kind == N_Field) return;
    node->index = 1;
    for (int i = 0; i < node->count; i++) {
        int height = number_of(node->kids[i]) + 1;
        if (height > node->index) node->index = height;
    }
}

bool pass_inline_let(Program *program) {
    Inline in = {.bindings = arena_alloc(&program->arena, sizeof(Binding) * (size_t)(program->symbols + 1))};
    if (!in.bindings) return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    Walk survey = {program, survey_enter, survey_leave, &in},
         move = {program, inline_enter, inline_leave, &in};
    node_walk(&survey, &program->root);
    node_walk(&move, &program->root);
    program->depth += INLINE_HEIGHT;
    return true;
}
