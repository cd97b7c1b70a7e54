/* fuse_vertical.c: a loop that makes a vector goes into the loop that walks it.
 *
 *     let a = result(for(v, appender, |b, i, x| if(x > 0, merge(b, x * 2), b)));     a is used once, here
 *     result(for(a, merger[i64,+], |c, j, y| merge(c, y + 1)))
 *  =>
 *     result(for(v, merger[i64,+], |c, i, x| if(x > 0, let y = x * 2; merge(c, y + 1), c)))
 *
 * The producer must merge in one place, its *site*, found along lets, arms of ifs and inner loops; an if that
 * merges in both arms is first made one merge of an if. Two sites, in different arms, are as good where the consumer is
 * small, of which each gets one. The consumer's body takes the place of the merge. If
 * every iteration merges once, indexes and lengths agree: then the consumer may use its index, and may be
 * zipped, its iterators becoming those of all its producers (lengths are compared as before). Otherwise it
 * must have one iterator and not use its index.
 *
 * Sooner or later evaluated, in this order, is what was evaluated before, and nothing else; only values that
 * the consumer does not use are dropped. Producers with an assert or a foreign call stay.
 *
 * One walk, values before uses, so that a producer is done when its consumer comes. A body that was composed
 * is never walked again: its site is remembered. That makes a chain of n loops linear. Types of builders on
 * the way to a site are put right by a second walk.
 */
#include "../weldc.h"

#include <string.h>

bool pass_fuse_vertical(Program *program);

enum {
    MOST_ITERS = 512,
    MOST_NEST = 64,
    COPIED = 48
}; /* COPIED: nodes of a consumer for which a producer may have two sites */

/* What the index of a node says while this pass runs (a field's, which is taken, is that of its kid). */
enum { KEEPS = 1, BUILDER = 2 }; /* has an assert or a foreign call; names a builder outside of loop bodies */

typedef struct Site {
    Node **slot;   /* of the one merge; NULL: this loop is no producer */
    Node **second; /* of the other one, in another arm, or NULL */
    int uses;      /* of the builder that were met */
    int merges, nest;
    bool plain; /* reached along lets only: every iteration merges once */
} Site;

typedef struct Binding {
    Node *let; /* or NULL */
    int depth; /* of functions around the let */
    bool gone;
    Site site; /* of the loop whose builder's name this is */
} Binding;

typedef struct Fuse {
    Binding *bindings; /* by symbol id */
    int limit;         /* of ids in bindings */
    int depth;
    Arena *arena;
} Fuse;

static int flags_of(const Node *node) {
    while (node->kind == N_Field) node = node->kids[0];
    return node->index;
}

static Symbol **params_of(const Node *loop) {
    return loop->kids[loop->count - 1]->params;
}

/* ---- finding the site ---- */

/* if(c, merge(b, x), merge(b, y))  =>  merge(b, if(c, x, y)) */
static void join_arms(Node **slot, Site *arms, Site *out) {
    Node *branch = *slot, *merge = *arms[0].slot, *other = *arms[1].slot;
    Symbol *builder = merge->kids[0]->symbol;
    *arms[0].slot = merge->kids[1];
    *arms[1].slot = other->kids[1];
    branch->type = merge->kids[1]->type;
    for (int arm = 1; arm <= 2; arm++) {
        for (Node *node = branch->kids[arm]; node->kind == N_Let; node = node->kids[1])
            node->type = branch->type;
    }
    merge->kids[1] = branch;
    merge->index = branch->index;
    builder->uses--;
    *slot = merge;
    *out = (Site){slot, NULL, 1, 1, 0, true};
}

static bool find_site(Node **slot, Symbol *builder, Site *out);

static bool find_in_arms(Node **slot, Symbol *builder, Site *out) {
    Site arms[2];
    for (int i = 0; i < 2; i++) {
        if (!find_site(&(*slot)->kids[i + 1], builder, &arms[i])) return false;
    }
    if (arms[0].plain && arms[1].plain) {
        join_arms(slot, arms, out);
        return true;
    }
    int merges = arms[0].merges + arms[1].merges;
    if (merges > 2) return false;
    *out = arms[arms[0].merges ? 0 : 1];
    if (arms[0].merges && arms[1].merges) out->second = arms[1].slot;
    out->merges = merges;
    out->uses = arms[0].uses + arms[1].uses;
    out->nest = 1 + (arms[0].nest > arms[1].nest ? arms[0].nest : arms[1].nest);
    out->plain = false;
    return true;
}

