/* predicate.c: conditions become selections where both sides may safely be evaluated, so that loops
 * vectorize.
 *
 *     if(c, merge(b, e), b)  =>  merge(b, select(c, e, identity))     b a merger, e cheap and unable to fail
 *     if(c, {merge(b.$0, e), b.$1}, b)  =>  {merge(b.$0, select(c, e, identity)), b.$1}                likewise
 *     if(c, (let x = e; merge(b, x)), b)  =>  let x = e; merge(b, select(c, x, identity))              likewise
 *     if(c, x, y)            =>  select(c, x, y)                      scalars, both cheap and unable to fail
 *
 * The identity is that of the operator for any accumulator: -0.0 for a float sum (0.0 would change the sign
 * of -0.0), NaN for a float min or max (which C's fmin and fmax ignore).
 */
#include "../weldc.h"

bool pass_predicate(Program *program);

enum { CHEAP = 16, CHEAP_LETS = 64 };

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

/* Where what is behind the arm's lets is, if these are cheap. */
static Node **behind_lets(Node *node, int arm) {
    Node **at = &node->kids[arm];
    int budget = CHEAP_LETS;
    for (; (*at)->kind == N_Let; at = &(*at)->kids[1]) {
        if ((*at)->symbol->type->builders || !node_is_cheap((*at)->kids[0], &budget)) return NULL;
    }
    return at;
}

/* A builder of those that an arm leaves alone: `whole`, or a field of another. */
typedef struct Place {
    const struct Place *outer;
    int index;
    const Node *whole; /* or NULL */
} Place;

static Place field_of(const Place *outer, int index) {
    bool made = outer->whole && outer->whole->kind == N_Struct;
    return (Place){outer, index, made ? outer->whole->kids[index] : NULL};
}

static bool is_place(const Node *node, const Place *place) {
    if (place->whole) return node_equal(node, place->whole);
    return node->kind == N_Field && node->index == place->index && is_place(node->kids[0], place->outer);
}

/* Is it the builder there, with cheap values merged into some of its mergers, once each? */
static bool merges_there(const Node *node, const Place *place) {
    if (is_cheap_merge(node)) return is_place(node->kids[0], place);
    if (node->kind != N_Struct || !node->type->builders) return is_place(node, place);
    for (int i = 0; i < node->count; i++) {
        Place field = field_of(place, i);
        if (!merges_there(node->kids[i], &field)) return false;
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

/* The same in each field of a struct of builders. */
static void select_all(Program *program, Node *node, const Node *condition, int arm) {
    if (node->kind == N_Merge) select_merged(program, node, node_clone(program, condition), arm);
    for (int i = 0; node->kind == N_Struct && i < node->count; i++)
        select_all(program, node->kids[i], condition, arm);
}

/* What merges in one arm, and leaves the same mergers alone in the other, merges selected values. */
static bool predicate_arm(Program *program, Node *node, int arm) {
    Node **behind = behind_lets(node, arm), *condition = node->kids[0];
    Place same = {NULL, 0, node->kids[3 - arm]};
    if (!behind || !merges_there(*behind, &same)) return false;
    if ((*behind)->kind == N_Merge) {
        select_merged(program, *behind, condition, arm);
        return true;
    }
    if ((*behind)->kind != N_Struct || !is_cheap(condition) || !is_cheap(same.whole)) return false;
    select_all(program, *behind, condition, arm);
    return true;
}

static void predicate(Walk *walk, Node **slot) {
    Node *node = *slot;
    Program *program = walk->program;
    if (node->kind != N_If) return;
    for (int arm = 1; arm <= 2; arm++) {
        if (!predicate_arm(program, node, arm)) continue;
        *slot = node->kids[arm];
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
