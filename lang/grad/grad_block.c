/* grad_block.c: writes the programs of derivatives: nodes with their types, into blocks, which are chains of lets.
 *
 *     block_open; a = emit(x * y); b = emit(a + a); block_close(b)   =>   let a = x * y; let b = a + a; b
 *
 * Everything that is computed gets a name, so that an adjoint that is used twice is computed once; what is not
 * used goes at the end (grad.c). Longer pieces are functions of the language, written as text with T for the type of
 * floats: each is read and typed once for the types that it is applied to, and then copied (splice.c).
 */
#include "grad.h"

#include <stdlib.h>
#include <string.h>

void *grad_alloc(Grad *g, size_t count, size_t size) {
    return arena_alloc(&g->program->arena, (count + 1) * size);
}

/* ---- nodes ---- */

Node *use(Grad *g, Symbol *symbol) {
    return node_ident(g->program, g->span, symbol);
}

Symbol *emit(Grad *g, const char *name, Node *value) {
    Symbol *symbol = symbol_new(g->program, name, value->type);
    Node *let = node_make(g->program, N_Let, g->span, NULL, 2, value, NULL);
    let->symbol = symbol;
    let->text = name;
    if (g->block->last)
        g->block->last->kids[1] = let;
    else
        g->block->first = let;
    g->block->last = let;
    return symbol;
}

Block *block_open(Grad *g, BlockKind kind) {
    Block *block = grad_alloc(g, 1, sizeof *block);
    block->kind = kind;
    block->parent = g->block;
    block->depth = g->block ? g->block->depth + 1 : 0;
    return g->block = block;
}

Node *block_close(Grad *g, Node *result) {
    Block *block = g->block;
    g->block = block->parent;
    if (!block->last) return result;
    for (Node *let = block->first; let; let = let->kids[1]) let->type = result->type;
    block->last->kids[1] = result;
    return block->first;
}

Node *block_take(Grad *g, Node *value) {
    while (value->kind == N_Let) {
        Node *let = value;
        value = let->kids[1];
        let->kids[1] = NULL;
        if (g->block->last)
            g->block->last->kids[1] = let;
        else
            g->block->first = let;
        g->block->last = let;
    }
    return value;
}

Node *field_of(Grad *g, Symbol *symbol, int number) {
    Node *node = node_make(g->program, N_Field, g->span, symbol->type->args[number], 1, use(g, symbol));
    node->index = number;
    return node;
}

Node *i64_literal(Grad *g, int64_t value) {
    return node_literal(g->program, g->span, type_scalar(&g->program->types, TY_i64), (uint64_t)value);
}

Node *number_of(Grad *g, Type *scalar, double value) {
    uint64_t bits = 0;
    float narrow = (float)value;
    if (scalar->kind == TY_f32)
        memcpy(&bits, &narrow, sizeof narrow);
    else if (scalar->kind == TY_f64)
        memcpy(&bits, &value, sizeof value);
    return node_literal(g->program, g->span, scalar, bits);
}

Node *zero_of(Grad *g, Type *scalar) {
    return number_of(g, scalar, 0);
}

Node *binary(Grad *g, Op op, Node *a, Node *b) {
    Node *node = node_make(g->program, N_Binary, g->span, a->type, 2, a, b);
    node->op = op;
    return node;
}

Type *struct_type(Grad *g, int count, Type **types) {
    return type_make(&g->program->types, TY_struct, OP_none, count, types);
}

Node *struct_of(Grad *g, int count, Node **kids) {
    Node *node = node_new(g->program, N_Struct, g->span, NULL, count);
    Type **types = grad_alloc(g, (size_t)count, sizeof *types);
    for (int i = 0; i < node->count; i++) {
        node->kids[i] = kids[i];
        types[i] = kids[i]->type;
    }
    node->type = struct_type(g, count, types);
    return node;
}

Node *make_if(Grad *g, Node *condition, Node *a, Node *b) {
    return node_make(g->program, N_If, g->span, a->type, 3, condition, a, b);
}

Node *make_merge(Grad *g, Node *builder, Node *value) {
    return node_make(g->program, N_Merge, g->span, builder->type, 2, builder, value);
}

Node *make_result(Grad *g, Symbol *builder, Type *type) {
    return node_make(g->program, N_Result, g->span, type, 1, use(g, builder));
}

Node *make_new(Grad *g, Type *builder, Node *argument) {
    return argument ? node_make(g->program, N_NewBuilder, g->span, builder, 1, argument)
                    : node_new(g->program, N_NewBuilder, g->span, builder, 0);
}

Node *make_lambda(Grad *g, int nparams, Symbol **params, Node *body) {
    Node *lambda = node_make(g->program, N_Lambda, g->span, NULL, 1, body);
    Type **parts = grad_alloc(g, (size_t)nparams + 1, sizeof *parts);
    lambda->params = grad_alloc(g, (size_t)nparams, sizeof *lambda->params);
    lambda->nparams = nparams;
    for (int i = 0; i < nparams; i++) {
        lambda->params[i] = params[i];
        parts[i] = params[i]->type;
    }
    parts[nparams] = body->type;
    lambda->type = type_make(&g->program->types, TY_function, OP_none, nparams + 1, parts);
    return lambda;
}

Node *make_iter(Grad *g, Node *vector) {
    Node *iter = node_make(g->program, N_Iter, g->span, vector->type->args[0], 1, vector);
    iter->iter = IT_scalar;
    return iter;
}