static bool find_in_loop(Node *loop, Symbol *builder, Site *out) {
    const Node *from = loop->kids[loop->count - 2];
    if (from->kind != N_Ident || from->symbol != builder) return false;
    Symbol *inner = params_of(loop)[0];
    if (!find_site(&loop->kids[loop->count - 1]->kids[0], inner, out) || out->uses != inner->uses)
        return false;
    out->uses = 1;
    out->nest += 2;
    out->plain = false;
    return true;
}

/* Where the body at *slot merges into the builder of this name. False: it does more with it than this pass
 * knows of. */
static bool find_site(Node **slot, Symbol *builder, Site *out) {
    for (; (*slot)->kind == N_Let; slot = &(*slot)->kids[1]) {
        if ((*slot)->kids[0]->type->builders) return false;
    }
    Node *node = *slot;
    *out = (Site){0};
    switch (node->kind) {
    case N_Ident: out->uses = 1; return node->symbol == builder;
    case N_If: return find_in_arms(slot, builder, out);
    case N_For: return find_in_loop(node, builder, out);
    case N_Merge: break;
    default: return false;
    }
    *out = (Site){slot, NULL, 1, 1, 0, true};
    return node->kids[0]->kind == N_Ident && node->kids[0]->symbol == builder &&
           builder->type->kind == TY_appender && node->kids[1]->type == builder->type->args[0];
}

/* Whether the loop can go into another one. body: of the loop as it was written. */
static void note_site(Node **body, Symbol *builder, Site *out) {
    if (builder->type->kind != TY_appender || !find_site(body, builder, out) || out->uses != builder->uses ||
        !out->merges)
        *out = (Site){0};
}

/* ---- composing ---- */

/* Adds code at the end of a chain of lets. */
typedef struct Tail {
    Program *program;
    Span span;
    Node **hole, **last; /* last: of the last let that was added */
} Tail;

static void tail_let(Tail *tail, Symbol *symbol, Node *value) {
    Node *let = node_new(tail->program, N_Let, tail->span, value->type, 2);
    let->symbol = symbol;
    let->text = symbol->name;
    let->kids[0] = value;
    *tail->hole = let;
    tail->last = tail->hole;
    tail->hole = &let->kids[1];
}

static Node *use(Tail *tail, Symbol *symbol) {
    symbol->uses++;
    return node_ident(tail->program, tail->span, symbol);
}

/* What the merge at the hole merges, whose lets stay there. */
static Node *tail_value(Tail *tail) {
    Node *value = (*tail->hole)->kids[1];
    for (; value->kind == N_Let; value = value->kids[1]) {
        *tail->hole = value;
        tail->hole = &value->kids[1];
    }
    return value;
}

/* The producer's body; returns what it merges. */
static Node *tail_body(Tail *tail, Node *loop, const Site *site) {
    Node **body = &loop->kids[loop->count - 1]->kids[0];
    *tail->hole = *body;
    if (site->slot != body) tail->hole = site->slot;
    return tail_value(tail);
}

typedef struct Feed {
    Node *loop; /* the producer, or NULL: the iterator stays */
    const Site *site;
    Binding *binding; /* through which it comes, or NULL */
    int first;        /* the iterator before this one with the same producer, or itself */
    int *at;          /* where its iterators are in the fused loop; in the arena, as all that follows */
    Symbol *value;    /* of what it merges, if that is used more than once */
} Feed;

typedef struct Consumer {
    Node *loop;
    Feed *feeds;
    int count;
    Node **iters; /* of the fused loop */
    int niters, room;
    bool again; /* a vector that was walked by several iterators is now walked by one */
} Consumer;

static bool is_plain_iter(const Node *iter) {
    return iter->iter == IT_scalar && iter->count == 1;
}

static bool same_name(const Node *a, const Node *b) {
    return a->kind == N_Ident && b->kind == N_Ident && a->symbol == b->symbol;
}

