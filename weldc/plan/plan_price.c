/* plan_price.c: how many bytes a plan takes for given arguments, before it runs: the promise.
 *
 *     |v: vec[f64], n: i64| let a = map(v, ..); let s = sum(a); let c = result(for(rangeiter(0L, 2L * n, 1L), ..)); ..
 *         v of 1000, n = 50:   a 8000 + 64, until s is done; c 800 + 64; planned 8864 and what is small
 *
 * The program is run once without data: of a scalar its value, of a vector its length, each exact, at most, or unknown; a
 * loop is not repeated: what its iterations append is the product, and the sum where it walks a vector that is written out;
 * of an if both arms are taken where the condition is unknown; iterates are plan_iterate.c's. The least or greatest
 * number of an argument, of which vectors of rows by number are as long, is looked up. Each fragment adds its blocks before it and releases behind it what the plan says (cg_release.c does the same when it runs), so the most that is there at once is known. What a block takes is what
 * lang/value/region.c takes: its bytes and a header. Appenders of which only a bound is known grow by doubling. To the most comes
 * what the spares of a run may be (lang/value/budget.c).
 *
 * A promise is made or it is not: where a length or an algorithm has no bound (dictionaries, groups, vectors whose elements
 * are made in loops, a state that grows by each step), `open` is the fragment and `why` says so. What is kept for a gradient
 * (lang/grad/grad_again.c) takes at most memory_room() each time that is asked for.
 *
 * Abstract interpretation: Cousot and Cousot, POPL 1977; the lattice is {exact n} < {at most n} < unknown.
 */
#include "plan_price.h"

#include <string.h>

enum { SMALL = 108 << 10, DEEPEST = 64, MOST_EACH = 64, MOST_LOOKED_AT = 1 << 20 };

/* ---- arguments ---- */

static Abstract argument(Pricer *p, const Type *type, const void *data, int depth) {
    Abstract value = {.type = type};
    if (!data || depth > DEEPEST) return value;
    if (type->kind == TY_struct) {
        value.parts = abstract_parts(p, type->count);
        for (int i = 0; i < type->count && value.parts; i++)
            value.parts[i] = argument(p, type->args[i], (const char *)data + type->offsets[i], depth + 1);
    } else if (type->kind == TY_vec) {
        Vec vec;
        memcpy(&vec, data, sizeof vec);
        value.known = EXACT;
        value.n = vec.length;
        value.data = vec.data;
        const Type *element = type->args[0];
        if (!element->pointers || !vec.length) return value;
        value.parts = abstract_parts(p, 1);
        for (int64_t i = 0; i < vec.length && value.parts; i++) {
            Abstract one = argument(p, element, (const char *)vec.data + i * element->size, depth + 1);
            value.parts[0] = i ? abstract_join(p, value.parts[0], one, false) : one;
        }
    } else if (type_is_scalar(type) && type->size <= 8) {
        value.known = EXACT;
        memcpy(&value.n, data, (size_t)type->size);
    }
    return value;
}

static Abstract exact(const Type *type, int64_t bits) {
    return (Abstract){.type = type, .known = EXACT, .n = bits};
}

/* ---- vectors ---- */

static Abstract eval_lookup(Pricer *p, const Node *node) {
    Abstract vec = price_node(p, node->kids[0]), index = price_node(p, node->kids[1]);
    const Type *element = node->type;
    if (vec.type->kind != TY_vec) return abstract_unknown(node->type);
    bool at_hand = vec.data && index.known == EXACT && vec.known == EXACT && index.n >= 0 && index.n < vec.n;
    if (at_hand) return argument(p, element, (const char *)vec.data + index.n * element->size, 0);
    bool written = vec.each && index.known == EXACT && index.n >= 0 && index.n < vec.n;
    if (written) return vec.each[index.n];
    return vec.parts ? vec.parts[0] : abstract_unknown(element);
}

