/* node.c: programs and nodes, and what is written once for every kind of node: walking, cloning,
 * comparing, hashing.
 *
 * A program is a tree of nodes that owns its names through Symbols: a use points to the Symbol of its binder,
 * so moving code never captures a name. Long chains of lets are common (programs are merged from thousands of
 * fragments), so everything here walks along them in a loop and recurses only into values.
 */
#include "lang.h"

#include <stdlib.h>
#include <string.h>

const NodeClass node_classes[N_COUNT] = {
#define NODE(id, spelling, least, most, traits, usage, doc) \
    [N_##id] = {#id, spelling, usage, doc, least, most, traits},
#include "ops.def"
};

const OpClass op_classes[OP_COUNT] = {
#define CLASS_INT 'i'
#define CLASS_NUM 'n'
#define CLASS_FLT 'f'
#define CLASS_LOGIC 'l'
#define CLASS_BOOLS 'b'
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) \
    [OP_##id] = {#id, spelling, doc, 'b', CLASS_##class, precedence, traits},
#define COMPARE(id, spelling, precedence, cop, spred, upred, fpred, doc) \
    [OP_##id] = {#id, spelling, doc, 'c', 'a', precedence, 0},
/* A prefix operator is one whose spelling is no word. */
#define UNARY(id, spelling, class, iexpr, fexpr, doc) \
    [OP_##id] = {                                     \
        #id, spelling, doc, 'u', CLASS_##class, (spelling)[0] >= 'a' && (spelling)[0] <= 'z' ? 0 : -1, 0},
#include "scalar.def"
};

const IterClass iter_classes[IT_COUNT] = {
#define BOUNDS_REQUIRED 'r'
#define BOUNDS_OPTIONAL 'o'
#define BOUNDS_SHAPED 's'
#define ITER(id, spelling, bounds, has_data, doc) [IT_##id] = {spelling, doc, BOUNDS_##bounds, has_data},
#include "iters.def"
};

Program *program_new(const char *name, const char *text, size_t length) {
    Program *program = calloc(1, sizeof *program);
    if (!program) return NULL;
    if (!arena_init(&program->arena)) {
        free(program);
        return NULL;
    }
    types_init(&program->types, &program->arena);
    char *copy = arena_copy(&program->arena, text, length);
    const char *title = arena_copy(&program->arena, name, strlen(name));
    if (!copy || !title) {
        program_free(program);
        return NULL;
    }
    program_add_source(program, title, copy, length);
    return program;
}

uint32_t program_add_source(Program *program, const char *name, const char *text, size_t length) {
    Source *source =
        arena_room(&program->arena, program->source, program->sources, &program->source_room, sizeof *source);
    if (!source) return 0;
    program->source = source;
    source[program->sources] = (Source){name, text, length};
    return (uint32_t)program->sources++;
}

void program_free(Program *program) {
    if (!program) return;
    arena_release(&program->arena);
    free(program);
}

void program_render_error(const Program *program, const Error *error, Buf *out) {
    uint32_t number = error->span.source < (uint32_t)program->sources ? error->span.source : 0;
    const Source *source = &program->source[number];
    error_render(error, source->name, source->text, source->length, out);
}

Node *node_new(Program *program, NodeKind kind, Span span, Type *type, int count) {
    Node *node = arena_alloc(&program->arena, sizeof *node);
    node->kind = kind;
    node->span = span;
    node->type = type;
    node->count = count;
    if (count) node->kids = arena_alloc(&program->arena, sizeof(Node *) * (size_t)count);
    if (!node->kids) node->count = 0;
    program->nodes++;
    return node;
}

Node *node_make(Program *program, NodeKind kind, Span span, Type *type, int count, ...) {
    Node *node = node_new(program, kind, span, type, count);
    va_list kids;
    va_start(kids, count);
    for (int i = 0; i < node->count; i++) node->kids[i] = va_arg(kids, Node *);
    va_end(kids);
    return node;
}

Node *node_literal(Program *program, Span span, Type *type, uint64_t bits) {
    Node *node = node_new(program, N_Literal, span, type, 0);
    node->bits = bits;
    return node;
}

Node *node_ident(Program *program, Span span, Symbol *symbol) {
    Node *node = node_new(program, N_Ident, span, symbol->type, 0);
    node->symbol = symbol;
    node->text = symbol->name;
    return node;
}

Node *node_let(Program *program, Span span, Symbol *symbol, Node *value, Node *body) {
    Node *node = node_make(program, N_Let, span, body->type, 2, value, body);
    node->symbol = symbol;
    node->text = symbol->name;
    return node;
}

Symbol *symbol_new(Program *program, const char *name, Type *type) {
    Symbol *symbol = arena_alloc(&program->arena, sizeof *symbol);
    symbol->name = name;
    symbol->type = type;
    symbol->id = program->symbols++;
    return symbol;
}

/* A list of the slots of a chain of lets, outermost first. */
typedef struct Chain {
    Node **few[32], ***slots;
    int count, capacity;
} Chain;

static bool chain_push(Chain *chain, Program *program, Node **slot) {
    if (chain->count == chain->capacity) {
        int capacity = chain->capacity ? chain->capacity * 2 : 32;
        Node ***slots =
            chain->capacity ? arena_alloc(&program->arena, sizeof *slots * (size_t)capacity) : chain->few;
        if (!slots) return false;
        if (chain->count && slots != chain->few)
            memcpy(slots, chain->slots, sizeof *slots * (size_t)chain->count);
        chain->slots = slots;
        chain->capacity = capacity;
    }
    chain->slots[chain->count++] = slot;
    return true;
}

void node_walk(Walk *walk, Node **slot) {
    Chain chain;
    chain.count = chain.capacity = 0;
    bool inside = !walk->enter || walk->enter(walk, slot);
    while (inside && (*slot)->kind == N_Let) {
        if (!chain_push(&chain, walk->program, slot)) return;
        node_walk(walk, &(*slot)->kids[0]);
        slot = &(*slot)->kids[1];
        inside = !walk->enter || walk->enter(walk, slot);
    }
    if (inside) {
        for (int i = 0; i < (*slot)->count; i++) node_walk(walk, &(*slot)->kids[i]);
        if (walk->leave) walk->leave(walk, slot);
    }
    if (!walk->leave) return;
    while (chain.count) walk->leave(walk, chain.slots[--chain.count]);
}

/* A copy of the node itself, its binders fresh, its kids still the original's. */
static Node *node_copy(Program *program, const Node *node) {
    Node *copy = node_new(program, node->kind, node->span, node->type, node->count);
    Node **kids = copy->kids;
    int count = copy->count;
    *copy = *node;
    copy->kids = kids;
    copy->count = count;
    if (node->kind == N_Ident && node->symbol && node->symbol->twin) copy->symbol = node->symbol->twin;
    if (node->nparams == 0) return copy;
    copy->params = arena_alloc(&program->arena, sizeof *copy->params * (size_t)node->nparams);
    if (!copy->params) copy->nparams = 0;
    for (int i = 0; i < copy->nparams; i++) {
        Symbol *param = node->params[i];
        copy->params[i] = param->twin = symbol_new(program, param->name, param->type);
    }
    return copy;
}

Node *node_clone(Program *program, const Node *node) {
    Node *root = NULL, **hole = &root;
    const Node *first = node;
    for (; node->kind == N_Let; node = node->kids[1]) {
        Node *copy = node_copy(program, node);
        copy->kids[0] = node_clone(program, node->kids[0]);
        if (node->symbol)
            copy->symbol = node->symbol->twin = symbol_new(program, node->symbol->name, node->symbol->type);
        *hole = copy;
        hole = &copy->kids[1];
    }
    Node *last = node_copy(program, node);
    for (int i = 0; i < last->count; i++) last->kids[i] = node_clone(program, node->kids[i]);
    for (int i = 0; i < last->nparams; i++) node->params[i]->twin = NULL;
    *hole = last;
    for (; first != node; first = first->kids[1]) {
        if (first->symbol) first->symbol->twin = NULL;
    }
    return root;
}

static bool uses_clear(Walk *walk, Node **slot) {
    (void)walk;
    Node *node = *slot;
    if (node->symbol) node->symbol->uses = 0;
    for (int i = 0; i < node->nparams; i++) node->params[i]->uses = 0;
    return true;
}

static bool uses_add(Walk *walk, Node **slot) {
    (void)walk;
    if ((*slot)->kind == N_Ident) (*slot)->symbol->uses++;
    return true;
}

void count_uses(Program *program, Node *node) {
    Walk clear = {program, uses_clear, NULL, NULL}, add = {program, uses_add, NULL, NULL};
    node_walk(&clear, &node);
    node_walk(&add, &node);
}

static bool text_equal(const Node *a, const Node *b) {
    if (a->kind == N_Assert && (!a->text || !b->text)) return a->text == b->text;
    if (a->kind == N_String || a->kind == N_Assert)
        return a->bits == b->bits && memcmp(a->text, b->text, a->bits) == 0;
    return !node_is_foreign(a) || strcmp(a->text, b->text) == 0;
}

static bool node_same(const Node *a, const Node *b) {
    if (a->kind != b->kind || a->op != b->op || a->iter != b->iter || a->type != b->type) return false;
    if (a->count != b->count || a->nparams != b->nparams || !text_equal(a, b)) return false;
    if (a->kind == N_Ident) return (a->symbol->twin ? a->symbol->twin : a->symbol) == b->symbol;
    return a->bits == b->bits && (a->kind != N_Field || a->index == b->index);
}

/* While binders are open, those of a point to their twins in b. */
bool node_equal(const Node *a, const Node *b) {
    const Node *first = a;
    bool same = true;
    for (; same && a->kind == N_Let && b->kind == N_Let; a = a->kids[1], b = b->kids[1]) {
        same = node_same(a, b) && node_equal(a->kids[0], b->kids[0]);
        a->symbol->twin = b->symbol;
    }
    const Node *last = a;
    same = same && node_same(a, b);
    for (int i = 0; same && i < a->nparams; i++) a->params[i]->twin = b->params[i];
    for (int i = 0; same && i < a->count; i++) same = node_equal(a->kids[i], b->kids[i]);
    for (int i = 0; i < last->nparams; i++) last->params[i]->twin = NULL;
    for (; first != last; first = first->kids[1]) first->symbol->twin = NULL;
    return same;
}

/* Names of binders do not count, so uses hash by their type alone. */
uint64_t node_hash(const Node *node) {
    uint64_t hash = 0x9E3779B97F4A7C15u;
    for (;;) {
        hash = (hash ^ ((uint64_t)node->kind << 32 | (uint64_t)node->op << 24 | node->type->id)) *
               0xff51afd7ed558ccdu;
        if (node->kind == N_Literal || node->kind == N_Exchange) hash ^= node->bits * 0xc4ceb9fe1a85ec53u;
        if (node->kind == N_Field) hash ^= (uint64_t)node->index << 7;
        if (node->kind == N_String || (node->kind == N_Assert && node->text))
            hash ^= hash_bytes(node->text, (int64_t)node->bits);
        hash ^= hash >> 31;
        int last = node->count - 1;
        for (int i = 0; i < last; i++) hash = (hash ^ node_hash(node->kids[i])) * 0x9E3779B97F4A7C15u;
        if (last < 0) return hash;
        node = node->kids[last];
    }
}

int node_depth(const Node *node) {
    int deepest = 0;
    for (; node->kind == N_Let; node = node->kids[1]) {
        int depth = node_depth(node->kids[0]) + 1;
        if (depth > deepest) deepest = depth;
    }
    for (int i = 0; i < node->count; i++) {
        int depth = node_depth(node->kids[i]) + 1;
        if (depth > deepest) deepest = depth;
    }
    return deepest;
}

bool node_has_note(const Node *node, const char *key) {
    for (const Annotation *note = node->notes; note; note = note->next) {
        if (strcmp(note->key, key) == 0) return strcmp(note->value, "true") == 0;
    }
    return false;
}

bool node_keeps(const Node *node) {
    return node->kind == N_Assert || (node_is_foreign(node) && !node_has_note(node, "pure"));
}

const Node *node_source(const Node *node) {
    while (node->kind == N_Field || node->kind == N_Result) node = node->kids[0];
    return node;
}

bool node_uses(const Node *node, const Symbol *symbol) {
    for (; node->kind == N_Let; node = node->kids[1]) {
        if (node_uses(node->kids[0], symbol)) return true;
    }
    if (node->kind == N_Ident) return node->symbol == symbol;
    for (int i = 0; i < node->count; i++) {
        if (node_uses(node->kids[i], symbol)) return true;
    }
    return false;
}

bool node_is_cheap(const Node *node, int *budget) {
    if (--*budget < 0) return false;
    switch (node->kind) {
    case N_Compare:
        if (!type_is_scalar(node->kids[0]->type)) return false;
        break;
    case N_Binary:
        if (op_classes[node->op].class == 'f' || node->op == OP_rem) return false;
        if ((op_classes[node->op].traits & FAILS) && !type_is_float(node->type)) return false;
        break;
    case N_Unary:
        if (op_classes[node->op].class == 'f') return false;
        break;
    case N_Literal:
    case N_Ident:
    case N_Field:
    case N_Struct:
    case N_Let:
    case N_And:
    case N_Or:
    case N_Cast:
    case N_Select:
    case N_If:
    case N_Len: break;
    default: return false;
    }
    for (int i = 0; i < node->count; i++) {
        if (!node_is_cheap(node->kids[i], budget)) return false;
    }
    return true;
}
