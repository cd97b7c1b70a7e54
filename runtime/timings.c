/* timings.c: how long each fragment of a run took (weld.timings).
 *
 * Compiled code tells when the code of a fragment has run (rt_passed). What went by since then is the time of the next one to tell:
 *
 *     a sort        passed 0                                      fragment 0: 1 run
 *     an iterate    passed 1, passed 1, passed 1                  fragment 1, a loop in it: 3 runs
 *                   passed 2                                      fragment 2, the iterate: 1 run, what none of the loop's took
 *
 * So no time counts twice. Fragments run one after the other, in the thread that runs the program, and hand their loops' iterations
 * to others. Where each comes from is in the names of the program's sources: those of fragments are library functions.
 */
#include "rt.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

void stopwatch_begin(Stopwatch *watch) {
    *watch = (Stopwatch){.begin_ns = now_ns()};
    watch->last_ns = watch->begin_ns;
}

/* Without memory for one more its time is part of the rest. */
static Lap *lap_of(Stopwatch *watch, int number) {
    if (number < watch->count) return &watch->laps[number];
    int count = number + 16;
    Lap *laps = realloc(watch->laps, sizeof *laps * (size_t)count);
    if (!laps) return NULL;
    memset(laps + watch->count, 0, sizeof *laps * (size_t)(count - watch->count));
    watch->laps = laps;
    watch->count = count;
    return &laps[number];
}

void stopwatch_pass(Stopwatch *watch, int number, FragmentKind kind, Span span) {
    int64_t now = now_ns();
    Lap *lap = lap_of(watch, number);
    if (lap) {
        lap->kind = kind;
        lap->span = span;
        lap->runs++;
        lap->ns += now - watch->last_ns;
        watch->last_ns = now;
    }
}

static void print_place(Buf *out, const Program *program, Span span) {
    if (!program || (int)span.source >= program->sources) return;
    const Source *source = &program->source[span.source];
    size_t line = 1, end = span.begin < source->length ? span.begin : source->length;
    for (size_t i = 0; i < end; i++) line += source->text[i] == '\n';
    buf_printf(out, "line %zu of %s, ", line, source->name);
}

char *stopwatch_end(Stopwatch *watch, const Program *program) {
    Buf out = {0};
    int64_t rest = now_ns() - watch->begin_ns;
    for (int i = 0; i < watch->count; i++) {
        const Lap *lap = &watch->laps[i];
        if (!lap->runs) continue;
        buf_printf(&out, "fragment %d: ", i);
        print_place(&out, program, lap->span);
        buf_printf(&out, "%s: %lld run%s, %.3f ms\n", fragment_classes[lap->kind].spelling,
                   (long long)lap->runs, lap->runs == 1 ? "" : "s", (double)lap->ns * 1e-6);
        rest -= lap->ns;
    }
    buf_printf(&out, "the rest: %.3f ms\n", (double)rest * 1e-6);
    free(watch->laps);
    if (!out.failed) return out.text;
    buf_release(&out);
    return NULL;
}
