/* math.c: the C functions behind the operators of scalar.def, by name.
 *
 * Compiled code calls SLEEF where it is installed: its functions come for one value and for every vector
 * width of the processor, in families whose members give the same bits, so that a result does not depend on
 * where in a vector it was computed. Without SLEEF the functions are libm's, one value at a time. SLEEF is
 * opened when it is first asked for, which is the only state here, and stays open. If there was no memory for that, it is
 * tried again: a process would otherwise do without it from then on, and refuse programs that were built with it.
 *
 *     family           processor    one value                     vectors
 *     Sleef_finz_      with FMA     Sleef_finz_expd1_u10purecfma  d2 avx2128, d4 avx2, d8 avx512f
 *     Sleef_cinz_      without      Sleef_cinz_expd1_u10purec     d2 sse2
 */
#include "weldc.h"

#include <dlfcn.h>
#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <stdatomic.h>
#include <string.h>

static const struct MathRow {
    const char *name;
    void *address;
} math_rows[] = {
#define HAS_FLT(id) {#id, (void *)id}, {#id "f", (void *)id##f},
#define HAS_NUM(id)
#define HAS_INT(id)
#define HAS_LOGIC(id)
#define HAS_BOOLS(id)
#define UNARY(id, spelling, class, iexpr, fexpr, doc) HAS_##class(id)
#define BINARY(id, spelling, precedence, class, traits, iexpr, fexpr, sop, uop, fop, doc) HAS_##class(id)
#include "../lang/scalar.def"
    {"fmod", (void *)fmod},     {"fmodf", (void *)fmodf},     {"memcpy", (void *)memcpy},
    {"memset", (void *)memset}, {"memmove", (void *)memmove}, {"memcmp", (void *)memcmp},
    {"bcmp", (void *)memcmp},
};

typedef enum Opened { UNTRIED, OPEN, MISSING, NO_MEMORY } Opened;

static pthread_mutex_t opening = PTHREAD_MUTEX_INITIALIZER;
static _Atomic(Opened) opened;
static void *sleef; /* set before opened says so */

static Opened open_sleef(void) {
    errno = 0;
    sleef = dlopen("libsleef.so.3", RTLD_NOW | RTLD_LOCAL);
    if (sleef) return OPEN;
    bool no_memory = errno == ENOMEM;
    const char *why = dlerror(); /* it says so itself if there is no memory for what it says */
    return no_memory || (why && strstr(why, "memory")) ? NO_MEMORY : MISSING;
}

static Opened sleef_state(void) {
    Opened state = atomic_load(&opened);
    if (state == OPEN || state == MISSING) return state;
    pthread_mutex_lock(&opening);
    state = atomic_load(&opened);
    if (state != OPEN && state != MISSING) atomic_store(&opened, state = open_sleef());
    pthread_mutex_unlock(&opening);
    return state;
}

bool math_has_vectors(void) {
    return sleef_state() == OPEN;
}

bool math_lacks_memory(const char *name) {
    return strncmp(name, "Sleef_", 6) == 0 && atomic_load(&opened) == NO_MEMORY;
}

void *math_symbol(const char *name) {
    for (size_t i = 0; i < sizeof math_rows / sizeof *math_rows; i++) {
        if (strcmp(name, math_rows[i].name) == 0) return math_rows[i].address;
    }
    return strncmp(name, "Sleef_", 6) == 0 && math_has_vectors() ? dlsym(sleef, name) : NULL;
}
