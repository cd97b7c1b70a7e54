/* distribute_iterate.c: the state of an iterate on the ranks of a cluster.
 *
 *     iterate({v, 0}, |s| {{map(s.$0), s.$1 + 1}, s.$1 < n})      v in blocks: they stay so from step to step
 *
 * The state keeps a layout that a step leads back to: a step is tried on copies until one does, where layouts only
 * become less whole. What is not settled after a few tries is whole. A vector in blocks that a step leaves cut at other places than
 * it found it is *loose*: nothing else is cut as it is.
 */
#include "distribute_server.h"

#include <string.h>

static const Layout *layout_loose(Distribute *d) {
    Layout *layout = arena_alloc(&d->program->arena, sizeof *layout);
    *layout = (Layout){.kind = LAYOUT_BLOCK, .cut = cut_new(d), .loose = true};
    return layout;
}

/* The layout of a state that starts like one and is left like the other by a step. */
static const Layout *layout_join(Distribute *d, const Type *type, const Layout *a, const Layout *b) {
    if (type->kind == TY_struct && (a->kind == LAYOUT_PARTS || b->kind == LAYOUT_PARTS)) {
        Layout *parts = layout_parts(d, type->count);
        for (int i = 0; parts->parts && i < type->count; i++)
            parts->parts[i] = layout_join(d, type->args[i], layout_part(a, i), layout_part(b, i));
        return parts->parts ? layout_settle(parts, type->count) : parts;
    }
    if (a->kind == LAYOUT_KEYED || b->kind == LAYOUT_KEYED) return &layout_whole;
    if (a->kind == LAYOUT_BLOCK && b->kind == LAYOUT_BLOCK)
        return a->cut == b->cut || a->loose ? a : layout_loose(d);
    if (a->kind == LAYOUT_BLOCK || b->kind == LAYOUT_BLOCK) {
        const Layout *block = a->kind == LAYOUT_BLOCK ? a : b;
        return block->cut == CUT_EVENLY ? block : layout_loose(d);
    }
    return a->kind == b->kind ? a : &layout_whole;
}

/* A state that checkpoints keep may come back cut evenly. */
static const Layout *loosen(Distribute *d, const Type *type, const Layout *layout) {
    if (layout->kind == LAYOUT_BLOCK) return layout->cut == CUT_EVENLY ? layout : layout_loose(d);
    if (layout->kind != LAYOUT_PARTS) return layout;
    Layout *parts = layout_parts(d, type->count);
    for (int i = 0; parts->parts && i < type->count; i++)
        parts->parts[i] = loosen(d, type->args[i], layout_part(layout, i));
    return parts;
}

static bool layout_same(const Type *type, const Layout *a, const Layout *b) {
    if (a->kind != b->kind || a->cut != b->cut) return false;
    for (int i = 0; a->kind == LAYOUT_PARTS && i < type->count; i++) {
        if (!layout_same(type->args[i], a->parts[i], b->parts[i])) return false;
    }
    return true;
}

void make_layout(Distribute *d, Node **slot, const Layout *from, const Layout *to) {
    Program *program = d->program;
    while ((*slot)->kind == N_Let) slot = &(*slot)->kids[1];
    Node *node = *slot;
    Type *type = node->type;
    if (layout_same(type, from, to)) return;
    if (type->kind != TY_struct) {
        if (to->kind == LAYOUT_WHOLE || to->kind == LAYOUT_SPLITS)
            make_whole(d, slot, from);
        else if (from->kind != LAYOUT_BLOCK)
            *slot = own_block(d, node, from);
        return;
    }
    bool written = node->kind == N_Struct;
    Symbol *name = node->kind == N_Ident ? node->symbol : symbol_new(program, "t", type);
    Node *parts = written ? node : node_new(program, N_Struct, node->span, type, type->count);
    for (int i = 0; i < parts->count; i++) {
        if (!written) {
            parts->kids[i] = node_make(program, N_Field, node->span, type->args[i], 1,
                                       node_ident(program, node->span, name));
            parts->kids[i]->index = i;
        }
        make_layout(d, &parts->kids[i], layout_part(from, i), layout_part(to, i));
    }
    *slot = written || node->kind == N_Ident ? parts : node_let(program, node->span, name, node, parts);
}

/* Rewrites a step whose state has this layout. How the next state then lies on the ranks. */
static const Layout *distribute_step(Distribute *d, const Node *init, Node *lambda, const Layout *state) {
    place_of(d, lambda->params[0])->layout = state;
    place_of(d, lambda->params[0])->init = init;
    place_of(d, lambda->params[0])->bound = true;
    d->steps++;
    place_of(d, lambda->params[0])->varies = d->steps;
    const Layout *both = distribute(d, &lambda->kids[0]);
    Node **end = &lambda->kids[0];
    while ((*end)->kind == N_Let) end = &(*end)->kids[1];
    const Layout *next = layout_part(both, 0);
    if ((*end)->kind == N_Struct) {
        make_whole(d, &(*end)->kids[1], layout_part(both, 1));
        make_layout(d, &(*end)->kids[0], next, state);
    } else if (state->kind != LAYOUT_WHOLE || !layout_all_whole(both, (*end)->type)) {
        Layout *want = layout_parts(d, 2);
        if (want->parts) want->parts[0] = state;
        if (want->parts) make_layout(d, end, both, want);
    }
    lambda->kids[0] = bind_derived(d, lambda->params[0], lambda->kids[0]);
    d->steps--;
    return next;
}

/* As KeptState.layout. */
static void put_layout(Buf *out, const Type *type, const Layout *layout) {
    for (int i = 0; type->kind == TY_struct && i < type->count; i++)
        put_layout(out, type->args[i], layout_part(layout, i));
    bool block = layout->kind == LAYOUT_BLOCK;
    if (type->kind != TY_struct) buf_put(out, !block ? "w" : layout->cut == CUT_EVENLY ? "e" : "b", 1);
}

static void note_layout(Distribute *d, Node *iterate, const Layout *state) {
    Buf letters = {0};
    put_layout(&letters, iterate->type, state);
    bool blocks = !letters.failed && letters.text && strpbrk(letters.text, "be");
    if (blocks) iterate->text = arena_copy(&d->program->arena, letters.text, letters.length);
    d->gave_up |= letters.failed || (blocks && !iterate->text);
    buf_release(&letters);
}

/* The layouts can only become less whole, a few times; what is not settled by then is whole. */
const Layout *distribute_iterate(Distribute *d, Node **slot) {
    enum { TRIES = 4 };
    Node *node = *slot;
    bool trains = d->program->distribution.server && !d->steps;
    const Layout *served = trains ? distribute_served(d, slot) : NULL;
    if (served) return served;
    const Type *type = node->type;
    const Layout *from = distribute(d, &node->kids[0]), *state = node->bits ? loosen(d, type, from) : from;
    bool settled = false;
    for (int i = 0; i < TRIES && !settled; i++) {
        Node *copy = node_clone(d->program, node->kids[1]);
        const Layout *joined = layout_join(d, type, state, distribute_step(d, node->kids[0], copy, state));
        settled = layout_same(type, joined, state);
        state = joined;
    }
    if (!settled) state = &layout_whole;
    make_layout(d, &node->kids[0], from, state);
    distribute_step(d, node->kids[0], node->kids[1], state);
    if (node->bits) note_layout(d, node, state);
    return state;
}
