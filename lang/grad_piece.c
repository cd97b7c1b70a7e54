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

/* What the pieces that reach it have for element k. */
static void write_sum(Buf *out, const Leaf *leaf) {
    buf_printf(out, leaf->value ? "lookup(v, k)" : "");
    for (int i = 0; i < leaf->piece_count; i++) {
        buf_printf(out, i || leaf->value ? " + " : "");
        buf_printf(out, "if(k >= p%d && k < e%d, lookup(g%d, k - p%d), T(0.0))", i, i, i, i);
    }
}

/* Where all reach they are walked side by side. If there is no such place the slices are empty, wherever they begin. */
static void write_walk(Buf *out, const Leaf *leaf) {
    int count = leaf->piece_count + (leaf->value != NULL);
    buf_printf(out, leaf->value ? "for(zip(slice(v, lo, m)" : "for(zip(");
    for (int i = 0; i < leaf->piece_count; i++)
        buf_printf(out, "%sslice(g%d, max(0L, lo - p%d), m)", i || leaf->value ? ", " : "", i, i);
    buf_printf(out, "), first, |b, i, x| merge(b, ");
    for (int i = 0; i < count; i++) buf_printf(out, count == 1 ? "x" : i ? " + x.$%d" : "x.$%d", i);
    buf_printf(out, "))");
}

/* Takes from all pieces, and adds what is known as a value. Between lo and hi they all reach. */
Symbol *pieces_gather(Grad *g, const Info *info, int number) {
    const Leaf *leaf = &info->leaf[number];
    Symbol *arguments[2 * MOST_PIECES + 1];
    int count = 0;
    Buf text = {0};
    arguments[count++] = leaf->value ? leaf->value : now_of(info->symbol);
    buf_printf(&text, "|v");
    for (int i = 0; i < leaf->piece_count; i++) {
        buf_printf(&text, ", p%d, g%d", i, i);
        arguments[count++] = leaf->pieces[i].start;
        arguments[count++] = leaf->pieces[i].adjoint;
    }
    buf_printf(&text, "| let n = len(v); let lo = 0L; let hi = n; ");
    for (int i = 0; i < leaf->piece_count; i++)
        buf_printf(&text, "let e%d = p%d + len(g%d); let lo = max(lo, p%d); let hi = min(hi, e%d); ", i, i, i,
                   i, i);
    buf_printf(&text, "let lo = min(lo, n); let hi = max(lo, hi);"
                      " let first = for(rangeiter(0L, lo, 1L), appender[T](n), |b, i, k| merge(b, ");
    write_sum(&text, leaf);
    buf_printf(&text, ")); let m = hi - lo; let most = ");
    write_walk(&text, leaf);
    buf_printf(&text, "; result(for(rangeiter(hi, n, 1L), most, |b, i, k| merge(b, ");
    write_sum(&text, leaf);
    buf_printf(&text, ")))");
    Node *sum =
        apply_text(g, leaf_scalar(info->leaves.types[number]), text.text ? text.text : "", count, arguments);
    buf_release(&text);
    return emit(g, "adjoint", sum);
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
