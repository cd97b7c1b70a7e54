/* exchange_dict.c: what ranks do with dictionaries.
 *
 *     merge      all ranks get the entries of all, and merge them
 *     shuffle    each entry goes to the rank that owns its key, by its hash, which merges what it gets
 *     spread     one of the two, whichever sends fewer bytes when the ranks then look up so many keys
 *     fetch      of a dictionary that was shuffled, a rank gets the entries of the keys that it asks for
 *
 *     fetch on rank 0, of [7, 9, 7]      7 is rank 0's, 9 is rank 1's
 *         asks   {7: -, 9: -}            each key once
 *         sends  [9] to rank 1           which looks it up, and replies which of its keys there are, and their values
 *         gets   {7: 1, 9: 5}            a dictionary, so that looking up in it does as in the whole
 *
 * In the terms of joins by hash (Blanas et al., Design and evaluation of main memory hash join algorithms, SIGMOD'11;
 * Polychroniou et al., Track join, SIGMOD'14) a merge broadcasts the build side, and a fetch sends keys there and values
 * back, while the rows of the probe side stay where they are; a shuffle of one side and a route (exchange_route.c) of the other
 * partition both.
 */
#include "exchange.h"

#include <stdlib.h>
#include <string.h>

/* Merges entries, in their order, into a new dictionary. */
static ErrorCode dict_of(Exchange *x, const Type *entry, const Vec *entries, Dict **out) {
    Worker *worker = x->worker;
    const Type *key = entry->args[0], *value = entry->args[1];
    int64_t at = entry->offsets[1];
    Dict *dict = dict_new(worker, entry, x->span);
    bool ok = dict != NULL, groups = value->kind == TY_vec;
    for (int64_t i = 0; ok && i < entries->length; i++) {
        const char *from = (const char *)entries->data + i * entry->size;
        if (groups) {
            const Vec *values = (const Vec *)(from + at);
            int64_t size = value->args[0]->size;
            for (int64_t k = 0; ok && k < values->length; k++)
                ok = group_merge(worker, dict, entry, from, (const char *)values->data + k * size, x->span);
            continue;
        }
        bool fresh;
        void *into = dict_insert(worker, dict, entry, from, key_hash(key, from), &fresh, x->span);
        ok = into != NULL;
        if (ok && fresh)
            memcpy(into, from + at, (size_t)value->size);
        else if (ok)
            combine(value, x->call->op, into, from + at);
    }
    if (ok && groups) ok = group_finish(worker, dict, entry, x->span);
    if (ok && !groups) ok = dict_finish(worker, dict, entry, x->span);
    *out = dict;
    if (ok) return E_None;
    return worker->error.code ? worker->error.code : E_OutOfMemory;
}

/* ---- each key on one rank ---- */

int exchange_owner(const Exchange *x, const Type *key, const void *at) {
    return (int)((unsigned __int128)key_hash(key, at) * (unsigned)x->ranks >> 64);
}

/* Entries, dealt out by the ranks that own their keys. */
typedef struct Dealt {
    Vec *send;        /* for each rank: the entries, or the keys of them, one after the other */
    int64_t *numbers; /* of the entries, in the same order */
} Dealt;

/* part: what is sent of an entry: the whole, or its key. */
static ErrorCode deal_entries(Exchange *x, const Type *entry, const Type *part, const Vec *entries,
                              Dealt *out) {
    int32_t *owners = exchange_take(x, entries->length * (int64_t)sizeof *owners);
    int64_t *numbers = exchange_take(x, entries->length * (int64_t)sizeof *numbers), begin = 0;
    char *to = exchange_take(x, entries->length * part->size);
    Vec *send = exchange_vectors(x);
    int64_t *ends = exchange_take(x, x->ranks * (int64_t)sizeof *ends);
    if (!owners || !numbers || !to || !send || !ends) return E_OutOfMemory;
    const char *data = entries->data;
    for (int64_t i = 0; i < entries->length; i++) {
        owners[i] = exchange_owner(x, entry->args[0], data + i * entry->size);
        send[owners[i]].length++;
    }
    for (int peer = 0; peer < x->ranks; peer++) {
        send[peer].data = to + begin * part->size;
        ends[peer] = begin;
        begin += send[peer].length;
    }
    for (int64_t i = 0; i < entries->length; i++) {
        int64_t at = ends[owners[i]]++;
        numbers[at] = i;
        memcpy(to + at * part->size, data + i * entry->size, (size_t)part->size);
    }
    exchange_drop(x, owners, entries->length * (int64_t)sizeof *owners);
    *out = (Dealt){send, numbers};
    return E_None;
}