static Abstract eval_slice(Pricer *p, const Node *node) {
    Abstract vec = price_node(p, node->kids[0]), start = price_node(p, node->kids[1]),
             size = price_node(p, node->kids[2]);
    Abstract part = {.type = node->type, .parts = vec.parts};
    int64_t end;
    bool inside = vec.known == EXACT && size.known == EXACT && start.known == MOST && start.lo >= 0 &&
                  !__builtin_add_overflow(start.n, size.n, &end) && end <= vec.n;
    if (inside && size.n >= 0) {
        part.known = EXACT;
        part.n = size.n;
        return part;
    }
    bool all = vec.known == EXACT && start.known == EXACT && size.known == EXACT;
    int64_t left = vec.n - (start.known == EXACT ? start.n : 0);
    if (all && start.n >= 0 && size.n >= 0) {
        part.known = EXACT;
        part.n = left < 0 ? 0 : left < size.n ? left : size.n;
        if (vec.data && start.n <= vec.n)
            part.data = (const char *)vec.data + start.n * node->type->args[0]->size;
    } else if (vec.known || size.known) {
        part.known = MOST;
        part.n = !size.known || (vec.known && vec.n < size.n) ? vec.n : size.n;
        if (part.n < 0) part.n = 0;
    }
    return part;
}

static Abstract eval_vec(Pricer *p, const Node *node) {
    Abstract vec = {.type = node->type, .known = EXACT, .n = node->count};
    bool nested = node->type->args[0]->pointers && node->count;
    if (nested) vec.parts = abstract_parts(p, 1);
    bool few = node->count <= MOST_EACH && (nested || is_number(node->type->args[0]));
    if (few) vec.each = abstract_parts(p, node->count);
    for (int i = 0; i < node->count; i++) {
        Abstract one = price_node(p, node->kids[i]);
        if (vec.each) vec.each[i] = one;
        abstract_forget(p, &one);
        if (nested && vec.parts) vec.parts[0] = i ? abstract_join(p, vec.parts[0], one, false) : one;
    }
    if (node->count) price_take(p, price_block(count_times(node->count, node->type->args[0]->size)));
    return vec;
}

/* ---- the other nodes ---- */

static Abstract eval_choice(Pricer *p, Node *node) {
    Abstract condition = price_node(p, node->kids[0]);
    int arms = node->count - 1;
    int64_t now = p->now, live = p->live, most = 0, most_live = 0;
    Abstract value = abstract_unknown(node->type);
    for (int i = 0; i < arms; i++) {
        p->now = now, p->live = live;
        Abstract arm = price_node(p, node->kids[i + 1]);
        value = i ? abstract_join(p, value, arm, false) : arm;
        if (p->now > most) most = p->now;
        if (p->live > most_live) most_live = p->live;
    }
    p->now = most, p->live = most_live;
    if (node->kind != N_If) return abstract_unknown(node->type);
    if (condition.known == EXACT && is_number(node->type))
        return price_node(p, node->kids[condition.n & 1 ? 1 : 2]);
    return value;
}

static int64_t elements_of(const Abstract *value) {
    int64_t count = abstract_has_length(value->type) && value->known ? value->n : 0;
    for (int i = 0; value->type->kind == TY_struct && i < value->type->count; i++) {
        Abstract part = abstract_part(value, i);
        count = count_plus(count, elements_of(&part));
    }
    return count;
}

static Abstract eval_fill(Pricer *p, const Node *node) {
    Abstract size = price_node(p, node->kids[0]), value = abstract_unknown(node->type);
    int64_t elements = size.known ? size.n : 0;
    for (int i = 1; i < node->count; i++) {
        Abstract argument = price_node(p, node->kids[i]);
        elements = count_plus(elements, elements_of(&argument));
    }
    price_note_times(p, node, elements);
    if (node->type->kind == TY_vec && is_number(node->kids[0]->type) && !node->type->args[0]->pointers) {
        value.known = size.known;
        value.n = size.n;
    }
    bool owned = !p->inner && node->index > 0 && value.type->kind == TY_vec; /* the fragment takes it */
    if (!owned || !value.known) price_take(p, price_reach(p, &value, node));
    return value;
}

