/* foreign.c: C functions that programs call with cudf.
 *
 * cudf[name, R](a, b) means void name(A *, B *, R *). The function is looked for in the libraries loaded with
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

/* Calls void function(void *, ...) with `count` pointers. */
static bool host_call(void *data, void *function, int count, void **arguments) {
    enum { FEW = 16 };
    ffi_type *few_types[FEW], **types = few_types;
    void *few_values[FEW], **values = few_values;
    (void)data;
    if (count > FEW) {
        types = malloc((size_t)count * sizeof *types);
        values = malloc((size_t)count * sizeof *values);
    }
    ffi_cif cif;
    bool ok = types && values;
    for (int i = 0; ok && i < count; i++) {
        types[i] = &ffi_type_pointer;
        values[i] = &arguments[i];
    }
    ok = ok && ffi_prep_cif(&cif, FFI_DEFAULT_ABI, (unsigned)count, &ffi_type_void, types) == FFI_OK;
    if (ok) {
        void (*code)(void);
        memcpy(&code, &function, sizeof code);
        ffi_call(&cif, code, NULL, values);
    }
    if (types != few_types) free(types);
    if (values != few_values) free(values);
    return ok;
}

static void *no_symbol(void *data, const char *name) {
    (void)data, (void)name;
    return NULL;
}

const Host foreign_host = {.symbol = host_symbol, .call = host_call};
const Host no_foreign = {.symbol = no_symbol, .call = host_call};
