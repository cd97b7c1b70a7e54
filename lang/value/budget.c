/* budget.c: how much memory a context has, and the blocks that a run keeps for itself.
 *
 * Every block in use counts as live against the limit. While a run is open, a block that is given back becomes a spare of
 * the run, and the next that wants about as many bytes takes it: by best fit, the least spare that is large enough.
 *
 *     step 1 of a training   takes 8M for a gradient, 2M for a layer's output; gives both        two allocations
 *     step 2                 takes 2M and 8M: the spares                                         none
 *
 * What a plan promises (weldc/plan/plan_price.c) is the most bytes that are wanted at once and a sixteenth. Spares must fit
 * in there, too: before a block is allocated, others go until all together fit. What a spare is larger than was wanted is
 * `waste`, at most a sixteenth in sum: so when all spares are gone, what is in use fits whatever comes. The least spare
 * that makes room enough goes, else the largest: those that are left are the many that a step wants again.
 *
 *     most so far 100M; in use 70M, spares 20M and 16M; 12M wanted: none fits, 118M are more than 106M, the 16M go
 *
 * Spares lie in bins by size, eight for each power of two, the latest first: its memory is most likely in a cache. Threads of
 * a run share them, under a lock that is held for some instructions; blocks are allocated and freed outside of it. Under
 * a sanitizer there are none: what is freed must be known to be free.
 */
#include "../lang.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, LOOKS = 16, LARGE = 2 << 20 };

/* A block that is kept. */
typedef struct Spare Spare;
struct Spare {
    Spare *next;
    size_t bytes;
};

static void *heap_take(void *data, size_t bytes) {
    (void)data;
    return aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
}

static void heap_give(void *data, void *block, size_t bytes) {
    (void)data, (void)bytes;
    free(block);
}

void budget_init(Budget *budget, int64_t limit) {
    memset(budget, 0, sizeof *budget);
    budget->take = heap_take;
    budget->give = heap_give;
    budget->limit = limit;
    pthread_mutex_init(&budget->lock, NULL);
}

int64_t budget_limit(Budget *budget) {
    int64_t limit = __atomic_load_n(&budget->limit, __ATOMIC_RELAXED);
    if (limit != LIMIT_UNASKED || !budget->ask) return limit;
    limit = budget->ask(budget->data);
    __atomic_store_n(&budget->limit, limit, __ATOMIC_RELAXED);
    return limit;
}

/* Whoever meets a limit that was not asked for yet asks; all get the same answer. */
static bool is_over(Budget *budget, int64_t live) {
    int64_t limit = __atomic_load_n(&budget->limit, __ATOMIC_RELAXED);
    if (limit <= 0 || live <= limit) return false;
    limit = budget_limit(budget);
    return limit > 0 && live > limit;
}

/* Counts bytes more; false: over the limit. */
static bool budget_count(Budget *budget, int64_t bytes) {
    int64_t live = __atomic_add_fetch((int64_t *)&budget->live, bytes, __ATOMIC_RELAXED);
    if (!is_over(budget, live)) return true;
    __atomic_sub_fetch((int64_t *)&budget->live, bytes, __ATOMIC_RELAXED);
    return false;
}

static void budget_discount(Budget *budget, int64_t bytes) {
    __atomic_sub_fetch((int64_t *)&budget->live, bytes, __ATOMIC_RELAXED);
}

int64_t budget_allowance(int64_t bytes) {
    return SANITIZED ? 0 : bytes / 16; /* under a sanitizer there are no spares */
}

/* ---- spares, under the lock ---- */

/* Larger sizes have no smaller bin: 8 for each power of two. */
static int bin_of(size_t bytes) {
    if (bytes < 8) return 0;
    int log = 63 - __builtin_clzll(bytes);
    int bin = (log - 3) * 8 + (int)(bytes >> (log - 3)) - 8;
    return bin < BUDGET_BINS ? bin : BUDGET_BINS - 1;
}

/* The first bin from this one on that is not empty, or BUDGET_BINS. */
static int bin_from(const Budget *budget, int bin) {
    while (bin < BUDGET_BINS && !budget->bins[bin]) bin++;
    return bin;
}

static Spare **bin_at(Budget *budget, int bin) {
    return (Spare **)(void *)&budget->bins[bin];
}

/* The least spare of so many bytes, of the first that are looked at; NULL: none has at most `most`. */
static Spare **spare_find(Budget *budget, size_t bytes, size_t most) {
    Spare **best = NULL;
    int last = bin_of(most);
    for (int bin = bin_from(budget, bin_of(bytes)); bin <= last && !best; bin = bin_from(budget, bin + 1)) {
        Spare **link = bin_at(budget, bin);
        for (int looks = 0; *link && looks < LOOKS; looks++, link = &(*link)->next) {
            size_t size = (*link)->bytes;
            if (size >= bytes && size <= most && (!best || size < (*best)->bytes)) best = link;
            if (size == bytes) return link;
        }
    }
    return best;
}

