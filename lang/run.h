/* run.h: what a running program has: its memory, what it holds on to, and operations on values by type, for the interpreter,
 * compiled code and the runtime alike. A part of lang.h, which includes it behind what a program is. */
#ifndef RUN_H
#define RUN_H

#include <pthread.h>

/* ---- budget.c: how much memory a context has ------------------------------------------------------------- */

enum { BUDGET_BINS = 360 };
static const int64_t BUDGET_MOST = (int64_t)1 << 47; /* bytes of a block */

/* Where regions get their blocks, and what all regions of a context may have together. `take` returns NULL
 * when the limit or the machine's memory is reached. */
typedef struct Budget {
    void *(*take)(void *data, size_t bytes); /* 64-aligned */
    void (*give)(void *data, void *block, size_t bytes);
    /* Makes a block larger or smaller where that copies little of it. Returns where it is then; NULL: it is
     * as it was. The pointer may be NULL, too. */
    void *(*resize)(void *data, void *block, size_t bytes, size_t wanted);
    size_t resizes_from;      /* what is smaller it need not be asked about */
    bool (*lays)(void *data); /* may blocks lie in one range of addresses? NULL: no */
    void *data;
    _Atomic int64_t live, peak;
    _Atomic int64_t allocations; /* how often `take` was called, or `resize` to grow */
    int64_t limit;               /* bytes; 0: none; LIMIT_UNASKED: */
    int64_t (*ask)(void *data);  /* tells the limit when so much is taken; several threads may ask */
    bool apart;              /* regions give small things, too, blocks of their own, which go one by one */
    bool open;               /* a run is open, which keeps spares: */
    _Atomic int64_t held;    /* live, and spare: what the budget has; `peak` is the most of it */
    _Atomic int64_t crest;   /* the most that was wanted at once in this run */
    _Atomic int64_t waste;   /* of what is live, what was not wanted */
    pthread_mutex_t lock;    /* of what follows */
    int64_t spare;           /* the bytes of all, and of what is free in the heap */
    void *bins[BUDGET_BINS]; /* by size */
    int misfits;             /* how often spares went in this run */
    struct Heap *heap;       /* where they went often, or NULL */
} Budget;
enum { LIMIT_UNASKED = (64 << 20) + 1 };
void budget_init(Budget *budget,
                 int64_t limit);      /* on the C library's heap; runtime/ sets its own take, give */
int64_t budget_limit(Budget *budget); /* asks for one that was not asked for yet */
void *budget_take(Budget *budget, size_t bytes); /* counted against the limit; NULL: over it */
void budget_give(Budget *budget, void *block, size_t bytes);
void *budget_resize(Budget *budget, void *block, size_t bytes, size_t wanted); /* NULL: it is as it was */

/* Memory that comes from elsewhere is counted, until as much is discharged. False: it would be over the limit. */
bool budget_charge(Budget *budget, int64_t bytes);
void budget_discharge(Budget *budget, int64_t bytes);

/* A block of at least so many bytes, *size: a spare may be larger. `waste` is what it is larger than was wanted. */
void *budget_take_about(Budget *budget, size_t bytes, size_t *size);
void budget_give_about(Budget *budget, void *block, size_t bytes, size_t waste);

/* Between the two, blocks that are given are kept for those that take as many bytes, as long as live and kept ones together
 * are no more than the most that was wanted at once and an allowance. One run at a time; its threads may take and give. */
void budget_open(Budget *budget);
void budget_close(Budget *budget);
int64_t budget_allowance(int64_t bytes);

/* ---- region.c: the memory of a run ------------------------------------------------------------------- */

/* A region holds what a run allocates: small things in chunks, large ones in blocks of their own, 64-aligned.
 * Builders that still grow have separate blocks, so that resetting a region to a mark keeps them. */
