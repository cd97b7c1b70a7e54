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
 * Where spares went MISFITS times in a run, their sizes do not fit together: a loop wants others at one time than at another.
 * From then on what is allocated lies in one range of addresses (heap.c), where a block may get a part of what is free, and
 * free neighbours are one; of that, whole pages go where spares must. What a block may keep from going, HEAP_EDGE, is taken
 * from the sixteenth as waste is: so as many blocks lie there as that allows. Larger spares go, so that those come to lie there, too.
 *
 *     spares of 40 states of 6K; 149K wanted     in one range: the states are one free part as soon as all are given
 *
 * Spares lie in bins by size, eight for each power of two, the latest first: its memory is most likely in a cache. Threads of
 * a run share them, under a lock that is held for some instructions, or while pages of the heap go; blocks are allocated and
 * freed outside of it. Under a sanitizer there are none: what is freed must be known to be free.
 */
#include "heap.h"

#include <stdlib.h>
#include <string.h>

enum { ALIGN = 64, LOOKS = 16, LARGE = 2 << 20, MISFITS = 4, MOVES = 32 << 10 };

/* A block that is kept. */
typedef struct Spare Spare;
struct Spare {
    Spare *next;
    size_t bytes;
};

static void *malloc_take(void *data, size_t bytes) {
    (void)data;
    return aligned_alloc(ALIGN, (bytes + ALIGN - 1) / ALIGN * ALIGN);
}

static void malloc_give(void *data, void *block, size_t bytes) {
    (void)data, (void)bytes;
    free(block);
}

