/* parallel.c: loops on several threads.
 *
 * The iterations are cut into units, which the threads take one after the other from a counter. Each unit
 * merges into builders of its own, and these are merged into the loop's in the order of the units, so that
 * the threads' timing decides nothing:
 *
 *     for(v, appender, ...)    unit 0 -> [a b]   unit 1 -> []   unit 2 -> [c]    ->   [a b c]
 *     for(v, merger[+], ...)   unit 0 ->  3      unit 1 ->  0   unit 2 ->  4     ->   start + 3 + 0 + 4
 *
 * A merger's unit starts from the value x with y + x = y for every y (for floats -0.0, or for min and max a
 * NaN). An appender into which every iteration merges equally often has its room already: units write to
 * their places. Other appenders are put together while the loop runs (parallel_append.c). Units with dictionaries, or copies of a vecmerger's vector, are as many as threads, which
 * keeps those few; where no dictionary is built, units depend on the loop alone and so does the rounding of
 * its sums.
 *
 * compiled code -> body(state, worker, begin, end): the state is copied for each thread, with the pointers to
 * the builders at its front exchanged for each unit; the worker has a region on the run's budget, and no
 * team, so loops inside stay on their thread. Nothing that a unit does is seen before all have ended well. So
 * where memory gets short, the loop simply runs again on one thread, which needs the least.
 *
 * A unit that fails stops the others through Worker.stop, which running code polls beside the run's cancel
 * flag; of the failures that happened, the one of the first unit is reported.
 */
#include "rt.h"

#include <math.h>
#include <stdatomic.h>
#include <string.h>
#include <time.h>

enum { PARTS = 64, LINE = 64 };
enum { ENTRY_COST = 256 }; /* iterations that pay well for merging one */
enum { AFFORDABLE = 32 };  /* so many times as much is still worth it */
enum { DEALT_UNITS = 4 };  /* for each thread, where merges are dealt out */
enum { WORTHWHILE_NS = 50000, LARGE = 1 << 20 };

/* A builder of the loop's builders. */
typedef struct Part {
    const Type *type, *entry; /* entry: of its dictionary */
    EntryType room;
    void *state;            /* the loop's */
    int64_t at;             /* where a unit's record holds the unit's */
    int64_t exact;          /* merges of an iteration, room for which is there; or 0 */
    const Partitions *like; /* the first unit dealt its merges out so: others do from the start; or NULL */
    bool many;              /* the units' dictionaries together have so many keys that they deal merges out */
} Part;

typedef struct Member {
    Worker worker;
    void *state;
    uint32_t *direct; /* of its last unit's dictionary for part `direct_part`, for the next unit; or NULL */
    int direct_part;
    int64_t failed; /* unit, where code is not E_None */
    ErrorCode code;
} Member;

typedef struct Crew {
    Worker *outer;
    const Loop *loop;
    Part *parts;
    int nparts, threads;
    bool tables; /* a unit has dictionaries or vectors */
    bool alone;  /* one thread is better */
    bool merging;
    int64_t first, unit, units; /* iterations of the first unit, and of the others; units */
    bool trying;                /* how large the others are is known after the first */
    int64_t record;             /* bytes of a record */
    char *records;
    Member *members;
    void *memory;
    Outlet *outlet; /* of the appenders, or NULL */
    _Atomic int64_t next;
    _Atomic bool stopped;
} Crew;

/* ---- which loops ---- */

static bool has_lanes(const Type *type) {
    bool lanes = type->kind == TY_simd;
    for (int i = 0; i < type->count && !lanes; i++) lanes = has_lanes(type->args[i]);
    return lanes;
}

static int count_parts(const Type *builder) {
    if (builder->kind != TY_struct) return 1;
    int count = 0;
    for (int i = 0; i < builder->count && count <= PARTS; i++) count += count_parts(builder->args[i]);
    return count;
}

