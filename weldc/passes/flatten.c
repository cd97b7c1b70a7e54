/* flatten.c: lets within a value come before what needs the value.
 *
 *     let m = (let s = result(for(..)); s / n); e     =>  let s = result(for(..)); let m = s / n; e
 *     {f(a), (let s = result(for(..)); s / n)}        =>  let s = result(for(..)); {f(a), s / n}
 *
 * Functions of libraries bring lets of their own. While these stand inside of operands, their loops are in blocks apart and
 * do not meet the loops of other functions (fuse_horizontal.c). Lets go up as far as they are evaluated whenever what
 * is around them is: to the body of a function or to an arm. Of a chain of lets those move that lead to a loop, all if its end
 * is one, for a loop that walks what that makes; the rest of it is arithmetic, which is as good where it is.
 *
 * Moved values are evaluated before other operands. So they name no builder that is bound outside of them, and hold no
 * assert nor a foreign call whose order counts; of several failures any may be reported. Uses are as before. One walk, in
 * which each let moves over each node around it once.
 */
#include "../weldc.h"

#include <limits.h>

bool pass_flatten(Program *program);

/* A node keeps in its index what is below it: twice the least serial of a builder that is named there, 0 for what must
 * stay, and 1 more if there is a loop. A field, whose index is taken, has that of its kid. */
enum { NO_BUILDER = INT_MAX / 2 };

typedef struct Flatten {
    int *serials; /* by symbol id: binders are numbered as they are met */
    int serial;
} Flatten;

static int below(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->index;
}

static bool flatten_enter(Walk *walk, Node **slot) {
    Flatten *f = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Let) f->serials[node->symbol->id] = ++f->serial;
    for (int i = 0; i < node->nparams; i++) f->serials[node->params[i]->id] = ++f->serial;
    return true;
}

static void set_below(const Flatten *f, Node *node) {
    if (node->kind == N_Field) return;
    int least = node_keeps(node) ? 0 : NO_BUILDER, loop = node->kind == N_For || node->kind == N_Sort;
    if (node->kind == N_Ident && node->type->builders) least = f->serials[node->symbol->id];
    for (int i = 0; i < node->count; i++) {
        int kid = below(node->kids[i]);
        if (kid >> 1 < least) least = kid >> 1;
        loop |= kid & 1;
    }
    node->index = least << 1 | loop;
}

/* How many kids are evaluated whenever the node is. */
static int strict_kids(const Node *node) {
    switch (node->kind) {
    case N_Lambda: return 0;
    case N_Let:
    case N_If:
    case N_And:
    case N_Or: return 1;
    default: return node->count;
    }
}

/* The last let of a chain that goes up, with those before it; NULL: none. */
static Node *last_to_move(const Flatten *f, Node *chain) {
    Node *last = NULL, *before = NULL;
    for (; chain->kind == N_Let; before = chain, chain = chain->kids[1]) {
        int value = below(chain->kids[0]);
        if (value >> 1 <= f->serials[chain->symbol->id]) return last;
        if (value & 1) last = chain;
    }
    return below(chain) & 1 ? before : last;
}

static void flatten_leave(Walk *walk, Node **slot) {
    const Flatten *f = walk->data;
    Node *node = *slot, *first = NULL, **hole = &first;
    int strict = strict_kids(node);
    for (int i = 0; i < strict; i++) {
        Node *chain = node->kids[i], *last = last_to_move(f, chain);
        if (!last) continue;
        *hole = chain;
        hole = &last->kids[1];
        node->kids[i] = *hole;
    }
    set_below(f, node);
    if (!first) return;
    *hole = node;
    *slot = first;
    int least = below(node) >> 1;
    for (Node *let = first; let != node; let = let->kids[1]) {
        int value = below(let->kids[0]) >> 1;
        if (value < least) least = value;
    }
    for (Node *let = first; let != node; let = let->kids[1]) {
        let->type = node->type;
        let->index = least << 1 | 1;
    }
}

bool pass_flatten(Program *program) {
    Flatten flatten = {.serials = arena_alloc(&program->arena, sizeof(int) * (size_t)(program->symbols + 1))};
    if (!flatten.serials)
        return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    Walk walk = {program, flatten_enter, flatten_leave, &flatten};
    node_walk(&walk, &program->root);
    int depth = node_depth(program->root);
    if (depth > program->depth) program->depth = depth;
    return true;
}
