/* grad.c: derivatives: grad(f) becomes a program that computes them; jvp(f): see grad_tangent.c.
 *
 *     grad(|x, y| x * sin(y))(a, b)   =>   let x = a; let y = b;  let s = sin(y); let r = x * s;         the primal program,
 *                                          let x' = 1.0 * s; let s' = 1.0 * x; let y' = s' * cos(y);     then backwards
 *                                          {r, {x', y'}}
 *
 * Reverse mode, source to source. A body is a chain of lets (grad_normal.c). It is computed as it was; then its lets are
 * visited from the last to the first, and each one's adjoint (the derivative of the result by it, complete by now, as
 * all its uses came before) is handed on to what it was computed from: of scalars by the rows PARTIAL of scalar.def. As
 * every adjoint has a name the program that is made is linear in the program that is derived.
 *
 * Nothing is recorded. What happens within a loop or an arm is computed again where its adjoints are: the adjoint of a loop
 * is a loop that computes its body anew, then backwards (grad_loop.c). That costs each level of nesting one more time, and
 * no memory. What the loop takes from outside gets its adjoint in builders of the adjoint loop (grad_leaf.c), so a map's
 * adjoint is a map, a sum's a loop that scales, and a loop of lookups one that scatters:
 *
 *     map(x, |e| e * w)   =>   for(zip(x, r'), {appender, merger[+]}, |b, i, e| {merge(b.$0, e.$1 * w), merge(b.$1, e.$1 * e.$0)})
 *
 * Schenck, Ronning, Henriksen and Oancea, "AD for an Array Language with Nested Parallelism", SC 2022.
 *
 * The function is fused before (Program.prepare): what a loop makes and the next one walks has no adjoint then.
 *
 * program_derive runs on a typed program and leaves one, so the derivative of a derivative is taken by taking the inner
 * one first.
 */
#include "grad.h"

#include <stdio.h>

bool grad_fail(Grad *g, Span span, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    return error_set(&g->program->error, E_Type, span, "%s", text);
}

/* ---- rules ---- */

/* Of each operator, by its operands. */
static const char *const partials[OP_COUNT][2] = {
#define PARTIAL(id, a, b) [OP_##id] = {a, b},
#include "../scalar.def"
};

Symbol *partial(Grad *g, const Node *node, int operand, Symbol *result, Symbol *along) {
    Symbol *arguments[4] = {along};
    for (int i = 0; i < node->count; i++) arguments[i + 1] = now_of(node->kids[i]->symbol);
    arguments[node->count + 1] = result;
    const char *rule = partials[node->op][operand];
    if (!rule) grad_fail(g, node->span, "%s has no derivative", op_classes[node->op].spelling);
    if (!rule || (rule[0] == 'g' && !rule[1])) return along;
    Buf text = {0};
    buf_printf(&text, node->count == 1 ? "|g, a, r| %s" : "|g, a, b, r| %s", rule);
    Node *made = apply_text(g, node->type, text.text ? text.text : "", node->count + 2, arguments);
    buf_release(&text);
    return emit(g, "adjoint", made);
}

static void reverse_operator(Grad *g, const Node *node, Symbol *result, Symbol *adjoint) {
    for (int i = 0; i < node->count && !grad_failed(g); i++) {
        Info *operand = info_of(g, node->kids[i]->symbol);
        if (operand && operand->active[0]) leaf_add(g, operand, 0, partial(g, node, i, result, adjoint));
    }
}

static void reverse_select(Grad *g, const Node *node, Symbol **adjoints, int count) {
    for (int arm = 1; arm <= 2; arm++) {
        Info *operand = info_of(g, node->kids[arm]->symbol);
        for (int i = 0; i < count; i++) {
            if (!adjoints[i] || !operand || !operand->active[i]) continue;
            Symbol *zero = leaf_zeros(g, now_of(operand->symbol), i);
            Symbol *arms[2] = {arm == 1 ? adjoints[i] : zero, arm == 1 ? zero : adjoints[i]};
            leaf_add(
                g, operand, i,
                emit(g, "adjoint",
                     node_make(g->program, N_Select, g->span, zero->type, 3,
                               use(g, now_of(node->kids[0]->symbol)), use(g, arms[0]), use(g, arms[1]))));
        }
    }
}

