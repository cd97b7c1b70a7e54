/* lazy.c: lazy values: what is to be computed, as a graph.
 *
 * A lazy value is data that are there, or a fragment of the language and the lazy values that its parameters stand
 * for. Making one computes nothing; it reads and types the fragment's text unless that was done before (emission.c).
 *
 *     x = data vec[f64]        y = add(x, x)        s = sum(y)          s -> y => x
 *
 * Lazy values never change, but for one thing: one that is kept gets its value when it is first computed, and is
 * data from then on. So any number of threads may use them at once. merge.c makes one program of a graph,
 * evaluate.c runs it.
 */
#include "lazy.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

static Lazy *lazy_new(Emission *emission, int64_t count) {
    Lazy *lazy = calloc(1, sizeof *lazy + (size_t)count * sizeof *lazy->kids);
    if (!lazy) return NULL;
    object_init(&lazy->object, HANDLE_LAZY);
    lazy->emission = emission;
    lazy->count = count;
    return lazy;
}

void lazy_destroy(Lazy *lazy, Object **dead) {
    for (int64_t i = 0; i < lazy->count; i++) object_bury(lazy->kids[i], dead);
    object_bury(atomic_load(&lazy->value), dead);
    callback_free(lazy->callback);
    if (lazy->release) lazy->release(lazy->user);
    emission_drop(lazy->emission);
    free(lazy->data);
    free(lazy);
}

/* Lazy values are made by whoever likes; a caller's NULL becomes an error with a message. */
static void *refuse(weld_error_t handle, const char *text) {
    report_fault(handle, E_Argument, text);
    return NULL;
}

static void *no_memory(weld_error_t handle) {
    report_fault(handle, E_OutOfMemory, "no memory for a lazy value");
    return NULL;
}

/* The emission of data: the function that gives back its argument. */
static Emission *emission_of_type(const char *type, weld_error_t handle) {
    Error error = {.code = E_None};
    Buf text = {0};
    buf_printf(&text, "|data: %s| data", type);
    Emission *emission = NULL;
    if (text.failed)
        no_memory(handle);
    else
        emission = emission_find("data", text.text, NULL, NULL, 0, &error, handle);
    buf_release(&text);
    return emission;
}

weld_lazy_t weld_lazy_data(const char *type, const void *data, void (*release)(void *user), void *user,
                           weld_error_t handle) {
    if (!type) return refuse(handle, "the type of the data is NULL");
    if (!data) return refuse(handle, "the data are NULL");
    Emission *emission = emission_of_type(type, handle);
    if (!emission) return NULL;
    const Type *of = emission->result;
    if (value_is_malformed(of, data)) {
        emission_drop(emission);
        return refuse(handle,
                      "the data have a vector with a negative length, or without elements where there "
                      "should be some");
    }
    Lazy *lazy = lazy_new(emission, 0);
    size_t size = of->size > 0 ? (size_t)of->size : 1;
    if (lazy) lazy->data = calloc(1, size);
    if (!lazy || !lazy->data) {
        if (lazy)
            object_drop(lazy);
        else
            emission_drop(emission);
        return no_memory(handle);
    }
    memcpy(lazy->data, data, (size_t)of->size);
    lazy->release = release;
    lazy->user = user;
    return lazy;
}

/* |a0: f64, a1: f64, returned: f64| returned */
static void signature_print(Buf *out, const char *const *types, int64_t count, const char *result) {
    buf_put(out, "|", 1);
    for (int64_t i = 0; i < count; i++)
        buf_printf(out, "a%lld: %s, ", (long long)i, types[i] ? types[i] : "?");
    buf_printf(out, "returned: %s| returned", result);
}

weld_lazy_t weld_lazy_callback(const char *const *types, int64_t count, const char *result, uint64_t traits,
                               weld_callback_t function, void (*release)(void *user), void *user,
                               weld_error_t handle) {
    enum { MOST = 64 };
    if (!function || !result || count < 0 || count > MOST || (count && !types))
        return refuse(handle, "the callback, or its types, are missing, or too many");
    Error error = {.code = E_None};
    Buf text = {0};
    signature_print(&text, types, count, result);
    Emission *emission =
        text.failed ? NULL : emission_of_callback(text.text, (int)(traits & 3), &error, handle);
    if (text.failed) no_memory(handle);
    buf_release(&text);
    if (!emission) return NULL;
    Lazy *lazy = lazy_new(emission, 0);
    if (lazy) lazy->data = calloc(1, sizeof(int64_t));
    if (lazy) lazy->callback = callback_new(function, user, emission->result);
    if (!lazy || !lazy->data || !lazy->callback) {
        if (lazy)
            object_drop(lazy);
        else
            emission_drop(emission);
        return no_memory(handle);
    }
    *(int64_t *)lazy->data = callback_address(lazy->callback);
    lazy->release = release;
    lazy->user = user;
    return lazy;
}

