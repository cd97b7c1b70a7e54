/* native_group.c: aggregation by key, and a join, by hand.
 *
 * Keys within a small range are places in an array; one pass over the keys tells. Four arrays take turns, so
 * that an addition need not wait for the one before it to the same place.
 *
 * Other keys are first dealt out to 256 partitions by their hash (radix partitioning: Manegold, Boncz,
 * Kersten 2002), each small enough that its hash table stays in the processor's own cache.
 */
#include <string.h>

#include "native.h"

enum { SMALL_RANGE = 1 << 14, TURNS = 4, PARTS_LOG = 8, PARTS = 1 << PARTS_LOG };

typedef struct Group {
    int64_t key;
    double sum;
    int64_t count;
} Group;

typedef struct Sum {
    double sum;
    int64_t count;
} Sum;

typedef struct Pair {
    int64_t key;
    double value;
} Pair;

static uint64_t hash(int64_t key) {
    uint64_t x = (uint64_t)key * 0x9e3779b97f4a7c15u;
    return x ^ (x >> 32);
}

static void small_groups(const Inputs *in, int64_t least, int64_t range, Vector *out) {
    const int64_t *keys = INPUT(0, int64_t);
    const double *values = INPUT(1, double);
    int64_t rows = LENGTH(0);
    size_t bytes = (size_t)(in->threads * TURNS * range) * sizeof(Sum);
    Sum *sums = take(in, bytes);
    memset(sums, 0, bytes);
#pragma omp parallel for num_threads(in->threads) schedule(static, 1)
    for (int t = 0; t < in->threads; t++) {
        Sum *own = sums + t * TURNS * range;
        int64_t i = share(rows, t, in->threads), end = share(rows, t + 1, in->threads);
        for (; i + TURNS <= end; i += TURNS)
            for (int turn = 0; turn < TURNS; turn++) {
                Sum *sum = own + turn * range + (keys[i + turn] - least);
                sum->sum += values[i + turn];
                sum->count++;
            }
        for (; i < end; i++) {
            own[keys[i] - least].sum += values[i];
            own[keys[i] - least].count++;
        }
    }
    Group *groups = take(in, (size_t)range * sizeof *groups);
    int64_t count = 0;
    for (int64_t place = 0; place < range; place++) {
        Group group = {least + place, 0, 0};
        for (int64_t part = 0; part < in->threads * TURNS; part++) {
            group.sum += sums[part * range + place].sum;
            group.count += sums[part * range + place].count;
        }
        if (group.count) groups[count++] = group;
    }
    *out = (Vector){groups, count};
}

typedef struct Parts {
    Pair *pairs;
    int64_t *at;     /* [threads][PARTS]: where the thread writes next */
    int64_t *starts; /* [PARTS + 1] */
} Parts;

static int part_of(int64_t key) {
    return (int)(hash(key) >> (64 - PARTS_LOG));
}

static void deal(const Inputs *in, Parts *parts) {
    const int64_t *keys = INPUT(0, int64_t);
    const double *values = INPUT(1, double);
    int64_t rows = LENGTH(0);
    int threads = in->threads;
    size_t bytes = (size_t)threads * PARTS * sizeof *parts->at;
    parts->pairs = take(in, (size_t)rows * sizeof *parts->pairs);
    parts->starts = take(in, (PARTS + 1) * sizeof *parts->starts);
    parts->at = take(in, bytes);
    memset(parts->at, 0, bytes);
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        int64_t count[PARTS] = {0};
        for (int64_t i = share(rows, t, threads); i < share(rows, t + 1, threads); i++)
            count[part_of(keys[i])]++;
        memcpy(parts->at + t * PARTS, count, sizeof count);
    }
    int64_t next = 0;
    for (int part = 0; part < PARTS; part++) {
        parts->starts[part] = next;
        for (int t = 0; t < threads; t++) {
            int64_t count = parts->at[t * PARTS + part];
            parts->at[t * PARTS + part] = next;
            next += count;
        }
    }
    parts->starts[PARTS] = next;
