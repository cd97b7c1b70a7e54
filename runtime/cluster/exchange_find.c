/* exchange_find.c: of a vector in blocks a rank gets the elements that it names by their numbers, each of them once.
 *
 *     blocks [a, b] on rank 0, [c, d, e] on rank 1
 *     places [3, 0, 3] on rank 0      =>   part [a, d], at [1, 0, 1]
 *     places [{1, 3}] on rank 1       =>   part [b, c, d], at [{0, 3}]       elements from 1 on, 3 of them
 *
 * Ranks tell each other how many elements they have, and how many places. Then each asks every owner, by a bit for each element
 * that the owner has, or, where that would be more than twice as much, by a list of numbers, or of {begin, end}, in order.
 * The owner answers with these elements in its order. So the part holds what is wanted in the order of the whole, and the place of
 * an element in it is how many wanted ones come before. How long the bits are is known to both, so they need no round for lengths.
 *
 * This is localize and gather of PARTI (Saltz, Crowley, Mirchandaney and Berryman, Run-time scheduling and execution of loops on
 * message passing machines, 1990), with bits for lists.
 */
#include "exchange.h"

#include <stdlib.h>
#include <string.h>

enum {
    BITS_LEAST = 1 << 15, /* of a vector of so few elements bits are as good as a list */
    GROUP = 8,            /* words that are counted together */
    LENGTH = 0,           /* what ranks tell each other */
    PLACES,
    NUMBERS
};

/* Elements [first, end) of the whole; before: how many wanted ones come before. */
typedef struct Run {
    int64_t first, end, before;
} Run;

typedef enum Asks { ASKS_NOTHING, ASKS_BITS, ASKS_LIST } Asks;

typedef struct Find {
    Exchange *x;
    const Type *element;
    bool ranged; /* places are {first, length} */
    Vec own, places;
    int64_t *starts; /* of the blocks, and the length of the whole */
    Asks *asks;      /* by rank */
    /* Of this rank: by owner, the elements it wants, and what it sends to ask for them. */
    int64_t *counts;
    Vec *requests;
    /* Bits: those of an owner begin at words[owner], at a word. before: by groups, the wanted ones before. */
    int64_t *words, *before;
    uint64_t *bits;
    /* A list. */
    Run *runs;
    int64_t nruns;
} Find;

static int64_t whole_of(const Find *f) {
    return f->starts[f->x->ranks];
}

/* The elements of a place that there are, [first, end); none: begin and end are the same. */
static Run place_at(const Find *f, int64_t i) {
    int64_t pair[2] = {0, 1}, whole = whole_of(f);
    size_t size = f->ranged ? sizeof pair : sizeof *pair;
    memcpy(pair, (const char *)f->places.data + i * (int64_t)size, size);
    if (pair[0] < 0 || pair[1] <= 0 || pair[0] >= whole) return (Run){0};
    return (Run){.first = pair[0], .end = pair[1] < whole - pair[0] ? pair[0] + pair[1] : whole};
}

/* The rank that has element g; near: a guess. */
static int owner_of(const Find *f, int64_t g, int near) {
    if (f->starts[near] <= g && g < f->starts[near + 1]) return near;
    int low = 0, high = f->x->ranks - 1;
    while (low < high) {
        int middle = (low + high) / 2;
        if (g < f->starts[middle + 1])
            high = middle;
        else
            low = middle + 1;
    }
    return low;
}

/* ---- bits ---- */

static int64_t words_of(const Find *f, int rank) {
    return (f->starts[rank + 1] - f->starts[rank] + 63) / 64;
}

static void set_bits(uint64_t *bits, int64_t begin, int64_t end) {
    int64_t w = begin >> 6, last = (end - 1) >> 6;
    uint64_t head = ~0ull << (begin & 63), tail = ~0ull >> (63 - ((end - 1) & 63));
    if (w == last) {
        bits[w] |= head & tail;
        return;
    }
    bits[w++] |= head;
    while (w < last) bits[w++] = ~0ull;
    bits[w] |= tail;
}

static void mark(const Find *f, Run run, int *owner) {
    while (run.first < run.end) {
        int o = *owner = owner_of(f, run.first, *owner);
        int64_t end = run.end < f->starts[o + 1] ? run.end : f->starts[o + 1];
        int64_t shift = f->words[o] * 64 - f->starts[o];
        set_bits(f->bits, run.first + shift, end + shift);
        run.first = end;
    }
}

