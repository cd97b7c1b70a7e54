/* flagship.c: examples/returns.c from two CSV files to a tested and saved model, beside the same with Polars, DuckDB or pandas for the
 * tables and JAX for the training (returns.py).
 *
 * Each run is a process of its own, so that everything counts: starting, loading libraries, compiling. All take turns; medians.
 * Losses differ a little, as the peers begin with other weights.
 */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"

enum { STEPS = 200, ROUNDS = 3, ROWS_EACH = 50, FEWEST = 2000 };

static const char *const titles[MOST_FLAGSHIPS] = {"weldc", "polars + jax", "duckdb + jax", "pandas + jax"};

/* The program beside this one. */
static bool program_path(char *out, size_t size) {
    ssize_t length = readlink("/proc/self/exe", out, size - 1);
    char *name = length > 0 ? memrchr(out, '/', (size_t)length) : NULL;
    if (!name || (size_t)(name - out) + sizeof "/example_returns" > size) return false;
    strcpy(name, "/example_returns");
    return access(out, X_OK) == 0;
}

static bool files_make(const char *program, const char *folder, int64_t orders) {
    char command[16800];
    snprintf(command, sizeof command, "test -e '%s/customers.csv' || '%s' --make %" PRId64 " '%s'", folder,
             program, orders, folder);
    return system(command) == 0;
}

/* One run; false: it failed. */
static bool flagship_run(int which, const char *program, const char *python, const char *folder,
                         FlagshipFigure *out) {
    char command[16800];
    double number[3] = {-1, 0, 0}; /* ours: told right, loss; a peer's: ms, loss, told right */
    if (which == 0)
        snprintf(command, sizeof command,
                 "'%s' '%s' %d 2>/dev/null | cut -d' ' -f1 && tail -n 1 '%s/losses.csv'", program, folder,
                 STEPS, folder);
    else
        snprintf(command, sizeof command, "'%s' '%s/bench/returns.py' --peer %.6s '%s' %d 2>/dev/null",
                 python, WELD_SOURCE_DIR, titles[which], folder, STEPS);
    int wanted = which == 0 ? 2 : 3;
    if (command_numbers(command, number, wanted, &out->process_ms) != wanted) return false;
    out->inside_ms = which == 0 ? -1 : number[0];
    out->loss = number[1];
    out->right = which == 0 ? number[0] : number[2];
    return true;
}

int flagship_measure(const char *folder, const char *python, int64_t rows, FlagshipFigure *out) {
    char program[4096], place[4200];
    int64_t orders = rows / ROWS_EACH < FEWEST ? FEWEST : rows / ROWS_EACH;
    int kinds = *python ? MOST_FLAGSHIPS : 1, count = 0, runs[MOST_FLAGSHIPS] = {0};
    double ms[MOST_FLAGSHIPS][ROUNDS], inside[MOST_FLAGSHIPS][ROUNDS];
    FlagshipFigure figures[MOST_FLAGSHIPS] = {{0}};
    snprintf(place, sizeof place, "%s/returns%" PRId64, folder, orders);
    if (!program_path(program, sizeof program) || !files_make(program, place, orders)) {
        fprintf(stderr, "weldc-bench: example_returns is not there, or cannot make its files\n");
        return 0;
    }
    for (int round = 0; round < ROUNDS; round++) {
        for (int i = 0; i < kinds; i++) {
            if (runs[i] < round || !flagship_run(i, program, python, place, &figures[i])) continue;
            ms[i][round] = figures[i].process_ms;
            inside[i][round] = figures[i].inside_ms;
            runs[i]++;
        }
    }
    for (int i = 0; i < kinds; i++) {
        if (runs[i] < ROUNDS) {
            fprintf(stderr, "weldc-bench: the flagship with %s failed\n", titles[i]);
            if (i == 0) return 0;
            continue;
        }
        out[count] = figures[i];
        out[count].title = titles[i];
        out[count].process_ms = median(ms[i], ROUNDS);
        out[count++].inside_ms = median(inside[i], ROUNDS);
    }
    return count;
}
