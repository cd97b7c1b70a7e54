/* gather.c: a dictionary is put together from the partitions of dictmergers (lang/value/partition.c), on all threads.
 *
 * After a parallel loop each unit has partitions of its own. First, partition by partition, what the units have is
 * merged in the order of the units: the entries that were drained, then the records that wait. That is done in a
 * dictionary of each thread's, which serves one partition after the other:
 *
 *     unit 0   [part 0 | part 1 | ...]
 *     unit 1   [part 0 | part 1 | ...]    ->    [part 0 | part 1 | ...]
 *
 * Then the entries are laid out in the order of their keys' first merges. Every partition has its own in that
 * order; to merge 256 of them, the numbers of the merges are cut into stretches. A bit for each merge of a stretch
 * that was a key's first, and a count of the bits before, give every entry its place:
 *
 *     part 0   a/0 b/7 c/9      stretch 0..3    bits 1011    a/0 d/2 e/3  ->  places 0 1 2
 *     part 1   d/2 e/3 f/8      stretch 4..7    bits 0001    b/7          ->  place  3
 *
 * A dictionary that is only searched needs no entries where it has a table.
 *
 * At last the index is filled: a slot is a hash's highest bits, so each partition has a range of slots of its own;
 * the few entries that would run over its end are entered when all are done. A table (lang/value/table.c) is filled in the
 * same way.
 *
 * Nothing that a thread does depends on what another one does, so neither timing nor the number of threads can be
 * seen. Threads allocate in regions of their own, which the run's region then adopts.
 */
#include "rt.h"

#include <stdatomic.h>
#include <string.h>

enum { LEAST_STRETCH = 16, MOST_STRETCHES = 4096, SPILLS = 64, WORTHWHILE = 1 << 14, LINE = 64 };

typedef struct Member {
    Worker worker;
    Dict scratch;
    Slabs slabs; /* what it has merged */
} Member;

typedef struct Gather {
    Worker *worker;
    Dict **from; /* what is merged */
    int64_t nfrom, entries;
    Op op;
    Span span;
    Drained parts[PARTITIONS]; /* where the entries lie */
    const Type *given;         /* their type, {K, V, i64} */
    Member *members;
    int threads;
    _Atomic int64_t next;
    _Atomic bool failed;

    const Type *entry; /* of the dictionary, {K, V} */
    Dict dict;         /* that is made */
    int stretch;       /* bits of a number that count within a stretch */
    int64_t stretches;
    uint32_t *starts; /* [PARTITIONS][stretches + 1]: the first entry of each stretch */
    uint32_t *places; /* [stretches]: the place of its first entry */
    char *scratch;    /* of each thread: bits and counts of a stretch */
    int64_t scratch_bytes;
    uint32_t spills[PARTITIONS][SPILLS]; /* entries that found no slot in their range */
    uint32_t spilled[PARTITIONS];
} Gather;

/* ---- merging the partitions of several ---- */

static void merge_partitions(void *data, int number) {
    Gather *g = data;
    if (number >= g->threads || !g->members[number].worker.region) return;
    Member *member = &g->members[number];
    for (int64_t part; (part = atomic_fetch_add(&g->next, 1)) < PARTITIONS;) {
        if (atomic_load(&g->failed)) return;
        if (!partition_merge(&member->worker, g->from, g->nfrom, part, g->op, &member->scratch,
                             &member->slabs, &g->parts[part]))
            atomic_store(&g->failed, true);
    }
}

/* ---- the order of first merges ---- */

static int64_t number_at(const Gather *g, const Drained *from, int64_t i) {
    const Type *entry = g->given;
    return *(const int64_t *)(const void *)(from->entries + i * entry->size + entry->offsets[2]);
}

