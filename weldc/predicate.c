/* predicate.c: conditions become selections where both sides may safely be evaluated, so that loops
 * vectorize.
 *
 *     if(c, merge(b, e), b)  =>  merge(b, select(c, e, identity))     b a merger, e cheap and unable to fail
 *     if(c, {merge(b.$0, e), b.$1}, b)  =>  {merge(b.$0, select(c, e, identity)), b.$1}                likewise
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

/* Merges a cheap value into a merger whose name is cheap, too. */
static bool is_cheap_merge(const Node *merge) {
    return merge->kind == N_Merge && merge->type->kind == TY_merger &&
           merge->kids[1]->type == merge->type->args[0] && is_cheap(merge->kids[0]) &&
           is_cheap(merge->kids[1]);
}

/* The merge of the arm, if the node merges a cheap value in one arm and leaves the same merger alone in the
 * other. */
static Node *merging_arm(const Node *node, int arm) {
    Node *merge = node->kids[arm];
    return is_cheap_merge(merge) && node_equal(merge->kids[0], node->kids[3 - arm]) ? merge : NULL;
}

/* Is it field `index` of that struct of builders, or of the same made of its fields? */
static bool is_field_of(const Node *field, int index, const Node *whole) {
    if (whole->kind == N_Struct) return node_equal(field, whole->kids[index]);
    return field->kind == N_Field && field->index == index && node_equal(field->kids[0], whole);
}

/* Whether the arm, a struct of builders, merges cheap values into some, once each, while the other leaves all alone. */
static bool merges_fields(const Node *node, int arm) {
    const Node *fields = node->kids[arm], *other = node->kids[3 - arm];
    if (fields->kind != N_Struct || !fields->type->builders || !is_cheap(node->kids[0]) || !is_cheap(other))
        return false;
    for (int i = 0; i < fields->count; i++) {
        const Node *kid = fields->kids[i];
        bool merges = is_cheap_merge(kid);
        if (!merges && kid->kind != N_Field && kid->kind != N_Ident) return false;
        if (!is_field_of(merges ? kid->kids[0] : kid, i, other)) return false;
    }
    return true;
}

/* merge(b, e)  =>  merge(b, select(c, e, identity)); arm: of e */
static void select_merged(Program *program, Node *merge, Node *condition, int arm) {
    Type *type = merge->type->args[0];
    Node *none = neutral(program, merge->span, merge->type->op, type), *value = merge->kids[1];
    merge->kids[1] = node_make(program, N_Select, merge->span, type, 3, condition, arm == 1 ? value : none,
                               arm == 1 ? none : value);
}

static void predicate(Walk *walk, Node **slot) {
    Node *node = *slot;
    Program *program = walk->program;
    if (node->kind != N_If) return;
    for (int arm = 1; arm <= 2; arm++) {
        Node *merge = merging_arm(node, arm);
        if (merge) {
            select_merged(program, merge, node->kids[0], arm);
            *slot = merge;
            return;
        }
        if (!merges_fields(node, arm)) continue;
        Node *fields = node->kids[arm];
        for (int i = 0; i < fields->count; i++) {
            if (fields->kids[i]->kind == N_Merge)
                select_merged(program, fields->kids[i], node_clone(program, node->kids[0]), arm);
        }
        *slot = fields;
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
