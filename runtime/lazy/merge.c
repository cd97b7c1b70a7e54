/* merge.c: one program of a graph of lazy values.
 *
 *     s = sum(y)   y = add(x, x)   x = data       roots {s, y}
 *
 *  recipe:   0 data vec[f64]   1 add 0 0   2 sum 1   roots 2 1
 *  program:  |data| let y = map(zip(data, data), ..); let s = result(for(y, ..)); {s, y}
 *
 * The graph is walked once, in depth first order without recursion: what is shared appears once, data become
 * parameters in the order in which they are met. A value that is to be kept becomes one more root. The recipe is the
 * graph without its data: it is what makes two evaluations the same program (its bytes are the key of the caches), and
 * from it the program can be made again. All this is linear in the size of the graph.
 */
#include "lazy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const Span nowhere = {0, 0, 0};

/* ---- pointers to numbers ---- */

typedef struct Numbering {
    const void **keys;
    int64_t *numbers, count, room; /* room: a power of two */
} Numbering;

static int64_t *numbering_slot(const Numbering *map, const void *key) {
    uint64_t at = hash_u64((uint64_t)(uintptr_t)key);
    for (;; at++) {
        int64_t slot = (int64_t)(at & (uint64_t)(map->room - 1));
        if (!map->keys[slot] || map->keys[slot] == key) return &map->numbers[slot];
    }
}

static bool numbering_grow(Numbering *map) {
    Numbering old = *map;
    map->room = old.room ? 2 * old.room : 64;
    map->keys = calloc((size_t)map->room, sizeof *map->keys);
    map->numbers = malloc((size_t)map->room * sizeof *map->numbers);
    if (!map->keys || !map->numbers) {
        free(map->keys);
        free(map->numbers);
        *map = old;
        return false;
    }
    for (int64_t i = 0; i < old.room; i++) {
        if (!old.keys[i]) continue;
        int64_t *slot = numbering_slot(map, old.keys[i]);
        *slot = old.numbers[i];
        map->keys[slot - map->numbers] = old.keys[i];
    }
    free(old.keys);
    free(old.numbers);
    return true;
}

/* The number of a key, -1: it has none. */
static int64_t number_of(const Numbering *map, const void *key) {
    if (!map->count) return -1;
    int64_t *slot = numbering_slot(map, key);
    return map->keys[slot - map->numbers] ? *slot : -1;
}

static bool set_number(Numbering *map, const void *key, int64_t number) {
    if (2 * (map->count + 1) > map->room && !numbering_grow(map)) return false;
    int64_t *slot = numbering_slot(map, key);
    map->count += !map->keys[slot - map->numbers];
    map->keys[slot - map->numbers] = key;
    *slot = number;
    return true;
}

static void numbering_free(Numbering *map) {
    free(map->keys);
    free(map->numbers);
}

/* ---- growing arrays ---- */

static bool grow(void *array, int64_t count, int64_t *room, size_t size) {
    void **data = array;
    if (count < *room) return true;
    int64_t more = *room ? 2 * *room : 16;
    void *grown = realloc(*data, (size_t)more * size);
    if (!grown) return false;
    *data = grown;
    *room = more;
    return true;
}

/* ---- from graph to recipe ---- */

/* Where the walk stands at a lazy value: its next argument. */
typedef struct Visit {
    Lazy *lazy;
    int64_t next;
} Visit;

typedef struct Collector {
    Graph *graph;
    Recipe *recipe;
    Numbering lazies, emissions;
    Visit *stack;
    int64_t depth, room, step_room, kid_room, emission_room, lazy_room, root_room;
} Collector;

static int64_t emission_number(Collector *c, Emission *emission) {
    Recipe *recipe = c->recipe;
    int64_t number = number_of(&c->emissions, emission);
    if (number >= 0) return number;
    number = recipe->emission_count;
    if (!grow(&recipe->emissions, number, &c->emission_room, sizeof *recipe->emissions)) return -1;
    if (!set_number(&c->emissions, emission, number)) return -1;
    recipe->emissions[recipe->emission_count++] = emission_hold(emission);
    return number;
}

