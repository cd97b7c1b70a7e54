/* arguments.c: what a C program passes in.
 *
 * A struct of arguments comes without its type, so little can be checked: that it is there, and that its
 * vectors are possible. In C any non-zero byte serves as true, while programs rely on 0 and 1; a struct with
 * another byte in a bool is copied and put right. Elements of vectors are not looked at: that would read all
 * data before every run.
 */
#include "rt.h"

#include <string.h>

static const Span nowhere = {0, 0, 0};

bool value_is_malformed(const Type *type, const void *data) {
    const char *value = data;
    if (type->kind == TY_vec) {
        const Vec *vec = (const Vec *)(const void *)value;
        return vec->length < 0 || (vec->length > 0 && !vec->data);
    }
    if (type->kind != TY_struct) return false;
    for (int i = 0; i < type->count; i++) {
        if (value_is_malformed(type->args[i], value + type->offsets[i])) return true;
    }
    return false;
}

bool arguments_check(const Signature *signature, const void *args, Error *error) {
    const Type *type = signature->argument;
    if (type->count > 0 && !args) {
        return error_set(error, E_Argument, nowhere, "the program has parameters, but its argument is NULL");
    }
    for (int i = 0; i < type->count; i++) {
        if (!value_is_malformed(type->args[i], (const char *)args + type->offsets[i])) continue;
        return error_set(error, E_Argument, nowhere,
                         "the argument for %s has a vector with a negative length, or without data",
                         signature->names[i]);
    }
    return true;
}

static bool has_loose_bool(const Type *type, const char *value) {
    if (type->kind == TY_bool) return (unsigned char)*value > 1;
    if (type->kind != TY_struct) return false;
    for (int i = 0; i < type->count; i++) {
        if (has_loose_bool(type->args[i], value + type->offsets[i])) return true;
    }
    return false;
}

static void set_bools(const Type *type, char *value) {
    if (type->kind == TY_bool) *value = *value != 0;
    if (type->kind != TY_struct) return;
    for (int i = 0; i < type->count; i++) set_bools(type->args[i], value + type->offsets[i]);
}

const void *arguments_normal(Worker *worker, const Signature *signature, const void *args) {
    const Type *type = signature->argument;
    if (!type->count || !has_loose_bool(type, args)) return args;
    char *copy = worker_alloc(worker, type->size, nowhere);
    if (!copy) return NULL;
    memcpy(copy, args, (size_t)type->size);
    set_bools(type, copy);
    return copy;
}
