/* grad_piece.c: adjoints of parts of a vector that lie side by side are gathered, not scattered.
 *
 *     a = slice(v, 0L, n); c = slice(v, 2L, n)         v'[k] = (0 <= k < n: a'[k]) + (2 <= k < 2 + n: c'[k - 2])
 *
 * where all of them reach without a question.
 *
 * A builder into which all parts are merged (grad_leaf.c) costs a pass for each of them, and a wait for memory where the same
 * element is met again. So what is added to the elements of a vector from some place on is a *piece*, and as long as
 * there are few of them and nothing else, the vector's adjoint is one loop over its elements that takes from each piece. If
 * anything is added to single elements, the pieces go into the builder.
 *
 * A loop that looks up the vector beside its index does the same as a slice. What each iteration adds is collected:
 *
 *     for(rangeiter(1L, m, 1L), merger[f64,+], |b, i, k| merge(b, f(lookup(v, k - 1L))))
 *       =>   s = for(.., appender, |b, i, k| merge(b, g * f'(lookup(v, k - 1L))))       is the piece of v' from 1 - 1 on
 *
 * as the index is the loop's own number and what does not change in it, and the lookup is made in every iteration.
 */
#include "grad.h"

#include <string.h>

enum { MOST_PIECES = 6 };

/* ---- pieces ---- */

bool leaf_add_piece(Grad *g, Info *info, int number, Symbol *start, Symbol *adjoint) {
    if (info->block != g->block || info->symbol->type->kind != TY_vec || info->part) return false;
    if (leaf_rank(info->leaves.types[number]) != 1 || leaf_resolve(g, info, number)) return false;
    Leaf *leaf = &info->leaf[number];
    if (leaf->piece_count == MOST_PIECES) return false;
    if (!leaf->pieces) leaf->pieces = grad_alloc(g, MOST_PIECES, sizeof *leaf->pieces);
    leaf->pieces[leaf->piece_count++] = (Piece){start, adjoint};
    return true;
}

/* The vectors side by side, and from where each counts. Of those that are computed anew what their loops walk is walked. */
typedef struct Gather {
    Symbol *value; /* or NULL: what is known besides */
    const Piece *pieces;
    int count;
    Symbol *vector, *length, *low, *high; /* all reach from low to high */
    Symbol *ends[MOST_PIECES];
    bool anew[MOST_PIECES];
    Node **iters; /* of the loop over that */
    int walked;
    Type *scalar;
} Gather;

/* Neighbours are so close in memory that it pays to compute an element once for each of them, if that is little. */
static void choose(Grad *g, Gather *gather) {
    enum { MOST_AGAIN = 100 };
    int costs[MOST_PIECES], sum = 0;
    for (int i = 0; i < gather->count; i++) {
        costs[i] = element_cost(g, gather->pieces[i].adjoint);
        sum += costs[i] > 0 ? costs[i] : 0;
    }
    for (int i = 0; i < gather->count; i++) gather->anew[i] = costs[i] >= 0 && sum <= MOST_AGAIN;
}

static Symbol *length_of(Grad *g, Symbol *vector) {
    Type *i64 = type_scalar(&g->program->types, TY_i64);
    return emit(g, "length", node_make(g->program, N_Len, g->span, i64, 1, use(g, vector)));
}

static Symbol *difference(Grad *g, Symbol *a, Symbol *b) {
    return emit(g, "offset", binary(g, OP_sub, use(g, a), use(g, b)));
}

static Node *slice_of(Grad *g, Symbol *vector, Symbol *start, Symbol *length) {
    return node_make(g->program, N_Slice, g->span, vector->type, 3, use(g, vector), use(g, start),
                     use(g, length));
}