Node *make_range(Grad *g, Node *start, Node *end) {
    Node *iter = node_make(g->program, N_Iter, g->span, start->type, 3, start, end, i64_literal(g, 1));
    iter->iter = IT_range;
    return iter;
}

Node *make_for(Grad *g, int iters, Node **iter, Node *builder, Node *lambda) {
    Node *node = node_new(g->program, N_For, g->span, builder->type, iters + 2);
    if (node->count != iters + 2) return node;
    for (int i = 0; i < iters; i++) node->kids[i] = iter[i];
    node->kids[iters] = builder;
    node->kids[iters + 1] = lambda;
    return node;
}

Type *builder_of(Grad *g, TypeKind kind, Op op, Type *a, Type *b) {
    Type *args[2] = {a, b};
    return type_make(&g->program->types, kind, op, b ? 2 : 1, args);
}

/* ---- functions as text ---- */

struct Rule {
    Rule *next;
    const char *text;
    Type *scalar;
    int count;
    Type **types;
    Program *program;
    Splice splice;
};

/* The text, T( made a cast and other Ts the type. */
static void write_text(Buf *out, const char *text, const Type *scalar) {
    const char *name = scalar ? type_classes[scalar->kind].spelling : "T";
    for (const char *at = text; *at; at++) {
        bool word = at > text && ((at[-1] >= 'a' && at[-1] <= 'z') || (at[-1] >= 'A' && at[-1] <= 'Z'));
        bool whole = *at == 'T' && !word && !((at[1] | 32) >= 'a' && (at[1] | 32) <= 'z');
        if (whole)
            buf_put(out, name, strlen(name));
        else
            buf_put(out, at, 1);
    }
}

static Rule *rule_read(Grad *g, Type *scalar, const char *text, int count, Symbol **arguments) {
    Rule *rule = calloc(1, sizeof *rule);
    Buf buf = {0};
    write_text(&buf, text, scalar);
    if (!rule || buf.failed || !buf.text) {
        free(rule);
        buf_release(&buf);
        return NULL;
    }
    rule->text = arena_copy(&g->program->arena, text, strlen(text));
    rule->scalar = scalar;
    rule->count = count;
    rule->program = program_new("derivative", buf.text, buf.length);
    buf_release(&buf);
    rule->next = g->rules;
    g->rules = rule;
    Program *program = rule->program;
    rule->types = grad_alloc(g, (size_t)count, sizeof *rule->types);
    for (int i = 0; i < count; i++) rule->types[i] = arguments[i]->type;
    if (!program) return rule;
    program->imports = g->program->imports;
    if (!program_read(program)) return rule;
    if (program->root->nparams != count) {
        error_set(&program->error, E_Type, program->root->span, "it takes %d arguments, not %d",
                  program->root->nparams, count);
        return rule;
    }
    Type **parts = grad_alloc(g, (size_t)count + 1, sizeof *parts);
    for (int i = 0; i < count; i++) parts[i] = type_import(&program->types, arguments[i]->type);
    parts[count] = type_unknown(&program->types);
    Type *want = type_make(&program->types, TY_function, OP_none, count + 1, parts);
    if (program_infer(program, want) && !splice_open(&rule->splice, g->program, program, true))
        g->program->arena.exhausted = true;
    return rule;
}

static Rule *rule_find(Grad *g, Type *scalar, const char *text, int count, Symbol **arguments) {
    for (Rule *rule = g->rules; rule; rule = rule->next) {
        bool same = rule->scalar == scalar && rule->count == count && strcmp(rule->text, text) == 0;
        for (int i = 0; same && i < count; i++) same = rule->types[i] == arguments[i]->type;
        if (same) return rule;
    }
    return rule_read(g, scalar, text, count, arguments);
}

static bool set_span(Walk *walk, Node **slot) {
    (*slot)->span = ((Grad *)walk->data)->span;
    return true;
}

Node *apply_text(Grad *g, Type *scalar, const char *text, int count, Symbol **arguments) {
    Rule *rule = rule_find(g, scalar, text, count, arguments);
    if (rule && rule->program && rule->program->error.code == E_None && !g->program->arena.exhausted) {
        Node *body = splice_body(&rule->splice, rule->program->root, arguments);
        Walk walk = {g->program, set_span, NULL, g};
        node_walk(&walk, &body);
        return body;
    }
    bool read = rule && rule->program && !g->program->arena.exhausted;
    if (read && rule->program->error.code != E_OutOfMemory && g->foreign)
        error_set(&g->program->error, E_Type, g->span,
                  "the derivative of %.80s, %.120s, does not fit: %.160s", g->foreign, text,
                  rule->program->error.text);
    else if (read && rule->program->error.code != E_OutOfMemory)
        error_set(&g->program->error, E_Internal, g->span,
                  "a rule of derivatives is wrong: %.200s, in %.150s", rule->program->error.text,
                  rule->program->source[0].text);
    else
        error_set(&g->program->error, E_OutOfMemory, g->span, "no memory for a derivative");
    return zero_of(g, type_scalar(&g->program->types, TY_f64));
}

void grad_rules_free(Grad *g) {
    while (g->rules) {
        Rule *rule = g->rules;
        g->rules = rule->next;
        program_free(rule->program);
        free(rule);
    }
}
