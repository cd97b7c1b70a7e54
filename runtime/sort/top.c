/* top.c: a slice of what a sort would give, without sorting all.
 *
 * Of a slice [start, start + count) only the first `keep` = start + count in order matter. By a key, a thread that
 * takes chunks of the data one after the other collects candidates, each a word (sort.h) and the element's number.
 * When there are twice as many as are kept, the words are sorted, those behind the keep-th are dropped, and from then
 * on only words below the keep-th, the bound, are candidates. What has an equal word but comes later stays behind:
 *
 *     keep 2, descending    5 1 7 | 7 3 9      5 1 7 -> 7 5, bound 5      7 -> candidate      3      9 -> candidate
 *
 * Soon most elements are beyond the bound, and whole blocks are passed over by comparing vectors (vector_sort.c). A
 * bound that one thread found lets others drop what is beyond it, too. At last all candidates are sorted by number and
 * then, stably, by word, so that threads and chunks decide nothing.
 *
 * By a function, one thread keeps copies of candidates in order and sorts them in anew when they are twice as many.
 *
 * Memory: some times `keep`, for each thread. When that is not small beside the data, all is sorted.
 *
 * Where what is sorted are scalars beside their numbers, {x, i}, no such pairs are made of those that are not in the slice:
 * the candidates have the numbers.
 */
#include "sort.h"

#include <stdatomic.h>

enum {
    FRACTION = 16,    /* of the data: no more is kept by selection */
    SLACK = 1024,     /* candidates beside the twice kept ones */
    CHUNK = 64 << 10, /* elements that a thread takes at a time */
    BLOCK = 64,       /* elements that are looked at one by one where a kernel found something */
    SHARED = 512 << 10,
    LEAST = 64
};

typedef struct Candidate {
    int64_t word, number;
} Candidate;

typedef struct Member {
    Worker worker;
    int64_t *words, *numbers, *sorted; /* of the candidates, in the order of the data; room to sort words */
    int64_t length, below;
    bool bounded; /* only words below `below` are candidates */
} Member;

typedef struct Top {
    Worker *outer;
    const char *data;
    int64_t count, size, keep, room, chunk;
    const SortKey *key;
    Wording how;
    const SortKernel *kernel; /* or NULL: elements are looked at one by one */
    bool numbered;            /* what comes out are a Numbered each */
    bool nan_last;            /* a NaN has the greatest word */
    int threads;
    Member *members;
    _Atomic int64_t next;
    _Atomic int64_t bound; /* the least that a member found; INT64_MAX: none */
    _Atomic bool over;
} Top;

/* A scalar of at most 8 bytes and its number, as the program's {T, i64} lies in memory. */
typedef struct Numbered {
    char scalar[8];
    int64_t number;
} Numbered;

/* ---- by a key: one member ---- */

/* word_at, of a NaN the greatest one where NaNs are last. */
static inline int64_t word_in(const Top *top, const char *at, int bytes) {
    int64_t greatest = (int64_t)(UINT64_MAX >> 1 >> (64 - 8 * bytes));
    if (!top->nan_last) return word_at(&top->how, at, bytes);
    if (bytes == 4) {
        float x;
        memcpy(&x, at, sizeof x);
        if (x != x) return greatest;
    } else if (bytes == 8) {
        double x;
        memcpy(&x, at, sizeof x);
        if (x != x) return greatest;
    }
    return word_at(&top->how, at, bytes);
}

static ErrorCode member_open(Top *top, Member *member) {
    Worker *outer = top->outer, *worker = &member->worker;
    worker->region = region_new(region_budget(outer->region));
    int64_t bytes = 3 * top->room * (int64_t)sizeof(int64_t);
    member->words = worker->region ? region_alloc(worker->region, bytes) : NULL;
    if (!member->words)
        return worker_fail(worker, E_OutOfMemory, (Span){0, 0, 0}, bytes,
                           budget_limit(region_budget(outer->region)));
    member->numbers = member->words + top->room;
    member->sorted = member->numbers + top->room;
    return E_None;
}

static void share_bound(Top *top, int64_t bound) {
    int64_t least = top->bound;
    while (bound < least && !atomic_compare_exchange_weak(&top->bound, &least, bound)) continue;
}

