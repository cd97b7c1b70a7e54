/* log.c: lines on standard error for those who ask for them.
 *
 * The level belongs to the process, as in Weld: the first weld_set_log_level decides. It is one of the two
 * things that the runtime keeps for the whole process; the other are the loaded libraries (foreign.c,
 * jitload.c). A line is put together first and written by one call, so that lines of several threads do not
 * mix.
 */
#include "rt.h"

#include <stdatomic.h>
#include <stdio.h>

static _Atomic int log_level = -1; /* -1: not set yet, which logs nothing */

void weld_set_log_level(uint64_t level) {
    int unset = -1;
    atomic_compare_exchange_strong(&log_level, &unset, level > WELD_LOG_TRACE ? WELD_LOG_TRACE : (int)level);
}

void rt_log(int level, const char *format, ...) {
    static const char *const names[] = {"off", "error", "warning", "info", "debug", "trace"};
    if (level > atomic_load_explicit(&log_level, memory_order_relaxed)) return;
    char text[1024];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof text, format, args);
    va_end(args);
    fprintf(stderr, "weld: %s: %s\n", names[level], text);
}
