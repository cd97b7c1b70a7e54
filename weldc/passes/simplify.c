/* simplify.c: algebra, constants, fields and lets that only name them.
 *
 *     2 + 3  =>  5               x * 1  =>  x            i64(x: i64)  =>  x         !!x  =>  x
 *     (i + 2) - 1  =>  i + 1     a + -b  =>  a - b       -x * 2.0  =>  x * -2.0
 *     if(true, a, b)  =>  a      if(!c, a, b)  =>  if(c, b, a)        {a, b}.$0  =>  a
 *     let p = {a, b}; .. p.$0 .. p.$1 ..       =>  let q = a; let r = b; .. q .. r ..    only fields are used
 *     let x = (let y = a; b); c                =>  let y = a; let x = b; c
 *     merge(b, let y = a; c)                   =>  let y = a; merge(b, c)
 *     result(for(v, appender, |b, i, x| merge(b, x)))  =>  v
 *     len([a, b])  =>  2         len(result(for(v, appender, |b, i, x| merge(b, e))))  =>  len(v)
 *
 * One walk; a node is met when its kids are done. Every rule makes the program smaller or moves a let out of
 * a value, so it ends; splitting a struct may lay bare another one, so the walk is repeated as long as it
 * splits, a few times. What is dropped has no assert, no foreign call and no builder of others; a division by
 * zero is not folded, nor is what no literal can say: NaN, infinity, -0.0. Functions of libm are left to the
 * machine that runs them.
 */
#include "../weldc.h"

#include <math.h>
#include <string.h>

bool pass_simplify(Program *program);

enum { SMALL = 64, ROUNDS = 4 };

typedef struct Known {
    int fields;     /* uses as the operand of a field */
    Node *value;    /* that a let binds, or NULL */
    Symbol *source; /* another vector of the same length, or NULL */
    Symbol **parts; /* the names of the fields, when the let is split */
    Node **copies;  /* fields that are names or constants: these instead */
} Known;

typedef struct Simplify {
    Program *program;
    Known *known; /* by symbol id */
    int limit;
    bool split;
} Simplify;

static bool is_literal(const Node *node) {
    return node->kind == N_Literal;
}

/* A name, or a field of one. */
static bool is_path(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident;
}

/* May it go unseen? */
static bool may_drop(const Node *node, int *budget) {
    if (--*budget < 0 || node_keeps(node)) return false;
    if (node->kind == N_Result) return is_path(node->kids[0]); /* else what it holds may do something */
    if (node->type->builders) return false;
    for (int i = 0; i < node->count; i++) {
        if (!may_drop(node->kids[i], budget)) return false;
    }
    return true;
}

static bool is_droppable(const Node *node) {
    int budget = SMALL;
    return may_drop(node, &budget);
}

static bool cannot_fail(const Node *node) {
    int budget = SMALL;
    return node_is_cheap(node, &budget);
}

/* ---- constants ---- */

/* The literal of this value, or NULL if there is none. */
static Node *constant(Simplify *s, const Node *node, Type *type, uint64_t bits) {
    double value = 0;
    float narrow;
    if (type->kind == TY_f64) memcpy(&value, &bits, sizeof value);
    if (type->kind == TY_f32) {
        memcpy(&narrow, &bits, sizeof narrow);
        value = (double)narrow;
    }
    if (!isfinite(value) || (value == 0 && signbit(value))) return NULL;
    return node_literal(s->program, node->span, type, bits);
}

/* Is it the number, 0, 1 or -1, in its type? */
static bool is_number(const Node *node, int number) {
    if (!is_literal(node)) return false;
    uint64_t bits = 0;
    Type from = {.kind = TY_i64};
    int64_t wide = number;
    scalar_cast(&from, &wide, node->type, &bits);
    return node->bits == bits;
}

static Node *simplify_Unary(Simplify *s, Node *node) {
    Node *kid = node->kids[0];
    if (is_literal(kid) && op_classes[node->op].class != 'f') {
        uint64_t bits = 0;
        scalar_unary(node->op, node->type, &kid->bits, &bits);
        return constant(s, node, node->type, bits);
    }
    bool twice = kid->kind == N_Unary && kid->op == node->op;
    if (twice && (node->op == OP_neg || node->op == OP_not || node->op == OP_bitnot)) return kid->kids[0];
    return NULL;
}

