/* cg_filter_plan.c: which loops run in groups of lanes (cg_filter.c), and how many lanes.
 *
 *     |b, i, e| if(e < bound, merge(b, e * 2.0), b)      yes: a comparison, a product, a merge under a condition
 *     |b, i, e| merge(b, e / i)                          no: i may be 0, which must fail in its turn
 *     |b, i, e| merge(b, lookup(v, e))                   no: as above
 *
 * The walk over the body asks of every value that it is made of scalars, cheap and sure not to fail, since it will
 * be computed for all lanes, whatever the conditions are; and of every name that it is of the body or known before
 * the loop, where it is the same for all lanes. It lists the lets, which are evaluated when first used, and finds
 * the largest scalar, which decides how many lanes fit. A merge must be of the builder's own kind of value. The
 * builders decide whether it pays: LLVM's vectorizer does loops without conditions itself.
 *
 * Requires: room has been made in the appenders (cg_has_room).
 */
#include "cg_filter.h"

enum { MOST_NODES = 128 };

int64_t cg_filter_largest(const Type *type) {
    if (type->kind != TY_struct) return type->size;
    int64_t largest = 1;
    for (int i = 0; i < type->count; i++) {
        int64_t size = cg_filter_largest(type->args[i]);
        if (size > largest) largest = size;
    }
    return largest;
}

Late *cg_filter_late(Filter *lanes, const Symbol *symbol) {
    for (int i = lanes->nlets - 1; i >= 0; i--) {
        if (lanes->lets[i].symbol == symbol) return &lanes->lets[i];
    }
    return NULL;
}

static bool late_add(Filter *lanes, const Node *let) {
    if (cg_filter_late(lanes, let->symbol)) return true;
    if (lanes->nlets == MOST_LETS) return false;
    lanes->lets[lanes->nlets++] = (Late){let->symbol, let->kids[0], NULL};
    return true;
}

/* Known before the loop, the same in every iteration. */
static bool is_uniform_name(Filter *lanes, const Node *node) {
    const Node *lambda = lanes->loop->lambda;
    if (node->kind != N_Ident || cg_filter_late(lanes, node->symbol)) return false;
    return node->symbol != lambda->params[1] && node->symbol != lambda->params[2] &&
           lanes->wide.cg->values[node->symbol->id];
}

static bool is_body_name(Filter *lanes, const Node *node) {
    const Node *lambda = lanes->loop->lambda;
    return node->symbol == lambda->params[1] || node->symbol == lambda->params[2] ||
           cg_filter_late(lanes, node->symbol);
}

static bool takes_operator(Filter *lanes, const Node *node) {
    const Type *type = node->type;
    if (!type_is_scalar(node->kids[0]->type)) return false;
    if (node->kind == N_Compare) return true;
    const OpClass *op = &op_classes[node->op];
    bool math = op->class == 'f' || (node->op == OP_rem && type_is_float(type));
    if (math) return cg_math_has_lanes(lanes->wide.cg, node->op, type, lanes->wide.width);
    if (node->kind == N_Unary || !(op->traits & FAILS) || type_is_float(type)) return true;
    /* Division by a known number is a multiplication; 64 bits of it are not worth it. */
    const Node *divisor = node->kids[1];
    return divisor->kind == N_Literal && type->size <= 4 && divisor->bits != 0 &&
           (!type_is_signed(type) || (divisor->bits & 0x7fffffff) >> (8 * type->size - 1) == 0);
}

static bool takes_value(Filter *lanes, const Node *node);

static bool takes_field(Filter *lanes, const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    if (node->kind != N_Ident) return takes_value(lanes, node);
    return is_body_name(lanes, node) || is_uniform_name(lanes, node);
}

static bool takes_value(Filter *lanes, const Node *node) {
    if (--lanes->budget < 0 || !type_is_flat(node->type)) return false;
    int64_t size = cg_filter_largest(node->type);
    if (size > lanes->widest) lanes->widest = size;
    switch (node->kind) {
    case N_Literal: return true;
    case N_Ident: return is_body_name(lanes, node) || is_uniform_name(lanes, node);
    case N_Field: return takes_field(lanes, node);
    case N_Len: return is_uniform_name(lanes, node->kids[0]);
    case N_Unary:
    case N_Binary:
    case N_Compare:
        if (!takes_operator(lanes, node)) return false;
        break;
    case N_Let:
        if (!type_is_flat(node->symbol->type) || !late_add(lanes, node)) return false;
        break;
    case N_Cast:
    case N_Struct:
    case N_And:
    case N_Or:
    case N_Select:
    case N_If: break;
    default: return false;
    }
    for (int i = 0; i < node->count; i++) {
        if (!takes_value(lanes, node->kids[i])) return false;
    }
    return true;
}

