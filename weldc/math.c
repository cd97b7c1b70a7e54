/* math.c: the C functions behind the operators of scalar.def, by name.
 *
 * Compiled code calls SLEEF where it is installed: its functions come for one value and for every vector
 * width of the processor, in families whose members give the same bits, so that a result does not depend on
 * where in a vector it was computed. Without SLEEF the functions are libm's, one value at a time. SLEEF is
 * opened when it is first asked for, which is the only state here, and stays open.
 *
 *     family           processor    one value                     vectors
 *     Sleef_finz_      with FMA     Sleef_finz_expd1_u10purecfma  d2 avx2128, d4 avx2, d8 avx512f
 *     Sleef_cinz_      without      Sleef_cinz_expd1_u10purec     d2 sse2
 */
#include "weldc.h"

#include <dlfcn.h>
#include <math.h>
#include <pthread.h>
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

static pthread_once_t opened = PTHREAD_ONCE_INIT;
static void *sleef;

static void open_sleef(void) {
    sleef = dlopen("libsleef.so.3", RTLD_NOW | RTLD_LOCAL);
}

bool math_has_vectors(void) {
    pthread_once(&opened, open_sleef);
    return sleef != NULL;
}

void *math_symbol(const char *name) {
    for (size_t i = 0; i < sizeof math_rows / sizeof *math_rows; i++) {
        if (strcmp(name, math_rows[i].name) == 0) return math_rows[i].address;
    }
    return strncmp(name, "Sleef_", 6) == 0 && math_has_vectors() ? dlsym(sleef, name) : NULL;
}