static void find_starts(void *data, int number) {
    Gather *g = data;
    if (number >= g->threads) return;
    for (int64_t part; (part = atomic_fetch_add(&g->next, 1)) < PARTITIONS;) {
        const Drained *from = &g->parts[part];
        uint32_t *starts = g->starts + part * (g->stretches + 1);
        int64_t stretch = 0;
        for (int64_t i = 0; i < from->length; i++) {
            int64_t at = number_at(g, from, i) >> g->stretch;
            while (stretch <= at) starts[stretch++] = (uint32_t)i;
        }
        while (stretch <= g->stretches) starts[stretch++] = (uint32_t)from->length;
    }
}

static void copy_words(void *to, const void *from, int64_t size) {
    for (int64_t at = 0; at + 8 <= size; at += 8) memcpy((char *)to + at, (const char *)from + at, 8);
    if (size % 8) memcpy((char *)to + size / 8 * 8, (const char *)from + size / 8 * 8, (size_t)(size % 8));
}

/* The numbers of the entries become their places. */
static void lay_out_stretch(Gather *g, int64_t stretch, uint64_t *bits, uint32_t *before) {
    int64_t words = ((int64_t)1 << g->stretch) / 64, size = g->entry->size, given = g->given->size;
    int64_t low = stretch << g->stretch, offset = g->given->offsets[2];
    memset(bits, 0, (size_t)words * sizeof *bits);
    for (int part = 0; part < PARTITIONS; part++) {
        const uint32_t *starts = g->starts + part * (g->stretches + 1) + stretch;
        for (uint32_t i = starts[0]; i < starts[1]; i++) {
            int64_t at = number_at(g, &g->parts[part], i) - low;
            bits[at / 64] |= (uint64_t)1 << at % 64;
        }
    }
    uint32_t place = g->places[stretch];
    for (int64_t i = 0; i < words; i++) {
        before[i] = place;
        place += (uint32_t)__builtin_popcountll(bits[i]);
    }
    for (int part = 0; part < PARTITIONS; part++) {
        const uint32_t *starts = g->starts + part * (g->stretches + 1) + stretch;
        for (uint32_t i = starts[0]; i < starts[1]; i++) {
            char *from = g->parts[part].entries + i * given;
            int64_t *number = (int64_t *)(void *)(from + offset), at = *number - low;
            uint64_t lower = bits[at / 64] & (((uint64_t)1 << at % 64) - 1);
            *number = before[at / 64] + (int64_t)__builtin_popcountll(lower);
            copy_words(g->dict.entries + *number * size, from, size);
        }
    }
}

static void lay_out(void *data, int number) {
    Gather *g = data;
    if (number >= g->threads) return;
    uint64_t *bits = (uint64_t *)(void *)(g->scratch + number * g->scratch_bytes);
    uint32_t *before = (uint32_t *)(void *)(bits + ((int64_t)1 << g->stretch) / 64);
    for (int64_t at; (at = atomic_fetch_add(&g->next, 1)) < g->stretches;) {
        if (g->places[at] != g->places[at + 1]) lay_out_stretch(g, at, bits, before);
    }
}

/* ---- the index, or the table ---- */

static void enter(const Dict *dict, uint64_t hash, int64_t number, uint64_t slot) {
    while (dict->index[slot]) slot = (slot + 1) & dict->mask;
    dict->index[slot] = hash << 32 | (uint64_t)(number + 1);
}

/* In [.., end); false: there is no room. */
static bool enter_index(Gather *g, const Drained *from, int64_t i, uint64_t end) {
    const Dict *dict = &g->dict;
    uint64_t hash = key_hash(g->entry->args[0], from->entries + i * g->given->size);
    uint64_t slot = hash >> dict->shift & dict->mask;
    while (slot < end && dict->index[slot]) slot++;
    if (slot == end) return false;
    dict->index[slot] = hash << 32 | (uint64_t)(number_at(g, from, i) + 1);
    return true;
}

static bool enter_table(Gather *g, const Drained *from, int64_t i, uint64_t end) {
    const char *key = from->entries + i * g->given->size;
    return table_enter(&g->dict, g->entry, key, key + g->given->offsets[1], end);
}