/* The producer behind an iterator. */
static void find_feed(Fuse *fuse, Consumer *consumer, int number) {
    Feed *feed = &consumer->feeds[number];
    Node *iter = consumer->loop->kids[number], *data = iter->kids[0];
    *feed = (Feed){.first = number};
    if (!is_plain_iter(iter)) return;
    if (data->kind == N_Ident) {
        if (data->symbol->id >= fuse->limit) return;
        Binding *binding = &fuse->bindings[data->symbol->id];
        int here = 0;
        for (int i = consumer->count - 1; i >= 0; i--) {
            Node *other = consumer->loop->kids[i];
            if (!is_plain_iter(other) || !same_name(other->kids[0], data)) continue;
            feed->first = i;
            here++;
        }
        if (!binding->let || binding->gone || binding->depth != fuse->depth || data->symbol->uses != here)
            return;
        feed->binding = binding;
        data = binding->let->kids[0];
        if (flags_of(data)) return;
    }
    if (data->kind != N_Result || data->kids[0]->kind != N_For) return;
    Node *loop = data->kids[0];
    Symbol *builder = params_of(loop)[0];
    const Node *from = loop->kids[loop->count - 2];
    if (builder->id >= fuse->limit || from->kind != N_NewBuilder || flags_of(loop) & KEEPS) return;
    int budget = 4;
    if (from->count && !node_is_cheap(from->kids[0], &budget)) return;
    const Site *site = &fuse->bindings[builder->id].site;
    if (!site->slot || site->nest > MOST_NEST) return;
    feed->loop = loop;
    feed->site = site;
}

static bool same_iter(const Node *a, const Node *b) {
    int budget = 8;
    if (a->iter != b->iter || a->count != b->count) return false;
    for (int i = 0; i < a->count; i++) {
        if (!node_is_cheap(a->kids[i], &budget) || !node_equal(a->kids[i], b->kids[i])) return false;
    }
    return true;
}

/* The number of this iterator among those of the fused loop; -1: there are too many. */
static int add_iter(Consumer *consumer, Node *iter) {
    for (int i = 0; i < consumer->niters; i++) {
        if (same_iter(consumer->iters[i], iter)) return i;
    }
    if (consumer->niters == consumer->room) return -1;
    consumer->iters[consumer->niters] = iter;
    return consumer->niters++;
}

/* Takes this producer's iterators, or, if they are too many or of the wrong kind, leaves it alone. */
static bool add_feed(Consumer *consumer, int number) {
    Feed *feed = &consumer->feeds[number];
    Node *loop = feed->loop;
    if (feed->first != number) {
        feed->loop = consumer->feeds[feed->first].loop;
        return true;
    }
    int before = consumer->niters;
    if (loop) {
        bool fits = true;
        for (int i = 0; fits && i < loop->count - 2; i++) {
            feed->at[i] = add_iter(consumer, loop->kids[i]);
            bool lanes = loop->kids[i]->iter == IT_simd;
            fits = feed->at[i] >= 0 && (!lanes || consumer->count == 1);
        }
        if (fits) return true;
        consumer->niters = before;
    }
    feed->loop = NULL;
    feed->at[0] = add_iter(consumer, consumer->loop->kids[number]);
    return feed->at[0] >= 0;
}

/* The part of the fused loop's element that iterator number `at` yields. */
static Node *element_at(Consumer *consumer, Tail *tail, Symbol *element, int at) {
    Node *whole = use(tail, element);
    if (consumer->niters == 1) return whole;
    Node *field = node_make(tail->program, N_Field, tail->span, consumer->iters[at]->type, 1, whole);
    field->index = at;
    return field;
}

static Symbol *fused_element(Consumer *consumer, Program *program, const char *name) {
    Type *parts[MOST_ITERS];
    for (int i = 0; i < consumer->niters; i++) parts[i] = consumer->iters[i]->type;
    Type *type = consumer->niters == 1
                     ? parts[0]
                     : type_make(&program->types, TY_struct, OP_none, consumer->niters, parts);
    return symbol_new(program, name, type);
}