static Spare *spare_remove(Budget *budget, Spare **link) {
    Spare *spare = *link;
    *link = spare->next;
    budget->spare -= (int64_t)spare->bytes;
    return spare;
}

/* The spare that goes where so many bytes are too many. */
static Spare **spare_to_free(Budget *budget, size_t bytes) {
    Spare **link = spare_find(budget, bytes, (size_t)BUDGET_MOST);
    for (int bin = BUDGET_BINS - 1; !link; bin--) {
        if (budget->bins[bin]) link = bin_at(budget, bin);
    }
    return link;
}

/* ---- spares ---- */

static void free_all(Budget *budget, Spare *freed) {
    for (Spare *next; freed; freed = next) {
        next = freed->next;
        budget->give(budget->data, freed, freed->bytes);
    }
}

/* Frees spares until at most so many bytes are left. */
static void spares_trim(Budget *budget, int64_t most) {
    Spare *freed = NULL;
    if (SANITIZED) return;
    if (most < 0) most = 0;
    pthread_mutex_lock(&budget->lock);
    while (budget->spare > most) {
        Spare *spare = spare_remove(budget, spare_to_free(budget, (size_t)(budget->spare - most)));
        spare->next = freed;
        freed = spare;
    }
    pthread_mutex_unlock(&budget->lock);
    free_all(budget, freed);
}

/* Those that are large enough for so many bytes, but too large to be taken. */
static void spares_give_larger(Budget *budget, size_t bytes) {
    pthread_mutex_lock(&budget->lock);
    Spare **link = spare_find(budget, bytes, bytes * 2), *freed = link ? spare_remove(budget, link) : NULL;
    pthread_mutex_unlock(&budget->lock);
    if (freed) freed->next = NULL;
    free_all(budget, freed);
}

static int64_t load(_Atomic int64_t *number) {
    return __atomic_load_n((int64_t *)number, __ATOMIC_RELAXED);
}

static void add(_Atomic int64_t *number, int64_t bytes) {
    __atomic_add_fetch((int64_t *)number, bytes, __ATOMIC_RELAXED);
}

static int64_t raise_to(_Atomic int64_t *most, int64_t bytes) {
    int64_t before = load(most);
    while (before < bytes && !__atomic_compare_exchange_n((int64_t *)most, &before, bytes, true,
                                                          __ATOMIC_RELAXED, __ATOMIC_RELAXED)) {
    }
    return before > bytes ? before : bytes;
}

/* So much waste is allowed: a spare for so many bytes has at most this many, and at most `most`. */
static size_t spare_most(Budget *budget, size_t bytes, size_t most) {
    int64_t room = budget_allowance(load(&budget->crest)) - load(&budget->waste);
    if (most > bytes && room < (int64_t)(most - bytes)) most = bytes + (size_t)(room > 0 ? room : 0);
    return most;
}

/* Takes one of at least so many bytes, which are counted as live; the others are waste. */
static void *spare_take(Budget *budget, size_t bytes, size_t most) {
    if (bytes < sizeof(Spare) || !__atomic_load_n(&budget->open, __ATOMIC_RELAXED)) return NULL;
    pthread_mutex_lock(&budget->lock);
    Spare **link = spare_find(budget, bytes, spare_most(budget, bytes, most)),
          *spare = link ? spare_remove(budget, link) : NULL;
    if (spare) {
        add(&budget->waste, (int64_t)(spare->bytes - bytes));
        add(&budget->live, (int64_t)(spare->bytes - bytes));
    }
    pthread_mutex_unlock(&budget->lock);
    return spare;
}

static bool spare_give(Budget *budget, void *block, size_t bytes) {
    if (bytes < sizeof(Spare) || !__atomic_load_n(&budget->open, __ATOMIC_RELAXED)) return false;
    pthread_mutex_lock(&budget->lock);
    bool kept = budget->open; /* a result of an earlier run may be freed by any thread */
    if (kept) {
        Spare **bin = bin_at(budget, bin_of(bytes)), *spare = block;
        *spare = (Spare){*bin, bytes};
        *bin = spare;
        budget->spare += (int64_t)bytes;
    }
    pthread_mutex_unlock(&budget->lock);
    return kept;
}

static void set_open(Budget *budget, bool open) {
    pthread_mutex_lock(&budget->lock);
    __atomic_store_n(&budget->open, open, __ATOMIC_RELAXED);
    pthread_mutex_unlock(&budget->lock);
}

