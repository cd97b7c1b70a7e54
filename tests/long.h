/* long.h: arguments of the corpus, their vectors repeated until they are long. */
#ifndef LONG_H
#define LONG_H

#include "matrix.h"
#include "../runtime/rt.h"

enum { LONG = 60000, LONG_INSIDE = 400, MOST_DEPTH = 4 };

/* The arguments of a case, of which vectors are made long. */
typedef struct Arguments {
    weld_context_t context;
    weld_value_t values[MAX_ARGS];
    char *data;
    void *made[64];
    int count, length;
} Arguments;

/* All vectors of the value that are in no other vector have about `length` elements: theirs again and again. */
static inline void make_long(Arguments *arguments, const Type *type, char *at, int depth) {
    if (type->kind == TY_struct) {
        for (int i = 0; i < type->count && depth < MOST_DEPTH; i++)
            make_long(arguments, type->args[i], at + type->offsets[i], depth + 1);
        return;
    }
    Vec *vec = (Vec *)(void *)at;
    if (type->kind != TY_vec || vec->length == 0 || arguments->count == 64) return;
    int64_t size = type->args[0]->size, times = arguments->length / vec->length + 1;
    char *room = malloc((size_t)(size * vec->length * times) + 1);
    if (!room) return;
    for (int64_t i = 0; i < times && size; i++)
        memcpy(room + i * vec->length * size, vec->data, (size_t)(vec->length * size));
    arguments->made[arguments->count++] = room;
    *vec = (Vec){room, vec->length * times};
}

/* Are there loops in loops? */
static inline bool is_nested(const Node *node, int loops) {
    bool loop = node->kind == N_For || node->kind == N_Iterate;
    if (loop && loops) return true;
    for (int i = 0; i < node->count; i++) {
        if (is_nested(node->kids[i], loops + (loop && node->kids[i]->kind == N_Lambda))) return true;
    }
    return false;
}

/* C functions are made for the arguments that they get. */
static inline bool is_foreign(const Node *node) {
    bool foreign = node_is_foreign(node);
    for (int i = 0; i < node->count && !foreign; i++) foreign = is_foreign(node->kids[i]);
    return foreign;
}

/* How long vectors are made. */
static inline int arguments_length(weld_module_t module) {
    Program *program = module_optimized(module);
    int length = !program || is_nested(program->root, 0) ? LONG_INSIDE : LONG;
    if (!program || is_foreign(program->root)) length = 0;
    program_free(program);
    return length;
}

static inline bool arguments_read(Arguments *arguments, const Case *c, const Type *type) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval");
    arguments->context = weld_context_new(conf);
    arguments->data = calloc(1, (size_t)type->size + 1);
    bool ok = type->count == c->nargs;
    for (int i = 0; ok && i < c->nargs; i++) {
        Error error = {.code = E_None};
        weld_module_t module =
            module_compile("argument", c->args[i], strlen(c->args[i]), type->args[i], conf, &error, NULL);
        weld_value_t value = module ? module_run(module, arguments->context, NULL, NULL, &error) : NULL;
        weld_module_free(module);
        arguments->values[i] = value;
        ok = value != NULL;
        if (!ok) continue;
        char *at = arguments->data + type->offsets[i];
        memcpy(at, weld_value_data(value), (size_t)type->args[i]->size);
        make_long(arguments, type->args[i], at, 0);
    }
    weld_conf_free(conf);
    return ok;
}

static inline void arguments_free(Arguments *arguments, int count) {
    for (int i = 0; i < count; i++) weld_value_free(arguments->values[i]);
    for (int i = 0; i < arguments->count; i++) free(arguments->made[i]);
    weld_context_free(arguments->context);
    free(arguments->data);
}

#endif
