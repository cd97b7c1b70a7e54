/* stay.c: results stay in blocks for the next evaluation.
 *
 *     mpirun -n 3 stay
 *
 * With weld.cluster.result=blocks each rank gets its block of a result, and what is computed from it later takes it as such:
 * the answers are those of the whole, and nothing of its size is sent. Exit status: 0 all did.
 */
#include <mpi.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "../../runtime/cluster/cluster.h"
#include "../../runtime/rt.h"

enum { LENGTH = 100000 };

static const char filter[] =
    "|v: vec[i64]| result(for(v, appender[i64], |b, i, x| if(x % 3L == 0L, merge(b, x), b)))";
static const char total[] =
    "|v: vec[i64]| {len(v), result(for(v, merger[i64,+], |b, i, x| merge(b, x * i)))}";

static int fails(const char *what) {
    fprintf(stderr, "stay: %s\n", what);
    return 1;
}

static weld_value_t evaluate(weld_context_t context, weld_lazy_t lazy) {
    weld_value_t value = NULL;
    return weld_lazy_evaluate(context, &lazy, 1, &value, NULL) ? value : NULL;
}

static int64_t sent(void) {
    EngineStats stats;
    cluster_open(&(Options){.transport = "auto"}, NULL)->stats(&stats);
    return stats.sent_bytes;
}

/* What filter, then total give. */
static void expect(int64_t *count, int64_t *sum) {
    *count = *sum = 0;
    for (int64_t x = 0; x < LENGTH; x += 3) *sum += x * (*count)++;
}

static int check(weld_context_t context, int rank, int ranks) {
    int64_t *numbers = malloc(LENGTH * sizeof *numbers), count, sum, all = 0;
    if (!numbers) return fails("no memory");
    for (int64_t i = 0; i < LENGTH; i++) numbers[i] = i;
    Vec vec = {numbers, LENGTH};
    weld_lazy_t data = weld_lazy_data("vec[i64]", &vec, NULL, NULL, NULL);
    weld_lazy_t kept = weld_lazy_new("filter", filter, &data, 1, NULL);
    weld_lazy_keep(kept);
    weld_value_t block = evaluate(context, kept);
    if (!block) return fails("the filter fails");
    int64_t own = ((const Vec *)weld_value_data(block))->length, before = sent();
    MPI_Allreduce(&own, &all, 1, MPI_INT64_T, MPI_SUM, MPI_COMM_WORLD);
    expect(&count, &sum);
    if (all != count) return fails("the blocks together are not the result");
    if (own > count / ranks + ranks) return fails("a rank has more than its block");
    weld_lazy_t wrapped = weld_lazy_value(block, NULL), inputs[2] = {kept, wrapped};
    for (int i = 0; i < 2; i++) {
        weld_lazy_t last = weld_lazy_new("total", total, &inputs[i], 1, NULL);
        weld_value_t value = evaluate(context, last);
        const int64_t *pair = value ? weld_value_data(value) : NULL;
        if (!pair || pair[0] != count || pair[1] != sum)
            return fails("what is computed from blocks is wrong");
        weld_value_free(value);
        weld_lazy_free(last);
    }
    if (sent() - before > 1000) return fails("the blocks were sent");
    weld_value_free(block);
    weld_lazy_free(wrapped);
    weld_lazy_free(kept);
    weld_lazy_free(data);
    free(numbers);
    if (rank == 0) printf("%d ranks: results stay\n", ranks);
    return 0;
}

int main(void) {
    int rank, ranks;
    MPI_Init_thread(NULL, NULL, MPI_THREAD_MULTIPLE, &(int){0});
    MPI_Comm_rank(MPI_COMM_WORLD, &rank);
    MPI_Comm_size(MPI_COMM_WORLD, &ranks);
    weld_conf_t conf = weld_conf_new();
    weld_conf_set(conf, "weld.cluster", "mpi");
    weld_conf_set(conf, "weld.cluster.result", "blocks");
    weld_conf_set(conf, "weld.cache", "off");
    weld_context_t context = weld_context_new(conf);
    int status = check(context, rank, ranks);
    weld_context_free(context);
    weld_conf_free(conf);
    MPI_Finalize();
    return status;
}
