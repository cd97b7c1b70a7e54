/* infer_size.c: the length of a vector that a loop makes, from the length of what the loop walks; iterators that only tell it go.
 *
 *     let a = result(for(v, appender, |b, i, x| merge(merge(b, x), exp(x))));  len(a)   =>   len(v) * 2
 *     let bs = for(zip(a, a), {appender, merger}, ..);  len(result(bs.$0))              =>   len(v) * 2
 *     sort(a, ..), vecmerger(a)                                           as long as a
 *
 *     for(zip(v, a, w), .., |b, i, e| .. e.$0 + e.$2 ..), a as long as v   =>   for(zip(v, w), .., |b, i, e| .. e.$0 + e.$1 ..)
 *
 * So a vector that nothing else needs is not made, and loops that walk vectors of one length are seen to do so. The adjoint of
 * map(v, tanh) walks v, tanh of v and the adjoints of that, but takes no element of v, which need not live as long then.
 * A loop counts if each iteration merges equally often (merges.c says how often), and if its iterators are whole
 * vectors which are known to be equally long: where lengths must be compared, they are. The elements do not
 * reach the length, so it does not matter whether they can be computed. Asserts and foreign calls stay with the
 * vector, which keeps its name.
 *
 * One walk, values before their uses. Linear. Where there is only a bound on what a loop merges, code
 * generation makes room for it (cg_loop.c), and the plan says it.
 */
#include "../weldc.h"

bool pass_infer_size(Program *program);

/* constant + factor * len(of) */
typedef struct Length {
    bool known;
    int64_t constant, factor;
    const Node *of; /* a name, or a field of one */
} Length;

/* A let whose value is walked, and those around it. */
typedef struct Open Open;
struct Open {
    const Node *let;
    Open *outer;
};

typedef struct Sizes {
    Program *program;
    Open *open;
    Length *lengths;    /* by symbol id, of vectors */
    const Node **loops; /* by symbol id, of builders */
    Merges merges;
    int limit;
} Sizes;

static const Length unknown = {false, 0, 0, NULL};

static bool is_path(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident;
}

/* Of a vector. */
static Length length_of(const Sizes *s, const Node *node) {
    if (node->type->kind != TY_vec) return unknown;
    if (node->kind == N_Vec) return (Length){true, node->count, 0, NULL};
    if (node->kind == N_Ident && node->symbol->id < s->limit && s->lengths[node->symbol->id].known)
        return s->lengths[node->symbol->id];
    return is_path(node) ? (Length){true, 0, 1, node} : unknown;
}

static bool same_length(Length a, Length b) {
    if (a.constant != b.constant || a.factor != b.factor) return false;
    return a.factor == 0 || node_equal(a.of, b.of);
}

/* How often the loop runs. */
static Length trips_of(const Sizes *s, const Node *loop) {
    Length trips = unknown;
    for (int i = 0; i < loop->count - 2; i++) {
        const Node *iter = loop->kids[i];
        if (iter->iter != IT_scalar || iter->count != 1) return unknown;
        Length length = length_of(s, iter->kids[0]);
        if (!length.known || (i > 0 && !same_length(trips, length))) return unknown;
        trips = length;
    }
    return trips;
}

/* The builder, as written, that one of the loop's builders starts as. */
static const Node *start_of(const Node *from, const Node *path) {
    if (path->kind != N_Field) return from;
    from = start_of(from, path->kids[0]);
    return from && from->kind == N_Struct ? from->kids[path->index] : NULL;
}

static int leaf_of(const Node *path) {
    return path->kind == N_Field ? leaf_of(path->kids[0]) + leaf_at(path->kids[0]->type, path->index) : 0;
}

/* Of the result of one of the builders of a loop; path: to it, from the name of them all or the loop. */
static Length length_of_result(Sizes *s, const Node *loop, const Node *path) {
    const Node *from = start_of(loop->kids[loop->count - 2], path), *lambda = loop->kids[loop->count - 1];
    if (!from || from->kind != N_NewBuilder) return unknown;
    if (from->type->kind == TY_vecmerger) return length_of(s, from->kids[0]);
    if (from->type->kind != TY_appender) return unknown;
    MergeBound bound = merge_bound(&s->merges, lambda->kids[0], lambda->params[0], leaf_of(path));
    Length length = trips_of(s, loop);
    if (!length.known || bound.least != bound.most) return unknown;
    if (__builtin_mul_overflow(length.constant, (int64_t)bound.most, &length.constant) ||
        __builtin_mul_overflow(length.factor, (int64_t)bound.most, &length.factor))
        return unknown;
    return length;
}

static Length length_of_value(Sizes *s, const Node *value) {
    if (value->kind == N_Sort) return length_of(s, value->kids[0]);
    if (value->kind != N_Result || value->type->kind != TY_vec) return length_of(s, value);
    const Node *path = value->kids[0], *name = path;
    if (path->kind == N_For) return length_of_result(s, path, path);
    while (name->kind == N_Field) name = name->kids[0];
    bool named = name->kind == N_Ident && name->symbol->id < s->limit && s->loops[name->symbol->id];
    return named ? length_of_result(s, s->loops[name->symbol->id], path) : unknown;
}

static Node *length_node(Program *program, const Node *at, Length length) {
    Node *node = NULL;
    if (length.factor != 0)
        node = node_make(program, N_Len, at->span, at->type, 1, node_clone(program, length.of));
    if (node && length.factor != 1) {
        Node *factor = node_literal(program, at->span, at->type, (uint64_t)length.factor);
        node = node_make(program, N_Binary, at->span, at->type, 2, node, factor);
        node->op = OP_mul;
    }
    if (node && length.constant == 0) return node;
    Node *constant = node_literal(program, at->span, at->type, (uint64_t)length.constant);
    if (!node) return constant;
    node = node_make(program, N_Binary, at->span, at->type, 2, node, constant);
    node->op = OP_add;
    return node;
}

