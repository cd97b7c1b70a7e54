/* eval_loop.c: the interpreter's loops: for, iterate, and sort with its function.
 *
 * A for opens a Cursor on each of its iterators, which checks the bounds and tells how many elements will
 * come, before the first one is taken:
 *
 *     iter(v, 2, 8, 3)     elements v[2], v[5]         count 2
 *     simditer(v)          groups of WELD_LANES        count len / WELD_LANES
 *     fringeiter(v)        what simditer leaves        count len % WELD_LANES
 *     rangeiter(5, 9, 2)   numbers 5, 7                count 2
 *     nditer(v, s, ..)     v[s + sum(index * stride)]  count the product of shape, the last index moving fastest
 *
 * Then each iteration gives its three names their values and evaluates the body, which merges into the
 * builder in place.
 */
#include "eval.h"

#include <string.h>

/* ---- cursors ---- */

typedef struct Cursor {
    IterKind kind;
    const char *data;
    int64_t size;                 /* of an element of the data */
    int64_t start, stride, count; /* the first element, the step, how many values will come */
    NdBounds nd;                  /* of an nditer */
} Cursor;

static ErrorCode bad_iterator(Eval *e, const Node *iter, int64_t a, int64_t b) {
    return worker_fail(e->worker, E_BadIterator, iter->span, a, b);
}

/* start, end and stride of a range: the stride is positive and divides the distance. The distance of i64
 * bounds may need 64 bits without a sign. */
static ErrorCode open_range(Eval *e, const Node *iter, Cursor *cursor, int64_t end, int64_t stride) {
    uint64_t distance = (uint64_t)end - (uint64_t)cursor->start;
    if (stride <= 0 || cursor->start > end || distance % (uint64_t)stride ||
        distance / (uint64_t)stride > (uint64_t)INT64_MAX) {
        return bad_iterator(e, iter, cursor->start, end);
    }
    cursor->stride = stride;
    cursor->count = (int64_t)(distance / (uint64_t)stride);
    return E_None;
}

static ErrorCode open_nd(Eval *e, const Node *iter, Cursor *cursor, const NdBounds *bounds) {
    Cell cell;
    const void *at;
    cursor->nd = *bounds;
    TRY(eval_operand(e, iter->kids[4], &cell, &at));
    cursor->nd.shape = *(const Vec *)at;
    TRY(eval_operand(e, iter->kids[5], &cell, &at));
    cursor->nd.strides = *(const Vec *)at;
    TRY(nd_check(e->worker, iter->span, &cursor->nd));
    cursor->count = bounds->end - bounds->start;
    return E_None;
}

/* simditer takes whole groups of lanes of what iter would take, fringeiter the rest. */
static void split_lanes(Cursor *cursor) {
    int64_t groups = cursor->count / WELD_LANES;
    if (cursor->kind == IT_simd) {
        cursor->count = groups;
    } else if (cursor->kind == IT_fringe) {
        cursor->start += groups * WELD_LANES * cursor->stride;
        cursor->count -= groups * WELD_LANES;
    }
}

static ErrorCode open_cursor(Eval *e, const Node *iter, Cursor *cursor) {
    Cell cell;
    const void *at;
    Vec vec = {NULL, INT64_MAX};
    int bound = iter_classes[iter->iter].has_data;
    *cursor = (Cursor){.kind = iter->iter, .stride = 1};
    if (bound) {
        TRY(eval_operand(e, iter->kids[0], &cell, &at));
        vec = *(const Vec *)at;
        cursor->data = vec.data;
        cursor->size = iter->kids[0]->type->args[0]->size;
        cursor->count = vec.length;
    }
    if (iter->count > bound) {
        int64_t end, stride;
        TRY(eval_i64(e, iter->kids[bound], &cursor->start));
        TRY(eval_i64(e, iter->kids[bound + 1], &end));
        TRY(eval_i64(e, iter->kids[bound + 2], &stride));
        if (iter->iter == IT_nd) {
            return open_nd(
                e, iter, cursor,
                &(NdBounds){.length = vec.length, .start = cursor->start, .end = end, .stride = stride});
        }
        TRY(open_range(e, iter, cursor, end, stride));
        if (bound && (cursor->start < 0 || end > vec.length))
            return bad_iterator(e, iter, cursor->start, end);
    }
    split_lanes(cursor);
    return E_None;
}

/* The value of iteration i. */
static void load_cursor(const Cursor *cursor, int64_t i, char *out) {
    int64_t size = cursor->size;
    switch (cursor->kind) {
    case IT_range: *(int64_t *)(void *)out = cursor->start + i * cursor->stride; return;
    case IT_nd: memcpy(out, cursor->data + nd_offset(&cursor->nd, i) * size, (size_t)size); return;
    case IT_simd:
        for (int64_t lane = 0; lane < WELD_LANES; lane++) {
            int64_t place = cursor->start + (i * WELD_LANES + lane) * cursor->stride;
            memcpy(out + lane * size, cursor->data + place * size, (size_t)size);
        }
        return;
    default: memcpy(out, cursor->data + (cursor->start + i * cursor->stride) * size, (size_t)size);
    }
}

/* ---- for ---- */

typedef struct Loop {
    const Node *node, *body;
    Cursor *cursors;
    int iters;
    void *builder, *index;
    char *element;
    const Type *type; /* of the element */
} Loop;

