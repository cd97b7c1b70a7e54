/* bench.h: what a workload is, and the parts of the benchmark.
 *
 *   workloads.def  the table: a row is a program, a function in C, its inputs
 *   columns.def    the inputs: their types, lengths and values
 *   data.c         makes each input once, as a .npy file, and reads it
 *   native_*.c     the workloads by hand, compiled with -O3 -march=native -fopenmp
 *   digest.c       what an answer comes to, so that the answers of all engines can be compared
 *   engine.c       runs compiled programs and the hand-written C; peers.c talks to peers.py
 *   latency.c      how long the first answer takes, in new processes
 *   large.c        what it takes to compile large programs
 *   gradients.c    how many times its function a gradient takes
 *   flagship.c     examples/returns.c from end to end, in new processes
 *   report.c       the printed table, the JSON; chart.c the SVG
 *   bench.c        the command line, the rounds
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

typedef struct Vector {
    void *data;
    int64_t length;
} Vector;

/* ---- data.c ------------------------------------------------------------------------------------------- */

typedef struct Sizes {
    int64_t rows;    /* elements of most columns */
    int64_t points;  /* of k-means: rows / 5 */
    int64_t samples; /* of the logistic regression: rows / 10 */
    int64_t images;  /* of the network: batches of 256, at most 20 */
    int64_t nodes;   /* of PageRank, and rows of the join's small side: rows / 10 */
} Sizes;

typedef struct Column {
    const char *name;
    Vector data;     /* NULL until it is loaded */
    int64_t columns; /* of a matrix; else 1 */
    size_t size;     /* of an element */
} Column;

Sizes sizes_of(int64_t rows);
/* Makes the files that are missing in dir. false: said on standard error why not. */
bool data_make(const char *dir, Sizes sizes, const char *const *names, int count);
Column *data_load(const char *dir, const char *name); /* keeps what was loaded; NULL: said why */
void data_keep(const char *const *names, int count);  /* frees all others */
void *pages_new(size_t bytes);                        /* on pages of 2 MiB; freed with free() */

/* ---- what the hand-written C is given ------------------------------------------------------------------ */

enum { MOST_INPUTS = 12, MOST_BUFFERS = 64 };

typedef struct Buffers Buffers;
typedef struct Inputs {
    const Column *columns[MOST_INPUTS];
    double numbers[MOST_INPUTS]; /* the numeric arguments, in order */
    int threads;
    Buffers *buffers;
} Inputs;

/* Memory for answers and intermediates. What one round allocated the next one gets again, so that no engine
 * is measured at getting pages from the kernel. NULL: no memory. */
void *take(const Inputs *in, size_t bytes);

/* ---- the table ------------------------------------------------------------------------------------------
 */

typedef struct Workload {
    const char *name;
    const char *program; /* NULL: calls of libraries emit it */
    const char *title;
    const char *inputs; /* columns and numbers (=20l, =0.5), in the order of the program's parameters */
    double tolerance;   /* relative */
    bool unordered;     /* rows of the answer may come in any order; the first field tells them apart */
    int passes;         /* how often the inputs are read, for GB/s; 0: not a matter of bandwidth */
    bool streaming;     /* the bar is the read bandwidth */
    void (*native)(const Inputs *in, void *out); /* out: laid out as the program's result */
    void (*calls)(const Inputs *in, void *out);  /* the same calls to the libraries directly; or NULL */
    /* Makes the lazy values of results, of which the program's result is the struct, and says how many; 0: error says why.
     * The caller frees them in any case. */
    int (*emit)(const Inputs *in, void **results, void *error);
} Workload;

enum { MOST_RESULTS = 8 };

extern const Workload workloads[];
extern const int workload_count;

#define WORKLOAD(id, ...) void native_##id(const Inputs *in, void *out);
#define EMITTED(id, ...)                           \
    void native_##id(const Inputs *in, void *out); \
    void calls_##id(const Inputs *in, void *out);  \
    int emit_##id(const Inputs *in, void **results, void *error);
#include "workloads.def"

/* ---- digest.c -------------------------------------------------------------------------------------------
 */

enum { MOST_LEAVES = 64 };
/* For every scalar of the result's type, in order: the sum over all rows of the vector that it is in, the sum
 * weighted by 1 + row mod 1021 (of unordered answers: 1 + first field mod 1021), the sums of absolute values.
 * A vector counts its length as a leaf before those of its elements. */
typedef struct Digest {
    int count;
    double sum[MOST_LEAVES], weighted[MOST_LEAVES], scale[MOST_LEAVES];
} Digest;

bool digest_make(const char *type, const void *data, bool unordered, Digest *out);
bool digest_agree(const Digest *want, const Digest *got, double tolerance);

/* ---- engines: something that computes workloads ----------------------------------------------------------
 */

enum { MOST_ENGINES = 32, MOST_ROUNDS = 100 };