static Abstract eval_other(Pricer *p, Node *node) {
    for (int i = 0; i < node->count; i++) {
        if (node->kids[i]->kind != N_Lambda) price_node(p, node->kids[i]);
    }
    bool open = node->kind == N_ToVec || node->kind == N_Serialize || node->kind == N_Deserialize ||
                node->kind == N_Cudf;
    open |= node->kind == N_Exchange && exchange_copies((ExchangeKind)node->bits);
    if (open) price_give_up(p, node, "how much this makes is not known");
    return abstract_unknown(node->type);
}

/* The least or greatest of an argument's numbers, which a loop finds: it says how long tables by number are. */
static bool find_extreme(const Node *loop, const Abstract *data, int64_t *extreme) {
    const Node *lambda = loop->kids[loop->count - 1], *merge = lambda->kids[0], *builder = loop->kids[1];
    const Op op = loop->type->op;
    if (!data->data || data->known != EXACT || data->n > MOST_LOOKED_AT) return false;
    if (builder->kind != N_NewBuilder || builder->count || (op != OP_max && op != OP_min)) return false;
    bool plain = merge->kind == N_Merge && merge->kids[0]->kind == N_Ident &&
                 merge->kids[1]->kind == N_Ident && merge->kids[0]->symbol == lambda->params[0] &&
                 merge->kids[1]->symbol == lambda->params[2];
    if (!plain) return false;
    const int64_t *numbers = data->data;
    *extreme = op == OP_max ? INT64_MIN : INT64_MAX;
    for (int64_t i = 0; i < data->n; i++) {
        bool further = op == OP_max ? numbers[i] > *extreme : numbers[i] < *extreme;
        if (further) *extreme = numbers[i];
    }
    return true;
}

static Abstract reduced(Pricer *p, const Node *node) {
    const Node *loop = node->kids[0];
    int64_t extreme;
    bool walks = loop->kind == N_For && loop->count == 3 && loop->kids[0]->iter == IT_scalar &&
                 loop->kids[0]->count == 1 && node->type->kind == TY_i64;
    Abstract data = walks ? price_node(p, loop->kids[0]->kids[0]) : (Abstract){0};
    if (walks && find_extreme(loop, &data, &extreme)) return exact(node->type, extreme);
    return abstract_unknown(node->type);
}

static Abstract eval_result(Pricer *p, Node *node) {
    Abstract builder = price_node(p, node->kids[0]);
    Abstract value = builder;
    value.type = node->type;
    value.lent = false;
    if (node->type->kind == TY_vec && node->kids[0]->type->kind != TY_groupmerger) return value;
    if (node->type->kind == TY_dict || node->type->kind == TY_vec)
        price_give_up(p, node, "how many keys there are is not known");
    return builder.type->kind == TY_merger ? reduced(p, node) : abstract_unknown(node->type);
}

static Abstract eval_new(Pricer *p, const Node *node) {
    Abstract value = {.type = node->type, .known = EXACT};
    bool given = p->given;
    p->given = false;
    Abstract first = node->count ? price_node(p, node->kids[0]) : (Abstract){0};
    p->given = given;
    if (node->type->kind == TY_vecmerger) {
        value.known = first.known;
        value.n = first.n;
        value.base = first.base;
        value.off = first.off;
        value.moves = first.moves;
        bool owned = !p->inner && (given || node->index > 0); /* the fragment takes it */
        if (!owned && first.known)
            price_take(p, price_block(count_times(first.n, abstract_element(node->type)->size)));
        if (!first.known) price_give_up(p, node, "the length of a vector is not known");
    } else if (node->type->kind == TY_appender && node->count) {
        bool sensible = first.known && first.n >= 0 && first.n <= APPENDER_MOST_HINT;
        value.room = sensible && first.known == EXACT ? first.n : 0;
        if (!p->inner && sensible)
            price_need(p, price_block(count_times(first.n, abstract_element(node->type)->size)));
    }
    return value;
}

