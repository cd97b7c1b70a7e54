/* plan_chain.c: chains of lets, for plan_again.c: who uses what where, by which fragment a vector is made, at what cost, and what else
 * would have to be computed again with it.
 *
 *     let a = ..x..; let b = ..a..; .. b ..  P  .. a .. b ..      b is computed again behind P: a is there until then
 *     let a = ..x..; let b = ..a..; .. b ..  P  ..      b ..      a, which nothing needs any more, is computed again with it
 */
#include "plan_chain.h"

#include <stdlib.h>
#include <string.h>

enum { INSIDE = -1 };

/* ---- chains ---- */

static void visit_value(Search *search, Node **slot) {
    Node *node = *slot;
    if (node->kind != N_Field && node->index == search->target + 1 && !search->found)
        search->found = search->depth;
    for (int i = 0; i < node->count; i++) chains_visit(search, &node->kids[i]);
}

void chains_visit(Search *search, Node **slot) {
    bool chain = (*slot)->kind == N_Let, room = search->depth < MOST_AROUND;
    if (chain && search->chains == search->wanted) search->slot = slot;
    struct Around *around = &search->around[search->depth];
    if (chain && room && !search->found) *around = (struct Around){search->chains, 0, slot};
    search->chains += chain;
    search->depth += chain && room;
    for (; (*slot)->kind == N_Let; slot = &(*slot)->kids[1]) {
        visit_value(search, &(*slot)->kids[0]);
        if (chain && room && !search->found) around->place++;
    }
    visit_value(search, slot);
    search->depth -= chain && room;
}

Link *chain_link(const Chain *chain, const Symbol *symbol) {
    int number = symbol->id < chain->symbols ? chain->numbers[symbol->id] : 0;
    return number > 0 ? &chain->links[number - 1] : NULL;
}

static bool is_inside(const Chain *chain, const Symbol *symbol) {
    return symbol->id < chain->symbols && chain->numbers[symbol->id] == INSIDE;
}

static bool note_use(Walk *walk, Node **slot) {
    Chain *chain = walk->data;
    for (int i = 0; i < (*slot)->nparams; i++) chain->numbers[(*slot)->params[i]->id] = INSIDE;
    if ((*slot)->kind == N_Let) chain->numbers[(*slot)->symbol->id] = INSIDE;
    Link *link = (*slot)->kind == N_Ident ? chain_link(chain, (*slot)->symbol) : NULL;
    if (!link) return true;
    link->last = chain->at;
    if (chain->at == chain->peak) link->at_peak = true;
    if (chain->at > chain->peak && link->next < 0) link->next = chain->at;
    return true;
}

bool chain_read(Chain *chain, Program *program, Node **slot, int peak) {
    *chain = (Chain){.program = program, .slot = slot, .peak = peak, .symbols = program->symbols};
    for (Node *let = *slot; let->kind == N_Let; let = let->kids[1]) chain->count++;
    chain->links = calloc((size_t)chain->count + 1, sizeof *chain->links);
    chain->numbers = calloc((size_t)chain->symbols + 1, sizeof *chain->numbers);
    if (!chain->links || !chain->numbers) return false;
    Walk walk = {program, note_use, NULL, chain};
    for (; (*slot)->kind == N_Let; slot = &(*slot)->kids[1], chain->at++) {
        chain->links[chain->at] = (Link){.let = *slot, .next = -1, .last = -1};
        chain->numbers[(*slot)->symbol->id] = chain->at + 1;
        node_walk(&walk, &(*slot)->kids[0]);
    }
    node_walk(&walk, slot);
    return true;
}

void chain_release(Chain *chain) {
    free(chain->links);
    free(chain->numbers);
}

/* ---- what a vector is made by ---- */

static const Fragment *fragment_numbered(const Plan *plan, int number) {
    const Fragment *fragment = plan->nfragments ? plan->fragments[plan_at(plan, number)] : NULL;
    if (!fragment || fragment->number == number) return fragment;
    const Plan *inside = NULL;
    for (int k = 0; k < fragment->ninner; k++) {
        const Plan *inner = fragment->inner[k];
        if (inner->nfragments && inner->fragments[0]->number <= number) inside = inner;
    }
    return inside ? fragment_numbered(inside, number) : NULL;
}

