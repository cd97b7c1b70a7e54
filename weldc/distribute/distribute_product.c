/* distribute_product.c: products of matrices that a C function makes, on the ranks of a cluster.
 *
 *     @(pure: true, product: true)cfill[f, vec[T]](m * n, ta, tb, m, n, k, .., a, b, c)          A B + c, of a and b or their transposes
 *
 *     rows    A is a, in blocks or worth to be cut: each rank makes a block of rows, of its rows of A and all of B
 *
 *                 let share = exchange[share](m); let rows = share.$1 - share.$0;
 *                 cfill[f, vec[T]](rows * n, .., rows, n, k, .., a's elements from share.$0 * k on, b, c)
 *
 *     sums    A is the transpose of a, B is b, and one of them is so: each rank makes the product of its rows of a and b, which is
 *             a part of all sums
 *
 *                 exchange[reduce,+](cfill[f, vec[T]](m * n, .., m, n, share.$1 - share.$0, .., a's elements.., b's.., c on rank 0))
 *
 * With samples as rows, a layer of a network and the gradient by its input are of the first kind, and that by its weights is of the
 * second: this is data-parallel training. Where sizes do not fit, those that a rank passes do not either. All else is whole.
 */
#include "distribute.h"

enum { SIZE, TA, TB, M, N, K, OTHERS, OPERANDS = 3 };

bool is_product(const Node *node) {
    return node->kind == N_Cfill && node->count >= OTHERS + OPERANDS && node->type->kind == TY_vec &&
           node_has_note(node, "product") && node->kids[TA]->kind == N_Literal &&
           node->kids[TB]->kind == N_Literal;
}

static bool can_be_cut(const Layout *layout) {
    return layout->kind == LAYOUT_BLOCK || layout->kind == LAYOUT_SPLITS;
}

/* The operand of that number gets a name, bound around *slot, if it has none. */
static Node *name_operand(Distribute *d, Node ***slot, Node *call, int number, const Layout *layout) {
    Program *program = d->program;
    Node *value = call->kids[number];
    if (value->kind == N_Ident || value->kind == N_Literal) return value;
    Symbol *name = symbol_new(program, "part", value->type);
    place_of(d, name)->layout = layout;
    place_of(d, name)->closed = true;
    **slot = node_let(program, call->span, name, value, call);
    *slot = &(**slot)->kids[1];
    return call->kids[number] = node_ident(program, call->span, name);
}

/* Of a matrix with so many columns the rows of this rank's share. */
static Node *own_rows(Distribute *d, Node *matrix, const Layout *layout, Symbol *share, const Node *columns) {
    Program *program = d->program;
    Span span = matrix->span;
    Type *number = columns->type;
    Node *begin = pair_field(program, span, share, 0), *end = pair_field(program, span, share, 1);
    Node *rows = binary_node(program, OP_sub, end, begin);
    Node *size = binary_node(program, OP_mul, rows, node_clone(program, columns));
    Node *start = binary_node(program, OP_mul, node_clone(program, begin), node_clone(program, columns));
    if (layout->kind != LAYOUT_BLOCK)
        return node_make(program, N_Slice, span, matrix->type, 3, matrix, start, size);
    Node *window = window_node(d, matrix, node_clone(program, begin), node_clone(program, end),
                               node_clone(program, columns), node_literal(program, span, number, 0),
                               node_clone(program, columns));
    Symbol *pair = symbol_new(program, "window", window->type);
    Node *first = binary_node(program, OP_sub, start, pair_field(program, span, pair, 1));
    Node *slice =
        node_make(program, N_Slice, span, matrix->type, 3, pair_field(program, span, pair, 0), first, size);
    return node_let(program, span, pair, window, slice);
}

/* How many rows this rank has. */
static Node *own_count(Distribute *d, Symbol *share, Span span) {
    return binary_node(d->program, OP_sub, pair_field(d->program, span, share, 1),
                       pair_field(d->program, span, share, 0));
}