static int64_t bytes_of_bits(const Find *f) {
    return f->words[f->x->ranks] * (int64_t)sizeof *f->bits;
}

static int64_t bytes_of_before(const Find *f) {
    return (f->words[f->x->ranks] / GROUP + 1) * (int64_t)sizeof *f->before;
}

static ErrorCode ask_by_bits(Find *f) {
    Exchange *x = f->x;
    f->bits = exchange_take(x, bytes_of_bits(f));
    f->before = exchange_take(x, bytes_of_before(f));
    if (!f->bits || !f->before) return E_OutOfMemory;
    memset(f->bits, 0, (size_t)bytes_of_bits(f));
    int owner = 0;
    for (int64_t i = 0; i < f->places.length; i++) mark(f, place_at(f, i), &owner);
    int64_t count = 0, w = 0;
    for (int peer = 0; peer < x->ranks; peer++) {
        f->requests[peer] = (Vec){f->bits + w, (f->words[peer + 1] - w) * (int64_t)sizeof *f->bits};
        int64_t begin = count;
        for (; w < f->words[peer + 1]; w++) {
            if (w % GROUP == 0) f->before[w / GROUP] = count;
            count += __builtin_popcountll(f->bits[w]);
        }
        f->counts[peer] = count - begin;
    }
    return E_None;
}

static int64_t place_by_bits(const Find *f, int64_t g, int *owner) {
    int o = *owner = owner_of(f, g, *owner);
    int64_t bit = f->words[o] * 64 + g - f->starts[o], last = bit >> 6, w = last / GROUP * GROUP;
    int64_t count = f->before[w / GROUP];
    for (; w < last; w++) count += __builtin_popcountll(f->bits[w]);
    return count + __builtin_popcountll(f->bits[last] & ((1ull << (bit & 63)) - 1));
}

/* ---- a list ---- */

static int order_of_runs(const void *a, const void *b) {
    const Run *one = a, *two = b;
    return one->first < two->first ? -1 : one->first > two->first;
}

/* Sorted, each element in one run. Of single elements each is a run. */
static ErrorCode list_runs(Find *f) {
    f->runs = exchange_take(f->x, f->places.length * (int64_t)sizeof *f->runs);
    if (!f->runs) return E_OutOfMemory;
    int64_t count = 0, before = 0;
    for (int64_t i = 0; i < f->places.length; i++) {
        Run run = place_at(f, i);
        if (run.first < run.end) f->runs[count++] = run;
    }
    qsort(f->runs, (size_t)count, sizeof *f->runs, order_of_runs);
    for (int64_t i = 0; i < count; i++) {
        Run *last = f->nruns ? &f->runs[f->nruns - 1] : NULL, next = f->runs[i];
        if (last && next.first < last->end + f->ranged) {
            if (next.end > last->end) last->end = next.end;
        } else {
            f->runs[f->nruns++] = next;
        }
    }
    for (int64_t i = 0; i < f->nruns; before += f->runs[i].end - f->runs[i].first, i++)
        f->runs[i].before = before;
    return E_None;
}

static ErrorCode ask_by_list(Find *f) {
    Exchange *x = f->x;
    TRY(list_runs(f));
    int64_t *at = exchange_take(x, 2 * (f->nruns + x->ranks) * (int64_t)sizeof *at), i = 0;
    if (!at) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        int64_t start = f->starts[peer], stop = f->starts[peer + 1], *begin = at, first = start;
        while (i < f->nruns && f->runs[i].first < stop) {
            if (f->runs[i].first > first) first = f->runs[i].first;
            int64_t end = f->runs[i].end < stop ? f->runs[i].end : stop;
            *at++ = first - start;
            if (f->ranged) *at++ = end - start;
            f->counts[peer] += end - first;
            first = end;
            if (f->runs[i].end > stop) break; /* the rest is the next owner's */
            i++;
        }
        f->requests[peer] = (Vec){begin, (at - begin) * (int64_t)sizeof *at};
    }
    return E_None;
}

static int64_t place_by_list(const Find *f, int64_t g) {
    int64_t low = 0, high = f->nruns - 1;
    while (low < high) {
        int64_t middle = (low + high + 1) / 2;
        if (f->runs[middle].first <= g)
            low = middle;
        else
            high = middle - 1;
    }
    return f->runs[low].before + g - f->runs[low].first;
}

/* ---- what others ask for ---- */

