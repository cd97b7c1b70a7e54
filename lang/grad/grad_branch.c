/* grad_branch.c: the adjoints of what has bodies but no builders of its own: if and iterate.
 *
 *     r = if(c, sin(x), x * y)     =>    let s = if(c, {x' + r' * cos(x), y'}, {x' + r' * y, y' + r' * x});  x' = s.$0, ..
 *
 *     r = iterate(a, |s| {f(s), again})
 *         forward  let t = iterate({a, appender}, ..); r = t.$0; states = result(t.$1)            (grad_forward.c)
 *         back     let u = iterate({len(states) - 1, r', sums}, |u| let s = lookup(states, u.$0); .. f anew, then backwards ..
 *                                  {{u.$0 - 1, s', sums}, u.$0 > 0}); a' = u.$1
 *
 * The scalars that a step makes are not computed anew: they are the state that the step behind it was given, whose adjoint came
 * before.
 *
 * An arm is computed anew in an arm. What both arms add to outside is the value of the if; where only one adds, the other
 * gives back what was there.
 */
#include "grad.h"

static bool redo_enter(Walk *walk, Node **slot) {
    Grad *g = walk->data;
    if (node_is_foreign(*slot) && node_keeps(*slot) && !grad_failed(g))
        grad_fail(g, (*slot)->span,
                  "there is no derivative around this call: it would be made twice, and it is not "
                  "@(pure: true)");
    return !grad_failed(g);
}

bool can_redo(Grad *g, Node *body) {
    Walk walk = {g->program, redo_enter, NULL, g};
    node_walk(&walk, &body);
    return !grad_failed(g);
}

/* ---- arms ---- */

static Import *find_import(const Block *block, const Import *like) {
    for (int i = 0; i < block->count; i++) {
        Import *import = block->imports[i];
        if (like->acc ? import->acc == like->acc : import->scalar == like->scalar) return import;
    }
    return NULL;
}

/* What the arm makes of what another one imports. */
static Node *arm_value(Grad *g, Block *arm, const Import *like) {
    const Import *own = find_import(arm, like);
    if (own && own->acc) return use(g, own->now);
    if (own && own->here.value) return use(g, own->here.value);
    Block *at = g->block;
    g->block = arm->parent;
    Symbol *outer =
        like->acc ? acc_now(g, arm->parent, like->acc) : leaf_slot(g, like->owner, like->number)->value;
    g->block = at;
    return outer ? use(g, outer) : zero_of(g, like->type);
}

void close_arms(Grad *g, Symbol *condition, Block *a, Block *b) {
    Block *arms[2] = {a, b};
    Import **all = grad_alloc(g, (size_t)(a->count + b->count), sizeof *all);
    int count = 0;
    for (int k = 0; k < 2; k++) {
        for (int i = 0; i < arms[k]->count; i++) {
            if (k == 0 || !find_import(a, arms[k]->imports[i])) all[count++] = arms[k]->imports[i];
        }
    }
    if (count == 0 || grad_failed(g)) return;
    Node *made[2];
    for (int k = 0; k < 2; k++) {
        Node **values = grad_alloc(g, (size_t)count, sizeof *values);
        g->block = arms[k];
        for (int i = 0; i < count; i++) values[i] = arm_value(g, arms[k], all[i]);
        made[k] = block_close(g, count == 1 ? values[0] : struct_of(g, count, values));
    }
    Symbol *whole = emit(g, "arms", make_if(g, use(g, condition), made[0], made[1]));
    for (int i = 0; i < count; i++) {
        Symbol *part = count == 1 ? whole : emit(g, "arm", field_of(g, whole, i));
        if (all[i]->acc)
            acc_set(g, g->block, all[i]->acc, part);
        else
            leaf_slot(g, all[i]->owner, all[i]->number)->value = part;
    }
}

