/* verify.c: the invariants of a typed program.
 *
 * One walk in evaluation order checks, of every node: that it is in the tree once, has as many kids as its
 * row allows, is no sugar, has a closed type that values can have, and that its row's rule of types holds
 * (infer_rules.c, infer_loop.c); of every symbol: that it is bound once and used in its scope only.
 *
 * The same walk follows builders. A fresh builder is a *cell*; merge, for, let, if and fields hand cells on,
 * so that the *shape* of an expression (its cells, laid out as the fields of its type) says which builder it
 * is:
 *
 *     for(v, {appender[i64], merger[i64,+]}, |b, i, e| {merge(b.$0, e), merge(b.$1, e)})
 *            shape {c1, c2}                   b is {c1, c2}, so the body is {c1, c2}: field for field
 *
 * The parameter of a loop's function has the very cells of the loop's builder. That is why the one non-linear
 * form which real programs use is accepted, an inner loop that merges into the outer builder's name:
 *
 *     for(v, b0, |b, i, e| for(w, b, |b2, i2, e2| merge(b, e2)))      b2 and b are the same cell
 *
 * result ends a cell: nothing may use it afterwards. A cell has the level of the function whose own it is; a
 * function of a loop that uses a cell of another level reaches for a builder which another worker may have.
 *
 * Linear time (shapes are shared, not copied). Recursion goes into values only, never along lets. What a user
 * can write wrong is a Type error; the rest is a fault of a pass, Internal.
 */
#include "read/infer.h"

#include <stdlib.h>
#include <string.h>

typedef struct Cell {
    int level;
    bool ended;
    uint32_t stamp; /* of the struct that was last seen to hold it */
} Cell;

typedef struct Shape Shape;
struct Shape {
    Cell *cell; /* of a builder; NULL in a struct */
    int count;
    Shape **fields; /* of a struct; NULL where a field has no builders */
};

enum Scope { UNBOUND, INSIDE, OUTSIDE };

typedef struct Verify {
    Infer in; /* for the rules of types */
    Program *program;
    Arena scratch;
    Symbol **bound;    /* by id */
    uint8_t *scope;    /* by id */
    Shape **shapes;    /* by id: of the value; NULL without builders */
    const Node **seen; /* a hash set of nodes */
    size_t slots, nodes;
    Cell **ended; /* cells in the order in which they ended */
    size_t ends, room;
    int level;
    uint32_t stamp;
} Verify;

static bool failed(const Verify *v) {
    return v->program->error.code != E_None;
}

static bool fail_type(Verify *v, const Node *node, const char *text) {
    return error_set(&v->program->error, E_Type, node->span, "%s", text);
}

static bool fail_internal(Verify *v, const Node *node, const char *text) {
    return error_set(&v->program->error, E_Internal, node->span, "%s: %s", node_classes[node->kind].name,
                     text);
}

/* ---- cells and shapes ---- */

static Shape *shape_cell(Verify *v) {
    Shape *shape = arena_alloc(&v->scratch, sizeof *shape);
    shape->cell = arena_alloc(&v->scratch, sizeof *shape->cell);
    shape->cell->level = v->level;
    return shape;
}

static Shape *shape_struct(Verify *v, const Node *node, int count) {
    Shape *shape = arena_alloc(&v->scratch, sizeof *shape);
    shape->fields = arena_alloc(&v->scratch, sizeof *shape->fields * (size_t)count);
    if (shape->fields) shape->count = count;
    if (!shape->fields && count) error_set(&v->program->error, E_OutOfMemory, node->span, "out of memory");
    return shape;
}

/* Builders of their own for a value of this type. */
static Shape *shape_fresh(Verify *v, const Node *node, const Type *type) {
    if (type_is_builder(type)) return shape_cell(v);
    if (!type->builders || type->kind != TY_struct) return NULL;
    Shape *shape = shape_struct(v, node, type->count);
    for (int i = 0; i < shape->count; i++) shape->fields[i] = shape_fresh(v, node, type->args[i]);
    return shape;
}

