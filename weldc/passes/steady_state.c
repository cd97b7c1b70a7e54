/* steady_state.c: parts of an iterate's state that no step changes are what they were before the iterate.
 *
 *     iterate({v, 0.0}, |s| {{s.$0, s.$1 + result(for(s.$0, ..))}, ..})
 *  =>
 *     iterate({v, 0.0}, |s| {{s.$0, s.$1 + result(for(v, ..))}, ..})
 *
 * So what is made of them alone is computed once, before (licm.c), and on a cluster exchanged once. The part stays in the state; a
 * first value that is no name gets one.
 */
#include "../weldc.h"

bool pass_steady_state(Program *program);

enum { MOST_PARTS = 32, DEEPEST = 8 };

/* The way from the state to a part. */
typedef struct Path {
    int fields[DEEPEST], count;
} Path;

typedef struct Steady {
    Program *program;
    const Symbol *state;
    Path parts[MOST_PARTS];
    Node *values[MOST_PARTS]; /* what they were */
    int count;
    const Node *next; /* where they are handed on */
} Steady;

static bool is_part(const Symbol *state, const Node *node, const Path *path) {
    for (int i = path->count; i-- > 0; node = node->kids[0]) {
        if (node->kind != N_Field || node->index != path->fields[i]) return false;
    }
    return node->kind == N_Ident && node->symbol == state;
}

static void find_parts(Steady *s, const Node *next, Path path) {
    if (s->count == MOST_PARTS) return;
    if (path.count > 0 && is_part(s->state, next, &path)) {
        s->parts[s->count++] = path;
        return;
    }
    if (next->kind != N_Struct || path.count == DEEPEST) return;
    path.count++;
    for (int i = 0; i < next->count; i++) {
        path.fields[path.count - 1] = i;
        find_parts(s, next->kids[i], path);
    }
}

/* ---- uses ---- */

/* Visits every use of a part but where the next state hands it on; whoever replaces gives `replace`. */
typedef struct Uses {
    Steady *s;
    bool found[MOST_PARTS], replace;
} Uses;

static bool hands_on(const Steady *s, const Node *next, const Node *node) {
    for (int i = 0; next->kind == N_Struct && i < next->count; i++) {
        if (hands_on(s, next->kids[i], node)) return true;
    }
    return next == node;
}

static bool see_use(Walk *walk, Node **slot) {
    Uses *uses = walk->data;
    const Steady *s = uses->s;
    if ((*slot)->kind != N_Field) return true;
    for (int i = 0; i < s->count; i++) {
        if (!is_part(s->state, *slot, &s->parts[i])) continue;
        if (hands_on(s, s->next, *slot)) return false;
        uses->found[i] = true;
        if (uses->replace) *slot = node_clone(walk->program, s->values[i]);
        return false;
    }
    return true;
}

/* ---- what the parts were ---- */

static bool is_name(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->kind == N_Ident || node->kind == N_Literal;
}

/* The part of the first state, which gets a name around *slot if it has none. */
static Node *first_value(Program *program, Node ***slot, Node *iterate, const Path *path) {
    Node **at = &iterate->kids[0];
    int i = 0;
    while (i < path->count && (*at)->kind == N_Struct) at = &(*at)->kids[path->fields[i++]];
    Node *value = *at;
    if (!is_name(value)) {
        Symbol *name = symbol_new(program, "steady", value->type);
        **slot = node_let(program, value->span, name, value, iterate);
        *slot = &(**slot)->kids[1];
        *at = value = node_ident(program, value->span, name);
    }
    value = node_clone(program, value);
    for (; i < path->count; i++) {
        Type *type = value->type->args[path->fields[i]];
        value = node_make(program, N_Field, value->span, type, 1, value);
        value->index = path->fields[i];
    }
    return value;
}

static void settle(Walk *walk, Node **slot) {
    Program *program = walk->program;
    Node *iterate = *slot;
    if (iterate->kind != N_Iterate) return;
    Node *lambda = iterate->kids[1], *end = lambda->kids[0];
    while (end->kind == N_Let) end = end->kids[1];
    if (end->kind != N_Struct || iterate->kids[0]->kind == N_Let) return;
    Steady s = {.program = program, .state = lambda->params[0], .next = end->kids[0]};
    find_parts(&s, s.next, (Path){.count = 0});
    Uses uses = {.s = &s};
    Walk find = {program, see_use, NULL, &uses};
    if (s.count) node_walk(&find, &lambda->kids[0]);
    int kept = 0;
    for (int i = 0; i < s.count; i++) {
        if (!uses.found[i]) continue;
        s.parts[kept] = s.parts[i];
        s.values[kept++] = first_value(program, &slot, iterate, &s.parts[i]);
    }
    s.count = kept;
    uses.replace = true;
    if (kept) node_walk(&find, &lambda->kids[0]);
}

bool pass_steady_state(Program *program) {
    Walk walk = {program, NULL, settle, NULL};
    node_walk(&walk, &program->root->kids[0]);
    return true;
}
