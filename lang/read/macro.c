/* macro.c: expands macros.
 *
 * A macro's body is elaborated where it is called, with its parameters bound to the arguments, each of which
 * keeps the scope of the call: so binders of the body never capture a name of an argument, and free names of
 * the body mean what they mean at the call. How an argument is put in:
 *
 *     macro twice(a) = a + a;      twice(x.$0)     =>  x.$0 + x.$0                no work: at every use
 *                                  twice(len(v))   =>  let a = len(v); a + a      work is done once
 *     macro both(b) = {b, b};      both(appender)  =>  {appender, appender}       builders are never shared
 *     macro either(c, a) = if(c, a, {a, 1});                                      a stays in the arms
 *
 * So uses are recorded while the body is elaborated, and the argument is elaborated afterwards: as the value
 * of a let when it is used more than once and at least one use is certain to be evaluated, or when its uses
 * are in loops and it cannot fail; else again at every use. A macro's let may only make evaluation earlier,
 * never make it happen where it would not.
 */
#include "resolve.h"

#include <stdlib.h>

enum { MOST_ROUNDS = 30, SEARCHED = 500 /* nodes of an argument */ };

void macro_use(Resolver *r, Binding *binding, Node *node) {
    Use *use = arena_alloc(&r->program->arena, sizeof *use);
    *use = (Use){node, binding, r->loops, r->arms, binding->uses, r->last};
    binding->uses = r->last = use;
    node->index = binding->number;
}

/* Forgets the uses recorded since `mark`: their nodes were thrown away. */
static void uses_forget(Resolver *r, Use *mark) {
    for (; r->last != mark; r->last = r->last->before) r->last->binding->uses = r->last->next;
}

/* Expressions that cost nothing: names, constants, fields of names. */
static bool is_free(const Node *raw) {
    while (raw->kind == N_Field) raw = raw->kids[0];
    if (raw->kind == N_Unary && raw->op == OP_neg) raw = raw->kids[0];
    return raw->kind == N_Ident || raw->kind == N_Literal || raw->kind == N_String;
}

/* May the value be a builder that this expression makes or changes? Elaborated nodes. */
static bool makes_builder(const Node *node, int *budget) {
    while (node->kind == N_Let) node = node->kids[1];
    if (--*budget < 0) return true;
    switch (node->kind) {
    case N_NewBuilder:
    case N_Merge:
    case N_For: return true;
    case N_Apply:
        if (node->kids[0]->kind == N_Lambda && makes_builder(node->kids[0]->kids[0], budget)) return true;
        break;
    case N_If:
    case N_Select:
    case N_Struct:
    case N_Field:
    case N_Ascribe:
    case N_Iterate: break;
    default: return false;
    }
    for (int i = 0; i < node->count; i++) {
        if (makes_builder(node->kids[i], budget)) return true;
    }
    return false;
}

/* May evaluating it fail, or take for ever? Types are not known yet. */
static bool may_fail(const Node *node, int *budget) {
    if (--*budget < 0 || node->kind == N_Iterate) return true;
    if (node_classes[node->kind].traits & FAILS) return true;
    if (op_classes[node->op].traits & FAILS) {
        const Node *divisor = node->kids[1];
        if (divisor->kind != N_Literal || divisor->bits == 0) return true;
    }
    if (node->kind == N_For && node->count > 3) return true;
    if (node->kind == N_Iter && node->count > 1) return true;
    if (node->kind == N_NewBuilder && node->type->kind == TY_vecmerger) return true;
    for (int i = 0; i < node->count; i++) {
        if (may_fail(node->kids[i], budget)) return true;
    }
    return false;
}

/* Where among a parameter's uses? */
typedef struct Where {
    int count;
    bool certain, loop; /* a use that is evaluated whenever the call is; one that is inside a loop */
} Where;

static Where where_used(const Binding *b) {
    Where where = {0};
    for (const Use *use = b->uses; use; use = use->next) {
        if (use->node->kind == N_None) continue;
        where.count++;
        if (use->arms == b->arms) *(use->loops == b->loops ? &where.certain : &where.loop) = true;
    }
    return where;
}

