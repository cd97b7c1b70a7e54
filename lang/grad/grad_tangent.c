/* grad_tangent.c: forward mode: jvp(f) becomes a program that computes f and how it changes in one direction.
 *
 *     jvp(|x, y| x * sin(y))(a, b, {da, db})   =>   let x = a; let y = b;  let s = sin(y);  let s' = db * cos(y);
 *                                                   let r = x * s;  let r' = da * s + s' * x;  {r, r'}
 *
 * Beside every name of the primal program its tangents are computed, one for each leaf that depends on the arguments, from
 * those of its operands by the same rules as adjoints are: a partial derivative times the operand's tangent, where
 * reverse mode takes the result's adjoint times the same. Everything is computed once and in order; nothing is
 * kept. An if gives tangents along with its value, an iterate has them in its state, a loop walks the tangents of
 * what it walks:
 *
 *     for(v, merger[f64,+], |b, i, e| merge(b, e * e))
 *       =>   for(zip(v, v'), {merger[f64,+], merger[f64,+]}, |b, i, e| {merge(b.$0, e.$0 * e.$0), merge(b.$1, e.$1 * e.$0 + e.$1 * e.$0)})
 *
 * Beside a builder that depends on the arguments there are those of its tangents (Cell.flow). Of one whose operator is not +
 * they collect the merged values and their tangents; the rows of grad.def say with what weights these add up.
 * A call of a C function has the rule of reverse mode, the adjoints as a linear function of the result's adjoint. The
 * tangent is what that function's own adjoint makes of the arguments' tangents, since the transpose of the transpose is the map itself:
 * the rule's text is derived in reverse by its last parameter.
 *
 * Pearlmutter and Siskind, "Reverse-Mode AD in a Functional Framework", TOPLAS 2008, for the modes side by side.
 */
#include "grad.h"

static void tangents(Grad *g, Node *body);

/* ---- tangents of names ---- */

static Symbol *tangent_of(Grad *g, const Node *ident, int number) {
    Info *info = info_of(g, ident->symbol);
    return info && info->tangent && info->active[number] ? info->tangent[number] : NULL;
}

static Symbol *zeros_of(Grad *g, Symbol *symbol, int number) {
    return leaf_zeros(g, now_of(symbol), number);
}

static Symbol *tangent_or_zeros(Grad *g, const Node *ident, int number) {
    Symbol *tangent = tangent_of(g, ident, number);
    return tangent ? tangent : zeros_of(g, ident->symbol, number);
}

static Info *bind(Grad *g, Symbol *primal, Symbol *now) {
    Info *info = info_of(g, primal);
    bind_value(g, primal, now);
    info->tangent = grad_alloc(g, (size_t)info->leaves.count, sizeof *info->tangent);
    return info;
}

static bool any(const bool *active, int count) {
    for (int i = 0; i < count; i++) {
        if (active[i]) return true;
    }
    return false;
}

static bool is_active(const Info *info) {
    bool active = any(info->active, info->leaves.count);
    for (int c = 0; c < info->cells && !active; c++)
        active = any(info->cell[c]->active, info->cell[c]->leaves.count);
    return active;
}

/* ---- several values as one: a value, its tangents, and its builders' flows ---- */

/* How many flows its cells have at most; where the number-th is. */
static int flow_slots(const Info *info) {
    int slots = 0;
    for (int c = 0; c < info->cells; c++) slots += info->cell[c]->leaves.count + 1;
    return slots;
}

static Symbol **flow_slot(const Info *info, int number) {
    int c = 0;
    while (number > info->cell[c]->leaves.count) number -= info->cell[c++]->leaves.count + 1;
    return info->cell[c]->flow ? &info->cell[c]->flow[number] : NULL;
}

static Symbol *flow_at(const Info *info, int number) {
    Symbol **slot = flow_slot(info, number);
    return slot ? *slot : NULL;
}

static Symbol **flows_save(Grad *g, const Info *info) {
    int slots = flow_slots(info);
    Symbol **saved = grad_alloc(g, (size_t)slots, sizeof *saved);
    for (int i = 0; i < slots; i++) saved[i] = flow_at(info, i);
    return saved;
}

