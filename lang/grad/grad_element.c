/* grad_element.c: what is known of the elements of a vector of adjoints, so that who takes one need not read it.
 *
 * The adjoints of a sum's elements are one number: who takes one takes that (note_fill). Others were made by a loop, one at each
 * iteration; who knows what that iteration walked can compute the element anew (note_loop), and the vector goes if nobody else
 * wants it:
 *
 *     g = for(p, appender, |b, i, x| merge(b, 2.0 * s * x));   the adjoint of the x that was merged into p is 2.0 * s * x
 *
 * That may be cheaper than memory, as for neighbours, whose few operations are done once for each (grad_piece.c), or save knowing where
 * the element is, as for what was merged by some iterations only (grad_sequence.c).
 */
#include "grad.h"

#include <string.h>

struct Known {
    const Symbol *vector;
    Symbol *scalar;   /* every element, or NULL */
    const Node *loop; /* or NULL; whose iterations each make one: */
    const Symbol *value;
};

static struct Known *known_of(const Grad *g, const Symbol *vector) {
    int number = vector->uses;
    bool noted = number > 0 && number <= g->known_count && g->elements[number - 1].vector == vector;
    return noted ? &g->elements[number - 1] : NULL;
}

static struct Known *know(Grad *g, Symbol *vector) {
    struct Known *known = known_of(g, vector);
    if (known) return known;
    if (g->known_count == g->known_room) {
        int room = g->known_room ? 2 * g->known_room : 16;
        struct Known *more = grad_alloc(g, (size_t)room, sizeof *more);
        if (g->known_count) memcpy(more, g->elements, sizeof *more * (size_t)g->known_count);
        g->elements = more;
        g->known_room = room;
    }
    g->elements[g->known_count++] = (struct Known){.vector = vector};
    vector->uses = g->known_count;
    return &g->elements[g->known_count - 1];
}

void note_fill(Grad *g, Symbol *vector, Symbol *scalar) {
    know(g, vector)->scalar = scalar;
}

Symbol *fill_of(const Grad *g, const Symbol *vector) {
    const struct Known *known = known_of(g, vector);
    return known ? known->scalar : NULL;
}

void note_loop(Grad *g, Symbol *vector, const Node *loop, const Symbol *value) {
    struct Known *known = know(g, vector);
    known->loop = loop;
    known->value = value;
}

const Node *loop_of(const Grad *g, const Symbol *vector) {
    const struct Known *known = known_of(g, vector);
    return known ? known->loop : NULL;
}

/* ---- the lets of the iteration that an element takes ---- */

enum { MOST_LETS = 64 };

typedef struct Needed {
    const Node *lets[MOST_LETS]; /* from the last to the first */
    int count, operations;
    const Symbol *names[4 * MOST_LETS];
    int named;
    bool index, simple; /* is the loop's number used; no builders, no loops */
    bool heavy;         /* there is more in it than sums and products */
} Needed;

static bool is_heavy(const Node *node) {
    bool light = node->kind != N_Binary || node->op == OP_add || node->op == OP_sub || node->op == OP_mul ||
                 node->op == OP_min || node->op == OP_max;
    return !light || (node->kind == N_Unary && node->op != OP_neg) || node->kind == N_If ||
           node->kind == N_Let || node->kind == N_Slice;
}

static bool need_enter(Walk *walk, Node **slot) {
    Needed *needed = walk->data;
    const Node *node = *slot;
    bool free = node->kind == N_Ident || node->kind == N_Field || node->kind == N_Literal ||
                node->kind == N_Struct || node->kind == N_Let;
    bool plain = free || node->kind == N_Binary || node->kind == N_Unary || node->kind == N_Cast ||
                 node->kind == N_Select || node->kind == N_Compare || node->kind == N_Lookup ||
                 node->kind == N_Len || node->kind == N_And || node->kind == N_Or || node->kind == N_If ||
                 node->kind == N_Slice;
    needed->simple &= plain && !node->type->builders;
    needed->heavy |= is_heavy(node);
    needed->operations += !free;
    if (node->kind != N_Ident || !needed->simple) return needed->simple;
    if (needed->named == 4 * MOST_LETS)
        needed->simple = false;
    else
        needed->names[needed->named++] = node->symbol;
    return true;
}

static bool is_named(const Needed *needed, const Symbol *symbol) {
    for (int i = 0; i < needed->named; i++) {
        if (needed->names[i] == symbol) return true;
    }
    return false;
}