static int64_t length_asked(const Find *f, Asks asks, const Vec *request) {
    const int64_t *numbers = request->data;
    int64_t words = request->length / (int64_t)sizeof *numbers, count = 0;
    if (asks == ASKS_LIST && !f->ranged) return words;
    for (int64_t i = 0; i < words; i += asks == ASKS_LIST ? 2 : 1)
        count += asks == ASKS_LIST ? numbers[i + 1] - numbers[i]
                                   : __builtin_popcountll((unsigned long long)numbers[i]);
    return count;
}

static char *put_elements(const Find *f, char *to, int64_t first, int64_t count) {
    int64_t size = f->element->size;
    const char *from = (const char *)f->own.data + first * size;
    if (size == 8 && count == 1)
        memcpy(to, from, 8);
    else if (size)
        memcpy(to, from, (size_t)(count * size));
    return to + count * size;
}

/* The elements that a request names go to `to`. */
static void answer(const Find *f, Asks asks, const Vec *request, char *to) {
    const int64_t *numbers = request->data;
    int64_t words = request->length / (int64_t)sizeof *numbers;
    for (int64_t i = 0; asks == ASKS_LIST && i < words; i += f->ranged ? 2 : 1)
        to = put_elements(f, to, numbers[i], f->ranged ? numbers[i + 1] - numbers[i] : 1);
    for (int64_t w = 0; asks == ASKS_BITS && w < words; w++) {
        uint64_t bits = (uint64_t)numbers[w];
        for (int64_t at = w * 64; bits;) {
            int skip = __builtin_ctzll(bits);
            bits >>= skip;
            at += skip;
            int run = ~bits ? __builtin_ctzll(~bits) : 64;
            to = put_elements(f, to, at, run);
            bits = run < 64 ? bits >> run : 0;
            at += run;
        }
    }
}

/* ---- all of it ---- */

/* Who has what, and how each asks: the same on all ranks. */
static ErrorCode meet(Find *f) {
    Exchange *x = f->x;
    int64_t own[NUMBERS] = {f->own.length, f->places.length},
            *all = exchange_take(x, x->ranks * (int64_t)sizeof own);
    f->starts = exchange_take(x, 2 * (x->ranks + 1) * (int64_t)sizeof *f->starts);
    f->counts = exchange_take(x, x->ranks * (int64_t)sizeof *f->counts);
    f->asks = exchange_take(x, x->ranks * (int64_t)sizeof *f->asks);
    f->requests = exchange_vectors(x);
    if (!all || !f->starts || !f->counts || !f->asks || !f->requests) return E_OutOfMemory;
    memset(f->counts, 0, (size_t)x->ranks * sizeof *f->counts);
    TRY(exchange_numbers(x, own, NUMBERS, all));
    f->words = f->starts + x->ranks + 1;
    f->starts[0] = f->words[0] = 0;
    for (int peer = 0; peer < x->ranks; peer++) {
        f->starts[peer + 1] = f->starts[peer] + all[peer * NUMBERS + LENGTH];
        f->words[peer + 1] = f->words[peer] + words_of(f, peer);
    }
    for (int peer = 0; peer < x->ranks; peer++) {
        int64_t places = all[peer * NUMBERS + PLACES], whole = whole_of(f);
        int64_t listed = places * (int64_t)sizeof(int64_t) * (f->ranged ? 2 : 1);
        bool bits = whole <= BITS_LEAST || whole / 16 <= listed;
        f->asks[peer] = !places || !whole ? ASKS_NOTHING : bits ? ASKS_BITS : ASKS_LIST;
    }
    return E_None;
}

/* asked: what the ranks ask this one for. */
static ErrorCode swap_requests(Find *f, Vec *asked) {
    Exchange *x = f->x;
    int64_t each = words_of(f, x->rank) * (int64_t)sizeof *f->bits, bytes = 0;
    bool lists = false;
    for (int peer = 0; peer < x->ranks; peer++) {
        lists |= f->asks[peer] == ASKS_LIST;
        if (f->asks[peer] == ASKS_BITS) bytes += each;
    }
    if (lists) return exchange_swap_bytes(x, f->requests, asked);
    char *at = exchange_take(x, bytes);
    if (!at) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        if (f->asks[peer] != ASKS_BITS) continue;
        asked[peer] = (Vec){at, each};
        at += each;
    }
    return exchange_swap_known(x, f->requests, asked);
}