typedef struct Engine {
    char name[24];
    int threads;
    enum { ENGINE_NATIVE, ENGINE_WELDC, ENGINE_CALLS, ENGINE_PEER } kind;
    struct Peer *peer;
    /* what it did with the workload at hand */
    bool active, failed, agrees;
    char note[160];
    double ms[MOST_ROUNDS], spent_ms;
    int rounds;
    Digest digest;
    void *state; /* a module */
} Engine;

typedef struct Figures {
    const Workload *workload;
    int64_t bytes; /* that the inputs hold */
    double compile_ms, compile_low, compile_high;
    Engine engines[MOST_ENGINES];
    int count;
} Figures;

double now_ms(void);
double median(double *values, int count); /* sorts them */
double engine_median(const Engine *engine);

typedef struct Run {
    char *text;        /* the program */
    char *result_type; /* of the compiled program */
    void *argument;    /* for weldc: laid out as its parameters */
    Inputs inputs;
    void *error;
} Run;

/* dir NULL: over no rows. */
bool run_prepare(const Workload *workload, const char *dir, Run *out);
void run_free(Run *run);
bool engine_prepare(Engine *engine, const Workload *workload, Run *run);
bool engine_round(Engine *engine, const Workload *workload, Run *run, bool digest, double *ms);
void engine_finish(Engine *engine);
char *program_read(const char *path);

/* ---- peers.c --------------------------------------------------------------------------------------------
 */

typedef struct Peer Peer;
Peer *peer_start(const char *python, const char *dir, int threads); /* NULL: none are installed */
void peer_stop(Peer *peer);
const char *peer_versions(Peer *peer);
/* The engines that have the workload, as words. */
bool peer_engines(Peer *peer, const char *workload, char *out, size_t size);
bool peer_prepare(Peer *peer, const char *workload, const char *engine, char *note, size_t size);
bool peer_round(Peer *peer, const char *engine, bool digest, double *ms, Digest *out, char *note,
                size_t size);

/* ---- latency.c ------------------------------------------------------------------------------------------
 */

typedef struct Latency {
    char what[32];
    int64_t rows;
    double process_ms, shell_ms; /* medians; < 0: not measured */
} Latency;

enum { MOST_LATENCIES = 64 };
int latency_measure(const char *weldc, const char *python, const char *scratch, Latency *out);
bool compile_measure(const Workload *workload, const char *scratch, Figures *figures);
int compile_child(const char *workload); /* in the new process: prints the milliseconds */
int latency_child(const char *rows);
/* Runs a command, reads up to `count` numbers that it prints, and measures it. Returns how many; -1: it failed. */
int command_numbers(const char *command, double *numbers, int count, double *wall_ms);

/* ---- large.c -------------------------------------------------------------------------------------------- */

typedef struct LargeFigure {
    const char *title;
    int count;     /* of the program's loops */
    double ms, mb; /* medians: to compile it, the process's peak */
} LargeFigure;

enum { MOST_LARGE = 16 };
int large_measure(LargeFigure *out);
int large_child(const char *name); /* in the new process: prints both */

/* ---- gradients.c ---------------------------------------------------------------------------------------- */

typedef struct GradientFigure {
    const char *title;
    double function_ms, gradient_ms; /* the latter with the value */
} GradientFigure;

enum { MOST_GRADIENTS = 64 };
int gradients_measure(GradientFigure *out);

/* ---- flagship.c ------------------------------------------------------------------------------------------ */

typedef struct FlagshipFigure {
    const char *title;
    double process_ms, inside_ms; /* medians: of the whole process; behind its imports, or < 0 */
    double loss, right;           /* of the last step; the part of the orders kept apart that is told right */
} FlagshipFigure;

enum { MOST_FLAGSHIPS = 4 };
/* Files in the folder, made if they are not there; python: of the peers, or "". */
int flagship_measure(const char *folder, const char *python, int64_t rows, FlagshipFigure *out);

/* ---- report.c, chart.c ------------------------------------------------------------------------------------
 */

typedef struct Machine {
    int threads[4], count;
    double read_gbs[4], triad_gbs[4];
} Machine;

void machine_measure(Machine *machine, int64_t bytes);
void native_bandwidth(int threads, double *a, double *b, double *c, int64_t n, double *read_gbs,
                      double *triad_gbs);
void report_head(void);
void report_workload(const Figures *figures);
void report_latency(const Latency *latency, int count);
void report_large(const LargeFigure *large, int count);
void report_gradients(const GradientFigure *gradients, int count);
void report_flagship(const FlagshipFigure *figures, int count);
void json_write(FILE *out, const char *versions, int64_t rows, const Machine *machine, const Figures *figures,
                int count, const Latency *latency, int latencies, const LargeFigure *large, int larges,
                const GradientFigure *gradients, int gradient_count, const FlagshipFigure *flagships,
                int flagship_count);
void markdown_write(FILE *out, const Figures *figures, int count); /* the table of docs/performance.md */
bool chart_write(const char *path, int64_t rows, const Figures *figures, int count);

#endif