void budget_open(Budget *budget) {
    budget->crest = budget->live - budget->waste;
    if (!SANITIZED) set_open(budget, true);
}

void budget_close(Budget *budget) {
    if (SANITIZED) return;
    set_open(budget, false);
    spares_trim(budget, 0);
}

/* ---- blocks ---- */

/* Before something is allocated, which is counted already: room for it. */
static void make_room(Budget *budget) {
    int64_t live = load(&budget->live), crest = raise_to(&budget->crest, live - load(&budget->waste));
    int64_t most = crest + budget_allowance(crest), limit = __atomic_load_n(&budget->limit, __ATOMIC_RELAXED);
    if (limit > 0 && most > limit) limit = budget_limit(budget);
    if (limit > 0 && most > limit) most = limit;
    add(&budget->allocations, 1);
    if (__atomic_load_n(&budget->open, __ATOMIC_RELAXED)) spares_trim(budget, most - live);
}

static void note_peak(Budget *budget) {
    int64_t live = load(&budget->live);
    raise_to(&budget->crest, live - load(&budget->waste));
    raise_to(&budget->peak, live + __atomic_load_n(&budget->spare, __ATOMIC_RELAXED));
}

static void *allocate(Budget *budget, size_t bytes) {
    bool open = __atomic_load_n(&budget->open, __ATOMIC_RELAXED);
    if (open && bytes >= LARGE) spares_give_larger(budget, bytes); /* whose pages it may get */
    make_room(budget);
    void *block = budget->take(budget->data, bytes);
    if (!block && open) {
        spares_trim(budget, 0);
        block = budget->take(budget->data, bytes);
    }
    return block;
}

static void *take(Budget *budget, size_t bytes, size_t most, size_t *size) {
    if (bytes > (size_t)BUDGET_MOST || !budget_count(budget, (int64_t)bytes)) return NULL;
    void *block = spare_take(budget, bytes, most);
    *size = block ? ((Spare *)block)->bytes : bytes;
    if (!block) block = allocate(budget, bytes);
    if (block)
        note_peak(budget);
    else
        budget_discount(budget, (int64_t)bytes);
    return block;
}

bool budget_charge(Budget *budget, int64_t bytes) {
    if (bytes > BUDGET_MOST || !budget_count(budget, bytes)) return false;
    make_room(budget);
    note_peak(budget);
    return true;
}

void budget_discharge(Budget *budget, int64_t bytes) {
    budget_discount(budget, bytes);
}

void *budget_take(Budget *budget, size_t bytes) {
    size_t size;
    return take(budget, bytes, bytes, &size);
}

void *budget_take_about(Budget *budget, size_t bytes, size_t *size) {
    return take(budget, bytes, bytes * 2, size);
}

static bool has_spare(Budget *budget, size_t bytes) {
    if (!__atomic_load_n(&budget->open, __ATOMIC_RELAXED)) return false;
    pthread_mutex_lock(&budget->lock);
    bool has = spare_find(budget, bytes, spare_most(budget, bytes, bytes * 2));
    pthread_mutex_unlock(&budget->lock);
    return has;
}

/* Growing one takes over kept pages, if it can: those of the spares as well. Where a spare is large enough, the block may
 * rather be copied there: then the others stay, which the next step wants again. */
void *budget_resize(Budget *budget, void *block, size_t bytes, size_t wanted) {
    size_t smaller = bytes < wanted ? bytes : wanted;
    if (!budget->resize || smaller < budget->resizes_from || wanted > (size_t)BUDGET_MOST) return NULL;
    int64_t more = wanted > bytes ? (int64_t)(wanted - bytes) : 0;
    if ((more && has_spare(budget, wanted)) || !budget_count(budget, more)) return NULL;
    if (more && bytes >= LARGE) spares_trim(budget, 0);
    if (more) make_room(budget);
    void *resized = budget->resize(budget->data, block, bytes, wanted);
    if (!resized)
        budget_discount(budget, more);
    else if (more)
        note_peak(budget);
    else
        budget_discount(budget, (int64_t)(bytes - wanted));
    return resized;
}

void budget_give(Budget *budget, void *block, size_t bytes) {
    budget_give_about(budget, block, bytes, 0);
}

void budget_give_about(Budget *budget, void *block, size_t bytes, size_t waste) {
    if (!block) return;
    if (!spare_give(budget, block, bytes)) budget->give(budget->data, block, bytes);
    budget_discount(budget, (int64_t)bytes);
    if (waste) add(&budget->waste, -(int64_t)waste);
}