/* 0 if the matrix has as many elements as it should; else a rank gets another number of rows, which does not fit then. */
static Node *misfit(Distribute *d, const Node *rows, const Node *columns, const Node *matrix,
                    const Layout *layout) {
    Program *program = d->program;
    Node *wanted = binary_node(program, OP_mul, node_clone(program, rows), node_clone(program, columns));
    return binary_node(program, OP_sub, whole_length(d, matrix, layout), wanted);
}

static const Layout *by_rows(Distribute *d, Node **slot, Symbol *share, const Layout *layout) {
    Program *program = d->program;
    Node *call = *slot, **a = &call->kids[call->count - OPERANDS];
    for (int i = 1; i < OPERANDS; i++) distribute_whole(d, &a[i]);
    call->kids[M] = binary_node(program, OP_add, own_count(d, share, call->span),
                                misfit(d, call->kids[M], call->kids[K], *a, layout));
    *a = own_rows(d, *a, layout, share, call->kids[K]);
    Node *rows = name_operand(d, &slot, call, M, &layout_whole);
    call->kids[SIZE] =
        binary_node(program, OP_mul, node_clone(program, rows), node_clone(program, call->kids[N]));
    return layout_block(d, cut_new(d));
}

static const Layout *by_sums(Distribute *d, Node **slot, Symbol *share, const Layout **layouts) {
    Program *program = d->program;
    Node *call = *slot, **a = &call->kids[call->count - OPERANDS], **c = &a[2];
    distribute_whole(d, c);
    *c = exchange_node(d, EXCHANGE_seed, OP_add, *c, NULL);
    Node *rows = own_count(d, share, call->span);
    for (int i = 0; i < 2; i++) {
        const Node *columns = call->kids[i == 0 ? M : N];
        rows = binary_node(program, OP_add, rows, misfit(d, call->kids[K], columns, a[i], layouts[i]));
        a[i] = own_rows(d, a[i], layouts[i], share, columns);
    }
    call->kids[K] = rows;
    *slot = exchange_node(d, EXCHANGE_reduce, OP_add, call, NULL);
    return d->serves ? &layout_whole : &layout_splits;
}

const Layout *distribute_product(Distribute *d, Node **slot) {
    Program *program = d->program;
    Node *call = *slot;
    int first = call->count - OPERANDS;
    const Layout *layouts[2];
    bool ta = call->kids[TA]->bits, tb = call->kids[TB]->bits;
    for (int i = 0; i < first; i++) distribute_whole(d, &call->kids[i]);
    for (int i = 0; i < 2; i++) layouts[i] = distribute(d, &call->kids[first + i]);
    bool rows = !ta && can_be_cut(layouts[0]);
    bool sums = ta && !tb && (can_be_cut(layouts[0]) || can_be_cut(layouts[1])) &&
                layouts[0]->kind != LAYOUT_KEYED && layouts[1]->kind != LAYOUT_KEYED;
    if (!rows && !sums) {
        for (int i = 0; i < 2; i++) make_whole(d, &call->kids[first + i], layouts[i]);
        distribute_whole(d, &call->kids[first + 2]);
        return &layout_whole;
    }
    for (int i = M; i <= K; i++) name_operand(d, &slot, call, i, &layout_whole);
    for (int i = 0; i < (rows ? 1 : 2); i++) name_operand(d, &slot, call, first + i, layouts[i]);
    if (rows) make_whole(d, &call->kids[first + 1], layouts[1]);
    Node *count = node_clone(program, call->kids[rows ? M : K]);
    Node *value = exchange_node(d, EXCHANGE_share, OP_none, count, NULL);
    Symbol *share = symbol_new(program, "share", value->type);
    *slot = node_let(program, call->span, share, value, call);
    slot = &(*slot)->kids[1];
    return rows ? by_rows(d, slot, share, layouts[0]) : by_sums(d, slot, share, layouts);
}