/* Does the fused loop walk just what this producer walked? */
static bool is_whole(const Consumer *consumer, const Feed *feed) {
    if (feed->loop->count - 2 != consumer->niters) return false;
    for (int i = 0; i < consumer->niters; i++) {
        if (feed->at[i] != i) return false;
    }
    return true;
}

/* Before a producer's body: its index and its element. */
static void bind_params(Consumer *consumer, Tail *tail, const Feed *feed, Symbol *element) {
    Symbol **params = params_of(feed->loop), *index = params_of(consumer->loop)[1];
    if (params[1]->uses) tail_let(tail, params[1], use(tail, index));
    if (params[2] == element || !params[2]->uses) return;
    int count = feed->loop->count - 2;
    if (count == 1 || is_whole(consumer, feed)) {
        Node *value = count == 1 ? element_at(consumer, tail, element, feed->at[0]) : use(tail, element);
        tail_let(tail, params[2], value);
        return;
    }
    Node *parts = node_new(tail->program, N_Struct, tail->span, params[2]->type, count);
    for (int i = 0; i < count; i++) parts->kids[i] = element_at(consumer, tail, element, feed->at[i]);
    tail_let(tail, params[2], parts);
}

/* The iterators of the loop become those of the fused one. */
static void set_iters(Program *program, Node *loop, Node *const *iters, int count) {
    Node *builder = loop->kids[loop->count - 2], *lambda = loop->kids[loop->count - 1];
    if (count + 2 > loop->count)
        loop->kids = arena_alloc(&program->arena, sizeof *loop->kids * (size_t)(count + 2));
    for (int i = 0; i < count; i++) loop->kids[i] = iters[i];
    loop->kids[count] = builder;
    loop->kids[count + 1] = lambda;
    loop->count = count + 2;
}

/* Every producer merges once per iteration: their bodies come before the consumer's, one after the other. */
static void compose_once(Consumer *consumer, Tail *tail, Node *body) {
    Node *loop = consumer->loop, *lambda = loop->kids[loop->count - 1];
    Symbol *element = NULL, *old = lambda->params[2];
    for (int i = 0; i < consumer->count && !element; i++) {
        Feed *feed = &consumer->feeds[i];
        if (feed->loop && feed->first == i && is_whole(consumer, feed)) element = params_of(feed->loop)[2];
    }
    if (!element) element = fused_element(consumer, tail->program, old->name);
    Node *parts[MOST_ITERS] = {0};
    for (int i = 0; i < consumer->count; i++) {
        Feed *feed = &consumer->feeds[i];
        if (feed->first != i) {
            feed = &consumer->feeds[feed->first];
            if (feed->loop && !feed->value) {
                Node *value = parts[feed - consumer->feeds];
                feed->value = symbol_new(tail->program, old->name, value->type);
                tail_let(tail, feed->value, value);
                parts[feed - consumer->feeds] = use(tail, feed->value);
            }
            parts[i] = feed->loop ? use(tail, feed->value) : element_at(consumer, tail, element, feed->at[0]);
            continue;
        }
        if (feed->loop) {
            bind_params(consumer, tail, feed, element);
            parts[i] = tail_body(tail, feed->loop, feed->site);
        } else {
            parts[i] = element_at(consumer, tail, element, feed->at[0]);
        }
    }
    Node *value = parts[0];
    if (consumer->count > 1) {
        value = node_new(tail->program, N_Struct, tail->span, old->type, consumer->count);
        memcpy(value->kids, parts, sizeof *parts * (size_t)consumer->count);
    }
    if (old->uses) tail_let(tail, old, value);
    lambda->params[2] = element;
    set_iters(tail->program, loop, consumer->iters, consumer->niters);
    *tail->hole = body;
}

/* The one producer's function becomes the consumer's; its site gets the consumer's body. Returns the name
 * that the builder has there. */
static Symbol *compose_at_site(Consumer *consumer, Tail *tail, Node *body) {
    Node *loop = consumer->loop;
    Feed *feed = &consumer->feeds[0];
    Symbol *builder = (*feed->site->slot)->kids[0]->symbol, *old = params_of(loop)[2];
    Node *lambda = feed->loop->kids[feed->loop->count - 1];
    lambda->index |= loop->kids[loop->count - 1]->index;
    tail->hole = &lambda->kids[0];
    Node *value = tail_body(tail, feed->loop, feed->site);
    if (old->uses) tail_let(tail, old, value);
    loop->kids[loop->count - 1] = lambda;
    set_iters(tail->program, loop, feed->loop->kids, feed->loop->count - 2);
    *tail->hole = body;
    return builder;
}

