/* infer.c: gives every node and symbol its type.
 *
 * Types are found by unification. One pass visits the tree in the order in which data flows, so that most
 * things are known when they are asked for: in
 *
 *     for(v, merger[i64,+], |b, i, e| merge(b, e.$0))
 *
 * the data comes first, then the builder, from both the parameters, then the body. Each node's rule (one per
 * row of ops.def; infer_rules.c, infer_loop.c) unifies what it can at once. Where it must know a kind first
 * (the field of what struct? a lookup in a vector or in a dictionary?) it asks to WAIT, and the node goes on
 * a list that is swept, to and fro, until nothing changes. Then rules may choose the usual (`last`), and
 * sweeping goes on. Expected types need no pass of their own: in `[]: vec[i64]` the variable of `[]` is
 * solved by the ascription around it. At the end all types are resolved, anything still unknown is an error,
 * and the sugar that needed types is taken apart: ascriptions, merge and result of a struct of builders, and derivatives
 * (grad.c).
 *
 * Requires what program_read leaves. Linear for programs whose types are known in data-flow order. Recursion
 * goes into values only, never along lets. Algorithm W's constraints (Damas and Milner, 1982) without
 * generalization, as in Pottier and Remy's account of constraint-based inference.
 */
#include "infer.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const InferRule infer_rules[N_COUNT] = {
#define NODE(id, spelling, least, most, traits, usage, doc) [N_##id] = infer_##id,
#include "../ops.def"
};

/* ---- helpers of rules ---- */

TypeText infer_text(Infer *in, Type *type) {
    (void)in;
    TypeText out = {"a very large type"};
    Buf buf = {0};
    if (type_find(type)->parts >= TYPE_PARTS) return out;
    type_print(&buf, type);
    if (!buf.text) {
        snprintf(out.text, sizeof out.text, "?");
    } else if (buf.length < sizeof out.text) {
        memcpy(out.text, buf.text, buf.length + 1);
    } else {
        snprintf(out.text, sizeof out.text, "%.*s...", (int)sizeof out.text - 4, buf.text);
    }
    buf_release(&buf);
    return out;
}

Verdict infer_fail(Infer *in, Span span, const char *format, ...) {
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    if (in->checking) {
        error_set(&in->program->error, E_Internal, span, "a rule of types does not hold: %s", text);
    } else {
        error_set(&in->program->error, E_Type, span, "%s", text);
    }
    return FAIL;
}

Type *infer_type(Infer *in, Node *node) {
    if (!node->type) node->type = type_unknown(in->types);
    return node->type = type_find(node->type);
}

bool infer_unify(Infer *in, Type *a, Type *b) {
    a = type_find(a);
    b = type_find(b);
    if (a == b) return true;
    if (a->kind == TY_unknown || b->kind == TY_unknown) in->progress++;
    return type_unify(in->types, a, b);
}

/* How to get from one type to the other, where there is a usual way. */
static const char *hint(const Type *from, const Type *to, char *text, size_t size) {
    text[0] = 0;
    if (type_is_scalar(from) && type_is_scalar(to)) {
        snprintf(text, size, "; convert with %s(..)", type_classes[to->kind].spelling);
    } else if (to->kind == TY_simd && type_find(to->args[0]) == from) {
        snprintf(text, size, "; widen with broadcast(..)");
    }
    return text;
}

bool infer_expect(Infer *in, Node *node, Type *want, const char *what, ...) {
    Type *have = infer_type(in, node);
    if (infer_unify(in, have, want)) return true;
    char role[160], how[64];
    va_list args;
    va_start(args, what);
    vsnprintf(role, sizeof role, what, args);
    va_end(args);
    infer_fail(in, node->span, "this is %s, but %s is %s%s", infer_text(in, have).text, role,
               infer_text(in, want).text, hint(type_find(have), type_find(want), how, sizeof how));
    return false;
}

Verdict infer_give(Infer *in, Node *node, Type *found) {
    if (!node->type) {
        node->type = found;
        in->progress++;
        return DONE;
    }
    if (infer_unify(in, node->type, found)) return DONE;
    char how[64];
    return infer_fail(in, node->span, "this is %s, but its use needs %s%s", infer_text(in, found).text,
                      infer_text(in, node->type).text,
                      hint(type_find(found), type_find(node->type), how, sizeof how));
}

Type *infer_pair(Infer *in, Type *a, Type *b) {
    Type *parts[2] = {a, b};
    return type_make(in->types, TY_struct, OP_none, 2, parts);
}

