/* overlap.c: exchanges beside the program.
 *
 *     let g = exchange[portion,+](G);              let t = exchange[launch_portion,+](G);
 *     let p = ..g..;                        =>     let H = product(..);
 *     let H = product(..);                         let g = exchange[wait](G, t);
 *     let h = exchange[portion,+](H);              let p = ..g..;
 *                                                  let h = exchange[portion,+](H);
 *
 * In a step of a training the gradient of one layer is exchanged while that of the next is computed. First every reduce, portion
 * and gather that a chain of lets evaluates in any case gets a let of its own, and so does its operand; lets within values come into the
 * chain. Then the chain is put into another order, in rounds. In a round what needs no result of an exchange launched in it keeps its
 * place, and what does is put off to the next round, which begins with the waits. Other exchanges, which wait for all that was launched
 * before them, come first in a round, with what they need; loops and products that none of them needs come after. An
 * exchange is launched if a loop, a sort, an iterate or a call of a C function is left to be computed meanwhile; else it stays as it was, and
 * a chain without any stays as it was as a whole. At last each wait is put before the first let that needs its result, and of launches
 * that follow each other what is needed first is launched first.
 *
 * All ranks have the same chain, so they launch in one order. Values do not change. A call of a C function that may have effects, and what a
 * parameter server does, keep their places: nothing moves across them.
 */
#include "../weldc.h"

bool pass_overlap(Program *program);

enum { ROUNDS = 200, TRIES = 2 };

/* What a slot held before. */
typedef struct Undo {
    Node **slot, *node;
} Undo;

/* Lists in the arena. */
typedef struct Lets {
    Node **items;
    int count, room;
} Lets;

typedef struct Overlap {
    Program *program;
    /* by symbol id: bound in a chain that was done; waits for an exchange of the round; is needed by an exchange; rounds that launched
     * it with nothing beside it */
    char *seen, *late, *needed, *tried;
    Lets lets; /* of the chain at hand */
    Undo *undo;
    int undone, undo_room;
    bool gave_up;
} Overlap;

/* ---- lists ---- */

static void append(Overlap *o, Lets *lets, Node *let) {
    Node **items = arena_room(&o->program->arena, lets->items, lets->count, &lets->room, sizeof *items);
    o->gave_up |= !items;
    if (!items) return;
    lets->items = items;
    items[lets->count++] = let;
}

static void replace(Overlap *o, Node **slot, Node *node) {
    Undo *undo = arena_room(&o->program->arena, o->undo, o->undone, &o->undo_room, sizeof *undo);
    o->gave_up |= !undo;
    if (!undo) return;
    o->undo = undo;
    undo[o->undone++] = (Undo){slot, *slot};
    *slot = node;
}

static void undo_all(Overlap *o) {
    while (o->undone) {
        const Undo *undo = &o->undo[--o->undone];
        *undo->slot = undo->node;
    }
}

/* ---- a let for each exchange ---- */

static ExchangeKind launch_of(const Node *node) {
    if (node->kind != N_Exchange) return EXCHANGE_COUNT;
    for (ExchangeKind kind = 0; kind < EXCHANGE_COUNT; kind++) {
        if (exchange_launched(kind) == (ExchangeKind)node->bits) return kind;
    }
    return EXCHANGE_COUNT;
}

/* A scalar is there as soon as another thread could begin. */
static bool is_launchable(const Node *node) {
    return launch_of(node) != EXCHANGE_COUNT && node->type->pointers;
}

/* Is such an exchange evaluated whenever the node is? */
static bool has_launchable(const Node *node) {
    bool found = is_launchable(node);
    if (node->kind == N_Let) return has_launchable(node->kids[0]) || has_launchable(node->kids[1]);
    for (int i = 0; !found && i < certain_kids(node); i++) found = has_launchable(node->kids[i]);
    return found;
}

static void name_exchanges(Overlap *o, Node **slot, bool whole_value) {
    Program *program = o->program;
    while ((*slot)->kind == N_Let) {
        Node *let = *slot;
        name_exchanges(o, &let->kids[0], true);
        o->seen[let->symbol->id] = 1;
        append(o, &o->lets, let);
        replace(o, slot, let->kids[1]);
        if (o->gave_up) return;
    }
    Node *node = *slot;
    for (int i = 0; i < certain_kids(node); i++) name_exchanges(o, &node->kids[i], false);
    if (!is_launchable(node)) return;
    if (node->kids[0]->kind != N_Ident) {
        Node *operand = node->kids[0];
        Symbol *part = symbol_new(program, "part", operand->type);
        append(o, &o->lets, node_let(program, operand->span, part, operand, operand));
        replace(o, &node->kids[0], node_ident(program, operand->span, part));
    }
    if (whole_value) return;
    Symbol *all = symbol_new(program, "all", node->type);
    append(o, &o->lets, node_let(program, node->span, all, node, node));
    replace(o, slot, node_ident(program, node->span, all));
}