typedef struct Rename {
    Symbol *from, *to;
} Rename;

static void rename_use(Walk *walk, Node **slot) {
    Rename *rename = walk->data;
    if ((*slot)->kind == N_Ident && (*slot)->symbol == rename->from) (*slot)->symbol = rename->to;
}

/* Room for the iterators of all producers. */
static bool make_room(Arena *arena, Consumer *consumer) {
    for (int i = 0; i < consumer->count; i++) {
        Feed *feed = &consumer->feeds[i];
        int count = feed->loop && feed->first == i ? feed->loop->count - 2 : 1;
        feed->at = arena_alloc(arena, sizeof *feed->at * (size_t)count);
        if (!feed->at) return false;
        consumer->room += count;
    }
    if (consumer->room > MOST_ITERS) consumer->room = MOST_ITERS;
    consumer->iters = arena_alloc(arena, sizeof *consumer->iters * (size_t)consumer->room);
    return consumer->iters != NULL;
}

/* Is it little enough to be there twice? */
static bool is_small(const Node *node, int *budget) {
    if (--*budget < 0 || node->kind == N_For || node->kind == N_Iterate || node->kind == N_Sort) return false;
    for (int i = 0; i < node->count; i++) {
        if (!is_small(node->kids[i], budget)) return false;
    }
    return true;
}

static bool can_copy(const Node *loop) {
    const Node *lambda = loop->kids[loop->count - 1];
    int budget = COPIED;
    return !(lambda->index & KEEPS) && is_small(lambda->kids[0], &budget);
}

/* Finds what to fuse. once: only producers that merge once per iteration. */
static bool can_fuse(Fuse *fuse, Consumer *consumer, Node *loop, bool once) {
    *consumer = (Consumer){.loop = loop, .count = loop->count - 2};
    if (consumer->count > MOST_ITERS) return false;
    consumer->feeds = arena_alloc(fuse->arena, sizeof *consumer->feeds * (size_t)consumer->count);
    if (!consumer->feeds) return false;
    bool any = false, alone = !once && consumer->count == 1 && params_of(loop)[1]->uses == 0;
    for (int i = 0; i < consumer->count; i++) {
        Feed *feed = &consumer->feeds[i];
        find_feed(fuse, consumer, i);
        if (feed->loop && !feed->site->plain && !alone) feed->loop = NULL;
        if (feed->loop && feed->site->second && !can_copy(loop)) feed->loop = NULL;
        if (feed->loop) any = true;
    }
    if (!any || !make_room(fuse->arena, consumer)) return false;
    any = false;
    for (int i = 0; i < consumer->count; i++) {
        if (!add_feed(consumer, i)) return false;
        if (consumer->feeds[i].loop) any = true;
    }
    return any;
}

/* The consumer's element may now be bound to what a loop makes: loops over it, in the body, fuse in turn. */
static void fuse_inside(Walk *walk, Tail *tail, Symbol *element) {
    Fuse *fuse = walk->data;
    Node *let = tail->last ? *tail->last : NULL;
    if (!let || let->symbol != element || element->id >= fuse->limit) return;
    if (let->kids[0]->kind != N_Result || element->uses != 1) return;
    Binding *binding = &fuse->bindings[element->id];
    binding->let = let;
    binding->depth = ++fuse->depth;
    node_walk(walk, tail->hole);
    fuse->depth--;
    if (!binding->gone) return;
    *tail->last = *tail->hole;
    tail->hole = tail->last;
}

/* An iterator that another one stands for is gone. */
static void drop_iter(Consumer *consumer, const Node *iter, int at) {
    if (iter == consumer->iters[at] || !is_plain_iter(iter) || iter->kids[0]->kind != N_Ident) return;
    iter->kids[0]->symbol->uses--;
    consumer->again = true;
}