typedef struct Region Region;
typedef struct RegionMark {
    void *chunk, *block;
    char *next;
} RegionMark;
Region *region_new(Budget *budget); /* NULL: no memory */
void region_free(Region *region);   /* with all that it holds; takes NULL */
/* Do small things get blocks of their own, too: in this region from now on, and in those that are made of its budget later? */
void region_set_apart(Region *region, bool apart);
void *region_alloc(Region *region, int64_t bytes); /* NULL: no memory, or bytes out of range */
RegionMark region_mark(const Region *region);
void region_reset(Region *region, RegionMark mark); /* frees what was allocated since, builders excepted */
/* Frees an allocation of so many bytes, or a settled builder's block, that is younger than all marks in use; what is
 * small stays until its chunk goes. */
void region_release(Region *region, void *data, int64_t bytes);
/* Frees what was allocated since mark and is not reachable from the value at root. */
void region_sweep(Region *region, RegionMark mark, const Type *type, const void *root);
/* The same after each step of an iterate. Appenders that every step hands on, or merges into, only grow: what sweeps found that
 * their elements reach stays until the last step, and is not looked at again. */
enum { MOST_GROWING = 4 };
typedef struct RegionSteps {
    RegionMark mark; /* moves on as more stays */
    void *chunk;     /* the newest one, if it stays */
    int64_t count;
    struct {
        int64_t offset, seen; /* of an appender's pointer in the state; elements */
    } growing[MOST_GROWING];
} RegionSteps;
void region_sweep_step(Region *region, RegionSteps *steps, const Type *type, const void *root);
/* What lies in blocks of its own, is younger than the clock and is reachable from the value, but not from the roots, becomes
 * the youngest; the mark that is returned is older than that. Where there is no memory to find out, nothing moves. */
typedef struct RegionRoot {
    const Type *type;
    const void *value;
} RegionRoot;
int64_t region_clock(const Region *region);
RegionMark region_renew(Region *region, int64_t clock, const Type *type, const void *value,
                        const RegionRoot *roots, int64_t count);
/* The same at the end of a run; if the region was empty at the mark, builders' blocks are freed as well. */
void region_finish(Region *region, RegionMark mark, const Type *type, const void *root);
bool region_owns(const Region *region, const void *pointer);
bool region_since(const Region *region, RegionMark mark,
                  const void *pointer); /* was it allocated since mark */
/* From now on nothing is given back before region_free: others may still read or write what the region holds. */
void region_hold(Region *region);
Budget *region_budget(const Region *region);
int64_t region_bytes(const Region *region);
enum { REGION_HEADER = 64 }; /* bytes that it needs for itself with each block */
/* Growing blocks of builders. bytes 0 frees. Contents are kept up to the lesser size. */
void *region_grow(Region *region, void *block, int64_t bytes);
/* A builder's block becomes an ordinary allocation of `bytes` bytes; returns where it lies now, NULL: no
 * memory. */
void *region_settle(Region *region, void *block, int64_t bytes);
/* Moves what `other` holds into region, both of one budget: the builders' blocks or, with all, everything. */
void region_adopt(Region *region, Region *other, bool all);

/* ---- worker.c: what a running program holds on to ------------------------------------------------------ */

/* Foreign calls, which need more than the C library, come through the host. */
typedef struct Worker Worker;
typedef struct Host {
    void *(*symbol)(void *data, const char *name); /* a C function, NULL: unknown, or foreign code is off */
    /* Calls f(void *, ...); status: NULL, then it returns nothing, or room for the int that it returns. */
    bool (*call)(void *data, void *function, int count, void **arguments, int32_t *status);
    /* Calls R f(A, ...) of scalars of these types; arguments and result point to them. */
    bool (*call_value)(void *data, void *function, int count, const TypeKind *types, void **arguments,
                       TypeKind type, void *result);
    void *data;
} Host;

/* One exchange of the ranks of a cluster, as a program comes to it. */
typedef struct ExchangeCall {
    ExchangeKind kind;
    Op op;
    const Type
        *type; /* exchange_type; of the first operand, too, but for a pick, a window, a find and a spread */
    const void *
        operands[2]; /* the second: of a part or an align only the length counts, whatever its elements are */
    void *out;       /* room for the result, which may point into the operands and the worker's region */
    Span span;
} ExchangeCall;
typedef struct Exchanger {
    ErrorCode (*run)(void *data, Worker *worker, const ExchangeCall *call);
    void (*stop)(void *data, Worker *worker); /* or NULL; see exchange_stop */
    void *data;
} Exchanger;