/* Elements without pointers: how many come is known, and this rank's own go straight to their place. */
static ErrorCode swap_plain(Find *f, Vec *send, const Vec *asked, Vec *part) {
    Exchange *x = f->x;
    int64_t size = f->element->size, length = 0;
    Vec *pieces = exchange_vectors(x);
    for (int peer = 0; peer < x->ranks; peer++) length += f->counts[peer];
    *part = (Vec){exchange_take(x, length * size), length};
    if (!pieces || !part->data) return E_OutOfMemory;
    char *at = part->data;
    for (int peer = 0; peer < x->ranks; peer++) {
        int64_t bytes = f->counts[peer] * size;
        pieces[peer] = (Vec){at, bytes};
        at += bytes;
        send[peer].length *= size;
    }
    answer(f, f->asks[x->rank], &asked[x->rank], pieces[x->rank].data);
    pieces[x->rank].length = send[x->rank].length = 0;
    return exchange_swap_known(x, send, pieces);
}

static ErrorCode swap_elements(Find *f, const Vec *asked, Vec *part) {
    Exchange *x = f->x;
    bool plain = !f->element->pointers && f->element->size;
    Vec *send = exchange_vectors(x);
    int64_t count = 0, size = f->element->size;
    if (!send) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        bool own = plain && peer == x->rank;
        send[peer].length = own ? 0 : length_asked(f, f->asks[peer], &asked[peer]);
        count += send[peer].length;
    }
    char *all = exchange_take(x, count * size), *at = all;
    if (!all) return E_OutOfMemory;
    for (int peer = 0; peer < x->ranks; peer++) {
        send[peer].data = at;
        if (send[peer].length) answer(f, f->asks[peer], &asked[peer], at);
        at += send[peer].length * size;
    }
    ErrorCode code = plain ? swap_plain(f, send, asked, part) : exchange_swap(x, f->element, send, part);
    if (code == E_None && plain) exchange_drop(x, all, count * size);
    return code;
}

static int64_t place_in_part(const Find *f, int64_t g, int *owner) {
    return f->bits ? place_by_bits(f, g, owner) : place_by_list(f, g);
}

/* Where in the part each place is. What is not there, or fails, does so there, too: a number is -1 then; of {first, length} the first is -1 as
 * either is below 0, the part's end at the end of the whole, and one more behind it. */
static ErrorCode localize(const Find *f, const Vec *part, Vec *at) {
    int64_t bytes = f->places.length * (int64_t)sizeof(int64_t) * (f->ranged ? 2 : 1), *to;
    int owner = 0;
    *at = (Vec){exchange_take(f->x, bytes), f->places.length};
    if (!at->data) return E_OutOfMemory;
    to = at->data;
    for (int64_t i = 0; i < f->places.length; i++) {
        Run run = place_at(f, i);
        bool there = run.first < run.end;
        int64_t place = there ? place_in_part(f, run.first, &owner) : -1, pair[2];
        if (!f->ranged) {
            to[i] = place;
            continue;
        }
        memcpy(pair, (const char *)f->places.data + i * (int64_t)sizeof pair, sizeof pair);
        bool fails = pair[0] < 0 || pair[1] < 0;
        if (!there && !fails) place = pair[0] < whole_of(f) ? 0 : part->length + (pair[0] > whole_of(f));
        to[2 * i] = place;
        to[2 * i + 1] = there ? run.end - run.first : fails ? pair[1] : 0;
    }
    return E_None;
}

ErrorCode exchange_find(Exchange *x) {
    const Type *type = x->call->type;
    Find find = {.x = x, .element = type->args[0]->args[0]}, *f = &find;
    Vec part, at, *asked = exchange_vectors(x);
    if (!asked) return E_OutOfMemory;
    f->ranged = type->args[1]->args[0]->kind == TY_struct;
    memcpy(&f->own, x->call->operands[0], sizeof f->own);
    memcpy(&f->places, x->call->operands[1], sizeof f->places);
    TRY(meet(f));
    if (f->asks[x->rank] == ASKS_BITS) TRY(ask_by_bits(f));
    if (f->asks[x->rank] == ASKS_LIST) TRY(ask_by_list(f));
    TRY(swap_requests(f, asked));
    TRY(swap_elements(f, asked, &part));
    TRY(localize(f, &part, &at));
    if (f->bits) {
        exchange_drop(x, f->bits, bytes_of_bits(f));
        exchange_drop(x, f->before, bytes_of_before(f));
    }
    if (f->runs) exchange_drop(x, f->runs, f->places.length * (int64_t)sizeof *f->runs);
    memcpy(x->call->out, &part, sizeof part);
    memcpy((char *)x->call->out + type->offsets[1], &at, sizeof at);
    return E_None;
}
