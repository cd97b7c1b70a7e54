/* base.c: what everything else stands on: the arena, text buffers, errors, deep recursion, nearest names.
 *
 * An arena reserves a range of addresses and makes it usable step by step, always a margin ahead of what was
 * handed out. So a pointer never moves, freeing is one call, and when memory runs out there is still the
 * margin: the allocation at hand succeeds, `exhausted` is set, and the phase that allocates stops at its next
 * check. No caller has to unwind from the middle of building a tree.
 */
#include "lang.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

enum { MARGIN = 128 << 10, STEP = 256 << 10 };
static const size_t RESERVE = (size_t)4 << 30; /* of addresses, where there are so many */

/* Small texts are read by the thousand (runtime/lazy/emission.c), and asking the system for pages would take longer than
 * reading one. So a few arenas that were used little stay, zeroed, for whoever needs one next, in any thread. */
static _Atomic(Arena *) spares[4];
enum { SPARES = sizeof spares / sizeof *spares };

/* A spare arena is described at its beginning. */
static bool take_spare(Arena *arena) {
    for (int i = 0; i < SPARES; i++) {
        Arena *spare =
            atomic_load_explicit(&spares[i], memory_order_relaxed) ? atomic_exchange(&spares[i], NULL) : NULL;
        if (!spare) continue;
        *arena = *spare;
        memset(spare, 0, sizeof *spare);
        return true;
    }
    return false;
}

static bool keep_spare(const Arena *arena) {
    size_t used = (size_t)(arena->next - arena->base);
    bool small = used <= STEP / 4 && (size_t)(arena->committed - arena->base) == STEP;
    if (arena->exhausted || !small || (size_t)(arena->end - arena->base) < RESERVE) return false;
    memset(arena->base, 0, used);
    Arena *spare = (Arena *)(void *)arena->base;
    *spare = *arena;
    spare->next = spare->base;
    for (int i = 0; i < SPARES; i++) {
        Arena *none = NULL;
        if (atomic_compare_exchange_strong(&spares[i], &none, spare)) return true;
    }
    return false;
}

__attribute__((destructor)) static void free_spares(void) {
    for (Arena arena; take_spare(&arena);) munmap(arena.base, (size_t)(arena.end - arena.base));
}