static void fill_range(Gather *g, int64_t part) {
    const Drained *from = &g->parts[part];
    Dict *dict = &g->dict;
    uint64_t range = (dict->mask + 1) / PARTITIONS, end = range * (uint64_t)(part + 1);
    if (dict->table)
        table_clear(dict, end - range, end);
    else
        memset(dict->index + (end - range), 0, range * sizeof *dict->index);
    for (int64_t i = 0; i < from->length; i++) {
        if (dict->table ? enter_table(g, from, i, end) : enter_index(g, from, i, end)) continue;
        if (g->spilled[part] < SPILLS) g->spills[part][g->spilled[part]] = (uint32_t)i;
        g->spilled[part]++;
    }
}

static void fill_ranges(void *data, int number) {
    Gather *g = data;
    if (number >= g->threads) return;
    for (int64_t part; (part = atomic_fetch_add(&g->next, 1)) < PARTITIONS;) fill_range(g, part);
}

/* False: there were too many. */
static bool enter_spills(Gather *g) {
    for (int part = 0; part < PARTITIONS; part++) {
        const Drained *from = &g->parts[part];
        if (g->spilled[part] > SPILLS) return false;
        for (uint32_t k = 0; k < g->spilled[part]; k++) {
            uint32_t i = g->spills[part][k];
            if (g->dict.table) {
                enter_table(g, from, i, UINT64_MAX);
                continue;
            }
            uint64_t hash = key_hash(g->entry->args[0], from->entries + i * g->given->size);
            enter(&g->dict, hash, number_at(g, from, i), hash >> g->dict.shift & g->dict.mask);
        }
    }
    return true;
}

/* ---- the whole ---- */

static void together(Gather *g, void (*task)(void *data, int number)) {
    atomic_store(&g->next, 0);
    team_run(g->entries >= WORTHWHILE || g->worker->grain ? g->worker->team : NULL, task, g);
}

static void *take(Gather *g, int64_t count, int64_t size) {
    int64_t bytes;
    if (__builtin_mul_overflow(count, size, &bytes)) bytes = INT64_MAX;
    void *block = region_grow(g->worker->region, NULL, bytes ? bytes : 1);
    if (!block)
        worker_fail(g->worker, E_OutOfMemory, g->span, bytes, budget_limit(region_budget(g->worker->region)));
    return block;
}

/* Of eight at most so many are used. */
static void set_slots(Gather *g, int used) {
    uint64_t slots = DICT_SPARSE * PARTITIONS;
    while (slots * (uint64_t)used < 8 * (uint64_t)g->entries) slots *= 2;
    g->dict.mask = slots - 1;
    g->dict.shift = (uint64_t)(64 - __builtin_ctzll(slots));
}

/* Is it a key? Its hash names the partition that would have it. */
static bool has_word(const void *data, uint64_t word) {
    const Gather *g = data;
    const Drained *from = &g->parts[hash_u64(word) >> (64 - PARTITION_BITS)];
    for (int64_t i = 0; i < from->length; i++) {
        if (key_word(g->entry->args[0], from->entries + i * g->given->size) == word) return true;
    }
    return false;
}

/* False: there is none, and nothing is lost, for an index does as well. */
static bool make_table(Gather *g) {
    Dict *dict = &g->dict;
    if (!table_fits(g->entry) || !table_choose_vacant(g->entry, has_word, g, &dict->vacant)) return false;
    set_slots(g, TABLE_USED);
    memset(g->spilled, 0, sizeof g->spilled);
    dict->table =
        region_grow(g->worker->region, NULL, (int64_t)(dict->mask + 1) * (int64_t)sizeof *dict->table);
    if (!dict->table) return false;
    together(g, fill_ranges);
    if (enter_spills(g)) return true;
    dict->table = region_grow(g->worker->region, dict->table, 0);
    return false;
}