static bool shape_same(const Shape *a, const Shape *b) {
    if (a == b) return true;
    if (!a || !b || a->cell != b->cell || a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        if (!shape_same(a->fields[i], b->fields[i])) return false;
    }
    return true;
}

/* A use of the cells of a shape, which must be ours and not have ended. */
static bool shape_use(Verify *v, const Node *node, const Shape *shape) {
    if (!shape) return true;
    if (shape->cell && shape->cell->ended)
        return fail_type(v, node, "result has ended this builder already; a builder has one result");
    if (shape->cell && shape->cell->level != v->level)
        return fail_type(
            v, node, "this builder is from outside the loop; a loop can use only the builder it is given");
    for (int i = 0; i < shape->count; i++) {
        if (!shape_use(v, node, shape->fields[i])) return false;
    }
    return true;
}

static bool shape_has_ended(const Shape *shape) {
    if (!shape) return false;
    if (shape->cell) return shape->cell->ended;
    for (int i = 0; i < shape->count; i++) {
        if (shape_has_ended(shape->fields[i])) return true;
    }
    return false;
}

static void shape_set_level(const Shape *shape, int level) {
    if (!shape) return;
    if (shape->cell) shape->cell->level = level;
    for (int i = 0; i < shape->count; i++) shape_set_level(shape->fields[i], level);
}

static void cell_end(Verify *v, Cell *cell) {
    if (v->ends == v->room) {
        size_t room = v->room ? v->room * 2 : 64;
        Cell **ended = realloc(v->ended, sizeof *ended * room);
        Span nowhere = {0, 0, 0};
        if (!ended) {
            error_set(&v->program->error, E_OutOfMemory, nowhere, "out of memory");
            return;
        }
        v->ended = ended;
        v->room = room;
    }
    cell->ended = true;
    v->ended[v->ends++] = cell;
}

static void shape_end(Verify *v, const Node *node, const Shape *shape) {
    if (!shape || !shape_use(v, node, shape)) return;
    if (shape->cell) cell_end(v, shape->cell);
    for (int i = 0; i < shape->count; i++) shape_end(v, node, shape->fields[i]);
}

/* Does a struct hold one builder twice? Every cell gets the stamp of this question. */
static bool shape_repeats(const Shape *shape, uint32_t stamp) {
    if (!shape) return false;
    if (shape->cell) {
        if (shape->cell->stamp == stamp) return true;
        shape->cell->stamp = stamp;
    }
    for (int i = 0; i < shape->count; i++) {
        if (shape_repeats(shape->fields[i], stamp)) return true;
    }
    return false;
}

/* ---- nodes and symbols ---- */

/* Marks a node as seen. False: it was seen before. */
static bool seen_first(Verify *v, const Node *node) {
    if (v->nodes * 2 >= v->slots) {
        size_t slots = v->slots ? v->slots * 2 : 256;
        const Node **seen = calloc(slots, sizeof *seen);
        if (!seen) return true; /* this check alone suffers */
        for (size_t i = 0; i < v->slots; i++) {
            if (!v->seen[i]) continue;
            size_t at = ((uintptr_t)v->seen[i] >> 4) * 0x9E3779B97F4A7C15u % slots;
            while (seen[at]) at = (at + 1) % slots;
            seen[at] = v->seen[i];
        }
        free(v->seen);
        v->seen = seen;
        v->slots = slots;
    }
    size_t at = ((uintptr_t)node >> 4) * 0x9E3779B97F4A7C15u % v->slots;
    for (; v->seen[at]; at = (at + 1) % v->slots) {
        if (v->seen[at] == node) return false;
    }
    v->seen[at] = node;
    v->nodes++;
    return true;
}