/* ---- iterators that only tell a length ---- */

enum { MOST_ITERS = 64 };

/* The fields of a loop's element that its body takes. */
typedef struct Taken {
    Program *program;
    const Symbol *element;
    bool whole, used[MOST_ITERS]; /* whole: it is also used as it is */
    int number[MOST_ITERS];       /* that it has afterwards */
    Type *type;                   /* of the element then */
    int left;
} Taken;

static bool is_field_of(const Node *node, const Symbol *element) {
    return node->kind == N_Field && node->kids[0]->kind == N_Ident && node->kids[0]->symbol == element;
}

static bool taken_enter(Walk *walk, Node **slot) {
    Taken *taken = walk->data;
    const Node *node = *slot;
    if (is_field_of(node, taken->element)) return taken->used[node->index] = true, false;
    if (node->kind == N_Ident && node->symbol == taken->element) taken->whole = true;
    return !taken->whole;
}

static bool renumber(Walk *walk, Node **slot) {
    Taken *taken = walk->data;
    Node *node = *slot;
    if (!is_field_of(node, taken->element)) return true;
    node->kids[0]->type = taken->type;
    node->index = taken->number[node->index];
    if (taken->left == 1) *slot = node->kids[0];
    return false;
}

/* Which iterators are as long as another one that stays, and of no other use; how many stay. */
static int choose_left(const Sizes *s, const Node *loop, const Taken *taken, bool *stays) {
    int count = loop->count - 2, left = count;
    Length lengths[MOST_ITERS];
    for (int i = 0; i < count; i++) {
        const Node *iter = loop->kids[i];
        bool full = iter->iter == IT_scalar && iter->count == 1 && is_path(iter->kids[0]);
        lengths[i] = full ? length_of(s, iter->kids[0]) : unknown;
        stays[i] = true;
    }
    for (int i = 0; i < count; i++) {
        for (int k = 0; k < count && stays[i] && lengths[i].known && !taken->used[i]; k++) {
            if (k == i || !stays[k] || !lengths[k].known || !same_length(lengths[i], lengths[k])) continue;
            stays[i] = false;
            left--;
        }
    }
    return left;
}

static void drop_iterators(Sizes *s, Node *loop) {
    Node *lambda = loop->kids[loop->count - 1];
    int count = loop->count - 2;
    Taken taken = {.program = s->program, .element = lambda->params[2]};
    bool stays[MOST_ITERS];
    if (count < 2 || count > MOST_ITERS || choose_left(s, loop, &taken, stays) == count) return;
    Walk find = {s->program, taken_enter, NULL, &taken}, number = {s->program, renumber, NULL, &taken};
    node_walk(&find, &lambda->kids[0]);
    if (taken.whole) return;
    taken.left = choose_left(s, loop, &taken, stays);
    if (taken.left == count) return;
    Type *types[MOST_ITERS];
    for (int i = 0, at = 0; i < count; i++) {
        taken.number[i] = at;
        if (stays[i]) types[at++] = loop->kids[i]->type;
    }
    taken.type =
        taken.left == 1 ? types[0] : type_make(&s->program->types, TY_struct, OP_none, taken.left, types);
    Type *parts[4] = {lambda->params[0]->type, lambda->params[1]->type, taken.type, lambda->kids[0]->type};
    Type *type = taken.type ? type_make(&s->program->types, TY_function, OP_none, 4, parts) : NULL;
    if (!type) return;
    lambda->type = type;
    for (int i = 0; i < count; i++) {
        if (stays[i]) loop->kids[taken.number[i]] = loop->kids[i];
    }
    loop->kids[taken.left] = loop->kids[count];
    loop->kids[taken.left + 1] = lambda;
    loop->count = taken.left + 2;
    lambda->params[2]->type = taken.type;
    node_walk(&number, &lambda->kids[0]);
}

/* ---- one walk ---- */

static bool size_enter(Walk *walk, Node **slot) {
    Sizes *s = walk->data;
    if ((*slot)->kind != N_Let) return true;
    Open *open = arena_alloc(&s->program->arena, sizeof *open);
    *open = (Open){*slot, s->open};
    s->open = open;
    return true;
}

static void size_leave(Walk *walk, Node **slot) {
    Sizes *s = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Len) {
        Length length = length_of(s, node->kids[0]);
        bool other = length.factor != 1 || length.constant != 0 || !node_equal(length.of, node->kids[0]);
        if (length.known && other && is_path(node->kids[0])) *slot = length_node(s->program, node, length);
    }
    if (node->kind == N_For) drop_iterators(s, *slot);
    if (!s->open || slot != &s->open->let->kids[0]) return;
    const Symbol *name = s->open->let->symbol;
    s->open = s->open->outer;
    if ((*slot)->kind == N_For) s->loops[name->id] = *slot;
    if ((*slot)->type->kind == TY_vec) s->lengths[name->id] = length_of_value(s, *slot);
}

bool pass_infer_size(Program *program) {
    Sizes s = {.program = program, .limit = program->symbols};
    size_t count = (size_t)s.limit + 1;
    s.lengths = arena_alloc(&program->arena, sizeof *s.lengths * count);
    s.loops = arena_alloc(&program->arena, sizeof *s.loops * count);
    s.merges.roots = arena_alloc(&program->arena, sizeof *s.merges.roots * count);
    if (!s.lengths || !s.loops || !s.merges.roots)
        return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    Walk walk = {program, size_enter, size_leave, &s};
    node_walk(&walk, &program->root);
    return true;
}
