/* scalar_sort.c: sorting scalars that are their own keys, on one thread or several.
 *
 * Scalars of 32 and 64 bits become words, which the kernels of vector_sort.c sort. Many are scattered first: splitters
 * from a sorted sample cut the words' range into parts, every thread counts how many of its chunks of the data belong
 * into each, which says where each chunk's share of each part goes, and then moves them there; then each part is sorted
 * in its place.
 *
 *     splitters 3 6    chunk 0: 7 1 5    chunk 1: 4 2 9        counts  1 1 1 | 1 1 1
 *     ->   1 2 | 5 4 | 7 9                                     part 0 begins at 0, chunk 1's share of it at 1, ...
 *
 * A value that is several splitters at once gets a part of its own, which is sorted already. No memory is needed beside
 * the output, but for the counts of several threads.
 *
 * Equal scalars look alike, so no sort of them needs to be stable, except for the zeros: -0.0 equals 0.0, but its word
 * is one less. Where both occur, the output's zeros are written once more, in the order of the input.
 *
 * Scalars of 8 and 16 bits are counted. What is in order already is only copied.
 */
#include "sort.h"

#include <stdatomic.h>

enum {
    PARTS = 16,
    SAMPLE = 1024,
    CHUNK = 1 << 20,       /* elements that are counted or moved between looks at the cancel flag */
    CHUNKS_EACH = 4,       /* of a thread, at least */
    SCATTERED = 32 << 20,  /* bytes that are worth scattering for one thread */
    SHARED = 64 << 10,     /* elements that are worth several threads */
    COUNTED_16 = 32 << 10, /* elements of 16 bits that are worth counting */
};

typedef struct Scatter {
    const Worker *worker;
    const SortKernel *kernel;
    const Wording *how;
    const char *data;
    char *out;
    int64_t count, chunk, chunks;
    int64_t splitters[PARTS - 1];
    int nsplitters;
    int64_t (
        *places)[PARTS]; /* for each chunk: its elements above each splitter, then where each part's go */
    int64_t parts[PARTS + 1]; /* where they begin */
} Scatter;

/* ---- sharing work ---- */

typedef struct Sharing {
    const Worker *worker;
    bool (*step)(void *data, int64_t item);
    void *data;
    int64_t items;
    _Atomic int64_t next;
    _Atomic bool over;
} Sharing;

static void help(void *data, int member) {
    Sharing *sharing = data;
    (void)member;
    while (!sharing->over) {
        int64_t item = atomic_fetch_add(&sharing->next, 1);
        if (item >= sharing->items) return;
        if (sort_is_over(sharing->worker) || !sharing->step(sharing->data, item)) sharing->over = true;
    }
}

bool sort_each(const Worker *worker, Team *team, int64_t items, bool (*step)(void *data, int64_t item),
               void *data) {
    Sharing sharing = {.worker = worker, .step = step, .data = data, .items = items};
    team_run(team, help, &sharing);
    return !sharing.over;
}

Team *sort_team(const Worker *worker, int64_t count) {
    Team *team = worker->team;
    int64_t least = team_grain(team) ? team_grain(team) * team_threads(team) : SHARED;
    return team_threads(team) == 1 || count < least || count < 2 ? NULL : team;
}

/* ---- splitters ---- */

static int64_t word_in(const void *words, int64_t i, int bytes) {
    return bytes == 8 ? ((const int64_t *)words)[i] : ((const int32_t *)words)[i];
}

static int64_t least_word(int bytes) {
    return bytes == 8 ? INT64_MIN : INT32_MIN;
}
static int64_t most_word(int bytes) {
    return bytes == 8 ? INT64_MAX : INT32_MAX;
}