static ErrorCode open_loop(Eval *e, const Node *node, Loop *loop) {
    void *place;
    loop->node = node;
    loop->iters = node->count - 2;
    TRY(eval_temporary(e, (int64_t)sizeof(Cursor) * loop->iters, node->span, &place));
    loop->cursors = place;
    for (int i = 0; i < loop->iters; i++) TRY(open_cursor(e, node->kids[i], &loop->cursors[i]));
    for (int i = 1; i < loop->iters; i++) {
        int64_t first = loop->cursors[0].count, other = loop->cursors[i].count;
        if (first != other) return worker_fail(e->worker, E_ZipMismatch, node->span, first, other);
    }
    const Node *lambda = node->kids[loop->iters + 1];
    loop->body = lambda->kids[0];
    loop->type = lambda->params[2]->type;
    TRY(eval_slot(e, lambda->params[0], &loop->builder));
    TRY(eval_slot(e, lambda->params[1], &loop->index));
    TRY(eval_slot(e, lambda->params[2], &place));
    loop->element = place;
    return E_None;
}

/* One iteration. A body that gives back another builder than it got keeps all memory. */
static ErrorCode run_iteration(Eval *e, const Loop *loop, int64_t i, void *out) {
    e->worker->steps++;
    Level level;
    size_t size = (size_t)loop->node->type->size;
    TRY(eval_poll(e, loop->node->span));
    level_enter(e, &level);
    *(int64_t *)loop->index = i;
    for (int k = 0; k < loop->iters; k++) {
        load_cursor(&loop->cursors[k], i, loop->element + (loop->iters > 1 ? loop->type->offsets[k] : 0));
    }
    memcpy(loop->builder, out, size);
    TRY(eval(e, loop->body, out));
    if (memcmp(loop->builder, out, size) != 0) level.escaped = out;
    level_leave(e, &level);
    return E_None;
}

ErrorCode eval_For(Eval *e, const Node *node, void *out) {
    Loop loop;
    TRY(open_loop(e, node, &loop));
    TRY(eval(e, node->kids[loop.iters], out));
    for (int64_t i = 0; i < loop.cursors[0].count; i++) TRY(run_iteration(e, &loop, i, out));
    return E_None;
}

ErrorCode eval_Iter(Eval *e, const Node *node, void *out) {
    (void)out;
    return worker_fail(e->worker, E_Internal, node->span, 0, 0);
}

ErrorCode eval_Grad(Eval *e, const Node *node, void *out) {
    return eval_Zip(e, node, out);
}

ErrorCode eval_Jvp(Eval *e, const Node *node, void *out) {
    return eval_Zip(e, node, out);
}

ErrorCode eval_Zip(Eval *e, const Node *node, void *out) {
    (void)out;
    return worker_fail(e->worker, E_Internal, node->span, 0, 0);
}

/* ---- iterate ---- */

/* After each step, what neither the state nor a builder from outside holds is freed. */
ErrorCode eval_Iterate(Eval *e, const Node *node, void *out) {
    const Node *lambda = node->kids[1], *body = lambda->kids[0];
    size_t size = (size_t)node->type->size;
    Region *region = e->worker->region;
    void *state, *next;
    Level level;
    TRY(eval_slot(e, lambda->params[0], &state));
    TRY(eval_temporary(e, body->type->size, node->span, &next));
    level_enter(e, &level);
    KeptState kept = {(int64_t)node->bits, node->type, node->text, node->span};
    int32_t kind = KEPT_NONE;
    if (kept.number) TRY(checkpoint_restore(e->worker, &kept, state, &kind));
    if (kind == KEPT_NONE) TRY(eval(e, node->kids[0], state));
    const uint8_t *again = (const uint8_t *)next + body->type->offsets[1];
    for (bool more = kind != KEPT_DONE; more; more = *again) {
        if (*e->worker->cancel) return worker_fail(e->worker, E_Cancelled, node->span, 0, 0);
        TRY(eval(e, body, next));
        memcpy(state, next, size);
        region_reset(e->temp, level.temporaries);
        if (!level.escaped) region_sweep(region, level.memory, node->type, state);
        if (kept.number) TRY(checkpoint_step(e->worker, &kept, state, *again));
    }
    memcpy(out, state, size);
    e->level = level.outer;
    return E_None;
}

/* ---- sort ---- */

typedef struct Comparison {
    Eval *e;
    const Node *node, *body;
    size_t size;
    void *a, *b;
} Comparison;

static ErrorCode compare(void *closure, Worker *worker, const void *a, const void *b, int32_t *order) {
    Comparison *comparison = closure;
    Eval *e = comparison->e;
    Level level;
    (void)worker;
    TRY(eval_poll(e, comparison->node->span));
    level_enter(e, &level);
    memcpy(comparison->a, a, comparison->size);
    memcpy(comparison->b, b, comparison->size);
    TRY(eval(e, comparison->body, order));
    level_leave(e, &level);
    return E_None;
}

ErrorCode eval_Sort(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *at;
    void *scratch;
    const Node *lambda = node->kids[1];
    int64_t size = node->type->args[0]->size;
    Comparison comparison = {e, node, lambda->kids[0], (size_t)size, NULL, NULL};
    TRY(eval_operand(e, node->kids[0], &cell, &at));
    Vec vec = *(const Vec *)at, sorted = {NULL, vec.length};
    TRY(eval_slot(e, lambda->params[0], &comparison.a));
    TRY(eval_slot(e, lambda->params[1], &comparison.b));
    sorted.data = worker_alloc(e->worker, vec.length * size, node->span);
    if (!sorted.data) return E_OutOfMemory;
    if (vec.length) memcpy(sorted.data, vec.data, (size_t)(vec.length * size));
    RegionMark mark = region_mark(e->temp);
    TRY(eval_temporary(e, vec.length * size, node->span, &scratch));
    TRY(sort_stable(e->worker, sorted.data, scratch, vec.length, size, compare, &comparison));
    region_reset(e->temp, mark);
    *(Vec *)out = sorted;
    return E_None;
}
