/* large.c: what it takes to compile large programs, as programs write them: time and peak memory.
 *
 * Each is a chain of lets: maps of one another, or loops beside each other over one vector, over slices of it, over
 * vectors that other loops made. Each is compiled in new processes (this program, as --large) with an empty cache,
 * which print the milliseconds and the peak of their memory.
 */
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "bench.h"
#include "../runtime/weld.h"

enum { RUNS = 3, ROOM = 200 };

typedef struct Large {
    const char *name, *title;
    int count;
    bool chain;       /* line: with the numbers of the next and the last name, and one of its own */
    const char *line; /* with its number, twice */
} Large;

static const Large rows[] = {
    {"maps", "chain of maps", 10000, true, "let x%d = map(x%d, |e| e + %dL);\n"},
    {"sums", "sums of a vector", 1000, false,
     "let a%d = result(for(x0, merger[i64,+], |b, i, e| merge(b, e * %dL)));\n"},
    {"filters", "filters of a vector", 1000, false,
     "let a%d = len(result(for(x0, appender[i64], |b, i, e| if(e > %dL, merge(b, e), b))));\n"},
    {"tables", "groups of a vector", 1000, false,
     "let a%d = len(tovec(result(for(x0, dictmerger[i64,i64,+], |b, i, e| merge(b, {e & %dL, 1L})))));\n"},
    {"slices", "sums of slices", 1000, false,
     "let a%d = result(for(slice(x0, %dL, 9L), merger[i64,+], |b, i, e| merge(b, e * e)));\n"},
    {"ranges", "sums of computed vectors", 1000, false,
     "let a%d = result(for(map(slice(x0, %dL, 9L), |e| e + 1L), merger[i64,max], |b, i, e| merge(b, e * "
     "e)));\n"},
};
enum { COUNT = sizeof rows / sizeof *rows };

static char *program_text(const Large *large) {
    char *text = malloc((size_t)(large->count + 2) * (ROOM + 8)), *at = text;
    if (!text) return NULL;
    at += sprintf(at, "|x0: vec[i64]|\n");
    for (int i = 0; i < large->count; i++) {
        if (large->chain)
            at += snprintf(at, ROOM, large->line, i + 1, i, i % 7);
        else
            at += snprintf(at, ROOM, large->line, i, i);
    }
    if (large->chain)
        sprintf(at, "x%d", large->count);
    else
        for (int i = 0; i < large->count; i++)
            at += sprintf(at, "%sa%d%s", i ? ", " : "[", i, i + 1 < large->count ? "" : "]");
    return text;
}

int large_child(const char *name) {
    const Large *large = NULL;
    for (int i = 0; i < COUNT; i++)
        if (!strcmp(rows[i].name, name)) large = &rows[i];
    char *text = large ? program_text(large) : NULL;
    if (!text) return 2;
    weld_conf_t conf = weld_conf_new();
    weld_error_t error = weld_error_new();
    weld_conf_set(conf, "weld.engine", "jit");
    weld_conf_set(conf, "weld.cache", "off");
    double start = now_ms();
    weld_module_t module = weld_module_compile(text, conf, error);
    double took = now_ms() - start;
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    if (module)
        printf("%f %f\n", took, (double)usage.ru_maxrss / 1024);
    else
        fprintf(stderr, "%s\n", weld_error_message(error));
    weld_module_free(module);
    weld_error_free(error);
    weld_conf_free(conf);
    free(text);
    return module ? 0 : 1;
}

int large_measure(LargeFigure *out) {
    char self[4096], command[4300];
    ssize_t length = readlink("/proc/self/exe", self, sizeof self - 1);
    self[length < 0 ? 0 : length] = 0;
    int count = 0;
    for (int i = 0; i < COUNT; i++) {
        double ms[RUNS], mb[RUNS], numbers[2], wall;
        snprintf(command, sizeof command, "'%s' --large %s", self, rows[i].name);
        for (int run = 0; run < RUNS; run++) {
            if (command_numbers(command, numbers, 2, &wall) != 2) return count;
            ms[run] = numbers[0];
            mb[run] = numbers[1];
        }
        out[count++] = (LargeFigure){rows[i].title, rows[i].count, median(ms, RUNS), median(mb, RUNS)};
    }
    return count;
}
