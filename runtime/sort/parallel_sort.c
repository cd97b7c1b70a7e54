/* parallel_sort.c: a stable sort on several threads.
 *
 * The data is cut into runs of equal length, which the threads sort; then neighbours are merged, round after
 * round, from the data to the scratch and back. So that the last rounds have work for all, too, a merge is
 * cut into pieces of equal length of its output:
 *
 *     left  1 3 5 7      piece 0 takes 1 3 | 2        and writes  1 2 3
 *     right 2 4 6 8      piece 1 takes 5   | 4 6                        4 5 6    ...
 *
 * Where a piece of the output begins in left and right is found by bisection: i of left and at - i of right,
 * the least i with left[i] after right[at - i - 1]. Each place is sought between the one before and the ends,
 * so that whatever a contradictory order answers, every element is taken once.
 *
 * Where the order is one of scalar keys, data that is in order already is copied; else scalar_sort.c and record_sort.c come
 * first. What they leave is sorted in runs by
 * lang/value/radix.c, from the input to where they are merged.
 *
 * The order may fail, and then the sort does; it may allocate, so each thread has a region, which is freed at
 * the end: an order gives a number.
 *
 * Merge path: Odeh, Green, Mwassi, Shmueli, Birk, "Merge Path - Parallel Merging Made Simple", 2012.
 */
#include "sort.h"

#include <stdatomic.h>
#include <string.h>

enum { LEAST = 4096, RUNS_EACH = 4 }; /* elements that are worth another thread; runs for each thread */

typedef struct Piece {
    int64_t left, lefts, right, rights, out; /* elements: where and how many */
} Piece;

typedef struct Sorting {
    Worker *outer;
    char *from, *to;
    int64_t count, size, run, runs;
    SortCompare compare;
    void *closure;
    const SortKey *key; /* NULL: runs are sorted by compare, in place; else from the input */
    const char *input;
    int threads;
    int64_t pieces;
    Piece *piece;
    Worker *workers;
    _Atomic int64_t next;
    _Atomic bool stopped;
} Sorting;

static int64_t least(int64_t a, int64_t b) {
    return a < b ? a : b;
}

/* ---- where pieces begin ---- */

/* How many elements of left are among the first `at` of the merge of left and right; between low and high. */
static ErrorCode place(const Sorting *sorting, const char *left, const char *right, int64_t at, int64_t low,
                       int64_t high, int64_t *out) {
    int64_t size = sorting->size;
    while (low < high) {
        int64_t middle = low + (high - low) / 2;
        int32_t order = 0;
        ErrorCode code = sorting->compare(sorting->closure, sorting->outer, left + middle * size,
                                          right + (at - middle - 1) * size, &order);
        if (code) return code;
        if (order > 0)
            high = middle;
        else
            low = middle + 1;
    }
    *out = low;
    return E_None;
}

/* Cuts the merge of two neighbours into so many pieces. */
static ErrorCode cut(Sorting *sorting, int64_t left, int64_t lefts, int64_t rights, int64_t pieces) {
    int64_t right = left + lefts, total = lefts + rights, i = 0, j = 0;
    const char *a = sorting->from + left * sorting->size, *b = sorting->from + right * sorting->size;
    for (int64_t k = 1; k <= pieces; k++) {
        int64_t at = total / pieces * k + total % pieces * k / pieces, step = at - i - j;
        int64_t low = at - rights > i ? at - rights : i, high = least(lefts, i + step), next;
        ErrorCode code = place(sorting, a, b, at, low, high, &next);
        if (code) return code;
        sorting->piece[sorting->pieces++] =
            (Piece){left + i, next - i, right + j, at - next - j, left + i + j};
        i = next;
        j = at - next;
    }
    return E_None;
}

/* ---- the threads ---- */