static bool make_index(Gather *g) {
    set_slots(g, 8 / DICT_SPARSE);
    uint64_t slots = g->dict.mask + 1;
    memset(g->spilled, 0, sizeof g->spilled);
    g->dict.index = take(g, (int64_t)slots, sizeof *g->dict.index);
    if (!g->dict.index) return false;
    together(g, fill_ranges);
    if (enter_spills(g)) return true;
    region_grow(g->worker->region, g->dict.index, 0);
    return dict_make_index(g->worker, &g->dict, g->entry, g->span);
}

static int64_t set_stretches(Gather *g, int64_t merges) {
    g->stretch = g->worker->grain ? 6 : LEAST_STRETCH;
    while (merges >> g->stretch >= MOST_STRETCHES) g->stretch++;
    g->stretches = (merges >> g->stretch) + 1;
    int64_t bytes = ((int64_t)1 << g->stretch) / 64 * (int64_t)(sizeof(uint64_t) + sizeof(uint32_t));
    return g->scratch_bytes = (bytes + LINE - 1) / LINE * LINE;
}

static void set_places(Gather *g) {
    uint32_t place = 0;
    for (int64_t stretch = 0; stretch <= g->stretches; stretch++) {
        g->places[stretch] = place;
        if (stretch == g->stretches) break;
        for (int part = 0; part < PARTITIONS; part++) {
            const uint32_t *starts = g->starts + part * (g->stretches + 1) + stretch;
            place += starts[1] - starts[0];
        }
    }
}

/* Lays the entries out, in the order of first merges, which have numbers below that. */
static bool make_entries(Gather *g, int64_t merges) {
    int64_t scratch = set_stretches(g, merges);
    g->scratch = take(g, g->threads, scratch);
    g->starts = g->scratch ? take(g, PARTITIONS * (g->stretches + 1), sizeof *g->starts) : NULL;
    g->places = g->starts ? take(g, g->stretches + 1, sizeof *g->places) : NULL;
    g->dict.entries = g->places ? take(g, g->entries, g->entry->size) : NULL;
    bool ok = g->dict.entries != NULL;
    if (ok) {
        together(g, find_starts);
        set_places(g);
        together(g, lay_out);
    }
    region_grow(g->worker->region, g->places, 0);
    region_grow(g->worker->region, g->starts, 0);
    region_grow(g->worker->region, g->scratch, 0);
    return ok;
}

/* Makes dict of what lies in g->parts. */
static bool assemble(Gather *g, Dict *dict, int64_t merges, DictForm form) {
    g->entries = 0;
    for (int part = 0; part < PARTITIONS; part++) g->entries += g->parts[part].length;
    g->dict = (Dict){.length = g->entries, .capacity = g->entries};
    set_slots(g, 8 / DICT_SPARSE);
    bool ok = form == DICT_PROBED && make_table(g);
    if (!ok)
        ok = make_entries(g, merges) &&
             (form == DICT_LISTED || (form == DICT_SEARCHED && make_table(g)) || make_index(g));
    if (ok) {
        region_grow(g->worker->region, dict->direct, 0);
        *dict = g->dict;
    }
    return ok;
}

static Gather *gather_new(Worker *worker, const Type *entry, Span span) {
    Gather *g = region_grow(worker->region, NULL, sizeof *g);
    if (!g) {
        worker_fail(worker, E_OutOfMemory, span, sizeof *g, budget_limit(region_budget(worker->region)));
        return NULL;
    }
    memset(g, 0, sizeof *g);
    g->worker = worker;
    g->entry = entry;
    g->span = span;
    g->threads = team_threads(worker->team);
    return g;
}

