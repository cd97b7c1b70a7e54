/* cg_release.c: memory that a run gives back while it goes on.
 *
 *     let a = map(v, ..);        fragment 0 makes a, until 1
 *     let n = sum(a);            fragment 1;  then a's block is released
 *     let c = map(v, ..n..)      fragment 2 gets it
 *
 * The plan (plan.c) says which fragment needs a buffer last, or what may point into it. Behind that fragment's code
 * comes a call that releases the block, if the buffer owns one: an appender's or a vecmerger's that the loop was given
 * new, a sort's, a serialize's, a cfill's. In an iterate it runs in every step, so that a step lives from what the one before left.
 *
 * The plan's order is that in which code is generated, but this file does not rely on it: a fragment counts as past
 * only when all before it in its plan have their code, so that what is generated late, or never, only keeps more.
 *
 *     fragments of a plan    0  1  2  3         past: 0, 1; what was last needed by 2 waits for 2
 *     have code              x  x     x
 *
 * That is liveness of straight code (Appel, Modern Compiler Implementation, ch. 10), where loops are one step.
 */
#include "cg.h"

#include <stddef.h>

/* A buffer that owns a block. */
struct Owned {
    const Buffer *buffer;
    Leaf place[2]; /* a builder's state; a vector's data and length. NULL: it has no code yet */
    Owned *next;   /* that dies with the same fragment */
};

/* A fragment on its way into code. */
struct Passage {
    const Plan *plan;
    int *past;   /* how many of the plan's fragments are past */
    bool done;   /* it has its code */
    Owned *dies; /* with it */
};

static int count_fragments(const Plan *plan) {
    int count = plan->nfragments;
    for (int i = 0; i < plan->nfragments; i++) {
        for (int k = 0; k < plan->fragments[i]->ninner; k++)
            count += count_fragments(plan->fragments[i]->inner[k]);
    }
    return count;
}

static bool dies(const Buffer *buffer) {
    return buffer->owns != OWNS_NOTHING && !buffer->heir && buffer->last >= 0 && buffer->last != LIVES_ON;
}

static void list_owned(Cg *cg, const Buffer *buffer) {
    if (!dies(buffer)) return;
    Owned *owned = arena_alloc(&cg->program->arena, sizeof *owned);
    Passage *last = &cg->passages[buffer->last];
    *owned = (Owned){.buffer = buffer, .next = last->dies};
    last->dies = owned;
}

static void list_plan(Cg *cg, const Plan *plan) {
    int *past = arena_alloc(&cg->program->arena, sizeof *past);
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        cg->passages[fragment->number].plan = plan;
        cg->passages[fragment->number].past = past;
        for (int k = 0; k < fragment->noutputs; k++) list_owned(cg, fragment->outputs[k]);
        for (int k = 0; k < fragment->ninner; k++) list_plan(cg, fragment->inner[k]);
    }
}

bool cg_release_open(Cg *cg) {
    const Plan *plan = plan_make(cg->program);
    if (!plan) return error_set(cg->error, E_OutOfMemory, (Span){0}, "no memory to plan the program");
    int count = count_fragments(plan);
    cg->passages = arena_alloc(&cg->program->arena, sizeof *cg->passages * (size_t)(count + 1));
    if (!cg->passages) return error_set(cg->error, E_OutOfMemory, (Span){0}, "out of memory");
    cg->npassages = count;
    list_plan(cg, plan);
    return true;
}

static void release(Cg *cg, const Owned *owned) {
    const Type *element = owned->buffer->type->args[0];
    LLVMValueRef size = cg_i64(cg, element->size), worker = cg->fn->worker;
    if (!owned->place[0]) return;
    if (owned->buffer->owns == OWNS_BUILDER)
        cg_call(cg, RT_drop, worker, owned->place[0], size);
    else
        cg_call(cg, RT_release, worker, owned->place[0],
                LLVMBuildMul(cg->builder, owned->place[1], size, ""));
}

void cg_each_owned(Cg *cg, const Node *node, void (*visit)(void *data, const Type *type, const Leaf *place),
                   void *data) {
    int number = node->index - 1;
    if (number < 0 || number >= cg->npassages) return;
    const Passage *passage = &cg->passages[number];
    for (int i = *passage->past; i < passage->plan->nfragments; i++) {
        const Passage *next = &cg->passages[passage->plan->fragments[i]->number];
        for (const Owned *owned = next->dies; owned; owned = owned->next) {
            const Buffer *buffer = owned->buffer;
            const Type *type = buffer->type;
            if (!owned->place[0]) continue;
            if (buffer->owns == OWNS_BUILDER && type->kind == TY_vec)
                type = type_make(&cg->program->types, TY_appender, OP_none, 1, type->args);
            visit(data, type, owned->place);
        }
    }
}

/* What the fragment made: found where it dies, among few. */
static void note_places(Cg *cg, const Fragment *fragment, const Leaf *leaves) {
    for (int i = 0; i < fragment->noutputs; i++) {
        const Buffer *buffer = fragment->outputs[i];
        if (!dies(buffer)) continue;
        Owned *owned = cg->passages[buffer->last].dies;
        while (owned->buffer != buffer) owned = owned->next;
        owned->place[0] = leaves[buffer->leaf];
        if (buffer->owns == OWNS_VECTOR) owned->place[1] = leaves[buffer->leaf + 1];
    }
}

static const Fragment *fragment_of(const Passage *passage, int number) {
    return passage->plan->fragments[plan_at(passage->plan, number)];
}

const int *cg_places(Cg *cg, const Node *loop) {
    int number = loop->index - 1, *places = NULL;
    if (number < 0 || number >= cg->npassages) return NULL;
    const Fragment *fragment = fragment_of(&cg->passages[number], number);
    for (int i = 0; i < fragment->noutputs; i++) {
        const Buffer *made = fragment->outputs[i];
        if (!made->place) continue;
        if (!places)
            places = arena_alloc(&cg->program->arena, sizeof *places * (size_t)leaf_count(loop->type));
        if (places) places[made->leaf] = made->place;
    }
    return places;
}

/* What straight code takes counts for the fragment behind it. */
static void tell_passed(Cg *cg, const Fragment *fragment) {
    if (!cg->timed || fragment->kind == FRAGMENT_code) return;
    cg_call(cg, RT_passed, cg->fn->worker, cg_i32(cg, fragment->number), cg_i32(cg, (int32_t)fragment->kind),
            cg_i64(cg, span_pack(fragment->node->span)));
}

void cg_fragment_end(Cg *cg, const Node *node, const Leaf *leaves) {
    int number = node->index - 1; /* less than 0: what a loop runs is no fragment */
    if (number < 0 || number >= cg->npassages) return;
    Passage *passage = &cg->passages[number];
    const Plan *plan = passage->plan;
    tell_passed(cg, fragment_of(passage, number));
    if (leaves) note_places(cg, fragment_of(passage, number), leaves);
    passage->done = true;
    for (; *passage->past < plan->nfragments; ++*passage->past) {
        const Passage *next = &cg->passages[plan->fragments[*passage->past]->number];
        if (!next->done) return;
        for (const Owned *owned = next->dies; owned; owned = owned->next) release(cg, owned);
    }
}
