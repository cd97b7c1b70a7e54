/* cg_lanes_judge.c: which leaves of a value are another in each lane, and whether cg_lanes.c can compute it.
 *
 *     |b, row, e| let point = slice(data, row * dim, dim); result(for(point, merger, |b, i, x| merge(b, x * scale)))
 *     point: its data vary, since `row` does; its length does not         x, the sum: vary         i, scale: do not
 *
 * A flag for each leaf of each name, by a walk over the program in its order: names from outside are uniform, the
 * loop's index and elements vary, and what uses a leaf that varies does. NULL for what cannot be computed: a
 * loop whose length varies or a round whose condition does, which would run apart in the lanes, and whatever may fail
 * where it is not needed. What a round of an iterate makes vary varies in the next, so its body is judged until
 * nothing changes; each time at least one flag is set, which bounds it.
 *
 * The divergence analysis of SPMD compilers (Karrenberg and Hack, Whole-Function Vectorization, CGO 2011), on trees.
 */
#include "cg.h"

#include <string.h>

static bool *new_flags(Lanes *lanes, const Type *type) {
    return arena_alloc(&lanes->wide.cg->program->arena, (size_t)leaf_count(type) + 1);
}

/* Scalars, vectors of scalars, and structs of these. */
static bool is_plain(const Type *type) {
    if (type->kind == TY_vec) return type_is_scalar(type->args[0]);
    if (type->kind != TY_struct) return type_is_scalar(type);
    for (int i = 0; i < type->count; i++) {
        if (!is_plain(type->args[i])) return false;
    }
    return true;
}

static bool *judge_all(Lanes *lanes, const Node *node, int count) {
    bool *out = new_flags(lanes, node->type);
    for (int i = 0; i < count; i++) {
        bool *kid = cg_lanes_judge(lanes, node->kids[i]);
        if (!kid) return NULL;
        out[0] |= kid[0];
    }
    return out;
}

static bool *judge_ident(Lanes *lanes, const Node *node) {
    bool *known = lanes->varies[node->symbol->id];
    if (known) return known;
    return is_plain(node->type) && lanes->wide.cg->values[node->symbol->id] ? new_flags(lanes, node->type)
                                                                            : NULL;
}

static bool *judge_struct(Lanes *lanes, const Node *node) {
    bool *out = new_flags(lanes, node->type), *at = out;
    for (int i = 0; i < node->count; i++) {
        bool *kid = cg_lanes_judge(lanes, node->kids[i]);
        if (!kid) return NULL;
        memcpy(at, kid, (size_t)leaf_count(node->kids[i]->type));
        at += leaf_count(node->kids[i]->type);
    }
    return out;
}

static bool *judge_select(Lanes *lanes, const Node *node) {
    int budget = 24;
    if (!type_is_flat(node->type)) return NULL;
    for (int i = 1; node->kind == N_If && i < 3; i++) {
        if (!node_is_cheap(node->kids[i], &budget)) return NULL;
    }
    bool *condition = cg_lanes_judge(lanes, node->kids[0]);
    bool *a = condition ? cg_lanes_judge(lanes, node->kids[1]) : NULL,
         *b = a ? cg_lanes_judge(lanes, node->kids[2]) : NULL;
    if (!b) return NULL;
    bool *out = new_flags(lanes, node->type);
    for (int i = 0; i < leaf_count(node->type); i++) out[i] = condition[0] || a[i] || b[i];
    return out;
}

static bool *judge_slice(Lanes *lanes, const Node *node) {
    bool *vec = cg_lanes_judge(lanes, node->kids[0]),
         *start = vec ? cg_lanes_judge(lanes, node->kids[1]) : NULL;
    bool *size = start ? cg_lanes_judge(lanes, node->kids[2]) : NULL;
    if (!size || size[0]) return NULL;
    bool *out = new_flags(lanes, node->type);
    out[0] = vec[0] || start[0];
    return out;
}

/* The elements of a loop's iterators. */
static bool *judge_elements(Lanes *lanes, const Node *loop) {
    bool *out = new_flags(lanes, loop->kids[loop->count - 1]->params[2]->type);
    for (int i = 0; i < loop->count - 2; i++) {
        const Node *iter = loop->kids[i];
        bool whole = iter->iter == IT_scalar && iter->count == 1;
        if (!whole && iter->iter != IT_range) return NULL;
        for (int k = 0; k < iter->count; k++) {
            bool *kid = cg_lanes_judge(lanes, iter->kids[k]);
            if (!kid || (!whole && kid[0])) return NULL;
            if (whole) out[i] = kid[0];
        }
    }
    return out;
}

/* The body of a loop into a merger: lets, then merges. */
static bool judge_merges(Lanes *lanes, const Node *node, const Symbol *builder, bool *sum) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        bool *value = cg_lanes_judge(lanes, node->kids[0]);
        if (!value) return false;
        lanes->varies[node->symbol->id] = value;
    }
    if (node->kind == N_Ident) return node->symbol == builder;
    if (node->kind != N_Merge || node->kids[1]->type != node->type->args[0]) return false;
    if (!judge_merges(lanes, node->kids[0], builder, sum)) return false;
    bool *value = cg_lanes_judge(lanes, node->kids[1]);
    for (int i = 0; value && i < leaf_count(node->kids[1]->type); i++) sum[i] |= value[i];
    return value != NULL;
}

