/* adapter.c: adapters: libraries that emit fragments, found and loaded when one of their functions is first named.
 *
 * An adapter is a shared library of its own, libweld-NAME.so, that exports a table of functions (weld_adapter_t).
 * So a library under another licence is never linked into libweld, and what is not used is not loaded. A function is
 * text of the language: what it means, which fuses with everything around it, or calls of C functions by cfun and
 * cfill, which the adapter or its library has.
 *
 *     "gsl.mean"  ->  libweld-gsl.so in the folders of WELD_ADAPTERS, else beside libweld  ->  its row "mean"
 *
 * Adapters stay loaded and belong to the process, like the libraries of foreign.c, in a list that only grows.
 */
#include "rt.h"

#include <dirent.h>
#include <dlfcn.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

typedef struct Loaded Loaded;
struct Loaded {
    const weld_adapter_t *adapter;
    Loaded *next;
};

static _Atomic(Loaded *) adapters;

static const Span nowhere = {0, 0, 0};

static const weld_adapter_t *loaded_adapter(const char *name, size_t length) {
    for (Loaded *loaded = atomic_load(&adapters); loaded; loaded = loaded->next) {
        const char *own = loaded->adapter->name;
        if (strlen(own) == length && memcmp(own, name, length) == 0) return loaded->adapter;
    }
    return NULL;
}

/* ---- the folders ---- */

enum { PATH = 4096 };

/* Calls visit for each folder in which adapters may lie, until it returns true. */
static bool each_folder(bool (*visit)(void *data, const char *folder), void *data) {
    char folder[PATH], own[PATH];
    const char *at = secure_getenv("WELD_ADAPTERS");
    while (at && *at) {
        size_t length = strcspn(at, ":");
        if (length > 0 && length < sizeof folder) {
            snprintf(folder, sizeof folder, "%.*s", (int)length, at);
            if (visit(data, folder)) return true;
        }
        at += length + (at[length] == ':');
    }
    if (!own_folder(own, sizeof own)) return false;
    static const char *const beside[] = {"", "/weld", "/../lib", "/../lib/weld"};
    for (size_t i = 0; i < sizeof beside / sizeof *beside; i++) {
        if (snprintf(folder, sizeof folder, "%s%s", own, beside[i]) >= (int)sizeof folder) continue;
        if (visit(data, folder)) return true;
    }
    return false;
}

/* ---- loading ---- */

typedef struct Search {
    const char *name;
    size_t length;
    Error *error;
    const weld_adapter_t *found;
} Search;

/* Is it a table that this version can use? */
static bool is_usable(const weld_adapter_t *adapter, const char *path, Error *error) {
    if (adapter && adapter->version == WELD_ADAPTER_VERSION && adapter->name && adapter->functions)
        return true;
    return error_set(error, E_Library, nowhere, "%s is not an adapter of this version of weldc", path);
}

static bool load_file(const char *path, Search *search) {
    if (!library_load(path, search->error)) return false;
    void *handle = dlopen(path, RTLD_NOW | RTLD_LOCAL | RTLD_NOLOAD);
    const weld_adapter_t *(*entry)(void) = NULL;
    void *symbol = handle ? dlsym(handle, "weld_adapter") : NULL;
    memcpy(&entry, &symbol, sizeof entry);
    const weld_adapter_t *adapter = entry ? entry() : NULL;
    if (!is_usable(adapter, path, search->error)) return false;
    Loaded *loaded = malloc(sizeof *loaded);
    if (!loaded) return error_set(search->error, E_OutOfMemory, nowhere, "no memory to load %s", path);
    loaded->adapter = search->found = adapter;
    loaded->next = atomic_load(&adapters);
    while (!atomic_compare_exchange_weak(&adapters, &loaded->next, loaded)) continue;
    return true;
}

static bool load_from(void *data, const char *folder) {
    Search *search = data;
    char path[PATH];
    int length = snprintf(path, sizeof path, "%s/libweld-%.*s.so", folder, (int)search->length, search->name);
    if (length >= (int)sizeof path) return false;
    if (access(path, R_OK) != 0) return false; /* fopen would say the same where there is no memory */
    return load_file(path, search) || search->error->code != E_None;
}

/* The adapter of this name, loaded if it was not. NULL: there is none, or error set. */
static const weld_adapter_t *adapter_named(const char *name, size_t length, Error *error) {
    const weld_adapter_t *adapter = loaded_adapter(name, length);
    if (adapter || memchr(name, '/', length)) return adapter;
    Search search = {name, length, error, NULL};
    each_folder(load_from, &search);
    return search.found;
}

/* ---- functions ---- */

static const weld_function_t *function_in(const weld_adapter_t *adapter, const char *name) {
    for (const weld_function_t *f = adapter->functions; f->name; f++) {
        if (strcmp(f->name, name) == 0) return f;
    }
    return NULL;
}

