/* checkpoint.c: states of iterates in files, and runs that go on from them.
 *
 *     weld.checkpoint.file model.ckpt         after a step, when it is time, the state goes into the file: parameters, what the
 *                                             optimizer keeps, the place in the data: all that the run has done so far
 *     weld.checkpoint.resume true             the run begins: an iterate that the file says is done gives its state at once, one
 *                                             that is not goes on from it, one that the file does not know begins anew
 *
 * A state comes back as it was, bit by bit, so the result is that of a run that was never stopped. Which iterates are
 * kept: lang/checkpoint.c. A file is replaced as a whole, so there is always one to go on from, but before the first.
 *
 * On a cluster, what every rank has of a state rank 0 writes. Of vectors in blocks each rank writes its own, into a file
 * of its own, FILE.GENERATION.RANK:
 *
 *     all ranks write FILE.8.r    ->   all have done so    ->   rank 0 replaces FILE, which says 8   ->   FILE.6.r go
 *
 * A crash at any moment leaves FILE with the blocks that belong to it: before the third step those of generation 7. When
 * a rank is at generation 8, all know that FILE says 7, so 6 can go. Where the ranks are others than those that wrote it, or a state
 * lies on them in another way, as a parameter server's does, its blocks are cut anew (checkpoint_cut.c).
 */
#include "checkpoint.h"
#include "cluster/cluster.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const Span nowhere = {0, 0, 0};

struct Checkpoint {
    Keeper keeper;
    const Options *options;
    int rank, ranks;
    CheckpointFile whole, blocks; /* what this rank knows to be in its files, or to go there next */
    int64_t steps;                /* since the last was written */
    double written_ms;
    int64_t generation, previous;          /* of files of blocks: the latest, and the one before; 0: none */
    int64_t found_generation, found_ranks; /* what the file said that the run goes on from */
};

/* ---- what must agree ---- */

/* Settings that may change what a program computes. */
static const char *const numeric[] = {"weld.optimization.level", "weld.optimization.passes",
                                      "weld.llvm.optimization.level"};

bool checkpoint_print(Unit *unit, weld_conf_t conf) {
    Buf text = {0};
    program_print(&text, unit->program, true);
    if (!text.failed) unit->checkpoint.program = hash_two(hash_start, text.text, text.length);
    bool interpreted = strcmp(conf_get(conf, "weld.engine"), "eval") == 0;
    Hash hash = hash_two(hash_start, (const char *)&interpreted, sizeof interpreted);
    for (size_t i = 0; i < sizeof numeric / sizeof *numeric; i++) {
        const char *value = conf_get(conf, numeric[i]);
        hash = hash_two(hash, value ? value : "", value ? strlen(value) : 0);
    }
    unit->checkpoint.settings = hash;
    bool ok = !text.failed;
    buf_release(&text);
    return ok;
}

static ErrorCode fails(Worker *worker, const Error *error) {
    if (worker->error.code == E_None) worker->error = *error;
    return worker->error.code;
}

static ErrorCode refuse(const Checkpoint *c, Worker *worker, Span span, const char *why) {
    error_set(&worker->error, E_File, span, "the checkpoint %s %s", c->options->checkpoint_file, why);
    return worker->error.code;
}

static ErrorCode no_memory(const Checkpoint *c, Worker *worker) {
    error_set(&worker->error, E_OutOfMemory, nowhere, "no memory for the checkpoint %s",
              c->options->checkpoint_file);
    return worker->error.code;
}

/* ---- what all ranks do together ---- */

static ErrorCode greatest(Worker *worker, int64_t own, int64_t *out) {
    static const Type number = {.kind = TY_i64, .size = 8, .align = 8};
    ExchangeCall call = {
        .kind = EXCHANGE_reduce, .op = OP_max, .type = &number, .operands = {&own}, .out = out};
    return exchange(worker, &call);
}

/* Bytes that rank 0 has; the others give none. */
static ErrorCode spread(Worker *worker, Vec own, Vec *all) {
    static Type byte = {.kind = TY_u8, .size = 1, .align = 1};
    static Type *element[] = {&byte};
    static const Type bytes = {
        .kind = TY_vec, .pointers = true, .count = 1, .args = element, .size = sizeof(Vec), .align = 8};
    ExchangeCall call = {.kind = EXCHANGE_gather, .type = &bytes, .operands = {&own}, .out = all};
    return exchange(worker, &call);
}

/* ---- parts of a state ---- */

