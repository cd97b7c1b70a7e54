/* distribute_ends.c: how a program for the ranks of a cluster gets its arguments and leaves its result.
 *
 *     whole     every rank passes all of it: |v| ..v..
 *     blocks    each passes its block, cut evenly; the vector has that layout
 *     parts     the same, of any lengths: vectors of one parameter that are equally long are cut alike
 *     root      rank 0 passes it: |given| let v = exchange[scatter](given); ..v.., and what is no vector is broadcast. A
 *               vector that is needed whole is gathered behind the scatter, which is the broadcast that sends least of large
 *               ones (Barnett et al., Interprocessor collective communication library, SHPCC'94)
 *
 *     all       vectors of the result come to all ranks
 *     first     ..to rank 0, while the others get empty ones
 *     blocks    ..to nobody: each has its block
 *
 * Who reads arguments of files asks first of which the program takes blocks alone (distribution_cuts).
 */
#include "distribute.h"

#include <string.h>

/* ---- arguments ---- */

/* Vectors of the arguments, and those in structs of them, are laid out as this. */
static const Layout *layout_of_vectors(Distribute *d, const Type *type, const Layout *vector) {
    if (type->kind == TY_vec) return vector;
    if (type->kind != TY_struct || !type->pointers) return &layout_whole;
    Layout *parts = layout_parts(d, type->count);
    for (int i = 0; parts->parts && i < type->count; i++)
        parts->parts[i] = layout_of_vectors(d, type->args[i], vector);
    return parts->parts ? layout_settle(parts, type->count) : parts;
}

/* What all ranks get of a value that rank 0 has. */
static Node *spread_value(Distribute *d, Node *value) {
    Program *program = d->program;
    Type *type = value->type;
    if (type->kind == TY_vec) return exchange_node(d, EXCHANGE_scatter, OP_none, value, NULL);
    if (type->kind != TY_struct || !type->pointers)
        return exchange_node(d, EXCHANGE_broadcast, OP_none, value, NULL);
    Node *parts = node_new(program, N_Struct, value->span, type, type->count);
    for (int i = 0; i < parts->count; i++) {
        Node *part = node_make(program, N_Field, value->span, type->args[i], 1, node_clone(program, value));
        part->index = i;
        parts->kids[i] = spread_value(d, part);
    }
    return parts;
}

static void spread(Distribute *d, Node *root, int number) {
    Program *program = d->program;
    Symbol *param = root->params[number], *given = symbol_new(program, param->name, param->type);
    Span span = root->kids[0]->span;
    Node *value = spread_value(d, node_ident(program, span, given));
    root->params[number] = given;
    root->kids[0] = node_let(program, span, param, value, root->kids[0]);
}

void distribute_arguments(Distribute *d, Node *root) {
    const Distribution *distribution = &d->program->distribution;
    for (int i = 0; i < root->nparams; i++) {
        const Symbol *param = root->params[i];
        place_of(d, param)->bound = true;
        if (!param->in_blocks && name_is_listed(distribution->root, param->name)) {
            spread(d, root, i);
            continue;
        }
        const Layout *vector = param->in_blocks ? layout_block(d, cut_new(d))
                               : name_is_listed(distribution->blocks, param->name) ? &layout_evenly
                               : name_is_listed(distribution->parts, param->name)
                                   ? layout_block(d, cut_new(d))
                                   : &layout_splits;
        place_of(d, param)->layout = layout_of_vectors(d, param->type, vector);
    }
}

/* ---- results ---- */

/* As make_whole, but on rank 0 alone. */
static void make_first(Distribute *d, Node **slot, const Layout *layout) {
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *node = *slot;
    if (layout->kind == LAYOUT_BLOCK) {
        *slot = exchange_node(d, EXCHANGE_collect, OP_none, node, NULL);
    } else if (layout->kind == LAYOUT_PARTS && node->kind == N_Struct) {
        for (int i = 0; i < node->count; i++) make_first(d, &node->kids[i], layout->parts[i]);
    } else {
        make_whole(d, slot, layout);
    }
}

void distribute_end(Distribute *d, Node **slot, const Layout *layout) {
    switch (d->program->distribution.result) {
    case RESULT_ALL: make_whole(d, slot, layout); break;
    case RESULT_FIRST: make_first(d, slot, layout); break;
    case RESULT_BLOCKS:
        make_layout(d, slot, layout, layout_of_vectors(d, (*slot)->type, layout_block(d, cut_new(d))));
        break;
    }
}

/* ---- which arguments may be blocks ---- */

typedef struct Takes {
    bool *names; /* by symbol id: of the parameter, or of a field of it */
    bool used, gathered;
} Takes;

static bool is_of(const Takes *takes, const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident && takes->names[node->symbol->id];
}

static bool is_gather(const Node *node) {
    return node->kind == N_Exchange && node->bits == EXCHANGE_gather;
}

static bool see_taken(Walk *walk, Node **slot) {
    Takes *takes = walk->data;
    Node *node = *slot;
    if (node->kind == N_Let && is_of(takes, node->kids[0])) {
        takes->names[node->symbol->id] = true;
        node_walk(walk, &node->kids[1]);
        return false;
    }
    if (node->kind == N_If) { /* what is gathered where that is less than what is found of it */
        for (int i = 0; i < node->count; i++) {
            bool gathers = i && is_gather(node->kids[i]) && is_of(takes, node->kids[i]->kids[0]);
            takes->used |= gathers;
            if (!gathers) node_walk(walk, &node->kids[i]);
        }
        return false;
    }
    bool gathers = is_gather(node);
    const Node *taken = gathers ? node->kids[0] : node;
    if (!is_of(takes, taken)) return true;
    takes->gathered |= gathers;
    takes->used |= !gathers && taken->type->pointers;
    return false;
}

bool distribution_cuts(Program *optimized, int number) {
    const Symbol *param = optimized->root->params[number];
    Takes takes = {arena_alloc(&optimized->arena, (size_t)optimized->symbols + 1), false, false};
    Walk walk = {optimized, see_taken, NULL, &takes};
    if (!takes.names) return false;
    takes.names[param->id] = true;
    node_walk(&walk, &optimized->root->kids[0]);
    return !takes.gathered || (takes.used && param->type->kind == TY_struct);
}