/* One that has no room grows to twice as much. */
static void grow(Pricer *p, Abstract *builder) {
    int64_t size = abstract_element(builder->type)->size, bytes = price_block(count_times(builder->n, size));
    if (builder->lent || !builder->known || builder->n <= builder->room) return;
    price_need(p, count_times(3, bytes));
    if (builder->n > 1) price_take(p, bytes);
    builder->room = count_times(2, builder->n);
}

static Abstract merged(Pricer *p, Abstract builder, Abstract value, int lanes) {
    const Type *type = builder.type;
    if (type->kind == TY_struct) {
        Abstract *parts = abstract_parts(p, type->count);
        for (int i = 0; i < type->count && parts; i++)
            parts[i] = merged(p, abstract_part(&builder, i), abstract_part(&value, i), lanes);
        builder.parts = parts;
    }
    if (type->kind != TY_appender) return builder;
    if (builder.known) builder.n = count_plus(builder.n, lanes);
    if (builder.base) builder.off = count_plus(builder.off, lanes);
    if (abstract_element(type)->pointers) {
        Abstract *parts = abstract_parts(p, 1);
        abstract_forget(p, &value);
        if (parts) parts[0] = builder.parts ? abstract_join(p, builder.parts[0], value, false) : value;
        builder.parts = parts;
    }
    grow(p, &builder);
    return builder;
}

static Abstract eval_merge(Pricer *p, const Node *node) {
    Abstract builder = price_node(p, node->kids[0]), value = price_node(p, node->kids[1]);
    return merged(p, builder, value, node->kids[1]->type->kind == TY_simd ? WELD_LANES : 1);
}

static Abstract eval_sort(Pricer *p, const Node *node) {
    enum { SCRATCH = 40 };
    Abstract vec = price_node(p, node->kids[0]);
    int64_t bytes = count_times(vec.n, node->type->args[0]->size);
    if (!vec.known) price_give_up(p, node, "the length of a vector is not known");
    if (price_allocates(p, node->kids[1]->kids[0]))
        price_give_up(p, node, "what an order makes is not known");
    int64_t scratch = count_plus(count_times(3, bytes), count_times(SCRATCH, vec.n));
    if (vec.known) price_need(p, count_plus(scratch, price_sort_team(p, vec.n)));
    if (vec.known && p->inner) price_take(p, bytes);
    vec.data = NULL;
    return vec;
}

static Abstract length_as_number(Abstract vec, const Type *type) {
    Abstract length = {.type = type, .known = vec.known, .n = vec.n};
    length.base = vec.base;
    length.off = vec.off;
    length.moves = vec.moves;
    return length;
}