/* Where the pieces end and where they all reach: nowhere is from some place to that place. */
static void find_bounds(Grad *g, Gather *gather) {
    Symbol *arguments[2 * MOST_PIECES + 1];
    int count = 0;
    Buf text = {0};
    arguments[count++] = gather->length = length_of(g, gather->vector);
    buf_printf(&text, "|n");
    for (int i = 0; i < gather->count; i++) {
        const Piece *piece = &gather->pieces[i];
        Symbol *length =
            gather->anew[i] ? loop_length(g, loop_of(g, piece->adjoint)) : length_of(g, piece->adjoint);
        gather->ends[i] = emit(g, "end", binary(g, OP_add, use(g, piece->start), use(g, length)));
        buf_printf(&text, ", p%d, e%d", i, i);
        arguments[count++] = piece->start;
        arguments[count++] = gather->ends[i];
    }
    buf_printf(&text, "| let lo = 0L; let hi = n; ");
    for (int i = 0; i < gather->count; i++)
        buf_printf(&text, "let lo = max(lo, p%d); let hi = min(hi, e%d); ", i, i);
    buf_printf(&text, "let lo = min(lo, n); {lo, max(lo, hi)}");
    Symbol *bounds = emit(g, "bounds", apply_text(g, NULL, text.text ? text.text : "", count, arguments));
    buf_release(&text);
    if (grad_failed(g)) return;
    gather->low = emit(g, "low", field_of(g, bounds, 0));
    gather->high = emit(g, "high", field_of(g, bounds, 1));
}

/* In a loop, an element of a piece; `yields` has what the loop over all yields of it, or NULL: it is looked up. */
static Symbol *piece_element(Grad *g, const Gather *gather, int number, Symbol *index, Symbol **yields) {
    Symbol *adjoint = gather->pieces[number].adjoint;
    if (!gather->anew[number]) return yields ? *yields : lookup_in(g, adjoint, index);
    const Node *loop = loop_of(g, adjoint);
    Symbol **parts = grad_alloc(g, (size_t)loop->count, sizeof *parts);
    for (int i = 0; i < loop->count - 2; i++) {
        const Node *iter = loop->kids[i];
        if (iter->iter == IT_range) {
            Node *way = binary(g, OP_mul, use(g, index), node_clone(g->program, iter->kids[2]));
            parts[i] = emit(g, "e", binary(g, OP_add, node_clone(g->program, iter->kids[0]), way));
        } else {
            parts[i] = yields ? *yields++ : lookup_in(g, iter->kids[0]->symbol, index);
        }
    }
    return element_anew(g, adjoint, index, parts);
}

static Symbol *add_up(Grad *g, Symbol *sum, Symbol *more) {
    return sum ? emit(g, "sum", binary(g, OP_add, use(g, sum), use(g, more))) : more;
}

/* The element where the piece reaches, elsewhere 0. */
static Symbol *element_if(Grad *g, const Gather *gather, int number, Symbol *k) {
    const Piece *piece = &gather->pieces[number];
    Symbol *arguments[3] = {k, piece->start, gather->ends[number]};
    Symbol *reaches = emit(g, "reaches", apply_text(g, NULL, "|k, p, e| k >= p && k < e", 3, arguments));
    block_open(g, B_ARM);
    Symbol *element = piece_element(g, gather, number, difference(g, k, piece->start), NULL);
    Node *there = block_close(g, use(g, element));
    return emit(g, "element", make_if(g, use(g, reaches), there, zero_of(g, gather->scalar)));
}

/* Adds an iterator to the loop over all: a vector from where its elements count for those from low on. */
static void walk_vector(Grad *g, Gather *gather, Symbol *vector, Symbol *start) {
    Symbol *arguments[2] = {gather->low, start};
    Symbol *from = emit(g, "from", apply_text(g, NULL, "|lo, p| max(0L, lo - p)", 2, arguments));
    gather->iters[gather->walked++] =
        make_iter(g, slice_of(g, vector, from, difference(g, gather->high, gather->low)));
}

