/* cg_renew.c: an iterate takes over what its first state alone reaches.
 *
 *     let d = iterate(.., |s| ..);           d.$0: vec[vec[f64]], whose vectors were made in the steps
 *     let b = iterate({d.$0, ..}, |t| {{slice(t.$0, 0, len(t.$0) - 1), ..}, ..})      needs one of them less at every step
 *
 * After each step of b what the state does not reach goes (RT_sweep), but only of what was allocated since b began: the
 * vectors in d.$0 are older and would stay. So before b begins those that are younger than d and that nothing else can
 * reach become the youngest of all. What else can reach them: names that were bound since, if a path to memory in them is
 * used in b's function or behind b; and blocks that the plan will release (cg_release.c) must stay where they are.
 *
 * Only where both are lets of one chain: then all that was bound since d is a let of that chain. What lies in chunks stays;
 * it is small. The stack of states that a gradient keeps (lang/grad/grad_again.c) lives from this.
 */
#include "cg.h"

#include <stddef.h>

/* When a let's iterate began. */
struct Began {
    const Node *let;
    LLVMValueRef clock;
    Began *before;
};

/* The let whose value is this iterate, or a part or the result of a part of it. */
static const Node *let_of(const Cg *cg, const Node *iterate) {
    return cg->let && node_source(cg->let->kids[0]) == iterate ? cg->let : NULL;
}

void cg_renew_note(Cg *cg, const Node *iterate) {
    const Node *let = let_of(cg, iterate);
    if (!let || !type_nests(iterate->type)) return;
    Began *began = arena_alloc(&cg->program->arena, sizeof *began);
    if (!began) return;
    *began = (Began){let, cg_call(cg, RT_clock, cg->fn->worker), cg->began};
    cg->began = began;
}

static const Symbol *base_of(const Node *path) {
    while (path->kind == N_Field) path = path->kids[0];
    return path->kind == N_Ident ? path->symbol : NULL;
}

/* What a part of the first state comes from, if that is an iterate before in the chain of this let. */
static const Began *origin(const Cg *cg, const Node *state, const Node *let) {
    const Symbol *base = base_of(state);
    for (const Began *began = cg->began; began && base; began = began->before) {
        if (began->let->symbol != base || !type_nests(state->type)) continue;
        const Node *at = began->let;
        while (at->kind == N_Let && at != let) at = at->kids[1];
        return at == let ? began : NULL;
    }
    const Began *found = NULL;
    for (int i = 0; state->kind == N_Struct && i < state->count && !found; i++)
        found = origin(cg, state->kids[i], let);
    return found;
}

/* What must stay where it is. */
typedef struct Roots {
    Cg *cg;
    const Node *from, *to; /* lets: names bound from here to there count */
    LLVMValueRef types[ROOTS], values[ROOTS];
    int count;
    bool full;
} Roots;

static void add_root(Roots *roots, const Type *type, LLVMValueRef value) {
    if (roots->count == ROOTS) {
        roots->full = true;
        return;
    }
    roots->types[roots->count] = cg_type_pointer(roots->cg, type);
    roots->values[roots->count++] = value;
}

static bool is_bound_between(const Roots *roots, const Symbol *symbol) {
    const Node *let = roots->from;
    for (; let != roots->to; let = let->kids[1]) {
        if (let->symbol == symbol) return true;
    }
    return false;
}

static bool find_path(Walk *walk, Node **slot) {
    Roots *roots = walk->data;
    const Node *node = *slot;
    const Symbol *base = base_of(node);
    if (!base) return true;
    bool counts = node->type->pointers && !node->type->builders && is_bound_between(roots, base);
    if (counts) add_root(roots, node->type, cg_spill(roots->cg, node->type, cg_expr(roots->cg, node)));
    return false;
}

/* Blocks that are the plan's to release. */
static void add_owned(void *data, const Type *type, const Leaf *place) {
    Roots *roots = data;
    Cg *cg = roots->cg;
    if (type_is_builder(type)) {
        LLVMValueRef slot = cg_slot(cg, sizeof(void *), 8);
        cg_store_at(cg, place[0], slot, 0);
        add_root(roots, type, slot);
    } else {
        add_root(roots, type, cg_spill(cg, type, place));
    }
}

bool cg_renew(Cg *cg, const Node *iterate, LLVMValueRef mark, LLVMValueRef state) {
    const Node *let = let_of(cg, iterate);
    const Began *from = let ? origin(cg, iterate->kids[0], let) : NULL;
    if (!from) return false;
    Roots *roots = arena_alloc(&cg->program->arena, sizeof *roots);
    if (!roots) return false;
    roots->cg = cg;
    roots->from = from->let;
    roots->to = let;
    Node *parts[2] = {iterate->kids[1], let->kids[1]};
    Walk walk = {cg->program, find_path, NULL, roots};
    for (int i = 0; i < 2; i++) node_walk(&walk, &parts[i]);
    cg_each_owned(cg, iterate, add_owned, roots);
    if (roots->full) return false;
    LLVMValueRef list = cg_slot(cg, 16 * (roots->count + 1), 8);
    for (int i = 0; i < roots->count; i++) {
        cg_store_at(cg, roots->types[i], list, 16 * i);
        cg_store_at(cg, roots->values[i], list, 16 * i + 8);
    }
    cg_call(cg, RT_renew, cg->fn->worker, from->clock, mark, cg_type_pointer(cg, iterate->type), state, list,
            cg_i64(cg, roots->count));
    return true;
}
