/* workloads.c: the table of workloads, and the data they read.
 *
 * A workload is a row: a program of examples/, its arguments, the same by hand in native.c, and a check that
 * both answers agree. To add one, write these four and the row.
 *
 * Answers in floating point may differ by the order of their sums: by 2 n eps S at most, where S is the sum
 * of the absolute values. All columns are positive, so that S is the sum itself.
 */
#include <float.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "../examples/lineitem.h"
#include "bench.h"

/* Memory that starts on a boundary of 2 MiB and asks for pages of that size, as a good loader would. */
static void *column(int64_t rows, size_t size) {
    size_t page = (size_t)2 << 20, bytes = ((size_t)rows * size + page) / page * page;
    void *data = aligned_alloc(page, bytes);
    if (data) madvise(data, bytes, MADV_HUGEPAGE);
    return data;
}

bool table_make(Table *table, int64_t rows, uint64_t seed) {
    memset(table, 0, sizeof *table);
    table->rows = rows;
    table->shipdate = column(rows, sizeof *table->shipdate);
    table->returnflag = column(rows, sizeof *table->returnflag);
    table->linestatus = column(rows, sizeof *table->linestatus);
    table->quantity = column(rows, sizeof *table->quantity);
    table->extendedprice = column(rows, sizeof *table->extendedprice);
    table->discount = column(rows, sizeof *table->discount);
    table->tax = column(rows, sizeof *table->tax);
    if (!table->shipdate || !table->returnflag || !table->linestatus || !table->quantity ||
        !table->extendedprice || !table->discount || !table->tax) {
        table_free(table);
        return false;
    }
    for (int64_t i = 0; i < rows; i++) {
        LineItem item;
        lineitem_make(seed, i, &item);
        table->shipdate[i] = item.shipdate;
        table->returnflag[i] = item.returnflag;
        table->linestatus[i] = item.linestatus;
        table->quantity[i] = item.quantity;
        table->extendedprice[i] = item.extendedprice;
        table->discount[i] = item.discount;
        table->tax[i] = item.tax;
    }
    return true;
}

void table_free(Table *table) {
    free(table->shipdate);
    free(table->returnflag);
    free(table->linestatus);
    free(table->quantity);
    free(table->extendedprice);
    free(table->discount);
    free(table->tax);
    memset(table, 0, sizeof *table);
}

static bool near(const Table *table, double a, double b) {
    return fabs(a - b) <= 2 * (double)(table->rows + 4) * DBL_EPSILON * fmax(fabs(a), fabs(b));
}

static void q6_arguments(const Table *table, Vector *out) {
    const void *columns[] = {table->shipdate, table->discount, table->quantity, table->extendedprice};
    for (int i = 0; i < 4; i++) out[i] = (Vector){columns[i], table->rows};
}

static void q6_native(const Table *table, Answer *out) {
    out->number = native_q6(table);
}

static bool q6_agrees(const Table *table, const Answer *native, const void *result) {
    return near(table, native->number, *(const double *)result);
}

static void q1_arguments(const Table *table, Vector *out) {
    const void *columns[] = {table->shipdate,      table->returnflag, table->linestatus, table->quantity,
                             table->extendedprice, table->discount,   table->tax};
    for (int i = 0; i < 7; i++) out[i] = (Vector){columns[i], table->rows};
}

static void q1_native(const Table *table, Answer *out) {
    native_q1(table, &out->q1);
}

static bool q1_agrees(const Table *table, const Answer *native, const void *result) {
    const Vector *rows = result;
    if (rows->length != native->q1.count) return false;
    for (int64_t i = 0; i < rows->length; i++) {
        const Q1Row *a = &native->q1.rows[i], *b = (const Q1Row *)rows->data + i;
        if (a->returnflag != b->returnflag || a->linestatus != b->linestatus || a->count != b->count)
            return false;
        const double pairs[][2] = {{a->quantity, b->quantity},           {a->price, b->price},
                                   {a->discounted, b->discounted},       {a->charge, b->charge},
                                   {a->mean_quantity, b->mean_quantity}, {a->mean_price, b->mean_price},
                                   {a->mean_discount, b->mean_discount}};
        for (int j = 0; j < 7; j++)
            if (!near(table, pairs[j][0], pairs[j][1])) return false;
    }
    return true;
}

const Workload workloads[] = {
    {"q6", "q6.weld", 28, 1.3, 4, q6_arguments, q6_native, q6_agrees},
    {"q1", "q1.weld", 38, 2.0, 7, q1_arguments, q1_native, q1_agrees},
};
const int workload_count = sizeof workloads / sizeof *workloads;
