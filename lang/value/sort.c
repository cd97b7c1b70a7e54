/* sort.c: a stable merge sort whose order is a function that may fail.
 *
 * Bottom-up: runs of RUN elements are sorted by insertion, then merged two by two from the data to the
 * scratch and back, each round in runs of twice the length, until one run is left.
 *
 *     5 2 | 9 1 | 4      runs of two:  2 5 | 1 9 | 4     merged:  1 2 5 9 | 4     merged:  1 2 4 5 9
 *
 * Of two equal elements the left one is taken first, which keeps their order. Two runs that already follow
 * one another are copied after a single comparison, so sorted input takes linear time. Whatever the order
 * says, every element is moved exactly once per round: an order that contradicts itself gives some
 * permutation.
 */
#include "../lang.h"

#include <string.h>

enum { RUN = 8 };

typedef struct Sort {
    Worker *worker;
    SortCompare compare;
    void *closure;
    size_t size;
} Sort;

/* Does b belong before a. */
static ErrorCode is_before(const Sort *sort, const void *b, const void *a, bool *before) {
    int32_t order = 0;
    ErrorCode code = sort->compare(sort->closure, sort->worker, a, b, &order);
    *before = order > 0;
    return code;
}

/* Sorts one short run; spare holds one element. */
static ErrorCode insertion_sort(const Sort *sort, char *data, int64_t count, char *spare) {
    size_t size = sort->size;
    for (int64_t i = 1; i < count; i++) {
        int64_t at = i;
        for (bool before = true; at > 0; at--) {
            ErrorCode code =
                is_before(sort, data + (size_t)i * size, data + (size_t)(at - 1) * size, &before);
            if (code) return code;
            if (!before) break;
        }
        if (at == i) continue;
        memcpy(spare, data + (size_t)i * size, size);
        memmove(data + (size_t)(at + 1) * size, data + (size_t)at * size, (size_t)(i - at) * size);
        memcpy(data + (size_t)at * size, spare, size);
    }
    return E_None;
}

/* Merges [left, middle) and [right, end) into out. */
static ErrorCode merge_runs(const Sort *sort, const char *left, const char *middle, const char *right,
                            const char *end, char *out) {
    size_t size = sort->size;
    bool before = left < middle && right < end;
    ErrorCode code = before ? is_before(sort, right, middle - size, &before) : E_None;
    while (before && left < middle && right < end) {
        bool take_right = false;
        code = is_before(sort, right, left, &take_right);
        if (code) return code;
        const char **from = take_right ? &right : &left;
        memcpy(out, *from, size);
        *from += size;
        out += size;
    }
    if (code) return code;
    memcpy(out, left, (size_t)(middle - left));
    memcpy(out + (middle - left), right, (size_t)(end - right));
    return E_None;
}

ErrorCode sort_merge(Worker *worker, const void *a, int64_t na, const void *b, int64_t nb, void *out,
                     int64_t size, SortCompare compare, void *closure) {
    Sort sort = {worker, compare, closure, (size_t)size};
    return merge_runs(&sort, a, (const char *)a + na * size, b, (const char *)b + nb * size, out);
}

ErrorCode sort_stable(Worker *worker, void *data, void *scratch, int64_t count, int64_t size,
                      SortCompare compare, void *closure) {
    Sort sort = {worker, compare, closure, (size_t)size};
    if (count < 2 || size == 0) return E_None;
    char *from = data, *to = scratch;
    for (int64_t at = 0; at < count; at += RUN) {
        int64_t run = count - at < RUN ? count - at : RUN;
        ErrorCode code = insertion_sort(&sort, from + at * size, run, scratch);
        if (code) return code;
    }
    for (int64_t run = RUN; run < count; run *= 2) {
        for (int64_t at = 0; at < count; at += 2 * run) {
            int64_t middle = at + run < count ? at + run : count,
                    end = middle + run < count ? middle + run : count;
            char *out = to + at * size;
            if (middle == end) {
                memcpy(out, from + at * size, (size_t)((end - at) * size));
                continue;
            }
            const char *right = from + middle * size;
            ErrorCode code = merge_runs(&sort, from + at * size, right, right, from + end * size, out);
            if (code) return code;
        }
        char *swap = from;
        from = to;
        to = swap;
    }
    if (from != (char *)data) memcpy(data, from, (size_t)(count * size));
    return E_None;
}