/* The state of an iterate that checkpoints keep, as a run comes to it. */
typedef struct KeptState {
    int64_t number; /* of the iterate, from 1 on */
    const Type *type;
    const char *
        layout; /* a letter for each part that is no struct, in order: b, this rank has its block of it; e, the same, and
                           it is cut evenly; w, all ranks have the whole. NULL: the whole of all */
    Span span;
} KeptState;
enum KeptKind { KEPT_NONE, KEPT_AMID, KEPT_DONE };
typedef struct Keeper {
    /* The state, in the worker's region, that a run goes on from, and an enum KeptKind; KEPT_NONE: the iterate begins
     * anew. */
    ErrorCode (*restore)(void *data, Worker *worker, const KeptState *kept, void *state, int32_t *kind);
    /* After each step. */
    ErrorCode (*step)(void *data, Worker *worker, const KeptState *kept, const void *state, bool again);
    /* A parameter server, whose ranks are at different steps, calls these instead of step. Is the state after so many steps of the
     * run to be written, as every rank knows by itself? Is one, by this rank's clock? */
    bool (*is_due)(void *data, int64_t steps);
    bool (*is_late)(void *data);
    /* On all ranks, after the same step; the state counts on rank 0. */
    ErrorCode (*write)(void *data, Worker *worker, const KeptState *kept, const void *state, bool done);
    void *data;
} Keeper;

/* One per thread of a run. Compiled code reads `cancel` and `stop` and passes the worker on. */
struct Worker {
    const volatile int32_t *cancel; /* becomes non-zero when the run shall stop; never NULL */
    volatile int32_t stop;          /* becomes non-zero when the loop that it works on shall stop */
    Region *region;
    const Host *host;           /* or NULL: no foreign code */
    const Exchanger *exchanger; /* or NULL: it runs alone */
    const Keeper *keeper;       /* or NULL: there are no checkpoints */
    Error error;                /* the first failure */
    struct Team *team;          /* the threads that it may use, or NULL: none but its own */
    int64_t grain;              /* weld.grain: not 0 makes what is for much data happen with little */
    int64_t room;               /* bytes that memory_room() gives */
    struct Stopwatch *watch;    /* or NULL: nobody asks how long fragments take */
    bool shares;                /* it is one of several that run a loop */
    int64_t
        steps; /* of the interpreter so far: iterations, and nodes evaluated that are no names and constants */
};

/* Reports a failure with the message of errors.def. Returns the code, so that `return worker_fail(...)`. */
ErrorCode worker_fail(Worker *worker, ErrorCode code, Span span, int64_t a, int64_t b);
/* The same of an assertion with a message, in which each {} stands for the next of the numbers. */
enum { MOST_ASSERTED = 3 };
ErrorCode worker_fail_assert(Worker *worker, Span span, const char *text, int64_t length,
                             const int64_t numbers[MOST_ASSERTED]);
/* region_alloc that reports OutOfMemory. */
void *worker_alloc(Worker *worker, int64_t bytes, Span span);

/* ---- value.c, scalar.c, serialize.c, value_print.c: operations on values in memory, by type ------------ */

/* What a builder's pointer points to: for an appender and a vecmerger an Appender, for a merger its value,
 * for a dictmerger and a groupmerger a Dict *. */
typedef struct Appender {
    void *data;
    int64_t length, capacity; /* capacity 0: data is no builder's block: empty, settled, or a vecmerger's */
} Appender;

/* Lexicographic, IEEE on floats: -1 less, 0 equal, 1 greater, 2 unordered (a NaN decides). */
int value_compare(const Type *type, const void *a, const void *b);
int value_order(const Type *type, const void *a, const void *b); /* a total order: NaN last, for printing */
bool key_equal(const Type *type, const void *a, const void *b);  /* as keys: NaN is NaN, -0.0 is 0.0 */
/* Compiled code computes the same hash inline. A scalar, or a struct of scalars (nested or not) whose bits
 * add up to at most 64, is packed into one word, the first field lowest (a bool takes 8 bits):
 * hash_u64(word). Any other struct folds its fields: h = 0, then h = hash_u64(h ^ key_hash(field)) for each.
 * A vector: hash_bytes of an i8 or u8 vector; else h = hash_u64(length), then the same folding over its
 * elements. */