/* Drops all but the first `keep`. */
static ErrorCode member_drop(Top *top, Member *member) {
    static const SortKey plain = {TY_i64, false, 0};
    int64_t keep = top->keep, kept = 0;
    if (member->length <= keep) return E_None;
    ErrorCode code = sort_run_by_key(&member->worker, member->words, member->sorted, member->length, 8,
                                     &plain, (Span){0, 0, 0});
    if (code) return code;
    int64_t bound = member->sorted[keep - 1], equals = 1;
    while (equals < keep && member->sorted[keep - 1 - equals] == bound) equals++;
    for (int64_t i = 0; i < member->length; i++) {
        int64_t word = member->words[i];
        bool is_equal = word == bound, is_kept = word < bound || (is_equal && equals > 0);
        member->words[kept] = word;
        member->numbers[kept] = member->numbers[i];
        equals -= is_equal;
        kept += is_kept;
    }
    member->length = kept;
    member->below = bound;
    member->bounded = true;
    share_bound(top, bound);
    return E_None;
}

static inline ErrorCode look_at(Top *top, Member *member, int64_t begin, int64_t end, int bytes) {
    const char *at = top->data + top->key->offset + begin * top->size;
    for (int64_t i = begin; i < end; i++, at += top->size) {
        int64_t word = word_in(top, at, bytes);
        if (member->bounded && word >= member->below) continue;
        member->words[member->length] = word;
        member->numbers[member->length++] = i;
        if (member->length < top->room) continue;
        ErrorCode code = member_drop(top, member);
        if (code) return code;
    }
    return E_None;
}

static ErrorCode look(Top *top, Member *member, int64_t begin, int64_t end) {
    switch (top->how.bytes) {
    case 8: return look_at(top, member, begin, end, 8);
    case 4: return look_at(top, member, begin, end, 4);
    case 2: return look_at(top, member, begin, end, 2);
    default: return look_at(top, member, begin, end, 1);
    }
}

static ErrorCode look_at_chunk(Top *top, Member *member, int64_t chunk) {
    int64_t at = chunk * top->chunk, end = top->count - at < top->chunk ? top->count : at + top->chunk;
    int64_t bound = top->bound;
    if (bound < INT64_MAX && (!member->bounded || bound + 1 < member->below)) {
        member->below = bound + 1;
        member->bounded = true;
    }
    ErrorCode code = E_None;
    while (at < end && code == E_None) {
        int64_t to = end;
        if (top->kernel) {
            if (member->bounded) at = top->kernel->find(&top->how, top->data, at, end, member->below);
            to = end - at < BLOCK ? end : at + BLOCK;
        }
        code = look(top, member, at, to);
        at = to;
    }
    return code;
}

static void help(void *data, int number) {
    Top *top = data;
    if (number >= top->threads) return;
    Member *member = &top->members[number];
    ErrorCode code = member_open(top, member);
    int64_t chunks = (top->count + top->chunk - 1) / top->chunk;
    while (code == E_None && !top->over) {
        int64_t chunk = atomic_fetch_add(&top->next, 1);
        if (chunk >= chunks) break;
        code = sort_is_over(top->outer) ? worker_fail(&member->worker, E_Cancelled, (Span){0, 0, 0}, 0, 0)
                                        : look_at_chunk(top, member, chunk);
    }
    if (code == E_None) code = member_drop(top, member);
    if (code) top->over = true;
}

/* ---- by a key: all members ---- */

/* The failure of a member; a lack of memory rather than that others stopped. */
static ErrorCode failure(Top *top) {
    Worker *outer = top->outer;
    for (int i = 0; i < top->threads; i++) {
        const Error *error = &top->members[i].worker.error;
        if (error->code && (!outer->error.code || outer->error.code == E_Cancelled)) outer->error = *error;
    }
    return outer->error.code;
}

/* All candidates, in order; in a builder's block. */
static ErrorCode collect_all(Top *top, Candidate **out, int64_t *length, Span span) {
    static const SortKey by_word = {TY_i64, false, offsetof(Candidate, word)},
                         by_number = {TY_i64, false, offsetof(Candidate, number)};
    int64_t count = 0, at = 0, size = sizeof(Candidate);
    Worker *outer = top->outer;
    for (int t = 0; t < top->threads; t++) count += top->members[t].length;
    Candidate *all = region_grow(outer->region, NULL, 2 * count * size);
    if (!all)
        return worker_fail(outer, E_OutOfMemory, span, 2 * count * size,
                           budget_limit(region_budget(outer->region)));
    Candidate *sorted = all + count;
    for (int t = 0; t < top->threads; t++) {
        const Member *member = &top->members[t];
        for (int64_t i = 0; i < member->length; i++)
            all[at++] = (Candidate){member->words[i], member->numbers[i]};
    }
    ErrorCode code = sort_run_by_key(outer, all, sorted, count, size, &by_number, span);
    if (code == E_None) code = sort_run_by_key(outer, sorted, all, count, size, &by_word, span);
    if (code) region_grow(outer->region, all, 0);
    if (code) return code;
    *out = all;
    *length = count;
    return E_None;
}