/* Lists the builders; returns false for one that must not be divided. */
static bool list_parts(Crew *crew, const Type *builder) {
    if (builder->kind == TY_struct) {
        for (int i = 0; i < builder->count; i++) {
            if (!list_parts(crew, builder->args[i])) return false;
        }
        return true;
    }
    Part *part = &crew->parts[crew->nparts];
    part->type = builder;
    part->state = ((void **)crew->loop->state)[crew->nparts];
    part->exact = builder->kind == TY_appender ? crew->loop->exact[crew->nparts] : 0;
    part->at = crew->record;
    crew->nparts++;
    int64_t bytes = builder->kind == TY_merger ? builder->args[0]->size : (int64_t)sizeof(Appender);
    crew->record += (bytes + LINE - 1) / LINE * LINE;
    if (builder->kind == TY_appender) return true;
    if (builder->kind != TY_merger) crew->tables = true;
    if (builder->kind == TY_dictmerger || builder->kind == TY_groupmerger) {
        part->entry = dict_entry_layout(builder, &part->room);
        return !has_lanes(builder->args[1]);
    }
    bool small = team_grain(crew->outer->team) || builder->kind == TY_merger ||
                 ((Appender *)part->state)->length <= crew->loop->count / 2;
    return small && !has_lanes(builder->args[0]);
}

static int64_t clamp(int64_t value, int64_t least, int64_t most) {
    return value < least ? least : value > most ? most : value;
}

static int64_t parts_of(int64_t count, int64_t size) {
    return count / size + (count % size != 0);
}

/* Cuts the loop into units. False: it is too short. */
static bool cut(Crew *crew) {
    int64_t count = crew->loop->count, least = crew->loop->least, grain = team_grain(crew->outer->team);
    if (count < (grain || least == 1 ? 2 : 4 * least)) return false;
    if (grain)
        crew->unit =
            clamp(grain, parts_of(count, crew->tables ? LOOP_MOST_TABLE_UNITS : LOOP_MOST_UNITS), count);
    else
        crew->unit = clamp(count / (crew->tables ? LOOP_TABLE_UNITS : LOOP_UNITS), least, LOOP_STRIP);
    crew->first = crew->unit;
    crew->trying = crew->tables && !grain;
    crew->units = crew->trying ? 1 : parts_of(count, crew->unit);
    if (crew->threads > crew->units && !crew->trying) crew->threads = (int)crew->units;
    return crew->trying || crew->units > 1;
}

static int64_t most_units(const Crew *crew) {
    int64_t tables = crew->threads > LOOP_TABLE_UNITS ? crew->threads : LOOP_TABLE_UNITS;
    return crew->trying ? 1 + tables : crew->units;
}

static void *record_of(const Crew *crew, int64_t unit, const Part *part) {
    return crew->records + unit * crew->record + part->at;
}

/* How many keys the whole loop may have, when its first merges made this many entries: about as many, or,
 * where most were new, as many as collide that rarely (of k keys, n merges hit a known one n * n / 2k times).
 */
static double expected_keys(double merges, double entries) {
    double known = merges - entries;
    if (entries < merges / 4) return entries;
    return known < 1 ? INFINITY : merges * merges / (2 * known);
}

/* Merges to it are dealt out where it has many keys, and so merging the units' does not fall to one thread. */
static bool is_dealt(const Part *part) {
    if (part->type->kind != TY_dictmerger) return false;
    const Type *key = part->type->args[0], *value = part->type->args[1];
    int width = key_width(key);
    bool flat = !key->pointers && !value->pointers && key->size + value->size <= PARTITION_RECORD / 2;
    return flat && !(width && width <= DIRECT_BITS);
}

/* Many units balance the threads, but every one costs merging its dictionaries. What the first unit found
 * says how many can be afforded. False: not even one for each thread. */
