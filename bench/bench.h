/* bench.h: what a workload is, and the parts of the benchmark.
 *
 *   bench.c      runs the table of workloads, prints and writes the figures
 *   workloads.c  the table: data, arguments, answers
 *   native.c     the hand-written C, compiled with -O3 -march=native
 */
#ifndef BENCH_H
#define BENCH_H

#include <stdbool.h>
#include <stdint.h>

/* The lineitem columns, as examples/lineitem.h makes them. */
typedef struct Table {
    int64_t rows;
    int32_t *shipdate;
    int8_t *returnflag, *linestatus;
    double *quantity, *extendedprice, *discount, *tax;
} Table;

typedef struct Q1Row {
    int8_t returnflag, linestatus;
    double quantity, price, discounted, charge; /* sums */
    double mean_quantity, mean_price, mean_discount;
    int64_t count;
} Q1Row;

enum { Q1_GROUPS = 6 };
typedef struct Q1Answer {
    Q1Row rows[Q1_GROUPS];
    int64_t count;
} Q1Answer;

/* native.c */
double native_q6(const Table *table);
void native_q1(const Table *table, Q1Answer *answer);

typedef struct Vector {
    const void *data;
    int64_t length;
} Vector;

typedef union Answer {
    double number;
    Q1Answer q1;
} Answer;

/* A row of the table of workloads. */
typedef struct Workload {
    const char *name;
    const char *program; /* a file in examples/ */
    int bytes_per_row;   /* that the program has to read */
    double bar;          /* weldc's time over C's may be this at most */
    int vectors;         /* how many parameters */
    void (*arguments)(const Table *table, Vector *out);
    void (*native)(const Table *table, Answer *out);
    bool (*agrees)(const Table *table, const Answer *native,
                   const void *result); /* result: of the compiled program */
} Workload;

extern const Workload workloads[];
extern const int workload_count;

/* workloads.c: NULL, or a column is missing: no memory */
bool table_make(Table *table, int64_t rows, uint64_t seed);
void table_free(Table *table);

#endif