#pragma omp parallel for num_threads(threads) schedule(static, 1)
    for (int t = 0; t < threads; t++) {
        int64_t at[PARTS];
        memcpy(at, parts->at + t * PARTS, sizeof at);
        for (int64_t i = share(rows, t, threads); i < share(rows, t + 1, threads); i++)
            parts->pairs[at[part_of(keys[i])]++] = (Pair){keys[i], values[i]};
    }
}

/* A table of one partition: open addressing, empty where the count is 0; grows when it is half full. */
typedef struct Table {
    Group *slots;
    int64_t mask, count;
} Table;

static Group *table_find(const Table *table, int64_t key) {
    int64_t at = (int64_t)(hash(key) >> 8) & table->mask;
    while (table->slots[at].count && table->slots[at].key != key) at = (at + 1) & table->mask;
    return &table->slots[at];
}

/* The other half of the memory holds the slots while they move. */
static void table_grow(Table *table, Group *spare) {
    int64_t slots = table->mask + 1;
    memcpy(spare, table->slots, (size_t)slots * sizeof *spare);
    table->mask = 2 * slots - 1;
    memset(table->slots, 0, (size_t)(2 * slots) * sizeof *spare);
    for (int64_t i = 0; i < slots; i++)
        if (spare[i].count) *table_find(table, spare[i].key) = spare[i];
}

/* The groups of one partition, one after the other at out. */
static int64_t part_groups(const Pair *pairs, int64_t length, Group *slots, Group *spare, Group *out) {
    Table table = {slots, 1023, 0};
    memset(slots, 0, 1024 * sizeof *slots);
    for (int64_t i = 0; i < length; i++) {
        Group *group = table_find(&table, pairs[i].key);
        bool fresh = !group->count;
        group->key = pairs[i].key;
        group->sum += pairs[i].value;
        group->count++;
        if (fresh && ++table.count * 2 > table.mask) table_grow(&table, spare);
    }
    int64_t count = 0;
    for (int64_t i = 0; i <= table.mask; i++)
        if (slots[i].count) out[count++] = slots[i];
    return count;
}

static void many_groups(const Inputs *in, Vector *out) {
    Parts parts;
    deal(in, &parts);
    int64_t longest = 0, room = 1024, found = 0;
    for (int part = 0; part < PARTS; part++) {
        int64_t length = parts.starts[part + 1] - parts.starts[part];
        if (length > longest) longest = length;
    }
    while (room < 2 * longest + 2) room *= 2;
    Group *tables = take(in, (size_t)(in->threads * 3 * room) * sizeof *tables);
    Group *groups = take(in, (size_t)LENGTH(0) * sizeof *groups);
#pragma omp parallel for num_threads(in->threads) schedule(dynamic)
    for (int part = 0; part < PARTS; part++) {
        int thread = 0;
#ifdef _OPENMP
        extern int omp_get_thread_num(void);
        thread = omp_get_thread_num();
#endif
        Group *slots = tables + thread * 3 * room, *own = slots + 2 * room;
        int64_t length = parts.starts[part + 1] - parts.starts[part], first;
        int64_t count = part_groups(parts.pairs + parts.starts[part], length, slots, slots + room, own);
#pragma omp atomic capture
        {
            first = found;
            found += count;
        }
        memcpy(groups + first, own, (size_t)count * sizeof *own);
    }
    *out = (Vector){groups, found};
}

static void group(const Inputs *in, void *out) {
    const int64_t *keys = INPUT(0, int64_t);
    int64_t least = INT64_MAX, greatest = INT64_MIN;
#pragma omp parallel for simd reduction(min : least) reduction(max : greatest) num_threads(in -> threads)
    for (int64_t i = 0; i < LENGTH(0); i++) {
        least = keys[i] < least ? keys[i] : least;
        greatest = keys[i] > greatest ? keys[i] : greatest;
    }
    if ((uint64_t)greatest - (uint64_t)least < SMALL_RANGE)
        small_groups(in, least, greatest - least + 1, out);
    else
        many_groups(in, out);
}

void native_group_10(const Inputs *in, void *out) {
    group(in, out);
}

void native_group_1000(const Inputs *in, void *out) {
    group(in, out);
}