static void say_missing(const weld_adapter_t *adapter, const char *name, Buf *why) {
    enum { MOST = 1024 };
    const char *names[MOST];
    size_t count = 0;
    for (const weld_function_t *f = adapter->functions; f->name && count < MOST; f++)
        names[count++] = f->name;
    const char *near = nearest_name(name, names, count);
    buf_printf(why, "%s has no function %.64s%s%.64s%s", adapter->name, name, near ? "; did you mean " : "",
               near ? near : "", near ? "?" : "");
}

/* why: what is wrong; nothing if there is no such adapter. */
static const weld_function_t *find_function(const char *full, Buf *why) {
    const char *dot = strchr(full, '.');
    Error error = {.code = E_None};
    const weld_adapter_t *adapter = dot ? adapter_named(full, (size_t)(dot - full), &error) : NULL;
    if (error.code != E_None) buf_printf(why, "%s", error.text);
    if (!adapter) return NULL;
    const weld_function_t *function = function_in(adapter, dot + 1);
    if (!function) say_missing(adapter, dot + 1, why);
    return function;
}

static const char *function_text(const weld_function_t *function) {
    return function->code ? function->code : function->native;
}

static const char *import(void *data, const char *name, Buf *why) {
    (void)data;
    const weld_function_t *function = find_function(name, why);
    return function ? function_text(function) : NULL;
}

/* Does the text call this C function, by cudf, cfun or cfill? */
static bool calls_symbol(const char *text, const char *symbol) {
    size_t length = strlen(symbol);
    for (const char *at = text; at && (at = strstr(at, symbol)) != NULL; at += length) {
        if (at > text && at[-1] == '[' && (at[length] == ',' || at[length] == ']')) return true;
    }
    return false;
}

/* A program that calls the function by hand gets its derivative as well: what it needs to run is loaded then. */
static const char *find_vjp(void *data, const char *symbol) {
    (void)data;
    for (Loaded *loaded = atomic_load(&adapters); loaded; loaded = loaded->next) {
        for (const weld_function_t *f = loaded->adapter->functions; f->name; f++) {
            if (f->vjp && (calls_symbol(f->native, symbol) || calls_symbol(f->code, symbol))) return f->vjp;
        }
    }
    return NULL;
}

const Imports adapter_imports = {import, find_vjp, NULL};

Program *program_open(const char *name, const char *text, size_t length) {
    Program *program = program_new(name, text, length);
    if (program) program->imports = &adapter_imports, program->prepare = function_fuse;
    return program;
}

weld_lazy_t weld_lazy_call(const char *function, const weld_lazy_t *arguments, int64_t count,
                           weld_error_t handle) {
    if (!function) {
        report_fault(handle, E_Argument, "the name of the function is NULL");
        return NULL;
    }
    Buf why = {0};
    const weld_function_t *found = find_function(function, &why);
    weld_lazy_t lazy = NULL;
    if (found) {
        lazy = weld_lazy_new(function, function_text(found), arguments, count, handle);
    } else {
        Error error = {.code = E_None};
        error_set(&error, E_Library, nowhere, "%.200s%s%.100s",
                  why.length ? why.text : "there is no adapter for ", why.length ? "" : function, "");
        report(handle, &error, NULL);
    }
    buf_release(&why);
    return lazy;
}

const weld_adapter_t *weld_adapter_find(const char *name, weld_error_t handle) {
    Error error = {.code = E_None};
    const weld_adapter_t *adapter = name ? adapter_named(name, strlen(name), &error) : NULL;
    if (!adapter) error_set(&error, E_Library, nowhere, "there is no adapter %.100s", name ? name : "NULL");
    report(handle, &error, NULL);
    return adapter;
}

/* ---- all that are installed ---- */

typedef struct NameList {
    char (*name)[64];
    int64_t count, room;
} NameList;

static bool list_folder(void *data, const char *folder) {
    NameList *list = data;
    DIR *dir = opendir(folder);
    for (struct dirent *entry; dir && (entry = readdir(dir));) {
        char name[64];
        int end = 0;
        if (sscanf(entry->d_name, "libweld-%63[^.].so%n", name, &end) != 1 || !end || entry->d_name[end])
            continue;
        bool known = false;
        for (int64_t i = 0; i < list->count && !known; i++) known = strcmp(list->name[i], name) == 0;
        if (known) continue;
        if (list->count == list->room) {
            int64_t room = list->room ? 2 * list->room : 16;
            void *grown = realloc(list->name, sizeof *list->name * (size_t)room);
            if (!grown) break;
            list->name = grown;
            list->room = room;
        }
        memcpy(list->name[list->count++], name, sizeof name);
    }
    if (dir) closedir(dir);
    return false;
}

static int by_name(const void *a, const void *b) {
    return strcmp(a, b);
}

void adapters_each(void (*visit)(void *data, const weld_adapter_t *adapter, const char *name,
                                 const char *why),
                   void *data) {
    NameList list = {0};
    each_folder(list_folder, &list);
    if (list.count) qsort(list.name, (size_t)list.count, sizeof *list.name, by_name);
    for (int64_t i = 0; i < list.count; i++) {
        Error error = {.code = E_None};
        const weld_adapter_t *adapter = adapter_named(list.name[i], strlen(list.name[i]), &error);
        visit(data, adapter, list.name[i], error.text);
    }
    free(list.name);
}
