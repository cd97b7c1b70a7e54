/* foreign.c: C functions that programs call.
 *
 * cudf, cfun and cfill (lang/eval/eval_foreign.c) name a C function. The function is looked for in the libraries loaded with
 * weld_load_library, the latest first, then in the process: the libraries that the program was linked with,
 * and the program itself (symtab.c helps where it was linked without -rdynamic). Compiled code gets the
 * address and calls it directly. The interpreter knows only at run time how many pointers to pass, which
 * libffi does.
 *
 * Loaded libraries stay loaded and are known to the whole process, as in Weld, whose interface has no other
 * place for them: a list that only grows, by a compare-and-swap at its head, so that looking up needs no
 * lock.
 */
#include "rt.h"

#include <dlfcn.h>
#include <ffi.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Library Library;
struct Library {
    void *handle;
    Library *next;
};

static _Atomic(Library *) libraries;

/* dlopen, which looks for a name without a slash in the system's folders only; then in the current one. */
static void *library_open(const char *path) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    if (handle || strchr(path, '/') || access(path, F_OK) != 0) return handle;
    char here[4096];
    if (snprintf(here, sizeof here, "./%s", path) >= (int)sizeof here) return NULL;
    return dlopen(here, RTLD_NOW | RTLD_LOCAL);
}

bool library_load(const char *path, Error *error) {
    static const Span nowhere = {0, 0, 0};
    if (!path || !*path) return error_set(error, E_Library, nowhere, "no library is named");
    Library *library = malloc(sizeof *library);
    if (!library) return error_set(error, E_OutOfMemory, nowhere, "no memory to load %s", path);
    library->handle = library_open(path);
    if (!library->handle) {
        const char *why = dlerror();
        free(library);
        return error_set(error, E_Library, nowhere, "cannot load %s: %s", path, why ? why : "unknown reason");
    }
    divide_offer(library->handle);
    library->next = atomic_load(&libraries);
    while (!atomic_compare_exchange_weak(&libraries, &library->next, library)) continue;
    rt_log(WELD_LOG_INFO, "loaded %s", path);
    return true;
}

void weld_load_library(const char *filename, weld_error_t handle) {
    Error error = {.code = E_None};
    library_load(filename, &error);
    report(handle, &error, NULL);
}

void *foreign_symbol(const char *name) {
    for (Library *library = atomic_load(&libraries); library; library = library->next) {
        void *address = dlsym(library->handle, name);
        if (address) return address;
    }
    void *address = dlsym(RTLD_DEFAULT, name);
    return address ? address : executable_symbol(name);
}

static void *host_symbol(void *data, const char *name) {
    (void)data;
    return foreign_symbol(name);
}

/* What libffi needs for a call of `count` arguments. */
typedef struct Ffi {
    ffi_type *few_types[16], **types;
    void *few_values[16], **values;
} Ffi;

static bool ffi_open(Ffi *call, int count) {
    enum { FEW = sizeof call->few_values / sizeof *call->few_values };
    call->types = call->few_types;
    call->values = call->few_values;
    if (count > FEW) {
        call->types = malloc((size_t)count * sizeof *call->types);
        call->values = malloc((size_t)count * sizeof *call->values);
    }
    return call->types && call->values;
}

static void ffi_close(Ffi *call) {
    if (call->types != call->few_types) free(call->types);
    if (call->values != call->few_values) free(call->values);
}

static bool ffi_run(Ffi *call, void *function, int count, ffi_type *type, void *result) {
    ffi_cif cif;
    void (*code)(void);
    if (ffi_prep_cif(&cif, FFI_DEFAULT_ABI, (unsigned)count, type, call->types) != FFI_OK) return false;
    memcpy(&code, &function, sizeof code);
    ffi_call(&cif, code, result, call->values);
    return true;
}

static bool host_call(void *data, void *function, int count, void **arguments, int32_t *status) {
    Ffi call;
    ffi_arg result = 0;
    (void)data;
    bool ok = ffi_open(&call, count);
    for (int i = 0; ok && i < count; i++) {
        call.types[i] = &ffi_type_pointer;
        call.values[i] = &arguments[i];
    }
    ok = ok && ffi_run(&call, function, count, status ? &ffi_type_sint32 : &ffi_type_void, &result);
    if (ok && status) *status = (int32_t)result;
    ffi_close(&call);
    return ok;
}

struct _ffi_type *ffi_scalar(TypeKind kind) {
    switch (kind) {
    case TY_bool:
    case TY_u8: return &ffi_type_uint8;
    case TY_i8: return &ffi_type_sint8;
    case TY_i16: return &ffi_type_sint16;
    case TY_u16: return &ffi_type_uint16;
    case TY_i32: return &ffi_type_sint32;
    case TY_u32: return &ffi_type_uint32;
    case TY_u64: return &ffi_type_uint64;
    case TY_f32: return &ffi_type_float;
    case TY_f64: return &ffi_type_double;
    default: return &ffi_type_sint64;
    }
}

/* libffi widens an integer result to a whole word. */
static void narrow(TypeKind kind, const void *word, void *result) {
    ffi_arg wide;
    memcpy(&wide, word, sizeof wide);
    bool is_true = (uint8_t)wide != 0;
    switch (type_classes[kind].bits) {
    case 8:
        memcpy(result, kind == TY_bool ? (const void *)&is_true : (const void *)&(uint8_t){(uint8_t)wide}, 1);
        break;
    case 16: memcpy(result, &(uint16_t){(uint16_t)wide}, 2); break;
    case 32: memcpy(result, &(uint32_t){(uint32_t)wide}, 4); break;
    default: memcpy(result, &wide, 8); break;
    }
}

static bool host_call_value(void *data, void *function, int count, const TypeKind *types, void **arguments,
                            TypeKind type, void *result) {
    Ffi call;
    union {
        ffi_arg word;
        double f64;
        float f32;
    } out = {0};
    (void)data;
    bool ok = ffi_open(&call, count);
    for (int i = 0; ok && i < count; i++) {
        call.types[i] = ffi_scalar(types[i]);
        call.values[i] = arguments[i];
    }
    ok = ok && ffi_run(&call, function, count, ffi_scalar(type), &out);
    if (ok && type == TY_f64)
        memcpy(result, &out.f64, sizeof out.f64);
    else if (ok && type == TY_f32)
        memcpy(result, &out.f32, sizeof out.f32);
    else if (ok)
        narrow(type, &out.word, result);
    ffi_close(&call);
    return ok;
}

static void *no_symbol(void *data, const char *name) {
    (void)data, (void)name;
    return NULL;
}

const Host foreign_host = {.symbol = host_symbol, .call = host_call, .call_value = host_call_value};
const Host no_foreign = {.symbol = no_symbol, .call = host_call, .call_value = host_call_value};
