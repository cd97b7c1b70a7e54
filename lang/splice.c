/* splice.c: puts the body of one typed program into another: how programs are merged from many.
 *
 *     into: |v: vec[i64]| let a = _; ...           from: |x: vec[i64]| map(x, |e| e + 1L)
 *     splice_body(from's root, {v})            =>  for(v, appender[i64], |b, i, e| merge(b, e + 1L))
 *
 * The copy has binders of its own, types of the other program's table, and spans that point to the text that it came
 * from, which becomes a further source of the other program. Parameters become the names that are given for them, so
 * nothing is evaluated twice. The program that is copied from is only read. Work and memory are linear in the size of
 * the copied bodies: types and sources are translated once for all copies from a program.
 */
#include "lang.h"

#include <string.h>

bool splice_open(Splice *splice, Program *into, const Program *from, bool copy_texts) {
    *splice = (Splice){.into = into, .from = from, .copy_texts = copy_texts};
    splice->types = arena_alloc(&into->arena, sizeof *splice->types * ((size_t)from->types.count + 1));
    splice->symbols = arena_alloc(&into->arena, sizeof *splice->symbols * ((size_t)from->symbols + 1));
    splice->sources = arena_alloc(&into->arena, sizeof *splice->sources * (size_t)from->sources);
    return splice->types && splice->symbols && splice->sources;
}

static const char *keep_text(Splice *splice, const char *text, size_t length) {
    return text && splice->copy_texts ? arena_copy(&splice->into->arena, text, length) : text;
}

static const char *keep_name(Splice *splice, const char *name) {
    return keep_text(splice, name, name ? strlen(name) : 0);
}

static Type *translate(Splice *splice, Type *type) {
    if (!type || type->id > splice->from->types.count) return type;
    Type **known = &splice->types[type->id];
    if (!*known) *known = type_import(&splice->into->types, type);
    return *known;
}

/* Sources are numbered from 1 here: 0 is not translated yet. */
static uint32_t translate_source(Splice *splice, uint32_t number) {
    if (number >= (uint32_t)splice->from->sources) return 0;
    if (!splice->sources[number]) {
        const Source *source = &splice->from->source[number];
        splice->sources[number] =
            1 + program_add_source(splice->into, keep_name(splice, source->name),
                                   keep_text(splice, source->text, source->length), source->length);
    }
    return splice->sources[number] - 1;
}

static Symbol *copy_symbol(Splice *splice, const Symbol *symbol) {
    Symbol *copy = symbol_new(splice->into, keep_name(splice, symbol->name), translate(splice, symbol->type));
    splice->symbols[symbol->id] = copy;
    return copy;
}

static Annotation *copy_notes(Splice *splice, const Annotation *note) {
    if (!splice->copy_texts) return (Annotation *)(uintptr_t)note;
    Annotation *first = NULL, **end = &first;
    for (; note; note = note->next) {
        Annotation *copy = arena_alloc(&splice->into->arena, sizeof *copy);
        *copy = (Annotation){keep_name(splice, note->key), keep_name(splice, note->value), NULL};
        *end = copy;
        end = &copy->next;
    }
    return first;
}

/* The node itself, without kids. */
static Node *copy_node(Splice *splice, const Node *node) {
    Program *into = splice->into;
    Node *copy = node_new(into, node->kind, node->span, NULL, node->count);
    Node **kids = copy->kids;
    int count = copy->count;
    *copy = *node;
    copy->span.source = translate_source(splice, node->span.source);
    copy->type = translate(splice, node->type);
    copy->notes = copy_notes(splice, node->notes);
    copy->kids = kids;
    copy->count = count;
    if (node->symbol) {
        copy->symbol = splice->symbols[node->symbol->id];
        copy->text = copy->symbol->name;
    } else if (node->text) {
        bool sized = node->kind == N_String || node->kind == N_Assert;
        copy->text = keep_text(splice, node->text, sized ? node->bits : strlen(node->text));
    }
    if (node->nparams == 0) return copy;
    copy->params = arena_alloc(&into->arena, sizeof *copy->params * (size_t)node->nparams);
    if (!copy->params) copy->nparams = 0;
    for (int i = 0; i < copy->nparams; i++) copy->params[i] = copy_symbol(splice, node->params[i]);
    return copy;
}

/* Along lets in a loop. Where memory ends the copy is cut short, and the arena says so. */
static Node *copy_tree(Splice *splice, const Node *node) {
    Node *root = NULL, **hole = &root;
    for (; node->kind == N_Let; node = node->kids[1]) {
        Node *value = copy_tree(splice, node->kids[0]);
        copy_symbol(splice, node->symbol);
        Node *let = copy_node(splice, node);
        *hole = let;
        if (!let->count) return root;
        let->kids[0] = value;
        hole = &let->kids[1];
    }
    Node *last = copy_node(splice, node);
    for (int i = 0; i < last->count; i++) last->kids[i] = copy_tree(splice, node->kids[i]);
    *hole = last;
    return root;
}

Node *splice_function(Splice *splice, const Node *lambda) {
    return copy_tree(splice, lambda);
}

Node *splice_body(Splice *splice, const Node *lambda, Symbol *const *arguments) {
    for (int i = 0; i < lambda->nparams; i++) splice->symbols[lambda->params[i]->id] = arguments[i];
    return copy_tree(splice, lambda->kids[0]);
}
