/* distribute_sort.c: sorts on the ranks of a cluster.
 *
 *     sort(v, f)               v in blocks: samples say where the sorted blocks are cut, piece r of each goes to rank r
 *     slice(sort(v, f), 1, 2)  the least 3 of each block are enough: gathered, sorted and sliced on every rank
 *
 * The first is sample sort (Shi and Schaeffer, Parallel sorting by regular sampling, 1992), written in the language. A piece
 * begins at the first element that is not before its splitter, so equal elements meet on one rank, and since pieces
 * follow in the order of the ranks, the sort there keeps their order: it is stable as a whole.
 */
#include "distribute.h"

#include <string.h>

/* s: the sorted block. %1$s: the order, a function; %2$s: the type of the elements. */
static const char cut_and_deal[] =
    "|s: vec[%2$s]| let n = len(s); let m = min(n, 64L);"
    "let samples = sort(exchange[gather](result(for(rangeiter(0L, m, 1L), appender[%2$s], |b, i, x|"
    "  merge(b, lookup(s, x * n / m))))), %1$s);"
    "let all = len(samples); let ranks = exchange[reduce,+](1L);"
    "let cuts = result(for(rangeiter(1L, ranks, 1L), appender[i64], |b, i, r|"
    "  if(all == 0L, merge(b, 0L),"
    "    let splitter = lookup(samples, r * all / ranks);"
    "    merge(b, iterate({0L, n}, |at| let middle = (at.$0 + at.$1) / 2L;"
    "      if(at.$0 >= at.$1, {at, false},"
    "        if((%1$s)(lookup(s, middle), splitter) < 0, {{middle + 1L, at.$1}, true}, {{at.$0, middle}, "
    "true}))).$0))));"
    "sort(exchange[deal](s, cuts), %1$s)";

typedef struct Free {
    bool *own; /* by symbol id: bound in the function */
    bool found;
} Free;

static bool bind_name(Walk *walk, Node **slot) {
    Free *free = walk->data;
    const Node *node = *slot;
    for (int i = 0; i < node->nparams; i++) free->own[node->params[i]->id] = true;
    if (node->kind == N_Let) free->own[node->symbol->id] = true;
    return true;
}

static bool find_free(Walk *walk, Node **slot) {
    Free *free = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Ident && !free->own[node->symbol->id]) free->found = true;
    return !free->found;
}

static bool has_free_names(Program *program, Node *lambda) {
    Free free = {arena_alloc(&program->arena, (size_t)program->symbols + 1), false};
    Walk bind = {program, bind_name, NULL, &free}, find = {program, find_free, NULL, &free};
    if (!free.own) return true;
    node_walk(&bind, &lambda);
    node_walk(&find, &lambda);
    return free.found;
}

static bool set_span(Walk *walk, Node **slot) {
    (*slot)->span = *(const Span *)walk->data;
    return true;
}

/* The body of a function that is given as text, in this program; NULL: no memory. */
static Node *body_of_text(Program *program, const Buf *text, Symbol *argument, Span span) {
    Program *from = text->failed ? NULL : program_new("distribute", text->text, text->length);
    Splice splice = {0};
    Node *body = NULL;
    if (from && program_read(from) && program_infer(from, NULL) && splice_open(&splice, program, from, true))
        body = splice_body(&splice, from->root, &argument);
    program_free(from);
    Walk walk = {program, set_span, NULL, &span};
    if (body) node_walk(&walk, &body);
    return body;
}

const Layout *distribute_sort(Distribute *d, Node **slot) {
    Program *program = d->program;
    Node *sort = *slot, *order = sort->kids[1];
    const Layout *layout = distribute(d, &sort->kids[0]);
    bool apart = layout->kind == LAYOUT_BLOCK || layout->kind == LAYOUT_SPLITS;
    if (!apart || has_free_names(program, order)) {
        make_whole(d, &sort->kids[0], layout);
        distribute_function(d, order);
        return &layout_whole;
    }
    sort->kids[0] = own_block(d, sort->kids[0], layout);
    Buf function = {0}, element = {0}, text = {0};
    node_print(&function, order, true, 0);
    type_print(&element, sort->type->args[0]);
    buf_printf(&text, cut_and_deal, function.text ? function.text : "", element.text ? element.text : "");
    text.failed |= function.failed | element.failed;
    Symbol *sorted = symbol_new(program, "sorted", sort->type);
    Node *body = body_of_text(program, &text, sorted, sort->span);
    buf_release(&function);
    buf_release(&element);
    buf_release(&text);
    d->gave_up |= !body;
    if (body) *slot = node_let(program, sort->span, sorted, sort, body);
    return layout_block(d, cut_new(d));
}