static ErrorCode do_piece(Sorting *sorting, Worker *worker, int64_t number) {
    const Piece *p = &sorting->piece[number];
    int64_t size = sorting->size;
    char *from = sorting->from, *to = sorting->to;
    if (__atomic_load_n(worker->cancel, __ATOMIC_RELAXED))
        return worker_fail(worker, E_Cancelled, (Span){0, 0, 0}, 0, 0);
    if (sorting->run == 0 && sorting->key)
        return sort_by_key(worker, sorting->input + p->left * size, from + p->left * size, p->lefts, size,
                           sorting->key, (Span){0, 0, 0});
    if (sorting->run == 0)
        return sort_stable(worker, from + p->left * size, to + p->left * size, p->lefts, size,
                           sorting->compare, sorting->closure);
    return sort_merge(worker, from + p->left * size, p->lefts, from + p->right * size, p->rights,
                      to + p->out * size, size, sorting->compare, sorting->closure);
}

static void help(void *data, int number) {
    Sorting *sorting = data;
    if (number >= sorting->threads) return;
    Worker *worker = &sorting->workers[number];
    if (!worker->region) worker->region = region_new(region_budget(sorting->outer->region));
    while (worker->region && !atomic_load(&sorting->stopped)) {
        int64_t piece = atomic_fetch_add(&sorting->next, 1);
        if (piece >= sorting->pieces) return;
        ErrorCode code = do_piece(sorting, worker, piece);
        if (code == E_None) continue;
        atomic_store(&sorting->stopped, true);
        for (int i = 0; i < sorting->threads; i++)
            __atomic_store_n(&sorting->workers[i].stop, 1, __ATOMIC_RELAXED);
        return;
    }
}

/* Does all pieces. */
static ErrorCode step(Sorting *sorting) {
    sorting->next = 0;
    team_run(sorting->outer->team, help, sorting);
    Worker *worker = sorting->outer;
    if (!sorting->stopped && sorting->workers[0].region) return E_None;
    for (int i = 0; i < sorting->threads; i++) {
        const Error *error = &sorting->workers[i].error;
        if (error->code == E_None || (error->code == E_Cancelled && worker->error.code)) continue;
        worker->error = *error;
    }
    if (worker->error.code == E_None)
        worker_fail(worker, E_OutOfMemory, (Span){0, 0, 0}, 0, budget_limit(region_budget(worker->region)));
    return worker->error.code;
}

/* ---- the rounds ---- */

static ErrorCode sort_runs(Sorting *sorting) {
    for (int64_t at = 0; at < sorting->count; at += sorting->runs)
        sorting->piece[sorting->pieces++] =
            (Piece){.left = at, .lefts = least(sorting->runs, sorting->count - at)};
    return step(sorting);
}

/* One round: neighbours of `run` elements become one. */
static ErrorCode merge_round(Sorting *sorting, int64_t run) {
    int64_t merges = (sorting->count + 2 * run - 1) / (2 * run), pieces = 1 + 2 * sorting->threads / merges;
    sorting->run = run;
    sorting->pieces = 0;
    for (int64_t at = 0; at < sorting->count; at += 2 * run) {
        int64_t lefts = least(run, sorting->count - at), rights = least(run, sorting->count - at - lefts);
        ErrorCode code = cut(sorting, at, lefts, rights, pieces);
        if (code) return code;
    }
    ErrorCode code = step(sorting);
    char *swap = sorting->from;
    sorting->from = sorting->to;
    sorting->to = swap;
    return code;
}

static ErrorCode sort_all(Sorting *sorting, char *out) {
    ErrorCode code = sort_runs(sorting);
    for (int64_t run = sorting->runs; code == E_None && run < sorting->count; run *= 2)
        code = merge_round(sorting, run);
    if (code == E_None && sorting->from != out)
        memcpy(out, sorting->from, (size_t)(sorting->count * sorting->size));
    return code;
}