static void choose_splitters(Scatter *scatter) {
    _Alignas(64) char sample[SAMPLE * sizeof(int64_t)];
    int bytes = scatter->kernel->bytes;
    uint64_t random = (uint64_t)scatter->count;
    for (int i = 0; i < SAMPLE; i++) {
        random = random * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
        int64_t at = (int64_t)((random >> 11) % (uint64_t)scatter->count);
        memcpy(sample + i * bytes, scatter->data + at * bytes, (size_t)bytes);
    }
    scatter->kernel->load(scatter->how, sample, SAMPLE, sample);
    scatter->kernel->sort(NULL, sample, SAMPLE, least_word(bytes), most_word(bytes), scatter->worker);
    int n = 0;
    for (int k = 1; k < PARTS; k++) {
        int64_t word = word_in(sample, k * (SAMPLE / PARTS), bytes);
        if (n == 0 || word > scatter->splitters[n - 1]) {
            scatter->splitters[n++] = word;
        } else if (word > least_word(bytes) && (n == 1 || scatter->splitters[n - 2] < word - 1)) {
            scatter->splitters[n - 1] = word - 1; /* a frequent word, which then is alone in its part */
            scatter->splitters[n++] = word;
        }
    }
    scatter->nsplitters = n;
}

/* ---- the steps ---- */

static int64_t chunk_length(const Scatter *scatter, int64_t chunk) {
    int64_t left = scatter->count - chunk * scatter->chunk;
    return left < scatter->chunk ? left : scatter->chunk;
}

static bool count_chunk(void *data, int64_t chunk) {
    Scatter *scatter = data;
    const char *from = scatter->data + chunk * scatter->chunk * scatter->kernel->bytes;
    memset(scatter->places[chunk], 0, sizeof *scatter->places);
    scatter->kernel->count(scatter->how, from, chunk_length(scatter, chunk), scatter->splitters,
                           scatter->nsplitters, scatter->places[chunk]);
    return true;
}

static bool move_chunk(void *data, int64_t chunk) {
    Scatter *scatter = data;
    int bytes = scatter->kernel->bytes;
    void *to[PARTS];
    for (int k = 0; k <= scatter->nsplitters; k++) to[k] = scatter->out + scatter->places[chunk][k] * bytes;
    scatter->kernel->scatter(scatter->how, scatter->data + chunk * scatter->chunk * bytes,
                             chunk_length(scatter, chunk), scatter->splitters, scatter->nsplitters, to,
                             false);
    return true;
}

static bool sort_part(void *data, int64_t k) {
    Scatter *scatter = data;
    int bytes = scatter->kernel->bytes;
    int64_t length = scatter->parts[k + 1] - scatter->parts[k];
    if (length == 0) return true; /* there may be no word above the splitter */
    int64_t low = k ? scatter->splitters[k - 1] + 1 : least_word(bytes);
    int64_t high = k < scatter->nsplitters ? scatter->splitters[k] : most_word(bytes);
    return scatter->kernel->sort(scatter->how, scatter->out + scatter->parts[k] * bytes, length, low, high,
                                 scatter->worker);
}

/* From counts to places. */
static void place(Scatter *scatter) {
    int64_t at = 0;
    for (int64_t chunk = 0; chunk < scatter->chunks; chunk++) {
        int64_t *places = scatter->places[chunk], rest = chunk_length(scatter, chunk);
        for (int k = 0; k < scatter->nsplitters; k++) {
            int64_t above = places[k];
            places[k] = rest - above;
            rest = above;
        }
        places[scatter->nsplitters] = rest;
    }
    for (int k = 0; k <= scatter->nsplitters; k++) {
        scatter->parts[k] = at;
        for (int64_t chunk = 0; chunk < scatter->chunks; chunk++) {
            int64_t share = scatter->places[chunk][k];
            scatter->places[chunk][k] = at;
            at += share;
        }
    }
    scatter->parts[scatter->nsplitters + 1] = at;
}

static ErrorCode cancelled(Worker *worker) {
    return worker_fail(worker, E_Cancelled, (Span){0, 0, 0}, 0, 0);
}

