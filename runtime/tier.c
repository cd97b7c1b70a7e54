/* tier.c: interpret, make code quickly, or make fast code?
 *
 * Whatever makes the least sum of making and running, for a program of n nodes:
 *
 *               to make                                    to run
 *     eval      nothing                                    ns, as below
 *     light     4 ms + n * 12 us                           ns / LIGHT_GAIN        LLVM's level 0
 *     full      7 ms + n * 90 us                           ns / FULL_GAIN         the level of the settings
 *
 * What was spent on runs so far counts as if it lay ahead (in the interpreter's time), so that a program that is run
 * often gets better code when that would have paid before: no choice costs more than about twice the best one. What
 * there is already costs nothing to make.
 *
 *     a map of 50 nodes:   1,000 elements  eval        100,000 elements  light       10,000,000 elements  full
 *
 * How long the interpreter takes: every node costs NODE_NS each time it is evaluated; what is inside of a loop is evaluated as often as the
 * loop runs. How often that is, the arguments tell where the loop walks a parameter, or a range up to a
 * literal or a parameter:
 *
 *     |x: vec[f64]| result(for(x, merger[f64,+], |b, i, e| merge(b, e * e)))     len(x) * 5 nodes
 *
 * A loop over something that was computed is taken to be as long as the longest parameter, one over the
 * elements of another loop's data to be short. Of an iterate nothing is known, nor of a computed range: LONG,
 * so that code is made. An estimate that is wrong costs time, never the answer, and not twice: what runs
 * really took is counted (unit.c). A program whose floats may be rounded differently by the interpreter or at
 * another level takes forever by this estimate: it gets full code, so that it has the same answer on every run.
 */
#include "rt.h"

#include <math.h>
#include <string.h>

enum { NODE_NS = 10, SHORT_LOOP = 16, LONG_LOOP = 1 << 20 };

typedef struct Estimate {
    const Program *program;
    const Type *argument;
    const char *args;
    double times, nodes; /* how often what is looked at is evaluated; the sum so far */
    int64_t size;        /* of the program, in nodes */
    double longest;      /* parameter */
    int depth;           /* loops around */
} Estimate;

/* Where the argument lies that this node names, or NULL. */
static const void *argument_of(const Estimate *e, const Node *node) {
    const Node *root = e->program->root;
    if (node->kind != N_Ident || !e->args) return NULL;
    for (int i = 0; i < root->nparams; i++) {
        if (root->params[i] == node->symbol) return e->args + e->argument->offsets[i];
    }
    return NULL;
}

/* An integer that is known now; else LONG_LOOP. */
static double bound(const Estimate *e, const Node *node) {
    if (node->kind == N_Literal) return (double)(int64_t)node->bits;
    const void *at = argument_of(e, node);
    int64_t value = LONG_LOOP;
    if (at && node->type->kind == TY_i64) memcpy(&value, at, sizeof value);
    return (double)value;
}

static double loop_length(const Estimate *e, const Node *iter) {
    if (iter->kind != N_Iter) return LONG_LOOP;
    int first = iter_classes[iter->iter].has_data;
    if (iter->count >= first + 2 && iter->iter != IT_nd) {
        double count = bound(e, iter->kids[first + 1]) - bound(e, iter->kids[first]);
        return count > 0 ? count : 0;
    }
    if (!first) return LONG_LOOP;
    const Node *data = iter->kids[0];
    const void *at = argument_of(e, data);
    Vec vec;
    if (at && data->type->kind == TY_vec) {
        memcpy(&vec, at, sizeof vec);
        return (double)vec.length;
    }
    if (data->kind == N_Vec) return data->count;
    return e->depth > 0 ? SHORT_LOOP : e->longest;
}

/* How often is what is below this node evaluated? */
static double repeats(const Estimate *e, const Node *node) {
    switch (node->kind) {
    case N_For: return loop_length(e, node->kids[0]);
    case N_Iterate: return LONG_LOOP;
    case N_Sort: return 20 * (e->depth > 0 ? SHORT_LOOP : e->longest);
    default: return 1;
    }
}

static bool is_loop(const Node *node) {
    return node->kind == N_For || node->kind == N_Iterate || node->kind == N_Sort;
}

/* A factor of at least 1, so that it can be taken back. */
static double factor(const Estimate *e, const Node *node) {
    double times = repeats(e, node);
    return times > 1 ? times : 1;
}

static bool has_float(const Type *type) {
    if (type->kind != TY_struct) return type_is_float(type);
    for (int i = 0; i < type->count; i++) {
        if (has_float(type->args[i])) return true;
    }
    return false;
}

/* May its last digits differ between the interpreter and machine code? Sums and products of floats are taken in
 * another order there, and functions come from another library. */
static bool rounds_its_way(const Node *node) {
    if (node->kind == N_Unary || node->kind == N_Binary) {
        return op_classes[node->op].class == 'f' && node->op != OP_sqrt;
    }
    if (node->kind != N_NewBuilder || (node->type->op != OP_add && node->type->op != OP_mul)) return false;
    return has_float(node->type->args[node->type->count - 1]);
}

static bool enter(Walk *walk, Node **slot) {
    Estimate *e = walk->data;
    const Node *node = *slot;
    e->size++;
    e->nodes += rounds_its_way(node) ? INFINITY : e->times;
    if (!is_loop(node)) return true;
    e->times *= factor(e, node);
    e->depth++;
    return true;
}

static void leave(Walk *walk, Node **slot) {
    Estimate *e = walk->data;
    if (!is_loop(*slot)) return;
    e->depth--;
    e->times /= factor(e, *slot);
}

Work tier_estimate(const Program *program, const Type *argument, const void *args) {
    Estimate e = {.program = program, .argument = argument, .args = args, .times = 1};
    bool hidden = false;
    for (int i = 0; args && i < argument->count; i++) {
        Vec vec;
        hidden |= argument->args[i]->pointers && argument->args[i]->kind != TY_vec;
        if (argument->args[i]->kind != TY_vec) continue;
        memcpy(&vec, e.args + argument->offsets[i], sizeof vec);
        if ((double)vec.length > e.longest) e.longest = (double)vec.length;
    }
    if (hidden) e.longest = LONG_LOOP; /* vectors in structs and dictionaries are not looked for */
    if (e.longest < SHORT_LOOP) e.longest = SHORT_LOOP;
    Node *root = program->root;
    Walk walk = {.program = (Program *)program, .enter = enter, .leave = leave, .data = &e};
    node_walk(&walk, &root);
    return (Work){e.nodes * NODE_NS, e.size};
}

Tier tier_choose(Tier has, Work work) {
    static const double fixed[] = {0, 4e6, 7e6}, node[] = {0, 12e3, 90e3},
                        gain[] = {1, LIGHT_GAIN, FULL_GAIN};
    Tier best = has;
    double least = work.ns / gain[has];
    for (Tier tier = has + 1; tier <= TIER_FULL; tier++) {
        double sum = fixed[tier] + (double)work.size * node[tier] + work.ns / gain[tier];
        if (sum < least || work.ns == (double)INFINITY) best = tier, least = sum;
    }
    return best;
}