/* False: too little for several threads, or no memory to divide it. */
static bool sorting_open(Sorting *sorting, int runs_each) {
    Worker *worker = sorting->outer;
    int64_t grain = team_grain(worker->team) ? team_grain(worker->team) : LEAST, runs = 1;
    int threads = sorting->threads = team_threads(worker->team);
    if (!worker->team || sorting->size == 0 || sorting->count < 2 || sorting->count / threads < grain)
        return false;
    while (runs < runs_each * threads) runs *= 2;
    sorting->runs = (sorting->count + runs - 1) / runs;
    int64_t bytes = threads * (int64_t)sizeof(Worker), pieces = 2 * runs + 2 * threads + 2;
    sorting->workers = region_grow(worker->region, NULL, bytes + pieces * (int64_t)sizeof(Piece));
    if (!sorting->workers) return false;
    sorting->piece = (Piece *)(void *)((char *)sorting->workers + bytes);
    for (int i = 0; i < threads; i++)
        sorting->workers[i] = (Worker){.cancel = worker->cancel, .host = worker->host};
    return true;
}

static void sorting_close(Sorting *sorting) {
    for (int i = 0; i < sorting->threads; i++) region_free(sorting->workers[i].region);
    region_grow(sorting->outer->region, sorting->workers, 0);
}

ErrorCode sort_run(Worker *worker, void *data, void *scratch, int64_t count, int64_t size,
                   SortCompare compare, void *closure) {
    Sorting sorting = {.outer = worker,
                       .from = data,
                       .to = scratch,
                       .count = count,
                       .size = size,
                       .compare = compare,
                       .closure = closure};
    if (!sorting_open(&sorting, RUNS_EACH))
        return sort_stable(worker, data, scratch, count, size, compare, closure);
    ErrorCode code = sort_all(&sorting, data);
    sorting_close(&sorting);
    return code;
}

/* bytes: how->bytes, for the compiler to know. */
static inline bool rises(const Worker *worker, const char *at, int64_t count, int64_t size,
                         const Wording *how, int bytes) {
    enum { LOOK = 1 << 20 }; /* elements between looks at the cancel flag */
    int64_t before = INT64_MIN;
    for (int64_t i = 0; i < count; i++, at += size) {
        int64_t word = word_at(how, at, bytes);
        if (word < before || (i % LOOK == LOOK - 1 && sort_is_over(worker))) return false;
        before = word;
    }
    return true;
}

/* Is it in order as it is? Mostly the first few elements tell that it is not. */
static bool is_ordered(const Worker *worker, const char *data, int64_t count, int64_t size,
                       const SortKey *key) {
    Wording how = wording_of(key->kind, key->descending);
    data += key->offset;
    switch (how.bytes) {
    case 8: return rises(worker, data, count, size, &how, 8);
    case 4: return rises(worker, data, count, size, &how, 4);
    default: return rises(worker, data, count, size, &how, how.bytes);
    }
}

ErrorCode sort_run_by_key(Worker *worker, const void *data, void *out, int64_t count, int64_t size,
                          const SortKey *key, Span span) {
    ErrorCode code = E_OutOfMemory;
    if (count == 0) return E_None;
    if (is_ordered(worker, data, count, size, key)) {
        memcpy(out, data, (size_t)(count * size));
        return E_None;
    }
    bool itself = size == type_classes[key->kind].bits / 8;
    if (itself ? sort_scalars(worker, data, out, count, key, &code)
               : sort_records(worker, data, out, count, size, key, &code))
        return code;
    Sorting sorting = {.outer = worker,
                       .count = count,
                       .size = size,
                       .compare = sort_key_compare,
                       .closure = (void *)key,
                       .key = key,
                       .input = data};
    char *scratch = sorting_open(&sorting, 1) ? region_grow(worker->region, NULL, count * size) : NULL;
    if (scratch) {
        int rounds = 0;
        for (int64_t run = sorting.runs; run < count; run *= 2) rounds++;
        sorting.from = rounds % 2 ? scratch : out;
        sorting.to = rounds % 2 ? out : scratch;
        code = sort_all(&sorting, out);
        region_grow(worker->region, scratch, 0);
    }
    if (sorting.workers) sorting_close(&sorting);
    if (code != E_OutOfMemory) return code;
    worker->error.code = E_None; /* one thread may need less */
    return sort_by_key(worker, data, out, count, size, key, span);
}
