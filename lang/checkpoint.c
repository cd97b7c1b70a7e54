/* checkpoint.c: which states of a program are kept in checkpoints.
 *
 *     let model = iterate(.., |s| ..);           number 1: its state after a step is all that a run has done so far
 *     map(data, |x| iterate(x, |y| ..))          not kept: a run comes to it many times
 *
 * Kept are the iterates that are in no loop, no sort and no other iterate, in the order of the text. A run that has
 * the states of these goes on as if it had never stopped, for all else is computed from them and the arguments. So what holds
 * or changes a builder is not kept: it would begin anew.
 *
 * How states get into files is the runtime's matter, which hands the worker a Keeper.
 */
#include "lang.h"

typedef struct Numbers {
    Program *program;
    char *inside; /* by symbol id: bound in the function that is looked at */
    bool merges;  /* into a builder from outside */
    uint64_t count;
} Numbers;

static bool note_binders(Walk *walk, Node **slot) {
    Numbers *n = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Let) n->inside[node->symbol->id] = 1;
    for (int i = 0; i < node->nparams; i++) n->inside[node->params[i]->id] = 1;
    return true;
}

static bool note_builders(Walk *walk, Node **slot) {
    Numbers *n = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Ident && node->type->builders && !n->inside[node->symbol->id]) n->merges = true;
    return !n->merges;
}

static bool is_kept(Numbers *n, Node *iterate) {
    if (iterate->type->builders) return false;
    Walk binders = {.program = n->program, .enter = note_binders, .data = n},
         builders = {.program = n->program, .enter = note_builders, .data = n};
    node_walk(&binders, &iterate->kids[1]);
    n->merges = false;
    node_walk(&builders, &iterate->kids[1]);
    return !n->merges;
}

static bool number(Walk *walk, Node **slot) {
    Numbers *n = walk->data;
    Node *node = *slot;
    if (node->kind != N_For && node->kind != N_Iterate && node->kind != N_Sort) return true;
    for (int i = 0; i < node->count - 1; i++) node_walk(walk, &node->kids[i]); /* all but its function */
    if (node->kind == N_Iterate && is_kept(n, node)) node->bits = ++n->count;
    return false;
}

void program_number_iterates(Program *program) {
    Numbers n = {.program = program, .inside = arena_alloc(&program->arena, (size_t)program->symbols + 1)};
    if (!n.inside) return; /* the arena is exhausted, which whoever compiles it finds */
    Walk walk = {.program = program, .enter = number, .data = &n};
    node_walk(&walk, &program->root);
}

ErrorCode checkpoint_restore(Worker *worker, const KeptState *kept, void *state, int32_t *kind) {
    const Keeper *keeper = worker->keeper;
    *kind = KEPT_NONE;
    return keeper ? keeper->restore(keeper->data, worker, kept, state, kind) : E_None;
}

ErrorCode checkpoint_step(Worker *worker, const KeptState *kept, const void *state, bool again) {
    const Keeper *keeper = worker->keeper;
    return keeper ? keeper->step(keeper->data, worker, kept, state, again) : E_None;
}