static bool cut_again(Crew *crew) {
    double rest = (double)(crew->loop->count - crew->first), units = LOOP_TABLE_UNITS;
    for (int i = 0; i < crew->nparts; i++) {
        Part *part = &crew->parts[i];
        const void *own = record_of(crew, 0, part);
        double cost = 0;
        if (part->entry) {
            const Dict *dict = *(Dict *const *)own;
            part->like = dict->partitions;
            double keys = fmin(expected_keys((double)crew->first, (double)dict->length), crew->first + rest);
            part->many = is_dealt(part) && (part->like || keys > (double)partition_threshold(crew->outer));
            cost = part->many ? rest / (DEALT_UNITS * crew->threads) : ENTRY_COST * keys;
        }
        if (part->type->kind == TY_vecmerger)
            cost = LOOP_ELEMENT_COST * (double)((const Appender *)own)->length;
        if (units * cost > rest) units = rest / cost;
    }
    bool pays = units * AFFORDABLE >= crew->threads;
    if (units < crew->threads) units = crew->threads;
    crew->unit = parts_of(crew->loop->count - crew->first, (int64_t)units);
    crew->units = 1 + parts_of(crew->loop->count - crew->first, crew->unit);
    crew->trying = false;
    return pays;
}

/* ---- a unit's builders ---- */

/* The value that changes no other: y + -0.0 is y, fmin(y, NaN) is y. */
static void start_value(const Type *type, Op op, void *out) {
    if (type->kind == TY_struct) {
        memset(out, 0, (size_t)type->size);
        for (int i = 0; i < type->count; i++) start_value(type->args[i], op, (char *)out + type->offsets[i]);
        return;
    }
    combine_identity(type, op, out);
    if (!type_is_float(type) || op == OP_mul) return;
    double value = op == OP_add ? -0.0 : NAN;
    if (type->kind == TY_f64)
        *(double *)out = value;
    else
        *(float *)out = (float)value;
}

static bool start_vector(Crew *crew, Worker *worker, const Part *part, Appender *out) {
    const Type *type = part->type->args[0];
    int64_t length = ((const Appender *)part->state)->length, bytes = length * type->size;
    char *data = region_grow(worker->region, NULL, bytes ? bytes : 1);
    if (!data) return worker_fail(worker, E_OutOfMemory, crew->loop->span, bytes, 0) == E_None;
    if (bytes) start_value(type, part->type->op, data);
    for (int64_t done = type->size; done < bytes; done *= 2)
        memcpy(data + done, data, (size_t)(done < bytes - done ? done : bytes - done));
    *out = (Appender){data, length, length};
    return true;
}

static Dict *start_dict(Crew *crew, Worker *worker, const Part *part) {
    Dict *dict = dict_new(worker, part->entry, crew->loop->span);
    const Partitions *like = part->like;
    if (dict) dict->many = part->many;
    if (dict && like) partition_begin(worker, dict, like->entry, like->drain, like->record, NULL, 0);
    return dict;
}

static bool start_part(Crew *crew, Worker *worker, const Part *part, int64_t begin, int64_t count,
                       void *out) {
    const Appender *given = part->state;
    int64_t size = part->type->args[0]->size;
    switch (part->type->kind) {
    case TY_merger: start_value(part->type->args[0], part->type->op, out); return true;
    case TY_vecmerger: return start_vector(crew, worker, part, out);
    case TY_appender:
        *(Appender *)out = (Appender){0};
        if (part->exact) {
            char *data = (char *)given->data + (given->length + begin * part->exact) * size;
            *(Appender *)out = (Appender){data, 0, count * part->exact};
        }
        return true;
    default: return (*(Dict **)out = start_dict(crew, worker, part)) != NULL;
    }
}

/* ---- the threads ---- */

static ErrorCode poll(Worker *worker) {
    bool stop =
        __atomic_load_n(worker->cancel, __ATOMIC_RELAXED) || __atomic_load_n(&worker->stop, __ATOMIC_RELAXED);
    return stop ? worker_fail(worker, E_Cancelled, (Span){0, 0, 0}, 0, 0) : E_None;
}

static ErrorCode loop_run_range(Worker *worker, const Loop *loop, void *state, int64_t begin, int64_t end) {
    while (begin < end) {
        int64_t next = end - begin < LOOP_STRIP ? end : begin + LOOP_STRIP;
        ErrorCode code = loop->body(state, worker, begin, next);
        if (code == E_None && next < end) code = poll(worker);
        if (code != E_None) return code;
        begin = next;
    }
    return E_None;
}

