/* eval.c: the interpreter: the meaning of the language, slow and obvious.
 *
 * A node is evaluated by eval_<id> of its row in ops.def, into memory that its caller provides, in the layout
 * that compiled code and C clients use. So the value of {1, [2]} is written as the C struct {int32_t, Vec},
 * field by field in place, and nothing is ever boxed or converted.
 *
 * Names are slots, one for each symbol: the language has no recursion, so a name has one value at a time.
 * Chains of lets are a loop. Other recursion follows the program's tree, for which run_deep brings the stack.
 *
 * Memory: the result and what it points to are in the worker's region; slots are in a region of their own,
 * temporaries in a third one. A Level is a stretch of the evaluation after whose end its memory is freed,
 * typically one iteration of a loop. What could still be needed then is only what a builder from before the
 * level took: when a value with pointers is merged, the levels younger than the builder are told
 * (level_escape), and these keep their memory.
 */
#include "eval.h"

#include <math.h>
#include <string.h>

typedef ErrorCode (*Evaluator)(Eval *e, const Node *node, void *out);

static const Evaluator evaluators[N_COUNT] = {
#define NODE(id, spelling, least, most, traits, usage, doc) [N_##id] = eval_##id,
#include "../ops.def"
};

ErrorCode eval(Eval *e, const Node *node, void *out) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        void *slot;
        TRY(eval_slot(e, node->symbol, &slot));
        TRY(eval(e, node->kids[0], slot));
    }
    e->worker->steps += node->kind > N_Ident;
    return evaluators[node->kind](e, node, out);
}

/* ---- places ---- */

static ErrorCode take(Eval *e, Region *region, int64_t bytes, Span span, void **at) {
    *at = region_alloc(region, bytes);
    if (*at) return E_None;
    return worker_fail(e->worker, E_OutOfMemory, span, bytes, budget_limit(region_budget(region)));
}

ErrorCode eval_slot(Eval *e, const Symbol *symbol, void **slot) {
    Span nowhere = {0};
    *slot = e->slots[symbol->id];
    if (*slot) return E_None;
    TRY(take(e, e->frame, symbol->type->size, nowhere, slot));
    e->slots[symbol->id] = *slot;
    return E_None;
}

ErrorCode eval_temporary(Eval *e, int64_t bytes, Span span, void **at) {
    return take(e, e->temp, bytes, span, at);
}

ErrorCode eval_operand(Eval *e, const Node *node, Cell *cell, const void **at) {
    void *room = cell;
    switch (node->kind) {
    case N_Ident: *at = e->slots[node->symbol->id]; return E_None;
    case N_Literal: *at = &node->bits; return E_None;
    case N_Field:
        TRY(eval_operand(e, node->kids[0], cell, at));
        *at = (const char *)*at + node->kids[0]->type->offsets[node->index];
        return E_None;
    default: break;
    }
    if (node->type->size > (int64_t)sizeof *cell) TRY(eval_temporary(e, node->type->size, node->span, &room));
    *at = room;
    return eval(e, node, room);
}

ErrorCode eval_i64(Eval *e, const Node *node, int64_t *value) {
    Cell cell;
    const void *at;
    TRY(eval_operand(e, node, &cell, &at));
    *value = *(const int64_t *)at;
    return E_None;
}

static ErrorCode eval_bool(Eval *e, const Node *node, bool *value) {
    Cell cell;
    const void *at;
    TRY(eval_operand(e, node, &cell, &at));
    *value = *(const uint8_t *)at != 0;
    return E_None;
}

/* ---- levels ---- */

ErrorCode eval_poll(Eval *e, Span span) {
    enum { OFTEN = 256 };
    if (++e->ticks % OFTEN || !*e->worker->cancel) return E_None;
    return worker_fail(e->worker, E_Cancelled, span, 0, 0);
}