/* ---- what is in a value ---- */

typedef struct Look {
    const Overlap *overlap;
    bool late, fixed, sends, works;
} Look;

static bool look(Walk *walk, Node **slot) {
    Look *found = walk->data;
    const Node *node = *slot;
    switch (node->kind) {
    case N_Ident: found->late |= found->overlap->late[node->symbol->id]; break;
    case N_Exchange:
        found->sends |= node->bits != EXCHANGE_wait && *exchange_classes[node->bits].sends;
        found->fixed |= node->bits >= EXCHANGE_host && node->bits <= EXCHANGE_take;
        break;
    case N_For:
    case N_Sort:
    case N_Iterate: found->works = true; break;
    default: break;
    }
    if (node_is_foreign(node)) {
        found->works = true;
        found->fixed |= !node_has_note(node, "pure");
    }
    return true;
}

static bool names_builder(const Node *builder) {
    bool found = builder->kind == N_Ident;
    for (int i = 0; !found && builder->kind == N_Struct && i < builder->count; i++)
        found = names_builder(builder->kids[i]);
    return found;
}

/* Does it merge into a builder that another let names? */
static bool merges_outside(const Node *node) {
    bool found = node->kind == N_Merge || (node->kind == N_For && names_builder(node->kids[node->count - 2]));
    for (int i = 0; !found && i < certain_kids(node); i++) found = merges_outside(node->kids[i]);
    return found;
}

static Look look_at(const Overlap *o, Node *value) {
    Look found = {.overlap = o, .fixed = merges_outside(value)};
    Walk walk = {.program = o->program, .enter = look, .data = &found};
    node_walk(&walk, &value);
    return found;
}

static bool mark_needed(Walk *walk, Node **slot) {
    Overlap *o = walk->data;
    if ((*slot)->kind == N_Ident) o->needed[(*slot)->symbol->id] = 1;
    return true;
}

/* Names what of a struct is computed by loops and the like: each is evaluated in any case, and may have its own place. */
static void name_parts(Overlap *o, Node **slot) {
    if ((*slot)->kind != N_Struct) name_exchanges(o, slot, false);
    Node *node = *slot;
    for (int i = 0; node->kind == N_Struct && i < node->count; i++) name_parts(o, &node->kids[i]);
    if (node->kind == N_Struct || node->kind == N_Ident || node->type->builders || !look_at(o, node).works)
        return;
    Symbol *part = symbol_new(o->program, "part", node->type);
    append(o, &o->lets, node_let(o->program, node->span, part, node, node));
    replace(o, slot, node_ident(o->program, node->span, part));
}

/* ---- rounds ---- */

/* An exchange that the round launches. */
typedef struct Pair {
    Node *let, *launch;
    bool works; /* there is something to do meanwhile */
} Pair;

typedef enum Place { FIRST, NEXT, LAUNCH, LATE } Place;

typedef struct Round {
    Lets given, made, late;
    Place *places;
    Look *looks;
    Pair *pairs;
    int count; /* of pairs */
    int open;  /* pairs before it are done, as an exchange came that waits for them */
} Round;

/* Which lets are put off, or launched; how many of the given ones this round is about. */
static int find_places(Overlap *o, Round *round) {
    bool some = false;
    int count = round->given.count;
    for (int i = 0; i < count; i++) {
        Node *let = round->given.items[i], *value = let->kids[0];
        Look found = round->looks[i] = look_at(o, value);
        if (found.fixed && i > 0) return i;
        bool launches = !found.late && is_launchable(value) && o->tried[let->symbol->id] < TRIES;
        round->places[i] = found.late ? LATE : launches ? LAUNCH : NEXT;
        o->late[let->symbol->id] = found.late || launches;
        if (found.fixed) return 1;
        some |= launches;
    }
    for (int i = count - 1; some && i >= 0; i--) {
        Node *let = round->given.items[i];
        bool waits = round->looks[i].sends && !o->tried[let->symbol->id];
        if (round->places[i] != NEXT || (!o->needed[let->symbol->id] && !waits)) continue;
        round->places[i] = FIRST;
        Walk walk = {.program = o->program, .enter = mark_needed, .data = o};
        node_walk(&walk, &let->kids[0]);
    }
    return count;
}