void budget_init(Budget *budget, int64_t limit) {
    memset(budget, 0, sizeof *budget);
    budget->take = malloc_take;
    budget->give = malloc_give;
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

/* The spare that goes where so many bytes are too many; NULL: there is none. */
static Spare **spare_to_free(Budget *budget, size_t bytes) {
    Spare **link = spare_find(budget, bytes, (size_t)BUDGET_MOST);
    for (int bin = BUDGET_BINS - 1; !link && bin >= 0; bin--) {
        if (budget->bins[bin]) link = bin_at(budget, bin);
    }
    return link;
}

/* ---- the heap, under the lock ---- */

static Heap *heap_of(Budget *budget) {
    return __atomic_load_n(&budget->heap, __ATOMIC_RELAXED);
}

/* What nobody has of the sixteenth. */
static int64_t allowance_left(Budget *budget) {
    int64_t edges = budget->heap ? (int64_t)HEAP_EDGE * (heap_blocks(budget->heap) + 1) : 0;
    return budget_allowance(load(&budget->crest)) - load(&budget->waste) - edges;
}

static bool may_lie(Budget *budget, size_t bytes) {
    return budget->heap && bytes >= HEAP_LEAST && allowance_left(budget) >= HEAP_EDGE;
}

/* Does a block go, so that what is allocated for it next lies in the heap? */
static bool must_move(Budget *budget, size_t bytes) {
    return bytes >= MOVES && may_lie(budget, bytes);
}

/* A block in the heap, of free pages only, or, where `fresh` is given, also of so many new bytes; NULL: it cannot be there. */
static void *lay(Budget *budget, size_t bytes, int64_t *fresh) {
    int64_t reused;
    void *block = may_lie(budget, bytes) ? heap_take(budget->heap, bytes, fresh != NULL, &reused) : NULL;
    if (block) budget->spare -= reused;
    if (block && fresh) *fresh = (int64_t)bytes - reused;
    return block;
}

/* No run is open: only blocks keep pages, and the last one the heap. */
static void heap_close(Budget *budget) {
    if (!budget->heap) return;
    int64_t dropped = heap_drop_all(budget->heap);
    budget->spare -= dropped;
    add(&budget->held, -dropped);
    if (heap_blocks(budget->heap)) return;
    heap_free(budget->heap);
    __atomic_store_n(&budget->heap, NULL, __ATOMIC_RELAXED);
}

/* Moves all spares that must move to a list. */
static void move_spares(Budget *budget, Spare **freed) {
    for (int bin = bin_of(MOVES); bin < BUDGET_BINS; bin++) {
        for (Spare **link = bin_at(budget, bin); *link;) {
            if (!must_move(budget, (*link)->bytes)) {
                link = &(*link)->next;
                continue;
            }
            Spare *spare = spare_remove(budget, link);
            add(&budget->held, -(int64_t)spare->bytes);
            spare->next = *freed;
            *freed = spare;
        }
    }
}

/* Spares had to go. When that was often, there is a heap. */
static void note_misfit(Budget *budget, Spare **freed) {
    int64_t crest = load(&budget->crest), huge = (int64_t)4 * LARGE;
    if (++budget->misfits != MISFITS || budget->heap || !budget->lays || !budget->lays(budget->data)) return;
    Heap *heap = heap_new(16 * crest, crest >= huge);
    __atomic_store_n(&budget->heap, heap, __ATOMIC_RELAXED);
    if (heap) move_spares(budget, freed);
}

/* ---- spares ---- */

static void free_all(Budget *budget, Spare *freed) {
    for (Spare *next; freed; freed = next) {
        next = freed->next;
        budget->give(budget->data, freed, freed->bytes);
    }
}

/* Of a and b, which can go where so many bytes must: is it a? */
static bool goes_first(int64_t a, int64_t b, int64_t bytes) {
    bool enough = a >= bytes && b >= bytes;
    return enough ? a < b : a > b;
}

/* Under the lock: frees a spare, or pages of the heap; false: there are none. */
static bool free_some(Budget *budget, int64_t bytes, Spare **freed) {
    Spare **link = spare_to_free(budget, (size_t)bytes);
    int at = 0;
    int64_t spare = link ? (int64_t)(*link)->bytes : 0,
            pages = budget->heap ? heap_find_free(budget->heap, bytes, &at) : 0;
    if (pages && (!link || goes_first(pages, spare, bytes))) {
        int64_t dropped = heap_drop(budget->heap, at, bytes);
        budget->spare -= dropped;
        add(&budget->held, -dropped);
        return dropped > 0;
    }
    if (!link) return false;
    Spare *goes = spare_remove(budget, link);
    add(&budget->held, -(int64_t)goes->bytes);
    goes->next = *freed;
    *freed = goes;
    return true;
}

/* Frees all spares. */
static void spares_free(Budget *budget) {
    Spare *freed = NULL;
    if (SANITIZED) return;
    pthread_mutex_lock(&budget->lock);
    while (budget->spare > 0 && free_some(budget, budget->spare, &freed)) {
    }
    pthread_mutex_unlock(&budget->lock);
    free_all(budget, freed);
}

/* Those that are large enough for so many bytes, but too large to be taken. */
static void spares_give_larger(Budget *budget, size_t bytes) {
    pthread_mutex_lock(&budget->lock);
    Spare **link = spare_find(budget, bytes, bytes * 2), *freed = link ? spare_remove(budget, link) : NULL;
    if (freed) add(&budget->held, -(int64_t)freed->bytes);
    pthread_mutex_unlock(&budget->lock);
    if (freed) freed->next = NULL;
    free_all(budget, freed);
}

/* So much waste is allowed: a spare for so many bytes has at most this many, and at most `most`. */
static size_t spare_most(Budget *budget, size_t bytes, size_t most) {
    int64_t room = allowance_left(budget);
    if (most > bytes && room < (int64_t)(most - bytes)) most = bytes + (size_t)(room > 0 ? room : 0);
    return most;
}

static void *spare_take_about(Budget *budget, size_t bytes, size_t most, size_t *size) {
    Spare **link = spare_find(budget, bytes, spare_most(budget, bytes, most)),
          *spare = link ? spare_remove(budget, link) : NULL;
    if (!spare) return NULL;
    *size = spare->bytes;
    add(&budget->waste, (int64_t)(*size - bytes));
    add(&budget->live, (int64_t)(*size - bytes));
    return spare;
}

/* Takes one of at least so many bytes, *size, which are counted as live, those that were not wanted as waste; `fresh` of them are
 * new. */
static void *spare_take(Budget *budget, size_t bytes, size_t most, size_t *size, int64_t *fresh) {
    if (bytes < sizeof(Spare) || !__atomic_load_n(&budget->open, __ATOMIC_RELAXED)) return NULL;
    *size = bytes;
    pthread_mutex_lock(&budget->lock);
    void *block = spare_take_about(budget, bytes, budget->heap ? bytes : most, size);
    if (!block) block = lay(budget, bytes, NULL);
    if (!block && budget->heap) block = spare_take_about(budget, bytes, most, size);
    if (!block) block = lay(budget, bytes, fresh);
    pthread_mutex_unlock(&budget->lock);
    return block;
}

/* Keeps a block, if that is to be done. */
static bool spare_give(Budget *budget, void *block, size_t bytes) {
    bool open = __atomic_load_n(&budget->open, __ATOMIC_RELAXED);
    if (bytes < sizeof(Spare) || (!open && !heap_of(budget))) return false;
    pthread_mutex_lock(&budget->lock);
    bool lies = budget->heap && heap_owns(budget->heap, block);
    bool kept =
        lies || (budget->open && !must_move(budget, bytes)); /* any thread may free an earlier run's result */
    if (lies) {
        heap_give(budget->heap, block);
        budget->spare += (int64_t)bytes;
        if (!budget->open) heap_close(budget);
    } else if (kept) {
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
    budget->misfits = 0;
    if (!SANITIZED) set_open(budget, true);
}

void budget_close(Budget *budget) {
    if (SANITIZED) return;
    set_open(budget, false);
    spares_free(budget);
    pthread_mutex_lock(&budget->lock);
    heap_close(budget);
    pthread_mutex_unlock(&budget->lock);
}

/* ---- blocks ---- */

/* So many bytes are allocated, which are live already: spares go for them. Who looks at what is held under the lock never sees
 * more than is allowed, whatever other threads take and give. */
static void make_room(Budget *budget, int64_t bytes) {
    int64_t crest = raise_to(&budget->crest, load(&budget->live) - load(&budget->waste));
    int64_t most = crest + budget_allowance(crest), limit = __atomic_load_n(&budget->limit, __ATOMIC_RELAXED);
    if (limit > 0 && most > limit) limit = budget_limit(budget);
    if (limit > 0 && most > limit) most = limit;
    Spare *freed = NULL;
    bool misfit = false;
    add(&budget->allocations, 1);
    pthread_mutex_lock(&budget->lock);
    add(&budget->held, bytes);
    for (int64_t over; budget->open && budget->spare > 0 && (over = load(&budget->held) - most) > 0;) {
        if (!free_some(budget, over, &freed)) break;
        misfit = true;
    }
    if (misfit) note_misfit(budget, &freed);
    raise_to(&budget->peak, load(&budget->held));
    pthread_mutex_unlock(&budget->lock);
    free_all(budget, freed);
}

static void note_crest(Budget *budget) {
    raise_to(&budget->crest, load(&budget->live) - load(&budget->waste));
}

static void *allocate(Budget *budget, size_t bytes) {
    bool open = __atomic_load_n(&budget->open, __ATOMIC_RELAXED);
    if (open && bytes >= LARGE) spares_give_larger(budget, bytes); /* whose pages it may get */
    make_room(budget, (int64_t)bytes);
    void *block = budget->take(budget->data, bytes);
    if (!block && open) {
        spares_free(budget);
        block = budget->take(budget->data, bytes);
    }
    if (!block) add(&budget->held, -(int64_t)bytes);
    return block;
}

static void *take(Budget *budget, size_t bytes, size_t most, size_t *size) {
    *size = bytes;
    if (bytes > (size_t)BUDGET_MOST || !budget_count(budget, (int64_t)bytes)) return NULL;
    int64_t fresh = 0;
    void *block = spare_take(budget, bytes, most, size, &fresh);
    if (fresh) make_room(budget, fresh);
    if (!block) block = allocate(budget, bytes);
    if (block)
        note_crest(budget);
    else
        budget_discount(budget, (int64_t)bytes);
    return block;
}

bool budget_charge(Budget *budget, int64_t bytes) {
    if (bytes > BUDGET_MOST || !budget_count(budget, bytes)) return false;
    make_room(budget, bytes);
    return true;
}

void budget_discharge(Budget *budget, int64_t bytes) {
    budget_discount(budget, bytes);
    add(&budget->held, -bytes);
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
    Heap *heap = heap_of(budget);
    if (heap && heap_owns(heap, block)) return NULL;
    int64_t more = wanted > bytes ? (int64_t)(wanted - bytes) : 0;
    if ((more && has_spare(budget, wanted)) || !budget_count(budget, more)) return NULL;
    if (more && bytes >= LARGE && !heap) spares_free(budget);
    if (more) make_room(budget, more);
    void *resized = budget->resize(budget->data, block, bytes, wanted);
    int64_t fewer = !resized ? more : more ? 0 : (int64_t)(bytes - wanted);
    budget_discount(budget, fewer);
    add(&budget->held, -fewer);
    return resized;
}

void budget_give(Budget *budget, void *block, size_t bytes) {
    budget_give_about(budget, block, bytes, 0);
}

void budget_give_about(Budget *budget, void *block, size_t bytes, size_t waste) {
    if (!block) return;
    if (!spare_give(budget, block, bytes)) {
        budget->give(budget->data, block, bytes);
        add(&budget->held, -(int64_t)bytes);
    }
    budget_discount(budget, (int64_t)bytes);
    if (waste) add(&budget->waste, -(int64_t)waste);
}