static Abstract eval_node(Pricer *p, Node *node) {
    Abstract value, other;
    switch (node->kind) {
    case N_Literal:
        return is_number(node->type) ? exact(node->type, (int64_t)node->bits) : abstract_unknown(node->type);
    case N_String: /* a result holds a copy */
        price_take(p, count_times((int64_t)(node->bits + 15) / 16, 16));
        return (Abstract){.type = node->type, .known = EXACT, .n = (int64_t)node->bits};
    case N_Ident: return p->names[node->symbol->id];
    case N_Field: value = price_node(p, node->kids[0]); return abstract_part(&value, node->index);
    case N_Struct:
        value = (Abstract){.type = node->type, .parts = abstract_parts(p, node->count)};
        for (int i = 0; i < node->count && value.parts; i++) value.parts[i] = price_node(p, node->kids[i]);
        return value;
    case N_Vec: return eval_vec(p, node);
    case N_Unary:
    case N_Cast: value = price_node(p, node->kids[0]); return price_scalar(node, &value, NULL);
    case N_Binary:
    case N_Compare:
        value = price_node(p, node->kids[0]);
        other = price_node(p, node->kids[1]);
        return price_scalar(node, &value, &other);
    case N_And:
    case N_Or:
    case N_If: return eval_choice(p, node);
    case N_Assert: /* or the run ends here */
        for (int i = 0; i < node->count; i++) price_node(p, node->kids[i]);
        return exact(node->type, true);
    case N_Select: {
        Abstract condition = price_node(p, node->kids[0]);
        value = price_node(p, node->kids[1]);
        other = price_node(p, node->kids[2]);
        if (condition.known == EXACT) return condition.n & 1 ? value : other;
        return abstract_join(p, value, other, false);
    }
    case N_Len: return length_as_number(price_node(p, node->kids[0]), node->type);
    case N_Lookup: return eval_lookup(p, node);
    case N_Slice: return eval_slice(p, node);
    case N_Sort: return eval_sort(p, node);
    case N_Cfill: return eval_fill(p, node);
    case N_Iterate: return price_iterate(p, node);
    case N_For: return price_for(p, node);
    case N_NewBuilder: return eval_new(p, node);
    case N_Merge: return eval_merge(p, node);
    case N_Result: return eval_result(p, node);
    case N_After: price_node(p, node->kids[1]); return price_node(p, node->kids[0]);
    case N_Checkpoint: return price_node(p, node->kids[0]);
    case N_Exchange: return price_exchange(p, node);
    case N_Room:
        price_take(p, p->room);
        if (!p->dry) p->price.rooms++;
        return exact(node->type, p->room);
    default: return eval_other(p, node);
    }
}

/* ---- fragments: what the plan owns ---- */

static bool is_owned(const Buffer *buffer) {
    return buffer->owns != OWNS_NOTHING;
}

static const Abstract *leaf_at_number(const Abstract *value, int leaf, Abstract *room) {
    while (value->type->kind == TY_struct) {
        int i = 0;
        for (; leaf >= leaf_count(value->type->args[i]); i++) leaf -= leaf_count(value->type->args[i]);
        *room = abstract_part(value, i);
        Abstract copy = *room;
        room->parts = copy.parts;
        value = room;
    }
    return value;
}

static void account(Pricer *p, const Fragment *fragment, const Abstract *value) {
    for (int k = 0; k < fragment->noutputs; k++) {
        Buffer *made = fragment->outputs[k];
        Abstract room;
        made->bytes = 0;
        if (!is_owned(made)) continue;
        const Abstract *leaf = leaf_at_number(value, made->leaf, &room);
        if (!leaf->known) price_give_up(p, fragment->node, "the length of a vector is not known");
        made->bytes = leaf->known
                          ? price_block(count_times(abstract_room(leaf), abstract_element(leaf->type)->size))
                          : 0;
        Buffer *heir_of = made->place ? fragment->walks[made->place - 1] : made->begins ? made->start : NULL;
        if (heir_of) price_give(p, heir_of->bytes);
        price_take(p, made->bytes);
        if (!p->dry && made->bytes > made->most) made->most = made->bytes;
    }
    price_need(p, p->needs);
    p->needs = 0;
    for (const Dying *dies = p->dying[fragment->number]; dies; dies = dies->next) {
        if (!dies->buffer->heir) price_give(p, dies->buffer->bytes);
        dies->buffer->bytes = 0;
    }
}

/* That runs where no loop is around; NULL: it is none. */
static Fragment *fragment_of(const Pricer *p, const Node *node) {
    int number = node->kind == N_Field || node->kind == N_Ident ? -1 : node->index - 1;
    return number >= 0 && number < p->nfragments && !p->inner ? p->fragments[number] : NULL;
}

