/* bind.c: values of the caller's under names, for expressions.
 *
 *     bind(frame, "least", f64, lazy); filter(.., "price > $least")  =>  |p0, p1| for(p0, .., |b, i, e| .. x0 > p1 ..)
 *
 * A value is an argument of the fragment and never a part of its text: quotes in a text mean nothing, and the program for
 * another value is the same one. A frame holds its newest binding, which holds the one before it; frames that are made from
 * it hold the same.
 */
#include "frame.h"

#include <stdatomic.h>

struct Binding {
    atomic_long references;
    Binding *before;
    Kind kind;
    weld_lazy_t value;
    char name[];
};

Binding *binding_hold(Binding *binding) {
    if (binding) atomic_fetch_add_explicit(&binding->references, 1, memory_order_relaxed);
    return binding;
}

void binding_drop(Binding *binding) {
    while (binding && atomic_fetch_sub_explicit(&binding->references, 1, memory_order_acq_rel) == 1) {
        Binding *before = binding->before;
        weld_lazy_free(binding->value);
        free(binding);
        binding = before;
    }
}

weld_lazy_t binding_find(const Binding *binding, const char *name, int64_t length, Kind *kind) {
    for (; binding; binding = binding->before) {
        if ((int64_t)strlen(binding->name) != length || memcmp(binding->name, name, (size_t)length) != 0)
            continue;
        *kind = binding->kind;
        return binding->value;
    }
    return NULL;
}

static bool check_bind(weld_frame_t frame, const char *name, Kind kind, const char *function,
                       weld_error_t error) {
    if (!frame_check(frame, function, error)) return false;
    if (!name || !parse_is_word(name))
        frame_fail(error, function, "the name of a value is a word of letters, digits and _");
    else if (!weld_frame_type_name(kind))
        frame_fail(error, function, "`%.200s` has no type", name);
    else
        return true;
    return false;
}

/* Takes over the value. */
static weld_frame_t bind(weld_frame_t frame, const char *function, const char *name, Kind kind,
                         weld_lazy_t value, weld_error_t error) {
    size_t bytes = strlen(name) + 1;
    Binding *binding = value ? calloc(1, sizeof *binding + bytes) : NULL;
    weld_frame_t made = binding ? frame_copy(frame, function, error) : NULL;
    if (!made) {
        if (value && !binding) frame_no_memory(error);
        weld_lazy_free(value);
        free(binding);
        return NULL;
    }
    atomic_init(&binding->references, 1);
    binding->before = made->bound;
    binding->kind = kind;
    binding->value = value;
    memcpy(binding->name, name, bytes);
    made->bound = binding;
    return made;
}

weld_frame_t weld_frame_bind(weld_frame_t frame, const char *name, weld_frame_type type, weld_lazy_t value,
                             weld_error_t error) {
    static const char function[] = "frame.bind";
    if (!check_bind(frame, name, type, function, error)) return NULL;
    const char *own = weld_lazy_type(value);
    if (!own || strcmp(own, kind_code(type)) != 0)
        return frame_fail(error, function, "`%.200s` is to be %s, but it is %.200s", name, kind_code(type),
                          own ? own : "no lazy value");
    return bind(frame, function, name, type, weld_lazy_hold(value), error);
}

static weld_lazy_t lazy_text(const weld_frame_text_t *text, weld_error_t error) {
    weld_frame_text_t copy = {malloc(text->length ? (size_t)text->length : 1), text->length};
    if (!copy.data) return frame_no_memory(error);
    if (text->length) memcpy((char *)copy.data, text->data, (size_t)text->length);
    weld_lazy_t lazy = weld_lazy_data("vec[i8]", &copy, free, (void *)copy.data, error);
    if (!lazy) free((void *)copy.data);
    return lazy;
}

weld_frame_t weld_frame_bind_data(weld_frame_t frame, const char *name, weld_frame_type type,
                                  const void *value, weld_error_t error) {
    static const char function[] = "frame.bind_data";
    if (!check_bind(frame, name, type, function, error)) return NULL;
    const weld_frame_text_t *text = type == WELD_FRAME_TEXT ? value : NULL;
    if (!value || (text && (text->length < 0 || (text->length && !text->data))))
        return frame_fail(error, function, "`%.200s` has no value", name);
    return bind(frame, function, name, type,
                text ? lazy_text(text, error) : weld_lazy_data(kind_code(type), value, NULL, NULL, error),
                error);
}