static void launch(Overlap *o, Round *round, Node *let) {
    Program *program = o->program;
    Node *exchange = let->kids[0];
    Type *number = type_scalar(&program->types, TY_i64);
    Node *node = node_make(program, N_Exchange, exchange->span, number, 1, exchange->kids[0]);
    node->bits = launch_of(exchange);
    node->op = exchange->op;
    Symbol *symbol = symbol_new(program, "launched", number);
    Node *launched = node_let(program, exchange->span, symbol, node, node);
    append(o, &round->made, launched);
    append(o, &round->late, let);
    round->pairs[round->count++] = (Pair){let, launched, false};
}

static void keep(Overlap *o, Round *round, int i) {
    if (round->looks[i].sends)
        round->open = round->count;
    else if (round->looks[i].works)
        for (int k = round->open; k < round->count; k++) round->pairs[k].works = true;
    append(o, &round->made, round->given.items[i]);
}

static bool is_in(const Lets *lets, const Node *let) {
    for (int i = 0; i < lets->count; i++) {
        if (lets->items[i] == let) return true;
    }
    return false;
}

/* Those that have something beside them become waits. The others are exchanges as before, and first in the next round, as what they
 * need is there: what waits now may be beside them. Returns how many waits there are. */
static int settle(Overlap *o, Round *round) {
    int waits = 0, kept = 0;
    Lets again = {NULL, 0, 0};
    for (int i = 0; i < round->count; i++) {
        Pair *pair = &round->pairs[i];
        Node *exchange = pair->let->kids[0], *number = pair->launch->kids[0];
        if (!pair->works) {
            o->tried[pair->let->symbol->id]++;
            append(o, &again, pair->let);
            pair->launch->symbol = NULL;
            continue;
        }
        Node *operand = node_ident(o->program, exchange->span, exchange->kids[0]->symbol);
        Node *wait = node_make(o->program, N_Exchange, exchange->span, exchange->type, 2, operand,
                               node_ident(o->program, number->span, pair->launch->symbol));
        wait->bits = EXCHANGE_wait;
        pair->let->kids[0] = wait;
        waits++;
    }
    for (int i = 0; i < round->made.count; i++) {
        if (round->made.items[i]->symbol) round->made.items[kept++] = round->made.items[i];
    }
    round->made.count = kept;
    for (int i = 0; i < round->late.count; i++) {
        Node *let = round->late.items[i];
        if (!is_launchable(let->kids[0]) || !is_in(&again, let)) append(o, &again, let);
    }
    round->late = again;
    return waits;
}

/* One round: what it makes of the lets given, and what it puts off. Returns how many exchanges it launches. */
static int run_round(Overlap *o, Round *round) {
    int count = find_places(o, round);
    for (Place place = FIRST; place <= NEXT; place++) {
        for (int i = 0; i < count; i++) {
            Node *let = round->given.items[i];
            if (round->places[i] == place) keep(o, round, i);
            if (place == FIRST) continue;
            if (round->places[i] == LAUNCH) launch(o, round, let);
            if (round->places[i] == LATE) append(o, &round->late, let);
        }
    }
    for (int i = 0; i < round->given.count; i++) {
        Node *let = round->given.items[i];
        o->late[let->symbol->id] = 0;
        if (i >= count) append(o, &round->late, let);
    }
    return settle(o, round);
}

static bool is_wait(const Node *node) {
    return node->kind == N_Exchange && node->bits == EXCHANGE_wait;
}

/* Emits the held waits that the value needs; the others stay held. */
static void emit_waits(Overlap *o, Lets *held, Node *value, Lets *out) {
    int kept = 0;
    for (int i = 0; i < held->count; i++) o->needed[held->items[i]->symbol->id] = 0;
    Walk walk = {.program = o->program, .enter = mark_needed, .data = o};
    node_walk(&walk, &value);
    for (int i = 0; i < held->count; i++) {
        Node *wait = held->items[i];
        if (!o->needed[wait->symbol->id]) {
            held->items[kept++] = wait;
            continue;
        }
        o->late[wait->symbol->id] = 0;
        append(o, out, wait);
    }
    held->count = kept;
}

/* Each wait stands before the first let that needs what it gives. waits: all of them, in their new order. */
static Lets place_waits(Overlap *o, const Lets *lets, Lets *waits) {
    Lets out = {NULL, 0, 0}, held = out;
    for (int i = 0; i < lets->count; i++) {
        Node *let = lets->items[i];
        if (is_wait(let->kids[0])) {
            append(o, &held, let);
            o->late[let->symbol->id] = 1;
            continue;
        }
        if (look_at(o, let->kids[0]).late) emit_waits(o, &held, let->kids[0], &out);
        append(o, &out, let);
    }
    for (int i = 0; i < held.count; i++) {
        o->late[held.items[i]->symbol->id] = 0;
        append(o, &out, held.items[i]);
    }
    for (int i = 0; i < out.count; i++) {
        if (is_wait(out.items[i]->kids[0])) append(o, waits, out.items[i]);
    }
    return out;
}