static void walk_all(Grad *g, Gather *gather) {
    int most = 2;
    for (int i = 0; i < gather->count; i++)
        most += gather->anew[i] ? loop_of(g, gather->pieces[i].adjoint)->count : 1;
    gather->iters = grad_alloc(g, (size_t)most, sizeof *gather->iters);
    gather->iters[gather->walked++] = make_range(g, use(g, gather->low), use(g, gather->high));
    if (gather->value)
        gather->iters[gather->walked++] =
            make_iter(g, slice_of(g, gather->value, gather->low, difference(g, gather->high, gather->low)));
    for (int i = 0; i < gather->count; i++) {
        const Piece *piece = &gather->pieces[i];
        const Node *loop = gather->anew[i] ? loop_of(g, piece->adjoint) : NULL;
        if (!loop) walk_vector(g, gather, piece->adjoint, piece->start);
        for (int k = 0; loop && k < loop->count - 2; k++) {
            if (loop->kids[k]->iter != IT_range)
                walk_vector(g, gather, loop->kids[k]->kids[0]->symbol, piece->start);
        }
    }
}

/* One of three loops into the builder: before, where and behind where all reach. */
static Node *gather_loop(Grad *g, const Gather *gather, bool all, int count, Node **iters, Node *builder) {
    Type *i64 = type_scalar(&g->program->types, TY_i64),
         **types = grad_alloc(g, (size_t)count, sizeof *types);
    for (int i = 0; i < count; i++) types[i] = iters[i]->type;
    Symbol *params[3] = {symbol_new(g->program, "b", builder->type), symbol_new(g->program, "i", i64),
                         symbol_new(g->program, "k", count == 1 ? types[0] : struct_type(g, count, types))};
    block_open(g, B_ARM);
    Symbol **yields = grad_alloc(g, (size_t)count, sizeof *yields), *sum = NULL;
    for (int i = 0; i < count; i++)
        yields[i] = count == 1 ? params[2] : emit(g, "e", field_of(g, params[2], i));
    Symbol *k = yields[0];
    int next = 1;
    if (gather->value) sum = all ? yields[next++] : lookup_in(g, gather->value, k);
    for (int i = 0; i < gather->count && !grad_failed(g); i++) {
        if (!all) {
            sum = add_up(g, sum, element_if(g, gather, i, k));
            continue;
        }
        sum = add_up(g, sum,
                     piece_element(g, gather, i, difference(g, k, gather->pieces[i].start), yields + next));
        const Node *loop = gather->anew[i] ? loop_of(g, gather->pieces[i].adjoint) : NULL;
        if (!loop) next++;
        for (int n = 0; loop && n < loop->count - 2; n++) next += loop->kids[n]->iter != IT_range;
    }
    Node *merge = make_merge(g, use(g, params[0]), use(g, sum ? sum : k));
    return make_for(g, count, iters, builder, make_lambda(g, 3, params, block_close(g, merge)));
}

/* Takes from all pieces, and adds what is known as a value. */
Symbol *pieces_gather(Grad *g, const Info *info, int number) {
    const Leaf *leaf = &info->leaf[number];
    Gather gather = {.value = leaf->value, .pieces = leaf->pieces, .count = leaf->piece_count};
    gather.vector = leaf->value ? leaf->value : now_of(info->symbol);
    gather.scalar = leaf_scalar(info->leaves.types[number]);
    choose(g, &gather);
    find_bounds(g, &gather);
    if (grad_failed(g)) return gather.vector;
    walk_all(g, &gather);
    Node *first = make_range(g, i64_literal(g, 0), use(g, gather.low));
    Node *last = make_range(g, use(g, gather.high), use(g, gather.length));
    Type *type = type_vec(&g->program->types, gather.scalar);
    Node *builder =
        make_new(g, builder_of(g, TY_appender, OP_none, gather.scalar, NULL), use(g, gather.length));
    builder = gather_loop(g, &gather, false, 1, &first, builder);
    builder = gather_loop(g, &gather, true, gather.walked, gather.iters, builder);
    builder = gather_loop(g, &gather, false, 1, &last, builder);
    return emit(g, "adjoint", node_make(g->program, N_Result, g->span, type, 1, builder));
}