Type **infer_shape(Infer *in, Node *node, TypeKind kind, const char *what) {
    Type *type = infer_type(in, node);
    if (type->kind == TY_unknown) {
        Type *args[2] = {type_unknown(in->types), type_unknown(in->types)};
        if (infer_unify(in, type, type_make(in->types, kind, OP_none, type_classes[kind].arguments, args)))
            type = type_find(type);
    }
    if (type->kind == kind) return type->args;
    infer_fail(in, node->span, "this is %s, but %s must be a %s", infer_text(in, type).text, what,
               type_classes[kind].spelling);
    return NULL;
}

/* ---- which types values can have ---- */

/* Numbers that a builder's operator can combine, or a flat struct of them. */
static bool combinable(const Type *type) {
    if (type_is_scalar(type)) return type->kind != TY_bool;
    if (type->kind != TY_struct || type->count == 0) return false;
    for (int i = 0; i < type->count; i++) {
        if (!type_is_scalar(type->args[i]) || type->args[i]->kind == TY_bool) return false;
    }
    return true;
}

enum Judgement { UNJUDGED, PLAIN, LANES }; /* LANES: holds simd values somewhere inside */

static enum Judgement judge(Infer *in, const Type *type, Span span);

/* Data that can lie in vectors and dictionaries. */
static bool judge_data(Infer *in, const Type *whole, const Type *part, Span span) {
    const char *what = part->builders                   ? "builders"
                       : part->kind == TY_function      ? "functions"
                       : judge(in, part, span) == LANES ? "simd values"
                                                        : NULL;
    if (!what) return true;
    infer_fail(in, span, "there is no %s: %s cannot hold %s", infer_text(in, (Type *)whole).text,
               type_classes[whole->kind].spelling, what);
    return false;
}

static bool judge_parts(Infer *in, const Type *type, Span span) {
    Type *const *args = type->args;
    const char *name = type_classes[type->kind].spelling;
    bool keyed = type->kind == TY_dict || type->kind == TY_dictmerger || type->kind == TY_groupmerger;
    if (type->kind == TY_simd && !type_is_scalar(args[0]))
        return infer_fail(in, span, "there is no %s: simd holds scalars", infer_text(in, (Type *)type).text);
    if (keyed && !type_is_key(args[0]))
        return infer_fail(in, span, "there is no %s: a key is a scalar, or a vec or struct of keys",
                          infer_text(in, (Type *)type).text);
    if (type_classes[type->kind].has_op) {
        if (!combinable(args[type->count - 1]))
            return infer_fail(in, span, "there is no %s: %s combines numbers, or structs of numbers",
                              infer_text(in, (Type *)type).text, name);
        if (!(op_classes[type->op].traits & REDUCE))
            return infer_fail(in, span, "there is no %s: its operator must be one of + * min max",
                              infer_text(in, (Type *)type).text);
    }
    bool holds = type->kind == TY_vec || type->kind == TY_dict || type->kind == TY_appender ||
                 type->kind == TY_groupmerger;
    for (int i = 0; holds && i < type->count; i++) {
        if (!judge_data(in, type, args[i], span)) return false;
    }
    return true;
}

/* UNJUDGED: there is no such type, and the error is set. */
static enum Judgement judge(Infer *in, const Type *type, Span span) {
    if (type_is_scalar(type)) return PLAIN;
    if (type->parts >= TYPE_PARTS)
        return infer_fail(in, span, "the type of this has too many parts"), UNJUDGED;
    if (type->id < in->known && in->judged[type->id]) return in->judged[type->id];
    enum Judgement verdict = type->kind == TY_simd ? LANES : PLAIN;
    for (int i = 0; i < type->count; i++) {
        enum Judgement part = judge(in, type->args[i], span);
        if (part == UNJUDGED) return UNJUDGED;
        if (part == LANES && type->kind == TY_struct) verdict = LANES;
    }
    if (!judge_parts(in, type, span)) return UNJUDGED;
    if (type->id >= in->known) {
        uint32_t known = in->types->count + in->types->count / 2 + 64;
        uint8_t *judged = realloc(in->judged, known);
        if (!judged) return verdict; /* judged again next time */
        memset(judged + in->known, UNJUDGED, known - in->known);
        in->judged = judged;
        in->known = known;
    }
    in->judged[type->id] = (uint8_t)verdict;
    return verdict;
}

bool infer_judge(Infer *in, const Type *type, Span span) {
    return judge(in, type, span) != UNJUDGED;
}

/* ---- the visit ---- */

int infer_function_kid(const Node *node) {
    switch (node->kind) {
    case N_Apply:
    case N_Grad:
    case N_Jvp: return 0;
    case N_Sort:
    case N_Iterate: return 1;
    case N_For: return node->count - 1;
    default: return -1;
    }
}