static void drop_dealt(Exchange *x, const Type *part, const Dealt *dealt, int64_t count) {
    exchange_drop(x, dealt->numbers, count * (int64_t)sizeof *dealt->numbers);
    exchange_drop(x, dealt->send[0].data, count * part->size);
}

static Vec entries_of(const Dict *dict) {
    return dict && dict->length ? (Vec){dict->entries, dict->length} : (Vec){NULL, 0};
}

static ErrorCode merge_dicts(Exchange *x, const Type *type, bool apart, void *out) {
    EntryType room;
    const Type *entry = dict_entry_layout(type, &room);
    Vec entries = entries_of(*(Dict *const *)x->call->operands[0]), all;
    if (apart) {
        Dealt dealt;
        TRY(deal_entries(x, entry, entry, &entries, &dealt));
        TRY(exchange_swap(x, entry, dealt.send, &all));
        drop_dealt(x, entry, &dealt, entries.length);
    } else {
        TRY(exchange_gather(x, entry, &entries, false, &all));
    }
    Dict *merged = NULL;
    TRY(dict_of(x, entry, &all, &merged));
    exchange_drop(x, all.data, all.length * entry->size);
    memcpy(out, &merged, sizeof(Dict *));
    return E_None;
}

/* ---- which of the two ---- */

/* What ranks tell each other: of their entries; how many keys they will look up, and those of rows that may move, in bytes too. */
enum { BYTES, ENTRIES, KEYS, ROWS, ROW_BYTES, NUMBERS };
typedef enum Way { WHOLE, FETCHED, MOVED } Way;
/* Of a sample: at most so many keys, one of so many, if there are many. */
enum { SAMPLES = 1024, SAMPLED = 64, MANY = 64 * SAMPLED };

static double sum_of_ranks(const Exchange *x, const int64_t *all, int which) {
    double sum = 0;
    for (int peer = 0; peer < x->ranks; peer++) sum += (double)all[peer * NUMBERS + which];
    return sum;
}

static int by_hash(const void *a, const void *b) {
    uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;
    return (x > y) - (x < y);
}

/* About how many keys there are, of which several ranks may have the same. Keys whose hashes are below a bound are a sample that
 * all ranks draw alike, so the same key is drawn everywhere (Flajolet, On adaptive sampling, 1990). */
static ErrorCode count_keys(Exchange *x, const Type *entry, const Vec *entries, double total, double *out) {
    static const Type element = {.kind = TY_u64, .size = sizeof(uint64_t), .align = sizeof(uint64_t)};
    double part = SAMPLES / total < 1.0 / SAMPLED ? SAMPLES / total : 1.0 / SAMPLED;
    uint64_t bound = (uint64_t)(part * 0x1p64), *hashes, distinct = 0;
    Vec own = {exchange_take(x, entries->length * (int64_t)sizeof *hashes), 0}, all;
    if (!own.data) return E_OutOfMemory;
    hashes = own.data;
    for (int64_t i = 0; i < entries->length; i++) {
        uint64_t hash = key_hash(entry->args[0], (const char *)entries->data + i * entry->size);
        if (hash < bound) hashes[own.length++] = hash;
    }
    TRY(exchange_gather(x, &element, &own, false, &all));
    exchange_drop(x, own.data, entries->length * (int64_t)sizeof *hashes);
    hashes = all.data;
    if (all.length) qsort(hashes, (size_t)all.length, sizeof *hashes, by_hash);
    for (int64_t i = 0; i < all.length; i++) distinct += i == 0 || hashes[i] != hashes[i - 1];
    *out = (double)distinct / part;
    return E_None;
}