void native_group_1000000(const Inputs *in, void *out) {
    group(in, out);
}

enum { BATCH = 32 };
static const int64_t EMPTY =
    INT64_MIN; /* no key of the data; a row of that key would need a place of its own */

/* Probes a batch at a time: all its places are asked for from memory before the first is looked at. */
static void probe(const Pair *slots, int64_t mask, const int64_t *keys, const double *values, int64_t length,
                  double *sum, int64_t *count) {
    for (int64_t i = 0; i < length; i += BATCH) {
        int64_t at[BATCH], batch = length - i < BATCH ? length - i : BATCH;
        for (int64_t k = 0; k < batch; k++) {
            at[k] = (int64_t)hash(keys[i + k]) & mask;
            __builtin_prefetch(&slots[at[k]]);
        }
        for (int64_t k = 0; k < batch; k++) {
            int64_t key = keys[i + k], place = at[k];
            while (slots[place].key != EMPTY && slots[place].key != key) place = (place + 1) & mask;
            bool match = slots[place].key == key;
            *sum += match ? values[i + k] * slots[place].value : 0.0;
            *count += match;
        }
    }
}

/* Threads fill the table together: who first writes a key into an empty place has it. */
static void build(const Inputs *in, Pair *slots, int64_t mask) {
    const int64_t *keys = INPUT(0, int64_t);
    const double *values = INPUT(1, double);
#pragma omp parallel for num_threads(in->threads) schedule(static)
    for (int64_t i = 0; i < LENGTH(0); i++) {
        if (i + BATCH < LENGTH(0)) __builtin_prefetch(&slots[(int64_t)hash(keys[i + BATCH]) & mask], 1);
        int64_t at = (int64_t)hash(keys[i]) & mask;
        for (;; at = (at + 1) & mask) {
            int64_t key = EMPTY;
            if (in->threads == 1) {
                key = slots[at].key;
                if (key == EMPTY) slots[at].key = keys[i];
            } else {
                __atomic_compare_exchange_n(&slots[at].key, &key, keys[i], false, __ATOMIC_RELAXED,
                                            __ATOMIC_RELAXED);
            }
            if (key == EMPTY || key == keys[i]) break;
        }
#pragma omp atomic
        slots[at].value += values[i];
    }
}

void native_join(const Inputs *in, void *out) {
    int64_t slots_count = 1024, rows = LENGTH(2), count = 0;
    while (slots_count < 2 * LENGTH(0)) slots_count *= 2;
    Pair *slots = take(in, (size_t)slots_count * sizeof *slots);
#pragma omp parallel for num_threads(in->threads) schedule(static)
    for (int64_t i = 0; i < slots_count; i++) slots[i] = (Pair){EMPTY, 0};
    build(in, slots, slots_count - 1);
    double sum = 0;
#pragma omp parallel for num_threads(in->threads) schedule(static, 1) reduction(+ : sum, count)
    for (int t = 0; t < in->threads; t++) {
        int64_t start = share(rows, t, in->threads), end = share(rows, t + 1, in->threads);
        probe(slots, slots_count - 1, INPUT(2, int64_t) + start, INPUT(3, double) + start, end - start, &sum,
              &count);
    }
    *(Sum *)out = (Sum){sum, count};
}

void native_frame_join(const Inputs *in, void *out) {
    native_join(in, out);
}

/* Groups of a small range are in the order of their keys. */
void native_frame_group(const Inputs *in, void *out) {
    Vector groups, *columns = out;
    group(in, &groups);
    const Group *rows = groups.data;
    int64_t *keys = take(in, (size_t)groups.length * 8), *counts = take(in, (size_t)groups.length * 8 + 8);
    double *sums = take(in, (size_t)groups.length * 8 + 16);
    for (int64_t i = 0; i < groups.length; i++) {
        keys[i] = rows[i].key;
        sums[i] = rows[i].sum;
        counts[i] = rows[i].count;
    }
    columns[0] = (Vector){keys, groups.length};
    columns[1] = (Vector){sums, groups.length};
    columns[2] = (Vector){counts, groups.length};
}