Abstract price_node(Pricer *p, Node *node) {
    for (; node->kind == N_Let; node = node->kids[1])
        p->names[node->symbol->id] = price_node(p, node->kids[0]);
    p->work++;
    Fragment *fragment = fragment_of(p, node);
    int outer = p->at;
    if (fragment) p->at = fragment->number;
    Abstract value = eval_node(p, node);
    abstract_name(p, &value);
    if (fragment) account(p, fragment, &value);
    p->at = outer;
    return value;
}

static int last_number(const Plan *plan) {
    int last = -1;
    for (int i = 0; i < plan->nfragments; i++) {
        const Fragment *fragment = plan->fragments[i];
        if (fragment->number > last) last = fragment->number;
        for (int k = 0; k < fragment->ninner; k++) {
            int inner = last_number(fragment->inner[k]);
            if (inner > last) last = inner;
        }
    }
    return last;
}

static void list_fragments(Pricer *p, const Plan *plan) {
    for (int i = 0; i < plan->nfragments; i++) {
        Fragment *fragment = p->fragments[plan->fragments[i]->number] = plan->fragments[i];
        for (int k = 0; k < fragment->noutputs; k++) {
            Buffer *made = fragment->outputs[k];
            if (!is_owned(made) || made->last < 0 || made->last == LIVES_ON) continue;
            Dying *dies = arena_alloc(&p->arena, sizeof *dies);
            if (!dies) return;
            int at = plan->fragments[plan_at(plan, made->last)]->number;
            *dies = (Dying){made, p->dying[at]};
            p->dying[at] = dies;
        }
        for (int k = 0; k < plan->fragments[i]->ninner; k++) list_fragments(p, plan->fragments[i]->inner[k]);
    }
}

static void price_root(void *data) {
    Pricer *p = data;
    Abstract result = price_node(p, p->program->root->kids[0]);
    (void)result;
}

static bool find_room(Walk *walk, Node **slot) {
    Pricer *p = walk->data;
    p->saving |= (*slot)->kind == N_Room;
    return !p->saving;
}

bool plan_price(Program *program, const Plan *plan, const PlanAsk *ask, PlanPrice *price) {
    Pricer p = {.program = program,
                .nfragments = last_number(plan) + 1,
                .room = ask->room,
                .team = ask->team,
                .ranks = ask->ranks,
                .at = -1,
                .price.peak = -1};
    const Type *type = program_argument_type(program);
    size_t symbols = (size_t)program->symbols + 1;
    if (!type || !arena_init(&p.arena)) return false;
    p.names = arena_alloc(&p.arena, sizeof *p.names * symbols);
    p.merges.roots = arena_alloc(&p.arena, sizeof *p.merges.roots * symbols);
    p.fragments = arena_alloc(&p.arena, sizeof *p.fragments * (size_t)(p.nfragments + 1));
    p.dying = arena_alloc(&p.arena, sizeof *p.dying * (size_t)(p.nfragments + 1));
    bool ok = p.names && p.merges.roots && p.fragments && p.dying;
    if (ok) {
        list_fragments(&p, plan);
        Walk walk = {program, find_room, NULL, &p};
        node_walk(&walk, &program->root);
        const Node *root = program->root;
        const int64_t *lengths = ask->lengths;
        for (int i = 0; i < root->nparams; i++) {
            const char *data = (const char *)ask->args + type->offsets[i];
            p.names[root->params[i]->id] = ask->ranks ? price_agreed(&p, type->args[i], data, &lengths, true)
                                                      : argument(&p, type->args[i], data, 0);
        }
        ok = run_deep((size_t)node_depth(program->root) * 2, price_root, &p) && !p.arena.exhausted;
        p.price.planned = count_plus(count_plus(p.price.planned, budget_allowance(p.price.planned)), SMALL);
        *price = p.price;
    }
    arena_release(&p.arena);
    return ok;
}
