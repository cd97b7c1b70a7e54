/* object.c: what is shared by counting references: values and lazy values.
 *
 * They hold each other: a result may point into the data of the lazy values that it was computed from, a lazy value
 * holds what it is computed from, or its result. Such chains are as long as the user likes, so dropping one is a loop
 * over a list of the dead, not a recursion.
 */
#include "lazy/lazy.h"

#include <stdatomic.h>

void object_init(Object *object, HandleKind kind) {
    object->handle.kind = kind;
    atomic_init(&object->refs, 1);
    object->dead = NULL;
}

void *object_hold(void *handle) {
    Object *object = handle;
    atomic_fetch_add_explicit(&object->refs, 1, memory_order_relaxed);
    return object;
}

void object_bury(void *handle, Object **dead) {
    Object *object = handle;
    if (!object || atomic_fetch_sub_explicit(&object->refs, 1, memory_order_acq_rel) != 1) return;
    object->dead = *dead;
    *dead = object;
}

void object_drop(void *handle) {
    Object *dead = NULL;
    object_bury(handle, &dead);
    while (dead) {
        Object *object = dead;
        HandleKind kind = (HandleKind)object->handle.kind;
        dead = object->dead;
        object->handle.kind = HANDLE_NONE;
        if (kind == HANDLE_LAZY)
            lazy_destroy((Lazy *)object, &dead);
        else
            value_destroy((Value *)object, &dead);
    }
}