static void flows_restore(const Info *info, Symbol **saved) {
    for (int i = 0; i < flow_slots(info); i++) {
        if (saved[i]) *flow_slot(info, i) = saved[i];
    }
}

/* A value, by the pattern of the name that takes it: what of it is active. `ident` has its tangents. */
static Node *pack(Grad *g, const Info *pattern, Node *value, const Node *ident) {
    int count = 0, slots = flow_slots(pattern);
    Node **kids = grad_alloc(g, (size_t)(1 + pattern->leaves.count + slots), sizeof *kids);
    kids[count++] = value;
    for (int i = 0; i < pattern->leaves.count; i++) {
        if (pattern->active[i]) kids[count++] = use(g, tangent_or_zeros(g, ident, i));
    }
    for (int i = 0; i < slots; i++) {
        if (flow_at(pattern, i)) kids[count++] = use(g, flow_at(pattern, i));
    }
    return count == 1 ? kids[0] : struct_of(g, count, kids);
}

static Node *pack_end(Grad *g, const Info *pattern, const Node *end) {
    return pack(g, pattern, use(g, now_of(end->symbol)), end);
}

static void unpack(Grad *g, Info *info, Symbol *whole) {
    int count = 0, at = 1, slots = flow_slots(info);
    for (int i = 0; i < info->leaves.count; i++) count += info->active[i];
    for (int i = 0; i < slots; i++) count += flow_at(info, i) != NULL;
    bind(g, info->symbol, count ? emit(g, info->symbol->name, field_of(g, whole, 0)) : whole);
    for (int i = 0; i < info->leaves.count; i++) {
        if (info->active[i]) info->tangent[i] = emit(g, "tangent", field_of(g, whole, at++));
    }
    for (int i = 0; i < slots; i++) {
        if (flow_at(info, i)) *flow_slot(info, i) = emit(g, "flow", field_of(g, whole, at++));
    }
}

/* ---- scalars, structs, vectors ---- */

static void set(Grad *g, Info *info, int number, Node *tangent) {
    info->tangent[number] = emit(g, "tangent", tangent);
}

static void tangent_of_operator(Grad *g, Info *info, const Node *node) {
    Symbol *result = now_of(info->symbol), *sum = NULL;
    for (int i = 0; i < node->count && !grad_failed(g); i++) {
        Symbol *along = tangent_of(g, node->kids[i], 0);
        if (!along) continue;
        Symbol *part = partial(g, node, i, result, along);
        sum = sum ? emit(g, "tangent", binary(g, OP_add, use(g, sum), use(g, part))) : part;
    }
    info->tangent[0] = sum;
}

static void copy_tangents(Grad *g, Info *info, int at, const Node *ident, int from) {
    int count = type_leaves(ident->type) - from, room = info->leaves.count - at;
    for (int i = 0; i < count && i < room; i++) info->tangent[at + i] = tangent_of(g, ident, from + i);
}

static int leaves_before(const Type *type, int field) {
    int count = 0;
    for (int i = 0; i < field; i++) count += type_leaves(type->args[i]);
    return count;
}

static void tangent_of_vec(Grad *g, Info *info, const Node *node) {
    for (int i = 0; i < info->leaves.count; i++) {
        if (!info->active[i]) continue;
        Node *vec = node_new(g->program, N_Vec, g->span, info->leaves.types[i], node->count);
        for (int k = 0; k < vec->count; k++) vec->kids[k] = use(g, tangent_or_zeros(g, node->kids[k], i));
        set(g, info, i, vec);
    }
}

static void tangent_of_select(Grad *g, Info *info, const Node *node) {
    for (int i = 0; i < info->leaves.count; i++) {
        if (!info->active[i]) continue;
        Symbol *arms[2];
        for (int k = 0; k < 2; k++) arms[k] = tangent_or_zeros(g, node->kids[k + 1], i);
        set(g, info, i,
            node_make(g->program, N_Select, g->span, arms[0]->type, 3, use(g, now_of(node->kids[0]->symbol)),
                      use(g, arms[0]), use(g, arms[1])));
    }
}

static void tangent_by_text(Grad *g, Info *info, int number, const char *text, int count,
                            Symbol **arguments) {
    set(g, info, number, apply_text(g, leaf_scalar(info->leaves.types[number]), text, count, arguments));
}