weld_lazy_t weld_lazy_value(weld_value_t value_handle, weld_error_t handle) {
    Value *value = handle_as(value_handle, HANDLE_VALUE);
    if (!value) return refuse(handle, "this is not a value");
    if (!value->signature)
        return refuse(handle, "the type of the caller's own values is not known; use weld_lazy_data");
    if (value->signature->result->builders) return refuse(handle, "a builder cannot be a lazy value");
    Emission *emission = emission_of_type(value->signature->result_text, handle);
    if (!emission) return NULL;
    Lazy *lazy = lazy_new(emission, 0);
    if (!lazy) {
        emission_drop(emission);
        return no_memory(handle);
    }
    atomic_store(&lazy->value, object_hold(value));
    return lazy;
}

enum { FEW = 16 };

weld_lazy_t weld_lazy_new(const char *function, const char *code, const weld_lazy_t *arguments, int64_t count,
                          weld_error_t handle) {
    if (!code) return refuse(handle, "the code of the fragment is NULL");
    if (count < 0 || count > WELD_LAZY_ARGUMENTS || (count > 0 && !arguments))
        return refuse(handle, "the arguments of the fragment are missing, or too many");
    const Type *few_types[FEW], **types = few_types;
    const char *few_texts[FEW], **texts = few_texts;
    if (count > FEW) {
        types = malloc((size_t)count * sizeof *types);
        texts = malloc((size_t)count * sizeof *texts);
    }
    bool ok = types && texts;
    if (!ok) no_memory(handle);
    for (int64_t i = 0; ok && i < count; i++) {
        const Lazy *argument = handle_as(arguments[i], HANDLE_LAZY);
        if (!argument) {
            ok = refuse(handle, "an argument of the fragment is not a lazy value");
            break;
        }
        types[i] = argument->emission->result;
        texts[i] = argument->emission->result_text;
    }
    Error error = {.code = E_None};
    Emission *emission =
        ok ? emission_find(function ? function : "<fragment>", code, types, texts, count, &error, handle)
           : NULL;
    if (types != few_types) free(types);
    if (texts != few_texts) free(texts);
    if (!emission) return NULL;
    Lazy *lazy = lazy_new(emission, count);
    if (!lazy) {
        emission_drop(emission);
        return no_memory(handle);
    }
    for (int64_t i = 0; i < count; i++) lazy->kids[i] = object_hold(arguments[i]);
    return lazy;
}

weld_lazy_t weld_lazy_hold(weld_lazy_t handle) {
    return handle_as(handle, HANDLE_LAZY) ? object_hold(handle) : NULL;
}

void weld_lazy_free(weld_lazy_t handle) {
    object_drop(handle_as(handle, HANDLE_LAZY));
}

void weld_lazy_keep(weld_lazy_t handle) {
    Lazy *lazy = handle_as(handle, HANDLE_LAZY);
    if (lazy) atomic_store(&lazy->keep, true);
}

const char *weld_lazy_type(weld_lazy_t handle) {
    Lazy *lazy = handle_as(handle, HANDLE_LAZY);
    return lazy ? lazy->emission->result_text : NULL;
}

const char *weld_lazy_function(weld_lazy_t handle) {
    Lazy *lazy = handle_as(handle, HANDLE_LAZY);
    return lazy ? lazy->emission->name : NULL;
}

const char *weld_lazy_code(weld_lazy_t handle) {
    Lazy *lazy = handle_as(handle, HANDLE_LAZY);
    return lazy ? lazy->emission->text : NULL;
}

int64_t weld_lazy_argument_count(weld_lazy_t handle) {
    Lazy *lazy = handle_as(handle, HANDLE_LAZY);
    return lazy ? lazy->count : -1;
}

weld_lazy_t weld_lazy_argument(weld_lazy_t handle, int64_t index) {
    Lazy *lazy = handle_as(handle, HANDLE_LAZY);
    return lazy && index >= 0 && index < lazy->count ? object_hold(lazy->kids[index]) : NULL;
}

/* ---- for merge.c and evaluate.c ---- */

const void *lazy_data(const Lazy *lazy) {
    const Value *value = atomic_load(&lazy->value);
    return value ? value->data : lazy->data;
}

void lazy_set_value(Lazy *lazy, Value *value) {
    Value *none = NULL;
    object_hold(value);
    if (!atomic_compare_exchange_strong(&lazy->value, &none, value)) object_drop(value);
}