/* A member's own memory and copy of the state. */
static bool member_open(Crew *crew, Member *member) {
    int64_t size = crew->loop->size;
    member->worker.region = region_new(region_budget(crew->outer->region));
    char *state = member->worker.region ? region_alloc(member->worker.region, size + LINE) : NULL;
    if (!state) return false;
    state += (LINE - (uintptr_t)state % LINE) % LINE;
    memcpy(state, crew->loop->state, (size_t)size);
    member->state = state;
    return true;
}

/* To clear a table of all small keys for each unit would cost more than many a unit. */
static void keep_direct(Crew *crew, Member *member, int64_t unit) {
    for (int i = 0; i < crew->nparts && !member->direct; i++) {
        const Part *part = &crew->parts[i];
        if (part->type->kind != TY_dictmerger) continue;
        member->direct = dict_take_direct(*(Dict **)record_of(crew, unit, part), part->entry);
        member->direct_part = i;
    }
}

static void reuse_direct(Member *member, int part, Dict *dict) {
    if (!member->direct || member->direct_part != part) return;
    dict->direct = member->direct;
    member->direct = NULL;
}

static ErrorCode unit_run(Crew *crew, Member *member, int64_t unit) {
    Worker *worker = &member->worker;
    int64_t begin = unit ? crew->first + (unit - 1) * crew->unit : 0, left = crew->loop->count - begin;
    int64_t length = unit ? crew->unit : crew->first, count = left < length ? left : length;
    for (int i = 0; i < crew->nparts; i++) {
        void *own = record_of(crew, unit, &crew->parts[i]);
        if (!start_part(crew, worker, &crew->parts[i], begin, count, own)) return E_OutOfMemory;
        ((void **)member->state)[i] = own;
        if (crew->parts[i].type->kind == TY_dictmerger) reuse_direct(member, i, *(Dict **)own);
    }
    int number = (int)(member - crew->members);
    if (crew->outlet && !outlet_start(crew->outlet, unit, number, crew->records + unit * crew->record))
        return worker_fail(worker, E_Cancelled, (Span){0, 0, 0}, 0, 0);
    ErrorCode code = loop_run_range(worker, crew->loop, member->state, begin, begin + count);
    if (code == E_None && crew->outlet && !outlet_end(crew->outlet, unit)) code = E_OutOfMemory;
    if (code == E_None) keep_direct(crew, member, unit);
    return code;
}

static void member_fail(Crew *crew, Member *member, int64_t unit, ErrorCode code) {
    member->failed = unit;
    member->code = code;
    atomic_store(&crew->stopped, true);
    if (crew->outlet) outlet_fail(crew->outlet);
    for (int i = 0; i < crew->threads; i++)
        __atomic_store_n(&crew->members[i].worker.stop, 1, __ATOMIC_RELAXED);
}

/* Runs the next unit. False: there is none for this member. */
static bool member_step(Crew *crew, Member *member) {
    if (atomic_load(&crew->stopped)) return false;
    int64_t unit = atomic_fetch_add(&crew->next, 1);
    if (unit >= crew->units) return false;
    ErrorCode code = __atomic_load_n(crew->outer->cancel, __ATOMIC_RELAXED)
                         ? worker_fail(&member->worker, E_Cancelled, (Span){0, 0, 0}, 0, 0)
                         : unit_run(crew, member, unit);
    if (code != E_None) member_fail(crew, member, unit, code);
    return code == E_None;
}

static void help(void *data, int number) {
    Crew *crew = data;
    if (number >= crew->threads || !member_open(crew, &crew->members[number])) return;
    while (member_step(crew, &crew->members[number])) continue;
}