static bool check_node(Verify *v, const Node *node) {
    const NodeClass *class = &node_classes[node->kind];
    if (node->kind == N_None || node->kind >= N_COUNT) return fail_internal(v, node, "no kind of node");
    if (!seen_first(v, node)) return fail_internal(v, node, "a node is in the tree twice");
    if (class->traits & SUGAR) return fail_internal(v, node, "sugar is left");
    if (node->count < class->least || (class->most >= 0 && node->count > class->most))
        return fail_internal(v, node, "the number of kids does not fit");
    if (!node->type || node->type->open) return fail_internal(v, node, "the type is not closed");
    for (int i = 0; i < node->count; i++) {
        const Node *kid = node->kids[i];
        if (!kid) return fail_internal(v, node, "a kid is missing");
        if (!kid->type || kid->type->open) return fail_internal(v, kid, "the type is not closed");
    }
    return infer_judge(&v->in, node->type, node->span) && infer_check_functions(&v->in, node);
}

static bool check_rule(Verify *v, Node *node) {
    if (failed(v)) return false;
    Verdict verdict = infer_rules[node->kind](&v->in, node);
    return verdict == WAIT ? fail_internal(v, node, "a rule of types does not decide") : verdict == DONE;
}

static bool bind(Verify *v, const Node *node, Symbol *symbol, Shape *shape) {
    if (!symbol || symbol->id < 0 || symbol->id >= v->program->symbols)
        return fail_internal(v, node, "a binder without a symbol");
    if (!symbol->type || symbol->type->open)
        return fail_internal(v, node, "the type of a name is not closed");
    if (v->scope[symbol->id] != UNBOUND) return fail_internal(v, node, "a name is bound twice");
    v->scope[symbol->id] = INSIDE;
    v->bound[symbol->id] = symbol;
    v->shapes[symbol->id] = shape;
    return true;
}

static void unbind(Verify *v, const Symbol *symbol) {
    v->scope[symbol->id] = OUTSIDE;
}

/* ---- the walk: each function checks what is below a node and returns its shape ---- */

static Shape *check(Verify *v, Node *node);

static Shape *check_kids(Verify *v, Node *node) {
    for (int i = 0; i < node->count && !failed(v); i++) check(v, node->kids[i]);
    return NULL;
}

static Shape *check_ident(Verify *v, Node *node) {
    Symbol *symbol = node->symbol;
    bool inside = symbol && symbol->id >= 0 && symbol->id < v->program->symbols &&
                  v->scope[symbol->id] == INSIDE && v->bound[symbol->id] == symbol;
    if (!inside) {
        fail_internal(v, node, "a name is used outside its scope");
        return NULL;
    }
    Shape *shape = v->shapes[symbol->id];
    if (shape && shape->cell && shape->cell->ended) shape_use(v, node, shape);
    return shape;
}

/* The body of a function whose parameters have these shapes (NULL: no builders). */
static Shape *check_lambda(Verify *v, Node *lambda, Shape **params) {
    if (!check_node(v, lambda)) return NULL;
    for (int i = 0; i < lambda->nparams; i++) {
        if (!bind(v, lambda, lambda->params[i], params ? params[i] : NULL)) return NULL;
    }
    Shape *shape = check(v, lambda->kids[0]);
    if (!check_rule(v, lambda)) return NULL;
    for (int i = 0; i < lambda->nparams; i++) unbind(v, lambda->params[i]);
    return shape;
}

static Shape *check_apply(Verify *v, Node *node) {
    int count = node->count - 1;
    Shape **params = arena_alloc(&v->scratch, sizeof *params * (size_t)count);
    for (int i = 0; i < count && !failed(v); i++) {
        Shape *shape = check(v, node->kids[i + 1]);
        if (params) params[i] = shape;
    }
    if (failed(v) || node->kids[0]->nparams != count) return NULL;
    return check_lambda(v, node->kids[0], params);
}

static Shape *check_sort(Verify *v, Node *node) {
    check(v, node->kids[0]);
    if (failed(v)) return NULL;
    v->level++;
    check_lambda(v, node->kids[1], NULL);
    v->level--;
    return NULL;
}

