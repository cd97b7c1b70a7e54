/* csv_block.c: a rank's share of a table's text.
 *
 * Behind the header the file's bytes are cut evenly, wherever that is, and a rank reads its block of them:
 *
 *     1,one\n 2,"t|wo\nlines"\n 3,three\n| 4,four\n        three ranks
 *
 * A record belongs to the rank in whose block it begins, which reads on to its end. Where records begin depends on whether
 * a block begins within quotes, and that on all that is before. So each rank first finds, for each state in which its
 * block could begin, the state in which it then ends (Ladner and Fischer, Parallel prefix computation, 1980); ranks
 * exchange these maps, and the number of their lines, so that every rank knows its own state and the number of its first
 * line. Kinds of fields are exchanged after the first pass, so that all ranks give a column the same type.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "csv.h"

/* At the begin of a field, in a field without quotes, in quotes, behind a quote in quotes. */
typedef enum State { FIELD, PLAIN, QUOTED, CLOSED, STATES } State;

enum { CHUNK = 1 << 16, HEADER = 1 << 12 };

static State state_after(State state, char c) {
    if (c == '"') return state == FIELD || state == CLOSED ? QUOTED : state == QUOTED ? CLOSED : PLAIN;
    if (state == QUOTED) return QUOTED;
    return c == ',' || c == '\n' ? FIELD : PLAIN;
}

/* Two bits of a map say where each state leads. */
static State map_at(unsigned map, State state) {
    return map >> 2 * state & 3;
}

static unsigned map_of_class(char c, unsigned map) {
    unsigned out = 0;
    for (State state = FIELD; state < STATES; state++)
        out |= (unsigned)state_after(map_at(map, state), c) << 2 * state;
    return out;
}

static const unsigned map_nothing = 0xe4; /* each to itself */

static unsigned map_of(const char *text, int64_t length) {
    uint8_t next[3][256];
    unsigned map = map_nothing;
    if (length == 0) return map;
    if (!memchr(text, '"', (size_t)length)) { /* then all but the last character makes no difference */
        char last = text[length - 1];
        map = map_of_class('x', map);
        return map_of_class(last, map);
    }
    for (unsigned i = 0; i < 256; i++) {
        next[0][i] = (uint8_t)map_of_class('x', i);
        next[1][i] = (uint8_t)map_of_class(',', i);
        next[2][i] = (uint8_t)map_of_class('"', i);
    }
    for (int64_t i = 0; i < length; i++) {
        char c = text[i];
        map = next[c == '"' ? 2 : c == ',' || c == '\n'][map];
    }
    return map;
}

static int64_t lines_of(const char *text, int64_t length) {
    int64_t lines = 0;
    for (int64_t i = 0; i < length; i++) lines += text[i] == '\n';
    return lines;
}

/* Behind the end of the record that a text in this state is in, or -1; the state moves on. */
static int64_t record_end(const char *text, int64_t length, State *state) {
    for (int64_t i = 0; i < length; i++) {
        *state = state_after(*state, text[i]);
        if (text[i] == '\n' && *state == FIELD) return i + 1;
    }
    return -1;
}

/* ---- reading ---- */

typedef struct Block {
    Table *table;
    Inputs *inputs;
    int file;
    int64_t begin, end; /* of the records, in the file */
    int64_t low, high;  /* of this rank's block */
    char *text;         /* from low - 1 on */
    int64_t room;
    State state;    /* at low */
    int64_t before; /* lines before low */
} Block;

static bool read_at(const Block *block, int64_t at, char *into, int64_t bytes) {
    errno = 0;
    if (bytes == 0 || parts_read(block->file, at, into, (size_t)bytes) == bytes) return true;
    if (cancel_flag)
        return fault_set(block->table->fault, E_Cancelled, "cancelled while reading %s", block->table->path);
    return fault_set(block->table->fault, E_File, "cannot read %s: %s", block->table->path,
                     errno ? strerror(errno) : "it became shorter meanwhile");
}

/* The header alone becomes the table's text first, for its names. */
static bool read_header(Block *block, int64_t size) {
    Table *table = block->table;
    for (int64_t length = HEADER;; length *= 2) {
        if (length > size) length = size;
        char *text = inputs_alloc(block->inputs, (size_t)length + 1, table->fault);
        if (!text || !read_at(block, 0, text, length)) return false;
        int64_t mark = length >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
        State state = FIELD;
        int64_t end = record_end(text + mark, length - mark, &state);
        if (end < 0 && length < size) continue;
        table->text = text;
        table->length = end < 0 ? length : mark + end;
        text[table->length] = 0;
        block->begin = table->length;
        block->before = lines_of(text, table->length);
        return header_read(table);
    }
}

/* Blank lines at the end are no records, unless a record may be blank. */
static bool find_end(Block *block, int64_t size) {
    char tail[256];
    block->end = size;
    while (block->table->count > 1 && block->end > block->begin) {
        int64_t bytes = block->end - block->begin, at;
        if (bytes > (int64_t)sizeof tail) bytes = sizeof tail;
        if (!read_at(block, block->end - bytes, tail, bytes)) return false;
        for (at = bytes; at > 0 && (tail[at - 1] == '\n' || tail[at - 1] == '\r'); at--) block->end--;
        if (at > 0) break;
    }
    return true;
}