/* What stays of an operator whose right side is a constant that changes nothing. */
static bool is_neutral(Op op, const Node *right) {
    bool whole = type_is_integer(right->type);
    switch (op) {
    case OP_mul:
    case OP_div: return is_number(right, 1);
    case OP_sub: return is_number(right, 0);
    case OP_add:
    case OP_bitor:
    case OP_bitxor:
    case OP_shl:
    case OP_shr: return whole && is_number(right, 0);
    case OP_bitand: return whole && is_number(right, -1);
    default: return false;
    }
}

/* x of x + c, c + x, x - c on integers, which wrap; NULL: it is none of these. */
static Node *offset_of(const Node *node, const Node **constant) {
    if (node->kind != N_Binary || (node->op != OP_add && node->op != OP_sub)) return NULL;
    if (!type_is_integer(node->type)) return NULL;
    bool left = node->op == OP_add && is_literal(node->kids[0]);
    *constant = node->kids[!left];
    return is_literal(*constant) && !is_literal(node->kids[left]) ? node->kids[left] : NULL;
}

/* x + c for the sum of two constants, the second of which a name may stand for. */
static Node *simplify_offset(Simplify *s, Node *node) {
    const Node *outer, *inner;
    Node *sum = offset_of(node, &outer), *by_name = NULL;
    if (!sum) return NULL;
    if (sum->kind == N_Ident && sum->symbol->id < s->limit) by_name = s->known[sum->symbol->id].value;
    Node *base = offset_of(by_name ? by_name : sum, &inner), *within = by_name ? by_name : sum;
    if (!base || (by_name && !node_is(base, N_Ident))) return NULL;
    uint64_t bits[3] = {0, inner->bits, 0}, none = 0;
    scalar_binary(within->op, node->type, &none, &bits[1], &bits[0]);
    scalar_binary(node->op, node->type, &bits[0], &outer->bits, &bits[1]);
    scalar_binary(OP_sub, node->type, &none, &bits[1], &bits[2]);
    bool negative = scalar_compare(OP_lt, node->type, &bits[1], &none);
    if (by_name) base = node_clone(s->program, base);
    if (!bits[1]) return base;
    Node *constant = node_literal(s->program, node->span, node->type, bits[negative ? 2 : 1]);
    Node *made = node_make(s->program, N_Binary, node->span, node->type, 2, base, constant);
    made->op = negative ? OP_sub : OP_add;
    return made;
}

static bool is_negated(const Node *node) {
    return node->kind == N_Unary && node->op == OP_neg;
}

/* A sign goes into the constant or the operator. */
static Node *simplify_sign(Simplify *s, Node *node) {
    Node *a = node->kids[0], *b = node->kids[1];
    if (node->op == OP_mul && is_negated(a) && is_literal(b)) {
        uint64_t bits = 0;
        scalar_unary(OP_neg, node->type, &b->bits, &bits);
        Node *negative = constant(s, b, node->type, bits);
        if (!negative) return NULL;
        node->kids[0] = a->kids[0];
        node->kids[1] = negative;
        return node;
    }
    if ((node->op == OP_add || node->op == OP_sub) && is_negated(b)) {
        node->op = node->op == OP_add ? OP_sub : OP_add;
        node->kids[1] = b->kids[0];
        return node;
    }
    if (node->op == OP_add && is_negated(a) && cannot_fail(b)) {
        node->op = OP_sub;
        node->kids[0] = b;
        node->kids[1] = a->kids[0];
        return node;
    }
    return NULL;
}