/* The parts that all ranks have whole, or the others, go from one state to the other. Returns the next letter of the layout. */
static const char *copy_parts(const Type *type, const char *layout, bool whole, const char *from, char *to) {
    if (type->kind != TY_struct) {
        if ((*layout == 'w') == whole) memcpy(to, from, (size_t)type->size);
        return layout + 1;
    }
    for (int i = 0; i < type->count; i++)
        layout = copy_parts(type->args[i], layout, whole, from + type->offsets[i], to + type->offsets[i]);
    return layout;
}

/* Into entry: those parts of a state, the others empty. NULL layout: all. */
static bool put_state(KeptEntry *entry, const Type *type, const char *layout, bool whole, const void *state) {
    char *parts = layout ? calloc(1, (size_t)type->size + 1) : NULL;
    if (layout && !parts) return false;
    if (layout) copy_parts(type, layout, whole, state, parts);
    const void *value = layout ? parts : state;
    int64_t size = value_serialized_size(type, value);
    char *bytes = size < INT64_MAX ? malloc((size_t)size + 1) : NULL;
    if (bytes) value_serialize(type, value, bytes);
    free(parts);
    if (!bytes) return false;
    free(entry->bytes);
    entry->bytes = bytes;
    entry->size = size;
    return true;
}

static ErrorCode get_state(Worker *worker, const KeptState *kept, const KeptEntry *entry, bool whole,
                           void *state) {
    Vec bytes = {entry->bytes, entry->size};
    if (!kept->layout) return value_deserialize(worker, kept->span, kept->type, &bytes, state);
    void *parts = worker_alloc(worker, kept->type->size, kept->span);
    if (!parts) return E_OutOfMemory;
    ErrorCode code = value_deserialize(worker, kept->span, kept->type, &bytes, parts);
    if (code == E_None) copy_parts(kept->type, kept->layout, whole, parts, state);
    return code;
}

/* ---- going on ---- */

static CheckpointCut cut_of(const Checkpoint *c, const char *layout) {
    return (CheckpointCut){.path = c->options->checkpoint_file,
                           .key = c->whole.key,
                           .generation = c->found_generation,
                           .ranks = c->found_ranks,
                           .rank = c->rank,
                           .own_ranks = c->ranks,
                           .layout = layout};
}

/* Makes the entries of a state those that these ranks would have written. */
static ErrorCode cut_anew(Checkpoint *c, Worker *worker, const KeptState *kept, KeptEntry *whole) {
    Error error = {.code = E_None};
    CheckpointCut cut = cut_of(c, kept->layout ? kept->layout : "");
    KeptEntry *own = checkpoint_find(&c->blocks, kept->number);
    if (own) checkpoint_drop(&c->blocks, own);
    own = kept->layout ? checkpoint_entry(&c->blocks, kept->number, whole->type, kept->layout) : NULL;
    if (kept->layout && !own) return no_memory(c, worker);
    if (!checkpoint_cut(&cut, kept->type, whole, own, &error)) return fails(worker, &error);
    if (own) own->done = whole->done;
    return E_None;
}

static ErrorCode restore(void *data, Worker *worker, const KeptState *kept, void *state, int32_t *kind) {
    Checkpoint *c = data;
    KeptEntry *whole = checkpoint_find(&c->whole, kept->number);
    *kind = KEPT_NONE;
    if (!whole || !whole->bytes) return E_None;
    Buf type = {0};
    type_print(&type, kept->type);
    bool same = !type.failed && strcmp(type.text, whole->type) == 0;
    bool failed = type.failed;
    buf_release(&type);
    if (failed) return no_memory(c, worker);
    if (!same) return refuse(c, worker, kept->span, "has a state of another type for this iterate");
    bool lies_so = strcmp(kept->layout ? kept->layout : "", whole->layout) == 0;
    bool anew = !lies_so || (kept->layout && c->found_ranks != c->ranks);
    ErrorCode code = anew ? cut_anew(c, worker, kept, whole) : E_None;
    if (code == E_None) code = get_state(worker, kept, whole, true, state);
    if (code == E_None && kept->layout) {
        const KeptEntry *own = checkpoint_find(&c->blocks, kept->number);
        if (!own || strcmp(own->type, whole->type) != 0)
            return refuse(c, worker, kept->span, "lacks this rank's blocks of this iterate's state");
        code = get_state(worker, kept, own, false, state);
    }
    if (code == E_None) *kind = whole->done ? KEPT_DONE : KEPT_AMID;
    return code;
}

static bool block_path(const Checkpoint *c, int64_t generation, Buf *path) {
    return checkpoint_block_path(c->options->checkpoint_file, generation, c->rank, path);
}

