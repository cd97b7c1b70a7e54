/* cache.c: units in memory: compiling a text that was compiled before costs a look into a list.
 *
 * Modules are compiled without a context, often with a fresh configuration each time, or none: so neither can
 * own this cache. It belongs to the process, the one exception to the rule that nothing does (beside loaded
 * libraries), and may be one because nobody can tell that it is there but by the time: units are shared by
 * reference, what they show does not change, and a key is all that they depend on, compared byte by byte. It
 * is guarded by a lock and capped: of MOST units, and BYTES of programs, the latest used stay. weld.cache off
 * goes past it. Units that write files are not kept. One that calls C functions is found only while these have
 * the addresses that they had: a library that was loaded later may have others of the same names.
 */
#include "rt.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { MOST = 128, BYTES = 64 << 20 };

static struct Cache {
    pthread_mutex_t lock;
    Unit *first; /* the latest used */
} cache = {.lock = PTHREAD_MUTEX_INITIALIZER};

static void key_print(Buf *key, const Origin *origin, weld_conf_t conf) {
    conf_print(conf, false, key);
    buf_put(key, "", 1);
    buf_put(key, origin->name, strlen(origin->name) + 1);
    if (origin->want) type_print(key, origin->want);
    buf_put(key, "", 1);
    buf_put(key, origin->text, origin->length);
}

static int64_t unit_bytes(const Unit *unit) {
    const Arena *arena = &unit->program->arena;
    return arena->committed - arena->base;
}

/* The unit of this key, moved to the front, with a reference; or NULL. The lock is held. */
static Unit *look_up(const Buf *key, uint64_t hash) {
    for (Unit **link = &cache.first; *link; link = &(*link)->next) {
        Unit *unit = *link;
        if (unit->hash != hash || unit->key.length != key->length) continue;
        if (memcmp(unit->key.text, key->text, key->length) != 0 || !unit_is_current(unit)) continue;
        *link = unit->next;
        unit->next = cache.first;
        cache.first = unit;
        return unit_hold(unit);
    }
    return NULL;
}

/* Cuts off what is too much, and returns it. The lock is held. */
static Unit *cut_off(void) {
    int64_t bytes = 0;
    int count = 0;
    Unit **link = &cache.first;
    for (; *link; link = &(*link)->next) {
        bytes += unit_bytes(*link);
        if (++count > MOST || bytes > BYTES) break;
    }
    Unit *rest = *link;
    *link = NULL;
    return rest;
}

static void drop_all(Unit *unit) {
    for (Unit *next; unit; unit = next) {
        next = unit->next;
        unit_drop(unit);
    }
}

/* Takes the key. */
static void insert(Unit *unit, Buf *key, uint64_t hash) {
    pthread_mutex_lock(&cache.lock);
    Unit *other = look_up(key, hash); /* of a thread that was faster */
    Unit *rest = NULL;
    if (!other) {
        unit->key = *key;
        unit->hash = hash;
        *key = (Buf){0};
        unit->next = cache.first;
        cache.first = unit_hold(unit);
        rest = cut_off();
    }
    pthread_mutex_unlock(&cache.lock);
    unit_drop(other);
    drop_all(rest);
}

/* When the library goes, so does what it holds. */
__attribute__((destructor)) static void cache_release(void) {
    pthread_mutex_lock(&cache.lock);
    Unit *all = cache.first;
    cache.first = NULL;
    pthread_mutex_unlock(&cache.lock);
    drop_all(all);
}

Unit *unit_find(const Origin *origin, weld_conf_t conf, Error *error, Timings *timings, weld_error_t handle,
                bool *hit) {
    bool wrong = conf && !handle_as(conf, HANDLE_CONF); /* unit_new will say so */
    const char *setting = wrong ? "off" : conf_get(conf, "weld.cache");
    bool use = strcmp(setting, "memory") == 0 || strcmp(setting, "disk") == 0;
    Buf key = {0};
    uint64_t hash = 0;
    Unit *unit = NULL;
    if (use) key_print(&key, origin, conf);
    if (use && !key.failed) {
        hash = hash_bytes(key.text, (int64_t)key.length);
        pthread_mutex_lock(&cache.lock);
        unit = look_up(&key, hash);
        pthread_mutex_unlock(&cache.lock);
    }
    *hit = unit != NULL;
    if (unit)
        report(handle, error, NULL);
    else
        unit = unit_new(origin, conf, error, timings, handle);
    if (unit && !*hit && use && !key.failed && !unit->dumps) insert(unit, &key, hash);
    buf_release(&key);
    return unit;
}