static Node *simplify_Binary(Simplify *s, Node *node) {
    Node *a = node->kids[0], *b = node->kids[1];
    if (is_literal(a) && is_literal(b) && op_classes[node->op].class != 'f') {
        uint64_t bits = 0;
        if (!scalar_binary(node->op, node->type, &a->bits, &b->bits, &bits)) return NULL;
        return constant(s, node, node->type, bits);
    }
    if (is_literal(b) && is_neutral(node->op, b)) return a;
    if (is_literal(a) && (op_classes[node->op].traits & COMM) && is_neutral(node->op, a)) return b;
    Node *shorter = simplify_offset(s, node);
    return shorter ? shorter : simplify_sign(s, node);
}

static Node *simplify_Compare(Simplify *s, Node *node) {
    const Node *a = node->kids[0], *b = node->kids[1];
    if (!is_literal(a) || !is_literal(b)) return NULL;
    return constant(s, node, node->type, scalar_compare(node->op, a->type, &a->bits, &b->bits));
}

static Node *simplify_Cast(Simplify *s, Node *node) {
    Node *kid = node->kids[0];
    if (kid->type == node->type) return kid;
    if (!is_literal(kid)) return NULL;
    uint64_t bits = 0;
    scalar_cast(kid->type, &kid->bits, node->type, &bits);
    return constant(s, node, node->type, bits);
}

/* ---- conditions ---- */

/* And and Or: `decides` is the value of the left side that makes the right one unneeded. */
static Node *short_circuit(Node *node, uint64_t decides) {
    Node *a = node->kids[0], *b = node->kids[1];
    if (is_literal(a)) return a->bits == decides ? a : b;
    if (!is_literal(b)) return NULL;
    if (b->bits != decides) return a;
    return is_droppable(a) && cannot_fail(a) ? b : NULL;
}

static Node *simplify_And(Simplify *s, Node *node) {
    (void)s;
    return short_circuit(node, 0);
}

static Node *simplify_Or(Simplify *s, Node *node) {
    (void)s;
    return short_circuit(node, 1);
}

/* Two names or constants that are the same. */
static bool same_leaf(const Node *a, const Node *b) {
    return a->count == 0 && b->count == 0 && (a->kind == N_Ident || is_literal(a)) && node_equal(a, b);
}

static Node *simplify_Select(Simplify *s, Node *node) {
    Node **kids = node->kids, *condition = kids[0];
    (void)s;
    if (same_leaf(kids[1], kids[2]) && is_droppable(condition) && cannot_fail(condition)) return kids[1];
    if (is_literal(condition)) {
        Node *other = kids[condition->bits ? 2 : 1];
        return is_droppable(other) && cannot_fail(other) ? kids[condition->bits ? 1 : 2] : NULL;
    }
    if (condition->kind != N_Unary || condition->op != OP_not) return NULL;
    Node *first = kids[1];
    kids[0] = condition->kids[0];
    kids[1] = kids[2];
    kids[2] = first;
    return NULL;
}

static Node *simplify_If(Simplify *s, Node *node) {
    Node **kids = node->kids;
    if (is_literal(kids[0])) return kids[kids[0]->bits ? 1 : 2];
    Node *other = simplify_Select(s, node);
    if (other || node->type->kind != TY_bool) return other;
    if (is_number(kids[1], 1) && is_number(kids[2], 0)) return kids[0];
    if (!is_number(kids[2], 0)) return NULL;
    node->kind = N_And; /* if(c, a, false)  =>  c && a */
    node->count = 2;
    node->notes = NULL;
    return NULL;
}

/* ---- lengths ---- */

/* The vector that a loop walks, if it merges once for each element and cannot fail. */
static Node *walked_once(Node *node) {
    if (node->kind != N_Result || node->kids[0]->kind != N_For) return NULL;
    Node *loop = node->kids[0], *iter = loop->kids[0];
    if (loop->count != 3 || iter->iter != IT_scalar || iter->count != 1) return NULL;
    Node *builder = loop->kids[1], *body = loop->kids[2]->kids[0];
    Symbol *name = loop->kids[2]->params[0];
    if (builder->kind != N_NewBuilder || builder->type->kind != TY_appender) return NULL;
    if (builder->count && !cannot_fail(builder->kids[0])) return NULL;
    for (; body->kind == N_Let; body = body->kids[1]) {
        if (body->kids[0]->type->builders || !cannot_fail(body->kids[0])) return NULL;
    }
    if (body->kind != N_Merge || body->kids[0]->kind != N_Ident || body->kids[0]->symbol != name) return NULL;
    if (!cannot_fail(body->kids[1]) || body->kids[1]->type != builder->type->args[0]) return NULL;
    return iter->kids[0];
}

