/* gsl_adapter.h: what the files of this adapter share: vectors, and calling GSL without its error handler ending the process.
 *
 * Where GSL meets a domain error it calls a handler of the whole process, which by default aborts. The adapter puts one of
 * its own there, once, when it is loaded (gsl.c). That one passes over errors of calls between guard_enter and guard_leave
 * in the same thread, and hands all others, which are the program's own calls of GSL, to the handler that was there
 * before. */
#ifndef GSL_ADAPTER_H
#define GSL_ADAPTER_H

#include <gsl/gsl_errno.h>
#include <limits.h>
#include <math.h>
#include <stdbool.h>
#include <weld.h>

#define EXPORT __attribute__((visibility("default")))

typedef struct Doubles {
    double *data;
    int64_t length;
} Doubles;

extern _Thread_local int weld_gsl_guarded; /* calls within this thread's guard */

static inline void guard_enter(void) {
    weld_gsl_guarded++;
}
static inline void guard_leave(void) {
    weld_gsl_guarded--;
}

#endif
