/* native.c: the workloads as one would write them by hand in C.
 *
 * Compiled with -O3 -march=native -fopenmp-simd. The pragma allows the compiler to add up in several lanes,
 * as weldc's builders may; without it the sum would wait for each addition. Conditions are combined with & so
 * that the loop has no branches to mispredict.
 */
#include <string.h>

#include "bench.h"

double native_q6(const Table *table) {
    const int32_t *shipdate = table->shipdate;
    const double *discount = table->discount, *quantity = table->quantity, *price = table->extendedprice;
    double revenue = 0;
#pragma omp simd reduction(+ : revenue)
    for (int64_t i = 0; i < table->rows; i++) {
        int take = (shipdate[i] >= 19940101) & (shipdate[i] < 19950101) & (discount[i] >= 0.05) &
                   (discount[i] <= 0.07) & (quantity[i] < 24.0);
        revenue += take ? price[i] * discount[i] : 0.0;
    }
    return revenue;
}

/* The six possible groups are places in an array; a table leads from the flag to its place. */
void native_q1(const Table *table, Q1Answer *answer) {
    static const char flags[3] = {'A', 'N', 'R'}, statuses[2] = {'F', 'O'};
    struct {
        double quantity, price, discounted, charge, discount;
        int64_t count;
    } sums[Q1_GROUPS];
    unsigned char place[256] = {0};
    for (int flag = 0; flag < 3; flag++) place[(unsigned char)flags[flag]] = (unsigned char)(flag * 2);
    memset(sums, 0, sizeof sums);
    for (int64_t i = 0; i < table->rows; i++) {
        if (table->shipdate[i] > 19980902) continue;
        int group = place[(unsigned char)table->returnflag[i]] + (table->linestatus[i] == 'O');
        double price = table->extendedprice[i], discount = table->discount[i];
        double discounted = price * (1.0 - discount);
        sums[group].quantity += table->quantity[i];
        sums[group].price += price;
        sums[group].discounted += discounted;
        sums[group].charge += discounted * (1.0 + table->tax[i]);
        sums[group].discount += discount;
        sums[group].count++;
    }
    answer->count = 0;
    for (int group = 0; group < Q1_GROUPS; group++) {
        if (!sums[group].count) continue;
        double count = (double)sums[group].count;
        answer->rows[answer->count++] = (Q1Row){
            .returnflag = flags[group / 2],
            .linestatus = statuses[group % 2],
            .quantity = sums[group].quantity,
            .price = sums[group].price,
            .discounted = sums[group].discounted,
            .charge = sums[group].charge,
            .mean_quantity = sums[group].quantity / count,
            .mean_price = sums[group].price / count,
            .mean_discount = sums[group].discount / count,
            .count = sums[group].count,
        };
    }
}