Symbol *lookup_in(Grad *g, Symbol *vector, Symbol *index) {
    Symbol *fill = fill_of(g, vector);
    if (fill) return fill;
    return emit(g, "adjoint",
                node_make(g->program, N_Lookup, g->span, vector->type->args[vector->type->kind == TY_dict], 2,
                          use(g, vector), use(g, index)));
}

Symbol *dict_index(Grad *g, Info *dict) {
    Block *at = g->block;
    g->block = dict->block;
    Symbol *now = now_of(dict->symbol);
    if (!dict->index)
        dict->index =
            emit(g, "places",
                 apply_text(g, NULL,
                            "|d| result(for(tovec(d), dictmerger[?, i64, +], |b, i, e| merge(b, {e.$0, i})))",
                            1, &now));
    g->block = at;
    return dict->index;
}

static void reverse_lookup(Grad *g, const Node *node, Symbol **adjoints, int count) {
    Info *whole = info_of(g, node->kids[0]->symbol);
    Symbol *index = now_of(node->kids[1]->symbol);
    if (!whole) return;
    if (node->kind == N_OptLookup) {
        Symbol *places = dict_index(g, whole), *arguments[2] = {places, index};
        Symbol *found = emit(g, "found", apply_text(g, NULL, "|d, k| optlookup(d, k)", 2, arguments));
        Symbol *is = emit(g, "is", field_of(g, found, 0)), *place = emit(g, "place", field_of(g, found, 1));
        Block *arm[2];
        for (int i = 0; i < count; i++) {
            if (whole->active[i] && adjoints[i]) leaf_open(g, whole, i);
        }
        for (int k = 0; k < 2; k++) {
            arm[k] = block_open(g, B_ARM);
            for (int i = 0; i < count && k == 0; i++) leaf_add_at(g, whole, i, place, adjoints[i], false);
            g->block = arm[k]->parent;
        }
        close_arms(g, is, arm[0], arm[1]);
        return;
    }
    if (node->kids[0]->type->kind == TY_dict) index = lookup_in(g, dict_index(g, whole), index);
    bool element = node->kind == N_Lookup && node->kids[0]->type->kind == TY_vec;
    for (int i = 0; i < count; i++) {
        if (!element || !stream_add(g, whole, i, node->kids[1], adjoints[i]))
            leaf_add_at(g, whole, i, index, adjoints[i], node->kind == N_Slice);
    }
}

typedef struct Order {
    Grad *g;
    Symbol **elements, *pairs[2];
} Order;

/* An element that is compared is the first of its pair; not by a let, so that an order by a key is still seen as one. */
static void take_element(Walk *walk, Node **slot) {
    Order *order = walk->data;
    for (int i = 0; i < 2; i++) {
        if ((*slot)->kind != N_Ident || (*slot)->symbol != order->elements[i]) continue;
        *slot = field_of(order->g, order->pairs[i], 0);
        return;
    }
}

Symbol *sorted_pairs(Grad *g, const Node *node) {
    const Node *sort = is_sorted_slice(node) ? node->kids[0] : node;
    Symbol *vector = now_of(sort->kids[0]->symbol);
    Symbol *pairs =
        emit(g, "pairs",
             apply_text(g, NULL, "|v| result(for(v, appender, |b, i, x| merge(b, {x, i})))", 1, &vector));
    if (grad_failed(g)) return pairs;
    Node *order = node_clone(g->program, sort->kids[1]);
    Order replaced = {.g = g, .elements = order->params};
    for (int i = 0; i < 2; i++) replaced.pairs[i] = symbol_new(g->program, "pair", pairs->type->args[0]);
    Walk walk = {g->program, NULL, take_element, &replaced};
    node_walk(&walk, &order->kids[0]);
    Node *lambda = make_lambda(g, 2, replaced.pairs, order->kids[0]);
    Node *sorted = node_make(g->program, N_Sort, g->span, pairs->type, 2, use(g, pairs), lambda);
    if (sort != node)
        sorted = node_make(g->program, N_Slice, g->span, pairs->type, 3, sorted,
                           use(g, now_of(node->kids[1]->symbol)), use(g, now_of(node->kids[2]->symbol)));
    return emit(g, "sorted", sorted);
}

