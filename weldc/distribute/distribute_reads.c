/* distribute_reads.c: which elements of a parameter a step reads, as a loop of its own that comes before.
 *
 *     for(block, vecmerger(w0), |b, i, e| ..slice(s.$0, e * d, d)..)        s.$0: a parameter, of which a worker pulls
 *  =>
 *     let reads = result(for(block, appender, |b, i, e| merge(b, {e * d, d})));        these {first, length}
 *     let view = exchange[pull](.., {t, [reads]}); ..
 *
 * The parameter must be looked up and sliced only, with indices, and under conditions, that no parameter decides (the inspector of Saltz,
 * Crowley, Mirchandaney and Berryman, Run-time scheduling and execution of loops on message passing machines, 1990). Of the
 * step's code the loop keeps what these need. Where they do not depend on the state either it runs once, before all steps.
 */
#include "distribute_server.h"

typedef struct Reads {
    Step *step;
    Program *program;
    int leaf;
    uint64_t ranged; /* the leaves that are parameters or go with them */
    Type *pair;      /* {i64, i64} */
    Type *builder;
    bool *tainted; /* by symbol id: a name in the step that depends on parameters */
    bool fails;
} Reads;

/* ---- what is below a node ---- */

typedef struct Below {
    Reads *reads;
    bool target, tainted;
} Below;

static bool look_below(Walk *walk, Node **slot) {
    Below *below = walk->data;
    Reads *r = below->reads;
    Node *node = *slot;
    if (node->kind == N_Ident && node->symbol->id < r->step->symbols && r->tainted[node->symbol->id])
        below->tainted = true;
    if (node->kind != N_Ident && node->kind != N_Field) return true;
    uint64_t leaves = step_leaves(r->step, node);
    if (leaves & r->ranged) below->tainted = true;
    if (step_is_leaf(r->step, node, r->leaf)) below->target = true;
    return !leaves;
}

static Below below(Reads *r, Node *node) {
    Below found = {.reads = r};
    Walk walk = {r->program, look_below, NULL, &found};
    node_walk(&walk, &node);
    return found;
}

static bool reads_below(Reads *r, Node *node) {
    return below(r, node).target;
}

/* Something that must be known before: no parameter may decide it. */
static void demand(Reads *r, Node *node) {
    if (below(r, node).tainted) r->fails = true;
}

/* ---- the loop ---- */

static Node *collect(Reads *r, Node *node, Node *into);

static Node *add_range(Reads *r, const Node *read, Node *into) {
    Program *program = r->program;
    Node *first = read->kids[1];
    Node *length = read->kind == N_Slice ? read->kids[2] : node_literal(program, read->span, first->type, 1);
    demand(r, first);
    demand(r, length);
    if (first->type->kind != TY_i64 || length->type->kind != TY_i64) r->fails = true;
    Node *range = node_make(program, N_Struct, read->span, r->pair, 2, first, length);
    return node_make(program, N_Merge, read->span, r->builder, 2, into, range);
}

static Node *collect_let(Reads *r, Node *let, Node *into) {
    into = collect(r, let->kids[0], into);
    if (below(r, let->kids[0]).tainted) r->tainted[let->symbol->id] = true;
    if (!reads_below(r, let->kids[1])) return into;
    Node *rest = collect(r, let->kids[1], into);
    if (r->tainted[let->symbol->id] || !uses_name(r->program, rest, let->symbol)) return rest;
    return node_let(r->program, let->span, let->symbol, let->kids[0], rest);
}

static Node *collect_if(Reads *r, Node *node, Node *into) {
    Program *program = r->program;
    into = collect(r, node->kids[0], into);
    if (!reads_below(r, node->kids[1]) && !reads_below(r, node->kids[2])) return into;
    demand(r, node->kids[0]);
    Symbol *so_far = symbol_new(program, "b", r->builder);
    Node *arms[2];
    for (int i = 0; i < 2; i++)
        arms[i] = collect(r, node->kids[1 + i], node_ident(program, node->span, so_far));
    Node *choice = node_make(program, N_If, node->span, r->builder, 3, node->kids[0], arms[0], arms[1]);
    return node_let(program, node->span, so_far, into, choice);
}

