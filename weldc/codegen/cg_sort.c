/* cg_sort.c: sort.
 *
 * The order of a sort becomes a function compare(closure, worker, a, b, order), which the runtime's merge
 * sort calls. An order that only compares one scalar of a with the same one of b, as
 *
 *     |a, b| compare(a.$1, b.$1)    |a, b| b - a    |a, b| if(a < b, -1, if(a > b, 1, 0))
 *
 * is recognized by what it gives for less, equal and greater, and sorted by that key instead (lang/value/radix.c). A slice of
 * a sort is given to the runtime whole, which then selects (runtime/sort/top.c). So is one of scalars beside their numbers,
 *
 *     slice(sort(result(for(v, appender, |b, i, x| merge(b, {x, i}))), |a, b| compare(a.$0, b.$0)), 0l, k)
 *
 * for which that loop need not run; its order may put NaNs last.
 */
#include "cg.h"

/* An order that only asks how one scalar field of a compares to that of b: what it is for less, equal and
 * greater. */
typedef struct KeyOrder {
    const Node *lambda, *path; /* path: the field of a */
    int relation;              /* -1, 0, 1: how a's field is assumed to compare to b's */
    bool nan[2];               /* which are assumed to be NaNs: they compare to nothing */
    bool self;                 /* a field is compared to itself, which tells whether it is a NaN */
    bool known;                /* the shape was understood so far */
} KeyOrder;

static const Symbol *path_root(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident ? node->symbol : NULL;
}

static bool same_path(const Node *a, const Node *b) {
    for (; a->kind == N_Field && b->kind == N_Field; a = a->kids[0], b = b->kids[0]) {
        if (a->index != b->index) return false;
    }
    return a->kind == N_Ident && b->kind == N_Ident;
}

/* 0: a, 1: b, -1: another name, or none. */
static int side_of(const KeyOrder *order, const Node *node) {
    const Symbol *root = path_root(node);
    return !root ? -1 : root == order->lambda->params[0] ? 0 : root == order->lambda->params[1] ? 1 : -1;
}

/* How kid 0 compares to kid 1, which are keys of a and b, or both of one. */
static int relation_of(KeyOrder *order, const Node *node, bool *unordered) {
    const Node *x = node->kids[0], *y = node->kids[1];
    int left = side_of(order, x), right = side_of(order, y);
    if (!order->path) order->path = x;
    order->known = order->known && left >= 0 && right >= 0 && type_is_scalar(x->type) && same_path(x, y) &&
                   same_path(order->path, x);
    if (!order->known) return 0;
    *unordered = order->nan[left] || order->nan[right];
    if (left == right) order->self = true;
    return left == right ? 0 : left ? -order->relation : order->relation;
}

static int order_value(KeyOrder *order, const Node *node) {
    if (node->kind == N_Literal && node->type->kind == TY_i32) return (int32_t)node->bits;
    if (node->kind == N_Unary && node->op == OP_neg) return -order_value(order, node->kids[0]);
    bool unordered = false;
    if (node->kind == N_Binary && node->op == OP_sub && node->type->kind == TY_i32)
        return relation_of(order, node, &unordered);
    if ((node->kind != N_If && node->kind != N_Select) || node->kids[0]->kind != N_Compare) {
        order->known = false;
        return 0;
    }
    int r = relation_of(order, node->kids[0], &unordered);
    bool holds = false;
    switch (node->kids[0]->op) {
    case OP_lt: holds = r < 0; break;
    case OP_le: holds = r <= 0; break;
    case OP_gt: holds = r > 0; break;
    case OP_ge: holds = r >= 0; break;
    case OP_eq: holds = r == 0; break;
    default: holds = r != 0; break;
    }
    if (unordered) holds = node->kids[0]->op == OP_ne;
    /* Both arms are looked at, so that the whole shape is understood. */
    int yes = order_value(order, node->kids[1]), no = order_value(order, node->kids[2]);
    return holds ? yes : no;
}

static int64_t path_offset(const Node *node) {
    int64_t offset = 0;
    for (; node->kind == N_Field; node = node->kids[0]) offset += node->kids[0]->type->offsets[node->index];
    return offset;
}

/* Does an order that looks for NaNs put them behind all others? */
static bool puts_nan_last(KeyOrder *order) {
    static const int wanted[3] = {1, -1, 0}; /* where a is one, b, both */
    bool last = true;
    for (int i = 0; i < 3; i++) {
        order->nan[0] = i != 1;
        order->nan[1] = i != 0;
        int value = order_value(order, order->lambda->kids[0]);
        last = last && (value > 0) - (value < 0) == wanted[i];
    }
    return last && order->known;
}

/* The key of a sort as rt_sort_key takes it, or -1: its function must be called. nan_last: not NULL where orders may be
 * known that put NaNs last, and set if it is one. */
static int64_t sort_key(const Node *lambda, bool *nan_last) {
    int value[3];
    KeyOrder order = {.lambda = lambda, .known = true};
    for (int r = -1; r <= 1; r++) {
        order.relation = r;
        value[r + 1] = order_value(&order, lambda->kids[0]);
    }
    bool ascending = value[0] < 0 && value[2] > 0, descending = value[0] > 0 && value[2] < 0;
    if (!order.known || !order.path || value[1] != 0 || (!ascending && !descending)) return -1;
    int64_t key = path_offset(order.path) << 16 | (int64_t)descending << 8 | order.path->type->kind;
    if (!order.self) return key;
    if (!nan_last || !puts_nan_last(&order)) return -1;
    *nan_last = true;
    return key;
}

/* The order of a sort becomes a function compare(closure, worker, a, b, order). */
typedef struct Order {
    LLVMValueRef function, closure;
} Order;