/* On one thread only every other splitter needs counting: two parts share a place, and grow towards each other. */
static bool scatter_paired(Scatter *scatter, const Worker *worker) {
    int64_t pairs[PARTS / 2] = {0}, above[PARTS / 2] = {0}, bytes = scatter->kernel->bytes;
    void *to[PARTS];
    int npairs = scatter->nsplitters / 2;
    for (int k = 0; k < npairs; k++) pairs[k] = scatter->splitters[2 * k + 1];
    for (int64_t chunk = 0; chunk < scatter->chunks; chunk++) {
        if (sort_is_over(worker)) return false;
        scatter->kernel->count(scatter->how, scatter->data + chunk * scatter->chunk * bytes,
                               chunk_length(scatter, chunk), pairs, npairs, above);
    }
    for (int k = 0; k <= scatter->nsplitters; k++) {
        int pair = k / 2;
        int64_t begin = pair ? scatter->count - above[pair - 1] : 0;
        int64_t end = pair < npairs ? scatter->count - above[pair] : scatter->count;
        scatter->parts[k] = begin;
        to[k] = scatter->out + (k % 2 ? end : begin) * bytes;
    }
    scatter->parts[scatter->nsplitters + 1] = scatter->count;
    for (int64_t chunk = 0; chunk < scatter->chunks; chunk++) {
        if (sort_is_over(worker)) return false;
        scatter->kernel->scatter(scatter->how, scatter->data + chunk * scatter->chunk * bytes,
                                 chunk_length(scatter, chunk), scatter->splitters, scatter->nsplitters, to,
                                 true);
    }
    for (int k = 1; k <= scatter->nsplitters; k += 2)
        scatter->parts[k] = ((char *)to[k] - scatter->out) / bytes;
    return true;
}

static bool scatter_shared(Scatter *scatter, const Worker *worker, Team *team) {
    if (!sort_each(worker, team, scatter->chunks, count_chunk, scatter)) return false;
    place(scatter);
    return sort_each(worker, team, scatter->chunks, move_chunk, scatter);
}

/* False: no memory for the counts. */
static bool sort_scattered(Scatter *scatter, Worker *worker, Team *team, ErrorCode *code) {
    int64_t count = scatter->count, chunks = team ? CHUNKS_EACH * (int64_t)team_threads(team) : 1;
    scatter->chunk = (count + chunks - 1) / chunks;
    if (scatter->chunk > CHUNK) scatter->chunk = CHUNK;
    scatter->chunks = (count + scatter->chunk - 1) / scatter->chunk;
    int64_t bytes = scatter->chunks * (int64_t)sizeof *scatter->places;
    if (team && !(scatter->places = region_grow(worker->region, NULL, bytes))) return false;
    choose_splitters(scatter);
    bool done = team ? scatter_shared(scatter, worker, team) : scatter_paired(scatter, worker);
    done = done && sort_each(worker, team, scatter->nsplitters + 1, sort_part, scatter);
    if (team) region_grow(worker->region, scatter->places, 0);
    *code = done ? E_None : cancelled(worker);
    return true;
}

/* ---- zeros ---- */

static uint64_t bits_at(const void *data, int64_t i, int bytes) {
    uint64_t bits = 0;
    memcpy(&bits, (const char *)data + i * bytes, (size_t)bytes);
    return bits;
}

/* The first of the sorted scalars whose word is not below `word`. */
static int64_t first_from(const Wording *how, const void *sorted, int64_t count, int64_t word) {
    int64_t low = 0;
    while (count > 0) {
        int64_t bits = (int64_t)(bits_at(sorted, low + count / 2, how->bytes) << (64 - 8 * how->bytes));
        bits >>= 64 - 8 * how->bytes;
        bool below = (bits ^ (bits >> 63 & how->magnitude) ^ how->flip) < word;
        low += below ? count / 2 + 1 : 0;
        count = below ? count - count / 2 - 1 : count / 2;
    }
    return low;
}

/* -0.0 and 0.0 have the words -1 and 0, or the other way round. */
static void order_zeros(const Wording *how, const void *data, void *sorted, int64_t count) {
    int bytes = how->bytes, shift = 64 - 8 * bytes;
    int64_t at = first_from(how, sorted, count, -1), end = first_from(how, sorted, count, 1);
    if (at == end || bits_at(sorted, at, bytes) == bits_at(sorted, end - 1, bytes)) return;
    for (int64_t i = 0; at < end; i++) {
        uint64_t bits = bits_at(data, i, bytes);
        if (bits << shift << 1 == 0) memcpy((char *)sorted + at++ * bytes, &bits, (size_t)bytes);
    }
}

/* ---- small scalars ---- */

static void fill(char *out, uint64_t bits, int64_t count, int bytes) {
    if (bytes == 1) {
        memset(out, (int)bits, (size_t)count);
        return;
    }
    for (int64_t i = 0; i < count; i++) ((uint16_t *)(void *)out)[i] = (uint16_t)bits;
}