static bool add_kids(Collector *c, const Lazy *lazy) {
    Recipe *recipe = c->recipe;
    for (int64_t i = 0; i < lazy->count; i++) {
        if (!grow(&recipe->kids, recipe->kid_count, &c->kid_room, sizeof *recipe->kids)) return false;
        recipe->kids[recipe->kid_count++] = number_of(&c->lazies, lazy->kids[i]);
    }
    return true;
}

/* All that it is computed from has a number by now. */
static bool add_step(Collector *c, Lazy *lazy, bool leaf) {
    Recipe *recipe = c->recipe;
    int64_t number = recipe->step_count;
    if (!grow(&recipe->steps, number, &c->step_room, sizeof *recipe->steps)) return false;
    if (!grow(&c->graph->lazies, number, &c->lazy_room, sizeof *c->graph->lazies)) return false;
    int64_t emission = emission_number(c, lazy->emission);
    if (emission < 0 || !set_number(&c->lazies, lazy, number)) return false;
    const Value *value = leaf ? atomic_load(&lazy->value) : NULL;
    recipe->steps[number] = (Step){.emission = emission,
                                   .first_kid = recipe->kid_count,
                                   .count = leaf ? 0 : lazy->count,
                                   .leaf = leaf,
                                   .in_blocks = value && value->in_blocks};
    c->graph->lazies[number] = lazy;
    recipe->step_count++;
    recipe->leaf_count += leaf;
    return leaf || add_kids(c, lazy);
}

static bool add_root(Collector *c, int64_t step) {
    Recipe *recipe = c->recipe;
    if (!grow(&recipe->roots, recipe->root_count, &c->root_room, sizeof *recipe->roots)) return false;
    recipe->roots[recipe->root_count++] = step;
    return true;
}

static bool visit(Collector *c, Lazy *lazy) {
    if (number_of(&c->lazies, lazy) >= 0) return true;
    if (lazy_data(lazy)) return add_step(c, lazy, true);
    if (!grow(&c->stack, c->depth, &c->room, sizeof *c->stack)) return false;
    c->stack[c->depth++] = (Visit){lazy, 0};
    return true;
}

static bool collect_from(Collector *c, Lazy *root) {
    if (!visit(c, root)) return false;
    while (c->depth) {
        Visit *top = &c->stack[c->depth - 1];
        Lazy *lazy = top->lazy;
        if (top->next < lazy->count) {
            if (!visit(c, lazy->kids[top->next++])) return false;
            continue;
        }
        c->depth--;
        if (number_of(&c->lazies, lazy) < 0 && !add_step(c, lazy, false)) return false;
    }
    return true;
}

/* What is to be kept and has no value yet is computed as well, behind what was asked for. */
static bool add_kept(Collector *c) {
    Recipe *recipe = c->recipe;
    for (int64_t i = 0; i < recipe->step_count; i++) {
        if (!recipe->steps[i].leaf && atomic_load(&c->graph->lazies[i]->keep) && !add_root(c, i))
            return false;
    }
    return true;
}

/* The leaves count as data, whatever they are computed from. */
static bool collect(Graph *graph, Lazy *const *roots, int64_t count, Lazy *const *leaves, int64_t leaf_count,
                    Error *error) {
    *graph = (Graph){.recipe = calloc(1, sizeof *graph->recipe)};
    Collector c = {.graph = graph, .recipe = graph->recipe};
    bool ok = graph->recipe != NULL;
    if (ok) atomic_init(&graph->recipe->refs, 1);
    for (int64_t i = 0; ok && i < leaf_count; i++) ok = add_step(&c, leaves[i], true);
    for (int64_t i = 0; ok && i < count; i++) ok = collect_from(&c, roots[i]);
    for (int64_t i = 0; ok && i < count; i++) ok = add_root(&c, number_of(&c.lazies, roots[i]));
    if (!leaves) ok = ok && add_kept(&c);
    numbering_free(&c.lazies);
    numbering_free(&c.emissions);
    free(c.stack);
    if (ok) return true;
    graph_release(graph);
    return error_set(error, E_OutOfMemory, nowhere, "no memory to merge the lazy values");
}

bool graph_collect(Graph *graph, Lazy *const *roots, int64_t count, Error *error) {
    return collect(graph, roots, count, NULL, 0, error);
}

bool graph_collect_until(Graph *graph, Lazy *root, Lazy *const *leaves, int64_t count, Error *error) {
    return collect(graph, &root, 1, leaves, count, error);
}

