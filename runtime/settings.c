/* settings.c: configurations, and the settings that weldc knows.
 *
 * A configuration is a list of texts by key: whatever a user sets is kept. The rows of settings.def say which
 * keys mean something; conf_options reads those, one row at a time, with the reader of the row's kind. So a
 * bad value is found when the configuration is used, and the error can name the key, the value and what is
 * allowed.
 *
 * Keys are few, so a list that is searched from its front is enough.
 */
#include "rt.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

typedef struct Entry Entry;
struct Entry {
    Entry *next;
    char *key, *value;
};

typedef struct Conf {
    Handle handle;
    Entry *entries;
} Conf;

const Setting settings[] = {
#define SETTING(id, key, kind, fallback, accepts, doc) {key, #kind, fallback, accepts, doc},
#include "settings.def"
};
const int setting_count = sizeof settings / sizeof *settings;

weld_conf_t weld_conf_new(void) {
    Conf *conf = calloc(1, sizeof *conf);
    if (conf) conf->handle.kind = HANDLE_CONF;
    return conf;
}

static void entry_free(Entry *entry) {
    if (!entry) return;
    free(entry->key);
    free(entry->value);
    free(entry);
}

void weld_conf_free(weld_conf_t handle) {
    Conf *conf = handle_as(handle, HANDLE_CONF);
    if (!conf) return;
    for (Entry *entry = conf->entries, *next; entry; entry = next) {
        next = entry->next;
        entry_free(entry);
    }
    conf->handle.kind = HANDLE_NONE;
    free(conf);
}

/* Where the entry of key is linked, or the end of the list. */
static Entry **entry_find(Conf *conf, const char *key) {
    Entry **link = &conf->entries;
    while (*link && strcmp((*link)->key, key) != 0) link = &(*link)->next;
    return link;
}

const char *weld_conf_get(weld_conf_t handle, const char *key) {
    Conf *conf = handle_as(handle, HANDLE_CONF);
    Entry *entry = conf && key ? *entry_find(conf, key) : NULL;
    return entry ? entry->value : NULL;
}

void weld_conf_set(weld_conf_t handle, const char *key, const char *value) {
    Conf *conf = handle_as(handle, HANDLE_CONF);
    if (!conf || !key) return;
    Entry **link = entry_find(conf, key);
    Entry *fresh = NULL;
    if (value) {
        fresh = calloc(1, sizeof *fresh);
        if (!fresh || !(fresh->key = strdup(key)) || !(fresh->value = strdup(value))) {
            entry_free(fresh); /* no memory: the setting stays as it was */
            return;
        }
    }
    Entry *old = *link, *rest = old ? old->next : NULL;
    if (fresh) fresh->next = rest;
    *link = fresh ? fresh : rest;
    entry_free(old);
}

static const char *text_of(weld_conf_t conf, const Setting *setting) {
    const char *value = weld_conf_get(conf, setting->key);
    return value ? value : setting->fallback;
}

const char *conf_get(weld_conf_t conf, const char *key) {
    const char *value = weld_conf_get(conf, key);
    for (int i = 0; !value && i < setting_count; i++) {
        if (strcmp(settings[i].key, key) == 0) value = settings[i].fallback;
    }
    return value;
}

/* Does a setting leave the code as it is? */
static bool is_outside_code(const char *key) {
    static const char *const keys[] = {
        "weld.memory.limit", "weld.threads", "weld.grain",   "weld.engine",           "weld.cache",
        "weld.cache.size",   "weld.verify",  "weld.foreign", "weld.compile.dumpCode", "weld.compile.threads"};
    for (size_t i = 0; i < sizeof keys / sizeof *keys; i++) {
        if (strcmp(key, keys[i]) == 0) return true;
    }
    /* Whether there are checkpoints is in the key of a unit. */
    return strncmp(key, "weld.checkpoint.", strlen("weld.checkpoint.")) == 0;
}

weld_conf_t conf_copy(weld_conf_t conf) {
    weld_conf_t copy = weld_conf_new();
    for (int i = 0; copy && i < setting_count; i++) {
        const char *value = weld_conf_get(conf, settings[i].key);
        if (!value) continue;
        weld_conf_set(copy, settings[i].key, value);
        if (weld_conf_get(copy, settings[i].key)) continue;
        weld_conf_free(copy);
        copy = NULL;
    }
    return copy;
}

void conf_print(weld_conf_t conf, bool code, Buf *out) {
    for (int i = 0; i < setting_count; i++) {
        const char *value = weld_conf_get(conf, settings[i].key);
        if (!value || (code && is_outside_code(settings[i].key))) continue;
        buf_put(out, settings[i].key, strlen(settings[i].key) + 1);
        buf_put(out, value, strlen(value) + 1);
    }
}