/* Where in the list the wait for a launch is; behind its end, if the let is no launch. */
static int wait_of(const Lets *waits, const Node *let) {
    int i = 0;
    while (i < waits->count && waits->items[i]->kids[0]->kids[1]->symbol != let->symbol) i++;
    return i;
}

/* Of launches that follow each other, what is needed first is launched first. */
static void order_launches(const Lets *lets, const Lets *waits) {
    for (int i = 1; i < lets->count; i++) {
        Node *let = lets->items[i];
        int own = wait_of(waits, let), to = i;
        if (own == waits->count) continue;
        for (; to > 0; to--) {
            int before = wait_of(waits, lets->items[to - 1]);
            if (before == waits->count || before < own) break;
            lets->items[to] = lets->items[to - 1];
        }
        lets->items[to] = let;
    }
}

/* The chain in its new order. False: it is as it was. */
static bool reorder(Overlap *o) {
    size_t room = (size_t)o->lets.count + 1;
    Round round = {.given = o->lets};
    round.places = arena_alloc(&o->program->arena, sizeof *round.places * room);
    round.looks = arena_alloc(&o->program->arena, sizeof *round.looks * room);
    round.pairs = arena_alloc(&o->program->arena, sizeof *round.pairs * room);
    if (!round.places || !round.looks || !round.pairs) o->gave_up = true;
    int launched = 0;
    for (int i = 0; i < ROUNDS && round.given.count && !o->gave_up; i++) {
        launched += run_round(o, &round);
        round.given = round.late;
        round.late = (Lets){NULL, 0, 0};
        round.count = round.open = 0;
    }
    for (int i = 0; i < round.given.count; i++) append(o, &round.made, round.given.items[i]);
    if (!launched || o->gave_up) return false;
    Lets waits = {NULL, 0, 0};
    o->lets = place_waits(o, &round.made, &waits);
    order_launches(&o->lets, &waits);
    return true;
}

/* ---- chains ---- */

static bool enter(Walk *walk, Node **slot) {
    Overlap *o = walk->data;
    Node *node = *slot;
    if (node->kind == N_Lambda) {
        slot = &node->kids[0];
        node = *slot;
    } else if (node->kind != N_Let || o->seen[node->symbol->id]) {
        return true;
    }
    if (o->gave_up) return true;
    o->lets = (Lets){NULL, 0, 0};
    o->undone = 0;
    bool some = false;
    Node *end = node;
    for (; end->kind == N_Let; end = end->kids[1]) {
        o->seen[end->symbol->id] = 1;
        some |= has_launchable(end->kids[0]);
    }
    if (!some && !has_launchable(end)) return true;
    for (end = node; end->kind == N_Let; end = end->kids[1]) {
        if (!look_at(o, end->kids[0]).fixed && has_launchable(end->kids[0]))
            name_exchanges(o, &end->kids[0], true);
        append(o, &o->lets, end);
    }
    if (!look_at(o, end).fixed) name_parts(o, &end);
    if (!reorder(o) || o->gave_up) {
        undo_all(o);
        return true;
    }
    for (int i = o->lets.count - 1; i >= 0; i--) {
        o->lets.items[i]->kids[1] = end;
        o->lets.items[i]->type = end->type;
        end = o->lets.items[i];
        o->seen[end->symbol->id] = 1;
    }
    *slot = end;
    return true;
}

static bool count_names(Walk *walk, Node **slot) {
    const Node *node = *slot;
    bool works =
        node->kind == N_For || node->kind == N_Sort || node->kind == N_Iterate || node_is_foreign(node);
    *(int *)walk->data += works + 3 * is_launchable(node); /* an operand, a result, and a number */
    return true;
}

static bool find_launchable(Walk *walk, Node **slot) {
    *(bool *)walk->data |= is_launchable(*slot);
    return true;
}

bool pass_overlap(Program *program) {
    int more = 0;
    bool some = false;
    Overlap o = {.program = program};
    if (!program->distribution.overlap) return true;
    Walk find = {.program = program, .enter = find_launchable, .data = &some},
         count = {.program = program, .enter = count_names, .data = &more},
         walk = {.program = program, .enter = enter, .data = &o};
    node_walk(&find, &program->root);
    if (!some) return true;
    node_walk(&count, &program->root);
    /* Twice, as what was undone leaves its names. */
    size_t names = (size_t)program->symbols + 2 * (size_t)more + 1;
    o.seen = arena_alloc(&program->arena, 4 * names);
    if (o.seen) {
        o.late = o.seen + names;
        o.needed = o.late + names;
        o.tried = o.needed + names;
        node_walk(&walk, &program->root);
    }
    if (o.seen && !o.gave_up) return true;
    return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
}