uint64_t key_hash(const Type *type, const void *key);
int key_width(const Type *type); /* bits of that one word; 0: the key does not fit */
uint64_t key_word(const Type *type, const void *key);
#define HASH_SEED 0x8a5cd789635d2dffu
#define HASH_FACTOR 0x9E3779B97F4A7C15u
uint64_t hash_u64(uint64_t bits);                /* x = (bits ^ HASH_SEED) * HASH_FACTOR; x ^ x >> 32 */
uint64_t hash_mix(uint64_t hash, uint64_t next); /* hash_u64((hash << 5 | hash >> 59) ^ next) */
uint64_t hash_bytes(const void *bytes, int64_t length);
uint64_t key_bits(const Type *scalar, const void *key); /* zero-extended; NaN and -0.0 canonical */
/* Applies a scalar operator. False: division by zero. Operands and result may alias. */
bool scalar_binary(Op op, const Type *type, const void *a, const void *b, void *out);
bool scalar_compare(Op op, const Type *type, const void *a, const void *b);
void scalar_unary(Op op, const Type *type, const void *a, void *out);
void scalar_cast(const Type *from, const void *a, const Type *to, void *out);
/* The identity of a builder's operator, and a (op)= b; for scalars and structs of scalars. */
void combine_identity(const Type *type, Op op, void *out);
void combine(const Type *type, Op op, void *into, const void *value);
/* Serialized form: docs/language.md describes it. */
int64_t value_serialized_size(const Type *type, const void *value);
void value_serialize(const Type *type, const void *value, char *out);
ErrorCode value_deserialize(Worker *worker, Span span, const Type *type, const Vec *bytes, void *out);
/* Moves *at behind the value that lies there serialized. False: it is cut off. */
bool value_serialized_skip(const Type *type, const char **at, const char *end);
/* Copies a value with everything it points to into the region. */
bool value_copy(Worker *worker, const Type *type, const void *value, void *out);
int64_t value_bytes(const Type *type, const void *value); /* of memory that it reaches */
void value_print(Buf *out, const Type *type,
                 const void *value); /* as a literal of the language; a dict as [{k, v}, ..] */
void value_print_json(Buf *out, const Type *type, const void *value);
void number_print_json(Buf *out, const Type *scalar, const void *value); /* one scalar; shortest digits */

/* ---- dict.c: dictionaries and group builders ----------------------------------------------------------- */

/* Entries lie densely in the order of their first insertion, as the C struct {K, V}; the index is a power of
 * two of slots, each 0 or (tag << 32 | entry + 1), found by linear probing from (hash >> shift) & mask, where
 * tag is the hash's lower half. Compiled code inlines the probe: this layout is part of its contract. At most a
 * quarter of the slots are used, because a step that a processor does not foresee costs more than memory. */
enum { DICT_SPARSE = 4 };
typedef struct Dict {
    int64_t length, capacity; /* of entries */
    uint64_t mask, shift;     /* slots - 1; where the slot's bits begin in a hash: they are its highest */
    uint32_t *direct;         /* of a builder: by keys that are small words, entry + 1 or 0; or NULL */
    uint64_t *index;          /* or NULL: it has a table, or is neither searched nor grows */
    struct TableSlot *table;  /* instead of an index (table.c), or NULL */
    uint64_t vacant;          /* the word of the table's free slots */
    char *entries;            /* or NULL: DICT_PROBED */
    /* of a groupmerger that still grows: */
    int64_t values, room; /* how many values are there, and fit */
    char *value;          /* all values in merge order */
    uint32_t *group;      /* the entry of each */
    /* of a dictmerger that deals its merges out (partition.c): */
    struct Partitions *partitions; /* or NULL */
    int64_t merges;                /* since they were last drained */
    bool many; /* it will have very many keys: its merges are dealt out from the first on */
} Dict;