/* The elements of these candidates. */
static ErrorCode copy_elements(const Top *top, const Candidate *of, int64_t count, Vec *out, Span span) {
    int64_t size = top->size, each = top->numbered ? (int64_t)sizeof(Numbered) : size;
    char *copy = worker_alloc(top->outer, count * each, span);
    if (!copy) return E_OutOfMemory;
    if (top->numbered) memset(copy, 0, (size_t)(count * each));
    for (int64_t i = 0; i < count; i++) {
        memcpy(copy + i * each, top->data + of[i].number * size, (size_t)size);
        if (top->numbered)
            memcpy(copy + i * each + offsetof(Numbered, number), &of[i].number, sizeof of[i].number);
    }
    *out = (Vec){copy, count};
    return E_None;
}

static ErrorCode fetch(Top *top, int64_t start, int64_t count, Vec *out, Span span) {
    Candidate *all = NULL;
    int64_t length = 0;
    ErrorCode code = collect_all(top, &all, &length, span);
    if (code == E_None) code = copy_elements(top, all + start, count, out, span);
    region_grow(top->outer->region, all, 0);
    return code;
}

/* Where selecting does not pay: all are candidates. */
static ErrorCode rank_all(Top *top, int64_t start, int64_t count, Vec *out, Span span) {
    static const SortKey by_word = {TY_i64, false, offsetof(Candidate, word)};
    int64_t size = sizeof(Candidate), bytes;
    Worker *outer = top->outer;
    if (__builtin_mul_overflow(top->count, 2 * size, &bytes)) bytes = INT64_MAX;
    Candidate *all = region_grow(outer->region, NULL, bytes);
    if (!all)
        return worker_fail(outer, E_OutOfMemory, span, bytes, budget_limit(region_budget(outer->region)));
    Candidate *sorted = all + top->count;
    for (int64_t i = 0; i < top->count; i++) {
        const char *at = top->data + i * top->size;
        bool wide = top->how.bytes > 2; /* smaller scalars are no floats */
        int64_t word = !wide ? word_at(&top->how, at, top->how.bytes) : word_in(top, at, top->how.bytes);
        all[i] = (Candidate){word, i};
    }
    ErrorCode code = sort_run_by_key(outer, all, sorted, top->count, size, &by_word, span);
    if (code == E_None) code = copy_elements(top, sorted + start, count, out, span);
    region_grow(outer->region, all, 0);
    return code;
}

static ErrorCode select_by_key(Top *top, int64_t start, int64_t count, Vec *out, Span span) {
    Worker *outer = top->outer;
    int64_t grain = team_grain(outer->team), bytes;
    top->threads = team_threads(outer->team);
    if (!grain && top->count < SHARED) top->threads = 1;
    top->chunk = grain ? grain : CHUNK;
    bytes = top->threads * (int64_t)sizeof *top->members;
    top->members = region_grow(outer->region, NULL, bytes);
    if (!top->members)
        return worker_fail(outer, E_OutOfMemory, span, bytes, budget_limit(region_budget(outer->region)));
    for (int i = 0; i < top->threads; i++)
        top->members[i] = (Member){.worker = {.cancel = outer->cancel, .host = outer->host}};
    team_run(top->threads > 1 ? outer->team : NULL, help, top);
    ErrorCode code = top->over ? failure(top) : fetch(top, start, count, out, span);
    for (int i = 0; i < top->threads; i++) region_free(top->members[i].worker.region);
    region_grow(outer->region, top->members, 0);
    return code;
}

/* ---- by a function ---- */

typedef struct Best {
    Worker *worker;
    SortCompare compare;
    void *closure;
    int64_t size, keep, length; /* of the kept ones, which are in order, and the candidates behind them */
    char *elements, *scratch;
} Best;

static ErrorCode best_drop(Best *best) {
    ErrorCode code = sort_stable(best->worker, best->elements, best->scratch, best->length, best->size,
                                 best->compare, best->closure);
    if (best->length > best->keep) best->length = best->keep;
    return code;
}