static void tangent_of_lookup(Grad *g, Info *info, const Node *node) {
    const Node *whole = node->kids[0];
    Symbol *index = now_of(node->kids[1]->symbol), *arguments[4];
    bool dict = whole->type->kind == TY_dict;
    if (dict) {
        Symbol *found[2] = {dict_index(g, info_of(g, whole->symbol)), index};
        index = emit(g, "place",
                     apply_text(g, NULL,
                                node->kind == N_OptLookup ? "|d, k| optlookup(d, k)" : "|d, k| lookup(d, k)",
                                2, found));
    }
    for (int i = 0; i < info->leaves.count && !grad_failed(g); i++) {
        if (!info->active[i]) continue;
        arguments[0] = tangent_of(g, whole, i);
        arguments[1] = index;
        if (node->kind == N_Slice) {
            arguments[2] = now_of(node->kids[2]->symbol);
            tangent_by_text(g, info, i, "|t, i, n| slice(t, i, n)", 3, arguments);
        } else if (node->kind == N_OptLookup) {
            arguments[2] = zeros_of(g, info->symbol, i);
            tangent_by_text(g, info, i, "|t, p, z| if(p.$0, lookup(t, p.$1), z)", 3, arguments);
        } else {
            tangent_by_text(g, info, i, "|t, i| lookup(t, i)", 2, arguments);
        }
    }
}

/* Sorted once, with the places from where the elements came. */
static void tangent_of_sort(Grad *g, Info *info, const Node *node) {
    Symbol *pairs = sorted_pairs(g, node);
    if (grad_failed(g)) return;
    bind(g, info->symbol, firsts(g, info->symbol->name, pairs));
    const Node *vector = is_sorted_slice(node) ? node->kids[0]->kids[0] : node->kids[0];
    for (int i = 0; i < info->leaves.count; i++) {
        Symbol *arguments[2] = {pairs, tangent_of(g, vector, i)};
        if (info->active[i])
            tangent_by_text(g, info, i,
                            "|s, t| result(for(s, appender, |b, i, e| merge(b, lookup(t, e.$1))))", 2,
                            arguments);
    }
}

/* ---- what has bodies ---- */

static void tangent_of_if(Grad *g, Info *info, const Node *node) {
    Symbol **before = flows_save(g, info);
    Node *arms[2];
    for (int k = 0; k < 2; k++) {
        Node *body = node->kids[k + 1];
        flows_restore(info, before);
        block_open(g, B_ARM);
        tangents(g, body);
        if (grad_failed(g)) return;
        arms[k] = block_close(g, pack_end(g, info, body_end(body)));
    }
    unpack(g, info, emit(g, "chosen", make_if(g, use(g, now_of(node->kids[0]->symbol)), arms[0], arms[1])));
}

static void tangent_of_iterate(Grad *g, Info *info, const Node *node) {
    const Node *lambda = node->kids[1];
    Info *state = info_of(g, lambda->params[0]);
    Node *start = pack_end(g, state, node->kids[0]), *pair[2];
    Symbol *param = symbol_new(g->program, "s", start->type);
    block_open(g, B_ARM);
    unpack(g, state, param);
    tangents(g, lambda->kids[0]);
    if (grad_failed(g)) return;
    const Node *end = body_end(lambda->kids[0]);
    Symbol *now = now_of(end->symbol);
    pair[0] = pack(g, state, field_of(g, now, 0), end);
    pair[1] = field_of(g, now, 1);
    Node *made = make_lambda(g, 1, &param, block_close(g, struct_of(g, 2, pair)));
    unpack(g, info, emit(g, "state", node_make(g->program, N_Iterate, g->span, start->type, 2, start, made)));
}

/* Beside each iterator those over the tangents of its elements' leaves. Gives how many there are. */
static int tangent_iters(Grad *g, const Node *node, Node **iters) {
    int own = node->count - 2, count = own;
    for (int i = 0; i < own; i++) iters[i] = node_clone(g->program, node->kids[i]);
    for (int i = 0; i < own; i++) {
        const Node *iter = node->kids[i];
        for (int k = 0; iter_classes[iter->iter].has_data && k < type_leaves(iter->type); k++) {
            Symbol *tangent = tangent_of(g, iter->kids[0], k);
            if (!tangent) continue;
            Node *also = node_clone(g->program, iter);
            also->kids[0] = use(g, tangent);
            also->type = tangent->type->args[0];
            iters[count++] = also;
        }
    }
    return count;
}