/* What a dictionary of a dictmerger is for when its loop is done. */
typedef enum DictForm {
    DICT_GROWS,    /* or is searched */
    DICT_LISTED,   /* it will be finished, and only its entries are looked at: it needs no index */
    DICT_SEARCHED, /* it will be finished, and may be searched: it may have a table instead of an index */
    DICT_PROBED, /* the same, and it will only be searched, or asked how long it is: with a table it needs no entries */
} DictForm;

/* The slots of a table, of eight of which at most three are used, as a step leads over four; compiled code inlines the probe of
 * it, too. */
enum { TABLE_LINE = 4, TABLE_VALUE = 8, TABLE_USED = 3 };
typedef struct TableSlot {
    uint64_t word; /* key_word of the key */
    char value[TABLE_VALUE];
} TableSlot;

/* The type of the entries of a dict, dictmerger or groupmerger, made in *room without a table of types. */
typedef struct EntryType {
    Type entry, group;
    Type *parts[2], *element;
    int64_t offsets[2];
} EntryType;
const Type *dict_entry_layout(const Type *dict_or_builder, EntryType *room);

/* A dictionary may be NULL wherever one is read: it is empty. */
Dict *dict_new(Worker *worker, const Type *entry, Span span); /* entry: the struct {K, V}; NULL: failed */
void dict_discard(Worker *worker, Dict *dict);                /* frees its builders' blocks */
/* Makes the index of an otherwise complete builder. */
bool dict_make_index(Worker *worker, Dict *dict, const Type *entry, Span span);
/* The value of key, or NULL. */
void *dict_find(const Dict *dict, const Type *entry, const void *key);
/* The value of key; *fresh: it was inserted just now, its value zeroed. NULL: no memory. */
void *dict_insert(Worker *worker, Dict *dict, const Type *entry, const void *key, uint64_t hash, bool *fresh,
                  Span span);
/* Merges an entry, a {K, V}. */
bool dict_merge(Worker *worker, Dict *dict, const Type *entry, const void *pair, Op op, Span span);
bool dict_grow(Worker *worker, Dict *dict, const Type *entry, Span span); /* makes room for one more entry */
bool group_merge(Worker *worker, Dict *dict, const Type *entry, const void *key, const void *value,
                 Span span);
bool group_finish(Worker *worker, Dict *dict, const Type *entry, Span span); /* makes the values' vectors */
/* Makes `direct`, for keys that are one word and less than 1 << DIRECT_BITS, unless there is no memory. */
enum { DIRECT_BITS = 16 };
void dict_make_direct(Worker *worker, Dict *dict, const Type *entry);
/* Takes it away, leading nowhere, for another builder of the same type; or NULL. */
uint32_t *dict_take_direct(Dict *dict, const Type *entry);
/* Lets it lead nowhere: a loop that has its address looks keys up in the index. */
void dict_clear_direct(Dict *dict, const Type *entry);
/* Merges another builder's dictionary that grows, as if its merges came now. Its blocks, which must lie in
 * the worker's region, are freed or taken over. */
bool dict_absorb(Worker *worker, Dict *dict, Dict *other, const Type *entry, Op op, Span span);
bool group_absorb(Worker *worker, Dict *dict, Dict *other, const Type *entry, Span span);
bool dict_finish(Worker *worker, Dict *dict, const Type *entry, Span span); /* settles its memory */
/* The entries' numbers in key order, in memory of the caller's that holds dict->length of them. */
void dict_sorted(const Dict *dict, const Type *entry, int64_t *order);
Type *dict_entry_type(TypeTable *table, const Type *dict_or_builder); /* {K, V}; for a group {K, vec[V]} */

/* ---- table.c: keys and values in the slots, for dictionaries that are finished and large ------------------ */

/* The first slot of the line where a key's probe begins. */
static inline uint64_t table_line(const Dict *dict, uint64_t hash) {
    return hash >> dict->shift & dict->mask & ~(uint64_t)(TABLE_LINE - 1);
}
bool table_fits(const Type *entry); /* may its dictionaries have tables */
/* A word that is no key of the dictionary, of which `has` knows the keys. False: none of those that were tried. */
typedef bool TableHasWord(const void *data, uint64_t word);
bool table_choose_vacant(const Type *entry, TableHasWord *has, const void *data, uint64_t *vacant);
void table_clear(Dict *dict, uint64_t from, uint64_t to); /* slots [from, to) */
/* Enters a new key at the first free slot from its line on. False: there is none before slot `end`, which no slot
 * number reaches where the search may go round. */
