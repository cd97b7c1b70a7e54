/* grad_value.c: gradients as values of the type of what one differentiates by.
 *
 *     of {i64, vec[{f32, i64}]} with adjoint [g, h] of its one leaf:   {0, [{g, 0}, {h, 0}]}
 *
 * What is no float is 0 of its type: false, an empty vector where a vector holds no floats at all, an empty dictionary. A
 * dictionary's gradient has the keys of the dictionary.
 */
#include "grad.h"

static bool is_combinable(const Type *type) {
    if (type_is_scalar(type)) return type->kind != TY_bool;
    for (int i = 0; i < type->count; i++) {
        if (!type_is_scalar(type->args[i]) || type->args[i]->kind == TY_bool) return false;
    }
    return type->kind == TY_struct && type->count > 0;
}

static bool holds_dict(const Type *type) {
    bool holds = type->kind == TY_dict;
    for (int i = 0; i < type->count && !holds; i++) holds = holds_dict(type->args[i]);
    return holds;
}

/* A loop over the primal elements, where they matter, and the leaves of each. */
static Node *from_elements(Grad *g, Type *type, Symbol *value, Symbol **leaves, Span span) {
    bool dict = type->kind == TY_dict;
    Type *inner = type->args[dict], *i64 = type_scalar(&g->program->types, TY_i64);
    bool primal = dict || holds_dict(inner), group = dict && inner->kind == TY_vec;
    int count = type_leaves(inner), iters = count + primal;
    Node **iter = grad_alloc(g, (size_t)iters, sizeof *iter);
    Type **types = grad_alloc(g, (size_t)iters, sizeof *types);
    if (dict && !group && !is_combinable(inner)) {
        grad_fail(g, span,
                  "there is no gradient by a dictionary whose values are neither numbers nor vectors");
        return zero_of(g, i64);
    }
    if (primal && dict)
        iter[0] = make_iter(g, node_make(g->program, N_ToVec, g->span,
                                         type_vec(&g->program->types, struct_type(g, 2, type->args)), 1,
                                         use(g, value)));
    else if (primal)
        iter[0] = make_iter(g, use(g, value));
    for (int i = 0; i < count; i++) {
        if (!leaves[i]) leaves[i] = leaf_zeros(g, value, i);
        iter[i + primal] = make_iter(g, use(g, leaves[i]));
    }
    for (int i = 0; i < iters; i++) types[i] = iter[i]->type;
    Type *builder = group  ? builder_of(g, TY_groupmerger, OP_none, type->args[0], inner->args[0])
                    : dict ? builder_of(g, TY_dictmerger, OP_add, type->args[0], inner)
                           : builder_of(g, TY_appender, OP_none, inner, NULL);
    Symbol *params[3] = {symbol_new(g->program, "b", builder), symbol_new(g->program, "i", i64),
                         symbol_new(g->program, "e", iters == 1 ? types[0] : struct_type(g, iters, types))};
    block_open(g, B_ARM);
    Symbol **parts = grad_alloc(g, (size_t)iters, sizeof *parts);
    for (int i = 0; i < iters; i++)
        parts[i] = iters == 1 ? params[2] : emit(g, "part", field_of(g, params[2], i));
    Symbol *element = primal && dict ? emit(g, "value", field_of(g, parts[0], 1)) : primal ? parts[0] : NULL;
    Node *made = from_leaves(g, inner, element, parts + primal, span), *pair[2];
    Symbol *merged = emit(g, "gradient", made);
    pair[1] = use(g, merged);
    if (dict) pair[0] = field_of(g, parts[0], 0);
    Node *body;
    if (group) {
        Symbol *key = emit(g, "key", pair[0]), *arguments[3] = {params[0], merged, key};
        body = apply_text(g, NULL, "|b, v, key| for(v, b, |b2, i, x| merge(b2, {key, x}))", 3, arguments);
    } else {
        body = make_merge(g, use(g, params[0]), dict ? struct_of(g, 2, pair) : pair[1]);
    }
    Node *lambda = make_lambda(g, 3, params, block_close(g, body));
    Symbol *loop = emit(g, "gradients", make_for(g, iters, iter, make_new(g, builder, NULL), lambda));
    return make_result(g, loop, type);
}

static Node *zero_value(Grad *g, Type *type, Span span) {
    if (type_is_scalar(type)) return zero_of(g, type);
    Node *node = node_new(g->program, type->kind == TY_vec ? N_Vec : N_Struct, g->span, type,
                          type->kind == TY_struct ? type->count : 0);
    for (int i = 0; i < node->count; i++) node->kids[i] = zero_value(g, type->args[i], span);
    if (type->kind != TY_dict) return node;
    Type *value = type->args[1];
    if (value->kind != TY_vec && !is_combinable(value))
        grad_fail(g, span,
                  "there is no gradient by a dictionary whose values are neither numbers nor vectors");
    Type *builder = value->kind == TY_vec
                        ? builder_of(g, TY_groupmerger, OP_none, type->args[0], value->args[0])
                        : builder_of(g, TY_dictmerger, OP_add, type->args[0], value);
    return make_result(g, emit(g, "none", make_new(g, builder, NULL)), type);
}

Node *from_leaves(Grad *g, Type *type, Symbol *value, Symbol **leaves, Span span) {
    int count = type_leaves(type);
    if (count == 0) return zero_value(g, type, span);
    if (type_is_float(type)) return leaves[0] ? use(g, leaves[0]) : zero_of(g, type);
    if (type->kind == TY_struct) {
        Node **kids = grad_alloc(g, (size_t)type->count, sizeof *kids);
        for (int i = 0, at = 0; i < type->count; at += type_leaves(type->args[i]), i++) {
            Symbol *field = value ? emit(g, "part", field_of(g, value, i)) : NULL;
            kids[i] = from_leaves(g, type->args[i], field, leaves + at, span);
        }
        return struct_of(g, type->count, kids);
    }
    if (count == 1 && leaf_type(g, type, 0) == type) {
        if (!leaves[0]) leaves[0] = leaf_zeros(g, value, 0);
        return use(g, leaves[0]);
    }
    return from_elements(g, type, value, leaves, span);
}