/* A vector's elements, collected, are the vector. */
static Node *simplify_Result(Simplify *s, Node *node) {
    Node *vec = walked_once(node);
    (void)s;
    if (!vec || vec->type != node->type) return NULL;
    const Node *lambda = node->kids[0]->kids[2], *body = lambda->kids[0];
    bool same =
        body->kind == N_Merge && body->kids[1]->kind == N_Ident && body->kids[1]->symbol == lambda->params[2];
    return same ? vec : NULL;
}

/* ---- structs ---- */

/* result(b).$1 => result(b.$1), by a name unless b is one: then it is seen that nobody needs the other builders. */
static Node *result_of_part(Simplify *s, const Node *node, Node *result) {
    Node *builders = result->kids[0];
    bool named = is_path(builders);
    Symbol *symbol = named ? NULL : symbol_new(s->program, "builders", builders->type);
    Node *whole = named ? builders : node_ident(s->program, builders->span, symbol);
    Node *part = node_make(s->program, N_Field, node->span, builders->type->args[node->index], 1, whole);
    part->index = node->index;
    result->kids[0] = part;
    result->type = node->type;
    return named ? result : node_let(s->program, node->span, symbol, builders, result);
}

static Node *simplify_Field(Simplify *s, Node *node) {
    Node *kid = node->kids[0];
    if (kid->kind == N_Ident && kid->symbol->id < s->limit) {
        const Known *known = &s->known[kid->symbol->id];
        if (!known->parts) return NULL;
        const Node *copy = known->copies[node->index];
        if (!copy) return node_ident(s->program, node->span, known->parts[node->index]);
        return copy->kind == N_Ident ? node_ident(s->program, node->span, copy->symbol)
                                     : node_literal(s->program, node->span, copy->type, copy->bits);
    }
    if (kid->kind == N_Let) {
        Node *last = kid;
        for (; last->kids[1]->kind == N_Let; last = last->kids[1]) last->type = node->type;
        last->type = node->type;
        node->kids[0] = last->kids[1];
        Node *inner = simplify_Field(s, node);
        last->kids[1] = inner ? inner : node;
        return kid;
    }
    if (kid->kind == N_Result && kid->kids[0]->type->kind == TY_struct) return result_of_part(s, node, kid);
    if (kid->kind != N_Struct || kid->type->builders) return NULL;
    for (int i = 0; i < kid->count; i++) {
        if (i != node->index && !is_droppable(kid->kids[i])) return NULL;
    }
    return kid->kids[node->index];
}

/* Before a let is walked: what is known of its value. A struct that is used by its fields alone: they get
 * names. */
static void plan_let(Simplify *s, Node *let) {
    Symbol *symbol = let->symbol;
    Node *value = let->kids[0];
    if (symbol->id >= s->limit) return;
    Known *known = &s->known[symbol->id];
    known->value = value;
    const Node *vec = walked_once(value);
    if (vec && vec->kind == N_Ident && vec->symbol->id < s->limit) {
        Symbol *further = s->known[vec->symbol->id].source;
        known->source = further ? further : vec->symbol;
    }
    if (value->kind != N_Struct || value->type->builders || known->fields != symbol->uses || !symbol->uses)
        return;
    known->parts = arena_alloc(&s->program->arena, sizeof *known->parts * (size_t)value->count);
    known->copies = arena_alloc(&s->program->arena, sizeof *known->copies * (size_t)value->count);
    if (!known->copies) known->parts = NULL;
    for (int i = 0; known->parts && i < value->count; i++) {
        Node *part = value->kids[i];
        bool leaf = part->kind == N_Ident || is_literal(part);
        if (leaf) known->copies[i] = part;
        known->parts[i] = leaf ? NULL : symbol_new(s->program, symbol->name, part->type);
    }
    s->split = true;
}