static ErrorCode read_blocks(Checkpoint *c, Worker *worker) {
    Buf path = {0};
    Error error = {.code = E_None};
    CheckpointCut cut = cut_of(c, "");
    bool some = block_path(c, c->found_generation, &path);
    bool ok = some && checkpoint_read_blocks(&c->blocks, &cut, path.text, c->rank, &error);
    buf_release(&path);
    if (!some) return no_memory(c, worker);
    return ok ? E_None : fails(worker, &error);
}

static bool has_blocks(const CheckpointFile *file) {
    bool some = false;
    for (int i = 0; i < file->count; i++) some |= checkpoint_has_blocks(file->entries[i].layout);
    return some;
}

/* What all ranks got of the file. */
static ErrorCode take_file(Checkpoint *c, const CheckpointKey *key, Worker *worker, const Vec *bytes) {
    Error error = {.code = E_None};
    if (!bytes->length) return E_None;
    if (!checkpoint_parse(&c->whole, c->options->checkpoint_file, bytes->data, (size_t)bytes->length, &error))
        return fails(worker, &error);
    if (!hash_same(c->whole.key.program, key->program))
        return refuse(c, worker, nowhere, "is of another program");
    if (!hash_same(c->whole.key.settings, key->settings))
        return refuse(
            c, worker, nowhere,
            "was written under other settings of optimization or engine, which may round otherwise");
    c->found_generation = c->whole.generation;
    c->found_ranks = c->whole.ranks;
    return has_blocks(&c->whole) && c->found_ranks == c->ranks ? read_blocks(c, worker) : E_None;
}

/* Files of blocks of a generation go: this rank's, and of more ranks than there are now every so manyth. */
static void drop_blocks(const Checkpoint *c, int64_t generation, int ranks) {
    bool gone = generation > 0;
    for (int r = c->rank; gone; r += ranks) {
        Buf path = {0};
        gone = checkpoint_block_path(c->options->checkpoint_file, generation, r, &path) &&
               unlink(path.text) == 0;
        buf_release(&path);
    }
}

/* Rank 0 reads the file for all. Of one that is not gone on from only the generation counts. */
static ErrorCode open_file(Checkpoint *c, const Unit *unit, Worker *worker) {
    Error error = {.code = E_None};
    char *bytes = NULL;
    size_t size = 0;
    int64_t generation = 0;
    if (c->rank == 0 && !checkpoint_read(c->options->checkpoint_file, &bytes, &size, &error))
        return fails(worker, &error);
    if (bytes && !c->options->checkpoint_resume) {
        CheckpointFile old;
        Error ignored = {.code = E_None};
        if (checkpoint_parse(&old, "", bytes, size, &ignored)) generation = old.generation;
        checkpoint_release(&old);
        size = 0;
    }
    Vec all = {bytes, (int64_t)size};
    ErrorCode code = c->ranks > 1 ? spread(worker, all, &all) : E_None;
    if (code == E_None) code = greatest(worker, generation, &c->generation);
    if (code == E_None) code = take_file(c, &unit->checkpoint, worker, &all);
    if (c->whole.generation)
        c->generation = c->whole.generation; /* the next one's files stand beside these */
    if (c->generation > 1) c->previous = c->generation - 1;
    if (code == E_None)
        drop_blocks(c, c->generation - 2, c->ranks); /* what a rank that was killed has left */
    free(bytes);
    return code;
}

/* ---- writing ---- */

static bool is_late(void *data) {
    const Checkpoint *c = data;
    int64_t seconds = c->options->checkpoint_seconds;
    return seconds && rt_clock_ms() - c->written_ms >= (double)seconds * 1e3;
}

static bool is_due(void *data, int64_t steps) {
    const Options *options = ((const Checkpoint *)data)->options;
    return options->checkpoint_steps && steps % options->checkpoint_steps == 0;
}

/* Is it time? */
static ErrorCode find_due(Checkpoint *c, Worker *worker, bool blocks, bool done, bool *due) {
    const Options *options = c->options;
    int64_t late = is_late(c);
    bool steps = options->checkpoint_steps && c->steps >= options->checkpoint_steps;
    *due = done || steps || late;
    /* All ranks have the same steps, but clocks of their own. Without blocks it is rank 0 that writes. */
    if (!blocks || done || steps || !options->checkpoint_seconds) return E_None;
    ErrorCode code = greatest(worker, late, &late);
    *due = late != 0;
    return code;
}