static int64_t now_ns(void) {
    struct timespec now;
    clock_gettime(CLOCK_MONOTONIC, &now);
    return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* The first member asks for help as soon as what it has done shows that the rest is worth it. */
static void work(Crew *crew) {
    Member *member = &crew->members[0];
    if (!member_open(crew, member)) {
        member_fail(crew, member, 0, E_OutOfMemory);
        return;
    }
    int64_t start = now_ns(), done = 0;
    bool asked = team_grain(crew->outer->team);
    if (asked) team_begin(crew->outer->team, help, crew);
    while (member_step(crew, member)) {
        crew->alone = crew->trying && !cut_again(crew);
        if (crew->alone) break;
        if (asked) continue;
        done += done ? crew->unit : crew->first;
        double each = (double)(now_ns() - start) / (double)done;
        asked = each * (double)(crew->loop->count - done) > WORTHWHILE_NS;
        if (asked) team_begin(crew->outer->team, help, crew);
    }
    if (asked) team_end(crew->outer->team);
}

/* ---- merging the units' builders, one part after the other ---- */

typedef struct Merging {
    Crew *crew;
    const Part *part;
    int64_t step, steps; /* elements of a step */
    _Atomic int64_t next;
} Merging;

static void combine_array(const Type *type, Op op, char *into, const char *from, int64_t count) {
#define ADD(kind_, ctype)                                                         \
    if (type->kind == kind_ && op == OP_add) {                                    \
        for (int64_t i = 0; i < count; i++)                                       \
            ((ctype *)(void *)into)[i] += ((const ctype *)(const void *)from)[i]; \
        return;                                                                   \
    }
    ADD(TY_f64, double)
    ADD(TY_f32, float)
    ADD(TY_i64, uint64_t)
    ADD(TY_i32, uint32_t)
#undef ADD
    for (int64_t i = 0; i < count; i++) combine(type, op, into + i * type->size, from + i * type->size);
}

static void merge_vectors(void *data, int number) {
    (void)number;
    Merging *merging = data;
    const Part *part = merging->part;
    const Type *type = part->type->args[0];
    Appender *into = part->state;
    for (int64_t at; (at = atomic_fetch_add(&merging->next, 1)) < merging->steps;) {
        int64_t first = at * merging->step, left = into->length - first;
        int64_t count = left < merging->step ? left : merging->step;
        for (int64_t unit = 0; unit < merging->crew->units; unit++) {
            const Appender *from = record_of(merging->crew, unit, part);
            combine_array(type, part->type->op, (char *)into->data + first * type->size,
                          (const char *)from->data + first * type->size, count);
        }
    }
}

/* capacity of a unit's appender: where its values go. */
static void copy_units(void *data, int number) {
    (void)number;
    Merging *merging = data;
    const Part *part = merging->part;
    int64_t size = part->type->args[0]->size;
    char *into = ((Appender *)part->state)->data;
    for (int64_t unit; (unit = atomic_fetch_add(&merging->next, 1)) < merging->steps;) {
        const Appender *from = record_of(merging->crew, unit, part);
        if (from->length) memcpy(into + from->capacity * size, from->data, (size_t)(from->length * size));
    }
}

static bool join_appenders(Crew *crew, const Part *part) {
    Appender *into = part->state;
    if (part->exact) {
        into->length += crew->loop->count * part->exact;
        return true;
    }
    Region *region = crew->outer->region;
    int64_t size = part->type->args[0]->size, total = into->length, bytes;
    for (int64_t unit = 0; unit < crew->units; unit++) {
        Appender *from = record_of(crew, unit, part);
        from->capacity = total;
        total += from->length;
    }
    if (total > into->capacity && total > into->length) {
        if (__builtin_mul_overflow(total, size, &bytes)) bytes = INT64_MAX;
        char *data = region_grow(region, into->capacity ? into->data : NULL, bytes ? bytes : 1);
        if (!data)
            return worker_fail(crew->outer, E_OutOfMemory, crew->loop->span, bytes,
                               budget_limit(region_budget(region))) == E_None;
        if (!into->capacity && into->length) memcpy(data, into->data, (size_t)(into->length * size));
        into->data = data;
        into->capacity = total;
    }
    Merging merging = {.crew = crew, .part = part, .steps = crew->units};
    team_run((total - into->length) * size > LARGE ? crew->outer->team : NULL, copy_units, &merging);
    into->length = total;
    return true;
}

static void free_blocks(Crew *crew, const Part *part) {
    for (int64_t unit = 0; unit < crew->units && !part->exact; unit++)
        region_grow(crew->outer->region, ((Appender *)record_of(crew, unit, part))->data, 0);
}

/* The dictionaries of a dictmerger, by partitions where a unit has some. */
static bool join_dicts(Crew *crew, const Part *part) {
    Worker *worker = crew->outer;
    Dict *dict = *(Dict **)part->state;
    bool parted = false, ok = true;
    for (int64_t unit = 0; unit < crew->units; unit++)
        parted = parted || (*(Dict **)record_of(crew, unit, part))->partitions;
    if (!parted) {
        for (int64_t unit = 0; ok && unit < crew->units; unit++) {
            Dict *from = *(Dict **)record_of(crew, unit, part);
            ok = dict_absorb(worker, dict, from, part->entry, part->type->op, crew->loop->span);
        }
        return ok;
    }
    Dict **from = region_grow(worker->region, NULL, (crew->units + 1) * (int64_t)sizeof *from);
    if (!from) return worker_fail(worker, E_OutOfMemory, crew->loop->span, 0, 0) == E_None;
    from[0] = dict;
    for (int64_t unit = 0; unit < crew->units; unit++) from[unit + 1] = *(Dict **)record_of(crew, unit, part);
    ok = gather_all(worker, from, crew->units + 1, part->entry, part->type->op, crew->loop->span);
    region_grow(worker->region, from, 0);
    return ok;
}

static bool join_part(Crew *crew, const Part *part) {
    Worker *worker = crew->outer;
    const Type *type = part->type;
    bool ok = true;
    if (type->kind == TY_appender) {
        ok = (crew->outlet && !part->exact) || join_appenders(crew, part);
        free_blocks(crew, part);
    } else if (type->kind == TY_vecmerger) {
        enum { STEP = 4096 };
        int64_t length = ((Appender *)part->state)->length;
        Merging merging = {.crew = crew, .part = part, .step = STEP, .steps = parts_of(length, STEP)};
        team_run(length * crew->units * type->args[0]->size > LARGE ? worker->team : NULL, merge_vectors,
                 &merging);
        free_blocks(crew, part);
    } else if (type->kind == TY_dictmerger) {
        ok = join_dicts(crew, part);
    } else {
        for (int64_t unit = 0; ok && unit < crew->units; unit++) {
            void *from = record_of(crew, unit, part);
            Dict *dict = *(Dict **)part->state;
            if (type->kind == TY_merger)
                combine(type->args[0], type->op, part->state, from);
            else
                ok = group_absorb(worker, dict, *(Dict **)from, part->entry, crew->loop->span);
        }
    }
    return ok;
}

/* Values with pointers may reach what the members allocated; else only the builders' own blocks are needed.
 */
static bool keeps_pointers(const Crew *crew) {
    for (int i = 0; i < crew->nparts; i++) {
        const Type *type = crew->parts[i].type;
        for (int k = 0; k < type->count; k++) {
            if (type->args[k]->pointers) return true;
        }
    }
    return false;
}

static ErrorCode join(Crew *crew) {
    bool all = keeps_pointers(crew), ok = true;
    for (int i = 0; i < crew->threads; i++) {
        Region *region = crew->members[i].worker.region;
        if (!region) continue;
        crew->members[i].direct = region_grow(region, crew->members[i].direct, 0);
        region_adopt(crew->outer->region, region, all);
    }
    crew->merging = true;
    if (crew->outlet) outlet_finish(crew->outlet, crew->threads);
    for (int i = 0; ok && i < crew->nparts; i++) ok = join_part(crew, &crew->parts[i]);
    return ok ? E_None : E_OutOfMemory;
}

/* ---- the whole ---- */

/* The failure of the first unit; one that was only stopped counts last. */
static const Member *first_failure(const Crew *crew) {
    const Member *first = NULL;
    for (int i = 0; i < crew->threads; i++) {
        const Member *member = &crew->members[i];
        if (member->code == E_None) continue;
        bool stopped = member->code == E_Cancelled;
        bool better = !first || (first->code == E_Cancelled ? !stopped || member->failed < first->failed
                                                            : !stopped && member->failed < first->failed);
        if (better) first = member;
    }
    return first;
}

/* Where a unit has tables their number is not known, and joining its appenders is the least of the costs. */
static bool open_outlet(Crew *crew) {
    int appenders = 0;
    for (int i = 0; i < crew->nparts; i++)
        appenders += crew->parts[i].type->kind == TY_appender && !crew->parts[i].exact;
    if (!appenders || crew->tables) return true;
    crew->outlet = outlet_new(crew->outer, crew->loop->span, crew->units, crew->threads, appenders);
    for (int i = 0; crew->outlet && i < crew->nparts; i++) {
        const Part *part = &crew->parts[i];
        if (part->type->kind == TY_appender && !part->exact)
            outlet_add(crew->outlet, part->state, part->type->args[0]->size, part->at);
    }
    return crew->outlet;
}

/* Takes the memory for everything that is the same for all threads. */
static bool crew_open(Crew *crew) {
    int64_t parts = count_parts(crew->loop->builder);
    if (parts > PARTS || !parts) return false;
    int64_t before = (parts * (int64_t)sizeof(Part) + LINE - 1) / LINE * LINE;
    crew->memory = region_grow(crew->outer->region, NULL, before);
    if (!crew->memory) return false;
    crew->parts = crew->memory;
    memset(crew->parts, 0, (size_t)before);
    if (!list_parts(crew, crew->loop->builder) || !cut(crew)) return false;
    int64_t members = (crew->threads * (int64_t)sizeof(Member) + LINE - 1) / LINE * LINE;
    crew->members = region_grow(crew->outer->region, NULL, members + most_units(crew) * crew->record);
    if (!crew->members) return false;
    memset(crew->members, 0, (size_t)members);
    crew->records = (char *)crew->members + members;
    for (int i = 0; i < crew->threads; i++)
        crew->members[i].worker = (Worker){.cancel = crew->outer->cancel,
                                           .host = crew->outer->host,
                                           .grain = crew->outer->grain,
                                           .room = crew->outer->room,
                                           .shares = true};
    return open_outlet(crew);
}

static void crew_close(Crew *crew) {
    for (int i = 0; crew->members && i < crew->threads; i++) region_free(crew->members[i].worker.region);
    outlet_free(crew->outlet);
    region_grow(crew->outer->region, crew->members, 0);
    region_grow(crew->outer->region, crew->memory, 0);
}

/* False: one thread must do it. */
static bool run_parallel(Worker *worker, const Loop *loop, ErrorCode *code) {
    Crew crew = {.outer = worker, .loop = loop, .threads = team_threads(worker->team)};
    bool ran = crew_open(&crew);
    if (ran) {
        work(&crew);
        const Member *failure = first_failure(&crew);
        *code = failure ? failure->code : crew.alone ? E_None : join(&crew);
        ran = crew.merging || (*code != E_OutOfMemory && !crew.alone);
        if (failure && ran && worker->error.code == E_None) worker->error = failure->worker.error;
    }
    crew_close(&crew);
    return ran;
}

/* On one thread. What the first strip appends tells what the others will. */
static ErrorCode loop_run_alone(Worker *worker, const Loop *loop) {
    int64_t lengths[PARTS], first = loop->count / 4 < LOOP_STRIP ? 0 : LOOP_STRIP;
    if (!loop->builder || count_parts(loop->builder) > PARTS) first = 0;
    if (first) {
        appenders_foresee(worker, loop, loop->builder, 0, lengths, 0);
        ErrorCode code = loop_run_range(worker, loop, loop->state, 0, first);
        if (code == E_None) code = poll(worker);
        if (code != E_None) return code;
        appenders_foresee(worker, loop, loop->builder, 0, lengths, first);
    }
    return loop_run_range(worker, loop, loop->state, first, loop->count);
}

ErrorCode loop_run(Worker *worker, const Loop *loop) {
    ErrorCode code = E_None;
    if (worker->team && loop->builder && run_parallel(worker, loop, &code)) return code;
    return loop_run_alone(worker, loop);
}
