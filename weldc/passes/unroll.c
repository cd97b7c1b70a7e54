/* unroll.c: a loop over a short vector that is written out becomes its bodies, one after the other.
 *
 *     for([p, q], merger[i64,+], |b, i, x| merge(b, x * i))
 *  =>
 *     let b = merger[i64,+]; let i = 0; let x = p; let c = merge(b, x * i);
 *     let j = 1; let y = q; let d = merge(c, y * j); d
 *
 * Nothing is left of the vector, so nothing is allocated. Only loops into mergers, of at most UNROLL elements
 * and SIZE nodes altogether, which bounds how much the program grows; inner loops come first. The elements
 * are evaluated once, as before; a body runs when the one before it has.
 */
#include "../weldc.h"

bool pass_unroll(Program *program);

enum { UNROLL = 8, SIZE = 256 };

static bool is_mergers(const Type *type) {
    if (type->kind != TY_struct) return type->kind == TY_merger;
    for (int i = 0; i < type->count; i++) {
        if (!is_mergers(type->args[i])) return false;
    }
    return type->count > 0;
}

/* How many nodes, if there are no more than `most`; else more than that. */
static int size_of(const Node *node, int most) {
    int size = 1;
    for (int i = 0; i < node->count && size <= most; i++) size += size_of(node->kids[i], most - size);
    return size;
}

static Node **add_let(Program *program, Node **hole, Symbol *symbol, Node *value) {
    Node *let = node_new(program, N_Let, value->span, NULL, 2);
    let->symbol = symbol;
    let->text = symbol->name;
    let->kids[0] = value;
    *hole = let;
    return &let->kids[1];
}

static void unroll(Walk *walk, Node **slot) {
    Node *loop = *slot;
    Program *program = walk->program;
    if (loop->kind != N_For || loop->count != 3 || !is_mergers(loop->type)) return;
    Node *iter = loop->kids[0], *lambda = loop->kids[2], *builder = loop->kids[1];
    if (iter->iter != IT_scalar || iter->count != 1 || iter->kids[0]->kind != N_Vec) return;
    Node *vec = iter->kids[0], **hole = slot;
    if (vec->count > UNROLL || size_of(lambda, SIZE) * vec->count > SIZE) return;
    for (int i = 0; i < vec->count; i++) {
        Node *copy = i + 1 < vec->count ? node_clone(program, lambda) : lambda;
        Symbol **params = copy->params;
        hole = add_let(program, hole, params[0], builder);
        hole = add_let(program, hole, params[1],
                       node_literal(program, loop->span, params[1]->type, (uint64_t)i));
        hole = add_let(program, hole, params[2], vec->kids[i]);
        Symbol *next = symbol_new(program, params[0]->name, loop->type);
        hole = add_let(program, hole, next, copy->kids[0]);
        builder = node_ident(program, loop->span, next);
    }
    *hole = builder;
    for (Node *let = *slot; let != builder; let = let->kids[1]) let->type = loop->type;
}

bool pass_unroll(Program *program) {
    Walk walk = {program, NULL, unroll, NULL};
    node_walk(&walk, &program->root);
    return true;
}