static void take_feeds(Consumer *consumer) {
    Node *lambda = consumer->loop->kids[consumer->loop->count - 1];
    for (int i = 0; i < consumer->count; i++) {
        const Feed *feed = &consumer->feeds[i];
        if (feed->first != i) continue;
        if (!feed->loop) {
            drop_iter(consumer, consumer->loop->kids[i], feed->at[0]);
            continue;
        }
        for (int j = 0; j < feed->loop->count - 2; j++) drop_iter(consumer, feed->loop->kids[j], feed->at[j]);
        if (feed->binding) feed->binding->gone = true;
        lambda->index |= feed->loop->kids[feed->loop->count - 1]->index;
    }
}

static bool count_use(Walk *walk, Node **slot) {
    (void)walk;
    if ((*slot)->kind == N_Ident) (*slot)->symbol->uses++;
    return true;
}

/* The consumer's function once more. */
static Node *copy_lambda(Program *program, const Node *lambda) {
    Node *copy = node_clone(program, lambda);
    Walk walk = {program, count_use, NULL, NULL};
    node_walk(&walk, &copy);
    return copy;
}

/* From now on the builder has the name that it has at the site. */
static void rename_builder(Program *program, Node **body, Symbol *from, Symbol *to) {
    Rename rename = {from, to};
    Walk names = {program, NULL, rename_use, &rename};
    node_walk(&names, body);
    to->uses += from->uses - 1;
}

/* The copy of the consumer goes to the producer's second site. site: the fused loop's own at the first one, which gets a
 * second, too. */
static void compose_at_second(Program *program, Node **second, Node *copy, Site *site) {
    Tail tail = {program, (*second)->span, second, NULL};
    Symbol *name = (*second)->kids[0]->symbol, *builder = copy->params[0], *element = copy->params[2];
    Node *value = tail_value(&tail);
    if (element->uses) tail_let(&tail, element, value);
    *tail.hole = copy->kids[0];
    Site other;
    note_site(tail.hole, builder, &other);
    bool single = site->slot && !site->second && other.slot && !other.second;
    site->second = other.slot;
    if (!single) *site = (Site){0};
    rename_builder(program, tail.hole, builder, name);
}

/* The producer merges now and then, or many times. */
static void fuse_at_site(Walk *walk, Consumer *consumer, Tail *tail, Node *body) {
    Fuse *fuse = walk->data;
    Node *loop = consumer->loop;
    Symbol *builder = params_of(loop)[0], *element = params_of(loop)[2];
    const Site from = *consumer->feeds[0].site;
    Node *copy = from.second ? copy_lambda(walk->program, loop->kids[loop->count - 1]) : NULL;
    Symbol *name = compose_at_site(consumer, tail, body);
    if (!copy) fuse_inside(walk, tail, element);
    Site site;
    note_site(tail->hole, builder, &site);
    rename_builder(walk->program, tail->hole, builder, name);
    if (copy) compose_at_second(walk->program, from.second, copy, &site);
    site.nest += from.nest;
    site.plain = false;
    fuse->bindings[params_of(loop)[0]->id].site = site;
}

static void fuse_loop(Walk *walk, Node *loop) {
    Fuse *fuse = walk->data;
    Node *lambda = loop->kids[loop->count - 1];
    Symbol *builder = lambda->params[0];
    if (builder->id >= fuse->limit) return;
    Site *site = &fuse->bindings[builder->id].site;
    Consumer consumer;
    Tail tail = {walk->program, loop->span, &lambda->kids[0], NULL};
    bool fused = can_fuse(fuse, &consumer, loop, false);
    /* Iterators that fail are the producer's. */
    if (fused && consumer.count == 1 && consumer.feeds[0].loop) loop->span = consumer.feeds[0].loop->span;
    if (fused && consumer.count == 1 && !consumer.feeds[0].site->plain) {
        if (consumer.feeds[0].binding) consumer.feeds[0].binding->gone = true;
        fuse_at_site(walk, &consumer, &tail, lambda->kids[0]);
        return;
    }
    if (fused) {
        Symbol *element = lambda->params[2];
        take_feeds(&consumer);
        compose_once(&consumer, &tail, lambda->kids[0]);
        fuse_inside(walk, &tail, element);
    }
    note_site(tail.hole, builder, site);
    bool again = fused && consumer.again;
    while (fused && consumer.again && can_fuse(fuse, &consumer, loop, true)) {
        take_feeds(&consumer);
        tail.hole = &lambda->kids[0];
        compose_once(&consumer, &tail, lambda->kids[0]);
        if (site->slot == &lambda->kids[0]) site->slot = tail.hole;
    }
    /* What several iterators walked, and now one does, may be what a filter makes. */
    if (again && can_fuse(fuse, &consumer, loop, false) && consumer.count == 1 &&
        !consumer.feeds[0].site->plain) {
        if (consumer.feeds[0].binding) consumer.feeds[0].binding->gone = true;
        loop->span = consumer.feeds[0].loop->span;
        tail = (Tail){walk->program, loop->span, &lambda->kids[0], NULL};
        fuse_at_site(walk, &consumer, &tail, lambda->kids[0]);
    }
}