static bool is_small(const Node *node) {
    return node->kind == N_Literal && (int64_t)node->bits >= 0 && (int64_t)node->bits < 1 << 20;
}

/* slice(sort(v, f), start, size), where both are small constants. */
static bool is_top(const Node *slice) {
    return slice->kids[0]->kind == N_Sort && is_small(slice->kids[1]) && is_small(slice->kids[2]);
}

/* slice(v, 0, 0), which tells of what type v is. */
static bool is_nothing(const Node *slice) {
    return slice->kids[1]->kind == N_Literal && slice->kids[2]->kind == N_Literal && !slice->kids[1]->bits &&
           !slice->kids[2]->bits;
}

/* slice(v, start, size)   =>   let window = exchange[window](v, {0, 1, 0, start, size}); slice(window.$0, start - window.$1, size) */
static const Layout *distribute_part(Distribute *d, Node **slot) {
    Program *program = d->program;
    Node *slice = *slot;
    Span span = slice->span;
    const Layout *layout = distribute(d, &slice->kids[0]);
    for (int i = 1; i < 3; i++) distribute_whole(d, &slice->kids[i]);
    if (is_nothing(slice) && layout->kind == LAYOUT_BLOCK) return &layout_whole;
    if (layout->kind != LAYOUT_BLOCK) {
        make_whole(d, &slice->kids[0], layout);
        return &layout_whole;
    }
    bool splits = slice->kids[2]->kind != N_Literal;
    Type *number = slice->kids[1]->type;
    Symbol *start = symbol_new(program, "start", number), *size = symbol_new(program, "size", number);
    Node *zero = node_literal(program, span, number, 0), *one = node_literal(program, span, number, 1);
    Node *window = window_node(d, slice->kids[0], zero, one, node_literal(program, span, number, 0),
                               node_ident(program, span, start), node_ident(program, span, size));
    Symbol *pair = symbol_new(program, "window", window->type);
    Node *values[2] = {slice->kids[1], slice->kids[2]};
    slice->kids[0] = pair_field(program, span, pair, 0);
    slice->kids[1] = node_make(program, N_Binary, span, number, 2, node_ident(program, span, start),
                               pair_field(program, span, pair, 1));
    slice->kids[1]->op = OP_sub;
    slice->kids[2] = node_ident(program, span, size);
    Node *body = node_let(program, span, pair, window, slice);
    *slot = node_let(program, span, start, values[0], node_let(program, span, size, values[1], body));
    return splits ? &layout_splits : &layout_whole;
}

const Layout *distribute_slice(Distribute *d, Node **slot) {
    Program *program = d->program;
    Node *slice = *slot, *sort = slice->kids[0];
    bool top = is_top(slice) && !has_free_names(program, sort->kids[1]);
    if (!top) return distribute_part(d, slot);
    const Layout *layout = distribute(d, &sort->kids[0]);
    if (layout->kind != LAYOUT_BLOCK && layout->kind != LAYOUT_SPLITS) {
        make_whole(d, &sort->kids[0], layout);
        for (int i = 1; i < 3; i++) distribute_whole(d, &slice->kids[i]);
        return &layout_whole;
    }
    Span span = slice->span;
    Type *number = slice->kids[1]->type;
    Node *order = node_clone(program, sort->kids[1]);
    sort->kids[0] = own_block(d, sort->kids[0], layout);
    Node *best =
        node_make(program, N_Slice, span, slice->type, 3, sort, node_literal(program, span, number, 0),
                  node_literal(program, span, number, slice->kids[1]->bits + slice->kids[2]->bits));
    slice->kids[0] = node_make(program, N_Sort, span, slice->type, 2,
                               exchange_node(d, EXCHANGE_gather, OP_none, best, NULL), order);
    return &layout_whole;
}
