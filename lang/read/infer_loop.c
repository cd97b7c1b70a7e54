/* infer_loop.c: the rules of types for functions, loops and builders.
 *
 * The type of a Lambda is |parameters| result; the rule of the node that owns it gives the parameters their
 * types before its body is visited (in->entering), and checks its result afterwards:
 *
 *     for(v, b, |x, i, e| ...)    x is b's type; i is i64; e is v's element, or with several iterators their
 *                                 struct, or lanes of them; the result is b's type
 *     iterate(init, |s| ...)      s is init's type T; the result is {T, bool}
 *     sort(v, |x, y| ...)         x and y are v's element; the result is i32
 *
 * The type of an Iter is that of what it yields. Which iterator it is decides between scalars and lanes.
 */
#include "infer.h"

/* ---- functions ---- */

Verdict infer_Lambda(Infer *in, Node *node) {
    Type *few[16];
    int count = node->nparams + 1;
    Type **parts = few;
    if (count > 16) parts = arena_alloc(&in->program->arena, sizeof *parts * (size_t)count);
    if (!parts) return infer_fail(in, node->span, "out of memory");
    for (int i = 0; i < node->nparams; i++) {
        Symbol *param = node->params[i];
        if (!param->type) param->type = type_unknown(in->types);
        parts[i] = param->type = type_find(param->type);
    }
    parts[count - 1] = infer_type(in, node->kids[0]);
    return infer_give(in, node, type_make(in->types, TY_function, OP_none, count, parts));
}

static bool param_count(Infer *in, Node *lambda, int count, const char *of, const char *shape) {
    if (lambda->nparams == count) return true;
    infer_fail(in, lambda->span, "the function of %s takes %d parameter%s, %s, but this one takes %d", of,
               count, count == 1 ? "" : "s", shape, lambda->nparams);
    return false;
}

/* What is passed for a parameter must be what the parameter is declared as. */
static bool param_is(Infer *in, Node *lambda, int number, Type *type, const char *what) {
    Symbol *param = lambda->params[number];
    if (!param->type) param->type = type_find(type);
    if (infer_unify(in, param->type, type)) return true;
    infer_fail(in, lambda->span, "the parameter %s is declared %s, but %s is %s", param->name,
               infer_text(in, param->type).text, what, infer_text(in, type).text);
    return false;
}

/* What a function gives back: the end of its lets, where the error should point. */
static Node *result_of(Node *lambda) {
    Node *body = lambda->kids[0];
    while (body->kind == N_Let) body = body->kids[1];
    return body;
}

Verdict infer_Apply(Infer *in, Node *node) {
    Node *lambda = node->kids[0];
    if (lambda->nparams != node->count - 1)
        return infer_fail(in, node->span, "this function takes %d argument%s, but is given %d",
                          lambda->nparams, lambda->nparams == 1 ? "" : "s", node->count - 1);
    for (int i = 0; i < lambda->nparams; i++) {
        Symbol *param = lambda->params[i];
        if (!param->type) param->type = infer_type(in, node->kids[i + 1]);
        if (!infer_expect(in, node->kids[i + 1], param->type, "the parameter %s", param->name)) return FAIL;
    }
    return in->entering ? DONE : infer_give(in, node, infer_type(in, lambda->kids[0]));
}

/* The parameters of a derivative's function are what its arguments are, which come first. */
static bool derived_params(Infer *in, Node *node) {
    Node *lambda = node->kids[0];
    for (int i = 0; i < lambda->nparams; i++) {
        Symbol *param = lambda->params[i];
        if (!param->type) param->type = infer_type(in, node->kids[i + 1]);
        if (!infer_expect(in, node->kids[i + 1], param->type, "the parameter %s", param->name)) return false;
    }
    return true;
}

/* What one differentiates by, as one value: of the parameters that were chosen, else of all with floats. */
static Verdict derived_type(Infer *in, Node *node, Type **by) {
    Node *lambda = node->kids[0];
    Type *parts[64];
    int count = 0;
    for (int i = 0; i < lambda->nparams; i++) {
        Type *type = type_resolve(in->types, lambda->params[i]->type);
        if (node->bits ? !(node->bits >> i & 1) : !type->open && !type_has_floats(type)) continue;
        if (!node->bits && type->open) return WAIT;
        parts[count++] = type;
    }
    *by = count == 1 ? parts[0] : type_make(in->types, TY_struct, OP_none, count, parts);
    return DONE;
}