bool infer_check_functions(Infer *in, const Node *node) {
    int function = infer_function_kid(node);
    for (int i = 0; i < node->count; i++) {
        bool is = node_is(node->kids[i], N_Lambda);
        if (is && i != function)
            return infer_fail(in, node->kids[i]->span,
                              "a function cannot be a value here; call it, or bind it with let");
        if (!is && function == 0 && i == 0)
            return infer_fail(in, node->kids[i]->span, "this is not a function, so it cannot be called");
        if (!is && i == function)
            return infer_fail(in, node->kids[i]->span, "%s needs a function written here: %s",
                              node_classes[node->kind].spelling, node_classes[node->kind].usage);
    }
    return true;
}

static bool settle(Infer *in, Node *node) {
    Verdict verdict = infer_rules[node->kind](in, node);
    if (verdict != WAIT) return verdict == DONE;
    if (in->waiting == in->room) {
        size_t room = in->room ? in->room * 2 : 64;
        Node **pending = realloc(in->pending, sizeof *pending * room);
        if (!pending) return error_set(&in->program->error, E_OutOfMemory, node->span, "out of memory");
        in->pending = pending;
        in->room = room;
    }
    in->pending[in->waiting++] = node;
    return true;
}

/* The parameters of a node's function, or the name of a let, get their types before their scope is visited.
 */
static bool settle_binders(Infer *in, Node *node) {
    in->entering = true;
    Verdict verdict = infer_rules[node->kind](in, node);
    in->entering = false;
    return verdict != FAIL;
}

static bool visit(Infer *in, Node *node) {
    Type *whole = infer_type(in, node);
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (!node->type) node->type = whole;
        if (!infer_check_functions(in, node)) return false;
        if (!visit(in, node->kids[0]) || !settle_binders(in, node)) return false;
        if (!infer_expect(in, node, whole, "the value of the lets around it")) return false;
    }
    int function = infer_function_kid(node);
    if (!infer_check_functions(in, node)) return false;
    for (int i = 0; i < node->count; i++) {
        if (i != function && !visit(in, node->kids[i])) return false;
    }
    if (function >= 0 && !(settle_binders(in, node) && visit(in, node->kids[function]))) return false;
    return settle(in, node) && infer_expect(in, node, whole, "the value of the lets around it");
}

/* Asks the waiting nodes again, to and fro (what waits for a later node is decided in one sweep back). */
static bool sweep(Infer *in, bool forward) {
    for (size_t i = 0; i < in->waiting; i++) {
        Node **slot = &in->pending[forward ? i : in->waiting - 1 - i];
        Verdict verdict = infer_rules[(*slot)->kind](in, *slot);
        if (verdict == FAIL) return false;
        if (verdict == WAIT) continue;
        *slot = NULL;
        in->progress++;
    }
    size_t kept = 0;
    for (size_t i = 0; i < in->waiting; i++) {
        if (in->pending[i]) in->pending[kept++] = in->pending[i];
    }
    in->waiting = kept;
    return true;
}

static bool sweep_all(Infer *in) {
    for (bool forward = false; in->waiting;) {
        size_t before = in->progress;
        if (!sweep(in, forward)) return false;
        forward = !forward;
        if (in->progress != before) continue;
        in->last = true;
        bool fine = sweep(in, true);
        in->last = false;
        if (!fine) return false;
        if (in->progress == before) return true; /* the rest is unknown; resolve_node says what */
    }
    return true;
}

/* ---- closing the types, and taking the last sugar apart ---- */

static bool resolve_param(Infer *in, Node *lambda, Symbol *param) {
    if (param->type) param->type = type_resolve(in->types, param->type);
    if (param->type && !param->type->open) return infer_judge(in, param->type, lambda->span);
    return infer_fail(in, lambda->span, "could not infer the type of the parameter %s; write |%s: T|",
                      param->name, param->name);
}

static bool resolve_enter(Walk *walk, Node **slot) {
    Infer *in = walk->data;
    for (int i = 0; i < (*slot)->nparams && in->program->error.code == E_None; i++) {
        resolve_param(in, *slot, (*slot)->params[i]);
    }
    return in->program->error.code == E_None;
}

/* merge({a, b}, {x, y}) is {merge(a, x), merge(b, y)}, and so is result; value is NULL for result. */
static Node *spread(Program *program, Span span, Type *type, Node *builder, Node *value) {
    Type *parts = builder->type;
    if (type_is_builder(parts))
        return value ? node_make(program, N_Merge, span, type, 2, builder, value)
                     : node_make(program, N_Result, span, type, 1, builder);
    Node *whole = node_new(program, N_Struct, span, type, parts->count);
    for (int i = 0; i < whole->count; i++) {
        Node *field = node_make(program, N_Field, span, parts->args[i], 1, builder), *part = NULL;
        field->index = i;
        if (value) {
            part = node_make(program, N_Field, span, value->type->args[i], 1, value);
            part->index = i;
        }
        whole->kids[i] = spread(program, span, type->args[i], field, part);
    }
    return whole;
}