Symbol *firsts(Grad *g, const char *name, Symbol *pairs) {
    return emit(g, name,
                apply_text(g, NULL, "|s| result(for(s, appender, |b, i, e| merge(b, e.$0)))", 1, &pairs));
}

/* Elements and where they were are sorted together; so every adjoint knows where it goes. Rows do not: for each element
 * it is found where it went. */
static void reverse_sort(Grad *g, Info *info, const Node *node, Symbol **adjoints, int count) {
    Info *whole = info_of(g, node->kids[0]->symbol);
    Symbol *sorted = info->sorted ? info->sorted : sorted_pairs(g, node), *places = NULL;
    for (int i = 0; i < count && !grad_failed(g); i++) {
        Symbol *arguments[2] = {sorted, adjoints[i]};
        if (!adjoints[i]) continue;
        if (leaf_rank(adjoints[i]->type) == 1) {
            leaf_add(
                g, whole, i,
                emit(g, "adjoint",
                     apply_text(g, leaf_scalar(adjoints[i]->type),
                                "|s, g| let none = result(for(s, appender[T], |b, i, x| merge(b, T(0.0))));"
                                " result(for(zip(s, g), vecmerger[T, +](none), |b, i, e|"
                                " merge(b, {e.$0.$1, e.$1})))",
                                2, arguments)));
            continue;
        }
        if (!places)
            places =
                emit(g, "places",
                     apply_text(g, NULL,
                                "|s| let none = result(for(s, appender[i64], |b, i, x| merge(b, 0L)));"
                                " result(for(s, vecmerger[i64, +](none), |b, i, x| merge(b, {x.$1, i})))",
                                1, &sorted));
        arguments[0] = places;
        leaf_add(g, whole, i,
                 emit(g, "adjoint",
                      apply_text(g, NULL, "|p, g| result(for(p, appender, |b, i, x| merge(b, lookup(g, x))))",
                                 2, arguments)));
    }
}

/* The same of a slice of sorted scalars. */
static void reverse_sorted_slice(Grad *g, Info *info, const Node *node, Symbol *adjoint) {
    const Node *vector = node->kids[0]->kids[0];
    Symbol *arguments[3] = {info->sorted ? info->sorted : sorted_pairs(g, node), adjoint,
                            now_of(vector->symbol)};
    Info *whole = info_of(g, vector->symbol);
    if (!whole || !adjoint || grad_failed(g)) return;
    leaf_add(
        g, whole, 0,
        emit(g, "adjoint",
             apply_text(g, leaf_scalar(adjoint->type),
                        "|s, g, v| let none = result(for(v, appender[T], |b, i, x| merge(b, T(0.0))));"
                        " result(for(zip(s, g), vecmerger[T, +](none), |b, i, e| merge(b, {e.$0.$1, e.$1})))",
                        3, arguments)));
}