static void bind_element(Grad *g, const Node *node, Symbol *element) {
    int own = node->count - 2, at = own;
    Symbol *param = node->kids[node->count - 1]->params[2];
    bool more = element->type != param->type;
    Node **parts = grad_alloc(g, (size_t)own, sizeof *parts);
    for (int i = 0; more && i < own; i++) parts[i] = field_of(g, element, i);
    Info *info =
        bind(g, param, !more ? element : emit(g, "e", own == 1 ? parts[0] : struct_of(g, own, parts)));
    for (int i = 0, leaf = 0; i < own; i++) {
        const Node *iter = node->kids[i];
        for (int k = 0; k < type_leaves(iter->type); k++, leaf++) {
            bool walked = iter_classes[iter->iter].has_data && tangent_of(g, iter->kids[0], k);
            if (walked) info->tangent[leaf] = emit(g, "tangent", field_of(g, element, at++));
        }
    }
}

static int most_iters(const Node *node) {
    int count = node->count;
    for (int i = 0; i < node->count - 2; i++) count += type_leaves(node->kids[i]->type);
    return count;
}

static void tangent_of_for(Grad *g, Info *info, const Node *node) {
    const Node *lambda = node->kids[node->count - 1];
    Info *builder = info_of(g, lambda->params[0]);
    Node **iters = grad_alloc(g, (size_t)most_iters(node), sizeof *iters);
    int count = tangent_iters(g, node, iters);
    Type **types = grad_alloc(g, (size_t)count, sizeof *types);
    for (int i = 0; i < count; i++) types[i] = iters[i]->type;
    Node *before = pack_end(g, builder, node->kids[node->count - 2]);
    Symbol *params[3] = {symbol_new(g->program, "b", before->type),
                         symbol_new(g->program, lambda->params[1]->name, lambda->params[1]->type),
                         symbol_new(g->program, "e", count == 1 ? types[0] : struct_type(g, count, types))};
    block_open(g, B_ARM);
    unpack(g, builder, params[0]);
    bind(g, lambda->params[1], params[1]);
    bind_element(g, node, params[2]);
    tangents(g, lambda->kids[0]);
    if (grad_failed(g)) return;
    Node *end = pack_end(g, builder, body_end(lambda->kids[0]));
    Node *made = make_lambda(g, 3, params, block_close(g, end));
    Node *loop = make_for(g, count, iters, before, made);
    loop->notes = node->notes;
    unpack(g, info, emit(g, "loop", loop));
}

/* ---- builders ---- */

static bool is_sum(const Cell *cell) {
    return !cell->sequence || cell->type->kind == TY_appender || cell->type->kind == TY_groupmerger;
}

/* The builder of a leaf's tangents. */
static Type *flow_type(Grad *g, const Cell *cell, int leaf) {
    Type *type = cell->leaves.types[leaf];
    switch (is_sum(cell) ? cell->type->kind : TY_appender) {
    case TY_merger: return builder_of(g, TY_merger, OP_add, type, NULL);
    case TY_vecmerger: return builder_of(g, TY_vecmerger, OP_add, type, NULL);
    case TY_dictmerger: return builder_of(g, TY_dictmerger, OP_add, cell->type->args[0], type);
    case TY_groupmerger: return builder_of(g, TY_groupmerger, OP_none, cell->type->args[0], type);
    default: return builder_of(g, TY_appender, OP_none, type, NULL);
    }
}

static void tangent_of_new(Grad *g, Info *info, Node *node) {
    Cell *cell = info->cell[0];
    TypeKind kind = node->type->kind;
    bool starts = node->count && (kind == TY_merger || kind == TY_vecmerger);
    int leaves = cell->leaves.count;
    cell->flow = grad_alloc(g, (size_t)leaves + 1, sizeof *cell->flow);
    for (int i = 0; i < leaves; i++) {
        if (!cell->active[i]) continue;
        Type *type = flow_type(g, cell, i);
        Symbol *first = starts ? tangent_or_zeros(g, node->kids[0], i) : NULL;
        bool in = first && is_sum(cell);
        cell->flow[i] = emit(g, "flow", make_new(g, type, in ? use(g, first) : NULL));
        if (!first || in) continue;
        Symbol *arguments[2] = {cell->flow[i], first};
        cell->flow[i] =
            emit(g, "flow",
                 kind == TY_merger
                     ? make_merge(g, use(g, cell->flow[i]), use(g, first))
                     : apply_text(g, NULL, "|b, v| for(v, b, |b2, i, x| merge(b2, x))", 2, arguments));
    }
    if (!is_sum(cell)) cell->flow[leaves] = records_new(g, node, record_builder(g, cell));
}