/* {value, gradient}, or {value, {gradient by a, gradient by c}} */
Verdict infer_Grad(Infer *in, Node *node) {
    Type *gradient;
    if (!derived_params(in, node)) return FAIL;
    if (in->entering) return DONE;
    Verdict verdict = derived_type(in, node, &gradient);
    if (verdict != DONE) return verdict;
    return infer_give(in, node, infer_pair(in, infer_type(in, node->kids[0]->kids[0]), gradient));
}

/* {value, tangent}; the last argument is the direction, of the gradient's type. */
Verdict infer_Jvp(Infer *in, Node *node) {
    Type *direction, *value;
    if (!derived_params(in, node)) return FAIL;
    if (in->entering) return DONE;
    Verdict verdict = derived_type(in, node, &direction);
    if (verdict != DONE) return verdict;
    if (!infer_expect(in, node->kids[node->count - 1], direction, "the direction of jvp")) return FAIL;
    value = infer_type(in, node->kids[0]->kids[0]);
    return infer_give(in, node, infer_pair(in, value, value));
}

Verdict infer_Sort(Infer *in, Node *node) {
    Node *lambda = node->kids[1];
    Type **element = infer_shape(in, node->kids[0], TY_vec, "what sort orders");
    if (!element || !param_count(in, lambda, 2, "sort", "|a, b|")) return FAIL;
    for (int i = 0; i < 2; i++) {
        if (!param_is(in, lambda, i, element[0], "an element of the vector")) return FAIL;
    }
    if (in->entering) return DONE;
    if (!infer_expect(in, result_of(lambda), infer_scalar(in, TY_i32),
                      "the order that sort's function gives"))
        return FAIL;
    return infer_give(in, node, infer_type(in, node->kids[0]));
}

Verdict infer_Iterate(Infer *in, Node *node) {
    Node *lambda = node->kids[1];
    Type *state = infer_type(in, node->kids[0]);
    if (!param_count(in, lambda, 1, "iterate", "|state|")) return FAIL;
    if (!param_is(in, lambda, 0, state, "the initial state")) return FAIL;
    if (in->entering) return DONE;
    Node *result = result_of(lambda);
    Type *type = infer_type(in, result);
    if (type->kind == TY_struct && type->count == 2 && infer_unify(in, type->args[0], state) &&
        infer_unify(in, type->args[1], infer_scalar(in, TY_bool)))
        return infer_give(in, node, state);
    if (!infer_expect(in, result, infer_pair(in, state, infer_scalar(in, TY_bool)),
                      "what iterate's function must give"))
        return FAIL;
    return infer_give(in, node, state);
}

/* ---- loops ---- */

static bool iter_count_fits(const Node *node, const IterClass *class) {
    int bounds = node->count - class->has_data;
    if (class->bounds == 's') return bounds == 5;
    return bounds == 3 || (bounds == 0 && class->bounds == 'o');
}

static bool iter_bounds(Infer *in, Node *node, const IterClass *class) {
    static const char *const names[] = {"start", "end", "stride", "shape", "strides"};
    for (int i = class->has_data; i < node->count; i++) {
        int bound = i - class->has_data;
        Type *type = infer_scalar(in, TY_i64);
        if (bound >= 3) type = type_vec(in->types, type);
        if (!infer_expect(in, node->kids[i], type, "the %s of %s", names[bound], class->spelling))
            return false;
    }
    return true;
}

Verdict infer_Iter(Infer *in, Node *node) {
    const IterClass *class = &iter_classes[node->iter];
    if (!iter_count_fits(node, class))
        return infer_fail(in, node->span, "%s does not take %d operands", class->spelling, node->count);
    if (!iter_bounds(in, node, class)) return FAIL;
    if (!class->has_data) return infer_give(in, node, infer_scalar(in, TY_i64));
    Type **element = infer_shape(in, node->kids[0], TY_vec, "the data of a loop");
    if (!element) return FAIL;
    if (node->iter != IT_simd && node->iter != IT_fringe) return infer_give(in, node, element[0]);
    Type *lane = type_find(element[0]);
    if (lane->kind != TY_unknown && !type_is_scalar(lane))
        return infer_fail(in, node->kids[0]->span, "this is %s, but %s walks vectors of scalars",
                          infer_text(in, node->kids[0]->type).text, class->spelling);
    Type *yields = node->iter == IT_simd ? type_make(in->types, TY_simd, OP_none, 1, &lane) : lane;
    if (infer_give(in, node, yields) == FAIL) return FAIL;
    return lane->kind == TY_unknown ? WAIT : DONE;
}

