/* grad_tidy.c: programs of derivatives as one would write them.
 *
 * Everything has a name while a derivative is taken, whether it turns out to be used or not. Lets that nobody uses go, from
 * the last to the first. A builder's let goes where the builder is used:
 *
 *     let b = merger[f64,+]; let l = for(v, b, ..); let r = result(l); ..   =>   let r = result(for(v, merger[f64,+], ..)); ..
 *
 * which is what passes look for. A builder is used once, so nothing is done twice; it is moved within its chain of lets only,
 * not into a loop or an arm. Linear.
 */
#include "grad.h"

#include <stdlib.h>

static bool uses_remove(Walk *walk, Node **slot) {
    (void)walk;
    if ((*slot)->kind == N_Ident) (*slot)->symbol->uses--;
    return true;
}

static bool keeps_enter(Walk *walk, Node **slot) {
    bool *keeps = walk->data;
    if (node_keeps(*slot)) *keeps = true;
    return !*keeps;
}

/* A let that nobody uses goes; walked from the last to the first. */
static void drop_unused(Walk *walk, Node **slot) {
    Node *node = *slot;
    if (node->kind != N_Let || node->symbol->uses > 0) return;
    bool keeps = false;
    Walk look = {walk->program, keeps_enter, NULL, &keeps};
    node_walk(&look, &node->kids[0]);
    if (keeps) return;
    Walk remove = {walk->program, uses_remove, NULL, NULL};
    node_walk(&remove, &node->kids[0]);
    *slot = node->kids[1];
}

/* ---- builders written where they are used ---- */

typedef struct Written {
    struct {
        Node *value; /* to be put in, or NULL */
        int height, chain;
        bool done; /* it was put in */
    } *names;      /* by symbol */
    int chain;     /* how many chains are around */
} Written;

enum { HIGHEST = 8 };

static void write_chain(Written *w, Node **slot);

/* Puts in what is waiting, and gives how many builders are within one another then. */
static int put_builders(Written *w, Node **slot) {
    Node *node = *slot;
    int highest = 0;
    int id = node->kind == N_Ident ? node->symbol->id : 0;
    if (node->kind == N_Ident && w->names[id].value && w->names[id].chain == w->chain) {
        *slot = w->names[id].value;
        w->names[id].value = NULL;
        w->names[id].done = true;
        return w->names[id].height;
    }
    if (node->kind == N_Let) {
        write_chain(w, slot);
        return 0;
    }
    for (int i = 0; i < node->count; i++) {
        bool apart = node->kind == N_Lambda || (node->kind == N_If && i > 0);
        int height = 0;
        if (apart)
            write_chain(w, &node->kids[i]);
        else
            height = put_builders(w, &node->kids[i]);
        if (height > highest) highest = height;
    }
    return highest + node->type->builders;
}

static void write_chain(Written *w, Node **slot) {
    Node **at = slot;
    w->chain++;
    for (; (*at)->kind == N_Let; at = &(*at)->kids[1]) {
        Node *let = *at;
        int id = let->symbol->id, height = put_builders(w, &let->kids[0]);
        if (let->symbol->uses != 1 || !let->symbol->type->builders || height >= HIGHEST) continue;
        w->names[id].value = let->kids[0];
        w->names[id].height = height;
        w->names[id].chain = w->chain;
    }
    put_builders(w, at);
    w->chain--;
    for (at = slot; (*at)->kind == N_Let;) {
        int id = (*at)->symbol->id;
        w->names[id].value = NULL;
        if (w->names[id].done)
            *at = (*at)->kids[1];
        else
            at = &(*at)->kids[1];
    }
}

void grad_tidy(Program *program) {
    Walk drop = {program, NULL, drop_unused, NULL};
    Written w = {.names = calloc((size_t)program->symbols + 1, sizeof *w.names)};
    count_uses(program, program->root);
    node_walk(&drop, &program->root);
    if (w.names) write_chain(&w, &program->root->kids[0]);
    free(w.names);
}