static Node *split_let(Simplify *s, Node *let, const Known *known) {
    Node *body = let->kids[1], *value = let->kids[0];
    for (int i = value->count - 1; i >= 0; i--) {
        if (known->parts[i]) body = node_let(s->program, let->span, known->parts[i], value->kids[i], body);
    }
    return body;
}

static Node *simplify_Let(Simplify *s, Node *node) {
    if (node->symbol->id >= s->limit) return NULL;
    const Known *known = &s->known[node->symbol->id];
    return known->parts ? split_let(s, node, known) : NULL;
}

/* Lets of the value come before the merge; its builder is a name or a field, which has no order. */
static Node *simplify_Merge(Simplify *s, Node *node) {
    Node *value = node->kids[1], *last = value, *builder = node->kids[0];
    (void)s;
    if (value->kind != N_Let) return NULL;
    while (builder->kind == N_Field) builder = builder->kids[0];
    if (builder->kind != N_Ident) return NULL;
    for (; last->kids[1]->kind == N_Let; last = last->kids[1]) last->type = node->type;
    last->type = node->type;
    node->kids[1] = last->kids[1];
    last->kids[1] = node;
    return value;
}

static Node *simplify_Len(Simplify *s, Node *node) {
    Node *value = node->kids[0], *vec = walked_once(value);
    if (vec) node->kids[0] = value = vec;
    bool named = value->kind == N_Ident && value->symbol->id < s->limit;
    if (named) {
        Symbol *source = s->known[value->symbol->id].source;
        if (source) node->kids[0] = value = node_ident(s->program, node->span, source);
        value = s->known[value->symbol->id].value;
    }
    if (!value || value->kind != N_Vec || !(named || is_droppable(value))) return NULL;
    return node_literal(s->program, node->span, node->type, (uint64_t)value->count);
}

/* ---- the walk ---- */

static Node *(*const rules[N_COUNT])(Simplify *s, Node *node) = {
    [N_Unary] = simplify_Unary,   [N_Binary] = simplify_Binary, [N_Compare] = simplify_Compare,
    [N_Cast] = simplify_Cast,     [N_And] = simplify_And,       [N_Or] = simplify_Or,
    [N_If] = simplify_If,         [N_Select] = simplify_Select, [N_Field] = simplify_Field,
    [N_Let] = simplify_Let,       [N_Merge] = simplify_Merge,   [N_Len] = simplify_Len,
    [N_Result] = simplify_Result,
};

static bool count_field(Walk *walk, Node **slot) {
    Simplify *s = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Field && node->kids[0]->kind == N_Ident) s->known[node->kids[0]->symbol->id].fields++;
    return true;
}

static bool simplify_enter(Walk *walk, Node **slot) {
    Simplify *s = walk->data;
    while ((*slot)->kind == N_Let && (*slot)->kids[0]->kind == N_Let) {
        Node *outer = *slot, *inner = outer->kids[0];
        outer->kids[0] = inner->kids[1];
        inner->kids[1] = outer;
        inner->type = outer->type;
        *slot = inner;
    }
    if ((*slot)->kind == N_Let) plan_let(s, *slot);
    return true;
}

static void simplify_leave(Walk *walk, Node **slot) {
    Simplify *s = walk->data;
    Node *better = rules[(*slot)->kind] ? rules[(*slot)->kind](s, *slot) : NULL;
    if (better) *slot = better;
}

bool pass_simplify(Program *program) {
    Simplify s = {.program = program};
    for (int round = 0; round < ROUNDS; round++) {
        s.limit = program->symbols;
        s.split = false;
        s.known = arena_alloc(&program->arena, sizeof *s.known * (size_t)(s.limit + 1));
        if (!s.known) return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
        Walk fields = {program, count_field, NULL, &s}, walk = {program, simplify_enter, simplify_leave, &s};
        if (round) count_uses(program, program->root);
        node_walk(&fields, &program->root);
        node_walk(&walk, &program->root);
        if (!s.split) break;
    }
    return true;
}
