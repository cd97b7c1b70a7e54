/* signature.c: the types of a program, in an arena of their own.
 *
 * A result outlives the module that made it, and still knows its type: how else could it be printed, or
 * passed on. So the types of parameters and result are copied out of the program into a signature, which the
 * module and all its results share and the last of them releases. The texts that the C interface hands out
 * lie there as well.
 */
#include "rt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static const char *type_text(Arena *arena, const Type *type) {
    Buf buf = {0};
    type_print(&buf, type);
    const char *text = buf.failed || !buf.text ? NULL : arena_copy(arena, buf.text, buf.length);
    buf_release(&buf);
    return text;
}

/* Fills in the parameters. False: no memory. */
static bool signature_parameters(Signature *signature, const Program *program) {
    int count = signature->argument->count;
    const Node *root = program->root;
    signature->names = arena_alloc(&signature->arena, (size_t)(count + 1) * sizeof *signature->names);
    signature->texts = arena_alloc(&signature->arena, (size_t)(count + 1) * sizeof *signature->texts);
    if (!signature->names || !signature->texts) return false;
    for (int i = 0; i < count; i++) {
        const char *name = root->params[i]->name;
        signature->names[i] = arena_copy(&signature->arena, name ? name : "", name ? strlen(name) : 0);
        signature->texts[i] = type_text(&signature->arena, signature->argument->args[i]);
        if (!signature->names[i] || !signature->texts[i]) return false;
    }
    return true;
}

Signature *signature_new(const Program *program, const Type *argument, const Type *result) {
    Signature *signature = calloc(1, sizeof *signature);
    if (!signature) return NULL;
    atomic_init(&signature->refs, 1);
    if (!arena_init(&signature->arena)) {
        free(signature);
        return NULL;
    }
    types_init(&signature->types, &signature->arena);
    signature->argument = type_import(&signature->types, argument);
    signature->result = type_import(&signature->types, result);
    signature->result_text = type_text(&signature->arena, result);
    bool ok = signature->argument && signature->result && signature->result_text &&
              signature_parameters(signature, program) && !signature->arena.exhausted;
    if (ok) return signature;
    signature_drop(signature);
    return NULL;
}

Signature *signature_part(Signature *whole, int field) {
    Signature *signature = calloc(1, sizeof *signature);
    if (!signature) return NULL;
    Buf text = {0};
    atomic_init(&signature->refs, 1);
    signature->whole = signature_hold(whole);
    signature->result = whole->result->args[field];
    type_print(&text, signature->result);
    signature->result_text = text.text; /* released with it */
    if (!text.failed && text.text) return signature;
    signature_drop(signature);
    return NULL;
}

Signature *signature_hold(Signature *signature) {
    atomic_fetch_add_explicit(&signature->refs, 1, memory_order_relaxed);
    return signature;
}

void signature_drop(Signature *signature) {
    if (!signature || atomic_fetch_sub_explicit(&signature->refs, 1, memory_order_acq_rel) != 1) return;
    if (signature->whole) {
        free((char *)(uintptr_t)signature->result_text);
        signature_drop(signature->whole);
    } else {
        arena_release(&signature->arena);
    }
    free(signature);
}