void level_enter(Eval *e, Level *level) {
    *level = (Level){e->level, region_mark(e->worker->region), region_mark(e->temp), NULL};
    e->level = level;
}

void level_leave(Eval *e, Level *level) {
    region_reset(e->temp, level->temporaries);
    if (!level->escaped) region_reset(e->worker->region, level->memory);
    e->level = level->outer;
}

void level_escape(Eval *e, const void *state) {
    for (Level *level = e->level; level; level = level->outer) {
        if (level->escaped == state) continue;
        if (region_since(e->worker->region, level->memory, state)) return;
        level->escaped = state;
    }
}

/* ---- constants, names, structs, vectors ---- */

ErrorCode eval_Literal(Eval *e, const Node *node, void *out) {
    (void)e;
    memcpy(out, &node->bits, (size_t)node->type->size);
    return E_None;
}

ErrorCode eval_String(Eval *e, const Node *node, void *out) {
    (void)e;
    Vec *vec = out;
    vec->data = (void *)(uintptr_t)node->text;
    vec->length = (int64_t)node->bits;
    return E_None;
}

ErrorCode eval_Ident(Eval *e, const Node *node, void *out) {
    memcpy(out, e->slots[node->symbol->id], (size_t)node->type->size);
    return E_None;
}

ErrorCode eval_Let(Eval *e, const Node *node, void *out) {
    return eval(e, node, out);
}

/* The functions of For, Iterate, Sort and Apply are evaluated by these, the program's by program_eval. */
ErrorCode eval_Lambda(Eval *e, const Node *node, void *out) {
    (void)out;
    return worker_fail(e->worker, E_Internal, node->span, 0, 0);
}

ErrorCode eval_Apply(Eval *e, const Node *node, void *out) {
    const Node *lambda = node->kids[0];
    for (int i = 0; i < lambda->nparams; i++) {
        void *slot;
        TRY(eval_slot(e, lambda->params[i], &slot));
        TRY(eval(e, node->kids[i + 1], slot));
    }
    return eval(e, lambda->kids[0], out);
}

ErrorCode eval_Ascribe(Eval *e, const Node *node, void *out) {
    return eval(e, node->kids[0], out);
}

ErrorCode eval_Field(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *at;
    TRY(eval_operand(e, node, &cell, &at));
    memcpy(out, at, (size_t)node->type->size);
    return E_None;
}

ErrorCode eval_Struct(Eval *e, const Node *node, void *out) {
    for (int i = 0; i < node->count; i++) TRY(eval(e, node->kids[i], (char *)out + node->type->offsets[i]));
    return E_None;
}

ErrorCode eval_Vec(Eval *e, const Node *node, void *out) {
    int64_t size = node->type->args[0]->size;
    Vec vec = {NULL, node->count};
    if (node->count) {
        vec.data = worker_alloc(e->worker, size * node->count, node->span);
        if (!vec.data) return E_OutOfMemory;
    }
    for (int i = 0; i < node->count; i++) TRY(eval(e, node->kids[i], (char *)vec.data + i * size));
    *(Vec *)out = vec;
    return E_None;
}

/* ---- operators: on simd values lane by lane ---- */

static int lanes_of(const Type **type) {
    if ((*type)->kind != TY_simd) return 1;
    *type = (*type)->args[0];
    return WELD_LANES;
}

ErrorCode eval_Unary(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *a;
    const Type *type = node->type;
    int lanes = lanes_of(&type);
    TRY(eval_operand(e, node->kids[0], &cell, &a));
    for (int64_t at = 0; at < lanes * type->size; at += type->size) {
        scalar_unary(node->op, type, (const char *)a + at, (char *)out + at);
    }
    return E_None;
}