void reverse_if(Grad *g, Info *info, Symbol **adjoints) {
    Node *node = info->def;
    Block *arm[2];
    int keep = g->keep;
    g->keep = info->depth + 1;
    for (int k = 0; k < 2 && can_redo(g, node->kids[k + 1]); k++) {
        Node *body = node->kids[k + 1];
        arm[k] = block_open(g, B_ARM);
        forward(g, body);
        Info *end = info_of(g, body_end(body)->symbol);
        for (int i = 0; i < info->leaves.count; i++) leaf_add(g, end, i, adjoints[i]);
        grad_reverse(g, body);
        g->block = arm[k]->parent;
    }
    g->keep = keep;
    if (grad_failed(g)) return;
    close_arms(g, now_of(node->kids[0]->symbol), arm[0], arm[1]);
    forget(g, node->kids[1]);
    forget(g, node->kids[2]);
}

/* ---- iterate ---- */

enum { MOST_GIVEN = 16, MOST_FIELDS = 4 };

/* What the primal step makes for a field of the next state: the name, and where the field is. */
typedef struct Given {
    Symbol *name;
    int fields[MOST_FIELDS], depth, number;
} Given;

/* The state of the adjoint's iterate: a step's number, the adjoints of the primal state, the scalars that the step made,
 * and what is added to outside. */
typedef struct Step {
    int count, depth; /* depth: of what a step makes */
    Node **start, **next;
    Given given[MOST_GIVEN];
    int givens;
} Step;

static void find_given(Grad *g, Step *step, Node *value, Given path) {
    Info *info = info_of(g, value->symbol);
    const Node *def = info ? info->def : NULL;
    if (!def || info->depth < step->depth || step->givens == MOST_GIVEN) return;
    if (def->kind == N_Struct && path.depth < MOST_FIELDS) {
        for (int i = 0; i < def->count; i++) {
            Given inner = path;
            inner.fields[inner.depth++] = i;
            find_given(g, step, def->kids[i], inner);
        }
        return;
    }
    bool trivial = def->kind == N_Field || def->kind == N_Ident || def->kind == N_Literal;
    if (trivial || !type_is_float(value->type) || !info->active[0]) return;
    for (int i = 0; i < step->givens; i++) {
        if (step->given[i].name == value->symbol) return;
    }
    path.name = value->symbol;
    path.number = step->count++;
    step->given[step->givens++] = path;
}

static void find_all_given(Grad *g, Step *step, const Node *node) {
    Info *end = info_of(g, body_end(node->kids[1]->kids[0])->symbol);
    if (node->type->builders || !end || !end->def || end->def->kind != N_Struct) return;
    find_given(g, step, end->def->kids[0], (Given){0});
}

static Symbol *given_of(Grad *g, const Given *given, Symbol *state) {
    for (int i = 0; i < given->depth; i++) state = emit(g, "made", field_of(g, state, given->fields[i]));
    return state;
}

static void step_imports(Grad *g, Block *block, Step *step) {
    for (int i = 0; i < block->count; i++) {
        Import *import = block->imports[i];
        Symbol *outer = import->acc ? acc_now(g, g->block, import->acc)
                                    : leaf_slot(g, import->owner, import->number)->value;
        step->start[step->count + i] = outer ? use(g, outer) : zero_of(g, import->type);
    }
}

static void step_patch(Grad *g, Block *block, Type *type) {
    block->param->type = type;
    for (struct Uses *uses = block->fields; uses; uses = uses->next) uses->field->kids[0]->type = type;
    (void)g;
}

