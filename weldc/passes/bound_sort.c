/* bound_sort.c: a sort of which only the first elements are used becomes a slice of it, which the runtime finds without
 * sorting all (runtime/sort/top.c).
 *
 *     let s = sort(v, f); .. lookup(s, 3l) .. slice(s, 2l, 8l) .. iter(s, 0l, 5l, 1l) ..
 *  =>
 *     let s = slice(sort(v, f), 0l, 10l); ..
 *
 *     lookup(sort(v, f), 3l)  =>  lookup(slice(sort(v, f), 0l, 4l), 3l)
 *
 * All uses must be of these three kinds, with literal bounds; the most elements that one of them asks for are kept. What
 * failed before still does: a lookup behind the end of v is behind the end of the slice, too. What the uses ask is noted
 * on the way up, where a let is met after its body. Linear.
 */
#include "../weldc.h"

bool pass_bound_sort(Program *program);

typedef struct Asked {
    int uses;     /* of a kind that is bounded */
    int64_t most; /* elements */
} Asked;

static bool literal(const Node *node, int64_t *out) {
    *out = (int64_t)node->bits;
    return node->kind == N_Literal && node->type->kind == TY_i64 && *out >= 0;
}

/* How many of the first elements of its vector the node asks for. */
static bool asks(const Node *node, int64_t *most) {
    int64_t more;
    switch (node->kind) {
    case N_Lookup: return literal(node->kids[1], most) && !__builtin_add_overflow(*most, 1, most);
    case N_Slice:
        return literal(node->kids[1], most) && literal(node->kids[2], &more) &&
               !__builtin_add_overflow(*most, more, most);
    case N_Iter: return node->iter == IT_scalar && node->count > 2 && literal(node->kids[2], most);
    default: return false;
    }
}

static Node *first_of(Program *program, Node *sort, int64_t most) {
    Type *i64 = type_scalar(&program->types, TY_i64);
    return node_make(program, N_Slice, sort->span, sort->type, 3, sort,
                     node_literal(program, sort->span, i64, 0),
                     node_literal(program, sort->span, i64, (uint64_t)most));
}

static void bound_sort(Walk *walk, Node **slot) {
    Node *node = *slot;
    Asked *asked = walk->data;
    int64_t most;
    if (node->kind == N_Let && node->kids[0]->kind == N_Sort) {
        Asked of = asked[node->symbol->id];
        if (of.uses > 0 && of.uses == node->symbol->uses)
            node->kids[0] = first_of(walk->program, node->kids[0], of.most);
    } else if (asks(node, &most)) {
        Node *vector = node->kids[0];
        if (vector->kind == N_Sort && node->kind != N_Slice)
            node->kids[0] = first_of(walk->program, vector, most);
        if (vector->kind != N_Ident) return;
        Asked *of = &asked[vector->symbol->id];
        of->uses++;
        if (most > of->most) of->most = most;
    }
}

bool pass_bound_sort(Program *program) {
    Asked *asked = arena_alloc(&program->arena, sizeof *asked * (size_t)(program->symbols + 1));
    if (!asked) return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    Walk walk = {program, NULL, bound_sort, asked};
    node_walk(&walk, &program->root);
    return true;
}