/* Puts the argument in at one use. */
static bool put(Resolver *r, const Scope *scope, const Node *raw, const Use *use) {
    int loops = r->loops, arms = r->arms;
    r->loops = use->loops;
    r->arms = use->arms;
    Node *value = elaborate(r, scope, raw, VALUE);
    if (value) {
        int number = value->kind == N_Ident ? value->index : 0;
        *use->node = *value;
        value->kind = N_None; /* if its use was recorded: now it is here */
        if (number) macro_use(r, r->params[number - 1], use->node);
    }
    r->loops = loops;
    r->arms = arms;
    return value != NULL;
}

/* Puts an argument into the elaborated body of a macro. */
static Node *settle(Resolver *r, const Scope *scope, const Node *raw, Binding *b, Node *body) {
    Where where = where_used(b);
    int below = r->height, tallest = 0, budget = SEARCHED, more = SEARCHED;
    Use *mark = r->last;
    if (where.count == 0 || (where.certain ? where.count > 1 : where.loop)) {
        Node *value = elaborate(r, scope, raw, VALUE);
        if (!value) return NULL;
        bool can = value->kind != N_Ident && !makes_builder(value, &budget);
        if (where.count > 0 && can && (where.certain || !may_fail(value, &more))) {
            for (Use *use = b->uses; use; use = use->next) use->node->index = 0;
            r->height = r->height + 1 > below ? r->height + 1 : below;
            return node_let(r->program, value->span, b->symbol, value, body);
        }
        uses_forget(r, mark);
    }
    for (const Use *use = b->uses; use; use = use->next) {
        if (use->node->kind == N_None) continue;
        if (!put(r, scope, raw, use)) return NULL;
        if (r->height > tallest) tallest = r->height;
    }
    r->height = below + tallest;
    return body;
}

static bool param_new(Resolver *r, Binding *b) {
    if (r->count == r->room) {
        int room = r->room ? r->room * 2 : 64;
        Binding **params = realloc(r->params, sizeof *params * (size_t)room);
        if (!params) return false;
        r->params = params;
        r->room = room;
    }
    r->params[r->count++] = b;
    b->number = r->count;
    b->loops = r->loops;
    b->arms = r->arms;
    b->symbol = symbol_new(r->program, b->name, type_unknown(&r->program->types));
    return true;
}

/* What a parameter means in the body. */
static Binding *bind_argument(Resolver *r, const Scope *scope, const Node *raw, const char *name) {
    const Node *head;
    Scope where;
    Role role = role_of(r, scope, raw, &head, &where);
    if (role == FUNCTION) return binding_closure(r, name, head, &where);
    Binding *same = raw->kind == N_Ident ? scope_find(r, scope, raw->text) : NULL;
    if (same) return same;
    if (role == DATA || is_free(raw)) return binding_closure(r, name, raw, scope);
    Binding *b = binding_new(r, B_param, name);
    return param_new(r, b) ? b : NULL;
}

Node *macro_expand(Resolver *r, const Scope *scope, const Node *raw, const Macro *macro, Role role) {
    Span span = span_in(scope, raw);
    int count = raw->count - 1;
    if (count != macro->nparams) {
        resolve_fail(r, E_Syntax, span, "the macro %.64s takes %d argument%s, not %d", macro->name,
                     macro->nparams, macro->nparams == 1 ? "" : "s", count);
        return NULL;
    }
    if (scope->rounds >= MOST_ROUNDS) {
        resolve_fail(r, E_Syntax, span, "the macro %.64s does not come to an end in %d rounds of expansion",
                     macro->name, MOST_ROUNDS);
        return NULL;
    }
    Span *call = arena_alloc(&r->program->arena, sizeof *call);
    *call = span; /* in the arena, as closures keep the scope beyond this function */
    Scope inside = {scope->map, call, scope->rounds + 1};
    int first = r->count;
    Binding **bound = arena_alloc(&r->program->arena, sizeof *bound * (size_t)(count + 1));
    for (int i = 0; i < count; i++) {
        if (bound) bound[i] = bind_argument(r, scope, raw->kids[i + 1], macro->params[i]);
        if (!bound || !bound[i]) {
            resolve_fail(r, E_OutOfMemory, span, "no memory to expand macros");
            return NULL;
        }
        scope_bind(r, &inside, macro->params[i], bound[i]);
    }
    Node *body = elaborate(r, &inside, macro->body, role);
    for (int i = count - 1; body && i >= 0; i--) {
        /* Parameters of enclosing macros, handed on by name, are settled there. */
        if (bound[i]->kind == B_param && bound[i]->number > first)
            body = settle(r, scope, raw->kids[i + 1], bound[i], body);
    }
    return body;
}