void reverse_iterate(Grad *g, Info *info, Symbol **adjoints) {
    Node *node = info->def, *lambda = node->kids[1], *body = lambda->kids[0];
    Info *state = info_of(g, lambda->params[0]);
    int leaves = info->leaves.count, keep = g->keep, most;
    if (!can_redo(g, body)) return;
    for (int c = 0; c < info->cells; c++) {
        Cell *cell = info->cell[c];
        if (cell->live && cell->sequence && merges_each(g, body, c) < 0) {
            grad_fail(
                g, node->span,
                "there is no derivative through an iterate that collects more at some steps than at others");
            return;
        }
    }
    Symbol *states = states_of(g, info), *length = info->steps;
    Step step = {.count = length ? 2 : 1,
                 .depth = state->depth,
                 .start = grad_alloc(g, (size_t)leaves + 2 + MOST_GIVEN, sizeof(Node *))};
    if (length)
        step.start[1] = use(g, states);
    else
        length = emit(g, "steps",
                      node_make(g->program, N_Len, g->span, type_scalar(&g->program->types, TY_i64), 1,
                                use(g, states)));
    step.start[0] = binary(g, OP_sub, use(g, length), i64_literal(g, 1));
    int *number = grad_alloc(g, (size_t)leaves, sizeof *number);
    for (int i = 0; i < leaves; i++) {
        if (!state->active[i]) continue;
        number[i] = step.count;
        step.start[step.count++] = use(g, adjoints[i] ? adjoints[i] : info_zeros(g, info, i));
    }
    find_all_given(g, &step, node);
    for (int i = 0; i < step.givens; i++)
        step.start[step.given[i].number] = use(g, given_of(g, &step.given[i], now_of(info->symbol)));
    Block *block = block_open(g, B_STEP);
    block->param = symbol_new(g->program, "step", NULL);
    block->fixed = step.count;
    Symbol *at = param_field(g, block, 0, length->type, "number");
    Symbol *kept = info->steps ? param_field(g, block, 1, states->type, "kept") : NULL;
    if (kept) kept = again_descend(g, info, kept, at);
    bind_state(g, lambda, kept ? emit(g, "state", field_of(g, kept, 2)) : lookup_in(g, states, at));
    state->loop = grad_alloc(g, 1, sizeof *state->loop);
    *state->loop = (Loop){node, at, info_of(g, node->kids[0]->symbol), NULL, NULL};
    g->keep = state->depth;
    for (int i = 0; i < step.givens; i++) {
        const Given *given = &step.given[i];
        bind_value(g, given->name, param_field(g, block, given->number, given->name->type, "made"));
        info_of(g, given->name)->given = true;
    }
    forward(g, body);
    for (int i = 0; i < leaves; i++) {
        if (number[i])
            leaf_add(g, info_of(g, body_end(body)->symbol), i,
                     param_field(g, block, number[i], info->leaves.types[i], "adjoint"));
    }
    grad_reverse(g, body);
    most = step.count + block->count;
    step.next = grad_alloc(g, (size_t)most, sizeof(Node *));
    step.next[0] = binary(g, OP_sub, use(g, at), i64_literal(g, 1));
    if (kept) step.next[1] = again_drop(g, kept, at);
    for (int i = 0; i < leaves && !grad_failed(g); i++) {
        Symbol *value = number[i] ? leaf_value(g, state, i) : NULL;
        if (number[i]) step.next[number[i]] = use(g, value ? value : info_zeros(g, state, i));
    }
    for (int i = 0; i < step.givens; i++)
        step.next[step.given[i].number] = use(g, given_of(g, &step.given[i], now_of(state->symbol)));
    for (int i = 0; i < block->count; i++) {
        Import *import = block->imports[i];
        step.next[step.count + i] = use(g, import->acc ? import->now : import->here.value);
    }
    g->keep = keep;
    if (grad_failed(g)) return;
    Node *pair[2] = {struct_of(g, most, step.next), NULL};
    pair[1] = node_make(g->program, N_Compare, g->span, type_scalar(&g->program->types, TY_bool), 2,
                        use(g, at), i64_literal(g, 0));
    pair[1]->op = OP_gt;
    step_patch(g, block, pair[0]->type);
    Node *made = make_lambda(g, 1, &block->param, block_close(g, struct_of(g, 2, pair)));
    Node **start = grad_alloc(g, (size_t)most, sizeof *start);
    for (int i = 0; i < step.count; i++) start[i] = step.start[i];
    step.start = start;
    step_imports(g, block, &step);
    Node *first = struct_of(g, most, start);
    Symbol *back = emit(g, "back", node_make(g->program, N_Iterate, g->span, first->type, 2, first, made));
    forget(g, body);
    unbind_value(g, lambda->params[0]);
    for (int i = 0; i < block->count; i++) {
        Import *import = block->imports[i];
        Symbol *part = emit(g, "sum", field_of(g, back, step.count + i));
        if (import->acc)
            acc_set(g, g->block, import->acc, part);
        else
            leaf_slot(g, import->owner, import->number)->value = part;
    }
    for (int i = 0; i < leaves; i++) {
        if (number[i])
            leaf_add(g, info_of(g, node->kids[0]->symbol), i,
                     emit(g, "adjoint", field_of(g, back, number[i])));
    }
}