static void tangent_of_merge(Grad *g, Info *info, const Node *node) {
    Cell *cell = info->cell[0];
    const Node *value = node->kids[1];
    int leaves = cell->leaves.count, skip = type_leaves(value->type) - leaves;
    bool keyed = cell->type->kind == TY_dictmerger || cell->type->kind == TY_groupmerger ||
                 cell->type->kind == TY_vecmerger;
    for (int i = 0; i < leaves; i++) {
        Symbol *tangent = tangent_of(g, value, skip + i);
        if (!cell->flow[i] || (!tangent && !cell->sequence)) continue;
        Node *pair[2] = {NULL, use(g, tangent ? tangent : zeros_of(g, value->symbol, skip + i))};
        if (keyed && is_sum(cell)) pair[0] = field_of(g, now_of(value->symbol), 0);
        cell->flow[i] =
            emit(g, "flow", make_merge(g, use(g, cell->flow[i]), pair[0] ? struct_of(g, 2, pair) : pair[1]));
    }
    if (!is_sum(cell))
        cell->flow[leaves] =
            emit(g, "flow", make_merge(g, use(g, cell->flow[leaves]), use(g, now_of(value->symbol))));
}

/* The tangents of a dictionary's values, in its order, from a dictionary of them. */
static Node *by_key(Grad *g, Symbol *dict, Symbol *tangents_of_keys) {
    Symbol *arguments[2] = {dict, tangents_of_keys};
    return apply_text(g, NULL,
                      "|p, d| result(for(tovec(p), appender, |b, i, e| merge(b, optlookup(d, e.$0).$1)))", 2,
                      arguments);
}

static void tangent_of_result(Grad *g, Info *info, const Node *node) {
    Info *builder = info_of(g, node->kids[0]->symbol);
    Cell *cell = builder->cell[0];
    TypeKind kind = cell->type->kind;
    Symbol *records = NULL;
    if (!is_sum(cell)) {
        Symbol *made = cell->flow[cell->leaves.count];
        records = emit(g, "records", make_result(g, made, type_vec(&g->program->types, made->type->args[0])));
    }
    for (int i = 0; i < cell->leaves.count && !grad_failed(g); i++) {
        Symbol *flow = cell->flow[i];
        if (!flow) continue;
        bool dict = is_sum(cell) && info->symbol->type->kind == TY_dict;
        Type *leaf = info->leaves.types[i], *type = dict && kind == TY_groupmerger ? leaf->args[0] : NULL;
        if (dict) {
            Type *parts[2] = {cell->type->args[0], type ? type : leaf->args[0]};
            type = type_make(&g->program->types, TY_dict, OP_none, 2, parts);
        } else {
            type = is_sum(cell) ? leaf : type_vec(&g->program->types, flow->type->args[0]);
        }
        Symbol *built = emit(g, "tangent", make_result(g, flow, type));
        if (dict)
            set(g, info, i, by_key(g, now_of(info->symbol), built));
        else
            info->tangent[i] = is_sum(cell) ? built : sequence_tangent(g, cell, info, i, records, built);
    }
}

/* ---- calls of C functions ---- */

static void tangent_of_call(Grad *g, Info *info, Node *node) {
    int leaves = info->leaves.count, first = node->kind == N_Cfill, at = 0, most = 0;
    for (int i = first; i < node->count; i++) most += type_leaves(node->kids[i]->type);
    Symbol **along = grad_alloc(g, (size_t)most, sizeof *along);
    for (int i = first; i < node->count; i++) {
        for (int k = 0; k < type_leaves(node->kids[i]->type); k++)
            along[at++] = tangent_of(g, node->kids[i], k);
    }
    Symbol **made = foreign_tangents(g, info, along);
    for (int i = 0; made && i < leaves; i++) info->tangent[i] = made[i];
}