/* The node that a value is a part or a result of, through names of builders; *leaf: which part. */
static const Node *maker_of(const Chain *chain, const Node *value, int *leaf) {
    *leaf = 0;
    for (;;) {
        if (value->kind == N_Field) {
            *leaf += leaf_at(value->kids[0]->type, value->index);
            value = value->kids[0];
        } else if (value->kind == N_Result) {
            value = value->kids[0];
        } else if (value->kind == N_Ident && value->type->builders && chain_link(chain, value->symbol)) {
            value = chain_link(chain, value->symbol)->let->kids[0];
        } else {
            return value;
        }
    }
}

/* The part of a loop's operations that makes one of its builders. */
static double cost_of(const Fragment *maker, int leaf) {
    const Node *loop = maker->node;
    if (loop->kind != N_For || loop->type->kind != TY_struct) return maker->cost;
    const Node *body = loop->kids[loop->count - 1]->kids[0], *part = body;
    int lets = 0;
    for (; part->kind == N_Let; part = part->kids[1]) lets++;
    while (part->kind == N_Struct) {
        int i = part->count - 1;
        while (i > 0 && leaf_at(part->type, i) > leaf) i--;
        leaf -= leaf_at(part->type, i);
        part = part->kids[i];
    }
    const Node **wanted = malloc(((size_t)lets + 1) * sizeof *wanted), *let = body;
    if (!wanted) return maker->cost;
    double cost = plan_node_cost(part);
    for (int i = 0; i < lets; i++, let = let->kids[1]) wanted[i] = let;
    for (int i = lets - 1, last = lets; i >= 0; i--) {
        bool used = node_uses(part, wanted[i]->symbol);
        for (int k = last; k < lets && !used; k++) used = node_uses(wanted[k]->kids[0], wanted[i]->symbol);
        if (!used) continue;
        cost += plan_node_cost(wanted[i]->kids[0]);
        wanted[--last] = wanted[i];
    }
    free(wanted);
    return cost;
}

void chain_find_makers(Chain *chain, const Plan *plan) {
    for (int i = 0; i < chain->count; i++) {
        Link *link = &chain->links[i];
        const Type *type = link->let->symbol->type;
        int leaf;
        if (type->kind != TY_vec || type->args[0]->pointers) continue;
        const Node *made = maker_of(chain, link->let->kids[0], &leaf);
        if (made->kind != N_For && made->kind != N_Cfill) continue;
        const Fragment *maker = made->index ? fragment_numbered(plan, made->index - 1) : NULL;
        for (int k = 0; maker && k < maker->noutputs; k++) {
            const Buffer *buffer = maker->outputs[k];
            if (buffer->owns == OWNS_NOTHING || buffer->leaf != leaf) continue;
            link->maker = maker;
            link->cost = cost_of(maker, leaf);
            link->bytes = buffer->most;
        }
    }
}

/* ---- what must be computed again with it ---- */

static void add_together(Together *t, Link *link);

static bool add_needed(Walk *walk, Node **slot) {
    Together *t = walk->data;
    const Node *node = *slot;
    bool twice = node_is_foreign(node) ? !node_keeps(node) : true;
    if (!twice || node->kind == N_Iterate || node->kind == N_Exchange || node->kind == N_Sort ||
        node->kind == N_Room)
        t->ok = false;
    Link *link = node->kind == N_Ident ? chain_link(t->chain, node->symbol) : NULL;
    if (node->kind == N_Ident && node->type->builders && !link && !is_inside(t->chain, node->symbol))
        t->ok = false;
    if (!link || !t->ok) return t->ok;
    if (node->type->builders || (node->type->pointers && link->last < t->place)) {
        add_together(t, link);
    } else if (node->type->pointers) {
        if (t->nneeds < MOST_NEEDS) t->needs[t->nneeds] = (int)(link - t->chain->links);
        t->nneeds++;
    }
    return t->ok;
}

static void add_together(Together *t, Link *link) {
    if (link->together) return;
    link->together = true;
    if (++t->count > MOST_TOGETHER) t->ok = false;
    if (link->maker) t->cost += link->cost * link->maker->times;
    if (!t->ok) return;
    Walk walk = {t->chain->program, add_needed, NULL, t};
    node_walk(&walk, &link->let->kids[0]);
}

Together chain_together(Chain *chain, Link *link, int place) {
    Together t = {.chain = chain, .place = place, .ok = true};
    for (int i = 0; i < chain->count; i++) chain->links[i].together = false;
    add_together(&t, link);
    return t;
}