static ErrorCode write_blocks(Checkpoint *c, Worker *worker) {
    Buf path = {0};
    Error error = {.code = E_None};
    int64_t next = c->generation + 1, all;
    c->blocks.generation = next;
    bool ok = block_path(c, next, &path);
    ErrorCode code = ok ? E_None : no_memory(c, worker);
    if (ok && !checkpoint_write(path.text, &c->blocks, &error)) code = fails(worker, &error);
    if (code == E_None) code = greatest(worker, next, &all); /* all have written theirs */
    if (code == E_None) drop_blocks(c, c->previous, c->ranks);
    c->previous = c->generation;
    c->generation = c->whole.generation = next;
    buf_release(&path);
    return code;
}

/* The iterate's entry in the file, with its state. */
static bool put_entry(CheckpointFile *file, const KeptState *kept, const char *type, bool done, bool whole,
                      const void *state) {
    KeptEntry *entry = checkpoint_entry(file, kept->number, type, kept->layout ? kept->layout : "");
    if (!entry) return false;
    entry->done = done;
    return put_state(entry, kept->type, kept->layout, whole, state);
}

/* States of which this rank has no blocks that these ranks could go on from, as the run did not come to them, begin anew. */
static void drop_unread(Checkpoint *c) {
    for (int i = c->whole.count - 1; i >= 0; i--) {
        KeptEntry *entry = &c->whole.entries[i];
        if (checkpoint_has_blocks(entry->layout) && !checkpoint_find(&c->blocks, entry->number))
            checkpoint_drop(&c->whole, entry);
    }
}

/* Rank 0 replaces the file. Blocks that it does not speak of any more go. */
static ErrorCode write_whole(Checkpoint *c, Worker *worker) {
    Error error = {.code = E_None};
    bool blocks = has_blocks(&c->whole);
    c->whole.generation = c->generation;
    if (!checkpoint_write(c->options->checkpoint_file, &c->whole, &error)) return fails(worker, &error);
    for (int64_t g = c->generation - 1; !blocks && g <= c->generation; g++) drop_blocks(c, g, 1);
    return E_None;
}

static ErrorCode write_state(Checkpoint *c, Worker *worker, const KeptState *kept, const void *state,
                             bool done) {
    Buf type = {0};
    type_print(&type, kept->type);
    bool ok = !type.failed;
    if (ok && c->rank == 0) ok = put_entry(&c->whole, kept, type.text, done, true, state);
    if (ok && kept->layout) ok = put_entry(&c->blocks, kept, type.text, done, false, state);
    buf_release(&type);
    if (!ok) return no_memory(c, worker);
    ErrorCode code = kept->layout ? write_blocks(c, worker) : E_None;
    return code == E_None && c->rank == 0 ? write_whole(c, worker) : code;
}

static ErrorCode write_now(void *data, Worker *worker, const KeptState *kept, const void *state, bool done) {
    Checkpoint *c = data;
    ErrorCode code = E_None;
    drop_unread(c);
    if (c->rank == 0 || kept->layout) code = write_state(c, worker, kept, state, done);
    c->steps = 0;
    c->written_ms = rt_clock_ms();
    return code;
}

static ErrorCode step(void *data, Worker *worker, const KeptState *kept, const void *state, bool again) {
    Checkpoint *c = data;
    bool due;
    c->steps++;
    drop_unread(c);
    ErrorCode code = find_due(c, worker, kept->layout != NULL, !again, &due);
    return code == E_None && due ? write_now(c, worker, kept, state, !again) : code;
}

/* ---- runs ---- */

ErrorCode checkpoint_begin(Checkpoint **checkpoint, const Unit *unit, const ClusterRun *cluster,
                           Worker *worker) {
    *checkpoint = NULL;
    if (!unit_keeps(unit)) return E_None;
    Checkpoint *c = calloc(1, sizeof *c);
    if (!c) return worker_fail(worker, E_OutOfMemory, nowhere, (int64_t)sizeof *c, 0);
    *checkpoint = c;
    c->keeper = (Keeper){restore, step, is_due, is_late, write_now, c};
    c->options = &unit->options;
    c->rank = cluster->engine ? cluster->engine->rank : 0;
    c->ranks = cluster->engine ? cluster->engine->ranks : 1;
    c->written_ms = rt_clock_ms();
    worker->keeper = &c->keeper;
    ErrorCode code = open_file(c, unit, worker);
    c->whole.key = c->blocks.key = unit->checkpoint;
    c->whole.rank = -1;
    c->blocks.rank = c->rank;
    c->whole.ranks = c->blocks.ranks = c->ranks;
    return code;
}

void checkpoint_end(Checkpoint *checkpoint) {
    if (!checkpoint) return;
    checkpoint_release(&checkpoint->whole);
    checkpoint_release(&checkpoint->blocks);
    free(checkpoint);
}