static bool *judge_loop(Lanes *lanes, const Node *node) {
    const Node *loop = node->kids[0], *builder, *lambda;
    if (loop->kind != N_For || !type_is_flat(node->type)) return NULL;
    builder = loop->kids[loop->count - 2];
    lambda = loop->kids[loop->count - 1];
    if (builder->kind != N_NewBuilder || builder->type->kind != TY_merger) return NULL;
    bool *start = builder->count ? cg_lanes_judge(lanes, builder->kids[0]) : new_flags(lanes, node->type);
    bool *element = start ? judge_elements(lanes, loop) : NULL;
    if (!element) return NULL;
    bool *sum = new_flags(lanes, node->type);
    memcpy(sum, start, (size_t)leaf_count(node->type));
    lanes->varies[lambda->params[1]->id] = new_flags(lanes, lambda->params[1]->type);
    lanes->varies[lambda->params[2]->id] = element;
    return judge_merges(lanes, lambda->kids[0], lambda->params[0], sum) ? sum : NULL;
}

/* What a round makes vary varies in the next. */
static bool *judge_iterate(Lanes *lanes, const Node *node) {
    const Node *lambda = node->kids[1];
    int count = leaf_count(node->type);
    if (!type_is_flat(node->type)) return NULL;
    bool *start = cg_lanes_judge(lanes, node->kids[0]), *state = new_flags(lanes, node->type), more = true;
    if (!start) return NULL;
    memcpy(state, start, (size_t)count);
    while (more) {
        lanes->varies[lambda->params[0]->id] = state;
        bool *next = cg_lanes_judge(lanes, lambda->kids[0]);
        if (!next || next[count]) return NULL;
        more = false;
        for (int i = 0; i < count; i++) {
            more |= next[i] && !state[i];
            state[i] |= next[i];
        }
    }
    return state;
}

bool *cg_lanes_judge(Lanes *lanes, const Node *node) {
    int budget = 24;
    if (--lanes->budget < 0) return NULL;
    for (; node->kind == N_Let; node = node->kids[1]) {
        bool *value = cg_lanes_judge(lanes, node->kids[0]);
        if (!value) return NULL;
        lanes->varies[node->symbol->id] = value;
    }
    bool scalar = type_is_scalar(node->type);
    switch (node->kind) {
    case N_Literal: return new_flags(lanes, node->type);
    case N_Ident: return judge_ident(lanes, node);
    case N_Struct: return judge_struct(lanes, node);
    case N_Slice: return type_is_scalar(node->type->args[0]) ? judge_slice(lanes, node) : NULL;
    case N_Result: return judge_loop(lanes, node);
    case N_Iterate: return judge_iterate(lanes, node);
    case N_If:
    case N_Select: return judge_select(lanes, node);
    case N_Unary:
    case N_Cast: return scalar ? judge_all(lanes, node, 1) : NULL;
    case N_Len:
        return is_plain(node->kids[0]->type) && cg_lanes_judge(lanes, node->kids[0])
                   ? new_flags(lanes, node->type)
                   : NULL;
    case N_Lookup: return scalar && node->kids[0]->type->kind == TY_vec ? judge_all(lanes, node, 2) : NULL;
    case N_Compare: return type_is_scalar(node->kids[0]->type) ? judge_all(lanes, node, 2) : NULL;
    case N_And:
    case N_Or: return node_is_cheap(node->kids[1], &budget) && scalar ? judge_all(lanes, node, 2) : NULL;
    case N_Binary: {
        bool fails = (op_classes[node->op].traits & FAILS) && !type_is_float(node->type);
        return scalar && !fails ? judge_all(lanes, node, 2) : NULL;
    }
    case N_Field: {
        bool *whole = cg_lanes_judge(lanes, node->kids[0]);
        return whole ? whole + leaf_at(node->kids[0]->type, node->index) : NULL;
    }
    default: return NULL;
    }
}

static int loop_depth(const Node *node) {
    int deepest = 0;
    for (; node->kind == N_Let; node = node->kids[1]) {
        int depth = loop_depth(node->kids[0]);
        if (depth > deepest) deepest = depth;
    }
    for (int i = 0; i < node->count; i++) {
        int depth = loop_depth(node->kids[i]);
        if (depth > deepest) deepest = depth;
    }
    return deepest + (node->kind == N_For || node->kind == N_Iterate);
}

bool cg_lanes_judge_open(Lanes *lanes, const Node *lambda) {
    enum { BUDGET = 2000 };
    const Type *element = lambda->params[2]->type;
    lanes->budget = BUDGET;
    if (!type_is_flat(element)) return false;
    size_t size = sizeof *lanes->varies * ((size_t)lanes->wide.cg->program->symbols + 1);
    lanes->varies = arena_alloc(&lanes->wide.cg->program->arena, size);
    if (!lanes->varies) return false;
    lanes->varies[lambda->params[1]->id] = new_flags(lanes, lambda->params[1]->type);
    lanes->varies[lambda->params[1]->id][0] = true;
    lanes->varies[lambda->params[2]->id] = new_flags(lanes, element);
    memset(lanes->varies[lambda->params[2]->id], true, (size_t)leaf_count(element));
    return true;
}

bool cg_lanes_pay(const Node *let) {
    return loop_depth(let->kids[0]) > 1;
}

bool cg_lanes_can(Lanes *lanes, const Node *let) {
    bool *flags = cg_lanes_judge(lanes, let->kids[0]);
    lanes->varies[let->symbol->id] = flags;
    return flags != NULL;
}