static Node *resolve_spread(Program *program, Node *node) {
    Symbol *builder = symbol_new(program, "builders", node->kids[0]->type), *value = NULL;
    Node *body, *inner = NULL;
    if (node->kind == N_Merge) {
        value = symbol_new(program, "values", node->kids[1]->type);
        inner = node_ident(program, node->span, value);
    }
    body = spread(program, node->span, node->type, node_ident(program, node->span, builder), inner);
    body = node_clone(program, body); /* every field has its own copy of the name */
    if (value) body = node_let(program, node->span, value, node->kids[1], body);
    return node_let(program, node->span, builder, node->kids[0], body);
}

static void resolve_node(Walk *walk, Node **slot) {
    Infer *in = walk->data;
    Node *node = *slot;
    if (in->program->error.code != E_None) return;
    node->type = type_resolve(in->types, infer_type(in, node));
    if (node->type->open) {
        infer_fail(in, node->span, "could not infer the type of this (%s so far); state it with `: T`",
                   infer_text(in, node->type).text);
        return;
    }
    if (!infer_judge(in, node->type, node->span)) return;
    if (node->kind == N_Let) node->symbol->type = type_resolve(in->types, node->symbol->type);
    if (node->kind == N_Ascribe) *slot = node->kids[0];
    if (node->kind == N_Grad || node->kind == N_Jvp) in->derives = true;
    if ((node->kind == N_And || node->kind == N_Or) && node->type->kind == TY_simd) {
        node->op = node->kind == N_And ? OP_bitand : OP_bitor; /* lanes have no short circuit */
        node->kind = N_Binary;
    }
    if ((node->kind == N_Merge || node->kind == N_Result) && node->kids[0]->type->kind == TY_struct)
        *slot = resolve_spread(in->program, node);
}

/* ---- the whole ---- */

typedef struct Job {
    Infer in;
    const Type *want;
    bool ok;
} Job;

/* A wanted function type gives the parameters their types; any other is that of the result. */
static bool infer_want_params(Infer *in, Type *want) {
    Node *root = in->program->root;
    if (want->kind != TY_function) return true;
    if (want->count - 1 != root->nparams)
        return infer_fail(in, root->span, "the program takes %d arguments, but is given %d", root->nparams,
                          want->count - 1);
    for (int i = 0; i < root->nparams; i++) {
        Symbol *param = root->params[i];
        if (!param->type) param->type = type_unknown(in->types);
        if (!infer_unify(in, param->type, want->args[i]))
            return infer_fail(in, root->span, "the parameter %s is %s, but the argument is %s", param->name,
                              infer_text(in, param->type).text, infer_text(in, want->args[i]).text);
    }
    return true;
}

static bool infer_want_result(Infer *in, Type *want) {
    if (want->kind == TY_function) want = want->args[want->count - 1];
    Node *body = in->program->root->kids[0];
    while (body->kind == N_Let) body = body->kids[1];
    return infer_expect(in, body, want, "what is needed here");
}

static void infer_run(void *data) {
    Job *job = data;
    Infer *in = &job->in;
    Node *root = in->program->root;
    Type *want = job->want ? type_import(in->types, job->want) : NULL;
    if (!node_is(root, N_Lambda)) {
        infer_fail(in, root->span, "a program is a function");
        return;
    }
    bool ok = (!want || infer_want_params(in, want)) && visit(in, root) &&
              (!want || infer_want_result(in, want)) && sweep_all(in);
    if (!ok) return;
    Walk walk = {in->program, resolve_enter, resolve_node, in};
    node_walk(&walk, &in->program->root);
    if (in->program->error.code == E_None && in->waiting)
        error_set(&in->program->error, E_Internal, in->pending[0]->span, "a rule of types did not decide");
    bool derive = in->derives && !in->program->postpone;
    job->ok = in->program->error.code == E_None && (!derive || program_derive(in->program));
    in->program->derived = in->derives;
}

bool program_infer(Program *program, const Type *want) {
    Job job = {{.program = program, .types = &program->types}, want, false};
    Span start = {0, 0, 0};
    if (program->error.code != E_None) return false;
    if (!run_deep((size_t)program->depth, infer_run, &job)) {
        error_set(&program->error, E_OutOfMemory, start, "out of memory: the program is too deep");
    }
    if (program->arena.exhausted) error_set(&program->error, E_OutOfMemory, start, "out of memory");
    free(job.in.pending);
    free(job.in.judged);
    return job.ok && program->error.code == E_None;
}