bool table_enter(Dict *dict, const Type *entry, const void *key, const void *value, uint64_t end);
void *table_find(const Dict *dict, const Type *entry, const void *key); /* the value, or NULL */

/* ---- partition.c: merges dealt out by hash, for more keys than the caches hold --------------------------- */

enum { PARTITION_BITS = 8, PARTITIONS = 1 << PARTITION_BITS, PARTITION_BLOCK = 4096, PARTITION_RECORD = 256 };

/* Merges so many records, which lie one after the other, into a dictionary of {K, V, i64} that has room for as many
 * more. A record is what compiled code makes of it and ends in the number of its merge, to which base is added. */
typedef ErrorCode (*PartitionDrain)(Worker *worker, Dict *dict, const char *records, int64_t count,
                                    int64_t base);

typedef struct PartitionBlock PartitionBlock;
struct PartitionBlock {
    PartitionBlock *next; /* the one filled after it */
};

/* What a partition's records were merged to: {K, V, i64} one after the other, in the order of first merges. */
typedef struct Drained {
    char *entries;
    int64_t length;
} Drained;

/* Memory for them, from large blocks. */
typedef struct Slabs {
    void *list; /* the newest, which points to the one before */
    char *next;
    int64_t left, size; /* bytes left in the newest; its bytes */
} Slabs;

/* Compiled code writes a record to next[hash >> (64 - PARTITION_BITS)] and advances that. No room is left where
 * ((next - 1) & (PARTITION_BLOCK - 1)) > PARTITION_BLOCK - 1 - record; so there is none where next is NULL. */
typedef struct Partitions {
    char *next[PARTITIONS];
    PartitionBlock *first[PARTITIONS], *last[PARTITIONS], *free;
    Drained drained[PARTITIONS];
    Slabs slabs;       /* where these lie */
    const Type *entry; /* of these: {K, V, i64}, with the number of the key's first merge */
    PartitionDrain drain;
    int64_t base;               /* number of the first merge that is not drained */
    int64_t record, start;      /* bytes; where records begin in a block */
    int64_t used, window;       /* blocks; so many may be used before they are drained */
    void *chunks;               /* where the blocks lie, a list */
    char *fresh;                /* blocks that were never used, in the newest chunk */
    int64_t fresh_blocks, size; /* how many; of the newest chunk, in blocks */
} Partitions;

/* How many keys a dictmerger has that deals out merges, and what it has before it does. */
int64_t partition_threshold(const Worker *worker);
bool partition_is_due(const Worker *worker, const Dict *dict);
/* Moves what it has into partitions, and adds a new key, whose value is returned; key NULL: none, and something is.
 * NULL: no memory, and nothing has changed; that is no failure. */
void *partition_begin(Worker *worker, Dict *dict, const Type *entry, PartitionDrain drain, int64_t record,
                      const void *key, uint64_t hash);
/* Room for the next record of a partition. NULL: no memory, or draining failed. */
char *partition_room(Worker *worker, Dict *dict, int64_t part, Span span);
/* Merges what a partition of several dictmergers holds, in their order, in `scratch`, an empty Dict at first that
 * serves one partition after the other; what comes out is in *out, in memory of the slabs. */
bool partition_merge(Worker *worker, Dict *const *from, int64_t count, int64_t part, Op op, Dict *scratch,
                     Slabs *slabs, Drained *out);
void slabs_free(Worker *worker, Slabs *slabs);
void slabs_join(Slabs *slabs, Slabs *other);              /* which is empty then */
void partitions_clear(Worker *worker, Partitions *parts); /* frees what they hold */
void partitions_free(Worker *worker, Partitions *parts);

/* ---- checkpoint.c: which states are kept in checkpoints ------------------------------------------------------ */