/* ---- the walks ---- */

static bool fuse_enter(Walk *walk, Node **slot) {
    Fuse *fuse = walk->data;
    Node *node = *slot;
    if (node->kind == N_Lambda) fuse->depth++;
    if (node->kind == N_Let && node->symbol->id < fuse->limit) {
        Binding *binding = &fuse->bindings[node->symbol->id];
        binding->let = node;
        binding->depth = fuse->depth;
    }
    return true;
}

static void fuse_leave(Walk *walk, Node **slot) {
    Fuse *fuse = walk->data;
    Node *node = *slot;
    if (node->kind == N_Lambda) fuse->depth--;
    if (node->kind == N_For) fuse_loop(walk, node);
    if (node->kind == N_Let && node->symbol->id < fuse->limit && fuse->bindings[node->symbol->id].gone) {
        *slot = node->kids[1];
        return;
    }
    if (node->kind == N_Field) return;
    int flags = node_keeps(node) ? KEEPS : 0;
    if (node->kind == N_Ident && node->type->builders) flags = BUILDER;
    for (int i = 0; i < node->count; i++) flags |= flags_of(node->kids[i]);
    node->index = node->kind == N_Lambda ? flags & KEEPS : flags;
}

/* Types on the way to what was a merge into an appender. A loop's parameter gets its type before the body. */
static bool type_enter(Walk *walk, Node **slot) {
    (void)walk;
    const Node *node = *slot;
    if (node->kind != N_For) return true;
    const Node *builder = node->kids[node->count - 2];
    params_of(node)[0]->type = builder->kind == N_Ident ? builder->symbol->type : builder->type;
    return true;
}

static void type_lambda(Program *program, Node *lambda) {
    Type *few[4];
    bool same = lambda->type->args[lambda->nparams] == lambda->kids[0]->type;
    if (lambda->nparams != 3) return;
    for (int i = 0; i < 3; i++) {
        few[i] = lambda->params[i]->type;
        same = same && lambda->type->args[i] == few[i];
    }
    few[3] = lambda->kids[0]->type;
    if (!same) lambda->type = type_make(&program->types, TY_function, OP_none, 4, few);
}

static void type_leave(Walk *walk, Node **slot) {
    Node *node = *slot;
    switch (node->kind) {
    case N_Ident: node->type = node->symbol->type; break;
    case N_Let:
    case N_If: node->type = node->kids[1]->type; break;
    case N_For: node->type = node->kids[node->count - 2]->type; break;
    case N_Lambda: type_lambda(walk->program, node); break;
    default: break;
    }
}

bool pass_fuse_vertical(Program *program) {
    Fuse fuse = {.limit = program->symbols, .arena = &program->arena};
    fuse.bindings = arena_alloc(&program->arena, sizeof *fuse.bindings * (size_t)(fuse.limit + 1));
    if (!fuse.bindings)
        return error_set(&program->error, E_OutOfMemory, (Span){0}, "the program is too large");
    Walk walk = {program, fuse_enter, fuse_leave, &fuse}, types = {program, type_enter, type_leave, NULL};
    node_walk(&walk, &program->root);
    node_walk(&types, &program->root);
    int depth = node_depth(program->root);
    if (depth > program->depth) program->depth = depth;
    return true;
}