ErrorCode eval_Binary(Eval *e, const Node *node, void *out) {
    Cell cells[2];
    const void *a, *b;
    const Type *type = node->type;
    int lanes = lanes_of(&type);
    TRY(eval_operand(e, node->kids[0], &cells[0], &a));
    TRY(eval_operand(e, node->kids[1], &cells[1], &b));
    for (int64_t at = 0; at < lanes * type->size; at += type->size) {
        if (!scalar_binary(node->op, type, (const char *)a + at, (const char *)b + at, (char *)out + at)) {
            return worker_fail(e->worker, E_DivisionByZero, node->span, 0, 0);
        }
    }
    return E_None;
}

/* Does a comparison hold for what value_compare says. A NaN stands for unordered: it compares like it. */
static bool order_holds(Op op, int order) {
    double at = order == 2 ? (double)NAN : order;
    switch (op) {
#define COMPARE(id, spelling, precedence, cop, spred, upred, fpred, doc) \
    case OP_##id: return at cop 0;
#include "../scalar.def"
    default: return false;
    }
}

ErrorCode eval_Compare(Eval *e, const Node *node, void *out) {
    Cell cells[2];
    const void *a, *b;
    const Type *type = node->kids[0]->type;
    int lanes = lanes_of(&type);
    uint8_t *holds = out;
    TRY(eval_operand(e, node->kids[0], &cells[0], &a));
    TRY(eval_operand(e, node->kids[1], &cells[1], &b));
    if (!type_is_scalar(type)) {
        *holds = order_holds(node->op, value_compare(type, a, b));
        return E_None;
    }
    for (int i = 0; i < lanes; i++) {
        holds[i] = scalar_compare(node->op, type, (const char *)a + i * type->size,
                                  (const char *)b + i * type->size);
    }
    return E_None;
}

ErrorCode eval_And(Eval *e, const Node *node, void *out) {
    bool holds;
    TRY(eval_bool(e, node->kids[0], &holds));
    if (holds) TRY(eval_bool(e, node->kids[1], &holds));
    *(uint8_t *)out = holds;
    return E_None;
}

ErrorCode eval_Or(Eval *e, const Node *node, void *out) {
    bool holds;
    TRY(eval_bool(e, node->kids[0], &holds));
    if (!holds) TRY(eval_bool(e, node->kids[1], &holds));
    *(uint8_t *)out = holds;
    return E_None;
}

ErrorCode eval_Cast(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *a;
    TRY(eval_operand(e, node->kids[0], &cell, &a));
    scalar_cast(node->kids[0]->type, a, node->type, out);
    return E_None;
}

ErrorCode eval_Broadcast(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *a;
    int64_t size = node->kids[0]->type->size;
    TRY(eval_operand(e, node->kids[0], &cell, &a));
    for (int i = 0; i < WELD_LANES; i++) memcpy((char *)out + i * size, a, (size_t)size);
    return E_None;
}

/* ---- choices ---- */

ErrorCode eval_If(Eval *e, const Node *node, void *out) {
    bool holds;
    TRY(eval_bool(e, node->kids[0], &holds));
    return eval(e, node->kids[holds ? 1 : 2], out);
}

ErrorCode eval_Select(Eval *e, const Node *node, void *out) {
    Cell cells[3];
    const void *at[3];
    for (int i = 0; i < 3; i++) TRY(eval_operand(e, node->kids[i], &cells[i], &at[i]));
    const uint8_t *holds = at[0];
    const Type *type = node->type;
    int lanes = 1;
    if (node->kids[0]->type->kind == TY_simd) lanes = lanes_of(&type);
    for (int i = 0; i < lanes; i++) {
        int64_t offset = i * type->size;
        memcpy((char *)out + offset, (const char *)at[holds[i] ? 1 : 2] + offset, (size_t)type->size);
    }
    return E_None;
}