void graph_release(Graph *graph) {
    recipe_drop(graph->recipe);
    free(graph->lazies);
    *graph = (Graph){0};
}

/* ---- recipes ---- */

Recipe *recipe_hold(Recipe *recipe) {
    atomic_fetch_add_explicit(&recipe->refs, 1, memory_order_relaxed);
    return recipe;
}

void recipe_drop(Recipe *recipe) {
    if (!recipe || atomic_fetch_sub_explicit(&recipe->refs, 1, memory_order_acq_rel) != 1) return;
    for (int64_t i = 0; i < recipe->emission_count; i++) emission_drop(recipe->emissions[i]);
    free(recipe->emissions);
    free(recipe->steps);
    free(recipe->kids);
    free(recipe->roots);
    free(recipe);
}

/* Emissions by their own keys, the rest as numbers. */
void recipe_print(Buf *out, const Recipe *recipe) {
    buf_printf(out, "lazy %lld %lld %lld %lld\n", (long long)recipe->emission_count,
               (long long)recipe->step_count, (long long)recipe->kid_count, (long long)recipe->root_count);
    for (int64_t i = 0; i < recipe->emission_count; i++) {
        const Buf *key = &recipe->emissions[i]->key;
        buf_printf(out, "%lld:", (long long)key->length);
        buf_put(out, key->text, key->length);
    }
    for (int64_t i = 0; i < recipe->step_count; i++) {
        int64_t words[2] = {recipe->steps[i].emission, 4 * recipe->steps[i].count +
                                                           2 * recipe->steps[i].in_blocks +
                                                           recipe->steps[i].leaf};
        buf_put(out, (const char *)words, sizeof words);
    }
    if (recipe->kid_count)
        buf_put(out, (const char *)recipe->kids, sizeof *recipe->kids * (size_t)recipe->kid_count);
    if (recipe->root_count)
        buf_put(out, (const char *)recipe->roots, sizeof *recipe->roots * (size_t)recipe->root_count);
}

/* ---- from recipe to program ---- */

typedef struct Merger {
    Program *program;
    const Recipe *recipe;
    Numbering shelves; /* a Splice for each program that functions lie in */
    Splice *splices;
    Symbol **names;     /* of each step */
    Symbol **arguments; /* of the step at hand */
} Merger;

static Splice *splice_of(Merger *m, const Emission *emission) {
    const Program *shelf = emission_program(emission);
    int64_t number = number_of(&m->shelves, shelf);
    if (number >= 0) return &m->splices[number];
    number = m->shelves.count;
    if (!set_number(&m->shelves, shelf, number)) return NULL;
    return splice_open(&m->splices[number], m->program, shelf, false) ? &m->splices[number] : NULL;
}

/* The last word of a function's name: "sum" of "frame.sum". */
static const char *word_of(const char *name) {
    const char *dot = strrchr(name, '.');
    const char *word = dot ? dot + 1 : name;
    bool plain = (*word >= 'a' && *word <= 'z') || (*word >= 'A' && *word <= 'Z') || *word == '_';
    for (const char *at = word; *at && plain; at++) {
        plain = (*at >= 'a' && *at <= 'z') || (*at >= 'A' && *at <= 'Z') || *at == '_' ||
                (*at >= '0' && *at <= '9');
    }
    return plain ? word : "value";
}

/* The step's value, with a name of its own; a leaf's name is a parameter. */
static bool merge_step(Merger *m, int64_t number, Node ***hole) {
    const Step *step = &m->recipe->steps[number];
    const Emission *emission = m->recipe->emissions[step->emission];
    Program *program = m->program;
    if (step->leaf) {
        bool callback = emission->result->kind == TY_function; /* it travels as an address */
        Type *type =
            callback ? type_scalar(&program->types, TY_i64) : type_import(&program->types, emission->result);
        m->names[number] = symbol_new(program, "data", type);
        m->names[number]->in_blocks = step->in_blocks;
        return type != NULL;
    }
    Splice *splice = splice_of(m, emission);
    if (!splice) return false;
    for (int64_t i = 0; i < step->count; i++)
        m->arguments[i] = m->names[m->recipe->kids[step->first_kid + i]];
    bool plain = program->saving && emission->plain;
    Node *body = splice_body(splice, plain ? emission->plain : emission->function, m->arguments);
    program->derived |= emission->plain != NULL;
    if (program->arena.exhausted) return false;
    m->names[number] = symbol_new(program, word_of(emission->name), body->type);
    Node *let = node_new(program, N_Let, body->span, NULL, 2);
    if (!let->count) return false;
    let->symbol = m->names[number];
    let->text = let->symbol->name;
    let->kids[0] = body;
    **hole = let;
    *hole = &let->kids[1];
    if (emission->depth + 4 > program->depth) program->depth = emission->depth + 4;
    return true;
}