/* The way by which all ranks send the least bytes together, where a rank looks up no key twice, and none that there is not. */
static Way cheapest_way(const Exchange *x, const Type *entry, const int64_t *all, double there) {
    double bytes = sum_of_ranks(x, all, BYTES), entries = sum_of_ranks(x, all, ENTRIES), asked = 0, rest = 0,
           rows = sum_of_ranks(x, all, ROW_BYTES);
    for (int peer = 0; peer < x->ranks; peer++) {
        const int64_t *of = all + peer * NUMBERS;
        if (there < (double)of[ENTRIES]) there = (double)of[ENTRIES];
    }
    for (int peer = 0; peer < x->ranks; peer++) {
        const int64_t *of = all + peer * NUMBERS;
        double keys = (double)of[KEYS], both = keys + (double)of[ROWS];
        rest += keys < there ? keys : there;
        asked += both < there ? both : there;
    }
    double pair = entry->pointers && entries > 0 ? bytes / entries
                                                 : (double)(entry->args[0]->size + entry->args[1]->size);
    double fetched = (bytes + asked * pair) / x->ranks, moved = (bytes + rest * pair + rows) / x->ranks;
    if (bytes <= fetched && (rows == 0 || bytes <= moved)) return WHOLE;
    return rows > 0 && moved < fetched ? MOVED : FETCHED;
}

static ErrorCode spread(Exchange *x) {
    const Type *type = x->call->type;
    EntryType room;
    Type *args[1], vector;
    const Type *entry = dict_entry_layout(type->args[0], &room);
    Vec entries = entries_of(*(Dict *const *)x->call->operands[0]);
    int64_t own[NUMBERS] = {entries.length * entry->size, entries.length};
    int64_t *all = exchange_take(x, x->ranks * (int64_t)sizeof own);
    if (!all) return E_OutOfMemory;
    if (entry->pointers && entries.length)
        own[BYTES] = value_serialized_size(exchange_vector_type(entry, &vector, args), &entries);
    memcpy(&own[KEYS], x->call->operands[1], 3 * sizeof *own);
    for (int i = KEYS; i < NUMBERS; i++) own[i] = own[i] < 0 ? 0 : own[i];
    TRY(exchange_numbers(x, own, NUMBERS, all));
    double total = sum_of_ranks(x, all, ENTRIES), there = total;
    Way way = cheapest_way(x, entry, all, there);
    if (way != FETCHED && total >= MANY) { /* if many of the keys are the same, it may not be */
        TRY(count_keys(x, entry, &entries, total, &there));
        way = cheapest_way(x, entry, all, there);
    }
    bool whole = way == WHOLE, moved = way == MOVED;
    char *out = x->call->out;
    memset(out, 0, (size_t)type->size);
    TRY(merge_dicts(x, type->args[0], !whole, out));
    memcpy(out + type->offsets[1], &whole, sizeof whole);
    memcpy(out + type->offsets[2], &moved, sizeof moved);
    return E_None;
}

/* ---- keys that are looked up ---- */

/* Each of the keys once, as entries whose values are not there yet. */
static ErrorCode distinct_keys(Exchange *x, const Type *entry, const Vec *keys, Dict **out) {
    Worker *worker = x->worker;
    const Type *key = entry->args[0];
    Dict *dict = *out = dict_new(worker, entry, x->span);
    bool ok = dict != NULL, fresh;
    for (int64_t i = 0; ok && i < keys->length; i++) {
        const char *at = (const char *)keys->data + i * key->size;
        ok = dict_insert(worker, dict, entry, at, key_hash(key, at), &fresh, x->span) != NULL;
    }
    if (ok) return E_None;
    return worker->error.code ? worker->error.code : E_OutOfMemory;
}

/* A reply begins with a bit for each key, whether it is there, in words. */
static int64_t mask_bytes(int64_t keys) {
    return (keys + 63) / 64 * 8;
}

/* What a rank is told of its keys: the bits, and behind them the values of those that are there. */
static ErrorCode reply_to(Exchange *x, const Type *entry, const Dict *dict, const Vec *keys, Vec *out) {
    const Type *key = entry->args[0], *value = entry->args[1];
    int64_t head = mask_bytes(keys->length);
    char *reply = exchange_take(x, head + keys->length * value->size);
    if (!reply) return E_OutOfMemory;
    memset(reply, 0, (size_t)head);
    Vec found = {reply + head, 0}, packed;
    for (int64_t i = 0; i < keys->length; i++) {
        const void *at = dict_find(dict, entry, (const char *)keys->data + i * key->size);
        if (!at) continue;
        reply[i / 8] = (char)((unsigned char)reply[i / 8] | 1u << i % 8);
        memcpy((char *)found.data + found.length++ * value->size, at, (size_t)value->size);
    }
    *out = (Vec){reply, head + found.length * value->size};
    if (!value->pointers) return E_None;
    if (!exchange_pack(x, value, &found, &packed)) return E_OutOfMemory;
    *out = (Vec){exchange_take(x, head + packed.length), head + packed.length};
    if (!out->data) return E_OutOfMemory;
    memcpy(out->data, reply, (size_t)head);
    if (packed.length) memcpy((char *)out->data + head, packed.data, (size_t)packed.length);
    return E_None;
}

