/* split_math.c: costly math beside what does not vectorize gets a let of its own, and so do its operands.
 *
 *     |b, i, x| merge(b, {i, 1.0 / (1.0 + exp(-result(for(x, ..))))})
 *  =>
 *     |b, i, x| let t = result(for(x, ..)); let u = 1.0 / (1.0 + exp(-t)); merge(b, {i, u})
 *
 * Code generation then runs the loop in blocks of iterations: first all t of a block, then all u as a loop of
 * scalar arithmetic, which LLVM vectorizes, then the merges (cg_stages.c).
 *
 * In loops whose bodies hold another loop, use dictionaries or merge into one or a vecmerger. Only what every
 * iteration evaluates, and operands that merge into no builder from outside and call no C function, so that
 * moving them before the rest of their statement changes nothing. Each expression is taken out once.
 */
#include "../weldc.h"

bool pass_split_math(Program *program);

typedef struct Split {
    Program *program;
    int *marks, mark; /* by symbol id: bound in the expression that is looked at */
    int limit;
    Node **hole; /* where the next let goes */
} Split;

static bool find_obstacle(Walk *walk, Node **slot) {
    bool *found = walk->data;
    const Node *node = *slot;
    switch (node->kind) {
    case N_For:
    case N_Iterate:
    case N_Sort:
    case N_KeyExists:
    case N_OptLookup: *found = true; break;
    case N_Lookup: *found |= node->kids[0]->type->kind == TY_dict; break;
    case N_Merge: *found |= node->type->kind != TY_merger && node->type->kind != TY_appender; break;
    default: break;
    }
    return !*found;
}

/* Arithmetic on scalars that cannot fail. */
static bool is_lane(const Node *node) {
    if (!type_is_scalar(node->type)) return false;
    switch (node->kind) {
    case N_Unary:
    case N_Cast:
    case N_Select: return true;
    case N_Compare: return type_is_scalar(node->kids[0]->type);
    case N_Binary:
        return node->op != OP_rem && (type_is_float(node->type) || !(op_classes[node->op].traits & FAILS));
    default: return false;
    }
}

static bool has_math(const Node *node) {
    if (!is_lane(node)) return false;
    if ((node->kind == N_Unary || node->kind == N_Binary) && op_classes[node->op].class == 'f')
        return node->op != OP_sqrt;
    for (int i = 0; i < node->count; i++) {
        if (has_math(node->kids[i])) return true;
    }
    return false;
}

static bool is_name(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident || node->kind == N_Literal;
}

static bool mark_bound(Walk *walk, Node **slot) {
    Split *split = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Let && node->symbol->id < split->limit) split->marks[node->symbol->id] = split->mark;
    for (int i = 0; i < node->nparams; i++) {
        if (node->params[i]->id < split->limit) split->marks[node->params[i]->id] = split->mark;
    }
    return true;
}

static bool is_movable(const Split *split, const Node *node) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (!is_movable(split, node->kids[0])) return false;
    }
    if (node_is_foreign(node)) return false;
    if (node->kind == N_Ident && node->type->builders) {
        int id = node->symbol->id;
        return id < split->limit && split->marks[id] == split->mark;
    }
    for (int i = 0; i < node->count; i++) {
        if (!is_movable(split, node->kids[i])) return false;
    }
    return true;
}

static bool operands_are_movable(Split *split, Node *node) {
    if (is_name(node)) return true;
    if (!is_lane(node)) {
        Walk walk = {split->program, mark_bound, NULL, split};
        split->mark++;
        node_walk(&walk, &node);
        return is_movable(split, node);
    }
    for (int i = 0; i < node->count; i++) {
        if (!operands_are_movable(split, node->kids[i])) return false;
    }
    return true;
}

static void bind(Split *split, Node **slot) {
    Program *program = split->program;
    Node *value = *slot;
    Symbol *name = symbol_new(program, "t", value->type);
    Node *let = node_let(program, value->span, name, value, *split->hole);
    *slot = node_ident(program, value->span, name);
    *split->hole = let;
    split->hole = &let->kids[1];
}

static void bind_operands(Split *split, Node *node) {
    for (int i = 0; i < node->count; i++) {
        Node **kid = &node->kids[i];
        if (is_lane(*kid))
            bind_operands(split, *kid);
        else if (!is_name(*kid))
            bind(split, kid);
    }
}

/* whole: it is the value of a let already. plain: no math is in it, as was seen from above. */
static void split_expression(Split *split, Node **slot, bool whole, bool plain) {
    Node *node = *slot;
    if (node->kind == N_Let || node->kind == N_Lambda) return;
    if (!plain && has_math(node)) {
        if (!operands_are_movable(split, node)) return;
        bind_operands(split, node);
        if (!whole) bind(split, slot);
        return;
    }
    bool lazy = node->kind == N_If || node->kind == N_And || node->kind == N_Or;
    for (int i = 0; i < (lazy ? 1 : node->count); i++)
        split_expression(split, &node->kids[i], false, is_lane(node));
}

static void split_loop(Walk *walk, Node **slot) {
    Node *loop = *slot;
    if (loop->kind != N_For) return;
    Split *split = walk->data;
    bool found = false;
    Walk obstacles = {split->program, find_obstacle, NULL, &found};
    Node **body = &loop->kids[loop->count - 1]->kids[0];
    node_walk(&obstacles, body);
    if (!found) return;
    split->hole = body;
    while ((*split->hole)->kind == N_Let) {
        Node *let = *split->hole;
        split_expression(split, &let->kids[0], true, false);
        split->hole = &let->kids[1];
    }
    /* The last expression moves behind the lets that come before it. */
    Node **last = split->hole, *end = *last;
    split_expression(split, &end, false, false);
    *split->hole = end;
    for (Node *let = *body; let != end; let = let->kids[1]) let->type = end->type;
}

bool pass_split_math(Program *program) {
    Split split = {.program = program, .limit = program->symbols};
    split.marks = arena_alloc(&program->arena, sizeof *split.marks * (size_t)(split.limit + 1));
    if (!split.marks) return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    Walk walk = {program, NULL, split_loop, &split};
    node_walk(&walk, &program->root);
    return true;
}
