/* reuse.c: loops that write where they read.
 *
 *     let a = map(v, f);  let c = map(zip(a, w), g);       a is needed last by the loop that makes c
 *  => c's elements take the places of a's, one by one
 *
 * The vector that goes must be one that nothing else may point into, walked as a whole by one iterator and read nowhere
 * else in the loop, so that iteration i reads its element i and no other. Every iteration appends exactly one element of
 * the same size, so that it writes element i, after it was read. What the loop runs must not be able to run short of
 * memory: the runtime would begin again on one thread, and the elements are gone. Elements hold no pointers.
 *
 * A vecmerger that begins with a vector which is needed by nothing else takes that for its own in the same way:
 *
 *     let z = map(v, |e| 0.0);  for(w, vecmerger[f64, +](z), ..)      merges into z
 *
 * Arguments are never written: a buffer that owns nothing gives nothing away.
 */
#include "../weldc.h"

bool node_makes(const Node *node) {
    switch (node->kind) {
    case N_NewBuilder: return node->type->kind != TY_merger;
    case N_Vec: return node->count > 0;
    case N_Sort:
    case N_Serialize:
    case N_Deserialize:
    case N_Cfill:
    case N_Exchange: return true;
    default: return false;
    }
}

/* May running it allocate, or call who knows what? */
static bool find_allocation(Walk *walk, Node **slot) {
    bool *found = walk->data;
    *found |= node_makes(*slot) || (*slot)->kind == N_ToVec || node_is_foreign(*slot);
    return !*found;
}

static bool allocates(Program *program, Node *lambda) {
    bool found = false;
    Walk walk = {program, find_allocation, NULL, &found};
    node_walk(&walk, &lambda);
    return found;
}

/* All its builders have their memory before the loop runs, and need no more. */
static bool is_settled(const Fragment *loop) {
    for (int i = 0; i < loop->noutputs; i++) {
        const Buffer *made = loop->outputs[i];
        bool merger =
            !type_is_builder(made->type) && made->type->kind != TY_vec && made->type->kind != TY_dict;
        if (!merger && made->type->kind != TY_merger && !made->one_each) return false;
    }
    return true;
}

static const Type *flat_element(const Buffer *buffer) {
    bool row = buffer->type->kind == TY_vec || buffer->type->kind == TY_appender;
    return row && !buffer->type->args[0]->pointers ? buffer->type->args[0] : NULL;
}

static bool takes_place(const Fragment *loop, const Buffer *made, const Buffer *walked) {
    const Type *to = flat_element(made), *from = walked ? flat_element(walked) : NULL;
    return from && to && from->size == to->size && from->size > 0 && walked->owns != OWNS_NOTHING &&
           !walked->heir && !walked->shared && walked->plan == made->plan && walked->last == loop->number;
}

/* The new builder, as written, whose leaf this is. */
static Node *new_builder(Node *builder, int leaf) {
    while (builder->kind == N_Struct) {
        int i = 0;
        for (; leaf >= leaf_count(builder->kids[i]->type); i++) leaf -= leaf_count(builder->kids[i]->type);
        builder = builder->kids[i];
    }
    return builder->kind == N_NewBuilder ? builder : NULL;
}

/* A new vecmerger, given to a loop or by itself, takes over the vector that it begins with, instead of a copy of it. */
static void begin_in_place(Fragment *fragment) {
    Node *node = fragment->node;
    for (int k = 0; k < fragment->noutputs; k++) {
        Buffer *made = fragment->outputs[k], *start = made->start;
        if (!start || !flat_element(start) || start->owns == OWNS_NOTHING || start->heir || start->shared ||
            start->plan != made->plan || start->last != fragment->number)
            continue;
        Node *builder = new_builder(node->kind == N_For ? node->kids[node->count - 2] : node, made->leaf);
        if (!builder) continue;
        builder->bits = BUILDER_IN_PLACE;
        start->heir = made;
        made->begins = true;
    }
}

static void reuse_in_loop(Program *program, Fragment *loop) {
    if (!loop->walks || !is_settled(loop)) return;
    bool asked = false;
    for (int k = 0; k < loop->noutputs; k++) {
        Buffer *made = loop->outputs[k];
        for (int i = 0; made->one_each && i < loop->node->count - 2; i++) {
            if (!takes_place(loop, made, loop->walks[i])) continue;
            if (!asked && allocates(program, loop->node->kids[loop->node->count - 1])) return;
            asked = true;
            loop->walks[i]->heir = made;
            made->place = i + 1;
            break;
        }
    }
}

void plan_reuse(Program *program, Plan *plan) {
    for (int i = 0; i < plan->nfragments; i++) {
        Fragment *fragment = plan->fragments[i];
        begin_in_place(fragment);
        if (fragment->kind == FRAGMENT_loop) reuse_in_loop(program, fragment);
        for (int k = 0; k < fragment->ninner; k++) plan_reuse(program, fragment->inner[k]);
    }
}