/* Puts the values of a reply to the entries of these numbers; there: by number, whether it is. */
static ErrorCode take_reply(Exchange *x, const Type *entry, Dict *asked, const int64_t *numbers,
                            int64_t count, const Vec *reply, bool *there) {
    const Type *value = entry->args[1];
    int64_t head = mask_bytes(count), next = 0;
    const unsigned char *mask = reply->data;
    Vec values = {(char *)reply->data + head, reply->length - head}, found = values;
    if (value->pointers) TRY(exchange_unpack(x, value, &values, &found));
    for (int64_t i = 0; i < count; i++) {
        there[numbers[i]] = mask[i / 8] >> i % 8 & 1;
        if (!there[numbers[i]]) continue;
        memcpy(asked->entries + numbers[i] * entry->size + entry->offsets[1],
               (const char *)found.data + next++ * value->size, (size_t)value->size);
    }
    return E_None;
}

/* The entries that are there; asked becomes this, or is gone. */
static ErrorCode keep_there(Exchange *x, const Type *entry, Dict *asked, const bool *there, Dict **out) {
    Worker *worker = x->worker;
    const Type *key = entry->args[0];
    int64_t missing = 0;
    for (int64_t i = 0; i < asked->length; i++) missing += !there[i];
    Dict *dict = missing ? dict_new(worker, entry, x->span) : asked;
    bool ok = dict != NULL, fresh;
    for (int64_t i = 0; missing && ok && i < asked->length; i++) {
        const char *from = asked->entries + i * entry->size;
        if (!there[i]) continue;
        char *into = dict_insert(worker, dict, entry, from, key_hash(key, from), &fresh, x->span);
        ok = into != NULL;
        if (ok) memcpy(into, from + entry->offsets[1], (size_t)entry->args[1]->size);
    }
    if (missing) dict_discard(worker, asked);
    *out = dict;
    if (ok && dict_finish(worker, dict, entry, x->span)) return E_None;
    return worker->error.code ? worker->error.code : E_OutOfMemory;
}

static ErrorCode fetch(Exchange *x) {
    EntryType room;
    const Type *entry = dict_entry_layout(x->call->type, &room), *key = entry->args[0];
    const Dict *dict = *(Dict *const *)x->call->operands[0];
    Dict *asked;
    Dealt dealt;
    Vec *send = exchange_vectors(x), *wanted = exchange_vectors(x), *replies = exchange_vectors(x);
    if (!send || !wanted || !replies) return E_OutOfMemory;
    TRY(distinct_keys(x, entry, x->call->operands[1], &asked));
    Vec entries = {asked->entries, asked->length};
    bool *there = exchange_take(x, asked->length);
    if (!there) return E_OutOfMemory;
    TRY(deal_entries(x, entry, key, &entries, &dealt));
    for (int peer = 0; peer < x->ranks; peer++) {
        if (!exchange_pack(x, key, &dealt.send[peer], &send[peer])) return E_OutOfMemory;
    }
    TRY(exchange_swap_bytes(x, send, wanted));
    for (int peer = 0; peer < x->ranks; peer++) {
        Vec keys;
        TRY(exchange_unpack(x, key, &wanted[peer], &keys));
        TRY(reply_to(x, entry, dict, &keys, &send[peer]));
    }
    TRY(exchange_swap_bytes(x, send, replies));
    for (int64_t peer = 0, at = 0; peer < x->ranks; at += dealt.send[peer++].length)
        TRY(take_reply(x, entry, asked, dealt.numbers + at, dealt.send[peer].length, &replies[peer], there));
    drop_dealt(x, key, &dealt, asked->length);
    Dict *made;
    TRY(keep_there(x, entry, asked, there, &made));
    memcpy(x->call->out, &made, sizeof made);
    return E_None;
}

ErrorCode exchange_dict(Exchange *x) {
    switch (x->call->kind) {
    case EXCHANGE_spread: return spread(x);
    case EXCHANGE_fetch: return fetch(x);
    default: return merge_dicts(x, x->call->type, x->call->kind == EXCHANGE_shuffle, x->call->out);
    }
}