ErrorCode eval_Assert(Eval *e, const Node *node, void *out) {
    bool holds;
    TRY(eval_bool(e, node->kids[0], &holds));
    *(uint8_t *)out = 1;
    int64_t numbers[MOST_ASSERTED] = {0};
    for (int i = 1; i < node->count; i++) TRY(eval_i64(e, node->kids[i], &numbers[i - 1]));
    if (holds) return E_None;
    if (!node->text) return worker_fail(e->worker, E_AssertionFailed, node->span, 0, 0);
    return worker_fail_assert(e->worker, node->span, node->text, (int64_t)node->bits, numbers);
}

ErrorCode eval_Checkpoint(Eval *e, const Node *node, void *out) {
    return eval(e, node->kids[0], out);
}

ErrorCode eval_After(Eval *e, const Node *node, void *out) {
    Cell cell;
    const void *before;
    TRY(eval_operand(e, node->kids[1], &cell, &before));
    return eval(e, node->kids[0], out);
}

ErrorCode eval_Room(Eval *e, const Node *node, void *out) {
    (void)node;
    *(int64_t *)out = e->worker->room;
    return E_None;
}

/* ---- programs ---- */

typedef struct Run {
    const Program *program;
    Worker *worker;
    const char *args;
    void *out;
    ErrorCode code;
} Run;

/* The parameters lie in args as the fields of a C struct. */
static ErrorCode bind_parameters(Eval *e, const Node *lambda, const char *args) {
    int64_t offset = 0;
    for (int i = 0; i < lambda->nparams; i++) {
        const Symbol *param = lambda->params[i];
        void *slot;
        TRY(eval_slot(e, param, &slot));
        offset = (offset + param->type->align - 1) / param->type->align * param->type->align;
        memcpy(slot, args + offset, (size_t)param->type->size);
        offset += param->type->size;
    }
    return E_None;
}

static ErrorCode run_program(Run *run, Eval *e) {
    const Node *root = run->program->root;
    int64_t bytes = (int64_t)sizeof *e->slots * run->program->symbols;
    TRY(take(e, e->frame, bytes, root->span, (void **)&e->slots));
    memset(e->slots, 0, (size_t)bytes);
    TRY(bind_parameters(e, root, run->args));
    return eval(e, root->kids[0], run->out);
}

static void run_on_stack(void *data) {
    Run *run = data;
    const Node *root = run->program->root;
    Region *region = run->worker->region;
    Budget *budget = region_budget(region);
    RegionMark mark = region_mark(region);
    Eval e = {run->worker, region_new(budget), region_new(budget), NULL, NULL, 0};
    if (e.frame && e.temp)
        run->code = run_program(run, &e);
    else
        run->code =
            worker_fail(run->worker, E_OutOfMemory, root->span, sizeof(RegionMark), budget_limit(budget));
    if (run->code) exchange_stop(run->worker);
    region_free(e.frame);
    region_free(e.temp);
    bool builders_come_in = false;
    for (int i = 0; i < root->nparams; i++) builders_come_in |= root->params[i]->type->builders;
    if (run->code)
        region_reset(region, mark);
    else if (builders_come_in)
        region_sweep(region, mark, root->kids[0]->type, run->out);
    else
        region_finish(region, mark, root->kids[0]->type, run->out);
}

ErrorCode program_eval(const Program *program, Worker *worker, const void *args, void *out) {
    Run run = {program, worker, args, out, E_None};
    if (run_deep((size_t)program->depth, run_on_stack, &run)) return run.code;
    return worker_fail(worker, E_OutOfMemory, program->root->span, program->depth, 0);
}

Type *program_argument_type(Program *program) {
    const Node *root = program->root;
    Type *few[16];
    Type **parts = few;
    if (root->nparams > 16) parts = arena_alloc(&program->arena, sizeof *parts * (size_t)root->nparams);
    for (int i = 0; i < root->nparams && parts; i++) parts[i] = root->params[i]->type;
    return parts ? type_make(&program->types, TY_struct, OP_none, root->nparams, parts) : NULL;
}

Type *program_result_type(const Program *program) {
    return program->root->kids[0]->type;
}