static Node *collect_for(Reads *r, Node *loop, Node *into) {
    Program *program = r->program;
    int last = loop->count - 1;
    Node *lambda = loop->kids[last];
    for (int i = 0; i < last; i++) into = collect(r, loop->kids[i], into);
    if (!reads_below(r, lambda->kids[0])) return into;
    Node *copy = node_new(program, N_For, loop->span, r->builder, loop->count);
    for (int i = 0; i < last - 1; i++) {
        demand(r, loop->kids[i]);
        copy->kids[i] = loop->kids[i];
    }
    Symbol *b = symbol_new(program, "b", r->builder);
    r->tainted[lambda->params[0]->id] = true;
    Node *body = collect(r, lambda->kids[0], node_ident(program, loop->span, b));
    Type *types[] = {r->builder, lambda->params[1]->type, lambda->params[2]->type, r->builder};
    Type *function = type_make(&program->types, TY_function, OP_none, 4, types);
    Node *each = node_make(program, N_Lambda, lambda->span, function, 1, body);
    each->nparams = 3;
    each->params = arena_alloc(&program->arena, 3 * sizeof *each->params);
    each->params[0] = b;
    each->params[1] = lambda->params[1];
    each->params[2] = lambda->params[2];
    copy->kids[last - 1] = into;
    copy->kids[last] = each;
    return copy;
}

/* `into`, a builder, with the ranges that evaluating the node reads. It is used once. */
static Node *collect(Reads *r, Node *node, Node *into) {
    if (r->fails || !reads_below(r, node)) return into;
    bool read = node->kind == N_Lookup || node->kind == N_Slice;
    if (read && step_is_leaf(r->step, node->kids[0], r->leaf)) return add_range(r, node, into);
    switch (node->kind) {
    case N_Let: return collect_let(r, node, into);
    case N_If: return collect_if(r, node, into);
    case N_For: return collect_for(r, node, into);
    case N_And:
    case N_Or: r->fails = reads_below(r, node->kids[1]); return collect(r, node->kids[0], into);
    case N_Ident:
    case N_Field: /* all of it, or in a struct */
    case N_Lambda:
    case N_Sort:
    case N_Iterate: r->fails = true; return into;
    default: break;
    }
    for (int i = 0; i < node->count; i++) into = collect(r, node->kids[i], into);
    return into;
}

/* What the worker's part of the step reads of a leaf. NULL: it may be anything. */
static Node *reads_of(Reads *r) {
    Step *step = r->step;
    Node *into = node_new(r->program, N_NewBuilder, step->chain.end->span, r->builder, 0);
    for (int i = 0; i < step->chain.count && !r->fails; i++) {
        Entry *entry = &step->chain.entries[i];
        bool sum = entry->sum >= 0 && entry->updates;
        if (!sum && (!entry->works || entry->sum >= 0 || step_is_structural(entry->value))) continue;
        into = collect(r, sum ? entry->value->kids[0] : entry->value, into);
    }
    if (r->fails) return NULL;
    return node_make(r->program, N_Result, step->chain.end->span, type_vec(&r->program->types, r->pair), 1,
                     into);
}

void step_find_reads(Step *step) {
    Program *program = step->d->program;
    Type *number = type_scalar(&program->types, TY_i64), *pair[] = {number, number};
    Reads r = {.step = step, .program = program};
    r.pair = type_make(&program->types, TY_struct, OP_none, 2, pair);
    r.builder = type_make(&program->types, TY_appender, OP_none, 1, &r.pair);
    for (int i = 0; i < step->nleaves; i++) r.ranged |= (uint64_t)step->leaves[i].ranged << i;
    for (int i = 0; i < step->nleaves; i++) {
        if (!step->leaves[i].pulled) continue;
        r.leaf = i;
        r.fails = false;
        r.tainted = arena_alloc(&program->arena, (size_t)program->symbols + 1);
        step->d->gave_up |= !r.tainted;
        Node *reads = r.tainted ? reads_of(&r) : NULL;
        if (reads) step->leaves[i].reads = step_add(step, "reads", reads);
    }
}