/* ---- bodies ---- */

static void tangent_of_value(Grad *g, Info *info, Node *node) {
    switch (node->kind) {
    case N_If: tangent_of_if(g, info, node); return;
    case N_Iterate: tangent_of_iterate(g, info, node); return;
    case N_For: tangent_of_for(g, info, node); return;
    case N_Sort: tangent_of_sort(g, info, node); return;
    case N_Slice:
        if (!is_sorted_slice(node)) break;
        tangent_of_sort(g, info, node);
        return;
    default: break;
    }
    bind(g, info->symbol, emit(g, info->symbol->name, node_clone(g->program, node)));
    int at = 0;
    switch (node->kind) {
    case N_Ident: copy_tangents(g, info, 0, node, 0); break;
    case N_After:
    case N_Checkpoint: copy_tangents(g, info, 0, node->kids[0], 0); break;
    case N_Field:
        copy_tangents(g, info, 0, node->kids[0], leaves_before(node->kids[0]->type, node->index));
        break;
    case N_Struct:
        for (int i = 0; i < node->count; at += type_leaves(node->kids[i]->type), i++)
            copy_tangents(g, info, at, node->kids[i], 0);
        break;
    case N_ToVec: copy_tangents(g, info, type_leaves(node->kids[0]->type->args[0]), node->kids[0], 0); break;
    case N_Vec: tangent_of_vec(g, info, node); break;
    case N_Cast: {
        Symbol *tangent = tangent_of(g, node->kids[0], 0);
        if (tangent) set(g, info, 0, node_make(g->program, N_Cast, g->span, node->type, 1, use(g, tangent)));
        break;
    }
    case N_Unary:
    case N_Binary: tangent_of_operator(g, info, node); break;
    case N_Select: tangent_of_select(g, info, node); break;
    case N_Lookup:
    case N_OptLookup:
    case N_Slice: tangent_of_lookup(g, info, node); break;
    case N_NewBuilder: tangent_of_new(g, info, node); break;
    case N_Merge: tangent_of_merge(g, info, node); break;
    case N_Result: tangent_of_result(g, info, node); break;
    case N_Cudf:
    case N_Cfun:
    case N_Cfill: tangent_of_call(g, info, node); break;
    default: break; /* constants, and what has no active operands: grad_study.c */
    }
}

static void tangents(Grad *g, Node *body) {
    for (; body->kind == N_Let && !grad_failed(g); body = body->kids[1]) {
        Info *info = info_of(g, body->symbol);
        g->span = body->kids[0]->span;
        if (is_active(info))
            tangent_of_value(g, info, body->kids[0]);
        else
            bind(g, body->symbol, emit(g, body->symbol->name, node_clone(g->program, body->kids[0])));
    }
}

Node *derive_forward(Grad *g, Node *node) {
    Node *lambda = node->kids[0], *body = lambda->kids[0], *along = node->kids[node->count - 1];
    int chosen = 0, at = 0;
    for (int i = 0; i < lambda->nparams; i++) chosen += is_chosen(node, i);
    Symbol *direction = emit(g, "direction", along);
    for (int i = 0; i < lambda->nparams; i++) {
        if (!is_chosen(node, i)) continue;
        Info *info = info_of(g, lambda->params[i]);
        Symbol *own = chosen == 1 ? direction : emit(g, "direction", field_of(g, direction, at++));
        info->tangent = grad_alloc(g, (size_t)info->leaves.count, sizeof *info->tangent);
        for (int k = 0; k < info->leaves.count; k++) info->tangent[k] = leaf_of(g, own, k);
    }
    tangents(g, body);
    g->span = node->span;
    if (grad_failed(g)) return node;
    Node *end = body_end(body), *pair[2];
    Symbol *value = now_of(end->symbol),
           **leaves = grad_alloc(g, (size_t)type_leaves(end->type), sizeof *leaves);
    for (int i = 0; i < type_leaves(end->type); i++) leaves[i] = tangent_of(g, end, i);
    pair[0] = use(g, value);
    pair[1] = from_leaves(g, end->type, value, leaves, node->span);
    return struct_of(g, 2, pair);
}
