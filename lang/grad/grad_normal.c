/* grad_normal.c: the primal program in normal form, for differentiation.
 *
 *     (|x, y| x * sin(y + 1.0))(a, b)    =>    let x = a; let y = b; let one = 1.0; let t = y + one; let s = sin(t);
 *                                              let r = x * s; r
 *
 * Operands of what floats or builders flow through become names, also within loops and arms, whose bodies end in a name.
 * So everything has one definition, at which its adjoint is complete, and can be named again where that is computed.
 * What has no leaves (integers, conditions, text, functions that compare) stays as it was: no adjoint flows through it.
 * Only a slice of sorted scalars keeps its sort as its operand: `slice(sort(x, order), start, count)` is one value, whose other elements nobody
 * needs in order.
 *
 * Changes the nodes in place. Recursion goes into values only, never along lets.
 */
#include "grad.h"

typedef struct Lets {
    Node *first, *last;
} Lets;

static Symbol *lets_add(Grad *g, Lets *lets, Symbol *symbol, Node *value) {
    if (!symbol) symbol = symbol_new(g->program, "t", value->type);
    Node *let = node_make(g->program, N_Let, value->span, NULL, 2, value, NULL);
    let->symbol = symbol;
    let->text = symbol->name;
    if (lets->last)
        lets->last->kids[1] = let;
    else
        lets->first = let;
    lets->last = let;
    return symbol;
}

static bool find_builder(Walk *walk, Node **slot) {
    bool *found = walk->data;
    if ((*slot)->kind == N_Ident && (*slot)->type->builders) *found = true;
    return !*found;
}

/* Nothing that has adjoints, and no builder of which a part is outside, flows into the result. */
static bool is_opaque(Grad *g, Node *node) {
    if (node->type->builders || type_has_floats(node->type)) return false;
    if (node->kind == N_Result) return false;
    bool found = false;
    Walk walk = {g->program, find_builder, NULL, &found};
    if (node->count) node_walk(&walk, &node);
    return !found;
}

static Node *normal_value(Grad *g, Node *node, Lets *lets);

static void normal_operand(Grad *g, Node **slot, Lets *lets) {
    Node *value = normal_value(g, *slot, lets);
    if (value->kind != N_Ident) value = node_ident(g->program, value->span, lets_add(g, lets, NULL, value));
    *slot = value;
}

static bool sorts_scalars(const Node *node) {
    return node->kind == N_Sort && type_is_float(node->type->args[0]);
}

/* How often the name is used, and by what, if it is sliced without a condition. */
typedef struct Use {
    const Symbol *name;
    int count;
    Node **sliced;
} Use;

static bool count_use(Walk *walk, Node **slot) {
    Use *use = walk->data;
    use->count += (*slot)->kind == N_Ident && (*slot)->symbol == use->name;
    return use->count < 2;
}

/* Values that are always computed, and once. */
static void find_sliced(Use *use, Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) find_sliced(use, node->kids[0]);
    bool arms = node->kind == N_If || node->kind == N_And || node->kind == N_Or;
    for (int i = 0; i < (arms ? 1 : node->count); i++) {
        Node *kid = node->kids[i];
        bool named = kid->kind == N_Ident && kid->symbol == use->name;
        if (named && node->kind == N_Slice && i == 0) use->sliced = &node->kids[0];
        if (kid->kind != N_Lambda) find_sliced(use, kid);
    }
}

/* let s = sort(x, order); .. slice(s, a, n) ..   =>   .. slice(sort(x, order), a, n) ..   where that is all s is for */
static bool sort_into_slice(Grad *g, Node *let) {
    Use use = {.name = let->symbol};
    if (!sorts_scalars(let->kids[0])) return false;
    Walk walk = {g->program, count_use, NULL, &use};
    node_walk(&walk, &let->kids[1]);
    if (use.count == 1) find_sliced(&use, let->kids[1]);
    if (!use.sliced) return false;
    *use.sliced = let->kids[0];
    return true;
}

/* A value whose operands are names; the lets before it are added. */
static Node *normal_value(Grad *g, Node *node, Lets *lets) {
    for (;;) {
        if (node->kind == N_Let && sort_into_slice(g, node)) {
            node = node->kids[1];
        } else if (node->kind == N_Let) {
            lets_add(g, lets, node->symbol, normal_value(g, node->kids[0], lets));
            node = node->kids[1];
        } else if (node->kind == N_Apply) {
            Node *lambda = node->kids[0];
            for (int i = 0; i < lambda->nparams; i++)
                lets_add(g, lets, lambda->params[i], normal_value(g, node->kids[i + 1], lets));
            node = lambda->kids[0];
        } else {
            break;
        }
    }
    if (is_opaque(g, node)) return node;
    switch (node->kind) {
    case N_If:
        normal_operand(g, &node->kids[0], lets);
        normalize(g, &node->kids[1]);
        normalize(g, &node->kids[2]);
        break;
    case N_Sort: normal_operand(g, &node->kids[0], lets); break;
    case N_Slice:
        if (sorts_scalars(node->kids[0]))
            node->kids[0] = normal_value(g, node->kids[0], lets);
        else
            normal_operand(g, &node->kids[0], lets);
        normal_operand(g, &node->kids[1], lets);
        normal_operand(g, &node->kids[2], lets);
        break;
    case N_Iterate:
        normal_operand(g, &node->kids[0], lets);
        normalize(g, &node->kids[1]->kids[0]);
        break;
    case N_For:
        for (int i = 0; i < node->count - 2; i++) {
            Node *iter = node->kids[i];
            for (int k = 0; k < iter->count; k++) normal_operand(g, &iter->kids[k], lets);
        }
        normal_operand(g, &node->kids[node->count - 2], lets);
        normalize(g, &node->kids[node->count - 1]->kids[0]);
        break;
    default:
        for (int i = 0; i < node->count; i++) normal_operand(g, &node->kids[i], lets);
        break;
    }
    return node;
}

void normalize(Grad *g, Node **body) {
    Lets lets = {0};
    Node *end = *body;
    normal_operand(g, &end, &lets);
    if (!lets.last) {
        *body = end;
        return;
    }
    for (Node *let = lets.first; let; let = let->kids[1]) let->type = end->type;
    lets.last->kids[1] = end;
    *body = lets.first;
}

Node *body_end(Node *body) {
    while (body->kind == N_Let) body = body->kids[1];
    return body;
}