static const Node *result_of(const Node *lambda) {
    const Node *body = lambda->kids[0];
    while (body->kind == N_Let) body = body->kids[1];
    return body;
}

/* A function that owns the cells of `own` while it runs, as its first parameter. */
static Shape *check_loop_body(Verify *v, Node *lambda, Shape *own) {
    Shape *params[3] = {own, NULL, NULL};
    if (lambda->nparams < 1 || lambda->nparams > 3) {
        fail_internal(v, lambda, "the number of parameters does not fit");
        return NULL;
    }
    v->level++;
    shape_set_level(own, v->level);
    Shape *shape = check_lambda(v, lambda, params);
    v->level--;
    shape_set_level(own, v->level);
    return shape;
}

static Shape *check_for(Verify *v, Node *node) {
    Node *lambda = node->kids[node->count - 1];
    Shape *own = NULL;
    for (int i = 0; i < node->count - 1 && !failed(v); i++) own = check(v, node->kids[i]);
    if (failed(v) || !shape_use(v, node, own)) return NULL;
    Shape *back = check_loop_body(v, lambda, own);
    if (failed(v)) return NULL;
    const Node *end = result_of(lambda);
    if (shape_has_ended(back)) {
        fail_type(v, end, "result has ended this builder, so the function cannot give it back to its for");
    } else if (!shape_same(own, back)) {
        fail_type(v, end,
                  own->count ? "the function of a for must give back its own builders, field for field"
                             : "the function of a for must give back its own builder, but this is another");
    }
    return own;
}

/* The state may hold builders: either the function hands them on, or it ends them and makes new ones. */
static Shape *check_iterate(Verify *v, Node *node) {
    Shape *own = check(v, node->kids[0]);
    if (failed(v) || !shape_use(v, node, own)) return NULL;
    Shape *back = check_loop_body(v, node->kids[1], own);
    if (failed(v) || !own) return NULL;
    back = back && back->count ? back->fields[0] : NULL;
    if (shape_same(own, back) && !shape_has_ended(back)) return own;
    if (shape_has_ended(back)) {
        fail_type(v, result_of(node->kids[1]),
                  "result has ended this builder already; a builder has one result");
        return NULL;
    }
    return shape_fresh(v, node, node->type);
}

static Shape *check_struct(Verify *v, Node *node) {
    if (!node->type->builders) return check_kids(v, node);
    Shape *shape = shape_struct(v, node, node->count);
    for (int i = 0; i < shape->count && !failed(v); i++) shape->fields[i] = check(v, node->kids[i]);
    if (!failed(v) && shape_repeats(shape, ++v->stamp))
        fail_type(v, node, "this struct holds one builder twice");
    return shape;
}

static Shape *check_field(Verify *v, Node *node) {
    Shape *whole = check(v, node->kids[0]);
    if (!whole || node->index < 0 || node->index >= whole->count) return NULL;
    return whole->fields[node->index];
}

static Shape *check_new(Verify *v, Node *node) {
    check_kids(v, node);
    return shape_fresh(v, node, node->type);
}

static Shape *check_merge(Verify *v, Node *node) {
    Shape *shape = check(v, node->kids[0]);
    if (!failed(v)) check(v, node->kids[1]);
    if (!failed(v)) shape_use(v, node, shape);
    return shape;
}

static Shape *check_result(Verify *v, Node *node) {
    Shape *shape = check(v, node->kids[0]);
    if (!failed(v)) shape_end(v, node, shape);
    return NULL;
}

/* Arms with different builders give one that may be either, so that neither can be used by its own name
 * any more. */
static Shape *shape_join(Verify *v, const Node *node, Shape *a, Shape *b) {
    if (!a || !b || shape_same(a, b)) return a;
    if (a->cell || b->cell || a->count != b->count) {
        if (!shape_has_ended(a)) shape_end(v, node, a);
        if (!failed(v) && !shape_has_ended(b)) shape_end(v, node, b);
        return shape_cell(v);
    }
    Shape *shape = shape_struct(v, node, a->count);
    for (int i = 0; i < shape->count; i++) shape->fields[i] = shape_join(v, node, a->fields[i], b->fields[i]);
    return shape;
}