/* ---- lookups beside a loop's index ---- */

/* An index as the loop's number and something else: how often the one, and the other, as it is outside. */
typedef struct Affine {
    int times;
    Node *offset; /* NULL: 0 */
} Affine;

static Node *add_offsets(Grad *g, Op op, Node *a, Node *b) {
    if (!b) return a;
    return binary(g, op, a ? a : i64_literal(g, 0), b);
}

/* False: it is anything else. `value` is of the primal program. */
static bool affine_of(Grad *g, const Block *block, const Node *value, int depth, Affine *made) {
    enum { DEEPEST = 8 };
    const Symbol *const *params = (const Symbol *const *)block->loop->kids[block->loop->count - 1]->params;
    *made = (Affine){0};
    if (depth > DEEPEST || value->type->kind != TY_i64) return false;
    if (value->kind == N_Literal) {
        if (value->bits) made->offset = i64_literal(g, (int64_t)value->bits);
        return true;
    }
    if (value->kind == N_Ident) {
        Info *info = info_of(g, value->symbol);
        bool number = value->symbol == params[1] || (block->walks_range && value->symbol == params[2]);
        if (number) {
            made->times = 1;
            if (value->symbol == params[2]) made->offset = use(g, block->range_start);
            return true;
        }
        if (info && info->block == block) return info->def && affine_of(g, block, info->def, depth + 1, made);
        made->offset = use(g, now_of(value->symbol));
        return true;
    }
    bool sum = value->kind == N_Binary && (value->op == OP_add || value->op == OP_sub);
    Affine parts[2];
    for (int i = 0; i < 2; i++) {
        if (!sum || !affine_of(g, block, value->kids[i], depth + 1, &parts[i])) return false;
    }
    made->times = value->op == OP_add ? parts[0].times + parts[1].times : parts[0].times - parts[1].times;
    made->offset = add_offsets(g, value->op, parts[0].offset, parts[1].offset);
    return true;
}

void block_set_loop(Grad *g, Block *block, const Node *loop) {
    const Node *iter = loop->kids[0];
    block->loop = loop;
    if (loop->count != 3 || iter->iter != IT_range) return;
    const Info *stride = info_of(g, iter->kids[2]->symbol);
    const Node *def = stride ? stride->def : NULL;
    block->walks_range = def && def->kind == N_Literal && def->bits == 1;
    block->range_start = now_of(iter->kids[0]->symbol);
}

bool stream_add(Grad *g, Info *info, int number, const Node *index, Symbol *adjoint) {
    Block *block = g->block;
    Affine affine;
    if (!info || !info->active[number] || !adjoint) return true;
    if (block->kind != B_LOOP || !block->loop || info->block != block->parent) return false;
    if (info->symbol->type->kind != TY_vec || leaf_rank(info->leaves.types[number]) != 1) return false;
    int streams = 0;
    for (int i = 0; i < block->count; i++) streams += block->imports[i]->stream;
    if (streams == MOST_PIECES || !affine_of(g, block, index, 0, &affine) || affine.times != 1) return false;
    Import *import = import_new(g, block);
    import->stream = true;
    import->owner = info;
    import->number = number;
    import->type = adjoint->type;
    import->here.value = adjoint;
    import->offset = affine.offset ? affine.offset : i64_literal(g, 0);
    return true;
}

/* The loop is done, and this is what it collected. */
void stream_close(Grad *g, const Import *import, Symbol *collected) {
    Symbol *start = emit(g, "start", import->offset);
    if (!leaf_add_piece(g, import->owner, import->number, start, collected))
        leaf_add_at(g, import->owner, import->number, start, collected, true);
}
