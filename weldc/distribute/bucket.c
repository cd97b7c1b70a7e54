/* bucket.c: sums over all ranks that do not wait for each other become one exchange.
 *
 *     let g = exchange[reduce,+](G);                     let sums = exchange[reduce,+]({G, L});
 *     let p = ..g..;                               =>    let g = sums.$0;
 *     let l = exchange[reduce,+](L) / n;                 let l_1 = sums.$1;
 *                                                        let p = ..g..;
 *                                                        let l = l_1 / n;
 *
 * A step of a training reduces the gradient of each of its parameters, and the loss: each for itself takes as long as its
 * messages take to arrive. First every reduce that a chain of lets evaluates in any case gets a let of its own. Then, from the
 * first one on: what depends on it is put off, and the others with the same operator that do not are taken to it. The rest
 * keeps its order. Values are combined as before, in the order of the ranks, so no bit of the result changes.
 *
 * A group ends where a C function is called that may have effects: these keep their order.
 */
#include "../weldc.h"

bool pass_bucket(Program *program);

enum { MOST = 64 /* reduces in one exchange */ };

typedef struct Bucket {
    Program *program;
    char *seen, *late; /* by symbol id: bound in a chain that was done; waits for the group at hand */
    int exchanges;     /* of the program: no more names than two for each are added */
    Node **lets;       /* of the chain at hand */
    int count, room;
    bool gave_up;
} Bucket;

static bool is_reduce(const Node *node) {
    if (node->kind != N_Exchange || node->bits != EXCHANGE_reduce) return false;
    const Type *type = node->type->kind == TY_vec ? node->type->args[0] : node->type;
    return !type->pointers;
}

/* ---- a let for each reduce ---- */

static void append(Bucket *b, Node *let) {
    Node **lets = arena_room(&b->program->arena, b->lets, b->count, &b->room, sizeof *lets);
    b->gave_up |= !lets;
    if (!lets) return;
    b->lets = lets;
    lets[b->count++] = let;
}

int certain_kids(const Node *node) {
    switch (node->kind) {
    case N_If:
    case N_And:
    case N_Or: return 1;
    case N_For:
    case N_Sort:
    case N_Iterate: return node->count - 1;
    case N_Let:
    case N_Lambda: return 0; /* names that are bound below */
    default: return node->count;
    }
}

/* Names the reduces below, the inner ones first. */
static void name_reduces(Bucket *b, Node **slot, bool whole_value) {
    Node *node = *slot;
    for (int i = 0; i < certain_kids(node); i++) name_reduces(b, &node->kids[i], false);
    if (whole_value || !is_reduce(node)) return;
    Symbol *symbol = symbol_new(b->program, "sum", node->type);
    append(b, node_let(b->program, node->span, symbol, node, node));
    *slot = node_ident(b->program, node->span, symbol);
}

/* The chain that begins at *slot as a list, and its end. */
static Node *take_chain(Bucket *b, Node *let) {
    b->count = 0;
    for (; let->kind == N_Let; let = let->kids[1]) {
        b->seen[let->symbol->id] = 1;
        name_reduces(b, &let->kids[0], true);
        append(b, let);
    }
    Node *end = let;
    name_reduces(b, &end, false);
    return end;
}

/* ---- groups ---- */

typedef struct Look {
    const Bucket *bucket;
    bool late, effects;
} Look;

static bool look(Walk *walk, Node **slot) {
    Look *found = walk->data;
    const Node *node = *slot;
    if (node->kind == N_Ident) found->late |= found->bucket->late[node->symbol->id];
    found->effects |= node_is_foreign(node) && !node_has_note(node, "pure");
    return true;
}

static Look look_at(const Bucket *b, Node *value) {
    Look found = {b, false, false};
    Walk walk = {.program = b->program, .enter = look, .data = &found};
    node_walk(&walk, &value);
    return found;
}

/* The lets of a group, and those around them; each list in the old order. */
typedef struct Group {
    Node **early, **members, **late;
    int earlies, count, lates; /* up to the last member */
    int last;                  /* member, in the chain */
} Group;