static Node *roots_node(Merger *m) {
    const Recipe *recipe = m->recipe;
    if (recipe->root_count == 1) return node_ident(m->program, nowhere, m->names[recipe->roots[0]]);
    Node *node = node_new(m->program, N_Struct, nowhere, NULL, (int)recipe->root_count);
    Type **types = arena_alloc(&m->program->arena, sizeof *types * (size_t)(recipe->root_count + 1));
    for (int i = 0; types && i < node->count; i++) {
        node->kids[i] = node_ident(m->program, nowhere, m->names[recipe->roots[i]]);
        types[i] = node->kids[i]->type;
    }
    node->type = types ? type_make(&m->program->types, TY_struct, OP_none, node->count, types) : NULL;
    return node->type ? node : NULL;
}

/* Types of the lets, from the last to the first: that of what they are around. */
static void close_lets(Node *first, Type *type) {
    for (; first->kind == N_Let; first = first->kids[1]) first->type = type;
}

static bool merge_all(Merger *m) {
    const Recipe *recipe = m->recipe;
    Program *program = m->program;
    Node *body = NULL, **hole = &body;
    program->depth = 4;
    for (int64_t i = 0; i < recipe->step_count; i++) {
        if (!merge_step(m, i, &hole)) return false;
    }
    Node *roots = roots_node(m);
    if (!roots) return false;
    *hole = roots;
    close_lets(body, roots->type);
    Node *lambda = node_make(program, N_Lambda, nowhere, NULL, 1, body);
    Type **parts = arena_alloc(&program->arena, sizeof *parts * (size_t)(recipe->leaf_count + 1));
    lambda->params = arena_alloc(&program->arena, sizeof *lambda->params * (size_t)(recipe->leaf_count + 1));
    if (!parts || !lambda->params) return false;
    for (int64_t i = 0; i < recipe->step_count; i++) {
        if (!recipe->steps[i].leaf) continue;
        parts[lambda->nparams] = m->names[i]->type;
        lambda->params[lambda->nparams++] = m->names[i];
    }
    parts[lambda->nparams] = roots->type;
    lambda->type = type_make(&program->types, TY_function, OP_none, lambda->nparams + 1, parts);
    program->root = lambda;
    program->bare = lambda->nparams == 0;
    return lambda->type && !program->arena.exhausted;
}

static void derive_merged(void *data) {
    program_derive(data); /* or its error is set */
}

Program *recipe_program(const Recipe *recipe, bool saving, Error *error) {
    Merger m = {.program = program_open("<lazy>", "", 0), .recipe = recipe};
    int64_t most = 1;
    if (m.program) m.program->saving = saving;
    for (int64_t i = 0; i < recipe->step_count; i++) {
        if (recipe->steps[i].count > most) most = recipe->steps[i].count;
    }
    m.splices = malloc(sizeof *m.splices * (size_t)(recipe->emission_count + 1));
    m.names = malloc(sizeof *m.names * (size_t)(recipe->step_count + 1));
    m.arguments = malloc(sizeof *m.arguments * (size_t)most);
    bool ok = m.program && m.splices && m.names && m.arguments;
    emissions_read_begin();
    ok = ok && merge_all(&m);
    emissions_read_end();
    numbering_free(&m.shelves);
    free(m.splices);
    free(m.names);
    free(m.arguments);
    if (ok && saving && m.program->derived) ok = run_deep((size_t)m.program->depth, derive_merged, m.program);
    if (ok && m.program->error.code == E_None) return m.program;
    if (ok) *error = m.program->error;
    program_free(m.program);
    if (!ok) error_set(error, E_OutOfMemory, nowhere, "no memory to merge the lazy values");
    return NULL;
}
