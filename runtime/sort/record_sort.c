/* record_sort.c: sorting elements by a scalar that lies in them.
 *
 * The key's word (sort.h), less the least one, and the element's number share 64 bits, which are sorted as numbers
 * (scalar_sort.c); then the elements are fetched in that order. All numbers differ, so the sort is stable although that
 * of numbers is not:
 *
 *     keys 40 17 40 12   ->   28|0 5|1 28|2 0|3   ->   0|3 5|1 28|0 28|2   ->   elements 3 1 0 2
 *
 * Where they need more than 64 bits together, the key's lowest bits are left out. Then elements that agree in the others
 * lie together, in the order of their numbers, and each such run is sorted once more by its whole keys: mostly it is
 * one element, or a few. A long one is sorted like this again; as a number has at most 32 bits, no more than 32 were
 * left out, so that now nothing is.
 *
 * All steps are shared by the threads. The packed numbers lie in the output until the elements are fetched, so the
 * memory needed is 8 bytes an element, and as many again for elements that are smaller.
 */
#include "sort.h"

enum {
    FEW = 48,         /* elements of a run that are sorted by insertion */
    CHUNK = 64 << 10, /* elements of a step */
    AHEAD = 24,       /* elements that are asked for ahead */
    LEAST = 64
};

typedef struct Range {
    int64_t least, most;
} Range;

typedef struct Records {
    Worker *worker;
    const char *data, *keys; /* keys: the first one */
    char *out;
    int64_t count, size, chunk;
    Wording how;
    int64_t least;
    int number, shift;         /* bits of a number, and of keys that are left out */
    uint64_t *packed, *sorted; /* (word - least) >> shift, then the number */
    Range *ranges;             /* of the words of each chunk */
    _Atomic bool long_runs;
} Records;

static int64_t end_of(const Records *r, int64_t chunk) {
    int64_t begin = chunk * r->chunk;
    return r->count - begin < r->chunk ? r->count : begin + r->chunk;
}

/* ---- from keys to numbers ---- */

static inline void range_of(Records *r, int64_t chunk, int bytes) {
    const char *at = r->keys + chunk * r->chunk * r->size;
    Range range = {INT64_MAX, INT64_MIN};
    for (int64_t i = chunk * r->chunk, end = end_of(r, chunk); i < end; i++, at += r->size) {
        int64_t word = word_at(&r->how, at, bytes);
        range.least = word < range.least ? word : range.least;
        range.most = word > range.most ? word : range.most;
    }
    r->ranges[chunk] = range;
}

static inline void pack(Records *r, int64_t chunk, int bytes) {
    const char *at = r->keys + chunk * r->chunk * r->size;
    uint64_t least = (uint64_t)r->least;
    for (int64_t i = chunk * r->chunk, end = end_of(r, chunk); i < end; i++, at += r->size)
        r->packed[i] =
            (((uint64_t)word_at(&r->how, at, bytes) - least) >> r->shift) << r->number | (uint64_t)i;
}

/* The same for keys of each width. */
#define BY_WIDTH(function)                                   \
    static bool function##_step(void *data, int64_t chunk) { \
        Records *r = data;                                   \
        switch (r->how.bytes) {                              \
        case 8: function(r, chunk, 8); break;                \
        case 4: function(r, chunk, 4); break;                \
        case 2: function(r, chunk, 2); break;                \
        default: function(r, chunk, 1); break;               \
        }                                                    \
        return true;                                         \
    }
BY_WIDTH(range_of)
BY_WIDTH(pack)
#undef BY_WIDTH

static int bits_of(uint64_t number) {
    return number ? 64 - __builtin_clzll(number) : 0;
}

/* Words of up to 32 bits and their numbers always fit; of others the range is looked up. */
static bool choose_bits(Records *r, Team *team, int64_t chunks) {
    r->number = bits_of((uint64_t)r->count - 1);
    int key = 8 * r->how.bytes;
    r->least = key < 64 ? -(INT64_C(1) << (key - 1)) : INT64_MIN;
    if (key + r->number > 64) {
        if (!sort_each(r->worker, team, chunks, range_of_step, r)) return false;
        Range all = r->ranges[0];
        for (int64_t k = 1; k < chunks; k++) {
            all.least = r->ranges[k].least < all.least ? r->ranges[k].least : all.least;
            all.most = r->ranges[k].most > all.most ? r->ranges[k].most : all.most;
        }
        r->least = all.least;
        key = bits_of((uint64_t)all.most - (uint64_t)all.least);
    }
    r->shift = key + r->number > 64 ? key + r->number - 64 : 0;
    return true;
}

/* ---- runs that agree in what was kept of their keys ---- */

typedef struct Whole {
    int64_t word;
    uint64_t packed;
} Whole;

static uint64_t number_of(const Records *r, uint64_t packed) {
    return packed & ((UINT64_C(1) << r->number) - 1);
}

static Whole whole_of(const Records *r, uint64_t packed) {
    return (Whole){word_at(&r->how, r->keys + (int64_t)number_of(r, packed) * r->size, 8), packed};
}

static int64_t run_end(const Records *r, int64_t at) {
    uint64_t key = r->sorted[at] >> r->number;
    while (++at < r->count && r->sorted[at] >> r->number == key) continue;
    return at;
}

