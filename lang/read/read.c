/* read.c: a program's text and the prelude's, read and resolved: on the caller's stack first, with a small limit of
 * nesting, and on a large one where that was not enough. */
#include "resolve.h"

#include <stdio.h>
#include <string.h>

typedef struct Reading {
    Program *program;
    uint32_t prelude; /* its source */
    int deepest;
    Macro *macros;
    Node *root; /* parsed; NULL: not yet */
    bool ok;
} Reading;

/* A parameter f that is a C function becomes its address, and f a function that calls there:
 *
 *     |v, f| map(v, |x| f(x))   =>   |v, address: i64| let f = |a: f64| cfun[*, f64](address, a); map(v, |x| f(x))
 */
static Node *bind_callback(Program *program, const Node *root, int number, Node *body) {
    const Type *type = program->callbacks[number];
    Symbol *param = root->params[number];
    int count = type->count - 1;
    Node *call =
        node_new(program, N_Cfun, root->span, type_import(&program->types, type->args[count]), count + 1);
    Node *lambda = node_make(program, N_Lambda, root->span, NULL, 1, call);
    lambda->params = arena_alloc(&program->arena, sizeof *lambda->params * (size_t)(count + 1));
    if (!lambda->params || call->count != count + 1) return NULL;
    for (int i = -1; i < count; i++) {
        char text[32];
        snprintf(text, sizeof text, i < 0 ? "address %d" : "argument %d", i < 0 ? number : i);
        Name *name = name_intern(program, text, strlen(text)); /* no program can write a blank in a name */
        call->kids[i + 1] = node_new(program, N_Ident, root->span, NULL, 0);
        if (!name) return NULL;
        call->kids[i + 1]->text = name->text;
        if (i >= 0)
            lambda->params[i] = symbol_new(program, name->text, type_import(&program->types, type->args[i]));
        else
            root->params[number] = symbol_new(program, name->text, type_scalar(&program->types, TY_i64));
    }
    lambda->nparams = count;
    call->text = CALLBACK;
    call->notes = (Annotation *)(uintptr_t)program->callback_notes[number];
    Node *let = node_make(program, N_Let, root->span, NULL, 2, lambda, body);
    let->text = param->name;
    return let;
}

static bool bind_callbacks(Program *program, Node *root) {
    while (root->kind == N_Let) root = root->kids[1];
    for (int i = 0; root->kind == N_Lambda && i < root->nparams; i++) {
        if (!program->callbacks[i]) continue;
        root->kids[0] = bind_callback(program, root, i, root->kids[0]);
        if (!root->kids[0])
            return error_set(&program->error, E_OutOfMemory, root->span, "no memory for this program");
    }
    return true;
}

static void read_within(void *data) {
    Reading *reading = data;
    Program *program = reading->program;
    program->depth = reading->deepest;
    if (!reading->root) {
        reading->macros = NULL;
        program->names = (Names){0};
        if (!parse_source(program, reading->prelude, &reading->macros, NULL)) return;
        if (!parse_source(program, 0, &reading->macros, &reading->root)) return;
        if (program->callbacks && !bind_callbacks(program, reading->root)) return;
    }
    Node *root = reading->root;
    reading->ok = resolve(program, reading->macros, &root);
    if (reading->ok) program->root = root;
}

bool program_read(Program *program) {
    if (program->error.code != E_None) return false;
    if (program->source[0].length > (size_t)1 << 30)
        return error_set(&program->error, E_Syntax, (Span){0, 0, 0}, "the program is over a gigabyte long");
    uint32_t prelude = program_add_source(program, "prelude.weld", prelude_weld, prelude_weld_length);
    Reading reading = {.program = program, .prelude = prelude, .deepest = SHALLOW};
    read_within(&reading);
    if (reading.ok || program->depth != 0) return reading.ok;
    program->error = (Error){0};
    reading.deepest = DEEPEST;
    if (!run_deep(DEEPEST, read_within, &reading))
        return error_set(&program->error, E_OutOfMemory, (Span){0, 0, 0},
                         "no memory to read a program this deep");
    return reading.ok;
}
