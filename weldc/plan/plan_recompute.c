/* plan_recompute.c: computes lets of an optimized program again where they are needed next, as plan_again.c chose.
 *
 * A choice is a chain of lets, a let in it and the place of its copy, by number, so that the same choices make the same of another
 * copy of the program. Loops within values get lets of their own first: what lies between two of them is a place, too. The passes
 * that find what is computed twice do not run again, so the copies stay. One with a single reader is fused into that.
 */
#include "plan_chain.h"

static const char cleaning[] = "columns,simplify,fuse-vertical";

/* ---- a let for each loop ---- */

/* Gives loops below *slot lets of their own, in front of **front, which moves on. */
static void name_loops(Program *program, Node **slot, Node ***front, bool top) {
    Node *node = *slot;
    if (node->kind == N_Lambda) return;
    if (node->kind == N_Let) {
        chain_name_loops(program, slot);
        return;
    }
    if (node->kind == N_Iterate) {
        name_loops(program, &node->kids[0], front, false);
        chain_name_loops(program, &node->kids[1]->kids[0]);
        return;
    }
    if (node->kind == N_If || node->kind == N_And || node->kind == N_Or) {
        name_loops(program, &node->kids[0], front, false);
        for (int i = 1; i < node->count; i++) chain_name_loops(program, &node->kids[i]);
        return;
    }
    bool whole = node->kind == N_Result && node->kids[0]->kind == N_For;
    for (int i = 0; i < node->count; i++) name_loops(program, &node->kids[i], front, whole);
    if (top || !(whole || node->kind == N_For)) return;
    Node *let = node_make(program, N_Let, node->span, (**front)->type, 2, node, **front);
    let->symbol = symbol_new(program, "made", node->type);
    Node *use = node_new(program, N_Ident, node->span, node->type, 0);
    use->symbol = let->symbol;
    *slot = use;
    **front = let;
    *front = &let->kids[1];
}

void chain_name_loops(Program *program, Node **slot) {
    for (; (*slot)->kind == N_Let; slot = &(*slot)->kids[1])
        name_loops(program, &(*slot)->kids[0], &slot, true);
    name_loops(program, slot, &slot, true);
}

/* ---- doing it ---- */

static bool rename_use(Walk *walk, Node **slot) {
    const Chain *chain = walk->data;
    const Link *link = (*slot)->kind == N_Ident ? chain_link(chain, (*slot)->symbol) : NULL;
    if (link && link->copy) (*slot)->symbol = link->copy;
    return true;
}

/* Copies of the lets that are computed again, in front of what *slot is; from there on they stand for them. */
static Node **insert_copies(Chain *chain, Node **slot) {
    Program *program = chain->program;
    Walk walk = {program, rename_use, NULL, chain};
    for (int i = 0; i < chain->count; i++) {
        Link *link = &chain->links[i];
        const Node *let = link->let;
        if (!link->together) continue;
        Node *value = node_clone(program, let->kids[0]);
        node_walk(&walk, &value);
        Node *copy = node_make(program, N_Let, let->span, let->type, 2, value, *slot);
        link->copy = copy->symbol = symbol_new(program, let->symbol->name, let->symbol->type);
        *slot = copy;
        slot = &copy->kids[1];
    }
    return slot;
}

/* All choices of one chain, the last places first. False: no memory. */
static bool recompute_chain(Program *program, const Recompute *choices, int count) {
    Search search = {.program = program, .target = -2, .wanted = choices->chain};
    Chain chain;
    chains_visit(&search, &program->root->kids[0]);
    Node **slot = search.slot;
    if (!slot) return true;
    bool ok = chain_read(&chain, program, slot, -1);
    Walk walk = {program, rename_use, NULL, &chain};
    for (int place = 0; ok && place <= chain.count; place++) {
        for (; count && choices[count - 1].place == place; count--) {
            int let = choices[count - 1].let;
            bool builder = let < place && chain.links[let].let->symbol->type->builders;
            if (let < place && !builder && chain_together(&chain, &chain.links[let], place).ok)
                slot = insert_copies(&chain, slot);
        }
        bool end = place == chain.count;
        node_walk(&walk, end ? slot : &(*slot)->kids[0]);
        if (!end) slot = &(*slot)->kids[1];
    }
    chain_release(&chain);
    return ok;
}

static bool no_memory(Program *program) {
    return error_set(&program->error, E_OutOfMemory, (Span){0}, "no memory to plan the program");
}

bool chain_recompute(Program *program, const Recompute *choices, int count, const PassOptions *options) {
    PassOptions clean = {.level = options->level, .passes = cleaning, .verify = options->verify};
    for (int i = 0; i < count;) {
        int first = i;
        while (i < count && choices[i].chain == choices[first].chain) i++;
        if (!recompute_chain(program, choices + first, i - first)) return no_memory(program);
    }
    if (!program_optimize(program, &clean)) return false;
    chain_name_loops(program, &program->root->kids[0]);
    return !program->arena.exhausted || no_memory(program);
}

bool program_recompute(Program *program, const Recompute *choices, int count, const PassOptions *options) {
    if (count) chain_name_loops(program, &program->root->kids[0]);
    for (int i = 0, first; i < count;) {
        for (first = i++; choices[i - 1].more && i < count;) i++;
        if (!chain_recompute(program, choices + first, i - first, options)) return false;
    }
    return true;
}