static void sort_short_run(const Records *r, uint64_t *run, int64_t length) {
    Whole few[FEW];
    for (int64_t i = 0; i < length; i++) {
        Whole whole = whole_of(r, run[i]);
        int64_t at = i;
        for (; at > 0 && few[at - 1].word > whole.word; at--) few[at] = few[at - 1];
        few[at] = whole;
    }
    for (int64_t i = 0; i < length; i++) run[i] = few[i].packed;
}

/* The runs that begin in a chunk, but for long ones. */
static bool sort_short_runs(void *data, int64_t chunk) {
    Records *r = data;
    int64_t at = chunk * r->chunk, end = end_of(r, chunk);
    while (at > 0 && at < end && r->sorted[at] >> r->number == r->sorted[at - 1] >> r->number) at++;
    while (at < end) {
        int64_t next = run_end(r, at);
        if (next - at > FEW)
            r->long_runs = true;
        else if (next - at > 1)
            sort_short_run(r, r->sorted + at, next - at);
        at = next;
    }
    return true;
}

static ErrorCode sort_long_run(Records *r, uint64_t *run, int64_t length) {
    static const SortKey by_word = {TY_i64, false, offsetof(Whole, word)};
    Region *region = r->worker->region;
    int64_t bytes = 2 * length * (int64_t)sizeof(Whole);
    Whole *whole = region_grow(region, NULL, bytes);
    if (!whole)
        return worker_fail(r->worker, E_OutOfMemory, (Span){0, 0, 0}, bytes,
                           budget_limit(region_budget(region)));
    Whole *sorted = whole + length;
    for (int64_t i = 0; i < length; i++) whole[i] = whole_of(r, run[i]);
    ErrorCode code =
        sort_run_by_key(r->worker, whole, sorted, length, sizeof *whole, &by_word, (Span){0, 0, 0});
    for (int64_t i = 0; i < length && code == E_None; i++) run[i] = sorted[i].packed;
    region_grow(region, whole, 0);
    return code;
}

static ErrorCode sort_long_runs(Records *r) {
    ErrorCode code = E_None;
    for (int64_t at = 0, next; at < r->count && code == E_None; at = next) {
        next = run_end(r, at);
        if (next - at > FEW) code = sort_long_run(r, r->sorted + at, next - at);
    }
    return code;
}

/* ---- from numbers to elements ---- */

static inline void fetch(const Records *r, int64_t begin, int64_t end, int64_t size) {
    for (int64_t i = begin; i < end; i++) {
        if (i + AHEAD < end) __builtin_prefetch(r->data + (int64_t)number_of(r, r->sorted[i + AHEAD]) * size);
        memcpy(r->out + i * size, r->data + (int64_t)number_of(r, r->sorted[i]) * size, (size_t)size);
    }
}

static bool fetch_step(void *data, int64_t chunk) {
    Records *r = data;
    int64_t begin = chunk * r->chunk, end = end_of(r, chunk);
    switch (r->size) {
    case 8: fetch(r, begin, end, 8); break;
    case 16: fetch(r, begin, end, 16); break;
    case 24: fetch(r, begin, end, 24); break;
    case 32: fetch(r, begin, end, 32); break;
    default: fetch(r, begin, end, r->size); break;
    }
    return true;
}

static ErrorCode sort_in_steps(Records *r, Team *team) {
    static const SortKey plain = {TY_u64, false, 0};
    int64_t chunks = (r->count + r->chunk - 1) / r->chunk;
    bool done = choose_bits(r, team, chunks) && sort_each(r->worker, team, chunks, pack_step, r);
    ErrorCode code = E_None;
    if (done) code = sort_run_by_key(r->worker, r->packed, r->sorted, r->count, 8, &plain, (Span){0, 0, 0});
    if (code) return code;
    if (done && r->shift) done = sort_each(r->worker, team, chunks, sort_short_runs, r);
    if (done && r->long_runs) code = sort_long_runs(r);
    if (code) return code;
    done = done && sort_each(r->worker, team, chunks, fetch_step, r);
    return done ? E_None : worker_fail(r->worker, E_Cancelled, (Span){0, 0, 0}, 0, 0);
}

bool sort_records(Worker *worker, const void *data, void *out, int64_t count, int64_t size,
                  const SortKey *key, ErrorCode *code) {
    if (!sort_kernel(8) || count < LEAST || count > UINT32_MAX) return false;
    Team *team = sort_team(worker, count);
    int64_t chunk = team && team_grain(team) ? team_grain(team) : CHUNK, chunks = (count + chunk - 1) / chunk;
    bool large = size >= (int64_t)sizeof(uint64_t);
    int64_t ranges = chunks * (int64_t)sizeof(Range), numbers = count * (int64_t)sizeof(uint64_t);
    char *memory = region_grow(worker->region, NULL, ranges + numbers + (large ? 0 : numbers));
    if (!memory) return false;
    Records records = {.worker = worker,
                       .data = data,
                       .keys = (const char *)data + key->offset,
                       .out = out,
                       .count = count,
                       .size = size,
                       .chunk = chunk,
                       .how = wording_of(key->kind, key->descending),
                       .ranges = (Range *)(void *)memory,
                       .sorted = (uint64_t *)(void *)(memory + ranges),
                       .packed = large ? out : memory + ranges + numbers};
    *code = sort_in_steps(&records, team);
    region_grow(worker->region, memory, 0);
    if (*code == E_OutOfMemory) worker->error.code = E_None; /* runs of keys may need less another way */
    return *code != E_OutOfMemory;
}