static void find_group(Bucket *b, int head, Group *group) {
    Op op = b->lets[head]->kids[0]->op;
    int earlies = 0, lates = 0;
    for (int i = head; i < b->count && group->count < MOST; i++) {
        Node *let = b->lets[i], *value = let->kids[0];
        Look found = look_at(b, value);
        if (found.effects) break;
        bool joins = !found.late && is_reduce(value) && value->op == op;
        b->late[let->symbol->id] = joins || found.late;
        if (joins) {
            group->members[group->count++] = let;
            group->last = i;
            group->earlies = earlies;
            group->lates = lates;
        } else if (found.late) {
            group->late[lates++] = let;
        } else {
            group->early[earlies++] = let;
        }
    }
    for (int i = head; i < b->count; i++) b->late[b->lets[i]->symbol->id] = 0;
}

/* let sums = exchange[reduce,+]({..}), of which the members become fields. */
static Node *join(Bucket *b, const Group *group) {
    Program *program = b->program;
    Span span = group->members[0]->span;
    Type *types[MOST];
    Node *parts = node_new(program, N_Struct, span, NULL, group->count);
    for (int i = 0; i < group->count; i++) {
        parts->kids[i] = group->members[i]->kids[0]->kids[0];
        types[i] = parts->kids[i]->type;
    }
    parts->type = type_make(&program->types, TY_struct, OP_none, group->count, types);
    Node *reduce = node_make(program, N_Exchange, span, parts->type, 1, parts);
    reduce->bits = EXCHANGE_reduce;
    reduce->op = group->members[0]->kids[0]->op;
    Symbol *sums = symbol_new(program, "sums", parts->type);
    for (int i = 0; i < group->count; i++) {
        Node *field = node_make(program, N_Field, span, types[i], 1, node_ident(program, span, sums));
        field->index = i;
        group->members[i]->kids[0] = field;
    }
    return node_let(program, span, sums, reduce, reduce);
}

/* Joins what can be joined to the reduce of this let: the chain gets another order. False: nothing was. */
static bool join_at(Bucket *b, int head) {
    size_t room = (size_t)(b->count - head) + 1;
    Node **lists = arena_alloc(&b->program->arena, 4 * sizeof *lists * room), **rest = lists + 3 * room;
    if (!lists) {
        b->gave_up = true;
        return false;
    }
    Group group = {.early = lists, .members = lists + room, .late = lists + 2 * room, .last = head};
    find_group(b, head, &group);
    if (group.count < 2) return false;
    int after = b->count - group.last - 1;
    for (int i = 0; i < after; i++) rest[i] = b->lets[group.last + 1 + i];
    b->count = head;
    for (int i = 0; i < group.earlies; i++) append(b, group.early[i]);
    append(b, join(b, &group));
    for (int i = 0; i < group.count; i++) append(b, group.members[i]);
    for (int i = 0; i < group.lates; i++) append(b, group.late[i]);
    for (int i = 0; i < after; i++) append(b, rest[i]);
    return true;
}

static bool enter(Walk *walk, Node **slot) {
    Bucket *b = walk->data;
    Node *node = *slot;
    if (node->kind == N_Lambda) { /* its value may be no let, and have sums all the same */
        slot = &node->kids[0];
        node = *slot;
    } else if (node->kind != N_Let || b->seen[node->symbol->id]) {
        return true;
    }
    Node *end = take_chain(b, node);
    for (int i = 0; i < b->count && !b->gave_up;) {
        bool joined = is_reduce(b->lets[i]->kids[0]) && join_at(b, i);
        i += !joined; /* else there is another let at this place */
    }
    for (int i = b->count - 1; i >= 0; i--) {
        b->lets[i]->kids[1] = end;
        b->lets[i]->type = end->type;
        end = b->lets[i];
        b->seen[end->symbol->id] = 1;
    }
    *slot = end;
    return true;
}

static bool count_exchanges(Walk *walk, Node **slot) {
    Bucket *b = walk->data;
    b->exchanges += (*slot)->kind == N_Exchange;
    return true;
}

bool pass_bucket(Program *program) {
    Bucket b = {.program = program};
    Walk count = {.program = program, .enter = count_exchanges, .data = &b},
         walk = {.program = program, .enter = enter, .data = &b};
    node_walk(&count, &program->root);
    if (b.exchanges < 2) return true;
    size_t names = (size_t)program->symbols + 2 * (size_t)b.exchanges + 1;
    b.seen = arena_alloc(&program->arena, 2 * names);
    b.late = b.seen + names;
    if (b.seen) node_walk(&walk, &program->root);
    if (b.seen && !b.gave_up) return true;
    return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
}