PassOptions options_passes(const Options *options) {
    bool together = strcmp(options->cluster, "off") != 0;
    const char *result = options->cluster_result, *lookups = options->cluster_lookups,
               *sums = options->cluster_sums;
    Distribution distribution = {.together = together,
                                 .blocks = options->cluster_blocks,
                                 .parts = options->cluster_parts,
                                 .root = options->cluster_root,
                                 .result = strcmp(result, "first") == 0    ? RESULT_FIRST
                                           : strcmp(result, "blocks") == 0 ? RESULT_BLOCKS
                                                                           : RESULT_ALL,
                                 .lookups = strcmp(lookups, "merge") == 0     ? LOOKUPS_MERGE
                                            : strcmp(lookups, "fetch") == 0   ? LOOKUPS_FETCH
                                            : strcmp(lookups, "shuffle") == 0 ? LOOKUPS_SHUFFLE
                                                                              : LOOKUPS_AUTO,
                                 .sums = strcmp(sums, "sums") == 0   ? SUMS_SUMS
                                         : strcmp(sums, "rows") == 0 ? SUMS_ROWS
                                                                     : SUMS_AUTO,
                                 .overlap = strcmp(options->cluster_overlap, "on") == 0,
                                 .server = strcmp(options->cluster_training, "server") == 0,
                                 .servers = options->cluster_servers,
                                 .staleness = options->cluster_staleness};
    return (PassOptions){.level = (int)options->level,
                         .passes = options->passes,
                         .verify = options->verify,
                         .distribution = distribution};
}

/* ---- readers of values: one for each kind; they return what is wrong, or NULL ----------------------------
 */

/* A decimal number and how many characters it has; 0: none, or too large. */
static size_t read_number(const char *text, int64_t *number) {
    char *end;
    errno = 0;
    long long value = strtoll(text, &end, 10);
    if (errno || end == text || !(text[0] == '-' || (text[0] >= '0' && text[0] <= '9'))) return 0;
    *number = value;
    return (size_t)(end - text);
}

/* Is the word one of those in the list, separated by |? */
static bool is_listed(const char *list, const char *word, size_t length) {
    for (const char *at = list;; at += strcspn(at, "|") + 1) {
        size_t size = strcspn(at, "|");
        if (size == length && memcmp(at, word, length) == 0) return true;
        if (!at[size]) return false;
    }
}

static const char *read_BOOL(const Setting *setting, const char *text, OptionBOOL *out) {
    (void)setting;
    *out = text && strcmp(text, "true") == 0;
    return *out || (text && strcmp(text, "false") == 0) ? NULL : "true or false";
}

static const char *read_INT(const Setting *setting, const char *text, OptionINT *out) {
    int64_t low = INT64_MIN, high = INT64_MAX;
    size_t length = read_number(setting->accepts, &low);
    if (length) read_number(setting->accepts + length + strlen(".."), &high);
    length = text ? read_number(text, out) : 0;
    return length && !text[length] && *out >= low && *out <= high ? NULL : setting->accepts;
}

static const char *read_BYTES(const Setting *setting, const char *text, OptionBYTES *out) {
    static const char suffixes[] = "KMGT";
    (void)setting;
    *out = 0;
    if (!text) return NULL; /* no limit is set */
    size_t length = read_number(text, out);
    bool ok = length && *out >= 0;
    const char *suffix = ok && text[length] ? strchr(suffixes, text[length]) : NULL;
    if (suffix) {
        int shift = 10 * (int)(suffix - suffixes + 1);
        ok = *out <= INT64_MAX >> shift;
        if (ok) *out <<= shift;
        length++;
    }
    return ok && !text[length] ? NULL : "a number of bytes, such as 1000000 or 4G";
}

static const char *read_CHOICE(const Setting *setting, const char *text, OptionCHOICE *out) {
    *out = text;
    return is_listed(setting->accepts, text, strlen(text)) ? NULL : setting->accepts;
}

static const char *read_TEXT(const Setting *setting, const char *text, OptionTEXT *out) {
    (void)setting;
    *out = text;
    return NULL;
}

static const char *read_WORDS(const Setting *setting, const char *text, OptionWORDS *out) {
    *out = text;
    for (const char *at = text; *at; at += *at == ',') {
        size_t length = strcspn(at, ",");
        if (!is_listed(setting->accepts, at, length)) return setting->accepts;
        at += length;
    }
    return NULL;
}

bool conf_options(weld_conf_t conf, Options *out, Error *error) {
    static const Span nowhere = {0, 0, 0};
    if (conf && !handle_as(conf, HANDLE_CONF)) {
        return error_set(error, E_Argument, nowhere, "this is not a configuration");
    }
    const Setting *setting = settings;
    const char *text, *wrong;
#define SETTING(id, key, kind, fallback, accepts, doc)            \
    text = text_of(conf, setting);                                \
    if ((wrong = read_##kind(setting, text, &out->id))) goto bad; \
    setting++;
#include "settings.def"
    return true;
bad:
    return error_set(error, E_Setting, nowhere, "%s cannot be \"%.200s\"; it must be %s", setting->key, text,
                     wrong);
}

/* block NULL: only counts. */
static void own_text(const char **text, char *block, size_t *used) {
    size_t length = *text ? strlen(*text) + 1 : 0;
    if (block && length) *text = memcpy(block + *used, *text, length);
    *used += length;
}

static size_t own_texts(Options *options, char *block) {
    size_t used = 0;
#define OWN_BOOL(text)
#define OWN_INT(text)
#define OWN_BYTES(text)
#define OWN_TEXT(text) own_text(&(text), block, &used);
#define OWN_CHOICE OWN_TEXT
#define OWN_WORDS OWN_TEXT
#define SETTING(id, name, kind, fallback, accepts, doc) OWN_##kind(options->id)
#include "settings.def"
    return used;
}

char *options_own(Options *options) {
    char *block = malloc(own_texts(options, NULL) + 1);
    if (block) own_texts(options, block);
    return block;
}
