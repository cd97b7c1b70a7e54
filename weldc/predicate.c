/* predicate.c: conditions become selections where both sides may safely be evaluated, so that loops
 * vectorize.
 *
 *     if(c, merge(b, e), b)  =>  merge(b, select(c, e, identity))     b a merger, e cheap and unable to fail
 *     if(c, x, y)            =>  select(c, x, y)                      scalars, both cheap and unable to fail
 *
 * The identity is that of the operator for any accumulator: -0.0 for a float sum (0.0 would change the sign
 * of -0.0), NaN for a float min or max (which C's fmin and fmax ignore).
 */
#include "weldc.h"

bool pass_predicate(Program *program);

enum { CHEAP = 16 };

/* As expressions that print and read back as what they are: there are no literals of -0.0 and NaN. */
static Node *neutral(Program *program, Span span, Op op, Type *type) {
    if (type->kind == TY_struct) {
        Node *node = node_new(program, N_Struct, span, type, type->count);
        for (int i = 0; i < node->count; i++) node->kids[i] = neutral(program, span, op, type->args[i]);
        return node;
    }
    uint64_t bits = 0;
    if (!type_is_float(type) || op == OP_mul) {
        combine_identity(type, op, &bits);
        return node_literal(program, span, type, bits);
    }
    Node *zero = node_literal(program, span, type, 0), *node;
    if (op == OP_add)
        node = node_make(program, N_Unary, span, type, 1, zero);
    else
        node = node_make(program, N_Binary, span, type, 2, zero, node_literal(program, span, type, 0));
    node->op = op == OP_add ? OP_neg : OP_div;
    return node;
}

static bool is_cheap(const Node *node) {
    int budget = CHEAP;
    return node_is_cheap(node, &budget);
}

/* The merge of the arm, if the node merges a cheap value in one arm and leaves the same merger alone in the
 * other. */
static Node *merging_arm(const Node *node, int arm) {
    Node *merge = node->kids[arm], *other = node->kids[3 - arm];
    if (merge->kind != N_Merge || merge->type->kind != TY_merger ||
        merge->kids[1]->type != merge->type->args[0])
        return NULL;
    bool same = is_cheap(other) && node_equal(merge->kids[0], other);
    return same && is_cheap(merge->kids[1]) ? merge : NULL;
}

static void predicate(Walk *walk, Node **slot) {
    Node *node = *slot;
    Program *program = walk->program;
    if (node->kind != N_If) return;
    for (int arm = 1; arm <= 2; arm++) {
        Node *merge = merging_arm(node, arm);
        if (!merge) continue;
        Type *type = merge->type->args[0];
        Node *none = neutral(program, node->span, merge->type->op, type), *value = merge->kids[1];
        merge->kids[1] = node_make(program, N_Select, node->span, type, 3, node->kids[0],
                                   arm == 1 ? value : none, arm == 1 ? none : value);
        *slot = merge;
        return;
    }
    if (!type_is_scalar(node->type) || !is_cheap(node->kids[1]) || !is_cheap(node->kids[2])) return;
    node->kind = N_Select;
    node->notes = NULL; /* hints to an if */
}

bool pass_predicate(Program *program) {
    Walk walk = {program, NULL, predicate, NULL};
    node_walk(&walk, &program->root);
    return true;
}