/* Numbers the iterates of a typed program that a run comes to once at most and whose state is all that they leave. */
void program_number_iterates(Program *program);
/* By the worker's keeper; without one nothing is kept. */
ErrorCode checkpoint_restore(Worker *worker, const KeptState *kept, void *state, int32_t *kind);
ErrorCode checkpoint_step(Worker *worker, const KeptState *kept, const void *state, bool again);

/* ---- exchange.c: what ranks do together -------------------------------------------------------------------- */

ErrorCode exchange(Worker *worker, const ExchangeCall *call); /* by the worker's exchanger, or alone */
/* The program has failed: ends what it launched and did not wait for, before the memory goes that this reads. */
void exchange_stop(Worker *worker);
/* What it gives never points into its operands. */
bool exchange_copies(ExchangeKind kind);
/* The exchange that a launch begins; of any other EXCHANGE_COUNT. */
ExchangeKind exchange_launched(ExchangeKind kind);
/* The type that a node's call has: of what it gives, or where that is a number by what it takes, of that. */
const Type *exchange_type(const Node *node);
/* Where block number `rank` of a vector of that length begins; of block number `ranks` its end. */
int64_t block_begin(int64_t length, int64_t rank, int64_t ranks);

/* ---- fill.c: results that C functions write (cfill) ----------------------------------------------------- */

/* How many vectors a cfill of this type fills; -1: it cannot, their elements hold pointers. */
int fill_count(const Type *type);
/* Makes *out a zero value whose vectors have room for `sizes` elements. */
ErrorCode fill_prepare(Worker *worker, const Type *type, const int64_t *sizes, void *out, Span span);
/* Checks what the function left there and returned; made: what was there before. */
ErrorCode fill_finish(Worker *worker, const Type *type, const void *made, const void *out, int32_t status,
                      Span span);

/* ---- nditer.c ------------------------------------------------------------------------------------------ */

typedef struct NdBounds {
    int64_t length, start, end, stride; /* length: of the vector; the rest as written */
    Vec shape, strides;                 /* of i64 */
} NdBounds;
/* E_None: the iterator is right, all its accesses are inside, and it visits end - start elements. */
ErrorCode nd_check(Worker *worker, Span span, const NdBounds *nd);
int64_t nd_offset(const NdBounds *nd, int64_t index); /* the element of an iteration of a checked iterator */
/* Of a checked iterator that is not empty: how many iterations from this one on read elements that are nd_stride apart, and
 * the first one's place. */
int64_t nd_segment(const NdBounds *nd, int64_t index, int64_t *place);
int64_t nd_stride(const NdBounds *nd);

/* ---- sort.c -------------------------------------------------------------------------------------------- */

typedef ErrorCode (*SortCompare)(void *closure, Worker *worker, const void *a, const void *b, int32_t *order);
/* Stable merge sort of `count` elements of `size` bytes, in place, with scratch of the same size. */
ErrorCode sort_stable(Worker *worker, void *data, void *scratch, int64_t count, int64_t size,
                      SortCompare compare, void *closure);
/* Merges two sorted arrays; of equal elements those of a come first. */
ErrorCode sort_merge(Worker *worker, const void *a, int64_t na, const void *b, int64_t nb, void *out,
                     int64_t size, SortCompare compare, void *closure);

/* ---- radix.c --------------------------------------------------------------------------------------------
 */

/* An order by a scalar that lies `offset` bytes into each element. */
typedef struct SortKey {
    TypeKind kind;
    bool descending;
    int64_t offset;
} SortKey;
enum { NAN_LAST = 1 << 9 }; /* a bit of a key as compiled code packs it: NaNs come behind all others */
/* Stable, from data to out; takes memory for two records of 8 or 16 bytes an element while it runs. A NaN
 * goes anywhere. */
ErrorCode sort_by_key(Worker *worker, const void *data, void *out, int64_t count, int64_t size,
                      const SortKey *key, Span span);
/* The same order as a SortCompare; the closure is the SortKey. Total, also where there are NaNs. */
ErrorCode sort_key_compare(void *key, Worker *worker, const void *a, const void *b, int32_t *order);

#endif
