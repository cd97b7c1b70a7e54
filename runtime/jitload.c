/* jitload.c: finds the code generator.
 *
 * LLVM is large, so all that uses it lies in libweldjit.so, which is loaded when the first program is
 * compiled. It is looked for beside the file that this code lies in (lib/libweld.so), in lib/ next to that
 * folder (for bin/weldc), and then where the system looks for libraries. Once loaded it stays, for all
 * modules of the process.
 */
#include "rt.h"

#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static _Atomic(const Jit *) loaded;

static const Jit *jit_open(const char *path) {
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    const Jit *jit = handle ? dlsym(handle, "weld_jit") : NULL;
    if (handle && !jit) dlclose(handle);
    if (jit) rt_log(WELD_LOG_DEBUG, "code generator: %s", path);
    return jit;
}

/* A program that was found by PATH is known to the loader by its bare name: then the process tells. */
bool own_folder(char *folder, size_t size) {
    Dl_info info;
    char *real = NULL;
    if (dladdr((void *)&loaded, &info) && info.dli_fname && strchr(info.dli_fname, '/')) {
        real = realpath(info.dli_fname, NULL);
    }
    if (!real) real = realpath("/proc/self/exe", NULL);
    char *slash = real ? strrchr(real, '/') : NULL;
    bool ok = slash && snprintf(folder, size, "%.*s", (int)(slash - real), real) < (int)size;
    free(real);
    return ok;
}

const Jit *jit_load(Error *error) {
    static const Span nowhere = {0, 0, 0};
    static const char *const places[] = {"/libweldjit.so", "/../lib/libweldjit.so"};
    const Jit *jit = atomic_load(&loaded);
    char folder[3500], path[3600];
    bool known = !jit && own_folder(folder, sizeof folder);
    for (size_t i = 0; known && !jit && i < sizeof places / sizeof *places; i++) {
        snprintf(path, sizeof path, "%s%s", folder, places[i]);
        jit = jit_open(path);
    }
    if (!jit) jit = jit_open("libweldjit.so");
    if (!jit) {
        const char *why = dlerror();
        error_set(error, E_Library, nowhere, "the code generator libweldjit.so cannot be loaded: %s",
                  why ? why : "it is not installed");
        return NULL;
    }
    atomic_store(&loaded, jit);
    return jit;
}