static ErrorCode best_look(Best *best, const char *data, int64_t count, int64_t room) {
    bool bounded = false;
    for (int64_t i = 0; i < count; i++) {
        const char *at = data + i * best->size;
        int32_t order = 1;
        ErrorCode code = E_None;
        if (bounded)
            code = best->compare(best->closure, best->worker, best->elements + (best->keep - 1) * best->size,
                                 at, &order);
        if (code == E_None && i % CHUNK == 0 && sort_is_over(best->worker))
            code = worker_fail(best->worker, E_Cancelled, (Span){0, 0, 0}, 0, 0);
        if (code) return code;
        if (order <= 0) continue;
        memcpy(best->elements + best->length++ * best->size, at, (size_t)best->size);
        if (best->length < room) continue;
        code = best_drop(best);
        if (code) return code;
        bounded = true;
    }
    return best_drop(best);
}

static ErrorCode select_by_function(Best *best, const char *data, int64_t length, int64_t start,
                                    int64_t count, Vec *out, Span span) {
    Worker *worker = best->worker;
    int64_t room = 2 * best->keep + SLACK, size = best->size, bytes = 2 * room * size;
    char *copy = worker_alloc(worker, count * size, span);
    if (!copy) return E_OutOfMemory;
    best->elements = region_grow(worker->region, NULL, bytes);
    if (!best->elements)
        return worker_fail(worker, E_OutOfMemory, span, bytes, budget_limit(region_budget(worker->region)));
    best->scratch = best->elements + room * size;
    ErrorCode code = best_look(best, data, length, room);
    if (code == E_None) {
        memcpy(copy, best->elements + start * size, (size_t)(count * size));
        *out = (Vec){copy, count};
    }
    region_grow(worker->region, best->elements, 0);
    return code;
}

/* ---- what compiled code calls ---- */

/* The first of the slice, and how many it has, within length; returns how many are to be kept. */
static int64_t clamp(int64_t length, int64_t *start, int64_t *count) {
    if (*start > length) *start = length;
    if (*count > length - *start) *count = length - *start;
    return *start + *count;
}

static bool pays(int64_t keep, int64_t length, int64_t size) {
    return size > 0 && keep <= length / FRACTION && length >= LEAST;
}

ErrorCode sort_top_by_key(Worker *worker, const void *data, int64_t length, int64_t size, const SortKey *key,
                          int64_t start, int64_t count, Vec *out, Span span) {
    int64_t keep = clamp(length, &start, &count), bytes;
    *out = (Vec){NULL, 0};
    if (count == 0) return E_None;
    if (pays(keep, length, size)) {
        Top top = {.outer = worker,
                   .data = data,
                   .count = length,
                   .size = size,
                   .keep = keep,
                   .room = 2 * keep + SLACK,
                   .key = key,
                   .how = wording_of(key->kind, key->descending),
                   .bound = INT64_MAX};
        if (size == top.how.bytes) top.kernel = sort_kernel(top.how.bytes);
        return select_by_key(&top, start, count, out, span);
    }
    if (__builtin_mul_overflow(length, size, &bytes)) bytes = INT64_MAX;
    char *copy = worker_alloc(worker, bytes, span);
    if (!copy) return E_OutOfMemory;
    ErrorCode code = sort_run_by_key(worker, data, copy, length, size, key, span);
    if (code == E_None) *out = (Vec){copy + start * size, count};
    return code;
}

ErrorCode sort_top_numbered(Worker *worker, const void *data, int64_t length, const SortKey *key,
                            bool nan_last, int64_t start, int64_t count, Vec *out, Span span) {
    int64_t keep = clamp(length, &start, &count);
    *out = (Vec){NULL, 0};
    if (count == 0) return E_None;
    Top top = {.outer = worker,
               .data = data,
               .count = length,
               .keep = keep,
               .room = 2 * keep + SLACK,
               .key = key,
               .how = wording_of(key->kind, key->descending),
               .numbered = true,
               .nan_last = nan_last && (key->kind == TY_f32 || key->kind == TY_f64),
               .bound = INT64_MAX};
    top.size = top.how.bytes;
    if (!pays(keep, length, top.size)) return rank_all(&top, start, count, out, span);
    top.kernel = sort_kernel(top.how.bytes);
    return select_by_key(&top, start, count, out, span);
}

bool sort_top(Worker *worker, const void *data, int64_t length, int64_t size, SortCompare compare,
              void *closure, int64_t start, int64_t count, Vec *out, Span span, ErrorCode *code) {
    int64_t keep = clamp(length, &start, &count);
    if (count == 0 || !pays(keep, length, size)) return false;
    Best best = {.worker = worker, .compare = compare, .closure = closure, .size = size, .keep = keep};
    *code = select_by_function(&best, data, length, start, count, out, span);
    return true;
}