static Order cg_order(Cg *cg, const Node *lambda, const Type *element) {
    NameList names = cg_free_names(cg, lambda);
    Closure closure = cg_closure(cg, names, 0);
    LLVMTypeRef params[5] = {cg->ptr, cg->ptr, cg->ptr, cg->ptr, cg->ptr};
    Fn fn = {0};
    cg_fn_open(cg, &fn, "compare", params, 5);
    fn.worker = LLVMGetParam(fn.function, 1);
    cg_closure_enter(cg, &closure, LLVMGetParam(fn.function, 0));
    for (int i = 0; i < 2; i++)
        cg_bind(cg, lambda->params[i], cg_load_new(cg, element, LLVMGetParam(fn.function, (unsigned)i + 2)));
    cg_store_at(cg, cg_one(cg, lambda->kids[0]), LLVMGetParam(fn.function, 4), 0);
    LLVMBuildRet(cg->builder, cg_i32(cg, 0));
    cg_closure_leave(cg, &closure);
    cg_fn_close(cg, &fn);
    return (Order){fn.function, closure.state};
}

Leaf *cg_sort(Cg *cg, const Node *node) {
    const Node *lambda = node->kids[1];
    const Type *element = node->type->args[0];
    Leaf *data = cg_expr(cg, node->kids[0]);
    LLVMValueRef size = cg_i64(cg, element->size), out = cg_slot(cg, sizeof(Vec), 8);
    int64_t key = sort_key(lambda, NULL);
    if (key >= 0) {
        cg_try(cg, cg_call(cg, RT_sort_key, cg->fn->worker, data[0], data[1], size, cg_i64(cg, key), out,
                           cg_span(cg, node)));
    } else {
        Order order = cg_order(cg, lambda, element);
        cg_try(cg, cg_call(cg, RT_sort, cg->fn->worker, data[0], data[1], size, order.function, order.closure,
                           out, cg_i32(cg, cg_is_divisible(cg, lambda)), cg_span(cg, node)));
    }
    return cg_load_new(cg, node->type, out);
}

/* The vector of whose scalars and their numbers {x, i} this is made, or NULL. */
static const Node *numbered(const Node *made) {
    const Node *loop = made->kind == N_Result ? made->kids[0] : NULL;
    if (!loop || loop->kind != N_For || loop->count != 3) return NULL;
    const Node *iter = loop->kids[0], *lambda = loop->kids[2], *merge = lambda->kids[0];
    if (iter->iter != IT_scalar || iter->count != 1 || loop->kids[1]->kind != N_NewBuilder) return NULL;
    if (!type_is_scalar(iter->type) || merge->kind != N_Merge || merge->kids[0]->kind != N_Ident ||
        merge->type->kind != TY_appender)
        return NULL;
    const Node *pair = merge->kids[1];
    if (pair->kind != N_Struct || pair->count != 2) return NULL;
    for (int i = 0; i < 2; i++) {
        if (pair->kids[i]->kind != N_Ident || pair->kids[i]->symbol != lambda->params[2 - i]) return NULL;
    }
    return iter->kids[0];
}

/* Such a slice, of scalars beside their numbers by the scalar; NULL: it is none. */
static Leaf *numbered_slice(Cg *cg, const Node *slice) {
    const Node *sort = slice->kids[0], *made = sort->kids[0], *vector = numbered(made);
    bool nan_last = false;
    int64_t key = vector ? sort_key(sort->kids[1], &nan_last) : -1;
    if (key < 0 || key >> 16) return NULL;
    if ((TypeKind)(key & 255) != vector->type->args[0]->kind) return NULL; /* it is the number */
    Leaf *data = cg_expr(cg, vector);
    Leaf start = cg_one(cg, slice->kids[1]), count = cg_one(cg, slice->kids[2]);
    cg_slice_check(cg, slice, start, count, data[1]);
    LLVMValueRef out = cg_slot(cg, sizeof(Vec), 8), how = cg_i64(cg, key | (nan_last ? NAN_LAST : 0));
    cg_try(cg, cg_call(cg, RT_top_numbered, cg->fn->worker, data[0], data[1], how, start, count, out,
                       cg_span(cg, sort)));
    cg_fragment_end(cg, made->kids[0], NULL);
    cg_fragment_end(cg, made, NULL);
    cg_fragment_end(cg, sort, NULL);
    return cg_load_new(cg, sort->type, out);
}

/* slice(sort(v, order), start, count): the runtime need not sort all of v. */
Leaf *cg_sort_slice(Cg *cg, const Node *slice) {
    const Node *sort = slice->kids[0], *lambda = sort->kids[1];
    const Type *element = sort->type->args[0];
    Leaf *leaves = numbered_slice(cg, slice);
    if (leaves) return leaves;
    Leaf *data = cg_expr(cg, sort->kids[0]);
    Leaf start = cg_one(cg, slice->kids[1]), count = cg_one(cg, slice->kids[2]);
    cg_slice_check(cg, slice, start, count, data[1]);
    LLVMValueRef size = cg_i64(cg, element->size), out = cg_slot(cg, sizeof(Vec), 8);
    int64_t key = sort_key(lambda, NULL);
    if (key >= 0) {
        cg_try(cg, cg_call(cg, RT_top_key, cg->fn->worker, data[0], data[1], size, cg_i64(cg, key), start,
                           count, out, cg_span(cg, sort)));
    } else {
        Order order = cg_order(cg, lambda, element);
        cg_try(cg, cg_call(cg, RT_top, cg->fn->worker, data[0], data[1], size, order.function, order.closure,
                           start, count, out, cg_i32(cg, cg_is_divisible(cg, lambda)), cg_span(cg, sort)));
    }
    cg_fragment_end(cg, sort, NULL);
    return cg_load_new(cg, sort->type, out);
}