/* The element of a loop: one iterator's, or the struct of what all of them yield. NULL: error set. */
static Type *loop_element(Infer *in, Node *node, int iters) {
    bool lanes = node->kids[0]->iter == IT_simd;
    Type *few[16];
    Type **parts = few;
    if (iters > 16) parts = arena_alloc(&in->program->arena, sizeof *parts * (size_t)iters);
    for (int i = 0; i < iters && parts; i++) {
        Node *iter = node->kids[i];
        if (iter->kind != N_Iter) {
            infer_fail(in, iter->span, "this is no iterator");
            return NULL;
        }
        if ((iter->iter == IT_simd) != lanes) {
            infer_fail(in, iter->span, "simditer cannot be zipped with other iterators");
            return NULL;
        }
        parts[i] = infer_type(in, iter);
    }
    if (!parts) infer_fail(in, node->span, "out of memory");
    return !parts || iters == 1 ? parts ? parts[0] : NULL
                                : type_make(in->types, TY_struct, OP_none, iters, parts);
}

/* A builder, or a struct of nothing else. WAIT: not known yet. */
static Verdict all_builders(Type *type) {
    type = type_find(type);
    if (type->kind == TY_unknown) return WAIT;
    if (type_is_builder(type)) return DONE;
    Verdict verdict = type->kind == TY_struct && type->count ? DONE : FAIL;
    for (int i = 0; i < type->count && verdict != FAIL; i++) {
        Verdict part = all_builders(type->args[i]);
        if (part < verdict) verdict = part;
    }
    return verdict;
}

Verdict infer_For(Infer *in, Node *node) {
    int iters = node->count - 2;
    Node *builder = node->kids[iters], *lambda = node->kids[iters + 1];
    if (!param_count(in, lambda, 3, "for", "|builder, index, element|")) return FAIL;
    Type *type = infer_type(in, builder), *element = loop_element(in, node, iters);
    Verdict verdict = all_builders(type);
    if (verdict == FAIL)
        return infer_fail(in, builder->span,
                          "this is %s, but a for merges into a builder, or a struct of builders",
                          infer_text(in, type).text);
    if (!element || !param_is(in, lambda, 0, type, "the builder") ||
        !param_is(in, lambda, 1, infer_scalar(in, TY_i64), "the index of an element") ||
        !param_is(in, lambda, 2, element, "an element of the data"))
        return FAIL;
    if (in->entering) return DONE;
    if (!infer_expect(in, result_of(lambda), type, "the builder that this function must give back"))
        return FAIL;
    return infer_give(in, node, type) == FAIL ? FAIL : verdict;
}

/* ---- builders ---- */

Verdict infer_NewBuilder(Infer *in, Node *node) {
    Type *type = infer_type(in, node);
    Node *argument = node->count ? node->kids[0] : NULL;
    if (!type_is_builder(type)) return infer_fail(in, node->span, "this is no type of builders");
    bool fits = true;
    switch (type->kind) {
    case TY_appender:
        fits = !argument || infer_expect(in, argument, infer_scalar(in, TY_i64), "the size of an appender");
        break;
    case TY_merger:
        fits = !argument || infer_expect(in, argument, type->args[0], "the value of this merger");
        break;
    case TY_vecmerger:
        if (!argument) {
            TypeText text = infer_text(in, type);
            return infer_fail(in, node->span, "a vecmerger starts from a vector: write %s(v)", text.text);
        }
        fits = infer_expect(in, argument, type_vec(in->types, type->args[0]), "the vector of this vecmerger");
        break;
    default: break; /* an argument of a dictmerger is a hint */
    }
    return fits ? DONE : FAIL;
}

