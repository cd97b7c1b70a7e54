/* callback.c: C functions of the caller's, callable from programs.
 *
 * A program calls functions of scalars by value, through an address. A callback takes pointers to its arguments and to
 * its result, and the caller's own pointer. Between the two stands a closure of libffi: a few bytes of machine code,
 * made when the lazy value is, whose address is data of the program, so that one compiled program serves all callbacks
 * of the same types.
 *
 *     program: cfun[*, f64](address, x)  ->  closure(x)  ->  function(user, {&x}, &result)
 */
#include "rt.h"

#include <ffi.h>
#include <stdlib.h>
#include <string.h>

struct Callback {
    CallbackFunction function;
    void *user;
    TypeKind result;
    ffi_closure *closure;
    void *address;
    ffi_cif cif;
    ffi_type *types[];
};

/* libffi wants an integer result widened to a word. */
static void widen(TypeKind kind, const void *value, void *out) {
    int64_t word = 0;
    switch (kind) {
    case TY_bool: word = *(const uint8_t *)value != 0; break;
    case TY_i8: word = *(const int8_t *)value; break;
    case TY_u8: word = *(const uint8_t *)value; break;
    case TY_i16: word = *(const int16_t *)value; break;
    case TY_u16: word = *(const uint16_t *)value; break;
    case TY_i32: word = *(const int32_t *)value; break;
    case TY_u32: word = *(const uint32_t *)value; break;
    default: memcpy(&word, value, sizeof word); break;
    }
    memcpy(out, &word, sizeof(ffi_arg));
}

static void called(ffi_cif *cif, void *out, void **arguments, void *data) {
    const Callback *callback = data;
    (void)cif;
    union {
        uint64_t word;
        double f64;
        float f32;
    } result = {0};
    callback->function(callback->user, arguments, &result);
    if (callback->result == TY_f64)
        memcpy(out, &result.f64, sizeof result.f64);
    else if (callback->result == TY_f32)
        memcpy(out, &result.f32, sizeof result.f32);
    else
        widen(callback->result, &result, out);
}

Callback *callback_new(CallbackFunction function, void *user, const Type *type) {
    int count = type->count - 1;
    Callback *callback = calloc(1, sizeof *callback + (size_t)(count + 1) * sizeof *callback->types);
    if (!callback) return NULL;
    callback->function = function;
    callback->user = user;
    callback->result = type->args[count]->kind;
    for (int i = 0; i <= count; i++) callback->types[i] = ffi_scalar(type->args[i]->kind);
    callback->closure = ffi_closure_alloc(sizeof *callback->closure, &callback->address);
    bool ok = callback->closure && ffi_prep_cif(&callback->cif, FFI_DEFAULT_ABI, (unsigned)count,
                                                callback->types[count], callback->types) == FFI_OK;
    if (ok && ffi_prep_closure_loc(callback->closure, &callback->cif, called, callback, callback->address) ==
                  FFI_OK)
        return callback;
    callback_free(callback);
    return NULL;
}

int64_t callback_address(const Callback *callback) {
    return (int64_t)(intptr_t)callback->address;
}

void callback_free(Callback *callback) {
    if (!callback) return;
    if (callback->closure) ffi_closure_free(callback->closure);
    free(callback);
}