/* counts: of all values, zeroed. */
static ErrorCode sort_counted(Worker *worker, const void *data, char *out, int64_t count, const Wording *how,
                              int64_t *counts) {
    int64_t values = how->bytes == 1 ? 256 : 65536;
    for (int64_t at = 0, end; at < count; at = end) {
        if (sort_is_over(worker)) return cancelled(worker);
        end = count - at < CHUNK ? count : at + CHUNK;
        if (how->bytes == 1)
            for (int64_t i = at; i < end; i++) counts[((const uint8_t *)data)[i]]++;
        else
            for (int64_t i = at; i < end; i++) counts[((const uint16_t *)data)[i]]++;
    }
    for (int64_t k = 0; k < values; k++) {
        uint64_t bits =
            (uint64_t)((k - values / 2) ^ how->flip) & (uint64_t)(values - 1); /* of the k-th word */
        fill(out, bits, counts[bits], how->bytes);
        out += counts[bits] * how->bytes;
    }
    return E_None;
}

static bool sort_small(Worker *worker, const void *data, void *out, int64_t count, const Wording *how,
                       ErrorCode *code) {
    if (how->bytes == 1) {
        int64_t counts[256] = {0};
        *code = sort_counted(worker, data, out, count, how, counts);
        return true;
    }
    int64_t bytes = 65536 * (int64_t)sizeof(int64_t);
    int64_t *counts = count < COUNTED_16 ? NULL : region_grow(worker->region, NULL, bytes);
    if (!counts) return false;
    memset(counts, 0, (size_t)bytes);
    *code = sort_counted(worker, data, out, count, how, counts);
    region_grow(worker->region, counts, 0);
    return true;
}

/* ---- what is in order ---- */

static inline bool is_descent(const Wording *how, const char *at, int64_t count, int bytes) {
    bool descent = false;
    for (int64_t i = 0; i + 1 < count; i++)
        descent |= word_at(how, at + i * bytes, bytes) > word_at(how, at + (i + 1) * bytes, bytes);
    return descent;
}

/* Numbers of rows are, and what was sorted before. What is not shows that in its first block, nearly always. */
static bool is_sorted(const Worker *worker, const Wording *how, const char *data, int64_t count) {
    enum { BLOCK = 256 };
    for (int64_t at = 0; at < count; at += BLOCK) {
        const char *block = data + at * how->bytes;
        int64_t next =
            count - at < BLOCK + 1 ? count - at : BLOCK + 1; /* and the first one of the next block */
        if (how->bytes == 8 ? is_descent(how, block, next, 8) : is_descent(how, block, next, 4)) return false;
        if (at % CHUNK == 0 && sort_is_over(worker)) return false;
    }
    return true;
}

static void copy_sorted(const Worker *worker, const char *data, char *out, int64_t bytes) {
    for (int64_t at = 0; at < bytes && !sort_is_over(worker); at += CHUNK)
        memcpy(out + at, data + at, (size_t)(bytes - at < CHUNK ? bytes - at : CHUNK));
}

bool sort_scalars(Worker *worker, const void *data, void *out, int64_t count, const SortKey *key,
                  ErrorCode *code) {
    Wording how = wording_of(key->kind, key->descending);
    if (how.bytes <= 2) return sort_small(worker, data, out, count, &how, code);
    Scatter scatter = {.worker = worker,
                       .kernel = sort_kernel(how.bytes),
                       .how = &how,
                       .data = data,
                       .out = out,
                       .count = count};
    if (!scatter.kernel) return false;
    *code = E_None;
    if (!count) return true;
    if (is_sorted(worker, &how, data, count)) {
        copy_sorted(worker, data, out, count * how.bytes);
        if (sort_is_over(worker)) *code = cancelled(worker);
        return true;
    }
    Team *team = sort_team(worker, count);
    bool scattered = (team || count >= SCATTERED / how.bytes) && sort_scattered(&scatter, worker, team, code);
    if (!scattered) {
        scatter.kernel->load(&how, data, count, out);
        bool done =
            scatter.kernel->sort(&how, out, count, least_word(how.bytes), most_word(how.bytes), worker);
        *code = done ? E_None : cancelled(worker);
    }
    if (*code == E_None && how.magnitude) order_zeros(&how, data, out, count);
    return true;
}