/* What one arm ends has not ended in the other, but has after both. */
static Shape *check_if(Verify *v, Node *node) {
    check(v, node->kids[0]);
    size_t before = v->ends;
    Shape *a = failed(v) ? NULL : check(v, node->kids[1]);
    size_t middle = v->ends;
    for (size_t i = before; i < middle; i++) v->ended[i]->ended = false;
    Shape *b = failed(v) ? NULL : check(v, node->kids[2]);
    for (size_t i = before; i < middle; i++) v->ended[i]->ended = true;
    return failed(v) ? NULL : shape_join(v, node, a, b);
}

static Shape *check_select(Verify *v, Node *node) {
    check_kids(v, node);
    if (!failed(v) && node->type->builders)
        fail_type(v, node, "select evaluates both arms, so they cannot be builders; use if");
    return NULL;
}

/* Kinds that bind names or hand builders on; the others have check_kids. */
static Shape *(*const checks[N_COUNT])(Verify *v, Node *node) = {
    [N_Ident] = check_ident,   [N_Apply] = check_apply,     [N_Sort] = check_sort,
    [N_For] = check_for,       [N_Iterate] = check_iterate, [N_Struct] = check_struct,
    [N_Field] = check_field,   [N_NewBuilder] = check_new,  [N_Merge] = check_merge,
    [N_Result] = check_result, [N_If] = check_if,           [N_Select] = check_select,
};

static Shape *check(Verify *v, Node *node) {
    Node *first = node;
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (!check_node(v, node)) return NULL;
        Shape *value = check(v, node->kids[0]);
        if (failed(v) || !bind(v, node, node->symbol, value) || !check_rule(v, node)) return NULL;
    }
    if (!check_node(v, node)) return NULL;
    Shape *shape = (checks[node->kind] ? checks[node->kind] : check_kids)(v, node);
    if (!check_rule(v, node)) return NULL;
    for (; first != node; first = first->kids[1]) unbind(v, first->symbol);
    return shape;
}

/* ---- the whole ---- */

static void verify_run(void *data) {
    Verify *v = data;
    Node *root = v->program->root;
    if (!node_is(root, N_Lambda)) {
        fail_internal(v, root, "the root is no function");
        return;
    }
    Shape **params = arena_alloc(&v->scratch, sizeof *params * (size_t)root->nparams);
    for (int i = 0; i < root->nparams && params; i++) {
        const Type *type = root->params[i]->type;
        if (type && !type->open) params[i] = shape_fresh(v, root, type);
    }
    Shape *shape = check_lambda(v, root, params);
    if (!failed(v) && shape_has_ended(shape))
        fail_type(v, result_of(root), "result has ended this builder already; a builder has one result");
}

bool program_verify(Program *program) {
    Verify v = {.program = program, .in = {.program = program, .types = &program->types, .checking = true}};
    Span start = {0, 0, 0};
    if (program->error.code != E_None) return false;
    size_t symbols = (size_t)program->symbols + 1;
    v.bound = calloc(symbols, sizeof *v.bound);
    v.scope = calloc(symbols, sizeof *v.scope);
    v.shapes = calloc(symbols, sizeof *v.shapes);
    bool room = v.bound && v.scope && v.shapes && arena_init(&v.scratch);
    if (!room || !run_deep((size_t)program->depth, verify_run, &v) || v.scratch.exhausted)
        error_set(&program->error, E_OutOfMemory, start, "out of memory");
    if (room) arena_release(&v.scratch);
    free(v.bound);
    free(v.scope);
    free(v.shapes);
    free(v.seen);
    free(v.ended);
    free(v.in.judged);
    return program->error.code == E_None;
}