/* The type of the values that a builder takes. NULL: not known yet, or no builder. */
static Type *merged_type(Infer *in, Type *builder) {
    builder = type_find(builder);
    Type **args = builder->args, *few[16];
    switch (builder->kind) {
    case TY_appender:
    case TY_merger: return args[0];
    case TY_dictmerger:
    case TY_groupmerger: return infer_pair(in, args[0], args[1]);
    case TY_vecmerger: return infer_pair(in, infer_scalar(in, TY_i64), args[0]);
    case TY_struct: break;
    default: return NULL;
    }
    Type **parts = few;
    if (builder->count > 16) parts = arena_alloc(&in->program->arena, sizeof *parts * (size_t)builder->count);
    for (int i = 0; i < builder->count && parts; i++) {
        parts[i] = merged_type(in, args[i]);
        if (!parts[i]) return NULL;
    }
    return parts ? type_make(in->types, TY_struct, OP_none, builder->count, parts) : NULL;
}

/* Mergers and appenders also take all lanes of a simd value: then its lanes have the merged type. A value
 * that may still turn out to be one is waited for. */
static Type *unwiden(Infer *in, Type *builder, Type *value) {
    builder = type_find(builder);
    value = type_find(value);
    if (builder->kind != TY_appender && builder->kind != TY_merger) return value;
    if (value->kind == TY_simd) return type_find(value->args[0]);
    return value->kind == TY_unknown && !in->last ? NULL : value;
}

static Verdict merge_fits(Infer *in, Type *builder, Type *value) {
    builder = type_find(builder);
    value = type_find(value);
    if (builder->kind == TY_struct && value->kind == TY_struct) {
        if (builder->count != value->count) return FAIL;
        Verdict verdict = DONE;
        for (int i = 0; i < builder->count && verdict != FAIL; i++) {
            Verdict part = merge_fits(in, builder->args[i], value->args[i]);
            if (part < verdict) verdict = part;
        }
        return verdict;
    }
    Type *merged = merged_type(in, builder), *plain = unwiden(in, builder, value);
    if (!merged || !plain) return WAIT;
    return infer_unify(in, plain, merged) ? DONE : FAIL;
}

Verdict infer_Merge(Infer *in, Node *node) {
    Node *builder = node->kids[0], *value = node->kids[1];
    Type *into = infer_type(in, builder);
    if (infer_give(in, node, into) == FAIL) return FAIL;
    Verdict verdict = all_builders(into);
    if (verdict == WAIT) return WAIT;
    if (verdict == FAIL)
        return infer_fail(in, builder->span, "this is %s, but merge adds to a builder",
                          infer_text(in, into).text);
    verdict = merge_fits(in, into, infer_type(in, value));
    if (verdict != FAIL) return verdict;
    Type *merged = merged_type(in, into);
    TypeText have = infer_text(in, value->type), want = infer_text(in, merged ? merged : into);
    Type *from = type_find(value->type), *to = merged ? type_find(merged) : into;
    if (type_is_scalar(from) && type_is_scalar(to))
        return infer_fail(in, value->span, "this is %s, but %s merges %s; convert with %s(..)", have.text,
                          infer_text(in, into).text, want.text, want.text);
    return infer_fail(in, value->span, "this is %s, but %s merges %s", have.text, infer_text(in, into).text,
                      want.text);
}

/* What a builder builds. NULL: not known yet, or no builder. */
static Type *built_type(Infer *in, Type *builder) {
    builder = type_find(builder);
    Type **args = builder->args, *parts[2];
    switch (builder->kind) {
    case TY_merger: return args[0];
    case TY_appender:
    case TY_vecmerger: return type_vec(in->types, args[0]);
    case TY_dictmerger:
    case TY_groupmerger:
        parts[0] = args[0];
        parts[1] = builder->kind == TY_groupmerger ? type_vec(in->types, args[1]) : args[1];
        return type_make(in->types, TY_dict, OP_none, 2, parts);
    case TY_struct: break;
    default: return NULL;
    }
    Type **fields = arena_alloc(&in->program->arena, sizeof *fields * (size_t)builder->count);
    for (int i = 0; i < builder->count && fields; i++) {
        fields[i] = built_type(in, args[i]);
        if (!fields[i]) return NULL;
    }
    return fields ? type_make(in->types, TY_struct, OP_none, builder->count, fields) : NULL;
}

Verdict infer_Result(Infer *in, Node *node) {
    Type *builder = infer_type(in, node->kids[0]);
    Verdict verdict = all_builders(builder);
    if (verdict == WAIT) return WAIT;
    if (verdict == FAIL)
        return infer_fail(in, node->kids[0]->span, "this is %s, but result ends a builder",
                          infer_text(in, builder).text);
    Type *built = built_type(in, builder);
    return built ? infer_give(in, node, built) : infer_fail(in, node->span, "out of memory");
}