/* Reads the block, and finds the state in which it begins, and its first line's number. */
static bool read_block(Block *block) {
    Table *table = block->table;
    Ranks *ranks = table->ranks;
    int64_t bytes = block->end - block->begin;
    block->low = block->begin + block_begin(bytes, ranks->rank, ranks->ranks);
    block->high = block->begin + block_begin(bytes, ranks->rank + 1, ranks->ranks);
    bytes = block->high - block->low + 1;
    block->room = bytes + (block->end - block->high < CHUNK ? block->end - block->high : CHUNK);
    block->text = inputs_alloc(block->inputs, (size_t)block->room + 1, table->fault);
    int64_t *all = malloc(2 * (size_t)ranks->ranks * sizeof *all);
    bool ok = block->text && (all || fault_set(table->fault, E_OutOfMemory, "no memory for %s", table->path));
    ok = ok && read_at(block, block->low - 1, block->text, bytes);
    int64_t own[2] = {0};
    if (ok) own[0] = map_of(block->text + 1, bytes - 1);
    if (ok) own[1] = lines_of(block->text + 1, bytes - 1);
    ok = ok && ranks_gather(ranks, own, 2, all, table->fault);
    block->state = FIELD;
    for (int peer = 0; ok && peer < ranks->rank; peer++) {
        block->state = map_at((unsigned)all[2 * peer], block->state);
        block->before += all[2 * peer + 1];
    }
    free(all);
    return ok;
}

/* Reads on to the end of the record that the block ends in. length: of the text so far, which grows. */
static bool read_rest(Block *block, State state, int64_t *length) {
    for (int64_t at = block->high; at < block->end;) {
        int64_t bytes = block->end - at < CHUNK ? block->end - at : CHUNK;
        if (*length + bytes > block->room) {
            char *more =
                inputs_alloc(block->inputs, (size_t)block->room * 2 + CHUNK + 1, block->table->fault);
            if (!more) return false;
            memcpy(more, block->text, (size_t)*length);
            block->text = more;
            block->room = block->room * 2 + CHUNK;
        }
        if (!read_at(block, at, block->text + *length, bytes)) return false;
        int64_t stop = record_end(block->text + *length, bytes, &state);
        *length += stop < 0 ? bytes : stop;
        if (stop >= 0) break;
        at += bytes;
    }
    return true;
}

/* The records that begin in the block become the table's text. */
static bool take_records(Block *block) {
    Table *table = block->table;
    int64_t length = block->high - block->low + 1, first = 1;
    State state = block->state;
    if (length > 1 && !(state == FIELD && block->text[0] == '\n')) {
        int64_t stop = record_end(block->text + 1, length - 1, &state);
        first = stop < 0 ? length : 1 + stop;
    }
    if (first < length) {
        int64_t ends = first; /* of the last record that ends in the block */
        state = FIELD;
        for (int64_t stop; (stop = record_end(block->text + ends, length - ends, &state)) >= 0; state = FIELD)
            ends += stop;
        if (ends < length && !read_rest(block, state, &length)) return false;
    }
    table->line = block->before + lines_of(block->text + 1, first - 1);
    table->text = block->text + first;
    table->length = length - first;
    table->text[table->length] = 0;
    table->start = 0;
    return true;
}

bool table_read_block(Table *table, Inputs *inputs) {
    struct stat status;
    Block block = {.table = table, .inputs = inputs, .file = open(table->path, O_RDONLY | O_CLOEXEC)};
    bool ok = block.file >= 0 && fstat(block.file, &status) == 0;
    if (!ok) fault_set(table->fault, E_File, "cannot open %s: %s", table->path, strerror(errno));
    ok = ok && read_header(&block, status.st_size) && find_end(&block, status.st_size) &&
         read_block(&block) && take_records(&block);
    if (block.file >= 0) close(block.file);
    return ok;
}

/* ---- agreement ---- */

bool columns_agree(Table *table) {
    Ranks *ranks = table->ranks;
    int64_t shape[2] = {table->count, 0};
    Hash names = hash_start;
    for (int i = 0; i < table->count; i++)
        names = hash_two(names, table->columns[i].name, strlen(table->columns[i].name));
    memcpy(&shape[1], &names.low, sizeof shape[1]);
    size_t width = table->count > 2 ? (size_t)table->count : 2;
    int64_t *all = calloc(width * (size_t)(ranks->ranks + 1), sizeof *all);
    if (!all) return fault_set(table->fault, E_OutOfMemory, "no memory for the columns of %s", table->path);
    bool ok = ranks_gather(ranks, shape, 2, all, table->fault);
    if (ok && memcmp(all, shape, sizeof shape) != 0)
        ok = fault_set(table->fault, E_File, "%s has other columns than the table of rank 0", table->path);
    /* A rank whose table differs has failed, and does not get here. */
    int64_t *own = all + width * (size_t)ranks->ranks;
    for (int i = 0; i < table->count; i++) own[i] = table->columns[i].kinds;
    ok = ok && ranks_gather(ranks, own, table->count, all, table->fault);
    for (int64_t i = 0; ok && i < (int64_t)ranks->ranks * table->count; i++)
        table->columns[i % table->count].kinds |= (unsigned)all[i];
    free(all);
    return ok;
}