/* The adjoints of the operands, from those of the value. */
static void reverse_value(Grad *g, Info *info, Node *node, Symbol **adjoints) {
    int count = info->leaves.count, at = 0;
    switch (node->kind) {
    case N_Unary:
    case N_Binary: reverse_operator(g, node, now_of(info->symbol), adjoints[0]); break;
    case N_Cast:
        leaf_add(g, info_of(g, node->kids[0]->symbol), 0,
                 emit(g, "adjoint",
                      node_make(g->program, N_Cast, g->span, node->kids[0]->type, 1, use(g, adjoints[0]))));
        break;
    case N_Ident:
        for (int i = 0; i < count; i++) leaf_add(g, info_of(g, node->symbol), i, adjoints[i]);
        break;
    case N_After:
    case N_Checkpoint:
        for (int i = 0; i < count; i++) leaf_add(g, info_of(g, node->kids[0]->symbol), i, adjoints[i]);
        break;
    case N_Field:
        for (int i = 0; i < node->index; i++) at += type_leaves(node->kids[0]->type->args[i]);
        for (int i = 0; i < count; i++) leaf_add(g, info_of(g, node->kids[0]->symbol), at + i, adjoints[i]);
        break;
    case N_Struct:
        for (int i = 0; i < node->count; i++) {
            for (int k = 0; k < type_leaves(node->kids[i]->type); k++)
                leaf_add(g, info_of(g, node->kids[i]->symbol), k, adjoints[at++]);
        }
        break;
    case N_Vec:
        for (int k = 0; k < node->count; k++) {
            Symbol *index = emit(g, "index", i64_literal(g, k));
            for (int i = 0; i < count; i++) {
                Info *element = info_of(g, node->kids[k]->symbol);
                if (adjoints[i] && element && element->active[i])
                    leaf_add(g, element, i, lookup_in(g, adjoints[i], index));
            }
        }
        break;
    case N_Select: reverse_select(g, node, adjoints, count); break;
    case N_Lookup:
    case N_OptLookup:
    case N_Slice:
        if (is_sorted_slice(node))
            reverse_sorted_slice(g, info, node, adjoints[0]);
        else
            reverse_lookup(g, node, adjoints, count);
        break;
    case N_ToVec:
        at = type_leaves(node->kids[0]->type->args[0]);
        for (int i = at; i < count; i++) leaf_add(g, info_of(g, node->kids[0]->symbol), i - at, adjoints[i]);
        break;
    case N_Sort: reverse_sort(g, info, node, adjoints, count); break;
    case N_If: reverse_if(g, info, adjoints); break;
    case N_Iterate: reverse_iterate(g, info, adjoints); break;
    case N_Result: reverse_result(g, info, adjoints); break;
    case N_Cudf:
    case N_Cfun:
    case N_Cfill: reverse_foreign(g, info, adjoints); break;
    default: break; /* constants, and what has no active operands: grad_study.c */
    }
}

void grad_reverse_let(Grad *g, Info *info) {
    Node *node = info->def;
    Symbol **adjoints = grad_alloc(g, (size_t)info->leaves.count, sizeof *adjoints);
    bool any = false;
    g->span = node->span;
    for (int i = 0; i < info->leaves.count && !grad_failed(g); i++) {
        if (info->active[i]) adjoints[i] = leaf_value(g, info, i);
        any |= adjoints[i] != NULL;
    }
    for (int i = 0; i < info->cells; i++) any |= info->cell[i]->live;
    if (!any) return;
    switch (node->kind) {
    case N_Merge: reverse_merge(g, info); break;
    case N_NewBuilder: reverse_new(g, info); break;
    case N_For: reverse_for(g, info); break;
    default: reverse_value(g, info, node, adjoints); break;
    }
}

void grad_reverse(Grad *g, Node *body) {
    size_t count = 0;
    for (Node *let = body; let->kind == N_Let; let = let->kids[1]) count++;
    Info **infos = grad_alloc(g, count, sizeof *infos);
    count = 0;
    for (Node *let = body; let->kind == N_Let && infos; let = let->kids[1])
        infos[count++] = info_of(g, let->symbol);
    while (count > 0 && !grad_failed(g)) grad_reverse_let(g, infos[--count]);
}

/* ---- one derivative ---- */

bool is_chosen(const Node *node, int number) {
    return node->bits ? node->bits >> number & 1 : type_has_floats(node->kids[0]->params[number]->type);
}

/* The primal program, its parameters named and those that are chosen active. */
static void open_primal(Grad *g, Node *node) {
    Node *lambda = node->kids[0];
    if (!g->block) block_open(g, B_TOP);
    normalize(g, &lambda->kids[0]);
    g->known = g->program->symbols;
    g->infos = grad_alloc(g, (size_t)g->known, sizeof *g->infos);
    if (!g->infos) return;
    for (int i = 0; i < lambda->nparams; i++) {
        Info *info = info_make(g, lambda->params[i], NULL, 0);
        for (int k = 0; k < info->leaves.count; k++) info->active[k] = is_chosen(node, i);
        bind_value(g, lambda->params[i], emit(g, lambda->params[i]->name, node->kids[i + 1]));
    }
    study(g, lambda->kids[0], 0);
}

static Node *gradient_of(Grad *g, Info *param, Span span) {
    Symbol **leaves = grad_alloc(g, (size_t)param->leaves.count, sizeof *leaves);
    for (int i = 0; i < param->leaves.count; i++) leaves[i] = leaf_value(g, param, i);
    return from_leaves(g, param->symbol->type, now_of(param->symbol), leaves, span);
}