/* False: the element cannot be had in this way. */
static bool find_needed(Grad *g, const struct Known *known, Needed *needed) {
    const Node *lambda = known->loop->kids[known->loop->count - 1];
    *needed = (Needed){.simple = true, .names = {known->value}, .named = 1};
    int count = 0;
    for (const Node *let = lambda->kids[0]; let->kind == N_Let; let = let->kids[1]) count++;
    const Node **lets = grad_alloc(g, (size_t)count, sizeof *lets);
    count = 0;
    for (const Node *let = lambda->kids[0]; let->kind == N_Let && lets; let = let->kids[1])
        lets[count++] = let;
    while (count-- > 0 && needed->simple) {
        const Node *let = lets[count];
        if (!is_named(needed, let->symbol)) continue;
        if (needed->count == MOST_LETS) return false;
        needed->lets[needed->count++] = let;
        Walk walk = {g->program, need_enter, NULL, needed};
        node_walk(&walk, (Node **)&let->kids[0]);
    }
    needed->index = is_named(needed, lambda->params[1]);
    return needed->simple && !is_named(needed, lambda->params[0]);
}

int element_cost(Grad *g, const Symbol *vector) {
    const struct Known *known = known_of(g, vector);
    Needed needed;
    if (!known || !known->loop || !find_needed(g, known, &needed) || needed.heavy) return -1;
    for (int i = 0; i < known->loop->count - 2; i++) {
        const Node *iter = known->loop->kids[i];
        if (iter->iter != IT_range && (iter->iter != IT_scalar || iter->count > 1)) return -1;
    }
    return needed.operations;
}

/* ---- an element anew ---- */

typedef struct Walking {
    Grad *g;
    const Symbol *element; /* the loop's parameter */
    int iters;
    Symbol **parts;
} Walking;

/* What the loop yields is what is walked here. */
static void take_parts(Walk *walk, Node **slot) {
    Walking *w = walk->data;
    if ((*slot)->kind != N_Ident || (*slot)->symbol != w->element) return;
    Node **parts = grad_alloc(w->g, (size_t)w->iters, sizeof *parts);
    for (int i = 0; i < w->iters && parts; i++) parts[i] = use(w->g, w->parts[i]);
    *slot = w->iters == 1 ? parts[0] : struct_of(w->g, w->iters, parts);
}

static Symbol *write_anew(Grad *g, const struct Known *known, const Needed *needed, Symbol *index,
                          Symbol **parts) {
    const Node *lambda = known->loop->kids[known->loop->count - 1];
    Walking walking = {g, lambda->params[2], known->loop->count - 2, parts};
    Walk walk = {g->program, NULL, take_parts, &walking};
    lambda->params[1]->twin = index;
    for (int i = needed->count; i-- > 0;) {
        const Node *let = needed->lets[i];
        Node *value = node_clone(g->program, let->kids[0]);
        node_walk(&walk, &value);
        let->symbol->twin = emit(g, let->symbol->name, value);
    }
    Symbol *made = known->value->twin;
    if (!made) made = known->value == lambda->params[2] ? parts[0] : (Symbol *)(uintptr_t)known->value;
    for (int i = 0; i < needed->count; i++) needed->lets[i]->symbol->twin = NULL;
    lambda->params[1]->twin = NULL;
    return made;
}

Symbol *element_anew(Grad *g, const Symbol *vector, Symbol *index, Symbol **parts) {
    const struct Known *known = known_of(g, vector);
    Needed needed;
    if (!known || !known->loop || !find_needed(g, known, &needed)) return NULL;
    return write_anew(g, known, &needed, index, parts);
}

Symbol *element_of(Grad *g, const Symbol *vector, const Symbol *walked, Symbol *value) {
    const struct Known *known = known_of(g, vector);
    Needed needed;
    if (!known || !known->loop || !find_needed(g, known, &needed) || needed.index) return NULL;
    int count = known->loop->count - 2;
    Symbol **parts = grad_alloc(g, (size_t)count, sizeof *parts);
    for (int i = 0; i < count && parts; i++) {
        const Node *iter = known->loop->kids[i];
        bool same = iter->iter == IT_scalar && iter->count == 1 && iter->kids[0]->kind == N_Ident;
        if (!same || iter->kids[0]->symbol != walked) return NULL;
        parts[i] = value;
    }
    return write_anew(g, known, &needed, NULL, parts);
}
