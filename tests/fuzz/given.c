/* given.c: what a random program is given and calls, and how exactly its answer must be met. */
#include "differential.h"

#include <stdlib.h>
#include <string.h>

/* ---- C functions that the programs call, for every scalar type ---- */

#define EXPORT __attribute__((visibility("default")))
#define FOREIGN(name, T)                                      \
    EXPORT T fuzz_pick_##name(bool first, T a, T b);          \
    EXPORT T fuzz_pick_##name(bool first, T a, T b) {         \
        return first ? a : b;                                 \
    }                                                         \
    EXPORT int fuzz_fill_##name(const T *x, Vec *out);        \
    EXPORT int fuzz_fill_##name(const T *x, Vec *out) {       \
        T *to = out->data;                                    \
        for (int64_t i = 0; i < out->length; i++) to[i] = *x; \
        return 0;                                             \
    }
FOREIGN(bool, bool)
FOREIGN(i8, int8_t)
FOREIGN(i16, int16_t)
FOREIGN(i32, int32_t)
FOREIGN(i64, int64_t)
FOREIGN(u8, uint8_t)
FOREIGN(u16, uint16_t)
FOREIGN(u32, uint32_t)
FOREIGN(u64, uint64_t)
FOREIGN(f32, float)
FOREIGN(f64, double)

/* ---- arguments ---- */

bool arguments_make(Arguments *arguments, const Type *type, const Buf *texts, int count,
                    weld_context_t context, Error *error) {
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.engine", "eval");
    weld_conf_set(conf, "weld.optimization.level", "0");
    weld_conf_set(conf, "weld.verify", "true");
    weld_conf_set(conf, "weld.cache", "off");
    arguments->data = calloc(1, (size_t)type->size + 64);
    for (int i = 0; i < count && error->code == E_None; i++) {
        weld_module_t *module = &arguments->modules[i];
        weld_value_t *value = &arguments->values[i];
        *module =
            module_compile("argument", texts[i].text, texts[i].length, type->args[i], conf, error, NULL);
        if (*module) *value = module_run(*module, context, NULL, NULL, error);
        if (*value)
            memcpy(arguments->data + type->offsets[i], weld_value_data(*value), (size_t)type->args[i]->size);
    }
    weld_conf_free(conf);
    return error->code == E_None;
}

void arguments_free(Arguments *arguments) {
    for (int i = 0; i < GENERATE_ARGS; i++) {
        weld_value_free(arguments->values[i]);
        weld_module_free(arguments->modules[i]);
    }
    free(arguments->data);
}

Tolerance tolerance_of(const Buf *text, bool exact) {
    if (exact) return (Tolerance){0, 0};
    bool mixed = strstr(text->text, "f32") != NULL;
    for (const char *at = text->text; *at && !mixed; at++) mixed = *at >= '0' && *at <= '9' && at[1] == 'f';
    return (Tolerance){1e-5, mixed ? 1e-5 : 1e-9};
}