static bool is_own_kind(const Type *builder, const Type *value) {
    if (builder->kind != TY_dictmerger) return value == builder->args[0];
    return value->kind == TY_struct && value->count == 2 && value->args[0] == builder->args[0] &&
           value->args[1] == builder->args[1];
}

bool cg_filter_takes(Filter *lanes, const Node *value) {
    return takes_value(lanes, value);
}

bool cg_filter_takes_let(Filter *lanes, const Node *let) {
    return type_is_flat(let->symbol->type) && takes_value(lanes, let->kids[0]) && late_add(lanes, let);
}

bool cg_filter_walks(const Loop *loop) {
    for (int i = 0; i < loop->ncursors; i++) {
        const Cursor *cursor = &loop->cursors[i];
        IterKind kind = cursor->iter->iter;
        if (kind != IT_range && (kind != IT_scalar || !cg_is_constant(cursor->stride, 1))) return false;
    }
    return true;
}

static bool takes_body(Filter *lanes, const Node *node) {
    if (--lanes->budget < 0) return false;
    switch (node->kind) {
    case N_Ident:
        return node->symbol == lanes->loop->lambda->params[0] || cg_filter_late(lanes, node->symbol);
    case N_Field: return takes_body(lanes, node->kids[0]);
    case N_Let:
        if (!(node->symbol->type->builders ? takes_body : takes_value)(lanes, node->kids[0])) return false;
        return late_add(lanes, node) && takes_body(lanes, node->kids[1]);
    case N_If:
        return takes_value(lanes, node->kids[0]) && takes_body(lanes, node->kids[1]) &&
               takes_body(lanes, node->kids[2]);
    case N_Merge:
        if (++lanes->nmerges > MOST_MERGES || !is_own_kind(node->type, node->kids[1]->type)) return false;
        return takes_body(lanes, node->kids[0]) && takes_value(lanes, node->kids[1]);
    case N_Struct:
        for (int i = 0; i < node->count; i++) {
            if (!takes_body(lanes, node->kids[i])) return false;
        }
        return true;
    default: return false;
    }
}

/* What LLVM's vectorizer leaves to this file: merges under a condition into appenders, the least or greatest of
 * floats, of which a NaN must not be one, and dictmergers that may have few keys. */
typedef struct Takes {
    int64_t largest;
    bool conditional, extreme, all;
} Takes;

static bool is_extreme(const Type *type, Op op) {
    if (type->kind != TY_struct) return type_is_float(type) && (op == OP_min || op == OP_max);
    for (int i = 0; i < type->count; i++) {
        if (is_extreme(type->args[i], op)) return true;
    }
    return false;
}

static void see_size(const Type *type, Takes *out) {
    int64_t size = cg_filter_largest(type);
    if (size > out->largest) out->largest = size;
}

static void look_at_builders(Filter *lanes, const Type *builder, int leaf, Takes *out) {
    Cg *cg = lanes->wide.cg;
    const Loop *loop = lanes->loop;
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            look_at_builders(lanes, builder->args[i], leaf, out);
            leaf += leaf_count(builder->args[i]);
        }
        return;
    }
    if (builder->kind == TY_dictmerger) {
        out->all = out->all && cg_few_add(lanes, builder, loop->builders[leaf]);
        see_size(builder->args[1], out);
        return;
    }
    const Type *type = builder->args[0];
    bool appender = builder->kind == TY_appender;
    if ((!appender && builder->kind != TY_merger) || !type_is_flat(type)) {
        out->all = false;
        return;
    }
    if (!appender) {
        out->all = out->all && type->kind != TY_bool;
        out->extreme = out->extreme || is_extreme(type, builder->op);
        return;
    }
    MergeBound bound = merge_bound(&cg->merges, loop->lambda->kids[0], loop->lambda->params[0], leaf);
    if (bound.most == 0) return;
    out->all = out->all && bound.most == 1 && cg_has_room(cg, loop->builders[leaf]);
    out->conditional = out->conditional || bound.least == 0;
    see_size(type, out);
}

unsigned cg_filter_plan(Filter *lanes) {
    Cg *cg = lanes->wide.cg;
    const Loop *loop = lanes->loop;
    Takes takes = {1, false, false, true};
    if (!cg_filter_walks(loop)) return 0;
    look_at_builders(lanes, loop->builder, 0, &takes);
    if (!takes.all || !(takes.conditional || takes.extreme || lanes->nfew)) return 0;
    if (cg->compress == COMPRESS_NONE && takes.conditional) return 0;
    lanes->wide.width = 8;
    lanes->budget = MOST_NODES;
    if (!takes_body(lanes, loop->lambda->kids[0])) return 0;
    if (lanes->nfew) return takes.largest > 4 ? 8 : 16;
    if (cg->compress == COMPRESS_PERMUTE || takes.largest > 4) return 8;
    if (cg->compress == COMPRESS_BYTES && lanes->widest <= takes.largest && takes.largest < 4)
        return 64 / (unsigned)takes.largest;
    return 16;
}
