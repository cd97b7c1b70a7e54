/* calls.h: what the programs of random calls share: random numbers, and the end at the first call that went wrong. */
#ifndef CALLS_H
#define CALLS_H

#include <errno.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

static uint64_t state; /* not 0 */
static long at;        /* the call's number */

/* In [0, below). */
static uint64_t draw(uint64_t below) {
    state ^= state << 13, state ^= state >> 7, state ^= state << 17;
    return (state * 0x2545F4914F6CDD1Dull >> 17) % below;
}

static void complain(const char *format, ...) __attribute__((format(printf, 1, 2)));
static void complain(const char *format, ...) {
    va_list list;
    va_start(list, format);
    fprintf(stderr, "%s: call %ld: ", program_invocation_short_name, at);
    vfprintf(stderr, format, list);
    fputc('\n', stderr);
    va_end(list);
    abort();
}

#endif