static Node *derive_reverse(Grad *g, Node *node) {
    Node *lambda = node->kids[0], *body = lambda->kids[0];
    Node **gradients = grad_alloc(g, (size_t)lambda->nparams, sizeof *gradients), *pair[2];
    int count = 0;
    forward(g, body);
    if (grad_failed(g)) return node;
    Info *result = info_of(g, body_end(body)->symbol);
    if (result) leaf_add(g, result, 0, emit(g, "one", number_of(g, lambda->kids[0]->type, 1)));
    if (again_wanted(g, body))
        again_reverse(g, body);
    else
        grad_reverse(g, body);
    g->span = node->span;
    for (int i = 0; i < lambda->nparams && !grad_failed(g); i++) {
        if (is_chosen(node, i))
            gradients[count++] = gradient_of(g, info_of(g, lambda->params[i]), node->kids[i + 1]->span);
    }
    if (grad_failed(g)) return node;
    pair[0] = use(g, now_of(body_end(body)->symbol));
    pair[1] = count == 1 ? gradients[0] : struct_of(g, count, gradients);
    return struct_of(g, 2, pair);
}

/* No name has a value any more. */
static void close_primal(Grad *g) {
    for (int i = 0; g->infos && i < g->known; i++) {
        if (g->infos[i]) g->infos[i]->symbol->twin = NULL;
    }
    grad_rules_free(g);
}

Symbol **transpose(Grad *outer, Node *lambda, Symbol *at, Symbol **adjoints) {
    Grad g = {.program = outer->program, .span = outer->span, .saving = true, .block = outer->block};
    Node *call = node_make(g.program, N_Grad, g.span, NULL, 2, lambda, use(outer, at));
    open_primal(&g, call);
    g.block = outer->block;
    Symbol **made = NULL;
    if (!grad_failed(&g)) {
        Node *body = lambda->kids[0];
        forward(&g, body);
        Info *result = info_of(&g, body_end(body)->symbol), *param = info_of(&g, lambda->params[0]);
        for (int i = 0; !grad_failed(&g) && i < result->leaves.count; i++)
            leaf_add(&g, result, i, adjoints[i]);
        grad_reverse(&g, body);
        made = grad_alloc(&g, (size_t)param->leaves.count, sizeof *made);
        for (int i = 0; i < param->leaves.count && !grad_failed(&g); i++) made[i] = leaf_value(&g, param, i);
    }
    close_primal(&g);
    return grad_failed(outer) ? NULL : made;
}

static void derive(Walk *walk, Node **slot) {
    Program *program = walk->program;
    Node *node = *slot, *lambda = node->kids ? node->kids[0] : NULL;
    if ((node->kind != N_Grad && node->kind != N_Jvp) || program->error.code != E_None) return;
    Grad g = {.program = program, .span = node->span, .saving = true};
    if (node->kind == N_Grad && !type_is_float(lambda->kids[0]->type)) {
        Buf text = {0};
        type_print(&text, lambda->kids[0]->type);
        grad_fail(&g, node->span,
                  "grad derives functions whose result is f32 or f64, but the result of this one is %.100s",
                  text.text ? text.text : "?");
        buf_release(&text);
        return;
    }
    if (program->prepare && !program->prepare(program, &node->kids[0])) return;
    open_primal(&g, node);
    if (!grad_failed(&g)) {
        Node *made = node->kind == N_Grad ? derive_reverse(&g, node) : derive_forward(&g, node);
        if (!grad_failed(&g)) *slot = block_close(&g, made);
    }
    close_primal(&g);
}

bool program_derive(Program *program) {
    Walk walk = {program, NULL, derive, NULL};
    node_walk(&walk, &program->root);
    if (program->error.code != E_None) return false;
    if (program->arena.exhausted) {
        Span start = {0, 0, 0};
        return error_set(&program->error, E_OutOfMemory, start, "no memory for a derivative");
    }
    grad_tidy(program);
    int depth = node_depth(program->root) + 2;
    if (depth > program->depth) program->depth = depth;
    return true;
}