bool arena_init(Arena *arena) {
    if (take_spare(arena)) return true;
    memset(arena, 0, sizeof *arena);
    for (size_t reserve = RESERVE; reserve >= (size_t)16 << 20; reserve >>= 4) {
        void *base = mmap(NULL, reserve, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
        if (base == MAP_FAILED) continue;
        arena->base = arena->next = arena->committed = base;
        arena->end = arena->base + reserve;
        if (mprotect(base, STEP, PROT_READ | PROT_WRITE) == 0) {
            arena->committed = arena->base + STEP;
            return true;
        }
        munmap(base, reserve);
        break;
    }
    memset(arena, 0, sizeof *arena);
    return false;
}

void arena_release(Arena *arena) {
    if (arena->base && !keep_spare(arena)) munmap(arena->base, (size_t)(arena->end - arena->base));
    memset(arena, 0, sizeof *arena);
}

/* Makes at least `bytes` and the margin usable. */
static bool arena_commit(Arena *arena, size_t bytes) {
    size_t used = (size_t)(arena->next - arena->base), have = (size_t)(arena->committed - arena->base);
    size_t reserve = (size_t)(arena->end - arena->base), want = used + bytes + MARGIN;
    if (bytes > reserve || want > reserve) return false;
    if (want < have + have / 2) want = have + have / 2;
    want = (want + STEP - 1) & ~(size_t)(STEP - 1);
    if (want > reserve) want = reserve;
    if (mprotect(arena->committed, want - have, PROT_READ | PROT_WRITE)) return false;
    arena->committed = arena->base + want;
    return true;
}

void *arena_alloc(Arena *arena, size_t bytes) {
    bytes = (bytes + 15) & ~(size_t)15;
    if ((size_t)(arena->committed - arena->next) < bytes + MARGIN && !arena_commit(arena, bytes)) {
        arena->exhausted = true;
        if ((size_t)(arena->committed - arena->next) < bytes) return NULL;
    }
    void *memory = arena->next;
    arena->next += bytes;
    return memory;
}

char *arena_copy(Arena *arena, const char *text, size_t length) {
    char *copy = arena_alloc(arena, length + 1);
    if (copy && length) memcpy(copy, text, length);
    return copy;
}

void *arena_room(Arena *arena, void *items, int count, int *room, size_t size) {
    if (count < *room) return items;
    int more = *room * 2 + 8;
    void *grown = arena_alloc(arena, size * (size_t)more);
    if (!grown) return NULL;
    if (count) memcpy(grown, items, size * (size_t)count);
    *room = more;
    return grown;
}

static bool buf_room(Buf *buf, size_t more) {
    if (buf->failed) return false;
    if (buf->capacity - buf->length > more) return true;
    size_t capacity = buf->capacity ? buf->capacity : 256;
    while (capacity - buf->length <= more) capacity *= 2;
    char *text = realloc(buf->text, capacity);
    if (!text) return !(buf->failed = true);
    buf->text = text;
    buf->capacity = capacity;
    return true;
}

void buf_put(Buf *buf, const char *bytes, size_t length) {
    if (!buf_room(buf, length)) return;
    if (length) memcpy(buf->text + buf->length, bytes, length);
    buf->length += length;
    buf->text[buf->length] = 0;
}

void buf_printf(Buf *buf, const char *format, ...) {
    char line[256];
    va_list args;
    va_start(args, format);
    int length = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    if (length < (int)sizeof line) {
        if (length > 0) buf_put(buf, line, (size_t)length);
        return;
    }
    if (!buf_room(buf, (size_t)length + 1)) return;
    va_start(args, format);
    vsnprintf(buf->text + buf->length, (size_t)length + 1, format, args);
    va_end(args);
    buf->length += (size_t)length;
}

void buf_release(Buf *buf) {
    free(buf->text);
    memset(buf, 0, sizeof *buf);
}

static const struct ErrorClass {
    const char *name, *message;
    int number;
} error_classes[E_COUNT] = {
    [E_None] = {"None", "", 0},
#define ERROR(id, number, message, doc) [E_##id] = {#id, message, number},
#include "errors.def"
};

const char *error_name(ErrorCode code) {
    return code < E_COUNT ? error_classes[code].name : "Internal";
}
int error_number(ErrorCode code) {
    return code < E_COUNT ? error_classes[code].number : 9;
}
const char *error_message(ErrorCode code) {
    return code < E_COUNT ? error_classes[code].message : "";
}

bool error_set(Error *error, ErrorCode code, Span span, const char *format, ...) {
    if (!error || error->code != E_None) return false;
    error->code = code;
    error->span = span;
    va_list args;
    va_start(args, format);
    vsnprintf(error->text, sizeof error->text, format, args);
    va_end(args);
    return false;
}

/* Columns count characters from 1: bytes that do not continue a UTF-8 sequence. */
static size_t columns(const char *text, size_t begin, size_t end) {
    size_t count = 0;
    for (size_t i = begin; i < end; i++) count += ((unsigned char)text[i] & 0xc0) != 0x80;
    return count;
}

void error_render(const Error *error, const char *name, const char *text, size_t length, Buf *out) {
    error_render_from(error, name, text, length, 0, out);
}

void error_render_from(const Error *error, const char *name, const char *text, size_t length, size_t before,
                       Buf *out) {
    size_t begin = error->span.begin < length ? error->span.begin : length, line = before + 1, start = 0;
    for (size_t i = 0; i < begin; i++) {
        if (text[i] == '\n') line++, start = i + 1;
    }
    size_t stop = begin;
    while (stop < length && text[stop] != '\n') stop++;
    size_t end = error->span.end < stop ? error->span.end : stop;
    buf_printf(out, "%s:%zu:%zu: error[%s]: %s\n", name, line, columns(text, start, begin) + 1,
               error_name(error->code), error->text);
    if (length == 0) return;
    /* A line of machine-made text can be very long: show the part around the span. */
    size_t from = begin - start > 160 ? begin - 120 : start, to = stop - begin > 160 ? begin + 120 : stop;
    while (from > start && ((unsigned char)text[from] & 0xc0) == 0x80) from--;
    buf_printf(out, "  %s%.*s%s\n", from > start ? "..." : "", (int)(to - from), text + from,
               to < stop ? "..." : "");
    buf_printf(out, "  %s", from > start ? "   " : "");
    for (size_t i = from; i < begin; i++) {
        if (((unsigned char)text[i] & 0xc0) != 0x80) buf_put(out, text[i] == '\t' ? "\t" : " ", 1);
    }
    buf_put(out, "^", 1);
    for (size_t i = columns(text, begin, end < to ? end : to); i > 1; i--) buf_put(out, "~", 1);
    buf_put(out, "\n", 1);
}

typedef struct Deep {
    void (*fn)(void *data);
    void *data;
} Deep;

static void *deep_thread(void *deep) {
    ((Deep *)deep)->fn(((Deep *)deep)->data);
    return NULL;
}

bool run_deep(size_t depth, void (*fn)(void *data), void *data) {
    enum { SHALLOW = 500, FRAME = 16 << 10 };
    if (depth <= SHALLOW) {
        fn(data);
        return true;
    }
    Deep deep = {fn, data};
    pthread_attr_t attributes;
    pthread_t thread;
    if (pthread_attr_init(&attributes)) return false;
    bool ok = pthread_attr_setstacksize(&attributes, depth * FRAME + ((size_t)1 << 20)) == 0 &&
              pthread_create(&thread, &attributes, deep_thread, &deep) == 0;
    pthread_attr_destroy(&attributes);
    if (ok) pthread_join(thread, NULL);
    return ok;
}

/* Levenshtein's distance by the row-at-a-time recurrence; longer names are not compared. */
static int edit_distance(const char *a, const char *b) {
    enum { LONGEST = 48 };
    size_t m = strlen(a), n = strlen(b);
    if (m > LONGEST || n > LONGEST) return LONGEST;
    int row[LONGEST + 1];
    for (size_t j = 0; j <= n; j++) row[j] = (int)j;
    for (size_t i = 1; i <= m; i++) {
        int diagonal = row[0];
        row[0] = (int)i;
        for (size_t j = 1; j <= n; j++) {
            int change = diagonal + (a[i - 1] != b[j - 1]);
            diagonal = row[j];
            int least = row[j] < row[j - 1] ? row[j] + 1 : row[j - 1] + 1;
            row[j] = change < least ? change : least;
        }
    }
    return row[n];
}

bool name_is_listed(const char *list, const char *name) {
    size_t length = strlen(name);
    if (list && strcmp(list, "*") == 0) return true;
    for (const char *at = list; at && *at;) {
        size_t here = strcspn(at, ",");
        if (here == length && memcmp(at, name, length) == 0) return true;
        at += here + (at[here] == ',');
    }
    return false;
}

const char *nearest_name(const char *name, const char *const *names, size_t count) {
    const char *nearest = NULL;
    int least = (int)strlen(name) / 3 + 1;
    for (size_t i = 0; i < count; i++) {
        int distance = edit_distance(name, names[i]);
        if (distance <= least && distance < (int)strlen(name)) {
            if (!nearest || distance < least) nearest = names[i];
            least = distance;
        }
    }
    return nearest;
}