/* Merges with a worker and a region for each thread; the first failure is the run's. */
static bool merge_all(Gather *g) {
    Worker *worker = g->worker;
    g->members = take(g, g->threads, sizeof *g->members);
    if (!g->members) return false;
    memset(g->members, 0, (size_t)g->threads * sizeof *g->members);
    for (int i = 0; i < g->threads; i++) {
        g->members[i].worker =
            (Worker){.cancel = worker->cancel, .host = worker->host, .grain = worker->grain};
        g->members[i].worker.region = region_new(region_budget(worker->region));
    }
    if (g->members[0].worker.region)
        together(g, merge_partitions);
    else
        atomic_store(&g->failed, true);
    bool ok = !atomic_load(&g->failed);
    for (int i = 0; i < g->threads; i++) {
        Member *member = &g->members[i];
        if (!ok && worker->error.code == E_None) worker->error = member->worker.error;
        if (!member->worker.region) continue;
        dict_discard(&member->worker, &member->scratch);
        region_adopt(worker->region, member->worker.region, true);
        region_free(member->worker.region);
    }
    if (!ok && worker->error.code == E_None)
        worker_fail(worker, E_OutOfMemory, g->span, 0, budget_limit(region_budget(worker->region)));
    return ok;
}

static void free_members(Gather *g) {
    for (int i = 0; g->members && i < g->threads; i++) slabs_free(g->worker, &g->members[i].slabs);
    region_grow(g->worker->region, g->members, 0);
}

/* The dictionary of what lies in partitions. */
bool gather(Worker *worker, Dict *dict, const Type *entry, DictForm form, Span span) {
    Partitions *parts = dict->partitions;
    if (!parts) return true;
    Gather *g = gather_new(worker, entry, span);
    if (!g) return false;
    g->from = &dict;
    g->nfrom = 1;
    g->entries = parts->base + dict->merges;
    g->given = parts->entry;
    bool ok = true;
    if (dict->merges)
        ok = merge_all(g);
    else
        memcpy(g->parts, parts->drained, sizeof g->parts);
    int64_t merges = parts->base + dict->merges;
    if (ok) {
        dict->partitions = NULL;
        ok = assemble(g, dict, merges, form);
        partitions_free(worker, parts);
    }
    free_members(g);
    region_grow(worker->region, g, 0);
    return ok;
}

/* Those without partitions get them; those without entries are left out. */
static bool partition_all(Gather *g, const Partitions *like) {
    int64_t count = 0;
    for (int64_t i = 0; i < g->nfrom; i++) {
        Dict *dict = g->from[i];
        if (!dict->partitions && !dict->length) {
            dict_discard(g->worker, dict);
            *dict = (Dict){0};
            continue;
        }
        if (!dict->partitions &&
            !partition_begin(g->worker, dict, like->entry, like->drain, like->record, NULL, 0)) {
            worker_fail(g->worker, E_OutOfMemory, g->span, 0, budget_limit(region_budget(g->worker->region)));
            return false;
        }
        g->from[count++] = dict;
    }
    g->nfrom = count;
    g->entries = WORTHWHILE;
    return true;
}

/* What the threads merged becomes the drained partitions of the first, which has no other. */
static void keep_merged(Gather *g, Dict *into) {
    Partitions *parts = g->from[0]->partitions;
    int64_t merges = 0;
    for (int64_t i = 0; i < g->nfrom; i++) {
        merges += g->from[i]->partitions->base + g->from[i]->merges;
        if (i) partitions_free(g->worker, g->from[i]->partitions);
        region_grow(g->worker->region, g->from[i]->direct, 0);
        *g->from[i] = (Dict){0};
    }
    partitions_clear(g->worker, parts);
    memcpy(parts->drained, g->parts, sizeof parts->drained);
    for (int i = 0; i < g->threads; i++) slabs_join(&parts->slabs, &g->members[i].slabs);
    parts->base = merges;
    *into = (Dict){.partitions = parts};
}

/* from[0] becomes what all make together, in partitions that are drained. */
bool gather_all(Worker *worker, Dict **from, int64_t count, const Type *entry, Op op, Span span) {
    const Partitions *like = NULL;
    Dict *into = from[0];
    for (int64_t i = 0; i < count && !like; i++) like = from[i]->partitions;
    Gather *g = gather_new(worker, entry, span);
    if (!g) return false;
    g->from = from;
    g->nfrom = count;
    g->op = op;
    bool ok = partition_all(g, like) && merge_all(g);
    if (ok) keep_merged(g, into);
    free_members(g);
    region_grow(worker->region, g, 0);
    return ok;
}
